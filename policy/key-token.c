/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private keys that stay in a token: a "pkcs11:" URI (RFC 7512) through OpenSSL's store. The store comes with a
 * provider (pkcs11-provider), which OpenSSL's configuration activates; where that does not, it is loaded here by its
 * name.
 *
 * All of it lives in a library context of its own: a token in software (SoftHSM) uses OpenSSL's default one itself, and
 * a digest that this then got from the provider would wait forever for a lock that it holds.
 */
#include "policy/key-private.h"

#include <openssl/conf.h>
#include <string.h>

#include "measure/error.h"
#include "policy/text.h"

#define MAX_OBJECTS 64

/* Answers what OpenSSL asks from the descriptor; where there is none, the question fails. */
static int read_answer(UI *ui, UI_STRING *question)
{
    PolicyKeyContext *pin = UI_get0_user_data(ui);
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

void policy_key_context_free(PolicyKeyContext *context)
{
    if (!context)
        return;
    if (context->store)
        OSSL_STORE_close(context->store);
    if (context->method)
        UI_destroy_method(context->method);
    if (context->token)
        OSSL_PROVIDER_unload(context->token);
    if (context->base)
        OSSL_PROVIDER_unload(context->base);
    OSSL_LIB_CTX_free(context->library);
    g_free(context);
}

static gboolean has_store(const PolicyKeyContext *context)
{
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_fetch(context->library, "pkcs11", NULL);

    OSSL_STORE_LOADER_free(loader);
    ERR_clear_error();
    return loader != NULL;
}

/* %NULL when there is no store. */
static PolicyKeyContext *context_new(void)
{
    g_autoptr(PolicyKeyContext) context = g_new0(PolicyKeyContext, 1);
    char *configuration = CONF_get1_default_config_file();

    context->library = OSSL_LIB_CTX_new();
    /* It may name the token's module and activate the provider; it may as well be missing. */
    if (configuration && g_file_test(configuration, G_FILE_TEST_EXISTS))
        OSSL_LIB_CTX_load_config(context->library, configuration);
    OPENSSL_free(configuration);
    context->base = OSSL_PROVIDER_load(context->library, "default");
    if (!has_store(context))
        context->token = OSSL_PROVIDER_load(context->library, "pkcs11");
    return context->base && has_store(context) ? g_steal_pointer(&context) : NULL;
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
    g_autoptr(PolicyKeyContext) context = NULL;
    g_autoptr(EVP_PKEY) evp = NULL;
    guint found = 0;

    /* Everybody may read the command line of a process. The address itself is not repeated in the message. */
    if (strstr(uri, "pin-value"))
        return policy_key_error(error, ATTEST_ERROR_USAGE, what, NULL,
                                "the address of the token holds its PIN, which everybody on this machine can read "
                                "there; "
                                "take 'pin-value' out, change the PIN, and give it with --passphrase-fd");
    context = context_new();
    if (!context)
        return policy_key_error(error, ATTEST_ERROR_NOT_CONFIGURED, what, uri,
                                "OpenSSL has no store for 'pkcs11:' here; install the package pkcs11-provider, and "
                                "name "
                                "the token's module in PKCS11_PROVIDER_MODULE or in OpenSSL's configuration");
    context->passphrase_fd = passphrase_fd;
    context->method = UI_create_method("virt-attest");
    UI_method_set_reader(context->method, read_answer);
    UI_method_set_writer(context->method, write_nothing);
    context->store = OSSL_STORE_open_ex(uri, context->library, NULL, context->method, context, NULL, NULL, NULL);
    if (context->store && OSSL_STORE_expect(context->store, OSSL_STORE_INFO_PKEY) == 1)
        evp = only_private_key(context->store, &found);
    if (!evp) {
        g_autofree gchar *reason = last_reason();

        if (context->reason)
            return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri, "%s; give it with --passphrase-fd",
                                    context->reason);
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri,
                                "no private key is found under this address (%s); check it, the token, the PIN and the "
                                "module that PKCS11_PROVIDER_MODULE or OpenSSL's configuration names",
                                reason);
    }
    if (found > 1)
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, uri,
                                "%u private keys are found under this address; add 'object=NAME' or 'id=…' to it",
                                found);
    return policy_key_accept(g_steal_pointer(&evp), g_steal_pointer(&context), kinds, what, uri, error);
}
