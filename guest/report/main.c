/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's own virt-attest: the two commands that make sense in there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/report/report.h"

static const char usage[] =
    "usage: virt-attest report-get [--data HEX | --nonce FILE] [--ssh-host-key FILE|auto] [--vmpl N]\n"
    "           [--format binary|extended|hex|json] [--output FILE] [--certificates FILE]\n"
    "       virt-attest report-serve [--port FILE] [--vmpl N]\n"
    "\n"
    "report-get asks the processor for an attestation report and prints it; report-serve answers the host's requests\n"
    "on the channel " GUEST_REPORT_CHANNEL ". Both also take --tsm FOLDER and --device FILE, where the kernel's\n"
    "interfaces lie elsewhere. This is the program for guests; the host's virt-attest has all other commands.\n";

typedef struct {
    const char *name, **value;
} Option;

/* Options are "--name VALUE" or "--name=VALUE". Returns 0, or the exit code. */
static int read_options(char **argv, const Option *options)
{
    for (; *argv; argv++) {
        const char *text = *argv, *equals = strchr(text, '=');
        size_t length = equals ? (size_t)(equals - text) : strlen(text);
        const Option *option = options;

        if (!strcmp(text, "--help") || !strcmp(text, "-h")) {
            fputs(usage, stdout);
            return -1;
        }
        while (option->name && (length != strlen(option->name) + 2 || strncmp(text, "--", 2) != 0 ||
                                strncmp(text + 2, option->name, length - 2) != 0))
            option++;
        if (!option->name || *option->value || (!equals && !argv[1])) {
            fprintf(stderr, "error: %.*s: %s\nSee 'virt-attest --help'.\n", (int)(length < 100 ? length : 100), text,
                    !option->name ? "unknown option" : *option->value ? "given twice" : "its value is missing");
            return 2;
        }
        *option->value = equals ? equals + 1 : *++argv;
    }
    return 0;
}

static int report(bool good, const GuestReportError *error)
{
    if (good)
        return 0;
    fprintf(stderr, "error: %s\n", error->text);
    return error->code;
}

static int get(char **argv)
{
    GuestReportOptions options = {.data = NULL};
    GuestReportError error = {.code = 0};
    const Option table[] = {
        {"data", &options.data},     {"nonce", &options.nonce},   {"ssh-host-key", &options.ssh_host_key},
        {"vmpl", &options.vmpl},     {"format", &options.format}, {"output", &options.output},
        {"certificates", &options.certificates}, {"tsm", &options.tsm}, {"device", &options.device},
        {NULL, NULL},
    };
    int code = read_options(argv, table);

    return code ? (code < 0 ? 0 : code) : report(guest_report_get(&options, &error), &error);
}

static int serve(char **argv)
{
    const char *port = NULL, *vmpl = NULL, *tsm = NULL, *device = NULL;
    GuestReportError error = {.code = 0};
    const Option table[] = {{"port", &port}, {"vmpl", &vmpl}, {"tsm", &tsm}, {"device", &device}, {NULL, NULL}};
    int code = read_options(argv, table);
    GuestReportRequest ways = {.vmpl = -1, .tsm = tsm ? tsm : GUEST_REPORT_TSM,
                               .device = device ? device : GUEST_REPORT_DEVICE};

    if (code)
        return code < 0 ? 0 : code;
    if (vmpl && (strlen(vmpl) != 1 || vmpl[0] < '0' || vmpl[0] > '3')) {
        fprintf(stderr, "error: --vmpl: give a number from 0 to 3\n");
        return 2;
    }
    if (vmpl)
        ways.vmpl = vmpl[0] - '0';
    return report(guest_report_serve(port ? port : "/dev/virtio-ports/" GUEST_REPORT_CHANNEL, &ways, false, &error),
                  &error);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(command, "report-get"))
        return get(argv + 2);
    if (!strcmp(command, "report-serve"))
        return serve(argv + 2);
    if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
        fputs(usage, stdout);
        return 0;
    }
    if (!strcmp(command, "--version") || !strcmp(command, "-v")) {
        puts("virt-attest " VERSION " (guest)");
        return 0;
    }
    fprintf(stderr, "error: %s\n%s", *command ? "there is no such command in a guest" : "a command is missing", usage);
    return 2;
}
