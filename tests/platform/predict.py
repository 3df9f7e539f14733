#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The expected launch digest, computed a third time.

Neither the code under test nor the platform model is used: this is written
from the specifications alone (SEV-SNP firmware ABI, SEV API, the AMD64
manual's save area, QEMU's hash table), as plainly as possible and without any
thought of speed. When two of the three opinions differ, this one tells which.
"""
import argparse
import hashlib
import struct
import sys
import uuid

PAGE = 4096
FOOTER = '96b582de-1fb2-45f7-baea-a366c55a082d'
RESET_BLOCK = '00f771de-1a7e-4fcb-890e-68c77e2fb44e'
HASH_TABLE_AREA = '7255371f-3a3b-4b04-927b-1da6efa8d454'
METADATA = 'dc886566-984a-4798-a75e-5585a7bf67cc'
NORMAL, VMSA, ZERO, UNMEASURED, SECRETS, CPUID = 1, 2, 3, 4, 5, 6

# family, model, stepping of QEMU's processor models
CPU_MODELS = {
    'EPYC': (23, 1, 2), 'EPYC-Rome': (23, 49, 0), 'EPYC-Milan': (25, 1, 1), 'EPYC-Genoa': (25, 17, 0),
    'EPYC-Turin': (26, 0, 0), 'Dhyana': (24, 0, 1),
}


class Unpredictable(Exception):
    """The inputs have no launch digest."""


def guid(text):
    return uuid.UUID(text).bytes_le


def signature(cpu):
    """CPUID function 1, EAX, of a processor model's name, or the number given."""
    if isinstance(cpu, int):
        return cpu
    name = cpu
    if name not in CPU_MODELS:
        base, _, suffix = name.rpartition('-')
        if base in CPU_MODELS and (suffix == 'IBPB' or suffix[:1] == 'v' and suffix[1:].isdigit()):
            name = base
        else:
            return int(cpu, 0)
    family, model, stepping = CPU_MODELS[name]
    return (family - 15) << 20 | 15 << 8 | (model >> 4) << 16 | (model & 15) << 4 | stepping


class Firmware:
    """A firmware image and what its table of GUIDs, read backwards from its end, says."""

    def __init__(self, image):
        self.image = image
        self.entries = {}
        end = len(image) - 32
        if end < 18 or image[end - 16:end] != guid(FOOTER):
            return
        total, = struct.unpack_from('<H', image, end - 18)
        table, start = image[end - total:end - 18], 0
        while len(table) >= 18:
            length, = struct.unpack_from('<H', table, len(table) - 18)
            if not 18 <= length <= len(table):
                raise Unpredictable('corrupt firmware table')
            start = len(table) - length
            self.entries.setdefault(bytes(table[-16:]), table[start:-18])
            table = table[:start]

    def entry(self, name, size):
        data = self.entries.get(guid(name))
        return data[:size] if data is not None and len(data) >= size else None

    @property
    def reset_address(self):
        data = self.entry(RESET_BLOCK, 4)
        if data is None:
            raise Unpredictable('no SEV-ES reset block')
        return struct.unpack('<I', data)[0]

    @property
    def hash_table_address(self):
        data = self.entry(HASH_TABLE_AREA, 8)
        base = struct.unpack('<II', data)[0] if data else 0
        if base == 0:
            raise Unpredictable('the firmware has no place for the hash table')
        return base

    @property
    def sections(self):
        data = self.entry(METADATA, 4)
        if data is None:
            raise Unpredictable('no SEV metadata')
        at = len(self.image) - struct.unpack('<I', data)[0]
        magic, length, version, number = struct.unpack_from('<4sIII', self.image, at)
        if magic != b'ASEV' or version != 1:
            raise Unpredictable('bad SEV metadata')
        return [struct.unpack_from('<III', self.image, at + 16 + 12 * i) for i in range(number)]


def hash_table(kernel, initrd, cmdline):
    """QEMU's table of the three hashes, padded to 16 bytes. @cmdline is bytes, absent parts are None."""
    def entry(name, data):
        return guid(name) + struct.pack('<H', 50) + hashlib.sha256(data).digest()
    entries = (entry('97d02dd8-bd20-4c94-aa78-e7714d36ab2a', (cmdline or b'') + b'\0')
               + entry('44baf731-3a2f-4bd7-9af1-41e29169781d', initrd or b'')
               + entry('4de79437-abd2-427f-b835-d5b172d2045b', kernel))
    return guid('9438d606-4f22-4cc9-b479-a793d411fd21') + struct.pack('<H', 168) + entries + bytes(8)


def save_area(eip, rdx, features, fpu, vmm='QEMU', boot=True):
    """The page that holds a vCPU's registers at its first instruction."""
    page = bytearray(PAGE)

    def segment(at, selector, attributes, limit=0xffff, base=0):
        struct.pack_into('<HHIQ', page, at, selector, attributes, limit, base)

    def word(at, value):
        struct.pack_into('<Q', page, at, value)

    ec2 = vmm == 'ec2'
    for at in 0x00, 0x30, 0x40, 0x50:
        segment(at, 0, 0x93)
    segment(0x10, 0xf000, 0x9a if ec2 and boot else 0x9b, base=eip & 0xffff0000)
    segment(0x20, 0, 0x92 if ec2 else 0x93)
    segment(0x60, 0, 0)
    segment(0x70, 0, 0x82)
    segment(0x80, 0, 0)
    segment(0x90, 0, 0x83 if ec2 else 0x8b)
    word(0x0d0, 0x1000)
    word(0x148, 0x40)
    word(0x158, 0x10)
    word(0x160, 0x400)
    word(0x168, 0xffff0ff0)
    word(0x170, 2)
    word(0x178, eip & 0xffff)
    word(0x268, 0x00070106 if vmm == 'gce' else 0x0007040600070406)
    word(0x310, {'QEMU': rdx, 'ec2': 0x600, 'ec2-rdx0': 0, 'gce': 0x600}[vmm])
    word(0x3b0, features)
    word(0x3e8, 1)
    if fpu and vmm == 'QEMU':
        struct.pack_into('<I', page, 0x408, 0x1f80)
        struct.pack_into('<H', page, 0x410, 0x37f)
    return bytes(page)


def save_areas(firmware, vcpus, rdx, features, fpu, vmm='QEMU'):
    yield save_area(0xfffffff0, rdx, features, fpu, vmm)
    if vcpus > 1:
        other = save_area(firmware.reset_address, rdx, features, fpu, vmm, boot=False)
        for _ in range(vcpus - 1):
            yield other


class SnpDigest:
    def __init__(self):
        self.value = bytes(48)

    def update(self, kind, address, contents=None):
        measured = hashlib.sha384(contents).digest() if kind in (NORMAL, VMSA) else bytes(48)
        self.value = hashlib.sha384(self.value + measured
                                    + struct.pack('<HBBBBBBQ', 112, kind, 0, 0, 0, 0, 0, address)).digest()

    def pages(self, kind, address, size):
        for at in range(address, address + size, PAGE):
            self.update(kind, at)


def firmware_digest(image):
    digest = SnpDigest()
    base = (1 << 32) - len(image)
    for at in range(0, len(image), PAGE):
        digest.update(NORMAL, base + at, image[at:at + PAGE])
    return digest


def predict_snp(image, vcpus, cpu, kernel=None, initrd=None, cmdline=None, kernel_hashes=True, features=1,
                fpu=True, vmm='QEMU'):
    firmware = Firmware(image)
    table = hash_table(kernel, initrd, cmdline) if kernel is not None and kernel_hashes else None
    digest = firmware_digest(image)
    sections = firmware.sections
    if table is not None and 0x10 not in [kind for _, _, kind in sections]:
        raise Unpredictable('the firmware has no section for kernel hashes')
    if vmm == 'ec2':
        sections = [s for s in sections if s[2] != 3] + [s for s in sections if s[2] == 3]
    for address, size, kind in sections:
        if kind == 2:
            digest.pages(SECRETS, address, size)
        elif kind == 3:
            digest.pages(CPUID, address, size)
        elif kind == 0x10 and table is not None:
            offset = firmware.hash_table_address % PAGE
            digest.update(NORMAL, address, (bytes(offset) + table).ljust(PAGE, b'\0'))
        elif kind == 1 and vmm == 'gce':
            digest.pages(UNMEASURED, address, size)
        else:
            digest.pages(ZERO, address, size)
    for page in save_areas(firmware, vcpus, signature(cpu) if vmm == 'QEMU' else 0, features, fpu, vmm):
        digest.update(VMSA, 0xfffffffff000, page)
    return digest.value.hex()


def predict_sev(image, es=False, vcpus=1, cpu=0, kernel=None, initrd=None, cmdline=None, kernel_hashes=True,
                features=0, fpu=False):
    firmware = Firmware(image)
    digest = hashlib.sha256(image)
    if kernel is not None and kernel_hashes:
        firmware.hash_table_address
        digest.update(hash_table(kernel, initrd, cmdline))
    if es:
        for page in save_areas(firmware, vcpus, signature(cpu), features, fpu):
            digest.update(page)
    return digest.hexdigest()


def predict(platform, image, vcpus=1, cpu='EPYC', kernel=None, initrd=None, cmdline=None, kernel_hashes=True,
            legacy_vm_type=None):
    """What launch.launch() with the same arguments should report; the parts are bytes or None."""
    parts = dict(kernel=kernel, initrd=initrd, cmdline=cmdline, kernel_hashes=kernel_hashes)
    if platform == 'sev-snp':
        return predict_snp(image, vcpus, cpu, **parts)
    return predict_sev(image, es=platform == 'sev-es', vcpus=vcpus, cpu=cpu, fpu=legacy_vm_type == 'off', **parts)


def main():
    parser = argparse.ArgumentParser(description='Print the expected launch digest.')
    parser.add_argument('--platform', choices=('sev', 'sev-es', 'sev-snp'), default='sev-snp')
    parser.add_argument('--firmware', required=True)
    parser.add_argument('--kernel')
    parser.add_argument('--initrd')
    parser.add_argument('--append')
    parser.add_argument('--vcpus', type=int, default=1)
    parser.add_argument('--cpu', default='EPYC', help='QEMU processor model, or CPUID signature')
    parser.add_argument('--legacy-vm-type', choices=('on', 'off', 'auto'))
    given = parser.parse_args()

    def contents(path):
        if path is None:
            return None
        with open(path, 'rb') as file:
            return file.read()
    try:
        print(predict(given.platform, contents(given.firmware), given.vcpus, given.cpu, contents(given.kernel),
                      contents(given.initrd), given.append.encode() if given.append is not None else None,
                      legacy_vm_type=given.legacy_vm_type))
    except (Unpredictable, OSError, ValueError, struct.error) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
