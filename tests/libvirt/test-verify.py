#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""verify --domain end to end: libvirt and QEMU launch on the platform model, the test authority reports the launch.

No guest runs here; the report is what the processor would have given to one. What counts is the pinned reference of the
domain, whatever its XML says by now.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
from harness import (Tap, attest, confidential, domain_xml, expect_match, install_hook, last, model, redefine, run,
                     # noqa: E402
                     scratch, skip, small_boot_files, stop, write)
try:
    import authority
except ImportError as missing:
    skip(f'{missing}: install python3-cryptography')

FACTS = {}


def write_bytes(name, data):
    path = scratch(name)
    with open(path, 'wb') as out:
        out.write(data)
    return path


def key(name):
    path = scratch(f'{name}.pem')
    if not os.path.exists(path):
        subprocess.run(['openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', path], check=True)
        os.chmod(path, 0o600)
    return path


def vcek():
    """Keys and certificates of the test authority, made at the first call."""
    if not FACTS:
        line = authority.Authority(authority.default_folder()).line('Milan')
        FACTS.update(vcek=line.vcek(), anchor=write_bytes('anchor.pem', line.trust_anchor().encode()))
        FACTS['certificate'] = write_bytes('vcek.der', FACTS['vcek'].certificate)
    return FACTS['vcek']


def report(name, **fields):
    """What the processor says of the last launch of a domain, with a fresh nonce; and the nonce."""
    nonce = attest('nonce').stdout.strip()
    data = authority.report(vcek(), launch=model(name), report_data=bytes.fromhex(nonce), **fields)
    return write_bytes(f'{name}.report', data), nonce


def verify(name, evidence, nonce, *words):
    """The exit code, and the checks that failed with what they say."""
    done = attest('verify', '--domain', name, '--nonce', nonce, '--certificates', FACTS['certificate'],
                  '--trust-anchor',
                  FACTS['anchor'], '--format', 'json', *words, evidence, check=False)
    if not done.stdout:
        return done.returncode, {'error': done.stderr}
    return done.returncode, {each['name']: each['text'] for each in json.loads(done.stdout)['checks']
                             if each['outcome'] == 'fail'}


def launch(tap, name):
    expect_match(tap, name, name)
    stop(name)


def test_accepted(tap: Tap):
    install_hook()
    confidential('main')
    launch(tap, 'main')
    evidence, nonce = report('main')
    tap.equal(verify('main', evidence, nonce), (0, {}), 'the report of the launch is accepted by the pinned reference')
    code, failed = verify('main', evidence, nonce)
    tap.equal((code, list(failed)), (1, ['nonce']), 'once', failed)


def test_other_domain(tap: Tap):
    confidential('other')
    launch(tap, 'other')
    evidence, nonce = report('other')
    code, failed = verify('main', evidence, nonce)
    tap.equal((code, list(failed)), (1, ['measurement']), 'the report of another domain is not', failed)
    tap.contains(failed.get('measurement', ''), ["the measurement of domain 'other'"], 'and it is named')
    tap.equal(verify('other', evidence, nonce), (0, {}), 'and the nonce is still good for the right one')


def test_edited_domain(tap: Tap):
    """The host edits the domain, accepts it in its own pin, launches it: the owner's copy of the reference says no."""
    pinned = attest('reference', 'main', '--output', scratch('owner.json'))
    tap.equal(pinned.returncode, 0, 'the owner keeps a reference')
    redefine('main', ('console=ttyS0 quiet', 'console=ttyS0 quiet init=/bin/sh'))
    evidence, nonce = report('main')
    tap.equal(verify('main', evidence, nonce), (0, {}), 'the pin counts, not what the edited domain would measure')
    attest('define', '--accept', 'main')
    launch(tap, 'main')
    evidence, nonce = report('main')
    done = attest('verify', '--reference', scratch('owner.json'), '--nonce', nonce, '--certificates',
                  FACTS['certificate'],
                  '--trust-anchor', FACTS['anchor'], '--format', 'json', evidence, check=False)
    failed = [each['name'] for each in json.loads(done.stdout)['checks'] if each['outcome'] == 'fail']
    tap.equal((done.returncode, failed), (1, ['measurement']), "the owner's reference refuses the edited launch",
              done.stdout)


def test_older_launch(tap: Tap):
    """A guest that still runs from before an update: its launch is on record, and is named."""
    earlier = last('main')
    old_launch = model('main')
    redefine('main', ('init=/bin/sh', 'init=/sbin/init'))
    attest('define', '--accept', 'main')
    nonce = attest('nonce').stdout.strip()
    evidence = write_bytes('old.report', authority.report(vcek(), launch=old_launch, report_data=bytes.fromhex(nonce)))
    code, failed = verify('main', evidence, nonce)
    tap.equal((code, list(failed)), (1, ['measurement']), 'the report of an older launch is refused', failed)
    tap.contains(failed.get('measurement', ''), [f"the measurement of the launch of {earlier['time']}"], 'and named')


def test_id_block(tap: Tap):
    kernel, initrd = small_boot_files('keyed')
    attest('define', '--level', '3', '--id-key', key('id'), '--svn', '3', write(
        scratch('keyed.xml'), domain_xml('keyed', kernel=kernel, initrd=initrd, cmdline='quiet')))
    launch(tap, 'keyed')
    evidence, nonce = report('keyed')
    tap.equal(verify('keyed', evidence, nonce), (0, {}), 'a launch with an ID block is accepted')
    document = model('keyed')
    for what, change, expected in (
            ('a foreign ID key', {'id_key_digest': 'ab' * 48}, ['id-key']),
            ('no ID block', {'id_key_digest': '', 'guest_svn': 0}, ['id-key', 'guest-svn']),
            ('an older guest', {'guest_svn': 2}, ['guest-svn']),
            ('another image', {'image_id': '01' * 16}, ['image-id'])):
        nonce = attest('nonce').stdout.strip()
        data = authority.report(vcek(), launch={**document, **change}, report_data=bytes.fromhex(nonce))
        code, failed = verify('keyed', write_bytes('changed.report', data), nonce)
        tap.equal((code, list(failed)), (1, expected), f'{what} is refused', failed)


TESTS = (test_accepted, test_other_domain, test_edited_domain, test_older_launch, test_id_block)

if __name__ == '__main__':
    run(TESTS)
