/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules. Patterns are those of fnmatch() with FNM_PATHNAME: '*' stays within one component. A path that we write
 * ourselves is dropped when the tree has it; what we write comes at the end, so that the tree cannot take it back.
 *
 * The host owns the console, the disks, the SMBIOS tables and every agent that listens to it. So no getty and no shell of
 * systemd's own, nothing that mounts by partition type or label, nothing that resumes from a disk, no SSH over vsock, no
 * agents, and a boot that fails turns the guest off instead of asking for a password.
 */
#include "storage/clean.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

struct StorageClean {
    gchar *hostname, *keys, *sources;
    GBytes *agent;
    gboolean console_login, imported;
    /* What was seen on the way. */
    gboolean systemd, networkd, resolved, sshd, dbus, other_network, had_hostname;
};

/* Files, or folders with everything in them. */
static const char *const dropped[] = {
    "lost+found",
    /* This machine's identity, its random numbers, its keys, its history. */
    "etc/machine-id", "var/lib/dbus/machine-id", "etc/ssh/ssh_host_*", "var/lib/systemd/random-seed",
    "var/lib/urandom/random-seed", "var/lib/systemd/credential.secret", "var/lib/systemd/timers/*",
    "var/lib/systemd/timesync/clock", "var/lib/dhcp/*", "var/lib/NetworkManager/*", "etc/iscsi/initiatorname.iscsi",
    "etc/hostid", "root/.bash_history", "root/.viminfo", "root/.cache", "root/.wget-hsts", "home/*/.bash_history",
    "home/*/.cache", "etc/.updated", "var/.updated",
    /* Old copies, which may hold passwords, and locks. */
    "etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock",
    "var/backups/*", "var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old",
    "var/cache/debconf/*-old", "var/cache/debconf/passwords.dat", "var/cache/ldconfig/aux-cache", "var/lib/dpkg/lock*",
    "var/lib/ucf/*.[0-9]",
    /* What belongs to another disk layout or boot loader: ours has neither swap nor grub, and our own initrd. */
    "etc/fstab", "etc/crypttab", "etc/initramfs-tools/conf.d/resume", "swapfile", "swap.img", "boot/grub", "boot/efi/*",
    "boot/initrd.img-*", "boot/initrd.img", "boot/initrd.img.old", "initrd.img", "initrd.img.old", "var/lib/initramfs-tools/*",
    /* What was needed on the machine that built it. */
    "etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/apt/preferences.d/virt-attest-snapshot",
    /* Runtime folders and caches; the folders stay. */
    "dev/*", "proc/*", "sys/*", "run/*", "tmp/*", "var/tmp/*", "var/lib/cloud/*", "var/crash/*",
    /* Their owner depends on whether apt could become another user where the tree was made; apt makes them again. */
    "var/lib/apt/lists/*", "var/cache/apt/archives/*",
    /* Files and keys from the host's SMBIOS tables. */
    "usr/lib/tmpfiles.d/provision.conf", "lib/tmpfiles.d/provision.conf",
    /* Logins that a template's mask would not reach: instances, and drop-ins that log somebody in. */
    "etc/systemd/system/emergency.service.d", "etc/systemd/system/rescue.service.d",
    /* Ours. */
    "etc/cloud/cloud-init.disabled", "etc/cloud/ds-identify.cfg", "etc/cloud/cloud.cfg.d/99-virt-attest.cfg",
    "etc/sysctl.d/99-zz-virt-attest.conf", "etc/ssh/sshd_config.d/00-virt-attest.conf",
    "etc/udev/rules.d/60-virt-attest-sev-guest.rules", "etc/systemd/resolved.conf.d/99-virt-attest.conf",
    "etc/systemd/network/99-virt-attest.network", "etc/systemd/system/emergency.target", "etc/systemd/system/rescue.target", NULL};

#define AGENT_UNIT "etc/systemd/system/virt-attest-report.service"
/*
 * It serves the host, so it gets nothing that a request does not need: public keys in /etc/ssh to read, its port, and
 * the two ways to the firmware: folders in configfs (the rest of /sys is read-only), and the device. That one appears
 * when its driver is loaded. This may be later, and a rule for its name alone would then not find it: hence all of its
 * kind (misc).
 */
#define AGENT_UNIT_TEXT                                                                                                \
    "[Unit]\nDescription=Attestation reports for the host\n"                                                           \
    "BindsTo=dev-virtio\\x2dports-org.virt\\x2dattest.report.0.device\n"                                               \
    "After=dev-virtio\\x2dports-org.virt\\x2dattest.report.0.device sys-kernel-config.mount\n"                         \
    "StartLimitIntervalSec=0\n\n"                                                                                      \
    "[Service]\nExecStart=/usr/bin/virt-attest report-serve\nRestart=always\nRestartSec=10\nUMask=0077\n"              \
    "NoNewPrivileges=yes\nCapabilityBoundingSet=\nRestrictSUIDSGID=yes\nRestrictRealtime=yes\n"                        \
    "RestrictNamespaces=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nKeyringMode=private\nPrivateIPC=yes\n"   \
    "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nProtectProc=invisible\nProcSubset=pid\n"                   \
    "ProtectKernelTunables=yes\nReadWritePaths=-/sys/kernel/config\n"                                                  \
    "ProtectControlGroups=yes\nProtectKernelLogs=yes\n"                                                                \
    "ProtectKernelModules=yes\nProtectClock=yes\nProtectHostname=yes\n"                                                \
    "DevicePolicy=closed\nDeviceAllow=char-virtio-portsdev rw\nDeviceAllow=char-misc rw\n"                             \
    "DeviceAllow=/dev/sev-guest rw\n"                                                                                  \
    "PrivateNetwork=yes\nRestrictAddressFamilies=none\nSystemCallArchitectures=native\n"                               \
    "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources @network-io @keyring @ipc @sync\n"     \
    "SystemCallErrorNumber=EPERM\nMemoryMax=64M\nTasksMax=4\n"
#define AGENT_RULE "etc/udev/rules.d/60-virt-attest-report.rules"

/* When the image gets our program that fetches the report. */
static const char *const agent_drops[] = {STORAGE_CLEAN_AGENT_PATH, AGENT_UNIT, AGENT_UNIT ".d", AGENT_RULE, NULL};

/* Everything in them but the folders, which daemons want. */
static const char *const emptied[] = {"var/log", "var/cache/apt", NULL};

static const char *const getty_drops[] = {
    "etc/systemd/system/getty.target.wants/*", "etc/systemd/system/*.wants/*getty@*.service",
    "etc/systemd/system/*getty*.service", "etc/systemd/system/*getty*.service.d", "etc/systemd/system/autovt@*.service",
    "etc/systemd/system/autovt@*.service.d", "usr/lib/systemd/system/*getty@?*.service",
    "usr/lib/systemd/system/*getty*.service.d", "lib/systemd/system/*getty@?*.service", "lib/systemd/system/*getty*.service.d",
    "etc/systemd/system-generators/systemd-getty-generator", NULL};

static const char *const source_drops[] = {"etc/apt/sources.list", "etc/apt/sources.list.d/*", NULL};

/* Upkeep of a system that lives on; disabled, not masked, in what we build. */
static const char *const timer_drops[] = {
    "etc/systemd/system/timers.target.wants/apt-daily*.timer", "etc/systemd/system/timers.target.wants/dpkg-db-backup.timer",
    "etc/systemd/system/timers.target.wants/fstrim.timer", "etc/systemd/system/timers.target.wants/e2scrub_all.timer",
    "etc/systemd/system/multi-user.target.wants/e2scrub_reap.service",
    "etc/systemd/system/default.target.wants/e2scrub_reap.service", NULL};

static const char *const key_drops[] = {"root/.ssh/authorized_keys*", "home/*/.ssh/authorized_keys*", NULL};

/* Services that never start. */
static const char *const masked[] = {
    "debug-shell.service", "emergency.service", "rescue.service", "console-shell.service", "systemd-firstboot.service",
    "systemd-homed-firstboot.service", "ctrl-alt-del.target",
    /* Questions for passwords, which would be asked on the console. */
    "systemd-ask-password-console.path", "systemd-ask-password-console.service", "systemd-ask-password-wall.path",
    "systemd-ask-password-wall.service",
    /* What adds to the system from disks and images. */
    "systemd-sysext.service", "systemd-confext.service", "systemd-portabled.service",
    /* Agents that do what the host says. */
    "qemu-guest-agent.service", "open-vm-tools.service", "vgauth.service", "spice-vdagentd.service",
    "spice-vdagentd.socket", "walinuxagent.service", "waagent.service", "google-guest-agent.service",
    "google-startup-scripts.service", "hv-kvp-daemon.service", "hv-vss-daemon.service", "hv-fcopy-daemon.service", NULL};
static const char *const masked_gettys[] = {"getty@.service", "serial-getty@.service", "console-getty.service",
                                            "container-getty@.service", "autovt@.service", NULL};
static const char *const masked_generators[] = {
    "systemd-gpt-auto-generator",         /* mounts what carries the right partition type */
    "systemd-hibernate-resume-generator", /* a memory image of the host's choice */
    "systemd-ssh-generator",              /* sshd on vsock */
    "systemd-debug-generator",            /* systemd.debug_shell, systemd.mask */
    "systemd-run-generator",              /* systemd.run */
    NULL};

static gboolean matches(const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++) {
        /* Nearly all differ before the first wildcard. */
        if (strncmp(*patterns, path, strcspn(*patterns, "*?[")) == 0 && fnmatch(*patterns, path, FNM_PATHNAME) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Whether @path or a folder that it lies in matches. */
static gboolean matches_within(const char *const *patterns, const char *path)
{
    g_autofree gchar *part = g_strdup(path);

    for (;;) {
        gchar *slash;

        if (matches(patterns, part))
            return TRUE;
        slash = strrchr(part, '/');
        if (!slash)
            return FALSE;
        *slash = '\0';
    }
}

static gboolean lies_in(const char *const *folders, const char *path)
{
    for (; *folders; folders++) {
        gsize length = strlen(*folders);

        if (!strncmp(path, *folders, length) && path[length] == '/')
            return TRUE;
    }
    return FALSE;
}

/* Units that we mask: neither themselves nor links of theirs nor drop-ins may come from the tree. */
static gboolean is_masked(const char *path)
{
    const char *name = strrchr(path, '/');

    if (g_str_has_prefix(path, "etc/systemd/system/"))
        return name && g_strv_contains(masked, name + 1);
    return g_str_has_prefix(path, "etc/systemd/system-generators/") && name && g_strv_contains(masked_generators, name + 1);
}

StorageClean *storage_clean_new(const StorageCleanOptions *options)
{
    StorageClean *clean = g_new0(StorageClean, 1);

    clean->hostname = g_strdup(options->hostname);
    clean->keys = g_strdup(options->keys);
    clean->sources = g_strdup(options->sources);
    clean->agent = options->agent ? g_bytes_ref(options->agent) : NULL;
    clean->console_login = options->console_login;
    clean->imported = options->imported;
    return clean;
}

void storage_clean_free(StorageClean *clean)
{
    if (!clean)
        return;
    g_free(clean->hostname);
    g_free(clean->keys);
    g_free(clean->sources);
    g_clear_pointer(&clean->agent, g_bytes_unref);
    g_free(clean);
}

static void learn(StorageClean *clean, const char *path)
{
    static const char *const networks[] = {"etc/netplan/*.yaml", "etc/systemd/network/*.network",
                                           "run/systemd/network/*.network", "etc/NetworkManager/system-connections/*",
                                           "etc/network/interfaces.d/*", NULL};
    /* Without merged /usr the folder is /lib. */
    const char *usr = g_str_has_prefix(path, "usr/") ? path + 4 : path;

    clean->systemd |= !strcmp(usr, "lib/systemd/systemd");
    clean->networkd |= !strcmp(usr, "lib/systemd/systemd-networkd");
    clean->resolved |= !strcmp(usr, "lib/systemd/systemd-resolved");
    clean->sshd |= !strcmp(usr, "sbin/sshd") || !strcmp(usr, "bin/sshd");
    clean->dbus |= g_str_has_prefix(path, "var/lib/dbus");
    clean->other_network |= matches(networks, path);
}

StorageCleanVerdict storage_clean_judge(StorageClean *clean, const StorageEntry *entry, GError **error)
{
    static const char *const passwords[] = {"etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", NULL};
    const char *path = entry->path;
    guint32 type = entry->hard_link ? S_IFREG : entry->mode & S_IFMT;

    if (g_strv_contains(passwords, path)) {
        if (type == S_IFREG && !entry->hard_link)
            return STORAGE_CLEAN_REWRITE;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "'%s' is not a regular file of its own: this tree cannot be cleaned of passwords", path);
        return STORAGE_CLEAN_REFUSE;
    }
    /* Device nodes come from devtmpfs; any other one is a way around permissions. */
    if (type == S_IFCHR || type == S_IFBLK || type == S_IFSOCK)
        return STORAGE_CLEAN_DROP;
    if (matches_within(dropped, path) || is_masked(path) || (type != S_IFDIR && lies_in(emptied, path)))
        return STORAGE_CLEAN_DROP;
    if (!clean->console_login && matches_within(getty_drops, path))
        return STORAGE_CLEAN_DROP;
    if ((clean->imported || clean->keys) && matches_within(key_drops, path) &&
        (clean->imported || g_str_has_prefix(path, "root/")))
        return STORAGE_CLEAN_DROP;
    if (!clean->imported && matches(timer_drops, path))
        return STORAGE_CLEAN_DROP;
    if (clean->agent && matches_within(agent_drops, path))
        return STORAGE_CLEAN_DROP;
    if (clean->sources && matches_within(source_drops, path))
        return STORAGE_CLEAN_DROP;
    /* A built tree has the name and the name servers of the machine that built it. */
    if ((!strcmp(path, "etc/hostname") || !strcmp(path, "etc/hosts")) && (clean->hostname || !clean->imported))
        return STORAGE_CLEAN_DROP;
    if (!strcmp(path, "etc/resolv.conf") && !clean->imported)
        return STORAGE_CLEAN_DROP;
    clean->had_hostname |= !strcmp(path, "etc/hostname");
    learn(clean, path);
    return STORAGE_CLEAN_KEEP;
}

static void addition_free(gpointer data)
{
    StorageAddition *addition = data;

    g_free(addition->path);
    g_free(addition->text);
    g_clear_pointer(&addition->bytes, g_bytes_unref);
    g_free(addition->target);
    g_free(addition);
}

static void add_file(GPtrArray *list, const char *path, guint32 mode, const char *text)
{
    StorageAddition *addition = g_new0(StorageAddition, 1);

    addition->path = g_strdup(path);
    addition->mode = S_IFREG | mode;
    addition->text = g_strdup(text);
    g_ptr_array_add(list, addition);
}

static StorageAddition *add_link(GPtrArray *list, const char *folder, const char *name, const char *target)
{
    StorageAddition *addition = g_new0(StorageAddition, 1);

    addition->path = g_strconcat(folder, name, NULL);
    addition->mode = S_IFLNK | 0777;
    addition->target = g_strdup(target);
    g_ptr_array_add(list, addition);
    return addition;
}

static void add_folder(GPtrArray *list, const char *path, guint32 mode)
{
    StorageAddition *addition = g_new0(StorageAddition, 1);

    addition->path = g_strdup(path);
    addition->mode = S_IFDIR | mode;
    addition->unless_present = TRUE;
    g_ptr_array_add(list, addition);
}

static void enable(GPtrArray *list, const char *target, const char *unit)
{
    g_autofree gchar *folder = g_strdup_printf("etc/systemd/system/%s.wants/", target);
    g_autofree gchar *file = g_strconcat("/usr/lib/systemd/system/", unit, NULL);

    add_link(list, folder, unit, file)->unless_present = TRUE;
}

static void add_folders(GPtrArray *list)
{
    /* Mount points and folders that nothing works without. */
    static const struct {
        const char *path;
        guint32 mode;
    } folders[] = {{"dev", 0755}, {"proc", 0555}, {"sys", 0555}, {"run", 0755}, {"tmp", 01777}, {"var/tmp", 01777},
                   {"boot", 0755}, {"boot/efi", 0700}, {"root", 0700}};

    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++)
        add_folder(list, folders[i].path, folders[i].mode);
}

static void add_identity(const StorageClean *clean, GPtrArray *list)
{
    const char *name = clean->hostname ? clean->hostname : "localhost";
    g_autofree gchar *line = g_strconcat(name, "\n", NULL);
    g_autofree gchar *own = strcmp(name, "localhost") ? g_strdup_printf("127.0.1.1 %s\n", name) : g_strdup("");
    g_autofree gchar *hosts = g_strdup_printf("127.0.0.1 localhost\n%s\n::1 localhost ip6-localhost ip6-loopback\n"
                                              "ff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n", own);

    /* Empty, not absent: systemd makes one for this boot and takes this for no first boot. */
    add_file(list, "etc/machine-id", 0444, "");
    if (clean->dbus)
        add_link(list, "var/lib/dbus/", "machine-id", "/etc/machine-id");
    if (clean->hostname || !clean->imported || !clean->had_hostname) {
        add_file(list, "etc/hostname", 0644, line);
        if (clean->hostname || !clean->imported)
            add_file(list, "etc/hosts", 0644, hosts);
    }
    if (clean->sources)
        add_file(list, "etc/apt/sources.list", 0644, clean->sources);
    add_file(list, "etc/fstab", 0644, "# The root file system is mounted by the initrd, and nothing else is.\n");
}

static void add_no_logins(const StorageClean *clean, GPtrArray *list)
{
    static const char system[] = "etc/systemd/system/", generators[] = "etc/systemd/system-generators/";

    for (const char *const *unit = masked; *unit; unit++)
        add_link(list, system, *unit, "/dev/null");
    for (const char *const *name = masked_generators; *name; name++)
        add_link(list, generators, *name, "/dev/null");
    for (const char *const *unit = masked_gettys; *unit && !clean->console_login; unit++)
        add_link(list, system, *unit, "/dev/null");
    if (!clean->console_login)
        add_link(list, generators, "systemd-getty-generator", "/dev/null");
    /* A boot that fails ends. */
    add_link(list, system, "emergency.target", "/usr/lib/systemd/system/poweroff.target");
    add_link(list, system, "rescue.target", "/usr/lib/systemd/system/poweroff.target");
    add_file(list, "etc/sysctl.d/99-zz-virt-attest.conf", 0644,
             "# The host can send any key to the console.\nkernel.sysrq = 0\n");
    add_file(list, "etc/cloud/cloud-init.disabled", 0644, "");
    add_file(list, "etc/cloud/ds-identify.cfg", 0644, "policy: disabled\n");
    add_file(list, "etc/cloud/cloud.cfg.d/99-virt-attest.cfg", 0644,
             "# A data source answers with what the host wants.\ndatasource_list: [ None ]\n");
}

static void add_services(const StorageClean *clean, GPtrArray *list)
{
    if (clean->sshd) {
        add_file(list, "etc/ssh/sshd_config.d/00-virt-attest.conf", 0644,
                 "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitEmptyPasswords no\n"
                 "PermitRootLogin prohibit-password\n");
        enable(list, "multi-user.target", "ssh.service");
    }
    if (clean->networkd && !clean->other_network) {
        add_file(list, "etc/systemd/network/99-virt-attest.network", 0644,
                 "# The host answers DHCP: an address and name servers are all that it may say.\n"
                 "[Match]\nDriver=virtio_net\n\n[Network]\nDHCP=yes\nLLMNR=no\nMulticastDNS=no\nLLDP=no\n\n"
                 "[DHCPv4]\nUseHostname=no\nUseDomains=no\nUseTimezone=no\nUseNTP=no\n\n"
                 "[DHCPv6]\nUseHostname=no\nUseDomains=no\nUseNTP=no\n");
        enable(list, "multi-user.target", "systemd-networkd.service");
        enable(list, "sockets.target", "systemd-networkd.socket");
        add_link(list, "etc/systemd/system/", "dbus-org.freedesktop.network1.service",
                 "/usr/lib/systemd/system/systemd-networkd.service")->unless_present = TRUE;
    }
    if (clean->resolved)
        add_file(list, "etc/systemd/resolved.conf.d/99-virt-attest.conf", 0644,
                 "[Resolve]\nLLMNR=no\nMulticastDNS=no\n");
    if (clean->resolved && !clean->imported) {
        add_link(list, "etc/", "resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
        enable(list, "sysinit.target", "systemd-resolved.service");
        add_link(list, "etc/systemd/system/", "dbus-org.freedesktop.resolve1.service",
                 "/usr/lib/systemd/system/systemd-resolved.service")->unless_present = TRUE;
    }
    /* Loads when the processor offers the device; a line in modules-load.d would fail at every boot without it. */
    add_file(list, "etc/udev/rules.d/60-virt-attest-sev-guest.rules", 0644,
             "ACTION==\"add\", SUBSYSTEM==\"platform\", KERNEL==\"sev-guest\", RUN{builtin}+=\"kmod load sev-guest\"\n");
    if (clean->keys && *clean->keys) {
        add_folder(list, "root/.ssh", 0700);
        add_file(list, "root/.ssh/authorized_keys", 0600, clean->keys);
    }
}

/*
 * The service runs only while the host has given the domain the channel, so that a guest without one starts clean. It
 * needs neither network nor anything to write but what is below /sys.
 */
static void add_agent(const StorageClean *clean, GPtrArray *list)
{
    StorageAddition *addition = g_new0(StorageAddition, 1);

    addition->path = g_strdup(STORAGE_CLEAN_AGENT_PATH);
    addition->mode = S_IFREG | 0755;
    addition->bytes = g_bytes_ref(clean->agent);
    g_ptr_array_add(list, addition);
    add_file(list, AGENT_UNIT, 0644, AGENT_UNIT_TEXT);
    add_file(list, AGENT_RULE, 0644,
             "SUBSYSTEM==\"virtio-ports\", ATTR{name}==\"org.virt-attest.report.0\", TAG+=\"systemd\", "
             "ENV{SYSTEMD_WANTS}+=\"virt-attest-report.service\"\n");
}

GPtrArray *storage_clean_additions(StorageClean *clean, GError **error)
{
    GPtrArray *list;

    if (!clean->systemd) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "there is no systemd in this root file system: it cannot be made to start without logins on the console");
        return NULL;
    }
    list = g_ptr_array_new_with_free_func(addition_free);
    add_folders(list);
    add_identity(clean, list);
    add_no_logins(clean, list);
    add_services(clean, list);
    if (clean->agent)
        add_agent(clean, list);
    return list;
}
