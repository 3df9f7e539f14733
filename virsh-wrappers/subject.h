/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command works on: one domain, evaluated, with its pinned reference and its last launches. */
#pragma once

#include "hooks/record.h"
#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/host-check.h"
#include "virsh-wrappers/report.h"

/**
 * CmdSubject:
 * @xml: the domain XML that was evaluated
 * @domain: parsed
 * @evaluation: what follows from it
 * @pinned: (nullable): the pinned reference
 */
typedef struct {
    gchar *xml;
    XmlDomain *domain;
    PolicyEvaluation *evaluation;
    PolicyReference *pinned;
} CmdSubject;

/**
 * cmd_subject_new:
 * @xml: a domain XML
 * @pinned: (nullable) (transfer full): its pinned reference
 * @cpus: (nullable): CPU types asked for; otherwise those of @pinned where the XML leaves the choice to the host
 * @on_launch_host: the domain starts on this machine
 * @state: how the evaluation is to count the reference
 */
CmdSubject *cmd_subject_new(CmdContext *context, const char *xml, gsize size, PolicyReference *pinned, GPtrArray *cpus,
                            gboolean on_launch_host, PolicyReferenceState state, GError **error);
/**
 * CmdFleet:
 * @cpus: (nullable) (element-type MeasureCpu): measure for these, whatever the XML names
 * @vcpus: (nullable) (element-type guint): and for these vCPU counts
 * @all_fpu: and, for SEV-ES, for both floating-point variants
 */
typedef struct {
    GPtrArray *cpus;
    GArray *vcpus;
    gboolean all_fpu;
} CmdFleet;
/* Like cmd_subject_new(), for every member of a fleet. */
CmdSubject *cmd_subject_new_fleet(CmdContext *context, const char *xml, gsize size, PolicyReference *pinned,
                                  const CmdFleet *fleet, gboolean on_launch_host, PolicyReferenceState state,
                                  GError **error);
/* Of a libvirt domain on this machine: persistent XML, pinned reference from the state folder. */
CmdSubject *cmd_subject_from_domain(CmdContext *context, virDomainPtr domain, GError **error);
/* The same for every member of a fleet, to make a reference of it: that one is pinned or not does not count. */
CmdSubject *cmd_subject_from_domain_fleet(CmdContext *context, virDomainPtr domain, const CmdFleet *fleet,
                                          GError **error);
void cmd_subject_free(CmdSubject *subject);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdSubject, cmd_subject_free)

/* The pinned reference of a libvirt domain; FALSE on error, @out %NULL when there is none. */
gboolean cmd_pinned_reference(CmdContext *context, virDomainPtr domain, PolicyReference **out, GError **error);

/* The CPU types of a reference, each once. */
GPtrArray *cmd_reference_cpus(const PolicyReference *pinned);

/* The newest launch in @record, or NULL; @record may be NULL. */
const HookLaunch *cmd_last_launch(const HookRecord *record);

/* Where the hook belongs, and whether an executable file is there. */
#define CMD_HOOK_FILE CMD_LIBVIRT_HOOKS "/50-virt-attest"
gboolean cmd_hook_installed(void);
/* "EPYC-Milan: 96 digits", one a line, of the pinned or derived measurements. */
void cmd_print_expected(GPtrArray *measurements);
