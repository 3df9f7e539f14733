/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/digests.h"

#include <string.h>

#include "measure/error.h"
#include "policy/guest-policy.h"
#include "policy/reference-private.h"
#include "policy/text.h"

gboolean exchange_fail(GError **error, gint code, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *line = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    line = policy_one_line(text, 1024);
    g_set_error_literal(error, ATTEST_ERROR, code, line);
    return FALSE;
}

gboolean exchange_check_text(const char *text, gsize size, gsize max, const char *what, GError **error)
{
    if (size > max)
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s is larger than %" G_GSIZE_FORMAT " bytes", what, max);
    return g_utf8_validate_len(text, size, NULL) ||
           exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s is not text in UTF-8", what);
}

ExchangeDigest *exchange_digest_new(const char *label, const guint8 bytes[MEASURE_SHA384_SIZE])
{
    ExchangeDigest *digest = g_new0(ExchangeDigest, 1);

    digest->label = g_strdup(label);
    memcpy(digest->bytes, bytes, MEASURE_SHA384_SIZE);
    return digest;
}

void exchange_digest_free(ExchangeDigest *digest)
{
    if (!digest)
        return;
    g_free(digest->label);
    g_free(digest);
}

GPtrArray *exchange_digests_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)exchange_digest_free);
}

gboolean exchange_require_snp(const PolicyReference *reference, const char *format, GError **error)
{
    if (reference->platform != MEASURE_PLATFORM_SNP)
        return exchange_fail(error, ATTEST_ERROR_USAGE, "%s is for SEV-SNP only, and this guest is one of %s", format,
                             measure_platform_name(reference->platform));
    if (!reference->measurements->len)
        return exchange_fail(error, ATTEST_ERROR_USAGE, "%s needs a measurement, and the reference has none", format);
    return TRUE;
}

gchar *exchange_left_out(const PolicyReference *reference, guint has, guint64 policy_bits)
{
    const PolicyIdentity *identity = reference->identity;
    guint64 bits = (reference->policy ^ POLICY_SNP_DEFAULT) & ~policy_bits;
    g_autofree gchar *flags = policy_guest_flags(MEASURE_PLATFORM_SNP, bits);
    const struct {
        guint flag;
        gboolean there;
        const char *name;
    } facts[] = {
        {EXCHANGE_HAS_HOST_DATA, reference->host_data != NULL, "host data"},
        {EXCHANGE_HAS_KEYS, identity != NULL, "key digests"},
        {EXCHANGE_HAS_IDS, identity != NULL, "family and image ID"},
        {EXCHANGE_HAS_SVN, identity != NULL, "guest SVN"},
        {EXCHANGE_HAS_PRODUCT, reference->product != NULL, "product"},
        {EXCHANGE_HAS_MINIMUM_TCB, reference->has_minimum_tcb, "minimum TCB"},
        {EXCHANGE_HAS_PLATFORM_INFO, reference->has_platform_info, "platform information"},
        {0, !identity && reference->id_block_sha256, "the ID block, of which only a digest is known"},
    };
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(facts); i++) {
        if (facts[i].there && !(has & facts[i].flag))
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", facts[i].name);
    }
    if (bits)
        g_string_append_printf(text, "%sguest policy 0x%" G_GINT64_MODIFIER "x (%s)", text->len ? ", " : "", bits,
                               flags);
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

const char *exchange_guest_name(const PolicyReference *reference)
{
    return reference->name && *reference->name ? reference->name : "guest";
}

const char *exchange_input(const PolicyReference *reference, const char *role, gboolean path)
{
    const PolicyReferenceInput *input = policy_reference_find_input(reference, role);
    const char *text = input ? path ? input->path : input->text : NULL;

    return text ? text : "";
}

guint exchange_only_vcpus(const PolicyReference *reference, const char *format, GError **error)
{
    const XmlMeasurement *first = g_ptr_array_index(reference->measurements, 0);

    for (guint i = 1; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);

        if (each->vcpus != first->vcpus) {
            exchange_fail(error, ATTEST_ERROR_USAGE,
                          "%s has one number of vCPUs, and the reference has several: "
                          "choose one with --vcpus",
                          format);
            return 0;
        }
    }
    return first->vcpus;
}

gboolean exchange_only_features(const PolicyReference *reference, const char *format, guint64 *out, GError **error)
{
    const XmlMeasurement *first = g_ptr_array_index(reference->measurements, 0);

    for (guint i = 1; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);

        if (each->features != first->features)
            return exchange_fail(error, ATTEST_ERROR_USAGE,
                                 "%s has one set of guest features, and the reference has several", format);
    }
    *out = first->features;
    return TRUE;
}
