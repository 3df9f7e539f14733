# SPDX-License-Identifier: LGPL-2.1-or-later
"""ID block and ID authentication page, made and taken apart from the specification alone (SEV-SNP Firmware ABI 56860)
with the openssl program: the tests' own opinion, which shares nothing with policy/.
"""
import hashlib
import os
import struct
import subprocess
import tempfile

BLOCK_SIGNATURE, ID_KEY, KEY_SIGNATURE, AUTHOR_KEY = 0x40, 0x240, 0x680, 0x880
KEY_SIZE, NUMBER, PAGE = 0x404, 72, 4096
# SubjectPublicKeyInfo of an uncompressed point on secp384r1 (RFC 5480), up to the point's first byte.
SPKI = bytes.fromhex('3076301006072a8648ce3d020106052b8104002203620004')


def openssl(*arguments, data=None):
    return subprocess.run(['openssl', *arguments], input=data, capture_output=True, check=True).stdout


def make_key(path, curve='P-384'):
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', f'ec_paramgen_curve:{curve}', '-out', path)
    os.chmod(path, 0o600)
    return path


def public_key(path):
    """The 0x404 bytes of the key in @path as a page has them."""
    spki = openssl('pkey', '-in', path, '-pubout', '-outform', 'DER')
    assert spki.startswith(SPKI) and len(spki) == len(SPKI) + 96
    x, y = spki[-96:-48], spki[-48:]
    return (struct.pack('<I', 2) + x[::-1].ljust(NUMBER, b'\0') + y[::-1].ljust(NUMBER, b'\0')).ljust(KEY_SIZE, b'\0')


def digest(key):
    return hashlib.sha384(key).hexdigest()


def der_numbers(der):
    """R and S of an Ecdsa-Sig-Value."""
    at = 3 if der[1] == 0x81 else 2
    numbers = []
    for _ in range(2):
        assert der[at] == 2
        numbers.append(int.from_bytes(der[at + 2:at + 2 + der[at + 1]], 'big'))
        at += 2 + der[at + 1]
    assert at == len(der)
    return numbers


def signature(path, data):
    r, s = der_numbers(openssl('dgst', '-sha384', '-sign', path, data=data))
    return (r.to_bytes(NUMBER, 'little') + s.to_bytes(NUMBER, 'little')).ljust(512, b'\0')


def make_block(launch_digest, policy=0x30000, family_id=bytes(16), image_id=bytes(16), svn=0, version=1):
    return launch_digest + family_id + image_id + struct.pack('<IIQ', version, svn, policy)


def make_page(block, id_key, author_key=None):
    page = bytearray(PAGE)
    struct.pack_into('<II', page, 0, 1, 1 if author_key else 0)
    page[BLOCK_SIGNATURE:BLOCK_SIGNATURE + 512] = signature(id_key, block)
    page[ID_KEY:ID_KEY + KEY_SIZE] = public_key(id_key)
    if author_key:
        page[KEY_SIGNATURE:KEY_SIGNATURE + 512] = signature(author_key, public_key(id_key))
        page[AUTHOR_KEY:AUTHOR_KEY + KEY_SIZE] = public_key(author_key)
    return bytes(page)


def der_integer(number):
    body = number.to_bytes(number.bit_length() // 8 + 1, 'big')
    return b'\x02' + bytes([len(body)]) + body


def openssl_verifies(page, key_at, signature_at, data):
    """Whether the openssl program takes the signature, with nothing but bytes that were cut out of the page."""
    x = page[key_at + 4:key_at + 4 + 48][::-1]
    y = page[key_at + 4 + NUMBER:key_at + 4 + NUMBER + 48][::-1]
    r = int.from_bytes(page[signature_at:signature_at + NUMBER], 'little')
    s = int.from_bytes(page[signature_at + NUMBER:signature_at + 2 * NUMBER], 'little')
    body = der_integer(r) + der_integer(s)
    length = bytes([len(body)]) if len(body) < 128 else bytes([0x81, len(body)])
    with tempfile.TemporaryDirectory(prefix='id-block-') as folder:
        for name, contents in ('key', SPKI + x + y), ('signature', b'\x30' + length + body), ('data', data):
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(contents)
        done = subprocess.run(['openssl', 'dgst', '-sha384', '-verify', 'key', '-keyform', 'DER', '-signature',
                               'signature', 'data'], cwd=folder, capture_output=True, text=True)
    return done.returncode == 0 and 'Verified OK' in done.stdout


def both_verify(block, page):
    return (openssl_verifies(page, ID_KEY, BLOCK_SIGNATURE, block),
            openssl_verifies(page, AUTHOR_KEY, KEY_SIGNATURE, page[ID_KEY:ID_KEY + KEY_SIZE]))
