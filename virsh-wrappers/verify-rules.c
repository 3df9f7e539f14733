/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/verify-rules.h"

#include <string.h>

#include "measure/error.h"
#include "policy/gate.h"
#include "virsh-wrappers/deadline.h"

void cmd_verify_rules_clear(CmdVerifyRules *rules)
{
    g_clear_pointer(&rules->rules, appraisal_rules_free);
    cmd_reference_source_clear(&rules->source);
}

static gboolean bad_option(GError **error, const char *name, const char *value, const char *what)
{
    g_autofree gchar *shown = cmd_printable(value);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--%s '%s': this is not %s", name, shown, what);
    return FALSE;
}

/* ---- The policy file ---- */

static gboolean add_policy(CmdContext *context, AppraisalRules *rules, GError **error)
{
    const char *path = cmd_context_get(context, "policy");
    if (!path) {
        return TRUE;
    }
    g_autoptr(GBytes) data = appraisal_file_read(path, APPRAISAL_POLICY_MAX_SIZE, error);
    if (!data) {
        return FALSE;
    }
    gsize size = 0;
    const char *text = g_bytes_get_data(data, &size);
    g_autoptr(AppraisalRules) more = appraisal_rules_parse(text ? text : "", (gssize)size, error);
    if (!more) {
        g_autofree gchar *shown = cmd_printable(path);
        g_prefix_error(error, "policy file '%s': ", shown);
        return FALSE;
    }
    return appraisal_rules_merge(rules, more, error);
}

/* ---- The reference ---- */

static GPtrArray *trusted_keys(CmdContext *context, GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, "key");
    if (given->len == 0) {
        PolicyConfig *config = cmd_context_config(context, error);
        return config ? policy_trusted_keys_load(config, error) : NULL;
    }
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)policy_key_free);
    for (guint i = 0; i < given->len; i++) {
        PolicyKey *key = policy_key_load_public(g_ptr_array_index(given, i), POLICY_KEY_P384 | POLICY_KEY_ED25519,
                                                "key of a reference", error);
        if (!key) {
            return NULL;
        }
        g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}

/*
 * Whether somebody who is trusted vouches for the reference. Of a pin only what its owner has signed counts, and that
 * is
 * @document then.
 */
static gboolean check_signature(CmdContext *context, const CmdVerifyRules *rules, PolicyReference **document,
                                GError **error)
{
    const char *domain = rules->domain;
    const CmdSubject *subject = rules->source.subject;
    g_autofree gchar *key_id = NULL;
    gboolean of_libvirt = domain && !cmd_word_is_file(domain);
    /* A domain XML that the user gives is measured here and now: there is nothing that could be signed. */
    if (subject && !of_libvirt && !rules->source.envelope && !rules->source.bundle) {
        if (cmd_context_has(context, "key")) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "--key: a domain XML is signed by nobody; give a signed document (reference-sign)");
            return FALSE;
        }
        return TRUE;
    }
    g_autoptr(GPtrArray) keys = trusted_keys(context, error);
    if (!keys) {
        return FALSE;
    }
    if (keys->len == 0) {
        if (rules->source.envelope && !cmd_context_quiet(context)) {
            cmd_warn("the reference is signed, and no key is trusted to check it with: nobody vouches for it");
        }
        return TRUE;
    }
    if (subject && subject->pinned) {
        *document = policy_signed_reference(subject->pinned, keys, &key_id, error);
        return *document != NULL;
    }
    if (!rules->source.envelope) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the reference is not signed, and keys are configured that must have signed it: give a signed one "
                    "(virt-attest reference-sign)");
        return FALSE;
    }
    if (!policy_envelope_verify(rules->source.envelope, keys, &key_id, error)) {
        g_prefix_error(error, "the reference: ");
        return FALSE;
    }
    return TRUE;
}

static gboolean merge_reference(AppraisalRules *rules, const PolicyReference *reference, GError **error)
{
    g_autoptr(AppraisalRules) more = appraisal_rules_from_reference(reference, error);
    return more && appraisal_rules_merge(rules, more, error);
}

static gboolean load_source(CmdContext *context, const char *domain, const char *path, CmdVerifyRules *out,
                            GError **error)
{
    g_autoptr(CmdGuard) guard = NULL;
    if (domain && !cmd_word_is_file(domain)) {
        g_autofree gchar *shown = cmd_printable(domain);
        g_autofree gchar *what = g_strdup_printf("domain '%s', its definition", shown);
        guard = cmd_guard_new(context, what, error);
        if (!guard) {
            return FALSE;
        }
    }
    return cmd_reference_source_load(context, domain ? domain : path, &out->source, error);
}

static gboolean add_reference(CmdContext *context, CmdVerifyRules *out, GError **error)
{
    const char *domain = out->domain;
    const char *file = cmd_context_get(context, "reference");
    if (domain && file) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "give --domain or --reference, not both");
        return FALSE;
    }
    if (cmd_context_has(context, "key") && !file && !domain) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--key: nothing is here that it could have signed; give the signed document with --reference");
        return FALSE;
    }
    if (!domain && !file) {
        return TRUE;
    }
    /* A bare name is a file here, and never a domain. */
    g_autofree gchar *path = file && !strchr(file, '/') && strcmp(file, "-") ? g_strconcat("./", file, NULL)
                                                                             : g_strdup(file);
    if (!load_source(context, domain, path, out, error)) {
        return FALSE;
    }
    const CmdSubject *subject = out->source.subject;
    out->reference = subject && subject->pinned ? subject->pinned : out->source.reference;
    if (domain && !cmd_word_is_file(domain) && !(subject && subject->pinned) && !cmd_context_quiet(context)) {
        cmd_warn("nothing is pinned for domain '%s': the report is compared with what it would measure now", domain);
    }
    g_autoptr(PolicyReference) document = NULL;
    return check_signature(context, out, &document, error) && merge_reference(out->rules, out->reference, error) &&
           (!document || merge_reference(out->rules, document, error));
}

/* ---- Options ---- */

static gboolean add_digests(CmdContext *context, const char *name, AppraisalRules *rules, AppraisalKeyRule *key,
                            GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, name);
    for (guint i = 0; i < given->len; i++) {
        g_auto(GStrv) parts = g_strsplit(g_ptr_array_index(given, i), ",", -1);
        for (gchar **part = parts; *part; part++) {
            guint8 digest[48];
            if (!measure_hex_decode(*part, digest, sizeof(digest))) {
                return bad_option(error, name, *part, "96 hexadecimal digits");
            }
            if (key) {
                appraisal_rules_add_key(key, digest);
            } else {
                appraisal_rules_add_measurement(rules, digest, NULL);
            }
        }
    }
    return TRUE;
}

/* Report data may be given short: what the guest did not fill is zero. */
static gboolean add_report_data(CmdContext *context, CmdVerifyRules *out, AppraisalRules *rules, GError **error)
{
    AppraisalField *field = &rules->fields[APPRAISAL_FIELD_REPORT_DATA];
    const char *nonce = cmd_context_get(context, "nonce");
    const char *data = cmd_context_get(context, "report-data");
    gboolean any = cmd_context_has(context, "any-report-data");
    if (out->has_report_data && (data || any)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--ssh-host-key says what the report data must be: leave out --%s",
                    data ? "report-data" : "any-report-data");
        return FALSE;
    }
    if (out->has_report_data) {
        field->rule = APPRAISAL_RULE_EXACT;
        memcpy(field->bytes, out->report_data, sizeof(out->report_data));
        return TRUE;
    }
    if ((nonce != NULL) + (data != NULL) + any > 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "give one of --nonce, --report-data and --any-report-data");
        return FALSE;
    }
    const char *text = nonce ? nonce : data;
    field->rule = text ? APPRAISAL_RULE_EXACT : any ? APPRAISAL_RULE_ANY : APPRAISAL_RULE_UNSET;
    if (!text) {
        return TRUE;
    }
    gsize length = strlen(text);
    if (nonce && !measure_hex_decode(nonce, field->bytes, 64)) {
        return bad_option(error, "nonce", nonce, "128 hexadecimal digits, as 'virt-attest nonce' prints them");
    }
    if (data && (length == 0 || length > 128 || !measure_hex_decode(data, field->bytes, length / 2))) {
        return bad_option(error, "report-data", data, "2 to 128 hexadecimal digits");
    }
    out->has_nonce = nonce != NULL;
    memcpy(out->nonce, field->bytes, sizeof(out->nonce));
    return TRUE;
}

static gboolean add_host_data(CmdContext *context, AppraisalRules *rules, GError **error)
{
    AppraisalField *field = &rules->fields[APPRAISAL_FIELD_HOST_DATA];
    const char *text = cmd_context_get(context, "host-data");
    if (!text) {
        return TRUE;
    }
    field->rule = strcmp(text, "any") ? APPRAISAL_RULE_EXACT : APPRAISAL_RULE_ANY;
    return field->rule == APPRAISAL_RULE_ANY || measure_hex_decode(text, field->bytes, 32) ||
           bad_option(error, "host-data", text, "64 hexadecimal digits or 'any'");
}

static gboolean add_options(CmdContext *context, CmdVerifyRules *out, AppraisalRules *rules, GError **error)
{
    const char *signer = cmd_context_get(context, "signing-key");
    const char *tcb = cmd_context_get(context, "minimum-reported-tcb");
    guint64 vmpl = 0, svn = 0, age = 0;
    if (!add_digests(context, "measurement", rules, NULL, error) ||
        !add_digests(context, "id-key-digest", rules, &rules->id_key, error) ||
        !add_digests(context, "author-key-digest", rules, &rules->author_key, error) ||
        !add_report_data(context, out, rules, error) || !add_host_data(context, rules, error) ||
        !cmd_arguments_number(context->arguments, "vmpl", 0, 3, &vmpl, error) ||
        !cmd_arguments_number(context->arguments, "minimum-svn", 0, G_MAXUINT32, &svn, error) ||
        !cmd_arguments_number(context->arguments, "maximum-age", 0, G_MAXINT32, &age, error)) {
        return FALSE;
    }
    rules->vmpl = cmd_context_has(context, "vmpl") ? (gint)vmpl : -1;
    rules->minimum_svn = cmd_context_has(context, "minimum-svn") ? (gint64)svn : -1;
    rules->maximum_age = cmd_context_has(context, "maximum-age") ? (gint64)age : -1;
    rules->revocation_required = cmd_context_has(context, "require-crl");
    if (signer) {
        gboolean any = g_str_equal(signer, "any");
        rules->signer = any ? APPRAISAL_RULE_ANY : APPRAISAL_RULE_EXACT;
        rules->signer_kind = g_str_equal(signer, "vlek") ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;
    }
    if (tcb) {
        rules->has_tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_UNKNOWN] = TRUE;
        return policy_tcb_parse(tcb, &rules->tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_UNKNOWN], error);
    }
    return TRUE;
}

gboolean cmd_verify_rules_load(CmdContext *context, CmdVerifyRules *out, GError **error)
{
    out->rules = appraisal_rules_new();
    g_autoptr(AppraisalRules) options = appraisal_rules_new();
    return add_options(context, out, options, error) && add_policy(context, out->rules, error) &&
           add_reference(context, out, error) && appraisal_rules_merge(out->rules, options, error);
}
