/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the reference document that its writer, its reader and the gate share. */
#pragma once

#include "policy/reference-json.h"

#define POLICY_REFERENCE_FORMAT "virt-attest-reference-1"

PolicyReference *policy_reference_alloc(void);
PolicyReferenceInput *policy_reference_input_new(const char *role, const char *path, const char *text, guint64 size,
                                                 const guint8 *sha256);
const PolicyReferenceInput *policy_reference_find_input(const PolicyReference *reference, const char *role);
/* NULL when @words have no hash tree. */
PolicyReferenceVerity *policy_reference_verity_new(const GuestWords *words);
JsonObject *policy_reference_verity_to_json(const PolicyReferenceVerity *verity);
PolicyReferenceVerity *policy_reference_verity_from_json(JsonObject *object, GError **error);
XmlMeasurement *policy_measurement_copy(const XmlMeasurement *measurement);
