/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A configuration file: what is taken has values in range, what is not has a reason that is safe to print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree gchar *path = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyConfig) config = NULL;
    int fd = memfd_create("config", MFD_CLOEXEC);

    if (fd < 0 || fchmod(fd, 0600) < 0 || (size && write(fd, data, size) != (ssize_t)size))
        abort();
    path = g_strdup_printf("/proc/self/fd/%d", fd);
    config = policy_config_load(path, &error);
    close(fd);
    if (config) {
        if (config->watchdog < 1 || config->watchdog > 60 || config->history < 1 || config->history > 10000 ||
            !config->allowed_cpus->len || !g_path_is_absolute(config->state_directory))
            abort();
        for (guint i = 0; i < config->trusted_firmware->len; i++) {
            if (strlen(g_ptr_array_index(config->trusted_firmware, i)) != 64)
                abort();
        }
    } else {
        if (!g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
    }
    return 0;
}
