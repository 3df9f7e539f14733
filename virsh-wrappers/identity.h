/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options about an ID block, and its two parts as files and texts: for id-block, id-block-verify and define. */
#pragma once

#include "policy/id-block.h"
#include "virsh-wrappers/context.h"

/**
 * CmdIdentity:
 * @id_key: of --id-key
 * @issuer: signs with it, and has the signature of --author-key
 * @facts: what a report of a launch with its blocks shows: digests of the keys, --family-id, --image-id, --svn
 */
typedef struct {
    PolicyKey *id_key;
    PolicyIdIssuer *issuer;
    PolicyIdentity facts;
} CmdIdentity;

/**
 * cmd_identity_open:
 *
 * Reads the keys and the facts. %ATTEST_ERROR_USAGE without --id-key, and for a fact that is malformed.
 */
gboolean cmd_identity_open(CmdContext *context, CmdIdentity *out, GError **error);
void cmd_identity_clear(CmdIdentity *identity);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdIdentity, cmd_identity_clear)

/* The block for one launch, and its page. */
gboolean cmd_identity_issue(const CmdIdentity *identity, const guint8 digest[MEASURE_SHA384_SIZE], guint64 policy,
                            guint8 block[POLICY_ID_BLOCK_SIZE], guint8 auth[POLICY_ID_AUTH_SIZE], GError **error);

/* An option of @size bytes in hexadecimal; @out is left alone when it was not given. */
gboolean cmd_hex_option(const CmdContext *context, const char *name, guint8 *out, gsize size, GError **error);

/**
 * cmd_identity_read:
 * @path: of a file that holds @size bytes, binary or in base64 (a newline at its end does not matter)
 * @what: "ID block"
 *
 * Errors: %ATTEST_ERROR_UNREADABLE.
 */
gboolean cmd_identity_read(const char *path, const char *what, guint8 *out, gsize size, GError **error);

/**
 * cmd_identity_write:
 *
 * id-block.bin, id-auth.bin and both as .base64 without a newline (128 and 5464 characters) in @folder, which is made
 * where it is missing: all four or none. Errors: %ATTEST_ERROR_UNREADABLE, also for a file that exists, unless @replace.
 */
gboolean cmd_identity_write(const char *folder, gboolean replace, const guint8 block[POLICY_ID_BLOCK_SIZE],
                            const guint8 auth[POLICY_ID_AUTH_SIZE], GError **error);

/* Whether the host data of @reference is the digest that binds it. */
gboolean cmd_reference_is_bound(const PolicyReference *reference);
