/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The judgement is made of three parts: the bytes are one compressed frame and nothing else; the archive in it has one
 * canonical form, of which every byte is checked, so that the kernel's reading of it can be no other than ours; and the
 * one program in it is trusted. What an init does with a well-formed archive is the init's business, and so covered by
 * its digest.
 */
#include "policy/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "guest/words.h"
#include "policy/json.h"
#include "policy/newc.h"
#include "policy/text.h"

enum {
    GZIP_HEADER = 10,
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, in a gzip header */
    MAX_ARCHIVES = 8,      /* one behind the other, while looking for a shell */
};

void policy_initrd_free(PolicyInitrd *initrd)
{
    if (!initrd)
        return;
    g_free(initrd->kernel);
    g_free(initrd->reason);
    g_free(initrd);
}

static gboolean because(PolicyInitrd *initrd, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Sets the reason, unless there is one, and returns FALSE. */
static gboolean because(PolicyInitrd *initrd, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    va_list args;

    if (initrd->reason)
        return FALSE;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    initrd->reason = policy_one_line(text, 900);
    return FALSE;
}

/* ---- One compressed frame ---- */

typedef struct {
    const char *name;
    const char *magic;
    gsize size;
} Compression;

/* What the kernel's decompressors know (lib/decompress.c), ours first. */
static const Compression compressions[] = {
    {"zstd", "\x28\xb5\x2f\xfd", 4}, {"gzip", "\x1f\x8b", 2},  {"none", "070701", 6}, {"bzip2", "BZh", 3},
    {"lzma", "\x5d\x00", 2},         {"xz", "\xfd\x37zXZ", 5}, {"lzo", "\x89LZ", 3},  {"lz4", "\x02\x21\x4c\x18", 4},
};

static const Compression *find_compression(MeasureBytes data)
{
    for (gsize i = 0; i < G_N_ELEMENTS(compressions); i++) {
        if (data.size >= compressions[i].size && !memcmp(data.data, compressions[i].magic, compressions[i].size))
            return &compressions[i];
    }
    return NULL;
}

/* @used: bytes of @data that the frame has. NULL for what is damaged, too large or does not say its size. */
static GBytes *unpack_zstd(MeasureBytes data, gsize *used)
{
    unsigned long long size = ZSTD_getFrameContentSize(data.data, data.size);
    size_t frame = ZSTD_findFrameCompressedSize(data.data, data.size);
    g_autofree guint8 *out = NULL;

    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || !size ||
        size > POLICY_INITRD_MAX_UNPACKED || ZSTD_isError(frame) || frame > data.size)
        return NULL;
    out = g_try_malloc((gsize)size);
    if (!out || ZSTD_decompress(out, (gsize)size, data.data, frame) != size)
        return NULL;
    *used = frame;
    return g_bytes_new_take(g_steal_pointer(&out), (gsize)size);
}

/* The size in the last four bytes is right for a file of one member, which is all that can be ours. */
static GBytes *unpack_gzip(MeasureBytes data, gsize *used)
{
    z_stream stream = {0};
    guint32 size = 0;
    g_autofree guint8 *out = NULL;
    gboolean good = FALSE;

    if (data.size < GZIP_HEADER + 8 || data.size > POLICY_INITRD_MAX_SIZE ||
        !measure_bytes_u32(data, data.size - 4, &size) || !size || size > POLICY_INITRD_MAX_UNPACKED)
        return NULL;
    out = g_try_malloc(size);
    if (!out || inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return NULL;
    stream.next_in = (z_const Bytef *)data.data;
    stream.avail_in = (uInt)data.size;
    stream.next_out = out;
    stream.avail_out = size;
    good = inflate(&stream, Z_FINISH) == Z_STREAM_END && !stream.avail_out;
    *used = data.size - stream.avail_in;
    inflateEnd(&stream);
    return good ? g_bytes_new_take(g_steal_pointer(&out), size) : NULL;
}

static GBytes *unpack(const Compression *compression, MeasureBytes data, gsize *used)
{
    if (!strcmp(compression->name, "zstd"))
        return unpack_zstd(data, used);
    if (!strcmp(compression->name, "gzip"))
        return unpack_gzip(data, used);
    *used = data.size;
    return strcmp(compression->name, "none") ? NULL : g_bytes_new_static(data.data, data.size);
}

/*
 * The kernel looks for more of its command line at the very end of an initrd
 * (Documentation/admin-guide/bootconfig.rst), up to three bytes of padding before it, whatever the bytes are to the
 * decompressor.
 */
static gboolean has_boot_config(MeasureBytes data)
{
    static const char magic[] = "#BOOTCONFIG\n";
    gsize size = strlen(magic);

    for (gsize padding = 0; padding < 4 && padding + size <= data.size; padding++) {
        if (!memcmp(data.data + data.size - padding - size, magic, size))
            return TRUE;
    }
    return FALSE;
}

static GBytes *unpack_ours(PolicyInitrd *initrd, MeasureBytes data)
{
    /* Deflate, no flags (so neither a name nor a comment), no time; what follows tells the level and the system. */
    static const guint8 gzip_start[8] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
    const Compression *compression = find_compression(data);
    g_autoptr(GBytes) archive = NULL;
    gsize used = 0;

    if (has_boot_config(data)) {
        because(initrd, "ends in a boot configuration, which adds to the command line");
        return NULL;
    }
    if (!compression) {
        because(initrd, "is neither a cpio archive nor compressed in a way that the kernel knows");
        return NULL;
    }
    if (compression - compressions > 2) {
        because(initrd, "is compressed with %s, as virt-attest initrds never are", compression->name);
        return NULL;
    }
    initrd->compression = compression->name;
    archive = unpack(compression, data, &used);
    if (!archive) {
        because(initrd, "cannot be unpacked (%s): it is damaged, larger than %u MiB, or not one single frame",
                compression->name, POLICY_INITRD_MAX_UNPACKED >> 20);
        return NULL;
    }
    if (used != data.size) {
        because(initrd, "has something behind the end of its %s frame", compression->name);
        return NULL;
    }
    if (!strcmp(compression->name, "gzip") && memcmp(data.data, gzip_start, sizeof(gzip_start))) {
        because(initrd, "has a gzip header that virt-attest does not write");
        return NULL;
    }
    return g_steal_pointer(&archive);
}

/* ---- The archive ---- */

static const char *const folders[] = {"dev", "modules", "proc", "run", "sys", "sysroot", NULL};

static gboolean is_shell(const char *name)
{
    static const char *const shells[] = {"sh",    "bash",   "dash",  "ash",     "busybox", "zsh",  "ksh",     "mksh",
                                         "rbash", "toybox", "klibc", "sulogin", "fish",    "tcsh", "systemd", NULL};
    const char *base = strrchr(name, '/');

    return g_strv_contains(shells, base ? base + 1 : name);
}

/*
 * For the message only: somebody else's initrd often is several archives, one behind the other, of which the first has
 * nothing but microcode. Returns the name of a shell, or NULL.
 */
static gchar *find_shell(MeasureBytes data, guint archives)
{
    gsize at = 0, used = 0;
    PolicyNewcEntry entry;
    const Compression *compression = NULL;
    g_autoptr(GBytes) inner = NULL;
    MeasureBytes rest;

    while (policy_newc_next(data, &at, &entry)) {
        if (is_shell(entry.name))
            return g_strdup(entry.name);
    }
    while (at < data.size && !data.data[at])
        at++;
    if (!archives || at >= data.size || !measure_bytes_slice(data, at, data.size - at, &rest))
        return NULL;
    compression = find_compression(rest);
    if (!compression || (at == 0 && !strcmp(compression->name, "none")))
        return NULL;
    inner = unpack(compression, rest, &used);
    if (!inner)
        return NULL;
    rest.data = g_bytes_get_data(inner, &rest.size);
    return find_shell(rest, archives - 1);
}

static gboolean check_entry(PolicyInitrd *initrd, const PolicyNewcEntry *entry, guint inode, const char *last)
{
    gboolean folder = g_strv_contains(folders, entry->name);
    guint mode = folder ? S_IFDIR | 0755 : S_IFREG | (strcmp(entry->name, "init") ? 0644 : 0755);

    if (!folder && strcmp(entry->name, "init") && strcmp(entry->name, "initrd.list") &&
        !(g_str_has_prefix(entry->name, "modules/") && !strchr(entry->name + strlen("modules/"), '/') &&
          g_str_has_suffix(entry->name, ".ko")))
        return because(initrd, "holds '%s', which is not part of a virt-attest initrd", entry->name);
    if (strcmp(last, entry->name) >= 0)
        return because(initrd, "holds '%s' twice or in another order than a virt-attest initrd", entry->name);
    if (!policy_newc_is_canonical(entry, inode, mode, folder ? 2 : 1) || (folder && entry->data.size))
        return because(initrd, "holds '%s' in a form that virt-attest does not write (mode 0%o)", entry->name,
                       entry->mode);
    return TRUE;
}

static gboolean check_list(PolicyInitrd *initrd, MeasureBytes text, const GPtrArray *modules)
{
    g_autofree GuestInitrdList *list = g_new0(GuestInitrdList, 1);
    char message[GUEST_MESSAGE_MAX] = "";

    if (guest_initrd_list_parse((const char *)text.data, text.size, list, message))
        return because(initrd, "has a bad table of contents: %s", message);
    initrd->level = list->level;
    initrd->kernel = g_strdup(list->kernel);
    initrd->modules = modules->len;
    for (guint i = 0; i < modules->len; i++) {
        const char *name = (const char *)g_ptr_array_index(modules, i) + strlen("modules/");

        if (i >= list->n_modules || strcmp(list->modules[i].name, name))
            return because(initrd, "holds 'modules/%s', which its initrd.list does not name there", name);
    }
    if (modules->len < list->n_modules)
        return because(initrd, "does not hold '%s', which its initrd.list names", list->modules[modules->len].name);
    return TRUE;
}

static gboolean check_archive(PolicyInitrd *initrd, MeasureBytes archive)
{
    g_autoptr(GPtrArray) modules = g_ptr_array_new();
    MeasureBytes init = {0}, list = {0};
    PolicyNewcEntry entry;
    const char *last = "";
    guint seen = 0;
    gsize at = 0;

    for (guint inode = 1;; inode++) {
        if (!policy_newc_next(archive, &at, &entry))
            return because(initrd, "is not an archive that ends as it should: at byte %" G_GSIZE_FORMAT " is no entry",
                           at);
        if (!strcmp(entry.name, POLICY_NEWC_TRAILER))
            break;
        if (!check_entry(initrd, &entry, inode, last))
            return FALSE;
        last = entry.name;
        if (!strcmp(entry.name, "init"))
            init = entry.data;
        else if (!strcmp(entry.name, "initrd.list"))
            list = entry.data;
        else if (g_str_has_prefix(entry.name, "modules/"))
            g_ptr_array_add(modules, (gpointer)entry.name);
        else
            seen++;
    }
    if (!policy_newc_is_canonical(&entry, 0, 0, 1) || entry.data.size)
        return because(initrd, "has an end that virt-attest does not write");
    if (at != archive.size)
        return because(initrd, "has something behind the end of its archive");
    if (seen != g_strv_length((gchar **)folders) || !init.size || !list.size)
        return because(initrd, "lacks %s", !init.size ? "'init'" : !list.size ? "'initrd.list'" : "a folder");
    policy_sha256(init.data, init.size, initrd->init);
    return check_list(initrd, list, modules);
}

/* ---- Its init ---- */

/* NULL with @why when it cannot be read. */
static GBytes *read_whole(const char *path, gsize max_size, gchar **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    g_autofree guint8 *data = NULL;
    struct stat st;
    gsize done = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        *why = g_strdup(g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (guint64)st.st_size > max_size) {
        *why = g_strdup_printf("it is no regular file of at most %" G_GSIZE_FORMAT " MiB", max_size >> 20);
        close(fd);
        return NULL;
    }
    data = g_try_malloc((gsize)st.st_size + 1);
    while (data && done < (gsize)st.st_size) {
        gssize got = pread(fd, data + done, (gsize)st.st_size - done, (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (gsize)got;
    }
    close(fd);
    if (!data || done != (gsize)st.st_size) {
        *why = g_strdup("it cannot be read whole");
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), done);
}

static void check_init(PolicyInitrd *initrd, const PolicyConfig *config)
{
    g_autofree gchar *digest = measure_hex_encode(initrd->init, sizeof(initrd->init));
    g_autofree gchar *why = NULL;
    g_autofree gchar *installed = NULL;
    g_autoptr(GBytes) program = NULL;
    guint8 own[MEASURE_SHA256_SIZE];

    if (g_ptr_array_find_with_equal_func(config->trusted_init, digest, g_str_equal, NULL)) {
        initrd->init_trusted = TRUE;
        return;
    }
    program = read_whole(config->guest_init, POLICY_INIT_MAX_SIZE, &why);
    if (program) {
        policy_sha256(g_bytes_get_data(program, NULL), g_bytes_get_size(program), own);
        initrd->init_trusted = measure_digest_equal(own, initrd->init, sizeof(own));
        installed = measure_hex_encode(own, sizeof(own));
    }
    if (initrd->init_trusted)
        return;
    because(
        initrd,
        "has an init that is not trusted (SHA-256 %s): it is not the installed '%s' (%s%s); rebuild the initrd with "
        "'virt-attest initrd', or add the digest to 'trusted-init' in group [guest] of '%s' if you vouch for it",
        digest, config->guest_init, installed ? "SHA-256 " : "", installed ? installed : why, config->path);
}

PolicyInitrd *policy_initrd_judge(MeasureBytes data, const PolicyConfig *config)
{
    PolicyInitrd *initrd = g_new0(PolicyInitrd, 1);
    g_autoptr(GBytes) unpacked = NULL;
    g_autofree gchar *shell = NULL;

    if (data.size > POLICY_INITRD_MAX_SIZE) {
        because(initrd, "has %" G_GSIZE_FORMAT " bytes, more than any virt-attest initrd (%u MiB)", data.size,
                POLICY_INITRD_MAX_SIZE >> 20);
        return initrd;
    }
    unpacked = unpack_ours(initrd, data);
    if (unpacked) {
        MeasureBytes archive;

        archive.data = g_bytes_get_data(unpacked, &archive.size);
        initrd->ours = check_archive(initrd, archive);
        if (!initrd->ours)
            shell = find_shell(archive, MAX_ARCHIVES);
    } else {
        shell = find_shell(data, MAX_ARCHIVES);
    }
    if (shell) {
        g_clear_pointer(&initrd->reason, g_free);
        because(initrd, "holds '%s', which is not part of a virt-attest initrd", shell);
    }
    if (initrd->ours && config)
        check_init(initrd, config);
    return initrd;
}

PolicyInitrd *policy_initrd_judge_file(const MeasureInput *input, const PolicyConfig *config)
{
    g_autofree gchar *why = NULL;
    g_autoptr(GBytes) data = read_whole(input->path, POLICY_INITRD_MAX_SIZE, &why);
    guint8 digest[MEASURE_SHA256_SIZE];
    PolicyInitrd *initrd = NULL;
    MeasureBytes bytes;

    if (!data) {
        initrd = g_new0(PolicyInitrd, 1);
        because(initrd, "cannot be judged: %s", why);
        return initrd;
    }
    bytes.data = g_bytes_get_data(data, &bytes.size);
    policy_sha256(bytes.data, bytes.size, digest);
    if (!measure_digest_equal(digest, input->sha256, sizeof(digest))) {
        initrd = g_new0(PolicyInitrd, 1);
        because(initrd, "changed after it was measured: try again when nothing writes to it");
        return initrd;
    }
    return policy_initrd_judge(bytes, config);
}
