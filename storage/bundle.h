/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bundle: everything that a launch is made of in one tar archive: manifest.json (format "virt-attest-bundle-1": every
 * other file with size and SHA-256), domain.xml, firmware, kernel, initrd, reference.json (signed or not), id-block.bin,
 * id-auth.bin. Disks are not in it.
 */
#pragma once

#include "policy/envelope.h"
#include "storage/archive.h"
#include "xml/domain.h"

/**
 * StorageBundle:
 * @xml: the domain XML; its firmware, kernel and initrd name the unpacked files
 * @original_xml: as it is in the bundle
 * @reference, @envelope: as in CmdReferenceSource
 * @folder: where it was unpacked to
 */
typedef struct {
    gchar *xml, *original_xml;
    PolicyReference *reference;
    PolicyEnvelope *envelope;
    gchar *folder;
} StorageBundle;

/* Whether the file begins as a tar archive does, compressed or not. */
gboolean storage_bundle_recognise(const char *path);
/* Unpacks into a new private folder below $TMPDIR and checks every file against the manifest. Errors: as
 * storage_archive_unpack(). */
StorageBundle *storage_bundle_open(const char *path, GError **error);
/* Removes the folder too. */
void storage_bundle_free(StorageBundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageBundle, storage_bundle_free)
