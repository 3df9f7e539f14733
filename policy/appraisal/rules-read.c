/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The policy file: strict JSON into rules. Its schema is policy.schema.json. */
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/rules.h"
#include "policy/json.h"

/* As many as anybody can mean, so that a file cannot make the verdict slow. */
#define MAX_LIST 65536
#define MAX_LABEL 200
#define MAX_CSP_ID 255

static const char *const members[] = {
    "format", "description", "measurements", "reportData", "hostData", "familyId", "imageId", "reportId",
    "reportIdMa", "products", "minimumTcb", "policy", "platformInfo", "vmpl", "minimumGuestSvn", "idBlock",
    "idKeyDigests", "authorKey", "authorKeyDigests", "chips", "deniedChips", "cspIds", "signingKey",
    "provisionalFirmware", "mitigation", "revocation", "minimumFirmware", "maximumAge", NULL,
};

/* The index of a string member in @words, @words' length when it is not there. */
static gboolean read_word(JsonObject *object, const char *where, const char *name, const char *const *words, guint *out,
                          GError **error)
{
    g_autofree gchar *word = NULL;
    guint n = g_strv_length((gchar **)words);

    *out = n;
    if (!policy_json_string(object, where, name, TRUE, &word, error))
        return FALSE;
    for (guint i = 0; word && i < n; i++) {
        if (!strcmp(words[i], word))
            *out = i;
    }
    if (word && *out == n) {
        g_autofree gchar *choices = g_strjoinv(", ", (gchar **)words);

        return policy_json_error(error, where, name, "this is none of %s", choices);
    }
    return TRUE;
}

/* Calls @add for every string of an array member; an empty array would say nothing and look like a rule. */
typedef gboolean (*AddString)(AppraisalRules *rules, const char *text);
static gboolean read_strings(JsonObject *object, const char *where, const char *name, AppraisalRules *rules,
                             gboolean may_be_empty, AddString add, const char *kind, GError **error)
{
    JsonArray *array = NULL;
    guint n = 0;

    if (!policy_json_array(object, where, name, TRUE, &array, error))
        return FALSE;
    if (!array)
        return TRUE;
    n = json_array_get_length(array);
    if ((n == 0 && !may_be_empty) || n > MAX_LIST)
        return policy_json_error(error, where, name, n ? "this list is too long" : "this list is empty: leave it out");
    for (guint i = 0; i < n; i++) {
        JsonNode *node = json_array_get_element(array, i);
        gboolean is_string = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;

        if (!is_string || !add(rules, json_node_get_string(node))) {
            g_autofree gchar *position = g_strdup_printf("%s[%u]", name, i);

            return policy_json_error(error, where, position, "this is not %s", kind);
        }
    }
    return TRUE;
}

/* An object of rules, %NULL when it is not there; an empty one would say nothing and look like a rule, too. */
static gboolean read_object(JsonObject *root, const char *name, const char *const *known, JsonObject **out,
                            GError **error)
{
    if (!policy_json_object(root, "", name, TRUE, out, error))
        return FALSE;
    if (*out && json_object_get_size(*out) == 0)
        return policy_json_error(error, "", name, "this has no rule in it: leave it out");
    return !*out || policy_json_members(*out, name, known, error);
}

static gboolean hex_exact(const char *text, guint8 *out, gsize size)
{
    return measure_hex_decode(text, out, size) && strspn(text, "0123456789abcdef") == 2 * size;
}

/* ---- Single rules ---- */

static gboolean read_measurements(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const known[] = {"digest", "label", NULL};
    JsonArray *array = NULL;
    guint n = 0;

    if (!policy_json_array(root, "", "measurements", TRUE, &array, error))
        return FALSE;
    if (!array)
        return TRUE;
    n = json_array_get_length(array);
    if (n == 0 || n > MAX_LIST)
        return policy_json_error(error, "", "measurements",
                                 n ? "this list is too long" : "this list is empty: leave it out");
    for (guint i = 0; i < n; i++) {
        g_autofree gchar *position = NULL;
        g_autofree gchar *label = NULL;
        guint8 digest[48];
        JsonObject *object = policy_json_element(array, i, "", "measurements", &position, error);

        if (!object || !policy_json_members(object, position, known, error) ||
            !policy_json_hex_bytes(object, position, "digest", sizeof(digest), digest, error) ||
            !policy_json_string(object, position, "label", TRUE, &label, error))
            return FALSE;
        if (label && (!*label || strlen(label) > MAX_LABEL))
            return policy_json_error(error, position, "label", "this is empty or longer than %d bytes", MAX_LABEL);
        appraisal_rules_add_measurement(rules, digest, label);
    }
    return TRUE;
}

static gboolean read_field(JsonObject *root, AppraisalFieldName name, AppraisalField *field, GError **error)
{
    const char *member = appraisal_field_name(name);
    gsize size = appraisal_field_size(name);
    g_autofree gchar *text = NULL;

    if (!policy_json_string(root, "", member, TRUE, &text, error))
        return FALSE;
    if (!text)
        return TRUE;
    field->rule = strcmp(text, "any") ? APPRAISAL_RULE_EXACT : APPRAISAL_RULE_ANY;
    if (field->rule == APPRAISAL_RULE_EXACT && !hex_exact(text, field->bytes, size))
        return policy_json_error(error, "", member,
                                 "this is neither \"any\" nor %" G_GSIZE_FORMAT " lower-case hexadecimal digits",
                                 2 * size);
    return TRUE;
}

static gboolean add_product(AppraisalRules *rules, const char *text)
{
    guint product = appraisal_product_from_name(text);

    rules->products |= product;
    return product != 0;
}

static gboolean add_allowed(AppraisalRules *rules, const char *text)
{
    guint64 bit = appraisal_policy_bit(text) & APPRAISAL_POLICY_ALLOW_BITS;

    rules->allowed |= bit;
    return bit != 0;
}

static gboolean add_required(AppraisalRules *rules, const char *text)
{
    guint64 bit = appraisal_policy_bit(text) & ~APPRAISAL_POLICY_ALLOW_BITS;

    rules->required |= bit;
    return bit != 0;
}

static gboolean add_platform(AppraisalRules *rules, const char *text)
{
    guint64 bit = appraisal_platform_bit(text);

    rules->platform_value |= bit;
    rules->platform_mask |= bit;
    return bit != 0;
}

static gboolean add_platform_off(AppraisalRules *rules, const char *text)
{
    guint64 bit = appraisal_platform_bit(text);

    /* What is required already cannot be forbidden. */
    if (rules->platform_value & bit)
        return FALSE;
    rules->platform_mask |= bit;
    return bit != 0;
}

static gboolean add_id_key(AppraisalRules *rules, const char *text)
{
    guint8 digest[48];

    if (!hex_exact(text, digest, sizeof(digest)))
        return FALSE;
    appraisal_rules_add_key(&rules->id_key, digest);
    return TRUE;
}

static gboolean add_author_key(AppraisalRules *rules, const char *text)
{
    guint8 digest[48];

    if (!hex_exact(text, digest, sizeof(digest)))
        return FALSE;
    appraisal_rules_add_key(&rules->author_key, digest);
    return TRUE;
}

static gboolean add_chip_to(GPtrArray **list, const char *text)
{
    guint8 chip[64];

    if (!appraisal_chip_parse(text, chip) || strspn(text, "0123456789abcdef") != strlen(text))
        return FALSE;
    if (!*list)
        *list = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_ptr_array_add(*list, g_bytes_new(chip, sizeof(chip)));
    return TRUE;
}

static gboolean add_chip(AppraisalRules *rules, const char *text)
{
    return add_chip_to(&rules->chips, text);
}

static gboolean add_denied_chip(AppraisalRules *rules, const char *text)
{
    return add_chip_to(&rules->denied_chips, text);
}

/* As appraisal_endorsement_parse() takes it from a VLEK. */
static gboolean add_csp_id(AppraisalRules *rules, const char *text)
{
    if (!*text || strlen(text) > MAX_CSP_ID)
        return FALSE;
    for (const char *at = text; *at; at++) {
        if (!g_ascii_isprint(*at))
            return FALSE;
    }
    if (!rules->csp_ids)
        rules->csp_ids = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(rules->csp_ids, g_strdup(text));
    return TRUE;
}

/* "value" and "mask" of an object; without a mask every bit counts. */
static gboolean read_value_mask(JsonObject *object, const char *where, guint64 *value, guint64 *mask, GError **error)
{
    gboolean has_value = json_object_has_member(object, "value"), has_mask = json_object_has_member(object, "mask");

    if (!policy_json_hex_number(object, where, "value", TRUE, value, error) ||
        !policy_json_hex_number(object, where, "mask", TRUE, mask, error))
        return FALSE;
    if (has_mask && !has_value)
        return policy_json_error(error, where, "mask", "a mask needs a value");
    if (has_value && !has_mask)
        *mask = G_MAXUINT64;
    if (*value & ~*mask)
        return policy_json_error(error, where, "value",
                                 "this has a bit that is not in the mask, so no report could have it");
    return TRUE;
}

static gboolean read_policy(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const known[] = {"value", "mask", "allowed", "required", "minimumAbi", NULL};
    g_autofree gchar *abi = NULL;
    JsonObject *policy = NULL;
    gint32 version = 0;

    if (!read_object(root, "policy", known, &policy, error))
        return FALSE;
    if (!policy)
        return TRUE;
    rules->has_allowed = json_object_has_member(policy, "allowed");
    if (!read_value_mask(policy, "policy", &rules->policy_value, &rules->policy_mask, error) ||
        !read_strings(policy, "policy", "allowed", rules, TRUE, add_allowed, "one of smt, migrate-ma, debug, cxl",
                      error) ||
        !read_strings(policy, "policy", "required", rules, FALSE, add_required,
                      "one of single-socket, mem-aes-256-xts, rapl-dis, ciphertext-hiding, page-swap-disable", error) ||
        !policy_json_string(policy, "policy", "minimumAbi", TRUE, &abi, error))
        return FALSE;
    if (abi) {
        if (!appraisal_firmware_parse(abi, &version) || strchr(strchr(abi, '.') + 1, '.'))
            return policy_json_error(error, "policy", "minimumAbi", "this is not a version such as 1.55");
        rules->minimum_abi = (guint)version >> 8;
    }
    return TRUE;
}

static gboolean read_platform(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const known[] = {"value", "mask", "required", "forbidden", NULL};
    static const char kind[] =
        "one of smt, tsme, ecc, rapl-dis, ciphertext-hiding, alias-check-complete, tio, or contradicts another rule";
    g_autoptr(AppraisalRules) named = appraisal_rules_new();
    JsonObject *info = NULL;

    if (!read_object(root, "platformInfo", known, &info, error))
        return FALSE;
    if (!info)
        return TRUE;
    if (!read_value_mask(info, "platformInfo", &rules->platform_value, &rules->platform_mask, error) ||
        !read_strings(info, "platformInfo", "required", named, FALSE, add_platform, kind, error) ||
        !read_strings(info, "platformInfo", "forbidden", named, FALSE, add_platform_off, kind, error))
        return FALSE;
    if ((rules->platform_value ^ named->platform_value) & rules->platform_mask & named->platform_mask)
        return policy_json_error(error, "", "platformInfo", "the names contradict value and mask");
    rules->platform_value |= named->platform_value;
    rules->platform_mask |= named->platform_mask;
    return TRUE;
}

static gboolean read_tcb(JsonObject *object, const char *where, AppraisalLine line, PolicyTcb *out, GError **error)
{
    static const char *const known[] = {"bootloader", "tee", "snp", "microcode", "fmc", NULL};
    guint64 parts[5] = {0};

    if (!policy_json_members(object, where, known, error))
        return FALSE;
    for (guint i = 0; known[i]; i++) {
        if (!policy_json_uint(object, where, known[i], i == 4, 255, &parts[i], error))
            return FALSE;
    }
    out->bootloader = (guint8)parts[0];
    out->tee = (guint8)parts[1];
    out->snp = (guint8)parts[2];
    out->microcode = (guint8)parts[3];
    out->fmc = json_object_has_member(object, "fmc") ? (gint)parts[4] : -1;
    if (out->fmc >= 0 && line != APPRAISAL_LINE_TURIN)
        return policy_json_error(error, where, "fmc", "a TCB has this part on Turin and later only");
    return TRUE;
}

static gboolean read_tcbs(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const kinds[] = {"reported", "committed", "current", "launch", NULL};
    static const char *const lines[] = {"Milan", "Genoa", "Turin", NULL};
    JsonObject *tcbs = NULL;

    if (!read_object(root, "minimumTcb", kinds, &tcbs, error))
        return FALSE;
    if (!tcbs)
        return TRUE;
    for (guint kind = 0; kinds[kind]; kind++) {
        g_autofree gchar *where = g_strdup_printf("minimumTcb.%s", kinds[kind]);
        JsonObject *by_line = NULL;

        if (!policy_json_object(tcbs, "minimumTcb", kinds[kind], TRUE, &by_line, error) ||
            (by_line && !policy_json_members(by_line, where, lines, error)))
            return FALSE;
        if (by_line && json_object_get_size(by_line) == 0)
            return policy_json_error(error, "minimumTcb", kinds[kind], "this names no product: leave it out");
        for (guint i = 0; by_line && lines[i]; i++) {
            g_autofree gchar *position = g_strdup_printf("%s.%s", where, lines[i]);
            AppraisalLine line = APPRAISAL_LINE_MILAN + i;
            JsonObject *tcb = NULL;

            if (!policy_json_object(by_line, where, lines[i], TRUE, &tcb, error) ||
                (tcb && !read_tcb(tcb, position, line, &rules->tcb[kind][line], error)))
                return FALSE;
            rules->has_tcb[kind][line] = tcb != NULL;
        }
    }
    return TRUE;
}

static gboolean read_key(JsonObject *root, const char *name, const char *list, AddString add, AppraisalKeyRule *key,
                         AppraisalRules *rules, GError **error)
{
    static const char *const words[] = {"none", "any", "required", NULL};
    static const AppraisalRule values[] = {APPRAISAL_RULE_NONE, APPRAISAL_RULE_ANY, APPRAISAL_RULE_EXACT,
                                           APPRAISAL_RULE_UNSET};
    guint word = 0;

    if (!read_word(root, "", name, words, &word, error) ||
        !read_strings(root, "", list, rules, FALSE, add, "96 lower-case hexadecimal digits", error))
        return FALSE;
    if (key->digests && values[word] == APPRAISAL_RULE_NONE)
        return policy_json_error(error, "", name, "this is \"none\", and %s names keys", list);
    key->rule = key->digests ? APPRAISAL_RULE_EXACT : values[word];
    return TRUE;
}

static gboolean read_words(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const signers[] = {"vcek", "vlek", "any", NULL};
    static const char *const revocations[] = {"required", "optional", NULL};
    guint signer = 0, revocation = 0;
    gboolean provisional = FALSE;

    if (!read_word(root, "", "signingKey", signers, &signer, error) ||
        !read_word(root, "", "revocation", revocations, &revocation, error) ||
        !policy_json_boolean(root, "", "provisionalFirmware", TRUE, &provisional, error))
        return FALSE;
    rules->signer = signer < 2 ? APPRAISAL_RULE_EXACT : signer == 2 ? APPRAISAL_RULE_ANY : APPRAISAL_RULE_UNSET;
    rules->signer_kind = signer == 1 ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;
    rules->revocation_required = revocation == 0;
    if (json_object_has_member(root, "provisionalFirmware"))
        rules->provisional = provisional ? APPRAISAL_RULE_ANY : APPRAISAL_RULE_NONE;
    return TRUE;
}

static gboolean read_numbers(JsonObject *root, AppraisalRules *rules, GError **error)
{
    static const char *const mitigations[] = {"launch", "current", NULL};
    g_autofree gchar *firmware = NULL;
    JsonObject *mitigation = NULL;
    guint64 vmpl = 0, svn = 0, age = 0;

    if (!policy_json_uint(root, "", "vmpl", TRUE, 3, &vmpl, error) ||
        !policy_json_uint(root, "", "minimumGuestSvn", TRUE, G_MAXUINT32, &svn, error) ||
        !policy_json_uint(root, "", "maximumAge", TRUE, G_MAXINT32, &age, error) ||
        !policy_json_string(root, "", "minimumFirmware", TRUE, &firmware, error) ||
        !read_object(root, "mitigation", mitigations, &mitigation, error))
        return FALSE;
    rules->vmpl = json_object_has_member(root, "vmpl") ? (gint)vmpl : -1;
    rules->minimum_svn = json_object_has_member(root, "minimumGuestSvn") ? (gint64)svn : -1;
    rules->maximum_age = json_object_has_member(root, "maximumAge") ? (gint64)age : -1;
    if (firmware && !appraisal_firmware_parse(firmware, &rules->minimum_firmware))
        return policy_json_error(error, "", "minimumFirmware", "this is not a version such as 1.55.29");
    return !mitigation ||
           (policy_json_hex_number(mitigation, "mitigation", "launch", TRUE, &rules->launch_mitigation, error) &&
            policy_json_hex_number(mitigation, "mitigation", "current", TRUE, &rules->current_mitigation, error));
}

/* ---- The file ---- */

static gboolean read_root(JsonObject *root, AppraisalRules *rules, GError **error)
{
    g_autofree gchar *format = NULL;
    g_autofree gchar *description = NULL;

    if (!policy_json_members(root, "", members, error) ||
        !policy_json_string(root, "", "format", FALSE, &format, error) ||
        !policy_json_string(root, "", "description", TRUE, &description, error))
        return FALSE;
    if (strcmp(format, APPRAISAL_POLICY_FORMAT))
        return policy_json_error(error, "", "format", "this is not \"" APPRAISAL_POLICY_FORMAT "\"");
    for (guint i = 0; i < APPRAISAL_N_FIELDS; i++) {
        if (!read_field(root, i, &rules->fields[i], error))
            return FALSE;
    }
    return read_measurements(root, rules, error) &&
           read_strings(root, "", "products", rules, FALSE, add_product, "one of Milan, Genoa, Bergamo, Siena, Turin",
                        error) &&
           read_tcbs(root, rules, error) && read_policy(root, rules, error) && read_platform(root, rules, error) &&
           read_key(root, "idBlock", "idKeyDigests", add_id_key, &rules->id_key, rules, error) &&
           read_key(root, "authorKey", "authorKeyDigests", add_author_key, &rules->author_key, rules, error) &&
           read_strings(root, "", "chips", rules, FALSE, add_chip, "16 or 128 lower-case hexadecimal digits", error) &&
           read_strings(root, "", "deniedChips", rules, FALSE, add_denied_chip,
                        "16 or 128 lower-case hexadecimal digits", error) &&
           read_strings(root, "", "cspIds", rules, FALSE, add_csp_id, "1 to 255 printable letters of ASCII", error) &&
           read_words(root, rules, error) && read_numbers(root, rules, error);
}

AppraisalRules *appraisal_rules_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(JsonNode) root = policy_json_parse(text, size, APPRAISAL_POLICY_MAX_SIZE, "policy file", error);
    g_autoptr(AppraisalRules) rules = appraisal_rules_new();
    g_autoptr(AppraisalRules) none = appraisal_rules_new();
    g_autoptr(GError) cause = NULL;

    if (!root || !read_root(json_node_get_object(root), rules, error))
        return NULL;
    /* Merging looks for contradictions, within one set of rules too. */
    if (!appraisal_rules_merge(rules, none, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", cause->message);
        return NULL;
    }
    return g_steal_pointer(&rules);
}
