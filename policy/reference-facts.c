/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a reference holds that no file can tell: the owner's rules for the processor (product, minimum TCB, platform
 * information), and where the facts came from.
 */
#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/reference-private.h"

static const char *const products[] = {"Milan", "Genoa", "Siena", "Bergamo", "Turin", NULL};
static const char *const sources[] = {"libvirt", "domain-xml", "bundle", "alman", "openend2e", "snpguard", NULL};

/* ---- Where facts came from ---- */

const char *policy_source_intern(const char *word)
{
    return word && g_strv_contains(sources, word) ? g_intern_string(word) : NULL;
}

void policy_reference_set_source(PolicyReference *reference, const char *word)
{
    reference->source = policy_source_intern(word);
    g_return_if_fail(reference->source != NULL);
    for (guint i = 0; i < reference->inputs->len; i++)
        ((PolicyReferenceInput *)g_ptr_array_index(reference->inputs, i))->obtained = reference->source;
}

gboolean policy_source_from_json(JsonObject *object, const char *where, const char *name, const char **out,
                                 GError **error)
{
    g_autofree gchar *word = NULL;
    g_autofree gchar *choices = NULL;

    if (!policy_json_string(object, where, name, TRUE, &word, error))
        return FALSE;
    *out = policy_source_intern(word);
    if (!word || *out)
        return TRUE;
    choices = g_strjoinv(", ", (gchar **)sources);
    return policy_json_error(error, where, name, "this is none of %s", choices);
}

/* ---- TCB ---- */

/* In the order of TCB_VERSION; the last one may be missing. */
static const char *const tcb_names[] = {"bootloader", "tee", "snp", "microcode", "fmc", NULL};
#define TCB_REQUIRED 4

static gboolean bad_tcb(GError **error, const char *text, const char *why)
{
    g_autofree gchar *shown = measure_printable(text);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "TCB '%s': %s; write bootloader=N,tee=N,snp=N,microcode=N[,fmc=N], each 0 to 255", shown, why);
    return FALSE;
}

static void set_tcb(PolicyTcb *tcb, const gint values[G_N_ELEMENTS(tcb_names)])
{
    tcb->bootloader = (guint8)values[0];
    tcb->tee = (guint8)values[1];
    tcb->snp = (guint8)values[2];
    tcb->microcode = (guint8)values[3];
    tcb->fmc = values[4];
}

gboolean policy_tcb_parse(const char *text, PolicyTcb *out, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    gint values[G_N_ELEMENTS(tcb_names)] = {-1, -1, -1, -1, -1};

    for (gchar **part = parts; *part; part++) {
        gchar *equals = strchr(*part, '=');
        guint64 number = 0;
        guint index = 0;

        if (equals)
            *equals = '\0';
        while (tcb_names[index] && strcmp(tcb_names[index], *part))
            index++;
        if (!equals || !tcb_names[index])
            return bad_tcb(error, text, "this has a part that is none of these");
        if (values[index] >= 0)
            return bad_tcb(error, text, "this has a part twice");
        if (!g_ascii_string_to_unsigned(equals + 1, 10, 0, 255, &number, NULL))
            return bad_tcb(error, text, "this has a part that is no number of them");
        values[index] = (gint)number;
    }
    for (guint i = 0; i < TCB_REQUIRED; i++) {
        if (values[i] < 0)
            return bad_tcb(error, text, "a part is missing");
    }
    set_tcb(out, values);
    return TRUE;
}

gchar *policy_tcb_describe(const PolicyTcb *tcb)
{
    g_autofree gchar *fmc = tcb->fmc >= 0 ? g_strdup_printf(",fmc=%d", tcb->fmc) : g_strdup("");

    return g_strdup_printf("bootloader=%u,tee=%u,snp=%u,microcode=%u%s", tcb->bootloader, tcb->tee, tcb->snp,
                           tcb->microcode, fmc);
}

static JsonObject *tcb_to_json(const PolicyTcb *tcb)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "bootloader", tcb->bootloader);
    json_object_set_int_member(object, "tee", tcb->tee);
    json_object_set_int_member(object, "snp", tcb->snp);
    json_object_set_int_member(object, "microcode", tcb->microcode);
    if (tcb->fmc >= 0)
        json_object_set_int_member(object, "fmc", tcb->fmc);
    return object;
}

static gboolean tcb_from_json(JsonObject *object, PolicyTcb *out, GError **error)
{
    gint values[G_N_ELEMENTS(tcb_names)] = {-1, -1, -1, -1, -1};

    if (!policy_json_members(object, "minimumTcb", tcb_names, error))
        return FALSE;
    for (guint i = 0; tcb_names[i]; i++) {
        guint64 number = 0;

        if (!policy_json_uint(object, "minimumTcb", tcb_names[i], i >= TCB_REQUIRED, 255, &number, error))
            return FALSE;
        if (json_object_has_member(object, tcb_names[i]))
            values[i] = (gint)number;
    }
    set_tcb(out, values);
    return TRUE;
}

/* ---- The rules of the owner ---- */

const char *policy_product_intern(const char *word)
{
    for (guint i = 0; word && products[i]; i++) {
        if (!g_ascii_strcasecmp(products[i], word))
            return products[i];
    }
    return NULL;
}

void policy_reference_keep_rules(PolicyReference *reference, const PolicyReference *pinned)
{
    if (reference->platform != pinned->platform)
        return;
    g_free(reference->product);
    reference->product = g_strdup(pinned->product);
    reference->has_minimum_tcb = pinned->has_minimum_tcb;
    reference->minimum_tcb = pinned->minimum_tcb;
    reference->has_platform_info = pinned->has_platform_info;
    reference->platform_info = pinned->platform_info;
    reference->platform_info_mask = pinned->platform_info_mask;
}

const char *policy_reference_rules_invalid(const PolicyReference *reference)
{
    if (reference->platform != MEASURE_PLATFORM_SNP &&
        (reference->product || reference->has_minimum_tcb || reference->has_platform_info))
        return "product, minimum TCB and platform information go with sev-snp only";
    if (reference->has_platform_info && (reference->platform_info & ~reference->platform_info_mask))
        return "the platform information has a bit that is not in its mask, so no report could have it";
    if (reference->has_minimum_tcb && reference->minimum_tcb.fmc >= 0 && reference->product &&
        strcmp(reference->product, "Turin"))
        return "a TCB has an fmc part on Turin and later only";
    return NULL;
}

void policy_rules_to_json(const PolicyReference *reference, JsonObject *root)
{
    policy_json_add_string(root, "product", reference->product);
    if (reference->has_minimum_tcb)
        json_object_set_object_member(root, "minimumTcb", tcb_to_json(&reference->minimum_tcb));
    if (reference->has_platform_info) {
        JsonObject *object = json_object_new();

        policy_json_add_hex_number(object, "value", reference->platform_info);
        policy_json_add_hex_number(object, "mask", reference->platform_info_mask);
        json_object_set_object_member(root, "platformInfo", object);
    }
}

gboolean policy_rules_from_json(JsonObject *root, PolicyReference *reference, GError **error)
{
    static const char *const known[] = {"value", "mask", NULL};
    static const char *const where = "platformInfo";
    JsonObject *tcb = NULL;
    JsonObject *info = NULL;
    const char *invalid = NULL;

    if (!policy_json_string(root, "", "product", TRUE, &reference->product, error) ||
        !policy_json_object(root, "", "minimumTcb", TRUE, &tcb, error) ||
        !policy_json_object(root, "", where, TRUE, &info, error))
        return FALSE;
    if (reference->product && !g_strv_contains(products, reference->product)) {
        g_autofree gchar *choices = g_strjoinv(", ", (gchar **)products);

        return policy_json_error(error, "", "product", "this is none of %s", choices);
    }
    reference->has_minimum_tcb = tcb != NULL;
    reference->has_platform_info = info != NULL;
    if (tcb && !tcb_from_json(tcb, &reference->minimum_tcb, error))
        return FALSE;
    if (info && (!policy_json_members(info, where, known, error) ||
                 !policy_json_hex_number(info, where, "value", FALSE, &reference->platform_info, error) ||
                 !policy_json_hex_number(info, where, "mask", FALSE, &reference->platform_info_mask, error)))
        return FALSE;
    invalid = policy_reference_rules_invalid(reference);
    return !invalid || policy_json_error(error, "",
                                         reference->has_platform_info ? where
                                         : tcb                        ? "minimumTcb"
                                                                      : "product",
                                         "%s", invalid);
}
