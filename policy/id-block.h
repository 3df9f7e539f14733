/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID block and ID authentication page of SEV-SNP: by them the processor itself refuses a launch with another digest or
 * policy. SEV-SNP Firmware ABI (56860), ID_BLOCK, ID_AUTH and the tables of ECDSA keys and signatures.
 */
#pragma once

#include "policy/key.h"
#include "policy/reference.h"

#define POLICY_ID_BLOCK_SIZE 96
#define POLICY_ID_AUTH_SIZE 4096
#define POLICY_ID_KEY_SIZE 0x404 /* curve, Qx, Qy, zeros */

typedef struct {
    guint8 digest[MEASURE_SHA384_SIZE];
    guint8 family_id[16], image_id[16];
    guint32 version, guest_svn; /* version is 1 */
    guint64 policy;
} PolicyIdBlock;

void policy_id_block_format(const PolicyIdBlock *block, guint8 out[POLICY_ID_BLOCK_SIZE]);
/* Errors: %ATTEST_ERROR_UNREADABLE for another size or version. */
gboolean policy_id_block_parse(gconstpointer data, gsize size, PolicyIdBlock *out, GError **error);

/**
 * PolicyIdIssuer:
 *
 * A pair of keys that is ready to issue: the public halves and the author's signature over the ID key are made once, so
 * every further block costs one signature.
 */
typedef struct PolicyIdIssuer PolicyIdIssuer;
/* @author_key: (nullable). Both P-384; @id_key is borrowed and has to live as long as the issuer. */
PolicyIdIssuer *policy_id_issuer_new(const PolicyKey *id_key, const PolicyKey *author_key, GError **error);
void policy_id_issuer_free(PolicyIdIssuer *issuer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyIdIssuer, policy_id_issuer_free)
gboolean policy_id_issuer_sign(const PolicyIdIssuer *issuer, const guint8 block[POLICY_ID_BLOCK_SIZE],
                               guint8 auth[POLICY_ID_AUTH_SIZE], GError **error);

/* SHA-384 over the public key as the page has it: ID_KEY_DIGEST and AUTHOR_KEY_DIGEST of a report. */
gboolean policy_id_key_digest(const PolicyKey *key, guint8 out[MEASURE_SHA384_SIZE], GError **error);

/**
 * policy_id_auth_problems:
 * @author_key_enabled: the launch says so (authorKey='yes')
 * @out: (out) (optional): what a report of such a launch would show; filled whatever the problems, with zeros where the
 *   page has another size
 *
 * As policy_id_auth_verify(), but goes on after the first fault.
 *
 * Returns: (element-type utf8): one sentence for each thing that is wrong; empty for a good page.
 */
GPtrArray *policy_id_auth_problems(const guint8 block[POLICY_ID_BLOCK_SIZE], gconstpointer auth, gsize auth_size,
                                   gboolean author_key_enabled, PolicyIdentity *out);

/**
 * policy_id_auth_verify:
 * @author_key_enabled: the launch says so (authorKey='yes')
 * @out: (out) (optional): what a report of such a launch shows
 *
 * As the firmware does it: algorithms, curve, points on the curve, both signatures, reserved bytes zero. Stricter in one
 * thing: without @author_key_enabled the author's half of the page must be all zero or good too, so that no byte of a
 * page that is called good can be anything.
 * Errors: %ATTEST_ERROR_REJECTED with what is wrong; %ATTEST_ERROR_UNREADABLE for a page of another size.
 */
gboolean policy_id_auth_verify(const guint8 block[POLICY_ID_BLOCK_SIZE], gconstpointer auth, gsize auth_size,
                               gboolean author_key_enabled, PolicyIdentity *out, GError **error);

/**
 * policy_id_block_misfits:
 * @domain: a domain of type sev-snp with ID block or ID authentication page
 * @policy: its guest policy
 * @measurements: (element-type XmlMeasurement): what it measures; empty where that is not known
 *
 * What the processor would refuse a start of the domain for, in the order in which firmware looks: digest (one of
 * @measurements will do), policy, keys and signatures.
 *
 * Returns: (element-type utf8): one sentence each; empty when the start would be let through.
 */
GPtrArray *policy_id_block_misfits(const XmlDomain *domain, guint64 policy, const GPtrArray *measurements);
