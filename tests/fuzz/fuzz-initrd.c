/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An initrd: every one gets a judgement, and what is ours is exactly one archive of our form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/initrd.h"
#include "policy/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MeasureBytes bytes = {data, size};
    g_autoptr(PolicyInitrd) initrd = policy_initrd_judge(bytes, NULL);
    g_autofree gchar *release = policy_kernel_release(bytes);

    if (release && strlen(release) >= GUEST_RELEASE_MAX)
        abort();
    if (initrd->ours ? initrd->reason || !initrd->kernel || !initrd->compression : !initrd->reason)
        abort();
    for (const char *at = initrd->reason; at && *at; at++) {
        if (g_ascii_iscntrl(*at))
            abort();
    }
    if (initrd->reason && !g_utf8_validate(initrd->reason, -1, NULL))
        abort();
    /* An archive that is ours stops being so with one byte more. */
    if (initrd->ours && !strcmp(initrd->compression, "none")) {
        g_autofree guint8 *longer = g_malloc0(size + 4);
        g_autoptr(PolicyInitrd) other = NULL;

        memcpy(longer, data, size);
        other = policy_initrd_judge((MeasureBytes){longer, size + 4}, NULL);
        if (other->ours)
            abort();
    }
    return 0;
}
