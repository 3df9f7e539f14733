/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Product lines, and TCB versions in both of their layouts. SEV-SNP Firmware ABI (56860), TCB_VERSION. */
#include <string.h>

#include "policy/appraisal/report.h"

/* Which products each line has; certificates add a stepping to the name ("Milan-B0"), which says nothing here. */
static const struct {
    const char *name;
    AppraisalLine line;
} products[] = {
    {"Milan", APPRAISAL_LINE_MILAN},
    {"Genoa", APPRAISAL_LINE_GENOA},
    {"Turin", APPRAISAL_LINE_TURIN},
    {"Bergamo", APPRAISAL_LINE_GENOA},
    {"Siena", APPRAISAL_LINE_GENOA},
};

const char *appraisal_line_name(AppraisalLine line)
{
    for (gsize i = 0; i < G_N_ELEMENTS(products); i++) {
        if (products[i].line == line)
            return products[i].name;
    }
    return "unknown";
}

static gboolean is_stepping(const char *text)
{
    gsize length = strlen(text);

    return length >= 1 && length <= 8 &&
           strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == length;
}

gboolean appraisal_line_from_name(const char *name, AppraisalLine *out)
{
    for (gsize i = 0; i < G_N_ELEMENTS(products); i++) {
        gsize length = strlen(products[i].name);

        if (strncmp(name, products[i].name, length) != 0)
            continue;
        if (!name[length] || (name[length] == '-' && is_stepping(name + length + 1))) {
            *out = products[i].line;
            return TRUE;
        }
    }
    return FALSE;
}

void appraisal_tcb_decode(AppraisalLine line, const guint8 raw[8], PolicyTcb *out)
{
    if (line == APPRAISAL_LINE_TURIN)
        *out = (PolicyTcb){.fmc = raw[0], .bootloader = raw[1], .tee = raw[2], .snp = raw[3], .microcode = raw[7]};
    else
        *out = (PolicyTcb){.fmc = -1, .bootloader = raw[0], .tee = raw[1], .snp = raw[6], .microcode = raw[7]};
}

gboolean appraisal_tcb_at_least(const PolicyTcb *tcb, const PolicyTcb *minimum)
{
    return tcb->bootloader >= minimum->bootloader && tcb->tee >= minimum->tee && tcb->snp >= minimum->snp &&
           tcb->microcode >= minimum->microcode && tcb->fmc >= minimum->fmc;
}

gboolean appraisal_tcb_equal(const PolicyTcb *a, const PolicyTcb *b)
{
    return a->bootloader == b->bootloader && a->tee == b->tee && a->snp == b->snp && a->microcode == b->microcode &&
           a->fmc == b->fmc;
}
