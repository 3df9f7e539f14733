/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this machine's own apt knows: mirrors, keys, and the settings with which packages are fetched. No mirror's name is
 * written anywhere in here.
 */
#pragma once

#include "storage/workdir.h"

typedef enum { STORAGE_DISTRIBUTION_DEBIAN, STORAGE_DISTRIBUTION_UBUNTU } StorageDistribution;

/**
 * StorageAptSource:
 * @uri: of the archive, ended by '/'; may hold a password
 * @suite: "trixie-security"
 */
typedef struct {
    gchar *uri, *suite;
} StorageAptSource;

/**
 * StorageApt:
 * @components: "main", "main universe"
 * @keyring: path of the keys that sign the suites
 * @sources: (element-type StorageAptSource): the suite itself first, then its updates and security updates, as far as they
 *   are there
 * @epoch: date of the suite's Release file, seconds since 1970
 */
typedef struct {
    StorageDistribution distribution;
    const char *components;
    gchar *keyring;
    GPtrArray *sources;
    gint64 epoch;
} StorageApt;

/**
 * storage_apt_new:
 * @suite: code name
 * @mirror: (nullable): archive to use; %NULL: the one that this machine uses
 * @keyring: (nullable)
 *
 * Asks the mirror for the suite. Errors: %ATTEST_ERROR_USAGE: names that are none, no mirror for this distribution;
 * %ATTEST_ERROR_UNREADABLE: unknown suite, no network, with apt's words; %ATTEST_ERROR_NOT_CONFIGURED: no apt, no keyring.
 */
StorageApt *storage_apt_new(const char *suite, const char *mirror, const char *keyring, StorageWorkdir *workdir,
                            GError **error);
void storage_apt_free(StorageApt *apt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageApt, storage_apt_free)

/* Lines for sources.list; @inside: as they belong into the image: without passwords and keyring. */
gchar *storage_apt_lines(const StorageApt *apt, gboolean inside);
/* Settings of this machine's apt that have to do with fetching: proxies, validity of dates, retries. */
gchar *storage_apt_settings(GError **error);
/* @uri without user name and password. */
gchar *storage_apt_public_uri(const char *uri);

/**
 * storage_apt_missing:
 * @wanted: (element-type utf8): "NAME:ARCHITECTURE=VERSION"
 *
 * Returns: (element-type utf8): those that the mirror does not have (any more); %NULL with an error when it cannot be asked.
 */
GPtrArray *storage_apt_missing(const StorageApt *apt, GPtrArray *wanted, StorageWorkdir *workdir, GError **error);
