/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words of others that lead to a shell, or to a program or data of somebody's choice.
 *
 * Several programs read one command line, and they cut it differently: the kernel knows double quotes, systemd both
 * kinds in any place, the shell scripts of initramfs-tools and dracut none. Here every blank ends a word and quotes are
 * dropped, which finds whatever any of them finds. A word that only looks like one of these, inside somebody's
 * quoted text, is found too: a false alarm can be reworded, an overlooked shell cannot be taken back.
 *
 * "-" and "_" are one letter in names, for the kernel and for systemd. "--" ends the kernel's own words, but systemd
 * reads on, so do we. The prefix "rd." restricts a word of systemd to an initrd; it counts the same.
 */
#include <string.h>

#include "guest/words-private.h"
#include "guest/words.h"

/* Longer words have none of the names, and no value that makes one harmless. */
#define WORD_MAX 256

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One word by itself, no value: how systemd and sysvinit are asked for run levels (2 to 5 are ordinary ones). */
static const char *const bare_words[] = {
    "single",    "s", "S", "1", "-s", /* rescue.target: a root shell on the console */
    "emergency", "-b",                /* emergency.target: the same with less around it */
    "rescue",                         /* rescue.target */
    "recovery",                       /* Ubuntu's friendly-recovery: a menu with a root shell */
};

/* Whatever value they have. A "*" at the end stands for any rest of the name. */
static const char *const forbidden[] = {
    /* Linux, Documentation/admin-guide/kernel-parameters.txt */
    "init",                 /* first program of the root file system */
    "rdinit",               /* first program of the initrd */
    "noinitrd",             /* passes the initrd by */
    "initrdmem",            /* an initrd out of memory that nobody measured */
    "bootconfig",           /* more words, out of a trailer of the initrd */
    "resume*",              /* continues a system image from a disk */
    "kgdb*", "ekgdb*",      /* kernel debugger on a serial line: kgdboc, kgdboe, kgdbwait, kgdbts, ekgdboc */
    "sysrq_always_enabled", /* the console's keys may kill, remount, enter the debugger */
    "nfsroot", "nfsaddrs",  /* root from the network */
    /* The kernel hands words it does not know to the first program as its environment. */
    "LD_*", "SYSTEMD_*", "GCONV_PATH", "PATH", "ENV", "BASH_ENV", "CREDENTIALS_DIRECTORY",
    "ENCRYPTED_CREDENTIALS_DIRECTORY",
    /* systemd, kernel-command-line(7), words outside its own name space */
    "mount.usr*", "usrhash", /* another file system on /usr */
    /* dracut, dracut.cmdline(7), old spellings too */
    "rd.break", "rdbreak", "rdinitdebug", "rdshell",
    "rd.cmdline",            /* =ask: words from the console */
    "rd.rescue",
    "rd.live.*", "rd.nfs.*", "rd.overlay*", "rd.img", "netroot", "inst.*",
    /* initramfs-tools(7), live-boot */
    "break",                 /* shell at a named step */
    "boot",                  /* another script that finds the root: nfs, live */
    "live_*",                /* live-config: hooks from a medium or the network */
    /* cloud-init: programs and accounts from a data source that the host answers */
    "ds", "ci.*", "cc:", "cloud_config_url", "network_config", "ignition.*", "coreos.*", "flatcar.*",
};

/*
 * sysctl.NAME=VALUE sets a sysctl before the first program starts (sysctl/NAME and "/" for "." are other spellings).
 * These name a program that the kernel then runs, or open a way in.
 */
static const char *const forbidden_sysctls[] = {
    "kernel.core_pattern", "kernel.modprobe", "kernel.hotplug", "kernel.poweroff_cmd", "kernel.usermodehelper.*",
    "fs.binfmt_misc.*",
};

/* Harmless when they switch something off, else not. */
static const char *const only_off[] = {
    "rd.shell",   /* dracut: shell when the boot fails */
    "cloud_init", /* cloud-init=disabled */
};

/*
 * systemd.NAME: a list of what is harmless instead, since each release of systemd brings new ones. Not on it, and why:
 *
 *   unit, wants, run, run_success_action, ...   start what the command line says
 *   debug_shell, default_debug_tty, crash_shell, break, confirm_spawn   shells and questions on a terminal
 *   setenv                     environment of every service: LD_PRELOAD
 *   set_credential, set_credential_binary   units, accounts, keys (ssh.authorized_keys.root, systemd.extra-unit.*)
 *   import_credentials         the same from SMBIOS and fw_cfg, which the host fills and nobody measures
 *   early_core_pattern         a program, by way of kernel.core_pattern
 *   mount_extra, swap_extra, verity*, pull   other file systems over parts of the root, memory to a disk
 *   firstboot, condition_first_boot   questions on the console, root's password among them
 *   mask                       takes away what may be a protection; see below for consoles
 *   random_seed                entropy that whoever writes the command line knows
 *   ssh_auto, ssh_listen       an SSH server on a socket of the host
 */
static const char *const systemd_harmless[] = {
    "clock_usec", "condition_needs_update", "cpu_affinity", "crash_action", "crash_chvt", "crash_reboot",
    "default_device_timeout_sec", "default_standard_error", "default_standard_output", "default_timeout_start_sec",
    "dump_core", "getty_auto", "gpt_auto", "hostname", "journald.*", "legacy_systemd_cgroup_controller", "log_color",
    "log_level", "log_location", "log_ratelimit_kmsg", "log_target", "log_tid", "log_time", "machine_id",
    "reload_limit_burst", "reload_limit_interval_sec", "restore_state", "service_watchdogs", "show_status",
    "status_unit_format", "swap", "tpm2_wait", "unified_cgroup_hierarchy", "volatile", "watchdog_*", "zram",
};

static const char *const systemd_only_off[] = {
    "condition_first_boot", "confirm_spawn", "crash_shell", "debug_shell", "firstboot", "import_credentials",
    "ssh_auto",
};

/* Units whose absence only closes a way in. */
static const char *const maskable[] = {
    "autovt@*", "console-getty.service", "container-getty@*", "ctrl-alt-del.target", "debug-shell.service",
    "emergency.service", "emergency.target", "getty.target", "getty@*", "rescue.service", "rescue.target",
    "serial-getty@*", "systemd-firstboot.service",
};

static bool listed(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(list[i]);

        if (list[i][size - 1] == '*' ? !strncmp(name, list[i], size - 1) : !strcmp(name, list[i]))
            return true;
    }
    return false;
}

#define LISTED(name, list) listed(name, list, COUNT(list))

/* @value: NULL without "=". */
static bool is_off(const char *value)
{
    static const char *const offs[] = {"0", "no", "n", "false", "f", "off", "disabled"};

    return value && LISTED(value, offs);
}

static bool systemd_leads(const char *name, const char *value)
{
    if (LISTED(name, systemd_harmless))
        return false;
    if (LISTED(name, systemd_only_off))
        return !is_off(value);
    if (!strcmp(name, "mask"))
        return !value || !LISTED(value, maskable);
    return true;
}

/* @name with "_" for "-", changed in the course. */
static bool leads(char *name, const char *value)
{
    static const char *const quiet_emergency[] = {"reboot", "poweroff", "halt"};
    /* The firmware's loader tells the kernel by this word that it has loaded the initrd that QEMU holds. */
    static const char *const loader_initrd[] = {"initrd"};
    const char *rest = name;

    if (LISTED(name, forbidden))
        return true;
    if (LISTED(name, only_off))
        return !is_off(value);
    if (!strcmp(name, "initrd"))
        return !value || !LISTED(value, loader_initrd);
    /* dracut: what to do instead of a shell; systemd: a shell. */
    if (!strcmp(name, "rd.emergency"))
        return !value || !LISTED(value, quiet_emergency);
    if (!strncmp(name, "sysctl", 6) && (name[6] == '.' || name[6] == '/')) {
        for (char *p = name + 6; *p; p++) {
            if (*p == '/')
                *p = '.';
        }
        if (!strcmp(name + 7, "kernel.sysrq"))
            return !value || strcmp(value, "0") != 0;
        return LISTED(name + 7, forbidden_sysctls);
    }
    if (!strncmp(rest, "rd.", 3))
        rest += 3;
    if (!strncmp(rest, "systemd.", 8))
        return systemd_leads(rest + 8, value);
    return false;
}

static bool word_leads(GuestSpan word)
{
    char text[WORD_MAX], *value;
    size_t n = 0;

    for (size_t i = 0; i < word.size && n < sizeof(text) - 1; i++) {
        if (word.text[i] != '"' && word.text[i] != '\'')
            text[n++] = word.text[i];
    }
    text[n] = '\0';
    for (size_t i = 0; i < COUNT(bare_words); i++) {
        if (!strcmp(text, bare_words[i]))
            return true;
    }
    value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    for (char *p = text; *p; p++) {
        if (*p == '-')
            *p = '_';
    }
    return leads(text, value);
}

int guest_words_shell(const char *cmdline, char *word)
{
    const char *p = cmdline;

    word[0] = '\0';
    while (*p) {
        GuestSpan span = {p, 0};

        while (*p && !guest_is_blank(*p))
            p++;
        span.size = (size_t)(p - span.text);
        if (word_leads(span)) {
            guest_span_print(span, word, GUEST_MESSAGE_MAX);
            return 1;
        }
        if (*p)
            p++;
    }
    return 0;
}
