/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pins what a domain measures now, for the tests of the hook: pin XML refuse|observe; prints the metadata element. */
#include <stdio.h>
#include <string.h>

#include "policy/store.h"

static void die(const GError *error)
{
    fprintf(stderr, "pin: %s\n", error->message);
    exit(3);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyConfig) config = NULL;
    g_autoptr(PolicyStore) store = NULL;
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(PolicyEvaluation) evaluation = NULL;
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(XmlAttestation) attestation = NULL;
    g_autofree gchar *xml = NULL;
    g_autofree gchar *element = NULL;
    PolicyEvaluateOptions options = {.reference = POLICY_REFERENCE_ASSUMED};
    gsize size = 0;

    if (argc != 3)
        return 2;
    if (!(config = policy_config_load(NULL, &error)) || !g_file_get_contents(argv[1], &xml, &size, &error) ||
        !(domain = xml_domain_parse(xml, (gssize)size, &error)))
        die(error);
    options.config = config;
    evaluation = policy_evaluate(domain, &options);
    reference = policy_reference_new(
        domain, evaluation, strcmp(argv[2], "observe") ? XML_ON_MISMATCH_REFUSE : XML_ON_MISMATCH_OBSERVE, &error);
    if (!reference || !(store = policy_store_open(config->state_directory, TRUE, &error)) ||
        !policy_store_put_reference(store, reference, &error))
        die(error);
    attestation = policy_reference_to_attestation(reference);
    element = xml_attestation_format(attestation);
    puts(element);
    return 0;
}
