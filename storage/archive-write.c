/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/foreign-autoptr.h"
#include "measure/hash.h"
#include "measure/launch.h"
#include "storage/process.h"

enum { PIECE = 256 * 1024 };

typedef struct {
    StorageOutput *output;
    struct archive *archive;
    GError *failure;   /* (nullable): of @output, which libarchive knows nothing of */
    gboolean given_up; /* what libarchive still has to say goes nowhere */
    StorageProgress progress;
    gpointer progress_data;
    guint64 done, total, written;
    gboolean gzip;
    gint64 next; /* time of the next word about it */
} Packing;

static la_ssize_t write_callback(struct archive *archive, void *data, const void *buffer, size_t size)
{
    Packing *packing = data;

    GError **failure = packing->failure ? NULL : &packing->failure;

    if (packing->given_up || storage_output_write(packing->output, buffer, size, failure)) {
        packing->written += size;
        return (la_ssize_t)size;
    }
    archive_set_error(archive, EIO, "cannot write");
    return -1;
}

static gboolean fail_packing(Packing *packing, GError **error)
{
    g_autofree gchar *text = measure_printable(archive_error_string(packing->archive));

    if (packing->failure)
        g_propagate_error(error, g_steal_pointer(&packing->failure));
    else
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot write the archive: %s", text);
    return FALSE;
}

static gboolean add_header(Packing *packing, const char *name, guint64 size, GError **error)
{
    struct archive_entry *entry = archive_entry_new();
    int code;

    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    code = archive_write_header(packing->archive, entry);
    archive_entry_free(entry);
    return code == ARCHIVE_OK || fail_packing(packing, error);
}

static gboolean add_data(Packing *packing, gconstpointer data, gsize size, GError **error)
{
    gint64 now = g_get_monotonic_time();

    if (!storage_interrupt_check(error))
        return FALSE;
    if (size && archive_write_data(packing->archive, data, size) != (la_ssize_t)size)
        return fail_packing(packing, error);
    packing->done += size;
    /* What the compressor still holds back counts for nothing: rather refuse too early than too late. */
    if (packing->gzip && packing->done > STORAGE_ARCHIVE_RATIO_FREE &&
        packing->done / STORAGE_ARCHIVE_RATIO_MAX > packing->written) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "kernel and initrd shrink more than %d times: an archive of them would be refused as hostile where "
                    "it is read; leave out what is empty in them",
                    STORAGE_ARCHIVE_RATIO_MAX);
        return FALSE;
    }
    if (packing->progress && now >= packing->next) {
        packing->next = now + G_USEC_PER_SEC / 10;
        packing->progress("packing", packing->done, packing->total, packing->progress_data);
    }
    return TRUE;
}

static gboolean fail_file(const StorageArchiveEntry *entry, const char *why, GError **error)
{
    g_autofree gchar *shown = measure_printable(entry->path);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s': %s", entry->name, shown, why);
    return FALSE;
}

#define CHANGED "it changed while it was being packed: wait until nothing writes to it, then try again"

static gboolean copy_file(Packing *packing, const StorageArchiveEntry *entry, int fd, guint64 size, GError **error)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree guint8 *buffer = g_malloc(PIECE);
    guint8 digest[MEASURE_SHA256_SIZE];
    guint64 done = 0;

    for (;;) {
        gssize got = read(fd, buffer, PIECE);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_file(entry, g_strerror(errno), error);
        if (!got)
            break;
        if ((guint64)got > size - done)
            return fail_file(entry, CHANGED, error);
        measure_hash_update(state, buffer, (gsize)got);
        done += (guint64)got;
        if (!add_data(packing, buffer, (gsize)got, error))
            return FALSE;
    }
    measure_hash_finish(state, digest);
    if (done != size || (entry->sha256 && memcmp(digest, entry->sha256, sizeof digest)))
        return fail_file(entry, CHANGED, error);
    return TRUE;
}

static gboolean add_file(Packing *packing, const StorageArchiveEntry *entry, GError **error)
{
    int fd = open(entry->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    gboolean good;

    if (fd < 0 || fstat(fd, &st) < 0) {
        good = fail_file(entry, g_strerror(errno), error);
    } else if (!S_ISREG(st.st_mode)) {
        good = fail_file(entry, "no regular file", error);
    } else if (entry->sha256 && (guint64)st.st_size != entry->size) {
        good = fail_file(entry, CHANGED, error);
    } else {
        good = add_header(packing, entry->name, (guint64)st.st_size, error) &&
               copy_file(packing, entry, fd, (guint64)st.st_size, error);
    }
    if (fd >= 0)
        close(fd);
    return good;
}

static gboolean add_entries(Packing *packing, const StorageArchiveEntry *entries, gsize n_entries, GError **error)
{
    for (gsize i = 0; i < n_entries; i++) {
        const StorageArchiveEntry *entry = &entries[i];
        gsize size = 0;
        gconstpointer data = entry->data ? g_bytes_get_data(entry->data, &size) : NULL;

        if (entry->data ? !add_header(packing, entry->name, size, error) || !add_data(packing, data, size, error)
                        : !add_file(packing, entry, error))
            return FALSE;
    }
    return archive_write_close(packing->archive) == ARCHIVE_OK || fail_packing(packing, error);
}

gboolean storage_archive_check_sizes(const StorageArchiveEntry *entries, gsize n_entries,
                                     const StorageArchiveMember *members, GError **error)
{
    for (gsize i = 0; i < n_entries; i++) {
        guint64 size = entries[i].data ? g_bytes_get_size(entries[i].data) : entries[i].size;
        const StorageArchiveMember *member = members;

        while (member->name && strcmp(member->name, entries[i].name))
            member++;
        if (!member->name || size > member->max_size) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                        "%s has %" G_GUINT64_FORMAT " bytes: such an archive may have %" G_GUINT64_FORMAT " of it",
                        entries[i].name, size, member->max_size);
            return FALSE;
        }
        if (!size && entries[i].path) {
            g_autofree gchar *shown = measure_printable(entries[i].path);

            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "%s '%s' is empty: nothing can be launched with it",
                        entries[i].name, shown);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean storage_archive_write(const StorageArchiveEntry *entries, gsize n_entries, gboolean gzip,
                               StorageOutput *output, StorageProgress progress, gpointer progress_data, GError **error)
{
    Packing packing = {.output = output, .gzip = gzip, .progress = progress, .progress_data = progress_data};
    gboolean good;

    if (!measure_hash_ready(error))
        return FALSE;
    for (gsize i = 0; i < n_entries; i++)
        packing.total += entries[i].data ? g_bytes_get_size(entries[i].data) : entries[i].size;
    packing.archive = archive_write_new();
    archive_write_set_format_ustar(packing.archive);
    /* As much as tar writes itself: the end padded to twenty blocks. */
    archive_write_set_bytes_per_block(packing.archive, 20 * 512);
    if (gzip) {
        archive_write_add_filter_gzip(packing.archive);
        archive_write_set_filter_option(packing.archive, "gzip", "timestamp", NULL);
        archive_write_set_filter_option(packing.archive, "gzip", "compression-level", "9");
        archive_write_set_bytes_in_last_block(packing.archive, 1);
    }
    good = archive_write_open(packing.archive, &packing, NULL, write_callback, NULL) == ARCHIVE_OK
               ? add_entries(&packing, entries, n_entries, error)
               : fail_packing(&packing, error);
    packing.given_up = !good;
    archive_write_free(packing.archive);
    g_clear_error(&packing.failure);
    return good;
}
