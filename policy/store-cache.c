/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The digest cache. An entry is a few lines of text:
 *
 *   virt-attest-cache-1 KIND DEVICE INODE SIZE MTIME CTIME
 *   VALUE
 *   SHA-256 of everything above
 *
 * The first line says which file, in which state, the value belongs to; it is
 * compared as text and never parsed. The checksum finds torn and edited
 * entries. Neither keeps root from forging one, and nothing could: root owns
 * the pins too. An entry that does not fit is a miss, never an error.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/json.h"
#include "policy/store-private.h"

#define CACHE_MAX_VALUE 4096u
#define CACHE_MAX_ENTRIES 256u
#define CACHE_MAX_SIZE (CACHE_MAX_VALUE + 1024u)

static gchar *entry_header(const MeasureInput *input, const char *kind)
{
    return g_strdup_printf("virt-attest-cache-1 %s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                           " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n",
                           kind, input->device, input->inode, input->size, input->mtime_ns, input->ctime_ns);
}

/* One entry per file: the next state of a file takes the place of the last. */
static gchar *entry_name(const MeasureInput *input, const char *kind)
{
    return g_strdup_printf("%s-%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x", kind, input->device, input->inode);
}

gchar *policy_cache_lookup(const MeasureInput *input, const char *kind, gpointer store)
{
    g_autofree gchar *header = entry_header(input, kind);
    g_autofree gchar *name = entry_name(input, kind);
    g_autofree gchar *text = NULL;
    g_autofree gchar *wanted = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];
    gsize size = 0, head = strlen(header), tail = 1 + 2 * sizeof(digest) + 1;

    if (!policy_store_read(store, "cache", name, CACHE_MAX_SIZE, &text, &size, NULL) || !text)
        return NULL;
    if (size < head + tail || memcmp(text, header, head) || memchr(text, '\0', size))
        return NULL;
    policy_sha256(text, size - tail, digest);
    wanted = measure_hex_encode(digest, sizeof(digest));
    if (text[size - tail] != '\n' || text[size - 1] != '\n' ||
        memcmp(text + size - tail + 1, wanted, 2 * sizeof(digest)))
        return NULL;
    return g_strndup(text + head, size - tail - head);
}

typedef struct {
    gchar *path;
    gint64 time;
} CacheEntry;

static void entry_free(CacheEntry *entry)
{
    g_free(entry->path);
    g_free(entry);
}

static gint by_age(gconstpointer a, gconstpointer b)
{
    const CacheEntry *left = *(const CacheEntry *const *)a;
    const CacheEntry *right = *(const CacheEntry *const *)b;

    return left->time < right->time ? -1 : left->time > right->time;
}

/* Past the limit the oldest quarter goes, so that this does not happen at every write. */
static void prune(PolicyStore *store)
{
    g_autoptr(GPtrArray) names = policy_store_list(store, "cache", NULL);
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);

    if (!names || names->len <= CACHE_MAX_ENTRIES)
        return;
    for (guint i = 0; i < names->len; i++) {
        CacheEntry *entry = g_new0(CacheEntry, 1);
        struct stat st;

        entry->path = g_build_filename(policy_store_directory(store), "cache", names->pdata[i], NULL);
        entry->time = lstat(entry->path, &st) < 0 ? 0 : (gint64)st.st_mtime;
        g_ptr_array_add(entries, entry);
    }
    g_ptr_array_sort(entries, by_age);
    for (guint i = 0; i < entries->len - CACHE_MAX_ENTRIES * 3 / 4; i++)
        unlink(((CacheEntry *)g_ptr_array_index(entries, i))->path);
}

void policy_cache_store(const MeasureInput *input, const char *kind, const char *value, gpointer store)
{
    g_autofree gchar *header = entry_header(input, kind);
    g_autofree gchar *name = entry_name(input, kind);
    g_autofree gchar *body = g_strconcat(header, value, NULL);
    g_autofree gchar *hex = NULL;
    g_autofree gchar *text = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];

    if (strlen(value) > CACHE_MAX_VALUE)
        return;
    policy_sha256(body, strlen(body), digest);
    hex = measure_hex_encode(digest, sizeof(digest));
    text = g_strconcat(body, "\n", hex, "\n", NULL);
    /* A cache that cannot be written costs time, nothing else. */
    if (policy_store_write(store, "cache", name, text, strlen(text), FALSE, NULL))
        prune(store);
}
