#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The platform model's own certificate authority, which signs reports of launches that it has modelled.

IT IS NOT AMD. Its certificates have AMD's form (names, serials, extensions, RSASSA-PSS), because what reads them is
what reads AMD's; but the organisation in every name is "virt-attest TEST AUTHORITY - NOT AMD", its keys are made when a
test needs them, and nothing trusts them unless it is given the file of trust_anchor() by --trust-anchor. See README.md.

    authority = Authority(folder)                     keys live in FOLDER and are made when first asked for
    milan = authority.line('Milan')                   .ark .ask .asvk (DER), .trust_anchor() (PEM)
    vcek = milan.vcek(chip, tcb)                      .certificate (DER), signs reports
    vlek = milan.vlek('csp.example', tcb)
    milan.crl(revoked=[milan.serials['ask']])         DER
    report(vcek, version=3, measurement=…)            1184 bytes
    report(vcek, launch=document)                     measurement, policy and host data of a modelled launch

DER is written here, field by field, so that it can be AMD's to the byte (the CA certificates name the default trailer
field, the others do not; HWID has no inner tag) and wrong wherever a test wants it wrong. Layouts: SEV-SNP Firmware ABI
(56860), ATTESTATION_REPORT; VCEK Certificate and KDS Interface (57230).
"""
import argparse
import base64
import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ORGANISATION = 'virt-attest TEST AUTHORITY - NOT AMD'
LINES = {
    # serials of ARK, ASK and ASVK, struct version and product name of a VCEK, CPUID family, model, stepping
    'Milan': ((0x10000, 0x10001, 0x10101), 0, 'Milan-B0', (0x19, 0x01, 0x01)),
    'Genoa': ((0x20000, 0x20002, 0x20101), 0, 'Genoa', (0x19, 0x11, 0x01)),
    'Turin': ((0x30000, 0x30001, 0x30101), 1, 'Turin', (0x1a, 0x02, 0x01)),
}
TCB = {
    'Milan': {'bootloader': 4, 'tee': 0, 'snp': 24, 'microcode': 219},
    'Genoa': {'bootloader': 10, 'tee': 0, 'snp': 23, 'microcode': 84},
    'Turin': {'fmc': 1, 'bootloader': 1, 'tee': 1, 'snp': 4, 'microcode': 81},
}
AMD = '1.3.6.1.4.1.3704.1'
SIGNED_SIZE = 0x2a0
REPORT_SIZE = 0x4a0
GUIDS = {
    'vcek': '63da758d-e664-4564-adc5-f4b93be8accd', 'vlek': 'a8074bc2-a25a-483e-aae6-39c045a0b8a1',
    'ask': '4ab7b379-bbac-4fe4-a02f-05aef327c782', 'ark': 'c0b406a4-a803-4952-9743-3fb6014cd0ae',
    'crl': '92f81bc3-5811-4d3d-97ff-d19f88dc67ea',
}


#
# DER
#
def der(tag, *parts):
    body = b''.join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(length)]) + length + body


def sequence(*parts):
    return der(0x30, *parts)


def integer(value):
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, 'big'))


def oid(text):
    numbers = [int(word) for word in text.split('.')]
    body = bytes([40 * numbers[0] + numbers[1]])
    for number in numbers[2:]:
        septets = [number & 0x7f]
        while number > 0x7f:
            number >>= 7
            septets.append(0x80 | (number & 0x7f))
        body += bytes(reversed(septets))
    return der(0x06, body)


def extension(name, value, critical=False):
    return sequence(oid(name), der(0x01, b'\xff') if critical else b'', der(0x04, value))


def rdn(kind, text, tag=0x0c):
    return der(0x31, sequence(oid('2.5.4.' + str(kind)), der(tag, text.encode())))


def name(common, organisation=ORGANISATION):
    return sequence(rdn(11, 'Engineering'), rdn(6, 'US', 0x13), rdn(7, 'Santa Clara'), rdn(8, 'CA'),
                    rdn(10, organisation), rdn(3, common))


def moment(when):
    """UTCTime or, from 2050 on, GeneralizedTime; WHEN in seconds since 1970."""
    at = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    if at.year < 2050:
        return der(0x17, at.strftime('%y%m%d%H%M%SZ').encode())
    return der(0x18, at.strftime('%Y%m%d%H%M%SZ').encode())


def pss(trailer):
    """AlgorithmIdentifier: RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes; TRAILER: name the default one."""
    sha384 = sequence(oid('2.16.840.1.101.3.4.2.2'), der(0x05))
    return sequence(oid('1.2.840.113549.1.1.10'),
                    sequence(der(0xa0, sha384), der(0xa1, sequence(oid('1.2.840.113549.1.1.8'), sha384)),
                             der(0xa2, integer(48)), der(0xa3, integer(1)) if trailer else b''))


def public_key(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_identifier(key):
    if isinstance(key, rsa.RSAPrivateKey):
        bits = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    else:
        bits = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return hashlib.sha1(bits).digest()


def signed(body, key, algorithm):
    """BODY with its signature. A key on a curve is for tests that want the wrong kind."""
    if isinstance(key, rsa.RSAPrivateKey):
        mask = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
        signature = key.sign(body, mask, hashes.SHA384())
    else:
        signature = key.sign(body, ec.ECDSA(hashes.SHA384()))
    return sequence(body, algorithm, der(0x03, b'\0', signature))


def make_certificate(subject, issuer, serial, key, issuer_key, validity, extensions, trailer):
    """A version 3 certificate; VALIDITY: first and last second; EXTENSIONS: encoded ones."""
    algorithm = pss(trailer)
    body = sequence(der(0xa0, integer(2)), integer(serial), algorithm, issuer,
                    sequence(moment(validity[0]), moment(validity[1])), subject, public_key(key),
                    der(0xa3, sequence(*extensions)) if extensions else b'')
    return signed(body, issuer_key, algorithm)


def pem(data, label='CERTIFICATE'):
    text = base64.b64encode(data).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return f'-----BEGIN {label}-----\n' + '\n'.join(lines) + f'\n-----END {label}-----\n'


#
# Trusted computing bases
#
def tcb_bytes(line, tcb):
    """TCB_VERSION in the layout of LINE."""
    if line == 'Turin':
        return bytes([tcb['fmc'], tcb['bootloader'], tcb['tee'], tcb['snp'], 0, 0, 0, tcb['microcode']])
    return bytes([tcb['bootloader'], tcb['tee'], 0, 0, 0, 0, tcb['snp'], tcb['microcode']])


def tcb_text(tcb):
    """As options and messages of virt-attest have it."""
    words = [f'{word}={tcb[word]}' for word in ('bootloader', 'tee', 'snp', 'microcode')]
    return ','.join(words + ([f'fmc={tcb["fmc"]}'] if 'fmc' in tcb else []))


def tcb_query(tcb):
    """As the Key Distribution Service has it."""
    words = [f'{key}={tcb[word]:02}' for key, word in (('blSPL', 'bootloader'), ('teeSPL', 'tee'), ('snpSPL', 'snp'),
                                                     ('ucodeSPL', 'microcode'))]
    return '&'.join(([f'fmcSPL={tcb["fmc"]:02}'] if 'fmc' in tcb else []) + words)


def chip(line, word='chip'):
    """A made-up chip of LINE: 8 bytes on Turin, else 64. The same word is the same chip."""
    return hashlib.sha512(f'{ORGANISATION}: {line}: {word}'.encode()).digest()[:8 if line == 'Turin' else 64]


def endorsement_extensions(line, tcb, hwid=None, csp=None, product=None):
    """AMD's extensions as (OID behind AMD's arc, value) so that a test can leave one out or spoil it."""
    number = LINES[line][1]
    if product is None:
        product = LINES[line][2] if hwid is not None else line
    values = [('1', integer(number)), ('2', der(0x16, product.encode())), ('3.1', integer(tcb['bootloader'])),
              ('3.2', integer(tcb['tee']))]
    if line != 'Turin':
        values.append(('3.4', integer(0)))
    # The order of real ones, which is not that of the numbers.
    values += [('3.5', integer(0)), ('3.6', integer(0)), ('3.7', integer(0)), ('3.3', integer(tcb['snp'])),
               ('3.8', integer(tcb['microcode']))]
    if line == 'Turin':
        values.insert(2, ('3.9', integer(tcb['fmc'])))
    if hwid is not None:
        values.append(('4', hwid))
    if csp is not None:
        values.append(('5', der(0x16, csp.encode())))
    return values


#
# The authority
#
class Signer:
    """A VCEK or VLEK: its key, its certificate, what reports signed by it say."""

    def __init__(self, kind, line, key, certificate, tcb, hwid):
        self.kind, self.line, self.key, self.certificate, self.tcb, self.hwid = kind, line, key, certificate, tcb, hwid

    def sign(self, body):
        """The signature field of a report over BODY: R and S as little-endian numbers of 72 bytes."""
        r, s = decode_dss_signature(self.key.sign(body, ec.ECDSA(hashes.SHA384())))
        return (r.to_bytes(72, 'little') + s.to_bytes(72, 'little')).ljust(512, b'\0')


class Line:
    """Root and intermediates of Milan, Genoa or Turin."""

    def __init__(self, line, load, organisation=ORGANISATION, now=None):
        self.name = line
        self.organisation = organisation
        self.now = int(now if now is not None else datetime.datetime.now().timestamp())
        self.serials = dict(zip(('ark', 'ask', 'asvk'), LINES[line][0]))
        self.keys = {role: load(f'{line}-{role}', 'rsa') for role in ('ark', 'ask', 'asvk')}
        self.load = load
        for role in ('ark', 'ask', 'asvk'):
            setattr(self, role, self.certificate(role))

    def subject(self, role):
        common = {'ark': 'ARK-', 'ask': 'SEV-', 'asvk': 'SEV-VLEK-'}[role]
        return name(common + self.name, self.organisation)

    def certificate(self, role, key=None, issuer_key=None, validity=None):
        """ARK, ASK or ASVK. Signatures have a salt, so another call makes another certificate of the same key."""
        key = key or self.keys[role]
        issuer = issuer_key or self.keys['ark']
        point = f'https://kdsintf.amd.com/{"vlek" if role == "asvk" else "vcek"}/v1/{self.name}/crl'
        point = der(0x30, sequence(der(0xa0, der(0xa0, der(0x86, point.encode())))))
        subject_key = extension('2.5.29.14', der(0x04, key_identifier(key)))
        points = extension('2.5.29.31', point)
        if role == 'ark':
            extensions = [extension('2.5.29.15', der(0x03, b'\x01\x06'), True), subject_key,
                          extension('2.5.29.19', sequence(der(0x01, b'\xff')), True), points]
        else:
            extensions = [subject_key, extension('2.5.29.35', sequence(der(0x80, key_identifier(issuer)))),
                          extension('2.5.29.19', sequence(der(0x01, b'\xff'), integer(0)), True),
                          extension('2.5.29.15', der(0x03, b'\x02\x04'), True), points]
        validity = validity or (self.now - 2 * 365 * 86400, self.now + 22 * 365 * 86400)
        return make_certificate(self.subject(role), self.subject('ark'), self.serials[role], key, issuer, validity,
                                extensions, trailer=True)

    def chain(self, kind='vcek'):
        """What the Key Distribution Service calls cert_chain: ASK or ASVK, then ARK, as PEM."""
        return pem(self.asvk if kind == 'vlek' else self.ask) + pem(self.ark)

    def trust_anchor(self):
        """For --trust-anchor."""
        return f'# {ORGANISATION}\n' + pem(self.ask) + pem(self.asvk) + pem(self.ark)

    def endorsement(self, kind, tcb, hwid, extensions, validity=None, key=None, issuer_key=None, subject=None,
                    issuer=None, serial=0):
        role = 'asvk' if kind == 'vlek' else 'ask'
        key = key or ec.generate_private_key(ec.SECP384R1())
        encoded = [extension(f'{AMD}.{number}', value) for number, value in extensions]
        years = 1 if kind == 'vlek' else 7
        validity = validity or (self.now - 86400, self.now + years * 365 * 86400)
        subject = name(subject or 'SEV-' + kind.upper(), self.organisation)
        certificate = make_certificate(subject, issuer or self.subject(role), serial, key,
                                       issuer_key or self.keys[role], validity, encoded, trailer=False)
        return Signer(kind, self.name, key, certificate, tcb, hwid)

    def vcek(self, hwid=None, tcb=None, extensions=None, **how):
        """A VCEK; HWID: bytes. A given EXTENSIONS replaces AMD's (see endorsement_extensions())."""
        hwid = chip(self.name) if hwid is None else hwid
        tcb = tcb or TCB[self.name]
        if extensions is None:
            extensions = endorsement_extensions(self.name, tcb, hwid)
        # The key of a chip and TCB is always the same one, as it is in silicon; its certificate may be made anew.
        word = hashlib.sha256(hwid + repr(sorted(tcb.items())).encode()).hexdigest()[:16]
        how.setdefault('key', self.load(f'{self.name}-vcek-{word}', 'ec'))
        return self.endorsement('vcek', tcb, hwid, extensions, **how)

    def vlek(self, csp='CN=csp.example', tcb=None, extensions=None, **how):
        tcb = tcb or TCB[self.name]
        if extensions is None:
            extensions = endorsement_extensions(self.name, tcb, csp=csp)
        word = hashlib.sha256(csp.encode() + repr(sorted(tcb.items())).encode()).hexdigest()[:16]
        how.setdefault('key', self.load(f'{self.name}-vlek-{word}', 'ec'))
        return self.endorsement('vlek', tcb, None, extensions, **how)

    def crl(self, revoked=(), this_update=None, next_update=None, key=None, issuer=None):
        """Of the ARK; REVOKED: serials. A stale one is one whose NEXT_UPDATE has passed."""
        this_update = self.now - 3600 if this_update is None else this_update
        next_update = self.now + 30 * 86400 if next_update is None else next_update
        algorithm = pss(True)
        entries = [sequence(integer(serial), moment(this_update)) for serial in revoked]
        extensions = der(0xa0, sequence(
            extension('2.5.29.35', sequence(der(0x80, key_identifier(self.keys['ark'])))),
            extension('2.5.29.20', integer(1))))
        body = sequence(integer(1), algorithm, issuer or self.subject('ark'), moment(this_update), moment(next_update),
                        sequence(*entries) if entries else b'', extensions)
        return signed(body, key or self.keys['ark'], algorithm)


class Authority:
    """Keys are made when they are first needed and kept in FOLDER (None: in memory), which belongs to a test run."""

    def __init__(self, folder=None, now=None):
        self.folder, self.now = folder, now
        self.lines, self.memory = {}, {}
        if folder:
            os.makedirs(folder, mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self):
        with open(os.path.join(self.folder, 'lock'), 'w', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def generate(kind):
        return rsa.generate_private_key(65537, 4096) if kind == 'rsa' else ec.generate_private_key(ec.SECP384R1())

    def key(self, word, kind):
        if not self.folder:
            if word not in self.memory:
                self.memory[word] = self.generate(kind)
            return self.memory[word]
        path = os.path.join(self.folder, word + '.pem')
        with self.locked():
            if os.path.exists(path):
                with open(path, 'rb') as stored:
                    return serialization.load_pem_private_key(stored.read(), None)
            key = self.generate(kind)
            text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
            with open(os.open(path + '.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'wb') as stored:
                stored.write(text)
            os.rename(path + '.new', path)
            return key

    def line(self, line):
        if line not in self.lines:
            self.lines[line] = Line(line, self.key, now=self.now)
        return self.lines[line]


def default_folder():
    """Where the tests of one build share their keys: an RSA key of 4096 bits takes a second to make."""
    return os.path.join(os.environ.get('VIRT_ATTEST_BUILD', '/nonexistent'), 'tests', 'authority')


#
# Reports
#
def report(signer, launch=None, version=3, tcb=None, current_tcb=None, committed_tcb=None, launch_tcb=None,
           policy=0x30000, measurement=bytes(48), host_data=bytes(32), report_data=bytes(64), vmpl=0, guest_svn=0,
           family_id=bytes(16), image_id=bytes(16), id_key_digest=bytes(48), author_key_digest=bytes(48),
           author_key=None, report_id=None, report_id_ma=b'\xff' * 32, chip_id=None, cpuid=None, platform_info=0x25,
           current_version=(1, 55, 29), committed_version=None, mitigation=(0x3f, 0x3f), mask_chip_key=False,
           signing_key=None, patch=None):
    """A report of 1184 bytes signed by SIGNER.

    LAUNCH: the document of a modelled launch, which says measurement, policy, host data and, where it has one, the ID
    block. TCB: REPORTED_TCB, the signer's unless a test wants another. PATCH: function that changes the bytes (a
    bytearray) before they are signed.
    """
    line = signer.line
    if launch:
        if launch['platform'] != 'sev-snp' or launch['state'] != 'finished':
            raise ValueError('a report is of a finished launch of SEV-SNP')
        measurement = bytes.fromhex(launch['digest'])
        policy = int(launch['policy'], 16)
        host_data = bytes.fromhex(launch['host_data'])
        # A launch without an ID block has none of these.
        given = [bytes.fromhex(launch.get(word) or '00' * size) for word, size in (
            ('id_key_digest', 48), ('author_key_digest', 48), ('family_id', 16), ('image_id', 16))]
        id_key_digest, author_key_digest, family_id, image_id = given
        guest_svn = int(launch.get('guest_svn') or 0)
    tcb = tcb or signer.tcb
    current_tcb = current_tcb or tcb
    committed_tcb = committed_tcb or current_tcb
    launch_tcb = launch_tcb or current_tcb
    if author_key is None:
        author_key = any(author_key_digest)
    if chip_id is None:
        chip_id = b'' if signer.kind == 'vlek' else signer.hwid
    if signing_key is None:
        signing_key = 1 if signer.kind == 'vlek' else 0
    if report_id is None:
        report_id = os.urandom(32)
    body = bytearray(SIGNED_SIZE)

    def put(offset, data, size):
        if len(data) > size:
            raise ValueError(f'{len(data)} bytes for a field of {size} at {offset:#x}')
        body[offset:offset + len(data)] = data

    struct.pack_into('<IIQ', body, 0, version, guest_svn, policy)
    put(0x10, family_id, 16)
    put(0x20, image_id, 16)
    struct.pack_into('<II', body, 0x30, vmpl, 1)
    put(0x38, tcb_bytes(line, current_tcb), 8)
    struct.pack_into('<QI', body, 0x40, platform_info, bool(author_key) | bool(mask_chip_key) << 1 | signing_key << 2)
    put(0x50, report_data, 64)
    put(0x90, measurement, 48)
    put(0xc0, host_data, 32)
    put(0xe0, id_key_digest, 48)
    put(0x110, author_key_digest, 48)
    put(0x140, report_id, 32)
    put(0x160, report_id_ma, 32)
    put(0x180, tcb_bytes(line, tcb), 8)
    if version >= 3:
        put(0x188, bytes(cpuid or LINES[line][3]), 3)
    put(0x1a0, chip_id, 64)
    put(0x1e0, tcb_bytes(line, committed_tcb), 8)
    for offset, (major, minor, build) in ((0x1e8, current_version), (0x1ec, committed_version or current_version)):
        put(offset, bytes([build, minor, major]), 3)
    put(0x1f0, tcb_bytes(line, launch_tcb), 8)
    if version >= 5:
        struct.pack_into('<QQ', body, 0x1f8, *mitigation)
    if patch:
        patch(body)
    return bytes(body) + signer.sign(bytes(body))


def table(entries):
    """A certificate table of GET_EXT_REPORT; ENTRIES: (role or GUID, bytes) in their order."""
    header = 24 * (len(entries) + 1)
    rows, data = b'', b''
    for role, blob in entries:
        guid = bytes.fromhex(GUIDS.get(role, role).replace('-', ''))
        rows += guid + struct.pack('<II', header + len(data), len(blob))
        data += blob
    return rows + bytes(24) + data


#
# By hand
#
def main():
    parser = argparse.ArgumentParser(description='Signs a report of a modelled launch. A test authority: NOT AMD.')
    parser.add_argument('--folder', required=True, help='keys and certificates; made when missing')
    parser.add_argument('--line', choices=sorted(LINES), default='Milan')
    parser.add_argument('--launch', help='document of a modelled launch (JSON)')
    parser.add_argument('--version', type=int, default=3)
    parser.add_argument('--report-data', default='', help='hexadecimal')
    parser.add_argument('--vmpl', type=int, default=0)
    parser.add_argument('--vlek', action='store_true', help='signed by a VLEK')
    parser.add_argument('--extended', action='store_true', help='with its certificate table')
    parser.add_argument('output', help='file for the report; OUTPUT.anchor gets the trust anchor')
    options = parser.parse_args()
    line = Authority(options.folder).line(options.line)
    signer = line.vlek() if options.vlek else line.vcek()
    launch = None
    if options.launch:
        with open(options.launch, encoding='utf-8') as document:
            launch = json.load(document)
    data = report(signer, launch=launch, version=options.version, vmpl=options.vmpl,
                  report_data=bytes.fromhex(options.report_data))
    if options.extended:
        data += table([(signer.kind, signer.certificate), ('ask', line.asvk if options.vlek else line.ask),
                       ('ark', line.ark)])
    with open(options.output, 'wb') as output:
        output.write(data)
    with open(options.output + '.anchor', 'w', encoding='utf-8') as output:
        output.write(line.trust_anchor())
    print(f'{options.output}: {ORGANISATION}', file=sys.stderr)


if __name__ == '__main__':
    main()
