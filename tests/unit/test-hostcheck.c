/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of host-check, on folders that stand for a machine. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "virsh-wrappers/host-check.h"

#define CAPS                                                                                                           \
    "<domainCapabilities><path>/usr/bin/qemu</path><os><loader "                                                       \
    "supported='yes'><value>/usr/share/OVMF.fd</value></loader></os>"                                                  \
    "<features>%s<launchSecurity supported='%s'><enum "                                                                \
    "name='sectype'><value>sev</value>%s</enum></launchSecurity></features>"                                           \
    "</domainCapabilities>"
#define SEV "<sev supported='yes'><cbitpos>51</cbitpos><reducedPhysBits>1</reducedPhysBits><maxGuests>100</maxGuests>" \
    "<maxESGuests>15</maxESGuests></sev>"

typedef struct {
    gchar *root;
    PolicyConfig *config;
    GPtrArray *rows;
} Host;

static void put(const Host *host, const char *path, const char *text, int mode)
{
    g_autofree gchar *full = g_strconcat(host->root, path, NULL);
    g_autofree gchar *folder = g_path_get_dirname(full);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    g_assert_true(g_file_set_contents(full, text, -1, NULL));
    g_assert_cmpint(chmod(full, (mode_t)mode), ==, 0);
}

static void put_folder(const Host *host, const char *path, int mode)
{
    g_autofree gchar *full = g_strconcat(host->root, path, NULL);
    g_assert_cmpint(g_mkdir_with_parents(full, 0755), ==, 0);
    g_assert_cmpint(chmod(full, (mode_t)mode), ==, 0);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
        g_autofree gchar *child = g_build_filename(path, name, NULL);
        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK)) {
            remove_tree(child);
        } else {
            g_unlink(child);
        }
    }
    g_rmdir(path);
}

/* A machine on which everything is there, as far as files can tell. */
static void host_set_up(Host *host, gconstpointer data)
{
    host->root = g_dir_make_tmp("hostcheck-XXXXXX", NULL);
    g_assert_nonnull(host->root);
    put(host, "/proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu sme sev sev_es sev_snp smap\n", 0644);
    put(host, "/proc/sys/kernel/osrelease", "6.12.9-amd64\n", 0644);
    put(host, "/proc/stat", "cpu 1 2 3\nbtime 1000\n", 0644);
    put(host, "/sys/module/kvm_amd/parameters/sev", "Y\n", 0644);
    put(host, "/sys/module/kvm_amd/parameters/sev_es", "1\n", 0644);
    put(host, "/sys/module/kvm_amd/parameters/sev_snp", "Y\n", 0644);
    put(host, "/sys/module/kvm_amd/parameters/debug_swap", "N\n", 0644);
    put(host, "/sys/class/iommu/ivhd0", "", 0644);
    put(host, "/dev/sev", "", 0600);
    put(host, CMD_LIBVIRT_HOOKS "/50-virt-attest", "ELF", 0755);
    put(host, "/etc/virt-attest/virt-attest.conf", "", 0644);
    put_folder(host, "/var/lib/virt-attest/records", 0700);
    put_folder(host, "/var/lib/virt-attest", 0700);
    host->config = g_new0(PolicyConfig, 1);
    host->config->path = g_strdup("/etc/virt-attest/virt-attest.conf");
    host->config->state_directory = g_strdup("/var/lib/virt-attest");
}

static void host_tear_down(Host *host, gconstpointer data)
{
    remove_tree(host->root);
    g_free(host->root);
    g_free(host->config->path);
    g_free(host->config->state_directory);
    g_free(host->config);
    g_clear_pointer(&host->rows, g_ptr_array_unref);
}

static CmdDomcaps *caps_of(const char *sev, const char *supported, const char *snp)
{
    g_autofree gchar *xml = g_strdup_printf(CAPS, sev, supported, snp);
    g_autoptr(GError) error = NULL;
    CmdDomcaps *caps = cmd_domcaps_parse(xml, strlen(xml), &error);
    g_assert_no_error(error);
    return caps;
}

static void check(Host *host, const CmdDomcaps *caps, unsigned long version)
{
    CmdHostProbe probe = {.root = host->root, .config = host->config, .caps = caps, .libvirt_version = version};
    g_clear_pointer(&host->rows, g_ptr_array_unref);
    host->rows = cmd_host_check(&probe);
}

static const CmdHostRow *row(const Host *host, const char *name)
{
    for (guint i = 0; i < host->rows->len; i++) {
        const CmdHostRow *each = g_ptr_array_index(host->rows, i);
        if (g_str_equal(each->check, name)) {
            return each;
        }
    }
    g_error("no row '%s'", name);
}

static void assert_row(const Host *host, const char *name, CmdHostResult result)
{
    const CmdHostRow *found = row(host, name);
    g_assert_cmpstr(cmd_host_result_name(found->result), ==, cmd_host_result_name(result));
    g_assert_nonnull(found->why);
    if (result == CMD_HOST_FAIL || result == CMD_HOST_WARN) {
        g_assert_nonnull(found->todo);
    }
}

static void test_good(Host *host, gconstpointer data)
{
    g_autoptr(CmdDomcaps) caps = caps_of(SEV, "yes", "<value>sev-snp</value>");
    check(host, caps, 11003000);
    static const char *const good[] = {"cpu-sev-snp",
                                       "kvm-amd-sev",
                                       "kvm-amd-sev_es",
                                       "kvm-amd-sev_snp",
                                       "kvm-amd-debug_swap",
                                       "dev-sev",
                                       "iommu",
                                       "kernel",
                                       "libvirt",
                                       "qemu",
                                       "domcapabilities-sev-snp",
                                       "domcapabilities-sev",
                                       "hook-installed",
                                       "hook-known",
                                       "hook-strays",
                                       "apparmor",
                                       "state-folder",
                                       "config-file"};
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_row(host, good[i], CMD_HOST_PASS);
    }
    /* This machine has no firmware, which is needed. */
    assert_row(host, "firmware-level-2", CMD_HOST_FAIL);
    assert_row(host, "firmware-level-3", CMD_HOST_FAIL);
    g_assert_false(cmd_host_rows_good(host->rows));
}

static void test_caps(Host *host, gconstpointer data)
{
    g_autoptr(CmdDomcaps) full = caps_of(SEV, "yes", "<value>sev-snp</value>");
    g_assert_true(full->snp && full->sev && full->sev_es);
    g_assert_cmpint(full->cbitpos, ==, 51);
    g_assert_cmpint(full->reduced_phys_bits, ==, 1);
    g_assert_cmpuint(full->loaders->len, ==, 1);
    g_autoptr(CmdDomcaps) none = caps_of("<sev supported='no'/>", "no", "<value>sev-snp</value>");
    g_assert_false(none->snp || none->sev || none->sev_es);
    g_assert_cmpint(none->cbitpos, ==, -1);
    static const char *const bad[] = {"", "<domain/>", "<domainCapabilities>",
                                      "<!DOCTYPE domainCapabilities []><domainCapabilities/>"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(cmd_domcaps_parse(bad[i], strlen(bad[i]), &error));
        g_assert_nonnull(error);
    }
    check(host, none, 10004000);
    assert_row(host, "libvirt", CMD_HOST_FAIL);
    assert_row(host, "domcapabilities-sev-snp", CMD_HOST_FAIL);
    assert_row(host, "domcapabilities-sev", CMD_HOST_WARN);
    check(host, NULL, 0);
    assert_row(host, "libvirt", CMD_HOST_SKIP);
    assert_row(host, "qemu", CMD_HOST_SKIP);
}

typedef struct {
    const char *path, *text;
    int mode;
    const char *row;
    CmdHostResult result;
} Change;

/* One thing wrong at a time. */
static void test_each(Host *host, gconstpointer data)
{
    static const Change changes[] = {
        {"/proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : sev sev_es sev_snpx\n", 0644, "cpu-sev-snp",
         CMD_HOST_FAIL},
        {"/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : vmx\nbugs : sev_snp\n", 0644, "cpu-sev-snp",
         CMD_HOST_FAIL},
        {"/sys/module/kvm_amd/parameters/sev", "N\n", 0644, "kvm-amd-sev", CMD_HOST_FAIL},
        {"/sys/module/kvm_amd/parameters/sev_es", "0\n", 0644, "kvm-amd-sev_es", CMD_HOST_FAIL},
        {"/sys/module/kvm_amd/parameters/sev_snp", "N\n", 0644, "kvm-amd-sev_snp", CMD_HOST_FAIL},
        {"/sys/module/kvm_amd/parameters/debug_swap", "Y\n", 0644, "kvm-amd-debug_swap", CMD_HOST_WARN},
        {"/proc/sys/kernel/osrelease", "6.10.0\n", 0644, "kernel", CMD_HOST_WARN},
        {"/proc/sys/kernel/osrelease", "5.14.0-503.el9\n", 0644, "kernel", CMD_HOST_WARN},
        {"/proc/sys/kernel/osrelease", "7.0\n", 0644, "kernel", CMD_HOST_PASS},
        {"/proc/sys/kernel/osrelease", "unknown\n", 0644, "kernel", CMD_HOST_WARN},
        {CMD_LIBVIRT_HOOKS "/50-virt-attest", "ELF", 0644, "hook-installed", CMD_HOST_FAIL},
        {CMD_LIBVIRT_HOOKS "/50-virt-attest", "ELF", 0775, "hook-installed", CMD_HOST_FAIL},
        {CMD_LIBVIRT_HOOKS "/50-virt-attest", "ELF", 0757, "hook-installed", CMD_HOST_FAIL},
        {CMD_LIBVIRT_HOOKS "/50-virt-attest", "ELF", 0755, "hook-installed", CMD_HOST_PASS},
        {CMD_LIBVIRT_HOOKS "/readme", "text", 0644, "hook-strays", CMD_HOST_PASS},
        {CMD_LIBVIRT_HOOKS "/50-virt-attest~", "ELF", 0755, "hook-strays", CMD_HOST_WARN},
        {"/sys/module/apparmor/parameters/enabled", "Y\n", 0644, "apparmor", CMD_HOST_PASS},
        {"/etc/apparmor.d/usr.sbin.libvirtd", "  /etc/libvirt/hooks/** rmix,\n", 0644, "apparmor", CMD_HOST_PASS},
        {"/etc/apparmor.d/usr.sbin.virtqemud", "  /usr/bin/* PUx,\n", 0644, "apparmor", CMD_HOST_FAIL},
        {"/etc/virt-attest/virt-attest.conf", "", 0666, "config-file", CMD_HOST_FAIL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        put(host, changes[i].path, changes[i].text, changes[i].mode);
        check(host, NULL, 0);
        g_test_message("%s: %s", changes[i].path, row(host, changes[i].row)->why);
        assert_row(host, changes[i].row, changes[i].result);
    }
    static const struct {
        int mode;
        CmdHostResult result;
    } modes[] = {{0750, CMD_HOST_FAIL}, {0704, CMD_HOST_FAIL}, {0713, CMD_HOST_FAIL}, {0700, CMD_HOST_PASS},
                 /* QEMU passes through to the boot folder. */
                 {0711, CMD_HOST_PASS}};
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        put_folder(host, "/var/lib/virt-attest", modes[i].mode);
        check(host, NULL, 0);
        assert_row(host, "state-folder", modes[i].result);
    }
}

static void test_missing(Host *host, gconstpointer data)
{
    remove_tree(host->root);
    g_assert_cmpint(g_mkdir(host->root, 0755), ==, 0);
    check(host, NULL, 0);
    static const char *const failing[] = {"cpu-sev-snp",      "kvm-amd-sev",      "kvm-amd-sev_es",
                                          "kvm-amd-sev_snp",  "dev-sev",          "iommu",
                                          "firmware-level-2", "firmware-level-3", "hook-installed"};
    for (gsize i = 0; i < G_N_ELEMENTS(failing); i++) {
        assert_row(host, failing[i], CMD_HOST_FAIL);
    }
    assert_row(host, "state-folder", CMD_HOST_WARN);
    assert_row(host, "config-file", CMD_HOST_PASS);
}

/* A daemon that started @seconds after now, as its stat line says: boot at 1000 s, ticks of 1/100 s behind it. */
static void put_daemon(const Host *host, int seconds)
{
    gint64 ticks = ((gint64)time(NULL) + seconds - 1000) * sysconf(_SC_CLK_TCK);
    g_autofree gchar *stat = g_strdup_printf(
        "42 (libvirtd) S 1 42 42 0 -1 4 0 0 0 0 1 2 0 0 20 0 19 0 %" G_GINT64_FORMAT " 1 2 3\n", ticks);
    put(host, "/run/libvirtd.pid", "42\n", 0644);
    put(host, "/proc/42/stat", stat, 0444);
}

static void test_known(Host *host, gconstpointer data)
{
    /* no daemon: it will look when it starts */
    check(host, NULL, 0);
    assert_row(host, "hook-known", CMD_HOST_PASS);
    /* it started after the hook was there */
    put_daemon(host, 60);
    check(host, NULL, 0);
    assert_row(host, "hook-known", CMD_HOST_PASS);
    /* it started before: nobody knows that it knows */
    put_daemon(host, -60);
    check(host, NULL, 0);
    assert_row(host, "hook-known", CMD_HOST_FAIL);
    /* a file that is not executable is no hook, whenever it came */
    put(host, CMD_LIBVIRT_HOOKS "/readme", "text", 0644);
    check(host, NULL, 0);
    assert_row(host, "hook-known", CMD_HOST_FAIL);
    /* a record that was written since then: only the hook writes them */
    put(host, "/var/lib/virt-attest/records/6f1d1c5e-0b1a-4c38-9e0e-2f7f6d3a5b01.json", "{}", 0600);
    check(host, NULL, 0);
    assert_row(host, "hook-known", CMD_HOST_PASS);
    /* the process id belongs to another program now, or to none */
    put(host, "/proc/42/stat", "42 (x libvirtd) S 1\n", 0444);
    check(host, NULL, 0);
    g_assert_nonnull(strstr(row(host, "hook-known")->why, "no libvirt daemon runs"));
    put(host, "/run/libvirtd.pid", "-1", 0644);
    check(host, NULL, 0);
    g_assert_nonnull(strstr(row(host, "hook-known")->why, "no libvirt daemon runs"));
}

static void test_links(Host *host, gconstpointer data)
{
    g_autofree gchar *hook = g_strconcat(host->root, CMD_LIBVIRT_HOOKS "/50-virt-attest", NULL);
    put(host, "/usr/libexec/hook", "ELF", 0755);
    g_assert_cmpint(g_unlink(hook), ==, 0);
    g_assert_cmpint(symlink("../../../../usr/libexec/hook", hook), ==, 0);
    check(host, NULL, 0);
    assert_row(host, "hook-installed", CMD_HOST_FAIL);
    g_autofree gchar *state = g_strconcat(host->root, "/var/lib/virt-attest", NULL);
    remove_tree(state);
    g_assert_cmpint(symlink("/tmp", state), ==, 0);
    check(host, NULL, 0);
    assert_row(host, "state-folder", CMD_HOST_FAIL);
    g_assert_cmpint(g_unlink(state), ==, 0);
}

/* A build that installs its hook elsewhere: only what lies in libvirt's folder counts. */
static void test_elsewhere(Host *host, gconstpointer data)
{
    CmdHostProbe probe = {.root = host->root, .config = host->config, .hook_directory = "/opt/a b/hooks/"};
    put(host, "/opt/a b/hooks/50-virt-attest", "ELF", 0755);
    host->rows = cmd_host_check(&probe);
    assert_row(host, "hook-installed", CMD_HOST_PASS);
    g_clear_pointer(&host->rows, g_ptr_array_unref);
    g_autofree gchar *hook = g_strconcat(host->root, "/etc/libvirt/hooks/qemu.d/50-virt-attest", NULL);
    g_assert_cmpint(g_unlink(hook), ==, 0);
    put_daemon(host, 60);
    host->rows = cmd_host_check(&probe);
    assert_row(host, "hook-installed", CMD_HOST_FAIL);
    const CmdHostRow *found = row(host, "hook-installed");
    g_assert_nonnull(strstr(found->why, "libvirt runs hooks only from /etc/libvirt/hooks/qemu.d"));
    g_assert_nonnull(strstr(found->todo, "install -D -m 0755 '/opt/a b/hooks/50-virt-attest' "
                                         "/etc/libvirt/hooks/qemu.d/50-virt-attest"));
    for (guint i = 0; i < host->rows->len; i++) {
        g_assert_cmpstr(((const CmdHostRow *)g_ptr_array_index(host->rows, i))->check, !=, "hook-known");
    }
}

static void test_broken_config(Host *host, gconstpointer data)
{
    CmdHostProbe probe = {.root = host->root, .config = host->config, .config_problem = "'x.conf': unknown key"};
    host->rows = cmd_host_check(&probe);
    assert_row(host, "config-file", CMD_HOST_FAIL);
    g_assert_nonnull(strstr(row(host, "config-file")->why, "'x.conf': unknown key"));
    assert_row(host, "state-folder", CMD_HOST_PASS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hostcheck/good", Host, NULL, host_set_up, test_good, host_tear_down);
    g_test_add("/hostcheck/caps", Host, NULL, host_set_up, test_caps, host_tear_down);
    g_test_add("/hostcheck/each", Host, NULL, host_set_up, test_each, host_tear_down);
    g_test_add("/hostcheck/missing", Host, NULL, host_set_up, test_missing, host_tear_down);
    g_test_add("/hostcheck/known", Host, NULL, host_set_up, test_known, host_tear_down);
    g_test_add("/hostcheck/links", Host, NULL, host_set_up, test_links, host_tear_down);
    g_test_add("/hostcheck/elsewhere", Host, NULL, host_set_up, test_elsewhere, host_tear_down);
    g_test_add("/hostcheck/broken-config", Host, NULL, host_set_up, test_broken_config, host_tear_down);
    return g_test_run();
}
