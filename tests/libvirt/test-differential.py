#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random configurations through define and a real `virsh start`.

The platform model's digest of what QEMU handed over, the value that the hook
recorded, the pin and `virt-attest measure` of the XML that libvirt gives back
must be the same. What cannot be launched must have been refused by define.

test-differential.py [--seed S [--only INDEX]] [--count N]
"""
import argparse
import json
import os
import random
import re
import sys
import tempfile

from harness import (STATE, Tap, attest, install_hook, read, run, scratch, tree, virsh, write)
import differential

COUNT = 32
FEWEST = 40


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', default=os.environ.get('VIRT_ATTEST_TEST_SEED'))
    parser.add_argument('--only', type=int)
    parser.add_argument('--count', type=int, default=COUNT)
    given = parser.parse_args()
    given.seed = given.seed or str(random.SystemRandom().randrange(1 << 32))
    return given


def identity(index):
    return f'2d0d1c4a-0fb5-4f2b-8e5f-{index:012x}'


def libvirt_xml(configuration, index):
    """The generator's XML for libvirt: a name of its own, and the host's values left to libvirt."""
    xml = configuration.xml()
    xml = re.sub(r'<name>.*?</name>', f'<name>random{index}</name>', xml, count=1)
    xml = re.sub(r'<uuid>.*?</uuid>', f'<uuid>{identity(index)}</uuid>', xml, count=1)
    xml = re.sub(r'\s*<(cbitpos|reducedPhysBits)>\d+</\1>', '', xml)
    if configuration.pflash:
        xml = xml.replace("type='pflash'", "type='pflash' stateless='yes'").replace('</os>',
                                                                                    '</os><features><acpi/></features>')
    return xml.replace('<devices/>', "<devices><memballoon model='none'/></devices>")


def digest_of(text):
    return [entry['digest'] for entry in json.loads(text)['measurements']]


def compare(configuration, index):
    """(outcome, differences): outcome is 'same', 'refused' by all who had to, or 'unknown' to libvirt."""
    name, path = f'random{index}', write(scratch('random.xml'), libvirt_xml(configuration, index))
    document = os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{identity(index)}.json')
    pin = f'{STATE}/references/{identity(index)}.json'
    defined = virsh('define', path, check=False)
    if defined.returncode != 0:
        return 'unknown', [] if 'CPU model' in defined.stderr else [f'virsh define: {defined.stderr}']
    found = []
    taken = attest('define', '--accept', name, check=False)
    if taken.returncode != 0:
        # Nothing to compare the hook with: then the launch has to be one that cannot be measured.
        if taken.returncode != differential.CANNOT_MEASURE or os.path.exists(pin):
            found.append(f'define ended with {taken.returncode}: {taken.stderr}')
        started = virsh('start', name, check=False)
        if started.returncode == 0:
            virsh('destroy', name)
            if not configuration.silently_unmeasured:
                found.append(f'define refused what QEMU launches: {taken.stderr}')
        virsh('undefine', name)
        return 'refused', found
    if configuration.silently_unmeasured:
        found.append('define took kernelHashes with a firmware that has no place for them')
    started = virsh('start', name, check=False, timeout=120)
    if started.returncode != 0:
        return 'refused', [*found, f'start: {started.stderr}']
    wanted = json.loads(read(document))['digest']
    launch = json.loads(read(f'{STATE}/records/{identity(index)}.json'))['launches'][-1]
    opinions = {
        'verdict': (launch['verdict'], 'match'), 'recorded': (launch['digest'], wanted),
        'pinned': (digest_of(read(pin)), [wanted]), 'platform': (launch['platform'], configuration.platform),
        'measure of the definition': (digest_of(measured(name, '--inactive')), [wanted]),
        'measure of the running domain': (digest_of(measured(name)), [wanted]),
    }
    if configuration.platform != 'sev':
        opinions['vCPUs'] = launch['vcpus'], configuration.vcpus
    found += [f'{what}: {got}, not {want}' for what, (got, want) in opinions.items() if got != want]
    virsh('destroy', name)
    attest('undefine', name)
    return 'same', found


def measured(name, *scope):
    return attest('measure', '--format', 'json', '-', given=virsh('dumpxml', *scope, name).stdout).stdout


def test_differential(tap: Tap):
    given = options()
    tap.comment(f'seed {given.seed}: replay one with --seed {given.seed} --only INDEX')
    install_hook()
    inputs = differential.Inputs(tempfile.mkdtemp(prefix='inputs-', dir=os.environ['PRIVATE_LIBVIRT_STATE']))
    before, outcomes = tree(f'{STATE}/references'), {'same': 0, 'refused': 0, 'unknown': 0}
    # Some configurations are to be refused: draw until enough were launched.
    indices = iter(range(given.count * 3)) if given.only is None else iter([given.only])
    for index in indices:
        configuration = differential.Configuration(inputs, given.seed, index)
        if given.only is not None:
            tap.comment(libvirt_xml(configuration, index))
        outcome, found = compare(configuration, index)
        outcomes[outcome] += 1
        tap.check(not found, f'{index} {configuration} {outcome}', '\n'.join(found))
        if outcomes['same'] >= given.count:
            break
    tap.comment(outcomes)
    if given.only is None:
        tap.check(outcomes['same'] >= min(FEWEST, given.count), 'enough of them were launched', outcomes)
    left = [path for path in tree(f'{STATE}/references') if path not in before]
    tap.equal(left, [f'{STATE}/references/.lock'], 'no pin is left behind')


if __name__ == '__main__':
    run((test_differential,), sys.argv[1:])
