/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The evidence document: what the program in the guest answers (guest/report/, virt-attest-guest(7)). */
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/appraisal/evidence-json.h"
#include "policy/json.h"
#include "policy/text.h"

#define KEY_MAX 4096

/* Only what an encoder would have written. */
static gboolean get_base64(JsonObject *object, const char *name, gboolean optional, GBytes **out, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *again = NULL;
    gsize size = 0;

    if (!policy_json_string(object, "", name, optional, &text, error))
        return FALSE;
    if (!text)
        return TRUE;
    if (!*text || strlen(text) % 4)
        return policy_json_error(error, "", name, "this is no base64");
    guint8 *data = g_base64_decode(text, &size);
    *out = g_bytes_new_take(data, size);
    again = g_base64_encode(data, size);
    return g_str_equal(again, text) || policy_json_error(error, "", name, "this is no base64");
}

/* The guest's own words; whoever reads them must see that they are. */
static gboolean guest_failed(const char *text, GError **error)
{
    g_autofree gchar *shown = policy_one_line(text, 300);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the guest has made no report; it says: %s", shown);
    return FALSE;
}

gboolean appraisal_document_is(JsonObject *object)
{
    return json_object_has_member(object, "format");
}

gboolean appraisal_document_read(JsonObject *object, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                                 gchar **ssh_host_key, GError **error)
{
    static const char *const known[] = {"format",  "provider", "vmpl",       "nonce", "reportData", "report",
                                        "auxblob", "error",    "sshHostKey", NULL};
    g_autofree gchar *format = NULL;
    g_autofree gchar *failure = NULL;
    g_autofree gchar *key = NULL;
    g_autoptr(GBytes) report = NULL;
    g_autoptr(GBytes) table = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];

    if (!policy_json_string(object, "", "format", FALSE, &format, error))
        return FALSE;
    if (!g_str_equal(format, APPRAISAL_DOCUMENT_FORMAT))
        return policy_json_error(error, "", "format", "it must be '%s'", APPRAISAL_DOCUMENT_FORMAT);
    if (!policy_json_members(object, "", known, error) ||
        !policy_json_string(object, "", "error", TRUE, &failure, error))
        return FALSE;
    if (failure)
        return guest_failed(failure, error);
    if (!get_base64(object, "report", FALSE, &report, error) || !get_base64(object, "auxblob", TRUE, &table, error) ||
        !policy_json_string(object, "", "sshHostKey", TRUE, &key, error))
        return FALSE;
    if (g_bytes_get_size(report) != APPRAISAL_REPORT_SIZE)
        return policy_json_error(error, "", "report", "it has %" G_GSIZE_FORMAT " bytes instead of the %u of a report",
                                 g_bytes_get_size(report), APPRAISAL_REPORT_SIZE);
    if (key && (strlen(key) > KEY_MAX || !appraisal_ssh_key_digest(key, digest)))
        return policy_json_error(error, "", "sshHostKey", "this is no public key of OpenSSH");
    memcpy(raw, g_bytes_get_data(report, NULL), APPRAISAL_REPORT_SIZE);
    if (table && !appraisal_table_parse(g_bytes_get_data(table, NULL), g_bytes_get_size(table), certificates, error))
        return FALSE;
    *ssh_host_key = g_steal_pointer(&key);
    return TRUE;
}

/* "TYPE BASE64": the blob begins with the length of its type and the type (RFC 4253, 6.6). */
gboolean appraisal_ssh_key_digest(const char *line, guint8 digest[MEASURE_SHA256_SIZE])
{
    static const char *const types[] = {"ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "ssh-rsa",             NULL};
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    gsize size = 0, length = 0;

    if (g_strv_length(words) != 2 || !g_strv_contains(types, words[0]) || !*words[1])
        return FALSE;
    g_autofree guint8 *blob = g_base64_decode(words[1], &size);
    g_autofree gchar *again = g_base64_encode(blob, size);
    length = strlen(words[0]);
    if (!g_str_equal(again, words[1]) || size <= 4 + length || blob[0] || blob[1] || blob[2] || blob[3] != length ||
        memcmp(blob + 4, words[0], length) != 0)
        return FALSE;
    policy_sha256(blob, size, digest);
    return TRUE;
}
