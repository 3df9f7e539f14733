/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "standin.h"

int main(int argc, char **argv)
{
    const char *port = STANDIN_PORT;

    if (argc > 2 && !strcmp(argv[1], "--port")) {
        port = argv[2];
        argc -= 2;
        argv += 2;
    }
    fprintf(stderr, "standin: %s: what it shows is a simulation\n", STANDIN_NOTICE);
    if (argc == 3 && !strcmp(argv[1], "folder"))
        return standin_folder(port, argv[2]);
    if (argc == 3 && !strcmp(argv[1], "device"))
        return standin_device(port, argv[2]);
    fputs("usage: standin [--port FILE] folder MOUNTPOINT | device NAME\n", stderr);
    return 2;
}
