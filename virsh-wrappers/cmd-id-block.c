/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* id-block: the signed words by which the processor itself refuses to launch anything else. */
#include <stdio.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/id-block-choice.h"
#include "virsh-wrappers/identity.h"
#include "virsh-wrappers/output.h"

typedef struct {
    guint8 digest[MEASURE_SHA384_SIZE];
    guint64 policy;
    guint8 block[POLICY_ID_BLOCK_SIZE], auth[POLICY_ID_AUTH_SIZE];
} Made;

static gboolean read_measurement(const CmdContext *context, Made *made, GError **error)
{
    if (cmd_context_has(context, "cpu") || cmd_context_has(context, "vcpus")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--cpu and --vcpus choose among the measurements of --domain, and --measurement is one already");
        return FALSE;
    }
    made->policy = POLICY_SNP_DEFAULT;
    return cmd_hex_option(context, "measurement", made->digest, sizeof(made->digest), error);
}

/* Where the domain says itself what it starts with: the choice may be for what it will be, as with --policy. */
static void warn_of_choice(const CmdContext *context, const CmdSubject *subject, const XmlMeasurement *chosen)
{
    if (!subject || !subject->evaluation->launch || cmd_context_quiet(context)) {
        return;
    }
    const XmlDomain *domain = subject->domain;
    const char *model = domain->cpu_mode == XML_CPU_CUSTOM ? domain->cpu_model : NULL;
    g_autoptr(MeasureCpu) own = model ? measure_cpu_from_name(model, NULL) : NULL;
    guint vcpus = MAX(subject->evaluation->launch->vcpus, 1);
    if (own && own->signature != chosen->signature) {
        g_autofree gchar *shown = cmd_printable(model);
        cmd_warn("the domain has CPU model %s: the processor will refuse to start it with this ID block until it has "
                 "the same as the block (%s)",
                 shown, chosen->cpu);
    }
    if (vcpus != chosen->vcpus) {
        cmd_warn("the domain has %u vCPUs: the processor will refuse to start it with this ID block until it has the "
                 "same number as the block (%u)",
                 vcpus, chosen->vcpus);
    }
}

static gboolean read_domain(CmdContext *context, Made *made, GError **error)
{
    g_auto(CmdReferenceSource) source = {0};
    const XmlMeasurement *chosen = NULL;
    if (!cmd_reference_source_load(context, cmd_context_get(context, "domain"), &source, error)) {
        return FALSE;
    }
    chosen = cmd_choose_measurement(context, source.reference, error);
    if (!chosen) {
        return FALSE;
    }
    warn_of_choice(context, source.subject, chosen);
    memcpy(made->digest, chosen->digest.bytes, sizeof(made->digest));
    made->policy = source.reference->policy;
    return TRUE;
}

static gboolean read_launch(CmdContext *context, Made *made, GError **error)
{
    gboolean measurement = cmd_context_has(context, "measurement");
    const char *policy = cmd_context_get(context, "policy");
    if (measurement == cmd_context_has(context, "domain")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "id-block takes either --measurement or --domain");
        return FALSE;
    }
    if (!(measurement ? read_measurement(context, made, error) : read_domain(context, made, error))) {
        return FALSE;
    }
    guint64 of_domain = made->policy;
    if (policy && !policy_guest_parse(MEASURE_PLATFORM_SNP, policy, &made->policy, error)) {
        return FALSE;
    }
    if (!measurement && made->policy != of_domain && !cmd_context_quiet(context)) {
        g_autofree gchar *own = policy_guest_describe(MEASURE_PLATFORM_SNP, of_domain);
        cmd_warn("the domain has guest policy %s: the processor will refuse to start it with this ID block until it "
                 "has the same",
                 own);
    }
    if (!policy_guest_check(MEASURE_PLATFORM_SNP, made->policy, cmd_context_has(context, "allow-debug"), error)) {
        if (policy && strspn(policy, "0123456789") == strlen(policy)) {
            g_prefix_error(error, "--policy takes hexadecimal numbers, so %s is 0x%s: ", policy, policy);
        }
        return FALSE;
    }
    return TRUE;
}

static gchar *sha256_hex(const guint8 *data, gsize size)
{
    guint8 digest[MEASURE_SHA256_SIZE];
    policy_sha256(data, size, digest);
    return measure_hex_encode(digest, sizeof(digest));
}

static void print_hex(const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *hex = measure_hex_encode(data, size);
    cmd_print_field(name, hex);
}

static void print_table(const Made *made, const PolicyIdentity *facts, const char *folder)
{
    g_autofree gchar *policy = policy_guest_describe(MEASURE_PLATFORM_SNP, made->policy);
    g_autofree gchar *svn = g_strdup_printf("%u", facts->guest_svn);
    g_autofree gchar *block = sha256_hex(made->block, sizeof(made->block));
    print_hex("Launch digest", made->digest, sizeof(made->digest));
    cmd_print_field("Guest policy", policy);
    print_hex("Family id", facts->family_id, sizeof(facts->family_id));
    print_hex("Image id", facts->image_id, sizeof(facts->image_id));
    cmd_print_field("Guest SVN", svn);
    print_hex("ID key", facts->id_key_digest, sizeof(facts->id_key_digest));
    if (facts->has_author_key) {
        print_hex("Author key", facts->author_key_digest, sizeof(facts->author_key_digest));
    } else {
        cmd_print_field("Author key", "no author key");
    }
    cmd_print_field("Block SHA-256", block);
    cmd_print_field("Written to", folder);
}

static void json_hex(JsonBuilder *builder, const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *hex = data ? measure_hex_encode(data, size) : NULL;
    cmd_json_string(builder, name, hex);
}

static void print_json(const Made *made, const PolicyIdentity *facts)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree gchar *policy = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", made->policy);
    g_autofree gchar *flags = policy_guest_flags(MEASURE_PLATFORM_SNP, made->policy);
    g_autofree gchar *block = sha256_hex(made->block, sizeof(made->block));
    g_autofree gchar *auth = sha256_hex(made->auth, sizeof(made->auth));
    g_autofree gchar *block_text = g_base64_encode(made->block, sizeof(made->block));
    g_autofree gchar *auth_text = g_base64_encode(made->auth, sizeof(made->auth));
    json_builder_begin_object(builder);
    json_hex(builder, "digest", made->digest, sizeof(made->digest));
    cmd_json_string(builder, "policy", policy);
    cmd_json_string(builder, "policyFlags", flags);
    json_hex(builder, "familyId", facts->family_id, sizeof(facts->family_id));
    json_hex(builder, "imageId", facts->image_id, sizeof(facts->image_id));
    cmd_json_integer(builder, "guestSvn", facts->guest_svn);
    json_hex(builder, "idKeyDigest", facts->id_key_digest, sizeof(facts->id_key_digest));
    json_hex(builder, "authorKeyDigest", facts->has_author_key ? facts->author_key_digest : NULL,
             sizeof(facts->author_key_digest));
    cmd_json_string(builder, "idBlockSha256", block);
    cmd_json_string(builder, "idAuthSha256", auth);
    cmd_json_string(builder, "idBlock", block_text);
    cmd_json_string(builder, "idAuth", auth_text);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_id_block(CmdContext *context, GError **error)
{
    g_auto(CmdIdentity) identity = {0};
    Made made = {0};
    const char *folder = cmd_context_get(context, "output-dir");
    if (!folder) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "the option --output-dir is missing: the folder that gets ID block and ID authentication page");
        return -1;
    }
    if (!cmd_identity_open(context, &identity, error) || !read_launch(context, &made, error) ||
        !cmd_identity_issue(&identity, made.digest, made.policy, made.block, made.auth, error) ||
        !cmd_identity_write(folder, cmd_context_has(context, "force"), made.block, made.auth, error)) {
        return -1;
    }
    if (cmd_context_json(context)) {
        print_json(&made, &identity.facts);
    } else {
        print_table(&made, &identity.facts, folder);
    }
    return 0;
}
