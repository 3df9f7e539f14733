/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "virsh-wrappers/output.h"

#define CLEAR_LINE "\r\033[K"
#define INTERVAL (G_USEC_PER_SEC / 10)

struct CmdProgress {
    gboolean lines, terminal; /* neither: say nothing */
    gboolean visible;
    gchar *what; /* of the current step */
    int percent; /* last shown, -1: nothing yet */
    gint64 next; /* time of the next update on a terminal */
};

CmdProgress *cmd_progress_new(const CmdContext *context)
{
    CmdProgress *progress = g_new0(CmdProgress, 1);
    progress->terminal = isatty(STDERR_FILENO) == 1 && !cmd_context_quiet(context);
    progress->lines = !progress->terminal && cmd_context_has(context, "progress");
    progress->percent = -1;
    return progress;
}

void cmd_progress_clear(CmdProgress *progress)
{
    if (progress->visible) {
        fputs(CLEAR_LINE, stderr);
        fflush(stderr);
        progress->visible = FALSE;
    }
}

void cmd_progress_free(CmdProgress *progress)
{
    if (!progress) {
        return;
    }
    cmd_progress_clear(progress);
    g_free(progress->what);
    g_free(progress);
}

static void show(CmdProgress *progress, int percent)
{
    g_autofree gchar *what = cmd_printable(progress->what);
    g_autofree gchar *figure = percent < 0 ? g_strdup("…") : g_strdup_printf(": %d %%", percent);
    if (progress->terminal) {
        fprintf(stderr, CLEAR_LINE "%s%s", what, figure);
        progress->visible = TRUE;
    } else {
        fprintf(stderr, "%s%s\n", what, figure);
    }
    fflush(stderr);
}

void cmd_progress_update(const char *what, guint64 done, guint64 total, gpointer data)
{
    CmdProgress *progress = data;
    gboolean new_step = g_strcmp0(progress->what, what) != 0;
    int percent = total == 0 ? -1 : done >= total ? 100 : (int)((double)done * 100 / (double)total);
    gint64 now = g_get_monotonic_time();
    if (!progress->terminal && !progress->lines) {
        return;
    }
    if (new_step) {
        g_free(progress->what);
        progress->what = g_strdup(what);
        progress->percent = -1;
    }
    if (progress->lines) {
        percent -= percent > 0 ? percent % 10 : 0;
    }
    gboolean due = progress->lines || now >= progress->next || percent == 100;
    if (!new_step && (percent == progress->percent || !due)) {
        return;
    }
    progress->percent = percent;
    progress->next = now + INTERVAL;
    show(progress, percent);
}
