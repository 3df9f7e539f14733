#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reference documents of domains: the owner's rules, fleets and their starts, the same bytes whatever is cached.

Digests that are expected come from the platform model, which computes them from what QEMU handed over.
"""
import glob
import hashlib
import json
import os

from harness import (REJECTED, STATE, USAGE, Tap, attest, call, confidential, domain_xml, expect_match, expect_veto,
                     install_hook, model, pin_path, read, redefine, run, scratch, small_boot_files, stop, virsh, write)

RULES = ('--product', 'Genoa', '--minimum-tcb', 'bootloader=3,tee=0,snp=14,microcode=209', '--platform-info', '0x1/0x3')


def pin(name):
    return json.loads(read(pin_path(name)))


def rules(document):
    return {member: document.get(member) for member in ('product', 'minimumTcb', 'platformInfo')}


def validate(tap, path, what):
    """By the published schema, with the validator of Python."""
    source = os.environ['VIRT_ATTEST_SOURCE']
    done = call('/usr/bin/python3', f'{source}/tests/unit/json-validate.py', f'{source}/policy/reference.schema.json',
                path, check=False)
    tap.check(done.returncode in (0, 77), f'{what}: valid by the schema', done.stdout + done.stderr)


def test_install(tap: Tap):
    install_hook()
    tap.check(True, 'installed')


def test_rules(tap: Tap):
    confidential('ruled')
    done = attest('define', *RULES, 'ruled', check=False)
    tap.equal(done.returncode, REJECTED, 'rules change the pin: --accept is needed')
    tap.contains(done.stderr, ['product changed: was absent, is Genoa', 'minimum TCB changed', 'platform information'],
                 'and they are named')
    attest('define', *RULES, '--accept', 'ruled')
    wanted = {'product': 'Genoa', 'minimumTcb': {'bootloader': 3, 'tee': 0, 'snp': 14, 'microcode': 209},
              'platformInfo': {'value': '0x1', 'mask': '0x3'}}
    tap.equal(rules(pin('ruled')), wanted, 'pinned')
    validate(tap, pin_path('ruled'), 'the pin')
    for command in 'show', 'check':
        tap.contains(attest(command, 'ruled').stdout, ['Genoa', 'bootloader=3,tee=0,snp=14,microcode=209', '0x1 under mask 0x3'],
                     f'{command} prints them')
    expect_match(tap, 'ruled', 'with rules')
    stop('ruled')
    redefine('ruled', ('<cmdline>[^<]*', '<cmdline>console=ttyS0'))
    attest('define', '--accept', '--minimum-tcb', 'bootloader=4,tee=0,snp=14,microcode=209', 'ruled')
    wanted['minimumTcb']['bootloader'] = 4
    tap.equal(rules(pin('ruled')), wanted, 'kept when pinned anew, but for the one that is given')
    virsh('define', write(scratch('plain.xml'), domain_xml('plain-ruled', platform=None, firmware=None)))
    done = attest('define', '--level', '0', '--product', 'Genoa', 'plain-ruled', check=False)
    tap.equal(done.returncode, USAGE, 'a domain without a reference has no rules', done.stdout + done.stderr)


def test_document(tap: Tap):
    confidential('document')
    attest('define', '--accept', *RULES, 'document')
    first, second, third = (scratch(f'document{i}.json') for i in range(3))
    attest('reference', 'document', '--output', first)
    validate(tap, first, 'the document')
    document = json.loads(read(first))
    tap.equal((document['source'], {entry['obtained'] for entry in document['inputs'].values()}, 'created' in document),
              ('libvirt', {'libvirt'}, False), 'it says where it comes from, and not when')
    tap.equal(rules(document), rules(pin('document')), 'it has the rules of the pin')
    # Another folder, and digests that have to be computed again, or come from the cache.
    cached = glob.glob(f'{STATE}/cache/*')
    for path in cached:
        os.unlink(path)
    attest('reference', 'document', '--output', second, cwd='/')
    attest('reference', 'document', '--output', third, cwd='/tmp')
    tap.equal((read(second) == read(first), read(third) == read(first)), (True, True),
              'the same bytes with a cold and a warm cache, in any folder')
    xml = write(scratch('document.xml'), virsh('dumpxml', '--inactive', '--domain', 'document').stdout)
    offline = json.loads(attest('reference', xml, *RULES).stdout)
    for each in document, offline:
        each.pop('source')
        for entry in each['inputs'].values():
            entry.pop('obtained')
    tap.equal(offline, document, 'offline, from the XML alone, only the source differs')
    bound = attest('reference', '--format', 'binding', 'document').stdout.encode()
    tap.equal(attest('reference', '--format', 'binding', xml, *RULES).stdout.encode(), bound, 'and the binding does not')
    tap.contains(attest('reference', '--format', 'table', first).stdout, [hashlib.sha256(bound).hexdigest()],
                 'whose SHA-256 the table has')
    expect_match(tap, 'document', 'a domain with a document')
    tap.equal(model('document')['digest'], document['measurements'][0]['digest'], 'its digest is that of the launch')
    stop('document')
    tap.equal(attest('reference-diff', first, 'document', check=False).returncode, 0, 'no difference to the domain')
    redefine('document', ('<cmdline>[^<]*', '<cmdline>console=ttyS0 single'))
    done = attest('reference-diff', first, 'document', check=False)
    tap.equal(done.returncode, 1, 'a difference after an edit')
    tap.contains(done.stdout, ["kernel command line changed: was 'console=ttyS0 quiet'", "is 'console=ttyS0 single'"],
                 'in words')


def test_fleet(tap: Tap):
    kernel, initrd = small_boot_files('fleet')
    shape = dict(kernel=kernel, initrd=initrd, cmdline='console=ttyS0')
    xml = write(scratch('fleet.xml'), domain_xml('fleet', **shape))
    document = scratch('fleet.json')
    attest('reference', xml, '--cpu', 'EPYC-Milan,EPYC-Genoa', '--vcpus', '1,2,4', '--output', document)
    validate(tap, document, 'a fleet')
    attest('define', '--level', '3', '--reference', document, xml)
    tap.equal([(each['cpu'], each['vcpus']) for each in pin('fleet')['measurements']],
              [(cpu, vcpus) for cpu in ('EPYC-Milan', 'EPYC-Genoa') for vcpus in (1, 2, 4)], 'all of it is pinned')
    foreseen = {(each['cpu'], each['vcpus']): each['digest'] for each in json.loads(read(document))['measurements']}
    for cpu, vcpus in ('EPYC-Milan', 1), ('EPYC-Milan', 4), ('EPYC-Genoa', 2):
        redefine('fleet', ('<vcpu[^>]*>[^<]*', f"<vcpu>{vcpus}"), ('<model[^>]*>[^<]*', f"<model fallback='forbid'>{cpu}"))
        expect_match(tap, 'fleet', f'{cpu}, {vcpus} vCPUs')
        tap.equal(model('fleet')['digest'], foreseen[cpu, vcpus], f'{cpu}, {vcpus} vCPUs: the digest that was foreseen')
        stop('fleet')
    tap.equal(attest('check', 'fleet', check=False).returncode, 0, 'check finds no drift')
    before = read(document)
    attest('reference', 'fleet', '--output', scratch('fleet-again.json'))
    again = json.loads(read(scratch('fleet-again.json')))
    tap.equal(again['measurements'], json.loads(before)['measurements'], 'the domain\'s document is that of the fleet')
    attest('define', 'fleet')
    tap.equal(len(pin('fleet')['measurements']), 6, 'defined once more it stays a fleet, and nothing has to be accepted')
    redefine('fleet', ('<vcpu[^>]*>[^<]*', '<vcpu>3'))
    expect_veto(tap, 'fleet', '3 vCPUs', ['number of vCPUs at start is not one that the reference foresees: it has 1, 2, 4, this is 3'])
    redefine('fleet', ('<vcpu[^>]*>[^<]*', '<vcpu>2'), ('<model[^>]*>[^<]*', "<model fallback='forbid'>EPYC-Rome"))
    expect_veto(tap, 'fleet', 'another CPU type', ['CPU type is not one that the reference foresees'])


if __name__ == '__main__':
    run([test_install, test_rules, test_document, test_fleet])
