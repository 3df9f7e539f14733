/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder like configfs-tsm (Linux, Documentation/ABI/testing/configfs-tsm-report) with the provider sev_guest: which
 * attributes there are, what they take, when the firmware is asked, and what `generation` counts.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin.h"

#define ENTRIES 8
#define NAME 64
#define LEVEL_MAX 3

typedef struct {
    char name[NAME]; /* "": free */
    uint8_t data[STANDIN_DATA];
    bool has_data;
    unsigned level;
    unsigned long written, read; /* generations */
    StandinAnswer answer;
} Entry;

static Entry entries[ENTRIES];
static const char *platform;

static const struct {
    const char *name;
    mode_t mode;
} attributes[] = {
    {"generation", 0444}, {"provider", 0444}, {"privlevel", 0200}, {"privlevel_floor", 0444},
    {"inblob", 0200},     {"outblob", 0444},  {"auxblob", 0444},
};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* What is written to a binary attribute before it is closed. */
typedef struct {
    size_t attribute, size;
    char bytes[STANDIN_DATA];
} Handle;

static Entry *find_entry(const char *name, size_t length)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (length && strlen(entries[i].name) == length && !strncmp(entries[i].name, name, length))
            return &entries[i];
    }
    return NULL;
}

/* "/", "/ENTRY" or "/ENTRY/ATTRIBUTE": @entry NULL for the first, @attribute ATTRIBUTES for the second. */
static int look_up(const char *path, Entry **entry, size_t *attribute)
{
    const char *slash = strchr(path + 1, '/');

    *entry = NULL;
    *attribute = ATTRIBUTES;
    if (!path[1])
        return 0;
    *entry = find_entry(path + 1, slash ? (size_t)(slash - path - 1) : strlen(path + 1));
    if (!*entry)
        return -ENOENT;
    if (!slash)
        return 0;
    for (*attribute = 0; *attribute < ATTRIBUTES; (*attribute)++) {
        if (!strcmp(attributes[*attribute].name, slash + 1))
            return 0;
    }
    return -ENOENT;
}

static int op_getattr(const char *path, struct stat *out, struct fuse_file_info *info)
{
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);

    (void)info;
    memset(out, 0, sizeof(*out));
    if (rc)
        return rc;
    out->st_mode = attribute < ATTRIBUTES ? S_IFREG | attributes[attribute].mode : S_IFDIR | 0755;
    out->st_nlink = 1;
    return 0;
}

static int op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
                      enum fuse_readdir_flags flags)
{
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);

    (void)offset;
    (void)info;
    (void)flags;
    if (rc)
        return rc;
    for (size_t i = 0; entry && i < ATTRIBUTES; i++)
        fill(buffer, attributes[i].name, NULL, 0, 0);
    for (int i = 0; !entry && i < ENTRIES; i++) {
        if (*entries[i].name)
            fill(buffer, entries[i].name, NULL, 0, 0);
    }
    return 0;
}

static int op_mkdir(const char *path, mode_t mode)
{
    (void)mode;
    if (strchr(path + 1, '/'))
        return -EPERM;
    if (strlen(path + 1) >= NAME)
        return -ENAMETOOLONG;
    for (int i = 0; i < ENTRIES; i++) {
        if (!*entries[i].name) {
            memset(&entries[i], 0, sizeof(entries[i]));
            strcpy(entries[i].name, path + 1);
            return 0;
        }
    }
    return -ENOMEM;
}

static int op_rmdir(const char *path)
{
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);

    if (rc)
        return rc;
    if (!entry || attribute < ATTRIBUTES)
        return -EPERM;
    *entry->name = '\0';
    return 0;
}

static int op_open(const char *path, struct fuse_file_info *info)
{
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute), way = info->flags & O_ACCMODE;
    Handle *handle;

    if (rc)
        return rc;
    if (attribute == ATTRIBUTES)
        return -EISDIR;
    if ((way != O_RDONLY && !(attributes[attribute].mode & 0200)) ||
        (way != O_WRONLY && !(attributes[attribute].mode & 0400)))
        return -EACCES;
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return -ENOMEM;
    handle->attribute = attribute;
    info->fh = (uintptr_t)handle;
    info->direct_io = 1; /* sizes are not known before they are read */
    return 0;
}

static int op_release(const char *path, struct fuse_file_info *info)
{
    (void)path;
    free((Handle *)(uintptr_t)info->fh);
    return 0;
}

/* As the kernel: a generation that was already read is answered from memory. */
static int refresh(Entry *entry)
{
    int rc;

    if (!entry->has_data)
        return -EINVAL;
    if (entry->written == entry->read)
        return 0;
    rc = standin_ask(platform, entry->data, entry->level, &entry->answer);
    if (rc)
        return rc;
    if (entry->answer.refusal)
        return entry->answer.refusal == STANDIN_VMM_BUSY ? -EBUSY : -EIO;
    entry->read = entry->written;
    return 0;
}

static int copy_out(const void *data, size_t size, char *buffer, size_t room, off_t offset)
{
    if (offset < 0 || (size_t)offset >= size)
        return 0;
    if (room > size - (size_t)offset)
        room = size - (size_t)offset;
    memcpy(buffer, (const char *)data + offset, room);
    return (int)room;
}

static int op_read(const char *path, char *buffer, size_t room, off_t offset, struct fuse_file_info *info)
{
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);
    char text[32] = "sev_guest\n";
    const char *name;

    (void)info;
    if (rc)
        return rc;
    name = attributes[attribute].name;
    if (!strcmp(name, "outblob") || !strcmp(name, "auxblob")) {
        rc = refresh(entry);
        if (rc)
            return rc;
        return *name == 'o' ? copy_out(entry->answer.report, STANDIN_REPORT, buffer, room, offset)
                            : copy_out(entry->answer.table, entry->answer.table_size, buffer, room, offset);
    }
    if (!strcmp(name, "generation"))
        snprintf(text, sizeof(text), "%lu\n", entry->written);
    else if (!strcmp(name, "privlevel_floor"))
        strcpy(text, "0\n");
    return copy_out(text, strlen(text), buffer, room, offset);
}

static int store_level(Entry *entry, const char *buffer, size_t size)
{
    char text[16] = "", *end;
    unsigned long level;

    if (!size || size >= sizeof(text))
        return -EINVAL;
    memcpy(text, buffer, size);
    level = strtoul(text, &end, 0);
    if (end == text || (*end && strcmp(end, "\n") != 0) || level > LEVEL_MAX)
        return -EINVAL;
    entry->level = (unsigned)level;
    entry->written++;
    return (int)size;
}

static int op_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
    Handle *handle = (Handle *)(uintptr_t)info->fh;
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);

    if (rc)
        return rc;
    if (!strcmp(attributes[attribute].name, "privlevel"))
        return store_level(entry, buffer, size);
    if (offset < 0 || (size_t)offset + size > sizeof(handle->bytes))
        return -EFBIG;
    memcpy(handle->bytes + offset, buffer, size);
    if ((size_t)offset + size > handle->size)
        handle->size = (size_t)offset + size;
    return (int)size;
}

/* On close() what was written to a binary attribute takes effect; a wrong size is seen when the report is read. */
static int op_flush(const char *path, struct fuse_file_info *info)
{
    Handle *handle = (Handle *)(uintptr_t)info->fh;
    Entry *entry;
    size_t attribute;
    int rc = look_up(path, &entry, &attribute);

    if (rc || strcmp(attributes[attribute].name, "inblob") != 0 || !handle->size)
        return rc;
    entry->has_data = handle->size == STANDIN_DATA;
    memcpy(entry->data, handle->bytes, sizeof(entry->data));
    entry->written++;
    handle->size = 0;
    return 0;
}

int standin_folder(const char *port, const char *mount_point)
{
    static const struct fuse_operations operations = {
        .getattr = op_getattr, .readdir = op_readdir, .mkdir = op_mkdir,     .rmdir = op_rmdir, .open = op_open,
        .read = op_read,       .write = op_write,     .release = op_release, .flush = op_flush,
    };
    /* In the foreground, one request at a time, and visible in the list of mounts for what it is. */
    const char *options = "fsname=test-stand-in-not-a-processor,subtype=standin";
    const char *words[] = {"standin", "-f", "-s", "-o", options, mount_point, NULL};

    platform = port;
    return fuse_main(6, (char **)(uintptr_t)words, &operations, NULL);
}
