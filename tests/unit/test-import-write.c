/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that become file names. */
#include <glib.h>

#include "virsh-wrappers/import-write.h"

static void test_names(void)
{
    static const char *const good[] = {"vm1", "a b", "\303\274", "\346\227\245\346\234\254", "a.b-c", NULL};
    /* Bytes in UTF-8: a NEL, a soft hyphen, every control of bidirectional text, both separators, one unassigned. */
    static const char *const bad[] = {"",
                                      ".a",
                                      "-a",
                                      "a/b",
                                      "a\nb",
                                      "a\x7f",
                                      "a\xff",
                                      "a\302\205",
                                      "a\302\255",
                                      "a\330\234",
                                      "a\342\200\216",
                                      "a\342\200\217",
                                      "a\342\200\252",
                                      "a\342\200\253",
                                      "a\342\200\254",
                                      "a\342\200\255",
                                      "a\342\200\256",
                                      "a\342\201\246",
                                      "a\342\201\247",
                                      "a\342\201\250",
                                      "a\342\201\251",
                                      "a\342\200\250",
                                      "a\342\200\251",
                                      "a\364\217\277\277",
                                      NULL};
    g_autofree gchar *longest = g_strnfill(200, 'x');
    g_autofree gchar *longer = g_strnfill(201, 'x');

    for (guint i = 0; good[i]; i++)
        g_assert_null(cmd_import_name_invalid(good[i]));
    for (guint i = 0; bad[i]; i++) {
        if (!cmd_import_name_invalid(bad[i]))
            g_error("name %u is taken", i);
    }
    g_assert_null(cmd_import_name_invalid(longest));
    g_assert_nonnull(cmd_import_name_invalid(longer));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/import-write/names", test_names);
    return g_test_run();
}
