/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys in files. The blocks of a PEM file are told apart by name and each is decoded as what it says it is, so that a
 * message can say what is wrong, and no decoder can come to the idea of asking somebody for a passphrase.
 */
#include "policy/key-private.h"

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"

#define MAX_PEM_BLOCKS 16

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_SIG, X509_SIG_free)

typedef struct {
    const char *what, *label;
    PolicyKeyKind kinds;
    int passphrase_fd;
    const char *reason; /* why there is no passphrase; a literal */
} KeyFile;

/* pem_password_cb */
static int give_passphrase(char *buffer, int size, int writing, void *data)
{
    char line[POLICY_PASSPHRASE_MAX + 1];
    KeyFile *file = data;
    int length = policy_key_read_passphrase(file->passphrase_fd, line, &file->reason);

    if (length > size) {
        file->reason = "its passphrase is longer than this form of a key can have";
        length = -1;
    }
    if (length > 0)
        memcpy(buffer, line, (gsize)length);
    OPENSSL_cleanse(line, sizeof(line));
    return length;
}

static EVP_PKEY *not_decrypted(const KeyFile *file, GError **error)
{
    gulong code;
    gboolean unsupported = FALSE;

    if (file->reason)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "%s; give it with --passphrase-fd", file->reason);
    while ((code = ERR_get_error()))
        unsupported |= ERR_GET_REASON(code) == ERR_R_UNSUPPORTED ||
                       ERR_GET_REASON(code) == EVP_R_UNKNOWN_PBE_ALGORITHM ||
                       ERR_GET_REASON(code) == PEM_R_UNSUPPORTED_ENCRYPTION;
    if (unsupported)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "it is encrypted in a way that OpenSSL does not read any more; encrypt it anew: "
                                "openssl pkcs8 -topk8 -in OLD -out FILE");
    return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                            "it is encrypted, and the passphrase is wrong (or the file is damaged)");
}

/* ---- Private keys ---- */

/* One DER value that fills the buffer: PKCS#8, or what one algorithm has of its own. */
static EVP_PKEY *decode_plain(const guint8 *data, gsize size)
{
    const guint8 *at = data;
    g_autoptr(EVP_PKEY) key = d2i_AutoPrivateKey(NULL, &at, (long)size);

    return key && at == data + size ? g_steal_pointer(&key) : NULL;
}

static EVP_PKEY *decode_encrypted(KeyFile *file, const guint8 *data, gsize size, GError **error)
{
    const guint8 *at = data;
    g_autoptr(X509_SIG) encrypted = d2i_X509_SIG(NULL, &at, (long)size);
    g_autoptr(PKCS8_PRIV_KEY_INFO) info = NULL;
    g_autoptr(EVP_PKEY) key = NULL;
    char passphrase[POLICY_PASSPHRASE_MAX + 1];
    int length;

    if (!encrypted || at != data + size)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "it is damaged or incomplete; to make another key: %s",
                                policy_key_make_command(file->kinds));
    /* What the tries before have left there is not why this one fails. */
    ERR_clear_error();
    length = give_passphrase(passphrase, sizeof(passphrase), 0, file);
    if (length > 0)
        info = PKCS8_decrypt(encrypted, passphrase, length);
    OPENSSL_cleanse(passphrase, sizeof(passphrase));
    key = info ? EVP_PKCS82PKEY(info) : NULL;
    return key ? g_steal_pointer(&key) : not_decrypted(file, error);
}

static EVP_PKEY *decode_private_block(KeyFile *file, const char *name, char *header, guint8 *data, long size,
                                      GError **error)
{
    EVP_CIPHER_INFO cipher;
    EVP_PKEY *key = NULL;

    if (!strcmp(name, PEM_STRING_PKCS8))
        return decode_encrypted(file, data, (gsize)size, error);
    if (*header && !strstr(header, "ENCRYPTED"))
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "its PEM block has headers that do not belong to an encrypted key; take them out, the "
                                "lines from BEGIN to the empty one");
    /* "Proc-Type: 4,ENCRYPTED" of the old forms. */
    if (!PEM_get_EVP_CIPHER_INFO(header, &cipher) || !PEM_do_header(&cipher, data, &size, give_passphrase, file))
        return not_decrypted(file, error);
    key = decode_plain(data, (gsize)size);
    if (!key && *header) {
        /* One wrong passphrase in 256 leaves a padding that looks right. */
        ERR_clear_error();
        return not_decrypted(file, error);
    }
    if (!key)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "it is damaged, or of an algorithm that OpenSSL does not know; to make another key: %s",
                                policy_key_make_command(file->kinds));
    return key;
}

/* What a file has in place of a private key, as far as one block tells. */
static const char *name_of_block(const char *block)
{
    if (!strcmp(block, PEM_STRING_PUBLIC) || !strcmp(block, PEM_STRING_RSA_PUBLIC))
        return "a public key";
    if (!strcmp(block, PEM_STRING_X509) || !strcmp(block, PEM_STRING_X509_TRUSTED) ||
        !strcmp(block, PEM_STRING_X509_OLD))
        return "a certificate";
    if (!strcmp(block, PEM_STRING_X509_REQ) || !strcmp(block, PEM_STRING_X509_REQ_OLD))
        return "a certificate request";
    if (!strcmp(block, PEM_STRING_ECPARAMETERS) || g_str_has_suffix(block, "PARAMETERS"))
        return "only the parameters of a key";
    return g_str_has_prefix(block, "OPENSSH") ? "a key in OpenSSH's own form" : NULL;
}

static gboolean is_private_block(const char *name)
{
    return !strcmp(name, PEM_STRING_PKCS8) || !strcmp(name, PEM_STRING_PKCS8INF) ||
           (g_str_has_suffix(name, " PRIVATE KEY") && !g_str_has_prefix(name, "OPENSSH"));
}

static EVP_PKEY *decode_private_pem(KeyFile *file, gconstpointer data, gsize size, gboolean *is_pem, GError **error)
{
    g_autoptr(BIO) bio = BIO_new_mem_buf(data, (int)size);
    g_autoptr(EVP_PKEY) found = NULL;
    const char *other = NULL;

    for (guint i = 0; i < MAX_PEM_BLOCKS; i++) {
        char *name = NULL, *header = NULL;
        guint8 *block = NULL;
        long length = 0;
        gboolean private = FALSE;
        EVP_PKEY *key = NULL;

        if (PEM_read_bio_ex(bio, &name, &header, &block, &length, PEM_FLAG_SECURE) != 1)
            break;
        *is_pem = TRUE;
        private = is_private_block(name);
        if (private && !found)
            key = decode_private_block(file, name, header, block, length, error);
        else if (!private && name_of_block(name))
            other = name_of_block(name);
        OPENSSL_secure_free(name);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(block, (gsize)length);
        if (private && found)
            return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                    "it holds more than one private key; put each into a file of its own");
        if (private && !key)
            return NULL;
        if (key)
            found = key;
    }
    /* A block that begins and does not end is PEM as well. */
    *is_pem = *is_pem || g_strstr_len(data, (gssize)size, "-----BEGIN ");
    if (found)
        return g_steal_pointer(&found);
    if (*is_pem)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label,
                                "this is %s and no private key; to make one: %s",
                                other ? other : "a damaged or incomplete PEM file",
                                policy_key_make_command(file->kinds));
    return NULL;
}

/* What DER that is no private key may be. */
static const char *name_of_der(const guint8 *data, gsize size)
{
    const guint8 *at = data;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, (long)size);
    X509 *certificate = NULL;
    const char *name = "damaged, incomplete or no key at all";

    at = data;
    if (!public && (certificate = d2i_X509(NULL, &at, (long)size)))
        name = "a certificate and no private key";
    else if (public)
        name = "a public key and no private one";
    EVP_PKEY_free(public);
    X509_free(certificate);
    return name;
}

static EVP_PKEY *decode_private_der(KeyFile *file, const guint8 *data, gsize size, GError **error)
{
    const guint8 *at = data;
    EVP_PKEY *key = decode_plain(data, size);
    g_autoptr(X509_SIG) encrypted = NULL;

    if (key)
        return key;
    encrypted = d2i_X509_SIG(NULL, &at, (long)size);
    if (encrypted)
        return decode_encrypted(file, data, size, error);
    return policy_key_error(error, ATTEST_ERROR_UNREADABLE, file->what, file->label, "this is %s; to make one: %s",
                            name_of_der(data, size), policy_key_make_command(file->kinds));
}

PolicyKey *policy_key_parse_private(gconstpointer data, gsize size, PolicyKeyKind kinds, const char *what,
                                    const char *label, int passphrase_fd, GError **error)
{
    KeyFile file = {what, label, kinds, passphrase_fd, NULL};
    g_autoptr(EVP_PKEY) evp = NULL;
    g_autoptr(EVP_PKEY_CTX) check = NULL;
    g_autoptr(PolicyKey) key = NULL;
    gboolean is_pem = FALSE;

    if (size > POLICY_KEY_MAX_SIZE)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label, "it is larger than %u bytes",
                                POLICY_KEY_MAX_SIZE);
    ERR_clear_error();
    evp = decode_private_pem(&file, data, size, &is_pem, error);
    if (!evp && !is_pem)
        evp = decode_private_der(&file, data, size, error);
    if (!evp)
        return NULL;
    key = policy_key_accept(g_steal_pointer(&evp), NULL, kinds, what, label, error);
    if (!key)
        return NULL;
    /* A public half that does not belong to it would be vouched for, and nobody could verify what is signed. */
    check = EVP_PKEY_CTX_new_from_pkey(NULL, policy_key_evp(key), NULL);
    if (!check || EVP_PKEY_pairwise_check(check) != 1 || EVP_PKEY_public_check(check) != 1)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label,
                                "its private and public halves do not belong together; to make another key: %s",
                                policy_key_make_command(kinds));
    ERR_clear_error();
    return g_steal_pointer(&key);
}

/* ---- Public keys ---- */

static PolicyKey *parse_public(gconstpointer data, gsize size, PolicyKeyKind kinds, const char *what, const char *label,
                               GError **error)
{
    g_autoptr(BIO) bio = size <= POLICY_KEY_MAX_SIZE ? BIO_new_mem_buf(data, (int)size) : NULL;
    char *name = NULL, *header = NULL;
    guint8 *block = NULL;
    long length = 0;
    const guint8 *at = data;
    g_autoptr(EVP_PKEY) evp = NULL;
    const char *other = NULL;

    if (!bio)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label, "it is larger than %u bytes",
                                POLICY_KEY_MAX_SIZE);
    ERR_clear_error();
    if (PEM_read_bio_ex(bio, &name, &header, &block, &length, PEM_FLAG_SECURE) == 1) {
        if (is_private_block(name) || g_str_has_suffix(name, "PRIVATE KEY"))
            other = "a private key, which does not belong here";
        else if (strcmp(name, PEM_STRING_PUBLIC))
            other = name_of_block(name) ? name_of_block(name) : "something else";
        at = block;
        if (!other)
            evp = d2i_PUBKEY(NULL, &at, length);
        if (evp && at != block + length)
            g_clear_pointer(&evp, EVP_PKEY_free);
        /* A second block would be a key that nobody asked about. */
        if (evp && g_strstr_len((const char *)data + BIO_tell(bio), (gssize)size - BIO_tell(bio), "-----BEGIN "))
            other = "more than one key; each has a file of its own";
        OPENSSL_secure_free(name);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(block, (gsize)length);
    } else if (!g_strstr_len(data, (gssize)size, "-----BEGIN ")) {
        evp = d2i_PUBKEY(NULL, &at, (long)size);
        if (evp && at != (const guint8 *)data + size)
            g_clear_pointer(&evp, EVP_PKEY_free);
        at = data;
        if (!evp && (evp = d2i_AutoPrivateKey(NULL, &at, (long)size)))
            other = "a private key, which does not belong here";
    }
    if (other)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label,
                                "this is %s; to make the file of a public key: " POLICY_PUBLIC_KEY_COMMAND, other);
    if (!evp)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label,
                                "this is no public key, or a damaged one; to make the file: "
                                POLICY_PUBLIC_KEY_COMMAND);
    {
        g_autoptr(EVP_PKEY_CTX) check = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
        g_autoptr(PolicyKey) key = policy_key_accept(g_steal_pointer(&evp), NULL, kinds, what, label, error);

        /* The whole check would multiply a point by the order of a group that has no other subgroup. */
        if (key && (!check || EVP_PKEY_public_check_quick(check) != 1))
            return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label, "its point is not on the curve");
        return g_steal_pointer(&key);
    }
}

PolicyKey *policy_key_parse_public(gconstpointer data, gsize size, PolicyKeyKind kinds, const char *what,
                                   GError **error)
{
    return parse_public(data, size, kinds, what, NULL, error);
}

static PolicyKey *load_public(const char *path, PolicyKeyFile file, PolicyKeyKind kinds, const char *what,
                              GError **error)
{
    gsize size = 0;
    gchar *data = NULL;
    PolicyKey *key = NULL;

    /* It may turn out to be a private one. */
    policy_key_protect_process();
    data = policy_key_read_file(path, file, kinds, what, &size, error);
    key = data ? parse_public(data, size, kinds, what, path, error) : NULL;
    if (data)
        OPENSSL_cleanse(data, size);
    g_free(data);
    return key;
}

PolicyKey *policy_key_load_public(const char *path, PolicyKeyKind kinds, const char *what, GError **error)
{
    return load_public(path, POLICY_KEY_FILE_ANY, kinds, what, error);
}

PolicyKey *policy_key_load_trusted(const char *path, PolicyKeyKind kinds, const char *what, GError **error)
{
    return load_public(path, POLICY_KEY_FILE_TRUSTED, kinds, what, error);
}

/* ---- Loading ---- */

gboolean policy_key_file_is_private(const char *path)
{
    gsize size = 0;
    gboolean private = FALSE;
    gchar *data = NULL;

    policy_key_protect_process();
    data = policy_key_read_file(path, POLICY_KEY_FILE_ANY, POLICY_KEY_P384 | POLICY_KEY_ED25519, "key", &size, NULL);
    if (!data)
        return FALSE;
    private = g_strstr_len(data, (gssize)size, "PRIVATE KEY-----") != NULL;
    if (!private) {
        const guint8 *plain_at = (const guint8 *)data, *encrypted_at = (const guint8 *)data;
        g_autoptr(EVP_PKEY) plain = d2i_AutoPrivateKey(NULL, &plain_at, (long)size);
        g_autoptr(X509_SIG) encrypted = d2i_X509_SIG(NULL, &encrypted_at, (long)size);

        private = plain || encrypted;
    }
    ERR_clear_error();
    OPENSSL_cleanse(data, size);
    g_free(data);
    return private;
}

PolicyKey *policy_key_load_private(const char *source, PolicyKeyKind kinds, const char *what, int passphrase_fd,
                                   GError **error)
{
    PolicyKey *key = NULL;
    g_autoptr(PolicyKey) public = NULL;
    gchar *data = NULL;
    gsize size = 0;

    policy_key_protect_process();
    if (!g_ascii_strncasecmp(source, "pkcs11:", strlen("pkcs11:")))
        return policy_key_load_token(source, kinds, what, passphrase_fd, error);
    data = policy_key_read_file(source, POLICY_KEY_FILE_SECRET, kinds, what, &size, error);
    if (!data) {
        /* The public half may be read by everybody, and closing it would not make it a private key. */
        public = policy_key_load_public(source, POLICY_KEY_P384 | POLICY_KEY_ED25519, what, NULL);
        if (public) {
            g_clear_error(error);
            return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, source,
                                    "this is a public key and no private key; to make one: %s",
                                    policy_key_make_command(kinds));
        }
        return NULL;
    }
    key = policy_key_parse_private(data, size, kinds, what, source, passphrase_fd, error);
    OPENSSL_cleanse(data, POLICY_KEY_MAX_SIZE + 1);
    g_free(data);
    return key;
}
