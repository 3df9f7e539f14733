/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inputs of a measurement as JSON, for the documents that have them: references and records. */
#pragma once

#include <json-glib/json-glib.h>

#include "policy/reference.h"

/* "inputs": {"firmware": {…}, …}, both ways. @text_optional: a command line may be there by its digest only. */
JsonObject *policy_inputs_to_json(const GPtrArray *inputs);
gboolean policy_inputs_from_json(JsonObject *object, const char *where, gboolean text_optional, GPtrArray *inputs,
                                 GError **error);
