/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The members that tests/corpus/archive was made for, and a folder to unpack into that must be left empty. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/archive.h"

static const StorageArchiveMember archive_members[] = {
    {"manifest.json", 4096, FALSE}, {"firmware", 65536, FALSE}, {"kernel", 65536, TRUE}, {"initrd", 65536, TRUE}, {NULL}};

static inline int archive_memory(gconstpointer data, gsize size)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (gssize)size);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

/* Removes the members; whatever else is in @folder is somebody's escape. Returns how many files there were. */
static inline guint archive_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    guint count = 0;

    g_assert_nonnull(dir);
    while ((entry = readdir(dir))) {
        gboolean known = FALSE;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        for (guint i = 0; archive_members[i].name; i++)
            known |= !strcmp(entry->d_name, archive_members[i].name);
        if (!known)
            g_error("unpacked '%s' into the folder", entry->d_name);
        g_assert_cmpint(unlinkat(dirfd(dir), entry->d_name, 0), ==, 0);
        count++;
    }
    closedir(dir);
    return count;
}
