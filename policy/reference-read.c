/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The strict reader of the reference document. It is what stands between a file
 * and "this start is good", so it takes nothing that the writer cannot have
 * written: what it does not know might be the one fact that matters.
 */
#include <string.h>

#include "measure/error.h"
#include "policy/envelope.h"
#include "policy/json.h"
#include "policy/reference-private.h"

#define MAX_FINDINGS 256

static const char *const input_roles[] = {"firmware", "kernel", "initrd", "cmdline", NULL};

gboolean policy_uuid_valid(const char *uuid)
{
    gsize i = 0;

    for (; uuid[i]; i++) {
        gboolean dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (i >= 36 || (dash ? uuid[i] != '-' : !g_ascii_isxdigit(uuid[i]) || g_ascii_isupper(uuid[i])))
            return FALSE;
    }
    return i == 36;
}

gboolean policy_time_valid(const char *time)
{
    g_autoptr(GDateTime) parsed = g_date_time_new_from_iso8601(time, NULL);
    g_autofree gchar *again = parsed ? g_date_time_format(parsed, "%Y-%m-%dT%H:%M:%SZ") : NULL;

    return again && !strcmp(again, time);
}

gboolean policy_is_label(const char *text)
{
    gsize length = strlen(text);

    return length > 0 && length <= 64 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == length;
}

static gboolean read_file_input(JsonObject *object, const char *where, PolicyReferenceInput *input, GError **error)
{
    static const char *const known[] = {"path", "size", "sha256", "obtained", NULL};

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_string(object, where, "path", FALSE, &input->path, error) ||
        !policy_json_uint(object, where, "size", FALSE, G_MAXINT64, &input->size, error) ||
        !policy_json_hex_bytes(object, where, "sha256", sizeof(input->sha256), input->sha256, error) ||
        !policy_source_from_json(object, where, "obtained", &input->obtained, error))
        return FALSE;
    if (*input->path != '/')
        return policy_json_error(error, where, "path", "this is not an absolute path");
    return TRUE;
}

static gboolean read_cmdline_input(JsonObject *object, const char *where, gboolean text_optional,
                                   PolicyReferenceInput *input, GError **error)
{
    static const char *const known[] = {"text", "size", "sha256", "obtained", NULL};
    guint8 digest[MEASURE_SHA256_SIZE];

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_string(object, where, "text", text_optional, &input->text, error) ||
        !policy_json_uint(object, where, "size", FALSE, G_MAXINT64, &input->size, error) ||
        !policy_json_hex_bytes(object, where, "sha256", sizeof(input->sha256), input->sha256, error) ||
        !policy_source_from_json(object, where, "obtained", &input->obtained, error))
        return FALSE;
    if (!input->text)
        return TRUE;
    /* The digest covers the NUL at the end too. */
    policy_sha256(input->text, strlen(input->text) + 1, digest);
    if (input->size != strlen(input->text) || !measure_digest_equal(digest, input->sha256, sizeof(digest)))
        return policy_json_error(error, where, "text", "this text does not have that size and SHA-256");
    return TRUE;
}

gboolean policy_inputs_from_json(JsonObject *object, const char *where, gboolean text_optional, GPtrArray *inputs,
                                 GError **error)
{
    if (!policy_json_members(object, where, input_roles, error))
        return FALSE;
    for (guint i = 0; input_roles[i]; i++) {
        static const guint8 none[MEASURE_SHA256_SIZE];
        g_autofree gchar *position = g_strdup_printf("%s.%s", where, input_roles[i]);
        g_autoptr(PolicyReferenceInput) input = policy_reference_input_new(input_roles[i], NULL, NULL, 0, none);
        JsonObject *member = NULL;

        if (!policy_json_object(object, where, input_roles[i], TRUE, &member, error))
            return FALSE;
        if (!member)
            continue;
        if (strcmp(input_roles[i], "cmdline") ? !read_file_input(member, position, input, error)
                                              : !read_cmdline_input(member, position, text_optional, input, error))
            return FALSE;
        g_ptr_array_add(inputs, g_steal_pointer(&input));
    }
    return TRUE;
}

static gboolean read_findings(JsonObject *root, PolicyReference *reference, GError **error)
{
    static const char *const known[] = {"rule", "level", "outcome", "text", NULL};
    JsonArray *array = NULL;

    if (!policy_json_array(root, "", "findings", FALSE, &array, error))
        return FALSE;
    if (json_array_get_length(array) > MAX_FINDINGS)
        return policy_json_error(error, "", "findings", "there are more than %d", MAX_FINDINGS);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *where = NULL;
        g_autofree gchar *rule = NULL;
        g_autofree gchar *outcome_name = NULL;
        g_autofree gchar *text = NULL;
        guint64 level = 0;
        PolicyOutcome outcome = POLICY_PASS;
        JsonObject *object = policy_json_element(array, i, "", "findings", &where, error);

        if (!object || !policy_json_members(object, where, known, error) ||
            !policy_json_string(object, where, "rule", FALSE, &rule, error) ||
            !policy_json_uint(object, where, "level", FALSE, 4, &level, error) ||
            !policy_json_string(object, where, "outcome", FALSE, &outcome_name, error) ||
            !policy_json_string(object, where, "text", FALSE, &text, error))
            return FALSE;
        if (!policy_is_label(rule))
            return policy_json_error(error, where, "rule", "this is not the name of a rule");
        while (outcome <= POLICY_NOTE && strcmp(outcome_name, policy_outcome_name(outcome)))
            outcome++;
        if (outcome > POLICY_NOTE)
            return policy_json_error(error, where, "outcome", "this is not 'pass', 'fail' or 'note'");
        g_ptr_array_add(reference->findings, policy_finding_new(rule, (guint)level, outcome, g_steal_pointer(&text)));
    }
    return TRUE;
}

static gboolean read_hex_text(JsonObject *root, const char *name, gsize size, gchar **out, GError **error)
{
    guint8 bytes[MEASURE_DIGEST_MAX];

    return !json_object_has_member(root, name) || (policy_json_hex_bytes(root, "", name, size, bytes, error) &&
                                                   policy_json_string(root, "", name, FALSE, out, error));
}

/* Members that came later: a document without them says nothing, or libvirt's default, as reference.h has it. */
static gboolean read_launch_facts(JsonObject *root, PolicyReference *reference, GError **error)
{
    static const char *const snp_only[] = {"guestVisibleWorkarounds", "authorKey",  "vcek",        "idBlock",
                                           "product",                 "minimumTcb", "platformInfo"};
    gboolean snp = reference->platform == MEASURE_PLATFORM_SNP;
    gboolean vcek = TRUE;
    JsonObject *verity = NULL;
    JsonObject *identity = NULL;

    for (gsize i = 0; !snp && i < G_N_ELEMENTS(snp_only); i++) {
        if (json_object_has_member(root, snp_only[i]))
            return policy_json_error(error, "", snp_only[i], "this goes with sev-snp only");
    }
    if (!read_hex_text(root, "guestVisibleWorkarounds", 16, &reference->guest_visible_workarounds, error) ||
        !policy_json_boolean(root, "", "authorKey", TRUE, &reference->author_key, error) ||
        !policy_json_boolean(root, "", "vcek", TRUE, &vcek, error) ||
        !policy_json_boolean(root, "", "session", TRUE, &reference->session, error) ||
        !policy_json_object(root, "", "verity", TRUE, &verity, error) ||
        !policy_json_string(root, "", "domainType", TRUE, &reference->domain_type, error) ||
        !policy_json_string(root, "", "emulator", TRUE, &reference->emulator, error) ||
        !policy_json_object(root, "", "idBlock", TRUE, &identity, error) ||
        !policy_rules_from_json(root, reference, error) ||
        !policy_source_from_json(root, "", "source", &reference->source, error))
        return FALSE;
    if (verity && !(reference->verity = policy_reference_verity_from_json(verity, error)))
        return FALSE;
    if (identity && !(reference->identity = policy_identity_from_json(identity, error)))
        return FALSE;
    reference->vcek_disabled = !vcek;
    if (json_object_has_member(root, "session") && (snp || !reference->session))
        return policy_json_error(error, "", "session", "this is not true, or does not go with sev-snp");
    if (reference->domain_type && !*reference->domain_type)
        return policy_json_error(error, "", "domainType", "this is empty");
    if (reference->emulator && !*reference->emulator)
        return policy_json_error(error, "", "emulator", "this is empty");
    return TRUE;
}

static gboolean read_facts(JsonObject *root, PolicyReference *reference, GError **error)
{
    MeasureVerifier verifier;

    if (!policy_json_hex_number(root, "", "policy", FALSE, &reference->policy, error) ||
        !policy_json_boolean(root, "", "kernelHashes", FALSE, &reference->kernel_hashes, error) ||
        !policy_json_string(root, "", "fpu", reference->platform == MEASURE_PLATFORM_SEV, &reference->vmm_fpu, error) ||
        !policy_json_string(root, "", "verifier", TRUE, &reference->verifier, error) ||
        !policy_json_string(root, "", "firmwareVersion", TRUE, &reference->firmware_version, error) ||
        !read_hex_text(root, "idBlockSha256", MEASURE_SHA256_SIZE, &reference->id_block_sha256, error) ||
        !read_hex_text(root, "idAuthSha256", MEASURE_SHA256_SIZE, &reference->id_auth_sha256, error) ||
        !read_hex_text(root, "hostData", 32, &reference->host_data, error) ||
        !read_launch_facts(root, reference, error))
        return FALSE;
    if (reference->vmm_fpu && (reference->platform == MEASURE_PLATFORM_SEV ||
                               (strcmp(reference->vmm_fpu, "legacy") && strcmp(reference->vmm_fpu, "init2"))))
        return policy_json_error(error, "", "fpu", "this is not 'legacy' or 'init2', or does not go with plain SEV");
    if (reference->verifier && !measure_verifier_from_name(reference->verifier, &verifier))
        return policy_json_error(error, "", "verifier", "this is not a verdict that is known");
    return TRUE;
}

/* The envelope's shape; what it holds and who signed it is asked where that decides something. */
static gboolean read_signed(JsonObject *object, PolicyReference *reference, GError **error)
{
    g_autofree gchar *text = policy_json_format(json_object_ref(object), FALSE);
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_parse(text, -1, error);

    if (!envelope) {
        g_prefix_error(error, "signed: ");
        return FALSE;
    }
    if (strcmp(envelope->payload_type, POLICY_ENVELOPE_TYPE_REFERENCE))
        return policy_json_error(error, "signed", "payloadType", "this is no reference");
    reference->signed_text = policy_envelope_format(envelope, FALSE);
    return TRUE;
}

/* What the pinned document has over the portable one. */
static gboolean read_pin(JsonObject *root, PolicyReference *reference, GError **error)
{
    g_autofree gchar *on_mismatch = NULL;
    JsonObject *envelope = NULL;

    if (!policy_json_string(root, "", "onMismatch", FALSE, &on_mismatch, error) ||
        !policy_json_string(root, "", "created", FALSE, &reference->created, error) ||
        !policy_json_object(root, "", "signed", TRUE, &envelope, error))
        return FALSE;
    if (!policy_time_valid(reference->created))
        return policy_json_error(error, "", "created", "this is not a time such as 2026-01-31T12:00:00Z");
    if (strcmp(on_mismatch, "refuse") && strcmp(on_mismatch, "observe"))
        return policy_json_error(error, "", "onMismatch", "this is not 'refuse' or 'observe'");
    reference->on_mismatch = strcmp(on_mismatch, "observe") ? XML_ON_MISMATCH_REFUSE : XML_ON_MISMATCH_OBSERVE;
    return !envelope || read_signed(envelope, reference, error);
}

/* The members that say which document it is, and of which domain. */
static gboolean read_head(JsonObject *root, PolicyReference *reference, GError **error)
{
    static const char *const known[] = {"name", "uuid", NULL};
    g_autofree gchar *format = NULL;
    JsonObject *domain = NULL;
    gboolean pinned = json_object_has_member(root, "created") || json_object_has_member(root, "onMismatch");

    reference->form = pinned ? POLICY_REFERENCE_PINNED : POLICY_REFERENCE_PORTABLE;
    if (!policy_json_string(root, "", "format", FALSE, &format, error))
        return FALSE;
    if (strcmp(format, POLICY_REFERENCE_FORMAT))
        return policy_json_error(error, "", "format",
                                 "'%s' is not " POLICY_REFERENCE_FORMAT ": use the virt-attest that wrote it", format);
    if (!policy_json_object(root, "", "domain", FALSE, &domain, error) ||
        !policy_json_members(domain, "domain", known, error) ||
        !policy_json_string(domain, "domain", "name", FALSE, &reference->name, error) ||
        !policy_json_string(domain, "domain", "uuid", !pinned, &reference->uuid, error) ||
        (pinned && !read_pin(root, reference, error)) ||
        !policy_json_string(root, "", "tool", FALSE, &reference->tool, error))
        return FALSE;
    if (reference->uuid && !policy_uuid_valid(reference->uuid))
        return policy_json_error(error, "domain", "uuid", "this is not a UUID");
    if (!pinned && json_object_has_member(root, "signed"))
        return policy_json_error(error, "", "signed", "this goes with a pinned reference only");
    return TRUE;
}

PolicyReference *policy_reference_parse(const char *text, gssize size, GError **error)
{
    /* The first six are those of the portable and the pinned document only. */
    static const char *const known[] = {
        "format",       "domain",       "onMismatch",   "created",      "tool",
        "signed",       "platform",     "level",        "findings",     "measurements",
        "inputs",       "policy",       "kernelHashes", "fpu",          "verifier",
        "firmwareVersion", "idBlockSha256", "idAuthSha256", "hostData", "guestVisibleWorkarounds",
        "authorKey",    "vcek",         "session",      "domainType",   "emulator",
        "verity",       "idBlock",      "product",      "minimumTcb",   "platformInfo",
        "source",       NULL};
    g_autoptr(PolicyReference) reference = policy_reference_alloc();
    g_autoptr(JsonNode) node = policy_json_parse(text, size, POLICY_REFERENCE_MAX_SIZE, "the reference", error);
    g_autofree gchar *platform = NULL;
    JsonObject *root = NULL;
    JsonObject *inputs = NULL;
    guint64 level = 0;
    gboolean headed = FALSE;

    if (!node)
        return NULL;
    root = json_node_get_object(node);
    headed = json_object_has_member(root, "format");
    if (!policy_json_members(root, "", headed ? known : known + 6, error) ||
        (headed && !read_head(root, reference, error)) ||
        !policy_json_string(root, "", "platform", FALSE, &platform, error) ||
        !policy_json_uint(root, "", "level", FALSE, 4, &level, error))
        return NULL;
    reference->level = (guint)level;
    if (!measure_platform_from_name(platform, &reference->platform)) {
        policy_json_error(error, "", "platform", "this is not 'sev', 'sev-es' or 'sev-snp'");
        return NULL;
    }
    if (!read_facts(root, reference, error) || !read_findings(root, reference, error) ||
        !policy_measurements_from_json(root, reference, error) ||
        !policy_json_object(root, "", "inputs", FALSE, &inputs, error) ||
        !policy_inputs_from_json(inputs, "inputs", FALSE, reference->inputs, error))
        return NULL;
    /* A portable one may know the measurement from elsewhere, without any file. */
    if (reference->form == POLICY_REFERENCE_PINNED && !policy_reference_find_input(reference, "firmware")) {
        policy_json_error(error, "inputs", "firmware", "this member is missing");
        return NULL;
    }
    return g_steal_pointer(&reference);
}
