/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/interrupt.h"

#include <signal.h>
#include <string.h>

#include "measure/error.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t received;

static void remember(int number)
{
    received = number;
}

void cmd_interrupt_catch(void)
{
    /* SA_RESETHAND: whoever asks twice does not want to wait for the undoing. */
    struct sigaction action = {.sa_handler = remember, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
        struct sigaction former;
        /* What the caller had ignored (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &former) == 0 && former.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

gboolean cmd_interrupt_check(GError **error)
{
    if (!received) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "interrupted (%s); what was made is removed again",
                strsignal(received));
    return FALSE;
}
