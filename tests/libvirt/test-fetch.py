#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A report that cannot be fetched: libvirt, QEMU and its channel are real, nothing runs in the guest, so it is silent.

What a guest answers is tested where one is booted (tests/boot), and as bytes (tests/unit/test-fetch.c).
"""
import os
import re
import signal
import subprocess
import sys
import time

from harness import Failed, attest, eventually, plain_xml, program, run, scratch, start, stop, virsh, virsh_define, write

HOSTS = 'other ssh-rsa AAAA\nweb ssh-rsa AAAA virt-attest\n'
CHANNEL = "<channel type='unix'><target type='virtio' name='org.virt-attest.report.0'/></channel>"
OTHER = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


# Seconds: more than what was given up at its time may take on a busy machine, less than the 60 that are usual.
PROMPT = 40


def connected(path):
    """Somebody has connected to this socket, for which QEMU listens."""
    with open('/proc/net/unix', encoding='utf-8') as file:
        return any(line.split()[5] == '03' for line in file if line.endswith(f' {path}\n'))


def ask(seconds):
    return subprocess.Popen([program('virsh-wrappers/virt-attest'), 'verify', '--domain', 'silent', '--timeout', str(seconds)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask_for_long():
    """A run that has the channel."""
    path = re.search("<source mode='bind' path='([^']*)'", virsh('dumpxml', 'silent').stdout).group(1)
    asking = ask(600)
    if not eventually(lambda: connected(path)):
        raise Failed(f'nobody connects to {path}')
    return asking


def timed(*words):
    """The run, and how many seconds it took."""
    begin = time.monotonic()
    done = attest(*words, check=False)
    return done, time.monotonic() - begin


def refused(tap, code, parts, what, *words):
    done, seconds = timed(*words)
    tap.check(done.returncode == code and not done.stdout and all(part in done.stderr for part in parts),
              f'{what}: exit {code}', f'{done.returncode} after {seconds:.1f} s\n{done.stdout}{done.stderr}')
    return seconds


def test_not_running(tap):
    virsh_define(plain_xml('asleep', devices=CHANNEL))
    for words in (['verify', '--domain', 'asleep'], ['verify', '--domain', 'asleep', '--via', 'agent'],
                  ['known-hosts', 'asleep', '--host', 'web'], ['ssh', 'asleep', '--host', 'web'], ['console', 'asleep']):
        refused(tap, 5, ["'asleep' is not running", 'to start it: virt-attest start asleep'],
                f'{" ".join(words)}: a domain that does not run', *words)
    refused(tap, 5, ["there is no domain 'nobody'"], 'no domain', 'verify', '--domain', 'nobody')


def test_no_channel(tap):
    virsh_define(plain_xml('mute', devices=OTHER))
    start('mute')
    missing = ['has no channel', "<target type='virtio' name='org.virt-attest.report.0'/>"]
    refused(tap, 4, missing, 'a domain with another channel only', 'verify', '--domain', 'mute', '--via', 'channel')
    for command in 'known-hosts', 'ssh':
        refused(tap, 4, missing, f'{command} takes no other one', command, 'mute', '--host', 'web')
    refused(tap, 4, ['--host'], 'a domain whose address nobody knows', 'known-hosts', 'mute')
    for words in ([], ['--via', 'agent']):
        seconds = refused(tap, 5, ['its guest agent does not answer', 'qemu-guest-agent'],
                          f'verify {" ".join(words)}: a guest agent that is not there', 'verify', '--domain', 'mute',
                          '--timeout', '2', *words)
        tap.check(1.5 <= seconds < PROMPT, 'it is waited for, and given up when the time is over', f'{seconds:.1f} s')
    stop('mute')


def test_usage(tap):
    for words in (['--nonce', '00' * 64], ['--any-report-data'], ['--report-data', '00'], ['--at', '1'],
                  ['--ssh-host-key', '/dev/null'], ['--auxblob', '/dev/null']):
        refused(tap, 2, [words[0]], f'{words[0]} without a report', 'verify', '--domain', 'asleep', *words)
    refused(tap, 2, ['verify'], 'neither report nor domain', 'verify')
    report = write(scratch('report'), b'')
    for words in (['--save', scratch('saved.json')], ['--via', 'agent']):
        refused(tap, 2, [words[0], 'a report is given'], f'{words[0]} with a report', 'verify', *words, report)
    tap.check(not os.path.exists(scratch('saved.json')), 'nothing is saved')
    refused(tap, 2, ['--via', 'channel, agent, auto'], 'no such way', 'verify', '--domain', 'asleep', '--via', 'air')
    for command in 'known-hosts', 'ssh':
        refused(tap, 2, ['--via agent', 'no SSH key is trusted'], f'{command} through the agent', command, 'asleep', '--host',
                'web', '--via', 'agent')
    refused(tap, 2, ['--timeout'], 'no time at all', 'verify', '--domain', 'asleep', '--timeout', '0')


def test_silent(tap):
    virsh_define(plain_xml('silent', devices=CHANNEL))
    start('silent')
    saved, hosts = scratch('saved.json'), write(scratch('known_hosts'), HOSTS)
    for words in (['verify', '--domain', 'silent', '--save', saved],
                  ['known-hosts', 'silent', '--host', 'web', '--output', hosts],
                  ['ssh', 'silent', '--host', '127.0.0.1', '--port', '1']):
        seconds = refused(tap, 3, ['has not answered within 2 seconds', 'nothing in it has the channel', '--timeout'],
                          f'{words[0]}: a guest that is silent', *words, '--timeout', '2')
        tap.check(2 <= seconds < PROMPT, f'{words[0]}: given up when the time is over', f'{seconds:.1f} s')
    tap.check(not os.path.exists(saved), 'nothing is saved')
    with open(hosts, encoding='ascii') as file:
        tap.equal(file.read(), HOSTS, 'no verdict changes no list of hosts')


def test_busy(tap):
    first = ask_for_long()
    seconds = refused(tap, 5, ['cannot open the channel'], 'somebody else has the channel', 'verify', '--domain',
                      'silent', '--timeout', '2')
    tap.check(seconds >= 2, 'it is waited for', f'{seconds:.1f} s')
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=PROMPT)
    tap.equal(first.returncode, -signal.SIGINT, 'Ctrl-C ends it')
    refused(tap, 3, ['has not answered'], 'the channel is free again', 'verify', '--domain', 'silent', '--timeout', '3')


def test_one_deadline(tap):
    """The time to wait for the channel, and for the answer, is one and the same."""
    given, held = 9, 7  # two deadlines would be 16 seconds
    first = ask_for_long()
    begin = time.monotonic()
    second = ask(given)
    time.sleep(held)
    first.terminate()
    first.communicate(timeout=PROMPT)
    _, errors = second.communicate(timeout=PROMPT)
    seconds = time.monotonic() - begin
    tap.check(second.returncode == 3 and f'has not answered within {given} seconds' in errors
              and given <= seconds < given + held - 0.5,
              'waiting for the channel counts', f'{second.returncode} after {seconds:.1f} s: {errors}')


def test_gone(tap):
    asking = ask_for_long()
    stop('silent')
    _, errors = asking.communicate(timeout=PROMPT)
    tap.check(asking.returncode == 3 and 'closed before' in errors, 'a guest that is stopped meanwhile', errors)


TESTS = (test_not_running, test_no_channel, test_usage, test_silent, test_busy, test_one_deadline, test_gone)

if __name__ == '__main__':
    sys.exit(run(TESTS))
