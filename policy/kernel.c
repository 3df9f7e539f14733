/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/initrd-list.h"

enum { SECTOR = 512, HEADER_SECTORS = 0x1f1, HEADER_MAGIC = 0x202, HEADER_VERSION = 0x20e };

gchar *policy_kernel_release(MeasureBytes start)
{
    guint16 version = 0;
    guint sectors = 0;
    MeasureBytes magic, text;
    gsize size = 0;

    if (!measure_bytes_slice(start, HEADER_MAGIC, 4, &magic) || memcmp(magic.data, "HdrS", 4) ||
        !measure_bytes_u16(start, HEADER_VERSION, &version) || !version)
        return NULL;
    sectors = start.data[HEADER_SECTORS] ? start.data[HEADER_SECTORS] : 4;
    if (version >= sectors * SECTOR || start.size <= (gsize)version + SECTOR)
        return NULL;
    text.data = start.data + version + SECTOR;
    text.size = start.size - version - SECTOR;
    while (size < text.size && size < GUEST_RELEASE_MAX && g_ascii_isgraph(text.data[size]))
        size++;
    return size && size < GUEST_RELEASE_MAX ? g_strndup((const gchar *)text.data, size) : NULL;
}

gchar *policy_kernel_file_release(const char *path)
{
    g_autofree guint8 *data = g_malloc(POLICY_KERNEL_START);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    MeasureBytes start = {data, 0};
    struct stat st;

    if (fd < 0)
        return NULL;
    while (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && start.size < POLICY_KERNEL_START) {
        gssize got = pread(fd, data + start.size, POLICY_KERNEL_START - start.size, (off_t)start.size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        start.size += (gsize)got;
    }
    close(fd);
    return policy_kernel_release(start);
}
