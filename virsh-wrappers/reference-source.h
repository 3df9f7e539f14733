/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the word DOMAIN|FILE of a command stands for, wherever a reference is wanted. */
#pragma once

#include "policy/envelope.h"
#include "storage/bundle.h"
#include "virsh-wrappers/subject.h"

/**
 * CmdReferenceSource:
 * @reference: portable form; measured now, or read from a document
 * @envelope: (nullable): the signed document it came from; verified where keys are trusted, unless the command has a
 *   --key and does so itself
 * @subject: (nullable): the domain that was measured, of a bundle too; %NULL when a document was read
 * @bundle: (nullable): unpacked; cmd_reference_source_clear() removes its folder
 */
typedef struct {
    PolicyReference *reference;
    PolicyEnvelope *envelope;
    CmdSubject *subject;
    StorageBundle *bundle;
} CmdReferenceSource;

/**
 * cmd_reference_source_load:
 * @word: a domain of libvirt (name, id, UUID), or a file (a '/' in it, the ending ".xml", ".json" or ".tar", or "-"): a
 *   domain XML; a reference document, signed or not (its first character is '{'); a bundle (a tar archive, not on
 *   standard input). Files are told by what is in them.
 *
 * Reads the options --cpu, --cpu-types, --vcpus, --product, --minimum-tcb and --platform-info where the command has
 * them: a domain is measured for all of them, and SEV-ES always for both floating-point variants; the facts override
 * those of its pinned reference. With a document the fleet options are %ATTEST_ERROR_USAGE, and so are the facts where
 * it is signed. Needs libvirt only for a domain.
 *
 * A bundle gives its own reference, once its files have measured to that (%ATTEST_ERROR_REJECTED otherwise), and with
 * fleet options a new one, without signature, that keeps the facts. @subject is the bundle's domain in both cases.
 */
gboolean cmd_reference_source_load(CmdContext *context, const char *word, CmdReferenceSource *out, GError **error);
/* The same for a command that compares: without fleet options a domain is measured for the CPU types and vCPU counts of
 * @like. */
gboolean cmd_reference_source_load_like(CmdContext *context, const char *word, const PolicyReference *like,
                                        CmdReferenceSource *out, GError **error);
void cmd_reference_source_clear(CmdReferenceSource *source);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdReferenceSource, cmd_reference_source_clear)

/* --cpu and --cpu-types, one behind the other, and --vcpus. @cpus, @vcpus: (out) (nullable) */
gboolean cmd_fleet_options(const CmdContext *context, GPtrArray **cpus, GArray **vcpus, GError **error);
/* --product, --minimum-tcb, --platform-info, as far as given, into @reference. */
gboolean cmd_reference_facts(const CmdContext *context, PolicyReference *reference, GError **error);
/* --output and --force: the file, or standard output when not given. @secret: mode 0600 instead of 0644. */
gboolean cmd_write_output(const CmdContext *context, gconstpointer data, gsize size, gboolean secret, GError **error);

/* The document for people: fields and tables. @bare leaves titles out (--quiet). */
gchar *cmd_reference_table(const PolicyReference *reference, gboolean bare);
/* Product, minimum TCB and platform information, as far as they are laid down; "" when nothing is. */
gchar *cmd_owner_rules_format(const PolicyReference *reference);
/* The part of it that a measurement does not show: the owner's rules, ID block, host data, where it came from. "" when
 * there is none of it. */
gchar *cmd_reference_rules_format(const PolicyReference *reference);
