/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* id-block-verify: signatures, keys, digest and policy of an ID block, every check listed whatever comes of it. */
#include <stdio.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "policy/text.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/id-block-choice.h"
#include "virsh-wrappers/identity.h"
#include "virsh-wrappers/output.h"

/* @expected, @found: (nullable) */
typedef struct {
    const char *name;
    gboolean good;
    gchar *expected, *found;
} Check;

static void check_free(Check *check)
{
    g_free(check->expected);
    g_free(check->found);
    g_free(check);
}

typedef struct {
    CmdReferenceSource source; /* empty without --domain */
    guint8 block[POLICY_ID_BLOCK_SIZE], auth[POLICY_ID_AUTH_SIZE];
    gboolean author_key_enabled;
    PolicyIdBlock facts;
    PolicyIdentity identity;
    GPtrArray *checks;
} Verify;

static void verify_clear(Verify *verify)
{
    cmd_reference_source_clear(&verify->source);
    g_clear_pointer(&verify->checks, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Verify, verify_clear)

static void add(Verify *verify, const char *name, gboolean good, const char *expected, const char *found)
{
    Check *check = g_new0(Check, 1);
    check->name = name;
    check->good = good;
    check->expected = g_strdup(expected);
    check->found = g_strdup(found);
    g_ptr_array_add(verify->checks, check);
}

static void add_equal(Verify *verify, const char *name, const char *expected, const char *found)
{
    add(verify, name, g_strcmp0(expected, found) == 0, expected, found);
}

/* ---- where the two parts come from ---- */

static gboolean take(GBytes *bytes, guint8 *out, gsize size)
{
    if (!bytes || g_bytes_get_size(bytes) != size) {
        return FALSE;
    }
    memcpy(out, g_bytes_get_data(bytes, NULL), size);
    return TRUE;
}

static gboolean read_part(const CmdContext *context, const char *option, const char *what, const CmdSubject *subject,
                          GBytes *own, guint8 *out, gsize size, GError **error)
{
    const char *path = cmd_context_get(context, option);
    if (path) {
        return cmd_identity_read(path, what, out, size, error);
    }
    if (take(own, out, size)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s has no %s: give it with --%s FILE",
                subject ? "the domain" : "what --domain names", what, option);
    return FALSE;
}

static gboolean read_parts(CmdContext *context, Verify *verify, GError **error)
{
    const char *domain = cmd_context_get(context, "domain");
    gboolean files = cmd_context_has(context, "id-block") && cmd_context_has(context, "id-auth");
    if (!domain && !files) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "id-block-verify takes --domain, or both --id-block and --id-auth");
        return FALSE;
    }
    if (!domain && cmd_context_has(context, "cpu")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--cpu chooses among the measurements of --domain");
        return FALSE;
    }
    if (domain && (!cmd_reference_source_load(context, domain, &verify->source, error) ||
                   !cmd_require_snp(verify->source.reference, error))) {
        return FALSE;
    }
    const CmdSubject *subject = verify->source.subject;
    GBytes *block = subject ? subject->domain->id_block : NULL;
    GBytes *auth = subject ? subject->domain->id_auth : NULL;
    return read_part(context, "id-block", "ID block", subject, block, verify->block, sizeof(verify->block), error) &&
           read_part(context, "id-auth", "ID authentication page", subject, auth, verify->auth, sizeof(verify->auth),
                     error);
}

/* The launch decides whether firmware asks for the author; without a launch, the page. */
static gboolean author_asked_for(const Verify *verify)
{
    const CmdSubject *subject = verify->source.subject;
    if (subject && subject->domain->id_block) {
        return subject->domain->author_key;
    }
    if (verify->source.reference && verify->source.reference->id_block_sha256) {
        return verify->source.reference->author_key;
    }
    return verify->auth[4] != 0;
}

/* ---- checks ---- */

static void check_page(Verify *verify)
{
    g_autoptr(GError) error = NULL;
    if (!policy_id_block_parse(verify->block, sizeof(verify->block), &verify->facts, &error)) {
        /* What else is in it is looked at all the same; the version is among the problems. */
        guint8 usual[POLICY_ID_BLOCK_SIZE];
        memcpy(usual, verify->block, sizeof(usual));
        measure_put_u32(usual + 0x50, 1);
        if (!policy_id_block_parse(usual, sizeof(usual), &verify->facts, NULL)) {
            g_return_if_reached();
        }
    }
    g_autoptr(GPtrArray) problems = policy_id_auth_problems(verify->block, verify->auth, sizeof(verify->auth),
                                                            verify->author_key_enabled, &verify->identity);
    for (guint i = 0; i < problems->len; i++) {
        add(verify, "signatures", FALSE, NULL, g_ptr_array_index(problems, i));
    }
    if (problems->len == 0) {
        add(verify, "signatures", TRUE, NULL,
            verify->author_key_enabled ? "good: of the ID block, and of the ID key by the author"
                                       : "good: of the ID block; no author is asked for");
    }
}

static gboolean check_digest(const CmdContext *context, Verify *verify, GError **error)
{
    g_autoptr(GPtrArray) chosen = cmd_choose_measurements(context, verify->source.reference, error);
    if (!chosen) {
        return FALSE;
    }
    g_autofree gchar *found = measure_hex_encode(verify->facts.digest, sizeof(verify->facts.digest));
    const XmlMeasurement *fitting = NULL;
    for (guint i = 0; i < chosen->len && !fitting; i++) {
        const XmlMeasurement *each = g_ptr_array_index(chosen, i);
        fitting = measure_digest_equal(each->digest.bytes, verify->facts.digest, MEASURE_SHA384_SIZE) ? each : NULL;
    }
    const XmlMeasurement *shown = fitting ? fitting : g_ptr_array_index(chosen, 0);
    g_autofree gchar *expected = measure_digest_hex(&shown->digest);
    add(verify, "digest", fitting != NULL, expected, found);
    return TRUE;
}

static void check_policy(Verify *verify)
{
    g_autofree gchar *expected = policy_guest_describe(MEASURE_PLATFORM_SNP, verify->source.reference->policy);
    g_autofree gchar *found = policy_guest_describe(MEASURE_PLATFORM_SNP, verify->facts.policy);
    add_equal(verify, "policy", expected, found);
}

/* Where the reference knows them: a page of other bytes is another launch, however well it is signed. */
static void check_reference(Verify *verify)
{
    const PolicyReference *reference = verify->source.reference;
    const PolicyIdentity *identity = reference->identity;
    if (!verify->source.subject && reference->id_block_sha256) {
        guint8 digest[MEASURE_SHA256_SIZE];
        policy_sha256(verify->block, sizeof(verify->block), digest);
        g_autofree gchar *found = measure_hex_encode(digest, sizeof(digest));
        add_equal(verify, "id-block", reference->id_block_sha256, found);
    }
    if (!verify->source.subject && identity) {
        g_autofree gchar *expected = measure_hex_encode(identity->id_key_digest, sizeof(identity->id_key_digest));
        g_autofree gchar *found = measure_hex_encode(verify->identity.id_key_digest, MEASURE_SHA384_SIZE);
        add_equal(verify, "reference-id-key", expected, found);
    }
}

/* "96 hexadecimal digits", or the digest of a key in a file. */
static gboolean wanted_digest(const char *text, const char *what, guint8 out[MEASURE_SHA384_SIZE], GError **error)
{
    if (measure_hex_decode(text, out, MEASURE_SHA384_SIZE)) {
        return TRUE;
    }
    g_autoptr(GError) as_public = NULL, as_private = NULL;
    g_autoptr(PolicyKey) key = policy_key_load_public(text, POLICY_KEY_P384, what, &as_public);
    if (!key) {
        key = policy_key_load_private(text, POLICY_KEY_P384, what, -1, &as_private);
    }
    if (!key) {
        gboolean private = g_str_has_prefix(text, "pkcs11:") || policy_key_file_is_private(text);
        g_propagate_error(error, private ? g_steal_pointer(&as_private) : g_steal_pointer(&as_public));
        g_prefix_error(error, "%s", private ? "give the public key or its digest; as it is: " : "");
        return FALSE;
    }
    return policy_id_key_digest(key, out, error);
}

static gboolean check_key(const CmdContext *context, Verify *verify, const char *option, const char *what,
                          const guint8 *found, GError **error)
{
    guint8 wanted[MEASURE_SHA384_SIZE];
    const char *text = cmd_context_get(context, option);
    if (!text) {
        return TRUE;
    }
    if (!wanted_digest(text, what, wanted, error)) {
        return FALSE;
    }
    g_autofree gchar *expected = measure_hex_encode(wanted, sizeof(wanted));
    g_autofree gchar *is = found ? measure_hex_encode(found, MEASURE_SHA384_SIZE) : NULL;
    add(verify, option, found && measure_digest_equal(wanted, found, sizeof(wanted)), expected,
        is ? is : "no author key");
    return TRUE;
}

static void check_policy_bits(const CmdContext *context, Verify *verify)
{
    guint64 policy = verify->facts.policy;
    g_autofree gchar *invalid = policy_guest_invalid(MEASURE_PLATFORM_SNP, policy);
    if (invalid) {
        add(verify, "policy-bits", FALSE, NULL, invalid);
    }
    if (policy_guest_allows_debug(MEASURE_PLATFORM_SNP, policy) && !cmd_context_has(context, "allow-debug")) {
        add(verify, "debug", FALSE, NULL,
            "the policy lets the host read the guest's memory; give --allow-debug if that is wanted");
    }
}

static gboolean check_all(const CmdContext *context, Verify *verify, GError **error)
{
    check_page(verify);
    check_policy_bits(context, verify);
    if (verify->source.reference) {
        if (!check_digest(context, verify, error)) {
            return FALSE;
        }
        check_policy(verify);
        check_reference(verify);
    }
    return check_key(context, verify, "id-key", "ID key", verify->identity.id_key_digest, error) &&
           check_key(context, verify, "author-key", "author key",
                     verify->identity.has_author_key ? verify->identity.author_key_digest : NULL, error);
}

/* ---- output ---- */

/* Digests in a table are short; sentences are whole. */
static gchar *shown(const char *text)
{
    return text && strspn(text, "0123456789abcdef") == strlen(text) ? policy_short_digest(text) : g_strdup(text);
}

static void print_table(const CmdContext *context, const Verify *verify)
{
    g_autofree gchar *digest = measure_hex_encode(verify->facts.digest, sizeof(verify->facts.digest));
    g_autofree gchar *policy = policy_guest_describe(MEASURE_PLATFORM_SNP, verify->facts.policy);
    g_autofree gchar *family = measure_hex_encode(verify->facts.family_id, sizeof(verify->facts.family_id));
    g_autofree gchar *image = measure_hex_encode(verify->facts.image_id, sizeof(verify->facts.image_id));
    g_autofree gchar *svn = g_strdup_printf("%u", verify->facts.guest_svn);
    g_autofree gchar *id_key = measure_hex_encode(verify->identity.id_key_digest, MEASURE_SHA384_SIZE);
    g_autofree gchar *author = measure_hex_encode(verify->identity.author_key_digest, MEASURE_SHA384_SIZE);
    cmd_print_field("Launch digest", digest);
    cmd_print_field("Guest policy", policy);
    cmd_print_field("Family id", family);
    cmd_print_field("Image id", image);
    cmd_print_field("Guest SVN", svn);
    cmd_print_field("ID key", id_key);
    cmd_print_field("Author key", verify->identity.has_author_key ? author : "not asked for");
    printf("\n");
    g_autoptr(CmdTable) table = cmd_table_new("Check", "Outcome", "Expected", "Found", NULL);
    for (guint i = 0; i < verify->checks->len; i++) {
        const Check *each = g_ptr_array_index(verify->checks, i);
        g_autofree gchar *expected = shown(each->expected);
        g_autofree gchar *found = shown(each->found);
        cmd_table_row(table, each->name, each->good ? "pass" : "fail", expected, found);
    }
    cmd_table_print(table, cmd_context_quiet(context));
}

static void print_json(const Verify *verify, gboolean good)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree gchar *digest = measure_hex_encode(verify->facts.digest, sizeof(verify->facts.digest));
    g_autofree gchar *policy = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", verify->facts.policy);
    g_autofree gchar *flags = policy_guest_flags(MEASURE_PLATFORM_SNP, verify->facts.policy);
    g_autofree gchar *family = measure_hex_encode(verify->facts.family_id, sizeof(verify->facts.family_id));
    g_autofree gchar *image = measure_hex_encode(verify->facts.image_id, sizeof(verify->facts.image_id));
    g_autofree gchar *id_key = measure_hex_encode(verify->identity.id_key_digest, MEASURE_SHA384_SIZE);
    g_autofree gchar *author = verify->identity.has_author_key
                                   ? measure_hex_encode(verify->identity.author_key_digest, MEASURE_SHA384_SIZE)
                                   : NULL;
    json_builder_begin_object(builder);
    cmd_json_boolean(builder, "good", good);
    cmd_json_string(builder, "digest", digest);
    cmd_json_string(builder, "policy", policy);
    cmd_json_string(builder, "policyFlags", flags);
    cmd_json_string(builder, "familyId", family);
    cmd_json_string(builder, "imageId", image);
    cmd_json_integer(builder, "guestSvn", verify->facts.guest_svn);
    cmd_json_string(builder, "idKeyDigest", id_key);
    cmd_json_string(builder, "authorKeyDigest", author);
    json_builder_set_member_name(builder, "checks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < verify->checks->len; i++) {
        const Check *each = g_ptr_array_index(verify->checks, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "check", each->name);
        cmd_json_string(builder, "outcome", each->good ? "pass" : "fail");
        cmd_json_string(builder, "expected", each->expected);
        cmd_json_string(builder, "found", each->found);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_id_block_verify(CmdContext *context, GError **error)
{
    g_auto(Verify) verify = {.checks = g_ptr_array_new_with_free_func((GDestroyNotify)check_free)};
    gboolean good = TRUE;
    if (!read_parts(context, &verify, error)) {
        return -1;
    }
    verify.author_key_enabled = author_asked_for(&verify);
    if (!check_all(context, &verify, error)) {
        return -1;
    }
    for (guint i = 0; i < verify.checks->len; i++) {
        good = good && ((const Check *)g_ptr_array_index(verify.checks, i))->good;
    }
    if (cmd_context_json(context)) {
        print_json(&verify, good);
    } else {
        print_table(context, &verify);
    }
    return good ? 0 : ATTEST_ERROR_REJECTED;
}
