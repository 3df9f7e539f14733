#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/{alman,toml,savs,corim}: files to be taken (ok-) and to be refused (bad-). Needs python3-cbor2."""
import base64
import json
import pathlib

import cbor2
from cbor2 import CBORTag as Tag

CORPUS = pathlib.Path(__file__).resolve().parent.parent / 'corpus'
HEX = 'a1' * 48


def write(folder, files):
    target = CORPUS / folder
    target.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        if isinstance(contents, (dict, list)):
            contents = json.dumps(contents, indent=2, sort_keys=True)
        (target / name).write_bytes(contents if isinstance(contents, bytes) else contents.encode())


def alman():
    spec = {'kind': 'type', 'type': 'EPYC-Milan'}
    entry = {'al': 3, 'append': 'root=/dev/vda2 rw', 'vcpus': 2, 'mode': 'snp', 'vmm_type': 'QEMU', 'ovmf': '/o.fd',
             'kernel': '/k', 'initrd': '/i', 'cpu_types_config': '/c.json', 'errors': {'x': 'y'},
             'cpu_types': [spec, {'kind': 'sig', 'sig': '0xa00f11'},
                           {'kind': 'fms', 'family': 25, 'model': 17, 'stepping': 1}],
             'measurements': {'EPYC-Milan': {'cpu_spec': spec, 'measurement_hex': HEX}},
             'timestamp_utc': '2026-11-22T08:04:26Z'}

    def changed(**members):
        return {'guest': {**entry, **members}}

    write('alman', {
        'ok-head': {'guest': entry},
        'ok-old': {'guest': {k: v for k, v in entry.items() if k != 'measurements'}},
        'ok-foreign': changed(mine={'deep': [1, None, {}]}),
        'ok-two': {'a': entry, 'b/../ü😀\n': entry},
        'ok-none': {},
        'ok-level2': changed(al=2, kernel='', initrd=''),
        'bad-empty': b'', 'bad-list': [], 'bad-torn': json.dumps({'guest': entry})[:-2],
        'bad-twice': '{"a":{},"a":{}}', 'bad-fraction': changed(mine=1.5), 'bad-utf8': b'{"\xff":{}}',
        'bad-nul': b'{"a\\u0000":{}}', 'bad-two-documents': '{} {}', 'bad-trailing': json.dumps({}) + 'x',
        'bad-al': changed(al=1), 'bad-al-text': changed(al='3'), 'bad-vcpus': changed(vcpus=0),
        'bad-vcpus-many': changed(vcpus=1000000), 'bad-mode': changed(mode='seves'), 'bad-ovmf': changed(ovmf=''),
        'bad-no-kernel': changed(kernel=''), 'bad-entry': {'guest': []},
        'bad-kind': changed(cpu_types=[{'kind': 'x'}]), 'bad-spec': changed(cpu_types=['EPYC-Milan']),
        'bad-spec-member': changed(cpu_types=[{**spec, 'more': 1}]), 'bad-spec-twice': changed(cpu_types=[spec, spec]),
        'bad-sig': changed(cpu_types=[{'kind': 'sig', 'sig': '0x1ffffffff'}]),
        'bad-short-digest': changed(measurements={'EPYC-Milan': {'cpu_spec': spec, 'measurement_hex': HEX[2:]}}),
        'bad-upper-digest': changed(measurements={'EPYC-Milan': {'cpu_spec': spec, 'measurement_hex': HEX.upper()}}),
        'bad-label': changed(measurements={'EPYC': {'cpu_spec': spec, 'measurement_hex': HEX}}),
        'bad-measurement': changed(measurements={'EPYC-Milan': HEX}),
        'bad-measurements': changed(measurements=[HEX]),
        'bad-deep': '{"a":' * 20 + '1' + '}' * 20,
    })
    good = 'QEMU_BIN=/q\nOVMF_CODE=/c\n'
    write('alman/conf', {
        'ok-plain': good, 'ok-export': 'export ' + good, 'ok-crlf': good.replace('\n', '\r\n'),
        'ok-quotes': 'QEMU_BIN="/q r"\nOVMF_CODE=\'/c\'\n# x\n\nOVMF_AL2=\n', 'ok-no-newline': good.strip(),
        'bad-empty': '', 'bad-no-code': 'QEMU_BIN=/q\n', 'bad-key': good + 'OVMF=/x\n', 'bad-twice': good + good,
        'bad-line': good + 'x\n', 'bad-quote': good + 'OVMF_AL2="\n', 'bad-nul': good.encode() + b'OVMF_AL2=\x00\n',
        'bad-utf8': good.encode() + b'OVMF_AL2=\xff\n', 'bad-control': good + 'OVMF_AL2=\x1b[1m\n',
        'bad-no-key': good + '=x\n',
    })
    write('alman/cpus', {
        'strings': ['EPYC-Milan', '0xa00f11'],
        'objects': [{'vcpu_sig': 10489617}, {'family': 25, 'model': 1, 'stepping': 1}],
        'twice': ['EPYC', 'EPYC'], 'escape': '["a"],"list":["b"]', 'numbers': [1], 'deep': '[' * 20 + ']' * 20,
    })


VM_CONFIG = '''# comment
host_cpu_family = "Milan"
vcpu_count = 1
ovmf_file = "/o.fd"
guest_features = 0x1
kernel_file = '/k'
initrd_file = "/i"
kernel_cmdline = "console=ttyS0 a=\\"b\\" \\u00fc"
platform_info = 0x1
guest_policy = 0x3_0000
family_id = "00000000000000000000000000000000"
image_id =  "00000000000000000000000000000000"

[min_commited_tcb]
bootloader = 3
tee = 0
snp = 14
microcode = 209
_reserved = [0, 0,
  0, 0] # fixed
'''


def toml():
    def changed(old, new):
        assert old in VM_CONFIG
        return VM_CONFIG.replace(old, new)

    write('toml', {
        'ok-example': VM_CONFIG, 'ok-crlf': VM_CONFIG.replace('\n', '\r\n'),
        'ok-unknown': 'mine = true\n' + VM_CONFIG + 'more = "x"\n[other]\na = [1, 2]\n',
        'ok-quoted-keys': changed('vcpu_count', '"vcpu_count"').replace('[min', "['min").replace('tcb]', "tcb']"),
        'ok-bases': changed('vcpu_count = 1', 'vcpu_count = 0b10').replace('= 209', '= 0o321'),
        'ok-no-newline': VM_CONFIG.rstrip(),
        'bad-empty': '',
        'bad-comment': '# x',
        'bad-twice': VM_CONFIG.replace('vcpu_count = 1', 'vcpu_count = 1\nvcpu_count = 1'),
        'bad-table-twice': VM_CONFIG + '[min_commited_tcb]\n', 'bad-dotted': VM_CONFIG + 'a.b = 1\n',
        'bad-inline': VM_CONFIG + 'a = {}\n', 'bad-tables': VM_CONFIG + '[[x]]\n', 'bad-float': VM_CONFIG + 'a = 1.5\n',
        'bad-date': VM_CONFIG + 'a = 2026-01-01\n', 'bad-multi': VM_CONFIG + 'a = """x"""\n',
        'bad-string-array': VM_CONFIG + 'a = ["x"]\n', 'bad-open-string': VM_CONFIG + 'a = "x\n',
        'bad-open-array': VM_CONFIG + 'a = [1,\n', 'bad-escape': VM_CONFIG + 'a = "\\x41"\n',
        'bad-surrogate': VM_CONFIG + 'a = "\\ud800"\n', 'bad-nul-escape': VM_CONFIG + 'a = "\\u0000"\n',
        'bad-nul': VM_CONFIG.encode() + b'a = 1\x00\n', 'bad-utf8': VM_CONFIG.encode() + b'a = "\xff"\n',
        'bad-bom': b'\xef\xbb\xbf' + VM_CONFIG.encode(), 'bad-leading-zero': changed('= 1\n', '= 01\n'),
        'bad-large': changed('= 0x3_0000', '= 0xffffffffffffffff'), 'bad-underscore': changed('0x3_0000', '0x3__0000'),
        'bad-negative': changed('vcpu_count = 1', 'vcpu_count = -1'), 'bad-type': changed('"/o.fd"', '1'),
        'bad-family': changed('Milan', 'Naples'), 'bad-id': changed('family_id = "00', 'family_id = "0'),
        'bad-reserved': changed('  0, 0]', '  0, 1]'), 'bad-tcb': changed('209', '256'),
        'bad-missing': changed('vcpu_count = 1\n', ''), 'bad-cr': VM_CONFIG + 'a = 1\rb = 2\n',
        'bad-key-as-table': 'other = 1\n' + VM_CONFIG + '[other]\n',
    })


def savs():
    policy = {'product_name': 'Milan', 'nonce_ttl_seconds': 300, 'delete_session_after_success': True,
              'allowed_report_versions': [4], 'expected_measurement_hex': HEX, 'required_policy_bits_set': '0x30000',
              'forbidden_policy_bits_set': 0, 'required_flags_bits_set': 0, 'forbidden_flags_bits_set': '0x1c',
              'chip_id_allowlist_hex': ['00' * 64], 'min_tcb': {'blSPL': 1, 'teeSPL': 0, 'snpSPL': 2, 'ucodeSPL': 3},
              'expected_fields': [{'name': 'vmpl', 'offset': 48, 'length': 4, 'expected_hex': '00000000'}]}

    def changed(**members):
        return {'dep': {**policy, **members}}

    write('savs', {
        'ok-all': {'dep': policy}, 'ok-least': {'dep': {'product_name': 'Milan'}}, 'ok-none': {},
        'ok-upper': changed(expected_measurement_hex=HEX.upper()),
        'bad-empty': '', 'bad-list': [], 'bad-entry': {'dep': 1}, 'bad-no-product': {'dep': {}},
        'bad-key': changed(expected_measurement=HEX), 'bad-short': changed(expected_measurement_hex=HEX[2:]),
        'bad-mask': changed(required_policy_bits_set='30000'), 'bad-negative': changed(forbidden_policy_bits_set=-1),
        'bad-mask-type': changed(required_flags_bits_set=True), 'bad-chip': changed(chip_id_allowlist_hex=['00' * 72]),
        'bad-version': changed(allowed_report_versions=['4']), 'bad-tcb': changed(min_tcb={'blSPL': 256}),
        'bad-tcb-key': changed(min_tcb={'bootloader': 1}), 'bad-ttl': changed(nonce_ttl_seconds='300'),
        'bad-field': changed(expected_fields=[{'offset': 0, 'length': 2, 'expected_hex': '00'}]),
        'bad-field-far': changed(expected_fields=[{'offset': 1184, 'length': 1, 'expected_hex': '00'}]),
        'bad-field-type': changed(expected_fields=[[]]), 'bad-field-empty': changed(
            expected_fields=[{'offset': 0, 'length': 0, 'expected_hex': ''}]),
        'launch-config': {'vcpu-model': 'EPYC-Turin', 'vcpu-count': 4, 'guest-policy': '0x30000'},
        'launch-config-bad': {'vcpu-model': 'EPYC-Turin', 'vcpu-count': 0, 'guest-policy': '0x30000'},
        'kernel-params': b'root=/dev/mapper/cryptroot ro  ',
    })
    values = {'snp_launch_measurement': [HEX, 'b2' * 48], 'snp_bootloader': [3, 4], 'other': {'x': None}}

    def message(payload, **members):
        encoded = base64.b64encode(payload if isinstance(payload, bytes) else json.dumps(payload).encode()).decode()
        return {'version': '0.1.0', 'type': 'sample', 'payload': encoded, **members}

    write('savs/rvps', {
        'ok-values': values, 'ok-message': message(values), 'ok-none': {'snp_launch_measurement': []},
        'bad-empty': '', 'bad-no-name': {'other': 1}, 'bad-string': {'snp_launch_measurement': HEX},
        'bad-upper': {'snp_launch_measurement': [HEX.upper()]}, 'bad-short': {'snp_launch_measurement': [HEX[2:]]},
        'bad-number': {'snp_launch_measurement': [1]}, 'bad-version': message(values, version='0.2.0'),
        'bad-type': message(values, type='swid'), 'bad-member': message(values, more=1),
        'bad-base64': {**message(values), 'payload': '!!!!'}, 'bad-base64-loose': {**message(values), 'payload': 'e30'},
        'bad-inner': message(b'[]'), 'bad-inner-nul': message(b'{"snp_launch_measurement":[]}\x00'),
        'bad-inner-message': message(message(values)),
    })


def corim():
    env = {0: {1: 'AMD', 2: 'SEV-SNP'}}
    tag_id = '77e8061e-4634-5e53-a848-d1d09e996843'
    profile = Tag(32, 'tag:microsoft.com,2026:launch-measurement/v1')

    def measurement(digest=b'\xa1' * 48, alg=7, key='MEASUREMENT', digests=1):
        return {0: key, 1: {2: [[alg, digest]] * digests}}

    def series(version=Tag(552, 1), meas=None, environment=None):
        return [[[environment or env, []], [[[meas or measurement()], [{1: {1: version}}]]]]]

    def document(meas=None, triples=None, environment=None, identity=None, tags=None, prof=profile, **more):
        values = triples or {0: [[environment or env, [meas or measurement()]]], 8: series()}
        inner = {1: {0: identity or tag_id}, 4: values}
        tag = Tag(506, cbor2.dumps(inner))
        more = {int(key[1:]): value for key, value in more.items()}
        return {0: 'AMD/SEV-SNP/launch-measurement', 1: tags or [tag], 3: prof, **more}

    def wrapped(*args, **kw):
        return cbor2.dumps(Tag(501, document(*args, **kw)))

    good = wrapped()
    reference = {0: [[env, [measurement()]]]}
    write('corim', {
        'ok-profile': good,
        'ok-bare-profile': wrapped(prof=profile.value),
        'ok-upper-id': wrapped(identity=tag_id.upper()),
        'ok-no-series': wrapped(triples=reference),
        'ok-large-version': wrapped(triples={**reference, 8: series(Tag(552, 2**40))}),
        'ok-order': cbor2.dumps(Tag(501, dict(reversed(document().items())))),
        'bad-empty': b'', 'bad-torn': good[:-1], 'bad-trailing': good + b'\0', 'bad-untagged': cbor2.dumps(document()),
        'bad-signed': cbor2.dumps(Tag(18, [b'', {}, good, b''])),
        'bad-outer': cbor2.dumps(Tag(500, Tag(501, document()))),
        'bad-profile': wrapped(prof=Tag(32, 'tag:other,2026:x')),
        'bad-no-profile': cbor2.dumps(Tag(501, {0: 'x', 1: []})),
        'bad-two-tags': wrapped(tags=[Tag(506, b''), Tag(506, b'')]),
        'bad-no-tags': cbor2.dumps(Tag(501, {**document(), 1: []})),
        'bad-coswid': wrapped(tags=[Tag(505, b'')]),
        'bad-inner': wrapped(tags=[Tag(506, b'\xff')]),
        'bad-more': wrapped(_4={0: 1}),
        'bad-tag-id': wrapped(identity='00000000-0000-0000-0000-000000000000'),
        'bad-vendor': wrapped(environment={0: {1: 'Intel', 2: 'TDX'}}),
        'bad-instance': wrapped(environment={**env, 1: b'x'}),
        'bad-key': wrapped(measurement(key='MRTD')), 'bad-alg': wrapped(measurement(alg=1)),
        'bad-length': wrapped(measurement(b'\xa1' * 32)), 'bad-two-digests': wrapped(measurement(digests=2)),
        'bad-two-values': wrapped(triples={0: [[env, [measurement(), measurement()]]]}),
        'bad-minimum-version': wrapped(triples={**reference, 8: series(Tag(553, 1))}),
        'bad-plain-version': wrapped(triples={**reference, 8: series(1)}),
        'bad-other-digest': wrapped(triples={**reference, 8: series(meas=measurement(b'\xb2' * 48))}),
        'bad-series-only': wrapped(triples={8: series()}),
        'bad-long-head': good.replace(b'\xd9\x01\xf5', b'\xda\x00\x00\x01\xf5', 1),
        'bad-indefinite': b'\xd9\x01\xf5\xbf\xff', 'bad-huge-array': b'\xd9\x01\xf5\x9b' + b'\x7f' + b'\xff' * 7,
        'bad-huge-map': b'\xd9\x01\xf5\xbb' + b'\x7f' + b'\xff' * 7, 'bad-huge-text': b'\x7b' + b'\x7f' + b'\xff' * 7,
        'bad-deep': b'\x81' * 5000 + b'\x00',
        'bad-tags': b'\xc1' * 5000 + b'\x00',
        'bad-null': b'\xf6',
        'bad-float': b'\xfb' + b'\0' * 8,
        'bad-twice': b'\xd9\x01\xf5\xa4\x00\x61x\x00\x61x\x01\x80\x03\x61x',
        'bad-utf8': b'\xd9\x01\xf5\xa1\x00\x61\xff',
    })


if __name__ == '__main__':
    alman()
    toml()
    savs()
    corim()
