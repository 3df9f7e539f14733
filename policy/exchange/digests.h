/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every format of reference values comes down to: a list of launch digests with names. */
#pragma once

#include "policy/reference.h"

/**
 * ExchangeDigest:
 * @label: what the format calls it: a deployment, a CPU type
 * @bytes: launch digest of SEV-SNP
 * @has_svn: the format says which security version number a guest with this digest has: @svn
 */
typedef struct {
    gchar *label;
    guint8 bytes[MEASURE_SHA384_SIZE];
    gboolean has_svn;
    guint64 svn;
} ExchangeDigest;

ExchangeDigest *exchange_digest_new(const char *label, const guint8 bytes[MEASURE_SHA384_SIZE]);
void exchange_digest_free(ExchangeDigest *digest);
/* (element-type ExchangeDigest), owning */
GPtrArray *exchange_digests_new(void);

/* What a format has a place for. */
typedef enum {
    EXCHANGE_HAS_HOST_DATA = 1 << 0,
    EXCHANGE_HAS_KEYS = 1 << 1, /* digests of ID key and author key */
    EXCHANGE_HAS_IDS = 1 << 2,  /* family and image */
    EXCHANGE_HAS_SVN = 1 << 3,
    EXCHANGE_HAS_PRODUCT = 1 << 4,
    EXCHANGE_HAS_MINIMUM_TCB = 1 << 5,
    EXCHANGE_HAS_PLATFORM_INFO = 1 << 6,
} ExchangeHas;

/**
 * exchange_left_out:
 * @policy_bits: bits of the guest policy that the format states or its verifier demands
 *
 * Returns: (nullable): what @reference demands of a report and the format cannot say, "host data, key digests"; of the
 * guest policy what differs from the usual %POLICY_SNP_DEFAULT.
 */
gchar *exchange_left_out(const PolicyReference *reference, guint has, guint64 policy_bits);
/* "%s" is the format's name in messages. %ATTEST_ERROR_USAGE unless @reference is of SEV-SNP and has measurements. */
gboolean exchange_require_snp(const PolicyReference *reference, const char *format, GError **error);
/* Name of the guest in a format that needs one: the domain's, else "guest". */
const char *exchange_guest_name(const PolicyReference *reference);
/* The text of the input @role, "" for none; @path: its path instead of its text. */
const char *exchange_input(const PolicyReference *reference, const char *role, gboolean path);
/* The one number of vCPUs that all measurements have; 0 with %ATTEST_ERROR_USAGE when there are several. */
guint exchange_only_vcpus(const PolicyReference *reference, const char *format, GError **error);
/* The one set of guest features; FALSE with %ATTEST_ERROR_USAGE when there are several. */
gboolean exchange_only_features(const PolicyReference *reference, const char *format, guint64 *out, GError **error);
/* FALSE with %ATTEST_ERROR_UNREADABLE unless @text is UTF-8 without NUL and at most @max bytes. @what: for the message.
 */
gboolean exchange_check_text(const char *text, gsize size, gsize max, const char *what, GError **error);
/* Sets ATTEST_ERROR of @code, text of @format made one line, and returns FALSE. */
gboolean exchange_fail(GError **error, gint code, const char *format, ...) G_GNUC_PRINTF(3, 4);
