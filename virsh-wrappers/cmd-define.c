/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define: gives a domain its expected measurement.
 *
 * The source is a file, standard input, options (a new domain) or a domain
 * that exists. What is sure to fail is found before libvirt is touched; then the domain is
 * defined, read back as libvirt understood it, measured again, and only that
 * measurement is pinned. Whatever fails after libvirt was touched is undone.
 *
 *   plan:     UUID, lock -> source XML -> evaluation -> level reached? pin unchanged or --accept?
 *   carry out: virDomainDefineXML with metadata -> XML back -> plan again, same result? -> metadata -> pin
 *
 * Killed at any moment it leaves a domain that is as before, or complete, or
 * one that the hook refuses to start: the XML that is handed to libvirt has our
 * element in it already, and without the pin that belongs to it this asks the
 * hook to refuse. The lock is held from before the pin is read until it is
 * written, so of two runs on one domain each sees what the other has finished.
 */
#include "virsh-wrappers/cmd-define.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/define-id-block.h"
#include "virsh-wrappers/define-signed.h"
#include "virsh-wrappers/define-volume.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/suggest.h"

/* What define wants to be true of one domain. */
typedef struct {
    CmdContext *context;
    VirConnection *connection;
    GPtrArray *cpus;
    gint level; /* -1: whatever is reached */
} DefineJob;

static void define_job_clear(DefineJob *job)
{
    g_clear_pointer(&job->connection, vir_connection_close);
    g_clear_pointer(&job->cpus, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DefineJob, define_job_clear)

/* A domain that carries no measurement may still be wanted at level 0 or 1. */
static gboolean is_measured(const CmdSubject *subject)
{
    return subject->evaluation->measurements->len > 0;
}

static XmlOnMismatch on_mismatch(const CmdContext *context, const CmdSubject *subject)
{
    const char *option = cmd_context_get(context, "on-mismatch");
    if (option) {
        return g_str_equal(option, "observe") ? XML_ON_MISMATCH_OBSERVE : XML_ON_MISMATCH_REFUSE;
    }
    if (subject->pinned) {
        return subject->pinned->on_mismatch;
    }
    return subject->domain->attestation ? subject->domain->attestation->on_mismatch : XML_ON_MISMATCH_REFUSE;
}

static CmdSubject *evaluate(const DefineJob *job, const char *xml, PolicyReference *pinned, GError **error)
{
    g_autoptr(GPtrArray) foreseen = job->cpus ? NULL : cmd_define_signing_cpus(job->context);
    return cmd_subject_new(job->context, xml, strlen(xml), pinned, job->cpus ? job->cpus : foreseen,
                           job->connection != NULL, POLICY_REFERENCE_ASSUMED, error);
}

static gboolean check_level(const DefineJob *job, const CmdSubject *subject, GError **error)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    guint wanted = job->level < 0 ? 2 : (guint)job->level;
    if (evaluation->level >= wanted || (job->level < 0 && is_measured(subject))) {
        return TRUE;
    }
    if (job->level < 0 && evaluation->unmeasurable) {
        g_propagate_error(error, g_error_copy(evaluation->unmeasurable));
        return FALSE;
    }
    g_autofree gchar *failing = cmd_failing_findings(evaluation->findings, wanted);
    g_autofree gchar *name = cmd_printable(subject->domain->name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "domain '%s' reaches attestation level %u, not %u; nothing was changed%s", name,
                evaluation->level, wanted, failing);
    return FALSE;
}

static void append_changes(GString *text, GPtrArray *changes)
{
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(changes, i);
        g_string_append_printf(text, "\n  %s", change->text);
    }
}

/* The pin may change only when --accept says so, and never unseen. @announce: print the difference. */
static gboolean check_pin(const DefineJob *job, const CmdSubject *subject, const PolicyReference *reference,
                          gboolean announce, GError **error)
{
    g_autofree gchar *name = cmd_printable(subject->domain->name);
    if (!subject->pinned) {
        return TRUE;
    }
    g_autoptr(GPtrArray) changes = NULL;
    if (reference) {
        changes = policy_reference_diff(subject->pinned, reference);
    } else {
        changes = policy_compare(subject->pinned, subject->domain, subject->evaluation);
    }
    cmd_define_signing_drop(changes);
    if (changes->len == 0) {
        return TRUE;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    append_changes(text, changes);
    if (!cmd_context_has(job->context, "accept")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "domain '%s' is pinned and differs from its reference; nothing was changed%s\nIf this is wanted, "
                    "run it again with "
                    "--accept",
                    name, text->str);
        return FALSE;
    }
    if (announce) {
        g_autofree gchar *printable = NULL;
        g_auto(GStrv) lines = g_strsplit(text->str + 1, "\n", -1);
        printf("Accepting for domain '%s':\n", name);
        for (gchar **line = lines; *line; line++) {
            g_free(printable);
            printable = cmd_printable(*line);
            printf("%s\n", printable);
        }
        printf("\n");
    }
    return TRUE;
}

/* What the owner has laid down stays until it is laid down anew. */
static gboolean add_rules(const DefineJob *job, const CmdSubject *subject, PolicyReference *reference, GError **error)
{
    policy_reference_set_source(reference, job->connection ? "libvirt" : "domain-xml");
    if (subject->pinned) {
        policy_reference_keep_rules(reference, subject->pinned);
        if (!job->cpus) {
            policy_reference_widen(reference, subject->pinned);
        }
    }
    return cmd_define_signing_rules(job->context, reference, error) && cmd_reference_facts(job->context, reference, error);
}

/* The reference that would be pinned; NULL without @error for a domain that carries no measurement. */
static gboolean make_reference(const DefineJob *job, const CmdSubject *subject, PolicyReference **out, GError **error)
{
    static const char *const rules[] = {"product", "minimum-tcb", "platform-info"};
    g_autoptr(PolicyReference) reference = NULL;
    *out = NULL;
    if (!is_measured(subject)) {
        for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
            if (cmd_context_has(job->context, rules[i])) {
                g_autofree gchar *name = cmd_printable(subject->domain->name);
                g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                            "--%s is a rule of a reference, and domain '%s' gets none: it carries no measurement",
                            rules[i], name);
                return FALSE;
            }
        }
        return TRUE;
    }
    reference = policy_reference_new(subject->domain, subject->evaluation, on_mismatch(job->context, subject), error);
    if (!reference || !add_rules(job, subject, reference, error)) {
        return FALSE;
    }
    *out = g_steal_pointer(&reference);
    return TRUE;
}

/* The ID block and the host data that were asked for come into @subject; a domain that would never start is refused. */
static gboolean identify(const DefineJob *job, CmdSubject **subject, GError **error)
{
    g_autofree gchar *xml = NULL;
    g_autoptr(PolicyReference) reference = NULL;
    gboolean changed = FALSE;
    if (!cmd_define_identity_check(job->context, *subject, error) ||
        !cmd_define_identity_block(job->context, *subject, &xml, error)) {
        return FALSE;
    }
    if (xml) {
        PolicyReference *pinned = g_steal_pointer(&(*subject)->pinned);
        g_clear_pointer(subject, cmd_subject_free);
        *subject = evaluate(job, xml, pinned, error);
    }
    return *subject && make_reference(job, *subject, &reference, error) &&
           cmd_define_identity_host_data(job->context, *subject, reference, &changed, error);
}

static gboolean read_source(const DefineJob *job, const char *word, gchar **xml, GError **error)
{
    gsize size = 0;
    if (cmd_context_has(job->context, "name")) {
        g_autoptr(XmlCompose) compose = cmd_define_options(job->context, job->connection, FALSE, error);
        *xml = compose ? xml_compose_format(compose, error) : NULL;
        return *xml != NULL;
    }
    if (!cmd_read_xml(word, xml, &size, error)) {
        return FALSE;
    }
    if (strlen(*xml) != size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' is not a domain XML: it has a zero byte", word);
        return FALSE;
    }
    return TRUE;
}

static void print_result(const DefineJob *job, const CmdSubject *subject, const char *what)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    if (cmd_context_quiet(job->context)) {
        return;
    }
    g_autofree gchar *name = cmd_printable(subject->domain->name);
    printf("Domain '%s' %s\n\n", name, what);
    g_autofree gchar *level = g_strdup_printf("%u", evaluation->level);
    cmd_print_field("Platform", cmd_platform_label(subject->domain, evaluation));
    cmd_print_field("Level", level);
    printf("\n");
    if (is_measured(subject)) {
        cmd_report_measurements(evaluation->measurements, FALSE);
    }
    cmd_report_findings(evaluation->findings, TRUE, FALSE);
}

/* ---- --print-xml ---- */

static int print_xml(const DefineJob *job, const char *xml, GError **error)
{
    g_autoptr(CmdSubject) subject = evaluate(job, xml, NULL, error);
    if (!subject) {
        return -1;
    }
    cmd_report_warnings(job->context, subject->domain);
    g_autoptr(PolicyReference) reference = NULL;
    if (!check_level(job, subject, error) || !identify(job, &subject, error) ||
        !make_reference(job, subject, &reference, error) ||
        !cmd_define_signing_apply(job->context, subject, reference, FALSE, error)) {
        return -1;
    }
    g_autoptr(XmlAttestation) attestation = reference ? policy_reference_to_attestation(reference) : NULL;
    g_autofree gchar *annotated = xml_document_set_attestation(subject->xml, -1, attestation, error);
    if (!annotated) {
        return -1;
    }
    g_strchomp(annotated);
    printf("%s\n", annotated);
    return 0;
}

/* ---- libvirt ---- */

static gboolean set_metadata(virDomainPtr domain, const char *element, GError **error)
{
    unsigned int flags = VIR_DOMAIN_AFFECT_CONFIG | (virDomainIsActive(domain) == 1 ? VIR_DOMAIN_AFFECT_LIVE : 0);
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, element, element ? XML_ATTESTATION_PREFIX : NULL,
                             XML_ATTESTATION_URI, flags) < 0) {
        return cmd_libvirt_error(error, "cannot write the metadata of domain '%s'", virDomainGetName(domain));
    }
    return TRUE;
}

/*
 * Metadata and pin belong together: when the second cannot be written, the first is put back. Metadata comes first: it
 * asks the hook to refuse until the pin is there.
 */
static gboolean write_reference(const DefineJob *job, virDomainPtr domain, const CmdSubject *subject,
                                const PolicyReference *reference, GError **error)
{
    g_autoptr(XmlAttestation) attestation = reference ? policy_reference_to_attestation(reference) : NULL;
    g_autofree gchar *element = attestation ? xml_attestation_format(attestation) : NULL;
    g_autofree gchar *former = subject->domain->attestation ? xml_attestation_format(subject->domain->attestation)
                                                            : NULL;
    gboolean differs = g_strcmp0(element, former) != 0;
    if (differs && !set_metadata(domain, element, error)) {
        return FALSE;
    }
    gboolean done;
    if (reference) {
        done = policy_store_put_reference(job->context->store, reference, error);
    } else {
        done = !subject->pinned || policy_store_remove_reference(job->context->store, subject->pinned->uuid, error);
    }
    if (!done && differs) {
        set_metadata(domain, former, NULL);
    }
    return done;
}

/*
 * libvirt has what it was given: it fills in an emulator, which may decide about a level, and nothing else changes.
 * Programs that do not know our lock may have defined the domain once more in between.
 */
static gboolean check_planned(const DefineJob *job, const PolicyReference *planned, const PolicyReference *found,
                              const char *name, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    /* Host data that binds the reference binds the level too. */
    const char *bound = cmd_context_has(job->context, "id-key") ? "host-data" : NULL;
    if (planned && found) {
        const char *const filled_in[] = {"emulator", "level", "signed", bound, NULL};
        g_autoptr(GPtrArray) changes = policy_reference_diff(planned, found);
        for (guint i = 0; i < changes->len; i++) {
            const PolicyChange *change = g_ptr_array_index(changes, i);
            if (!g_strv_contains(filled_in, change->what)) {
                g_string_append_printf(text, "\n  %s", change->text);
            }
        }
    }
    if (text->len == 0 && (!planned || found)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                "domain '%s' is not what was handed to libvirt: it was changed by somebody else meanwhile, or libvirt "
                "understands the XML in another way%s",
                name, text->str);
    return FALSE;
}

/* The former definition comes back, or nothing stays where nothing was. */
static void restore(virConnectPtr connection, virDomainPtr domain, const char *former_xml)
{
    if (former_xml) {
        g_autoptr(VirDomainHandle) restored = virDomainDefineXML(connection, former_xml);
        if (!restored) {
            cmd_warn("cannot restore the former definition of domain '%s': %s", virDomainGetName(domain),
                     virGetLastErrorMessage());
        }
    } else if (virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) < 0 && virDomainUndefine(domain) < 0) {
        cmd_warn("cannot undefine domain '%s' again: %s", virDomainGetName(domain), virGetLastErrorMessage());
    }
}

static gboolean same_bytes(GBytes *a, GBytes *b)
{
    return a == b || (a && b && g_bytes_equal(a, b));
}

/* The definition with ID block and host data, which must come back as they went in: a pin of anything else is wrong. */
static gboolean redefine(const DefineJob *job, const CmdSubject *subject, GError **error)
{
    const XmlDomain *wanted = subject->domain;
    g_autoptr(VirDomainHandle) domain = virDomainDefineXML(job->connection, subject->xml);
    if (!domain) {
        return cmd_libvirt_error(error, "cannot define domain '%s' with its ID block", wanted->name);
    }
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    g_autoptr(XmlDomain) found = xml ? xml_domain_parse(xml, -1, error) : NULL;
    if (!found) {
        return FALSE;
    }
    if (same_bytes(found->id_block, wanted->id_block) && same_bytes(found->id_auth, wanted->id_auth) &&
        same_bytes(found->host_data, wanted->host_data) && found->author_key == wanted->author_key) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                "libvirt did not take ID block and host data of domain '%s' as they are", wanted->name);
    return FALSE;
}

/* Evaluates a domain as libvirt has it and writes metadata and pin. @planned: (nullable): what must come out */
static gboolean annotate(const DefineJob *job, virDomainPtr domain, const PolicyReference *planned, const char *what,
                         GError **error)
{
    g_autoptr(PolicyReference) pinned = NULL;
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    if (!xml || !cmd_pinned_reference(job->context, domain, &pinned, error)) {
        return FALSE;
    }
    g_autoptr(CmdSubject) subject = evaluate(job, xml, g_steal_pointer(&pinned), error);
    if (!subject) {
        return FALSE;
    }
    cmd_report_warnings(job->context, subject->domain);
    g_autoptr(PolicyReference) reference = NULL;
    if (!check_level(job, subject, error) || !identify(job, &subject, error) ||
        !make_reference(job, subject, &reference, error) ||
        !check_planned(job, planned, reference, subject->domain->name, error) ||
        !cmd_define_signing_apply(job->context, subject, reference, TRUE, error) ||
        !check_pin(job, subject, reference, TRUE, error)) {
        return FALSE;
    }
    cmd_define_identity_warn(job->context, subject->pinned, reference);
    gboolean changed = !g_str_equal(subject->xml, xml);
    if ((changed && !redefine(job, subject, error)) || !write_reference(job, domain, subject, reference, error)) {
        if (changed) {
            restore(job->connection, domain, xml);
        }
        return FALSE;
    }
    print_result(job, subject, what);
    return TRUE;
}

/* Finds the domain that a new XML would replace; refuses what libvirt would refuse, in clearer words. */
static gboolean find_former(const DefineJob *job, const XmlDomain *wanted, VirDomainHandle **out, GError **error)
{
    g_autoptr(VirDomainHandle) former = NULL;
    g_autofree gchar *uuid = NULL;
    if (!wanted->name) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the domain XML has no name");
        return FALSE;
    }
    if (!cmd_domain_lookup_name(job->connection, wanted->name, &former, error)) {
        return FALSE;
    }
    if (!former) {
        return TRUE;
    }
    if (!cmd_domain_uuid(former, &uuid, error)) {
        return FALSE;
    }
    if (g_strcmp0(uuid, wanted->uuid) != 0) {
        g_autofree gchar *command = cmd_suggest("define", wanted->name, uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s' exists already, with the UUID %s; to replace it put <uuid>%s</uuid> into the XML, to "
                    "annotate it as it is: %s",
                    wanted->name, uuid, uuid, command);
        return FALSE;
    }
    *out = g_steal_pointer(&former);
    return TRUE;
}

/* Stands for the measurement while that is not known: it asks for a check, and nothing agrees with it yet. */
static XmlAttestation *make_placeholder(const DefineJob *job, const CmdSubject *subject)
{
    XmlAttestation *attestation = xml_attestation_new();
    attestation->level = job->level < 0 ? 0 : (guint)job->level;
    attestation->on_mismatch = on_mismatch(job->context, subject);
    return attestation;
}

/*
 * Before libvirt is touched: would it succeed? Not to be known yet where libvirt chooses the firmware.
 * @planned: what will be pinned, or NULL. @annotated: the XML with the metadata that belongs to it.
 */
static gboolean rehearse(const DefineJob *job, const char *xml, virDomainPtr former, PolicyReference **planned,
                         gchar **annotated, GError **error)
{
    g_autoptr(PolicyReference) pinned = NULL;
    if (former && !cmd_pinned_reference(job->context, former, &pinned, error)) {
        return FALSE;
    }
    g_autoptr(CmdSubject) subject = evaluate(job, xml, g_steal_pointer(&pinned), error);
    if (!subject) {
        return FALSE;
    }
    g_autoptr(XmlAttestation) attestation = NULL;
    if (subject->domain->loader_type == XML_LOADER_UNRESOLVED) {
        if (!cmd_define_signing_expected(job->context, subject, error)) {
            return FALSE;
        }
        attestation = subject->evaluation->confidential ? make_placeholder(job, subject) : NULL;
    } else {
        g_autoptr(PolicyReference) reference = NULL;
        if (!check_level(job, subject, error) || !identify(job, &subject, error) ||
            !make_reference(job, subject, &reference, error) ||
            !cmd_define_signing_apply(job->context, subject, reference, FALSE, error) ||
            !check_pin(job, subject, reference, FALSE, error)) {
            return FALSE;
        }
        attestation = reference ? policy_reference_to_attestation(reference) : NULL;
        *planned = g_steal_pointer(&reference);
    }
    *annotated = xml_document_set_attestation(subject->xml, -1, attestation, error);
    return *annotated != NULL;
}

static int define_xml(const DefineJob *job, const char *source, const char *from, GError **error)
{
    g_autofree gchar *xml = cmd_define_with_uuid(source, error);
    g_autoptr(XmlDomain) wanted = xml ? xml_domain_parse(xml, -1, error) : NULL;
    g_autoptr(VirDomainHandle) former = NULL;
    g_autofree gchar *former_xml = NULL;
    g_autoptr(PolicyReference) planned = NULL;
    g_autofree gchar *annotated = NULL;
    g_auto(CmdLock) lock = -1;
    if (!wanted || !cmd_lock(job->context->store, wanted->uuid, &lock, error) ||
        !find_former(job, wanted, &former, error) ||
        !rehearse(job, xml, former, &planned, &annotated, error)) {
        return -1;
    }
    if (former && virDomainIsPersistent(former) == 1 && !(former_xml = cmd_domain_xml(former, error))) {
        return -1;
    }
    g_autoptr(VirDomainHandle) domain = virDomainDefineXML(job->connection, annotated);
    if (!domain) {
        cmd_libvirt_error(error, "cannot define domain '%s'", wanted->name);
        return -1;
    }
    g_autofree gchar *what = g_strdup_printf("defined from %s", from);
    if (!annotate(job, domain, planned, what, error)) {
        restore(job->connection, domain, former_xml);
        return -1;
    }
    return 0;
}

static int define_existing(const DefineJob *job, const char *word, GError **error)
{
    g_autoptr(VirDomainHandle) domain = cmd_domain_lookup(job->connection, word, error);
    g_autofree gchar *uuid = NULL;
    g_auto(CmdLock) lock = -1;
    if (!domain) {
        cmd_hint_file(job->context, word, "'.xml'", error);
        return -1;
    }
    if (!cmd_domain_uuid(domain, &uuid, error) || !cmd_lock(job->context->store, uuid, &lock, error)) {
        return -1;
    }
    if (virDomainIsPersistent(domain) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s' is transient: it has no persistent definition that could carry a reference", word);
        return -1;
    }
    return annotate(job, domain, NULL, "annotated and pinned", error) ? 0 : -1;
}

static void warn_without_hook(const DefineJob *job)
{
    if (!cmd_hook_installed() && !cmd_context_quiet(job->context)) {
        cmd_warn("the hook '%s' is not installed: nothing compares a start with what is pinned now ('virt-attest "
                 "host-check')",
                 CMD_HOOK_FILE);
    }
}

static gboolean open_libvirt(DefineJob *job, gboolean writable, GError **error)
{
    job->connection = cmd_connect(job->context, error);
    if (!job->connection) {
        cmd_hint_file(job->context, cmd_domain_word(job->context), "'.xml'", error);
        return FALSE;
    }
    if (!cmd_require_local(job->connection, error)) {
        return FALSE;
    }
    return !writable || cmd_context_store_writable_for(job->context, job->connection, error) != NULL;
}

int cmd_define_composed(CmdContext *context, virConnectPtr connection, guint level, const char *xml, const char *from,
                        GError **error)
{
    /* The connection stays the caller's. */
    DefineJob job = {.context = context, .connection = connection, .level = (gint)level};
    int done = -1;
    if (!cmd_context_has(context, "cpu") || cmd_context_cpus(context, &job.cpus, error)) {
        warn_without_hook(&job);
        done = define_xml(&job, xml, from, error);
    }
    g_clear_pointer(&job.cpus, g_ptr_array_unref);
    return done;
}

int cmd_define_with_reference(CmdContext *context, virConnectPtr connection, guint level, const char *xml,
                              const char *from, const PolicyReference *reference, const PolicyEnvelope *envelope,
                              GError **error)
{
    g_autofree gchar *label = g_strdup_printf("the reference of %s", from);
    if (reference && !cmd_define_signing_use(context, reference, envelope, label, error)) {
        return -1;
    }
    return cmd_define_composed(context, connection, level, xml, from, error);
}

/* ---- --volume ---- */

static int define_from_volume(CmdContext *context, const CmdVolumeJob *job, StorageVolume *volume, gboolean printing,
                              GError **error)
{
    CmdDefineVolume from = {.job = job, .volume = volume, .boot_lock = -1};
    /* The connection stays the job's. */
    DefineJob define = {.context = context, .connection = job->connection};
    g_autofree gchar *former = g_strdup(volume->domain);
    g_autoptr(XmlCompose) compose = cmd_define_options(context, job->connection, TRUE, error);
    g_autofree gchar *xml = NULL;
    g_autofree gchar *source = g_strdup_printf("volume '%s'", volume->name);
    int done = -1;
    if (compose && cmd_define_volume_compose(&from, compose, error)) {
        xml = xml_compose_format(compose, error);
    }
    if (xml && printing) {
        define.level = (gint)compose->level;
        if (cmd_context_cpus(context, &define.cpus, error)) {
            done = print_xml(&define, xml, error);
        }
    } else if (xml && cmd_define_volume_claim(&from, compose->uuid, error)) {
        done = cmd_define_composed(context, job->connection, compose->level, xml, source, error);
        g_autoptr(GError) cause = NULL;
        if (done != 0 && !cmd_define_volume_claim(&from, former, &cause)) {
            cmd_warn("%s", cause->message);
        }
    }
    g_clear_pointer(&define.cpus, g_ptr_array_unref);
    cmd_lock_release(&from.boot_lock);
    return done;
}

static int define_volume(CmdContext *context, gboolean printing, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_auto(CmdLock) lock = -1;
    g_autoptr(StorageVolume) volume = NULL;
    const char *name = cmd_context_get(context, "volume");
    if (!storage_volume_check_name(name, error) || !cmd_volume_open(&job, context, TRUE, error) ||
        !cmd_volume_lock(&job, name, &lock, error) || !(volume = cmd_volume_get(&job, name, error))) {
        return -1;
    }
    return define_from_volume(context, &job, volume, printing, error);
}

/* Options that describe a new domain: a domain that exists would silently stay as it is. */
static const char *const compose_only[] = {"platform", "firmware", "kernel",  "initrd", "cmdline",  "memory", "vcpus",
                                           "cpu-model", "disk",    "network", "policy", "emulator", "type",
                                           "volume",    "pool",    NULL};

int cmd_define(CmdContext *context, GError **error)
{
    g_auto(DefineJob) job = {.context = context, .level = -1};
    const char *word = cmd_domain_word(context);
    gboolean compose = cmd_context_has(context, "name");
    gboolean printing = cmd_context_has(context, "print-xml");
    gboolean from_text = compose || (word && !cmd_context_has(context, "domain") && cmd_word_is_file(word));
    if (compose == (word != NULL)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    compose ? "define takes either --name, for a new domain, or '%s', not both"
                            : "nothing to define: name a domain XML or a domain, or compose one with --name%s",
                    word ? word : "");
        return -1;
    }
    const char *foreign = compose ? NULL : cmd_arguments_first_of(context->arguments, compose_only);
    if (foreign) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--%s describes a new domain and goes with --name only; to change '%s' edit its domain XML",
                    foreign, word);
        return -1;
    }
    if (!cmd_define_wanted_level(context, &job.level, error) || !cmd_context_cpus(context, &job.cpus, error) ||
        !cmd_define_identity(context, error) || !cmd_define_signing(context, error)) {
        return -1;
    }
    if (cmd_context_has(context, "readonly") && !printing) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "define changes the domain: it cannot work with --readonly");
        return -1;
    }
    if (cmd_context_has(context, "pool") && !cmd_context_has(context, "volume")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--pool goes with --volume only");
        return -1;
    }
    if (cmd_context_has(context, "volume")) {
        return define_volume(context, printing, error);
    }
    if ((!printing || !from_text) && !open_libvirt(&job, !printing, error)) {
        return -1;
    }
    g_autofree gchar *xml = NULL;
    if (from_text && !read_source(&job, word, &xml, error)) {
        return -1;
    }
    if (printing && !from_text) {
        g_autoptr(VirDomainHandle) domain = cmd_domain_lookup(job.connection, word, error);
        xml = domain ? cmd_domain_xml(domain, error) : NULL;
        return xml ? print_xml(&job, xml, error) : -1;
    }
    if (printing) {
        return print_xml(&job, xml, error);
    }
    warn_without_hook(&job);
    if (!from_text) {
        return define_existing(&job, word, error);
    }
    g_autofree gchar *from = compose                  ? g_strdup("the options given")
                             : g_str_equal(word, "-") ? g_strdup("standard input")
                                                      : g_strdup_printf("'%s'", word);
    return define_xml(&job, xml, from, error);
}
