# SPDX-License-Identifier: LGPL-2.1-or-later
"""Base images, pools and volumes for the tests of vol-… and build.

A base image of the tests has our layout (GPT, EFI partition, ext4 root in partition 2) and just enough in it for our
tools: a kernel that QEMU loads and whose configuration says that everything is built in. It is made with sfdisk and
mkfs.ext4, and no part of the program under test.
"""
import hashlib
import json
import os
import random
import re
import struct
import subprocess

from harness import STATE, attest, call, program, read, scratch, small_kernel, virsh, write, write_config

RELEASE = '6.1.0-test'
MIB = 1 << 20
ROOT_START = 9 * MIB
POOL = 'volumes'
OPTIONS = '''BLK_DEV_INITRD BINFMT_ELF DEVTMPFS PROC_FS SYSFS TMPFS VIRTIO_PCI VIRTIO_BLK CRYPTO_CRC32C CRYPTO_CRC32C_INTEL
CRYPTO_SHA256 CRYPTO_SHA256_SSSE3 CRYPTO_SHA512 CRYPTO_SHA512_SSSE3 EXT4_FS OVERLAY_FS BLK_DEV_DM DM_VERITY DM_CRYPT
DM_INTEGRITY CRYPTO_AES CRYPTO_ECB CRYPTO_XTS CRYPTO_HMAC CRYPTO_AUTHENC CRYPTO_AES_NI_INTEL RD_GZIP'''.split()


def kernel(release=RELEASE):
    """A kernel that says its release where boot loaders look for it."""
    data = bytearray(small_kernel(release))
    struct.pack_into('<H', data, 0x20e, 0x400)
    text = f'{release} (tests) #1\0'.encode()
    data[0x600:0x600 + len(text)] = text
    return bytes(data)


def root_tree(folder, release=RELEASE, marker='one'):
    """What a base image of the tests holds."""
    for name in ('boot', f'usr/lib/modules/{release}', 'etc'):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    os.symlink('usr/lib', os.path.join(folder, 'lib'))
    write(f'{folder}/boot/vmlinuz-{release}', kernel(release))
    write(f'{folder}/boot/config-{release}', ''.join(f'CONFIG_{option}=y\n' for option in OPTIONS))
    write(f'{folder}/usr/lib/modules/{release}/modules.dep', '')
    write(f'{folder}/etc/marker', marker)
    write(f'{folder}/blob', random.Random(marker).randbytes(3 * MIB))


def make_base(path, size=64 * MIB, marker='one', release=RELEASE):
    """A base image (qcow2 when its name says so)."""
    tree = scratch(f'tree-{os.path.basename(path)}-{random.randrange(1 << 32):x}')
    os.mkdir(tree)
    root_tree(tree, release, marker)
    raw, part = f'{tree}.raw', f'{tree}.ext4'
    root_size = size - ROOT_START - MIB
    with open(part, 'wb') as file:
        file.truncate(root_size)
    call('mkfs.ext4', '-q', '-F', '-b', '4096', '-O', '^has_journal', '-U', '11111111-2222-3333-4444-555555555555', '-E',
         'hash_seed=11111111-2222-3333-4444-555555555555', '-d', tree, part)
    with open(raw, 'wb') as file:
        file.truncate(size)
    call('sfdisk', '-q', raw, given=f'label: gpt\nstart={MIB // 512}, size={8 * MIB // 512}, type=U\n'
         f'start={ROOT_START // 512}, size={root_size // 512}, type=L\n')
    call('dd', f'if={part}', f'of={raw}', 'bs=1M', f'seek={ROOT_START // MIB}', 'conv=notrunc,sparse', 'status=none')
    if path.endswith('.qcow2'):
        call('qemu-img', 'convert', '-q', '-f', 'raw', '-O', 'qcow2', raw, path)
        os.unlink(raw)
    else:
        os.rename(raw, path)
    os.unlink(part)
    # Old enough for its identity to stand for it.
    os.utime(path, (1700000000, 1700000000))
    return path


def make_pool(name=POOL):
    folder = scratch(f'pool-{name}')
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    virsh('pool-define-as', name, 'dir', '--target', folder)
    virsh('pool-start', name)
    return folder


def configure(extra=''):
    write_config(f'[guest]\ninit = {program("guest/guest-init")}\n{extra}')
    os.environ['VIRT_ATTEST_LIBEXEC'] = program('storage')


def vol(command, *arguments, pool=POOL, **options):
    return attest(f'vol-{command}', *arguments, *(['--pool', pool] if pool else []), **options)


def document(name, pool=POOL):
    """The document of a volume, None when there is none."""
    path = document_path(name, pool)
    return json.loads(read(path)) if os.path.exists(path) else None


def document_path(name, pool=POOL):
    return f'{STATE}/volumes/{virsh("pool-uuid", pool).stdout.strip()}.{name}.json'


def volumes(pool=POOL):
    """Names that virsh sees in a pool."""
    virsh('pool-refresh', pool)
    return sorted(line.split()[0] for line in virsh('vol-list', pool).stdout.splitlines() if line.split())


def info(name, pool=POOL):
    return json.loads(vol('info', '--format', 'json', name, pool=pool).stdout)


def partition_root_hash(image, salt, uuid):
    """The root hash of partition 2 of an image, by qemu-img and veritysetup."""
    raw, part, tree = scratch('check.raw'), scratch('check.part'), scratch('check.tree')
    call('qemu-img', 'convert', '-q', '-U', '-O', 'raw', image, raw)
    table = json.loads(call('sfdisk', '--json', raw).stdout)['partitiontable']['partitions'][1]
    call('dd', f'if={raw}', f'of={part}', 'bs=512', f'skip={table["start"]}', f'count={table["size"]}', 'status=none',
         'conv=sparse')
    done = call('veritysetup', 'format', f'--salt={salt or "-"}', f'--uuid={uuid}', part, tree)
    found = re.search(r'Root hash:\s+([0-9a-f]+)', done.stdout).group(1), hashlib.sha256(read(tree)).hexdigest()
    for path in raw, part, tree:
        os.unlink(path)
    return found


def change_blob(image):
    """Change what an overlay holds, as a guest that writes would."""
    call('qemu-io', '-f', 'qcow2', '-c', f'write -P 0x5a {20 * MIB} 4k', image)


def spawn(*arguments):
    return subprocess.Popen([program('virsh-wrappers/virt-attest'), *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
