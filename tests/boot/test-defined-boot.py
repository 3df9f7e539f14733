#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a base image to a booted guest by one command: what 'build' defines is launched on the platform model, where the
digest of the launch must be the pinned one, and the very same files and command line boot through the real firmware."""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'libvirt'))
import harness  # noqa: E402
import inputs  # noqa: E402
import rig  # noqa: E402
from login import Login, fingerprint  # noqa: E402

NAMESPACE = f'{{{harness.NAMESPACE}}}'


def build(name, upper):
    """Build a domain; its XML."""
    image, key = inputs.cached_image()
    if not os.path.exists(harness.scratch('pool')):
        os.mkdir(harness.scratch('pool'))
        harness.virsh('pool-define-as', 'default', 'dir', '--target', harness.scratch('pool'))
        harness.virsh('pool-start', 'default')
        harness.install_hook()
    harness.write_config(inputs.configuration())
    os.environ.pop('VIRT_ATTEST_CONFIG', None)
    harness.attest('build', '--base', image, '--name', name, '--level', '4', '--cpu-model', 'EPYC-Milan', '--memory',
                   '1024',
                   '--upper', upper, '--cmdline', 'no_timer_check', timeout=600)
    xml = harness.virsh('dumpxml', '--inactive', '--domain', name).stdout
    return ElementTree.fromstring(xml), key


def machine(domain):
    """What libvirt would start, for the rig."""
    disks = []
    for disk in domain.findall('./devices/disk'):
        disks.append(rig.Disk(disk.find('source').get('file'), disk.find('serial').text,
                              disk.find('driver').get('type'),
                              disk.find('readonly') is not None))
    system = domain.find('os')
    return rig.Machine(system.find('kernel').text, system.find('initrd').text, system.find('cmdline').text,
                       tuple(disks),
                       firmware=system.find('loader').text, network=True)


def check_launch(tap, domain, name):
    """On the platform model: the digest of the launch, the pinned one and the one in the XML are one."""
    level = json.loads(harness.attest('level', '--format', 'json', name).stdout)['level']
    tap.equal(level, 4, f'{name}: its derived level is 4')
    done = harness.start(name, check=False)
    if not tap.equal(done.returncode, 0, f'{name}: starts as a confidential domain', done.stderr):
        return
    identity = domain.find('uuid').text
    launched = harness.model(name, identity)['digest']
    harness.stop(name)
    pinned = harness.read(f'{harness.STATE}/references/{identity}.json').decode()
    measured = [element.text.strip() for element in domain.iter(f'{NAMESPACE}measurement')]
    tap.equal((measured, launched in pinned), ([launched], True), f'{name}: the launch has the pinned digest')


def check_boot(tap, domain, key, name):
    booted = machine(domain)
    tap.equal(booted.firmware, rig.AMDSEV, f'{name}: the firmware is the one that verifies')
    with rig.Guest(booted, os.environ['PRIVATE_LIBVIRT_STATE'], name) as guest:
        login = Login(guest, key)
        tap.equal(login.shown, fingerprint(login.host_key), f'{name}: the console showed the fingerprint', guest.tail())
        facts = login.facts(state='systemctl is-system-running --wait', root='findmnt -n -o FSTYPE /',
                            failed='systemctl list-units --failed --plain --no-legend', cmdline='cat /proc/cmdline')
        tap.equal((facts['state'], facts['root'], facts['failed']), ('running', 'overlay', ''), f'{name}: multi-user')
        tap.equal(re.sub(r'^initrd=initrd ', '', facts['cmdline']), booted.cmdline,
                  f'{name}: the guest has the command line of the definition')
        tap.equal(guest.prompts(), [], f'{name}: no prompt on the console', guest.tail())
        tap.comment(f'{name}: login after {login.seconds:.1f} s')


def test_tmpfs(tap):
    domain, key = build('boot-tmpfs', 'tmpfs')
    check_launch(tap, domain, 'boot-tmpfs')
    check_boot(tap, domain, key, 'boot-tmpfs')


def test_encrypted(tap):
    domain, _ = build('boot-encrypted', 'encrypted:256M')
    check_launch(tap, domain, 'boot-encrypted')
    tap.equal([(disk.serial, disk.readonly) for disk in machine(domain).disks],
              [(inputs.ROOT_SERIAL, True), (inputs.VERITY_SERIAL, True), (inputs.UPPER_SERIAL, False)],
              'boot-encrypted: the disks that the other boot tests give to a guest')
    # The same but for serials' contents as in the boot tests with an encrypted disk, which boot.
    tap.contains(machine(domain).cmdline, [inputs.CONSOLE, f'virt_attest.upper=encrypted:{inputs.UPPER_SERIAL}'],
                 'boot-encrypted: the words that the other boot tests use')


if __name__ == '__main__':
    harness.run([test_tmpfs, test_encrypted])
