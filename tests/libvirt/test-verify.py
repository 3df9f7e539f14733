#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""verify --domain end to end: libvirt and QEMU launch on the platform model, the test authority reports the launch.

No guest runs here; the report is what the processor would have given to one. What counts is the pinned reference of the
domain, whatever its XML says by now.
"""
import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
from harness import (AMDSEV, STATE, Tap, attest, confidential, domain_uuid, domain_xml, expect_match,  # noqa: E402
                     install_hook, last, model, redefine, run, scratch, skip, small_boot_files, start, stop, write)
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


def kept(name):
    """The newest verdict as list has it, and its text in the table."""
    rows = {each['name']: each['attested'] for each in json.loads(attest('list', '--all', '--format', 'json').stdout)}
    line = [each for each in attest('list', '--all').stdout.splitlines() if each.split()[1:2] == [name]]
    return rows[name] or {}, line[0] if line else ''


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
    tap.contains(failed.get('measurement', ''), [f"the measurement of the launch of {earlier['time']}, with another "
                                                 'command line (SHA-256 '], 'and named')


def test_older_firmware(tap: Tap):
    """The package of the firmware was upgraded: who has not restarted the guest since is told so."""
    confidential('upgraded')
    launch(tap, 'upgraded')
    earlier, old_launch = last('upgraded'), model('upgraded')
    with open(AMDSEV, 'rb') as firmware:
        data = bytearray(firmware.read())
    # Room that nothing uses: the same program for the guest, and another measurement.
    data[data.find(b'\xff' * 4096) + 2048] = 0
    redefine('upgraded', (AMDSEV, write_bytes('newer.fd', data)))
    attest('define', '--accept', 'upgraded')
    nonce = attest('nonce').stdout.strip()
    evidence = write_bytes('old.report', authority.report(vcek(), launch=old_launch, report_data=bytes.fromhex(nonce)))
    code, failed = verify('upgraded', evidence, nonce)
    tap.equal((code, list(failed)), (1, ['measurement']), 'the report of the old firmware is refused', failed)
    with open(AMDSEV, 'rb') as firmware:
        digest = hashlib.sha256(firmware.read()).hexdigest()
    tap.equal(failed.get('measurement', '').split('; ', 1)[-1],
              f"this is the measurement of the launch of {earlier['time']}, with another firmware (SHA-256 {digest})",
              'and named, by its digest')


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


def test_kept(tap: Tap):
    """Verdicts lie beside the launches, and are about one of them."""
    confidential('kept')
    tap.equal(kept('kept')[0], {}, 'nothing was judged yet')
    expect_match(tap, 'kept', 'kept')
    first = last('kept')
    evidence, nonce = report('kept')
    tap.equal(verify('kept', evidence, nonce)[0], 0, 'accepted')
    found, line = kept('kept')
    tap.equal([found.get(each) for each in ('verdict', 'stale', 'fresh', 'trustAnchor', 'source', 'launch', 'at',
                                            'measurement', 'failed')],
              ['accepted', False, True, 'file', 'file', first['id'], None, model('kept')['digest'], []],
              'the verdict is kept, with the launch that ran', found)
    tap.check(' accepted 20' in line and '(own trust anchor)' in line and 'stale' not in line,
              "list shows it, and that it does not rest on AMD's roots", line)
    with open(f'{STATE}/references/{domain_uuid("kept")}.json', 'rb') as pinned, open(evidence, 'rb') as data:
        tap.equal((found['reference'], found['report']), (hashlib.sha256(pinned.read()).hexdigest(),
                                                          hashlib.sha256(data.read()).hexdigest()),
                  'with the digests of pin and report')
    verify('kept', evidence, nonce)
    found, line = kept('kept')
    tap.equal((found['verdict'], [each['name'] for each in found['failed']]), ('rejected', ['nonce']),
              'the same once more is kept as rejected', found)
    shown = attest('show', 'kept').stdout
    tap.contains(shown, ['Reservations', 'own trust anchor', 'Last verdict: nonce: '], 'show says why')
    evidence, nonce = report('kept')
    verify('kept', evidence, nonce)
    stop('kept')
    tap.equal(kept('kept')[0]['stale'], False, 'the verdict is still about the last launch when that has ended')
    start('kept')
    found, line = kept('kept')
    tap.check(found['stale'] and 'stale: accepted' in line, 'started anew: stale', line)
    verify('kept', evidence, nonce, '--at', '2026-11-28T00:00:00Z')
    found, line = kept('kept')
    tap.check(found['at'] == '2026-11-28T00:00:00Z' and found['launch'] is None and 'old evidence' in line,
              'a verdict for another time says so', line)
    tap.equal(len(json.loads(attest('show', '--format', 'json', 'kept').stdout)['verdicts']), 4, 'show has them all')
    stop('kept')
    evidence, nonce = report('kept')
    folder = f'{STATE}/verdicts'
    os.rename(folder, f'{folder}-away')
    write(folder, 'this is no folder')
    done = attest('verify', '--domain', 'kept', '--nonce', nonce, '--certificates', FACTS['certificate'],
                  '--trust-anchor', FACTS['anchor'], evidence, check=False)
    tap.check(done.returncode == 0 and 'warning: the verdict is not kept: ' in done.stderr,
              'a state folder that cannot be used changes nothing in the verdict', done.stderr)
    os.unlink(folder)
    os.rename(f'{folder}-away', folder)
    path = f'{STATE}/verdicts/{domain_uuid("kept")}.json'
    with open(path, 'a', encoding='utf-8') as damaged:
        damaged.write('x')
    done = attest('show', 'kept')
    tap.contains(done.stderr, ['is damaged', 'the next verdict about the domain moves it aside'],
                 'a damaged file is told')
    attest('undefine', 'kept')
    tap.equal([each for each in os.listdir(f'{STATE}/verdicts') if each.startswith(domain_uuid('kept'))], [],
              'undefine removes the verdicts')


TESTS = (test_accepted, test_other_domain, test_edited_domain, test_older_launch, test_older_firmware, test_id_block,
         test_kept)

if __name__ == '__main__':
    run(TESTS)
