/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive: as it is, and once more with the checksums of what look like tar headers put right, without which nearly
 * every mutation would be stopped at the door. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "measure/error.h"
#include "tests/unit/archive-fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *folder(void)
{
    static gchar *path;

    /* Every run empties it; it stays behind when the program ends by itself, which a fuzzing engine does not. */
    if (!path) {
        path = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
        g_assert_nonnull(path);
    }
    return path;
}

static void remove_folder(void)
{
    g_rmdir(folder());
}

static void unpack(const guint8 *data, gsize size, StorageArchiveFlags flags)
{
    g_autoptr(GError) error = NULL;
    int fd = archive_memory(data, size), folder_fd = open(folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gboolean good = storage_archive_unpack_fd(fd, "fuzz", archive_members, flags, folder_fd, &error);

    if (good == (error != NULL))
        abort();
    if (!good && error->code != ATTEST_ERROR_REJECTED && error->code != ATTEST_ERROR_UNREADABLE)
        abort();
    for (guint i = 0; archive_members[i].name; i++) {
        struct stat st;

        if (fstatat(folder_fd, archive_members[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (good && !archive_members[i].optional)
                abort();
            continue;
        }
        if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != 0600 || st.st_nlink != 1 ||
            (guint64)st.st_size > archive_members[i].max_size)
            abort();
    }
    archive_empty(folder());
    close(folder_fd);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const guint8 nothing[1];
    static gboolean registered;
    g_autofree guint8 *copy = NULL;

    if (!registered)
        registered = atexit(remove_folder) == 0;
    unpack(data ? data : nothing, size, STORAGE_ARCHIVE_PLAIN_NAMES);
    if (size < 512)
        return 0;
    copy = g_memdup2(data, size);
    for (gsize at = 0; at + 512 <= size; at += 512) {
        guint8 *block = copy + at;
        guint sum = 0;

        if (memcmp(block + 257, "ustar", 5))
            continue;
        memset(block + 148, ' ', 8);
        for (guint i = 0; i < 512; i++)
            sum += block[i];
        for (guint i = 0; i < 6; i++)
            block[148 + i] = (guint8)('0' + ((sum >> (3 * (5 - i))) & 7));
        block[154] = 0;
    }
    unpack(copy, size, STORAGE_ARCHIVE_ABSOLUTE_NAMES);
    return 0;
}
