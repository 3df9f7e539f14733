/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layout is in QEMU's docs/interop/qcow2.rst. All numbers are big-endian. */
#include "storage/qcow2.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/disk-private.h"

enum {
    HEADER_V2_SIZE = 72,
    HEADER_V3_SIZE = 104,
    MAX_NAME = 1023,
    MAX_CHAIN = 64,
    EXTENSION_END = 0,
};
#define EXTENSION_BACKING_FORMAT 0xe2792acau
#define INCOMPATIBLE_CORRUPT (G_GUINT64_CONSTANT(1) << 1)
#define INCOMPATIBLE_DATA_FILE (G_GUINT64_CONSTANT(1) << 2)

void storage_qcow2_clear(StorageQcow2 *header)
{
    g_clear_pointer(&header->backing, g_free);
    g_clear_pointer(&header->backing_format, g_free);
}

static gboolean fail(GError **error, const char *what)
{
    g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, what);
    return FALSE;
}

static gboolean get_u32(MeasureBytes bytes, gsize offset, guint32 *out)
{
    return measure_bytes_u32(bytes, offset, out) && ((*out = GUINT32_SWAP_LE_BE(*out)), TRUE);
}

static gboolean get_u64(MeasureBytes bytes, gsize offset, guint64 *out)
{
    return measure_bytes_u64(bytes, offset, out) && ((*out = GUINT64_SWAP_LE_BE(*out)), TRUE);
}

gboolean storage_qcow2_has_magic(MeasureBytes bytes)
{
    return bytes.size >= 4 && memcmp(bytes.data, "QFI\xfb", 4) == 0;
}

/* A string of the header: no zero inside, nothing that could end a line of a message. */
static gchar *get_text(MeasureBytes bytes, gsize offset, gsize size)
{
    MeasureBytes text;
    if (!measure_bytes_slice(bytes, offset, size, &text) || memchr(text.data, '\0', text.size)) {
        return NULL;
    }
    return g_strndup((const char *)text.data, text.size);
}

static gboolean find_backing_format(MeasureBytes bytes, gsize at, StorageQcow2 *out, GError **error)
{
    for (;;) {
        guint32 type = 0, size = 0;
        /* Before version 3 some tools wrote nothing behind the header, not even the end. */
        if (!get_u32(bytes, at, &type) || type == EXTENSION_END) {
            return TRUE;
        }
        if (!get_u32(bytes, at + 4, &size) || size > bytes.size - at - 8) {
            return fail(error, "broken qcow2 header: an extension is cut off");
        }
        if (type == EXTENSION_BACKING_FORMAT) {
            g_free(out->backing_format);
            out->backing_format = get_text(bytes, at + 8, size);
            if (!out->backing_format) {
                return fail(error, "broken qcow2 header: the format of the backing file is no text");
            }
        }
        at += 8 + (((gsize)size + 7) & ~(gsize)7);
    }
}

gboolean storage_qcow2_parse(MeasureBytes bytes, StorageQcow2 *out, GError **error)
{
    guint32 version = 0, name_size = 0, crypt = 0, header_size = HEADER_V2_SIZE;
    guint64 name_offset = 0, incompatible = 0;
    if (!storage_qcow2_has_magic(bytes)) {
        return fail(error, "not a qcow2 image; name its format with --format");
    }
    if (bytes.size < HEADER_V2_SIZE || !get_u32(bytes, 4, &version) || !get_u64(bytes, 8, &name_offset) ||
        !get_u32(bytes, 16, &name_size) || !get_u64(bytes, 24, &out->virtual_size) || !get_u32(bytes, 32, &crypt)) {
        return fail(error, "broken qcow2 header: too short");
    }
    if (version != 2 && version != 3) {
        return fail(error, "this version of qcow2 is not known");
    }
    if (version == 3 && (!get_u64(bytes, 72, &incompatible) || !get_u32(bytes, 100, &header_size) ||
                         header_size < HEADER_V3_SIZE || header_size > bytes.size || header_size % 8 != 0)) {
        return fail(error, "broken qcow2 header: its length is not possible");
    }
    if (incompatible & INCOMPATIBLE_CORRUPT) {
        return fail(error, "the image is marked as damaged; see 'qemu-img check'");
    }
    if (incompatible & INCOMPATIBLE_DATA_FILE) {
        return fail(error, "the image keeps its data in another file; convert it with 'qemu-img convert -O qcow2'");
    }
    if (crypt != 0) {
        return fail(error, "the image is encrypted; convert it with 'qemu-img convert -O qcow2'");
    }
    if (name_offset == 0) {
        return TRUE;
    }
    if (name_size == 0 || name_size > MAX_NAME || name_offset > bytes.size || name_offset < header_size ||
        !(out->backing = get_text(bytes, (gsize)name_offset, name_size))) {
        return fail(error, "broken qcow2 header: the name of the backing file is not possible");
    }
    /* "json:{…}", "nbd://…", "fat:…": QEMU would open a network connection, or whatever the image's author thought of.
     * The same test as QEMU's: a protocol ends at the first colon before any slash. */
    if (out->backing[strcspn(out->backing, ":/")] == ':') {
        return fail(error, "the backing file is not a plain file; convert the image with 'qemu-img convert -O qcow2'");
    }
    return find_backing_format(bytes, header_size, out, error);
}

/* One file of the chain: free of writers, and its header where it is a qcow2 one. */
static gboolean read_layer(const char *path, gboolean qcow2, StorageQcow2 *header, GError **error)
{
    int fd = storage_disk_open_file(path, error);
    if (fd < 0) {
        return FALSE;
    }
    g_autofree guint8 *data = g_malloc(STORAGE_QCOW2_HEADER_MAX);
    ssize_t size = 0;
    gboolean good = storage_disk_lock(fd, path, error);
    if (good && qcow2) {
        size = pread(fd, data, STORAGE_QCOW2_HEADER_MAX, 0);
        good = size >= 0 ? storage_qcow2_parse((MeasureBytes){data, (gsize)size}, header, error)
                         : storage_disk_fail_errno(error, path, errno);
        if (!good && size >= 0) {
            g_autofree gchar *shown = measure_printable(path);
            g_prefix_error(error, "'%s': ", shown);
        }
    }
    close(fd);
    return good;
}

GPtrArray *storage_qcow2_chain(const char *path, GError **error)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *next = g_strdup(path);
    gboolean qcow2 = TRUE;
    while (next) {
        if (chain->len == MAX_CHAIN) {
            storage_disk_fail(error, path, "more than %d backing files", MAX_CHAIN);
            return NULL;
        }
        g_auto(StorageQcow2) header = {0};
        const char *current = next;
        g_ptr_array_add(chain, next);
        next = NULL;
        if (!read_layer(current, qcow2, &header, error)) {
            if (chain->len > 1) {
                g_autofree gchar *shown = measure_printable(g_ptr_array_index(chain, chain->len - 2));
                g_prefix_error(error, "backing file of '%s': ", shown);
            }
            return NULL;
        }
        if (!header.backing) {
            break;
        }
        qcow2 = g_strcmp0(header.backing_format, "qcow2") == 0;
        if (!header.backing_format) {
            storage_disk_fail(error, current,
                              "the format of the backing file is not stated, so a guest could choose it; "
                              "state it with 'qemu-img rebase -u -F FORMAT -b FILE'");
            return NULL;
        }
        if (!qcow2 && !g_str_equal(header.backing_format, "raw")) {
            storage_disk_fail(error, current, "the backing file is neither qcow2 nor raw");
            return NULL;
        }
        g_autofree gchar *folder = g_path_get_dirname(current);
        next = g_path_is_absolute(header.backing) ? g_strdup(header.backing)
                                                  : g_build_filename(folder, header.backing, NULL);
    }
    return g_steal_pointer(&chain);
}
