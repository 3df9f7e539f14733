/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/esp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/process.h"

/* Everything that the tools of one run share. */
typedef struct {
    const char *image; /* "/proc/self/fd/N@@OFFSET" */
    const char *const *environment;
} Esp;

static gboolean run(const Esp *esp, const char *const *argv, const char *what, GError **error)
{
    const StorageProcessOptions options = {.environment = esp->environment};

    return storage_process_run(argv, &options, what, error);
}

static gboolean make_folders(const Esp *esp, const StorageEspFile *files, guint count, GError **error)
{
    g_autoptr(GHashTable) made = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < count; i++) {
        for (const char *slash = strchr(files[i].path, '/'); slash; slash = strchr(slash + 1, '/')) {
            g_autofree gchar *folder = g_strndup(files[i].path, (gsize)(slash - files[i].path));
            g_autofree gchar *name = g_strconcat("::", folder, NULL);
            const char *argv[] = {"mmd", "-i", esp->image, name, NULL};

            if (g_hash_table_add(made, g_steal_pointer(&folder)) && !run(esp, argv, "make a folder of the EFI partition", error))
                return FALSE;
        }
    }
    return TRUE;
}

/* mcopy takes the time of the file: that of a file in memory can be set like any other's. */
static gboolean put_file(const Esp *esp, const StorageEspFile *file, gint64 epoch, GError **error)
{
    int fd = memfd_create("file", 0);
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(file->data, &size);
    const struct timespec times[2] = {{.tv_sec = (time_t)epoch}, {.tv_sec = (time_t)epoch}};
    g_autofree gchar *source = NULL;
    g_autofree gchar *target = g_strconcat("::", file->path, NULL);
    gboolean good = fd >= 0;

    while (good && size) {
        ssize_t put = write(fd, data, size);

        good = put > 0;
        data += good ? put : 0;
        size -= good ? (gsize)put : 0;
    }
    if (!good || futimens(fd, times) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot prepare '%s' for the EFI partition: %s", file->path,
                    g_strerror(errno));
        good = FALSE;
    }
    source = g_strdup_printf("/proc/self/fd/%d", fd);
    {
        const char *argv[] = {"mcopy", "-m", "-i", esp->image, source, target, NULL};

        good = good && run(esp, argv, "fill the EFI partition", error);
    }
    if (fd >= 0)
        close(fd);
    return good;
}

gboolean storage_esp_write(int fd, guint64 offset, guint64 length, guint32 serial, gint64 epoch, const StorageEspFile *files,
                           guint count, GError **error)
{
    int inherited = fcntl(fd, F_DUPFD, 10);
    g_autofree gchar *image = g_strdup_printf("/proc/self/fd/%d@@%" G_GUINT64_FORMAT, inherited, offset);
    g_autofree gchar *sectors = g_strdup_printf("%" G_GUINT64_FORMAT, length / 512);
    g_autofree gchar *number = g_strdup_printf("%08x", serial);
    g_autofree gchar *date = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, epoch);
    const char *environment[] = {date, "TZ=UTC", "LC_ALL=C", "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1", NULL};
    const Esp esp = {image, environment};
    const char *format[] = {"mformat", "-i", image, "-F", "-T", sectors, "-h", "255", "-s", "63", "-c", "1",
                            "-N", number, "-v", "ESP", "::", NULL};
    gboolean good = inherited >= 0 && run(&esp, format, "make the EFI partition's file system", error) &&
                    make_folders(&esp, files, count, error);

    for (guint i = 0; good && i < count; i++)
        good = put_file(&esp, &files[i], epoch, error);
    if (inherited >= 0)
        close(inherited);
    return good;
}
