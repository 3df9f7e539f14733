#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""certs, and the certificate cache behind it, against a Key Distribution Service on the loopback that has every fault.

No test asks anybody else: addresses are given with --kds, or the proxy of the environment is ours. What an answer
should be is known from the test authority, which made it, never from the program under test.
"""
import concurrent.futures
import glob
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PLATFORM = os.path.join(os.path.dirname(HERE), 'platform')
sys.path.insert(0, PLATFORM)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'libvirt'))
try:
    import authority as authorities
    import kds_server
except ImportError as missing:
    print(f'1..0 # SKIP {missing}: install python3-cryptography')
    sys.exit(0)
from harness import Tap, asked_from  # noqa: E402

TOOL = os.path.abspath(sys.argv[1])
REJECTED, USAGE, CANNOT_READ, NOT_CONFIGURED = 1, 2, 3, 4
TCB = authorities.TCB
# Seconds: more than any of these answers may take on a busy machine, and less than the faults would like.
PROMPT = 25
# In the names of the authority's revocation lists, by line: SHA-256 of the ARK's public key, the first 8 bytes.
IDS = {}


class Collected(Tap):
    """What one test has found; the tests run side by side, since they mostly wait."""

    def __init__(self, name):
        super().__init__()
        self.where, self.results = name, []

    def check(self, good, name, detail=''):
        self.results.append((bool(good), f'{self.where}: {name}', '' if good else str(detail) or asked_from()))
        return good

    def comment(self, text):
        self.results.append((None, str(text), ''))


class Bench:
    """One empty state folder, and what runs the program on it."""

    def __init__(self, folder, server, authority):
        self.folder, self.server, self.authority = folder, server, authority
        self.number = 0
        self.anchors = {}
        for name in authorities.LINES:
            self.anchors[name] = self.write(f'{name}.anchor', authority.line(name).trust_anchor())
        self.fresh()

    def fresh(self):
        """Another state folder, and a server that knows no faults."""
        self.number += 1
        self.state = os.path.join(self.folder, f'state{self.number}')
        self.config = self.write(f'conf{self.number}', f'[paths]\nstate-directory = {self.state}\n')
        self.server.reset()

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as out:
            out.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, 0o600)
        return path

    def run(self, *words, line='Milan', anchor=True, kds=True, environment=None, prefix=(), timeout=300):
        command = [*prefix, TOOL, '--config', self.config, 'certs', *words]
        if anchor:
            command += ['--trust-anchor', self.anchors[line]]
        if kds and words[0] == 'fetch' and '--offline' not in words:
            command += ['--kds', self.server.url]
        values = {key: value for key, value in os.environ.items() if not key.lower().endswith('_proxy')}
        values.update(environment or {})
        started = time.monotonic()
        found = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=values)
        found.seconds = time.monotonic() - started
        found.all = f'{command}\n{found.returncode} after {found.seconds:.1f} s\n{found.stdout}{found.stderr}'
        return found

    def fetch(self, *words, line='Milan', chip=None, tcb=None, **how):
        """Of a chip by its numbers."""
        chip = (chip or authorities.chip(line)).hex()
        return self.run('fetch', '--product', line, '--chip', chip, '--tcb', authorities.tcb_text(tcb or TCB[line]),
                        *words, line=line, **how)

    def entries(self):
        return sorted(os.path.basename(path) for path in glob.glob(os.path.join(self.state, 'certificates', '*')))

    def entry(self, suffix):
        return glob.glob(os.path.join(self.state, 'certificates', '*' + suffix))[0]

    def der(self, suffix):
        with open(self.entry(suffix), 'rb') as stored:
            return stored.read().split(b'\n', 1)[1]

    def leftovers(self):
        """Unfinished files; the lock of revocation lists is for good."""
        return [path for path in glob.glob(os.path.join(self.state, 'certificates', '.*')) if not path.endswith('/.lock')]


def names(line='Milan', kinds=('vcek', 'ask', 'ark', 'vcek.crl'), chip=None, tcb=None):
    """File names of entries, from the documentation of the cache."""
    chip = (chip or authorities.chip(line)).hex()
    words = authorities.tcb_bytes(line, tcb or TCB[line]).hex()
    return sorted(f'{line}.{chip}.{words}.vcek' if kind == 'vcek' else
                  f'{line}.{IDS[line]}.{kind}' if kind.endswith('.crl') else f'{line}.{kind}' for kind in kinds)


def vcek_path(line='Milan', chip=None, tcb=None):
    return f'/vcek/v1/{line}/{(chip or authorities.chip(line)).hex()}?{authorities.tcb_query(tcb or TCB[line])}'


#
# Tests
#
def test_fetch(tap, bench):
    for line in ('Milan', 'Turin'):
        bench.fresh()
        found = bench.fetch(line=line)
        tap.equal(found.returncode, 0, f'{line}: fetched', found.all)
        tap.equal(bench.server.requests, [vcek_path(line), f'/vcek/v1/{line}/cert_chain', f'/vcek/v1/{line}/crl'],
                  f'{line}: asked for once each, by the reported TCB')
        tap.equal(bench.entries(), names(line), f'{line}: kept under their names')
        tap.equal(os.stat(os.path.join(bench.state, 'certificates')).st_mode & 0o777, 0o700, f'{line}: privately')
        tap.equal(bench.der('.ark'), bench.authority.line(line).ark, f'{line}: the root to the byte')
        bench.server.reset()
        found = bench.fetch('--format', 'json', line=line)
        tap.equal(found.returncode, 0, f'{line}: again', found.all)
        tap.equal(bench.server.requests, [], f'{line}: nothing is asked for twice')
        tap.equal([(row['kind'], row['source']) for row in json.loads(found.stdout)['certificates']],
                  [('vcek', 'cache'), ('ask', 'cache'), ('ark', 'cache'), ('crl', 'cache')], f'{line}: and said so')
        found = bench.fetch('--refresh', line=line)
        tap.equal((found.returncode, len(bench.server.requests)), (0, 3), f'{line}: but with --refresh', found.all)


def test_report(tap, bench):
    line = bench.authority.line('Milan')
    report = authorities.report(line.vcek(), version=3)
    path = bench.write('report.bin', report)
    found = bench.run('fetch', path)
    tap.equal((found.returncode, bench.entries()), (0, names()), 'by a report', found.all)
    bench.fresh()
    vcek = line.vcek()
    extended = authorities.report(vcek) + authorities.table([('vcek', vcek.certificate), ('ask', line.ask),
                                                              ('ark', line.ark)])
    found = bench.run('fetch', bench.write('extended.bin', extended))
    tap.equal((found.returncode, bench.server.requests), (0, ['/vcek/v1/Milan/crl']),
              'what came with the report is not asked for', found.all)
    tap.equal(bench.der('.vcek'), vcek.certificate, 'but kept')
    bench.fresh()
    wrong = line.vcek(authorities.chip('Milan', 'another'))
    foreign = bench.server.line('Milan', 'foreign')
    for word, certificate in (('another chip\'s', wrong.certificate), ('a foreign', foreign.vcek().certificate),
                              ('no', b'nonsense')):
        bench.fresh()
        bad = authorities.report(vcek) + authorities.table([('vcek', certificate)])
        found = bench.run('fetch', bench.write('extended.bin', bad))
        tap.equal(found.returncode, 0, f'{word} certificate came along: the right one is fetched', found.all)
        tap.check(vcek_path() in bench.server.requests, f'{word}: asked for', bench.server.requests)
        tap.check(bench.der(names()[0].rsplit('.', 2)[1] + '.vcek') != certificate, f'{word}: not kept under its name')
    bench.fresh()
    old = bench.write('v2.bin', authorities.report(vcek, version=2))
    found = bench.run('fetch', old)
    tap.equal((found.returncode, bench.server.requests), (USAGE, []), 'version 2 does not say the product', found.all)
    found = bench.run('fetch', '--product', 'Milan', old)
    tap.equal(found.returncode, 0, 'with --product', found.all)
    found = bench.run('fetch', '--product', 'Turin', path)
    tap.equal(found.returncode, USAGE, 'a product that contradicts the report', found.all)
    masked = bench.write('masked.bin', authorities.report(vcek, chip_id=bytes(64)))
    found = bench.run('fetch', masked)
    tap.equal(found.returncode, USAGE, 'a masked chip', found.all)
    found = bench.run('fetch', '--chip', authorities.chip('Milan').hex(), masked)
    tap.equal(found.returncode, 0, 'with --chip', found.all)


def test_vlek(tap, bench):
    line = bench.authority.line('Milan')
    vlek = line.vlek()
    plain = bench.write('vlek.bin', authorities.report(vlek))
    found = bench.run('fetch', plain)
    tap.equal((found.returncode, bench.server.requests), (CANNOT_READ, []), 'nobody but its operator gets a VLEK',
              found.all)
    found = bench.run('import', bench.write('vlek.der', vlek.certificate))
    tap.equal(found.returncode, 0, 'imported', found.all)
    found = bench.run('fetch', plain)
    tap.equal((found.returncode, bench.server.requests), (0, ['/vlek/v1/Milan/cert_chain', '/vlek/v1/Milan/crl']),
              'then its chain is asked for', found.all)
    tap.equal(bench.der('.asvk'), line.asvk, 'the ASVK')
    extended = authorities.report(vlek) + authorities.table([('vlek', vlek.certificate), ('ask', line.asvk),
                                                              ('ark', line.ark), ('crl', line.crl())])
    bench.fresh()
    found = bench.run('fetch', '--offline', bench.write('vlek-extended.bin', extended))
    tap.equal((found.returncode, bench.server.requests), (0, []), 'all of it from the report', found.all)
    table = os.path.join(bench.folder, 'table.bin')
    found = bench.run('export', '--table', table, plain)
    tap.equal(found.returncode, 0, 'a table for this report', found.all)
    with open(table, 'rb') as written:
        rows = [('vlek', vlek.certificate), ('ask', line.asvk), ('ark', line.ark)]
        tap.equal(written.read(), authorities.table(rows), 'is the one that a host would give, to the byte')


def test_turned_away(tap, bench):
    bench.server.script('/vcek/v1/Milan/', '429:1', 'good')
    found = bench.fetch()
    tap.check(found.returncode == 0 and 1 <= found.seconds < PROMPT, '429 with Retry-After, then good', found.all)
    tap.contains(found.stderr, ['trying again in 1 s'], '429: says what it waits for')
    tap.equal(bench.server.requests[:2], [vcek_path()] * 2, '429: asked again')
    bench.fresh()
    bench.server.script('/vcek/v1/Milan/', '429:date', 'good')
    found = bench.fetch()
    tap.check(found.returncode == 0 and found.seconds >= 1, '429 with a date', found.all)
    for word, why in (('429:3600', 'longer than there is time'), ('429', 'no Retry-After, no time for the usual one'),
                      ('429:99999999999999999999', 'a number out of range')):
        bench.fresh()
        bench.server.script('/vcek/v1/Milan/', word)
        found = bench.fetch('--timeout', '4')
        tap.check(found.returncode == CANNOT_READ and found.seconds < PROMPT, f'429: {why}', found.all)
        tap.contains(found.stderr.splitlines()[-1], ['error: ', '429', 'try again later'], f'429: {why}: said')
        tap.equal(bench.entries(), [], f'429: {why}: nothing kept')


def test_status(tap, bench):
    for word in ('404', '403', '400'):
        bench.fresh()
        bench.server.script('/', word)
        found = bench.fetch()
        tap.check(found.returncode == CANNOT_READ and found.seconds < PROMPT, f'{word} is final', found.all)
        tap.equal((len(bench.server.requests), bench.entries()), (1, []), f'{word}: not asked again')
        tap.contains(found.stderr, [f'status {word}'], f'{word}: said')
    for word in ('500', '503', 'cut', 'silent'):
        bench.fresh()
        bench.server.script('/vcek/v1/Milan/', word, 'good')
        found = bench.fetch()
        tap.equal((found.returncode, bench.entries()), (0, names()), f'{word}, then good', found.all)
        bench.fresh()
        bench.server.script('/', word)
        found = bench.fetch('--timeout', '6')
        tap.check(found.returncode == CANNOT_READ and found.seconds < PROMPT, f'{word} for ever: bounded', found.all)
        tap.check(2 <= len(bench.server.requests) <= 4 and not bench.entries(), f'{word}: tried again, nothing kept',
                  bench.server.requests)
    bench.fresh()
    found = bench.run('fetch', '--product', 'Milan', '--timeout', '3', '--kds', 'http://127.0.0.1:1', kds=False)
    tap.check(found.returncode == CANNOT_READ and found.seconds < PROMPT, 'nobody there', found.all)


def test_slow(tap, bench):
    for word in ('slow:30', 'drip'):
        bench.fresh()
        bench.server.script('/', word)
        found = bench.fetch('--timeout', '2')
        tap.check(found.returncode == CANNOT_READ and found.seconds < PROMPT, f'{word}: bounded', found.all)
        tap.equal(bench.entries(), [], f'{word}: nothing kept')
    bench.fresh()
    bench.server.script('/', 'slow:1')
    found = bench.fetch('--timeout', '10')
    tap.equal((found.returncode, bench.entries()), (0, names()), 'slow, but not too slow', found.all)


def test_wrong_answers(tap, bench):
    for word, code in (('corrupt', None), ('wrong-chip', REJECTED), ('wrong-tcb', REJECTED), ('foreign', REJECTED),
                       ('html', CANNOT_READ), ('empty', CANNOT_READ), ('oversized', CANNOT_READ),
                       ('oversized-length', CANNOT_READ)):
        bench.fresh()
        bench.server.script('/vcek/v1/Milan/', word)
        found = bench.fetch()
        wanted = (REJECTED, CANNOT_READ) if code is None else (code,)
        tap.check(found.returncode in wanted and found.seconds < PROMPT, f'VCEK: {word}: refused', found.all)
        tap.equal((bench.entries(), bench.leftovers()), ([], []), f'VCEK: {word}: nothing kept')
        tap.equal(len(bench.server.requests), 1, f'VCEK: {word}: not asked again')
        tap.check(bench.server.sent < 4 << 20, f'VCEK: {word}: not read to the end', bench.server.sent)
    for what in ('cert_chain', 'crl'):
        for word in ('corrupt', 'foreign', 'html', 'empty', 'oversized'):
            bench.fresh()
            bench.server.script(what, word)
            found = bench.run('fetch', '--product', 'Milan')
            tap.check(found.returncode in (REJECTED, CANNOT_READ), f'{what}: {word}: refused', found.all)
            tap.equal(bench.entries(), [] if what == 'cert_chain' else names(kinds=('ask', 'ark')),
                      f'{what}: {word}: not kept')
    bench.fresh()
    found = bench.fetch(anchor=False)
    tap.equal((found.returncode, bench.entries()), (REJECTED, []), 'AMD\'s roots have signed none of this', found.all)


def test_every_bit(tap, bench):
    """Of a certificate, one byte after the other: none gets in."""
    vcek = bench.authority.line('Milan').vcek().certificate
    folder = os.path.join(bench.folder, 'flips')
    os.mkdir(folder)
    for at in range(0, len(vcek), 7):
        changed = bytearray(vcek)
        changed[at] ^= 1 << (at % 8)
        with open(os.path.join(folder, f'{at}.der'), 'wb') as out:
            out.write(changed)
    found = bench.run('import', folder)
    tap.equal((found.returncode, bench.entries()), (CANNOT_READ, []), 'nothing of it was imported', found.all[:2000])
    tap.equal(found.stderr.count('not imported:'), len(range(0, len(vcek), 7)), 'each was refused', found.stderr[:2000])


def test_crl(tap, bench):
    day = 86400
    bench.server.script('crl', 'stale')
    found = bench.run('fetch', '--product', 'Milan')
    tap.equal((found.returncode, bench.entries()), (REJECTED, names(kinds=('ask', 'ark'))), 'a stale list', found.all)
    bench.fresh()
    bench.server.script('crl', 'revoked')
    found = bench.run('fetch', '--product', 'Milan')
    tap.equal(found.returncode, 0, 'a list that revokes is a good list', found.all)
    revoking = bench.der('.crl')
    bench.server.reset()
    bench.server.script('crl', 'old')
    found = bench.run('fetch', '--product', 'Milan', '--refresh')
    tap.equal((found.returncode, bench.der('.crl')), (0, revoking), 'an older one does not replace it', found.all)
    line = bench.authority.line('Milan')
    found = bench.run('import', bench.write('old.crl', line.crl(this_update=line.now - 5 * day)))
    tap.equal(bench.der('.crl'), revoking, 'nor by hand', found.all)
    # A day later it is asked for again; without an answer it is used for as long as it holds.
    bench.fresh()
    tap.equal(bench.run('fetch', '--product', 'Milan').returncode, 0, 'a fresh one')
    path = bench.entry('.crl')
    with open(path, 'rb') as stored:
        head, der = stored.read().split(b'\n', 1)
    words = head.split(b' ')
    words[-2] = str(int(words[-2]) - 2 * day).encode()
    with open(path, 'wb') as stored:
        stored.write(b' '.join(words) + b'\n' + der)
    bench.server.reset()
    bench.server.script('crl', '503')
    found = bench.run('fetch', '--product', 'Milan', '--timeout', '5')
    tap.equal(found.returncode, 0, 'no answer for a list of the day before yesterday', found.all)
    tap.contains(found.stderr, ['warning: the revocation list of the cache is used'], 'and this is said')
    tap.equal(set(bench.server.requests), {'/vcek/v1/Milan/crl'}, 'asked for')
    bench.server.reset()
    bench.server.script('crl', 'foreign')
    found = bench.run('fetch', '--product', 'Milan')
    tap.equal(found.returncode, REJECTED, 'a foreign answer is worse than none', found.all)


def test_redirects(tap, bench):
    for target in ('https://127.0.0.1:1/', 'file:///etc/passwd', 'ftp://127.0.0.1/x', 'gopher://127.0.0.1/x'):
        bench.fresh()
        bench.server.script('/vcek/', f'redirect:{target}')
        found = bench.fetch()
        tap.equal((found.returncode, bench.entries()), (CANNOT_READ, []), f'redirect to {target}', found.all)
    bench.fresh()
    bench.server.script('/vcek/', 'loop')
    found = bench.fetch()
    tap.equal(found.returncode, CANNOT_READ, 'a circle', found.all)
    tap.check(len(bench.server.requests) < 6, 'is left soon', bench.server.requests)
    bench.fresh()
    bench.server.script('blSPL', 'redirect:' + bench.server.url + vcek_path(), 'good')
    found = bench.fetch()
    tap.equal((found.returncode, bench.entries()), (0, names()), 'one that keeps the scheme', found.all)


def test_tls(tap, bench):
    """A certificate of nobody's: refused before anything is asked."""
    key, certificate = os.path.join(bench.folder, 'tls.key'), os.path.join(bench.folder, 'tls.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=IP:127.0.0.1'], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with kds_server.Server(bench.authority, tls=context) as server:
        found = bench.run('fetch', '--product', 'Milan', '--kds', server.url, kds=False)
        tap.equal((found.returncode, server.requests, bench.entries()), (CANNOT_READ, [], []),
                  'an unknown TLS certificate', found.all)
        tap.contains(found.stderr.lower(), ['certificate'], 'is named')


def test_network(tap, bench):
    """Who is asked when nobody says: AMD, by https, through the proxy of the environment; and nobody with --offline."""
    proxy = {'https_proxy': bench.server.url, 'http_proxy': bench.server.url, 'all_proxy': bench.server.url}
    found = bench.run('fetch', '--product', 'Milan', '--timeout', '10', kds=False, environment=proxy)
    tap.equal(found.returncode, CANNOT_READ, 'a proxy that lets nobody through', found.all)
    tap.equal(set(bench.server.requests), {'CONNECT kdsintf.amd.com:443'}, 'was asked for AMD\'s service, by TLS only')
    bench.server.reset()
    found = bench.fetch('--offline', environment=proxy)
    tap.equal((found.returncode, bench.server.requests), (CANNOT_READ, []), '--offline asks nobody', found.all)
    tap.contains(found.stderr, ['not in the cache', '--offline'], 'and says what is missing')
    for words in (('list',), ('export', os.path.join(bench.folder, 'empty'))):
        bench.run(*words, environment=proxy)
    tap.equal(bench.server.requests, [], 'list and export ask nobody either')


def test_damaged_cache(tap, bench):
    bench.fetch()
    path = bench.entry('.vcek')
    with open(path, 'rb') as stored:
        good = stored.read()
    another = authorities.chip('Milan', 'another')
    bench.fetch(chip=another)
    with open(os.path.join(bench.state, 'certificates', names(chip=another, kinds=('vcek',))[0]), 'rb') as stored:
        other = stored.read()
    foreign = bench.server.line('Milan', 'foreign').vcek().certificate
    head = f'virt-attest certificate 1 {int(time.time())} '

    def entry(der):
        return head.encode() + hashlib.sha256(der).hexdigest().encode() + b'\n' + der

    def flipped(at):
        changed = bytearray(good)
        changed[at] ^= 4
        return bytes(changed)

    cases = [('empty', b''), ('cut', good[:len(good) // 2]), ('one byte short', good[:-1]), ('longer', good + b'x'),
             ('head only', good.split(b'\n')[0]), ('another chip\'s', other), ('foreign', entry(foreign)),
             ('huge', b'x' * (1 << 20)), ('text', b'hello\n'), ('no digest', b'virt-attest certificate 1 1 \n')]
    cases += [(f'byte {at} changed', flipped(at)) for at in (0, 30, 60, len(good) // 2, len(good) - 1)]
    for name, contents in cases:
        with open(path, 'wb') as stored:
            stored.write(contents)
        found = bench.fetch('--offline')
        tap.equal(found.returncode, CANNOT_READ, f'{name}: missing when offline', found.all)
        if name in ('empty', 'foreign'):
            listed = bench.run('list', '--format', 'json')
            states = {row['name']: row['state'] for row in json.loads(listed.stdout)['certificates']}
            tap.equal(states[os.path.basename(path)], 'unusable', f'{name}: listed as such')
        bench.server.reset()
        found = bench.fetch()
        tap.equal((found.returncode, bench.server.requests), (0, [vcek_path()]), f'{name}: fetched anew', found.all)
        tap.contains(found.stderr, ['warning: the entry Milan.'], f'{name}: and said why')
        tap.equal(bench.fetch('--offline').returncode, 0, f'{name}: good again')
    os.remove(path)
    os.symlink('/etc/passwd', path)
    found = bench.fetch()
    tap.equal((found.returncode, os.path.islink(path)), (0, False), 'a symbolic link is replaced', found.all)
    os.chmod(path, 0o666)
    found = bench.fetch('--offline')
    tap.equal(found.returncode, CANNOT_READ, 'writable by everybody', found.all)
    os.chmod(path, 0o600)
    os.chmod(os.path.join(bench.state, 'certificates'), 0o777)
    found = bench.fetch('--offline')
    tap.check(found.returncode in (CANNOT_READ, NOT_CONFIGURED), 'a folder writable by everybody', found.all)


def test_older_state(tap, bench):
    """A state folder that a release without this cache has made."""
    os.mkdir(bench.state, 0o700)
    for folder in ('references', 'records', 'volumes', 'cache'):
        os.mkdir(os.path.join(bench.state, folder), 0o700)
    found = bench.run('list', '--format', 'json')
    tap.equal((found.returncode, json.loads(found.stdout)), (0, {'certificates': []}), 'nothing in it', found.all)
    found = bench.fetch()
    tap.equal((found.returncode, bench.entries(), found.stderr), (0, names(), ''), 'the folder is made', found.all)


def test_at_once(tap, bench):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        chips = [authorities.chip('Milan', str(n % 2)) for n in range(8)]
        results = list(pool.map(lambda chip: bench.fetch('--refresh', chip=chip), chips))
    tap.equal([found.returncode for found in results], [0] * 8, 'eight at once',
              '\n'.join(each.all for each in results))
    wanted = {name for n in (0, 1) for name in names(chip=authorities.chip('Milan', str(n)))}
    tap.equal((set(bench.entries()), bench.leftovers()), (wanted, []), 'leave what one would have left')
    for n in (0, 1):
        tap.equal(bench.fetch('--offline', chip=authorities.chip('Milan', str(n))).returncode, 0, 'all of it good')


def in_namespace(tap, script):
    """A prefix for a command that runs with its own mounts, or None."""
    probe = subprocess.run(['unshare', '--mount', 'true'], capture_output=True, check=False)
    if probe.returncode:
        tap.comment('no mount namespaces here: not tested')
        return None
    return ['unshare', '--mount', 'sh', '-c', script + '\nexec "$@"', 'sh']


def test_disk_full(tap, bench):
    os.mkdir(bench.state, 0o700)
    for folder in ('references', 'records', 'volumes', 'cache', 'certificates'):
        os.mkdir(os.path.join(bench.state, folder), 0o700)
    prefix = in_namespace(tap, f'set -e; mount -t tmpfs -o size=16k,mode=700 none {bench.state}/certificates; '
                               f'head -c 16384 /dev/zero > {bench.state}/certificates/.full 2>/dev/null || true')
    if prefix:
        found = bench.fetch(prefix=prefix)
        tap.equal(found.returncode, 0, 'a full disk keeps nobody from using what was fetched', found.all)
        tap.contains(found.stderr, ['warning: what was fetched could not be kept', 'free some space'], 'and is said')
        path = bench.write('vcek.der', bench.authority.line('Milan').vcek().certificate)
        found = bench.run('import', path, prefix=prefix)
        tap.equal(found.returncode, CANNOT_READ, 'but nothing was imported', found.all)
    # The limit on file sizes is a disk that is full for one file.
    found = bench.fetch(prefix=['sh', '-c', 'ulimit -f 0; exec "$@"', 'sh'])
    tap.equal((found.returncode, bench.entries(), bench.leftovers()), (0, [], []), 'nothing half-written stays',
              found.all)


def test_read_only(tap, bench):
    bench.fetch()
    os.remove(bench.entry('.vcek'))
    prefix = in_namespace(tap, f'set -e; mount --bind {bench.state} {bench.state}; '
                               f'mount -o remount,bind,ro {bench.state}')
    if not prefix:
        return
    bench.server.reset()
    found = bench.fetch(prefix=prefix)
    tap.equal((found.returncode, bench.server.requests), (0, [vcek_path()]), 'a read-only state folder: fetched, used',
              found.all)
    tap.contains(found.stderr, ['warning: what was fetched could not be kept'], 'and not kept')
    path = bench.write('vcek.der', bench.authority.line('Milan').vcek().certificate)
    found = bench.run('import', path, prefix=prefix)
    tap.check(found.returncode in (CANNOT_READ, NOT_CONFIGURED), 'import fails', found.all)
    tap.equal(bench.entries(), names(kinds=('ask', 'ark', 'vcek.crl')), 'nothing was written')


def test_transfer(tap, bench):
    bench.fetch()
    wanted = {name: bench.der(name) for name in bench.entries()}
    folder = os.path.join(bench.folder, 'exported')
    found = bench.run('export', folder)
    tap.equal(found.returncode, 0, 'exported', found.all)
    tap.equal(sorted(os.listdir(folder)), [name + '.pem' for name in names()], 'a file each')
    anchor = bench.write('ark.pem', authorities.pem(bench.authority.line('Milan').ark))
    found = subprocess.run(['openssl', 'verify', '-CAfile', anchor, '-untrusted', os.path.join(folder, 'Milan.ask.pem'),
                            os.path.join(folder, names(kinds=('vcek',))[0] + '.pem')], capture_output=True, check=False)
    tap.equal(found.returncode, 0, 'that OpenSSL reads and verifies', found.stderr)
    found = bench.run('export', folder)
    tap.equal(found.returncode, CANNOT_READ, 'not over what is there', found.all)
    tap.equal(bench.run('export', '--force', folder).returncode, 0, 'unless forced')
    bench.fresh()
    with open(os.path.join(folder, 'README.txt'), 'w', encoding='utf-8') as other:
        other.write('not a certificate\n')
    found = bench.run('import', folder)
    tap.equal(found.returncode, 0, 'imported where there is no network', found.all)
    tap.contains(found.stderr, ['warning: not imported: ', 'README.txt'], 'passing over what is no certificate')
    tap.equal({name: bench.der(name) for name in bench.entries()}, wanted, 'all of it, to the byte')
    tap.equal(bench.fetch('--offline').returncode, 0, 'and it is enough')
    bench.fresh()
    line = bench.authority.line('Milan')
    vcek = line.vcek()
    rows = [('vcek', vcek.certificate), ('ask', line.ask), ('ark', line.ark), ('crl', line.crl()),
            ('ecae0c0f-9502-43b1-afa2-0ae2e0d565b6', bytes(8))]
    found = bench.run('import', bench.write('table', authorities.table(rows)))
    tap.equal((found.returncode, bench.entries()), (0, names()), 'a certificate table', found.all)
    bench.fresh()
    found = bench.run('import', bench.write('chain.pem', line.chain() + authorities.pem(line.crl(), 'X509 CRL')))
    tap.equal((found.returncode, bench.entries()), (0, names(kinds=('ask', 'ark', 'vcek.crl'))), 'a chain in one file',
              found.all)
    bench.fresh()
    key = subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
                         capture_output=True, check=True, text=True).stdout
    for name, data in (('a private key', key), ('text', 'hello'), ('nothing', ''), ('a table of nothing', bytes(24)),
                       ('zeros', bytes(4096)), ('damaged PEM', line.chain()[:-80])):
        found = bench.run('import', bench.write('bad', data))
        tap.equal((found.returncode, bench.entries()), (CANNOT_READ, []), f'import of {name}', found.all)
    foreign = bench.server.line('Milan', 'foreign')
    for name, data in (('a foreign root', foreign.ark), ('a foreign intermediate', foreign.ask),
                       ('a foreign list', foreign.crl()), ('a foreign key', foreign.vcek().certificate)):
        found = bench.run('import', bench.write('bad', data))
        tap.equal((found.returncode, bench.entries()), (REJECTED, []), f'import of {name}', found.all)


def test_list(tap, bench):
    line = bench.authority.line('Milan')
    day = 86400
    expired = line.vcek(validity=(line.now - 20 * day, line.now - day))
    chip = authorities.chip('Milan', 'another')
    early = line.vcek(chip, validity=(line.now + day, line.now + 20 * day))
    vlek = line.vlek()
    for name, data in (('expired', expired.certificate), ('early', early.certificate), ('vlek', vlek.certificate),
                       ('stale.crl', line.crl(this_update=line.now - 9 * day, next_update=line.now - day)),
                       ('fresh.vlek.crl', line.crl())):
        found = bench.run('import', bench.write(name, data))
        tap.equal(found.returncode, 0, f'{name}: imported', found.all)
    rows = json.loads(bench.run('list', '--format', 'json').stdout)['certificates']
    tap.equal(sorted((row['kind'], row['signer'], row['state']) for row in rows),
              [('crl', 'vcek', 'stale'), ('crl', 'vlek', 'fresh'), ('vcek', 'vcek', 'early'),
               ('vcek', 'vcek', 'expired'), ('vlek', 'vlek', 'valid')], 'states', rows)
    tap.equal({row['chip'] for row in rows if row['kind'] == 'vcek'}, {authorities.chip('Milan').hex(), chip.hex()},
              'chips')
    tap.equal({row['tcb'] for row in rows if row['tcb']}, {authorities.tcb_text(TCB['Milan'])}, 'TCBs')
    tap.equal([row['operator'] for row in rows if row['kind'] == 'vlek'], ['CN=csp.example'], 'operator')
    found = bench.run('list')
    tap.contains(found.stdout, ['expired', 'stale', 'fresh', 'CN=csp.example', 'crl (vlek)'], 'table')
    # One that has expired is fetched anew; offline it is still there, for reports of its time.
    tap.equal(bench.fetch('--offline').returncode, CANNOT_READ, 'offline: no chain yet')
    found = bench.fetch()
    tap.check(found.returncode == 0 and vcek_path() in bench.server.requests, 'expired: fetched anew', found.all)


def test_places(tap, bench):
    """Where to and where from."""
    found = bench.run('export', bench.config)
    tap.equal(found.returncode, CANNOT_READ, 'export into a file', found.all)
    folder = os.path.join(bench.folder, 'many')
    os.mkdir(folder)
    for number in range(1025):
        bench.write(f'many/{number}', b'')
    report = bench.write('report.bin', authorities.report(bench.authority.line('Milan').vcek()))
    found = subprocess.run([TOOL, '--config', bench.config, 'verify', '--certificates', folder, report],
                           capture_output=True, text=True, timeout=60, check=False)
    tap.equal((found.returncode, found.stdout), (CANNOT_READ, ''), 'more certificates than anybody means', found.stderr)
    tap.contains(found.stderr, ['more than 1024 files'], 'and this is said')


def test_usage(tap, bench):
    path = bench.write('report.bin', authorities.report(bench.authority.line('Milan').vcek()))
    chip = authorities.chip('Milan').hex()
    tcb = authorities.tcb_text(TCB['Milan'])
    for words in (('frob',), ('fetch',), ('fetch', '--product', 'Naples'),
                  ('fetch', '--product', 'Milan', '--chip', chip),
                  ('fetch', '--product', 'Milan', '--tcb', tcb), ('fetch', '--tcb', tcb, path),
                  ('fetch', '--product', 'Milan', '--chip', chip[:16], '--tcb', tcb),
                  ('fetch', '--product', 'Milan', '--chip', 'x' * 128, '--tcb', tcb),
                  ('fetch', '--product', 'Turin', '--chip', chip[:16], '--tcb', tcb),
                  ('fetch', '--product', 'Milan', '--chip', chip, '--tcb', tcb + ',fmc=1'),
                  ('fetch', '--product', 'Milan', '--chip', chip, '--tcb', 'bootloader=1'),
                  ('fetch', '--timeout', '0', path), ('list', 'x'), ('list', '--offline'), ('import',), ('export',),
                  ('export', '--refresh', 'x'), ('import', '--table', 'x', 'y'), ('export', 'a', 'b')):
        found = bench.run(*words)
        tap.equal((found.returncode, bench.server.requests), (USAGE, []), f'certs {" ".join(words)[:60]}', found.all)
    for url in ('ftp://127.0.0.1', 'file:///etc', '127.0.0.1:80', 'http://', 'https://user:secret@127.0.0.1', '',
                'http://127.0.0.1/?x=1', 'http://127.0.0.1/#x', 'https://exa mple', 'javascript:1'):
        found = bench.run('fetch', '--product', 'Milan', '--kds', url, kds=False)
        tap.equal(found.returncode, USAGE, f'--kds {url!r}', found.all)
        tap.check('secret' not in found.stderr, f'--kds {url!r}: without words that are nobody\'s business')
    found = bench.run('fetch', '--product', 'Milan', '--offline', '--kds', 'http://127.0.0.1:1')
    tap.equal(found.returncode, USAGE, '--offline with --kds', found.all)
    for name, code in (('absent', CANNOT_READ), ('report.bin', CANNOT_READ)):
        path = os.path.join(bench.folder, name)
        found = bench.run('fetch', '--product', 'Milan', '--trust-anchor', path, anchor=False)
        tap.equal(found.returncode, code, f'--trust-anchor {name}', found.all)
    found = bench.run('fetch', bench.write('garbage', os.urandom(1184)))
    tap.equal((found.returncode, bench.server.requests), (CANNOT_READ, []), 'a report of noise', found.all)
    unsigned = authorities.report(bench.authority.line('Milan').vcek(), signing_key=7)
    found = bench.run('fetch', bench.write('unsigned', unsigned))
    tap.equal((found.returncode, bench.server.requests), (REJECTED, []), 'a report that nobody signed', found.all)


def run_test(name, function, authority, folder):
    tap = Collected(name[5:])
    started = time.monotonic()
    place = os.path.join(folder, name)
    os.mkdir(place)
    try:
        with kds_server.Server(authority) as server:
            function(tap, Bench(place, server, authority))
    except Exception:  # pylint: disable=broad-except
        tap.check(False, 'ran to its end', traceback.format_exc())
    tap.comment(f'{name}: {time.monotonic() - started:.1f} s')
    return tap.results


def main(where='kds', names=None):
    """Runs the functions test_… of a module, whose names are NAMES (ours), four at a time."""
    tap = Tap()
    tap.where = where
    only = os.environ.get('VIRT_ATTEST_TEST_ONLY', '')
    keys = authorities.default_folder() if os.environ.get('VIRT_ATTEST_BUILD') else None
    authority = authorities.Authority(keys)
    for line in authorities.LINES:
        IDS[line] = hashlib.sha256(authorities.public_key(authority.line(line).keys['ark'])).hexdigest()[:16]
    folder = tempfile.mkdtemp(prefix=f'test-{where}-')
    tests = [(name, function) for name, function in (names or globals()).items()
             if name.startswith('test_') and only in name]
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for results in pool.map(lambda test: run_test(*test, authority, folder), tests):
                for good, name, detail in results:
                    if good is None:
                        tap.comment(name)
                    else:
                        tap.check(good, name, detail)
    finally:
        # Made by mkdtemp() above.
        shutil.rmtree(folder, ignore_errors=True)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
