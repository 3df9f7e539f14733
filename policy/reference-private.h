/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the reference document that its writer, its reader and the gate share. */
#pragma once

#include "policy/reference-json.h"

#define POLICY_REFERENCE_FORMAT "virt-attest-reference-1"
#define POLICY_BINDING_FORMAT "virt-attest-binding-1"

PolicyReference *policy_reference_alloc(void);
PolicyReferenceInput *policy_reference_input_new(const char *role, const char *path, const char *text, guint64 size,
                                                 const guint8 *sha256);
const PolicyReferenceInput *policy_reference_find_input(const PolicyReference *reference, const char *role);
/* A word of the document: ASCII letters, digits and a few marks, as CPU labels and rules have; 1 to 64 of them. */
gboolean policy_is_label(const char *text);

/* reference-verity.c. NULL when @words have no hash tree. */
PolicyReferenceVerity *policy_reference_verity_new(const GuestWords *words);
JsonObject *policy_reference_verity_to_json(const PolicyReferenceVerity *verity);
PolicyReferenceVerity *policy_reference_verity_from_json(JsonObject *object, GError **error);

/* reference-measurement.c */
XmlMeasurement *policy_measurement_copy(const XmlMeasurement *measurement);
/* By signature, features, vCPU count and floating-point variant: 0 when both are the same launch. */
gint policy_measurement_compare(const XmlMeasurement *a, const XmlMeasurement *b);
/* The same elements, borrowed, in the order of their keys, then of their labels. */
GPtrArray *policy_measurements_sorted(const GPtrArray *measurements);
JsonArray *policy_measurements_to_json(const PolicyReference *reference, PolicyReferenceForm form);
/* @reference has its form, platform and vmm_fpu already. */
gboolean policy_measurements_from_json(JsonObject *root, PolicyReference *reference, GError **error);

/* reference-facts.c */
gboolean policy_source_from_json(JsonObject *object, const char *where, const char *name, const char **out,
                                 GError **error);
void policy_rules_to_json(const PolicyReference *reference, JsonObject *root);
gboolean policy_rules_from_json(JsonObject *root, PolicyReference *reference, GError **error);

/* reference-identity.c. NULL when there is no pair of pages, or one of another version or algorithm. */
PolicyIdentity *policy_identity_new(GBytes *id_block, GBytes *id_auth, gboolean author_key);
JsonObject *policy_identity_to_json(const PolicyIdentity *identity);
PolicyIdentity *policy_identity_from_json(JsonObject *object, GError **error);
