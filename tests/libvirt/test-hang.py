#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt that does not answer: the real daemon, or the real QEMU, is stopped (SIGSTOP) at several moments. The program ends
in time, with nothing decided, kept or half written; Ctrl-C ends it at once.

The guest's part of the channel is played by this test: nothing runs in the guest.
"""
import os
import pty
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
import channel  # noqa: E402
from harness import (STATE, attest, call, confidential, eventually, install_hook, model, program, read, run, scratch,  # noqa: E402
                     skip, start, stop, tree, write)
try:
    import authority
except ImportError as missing:
    skip(f'{missing}: install python3-cryptography')

HOSTS = 'other ssh-rsa AAAA\nweb ssh-rsa AAAA virt-attest\n'
GRACE = 3  # seconds beyond --timeout (virsh-wrappers/deadline.h)
SLACK = 60  # of a machine that has other things to do
SAID = 'libvirt has not answered within'


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
            out, err = self.process.communicate(timeout=120)
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
    FACTS['service'] = channel.Service(scratch('channel'))
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
    service.play = lambda connection, _: connection.sendall(b'{"format":"virt-attest-evi')
    asking = Asking('verify', '--domain', 'web', '--save', FACTS['saved'], '--timeout', '8')
    tap.check(service.asked.wait(120), 'the guest is asked')
    time.sleep(0.3)
    with Stopped():
        given_up(tap, 'stopped in the middle of an answer', asking, 8, "domain 'web', its report")
    unchanged(tap, 'stopped in the middle of an answer')
    service.play = lambda *_: None


def test_again(tap):
    """A daemon that was only held up: what counts is the guest, and the time is the same."""
    service = FACTS['service']
    service.asked.clear()
    asking = Asking('verify', '--domain', 'web', '--timeout', '8')
    with Stopped():
        time.sleep(1.5)
    code, seconds, _, err = asking.end()
    tap.check(code == 3 and 'has not answered within 8 seconds' in err and SAID not in err and 8 <= seconds < 8 + GRACE + SLACK,
              'a daemon that goes on: it is the guest that is silent', f'{code} after {seconds:.1f} s: {err}')
    tap.check(service.asked.is_set(), 'and it was asked')


def test_interrupted(tap):
    """Ctrl-C ends it at once, whatever it waits for."""
    with Stopped():
        all_asking = [Asking(*words) for words, _ in commands(600)]
        time.sleep(2)
        for asking in all_asking:
            asking.process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            code, _, out, _ = asking.end()
            tap.check(code == -signal.SIGINT and not out and time.monotonic() - sent < SLACK,
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
    monitor.wait(120)
    unchanged(tap, 'a QEMU that is stopped')


def on_terminal(*words):
    """virt-attest with a terminal of its own: the process, and the other end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program('virsh-wrappers/virt-attest'), ['virt-attest', *words])
    return pid, terminal


def until(terminal, text):
    """What the terminal says until @text comes, or all."""
    said = b''
    try:
        while text not in said:
            said += os.read(terminal, 4096)
    except OSError:
        pass
    return said


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_terminal(tap):
    """Who types a password for libvirt has the time that he needs: libvirt's own test driver asks for one. ssh is given up, and
    the echo that it has switched off is on again: a program of this test plays it."""
    node = write(scratch('auth.xml'), '<node><auth><user password="secret">owner</user></auth></node>')
    typing, keyboard = on_terminal('-c', f'test://{node}', 'verify', '--domain', 'nobody', '--timeout', '4')
    until(keyboard, b'username')
    asked_at = time.monotonic()
    ssh = write(scratch('ssh-that-asks'), '#!/bin/sh\nstty -echo </dev/tty && : >"$0.asked"\nexec sleep 300\n')
    os.chmod(ssh, 0o755)
    pid, terminal = on_terminal('-c', f'qemu+ssh://nobody@localhost/system?command={ssh}', 'verify', '--domain', 'web', '--timeout',
                                '10')
    asked = eventually(lambda: os.path.exists(f'{ssh}.asked'))
    tap.check(asked and not termios.tcgetattr(terminal)[3] & termios.ECHO, 'ssh: the echo is off')
    said = until(terminal, SAID.encode())
    echo = termios.tcgetattr(terminal)[3] & termios.ECHO
    tap.check(end(pid) == 5 and b"error: domain 'web', its report: libvirt has not" in said, 'ssh: given up', said)
    tap.check(echo, 'ssh: the echo is on again')
    time.sleep(max(0.0, asked_at + 4 + GRACE + 1 - time.monotonic()))
    os.write(keyboard, b'owner\n')
    until(keyboard, b'password')
    # What is typed before the echo is off is thrown away.
    eventually(lambda: not termios.tcgetattr(keyboard)[3] & termios.ECHO, 20)
    os.write(keyboard, b'secret\n')
    said = until(keyboard, b'list --all')
    tap.check(end(typing) == 5 and b"there is no domain 'nobody'" in said and SAID.encode() not in said,
              'a password: it goes on when it was typed', said)
    os.close(keyboard)
    os.close(terminal)
    stop('web')


TESTS = (test_start, test_before, test_meanwhile, test_again, test_interrupted, test_qemu, test_terminal)

if __name__ == '__main__':
    run(TESTS)
