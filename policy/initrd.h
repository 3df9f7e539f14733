/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether an initrd is one of ours: an archive of exactly the one form that `virt-attest initrd` writes, with an init
 * that the owner trusts and nothing else that could run. Everything else has a shell until the contrary is proven.
 */
#pragma once

#include "guest/initrd-list.h"
#include "measure/bytes.h"
#include "policy/config.h"

#define POLICY_INITRD_MAX_SIZE (64u * 1024 * 1024)      /* bytes, as the kernel gets it */
#define POLICY_INITRD_MAX_UNPACKED (128u * 1024 * 1024) /* bytes of the archive */
#define POLICY_INIT_MAX_SIZE (16u * 1024 * 1024)        /* bytes of its init */

/**
 * PolicyInitrd:
 * @ours: it has the form of ours; the fields up to @init_trusted hold
 * @level: 0, 3 or 4: the lowest level whose command line its init obeys
 * @kernel: kernel release that its modules are for
 * @modules: how many
 * @compression: "zstd", "gzip" or "none"
 * @init: SHA-256 of its init
 * @init_trusted: the init is the installed one, or the configuration trusts it
 * @reason: (nullable): what is wrong when it is not ours, or its init not trusted; the rest of a sentence that begins
 *   with the initrd: "holds 'bin/sh', which is not part of a virt-attest initrd"
 */
typedef struct {
    gboolean ours;
    guint level;
    gchar *kernel;
    guint modules;
    const char *compression;
    guint8 init[MEASURE_SHA256_SIZE];
    gboolean init_trusted;
    gchar *reason;
} PolicyInitrd;

void policy_initrd_free(PolicyInitrd *initrd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyInitrd, policy_initrd_free)

/**
 * policy_initrd_judge:
 * @data: the whole initrd; hostile
 * @config: (nullable): where the installed init and the trusted digests stand; %NULL: only the form is judged
 *
 * Never fails: what is not understood is not ours, with the reason. Needs up to %POLICY_INITRD_MAX_UNPACKED bytes of
 * memory beside @data.
 */
PolicyInitrd *policy_initrd_judge(MeasureBytes data, const PolicyConfig *config);

/**
 * policy_initrd_judge_file:
 * @input: the initrd that was measured
 *
 * The same for a file. Not ours is also a file whose bytes are not, now, those that were measured.
 */
PolicyInitrd *policy_initrd_judge_file(const MeasureInput *input, const PolicyConfig *config);
