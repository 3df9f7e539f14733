/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/appraisal/words.h"

const AppraisalBit appraisal_policy_bits[] = {
    {16, "smtAllowed", "SMT of the host", "allowed", "not allowed"},
    {18, "migrationAgentAllowed", "Migration agent", "allowed", "not allowed"},
    {19, "debugAllowed", "Debugging by the host", "ALLOWED: the host may read the guest's memory", "not allowed"},
    {20, "singleSocketRequired", "One socket only", "required", "not required"},
    {21, "cxlAllowed", "CXL devices and memory", "allowed", "not allowed"},
    {22, "aes256XtsRequired", "AES-256 XTS for memory", "required", "not required"},
    {23, "raplDisabledRequired", "RAPL off", "required", "not required"},
    {24, "ciphertextHidingRequired", "Ciphertext hiding", "required", "not required"},
    {25, "pageSwapDisabledRequired", "No page moves and swaps", "required", "not required"},
    {0, NULL, NULL, NULL, NULL},
};

const AppraisalBit appraisal_platform_bits[] = {
    {0, "smtEnabled", "SMT", "on", "off"},
    {1, "tsmeEnabled", "Transparent SME", "on", "off"},
    {2, "eccEnabled", "ECC memory", "on", "off"},
    {3, "raplDisabled", "RAPL", "off", "on"},
    {4, "ciphertextHidingEnabled", "Ciphertext hiding", "on", "off"},
    {5, "aliasCheckComplete", "Check for memory aliases", "done", "not done"},
    {7, "tioEnabled", "Trusted I/O", "on", "off"},
    {0, NULL, NULL, NULL, NULL},
};

guint64 appraisal_bits_unknown(const AppraisalBit *bits, guint64 value)
{
    for (; bits->key; bits++)
        value &= ~(G_GUINT64_CONSTANT(1) << bits->bit);
    return value;
}

const char *appraisal_signer_name(AppraisalSigner signer)
{
    switch (signer) {
    case APPRAISAL_SIGNER_VCEK:
        return "VCEK";
    case APPRAISAL_SIGNER_VLEK:
        return "VLEK";
    case APPRAISAL_SIGNER_NONE:
        break;
    }
    return "none";
}
