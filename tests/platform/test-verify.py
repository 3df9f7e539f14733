#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Attacks on 'virt-attest verify', with reports that the test authority signs: each is refused for its own reason.

The genuine report carries the measurement that predict.py computes for a domain XML; the command computes its own.
Every attack changes one thing, so that the checks that fail are known: those and no others.
"""
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'libvirt')]
try:
    import authority as module
except ImportError as missing:
    print(f'1..0 # SKIP {missing}: install python3-cryptography')
    sys.exit(0)
from harness import Tap  # noqa: E402
try:
    import jsonschema
except ImportError:
    jsonschema = None


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace('-', '_'), path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


golden = load(HERE.parent / 'golden' / 'cli' / 'golden-cli.py')
predict = load(HERE / 'predict.py')
SCHEMA = json.loads((HERE.parent.parent / 'policy' / 'appraisal' / 'verdict.schema.json').read_text(encoding='utf-8'))
CMDLINE = golden.CMDLINE.encode()
OLD = {'bootloader': 4, 'tee': 0, 'snp': 8, 'microcode': 115}
DATA = bytes(range(64))


class Rig:
    """A folder with the domain, the authority, and the state of one user."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        golden.make_fixtures(folder, predict)
        authority = module.Authority(module.default_folder() if os.environ.get('VIRT_ATTEST_BUILD') else None)
        self.milan, self.genoa = authority.line('Milan'), authority.line('Genoa')
        self.vcek = self.milan.vcek()
        self.measurement = self.measure()
        self.write('anchor.pem', self.milan.trust_anchor() + self.genoa.trust_anchor())
        self.write('vcek.der', self.vcek.certificate)
        self.write('good.crl', self.milan.crl())
        self.number = 0

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    @staticmethod
    def measure(vcpus=2, cpu='EPYC-Milan', kernel=golden.KERNEL, initrd=golden.INITRD, cmdline=CMDLINE, features=1):
        return bytes.fromhex(predict.predict_snp(golden.firmware(True), vcpus, cpu, kernel, initrd, cmdline,
                                                 features=features))

    def report(self, signer=None, tail=b'', **fields):
        fields.setdefault('measurement', self.measurement)
        fields.setdefault('report_data', DATA)
        self.number += 1
        return self.write(f'report-{self.number}.bin', module.report(signer or self.vcek, **fields) + tail)

    def run(self, *words):
        environment = {'PATH': '/usr/bin:/bin', 'HOME': str(self.folder), 'LC_ALL': 'C.UTF-8'}
        return subprocess.run([self.program, '--config', str(self.folder / 'virt-attest.conf'), *words],
                              cwd=self.folder,
                              env=environment, capture_output=True, text=True, timeout=120, check=False)

    def verify(self, report, *words, domain='snp.xml', data=DATA, certificates='vcek.der', anchor='anchor.pem'):
        """The exit code, {check: (outcome, text)} and what was said on standard error."""
        line = ['verify', report, '--format', 'json', *words]
        line += ['--domain', f'./{domain}'] if domain else []
        line += ['--report-data', data.hex()] if data else []
        line += ['--certificates', certificates] if certificates else []
        line += ['--trust-anchor', anchor] if anchor else []
        done = self.run(*line)
        if not done.stdout:
            return done.returncode, {}, done.stderr
        document = json.loads(done.stdout)
        if jsonschema:
            jsonschema.validate(document, SCHEMA)
        return done.returncode, {each['name']: (each['outcome'],
                                                each['text']) for each in document['checks']}, done.stderr


def failed(checks):
    return ' '.join(name for name, (outcome, _) in checks.items() if outcome == 'fail')


def policy(rig, **members):
    rig.number += 1
    return '--policy', rig.write(f'policy-{rig.number}.json', json.dumps({'format': 'virt-attest-policy-1', **members}))


def test_accepted(tap, rig):
    code, checks, errors = rig.verify(rig.report(), '--crl', 'good.crl', '--require-crl')
    tap.check(code == 0 and not failed(checks), f'the genuine report is accepted ({failed(checks)}, {errors.strip()})')
    tap.check(checks['chain'][0] == 'warn' and '--trust-anchor' in checks['chain'][1],
              'the verdict says that it rests on the given root')
    tap.check(checks['measurement'] == ('pass',
                                        'the guest that was expected was launched: EPYC-Milan, 2 vCPUs, features 0x1'),
              f'the measurement is named: {checks["measurement"]}')
    table = module.table([('vcek', rig.vcek.certificate), ('ask', rig.milan.ask), ('ark', rig.milan.ark)])
    code, checks, _ = rig.verify(rig.report(tail=table), certificates=None)
    tap.check(code == 0, f'so it is with the certificates of an extended report ({failed(checks)})')
    for version in (2, 3, 4, 5):
        code, checks, _ = rig.verify(rig.report(version=version))
        tap.check(code == 0, f'version {version} is accepted ({failed(checks)})')
    vlek = rig.milan.vlek()
    certificate = rig.write('vlek.der', vlek.certificate)
    code, checks, _ = rig.verify(rig.report(vlek), '--signing-key', 'vlek', certificates=certificate)
    tap.check(code == 0 and checks['chip'][0] == 'skip', f'a VLEK is accepted where it is asked for ({failed(checks)})')
    done = rig.run('-q', 'verify', rig.report(), '--domain', './snp.xml', '--report-data', DATA.hex(), '--certificates',
                   'vcek.der', '--trust-anchor', 'anchor.pem')
    tap.check((done.returncode, done.stdout) == (0, 'accepted\n'), '--quiet prints the word alone')


def attacks(rig):
    """(what, failing checks, part of a text, report, words, keywords of verify())"""
    other_chip = rig.milan.vcek(hwid=bytes([7]) * 64)
    old = rig.milan.vcek(tcb=OLD)
    vlek = rig.milan.vlek()
    expired = rig.milan.vcek(validity=(rig.milan.now - 1000, rig.milan.now - 10))
    genoa = rig.genoa.vcek()
    key = hashlib.sha384(b'the owner').digest()
    foreign = hashlib.sha384(b'somebody else').digest()
    cert = {name: rig.write(f'{name}.der', signer.certificate) for name, signer in (
        ('other-chip', other_chip), ('old', old), ('the-vlek', vlek), ('expired', expired), ('genoa', genoa))}
    tcb = {part: module.TCB['Milan'][part] for part in ('bootloader', 'tee', 'snp', 'microcode')}
    crl = {
        'revoked': rig.write('revoked.crl', rig.milan.crl(revoked=[rig.milan.serials['ask']])),
        'stale': rig.write('stale.crl', rig.milan.crl(next_update=rig.milan.now - 5)),
        'forged': rig.write('forged.crl', rig.milan.crl(key=rig.milan.keys['ask'])),
    }

    def tcb_with(**parts):
        return {**tcb, **parts}

    def flip(body):
        body[0x90] ^= 1

    signed = bytearray(module.report(rig.vcek, measurement=rig.measurement, report_data=DATA))
    flip(signed)
    return [
        ('another kernel', 'measurement', 'other firmware, kernel or initrd',
         rig.report(measurement=rig.measure(kernel=b'evil')), (), {}),
        ('another initrd', 'measurement', 'other firmware, kernel or initrd',
         rig.report(measurement=rig.measure(initrd=b'evil')), (), {}),
        ('another command line', 'measurement', 'other firmware',
         rig.report(measurement=rig.measure(cmdline=b'init=/bin/sh')),
         (), {}),
        ('a blank less', 'measurement', 'no blank or newline at the end of the command line',
         rig.report(measurement=rig.measure(cmdline=CMDLINE.rstrip())), (), {}),
        ('kernel hashes off', 'measurement', 'the kernel hashes off',
         rig.report(measurement=rig.measure(kernel=None, initrd=None, cmdline=None)), (), {}),
        ('more vCPUs', 'measurement', '3 vCPUs instead of 2', rig.report(measurement=rig.measure(vcpus=3)), (), {}),
        ('another CPU type', 'measurement', 'EPYC-Genoa', rig.report(measurement=rig.measure(cpu='EPYC-Genoa')), (),
         {}),
        ('debug swap', 'measurement', 'guest features 0x21', rig.report(measurement=rig.measure(features=0x21)), (),
         {}),
        ('the report of another domain', 'measurement', '', rig.report(), (), {'domain': 'no-kernel.xml'}),
        ('a debug policy', 'policy debug', 'debug', rig.report(policy=0xb0000), (), {}),
        ('a debug policy that the reference has', 'debug', 'debug', rig.report(policy=0xb0000), (),
         {'domain': 'debug.xml'}),
        ('a migration agent', 'policy report-id-ma', 'migration agent',
         rig.report(policy=0x70000, report_id_ma=bytes([1]) * 32), (), {}),
        ('an old report', 'nonce', 'an old one', rig.report(report_data=bytes(64)), (), {}),
        ('no nonce', 'nonce', 'nothing to compare with', rig.report(), (), {'data': None}),
        ('nothing to compare with', 'measurement', 'nothing to compare with', rig.report(), (), {'domain': None}),
        ('another chip\'s certificate', 'signature chip', 'another chip', rig.report(), (),
         {'certificates': cert['other-chip']}),
        ('another TCB\'s certificate', 'signature certificate-tcb', 'another TCB', rig.report(), (),
         {'certificates': cert['old']}),
        ('another line\'s certificate', 'signature product chip certificate-tcb', 'Genoa', rig.report(), (),
         {'certificates': cert['genoa']}),
        ('a VLEK\'s certificate', 'certificate', 'VLEK', rig.report(), (), {'certificates': cert['the-vlek']}),
        ('a VLEK that nobody asked for', 'signer', 'cloud provider', rig.report(vlek), (),
         {'certificates': cert['the-vlek']}),
        ('the VLEK of another provider', 'chip', 'another cloud provider', rig.report(vlek),
         policy(rig, signingKey='vlek', cspIds=['CN=other.example']), {'certificates': cert['the-vlek']}),
        ('an expired certificate', 'chain', '', rig.report(expired), (), {'certificates': cert['expired']}),
        ('the test authority without its anchor', 'chain', '', rig.report(), (), {'anchor': None}),
        ('a revoked ASK', 'revocation', 'revoked', rig.report(), ('--crl', crl['revoked']), {}),
        ('a forged revocation list', 'revocation', '', rig.report(), ('--crl', crl['forged']), {}),
        ('a stale list where one is required', 'revocation', '', rig.report(), ('--crl', crl['stale'],
                                                                                '--require-crl'), {}),
        ('no list where one is required', 'revocation', 'no revocation list', rig.report(), ('--require-crl',), {}),
        ('a rolled-back TCB', 'reported-tcb', 'older', rig.report(old, current_tcb=OLD),
         ('--minimum-reported-tcb', 'bootloader=4,tee=0,snp=24,microcode=219'), {'certificates': cert['old']}),
        ('a rolled-back committed TCB', 'committed-tcb', 'older', rig.report(committed_tcb=OLD),
         policy(rig, provisionalFirmware=True, minimumTcb={'committed': {'Milan': tcb}}), {}),
        ('a TCB that claims more than the certificate', 'certificate-tcb', 'another TCB',
         rig.report(tcb=tcb_with(microcode=220)), (), {}),
        ('a TCB higher than the running one', 'certificate-tcb provisional', '',
         rig.report(current_tcb=OLD, committed_tcb=tcb), (), {}),
        ('provisional firmware', 'provisional', 'provisional', rig.report(current_tcb=tcb_with(microcode=220),
                                                                           committed_tcb=tcb), (), {}),
        ('VMPL 1', 'vmpl', 'another privilege level', rig.report(vmpl=1), (), {}),
        ('a report that the host asked for', 'vmpl', 'the host asked', rig.report(vmpl=0xffffffff), (), {}),
        ('an ID block that nobody expects', 'id-key', 'no rule expects one', rig.report(id_key_digest=key), (), {}),
        ('a foreign ID key', 'id-key', 'foreign', rig.report(id_key_digest=foreign), ('--id-key-digest', key.hex()),
         {}),
        ('no ID key', 'id-key', 'without an ID key', rig.report(), ('--id-key-digest', key.hex()), {}),
        ('a foreign author key', 'author-key', 'foreign', rig.report(id_key_digest=key, author_key_digest=foreign),
         ('--id-key-digest', key.hex(), '--author-key-digest', key.hex()), {}),
        ('an old guest', 'guest-svn', 'older version', rig.report(id_key_digest=key, guest_svn=3),
         ('--id-key-digest', key.hex(), '--minimum-svn', '4'), {}),
        ('host data that nobody expects', 'host-data', 'no rule expects any', rig.report(host_data=bytes([1]) * 32),
         (), {}),
        ('other host data', 'host-data', 'not the value', rig.report(host_data=bytes([1]) * 32),
         ('--host-data', '02' * 32), {}),
        ('a chip that is denied', 'chip-list', 'deny', rig.report(),
         policy(rig, deniedChips=[rig.vcek.hwid.hex()]), {}),
        ('a chip that is not listed', 'chip-list', 'not among', rig.report(),
         policy(rig, chips=['00' * 63 + '01']), {}),
        ('another processor than the rules name', 'product', 'other products', rig.report(),
         policy(rig, products=['Turin']), {}),
        ('a missing mitigation', 'mitigation', 'lacks', rig.report(version=5, mitigation=(1, 1)),
         policy(rig, mitigation={'current': '0x2'}), {}),
        ('a version without mitigations', 'mitigation', 'no mitigation vector', rig.report(version=3),
         policy(rig, mitigation={'current': '0x1'}), {}),
        ('memory without error correction', 'platform-info', 'ecc', rig.report(platform_info=1),
         policy(rig, platformInfo={'required': ['ecc']}), {}),
        ('a masked chip key', 'signature', 'MASK_CHIP_KEY', rig.report(mask_chip_key=True), (), {}),
        ('no signing key', 'signer', 'no key signed it', rig.report(signing_key=7), (), {'certificates': None}),
        ('a flipped bit', 'signature measurement', '', rig.write('flipped.bin', bytes(signed)), (), {}),
    ]


def test_attacks(tap, rig):
    for what, expected, text, report, words, more in attacks(rig):
        code, checks, errors = rig.verify(report, *words, **more)
        found = failed(checks)
        said = ' '.join(text for outcome, text in checks.values() if outcome == 'fail')
        tap.check(code == 1 and found == expected and text in said,
                  f'{what}: refused for {expected} (exit {code}, {found}: {said} {errors.strip()})')


def test_nonce(tap, rig):
    nonce = rig.run('nonce').stdout.strip()
    tap.check(len(nonce) == 128, 'a nonce is 64 bytes')
    report = rig.report(report_data=bytes.fromhex(nonce))

    def verify(*words, **more):
        return rig.verify(report, '--nonce', nonce, *words, data=None, **more)

    code, checks, _ = verify('--maximum-age', '600', domain='no-kernel.xml')
    tap.check(code == 1 and failed(checks) == 'measurement', f'a rejected report uses up no nonce ({failed(checks)})')
    code, checks, errors = verify('--maximum-age', '600')
    tap.check(code == 0 and checks['age'][0] == 'pass', f'a fresh nonce is accepted ({failed(checks)}, {errors})')
    code, checks, _ = verify()
    tap.check(code == 1 and failed(checks) == 'nonce' and 'replayed' in checks['nonce'][1],
              f'and a replay is not ({failed(checks)})')
    own = bytes([9]) * 64
    code, checks, _ = rig.verify(rig.report(report_data=own), '--nonce', own.hex(), data=None)
    tap.check(code == 1 and failed(checks) == 'nonce' and 'not issued here' in checks['nonce'][1],
              f'a nonce of somebody else is none ({failed(checks)})')
    code, checks, _ = rig.verify(rig.report(), '--maximum-age', '600')
    tap.check(code == 1 and failed(checks) == 'age', f'without a nonce nobody knows the age ({failed(checks)})')
    entries = list((rig.folder / 'state' / 'nonces').glob('*.json'))
    tap.check(len(entries) == 1, 'the journal has the nonce that was issued and no other')
    entries[0].write_text('{}')
    code, _, errors = verify()
    tap.check(code == 3 and 'format' in errors, f'a damaged journal accepts nothing (exit {code}, {errors.strip()})')


def test_example(tap, rig):
    """The sample policy: by its schema, met by a report of a machine that is up to date, and by no other."""
    source = HERE.parent.parent
    example = source / 'examples' / 'policy.json'
    if jsonschema:
        schema = (source / 'policy' / 'appraisal' / 'policy.schema.json').read_text(encoding='utf-8')
        jsonschema.validate(json.loads(example.read_text(encoding='utf-8')), json.loads(schema))
    nonce = rig.run('nonce').stdout.strip()
    crl = ('--crl', str(rig.folder / 'good.crl'))
    for what, expected, words, fields in (
            ('without a revocation list', 'revocation', (), {}),
            ('memory without error correction', 'platform-info', crl, {'platform_info': 0x21}),
            ('memory that was not checked for aliases', 'platform-info', crl, {'platform_info': 0x05}),
            ('old firmware', 'firmware', crl, {'current_version': (1, 55, 28)}),
            ('a policy with more than SMT', 'policy', crl, {'policy': 0x230000}),
            ('nothing wrong', '', crl, {})):
        fields.setdefault('policy', 0x30000)
        code, checks, errors = rig.verify(rig.report(report_data=bytes.fromhex(nonce), **fields), '--nonce', nonce,
                                          '--policy', str(example), *words, data=None)
        tap.check(code == (1 if expected else 0) and failed(checks).split()[:1] == expected.split(),
                  f'the sample policy: {what} (exit {code}, {failed(checks)} {errors.strip()})')


def test_references(tap, rig):
    rules = ('--product', 'Milan', '--minimum-tcb', 'bootloader=4,tee=0,snp=24,microcode=219', '--platform-info',
             '0x4/0x6')
    made = rig.run('reference', './snp.xml', *rules, '--output', 'ref.json')
    tap.check(made.returncode == 0, f'a reference document is made ({made.stderr.strip()})')

    def verify(report, *words, reference='ref.json', **more):
        return rig.verify(report, '--reference', reference, *words, domain=None, **more)

    code, checks, errors = verify(rig.report())
    tap.check(code == 0 and checks['reported-tcb'][0] == 'pass' and checks['platform-info'][0] == 'pass',
              f'a report is accepted by a reference document ({failed(checks)}, {errors.strip()})')
    for what, expected, report in (
            ('TSME', 'platform-info', rig.report(platform_info=6)),
            ('an old launch', 'launch-tcb', rig.report(launch_tcb=OLD)),
            ('an old committed TCB', 'committed-tcb provisional', rig.report(committed_tcb=OLD)),
            ('another policy', 'policy', rig.report(policy=0x20000))):
        code, checks, _ = verify(report)
        tap.check(code == 1 and failed(checks) == expected,
                  f'by the rules of the reference {what} is refused for {expected} ({failed(checks)})')
    code, checks, _ = verify(rig.report(launch_tcb=OLD), *policy(rig, minimumTcb={'launch': {'Milan': OLD}}))
    tap.check(code == 1 and failed(checks) == 'launch-tcb',
              f'and a weaker policy file does not undo them ({failed(checks)})')

    for name in ('owner', 'stranger'):
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', f'{name}.pem'], cwd=rig.folder,
                       check=True,
                       capture_output=True)
        os.chmod(rig.folder / f'{name}.pem', 0o600)
        subprocess.run(['openssl', 'pkey', '-in', f'{name}.pem', '-pubout', '-out', f'{name}.pub'], cwd=rig.folder,
                       check=True,
                       capture_output=True)
    made = rig.run('reference-sign', '--key', 'owner.pem', '--output', 'signed.json', 'ref.json')
    tap.check(made.returncode == 0, f'the reference is signed ({made.stderr.strip()})')
    code, checks, errors = verify(rig.report(), '--key', 'owner.pub', reference='signed.json')
    tap.check(code == 0, f'a signed reference is taken with its key ({failed(checks)}, {errors.strip()})')
    code, checks, errors = verify(rig.report(), '--key', 'stranger.pub', reference='signed.json')
    tap.check(code == 1 and not checks, f'not with another key (exit {code}, {errors.strip()})')
    code, checks, errors = verify(rig.report(), '--key', 'owner.pub')
    tap.check(code == 1 and 'not signed' in errors,
              f'where a key is asked for, an unsigned one is refused ({errors.strip()})')


def test_other_domain(tap, rig):
    """A report of another domain that is pinned on this host is named."""
    document = json.loads(rig.run('reference', './no-kernel.xml').stdout)
    document.update(created='2026-11-20T10:00:00Z', onMismatch='refuse')
    document['domain'] = {'name': 'the-other', 'uuid': '00000000-1111-4222-8333-444444444444'}
    folder = rig.folder / 'state' / 'references'
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / '00000000-1111-4222-8333-444444444444.json').write_text(json.dumps(document))
    report = rig.report(measurement=rig.measure(kernel=None, initrd=None, cmdline=None))
    code, checks, _ = rig.verify(report)
    tap.check(code == 1 and "the measurement of domain 'the-other' (EPYC-Milan, 2 vCPUs)" in checks['measurement'][1],
              f'a report of another domain of this host is named ({checks["measurement"][1]})')


def test_codes(tap, rig):
    code, checks, errors = rig.verify(rig.report(), certificates=None)
    tap.check(code == 4 and failed(checks) == 'certificate' and 'missing' in errors,
              f'a missing certificate alone is exit 4 (exit {code}, {failed(checks)})')
    code, _, errors = rig.verify(rig.write('short.bin', b'\0' * 1183))
    tap.check(code == 3, f'what is no report is exit 3 (exit {code}, {errors.strip()})')
    code, _, errors = rig.verify(rig.report(), certificates='kernel')
    tap.check(code == 3, f'so is what is no certificate (exit {code}, {errors.strip()})')
    code, _, errors = rig.verify(rig.report(), '--measurement', '00' * 48)
    tap.check(code == 2 and 'contradict' in errors, f'rules that contradict each other are exit 2 ({errors.strip()})')
    code, _, errors = rig.verify(rig.report(), *policy(rig, vmpls=0))
    tap.check(code == 3 and 'vmpls' in errors, f'an unknown rule is exit 3 ({errors.strip()})')
    code, _, errors = rig.verify(rig.report(), '--nonce', '00' * 64)
    tap.check(code == 2, f'a nonce and report data are exit 2 ({errors.strip()})')
    code, checks, _ = rig.verify(rig.report(), domain='no-kernel.xml', certificates=None)
    tap.check(code == 1, 'what is wrong with any certificate is not incomplete but rejected')


def main():
    tap = Tap()
    tap.where = 'verify'
    with tempfile.TemporaryDirectory(prefix='verify-') as folder:
        rig = Rig(os.path.abspath(sys.argv[1]), pathlib.Path(folder).resolve())
        test_accepted(tap, rig)
        test_attacks(tap, rig)
        test_nonce(tap, rig)
        test_codes(tap, rig)
        test_example(tap, rig)
        test_references(tap, rig)
        test_other_domain(tap, rig)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
