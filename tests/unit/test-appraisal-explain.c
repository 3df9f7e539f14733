/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The explanation of a measurement: another launch is described and measured from its files, as if it had been meant,
 * and its digest then has to be told from the description of the domain.
 */
#include "policy/appraisal/explain.h"

#include "policy/json.h"
#include "tests/unit/confidential-fixture.h"

#define CMDLINE "console=ttyS0 root=/dev/vda"

static MeasureLaunch *describe(const Fixture *fixture)
{
    MeasureLaunch *launch = measure_launch_new(MEASURE_PLATFORM_SNP);

    launch->vcpus = 2;
    launch->firmware = g_strdup(fixture->firmware);
    launch->kernel = g_strdup(fixture->kernel);
    launch->initrd = g_strdup(fixture->initrd);
    launch->cmdline = g_strdup(CMDLINE);
    launch->kernel_hashes = TRUE;
    g_ptr_array_add(launch->cpus, measure_cpu_from_name("EPYC-Milan", NULL));
    return launch;
}

static MeasureInputs *open_inputs(const MeasureLaunch *launch)
{
    g_autoptr(GError) error = NULL;
    MeasureInputs *inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, NULL, &error);

    g_assert_no_error(error);
    return inputs;
}

static void measure(const MeasureLaunch *launch, guint32 signature, MeasureDigest *out)
{
    g_autoptr(MeasureInputs) inputs = open_inputs(launch);
    g_autoptr(GError) error = NULL;

    measure_launch_digest(launch, inputs, signature, launch->vcpus, out, &error);
    g_assert_no_error(error);
}

static gchar *explain(const Fixture *fixture, const MeasureDigest *digest, const GPtrArray *older)
{
    g_autoptr(MeasureLaunch) launch = describe(fixture);
    g_autoptr(MeasureInputs) inputs = open_inputs(launch);
    AppraisalExplanation with = {
        .launch = launch, .inputs = inputs, .older = older, .signature = 0xb00f21, .budget_ms = 60000};

    return appraisal_explain(digest->bytes, &with);
}

static void test_variants(void)
{
    static const struct {
        guint32 signature;
        guint vcpus;
        guint64 features;
        MeasureFpu fpu;
        gboolean no_hashes, no_initrd;
        const char *cmdline, *says;
    } rows[] = {
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "as it is now"},
        {0xa10f10, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "CPU type EPYC-Genoa (0xa10f10)"},
        {0xaa0f02, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "a processor of signature 0xaa0f02"},
        {0xb00f21, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "0xb00f21"},
        {0xa00f11, 1, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "1 vCPU instead of 2"},
        {0xa00f11, 64, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "64 vCPUs instead of 2"},
        {0xa00f11, 2, 0x21, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE, "guest features 0x21 instead of 0x1"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_LEGACY, FALSE, FALSE, CMDLINE, "legacy floating-point state"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, TRUE, FALSE, CMDLINE, "the kernel hashes off"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, TRUE, CMDLINE, "no initrd"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE " ", "a blank more at the end of the command line"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, CMDLINE "\n", "a newline more at the end"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, " " CMDLINE, "a blank more at the start"},
        {0xa00f11, 2, 0x1, MEASURE_FPU_INIT2, FALSE, FALSE, "", "an empty command line"},
        {0xa10f10, 4, 0x21, MEASURE_FPU_INIT2, TRUE, FALSE, CMDLINE,
         "CPU type EPYC-Genoa (0xa10f10), 4 vCPUs instead of 2, guest features 0x21 instead of 0x1, the kernel hashes "
         "off"},
    };
    g_autoptr(Fixture) fixture = fixture_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MeasureLaunch) launch = describe(fixture);
        g_autofree gchar *found = NULL;
        MeasureDigest digest;

        launch->vcpus = rows[i].vcpus;
        launch->guest_features = rows[i].features;
        launch->fpu = rows[i].fpu;
        launch->kernel_hashes = !rows[i].no_hashes;
        if (rows[i].no_initrd)
            g_clear_pointer(&launch->initrd, g_free);
        g_free(launch->cmdline);
        launch->cmdline = g_strdup(rows[i].cmdline);
        measure(launch, rows[i].signature, &digest);
        found = explain(fixture, &digest, NULL);
        g_test_message("%s", found);
        g_assert_nonnull(found);
        g_assert_nonnull(strstr(found, rows[i].says));
        if (i > 0 && i < G_N_ELEMENTS(rows) - 1)
            g_assert_null(strchr(found, ','));
    }
}

/* A command line that has the blank is told from one without it, the other way round. */
static void test_trimmed(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(MeasureLaunch) launch = describe(fixture);
    g_autoptr(MeasureLaunch) with_blank = describe(fixture);
    g_autoptr(MeasureInputs) inputs = NULL;
    g_autofree gchar *found = NULL;
    MeasureDigest digest;

    g_free(with_blank->cmdline);
    with_blank->cmdline = g_strdup(CMDLINE " \n");
    inputs = open_inputs(with_blank);
    measure(launch, 0xa00f11, &digest);
    AppraisalExplanation with = {.launch = with_blank, .inputs = inputs, .budget_ms = 60000};
    found = appraisal_explain(digest.bytes, &with);
    g_assert_cmpstr(found, ==, "what this domain measures with no blank or newline at the end of the command line");
}

/* What was launched before, and a kernel of that time with today's firmware. */
static void test_older(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GPtrArray) older = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_older_free);
    g_autoptr(MeasureLaunch) launch = describe(fixture);
    AppraisalOlder *first = g_new0(AppraisalOlder, 1), *second = g_new0(AppraisalOlder, 1);
    g_autofree gchar *other = g_build_filename(fixture->folder, "other-kernel", NULL);
    g_autofree gchar *direct = NULL;
    g_autofree gchar *kernel = NULL;
    MeasureDigest digest;

    first->what = g_strdup("the launch of Monday");
    first->has_digest = TRUE;
    memset(first->digest, 0x5a, sizeof(first->digest));
    second->what = g_strdup("the launch of Tuesday");
    second->has_kernel = TRUE;
    policy_sha256("an older kernel", strlen("an older kernel"), second->kernel);
    g_ptr_array_add(older, first);
    g_ptr_array_add(older, second);

    memset(&digest, 0x5a, sizeof(digest));
    direct = explain(fixture, &digest, older);
    g_assert_cmpstr(direct, ==, "the measurement of the launch of Monday");
    first->unlike = g_strdup("another firmware");
    g_free(direct);
    direct = explain(fixture, &digest, older);
    g_assert_cmpstr(direct, ==, "the measurement of the launch of Monday, with another firmware");

    fixture_put_text(other, "an older kernel");
    g_free(launch->kernel);
    launch->kernel = g_strdup(other);
    measure(launch, 0xa00f11, &digest);
    kernel = explain(fixture, &digest, older);
    g_assert_cmpstr(kernel, ==, "what this domain measures with the kernel of the launch of Tuesday");
    g_unlink(other);
}

/* Nothing fits, nothing is there to try, and no time is there to try it in. */
static void test_nothing(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(MeasureLaunch) launch = describe(fixture);
    g_autoptr(MeasureInputs) inputs = open_inputs(launch);
    MeasureDigest digest = {.size = 48};
    AppraisalExplanation none = {.budget_ms = 1000}, now = {.launch = launch, .inputs = inputs, .budget_ms = 200};
    gint64 start = g_get_monotonic_time();

    g_assert_null(appraisal_explain(digest.bytes, &none));
    g_assert_null(appraisal_explain(digest.bytes, &now));
    /* One round more than the budget, on a loaded machine. */
    g_assert_cmpint(g_get_monotonic_time() - start, <, 120 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/appraisal-explain/variants", test_variants);
    g_test_add_func("/appraisal-explain/trimmed", test_trimmed);
    g_test_add_func("/appraisal-explain/older", test_older);
    g_test_add_func("/appraisal-explain/nothing", test_nothing);
    return g_test_run();
}
