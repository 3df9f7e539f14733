/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of its host a domain XML reaches for: paths, programs, devices. No measurement and no signature covers it, so a
 * domain that comes from elsewhere must not have it; disks are the exception, and are listed.
 */
#pragma once

#include <glib.h>

/**
 * xml_check_host_access:
 * @text: domain XML; hostile
 * @size: bytes, or -1 when zero-terminated
 *
 * Left out: firmware, kernel, initrd and emulator, which whoever defines the domain sets anew, <metadata>, and where
 * disks lie. Errors: %ATTEST_ERROR_REJECTED with the element and its line; %ATTEST_ERROR_UNREADABLE for what is no XML.
 */
gboolean xml_check_host_access(const char *text, gssize size, GError **error);

/* (element-type utf8): one line for every source of a disk, backing files included: "vda: file '/images/guest.img'". */
GPtrArray *xml_disk_sources(const char *text, gssize size, GError **error);
