#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""verity-format and verity-verify against veritysetup: 300 generated cases, and a few large ones."""
import concurrent.futures
import hashlib
import os
import pathlib
import random
import subprocess
import uuid

import rig
from rig import must, peer_format, refused, root_hash, same_file, tool

CASES = 300
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Case:
    """One set of parameters and the data they are for, always the same for the same number."""

    def __init__(self, number):
        self.random = random.Random(number)
        choice = self.random.choice
        self.kind = ('raw', 'raw', 'raw', 'qcow2', 'overlay', 'reuse', 'partition', 'raw', 'qcow2',
                     'reuse')[number % 10]
        self.data_size = choice((512, 1024, 2048, 4096, 4096))
        self.hash_size = choice((512, 1024, 2048, 4096, 4096))
        self.hash = choice(('sha256', 'sha256', 'sha256', 'sha384', 'sha512'))
        salt_size = choice((0, 1, 8, 16, 32, 32, 33, 55, 56, 63, 64, 65, 128, 255, 256))
        self.salt = self.random.randbytes(salt_size).hex() or '-'
        self.uuid = str(uuid.UUID(int=self.random.getrandbits(128)))
        self.blocks = choice((1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 4095, 4096, 4097,
                              16383, 16384, 16385, self.random.randint(1, 20000), self.random.randint(1, 160) * 128))
        # A rest that fills no block; images of QEMU end at a sector.
        self.size = self.blocks * self.data_size + choice((0, 0, 0, 1, 511, self.data_size - 1))
        if self.kind != 'raw':
            self.size = max(self.size // 512 * 512, self.data_size)
        self.given_blocks = self.random.randint(1, self.blocks) if number % 7 == 3 else None

    def name(self):
        return (f'{self.kind}, {self.size} bytes in {self.data_size}, {self.hash} in {self.hash_size}, salt of '
                f'{0 if self.salt == "-" else len(self.salt) // 2}')

    def options(self):
        given = ['--data-blocks', self.given_blocks] if self.given_blocks else []
        return ['--data-block-size', self.data_size, '--hash-block-size', self.hash_size, '--hash', self.hash, '--salt',
                self.salt, '--uuid', self.uuid, *given]

    def pieces(self, size):
        """Ranges and what is in them: data, zeros that are written, and a block's end or beginning now and then."""
        for _ in range(self.random.choice((0, 1, 2, 5, 12))):
            length = min(self.random.choice((1, 100, 512, 4096, 65536, 65536 * 3 + 7, size)), size)
            at = self.random.randrange(size - length + 1)
            if self.random.random() < 0.5:
                at = at // 4096 * 4096
            yield at, self.random.choice((self.random.randbytes(length), bytes(length), b'\x01' * length))

    def fill(self, path, size):
        with open(path, 'wb') as file:
            file.truncate(size)
            for at, data in self.pieces(size):
                file.seek(at)
                file.write(data)

    def change(self, overlay, flat, size):
        """The same writes to an overlay and to the flat file."""
        commands = []
        with open(flat, 'r+b') as file:
            for _ in range(self.random.choice((0, 1, 3, 8))):
                length = min(self.random.choice((512, 4096, 65536, 131072, 200 * KIB)), size // 512 * 512)
                at = self.random.randrange(size - length + 1) // 512 * 512
                value = self.random.choice((0, 0, 3, 0xff))
                how = '-z' if value == 0 and self.random.random() < 0.7 else f'-P {value}'
                commands += ['-c', f'write {how} {at} {length}']
                file.seek(at)
                file.write(bytes([value]) * length)
        if commands:
            must('qemu-io', '-f', 'qcow2', *commands, overlay)

    def make(self):
        """Returns DATA with its options, the flat file with the same bytes, and where in DATA these begin."""
        self.fill('flat', self.size)
        if self.kind == 'raw':
            return ['flat'], 'flat', 0
        if self.kind == 'qcow2':
            cluster = self.random.choice((512, 65536))
            must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-o', f'cluster_size={cluster}', 'flat', 'disk.qcow2')
            return ['disk.qcow2'], 'flat', 0
        if self.kind in ('overlay', 'reuse'):
            os.rename('flat', 'base.img')
            return self.make_overlay()
        return self.make_partition()

    def make_overlay(self):
        larger = self.size + self.random.choice((0, 0, 512, MIB))
        with open('base.img', 'rb') as base:
            pathlib.Path('flat').write_bytes(base.read())
        os.truncate('flat', larger)
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.img', '-F', 'raw', 'top.qcow2', larger)
        options = []
        if self.kind == 'reuse':
            old = [word for word in self.options() if word != self.given_blocks and word != '--data-blocks']
            old_root = peer_format('base.img', 'old.verity', *old)
            options = ['--reuse', 'old.verity', '--reuse-root-hash', old_root]
            self.given_blocks = None
        self.change('top.qcow2', 'flat', larger)
        return [*options, 'top.qcow2'], 'flat', 0

    def make_partition(self):
        sectors = max((self.size + 511) // 512, 1)
        start = self.random.choice((34, 63, 2048, 2049))
        with open('disk.img', 'wb') as disk:
            disk.truncate((start + sectors + 100) * 512)
        must('sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', '-X', 'gpt', 'disk.img',
             input=f'first-lba: 34\n3: start={start}, size={sectors}\n')
        with open('flat', 'rb') as flat, open('disk.img', 'r+b') as disk:
            disk.seek(start * 512)
            disk.write(flat.read())
        os.truncate('flat', sectors * 512)
        if self.random.random() < 0.5:
            return ['--partition', 3, 'disk.img'], 'flat', start * 512
        must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'disk.img', 'disk.qcow2')
        return ['--partition', 3, '--format', 'qcow2', 'disk.qcow2'], 'flat', start * 512

    def run(self):
        with rig.folder():
            data, flat, start = self.make()
            expected = peer_format(flat, 'peer.verity', *self.options())
            got = root_hash(tool('verity-format', *self.options(), *data, 'own.verity'))
            assert got == expected, (got, expected)
            assert same_file('own.verity', 'peer.verity')
            must('veritysetup', 'verify', flat, 'own.verity', expected)
            plain = data[data.index('--reuse-root-hash') + 2:] if '--reuse' in data else data
            done = tool('verity-verify', *plain, 'peer.verity', expected)
            assert done.returncode == 0 and done.stderr == '', done.stderr
            self.damage(plain, expected, start)

    def damage(self, data, expected, start):
        """A flipped bit in data that can be written here, and one in the tree."""
        blocks = self.given_blocks or os.path.getsize('flat') // self.data_size
        if data[-1] in ('flat', 'disk.img'):
            bad = self.random.randrange(blocks)
            at = start + bad * self.data_size + self.random.randrange(self.data_size)
            rig.flip(data[-1], at)
            refused(tool('verity-verify', *data, 'own.verity', expected), 1,
                    f'data block {bad} ({self.data_size} bytes at byte {start + bad * self.data_size})')
            rig.flip(data[-1], at)
        hash_blocks = os.path.getsize('own.verity') // self.hash_size
        if hash_blocks > 1:
            bad = self.random.randrange(1, hash_blocks)
            rig.flip('own.verity', bad * self.hash_size + self.random.randrange(self.hash_size))
            refused(tool('verity-verify', *data, 'own.verity', expected), 1, "'own.verity'",
                    f'at byte {bad * self.hash_size}')


def measured(*argv):
    """Largest resident set of one run, bytes, and its output."""
    with open('output', 'w+b') as out:
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
        assert status == 0, status
        out.seek(0)
        return usage.ru_maxrss * KIB, out.read().decode().split()[-1]


def test_65_gib():
    """65 GiB and a bit with a few MiB of data, in the memory of a small one. The answers are veritysetup's, which took
    more than a minute."""
    with rig.folder():
        options = ['--salt', '00ff' * 16, '--uuid', rig.UUID]
        for name, size in (('small', MIB), ('large', 65 * GIB)):
            with open(name, 'wb') as file:
                file.truncate(size)
        with open('large', 'r+b') as file:
            for n in range(40):
                file.seek(n * 1713 * MIB + n * 4097)
                file.write(bytes([n + 1]) * 70000)
        small, _ = measured(rig.TOOL, 'verity-format', *options, 'small', 'small.verity')
        large, got = measured(rig.TOOL, 'verity-format', *options, 'large', 'large.verity')
        assert got == ROOT_65_GIB, got
        with open('large.verity', 'rb') as file:
            assert hashlib.file_digest(file, 'sha256').hexdigest() == FILE_65_GIB
        assert large < small + 32 * MIB, (small, large)
        at = 39 * 1713 * MIB + 39 * 4097
        rig.flip('large', at)
        refused(tool('verity-verify', 'large', 'large.verity', got), 1, f'data block {at // 4096} ')


def test_one_gib_scattered():
    """Data in every part, so that all threads come across holes and data at once."""
    with rig.folder():
        choose = random.Random(1)
        with open('data', 'wb') as file:
            file.truncate(GIB)
            for _ in range(600):
                file.seek(choose.randrange(GIB // 4096 - 64) * 4096)
                file.write(choose.randbytes(choose.randrange(1, 60) * 4096))
        options = ['--salt', 'ab' * 32, '--uuid', rig.UUID]
        expected = peer_format('data', 'peer', *options)
        assert root_hash(tool('verity-format', *options, 'data', 'own')) == expected
        assert same_file('own', 'peer')
        must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'data', 'disk.qcow2')
        assert root_hash(tool('verity-format', *options, 'disk.qcow2', 'own2')) == expected
        assert same_file('own2', 'peer')


def test_defaults():
    """A salt of 32 random bytes, a random UUID, and the other parameters of veritysetup."""
    with rig.folder():
        pathlib.Path('data').write_bytes(b'x' * 300 * KIB)
        seen = set()
        for _ in range(2):
            expected = root_hash(tool('verity-format', 'data', 'hash'))
            must('veritysetup', 'verify', 'data', 'hash', expected)
            dump = must('veritysetup', 'dump', 'hash')
            fields = dict(line.split(':', 1) for line in dump.splitlines() if ':' in line)
            fields = {key: value.strip() for key, value in fields.items()}
            assert len(fields['Salt']) == 64 and fields['Hash algorithm'] == 'sha256', fields
            assert fields['Data block size'].startswith('4096') and fields['Hash block size'].startswith('4096'), fields
            assert uuid.UUID(fields['UUID']).version == 4, fields
            seen |= {expected, fields['Salt'], fields['UUID']}
        assert len(seen) == 6, seen


def test_reuse_takes_parameters():
    """With --reuse what is not said is as in the old file, which came from veritysetup here."""
    with rig.folder():
        pathlib.Path('base.img').write_bytes(random.Random(5).randbytes(3 * MIB))
        old = peer_format('base.img', 'old', '--hash', 'sha512', '--data-block-size', 1024, '--hash-block-size', 2048)
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.img', '-F', 'raw', 'top.qcow2')
        got = root_hash(tool('verity-format', '--reuse', 'old', '--reuse-root-hash', old, 'top.qcow2', 'new'))
        assert got == old, (got, old)


def test_progress():
    with rig.folder():
        pathlib.Path('data').write_bytes(b'x' * MIB)
        done = tool('verity-format', '--progress', 'data', 'hash')
        assert done.stdout.startswith('Root hash: ') and done.stderr.endswith('hashing: 100 %\n'), done.stderr
        root = done.stdout.split()[-1]
        done = tool('verity-verify', '--progress', 'data', 'hash', root)
        assert done.returncode == 0 and done.stderr.endswith('verifying: 100 %\n'), done.stderr
        # On a terminal without being asked, and gone at the end.
        terminal, other = os.openpty()
        done = subprocess.run([rig.TOOL, 'verity-format', 'data', 'hash'], stdout=subprocess.PIPE, stderr=other,
                              check=True)
        os.close(other)
        shown = os.read(terminal, 65536)
        os.close(terminal)
        assert b'hashing: 100 %' in shown and shown.endswith(b'\r\033[K'), shown
        assert done.stdout.startswith(b'Root hash: '), done.stdout


ROOT_65_GIB = 'd92a61019f90b8a12d618c85a5829e7a110d3efd21d792ddcd394f1044d778a2'
FILE_65_GIB = '11d033b2a481a724c3d5067cd5485a21d95130782e3bc28bd6c2622e22ee3f59'


def run_case(number):
    Case(number).run()


def main():
    """The cases on two processors, the large ones alone behind them."""
    large = rig.named(globals())
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        cases = [(Case(number).name(), pool.submit(run_case, number).result) for number in range(CASES)]
        rig.main(cases + large)


if __name__ == '__main__':
    main()
