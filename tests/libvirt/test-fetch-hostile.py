#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A domain that changes, or is hostile, while it is asked for a report: libvirt, QEMU and its channel are real, this test answers
in the guest's place.
"""
import itertools
import os
import subprocess
import sys
import time

import channel
from harness import attest, connected, daemon, eventually, plain_xml, program, run, scratch, start, stop, virsh, virsh_define

CHANNEL = "<channel type='unix'><target type='virtio' name='org.virt-attest.report.0'/></channel>"
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def ask(name, seconds):
    command = [program('virsh-wrappers/virt-attest'), 'verify', '--domain', name, '--timeout', str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Guest(channel.Service):
    """The far end of the channel of a domain of its own: whoever opens the channel gets @deed, and QEMU does as well."""

    def __init__(self, name, deed):
        path, self.deed = scratch(f'{name}.channel'), deed
        super().__init__(path)
        virsh_define(plain_xml(name, devices=CHANNEL.replace("<channel type='unix'>", "<channel type='unix'><source "
                                                             f"mode='connect' path='{path}'/>")))
        start(name)

    def play(self, connection, nonce):
        self.deed(connection, nonce)
        return True


def undefine():
    virsh('undefine', '--domain', 'silent')
    stop('silent')


def test_gone(tap):
    """The daemon, and then the domain, is gone while the guest is asked."""
    virsh_define(plain_xml('silent', devices=CHANNEL))
    start('silent')
    for what, do, code, expected in (
            ('the daemon starts anew', lambda: daemon('restart'), 5, 'the connection to libvirt has ended'),
            ('a domain is undefined and stopped', undefine, 3, 'closed before the guest had answered')):
        asking = ask('silent', 600)
        tap.check(eventually(lambda: connected('silent')), f'{what}: it was waiting')
        do()
        _, errors = asking.communicate(timeout=120)
        tap.check(asking.returncode == code and expected in errors, f'{what}: exit {code}', f'{asking.returncode}: {errors}')


def slowly(connection, _):
    for each in itertools.cycle(b'{"nonce":"'):
        connection.sendall(bytes([each]))
        time.sleep(0.02)


def endless(text):
    def play(connection, nonce):
        data = text(nonce) * (65536 // len(text(nonce)))
        for _ in range(2 ** 30 // len(data)):
            connection.sendall(data)
    return play


def test_hostile_guests(tap):
    """They cost the time that was given them and no memory; all at the same time."""
    rows = (('slow', slowly, 'has not answered within 8 seconds'),
            ('one-line', endless(lambda _: b'x'), 'more than 262144 bytes'),
            ('many-lines', endless(lambda _: b'x\n'), 'more than 262144 bytes'),
            ('many-nonces', endless(lambda nonce: nonce.encode() + b'\0\n'), 'more than 262144 bytes'),
            ('closed', lambda connection, _: connection.sendall(b'{'), 'closed before the guest had answered'))
    asked = []
    for name, play, _ in rows:
        Guest(name, play)
    for name, _, said in rows:
        asked.append((name, ask(name, 8), said, time.monotonic()))
    for name, process, said, begin in asked:
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        code, seconds = os.waitstatus_to_exitcode(status), time.monotonic() - begin
        tap.check(code == 3 and said in errors and seconds < 60, f'{name}: given up', f'{code} after {seconds:.1f} s: {errors}')
        tap.check(usage.ru_maxrss < 256 * 1024, f'{name}: in little memory', f'{usage.ru_maxrss} KiB')
    for name, *_ in rows:
        stop(name)


def test_paused(tap):
    for name, devices, words, code in (('frozen', CHANNEL, [], 3), ('frozen-agent', AGENT, ['--via', 'agent'], 5)):
        virsh_define(plain_xml(name, devices=devices))
        start(name)
        virsh('suspend', '--domain', name)
        done = attest('verify', '--domain', name, '--timeout', '5', *words, check=False)
        tap.check(done.returncode == code and 'it is paused' in done.stderr and "'virsh resume'" in done.stderr,
                  f'{name}: what to do is said', f'{done.returncode}: {done.stderr}')
        stop(name)


TESTS = (test_gone, test_hostile_guests, test_paused)

if __name__ == '__main__':
    sys.exit(run(TESTS))
