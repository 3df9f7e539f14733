/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/unpack.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    FIRST_SIZE = 256 * 1024,
    XZ_MEMORY = 128 * 1024 * 1024, /* a dictionary of 64 MiB, the largest that xz makes */
    GZIP_WINDOW = 15 + 16,         /* zlib: the largest window, in a gzip header */
    ZSTD_LEVEL = 9,                /* the levels above cost seconds and save a few percent */
    ZSTD_MAX_WINDOW = 27,          /* log2 of bytes: what the kernel takes, too */
};

typedef enum { STEP_MORE, STEP_END, STEP_DAMAGED } Step;

/* Takes bytes from @in and puts bytes to @out; both move on. */
typedef Step (*Stepper)(gpointer state, const guint8 **in, gsize *in_size, guint8 **out, gsize *out_size);

static Step xz_step(gpointer state, const guint8 **in, gsize *in_size, guint8 **out, gsize *out_size)
{
    lzma_stream *stream = state;
    lzma_ret result;

    stream->next_in = *in;
    stream->avail_in = *in_size;
    stream->next_out = *out;
    stream->avail_out = *out_size;
    result = lzma_code(stream, LZMA_FINISH);
    *in = stream->next_in;
    *in_size = stream->avail_in;
    *out = stream->next_out;
    *out_size = stream->avail_out;
    return result == LZMA_OK ? STEP_MORE : result == LZMA_STREAM_END ? STEP_END : STEP_DAMAGED;
}

static Step gzip_step(gpointer state, const guint8 **in, gsize *in_size, guint8 **out, gsize *out_size)
{
    z_stream *stream = state;
    uInt given = (uInt)MIN(*in_size, (gsize)G_MAXUINT32), room = (uInt)MIN(*out_size, (gsize)G_MAXUINT32);
    int result;

    stream->next_in = (z_const Bytef *)*in;
    stream->avail_in = given;
    stream->next_out = *out;
    stream->avail_out = room;
    result = inflate(stream, Z_NO_FLUSH);
    *in += given - stream->avail_in;
    *in_size -= given - stream->avail_in;
    *out += room - stream->avail_out;
    *out_size -= room - stream->avail_out;
    return result == Z_OK ? STEP_MORE : result == Z_STREAM_END ? STEP_END : STEP_DAMAGED;
}

static Step zstd_step(gpointer state, const guint8 **in, gsize *in_size, guint8 **out, gsize *out_size)
{
    ZSTD_inBuffer input = {*in, *in_size, 0};
    ZSTD_outBuffer output = {*out, *out_size, 0};
    size_t result = ZSTD_decompressStream(state, &output, &input);

    *in += input.pos;
    *in_size -= input.pos;
    *out += output.pos;
    *out_size -= output.pos;
    if (ZSTD_isError(result))
        return STEP_DAMAGED;
    return result == 0 ? STEP_END : STEP_MORE;
}

static GBytes *unpack_failed(GError **error, const char *name, const char *why)
{
    g_autofree gchar *shown = measure_printable(name);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': the compressed file %s", shown, why);
    return NULL;
}

static GBytes *run(const char *name, Stepper stepper, gpointer state, GBytes *data, gsize max_size, GError **error)
{
    gsize in_size = 0, size = FIRST_SIZE, done = 0;
    const guint8 *in = g_bytes_get_data(data, &in_size);
    g_autofree guint8 *out = NULL;
    Step step = STEP_MORE;

    size = MIN(size, max_size + 1);
    out = g_malloc(size);
    while (step == STEP_MORE) {
        guint8 *at = out + done;
        gsize room = size - done, before_in = in_size, before_room = room;

        if (done > max_size)
            return unpack_failed(error, name, "is too large once unpacked");
        step = stepper(state, &in, &in_size, &at, &room);
        done = size - room;
        if (step == STEP_MORE && !room) {
            size = MIN(size * 2, max_size + 1);
            out = g_realloc(out, size);
        } else if (step == STEP_MORE && in_size == before_in && room == before_room) {
            step = STEP_DAMAGED; /* no progress: the input ends too early */
        }
    }
    if (step == STEP_DAMAGED)
        return unpack_failed(error, name, "is damaged or cut short");
    if (in_size)
        return unpack_failed(error, name, "has something behind its end");
    if (done > max_size)
        return unpack_failed(error, name, "is too large once unpacked");
    return g_bytes_new_take(g_steal_pointer(&out), done);
}

GBytes *storage_unpack(const char *name, GBytes *data, gsize max_size, GError **error)
{
    GBytes *result = NULL;

    if (g_str_has_suffix(name, ".xz")) {
        lzma_stream stream = LZMA_STREAM_INIT;

        if (lzma_stream_decoder(&stream, XZ_MEMORY, 0) != LZMA_OK)
            return unpack_failed(error, name, "cannot be unpacked: no memory");
        result = run(name, xz_step, &stream, data, max_size, error);
        lzma_end(&stream);
    } else if (g_str_has_suffix(name, ".gz")) {
        z_stream stream = {0};

        if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
            return unpack_failed(error, name, "cannot be unpacked: no memory");
        result = run(name, gzip_step, &stream, data, max_size, error);
        inflateEnd(&stream);
    } else if (g_str_has_suffix(name, ".zst")) {
        ZSTD_DStream *stream = ZSTD_createDStream();

        if (!stream)
            return unpack_failed(error, name, "cannot be unpacked: no memory");
        ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, ZSTD_MAX_WINDOW);
        result = run(name, zstd_step, stream, data, max_size, error);
        ZSTD_freeDStream(stream);
    } else if (g_bytes_get_size(data) > max_size) {
        g_autofree gchar *shown = measure_printable(name);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' is too large", shown);
    } else {
        result = g_bytes_ref(data);
    }
    return result;
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
