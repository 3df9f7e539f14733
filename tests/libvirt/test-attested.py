#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a running domain to a login: report over the channel, verdict, known_hosts, ssh; and what a hostile side can do.

libvirt and QEMU launch on the platform model, so no guest runs. This is a SIMULATION: the test plays the guest's report
service behind a real channel of libvirt, with reports of the test authority about the launch that the model has seen,
and a real SSH server plays the guest's.
"""
import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'platform'))
import channel  # noqa: E402
from harness import (Failed, Tap, attest, confidential, eventually, expect_match, install_hook, model, read,  # noqa: E402
                     run, scratch, skip, small_boot_files, stop, write)
try:
    import authority
except ImportError as missing:
    skip(f'{missing}: install python3-cryptography')

FORMAT = 'virt-attest-evidence-1'
FACTS = {}


def facts():
    """Keys and certificates of the test authority and of two SSH servers, made at the first call."""
    if 'line' not in FACTS:
        line = authority.Authority(authority.default_folder()).line('Milan')
        FACTS.update(line=line, vcek=line.vcek(), anchor=write(scratch('anchor.pem'), line.trust_anchor()))
        for name in 'guest', 'host', 'user':
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', scratch(name)], check=True)
        FACTS['key'] = public('guest')
    return FACTS


def public(name):
    return ' '.join(read(scratch(f'{name}.pub')).decode().split()[:2])


def digest(line):
    return hashlib.sha256(base64.b64decode(line.split()[1])).digest()


class Service(channel.Service):
    """Plays the guest's report service: @answer makes the answer to a nonce."""
    answer = None

    def play(self, connection, nonce):
        connection.sendall(self.answer(nonce))


def document(nonce, signer=None, key=None, data=None, launch=None, certificates=None, shown=None, **fields):
    """What the guest's service answers, with any part of it changed."""
    have = facts()
    key = have['key'] if key is None else key
    data = digest(key) + bytes.fromhex(nonce) if data is None else data
    raw = authority.report(signer or have['vcek'], launch=launch or model('web'), report_data=data, **fields)
    if certificates is None:
        certificates = [((signer or have['vcek']).kind, (signer or have['vcek']).certificate)]
    found = {'format': FORMAT, 'provider': 'configfs-tsm:sev_guest', 'vmpl': 0, 'nonce': nonce, 'reportData': data.hex(),
             'report': base64.b64encode(raw).decode(), 'sshHostKey': shown or key}
    if shown == '':
        del found['sshHostKey']
    if certificates:
        found['auxblob'] = base64.b64encode(authority.table(certificates)).decode()
    return found


def line(**changes):
    return lambda nonce: json.dumps(document(nonce, **changes)).encode() + b'\n'


def judge(*words, domain='web'):
    """The exit code, and {check that failed: its text, what was found and expected} or the error."""
    done = attest('verify', '--domain', domain, '--trust-anchor', facts()['anchor'], '--format', 'json', *words, check=False)
    if not done.stdout:
        return done.returncode, done.stderr
    return done.returncode, {each['name']: f"{each['text']}: found {each.get('found')}, expected {each.get('expected')}"
                             for each in json.loads(done.stdout)['checks'] if each['outcome'] == 'fail'}


def verify(*words, domain='web'):
    """The exit code, and the names of the checks that failed or the error."""
    code, failed = judge(*words, domain=domain)
    return code, list(failed) if isinstance(failed, dict) else failed


SERVICE = {}


def test_accepted(tap: Tap):
    install_hook()
    path = scratch('channel')
    SERVICE['web'] = Service(path)
    channel = (f"<channel type='unix'><source mode='connect' path='{path}'/>"
               "<target type='virtio' name='org.virt-attest.report.0'/></channel>")
    confidential('web', devices=channel)
    confidential('other')
    expect_match(tap, 'other', 'other')
    FACTS['other'] = model('other')
    stop('other')
    # The same domain with one thing changed, launched.
    kernel, initrd = small_boot_files('web')
    foreign_kernel, foreign_initrd = small_boot_files('foreign')
    for change, shape in (('cmdline', {'cmdline': 'console=ttyS0 quiet init=/bin/sh'}), ('initrd', {'initrd': foreign_initrd}),
                          ('kernel', {'kernel': foreign_kernel})):
        name = f'web-{change}'
        confidential(name, **{'kernel': kernel, 'initrd': initrd, 'cmdline': 'console=ttyS0 quiet', **shape})
        expect_match(tap, name, name)
        FACTS[name] = model(name)
        stop(name)
    tap.contains(str(verify()), ['is not running'], 'a domain that does not run')
    expect_match(tap, 'web', 'web')
    SERVICE['web'].answer = line()
    tap.comment('a simulation: the test plays the guest, the test authority the processor')
    kept = scratch('kept.json')
    tap.equal(verify('--save', kept), (0, []), 'a running domain is asked, and its report is accepted')
    tap.equal(len(set(SERVICE['web'].requests)), 1, 'with a nonce')
    policy = write(scratch('age.json'), json.dumps({'format': 'virt-attest-policy-1', 'maximumAge': 300}))
    tap.equal(verify('--policy', policy), (0, []), 'which says how old the report is at most')
    tap.equal(len(set(SERVICE['web'].requests)), 2, 'another one each time')
    tap.equal(verify('--policy', policy, '--ssh-host-key', scratch('guest.pub'), '--nonce', SERVICE['web'].requests[0], kept),
              (1, ['age']), 'what was kept does not say its age')
    tap.equal(verify('--ssh-host-key', scratch('guest.pub'), '--nonce', SERVICE['web'].requests[0], kept), (0, []),
              'what was kept can be judged again')
    tap.equal(verify('--ssh-host-key', scratch('guest.pub'), kept), (1, ['nonce']), 'not as one without a nonce')
    tap.equal(verify('--ssh-host-key', scratch('host.pub'), '--nonce', SERVICE['web'].requests[0], kept),
              (1, ['nonce']), 'and not for another key')
    rows = json.loads(attest('list', '--all', '--format', 'json').stdout)
    found = next(each['attested'] for each in rows if each['name'] == 'web')
    tap.equal((found['source'], found['launch'] is not None), ('file', True), 'verdicts are kept', found)


def test_attacks(tap: Tap):
    """A host or guest that misbehaves: each is refused, and for its own reason."""
    have = facts()
    milan = have['line']
    older = {**authority.TCB['Milan'], 'snp': 20}
    forged = authority.Line('Milan', authority.Authority().key)
    launch = model('web')
    minimum = ('--minimum-reported-tcb', authority.tcb_text(authority.TCB['Milan']))
    revoked = write(scratch('revoked.crl'), milan.crl(revoked=[milan.serials['ask']]))
    old = document('00' * 32)
    attacks = (
        ('another command line', line(launch=have['web-cmdline']), (), {'measurement': "the measurement of domain 'web-cmdline'"}),
        ('another initrd', line(launch=have['web-initrd']), (), {'measurement': "the measurement of domain 'web-initrd'"}),
        ('another kernel', line(launch=have['web-kernel']), (), {'measurement': "the measurement of domain 'web-kernel'"}),
        ('the report of another domain', line(launch=have['other']), (), {'measurement': "the measurement of domain 'other'"}),
        ('the debug policy', line(launch={**launch, 'policy': '0xb0000'}), (),
         {'policy': 'another policy than the rules ask for', 'debug': "lets the host read and change the guest's memory"}),
        ('an old report', lambda nonce: json.dumps({**old, 'nonce': nonce}).encode() + b'\n', (), {'nonce': f'found {digest(have["key"]).hex()}{"00" * 32}'}),
        ("another chip's certificate", line(certificates=[('vcek', milan.vcek(hwid=authority.chip('Milan', 'other')).certificate)]), (),
         {'signature': "this certificate's key has not made it", 'chip': 'of another chip than the report'}),
        ('a revoked ASK', line(), ('--crl', revoked), {'revocation': 'SEV-Milan has been revoked'}),
        ('a rolled-back TCB', line(signer=milan.vcek(tcb=older)), minimum, {'reported-tcb': 'older than the rules accept'}),
        ('provisional firmware', line(committed_tcb=older), (), {'provisional': 'can go back to the committed one'}),
        ('VMPL 1', line(vmpl=1), (), {'vmpl': 'another privilege level'}),
        ('a foreign ID key', line(launch={**launch, 'id_key_digest': 'cd' * 48}), (),
         {'id-key': 'launched with an ID key, and no rule expects one'}),
        ('a foreign author key', line(launch={**launch, 'id_key_digest': 'cd' * 48, 'author_key_digest': 'ef' * 48}), (),
         {'id-key': 'launched with an ID key, and no rule expects one',
          'author-key': 'launched with an author key, and no rule expects one'}),
        ('other host data', line(launch={**launch, 'host_data': '12' * 32}), (), {'host-data': 'the host has set host data'}),
        ('a forged signature', line(signer=milan.vcek(key=authority.Authority.generate('ec')), certificates=[('vcek', have['vcek'].certificate)]), (),
         {'signature': "this certificate's key has not made it"}),
        ('a foreign authority', line(signer=forged.vcek()), (), {'chain': 'SEV-Milan has not signed this certificate'}),
        ("a cloud provider's key", line(signer=milan.vlek()), (), {'signer': 'the key of a cloud provider'}),
        ("the host's SSH key instead of the guest's", line(shown=public('host')), (), {'nonce': f'expected {digest(public("host")).hex()}'}),
        ('report data of another form', line(data=bytes(64)), (), {'nonce': f'found {"00" * 64}'}),
        ('a migration agent', line(report_id_ma=b'\x11' * 32), (), {'report-id-ma': 'a migration agent is bound'}),
        ('a masked chip key', line(mask_chip_key=True), (), {'signature': 'MASK_CHIP_KEY'}),
        ('an expired certificate', line(signer=milan.vcek(validity=(milan.now - 9000, milan.now - 4000))), (),
         {'chain': 'the VCEK has expired'}),
        ('a report of no version that is known', line(version=1), (), 'version'),
    )
    for name, answer, words, expected in attacks:
        SERVICE['web'].answer = answer
        code, failed = judge(*words)
        if isinstance(expected, str):
            tap.check(code == 3 and expected in str(failed), f'{name}: refused', (code, failed))
        elif tap.check(isinstance(failed, dict), f'{name}: judged', (code, failed)):
            tap.equal((code, sorted(failed)), (1, sorted(expected)), f'{name}: rejected', failed)
            tap.check(all(text in failed.get(check, '') for check, text in expected.items()), f'{name}: for its own reason', failed)


def test_garbage(tap: Tap):
    """What is no answer at all."""
    def flood(_):
        return b'x' * (300 * 1024)
    good = line()
    cases = (
        ('a guest that says nothing', lambda _: b'', ('--timeout', '2'), 3, 'has not answered within 2 seconds'),
        ('a flood', flood, ('--timeout', '20'), 3, 'more than 262144 bytes'),
        ('no JSON', lambda nonce: nonce.encode() + b'{\n', (), 3, ''),
        ("the guest's own error", lambda nonce: json.dumps({'format': FORMAT, 'nonce': nonce, 'error': 'no device'}).encode() + b'\n', (),
         3, 'it says: no device'),
        ('an error that would change the terminal', lambda nonce: json.dumps({'format': FORMAT, 'nonce': nonce, 'error': '\x1b[31m'}).encode() + b'\n', (),
         3, ''),
        ('a report that is cut off', lambda nonce: json.dumps({**document(nonce), 'report': 'AAAA'}).encode() + b'\n', (), 3, 'instead of the 1184'),
        ('an unknown member', lambda nonce: json.dumps({**document(nonce), 'more': 1}).encode() + b'\n', (), 3, 'more'),
        ('a key that is none', lambda nonce: json.dumps({**document(nonce), 'sshHostKey': 'ssh-ed25519 AAAA'}).encode() + b'\n', (), 3, 'sshHostKey'),
    )
    kept = write(scratch('earlier.json'), 'an earlier answer')
    for name, answer, words, code, text in cases:
        SERVICE['web'].answer = answer
        begin = time.monotonic()
        got, failed = verify('--save', kept, *words)
        tap.check((got, text in str(failed)) == (code, True) and '\x1b' not in str(failed) and time.monotonic() - begin < 60,
                  f'{name}: refused', (got, failed))
        tap.equal(read(kept), b'an earlier answer', f'{name}: an earlier answer stays')
    SERVICE['web'].answer = lambda nonce: b'\n{"nonce":"' + b'0' * 64 + b'"}\n\0\xff\n' + good(nonce)
    tap.equal(verify(), (0, []), 'answers to somebody else are passed over')
    confidential('mute')
    expect_match(tap, 'mute', 'mute')
    code, failed = verify(domain='mute')
    tap.check(code == 4 and "<target type='virtio' name='org.virt-attest.report.0'/>" in failed,
              'a domain without the channel: what to add is said', failed)
    stop('mute')
    for words, text in ((('--at', '0'), '--at is for'), (('--nonce', '00'), '--nonce is for')):
        code, failed = verify(*words)
        tap.check(code == 2 and text in failed, f'{words[0]} and no report: refused', failed)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def server(key):
    """A real SSH server with this host key; (process, port, log)."""
    port, log = free_port(), write(scratch(f'sshd-{key}.log'), '')
    os.makedirs('/run/sshd', exist_ok=True)
    write(scratch('authorized'), read(scratch('user.pub')))
    config = write(scratch(f'sshd-{key}.conf'), f'Port {port}\nListenAddress 127.0.0.1\nHostKey {scratch(key)}\n'
                   f'AuthorizedKeysFile {scratch("authorized")}\nStrictModes no\nUsePAM no\nPidFile none\n'
                   'PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel DEBUG1\n')
    process = subprocess.Popen(['/usr/sbin/sshd', '-D', '-f', config, '-E', log])
    if not eventually(lambda: 'Server listening' in read(log).decode() or process.poll() is not None) or process.poll():
        raise Failed(f'sshd does not listen: {read(log).decode()}')
    return process, port, log


def test_known_hosts(tap: Tap):
    SERVICE['web'].answer = line()
    anchor, path = facts()['anchor'], scratch('known')
    words = ('--trust-anchor', anchor, '--host', '10.0.0.5')
    done = attest('known-hosts', *words, 'web')
    tap.equal(done.stdout, f'10.0.0.5 {public("guest")} virt-attest\n', 'the line of the attested key')
    level = json.loads(attest('show', 'web', '--format', 'json').stdout)['reference']['level']
    tap.check(level < 4 and f'level {level}, which does not vouch for' in done.stderr,
              'with a warning where the root file system is not measured', (level, done.stderr))
    others = f'10.0.0.55 {public("user")}\n[10.0.0.5]:22 {public("user")}\n'
    write(path, f'{others}10.0.0.5 {public("host")}\n')
    attest('known-hosts', *words, '--output', path, 'web')
    tap.equal(read(path).decode(), f'{others}10.0.0.5 {public("guest")} virt-attest\n',
              'replaces those of the host, keeps others')
    attest('known-hosts', *words, '--port', '2222', '--output', path, 'web')
    tap.contains(read(path).decode(), [f'[10.0.0.5]:2222 {public("guest")} virt-attest\n', others], 'a port of its own')
    SERVICE['web'].answer = line(vmpl=1)
    done = attest('known-hosts', *words, '--output', path, 'web', check=False)
    after = f'{others}[10.0.0.5]:2222 {public("guest")} virt-attest\n'
    tap.equal((done.returncode, done.stdout, read(path).decode()), (1, '', after),
              'rejected: nothing is written, and what was written for this host before is gone', done.stderr)
    tap.contains(done.stderr, ['vmpl: ', 'its key is not trusted'], 'and why is said')
    SERVICE['web'].answer = line()
    attest('known-hosts', *words, '--output', path, 'web')
    tap.contains(read(path).decode(), [f'10.0.0.5 {public("guest")} virt-attest\n'], 'accepted again: it is there again')
    SERVICE['web'].answer = lambda nonce: line(data=bytes(32) + bytes.fromhex(nonce), shown='')(nonce)
    done = attest('known-hosts', *words, '--output', path, 'web', check=False)
    tap.equal((done.returncode, done.stdout, read(path).decode()), (1, '', after),
              'accepted, but about no key: what was written for this host before is gone', done.stderr)
    tap.contains(done.stderr, ['the report is in order', 'no SSH host key'], 'and why is said')
    for bad in '-oProxyCommand=x', 'a b', 'a,b', '*', '':
        done = attest('known-hosts', '--trust-anchor', anchor, f'--host={bad}', 'web', check=False)
        tap.equal(done.returncode, 2, f'a host {bad!r} is refused', done.stderr)
    evidence = write(scratch('stored.report'), authority.report(facts()['vcek'], launch=model('web'),
                     report_data=digest(public('guest')) + bytes(32)))
    certificate = write(scratch('vcek.der'), facts()['vcek'].certificate)
    stored = ('--report', evidence, '--certificates', certificate, *words, 'web')
    done = attest('known-hosts', '--ssh-host-key', scratch('guest.pub'), *stored)
    tap.equal(done.stdout, f'10.0.0.5 {public("guest")} virt-attest\n', 'a stored report with its key')
    done = attest('known-hosts', '--ssh-host-key', scratch('host.pub'), *stored, check=False)
    tap.equal((done.returncode, done.stdout), (1, ''), 'and not with another key', done.stderr)
    done = attest('known-hosts', *stored, check=False)
    tap.equal((done.returncode, done.stdout), (2, ''), 'and not without one', done.stderr)


def test_ssh(tap: Tap):
    """A real client and server. The log of the server tells how far anybody got."""
    good, port, _ = server('guest')
    bad, bad_port, bad_log = server('host')
    try:
        words = ('--trust-anchor', facts()['anchor'], '--host', '127.0.0.1', '--identity', scratch('user'), '--login', 'root',
                 'web')
        SERVICE['web'].answer = line()
        done = attest('ssh', '--port', str(port), *words, '--', 'echo', 'logged in', check=False)
        tap.equal((done.returncode, done.stdout), (0, 'logged in\n'), 'the attested guest: logged in', done.stderr)
        done = attest('ssh', '--port', str(port), *words, '--', 'exit 7', check=False)
        tap.equal(done.returncode, 7, 'the exit code is that of the command', done.stderr)
        done = attest('ssh', '--port', str(bad_port), *words, '--', 'echo', 'logged in', check=False)
        log = read(bad_log).decode()
        tap.check(done.returncode == 255 and 'logged in' not in done.stdout and 'userauth-request' not in log
                  and 'Failed publickey' not in log and 'Accepted' not in log,
                  'a server with another key: refused before anybody has authenticated', f'{done.stderr}\n{log}')
        seen = read(bad_log).count(b'Connection from ')
        SERVICE['web'].answer = line(launch={**model('web'), 'digest': 'ab' * 48})
        done = attest('ssh', '--port', str(bad_port), *words, '--', 'echo', 'logged in', check=False)
        tap.equal((done.returncode, done.stdout, read(bad_log).count(b'Connection from ')), (1, '', seen),
                  'a rejected report: ssh is never started', done.stderr)
        done = attest('ssh', '--login', '-oX', *words[:-3], 'web', check=False)
        tap.equal(done.returncode, 2, 'a user that is an option is refused', done.stderr)
    finally:
        for process in good, bad:
            process.terminate()
            process.wait()
    tap.equal(seen, 1, 'while the log tells of a connection')
    stop('web')


TESTS = (test_accepted, test_attacks, test_garbage, test_known_hosts, test_ssh)

if __name__ == '__main__':
    run(TESTS)
