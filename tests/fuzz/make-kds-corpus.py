#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/kds, and kds-anchor.pem beside this script: answers of a Key Distribution Service, good and bad.

The keys of the test authority that signed them are thrown away: another run makes other files.
"""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'platform'))
import authority as authorities  # noqa: E402


def main():
    folder = os.path.join(os.path.dirname(HERE), 'corpus', 'kds')
    os.makedirs(folder, exist_ok=True)
    authority = authorities.Authority()
    milan, turin = authority.line('Milan'), authority.line('Turin')
    vcek = milan.vcek().certificate
    chain = milan.chain().encode()
    crl = milan.crl([milan.serials['ask']])
    block = authorities.pem(milan.ark).encode()
    files = {
        'vcek-milan.der': vcek,
        'vcek-turin.der': turin.vcek().certificate,
        'vcek.pem': authorities.pem(vcek).encode(),
        'vlek.der': milan.vlek().certificate,
        'chain.pem': chain,
        'chain-vlek.pem': milan.chain('vlek').encode(),
        'chain-crlf.pem': chain.replace(b'\n', b'\r\n'),
        'chain-text.pem': b'Some words in front.\n' + chain + b'And behind.\n',
        'crl.der': crl,
        'crl.pem': authorities.pem(crl, 'X509 CRL').encode(),
        'crl-unknown-issuer.der': milan.crl(issuer=authorities.name('ARK-Venice')),
        'empty': b'',
        'html': b'<html><body>Please log in.</body></html>',
        'vcek-short.der': vcek[:-1],
        'vcek-long.der': vcek + b'\0',
        'vcek-length.der': b'\x30\x84\xff\xff\xff\xff' + vcek[4:],
        'vcek-indefinite.der': b'\x30\x80' + vcek[4:] + b'\0\0',
        'vcek-flipped.der': vcek[:600] + bytes([vcek[600] ^ 1]) + vcek[601:],
        'nul.der': b'\x30\x00',
        'chain-cut.pem': chain[:-200],
        'chain-headless.pem': chain[28:],
        'chain-33.pem': block * 33,
        'chain-encrypted.pem': block.replace(
            b'-----\n', b'-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n', 1),
        'key.pem': b'-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
        'wrong-label.pem': block.replace(b'CERTIFICATE', b'X509 CRL'),
        'bad-base64.pem': b'-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n',
    }
    for name, data in files.items():
        with open(os.path.join(folder, name), 'wb') as out:
            out.write(data)
    with open(os.path.join(HERE, 'kds-anchor.pem'), 'w', encoding='utf-8') as out:
        out.write(milan.trust_anchor() + turin.trust_anchor())


if __name__ == '__main__':
    main()
