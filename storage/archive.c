/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two layers, so that each sees all bytes: the stream takes compression off and counts; libarchive gets plain tar and
 * nothing else to guess about. What libarchive says of a member is held against the table before its first byte is
 * written.
 */
#include "storage/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/process.h"
#include "storage/unpacker.h"

enum {
    PIECE = 64 * 1024,
    BLOCK = 512,
    HEAD = 264,                  /* up to the end of "ustar" in a tar header */
    MAGIC_OFFSET = 257,
    END_SIZE = 2 * BLOCK,        /* two blocks of zeros end a tar archive */
    HEADERS_MAX = 16 * 1024,     /* of one member: its own, pax, long names, padding */
    TAIL_MAX = 1024 * 1024,      /* padding behind the end: tar fills up to its record size */
    MEMBERS_MAX = 32,
};

/**
 * Stream:
 * @shown: name for messages
 * @unpacker: (nullable): for a compressed one
 * @ended: of the compressed data
 * @taken, @given: bytes read from the file and handed to libarchive
 * @max: most bytes to hand over
 * @zeros_from: where the zeros begin with which the data that were handed over end
 * @failure: (nullable): why reading failed, when it was not libarchive
 */
typedef struct {
    const char *shown;
    int fd;
    StorageUnpacker *unpacker;
    gboolean started, ended;
    guint8 in[PIECE], out[PIECE];
    const guint8 *next;
    gsize left;
    guint64 taken, given, max, zeros_from;
    GError *failure;
} Stream;

static void stream_clear(Stream *stream)
{
    g_clear_pointer(&stream->unpacker, storage_unpacker_free);
    g_clear_error(&stream->failure);
}

static gboolean refuse(const Stream *stream, AttestError code, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static gboolean refuse(const Stream *stream, AttestError code, GError **error, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *printable = NULL;
    va_list args;

    /* The first cause counts. */
    if (error && *error)
        return FALSE;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    printable = measure_printable(text);
    g_set_error(error, ATTEST_ERROR, code, "archive '%s': %s", stream->shown, printable);
    return FALSE;
}

/* ---- bytes ---- */

static const char *compression(const guint8 *data, gsize size)
{
    static const struct {
        const char *suffix;
        guint8 magic[6];
        gsize size;
    } known[] = {
        {".gz", {0x1f, 0x8b}, 2},
        {".xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
        {".zst", {0x28, 0xb5, 0x2f, 0xfd}, 4},
    };

    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (size >= known[i].size && !memcmp(data, known[i].magic, known[i].size))
            return known[i].suffix;
    }
    return NULL;
}

static gboolean is_tar(const guint8 *data, gsize size)
{
    return size >= MAGIC_OFFSET + 5 && !memcmp(data + MAGIC_OFFSET, "ustar", 5);
}

/* As many bytes as there are, up to @size; -1 on an error. */
static gssize read_full(int fd, guint8 *out, gsize size)
{
    gsize done = 0;

    while (done < size) {
        gssize got = read(fd, out + done, size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (!got)
            break;
        done += (gsize)got;
    }
    return (gssize)done;
}

gboolean storage_archive_recognise(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    guint8 head[HEAD];
    struct stat st;
    gssize got = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read_full(fd, head, sizeof head) : -1;

    if (fd >= 0)
        close(fd);
    return got > 0 && (compression(head, (gsize)got) || is_tar(head, (gsize)got));
}

/* Reads more input; FALSE with a failure, or at the end with nothing left. */
static gboolean fill(Stream *stream)
{
    gssize got;

    if (!storage_interrupt_check(&stream->failure))
        return FALSE;
    got = read_full(stream->fd, stream->in, sizeof stream->in);
    if (got < 0)
        return refuse(stream, ATTEST_ERROR_UNREADABLE, &stream->failure, "%s", g_strerror(errno));
    stream->next = stream->in;
    stream->left = (gsize)got;
    stream->taken += (gsize)got;
    return got > 0;
}

static gboolean start(Stream *stream)
{
    const char *suffix;

    stream->started = TRUE;
    if (!fill(stream))
        return refuse(stream, ATTEST_ERROR_UNREADABLE, &stream->failure, "it is empty");
    suffix = compression(stream->in, stream->left);
    if (!suffix)
        return is_tar(stream->in, stream->left) ||
               refuse(stream, ATTEST_ERROR_UNREADABLE, &stream->failure,
                      "this is no tar archive, nor one that gzip, xz or zstd has compressed");
    stream->unpacker = storage_unpacker_new(suffix);
    return stream->unpacker || refuse(stream, ATTEST_ERROR_UNREADABLE, &stream->failure, "not enough memory");
}

/* The next piece into @stream->out: its size, 0 at the end, -1 with a failure. */
static gssize unpack_piece(Stream *stream)
{
    guint8 *at = stream->out;
    gsize room = sizeof stream->out;

    while (room && !stream->ended) {
        gsize before_left, before_room;
        StorageUnpackStep step;

        if (!stream->left && !fill(stream) && stream->failure)
            return -1;
        before_left = stream->left;
        before_room = room;
        step = storage_unpacker_step(stream->unpacker, &stream->next, &stream->left, &at, &room);
        if (step == STORAGE_UNPACK_DAMAGED ||
            (step == STORAGE_UNPACK_MORE && stream->left == before_left && room == before_room)) {
            refuse(stream, ATTEST_ERROR_UNREADABLE, &stream->failure, "the compressed data are damaged or cut short");
            return -1;
        }
        stream->ended = step == STORAGE_UNPACK_END;
    }
    /* Another member or frame would be another archive, or data that only some readers see. */
    if (stream->ended && (stream->left || fill(stream))) {
        refuse(stream, ATTEST_ERROR_REJECTED, &stream->failure,
               "there is something behind the end of the compressed data");
        return -1;
    }
    return stream->failure ? -1 : (gssize)(sizeof stream->out - room);
}

static gssize plain_piece(Stream *stream)
{
    gsize size;

    if (!stream->left && !fill(stream))
        return stream->failure ? -1 : 0;
    size = stream->left;
    memcpy(stream->out, stream->next, size);
    stream->left = 0;
    return (gssize)size;
}

static void note_zeros(Stream *stream, gsize size)
{
    gsize end = size;

    while (end && !stream->out[end - 1])
        end--;
    if (end)
        stream->zeros_from = stream->given + end;
}

static gssize next_piece(Stream *stream)
{
    gssize size;

    if (stream->failure || (!stream->started && !start(stream)))
        return -1;
    size = stream->unpacker ? unpack_piece(stream) : plain_piece(stream);
    if (size <= 0)
        return size;
    note_zeros(stream, (gsize)size);
    stream->given += (guint64)size;
    if (stream->given > stream->max) {
        refuse(stream, ATTEST_ERROR_REJECTED, &stream->failure,
               "it holds more than %" G_GUINT64_FORMAT " bytes, more than all its members may have", stream->max);
        return -1;
    }
    if (stream->given > STORAGE_ARCHIVE_RATIO_FREE &&
        stream->given / STORAGE_ARCHIVE_RATIO_MAX > stream->taken) {
        refuse(stream, ATTEST_ERROR_REJECTED, &stream->failure,
               "its data grow more than %d times when unpacked: no kernel, initrd or firmware does",
               STORAGE_ARCHIVE_RATIO_MAX);
        return -1;
    }
    return size;
}

static la_ssize_t read_callback(struct archive *archive, void *data, const void **buffer)
{
    Stream *stream = data;
    gssize size = next_piece(stream);

    *buffer = stream->out;
    if (size < 0) {
        archive_set_error(archive, EIO, "cannot read");
        return ARCHIVE_FATAL;
    }
    return size;
}

/* ---- members ---- */

/* The row of a member's name, or -1. */
static int find_member(const StorageArchiveMember *members, const char *name)
{
    for (int i = 0; members[i].name; i++) {
        if (!strcmp(members[i].name, name))
            return i;
    }
    return -1;
}

static const char *kind_name(const struct archive_entry *entry)
{
    switch (archive_entry_filetype((struct archive_entry *)entry)) {
    case AE_IFLNK:
        return "a symbolic link";
    case AE_IFDIR:
        return "a folder";
    case AE_IFCHR:
    case AE_IFBLK:
        return "a device";
    case AE_IFIFO:
        return "a FIFO";
    case AE_IFSOCK:
        return "a socket";
    default:
        return "a special file";
    }
}

static gboolean check_entry(const Stream *stream, const StorageArchiveMember *members, StorageArchiveFlags flags,
                            struct archive_entry *entry, int *row, GError **error)
{
    const char *name = archive_entry_pathname(entry);
    gint64 size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;

    if (!name || !*name)
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "a member without a name");
    if (archive_entry_hardlink(entry))
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' is a hard link: only plain files are taken",
                      name);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_symlink(entry))
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' is %s: only plain files are taken", name,
                      kind_name(entry));
    *row = find_member(members, *name == '/' && (flags & STORAGE_ARCHIVE_ABSOLUTE_NAMES) ? name + 1 : name);
    if (*row < 0)
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' does not belong into it", name);
    if (archive_entry_sparse_count(entry) > 0)
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' is a sparse file: pack it as a plain one",
                      name);
    if (size < 0)
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' has no size, or a negative one", name);
    if ((guint64)size > members[*row].max_size)
        return refuse(stream, ATTEST_ERROR_REJECTED, error,
                      "member '%s' has %" G_GINT64_FORMAT " bytes: at most %" G_GUINT64_FORMAT, name, size,
                      members[*row].max_size);
    return TRUE;
}

/* What libarchive, or the stream below it, says. */
static gboolean fail_reading(Stream *stream, struct archive *archive, GError **error)
{
    const char *text = archive_error_string(archive);

    if (stream->failure) {
        g_propagate_error(error, g_steal_pointer(&stream->failure));
        return FALSE;
    }
    return refuse(stream, ATTEST_ERROR_UNREADABLE, error, "damaged or cut short: %s", text ? text : "no reason given");
}

static gboolean put(const Stream *stream, int fd, const char *name, const guint8 *data, gsize size, GError **error)
{
    while (size) {
        gssize written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return refuse(stream, ATTEST_ERROR_UNREADABLE, error,
                          "cannot unpack '%s': %s; free some space, or set TMPDIR", name,
                          g_strerror(written < 0 ? errno : EIO));
        data += written;
        size -= (gsize)written;
    }
    return TRUE;
}

static gboolean copy_data(Stream *stream, struct archive *archive, int fd, const char *name, guint64 size,
                          GError **error)
{
    guint64 done = 0;

    for (;;) {
        const void *data = NULL;
        size_t piece = 0;
        la_int64_t offset = 0;
        int code = archive_read_data_block(archive, &data, &piece, &offset);

        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK)
            return fail_reading(stream, archive, error);
        /* Anything but one piece behind the other is a sparse file by whatever name. */
        if (offset < 0 || (guint64)offset != done || piece > size - done)
            return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' is not one run of bytes", name);
        if (!put(stream, fd, name, data, piece, error))
            return FALSE;
        done += piece;
    }
    return done == size ||
           refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' has less data than its size says", name);
}

static gboolean unpack_entry(Stream *stream, struct archive *archive, struct archive_entry *entry,
                             const StorageArchiveMember *members, StorageArchiveFlags flags, gboolean *found,
                             int folder_fd, GError **error)
{
    int row = -1, fd;
    gboolean good;

    if (!check_entry(stream, members, flags, entry, &row, error))
        return FALSE;
    if (found[row])
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "member '%s' is in it twice", members[row].name);
    found[row] = TRUE;
    fd = openat(folder_fd, members[row].name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(stream, ATTEST_ERROR_UNREADABLE, error, "cannot unpack '%s': %s", members[row].name,
                      g_strerror(errno));
    good = copy_data(stream, archive, fd, members[row].name, (guint64)archive_entry_size(entry), error);
    close(fd);
    return good;
}

/* Behind the last member there are two blocks of zeros, then only zeros; @end: where the former begin. */
static gboolean check_end(Stream *stream, gint64 end, GError **error)
{
    gssize size;

    while ((size = next_piece(stream)) > 0)
        continue;
    if (size < 0) {
        g_propagate_error(error, g_steal_pointer(&stream->failure));
        return FALSE;
    }
    if (end < 0 || stream->given < (guint64)end + END_SIZE)
        return refuse(stream, ATTEST_ERROR_UNREADABLE, error, "cut short: its end is missing");
    return stream->zeros_from <= (guint64)end ||
           refuse(stream, ATTEST_ERROR_REJECTED, error, "there is something behind its end");
}

static gboolean unpack_all(Stream *stream, struct archive *archive, const StorageArchiveMember *members,
                           StorageArchiveFlags flags, int folder_fd, GError **error)
{
    gboolean found[MEMBERS_MAX] = {FALSE};
    struct archive_entry *entry = NULL;
    int code;

    if (archive_read_open2(archive, stream, NULL, read_callback, NULL, NULL) != ARCHIVE_OK)
        return fail_reading(stream, archive, error);
    while ((code = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        if (!unpack_entry(stream, archive, entry, members, flags, found, folder_fd, error))
            return FALSE;
    }
    /* A warning is about something that libarchive would pass over: a header that other readers may see differently. */
    if (code == ARCHIVE_WARN)
        return refuse(stream, ATTEST_ERROR_REJECTED, error, "a header that cannot be read without doubt: %s",
                      archive_error_string(archive) ? archive_error_string(archive) : "no reason given");
    if (code != ARCHIVE_EOF)
        return fail_reading(stream, archive, error);
    if (!check_end(stream, archive_read_header_position(archive), error))
        return FALSE;
    for (guint i = 0; members[i].name; i++) {
        if (!found[i] && !members[i].optional)
            return refuse(stream, ATTEST_ERROR_UNREADABLE, error, "member '%s' is missing", members[i].name);
    }
    return TRUE;
}

gboolean storage_archive_unpack_fd(int fd, const char *shown, const StorageArchiveMember *members,
                                   StorageArchiveFlags flags, int folder_fd, GError **error)
{
    /* Names are bytes; libarchive would translate them into the character set of the locale, which may be ASCII. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL), before = utf8 ? uselocale(utf8) : NULL;
    g_autofree gchar *printable = measure_printable(shown);
    g_autofree Stream *stream = g_new0(Stream, 1);
    struct archive *archive = archive_read_new();
    guint count = 0;
    gboolean good;

    stream->fd = fd;
    stream->shown = printable;
    stream->max = TAIL_MAX;
    for (; members[count].name; count++)
        stream->max += members[count].max_size + HEADERS_MAX;
    g_assert(count <= MEMBERS_MAX);
    archive_read_support_format_tar(archive);
    good = unpack_all(stream, archive, members, flags, folder_fd, error);
    archive_read_free(archive);
    stream_clear(stream);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    return good;
}

gboolean storage_archive_unpack(const char *path, const StorageArchiveMember *members, StorageArchiveFlags flags,
                                int folder_fd, GError **error)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    g_autofree gchar *shown = measure_printable(path);
    struct stat st;
    gboolean good;

    if (fd < 0 || fstat(fd, &st) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "archive '%s': %s", shown, g_strerror(errno));
        good = FALSE;
    } else if (!S_ISREG(st.st_mode)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "archive '%s' is no regular file", shown);
        good = FALSE;
    } else {
        good = storage_archive_unpack_fd(fd, path, members, flags, folder_fd, error);
    }
    if (fd >= 0)
        close(fd);
    return good;
}
