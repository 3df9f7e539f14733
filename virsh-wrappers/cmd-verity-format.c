/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verity-format: computes the hash tree of an image, a chain of images or a partition. */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/output.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/progress.h"
#include "virsh-wrappers/verity-arguments.h"

/* Where the tree goes: a file that appears when it is whole, or a block device. */
typedef struct {
    gchar *path; /* symbolic links resolved */
    gboolean exists;
    struct stat status;
    StorageOutput *file;
    int device;
} Target;

static void target_clear(Target *target)
{
    g_clear_pointer(&target->file, storage_output_free);
    if (target->device >= 0) {
        close(target->device);
    }
    g_clear_pointer(&target->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

static gboolean fail(GError **error, AttestError code, const char *path, const char *what)
{
    g_autofree gchar *shown = cmd_printable(path);
    g_set_error(error, ATTEST_ERROR, code, "'%s': %s", shown, what);
    return FALSE;
}

static gboolean read_salt(const CmdContext *context, StorageVerity *verity, GError **error)
{
    const char *text = cmd_context_get(context, "salt");
    if (!text) {
        return TRUE;
    }
    gsize digits = g_str_equal(text, "-") ? 0 : strlen(text);
    if (digits / 2 > STORAGE_VERITY_MAX_SALT || digits % 2 != 0 || *text == '\0' ||
        (digits > 0 && !measure_hex_decode(text, verity->salt, digits / 2))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--salt: 2 to %d hexadecimal digits, an even number of them, or '-'", 2 * STORAGE_VERITY_MAX_SALT);
        return FALSE;
    }
    verity->salt_size = digits / 2;
    return TRUE;
}

static gboolean read_uuid(const CmdContext *context, StorageVerity *verity, GError **error)
{
    const char *text = cmd_context_get(context, "uuid");
    if (!text) {
        return TRUE;
    }
    g_auto(GStrv) parts = g_strsplit(text, "-", -1);
    g_autofree gchar *digits = g_strjoinv("", parts);
    if (!g_uuid_string_is_valid(text) || !measure_hex_decode(digits, verity->uuid, sizeof verity->uuid)) {
        g_autofree gchar *shown = cmd_printable(text);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--uuid: '%s' is no UUID", shown);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_parameters(const CmdContext *context, StorageVerity *verity, GError **error)
{
    const char *hash = cmd_context_get(context, "hash");
    guint64 data_size = verity->data_block_size, hash_size = verity->hash_block_size;
    if (hash && g_strlcpy(verity->hash, hash, sizeof verity->hash) >= sizeof verity->hash) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--hash: use sha256, sha384 or sha512");
        return FALSE;
    }
    if (!cmd_arguments_number(context->arguments, "data-block-size", 512, 4096, &data_size, error) ||
        !cmd_arguments_number(context->arguments, "hash-block-size", 512, 4096, &hash_size, error) ||
        !cmd_arguments_number(context->arguments, "data-blocks", 1, G_MAXINT64 / 512, &verity->data_blocks, error)) {
        return FALSE;
    }
    verity->data_block_size = (guint32)data_size;
    verity->hash_block_size = (guint32)hash_size;
    return read_salt(context, verity, error) && read_uuid(context, verity, error);
}

/* What is not said on the command line is as in the old file: without that it could not be used. */
static gboolean read_reuse(const CmdContext *context, StorageVerity *verity, StorageVerityOptions *options,
                           guint8 *root_hash, GError **error)
{
    const char *text = cmd_context_get(context, "reuse-root-hash");
    options->reuse = cmd_context_get(context, "reuse");
    if (!options->reuse != !text) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--reuse and --reuse-root-hash go together");
        return FALSE;
    }
    if (!text) {
        return TRUE;
    }
    StorageVerity old;
    gsize size = cmd_verity_root_hash(text, root_hash, error);
    int fd = size > 0 ? storage_verity_open(options->reuse, &old, error) : -1;
    if (fd < 0) {
        storage_verity_name_file(options->reuse, error);
        return FALSE;
    }
    close(fd);
    memcpy(verity->hash, old.hash, sizeof verity->hash);
    verity->data_block_size = old.data_block_size;
    verity->hash_block_size = old.hash_block_size;
    memcpy(verity->salt, old.salt, sizeof verity->salt);
    verity->salt_size = old.salt_size;
    options->reuse_root_hash = root_hash;
    if (size != old.digest_size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--reuse-root-hash: has %" G_GSIZE_FORMAT
                    " bytes, but the file was made with %s, which gives %" G_GSIZE_FORMAT,
                    size, old.hash, old.digest_size);
        return FALSE;
    }
    return TRUE;
}

/* Nothing is replaced but what is empty or was made for this purpose. */
static gboolean check_existing(const Target *target, GError **error)
{
    if (target->status.st_size == 0) {
        return TRUE;
    }
    int fd = open(target->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fail(error, ATTEST_ERROR_UNREADABLE, target->path, g_strerror(errno));
    }
    gboolean good = storage_verity_has_signature(fd);
    close(fd);
    return good || fail(error, ATTEST_ERROR_UNREADABLE, target->path,
                        "exists and is no dm-verity hash file; choose another name, or remove it first");
}

static gboolean target_resolve(Target *target, const char *path, GError **error)
{
    struct stat status;
    gboolean there = lstat(path, &status) == 0;
    if (!there && errno != ENOENT) {
        return fail(error, ATTEST_ERROR_UNREADABLE, path, g_strerror(errno));
    }
    if (there && S_ISLNK(status.st_mode)) {
        target->path = realpath(path, NULL);
        if (!target->path) {
            return fail(error, ATTEST_ERROR_UNREADABLE, path, "a symbolic link that leads nowhere");
        }
    } else {
        target->path = g_strdup(path);
    }
    target->exists = stat(target->path, &target->status) == 0;
    if (!target->exists || S_ISBLK(target->status.st_mode)) {
        return TRUE;
    }
    if (!S_ISREG(target->status.st_mode)) {
        return fail(error, ATTEST_ERROR_UNREADABLE, path, "neither a regular file nor a block device");
    }
    return check_existing(target, error);
}

/* Owner and permissions of a file that is replaced; of a new one as for every other program. */
static gboolean open_file(Target *target, GError **error)
{
    mode_t mask = umask(0);
    umask(mask);
    mode_t mode = target->exists ? target->status.st_mode & 0777 : 0666 & ~mask;
    target->file = storage_output_new(target->path, TRUE, mode, error);
    if (!target->file) {
        return FALSE;
    }
    if (target->exists && fchown(storage_output_fd(target->file), target->status.st_uid, target->status.st_gid) != 0 &&
        errno != EPERM) {
        return fail(error, ATTEST_ERROR_UNREADABLE, target->path, g_strerror(errno));
    }
    return TRUE;
}

static gboolean open_device(Target *target, guint64 size, GError **error)
{
    /* O_EXCL on a device: fails while it is mounted or part of another one. */
    target->device = open(target->path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY);
    off_t end = target->device >= 0 ? lseek(target->device, 0, SEEK_END) : -1;
    if (end < 0) {
        return fail(error, ATTEST_ERROR_UNREADABLE, target->path, g_strerror(errno));
    }
    return (guint64)end >= size || fail(error, ATTEST_ERROR_UNREADABLE, target->path, "too small for the hash tree");
}

static gboolean target_open(Target *target, StorageDisk *data, const StorageVerity *verity,
                            const StorageVerityOptions *options, GError **error)
{
    StorageVerity whole = *verity;
    if (storage_disk_uses(data, target->path)) {
        return fail(error, ATTEST_ERROR_USAGE, target->path, "DATA and HASH are the same file");
    }
    if (!target->exists || S_ISREG(target->status.st_mode)) {
        return open_file(target, error);
    }
    if (whole.data_blocks == 0 && whole.data_block_size > 0) {
        whole.data_blocks = options->length / whole.data_block_size;
    }
    return open_device(target, storage_verity_hash_size(&whole), error);
}

static gboolean target_commit(Target *target, GError **error)
{
    if (target->file) {
        return storage_output_commit(target->file, error);
    }
    return fsync(target->device) == 0 || fail(error, ATTEST_ERROR_UNREADABLE, target->path, g_strerror(errno));
}

int cmd_verity_format(CmdContext *context, GError **error)
{
    g_auto(Target) target = {.device = -1};
    guint8 old_root_hash[STORAGE_VERITY_MAX_DIGEST];
    StorageVerityOptions options = {0};
    StorageVerity verity;
    storage_verity_init(&verity);
    if (!read_reuse(context, &verity, &options, old_root_hash, error) || !read_parameters(context, &verity, error) ||
        !target_resolve(&target, cmd_context_word(context, 1), error)) {
        return -1;
    }
    g_autoptr(StorageDisk) data = cmd_verity_open_data(context, &options, error);
    if (!data || !target_open(&target, data, &verity, &options, error)) {
        return -1;
    }
    g_autoptr(CmdProgress) progress = cmd_progress_new(context);
    options.progress = cmd_progress_update;
    options.progress_data = progress;
    int fd = target.file ? storage_output_fd(target.file) : target.device;
    if (!storage_verity_format(data, fd, &verity, &options, error) || !target_commit(&target, error)) {
        storage_verity_name_file(target.path, error);
        return -1;
    }
    cmd_progress_clear(progress);
    g_autofree gchar *root_hash = measure_hex_encode(verity.root_hash, verity.digest_size);
    printf("Root hash: %s\n", root_hash);
    return 0;
}
