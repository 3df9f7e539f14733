/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the reference document that its writer, its reader, the gate and the hook's record share. */
#pragma once

#include <json-glib/json-glib.h>

#include "policy/reference.h"

#define POLICY_REFERENCE_FORMAT "virt-attest-reference-1"

PolicyReference *policy_reference_alloc(void);
PolicyReferenceInput *policy_reference_input_new(const char *role, const char *path, const char *text, guint64 size,
                                                 const guint8 *sha256);
void policy_reference_input_free(PolicyReferenceInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyReferenceInput, policy_reference_input_free)
const PolicyReferenceInput *policy_reference_find_input(const PolicyReference *reference, const char *role);
XmlMeasurement *policy_measurement_copy(const XmlMeasurement *measurement);

/* Adds a PolicyReferenceInput for everything that the measurement of @evaluation covers. */
void policy_collect_inputs(const PolicyEvaluation *evaluation, GPtrArray *inputs);

/* "inputs": {"firmware": {…}, …}, both ways. @text_optional: a command line may be there by its digest only. */
JsonObject *policy_input_to_json(const PolicyReferenceInput *input);
JsonObject *policy_inputs_to_json(const GPtrArray *inputs);
gboolean policy_inputs_from_json(JsonObject *object, const char *where, gboolean text_optional, GPtrArray *inputs,
                                 GError **error);

/* 36 characters, lower case. */
gboolean policy_uuid_valid(const char *uuid);
/* "2026-11-22T12:00:00Z" */
gboolean policy_time_valid(const char *time);
