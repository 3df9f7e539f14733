/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/curl-load.h"

#include "storage/library.h"

static StorageCurl curl;

#ifdef LIBRARIES_LINKED

/* As for libvirt: the address sanitizer wants to see libraries before they are used. */
static gboolean find_functions(GError **error)
{
    curl.global_init = curl_global_init;
    curl.easy_init = curl_easy_init;
    curl.easy_setopt = (curl_easy_setopt);
    curl.easy_perform = curl_easy_perform;
    curl.easy_getinfo = (curl_easy_getinfo);
    curl.easy_cleanup = curl_easy_cleanup;
    curl.easy_reset = curl_easy_reset;
    curl.easy_strerror = curl_easy_strerror;
    return TRUE;
}

#else

static gboolean find_functions(GError **error)
{
    const StorageSymbol symbols[] = {
        {"curl_global_init", (void **)&curl.global_init},   {"curl_easy_init", (void **)&curl.easy_init},
        {"curl_easy_setopt", (void **)&curl.easy_setopt},   {"curl_easy_perform", (void **)&curl.easy_perform},
        {"curl_easy_getinfo", (void **)&curl.easy_getinfo}, {"curl_easy_cleanup", (void **)&curl.easy_cleanup},
        {"curl_easy_reset", (void **)&curl.easy_reset},     {"curl_easy_strerror", (void **)&curl.easy_strerror},
    };

    return storage_library_load("libcurl.so.4", "asks the Key Distribution Service", "libcurl4", symbols,
                                G_N_ELEMENTS(symbols), error);
}

#endif

const StorageCurl *storage_curl_load(GError **error)
{
    static gboolean loaded;

    if (loaded)
        return &curl;
    if (!find_functions(error))
        return NULL;
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "libcurl cannot be used on this machine");
        return NULL;
    }
    loaded = TRUE;
    return &curl;
}
