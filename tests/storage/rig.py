# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the storage tests share: running the command, making images, and TAP.

Expected hash trees come from veritysetup, expected contents from Python: nothing of the program under test.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

TOOL = os.path.abspath(sys.argv[1])
ROOT = os.geteuid() == 0
UUID = '4628b277-cd81-4b55-b30c-ba36606ea5b6'

# Who starts the tests in the background may make them ignore what they send to the programs under test.
for number in signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


class Skip(Exception):
    """A test that cannot run here; the text says why."""


@contextlib.contextmanager
def folder():
    """A folder of our own, which is the current one meanwhile."""
    path = tempfile.mkdtemp(prefix='virt-attest-storage-')
    before = os.getcwd()
    os.chdir(path)
    try:
        yield pathlib.Path(path)
    finally:
        os.chdir(before)
        shutil.rmtree(path)


def run(*argv, **more):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **more)


def must(*argv, **more):
    done = run(*argv, **more)
    assert done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


def tool(*argv, **more):
    return run(TOOL, *argv, **more)


def root_hash(done):
    """Of a good verity-format, which prints nothing else."""
    assert done.returncode == 0, (done.args, done.returncode, done.stderr)
    assert done.stderr == '', done.stderr
    words = done.stdout.split(' ')
    assert words[:2] == ['Root', 'hash:'] and len(words) == 3 and words[2].endswith('\n'), done.stdout
    return words[2].strip()


def refused(done, code, *words):
    """One line on standard error that stands alone, nothing on standard output."""
    assert done.returncode == code, (done.args, done.returncode, done.stderr)
    assert done.stdout == '', done.stdout
    first = done.stderr.splitlines()[0]
    assert first.startswith('error: '), done.stderr
    for word in words:
        assert word in first, (word, first)
    assert 'Sanitizer' not in done.stderr, done.stderr


def peer_format(data, out, *options):
    """Root hash by veritysetup; it would leave the end of an older, longer file where it is."""
    pathlib.Path(out).unlink(missing_ok=True)
    text = must('veritysetup', 'format', data, out, *options)
    return text.split('Root hash:')[1].split()[0]


def same_file(one, two):
    with open(one, 'rb') as first, open(two, 'rb') as second:
        while True:
            left, right = first.read(1 << 20), second.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def flip(path, offset):
    with open(path, 'r+b') as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x40]))


def main(tests):
    """Runs (name, function) pairs as TAP."""
    print(f'TAP version 13\n1..{len(tests)}', flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
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


def named(namespace):
    """The functions test_… of a module, in order."""
    return [(name.removeprefix('test_').replace('_', '-'), value) for name, value in namespace.items()
            if name.startswith('test_') and callable(value)]
