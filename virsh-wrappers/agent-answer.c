/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/agent-answer.h"

#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/text.h"
#include "virsh-wrappers/fetch-report.h"

/* Characters of the program's words that are shown. */
#define WORDS_MAX 300
/* Bytes of standard error that are looked at. */
#define ERRORS_MAX 4096
#define COMMANDS_MAX 1000

void cmd_agent_status_clear(CmdAgentStatus *status)
{
    g_clear_pointer(&status->output, g_free);
    g_clear_pointer(&status->errors, g_free);
}

/* {"return": {…}} */
static JsonNode *parse(const char *text, JsonObject **out, GError **error)
{
    g_autoptr(JsonNode) root = policy_json_parse(text, -1, CMD_AGENT_MAX, "answer of the guest agent", error);
    if (!root || !policy_json_object(json_node_get_object(root), "", "return", FALSE, out, error)) {
        return NULL;
    }
    return g_steal_pointer(&root);
}

/* Base64 as an encoder writes it; %NULL in @out when it is not there, or empty. */
static gboolean get_bytes(JsonObject *object, const char *name, GBytes **out, GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!policy_json_string(object, "return", name, TRUE, &text, error)) {
        return FALSE;
    }
    if (!text || !*text) {
        return TRUE;
    }
    guint8 *data = strlen(text) % 4 == 0 ? g_base64_decode(text, &size) : NULL;
    g_autofree gchar *again = data ? g_base64_encode(data, size) : NULL;
    *out = data ? g_bytes_new_take(data, size) : NULL;
    return g_strcmp0(again, text) == 0 || policy_json_error(error, "return", name, "this is no base64");
}

static gboolean get_output(JsonObject *object, gchar **out, GError **error)
{
    g_autoptr(GBytes) data = NULL;
    gboolean cut = FALSE;
    gsize size = 0;
    if (!get_bytes(object, "out-data", &data, error) ||
        !policy_json_boolean(object, "return", "out-truncated", TRUE, &cut, error)) {
        return FALSE;
    }
    const char *bytes = data ? g_bytes_get_data(data, &size) : NULL;
    if (cut || size > CMD_FETCH_MAX) {
        return policy_json_error(error, "return", "out-data", "it has more than %u bytes", CMD_FETCH_MAX);
    }
    if (size > 0 && memchr(bytes, '\0', size)) {
        return policy_json_error(error, "return", "out-data", "there is a zero byte in it");
    }
    *out = size > 0 ? g_strchomp(g_strndup(bytes, size)) : NULL;
    return TRUE;
}

/* The first line is the one that stands alone. */
static gboolean get_errors(JsonObject *object, gchar **out, GError **error)
{
    g_autoptr(GBytes) data = NULL;
    gsize size = 0;
    if (!get_bytes(object, "err-data", &data, error)) {
        return FALSE;
    }
    const char *bytes = data ? g_bytes_get_data(data, &size) : NULL;
    if (size > 0) {
        g_autofree gchar *text = g_strndup(bytes, MIN(size, ERRORS_MAX));
        g_autofree gchar *line = g_strndup(text, strcspn(text, "\n"));
        *out = policy_one_line(g_str_has_prefix(line, "error: ") ? line + strlen("error: ") : line, WORDS_MAX);
    }
    return TRUE;
}

gboolean cmd_agent_read_exec(const char *text, guint64 *pid, GError **error)
{
    JsonObject *answer = NULL;
    g_autoptr(JsonNode) root = parse(text, &answer, error);
    return root && policy_json_uint(answer, "return", "pid", FALSE, G_MAXINT32, pid, error);
}

gboolean cmd_agent_read_status(const char *text, CmdAgentStatus *out, GError **error)
{
    JsonObject *answer = NULL;
    guint64 code = 0, number = 0;
    g_autoptr(JsonNode) root = parse(text, &answer, error);
    if (!root || !policy_json_boolean(answer, "return", "exited", FALSE, &out->exited, error)) {
        return FALSE;
    }
    if (!out->exited) {
        return TRUE;
    }
    gboolean has_code = json_object_has_member(answer, "exitcode");
    out->code = -1;
    if (!policy_json_uint(answer, "return", "exitcode", TRUE, G_MAXINT32, &code, error) ||
        !policy_json_uint(answer, "return", "signal", TRUE, G_MAXINT32, &number, error)) {
        return FALSE;
    }
    if (has_code == json_object_has_member(answer, "signal")) {
        return policy_json_error(error, "return", "exitcode", "there must be either an exit code or a signal");
    }
    out->code = has_code ? (int)code : -1;
    return get_output(answer, &out->output, error) && get_errors(answer, &out->errors, error);
}

gboolean cmd_agent_read_info(const char *text, const char *command, gboolean *out, GError **error)
{
    JsonObject *answer = NULL;
    JsonArray *commands = NULL;
    g_autoptr(JsonNode) root = parse(text, &answer, error);
    *out = FALSE;
    if (!root || !policy_json_array(answer, "return", "supported_commands", FALSE, &commands, error)) {
        return FALSE;
    }
    if (json_array_get_length(commands) > COMMANDS_MAX) {
        return policy_json_error(error, "return", "supported_commands", "there are more than %d", COMMANDS_MAX);
    }
    for (guint i = 0; i < json_array_get_length(commands); i++) {
        g_autofree gchar *where = NULL;
        g_autofree gchar *name = NULL;
        gboolean enabled = FALSE;
        JsonObject *each = policy_json_element(commands, i, "return", "supported_commands", &where, error);
        if (!each || !policy_json_string(each, where, "name", FALSE, &name, error) ||
            !policy_json_boolean(each, where, "enabled", FALSE, &enabled, error)) {
            return FALSE;
        }
        *out = *out || (enabled && g_str_equal(name, command));
    }
    return TRUE;
}
