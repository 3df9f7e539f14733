#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ID blocks against the common Python tool's own maker, run as it is.

VIRT_ATTEST_SEV_SNP_MEASURE names a checkout of virtee/sev-snp-measure (the folder with snp-create-id-block.py); its
Python module 'cryptography' has to be there as well. Skips where one is missing.
"""
import base64
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
import idblock  # noqa: E402

COUNT = 12


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


def run(*command, folder=None):
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True).stdout


def peer_tool():
    folder = os.environ.get('VIRT_ATTEST_SEV_SNP_MEASURE', '')
    tool = os.path.join(folder, 'snp-create-id-block.py')
    if not folder or not os.path.exists(tool):
        skip('VIRT_ATTEST_SEV_SNP_MEASURE names no checkout of sev-snp-measure')
    if subprocess.run([sys.executable, '-c', 'import cryptography'], capture_output=True, check=False).returncode:
        skip('no Python module cryptography')
    return tool


def unsigned(page):
    """The page without its two signatures, which differ each time."""
    return page[:0x40] + page[0x240:0x680] + page[0x880:]


def compare(tool, program, folder, keys, number):
    """(what, ours, theirs) for one launch digest: what has to be equal."""
    digest = random.Random(number).randbytes(48)
    said = run(sys.executable, tool, '--measurement', base64.b64encode(digest).decode(), '--idkey', keys[0],
               '--authorkey', keys[1])
    theirs = [base64.b64decode(re.search(f'{name}=([A-Za-z0-9+/=]*)', said).group(1))
              for name in ('id-block', 'id-auth')]
    hashes = [base64.b64decode(re.search(f'{name}: (.*)', said).group(1)).hex()
              for name in ('id_key_hash', 'author_key')]
    out = os.path.join(folder, f'out-{number}')
    told = json.loads(run(program, 'id-block', '--measurement', digest.hex(), '--id-key', keys[0], '--author-key',
                          keys[1], '--output-dir', out, '--format', 'json'))
    ours = []
    for name in 'id-block.bin', 'id-auth.bin':
        with open(os.path.join(out, name), 'rb') as file:
            ours.append(file.read())
    for name, data in zip(('theirs-block', 'theirs-auth'), theirs):
        with open(os.path.join(out, name), 'wb') as file:
            file.write(data)
    verify = subprocess.run([program, 'id-block-verify', '--id-block', f'{out}/theirs-block', '--id-auth',
                             f'{out}/theirs-auth', '--id-key', hashes[0], '--author-key', hashes[1]],
                            capture_output=True, check=False)
    return [('the same ID block', ours[0].hex(), theirs[0].hex()),
            ('the same page but for the signatures', unsigned(ours[1]).hex(), unsigned(theirs[1]).hex()),
            ('the same key digests', [told['idKeyDigest'], told['authorKeyDigest']], hashes),
            ('their page is good to us', verify.returncode and verify.stderr.decode(), 0),
            ('both signatures of both pages hold for openssl',
             (idblock.both_verify(*ours), idblock.both_verify(*theirs)), ((True, True), (True, True)))]


def main():
    program = sys.argv[1]
    tool = peer_tool()
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix='id-block-') as folder:
        for seed in range(COUNT):
            keys = [idblock.make_key(os.path.join(folder, f'{name}-{seed}.pem')) for name in ('id', 'author')]
            for what, ours, theirs in compare(tool, program, folder, keys, seed):
                number += 1
                good = ours == theirs
                failed += not good
                print(f'{"ok" if good else "not ok"} {number} - digest {seed}: {what}', flush=True)
                if not good:
                    print(f'# {ours!r}\n# instead of {theirs!r}', flush=True)
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
