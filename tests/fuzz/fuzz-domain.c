/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain XML from anybody: reading it, describing its launch and putting our
 * element into it must end in a result or an error that is safe to print.
 */
#include <stdint.h>
#include <stdlib.h>

#include "xml/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(GError *error)
{
    if (error == NULL || !g_utf8_validate(error->message, -1, NULL)) {
        abort();
    }
    for (const char *at = error->message; *at != '\0'; at++) {
        if (g_ascii_iscntrl(*at)) {
            abort();
        }
    }
    g_error_free(error);
}

/* What was read stays the same when only our element changes. */
static void check_rewrite(const char *text, gssize size, const XmlDomain *domain)
{
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();
    GError *error = NULL;
    g_autofree gchar *with = xml_document_set_attestation(text, size, attestation, &error);
    g_autofree gchar *without = NULL;

    if (with == NULL) {
        check_error(error);
        return;
    }
    {
        g_autoptr(XmlDomain) again = xml_domain_parse(with, -1, NULL);

        if (domain != NULL &&
            (again == NULL || again->attestation == NULL || g_strcmp0(again->cmdline, domain->cmdline) != 0 ||
             g_strcmp0(again->loader, domain->loader) != 0 || again->policy != domain->policy ||
             again->disks->len != domain->disks->len || again->vcpus_boot != domain->vcpus_boot)) {
            abort();
        }
    }
    without = xml_document_set_attestation(with, -1, NULL, NULL);
    if (without == NULL) {
        abort();
    }
    {
        g_autoptr(XmlDomain) last = xml_domain_parse(without, -1, NULL);

        if (domain != NULL && (last == NULL || last->attestation != NULL)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = data != NULL ? (const char *)data : "";
    const XmlLaunchOptions options = {.on_launch_host = TRUE};
    GError *error = NULL;
    g_autoptr(XmlDomain) domain = xml_domain_parse(text, (gssize)size, &error);
    g_autoptr(MeasureLaunch) launch = NULL;

    if (domain == NULL) {
        check_error(error);
    } else {
        launch = xml_domain_to_launch(domain, &options, &error);
        if (launch == NULL) {
            check_error(error);
        } else if (launch->vcpus == 0 || launch->vcpus > MEASURE_MAX_VCPUS || launch->firmware == NULL) {
            abort();
        }
    }
    check_rewrite(text, (gssize)size, domain);
    return 0;
}
