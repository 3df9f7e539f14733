#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The platform model and the private libvirtd, tested themselves.

test-model.py vectors    the prediction against published known answers
test-model.py direct     launches without libvirt against the prediction
test-model.py libvirt    launches through a private libvirtd, and what it leaves behind
"""
import base64
import csv
import glob
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import idblock  # noqa: E402
import launch  # noqa: E402
import predict  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
AMDSEV = '/usr/share/ovmf/OVMF.amdsev.fd'
GENERIC = '/usr/share/ovmf/OVMF.fd'
SNP_POLICY = 0x30000


def read(path):
    with open(path, 'rb') as file:
        return file.read()


class Tap:
    def __init__(self):
        self.number = self.failed = 0

    def check(self, good, name, detail=''):
        self.number += 1
        self.failed += not good
        print(f'{"ok" if good else "not ok"} {self.number} - {name}', flush=True)
        if not good:
            asked = traceback.extract_stack()[-2]
            print('# ' + (str(detail) or f'line {asked.lineno}: {asked.line}').replace('\n', '\n# '), flush=True)

    def equal(self, got, wanted, name):
        self.check(got == wanted, name, f'got {got!r}, wanted {wanted!r}')

    def end(self):
        print(f'1..{self.number}')
        return 1 if self.failed else 0


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


def need(*paths):
    for path in paths:
        if not os.path.exists(path):
            skip(f'no {path}')


def boot_files():
    """(kernel, initrd) of the machine: real ones."""
    kernels, initrds = sorted(glob.glob('/boot/vmlinuz-*')), sorted(glob.glob('/boot/initrd.img-*'))
    if not kernels or not initrds:
        skip('no kernel and initrd in /boot')
    return kernels[0], initrds[0]


#
# vectors
#
def vector_inputs(row, folder):
    def part(text):
        if text in ('absent', '-'):
            return None
        return b'' if text.startswith('empty') else read(os.path.join(folder, text))

    def number(text):
        return 0 if text == '-' else int(text, 0)
    append = row['append']
    cpu = row.get('vcpu_type') or row['vcpu_type_or_sig']
    return dict(
        image=part(row['ovmf']), vcpus=number(row['vcpus']) or 1, cpu=0 if cpu == '-' else cpu,
        kernel=part(row['kernel']), initrd=part(row['initrd']), features=number(row['sev_features']),
        cmdline=None if append in ('absent', '-') else b'' if append == '""' else append.encode())


def test_vectors():
    folder = os.environ.get('VIRT_ATTEST_VECTORS')
    if not folder:
        skip('VIRT_ATTEST_VECTORS is not set')
    tap = Tap()
    for table in 'vectors.tsv', 'vectors-derived.tsv':
        with open(os.path.join(folder, table), newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE))
        for row in rows:
            mode, vmm = row['mode'], row['vmm_type']
            if mode == 'snp:svsm' or vmm == 'ec2-rdx0':
                continue  # machines that QEMU does not make
            wanted = row.get('expected') or row['expected_hex']
            inputs = vector_inputs(row, os.path.join(folder, 'measurement'))
            try:
                if mode == 'snp:ovmf-hash':
                    got = predict.firmware_digest(inputs['image']).value.hex()
                elif mode == 'snp':
                    got = predict.predict_snp(**inputs, fpu=vmm != 'QEMU-legacy',
                                              vmm='QEMU' if vmm == 'QEMU-legacy' else vmm)
                else:
                    got = predict.predict_sev(**inputs, es=mode == 'seves', fpu=vmm == 'QEMU')
            except predict.Unpredictable:
                got = 'ERROR'
            tap.equal(got, 'ERROR' if wanted.startswith('ERROR') else wanted, f'{table} {row["id"]}')
    tap.check(tap.number >= 80, 'the tables hold the rows that they used to hold', tap.number)
    return tap.end()


#
# direct
#
def direct_cases(kernel, initrd):
    boot = dict(kernel=kernel, initrd=initrd, cmdline='console=ttyS0 müsli  ', kernel_hashes=True)
    yield 'SNP, firmware alone', dict(platform='sev-snp', firmware=AMDSEV)
    yield 'SNP, kernel hashes', dict(platform='sev-snp', firmware=AMDSEV, vcpus=3, cpu='EPYC-Genoa', **boot)
    yield 'SNP, kernel without hashes', dict(platform='sev-snp', firmware=AMDSEV, kernel=kernel)
    yield 'SNP, generic firmware', dict(platform='sev-snp', firmware=GENERIC, vcpus=2, cpu='EPYC-Rome', **boot)
    yield 'SNP, kernel alone', dict(platform='sev-snp', firmware=AMDSEV, kernel=kernel, kernel_hashes=True)
    yield 'SNP, fewer vCPUs than the maximum', dict(platform='sev-snp', firmware=AMDSEV, vcpus=2, max_vcpus=9)
    yield 'SNP, 255 vCPUs', dict(platform='sev-snp', firmware=AMDSEV, vcpus=255, cpu='EPYC-v4')
    for shape in 'rom', 'flash':
        yield f'SEV, {shape}', dict(platform='sev', firmware=AMDSEV, pflash=shape == 'flash', **boot)
        yield f'SEV-ES, {shape}', dict(platform='sev-es', firmware=AMDSEV, vcpus=4, pflash=shape == 'flash', **boot)
    yield 'SEV-ES, newer machine', dict(platform='sev-es', firmware=AMDSEV, vcpus=2, legacy_vm_type='off', **boot)


def predicted(case):
    known = {name: case[name] for name in ('vcpus', 'kernel_hashes', 'legacy_vm_type') if name in case}
    for name in 'kernel', 'initrd':
        known[name] = read(case[name]) if case.get(name) else None
    known['cmdline'] = case['cmdline'].encode() if 'cmdline' in case else None
    known.setdefault('kernel_hashes', False)
    return predict.predict(case['platform'], read(case['firmware']), cpu=case.get('cpu', 'EPYC-Milan'), **known)


def test_document(tap, document):
    tap.check('not a real processor' in document['model'], 'the document says that it is no attestation')
    tap.equal((document['platform'], document['state'], document['policy']), ('sev-snp', 'finished', '0x30000'),
              'platform, state and policy')
    tap.equal((document['vcpus'], document['rdx'], document['guest_features']), (2, '0xa00f11', '0x1'),
              'vCPUs, signature and features')
    digest = bytes(48)
    for step in document['steps']:
        kind = ('', 'normal', 'vmsa', 'zero', 'unmeasured', 'secrets', 'cpuid').index(step['type'])
        digest = hashlib.sha384(digest + bytes.fromhex(step['contents'])
                                + struct.pack('<HBBIQ', 112, kind, 0, 0, int(step['gpa'], 0))).digest()
        if digest.hex() != step['digest']:
            break
    tap.equal(digest.hex(), document['digest'], 'the steps make a chain that ends in the digest')
    tap.equal(sum(document['pages'].values()), len(document['steps']), 'every page is one step')
    tap.equal(document['pages']['normal'], os.path.getsize(AMDSEV) // 4096, 'all of the firmware is measured')


def id_block_cases(block, page, keys):
    """(name, block, page, author key asked for, error of the firmware or None)"""
    def flipped(data, at):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    signed_by_other = idblock.make_page(block, keys['other'], keys['author'])
    without_author = idblock.make_page(block, keys['id'])
    other_digest = flipped(block, 0)
    other_policy = block[:0x58] + struct.pack('<Q', 0x20000)
    other_author = page[:0x880] + signed_by_other[0x240:0x644] + page[0xc84:]
    return [
        ('a good ID block with its author', block, page, True, None),
        ('a good ID block whose author is not asked for', block, page, False, None),
        ('a good ID block without an author', block, without_author, False, None),
        ('an ID block of another key', block, signed_by_other, True, None),
        ('another digest, well signed', other_digest, idblock.make_page(other_digest, keys['id'], keys['author']), True,
         11),
        ('another digest and no signature', other_digest, bytes(4096), True, 11),
        ('another policy, well signed', other_policy, idblock.make_page(other_policy, keys['id'], keys['author']), True,
         7),
        ('no signature at all', block, bytes(4096), False, 10),
        ('a flipped byte in R of the block', block, flipped(page, 0x40), True, 10),
        ('a flipped byte in S of the block', block, flipped(page, 0x40 + 72), True, 10),
        ('a flipped byte in the ID key', block, flipped(page, 0x244), True, 10),
        ('a flipped byte in the signature of the ID key', block, flipped(page, 0x680), True, 10),
        ('the same where the author is not asked for', block, flipped(page, 0x680), False, None),
        ('a flipped byte in the author key', block, flipped(page, 0x884), True, 10),
        ('a flipped reserved byte', block, flipped(page, 8), True, 10),
        ('another algorithm', block, b'\x02' + page[1:], True, 10),
        ('another curve', block, page[:0x240] + b'\x01' + page[0x241:], True, 10),
        ('no author where one is asked for', block, without_author, True, 10),
        ('the key of another author', block, other_author, True, 10),
        ('another security version than was signed', flipped(block, 0x54), page, True, 10),
    ]


def test_id_block(tap):
    """Digest, policy and signatures of an ID block in the firmware's order, with its error numbers."""
    digest = bytes.fromhex(predict.predict('sev-snp', read(AMDSEV), 1, 'EPYC-Milan', kernel_hashes=False))
    with tempfile.TemporaryDirectory(prefix='platform-model-') as folder:
        keys = {name: idblock.make_key(os.path.join(folder, name)) for name in ('id', 'author', 'other')}
        block = idblock.make_block(digest, SNP_POLICY, bytes(range(16)), bytes(range(16, 32)), 7)
        page = idblock.make_page(block, keys['id'], keys['author'])
        cases = id_block_cases(block, page, keys)
        digests = {name: idblock.digest(idblock.public_key(path)) for name, path in keys.items()}

    def attempt(id_block, id_auth, author):
        try:
            return launch.launch('sev-snp', AMDSEV, properties={
                'id-block': base64.b64encode(id_block).decode(), 'id-auth': base64.b64encode(id_auth).decode(),
                'author-key-enabled': 'on' if author else 'off',
                'host-data': base64.b64encode(bytes(range(32))).decode()})
        except launch.LaunchFailed as error:
            return str(error)
    for number, (name, id_block, id_auth, author, error) in enumerate(cases):
        got = attempt(id_block, id_auth, author)
        if error:
            tap.check(isinstance(got, str) and f'fw_error={error} ' in got, f'ID block: {name}: error {error}', got)
            continue
        tap.check(isinstance(got, dict) and got['id_block'] is True, f'ID block: {name}: accepted', got)
        if number == 0:
            wanted = {'author_key': True, 'id_key_digest': digests['id'], 'author_key_digest': digests['author'],
                      'family_id': bytes(range(16)).hex(), 'image_id': bytes(range(16, 32)).hex(), 'guest_svn': 7,
                      'host_data': bytes(range(32)).hex()}
            tap.equal({key: got[key] for key in wanted}, wanted, 'the document says what a report would')
        elif not author:
            tap.equal((got['author_key'], got['author_key_digest']), (False, '0' * 96), 'and shows no author')


def test_refusals(tap, kernel):
    def refused(**case):
        try:
            launch.launch(**case)
        except launch.LaunchFailed:
            return True
        return False
    tap.check(refused(platform='sev-snp', firmware=AMDSEV, policy=0x10000), 'an SNP policy without its fixed bit')
    tap.check(refused(platform='sev-snp', firmware=kernel), 'firmware without SEV metadata')
    tap.check(refused(platform='sev-es', firmware=AMDSEV, policy=0x1, legacy_vm_type='on', properties={
        'reduced-phys-bits': '0'}), 'an impossible memory encryption setup')


def test_ordinary_guest(tap):
    """Sixteen bytes of firmware that tell a debug device to end QEMU: an ordinary guest does run."""
    with tempfile.NamedTemporaryFile(suffix='.rom') as rom:
        rom.write(bytes(0xfff0) + bytes.fromhex('b010e6f4f4').ljust(16, b'\xf4'))
        rom.flush()
        done = subprocess.run(
            [launch.QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35,accel=kvm',
             '-bios', rom.name, '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
            env=dict(os.environ, LD_PRELOAD=os.path.abspath(launch.default_library())), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120)
    tap.equal(done.returncode, 0x10 << 1 | 1, 'a guest that is not confidential runs under the model')
    tap.check('model' not in done.stderr, 'and the model is silent about it', done.stderr)


def test_direct():
    need('/dev/kvm', AMDSEV, GENERIC)
    kernel, initrd = boot_files()
    tap = Tap()
    for name, case in direct_cases(kernel, initrd):
        try:
            tap.equal(launch.launch(**case)['digest'], predicted(case), name)
        except launch.LaunchFailed as error:
            tap.check(False, name, error)
    test_document(tap, launch.launch('sev-snp', AMDSEV, vcpus=2, trace=True))
    test_id_block(tap)
    test_refusals(tap, kernel)
    test_ordinary_guest(tap)
    return tap.end()


#
# libvirt: outside
#
PRIVATE = os.path.join(HERE, 'private-libvirtd')


def machine_state():
    """What a private libvirtd must leave alone: (everything there is for long, what belongs to libvirt and to us).

    Other programs of the machine, and tests beside this one, make and remove files and mounts meanwhile: theirs are young,
    and elsewhere."""
    everything, ours = set(), {}
    lately = time.time() - 3600
    for top in '/etc', '/var/lib', '/var/cache', '/var/log', '/run':
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = os.path.join(folder, name)
                try:
                    found = os.lstat(path)
                except OSError:
                    continue
                if max(found.st_mtime, found.st_ctime) < lately:
                    everything.add(path)
                if 'libvirt' in path or 'virt-attest' in path:
                    ours[path] = (found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns)
    with open('/proc/self/mounts', encoding='utf-8') as file:
        ours['mounts'] = [line for line in file if re.search(r'libvirt|^\S+ /(etc|dev|run|var/(lib|cache|log))[ /]', line)]
    ours['/dev/sev'] = os.path.exists('/dev/sev')
    groups = [path for path in glob.glob('/sys/fs/cgroup/**/', recursive=True) if re.search('machine|qemu', path)]
    ours['control groups'] = sorted(groups)
    return everything, ours


def processes_with(mark):
    found = []
    for path in glob.glob('/proc/[0-9]*/environ'):
        try:
            if mark.encode() in read(path) and path.split('/')[2] != str(os.getpid()):
                found.append(path.split('/')[2])
        except OSError:
            continue
    return found


def gone(mark, seconds=120):
    end = time.monotonic() + seconds
    while processes_with(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def private(*arguments, mark='', **options):
    environment = dict(os.environ, PLATFORM_TEST_MARK=mark)
    return subprocess.Popen([PRIVATE, '--model', *arguments], env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_launches(tap, mark):
    process = private(os.path.abspath(__file__), 'inside', mark=mark)
    out, err = process.communicate(timeout=300)
    results = json.loads(out) if process.returncode == 0 else []
    tap.check(process.returncode == 0 and len(results) > 10, 'domains start under a private libvirtd', out + err)
    for name, got, wanted in results:
        tap.equal(got, wanted, name)


def test_side_by_side(tap, mark):
    """Two daemons at once, neither sees the other's domain; the command's exit code comes back."""
    script = ('printf "<domain type=\'kvm\'><name>d$0</name><memory>65536</memory><os><type machine=\'q35\'>hvm</type>'
              '</os></domain>" >"$PRIVATE_LIBVIRT_STATE/d.xml"; virsh -q define "$PRIVATE_LIBVIRT_STATE/d.xml" '
              '>/dev/null && sleep 1 && virsh -q list --all --name; exit $((20 + $0))')
    both = [private('bash', '-c', script, str(number), mark=mark) for number in (1, 2)]
    for number, process in enumerate(both, 1):
        out, err = process.communicate(timeout=120)
        tap.equal((out.split(), process.returncode), ([f'd{number}'], 20 + number), f'side by side, {number}')
        tap.equal(err, '', f'nothing is said on stderr, {number}')


def test_kill(tap, mark):
    for name, number in ('SIGKILL', signal.SIGKILL), ('SIGTERM to the group', signal.SIGTERM):
        process = private('bash', '-c', 'echo ready; exec sleep 600', mark=mark, start_new_session=True)
        process.stdout.readline()
        if number == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, number)
        process.communicate(timeout=300)
        tap.check(gone(mark), f'no process is left after {name}', processes_with(mark))


def test_keep(tap, mark):
    with tempfile.TemporaryDirectory(prefix='private libvirt & co ') as folder:
        kept = os.path.join(folder, 'kept')
        process = private('--keep', kept, 'bash', '-c', 'echo hello >"$PRIVATE_LIBVIRT_STATE/mine"', mark=mark)
        err = process.communicate(timeout=120)[1]
        tap.equal((process.returncode, err), (0, ''), 'state can be kept in a folder with blanks in its name')
        tap.check(os.path.exists(f'{kept}/mine') and os.path.exists(f'{kept}/tree/-var-log-libvirt/libvirtd.log'),
                  'what the command and the daemon wrote is kept', os.listdir(kept))
        process = private('--keep', kept, 'true', mark=mark)
        process.communicate(timeout=120)
        tap.equal(process.returncode, 2, 'a folder that is not empty is refused')


def test_guard(tap):
    """The part that mounts refuses to work in the machine's own namespaces."""
    before = read('/proc/self/mounts')
    for outside in '', os.readlink('/proc/self/ns/mnt'), 'mnt:[1]':
        done = subprocess.run(['bash', PRIVATE, '--inside', outside, '', '', '', 'true'], capture_output=True)
        tap.equal(done.returncode, 2, f'outside namespaces it refuses to mount ({outside or "nothing"})')
    tap.equal(read('/proc/self/mounts'), before, 'and nothing was mounted')
    text = read(PRIVATE).decode()
    tap.check(not re.search(r'\brm\s+-\w*[rR]', text), 'it never removes a tree')


def test_libvirt():
    need('/dev/kvm', AMDSEV)
    boot_files()
    check = subprocess.run([PRIVATE, '--check'], capture_output=True, text=True)
    if check.returncode == 77:
        skip(check.stderr.strip().removeprefix('error: '))
    tap = Tap()
    mark = f'platform-test-{os.getpid()}'
    test_guard(tap)
    everything, ours = machine_state()
    test_launches(tap, mark)
    test_side_by_side(tap, mark)
    test_keep(tap, mark)
    test_kill(tap, mark)
    tap.check(gone(mark), 'no process is left', processes_with(mark))
    everything_after, ours_after = machine_state()
    tap.equal(sorted(everything - everything_after)[:20], [], 'nothing of the machine is gone')
    tap.equal({key: value for key, value in ours_after.items() if ours.get(key) != value}, {},
              'nothing of the machine has changed')
    return tap.end()


#
# libvirt: inside
#
def virsh(*arguments):
    done = subprocess.run(['virsh', '-q', *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f'virsh {arguments}: {done.stderr}')
    return done.stdout


def stop(name):
    """A guest without firmware of its own may have ended by itself meanwhile."""
    try:
        virsh('destroy', name)
    except RuntimeError:
        if virsh('domstate', name).strip() != 'shut off':
            raise


def domain_xml(name, security, vcpus, kernel, initrd, cmdline, emulator=False):
    return f'''<domain type='kvm'>
  <name>{escape(name)}</name><memory unit='MiB'>256</memory>{vcpus}
  <os><type arch='x86_64' machine='q35'>hvm</type><loader type='rom' readonly='yes'>{AMDSEV}</loader>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{escape(cmdline)}</cmdline></os>
  <cpu mode='custom' check='none'><model fallback='forbid'>EPYC-Milan</model></cpu>
  <devices>{f"<emulator>{os.environ['EMULATOR']}</emulator>" if emulator else ''}<memballoon model='none'/></devices>
  <launchSecurity {security}</launchSecurity></domain>'''


def start(name, **shape):
    path = os.path.join(os.environ['PRIVATE_LIBVIRT_STATE'], 'domain.xml')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(domain_xml(name, **shape))
    virsh('define', path)
    virsh('start', name)
    uuid = virsh('domuuid', name).strip()
    with open(os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{uuid}.json'), encoding='utf-8') as file:
        return json.load(file)


SNP = "type='sev-snp' kernelHashes='yes'><policy>0x30000</policy>"
HOTPLUG = '''<vcpu current='3'>4</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>
  <vcpu id='1' enabled='no' hotpluggable='yes'/><vcpu id='2' enabled='yes' hotpluggable='yes'/>
  <vcpu id='3' enabled='yes' hotpluggable='yes'/></vcpus>'''
SHAPES = (
    ('plain', 'sev-snp', SNP, '<vcpu>2</vcpu>', 2), ('below', 'sev-snp', SNP, "<vcpu current='3'>7</vcpu>", 3),
    ('hotplug', 'sev-snp', SNP, HOTPLUG, 3), ('name,with "signs" ü', 'sev-snp', SNP, '<vcpu>1</vcpu>', 1),
    ('sev', 'sev', "type='sev' kernelHashes='yes'><policy>0x1</policy>", '<vcpu>2</vcpu>', 2),
    ('sev-es', 'sev-es', "type='sev' kernelHashes='yes'><policy>0x5</policy>", '<vcpu>2</vcpu>', 2),
)


def inside():
    """Print a JSON list of [what, got, wanted]."""
    results = []
    capabilities = virsh('domcapabilities')
    results.append(['sev is supported', "<sev supported='yes'>" in capabilities, True])
    results.append(['sev-snp is offered', '<value>sev-snp</value>' in capabilities, True])
    kernel, initrd = boot_files()
    cmdline = 'console=ttyS0 a&b  <c>'
    for number, (name, platform, security, vcpus, count) in enumerate(SHAPES):
        document = start(name, security=security, vcpus=vcpus, kernel=kernel, initrd=initrd, cmdline=cmdline,
                         emulator=number % 2 == 1)
        results.append([f'{name}: name', document['name'], name])
        results.append([f'{name}: platform', document['platform'], platform])
        results.append([f'{name}: vCPUs', document['vcpus'], count])
        results.append([f'{name}: digest', document['digest'],
                        predict.predict(platform, read(AMDSEV), count, 'EPYC-Milan', read(kernel), read(initrd),
                                        cmdline.encode())])
    names = sorted(shape[0] for shape in SHAPES)
    for action in 'restart', 'reload', 'kill', 'start':
        subprocess.run(['private-libvirtctl', action], check=True, timeout=300)
        if action != 'kill':
            results.append([f'guests survive {action}', sorted(virsh('list', '--name').strip().split('\n')), names])
    stop('plain')
    virsh('start', 'plain')
    results.append(['a domain starts again', virsh('domstate', 'plain').strip(), 'running'])
    results.append(['a hook is run when there is one', hook_runs(), 'plain prepare'])
    print(json.dumps(results))
    return 0


def hook_runs():
    """Install a hook as an administrator would, and see it run."""
    folder, said = '/etc/libvirt/hooks/qemu.d', os.path.join(os.environ['PRIVATE_LIBVIRT_STATE'], 'said')
    os.makedirs(folder)
    with open(f'{folder}/10-test', 'w', encoding='utf-8') as file:
        file.write(f'#!/bin/sh\ncat >/dev/null\necho "$1 $2" >>{said}\n')
    os.chmod(f'{folder}/10-test', 0o755)
    subprocess.run(['private-libvirtctl', 'restart'], check=True, timeout=300)
    stop('plain')
    virsh('start', 'plain')
    return next((line for line in read(said).decode().split('\n') if line.endswith('prepare')), None)


if __name__ == '__main__':
    MODES = {'vectors': test_vectors, 'direct': test_direct, 'libvirt': test_libvirt, 'inside': inside}
    if len(sys.argv) != 2 or sys.argv[1] not in MODES:
        sys.exit(__doc__)
    sys.exit(MODES[sys.argv[1]]())
