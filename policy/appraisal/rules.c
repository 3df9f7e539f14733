/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules as such: names, sizes, and how those of two sources become one. */
#include "policy/appraisal/rules.h"

#include <string.h>

#include "measure/error.h"

static const struct {
    const char *name;
    gsize size;
} fields[APPRAISAL_N_FIELDS] = {
    [APPRAISAL_FIELD_REPORT_DATA] = {"reportData", 64},   [APPRAISAL_FIELD_HOST_DATA] = {"hostData", 32},
    [APPRAISAL_FIELD_FAMILY_ID] = {"familyId", 16},       [APPRAISAL_FIELD_IMAGE_ID] = {"imageId", 16},
    [APPRAISAL_FIELD_REPORT_ID] = {"reportId", 32},       [APPRAISAL_FIELD_REPORT_ID_MA] = {"reportIdMa", 32},
};

gsize appraisal_field_size(AppraisalFieldName field)
{
    return fields[field].size;
}

const char *appraisal_field_name(AppraisalFieldName field)
{
    return fields[field].name;
}

const char *appraisal_tcb_name(AppraisalTcbName tcb)
{
    static const char *const names[] = {"reported", "committed", "current", "launch"};

    return names[tcb];
}

static void expected_free(gpointer data)
{
    AppraisalExpected *expected = data;

    g_free(expected->label);
    g_free(expected);
}

AppraisalRules *appraisal_rules_new(void)
{
    AppraisalRules *rules = g_new0(AppraisalRules, 1);

    rules->vmpl = -1;
    rules->minimum_svn = -1;
    rules->minimum_firmware = -1;
    rules->maximum_age = -1;
    rules->denied_chips = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    return rules;
}

void appraisal_rules_free(AppraisalRules *rules)
{
    if (!rules)
        return;
    g_clear_pointer(&rules->measurements, g_ptr_array_unref);
    g_clear_pointer(&rules->id_key.digests, g_ptr_array_unref);
    g_clear_pointer(&rules->author_key.digests, g_ptr_array_unref);
    g_clear_pointer(&rules->chips, g_ptr_array_unref);
    g_clear_pointer(&rules->csp_ids, g_ptr_array_unref);
    g_ptr_array_unref(rules->denied_chips);
    g_free(rules);
}

void appraisal_rules_add_measurement(AppraisalRules *rules, const guint8 digest[48], const char *label)
{
    AppraisalExpected *expected = g_new0(AppraisalExpected, 1);

    expected->label = g_strdup(label);
    memcpy(expected->digest, digest, sizeof(expected->digest));
    if (!rules->measurements)
        rules->measurements = g_ptr_array_new_with_free_func(expected_free);
    g_ptr_array_add(rules->measurements, expected);
}

void appraisal_rules_add_key(AppraisalKeyRule *rule, const guint8 digest[48])
{
    if (!rule->digests)
        rule->digests = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_ptr_array_add(rule->digests, g_bytes_new(digest, 48));
    rule->rule = APPRAISAL_RULE_EXACT;
}

gboolean appraisal_chip_parse(const char *text, guint8 out[64])
{
    memset(out, 0, 64);
    return measure_hex_decode(text, out, strlen(text) == 16 ? 8 : 64);
}

/* ---- Names ---- */

typedef struct {
    const char *name;
    guint bit;
} NamedBit;

/* SEV-SNP Firmware ABI (56860), PLATFORM_INFO. */
static const NamedBit platform_bits[] = {
    {"smt", 0},      {"tsme", 1},
    {"ecc", 2},      {"rapl-dis", 3},
    {"ciphertext-hiding", 4}, {"alias-check-complete", 5},
    {"tio", 7},
};

guint64 appraisal_platform_bit(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(platform_bits); i++) {
        if (!strcmp(platform_bits[i].name, name))
            return G_GUINT64_CONSTANT(1) << platform_bits[i].bit;
    }
    return 0;
}

gchar *appraisal_platform_describe(guint64 info)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint bit = 0; bit < 64; bit++) {
        const char *name = NULL;

        if (!(info >> bit & 1))
            continue;
        for (gsize i = 0; i < G_N_ELEMENTS(platform_bits) && !name; i++)
            name = platform_bits[i].bit == bit ? platform_bits[i].name : NULL;
        if (text->len)
            g_string_append(text, ", ");
        if (name)
            g_string_append(text, name);
        else
            g_string_append_printf(text, "bit %u", bit);
    }
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : g_strdup("none");
}

guint64 appraisal_policy_bit(const char *name)
{
    guint64 value = 0;

    /* policy_guest_parse() takes numbers too, which are no names, and is not so strict about them. */
    if (!g_ascii_islower(*name) || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] ||
        name[strspn(name, "0123456789abcdef")] == '\0' ||
        !policy_guest_parse(MEASURE_PLATFORM_SNP, name, &value, NULL))
        return 0;
    return value & ~POLICY_SNP_RESERVED_ONE;
}

guint appraisal_product_from_name(const char *name)
{
    static const struct {
        const char *name;
        guint product;
    } products[] = {
        {"Milan", APPRAISAL_PRODUCT_MILAN},     {"Genoa", APPRAISAL_PRODUCT_GENOA},
        {"Bergamo", APPRAISAL_PRODUCT_BERGAMO}, {"Siena", APPRAISAL_PRODUCT_BERGAMO},
        {"Turin", APPRAISAL_PRODUCT_TURIN},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(products); i++) {
        if (!strcmp(products[i].name, name))
            return products[i].product;
    }
    return 0;
}

gboolean appraisal_firmware_parse(const char *text, gint32 *out)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", 4);
    guint n = g_strv_length(parts);
    gint32 value = 0;

    if (n < 2 || n > 3)
        return FALSE;
    for (guint i = 0; i < 3; i++) {
        guint64 part = 0;

        if (i < n && (!g_ascii_isdigit(*parts[i]) || !g_ascii_string_to_unsigned(parts[i], 10, 0, 255, &part, NULL)))
            return FALSE;
        value = value << 8 | (gint32)part;
    }
    *out = value;
    return TRUE;
}

/* ---- Merging ---- */

static gboolean contradiction(GError **error, const char *rule)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "the rules contradict each other about '%s': no report could be content with both; compare the policy "
                "file, the reference and the options",
                rule);
    return FALSE;
}

static gboolean has_bytes(const GPtrArray *list, GBytes *bytes)
{
    for (guint i = 0; list && i < list->len; i++) {
        if (g_bytes_equal(g_ptr_array_index(list, i), bytes))
            return TRUE;
    }
    return FALSE;
}

/* Lists of what is accepted. Neither may be empty, and so is what they have in common. */
static gboolean intersect(GPtrArray **list, const GPtrArray *more, const char *rule, GError **error)
{
    if (!more)
        return TRUE;
    if (!*list) {
        *list = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
        for (guint i = 0; i < more->len; i++)
            g_ptr_array_add(*list, g_bytes_ref(g_ptr_array_index(more, i)));
        return TRUE;
    }
    for (guint i = (*list)->len; i > 0; i--) {
        if (!has_bytes(more, g_ptr_array_index(*list, i - 1)))
            g_ptr_array_remove_index(*list, i - 1);
    }
    return (*list)->len > 0 || contradiction(error, rule);
}

static const AppraisalExpected *find_measurement(const GPtrArray *list, const guint8 digest[48])
{
    for (guint i = 0; i < list->len; i++) {
        const AppraisalExpected *each = g_ptr_array_index(list, i);

        if (!memcmp(each->digest, digest, sizeof(each->digest)))
            return each;
    }
    return NULL;
}

static gboolean merge_measurements(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (!more->measurements)
        return TRUE;
    if (!rules->measurements) {
        for (guint i = 0; i < more->measurements->len; i++) {
            const AppraisalExpected *each = g_ptr_array_index(more->measurements, i);

            appraisal_rules_add_measurement(rules, each->digest, each->label);
        }
        return TRUE;
    }
    for (guint i = rules->measurements->len; i > 0; i--) {
        AppraisalExpected *each = g_ptr_array_index(rules->measurements, i - 1);
        const AppraisalExpected *other = find_measurement(more->measurements, each->digest);

        if (!other)
            g_ptr_array_remove_index(rules->measurements, i - 1);
        else if (!each->label)
            each->label = g_strdup(other->label);
    }
    return rules->measurements->len > 0 || contradiction(error, "measurements");
}

static gboolean merge_field(AppraisalField *field, const AppraisalField *more, AppraisalFieldName name, GError **error)
{
    if (more->rule == APPRAISAL_RULE_EXACT && field->rule == APPRAISAL_RULE_EXACT)
        return !memcmp(field->bytes, more->bytes, fields[name].size) || contradiction(error, fields[name].name);
    /* In this order each is stricter than those before it, but UNSET, which says nothing. */
    if (more->rule > field->rule)
        *field = *more;
    return TRUE;
}

static gboolean merge_key(AppraisalKeyRule *key, const AppraisalKeyRule *more, const char *rule, GError **error)
{
    AppraisalRule a = key->rule, b = more->rule;

    if ((a == APPRAISAL_RULE_NONE && b == APPRAISAL_RULE_EXACT) ||
        (a == APPRAISAL_RULE_EXACT && b == APPRAISAL_RULE_NONE))
        return contradiction(error, rule);
    if (a == APPRAISAL_RULE_UNSET || (a == APPRAISAL_RULE_ANY && b != APPRAISAL_RULE_UNSET))
        key->rule = b;
    return intersect(&key->digests, more->digests, rule, error);
}

static void raise_tcb(PolicyTcb *tcb, const PolicyTcb *more)
{
    tcb->bootloader = MAX(tcb->bootloader, more->bootloader);
    tcb->tee = MAX(tcb->tee, more->tee);
    tcb->snp = MAX(tcb->snp, more->snp);
    tcb->microcode = MAX(tcb->microcode, more->microcode);
    tcb->fmc = MAX(tcb->fmc, more->fmc);
}

/* Two rules of the form (x & mask) == value. */
static gboolean merge_bits(guint64 *value, guint64 *mask, guint64 more_value, guint64 more_mask, const char *rule,
                           GError **error)
{
    if ((*value ^ more_value) & *mask & more_mask)
        return contradiction(error, rule);
    *value |= more_value;
    *mask |= more_mask;
    return TRUE;
}

/* What the bits of the policy must be, however it was said. */
static gboolean check_policy(const AppraisalRules *rules, GError **error)
{
    guint64 never = rules->has_allowed ? APPRAISAL_POLICY_ALLOW_BITS & ~rules->allowed : 0;
    guint64 set = rules->required | (rules->policy_value & rules->policy_mask);

    if ((rules->required & rules->policy_mask & ~rules->policy_value) || (set & never))
        return contradiction(error, "policy");
    if ((rules->policy_mask & 0xffff) == 0xffff && (rules->policy_value & 0xffff) < rules->minimum_abi)
        return contradiction(error, "policy.minimumAbi");
    return TRUE;
}

static gboolean merge_policy(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (!merge_bits(&rules->policy_value, &rules->policy_mask, more->policy_value, more->policy_mask, "policy", error))
        return FALSE;
    if (more->has_allowed) {
        rules->allowed = rules->has_allowed ? rules->allowed & more->allowed : more->allowed;
        rules->has_allowed = TRUE;
    }
    rules->required |= more->required;
    rules->minimum_abi = MAX(rules->minimum_abi, more->minimum_abi);
    return check_policy(rules, error);
}

/* What a Bergamo is, is of Genoa's line too. */
static guint closure(guint products)
{
    return products & APPRAISAL_PRODUCT_GENOA ? products | APPRAISAL_PRODUCT_BERGAMO : products;
}

static gboolean merge_chips(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (!intersect(&rules->chips, more->chips, "chips", error))
        return FALSE;
    for (guint i = 0; i < more->denied_chips->len; i++) {
        if (!has_bytes(rules->denied_chips, g_ptr_array_index(more->denied_chips, i)))
            g_ptr_array_add(rules->denied_chips, g_bytes_ref(g_ptr_array_index(more->denied_chips, i)));
    }
    for (guint i = 0; rules->chips && i < rules->chips->len; i++) {
        if (!has_bytes(rules->denied_chips, g_ptr_array_index(rules->chips, i)))
            return TRUE;
    }
    return !rules->chips || contradiction(error, "deniedChips");
}

static gboolean merge_csp_ids(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (!more->csp_ids)
        return TRUE;
    if (!rules->csp_ids) {
        rules->csp_ids = g_ptr_array_copy(more->csp_ids, (GCopyFunc)(void (*)(void))g_strdup, NULL);
        g_ptr_array_set_free_func(rules->csp_ids, g_free);
        return TRUE;
    }
    for (guint i = rules->csp_ids->len; i > 0; i--) {
        if (!g_ptr_array_find_with_equal_func(more->csp_ids, g_ptr_array_index(rules->csp_ids, i - 1), g_str_equal,
                                              NULL))
            g_ptr_array_remove_index(rules->csp_ids, i - 1);
    }
    return rules->csp_ids->len > 0 || contradiction(error, "cspIds");
}

static gboolean merge_signer(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (rules->signer == APPRAISAL_RULE_EXACT && more->signer == APPRAISAL_RULE_EXACT)
        return rules->signer_kind == more->signer_kind || contradiction(error, "signingKey");
    if (more->signer > rules->signer) {
        rules->signer = more->signer;
        rules->signer_kind = more->signer_kind;
    }
    return TRUE;
}

static gboolean merge_products(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    if (!rules->products || !more->products) {
        rules->products |= more->products;
        return TRUE;
    }
    rules->products = closure(rules->products) & closure(more->products);
    return rules->products || contradiction(error, "products");
}

gboolean appraisal_rules_merge(AppraisalRules *rules, const AppraisalRules *more, GError **error)
{
    for (guint i = 0; i < APPRAISAL_N_FIELDS; i++) {
        if (!merge_field(&rules->fields[i], &more->fields[i], i, error))
            return FALSE;
    }
    for (guint kind = 0; kind < APPRAISAL_N_TCBS; kind++) {
        for (guint line = 0; line < APPRAISAL_N_LINES; line++) {
            if (!more->has_tcb[kind][line])
                continue;
            if (rules->has_tcb[kind][line])
                raise_tcb(&rules->tcb[kind][line], &more->tcb[kind][line]);
            else
                rules->tcb[kind][line] = more->tcb[kind][line];
            rules->has_tcb[kind][line] = TRUE;
        }
    }
    if (rules->vmpl >= 0 && more->vmpl >= 0 && rules->vmpl != more->vmpl)
        return contradiction(error, "vmpl");
    rules->vmpl = MAX(rules->vmpl, more->vmpl);
    rules->minimum_svn = MAX(rules->minimum_svn, more->minimum_svn);
    if (rules->provisional == APPRAISAL_RULE_UNSET || more->provisional == APPRAISAL_RULE_NONE)
        rules->provisional = more->provisional;
    rules->launch_mitigation |= more->launch_mitigation;
    rules->current_mitigation |= more->current_mitigation;
    rules->revocation_required |= more->revocation_required;
    rules->minimum_firmware = MAX(rules->minimum_firmware, more->minimum_firmware);
    if (rules->maximum_age < 0 || (more->maximum_age >= 0 && more->maximum_age < rules->maximum_age))
        rules->maximum_age = more->maximum_age;
    return merge_measurements(rules, more, error) && merge_policy(rules, more, error) &&
           merge_bits(&rules->platform_value, &rules->platform_mask, more->platform_value, more->platform_mask,
                      "platformInfo", error) &&
           merge_key(&rules->id_key, &more->id_key, "idBlock", error) &&
           merge_key(&rules->author_key, &more->author_key, "authorKey", error) && merge_chips(rules, more, error) &&
           merge_csp_ids(rules, more, error) && merge_signer(rules, more, error) && merge_products(rules, more, error);
}
