/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Libraries that are loaded when they are first needed. Linking them would bring dozens of others into every start of
 * the program, which takes longer than measuring a domain, and most commands are to work where they are not installed.
 */
#pragma once

#include "measure/error.h"

typedef struct {
    const char *name;
    void **place;
} StorageSymbol;

/**
 * storage_library_load:
 * @library: file name with version, such as "libnbd.so.0"
 * @purpose: what it is for: "reads images"
 * @package: Debian's name
 *
 * Fills in the @n_symbols places. The library stays for the life of the process.
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED: it is not installed, or another one.
 */
gboolean storage_library_load(const char *library, const char *purpose, const char *package,
                              const StorageSymbol *symbols, guint n_symbols, GError **error);
