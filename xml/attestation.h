/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The <attest:attestation> element in a domain's <metadata>. */
#pragma once

#include "measure/launch.h"

#define XML_ATTESTATION_URI "urn:virt-attest:domain:1"
#define XML_ATTESTATION_PREFIX "attest"
#define XML_ATTESTATION_MAX_MEASUREMENTS 4096

/**
 * XmlMeasurement:
 * @platform: what was measured for
 * @cpu: (nullable): label: model name, or signature; %NULL for plain SEV, which has none
 * @signature: CPUID Fn0000_0001_EAX of the virtual CPU; written unless @cpu is %NULL
 * @features: VMSA SEV_FEATURES; written unless @cpu is %NULL
 * @vcpus: number of VMSAs, 0 when the element has none
 * @has_fpu: @fpu is given (SEV-ES)
 * @digest: expected launch digest
 */
typedef struct {
    MeasurePlatform platform;
    gchar *cpu;
    guint32 signature;
    guint64 features;
    guint vcpus;
    gboolean has_fpu;
    MeasureFpu fpu;
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

/*
 * The element alone, with its namespace declaration: what virDomainSetMetadata() takes with the key
 * %XML_ATTESTATION_PREFIX. The declaration is the default one, since libvirt declares the key itself and refuses a text
 * that has done so already. The same contents give the same bytes. A character that XML cannot carry becomes U+FFFD.
 */
gchar *xml_attestation_format(const XmlAttestation *attestation);
/*
 * Reads the element back (text of the element alone). The namespace counts, not the prefix; elements without any are
 * taken for ours, as virDomainGetMetadata() takes the namespace away. Strict, %ATTEST_ERROR_UNREADABLE: unknown
 * elements and attributes ("written by a newer version"), numbers out of range, a digest that does not fit the
 * platform, two inputs of one role, two measurements of one kind, more than %XML_ATTESTATION_MAX_MEASUREMENTS. An
 * absent onMismatch means refuse.
 */
XmlAttestation *xml_attestation_parse(const char *text, gssize size, GError **error);

/**
 * xml_document_set_attestation:
 * @domain_xml: a domain XML
 * @attestation: (nullable): the element to put there, replacing ours whatever its prefix; %NULL removes it
 *
 * Everything else is kept, other metadata, comments and CDATA included. <metadata> is made where there is none;
 * an emptied one stays. The element that is replaced is not read, so a damaged one can be replaced or removed.
 *
 * Returns: (transfer full): the document, in UTF-8; %ATTEST_ERROR_UNREADABLE when @domain_xml is no domain XML.
 */
gchar *xml_document_set_attestation(const char *domain_xml, gssize size, const XmlAttestation *attestation,
                                    GError **error);
