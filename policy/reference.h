/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference document: what a domain must measure, with every fact that led there. */
#pragma once

#include "policy/evaluate.h"

#define POLICY_REFERENCE_MAX_SIZE (1024u * 1024)

/**
 * PolicyReferenceInput:
 * @role: "firmware", "kernel", "initrd" or "cmdline"
 * @path: (nullable): of a file
 * @text: (nullable): of the command line
 * @size: bytes (of the text without its NUL for a command line)
 */
typedef struct {
    gchar *role, *path, *text;
    guint64 size;
    guint8 sha256[MEASURE_SHA256_SIZE];
} PolicyReferenceInput;
void policy_reference_input_free(PolicyReferenceInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyReferenceInput, policy_reference_input_free)
/* Adds a PolicyReferenceInput for everything that the measurement of @evaluation covers. */
void policy_collect_inputs(const PolicyEvaluation *evaluation, GPtrArray *inputs);

/**
 * PolicyReferenceVerity:
 * @root_hash, @hash, @salt, @uuid: as dm-verity has them, hexadecimal; @hash: "sha256" or "sha512"; @salt: "" for none
 * @data_blocks, @data_block_size, @hash_block_size: bytes and numbers
 *
 * What the measured command line says of the root file system.
 */
typedef struct {
    gchar *root_hash, *hash, *salt, *uuid;
    guint64 data_blocks;
    guint data_block_size, hash_block_size;
} PolicyReferenceVerity;
void policy_reference_verity_free(PolicyReferenceVerity *verity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyReferenceVerity, policy_reference_verity_free)

/**
 * PolicyReference:
 *
 * Same JSON shape as `measure --format json`, so one reader serves both; the pinned document adds "format"
 * ("virt-attest-reference-1"), "domain" {"name","uuid"}, "onMismatch", "created", "tool". Schema:
 * policy/reference.schema.json.
 * @emulator: (nullable): path of the QEMU program, not its contents, which security updates change; %NULL when the XML
 *   had none, as offline: then any is good
 * @domain_type: (nullable): "kvm", "qemu"; %NULL in documents of older versions: then any is good
 * @id_block_sha256, @id_auth_sha256, @host_data, @guest_visible_workarounds: (nullable): hexadecimal; what `define`
 *   found in the XML
 * @author_key, @vcek_disabled: as in the XML; a document of an older version has libvirt's defaults, both %FALSE
 * @session: a guest owner's session (SEV, SEV-ES) is there; its contents change at every launch
 * @verity: (nullable): the hash tree of the root file system, where the measured command line names one; %NULL in
 *   documents of older versions
 * @verifier: (nullable): measure_verifier_name() of the firmware, and @firmware_version
 */
typedef struct {
    gchar *name, *uuid;
    MeasurePlatform platform;
    guint level;
    XmlOnMismatch on_mismatch;
    guint64 policy;
    gboolean kernel_hashes;
    gchar *vmm_fpu; /* "legacy" or "init2" */
    gchar *verifier, *firmware_version;
    gchar *emulator, *domain_type;
    gchar *id_block_sha256, *id_auth_sha256, *host_data, *guest_visible_workarounds;
    gboolean author_key, vcek_disabled, session;
    PolicyReferenceVerity *verity;
    GPtrArray *findings;     /* PolicyFinding */
    GPtrArray *measurements; /* XmlMeasurement */
    GPtrArray *inputs;       /* PolicyReferenceInput */
    gchar *created;          /* RFC 3339, UTC */
    gchar *tool;             /* "virt-attest 0.1.0" */
} PolicyReference;

/* NULL with @error when @evaluation has no measurement. @created is now. */
PolicyReference *policy_reference_new(const XmlDomain *domain, const PolicyEvaluation *evaluation,
                                      XmlOnMismatch on_mismatch, GError **error);
void policy_reference_free(PolicyReference *reference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyReference, policy_reference_free)

/* Canonical text: same facts, same bytes. @pinned adds the members that only the pinned document has. */
gchar *policy_reference_format(const PolicyReference *reference, gboolean pinned);
/* Strict: unknown members, wrong types, digests of wrong length, another format version are %ATTEST_ERROR_UNREADABLE.
 */
PolicyReference *policy_reference_parse(const char *text, gssize size, GError **error);
/* The metadata element that carries the same facts. */
XmlAttestation *policy_reference_to_attestation(const PolicyReference *reference);

/* What our documents take: a UUID of 36 characters in lower case, a time such as "2026-11-22T12:00:00Z". */
gboolean policy_uuid_valid(const char *uuid);
gboolean policy_time_valid(const char *time);
