/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/library.h"

#include <dlfcn.h>

gboolean storage_library_load(const char *library, const char *purpose, const char *package,
                              const StorageSymbol *symbols, guint n_symbols, GError **error)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    for (guint i = 0; handle && i < n_symbols; i++) {
        *symbols[i].place = dlsym(handle, symbols[i].name);
        if (!*symbols[i].place)
            handle = NULL;
    }
    if (handle)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "cannot load %s, which %s: %s; install it (Debian: %s)",
                library, purpose, dlerror(), package);
    return FALSE;
}
