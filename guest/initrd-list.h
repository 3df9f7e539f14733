/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /initrd.list: the table of contents of our initrd, which the init obeys and the host judges.
 *
 *   virt-attest-initrd 1
 *   level 4
 *   kernel 6.12.57+deb13-cloud-amd64
 *   module required 0000-virtio.ko
 *   module optional 0001-sha256-ssse3.ko
 *
 * One fact a line, in this order, each line ended by a newline. Modules lie uncompressed in /modules and are loaded in
 * this order; an optional one may be refused by the kernel (a processor without the instruction). The archive has the
 * folders dev, modules, proc, run, sys and sysroot, the files init, initrd.list and modules/NNNN-NAME.ko, and
 * nothing else. Compiled into the guest's init and into the host's tools.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GUEST_INITRD_LIST_MAX (64 * 1024) /* bytes */
#define GUEST_INITRD_MODULES_MAX 512
#define GUEST_MODULE_NAME_MAX 96 /* "0000-NAME.ko" */
#define GUEST_RELEASE_MAX 65     /* struct utsname */

typedef struct {
    char name[GUEST_MODULE_NAME_MAX];
    bool required;
} GuestModule;

typedef struct {
    unsigned level; /* 0, 3 or 4: the virt_attest.level that this initrd obeys, and no other */
    char kernel[GUEST_RELEASE_MAX];
    size_t n_modules;
    GuestModule modules[GUEST_INITRD_MODULES_MAX];
} GuestInitrdList;

/* Strict; returns 0, or -1 with one line in @message (GUEST_MESSAGE_MAX bytes). */
int guest_initrd_list_parse(const char *text, size_t size, GuestInitrdList *out, char *message);
