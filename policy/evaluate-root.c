/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Level 4. The measured command line has a root hash; the initrd that was measured with it is one that opens the root
 * file system with this hash or powers off; nothing on the command line leads around that; and the disks are there, so
 * that the guest can start at all. Whatever a disk says is not looked at: the guest does, against the hash.
 */
#include "policy/evaluate-private.h"

#include <string.h>

#include "policy/initrd.h"
#include "policy/kernel.h"

#define BUILD_ADVICE "build one with 'virt-attest initrd --level 4'"

static gboolean has_word(const char *cmdline, const char *word)
{
    for (const char *at = strstr(cmdline, word); at; at = strstr(at + 1, word)) {
        if (at == cmdline || at[-1] == ' ' || at[-1] == '\t' || at[-1] == '"')
            return TRUE;
    }
    return FALSE;
}

/* Fails every rule that has no words to look at with a note, after the one that says why. */
static void note_no_words(PolicyEvaluation *evaluation)
{
    static const char *const rules[] = {"root-disks", "writable-layer"};

    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++)
        policy_evaluation_add(evaluation, rules[i], 4, POLICY_NOTE,
                              "not looked at, since the command line names no verified root file system");
}

static void check_words(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    g_autofree GuestWords *words = g_new0(GuestWords, 1);
    const char *cmdline = domain->cmdline ? domain->cmdline : "";
    char message[GUEST_MESSAGE_MAX] = "";
    const char *rule = "guest-words";
    gboolean valid = domain->kernel && guest_words_present(cmdline) && !guest_words_parse(cmdline, words, message);

    if (!domain->kernel)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "there is no measured command line that could name a verified root file system");
    else if (!guest_words_present(cmdline))
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "the command line says nothing of the root file system (virt_attest.level=4, "
            "virt_attest.root=…), so what is mounted is the host's to change: 'virt-attest build' and "
            "'virt-attest define --volume' compose it");
    else if (!valid)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "the guest would power off at its command line: %s: put this word right", message);
    else if (words->level != 4)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "the command line asks for level %u, at which the guest mounts its root file system "
                              "unverified: seal the volume and use virt_attest.level=4",
                              words->level);
    else
        policy_evaluation_add(evaluation, rule, 4, POLICY_PASS,
                              "the measured command line tells the guest to verify its root file system");
    if (valid)
        evaluation->words = g_steal_pointer(&words);
}

static void check_root_hash(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    const GuestWords *words = evaluation->words;
    const char *rule = "root-hash";

    if (words && words->level == 4 && words->has_verity) {
        g_autofree gchar *hash = measure_hex_encode(words->root_hash, words->hash_size);

        policy_evaluation_add(evaluation, rule, 4, POLICY_PASS,
                              "the measured command line has the dm-verity root hash %s", hash);
    } else if (words || !domain->cmdline || !has_word(domain->cmdline, "virt_attest.roothash=")) {
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "the command line has no dm-verity root hash: seal the volume ('virt-attest vol-seal') and "
            "define the domain with it");
    } else {
        policy_evaluation_add(evaluation, rule, 4, POLICY_NOTE,
                              "not looked at, since the words beside it on the command line are wrong");
    }
}

static void check_shell(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    char word[GUEST_MESSAGE_MAX] = "";
    const char *rule = "boot-shell";

    if (!domain->kernel)
        policy_evaluation_add(evaluation, rule, 4, POLICY_NOTE, "not looked at, since no command line is measured");
    else if (guest_words_shell(domain->cmdline ? domain->cmdline : "", word))
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "the word '%s' of the command line leads to a shell, or to a program of somebody's choice: "
            "remove it",
            word);
    else
        policy_evaluation_add(evaluation, rule, 4, POLICY_PASS, "nothing on the command line leads to a shell");
}

static void check_initrd(PolicyEvaluation *evaluation, const XmlDomain *domain, const PolicyEvaluateOptions *options)
{
    const MeasureInputs *inputs = evaluation->inputs;
    g_autoptr(PolicyInitrd) initrd = NULL;
    g_autofree gchar *release = NULL;
    g_autofree gchar *init = NULL;
    const char *rule = "initrd";

    if (!inputs) {
        policy_evaluation_add(evaluation, rule, 4, POLICY_NOTE,
                              "the initrd was not looked at, since the domain cannot be measured");
        return;
    }
    if (!inputs->initrd) {
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "there is no measured initrd that could verify the root file system: " BUILD_ADVICE);
        return;
    }
    initrd = policy_initrd_judge_file(inputs->initrd, options->config);
    init = measure_hex_encode(initrd->init, sizeof(initrd->init));
    if (!initrd->ours)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "initrd '%s' %s; nobody knows whether it verifies the root file system, and what it does "
                              "when that fails: " BUILD_ADVICE,
                              inputs->initrd->path, initrd->reason);
    else if (!initrd->init_trusted)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL, "initrd '%s' %s", inputs->initrd->path, initrd->reason);
    else if (initrd->level != 4)
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "initrd '%s' is for level %u, so it also starts without a verified root file system: " BUILD_ADVICE,
            inputs->initrd->path, initrd->level);
    else if (inputs->kernel && (release = policy_kernel_file_release(inputs->kernel->path)) &&
             strcmp(release, initrd->kernel))
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "initrd '%s' is for kernel %s, but kernel '%s' is %s, which does not take its modules: " BUILD_ADVICE
            " and the same kernel",
            inputs->initrd->path, initrd->kernel, inputs->kernel->path, release);
    else
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_PASS,
            "initrd '%s' is a virt-attest initrd of level 4 for kernel %s: %u modules, a trusted init "
            "(SHA-256 %s), no shell",
            inputs->initrd->path, initrd->kernel, initrd->modules, init);
}

/* ---- Disks, which the guest finds by their serials ---- */

/* A guest sees no more of a serial than this. */
static gboolean same_serial(const char *a, const char *b)
{
    return !strncmp(a, b, GUEST_SERIAL_MAX);
}

static const XmlDisk *find_disk(const XmlDomain *domain, const char *serial, guint *found)
{
    const XmlDisk *first = NULL;

    *found = 0;
    for (guint i = 0; i < domain->disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(domain->disks, i);

        if (disk->serial && same_serial(disk->serial, serial) && !(*found)++)
            first = disk;
    }
    return first;
}

static const char *disk_name(const XmlDisk *disk)
{
    return disk->target ? disk->target : disk->source ? disk->source : "?";
}

/* Two disks with one serial: the guest refuses to choose, and powers off. */
static const char *duplicate_serial(const XmlDomain *domain)
{
    for (guint i = 0; i < domain->disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(domain->disks, i);
        guint found = 0;

        if (disk->serial && *disk->serial) {
            find_disk(domain, disk->serial, &found);
            if (found > 1)
                return disk->serial;
        }
    }
    return NULL;
}

/* Another disk that writes to the file of this one, or NULL. */
static const XmlDisk *writer_of(const XmlDomain *domain, const XmlDisk *disk)
{
    for (guint i = 0; i < domain->disks->len; i++) {
        const XmlDisk *other = g_ptr_array_index(domain->disks, i);

        if (other != disk && !other->readonly && disk->source && !g_strcmp0(other->source, disk->source))
            return other;
    }
    return NULL;
}

/* @what: "the root file system"; TRUE when there is nothing against it. */
static gboolean check_disk(PolicyEvaluation *evaluation, const XmlDomain *domain, const char *serial, const char *what)
{
    const char *rule = "root-disks";
    guint found = 0;
    const XmlDisk *disk = find_disk(domain, serial, &found);

    if (!found)
        policy_evaluation_add(
            evaluation, rule, 4, POLICY_FAIL,
            "no disk has the serial '%s', by which the guest looks for %s: add <serial>%s</serial> to it", serial, what,
            serial);
    else if (strcmp(disk->device, "disk"))
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL, "disk '%s' with %s is a %s: use device='disk'",
                              disk_name(disk), what, disk->device);
    else if (!disk->readonly)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "disk '%s' with %s can be written to, which only breaks it: add <readonly/>",
                              disk_name(disk), what);
    else if (writer_of(domain, disk))
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "disk '%s' writes to the file of disk '%s' with %s: give it a file of its own",
                              disk_name(writer_of(domain, disk)), disk_name(disk), what);
    else
        return TRUE;
    return FALSE;
}

static void check_disks(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    const GuestWords *words = evaluation->words;
    const char *twice = duplicate_serial(domain);

    if (twice) {
        policy_evaluation_add(
            evaluation, "root-disks", 4, POLICY_FAIL,
            "more than one disk has the serial '%.*s' (a guest sees %d characters): give every disk its "
            "own",
            GUEST_SERIAL_MAX, twice, GUEST_SERIAL_MAX);
        return;
    }
    if (same_serial(words->root.serial, words->hash_disk.serial)) {
        policy_evaluation_add(
            evaluation, "root-disks", 4, POLICY_FAIL,
            "the command line names disk '%s' for the root file system and for the hash tree: give the "
            "tree a disk of its own",
            words->root.serial);
        return;
    }
    if (check_disk(evaluation, domain, words->root.serial, "the root file system") &&
        check_disk(evaluation, domain, words->hash_disk.serial, "the hash tree"))
        policy_evaluation_add(evaluation, "root-disks", 4, POLICY_PASS,
                              "disks '%s' (root file system) and '%s' (hash tree) are there, once and read-only",
                              words->root.serial, words->hash_disk.serial);
}

static void check_encrypted(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    const char *serial = evaluation->words->upper_disk.serial;
    const char *rule = "writable-layer";
    guint found = 0;
    const XmlDisk *disk = find_disk(domain, serial, &found);

    if (same_serial(serial, evaluation->words->root.serial) || same_serial(serial, evaluation->words->hash_disk.serial))
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "the command line names disk '%s' for what is written and for what is verified: give the "
                              "writable layer a disk of its own",
                              serial);
    else if (found != 1)
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "%s disk has the serial '%s' of the writable layer: attach one, or use "
                              "virt_attest.upper=tmpfs",
                              found ? "more than one" : "no", serial);
    else if (disk->readonly || strcmp(disk->device, "disk"))
        policy_evaluation_add(evaluation, rule, 4, POLICY_FAIL,
                              "disk '%s' of the writable layer cannot be written to: remove its <readonly/>, and use "
                              "device='disk'",
                              disk_name(disk));
    else
        policy_evaluation_add(evaluation, rule, 4, POLICY_PASS,
                              "what the guest writes goes to disk '%s', encrypted and authenticated with a key of each "
                              "boot: it is gone at the next one",
                              serial);
}

static void check_upper(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    static const char *const texts[] = {
        [GUEST_UPPER_NONE] = "the guest can write nothing to its root file system",
        [GUEST_UPPER_TMPFS] = "what the guest writes stays in its memory: it is gone at the next boot",
        [GUEST_UPPER_DIRS] =
            "what the guest writes to /home, /etc, /var and /tmp stays in its memory: it is gone at the "
            "next boot",
    };

    if (evaluation->words->upper == GUEST_UPPER_ENCRYPTED)
        check_encrypted(evaluation, domain);
    else
        policy_evaluation_add(evaluation, "writable-layer", 4, POLICY_PASS, "%s", texts[evaluation->words->upper]);
}

void policy_evaluate_root(PolicyEvaluation *evaluation, const XmlDomain *domain, const PolicyEvaluateOptions *options)
{
    check_words(evaluation, domain);
    check_root_hash(evaluation, domain);
    check_shell(evaluation, domain);
    check_initrd(evaluation, domain, options);
    if (evaluation->words && evaluation->words->has_verity) {
        check_disks(evaluation, domain);
        check_upper(evaluation, domain);
    } else {
        note_no_words(evaluation);
    }
}
