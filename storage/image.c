/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of an image's root file system. Whoever used the image wrote what is in there, so nothing is followed without
 * an end: sizes, folders, symbolic links and the length of a path all have a limit. Folders are read as files and
 * picked apart here, since libext2fs walks them block by block without looking at their size.
 */
#include "storage/image.h"

#include <string.h>

#include "measure/bytes.h"
#include "storage/image-io.h"
#include "storage/image-private.h"

enum {
    MAX_FOLDER_SIZE = 8 * 1024 * 1024,
    MAX_ENTRIES = 65536,
    MAX_LINKS = 8,
    MAX_COMPONENTS = 256,
    MAX_LINK_SIZE = 4095,
    READ_SIZE = 1024 * 1024,
};

/* struct ext4_dir_entry_2. */
enum { ENTRY_INODE = 0, ENTRY_LENGTH = 4, ENTRY_NAME_LENGTH = 6, ENTRY_NAME = 8 };

struct StorageImage {
    StorageDisk *disk;
    ext2_filsys fs;
};

static gboolean refuse(GError **error, StorageImage *image, const char *path, const char *why)
{
    g_autofree gchar *disk = measure_printable(storage_disk_path(image->disk));
    g_autofree gchar *shown = measure_printable(path);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "image '%s': '%s' %s", disk, shown, why);
    return FALSE;
}

StorageImage *storage_image_open_range(StorageDisk *disk, guint64 offset, guint64 length, GError **error)
{
    g_autoptr(StorageImage) image = g_new0(StorageImage, 1);

    image->disk = disk;
    image->fs = storage_ext_open(disk, offset, length, error);
    return image->fs ? g_steal_pointer(&image) : NULL;
}

StorageImage *storage_image_open(const char *path, StorageFormat format, GError **error)
{
    g_autoptr(StorageDisk) disk = storage_disk_open(path, format, error);
    g_autoptr(GError) cause = NULL;
    guint64 offset = 0, length = 0;

    if (!disk)
        return NULL;
    if (!storage_disk_partition(disk, STORAGE_IMAGE_ROOT_PARTITION, &offset, &length, &cause)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                                   "no image of virt-attest, import it first with 'virt-attest image-import': ");
        return NULL;
    }
    return storage_image_open_range(g_steal_pointer(&disk), offset, length, error);
}

void storage_image_free(StorageImage *image)
{
    if (!image)
        return;
    if (image->fs)
        ext2fs_free(image->fs);
    storage_disk_free(image->disk);
    g_free(image);
}

StorageDisk *storage_image_disk(StorageImage *image)
{
    return image->disk;
}

/* The contents of an inode of any type. */
static GBytes *read_inode(StorageImage *image, ext2_ino_t number, const char *path, gsize max_size, GError **error)
{
    g_autofree guint8 *data = NULL;
    ext2_file_t file = NULL;
    __u64 size = 0;
    gsize done = 0;
    errcode_t code = ext2fs_file_open(image->fs, number, 0, &file);

    if (!code)
        code = ext2fs_file_get_lsize(file, &size);
    if (!code && size > max_size) {
        g_autofree gchar *why = g_strdup_printf("has %" G_GUINT64_FORMAT " bytes, more than the %" G_GSIZE_FORMAT
                                                " that such a file may have",
                                                (guint64)size, max_size);
        ext2fs_file_close(file);
        refuse(error, image, path, why);
        return NULL;
    }
    if (!code)
        data = g_try_malloc((gsize)size + 1);
    if (!code && !data)
        code = EXT2_ET_NO_MEMORY;
    while (!code && done < size) {
        unsigned got = 0;

        code = ext2fs_file_read(file, data + done, (unsigned)MIN(size - done, (guint64)READ_SIZE), &got);
        if (!code && !got)
            code = EXT2_ET_SHORT_READ;
        done += got;
    }
    if (file)
        ext2fs_file_close(file);
    if (code) {
        storage_ext_error(error, image->disk, path, code);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), done);
}

typedef gboolean (*EntryVisitor)(const char *name, ext2_ino_t number, gpointer user_data);

/* Calls @visit for every entry until it returns FALSE. */
static gboolean walk_folder(StorageImage *image, ext2_ino_t folder, const char *path, EntryVisitor visit,
                            gpointer user_data, GError **error)
{
    g_autoptr(GBytes) data = read_inode(image, folder, path, MAX_FOLDER_SIZE, error);
    gsize block_size = image->fs->blocksize;
    MeasureBytes bytes = {0};
    guint entries = 0;
    gsize at = 0;

    if (!data)
        return FALSE;
    bytes.data = g_bytes_get_data(data, &bytes.size);
    while (at < bytes.size) {
        guint32 number = 0;
        guint16 length = 0;
        gsize room = block_size - at % block_size;
        MeasureBytes name = {0};

        if (!measure_bytes_u32(bytes, at + ENTRY_INODE, &number) ||
            !measure_bytes_u16(bytes, at + ENTRY_LENGTH, &length) ||
            !measure_bytes_slice(bytes, at + ENTRY_NAME, bytes.data[at + ENTRY_NAME_LENGTH], &name))
            return refuse(error, image, path, "is a damaged folder");
        /* Blocks of 64 KiB do not fit 16 bits: two values stand for them. */
        gsize step = length == 0 || length == 65535 ? 65536 : length;
        if (step < ENTRY_NAME + name.size || step % 4 || step > room)
            return refuse(error, image, path, "is a damaged folder");
        if (number && name.size) {
            g_autofree gchar *text = g_strndup((const char *)name.data, name.size);

            if (++entries > MAX_ENTRIES)
                return refuse(error, image, path, "is a folder with too many entries");
            if (!visit(text, number, user_data))
                return TRUE;
        }
        at += step;
    }
    return TRUE;
}

typedef struct {
    const char *name;
    ext2_ino_t number;
} Lookup;

static gboolean look_up(const char *name, ext2_ino_t number, gpointer user_data)
{
    Lookup *lookup = user_data;

    if (strcmp(name, lookup->name))
        return TRUE;
    lookup->number = number;
    return FALSE;
}

/* Puts the components of @path on the stack, the first one on top. */
static void push_components(GPtrArray *stack, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    for (guint i = g_strv_length(parts); i > 0; i--) {
        if (*parts[i - 1] && strcmp(parts[i - 1], "."))
            g_ptr_array_add(stack, g_strdup(parts[i - 1]));
    }
}

static gchar *read_link(StorageImage *image, ext2_ino_t number, struct ext2_inode *inode, const char *path,
                        GError **error)
{
    g_autoptr(GBytes) data = NULL;
    gsize size = 0;
    const char *text = NULL;

    if (ext2fs_is_fast_symlink(inode))
        return g_strndup((const char *)inode->i_block, MIN(inode->i_size, sizeof inode->i_block));
    data = read_inode(image, number, path, MAX_LINK_SIZE, error);
    if (!data)
        return NULL;
    text = g_bytes_get_data(data, &size);
    return g_strndup(text ? text : "", size);
}

/* @missing (nullable): set when the path just is not there; then no error is set. */
static gboolean resolve(StorageImage *image, const char *path, ext2_ino_t *number, struct ext2_inode *inode,
                        gboolean *missing, GError **error)
{
    g_autoptr(GPtrArray) stack = g_ptr_array_new_with_free_func(g_free);
    ext2_ino_t current = EXT2_ROOT_INO;
    guint links = 0, steps = 0;
    errcode_t code = 0;

    *missing = FALSE;
    push_components(stack, path);
    code = ext2fs_read_inode(image->fs, current, inode);
    while (!code && stack->len) {
        g_autofree gchar *name = g_ptr_array_steal_index(stack, stack->len - 1);
        g_autofree gchar *target = NULL;
        Lookup lookup = {name, 0};
        ext2_ino_t parent = current;

        if (++steps > MAX_COMPONENTS)
            return refuse(error, image, path, "leads through too many folders");
        if (!LINUX_S_ISDIR(inode->i_mode)) {
            *missing = TRUE;
            return FALSE;
        }
        if (!walk_folder(image, parent, path, look_up, &lookup, error))
            return FALSE;
        if (!lookup.number) {
            *missing = TRUE;
            return FALSE;
        }
        current = lookup.number;
        code = ext2fs_read_inode(image->fs, current, inode);
        if (code || !LINUX_S_ISLNK(inode->i_mode))
            continue;
        if (++links > MAX_LINKS)
            return refuse(error, image, path, "leads through too many symbolic links");
        target = read_link(image, current, inode, path, error);
        if (!target)
            return FALSE;
        push_components(stack, target);
        current = *target == '/' ? EXT2_ROOT_INO : parent;
        code = ext2fs_read_inode(image->fs, current, inode);
    }
    if (code)
        return storage_ext_error(error, image->disk, path, code);
    *number = current;
    return TRUE;
}

GBytes *storage_image_read_file(StorageImage *image, const char *path, gsize max_size, GError **error)
{
    struct ext2_inode inode = {0};
    ext2_ino_t number = 0;
    gboolean missing = FALSE;

    if (!resolve(image, path, &number, &inode, &missing, error)) {
        if (missing)
            refuse(error, image, path, "does not exist");
        return NULL;
    }
    if (!LINUX_S_ISREG(inode.i_mode)) {
        refuse(error, image, path, "is no regular file");
        return NULL;
    }
    return read_inode(image, number, path, max_size, error);
}

gboolean storage_image_has_file(StorageImage *image, const char *path)
{
    struct ext2_inode inode = {0};
    ext2_ino_t number = 0;
    gboolean missing = FALSE;

    return resolve(image, path, &number, &inode, &missing, NULL) && LINUX_S_ISREG(inode.i_mode);
}

static gboolean add_name(const char *name, ext2_ino_t number, gpointer user_data)
{
    if (strcmp(name, ".") && strcmp(name, ".."))
        g_ptr_array_add(user_data, g_strdup(name));
    return TRUE;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *storage_image_list(StorageImage *image, const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    struct ext2_inode inode = {0};
    ext2_ino_t number = 0;
    gboolean missing = FALSE;

    if (!resolve(image, path, &number, &inode, &missing, error)) {
        if (missing)
            refuse(error, image, path, "does not exist");
        return NULL;
    }
    if (!LINUX_S_ISDIR(inode.i_mode)) {
        refuse(error, image, path, "is no folder");
        return NULL;
    }
    if (!walk_folder(image, number, path, add_name, names, error))
        return NULL;
    g_ptr_array_sort(names, by_name);
    return g_steal_pointer(&names);
}

gint storage_release_compare(const char *a, const char *b)
{
    while (*a || *b) {
        if (g_ascii_isdigit(*a) && g_ascii_isdigit(*b)) {
            gsize na = 0, nb = 0;

            while (*a == '0')
                a++;
            while (*b == '0')
                b++;
            while (g_ascii_isdigit(a[na]))
                na++;
            while (g_ascii_isdigit(b[nb]))
                nb++;
            if (na != nb)
                return na < nb ? -1 : 1;
            gint order = strncmp(a, b, na);
            if (order)
                return order;
            a += na;
            b += nb;
        } else if (*a != *b) {
            if (*a == '~' || *b == '~')
                return *a == '~' ? -1 : 1;
            return (guchar)*a < (guchar)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return 0;
}

static gboolean has_kernel(StorageImage *image, const char *release)
{
    g_autofree gchar *boot = g_strdup_printf("/boot/vmlinuz-%s", release);
    g_autofree gchar *own = g_strdup_printf("/usr/lib/modules/%s/vmlinuz", release);
    g_autofree gchar *dep = g_strdup_printf("/usr/lib/modules/%s/modules.dep", release);

    return storage_image_has_file(image, dep) &&
           (storage_image_has_file(image, boot) || storage_image_has_file(image, own));
}

gchar *storage_image_kernel_release(StorageImage *image, GError **error)
{
    g_autoptr(GPtrArray) names = storage_image_list(image, "/usr/lib/modules", error);
    const char *newest = NULL;

    if (!names)
        return NULL;
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if ((!newest || storage_release_compare(name, newest) > 0) && has_kernel(image, name))
            newest = name;
    }
    if (!newest) {
        refuse(error, image, "/boot",
               "has no kernel whose modules are in /usr/lib/modules: install a kernel package in the image");
        return NULL;
    }
    return g_strdup(newest);
}
