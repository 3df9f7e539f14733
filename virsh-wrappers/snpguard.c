/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/snpguard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/exchange/launch-config.h"
#include "policy/id-block.h"
#include "storage/process.h"
#include "storage/snpguard.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/progress.h"
#include "virsh-wrappers/suggest.h"
#include "xml/compose.h"
#include "xml/identity.h"

#define AUTHOR_ALGORITHM 4 /* offset in the ID authentication page; 0: no author key */
#define GUESS_VCPUS 64

/* ---- export ---- */

static gboolean check_exportable(const CmdReferenceSource *source, GError **error)
{
    const XmlDomain *domain = source->subject ? source->subject->domain : NULL;
    const char *problem = NULL;
    if (!domain) {
        problem = "a reference document has no files to pack: give a domain, its XML or a bundle";
    } else if (source->subject->evaluation->platform != MEASURE_PLATFORM_SNP) {
        problem = "SnpGuard launches SEV-SNP guests only";
    } else if (!domain->kernel || !domain->initrd || !domain->kernel_hashes) {
        problem = "SnpGuard launches guests with a measured kernel and initrd only: the domain needs <kernel>, "
                  "<initrd> and kernelHashes='yes'";
    }
    if (problem) {
        g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, problem);
        return FALSE;
    }
    if (!domain->id_block || !domain->id_auth) {
        g_autofree gchar *command =
            cmd_suggest("define --accept --id-key KEY --author-key KEY", domain->name, domain->uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s' has no ID block, without which SnpGuard has nothing to launch by; to make one: %s",
                    domain->name, command);
        return FALSE;
    }
    g_autoptr(GPtrArray) misfits =
        policy_id_block_misfits(domain, source->subject->evaluation->policy, source->subject->evaluation->measurements);
    if (misfits->len > 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "the ID block of domain '%s' is for something else: %s",
                    domain->name, (const char *)g_ptr_array_index(misfits, 0));
    }
    return misfits->len == 0;
}

static gboolean write_archive(CmdContext *context, const CmdReferenceSource *source, const char *path, GError **error)
{
    const XmlDomain *domain = source->subject->domain;
    g_autoptr(ExchangeLaunchConfig) config = exchange_launch_config_from_reference(source->reference, error);
    if (!config) {
        return FALSE;
    }
    gchar *text = exchange_launch_config_format(config);
    const char *words = domain->cmdline ? domain->cmdline : "";
    g_autoptr(GBytes) config_bytes = g_bytes_new_take(text, strlen(text));
    g_autoptr(GBytes) cmdline = g_bytes_new(words, strlen(words));
    g_autoptr(CmdProgress) progress = cmd_progress_new(context);
    g_autoptr(StorageOutput) output = storage_output_new(path, cmd_context_has(context, "force"), 0644, error);
    return output &&
           storage_snpguard_write(config_bytes, cmdline, domain->id_block, domain->id_auth,
                                  source->subject->evaluation->inputs, output, cmd_progress_update, progress, error) &&
           storage_output_commit(output, error);
}

int cmd_export_snpguard(CmdContext *context, const CmdReferenceSource *source, GError **error)
{
    const char *path = cmd_context_get(context, "output");
    if (!path) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "export --to snpguard makes an archive: say where with "
                                                             "--output launch-artifacts.tar.gz");
        return -1;
    }
    if (!check_exportable(source, error)) {
        return -1;
    }
    storage_interrupt_begin();
    gboolean good = write_archive(context, source, path, error);
    if (good) {
        storage_interrupt_done();
    }
    storage_interrupt_end();
    return good ? 0 : -1;
}

/* ---- import: the domain ---- */

/**
 * Import:
 * @folder: (nullable): absolute: --output-dir
 * @config, @cmdline: what the archive says
 * @block: its ID block
 */
typedef struct {
    StorageSnpguard *archive;
    ExchangeLaunchConfig *config;
    gchar *cmdline, *name, *folder;
    PolicyIdBlock block;
    PolicyIdentity identity;
} Import;

static void import_clear(Import *import)
{
    g_clear_pointer(&import->archive, storage_snpguard_free);
    g_clear_pointer(&import->config, exchange_launch_config_free);
    g_clear_pointer(&import->cmdline, g_free);
    g_clear_pointer(&import->name, g_free);
    g_clear_pointer(&import->folder, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Import, import_clear)

static gboolean author_key(const Import *import)
{
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(import->archive->id_auth, &size);
    guint32 algorithm = 0;
    return measure_bytes_u32((MeasureBytes){data, size}, AUTHOR_ALGORITHM, &algorithm) && algorithm != 0;
}

static gchar *format_xml(const Import *import, const char *firmware, const char *kernel, const char *initrd,
                         GError **error)
{
    g_autoptr(XmlCompose) compose = xml_compose_new();
    exchange_launch_config_to_compose(import->config, compose);
    compose->name = g_strdup(import->name);
    compose->firmware = g_strdup(firmware);
    compose->kernel = g_strdup(kernel);
    compose->initrd = g_strdup(initrd);
    compose->cmdline = *import->cmdline ? g_strdup(import->cmdline) : NULL;
    compose->console = TRUE;
    g_autofree gchar *xml = xml_compose_format(compose, error);
    XmlIdentity identity = {.id_block = g_bytes_get_data(import->archive->id_block, NULL),
                            .id_auth = g_bytes_get_data(import->archive->id_auth, NULL),
                            .author_key = author_key(import)};
    return xml ? xml_document_set_identity(xml, -1, &identity, error) : NULL;
}

/* The domain as it would be with its files in @folder, or in the temporary one; what was written must be read again. */
static CmdSubject *measure(CmdContext *context, const Import *import, const char *folder, GError **error)
{
    const StorageSnpguard *archive = import->archive;
    g_autofree gchar *firmware = folder ? g_build_filename(folder, STORAGE_SNPGUARD_FIRMWARE, NULL) : NULL;
    g_autofree gchar *kernel = folder ? g_build_filename(folder, STORAGE_SNPGUARD_KERNEL, NULL) : NULL;
    g_autofree gchar *initrd = folder ? g_build_filename(folder, STORAGE_SNPGUARD_INITRD, NULL) : NULL;
    g_autofree gchar *xml = format_xml(import, folder ? firmware : archive->firmware, folder ? kernel : archive->kernel,
                                       folder ? initrd : archive->initrd, error);
    g_autoptr(CmdSubject) subject =
        xml ? cmd_subject_new(context, xml, strlen(xml), NULL, NULL, FALSE, POLICY_REFERENCE_ASSUMED, error) : NULL;
    if (!subject) {
        return NULL;
    }
    if (g_strcmp0(subject->domain->cmdline ? subject->domain->cmdline : "", import->cmdline) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    STORAGE_SNPGUARD_CMDLINE " has something that a domain XML cannot carry");
        return NULL;
    }
    if (subject->evaluation->measurements->len != 1) {
        g_propagate_error(error, subject->evaluation->unmeasurable
                                     ? g_error_copy(subject->evaluation->unmeasurable)
                                     : g_error_new(ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "no measurement"));
        return NULL;
    }
    return g_steal_pointer(&subject);
}

/* ---- import: does the ID block fit? ---- */

/* Which launch of these files the ID block is for, where it is a near one: other vCPUs, a console that was added. */
static gchar *guess(CmdContext *context, const Import *import, const CmdSubject *subject)
{
    static const char *const suffixes[] = {"", " console=ttyS0", "\n"};
    const PolicyEvaluation *evaluation = subject->evaluation;
    PolicyConfig *config = cmd_context_config(context, NULL);
    g_autoptr(GPtrArray) cpus = config ? policy_config_cpus(config, MEASURE_PLATFORM_SNP) : g_ptr_array_new();
    MeasureInputs inputs = *evaluation->inputs;
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree gchar *line = g_strconcat(import->cmdline, suffixes[i], NULL);
        policy_sha256(line, strlen(line) + 1, inputs.cmdline_sha256);
        for (guint j = 0; j < cpus->len; j++) {
            const MeasureCpu *cpu = g_ptr_array_index(cpus, j);
            for (guint vcpus = 1; vcpus <= GUESS_VCPUS; vcpus++) {
                MeasureDigest digest;
                if (measure_launch_digest(evaluation->launch, &inputs, cpu->signature, vcpus, &digest, NULL) &&
                    digest.size == sizeof(import->block.digest) &&
                    measure_digest_equal(digest.bytes, import->block.digest, digest.size)) {
                    return g_strdup_printf("\nIt is for %u vCPU%s of type %s%s%s", vcpus, vcpus == 1 ? "" : "s",
                                           cpu->name ? cpu->name : "unknown",
                                           i == 1   ? " and a command line with 'console=ttyS0' at its end"
                                           : i == 2 ? " and a command line with a newline at its end"
                                                    : "",
                                           ": " STORAGE_SNPGUARD_CONFIG " or " STORAGE_SNPGUARD_CMDLINE
                                           " is from another launch");
                }
            }
        }
    }
    return g_strdup("");
}

static gchar *list_inputs(const Import *import, const CmdSubject *subject)
{
    g_autoptr(GPtrArray) inputs = g_ptr_array_new_with_free_func((GDestroyNotify)policy_reference_input_free);
    g_autoptr(GString) text = g_string_new(NULL);
    policy_collect_inputs(subject->evaluation, inputs);
    for (guint i = 0; i < inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(inputs, i);
        g_autofree gchar *hex = measure_hex_encode(input->sha256, sizeof(input->sha256));
        g_string_append_printf(text, "\n  %s: %" G_GUINT64_FORMAT " bytes, SHA-256 %s", input->role, input->size, hex);
    }
    g_string_append_printf(text, "\n  vCPUs: %u of type %s", import->config->vcpu_count, import->config->vcpu_model);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean check_digest(CmdContext *context, const Import *import, const CmdSubject *subject, GError **error)
{
    const XmlMeasurement *found = g_ptr_array_index(subject->evaluation->measurements, 0);
    if (found->digest.size == sizeof(import->block.digest) &&
        measure_digest_equal(found->digest.bytes, import->block.digest, found->digest.size)) {
        return TRUE;
    }
    g_autofree gchar *wanted = measure_hex_encode(import->block.digest, sizeof(import->block.digest));
    g_autofree gchar *measured = measure_digest_hex(&found->digest);
    g_autofree gchar *inputs = list_inputs(import, subject);
    g_autofree gchar *advice = guess(context, import, subject);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "the ID block is for another launch: it foresees the digest %s, these inputs measure to %s%s%s", wanted,
                measured, inputs, advice);
    return FALSE;
}

static gboolean check_launch(CmdContext *context, const Import *import, const CmdSubject *subject, GError **error)
{
    if (!check_digest(context, import, subject, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) misfits = policy_id_block_misfits(subject->domain, subject->evaluation->policy,
                                                           subject->evaluation->measurements);
    if (misfits->len > 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "the processor would refuse this ID block: %s",
                    (const char *)g_ptr_array_index(misfits, 0));
    }
    return misfits->len == 0;
}

/* ---- import: files ---- */

enum { ARCHIVE_FILES = 7 };

/**
 * Output:
 * @replaces: there was a file already, which --force replaces
 */
typedef struct {
    gchar *path;
    StorageOutput *file;
    gboolean replaces, committed;
} Output;

static void output_free(Output *output)
{
    g_clear_pointer(&output->file, storage_output_free);
    g_free(output->path);
    g_free(output);
}

static Output *open_output(const CmdContext *context, const Import *import, GPtrArray *outputs, const char *name,
                           GError **error)
{
    Output *output = g_new0(Output, 1);
    g_ptr_array_add(outputs, output);
    output->path = g_build_filename(import->folder, name, NULL);
    output->replaces = g_file_test(output->path, G_FILE_TEST_EXISTS);
    output->file = storage_output_new(output->path, cmd_context_has(context, "force"), 0644, error);
    return output->file ? output : NULL;
}

static gboolean put(const CmdContext *context, const Import *import, GPtrArray *outputs, const char *name,
                    GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    const Output *output = open_output(context, import, outputs, name, error);
    return output && storage_output_write(output->file, bytes, size, error);
}

static gboolean put_file(const CmdContext *context, const Import *import, GPtrArray *outputs, const char *name,
                         const char *from, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GMappedFile) file = g_mapped_file_new(from, FALSE, &cause);
    if (!file) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the unpacked '%s' cannot be read: %s", name,
                    cause->message);
        return FALSE;
    }
    g_autoptr(GBytes) data = g_mapped_file_get_bytes(file);
    return put(context, import, outputs, name, data, error);
}

/* The first @count, as far as they are not yet. */
static gboolean commit(GPtrArray *outputs, guint count, GError **error)
{
    for (guint i = 0; i < count; i++) {
        Output *output = g_ptr_array_index(outputs, i);
        if (!output->committed && !storage_output_commit(output->file, error)) {
            return FALSE;
        }
        output->committed = TRUE;
    }
    return TRUE;
}

static gboolean open_folder(const CmdContext *context, Import *import, GError **error)
{
    const char *folder = cmd_context_get(context, "output-dir");
    if (!folder) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(folder);
    if (g_mkdir_with_parents(folder, 0755) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot make the folder '%s': %s", shown,
                    g_strerror(errno));
        return FALSE;
    }
    /* The domain XML needs absolute paths, and none that goes elsewhere tomorrow. */
    char *real = realpath(folder, NULL);
    import->folder = g_strdup(real);
    free(real);
    if (!import->folder) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot use the folder '%s': %s", shown,
                    g_strerror(errno));
    }
    return import->folder != NULL;
}

static gboolean put_archive(CmdContext *context, const Import *import, GPtrArray *outputs, GError **error)
{
    const StorageSnpguard *archive = import->archive;
    return put(context, import, outputs, STORAGE_SNPGUARD_CONFIG, archive->config, error) &&
           put_file(context, import, outputs, STORAGE_SNPGUARD_FIRMWARE, archive->firmware, error) &&
           put_file(context, import, outputs, STORAGE_SNPGUARD_KERNEL, archive->kernel, error) &&
           put_file(context, import, outputs, STORAGE_SNPGUARD_INITRD, archive->initrd, error) &&
           put(context, import, outputs, STORAGE_SNPGUARD_CMDLINE, archive->cmdline, error) &&
           put(context, import, outputs, STORAGE_SNPGUARD_ID_BLOCK, archive->id_block, error) &&
           put(context, import, outputs, STORAGE_SNPGUARD_ID_AUTH, archive->id_auth, error);
}

/* What lies there in the end is measured once more; the last two files say what came of it. */
static gboolean write_outputs(CmdContext *context, const Import *import, GPtrArray *outputs, GError **error)
{
    if (!put_archive(context, import, outputs, error)) {
        return FALSE;
    }
    Output *reference_output = open_output(context, import, outputs, "reference.json", error);
    Output *domain_output = reference_output ? open_output(context, import, outputs, "domain.xml", error) : NULL;
    if (!domain_output || !commit(outputs, ARCHIVE_FILES, error)) {
        return FALSE;
    }
    g_autoptr(CmdSubject) subject = measure(context, import, import->folder, error);
    if (!subject || !check_digest(context, import, subject, error)) {
        return FALSE;
    }
    g_autoptr(PolicyReference) reference =
        policy_reference_new(subject->domain, subject->evaluation, XML_ON_MISMATCH_REFUSE, error);
    if (!reference) {
        return FALSE;
    }
    policy_reference_set_source(reference, "snpguard");
    g_autofree gchar *document = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    return storage_output_write(reference_output->file, document, strlen(document), error) &&
           storage_output_write(domain_output->file, subject->xml, strlen(subject->xml), error) &&
           commit(outputs, outputs->len, error);
}

/* All files or none; only what --force has replaced by then stays replaced. */
static gboolean write_files(CmdContext *context, const Import *import, GError **error)
{
    g_autoptr(GPtrArray) outputs = g_ptr_array_new_with_free_func((GDestroyNotify)output_free);
    if (write_outputs(context, import, outputs, error)) {
        return TRUE;
    }
    for (guint i = 0; i < outputs->len; i++) {
        const Output *output = g_ptr_array_index(outputs, i);
        if (output->committed && !output->replaces) {
            unlink(output->path);
        }
    }
    return FALSE;
}

/* ---- import: the command ---- */

static gboolean read_archive(CmdContext *context, const char *path, Import *import, GError **error)
{
    gsize size = 0;
    const char *text = NULL;
    const char *name = cmd_context_get(context, "name");
    import->archive = storage_snpguard_open(path, error);
    if (!import->archive) {
        return FALSE;
    }
    text = g_bytes_get_data(import->archive->config, &size);
    import->config = exchange_launch_config_parse(text ? text : "", (gssize)size, error);
    if (!import->config) {
        return FALSE;
    }
    text = g_bytes_get_data(import->archive->cmdline, &size);
    import->cmdline = exchange_kernel_params_parse(text ? text : "", size, error);
    if (!import->cmdline ||
        !policy_id_block_parse(g_bytes_get_data(import->archive->id_block, NULL),
                               g_bytes_get_size(import->archive->id_block), &import->block, error) ||
        !policy_id_auth_verify(g_bytes_get_data(import->archive->id_block, NULL),
                               g_bytes_get_data(import->archive->id_auth, NULL),
                               g_bytes_get_size(import->archive->id_auth), author_key(import), &import->identity,
                               error)) {
        return FALSE;
    }
    import->name = g_strdup(name);
    if (!name) {
        import->name = g_path_get_basename(path);
        import->name[strcspn(import->name, ".")] = '\0';
    }
    return TRUE;
}

static void print_import(const CmdContext *context, const Import *import, const CmdSubject *subject)
{
    g_autofree gchar *digest = measure_hex_encode(import->block.digest, sizeof(import->block.digest));
    g_autofree gchar *image = measure_hex_encode(import->block.image_id, sizeof(import->block.image_id));
    g_autofree gchar *policy = policy_guest_describe(MEASURE_PLATFORM_SNP, import->block.policy);
    g_autofree gchar *flags = policy_guest_flags(MEASURE_PLATFORM_SNP, import->block.policy);
    g_autofree gchar *id_key =
        measure_hex_encode(import->identity.id_key_digest, sizeof(import->identity.id_key_digest));
    g_autofree gchar *author =
        import->identity.has_author_key
            ? measure_hex_encode(import->identity.author_key_digest, sizeof(import->identity.author_key_digest))
            : NULL;
    g_autofree gchar *domain = import->folder ? g_build_filename(import->folder, "domain.xml", NULL) : NULL;
    if (cmd_context_json(context)) {
        g_autoptr(JsonBuilder) builder = json_builder_new();
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", import->name);
        cmd_json_string(builder, "measurement", digest);
        cmd_json_string(builder, "cpu", import->config->vcpu_model);
        cmd_json_integer(builder, "vcpus", import->config->vcpu_count);
        cmd_json_string(builder, "policy", policy);
        cmd_json_string(builder, "policyFlags", flags);
        cmd_json_integer(builder, "level", subject->evaluation->level);
        cmd_json_string(builder, "imageId", image);
        cmd_json_string(builder, "idKeyDigest", id_key);
        cmd_json_string(builder, "authorKeyDigest", author);
        cmd_json_string(builder, "domainXml", domain);
        json_builder_end_object(builder);
        cmd_json_print(builder);
        return;
    }
    if (cmd_context_quiet(context)) {
        return;
    }
    g_autofree gchar *cpu = g_strdup_printf("%u of type %s", import->config->vcpu_count, import->config->vcpu_model);
    g_autofree gchar *level = g_strdup_printf("%u", subject->evaluation->level);
    cmd_print_field("Name", import->name);
    cmd_print_field("Measurement", digest);
    cmd_print_field("vCPUs", cpu);
    cmd_print_field("Policy", policy);
    cmd_print_field("Level", level);
    cmd_print_field("Image id", image);
    cmd_print_field("ID key", id_key);
    cmd_print_field("Author key", author);
    cmd_print_field("Domain XML", domain);
}

/* The temporary folder means nothing to anybody, and is gone when the message is read. */
static void hide_folder(const Import *import, GError **error)
{
    if (error && *error) {
        g_autofree gchar *folder = g_strconcat(storage_workdir_path(import->archive->workdir), "/", NULL);
        g_autoptr(GString) text = g_string_new((*error)->message);
        g_string_replace(text, folder, "the archive's ", 0);
        g_free((*error)->message);
        (*error)->message = g_strdup(text->str);
    }
}

int cmd_import_snpguard(CmdContext *context, const char *path, GError **error)
{
    g_auto(Import) import = {NULL};
    if (!read_archive(context, path, &import, error)) {
        return -1;
    }
    g_autoptr(CmdSubject) subject = measure(context, &import, NULL, error);
    if (!subject || !check_launch(context, &import, subject, error)) {
        hide_folder(&import, error);
        return -1;
    }
    cmd_report_warnings(context, subject->domain);
    if (!storage_interrupt_check(error) || !open_folder(context, &import, error) ||
        (import.folder && !write_files(context, &import, error))) {
        return -1;
    }
    storage_interrupt_done();
    print_import(context, &import, subject);
    return 0;
}
