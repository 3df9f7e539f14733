#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/agent: what a guest agent may answer. The report is one in form only."""
import base64
import json
import pathlib

OUT = pathlib.Path(__file__).resolve().parent.parent / 'corpus' / 'agent'
REPORT = bytearray(1184)
REPORT[0], REPORT[0x0a], REPORT[0x34] = 2, 3, 1
DOCUMENT = json.dumps({'format': 'virt-attest-evidence-1', 'provider': 'sev-guest', 'vmpl': 0, 'reportData': '00' * 64,
                       'report': base64.b64encode(REPORT).decode()}).encode() + b'\n'


def answer(**members):
    return json.dumps({'return': members}).encode()


def ended(out=None, err=None, **members):
    data = {'out-data': out, 'err-data': err}
    return answer(exited=True, **{name: base64.b64encode(value).decode() for name, value in data.items() if value is not None},
                  **members)


CASES = {
    'exec': answer(pid=1234),
    'exec-negative': answer(pid=-1),
    'exec-large': answer(pid=1 << 40),
    'exec-twice': b'{"return":{"pid":1,"pid":2}}',
    'running': answer(exited=False),
    'good': ended(DOCUMENT, exitcode=0),
    'good-extra': ended(DOCUMENT, exitcode=0, later={'a': [1]}),
    'failed': ended(err=b'error: this is no SEV-SNP guest\n', exitcode=4),
    'failed-escape': ended(err=b'\x1b[2J\xff\r\n', exitcode=4),
    'signal': ended(signal=9),
    'signal-and-code': ended(signal=9, exitcode=0),
    'no-code': ended(DOCUMENT),
    'zero': ended(DOCUMENT[:30] + b'\0' + DOCUMENT[30:], exitcode=0),
    'cut': ended(DOCUMENT[:300], exitcode=0),
    'truncated': ended(DOCUMENT, exitcode=0, **{'out-truncated': True}),
    'empty': ended(b'', exitcode=0),
    'bad-base64': answer(exited=True, exitcode=0, **{'out-data': 'e31='}),
    'number': answer(exited=True, exitcode=0, **{'out-data': 1}),
    'error': b'{"error":{"class":"GenericError","desc":"\\u001b[31mno"}}',
    'info': answer(version='10.0.2', supported_commands=[{'name': 'guest-exec', 'enabled': False, 'success-response': True}]),
    'info-allowed': answer(supported_commands=[{'name': 'guest-exec', 'enabled': True}]),
    'info-none': answer(supported_commands=[]),
    'info-names': answer(supported_commands=[{'name': 7, 'enabled': True}]),
    'deep': b'{"return":' + b'[' * 3000,
    'array': b'[{"return":{}}]',
    'nothing': b'{}',
}

OUT.mkdir(exist_ok=True)
for name, data in CASES.items():
    (OUT / name).write_bytes(data)
