#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""End to end: a level 4 domain is built, launched and booted; its report is fetched through libvirt and accepted; attacks on
it are rejected, each for its own reason; and SSH goes to the attested guest and to no other.

A SIMULATION of the processor only: the platform model sees the launch, the guest then runs under emulation, and the test
authority signs the reports that a stand-in in the guest asks for. Firmware, kernel, initrd, dm-verity, the report service,
the channel, libvirt, SSH and virt-attest are the real ones.
"""
import base64
import json
import os
import secrets
import sys
import time
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'libvirt'), os.path.join(os.path.dirname(HERE), 'platform')]
import harness  # noqa: E402
import inputs  # noqa: E402
import rig  # noqa: E402
from login import Login, fingerprint  # noqa: E402
try:
    import attested
    import authority
    import kds_server
    import report_server
except ImportError as missing:
    harness.skip(f'{missing}: install python3-cryptography')

NAME = 'sealed'
TMPFS = ('--upper', 'tmpfs')
CHANNEL = 'org.virt-attest.report.0'
FACTS = {}


class Running:
    """A guest that libvirt runs, with what Login wants of it."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.folder = os.environ['PRIVATE_LIBVIRT_STATE']
        self.process = self
        self.started = time.monotonic()
        self.console = b''
        self._terminal = os.open(harness.virsh('ttyconsole', name).stdout.strip(), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def poll(self):
        return None if harness.running(self.name) else 1

    def age(self):
        return time.monotonic() - self.started

    def _read(self):
        try:
            self.console += os.read(self._terminal, 65536)
        except OSError:
            time.sleep(0.2)

    def wait_for(self, pattern, timeout):
        end = time.monotonic() + timeout
        found = None
        while not found and time.monotonic() < end and self.poll() is None:
            self._read()
            found = rig.re.search(pattern, self.console)
        return found

    def tail(self):
        return rig.printable(self.console[-3000:])


def build(name, *words):
    """A level 4 domain on the base image; its UUID."""
    harness.attest('build', '--base', FACTS['image'], '--name', name, '--level', '4', '--cpu-model', 'EPYC-Milan', '--memory',
                   '1024', *words, timeout=600)
    return harness.virsh('domuuid', name).stdout.strip()


def launch(name, identity):
    """What the platform model has seen of a launch of a domain that then does not go on."""
    harness.start(name)
    harness.stop(name)
    return harness.model(name, identity)


def verify(*words, domain=NAME):
    """The exit code, and {check that failed: text} or the error."""
    if domain:
        words = ('--domain', domain, *words)
    done = harness.attest('verify', '--trust-anchor', FACTS['anchor'], '--format', 'json', *words, check=False)
    if not done.stdout:
        return done.returncode, done.stderr
    return done.returncode, {each['name']: each['text'] for each in json.loads(done.stdout)['checks']
                             if each['outcome'] == 'fail'}


def channel_state():
    found = rig.re.search(rf"name='{CHANNEL}' state='(\w+)'", harness.virsh('dumpxml', NAME).stdout)
    return found.group(1) if found else None


def test_start(tap):
    """From a base image to a guest that has booted."""
    tap.comment('a simulation: the platform model and the test authority play the processor')
    FACTS['image'], FACTS['key'] = inputs.cached_image()
    os.environ.pop('VIRT_ATTEST_CONFIG', None)
    os.mkdir(harness.scratch('pool'))
    harness.virsh('pool-define-as', 'default', 'dir', '--target', harness.scratch('pool'))
    harness.virsh('pool-start', 'default')
    harness.install_hook()
    harness.write_config(inputs.configuration())
    FACTS['authority'] = authority.Authority(authority.default_folder())
    line = FACTS['authority'].line('Milan')
    FACTS.update(line=line, anchor=harness.write(harness.scratch('anchor.pem'), line.trust_anchor()),
                 revoked=harness.write(harness.scratch('revoked.crl'), line.crl(revoked=[line.serials['ask']])))
    identity = FACTS['identity'] = build(NAME, *TMPFS, '--cmdline', 'no_timer_check')
    port, lock = rig.claim_port()
    FACTS['lock'] = lock
    platform = harness.scratch('platform')
    harness.emulator_words(PLATFORM_SSH_PORT=port, PLATFORM_REPORT_SOCKET=platform)
    done = harness.attest('start', NAME, check=False)
    if not tap.equal(done.returncode, 0, 'it starts as a confidential domain', done.stderr):
        return
    FACTS['guest'] = Running(NAME, port)
    launched = harness.model(NAME, identity)
    FACTS['server'] = report_server.Server(platform, line, launched)
    pinned = harness.read(f'{harness.STATE}/references/{identity}.json').decode()
    tap.check(launched['digest'] in pinned, 'the launch has the pinned digest', pinned)
    login = FACTS['login'] = Login(FACTS['guest'], FACTS['key'])
    tap.equal(login.shown, fingerprint(login.host_key), 'it boots, and its console shows the fingerprint of its host key',
              FACTS['guest'].tail())
    tap.comment(f'login after {login.seconds:.0f} s')
    tap.check(harness.eventually(lambda: channel_state() == 'connected', rig.BOOT), 'its report service listens')
    code, said = verify()
    tap.check(code == 3 and 'no SEV-SNP guest' in str(said), 'without a processor its answer is an error', (code, said))


def test_defined(tap):
    """What 'build' has defined is what runs."""
    login, domain = FACTS['login'], ElementTree.fromstring(harness.virsh('dumpxml', '--inactive', NAME).stdout)
    level = json.loads(harness.attest('level', '--format', 'json', NAME).stdout)['level']
    measured = [element.text.strip() for element in domain.iter(f'{{{harness.NAMESPACE}}}measurement')]
    tap.equal((level, measured), (4, [harness.model(NAME, FACTS['identity'])['digest']]),
              'its derived level is 4, its measurement the digest of the launch')
    facts = login.facts(state='systemctl is-system-running --wait', root='findmnt -n -o FSTYPE /',
                        failed='systemctl list-units --failed --plain --no-legend', cmdline='cat /proc/cmdline')
    tap.equal((facts['state'], facts['root'], facts['failed']), ('running', 'overlay', ''), 'it reaches multi-user')
    tap.equal(facts['cmdline'].removeprefix('initrd=initrd '), domain.findtext('os/cmdline'),
              'it has the command line of the definition')
    tap.equal(domain.findtext('os/loader'), rig.AMDSEV, 'the firmware is the one that verifies')


def test_accepted(tap):
    devices = attested.Devices(FACTS['login'])
    kept = FACTS['kept'] = harness.scratch('kept.json')
    devices.plug_device()
    tap.check(harness.eventually(lambda: channel_state() == 'connected', rig.BOOT), 'the report service listens again')
    code, failed = verify('--save', kept)
    tap.equal((code, failed, json.loads(harness.read(kept))['provider']), (0, {}, 'sev-guest'),
              'the report of the running guest is accepted, from /dev/sev-guest')
    devices.plug_folder()
    code, failed = verify('--save', kept)
    if not tap.equal((code, failed), (0, {}), 'so is one from configfs-tsm'):
        return
    document = json.loads(harness.read(kept))
    tap.equal((document['provider'], document['sshHostKey']), ('configfs-tsm:sev_guest', FACTS['login'].host_key),
              'which goes first; it binds the key that the SSH server of the guest shows')
    data, level = FACTS['server'].requests[-1]
    tap.equal((data.hex(), level), (document['reportData'], 0), 'the platform was asked for just that')
    verify()
    tap.check(FACTS['server'].requests[-1][0][32:] != data[32:], 'every time with another nonce')
    row = next(each for each in json.loads(harness.attest('list', '--format', 'json').stdout) if each['name'] == NAME)
    tap.check(row['attested'], 'list says so', row)
    tap.contains(harness.attest('show', NAME).stdout, ['accepted'], 'so does show')


def other_initrd():
    """The launch of the same domain with another initrd."""
    xml = harness.virsh('dumpxml', '--inactive', NAME).stdout
    initrd = rig.re.search('<initrd>(.*)</initrd>', xml).group(1)
    other = harness.write(harness.scratch('other-initrd'), harness.read(initrd) + bytes(512))
    xml = xml.replace(initrd, other).replace(f'<name>{NAME}<', '<name>other-initrd<').replace(
        FACTS['identity'], harness.domain_uuid('other-initrd'))
    harness.virsh_define(rig.re.sub('<metadata>.*</metadata>', '', xml, flags=rig.re.S))
    return launch('other-initrd', None)


def test_attacks(tap):
    server = FACTS['server']
    root, more = build('other-image', *TMPFS), build('other-words', *TMPFS, '--cmdline', 'no_timer_check quiet')
    harness.emulator_words()
    launches = {'image': launch('other-image', root), 'command line': launch('other-words', more), 'initrd': other_initrd()}
    for attack in attested.attacks(authority.tcb_text(authority.TCB['Milan']), FACTS['revoked']):
        server.other = launches.get(attack.launch)
        server.fault('other-launch' if attack.launch else attack.fault)
        code, failed = verify(*attack.words)
        if isinstance(failed, dict):
            tap.equal((code, sorted(failed)), (1, sorted(attack.checks)), f'{attack.name}: rejected', failed)
            tap.check(all(text in failed.get(name, '') for name, text in attack.checks.items()),
                      f'{attack.name}: for its own reason', failed)
        else:
            tap.check(False, f'{attack.name}: judged', (code, failed))
    for fault, expected, text in attested.REFUSED:
        server.fault(fault)
        code, said = verify()
        tap.check(code == expected and text in str(said), f'{fault}: no verdict', (code, said))
    with kds_server.Server(FACTS['authority']) as kds:
        for word in '404', 'wrong-chip', 'foreign', 'silent':
            kds.script('/vcek/', word)
            # Four attempts at most; the guest has as long for its answer.
            code, said = verify('--kds', kds.url, '--timeout', '60')
            tap.check(code == 4 and 'certificate' in said and kds.requests,
                      f'a Key Distribution Service that says {word}: not accepted', (code, said))
        kds.reset()
        tap.equal(verify('--kds', kds.url), (0, {}), 'with its certificate: accepted', kds.requests)
    server.fault()
    tap.equal(verify(), (0, {}), 'and the honest answer is accepted again')


def test_evidence(tap):
    """The host keeps an answer and changes it, or shows it again."""
    kept = json.loads(harness.read(FACTS['kept']))
    key = harness.write(harness.scratch('guest.pub'), kept['sshHostKey'] + '\n')
    words = ('--ssh-host-key', key, '--nonce', kept['nonce'])

    def judge(document, *options):
        return verify(*options, harness.write(harness.scratch('evidence.json'), json.dumps(document)))
    tap.equal(judge(kept, *words), (0, {}), 'an answer that was kept is judged again')
    code, failed = judge(kept, '--ssh-host-key', key, '--nonce', secrets.token_hex(32))
    tap.equal((code, list(failed)), (1, ['nonce']), 'for another nonce it is rejected', failed)
    report = bytearray(base64.b64decode(kept['report']))
    for offset, what in ((0x08, 'policy'), (0x90, 'measurement'), (0x2a0, 'signature')):
        changed = bytearray(report)
        changed[offset] ^= 1
        code, failed = judge({**kept, 'report': base64.b64encode(changed).decode()}, *words)
        tap.check(code == 1 and 'signature' in failed, f'one bit of the {what} changed: rejected', (code, failed))
    rig.call('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', harness.scratch('host'))
    mine = ' '.join(harness.read(harness.scratch('host.pub')).decode().split()[:2])
    code, failed = judge({**kept, 'sshHostKey': mine}, '--ssh-host-key', harness.scratch('host.pub'), '--nonce', kept['nonce'])
    tap.equal((code, list(failed)), (1, ['nonce']), "the host's own SSH key in its place: rejected", failed)


def test_ssh(tap):
    """Only after the verdict, and only to the attested key."""
    guest, server = FACTS['guest'], FACTS['server']
    words = ('--trust-anchor', FACTS['anchor'], '--host', '127.0.0.1', '--port', str(guest.port))
    done = harness.attest('known-hosts', *words, NAME, check=False)
    tap.equal(done.stdout, f'[127.0.0.1]:{guest.port} {FACTS["login"].host_key} virt-attest\n', 'known_hosts: the attested key',
              done.stderr)
    command = ('ssh', *words, '--identity', FACTS['key'], '--login', 'root', NAME, '--', 'findmnt', '-n', '-o', 'FSTYPE', '/')
    done = harness.attest(*command, check=False)
    tap.equal((done.returncode, done.stdout), (0, 'overlay\n'), 'ssh runs a command in the attested guest', done.stderr)
    server.fault('debug-policy')
    done = harness.attest(*command, check=False)
    tap.equal((done.returncode, done.stdout), (1, ''), 'and none in a guest that is rejected', done.stderr)
    server.fault()
    harness.stop(NAME)
    code, said = verify()
    tap.check(isinstance(said, str) and 'not running' in said, 'a domain that was stopped is not asked', (code, said))
    FACTS['lock'].close()


def test_encrypted(tap):
    """Another upper layer: the disks and words with which the other boot tests boot."""
    build('encrypted', '--upper', 'encrypted:256M')
    domain = ElementTree.fromstring(harness.virsh('dumpxml', '--inactive', 'encrypted').stdout)
    tap.equal([(disk.findtext('serial'), disk.find('readonly') is not None) for disk in domain.iterfind('devices/disk')],
              [(inputs.ROOT_SERIAL, True), (inputs.VERITY_SERIAL, True), (inputs.UPPER_SERIAL, False)], 'its disks')
    tap.contains(domain.findtext('os/cmdline'), [inputs.CONSOLE, f'virt_attest.upper=encrypted:{inputs.UPPER_SERIAL}'],
                 'its words')


if __name__ == '__main__':
    if not os.path.exists(os.path.join(os.environ.get('VIRT_ATTEST_BUILD', ''), 'tests/platform/standin/standin')):
        harness.skip('the stand-in was not built: install libfuse3-dev')
    # In there is no network to build it from.
    if not os.environ.get(harness.INSIDE):
        inputs.cached_image()
    harness.run([test_start, test_defined, test_accepted, test_attacks, test_evidence, test_ssh, test_encrypted], attested=True)
