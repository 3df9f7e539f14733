/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Not here on purpose: whatever lets the host talk to the guest before the root file system is verified (network,
 * virtio consoles, qemu_fw_cfg), and what the verified system loads by itself later (sev_guest, tsm).
 */
#include "storage/initrd-modules.h"

#define ALL STORAGE_LEVEL_ALL
#define FOUR STORAGE_LEVEL_4

const StorageFeature storage_features[] = {
    /* What the init itself stands on. */
    {NULL, "BLK_DEV_INITRD", ALL, STORAGE_NEEDED, "an initrd"},
    {NULL, "BINFMT_ELF", ALL, STORAGE_NEEDED, "programs"},
    {NULL, "DEVTMPFS", ALL, STORAGE_NEEDED, "device nodes (devtmpfs)"},
    {NULL, "PROC_FS", ALL, STORAGE_NEEDED, "/proc"},
    {NULL, "SYSFS", ALL, STORAGE_NEEDED, "/sys"},
    {NULL, "TMPFS", ALL, STORAGE_NEEDED, "tmpfs"},
    {"virtio_pci", "VIRTIO_PCI", ALL, STORAGE_NEEDED, "virtio devices on PCI"},
    {"virtio_blk", "VIRTIO_BLK", ALL, STORAGE_NEEDED, "virtio disks"},
    /*
     * Algorithms are asked for by name when something uses them. The kernel would call modprobe then, which is not
     * there. The generic ones first: what a processor can do better is tried and may fail.
     */
    {"crc32c_generic", "CRYPTO_CRC32C", ALL, STORAGE_SPLIT, "CRC32C"},
    {"crc32c_intel", "CRYPTO_CRC32C_INTEL", ALL, STORAGE_USEFUL, "CRC32C of the processor"},
    {"sha256_generic", "CRYPTO_SHA256", ALL, STORAGE_SPLIT, "SHA-256"},
    {"sha256_ssse3", "CRYPTO_SHA256_SSSE3", ALL, STORAGE_USEFUL, "SHA-256 of the processor"},
    {"sha512_generic", "CRYPTO_SHA512", FOUR, STORAGE_SPLIT, "SHA-512"},
    {"sha512_ssse3", "CRYPTO_SHA512_SSSE3", FOUR, STORAGE_USEFUL, "SHA-512 of the processor"},
    /* The root file system: images of ours have ext4. */
    {"ext4", "EXT4_FS", ALL, STORAGE_NEEDED, "the ext4 file system"},
    {"overlay", "OVERLAY_FS", ALL, STORAGE_NEEDED, "overlays"},
    {"dm_mod", "BLK_DEV_DM", ALL, STORAGE_NEEDED, "the device mapper"},
    {"dm_verity", "DM_VERITY", FOUR, STORAGE_NEEDED, "dm-verity"},
    /* The encrypted and authenticated upper disk. */
    {"dm_crypt", "DM_CRYPT", ALL, STORAGE_NEEDED, "dm-crypt"},
    {"dm_integrity", "DM_INTEGRITY", ALL, STORAGE_NEEDED, "dm-integrity"},
    {"aes_generic", "CRYPTO_AES", ALL, STORAGE_SPLIT, "AES"},
    {"ecb", "CRYPTO_ECB", ALL, STORAGE_SPLIT, "ECB, which XTS builds on"},
    {"xts", "CRYPTO_XTS", ALL, STORAGE_NEEDED, "XTS"},
    {"hmac", "CRYPTO_HMAC", ALL, STORAGE_SPLIT, "HMAC"},
    {"authenc", "CRYPTO_AUTHENC", ALL, STORAGE_NEEDED, "authenticated encryption"},
    {"aesni_intel", "CRYPTO_AES_NI_INTEL", ALL, STORAGE_USEFUL, "AES of the processor"},
    {NULL, NULL, 0, STORAGE_USEFUL, NULL},
};
