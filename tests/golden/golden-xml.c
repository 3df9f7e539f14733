/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recorded input beside the result that somebody has read and found right.
 * VIRT_ATTEST_REGENERATE=1 writes the results anew: look at the difference
 * before committing it.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "xml/compose.h"
#include "xml/domain.h"
#include "xml/identity.h"

static gchar *folder_of(const char *name)
{
    return g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "golden", "xml", name, NULL);
}

static void compare(const char *folder, const char *base, const char *suffix, const char *actual)
{
    g_autofree gchar *name = g_strconcat(base, suffix, NULL);
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autofree gchar *expected = NULL;
    g_autoptr(GError) error = NULL;

    if (g_strcmp0(g_getenv("VIRT_ATTEST_REGENERATE"), "1") == 0) {
        g_file_set_contents(path, actual, -1, &error);
        g_assert_no_error(error);
    }
    g_file_get_contents(path, &expected, NULL, &error);
    g_assert_no_error(error);
    if (strcmp(expected, actual) != 0) {
        g_test_message("%s: got\n%s", name, actual);
    }
    g_assert_cmpstr(actual, ==, expected);
}

/* Calls @check with every file of the folder that ends in @suffix, and nothing else behind its name's stem. */
static void walk(const char *kind, const char *suffix,
                 void (*check)(const char *folder, const char *base, const char *text))
{
    g_autofree gchar *folder = folder_of(kind);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *name = NULL;
    guint count = 0;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree gchar *base = g_strndup(name, strcspn(name, "."));
        g_autofree gchar *wanted = g_strconcat(base, suffix, NULL);
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        g_autofree gchar *text = NULL;

        if (strcmp(wanted, name) != 0) {
            continue;
        }
        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        check(folder, base, text);
        count++;
    }
    g_assert_cmpuint(count, >, 0);
}

static void add_text(GString *out, const char *name, const char *value)
{
    if (value != NULL) {
        g_string_append_printf(out, "%s = '%s'\n", name, value);
    }
}

static void add_bytes(GString *out, const char *name, GBytes *bytes)
{
    if (bytes != NULL) {
        g_string_append_printf(out, "%s = %" G_GSIZE_FORMAT " bytes\n", name, g_bytes_get_size(bytes));
    }
}

static void add_strings(GString *out, const char *name, const GPtrArray *strings)
{
    for (guint i = 0; i < strings->len; i++) {
        add_text(out, name, g_ptr_array_index(strings, i));
    }
}

static void add_launch(GString *out, const XmlDomain *domain)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MeasureLaunch) launch = xml_domain_to_launch(domain, NULL, &error);

    if (launch == NULL) {
        g_string_append_printf(out, "launch refused: %s\n", error->message);
        return;
    }
    g_string_append_printf(out, "launch: %s, fpu %s, features 0x%" G_GINT64_MODIFIER "x, %u vcpus%s\n",
                           measure_platform_name(launch->platform), measure_fpu_name(launch->fpu),
                           launch->guest_features, launch->vcpus, launch->kernel_hashes ? ", kernel hashes" : "");
    for (guint i = 0; i < launch->cpus->len; i++) {
        const MeasureCpu *cpu = g_ptr_array_index(launch->cpus, i);

        g_string_append_printf(out, "launch cpu: %s 0x%x\n", cpu->name, cpu->signature);
    }
    add_text(out, "launch firmware", launch->firmware);
    add_text(out, "launch kernel", launch->kernel);
    add_text(out, "launch initrd", launch->initrd);
    add_text(out, "launch cmdline", launch->cmdline);
}

static void check_domain(const char *folder, const char *base, const char *text)
{
    static const char *const loaders[] = {"none", "unresolved", "rom", "pflash"};
    static const char *const cpus[] = {"default", "custom", "host-model", "host-passthrough"};
    g_autoptr(GError) error = NULL;
    g_autoptr(XmlDomain) domain = xml_domain_parse(text, -1, &error);
    g_autoptr(GString) out = g_string_new(NULL);

    g_assert_no_error(error);
    add_text(out, "name", domain->name);
    add_text(out, "uuid", domain->uuid);
    add_text(out, "type", domain->type);
    add_text(out, "arch", domain->arch);
    add_text(out, "machine", domain->machine);
    add_text(out, "emulator", domain->emulator);
    g_string_append_printf(out, "loader type: %s%s\n", loaders[domain->loader_type],
                           domain->loader_stateless ? ", stateless" : "");
    add_text(out, "loader", domain->loader);
    add_text(out, "loader format", domain->loader_format);
    add_text(out, "nvram", domain->nvram);
    add_text(out, "kernel", domain->kernel);
    add_text(out, "initrd", domain->initrd);
    add_text(out, "cmdline", domain->cmdline);
    g_string_append_printf(out, "vcpus: %u of %u\n", domain->vcpus_boot, domain->vcpus_max);
    g_string_append_printf(out, "cpu: %s %s\n", cpus[domain->cpu_mode],
                           domain->cpu_model != NULL ? domain->cpu_model : "-");
    add_text(out, "launch security", domain->launch_type_name);
    if (domain->has_policy) {
        g_string_append_printf(
            out, "policy: 0x%" G_GINT64_MODIFIER "x from '%s', kernel hashes %d, author key %d, vcek off %d\n",
            domain->policy, domain->policy_text, domain->kernel_hashes, domain->author_key, domain->vcek_disabled);
        g_string_append_printf(out, "cbitpos: %d, reduced: %d\n", domain->cbitpos, domain->reduced_phys_bits);
    }
    add_text(out, "dh cert", domain->dh_cert);
    add_text(out, "session", domain->session);
    add_bytes(out, "host data", domain->host_data);
    add_strings(out, "unknown launch", domain->unknown_launch);
    add_strings(out, "unknown", domain->unknown);
    add_strings(out, "qemu argument", domain->qemu_args);
    for (guint i = 0; i < domain->disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(domain->disks, i);

        g_string_append_printf(out, "disk: %s %s %s as %s, format %s, serial %s%s\n", disk->type, disk->device,
                               disk->source, disk->target, disk->format, disk->serial != NULL ? disk->serial : "-",
                               disk->readonly ? ", read-only" : "");
    }
    add_strings(out, "warning", domain->warnings);
    add_launch(out, domain);
    compare(folder, base, ".txt", out->str);
}

static void test_domain(void)
{
    walk("domain", ".xml", check_domain);
}

static void check_metadata(const char *folder, const char *base, const char *text)
{
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();
    XmlMeasurement *measurement = xml_measurement_new();
    g_autofree gchar *with = NULL;
    g_autofree gchar *without = NULL;
    guint8 sha256[MEASURE_SHA256_SIZE] = {0x01, 0x02};
    g_autoptr(GError) error = NULL;

    attestation->level = 3;
    measurement->platform = MEASURE_PLATFORM_SNP;
    measurement->cpu = g_strdup("EPYC-Milan");
    measurement->signature = 0xa00f11;
    measurement->features = 1;
    measurement->digest.size = MEASURE_SHA384_SIZE;
    g_ptr_array_add(attestation->measurements, measurement);
    g_ptr_array_add(attestation->inputs, xml_input_new("kernel", 4711, sha256));
    with = xml_document_set_attestation(text, -1, attestation, &error);
    g_assert_no_error(error);
    compare(folder, base, ".with.xml", with);
    without = xml_document_set_attestation(text, -1, NULL, &error);
    g_assert_no_error(error);
    compare(folder, base, ".without.xml", without);
}

static void test_metadata(void)
{
    walk("metadata", ".xml", check_metadata);
}

static void assert_bytes(GBytes *bytes, const guint8 *expected, gsize size)
{
    g_assert_nonnull(bytes);
    g_assert_cmpuint(g_bytes_get_size(bytes), ==, size);
    g_assert_cmpint(memcmp(g_bytes_get_data(bytes, NULL), expected, size), ==, 0);
}

/* libvirt's own schema, where libvirt's program is there. */
static void assert_valid(const char *text)
{
    g_autofree gchar *program = g_find_program_in_path("virt-xml-validate");
    g_autofree gchar *path = NULL;
    const char *argv[] = {program, NULL, "domain", NULL};
    g_autofree gchar *said = NULL;
    g_autoptr(GError) error = NULL;
    gint status = 0;
    gint fd = -1;

    if (program == NULL) {
        g_test_message("no virt-xml-validate");
        return;
    }
    fd = g_file_open_tmp("identity-XXXXXX.xml", &path, &error);
    g_assert_no_error(error);
    close(fd);
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    argv[1] = path;
    g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &said, &status, &error);
    g_assert_no_error(error);
    g_unlink(path);
    if (!g_spawn_check_wait_status(status, NULL)) {
        g_error("virt-xml-validate: %s", said);
    }
}

static void check_identity(const char *folder, const char *base, const char *text)
{
    guint8 block[96], auth[4096], host_data[32];
    XmlIdentity identity = {.id_block = block, .id_auth = auth, .author_key = TRUE, .host_data = host_data};
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < sizeof(auth); i++) {
        auth[i] = (guint8)(i * 7);
    }
    memset(block, 0xb1, sizeof(block));
    memset(host_data, 0xda, sizeof(host_data));
    g_autofree gchar *set = xml_document_set_identity(text, -1, &identity, &error);
    g_assert_no_error(error);
    compare(folder, base, ".set.xml", set);
    assert_valid(set);
    g_autoptr(XmlDomain) domain = xml_domain_parse(set, -1, &error);
    g_assert_no_error(error);
    g_assert_true(domain->author_key);
    assert_bytes(domain->id_block, block, sizeof(block));
    assert_bytes(domain->id_auth, auth, sizeof(auth));
    assert_bytes(domain->host_data, host_data, sizeof(host_data));
    /* Twice is once. */
    g_autofree gchar *again = xml_document_set_identity(set, -1, &identity, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(again, ==, set);

    /* Host data alone leaves the rest as it was. */
    XmlIdentity only = {.host_data = host_data};
    g_autoptr(XmlDomain) before = xml_domain_parse(text, -1, &error);
    g_autofree gchar *one = xml_document_set_identity(text, -1, &only, &error);
    g_assert_no_error(error);
    g_autoptr(XmlDomain) after = xml_domain_parse(one, -1, &error);
    g_assert_no_error(error);
    assert_bytes(after->host_data, host_data, sizeof(host_data));
    g_assert_cmpint(after->id_block != NULL, ==, before->id_block != NULL);
    g_assert_cmpint(after->author_key, ==, before->author_key);
}

static void test_identity(void)
{
    walk("identity", ".xml", check_identity);
}

/* Where no processor would look for them. */
static void test_identity_refused(void)
{
    static const char *const refused[] = {
        "<domain type='kvm'><name>a</name></domain>",
        "<domain type='kvm'><launchSecurity type='sev'><policy>0x1</policy></launchSecurity></domain>",
        "<domain type='kvm'><launchSecurity><policy>0x1</policy></launchSecurity></domain>",
        "<domain type='kvm'><launchSecurity type='sev-snp'><hostData/><hostData/></launchSecurity></domain>",
        "<domain type='kvm'><launchSecurity type='sev-snp'/><launchSecurity type='sev-snp'/></domain>",
        "<domainsnapshot><launchSecurity type='sev-snp'/></domainsnapshot>",
        "<!DOCTYPE d><domain type='kvm'><launchSecurity type='sev-snp'/></domain>",
        "<domain",
    };
    guint8 host_data[32] = {0};
    XmlIdentity identity = {.host_data = host_data};

    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(xml_document_set_identity(refused[i], -1, &identity, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

static void take_string(GKeyFile *file, const char *key, gchar **out)
{
    gchar *value = g_key_file_get_string(file, "compose", key, NULL);

    if (value != NULL) {
        g_free(*out);
        *out = value;
    }
}

static gint integer_of(GKeyFile *file, const char *key, gint otherwise)
{
    return g_key_file_has_key(file, "compose", key, NULL) ? g_key_file_get_integer(file, "compose", key, NULL)
                                                          : otherwise;
}

static void take_list(GKeyFile *file, const char *key, GPtrArray *out)
{
    g_auto(GStrv) values = g_key_file_get_string_list(file, "compose", key, NULL, NULL);

    for (gsize i = 0; values != NULL && values[i] != NULL; i++) {
        g_ptr_array_add(out, g_strdup(values[i]));
    }
}

static void check_compose(const char *folder, const char *base, const char *text)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(XmlCompose) compose = xml_compose_new();
    g_autofree gchar *policy = NULL;
    g_autofree gchar *actual = NULL;
    g_autoptr(GError) error = NULL;

    g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    take_string(file, "name", &compose->name);
    take_string(file, "uuid", &compose->uuid);
    take_string(file, "cpu", &compose->cpu);
    take_string(file, "emulator", &compose->emulator);
    take_string(file, "firmware", &compose->firmware);
    take_string(file, "kernel", &compose->kernel);
    take_string(file, "initrd", &compose->initrd);
    take_string(file, "cmdline", &compose->cmdline);
    take_string(file, "policy", &policy);
    if (policy != NULL) {
        compose->policy = g_ascii_strtoull(policy, NULL, 16);
    }
    compose->level = (guint)integer_of(file, "level", 0);
    compose->vcpus = (guint)integer_of(file, "vcpus", 1);
    compose->memory_mib = (guint)integer_of(file, "memory", 2048);
    compose->cbitpos = integer_of(file, "cbitpos", -1);
    compose->reduced_phys_bits = integer_of(file, "reduced", -1);
    compose->console = g_key_file_get_boolean(file, "compose", "console", NULL);
    compose->report_channel = g_key_file_get_boolean(file, "compose", "channel", NULL);
    compose->snp =
        !g_key_file_has_key(file, "compose", "snp", NULL) || g_key_file_get_boolean(file, "compose", "snp", NULL);
    take_list(file, "disks", compose->disks);
    take_list(file, "networks", compose->networks);
    actual = xml_compose_format(compose, &error);
    g_assert_no_error(error);
    compare(folder, base, ".xml", actual);
}

static void test_compose(void)
{
    walk("compose", ".conf", check_compose);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/golden/xml/domain", test_domain);
    g_test_add_func("/golden/xml/metadata", test_metadata);
    g_test_add_func("/golden/xml/identity", test_identity);
    g_test_add_func("/golden/xml/identity-refused", test_identity_refused);
    g_test_add_func("/golden/xml/compose", test_compose);
    return g_test_run();
}
