/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private keys that stay in a token: a "pkcs11:" URI (RFC 7512) through OpenSSL's store. The store comes with a provider
 * (pkcs11-provider), which OpenSSL's configuration activates; where that does not, it is loaded here by its name.
 */
#include "policy/key-private.h"

#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

#include "measure/error.h"
#include "policy/text.h"

#define MAX_OBJECTS 64

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_LOADER, OSSL_STORE_LOADER_free)
static inline void store_close(OSSL_STORE_CTX *store) { OSSL_STORE_close(store); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_STORE_CTX, store_close)

typedef struct {
    int passphrase_fd;
    gboolean asked;
    const char *reason;
} TokenPin;

/* Answers what OpenSSL asks from the descriptor; where there is none, the question fails. */
static int read_answer(UI *ui, UI_STRING *question)
{
    TokenPin *pin = UI_get0_user_data(ui);
    char line[POLICY_PASSPHRASE_MAX + 1];
    int length, done = 0;

    if (UI_get_string_type(question) != UIT_PROMPT && UI_get_string_type(question) != UIT_VERIFY)
        return 1;
    /* A second question means that the first answer was not taken: the next line is another key's. */
    if (pin->asked) {
        pin->reason = "its PIN was not accepted";
        return 0;
    }
    pin->asked = TRUE;
    length = policy_key_read_passphrase(pin->passphrase_fd, line, &pin->reason);
    if (length > 0)
        done = UI_set_result_ex(ui, question, line, length) == 0;
    else if (pin->passphrase_fd < 0)
        pin->reason = "its token asks for a PIN, and none was given";
    OPENSSL_cleanse(line, sizeof(line));
    return done;
}

static int write_nothing(UI *ui, UI_STRING *question)
{
    return 1;
}

static gboolean has_store(void)
{
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_fetch(NULL, "pkcs11", NULL);

    OSSL_STORE_LOADER_free(loader);
    ERR_clear_error();
    return loader != NULL;
}

static gchar *last_reason(void)
{
    const char *reason = NULL;
    gulong code;

    while ((code = ERR_get_error()))
        reason = ERR_reason_error_string(code) ? ERR_reason_error_string(code) : reason;
    return policy_one_line(reason ? reason : "OpenSSL gives no reason", 200);
}

/* The private key that the store holds; more than one would be a choice that nobody made. */
static EVP_PKEY *only_private_key(OSSL_STORE_CTX *store, guint *found)
{
    EVP_PKEY *key = NULL;

    for (guint i = 0; i < MAX_OBJECTS && !OSSL_STORE_eof(store); i++) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (!info && OSSL_STORE_error(store))
            break;
        if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
            if ((*found)++ == 0)
                key = OSSL_STORE_INFO_get1_PKEY(info);
        }
        OSSL_STORE_INFO_free(info);
    }
    return key;
}

PolicyKey *policy_key_load_token(const char *uri, PolicyKeyKind kinds, const char *what, int passphrase_fd,
                                 GError **error)
{
    TokenPin pin = {passphrase_fd, FALSE, NULL};
    UI_METHOD *method = NULL;
    g_autoptr(OSSL_STORE_CTX) store = NULL;
    g_autoptr(EVP_PKEY) evp = NULL;
    guint found = 0;

    /* Everybody may read the command line of a process. The address itself is not repeated in the message. */
    if (strstr(uri, "pin-value"))
        return policy_key_error(error, ATTEST_ERROR_USAGE, what, NULL,
                                "the address of the token holds its PIN, which everybody on this machine can read there; "
                                "take 'pin-value' out, change the PIN, and give it with --passphrase-fd");
    if (!has_store() && (!OSSL_PROVIDER_try_load(NULL, "pkcs11", 1) || !has_store()))
        return policy_key_error(error, ATTEST_ERROR_NOT_CONFIGURED, what, uri,
                                "OpenSSL has no store for 'pkcs11:' here; install the package pkcs11-provider, and name "
                                "the token's module in PKCS11_PROVIDER_MODULE or in OpenSSL's configuration");
    method = UI_create_method("virt-attest");
    UI_method_set_reader(method, read_answer);
    UI_method_set_writer(method, write_nothing);
    store = OSSL_STORE_open_ex(uri, NULL, NULL, method, &pin, NULL, NULL, NULL);
    if (store && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) == 1)
        evp = only_private_key(store, &found);
    g_clear_pointer(&store, store_close);
    UI_destroy_method(method);
    if (!evp) {
        g_autofree gchar *reason = last_reason();

        if (pin.reason)
            return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri, "%s; give it with --passphrase-fd",
                                    pin.reason);
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri,
                                "no private key is found under this address (%s); check it, the token, the PIN and the "
                                "module that PKCS11_PROVIDER_MODULE or OpenSSL's configuration names",
                                reason);
    }
    if (found > 1)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri,
                                "%u private keys are found under this address; add 'object=NAME' or 'id=…' to it", found);
    return policy_key_accept(g_steal_pointer(&evp), kinds, what, uri, error);
}
