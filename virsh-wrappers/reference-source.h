/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the word DOMAIN|FILE of a command stands for, wherever a reference is wanted. */
#pragma once

#include "policy/envelope.h"
#include "virsh-wrappers/subject.h"

/**
 * CmdReferenceSource:
 * @reference: portable form; measured now, or read from a document
 * @envelope: (nullable): the signed document it came from; signatures not verified
 * @subject: (nullable): the domain that was measured; %NULL when a document was read
 * @bundle_folder: (nullable): private: where a bundle was unpacked to; removed by cmd_reference_source_clear()
 */
typedef struct {
    PolicyReference *reference;
    PolicyEnvelope *envelope;
    CmdSubject *subject;
    gchar *bundle_folder;
} CmdReferenceSource;

/**
 * cmd_reference_source_load:
 * @word: a domain of libvirt (name, id, UUID); a domain XML (".xml", a '/' in it, or "-"); a reference document, signed or
 *   not (a file whose first character is '{'); a bundle (a file that is a tar archive). Files are told by what is in them.
 *
 * Reads the options --cpu, --cpu-types, --vcpus, --product, --minimum-tcb and --platform-info where the command has them:
 * a domain is measured for all of them, the facts override those of its pinned reference. With a document or a bundle that
 * holds one, the fleet options are %ATTEST_ERROR_USAGE. Needs libvirt only for a domain.
 */
gboolean cmd_reference_source_load(CmdContext *context, const char *word, CmdReferenceSource *out, GError **error);
void cmd_reference_source_clear(CmdReferenceSource *source);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdReferenceSource, cmd_reference_source_clear)

/* --cpu-types and --vcpus. @cpus, @vcpus: (out) (nullable) */
gboolean cmd_fleet_options(const CmdContext *context, GPtrArray **cpus, GArray **vcpus, GError **error);
/* --product, --minimum-tcb, --platform-info, as far as given, into @reference. */
gboolean cmd_reference_facts(const CmdContext *context, PolicyReference *reference, GError **error);
/* --output and --force: the file, or standard output when not given. @secret: mode 0600 instead of 0644. */
gboolean cmd_write_output(const CmdContext *context, gconstpointer data, gsize size, gboolean secret, GError **error);
