#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""verity-format and verity-verify when something is wrong: killed, full, forbidden, missing, damaged, busy."""
import fcntl
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import rig
from rig import Skip, must, peer_format, refused, root_hash, same_file, tool

KIB, MIB = 1 << 10, 1 << 20
OPTIONS = ['--salt', 'cd' * 32, '--uuid', rig.UUID]


def random_file(path, size, seed=1):
    pathlib.Path(path).write_bytes(random.Random(seed).randbytes(size))


def entries():
    return sorted(os.listdir('.'))


def servers(path):
    """Processes of qemu-nbd that have @path on their command line, ended ones that nobody has waited for left out."""
    found = []
    for process in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            words = (process / 'cmdline').read_bytes()
        except OSError:
            continue
        if b'qemu-nbd' in words and os.fsencode(path) in words:
            found.append(int(process.name))
    return found


def nobody(*argv):
    """Runs as somebody who owns nothing, on a copy of the program that he can reach."""
    return rig.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *argv)


def reachable_tool():
    """The program where everybody can start it; its own folder may be closed."""
    os.chmod('.', 0o755)
    shutil.copy(rig.TOOL, 'tool')
    os.chmod('tool', 0o755)
    return os.path.abspath('tool')


def kill_runs(data, number, count, seed):
    """Kills runs at random times. Returns how often the new tree was there and how often it was not."""
    old, new, choose = pathlib.Path('old').read_bytes(), pathlib.Path('new').read_bytes(), random.Random(seed)
    start = time.monotonic()
    root_hash(tool('verity-format', *OPTIONS, data, 'hash'))
    duration = time.monotonic() - start
    there = {True: 0, False: 0}
    for turn in range(count):
        fresh = turn % 3 == 0
        pathlib.Path('hash').unlink(missing_ok=True)
        if not fresh:
            pathlib.Path('hash').write_bytes(old)
        before = entries()
        process = subprocess.Popen([rig.TOOL, 'verity-format', *OPTIONS, data, 'hash'], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(choose.uniform(0, duration * 1.2))
        process.send_signal(number)
        process.wait()
        found = pathlib.Path('hash').read_bytes() if os.path.exists('hash') else None
        assert found in (new, None if fresh else old), (turn, fresh, found is None)
        left = [name for name in entries() if name not in before and name != 'hash']
        # One name may be left between the two steps of a replacement; the next run takes it away.
        assert all(name.startswith('.hash.virt-attest-') for name in left) and len(left) <= 1, left
        there[found == new] += 1
        deadline = time.monotonic() + 120
        while servers(os.path.abspath(data)):
            assert time.monotonic() < deadline, 'qemu-nbd goes on'
            time.sleep(0.05)
    root_hash(tool('verity-format', *OPTIONS, data, 'hash'))
    assert same_file('hash', 'new')
    assert not [name for name in entries() if name.startswith('.')], entries()
    return there


def prepare_kill():
    random_file('data', 96 * MIB)
    random_file('other', 2 * MIB, 2)
    peer_format('data', 'new', *OPTIONS)
    peer_format('other', 'old', *OPTIONS)


def test_killed():
    with rig.folder():
        prepare_kill()
        there = kill_runs('data', signal.SIGKILL, 24, 1)
        assert there[False] > 0, there


def test_killed_while_reading_qcow2():
    with rig.folder():
        prepare_kill()
        must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'data', 'data.qcow2')
        there = kill_runs('data.qcow2', signal.SIGKILL, 12, 2)
        assert there[False] > 0, there


def test_interrupted():
    with rig.folder():
        prepare_kill()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            kill_runs('data', number, 4, int(number))


def test_left_over_is_swept():
    """A temporary name that a killed run has left goes with the next run; one that is being written stays."""
    with rig.folder():
        random_file('data', MIB)
        for name in ('.hash.virt-attest-0123456789abcdef', '.other.virt-attest-0123456789abcdef'):
            pathlib.Path(name).write_bytes(b'')
        with open('.hash.virt-attest-1111111111111111', 'wb') as written:
            fcntl.flock(written, fcntl.LOCK_EX)
            root_hash(tool('verity-format', 'data', 'hash'))
            hidden = [name for name in entries() if name.startswith('.')]
        assert hidden == ['.hash.virt-attest-1111111111111111', '.other.virt-attest-0123456789abcdef'], hidden


def test_file_size_limit():
    with rig.folder():
        random_file('data', 8 * MIB)
        pathlib.Path('hash').write_bytes(b'')

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 * KIB, 16 * KIB))
        refused(tool('verity-format', 'data', 'hash', preexec_fn=limit), 3, "'hash'", 'ulimit')
        assert entries() == ['data', 'hash'] and os.path.getsize('hash') == 0, entries()


def test_full_disk():
    if not rig.ROOT:
        raise Skip('needs root: mounts a tmpfs in a namespace of its own')
    with rig.folder():
        random_file('data', 8 * MIB)
        os.mkdir('full')
        script = ('mount -t tmpfs -o size=32k none full && cp old full/hash && '
                  '"$0" verity-format "$1" full/hash; echo "exit $?"; ls -A full; cmp old full/hash && echo same')
        random_file('other', 4096 * 2)
        peer_format('other', 'old')
        done = rig.run('unshare', '--mount', 'sh', '-c', script, rig.TOOL, 'data')
        assert done.stdout == 'exit 3\nhash\nsame\n', (done.stdout, done.stderr)
        assert done.stderr.startswith("error: 'full/hash': ") and 'free some space' in done.stderr, done.stderr


def test_output_not_possible():
    with rig.folder():
        random_file('data', MIB)
        refused(tool('verity-format', 'data', 'missing/hash'), 3, 'missing/hash')
        refused(tool('verity-format', 'data', '.'), 3, 'neither a regular file')
        os.mkfifo('fifo')
        refused(tool('verity-format', 'data', 'fifo'), 3, 'neither a regular file')
        refused(tool('verity-format', 'data', '/dev/null'), 3, 'neither a regular file')
        os.symlink('nowhere', 'dangling')
        refused(tool('verity-format', 'data', 'dangling'), 3, 'leads nowhere')
        pathlib.Path('letter').write_text('dear root')
        refused(tool('verity-format', 'data', 'letter'), 3, "'letter'", 'no dm-verity hash file')
        assert pathlib.Path('letter').read_text() == 'dear root'
        assert entries() == ['dangling', 'data', 'fifo', 'letter'], entries()
        # An empty file is taken, and a hash file, by way of a link too; permissions stay.
        pathlib.Path('empty').write_bytes(b'')
        os.chmod('empty', 0o640)
        os.symlink('empty', 'link')
        for name in ('empty', 'empty', 'link'):
            root_hash(tool('verity-format', 'data', name))
            assert os.stat('empty').st_mode & 0o7777 == 0o640 and os.path.islink('link')
        os.umask(0o027)
        try:
            root_hash(tool('verity-format', 'data', 'new'))
        finally:
            os.umask(0o022)
        assert os.stat('new').st_mode & 0o7777 == 0o640, oct(os.stat('new').st_mode)


def test_same_file():
    with rig.folder():
        random_file('data', MIB)
        os.link('data', 'hard')
        os.symlink('data', 'soft')
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'data', '-F', 'raw', 'middle.qcow2')
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', 'top.qcow2')
        # One that could be replaced otherwise: it begins like a hash file.
        with open('data', 'r+b') as file:
            file.write(b'verity\0\0')
        before = pathlib.Path('data').read_bytes()
        for data, hash_file in (('data', 'data'), ('data', 'hard'), ('data', 'soft'), ('data', './data'),
                                ('top.qcow2', 'data'), ('top.qcow2', 'hard')):
            refused(tool('verity-format', data, hash_file), 2, 'the same file')
        assert pathlib.Path('data').read_bytes() == before


def test_permission_denied():
    if not rig.ROOT:
        raise Skip('needs root: becomes somebody else')
    with rig.folder():
        mine = reachable_tool()
        random_file('data', MIB)
        root = root_hash(tool('verity-format', 'data', 'hash'))
        os.chmod('data', 0o600)
        os.mkdir('open')
        os.chmod('open', 0o777)
        refused(nobody(mine, 'verity-format', 'data', 'open/hash'), 3, "'data'", 'Permission denied', 'run as a user')
        assert os.listdir('open') == []
        os.chmod('data', 0o644)
        refused(nobody(mine, 'verity-format', 'data', 'new'), 3, "'new'", 'Permission denied')
        os.chmod('hash', 0o600)
        refused(nobody(mine, 'verity-verify', 'data', 'hash', root), 3, "'hash'", 'Permission denied')
        assert entries() == ['data', 'hash', 'open', 'tool'], entries()


def test_input_not_possible():
    with rig.folder():
        random_file('data', MIB)
        root = root_hash(tool('verity-format', 'data', 'hash'))
        refused(tool('verity-format', 'missing', 'new'), 3, "'missing'", 'check the path')
        refused(tool('verity-format', '.', 'new'), 3, 'neither a regular file')
        refused(tool('verity-format', '--format', 'qcow2', 'data', 'new'), 3, 'not a qcow2 image')
        refused(tool('verity-format', '--partition', 1, 'data', 'new'), 3, 'no partition table')
        pathlib.Path('short').write_bytes(b'x' * 4095)
        refused(tool('verity-format', 'short', 'new'), 3, 'less than one block')
        refused(tool('verity-format', '--data-blocks', 257, 'data', 'new'), 3, 'has 256 blocks')
        must('qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.img', '1M')
        refused(tool('verity-format', 'disk.img', 'new'), 3, '--format')
        os.truncate('disk.img', 60)
        refused(tool('verity-format', '--format', 'qcow2', 'disk.img', 'new'), 3, "'disk.img'", 'too short')
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'data', '-F', 'raw', 'top.qcow2')
        os.rename('data', 'moved')
        refused(tool('verity-format', 'top.qcow2', 'new'), 3, 'backing file of', 'check the path')
        os.rename('moved', 'data')
        refused(tool('verity-verify', 'data', 'missing', root), 3, "'missing'")
        refused(tool('verity-verify', 'data', 'short', root), 3, "'short'", 'no dm-verity superblock')
        refused(tool('verity-verify', 'short', 'hash', root), 3, "'short'")
        os.truncate('hash', 8192)
        refused(tool('verity-verify', 'data', 'hash', root), 3, "'hash'", 'cut off')
        # A table of mappings that is damaged, which only qemu-nbd can tell.
        must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'data', 'bad.qcow2')
        with open('bad.qcow2', 'r+b') as file:
            file.seek(40)
            file.write(b'\xff' * 8)
        refused(tool('verity-format', 'bad.qcow2', 'new'), 3, "'bad.qcow2'", 'qemu-nbd')
        assert 'new' not in entries()


def test_wrong_words():
    with rig.folder():
        random_file('data', MIB)
        root = root_hash(tool('verity-format', 'data', 'hash'))
        for words in (['--salt', 'abc'], ['--salt', 'zz'], ['--salt', ''], ['--salt', '00' * 257], ['--uuid', 'x'],
                      ['--uuid', '4628b277cd814b55b30cba36606ea5b6'], ['--hash', 'md5'], ['--hash', 'sha1'],
                      ['--hash', 'x' * 300], ['--hash', '\x1b[2J'], ['--data-block-size', '8192'],
                      ['--data-block-size', '1000'], ['--hash-block-size', '0'], ['--data-blocks', '0'],
                      ['--data-blocks', '-1'], ['--partition', '0'], ['--partition', '129'], ['--format', 'vmdk'],
                      ['--reuse', 'hash'], ['--reuse-root-hash', root],
                      ['--reuse', 'hash', '--reuse-root-hash', root[:-2]],
                      ['--reuse', 'hash', '--reuse-root-hash', root + '00']):
            done = tool('verity-format', *words, 'data', 'new')
            refused(done, 2)
            assert '\x1b' not in done.stderr, done.stderr
        for words in ([root[:-1]], [root + '00'], ['zz' * 32], ['']):
            refused(tool('verity-verify', 'data', 'hash', *words), 2)
        assert entries() == ['data', 'hash'], entries()


def wait_for_server(path, process):
    """qemu-nbd listens before it has opened its image, but greets only afterwards."""
    while True:
        assert process.poll() is None, 'qemu-nbd has ended'
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(path)
            except OSError:
                time.sleep(0.01)
                continue
            assert client.recv(8) == b'NBDMAGIC'
            return


def test_busy():
    with rig.folder():
        random_file('disk.img', MIB)
        must('qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.qcow2', '1M')
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'disk.img', '-F', 'raw', 'top.qcow2')
        root = root_hash(tool('verity-format', 'disk.img', 'hash'))
        for image, form, users in (('disk.img', 'raw', ('disk.img', 'top.qcow2')),
                                   ('disk.qcow2', 'qcow2', ('disk.qcow2',)),
                                   ('hash', 'raw', ())):
            domain = subprocess.Popen(['qemu-nbd', '--persistent', f'--socket={os.getcwd()}/socket',
                                       f'--format={form}', image])
            try:
                wait_for_server('socket', domain)
                for user in users:
                    refused(tool('verity-format', user, 'new'), 3, f"{image}'", 'in use by a writer')
                if image == 'hash':
                    refused(tool('verity-verify', 'disk.img', 'hash', root), 3, "'hash'", 'in use by a writer')
            finally:
                domain.kill()
                domain.wait()
                os.unlink('socket')
        assert 'new' not in entries()


def test_standard_output_closed():
    """The tree is there, but nobody has learned its root hash."""
    with rig.folder(), open('/dev/full', 'w', encoding='ascii') as full:
        random_file('data', MIB)
        done = subprocess.run([rig.TOOL, 'verity-format', 'data', 'hash'], stdout=full, stderr=subprocess.PIPE,
                              check=False)
        assert done.returncode == 3 and b'standard output' in done.stderr, done


if __name__ == '__main__':
    sys.stdout.reconfigure(line_buffering=True)
    rig.main(rig.named(globals()))
