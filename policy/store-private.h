/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of the store, and for the hook's record. */
#pragma once

#include "policy/store.h"

/* A file descriptor that closes itself: g_auto(PolicyFd) fd = -1; */
typedef int PolicyFd;
void policy_close(PolicyFd *fd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PolicyFd, policy_close)

static inline int policy_fd_steal(PolicyFd *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* Renames a file that cannot be used, so that it is neither lost nor in the way; @aside must not exist. */
gboolean policy_store_keep_aside(PolicyStore *store, const char *kind, const char *name, const char *aside,
                                 GError **error);

/* The two functions of the digest cache; @store is the user data. */
gchar *policy_cache_lookup(const MeasureInput *input, const char *kind, gpointer store);
void policy_cache_store(const MeasureInput *input, const char *kind, const char *value, gpointer store);
