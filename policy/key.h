/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The owner's keys: read, judged and used through OpenSSL. Private keys come from a file (PEM: PKCS#8 or SEC1; DER) or
 * from a token (a pkcs11: URI, where OpenSSL has a store for it), never from the command line, and are never written
 * anywhere.
 */
#pragma once

#include <openssl/evp.h>

#include "measure/launch.h"

typedef enum {
    POLICY_KEY_P384 = 1 << 0,    /* ECDSA on P-384 with SHA-384 */
    POLICY_KEY_ED25519 = 1 << 1,
} PolicyKeyKind;

typedef struct PolicyKey PolicyKey;

/**
 * policy_key_load_private:
 * @source: path, or "pkcs11:…" URI
 * @kinds: the kinds that will do
 * @what: what the key is for, in messages: "ID key"
 * @passphrase_fd: descriptor with the passphrase in its first line, or -1. It is read, at most 1024 bytes, when the key
 *   asks for one, and only to the end of the line: the next encrypted key takes the next line. Wiped. Nobody is ever
 *   asked on a terminal
 *
 * Calls policy_key_protect_process() first.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: no such file, not a private key (a public key, a certificate), encrypted and no (or
 * a wrong) passphrase, larger than 64 KiB, no regular file; a file that belongs to somebody else, or that group or
 * others may read (with the chmod to run). Another algorithm or curve is named together with the command that makes a
 * fitting key. %ATTEST_ERROR_NOT_CONFIGURED: no store for that URI.
 */
PolicyKey *policy_key_load_private(const char *source, PolicyKeyKind kinds, const char *what, int passphrase_fd,
                                   GError **error);
/* From now on this process leaves no core dump, and only root may look into its memory. */
void policy_key_protect_process(void);
/* A public key: SubjectPublicKeyInfo, PEM or DER. Any permissions. A private key in its place is an error that says so;
 * policy_key_protect_process() is called before the file is read, for that case. */
PolicyKey *policy_key_load_public(const char *path, PolicyKeyKind kinds, const char *what, GError **error);
/* Whether the file holds a private key, by its form: encrypted, of another kind or readable for others as well. */
gboolean policy_key_file_is_private(const char *path);
PolicyKey *policy_key_parse_public(gconstpointer data, gsize size, PolicyKeyKind kinds, const char *what,
                                   GError **error);
PolicyKey *policy_key_from_evp(EVP_PKEY *key /* transfer full */, PolicyKeyKind kinds, const char *what,
                               GError **error);
void policy_key_free(PolicyKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyKey, policy_key_free)

/* (nullable): the name of the file or the URI it came from; %NULL when it did not come from one. */
const char *policy_key_label(const PolicyKey *key);
PolicyKeyKind policy_key_kind(const PolicyKey *key);
const char *policy_key_kind_name(PolicyKeyKind kind); /* "ed25519", "ecdsa-p384-sha384" */
EVP_PKEY *policy_key_evp(const PolicyKey *key);        /* borrowed */
/* The point of a P-384 key, big-endian; FALSE for another kind. Works for keys in tokens too, which have not every
 * parameter and sign only by policy_key_sign(). */
gboolean policy_key_point(const PolicyKey *key, guint8 x[48], guint8 y[48]);
/* SHA-256 of the public key's DER (SubjectPublicKeyInfo), 64 hexadecimal digits: what a signature names its key by. */
gchar *policy_key_id(const PolicyKey *key);

/* Ed25519: 64 bytes; P-384: DER (Ecdsa-Sig-Value) over SHA-384. */
GBytes *policy_key_sign(const PolicyKey *key, gconstpointer data, gsize size, GError **error);
/* FALSE for a signature that is not good, whatever is wrong with it. */
gboolean policy_key_verify(const PolicyKey *key, gconstpointer data, gsize size, gconstpointer signature,
                           gsize signature_size);
