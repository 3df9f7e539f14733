/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* define --reference, --sign-key, and the signature of a domain that is pinned already. */
#pragma once

#include "virsh-wrappers/sign-options.h"
#include "virsh-wrappers/subject.h"

/**
 * CmdDefineSigning:
 * @trusted: (element-type PolicyKey): the keys one of which must have signed what is pinned; none: nobody has to
 * @required: a reference without such a signature is refused
 * @key: (nullable): of --sign-key
 * @document: (nullable): of --reference
 * @label: (nullable): where @document came from, for messages
 * @signed_text: (nullable): @document with its signatures, one line; %NULL when it is not signed
 */
typedef struct CmdDefineSigning {
    GPtrArray *trusted;
    gboolean required;
    PolicyKey *key;
    PolicyReference *document;
    gchar *label, *signed_text;
} CmdDefineSigning;

/**
 * cmd_define_signing:
 *
 * What the options ask for; keys, passphrase and document are read when it is called for the first time, behind those
 * of cmd_define_identity(). Refuses a key that is not trusted, and a document that no trusted key has signed. Owned by
 * @context.
 */
const CmdDefineSigning *cmd_define_signing(CmdContext *context, GError **error);
void cmd_define_signing_free(CmdDefineSigning *signing);

/**
 * cmd_define_signing_use:
 * @document: what must foresee the domain
 * @envelope: (nullable): @document with its signatures: kept as "signed" in the pin
 * @label: "bundle 'x.tar'"
 *
 * As --reference does, with a document that the command has already.
 */
gboolean cmd_define_signing_use(CmdContext *context, const PolicyReference *document, const PolicyEnvelope *envelope,
                                const char *label, GError **error);

/* (nullable) (element-type MeasureCpu): the CPU types of --reference: what a domain that leaves the choice to the host
 * is measured for. */
GPtrArray *cmd_define_signing_cpus(const CmdContext *context);

/* The owner's rules of --reference take the place of those in @reference. */
gboolean cmd_define_signing_rules(CmdContext *context, PolicyReference *reference, GError **error);

/**
 * cmd_define_signing_expected:
 * @subject: (nullable): with its pin; %NULL: the new domain of --name, which will have a measurement
 *
 * What can be said before the measurement is known: %ATTEST_ERROR_REJECTED when keys are trusted, and there will be no
 * signature.
 */
gboolean cmd_define_signing_expected(CmdContext *context, const CmdSubject *subject, GError **error);

/**
 * cmd_define_signing_apply:
 * @reference: (nullable): what will be pinned of @subject; its signed document is set
 * @make: sign it with --sign-key; %FALSE: only look whether everything else is in order
 *
 * The document of --reference must foresee the domain. Without one and without --sign-key the signature of the pin that
 * @subject has stays, as long as it holds.
 */
gboolean cmd_define_signing_apply(CmdContext *context, const CmdSubject *subject, PolicyReference *reference,
                                  gboolean make, GError **error);

/* Takes the change out of @changes (of a pin, for another) that nobody has to accept: that it is signed now. */
void cmd_define_signing_drop(GPtrArray *changes);
