/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/init.h"

void guest_modules_load(const GuestInitrdList *modules)
{
    for (size_t i = 0; i < modules->n_modules; i++) {
        const GuestModule *module = &modules->modules[i];
        char path[sizeof("/modules/") + GUEST_MODULE_NAME_MAX];
        int fd;

        snprintf(path, sizeof(path), "/modules/%s", module->name);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        /* A file that is on the list is in the archive, needed or not. */
        if (fd < 0)
            guest_stop("module %s: %s", path, strerror(errno));
        if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && module->required)
            guest_stop("module %s: the kernel refuses it: %s", path, strerror(errno));
        close(fd);
        unlink(path);
    }
}
