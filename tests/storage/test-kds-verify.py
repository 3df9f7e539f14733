#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""verify, where certificates and revocation lists have to come over the network or out of the cache.

Whatever a Key Distribution Service answers, or does not, a report is accepted only with the certificate of its key; and
what is known to be revoked stays revoked when the service is cut off. Without --fetch and --kds nobody is asked at all,
which strace says.
"""
import importlib.util
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('test_kds', os.path.join(HERE, 'test-kds.py'))
kds = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kds)
authorities = kds.authorities

MEASUREMENT, DATA = bytes(range(48)), bytes(range(64))
ACCEPTED, REJECTED, USAGE, INCOMPLETE = 0, 1, 2, 4
DEAD = 'http://127.0.0.1:1'
SHORT = 3  # seconds, when there will be no answer; on a busy machine too it is asked for meanwhile


class Bench(kds.Bench):
    """The same folder, server and authority, and reports that are judged."""

    def __init__(self, *words):
        super().__init__(*words)
        self.line = self.authority.line('Milan')
        self.report = self.write('report.bin', self.make())

    def make(self, tail=b'', **fields):
        return authorities.report(self.line.vcek(), measurement=MEASUREMENT, report_data=DATA, **fields) + tail

    def verify(self, *words, report=None, kds=True, timeout=20, environment=None, prefix=()):
        """The ended program; its failed checks in .failed, the sentence of each check in .said."""
        command = [*prefix, kds_tool(), '--config', self.config, 'verify', report or self.report, '--format', 'json',
                   '--measurement', MEASUREMENT.hex(), '--report-data', DATA.hex(), '--trust-anchor',
                   self.anchors['Milan'], '--timeout', str(timeout),
                   *(('--kds', self.server.url) if kds else ()), *words]
        values = {key: value for key, value in os.environ.items() if not key.lower().endswith('_proxy')}
        values.update(environment or {})
        found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=values)
        checks = json.loads(found.stdout)['checks'] if found.stdout else []
        found.failed = ' '.join(check['name'] for check in checks if check['outcome'] == 'fail')
        found.said = {check['name']: check['text'] for check in checks}
        found.all = f'{command}\n{found.returncode}: {found.failed}\n{found.stdout}{found.stderr}'
        return found

    def put(self, kind, data):
        """Into the cache, by hand."""
        found = self.run('import', self.write(f'put.{kind}', data))
        if found.returncode:
            raise RuntimeError(found.all)

    def damage(self, suffix):
        path = self.entry(suffix)
        with open(path, 'r+b') as entry:
            entry.seek(-20, os.SEEK_END)
            byte = entry.read(1)
            entry.seek(-1, os.SEEK_CUR)
            entry.write(bytes([byte[0] ^ 1]))


def kds_tool():
    return kds.TOOL


def test_good(tap, bench):
    found = bench.verify()
    tap.equal((found.returncode, found.failed), (ACCEPTED, ''), 'with the service', found.all)
    tap.equal(bench.server.requests, [kds.vcek_path(), '/vcek/v1/Milan/crl'], 'which was asked for two documents')
    bench.server.reset()
    found = bench.verify(kds=False)
    tap.equal((found.returncode, bench.server.requests), (ACCEPTED, []), 'then out of the cache', found.all)
    found = bench.verify('--kds', DEAD, '--require-crl', kds=False, timeout=SHORT)
    tap.equal(found.returncode, ACCEPTED, 'and with a service that is gone', found.all)
    bench.fresh()
    found = bench.verify('--kds', 'http://kds.invalid', kds=False, environment={'http_proxy': bench.server.url})
    tap.equal((found.returncode, bench.server.requests),
              (ACCEPTED, ['http://kds.invalid' + kds.vcek_path(), 'http://kds.invalid/vcek/v1/Milan/crl']),
              'through a proxy', found.all)


def test_faults(tap, bench):
    """No answer, and no wrong one, ever becomes an acceptance."""
    for word in ('404', '429:100', '503', 'slow:30', 'silent', 'corrupt', 'html', 'wrong-chip', 'wrong-tcb', 'foreign'):
        bench.fresh()
        bench.server.script('/', word)
        found = bench.verify(timeout=SHORT)
        tap.equal((found.returncode, found.failed), (INCOMPLETE, 'certificate'), word, found.all)
        tap.check(bench.server.requests and 'warning: ' in found.stderr, f'{word}: was asked, and said so', found.all)
        tap.equal(bench.entries(), [], f'{word}: nothing is kept')
    found = bench.verify('--kds', DEAD, kds=False, timeout=SHORT)
    tap.equal((found.returncode, found.failed), (INCOMPLETE, 'certificate'), 'nobody there', found.all)
    # The right certificate is no reason to take a wrong one that lies in the way for it.
    foreign = bench.server.line('Milan', 'foreign').vcek()
    table = authorities.table([('vcek', foreign.certificate)])
    bench.server.reset()
    bench.server.script('/', '503')
    found = bench.verify(report=bench.write('extended.bin', bench.make(table)), timeout=SHORT)
    tap.equal((found.returncode, found.failed), (REJECTED, 'chain signature'), 'a foreign one came along', found.all)
    forged = authorities.report(foreign, measurement=MEASUREMENT, report_data=DATA)
    found = bench.verify(report=bench.write('forged.bin', forged + table), timeout=SHORT)
    tap.equal((found.returncode, found.failed), (REJECTED, 'chain'), 'and has signed the report', found.all)


def test_corrupt_cache(tap, bench):
    bench.verify()
    bench.damage('.vcek')
    bench.damage('.crl')
    bench.server.reset()
    found = bench.verify(kds=False)
    tap.equal((found.returncode, found.failed), (INCOMPLETE, 'certificate'), 'is not used', found.all)
    tap.contains(found.stderr, ['of the certificate cache is not used'], 'and this is said')
    found = bench.verify('--kds', DEAD, kds=False, timeout=SHORT)
    tap.equal(found.returncode, INCOMPLETE, 'nor where nobody answers', found.all)
    found = bench.verify('--require-crl')
    tap.equal((found.returncode, bench.server.requests), (ACCEPTED, [kds.vcek_path(), '/vcek/v1/Milan/crl']),
              'but fetched again', found.all)
    tap.equal(bench.verify(kds=False).returncode, ACCEPTED, 'and good again')


def test_revoked(tap, bench):
    """A list that is known here counts, whatever the service says, and says no more."""
    line = bench.line
    revoking = line.crl(revoked=[line.serials['ask']])
    stale = line.crl(revoked=[line.serials['ask']], next_update=line.now - 5)
    for what, known, words in (('a list', revoking, ('good', '503')),
                               ('a stale list', stale, ('404', '503', 'corrupt', 'foreign', 'stale', 'html'))):
        for word in words:
            bench.fresh()
            bench.put('vcek', line.vcek().certificate)
            bench.put('crl', known)
            bench.server.reset()
            bench.server.script('crl', word)
            for more in ((), ('--crl', bench.write('given.crl', line.crl(this_update=line.now - 86400)))):
                found = bench.verify(*more, timeout=SHORT if word == '503' else 20)
                tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'),
                          f'{what} in the cache, the service: {word}{", another list is given" if more else ""}',
                          found.all)
                tap.contains(found.said['revocation'], ['SEV-Milan has been revoked'], 'by that name')
        found = bench.verify('--kds', DEAD, kds=False, timeout=SHORT)
        tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), f'{what}, nobody there', found.all)
        found = bench.verify(kds=False)
        tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), f'{what}, offline', found.all)
    # A list of which nobody said that it is about VLEKs, and one that says nothing of them.
    signed = bench.write('vlek.bin', authorities.report(line.vlek(), measurement=MEASUREMENT, report_data=DATA))
    for what, known, code in (('revokes', line.crl(revoked=[line.serials['asvk']]), REJECTED),
                              ('vouches', line.crl(), ACCEPTED)):
        bench.fresh()
        bench.put('vlek', line.vlek().certificate)
        bench.put('crl', known)
        found = bench.verify('--signing-key', 'vlek', report=signed, kds=False)
        tap.equal((found.returncode, found.failed), (code, 'revocation' if code else ''),
                  f'the list of VCEKs {what}', found.all)
        tap.contains(found.said['revocation'], ['there is no revocation list' if code == ACCEPTED else
                                                'SEV-VLEK-Milan has been revoked'], 'and nothing else')
    bench.fresh()
    bench.put('vcek', line.vcek().certificate)
    bench.server.script('crl', '503')
    found = bench.verify(timeout=SHORT)
    tap.equal((found.returncode, found.said['revocation'][:30]), (ACCEPTED, 'there is no revocation list fo'),
              'without any list: accepted with a warning', found.all)
    found = bench.verify('--require-crl', timeout=SHORT)
    tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), 'unless one is required', found.all)


def test_bundle(tap, bench):
    """Certificates and lists in one file: what any of them revokes is revoked."""
    line = bench.line
    lists = [authorities.pem(line.crl(revoked=revoked), 'X509 CRL') for revoked in ((), (line.serials['ask'],))]
    vcek = authorities.pem(line.vcek().certificate)
    for name, parts, code in (('a certificate and a list', (vcek, lists[0]), ACCEPTED),
                              ('the second list revokes', (lists[0], vcek, lists[1]), REJECTED)):
        bundle = bench.write('bundle.pem', ''.join(parts))
        folder = os.path.join(bench.folder, f'folder{bench.number}')
        os.makedirs(folder, exist_ok=True)
        shutil.copy(bundle, folder)
        for place in (bundle, folder):
            found = bench.verify('--require-crl', '--certificates', place, kds=False)
            tap.equal((found.returncode, found.failed), (code, 'revocation' if code else ''), f'{name}, {place}', found.all)
    found = bench.verify('--certificates', bench.write('vcek.pem', vcek), '--crl', bench.write('two.crl', ''.join(lists)),
                         kds=False)
    tap.equal((found.returncode, 'more than one list' in found.stderr), (3, True), 'two lists in one --crl', found.all)
    found = bench.verify('--certificates', bench.write('odd.pem', vcek + authorities.pem(b'0\0', 'X509 CRL')), kds=False)
    tap.equal(found.returncode, 3, 'a certificate and something that is no list', found.all)


def test_other_authority(tap, bench):
    """A run with somebody else's trust anchor does not make a revocation be forgotten."""
    line, foreign = bench.line, bench.server.line('Milan', 'foreign')
    bench.put('vcek', line.vcek().certificate)
    bench.put('crl', line.crl(revoked=[line.serials['ask']]))
    anchor, bench.anchors['Milan'] = bench.anchors['Milan'], bench.write('foreign.anchor', foreign.trust_anchor())
    found = bench.run('import', bench.write('foreign.crl', foreign.crl()))
    tap.equal(found.returncode, 0, 'the list of another authority of the same names is kept', found.all)
    report = bench.write('foreign.bin', authorities.report(foreign.vcek(), measurement=MEASUREMENT, report_data=DATA) +
                         authorities.table([('vcek', foreign.vcek().certificate)]))
    found = bench.verify('--require-crl', report=report, kds=False)
    tap.equal((found.returncode, found.failed), (ACCEPTED, ''), 'and is used for its reports', found.all)
    bench.anchors['Milan'] = anchor
    found = bench.verify(kds=False)
    tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), 'what the first one revokes stays revoked', found.all)


def test_decoy(tap, bench):
    """A certificate of the right key that nobody has signed: it must not decide what is looked up for the report."""
    line, genoa = bench.line, bench.authority.line('Genoa')
    vcek = line.vcek()
    hwid = authorities.chip('Milan')
    # What the report names as its own, as of another line: its list is not the one that revokes.
    decoy = genoa.vcek(hwid=hwid, key=vcek.key, issuer_key=authorities.Authority.generate('ec')).certificate
    both = bench.write('decoy.bin', bench.make(authorities.table([('vlek', decoy), ('vcek', vcek.certificate)])))
    found = bench.verify(report=both, kds=False)
    tap.equal((found.returncode, found.failed), (ACCEPTED, ''), 'beside the right one it does no harm', found.all)
    bench.put('crl', line.crl(revoked=[line.serials['ask']]))
    for words in ((), ('--kds', bench.server.url)):
        found = bench.verify(*words, report=both, kds=False)
        tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), f'it hides no revocation {words}', found.all)
    bench.fresh()
    alone = bench.write('alone.bin', bench.make(authorities.table([('vcek', decoy)])))
    bench.put('vcek', vcek.certificate)
    found = bench.verify('--require-crl', report=alone, kds=False)
    tap.equal((found.returncode, found.failed), (REJECTED, 'revocation'), 'nor the right one in the cache', found.all)
    bench.fresh()
    found = bench.verify('--require-crl', report=alone)
    tap.equal((found.returncode, found.failed), (ACCEPTED, ''), 'nor is it in the way of the service', found.all)
    tap.equal(bench.server.requests, [kds.vcek_path(), '/vcek/v1/Milan/crl'], 'which is asked for the right line')


def test_offline(tap, bench):
    """Every system call is looked at: no socket but those of this machine's own family."""
    if not shutil.which('strace'):
        tap.comment('strace is not here: what is asked of the network was not looked at')
        return
    trace = os.path.join(bench.folder, 'trace')
    proxy = {name: bench.server.url for name in ('http_proxy', 'https_proxy', 'all_proxy')}
    # A leak checker cannot run under a tracer.
    proxy['ASAN_OPTIONS'] = 'detect_leaks=0'

    def sockets():
        with open(trace, encoding='utf-8', errors='replace') as lines:
            return [each for each in lines if 'AF_INET' in each or 'AF_NETLINK' in each or 'sin_port' in each]

    prefix = ('strace', '-f', '-qq', '-o', trace, '-e', 'trace=network')
    probe = bench.verify(prefix=prefix, environment={'ASAN_OPTIONS': 'detect_leaks=0'})
    if probe.returncode == 1 and 'ptrace' in probe.stderr:
        tap.comment('nothing may be traced here')
        return
    tap.check(sockets(), 'with the service there are some', probe.all)
    for name, state in (('with a cache', False), ('without one', True)):
        if state:
            bench.fresh()
        bench.server.reset()
        for words in ((), ('--offline',), ('--offline', '--require-crl')):
            found = bench.verify(*words, kds=False, environment=proxy, prefix=prefix)
            tap.equal(found.returncode, INCOMPLETE if state else ACCEPTED, f'{name}, {words}', found.all)
            tap.equal((sockets(), bench.server.requests), ([], []), f'{name}, {words}: nobody was asked')
    for words in (('fetch', '--offline', bench.report), ('list',)):
        bench.run(*words, kds=False, environment=proxy, prefix=prefix)
        tap.equal((sockets(), bench.server.requests), ([], []), f'certs {words[0]}: nobody was asked')
    for words in (('--offline', '--fetch'), ('--offline', '--kds', bench.server.url)):
        found = bench.verify(*words, kds=False)
        tap.equal(found.returncode, USAGE, ' '.join(words[:2]), found.all)


if __name__ == '__main__':
    kds.Bench = Bench
    sys.exit(kds.main('kds-verify', globals()))
