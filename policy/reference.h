/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference document: what a domain must measure, with every fact that led there. */
#pragma once

#include "policy/evaluate.h"

#define POLICY_REFERENCE_MAX_SIZE (4u * 1024 * 1024)

/**
 * PolicyReferenceInput:
 * @role: "firmware", "kernel", "initrd" or "cmdline"
 * @path: (nullable): of a file
 * @text: (nullable): of the command line
 * @size: bytes (of the text without its NUL for a command line)
 * @obtained: (nullable): JSON "obtained": where the name of the file, or the text, came from: "libvirt" (a definition
 *   that libvirt completed), "domain-xml", "bundle", "alman", "openend2e", "snpguard"; %NULL in older documents
 */
typedef struct {
    gchar *role, *path, *text;
    const char *obtained; /* interned */
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
 * PolicyTcb:
 * @bootloader, @tee, @snp, @microcode: security version numbers
 * @fmc: of the boot loader's first stage, on Turin and later; -1 when not given
 *
 * The lowest TCB that an owner accepts (SEV-SNP Firmware ABI, TCB_VERSION).
 */
typedef struct {
    guint8 bootloader, tee, snp, microcode;
    gint fmc;
} PolicyTcb;
/* "bootloader=3,tee=0,snp=14,microcode=209[,fmc=1]", every name once, 0 to 255; %ATTEST_ERROR_USAGE. And back. */
gboolean policy_tcb_parse(const char *text, PolicyTcb *out, GError **error);
gchar *policy_tcb_describe(const PolicyTcb *tcb);

/* The product's name as the document has it, whatever the case of @word; %NULL for another word. */
const char *policy_product_intern(const char *word);
/* The word when it is one that PolicyReferenceInput.obtained may have, interned; %NULL otherwise. */
const char *policy_source_intern(const char *word);

/**
 * PolicyIdentity:
 *
 * What ID block and ID authentication page of the domain say, besides digest and policy. SEV-SNP Firmware ABI (56860),
 * tables of ID_BLOCK and ID_AUTH. The key digests are SHA-384 over the 0x404 bytes of the public key.
 */
typedef struct {
    guint8 id_key_digest[48], author_key_digest[48];
    gboolean has_author_key;
    guint8 family_id[16], image_id[16];
    guint32 guest_svn;
} PolicyIdentity;

typedef enum {
    POLICY_REFERENCE_SHARED,   /* what `measure --format json` prints: no "format" */
    POLICY_REFERENCE_PORTABLE, /* "format", "domain" (uuid optional), "tool"; no time in it */
    POLICY_REFERENCE_PINNED,   /* "created" and "onMismatch" too, and the UUID; "signed" where it was signed */
    POLICY_REFERENCE_BINDING,  /* written only: what host data binds, see policy_reference_binding() */
} PolicyReferenceForm;

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
 * @form: which of the documents it is
 * @product: (nullable): "Milan", "Genoa", "Siena", "Bergamo" or "Turin": the owner's rule for the processor
 * @has_minimum_tcb: JSON "minimumTcb": {"bootloader","tee","snp","microcode"[,"fmc"]}
 * @has_platform_info: JSON "platformInfo": {"value","mask"}: (report & mask) must equal value; value has no bit outside
 *   mask
 * @identity: (nullable): JSON "idBlock": {"idKeyDigest","authorKeyDigest"?,"familyId","imageId","guestSvn"}
 * @source: (nullable): JSON "source": one word as in PolicyReferenceInput.obtained: where the launch description came
 *   from
 * @signed_text: (nullable): the signed document (policy/envelope.h) that this pin was made from, one line of JSON; the
 *   JSON member "signed" holds it as an object
 *
 * Measurements: any number of CPU types, features and vCPU counts, and for SEV-ES both FPU variants ("fpu" in the
 * measurement where it is not that of the root). No two of the same kind may differ.
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
    PolicyReferenceForm form;
    gchar *product;
    gboolean has_minimum_tcb, has_platform_info;
    PolicyTcb minimum_tcb;
    guint64 platform_info, platform_info_mask;
    PolicyIdentity *identity;
    const char *source; /* interned */
    gchar *signed_text;
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

/* @word, one of policy_source_intern(), becomes the source of the launch description and of every input. */
void policy_reference_set_source(PolicyReference *reference, const char *word);
/* Product, minimum TCB and rule for the platform information of @pinned, unless it is for another platform. */
void policy_reference_keep_rules(PolicyReference *reference, const PolicyReference *pinned);
/* The first launch of @reference that @other does not foresee with the same digest; %NULL when it foresees all. Borrowed. */
const XmlMeasurement *policy_reference_unforeseen(const PolicyReference *reference, const PolicyReference *other);
/**
 * policy_reference_widen:
 * @other: of the same platform
 *
 * When @other foresees every launch of @reference, with the same digests, @reference foresees all that @other does: the
 * inputs are the same then.
 */
gboolean policy_reference_widen(PolicyReference *reference, const PolicyReference *other);
/* Why the owner's rules of @reference cannot be (a value outside its mask, another platform), or %NULL. */
const char *policy_reference_rules_invalid(const PolicyReference *reference);

/* Canonical text: same facts, same bytes. The form decides which members are written, not @reference's own. */
gchar *policy_reference_format(const PolicyReference *reference, PolicyReferenceForm form);

/**
 * policy_reference_binding:
 * @out: SHA-256 of policy_reference_format(@reference, %POLICY_REFERENCE_BINDING)
 *
 * What host data binds by default. The text ("format": "virt-attest-binding-1") has every fact that the owner answers
 * for: platform, level, measurements, inputs (size, digest and text, no paths), policy, kernel hashes, fpu, verity,
 * identity, product, minimum TCB, platform information, workarounds, author key and VCEK use. It leaves out what would
 * be circular (host data, digests of the signed pages) and what differs between hosts and versions (names of domain and
 * CPU types, UUID, paths, emulator, findings, tool, times).
 */
void policy_reference_binding(const PolicyReference *reference, guint8 out[MEASURE_SHA256_SIZE]);
/* Strict: unknown members, wrong types, digests of wrong length, another format version are %ATTEST_ERROR_UNREADABLE.
 */
PolicyReference *policy_reference_parse(const char *text, gssize size, GError **error);
/* The metadata element that carries the same facts. */
XmlAttestation *policy_reference_to_attestation(const PolicyReference *reference);

/* What our documents take: a UUID of 36 characters in lower case, a time such as "2026-11-22T12:00:00Z". */
gboolean policy_uuid_valid(const char *uuid);
gboolean policy_time_valid(const char *time);
