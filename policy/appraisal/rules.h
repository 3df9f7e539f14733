/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of an appraisal: what a report must say to be accepted. They come from a policy file, from a reference and
 * from options, and every source must be content: merging keeps the stricter of two rules and refuses two that
 * contradict each other. Where no rule was given, the verdict is strict (policy/appraisal/verdict.h), never open.
 */
#pragma once

#include "policy/appraisal/verdict.h"

#define APPRAISAL_POLICY_MAX_SIZE (1024u * 1024)
#define APPRAISAL_POLICY_FORMAT "virt-attest-policy-1"

/**
 * AppraisalExpected:
 * @label: (nullable): what was measured, for people: "EPYC-Milan, 2 vCPUs"
 */
typedef struct {
    gchar *label;
    guint8 digest[48];
} AppraisalExpected;

typedef enum {
    APPRAISAL_FIELD_REPORT_DATA,
    APPRAISAL_FIELD_HOST_DATA,
    APPRAISAL_FIELD_FAMILY_ID,
    APPRAISAL_FIELD_IMAGE_ID,
    APPRAISAL_FIELD_REPORT_ID,
    APPRAISAL_FIELD_REPORT_ID_MA,
    APPRAISAL_N_FIELDS,
} AppraisalFieldName;
/* Bytes of the field: 64, 32 or 16. */
gsize appraisal_field_size(AppraisalFieldName field);
const char *appraisal_field_name(AppraisalFieldName field); /* as in the policy file: "reportData", … */

typedef enum {
    APPRAISAL_RULE_UNSET, /* nobody said anything: the strict default counts */
    APPRAISAL_RULE_NONE,  /* the thing must not be there */
    APPRAISAL_RULE_ANY,   /* whatever it is */
    APPRAISAL_RULE_EXACT, /* this value (a field), or: it must be there (a key) */
} AppraisalRule;

typedef struct {
    AppraisalRule rule; /* UNSET, ANY or EXACT */
    guint8 bytes[64];
} AppraisalField;

/**
 * AppraisalKeyRule:
 * @rule: NONE: the report must name no key; ANY: it may; EXACT: it must
 * @digests: (nullable) (element-type GBytes): 48 bytes each: the key must be one of these
 */
typedef struct {
    AppraisalRule rule;
    GPtrArray *digests;
} AppraisalKeyRule;

typedef enum {
    APPRAISAL_TCB_REPORTED,
    APPRAISAL_TCB_COMMITTED,
    APPRAISAL_TCB_CURRENT,
    APPRAISAL_TCB_LAUNCH,
    APPRAISAL_N_TCBS,
} AppraisalTcbName;
const char *appraisal_tcb_name(AppraisalTcbName tcb); /* "reported", … */
#define APPRAISAL_N_LINES (APPRAISAL_LINE_TURIN + 1)

typedef enum {
    APPRAISAL_PRODUCT_MILAN = 1 << 0,
    APPRAISAL_PRODUCT_GENOA = 1 << 1,   /* the whole line */
    APPRAISAL_PRODUCT_BERGAMO = 1 << 2, /* Bergamo and Siena: Genoa's certificates, models A0 to AF */
    APPRAISAL_PRODUCT_TURIN = 1 << 3,
} AppraisalProducts;

/* The bits of the guest policy that allow something; every other one demands something. */
#define APPRAISAL_POLICY_ALLOW_BITS G_GUINT64_CONSTANT(0x2d0000) /* smt, migrate-ma, debug, cxl */

/**
 * AppraisalRules:
 * @measurements: (nullable) (element-type AppraisalExpected): the launch digest must be one of these; %NULL: no rule
 * @fields: exact values
 * @has_tcb, @tcb: lowest TCB, by kind and product line; line UNKNOWN: whatever the line
 * @policy_value, @policy_mask: (POLICY & mask) == value
 * @has_allowed, @allowed: those of %APPRAISAL_POLICY_ALLOW_BITS that may be set
 * @required: bits of POLICY that must be set
 * @minimum_abi: lowest ABI version that POLICY must ask for, major << 8 | minor; 0: none
 * @platform_value, @platform_mask: (PLATFORM_INFO & mask) == value
 * @vmpl: 0 to 3, or -1
 * @minimum_svn: or -1
 * @chips: (nullable) (element-type GBytes): CHIP_ID is one of these, 64 bytes each
 * @denied_chips: (element-type GBytes): and none of these
 * @csp_ids: (nullable) (element-type utf8): a VLEK was made for one of these cloud providers (CSP_ID); a VCEK, which
 *   is of none, will do only where @signer is ANY
 * @signer: EXACT with @signer_kind, or ANY, or UNSET
 * @provisional: ANY: permitted; NONE: not, even if another source permits it; UNSET: not
 * @launch_mitigation, @current_mitigation: bits that must be set
 * @revocation_required: no verdict without a good revocation list
 * @minimum_firmware: major << 16 | minor << 8 | build, for CURRENT and COMMITTED; -1: none
 * @maximum_age: seconds since the nonce was issued, or -1
 * @products: AppraisalProducts, 0: any known one
 */
struct AppraisalRules {
    GPtrArray *measurements;
    AppraisalField fields[APPRAISAL_N_FIELDS];
    gboolean has_tcb[APPRAISAL_N_TCBS][APPRAISAL_N_LINES];
    PolicyTcb tcb[APPRAISAL_N_TCBS][APPRAISAL_N_LINES];
    guint64 policy_value, policy_mask;
    gboolean has_allowed;
    guint64 allowed, required;
    guint minimum_abi;
    guint64 platform_value, platform_mask;
    gint vmpl;
    gint64 minimum_svn;
    AppraisalKeyRule id_key, author_key;
    GPtrArray *chips, *denied_chips, *csp_ids;
    AppraisalRule signer;
    AppraisalSigner signer_kind;
    AppraisalRule provisional;
    guint64 launch_mitigation, current_mitigation;
    gboolean revocation_required;
    gint32 minimum_firmware;
    gint64 maximum_age;
    guint products;
};

/* No rule at all. */
AppraisalRules *appraisal_rules_new(void);
void appraisal_rules_free(AppraisalRules *rules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalRules, appraisal_rules_free)

/* @label: (nullable) */
void appraisal_rules_add_measurement(AppraisalRules *rules, const guint8 digest[48], const char *label);
void appraisal_rules_add_key(AppraisalKeyRule *rule, const guint8 digest[48]);
/* The chip as 16 or 128 hexadecimal digits, in 64 bytes. */
gboolean appraisal_chip_parse(const char *text, guint8 out[64]);
/* Names of policy bits ("smt") and bits of platform information ("tsme"); 0 for a name that is none. */
guint64 appraisal_policy_bit(const char *name);
guint64 appraisal_platform_bit(const char *name);
/* "smt, ecc, bit 6", or "none" */
gchar *appraisal_platform_describe(guint64 info);
/* Product names as in policy/reference.h; 0 for another one. */
guint appraisal_product_from_name(const char *name);
/* "1.55.29" or "1.55": FALSE for anything else. */
gboolean appraisal_firmware_parse(const char *text, gint32 *out);

/**
 * appraisal_rules_parse:
 * @text: a policy file: JSON, hostile, at most %APPRAISAL_POLICY_MAX_SIZE bytes; policy/appraisal/policy.schema.json
 *
 * Errors: %ATTEST_ERROR_UNREADABLE with the member that is wrong, or that contradicts another one.
 */
AppraisalRules *appraisal_rules_parse(const char *text, gssize size, GError **error);

/**
 * appraisal_rules_from_reference:
 *
 * Everything that @reference says of a report: measurements, guest policy, host data, keys and identity of the ID
 * block, processor, minimum TCB (all four), platform information. Errors: %ATTEST_ERROR_USAGE: it is of another
 * platform than SEV-SNP, or has no measurement.
 */
AppraisalRules *appraisal_rules_from_reference(const PolicyReference *reference, GError **error);

/**
 * appraisal_rules_merge:
 * @rules: changed; on error in part
 * @more: further rules, which must hold too
 *
 * Lists of what is accepted: their intersection; of what is not: their union; minimums: the higher, part by part;
 * masks: both. ANY and UNSET never weaken another rule. Errors: %ATTEST_ERROR_USAGE: no report could be content with
 * both: which rule.
 */
gboolean appraisal_rules_merge(AppraisalRules *rules, const AppraisalRules *more, GError **error);
