/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cloud image is hostile until proven otherwise, and it is never proven. Its file systems are read in a virtual
 * machine (guestfs-helper.c); here arrives a tar stream, which storage/root-tree.c takes as it takes any other. The only bytes
 * of the image that are parsed here are the qcow2 header's, to be sure that no other file of this machine is read as a
 * part of it.
 */
#include "storage/image-import.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "measure/file.h"
#include "measure/hash.h"
#include "storage/process.h"
#include "storage/qcow2.h"
#include "storage/workdir.h"

#define FACTS_MAX (64 * 1024)
#define SOURCE_MAX (G_GUINT64_CONSTANT(8) << 40)
#define EPOCH_MAX (G_GINT64_CONSTANT(1) << 33)
#define MIB (G_GUINT64_CONSTANT(1) << 20)

/* What guestfs-helper says about the image. */
typedef struct {
    gchar *product;
    gint64 epoch;
    guint64 used, disk_size; /* bytes */
} Facts;

static void facts_clear(Facts *facts) { g_free(facts->product); }
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Facts, facts_clear)

static gboolean bad_facts(GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "guestfs-helper said nothing that can be understood");
    return FALSE;
}

/* The helper writes them when it has found the system, or ends without: then its own words tell why. */
static gchar *read_facts(StorageProcess *process, const StorageImageOptions *image, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    ssize_t got;

    if (!storage_process_await(process, storage_process_facts(process), image->progress, image->progress_data, error))
        return NULL;
    while ((got = read(storage_process_facts(process), buffer, sizeof buffer)) != 0 && text->len < FACTS_MAX) {
        if (!storage_interrupt_check(error))
            return NULL;
        if (got > 0)
            g_string_append_len(text, buffer, got);
        else if (errno != EINTR)
            break;
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean parse_facts(const char *text, Facts *out, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root = json_parser_load_from_data(parser, text, -1, NULL) ? json_parser_get_root(parser) : NULL;
    JsonObject *object = root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
    gint64 used = object ? json_object_get_int_member_with_default(object, "usedKib", -1) : -1;
    gint64 size = object ? json_object_get_int_member_with_default(object, "diskSize", -1) : -1;

    if (used < 0 || used > (gint64)(SOURCE_MAX / 1024) || size < 0 || (guint64)size > SOURCE_MAX)
        return bad_facts(error);
    out->product = g_strdup(json_object_get_string_member_with_default(object, "product", ""));
    out->epoch = CLAMP(json_object_get_int_member_with_default(object, "epoch", 0), 1, EPOCH_MAX);
    out->used = (guint64)used * 1024;
    out->disk_size = (guint64)size;
    return TRUE;
}

/* QEMU would open what the header names: a file of this machine would become a part of the guest. */
static gboolean check_source(const MeasureFile *file, StorageFormat format, GError **error)
{
    g_auto(StorageQcow2) header = {0};
    g_autofree guint8 *bytes = g_malloc0(STORAGE_QCOW2_HEADER_MAX);
    gsize size = (gsize)MIN(file->input->size, STORAGE_QCOW2_HEADER_MAX);
    MeasureBytes view = {bytes, size};
    g_autofree gchar *printable = measure_printable(file->input->path);

    if (!measure_file_read(file, 0, bytes, size, error))
        return FALSE;
    if (format != STORAGE_FORMAT_QCOW2) {
        if (!storage_qcow2_has_magic(view))
            return TRUE;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "'%s' begins like a qcow2 image and is to be read as a raw one: say --format qcow2", printable);
        return FALSE;
    }
    if (!storage_qcow2_parse(view, &header, error)) {
        g_prefix_error(error, "'%s': ", printable);
        return FALSE;
    }
    if (!header.backing)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "'%s' names a backing file: a cloud image is one file; make it one with qemu-img convert", printable);
    return FALSE;
}

static gchar *helper_path(void)
{
    const char *folder = g_getenv("VIRT_ATTEST_LIBEXEC");

    return g_build_filename(folder && *folder == '/' ? folder : LIBEXEC_DIRECTORY, "guestfs-helper", NULL);
}

static StorageProcess *start_helper(const char *source, StorageFormat format, const StorageWorkdir *workdir, GError **error)
{
    g_autofree gchar *program = helper_path();
    g_autofree gchar *path = g_canonicalize_filename(source, NULL);
    g_autofree gchar *temporary = g_strconcat("TMPDIR=", storage_workdir_path(workdir), NULL);
    const char *argv[] = {program, format == STORAGE_FORMAT_QCOW2 ? "qcow2" : "raw", path, NULL};
    const char *environment[] = {temporary, "LC_ALL=C.UTF-8", NULL};
    const StorageProcessOptions options = {.environment = environment, .want_output = TRUE, .want_facts = TRUE};

    if (access(program, X_OK) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "'%s' is missing: install the part of virt-attest that imports images (it needs libguestfs)", program);
        return NULL;
    }
    return storage_process_start(argv, &options, error);
}

/* As large as the cloud image, unless what is in it would not fit beside our system partition and journal. */
static guint64 choose_size(const Facts *facts)
{
    guint64 needed = facts->used + facts->used / 4 + 640 * MIB;

    return CLAMP(MAX(facts->disk_size, needed) / MIB * MIB, STORAGE_IMAGE_SIZE_MIN, STORAGE_IMAGE_SIZE_MAX);
}

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    measure_hash_update(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void make_seed(const guint8 *digest, const StorageImageOptions *image, guint8 seed[STORAGE_IMAGE_SEED_SIZE])
{
    g_autoptr(EVP_MD_CTX) hash = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree gchar *numbers = g_strdup_printf("%" G_GUINT64_FORMAT " %d", image->size, image->clean.console_login);

    hash_text(hash, "virt-attest image-import 1");
    measure_hash_update(hash, digest, 32);
    hash_text(hash, numbers);
    hash_text(hash, image->clean.hostname);
    hash_text(hash, image->clean.keys);
    if (image->clean.agent) {
        gsize agent_size = 0;
        gconstpointer agent = g_bytes_get_data(image->clean.agent, &agent_size);

        hash_text(hash, "report agent");
        measure_hash_update(hash, agent, agent_size);
    }
    measure_hash_finish(hash, seed);
}

static JsonNode *describe(const MeasureFile *file, StorageFormat format, const Facts *facts)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree gchar *digest = measure_hex_encode(file->input->sha256, 32);
    g_autofree gchar *name = g_path_get_basename(file->input->path);
    g_autofree gchar *printable = measure_printable(name);

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "kind");
    json_builder_add_string_value(builder, "import");
    json_builder_set_member_name(builder, "name");
    json_builder_add_string_value(builder, printable);
    json_builder_set_member_name(builder, "format");
    json_builder_add_string_value(builder, format == STORAGE_FORMAT_QCOW2 ? "qcow2" : "raw");
    json_builder_set_member_name(builder, "sha256");
    json_builder_add_string_value(builder, digest);
    json_builder_set_member_name(builder, "product");
    json_builder_add_string_value(builder, facts->product);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

/* The helper's last line is its error, in full; its exit code one of ours. */
static gboolean take_failure(StorageProcess *process, const char *source, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *line = NULL;
    g_autofree gchar *printable = measure_printable(source);
    int code;

    if (storage_process_wait(process, "read the image", &cause))
        return bad_facts(error);
    line = storage_process_last_lines(process, 1);
    code = storage_process_exit_code(process);
    if (!storage_interrupt_check(NULL) || !*line || code < ATTEST_ERROR_REJECTED || code > ATTEST_ERROR_LIBVIRT)
        g_propagate_error(error, g_steal_pointer(&cause));
    else
        g_set_error(error, ATTEST_ERROR, code, "cannot import '%s': %s", printable, line);
    return FALSE;
}

static StorageImageMaker *fill(StorageProcess *process, const MeasureFile *file, StorageImageOptions *image, Facts *facts,
                               GError **error)
{
    g_autoptr(StorageImageMaker) maker = NULL;
    g_autoptr(GError) reading = NULL;
    g_autofree gchar *text = read_facts(process, image, error);
    guint8 seed[STORAGE_IMAGE_SEED_SIZE];
    gboolean filled;

    if (!text)
        return NULL;
    if (!*text) {
        take_failure(process, file->input->path, error);
        return NULL;
    }
    if (!parse_facts(text, facts, error))
        return NULL;
    if (!image->size)
        image->size = choose_size(facts);
    make_seed(file->input->sha256, image, seed);
    maker = storage_image_maker_new(image, seed, facts->epoch, error);
    if (!maker)
        return NULL;
    filled = storage_image_maker_fill(maker, storage_process_output(process), &reading) != NULL;
    if (!filled && !storage_process_ended(process)) {
        g_propagate_error(error, g_steal_pointer(&reading));
        return NULL;
    }
    if (!storage_process_wait(process, "read the image", error))
        return NULL;
    if (!filled) {
        g_propagate_error(error, g_steal_pointer(&reading));
        return NULL;
    }
    return g_steal_pointer(&maker);
}

static gboolean import(const char *source, StorageFormat format, StorageImageOptions *image, GError **error)
{
    g_auto(Facts) facts = {0};
    g_autoptr(StorageWorkdir) workdir = NULL;
    g_autoptr(MeasureFile) file = NULL;
    g_autoptr(StorageProcess) process = NULL;
    g_autoptr(StorageImageMaker) maker = NULL;
    g_autoptr(JsonNode) described = NULL;

    if (!storage_image_check_output(image->output, image->force, image->store, error) || !measure_hash_ready(error))
        return FALSE;
    file = measure_file_open("cloud image", source, SOURCE_MAX, error);
    if (!file || !check_source(file, format, error) || !measure_file_hash(file, error))
        return FALSE;
    workdir = storage_workdir_new(error);
    process = workdir ? start_helper(source, format, workdir, error) : NULL;
    maker = process ? fill(process, file, image, &facts, error) : NULL;
    if (!maker || !measure_file_unchanged(file, error))
        return FALSE;
    described = describe(file, format, &facts);
    return storage_image_maker_finish(maker, described, NULL, error);
}

gboolean storage_image_import(const char *source, StorageFormat format, const StorageImageOptions *image, GError **error)
{
    StorageImageOptions options = *image;

    if (format == STORAGE_FORMAT_BY_NAME)
        format = g_str_has_suffix(source, ".qcow2") ? STORAGE_FORMAT_QCOW2 : STORAGE_FORMAT_RAW;
    options.clean.imported = TRUE;
    return import(source, format, &options, error);
}
