/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading evidence and certificates: files whose size is not known before, since configfs says 0 for all of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/appraisal/report.h"

#define CHUNK_SIZE (64u * 1024)

static void refuse(GError **error, const char *path, const char *why)
{
    g_autofree gchar *shown = measure_printable(path);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read '%s': %s", shown, why);
}

static GBytes *read_all(int fd, const char *path, gsize max_size, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);

    for (;;) {
        ssize_t n = read(fd, chunk, CHUNK_SIZE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            refuse(error, path, g_strerror(errno));
            return NULL;
        }
        if (n == 0)
            return g_byte_array_free_to_bytes(g_steal_pointer(&data));
        if ((gsize)n > max_size - data->len) {
            g_autofree gchar *why = g_strdup_printf("it is larger than %" G_GSIZE_FORMAT " bytes", max_size);
            refuse(error, path, why);
            return NULL;
        }
        g_byte_array_append(data, chunk, (guint)n);
    }
}

GBytes *appraisal_file_read(const char *path, gsize max_size, GError **error)
{
    GBytes *data = NULL;
    struct stat status;
    int fd = -1;

    if (g_str_equal(path, "-"))
        return read_all(STDIN_FILENO, "standard input", max_size, error);
    /* O_NONBLOCK so that a FIFO opens at once, to be refused. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0)
        refuse(error, path, g_strerror(errno));
    else if (!S_ISREG(status.st_mode))
        refuse(error, path, "it is not a regular file; give a file, or - for standard input");
    else
        data = read_all(fd, path, max_size, error);
    if (fd >= 0)
        close(fd);
    return data;
}
