/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a command gets its reference from: measured now, of a domain, a domain XML or a bundle; or read, from a
 * document or the one in a bundle.
 */
#include "virsh-wrappers/reference-source.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "storage/output.h"
#include "virsh-wrappers/bundle-check.h"
#include "virsh-wrappers/sign-options.h"

static const char *const fleet_options[] = {"cpu", "cpu-types", "vcpus", NULL};
static const char *const fact_options[] = {"product", "minimum-tcb", "platform-info", NULL};

void cmd_reference_source_clear(CmdReferenceSource *source)
{
    g_clear_pointer(&source->reference, policy_reference_free);
    g_clear_pointer(&source->envelope, policy_envelope_free);
    g_clear_pointer(&source->bundle, storage_bundle_free);
    g_clear_pointer(&source->subject, cmd_subject_free);
}

static const char *first_given(const CmdContext *context, const char *const *names)
{
    for (gsize i = 0; names[i]; i++) {
        if (cmd_context_has(context, names[i])) {
            return names[i];
        }
    }
    return NULL;
}

/* What is written down already cannot be measured for others, and a signature holds for what was signed. */
static gboolean refuse_options(const CmdContext *context, const char *const *names, const char *why, GError **error)
{
    const char *name = first_given(context, names);
    if (name) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--%s: %s", name, why);
    }
    return !name;
}

/* A command with a --key of its own judges the signatures itself. */
static gboolean check_envelope(CmdContext *context, const PolicyEnvelope *envelope, const char *label, GError **error)
{
    const CmdOption *own[] = {context->command->options, NULL};
    return !envelope || cmd_option_find(own, "key") || cmd_check_envelope(context, envelope, label, error);
}

static gboolean measured(CmdContext *context, CmdReferenceSource *out, const char *source, GError **error)
{
    const CmdSubject *subject = out->subject;
    out->reference = policy_reference_new(subject->domain, subject->evaluation, XML_ON_MISMATCH_REFUSE, error);
    if (!out->reference) {
        return FALSE;
    }
    if (!out->reference->name) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the domain XML has no <name>: give it one");
        return FALSE;
    }
    out->reference->form = POLICY_REFERENCE_PORTABLE;
    policy_reference_set_source(out->reference, source);
    if (subject->pinned) {
        policy_reference_keep_rules(out->reference, subject->pinned);
        if (!first_given(context, fleet_options)) {
            policy_reference_widen(out->reference, subject->pinned);
        }
    }
    cmd_report_warnings(context, subject->domain);
    return cmd_reference_facts(context, out->reference, error);
}

/* Whether the document foresees the launch that the domain itself asks for, as far as it does not leave that open. */
static gboolean foresees(const PolicyReference *like, const char *xml, gsize size)
{
    g_autoptr(XmlDomain) domain = xml_domain_parse(xml, (gssize)size, NULL);
    g_autoptr(MeasureCpu) cpu = domain && domain->cpu_mode == XML_CPU_CUSTOM && domain->cpu_model
                                    ? measure_cpu_from_name(domain->cpu_model, NULL)
                                    : NULL;
    for (guint i = 0; domain && i < like->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(like->measurements, i);
        gboolean open = domain->cpu_mode == XML_CPU_HOST_MODEL || domain->cpu_mode == XML_CPU_HOST_PASSTHROUGH;
        if (each->vcpus == domain->vcpus_boot && (open || (cpu && cpu->signature == each->signature))) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The CPU types and vCPU counts of a document, each once. */
static gboolean fleet_like(const PolicyReference *like, GPtrArray **cpus, GArray **vcpus)
{
    g_autoptr(GPtrArray) types = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    g_autofree gboolean *counted = g_new0(gboolean, MEASURE_MAX_VCPUS + 1);
    for (guint i = 0; i < like->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(like->measurements, i);
        gboolean named = each->cpu && !g_str_has_prefix(each->cpu, "0x");
        gboolean known = FALSE;
        for (guint j = 0; j < types->len && !known; j++) {
            known = ((const MeasureCpu *)g_ptr_array_index(types, j))->signature == each->signature;
        }
        if (!known) {
            g_ptr_array_add(types, measure_cpu_new(named ? each->cpu : NULL, each->signature));
        }
        counted[MIN(each->vcpus, MEASURE_MAX_VCPUS)] = TRUE;
    }
    if (like->platform == MEASURE_PLATFORM_SEV || types->len == 0) {
        return TRUE;
    }
    *vcpus = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint count = 1; count <= MEASURE_MAX_VCPUS; count++) {
        if (counted[count]) {
            g_array_append_val(*vcpus, count);
        }
    }
    *cpus = g_steal_pointer(&types);
    return TRUE;
}

static gboolean find_fleet(const CmdContext *context, const PolicyReference *like, const char *xml, gsize size,
                           GPtrArray **cpus, GArray **vcpus, GError **error)
{
    return like && !first_given(context, fleet_options) && foresees(like, xml, size)
               ? fleet_like(like, cpus, vcpus)
               : cmd_fleet_options(context, cpus, vcpus, error);
}

static gboolean load_xml(CmdContext *context, const char *xml, gsize size, const PolicyReference *like,
                         const char *source, CmdReferenceSource *out, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GArray) vcpus = NULL;
    if (!find_fleet(context, like, xml, size, &cpus, &vcpus, error)) {
        return FALSE;
    }
    CmdFleet fleet = {.cpus = cpus, .vcpus = vcpus, .all_fpu = TRUE};
    out->subject = cmd_subject_new_fleet(context, xml, size, NULL, &fleet, FALSE, POLICY_REFERENCE_ASSUMED, error);
    return out->subject && measured(context, out, source, error);
}

static gboolean load_domain(CmdContext *context, const char *word, const PolicyReference *like,
                            CmdReferenceSource *out, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GArray) vcpus = NULL;
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        cmd_hint_file(context, word, "'.xml', '.json' or '.tar'", error);
        return FALSE;
    }
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    if (!xml || !find_fleet(context, like, xml, strlen(xml), &cpus, &vcpus, error)) {
        return FALSE;
    }
    CmdFleet fleet = {.cpus = cpus, .vcpus = vcpus, .all_fpu = TRUE};
    out->subject = cmd_subject_from_domain_fleet(context, domain, &fleet, error);
    return out->subject && measured(context, out, "libvirt", error);
}

/* A bundle's reference is taken for what it says only where its files measure to that. */
static gboolean check_bundle(const CmdReferenceSource *source, const char *path, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)policy_finding_free);
    cmd_bundle_compare(source->bundle->reference, source->subject, rows);
    g_autofree gchar *failures = cmd_bundle_failures(rows);
    if (*failures) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "bundle '%s': its reference is not that of its files%s",
                    shown, failures);
    }
    return !*failures;
}

static gboolean load_bundle(CmdContext *context, const char *path, CmdReferenceSource *out, GError **error)
{
    gboolean fleet = context->command->words_max == 1 && first_given(context, fleet_options);
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label = g_strdup_printf("the reference in bundle '%s'", shown);
    out->bundle = storage_bundle_open(path, error);
    if (!out->bundle || !check_envelope(context, out->bundle->envelope, label, error)) {
        return FALSE;
    }
    out->subject = cmd_bundle_measure(context, out->bundle->xml, out->bundle->reference, error);
    if (!out->subject || !check_bundle(out, path, error)) {
        return FALSE;
    }
    if (fleet) {
        g_clear_pointer(&out->subject, cmd_subject_free);
        if (!load_xml(context, out->bundle->xml, strlen(out->bundle->xml), NULL, "bundle", out,
                      error)) {
            return FALSE;
        }
        cmd_bundle_restore_paths(out->bundle, out->reference);
        policy_reference_keep_rules(out->reference, out->bundle->reference);
        return cmd_reference_facts(context, out->reference, error);
    }
    out->reference = g_steal_pointer(&out->bundle->reference);
    out->envelope = g_steal_pointer(&out->bundle->envelope);
    cmd_report_warnings(context, out->subject->domain);
    if (out->envelope && !refuse_options(context, fact_options,
                                         "the reference in the bundle is signed, and the signature would not hold any "
                                         "more", error)) {
        return FALSE;
    }
    return cmd_reference_facts(context, out->reference, error);
}

static gboolean load_document(CmdContext *context, const char *text, gsize size, const char *label,
                              CmdReferenceSource *out, GError **error)
{
    /* A command of one word is about this document alone; others choose from it, or measure another one. */
    if (context->command->words_max == 1 &&
        !refuse_options(context, fleet_options, "a reference document is not measured anew: give a domain or its XML",
                        error)) {
        return FALSE;
    }
    out->reference = policy_reference_read(text, (gssize)size, &out->envelope, error);
    if (!out->reference) {
        g_prefix_error(error, "%s: ", label);
        return FALSE;
    }
    if (!check_envelope(context, out->envelope, label, error)) {
        return FALSE;
    }
    if (out->envelope && !refuse_options(context, fact_options,
                                         "the document is signed, and the signature would not hold any more", error)) {
        return FALSE;
    }
    return cmd_reference_facts(context, out->reference, error);
}

static gboolean is_file(const char *word)
{
    return cmd_word_is_file(word) || g_str_has_suffix(word, ".json") || g_str_has_suffix(word, ".tar");
}

static gboolean load_file(CmdContext *context, const char *path, const PolicyReference *like, CmdReferenceSource *out,
                          GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!g_str_equal(path, "-") && storage_bundle_recognise(path)) {
        return load_bundle(context, path, out, error);
    }
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *file = g_strdup_printf("'%s'", shown);
    /* A domain XML is the largest of them. */
    if (!(g_str_equal(path, "-") ? cmd_read_xml(path, &text, &size, error)
                                 : cmd_read_file(path, file, XML_MAX_SIZE, &text, &size, error))) {
        return FALSE;
    }
    const char *start = text + strspn(text, " \t\r\n");
    if (*start != '{') {
        /* Whatever it was meant to be: what cannot be read is named. */
        g_autoptr(XmlDomain) domain = xml_domain_parse(text, (gssize)size, error);
        if (!domain) {
            g_prefix_error(error, "%s: ", g_str_equal(path, "-") ? "standard input" : file);
            return FALSE;
        }
        return load_xml(context, text, size, like, "domain-xml", out, error);
    }
    g_autofree gchar *label =
        g_str_equal(path, "-") ? g_strdup("standard input") : g_strdup_printf("reference '%s'", shown);
    return load_document(context, text, size, label, out, error);
}

gboolean cmd_reference_source_load_like(CmdContext *context, const char *word, const PolicyReference *like,
                                        CmdReferenceSource *out, GError **error)
{
    /* Where a command takes a word instead, --domain is there for domains whose names look like files. */
    gboolean domain =
        context->command->words_max > 0 && cmd_context_has(context, "domain") && !cmd_context_word(context, 0);
    return is_file(word) && !domain ? load_file(context, word, like, out, error)
                                    : load_domain(context, word, like, out, error);
}

gboolean cmd_reference_source_load(CmdContext *context, const char *word, CmdReferenceSource *out, GError **error)
{
    return cmd_reference_source_load_like(context, word, NULL, out, error);
}

gboolean cmd_write_output(const CmdContext *context, gconstpointer data, gsize size, gboolean secret, GError **error)
{
    const char *path = cmd_context_get(context, "output");
    if (!path) {
        /* Whether it went out is asked once, at the end of the program. */
        fwrite(data, 1, size, stdout);
        return TRUE;
    }
    g_autoptr(StorageOutput) output =
        storage_output_new(path, cmd_context_has(context, "force"), secret ? 0600 : 0644, error);
    return output && storage_output_write(output, data, size, error) && storage_output_commit(output, error);
}
