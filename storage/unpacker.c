/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/unpacker.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    XZ_MEMORY = 128 * 1024 * 1024, /* a dictionary of 64 MiB, the largest that xz makes */
    GZIP_WINDOW = 15 + 16,         /* zlib: the largest window, in a gzip header */
    ZSTD_MAX_WINDOW = 27,          /* log2 of bytes: what the kernel takes, too */
};

struct StorageUnpacker {
    StorageUnpackStep (*step)(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                              gsize *out_size);
    lzma_stream xz;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static StorageUnpackStep xz_step(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                                 gsize *out_size)
{
    lzma_stream *stream = &unpacker->xz;
    lzma_ret result;

    stream->next_in = *in;
    stream->avail_in = *in_size;
    stream->next_out = *out;
    stream->avail_out = *out_size;
    result = lzma_code(stream, LZMA_RUN);
    *in = stream->next_in;
    *in_size = stream->avail_in;
    *out = stream->next_out;
    *out_size = stream->avail_out;
    /* It says BUF_ERROR when nothing could move, twice in a row: whoever calls sees that by itself. */
    return result == LZMA_OK || result == LZMA_BUF_ERROR ? STORAGE_UNPACK_MORE
           : result == LZMA_STREAM_END                   ? STORAGE_UNPACK_END
                                                         : STORAGE_UNPACK_DAMAGED;
}

static StorageUnpackStep gzip_step(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                                   gsize *out_size)
{
    z_stream *stream = &unpacker->gzip;
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
    return result == Z_OK || result == Z_BUF_ERROR ? STORAGE_UNPACK_MORE
           : result == Z_STREAM_END                ? STORAGE_UNPACK_END
                                                   : STORAGE_UNPACK_DAMAGED;
}

static StorageUnpackStep zstd_step(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                                   gsize *out_size)
{
    ZSTD_inBuffer input = {*in, *in_size, 0};
    ZSTD_outBuffer output = {*out, *out_size, 0};
    size_t result = ZSTD_decompressStream(unpacker->zstd, &output, &input);

    *in += input.pos;
    *in_size -= input.pos;
    *out += output.pos;
    *out_size -= output.pos;
    if (ZSTD_isError(result))
        return STORAGE_UNPACK_DAMAGED;
    return result == 0 ? STORAGE_UNPACK_END : STORAGE_UNPACK_MORE;
}

StorageUnpacker *storage_unpacker_new(const char *suffix)
{
    g_autoptr(StorageUnpacker) unpacker = g_new0(StorageUnpacker, 1);

    if (!strcmp(suffix, ".xz")) {
        unpacker->xz = (lzma_stream)LZMA_STREAM_INIT;
        if (lzma_stream_decoder(&unpacker->xz, XZ_MEMORY, 0) == LZMA_OK)
            unpacker->step = xz_step;
    } else if (!strcmp(suffix, ".gz")) {
        if (inflateInit2(&unpacker->gzip, GZIP_WINDOW) == Z_OK)
            unpacker->step = gzip_step;
    } else if (!strcmp(suffix, ".zst")) {
        unpacker->zstd = ZSTD_createDStream();
        if (unpacker->zstd) {
            ZSTD_DCtx_setParameter(unpacker->zstd, ZSTD_d_windowLogMax, ZSTD_MAX_WINDOW);
            unpacker->step = zstd_step;
        }
    }
    return unpacker->step ? g_steal_pointer(&unpacker) : NULL;
}

void storage_unpacker_free(StorageUnpacker *unpacker)
{
    if (!unpacker)
        return;
    if (unpacker->step == xz_step)
        lzma_end(&unpacker->xz);
    else if (unpacker->step == gzip_step)
        inflateEnd(&unpacker->gzip);
    else if (unpacker->step == zstd_step)
        ZSTD_freeDStream(unpacker->zstd);
    g_free(unpacker);
}

StorageUnpackStep storage_unpacker_step(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                                        gsize *out_size)
{
    return unpacker->step(unpacker, in, in_size, out, out_size);
}
