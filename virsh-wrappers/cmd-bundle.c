/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bundle: domain XML, firmware, kernel, initrd, reference and ID block in one file.
 *
 * The files are hashed twice: when they are measured, and while they are copied. Whatever differs between the two is an
 * error, so the reference in a bundle is always that of the files in it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "measure/error.h"
#include "virsh-wrappers/bundle-check.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/progress.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/sign-options.h"
#include "storage/process.h"

static const char *const fleet_options[] = {"cpu",     "cpu-types",   "vcpus",        "product",
                                            "minimum-tcb", "platform-info", NULL};

static GBytes *take_text(gchar *text)
{
    return g_bytes_new_take(text, strlen(text));
}

/* What bundle-verify would say of it. */
static gboolean check_rows(const CmdSubject *measured, const PolicyReference *reference, const char *which,
                           GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)policy_finding_free);
    cmd_bundle_compare(reference, measured, rows);
    g_autofree gchar *failures = cmd_bundle_failures(rows);
    if (*failures) {
        g_autofree gchar *shown = cmd_printable(measured->domain->name ? measured->domain->name : "");
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "%s is not that of domain '%s' as it is now; no bundle was made%s", which,
                    shown, failures);
    }
    return !*failures;
}

/* A reference that was not measured just now must be that of the files. */
static gboolean check_fits(CmdContext *context, const CmdSubject *subject, const PolicyReference *reference,
                           const char *which, GError **error)
{
    g_autoptr(CmdSubject) measured = cmd_bundle_measure(context, subject->xml, reference, error);
    return measured && check_rows(measured, reference, which, error);
}

/* The document that goes into the bundle, before anybody signs it here. @envelope: (out) (nullable) */
static GBytes *choose_reference(CmdContext *context, const CmdReferenceSource *source, PolicyEnvelope **envelope,
                                GError **error)
{
    const char *file = cmd_context_get(context, "reference");
    const PolicyReference *pinned = source->subject->pinned;
    g_autoptr(PolicyReference) reference = NULL;
    g_autofree gchar *which = NULL;
    if (file) {
        g_autofree gchar *shown = cmd_printable(file);
        which = g_strdup_printf("reference '%s'", shown);
        reference = cmd_read_reference(file, envelope, error);
        if (reference && *envelope && !cmd_check_envelope(context, *envelope, which, error)) {
            return NULL;
        }
    } else if (pinned && pinned->signed_text && !cmd_arguments_first_of(context->arguments, fleet_options)) {
        which = g_strdup("the signed reference that is pinned");
        reference = policy_reference_read(pinned->signed_text, -1, envelope, error);
    } else if (source->envelope) {
        *envelope = policy_envelope_parse(g_bytes_get_data(source->bundle->reference_text, NULL),
                                          (gssize)g_bytes_get_size(source->bundle->reference_text), error);
        return *envelope ? g_bytes_ref(source->bundle->reference_text) : NULL;
    } else {
        /* For a fleet, the domain itself may not be one of it. */
        if (!check_rows(source->subject, source->reference, "the reference for these CPU types and vCPU counts",
                        error)) {
            return NULL;
        }
        return take_text(policy_reference_format(source->reference, POLICY_REFERENCE_PORTABLE));
    }
    if (!reference || !check_fits(context, source->subject, reference, which, error)) {
        return NULL;
    }
    /* Signed, it is taken from the envelope; else it may have been a pinned one, which is for one host. */
    return take_text(policy_reference_format(reference, POLICY_REFERENCE_PORTABLE));
}

/* reference.json: signed here with --sign-key, in its canonical form when it is signed at all. */
static GBytes *make_reference(CmdContext *context, const CmdReferenceSource *source, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = NULL;
    g_autoptr(GBytes) document = choose_reference(context, source, &envelope, error);
    if (!document) {
        return NULL;
    }
    if (cmd_context_has(context, "sign-key")) {
        g_autoptr(PolicyKey) key = cmd_sign_key(context, "sign-key", error);
        if (!key) {
            return NULL;
        }
        if (!envelope) {
            envelope = policy_envelope_new(POLICY_ENVELOPE_TYPE_REFERENCE, document);
        }
        if (!policy_envelope_sign(envelope, key, error)) {
            g_prefix_error(error, "the reference was not signed: ");
            return NULL;
        }
    }
    if (!envelope) {
        return g_steal_pointer(&document);
    }
    return take_text(policy_envelope_format(envelope, TRUE));
}

static gboolean is_same_file(const struct stat *output, const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && st.st_dev == output->st_dev && st.st_ino == output->st_ino;
}

/* --force replaces a bundle, not what the next one would be made of. */
static gboolean check_output(const CmdContext *context, const CmdReferenceSource *source, const char *path,
                             GError **error)
{
    const MeasureInputs *inputs = source->subject->evaluation->inputs;
    const MeasureInput *const files[] = {inputs->firmware, inputs->kernel, inputs->initrd};
    g_autofree gchar *shown = cmd_printable(path);
    struct stat st;
    if (stat(path, &st) != 0) {
        return TRUE;
    }
    gboolean same = is_same_file(&st, cmd_domain_word(context)) ||
                    is_same_file(&st, cmd_context_get(context, "reference"));
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        same = same || (files[i] && is_same_file(&st, files[i]->path));
    }
    if (same) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--output '%s' is one of the files that the bundle is made of: give it another name", shown);
    }
    return !same;
}

static gboolean write_bundle(CmdContext *context, const CmdReferenceSource *source, GBytes *reference, const char *path,
                             GError **error)
{
    const CmdSubject *subject = source->subject;
    StorageBundleContents contents = {.xml = subject->xml,
                                      .domain = subject->domain,
                                      .inputs = subject->evaluation->inputs,
                                      .reference = reference};
    g_autoptr(CmdProgress) progress = cmd_progress_new(context);
    g_autoptr(StorageOutput) output = storage_output_new(path, cmd_context_has(context, "force"), 0644, error);
    return output && storage_bundle_write(&contents, output, cmd_progress_update, progress, error) &&
           storage_output_commit(output, error);
}

static void print_result(const CmdContext *context, const CmdReferenceSource *source, const char *path)
{
    if (!cmd_context_quiet(context)) {
        g_autofree gchar *name = cmd_printable(source->subject->domain->name);
        g_autofree gchar *shown = cmd_printable(path);
        printf("Domain '%s' was packed into '%s'\n", name, shown);
    }
}

int cmd_bundle(CmdContext *context, GError **error)
{
    const char *path = cmd_context_get(context, "output");
    g_auto(CmdReferenceSource) source = {NULL};
    if (!path) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "bundle needs --output FILE");
        return -1;
    }
    if (!cmd_reference_source_load(context, cmd_domain_word(context), &source, error)) {
        return -1;
    }
    if (!source.subject) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "a reference document has no files to pack: give a domain or its XML, and the document with "
                    "--reference");
        return -1;
    }
    if (!check_output(context, &source, path, error)) {
        return -1;
    }
    storage_interrupt_begin();
    g_autoptr(GBytes) reference = make_reference(context, &source, error);
    gboolean good = reference && write_bundle(context, &source, reference, path, error);
    if (good) {
        storage_interrupt_done();
    }
    storage_interrupt_end();
    if (!good) {
        return -1;
    }
    print_result(context, &source, path);
    return 0;
}
