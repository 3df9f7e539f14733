# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the boot tests boot: image, hash tree, initrds and command lines, made by the tools as a user would make them.

The image is built once per build folder (BUILD/images/trixie.qcow2, with the key pair that logs in beside it) and never
written to; everything else is made afresh in a temporary folder of the test.
"""
import dataclasses
import os
import re
import shutil
import tempfile

import disks
import rig

ROOT_SERIAL, VERITY_SERIAL, UPPER_SERIAL = 'va-root', 'va-verity', 'va-upper'  # as 'define --volume' names them
SALT = '5a' * 32
TREE_UUID = '3f1c3a0e-7d53-4d3b-9a77-1b2c3d4e5f60'
ROOT_PARTITION = 2
# What 'define --volume' puts before our own words.
CONSOLE = 'console=ttyS0 panic=-1 systemd.import_credentials=no systemd.gpt_auto=no systemd.getty_auto=no'
WAIT = '5'  # seconds for the disks


def build_folder():
    folder = os.environ.get('VIRT_ATTEST_BUILD')
    if not folder:
        rig.skip('VIRT_ATTEST_BUILD does not name a build directory')
    return folder


def tool(*arguments, **options):
    program = os.environ.get('VIRT_ATTEST_TOOL') or os.path.join(build_folder(), 'virsh-wrappers/virt-attest')
    return rig.call(program, *arguments, **options)


def cached_image():
    """(image, private key). Sets the configuration that this build's own init is taken from."""
    folder = os.path.join(build_folder(), 'images')
    os.makedirs(folder, exist_ok=True)
    raw = os.path.join(folder, 'image.raw')
    rig.call('qemu-img', 'convert', '-O', 'raw', image, raw)
    tree = os.path.join(folder, 'tree')
    printed = tool('verity-format', '--partition', str(ROOT_PARTITION), '--salt', SALT, '--uuid', TREE_UUID, image,
                   tree).stdout
    root_hash = re.search(r'^Root hash:\s+([0-9a-f]{64})$', printed, re.M).group(1)
    kernel = os.path.join(folder, 'kernel')
    initrd = {}
    for level in 3, 4:
        initrd[level] = os.path.join(folder, f'initrd-{level}')
        tool('initrd', '--level', str(level), '--image', image, '--output', initrd[level],
             *(('--kernel-output', kernel) if level == 4 else ()))
    blocks = disks.partition(raw, ROOT_PARTITION)[1] // disks.BLOCK
    return Inputs(folder, key, raw, tree, root_hash, blocks, kernel, initrd)


def remove(inputs):
    """The test's own folder, made by mkdtemp in prepare(). VIRT_ATTEST_KEEP=1 keeps it."""
    if os.environ.get('VIRT_ATTEST_KEEP'):
        print(f'# kept: {inputs.folder}')
    elif os.path.basename(inputs.folder).startswith('boot-') and os.path.isdir(inputs.folder):
        shutil.rmtree(inputs.folder)
