/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/unpack.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "storage/unpacker.h"

enum {
    FIRST_SIZE = 256 * 1024,
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, in a gzip header */
    ZSTD_LEVEL = 9,        /* the levels above cost seconds and save a few percent */
};

static GBytes *unpack_failed(GError **error, const char *name, const char *why)
{
    g_autofree gchar *shown = measure_printable(name);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': the compressed file %s", shown, why);
    return NULL;
}

static GBytes *run(const char *name, StorageUnpacker *unpacker, GBytes *data, gsize max_size, GError **error)
{
    gsize in_size = 0, size = FIRST_SIZE, done = 0;
    const guint8 *in = g_bytes_get_data(data, &in_size);
    g_autofree guint8 *out = NULL;
    StorageUnpackStep step = STORAGE_UNPACK_MORE;

    size = MIN(size, max_size + 1);
    out = g_malloc(size);
    while (step == STORAGE_UNPACK_MORE) {
        guint8 *at = out + done;
        gsize room = size - done, before_in = in_size, before_room = room;

        if (done > max_size)
            return unpack_failed(error, name, "is too large once unpacked");
        step = storage_unpacker_step(unpacker, &in, &in_size, &at, &room);
        done = size - room;
        if (step == STORAGE_UNPACK_MORE && !room) {
            size = MIN(size * 2, max_size + 1);
            out = g_realloc(out, size);
        } else if (step == STORAGE_UNPACK_MORE && in_size == before_in && room == before_room) {
            step = STORAGE_UNPACK_DAMAGED; /* no progress: the input ends too early */
        }
    }
    if (step == STORAGE_UNPACK_DAMAGED)
        return unpack_failed(error, name, "is damaged or cut short");
    if (in_size)
        return unpack_failed(error, name, "has something behind its end");
    if (done > max_size)
        return unpack_failed(error, name, "is too large once unpacked");
    return g_bytes_new_take(g_steal_pointer(&out), done);
}

GBytes *storage_unpack(const char *name, GBytes *data, gsize max_size, GError **error)
{
    static const char *const suffixes[] = {".xz", ".gz", ".zst"};

    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autoptr(StorageUnpacker) unpacker = NULL;

        if (!g_str_has_suffix(name, suffixes[i]))
            continue;
        unpacker = storage_unpacker_new(suffixes[i]);
        return unpacker ? run(name, unpacker, data, max_size, error)
                        : unpack_failed(error, name, "cannot be unpacked: no memory");
    }
    if (g_bytes_get_size(data) > max_size) {
        g_autofree gchar *shown = measure_printable(name);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' is too large", shown);
        return NULL;
    }
    return g_bytes_ref(data);
}

static GBytes *pack_failed(GError **error, const char *compression)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the initrd cannot be compressed with %s", compression);
    return NULL;
}

static GBytes *pack_zstd(GBytes *data, GError **error)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    gsize in_size = 0;
    const guint8 *in = g_bytes_get_data(data, &in_size);
    gsize room = ZSTD_compressBound(in_size);
    g_autofree guint8 *out = g_malloc(room);
    size_t size = 0;

    if (!context)
        return pack_failed(error, "zstd");
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size = ZSTD_compress2(context, out, room, in, in_size);
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(size))
        return pack_failed(error, "zstd");
    return g_bytes_new(out, size);
}

static GBytes *pack_gzip(GBytes *data, GError **error)
{
    z_stream stream = {0};
    gsize in_size = 0;
    const guint8 *in = g_bytes_get_data(data, &in_size);
    g_autofree guint8 *out = NULL;
    gsize room = 0;
    int result;

    /* zlib writes no name and the time 0 into the header. */
    if (in_size > G_MAXUINT32 ||
        deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return pack_failed(error, "gzip");
    room = deflateBound(&stream, (uLong)in_size);
    out = g_malloc(room);
    stream.next_in = (z_const Bytef *)in;
    stream.avail_in = (uInt)in_size;
    stream.next_out = out;
    stream.avail_out = (uInt)MIN(room, (gsize)G_MAXUINT32);
    result = deflate(&stream, Z_FINISH);
    room = stream.total_out;
    deflateEnd(&stream);
    return result == Z_STREAM_END ? g_bytes_new(out, room) : pack_failed(error, "gzip");
}

GBytes *storage_pack(const char *compression, GBytes *data, GError **error)
{
    if (!strcmp(compression, "zstd"))
        return pack_zstd(data, error);
    if (!strcmp(compression, "gzip"))
        return pack_gzip(data, error);
    return g_bytes_ref(data);
}
