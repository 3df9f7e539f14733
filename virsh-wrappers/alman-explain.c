/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/alman-explain.h"

#include <string.h>
#include <sys/stat.h>

#include "policy/json.h"
#include "policy/text.h"

/* ALman always measures with its tool's default, which has been either of them: bit 5 is DebugSwap. */
#define FEATURES_SNP 0x1u
#define FEATURES_DEBUG_SWAP 0x21u
#define VCPUS_TO_TRY 64

/**
 * Attempt:
 * @launch, @inputs: shallow copies, changed from attempt to attempt
 * @cmdline: of @inputs
 * @what: (nullable): what @launch and @inputs differ in from the guest as it is, besides features, CPU and vCPUs
 */
typedef struct {
    MeasureLaunch launch;
    MeasureInputs inputs;
    const char *what;
    const guint8 *wanted;
} Attempt;

static gboolean gives(const Attempt *attempt, guint64 features, guint32 signature, guint vcpus)
{
    MeasureLaunch launch = attempt->launch;
    MeasureDigest digest;
    launch.guest_features = features;
    return measure_launch_digest(&launch, &attempt->inputs, signature, vcpus, &digest, NULL) &&
           measure_digest_equal(digest.bytes, attempt->wanted, MEASURE_SHA384_SIZE);
}

static gchar *with(const Attempt *attempt, gchar *text)
{
    g_autofree gchar *own = text;
    if (!attempt->what) {
        return g_steal_pointer(&own);
    }
    return own ? g_strdup_printf("%s and %s", attempt->what, own) : g_strdup(attempt->what);
}

static gchar *feature_text(guint64 features)
{
    return features == FEATURES_DEBUG_SWAP
               ? g_strdup("guest features 0x21 (DebugSwap: kernels 6.6 to 6.10, or kvm_amd with debug_swap=1)")
               : g_strdup_printf("guest features 0x%" G_GINT64_MODIFIER "x", features);
}

/* Every signature that the catalogue and the default list of real parts know, and steppings of the one that is
 * expected. */
static GArray *signatures(guint32 expected)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint32));
    const char *const *names = measure_cpu_names();
    guint family = 0, model = 0, stepping = 0;
    for (guint i = 0; names[i]; i++) {
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(names[i], NULL);
        if (cpu) {
            g_array_append_val(list, cpu->signature);
        }
    }
    measure_cpu_signature_split(expected, &family, &model, &stepping);
    for (guint i = 0; i <= 0xf; i++) {
        guint32 other = measure_cpu_signature(family, model, i);
        g_array_append_val(list, other);
    }
    return list;
}

/* One change of CPU or vCPUs, alone or with the other features. */
static gchar *try_all(const Attempt *attempt, guint32 expected, guint vcpus)
{
    static const guint64 features[] = {FEATURES_SNP, FEATURES_DEBUG_SWAP};
    g_autoptr(GArray) cpus = signatures(expected);
    for (guint i = 0; i < G_N_ELEMENTS(features); i++) {
        gboolean usual = features[i] == attempt->launch.guest_features;
        g_autofree gchar *text = usual ? NULL : feature_text(features[i]);
        const char *joint = text ? " and " : "";
        if (gives(attempt, features[i], expected, vcpus)) {
            return with(attempt, g_steal_pointer(&text));
        }
        for (guint j = 0; j < cpus->len; j++) {
            guint32 signature = g_array_index(cpus, guint32, j);
            if (signature != expected && gives(attempt, features[i], signature, vcpus)) {
                return with(attempt, g_strdup_printf("%s%sthe CPU signature 0x%x", text ? text : "", joint, signature));
            }
        }
        for (guint j = 1; j <= VCPUS_TO_TRY; j++) {
            if (j != vcpus && gives(attempt, features[i], expected, j)) {
                return with(attempt, g_strdup_printf("%s%s%u vCPU%s", text ? text : "", joint, j, j == 1 ? "" : "s"));
            }
        }
    }
    return NULL;
}

static void set_cmdline(Attempt *attempt, const char *cmdline)
{
    policy_sha256(cmdline, strlen(cmdline) + 1, attempt->inputs.cmdline_sha256);
}

/* Files with a change after the record was made, by name. */
static gchar *newer_files(const PolicyEvaluation *evaluation, const ExchangeAlmanGuest *guest)
{
    const MeasureInput *const files[] = {evaluation->inputs->firmware, evaluation->inputs->kernel,
                                         evaluation->inputs->initrd};
    static const char *const roles[] = {"firmware", "kernel", "initrd"};
    g_autoptr(GDateTime) made = guest->timestamp ? g_date_time_new_from_iso8601(guest->timestamp, NULL) : NULL;
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; made && i < G_N_ELEMENTS(files); i++) {
        if (files[i] && files[i]->mtime_ns / 1000000000 > g_date_time_to_unix(made)) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", roles[i]);
        }
    }
    return names->len ? g_string_free(g_steal_pointer(&names), FALSE) : NULL;
}

gchar *cmd_alman_explain(const PolicyEvaluation *evaluation, const ExchangeAlmanGuest *guest,
                         const ExchangeAlmanMeasurement *recorded, guint32 signature)
{
    const MeasureLaunch *launch = evaluation->launch;
    Attempt attempt = {.launch = *launch, .inputs = *evaluation->inputs, .wanted = recorded->digest};
    const char *cmdline = launch->cmdline ? launch->cmdline : "";
    g_autofree gchar *stripped = g_strstrip(g_strdup(cmdline));
    gchar *text = try_all(&attempt, signature, launch->vcpus);
    if (!text && launch->kernel_hashes && !g_str_equal(cmdline, guest->append)) {
        attempt.what = "the command line of the record, which is not the domain's";
        set_cmdline(&attempt, guest->append);
        text = try_all(&attempt, signature, launch->vcpus);
    }
    if (!text && launch->kernel_hashes && !g_str_equal(cmdline, stripped)) {
        attempt.what = "a command line without blanks at its ends";
        set_cmdline(&attempt, stripped);
        text = try_all(&attempt, signature, launch->vcpus);
    }
    if (!text && launch->kernel_hashes) {
        attempt.what = "no kernel, initrd and command line";
        attempt.launch.kernel_hashes = FALSE;
        text = try_all(&attempt, signature, launch->vcpus);
    }
    if (text) {
        g_autofree gchar *found = text;
        return g_strdup_printf("it was measured with %s", found);
    }
    g_autofree gchar *newer = newer_files(evaluation, guest);
    return newer ? g_strdup_printf("an input has changed: newer than the record are: %s", newer)
                 : g_strdup("firmware, kernel, initrd or command line were others: no other vCPU count, CPU or feature "
                            "gives it");
}
