/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/initrd-modules.h"

#define ALL STORAGE_LEVEL_ALL
#define FOUR STORAGE_LEVEL_4
#define TEE (STORAGE_LEVEL_3 | STORAGE_LEVEL_4)

const StorageFeature storage_features[] = {
    /* What the init itself stands on. */
    {NULL, "BLK_DEV_INITRD", ALL, TRUE, "an initrd"},
    {NULL, "BINFMT_ELF", ALL, TRUE, "programs"},
    {NULL, "DEVTMPFS", ALL, TRUE, "device nodes (devtmpfs)"},
    {NULL, "PROC_FS", ALL, TRUE, "/proc"},
    {NULL, "SYSFS", ALL, TRUE, "/sys"},
    {NULL, "TMPFS", ALL, TRUE, "tmpfs"},
    /* Disks. */
    {"virtio_pci", "VIRTIO_PCI", ALL, TRUE, "virtio devices on PCI"},
    {"virtio_blk", "VIRTIO_BLK", ALL, TRUE, "virtio disks"},
    {"virtio_scsi", "SCSI_VIRTIO", ALL, FALSE, "virtio SCSI disks"},
    {"sd_mod", "BLK_DEV_SD", ALL, FALSE, "SCSI disks"},
    /*
     * Algorithms that the kernel asks for by name when something uses them. It would call modprobe, which is not there.
     * The generic ones first: what a processor can do better is tried and may fail.
     */
    {"crc32c_generic", "CRYPTO_CRC32C", ALL, FALSE, "CRC32C"},
    {"crc32c_intel", "CRYPTO_CRC32C_INTEL", ALL, FALSE, "CRC32C of the processor"},
    {"sha256_generic", "CRYPTO_SHA256", ALL, FALSE, "SHA-256"},
    {"sha256_ssse3", "CRYPTO_SHA256_SSSE3", ALL, FALSE, "SHA-256 of the processor"},
    {"sha512_generic", "CRYPTO_SHA512", ALL, FALSE, "SHA-512"},
    {"sha512_ssse3", "CRYPTO_SHA512_SSSE3", ALL, FALSE, "SHA-512 of the processor"},
    /* The root file system: images of ours have ext4. */
    {"ext4", "EXT4_FS", ALL, TRUE, "the ext4 file system"},
    {"overlay", "OVERLAY_FS", ALL, TRUE, "overlays"},
    {"dm_mod", "BLK_DEV_DM", FOUR, TRUE, "the device mapper"},
    {"dm_verity", "DM_VERITY", FOUR, TRUE, "dm-verity"},
    /* The encrypted and authenticated upper disk; the guest says so when it is asked for and does not work. */
    {"dm_mod", "BLK_DEV_DM", TEE, FALSE, "the device mapper"},
    {"dm_crypt", "DM_CRYPT", TEE, FALSE, "dm-crypt"},
    {"dm_integrity", "DM_INTEGRITY", TEE, FALSE, "dm-integrity"},
    {"aes_generic", "CRYPTO_AES", TEE, FALSE, "AES"},
    {"aesni_intel", "CRYPTO_AES_NI_INTEL", TEE, FALSE, "AES of the processor"},
    {"ecb", "CRYPTO_ECB", TEE, FALSE, "ECB, which XTS builds on"},
    {"xts", "CRYPTO_XTS", TEE, FALSE, "XTS"},
    {"hmac", "CRYPTO_HMAC", TEE, FALSE, "HMAC"},
    {"authenc", "CRYPTO_AUTHENC", TEE, FALSE, "authenticated encryption"},
    /* Attestation reports, for what the guest runs later. */
    {"tsm", "TSM_REPORTS", TEE, FALSE, "attestation reports"},
    {"sev_guest", "SEV_GUEST", TEE, FALSE, "attestation reports of SEV-SNP"},
    {NULL, NULL, 0, FALSE, NULL},
};
