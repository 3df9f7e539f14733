#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt that does not answer: the real daemon, or the real QEMU, is stopped (SIGSTOP) at several moments. The program ends
in time, with nothing decided, kept or half written; Ctrl-C ends it at once.

The guest's part of the channel is played by this test: nothing runs in the guest.
"""
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
from harness import (STATE, attest, call, confidential, eventually, install_hook, model, program, read, run, scratch,  # noqa: E402
                     skip, start, stop, tree, write)
try:
    import authority
except ImportError as missing:
    skip(f'{missing}: install python3-cryptography')

HOSTS = 'other ssh-rsa AAAA\nweb ssh-rsa AAAA virt-attest\n'
GRACE = 3  # seconds beyond --timeout (virsh-wrappers/deadline.h)
SLACK = 6  # of a machine that has other things to do
SAID = 'libvirt has not answered within'


class Service:
    """The far end of the channel of domain web: QEMU connects to it, and libvirt for everybody who opens the channel.
    @answer is called with the connection for every request."""

    def __init__(self, path):
        self.asked, self.answer = threading.Event(), lambda connection: None
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile('rb') as lines:
            for line in lines:
                if line.startswith(b'virt-attest-report-1 '):
                    self.asked.set()
                    self.answer(connection)


class Stopped:
    """The daemon, or @pid, does not run meanwhile."""

    def __init__(self, pid=None):
        self.pid = pid or int(call('private-libvirtctl', 'pid').stdout)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


FACTS = {}


class Asking:
    """virt-attest in the background."""

    def __init__(self, *words):
        self.begin, self.words = time.monotonic(), words
        self.process = subprocess.Popen([program('virsh-wrappers/virt-attest'), *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self):
        """Exit code, seconds, standard output and error."""
        try:
            out, err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        return self.process.returncode, time.monotonic() - self.begin, out, err


def given_up(tap, what, asking, timeout, about):
    code, seconds, out, err = asking.end()
    tap.check(code == 5 and not out and err.startswith(f'error: {about}: {SAID} {timeout} seconds: ')
              and '--timeout' in err and err.count('\n') == 1, f'{what}: exit 5', f'{code}: {out}{err}')
    tap.check(timeout <= seconds < timeout + GRACE + SLACK, f'{what}: in time', f'{seconds:.1f} s')


def test_start(tap):
    install_hook()
    FACTS['service'] = Service(scratch('channel'))
    confidential('web', devices=(f"<channel type='unix'><source mode='connect' path='{scratch('channel')}'/>"
                                 "<target type='virtio' name='org.virt-attest.report.0'/></channel>"))
    start('web')
    vcek = authority.Authority(authority.default_folder()).line('Milan').vcek()
    FACTS['report'] = write(scratch('report'), authority.report(vcek, launch=model('web'), report_data=bytes(64)))
    FACTS['hosts'], FACTS['saved'] = write(scratch('known_hosts'), HOSTS), scratch('saved.json')
    done = attest('verify', '--domain', 'web', '--report-data', '00' * 64, FACTS['report'], check=False)
    tap.equal(done.returncode, 4, 'the report is one: only its certificate is missing', done.stderr)
    FACTS['state'] = tree(STATE)


def commands(timeout):
    """What is to end, and what its message begins with."""
    words, report, address = ['--timeout', str(timeout)], "domain 'web', its report", "domain 'web', its address"
    return (
        (['verify', '--domain', 'web', '--save', FACTS['saved'], *words], report),
        (['known-hosts', 'web', '--host', 'web', '--output', FACTS['hosts'], *words], report),
        (['known-hosts', 'web', '--output', FACTS['hosts'], *words], address),
        (['ssh', 'web', '--host', '127.0.0.1', '--port', '1', *words], report),
        (['ssh', 'web', *words], address),
        (['verify', '--domain', 'web', '--report-data', '00' * 64, *words, FACTS['report']], "domain 'web', its definition"),
    )


def unchanged(tap, what):
    tap.check(not os.path.exists(FACTS['saved']) and read(FACTS['hosts']).decode() == HOSTS and tree(STATE) == FACTS['state'],
              f'{what}: nothing is saved or kept, no list of hosts has changed')


def test_before(tap):
    with Stopped():
        for asking, words, about in [(Asking(*words), words, about) for words, about in commands(2)]:
            given_up(tap, ' '.join(words[:2]), asking, 2, about)
    unchanged(tap, 'stopped before')


def test_meanwhile(tap):
    """The daemon stops in the middle of the guest's answer."""
    service = FACTS['service']
    service.asked.clear()
    service.answer = lambda connection: connection.sendall(b'{"format":"virt-attest-evi')
    asking = Asking('verify', '--domain', 'web', '--save', FACTS['saved'], '--timeout', '3')
    tap.check(service.asked.wait(20), 'the guest is asked')
    time.sleep(0.3)
    with Stopped():
        given_up(tap, 'stopped in the middle of an answer', asking, 3, "domain 'web', its report")
    unchanged(tap, 'stopped in the middle of an answer')
    service.answer = lambda connection: None


def test_again(tap):
    """A daemon that was only held up: what counts is the guest, and the time is the same."""
    service = FACTS['service']
    service.asked.clear()
    asking = Asking('verify', '--domain', 'web', '--timeout', '4')
    with Stopped():
        time.sleep(1.5)
    code, seconds, _, err = asking.end()
    tap.check(code == 3 and 'has not answered within 4 seconds' in err and SAID not in err and 4 <= seconds < 4 + GRACE + SLACK,
              'a daemon that goes on: it is the guest that is silent', f'{code} after {seconds:.1f} s: {err}')
    tap.check(service.asked.is_set(), 'and it was asked')


def test_interrupted(tap):
    """Ctrl-C ends it at once, whatever it waits for."""
    with Stopped():
        all_asking = [Asking(*words) for words, _ in commands(60)]
        time.sleep(2)
        for asking in all_asking:
            asking.process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            code, _, out, _ = asking.end()
            tap.check(code == -signal.SIGINT and not out and time.monotonic() - sent < 2,
                      f'{" ".join(asking.words[:2])}: ends at once', code)
    unchanged(tap, 'interrupted')


def qemu_of(name):
    return int(read(f'/run/libvirt/qemu/{name}.pid'))


def test_qemu(tap):
    """A QEMU that stands still, and with it its monitor: the guest is silent, and libvirt still answers."""
    with Stopped(qemu_of('web')):
        monitor = subprocess.Popen(['virsh', '-q', 'qemu-monitor-command', 'web', '--hmp', 'info version'],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        tap.equal(monitor.poll(), None, 'a job of the domain is held')
        code, seconds, _, err = Asking('verify', '--domain', 'web', '--save', FACTS['saved'], '--timeout', '2').end()
        tap.check(code in (3, 5) and 'within 2 seconds' in err and 2 <= seconds < 2 + GRACE + SLACK,
                  'a QEMU that is stopped: given up in time', f'{code} after {seconds:.1f} s: {err}')
    monitor.wait(30)
    unchanged(tap, 'a QEMU that is stopped')


def test_terminal(tap):
    """What libvirt starts may ask for a password: the echo is on again afterwards. A program of this test plays ssh."""
    ssh = write(scratch('ssh-that-asks'), '#!/bin/sh\nstty -echo </dev/tty && : >"$0.asked"\nexec sleep 300\n')
    os.chmod(ssh, 0o755)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program('virsh-wrappers/virt-attest'), ['virt-attest', '-c', f'qemu+ssh://nobody@localhost/system?command={ssh}',
                                                         'verify', '--domain', 'web', '--timeout', '3'])
    begin = time.monotonic()
    asked = eventually(lambda: os.path.exists(f'{ssh}.asked'), 20)
    tap.check(asked and not termios.tcgetattr(terminal)[3] & termios.ECHO, 'the echo is off')
    said = b''
    while SAID.encode() not in said and time.monotonic() - begin < 30:
        said += os.read(terminal, 4096)
    echo = termios.tcgetattr(terminal)[3] & termios.ECHO
    _, status = os.waitpid(pid, 0)
    tap.check(os.waitstatus_to_exitcode(status) == 5 and re.search(rb"error: domain 'web', its report: libvirt has not", said),
              'given up', f'{status}: {said}')
    tap.check(echo, 'the echo is on again')
    os.close(terminal)
    stop('web')


TESTS = (test_start, test_before, test_meanwhile, test_again, test_interrupted, test_qemu, test_terminal)

if __name__ == '__main__':
    run(TESTS)
