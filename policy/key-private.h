/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What key.c and key-load.c share. Not for others, except for tests. */
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <sys/stat.h>

#include "measure/foreign-autoptr.h"
#include "policy/key.h"

#define POLICY_KEY_MAX_SIZE (64u * 1024)
/* For messages: makes the file of a public key. */
#define POLICY_PUBLIC_KEY_COMMAND "openssl pkey -in PRIVATE -pubout -out FILE"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)

/* "openssl genpkey …": makes a key of the first of @kinds. */
const char *policy_key_make_command(PolicyKeyKind kinds);
/* Sets "WHAT 'LABEL': …" with @code; @label may be %NULL. Returns %NULL, and empties OpenSSL's list of errors. */
gpointer policy_key_error(GError **error, gint code, const char *what, const char *label, const char *format, ...)
    G_GNUC_PRINTF(5, 6);
/* An OpenSSL of its own with what a token needs, see key-token.c. The store stays open, or the session would end in
 * which the key can be used. */
typedef struct {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *base, *token;
    UI_METHOD *method;
    OSSL_STORE_CTX *store;
    int passphrase_fd;
    gboolean asked;
    const char *reason; /* why there is no PIN; a literal */
} PolicyKeyContext;
void policy_key_context_free(PolicyKeyContext *context);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyKeyContext, policy_key_context_free)
/* Judges @key. It and @context (nullable) are consumed in any case. @label: (nullable): where it came from. */
PolicyKey *policy_key_accept(EVP_PKEY *key, PolicyKeyContext *context, PolicyKeyKind kinds, const char *what,
                             const char *label, GError **error);

/* What is asked of a file: nothing; that nobody but root and the user can change it; that nobody else can read it
 * either. */
typedef enum {
    POLICY_KEY_FILE_ANY,
    POLICY_KEY_FILE_TRUSTED,
    POLICY_KEY_FILE_SECRET,
} PolicyKeyFile;

/* Owned by root or the user, and writable for nobody else: no group, and so no access control list either. */
gboolean policy_owner_only_writes(const struct stat *st);

/**
 * policy_key_read_file:
 * @size: (out): bytes
 *
 * The whole file, through one descriptor, on which the permissions are checked too, with a zero byte behind it. Wipe it
 * with OPENSSL_cleanse() when it is secret.
 */
gchar *policy_key_read_file(const char *path, PolicyKeyFile file, PolicyKeyKind kinds, const char *what, gsize *size,
                            GError **error);
/* As policy_key_load_public(), of a file that only root and the user can change. */
PolicyKey *policy_key_load_trusted(const char *path, PolicyKeyKind kinds, const char *what, GError **error);

/**
 * policy_key_parse_private:
 * @data: PEM (PKCS#8, plain or encrypted; SEC1, plain or encrypted) or DER (PKCS#8, SEC1)
 * @label: (nullable): where it came from
 */
PolicyKey *policy_key_parse_private(gconstpointer data, gsize size, PolicyKeyKind kinds, const char *what,
                                    const char *label, int passphrase_fd, GError **error);

#define POLICY_PASSPHRASE_MAX 1024
/* One line of @fd without its end into @out, which has room for %POLICY_PASSPHRASE_MAX bytes and a zero byte; its
 * length or -1. The reason is in @reason then, a literal. */
int policy_key_read_passphrase(int fd, char *out, const char **reason);
/* The key that a URI of a token names. */
PolicyKey *policy_key_load_token(const char *uri, PolicyKeyKind kinds, const char *what, int passphrase_fd,
                                 GError **error);
