#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""define --id-key end to end: QEMU hands our ID block over, and the processor (its model) refuses everything else.

Keys, signatures and digests that are expected come from the openssl program and from the specification's layout
(tests/platform/idblock.py), launch digests from the platform model.
"""
import base64
import hashlib
import json
import os
import re

from harness import (LIBVIRT_REFUSED, REJECTED, STATE, USAGE, Tap, attest, call, confidential, domain_xml, expect_match,
                     forget_model, install_hook, last, launched, model, pin_path, plain_xml, read, redefine, run, running,
                     scratch, small_boot_files, start, state, stop, virsh, virsh_define, write)
import idblock

FAMILY, IMAGE = bytes(range(16)), bytes(range(16, 32))
LOG = '/var/log/libvirt/qemu/{}.log'


def key(name):
    return scratch(f'{name}.pem')


def key_digest(name):
    return idblock.digest(idblock.public_key(key(name)))


def test_install(tap: Tap):
    install_hook()
    for name in 'id', 'author', 'other':
        idblock.make_key(key(name))
    tap.check(os.path.exists(key('other')), 'keys are there')


def identified(name, *options, **shape):
    """Define a pinned confidential domain with an ID block."""
    shape['kernel'], shape['initrd'] = small_boot_files(name)
    shape.setdefault('cmdline', 'console=ttyS0 quiet')
    return attest('define', '--level', '3', '--id-key', key('id'), *options,
                  write(scratch('define.xml'), domain_xml(name, **shape)))


def parts(name):
    """(ID block, ID authentication page, host data) in the XML of a domain."""
    xml = virsh('dumpxml', '--inactive', '--security-info', '--domain', name).stdout
    return [base64.b64decode(re.search(f'<{tag}>(.*?)</{tag}>', xml).group(1))
            for tag in ('idBlock', 'idAuth', 'hostData')]


def binding(name):
    return hashlib.sha256(attest('reference', '--format', 'binding', name).stdout.encode()).hexdigest()


def expect_identity(tap, name, what, author, family=bytes(16), image=bytes(16), svn=0):
    """Start the domain: what QEMU handed over is the ID block of these keys for this launch. Stops it again."""
    expect_match(tap, name, what)
    document = model(name)
    block, page, host_data = parts(name)
    wanted = {'id_block': True, 'author_key': bool(author), 'id_key_digest': key_digest('id'),
              'author_key_digest': key_digest(author) if author else '0' * 96, 'family_id': family.hex(),
              'image_id': image.hex(), 'guest_svn': svn, 'host_data': binding(name)}
    tap.equal({part: document[part] for part in wanted}, wanted, f'{what}: the report would show our keys, ids and the bound reference')
    tap.equal(block, idblock.make_block(bytes.fromhex(document['digest']), 0x30000, family, image, svn),
              f'{what}: the block is the one for this launch')
    tap.equal(idblock.both_verify(block, page), (True, bool(author)), f'{what}: openssl verifies the signatures')
    pin = json.loads(read(pin_path(name)))
    tap.equal((pin['idBlock']['idKeyDigest'], pin['hostData'], pin['idBlockSha256'], pin['idAuthSha256']),
              (key_digest('id'), host_data.hex(), hashlib.sha256(block).hexdigest(), hashlib.sha256(page).hexdigest()),
              f'{what}: the pin has identity and host data')
    stop(name)


def test_file(tap: Tap):
    identified('file', '--author-key', key('author'), '--family-id', FAMILY.hex(), '--image-id', IMAGE.hex(), '--svn', '7')
    expect_identity(tap, 'file', 'from a file', 'author', FAMILY, IMAGE, 7)
    shown = attest('show', 'file').stdout
    tap.contains(shown, [key_digest('id'), key_digest('author'), FAMILY.hex(), IMAGE.hex(), 'binds this reference'],
                 'show has keys, ids and host data')
    told = json.loads(attest('show', '--format', 'json', 'file').stdout)
    tap.equal((told['policyFlags'], told['hostDataBinds']), ('smt', True), 'and so has its JSON')
    done = attest('id-block-verify', '--domain', 'file', '--id-key', key('id'), '--author-key', key_digest('author'),
                  check=False)
    tap.equal(done.returncode, 0, 'id-block-verify agrees', done.stdout + done.stderr)
    done = attest('id-block-verify', '--domain', 'file', '--id-key', key('other'), check=False)
    tap.equal(done.returncode, REJECTED, 'and not with another key', done.stdout + done.stderr)
    tap.equal(attest('check', 'file', check=False).returncode, 0, 'check finds no drift')


def test_existing(tap: Tap):
    confidential('existing')
    before = virsh('dumpxml', '--inactive', '--domain', 'existing').stdout
    start('existing')
    done = attest('define', '--id-key', key('id'), 'existing', check=False)
    tap.equal(done.returncode, REJECTED, 'an ID block changes the pin: --accept is needed', done.stdout + done.stderr)
    tap.equal(virsh('dumpxml', '--inactive', '--domain', 'existing').stdout, before, 'nothing was changed')
    attest('define', '--id-key', key('id'), '--accept', 'existing')
    tap.check(running('existing'), 'the running guest is left alone')
    stop('existing')
    expect_identity(tap, 'existing', 'an existing domain', None)
    pin, first = read(pin_path('existing')), parts('existing')
    done = attest('define', '--id-key', key('id'), 'existing', check=False)
    tap.equal((done.returncode, parts('existing')), (0, first), 'once more: the block stays as it is', done.stderr)
    strip = re.compile(rb'"created"[^\n]*')
    tap.equal(strip.sub(b'', read(pin_path('existing'))), strip.sub(b'', pin), 'and so does the pin')
    attest('define', '--id-key', key('id'), '--author-key', key('author'), '--accept', 'existing')
    expect_identity(tap, 'existing', 'another author', 'author')


def test_given_host_data(tap: Tap):
    identified('given', '--host-data', 'ab' * 32)
    expect_match(tap, 'given', 'given host data')
    tap.equal(model('given')['host_data'], 'ab' * 32, 'it arrives')
    stop('given')
    tap.contains(attest('show', 'given').stdout, ['does not bind'], 'show says that it binds nothing')
    done = attest('define', '--host-data', 'cd' * 32, '--accept', 'given', check=False)
    tap.equal(done.returncode, 0, 'host data alone can be changed', done.stderr)
    expect_match(tap, 'given', 'other host data')
    tap.equal((model('given')['host_data'], model('given')['id_block']), ('cd' * 32, True), 'the block stays')
    stop('given')


def test_composed(tap: Tap):
    kernel, initrd = small_boot_files('composed')
    options = ['define', '--name', 'composed', '--level', '3', '--kernel', kernel, '--initrd', initrd, '--memory', '128',
               '--emulator', os.environ['EMULATOR'], '--id-key', key('id'), '--author-key', key('author')]
    done = attest(*options, check=False)
    tap.equal(done.returncode, REJECTED, 'host-model is refused', done.stderr)
    tap.contains(done.stderr, ['--cpu-model'], 'with what to do')
    tap.check('composed' not in virsh('list', '--all', '--name').stdout, 'and nothing was defined')
    attest(*options, '--cpu-model', 'EPYC-Milan')
    # libvirt asks a host that has no EPYC for one: that is not what is tested here.
    redefine('composed', ('<cpu [^>]*>', "<cpu mode='custom' match='exact' check='none'>"))
    identity = virsh('domuuid', '--domain', 'composed').stdout.strip()
    done = start('composed', check=False)
    tap.equal(done.returncode, 0, 'a composed domain starts', done.stderr)
    document = model('composed', identity)
    tap.equal((document['id_key_digest'], document['host_data']), (key_digest('id'), binding('composed')),
              'with its ID block and host data')
    stop('composed')


def test_refused_options(tap: Tap):
    confidential('options')
    for options, code in ((('--svn', '1'), USAGE), (('--id-key', key('id'), '--image-id', 'xy'), USAGE)):
        done = attest('define', *options, 'options', check=False)
        tap.equal(done.returncode, code, f'{options[0]}: refused', done.stderr)
    virsh_define(plain_xml('plain'))
    done = attest('define', '--level', '0', '--id-key', key('id'), 'plain', check=False)
    tap.check(done.returncode not in (0, LIBVIRT_REFUSED), 'a guest outside of SEV-SNP has no ID block', done.stderr)
    secret = read(key('id')).decode().split('\n')[1]
    said = ''.join(read(os.path.join(folder, name)).decode(errors='replace')
                   for folder, _, names in os.walk('/var/log/libvirt') for name in names)
    tap.check(secret not in said, 'no private key in any log')


def test_stale(tap: Tap):
    """An ID block that fits no more cannot be pinned: no processor would start it."""
    identified('stale')
    kernel = re.search('<kernel>(.*)</kernel>', virsh('dumpxml', '--domain', 'stale').stdout).group(1)
    write(kernel, read(kernel)[:-1] + b'!')
    tap.contains(attest('level', 'stale').stdout, ['id-block', 'note'], 'level says so, and keeps its number')
    done = attest('define', '--accept', 'stale', check=False)
    tap.equal(done.returncode, REJECTED, 'define --accept alone refuses', done.stderr)
    tap.contains(done.stderr, ['--id-key', 'launch digest'], 'and says what to do')
    attest('define', '--accept', '--id-key', key('id'), 'stale')
    expect_identity(tap, 'stale', 'after define --id-key', None)


def test_restored(tap: Tap):
    """The pin cannot be written when libvirt has the new definition already: the former one comes back."""
    virsh_define(domain_xml('restored'))
    before = virsh('dumpxml', '--inactive', '--domain', 'restored').stdout
    call('mount', '-t', 'tmpfs', '-o', 'ro', 'nothing', f'{STATE}/references')
    try:
        done = attest('define', '--id-key', key('id'), 'restored', check=False)
    finally:
        call('umount', f'{STATE}/references')
    tap.check(done.returncode != 0, 'define fails', done.stdout)
    tap.equal(virsh('dumpxml', '--inactive', '--domain', 'restored').stdout, before, 'the former definition is back')


def replaced(tag, data):
    return f'<{tag}>.*?</{tag}>', f'<{tag}>{base64.b64encode(data).decode()}</{tag}>'


def other_byte(path):
    data = bytearray(read(path))
    data[9000] ^= 1
    write(path, bytes(data))


def refusals(kernel):
    """(name, error of the firmware, change), each from the good domain."""
    block, page, _ = parts('refused')
    flipped = bytearray(page)
    flipped[idblock.BLOCK_SIGNATURE + 5] ^= 1
    foreign = page[:0x40] + idblock.signature(key('other'), block) + page[0x240:]
    stranger = page[:0x680] + idblock.signature(key('other'), page[0x240:0x644]) + page[0x880:]
    return [
        ('another byte in the kernel', 11, lambda: other_byte(kernel)),
        ('another command line', 11, lambda: redefine(
            'refused', ('<cmdline>.*</cmdline>', '<cmdline>init=/bin/sh</cmdline>'))),
        ('another number of vCPUs', 11, lambda: redefine('refused', ('<vcpu [^>]*>1<', '<vcpu>2<'))),
        ('another CPU type', 11, lambda: redefine('refused', ('>EPYC-Milan<', '>EPYC-Genoa<'))),
        ('another policy', 7, lambda: redefine('refused', ('<policy>.*?</policy>', '<policy>0x20000</policy>'))),
        ('a signature of somebody else', 10, lambda: redefine('refused', replaced('idAuth', foreign))),
        ('a flipped byte in the signature', 10, lambda: redefine('refused', replaced('idAuth', bytes(flipped)))),
        ('an ID key signed by somebody else', 10, lambda: redefine('refused', replaced('idAuth', stranger))),
        ('no author where one is asked for', 10, lambda: redefine(
            'refused', replaced('idAuth', idblock.make_page(block, key('id'))))),
        ('another image id than was signed', 10, lambda: redefine(
            'refused', replaced('idBlock', block[:0x40] + b'x' + block[0x41:]))),
    ]


def test_refused_by_the_processor(tap: Tap):
    """The hook only observes here: it is the processor that says no."""
    kernel, _ = small_boot_files('refused')
    identified('refused', '--author-key', key('author'), '--on-mismatch', 'observe')
    good, contents = virsh('dumpxml', '--inactive', '--security-info', '--domain', 'refused').stdout, read(kernel)
    expect_identity(tap, 'refused', 'as defined', 'author')
    for name, error, change in refusals(kernel):
        change()
        forget_model('refused')
        done = start('refused', check=False)
        said = done.stderr + read(LOG.format('refused')).decode(errors='replace')[-500:]
        tap.equal((done.returncode, state('refused'), launched('refused'), last('refused')['verdict']),
                  (1, 'shut off', False, 'observed'), f'{name}: let through by the hook, refused by the processor', said)
        found = re.findall(r'SNP_LAUNCH_FINISH.*fw_error=(\d+)', done.stderr)
        tap.equal(found[-1:], [str(error)], f'{name}: libvirt reports firmware error {error}', said)
        if done.returncode == 0:
            stop('refused')
        write(kernel, contents)
        virsh_define(good)
    expect_identity(tap, 'refused', 'and as it was before', 'author')


if __name__ == '__main__':
    run((test_install, test_file, test_existing, test_given_host_data, test_composed, test_refused_options, test_stale,
         test_restored, test_refused_by_the_processor))
