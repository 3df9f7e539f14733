/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cleaning of root trees: what goes, what comes, what becomes of passwords. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/clean.h"

static const char key[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS somebody";

static StorageCleanVerdict judge(StorageClean *clean, const char *path, guint32 mode)
{
    const StorageEntry entry = {.path = path, .mode = mode, .target = "/somewhere"};
    g_autoptr(GError) error = NULL;
    StorageCleanVerdict verdict = storage_clean_judge(clean, &entry, &error);

    g_assert_true((verdict == STORAGE_CLEAN_REFUSE) == (error != NULL));
    return verdict;
}

static void see_system(StorageClean *clean)
{
    g_assert_cmpint(judge(clean, "usr/lib/systemd/systemd", S_IFREG | 0755), ==, STORAGE_CLEAN_KEEP);
}

static void test_dropped(void)
{
    static const char *const gone[] = {
        "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_ed25519_key.pub", "etc/machine-id", "var/lib/dbus/machine-id",
        "var/lib/systemd/random-seed", "etc/shadow-", "etc/passwd-", "var/backups/shadow.bak", "etc/fstab", "etc/crypttab",
        "swap.img", "tmp/a", "tmp/a/b/c", "run/lock/x", "var/tmp/x", "dev/null", "proc/1", "var/lib/cloud/instance",
        "var/log/syslog", "var/log/apt/history.log", "var/cache/apt/pkgcache.bin", "var/lib/apt/lists/lock", "var/lib/apt/lists/partial",
        "var/cache/debconf/passwords.dat", "boot/initrd.img-6.1.0", "initrd.img", "boot/efi/EFI/debian/grubx64.efi",
        "boot/grub/grub.cfg", "etc/apt/apt.conf.d/99mmdebstrap", "etc/systemd/system/getty.target.wants/getty@tty1.service",
        "etc/systemd/system/serial-getty@ttyS0.service", "etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf",
        "etc/systemd/system/getty@tty1.service.d/override.conf", "usr/lib/systemd/system/serial-getty@ttyS0.service",
        "etc/systemd/system/debug-shell.service", "etc/systemd/system/sysinit.target.wants/debug-shell.service",
        "etc/systemd/system/multi-user.target.wants/qemu-guest-agent.service", "etc/systemd/system/rescue.target",
        "etc/systemd/system-generators/systemd-gpt-auto-generator", "root/.bash_history", "lost+found",
        "etc/systemd/system/timers.target.wants/apt-daily.timer",
        "etc/systemd/system/sysinit.target.wants/systemd-ask-password-console.path"};
    static const char *const kept[] = {
        "etc/ssh/sshd_config", "etc/systemd/system/multi-user.target.wants/ssh.service", "usr/lib/systemd/system/getty@.service",
        "var/lib/dpkg/status", "boot/vmlinuz-6.1.0", "usr/lib/modules/6.1.0/modules.dep", "home/user/file", "temporary/x",
        "etc/systemd/system/my.service", "var/logs", "usr/bin/getty"};
    static const char *const folders[] = {"var/log", "var/log/apt", "var/lib/apt/lists", "var/cache/apt/archives", "tmp", "run", "dev", "boot/efi"};
    const StorageCleanOptions options = {NULL};
    g_autoptr(StorageClean) clean = storage_clean_new(&options);

    for (gsize i = 0; i < G_N_ELEMENTS(gone); i++) {
        if (judge(clean, gone[i], S_IFREG | 0644) != STORAGE_CLEAN_DROP)
            g_error("%s stays", gone[i]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++) {
        if (judge(clean, kept[i], S_IFREG | 0644) != STORAGE_CLEAN_KEEP)
            g_error("%s goes", kept[i]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        if (judge(clean, folders[i], S_IFDIR | 0755) != STORAGE_CLEAN_KEEP)
            g_error("%s goes", folders[i]);
    }
    g_assert_cmpint(judge(clean, "srv/disk", S_IFBLK | 0666), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(clean, "srv/zero", S_IFCHR | 0666), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(clean, "srv/pipe", S_IFIFO | 0666), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(clean, "etc/shadow", S_IFREG | 0640), ==, STORAGE_CLEAN_REWRITE);
    g_assert_cmpint(judge(clean, "etc/shadow", S_IFLNK | 0777), ==, STORAGE_CLEAN_REFUSE);
}

static void test_options(void)
{
    const StorageCleanOptions built = {.keys = NULL}, imported = {.imported = TRUE},
                              login = {.console_login = TRUE, .imported = TRUE}, sources = {.sources = "deb x y z\n"};
    g_autoptr(StorageClean) a = storage_clean_new(&built);
    g_autoptr(StorageClean) b = storage_clean_new(&imported);
    g_autoptr(StorageClean) c = storage_clean_new(&login);
    g_autoptr(StorageClean) d = storage_clean_new(&sources);

    /* A script of the owner may have put keys there; somebody's image has somebody's. */
    g_assert_cmpint(judge(a, "home/user/.ssh/authorized_keys", S_IFREG), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(b, "home/user/.ssh/authorized_keys", S_IFREG), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(b, "root/.ssh/authorized_keys2", S_IFREG), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(b, "etc/systemd/system/timers.target.wants/apt-daily.timer", S_IFLNK), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(a, "etc/hostname", S_IFREG), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(b, "etc/hostname", S_IFREG), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(a, "etc/resolv.conf", S_IFREG), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(b, "etc/resolv.conf", S_IFREG), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(c, "etc/systemd/system/getty.target.wants/getty@tty1.service", S_IFLNK), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(c, "etc/systemd/system/sysinit.target.wants/debug-shell.service", S_IFLNK), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(a, "etc/apt/sources.list", S_IFREG), ==, STORAGE_CLEAN_KEEP);
    g_assert_cmpint(judge(d, "etc/apt/sources.list", S_IFREG), ==, STORAGE_CLEAN_DROP);
    g_assert_cmpint(judge(d, "etc/apt/sources.list.d/x.sources", S_IFREG), ==, STORAGE_CLEAN_DROP);
}

static void rewritten(const char *path, const char *from, const char *to)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = storage_clean_rewrite(path, from, strlen(from), &error);

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, to);
}

static void test_passwords(void)
{
    g_autoptr(GError) error = NULL;

    rewritten("etc/shadow",
              "root:$y$j9T$abc:19000:0:99999:7:::\nuser:$6$x$y:1::::::\nlocked:!$6$x$y:1::::::\ndaemon:*:1::::::\n"
              "never:!:1::::::\nopen::1::::::\n",
              "root:*:19000:0:99999:7:::\nuser:!:1::::::\nlocked:!:1::::::\ndaemon:*:1::::::\nnever:!:1::::::\nopen:!:1::::::\n");
    rewritten("etc/passwd", "root::0:0::/root:/bin/sh\nuser:$1$abc:1:1::/:/bin/sh\nx:x:2:2::/:/bin/sh\n",
              "root:x:0:0::/root:/bin/sh\nuser:x:1:1::/:/bin/sh\nx:x:2:2::/:/bin/sh\n");
    rewritten("etc/gshadow", "wheel:$6$abc::user\nplain:::\nadm:*::\n", "wheel:!::user\nplain:::\nadm:*::\n");
    rewritten("etc/group", "wheel:abcDEF:10:\n", "wheel:x:10:\n");
    rewritten("etc/shadow", "", "");
    rewritten("etc/shadow", "root:hash", "root:*");
    rewritten("etc/shadow", "+\n\n", "+\n\n");
    g_assert_null(storage_clean_rewrite("etc/shadow", "a\0b", 3, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

static const StorageAddition *find(GPtrArray *list, const char *path)
{
    for (guint i = 0; i < list->len; i++) {
        const StorageAddition *each = g_ptr_array_index(list, i);

        if (!strcmp(each->path, path))
            return each;
    }
    return NULL;
}

static void assert_link(GPtrArray *list, const char *path, const char *target)
{
    const StorageAddition *each = find(list, path);

    if (!each)
        g_error("%s is missing", path);
    g_assert_cmpuint(each->mode & S_IFMT, ==, S_IFLNK);
    g_assert_cmpstr(each->target, ==, target);
}

static void test_added(void)
{
    static const char *const nothing[] = {
        "getty@.service", "serial-getty@.service", "console-getty.service", "debug-shell.service", "emergency.service",
        "rescue.service", "systemd-firstboot.service", "qemu-guest-agent.service"};
    g_autofree gchar *line = g_strconcat(key, "\n", NULL);
    const StorageCleanOptions options = {.hostname = "guest", .keys = line};
    g_autoptr(StorageClean) clean = storage_clean_new(&options);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) none = storage_clean_additions(clean, &error);
    g_autoptr(GPtrArray) list = NULL;

    g_assert_null(none);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    see_system(clean);
    judge(clean, "usr/sbin/sshd", S_IFREG | 0755);
    judge(clean, "usr/lib/systemd/systemd-networkd", S_IFREG | 0755);
    list = storage_clean_additions(clean, &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < G_N_ELEMENTS(nothing); i++) {
        g_autofree gchar *path = g_strconcat("etc/systemd/system/", nothing[i], NULL);

        assert_link(list, path, "/dev/null");
    }
    assert_link(list, "etc/systemd/system-generators/systemd-gpt-auto-generator", "/dev/null");
    assert_link(list, "etc/systemd/system-generators/systemd-getty-generator", "/dev/null");
    assert_link(list, "etc/systemd/system/emergency.target", "/usr/lib/systemd/system/poweroff.target");
    assert_link(list, "etc/systemd/system/rescue.target", "/usr/lib/systemd/system/poweroff.target");
    assert_link(list, "etc/systemd/system/multi-user.target.wants/ssh.service", "/usr/lib/systemd/system/ssh.service");
    g_assert_cmpstr(find(list, "etc/machine-id")->text, ==, "");
    g_assert_cmpstr(find(list, "etc/hostname")->text, ==, "guest\n");
    g_assert_nonnull(strstr(find(list, "etc/hosts")->text, "127.0.1.1 guest\n"));
    g_assert_nonnull(strstr(find(list, "etc/sysctl.d/99-zz-virt-attest.conf")->text, "kernel.sysrq = 0"));
    g_assert_nonnull(strstr(find(list, "etc/ssh/sshd_config.d/00-virt-attest.conf")->text, "PasswordAuthentication no"));
    g_assert_nonnull(strstr(find(list, "etc/cloud/cloud.cfg.d/99-virt-attest.cfg")->text, "[ None ]"));
    g_assert_nonnull(find(list, "etc/cloud/cloud-init.disabled"));
    g_assert_nonnull(strstr(find(list, "etc/systemd/network/99-virt-attest.network")->text, "UseHostname=no"));
    g_assert_cmpstr(find(list, "root/.ssh/authorized_keys")->text, ==, line);
    g_assert_cmpuint(find(list, "root/.ssh/authorized_keys")->mode & 07777, ==, 0600);
    g_assert_cmpuint(find(list, "root/.ssh")->mode & 07777, ==, 0700);
    /* Whatever is written at the end, the tree must not have had. */
    for (guint i = 0; i < list->len; i++) {
        const StorageAddition *each = g_ptr_array_index(list, i);

        if (!each->unless_present && judge(clean, each->path, S_IFREG | 0644) != STORAGE_CLEAN_DROP &&
            strcmp(each->path, "root/.ssh/authorized_keys") != 0)
            g_error("%s could come from the tree as well", each->path);
    }
}

/* Our program for reports wins over whatever the tree has of its name; without it the tree's own things stay. */
static void test_agent(void)
{
    static const char *const ours[] = {
        "usr/bin/virt-attest", "etc/systemd/system/virt-attest-report.service",
        "etc/systemd/system/virt-attest-report.service.d/x.conf", "etc/udev/rules.d/60-virt-attest-report.rules"};
    static const char program[] = "\177ELF\0with a zero";
    g_autoptr(GBytes) bytes = g_bytes_new_static(program, sizeof(program));
    static const char *const confined[] = {
        "\nNoNewPrivileges=yes\n", "\nCapabilityBoundingSet=\n", "\nProtectSystem=strict\n", "\nDevicePolicy=closed\n",
        "\nPrivateNetwork=yes\n", "\nSystemCallFilter=@system-service\n", "\nReadWritePaths=-/sys/kernel/config\n"};
    const StorageCleanOptions options = {.agent = bytes}, without = {NULL};
    g_autoptr(StorageClean) clean = storage_clean_new(&options);
    g_autoptr(StorageClean) none = storage_clean_new(&without);
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GPtrArray) fewer = NULL;
    g_autoptr(GError) error = NULL;
    const StorageAddition *file = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(ours); i++) {
        g_assert_cmpint(judge(clean, ours[i], S_IFREG | 0755), ==, STORAGE_CLEAN_DROP);
        g_assert_cmpint(judge(none, ours[i], S_IFREG | 0755), ==, STORAGE_CLEAN_KEEP);
    }
    see_system(clean);
    see_system(none);
    list = storage_clean_additions(clean, &error);
    g_assert_no_error(error);
    fewer = storage_clean_additions(none, &error);
    g_assert_no_error(error);
    file = find(list, ours[0]);
    g_assert_nonnull(file);
    g_assert_cmpuint(file->mode, ==, S_IFREG | 0755);
    g_assert_true(g_bytes_equal(file->bytes, bytes));
    g_assert_nonnull(strstr(find(list, ours[1])->text, "ExecStart=/usr/bin/virt-attest report-serve\n"));
    g_assert_nonnull(strstr(find(list, ours[1])->text, "BindsTo=dev-virtio\\x2dports-org.virt\\x2dattest.report.0.device\n"));
    for (guint i = 0; i < G_N_ELEMENTS(confined); i++)
        g_assert_nonnull(strstr(find(list, ours[1])->text, confined[i]));
    g_assert_nonnull(strstr(find(list, ours[3])->text, "ATTR{name}==\"org.virt-attest.report.0\""));
    g_assert_null(find(fewer, ours[0]));
    g_assert_null(find(fewer, ours[1]));
    g_assert_null(find(fewer, ours[3]));
}

static void test_agent_file(void)
{
    g_autofree gchar *path = g_build_filename(g_get_tmp_dir(), "virt-attest-no-such-report-program", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;

    g_assert_null(storage_clean_read_agent(path, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    g_assert_nonnull(strstr(error->message, "--no-report-agent"));
    g_clear_error(&error);
    g_assert_null(storage_clean_read_agent("/etc/passwd", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    g_clear_error(&error);
    g_assert_null(storage_clean_read_agent("/dev/zero", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    g_clear_error(&error);
    bytes = storage_clean_read_agent("/bin/true", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(bytes), >, 64);
}

static void test_added_less(void)
{
    const StorageCleanOptions options = {.console_login = TRUE, .imported = TRUE};
    g_autoptr(StorageClean) clean = storage_clean_new(&options);
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GError) error = NULL;

    see_system(clean);
    judge(clean, "usr/lib/systemd/systemd-networkd", S_IFREG | 0755);
    judge(clean, "etc/netplan/50-cloud-init.yaml", S_IFREG | 0600);
    judge(clean, "etc/hostname", S_IFREG | 0644);
    list = storage_clean_additions(clean, &error);
    g_assert_no_error(error);
    g_assert_null(find(list, "etc/systemd/system/getty@.service"));
    g_assert_null(find(list, "etc/systemd/system-generators/systemd-getty-generator"));
    assert_link(list, "etc/systemd/system/debug-shell.service", "/dev/null");
    g_assert_null(find(list, "etc/systemd/network/99-virt-attest.network"));
    g_assert_null(find(list, "etc/hostname"));
    g_assert_null(find(list, "etc/apt/sources.list"));
    g_assert_null(find(list, "root/.ssh/authorized_keys"));
    g_assert_null(find(list, "etc/ssh/sshd_config.d/00-virt-attest.conf"));
}

static gchar *read_keys(const char *text, GError **error)
{
    g_autofree gchar *folder = g_dir_make_tmp("keys-XXXXXX", NULL);
    g_autofree gchar *path = g_build_filename(folder, "keys", NULL);
    const char *paths[] = {path, NULL};
    gchar *keys;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    keys = storage_clean_read_keys(paths, error);
    g_remove(path);
    g_rmdir(folder);
    return keys;
}

static void test_keys(void)
{
    static const char *const bad[] = {
        "", "# only a comment\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "ssh-ed25519\n", "ssh-ed25519 AAAA\n",
        "command=\"/bin/sh\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS x\n",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS x\n",
        "ssh-dss AAAAB3NzaC1kc3MAAAA= x\n", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5!!!! x\n", "hello\n"};
    static const char *const missing[] = {"/nonexistent/key.pub", NULL};
    g_autofree gchar *two = g_strdup_printf("# mine\n\n%s\r\n  %s\n", key, key);
    g_autofree gchar *wanted = g_strdup_printf("%s\n%s\n", key, key);
    g_autoptr(GError) error = NULL;
    g_autofree gchar *keys = read_keys(two, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(keys, ==, wanted);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) each = NULL;

        if (read_keys(bad[i], &each))
            g_error("accepted: %s", bad[i]);
        g_assert_error(each, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
    g_assert_null(storage_clean_read_keys(missing, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

static void test_hostnames(void)
{
    static const char *const good[] = {"a", "guest-1", "guest.example.org", "1st"};
    static const char *const bad[] = {"", "-a", "a-", ".a", "a.", "a..b", "a_b", "a b", "a\n", "ä",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(storage_clean_hostname_valid(good[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(storage_clean_hostname_valid(bad[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clean/agent", test_agent);
    g_test_add_func("/clean/agent-file", test_agent_file);
    g_test_add_func("/clean/dropped", test_dropped);
    g_test_add_func("/clean/options", test_options);
    g_test_add_func("/clean/passwords", test_passwords);
    g_test_add_func("/clean/added", test_added);
    g_test_add_func("/clean/added-less", test_added_less);
    g_test_add_func("/clean/keys", test_keys);
    g_test_add_func("/clean/hostnames", test_hostnames);
    return g_test_run();
}
