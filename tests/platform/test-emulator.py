#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The emulator that launches a domain on the model and then runs it: what it hands over, connects and refuses, and that
the firmware of the guest really checks what was measured.

The guests here have a real kernel and no disk: that their kernel speaks is all that is waited for.
"""
import base64
import json
import os
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), 'libvirt'), os.path.join(os.path.dirname(HERE), 'boot')]
import harness  # noqa: E402
import rig  # noqa: E402
from harness import Tap, domain_uuid, read, scratch, virsh, virsh_define  # noqa: E402

STATEMENT = 'simulation: launched on the platform model, runs under TCG'
CMDLINE = 'console=ttyS0 panic=-1 no_timer_check'
PORT_NAME = 'org.virt-attest.test-platform'
CHANNEL = "<channel type='unix'><target type='virtio' name='org.virt-attest.report.0'/></channel>"
NETWORK = "<interface type='user'><model type='virtio'/></interface>"
SPOKE = b'Linux version '
BOOT = 300  # seconds until a kernel has spoken on a busy machine; a quiet one needs 6
LOOP = 32  # bytes: within so many the firmware turns round for ever when it has halted


def boot_files():
    """The machine's kernel, and an initrd that is quickly read: no kernel here gets as far as to use it."""
    return harness.boot_files()[0], harness.small_boot_files('emulator')[1]


def define(name, devices='', **shape):
    """An unpinned domain with the machine's kernel, whose serial line goes to a file."""
    kernel, initrd = boot_files()
    serial = f"<serial type='file'><source path='{scratch(name)}.console'/></serial>"
    shape = {'kernel': kernel, 'initrd': initrd, 'cmdline': CMDLINE, 'memory': 512, **shape}
    virsh_define(harness.domain_xml(name, devices=serial + devices, **shape))


def refused(tap, name, parts, what):
    harness.forget_model(name)
    done = harness.start(name, check=False)
    tap.equal((done.returncode, harness.state(name)), (1, 'shut off'), f'{what}: not started', done.stderr)
    tap.contains(done.stderr, parts, f'{what}: the virsh user is told')
    tap.equal(processes(name), [], f'{what}: no process is left')


def processes(name):
    """Processes of the domain, among them the model's."""
    found, identity = [], domain_uuid(name).encode()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if b'\0-uuid\0' + identity + b'\0' in read(f'/proc/{pid}/cmdline'):
                found.append(pid)
        except OSError:
            pass  # it has ended meanwhile
    return found


def beside(name, suffix):
    return read(os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{domain_uuid(name)}.{suffix}'))


def monitor(name, command, **arguments):
    text = json.dumps({'execute': command, 'arguments': arguments} if arguments else {'execute': command})
    return json.loads(virsh('qemu-monitor-command', '--domain', name, text).stdout)['return']


def hmp(name, line):
    return virsh('qemu-monitor-command', '--domain', name, '--hmp', line).stdout


def console(name):
    return read(f'{scratch(name)}.console')


#
# What runs
#
def test_probes(tap: Tap):
    tap.comment(STATEMENT)
    tap.contains(virsh('domcapabilities').stdout, ['<value>sev-snp</value>', "<sev supported='yes'>"],
                 'libvirt believes that SEV-SNP is there')


def test_running(tap: Tap):
    """Pinned by the program, launched on the model, executed by TCG; once more after it was ended."""
    harness.install_hook()
    harness.confidential('pinned', cmdline=CMDLINE, devices=CHANNEL)
    for turn in 'first', 'second':
        harness.expect_match(tap, 'pinned', f'{turn} launch')
        found = processes('pinned')
        if not tap.equal(len(found), 1, f'{turn} launch: one process', found):
            return
        words = read(f'/proc/{found[0]}/cmdline').decode().split('\0')
        tap.equal((words[words.index('-accel') + 1], [word for word in words if 'sev-snp-guest' in word
                                                      or 'confidential-guest-support' in word]), ('tcg', []),
                  f'{turn} launch: it is emulated and not confidential')
        tap.check('platform-model' not in read(f'/proc/{found[0]}/maps').decode(), f'{turn} launch: without the model')
        if turn == 'first':
            check_talk(tap, 'pinned')
        harness.stop('pinned')
        tap.check(harness.eventually(lambda: not processes('pinned')), f'{turn} launch: ended with the domain')


def check_talk(tap, name):
    for where, text in (('its log', beside(name, 'log')), ("libvirt's log", read(f'/var/log/libvirt/qemu/{name}.log'))):
        tap.check(STATEMENT in text.decode(), f'{where} says that this is a simulation', text)
    tap.equal((monitor(name, 'query-kvm')['enabled'], monitor(name, 'query-status')['status']), (False, 'running'),
              'the monitor answers')
    virsh('suspend', name)
    tap.equal(harness.state(name), 'paused', 'libvirt suspends it')
    virsh('resume', name)
    tap.equal(harness.state(name), 'running', 'and resumes it')
    for command in 'dominfo', 'domstats', 'vcpuinfo', 'dommemstat':
        tap.equal(virsh(command, name, check=False).returncode, 0, f'virsh {command} works')
    harness.daemon('restart')
    tap.equal(harness.state(name), 'running', 'a restarted libvirt finds it again')
    tap.equal(harness.attest('check', name, check=False).returncode, 0, 'virt-attest check: no drift')
    # As on the firmware's own machine: there is nothing to tell about a launch that was no launch of SEV.
    tap.check(virsh('domlaunchsecinfo', name, check=False).returncode != 0, 'no launch measurement is made up')


def test_paused(tap: Tap):
    define('paused')
    virsh('start', '--paused', 'paused')
    tap.equal((harness.state('paused'), harness.model('paused')['state'], monitor('paused', 'query-status')['running']),
              ('paused', 'finished', False), 'it waits until it is resumed')
    harness.stop('paused')


def test_not_ours(tap: Tap):
    """Ordinary and SEV domains are the model's alone."""
    virsh_define(harness.plain_xml('plain'))
    define('legacy', platform='sev')
    for name in 'plain', 'legacy':
        harness.start(name)
        found = processes(name)
        tap.check('libplatform-model' in read(f'/proc/{found[0]}/maps').decode(), f'{name}: runs with the model')
        harness.stop(name)
    tap.equal((harness.model('legacy')['platform'], harness.launched('plain')), ('sev', False), 'as always')


#
# What it connects
#
def test_report_port(tap: Tap):
    """The socket of a report server, with and without a controller of the domain's own."""
    path = scratch('platform')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(4)
        server.settimeout(120)
        harness.emulator_words(PLATFORM_REPORT_SOCKET=path)
        for name, devices, bus in (('port', CHANNEL, 'virtio-serial0.0'), ('port-only', '', 'test-serial.0')):
            define(name, devices=devices)
            virsh('start', '--paused', name)
            with server.accept()[0]:
                tree = hmp(name, 'info qtree')
                found = re.search(rf'bus: {bus}.*?name = "{PORT_NAME}"', tree, re.S)
                tap.check(found, f'{name}: the guest has the port, and QEMU has connected', tree)
                tap.check(PORT_NAME not in virsh('dumpxml', name).stdout, f'{name}: libvirt knows nothing of it')
            harness.stop(name)
    harness.emulator_words()
    virsh('start', '--paused', 'port')
    tap.check(PORT_NAME not in hmp('port', 'info qtree'), 'without a server there is no such port')
    harness.stop('port')


def test_ssh_port(tap: Tap):
    for name, devices in (('network', NETWORK), ('no-network', '')):
        port, lock = rig.claim_port()
        harness.emulator_words(PLATFORM_SSH_PORT=port)
        define(name, devices=devices)
        virsh('start', '--paused', name)
        shown = hmp(name, 'info usernet')
        tap.check(re.search(rf'HOST_FORWARD.* 127\.0\.0\.1 +{port} .* 22\b', shown), f'{name}: a way to port 22', shown)
        tap.equal(hmp(name, 'info network').count('type=user'), 1, f'{name}: one network')
        harness.stop(name)
        lock.close()
    harness.emulator_words()


#
# What it refuses
#
def test_refused(tap: Tap):
    define('hotplug', vcpus="<vcpu current='1'>2</vcpu>")
    refused(tap, 'hotplug', ['error: qemu-attested: vCPUs that are plugged in later'], 'vCPUs that would be missing')
    block, page = (base64.b64encode(bytes(size)).decode() for size in (96, 4096))
    define('id-block', security=f'<idBlock>{block}</idBlock><idAuth>{page}</idAuth>')
    refused(tap, 'id-block', ['SNP_LAUNCH_FINISH', 'error: qemu-attested: the launch on the model failed'],
            'an ID block that no processor accepts')
    tap.check(not harness.launched('id-block'), 'and there is no document of a launch')
    define('saved')
    harness.start('saved')
    virsh('save', 'saved', scratch('saved.state'))
    harness.forget_model('saved')
    done = virsh('restore', scratch('saved.state'), check=False)
    tap.equal((done.returncode, harness.state('saved'), harness.launched('saved')), (1, 'shut off', False),
              'saved state is not a launch')
    tap.contains(done.stderr, ['error: qemu-attested: a saved guest cannot be launched'], 'which is said')


#
# What the firmware does
#
def swaps():
    """Domain: what its host swaps after the measurement."""
    kernel, initrd = boot_files()
    other_kernel, other_initrd = scratch('other.kernel'), scratch('other.initrd')
    harness.write(other_kernel, read(kernel) + b'\0')
    harness.write(other_initrd, read(initrd) + bytes(512))
    return {'honest': {}, 'other-words': {'PLATFORM_CHANGE_APPEND': 'init=/bin/sh'},
            'other-kernel': {'PLATFORM_CHANGE_KERNEL': other_kernel},
            'other-initrd': {'PLATFORM_CHANGE_INITRD': other_initrd}}


def instruction(name):
    return int(re.search(r'RIP=([0-9a-f]+)', hmp(name, 'info registers')).group(1), 16)


def cpu_seconds(name):
    return int(re.search(r'vcpu\.0\.time=(\d+)', virsh('domstats', '--vcpu', name).stdout).group(1)) / 1e9


def outcomes(names, needed):
    """{name: what became of it}: 'halted' when, with more than the @needed time behind it, its vCPU has spent two
    seconds in a loop of a few instructions; 'booted' when its kernel has spoken."""
    found, trails, end = {}, {name: [] for name in names}, time.monotonic() + BOOT
    while len(found) < len(names) and time.monotonic() < end:
        for name in set(names) - set(found):
            used, at = cpu_seconds(name), instruction(name)
            if trails[name] and abs(trails[name][0][1] - at) > LOOP:
                trails[name] = []
            trails[name].append((used, at))
            if SPOKE in console(name):
                found[name] = 'booted'
            elif used > needed and used - trails[name][0][0] > 2 and len(trails[name]) > 5:
                found[name] = 'halted'
        time.sleep(0.1)
    return found


def test_swapped(tap: Tap):
    """The launch is the right one each time; the firmware alone finds out what came instead."""
    digests = set()
    for name, words in swaps().items():
        harness.emulator_words(**words)
        define(name)
        harness.start(name)
        digests.add(harness.model(name)['digest'])
    harness.emulator_words()
    tap.equal(len(digests), 1, 'the model has seen the same launch of all', digests)
    good = harness.eventually(lambda: SPOKE in console('honest'), BOOT)
    tap.check(good, 'what was measured boots', console('honest')[-500:])
    needed = cpu_seconds('honest')
    harness.stop('honest')
    swapped = [name for name in swaps() if name != 'honest']
    found = outcomes(swapped, needed)
    for name in swapped:
        tap.equal(found.get(name), 'halted', f'{name}: the firmware does not start it', console(name)[-500:])
        harness.stop(name)


if __name__ == '__main__':
    harness.run([test_probes, test_paused, test_not_ours, test_report_port, test_ssh_port, test_refused, test_swapped,
                 test_running], attested=True)
