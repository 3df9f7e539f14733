#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs virt-attest's offline commands and compares what they print with files.

cases/NAME.cmd has one shell command a line, run one after another in a fresh folder with the fixtures that this script
makes. cases/NAME.expected is the transcript: "$ command", standard output, standard error behind "! ", "= exit code".

No digest in a transcript comes from the program: this script computes every digest of the fixtures on its own
(predict.py, hashlib) and puts its name in place of the value; a wrong value keeps its digits and fails.

VIRT_ATTEST_REGENERATE=1 writes the expected files anew.
"""
import base64
import difflib
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
KERNEL, INITRD, CMDLINE = b'a kernel', b'an initrd', 'root=/dev/vda ro "quoted" <tag> & ü '
DOMAIN_UUID = '6f1d1c5e-0b1a-4c38-9e0e-2f7f6d3a5b01'


def load_from_platform(name):
    spec = importlib.util.spec_from_file_location(name, HERE.parent.parent / 'platform' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_predict():
    return load_from_platform('predict')


def add_id_block(folder, add, launch_digest):
    """Keys for ID blocks, the names of their digests as the specification has them, and that of one block."""
    idblock = load_from_platform('idblock')
    block = idblock.make_block(bytes.fromhex(launch_digest), 0x30000, bytes(range(16)),
                               bytes.fromhex('ffeeddccbbaa99887766554433221100'), 7)
    add('sha256:id-block', hashlib.sha256(block).hexdigest())
    add('key:zeros', idblock.digest(bytes(0x404)))
    for name in 'id', 'author', 'other':
        path = idblock.make_key(str(folder / f'{name}.pem'))
        add(f'key:{name}', idblock.digest(idblock.public_key(path)))
        (folder / f'{name}.digest').write_text(idblock.digest(idblock.public_key(path)))


def add_signers(folder, add):
    """A key for references (Ed25519, RFC 8032, section 7.1, TEST 1) and the names of the two that sign."""
    secret = bytes.fromhex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
    public = bytes.fromhex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
    pem = base64.b64encode(bytes.fromhex('302e020100300506032b657004220420') + secret).decode()
    path = folder / 'owner.pem'
    path.write_text(f'-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n')
    path.chmod(0o600)
    add('signer:owner', hashlib.sha256(bytes.fromhex('302a300506032b6570032100') + public).hexdigest())
    der = subprocess.run(['openssl', 'pkey', '-in', folder / 'id.pem', '-pubout', '-outform', 'DER'],
                         capture_output=True, check=True).stdout
    add('signer:id', hashlib.sha256(der).hexdigest())


def guid(text):
    return uuid.UUID(text).bytes_le


def firmware(hashes):
    """64 KiB with a footer: metadata, reset block, and a hash table area or none."""
    sections = [(0x800000, 0x2000, 1), (0x80d000, 0x1000, 2), (0x80e000, 0x1000, 3)]
    if hashes:
        sections.append((0x810000, 0x1000, 0x10))
    metadata = struct.pack('<4sIII', b'ASEV', 16 + 12 * len(sections), 1, len(sections))
    metadata += b''.join(struct.pack('<III', *section) for section in sections)
    size, metadata_at = 65536, 63488
    entries = b''
    for name, data in (('dc886566-984a-4798-a75e-5585a7bf67cc', struct.pack('<I', size - metadata_at)),
                       ('7255371f-3a3b-4b04-927b-1da6efa8d454', struct.pack('<II', 0x810c00 if hashes else 0, 0x400)),
                       ('00f771de-1a7e-4fcb-890e-68c77e2fb44e', struct.pack('<I', 0x80b004))):
        entries += data + struct.pack('<H', len(data) + 18) + guid(name)
    table = entries + struct.pack('<H', len(entries) + 18) + guid('96b582de-1fb2-45f7-baea-a366c55a082d')
    image = bytearray(b'\xf4' * size)
    image[metadata_at:metadata_at + len(metadata)] = metadata
    image[size - 32 - len(table):size - 32] = table
    return bytes(image)


def snp_report():
    """A report that nobody has signed: version 3 on a Genoa, with debugging allowed."""
    raw = bytearray(1184)
    struct.pack_into('<IIQ', raw, 0, 3, 2, 0xb001f)
    struct.pack_into('<IIQQI', raw, 0x30, 1, 1, 0x541700000000000a, 0x25, 1)
    raw[0x90:0xc0] = bytes(range(0x30))
    raw[0x110:0x140] = b'\xa5' * 48
    struct.pack_into('<Q3B', raw, 0x180, 0x541700000000000a, 0x19, 0x11, 1)
    raw[0x1a0:0x1e0] = bytes(range(0x40, 0x80))
    struct.pack_into('<Q8BQ', raw, 0x1e0, 0x541700000000000a, 40, 55, 1, 0, 39, 55, 1, 0, 0x541700000000000a)
    raw[0x2a0] = raw[0x2e8] = 1
    return bytes(raw)


def escape(text):
    return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')


def domain(folder, name, security="type='sev-snp' kernelHashes='yes'", policy='0x30000',
           cpu="mode='custom'><model>EPYC-Milan</model></cpu",
           image='hashes.fd', loader="type='rom'", kernel=True, metadata='', vcpus='<vcpu>2</vcpu>', name_inside=None,
           cmdline=CMDLINE):
    boot = (f'<kernel>{folder}/kernel</kernel><initrd>{folder}/initrd</initrd><cmdline>{escape(cmdline)}</cmdline>'
            if kernel else '')
    tee = f'<launchSecurity {security}><policy>{policy}</policy></launchSecurity>' if security else ''
    (folder / f'{name}.xml').write_text(
        f"<domain type='kvm'>\n  <name>{name_inside or name}</name>\n  <uuid>{DOMAIN_UUID}</uuid>\n{metadata}"
        f"  <memory unit='MiB'>512</memory>\n  {vcpus}\n"
        f"  <os><type arch='x86_64' machine='q35'>hvm</type><loader {loader}>{folder}/{image}</loader>{boot}</os>\n"
        f"  <cpu {cpu}>\n  {tee}\n</domain>\n", encoding='utf-8')


def make_alman(folder, predict, image):
    """A folder of ALman: guests whose record is right, one for each way in which it can differ, and broken ones."""
    alman = folder / 'alman'
    for below in ('work/disks', 'work/xml'):
        (alman / below).mkdir(parents=True)
    (alman / 'alman.conf').write_text(f'# paths\nexport QEMU_BIN="/opt/qemu x/qemu"\nOVMF_CODE={folder}/hashes.fd\n')
    (alman / 'cpu-types.json').write_text('["EPYC-Milan", {"vcpu_sig": "0xa00f12"}]\n')
    (alman / 'legal-cpu-types.json').write_text('["EPYC-Genoa"]\n')
    for name in ('good', 'verity', 'from-xml'):
        (alman / 'work/disks' / f'{name}-root.qcow2').write_bytes(b'')
    (alman / 'work/disks/verity-hash.img').write_bytes(b'')
    (alman / 'work/disks/verity-upper.img').write_bytes(b'')
    (alman / 'work/disks/verity-upper.mode').write_text('disk\n')
    domain(folder, 'left', cpu="mode='host-passthrough' check='none'/", name_inside='from-xml')
    (folder / 'left.xml').rename(alman / 'work/xml/from-xml.xml')
    (alman / 'work/xml/torn.xml').write_text('<domain><name>torn</name><os><cmdline>a & b</cmdline></os></domain>')

    def digest(cpu='EPYC-Milan', vcpus=2, features=1, cmdline=CMDLINE.encode()):
        return predict.predict_snp(image, vcpus, cpu, KERNEL, INITRD, cmdline, features=features)

    def entry(measurements, **members):
        specs = {label: {'kind': 'sig', 'sig': label.split('=')[1]} if '=' in label else {'kind': 'type', 'type': label}
                 for label in measurements}
        kept = {label: {'cpu_spec': specs[label], 'measurement_hex': value} for label, value in measurements.items()}
        return {'al': 3, 'append': CMDLINE, 'vcpus': 2, 'mode': 'snp', 'vmm_type': 'QEMU', 'kernel': f'{folder}/kernel',
                'initrd': f'{folder}/initrd', 'ovmf': f'{folder}/hashes.fd', 'cpu_types': list(specs.values()),
                'cpu_types_config': f'{folder}/alman/cpu-types.json', 'errors': {}, 'measurements': kept,
                'timestamp_utc': '2030-01-01T00:00:00Z', **members}

    good = digest()
    records = {
        'good': entry({'EPYC-Milan': good, 'vcpu-sig=0xa00f12': digest('0xa00f12')}, mine=['kept']),
        'from-xml': entry({'EPYC-Milan': good}),
        'al2': entry({'EPYC-Milan': predict.predict_snp(image, 2, 'EPYC-Milan')}, al=2, kernel='', initrd=''),
        'verity': entry({'EPYC-Milan': good}, al=4),
        'features': entry({'EPYC-Milan': digest(features=0x21)}),
        'signature': entry({'EPYC-Milan': digest('0xa00f12')}),
        'vcpus': entry({'EPYC-Milan': digest(vcpus=7)}),
        'both': entry({'EPYC-Milan': digest(vcpus=7, features=0x21)}),
        'other-cmdline': entry({'EPYC-Milan': digest(cmdline=b'quiet')}),
        'stripped': entry({'EPYC-Milan': digest(cmdline=CMDLINE.strip().encode())}),
        'only-firmware': entry({'EPYC-Milan': predict.predict_snp(image, 2, 'EPYC-Milan')}),
        'old': {name: value for name, value in entry({'EPYC-Milan': good}).items() if name != 'measurements'},
        'unknown-cpu': entry({'EPYC-Naples': good}),
        'no-kernel': entry({'EPYC-Milan': good}, kernel='/nonexistent/kernel'),
        'broken': {'al': 3},
        '../evil': entry({'EPYC-Milan': good}),
    }
    (alman / 'expected-measurements.json').write_text(json.dumps(records, indent=2, sort_keys=True))


def make_exchange(folder, predict, names):
    """Files of other programs, as they come from them."""
    milan, signature = (next(value for value, name in names.items() if name == f'@snp:{cpu}:2@')
                        for cpu in ('EPYC-Milan', '0xa00f12'))
    (folder / 'policies.json').write_text(json.dumps(
        {'b': {'product_name': 'Milan', 'expected_measurement_hex': milan.upper()}, 'a': {'product_name': 'Milan'}}))
    values = {'snp_launch_measurement': [milan, signature]}
    (folder / 'values.json').write_text(json.dumps(values))
    (folder / 'message.json').write_text(json.dumps({
        'version': '0.1.0', 'type': 'sample', 'payload': base64.b64encode(json.dumps(values).encode()).decode()}))
    (folder / 'vm-config.toml').write_text(f'''host_cpu_family = "Genoa" # comment
vcpu_count = 2
ovmf_file = "{folder}/hashes.fd"
guest_features = 0x21
kernel_file = '{folder}/kernel'
initrd_file = "{folder}/initrd"
kernel_cmdline = {json.dumps(CMDLINE.strip(), ensure_ascii=False)}
platform_info = 0x1
guest_policy = 0x3_0000
family_id = "00000000000000000000000000000000"
image_id =  "0102030405060708090a0b0c0d0e0f10"
mine = true
[min_commited_tcb]
bootloader = 3
tee = 0
snp = 14
microcode = 209
_reserved = [0, 0, 0, 0]
''')
    text = (folder / 'vm-config.toml').read_text()
    (folder / 'debug.toml').write_text(text.replace('0x3_0000', '0xb0000'))
    (folder / 'no-microcode.toml').write_text(text.replace('microcode = 209\n', ''))


def make_fixtures(folder, predict):
    """Writes the files and returns {value: name} for every digest that may be printed."""
    images = {'hashes': firmware(True), 'generic': firmware(False), 'plain': b'\xf4' * 4096}
    files = {'kernel': KERNEL, 'initrd': INITRD, **{f'{name}.fd': image for name, image in images.items()}}
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    (folder / 'broken.fd').write_bytes(images['hashes'][:-50] + b'\xff\xff' + images['hashes'][-48:])
    (folder / 'garbage').write_bytes(bytes(range(256)))
    (folder / 'report.bin').write_bytes(snp_report())
    trusted = hashlib.sha256(images['hashes']).hexdigest()
    paths = f'[paths]\nstate-directory = {folder}/state\n'
    (folder / 'virt-attest.conf').write_text(paths)
    (folder / 'trusted.conf').write_text(f'[firmware]\ntrusted = {trusted}\n{paths}')
    (folder / 'unknown-key.conf').write_text('[gate]\nunpined = refuse\n')
    domain(folder, 'snp')
    domain(folder, 'no-blanks', cmdline=CMDLINE.strip())
    domain(folder, 'no-kernel', security="type='sev-snp'", kernel=False)
    domain(folder, 'generic', image='generic.fd')
    domain(folder, 'plain-guest', security='')
    domain(folder, 'debug', policy='0xb0000')
    domain(folder, 'sev', security="type='sev' kernelHashes='yes'", policy='0x1')
    domain(folder, 'sev-es', security="type='sev' kernelHashes='yes'", policy='0x5')
    domain(folder, 'host-model', cpu="mode='host-model'/")
    domain(folder, 'passthrough', cpu="mode='host-passthrough'/")
    domain(folder, 'pflash', loader="type='pflash' readonly='yes'")
    domain(folder, 'decimal-policy', policy='30000')
    domain(folder, 'hotplug', vcpus="<vcpu current='3'>8</vcpu>")
    domain(folder, 'other-metadata',
           metadata="  <metadata><other:thing xmlns:other='urn:example:other'>kept</other:thing></metadata>\n")
    (folder / 'doctype.xml').write_text(
        '<!DOCTYPE domain [<!ENTITY x SYSTEM "/etc/passwd">]><domain><name>&x;</name></domain>')

    names = {}

    def add(name, value):
        names[value] = f'@{name}@'
        names[base64.b64encode(bytes.fromhex(value)).decode()] = f'@base64:{name}@'

    for name, contents in {**files, 'cmdline': CMDLINE.encode() + b'\0', 'other-cmdline': b'quiet\0'}.items():
        add(f'sha256:{name}', hashlib.sha256(contents).hexdigest())
    parts = dict(kernel=KERNEL, initrd=INITRD, cmdline=CMDLINE.encode())
    cpus = ('EPYC-Milan', 'EPYC-Genoa', 'EPYC-Turin', '0xa00f12', '0xa10f11', '0xa10f12', '0xaa0f02', '0xb00f21')
    for cpu in (*cpus, 'EPYC-v4'):
        for vcpus in (1, 2, 3):
            add(f'snp:{cpu}:{vcpus}', predict.predict_snp(images['hashes'], vcpus, cpu, **parts))
        add(f'snp-no-kernel:{cpu}', predict.predict_snp(images['hashes'], 2, cpu))
    add('snp-generic', predict.predict_snp(images['generic'], 2, 'EPYC-Milan'))
    add('snp-features-0x21', predict.predict_snp(images['hashes'], 2, 'EPYC-Milan', features=0x21, **parts))
    add('snp-EPYC-v4-features-0x21', predict.predict_snp(images['hashes'], 2, 'EPYC-v4', features=0x21,
                                                             **{**parts, 'cmdline': CMDLINE.strip().encode()}))
    for name, difference in (('vcpus-7', {'vcpus': 7}), ('vcpus-7-features-0x21', {'vcpus': 7, 'features': 0x21}),
                             ('stripped', {'cmdline': CMDLINE.strip().encode()})):
        add(f'snp-{name}', predict.predict_snp(**{'image': images['hashes'], 'vcpus': 2, 'cpu': 'EPYC-Milan', **parts,
                                                  **difference}))
    add('snp-quiet', predict.predict_snp(images['hashes'], 2, 'EPYC-Milan', KERNEL, INITRD, b'quiet'))
    add('firmware-pages', predict.firmware_digest(images['hashes']).value.hex())
    add('sev', predict.predict_sev(images['hashes'], **parts))
    for fpu in (False, True):
        add(f'sev-es:{"init2" if fpu else "legacy"}',
            predict.predict_sev(images['hashes'], es=True, vcpus=2, cpu='EPYC-Milan', fpu=fpu, **parts))
    add_id_block(folder, add, predict.predict_snp(images['hashes'], 2, 'EPYC-Milan', **parts))
    add_signers(folder, add)
    make_alman(folder, predict, images['hashes'])
    make_exchange(folder, predict, names)
    return names


def run_line(line, folder, environment):
    done = subprocess.run(['sh', '-c', line], cwd=folder, env=environment, capture_output=True, timeout=120,
                          check=False)
    stdout, stderr = (text.decode('utf-8', 'backslashreplace') for text in (done.stdout, done.stderr))
    lines = [f'$ {line}', *stdout.splitlines(), *(f'! {each}' for each in stderr.splitlines()),
             f'= {done.returncode}', '']
    return '\n'.join(lines) + '\n'


def normalise(text, folder, names):
    text = text.replace(str(folder), '@TMP@')
    # What ALman calls its folder is a name of its own: transcripts stay short.
    text = text.replace(os.path.join('@TMP@', 'alman', 'work', ''), '@ALMAN@/')
    text = re.sub(r'[0-9a-f]{64,96}|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{64}', lambda m: names.get(m.group(), m.group()),
                  text)
    # Abbreviated digests: what is left of one is as good as its beginning.
    for value, name in names.items():
        text = text.replace(f'{value[:16]}…', f'{name}…')
    # The width of a table's line depends on where the temporary folder lies.
    return re.sub(r'^-{8,}$', '--------', text, flags=re.M)


def run_case(path, predict, program):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary).resolve()
        (folder / 'bin').mkdir()
        (folder / 'bin' / 'virt-attest').symlink_to(program)
        names = make_fixtures(folder, predict)
        environment = {
            'PATH': f'{folder}/bin:{os.environ.get("PATH", "/usr/bin:/bin")}', 'HOME': str(folder), 'LC_ALL': 'C.UTF-8',
            'VIRT_ATTEST_CONFIG': f'{folder}/virt-attest.conf', 'XDG_STATE_HOME': f'{folder}/xdg',
            'XDG_CACHE_HOME': f'{folder}/xdg',
            'LIBVIRT_DEFAULT_URI': 'test:///default', 'G_DEBUG': 'fatal-criticals',
            **{name: os.environ[name] for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS') if name in os.environ},
        }
        lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line and not line.startswith('#')]
        return normalise(''.join(run_line(line, folder, environment) for line in lines), folder, names)


def check_help(program):
    """--help of every command: at most 80 columns, on standard output, exit 0."""
    overview = subprocess.run([program, '--help'], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r'^  ([a-z][a-z-]+) ', overview[overview.index('Commands:'):overview.index('Options of')],
                          flags=re.M)
    texts = {'': overview}
    for command in commands:
        done = subprocess.run([program, command, '--help'], capture_output=True, text=True, check=False)
        if done.returncode != 0 or done.stderr:
            return [f'{command} --help: exit {done.returncode}, standard error {done.stderr!r}']
        texts[command] = done.stdout
    problems = [f'{command} --help: {len(line)} columns: {line}' for command,
                text in texts.items() for line in text.splitlines()
                if len(line) > 80]
    return problems if len(commands) >= 12 else [*problems, f'only {len(commands)} commands: {commands}']


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    regenerate = os.environ.get('VIRT_ATTEST_REGENERATE') == '1'
    predict = load_predict()
    cases = sorted(HERE.glob('cases/*.cmd'))
    only = sys.argv[2:]
    print(f'1..{len(cases) + 1}')
    failed = 0
    problems = check_help(program)
    print(f'{"not ok" if problems else "ok"} 1 help')
    for problem in problems:
        print(f'# {problem}')
        failed += 1
    for number, path in enumerate(cases, 2):
        if only and path.stem not in only:
            print(f'ok {number} {path.stem} # SKIP not asked for')
            continue
        found = run_case(path, predict, program)
        expected_path = path.with_suffix('.expected')
        if regenerate:
            expected_path.write_text(found, encoding='utf-8')
        expected = expected_path.read_text(encoding='utf-8') if expected_path.exists() else ''
        print(f'{"ok" if found == expected else "not ok"} {number} {path.stem}')
        if found != expected:
            failed += 1
            for line in difflib.unified_diff(expected.splitlines(), found.splitlines(), 'expected', 'found',
                                             lineterm=''):
                print(f'# {line}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
