/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/output.h"
#include "virsh-wrappers/output.h"

/* More than an ID authentication page in base64 with a line end after every other character. */
#define FILE_MAX 12288

void cmd_identity_clear(CmdIdentity *identity)
{
    g_clear_pointer(&identity->issuer, policy_id_issuer_free);
    g_clear_pointer(&identity->id_key, policy_key_free);
}

gboolean cmd_hex_option(const CmdContext *context, const char *name, guint8 *out, gsize size, GError **error)
{
    const char *text = cmd_context_get(context, name);
    if (!text || measure_hex_decode(text, out, size)) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(text);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "--%s '%s': %" G_GSIZE_FORMAT " hexadecimal digits (%" G_GSIZE_FORMAT " bytes) are needed", name, shown,
                2 * size, size);
    return FALSE;
}

static gboolean read_facts(const CmdContext *context, PolicyIdentity *facts, GError **error)
{
    guint64 svn = 0;
    if (!cmd_hex_option(context, "family-id", facts->family_id, sizeof(facts->family_id), error) ||
        !cmd_hex_option(context, "image-id", facts->image_id, sizeof(facts->image_id), error) ||
        !cmd_arguments_number(context->arguments, "svn", 0, G_MAXUINT32, &svn, error)) {
        return FALSE;
    }
    facts->guest_svn = (guint32)svn;
    return TRUE;
}

static gboolean passphrase_fd(const CmdContext *context, int *out, GError **error)
{
    guint64 fd = 0;
    if (!cmd_arguments_number(context->arguments, "passphrase-fd", 0, G_MAXINT, &fd, error)) {
        return FALSE;
    }
    *out = cmd_context_has(context, "passphrase-fd") ? (int)fd : -1;
    return TRUE;
}

static gboolean open_keys(const CmdContext *context, CmdIdentity *out, GError **error)
{
    const char *author = cmd_context_get(context, "author-key");
    g_autoptr(PolicyKey) author_key = NULL;
    int fd = -1;
    if (!passphrase_fd(context, &fd, error)) {
        return FALSE;
    }
    out->id_key = policy_key_load_private(cmd_context_get(context, "id-key"), POLICY_KEY_P384, "ID key", fd, error);
    if (!out->id_key || !policy_id_key_digest(out->id_key, out->facts.id_key_digest, error)) {
        return FALSE;
    }
    if (author) {
        author_key = policy_key_load_private(author, POLICY_KEY_P384, "author key", fd, error);
        if (!author_key || !policy_id_key_digest(author_key, out->facts.author_key_digest, error)) {
            return FALSE;
        }
        out->facts.has_author_key = TRUE;
    }
    out->issuer = policy_id_issuer_new(out->id_key, author_key, error);
    return out->issuer != NULL;
}

gboolean cmd_identity_open(CmdContext *context, CmdIdentity *out, GError **error)
{
    if (!cmd_context_has(context, "id-key")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "the option --id-key is missing: the private key that signs the ID block");
        return FALSE;
    }
    return read_facts(context, &out->facts, error) && open_keys(context, out, error);
}

gboolean cmd_identity_issue(const CmdIdentity *identity, const guint8 digest[MEASURE_SHA384_SIZE], guint64 policy,
                            guint8 block[POLICY_ID_BLOCK_SIZE], guint8 auth[POLICY_ID_AUTH_SIZE], GError **error)
{
    PolicyIdBlock facts = {.version = 1, .guest_svn = identity->facts.guest_svn, .policy = policy};
    memcpy(facts.digest, digest, sizeof(facts.digest));
    memcpy(facts.family_id, identity->facts.family_id, sizeof(facts.family_id));
    memcpy(facts.image_id, identity->facts.image_id, sizeof(facts.image_id));
    policy_id_block_format(&facts, block);
    return policy_id_issuer_sign(identity->issuer, block, auth, error);
}

gboolean cmd_reference_is_bound(const PolicyReference *reference)
{
    guint8 binding[MEASURE_SHA256_SIZE], found[MEASURE_SHA256_SIZE];
    if (!reference->host_data || !measure_hex_decode(reference->host_data, found, sizeof(found))) {
        return FALSE;
    }
    policy_reference_binding(reference, binding);
    return measure_digest_equal(binding, found, sizeof(found));
}

/* ---- reading ---- */

static gboolean read_small(const char *path, const char *what, guint8 *out, gsize room, gsize *size, GError **error)
{
    /* O_NONBLOCK: a pipe with nobody at its other end must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    gboolean good = fd >= 0 && fstat(fd, &status) == 0;
    const char *reason = NULL;
    if (good && !S_ISREG(status.st_mode)) {
        reason = "not a regular file";
        good = FALSE;
    }
    *size = 0;
    while (good && *size < room) {
        ssize_t got = read(fd, out + *size, room - *size);
        if (got == 0) {
            break;
        }
        good = got > 0 || errno == EINTR;
        *size += got > 0 ? (gsize)got : 0;
    }
    if (!good) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s': %s", what, shown,
                    reason ? reason : g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* GLib's decoder skips what it does not know: only a text that comes back the same was base64. */
static gboolean decode(const guint8 *data, gsize data_size, guint8 *out, gsize size)
{
    g_autofree gchar *text = g_malloc(data_size + 1);
    gsize text_size = 0;
    /* Programs that write base64 break the line where they like. */
    for (gsize i = 0; i < data_size; i++) {
        if (data[i] != '\n' && data[i] != '\r') {
            text[text_size++] = (gchar)data[i];
        }
    }
    text[text_size] = '\0';
    if (text_size != (size + 2) / 3 * 4) {
        return FALSE;
    }
    gsize length = 0;
    g_autofree guchar *decoded = g_base64_decode(text, &length);
    g_autofree gchar *again = g_base64_encode(decoded, length);
    if (length != size || strcmp(text, again) != 0) {
        return FALSE;
    }
    memcpy(out, decoded, size);
    return TRUE;
}

gboolean cmd_identity_read(const char *path, const char *what, guint8 *out, gsize size, GError **error)
{
    guint8 data[FILE_MAX];
    gsize length = 0;
    if (!read_small(path, what, data, sizeof(data), &length, error)) {
        return FALSE;
    }
    if (length == size) {
        memcpy(out, data, size);
        return TRUE;
    }
    if (decode(data, length, out, size)) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(path);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "%s '%s' is neither %" G_GSIZE_FORMAT " bytes nor these in base64 (%" G_GSIZE_FORMAT " characters)",
                what, shown, size, (size + 2) / 3 * 4);
    return FALSE;
}

/* ---- writing ---- */

typedef struct {
    gchar *path;
    StorageOutput *output;
    gboolean existed;
} Part;

static const char *const part_names[] = {"id-block.bin", "id-block.base64", "id-auth.bin", "id-auth.base64"};
#define PARTS G_N_ELEMENTS(part_names)

static gboolean make_folder(const char *folder, gboolean *made, GError **error)
{
    *made = g_mkdir(folder, 0755) == 0;
    if (*made || errno == EEXIST) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(folder);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot make the folder '%s': %s", shown,
                g_strerror(errno));
    return FALSE;
}

static gboolean prepare(Part *part, const char *folder, const char *name, gboolean replace, gconstpointer data,
                        gsize size, GError **error)
{
    part->path = g_build_filename(folder, name, NULL);
    part->existed = g_file_test(part->path, G_FILE_TEST_EXISTS);
    part->output = storage_output_new(part->path, replace, 0644, error);
    return part->output && storage_output_write(part->output, data, size, error);
}

/* After @done of the parts have their names: says what the folder holds now, where that is not what it held before. */
static void explain_mixture(const Part *parts, gsize done, const char *folder, GError **error)
{
    g_autoptr(GString) renewed = g_string_new(NULL);
    g_autoptr(GString) former = g_string_new(NULL);
    for (gsize i = 0; i < PARTS; i++) {
        GString *names = i < done ? renewed : former;
        if (parts[i].existed) {
            g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", part_names[i]);
        }
    }
    if (renewed->len == 0 || !error || !*error) {
        return;
    }
    g_autofree gchar *shown = cmd_printable(folder);
    g_autoptr(GError) cause = g_steal_pointer(error);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "'%s' is left with parts of two ID blocks, do not use it and repeat the command: %s\n  of this run: "
                "%s\n  of the former: %s",
                shown, cause->message, renewed->str, former->len > 0 ? former->str : "none");
}

static gboolean write_parts(Part *parts, const char *folder, gboolean replace, const guint8 *block, const guint8 *auth,
                            GError **error)
{
    g_autofree gchar *block_text = g_base64_encode(block, POLICY_ID_BLOCK_SIZE);
    g_autofree gchar *auth_text = g_base64_encode(auth, POLICY_ID_AUTH_SIZE);
    const void *const data[PARTS] = {block, block_text, auth, auth_text};
    const gsize sizes[PARTS] = {POLICY_ID_BLOCK_SIZE, strlen(block_text), POLICY_ID_AUTH_SIZE, strlen(auth_text)};
    for (gsize i = 0; i < PARTS; i++) {
        if (!prepare(&parts[i], folder, part_names[i], replace, data[i], sizes[i], error)) {
            return FALSE;
        }
    }
    /* Everything is on the disk by now; what is left to fail is giving the names. */
    for (gsize i = 0; i < PARTS; i++) {
        if (storage_output_commit(parts[i].output, error)) {
            continue;
        }
        for (gsize done = 0; done < i; done++) {
            if (!parts[done].existed) {
                g_unlink(parts[done].path);
            }
        }
        explain_mixture(parts, i, folder, error);
        return FALSE;
    }
    return TRUE;
}

/* Two runs into one folder go one after the other, or one's block would end up beside the other's page. */
static int lock_folder(const char *folder, GError **error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 ? errno : 0;
    while (!failed && flock(fd, LOCK_EX) < 0) {
        failed = errno == EINTR ? 0 : errno;
    }
    if (!failed) {
        return fd;
    }
    g_autofree gchar *shown = cmd_printable(folder);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot use the folder '%s': %s", shown,
                g_strerror(failed));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

gboolean cmd_identity_write(const char *folder, gboolean replace, const guint8 block[POLICY_ID_BLOCK_SIZE],
                            const guint8 auth[POLICY_ID_AUTH_SIZE], GError **error)
{
    Part parts[PARTS] = {0};
    gboolean made = FALSE;
    if (!make_folder(folder, &made, error)) {
        return FALSE;
    }
    int lock = lock_folder(folder, error);
    gboolean done = lock >= 0 && write_parts(parts, folder, replace, block, auth, error);
    for (gsize i = 0; i < PARTS; i++) {
        g_clear_pointer(&parts[i].output, storage_output_free);
        g_free(parts[i].path);
    }
    if (!done && made) {
        g_rmdir(folder);
    }
    if (lock >= 0) {
        close(lock);
    }
    return done;
}
