/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bundle: everything that a launch is made of in one tar archive: manifest.json (format "virt-attest-bundle-1":
 * every other file with size and SHA-256), domain.xml, firmware, kernel, initrd, reference.json (signed or not),
 * id-block.bin, id-auth.bin. Disks are not in it.
 *
 * The domain XML names its firmware, kernel and initrd as "firmware", "kernel" and "initrd": the members, nothing else.
 */
#pragma once

#include "policy/envelope.h"
#include "storage/archive.h"
#include "storage/bundle-manifest.h"
#include "storage/workdir.h"
#include "xml/domain.h"

#define STORAGE_BUNDLE_XML "domain.xml"
#define STORAGE_BUNDLE_FIRMWARE "firmware"
#define STORAGE_BUNDLE_KERNEL "kernel"
#define STORAGE_BUNDLE_INITRD "initrd"
#define STORAGE_BUNDLE_REFERENCE "reference.json"
#define STORAGE_BUNDLE_ID_BLOCK "id-block.bin"
#define STORAGE_BUNDLE_ID_AUTH "id-auth.bin"

/**
 * StorageBundleFinding:
 * @what: a member, or "manifest"
 * @problem: (nullable): what is wrong with it; %NULL: it is what the manifest says, and says what it must
 * @size: bytes
 */
typedef struct {
    gchar *what, *problem;
    guint64 size;
} StorageBundleFinding;

/**
 * StorageBundle:
 * @xml: the domain XML; its firmware, kernel and initrd name the unpacked files
 * @original_xml: as it is in the bundle
 * @domain: @xml, parsed
 * @reference, @envelope: as in CmdReferenceSource
 * @reference_text: reference.json as it is
 * @folder: where it was unpacked to; belongs to @workdir
 * @findings: (element-type StorageBundleFinding): one for every member
 *
 * Unless from storage_bundle_inspect(), everything is there but @envelope, and no finding has a problem.
 */
typedef struct {
    gchar *xml, *original_xml;
    XmlDomain *domain;
    PolicyReference *reference;
    PolicyEnvelope *envelope;
    GBytes *reference_text;
    const gchar *folder;
    GPtrArray *findings;
    StorageWorkdir *workdir;
} StorageBundle;

/* What may be in a bundle: for storage_archive_unpack(), and for who makes one. */
extern const StorageArchiveMember storage_bundle_members[];

/* Whether the file begins as a tar archive does, compressed or not. */
gboolean storage_bundle_recognise(const char *path);
/**
 * storage_bundle_open:
 *
 * Unpacks into a new private folder below $TMPDIR and checks every file against the manifest. From then on until
 * storage_bundle_free() SIGINT, SIGTERM and SIGHUP wait, see storage_interrupt_begin(). Errors: as
 * storage_archive_unpack().
 */
StorageBundle *storage_bundle_open(const char *path, GError **error);
/* The same, with what is wrong as findings where there is a manifest to hold against: members of the result may be
 * %NULL then. */
StorageBundle *storage_bundle_inspect(const char *path, GError **error);
/* Removes the folder too. */
void storage_bundle_free(StorageBundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageBundle, storage_bundle_free)

/**
 * StorageBundleContents:
 * @xml: the domain XML as libvirt has it; passwords are left out of the bundle
 * @domain: the same, parsed
 * @inputs: its measured files
 * @reference: text of reference.json
 */
typedef struct {
    const char *xml;
    const XmlDomain *domain;
    const MeasureInputs *inputs;
    GBytes *reference;
} StorageBundleContents;

/**
 * storage_bundle_write:
 * @progress: (nullable)
 *
 * The same contents give the same bytes. Errors: %ATTEST_ERROR_UNREADABLE, also for a file that is not the one that was
 * measured any more; %ATTEST_ERROR_REJECTED for what storage_bundle_open() would refuse.
 */
gboolean storage_bundle_write(const StorageBundleContents *contents, StorageOutput *output, StorageProgress progress,
                              gpointer progress_data, GError **error);
