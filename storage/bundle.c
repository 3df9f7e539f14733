/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a bundle: unpack, hold every file against the manifest, then look into the few that are documents. Nothing of
 * the archive is used before the whole of it was unpacked without complaint.
 */
#include "storage/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/hash.h"
#include "storage/process.h"
#include "xml/host-access.h"
#include "xml/relocate.h"

#define PIECE (256 * 1024)
#define BOOT_FILE_MAX (G_GUINT64_CONSTANT(512) << 20) /* what the boot store takes */

const StorageArchiveMember storage_bundle_members[] = {
    {STORAGE_MANIFEST_NAME, STORAGE_MANIFEST_MAX_SIZE, FALSE},
    {STORAGE_BUNDLE_XML, XML_MAX_SIZE, TRUE},
    {STORAGE_BUNDLE_FIRMWARE, MEASURE_FIRMWARE_MAX_SIZE, TRUE},
    {STORAGE_BUNDLE_KERNEL, BOOT_FILE_MAX, TRUE},
    {STORAGE_BUNDLE_INITRD, BOOT_FILE_MAX, TRUE},
    {STORAGE_BUNDLE_REFERENCE, POLICY_ENVELOPE_MAX_SIZE, TRUE},
    {STORAGE_BUNDLE_ID_BLOCK, 96, TRUE},
    {STORAGE_BUNDLE_ID_AUTH, 4096, TRUE},
    {NULL},
};
/* Without these there is nothing to launch, or nothing to hold the launch against. */
static const char *const needed[] = {STORAGE_BUNDLE_XML, STORAGE_BUNDLE_FIRMWARE, STORAGE_BUNDLE_REFERENCE, NULL};

static void finding_free(StorageBundleFinding *finding)
{
    g_free(finding->what);
    g_free(finding->problem);
    g_free(finding);
}

void storage_bundle_free(StorageBundle *bundle)
{
    if (!bundle)
        return;
    g_free(bundle->xml);
    g_free(bundle->original_xml);
    g_clear_pointer(&bundle->domain, xml_domain_free);
    g_clear_pointer(&bundle->reference, policy_reference_free);
    g_clear_pointer(&bundle->envelope, policy_envelope_free);
    g_clear_pointer(&bundle->reference_text, g_bytes_unref);
    g_ptr_array_unref(bundle->findings);
    g_clear_pointer(&bundle->workdir, storage_workdir_free);
    g_free(bundle);
    /* A signal that came meanwhile counts from here on. */
    storage_interrupt_end();
}

gboolean storage_bundle_recognise(const char *path)
{
    return storage_archive_recognise(path);
}

static StorageBundleFinding *find(const StorageBundle *bundle, const char *what)
{
    for (guint i = 0; i < bundle->findings->len; i++) {
        StorageBundleFinding *finding = g_ptr_array_index(bundle->findings, i);

        if (!strcmp(finding->what, what))
            return finding;
    }
    return NULL;
}

/* The first problem of a member stays. @problem: (nullable) (transfer full) */
static void note(StorageBundle *bundle, const char *what, guint64 size, gchar *problem)
{
    StorageBundleFinding *finding = find(bundle, what);

    if (!finding) {
        finding = g_new0(StorageBundleFinding, 1);
        finding->what = g_strdup(what);
        finding->size = size;
        g_ptr_array_add(bundle->findings, finding);
    }
    if (!finding->problem)
        finding->problem = g_steal_pointer(&problem);
    g_free(problem);
}

static gboolean is_good(const StorageBundle *bundle, const char *what)
{
    const StorageBundleFinding *finding = find(bundle, what);

    return finding && !finding->problem;
}

/* ---- files ---- */

static gboolean fail(const char *name, GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the unpacked '%s' cannot be read: %s", name,
                g_strerror(errno));
    return FALSE;
}

static gboolean hash_file(int fd, const char *name, guint64 *size, guint8 out[MEASURE_SHA256_SIZE], GError **error)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree guint8 *buffer = g_malloc(PIECE);

    for (*size = 0;;) {
        gssize got = read(fd, buffer, PIECE);

        if (!storage_interrupt_check(error))
            return FALSE;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(name, error);
        if (!got)
            break;
        measure_hash_update(state, buffer, (gsize)got);
        *size += (guint64)got;
    }
    measure_hash_finish(state, out);
    return TRUE;
}

/* A member and its row in the manifest; neither of them is fine. */
static gboolean check_member(StorageBundle *bundle, const StorageManifest *manifest, const char *name, int folder,
                             GError **error)
{
    const StorageManifestFile *wanted = storage_manifest_find(manifest, name);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    guint8 sha256[MEASURE_SHA256_SIZE];
    guint64 size = 0;
    gboolean good;

    if (fd < 0 && errno != ENOENT)
        return fail(name, error);
    if (fd < 0) {
        if (wanted)
            note(bundle, name, 0, g_strdup("the manifest names it, and it is missing"));
        else if (g_strv_contains(needed, name))
            note(bundle, name, 0, g_strdup("it is missing"));
        return TRUE;
    }
    good = hash_file(fd, name, &size, sha256, error);
    close(fd);
    if (!good)
        return FALSE;
    if (!wanted)
        note(bundle, name, size, g_strdup("the manifest does not name it"));
    else if (size != wanted->size)
        note(bundle, name, size,
             g_strdup_printf("it has %" G_GUINT64_FORMAT " bytes, the manifest says %" G_GUINT64_FORMAT, size,
                             wanted->size));
    else if (memcmp(sha256, wanted->sha256, sizeof sha256))
        note(bundle, name, size, g_strdup("its SHA-256 is not that of the manifest"));
    else
        note(bundle, name, size, NULL);
    return TRUE;
}

/* A document of the bundle, whose size is capped by the table; %NULL without @error when it is missing. */
static GBytes *read_member(const StorageBundle *bundle, const char *name, GError **error)
{
    g_autofree gchar *path = g_build_filename(bundle->folder, name, NULL);
    g_autoptr(GError) cause = NULL;
    gchar *text = NULL;
    gsize size = 0;

    if (g_file_get_contents(path, &text, &size, &cause))
        return g_bytes_new_take(text, size);
    if (!g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the unpacked '%s' cannot be read: %s", name,
                    cause->message);
    return NULL;
}

/* ---- domain.xml ---- */

/* The XML must name the member where there is one, and nothing where there is none: never a file of this machine. */
static gchar *check_name(const StorageBundle *bundle, const char *member, const char *element, const char *named)
{
    gboolean there = find(bundle, member) != NULL;
    g_autofree gchar *shown = measure_printable(named);

    if (!g_strcmp0(named, there ? member : NULL))
        return NULL;
    if (!named)
        return g_strdup_printf("it has no <%s>, and the bundle has a file for it", element);
    return there ? g_strdup_printf("its <%s> is '%s' instead of the bundle's '%s'", element, shown, member)
                 : g_strdup_printf("its <%s> is '%s', which the bundle does not have", element, shown);
}

static gchar *check_names(const StorageBundle *bundle, const XmlDomain *domain)
{
    g_autoptr(GError) cause = NULL;
    gchar *problem = check_name(bundle, STORAGE_BUNDLE_FIRMWARE, "loader", domain->loader);

    if (!problem)
        problem = check_name(bundle, STORAGE_BUNDLE_KERNEL, "kernel", domain->kernel);
    if (!problem)
        problem = check_name(bundle, STORAGE_BUNDLE_INITRD, "initrd", domain->initrd);
    if (!problem && (domain->dtb || domain->shim))
        problem = g_strdup("it names a device tree or a shim, which bundles do not hold");
    if (!problem && !xml_check_host_access(bundle->original_xml, -1, &cause))
        problem = g_strconcat("its ", cause->message, NULL);
    return problem;
}

static gchar *in_folder(const StorageBundle *bundle, const char *name, gboolean there)
{
    return there ? g_build_filename(bundle->folder, name, NULL) : NULL;
}

static gchar *localise(StorageBundle *bundle, const XmlDomain *domain, GError **error)
{
    g_autofree gchar *firmware = in_folder(bundle, STORAGE_BUNDLE_FIRMWARE, TRUE);
    g_autofree gchar *kernel = in_folder(bundle, STORAGE_BUNDLE_KERNEL, domain->kernel != NULL);
    g_autofree gchar *initrd = in_folder(bundle, STORAGE_BUNDLE_INITRD, domain->initrd != NULL);
    XmlRelocate changes = {.firmware = firmware, .kernel = kernel, .initrd = initrd};

    return xml_relocate(bundle->original_xml, -1, &changes, error);
}

static gboolean read_xml(StorageBundle *bundle, GError **error)
{
    gboolean good = is_good(bundle, STORAGE_BUNDLE_XML);
    g_autoptr(GBytes) data = good ? read_member(bundle, STORAGE_BUNDLE_XML, error) : NULL;
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(GError) cause = NULL;
    const char *text = NULL;
    gchar *problem = NULL;
    gsize size = 0;

    if (!data)
        return !error || !*error;
    text = g_bytes_get_data(data, &size);
    domain = xml_domain_parse(text, (gssize)size, &cause);
    if (domain) {
        bundle->original_xml = g_strndup(text, size);
        problem = check_names(bundle, domain);
        bundle->xml = problem ? NULL : localise(bundle, domain, &cause);
        bundle->domain = bundle->xml ? xml_domain_parse(bundle->xml, -1, &cause) : NULL;
    }
    if (cause)
        problem = measure_printable(cause->message);
    note(bundle, STORAGE_BUNDLE_XML, size, problem);
    return TRUE;
}

/* ---- the other documents ---- */

static gboolean read_reference(StorageBundle *bundle, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const char *text = NULL;
    gsize size = 0;

    if (!is_good(bundle, STORAGE_BUNDLE_REFERENCE))
        return TRUE;
    bundle->reference_text = read_member(bundle, STORAGE_BUNDLE_REFERENCE, error);
    if (!bundle->reference_text)
        return FALSE;
    text = g_bytes_get_data(bundle->reference_text, &size);
    bundle->reference = policy_reference_read(text, (gssize)size, &bundle->envelope, &cause);
    if (cause)
        note(bundle, STORAGE_BUNDLE_REFERENCE, size, measure_printable(cause->message));
    return TRUE;
}

/* id-block.bin and id-auth.bin are copies of what the XML has, for tools that want files. */
static gboolean check_copy(StorageBundle *bundle, const char *name, const char *element, GBytes *wanted, GError **error)
{
    g_autoptr(GBytes) found = NULL;

    if (!wanted) {
        if (find(bundle, name))
            note(bundle, name, 0, g_strdup_printf("the domain XML has no <%s>", element));
        return TRUE;
    }
    found = read_member(bundle, name, error);
    if (!found) {
        if (error && *error)
            return FALSE;
        note(bundle, name, 0, g_strdup_printf("it is missing, and the domain XML has an <%s>", element));
    } else if (!g_bytes_equal(found, wanted)) {
        note(bundle, name, 0, g_strdup_printf("it is not the <%s> of the domain XML", element));
    }
    return TRUE;
}

static gboolean check_copies(StorageBundle *bundle, GError **error)
{
    return !bundle->domain ||
           (check_copy(bundle, STORAGE_BUNDLE_ID_BLOCK, "idBlock", bundle->domain->id_block, error) &&
            check_copy(bundle, STORAGE_BUNDLE_ID_AUTH, "idAuth", bundle->domain->id_auth, error));
}

/* ---- all of it ---- */

static StorageManifest *read_manifest(const StorageBundle *bundle, const char *path, GError **error)
{
    g_autoptr(GBytes) data = read_member(bundle, STORAGE_MANIFEST_NAME, error);
    gsize size = 0;
    const char *text = data ? g_bytes_get_data(data, &size) : NULL;
    StorageManifest *manifest = text ? storage_manifest_parse(text, (gssize)size, error) : NULL;

    if (data && !manifest) {
        g_autofree gchar *shown = measure_printable(path);

        g_prefix_error(error, "bundle '%s': %s: ", shown, STORAGE_MANIFEST_NAME);
    }
    return manifest;
}

static gboolean unpack(StorageBundle *bundle, const char *path, int folder, GError **error)
{
    g_autoptr(StorageManifest) manifest = NULL;

    if (!storage_archive_unpack(path, storage_bundle_members, STORAGE_ARCHIVE_PLAIN_NAMES, folder, error))
        return FALSE;
    manifest = read_manifest(bundle, path, error);
    if (!manifest)
        return FALSE;
    for (guint i = 1; storage_bundle_members[i].name; i++) {
        if (!check_member(bundle, manifest, storage_bundle_members[i].name, folder, error))
            return FALSE;
    }
    return read_xml(bundle, error) && read_reference(bundle, error) && check_copies(bundle, error);
}

StorageBundle *storage_bundle_inspect(const char *path, GError **error)
{
    g_autoptr(StorageBundle) bundle = g_new0(StorageBundle, 1);
    gboolean good;
    int folder;

    storage_interrupt_begin();
    bundle->findings = g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
    if (!measure_hash_ready(error))
        return NULL;
    bundle->workdir = storage_workdir_new(error);
    if (!bundle->workdir)
        return NULL;
    bundle->folder = storage_workdir_path(bundle->workdir);
    folder = open(bundle->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        fail(".", error);
        return NULL;
    }
    good = unpack(bundle, path, folder, error);
    close(folder);
    return good ? g_steal_pointer(&bundle) : NULL;
}

StorageBundle *storage_bundle_open(const char *path, GError **error)
{
    g_autoptr(StorageBundle) bundle = storage_bundle_inspect(path, error);

    for (guint i = 0; bundle && i < bundle->findings->len; i++) {
        const StorageBundleFinding *finding = g_ptr_array_index(bundle->findings, i);
        g_autofree gchar *shown = measure_printable(path);

        if (!finding->problem)
            continue;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "bundle '%s': %s: %s", shown, finding->what,
                    finding->problem);
        return NULL;
    }
    return g_steal_pointer(&bundle);
}
