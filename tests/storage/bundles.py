# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bundles taken apart and put together again by Python, and the keys that go with them by openssl."""
import hashlib
import io
import json
import subprocess
import tarfile


def members(path):
    """Name -> bytes, in order."""
    with tarfile.open(path) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive.getmembers()}


def write(path, contents):
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def sealed(contents):
    """The same with a manifest that agrees: what somebody does who knows how bundles are made."""
    manifest = json.loads(contents['manifest.json'])
    manifest['files'] = {name: {'sha256': hashlib.sha256(data).hexdigest(), 'size': len(data)}
                         for name, data in contents.items() if name != 'manifest.json'}
    return {**contents, 'manifest.json': json.dumps(manifest).encode()}


def flipped(data, at=None):
    at = len(data) // 2 if at is None else at
    return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1:]


def openssl(*words):
    subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True)


def make_keys(folder, name, kind='ed25519'):
    """(private, public) in PEM; @kind "p384" for ID keys."""
    options = ['-algorithm', 'ed25519'] if kind == 'ed25519' else ['-algorithm', 'EC', '-pkeyopt',
                                                                   'ec_paramgen_curve:P-384']
    private, public = f'{folder}/{name}.pem', f'{folder}/{name}.pub'
    openssl('genpkey', *options, '-out', private)
    subprocess.run(['chmod', '600', private], check=True)
    openssl('pkey', '-in', private, '-pubout', '-out', public)
    return private, public
