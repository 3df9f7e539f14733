# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks for the boot tests: what a host can do to a good one, and disks that nobody asked for.

A changed disk is a qcow2 overlay with exactly one change on the good one, which itself is never written to. Where
things
lie on a disk is read from GPT, ext4 (debugfs) and the rules of the dm-verity format, not from the program under test.
"""
import json
import math
import os
import re
import struct
import zlib

import rig

SECTOR = 512
BLOCK = 4096
DIGESTS_PER_BLOCK = BLOCK // 32  # sha256


def overlay(path, base, base_format):
    rig.call('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', base_format, '-b', os.path.abspath(base), path)
    return path


def patch(path, offset, data, image_format='qcow2'):
    """Write @data at guest offset @offset of an image."""
    chunk = rig.write(f'{path}.patch', data)
    rig.call('qemu-io', '-f', image_format, '-c', f'write -q -s {chunk} {offset} {len(data)}', path)
    os.unlink(chunk)
    return path


def partition(raw, number):
    """(offset, length) in bytes of a GPT partition of a raw image."""
    with open(raw, 'rb') as file:
        file.seek(SECTOR)
        header = file.read(92)
        if header[:8] != b'EFI PART':
            raise rig.Failed(f'{raw} has no GPT')
        entries, _, size = struct.unpack_from('<QII', header, 72)
        file.seek(entries * SECTOR + (number - 1) * size)
        first, last = struct.unpack_from('<QQ', file.read(size), 32)
    return first * SECTOR, (last - first + 1) * SECTOR


class Root:
    """The root file system on a raw disk image."""

    def __init__(self, raw, number):
        self.raw = raw
        self.offset, self.length = partition(raw, number)

    def debugfs(self, request):
        return rig.call('debugfs', '-R', request, f'{self.raw}?offset={self.offset}').stdout

    def block_of(self, path, index=0):
        """Number of the block of the file system, and of the dm-verity device, that holds block @index of a file."""
        found = re.search(r'^(\d+)$', self.debugfs(f'bmap {path} {index}'), re.M)
        if not found or found.group(1) == '0':
            raise rig.Failed(f'{path} has no block {index} in {self.raw}')
        return int(found.group(1))

    def kernel(self):
        """The newest /boot/vmlinuz-* by the order of names."""
        names = re.findall(r'vmlinuz-[\w.+~-]+', self.debugfs('ls -l /boot'))
        if not names:
            raise rig.Failed(f'no kernel in {self.raw}')
        return max(names)

    def extract(self, path, target):
        self.debugfs(f'dump {path} {target}')
        return target


def tree_block(data_blocks, data_block, level):
    """Number of the block in a hash file (superblock: block 0) that vouches for a data block on a level; 0 is the
    lowest
    level, -1 the highest. The highest level comes first in the file
    (Documentation/admin-guide/device-mapper/verity)."""
    sizes = []
    count = data_blocks
    while count > 1:
        count = math.ceil(count / DIGESTS_PER_BLOCK)
        sizes.append(count)
    level %= len(sizes)
    start = 1 + sum(sizes[level + 1:])
    return start + data_block // DIGESTS_PER_BLOCK ** (level + 1)


def flipped(folder, name, good, offset, bit=0, good_format='raw'):
    """An overlay on a good raw or qcow2 image that differs in one bit."""
    path = overlay(os.path.join(folder, f'{name}.qcow2'), good, good_format)
    piece = os.path.join(folder, f'{name}.piece')
    sector = offset // SECTOR
    rig.call('qemu-img', 'dd', '-U', '-f', good_format, '-O', 'raw', f'bs={SECTOR}', f'skip={sector}',
             f'count={sector + 1}',
             f'if={good}', f'of={piece}')
    data = bytearray(rig.read(piece)[:SECTOR])
    os.unlink(piece)
    data[offset % SECTOR] ^= 1 << bit
    return patch(path, sector * SECTOR, bytes(data))


def allocated(path):
    """Bytes that an image holds itself."""
    return sum(piece['length'] for piece in json.loads(rig.call('qemu-img', 'map', '-U', '--output=json', path).stdout)
               if piece['data'] and piece['depth'] == 0)


#
# Disks that nobody asked for
#
def evil_tree(folder, name):
    """A folder with programs, units and accounts of the host's making."""
    root = os.path.join(folder, name)
    mark = '#!/bin/sh\necho evil-host-was-here >/dev/console\n'
    files = {'sbin/init': mark, 'usr/lib/systemd/systemd': mark, 'etc/rc.local': mark, 'upper/etc/rc.local': mark,
             'upper/usr/local/sbin/sshd': mark,
             'etc/passwd': 'root::0:0:root:/root:/bin/sh\n', 'upper/etc/passwd': 'root::0:0:root:/root:/bin/sh\n',
             'upper/evil-host-was-here': 'x', 'evil-host-was-here': 'x', 'root/etc/evil-host-was-here': 'x',
             'upper/etc/systemd/system/multi-user.target.wants/x.service':
             '[Service]\nExecStart=/bin/sh -c "echo evil-host-was-here >/dev/console"\n'}
    for path, text in files.items():
        target = os.path.join(root, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        rig.write(target, text)
        os.chmod(target, 0o755)
    os.makedirs(os.path.join(root, 'work'), exist_ok=True)
    return root


def ext4(path, size, tree, label, uuid=None):
    with open(path, 'wb') as file:
        file.truncate(size)
    rig.call('mkfs.ext4', '-q', '-F', '-b', str(BLOCK), '-L', label, *(('-U', uuid) if uuid else ()), '-d', tree, path)
    return path


def cidata(folder, name='cidata'):
    """A NoCloud seed that would make a user with a password and leave marks."""
    seed = os.path.join(folder, f'{name}.d')
    os.makedirs(seed, exist_ok=True)
    rig.write(os.path.join(seed, 'meta-data'), 'instance-id: evil\nlocal-hostname: evil-host-was-here\n')
    rig.write(os.path.join(seed, 'user-data'), '#cloud-config\nssh_pwauth: true\nchpasswd: {expire: false, users: '
              '[{name: root, password: evil, type: text}]}\nbootcmd:\n- echo evil-host-was-here >/dev/console\n'
              'runcmd:\n- touch /evil-host-was-here\n')
    image = os.path.join(folder, f'{name}.iso')
    rig.call('xorriso', '-as', 'mkisofs', '-quiet', '-V', 'cidata', '-J', '-r', '-o', image, seed)
    return image


def swap(path, size=16 * rig.MIB):
    with open(path, 'wb') as file:
        file.truncate(size)
    rig.call('mkswap', '-L', 'swap', path)
    return path


def physical_volume(path, size=16 * rig.MIB):
    """A disk with the label of an LVM physical volume (lvm2, lib/format_text/layout.h): no group on it."""
    identity = b'0123456789abcdefghijklmnopqrstuv'
    body = identity + struct.pack('<Q', size) + struct.pack('<QQ', rig.MIB, 0) + bytes(16) + bytes(16)
    content = struct.pack('<I', 32) + b'LVM2 001' + body
    content = content.ljust(SECTOR - 20, b'\0')
    label = b'LABELONE' + struct.pack('<QI', 1, lvm_crc(content)) + content
    with open(path, 'wb') as file:
        file.truncate(size)
        file.seek(SECTOR)
        file.write(label)
    return path


def lvm_crc(data):
    return ~zlib.crc32(data, ~0xf597a6cf & 0xffffffff) & 0xffffffff


def partitioned(folder, name, script, size=64 * rig.MIB):
    """A disk with the partition table that an sfdisk script describes."""
    path = os.path.join(folder, name)
    with open(path, 'wb') as file:
        file.truncate(size)
    with open(rig.write(f'{path}.sfdisk', script), 'rb') as stdin:
        rig.call('sfdisk', '-q', path, stdin=stdin)
    return path
