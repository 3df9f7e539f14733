# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the hook's tests share: a state folder, a confidential domain on disk, and the hook run as libvirt runs it.

The expected measurement is computed here from the specification (SEV-SNP Firmware ABI 56860, section 8.17), by code
that shares nothing with the program under test.
"""
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback
import uuid

HOOK, PIN = (os.path.abspath(path) for path in sys.argv[1:3])
UUID = '4628b277-cd81-4b55-b30c-ba36606ea5b6'
FIXTURES = pathlib.Path(__file__).parent / 'fixtures'
AMDSEV = pathlib.Path('/usr/share/ovmf/OVMF.amdsev.fd')
MILAN = 0xa00f11
ROOT = os.geteuid() == 0

SECTIONS = [(0x800000, 0x9000, 1), (0x80d000, 0x1000, 2), (0x80e000, 0x1000, 3), (0x810000, 0x1000, 0x10)]
HASH_AREA = 0x810c00
AP_EIP = 0x80b004


class Skip(Exception):
    """A test that cannot run here; the text says why."""


def guid(text):
    return uuid.UUID(text).bytes_le


def make_firmware(size=65536, fill=7):
    """A firmware file with a correct footer and no code at all."""
    file = bytearray((i * fill) & 0xff if i < 1024 else 0 for i in range(size))
    metadata = b'ASEV' + struct.pack('<III', 16 + 12 * len(SECTIONS), 1, len(SECTIONS))
    metadata += b''.join(struct.pack('<III', *section) for section in SECTIONS)
    file[size - 4096:size - 4096 + len(metadata)] = metadata
    entries = [('dc886566-984a-4798-a75e-5585a7bf67cc', struct.pack('<I', 4096)),
               ('7255371f-3a3b-4b04-927b-1da6efa8d454', struct.pack('<II', HASH_AREA, 0x400)),
               ('00f771de-1a7e-4fcb-890e-68c77e2fb44e', struct.pack('<I', AP_EIP))]
    table = b''.join(data + struct.pack('<H', len(data) + 18) + guid(name) for name, data in entries)
    table += struct.pack('<H', len(table) + 18) + guid('96b582de-1fb2-45f7-baea-a366c55a082d')
    file[size - 32 - len(table):size - 32] = table
    return bytes(file)


def hash_table(kernel, initrd, cmdline):
    def entry(name, data):
        return guid(name) + struct.pack('<H', 50) + hashlib.sha256(data).digest()
    table = guid('9438d606-4f22-4cc9-b479-a793d411fd21') + struct.pack('<H', 168)
    table += entry('97d02dd8-bd20-4c94-aa78-e7714d36ab2a', cmdline + b'\0')
    table += entry('44baf731-3a2f-4bd7-9af1-41e29169781d', initrd)
    table += entry('4de79437-abd2-427f-b835-d5b172d2045b', kernel)
    return table + bytes(8)


def vmsa(eip, signature, features):
    page = bytearray(4096)

    def segment(offset, selector, attributes, limit, base):
        struct.pack_into('<HHIQ', page, offset, selector, attributes, limit, base)
    for offset in (0x00, 0x20, 0x30, 0x40, 0x50):
        segment(offset, 0, 0x93, 0xffff, 0)
    segment(0x10, 0xf000, 0x9b, 0xffff, eip & 0xffff0000)
    segment(0x60, 0, 0, 0xffff, 0)
    segment(0x80, 0, 0, 0xffff, 0)
    segment(0x70, 0, 0x82, 0xffff, 0)
    segment(0x90, 0, 0x8b, 0xffff, 0)
    for offset, value in ((0xd0, 0x1000), (0x148, 0x40), (0x158, 0x10), (0x160, 0x400), (0x168, 0xffff0ff0), (0x170, 2),
                          (0x178, eip & 0xffff), (0x268, 0x0007040600070406), (0x310, signature), (0x3b0, features),
                          (0x3e8, 1)):
        struct.pack_into('<Q', page, offset, value)
    struct.pack_into('<I', page, 0x408, 0x1f80)
    struct.pack_into('<H', page, 0x410, 0x37f)
    return bytes(page)


def snp_digest(firmware, kernel, initrd, cmdline, vcpus, signature=MILAN, features=1, sections=None,
               hash_area=HASH_AREA,
               ap_eip=AP_EIP):
    """Launch digest of a domain with kernelHashes, hexadecimal."""
    digest = bytes(48)

    def update(kind, gpa, page=None):
        nonlocal digest
        contents = hashlib.sha384(page).digest() if page is not None else bytes(48)
        digest = hashlib.sha384(digest + contents + struct.pack('<HBBBBBBQ', 0x70, kind, 0, 0, 0, 0, 0, gpa)).digest()
    for offset in range(0, len(firmware), 4096):
        update(1, 0x100000000 - len(firmware) + offset, firmware[offset:offset + 4096])
    for gpa, size, kind in sections or SECTIONS:
        if kind == 0x10:
            page = bytearray(4096)
            page[hash_area & 0xfff:(hash_area & 0xfff) + 176] = hash_table(kernel, initrd, cmdline)
            update(1, gpa, bytes(page))
            continue
        for at in range(gpa, gpa + size, 4096):
            update({2: 5, 3: 6}.get(kind, 3), at)
    for index in range(vcpus):
        update(2, 0xfffffffff000, vmsa(0xfffffff0 if index == 0 else ap_eip, signature, features))
    return digest.hex()


class Rig:
    """One folder with everything; use it as a context manager."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='virt-attest-'))
        self.state = self.folder / 'state'
        self.config = self.folder / 'virt-attest.conf'
        self.firmware = self.folder / 'OVMF.fd'
        self.kernel = self.folder / 'vmlinuz'
        self.initrd = self.folder / 'initrd.img'
        self.cmdline = 'console=ttyS0'
        self.firmware.write_bytes(make_firmware())
        self.kernel.write_bytes(b'a kernel')
        self.initrd.write_bytes(b'an initrd')
        self.configure()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def configure(self, gate='', rest=''):
        sha = hashlib.sha256(self.firmware.read_bytes()).hexdigest()
        self.config.write_text(f'[gate]\n{gate}\n[firmware]\ntrusted = {sha}\n[paths]\nstate-directory = {self.state}\n'
                               f'{rest}\n')

    def xml(self, name='guest1', domain=UUID, vcpus='<vcpu>2</vcpu>', model='EPYC-Milan', cpu=None, launch=None,
            metadata='', kernel=None, initrd=None, cmdline=None, firmware=None, extra=''):
        if cpu is None:
            cpu = f"<cpu mode='custom' match='exact'><model fallback='forbid'>{model}</model></cpu>"
        if launch is None:
            launch = "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy></launchSecurity>"
        escape = __import__('xml.sax.saxutils', fromlist=['escape']).escape
        return (f"<domain type='kvm' id='1'><name>{escape(name)}</name><uuid>{domain}</uuid>"
                f"<metadata>{metadata}</metadata>"
                f"<memory unit='KiB'>524288</memory>{vcpus}<os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type>"
                f"<loader type='rom' readonly='yes'>{firmware or self.firmware}</loader>"
                f"<kernel>{kernel or self.kernel}</kernel><initrd>{initrd or self.initrd}</initrd>"
                f"<cmdline>{escape(self.cmdline if cmdline is None else cmdline)}</cmdline></os>{cpu}"
                f"<devices/>{launch}{extra}</domain>").encode()

    def plain_xml(self, domain=UUID):
        return (f"<domain type='kvm'><name>guest1</name><uuid>{domain}</uuid><vcpu>1</vcpu><os>"
                "<type arch='x86_64' machine='q35'>hvm</type></os></domain>").encode()

    def environment(self, **more):
        env = {'LC_ALL': 'C', 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'VIRT_ATTEST_CONFIG': str(self.config)}
        for key in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'):
            if key in os.environ:
                env[key] = os.environ[key]
        env.update(more)
        return {key: value for key, value in env.items() if value is not None}

    def run(self, operation, xml=b'', name='guest1', extra='-', sub='begin', prefix=(), env=None, **more):
        """Runs the hook as libvirt does: tiny environment, cwd /, umask 022, pipes."""
        return subprocess.run([*prefix, HOOK, name, operation, sub, extra], input=xml, capture_output=True, cwd='/',
                              umask=0o022, env=env or self.environment(), timeout=120, check=False, **more)

    def start(self, xml=None, **more):
        return self.run('start', self.xml() if xml is None else xml, **more)

    def pin(self, xml=None, mismatch='refuse'):
        """Pins what @xml measures now; returns the metadata element."""
        path = self.folder / 'pin.xml'
        path.write_bytes(self.xml() if xml is None else xml)
        done = subprocess.run([PIN, str(path), mismatch], capture_output=True, env=self.environment(), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def digest(self, vcpus=2, cmdline=None, **more):
        return snp_digest(self.firmware.read_bytes(), self.kernel.read_bytes(), self.initrd.read_bytes(),
                          (self.cmdline if cmdline is None else cmdline).encode(), vcpus, **more)

    def record(self, domain=UUID):
        """The record, its checksum verified; None when there is none."""
        path = self.state / 'records' / f'{domain}.json'
        if not path.exists():
            return None
        data = path.read_bytes()
        record = json.loads(data)
        body = data[:data.rstrip(b'\n').rfind(b'\n') + 1]
        assert hashlib.sha256(body).hexdigest() == record['sha256'], 'checksum of the record'
        assert path.stat().st_mode & 0o7777 == 0o600, oct(path.stat().st_mode)
        return record

    def launches(self, domain=UUID):
        return self.record(domain)['launches']

    def tree(self):
        """Every file below the state folder with its contents."""
        return {str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
                for path in sorted(self.state.rglob('*'))} if self.state.exists() else None


def accepted(done):
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout == b'', done.stdout


def refused(done, *says):
    """Refused with a first line that stands alone and has every one of @says in it; returns all of stderr."""
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout == b'', done.stdout
    text = done.stderr.decode()
    first = text.split('\n')[0]
    assert first.startswith('error: '), text
    for word in says:
        assert word in first, (word, text)
    return text


def main(tests):
    """Runs @tests as TAP."""
    print(f'TAP version 13\n1..{len(tests)}', flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix('test_').replace('_', '-')
        try:
            test()
            print(f'ok {number} - {name}', flush=True)
        except Skip as reason:
            print(f'ok {number} - {name} # SKIP {reason}', flush=True)
        except Exception:  # every failure is reported, whatever it is
            failed += 1
            print(f'not ok {number} - {name}', flush=True)
            for line in traceback.format_exc().splitlines():
                print(f'# {line}', flush=True)
    sys.exit(1 if failed else 0)
