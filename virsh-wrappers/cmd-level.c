/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* level: the attestation level that follows from a domain, and why. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "storage/bundle.h"
#include "virsh-wrappers/subject.h"

/* A file is asked "what would it be": nothing can be pinned for it yet. */
static CmdSubject *subject_from_file(CmdContext *context, const char *path, GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(StorageBundle) bundle = NULL;
    if (!cmd_context_cpus(context, &cpus, error)) {
        return NULL;
    }
    if (!g_str_equal(path, "-") && storage_bundle_recognise(path)) {
        bundle = storage_bundle_open(path, error);
        return bundle ? cmd_subject_new(context, bundle->xml, strlen(bundle->xml), NULL, cpus, FALSE,
                                        POLICY_REFERENCE_ASSUMED, error)
                      : NULL;
    }
    if (!cmd_read_xml(path, &text, &size, error)) {
        return NULL;
    }
    return cmd_subject_new(context, text, size, NULL, cpus, FALSE, POLICY_REFERENCE_ASSUMED, error);
}

static CmdSubject *subject_from_libvirt(CmdContext *context, const char *word, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        cmd_hint_file(context, word, "'.xml'", error);
        return NULL;
    }
    return cmd_subject_from_domain(context, domain, error);
}

static void print_json(const CmdSubject *subject)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", subject->domain->name);
    cmd_json_string(builder, "platform", cmd_platform_label(subject->domain, subject->evaluation));
    cmd_json_integer(builder, "level", subject->evaluation->level);
    cmd_json_findings(builder, "findings", subject->evaluation->findings);
    cmd_json_string(builder, "unmeasurable",
                    subject->evaluation->unmeasurable ? subject->evaluation->unmeasurable->message : NULL);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_level(CmdContext *context, GError **error)
{
    const char *word = cmd_domain_word(context);
    gboolean is_file = !cmd_context_has(context, "domain") && cmd_word_is_file(word);
    g_autoptr(CmdSubject) subject = is_file ? subject_from_file(context, word, error)
                                            : subject_from_libvirt(context, word, error);
    if (!subject) {
        return -1;
    }
    cmd_report_warnings(context, subject->domain);
    if (cmd_context_json(context)) {
        print_json(subject);
        return 0;
    }
    if (cmd_context_quiet(context)) {
        printf("%u\n", subject->evaluation->level);
        return 0;
    }
    g_autofree gchar *level = g_strdup_printf("%u", subject->evaluation->level);
    cmd_print_field("Name", subject->domain->name);
    cmd_print_field("Platform", cmd_platform_label(subject->domain, subject->evaluation));
    cmd_print_field("Level", level);
    printf("\n");
    cmd_report_findings(subject->evaluation->findings, FALSE, FALSE);
    return 0;
}
