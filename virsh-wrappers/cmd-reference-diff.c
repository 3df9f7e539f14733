/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reference-diff: what changed between two references, in words. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/reference-source.h"

static gboolean fleet_given(const CmdContext *context)
{
    return cmd_context_has(context, "cpu") || cmd_context_has(context, "cpu-types") ||
           cmd_context_has(context, "vcpus");
}

/* Whether it says what was foreseen, and not what is there now. */
static gboolean is_document(const CmdReferenceSource *source)
{
    return !source->subject || source->bundle;
}

/* A domain beside a document: it is measured for what the document foresees, and no launch shows the owner's rules. */
static gboolean load_like(CmdContext *context, const char *word, const CmdReferenceSource *other,
                          CmdReferenceSource *out, GError **error)
{
    const PolicyReference *like = is_document(other) ? other->reference : NULL;
    if (!cmd_reference_source_load_like(context, word, like, out, error)) {
        return FALSE;
    }
    if (like && !is_document(out) && !out->subject->pinned) {
        policy_reference_keep_rules(out->reference, like);
    }
    return TRUE;
}

static gboolean load_both(CmdContext *context, CmdReferenceSource *old_source, CmdReferenceSource *new_source,
                          GError **error)
{
    const char *old_word = cmd_context_word(context, 0), *new_word = cmd_context_word(context, 1);
    if (g_str_equal(old_word, "-") && g_str_equal(new_word, "-")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "standard input is one file: give a name for the other");
        return FALSE;
    }
    if (!cmd_reference_source_load(context, old_word, old_source, error) ||
        !load_like(context, new_word, old_source, new_source, error)) {
        return FALSE;
    }
    if (is_document(old_source) && is_document(new_source) && fleet_given(context)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--cpu, --cpu-types and --vcpus are for a domain: neither of these is measured anew");
        return FALSE;
    }
    /* Once more, now that the other side is known to be a document; standard input cannot be read twice. */
    if (is_document(old_source) || !is_document(new_source) || g_str_equal(old_word, "-")) {
        return TRUE;
    }
    cmd_reference_source_clear(old_source);
    return load_like(context, old_word, new_source, old_source, error);
}

static void print_json(const PolicyReference *old_reference, const PolicyReference *new_reference, GPtrArray *changes)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "result", changes->len > 0 ? "changed" : "same");
    cmd_json_string(builder, "old", old_reference->name);
    cmd_json_string(builder, "new", new_reference->name);
    cmd_json_changes(builder, "changes", changes);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

static void print_words(const CmdContext *context, GPtrArray *changes)
{
    if (changes->len == 0) {
        if (!cmd_context_quiet(context)) {
            printf("No difference.\n");
        }
        return;
    }
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *each = g_ptr_array_index(changes, i);
        g_autofree gchar *text = cmd_printable(each->text);
        printf("%s\n", text);
    }
}

int cmd_reference_diff(CmdContext *context, GError **error)
{
    g_auto(CmdReferenceSource) old_source = {.reference = NULL};
    g_auto(CmdReferenceSource) new_source = {.reference = NULL};
    if (!load_both(context, &old_source, &new_source, error)) {
        return -1;
    }
    g_autoptr(GPtrArray) changes = policy_reference_diff(old_source.reference, new_source.reference);
    if (cmd_context_json(context)) {
        print_json(old_source.reference, new_source.reference, changes);
    } else if (g_strcmp0(cmd_context_get(context, "format"), "table") == 0) {
        cmd_report_differences(changes, cmd_context_quiet(context));
    } else {
        print_words(context, changes);
    }
    return changes->len > 0 ? ATTEST_ERROR_REJECTED : 0;
}
