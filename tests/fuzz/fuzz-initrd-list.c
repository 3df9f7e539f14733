/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /initrd.list: names that are taken are file names, what is not taken has a printable reason. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/initrd-list.h"
#include "guest/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree GuestInitrdList *list = g_new(GuestInitrdList, 1);
    char message[GUEST_MESSAGE_MAX];

    if (guest_initrd_list_parse((const char *)data, size, list, message) < 0) {
        if (!message[0])
            abort();
        for (const char *p = message; *p; p++) {
            if (*p < ' ' || *p > '~')
                abort();
        }
        return 0;
    }
    if (list->n_modules > GUEST_INITRD_MODULES_MAX || (list->level != 0 && list->level != 3 && list->level != 4) ||
        !list->kernel[0] || strchr(list->kernel, '/'))
        abort();
    for (size_t i = 0; i < list->n_modules; i++) {
        if (strchr(list->modules[i].name, '/') || !g_str_has_suffix(list->modules[i].name, ".ko"))
            abort();
    }
    return 0;
}
