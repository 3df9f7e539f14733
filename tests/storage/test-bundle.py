#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bundles and SnpGuard's archive, without libvirt, network or /dev/kvm: made, checked, changed in every part,
interrupted; archives that GNU tar writes."""
import base64
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import bundles
import rig
from bundles import flipped, members, sealed, write
from rig import Skip, must, refused, tool

AMDSEV = '/usr/share/ovmf/OVMF.amdsev.fd'
CMDLINE = 'console=ttyS0 quiet  "a b" <&> müsli'
MEMBERS = ['manifest.json', 'domain.xml', 'reference.json', 'id-block.bin', 'id-auth.bin', 'firmware', 'kernel',
           'initrd']


@contextlib.contextmanager
def guest():
    """A folder with guest.xml (ID block in it), its files, the keys, and a configuration that is nobody else's."""
    if not os.path.exists(AMDSEV):
        raise Skip('no AmdSev firmware')
    with rig.folder() as path:
        chance = random.Random(7)
        pathlib.Path('vmlinuz').write_bytes(chance.randbytes(150000))
        pathlib.Path('initrd.img').write_bytes(chance.randbytes(90000))
        os.makedirs('trusted')
        os.makedirs('tmp')
        pathlib.Path('va.conf').write_text(f'[paths]\nstate-directory = {path}/state\n'
                                           f'[reference]\ntrusted-keys = {path}/trusted\n', encoding='utf-8')
        for name, kind in (('sign', 'ed25519'), ('foreign', 'ed25519'), ('id', 'p384'), ('author', 'p384'),
                           ('evil', 'p384')):
            bundles.make_keys(path, name, kind)
        os.environ.update({'VIRT_ATTEST_CONFIG': f'{path}/va.conf', 'TMPDIR': f'{path}/tmp',
                           'LIBVIRT_DEFAULT_URI': 'qemu+unix:///system?socket=/nonexistent/libvirt-sock'})
        pathlib.Path('guest.xml').write_text(define(path, 'id'), encoding='utf-8')
        yield path


def define(path, key, *options):
    """Domain XML of the guest with an ID block by @key."""
    return must(rig.TOOL, 'define', '--name', 'guest', '--level', '3', '--firmware', AMDSEV, '--kernel',
                f'{path}/vmlinuz', '--initrd', f'{path}/initrd.img', '--cmdline', CMDLINE, '--cpu-model', 'EPYC-Milan',
                '--vcpus', '2', '--id-key', f'{key}.pem', '--author-key', 'author.pem', '--print-xml', *options)


def bundle(*options, source='./guest.xml', output='guest.tar'):
    done = tool('bundle', source, '--output', output, '--force', *options)
    assert done.returncode == 0, done
    return members(output)


def verify(path, *options):
    """(exit status, {(check, result)}, text)"""
    done = tool('bundle-verify', '--format', 'json', *options, path)
    assert 'Sanitizer' not in done.stderr, done.stderr
    if not done.stdout:
        return done.returncode, set(), done.stderr
    document = json.loads(done.stdout)
    assert (document['result'] == 'good') == (done.returncode == 0), done.stdout
    return done.returncode, {(row['check'], row['result']) for row in document['checks']}, done.stdout


def left_behind():
    return sorted(os.listdir('tmp'))


def test_contents():
    with guest() as path:
        found = bundle('--sign-key', 'sign.pem')
        assert list(found) == MEMBERS, list(found)
        assert found['firmware'] == pathlib.Path(AMDSEV).read_bytes()
        assert found['kernel'] == pathlib.Path('vmlinuz').read_bytes()
        assert found['initrd'] == pathlib.Path('initrd.img').read_bytes()
        assert (len(found['id-block.bin']), len(found['id-auth.bin'])) == (96, 4096)
        xml = found['domain.xml'].decode()
        for text in ('>firmware</loader>', '<kernel>kernel</kernel>', '<initrd>initrd</initrd>',
                     base64.b64encode(found['id-block.bin']).decode()):
            assert text in xml, (text, xml)
        assert str(path) not in xml, xml
        manifest = json.loads(found['manifest.json'])
        assert manifest['files'] == json.loads(sealed(found)['manifest.json'])['files'], manifest
        envelope = json.loads(found['reference.json'])
        reference = json.loads(base64.b64decode(envelope['payload']))
        assert reference['measurements'][0]['digest'] == found['id-block.bin'][:48].hex()
        schemas = pathlib.Path(os.environ['VIRT_ATTEST_SOURCE'])
        pathlib.Path('manifest.json').write_bytes(found['manifest.json'])
        pathlib.Path('reference.json').write_text(json.dumps(reference), encoding='utf-8')
        for schema, document in (('storage/bundle', 'manifest'), ('policy/reference', 'reference')):
            done = rig.run('python3', schemas / 'tests/unit/json-validate.py', schemas / f'{schema}.schema.json',
                           f'{document}.json')
            assert done.returncode in (0, 77), done
        assert not left_behind(), left_behind()


def test_same_bytes():
    with guest():
        bundle('--sign-key', 'sign.pem')
        first = pathlib.Path('guest.tar').read_bytes()
        os.utime('vmlinuz', (1, 1))
        os.chmod('initrd.img', 0o600)
        bundle('--sign-key', 'sign.pem')
        assert pathlib.Path('guest.tar').read_bytes() == first
        # From the bundle itself, signed reference and all.
        bundle(source='guest.tar', output='again.tar')
        assert pathlib.Path('again.tar').read_bytes() == first
        refused(tool('bundle', './guest.xml', '--output', 'guest.tar'), 3, 'guest.tar', '--force')
        refused(tool('bundle', './guest.xml'), 2, '--output')


def test_secrets_stay():
    with guest():
        xml = pathlib.Path('guest.xml').read_text(encoding='utf-8').replace(
            '<devices>', "<devices><graphics type='vnc' passwd='hunter2'/>")
        pathlib.Path('vnc.xml').write_text(xml, encoding='utf-8')
        found = bundle('--sign-key', 'sign.pem', source='./vnc.xml')
        lines = pathlib.Path('sign.pem').read_text(encoding='utf-8').splitlines()
        secret = next(line for line in lines if '-' not in line)
        whole = pathlib.Path('guest.tar').read_bytes()
        assert b'hunter2' not in whole and secret.encode() not in whole and b'PRIVATE' not in whole
        assert b'graphics' in found['domain.xml']


def test_verify():
    with guest():
        bundle('--sign-key', 'sign.pem')
        everything = {'file', 'signature', 'measurement', 'reference', 'level', 'id-block', 'host-data'}
        code, rows, text = verify('guest.tar', '--key', 'sign.pub')
        assert code == 0 and rows == {(name, 'pass') for name in everything}, text
        code, rows, text = verify('guest.tar')
        assert code == 0 and ('signature', 'note') in rows, text
        code, rows, text = verify('guest.tar', '--key', 'foreign.pub')
        assert code == 1 and ('signature', 'fail') in rows, text
        code, rows, text = verify('guest.tar', '--key', 'foreign.pub', '--key', 'sign.pub')
        assert code == 0, text
        shutil.copy('sign.pub', 'trusted/owner.pem')
        code, rows, text = verify('guest.tar')
        assert code == 0 and ('signature', 'pass') in rows, text
        bundle()
        code, rows, text = verify('guest.tar')
        assert code == 1 and ('signature', 'fail') in rows, text
        shutil.copy('foreign.pub', 'trusted/owner.pem')
        bundle('--sign-key', 'sign.pem')
        code, rows, text = verify('guest.tar')
        assert code == 1 and ('signature', 'fail') in rows, text
        refused(tool('bundle-verify', '--key', 'nothing.pub', 'guest.tar'), 3, 'nothing.pub')
        refused(tool('bundle-verify', 'nothing.tar'), 3, 'nothing.tar')
        refused(tool('bundle-verify', 'guest.xml'), 3, 'no tar archive')
        assert not left_behind(), left_behind()


def test_flipped():
    """One bit of each member: as it is, and with a manifest that says so."""
    with guest():
        good = bundle('--sign-key', 'sign.pem')
        chance = random.Random(3)
        for name in MEMBERS:
            for at in (0, len(good[name]) - 1, chance.randrange(len(good[name]))):
                if name == 'manifest.json' and good[name][at:at + 1].isspace():
                    continue
                write('bad.tar', {**good, name: flipped(good[name], at)})
                code, rows, text = verify('bad.tar', '--key', 'sign.pub')
                assert code in ((1, 3) if name == 'manifest.json' else (1,)), (name, at, code, text)
        for name, check in (('firmware', 'measurement'), ('kernel', 'measurement'), ('initrd', 'measurement'),
                            ('id-block.bin', 'file'), ('id-auth.bin', 'file')):
            write('bad.tar', sealed({**good, name: flipped(good[name])}))
            code, rows, text = verify('bad.tar', '--key', 'sign.pub')
            assert code == 1 and (check, 'fail') in rows, (name, code, text)


def changed_reference(good, change):
    """reference.json with changed facts and the signatures of the former ones."""
    envelope = json.loads(good['reference.json'])
    document = json.loads(base64.b64decode(envelope['payload']))
    change(document)
    text = json.dumps(document, indent=2, separators=(',', ' : '), ensure_ascii=False) + '\n'
    envelope['payload'] = base64.b64encode(text.encode()).decode()
    return text.encode(), json.dumps(envelope).encode()


def test_forged():
    """Changes by somebody who puts the manifest right."""
    with guest():
        good = bundle('--sign-key', 'sign.pem')
        xml = good['domain.xml'].decode()
        other = define(os.getcwd(), 'evil')
        pathlib.Path('evil.xml').write_text(other, encoding='utf-8')
        evil = bundle(source='./evil.xml', output='evil.tar')
        foreign = bundle('--sign-key', 'foreign.pem', output='foreign.tar')
        unsigned = bundle(output='unsigned.tar')
        lying, still_signed = changed_reference(good, lambda document: document.update(policy='0x20000'))
        cases = (
            ('command line', {'domain.xml': xml.replace('quiet', 'shell').encode()}, {'measurement', 'reference'}),
            ('policy', {'domain.xml': re.sub('<policy>.*</policy>', '<policy>0xb0000</policy>', xml).encode()},
             {'reference', 'id-block', 'level'}),
            ('kernel hashes', {'domain.xml': xml.replace(' kernelHashes="yes"', '').encode()},
             {'measurement', 'reference', 'level'}),
            ('vCPUs', {'domain.xml': re.sub('(<vcpu[^>]*>)2<', r'\g<1>3<', xml).encode()}, {'measurement'}),
            ('CPU', {'domain.xml': xml.replace('EPYC-Milan</model>', 'EPYC-Genoa</model>').encode()}, {'measurement'}),
            ('host data', {'domain.xml': xml.replace('<hostData>', '<hostData>AAAA').encode()}, {'file'}),
            ('unsigned reference', {'reference.json': unsigned['reference.json']}, {'signature'}),
            ('foreign reference', {'reference.json': foreign['reference.json']}, {'signature'}),
            ('changed reference', {'reference.json': still_signed}, {'signature', 'reference'}),
            ('reference of somebody else', {'reference.json': lying}, {'signature', 'reference'}),
            ('ID block by another key', {name: evil[name] for name in ('domain.xml', 'id-auth.bin')}, {'reference'}),
            ('ID page by another key in the file', {'id-auth.bin': evil['id-auth.bin']}, {'file'}),
            ('outside kernel', {'domain.xml': xml.replace('<kernel>kernel<', '<kernel>/etc/shadow<').encode()},
             {'file'}),
            ('outside firmware', {'domain.xml': xml.replace('>firmware</loader>', '>/etc/shadow</loader>').encode()},
             {'file'}),
            ('relative kernel', {'domain.xml': xml.replace('<kernel>kernel<', '<kernel>../kernel<').encode()},
             {'file'}),
            ('entity', {'domain.xml': b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/shadow">]>' + good['domain.xml']},
             {'file'}),
            ('no JSON', {'reference.json': b'no JSON'}, {'file'}),
        )
        for what, changes, failing in cases:
            assert all(changes[name] != good[name] for name in changes), what
            write('bad.tar', sealed({**good, **changes}))
            code, rows, text = verify('bad.tar', '--key', 'sign.pub')
            assert code == 1, (what, code, text)
            assert failing <= {check for check, result in rows if result == 'fail'}, (what, failing, text)
        for name in MEMBERS[1:]:
            rest = {key: data for key, data in good.items() if key != name}
            for contents in (rest, sealed(rest)):
                write('bad.tar', contents)
                code, rows, text = verify('bad.tar', '--key', 'sign.pub')
                assert code == 1 and ('file', 'fail') in rows, (name, text)
        write('bad.tar', {name: data for name, data in good.items() if name != 'manifest.json'})
        refused(tool('bundle-verify', 'bad.tar'), 3, 'manifest.json', 'missing')
        # The good one still is.
        write('good.tar', sealed(good))
        assert verify('good.tar', '--key', 'sign.pub')[0] == 0
        assert not left_behind(), left_behind()


def test_host_access():
    """What the domain XML reaches for on its host, with a signature that is good."""
    with guest() as path:
        good = bundle('--sign-key', 'sign.pem')
        xml = good['domain.xml'].decode()
        uuid = '4628b277-cd81-4b55-b30c-ba36606ea5b6'

        def device(text):
            return xml.replace('<devices>', '<devices>' + text)

        def element(text):
            return xml.replace('<devices>', text + '<devices>')

        qemu = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>"
        cases = (
            ('name', xml.replace('<name>guest<', '<name>other<'), "'other'"),
            ('script', device("<interface type='bridge'><source bridge='br0'/><script path='x'/></interface>"), 'script'),
            ('serial file', device("<serial type='file'><source path='etc/x'/></serial>"), 'source'),
            ('serial pipe', device("<serial type='pipe'><source path='/x'/></serial>"), 'source'),
            ('serial dev', device("<serial type='dev'><source path='/dev/ttyS0'/></serial>"), 'source'),
            ('socket', device("<channel type='unix'><source mode='connect' path='/run/x'/></channel>"), 'source'),
            ('log', device("<serial type='pty'><log file='/etc/x'/></serial>"), 'log'),
            ('random', device("<rng model='virtio'><backend model='random'>/etc/x</backend></rng>"), 'backend'),
            ('filesystem', device("<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>"),
             'filesystem'),
            ('hostdev', device("<hostdev mode='subsystem' type='pci'/>"), 'hostdev'),
            ('tpm', device("<tpm model='tpm-crb'><backend type='passthrough'/></tpm>"), 'backend'),
            ('fw_cfg', element("<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/x'/></sysinfo>"), 'entry'),
            ('ACPI', xml.replace('</os>', "<acpi><table type='slic'>/x</table></acpi></os>"), 'table'),
            ('nvram', xml.replace('</os>', "<nvram template='/x'/></os>"), 'nvram'),
            ('no label', element("<seclabel type='none'/>"), 'seclabel'),
            ('static label', element("<seclabel type='static' model='dac'><label>0:0</label></seclabel>"), 'seclabel'),
            ('disk label', device("<disk type='file'><source file='/x'><seclabel model='dac'><label>0:0</label>"
                                  "</seclabel></source><target dev='vda'/></disk>"), 'seclabel'),
            ('namespace', xml.replace('</domain>', qemu + '</domain>'), 'commandline'),
        )
        for what, text, word in cases:
            assert text != xml, what
            write('bad.tar', sealed({**good, 'domain.xml': text.encode()}))
            code, rows, said = verify('bad.tar', '--key', 'sign.pub')
            failed = [row['text'] for row in json.loads(said)['checks'] if row['result'] == 'fail']
            assert code == 1 and any(word in row for row in failed), (what, said)
            assert tool('bundle-define', '--print-xml', '--key', 'sign.pub', 'bad.tar').returncode == 1, what
        # What nobody needs to fear; each disk is named.
        harmless = device("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
                          "<serial type='pty'><source path='/dev/pts/3'/></serial><interface type='network'>"
                          "<source network='default'/></interface><disk type='file'><source file='/images/a.img'/>"
                          "<backingStore type='file'><source file='/images/base'/></backingStore>"
                          "<target dev='vda'/></disk>")
        write('fine.tar', sealed({**good, 'domain.xml': harmless.encode()}))
        code, rows, said = verify('fine.tar', '--key', 'sign.pub')
        assert code == 0 and ('disk', 'note') in rows and '/images/a.img' in said and '/images/base' in said, said
        # The writer refuses what the reader would.
        pathlib.Path('log.xml').write_text(pathlib.Path('guest.xml').read_text(encoding='utf-8').replace(
            '<devices>', "<devices><serial type='pty'><log file='/x'/></serial>"), encoding='utf-8')
        refused(tool('bundle', './log.xml', '--output', 'x.tar'), 1, '<log>')
        # The UUID that the reference has.
        with_uuid = pathlib.Path('guest.xml').read_text(encoding='utf-8').replace(
            '</name>', f'</name><uuid>{uuid}</uuid>')
        pathlib.Path('uuid.xml').write_text(with_uuid, encoding='utf-8')
        good = bundle('--sign-key', 'sign.pem', source='./uuid.xml')
        if uuid.encode() in base64.b64decode(json.loads(good['reference.json'])['payload']):
            changed = good['domain.xml'].replace(uuid.encode(), uuid.replace('4628', '4629').encode())
            write('bad.tar', sealed({**good, 'domain.xml': changed}))
            code, rows, said = verify('bad.tar', '--key', 'sign.pub')
            assert code == 1 and ('reference', 'fail') in rows, said
        assert not os.path.exists('x.tar') and not left_behind() and path


def test_refused_to_make():
    """No bundle that bundle-verify would not take, and none in the place of its own parts."""
    with guest():
        for options in (('--cpu', 'EPYC-Genoa'), ('--vcpus', '3')):
            refused(tool('bundle', './guest.xml', *options, '--output', 'x.tar'), 1, 'vCPU counts')
        bundle('--cpu', 'EPYC-Genoa,EPYC-Milan')
        kernel = pathlib.Path('vmlinuz').read_bytes()
        os.link('vmlinuz', 'other')
        for name in ('vmlinuz', 'other', 'initrd.img', 'guest.xml'):
            refused(tool('bundle', './guest.xml', '--output', name, '--force'), 2, '--output', name)
        refused(tool('bundle', 'guest.tar', '--output', 'guest.tar', '--force'), 2, '--output')
        assert pathlib.Path('vmlinuz').read_bytes() == kernel and tarfile.is_tarfile('guest.tar')
        text = pathlib.Path('guest.xml').read_text(encoding='utf-8')
        pathlib.Path('plain.xml').write_text(re.sub('<id(Block|Auth)>.*?</id(Block|Auth)>', '', text, flags=re.S),
                                             encoding='utf-8')
        with open('initrd.img', 'wb') as file:
            file.truncate((512 << 20) + 1)
        refused(tool('bundle', './plain.xml', '--output', 'x.tar'), 1, 'initrd')
        with open('initrd.img', 'wb') as file:
            file.truncate(400 << 20)
        pathlib.Path('long.xml').write_text(define(os.getcwd(), 'id'), encoding='utf-8')
        refused(tool('export', '--to', 'snpguard', './long.xml', '--output', 'x.tar.gz'), 1, 'shrink')
        assert not glob.glob('x.tar*') and not left_behind()


def test_define_options():
    with guest():
        good = bundle()
        for options, word in ((('--name', ''), 'name'), (('--name', 'a/b'), 'a/b'), (('--emulator', 'qemu'), 'absolute')):
            refused(tool('bundle-define', '--print-xml', *options, 'guest.tar'), 2, word)
        done = tool('bundle-define', '--print-xml', 'guest.tar')
        assert done.returncode == 0 and 'warning: the reference is not signed' in done.stderr, done
        debug = re.sub('<(metadata|idBlock|idAuth|hostData)>.*?</(metadata|idBlock|idAuth|hostData)>', '',
                       pathlib.Path('guest.xml').read_text(encoding='utf-8'), flags=re.S)
        debug = re.sub('<policy>.*</policy>', '<policy>0xb0000</policy>', debug).replace(' authorKey="yes"', '')
        pathlib.Path('debug.xml').write_text(debug, encoding='utf-8')
        bundle(source='./debug.xml', output='debug.tar')
        refused(tool('bundle-define', '--print-xml', 'debug.tar'), 1, '--allow-debug')
        assert tool('bundle-define', '--print-xml', '--allow-debug', 'debug.tar').returncode == 0
        # No word of the temporary folder.
        for name in ('firmware', 'kernel'):
            write('bad.tar', sealed({**good, name: b'x' * 100}))
            done = tool('bundle-verify', 'bad.tar')
            assert done.returncode and os.environ['TMPDIR'] not in done.stdout + done.stderr, done


def test_reference_given():
    with guest():
        must(rig.TOOL, 'reference', './guest.xml', '--vcpus', '1,2,4', '--cpu', 'EPYC-Milan,EPYC-Genoa',
             '--minimum-tcb', 'bootloader=3,tee=0,snp=8,microcode=115', '--output', 'ref.json')
        must(rig.TOOL, 'reference-sign', '--key', 'sign.pem', 'ref.json', '--output', 'signed.json')
        found = bundle('--reference', 'ref.json')
        assert found['reference.json'] == pathlib.Path('ref.json').read_bytes()
        code, rows, text = verify('guest.tar')
        assert code == 0 and text.count('"measurement"') == 6, text
        found = bundle('--reference', 'signed.json')
        assert json.loads(found['reference.json']) == json.loads(pathlib.Path('signed.json').read_bytes())
        assert verify('guest.tar', '--key', 'sign.pub')[0] == 0
        found = bundle('--reference', 'signed.json', '--sign-key', 'foreign.pem')
        assert len(json.loads(found['reference.json'])['signatures']) == 2
        assert verify('guest.tar', '--key', 'sign.pub')[0] == verify('guest.tar', '--key', 'foreign.pub')[0] == 0
        # A new one for a fleet, measured from the bundle alone, is the one that was measured from the files.
        bundle(output='small.tar')
        fleet = must(rig.TOOL, 'reference', 'small.tar', '--vcpus', '1,2,4', '--cpu', 'EPYC-Milan,EPYC-Genoa')
        wanted = json.loads(pathlib.Path('ref.json').read_text(encoding='utf-8'))
        got = json.loads(fleet)
        assert got['measurements'] == wanted['measurements'] and got['source'] == 'bundle', fleet
        assert str(os.environ['TMPDIR']) not in fleet
        # One that is not of these files.
        with open('vmlinuz', 'ab') as file:
            file.write(b'x')
        refused(tool('bundle', './guest.xml', '--reference', 'ref.json', '--output', 'x.tar'), 1, 'ref.json')
        assert not os.path.exists('x.tar') and not left_behind()


def test_interrupted():
    with guest():
        with open('vmlinuz', 'wb') as file:
            file.truncate(120 << 20)
        bundle()
        for command in (['bundle', './guest.xml', '--output', 'x.tar'], ['bundle-verify', 'guest.tar'],
                        ['reference', 'guest.tar'], ['level', './guest.tar'],
                        ['bundle-define', '--print-xml', 'guest.tar']):
            caught = 0
            begin = time.monotonic()
            tool(*command)
            usual = time.monotonic() - begin
            if os.path.exists('x.tar'):
                os.unlink('x.tar')
            # At several moments of its work; once at least before its end, however fast it may be by then.
            moments = [(signal.SIGTERM, 0.3), (signal.SIGINT, 0.5), (signal.SIGHUP, 0.8), (signal.SIGTERM, 0.1), (signal.SIGTERM, 0)]
            for number, part in moments:
                if part <= 0.1 and caught:
                    break
                with subprocess.Popen([rig.TOOL, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
                    time.sleep(usual * part)
                    process.send_signal(number)
                    caught += process.wait() == -number
                assert not left_behind(), (command, left_behind())
                assert not glob.glob('.x.tar*'), command
                # Whole, where it was faster, or not there.
                if os.path.exists('x.tar'):
                    assert rig.same_file('x.tar', 'guest.tar'), command
                    os.unlink('x.tar')
            assert caught, command
        # What a killed one leaves goes with the next.
        for _ in range(20):
            with subprocess.Popen([rig.TOOL, 'bundle-verify', 'guest.tar'], stdout=subprocess.DEVNULL) as process:
                while not left_behind() and process.poll() is None:
                    time.sleep(0.01)
                process.kill()
            # It may have been about to end by itself.
            if left_behind():
                break
        assert left_behind()
        tool('bundle-verify', 'nothing.tar')
        tool('bundle-verify', 'guest.xml')
        assert not left_behind(), left_behind()


def test_changed_while_packed():
    """A file that is not any more what was measured makes no bundle."""
    with guest():
        with open('initrd.img', 'wb') as file:
            file.truncate(400 << 20)
        with subprocess.Popen([rig.TOOL, 'bundle', './guest.xml', '--output', 'x.tar'], stderr=subprocess.PIPE,
                              text=True, stdout=subprocess.DEVNULL) as process:
            with open('initrd.img', 'r+b') as file:
                count = 0
                while process.poll() is None:
                    count += 1
                    file.seek(399 << 20)
                    file.write(count.to_bytes(8, 'little'))
                    file.flush()
                    time.sleep(0.005)
            said = process.stderr.read()
        assert process.returncode == 3 and 'changed' in said, (process.returncode, said)
        assert not os.path.exists('x.tar') and not left_behind()


def test_offline():
    """Everything from the bundle alone, where there is no libvirt, no network, no /dev/kvm."""
    with guest() as path:
        if not rig.ROOT or rig.run('unshare', '--net', '--mount', 'true').returncode:
            raise Skip('no right to make namespaces')
        bundle('--sign-key', 'sign.pem')
        for name in ('vmlinuz', 'initrd.img', 'guest.xml'):
            os.unlink(name)
        digest = members('guest.tar')['id-block.bin'][:48].hex()
        setup = ('mount -t tmpfs none /run && mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && '
                 'mknod -m 666 /dev/urandom c 1 9 && ! ls /dev/kvm /run/libvirt 2>/dev/null && exec "$@"')

        def alone(*words, code=0):
            done = rig.run('unshare', '--net', '--mount', 'sh', '-c', setup, 'sh', rig.TOOL, *words)
            assert done.returncode == code, (words, done)
            assert 'Sanitizer' not in done.stderr, done.stderr
            return done.stdout

        assert digest in alone('bundle-verify', '--key', 'sign.pub', 'guest.tar')
        assert digest in alone('reference', 'guest.tar')
        assert digest in alone('measure', 'guest.tar')
        assert 'Level:           3' in alone('level', 'guest.tar')
        assert alone('reference-diff', 'guest.tar', 'guest.tar') is not None
        alone('id-block', '--domain', 'guest.tar', '--id-key', 'id.pem', '--author-key', 'author.pem', '--output-dir',
              'new')
        assert pathlib.Path('new/id-block.bin').read_bytes() == members('guest.tar')['id-block.bin']
        alone('id-block-verify', '--domain', 'guest.tar')
        alone('id-block-verify', '--domain', 'guest.tar', '--id-block', 'new/id-block.bin', '--id-auth',
              'new/id-auth.bin')
        assert digest in alone('export', '--to', 'rvps', 'guest.tar')
        assert digest in alone('export', '--to', 'shell', 'guest.tar')
        alone('export', '--to', 'snpguard', 'guest.tar', '--output', 'launch-artifacts.tar.gz')
        printed = alone('bundle-define', '--print-xml', 'guest.tar')
        for name, suffix in (('firmware', 'firmware'), ('kernel', 'kernel'), ('initrd', 'initrd')):
            wanted = hashlib.sha256(members('guest.tar')[name]).hexdigest()
            assert f'{path}/state/boot/{wanted}.{suffix}' in printed, printed
        assert not left_behind(), left_behind()


# ---- SnpGuard ----

SNPGUARD = ['launch-config.json', 'firmware-code.fd', 'vmlinuz', 'initrd.img', 'kernel-params.txt', 'id-block.bin',
            'id-auth.bin']


def test_snpguard_round_trip():
    with guest() as path:
        must(rig.TOOL, 'export', '--to', 'snpguard', './guest.xml', '--output', 'one.tar.gz')
        one = members('one.tar.gz')
        assert list(one) == SNPGUARD, list(one)
        assert one['launch-config.json'] == (b'{\n  "vcpu-model": "EPYC-Milan",\n  "vcpu-count": 2,\n'
                                             b'  "guest-policy": "0x30000"\n}')
        assert one['kernel-params.txt'] == CMDLINE.encode()
        assert one['vmlinuz'] == pathlib.Path('vmlinuz').read_bytes()
        # As SnpGuard's server packs them: by GNU tar, with a '/' in front of every name.
        os.makedirs('staging')
        for name, data in one.items():
            pathlib.Path('staging', name).write_bytes(data)
        must('tar', '-czf', 'launch-artifacts.tar.gz', '--transform=s|^|/|', '-P', '-C', 'staging', *SNPGUARD)
        with tarfile.open('launch-artifacts.tar.gz') as archive:
            assert all(name.startswith('/') for name in archive.getnames()), archive.getnames()
        for archive in ('launch-artifacts.tar.gz', 'one.tar.gz'):
            done = tool('import', '--from', 'snpguard', archive, '--output-dir', 'imported', '--force', '--name',
                        'guest')
            assert done.returncode == 0, done
            for name in SNPGUARD:
                assert rig.same_file(f'staging/{name}', f'imported/{name}'), name
        assert sorted(os.listdir('imported')) == sorted([*SNPGUARD, 'domain.xml', 'reference.json'])
        reference = json.loads(pathlib.Path('imported/reference.json').read_text(encoding='utf-8'))
        assert reference['measurements'][0]['digest'] == one['id-block.bin'][:48].hex()
        assert reference['source'] == 'snpguard', reference
        must('virt-xml-validate', 'imported/domain.xml', 'domain') if shutil.which('virt-xml-validate') else None
        must(rig.TOOL, 'export', '--to', 'snpguard', './imported/domain.xml', '--output', 'two.tar.gz')
        assert members('two.tar.gz') == one and rig.same_file('one.tar.gz', 'two.tar.gz')
        must(rig.TOOL, 'id-block-verify', '--domain', './imported/domain.xml')
        # Through a bundle as well.
        bundle(source='./imported/domain.xml')
        must(rig.TOOL, 'export', '--to', 'snpguard', 'guest.tar', '--output', 'three.tar.gz')
        assert members('three.tar.gz') == one
        refused(tool('import', '--from', 'snpguard', 'one.tar.gz', '--output-dir', 'imported'), 3, '--force')
        # Only looked at.
        done = tool('import', '--from', 'snpguard', 'one.tar.gz')
        assert done.returncode == 0 and one['id-block.bin'][:48].hex() in done.stdout, done
        # All files or none, whichever of them was there; the folder with its parents.
        for name in [*SNPGUARD, 'domain.xml', 'reference.json']:
            os.makedirs('half', exist_ok=True)
            pathlib.Path('half', name).write_text('mine', encoding='utf-8')
            refused(tool('import', '--from', 'snpguard', 'one.tar.gz', '--output-dir', 'half'), 3, '--force')
            assert os.listdir('half') == [name] and pathlib.Path('half', name).read_text(encoding='utf-8') == 'mine'
            os.unlink(f'half/{name}')
        assert tool('import', '--from', 'snpguard', 'one.tar.gz', '--output-dir', 'half/a/b').returncode == 0
        assert rig.same_file('half/a/b/vmlinuz', 'imported/vmlinuz')
        assert not left_behind(), left_behind()
        assert path


def pack(path, contents):
    with tarfile.open(path, 'w:gz') as archive:
        for name, data in contents.items():
            with open('member', 'wb') as file:
                file.write(data)
            archive.add('member', name)
    return path


def test_snpguard_mismatch():
    with guest():
        must(rig.TOOL, 'export', '--to', 'snpguard', './guest.xml', '--output', 'good.tar.gz')
        good = members('good.tar.gz')

        def imported(changes, *words, code=1):
            done = tool('import', '--from', 'snpguard', pack('bad.tar.gz', {**good, **changes}), '--output-dir', 'out')
            assert done.returncode == code and not done.stdout, done
            for word in words:
                assert word in done.stderr, (word, done.stderr)
            assert not os.path.exists('out') and not left_behind()

        digest = good['id-block.bin'][:48].hex()
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in good.items()}
        imported({'vmlinuz': flipped(good['vmlinuz'])}, digest, 'kernel', hashes['initrd.img'],
                 hashes['firmware-code.fd'])
        imported({'initrd.img': flipped(good['initrd.img'])}, digest, 'initrd', hashes['vmlinuz'])
        imported({'kernel-params.txt': b'other'}, digest)
        imported({'launch-config.json': good['launch-config.json'].replace(b': 2', b': 5')}, digest,
                 'It is for 2 vCPUs of type EPYC-Milan')
        imported({'launch-config.json': good['launch-config.json'].replace(b'Milan', b'Genoa')},
                 'It is for 2 vCPUs of type EPYC-Milan')
        imported({'launch-config.json': good['launch-config.json'].replace(b'0x30000', b'0x20000')}, 'policy')
        imported({'id-block.bin': flipped(good['id-block.bin'], 60)})
        imported({'id-auth.bin': flipped(good['id-auth.bin'], 0x50)}, code=1)
        imported({'id-block.bin': good['id-block.bin'][:95]}, '95', code=3)
        imported({'launch-config.json': b'{}'}, code=3)
        imported({'kernel-params.txt': b'a\nb'}, 'newline', code=3)
        imported({'evil.sh': b'x'}, 'evil.sh')
        imported({'../evil.sh': b'x'}, '../evil.sh')
        done = tool('import', '--from', 'snpguard', pack('bad.tar.gz', {name: good[name] for name in SNPGUARD[:-1]}),
                    '--output-dir', 'out')
        refused(done, 3, 'id-auth.bin', 'missing')
        for word, archive in (('no ID block', ['./plain.xml']), ('no files', ['ref.json'])):
            pathlib.Path('plain.xml').write_text(must(
                rig.TOOL, 'define', '--name', 'guest', '--level', '3', '--firmware', AMDSEV, '--kernel',
                f'{os.getcwd()}/vmlinuz', '--initrd', f'{os.getcwd()}/initrd.img', '--cpu-model', 'EPYC-Milan',
                '--print-xml'), encoding='utf-8')
            must(rig.TOOL, 'reference', './guest.xml', '--output', 'ref.json', '--force')
            done = tool('export', '--to', 'snpguard', *archive, '--output', 'x.tar.gz')
            refused(done, 4 if word == 'no ID block' else 2, word)
            assert not os.path.exists('x.tar.gz')


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    rig.main(rig.named(globals()))
