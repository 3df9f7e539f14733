/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of the store. */
#pragma once

#include "policy/store.h"

static inline int policy_fd_steal(PolicyFd *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* The two functions of the digest cache; @store is the user data. */
gchar *policy_cache_lookup(const MeasureInput *input, const char *kind, gpointer store);
void policy_cache_store(const MeasureInput *input, const char *kind, const char *value, gpointer store);
