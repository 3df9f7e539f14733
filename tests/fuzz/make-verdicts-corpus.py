#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/verdicts: lists of verdicts, with the checksum right unless the name says otherwise."""
import hashlib
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'corpus' / 'verdicts'
UUID = '4628b277-cd81-4b55-b30c-ba36606ea5b6'
GOOD = {'time': '2026-11-28T05:40:12Z', 'verdict': 'accepted', 'source': 'file', 'form': 'binary', 'trustAnchor': 'amd',
        'fresh': True, 'report': 'a' * 64, 'reportId': 'b' * 64, 'measurement': 'c' * 96,
        'reportedTcb': 'bootloader=3,tee=0,snp=14,microcode=209', 'chip': 'd' * 128, 'reference': 'e' * 64,
        'launch': '1795305600000000-17', 'failed': []}
FAILED = [{'name': 'nonce', 'text': 'this is another report, or an old one'}]


def compact(value):
    return json.dumps(value, separators=(',', ':'))


def entry(drop=(), **changes):
    return compact({name: value for name, value in {**GOOD, **changes}.items() if name not in drop})


def sealed(lines, form='virt-attest-verdicts-1', uuid=UUID, member='verdicts', separator=',\n'):
    head = compact({'format': form, 'uuid': uuid, 'name': 'guest1'})[:-1] + f',"{member}":[\n'
    text = (head + separator.join(lines) + ('\n' if lines else '')).encode()
    return text + b'],"sha256":"' + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def cases():
    good = sealed([entry()])
    rejected = entry(verdict='rejected', failed=FAILED, trustAnchor='file', source='agent')
    old = entry(drop=('chip', 'reference'), launch=None, at='2025-01-01T00:00:00Z', source='channel')
    yield 'ok-empty', sealed([])
    yield 'ok-one', good
    yield 'ok-three', sealed([entry(chip='d' * 16), rejected, old])
    yield 'ok-incomplete', sealed([entry(verdict='incomplete', failed=FAILED)])
    yield 'bad-nothing', b''
    yield 'bad-torn', good[:200]
    yield 'bad-checksum', good.replace(b'accepted', b'rejected')
    yield 'bad-format', sealed([entry()], form='virt-attest-record-1')
    yield 'bad-uuid', sealed([entry()], uuid=UUID.replace('4', '5', 1))
    yield 'bad-launches', sealed([entry()], member='launches')
    yield 'bad-layout', sealed([entry(), entry()], separator=',')
    yield 'bad-comma', sealed([entry(), entry()], separator='\n')
    yield 'bad-zero', sealed([entry(form='x')]).replace(b'"x"', b'"\0"')
    for name in GOOD:
        if name not in ('chip', 'reference'):
            yield f'bad-no-{name}', sealed([entry(drop=(name,))])
    for name, value in {'time': 'today', 'verdict': 'perhaps', 'source': 'hearsay', 'trustAnchor': 'mine', 'fresh': 1,
                        'report': 'A' * 64, 'reportId': 'b' * 62, 'measurement': 'c' * 64, 'chip': 'd' * 64,
                        'reference': '', 'launch': 17, 'failed': {}, 'at': 'then', 'signed': True}.items():
        yield f'bad-{name}', sealed([entry(**{name: value})])
    yield 'bad-accepted', sealed([entry(failed=FAILED)])
    yield 'bad-rejected', sealed([entry(verdict='rejected')])
    yield 'bad-old-launch', sealed([entry(at='2025-01-01T00:00:00Z')])
    yield 'bad-check', sealed([entry(verdict='rejected', failed=[{'name': 'nonce'}])])
    yield 'bad-check-word', sealed([entry(verdict='rejected', failed=['nonce'])])
    yield 'bad-many', sealed([entry(verdict='rejected', failed=FAILED * 257)])
    yield 'bad-twice', sealed([entry()[:-1] + ',"fresh":false}'])


if __name__ == '__main__':
    FOLDER.mkdir(exist_ok=True)
    for name, data in cases():
        (FOLDER / name).write_bytes(data)
