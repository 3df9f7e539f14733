/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/boot-store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "storage/output.h"

#define LOCK_NAME "boot-store"
#define LOCK_TIMEOUT_MS (60 * 1000)
#define FILE_MAX ((gsize)512 << 20)

int storage_boot_lock(PolicyStore *store, GError **error)
{
    int lock = policy_store_lock(store, "volumes", LOCK_NAME, LOCK_TIMEOUT_MS, error);

    if (lock < 0)
        g_prefix_error(error, "cannot lock the kernels and initrds of domains against another virt-attest (if there is "
                              "one, try again later): ");
    return lock;
}

static int fail(GError **error, PolicyStore *store, const char *name, int number)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s/" POLICY_STORE_BOOT "/%s': %s",
                policy_store_directory(store), name, g_strerror(number));
    return -1;
}

/* TRUE when @fd holds exactly @data. */
static gboolean same_content(int fd, const guint8 *data, gsize size)
{
    guint8 buffer[8192];
    gsize done = 0;

    for (;;) {
        ssize_t got = read(fd, buffer, sizeof(buffer));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 && done == size;
        if ((gsize)got > size - done || memcmp(buffer, data + done, (gsize)got))
            return FALSE;
        done += (gsize)got;
    }
}

/* 1: it is there and good, 0: it is not there, -1: error. */
static int check_existing(PolicyStore *store, int folder, const char *name, const guint8 *data, gsize size,
                          GError **error)
{
    g_auto(PolicyFd) fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : fail(error, store, name, errno);
    if (fstat(fd, &st) < 0)
        return fail(error, store, name, errno);
    /* Its owner is not looked at: libvirt gives it to QEMU's user while a domain runs. */
    if (S_ISREG(st.st_mode) && (guint64)st.st_size == size && same_content(fd, data, size))
        return 1;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "'%s/" POLICY_STORE_BOOT "/%s' is not what its name says: somebody changed it; remove it, find out "
                "who, and run this command again", policy_store_directory(store), name);
    return -1;
}

static gboolean write_new(const char *path, GBytes *data, GError **error)
{
    g_autoptr(StorageOutput) output = storage_output_new(path, FALSE, 0444, error);

    return output && storage_output_write(output, g_bytes_get_data(data, NULL), g_bytes_get_size(data), error) &&
           storage_output_commit(output, error);
}

gchar *storage_boot_put(PolicyStore *store, GBytes *data, const char *suffix, GError **error)
{
    gsize size = 0;
    const guint8 *bytes = g_bytes_get_data(data, &size);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;
    g_autofree gchar *name = NULL;
    g_autofree gchar *path = NULL;
    g_auto(PolicyFd) folder = -1;
    int found = 0;

    if (!size || size > FILE_MAX) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the %s has %" G_GSIZE_FORMAT " bytes: 1 byte to 512 MiB", suffix, size);
        return NULL;
    }
    policy_sha256(bytes, size, digest);
    hex = measure_hex_encode(digest, sizeof(digest));
    name = g_strdup_printf("%s.%s", hex, suffix);
    folder = policy_store_folder(store, POLICY_STORE_BOOT, error);
    if (folder < 0)
        return NULL;
    path = g_build_filename(policy_store_directory(store), POLICY_STORE_BOOT, name, NULL);
    found = check_existing(store, folder, name, bytes, size, error);
    if (found < 0 || (!found && !write_new(path, data, error)))
        return NULL;
    return g_steal_pointer(&path);
}

/* ---- sweeping ---- */

static gboolean add_reference(PolicyStore *store, const char *file, GHashTable *named, GError **error)
{
    g_autofree gchar *uuid = g_str_has_suffix(file, ".json") ? g_strndup(file, strlen(file) - 5) : NULL;
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(GError) cause = NULL;

    /* One that was kept aside, or none of ours. */
    if (!uuid || !policy_uuid_valid(uuid))
        return TRUE;
    reference = policy_store_get_reference(store, uuid, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    for (guint i = 0; reference && i < reference->inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, i);

        if (input->path)
            g_hash_table_add(named, g_path_get_basename(input->path));
    }
    return TRUE;
}

static gboolean is_ours(const char *name)
{
    gsize digits = strspn(name, "0123456789abcdef");

    return digits == 2 * MEASURE_SHA256_SIZE &&
           (!strcmp(name + digits, ".kernel") || !strcmp(name + digits, ".initrd") ||
            !strcmp(name + digits, ".firmware"));
}

gboolean storage_boot_sweep(PolicyStore *store, GError **error)
{
    g_autofree gchar *path = g_build_filename(policy_store_directory(store), POLICY_STORE_BOOT, NULL);
    g_autoptr(GHashTable) named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) references = NULL;
    g_auto(PolicyFd) lock = -1;
    g_autoptr(GDir) dir = NULL;
    const char *name = NULL;

    if (!g_file_test(path, G_FILE_TEST_IS_DIR))
        return TRUE;
    /* Nobody is between writing a file and pinning a reference that names it. */
    lock = storage_boot_lock(store, error);
    if (lock < 0)
        return FALSE;
    references = policy_store_list(store, "references", error);
    for (guint i = 0; references && i < references->len; i++) {
        if (!add_reference(store, g_ptr_array_index(references, i), named, error))
            return FALSE;
    }
    dir = references ? g_dir_open(path, 0, error) : NULL;
    if (!dir)
        return FALSE;
    while ((name = g_dir_read_name(dir))) {
        g_autofree gchar *file = g_build_filename(path, name, NULL);

        if (is_ours(name) && !g_hash_table_contains(named, name))
            unlink(file);
    }
    return TRUE;
}
