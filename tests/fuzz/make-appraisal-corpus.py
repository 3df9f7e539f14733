#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the corpora of the verifier's parsers: make-appraisal-corpus.py [FOLDER OF CORPORA].

ok-… has to be taken, bad-… refused (tests/unit/test-appraisal-report.c). Certificates and revocation lists come from
the test authority with new keys and new salts, so another run writes other bytes.
"""
import base64
import importlib.util
import json
import pathlib
import struct
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
GUIDS = {'vcek': '63da758d-e664-4564-adc5-f4b93be8accd', 'vlek': 'a8074bc2-a25a-483e-aae6-39c045a0b8a1',
         'ask': '4ab7b379-bbac-4fe4-a02f-05aef327c782', 'ark': 'c0b406a4-a803-4952-9743-3fb6014cd0ae',
         'crl': '92f81bc3-5811-4d3d-97ff-d19f88dc67ea', 'other': 'ecae0c0f-9502-43b1-afa2-0ae2e0d565b6'}


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def patched(raw, *changes):
    """CHANGES: (offset, bytes)."""
    raw = bytearray(raw)
    for offset, data in changes:
        raw[offset:offset + len(data)] = data
    return bytes(raw)


def reports(show):
    good, old, five = show.report(), show.report(version=2), show.report(5, (0x1a, 2, 1), tcb=show.TURIN_TCB, chip=8)
    one = b'\x01'
    yield from {
        'ok-milan-2': old, 'ok-milan-3': good, 'ok-milan-4': show.report(4), 'ok-turin-5': five,
        'ok-turin-2': show.report(version=2, chip=8), 'ok-masked': show.report(chip=0, key_info=2),
        'ok-vlek': show.report(chip=0, key_info=4), 'ok-no-key': show.report(key_info=0x1c),
        'ok-author-key': show.report(key_info=1), 'ok-from-host': show.report(vmpl=0xffffffff),
        'ok-unknown-processor': show.report(cpu=(0x1b, 0x50, 0)), 'ok-genoa': show.report(cpu=(0x19, 0xaf, 0)),
        'ok-platform-bits': show.report(platform=(1 << 64) - 1), 'ok-policy-bits': show.report(policy=0x3ffffff),
        'bad-empty': b'', 'bad-short': good[:-1], 'bad-long': good + bytes(1), 'bad-signed-part': good[:0x2a0],
        'bad-version-0': patched(good, (0, b'\0')), 'bad-version-1': patched(good, (0, one)),
        'bad-version-6': patched(good, (0, b'\6')), 'bad-version-high': patched(good, (3, one)),
        'bad-algorithm-0': patched(good, (0x34, b'\0')), 'bad-algorithm-2': patched(good, (0x34, b'\2')),
        'bad-vmpl': show.report(vmpl=4), 'bad-signing-key': show.report(key_info=3 << 2),
        'bad-key-info': show.report(key_info=1 << 5), 'bad-policy-17': show.report(policy=0x10000),
        'bad-policy-26': show.report(policy=0x4030000), 'bad-policy-63': show.report(policy=1 << 63 | 0x30000),
        'bad-cpuid-2': patched(old, (0x188, one)), 'bad-mitigation-4': patched(show.report(4), (0x200, one)),
        'bad-reserved-4c': patched(good, (0x4c, one)), 'bad-reserved-18b': patched(good, (0x18b, one)),
        'bad-reserved-1eb': patched(good, (0x1eb, one)), 'bad-reserved-1ef': patched(good, (0x1ef, one)),
        'bad-reserved-208': patched(five, (0x208, one)), 'bad-reserved-29f': patched(five, (0x29f, one)),
        'bad-r': patched(good, (0x2d0, one)), 'bad-s': patched(good, (0x32f, one)),
        'bad-tail': patched(good, (0x330, one)), 'bad-end': patched(good, (0x49f, one)),
    }.items()


def json_forms(show):
    good, new = show.virtee(show.report()), show.virtee_newer(show.report(5, (0x1a, 2, 1), tcb=show.TURIN_TCB, chip=8))
    chain = [{'cert_type': 'VCEK', 'data': [1, 2, 3]}, {'cert_type': 'crl', 'data': [255]}]

    def but(document, **members):
        document = {**document, **members}
        return json.dumps({name: value for name, value in document.items() if value != 'absent'}).encode()

    yield from {
        'ok-json': but(good), 'ok-json-newer': but(new), 'ok-json-spaces': b' \n' + but(new),
        'ok-json-wrapped': json.dumps({'attestation_report': good, 'cert_chain': chain}).encode(),
        'ok-json-no-chain': json.dumps({'attestation_report': new, 'cert_chain': None}).encode(),
        'ok-json-least': but(new, launch_mit_vector='absent', current_mit_vector=None),
        'bad-json-empty': b'{}', 'bad-json-cut': but(good)[:-1], 'bad-json-behind': but(good) + b'x',
        'bad-json-array': b'[' + but(good) + b']', 'bad-json-unknown': but(good, colour=1),
        'bad-json-twice': but(good)[:-1] + b',"version":3}', 'bad-json-no-policy': but(good, policy='absent'),
        'bad-json-no-signature': but(good, signature='absent'), 'bad-json-null': but(good, measurement=None),
        'bad-json-long': but(good, measurement=[0] * 49), 'bad-json-short': but(good, measurement=[0] * 47),
        'bad-json-256': but(good, host_data=[256] + [0] * 31),
        'bad-json-negative': but(good, host_data=[-1] + [0] * 31),
        'bad-json-float': but(good, host_data=[1.0] + [0] * 31), 'bad-json-text': but(good, host_data='00' * 32),
        'bad-json-vmpl': but(good, vmpl=1 << 32), 'bad-json-vmpl-text': but(good, vmpl='0'),
        'bad-json-policy': but(good, policy=-1), 'bad-json-policy-large': but(good, policy=1 << 64),
        'bad-json-both-keys': but(good, key_info=0), 'bad-json-no-key': but(good, _author_key_en='absent'),
        'bad-json-both-cpuid': but(good, cpuid_fam_id=25), 'bad-json-both-build': but(good, current=new['current']),
        'bad-json-no-build': but(good, current_build='absent'), 'bad-json-both-mit': but(good, launch_mit_vector=1),
        'bad-json-tcb': but(good, launch_tcb=[0] * 8), 'bad-json-tcb-part': but(good, launch_tcb={'bootloader': 1}),
        'bad-json-tcb-unknown': but(good, launch_tcb={**good['launch_tcb'], 'x': 1}),
        'bad-json-tcb-both': but(new, launch_tcb={**new['launch_tcb'], '_reserved': [0] * 4}),
        'bad-json-signature-part': but(new, signature={'r': [0] * 72}),
        'bad-json-reserved': but(good, _reserved_2=1), 'bad-json-version': but(good, version=9),
        'bad-json-chain-type': json.dumps({'attestation_report': good, 'cert_chain': [
            {'cert_type': 'OTHER', 'data': [1]}]}).encode(),
        'bad-json-chain-data': json.dumps({'attestation_report': good, 'cert_chain': [
            {'cert_type': 'VCEK', 'data': []}]}).encode(),
        'bad-json-chain-null': json.dumps({'attestation_report': good, 'cert_chain': [None]}).encode(),
        'bad-json-wrapped-unknown': json.dumps({'attestation_report': good, 'x': 1}).encode(),
    }.items()


def evidence(show):
    raw = show.report()
    table = show.table([(GUIDS['vcek'], b'a certificate')])
    head = struct.pack('<4sIIII12x', b'HCLA', 1, 0x20 + len(raw) + 24, 2, 0)
    hcl = head + raw + struct.pack('<IIIII', 24, 1, 2, 1, 4) + b'{  }'
    response = struct.pack('<II24x', 0, 1184) + raw
    text = base64.b64encode(raw)
    yield from json_forms(show)
    yield from {
        'ok-binary': raw, 'ok-extended': raw + table, 'ok-extended-empty': raw + bytes(24), 'ok-response': response,
        'ok-response-room': response + bytes(2784), 'ok-hex': raw.hex().encode(),
        'ok-hex-upper': raw.hex().upper().encode(),
        'ok-hex-lines': '\n'.join(raw.hex(' ', 16).splitlines()).encode(), 'ok-base64': text, 'ok-hcl': hcl,
        'ok-base64-lines': base64.encodebytes(raw), 'ok-base64-extended': base64.b64encode(raw + table),
        'ok-hcl-room': hcl + bytes(300), 'ok-hex-hcl': hcl.hex().encode(),
        'bad-empty': b'', 'bad-space': b' \n', 'bad-binary-short': raw[:-1], 'bad-binary-newline': raw + b'\n',
        'bad-extended-table': raw + table[:-1], 'bad-response-status': patched(response, (0, b'\x16')),
        'bad-response-behind': response + b'x', 'bad-response-short': response[:-1],
        'bad-hex-odd': raw.hex().encode()[:-1], 'bad-hex-short': raw.hex().encode()[:-2],
        'bad-hex-prefix': b'0x' + raw.hex().encode(), 'bad-base64-cut': text[:-1], 'bad-base64-short': text[:-4],
        'bad-base64-bits': text[:-2] + b'B=' if text.endswith(b'=') else text[:-4] + b'====',
        'bad-base64-zero': text[:40] + b'\0' + text[41:], 'bad-hcl-cut': hcl[:1000], 'bad-hcl-header': hcl[:16],
        'bad-hcl-size': patched(hcl, (8, b'\xff\xff\xff\xff')), 'bad-hcl-small': patched(hcl, (8, bytes(4))),
        'bad-hcl-type': patched(hcl, (12, b'\1')), 'bad-hcl-kind': patched(hcl, (0x20 + 1184 + 8, b'\4')),
        'bad-hcl-version': patched(hcl, (0x20, b'\0')), 'bad-text': b'this is no report',
    }.items()


def tables(show):
    def entry(role, offset, length):
        return bytes.fromhex(GUIDS[role].replace('-', '')) + struct.pack('<II', offset, length)

    end = bytes(24)
    many = b''.join(bytes([n + 1] * 16) + struct.pack('<II', 24 * 41 + n, 1) for n in range(40))
    full = show.table([(guid, name.encode() * 9) for name, guid in GUIDS.items()])
    yield from {
        'ok-none': end, 'ok-no-bytes': b'', 'ok-page': bytes(4096), 'ok-all': full, 'ok-room': full + bytes(100),
        'ok-backwards': entry('vcek', 74, 2) + entry('ask', 72, 2) + end + b'abcd',
        'bad-no-end': full[:24 * len(GUIDS)], 'bad-cut': full[:-1], 'bad-inside': entry('vcek', 0, 4) + end + b'data',
        'bad-in-end': entry('vcek', 47, 1) + end + b'data', 'bad-behind': entry('vcek', 48, 5) + end + b'data',
        'bad-far': entry('vcek', 0xffffffff, 2) + end + b'data',
        'bad-wraps': entry('vcek', 0xfffffffe, 50) + end + b'data',
        'bad-length': entry('vcek', 48, 0xffffffff) + end + b'data', 'bad-empty': entry('vcek', 48, 0) + end + b'data',
        'bad-twice': entry('vcek', 72, 1) + entry('vcek', 73, 1) + end + b'data',
        'bad-overlap': entry('vcek', 72, 3) + entry('ask', 74, 1) + end + b'data',
        'bad-same': entry('vcek', 72, 3) + entry('ask', 72, 3) + end + b'data',
        'bad-many': many + end + bytes(40),
        'bad-one-byte': b'\0', 'bad-half-end': bytes(23),
    }.items()


def certificates(authority, line):
    milan, turin = line('Milan'), line('Turin')
    vcek, vlek = milan.vcek().certificate, milan.vlek().certificate
    yield from {
        'ok-milan.der': vcek, 'ok-milan.pem': authority.pem(vcek).encode(), 'ok-vlek.der': vlek,
        'ok-turin.der': turin.vcek().certificate,
        'bad-ask.der': milan.ask, 'bad-chain.pem': (authority.pem(vcek) + milan.chain()).encode(),
        'bad-cut.der': vcek[:-1], 'bad-longer.der': vcek + bytes(1), 'bad-version.der': vcek.replace(
            bytes.fromhex('a003020102'), bytes.fromhex('a003020101'), 1),
        'bad-ber.der': bytes.fromhex('308300') + vcek[2:], 'bad-pem-cut.pem': authority.pem(vcek).encode()[:-30],
        'bad-pem-label.pem': authority.pem(vcek, 'X509 CRL').encode(), 'bad-empty': b'', 'bad-text': b'certificate',
        'bad-spl.der': milan.vcek(extensions=[
            (number, bytes.fromhex('02020100') if number == '3.8' else value)
            for number, value in authority.endorsement_extensions('Milan', milan.vcek().tcb, authority.chip('Milan'))
        ]).certificate,
        'bad-no-hwid.der': milan.vcek(extensions=[
            pair for pair in authority.endorsement_extensions('Milan', milan.vcek().tcb, authority.chip('Milan'))
            if pair[0] != '4']).certificate,
    }.items()


def lists(authority, line):
    milan = line('Milan')
    good = milan.crl()
    yield from {
        'ok-list.der': good, 'ok-list.pem': authority.pem(good, 'X509 CRL').encode(),
        'ok-revoked.der': milan.crl(revoked=[0x10001, 0x10101]), 'ok-stale.der': milan.crl(next_update=1),
        'bad-cut.der': good[:-1], 'bad-longer.der': good + b'\0', 'bad-certificate.der': milan.ark,
        'bad-label.pem': authority.pem(good).encode(), 'bad-issuer.der': milan.crl(issuer=milan.subject('ask')),
        'bad-empty': b'', 'bad-pem-cut.pem': authority.pem(good, 'X509 CRL').encode()[:-20],
        'bad-ber.der': bytes.fromhex('308300') + good[2:],
    }.items()


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else TESTS / 'corpus'
    show = load('report_show', TESTS / 'golden' / 'cli' / 'report-show.py')
    authority = load('authority', TESTS / 'platform' / 'authority.py')
    with tempfile.TemporaryDirectory() as keys:
        line = authority.Authority(keys, now=1767225600).line
        corpora = {'report': reports(show), 'evidence': evidence(show), 'certificate-table': tables(show),
                   'endorsement': certificates(authority, line), 'revocation-list': lists(authority, line)}
        for name, files in corpora.items():
            folder = target / name
            folder.mkdir(parents=True, exist_ok=True)
            for file, data in files:
                (folder / file).write_bytes(data)


if __name__ == '__main__':
    main()
