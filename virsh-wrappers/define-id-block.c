/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ID block goes first: it follows from the measurement and the policy alone. With it the reference is complete but
 * for the host data, which binds that reference (policy_reference_binding() leaves host data out) and goes last.
 */
#include "virsh-wrappers/define-id-block.h"

#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "virsh-wrappers/output.h"
#include "xml/identity.h"

void cmd_define_identity_free(CmdDefineIdentity *identity)
{
    if (identity) {
        cmd_identity_clear(&identity->identity);
        g_free(identity);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdDefineIdentity, cmd_define_identity_free)

/* Options that say something about an ID block that nobody asked for. */
static const char *const needs_id_key[] = {"author-key", "family-id", "image-id", "svn", NULL};

const CmdDefineIdentity *cmd_define_identity(CmdContext *context, GError **error)
{
    if (context->identity) {
        return context->identity;
    }
    g_autoptr(CmdDefineIdentity) identity = g_new0(CmdDefineIdentity, 1);
    identity->wanted = cmd_context_has(context, "id-key");
    identity->has_host_data = cmd_context_has(context, "host-data");
    for (gsize i = 0; needs_id_key[i] && !identity->wanted; i++) {
        if (cmd_context_has(context, needs_id_key[i])) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--%s goes with --id-key only", needs_id_key[i]);
            return NULL;
        }
    }
    if (!cmd_hex_option(context, "host-data", identity->host_data, sizeof(identity->host_data), error) ||
        (identity->wanted && !cmd_identity_open(context, &identity->identity, error))) {
        return NULL;
    }
    context->identity = g_steal_pointer(&identity);
    return context->identity;
}

static gboolean has_block(const XmlDomain *domain)
{
    return domain->launch_type == XML_LAUNCH_SNP && (domain->id_block || domain->id_auth);
}

static gboolean check_fit(const CmdSubject *subject, GError **error)
{
    const XmlDomain *domain = subject->domain;
    g_autoptr(GPtrArray) misfits =
        policy_id_block_misfits(domain, subject->evaluation->policy, subject->evaluation->measurements);
    if (misfits->len == 0) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(domain->name);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < misfits->len; i++) {
        g_string_append_printf(text, "\n  %s", (const char *)g_ptr_array_index(misfits, i));
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "the ID block of domain '%s' does not fit it, so the processor would refuse every start: make a new "
                "one with --id-key, or remove <idBlock> and <idAuth> from its XML%s",
                shown, text->str);
    return FALSE;
}

gboolean cmd_define_identity_check(CmdContext *context, const CmdSubject *subject, GError **error)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    const CmdDefineIdentity *identity = cmd_define_identity(context, error);
    if (!identity) {
        return FALSE;
    }
    if (evaluation->confidential && subject->domain->has_policy &&
        !policy_guest_check(evaluation->platform, evaluation->policy, cmd_context_has(context, "allow-debug"), error)) {
        return FALSE;
    }
    return identity->wanted || !has_block(subject->domain) || check_fit(subject, error);
}

gboolean cmd_define_identity_cpu(CmdContext *context, const char *cpu_mode, GError **error)
{
    if (!cmd_context_has(context, "id-key") || !g_str_equal(cpu_mode, "host-model") ||
        cmd_context_has(context, "cpu")) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "an ID block holds one launch digest, and host-model leaves the CPU type to the host: name a model, "
                "such as EPYC-Milan (--cpu-model, or <cpu mode='custom'> with <model> in the domain XML)");
    return FALSE;
}

/* An option that changes nothing would look as if it had: the block is for the CPU that the domain names. */
static gboolean check_cpu_option(const CmdContext *context, const XmlDomain *domain, const XmlMeasurement *measurement,
                                 GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    if (!cmd_context_has(context, "cpu")) {
        return TRUE;
    }
    if (!cmd_context_cpus(context, &cpus, error)) {
        return FALSE;
    }
    for (guint i = 0; i < cpus->len; i++) {
        if (((const MeasureCpu *)g_ptr_array_index(cpus, i))->signature == measurement->signature) {
            return TRUE;
        }
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "--cpu is another CPU than domain '%s' has, which is %s: leave it out, or change <model> in its XML",
                domain->name, measurement->cpu);
    return FALSE;
}

/* The digest that the block is for: of a domain of SEV-SNP with one CPU type. */
static const XmlMeasurement *only_measurement(CmdContext *context, const CmdSubject *subject, GError **error)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    g_autofree gchar *shown = cmd_printable(subject->domain->name);
    if (evaluation->confidential && evaluation->platform != MEASURE_PLATFORM_SNP) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "ID blocks and host data are for SEV-SNP, and domain '%s' is for %s", shown,
                    measure_platform_name(evaluation->platform));
        return NULL;
    }
    if (evaluation->measurements->len == 0) {
        if (evaluation->unmeasurable) {
            g_propagate_error(error, g_error_copy(evaluation->unmeasurable));
        } else {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "domain '%s' has no measurement", shown);
        }
        return NULL;
    }
    if (!cmd_define_identity_cpu(
            context, subject->domain->cpu_mode == XML_CPU_HOST_MODEL ? "host-model" : "", error)) {
        return NULL;
    }
    if (evaluation->measurements->len > 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "an ID block holds one launch digest, and domain '%s' has %u of them: name one CPU model in its "
                    "XML, or one with --cpu",
                    shown, evaluation->measurements->len);
        return NULL;
    }
    const XmlMeasurement *only = g_ptr_array_index(evaluation->measurements, 0);
    return check_cpu_option(context, subject->domain, only, error) ? only : NULL;
}

static gboolean same_identity(const PolicyIdentity *a, const PolicyIdentity *b)
{
    return measure_digest_equal(a->id_key_digest, b->id_key_digest, sizeof(a->id_key_digest)) &&
           a->has_author_key == b->has_author_key &&
           (!a->has_author_key ||
            measure_digest_equal(a->author_key_digest, b->author_key_digest, sizeof(a->author_key_digest))) &&
           memcmp(a->family_id, b->family_id, sizeof(a->family_id)) == 0 &&
           memcmp(a->image_id, b->image_id, sizeof(a->image_id)) == 0 && a->guest_svn == b->guest_svn;
}

/* Signatures differ each time: a block that says the same already stays, so that the same command changes nothing. */
static gboolean is_there(const CmdIdentity *identity, const CmdSubject *subject)
{
    const XmlDomain *domain = subject->domain;
    PolicyIdentity found;
    if (!domain->id_block || !domain->id_auth) {
        return FALSE;
    }
    g_autoptr(GPtrArray) misfits =
        policy_id_block_misfits(domain, subject->evaluation->policy, subject->evaluation->measurements);
    return misfits->len == 0 &&
           policy_id_auth_verify(g_bytes_get_data(domain->id_block, NULL), g_bytes_get_data(domain->id_auth, NULL),
                                 g_bytes_get_size(domain->id_auth), domain->author_key, &found, NULL) &&
           same_identity(&identity->facts, &found);
}

gboolean cmd_define_identity_block(CmdContext *context, const CmdSubject *subject, gchar **out, GError **error)
{
    const CmdDefineIdentity *identity = cmd_define_identity(context, error);
    *out = NULL;
    if (!identity || !identity->wanted) {
        return identity != NULL;
    }
    guint8 block[POLICY_ID_BLOCK_SIZE], auth[POLICY_ID_AUTH_SIZE];
    const XmlMeasurement *measurement = only_measurement(context, subject, error);
    if (!measurement || is_there(&identity->identity, subject)) {
        return measurement != NULL;
    }
    XmlIdentity wanted = {
        .id_block = block, .id_auth = auth, .author_key = identity->identity.facts.has_author_key};
    if (!cmd_identity_issue(&identity->identity, measurement->digest.bytes, subject->evaluation->policy, block, auth,
                            error)) {
        return FALSE;
    }
    *out = xml_document_set_identity(subject->xml, -1, &wanted, error);
    return *out != NULL;
}

gboolean cmd_define_identity_host_data(CmdContext *context, CmdSubject *subject, const PolicyReference *reference,
                                       gboolean *changed, GError **error)
{
    const CmdDefineIdentity *identity = cmd_define_identity(context, error);
    guint8 wanted[MEASURE_SHA256_SIZE];
    if (!identity || (!identity->wanted && !identity->has_host_data)) {
        return identity != NULL;
    }
    if (identity->has_host_data) {
        memcpy(wanted, identity->host_data, sizeof(wanted));
    } else {
        policy_reference_binding(reference, wanted);
    }
    GBytes *found = subject->domain->host_data;
    if (found && g_bytes_get_size(found) == sizeof(wanted) &&
        memcmp(g_bytes_get_data(found, NULL), wanted, sizeof(wanted)) == 0) {
        return TRUE;
    }
    XmlIdentity only = {.host_data = wanted};
    gchar *xml = xml_document_set_identity(subject->xml, -1, &only, error);
    if (!xml) {
        return FALSE;
    }
    g_free(subject->xml);
    subject->xml = xml;
    g_clear_pointer(&subject->domain->host_data, g_bytes_unref);
    subject->domain->host_data = g_bytes_new(wanted, sizeof(wanted));
    *changed = TRUE;
    return TRUE;
}

void cmd_define_identity_warn(CmdContext *context, const PolicyReference *pinned, const PolicyReference *reference)
{
    if (!pinned || !reference || cmd_context_quiet(context) || !cmd_reference_is_bound(pinned) ||
        cmd_reference_is_bound(reference)) {
        return;
    }
    g_autofree gchar *shown = cmd_printable(reference->name);
    cmd_warn("the host data of domain '%s' bound its former reference and does not bind the new one: an owner who "
             "looks at it will not accept the guest; make it anew with --id-key or --host-data",
             shown);
}
