/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AMD's certificate extensions. Internal to policy/appraisal/. */
#pragma once

#include "policy/appraisal/chain.h"

/**
 * AppraisalExtensions:
 * @present: bit n: part n of the TCB (1 boot loader, 2 TEE, 3 SNP, 4 to 7 reserved, 8 microcode, 9 FMC) is there
 * @spl: the security patch level of each
 */
typedef struct {
    guint8 struct_version;
    gchar *product;
    guint present;
    guint8 spl[10];
    GBytes *hwid;
    gchar *csp_id;
} AppraisalExtensions;
void appraisal_extensions_clear(AppraisalExtensions *extensions);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AppraisalExtensions, appraisal_extensions_clear)

/* Reads all of AMD's extensions, each at most once and exactly encoded, and refuses critical ones of anybody else. */
gboolean appraisal_extensions_read(const X509 *certificate, AppraisalExtensions *out, GError **error);
