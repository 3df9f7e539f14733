/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/image-make.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/hash.h"
#include "storage/base.h"
#include "storage/gpt-write.h"
#include "storage/image-boot.h"
#include "storage/output.h"
#include "storage/process.h"

#define MIB (G_GUINT64_CONSTANT(1) << 20)
#define ESP_OFFSET MIB
#define ESP_LENGTH (256 * MIB)
#define ROOT_OFFSET (ESP_OFFSET + ESP_LENGTH)
/* Bases are read-only by nature: every overlay takes its blocks from them. */
#define OUTPUT_MODE 0444

#define TYPE_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define TYPE_ROOT_X86_64 "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"

struct StorageImageMaker {
    const StorageImageOptions *options;
    guint8 seed[STORAGE_IMAGE_SEED_SIZE];
    gint64 epoch;
    guint64 size, root_length;
    StorageOutput *raw; /* never gets a name */
    StorageOutput *image, *manifest, *packages;
    StorageExt4 *ext4;
    StorageRoot *tree;
    const char *loader;
    guint8 disk_id[16], esp_id[16], root_id[16], file_system_id[16];
};

static gchar *beside(const char *output, const char *suffix) { return g_strconcat(output, suffix, NULL); }

gboolean storage_image_check_output(const char *output, gboolean force, PolicyStore *store, GError **error)
{
    static const char *const suffixes[] = {"", ".manifest.json", ".packages", NULL};

    /* Replacing it would change every overlay under its feet. */
    if (force && g_file_test(output, G_FILE_TEST_EXISTS) && storage_base_in_use(output, store, error))
        return FALSE;
    for (const char *const *suffix = suffixes; *suffix; suffix++) {
        g_autofree gchar *path = beside(output, *suffix);
        g_autoptr(StorageOutput) probe = storage_output_new(path, force, OUTPUT_MODE, error);

        if (!probe)
            return FALSE;
    }
    return TRUE;
}

/* An identifier for @purpose: a UUID of version 8 (RFC 9562), that of whoever chooses the bits. @swapped: as in a GPT. */
static void derive_id(const guint8 *seed, const char *purpose, gboolean swapped, guint8 id[16])
{
    g_autoptr(EVP_MD_CTX) hash = measure_hash_new(MEASURE_HASH_SHA256);
    guint8 digest[32];

    measure_hash_update(hash, seed, STORAGE_IMAGE_SEED_SIZE);
    measure_hash_update(hash, purpose, strlen(purpose));
    measure_hash_finish(hash, digest);
    memcpy(id, digest, 16);
    id[swapped ? 7 : 6] = (guint8)((id[swapped ? 7 : 6] & 0x0f) | 0x80);
    id[8] = (guint8)((id[8] & 0x3f) | 0x80);
}

static gboolean write_table(StorageImageMaker *maker, GError **error)
{
    StorageGptPartition partitions[] = {{.offset = ESP_OFFSET, .length = ESP_LENGTH, .name = "ESP"},
                                        {.offset = ROOT_OFFSET, .length = maker->root_length, .name = "root"}};

    measure_guid_parse(TYPE_ESP, partitions[0].type);
    measure_guid_parse(TYPE_ROOT_X86_64, partitions[1].type);
    memcpy(partitions[0].id, maker->esp_id, 16);
    memcpy(partitions[1].id, maker->root_id, 16);
    return storage_gpt_write(storage_output_fd(maker->raw), maker->size, maker->disk_id, partitions,
                             G_N_ELEMENTS(partitions), error);
}

StorageImageMaker *storage_image_maker_new(const StorageImageOptions *options,
                                           const guint8 seed[STORAGE_IMAGE_SEED_SIZE], gint64 epoch, GError **error)
{
    g_autoptr(StorageImageMaker) maker = g_new0(StorageImageMaker, 1);
    g_autofree gchar *manifest = beside(options->output, ".manifest.json");
    g_autofree gchar *packages = beside(options->output, ".packages");

    if (!measure_hash_ready(error))
        return NULL;
    maker->options = options;
    maker->epoch = epoch;
    memcpy(maker->seed, seed, sizeof maker->seed);
    maker->size = options->size / MIB * MIB;
    maker->root_length = maker->size - ROOT_OFFSET - MIB;
    derive_id(seed, "disk", TRUE, maker->disk_id);
    derive_id(seed, "esp", TRUE, maker->esp_id);
    derive_id(seed, "root", TRUE, maker->root_id);
    derive_id(seed, "file system", FALSE, maker->file_system_id);
    maker->image = storage_output_new(options->output, options->force, OUTPUT_MODE, error);
    maker->manifest = maker->image ? storage_output_new(manifest, options->force, OUTPUT_MODE, error) : NULL;
    maker->packages = maker->manifest ? storage_output_new(packages, options->force, OUTPUT_MODE, error) : NULL;
    /* In the same folder: who has room there for the image has room for what it is made from. */
    maker->raw = maker->packages ? storage_output_new(options->output, TRUE, 0600, error) : NULL;
    if (!maker->raw)
        return NULL;
    if (ftruncate(storage_output_fd(maker->raw), (off_t)maker->size) < 0) {
        g_autofree gchar *printable = measure_printable(options->output);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot make a disk of %" G_GUINT64_FORMAT " MiB beside '%s': %s",
                    maker->size / MIB, printable, g_strerror(errno));
        return NULL;
    }
    if (!write_table(maker, error))
        return NULL;
    maker->ext4 = storage_ext4_new(storage_output_fd(maker->raw), ROOT_OFFSET, maker->root_length, maker->file_system_id, epoch,
                                   error);
    return maker->ext4 ? g_steal_pointer(&maker) : NULL;
}

void storage_image_maker_free(StorageImageMaker *maker)
{
    if (!maker)
        return;
    storage_ext4_free(maker->ext4);
    storage_root_free(maker->tree);
    storage_output_free(maker->raw);
    storage_output_free(maker->packages);
    storage_output_free(maker->manifest);
    storage_output_free(maker->image);
    g_free(maker);
}

const StorageRoot *storage_image_maker_fill(StorageImageMaker *maker, int tar, GError **error)
{
    const StorageImageOptions *options = maker->options;

    maker->tree = storage_root_write(tar, &options->clean, maker->ext4, maker->epoch, options->progress,
                                     options->progress_data, error);
    return maker->tree;
}

/* Copies the raw disk into the qcow2 file; both are open here and named by their numbers in the child. */
static gboolean convert(StorageImageMaker *maker, GError **error)
{
    int from = fcntl(storage_output_fd(maker->raw), F_DUPFD, 10), to = fcntl(storage_output_fd(maker->image), F_DUPFD, 10);
    g_autofree gchar *source = g_strdup_printf("/proc/self/fd/%d", from);
    g_autofree gchar *target = g_strdup_printf("/proc/self/fd/%d", to);
    /* One coroutine: clusters are allocated in the order in which they are written. */
    const char *argv[] = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-m", "1", "-t", "writeback", "-o",
                          "compat=1.1,cluster_size=65536,lazy_refcounts=off", source, target, NULL};
    gboolean good = FALSE;

    if (from < 0 || to < 0 || fchmod(to, 0600) < 0)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot convert the disk: %s", g_strerror(errno));
    else
        good = storage_process_run(argv, NULL, "convert the disk to qcow2", error) && fchmod(to, OUTPUT_MODE) == 0;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return good;
}

static gboolean hash_file(StorageImageMaker *maker, int fd, guint8 digest[32], guint64 *size, GError **error)
{
    g_autoptr(EVP_MD_CTX) hash = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree guint8 *buffer = g_malloc(MIB);
    ssize_t got;

    *size = 0;
    while ((got = pread(fd, buffer, MIB, (off_t)*size)) != 0) {
        if (!storage_interrupt_check(error))
            return FALSE;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read the image back: %s", g_strerror(errno));
            return FALSE;
        }
        measure_hash_update(hash, buffer, (gsize)got);
        *size += (guint64)got;
    }
    measure_hash_finish(hash, digest);
    return TRUE;
}

static void member(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void number(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

static void partition(JsonBuilder *builder, const char *name, guint which, guint64 offset, guint64 length, const guint8 *id)
{
    g_autofree gchar *uuid = measure_guid_format(id);

    json_builder_set_member_name(builder, name);
    json_builder_begin_object(builder);
    number(builder, "number", which);
    number(builder, "offset", offset);
    number(builder, "length", length);
    member(builder, "uuid", uuid);
}

static gchar *uuid_text(const guint8 id[16])
{
    g_autofree gchar *hex = measure_hex_encode(id, 16);

    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void add_tree(JsonBuilder *builder, const StorageImageMaker *maker)
{
    const StorageRoot *tree = maker->tree;

    json_builder_set_member_name(builder, "distribution");
    json_builder_begin_object(builder);
    member(builder, "id", tree->id);
    member(builder, "version", tree->version);
    member(builder, "name", tree->pretty);
    json_builder_end_object(builder);
    member(builder, "bootLoader", maker->loader);
    member(builder, "kernel", g_ptr_array_index(tree->kernels, tree->kernels->len - 1));
    json_builder_set_member_name(builder, "reportAgent");
    if (maker->options->clean.agent) {
        g_autofree gchar *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, maker->options->clean.agent);

        json_builder_begin_object(builder);
        member(builder, "path", "/" STORAGE_CLEAN_AGENT_PATH);
        member(builder, "sha256", digest);
        json_builder_end_object(builder);
    } else {
        json_builder_add_null_value(builder);
    }
    json_builder_set_member_name(builder, "packages");
    json_builder_begin_array(builder);
    for (guint i = 0; i < tree->packages->len; i++) {
        const StoragePackage *package = g_ptr_array_index(tree->packages, i);

        json_builder_begin_object(builder);
        member(builder, "name", package->name);
        member(builder, "version", package->version);
        member(builder, "architecture", package->architecture);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static gchar *manifest_text(const StorageImageMaker *maker, JsonNode *source, const guint8 digest[32], guint64 size)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree gchar *hex = measure_hex_encode(digest, 32);
    g_autofree gchar *file_system = uuid_text(maker->file_system_id);
    g_autofree gchar *text = NULL;

    json_builder_begin_object(builder);
    member(builder, "format", STORAGE_IMAGE_FORMAT);
    member(builder, "tool", "virt-attest " VERSION);
    number(builder, "created", (guint64)maker->epoch);
    json_builder_set_member_name(builder, "image");
    json_builder_begin_object(builder);
    member(builder, "format", "qcow2");
    number(builder, "size", size);
    member(builder, "sha256", hex);
    number(builder, "virtualSize", maker->size);
    json_builder_end_object(builder);
    json_builder_set_member_name(builder, "source");
    json_builder_add_value(builder, json_node_copy(source));
    json_builder_set_member_name(builder, "partitions");
    json_builder_begin_object(builder);
    partition(builder, "esp", 1, ESP_OFFSET, ESP_LENGTH, maker->esp_id);
    json_builder_end_object(builder);
    partition(builder, "root", 2, ROOT_OFFSET, maker->root_length, maker->root_id);
    member(builder, "fileSystem", "ext4");
    member(builder, "fileSystemUuid", file_system);
    json_builder_end_object(builder);
    json_builder_end_object(builder);
    add_tree(builder, maker);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    json_generator_set_root(generator, root);
    json_generator_set_pretty(generator, TRUE);
    text = json_generator_to_data(generator, NULL);
    return g_strconcat(text, "\n", NULL);
}

static gchar *packages_text(const StorageRoot *tree, const char *head)
{
    GString *text = g_string_new(head ? head : "");

    for (guint i = 0; i < tree->packages->len; i++) {
        const StoragePackage *package = g_ptr_array_index(tree->packages, i);

        g_string_append_printf(text, "%s:%s=%s\n", package->name, package->architecture, package->version);
    }
    return g_string_free(text, FALSE);
}

static void show(const StorageImageMaker *maker, const char *what)
{
    if (maker->options->progress)
        maker->options->progress(what, 0, 0, maker->options->progress_data);
}

static gboolean check_tree(const StorageImageMaker *maker, GError **error)
{
    if (maker->tree && maker->tree->kernels->len > 0)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "there is no kernel in this root file system that has both /boot/vmlinuz-RELEASE and its modules: install one");
    return FALSE;
}

static gboolean write_esp(StorageImageMaker *maker, GError **error)
{
    guint32 serial = (guint32)maker->seed[0] | (guint32)maker->seed[1] << 8 | (guint32)maker->seed[2] << 16 |
                     (guint32)maker->seed[3] << 24;
    g_autofree gchar *root_uuid = measure_guid_format(maker->root_id);

    return storage_image_boot_write(storage_output_fd(maker->raw), ESP_OFFSET, ESP_LENGTH, serial, maker->epoch, root_uuid,
                                    maker->tree->id ? maker->tree->id : "debian", maker->options->init, &maker->loader, error);
}

/* The image last: who finds it finds the others. What was new goes again when it does not get that far. */
static gboolean commit(StorageImageMaker *maker, GError **error)
{
    g_autofree gchar *manifest = beside(maker->options->output, ".manifest.json");
    g_autofree gchar *packages = beside(maker->options->output, ".packages");

    if (!storage_interrupt_check(error) || !storage_output_commit(maker->packages, error))
        return FALSE;
    if (storage_output_commit(maker->manifest, error)) {
        if (storage_output_commit(maker->image, error))
            return TRUE;
        if (!maker->options->force)
            unlink(manifest);
    }
    if (!maker->options->force)
        unlink(packages);
    return FALSE;
}

gboolean storage_image_maker_finish(StorageImageMaker *maker, JsonNode *source, const char *packages_head, GError **error)
{
    guint8 digest[32];
    guint64 size = 0;
    g_autofree gchar *manifest = NULL;
    g_autofree gchar *packages = NULL;

    if (!check_tree(maker, error))
        return FALSE;
    show(maker, "writing folders");
    if (!storage_ext4_finish(maker->ext4, error))
        return FALSE;
    show(maker, "making the EFI partition");
    if (!write_esp(maker, error))
        return FALSE;
    show(maker, "converting to qcow2");
    if (!convert(maker, error))
        return FALSE;
    show(maker, "hashing the image");
    if (!hash_file(maker, storage_output_fd(maker->image), digest, &size, error))
        return FALSE;
    manifest = manifest_text(maker, source, digest, size);
    packages = packages_text(maker->tree, packages_head);
    return storage_output_write(maker->manifest, manifest, strlen(manifest), error) &&
           storage_output_write(maker->packages, packages, strlen(packages), error) && commit(maker, error);
}
