/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/firmware-list.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define MAX_DESCRIPTOR_SIZE (256 * 1024)

void cmd_firmware_free(CmdFirmware *firmware)
{
    if (!firmware) {
        return;
    }
    g_free(firmware->path);
    g_clear_pointer(&firmware->inputs, measure_inputs_free);
    g_free(firmware->problem);
    g_free(firmware);
}

CmdFirmware *cmd_firmware_inspect(const char *path)
{
    CmdFirmware *firmware = g_new0(CmdFirmware, 1);
    g_autoptr(GError) error = NULL;
    /* Plain SEV takes any file: what it can carry besides is what we are about to find out. */
    g_autoptr(MeasureLaunch) launch = measure_launch_new(MEASURE_PLATFORM_SEV);
    launch->firmware = g_strdup(path);
    firmware->path = g_strdup(path);
    firmware->inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_JUDGE_FIRMWARE, NULL, &error);
    if (!firmware->inputs) {
        firmware->problem = g_strdup(error->message);
    }
    return firmware;
}

gboolean cmd_firmware_starts_snp(const CmdFirmware *firmware)
{
    return firmware->inputs && firmware->inputs->footer->has_metadata &&
           firmware->inputs->firmware->size % MEASURE_PAGE_SIZE == 0;
}

gboolean cmd_firmware_takes_hashes(const CmdFirmware *firmware)
{
    return cmd_firmware_starts_snp(firmware) && firmware->inputs->footer->has_hash_table_area &&
           measure_firmware_find_section(firmware->inputs->footer, MEASURE_SECTION_KERNEL_HASHES);
}

gboolean cmd_firmware_verifies(const CmdFirmware *firmware)
{
    return cmd_firmware_takes_hashes(firmware) && firmware->inputs->build &&
           firmware->inputs->build->verifier == MEASURE_VERIFIER_PRESENT;
}

static gboolean array_has(JsonObject *object, const char *name, const char *wanted_prefix)
{
    JsonNode *node = json_object_get_member(object, name);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        const char *text = JSON_NODE_HOLDS_VALUE(element) ? json_node_get_string(element) : NULL;
        if (text && g_str_has_prefix(text, wanted_prefix)) {
            return TRUE;
        }
    }
    return FALSE;
}

static JsonObject *member_object(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static const char *member_string(JsonObject *object, const char *name)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

/* The image that a descriptor offers for SEV: "memory", or a flash image without variables of its own. */
static gchar *descriptor_image(const char *path)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!g_file_get_contents(path, &text, &size, NULL) || size > MAX_DESCRIPTOR_SIZE) {
        return NULL;
    }
    g_autoptr(JsonParser) parser = json_parser_new();
    if (!json_parser_load_from_data(parser, text, (gssize)size, NULL)) {
        return NULL;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root) || !array_has(json_node_get_object(root), "features", "amd-sev")) {
        return NULL;
    }
    JsonObject *mapping = member_object(json_node_get_object(root), "mapping");
    if (g_strcmp0(member_string(mapping, "device"), "memory") == 0) {
        return g_strdup(member_string(mapping, "filename"));
    }
    gboolean stateless = g_strcmp0(member_string(mapping, "mode"), "stateless") == 0;
    return stateless ? g_strdup(member_string(member_object(mapping, "executable"), "filename")) : NULL;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_image(GPtrArray *list, const char *root, const char *path)
{
    g_autofree gchar *full = g_strconcat(root, path, NULL);
    for (guint i = 0; i < list->len; i++) {
        if (g_str_equal(((CmdFirmware *)g_ptr_array_index(list, i))->path, full)) {
            return;
        }
    }
    if (g_file_test(full, G_FILE_TEST_IS_REGULAR)) {
        g_ptr_array_add(list, cmd_firmware_inspect(full));
    }
}

/* A descriptor in /etc replaces the one of the same name in /usr/share; an empty one hides it. */
static void add_described(GPtrArray *list, const char *root)
{
    static const char *const folders[] = {"/usr/share/qemu/firmware", "/etc/qemu/firmware"};
    g_autoptr(GHashTable) paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree gchar *folder = g_strconcat(root, folders[i], NULL);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
            if (g_str_has_suffix(name, ".json")) {
                g_hash_table_replace(paths, g_strdup(name), g_build_filename(folder, name, NULL));
            }
        }
    }
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, paths);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        g_ptr_array_add(names, key);
    }
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        g_autofree gchar *image = descriptor_image(g_hash_table_lookup(paths, g_ptr_array_index(names, i)));
        if (image && g_path_is_absolute(image)) {
            add_image(list, root, image);
        }
    }
}

GPtrArray *cmd_firmware_list(const char *root)
{
    static const char *const usual[] = {
        "/usr/share/ovmf/OVMF.amdsev.fd",      "/usr/share/OVMF/OVMF.amdsev.fd",
        "/usr/share/edk2/ovmf/OVMF.amdsev.fd", "/usr/share/edk2-ovmf/x64/OVMF.amdsev.fd",
        "/usr/share/ovmf/OVMF.fd",             "/usr/share/OVMF/OVMF.fd",
    };
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)cmd_firmware_free);
    add_described(list, root);
    for (guint i = 0; i < G_N_ELEMENTS(usual); i++) {
        add_image(list, root, usual[i]);
    }
    return list;
}
