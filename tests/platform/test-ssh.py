#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""'virt-attest known-hosts' and 'virt-attest ssh' with a real SSH server on the loopback interface.

Reports are signed by the test authority over the server's key and a nonce. The server's own log says how far a client
came: "Accepted publickey" and "Failed publickey" come after the key exchange, where a client that refuses the host's
key is gone already.
"""
import hashlib
import base64
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'libvirt')]
try:
    import authority as module
except ImportError as missing:
    print(f'1..0 # SKIP {missing}: install python3-cryptography')
    sys.exit(0)
from harness import Tap  # noqa: E402

SSHD = '/usr/sbin/sshd'
MEASUREMENT = hashlib.sha384(b'what was launched').digest()
NONCE = hashlib.sha256(b'the nonce of the verifier').digest()
USER = pwd.getpwuid(os.geteuid()).pw_name
CONFIGURATION = '[paths]\nstate-directory = {folder}/state\n'
AUTHENTICATION = ('publickey', 'userauth', 'Accepted', 'Failed', 'authenticating user')


def port_number():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def make_key(path, kind='ed25519'):
    subprocess.run(['ssh-keygen', '-q', '-t', kind, '-N', '', '-C', 'test', '-f', path], check=True)
    return path


def blob(path):
    return base64.b64decode(pathlib.Path(str(path) + '.pub').read_text(encoding='ascii').split()[1])


class Server:
    """An sshd of its own: own host key, own port, own list of who may log in."""

    def __init__(self, folder, host_key, client_key):
        self.folder, self.log = folder, folder / (host_key.name + '.log')
        authorized = folder / 'authorized_keys'
        shutil.copy(str(client_key) + '.pub', authorized)
        for _ in range(5):
            self.port = port_number()
            self.process = self.start(host_key, authorized)
            if self.process:
                return
        raise RuntimeError('sshd does not start: ' + self.log.read_text(encoding='utf-8'))

    def start(self, host_key, authorized):
        options = {'ListenAddress': '127.0.0.1', 'Port': self.port, 'HostKey': host_key, 'PidFile': 'none',
                   'AuthorizedKeysFile': authorized, 'StrictModes': 'no', 'UsePAM': 'no', 'LogLevel': 'VERBOSE',
                   'PasswordAuthentication': 'no', 'PermitRootLogin': 'prohibit-password', 'UseDNS': 'no'}
        line = [SSHD, '-D', '-e', '-f', '/dev/null']
        for name, value in options.items():
            line += ['-o', f'{name}={value}']
        if os.geteuid() == 0:
            # Its empty folder, without touching the machine's /run.
            private = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"'
            line = ['unshare', '-m', 'sh', '-c', private, 'sh', *line]
        with open(self.log, 'ab') as log:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(2400):
            if 'Server listening' in self.log.read_text(encoding='utf-8', errors='replace'):
                return process
            if process.poll() is not None:
                return None
            time.sleep(0.05)
        process.terminate()
        process.wait()
        return None

    def children(self):
        found = 0
        for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
            try:
                state, parent = path.read_text(encoding='utf-8', errors='replace').rpartition(')')[2].split()[:2]
            except OSError:
                continue  # it has ended meanwhile
            found += int(parent) == self.process.pid and state != 'Z'
        return found

    def lines(self, connections=0):
        """What it has logged since the last call, when no more than @connections are still open."""
        end = time.monotonic() + 120
        while self.children() > connections:
            if time.monotonic() > end:
                raise RuntimeError('connections do not end: ' + self.log.read_text(encoding='utf-8'))
            time.sleep(0.05)
        text = self.log.read_text(encoding='utf-8', errors='replace')
        self.log.write_text('', encoding='utf-8')
        return text

    def wait_for(self, word):
        end = time.monotonic() + 120
        while word not in self.log.read_text(encoding='utf-8', errors='replace'):
            if time.monotonic() > end:
                raise RuntimeError(f'no {word!r}: ' + self.log.read_text(encoding='utf-8'))
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=120)


class Rig:
    """The verifier: one user's folder with evidence and trust anchor."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.home = folder / 'home'
        (self.home / 'tmp').mkdir(parents=True)
        authority = module.Authority(module.default_folder() if os.environ.get('VIRT_ATTEST_BUILD') else None)
        self.milan = authority.line('Milan')
        self.vcek = self.milan.vcek()
        (folder / 'anchor.pem').write_text(self.milan.trust_anchor(), encoding='ascii')
        (folder / 'vcek.der').write_bytes(self.vcek.certificate)
        # State of this test alone, so that nothing of the machine's is read or written.
        (folder / 'virt-attest.conf').write_text(CONFIGURATION.format(folder=self.home), encoding='ascii')
        self.number = 0

    def report(self, key, nonce=NONCE, **fields):
        fields.setdefault('measurement', MEASUREMENT)
        self.number += 1
        path = self.folder / f'report-{self.number}.bin'
        data = hashlib.sha256(blob(key)).digest() + nonce
        path.write_bytes(module.report(self.vcek, report_data=data, **fields))
        return str(path)

    def line(self, command, report, key, *words, nonce=NONCE):
        """The command line, and its environment."""
        line = [self.program, command, '--measurement', MEASUREMENT.hex(), '--certificates',
                str(self.folder / 'vcek.der'), '--trust-anchor', str(self.folder / 'anchor.pem'), '--offline']
        line += ['--report', report] if report else []
        line += ['--ssh-host-key', f'{key}.pub'] if key else []
        line += ['--nonce', nonce.hex()] if nonce else []
        environment = {'PATH': os.environ.get('SSH_TEST_PATH', '/usr/bin:/bin'), 'HOME': str(self.home),
                       'LC_ALL': 'C.UTF-8', 'TMPDIR': str(self.home / 'tmp'),
                       'XDG_STATE_HOME': str(self.home / 'state'),
                       'VIRT_ATTEST_CONFIG': str(self.folder / 'virt-attest.conf')}
        return [*line, *words], environment

    def run(self, *words, nonce=NONCE):
        line, environment = self.line(*words, nonce=nonce)
        return subprocess.run(line, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                              check=False)


def test_known_hosts(tap, rig, keys):
    genuine = rig.report(keys['host'])
    kind, text = pathlib.Path(f'{keys["host"]}.pub').read_text(encoding='ascii').split()[:2]
    done = rig.run('known-hosts', genuine, keys['host'], '--host', '10.0.0.5', '--port', '2222')
    tap.check(done.returncode == 0 and done.stdout.split()[:3] == ['[10.0.0.5]:2222', kind, text],
              f'the attested key is printed as known_hosts wants it ({done.returncode}, {done.stderr.strip()})')
    done = rig.run('known-hosts', genuine, keys['host'], '--host', '10.0.0.5')
    tap.check(done.stdout.startswith('10.0.0.5 '), 'without brackets for port 22')

    file = rig.folder / 'known_hosts'
    others = '# mine\nother ssh-rsa AAAA\n'
    file.write_text(f'{others}10.0.0.5 ssh-rsa AAAA\n10.0.0.5,third ssh-rsa AAAA\n', encoding='ascii')
    file.chmod(0o640)
    done = rig.run('known-hosts', genuine, keys['host'], '--host', '10.0.0.5', '--output', str(file))
    written = file.read_text(encoding='ascii')
    tap.check(done.returncode == 0 and written.startswith(f'{others}third ssh-rsa AAAA\n') and
              written.count('10.0.0.5') == 1, f'other keys of the host go, other hosts stay: {written!r}')
    tap.check(file.stat().st_mode & 0o777 == 0o640, 'the file keeps its mode')
    found = subprocess.run(['ssh-keygen', '-F', '10.0.0.5', '-f', file], capture_output=True, text=True, check=False)
    tap.check(found.returncode == 0 and text in found.stdout, 'ssh-keygen finds the key there')

    for what, report, key, nonce, check in (
            ('another measurement', rig.report(keys['host'], measurement=bytes(48)), keys['host'], NONCE,
             'measurement'),
            ('a report of another key', rig.report(keys['other']), keys['host'], NONCE, 'nonce'),
            ('the key of somebody else', genuine, keys['other'], NONCE, 'nonce'),
            ('another nonce', genuine, keys['host'], bytes(32), 'nonce'),
            ('a debug policy', rig.report(keys['host'], policy=0xb0000), keys['host'], NONCE, 'debug')):
        done = rig.run('known-hosts', report, key, '--host', '10.0.0.9', nonce=nonce)
        tap.check(done.returncode == 1 and not done.stdout and f'{check}: ' in done.stderr,
                  f'{what}: exit 1, no line, and the reason '
                  f'({done.returncode}, {done.stdout!r}, {done.stderr.strip()!r})')
    bad = rig.report(keys['host'], measurement=bytes(48))
    done = rig.run('known-hosts', bad, keys['host'], '--host', '10.0.0.5', '--output', str(file))
    tap.check(done.returncode == 1 and file.read_text(encoding='ascii') == f'{others}third ssh-rsa AAAA\n',
              'a key that is not attested any more is not trusted any more')
    done = rig.run('known-hosts', bad, keys['host'], '--host', '10.0.0.5', '--output', str(rig.folder / 'none' / 'hosts'))
    tap.check(done.returncode == 1, f'rejected: exit 1 also where there is no list ({done.returncode}, {done.stderr!r})')

    for what, words, report, key in (
            ('--report without --ssh-host-key', ['--host', 'a'], genuine, None),
            ('no host', [], genuine, keys['host']),
            ('a host that is an option', ['--host', '-oProxyCommand=x'], genuine, keys['host']),
            ('a host that is a list', ['--host', 'a,b'], genuine, keys['host']),
            ('a pattern', ['--host', '*'], genuine, keys['host']),
            ('port 0', ['--host', 'a', '--port', '0'], genuine, keys['host'])):
        done = rig.run('known-hosts', report, key, *words)
        tap.check(done.returncode == 2 and not done.stdout,
                  f'{what}: exit 2 ({done.returncode}, {done.stderr.strip()})')


def test_race(tap, rig, keys):
    """Runs side by side on one list: none brings back what another has just taken away, and none is lost."""
    file = rig.folder / 'shared_hosts'
    good, bad = rig.report(keys['host']), rig.report(keys['host'], measurement=bytes(48))
    text = pathlib.Path(f'{keys["host"]}.pub').read_text(encoding='ascii').split()[1]
    hosts = [f'10.0.1.{number}' for number in range(16)]
    for turn in range(4):
        file.write_text(''.join(f'{host} ssh-ed25519 {text} virt-attest\n' for host in hosts[8:]), encoding='ascii')
        runs = []
        for number, host in enumerate(hosts):
            line, environment = rig.line('known-hosts', good if number < 8 else bad, keys['host'], '--host', host,
                                         '--output', str(file))
            runs.append(subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL))
        codes = [each.wait(timeout=60) for each in runs]
        found = sorted(line.split()[0] for line in file.read_text(encoding='ascii').splitlines())
        tap.check(codes == [0] * 8 + [1] * 8 and found == sorted(hosts[:8]),
                  f'turn {turn}: the accepted ones are there and the rejected ones gone ({codes}, {found})')


def test_ssh(tap, rig, keys, kind):
    """The attested key, one server that has it and one that has another."""
    host = keys['host'] if kind == 'ed25519' else make_key(rig.folder / f'host-{kind}', kind)
    server = Server(rig.folder, host, keys['client'])
    impostor = Server(rig.folder, keys['other'], keys['client'])
    login = ['--host', '127.0.0.1', '--login', USER, '--identity', str(keys['client'])]
    genuine = rig.report(host)
    try:
        done = rig.run('ssh', genuine, host, *login, '--port', str(server.port), '--', 'echo attested; exit 7')
        log = server.lines()
        tap.check(done.returncode == 7 and done.stdout == 'attested\n' and 'Accepted publickey' in log,
                  f'{kind}: the attested server lets us in, and ssh\'s exit code is ours '
                  f'({done.returncode}, {done.stderr.strip()!r})')
        done = rig.run('ssh', genuine, host, *login, '--port', str(server.port), '--', 'exit 126')
        tap.check(done.returncode == 126 and 'openssh-client' not in done.stderr,
                  f'{kind}: also 126 ({done.returncode}, {done.stderr.strip()!r})')
        server.lines()
        done = rig.run('ssh', genuine, host, *login, '--port', str(impostor.port), '--', 'echo stolen')
        log = impostor.lines()
        tap.check(done.returncode == 255 and not done.stdout and 'Connection from' in log and
                  not any(word in log for word in AUTHENTICATION),
                  f'{kind}: a server with another key sees no authentication ({done.returncode}, {log!r})')
        bad = rig.report(host, measurement=bytes(48))
        done = rig.run('ssh', bad, host, *login, '--port', str(server.port), '--', 'echo never')
        log = server.lines()
        tap.check(done.returncode == 1 and not done.stdout and 'Connection' not in log and
                  'measurement: ' in done.stderr,
                  f'{kind}: rejected: no connection at all ({done.returncode}, {log!r})')
        if kind == 'ed25519':
            test_configuration(tap, rig, host, (server, impostor), login)
        left = list((rig.home / 'tmp').iterdir())
        tap.check(not left, f'{kind}: nothing is left in the temporary folder ({left})')
    finally:
        server.stop()
        impostor.stop()


def test_configuration(tap, rig, host, servers, login):
    """Lines of the user's ssh_config that would let another key in."""
    server, impostor = servers
    kind, text = pathlib.Path(str(rig.folder / 'other') + '.pub').read_text(encoding='ascii').split()[:2]
    line = f'[127.0.0.1]:{impostor.port} {kind} {text}'
    trusting = rig.folder / 'trusting'
    trusting.write_text(f'{line}\nvirt-attest-guest {kind} {text}\n', encoding='ascii')
    # OpenSSH takes the configuration of the user's home from the password database: an ssh of our own names it.
    config = rig.folder / 'ssh_config'
    folder = rig.folder / 'bin'
    folder.mkdir()
    wrapper = folder / 'ssh'
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n', encoding='ascii')
    wrapper.chmod(0o755)
    genuine = rig.report(host)
    os.environ['SSH_TEST_PATH'] = f'{folder}:/usr/bin:/bin'
    try:
        for what in ('StrictHostKeyChecking no', f'UserKnownHostsFile {trusting}', f'GlobalKnownHostsFile {trusting}',
                     f'KnownHostsCommand /bin/echo virt-attest-guest {kind} {text}',
                     'NoHostAuthenticationForLocalhost yes',
                     f'ControlPath {rig.folder}/shared', f'HostKeyAlias [127.0.0.1]:{impostor.port}'):
            master = None
            if what.startswith('ControlPath'):
                # A connection to the impostor that is open already.
                master = subprocess.Popen(
                    ['/usr/bin/ssh', '-F', '/dev/null', '-o', 'StrictHostKeyChecking=no', '-o',
                     'UserKnownHostsFile=/dev/null', '-M', '-N', '-S', str(rig.folder / 'shared'), '-i', login[-1],
                     '-p', str(impostor.port), '-l', USER, '127.0.0.1'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for _ in range(2400):
                    if (rig.folder / 'shared').exists():
                        break
                    time.sleep(0.05)
                tap.check((rig.folder / 'shared').exists(), 'a shared connection to the impostor is there')
                impostor.wait_for('Accepted publickey')
                impostor.lines(1)
            config.write_text(f'{what}\n', encoding='ascii')
            done = rig.run('ssh', genuine, host, *login, '--port', str(impostor.port), '--', 'echo stolen')
            log = impostor.lines(1 if master else 0)
            tap.check(done.returncode == 255 and not done.stdout and not any(word in log for word in AUTHENTICATION),
                      f'{what.split()[0]} in the configuration does not help the impostor '
                      f'({done.returncode}, {done.stderr.strip()!r})')
            done = rig.run('ssh', genuine, host, *login, '--port', str(server.port), '--', 'echo attested')
            tap.check(done.returncode == 0 and done.stdout == 'attested\n',
                      f'{what.split()[0]}: the attested server still lets us in ({done.stderr.strip()!r})')
            if master:
                master.terminate()
                master.wait(timeout=120)
                impostor.lines()
        test_kerberos(tap, rig, host, config, wrapper)
    finally:
        del os.environ['SSH_TEST_PATH']


def test_kerberos(tap, rig, host, config, wrapper):
    """Where the key exchange is by Kerberos, ssh looks at no host key. There is no Kerberos here: ssh says what it would do."""
    probe = subprocess.run(['/usr/bin/ssh', '-F', '/dev/null', '-G', '-o', 'GSSAPIKeyExchange=yes', 'host'],
                           capture_output=True, text=True, check=False)
    config.write_text('GSSAPIKeyExchange yes\n' if probe.returncode == 0 else 'GSSAPIAuthentication yes\n', encoding='ascii')
    # Its first word is ours to find out what it knows; the last one is what would be run.
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} -G "$@"\n', encoding='ascii')
    done = rig.run('ssh', rig.report(host), host, '--host', '127.0.0.1')
    if probe.returncode:
        tap.check(done.returncode == 0 and 'gssapikeyexchange' not in done.stdout,
                  f'an ssh without key exchange by Kerberos is not asked for it ({done.returncode}, {done.stderr.strip()!r})')
        return
    tap.check('gssapikeyexchange yes' in probe.stdout and done.returncode == 0 and
              'gssapikeyexchange no' in done.stdout.splitlines(),
              f'GSSAPIKeyExchange in the configuration does not make a host key superfluous ({done.stdout!r})')


def test_ended(tap, rig, keys):
    """Whoever ends the program from outside ends ssh with it, and finds nothing left behind."""
    folder, told = rig.folder / 'waiting', rig.folder / 'told'
    folder.mkdir()
    # An ssh that never ends, and tells its number and what it reads in the list that it was given.
    wrapper = folder / 'ssh'
    wrapper.write_text(f"""#!/usr/bin/python3
import os, re, sys, time
path = re.search('UserKnownHostsFile="([^"]*)"', ' '.join(sys.argv)).group(1)
with open('{told}.new', 'w') as out:
    out.write(f'{{os.getpid()}} {{open(path).read()}}')
os.rename('{told}.new', '{told}')
time.sleep(600)
""", encoding='ascii')
    wrapper.chmod(0o755)
    public = pathlib.Path(f'{keys["host"]}.pub').read_text(encoding='ascii').split()[:2]
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGKILL:
        told.unlink(missing_ok=True)
        line, environment = rig.line('ssh', rig.report(keys['host']), keys['host'], '--host', '127.0.0.1')
        asking = subprocess.Popen(line, env={**environment, 'PATH': f'{folder}:/usr/bin:/bin'}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2400):
            if told.exists():
                break
            time.sleep(0.05)
        other, _, text = told.read_text(encoding='ascii').partition(' ')
        tap.check(text.split() == ['virt-attest-guest', *public], f'the list has the attested key alone ({text!r})')
        asking.send_signal(number)
        asking.wait(timeout=120)
        gone = False
        for _ in range(2400):
            gone = not os.path.exists(f'/proc/{other}') or is_zombie(other)
            if gone:
                break
            time.sleep(0.05)
        left = list((rig.home / 'tmp').iterdir())
        tap.check(asking.returncode == -number and gone and not left,
                  f'{number.name}: ssh ends too, and nothing is left ({asking.returncode}, {gone}, {left})')


def is_zombie(process):
    try:
        return pathlib.Path(f'/proc/{process}/stat').read_text(encoding='ascii').rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


def test_refused(tap, rig, keys):
    genuine = rig.report(keys['host'])
    for what, words in (('a login that is an option', ['--host', '127.0.0.1', '--login', '-oProxyCommand=x']),
                        ('an empty login', ['--host', '127.0.0.1', '--login', '']),
                        ('a host that is an option', ['--host', '-v'])):
        done = rig.run('ssh', genuine, keys['host'], *words)
        tap.check(done.returncode == 2, f'{what}: exit 2 ({done.returncode}, {done.stderr.strip()})')


def main():
    if not os.path.exists(SSHD) or not shutil.which('ssh-keygen'):
        print('1..0 # SKIP no SSH server: install openssh-server and openssh-client')
        return 0
    tap = Tap()
    tap.where = 'ssh'
    with tempfile.TemporaryDirectory(prefix='va-ssh-') as name:
        folder = pathlib.Path(name)
        rig = Rig(os.path.abspath(sys.argv[1]), folder)
        keys = {word: make_key(folder / word) for word in ('host', 'other', 'client')}
        test_known_hosts(tap, rig, keys)
        test_race(tap, rig, keys)
        test_refused(tap, rig, keys)
        test_ended(tap, rig, keys)
        for kind in ('ed25519', 'ecdsa', 'rsa'):
            test_ssh(tap, rig, keys, kind)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
