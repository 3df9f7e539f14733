/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes into a reference, and its canonical text. Reading it back is in reference-read.c. */
#include "policy/reference.h"

#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/reference-private.h"

void policy_reference_input_free(PolicyReferenceInput *input)
{
    if (!input)
        return;
    g_free(input->role);
    g_free(input->path);
    g_free(input->text);
    g_free(input);
}

PolicyReferenceInput *policy_reference_input_new(const char *role, const char *path, const char *text, guint64 size,
                                                 const guint8 *sha256)
{
    PolicyReferenceInput *input = g_new0(PolicyReferenceInput, 1);

    input->role = g_strdup(role);
    input->path = g_strdup(path);
    input->text = g_strdup(text);
    input->size = size;
    memcpy(input->sha256, sha256, MEASURE_SHA256_SIZE);
    return input;
}

PolicyReference *policy_reference_alloc(void)
{
    PolicyReference *reference = g_new0(PolicyReference, 1);

    reference->findings = g_ptr_array_new_with_free_func((GDestroyNotify)policy_finding_free);
    reference->measurements = g_ptr_array_new_with_free_func((GDestroyNotify)xml_measurement_free);
    reference->inputs = g_ptr_array_new_with_free_func((GDestroyNotify)policy_reference_input_free);
    return reference;
}

void policy_reference_free(PolicyReference *reference)
{
    if (!reference)
        return;
    g_free(reference->name);
    g_free(reference->uuid);
    g_free(reference->vmm_fpu);
    g_free(reference->verifier);
    g_free(reference->firmware_version);
    g_free(reference->id_block_sha256);
    g_free(reference->id_auth_sha256);
    g_free(reference->host_data);
    g_free(reference->guest_visible_workarounds);
    g_free(reference->emulator);
    g_free(reference->domain_type);
    g_ptr_array_unref(reference->findings);
    g_ptr_array_unref(reference->measurements);
    g_ptr_array_unref(reference->inputs);
    policy_reference_verity_free(reference->verity);
    g_free(reference->product);
    g_free(reference->identity);
    g_free(reference->signed_text);
    g_free(reference->created);
    g_free(reference->tool);
    g_free(reference);
}

const PolicyReferenceInput *policy_reference_find_input(const PolicyReference *reference, const char *role)
{
    for (guint i = 0; i < reference->inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, i);

        if (!strcmp(input->role, role))
            return input;
    }
    return NULL;
}

void policy_collect_inputs(const PolicyEvaluation *evaluation, GPtrArray *inputs)
{
    const MeasureLaunch *launch = evaluation->launch;
    const MeasureInputs *opened = evaluation->inputs;

    if (!launch || !opened)
        return;
    g_ptr_array_add(inputs, policy_reference_input_new("firmware", opened->firmware->path, NULL, opened->firmware->size,
                                                       opened->firmware->sha256));
    /* Without kernelHashes these are not measured: a reference that named them would promise too much. */
    if (!launch->kernel_hashes || !opened->kernel)
        return;
    g_ptr_array_add(inputs, policy_reference_input_new("kernel", opened->kernel->path, NULL, opened->kernel->size,
                                                       opened->kernel->sha256));
    if (opened->initrd)
        g_ptr_array_add(inputs, policy_reference_input_new("initrd", opened->initrd->path, NULL, opened->initrd->size,
                                                           opened->initrd->sha256));
    const char *cmdline = launch->cmdline ? launch->cmdline : "";
    g_ptr_array_add(inputs,
                    policy_reference_input_new("cmdline", NULL, cmdline, strlen(cmdline), opened->cmdline_sha256));
}

static gchar *blob_sha256(GBytes *blob)
{
    guint8 digest[MEASURE_SHA256_SIZE];
    gsize size = 0;
    gconstpointer data = NULL;

    if (!blob)
        return NULL;
    data = g_bytes_get_data(blob, &size);
    policy_sha256(data, size, digest);
    return measure_hex_encode(digest, sizeof(digest));
}

static gchar *blob_hex(GBytes *blob)
{
    return blob ? measure_hex_encode(g_bytes_get_data(blob, NULL), g_bytes_get_size(blob)) : NULL;
}

PolicyReference *policy_reference_new(const XmlDomain *domain, const PolicyEvaluation *evaluation,
                                      XmlOnMismatch on_mismatch, GError **error)
{
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    if (!evaluation->launch || !evaluation->inputs || !evaluation->measurements->len) {
        if (evaluation->unmeasurable)
            g_set_error_literal(error, ATTEST_ERROR, evaluation->unmeasurable->code, evaluation->unmeasurable->message);
        else
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "the domain has no measurement, so there is nothing that a reference could hold");
        return NULL;
    }
    reference = policy_reference_alloc();
    reference->form = POLICY_REFERENCE_PINNED;
    reference->name = g_strdup(domain->name);
    reference->uuid = g_strdup(domain->uuid);
    reference->platform = evaluation->platform;
    reference->level = evaluation->level;
    reference->on_mismatch = on_mismatch;
    reference->policy = evaluation->policy;
    reference->kernel_hashes = evaluation->launch->kernel_hashes;
    if (evaluation->platform != MEASURE_PLATFORM_SEV)
        reference->vmm_fpu = g_strdup(measure_fpu_name(evaluation->launch->fpu));
    if (evaluation->inputs->build) {
        reference->verifier = g_strdup(measure_verifier_name(evaluation->inputs->build->verifier));
        reference->firmware_version = g_strdup(evaluation->inputs->build->version);
    }
    reference->id_block_sha256 = blob_sha256(domain->id_block);
    reference->id_auth_sha256 = blob_sha256(domain->id_auth);
    reference->identity = policy_identity_new(domain->id_block, domain->id_auth, domain->author_key);
    reference->host_data = blob_hex(domain->host_data);
    reference->guest_visible_workarounds = blob_hex(domain->guest_visible_workarounds);
    reference->author_key = domain->author_key;
    reference->vcek_disabled = domain->vcek_disabled;
    reference->session = domain->session != NULL;
    /* A command line that is not measured promises nothing. */
    if (evaluation->launch->kernel_hashes && evaluation->inputs->kernel)
        reference->verity = policy_reference_verity_new(evaluation->words);
    reference->emulator = g_strdup(domain->emulator);
    reference->domain_type = g_strdup(domain->type);
    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        g_ptr_array_add(reference->findings,
                        policy_finding_new(finding->rule, finding->level, finding->outcome, g_strdup(finding->text)));
    }
    for (guint i = 0; i < evaluation->measurements->len; i++)
        g_ptr_array_add(reference->measurements,
                        policy_measurement_copy(g_ptr_array_index(evaluation->measurements, i)));
    policy_collect_inputs(evaluation, reference->inputs);
    reference->created = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    reference->tool = g_strdup("virt-attest " VERSION);
    return g_steal_pointer(&reference);
}

/* @origin: FALSE leaves out where the file lies and how its name was obtained. */
static JsonObject *input_to_json(const PolicyReferenceInput *input, gboolean origin)
{
    JsonObject *object = json_object_new();

    if (origin)
        policy_json_add_string(object, "path", input->path);
    policy_json_add_string(object, "text", input->text);
    json_object_set_int_member(object, "size", (gint64)input->size);
    policy_json_add_hex_bytes(object, "sha256", input->sha256, sizeof(input->sha256));
    if (origin)
        policy_json_add_string(object, "obtained", input->obtained);
    return object;
}

static JsonObject *inputs_to_json(const GPtrArray *inputs, gboolean origin)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(inputs, i);

        json_object_set_object_member(object, input->role, input_to_json(input, origin));
    }
    return object;
}

JsonObject *policy_inputs_to_json(const GPtrArray *inputs)
{
    return inputs_to_json(inputs, TRUE);
}

static JsonArray *findings_to_json(const GPtrArray *findings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(findings, i);
        JsonObject *object = json_object_new();

        policy_json_add_string(object, "rule", finding->rule);
        json_object_set_int_member(object, "level", finding->level);
        policy_json_add_string(object, "outcome", policy_outcome_name(finding->outcome));
        policy_json_add_string(object, "text", finding->text);
        json_array_add_object_element(array, object);
    }
    return array;
}

/* "format", "domain" and, in a pin, what the hook does. */
static void add_head(JsonObject *root, const PolicyReference *reference, PolicyReferenceForm form)
{
    JsonObject *domain = NULL;

    if (form == POLICY_REFERENCE_SHARED)
        return;
    policy_json_add_string(root, "format",
                           form == POLICY_REFERENCE_BINDING ? POLICY_BINDING_FORMAT : POLICY_REFERENCE_FORMAT);
    if (form == POLICY_REFERENCE_BINDING)
        return;
    domain = json_object_new();
    policy_json_add_string(domain, "name", reference->name);
    policy_json_add_string(domain, "uuid", reference->uuid);
    json_object_set_object_member(root, "domain", domain);
    if (form == POLICY_REFERENCE_PINNED)
        policy_json_add_string(root, "onMismatch",
                               reference->on_mismatch == XML_ON_MISMATCH_OBSERVE ? "observe" : "refuse");
}

/* Where and by what it was made. */
static void add_tail(JsonObject *root, const PolicyReference *reference, PolicyReferenceForm form)
{
    if (form == POLICY_REFERENCE_SHARED)
        return;
    if (form == POLICY_REFERENCE_PINNED)
        policy_json_add_string(root, "created", reference->created);
    policy_json_add_string(root, "tool", reference->tool);
    if (form == POLICY_REFERENCE_PINNED && reference->signed_text) {
        g_autoptr(JsonNode) node = json_from_string(reference->signed_text, NULL);

        g_return_if_fail(node && JSON_NODE_HOLDS_OBJECT(node));
        json_object_set_member(root, "signed", g_steal_pointer(&node));
    }
}

gchar *policy_reference_format(const PolicyReference *reference, PolicyReferenceForm form)
{
    JsonObject *root = json_object_new();
    gboolean binding = form == POLICY_REFERENCE_BINDING;

    add_head(root, reference, form);
    policy_json_add_string(root, "platform", measure_platform_name(reference->platform));
    json_object_set_int_member(root, "level", reference->level);
    if (!binding)
        json_object_set_array_member(root, "findings", findings_to_json(reference->findings));
    json_object_set_array_member(root, "measurements", policy_measurements_to_json(reference, form));
    json_object_set_object_member(root, "inputs", inputs_to_json(reference->inputs, !binding));
    policy_json_add_hex_number(root, "policy", reference->policy);
    json_object_set_boolean_member(root, "kernelHashes", reference->kernel_hashes);
    policy_json_add_string(root, "fpu", reference->vmm_fpu);
    /* Its pages have the digest in them, and host data would have to hold itself. */
    if (!binding) {
        policy_json_add_string(root, "verifier", reference->verifier);
        policy_json_add_string(root, "firmwareVersion", reference->firmware_version);
        policy_json_add_string(root, "idBlockSha256", reference->id_block_sha256);
        policy_json_add_string(root, "idAuthSha256", reference->id_auth_sha256);
        policy_json_add_string(root, "hostData", reference->host_data);
    }
    policy_json_add_string(root, "guestVisibleWorkarounds", reference->guest_visible_workarounds);
    if (reference->platform == MEASURE_PLATFORM_SNP) {
        json_object_set_boolean_member(root, "authorKey", reference->author_key);
        json_object_set_boolean_member(root, "vcek", !reference->vcek_disabled);
    }
    if (reference->session && !binding)
        json_object_set_boolean_member(root, "session", TRUE);
    if (reference->verity)
        json_object_set_object_member(root, "verity", policy_reference_verity_to_json(reference->verity));
    if (reference->identity)
        json_object_set_object_member(root, "idBlock", policy_identity_to_json(reference->identity));
    policy_rules_to_json(reference, root);
    if (!binding) {
        policy_json_add_string(root, "domainType", reference->domain_type);
        policy_json_add_string(root, "emulator", reference->emulator);
        policy_json_add_string(root, "source", reference->source);
        add_tail(root, reference, form);
    }
    return policy_json_format(root, TRUE);
}

void policy_reference_binding(const PolicyReference *reference, guint8 out[MEASURE_SHA256_SIZE])
{
    g_autofree gchar *text = policy_reference_format(reference, POLICY_REFERENCE_BINDING);

    policy_sha256(text, strlen(text), out);
}

XmlAttestation *policy_reference_to_attestation(const PolicyReference *reference)
{
    XmlAttestation *attestation = xml_attestation_new();

    attestation->level = reference->level;
    attestation->on_mismatch = reference->on_mismatch;
    attestation->verity_root_hash = reference->verity ? g_strdup(reference->verity->root_hash) : NULL;
    for (guint i = 0; i < reference->measurements->len; i++)
        g_ptr_array_add(attestation->measurements,
                        policy_measurement_copy(g_ptr_array_index(reference->measurements, i)));
    for (guint i = 0; i < reference->inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, i);

        g_ptr_array_add(attestation->inputs, xml_input_new(input->role, input->size, input->sha256));
    }
    return attestation;
}
