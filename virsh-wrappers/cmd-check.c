/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check: measures a domain as it is now and names everything that differs from its pinned reference. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/suggest.h"

static void print_json(const CmdSubject *subject, GPtrArray *changes, const char *key_id)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", subject->domain->name);
    cmd_json_string(builder, "uuid", subject->pinned->uuid);
    cmd_json_string(builder, "result", changes->len > 0 ? "changed" : "match");
    cmd_json_integer(builder, "pinnedLevel", subject->pinned->level);
    cmd_json_integer(builder, "level", subject->evaluation->level);
    cmd_json_string(builder, "unmeasurable",
                    subject->evaluation->unmeasurable ? subject->evaluation->unmeasurable->message : NULL);
    cmd_json_string(builder, "signedBy", key_id);
    cmd_json_changes(builder, "changes", changes);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

/* What cannot be measured cannot be accepted. */
static void print_remedy(const CmdSubject *subject)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    g_autofree gchar *command = cmd_suggest(evaluation->confidential ? "define --accept" : "define --accept --level 0",
                                            subject->domain->name, subject->pinned->uuid);
    if (!evaluation->confidential || !evaluation->unmeasurable) {
        printf("If this change is wanted: %s\n", command);
    }
}

static void print_changes(const CmdContext *context, const CmdSubject *subject, GPtrArray *changes)
{
    if (changes->len == 0) {
        printf("Domain '%s' matches its pinned reference (level %u)\n", subject->domain->name, subject->pinned->level);
        g_autofree gchar *rules = cmd_owner_rules_format(subject->pinned);
        if (*rules && !cmd_context_quiet(context)) {
            printf("To be checked in its attestation reports:\n%s", rules);
        }
        return;
    }
    if (!cmd_context_quiet(context)) {
        printf("Domain '%s' differs from its pinned reference of %s:\n", subject->domain->name,
               subject->pinned->created);
    }
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *each = g_ptr_array_index(changes, i);
        g_autofree gchar *text = cmd_printable(each->text);
        printf("  %s\n", text);
    }
    if (!cmd_context_quiet(context)) {
        printf("\n");
        cmd_report_changes(changes, FALSE);
        print_remedy(subject);
    }
}

/* Where keys are trusted the hook asks for a signature as well. */
static gboolean check_signature(CmdContext *context, const CmdSubject *subject, gchar **key_id, GError **error)
{
    const PolicyConfig *config = cmd_context_config(context, error);
    g_autoptr(GPtrArray) changes = NULL;
    g_autofree gchar *command = cmd_suggest("define --accept --sign-key KEY", subject->domain->name,
                                            subject->pinned->uuid);
    if (!config) {
        return FALSE;
    }
    if (!policy_check_signature(config, subject->pinned, subject->domain, subject->evaluation, key_id, &changes,
                                error)) {
        g_prefix_error(error, "domain '%s' would not start: ", subject->domain->name);
        if (!error || g_error_matches(*error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED)) {
            return FALSE;
        }
        g_autofree gchar *text =
            g_strdup_printf("%s, and '%s' has keys one of which must have signed it; to sign it: %s",
                                                 (*error)->message, config->trusted_keys, command);
        g_free((*error)->message);
        (*error)->message = g_steal_pointer(&text);
        return FALSE;
    }
    if (!changes || changes->len == 0) {
        return TRUE;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < changes->len; i++) {
        g_string_append_printf(text, "\n  %s", ((const PolicyChange *)g_ptr_array_index(changes, i))->text);
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "domain '%s' would not start: it differs from what was signed; to have it signed anew: %s%s",
                subject->domain->name, command, text->str);
    return FALSE;
}

int cmd_check(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, cmd_domain_word(context), error)
                                                   : NULL;
    g_autoptr(CmdSubject) subject = domain ? cmd_subject_from_domain(context, domain, error) : NULL;
    if (!subject) {
        return -1;
    }
    if (!subject->pinned) {
        g_autofree gchar *command = cmd_suggest("define", subject->domain->name, subject->domain->uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s' has no pinned reference to check against; to make one: %s", subject->domain->name,
                    command);
        return -1;
    }
    g_autoptr(GPtrArray) changes = policy_compare(subject->pinned, subject->domain, subject->evaluation);
    g_autoptr(GError) unsigned_cause = NULL;
    g_autofree gchar *key_id = NULL;
    check_signature(context, subject, &key_id, &unsigned_cause);
    if (cmd_context_json(context)) {
        print_json(subject, changes, unsigned_cause ? NULL : key_id);
    } else if (changes->len > 0 || !subject->evaluation->unmeasurable) {
        print_changes(context, subject, changes);
    }
    if (subject->evaluation->unmeasurable && subject->evaluation->confidential) {
        g_propagate_error(error, g_error_copy(subject->evaluation->unmeasurable));
        return -1;
    }
    if (unsigned_cause) {
        g_propagate_error(error, g_steal_pointer(&unsigned_cause));
        return -1;
    }
    return changes->len > 0 ? ATTEST_ERROR_REJECTED : 0;
}
