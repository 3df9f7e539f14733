#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs `virt-attest report-show` on reports made here, and on the collected real ones.

What is made here: every form of evidence around one report, and every kind of report under the schema. What is
collected: every field against the tables that others have read from the same files; VIRT_ATTEST_VECTORS names the
folder, and without it that part is skipped.
"""
import base64
import csv
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent.parent
SCHEMA = SOURCE / 'policy' / 'appraisal' / 'report.schema.json'
MILAN_TCB, TURIN_TCB = bytes.fromhex('04000000000018db'), bytes.fromhex('0101010400000051')


def report(version=3, cpu=(0x19, 1, 1), policy=0x3001f, platform=0x25, vmpl=0, key_info=0, tcb=MILAN_TCB, chip=64):
    """A report that nobody has signed; every field has bytes of its own."""
    raw = bytearray(1184)
    struct.pack_into('<IIQ', raw, 0, version, 7, policy)
    raw[0x10:0x30] = bytes(range(0x10, 0x30))
    struct.pack_into('<II8sQI', raw, 0x30, vmpl, 1, tcb, platform, key_info)
    for at, size in ((0x50, 64), (0x90, 48), (0xc0, 32), (0xe0, 48), (0x140, 32), (0x160, 32)):
        raw[at:at + size] = bytes((at // 16 + i) % 256 for i in range(size))
    if key_info & 1:
        raw[0x110:0x140] = b'\xa5' * 48
    raw[0x180:0x188] = tcb
    if version >= 3:
        raw[0x188:0x18b] = bytes(cpu)
    raw[0x1a0:0x1a0 + chip] = bytes(range(1, chip + 1))
    raw[0x1e0:0x1e8] = raw[0x1f0:0x1f8] = tcb
    raw[0x1e8:0x1f0] = bytes((29, 55, 1, 0, 28, 55, 1, 0))
    if version >= 5:
        struct.pack_into('<QQ', raw, 0x1f8, 0x3f, 0x7f)
    raw[0x2a0:0x2d0] = raw[0x2e8:0x318] = bytes(range(48))
    return bytes(raw)


def table(entries):
    """entries: (GUID, data); an offset counts from the start of the table."""
    head, data = b'', b''
    for guid, each in entries:
        head += uuid.UUID(guid).bytes + struct.pack('<II', 24 * (len(entries) + 1) + len(data), len(each))
        data += each
    return head + bytes(24) + data


def virtee(raw):
    """As serde writes the structure of versions 1 to 5 of virtee's library."""
    def number(at, size):
        return int.from_bytes(raw[at:at + size], 'little')

    def array(at, size):
        return list(raw[at:at + size])

    def tcb(at):
        return {'bootloader': raw[at], 'tee': raw[at + 1], '_reserved': array(at + 2, 4), 'snp': raw[at + 6],
                'microcode': raw[at + 7]}

    return {
        'version': number(0, 4), 'guest_svn': number(4, 4), 'policy': number(8, 8), 'family_id': array(0x10, 16),
        'image_id': array(0x20, 16), 'vmpl': number(0x30, 4), 'sig_algo': number(0x34, 4), 'current_tcb': tcb(0x38),
        'plat_info': number(0x40, 8), '_author_key_en': number(0x48, 4), '_reserved_0': number(0x4c, 4),
        'report_data': array(0x50, 64), 'measurement': array(0x90, 48), 'host_data': array(0xc0, 32),
        'id_key_digest': array(0xe0, 48), 'author_key_digest': array(0x110, 48), 'report_id': array(0x140, 32),
        'report_id_ma': array(0x160, 32), 'reported_tcb': tcb(0x180), '_reserved_1': array(0x188, 24),
        'chip_id': array(0x1a0, 64), 'committed_tcb': tcb(0x1e0), 'current_build': raw[0x1e8],
        'current_minor': raw[0x1e9], 'current_major': raw[0x1ea], '_reserved_2': raw[0x1eb],
        'committed_build': raw[0x1ec], 'committed_minor': raw[0x1ed], 'committed_major': raw[0x1ee],
        '_reserved_3': raw[0x1ef], 'launch_tcb': tcb(0x1f0), '_reserved_4': array(0x1f8, 168),
        'signature': {'r': array(0x2a0, 72), 's': array(0x2e8, 72), '_reserved': array(0x330, 368)},
    }


def virtee_newer(raw):
    """As it is from version 6 on: reserved bytes are left out, what they became has names."""
    old = virtee(raw)
    turin = raw[0x188] == 0x1a

    def tcb(at):
        order = ('fmc', 'bootloader', 'tee', 'snp') if turin else ('bootloader', 'tee')
        parts = dict(zip(order, raw[at:at + 4]))
        return {'fmc': None, 'snp': raw[at + 6], **parts, 'microcode': raw[at + 7]}

    new = {name: value for name, value in old.items() if not name.startswith(('_', 'current_', 'committed_'))}
    new.update(key_info=old['_author_key_en'], current_tcb=tcb(0x38), reported_tcb=tcb(0x180),
               committed_tcb=tcb(0x1e0), launch_tcb=tcb(0x1f0),
               current=dict(zip(('build', 'minor', 'major'), raw[0x1e8:0x1eb])),
               committed=dict(zip(('build', 'minor', 'major'), raw[0x1ec:0x1ef])),
               signature={'r': old['signature']['r'], 's': old['signature']['s']})
    names = ('cpuid_fam_id', 'cpuid_mod_id', 'cpuid_step')
    new.update(zip(names, raw[0x188:0x18b] if raw[0] >= 3 else (None, None, None)))
    for name, at in (('launch_mit_vector', 0x1f8), ('current_mit_vector', 0x200)):
        new[name] = int.from_bytes(raw[at:at + 8], 'little') if raw[0] >= 5 else None
    return new


class Checks:
    def __init__(self, program):
        self.program = program
        self.count = self.failed = 0

    def tell(self, name, problem):
        self.count += 1
        self.failed += problem is not None
        print(f'{"not ok" if problem else "ok"} {self.count} {name}')
        if problem:
            print('# ' + str(problem).replace('\n', '\n# '))

    def run(self, *words, stdin=b''):
        done = subprocess.run([self.program, 'report-show', *map(str, words)], input=stdin, capture_output=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def show(self, *words, stdin=b''):
        code, out, err = self.run('--format', 'json', *words, stdin=stdin)
        if code != 0:
            raise AssertionError(f'{words}: exit {code}: {err}')
        return json.loads(out)


def check_forms(checks, folder):
    for name, raw in {'milan': report(), 'turin': report(5, (0x1a, 2, 0), tcb=TURIN_TCB, chip=8)}.items():
        expected = checks.show('-', stdin=raw)
        vcek = b'this is no certificate'
        entries = table([('63da758d-e664-4564-adc5-f4b93be8accd', vcek)])
        hcl = struct.pack('<4sIIII12x', b'HCLA', 1, 0x20 + len(raw) + 30, 2, 0) + raw
        hcl += struct.pack('<IIIII', 30, 1, 2, 1, 10)
        forms = {
            'binary': raw, 'extended': raw + entries, 'response': struct.pack('<II24x', 0, 1184) + raw + bytes(50),
            'hex': raw.hex().encode() + b'\n', 'base64': base64.encodebytes(raw), 'hcl': hcl + bytes(200),
            'json': json.dumps(virtee(raw)).encode(),
            'json-newer': json.dumps(virtee_newer(raw), indent=1).encode(),
            'json-wrapped': json.dumps({'attestation_report': virtee_newer(raw),
                                  'cert_chain': [{'cert_type': 'VCEK', 'data': list(vcek)}]}).encode(),
        }
        for form, data in forms.items():
            found = checks.show('-', stdin=data)
            certificates = [each['role'] for each in found['certificates']]
            wanted = ['vcek'] if form in ('extended', 'json-wrapped') else []
            checks.tell(f'{name} {form}', None if (found['form'], found['report'], certificates) == (
                form.split('-')[0], expected['report'], wanted) else f'{found}')
        (folder / 'outblob').write_bytes(raw)
        (folder / 'auxblob').write_bytes(entries)
        found = checks.show(folder / 'outblob', '--certificates', folder / 'auxblob')
        checks.tell(f'{name} auxblob', None if found['report'] == expected['report'] and found['form'] == 'tsm' and [
            each['problem'] is not None for each in found['certificates']] == [True] else f'{found}')


def check_schema(checks, folder):
    reports = [report(version=2), report(version=2, chip=8, tcb=TURIN_TCB), report(version=2, chip=0),
               report(version=4),
               report(5, (0x1a, 0x11, 3), tcb=TURIN_TCB, chip=8, platform=0xffffffffffffffff),
               report(policy=0x3ffffff, vmpl=0xffffffff, key_info=0x1f), report(key_info=4, chip=0),
               report(cpu=(0x1b, 1, 0)), report(cpu=(0x19, 0xa0, 2), policy=0x20000, platform=0, key_info=2)]
    paths = []
    for number, raw in enumerate(reports):
        paths.append(folder / f'{number}.json')
        data = raw + table([('92f81bc3-5811-4d3d-97ff-d19f88dc67ea', b'x'),
                            ('ecae0c0f-9502-43b1-afa2-0ae2e0d565b6', b'y')])
        paths[-1].write_text(json.dumps(checks.show('-', stdin=data)), encoding='utf-8')
    validate = [sys.executable, SOURCE / 'tests' / 'unit' / 'json-validate.py']
    done = subprocess.run([*validate, SCHEMA, *paths], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        checks.count += 1
        print(f'ok {checks.count} schema # SKIP python3-jsonschema is not there')
        return
    checks.tell('schema', None if done.returncode == 0 else done.stdout + done.stderr)
    changed = json.loads(paths[0].read_text(encoding='utf-8'))
    changed['verified'] = True
    paths[0].write_text(json.dumps(changed), encoding='utf-8')
    done = subprocess.run([*validate, '--invalid', SCHEMA, paths[0]], capture_output=True, text=True, check=False)
    checks.tell('schema refuses', None if done.returncode == 0 else done.stdout + done.stderr)


def check_loud(checks):
    code, out, err = checks.run('-', stdin=report())
    loud = out.startswith('NOT VERIFIED') and code == 0
    checks.tell('says that nothing was verified', None if loud else f'{code}: {out}{err}')


def rows(path):
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE))


def zeros(text, digits):
    return '0' * digits if text == '0' else text


def compare_report(row, found):
    """The first difference between a row of reports.tsv and what was printed, or None."""
    tcb, policy = found['tcb'], found['policy']
    pairs = {
        'version': str(found['version']), 'guest_svn': str(found['guestSvn']), 'policy': policy['value'],
        'vmpl': str(found['vmpl']), 'platform_info': found['platformInfo']['value'],
        'current_tcb': tcb['current']['raw'], 'reported_tcb': tcb['reported']['raw'],
        'committed_tcb': tcb['committed']['raw'], 'launch_tcb': tcb['launch']['raw'],
        'current_fw': found['firmware']['current'], 'committed_fw': found['firmware']['committed'],
    }
    for name, value in pairs.items():
        if row[name] != value:
            return f'{name}: {value} instead of {row[name]}'
    for name, member, digits in (('family_id', 'familyId', 32), ('image_id', 'imageId', 32),
                                 ('report_data', 'reportData', 128), ('measurement', 'measurement', 96),
                                 ('host_data', 'hostData', 64), ('id_key_digest', 'idKeyDigest', 96),
                                 ('author_key_digest', 'authorKeyDigest', 96), ('report_id', 'reportId', 64),
                                 ('report_id_ma', 'reportIdMigrationAgent', 64)):
        if zeros(row[name], digits) != found[member]:
            return f'{name}: {found[member]}'
    chip = None if row['chip_id'] == '0' else row['chip_id']
    if found['chip'] != (chip[:16] if found['line'] == 'Turin' else chip):
        return f'chip {found["chip"]}'
    if policy['debugAllowed'] != (row['dir'] == 'milan-v2-google'):
        return 'the debug bit'
    mitigations = found['mitigations'] or {'launch': '0x0', 'current': '0x0'}
    if (mitigations['launch'], mitigations['current']) != (row['launch_mit'], row['current_mit']):
        return f'mitigations {mitigations}'
    return None


def compare_certificate(row, found):
    extensions = dict(part.split('=', 1) for part in row['amd_extensions(OID suffix of 1.3.6.1.4.1.3704.1)'].split(';'))
    tcb = {'bootloader': int(extensions['3.1']), 'tee': int(extensions['3.2']), 'snp': int(extensions['3.3']),
           'microcode': int(extensions['3.8'])}
    if '3.9' in extensions:
        tcb['fmc'] = int(extensions['3.9'])
    wanted = {'subject': row['subject_cn'], 'issuer': row['issuer_cn'], 'sha256': row['sha256_fingerprint'],
              'notBefore': row['not_before'], 'notAfter': row['not_after'], 'problem': None, 'tcb': tcb,
              'product': extensions['2'], 'chip': extensions.get('4'), 'provider': extensions.get('5')}
    for name, value in wanted.items():
        if found.get(name) != value:
            return f'{name}: {found.get(name)} instead of {value}'
    return None


def check_vectors(checks, folder):
    certificates = {row['file']: row for row in rows(folder / 'reports' / 'certs.tsv')
                    if row['subject_cn'] in ('SEV-VCEK', 'SEV-VLEK')}
    for row in rows(folder / 'reports' / 'reports.tsv'):
        below = folder / 'reports' / row['dir']
        name = next(path for path in certificates if path.startswith(f'reports/{row["dir"]}/'))
        found = checks.show(below / 'report.bin', '--certificates', folder / name)
        checks.tell(row['dir'], compare_report(row, found['report']) or
                    compare_certificate(certificates[name], found['certificates'][0]))


def main():
    checks = Checks(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        check_loud(checks)
        check_forms(checks, folder)
        check_schema(checks, folder)
        vectors = os.environ.get('VIRT_ATTEST_VECTORS')
        if vectors and pathlib.Path(vectors, 'reports').is_dir():
            check_vectors(checks, pathlib.Path(vectors))
        else:
            checks.count += 1
            print(f'ok {checks.count} vectors # SKIP VIRT_ATTEST_VECTORS names no folder')
    print(f'1..{checks.count}')
    return 1 if checks.failed else 0


if __name__ == '__main__':
    sys.exit(main())
