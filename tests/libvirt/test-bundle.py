#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bundle goes from one host to another.

Outside, this program makes a folder and runs itself in two private libvirtds, one behind the other: two hosts, each
with state, configuration and hook of its own, which share nothing but that folder. The first one leaves in it what its owner
would send: the bundle and the public key, and what the platform model has seen there.
"""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import (CANNOT_READ, PLATFORM, REJECTED, STATE, Tap, attest, domain_uuid, domain_xml, expect_match,
                     install_hook, model, pin_path, read, running, scratch, sha256, small_boot_files, stop, tree, virsh,
                     write)

sys.path.insert(0, os.path.join(os.path.dirname(harness.HERE), 'storage'))
import bundles  # noqa: E402  pylint: disable=wrong-import-position

SHARED = os.environ.get('VIRT_ATTEST_TEST_SHARED', '')
CMDLINE = 'console=ttyS0  "a b" <&> müsli'
TRUSTED = '/etc/virt-attest/trusted-keys.d'
BOOT = f'{STATE}/boot'


def shared(name):
    return os.path.join(SHARED, name)


def disk(path):
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
            "<target dev='vda' bus='virtio'/><readonly/></disk>")


def put_disk(name):
    """A file that QEMU can open as a disk."""
    return write(scratch(name), bytes(1 << 20))


#
# The host that the bundle comes from
#
def test_make(tap: Tap):
    """The owner's machine: define with ID block and signature, start, pack."""
    install_hook()
    keys = {name: bundles.make_keys(scratch(''), name, kind)
            for name, kind in (('sign', 'ed25519'), ('foreign', 'ed25519'), ('id', 'p384'), ('author', 'p384'),
                               ('evil', 'p384'))}
    kernel, initrd = small_boot_files('guest')
    xml = domain_xml('guest', kernel=kernel, initrd=initrd, cmdline=CMDLINE, vcpus='<vcpu>2</vcpu>',
                     devices=disk(put_disk('guest.img')) + "<graphics type='vnc' passwd='hunter2'/>")
    attest('define', '--level', '3', '--id-key', keys['id'][0], '--author-key', keys['author'][0], '--sign-key',
           keys['sign'][0], write(scratch('guest.xml'), xml))
    expect_match(tap, 'guest', 'the first host')
    stop('guest')
    done = attest('bundle', 'guest', '--output', shared('guest.tar'))
    tap.contains(done.stdout, ["Domain 'guest' was packed"], 'bundle says what it did')
    attest('bundle', 'guest', '--output', scratch('again.tar'))
    tap.equal(sha256(scratch('again.tar')), sha256(shared('guest.tar')), 'the same domain, the same bundle')
    found = bundles.members(shared('guest.tar'))
    tap.equal((found['kernel'], found['initrd']), (read(kernel), read(initrd)), 'the files are in it')
    pinned = json.loads(read(pin_path('guest')))
    envelope = json.loads(found['reference.json'])
    tap.equal(envelope, pinned.get('signed'), 'the reference is the signed one that is pinned')
    reference = json.loads(base64.b64decode(envelope['payload']))
    seen = model('guest')
    tap.equal([entry['digest'] for entry in reference['measurements']], [seen['digest']],
              'it has the digest that the model has seen')
    xml_text = found['domain.xml'].decode()
    tap.check(scratch('guest.kernel') not in xml_text and 'hunter2' not in xml_text,
              'the domain XML has no path of this host\'s boot files and no password', xml_text)
    tap.check(all(b'hunter2' not in data and b'PRIVATE KEY' not in data for data in found.values()),
              'nor has anything else')
    # What somebody makes of it who has other keys.
    attest('define', '--accept', '--level', '3', '--id-key', keys['evil'][0], '--author-key', keys['author'][0],
           '--sign-key', keys['foreign'][0], 'guest')
    attest('bundle', 'guest', '--output', shared('evil.tar'), '--force')
    attest('reference', 'guest', '--output', shared('unsigned.json'))
    shutil.copy(keys['sign'][1], shared('sign.pub'))
    write(shared('seen.json'), json.dumps(seen))


#
# The host that it goes to
#
def test_arrive(tap: Tap):
    """Nothing of the first host is here but the bundle and the owner's public key."""
    install_hook()
    os.makedirs(TRUSTED)
    shutil.copy(shared('sign.pub'), f'{TRUSTED}/owner.pem')
    tap.equal((os.path.exists(scratch('guest.kernel')), virsh('list', '--all', '--name').stdout.strip()), (False, ''),
              'this is another host')
    done = attest('bundle-verify', shared('guest.tar'), check=False)
    tap.equal(done.returncode, 0, 'the bundle is good', done.stdout + done.stderr)
    tap.contains(done.stdout, ['owner.pem', json.loads(read(shared('seen.json')))['digest'], 'host data binds'],
                 'signed by the trusted key')
    tap.check('fail' not in done.stdout and done.stdout.count('note') == 1, 'everything passes', done.stdout)
    tap.contains(done.stdout, ['disk', 'guest.img'], 'and the disk is named')


def test_tampered(tap: Tap):
    """Every member changed by one bit; then by somebody who knows what he does. Nothing of it arrives."""
    good, evil = bundles.members(shared('guest.tar')), bundles.members(shared('evil.tar'))
    xml = good['domain.xml'].decode()
    cases = [(f'one bit of {name}', {**good, name: bundles.flipped(data)}) for name, data in good.items()]
    cases += [(f'{name} and the manifest', bundles.sealed({**good, name: bundles.flipped(good[name])}))
              for name in ('kernel', 'id-auth.bin')]
    cases += [(what, bundles.sealed({**good, **changes})) for what, changes in (
        ('unsigned reference', {'reference.json': read(shared('unsigned.json'))}),
        ('reference signed by another', {'reference.json': evil['reference.json']}),
        ('ID block by another', {name: evil[name] for name in ('domain.xml', 'id-auth.bin', 'id-block.bin')}),
        ('command line', {'domain.xml': xml.replace('console=ttyS0', 'console=ttyS1').encode()}),
        ('vCPUs', {'domain.xml': re.sub('(<vcpu[^>]*>)2<', r'\g<1>3<', xml).encode()}),
        ('kernel of this host', {'domain.xml': xml.replace('<kernel>kernel<', '<kernel>/etc/passwd<').encode()}))]
    cases.append(('all by another', evil))
    before = tree(STATE)
    for what, contents in cases:
        tap.check(contents != good, f'{what}: is changed')
        path = bundles.write(scratch('bad.tar'), contents)
        done = attest('bundle-define', '--disk', f'vda={put_disk("guest.img")}', path, check=False)
        # A manifest with a broken name or format is none that could be held against anything.
        codes = (REJECTED, CANNOT_READ) if what == 'one bit of manifest.json' else (REJECTED,)
        tap.check(done.returncode in codes and done.stderr.startswith('error: '), f'{what}: refused',
                  (done.returncode, done.stderr))
    tap.equal(virsh('list', '--all', '--name').stdout.strip(), '', 'no domain was defined')
    tap.equal(tree(STATE), before, 'and nothing was written')


def test_disks(tap: Tap):
    os.unlink(scratch('guest.img'))
    done = attest('bundle-define', shared('guest.tar'), check=False)
    tap.equal((done.returncode, virsh('list', '--all', '--name').stdout.strip()), (CANNOT_READ, ''),
              'a disk that is missing stops it')
    tap.contains(done.stderr, ['--disk TARGET=PATH', 'vda', 'guest.img'], 'and is named', )
    for option, code, words in (('vdb=/x', 2, ["no disk 'vdb'", 'it has vda']), ('vda', 2, ['TARGET=PATH']),
                                ('vda=relative', 2, ['absolute']), ('vda=/nonexistent', CANNOT_READ, ['/nonexistent'])):
        done = attest('bundle-define', '--disk', option, shared('guest.tar'), check=False)
        tap.equal(done.returncode, code, f'--disk {option}', done.stderr)
        tap.contains(done.stderr, words, f'--disk {option}: says why')
    tap.check(not os.path.isdir(BOOT) or not os.listdir(BOOT), 'no boot file stays behind')


def test_define_and_start(tap: Tap):
    seen = json.loads(read(shared('seen.json')))
    image = put_disk('moved.img')
    good = bundles.members(shared('guest.tar'))
    printed = attest('bundle-define', '--print-xml', '--disk', f'vda={image}', shared('guest.tar')).stdout
    tap.check(image in printed and virsh('list', '--all', '--name').stdout.strip() == '', '--print-xml changes nothing')
    done = attest('bundle-define', '--disk', f'vda={image}', shared('guest.tar'), check=False)
    if not tap.equal(done.returncode, 0, 'bundle-define', done.stderr):
        return
    tap.contains(done.stdout, ["Domain 'guest' defined from bundle", 'Level'], 'says what it did')
    tap.equal(virsh('domuuid', 'guest').stdout.strip(), domain_uuid('guest'), 'the UUID is the bundle\'s')
    stored = {name: os.lstat(f'{BOOT}/{name}').st_mode & 0o777 for name in os.listdir(BOOT)}
    tap.equal(sorted(name.split('.')[1] for name in stored), ['firmware', 'initrd', 'kernel'],
              'the boot store has its files')
    tap.equal(set(stored.values()), {0o444}, 'for reading only')
    tap.check(all(sha256(f'{BOOT}/{name}') == name.split('.')[0] for name in stored), 'named by what is in them')
    pinned = json.loads(read(pin_path('guest')))
    tap.equal(pinned.get('signed'), json.loads(good['reference.json']), 'the signature is kept in the pin')
    expect_match(tap, 'guest', 'the second host')
    found = model('guest')
    tap.equal(found['digest'], seen['digest'], 'the model sees the digest of the first host')
    facts = ('policy', 'id_block', 'id_key_digest', 'author_key_digest', 'image_id', 'host_data')
    tap.equal({key: found[key] for key in facts}, {key: seen[key] for key in facts}, 'and the same policy and identity')
    reference = json.loads(base64.b64decode(pinned['signed']['payload']))
    tap.equal([entry['digest'] for entry in reference['measurements']], [found['digest']],
              'which is what the owner has signed')
    stop('guest')
    tap.equal(attest('check', 'guest').returncode, 0, 'check agrees')


def test_again_and_beside(tap: Tap):
    image = scratch('moved.img')
    done = attest('bundle-define', '--disk', f'vda={image}', shared('guest.tar'), check=False)
    tap.equal(done.returncode, 0, 'the same bundle again', done.stderr)
    done = attest('bundle-define', '--disk', f'vda={image}', '--name', 'second', shared('guest.tar'), check=False)
    if tap.equal(done.returncode, 0, 'under another name', done.stderr):
        identity = virsh('domuuid', 'second').stdout.strip()
        tap.check(identity != domain_uuid('guest'), 'with a UUID of its own')
        done = attest('start', 'second', check=False)
        tap.equal((done.returncode, running('second')), (0, True), 'it starts', done.stdout + done.stderr)
        tap.equal(model('second', identity)['digest'], json.loads(read(shared('seen.json')))['digest'],
                  'as the same launch')
        stop('second')
    tap.equal(len(os.listdir(BOOT)), 3, 'they share their boot files')
    attest('undefine', 'guest')
    tap.equal(len(os.listdir(BOOT)), 3, 'which stay as long as one needs them')
    attest('undefine', 'second')
    tap.equal(os.listdir(BOOT), [], 'and no longer')


def test_unsigned_where_keys_are_trusted(tap: Tap):
    """Without keys an unsigned bundle is a matter of trust; with keys it is refused."""
    good = bundles.members(shared('guest.tar'))
    path = bundles.write(scratch('unsigned.tar'), bundles.sealed({
        **good, 'reference.json': base64.b64decode(json.loads(good['reference.json'])['payload'])}))
    arguments = ('bundle-define', '--disk', f'vda={scratch("moved.img")}', path)
    done = attest(*arguments, check=False)
    tap.equal(done.returncode, REJECTED, 'refused where keys are trusted', done.stderr)
    os.unlink(f'{TRUSTED}/owner.pem')
    done = attest(*arguments, check=False)
    tap.contains(done.stderr, ['warning: the reference is not signed'], 'with a warning')
    tap.contains(done.stdout, ['The domain opens disk vda', 'moved.img'], 'and a word on its disk')
    if tap.equal(done.returncode, 0, 'taken where none are', done.stderr):
        expect_match(tap, 'guest', 'an unsigned one')
        stop('guest')
        attest('undefine', 'guest')


HOSTS = {
    'one': [test_make],
    'two': [test_arrive, test_tampered, test_disks, test_define_and_start, test_again_and_beside,
            test_unsigned_where_keys_are_trusted],
}


#
# Outside
#
def both_hosts():
    """Runs both, renumbers what they say."""
    private = os.path.join(PLATFORM, 'private-libvirtd')
    check = subprocess.run([private, '--check'], capture_output=True, text=True, check=False)
    if not os.environ.get('VIRT_ATTEST_BUILD') or check.returncode == 77:
        harness.skip(check.stderr.strip().removeprefix('error: ') or 'VIRT_ATTEST_BUILD does not name a build')
    if not os.path.exists(harness.AMDSEV):
        harness.skip('no AmdSev firmware')
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix='virt-attest-bundle-') as folder:
        environment = {**os.environ, harness.INSIDE: '1', 'VIRT_ATTEST_TEST_SHARED': folder,
                       'PATH': f'{harness.program("virsh-wrappers")}:{os.environ["PATH"]}'}
        for host in HOSTS:
            process = subprocess.Popen([private, '--model', sys.executable, os.path.abspath(sys.argv[0]), host],
                                       env=environment, stdout=subprocess.PIPE, text=True)
            for line in process.stdout:
                found = re.fullmatch(r'(not ok|ok) \d+ - (.*)\n', line)
                number += bool(found)
                failed += bool(found) and found[1] == 'not ok'
                if found:
                    print(f'{found[1]} {number} - host {host}, {found[2]}', flush=True)
                elif not line.startswith('1..'):
                    print(line, end='', flush=True)
            if process.wait() not in (0, 1):
                number, failed = number + 1, failed + 1
                print(f'not ok {number} - host {host} runs to its end', flush=True)
    print(f'1..{number}', flush=True)
    return 1 if failed or number < 60 else 0


if __name__ == '__main__':
    sys.exit(harness.run_inside(HOSTS[sys.argv[1]]) if os.environ.get(harness.INSIDE) else both_hosts())
