/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <launchSecurity> of type sev and sev-snp, with libvirt's rules for every number and length. */
#include "xml/launch-security.h"

#include <string.h>

/* SEV-SNP Firmware ABI (56860), SNP_LAUNCH_FINISH: what the base64 texts decode to, in bytes. */
#define WORKAROUNDS_SIZE 16
#define ID_BLOCK_SIZE 96
#define ID_AUTH_SIZE 4096
#define HOST_DATA_SIZE 32

static void collect_unknown(xmlNode *launch, XmlDomain *domain, const char *const *attributes,
                            const char *const *children)
{
    for (xmlAttr *attribute = launch->properties; attribute != NULL; attribute = attribute->next) {
        if (attribute->ns != NULL || !g_strv_contains(attributes, (const char *)attribute->name)) {
            g_autofree gchar *name = xml_printable((const char *)attribute->name);

            g_ptr_array_add(domain->unknown_launch, g_strconcat("@", name, NULL));
        }
    }
    for (xmlNode *child = launch->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE &&
            (child->ns != NULL || !g_strv_contains(children, (const char *)child->name))) {
            g_ptr_array_add(domain->unknown_launch, xml_printable((const char *)child->name));
        }
    }
}

/* libvirt reads the policy in base 16 whether it begins with 0x or not. */
static gboolean read_policy(xmlNode *launch, XmlDomain *domain, GError **error)
{
    guint64 max = domain->launch_type == XML_LAUNCH_SEV ? G_MAXUINT32 : G_MAXUINT64;
    const char *text = NULL;

    if (!xml_read_child_text(launch, "policy", &domain->policy_text, error)) {
        return FALSE;
    }
    text = domain->policy_text;
    if (text == NULL) {
        return TRUE;
    }
    if (!xml_parse_number(text, 16, max, &domain->policy)) {
        g_autofree gchar *shown = xml_printable(text);

        xml_set_error(error, launch, "policy '%s' is not a hexadecimal number of at most %d bits", shown,
                      max == G_MAXUINT32 ? 32 : 64);
        return FALSE;
    }
    domain->has_policy = TRUE;
    if (domain->policy > 9 && strspn(text, "0123456789") == strlen(text)) {
        g_ptr_array_add(domain->warnings, g_strdup_printf("policy '%s' is read as hexadecimal 0x%" G_GINT64_MODIFIER
                                                          "x, as libvirt does: write the 0x",
                                                          text, domain->policy));
    }
    return TRUE;
}

static gboolean read_bits(xmlNode *launch, const char *name, gint *out, GError **error)
{
    g_autofree gchar *text = NULL;
    guint64 value = 0;

    if (!xml_read_child_text(launch, name, &text, error)) {
        return FALSE;
    }
    if (text == NULL) {
        return TRUE;
    }
    if (!xml_parse_number(text, 10, 63, &value)) {
        g_autofree gchar *shown = xml_printable(text);

        xml_set_error(error, launch, "<%s> '%s' is not a number from 0 to 63", name, shown);
        return FALSE;
    }
    *out = (gint)value;
    return TRUE;
}

static gboolean read_base64(xmlNode *launch, const char *name, gsize size, GBytes **out, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autofree guchar *data = NULL;
    g_autofree gchar *again = NULL;
    g_autoptr(GString) compact = g_string_new(NULL);
    gsize length = 0;

    if (!xml_read_child_text(launch, name, &text, error)) {
        return FALSE;
    }
    if (text == NULL) {
        return TRUE;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (!g_ascii_isspace(*at)) {
            g_string_append_c(compact, *at);
        }
    }
    data = g_base64_decode(compact->str, &length);
    again = g_base64_encode(data, length);
    /* GLib's decoder skips what it does not know: only a text that comes back the same was base64. */
    if (strcmp(again, compact->str) != 0) {
        xml_set_error(error, launch, "<%s> is not base64 text", name);
        return FALSE;
    }
    if (length != size) {
        xml_set_error(error, launch, "<%s> holds %" G_GSIZE_FORMAT " bytes where %" G_GSIZE_FORMAT " are needed", name,
                      length, size);
        return FALSE;
    }
    *out = g_bytes_new_take(g_steal_pointer(&data), length);
    return TRUE;
}

static gboolean read_common(xmlNode *launch, XmlDomain *domain, GError **error)
{
    return xml_read_yes_no(launch, "kernelHashes", &domain->kernel_hashes, error) &&
           read_policy(launch, domain, error) && read_bits(launch, "cbitpos", &domain->cbitpos, error) &&
           read_bits(launch, "reducedPhysBits", &domain->reduced_phys_bits, error);
}

static gboolean read_sev(xmlNode *launch, XmlDomain *domain, GError **error)
{
    static const char *const attributes[] = {"type", "kernelHashes", NULL};
    static const char *const children[] = {"cbitpos", "reducedPhysBits", "policy", "handle", "dhCert", "session", NULL};

    collect_unknown(launch, domain, attributes, children);
    return read_common(launch, domain, error) && xml_read_child_text(launch, "dhCert", &domain->dh_cert, error) &&
           xml_read_child_text(launch, "session", &domain->session, error);
}

static gboolean read_snp(xmlNode *launch, XmlDomain *domain, GError **error)
{
    static const char *const attributes[] = {"type", "kernelHashes", "authorKey", "vcek", NULL};
    static const char *const children[] = {"cbitpos", "reducedPhysBits", "policy",   "guestVisibleWorkarounds",
                                           "idBlock", "idAuth",          "hostData", NULL};
    gboolean vcek = TRUE;

    collect_unknown(launch, domain, attributes, children);
    if (!read_common(launch, domain, error) || !xml_read_yes_no(launch, "authorKey", &domain->author_key, error) ||
        !xml_read_yes_no(launch, "vcek", &vcek, error) ||
        !read_base64(launch, "guestVisibleWorkarounds", WORKAROUNDS_SIZE, &domain->guest_visible_workarounds, error) ||
        !read_base64(launch, "idBlock", ID_BLOCK_SIZE, &domain->id_block, error) ||
        !read_base64(launch, "idAuth", ID_AUTH_SIZE, &domain->id_auth, error) ||
        !read_base64(launch, "hostData", HOST_DATA_SIZE, &domain->host_data, error)) {
        return FALSE;
    }
    domain->vcek_disabled = !vcek;
    return TRUE;
}

gboolean xml_read_launch_security(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *launch = NULL;

    if (!xml_find_child(root, "launchSecurity", &launch, error)) {
        return FALSE;
    }
    if (launch == NULL) {
        return TRUE;
    }
    if (!xml_read_attribute(launch, "type", &domain->launch_type_name, error)) {
        return FALSE;
    }
    if (domain->launch_type_name == NULL) {
        xml_set_error(error, launch, "<launchSecurity> has no attribute 'type', such as 'sev-snp'");
        return FALSE;
    }
    if (strcmp(domain->launch_type_name, "sev") == 0) {
        domain->launch_type = XML_LAUNCH_SEV;
        return read_sev(launch, domain, error);
    }
    if (strcmp(domain->launch_type_name, "sev-snp") == 0) {
        domain->launch_type = XML_LAUNCH_SNP;
        return read_snp(launch, domain, error);
    }
    domain->launch_type = XML_LAUNCH_OTHER;
    return TRUE;
}
