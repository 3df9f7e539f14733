/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading of cpio archives ("newc"), entry by entry, from untrusted bytes. What is said here is only what an entry
 * says of itself; whether it may be there is for the caller to judge. Internal to policy/.
 */
#pragma once

#include "measure/bytes.h"

#define POLICY_NEWC_HEADER 110 /* bytes */
#define POLICY_NEWC_TRAILER "TRAILER!!!"

/**
 * PolicyNewcEntry:
 * @header: %POLICY_NEWC_HEADER bytes
 * @name: its name, for as long as the archive lives
 * @data: its contents
 * @padding: all padding is zero
 * @mode: type and permissions
 */
typedef struct {
    MeasureBytes header;
    const char *name;
    MeasureBytes data;
    gboolean padding;
    guint32 mode;
} PolicyNewcEntry;

/* The entry at @at, which moves behind it. FALSE when there is none that lies inside @archive. */
gboolean policy_newc_next(MeasureBytes archive, gsize *at, PolicyNewcEntry *out);

/* Entry and header are, byte for byte, what virt-attest writes for an entry of that name, size and kind. */
gboolean policy_newc_is_canonical(const PolicyNewcEntry *entry, guint inode, guint mode, guint links);
