#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signed references: who may pin what, and what the hook makes of it. Keys and verification are openssl's."""
import base64
import fcntl
import glob
import hashlib
import json
import os
import resource
import signal
import subprocess
import time

from harness import (CONFIG, NOT_CONFIGURED, REJECTED, STATE, USAGE, Tap, attest, call, confidential, domain_uuid,
                     domain_xml, eventually, expect_match, expect_veto, install_hook, last, model, pin_path, program,
                     read, redefine, run, scratch, small_boot_files, start, state, stop, tree, virsh, write,
                     write_config)

TRUSTED = os.path.join(os.path.dirname(CONFIG), 'trusted-keys.d')
PASSPHRASE = 'a secret that nobody prints'


def key(name):
    return scratch(f'{name}.pem')


def trust(*names):
    """The folder of trusted keys holds these, and no others; None: there is no such folder."""
    os.makedirs(TRUSTED, exist_ok=True)
    os.chmod(TRUSTED, 0o755)
    for path in glob.glob(f'{TRUSTED}/*'):
        os.unlink(path)
    for name in names:
        write(f'{TRUSTED}/{name}.pem', read(scratch(f'{name}.pub.pem')))


def xml_of(name, **shape):
    kernel, initrd = small_boot_files(name)
    return write(scratch(f'{name}.xml'), domain_xml(name, kernel=kernel, initrd=initrd, cmdline='quiet', **shape))


def pin(name):
    return json.loads(read(pin_path(name)))


def verify_by_openssl(envelope, name, algorithm):
    """DSSE by hand: what is in the envelope, and openssl's word on it."""
    payload = base64.b64decode(envelope['payload'])
    kind = envelope['payloadType'].encode()
    signed = write(scratch('pae'), b'DSSEv1 %d %s %d %s' % (len(kind), kind, len(payload), payload))
    der = subprocess.run(['openssl', 'pkey', '-pubin', '-in', scratch(f'{name}.pub.pem'), '-outform', 'DER'],
                         capture_output=True, check=True).stdout
    found = [entry['sig'] for entry in envelope['signatures'] if entry['keyid'] == hashlib.sha256(der).hexdigest()]
    if not found:
        return False
    signature = write(scratch('signature'), base64.b64decode(found[0]))
    if algorithm == 'ed25519':
        command = ['pkeyutl', '-verify', '-pubin', '-inkey', scratch(f'{name}.pub.pem'), '-rawin', '-in', signed,
                   '-sigfile', signature]
    else:
        command = ['dgst', '-sha384', '-verify', scratch(f'{name}.pub.pem'), '-signature', signature, signed]
    return call('openssl', *command, check=False).returncode == 0


def test_install(tap: Tap):
    install_hook()
    os.umask(0o077)
    for name, arguments in (('owner', ['ED25519']), ('second', ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384']),
                            ('stranger', ['ED25519'])):
        call('openssl', 'genpkey', '-algorithm', *arguments, '-out', key(name))
        call('openssl', 'pkey', '-in', key(name), '-pubout', '-out', scratch(f'{name}.pub.pem'))
    os.umask(0o022)
    confidential('before')
    expect_match(tap, 'before', 'without trusted keys nobody has to sign')
    stop('before')


def test_unsigned(tap: Tap):
    """Trusted keys come to a host with pinned domains."""
    trust('owner', 'second')
    said = expect_veto(tap, 'before', 'a pin that nobody has signed', ['not signed', TRUSTED, '--sign-key KEY before'])
    tap.check('\n\n\n' not in said, 'in few lines', said)
    tap.contains(attest('check', 'before', check=False).stdout + attest('check', 'before', check=False).stderr,
                 ['not signed', '--sign-key'], 'check says the same')
    tap.equal(attest('check', 'before', check=False).returncode, REJECTED, 'and rejects it')
    pins = tree(f'{STATE}/references')
    for what, arguments in (('as it is', ['before']), ('with --accept', ['--accept', 'before']),
                            ('a new one', [xml_of('new')])):
        done = attest('define', *arguments, check=False)
        tap.equal(done.returncode, REJECTED, f'define {what} is refused', done.stdout)
        tap.contains(done.stderr, ['--sign-key KEY', '--reference FILE', TRUSTED, 'nothing was changed'],
                     f'define {what} says what to do')
    done = attest('define', '--sign-key', key('stranger'), 'before', check=False)
    tap.equal(done.returncode, REJECTED, 'a key that is not trusted signs in vain')
    tap.contains(done.stderr, ['not one of the keys', TRUSTED], 'which is said')
    tap.equal(tree(f'{STATE}/references'), pins, 'no pin has changed')
    tap.check(virsh('domstate', '--domain', 'new', check=False).returncode != 0, 'and libvirt has no new domain')
    done = attest('define', '--sign-key', key('owner'), 'before', check=False)
    tap.equal(done.returncode, 0, 'the owner signs what is pinned', done.stderr)
    tap.check(verify_by_openssl(pin('before')['signed'], 'owner', 'ed25519'), "openssl verifies the owner's signature",
              pin('before'))
    expect_match(tap, 'before', 'signed')
    tap.equal(json.loads(base64.b64decode(pin('before')['signed']['payload']))['measurements'][0]['digest'],
              model('before')['digest'], 'what was signed is what was launched')
    tap.equal(attest('check', 'before').returncode, 0, 'check agrees')
    stop('before')


def test_new(tap: Tap):
    """define and sign in one go, with a key in every form."""
    trust('second')
    encrypted = scratch('encrypted.pem')
    call('openssl', 'pkcs8', '-topk8', '-passout', f'pass:{PASSPHRASE}', '-in', key('second'), '-out', encrypted)
    os.chmod(encrypted, 0o600)
    path = xml_of('fresh')
    for what, arguments, says in (('no passphrase', [], '--passphrase-fd'),):
        done = attest('define', '--level', '3', '--sign-key', encrypted, *arguments, path, check=False)
        tap.equal(done.returncode, 3, f'{what}: refused', done.stdout)
        tap.contains(done.stderr, [says, encrypted], f'{what}: says why')
    reader, writer = os.pipe()
    os.write(writer, f'{PASSPHRASE}\n'.encode())
    os.close(writer)
    done = attest('define', '--level', '3', '--sign-key', encrypted, '--passphrase-fd', str(reader), path, check=False,
                  pass_fds=(reader,))
    os.close(reader)
    tap.equal(done.returncode, 0, 'with the passphrase it is defined and signed', done.stderr)
    tap.check(verify_by_openssl(pin('fresh')['signed'], 'second', 'ecdsa'), 'openssl verifies it')
    expect_match(tap, 'fresh', 'defined and signed')
    stop('fresh')
    secret = read(key('second')).decode().split('\n')[1]
    told = done.stdout + done.stderr + virsh('dumpxml', '--inactive', 'fresh').stdout + read(pin_path('fresh')).decode()
    tap.check(PASSPHRASE not in told and secret not in told, 'neither key nor passphrase is in what was written')
    done = attest('define', 'fresh', check=False)
    tap.equal(done.returncode, 0, 'the same facts keep the signature', done.stderr)
    expect_match(tap, 'fresh', 'defined once more')
    stop('fresh')
    redefine('fresh', ('<cmdline>quiet</cmdline>', '<cmdline>debug</cmdline>'))
    for arguments in ['fresh'], ['--accept', 'fresh']:
        done = attest('define', *arguments, check=False)
        tap.equal(done.returncode, REJECTED, f'other facts do not: {arguments}', done.stdout)
        tap.contains(done.stderr, ['signature does not hold', 'quiet', 'debug', '--sign-key'], 'which is explained')
    expect_veto(tap, 'fresh', 'another command line', ['kernel command line changed', '--sign-key KEY fresh'])
    done = attest('define', '--accept', '--sign-key', key('second'), 'fresh', check=False)
    tap.equal(done.returncode, 0, 'signed anew', done.stderr)
    expect_match(tap, 'fresh', 'signed anew')
    stop('fresh')


def holding_a_key(arguments, passphrase, folder):
    """virt-attest with an unlocked key in its memory: it has signed, and nobody takes what it prints."""
    reader, writer = os.pipe()
    out_reader, out_writer = os.pipe()
    fcntl.fcntl(out_writer, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(out_writer, b'x' * 1024)
    except BlockingIOError:
        fcntl.fcntl(out_writer, fcntl.F_SETFL, 0)

    def unlimited():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        # A shell that started the tests in the background has made its children ignore it.
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    child = subprocess.Popen([program('virsh-wrappers/virt-attest'), *arguments, '--passphrase-fd', str(reader)],
                             stdout=out_writer, pass_fds=(reader,), cwd=folder, preexec_fn=unlimited)
    before = eventually(lambda: core_limit(child.pid) == '0')
    os.write(writer, f'{passphrase}\n'.encode())
    os.close(writer)
    os.close(reader)
    # It waits in write(2) (1), on its standard output (1).
    waits = eventually(lambda: read(f'/proc/{child.pid}/syscall').split()[:2] == [b'1', b'0x1'])
    os.close(out_writer)
    return child, out_reader, before, waits


def core_limit(pid):
    lines = read(f'/proc/{pid}/limits').decode().split('\n')
    return next(line for line in lines if line.startswith('Max core file size')).split()[4]


def test_secrets(tap: Tap):
    """A process that holds a key leaves no core dump, and nothing of it is where others look."""
    folder = scratch('cores')
    os.makedirs(folder)
    encrypted, document = scratch('encrypted.pem'), scratch('secret.json')
    attest('reference', '--output', document, xml_of('secret'))
    child, output, before, waits = holding_a_key(('reference-sign', '--key', encrypted, document), PASSPHRASE, folder)
    tap.check(before, 'no core dump is possible before the passphrase is read')
    tap.check(waits, 'the process waits with the key in its memory', read(f'/proc/{child.pid}/syscall'))
    seen = read(f'/proc/{child.pid}/cmdline') + read(f'/proc/{child.pid}/environ')
    secret = base64.b64decode(''.join(read(key('second')).decode().split('\n')[1:-2]))[-150:-110]
    tap.check(PASSPHRASE.encode() not in seen and secret not in seen, 'neither is in argv or environment')
    os.kill(child.pid, signal.SIGQUIT)
    status = os.waitpid(child.pid, 0)[1]
    os.close(output)
    tap.equal((os.WIFSIGNALED(status), os.WCOREDUMP(status), os.listdir(folder)), (True, False, []),
              'killed, it leaves no core dump')


def edit_pin(name, change):
    document = pin(name)
    change(document)
    write(pin_path(name), json.dumps(document))


def test_tampered(tap: Tap):
    """Who may write to the state folder cannot make a reference count."""
    trust('owner')
    done = attest('define', '--sign-key', key('owner'), xml_of('target'), check=False)
    tap.equal(done.returncode, 0, 'defined', done.stderr)
    good = read(pin_path('target'))

    def payload(document, change):
        inner = json.loads(base64.b64decode(document['signed']['payload']))
        change(inner)
        document['signed']['payload'] = base64.b64encode(json.dumps(inner).encode()).decode()

    def flip(document):
        text = document['signed']['signatures'][0]['sig']
        document['signed']['signatures'][0]['sig'] = ('B' if text[0] == 'A' else 'A') + text[1:]

    for what, change, says in (
            ('a byte of the signature', flip, 'not good'),
            ('the document in it', lambda pinned: payload(pinned, lambda inner: inner.update(policy='0x0')),
             'cannot be used'),
            ('no signature', lambda pinned: pinned.pop('signed'), 'not signed'),
            ('an observing pin', lambda pinned: (pinned.pop('signed'), pinned.update(onMismatch='observe')),
             'not signed'),
            ('a signature of nobody', lambda pinned: pinned['signed'].update(signatures=[]), 'signatures'),
            ('rules that nobody signed', lambda pinned: pinned.update(product='Milan'), 'product')):
        write(pin_path('target'), good)
        edit_pin('target', change)
        expect_veto(tap, 'target', what, [says])
    write(pin_path('target'), good)
    expect_match(tap, 'target', 'the pin as it was')
    stop('target')
    trust('second')
    expect_veto(tap, 'target', 'the key was taken away', ['none of the 1 keys', TRUSTED])
    trust('second', 'owner')
    expect_match(tap, 'target', 'the key is back')
    stop('target')


def sign(path, name, out):
    done = attest('reference-sign', '--key', key(name), '--output', scratch(out), '--force', path, check=False)
    return done, scratch(out)


def test_documents(tap: Tap):
    """A document that was made and signed elsewhere: offline, from the domain XML."""
    trust('owner')
    path = xml_of('carried', vcpus='<vcpu>2</vcpu>')
    document = scratch('carried.json')
    attest('reference', '--cpu', 'EPYC-Milan,EPYC-Genoa', '--vcpus', '1-4', '--minimum-tcb',
           'bootloader=3,tee=0,snp=8,microcode=115', '--product', 'Milan', '--output', document, path)
    done = attest('define', '--reference', document, path, check=False)
    tap.equal(done.returncode, REJECTED, 'an unsigned document is refused', done.stdout)
    tap.contains(done.stderr, ['not signed', 'reference-sign', TRUSTED], 'and what to do is said')
    signed = sign(document, 'stranger', 'stranger.json')[1]
    done = attest('define', '--reference', signed, path, check=False)
    tap.equal(done.returncode, REJECTED, 'a signature of a stranger too', done.stdout)
    signed = sign(document, 'owner', 'signed.json')[1]
    tap.check(verify_by_openssl(json.loads(read(signed)), 'owner', 'ed25519'), 'openssl verifies reference-sign')
    done = attest('reference-verify', signed, check=False)
    tap.equal(done.returncode, 0, 'reference-verify takes it by the trusted keys', done.stderr)
    tap.contains(done.stdout, ['Signed by', f'{TRUSTED}/owner.pem', 'carried', 'EPYC-Genoa'], 'and shows what it holds')
    # The fleet of the document is the owner's; the domain is one of it.
    done = attest('define', '--reference', signed, '--product', 'Milan', path, check=False)
    tap.equal(done.returncode, USAGE, 'rules come with the document')
    done = attest('define', '--reference', signed, '--sign-key', key('owner'), path, check=False)
    tap.equal(done.returncode, USAGE, 'and so does the signature')
    for what, shape in (('another CPU', dict(vcpus='<vcpu>2</vcpu>', cpu='EPYC-Turin')),
                        ('too many vCPUs', dict(vcpus='<vcpu>5</vcpu>')), ('another policy', dict(policy=0x20000))):
        other = xml_of('carried', **shape)
        done = attest('define', '--reference', signed, other, check=False)
        tap.equal(done.returncode, REJECTED, f'{what}: not foreseen', done.stdout)
        tap.contains(done.stderr, ['foresees', signed, 'nothing was changed'], f'{what}: said')
        tap.check(virsh('domstate', '--domain', 'carried', check=False).returncode != 0, f'{what}: not defined')
    path = xml_of('carried', vcpus='<vcpu>2</vcpu>')
    done = attest('define', '--reference', signed, path, check=False)
    tap.equal(done.returncode, 0, 'one of the fleet is defined', done.stderr)
    pinned = pin('carried')
    tap.equal((pinned.get('product'), pinned.get('minimumTcb', {}).get('snp')), ('Milan', 8), "with the owner's rules")
    tap.equal(pinned['signed']['payload'], json.loads(read(signed))['payload'], 'and the signed document as it was')
    expect_match(tap, 'carried', 'by a signed document')
    tap.contains(json.dumps(last('carried')), ['signed by the key '], 'the record names the key')
    stop('carried')
    # Another vCPU count of the fleet that was signed, and one that was not.
    redefine('carried', ('<vcpu[^>]*>2</vcpu>', '<vcpu>3</vcpu>'))
    expect_match(tap, 'carried', 'another vCPU count of the fleet')
    stop('carried')
    redefine('carried', ('<vcpu[^>]*>3</vcpu>', '<vcpu>6</vcpu>'))
    expect_veto(tap, 'carried', 'a vCPU count that was not signed', ['vCPU', '--sign-key'])
    done = attest('define', '--accept', 'carried', check=False)
    tap.equal(done.returncode, REJECTED, 'a count that was not signed is not accepted either', done.stdout)
    # The pin of a domain that was measured, with a document for another one in it.
    redefine('carried', ('<vcpu[^>]*>6</vcpu>', '<vcpu>2</vcpu>'))
    attest('define', '--accept', 'carried')
    foreign = scratch('foreign.json')
    attest('reference', '--output', foreign, xml_of('foreign', vcpus='<vcpu>2</vcpu>', cpu='EPYC-Genoa'))
    envelope = json.loads(read(sign(foreign, 'owner', 'foreign.signed.json')[1]))
    edit_pin('carried', lambda document: (document.update(signed=envelope),
                                          [document.pop(name, None) for name in ('product', 'minimumTcb')]))
    expect_veto(tap, 'carried', 'a document of another domain', ['has signed:', 'CPU'])


def test_keys_unusable(tap: Tap):
    """What is wrong with the keys stops pinned starts, and nothing else."""
    trust('owner')
    attest('define', '--sign-key', key('owner'), xml_of('closed'))
    os.chmod(TRUSTED, 0o777)
    expect_veto(tap, 'closed', 'a folder that everybody writes to', ['others than root', TRUSTED])
    done = attest('define', '--sign-key', key('owner'), 'closed', check=False)
    tap.equal(done.returncode, NOT_CONFIGURED, 'define does not trust it either', done.stderr)
    os.chmod(TRUSTED, 0o755)
    write(f'{TRUSTED}/damaged.pem', '-----BEGIN PUBLIC KEY-----\n')
    expect_veto(tap, 'closed', 'a damaged key', ['damaged.pem'])
    os.unlink(f'{TRUSTED}/damaged.pem')
    write_config('[reference]\ntrusted-keys = keys\n')
    expect_veto(tap, 'closed', 'a relative folder', ['trusted-keys', 'absolute'])
    write_config(None)
    begin = time.monotonic()
    expect_match(tap, 'closed', 'put right')
    tap.comment(f'a signed start takes {time.monotonic() - begin:.2f} s')
    stop('closed')


def test_no_keys_any_more(tap: Tap):
    trust()
    expect_match(tap, 'closed', 'without trusted keys the signature is not asked for')
    stop('closed')
    redefine('closed', ('<cmdline>quiet</cmdline>', '<cmdline>debug</cmdline>'))
    done = attest('define', '--accept', 'closed', check=False)
    tap.equal(done.returncode, REJECTED, 'but it is not lost in silence', done.stdout)
    tap.contains(done.stderr, ['--sign-key', pin_path('closed')], 'and the way out is named')
    tap.equal(state('closed'), 'shut off', 'off')
    tap.check(domain_uuid('closed') in done.stderr, 'by its UUID', done.stderr)
    tap.equal(start('closed', check=False).returncode, 1, 'and the start is refused as ever')


run([test_install, test_unsigned, test_new, test_secrets, test_tampered, test_documents, test_keys_unusable,
     test_no_keys_any_more])
