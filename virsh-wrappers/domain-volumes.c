/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which storage volumes belong to one domain and to nothing else.
 *
 * A file has many names: other spellings of its path, links, a second mount,
 * POOL/VOLUME, the base of an overlay. So what is compared is the file itself
 * (device and inode). Whatever the XML of another domain names counts as used,
 * as a disk or otherwise, and so does the base of every volume of every pool.
 *
 * A removed volume does not come back, so not knowing is a no: an XML that
 * cannot be read, a pool that is not active, an image outside of all pools
 * whose base libvirt cannot tell.
 */
#include "virsh-wrappers/domain-volumes.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "measure/error.h"
#include "storage/base.h"
#include "xml/document.h"

typedef struct {
    VirVolumeHandle *handle;
    gchar *pool, *name;
    gchar *path;        /* as libvirt calls it */
    gchar *identity;    /* see identify() */
    gchar *base;        /* path of the backing file, or NULL */
    gchar *base_format; /* or NULL */
} Volume;

static void volume_free(Volume *volume)
{
    g_clear_pointer(&volume->handle, vir_volume_release);
    g_free(volume->pool);
    g_free(volume->name);
    g_free(volume->path);
    g_free(volume->identity);
    g_free(volume->base);
    g_free(volume->base_format);
    g_free(volume);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Volume, volume_free)

typedef struct {
    virConnectPtr connection;
    GPtrArray *volumes; /* all volumes of all pools */
    GHashTable *users;  /* identity -> who uses it, in words */
    gboolean shallow;   /* only what is named counts, not what it may be based on */
} Survey;

static void survey_clear(Survey *survey)
{
    g_clear_pointer(&survey->volumes, g_ptr_array_unref);
    g_clear_pointer(&survey->users, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Survey, survey_clear)

#define MISSING "missing "

static gboolean is_missing(const char *identity)
{
    return g_str_has_prefix(identity, MISSING);
}

/* What a path leads to: one text for every path that leads there. Volumes of network pools have names, not paths. */
static gboolean identify(const char *path, gchar **identity, GError **error)
{
    struct stat st;
    if (!g_path_is_absolute(path)) {
        *identity = g_strdup_printf("name %s", path);
    } else if (stat(path, &st) == 0) {
        gboolean block = S_ISBLK(st.st_mode);
        dev_t device = block ? st.st_rdev : st.st_dev;
        *identity = g_strdup_printf("%s %u:%u %" G_GUINT64_FORMAT, block ? "device" : "file", major(device),
                                    minor(device), block ? 0 : (guint64)st.st_ino);
    } else if (errno == ENOENT || errno == ENOTDIR) {
        g_autofree gchar *canonical = g_canonicalize_filename(path, "/");
        *identity = g_strconcat(MISSING, canonical, NULL);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot look at '%s': %s", path, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static xmlNode *child(xmlNode *parent, const char *name)
{
    for (xmlNode *at = parent ? parent->children : NULL; at; at = at->next) {
        if (xml_is_element(at, NULL, name)) {
            return at;
        }
    }
    return NULL;
}

static gchar *attribute(xmlNode *node, const char *name)
{
    g_autoptr(XmlString) value = node ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
    return g_strdup((const char *)value);
}

static gchar *content(xmlNode *node)
{
    g_autoptr(XmlString) value = node ? xmlNodeGetContent(node) : NULL;
    return g_strdup((const char *)value);
}

static xmlDoc *read_xml(const char *xml, const char *whose, const char *name, GError **error)
{
    xmlDoc *document = xml_document_parse(xml, -1, error);
    if (!document) {
        g_prefix_error(error, "cannot read the XML of %s '%s': ", whose, name);
    }
    return document;
}

/* ---- Volumes ---- */

static const Volume *find_by_identity(const Survey *survey, const char *identity, const char *path)
{
    const Volume *found = NULL;
    for (guint i = 0; i < survey->volumes->len; i++) {
        const Volume *each = g_ptr_array_index(survey->volumes, i);
        if (g_str_equal(each->identity, identity) && (!found || g_strcmp0(each->path, path) == 0)) {
            found = each;
        }
    }
    return found;
}

static const Volume *find_by_name(const Survey *survey, const char *pool, const char *name)
{
    for (guint i = 0; i < survey->volumes->len; i++) {
        const Volume *each = g_ptr_array_index(survey->volumes, i);
        if (g_str_equal(each->pool, pool) && g_str_equal(each->name, name)) {
            return each;
        }
    }
    return NULL;
}

/* Takes @handle. A volume that is gone by now is left out. */
static gboolean add_volume(Survey *survey, const char *pool, VirVolumeHandle *handle, GError **error)
{
    g_autoptr(Volume) volume = g_new0(Volume, 1);
    volume->handle = handle;
    volume->pool = g_strdup(pool);
    volume->name = g_strdup(virStorageVolGetName(handle));
    g_autoptr(VirString) path = virStorageVolGetPath(handle);
    if (!path) {
        return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL ||
               cmd_libvirt_error(error, "cannot read volume '%s' of pool '%s'", volume->name, pool);
    }
    if (!identify(path, &volume->identity, error)) {
        return FALSE;
    }
    g_autoptr(VirString) xml = virStorageVolGetXMLDesc(handle, 0);
    if (!xml) {
        return is_missing(volume->identity) || virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL ||
               cmd_libvirt_error(error, "cannot read volume '%s' of pool '%s'", volume->name, pool);
    }
    volume->path = g_strdup(path);
    g_autoptr(xmlDoc) document = read_xml(xml, "volume", volume->name, error);
    if (!document) {
        return FALSE;
    }
    xmlNode *backing = child(xmlDocGetRootElement(document), "backingStore");
    volume->base = content(child(backing, "path"));
    volume->base_format = attribute(child(backing, "format"), "type");
    if (backing && xmlFirstElementChild(backing) && (!volume->base || !*volume->base)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "volume '%s' has a base that libvirt does not name",
                    path);
        return FALSE;
    }
    g_ptr_array_add(survey->volumes, g_steal_pointer(&volume));
    return TRUE;
}

static gboolean add_pool(Survey *survey, virStoragePoolPtr pool, GError **error)
{
    const char *name = virStoragePoolGetName(pool);
    if (virStoragePoolIsActive(pool) != 1 && survey->shallow) {
        return TRUE;
    }
    if (virStoragePoolIsActive(pool) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "storage pool '%s' is not active, so what its volumes are based on is not known: start it with "
                    "virsh pool-start",
                    name);
        return FALSE;
    }
    virStorageVolPtr *volumes = NULL;
    int n = virStoragePoolListAllVolumes(pool, &volumes, 0);
    if (n < 0) {
        return cmd_libvirt_error(error, "cannot list the volumes of pool '%s'", name);
    }
    gboolean done = TRUE;
    for (int i = 0; i < n; i++) {
        if (done) {
            done = add_volume(survey, name, volumes[i], error);
        } else {
            virStorageVolFree(volumes[i]);
        }
    }
    free(volumes);
    return done;
}

static gboolean add_pools(Survey *survey, GError **error)
{
    virStoragePoolPtr *pools = NULL;
    int n = virConnectListAllStoragePools(survey->connection, &pools, 0);
    if (n < 0) {
        return cmd_libvirt_error(error, "cannot list the storage pools");
    }
    gboolean done = TRUE;
    for (int i = 0; i < n; i++) {
        done = done && add_pool(survey, pools[i], error);
        virStoragePoolFree(pools[i]);
    }
    free(pools);
    return done;
}

/* ---- Users ---- */

static void add_user(Survey *survey, const char *identity, const char *who)
{
    if (!g_hash_table_contains(survey->users, identity)) {
        g_hash_table_insert(survey->users, g_strdup(identity), g_strdup(who));
    }
}

static gboolean add_path(Survey *survey, const char *path, const char *who, GError **error)
{
    g_autofree gchar *identity = NULL;
    if (!identify(path, &identity, error)) {
        return FALSE;
    }
    add_user(survey, identity, who);
    return TRUE;
}

/* An image outside of all pools may be an overlay, and nobody says of what. */
static gboolean check_chain(const Survey *survey, const char *path, const char *format, const char *who,
                            GError **error)
{
    g_autofree gchar *identity = NULL;
    if (survey->shallow) {
        return TRUE;
    }
    if (!identify(path, &identity, error)) {
        return FALSE;
    }
    if (g_strcmp0(format, "raw") == 0 || (g_strcmp0(format, "qcow2") == 0 && storage_base_is_flat(path)) ||
        is_missing(identity) || find_by_identity(survey, identity, path)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                "'%s', used by %s, is in no storage pool, so it is not known what it is based on: make a pool of its "
                "folder, or refresh the pool with virsh pool-refresh",
                path, who);
    return FALSE;
}

/* Where an image of a domain comes from: POOL/VOLUME, or a name on the network. Paths are found everywhere. */
static gboolean add_source(Survey *survey, xmlNode *source, const char *who, GError **error)
{
    g_autofree gchar *pool = attribute(source, "pool");
    g_autofree gchar *name = attribute(source, "volume");
    g_autofree gchar *remote = attribute(source, "name");
    if (pool && name) {
        const Volume *volume = find_by_name(survey, pool, name);
        if (!volume && survey->shallow) {
            return TRUE;
        }
        if (!volume) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                        "volume '%s' of pool '%s', used by %s, cannot be found: refresh the pool with virsh "
                        "pool-refresh",
                        name, pool, who);
            return FALSE;
        }
        add_user(survey, volume->identity, who);
    }
    return !remote || add_path(survey, remote, who, error);
}

/* @image: <disk>, or <backingStore> inside of it */
static gboolean check_image(const Survey *survey, xmlNode *image, const char *who, GError **error)
{
    xmlNode *source = child(image, "source");
    gboolean disk = xml_is_element(image, NULL, "disk");
    g_autofree gchar *format = attribute(child(image, disk ? "driver" : "format"), "type");
    static const char *const kinds[] = {"file", "dev", "name"};
    for (guint i = 0; source && i < G_N_ELEMENTS(kinds); i++) {
        g_autofree gchar *path = attribute(source, kinds[i]);
        /* libvirt takes a disk without a format for raw, and does not look into it. */
        if (path && !check_chain(survey, path, format ? format : "raw", who, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Depth: the parser caps it. */
static gboolean add_element(Survey *survey, xmlNode *element, const char *who, GError **error)
{
    for (xmlAttr *at = element->properties; at; at = at->next) {
        g_autoptr(XmlString) value = xmlNodeListGetString(element->doc, at->children, 1);
        if (value && *value == '/' && !add_path(survey, (const char *)value, who, error)) {
            return FALSE;
        }
    }
    if (xml_is_element(element, NULL, "source") && !add_source(survey, element, who, error)) {
        return FALSE;
    }
    if ((xml_is_element(element, NULL, "disk") || xml_is_element(element, NULL, "backingStore")) &&
        !check_image(survey, element, who, error)) {
        return FALSE;
    }
    if (!xmlFirstElementChild(element)) {
        g_autofree gchar *text = content(element);
        return !text || *text != '/' || add_path(survey, text, who, error);
    }
    for (xmlNode *at = element->children; at; at = at->next) {
        if (at->type == XML_ELEMENT_NODE && !xml_is_element(at, NULL, "metadata") &&
            !add_element(survey, at, who, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What it is defined with and what it runs with now: a disk may be plugged in, a chain grown. */
static gboolean add_domain(Survey *survey, virDomainPtr domain, GError **error)
{
    static const unsigned int kinds[] = {0, VIR_DOMAIN_XML_INACTIVE};
    const char *name = virDomainGetName(domain);
    g_autofree gchar *who = g_strdup_printf("domain '%s'", name);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(VirString) xml = virDomainGetXMLDesc(domain, kinds[i]);
        if (!xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
            return TRUE;
        }
        if (!xml) {
            return cmd_libvirt_error(error, "cannot read the XML of domain '%s'", name);
        }
        g_autoptr(xmlDoc) document = read_xml(xml, "domain", name, error);
        if (!document || !add_element(survey, xmlDocGetRootElement(document), who, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean add_domains(Survey *survey, const char *except, unsigned int which, GError **error)
{
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(survey->connection, &domains, which);
    if (n < 0) {
        return cmd_libvirt_error(error, "cannot list the domains");
    }
    gboolean done = TRUE;
    for (int i = 0; i < n; i++) {
        g_autofree gchar *uuid = NULL;
        done = done && cmd_domain_uuid(domains[i], &uuid, error) &&
               (g_strcmp0(uuid, except) == 0 || add_domain(survey, domains[i], error));
        virDomainFree(domains[i]);
    }
    free(domains);
    return done;
}

/* The base of every volume that stays is used by it. */
static gboolean add_bases(Survey *survey, GPtrArray *leaving, GError **error)
{
    for (guint i = 0; i < survey->volumes->len; i++) {
        const Volume *each = g_ptr_array_index(survey->volumes, i);
        g_autofree gchar *who = g_strdup_printf("volume '%s', whose base it is", each->path);
        if (each->base && !g_ptr_array_find(leaving, each, NULL) &&
            (!add_path(survey, each->base, who, error) ||
             !check_chain(survey, each->base, each->base_format, who, error))) {
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- The domain's own disks ---- */

/* Why a disk is not the domain's alone, or NULL. */
static const char *reason_to_keep(xmlNode *disk)
{
    g_autofree gchar *device = attribute(disk, "device");
    if (device && !g_str_equal(device, "disk")) {
        return device[0] == 'c' ? "a CD-ROM" : "no ordinary disk";
    }
    return child(disk, "readonly") ? "read-only" : child(disk, "shareable") ? "shareable"
                                               : child(disk, "transient")   ? "transient" : NULL;
}

static const Volume *find_own(const Survey *survey, xmlNode *source, gchar **label, GError **error)
{
    const Volume *volume = NULL;
    g_autofree gchar *pool = attribute(source, "pool");
    g_autofree gchar *name = attribute(source, "volume");
    g_autofree gchar *identity = NULL;
    static const char *const kinds[] = {"file", "dev", "name", "dir"};
    for (guint i = 0; !*label && i < G_N_ELEMENTS(kinds); i++) {
        *label = attribute(source, kinds[i]);
    }
    if (pool && name) {
        g_free(*label);
        *label = g_strdup_printf("%s/%s", pool, name);
        volume = find_by_name(survey, pool, name);
    } else if (*label) {
        if (!identify(*label, &identity, error)) {
            return NULL;
        }
        volume = find_by_identity(survey, identity, *label);
    }
    if (!volume) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "'%s' is in no storage pool (try 'virsh pool-refresh')",
                    *label ? *label : "a disk of the domain");
    }
    return volume;
}

static gboolean is_owned(const GPtrArray *owned, const Volume *volume)
{
    return owned && volume && volume->path &&
           g_ptr_array_find_with_equal_func((GPtrArray *)owned, volume->path, g_str_equal, NULL);
}

static gboolean find_leaving(const Survey *survey, xmlNode *devices, const GPtrArray *owned, GPtrArray *leaving,
                             GPtrArray *kept, GError **error)
{
    for (xmlNode *disk = devices ? devices->children : NULL; disk; disk = disk->next) {
        xmlNode *source = xml_is_element(disk, NULL, "disk") ? child(disk, "source") : NULL;
        g_autofree gchar *label = NULL;
        if (!source) {
            continue;
        }
        const char *reason = reason_to_keep(disk);
        g_autoptr(GError) cause = NULL;
        const Volume *volume = find_own(survey, source, &label, &cause);
        if (reason && !is_owned(owned, volume)) {
            g_ptr_array_add(kept, g_strdup_printf("'%s' is kept: it is %s", label ? label : "a disk", reason));
        } else if (!volume) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        } else if (!g_ptr_array_find(leaving, volume, NULL)) {
            g_ptr_array_add(leaving, (gpointer)volume);
        }
    }
    return TRUE;
}

static gboolean survey_domain(Survey *survey, virDomainPtr domain, const GPtrArray *owned, GPtrArray *leaving,
                              GPtrArray *kept, GError **error)
{
    g_autofree gchar *uuid = NULL;
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    g_autoptr(xmlDoc) document = xml ? read_xml(xml, "domain", virDomainGetName(domain), error) : NULL;
    if (!document || !cmd_domain_uuid(domain, &uuid, error) || !add_pools(survey, error) ||
        !find_leaving(survey, child(xmlDocGetRootElement(document), "devices"), owned, leaving, kept, error)) {
        return FALSE;
    }
    /* With nothing to remove there is nothing to find out about the others. */
    if (leaving->len == 0) {
        return TRUE;
    }
    if (!add_domains(survey, uuid, 0, error) || !add_bases(survey, leaving, error)) {
        return FALSE;
    }
    for (guint i = 0; i < leaving->len; i++) {
        const Volume *each = g_ptr_array_index(leaving, i);
        const char *who = g_hash_table_lookup(survey->users, each->identity);
        if (who) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "'%s' is also used by %s", each->path, who);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean cmd_domain_volumes(virDomainPtr domain, const GPtrArray *owned, GPtrArray **volumes, GPtrArray **kept,
                            GError **error)
{
    g_auto(Survey) survey = {
        .connection = virDomainGetConnect(domain),
        .volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free),
        .users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
    };
    g_autoptr(GPtrArray) leaving = g_ptr_array_new();
    g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func(g_free);
    if (!survey_domain(&survey, domain, owned, leaving, left, error)) {
        return FALSE;
    }
    *volumes = g_ptr_array_new_with_free_func((GDestroyNotify)vir_volume_release);
    for (guint i = 0; i < leaving->len; i++) {
        Volume *each = g_ptr_array_index(leaving, i);
        g_ptr_array_add(*volumes, g_steal_pointer(&each->handle));
    }
    *kept = g_steal_pointer(&left);
    return TRUE;
}

gboolean cmd_file_users(virConnectPtr connection, const char *const *paths, CmdUsers kind, const char *except,
                        gchar **who, GError **error)
{
    g_auto(Survey) survey = {
        .connection = connection,
        .volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free),
        .users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        .shallow = kind != CMD_USERS_ALL,
    };
    g_autoptr(GPtrArray) asked = g_ptr_array_new();
    unsigned int which = kind == CMD_USERS_RUNNING ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : 0;
    *who = NULL;
    if (!add_pools(&survey, error) || !add_domains(&survey, except, which, error)) {
        return FALSE;
    }
    for (guint i = 0; paths[i]; i++) {
        g_autofree gchar *identity = NULL;
        if (!identify(paths[i], &identity, error)) {
            return FALSE;
        }
        const Volume *volume = find_by_identity(&survey, identity, paths[i]);
        if (volume) {
            g_ptr_array_add(asked, (gpointer)volume);
        }
    }
    if (kind == CMD_USERS_ALL && !add_bases(&survey, asked, error)) {
        return FALSE;
    }
    for (guint i = 0; paths[i] && !*who; i++) {
        g_autofree gchar *identity = NULL;
        if (!identify(paths[i], &identity, error)) {
            return FALSE;
        }
        *who = g_strdup(g_hash_table_lookup(survey.users, identity));
    }
    return TRUE;
}
