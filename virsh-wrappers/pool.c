/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/pool.h"

#include <string.h>
#include <sys/stat.h>

#include "measure/error.h"
#include "virsh-wrappers/output.h"
#include "xml/document.h"

void cmd_pool_free(CmdPool *pool)
{
    if (!pool) {
        return;
    }
    g_clear_pointer(&pool->handle, vir_pool_release);
    g_free(pool->name);
    g_free(pool->uuid);
    g_free(pool->folder);
    g_free(pool);
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

static gchar *text_of(xmlNode *node)
{
    g_autoptr(XmlString) text = node ? xmlNodeGetContent(node) : NULL;
    return g_strdup((const char *)text);
}

static gboolean read_pool(CmdPool *pool, GError **error)
{
    static const char *const known[] = {"dir", "fs", "netfs", NULL};
    g_autoptr(VirString) xml = virStoragePoolGetXMLDesc(pool->handle, 0);
    if (!xml) {
        return cmd_libvirt_error(error, "cannot read the XML of storage pool '%s'", pool->name);
    }
    g_autoptr(xmlDoc) document = xml_document_parse(xml, -1, error);
    if (!document) {
        return FALSE;
    }
    xmlNode *root = xmlDocGetRootElement(document);
    g_autoptr(XmlString) type = xmlGetNoNsProp(root, (const xmlChar *)"type");
    if (!type || !g_strv_contains(known, (const char *)type)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "storage pool '%s' is of the type '%s': volumes of guests need a pool of files in a folder (dir, fs or "
                    "netfs); name one with --pool",
                    pool->name, type ? (const char *)type : "");
        return FALSE;
    }
    pool->folder = text_of(child(child(root, "target"), "path"));
    if (!pool->folder || !g_path_is_absolute(pool->folder) || !g_file_test(pool->folder, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "storage pool '%s' has no folder on this machine",
                    pool->name);
        return FALSE;
    }
    return TRUE;
}

CmdPool *cmd_pool_open(virConnectPtr connection, const char *name, GError **error)
{
    g_autoptr(CmdPool) pool = g_new0(CmdPool, 1);
    char uuid[VIR_UUID_STRING_BUFLEN];
    pool->name = g_strdup(name);
    pool->handle = virStoragePoolLookupByName(connection, name);
    if (!pool->handle) {
        if (virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL) {
            g_autofree gchar *shown = cmd_printable(name);
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                        "there is no storage pool '%s': 'virsh pool-list --all' shows the pools; name one with --pool, or "
                        "make it with 'virsh pool-create-as'",
                        shown);
        } else {
            cmd_libvirt_error(error, "cannot find storage pool '%s'", name);
        }
        return NULL;
    }
    if (virStoragePoolIsActive(pool->handle) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "storage pool '%s' is not active: start it with 'virsh pool-start %s'", name, name);
        return NULL;
    }
    if (virStoragePoolGetUUIDString(pool->handle, uuid) < 0) {
        cmd_libvirt_error(error, "cannot read the UUID of storage pool '%s'", name);
        return NULL;
    }
    pool->uuid = g_strdup(uuid);
    if (!read_pool(pool, error)) {
        return NULL;
    }
    /* What others put there or took away since libvirt looked. A pool with a job running cannot be looked at now. */
    virStoragePoolRefresh(pool->handle, 0);
    return g_steal_pointer(&pool);
}

gchar *cmd_pool_path(const CmdPool *pool, const char *volume)
{
    return g_build_filename(pool->folder, volume, NULL);
}

/* NULL without @error when there is none. */
static VirVolumeHandle *lookup(const CmdPool *pool, const char *volume, GError **error)
{
    VirVolumeHandle *handle = virStorageVolLookupByName(pool->handle, volume);
    if (!handle && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL) {
        cmd_libvirt_error(error, "cannot look for volume '%s' in pool '%s'", volume, pool->name);
    }
    return handle;
}

gboolean cmd_pool_has(const CmdPool *pool, const char *volume, gboolean *out, GError **error)
{
    g_autofree gchar *path = cmd_pool_path(pool, volume);
    g_autoptr(GError) cause = NULL;
    g_autoptr(VirVolumeHandle) handle = lookup(pool, volume, &cause);
    struct stat st;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    *out = handle != NULL || lstat(path, &st) == 0;
    return TRUE;
}

static void add_text(xmlNode *parent, const char *name, const char *text)
{
    xmlAddChild(xmlNewChild(parent, NULL, (const xmlChar *)name, NULL), xmlNewText((const xmlChar *)text));
}

static void add_format(xmlNode *parent, const char *format)
{
    xmlNode *node = xmlNewChild(parent, NULL, (const xmlChar *)"format", NULL);
    xmlNewProp(node, (const xmlChar *)"type", (const xmlChar *)format);
}

static gchar *volume_xml(const char *volume, const char *format, guint64 capacity, const char *base,
                         const char *base_format)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewDocNode(document, NULL, (const xmlChar *)"volume", NULL);
    g_autofree gchar *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, capacity);
    xmlDocSetRootElement(document, root);
    add_text(root, "name", volume);
    add_text(root, "capacity", bytes);
    add_text(root, "allocation", "0");
    add_format(xmlNewChild(root, NULL, (const xmlChar *)"target", NULL), format);
    if (base) {
        xmlNode *backing = xmlNewChild(root, NULL, (const xmlChar *)"backingStore", NULL);
        add_text(backing, "path", base);
        add_format(backing, base_format);
    }
    return xml_node_to_text(root, 0);
}

gboolean cmd_pool_create(const CmdPool *pool, const char *volume, const char *format, guint64 capacity, const char *base,
                         const char *base_format, GError **error)
{
    g_autofree gchar *xml = volume_xml(volume, format, capacity, base, base_format);
    g_autoptr(VirVolumeHandle) handle = virStorageVolCreateXML(pool->handle, xml, 0);
    return handle || cmd_libvirt_error(error, "cannot create volume '%s' in pool '%s'", volume, pool->name);
}

gboolean cmd_pool_delete(const CmdPool *pool, const char *volume, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(VirVolumeHandle) handle = lookup(pool, volume, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    /* Its file may have been removed by hand: then libvirt still knows the volume, and forgets it. */
    return !handle || virStorageVolDelete(handle, 0) == 0 || virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL ||
           cmd_libvirt_error(error, "cannot delete volume '%s' of pool '%s'", volume, pool->name);
}

gboolean cmd_pool_base(const CmdPool *pool, const char *volume, gchar **out, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(VirVolumeHandle) handle = lookup(pool, volume, &cause);
    *out = NULL;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!handle) {
        return TRUE;
    }
    g_autoptr(VirString) xml = virStorageVolGetXMLDesc(handle, 0);
    if (!xml) {
        return cmd_libvirt_error(error, "cannot read volume '%s' of pool '%s'", volume, pool->name);
    }
    g_autoptr(xmlDoc) document = xml_document_parse(xml, -1, error);
    if (!document) {
        return FALSE;
    }
    *out = text_of(child(child(xmlDocGetRootElement(document), "backingStore"), "path"));
    return TRUE;
}

void cmd_pool_refresh(const CmdPool *pool)
{
    if (virStoragePoolRefresh(pool->handle, 0) < 0) {
        cmd_warn("cannot refresh storage pool '%s': %s; run 'virsh pool-refresh %s'", pool->name,
                 virGetLastErrorMessage(), pool->name);
    }
}
