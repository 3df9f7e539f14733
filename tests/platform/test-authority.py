#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test authority is as real as it has to be: OpenSSL accepts what it signs, and refuses it when it is changed; its
certificates have the fields of AMD's, tag by tag; its reports have the layout of real ones.
"""
import base64
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'libvirt'))
try:
    import authority as module
    import launch
except ImportError as missing:
    print(f'1..0 # SKIP {missing}: install python3-cryptography')
    sys.exit(0)
from harness import Tap  # noqa: E402

VECTORS = os.environ.get('VIRT_ATTEST_VECTORS', '')


def openssl(*words, stdin=None):
    return subprocess.run(['openssl', *words], input=stdin, capture_output=True, check=False, timeout=60)


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, 'wb') as out:
        out.write(data if isinstance(data, bytes) else data.encode())
    return path


def parse(data):
    """A DER element as (tag, [elements] or bytes): the tests' own reader."""
    def element(at):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7f
            length = int.from_bytes(data[at:at + count], 'big')
            at += count
        end = at + length
        if not tag & 0x20:
            return (tag, data[at:end]), end
        children = []
        while at < end:
            child, at = element(at)
            children.append(child)
        return (tag, children), end
    return element(0)[0]


def shape(element, path=()):
    """Every tag with its place; object identifiers, and the lengths of what must have a length, with their contents."""
    tag, contents = element
    if isinstance(contents, list):
        return [(path, tag)] + [row for n, child in enumerate(contents) for row in shape(child, path + (n,))]
    return [(path, tag, contents if tag == 0x06 else b'')]


def amd_extensions(der):
    """OID (encoded) -> value, of the certificate's last field."""
    fields = parse(der)[1][0][1]
    return {child[1][0][1]: child[1][-1][1] for child in fields[-1][1][0][1]}


def from_pem(path, index=0):
    with open(path, encoding='ascii') as text:
        blocks = text.read().split('-----BEGIN CERTIFICATE-----')[1:]
    block = blocks[index].split('-----END')[0]
    return base64.b64decode(block)


def check_openssl(tap, folder, line):
    anchor = write(folder, 'anchor.pem', module.pem(line.ark))
    for kind, middle in (('vcek', line.ask), ('vlek', line.asvk)):
        signer = line.vcek() if kind == 'vcek' else line.vlek()
        chain = write(folder, 'middle.pem', module.pem(middle))
        leaf = write(folder, 'leaf.pem', module.pem(signer.certificate))
        found = openssl('verify', '-CAfile', anchor, '-untrusted', chain, leaf)
        tap.check(found.returncode == 0, f'{line.name} {kind}: OpenSSL verifies the chain', found.stderr.decode())
        broken = bytearray(signer.certificate)
        broken[-1] ^= 1
        leaf = write(folder, 'leaf.pem', module.pem(bytes(broken)))
        found = openssl('verify', '-CAfile', anchor, '-untrusted', chain, leaf)
        tap.check(found.returncode != 0, f'{line.name} {kind}: and not with another signature')
        check_report(tap, folder, line, signer)
    found = openssl('crl', '-inform', 'DER', '-in', write(folder, 'crl', line.crl([line.serials['ask']])), '-noout',
                    '-text', '-CAfile', anchor)
    tap.contains((found.stdout + found.stderr).decode(), ['verify OK', f'Serial Number: {line.serials["ask"]:06X}',
                                                       module.ORGANISATION], f'{line.name}: OpenSSL verifies the CRL')
    found = openssl('verify', '-CAfile', anchor, '-crl_check', '-CRLfile', write(
        folder, 'crl.pem', module.pem(line.crl([line.serials['ask']]), 'X509 CRL')), write(
            folder, 'middle.pem', module.pem(line.ask)))
    tap.contains(found.stderr.decode(), ['certificate revoked'], f'{line.name}: and finds the ASK revoked')


def check_report(tap, folder, line, signer):
    data = module.report(signer, version=5, measurement=b'm' * 48)
    tap.equal(len(data), 1184, f'{line.name} {signer.kind}: size of a report')
    public = openssl('x509', '-inform', 'DER', '-pubkey', '-noout', stdin=signer.certificate).stdout
    r, s = (int.from_bytes(data[at:at + 72], 'little') for at in (0x2a0, 0x2e8))
    signature = write(folder, 'signature', module.sequence(module.integer(r), module.integer(s)))
    key = write(folder, 'key.pem', public)
    for body, wanted in ((data[:0x2a0], 0), (data[:0x29f] + b'\1', 1)):
        found = openssl('dgst', '-sha384', '-verify', key, '-signature', signature, write(folder, 'body', body))
        tap.equal(found.returncode, wanted, f'{line.name} {signer.kind}: OpenSSL on the report\'s signature')


def check_real(tap, line):
    """Against AMD's certificates and a real report, tag by tag."""
    folder = os.path.join(VECTORS, 'reports')
    real = {'Milan': 'milan-v3-microsoft', 'Genoa': 'genoa-v3-microsoft', 'Turin': 'turin-v5-microsoft'}[line.name]
    real = os.path.join(folder, real)
    for role in ('vcek', 'ask', 'ark'):
        ours = line.vcek(tcb=module.TCB[line.name]).certificate if role == 'vcek' else getattr(line, role)
        theirs = from_pem(os.path.join(real, role + '.pem'))
        if role == 'vcek':
            # Extensions may stand in any order.
            wanted, got = amd_extensions(theirs), amd_extensions(ours)
            tap.equal(sorted(got), sorted(wanted), f'{line.name} vcek: the same extensions')
            hwid = bytes.fromhex('2b060104019c780104')
            other = {key: value for key, value in wanted.items() if key != hwid}
            tap.equal({key: value for key, value in got.items() if key != hwid}, other,
                      f'{line.name} vcek: the same values for the same TCB')
            tap.equal(len(got[hwid]), len(wanted[hwid]), f'{line.name} vcek: HWID of the same length')
            ours, theirs = (b''.join(der_of(child) for child in parse(each)[1][0][1][:-1]) for each in (ours, theirs))
            ours, theirs = module.sequence(ours), module.sequence(theirs)
        tap.equal(shape(parse(ours)), shape(parse(theirs)), f'{line.name} {role}: the same fields as AMD\'s')
    with open(os.path.join(real, 'report.bin'), 'rb') as report:
        real_report = report.read()
    tcb = dict(module.TCB[line.name])
    tap.equal(module.tcb_bytes(line.name, tcb), real_report[0x180:0x188], f'{line.name}: TCB in its layout')
    ours = module.report(line.vcek(), version=real_report[0])
    for start, end, name in ((0x0, 4, 'version'), (0x34, 0x38, 'algorithm'), (0x4c, 0x50, 'reserved'),
                             (0x188, 0x18a, 'family'), (0x18b, 0x1a0, 'reserved'), (0x208, 0x2a0, 'reserved'),
                             (0x330, 0x4a0, 'behind the signature')):
        if name != 'family' or line.name != 'Genoa':
            length = 1 if name == 'family' else end - start
            tap.equal(ours[start:start + length], real_report[start:start + length],
                      f'{line.name}: {name} at {start:#x}')


def check_launch(tap, line):
    """A report of a launch that the model has just taken, against the prediction, which shares no code with either."""
    library = os.environ.get('PLATFORM_MODEL_LIBRARY', '')
    firmware = '/usr/share/ovmf/OVMF.amdsev.fd'
    if not all(os.path.exists(path) for path in (library, firmware, '/dev/kvm')):
        tap.comment('no platform model here: no report of a launch')
        return
    host_data = bytes(range(32))
    document = launch.launch('sev-snp', firmware, library=library,
                             properties={'host-data': base64.b64encode(host_data).decode()})
    data = module.report(line.vcek(), launch=document)
    wanted = subprocess.run([sys.executable, os.path.join(HERE, 'predict.py'), '--platform', 'sev-snp', '--firmware',
                             firmware, '--vcpus', '1', '--cpu', 'EPYC-Milan'], capture_output=True, text=True,
                            check=True).stdout
    tap.check(data[0x90:0xc0].hex() in wanted, 'a launch: its measurement', f'{data[0x90:0xc0].hex()}\n{wanted}')
    tap.equal(data[0x08:0x10], int(document['policy'], 16).to_bytes(8, 'little'), 'a launch: its policy')
    tap.equal(data[0xc0:0xe0], host_data, 'a launch: its host data')
    for wrong in ({'platform': 'sev'}, {'state': 'measured'}):
        try:
            module.report(line.vcek(), launch=dict(document, **wrong))
            refused = False
        except ValueError:
            refused = True
        tap.check(refused, f'no report of {wrong}')


def der_of(element):
    tag, contents = element
    return module.der(tag, *(der_of(child) for child in contents)) if isinstance(contents, list) else module.der(
        tag, contents)


def main():
    tap = Tap()
    authority = module.Authority(module.default_folder() if os.environ.get('VIRT_ATTEST_BUILD') else None)
    with tempfile.TemporaryDirectory(prefix='authority-') as folder:
        for name in module.LINES:
            line = authority.line(name)
            tap.where = 'authority'
            check_openssl(tap, folder, line)
            tap.check(b'Advanced Micro Devices' not in line.ark + line.ask + line.asvk + line.vcek().certificate,
                      f'{name}: nothing says that it is AMD\'s')
            if VECTORS:
                check_real(tap, line)
        check_launch(tap, authority.line('Milan'))
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
