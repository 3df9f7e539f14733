#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/answer: what a guest may send. The report is one in form only."""
import base64
import json
import pathlib

OUT = pathlib.Path(__file__).resolve().parent.parent / 'corpus' / 'answer'
NONCE = bytes(range(32)).hex()
KEY = 'ssh-ed25519 ' + base64.b64encode(b'\0\0\0\x0bssh-ed25519\0\0\0\x20' + bytes(range(32))).decode()
REPORT = bytearray(1184)
REPORT[0], REPORT[0x0a], REPORT[0x34] = 2, 3, 1


def document(**members):
    whole = {'format': 'virt-attest-evidence-1', 'provider': 'sev-guest', 'vmpl': 0, 'nonce': NONCE,
             'reportData': '00' * 64, 'report': base64.b64encode(REPORT).decode(), 'sshHostKey': KEY, **members}
    return json.dumps({name: value for name, value in whole.items() if value is not None},
                      separators=(',', ':')).encode() + b'\n'


CASES = {
    'good': document(),
    'no-key': document(sshHostKey=None),
    'error': document(report=None, sshHostKey=None, error='no device'),
    'error-and-report': document(error='no device'),
    'error-escape': document(error='\x1b[2J\ntwo lines'),
    'other-nonce': document(nonce='ff' * 32) + document(),
    'two': document() + document(sshHostKey=None),
    'noise': b'\n\nlogin: root\r\n' + bytes(range(256)) + b'\n' + document(),
    'zero': document()[:40] + b'\0' + document()[40:],
    'cut': document()[:700],
    'short-report': document(report=base64.b64encode(REPORT[:-1]).decode()),
    'bad-base64': document(report='=' * 1580),
    'table': document(auxblob=base64.b64encode(bytes(24)).decode()),
    'bad-table': document(auxblob='AAAA'),
    'key-lines': document(sshHostKey=KEY + '\n* ' + KEY),
    'key-comment': document(sshHostKey=KEY + ' root@guest'),
    'key-options': document(sshHostKey='@cert-authority ' + KEY),
    'key-type': document(sshHostKey=KEY.replace('ssh-ed25519', 'ssh-rsa')),
    'key-empty': document(sshHostKey=''),
    'unknown': document(more=1),
    'format': document(format='virt-attest-evidence-2'),
    'array': b'["' + NONCE.encode() + b'"]\n',
    'nonce-alone': NONCE.encode() + b'\n',
    'newlines': b'\n' * 2000,
    'deep': b'[' * 3000 + NONCE.encode() + b'\n',
}

OUT.mkdir(exist_ok=True)
for name, data in CASES.items():
    (OUT / name).write_bytes(b'\x06' + data)
