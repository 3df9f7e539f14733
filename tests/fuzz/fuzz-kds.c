/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a Key Distribution Service answers, and what is imported: certificates and revocation lists in PEM and DER. What
 * is taken has a name that is safe as a file's, and reads as the same again; what is not has a reason that is safe to
 * print. The roots are those of kds-anchor.pem, so that good ones of the corpus get all the way.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/certificates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const AppraisalAnchors *anchors(void)
{
    static AppraisalAnchors *loaded;

    if (!loaded) {
        g_autofree gchar *path = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE") ? g_getenv("VIRT_ATTEST_SOURCE") : ".",
                                                  "tests", "fuzz", "kds-anchor.pem", NULL);
        g_autoptr(GError) error = NULL;

        loaded = appraisal_anchors_load(path, &error);
        if (!loaded)
            g_error("%s", error->message);
    }
    return loaded;
}

static void check_message(const GError *error)
{
    if (!error || !g_utf8_validate(error->message, -1, NULL))
        abort();
    for (const char *at = error->message; *at; at++) {
        if (g_ascii_iscntrl(*at))
            abort();
    }
}

static void check_name(const char *name)
{
    if (!name || !*name || *name == '.' || strlen(name) > 160 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.") != strlen(name))
        abort();
}

static void read_one(const StorageCertificates *cache, gconstpointer data, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageCertificate) found =
        storage_certificate_read(cache, data, size, APPRAISAL_SIGNER_VCEK, &error);
    g_autoptr(StorageCertificate) again = NULL;

    if (!found) {
        check_message(error);
        return;
    }
    check_name(found->name);
    again = storage_certificate_read(cache, g_bytes_get_data(found->data, NULL), g_bytes_get_size(found->data),
                                     found->signer, &error);
    if (!again || strcmp(again->name, found->name) || !g_bytes_equal(again->data, found->data))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(StorageCertificates) cache = storage_certificates_new(NULL, anchors());
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) parts = storage_certificates_split(data, size, &error);

    if (!parts)
        check_message(error);
    for (guint i = 0; parts && i < parts->len; i++)
        read_one(cache, g_bytes_get_data(g_ptr_array_index(parts, i), NULL),
                 g_bytes_get_size(g_ptr_array_index(parts, i)));
    read_one(cache, data, size);
    return 0;
}
