/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The <attest:attestation> element in a domain's <metadata>. */
#pragma once

#include "measure/launch.h"

#define XML_ATTESTATION_URI "urn:virt-attest:domain:1"
#define XML_ATTESTATION_PREFIX "attest"

typedef struct {
    MeasurePlatform platform;
    gchar *cpu; /* label: model name, or signature */
    guint32 signature;
    guint64 features;
    guint vcpus; /* 0 when the element has none */
    MeasureDigest digest;
} XmlMeasurement;

typedef struct {
    gchar *role; /* "firmware", "kernel", "initrd", "cmdline" */
    guint64 size;
    guint8 sha256[MEASURE_SHA256_SIZE];
} XmlInput;

typedef enum { XML_ON_MISMATCH_REFUSE, XML_ON_MISMATCH_OBSERVE } XmlOnMismatch;

/**
 * XmlAttestation:
 * @level: 0 to 4
 * @on_mismatch: what the hook does when a start does not match
 * @measurements: (element-type XmlMeasurement)
 * @inputs: (element-type XmlInput)
 * @verity_root_hash: (nullable): hexadecimal
 */
typedef struct {
    guint level;
    XmlOnMismatch on_mismatch;
    GPtrArray *measurements;
    GPtrArray *inputs;
    gchar *verity_root_hash;
} XmlAttestation;

XmlAttestation *xml_attestation_new(void);
void xml_attestation_free(XmlAttestation *attestation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlAttestation, xml_attestation_free)
XmlMeasurement *xml_measurement_new(void);
void xml_measurement_free(XmlMeasurement *measurement);
XmlInput *xml_input_new(const char *role, guint64 size, const guint8 *sha256);
void xml_input_free(XmlInput *input);

/* The element alone, with its namespace declaration: what virDomainSetMetadata() takes. */
gchar *xml_attestation_format(const XmlAttestation *attestation);
/* Reads the element back (text of the element alone, as virDomainGetMetadata() returns it). */
XmlAttestation *xml_attestation_parse(const char *text, gssize size, GError **error);

/**
 * xml_document_set_attestation:
 * @domain_xml: a domain XML
 * @attestation: (nullable): the element to put there, replacing ours whatever its prefix; %NULL removes it
 *
 * Returns: (transfer full): the document with everything else kept, other metadata included.
 */
gchar *xml_document_set_attestation(const char *domain_xml, gssize size, const XmlAttestation *attestation, GError **error);
