#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is left of a private key in the memory of a command that has loaded it: the key in use, and no copy of its file.

The program waits for its standard input after it has loaded the key; its memory is read meanwhile. Needs root, since the
program closes its memory to everybody else.
"""
import base64
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOOL = os.path.abspath(sys.argv[1])


def memory(pid):
    """The writable memory of a process, piece by piece."""
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as file:
        for line in pathlib.Path(f'/proc/{pid}/maps').read_text(encoding='utf-8').splitlines():
            first, last, flags, name = re.match(r'(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)', line).groups()
            size = int(last, 16) - int(first, 16)
            # The sanitizer's shadow is terabytes, and holds no data.
            if flags.startswith('rw') and name != '[vvar]' and size < 1 << 32:
                file.seek(int(first, 16))
                for _ in range(0, size, 1 << 20):
                    try:
                        yield file.read(1 << 20)
                    except OSError:
                        break


def waits_for_input(pid):
    return pathlib.Path(f'/proc/{pid}/syscall').read_text(encoding='utf-8').startswith('0 0x0 ')


def copies(key, *options):
    """How often the memory holds the text of the PEM file, the bytes of the private key as in it, and as used."""
    pem = pathlib.Path(key).read_text(encoding='utf-8')
    der = base64.b64decode(''.join(line for line in pem.splitlines() if '-' not in line))
    at = der.index(bytes.fromhex('0201010430')) + 5
    wanted = {'text': pem.splitlines()[1].encode(), 'file': der[at:at + 48], 'used': der[at:at + 48][::-1]}
    with subprocess.Popen([TOOL, 'id-block', '--id-key', key, '--domain', '-', '--output-dir', 'out', *options],
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while not waits_for_input(process.pid) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert process.poll() is None, 'it ended before it read its input'
        pieces = list(memory(process.pid))
        process.stdin.close()
        process.wait(60)
    return {name: sum(piece.count(value) for piece in pieces) for name, value in wanted.items()}


def main():
    if os.geteuid() != 0:
        print('1..0 # SKIP reading the memory needs root')
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run('umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem',
                       shell=True, check=True, capture_output=True)
        try:
            found = copies('key.pem')
        except PermissionError as error:
            # A container without CAP_SYS_PTRACE: there the memory is closed to root too.
            print(f'1..0 # SKIP reading the memory of another process is not allowed here: {error}')
            return 0
        finally:
            os.chdir('/')
    print('1..2')
    # Without this one the other would say nothing: the memory was read, and the key is in it.
    good = found['used'] > 0, found['text'] == found['file'] == 0
    for number, what in enumerate(('the key in use is found', 'no copy of its file is left')):
        print(f'{"ok" if good[number] else "not ok"} {number + 1} - {what}\n# {found}')
    return 0 if all(good) else 1


sys.exit(main())
