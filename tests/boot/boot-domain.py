#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a domain without SEV: the firmware, kernel, initrd, command line and disks that its XML names, under emulation.

    tests/boot/boot-domain.py DOMAIN.xml [--key FILE --run SCRIPT]
    tests/boot/boot-domain.py DOMAIN.xml --expect-stop [--flip SERIAL] [--append WORDS]

The kernel hash table is put where the firmware looks for it, as QEMU does it on a confidential host; keys are pressed
on the console all the time. Waits until the guest answers over SSH and runs SCRIPT there; with --expect-stop the host
misbehaves, and the guest has to end by itself. The disks are never written to: a guest that writes gets an overlay.
This is a simulation: nothing is measured or encrypted, and nothing it prints is an attestation.
"""
import argparse
import os
import shutil
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disks  # noqa: E402
import rig  # noqa: E402
from login import Login  # noqa: E402

BOOT = 1200  # seconds
ROOT_PARTITION = 2


def read_disk(element, folder):
    serial = element.findtext('serial')
    readonly = element.find('readonly') is not None
    path, kind = element.find('source').get('file'), element.find('driver').get('type')
    if not readonly:
        path, kind = disks.overlay(os.path.join(folder, f'{serial}.qcow2'), path, kind), 'qcow2'
    return rig.Disk(path, serial, kind, readonly)


def read_machine(path, folder):
    domain = xml.etree.ElementTree.parse(path).getroot()
    found = tuple(read_disk(element, folder) for element in domain.iterfind('devices/disk'))
    return rig.Machine(domain.findtext('os/kernel'), domain.findtext('os/initrd'), domain.findtext('os/cmdline'), found,
                       firmware=domain.findtext('os/loader'), network=True)


def flip(machine, serial, folder):
    """The machine with one bit changed: in the block of a root disk that holds its init, in the middle of another disk."""
    good = next(disk for disk in machine.disks if disk.serial == serial)
    raw = os.path.join(folder, 'good.raw')
    rig.call('qemu-img', 'convert', '-U', '-f', good.format, '-O', 'raw', good.path, raw)
    root = disks.Root(raw, ROOT_PARTITION)
    offset = root.offset + root.block_of('/usr/lib/systemd/systemd') * disks.BLOCK + 100
    bad = disks.flipped(folder, 'bad', good.path, offset, good_format=good.format)
    return machine.with_disk(serial, path=bad, format='qcow2')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('domain', help='domain XML')
    parser.add_argument('--key', help='private key of root')
    parser.add_argument('--run', default='true', metavar='SCRIPT', help='what to run in the guest')
    parser.add_argument('--expect-stop', action='store_true', help='the guest has to end by itself, before it answers')
    parser.add_argument('--flip', metavar='SERIAL', help='flip one bit of the root disk with this serial')
    parser.add_argument('--append', metavar='WORDS', help='append to the command line, but not to the hash table')
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='virt-attest-boot-')
    try:
        machine = read_machine(options.domain, folder)
        if options.flip:
            machine = flip(machine, options.flip, folder)
        if options.append:
            machine = machine.but(cmdline=f'{machine.cmdline} {options.append}',
                                  table=(machine.kernel, machine.initrd, machine.cmdline))
        print('Booting under software emulation, without SEV: a simulation.', flush=True)
        with rig.Guest(machine, folder, 'guest') as guest:
            return expect_stop(guest) if options.expect_stop else expect_answer(guest, options)
    finally:
        shutil.rmtree(folder)


def expect_answer(guest, options):
    login = Login(guest, options.key, timeout=BOOT)
    print(f'It answers over SSH after {guest.age():.0f} s; host key of this boot: {login.shown}', flush=True)
    print(login.run(options.run), end='')
    prompts = guest.prompts()
    print('Prompts on the console: ' + (', '.join(prompts) or 'none'))
    return 1 if prompts else 0


def expect_stop(guest):
    """A firmware that refuses stays silent for ever; one that accepts lets the kernel speak after some seconds."""
    seconds = 60
    spoke = guest.wait_for(rb'Linux version ', seconds)
    if not spoke:
        print(f'The firmware refuses: no kernel was started within {seconds} s.')
        return 0
    end = guest.wait_end(BOOT)
    lines = [line for line in rig.printable(guest.console).splitlines() if 'virt-attest:' in line or 'verity' in line]
    print('\n'.join(lines[-6:]))
    print(f'The guest ended: {end or "no, it still runs"}. Prompts on the console: '
          + (', '.join(guest.prompts()) or 'none'))
    return 0 if end in ('power off', 'reset') and not guest.prompts() else 1


if __name__ == '__main__':
    sys.exit(main())
