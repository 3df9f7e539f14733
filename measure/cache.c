/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/cache.h"

#include <string.h>

#include "measure/hash.h"

/* Raise it when the meaning of a value changes. The program's version is part of every value as well: a later release
 * may judge a firmware differently. */
#define FORMAT "measure-1 " VERSION

#define MAX_VALUE 4096
#define ABSENT "-"

/*
 * A value is fields between tabs: FORMAT, kind, the kind's own fields, and last the check over all of that and the
 * file's identity.
 */
static gchar *check_of(const MeasureInput *input, const char *kind, const char *body)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree gchar *identity =
        g_strdup_printf("%s\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GINT64_FORMAT
                        "\t%" G_GINT64_FORMAT "\n",
                        kind, input->size, input->device, input->inode, input->mtime_ns, input->ctime_ns);
    guint8 digest[MEASURE_SHA256_SIZE];

    measure_hash_update(state, identity, strlen(identity));
    measure_hash_update(state, body, strlen(body));
    measure_hash_finish(state, digest);
    return measure_hex_encode(digest, sizeof digest);
}

/* The kind's own fields, or NULL when there is no value for @input or it is not to be believed. */
static gchar **get_fields(const MeasureCache *cache, const MeasureInput *input, const char *kind, guint n_fields)
{
    g_autofree gchar *value = cache && cache->lookup ? cache->lookup(input, kind, cache->user_data) : NULL;

    if (!value || strlen(value) > MAX_VALUE)
        return NULL;
    gchar *last = strrchr(value, '\t');
    if (!last)
        return NULL;
    *last = '\0';
    g_autofree gchar *check = check_of(input, kind, value);
    g_auto(GStrv) fields = g_strsplit(value, "\t", 0);
    if (strcmp(check, last + 1) != 0 || g_strv_length(fields) != 2 + n_fields || strcmp(fields[0], FORMAT) != 0 ||
        strcmp(fields[1], kind) != 0)
        return NULL;
    return g_strdupv(fields + 2);
}

static void put_fields(const MeasureCache *cache, const MeasureInput *input, const char *kind, const char *fields)
{
    g_autofree gchar *body = g_strdup_printf("%s\t%s\t%s", FORMAT, kind, fields);
    g_autofree gchar *check = check_of(input, kind, body);
    g_autofree gchar *value = g_strdup_printf("%s\t%s", body, check);

    if (strlen(value) <= MAX_VALUE)
        cache->store(input, kind, value, cache->user_data);
}

gboolean measure_cache_get_file(const MeasureCache *cache, MeasureInput *input)
{
    g_auto(GStrv) fields = get_fields(cache, input, "file", 1);

    input->cached = fields && measure_hex_decode(fields[0], input->sha256, sizeof input->sha256);
    return input->cached;
}

void measure_cache_put_file(const MeasureCache *cache, const MeasureInput *input)
{
    g_autofree gchar *digest = measure_hex_encode(input->sha256, sizeof input->sha256);

    if (cache && cache->store)
        put_fields(cache, input, "file", digest);
}

void measure_firmware_facts_clear(MeasureFirmwareFacts *facts)
{
    g_clear_pointer(&facts->build, measure_firmware_build_free);
    memset(facts, 0, sizeof *facts);
}

/* Free text as one field: "-" for NULL, else "=" and the text with everything but printable ASCII escaped. */
static gchar *text_field(const char *text)
{
    g_autofree gchar *escaped = text ? g_strescape(text, NULL) : NULL;

    return text ? g_strconcat("=", escaped, NULL) : g_strdup(ABSENT);
}

static gchar *text_of(const char *field)
{
    return field[0] == '=' ? g_strcompress(field + 1) : NULL;
}

gboolean measure_cache_get_firmware(const MeasureCache *cache, const MeasureInput *input, MeasureFirmwareFacts *facts)
{
    g_auto(GStrv) fields = get_fields(cache, input, "firmware", 5);
    MeasureVerifier verifier;

    if (!fields || !measure_hex_decode(fields[0], facts->sha256, sizeof facts->sha256))
        return FALSE;
    facts->known = TRUE;
    facts->has_seed = measure_hex_decode(fields[1], facts->seed, sizeof facts->seed);
    if (measure_verifier_from_name(fields[2], &verifier)) {
        g_autofree gchar *version = text_of(fields[3]);
        g_autofree gchar *reason = text_of(fields[4]);
        facts->build = measure_firmware_build_new(verifier, version, reason);
    }
    return TRUE;
}

void measure_cache_put_firmware(const MeasureCache *cache, const MeasureInput *input, const MeasureFirmwareFacts *facts)
{
    if (!cache || !cache->store)
        return;
    g_autofree gchar *digest = measure_hex_encode(facts->sha256, sizeof facts->sha256);
    g_autofree gchar *seed = facts->has_seed ? measure_hex_encode(facts->seed, sizeof facts->seed) : g_strdup(ABSENT);
    g_autofree gchar *version = text_field(facts->build ? facts->build->version : NULL);
    g_autofree gchar *reason = text_field(facts->build ? facts->build->reason : NULL);
    g_autofree gchar *fields =
        g_strjoin("\t", digest, seed, facts->build ? measure_verifier_name(facts->build->verifier) : ABSENT, version,
                  reason, NULL);

    put_fields(cache, input, "firmware", fields);
}
