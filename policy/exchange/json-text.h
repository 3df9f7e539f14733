/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON of programs that are written in Python: read as strictly as our own, and written to the byte as its
 * json.dump(indent=2, sort_keys=True) does, so that a file which both of us write changes only where a fact has
 * changed.
 */
#pragma once

#include "policy/json.h"

/* Most bytes that any of the formats here may have. */
#define EXCHANGE_JSON_MAX_SIZE (4u * 1024 * 1024)

/* policy_json_parse() for a document that is an array. @what: as there. */
JsonNode *exchange_json_parse_array(const char *text, gssize size, const char *what, GError **error);
/* Members sorted, ASCII only, no newline at the end. */
gchar *exchange_json_format(JsonNode *node);
/* The same of @object (consumed), with a newline at the end. */
gchar *exchange_json_format_object(JsonObject *object);
