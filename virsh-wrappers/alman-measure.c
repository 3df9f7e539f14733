/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest of ALman as a domain, and its measurements beside the recorded ones. */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/alman-folder.h"
#include "virsh-wrappers/import-write.h"
#include "xml/compose.h"

/* ALman's defaults: what it records nowhere but in the XML. */
#define DEFAULT_MEMORY_MIB 4096
#define DEFAULT_NETWORK "default"
#define DEFAULT_POLICY 0x30000

static void note(CmdAlmanGuest *guest, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void note(CmdAlmanGuest *guest, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_ptr_array_add(guest->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean is_file(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

static gchar *below(const CmdAlmanFolder *folder, const char *part, const char *name, const char *suffix)
{
    g_autofree gchar *file = g_strconcat(name, suffix, NULL);
    return g_build_filename(folder->path, "work", part, file, NULL);
}

/* ---- composing ---- */

/* Where the recorded file is now: there, or where ALman keeps such files in a folder that was moved. */
static gchar *find_boot_file(const CmdAlmanFolder *folder, CmdAlmanGuest *guest, const char *role, const char *recorded)
{
    g_autofree gchar *base = g_path_get_basename(recorded);
    g_autofree gchar *moved = g_build_filename(folder->path, "work", "cache", "boot", guest->name, base, NULL);
    if (is_file(recorded) || !is_file(moved)) {
        return g_strdup(recorded);
    }
    note(guest, "%s '%s' is not there: took '%s'", role, recorded, moved);
    return g_steal_pointer(&moved);
}

static gchar *find_firmware(const CmdAlmanFolder *folder, CmdAlmanGuest *guest)
{
    const ExchangeAlmanGuest *record = guest->record;
    const ExchangeAlmanConf *conf = folder->conf;
    const char *configured = !conf ? NULL : record->al >= 3 ? conf->ovmf_al34 : conf->ovmf_al2;
    configured = configured || !conf ? configured : conf->ovmf_code;
    if (is_file(record->ovmf) || !configured || !is_file(configured)) {
        return g_strdup(record->ovmf);
    }
    note(guest, "firmware '%s' is not there: took '%s' of alman.conf", record->ovmf, configured);
    return g_strdup(configured);
}

/* A comma in a path is written twice, as XmlCompose has it. */
static void add_disk(XmlCompose *compose, const char *path, const char *options)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    g_autofree gchar *escaped = g_strjoinv(",,", parts);
    g_ptr_array_add(compose->disks, g_strconcat(escaped, options, NULL));
}

static void add_disks(const CmdAlmanFolder *folder, CmdAlmanGuest *guest, XmlCompose *compose)
{
    g_autofree gchar *root = below(folder, "disks", guest->name, "-root.qcow2");
    g_autofree gchar *hash = below(folder, "disks", guest->name, "-hash.img");
    g_autofree gchar *upper = below(folder, "disks", guest->name, "-upper.img");
    g_autofree gchar *mode_file = below(folder, "disks", guest->name, "-upper.mode");
    g_autofree gchar *mode = NULL;
    gsize size = 0;
    if (is_file(root)) {
        add_disk(compose, root, ",format=qcow2");
    } else {
        note(guest, "root disk '%s' is not there: the domain has no disk", root);
        return;
    }
    if (guest->record->al < 4) {
        return;
    }
    if (is_file(hash)) {
        add_disk(compose, hash, ",format=raw");
    } else {
        note(guest, "hash disk '%s' is not there: the guest will not boot", hash);
    }
    /* At most a word; ALman writes the file and never reads it. */
    if (is_file(mode_file) && cmd_read_file(mode_file, "mode", 64, &mode, &size, NULL) &&
        g_str_has_prefix(mode, "disk") && is_file(upper)) {
        add_disk(compose, upper, ",format=raw");
        note(guest,
             "its upper layer is a disk that the host can write: whatever the root hash says, the host can replace "
             "every file");
    }
}

static gchar *compose(const CmdAlmanFolder *folder, CmdAlmanGuest *guest, GError **error)
{
    const ExchangeAlmanGuest *record = guest->record;
    g_autoptr(XmlCompose) new_domain = xml_compose_new();
    new_domain->name = g_strdup(guest->name);
    new_domain->level = record->al;
    new_domain->snp = TRUE;
    new_domain->policy = DEFAULT_POLICY;
    new_domain->vcpus = record->vcpus;
    new_domain->memory_mib = DEFAULT_MEMORY_MIB;
    new_domain->emulator = folder->conf ? g_strdup(folder->conf->qemu_bin) : NULL;
    new_domain->console = TRUE;
    g_free(new_domain->cpu);
    new_domain->cpu = g_strdup("host-passthrough");
    new_domain->firmware = find_firmware(folder, guest);
    if (record->al >= 3) {
        new_domain->kernel = find_boot_file(folder, guest, "kernel", record->kernel);
        new_domain->initrd = *record->initrd ? find_boot_file(folder, guest, "initrd", record->initrd) : NULL;
        new_domain->cmdline = *record->append ? g_strdup(record->append) : NULL;
    }
    add_disks(folder, guest, new_domain);
    g_ptr_array_add(new_domain->networks, g_strdup(DEFAULT_NETWORK));
    note(guest, "ALman records memory and network in no file: took its defaults, %d MiB and '%s'", DEFAULT_MEMORY_MIB,
         DEFAULT_NETWORK);
    return xml_compose_format(new_domain, error);
}

/* ---- measuring ---- */

/* What ALman has recorded or would record, each CPU once. */
static GPtrArray *wanted_cpus(const CmdAlmanFolder *folder, const CmdAlmanGuest *guest)
{
    GPtrArray *list = g_ptr_array_new();
    const GPtrArray *listed = guest->record && guest->record->cpus->len ? guest->record->cpus : folder->cpus;
    for (guint i = 0; guest->record && i < guest->record->measurements->len; i++) {
        g_ptr_array_add(list,
                        ((const ExchangeAlmanMeasurement *)g_ptr_array_index(guest->record->measurements, i))->cpu);
    }
    for (guint i = 0; listed && i < listed->len; i++) {
        g_autofree gchar *label = exchange_alman_cpu_label(g_ptr_array_index(listed, i));
        gboolean there = FALSE;
        for (guint j = 0; j < list->len && !there; j++) {
            g_autofree gchar *other = exchange_alman_cpu_label(g_ptr_array_index(list, j));
            there = g_str_equal(other, label);
        }
        if (!there) {
            g_ptr_array_add(list, g_ptr_array_index(listed, i));
        }
    }
    return list;
}

/* The CPU types that we know, once per signature. */
static GPtrArray *resolve_cpus(const GPtrArray *wanted)
{
    GPtrArray *cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    for (guint i = 0; i < wanted->len; i++) {
        g_autoptr(MeasureCpu) cpu = exchange_alman_cpu_resolve(g_ptr_array_index(wanted, i), NULL);
        gboolean there = FALSE;
        for (guint j = 0; cpu && j < cpus->len; j++) {
            there = there || ((const MeasureCpu *)g_ptr_array_index(cpus, j))->signature == cpu->signature;
        }
        if (cpu && !there) {
            g_ptr_array_add(cpus, g_steal_pointer(&cpu));
        }
    }
    return cpus;
}

static const ExchangeAlmanMeasurement *find_record(const CmdAlmanGuest *guest, const char *label)
{
    for (guint i = 0; guest->record && i < guest->record->measurements->len; i++) {
        const ExchangeAlmanMeasurement *each = g_ptr_array_index(guest->record->measurements, i);
        if (g_str_equal(each->label, label)) {
            return each;
        }
    }
    return NULL;
}

/* An explanation is hundreds of measurements, and how many records differ is up to the folder. */
#define EXPLAINED_MAX 3

static guint explained(const CmdAlmanGuest *guest)
{
    guint count = 0;
    for (guint i = 0; i < guest->measured->len; i++) {
        const CmdAlmanMeasured *each = g_ptr_array_index(guest->measured, i);
        count += each->result == CMD_ALMAN_DIFFERS && each->why;
    }
    return count;
}

static void compare_one(const PolicyEvaluation *evaluation, CmdAlmanGuest *guest, const ExchangeAlmanCpu *wanted)
{
    CmdAlmanMeasured *measured = g_new0(CmdAlmanMeasured, 1);
    g_autoptr(GError) cause = NULL;
    g_autoptr(MeasureCpu) cpu = exchange_alman_cpu_resolve(wanted, &cause);
    MeasureDigest digest;
    g_ptr_array_add(guest->measured, measured);
    measured->label = exchange_alman_cpu_label(wanted);
    const ExchangeAlmanMeasurement *recorded = find_record(guest, measured->label);
    measured->recorded = recorded ? measure_hex_encode(recorded->digest, sizeof(recorded->digest)) : NULL;
    if (!cpu || !measure_launch_digest(evaluation->launch, evaluation->inputs, cpu->signature,
                                       evaluation->launch->vcpus, &digest, &cause)) {
        measured->result = CMD_ALMAN_BROKEN;
        measured->why = g_strdup(cause->message);
        return;
    }
    measured->measured = measure_digest_hex(&digest);
    if (!recorded) {
        measured->result = CMD_ALMAN_UNRECORDED;
    } else if (measure_digest_equal(recorded->digest, digest.bytes, sizeof(recorded->digest))) {
        measured->result = CMD_ALMAN_MATCH;
    } else {
        measured->result = CMD_ALMAN_DIFFERS;
        measured->why = explained(guest) < EXPLAINED_MAX
                            ? cmd_alman_explain(evaluation, guest->record, recorded, cpu->signature)
                            : g_strdup("the cause was not looked for: other measurements of this guest differ as well");
    }
}

/* One that differs decides, then one that matches. */
static CmdAlmanResult verdict(const CmdAlmanGuest *guest)
{
    static const CmdAlmanResult order[] = {CMD_ALMAN_DIFFERS, CMD_ALMAN_MATCH, CMD_ALMAN_UNRECORDED, CMD_ALMAN_BROKEN};
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
        for (guint j = 0; j < guest->measured->len; j++) {
            if (((const CmdAlmanMeasured *)g_ptr_array_index(guest->measured, j))->result == order[i]) {
                return order[i];
            }
        }
    }
    return CMD_ALMAN_UNRECORDED;
}

static gboolean try_xml(CmdContext *context, CmdAlmanGuest *guest, const char *xml, const GPtrArray *wanted,
                        GError **error)
{
    g_autoptr(GPtrArray) cpus = resolve_cpus(wanted);
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(CmdSubject) subject =
        cmd_import_measure(context, xml, cpus->len ? cpus : NULL, "alman", &reference, error);
    if (!subject) {
        return FALSE;
    }
    for (guint i = 0; i < wanted->len; i++) {
        compare_one(subject->evaluation, guest, g_ptr_array_index(wanted, i));
    }
    guest->result = verdict(guest);
    if (guest->result == CMD_ALMAN_BROKEN) {
        guest->why = g_strdup("none of its CPU types can be measured for");
        return TRUE;
    }
    guest->xml = g_strdup(xml);
    guest->reference = g_steal_pointer(&reference);
    return TRUE;
}

/* The XML that a dry run of ALman has left: what it says of memory, disks and network stands nowhere else. */
static gchar *left_xml(const CmdAlmanFolder *folder, CmdAlmanGuest *guest)
{
    g_autofree gchar *path = below(folder, "xml", guest->name, ".xml");
    g_autofree gchar *text = NULL;
    g_autoptr(GError) cause = NULL;
    gsize size = 0;
    if (!is_file(path)) {
        return NULL;
    }
    if (!cmd_read_file(path, "its domain XML", XML_MAX_SIZE, &text, &size, &cause)) {
        note(guest, "%s", cause->message);
        return NULL;
    }
    g_autoptr(XmlDomain) domain = xml_domain_parse(text, (gssize)size, &cause);
    if (!domain) {
        note(guest, "its domain XML cannot be used (ALman escapes nothing): %s", cause->message);
        return NULL;
    }
    if (g_strcmp0(domain->name, guest->name)) {
        note(guest, "its domain XML is that of another domain and was left aside");
        return NULL;
    }
    return g_steal_pointer(&text);
}

void cmd_alman_guest_measure(CmdContext *context, const CmdAlmanFolder *folder, CmdAlmanGuest *guest)
{
    const char *invalid = cmd_import_name_invalid(guest->name);
    g_autoptr(GError) left_cause = NULL;
    g_autoptr(GError) cause = NULL;
    if (invalid || (guest->record && guest->record->broken)) {
        guest->why = g_strdup(invalid ? invalid : guest->record->broken->message);
        return;
    }
    g_autoptr(GPtrArray) wanted = wanted_cpus(folder, guest);
    g_autofree gchar *left = left_xml(folder, guest);
    if (left && try_xml(context, guest, left, wanted, &left_cause)) {
        return;
    }
    if (!guest->record) {
        guest->why = left_cause
                         ? g_strdup(left_cause->message)
                         : g_strdup("it has neither a record nor a domain XML: define it with 'virt-attest define'");
        return;
    }
    if (left_cause) {
        note(guest, "its domain XML was left aside: %s", left_cause->message);
    }
    g_autofree gchar *xml = compose(folder, guest, &cause);
    if (!xml || !try_xml(context, guest, xml, wanted, &cause)) {
        guest->why = g_strdup(cause->message);
    }
}
