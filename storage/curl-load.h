/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcurl, loaded when it is first needed (storage/library.h). */
#pragma once

#include <curl/curl.h>

#include "measure/error.h"

/**
 * StorageCurl:
 *
 * The functions of libcurl that are used here, by their names without "curl_".
 */
typedef struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *handle);
    CURLcode (*easy_getinfo)(CURL *handle, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *handle);
    void (*easy_reset)(CURL *handle);
    const char *(*easy_strerror)(CURLcode code);
} StorageCurl;

/* Errors: %ATTEST_ERROR_NOT_CONFIGURED: libcurl is not installed. Never freed. */
const StorageCurl *storage_curl_load(GError **error);
