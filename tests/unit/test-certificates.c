/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The certificate cache with AMD's own certificates, where the collected vectors are there, and what is asked of the
 * Key Distribution Service. What needs a service and made certificates is in tests/storage/test-kds.py.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "measure/error.h"
#include "storage/kds.h"

static const char *vectors;

static gchar *make_folder(void)
{
    g_autoptr(GError) error = NULL;
    gchar *folder = g_dir_make_tmp("test-certificates-XXXXXX", &error);

    g_assert_no_error(error);
    return folder;
}

/* Every folder that the store makes, by name. */
static void remove_folder(const char *folder)
{
    static const char *const kinds[] = {"references", "records", "volumes", "cache", "certificates", "nonces",
                                       "verdicts",   NULL};

    for (guint i = 0; kinds[i]; i++) {
        g_autofree gchar *path = g_build_filename(folder, "state", kinds[i], NULL);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree gchar *file = g_build_filename(path, name, NULL);

            g_assert_cmpint(g_unlink(file), ==, 0);
        }
        g_rmdir(path);
    }
    g_autofree gchar *state = g_build_filename(folder, "state", NULL);
    g_rmdir(state);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

/* ---- what is asked ---- */

static const PolicyTcb milan_tcb = {4, 0, 24, 219, -1};
static const PolicyTcb turin_tcb = {1, 1, 4, 81, 1};

static void test_path(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *chip = g_strnfill(128, 'a');
    g_autofree gchar *milan = storage_kds_vcek_path(APPRAISAL_LINE_MILAN, chip, &milan_tcb, &error);
    g_autofree gchar *turin = storage_kds_vcek_path(APPRAISAL_LINE_TURIN, "59790fb1c39f35c1", &turin_tcb, &error);
    g_autofree gchar *expected = g_strdup_printf("/vcek/v1/Milan/%s?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219", chip);

    g_assert_no_error(error);
    g_assert_cmpstr(milan, ==, expected);
    g_assert_cmpstr(turin, ==,
                    "/vcek/v1/Turin/59790fb1c39f35c1?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81");
}

static void test_path_refused(void)
{
    g_autofree gchar *long_chip = g_strnfill(128, 'a');
    g_autofree gchar *upper = g_strnfill(128, 'A');
    g_autofree gchar *slash = g_strnfill(128, '/');
    const struct {
        AppraisalLine line;
        const char *chip;
        const PolicyTcb *tcb;
    } rows[] = {
        {APPRAISAL_LINE_UNKNOWN, long_chip, &milan_tcb},      {APPRAISAL_LINE_MILAN, "59790fb1c39f35c1", &milan_tcb},
        {APPRAISAL_LINE_MILAN, upper, &milan_tcb},            {APPRAISAL_LINE_MILAN, slash, &milan_tcb},
        {APPRAISAL_LINE_MILAN, "", &milan_tcb},               {APPRAISAL_LINE_MILAN, long_chip, &turin_tcb},
        {APPRAISAL_LINE_TURIN, long_chip, &turin_tcb},        {APPRAISAL_LINE_TURIN, "59790fb1c39f35c1", &milan_tcb},
        {APPRAISAL_LINE_TURIN, "59790fb1c39f35c", &turin_tcb},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(storage_kds_vcek_path(rows[i].line, rows[i].chip, rows[i].tcb, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    }
}

/* ---- PEM and DER ---- */

static void test_split(void)
{
    static const char block[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    static const char list[] = "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n";
    static const char key[] = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    static const guint8 der[] = {0x30, 0x00};
    static const guint8 big[300 * 1024] = {0x30};
    g_autofree gchar *two = g_strconcat("words\n", block, list, "more words\n", NULL);
    g_autofree gchar *with_key = g_strconcat(block, key, NULL);
    g_autofree gchar *torn = g_strndup(two, strlen(two) - 40);
    g_autoptr(GString) many = g_string_new(NULL);
    g_autoptr(GPtrArray) parts = storage_certificates_split(two, strlen(two), NULL);

    g_assert_nonnull(parts);
    g_assert_cmpuint(parts->len, ==, 2);
    g_assert_cmpmem(g_bytes_get_data(g_ptr_array_index(parts, 0), NULL), 2, der, 2);
    g_assert_cmpuint(g_bytes_get_size(g_ptr_array_index(parts, 1)), ==, 5);
    g_clear_pointer(&parts, g_ptr_array_unref);
    parts = storage_certificates_split(der, sizeof(der), NULL);
    g_assert_nonnull(parts);
    g_assert_cmpuint(parts->len, ==, 1);
    for (guint i = 0; i < 33; i++)
        g_string_append(many, block);
    const struct {
        gconstpointer data;
        gsize size;
    } bad[] = {
        {with_key, strlen(with_key)}, {torn, strlen(torn)}, {many->str, many->len}, {big, sizeof(big)},
        {"", 0},                      {"hello", 5},         {key, strlen(key)},     {"\0\0\0\0", 4},
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(storage_certificates_split(bad[i].data, bad[i].size, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

/* ---- AMD's own ---- */

static GBytes *read_vector(const char *name)
{
    g_autofree gchar *path = g_build_filename(vectors, name, NULL);
    gchar *data = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, size);
}

static AppraisalLine line_of(const char *name)
{
    AppraisalLine line = APPRAISAL_LINE_UNKNOWN;

    g_assert_true(appraisal_line_from_name(strrchr(name, '-') + 1, &line));
    return line;
}

/* "3.1=4" of the last column of certs.tsv; -1 when there is none. */
static int number_of(const char *extensions, const char *oid)
{
    g_auto(GStrv) words = g_strsplit(extensions, ";", -1);
    g_autofree gchar *prefix = g_strconcat(oid, "=", NULL);

    for (gchar **word = words; *word; word++) {
        if (g_str_has_prefix(*word, prefix))
            return atoi(*word + strlen(prefix));
    }
    return -1;
}

static const char *hwid_of(const char *extensions)
{
    const char *at = strstr(extensions, ";4=");

    return at ? at + 3 : NULL;
}

/* What a row of certs.tsv says about the certificate that was found. */
static void check_row(const StorageCertificate *found, gchar **row)
{
    const char *subject = row[2], *issuer = row[3], *extensions = row[11];
    gboolean vcek = !strcmp(subject, "SEV-VCEK"), vlek = !strcmp(subject, "SEV-VLEK");
    const char *kind = vcek ? "vcek" : vlek ? "vlek" : g_str_has_prefix(subject, "ARK-") ? "ark"
                       : g_str_has_prefix(subject, "SEV-VLEK-") ? "asvk" : "ask";
    g_autoptr(GDateTime) before = g_date_time_new_from_iso8601(row[6], NULL);
    g_autoptr(GDateTime) after = g_date_time_new_from_iso8601(row[7], NULL);

    g_assert_cmpstr(storage_certificate_kind_name(found->kind), ==, kind);
    g_assert_cmpint(found->line, ==, line_of(vcek || vlek ? issuer : subject));
    g_assert_cmpint(found->not_before, ==, g_date_time_to_unix(before));
    g_assert_cmpint(found->not_after, ==, g_date_time_to_unix(after));
    if (!vcek && !vlek)
        return;
    g_assert_cmpint(found->tcb.bootloader, ==, number_of(extensions, "3.1"));
    g_assert_cmpint(found->tcb.tee, ==, number_of(extensions, "3.2"));
    g_assert_cmpint(found->tcb.snp, ==, number_of(extensions, "3.3"));
    g_assert_cmpint(found->tcb.microcode, ==, number_of(extensions, "3.8"));
    g_assert_cmpint(found->tcb.fmc, ==, number_of(extensions, "3.9"));
    g_assert_cmpstr(found->chip, ==, hwid_of(extensions));
}

static void check_lookup(const StorageCertificates *cache, const StorageCertificate *found)
{
    if (found->kind == STORAGE_CERTIFICATE_VCEK) {
        g_autofree gchar *why = NULL;
        g_autoptr(AppraisalEndorsement) again =
            storage_certificates_vcek(cache, found->line, found->chip, &found->tcb, &why);
        PolicyTcb other = found->tcb;

        g_assert_cmpstr(why, ==, NULL);
        g_assert_nonnull(again);
        g_assert_cmpint(again->not_after, ==, found->not_after);
        other.snp ^= 1;
        g_assert_null(storage_certificates_vcek(cache, found->line, found->chip, &other, NULL));
    } else if (found->kind == STORAGE_CERTIFICATE_VLEK) {
        g_autoptr(GPtrArray) vleks = storage_certificates_vleks(cache, found->line, &found->tcb);

        g_assert_cmpuint(vleks->len, ==, 1);
    } else {
        g_autoptr(GPtrArray) chain = storage_certificates_intermediates(cache, found->line, found->signer);

        g_assert_cmpuint(chain->len, >=, 1);
    }
}

static void test_amd(void)
{
    g_autofree gchar *folder = NULL;
    g_autofree gchar *text = NULL;
    g_autofree gchar *table = vectors ? g_build_filename(vectors, "reports", "certs.tsv", NULL) : NULL;
    g_autoptr(GError) error = NULL;
    guint count = 0;

    if (!vectors || !g_file_get_contents(table, &text, NULL, NULL)) {
        g_test_skip("no vectors");
        return;
    }
    folder = make_folder();
    g_autofree gchar *state = g_build_filename(folder, "state", NULL);
    g_autoptr(PolicyStore) store = policy_store_open(state, FALSE, &error);
    g_assert_no_error(error);
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    g_autoptr(StorageCertificates) cache = storage_certificates_new(store, anchors);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 1; lines[i] && *lines[i]; i++) {
        g_auto(GStrv) row = g_strsplit(lines[i], "\t", -1);
        g_autoptr(GBytes) data = NULL;

        g_assert_cmpuint(g_strv_length(row), >=, 12);
        data = read_vector(row[0]);
        g_autoptr(GPtrArray) parts =
            storage_certificates_split(g_bytes_get_data(data, NULL), g_bytes_get_size(data), &error);
        g_assert_no_error(error);
        GBytes *part = g_ptr_array_index(parts, (guint)atoi(row[1]));
        g_autoptr(StorageCertificate) found = storage_certificate_read(
            cache, g_bytes_get_data(part, NULL), g_bytes_get_size(part), APPRAISAL_SIGNER_VCEK, &error);
        g_assert_no_error(error);
        check_row(found, row);
        g_assert_true(storage_certificates_put(cache, found, &error));
        g_assert_no_error(error);
        check_lookup(cache, found);
        g_hash_table_add(names, g_strdup(found->name));
        count++;
    }
    g_assert_cmpuint(count, >, 20);
    g_autoptr(GPtrArray) list = storage_certificates_list(cache, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(list->len, ==, g_hash_table_size(names));
    for (guint i = 0; i < list->len; i++) {
        const StorageCertificate *each = g_ptr_array_index(list, i);

        g_assert_cmpstr(each->problem, ==, NULL);
        g_assert_true(g_hash_table_contains(names, each->name));
    }
    g_clear_pointer(&cache, storage_certificates_free);
    g_clear_pointer(&store, policy_store_free);
    remove_folder(folder);
}

/* Every byte of an entry counts, the head's too, save the day on which it came. */
static void test_every_byte(void)
{
    g_autofree gchar *folder = NULL;
    g_autofree gchar *good = NULL;
    g_autoptr(GError) error = NULL;
    gsize size = 0;

    if (!vectors) {
        g_test_skip("no vectors");
        return;
    }
    folder = make_folder();
    g_autofree gchar *state = g_build_filename(folder, "state", NULL);
    g_autoptr(PolicyStore) store = policy_store_open(state, TRUE, &error);
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    g_autoptr(StorageCertificates) cache = storage_certificates_new(store, anchors);
    g_autoptr(GBytes) data = read_vector("reports/milan-v2-virtee/vcek.der");
    g_autoptr(StorageCertificate) found = storage_certificate_read(
        cache, g_bytes_get_data(data, NULL), g_bytes_get_size(data), APPRAISAL_SIGNER_VCEK, &error);

    g_assert_no_error(error);
    g_assert_true(storage_certificates_put(cache, found, &error));
    g_autofree gchar *path = g_build_filename(state, "certificates", found->name, NULL);
    g_assert_true(g_file_get_contents(path, &good, &size, &error));
    const char *day = good + strlen("virt-attest certificate 1 ");
    gsize day_from = (gsize)(day - good), day_to = day_from + strcspn(day, " ");
    for (gsize at = 0; at < size; at++) {
        g_autofree gchar *why = NULL;
        g_autofree gchar *changed = g_memdup2(good, size);
        g_autoptr(AppraisalEndorsement) endorsement = NULL;

        if (at >= day_from && at < day_to)
            continue;
        changed[at] = (gchar)(changed[at] ^ 1);
        /* In place: the permissions stay. */
        FILE *file = fopen(path, "r+");
        g_assert_nonnull(file);
        g_assert_cmpuint(fwrite(changed, 1, size, file), ==, size);
        fclose(file);
        endorsement = storage_certificates_vcek(cache, found->line, found->chip, &found->tcb, &why);
        g_assert_null(endorsement);
        g_assert_nonnull(why);
    }
    g_clear_pointer(&cache, storage_certificates_free);
    g_clear_pointer(&store, policy_store_free);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vectors = g_getenv("VIRT_ATTEST_VECTORS");
    g_test_add_func("/certificates/path", test_path);
    g_test_add_func("/certificates/path-refused", test_path_refused);
    g_test_add_func("/certificates/split", test_split);
    g_test_add_func("/certificates/amd", test_amd);
    g_test_add_func("/certificates/every-byte", test_every_byte);
    return g_test_run();
}
