/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of ALman (attestation-level-manager): alman.conf, cpu-types.json, legal-cpu-types.json and
 * expected-measurements.json. Text in, text out; locking and replacing the last one is the caller's.
 */
#pragma once

#include "measure/cpu.h"
#include "policy/exchange/digests.h"

#define EXCHANGE_ALMAN_CONF_MAX_SIZE (64u * 1024)

/**
 * ExchangeAlmanConf:
 * @qemu_bin, @ovmf_code: ALman does nothing without them
 * @ovmf_vars, @ovmf_al2, @ovmf_al34, @measure_py: (nullable): %NULL when not there or empty
 */
typedef struct {
    gchar *qemu_bin, *ovmf_code, *ovmf_vars, *ovmf_al2, *ovmf_al34, *measure_py;
} ExchangeAlmanConf;

/**
 * exchange_alman_conf_parse:
 *
 * KEY=VALUE lines, blanks around both cut off; blank lines and lines that begin with '#' are skipped, "export" in front
 * and one pair of quotes around a value dropped; nothing is expanded. As ALman reads it, but a key that is given twice,
 * control characters, bytes that are not UTF-8 and a quote without its other half are errors too. Errors:
 * %ATTEST_ERROR_UNREADABLE with the line's number.
 */
ExchangeAlmanConf *exchange_alman_conf_parse(const char *text, gssize size, GError **error);
/* What exchange_alman_conf_parse() and ALman read back as @conf. %ATTEST_ERROR_USAGE for a value it cannot hold. */
gchar *exchange_alman_conf_format(const ExchangeAlmanConf *conf, GError **error);
/* Firmware by level, and the emulator. Errors: %ATTEST_ERROR_USAGE when one of them is not known. */
ExchangeAlmanConf *exchange_alman_conf_from_reference(const PolicyReference *reference, GError **error);
void exchange_alman_conf_free(ExchangeAlmanConf *conf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeAlmanConf, exchange_alman_conf_free)

typedef enum {
    EXCHANGE_ALMAN_TYPE,
    EXCHANGE_ALMAN_SIG,
    EXCHANGE_ALMAN_FMS,
} ExchangeAlmanCpuKind;

/**
 * ExchangeAlmanCpu:
 * @type: model name, with %EXCHANGE_ALMAN_TYPE
 * @sig: "0x…" in lower case as written, leading zeros included, with %EXCHANGE_ALMAN_SIG
 * @family, @model, @stepping: with %EXCHANGE_ALMAN_FMS
 */
typedef struct {
    ExchangeAlmanCpuKind kind;
    gchar *type, *sig;
    guint family, model, stepping;
} ExchangeAlmanCpu;

void exchange_alman_cpu_free(ExchangeAlmanCpu *cpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeAlmanCpu, exchange_alman_cpu_free)
ExchangeAlmanCpu *exchange_alman_cpu_copy(const ExchangeAlmanCpu *cpu);
/* "EPYC-Milan", "vcpu-sig=0xa00f11", "vcpu-family=25,vcpu-model=1,vcpu-stepping=1": ALman's name of a measurement. */
gchar *exchange_alman_cpu_label(const ExchangeAlmanCpu *cpu);
/* As the catalogue has it; %ATTEST_ERROR_USAGE for a model that is not in there. */
MeasureCpu *exchange_alman_cpu_resolve(const ExchangeAlmanCpu *cpu, GError **error);

/* cpu-types.json: at least one, none twice. (element-type ExchangeAlmanCpu) */
GPtrArray *exchange_alman_cpus_parse(const char *text, gssize size, GError **error);
/* As ALman ships its own: two blanks, a newline at the end. */
gchar *exchange_alman_cpus_format(const GPtrArray *cpus);
/* Every CPU type that @reference has measurements of, once. */
GPtrArray *exchange_alman_cpus_from_reference(const PolicyReference *reference);

/* legal-cpu-types.json: at least one name, one that is there twice is taken once. (element-type utf8) */
GPtrArray *exchange_alman_legal_parse(const char *text, gssize size, GError **error);
gchar *exchange_alman_legal_format(const GPtrArray *names);

/**
 * ExchangeAlmanMeasurement:
 * @label: ALman's name of it
 * @cpu: (nullable): %NULL for one of an old file, which has labels only
 */
typedef struct {
    gchar *label;
    ExchangeAlmanCpu *cpu;
    guint8 digest[MEASURE_SHA384_SIZE];
} ExchangeAlmanMeasurement;
void exchange_alman_measurement_free(ExchangeAlmanMeasurement *measurement);

/**
 * ExchangeAlmanGuest:
 * @name: of the guest
 * @broken: (nullable): why the entry cannot be used; nothing else is set then
 * @al: 2 to 4: what the measurement covers
 * @vcpus: at least 1
 * @ovmf: path
 * @kernel, @initrd, @append: "" where there is none
 * @cpu_types_config: (nullable): path of the list that @cpus came from
 * @timestamp: (nullable): as written
 * @cpus: (element-type ExchangeAlmanCpu): what was to be measured
 * @measurements: (element-type ExchangeAlmanMeasurement): what was; ALman leaves out those that failed
 */
typedef struct {
    gchar *name;
    GError *broken;
    guint al, vcpus;
    gchar *ovmf, *kernel, *initrd, *append, *cpu_types_config, *timestamp;
    GPtrArray *cpus, *measurements;
} ExchangeAlmanGuest;

void exchange_alman_guest_free(ExchangeAlmanGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeAlmanGuest, exchange_alman_guest_free)
/**
 * exchange_alman_guest_from_reference:
 * @timestamp: RFC 3339, UTC
 * @cpu_types_config: (nullable): path to name there
 *
 * The level is that of the form: 4 with a root hash on a measured command line, 3 with kernel hashes, else 2.
 * Errors: %ATTEST_ERROR_USAGE for another platform than SEV-SNP, or several vCPU counts or feature sets.
 */
ExchangeAlmanGuest *exchange_alman_guest_from_reference(const PolicyReference *reference, const char *timestamp,
                                                        const char *cpu_types_config, GError **error);

/* (element-type ExchangeAlmanGuest): sorted by name; an entry that cannot be used is there with its reason. */
GPtrArray *exchange_alman_expected_parse(const char *text, gssize size, GError **error);
/**
 * exchange_alman_expected_merge:
 * @old: (nullable): expected-measurements.json as it is; %NULL for none
 *
 * Replaces ALman's members of @guest's entry, keeps others of the same entry and all other entries.
 *
 * Returns: the new text, without a newline at its end, as ALman leaves it. Errors: %ATTEST_ERROR_UNREADABLE when @old
 * is no such file: nothing may be written then.
 */
gchar *exchange_alman_expected_merge(const char *old, gssize size, const ExchangeAlmanGuest *guest, GError **error);
