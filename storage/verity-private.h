/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of dm-verity formatting and verifying. Internal to storage/.
 *
 * A hash file is one block with the superblock, then the levels of the tree, the highest (one block) first. Level 0,
 * the last one, holds the digests of the data blocks, level 1 those of the blocks of level 0, and so on; the digest of
 * the highest block is the root hash. With a single data block there is no tree: its digest is the root hash.
 */
#pragma once

#include <openssl/evp.h>

#include "storage/verity.h"

enum {
    STORAGE_VERITY_SUPERBLOCK = 512,   /* bytes */
    STORAGE_VERITY_MAX_LEVELS = 24,    /* a block has 8 digests or more, a disk less than 2^63 bytes */
    STORAGE_VERITY_PIECE = 128 * 1024, /* bytes: of data that are read, or of a tree that is written, at once: what fits
                                          into a core's own cache */
    STORAGE_VERITY_MAX_COUNT = 512,    /* hash blocks of one job */
};

/**
 * StorageVerityLayout:
 * @entry_size: bytes that a digest takes in a hash block: the next power of two
 * @per_block: digests in a hash block, a power of two
 * @levels: 0 for a single data block
 * @blocks: hash blocks of each level
 * @start: where each level begins, bytes
 * @size: bytes of the hash file
 */
typedef struct {
    guint32 data_block_size, hash_block_size, digest_size, entry_size, per_block;
    guint64 data_blocks;
    guint levels;
    guint64 blocks[STORAGE_VERITY_MAX_LEVELS], start[STORAGE_VERITY_MAX_LEVELS];
    guint64 size;
} StorageVerityLayout;

/* Errors: %ATTEST_ERROR_USAGE for parameters that are not possible. */
gboolean storage_verity_layout(const StorageVerity *verity, StorageVerityLayout *layout, GError **error);

void storage_verity_put_superblock(const StorageVerity *verity, guint8 out[STORAGE_VERITY_SUPERBLOCK]);
gboolean storage_verity_parse_superblock(const guint8 data[STORAGE_VERITY_SUPERBLOCK], StorageVerity *verity,
                                         GError **error);

/**
 * storage_verity_fit:
 * @path: of the data, for messages
 *
 * Whether the data blocks lie in the range of @options; sets @verity->data_blocks where it is 0. Like veritysetup it
 * leaves out a rest that fills no block: the device that the guest sees ends before it.
 */
gboolean storage_verity_fit(StorageVerity *verity, const StorageVerityOptions *options, const char *path,
                            GError **error);

/* Sets an error about the hash file and returns %FALSE. */
gboolean storage_verity_fail_errno(GError **error, int number);
/* All bytes, or an error about the hash file. */
gboolean storage_verity_pread(int fd, void *out, gsize size, guint64 offset, GError **error);
gboolean storage_verity_pwrite(int fd, const void *data, gsize size, guint64 offset, GError **error);

/* One thread's means to compute salted digests. */
typedef struct {
    EVP_MD_CTX *salted; /* has taken the salt, is only copied */
    EVP_MD_CTX *context;
} StorageVerityHasher;

void storage_verity_hasher_init(StorageVerityHasher *hasher, const StorageVerity *verity);
void storage_verity_hasher_clear(StorageVerityHasher *hasher);
void storage_verity_digest(StorageVerityHasher *hasher, const guint8 *data, gsize size, guint8 *out);

/**
 * StorageVerityConstants:
 * @digests: @digests[0]: digest of a data block of zeros; @digests[n + 1]: of a hash block of @digests[n] only
 * @lowest: STORAGE_VERITY_PIECE bytes or more, whole blocks of level 0, full of @digests[0]
 *
 * What holes are made of, on every level.
 */
typedef struct {
    guint8 digests[STORAGE_VERITY_MAX_LEVELS + 1][STORAGE_VERITY_MAX_DIGEST];
    guint8 *lowest;
} StorageVerityConstants;

void storage_verity_constants_init(StorageVerityConstants *constants, const StorageVerityLayout *layout,
                                   StorageVerityHasher *hasher);
void storage_verity_constants_clear(StorageVerityConstants *constants);

/* The digest of a block of level 0, without computing it where the block is of a hole. */
void storage_verity_lowest_digest(const StorageVerityLayout *layout, const StorageVerityConstants *constants,
                                  StorageVerityHasher *hasher, const guint8 *block, guint8 *out);
gboolean storage_verity_is_zero(const guint8 *data, gsize size);

/**
 * StorageVerityTree:
 * @fd: the hash file
 * @compare: do not write the blocks, but demand that they are what the file holds
 * @root: the result, after storage_verity_tree_finish()
 *
 * The levels above 0, which grow as digests come in from the left.
 */
typedef struct {
    const StorageVerityLayout *layout;
    const StorageVerityConstants *constants;
    StorageVerityHasher hasher;
    int fd;
    gboolean compare;
    guint8 *blocks; /* one hash block a level */
    guint32 used[STORAGE_VERITY_MAX_LEVELS];
    guint64 next[STORAGE_VERITY_MAX_LEVELS];
    guint8 root[STORAGE_VERITY_MAX_DIGEST];
} StorageVerityTree;

void storage_verity_tree_init(StorageVerityTree *tree, const StorageVerity *verity, const StorageVerityLayout *layout,
                              const StorageVerityConstants *constants, int fd, gboolean compare);
void storage_verity_tree_clear(StorageVerityTree *tree);
/* The next entry of @level; 0 only where there are no levels. */
gboolean storage_verity_tree_add(StorageVerityTree *tree, guint level, const guint8 *digest, GError **error);
/* @count entries that stand for zeros. */
gboolean storage_verity_tree_add_constant(StorageVerityTree *tree, guint level, guint64 count, GError **error);
gboolean storage_verity_tree_finish(StorageVerityTree *tree, GError **error);

typedef enum {
    STORAGE_VERITY_READ,  /* must be read and hashed */
    STORAGE_VERITY_ZERO,  /* known to be zeros */
    STORAGE_VERITY_REUSE, /* the digest is in the old hash file */
} StorageVerityKind;

typedef struct {
    StorageVerityKind kind;
    guint64 blocks;
} StorageVerityRun;

/**
 * StorageVerityJob:
 * @first, @count: blocks of level 0
 * @constant: nothing but zeros, and nothing to look up in an old file
 * @runs: (element-type StorageVerityRun): the data blocks below, in order
 * @digests: of the blocks of level 0
 * @old_digests, @old_count: of the blocks in the old hash file
 * @error, @bad_block: how it ended
 */
typedef struct {
    guint64 first;
    guint32 count, old_count;
    gboolean constant, done;
    GArray *runs;
    guint8 *digests, *old_digests;
    GError *error;
    guint64 bad_block;
} StorageVerityJob;

/* Cuts the data into jobs, in order. */
typedef struct {
    StorageDisk *disk;
    const StorageVerityLayout *layout;
    guint64 offset;     /* of the data on the disk, bytes */
    guint64 old_blocks; /* data blocks whose digests an old hash file has */
    guint64 old_lowest; /* its blocks of level 0: all of them must be looked at */
    GArray *runs;       /* of the window that is being cut up */
    guint run;
    guint64 used;   /* data blocks of that run */
    guint64 block;  /* next data block */
    guint64 window; /* first data block behind the window */
} StorageVerityPlan;

void storage_verity_plan_init(StorageVerityPlan *plan, StorageDisk *disk, guint64 offset,
                              const StorageVerityLayout *layout);
void storage_verity_plan_clear(StorageVerityPlan *plan);
/* FALSE with @error, or without at the end. */
gboolean storage_verity_plan_next(StorageVerityPlan *plan, StorageVerityJob *job, GError **error);

/* What belongs to one thread. */
typedef struct {
    StorageVerityHasher hasher;
    guint8 *data, *blocks, *old_blocks; /* STORAGE_VERITY_PIECE bytes each */
} StorageVerityWorker;

/**
 * StorageVerityWork:
 * @process: called by any thread; sets @job->error on failure
 * @commit: called by the calling thread, for one job after the other in the order of the plan
 *
 * Returns from storage_verity_run() with the first error in that order, whatever order it happened in.
 */
typedef struct {
    StorageVerityPlan *plan;
    const StorageVerity *verity;
    const StorageVerityOptions *options;
    void (*process)(StorageVerityWorker *worker, StorageVerityJob *job, gpointer user_data);
    gboolean (*commit)(StorageVerityJob *job, gpointer user_data, GError **error);
    gpointer user_data;
    const char *what; /* for the progress */
} StorageVerityWork;

gboolean storage_verity_run(const StorageVerityWork *work, guint64 *bad_block, GError **error);
