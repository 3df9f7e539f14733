/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/firmware-volume.h"

#include <lzma.h>
#include <string.h>

#define OUTPUT_MAX (64u * 1024 * 1024)                  /* decompressed bytes, over all sections of one file */
#define DICTIONARY_MAX (32u * 1024 * 1024)              /* OVMF uses 16 MiB */
#define DECODER_MAX (DICTIONARY_MAX + 8u * 1024 * 1024) /* memory of one decoder */
#define LZMA_SECTIONS_MAX 64
#define DEPTH_MAX 12
#define CHUNK (64u * 1024)

#define VOLUME_HEADER_MIN 56u
#define VOLUME_HEADER_MAX 4096u
#define VOLUME_ALIGNMENT 8u
#define SEARCH_MAX (4u * 1024 * 1024) /* bytes of possible volume headers that are added up, in the whole file */
#define FILE_HEADER_SIZE 24u
#define FILE_HEADER2_SIZE 32u
#define FILE_ATTRIBUTE_LARGE 0x01

enum {
    FILE_TYPE_RAW = 0x01,
    FILE_TYPE_PAD = 0xf0,
};

enum {
    SECTION_COMPRESSION = 0x01,
    SECTION_GUID_DEFINED = 0x02,
    SECTION_PE32 = 0x10,
    SECTION_PIC = 0x11,
    SECTION_TE = 0x12,
    SECTION_USER_INTERFACE = 0x15,
    SECTION_VOLUME_IMAGE = 0x17,
};

#define GUID_DEFINED_PROCESSING_REQUIRED 0x01

/* One walk through one file. */
typedef struct {
    guint8 lzma_guid[MEASURE_GUID_SIZE];
    guint8 ffs2_guid[MEASURE_GUID_SIZE], ffs3_guid[MEASURE_GUID_SIZE], nvram_guid[MEASURE_GUID_SIZE];
    const MeasureVolumeVisitor *visitor;
    MeasureVolumeTrouble *trouble;
    MeasureModule *module; /* the innermost one that is being read */
    guint64 output_left;
    guint lzma_sections;
    guint8 *buffer; /* MEASURE_VOLUME_OVERLAP + CHUNK bytes */
} Walk;

static void module_clear(MeasureModule *module)
{
    g_free(module->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MeasureModule, module_clear)

/* The first trouble is the one worth telling. Returns FALSE, so that it can end a function. */
static gboolean walk_damaged(Walk *walk, const char *what)
{
    if (!walk->trouble->damaged)
        walk->trouble->damaged = g_strdup(what);
    return FALSE;
}

static void walk_unread(Walk *walk, const char *what)
{
    if (!walk->trouble->unread)
        walk->trouble->unread = g_strdup(what);
}

/* Bytes that are read front to back: a piece of the file, or what an LZMA section decompresses to. */
typedef struct {
    Walk *walk;
    MeasureBytes input;
    guint64 position; /* bytes read so far */
    gboolean compressed;
    lzma_stream lzma;
} Source;

static void source_clear(Source *source)
{
    if (source->compressed)
        lzma_end(&source->lzma);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Source, source_clear)

static gboolean source_read(Source *source, guint8 *out, gsize size)
{
    if (!source->compressed) {
        MeasureBytes part;
        if (source->position > source->input.size ||
            !measure_bytes_slice(source->input, (gsize)source->position, size, &part))
            return walk_damaged(source->walk, "the file ends inside a structure");
        if (size > 0)
            memcpy(out, part.data, size);
        source->position += size;
        return TRUE;
    }
    source->lzma.next_out = out;
    source->lzma.avail_out = size;
    while (source->lzma.avail_out > 0) {
        lzma_ret result = lzma_code(&source->lzma, LZMA_RUN);
        if (result == LZMA_OK || (result == LZMA_STREAM_END && source->lzma.avail_out == 0))
            continue;
        return walk_damaged(source->walk, "the compressed volume is damaged or cut short");
    }
    source->position += size;
    return TRUE;
}

/* Moves to @position, which never lies behind. */
static gboolean source_seek(Source *source, guint64 position)
{
    if (!source->compressed) {
        if (position > source->input.size)
            return walk_damaged(source->walk, "the file ends inside a structure");
        source->position = position;
        return TRUE;
    }
    while (source->position < position) {
        if (!source_read(source, source->walk->buffer, (gsize)MIN(position - source->position, CHUNK)))
            return FALSE;
    }
    return TRUE;
}

static gboolean read_executable(Source *source, guint64 end)
{
    Walk *walk = source->walk;
    gsize kept = 0;
    for (gboolean first = TRUE; source->position < end; first = FALSE) {
        gsize size = (gsize)MIN(end - source->position, CHUNK);
        if (!source_read(source, walk->buffer + kept, size))
            return FALSE;
        walk->visitor->executable(walk->module, (MeasureBytes){ walk->buffer, kept + size }, first,
                                  walk->visitor->user_data);
        gsize keep = MIN(kept + size, MEASURE_VOLUME_OVERLAP);
        memmove(walk->buffer, walk->buffer + kept + size - keep, keep);
        kept = keep;
    }
    return TRUE;
}

/* The module's name, for messages: printable ASCII, shortened. */
static gboolean read_module_name(Source *source, guint64 end)
{
    guint8 bytes[2 * 48];
    gsize size = (gsize)MIN(end - source->position, sizeof bytes);
    if (!source_read(source, bytes, size))
        return FALSE;
    g_autoptr(GString) name = g_string_new(NULL);
    guint16 c = 0;
    for (gsize at = 0; measure_bytes_u16((MeasureBytes){ bytes, size }, at, &c) && c != 0; at += 2)
        g_string_append_c(name, c < 0x80 && g_ascii_isgraph((gchar)c) ? (gchar)c : '?');
    MeasureModule *module = source->walk->module;
    if (name->len > 0 && !module->name)
        module->name = g_strdup(name->str);
    return TRUE;
}

static guint32 get_u24(const guint8 *at)
{
    return (guint32)at[0] | (guint32)at[1] << 8 | (guint32)at[2] << 16;
}

static gboolean walk_sections(Source *source, guint64 end, guint depth);
static gboolean walk_volume(Source *source, guint64 end, guint depth);

/*
 * @packed: the data of an LZMA section: lzma_alone header (properties 1, dictionary size 4, size 8), then the stream.
 * The size has to be known, as edk2's own decoder demands.
 */
static gboolean walk_lzma(Walk *walk, MeasureBytes packed, guint depth)
{
    guint32 dictionary;
    guint64 size;
    if (!measure_bytes_u32(packed, 1, &dictionary) || !measure_bytes_u64(packed, 5, &size))
        return walk_damaged(walk, "the compressed volume is damaged or cut short");
    if (dictionary > DICTIONARY_MAX) {
        walk_unread(walk, "its compressed volume wants a dictionary larger than 32 MiB");
        return TRUE;
    }
    if (size > walk->output_left || walk->lzma_sections >= LZMA_SECTIONS_MAX) {
        walk_unread(walk, "its compressed volumes are larger than 64 MiB or too many");
        return TRUE;
    }
    walk->output_left -= size;
    walk->lzma_sections++;

    g_auto(Source) source = { .walk = walk, .compressed = TRUE, .lzma = LZMA_STREAM_INIT };
    if (lzma_alone_decoder(&source.lzma, DECODER_MAX) != LZMA_OK)
        return walk_damaged(walk, "the decompressor cannot be set up");
    source.lzma.next_in = packed.data;
    source.lzma.avail_in = packed.size;
    return walk_sections(&source, size, depth);
}

static gboolean walk_guid_defined(Source *source, guint64 section_start, guint64 end, guint depth)
{
    Walk *walk = source->walk;
    guint8 header[MEASURE_GUID_SIZE + 4];
    if (end - source->position < sizeof header)
        return walk_damaged(walk, "a section is too short for its header");
    if (!source_read(source, header, sizeof header))
        return FALSE;
    guint16 offset = 0, attributes = 0;
    MeasureBytes view = { header, sizeof header };
    measure_bytes_u16(view, MEASURE_GUID_SIZE, &offset);
    measure_bytes_u16(view, MEASURE_GUID_SIZE + 2, &attributes);
    guint64 data = section_start + offset;
    if (data < source->position || data > end)
        return walk_damaged(walk, "a section's data lie outside it");

    if (memcmp(header, walk->lzma_guid, MEASURE_GUID_SIZE) == 0) {
        if (source->compressed) {
            walk_unread(walk, "it nests compressed volumes");
            return TRUE;
        }
        MeasureBytes packed;
        if (!measure_bytes_slice(source->input, (gsize)data, (gsize)(end - data), &packed))
            return walk_damaged(walk, "the file ends inside a structure");
        return walk_lzma(walk, packed, depth + 1);
    }
    if (attributes & GUID_DEFINED_PROCESSING_REQUIRED) {
        g_autofree gchar *guid = measure_guid_format(header);
        g_autofree gchar *what = g_strdup_printf("it holds a section in an encoding that is not read here (%s)", guid);
        walk_unread(walk, what);
        return TRUE;
    }
    return source_seek(source, data) && walk_sections(source, end, depth + 1);
}

static gboolean walk_compression(Source *source, guint64 end, guint depth)
{
    guint8 header[5]; /* uncompressed length, kind */
    if (end - source->position < sizeof header)
        return walk_damaged(source->walk, "a section is too short for its header");
    if (!source_read(source, header, sizeof header))
        return FALSE;
    if (header[4] != 0) {
        walk_unread(source->walk, "it holds a section in UEFI standard compression, which is not read here");
        return TRUE;
    }
    return walk_sections(source, end, depth + 1);
}

static gboolean walk_sections(Source *source, guint64 end, guint depth)
{
    Walk *walk = source->walk;
    if (depth > DEPTH_MAX)
        return walk_damaged(walk, "its structures are nested too deeply");
    guint64 base = source->position;
    while (end - source->position >= 4) {
        guint64 start = source->position;
        guint8 header[4];
        if (!source_read(source, header, sizeof header))
            return FALSE;
        guint64 size = get_u24(header);
        if (size == 0xffffff) {
            guint8 large[4];
            guint32 value = 0;
            if (end - source->position < sizeof large || !source_read(source, large, sizeof large))
                return walk_damaged(walk, "a section is too short for its header");
            measure_bytes_u32((MeasureBytes){ large, sizeof large }, 0, &value);
            size = value;
        }
        if (size < source->position - start || size > end - start)
            return walk_damaged(walk, "a section's size is wrong");
        guint64 section_end = start + size;
        gboolean good = TRUE;
        switch (header[3]) {
        case SECTION_COMPRESSION:
            good = walk_compression(source, section_end, depth);
            break;
        case SECTION_GUID_DEFINED:
            good = walk_guid_defined(source, start, section_end, depth);
            break;
        case SECTION_PE32:
        case SECTION_PIC:
        case SECTION_TE:
            good = read_executable(source, section_end);
            break;
        case SECTION_USER_INTERFACE:
            good = read_module_name(source, section_end);
            break;
        case SECTION_VOLUME_IMAGE:
            good = walk_volume(source, section_end, depth + 1);
            break;
        default:
            break;
        }
        guint64 next = base + ((section_end - base + 3) & ~(guint64)3);
        if (!good || !source_seek(source, MIN(next, end)))
            return FALSE;
    }
    return source_seek(source, end);
}

static gboolean walk_file(Source *source, const guint8 *guid, guint8 type, guint64 end, guint depth)
{
    Walk *walk = source->walk;
    if (type == FILE_TYPE_PAD || type == FILE_TYPE_RAW)
        return source_seek(source, end);

    /* A module may hold a volume with more modules. */
    MeasureModule *outer = walk->module;
    g_auto(MeasureModule) module = { .type = type };
    walk->module = &module;
    gboolean good = walk_sections(source, end, depth);
    walk->module = outer;
    if (!good)
        return FALSE;
    if (!module.name)
        module.name = measure_guid_format(guid);
    walk->visitor->module_end(&module, walk->visitor->user_data);
    return TRUE;
}

typedef struct {
    guint64 length;
    guint16 header_length;
} VolumeHeader;

/* Whether @bytes begin with what looks like a volume header: all but its sum. */
static gboolean volume_header_parse(MeasureBytes bytes, VolumeHeader *out)
{
    MeasureBytes signature;
    if (!measure_bytes_slice(bytes, 40, 4, &signature) || memcmp(signature.data, "_FVH", 4) != 0)
        return FALSE;
    if (!measure_bytes_u64(bytes, 32, &out->length) || !measure_bytes_u16(bytes, 48, &out->header_length))
        return FALSE;
    return out->header_length >= VOLUME_HEADER_MIN && out->header_length <= VOLUME_HEADER_MAX &&
           out->header_length % 2 == 0 && out->header_length <= out->length;
}

/* The 16-bit words of a header add up to 0. */
static gboolean volume_header_adds_up(MeasureBytes bytes, const VolumeHeader *header)
{
    MeasureBytes whole;
    guint16 sum = 0, word = 0;
    if (!measure_bytes_slice(bytes, 0, header->header_length, &whole))
        return FALSE;
    for (gsize at = 0; measure_bytes_u16(whole, at, &word); at += 2)
        sum = (guint16)(sum + word);
    return sum == 0;
}

static gboolean walk_volume(Source *source, guint64 end, guint depth)
{
    Walk *walk = source->walk;
    if (depth > DEPTH_MAX)
        return walk_damaged(walk, "its structures are nested too deeply");
    guint64 start = source->position;
    guint8 header[VOLUME_HEADER_MAX];
    VolumeHeader volume;
    if (end - start < VOLUME_HEADER_MIN)
        return walk_damaged(walk, "a volume is too short for its header");
    if (!source_read(source, header, VOLUME_HEADER_MIN))
        return FALSE;
    if (!volume_header_parse((MeasureBytes){ header, VOLUME_HEADER_MIN }, &volume) ||
        volume.length > end - start)
        return walk_damaged(walk, "a volume's header is wrong");
    if (!source_read(source, header + VOLUME_HEADER_MIN, volume.header_length - VOLUME_HEADER_MIN))
        return FALSE;
    if (!volume_header_adds_up((MeasureBytes){ header, volume.header_length }, &volume))
        return walk_damaged(walk, "a volume's header is wrong");

    guint64 volume_end = start + volume.length;
    const guint8 *format = header + 16;
    if (memcmp(format, walk->nvram_guid, MEASURE_GUID_SIZE) == 0)
        return source_seek(source, volume_end);
    if (memcmp(format, walk->ffs2_guid, MEASURE_GUID_SIZE) != 0 &&
        memcmp(format, walk->ffs3_guid, MEASURE_GUID_SIZE) != 0) {
        walk_unread(walk, "it holds a volume in a format that is not known here");
        return source_seek(source, volume_end);
    }

    while (volume_end - source->position >= FILE_HEADER_SIZE) {
        guint64 file = source->position;
        guint8 head[FILE_HEADER2_SIZE];
        if (!source_read(source, head, FILE_HEADER_SIZE))
            return FALSE;
        /* Erased flash follows the last file. */
        if (head[0] == 0xff && memcmp(head, head + 1, FILE_HEADER_SIZE - 1) == 0)
            break;
        guint64 size = get_u24(head + 20);
        if (head[19] & FILE_ATTRIBUTE_LARGE) {
            if (volume_end - file < FILE_HEADER2_SIZE ||
                !source_read(source, head + FILE_HEADER_SIZE, FILE_HEADER2_SIZE - FILE_HEADER_SIZE))
                return walk_damaged(walk, "a file's header is wrong");
            measure_bytes_u64((MeasureBytes){ head, sizeof head }, FILE_HEADER_SIZE, &size);
        }
        if (size < source->position - file || size > volume_end - file)
            return walk_damaged(walk, "a file's size is wrong");
        if (!walk_file(source, head, head[18], file + size, depth + 1))
            return FALSE;
        guint64 next = start + ((file + size - start + 7) & ~(guint64)7);
        if (!source_seek(source, MIN(next, volume_end)))
            return FALSE;
    }
    return source_seek(source, volume_end);
}

/*
 * Volumes lie anywhere in the file, so that whatever looks like a header has to be added up. Only a file that is made
 * to keep this busy has thousands of those.
 */
static void walk_firmware(Walk *walk, MeasureBytes file)
{
    gsize at = 0;
    while (at < file.size && file.size - at >= VOLUME_HEADER_MIN) {
        MeasureBytes rest = { file.data + at, file.size - at };
        VolumeHeader volume;
        if (!volume_header_parse(rest, &volume)) {
            at += VOLUME_ALIGNMENT;
            continue;
        }
        if (volume.header_length > SEARCH_MAX - walk->trouble->searched) {
            walk_damaged(walk, "too many places in it look like the start of a volume");
            return;
        }
        walk->trouble->searched += volume.header_length;
        if (!volume_header_adds_up(rest, &volume)) {
            at += VOLUME_ALIGNMENT;
            continue;
        }
        g_auto(Source) source = { .walk = walk, .input = rest };
        if (!walk_volume(&source, rest.size, 0))
            return;
        at += (gsize)volume.length;
    }
}

void measure_volume_walk(MeasureBytes file, const MeasureVolumeVisitor *visitor, MeasureVolumeTrouble *trouble)
{
    *trouble = (MeasureVolumeTrouble){ 0 };
    g_autofree guint8 *buffer = g_malloc(MEASURE_VOLUME_OVERLAP + CHUNK);
    Walk walk = { .visitor = visitor, .trouble = trouble, .output_left = OUTPUT_MAX, .buffer = buffer };
    measure_guid_parse("ee4e5898-3914-4259-9d6e-dc7bd79403cf", walk.lzma_guid);
    measure_guid_parse("8c8ce578-8a3d-4f1c-9935-896185c32dd3", walk.ffs2_guid);
    measure_guid_parse("5473c07a-3dcb-4dca-bd6f-1e9689e7349a", walk.ffs3_guid);
    measure_guid_parse("fff12b8d-7696-4c8b-a985-2747075b4f50", walk.nvram_guid);
    walk_firmware(&walk, file);
}

void measure_volume_trouble_clear(MeasureVolumeTrouble *trouble)
{
    g_clear_pointer(&trouble->damaged, g_free);
    g_clear_pointer(&trouble->unread, g_free);
}
