/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID blocks per second against what OpenSSL can sign at all, measured in turn in one run:
 *
 *   bench-id-block [ROUNDS]
 *
 * Both figures are signatures per second of the processor's time, in one thread, the median of ROUNDS (default 5) of two
 * seconds each. The aim is 80 % of "openssl speed ecdsap384". Prints; asserts nothing.
 */
#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "policy/id-block.h"

#define SECONDS 2

static gdouble processor_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (gdouble)usage.ru_utime.tv_sec + (gdouble)usage.ru_stime.tv_sec +
           1e-6 * (gdouble)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static gdouble blocks_per_second(const PolicyIdIssuer *issuer)
{
    gdouble begin = processor_seconds(), end = begin;
    guint count = 0;

    while (end < begin + SECONDS) {
        PolicyIdBlock block = {.version = 1, .guest_svn = count, .policy = 0x30000};
        guint8 bytes[POLICY_ID_BLOCK_SIZE], page[POLICY_ID_AUTH_SIZE];

        memset(block.digest, (int)(count & 0xff), sizeof(block.digest));
        policy_id_block_format(&block, bytes);
        if (!policy_id_issuer_sign(issuer, bytes, page, NULL))
            g_error("cannot sign");
        count++;
        end = processor_seconds();
    }
    return count / (end - begin);
}

/* The figure "sign/s" of its last line: " 384 bits ecdsa (nistp384)   0.0008s   0.0007s   1212.7   1462.2". */
static gdouble openssl_per_second(void)
{
    g_autofree gchar *seconds = g_strdup_printf("%d", SECONDS);
    const char *const argv[] = {"openssl", "speed", "-seconds", seconds, "ecdsap384", NULL};
    g_autofree gchar *said = NULL;
    g_autoptr(GError) error = NULL;

    if (!g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &said, NULL,
                      NULL, &error))
        g_error("openssl: %s", error->message);
    const char *line = strstr(said, "nistp384)");
    gchar *at = line ? strstr(line, "s ") : NULL;
    if (at)
        at = strstr(at + 1, "s ");
    gdouble figure = at ? g_ascii_strtod(at + 1, NULL) : 0;
    if (figure <= 0)
        g_error("openssl speed says something else than expected:\n%s", said);
    return figure;
}

static gint by_value(gconstpointer a, gconstpointer b)
{
    gdouble left = *(const gdouble *)a, right = *(const gdouble *)b;

    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    guint rounds = argc > 1 ? (guint)CLAMP(atoi(argv[1]), 1, 100) : 5;
    g_autofree gdouble *ours = g_new(gdouble, rounds), *limit = g_new(gdouble, rounds);
    g_autoptr(PolicyKey) id = policy_key_from_evp(EVP_EC_gen("P-384"), POLICY_KEY_P384, "key", NULL);
    g_autoptr(PolicyKey) author = policy_key_from_evp(EVP_EC_gen("P-384"), POLICY_KEY_P384, "key", NULL);
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(id, author, NULL);

    for (guint i = 0; i < rounds; i++) {
        limit[i] = openssl_per_second();
        ours[i] = blocks_per_second(issuer);
    }
    qsort(ours, rounds, sizeof(*ours), by_value);
    qsort(limit, rounds, sizeof(*limit), by_value);
    printf("ID blocks: %.0f a second; openssl speed ecdsap384: %.0f signatures a second; ratio %.0f %% (aim: 80 %%)\n",
           ours[rounds / 2], limit[rounds / 2], 100 * ours[rounds / 2] / limit[rounds / 2]);
    return 0;
}
