/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/root-private.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/process.h"

#define READ_SIZE (256 * 1024)
#define KEPT_FILE_MAX (64 * 1024 * 1024) /* of dpkg's status */
#define PROGRESS_BYTES (4 * 1024 * 1024)

/* One run of storage_root_write(). */
typedef struct {
    int fd;
    struct archive *archive;
    StorageExt4 *ext4;
    StorageClean *clean;
    StorageRoot *tree;
    TreeFacts facts;
    GHashTable *dropped_files; /* set of paths that hard links may name */
    guint8 *buffer;
    GError *read_error;
    StorageProgress progress;
    gpointer progress_data;
    guint64 shown;
    gint64 epoch;
} TreeCopy;

static la_ssize_t read_tar(struct archive *archive, void *data, const void **buffer)
{
    TreeCopy *copy = data;
    ssize_t got;

    *buffer = copy->buffer;
    while ((got = read(copy->fd, copy->buffer, READ_SIZE)) < 0 && errno == EINTR) {
        if (!storage_interrupt_check(copy->read_error ? NULL : &copy->read_error))
            return ARCHIVE_FATAL;
    }
    if (got < 0)
        archive_set_error(archive, errno, "%s", g_strerror(errno));
    return got < 0 ? ARCHIVE_FATAL : got;
}

static gboolean fail_archive(TreeCopy *copy, GError **error)
{
    g_autofree gchar *text = measure_printable(archive_error_string(copy->archive));

    if (copy->read_error)
        g_propagate_error(error, g_steal_pointer(&copy->read_error));
    else
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read the root tree: %s",
                    *text ? text : "damaged archive");
    return FALSE;
}

static int read_piece(gpointer user_data, gconstpointer *data, gsize *size, guint64 *offset, GError **error)
{
    TreeCopy *copy = user_data;
    la_int64_t at = 0;
    int code = archive_read_data_block(copy->archive, data, size, &at);

    if (code == ARCHIVE_EOF)
        return 0;
    if ((code != ARCHIVE_OK && code != ARCHIVE_WARN) || at < 0) {
        fail_archive(copy, error);
        return -1;
    }
    *offset = (guint64)at;
    copy->tree->bytes += *size;
    if (copy->progress && copy->tree->bytes - copy->shown >= PROGRESS_BYTES) {
        copy->shown = copy->tree->bytes;
        copy->progress("copying files", copy->tree->bytes, 0, copy->progress_data);
    }
    return storage_interrupt_check(error) ? 1 : -1;
}

/* "./a//b/" and "/a/b" to "a/b"; NULL for a path with "..": nothing that makes archives of a tree writes one. */
static gchar *normalise(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_autoptr(GString) out = g_string_new(NULL);

    for (gchar **part = parts; *part; part++) {
        if (!strcmp(*part, ".."))
            return NULL;
        if (**part && strcmp(*part, "."))
            g_string_append_printf(out, "%s%s", out->len ? "/" : "", *part);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static GBytes *read_contents(TreeCopy *copy, const StorageEntry *entry, gsize max, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    gconstpointer data;
    gsize size;
    guint64 offset;
    int more;

    if (entry->size > max) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' is too large for what it is", entry->path);
        return NULL;
    }
    g_byte_array_set_size(out, (guint)entry->size);
    memset(out->data ? out->data : (guint8 *)"", 0, out->len);
    while ((more = read_piece(copy, &data, &size, &offset, error)) > 0) {
        if (offset > out->len || size > out->len - offset) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' is longer than it says", entry->path);
            return NULL;
        }
        memcpy(out->data + offset, data, size);
    }
    return more < 0 ? NULL : g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

static gint by_acl_tag(gconstpointer a, gconstpointer b)
{
    const guint8 *x = a, *y = b;

    /* The tag, then the number of the user or group; both little-endian. */
    if (x[0] != y[0])
        return x[0] - y[0];
    for (int i = 7; i >= 4; i--) {
        if (x[i] != y[i])
            return x[i] - y[i];
    }
    return 0;
}

/* A POSIX access control list in the form of the kernel's attribute (version 2, sorted), or NULL for none. */
static GByteArray *read_acl(struct archive_entry *from, int type)
{
    static const struct {
        int archive;
        guint8 kernel;
        gboolean named;
    } tags[] = {{ARCHIVE_ENTRY_ACL_USER_OBJ, 1, FALSE},  {ARCHIVE_ENTRY_ACL_USER, 2, TRUE},
                {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 4, FALSE}, {ARCHIVE_ENTRY_ACL_GROUP, 8, TRUE},
                {ARCHIVE_ENTRY_ACL_MASK, 16, FALSE},     {ARCHIVE_ENTRY_ACL_OTHER, 32, FALSE}};
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, 8);
    static const guint8 version[4] = {2, 0, 0, 0};
    int entry_type, permset, tag, qualifier;
    const char *name;
    GByteArray *out;

    if (archive_entry_acl_reset(from, type) <= 0)
        return NULL;
    while (archive_entry_acl_next(from, type, &entry_type, &permset, &tag, &qualifier, &name) == ARCHIVE_OK) {
        for (gsize i = 0; i < G_N_ELEMENTS(tags); i++) {
            guint32 id = tags[i].named ? (guint32)qualifier : G_MAXUINT32;
            guint8 packed[8] = {tags[i].kernel, 0, (guint8)(permset & 7), 0, (guint8)id, (guint8)(id >> 8),
                                (guint8)(id >> 16), (guint8)(id >> 24)};

            if (tags[i].archive == tag)
                g_array_append_vals(list, packed, 1);
        }
    }
    g_array_sort(list, by_acl_tag);
    out = g_byte_array_new();
    g_byte_array_append(out, version, sizeof version);
    g_byte_array_append(out, (const guint8 *)list->data, list->len * 8);
    return out;
}

/* (element-type StorageXattr); the values belong to @from or to @owned. */
static GArray *read_xattrs(struct archive_entry *from, GPtrArray *owned)
{
    static const struct {
        int type;
        const char *name;
    } acls[] = {{ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access"},
                {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default"}};
    GArray *out = g_array_new(FALSE, FALSE, sizeof(StorageXattr));
    int count = archive_entry_xattr_reset(from);

    for (int i = 0; i < count; i++) {
        StorageXattr each;

        if (archive_entry_xattr_next(from, &each.name, &each.value, &each.size) != ARCHIVE_OK)
            break;
        /* Labels of the machine that made the archive say nothing here, and trusted.* is a stacked file system's. */
        if (each.name && (!strcmp(each.name, "security.capability") || g_str_has_prefix(each.name, "user.")))
            g_array_append_val(out, each);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(acls); i++) {
        GByteArray *acl = read_acl(from, acls[i].type);
        StorageXattr each = {acls[i].name, acl ? acl->data : NULL, acl ? acl->len : 0};

        if (acl) {
            g_ptr_array_add(owned, acl);
            g_array_append_val(out, each);
        }
    }
    return out;
}

/* Files whose contents are remembered while they are copied. */
static gboolean is_wanted(const StorageEntry *entry)
{
    static const char *const paths[] = {"etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status", NULL};

    return S_ISREG(entry->mode) && !entry->hard_link && g_strv_contains(paths, entry->path);
}

static gboolean learn_contents(TreeCopy *copy, const StorageEntry *entry, GBytes *bytes, GError **error)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(bytes, &size);
    g_autofree gchar *whole = g_strndup(text ? text : "", size);

    if (strcmp(entry->path, "var/lib/dpkg/status")) {
        storage_root_take_release(copy->tree, whole);
        return TRUE;
    }
    g_clear_pointer(&copy->tree->packages, g_ptr_array_unref);
    copy->tree->packages = storage_root_read_packages(whole, size, error);
    return copy->tree->packages != NULL;
}

static gboolean add_bytes(TreeCopy *copy, StorageEntry *entry, GBytes *bytes, GError **error)
{
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(bytes, &size);

    entry->size = size;
    return storage_ext4_add_bytes(copy->ext4, entry, data, error);
}

static gboolean add_rewritten(TreeCopy *copy, StorageEntry *entry, GError **error)
{
    g_autoptr(GBytes) old = read_contents(copy, entry, STORAGE_CLEAN_REWRITE_MAX, error);
    gsize size = 0;
    const char *data = old ? g_bytes_get_data(old, &size) : NULL;
    gchar *text = old ? storage_clean_rewrite(entry->path, data ? data : "", size, error) : NULL;
    g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, strlen(text)) : NULL;

    return bytes && add_bytes(copy, entry, bytes, error);
}

static gboolean add_kept(TreeCopy *copy, StorageEntry *entry, GError **error)
{
    storage_root_take_path(&copy->facts, entry->path);
    if (is_wanted(entry)) {
        g_autoptr(GBytes) bytes = read_contents(copy, entry, KEPT_FILE_MAX, error);

        return bytes && learn_contents(copy, entry, bytes, error) && add_bytes(copy, entry, bytes, error);
    }
    /* A name of a file that is gone goes with it; whoever cares reads the count. */
    if (entry->hard_link && g_hash_table_contains(copy->dropped_files, entry->hard_link)) {
        copy->tree->broken_links++;
        g_hash_table_add(copy->dropped_files, g_strdup(entry->path));
        return TRUE;
    }
    return storage_ext4_add(copy->ext4, entry, read_piece, copy, error);
}

static gboolean copy_entry(TreeCopy *copy, struct archive_entry *from, GError **error)
{
    const char *raw = archive_entry_pathname(from), *raw_link = archive_entry_hardlink(from);
    g_autofree gchar *path = raw ? normalise(raw) : NULL;
    g_autofree gchar *link = raw_link ? normalise(raw_link) : NULL;
    g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    g_autoptr(GArray) xattrs = read_xattrs(from, owned);
    la_int64_t size = archive_entry_size(from), uid = archive_entry_uid(from), gid = archive_entry_gid(from);
    StorageEntry entry = {
        .path = path,
        .mode = (guint32)archive_entry_mode(from),
        .uid = (guint32)uid,
        .gid = (guint32)gid,
        .mtime = archive_entry_mtime(from),
        .size = (guint64)size,
        .target = archive_entry_symlink(from),
        .hard_link = link,
        .major = (guint32)archive_entry_rdevmajor(from),
        .minor = (guint32)archive_entry_rdevminor(from),
        .xattrs = (const StorageXattr *)(gpointer)xattrs->data,
        .n_xattrs = xattrs->len,
    };

    if (!path || (raw_link && !link) || size < 0 || uid < 0 || gid < 0 || uid > G_MAXUINT32 || gid > G_MAXUINT32) {
        g_autofree gchar *printable = measure_printable(raw);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the root tree has an entry that no tree has ('%s'): a path with '..', a negative size or owner",
                    printable);
        return FALSE;
    }
    switch (storage_clean_judge(copy->clean, &entry, error)) {
    case STORAGE_CLEAN_REFUSE:
        return FALSE;
    case STORAGE_CLEAN_DROP:
        copy->tree->dropped++;
        if (link || S_ISREG(entry.mode))
            g_hash_table_add(copy->dropped_files, g_strdup(path));
        return TRUE;
    case STORAGE_CLEAN_REWRITE:
        copy->tree->entries++;
        return add_rewritten(copy, &entry, error);
    default:
        copy->tree->entries++;
        return add_kept(copy, &entry, error);
    }
}

static gboolean copy_all(TreeCopy *copy, GError **error)
{
    struct archive_entry *from;
    int code;

    while ((code = archive_read_next_header(copy->archive, &from)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
        if (!storage_interrupt_check(error) || !copy_entry(copy, from, error))
            return FALSE;
    }
    return code == ARCHIVE_EOF || fail_archive(copy, error);
}

static gboolean add_additions(TreeCopy *copy, GError **error)
{
    g_autoptr(GPtrArray) list = storage_clean_additions(copy->clean, error);

    for (guint i = 0; list && i < list->len; i++) {
        const StorageAddition *each = g_ptr_array_index(list, i);
        gsize size = each->text ? strlen(each->text) : 0;
        const void *data = each->bytes ? g_bytes_get_data(each->bytes, &size) : each->text;
        StorageEntry entry = {.path = each->path,
                              .mode = each->mode,
                              .mtime = copy->epoch,
                              .size = size,
                              .target = each->target};

        if (each->unless_present && storage_ext4_has(copy->ext4, each->path))
            continue;
        if (!storage_ext4_add_bytes(copy->ext4, &entry, data, error))
            return FALSE;
    }
    return list != NULL;
}

/* The whole stream is read, also what follows the archive's end, or the writer would die of a broken pipe. */
static void drain(TreeCopy *copy)
{
    while (read(copy->fd, copy->buffer, READ_SIZE) > 0)
        continue;
}

StorageRoot *storage_root_write(int tar, const StorageCleanOptions *options, StorageExt4 *ext4, gint64 epoch,
                                StorageProgress progress, gpointer progress_data, GError **error)
{
    g_autoptr(StorageRoot) tree = g_new0(StorageRoot, 1);
    g_autoptr(StorageClean) clean = storage_clean_new(options);
    g_autoptr(GHashTable) files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) dropped = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    TreeCopy copy = {.fd = tar, .ext4 = ext4, .clean = clean, .tree = tree, .facts = {files, modules},
                     .dropped_files = dropped, .buffer = buffer, .progress = progress, .progress_data = progress_data,
                     .epoch = epoch};
    /* Names are bytes; libarchive would translate them into the character set of the locale, which may be ASCII. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL), before = utf8 ? uselocale(utf8) : NULL;
    gboolean good;

    copy.archive = archive_read_new();
    archive_read_support_format_tar(copy.archive);
    good = archive_read_open2(copy.archive, &copy, NULL, read_tar, NULL, NULL) == ARCHIVE_OK
               ? copy_all(&copy, error)
               : fail_archive(&copy, error);
    if (good)
        drain(&copy);
    good = good && add_additions(&copy, error);
    archive_read_free(copy.archive);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    g_clear_error(&copy.read_error);
    if (!good)
        return NULL;
    if (!tree->packages)
        tree->packages = g_ptr_array_new();
    storage_root_take_kernels(tree, &copy.facts);
    return g_steal_pointer(&tree);
}
