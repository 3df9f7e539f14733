/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every base image loses and gets, whether it was built or imported: nothing that identifies a machine, no password,
 * no login on the console, nothing through which the host could reconfigure the guest. A filter over the entries of the
 * root tree; it reads and writes no files itself.
 */
#pragma once

#include "storage/ext4-write.h"

/**
 * StorageCleanOptions:
 * @hostname: (nullable): name to set; %NULL keeps what the tree has, or "localhost"
 * @keys: (nullable): OpenSSH public keys that may log in as root, one a line, as storage_clean_read_keys() gives them
 * @sources: (nullable): new contents of etc/apt/sources.list, instead of all that the tree has
 * @agent: (nullable): the program that fetches the guest's report, as storage_clean_read_agent() gives it; it becomes
 *   %STORAGE_CLEAN_AGENT_PATH, and what the tree has of that name goes
 * @console_login: leave the gettys alone
 * @imported: the tree comes from somebody's image: authorized keys in it are theirs and go
 */
typedef struct {
    const char *hostname, *keys, *sources;
    GBytes *agent;
    gboolean console_login, imported;
} StorageCleanOptions;

#define STORAGE_CLEAN_AGENT_PATH "usr/bin/virt-attest"
#define STORAGE_CLEAN_AGENT_MAX (16 * 1024 * 1024) /* bytes */

typedef enum {
    STORAGE_CLEAN_KEEP,
    STORAGE_CLEAN_DROP,
    STORAGE_CLEAN_REWRITE, /* its contents have to go through storage_clean_rewrite() */
    STORAGE_CLEAN_REFUSE,  /* with an error */
} StorageCleanVerdict;

/* A file (@text or @bytes set), symbolic link (@target set) or folder to be added at the end. Owner root. */
typedef struct {
    gchar *path;
    guint32 mode;
    gchar *text, *target;
    GBytes *bytes;
    gboolean unless_present; /* what the tree has of this name counts */
} StorageAddition;

#define STORAGE_CLEAN_REWRITE_MAX (4 * 1024 * 1024) /* bytes of a file that is rewritten */

typedef struct StorageClean StorageClean;

StorageClean *storage_clean_new(const StorageCleanOptions *options);
void storage_clean_free(StorageClean *clean);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageClean, storage_clean_free)

/* What becomes of @entry, whose path is normalised (#StorageEntry). Errors: %ATTEST_ERROR_UNREADABLE for a tree that
 * cannot be cleaned: a file of passwords that is no regular file. */
StorageCleanVerdict storage_clean_judge(StorageClean *clean, const StorageEntry *entry, GError **error);
/* The new contents of a file whose verdict was %STORAGE_CLEAN_REWRITE; %NULL with %ATTEST_ERROR_UNREADABLE for one that
 * is not text. */
gchar *storage_clean_rewrite(const char *path, const char *text, gsize size, GError **error);
/* (element-type StorageAddition): when the whole tree went through. Errors: %ATTEST_ERROR_UNREADABLE: no systemd in it. */
GPtrArray *storage_clean_additions(StorageClean *clean, GError **error);

/**
 * storage_clean_read_keys:
 * @paths: (array zero-terminated=1): files with OpenSSH public keys, one a line; empty lines and comments are skipped
 *
 * Returns: the keys, one a line. Errors: %ATTEST_ERROR_UNREADABLE for an unreadable file, a private key, options before a
 * key, a line that is no key.
 */
gchar *storage_clean_read_keys(const char *const *paths, GError **error);
/**
 * storage_clean_read_agent:
 * @path: the program, PolicyConfig.guest_report
 *
 * Returns: its bytes, at most %STORAGE_CLEAN_AGENT_MAX. Errors: %ATTEST_ERROR_NOT_CONFIGURED for a missing or unreadable
 * file and for one that is no program for x86-64.
 */
GBytes *storage_clean_read_agent(const char *path, GError **error);
/* Letters, digits, '-' and '.', as RFC 1123 wants them, at most 63 bytes. */
gboolean storage_clean_hostname_valid(const char *name);
