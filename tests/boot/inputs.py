# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the boot tests boot: image, hash tree, initrds and command lines, made by the tools as a user would make them.

The image is built once per build folder (BUILD/images/trixie.qcow2, with the key pair that logs in beside it) and never
written to; everything else is made afresh in a temporary folder of the test.
"""
import dataclasses
import fcntl
import itertools
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
WAIT = '60'  # seconds for the disks, which matter to a guest that is slow
SHORT_WAIT = '10'  # where one will not be found
NUMBERS = itertools.count()  # cases run side by side


def build_folder():
    folder = os.environ.get('VIRT_ATTEST_BUILD')
    if not folder:
        rig.skip('VIRT_ATTEST_BUILD does not name a build directory')
    return folder


def tool(*arguments, **options):
    program = os.environ.get('VIRT_ATTEST_TOOL') or os.path.join(build_folder(), 'virsh-wrappers/virt-attest')
    return rig.call(program, *arguments, **options)


def configuration():
    """That this build's own init goes into initrds, and its own program for reports into images."""
    folder = os.path.join(build_folder(), 'guest')
    return f'[guest]\ninit = {os.path.join(folder, "guest-init")}\nreport = {os.path.join(folder, "report", "guest-report")}\n'


def cached_image():
    """(image, private key)"""
    folder = os.path.join(build_folder(), 'images')
    os.makedirs(folder, exist_ok=True)
    os.environ['VIRT_ATTEST_CONFIG'] = config = os.path.join(folder, 'virt-attest.conf')
    image, key = os.path.join(folder, 'trixie.qcow2'), os.path.join(folder, 'id_ed25519')
    # The tests of image-build make the same one, perhaps at this moment.
    with open(os.path.join(folder, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Others may read it at this moment.
        os.replace(rig.write(f'{config}.new', configuration()), config)
        if not os.path.exists(key):
            rig.call('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'boot tests', '-f', key)
        if not os.path.exists(image):
            tool('image-build', '--suite', 'trixie', '--output', image, '--ssh-key', f'{key}.pub', timeout=3000)
    return image, key


@dataclasses.dataclass
class Inputs:
    """@raw: the image as a raw file, for looking things up and as backing file of changed disks."""
    folder: str
    key: str
    raw: str
    tree: str
    root_hash: str
    data_blocks: int
    kernel: str
    initrd: dict

    def path(self, name):
        return os.path.join(self.folder, name)

    def words(self, level=4, upper=None, **changes):
        """Our words of the command line, in the order that guest/words.h gives; @changes replaces values, None leaves a
        word out."""
        words = {'level': str(level), 'root': f'{ROOT_SERIAL}:{ROOT_PARTITION}'}
        if level == 4:
            words['roothash'] = self.root_hash
            words['verity'] = (f'{VERITY_SERIAL},uuid={TREE_UUID},salt={SALT},hash=sha256,data-block=4096,'
                               f'hash-block=4096,data-blocks={self.data_blocks}')
        words['upper'] = upper
        words['wait'] = WAIT
        words.update(changes)
        return ' '.join(f'virt_attest.{name}={value}' for name, value in words.items() if value is not None)

    def machine(self, level=4, upper='tmpfs', more='', **options):
        """A good machine. The root disk is a qcow2 overlay on the image, as a volume is."""
        root = disks.overlay(self.path(f'root-{next(NUMBERS)}.qcow2'), self.raw, 'raw')
        found = [rig.Disk(root, ROOT_SERIAL, 'qcow2', readonly=level == 4)]
        if level == 4:
            found.append(rig.Disk(self.tree, VERITY_SERIAL))
        cmdline = f'{CONSOLE} {self.words(level, upper)}{" " if more else ""}{more}'
        return rig.Machine(self.kernel, self.initrd[level], cmdline, tuple(found), **options)

    def upper_disk(self, name, size=256 * rig.MIB):
        path = self.path(name)
        with open(path, 'wb') as file:
            file.truncate(size)
        return rig.Disk(path, UPPER_SERIAL, 'raw', readonly=False)


def prepare():
    for program in rig.QEMU, 'qemu-img', 'qemu-io', 'debugfs', 'ssh', 'ssh-keygen', 'ssh-keyscan':
        if not shutil.which(program):
            rig.skip(f'no {program} on the PATH')
    if not os.path.exists(rig.AMDSEV):
        rig.skip('no AmdSev firmware')
    image, key = cached_image()
    folder = tempfile.mkdtemp(prefix='boot-', dir=build_folder())
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
        # A guest that is being ended may still write its log there.
        shutil.rmtree(inputs.folder, ignore_errors=True)
        shutil.rmtree(inputs.folder, ignore_errors=True)
