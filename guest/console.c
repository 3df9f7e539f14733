/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest says, and its end. The host holds the other side of the console: it sees everything that is written
 * here, it may stop reading, and it may send anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "guest/init.h"

#define PREFIX "virt-attest: "
#define STOPPED PREFIX "stopped: "
#define LINE_MAX_BYTES 512
/* How long a console that takes nothing may hold up the power-off. */
#define DRAIN_MS 2000
/* A host's log gets the last bytes before the power is gone. */
#define SETTLE_MS 200

static int console = -1;

void guest_console_open(void)
{
    struct termios terminal;

    /* Not the controlling terminal, so no key becomes a signal; not blocking, so no key (Ctrl-S) holds us up. */
    console = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (console < 0)
        console = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (console < 0 || tcgetattr(console, &terminal) < 0)
        return;
    terminal.c_iflag &= ~(tcflag_t)(IXON | IXOFF);
    terminal.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    tcsetattr(console, TCSANOW, &terminal);
}

void guest_console_discard_input(void)
{
    if (console >= 0)
        tcflush(console, TCIFLUSH);
}

static void write_line(const char *line, size_t size)
{
    int64_t deadline = guest_clock_ms() + DRAIN_MS;
    int kmsg;

    while (console >= 0 && size) {
        ssize_t n = write(console, line, size);

        if (n > 0) {
            line += n;
            size -= (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            break;
        } else if (guest_clock_ms() > deadline) {
            return;
        } else {
            guest_sleep_ms(10);
        }
    }
    if (!size)
        return;
    kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (kmsg >= 0) {
        if (write(kmsg, line, size) < 0)
            size = 0;
        close(kmsg);
    }
}

static void say(const char *prefix, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void say(const char *prefix, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t start = strlen(prefix), size;

    memcpy(line, prefix, start);
    vsnprintf(line + start, sizeof(line) - start - 1, format, args);
    size = strlen(line);
    for (size_t i = start; i < size; i++) {
        if (line[i] < ' ' || line[i] > '~')
            line[i] = '?';
    }
    line[size++] = '\n';
    write_line(line, size);
}

void guest_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(PREFIX, format, args);
    va_end(args);
}

void guest_stop(const char *format, ...)
{
    int64_t deadline;
    int waiting = 0;
    va_list args;

    va_start(args, format);
    say(STOPPED, format, args);
    va_end(args);
    /* Not tcdrain(): it has no end when the host takes nothing. */
    deadline = guest_clock_ms() + DRAIN_MS;
    while (console >= 0 && ioctl(console, TIOCOUTQ, &waiting) == 0 && waiting > 0 && guest_clock_ms() < deadline)
        guest_sleep_ms(10);
    /* A test must never switch off the machine that it runs on. */
    if (getpid() != 1)
        _exit(1);
    guest_sleep_ms(SETTLE_MS);
    reboot(RB_POWER_OFF);
    /* No way to switch off: stay, and do nothing more. The first process must not end. */
    reboot(RB_HALT_SYSTEM);
    for (;;)
        pause();
}
