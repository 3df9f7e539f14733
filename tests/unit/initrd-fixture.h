/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Initrds for the tests of policy/, written without any of the code that makes or judges them: a cpio archive from a
 * list of entries, each of which may be wrong in its own way.
 */
#pragma once

#include <glib.h>
#include <string.h>

#define INITRD_INIT "\177ELF a guest's init"
#define INITRD_RELEASE "6.1.0-test-amd64"
#define INITRD_LIST(level)                                                                                             \
    "virt-attest-initrd 1\nlevel " level "\nkernel " INITRD_RELEASE "\nmodule required 0000-virtio.ko\n"               \
    "module optional 0001-sha256-ssse3.ko\n"

/* Fields of an entry that are not what its kind has; 0 (or NULL) leaves them alone. */
typedef struct {
    const char *name;
    guint mode; /* octal, with the type */
    const char *data;
    guint uid, gid, mtime, links, inode, device, special, check;
    const char *header; /* instead of everything */
    guint8 padding;     /* instead of zero */
} InitrdEntry;

static inline void initrd_pad(GByteArray *out, guint8 byte)
{
    while (out->len % 4)
        g_byte_array_append(out, &byte, 1);
}

static inline void initrd_add(GByteArray *out, const InitrdEntry *entry, guint inode)
{
    gsize size = entry->data ? strlen(entry->data) : 0;
    gboolean folder = (entry->mode & 0170000) == 0040000;
    guint fields[13] = {
        entry->inode ? entry->inode : inode,
        entry->mode,
        entry->uid,
        entry->gid,
        entry->links ? entry->links
        : folder     ? 2
                     : 1,
        entry->mtime,
        (guint)size,
        entry->device,
        0,
        entry->special,
        0,
        (guint)strlen(entry->name) + 1,
        entry->check,
    };

    if (entry->header) {
        g_byte_array_append(out, (const guint8 *)entry->header, (guint)strlen(entry->header));
    } else {
        g_byte_array_append(out, (const guint8 *)"070701", 6);
        for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
            g_autofree gchar *text = g_strdup_printf("%08X", fields[i]);
            g_byte_array_append(out, (const guint8 *)text, 8);
        }
    }
    g_byte_array_append(out, (const guint8 *)entry->name, (guint)strlen(entry->name) + 1);
    initrd_pad(out, entry->padding);
    g_byte_array_append(out, (const guint8 *)(entry->data ? entry->data : ""), (guint)size);
    initrd_pad(out, entry->padding);
}

#define INITRD_DEV                                                                                                     \
    {                                                                                                                  \
        "dev", 0040755                                                                                                 \
    }
#define INITRD_INIT_ENTRY                                                                                              \
    {                                                                                                                  \
        "init", 0100755, INITRD_INIT                                                                                   \
    }
#define INITRD_LIST_ENTRY(level)                                                                                       \
    {                                                                                                                  \
        "initrd.list", 0100644, INITRD_LIST(level)                                                                     \
    }
#define INITRD_MODULES                                                                                                 \
    {"modules", 0040755}, {"modules/0000-virtio.ko", 0100644, "\177ELF virtio"},                                       \
    {                                                                                                                  \
        "modules/0001-sha256-ssse3.ko", 0100644, "\177ELF sha256"                                                      \
    }
#define INITRD_END                                                                                                     \
    {"proc", 0040755}, {"run", 0040755}, {"sys", 0040755}, {"sysroot", 0040755},                                       \
    {                                                                                                                  \
        "TRAILER!!!", 0                                                                                                \
    }

static inline GByteArray *initrd_archive(const InitrdEntry *entries, gsize n)
{
    GByteArray *out = g_byte_array_new();

    for (gsize i = 0; i < n; i++)
        initrd_add(out, &entries[i], strcmp(entries[i].name, "TRAILER!!!") ? (guint)i + 1 : 0);
    return out;
}

/* A good one, not compressed. @level: "0", "3" or "4". */
static inline GByteArray *initrd_good(const char *level)
{
    const InitrdEntry four[] = {INITRD_DEV, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END};
    const InitrdEntry three[] = {INITRD_DEV, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("3"), INITRD_MODULES, INITRD_END};

    return *level == '4' ? initrd_archive(four, G_N_ELEMENTS(four)) : initrd_archive(three, G_N_ELEMENTS(three));
}

/* A kernel file as far as anybody here reads it: a setup header with the release in it. */
static inline GByteArray *initrd_kernel(const char *release)
{
    GByteArray *out = g_byte_array_new();
    g_autofree gchar *text = g_strconcat(release, " (somebody@somewhere) #1 SMP", NULL);

    g_byte_array_set_size(out, 8192);
    memset(out->data, 0, out->len);
    out->data[0x1f1] = 15;
    memcpy(out->data + 0x202, "HdrS", 4);
    out->data[0x20e] = 0x00;
    out->data[0x20f] = 0x10;
    memcpy(out->data + 0x1000 + 0x200, text, strlen(text) + 1);
    return out;
}
