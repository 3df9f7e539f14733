#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-attest exports, read by others: Python's json and tomllib, python3-cbor2, dash, and, where
VIRT_ATTEST_CONSUMERS names a folder with their sources, the formats' own programs:

  attestation-level-manager/            ALman (validate_cpu_types.py, expected_measurements.py, alman.sh)
  sev-snp-measure/                      the calculator that ALman runs
  simple-attestation-verifier-service/  SAVS (its evaluate_policy())

None of them is part of this project. Also here: many writers of one ALman file at once.
"""
import base64
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import traceback
import types

HERE = pathlib.Path(__file__).resolve().parent
FACTS = ['--product', 'Milan', '--minimum-tcb', 'bootloader=3,tee=0,snp=14,microcode=209', '--platform-info', '0x1']
TRUSTEE_FACTS = [*FACTS[:-1], '0x1/0x3']
CPUS = ['--cpu', 'EPYC-Milan,0xa00f12']


class Skip(Exception):
    pass


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def consumer(*parts):
    root = os.environ.get('VIRT_ATTEST_CONSUMERS')
    path = pathlib.Path(root or '/nonexistent', *parts)
    if not path.exists():
        raise Skip(f'no {"/".join(parts)} below $VIRT_ATTEST_CONSUMERS')
    return path


class Bench:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.golden = load('golden_cli', HERE / 'golden-cli.py')
        self.predict = self.golden.load_predict()
        self.golden.make_fixtures(folder, self.predict)
        self.image = self.golden.firmware(True)
        self.parts = {'kernel': self.golden.KERNEL, 'initrd': self.golden.INITRD}
        self.cmdline = self.golden.CMDLINE

    def digest(self, cpu, vcpus=2, features=1):
        return self.predict.predict_snp(self.image, vcpus, cpu, cmdline=self.cmdline.encode(), features=features,
                                        **self.parts)

    def environment(self):
        return {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'HOME': str(self.folder), 'LC_ALL': 'C.UTF-8',
                'VIRT_ATTEST_CONFIG': f'{self.folder}/virt-attest.conf', 'G_DEBUG': 'fatal-criticals',
                'LIBVIRT_DEFAULT_URI': 'test:///default',
                **{name: os.environ[name] for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS') if name in os.environ}}

    def start(self, *arguments):
        return subprocess.Popen([self.program, '--quiet', *arguments], cwd=self.folder, env=self.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (arguments, process.returncode, err.decode())
        return out

    def export(self, kind, *arguments, source='snp.xml'):
        return self.run('export', '--to', kind, *arguments, source)


# ---- readers of the languages ----

def test_json(bench):
    both = [bench.digest('EPYC-Milan'), bench.digest('0xa00f12')]
    values = json.loads(bench.export('rvps', *CPUS, *TRUSTEE_FACTS))
    assert values['snp_launch_measurement'] == both, values
    assert values['snp_microcode'] == list(range(209, 256))
    message = json.loads(bench.export('rvps-message', *CPUS, *TRUSTEE_FACTS))
    assert set(message) == {'version', 'type', 'payload'}
    assert json.loads(base64.b64decode(message['payload'], validate=True)) == values
    savs = json.loads(bench.export('savs', *CPUS, *FACTS))
    assert {name: policy['expected_measurement_hex'] for name, policy in savs.items()} == {
        'snp-EPYC-Milan': both[0], 'snp-0xa00f12': both[1]}
    config = json.loads(bench.export('snpguard-config'))
    assert config == {'vcpu-model': 'EPYC-Milan', 'vcpu-count': 2, 'guest-policy': '0x30000'}


def test_tomllib(bench):
    text = bench.export('openend2e', *FACTS, '--cpu', 'EPYC-v4', source='no-blanks.xml').decode()
    found = tomllib.loads(text)
    assert found == {
        'host_cpu_family': 'Milan', 'vcpu_count': 2, 'ovmf_file': f'{bench.folder}/hashes.fd', 'guest_features': 1,
        'kernel_file': f'{bench.folder}/kernel', 'initrd_file': f'{bench.folder}/initrd',
        'kernel_cmdline': bench.cmdline.strip(), 'platform_info': 1, 'guest_policy': 0x30000, 'family_id': '0' * 32,
        'image_id': '0' * 32,
        'min_commited_tcb': {'bootloader': 3, 'tee': 0, 'snp': 14, 'microcode': 209, '_reserved': [0, 0, 0, 0]}}, found


def test_cbor(bench):
    try:
        import cbor2
    except ImportError as error:
        raise Skip('no python3-cbor2') from error
    data = bench.export('corim')
    corim = cbor2.loads(data)
    assert corim.tag == 501 and set(corim.value) == {0, 1, 3}
    assert corim.value[0] == 'AMD/SEV-SNP/launch-measurement'
    # This decoder makes a string of the URI tag, or leaves it.
    profile = corim.value[3]
    assert getattr(profile, 'value', profile) == 'tag:microsoft.com,2026:launch-measurement/v1', profile
    (tag,) = corim.value[1]
    assert tag.tag == 506
    comid = cbor2.loads(tag.value)
    environment = {0: {1: 'AMD', 2: 'SEV-SNP'}}
    measurement = {0: 'MEASUREMENT', 1: {2: [[7, bytes.fromhex(bench.digest('EPYC-Milan'))]]}}
    assert comid[1] == {0: '77e8061e-4634-5e53-a848-d1d09e996843'}
    assert comid[4][0] == [[environment, [measurement]]], comid
    ((condition, ((selection, addition),)),) = comid[4][8]
    assert condition == [environment, []] and selection == [measurement]
    assert addition[0][1][1].tag == 552 and addition[0][1][1].value == 0
    # Deterministic: the same as the other encoder makes of it.
    assert cbor2.dumps(corim, canonical=True) == data


def test_shell(bench):
    (bench.folder / 'values').write_bytes(bench.export('shell', *CPUS))
    names = ('MEASUREMENTS', 'CPU_2', 'MEASUREMENT_2', 'CMDLINE')
    script = '. ./values; printf "%s\\n%s\\n%s\\n%s" ' + ' '.join(f'"$ATTEST_{name}"' for name in names)
    out = subprocess.run(['/bin/sh', '-eu', '-c', script], cwd=bench.folder, capture_output=True, check=True)
    assert not out.stderr
    assert out.stdout.decode() == f'2\n0xa00f12\n{bench.digest("0xa00f12")}\n{bench.cmdline}'


def test_schema(bench):
    """Every reference that an import or an export makes is valid by the published schema."""
    schema = HERE.parents[2] / 'policy' / 'reference.schema.json'
    bench.run('import', '--from', 'openend2e', '--output-dir', 'made', 'vm-config.toml')
    # Some records differ there, by intent.
    bench.start('import-alman', '--output-dir', 'made', 'alman').communicate()
    (bench.folder / 'made/export.reference.json').write_bytes(bench.export('json', *CPUS, *FACTS))
    documents = sorted(str(path) for path in (bench.folder / 'made').glob('*.reference.json'))
    assert len(documents) > 10, documents
    done = subprocess.run([sys.executable, str(HERE.parents[1] / 'unit' / 'json-validate.py'), str(schema), *documents],
                          capture_output=True, check=False, text=True)
    if done.returncode == 77:
        raise Skip('no python3-jsonschema')
    assert done.returncode == 0, done.stdout + done.stderr


# ---- one file, many writers ----

def test_writers(bench):
    """Nothing is lost, and every version that a reader can see is whole."""
    path = bench.folder / 'shared.json'
    path.write_text(json.dumps({'other': {'mine': [1, None, 'ü']}}))
    path.chmod(0o640)
    count = 12
    for number in range(count):
        bench.golden.domain(bench.folder, f'writer{number}')
    running = [bench.start('export', '--to', 'alman', '--output', 'shared.json', f'writer{number}.xml')
               for number in range(count)]
    seen = 0
    while any(process.poll() is None for process in running):
        json.loads(path.read_text())
        seen += 1
    for process in running:
        _, err = process.communicate()
        assert process.returncode == 0, err.decode()
    found = json.loads(path.read_text())
    assert seen > 0 and set(found) == {'other', *(f'writer{number}' for number in range(count))}, sorted(found)
    assert found['other'] == {'mine': [1, None, 'ü']}
    assert path.stat().st_mode & 0o777 == 0o640
    assert all(name.endswith('.json') or not name.startswith('.') for name in os.listdir(bench.folder))


# ---- the formats' own programs ----

def test_alman_validator(bench):
    script = consumer('attestation-level-manager', 'helpers', 'python', 'validate_cpu_types.py')
    (bench.folder / 'cpu-types.json').write_bytes(bench.export('alman-cpu-types', *CPUS))
    (bench.folder / 'legal-cpu-types.json').write_bytes(bench.export('alman-legal-cpu-types', *CPUS))
    arguments = [sys.executable, str(script), '--cpu-types', 'cpu-types.json',
                 '--legal-cpu-types', 'legal-cpu-types.json']
    subprocess.run(arguments, cwd=bench.folder, check=True)
    (bench.folder / 'legal-cpu-types.json').write_text('["EPYC"]')
    assert subprocess.run(arguments, cwd=bench.folder, check=False, capture_output=True).returncode == 2


def test_alman_record(bench):
    """ALman makes a record with sev-snp-measure: import finds it right, and ours is the same but for the time."""
    script = consumer('attestation-level-manager', 'helpers', 'python', 'expected_measurements.py')
    measure = consumer('sev-snp-measure', 'sev-snp-measure.py')
    folder = bench.folder / 'theirs'
    folder.mkdir()
    (folder / 'cpu-types.json').write_bytes(bench.export('alman-cpu-types', '--cpu', 'EPYC-Milan,EPYC-Genoa,0xa00f12'))
    target = folder / 'expected-measurements.json'
    options = {'out-json': target, 'al': 3, 'vm-title': 'snp', 'ovmf': bench.folder / 'hashes.fd', 'vcpus': 2,
               'kernel': bench.folder / 'kernel', 'initrd': bench.folder / 'initrd', 'append': bench.cmdline,
               'types-path': folder / 'cpu-types.json', 'measure-py': measure}
    subprocess.run([sys.executable, str(script), *(word for name, value in options.items()
                                                   for word in (f'--{name}', str(value)))],
                   check=True, capture_output=True)
    theirs = target.read_text()
    assert '"errors": {}' in theirs, theirs
    bench.run('import-alman', str(folder))
    (folder / 'kept.json').write_text(theirs)
    bench.run('export', '--to', 'alman', '--output', str(target), '--cpu', 'EPYC-Milan,EPYC-Genoa,0xa00f12', 'snp.xml')

    def timeless(text):
        return re.sub(r'"timestamp_utc": "[^"]*"', '"timestamp_utc": ""', text)

    assert timeless(target.read_text()) == timeless(theirs)


def test_alman_conf(bench):
    """The shell function that reads alman.conf, taken out of their script, reads ours."""
    script = consumer('attestation-level-manager', 'alman.sh').read_text()
    start = script.index('load_config_file() {')
    function = script[start:script.index('\n}\n', start) + 3]
    xml = (bench.folder / 'snp.xml').read_text().replace(
        '</domain>', "<devices><emulator>/opt/qemu 'x'/qemu</emulator></devices></domain>")
    (bench.folder / 'emulator.xml').write_text(xml)
    (bench.folder / 'alman.conf').write_bytes(bench.export('alman-conf', source='emulator.xml'))
    program = (f'die() {{ echo "$*" >&2; exit 1; }}\n{function}\nload_config_file alman.conf\n'
               'printf "%s|%s" "$QEMU_BIN" "$OVMF_AL34"')
    out = subprocess.run(['bash', '-euc', program], cwd=bench.folder, check=True, capture_output=True)
    assert out.stdout.decode() == f"/opt/qemu 'x'/qemu|{bench.folder}/hashes.fd", out


def test_savs(bench):
    """SAVS's own evaluate_policy() takes a report that is right, and refuses one with any fact changed."""
    root = consumer('simple-attestation-verifier-service')
    (path,) = [each for each in root.rglob('*.py') if 'def evaluate_policy' in each.read_text()]
    source = path.read_text()
    # Alone: the rest needs a web server that is not installed here.
    def part(name):
        match = re.search(rf'^def {name}\(.*?(?=^\S)', source + '\nend', flags=re.M | re.S)
        return match.group() if match else ''
    names = ['evaluate_policy', 'parse_mask', 'constant_time_eq', 'decode_reported_tcb_components']
    scope = {}
    head = 'import hmac\nfrom typing import *\nParsedReport = object\nLEN_MEASUREMENT = 48\n'
    exec(head + '\n'.join(part(name) for name in names), scope)  # pylint: disable=exec-used
    policies = json.loads(bench.export('savs', *FACTS))
    (policy,) = policies.values()
    raw = bytearray(0x4a0)

    def report(**changes):
        values = {'version': 4, 'policy': 0x30000, 'flags_u32': 0, 'chip_id': bytes(64),
                  'measurement': bytes.fromhex(bench.digest('EPYC-Milan')),
                  'reported_tcb_u64': 3 | 14 << 48 | 209 << 56, **changes}
        data = bytearray(raw)
        data[0x40:0x48] = changes.get('info', 1).to_bytes(8, 'little')
        return types.SimpleNamespace(raw=bytes(data), **values)

    evaluate = scope['evaluate_policy']
    evaluate(report(), policy)
    for wrong in ({'policy': 0xb0000}, {'policy': 0x20000}, {'flags_u32': 1}, {'flags_u32': 4},
                  {'measurement': bytes(48)},
                  {'reported_tcb_u64': 3 | 13 << 48 | 209 << 56}, {'reported_tcb_u64': 2 | 14 << 48 | 209 << 56},
                  {'reported_tcb_u64': 3 | 14 << 48 | 208 << 56}, {'info': 0}, {'info': 3}):
        try:
            evaluate(report(**wrong), policy)
        except ValueError:
            continue
        raise AssertionError(f'taken: {wrong}')


TESTS = [test_json, test_tomllib, test_cbor, test_shell, test_schema, test_writers, test_alman_validator,
         test_alman_record, test_alman_conf, test_savs]


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    print(f'1..{len(TESTS)}')
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(program, pathlib.Path(temporary).resolve())
        for number, test in enumerate(TESTS, 1):
            try:
                test(bench)
                print(f'ok {number} {test.__name__}')
            except Skip as reason:
                print(f'ok {number} {test.__name__} # SKIP {reason}')
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f'not ok {number} {test.__name__}')
                for line in traceback.format_exc().splitlines():
                    print(f'# {line}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
