/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The member "idBlock" of a reference: who signed the domain's ID block, and what it is called in a report. Signatures
 * are not looked at here; policy_id_auth_verify() does.
 */
#include <openssl/evp.h>
#include <string.h>

#include "measure/bytes.h"
#include "policy/json.h"
#include "policy/reference-private.h"

/* SEV-SNP Firmware ABI (56860): tables of ID_BLOCK and ID_AUTH. */
#define ID_BLOCK_FAMILY 0x30
#define ID_BLOCK_IMAGE 0x40
#define ID_BLOCK_VERSION 0x50
#define ID_BLOCK_SVN 0x54
#define ID_AUTH_ID_KEY_ALGORITHM 0x0
#define ID_AUTH_AUTHOR_KEY_ALGORITHM 0x4
#define ID_AUTH_ID_KEY 0x240
#define ID_AUTH_AUTHOR_KEY 0x880
#define ID_AUTH_KEY_SIZE 0x404
#define ALGORITHM_ECDSA_P384_SHA384 1u

static gboolean key_digest(MeasureBytes auth, gsize offset, guint8 out[MEASURE_SHA384_SIZE])
{
    MeasureBytes key;

    return measure_bytes_slice(auth, offset, ID_AUTH_KEY_SIZE, &key) &&
           EVP_Digest(key.data, key.size, out, NULL, EVP_sha384(), NULL);
}

PolicyIdentity *policy_identity_new(GBytes *id_block, GBytes *id_auth, gboolean author_key)
{
    g_autofree PolicyIdentity *identity = g_new0(PolicyIdentity, 1);
    MeasureBytes block, auth, id;
    guint32 version = 0, algorithm = 0, author_algorithm = 0;

    if (!id_block || !id_auth)
        return NULL;
    block.data = g_bytes_get_data(id_block, &block.size);
    auth.data = g_bytes_get_data(id_auth, &auth.size);
    if (!measure_bytes_u32(block, ID_BLOCK_VERSION, &version) || version != 1 ||
        !measure_bytes_u32(block, ID_BLOCK_SVN, &identity->guest_svn) ||
        !measure_bytes_u32(auth, ID_AUTH_ID_KEY_ALGORITHM, &algorithm) || algorithm != ALGORITHM_ECDSA_P384_SHA384 ||
        !measure_bytes_u32(auth, ID_AUTH_AUTHOR_KEY_ALGORITHM, &author_algorithm) ||
        !key_digest(auth, ID_AUTH_ID_KEY, identity->id_key_digest))
        return NULL;
    identity->has_author_key = author_key && author_algorithm == ALGORITHM_ECDSA_P384_SHA384;
    if (identity->has_author_key && !key_digest(auth, ID_AUTH_AUTHOR_KEY, identity->author_key_digest))
        return NULL;
    if (!measure_bytes_slice(block, ID_BLOCK_FAMILY, sizeof(identity->family_id), &id))
        return NULL;
    memcpy(identity->family_id, id.data, id.size);
    if (!measure_bytes_slice(block, ID_BLOCK_IMAGE, sizeof(identity->image_id), &id))
        return NULL;
    memcpy(identity->image_id, id.data, id.size);
    return g_steal_pointer(&identity);
}

JsonObject *policy_identity_to_json(const PolicyIdentity *identity)
{
    JsonObject *object = json_object_new();

    policy_json_add_hex_bytes(object, "idKeyDigest", identity->id_key_digest, sizeof(identity->id_key_digest));
    if (identity->has_author_key)
        policy_json_add_hex_bytes(object, "authorKeyDigest", identity->author_key_digest,
                                  sizeof(identity->author_key_digest));
    policy_json_add_hex_bytes(object, "familyId", identity->family_id, sizeof(identity->family_id));
    policy_json_add_hex_bytes(object, "imageId", identity->image_id, sizeof(identity->image_id));
    json_object_set_int_member(object, "guestSvn", identity->guest_svn);
    return object;
}

PolicyIdentity *policy_identity_from_json(JsonObject *object, GError **error)
{
    static const char *const known[] = {"idKeyDigest", "authorKeyDigest", "familyId", "imageId", "guestSvn", NULL};
    static const char *const where = "idBlock";
    g_autofree PolicyIdentity *identity = g_new0(PolicyIdentity, 1);
    guint64 svn = 0;

    identity->has_author_key = json_object_has_member(object, "authorKeyDigest");
    if (!policy_json_members(object, where, known, error) ||
        !policy_json_hex_bytes(object, where, "idKeyDigest", sizeof(identity->id_key_digest), identity->id_key_digest,
                               error) ||
        (identity->has_author_key && !policy_json_hex_bytes(object, where, "authorKeyDigest",
                                                            sizeof(identity->author_key_digest),
                                                            identity->author_key_digest, error)) ||
        !policy_json_hex_bytes(object, where, "familyId", sizeof(identity->family_id), identity->family_id, error) ||
        !policy_json_hex_bytes(object, where, "imageId", sizeof(identity->image_id), identity->image_id, error) ||
        !policy_json_uint(object, where, "guestSvn", FALSE, G_MAXUINT32, &svn, error))
        return NULL;
    identity->guest_svn = (guint32)svn;
    return g_steal_pointer(&identity);
}
