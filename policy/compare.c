/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What differs between two references. A start is compared by making a
 * reference of it first, so that the hook, `check` and `define --accept` use
 * the same words for the same change.
 */
#include <string.h>

#include "policy/compare-private.h"
#include "policy/text.h"

void policy_change_free(PolicyChange *change)
{
    if (!change)
        return;
    g_free(change->what);
    g_free(change->pinned);
    g_free(change->found);
    g_free(change->text);
    g_free(change);
}

void policy_change_add(GPtrArray *changes, const char *what, const char *pinned, const char *found, const char *format,
                       ...)
{
    PolicyChange *change = g_new0(PolicyChange, 1);
    g_autofree gchar *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    change->what = g_strdup(what);
    change->pinned = g_strdup(pinned ? pinned : "");
    change->found = g_strdup(found ? found : "");
    change->text = policy_one_line(text, 1024);
    g_ptr_array_add(changes, change);
}

void policy_change_add_text(GPtrArray *changes, const char *what, const char *label, const char *pinned,
                            const char *found)
{
    g_autofree gchar *was = pinned ? policy_short_digest(pinned) : NULL;
    g_autofree gchar *is = found ? policy_short_digest(found) : NULL;

    if (g_strcmp0(pinned, found))
        policy_change_add(changes, what, pinned, found, "%s changed: was %s, is %s", label, was ? was : "absent",
                          is ? is : "absent");
}

/* They are called on every other line here. */
#define add policy_change_add
#define compare_text policy_change_add_text

static gchar *quoted_cmdline(const char *text)
{
    g_autofree gchar *line = text ? policy_one_line(text, 300) : g_strdup("");

    return g_strdup_printf("'%s'", line);
}

static void compare_input(GPtrArray *changes, const char *role, const PolicyReferenceInput *pinned,
                          const PolicyReferenceInput *found)
{
    g_autofree gchar *was = pinned ? measure_hex_encode(pinned->sha256, sizeof(pinned->sha256)) : NULL;
    g_autofree gchar *is = found ? measure_hex_encode(found->sha256, sizeof(found->sha256)) : NULL;
    g_autofree gchar *short_was = was ? policy_short_digest(was) : NULL;
    g_autofree gchar *short_is = is ? policy_short_digest(is) : NULL;
    gboolean cmdline = !strcmp(role, "cmdline");

    if (!pinned && !found)
        return;
    if (pinned && found && measure_digest_equal(pinned->sha256, found->sha256, sizeof(found->sha256)))
        return;
    if (cmdline) {
        g_autofree gchar *old_text = quoted_cmdline(pinned ? pinned->text : NULL);
        g_autofree gchar *new_text = quoted_cmdline(found ? found->text : NULL);

        add(changes, role, pinned ? pinned->text : NULL, found ? found->text : NULL,
            "kernel command line changed: was %s (SHA-256 %s), is %s (SHA-256 %s)", old_text,
            short_was ? short_was : "absent", new_text, short_is ? short_is : "absent");
    } else if (!pinned) {
        add(changes, role, NULL, is, "%s '%s' was added: SHA-256 is %s", role, found->path, short_is);
    } else if (!found) {
        add(changes, role, was, NULL, "%s '%s' was removed: SHA-256 was %s", role, pinned->path, short_was);
    } else if (strcmp(pinned->path, found->path)) {
        add(changes, role, was, is, "%s changed: was '%s' with SHA-256 %s, is '%s' with SHA-256 %s", role, pinned->path,
            short_was, found->path, short_is);
    } else {
        add(changes, role, was, is, "%s '%s' changed: SHA-256 was %s, is %s", role, found->path, short_was, short_is);
    }
}

/* ---- Facts of the launch ---- */

static void compare_facts(GPtrArray *changes, const PolicyReference *pinned, const PolicyReference *found)
{
    g_autofree gchar *old_policy = policy_guest_describe(pinned->platform, pinned->policy);
    g_autofree gchar *new_policy = policy_guest_describe(found->platform, found->policy);

    compare_text(changes, "platform", "platform", measure_platform_name(pinned->platform),
                 measure_platform_name(found->platform));
    /* SEV-ES has it in every measurement. */
    if (pinned->platform == found->platform && pinned->platform != MEASURE_PLATFORM_SEV_ES)
        compare_text(changes, "features", "floating-point words of the vCPUs", pinned->vmm_fpu, found->vmm_fpu);
    if (pinned->policy != found->policy)
        compare_text(changes, "policy", "guest policy", old_policy, new_policy);
    compare_text(changes, "kernel-hashes", "kernelHashes", pinned->kernel_hashes ? "yes" : "no",
                 found->kernel_hashes ? "yes" : "no");
    compare_text(changes, "id-block", "ID block", pinned->id_block_sha256, found->id_block_sha256);
    compare_text(changes, "id-auth", "ID authentication block", pinned->id_auth_sha256, found->id_auth_sha256);
    compare_text(changes, "host-data", "host data", pinned->host_data, found->host_data);
    compare_text(changes, "guest-visible-workarounds", "guestVisibleWorkarounds", pinned->guest_visible_workarounds,
                 found->guest_visible_workarounds);
    compare_text(changes, "author-key", "authorKey", pinned->author_key ? "yes" : "no",
                 found->author_key ? "yes" : "no");
    compare_text(changes, "vcek", "vcek", pinned->vcek_disabled ? "no" : "yes", found->vcek_disabled ? "no" : "yes");
}

/* The program that is run, and how. A reference that does not name them leaves them open. */
static void compare_program(GPtrArray *changes, const PolicyReference *pinned, const PolicyReference *found)
{
    if (pinned->domain_type && g_strcmp0(pinned->domain_type, found->domain_type))
        add(changes, "domain-type", pinned->domain_type, found->domain_type,
            "type of the domain changed: was '%s', is '%s'", pinned->domain_type,
            found->domain_type ? found->domain_type : "");
    if (pinned->emulator && g_strcmp0(pinned->emulator, found->emulator))
        add(changes, "emulator", pinned->emulator, found->emulator, "emulator changed: was '%s', is '%s'",
            pinned->emulator, found->emulator ? found->emulator : "");
}

/* Inputs first: they are what people know, and usually the cause of everything else. */
static void compare_references(GPtrArray *changes, const PolicyReference *pinned, const PolicyReference *found)
{
    static const char *const roles[] = {"firmware", "kernel", "initrd", "cmdline"};

    for (gsize i = 0; i < G_N_ELEMENTS(roles); i++)
        compare_input(changes, roles[i], policy_reference_find_input(pinned, roles[i]),
                      policy_reference_find_input(found, roles[i]));
    compare_facts(changes, pinned, found);
    compare_program(changes, pinned, found);
    /* Its contents are new at every launch, and a session added is the owner's to add: only the loss of one counts. */
    if (pinned->session && !found->session)
        add(changes, "session", "yes", "no", "the guest owner's session was removed: was present, is absent");
}

GPtrArray *policy_reference_diff(const PolicyReference *old_reference, const PolicyReference *new_reference)
{
    GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)policy_change_free);
    g_autofree gchar *old_level = g_strdup_printf("%u", old_reference->level);
    g_autofree gchar *new_level = g_strdup_printf("%u", new_reference->level);

    compare_references(changes, old_reference, new_reference);
    /* What the old one left open and the new one pins. */
    if (!old_reference->domain_type && new_reference->domain_type)
        add(changes, "domain-type", NULL, new_reference->domain_type, "type of the domain is pinned now: '%s'",
            new_reference->domain_type);
    if (!old_reference->emulator && new_reference->emulator)
        add(changes, "emulator", NULL, new_reference->emulator, "emulator is pinned now: '%s'",
            new_reference->emulator);
    if (!old_reference->session && new_reference->session)
        add(changes, "session", "no", "yes", "a guest owner's session was added");
    policy_diff_measurements(changes, old_reference, new_reference);
    compare_text(changes, "level", "attestation level", old_level, new_level);
    policy_diff_rules(changes, old_reference, new_reference);
    return changes;
}

/* ---- The metadata element ---- */

static const char *metadata_contradiction(const XmlAttestation *metadata, const PolicyReference *pinned)
{
    if (metadata->level != pinned->level)
        return "another level";
    if (metadata->on_mismatch != pinned->on_mismatch)
        return "another onMismatch";
    if (metadata->verity_root_hash && !pinned->verity)
        return "a dm-verity root hash, which the reference does not have";
    if (g_strcmp0(metadata->verity_root_hash, pinned->verity ? pinned->verity->root_hash : NULL))
        return "another dm-verity root hash";
    if (metadata->measurements->len != pinned->measurements->len)
        return "another number of measurements";
    for (guint i = 0; i < metadata->measurements->len; i++) {
        const XmlMeasurement *shown = g_ptr_array_index(metadata->measurements, i);
        gboolean same = FALSE;

        for (guint j = 0; j < pinned->measurements->len && !same; j++) {
            const XmlMeasurement *real = g_ptr_array_index(pinned->measurements, j);

            same = shown->platform == real->platform && shown->signature == real->signature &&
                   shown->features == real->features && (!shown->vcpus || shown->vcpus == real->vcpus) &&
                   (!shown->has_fpu || !real->has_fpu || shown->fpu == real->fpu) &&
                   shown->digest.size == real->digest.size &&
                   measure_digest_equal(shown->digest.bytes, real->digest.bytes, real->digest.size);
        }
        if (!same)
            return "another measurement";
    }
    if (metadata->inputs->len != pinned->inputs->len)
        return "other inputs";
    for (guint i = 0; i < metadata->inputs->len; i++) {
        const XmlInput *shown = g_ptr_array_index(metadata->inputs, i);
        const PolicyReferenceInput *real = policy_reference_find_input(pinned, shown->role);

        if (!real || real->size != shown->size ||
            !measure_digest_equal(real->sha256, shown->sha256, sizeof(shown->sha256)))
            return "another input";
    }
    return NULL;
}

GPtrArray *policy_compare(const PolicyReference *reference, const XmlDomain *domain, const PolicyEvaluation *evaluation)
{
    GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)policy_change_free);
    g_autoptr(PolicyReference) found = NULL;
    const char *contradiction = domain->attestation ? metadata_contradiction(domain->attestation, reference) : NULL;

    if (!evaluation->confidential) {
        add(changes, "platform", measure_platform_name(reference->platform), "none",
            "<launchSecurity> was removed: the reference is for %s", measure_platform_name(reference->platform));
        return changes;
    }
    found = policy_reference_new(domain, evaluation, reference->on_mismatch, NULL);
    if (found) {
        compare_references(changes, reference, found);
        policy_compare_launch(changes, reference, found);
    } else {
        add(changes, "digest", "", "", "the expected measurement cannot be computed: %s",
            evaluation->unmeasurable ? evaluation->unmeasurable->message : "the domain has none");
    }
    if (contradiction)
        add(changes, "metadata", "", contradiction,
            "the <attest:attestation> element in the domain's metadata has %s: somebody edited it, or the reference "
            "was pinned "
            "without it",
            contradiction);
    if (evaluation->level < reference->level) {
        g_autofree gchar *was = g_strdup_printf("%u", reference->level);
        g_autofree gchar *is = g_strdup_printf("%u", evaluation->level);
        const char *reason = "";

        for (guint i = 0; i < evaluation->findings->len && !*reason; i++) {
            const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

            if (finding->outcome == POLICY_FAIL)
                reason = finding->text;
        }
        add(changes, "level", was, is, "attestation level fell from %s to %s: %s", was, is, reason);
    }
    return changes;
}
