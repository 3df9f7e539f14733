/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON as this suite reads and writes it: json-glib behind a check that takes
 * only what RFC 8259 calls JSON, with no member given twice, and getters that
 * say where a document is wrong.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "measure/launch.h"

/**
 * policy_json_parse:
 * @text: hostile
 * @size: bytes, or -1 when zero-terminated
 * @max_size: most bytes to accept
 * @what: what the document is, for the message
 *
 * Refuses comments, single quotes, assignments and everything else that json-glib takes beyond RFC 8259,
 * invalid UTF-8, "\u0000", nesting deeper than 16, duplicate members and a document that is not an object.
 *
 * Returns: (transfer full): the root node; %ATTEST_ERROR_UNREADABLE otherwise.
 */
JsonNode *policy_json_parse(const char *text, gssize size, gsize max_size, const char *what, GError **error);

/**
 * policy_json_members:
 * @known: names of the members that may be there, %NULL-terminated
 * @where: position in the document ("inputs.kernel"), "" for the root
 */
gboolean policy_json_members(JsonObject *object, const char *where, const char *const *known, GError **error);

/* Each sets @out and returns TRUE; a missing member is an error unless @optional, which leaves @out alone. */
gboolean policy_json_string(JsonObject *object, const char *where, const char *name, gboolean optional, gchar **out,
                            GError **error);
gboolean policy_json_uint(JsonObject *object, const char *where, const char *name, gboolean optional, guint64 max,
                          guint64 *out, GError **error);
gboolean policy_json_boolean(JsonObject *object, const char *where, const char *name, gboolean optional, gboolean *out,
                             GError **error);
/* A number written as "0x…", lower case, without leading zeros. */
gboolean policy_json_hex_number(JsonObject *object, const char *where, const char *name, gboolean optional,
                                guint64 *out, GError **error);
/* Exactly @size bytes as lower-case hexadecimal digits. */
gboolean policy_json_hex_bytes(JsonObject *object, const char *where, const char *name, gsize size, guint8 *out,
                               GError **error);
/* Borrowed from @object; an @optional member that is missing gives %NULL. */
gboolean policy_json_object(JsonObject *object, const char *where, const char *name, gboolean optional,
                            JsonObject **out, GError **error);
gboolean policy_json_array(JsonObject *object, const char *where, const char *name, gboolean optional, JsonArray **out,
                           GError **error);
/* Element @index of @array, which must be an object; @where gets its position, free it. */
JsonObject *policy_json_element(JsonArray *array, guint index, const char *where, const char *name, gchar **position,
                                GError **error);
/* Sets "WHERE.NAME: …" as ATTEST_ERROR_UNREADABLE and returns FALSE. */
gboolean policy_json_error(GError **error, const char *where, const char *name, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Adders for what JSON has no form for. A NULL string adds nothing. */
void policy_json_add_string(JsonObject *object, const char *name, const char *value);
void policy_json_add_hex_number(JsonObject *object, const char *name, guint64 value);
void policy_json_add_hex_bytes(JsonObject *object, const char *name, const guint8 *data, gsize size);

/* Text of @object (consumed); @pretty: indented and with a newline at the end, otherwise one line. */
gchar *policy_json_format(JsonObject *object, gboolean pretty);

/* SHA-256 of @size bytes. */
void policy_sha256(const void *data, gsize size, guint8 out[MEASURE_SHA256_SIZE]);
