/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/hash-cache.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "policy/json.h"
#include "storage/output.h"

#define KEEP 4 /* trees; one is 1/128 of its image */
#define NOTE "virt-attest-tree-1 "
#define TREE_SUFFIX ".tree"
#define NOTE_SUFFIX ".root"

void storage_hash_tree_free(StorageHashTree *tree)
{
    if (!tree)
        return;
    g_free(tree->path);
    g_free(tree);
}

/* Everything that the tree follows from. */
static gchar *cache_name(const guint8 *sha256, const StorageVerity *verity, guint64 offset, guint64 length)
{
    g_autofree gchar *base = measure_hex_encode(sha256, MEASURE_SHA256_SIZE);
    g_autofree gchar *salt = measure_hex_encode(verity->salt, verity->salt_size);
    g_autofree gchar *all = g_strdup_printf("%s %u %u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s", verity->hash,
                                            verity->data_block_size, verity->hash_block_size, offset, length, salt);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *rest = NULL;

    policy_sha256(all, strlen(all), digest);
    rest = measure_hex_encode(digest, 16);
    return g_strdup_printf("%s-%s", base, rest);
}

/* The note beside a tree says which root hash it has; it is written after the tree. */
static gboolean read_note(const char *path, StorageHashTree *tree)
{
    g_autofree gchar *text = NULL;
    gsize size = 0, prefix = strlen(NOTE);

    if (!g_file_get_contents(path, &text, &size, NULL) || size != strlen(text) || size > 256 ||
        !g_str_has_prefix(text, NOTE) || !g_str_has_suffix(text, "\n"))
        return FALSE;
    text[size - 1] = '\0';
    tree->digest_size = strlen(text + prefix) / 2;
    return tree->digest_size >= 20 && tree->digest_size <= STORAGE_VERITY_MAX_DIGEST &&
           measure_hex_decode(text + prefix, tree->root_hash, tree->digest_size);
}

static gboolean write_note(const char *path, const StorageHashTree *tree, GError **error)
{
    g_autofree gchar *hex = measure_hex_encode(tree->root_hash, tree->digest_size);
    g_autofree gchar *text = g_strdup_printf(NOTE "%s\n", hex);
    g_autoptr(StorageOutput) output = storage_output_new(path, TRUE, 0600, error);

    return output && storage_output_write(output, text, strlen(text), error) && storage_output_commit(output, error);
}

typedef struct {
    gchar *path;
    gint64 time;
} Entry;

static void entry_free(Entry *entry)
{
    g_free(entry->path);
    g_free(entry);
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    const Entry *left = *(const Entry *const *)a;
    const Entry *right = *(const Entry *const *)b;

    return left->time < right->time ? 1 : left->time > right->time ? -1 : 0;
}

static void prune(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        struct stat st;
        Entry *entry = NULL;

        if (!g_str_has_suffix(name, TREE_SUFFIX))
            continue;
        entry = g_new0(Entry, 1);
        entry->path = g_build_filename(folder, name, NULL);
        entry->time = stat(entry->path, &st) < 0 ? 0 : (gint64)st.st_mtime;
        g_ptr_array_add(entries, entry);
    }
    g_ptr_array_sort(entries, newest_first);
    for (guint i = KEEP; i < entries->len; i++) {
        const Entry *entry = g_ptr_array_index(entries, i);
        g_autofree gchar *stem = g_strndup(entry->path, strlen(entry->path) - strlen(TREE_SUFFIX));
        g_autofree gchar *note = g_strconcat(stem, NOTE_SUFFIX, NULL);

        unlink(note);
        unlink(entry->path);
    }
}

StorageHashTree *storage_hash_tree_get(PolicyStore *store, StorageDisk *disk, const guint8 *sha256, const StorageVerity *verity,
                              guint64 offset, guint64 length, StorageProgress progress, gpointer progress_data,
                              GError **error)
{
    g_autofree gchar *folder = g_build_filename(policy_store_directory(store), POLICY_STORE_VERITY, NULL);
    g_autofree gchar *name = cache_name(sha256, verity, offset, length);
    g_autofree gchar *stem = g_build_filename(folder, name, NULL);
    g_autofree gchar *note = g_strconcat(stem, NOTE_SUFFIX, NULL);
    g_autoptr(StorageHashTree) tree = g_new0(StorageHashTree, 1);
    g_autoptr(StorageOutput) output = NULL;
    g_auto(PolicyFd) opened = policy_store_folder(store, POLICY_STORE_VERITY, error);
    StorageVerityOptions options = {.offset = offset, .length = length, .progress = progress,
                                    .progress_data = progress_data};
    StorageVerity made = *verity;
    struct stat st;

    if (opened < 0)
        return NULL;
    tree->path = g_strconcat(stem, TREE_SUFFIX, NULL);
    if (stat(tree->path, &st) == 0 && read_note(note, tree)) {
        /* The one that was used last goes last. */
        utimensat(AT_FDCWD, tree->path, NULL, 0);
        return g_steal_pointer(&tree);
    }
    output = storage_output_new(tree->path, TRUE, 0600, error);
    if (!output || !storage_verity_format(disk, storage_output_fd(output), &made, &options, error))
        return NULL;
    memcpy(tree->root_hash, made.root_hash, sizeof(tree->root_hash));
    tree->digest_size = made.digest_size;
    unlink(note);
    if (!storage_output_commit(output, error) || !write_note(note, tree, error))
        return NULL;
    prune(folder);
    return g_steal_pointer(&tree);
}

void storage_hash_tree_drop(const StorageHashTree *tree)
{
    g_autofree gchar *stem = g_strndup(tree->path, strlen(tree->path) - strlen(TREE_SUFFIX));
    g_autofree gchar *note = g_strconcat(stem, NOTE_SUFFIX, NULL);

    unlink(note);
    unlink(tree->path);
}
