/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/kds.h"

#include <string.h>

#include "measure/error.h"
#include "policy/text.h"
#include "storage/curl-load.h"

#define CONNECT_TIMEOUT_MS (20 * 1000)
#define MAX_REDIRECTS 3
/* How often something that is no request to wait is tried. */
#define MAX_FAILURES 4
/* The service takes about one request in ten seconds from an address. */
#define FIRST_PAUSE_MS (10 * 1000)
#define MAX_PAUSE_MS (60 * 1000)

struct StorageKds {
    const StorageCurl *curl;
    CURL *handle;
    gchar *url, *scheme;
    gint64 timeout_ms;
    StorageKdsOptions options;
};

/* What one attempt has brought. */
typedef struct {
    GByteArray *body;
    gsize max_size;
    gboolean too_large;
    CURLcode code;
    char message[CURL_ERROR_SIZE];
    long status;
    gint64 retry_after_ms; /* -1: not said */
} Answer;

static gboolean refuse_url(GError **error, const char *url, const char *why)
{
    g_autofree gchar *shown = measure_printable(url);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "'%s' is no address of a Key Distribution Service: %s", shown, why);
    return FALSE;
}

gboolean storage_kds_check_url(const char *url, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD, NULL);
    const char *scheme = uri ? g_uri_get_scheme(uri) : NULL;

    for (const char *at = url; *at; at++) {
        if (!g_ascii_isgraph(*at))
            return refuse_url(error, url, "blanks and letters beyond ASCII have to be written as %XX");
    }
    if (!uri || !g_uri_get_host(uri) || !*g_uri_get_host(uri) || strlen(url) > 2000)
        return refuse_url(error, url, "write https://HOST[:PORT][/PATH]");
    if (strcmp(scheme, "https") && strcmp(scheme, "http"))
        return refuse_url(error, url, "only https and http are spoken");
    /* Credentials would be in the list of processes and in messages. */
    if (g_uri_get_userinfo(uri))
        return refuse_url(error, g_uri_get_host(uri), "user and password have no place in front of the host");
    if (g_uri_get_query(uri) || g_uri_get_fragment(uri))
        return refuse_url(error, url, "leave out what stands behind '?' or '#'");
    return TRUE;
}

static gboolean take_url(StorageKds *kds, const char *url, GError **error)
{
    if (!storage_kds_check_url(url, error))
        return FALSE;
    kds->url = g_strdup(url);
    for (gsize n = strlen(url); n > 0 && kds->url[n - 1] == '/'; n--)
        kds->url[n - 1] = '\0';
    kds->scheme = g_strdup(g_uri_peek_scheme(url));
    return TRUE;
}

StorageKds *storage_kds_new(const StorageKdsOptions *options, GError **error)
{
    g_autoptr(StorageKds) kds = g_new0(StorageKds, 1);

    kds->options = *options;
    kds->timeout_ms = (gint64)(options->timeout ? options->timeout : STORAGE_KDS_TIMEOUT) * 1000;
    if (!take_url(kds, options->url ? options->url : STORAGE_KDS_URL, error))
        return NULL;
    kds->curl = storage_curl_load(error);
    if (!kds->curl)
        return NULL;
    kds->handle = kds->curl->easy_init();
    if (!kds->handle) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "libcurl cannot be used on this machine");
        return NULL;
    }
    return g_steal_pointer(&kds);
}

void storage_kds_free(StorageKds *kds)
{
    if (!kds)
        return;
    if (kds->handle)
        kds->curl->easy_cleanup(kds->handle);
    g_free(kds->url);
    g_free(kds->scheme);
    g_free(kds);
}

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
    Answer *answer = user_data;
    gsize bytes = size * count;

    if (bytes > answer->max_size - answer->body->len) {
        answer->too_large = TRUE;
        return 0;
    }
    g_byte_array_append(answer->body, (const guint8 *)data, (guint)bytes);
    return bytes;
}

/* The scheme of the address, and of every redirect. */
static CURLcode set_protocols(StorageKds *kds)
{
    CURLcode code = CURLE_OK;

#if LIBCURL_VERSION_NUM >= 0x075500
    code = kds->curl->easy_setopt(kds->handle, CURLOPT_PROTOCOLS_STR, kds->scheme);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_REDIR_PROTOCOLS_STR, kds->scheme);
#else
    long protocol = strcmp(kds->scheme, "https") ? CURLPROTO_HTTP : CURLPROTO_HTTPS;

    code = kds->curl->easy_setopt(kds->handle, CURLOPT_PROTOCOLS, protocol);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_REDIR_PROTOCOLS, protocol);
#endif
    return code;
}

static CURLcode set_number(StorageKds *kds, CURLoption option, long value)
{
    return kds->curl->easy_setopt(kds->handle, option, value);
}

/* Every option that keeps us safe has to be taken, or nothing is asked. */
static CURLcode prepare(StorageKds *kds, const char *url, Answer *answer, gint64 timeout_ms)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_FOLLOWLOCATION, 1},
        {CURLOPT_MAXREDIRS, MAX_REDIRECTS},
        {CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS},
        {CURLOPT_TIMEOUT_MS, (long)timeout_ms},
    };
    CURLcode code = set_protocols(kds);

    for (guint i = 0; code == CURLE_OK && i < G_N_ELEMENTS(numbers); i++)
        code = set_number(kds, numbers[i].option, numbers[i].value);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_URL, url);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_ERRORBUFFER, answer->message);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_USERAGENT, "virt-attest/" VERSION);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)answer->max_size);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_WRITEDATA, answer);
    if (code == CURLE_OK)
        code = kds->curl->easy_setopt(kds->handle, CURLOPT_WRITEFUNCTION, take_body);
    return code;
}

static void ask(StorageKds *kds, const char *url, Answer *answer, gint64 timeout_ms)
{
    curl_off_t seconds = 0;

    g_byte_array_set_size(answer->body, 0);
    answer->too_large = FALSE;
    answer->message[0] = '\0';
    answer->status = 0;
    answer->retry_after_ms = -1;
    kds->curl->easy_reset(kds->handle);
    answer->code = prepare(kds, url, answer, timeout_ms);
    if (answer->code != CURLE_OK)
        return;
    answer->code = kds->curl->easy_perform(kds->handle);
    answer->too_large |= answer->code == CURLE_FILESIZE_EXCEEDED;
    kds->curl->easy_getinfo(kds->handle, CURLINFO_RESPONSE_CODE, &answer->status);
    if (kds->curl->easy_getinfo(kds->handle, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
        answer->retry_after_ms = (gint64)MIN(seconds, G_MAXINT32) * 1000;
}

/* TRUE when another attempt may bring something else. */
static gboolean is_transient(const Answer *answer)
{
    switch (answer->code) {
    case CURLE_OK:
        return answer->status == 429 || answer->status >= 500;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_OPERATION_TIMEDOUT:
        return TRUE;
    default:
        return FALSE;
    }
}

static gchar *describe(const StorageKds *kds, const Answer *answer, gsize max_size)
{
    g_autofree gchar *detail = NULL;

    if (answer->too_large)
        return g_strdup_printf("its answer is larger than %" G_GSIZE_FORMAT " bytes, which no such document is",
                               max_size);
    if (answer->code == CURLE_OK) {
        if (answer->status == 404)
            return g_strdup("it knows no such document (status 404): check product, chip and TCB");
        if (answer->status == 429)
            return g_strdup("it wants fewer requests from this address (status 429)");
        return g_strdup_printf("it answers with status %ld", answer->status);
    }
    detail = policy_one_line(answer->message[0] ? answer->message : kds->curl->easy_strerror(answer->code), 200);
    return g_steal_pointer(&detail);
}

static gboolean fail(const StorageKds *kds, const Answer *answer, gsize max_size, const char *more, GError **error)
{
    g_autofree gchar *what = describe(kds, answer, max_size);
    g_autofree gchar *shown = measure_printable(kds->url);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "nothing from the Key Distribution Service at %s: %s%s",
                shown, what, more);
    return FALSE;
}

/* How long to wait before the attempt behind @failures (from 1 on) others. */
static gint64 pause_before(const Answer *answer, guint failures)
{
    gint64 pause = answer->status == 429 && answer->code == CURLE_OK ? FIRST_PAUSE_MS : 1000;

    if (answer->retry_after_ms >= 0)
        return answer->retry_after_ms;
    pause = MIN(pause << MIN(failures - 1, 6), MAX_PAUSE_MS);
    /* Hosts of a fleet that were turned away together do not come back together. */
    return pause + g_random_int_range(0, (gint32)(pause / 4 + 1));
}

static gboolean get(StorageKds *kds, const char *url, Answer *answer, GError **error)
{
    gint64 deadline = g_get_monotonic_time() / 1000 + kds->timeout_ms;
    guint failures = 0, turned_away = 0;

    for (;;) {
        gint64 left = deadline - g_get_monotonic_time() / 1000;
        gint64 pause = 0;
        gboolean asked_to_wait = FALSE;

        ask(kds, url, answer, MAX(left, 1));
        if (answer->code == CURLE_OK && answer->status == 200)
            return TRUE;
        if (answer->too_large || !is_transient(answer))
            return fail(kds, answer, answer->max_size, "", error);
        asked_to_wait = answer->code == CURLE_OK && answer->status == 429;
        pause = pause_before(answer, asked_to_wait ? ++turned_away : ++failures);
        left = deadline - g_get_monotonic_time() / 1000;
        if (failures >= MAX_FAILURES)
            return fail(kds, answer, answer->max_size, "; tried four times", error);
        if (pause >= left) {
            g_autofree gchar *more =
                g_strdup_printf("; there was no more time for another attempt (of %" G_GINT64_FORMAT
                                " s): try again later", kds->timeout_ms / 1000);

            return fail(kds, answer, answer->max_size, more, error);
        }
        if (kds->options.notice) {
            g_autofree gchar *what = describe(kds, answer, answer->max_size);
            g_autofree gchar *text = g_strdup_printf("Key Distribution Service: %s; trying again in %.0f s", what,
                                                     (double)pause / 1000);

            kds->options.notice(text, kds->options.user_data);
        }
        g_usleep((gulong)pause * 1000);
    }
}

GBytes *storage_kds_get(StorageKds *kds, const char *path, gsize max_size, GError **error)
{
    g_autofree gchar *url = g_strconcat(kds->url, path, NULL);
    Answer answer = {.body = g_byte_array_new(), .max_size = max_size};
    gboolean good = get(kds, url, &answer, error);

    if (good && answer.body->len == 0) {
        g_autofree gchar *shown = measure_printable(kds->url);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the Key Distribution Service at %s gave an empty answer", shown);
        good = FALSE;
    }
    if (!good) {
        g_byte_array_unref(answer.body);
        return NULL;
    }
    return g_byte_array_free_to_bytes(answer.body);
}
