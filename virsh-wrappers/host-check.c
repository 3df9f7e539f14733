/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/host-check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "virsh-wrappers/firmware-list.h"

const char *cmd_host_result_name(CmdHostResult result)
{
    static const char *const names[] = {"pass", "fail", "warn", "skip"};
    return names[result];
}

void cmd_host_row_free(CmdHostRow *row)
{
    if (!row) {
        return;
    }
    g_free(row->check);
    g_free(row->why);
    g_free(row->todo);
    g_free(row);
}

void cmd_host_add(GPtrArray *rows, const char *check, CmdHostResult result, gchar *why, const char *todo)
{
    CmdHostRow *row = g_new0(CmdHostRow, 1);
    row->check = g_strdup(check);
    row->result = result;
    row->why = why;
    row->todo = result == CMD_HOST_PASS ? NULL : g_strdup(todo);
    g_ptr_array_add(rows, row);
}

gboolean cmd_host_rows_good(const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        if (((const CmdHostRow *)g_ptr_array_index(rows, i))->result == CMD_HOST_FAIL) {
            return FALSE;
        }
    }
    return TRUE;
}

static gchar *read_text(const char *root, const char *path)
{
    g_autofree gchar *full = g_strconcat(root, path, NULL);
    gchar *text = NULL;
    return g_file_get_contents(full, &text, NULL, NULL) ? text : NULL;
}

gchar *cmd_host_read_line(const char *root, const char *path)
{
    gchar *text = read_text(root, path);
    if (text) {
        text[strcspn(text, "\n")] = '\0';
    }
    return text;
}

/* ---- processor and kernel ---- */

static void check_cpu(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *text = read_text(probe->root, "/proc/cpuinfo");
    g_autoptr(GRegex) flag = g_regex_new("^flags\\s*:.*\\bsev_snp\\b", G_REGEX_MULTILINE, 0, NULL);
    const char *todo =
        "use a machine with AMD EPYC 7003 or later, and enable SNP in its firmware settings (SMEE, SEV-SNP, RMP table)";
    if (text && g_regex_match(flag, text, 0, NULL)) {
        cmd_host_add(rows, "cpu-sev-snp", CMD_HOST_PASS, g_strdup("the processor offers sev_snp"), NULL);
    } else if (text && strstr(text, "AuthenticAMD")) {
        cmd_host_add(rows, "cpu-sev-snp", CMD_HOST_FAIL,
                     g_strdup("this AMD processor does not offer sev_snp (/proc/cpuinfo)"), todo);
    } else {
        cmd_host_add(rows, "cpu-sev-snp", CMD_HOST_FAIL,
                     g_strdup(text ? "this is not an AMD processor" : "/proc/cpuinfo cannot be read"), todo);
    }
}

static gboolean is_yes(const char *value)
{
    return value && (g_str_equal(value, "Y") || g_str_equal(value, "1"));
}

static void check_parameter(GPtrArray *rows, const CmdHostProbe *probe, const char *name)
{
    g_autofree gchar *check = g_strconcat("kvm-amd-", name, NULL);
    g_autofree gchar *path = g_strconcat("/sys/module/kvm_amd/parameters/", name, NULL);
    g_autofree gchar *value = cmd_host_read_line(probe->root, path);
    g_autofree gchar *todo = g_strdup_printf(
        "load the module with it: echo 'options kvm_amd %s=1' > /etc/modprobe.d/kvm-amd.conf, and "
        "see the kernel's log for why it was turned off",
        name);
    if (is_yes(value)) {
        cmd_host_add(rows, check, CMD_HOST_PASS, g_strdup_printf("module parameter %s is on", name), NULL);
    } else if (value) {
        cmd_host_add(rows, check, CMD_HOST_FAIL, g_strdup_printf("module parameter %s is '%s'", name, value), todo);
    } else {
        cmd_host_add(rows, check, CMD_HOST_FAIL,
                     g_strdup_printf("'%s' does not exist: kvm_amd is not loaded or too old", path),
                     "load the module: modprobe kvm_amd");
    }
}

/* DebugSwap puts another bit into the measured VMSA where KVM sets it by itself: kernels 6.6 to 6.8, SEV-ES. */
static void check_debug_swap(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *value = cmd_host_read_line(probe->root, "/sys/module/kvm_amd/parameters/debug_swap");
    if (is_yes(value)) {
        cmd_host_add(
            rows, "kvm-amd-debug_swap", CMD_HOST_WARN,
            g_strdup(
                "debug_swap is on: some kernels then set SEV feature 0x20 in a guest's VMSA by themselves, and the "
                "measurement differs from the expected one"),
            "load kvm_amd with debug_swap=0, or set guest-features in the configuration");
    } else {
        cmd_host_add(rows, "kvm-amd-debug_swap", CMD_HOST_PASS,
                     g_strdup(value ? "debug_swap is off" : "there is no debug_swap"), NULL);
    }
}

static void check_device(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *path = g_strconcat(probe->root, "/dev/sev", NULL);
    gboolean there = g_file_test(path, G_FILE_TEST_EXISTS);
    cmd_host_add(rows, "dev-sev", there ? CMD_HOST_PASS : CMD_HOST_FAIL,
                 g_strdup(there ? "/dev/sev is there" : "/dev/sev does not exist"),
                 "load the module ccp and see the kernel's log for 'SEV': the platform did not initialise");
}

static void check_iommu(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *path = g_strconcat(probe->root, "/sys/class/iommu", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *first = dir ? g_dir_read_name(dir) : NULL;
    cmd_host_add(
        rows, "iommu", first ? CMD_HOST_PASS : CMD_HOST_FAIL,
        first ? g_strdup_printf("IOMMU %s is active", first)
              : g_strdup("no IOMMU is active (/sys/class/iommu is empty)"),
        "enable the IOMMU in the machine's firmware settings and boot without amd_iommu=off or iommu=pt: SNP needs it");
}

static void check_kernel(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *release = cmd_host_read_line(probe->root, "/proc/sys/kernel/osrelease");
    g_autofree gchar *snp = cmd_host_read_line(probe->root, "/sys/module/kvm_amd/parameters/sev_snp");
    unsigned int major = 0, minor = 0;
    if (!release || sscanf(release, "%u.%u", &major, &minor) != 2) {
        cmd_host_add(rows, "kernel", CMD_HOST_WARN, g_strdup("the kernel's version cannot be read"),
                     "look at uname -r: SNP hosts need 6.11");
    } else if (major > 6 || (major == 6 && minor >= 11)) {
        cmd_host_add(rows, "kernel", CMD_HOST_PASS, g_strdup_printf("kernel %s can host SNP guests", release), NULL);
    } else if (snp) {
        cmd_host_add(
            rows, "kernel", CMD_HOST_WARN,
            g_strdup_printf("kernel %s is older than 6.11 and hosts SNP guests by its distributor's patches", release),
            "compare one real launch with the expected measurement before relying on it");
    } else {
        cmd_host_add(rows, "kernel", CMD_HOST_FAIL, g_strdup_printf("kernel %s cannot host SNP guests", release),
                     "use kernel 6.11 or later");
    }
}

/* ---- libvirt and QEMU ---- */

static void check_libvirt(GPtrArray *rows, const CmdHostProbe *probe)
{
    unsigned long v = probe->libvirt_version;
    if (v == 0) {
        gboolean asked = probe->caps_problem != NULL;
        cmd_host_add(rows, "libvirt", asked ? CMD_HOST_FAIL : CMD_HOST_SKIP,
                     g_strdup(asked ? probe->caps_problem : "libvirt was not asked"),
                     asked ? "start libvirtd or virtqemud" : NULL);
        return;
    }
    gboolean good = v >= 10005000;
    cmd_host_add(rows, "libvirt", good ? CMD_HOST_PASS : CMD_HOST_FAIL,
                 g_strdup_printf("libvirt %lu.%lu.%lu %s sev-snp", v / 1000000, v / 1000 % 1000, v % 1000,
                                 good ? "knows" : "does not know"),
                 "install libvirt 10.5 or later");
}

static gboolean emulator_has_object(const char *emulator)
{
    const char *argv[] = {emulator, "-object", "help", NULL};
    g_autofree gchar *output = NULL;
    return emulator &&
           g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &output, NULL, NULL,
                        NULL) &&
           output && strstr(output, "sev-snp-guest");
}

static void check_qemu(GPtrArray *rows, const CmdHostProbe *probe)
{
    if (!probe->caps) {
        cmd_host_add(rows, "qemu", CMD_HOST_SKIP, g_strdup("libvirt was not asked which QEMU it uses"), NULL);
        return;
    }
    const char *emulator = probe->caps->emulator ? probe->caps->emulator : "QEMU";
    if (probe->caps->snp || (!*probe->root && emulator_has_object(probe->caps->emulator))) {
        cmd_host_add(rows, "qemu", CMD_HOST_PASS, g_strdup_printf("'%s' has the object sev-snp-guest", emulator), NULL);
    } else if (*probe->root) {
        cmd_host_add(rows, "qemu", CMD_HOST_SKIP, g_strdup_printf("'%s' of another machine cannot be asked", emulator),
                     NULL);
    } else {
        cmd_host_add(rows, "qemu", CMD_HOST_FAIL, g_strdup_printf("'%s' has no object sev-snp-guest", emulator),
                     "install QEMU 9.1 or later");
    }
}

static void check_caps(GPtrArray *rows, const CmdHostProbe *probe)
{
    if (!probe->caps) {
        CmdHostResult result = probe->caps_problem ? CMD_HOST_FAIL : CMD_HOST_SKIP;
        const char *why = probe->caps_problem ? probe->caps_problem : "libvirt was not asked";
        cmd_host_add(rows, "domcapabilities-sev-snp", result, g_strdup(why), "start libvirtd or virtqemud");
        return;
    }
    gboolean snp = probe->caps->snp;
    cmd_host_add(
        rows, "domcapabilities-sev-snp", snp ? CMD_HOST_PASS : CMD_HOST_FAIL,
        g_strdup(snp ? "libvirt offers sev-snp domains" : "libvirt does not offer sev-snp domains on this host"),
        "fix the rows above; libvirt keeps what it found out: restart it and remove "
        "/var/cache/libvirt/qemu/capabilities");
    gboolean sev = probe->caps->sev;
    cmd_host_add(rows, "domcapabilities-sev", sev ? CMD_HOST_PASS : CMD_HOST_WARN,
                 sev ? g_strdup_printf("libvirt offers sev%s domains", probe->caps->sev_es ? " and sev-es" : "")
                     : g_strdup("libvirt does not offer sev domains on this host"),
                 "needed for the older SEV and SEV-ES only, and for cbitpos in composed domains");
}

/* ---- firmware ---- */

static void check_firmware(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autoptr(GPtrArray) list = cmd_firmware_list(probe->root);
    const CmdFirmware *snp = NULL, *verifies = NULL;
    for (guint i = 0; i < list->len; i++) {
        const CmdFirmware *each = g_ptr_array_index(list, i);
        snp = snp ? snp : cmd_firmware_starts_snp(each) ? each : NULL;
        verifies = verifies ? verifies : cmd_firmware_verifies(each) ? each : NULL;
    }
    const char *todo = "install the AmdSev build of OVMF (Debian: ovmf-amdsev)";
    cmd_host_add(rows, "firmware-level-2", snp ? CMD_HOST_PASS : CMD_HOST_FAIL,
                 snp ? g_strdup_printf("'%s' can start sev-snp guests", snp->path)
                     : g_strdup_printf("none of %u firmware files found can start sev-snp guests", list->len), todo);
    cmd_host_add(rows, "firmware-level-3", verifies ? CMD_HOST_PASS : CMD_HOST_FAIL,
                 verifies ? g_strdup_printf("'%s' verifies kernel, initrd and command line", verifies->path)
                          : g_strdup_printf("none of %u firmware files found verifies kernel hashes", list->len), todo);
    for (guint i = 0; i < list->len; i++) {
        const CmdFirmware *each = g_ptr_array_index(list, i);
        if (each->problem) {
            cmd_host_add(rows, "firmware-file", CMD_HOST_WARN, g_strdup(each->problem), "install the package again");
        } else if (cmd_firmware_takes_hashes(each) && !cmd_firmware_verifies(each)) {
            cmd_host_add(rows, "firmware-file", CMD_HOST_WARN,
                         g_strdup_printf("'%s' takes the kernel hash table but is not known to verify it (verifier "
                                         "%s): level 3 on it is void",
                                         each->path, measure_verifier_name(each->inputs->build->verifier)),
                         "do not use it with kernelHashes; see virt-attest firmware-check");
        }
    }
}

/* ---- confinement and folders ---- */

static void check_apparmor(GPtrArray *rows, const CmdHostProbe *probe)
{
    static const char *const profiles[] = {"/etc/apparmor.d/usr.sbin.libvirtd", "/etc/apparmor.d/usr.sbin.virtqemud"};
    g_autofree gchar *enabled = cmd_host_read_line(probe->root, "/sys/module/apparmor/parameters/enabled");
    if (!is_yes(enabled)) {
        cmd_host_add(rows, "apparmor", CMD_HOST_PASS, g_strdup("AppArmor is not active"), NULL);
        return;
    }
    guint found = 0, closed = 0;
    for (guint i = 0; i < G_N_ELEMENTS(profiles); i++) {
        g_autofree gchar *text = read_text(probe->root, profiles[i]);
        found += text != NULL;
        closed += text && !strstr(text, "/etc/libvirt/hooks/**");
    }
    if (closed > 0) {
        cmd_host_add(
            rows, "apparmor", CMD_HOST_FAIL,
            g_strdup("the daemon's AppArmor profile does not let it run /etc/libvirt/hooks/**"),
            "add '/etc/libvirt/hooks/** rmix,' to the daemon's file in /etc/apparmor.d/local and reload the profile");
    } else {
        cmd_host_add(rows, "apparmor", CMD_HOST_PASS,
                     g_strdup(found ? "the daemon's AppArmor profile lets it run hooks"
                                    : "AppArmor does not confine the daemon"),
                     NULL);
    }
}

/* @secret: nobody else may even look. Passing through to the boot folder is something else. */
static void check_mode(GPtrArray *rows, const CmdHostProbe *probe, const char *check, const char *path, gboolean secret,
                       CmdHostResult missing, const char *missing_todo)
{
    g_autofree gchar *full = g_strconcat(probe->root, path, NULL);
    struct stat status, root_status;
    if (lstat(full, &status) != 0) {
        cmd_host_add(rows, check, missing, g_strdup_printf("'%s' does not exist", path), missing_todo);
        return;
    }
    /* A folder that stands for "/" may belong to an ordinary user: then so may what is in it. */
    uid_t owner = 0;
    if (*probe->root && stat(probe->root, &root_status) == 0) {
        owner = root_status.st_uid;
    }
    unsigned int mode = status.st_mode & 07777;
    unsigned int forbidden = secret ? 0066 : 0022;
    g_autofree gchar *todo = g_strdup_printf("chown root: '%s'; chmod %s '%s'", path, secret ? "go-rw" : "go-w", path);
    if (S_ISLNK(status.st_mode)) {
        cmd_host_add(rows, check, CMD_HOST_FAIL, g_strdup_printf("'%s' is a symbolic link", path),
                     "put the real file or folder there");
    } else if (status.st_uid != owner) {
        cmd_host_add(rows, check, CMD_HOST_FAIL,
                     g_strdup_printf("'%s' belongs to user %u, not to root", path, status.st_uid), todo);
    } else if (mode & forbidden) {
        cmd_host_add(rows, check, CMD_HOST_FAIL, g_strdup_printf("'%s' has mode %04o: others can %s it", path, mode,
                                                                 mode & 0022 ? "change" : "read"), todo);
    } else {
        cmd_host_add(rows, check, CMD_HOST_PASS, g_strdup_printf("'%s' has mode %04o", path, mode), NULL);
    }
}

/* TRUE when @name in @folder, or the folder in which it would be made, lies on a file system that takes no writes. */
static gboolean is_read_only(const char *folder, const char *name)
{
    struct statvfs status;
    g_autofree gchar *at = g_build_filename(folder, name, NULL);
    while (statvfs(at, &status) != 0 && errno == ENOENT && g_path_is_absolute(at) && !g_str_equal(at, "/")) {
        gchar *parent = g_path_get_dirname(at);
        g_free(at);
        at = parent;
    }
    return statvfs(at, &status) == 0 && (status.f_flag & ST_RDONLY);
}

static void check_state(GPtrArray *rows, const CmdHostProbe *probe)
{
    const char *path = probe->config->state_directory;
    /* The files of another machine may well be mounted read-only here. */
    if (!*probe->root && (is_read_only(path, "references") || is_read_only(path, "records"))) {
        cmd_host_add(rows, "state-folder", CMD_HOST_FAIL,
                     g_strdup_printf("'%s' is on a read-only file system: nothing can be pinned or recorded", path),
                     "mount it for writing, or set state-directory in the configuration");
        return;
    }
    check_mode(rows, probe, "state-folder", path, TRUE, CMD_HOST_WARN,
               "nothing is pinned yet: 'virt-attest define' makes it");
}

GPtrArray *cmd_host_check(const CmdHostProbe *probe)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)cmd_host_row_free);
    check_cpu(rows, probe);
    check_parameter(rows, probe, "sev");
    check_parameter(rows, probe, "sev_es");
    check_parameter(rows, probe, "sev_snp");
    check_debug_swap(rows, probe);
    check_device(rows, probe);
    check_iommu(rows, probe);
    check_kernel(rows, probe);
    check_libvirt(rows, probe);
    check_qemu(rows, probe);
    check_caps(rows, probe);
    check_firmware(rows, probe);
    cmd_host_check_hook(rows, probe);
    check_apparmor(rows, probe);
    check_state(rows, probe);
    if (probe->config_problem) {
        cmd_host_add(rows, "config-file", CMD_HOST_FAIL,
                     g_strdup_printf("%s; the other rows assume the defaults", probe->config_problem),
                     "correct the file: virt-attest.conf(5) has every group and key");
    } else {
        check_mode(rows, probe, "config-file", probe->config->path, FALSE, CMD_HOST_PASS, NULL);
    }
    return rows;
}
