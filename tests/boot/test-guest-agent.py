#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A report through the QEMU guest agent: the real agent in a guest that really runs, between real libvirt and our own program;
and then a host that answers in the agent's place.

A SIMULATION of the processor only: the platform model sees the launch, the guest then runs under emulation, and the test
authority signs the reports that a stand-in in the guest asks for. The guest is a kernel and an initrd of this test.
"""
import base64
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), 'libvirt'), os.path.join(os.path.dirname(HERE), 'platform')]
import harness  # noqa: E402
from harness import attest, read, scratch, write  # noqa: E402
try:
    import authority
    import report_server
except ImportError as missing:
    harness.skip(f'{missing}: install python3-cryptography')

AGENT = 'org.qemu.guest_agent.0'
PROGRAM = '/usr/bin/virt-attest'
TOOLS = ('dash', 'mount', 'insmod', 'sleep', 'cat', 'ls', 'mv', 'kill', 'base64', 'chmod', 'qemu-ga')
MODULES = ('virtio_pci', 'virtio_console', 'cuse')
# Ports are known by what the host calls them; nobody makes /dev/virtio-ports here.
INIT = f'''#!/bin/sh
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev; mount -t tmpfs tmpfs /run
for module in @MODULES@; do insmod $module; done
port() {{ for each in /sys/class/virtio-ports/*; do [ "$(cat $each/name 2>/dev/null)" = $1 ] && echo /dev/${{each##*/}}; done; }}
while [ -z "$(port {AGENT})" ] || [ -z "$(port org.virt-attest.test-platform)" ]; do sleep 0.1; done
/bin/standin --port "$(port org.virt-attest.test-platform)" device sev-guest &
while ! [ -c /dev/sev-guest ]; do sleep 0.1; done
echo guest agent starts
while :; do qemu-ga -m virtio-serial -p "$(port {AGENT})" -t /run -f /run/pid; sleep 0.2; done
'''
FACTS = {}


#
# The guest
#
def closure(path):
    """Shared libraries of a program; a static one has none."""
    return re.findall(r'(/\S+) \(0x', harness.call('ldd', path, check=False).stdout)


def copy(source, tree, name):
    target = os.path.join(tree, name.lstrip('/'))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)


def module_files(release):
    """The modules with what they need, in the order in which they are loaded."""
    found = []
    for name in MODULES:
        shown = harness.call('/usr/sbin/modprobe', '-S', release, '--show-depends', name).stdout
        found += [path for path in re.findall(r'^insmod (\S+)', shown, re.M) if path not in found]
    return found


def make_initrd(release):
    tree, modules = scratch('initrd-tree'), module_files(release)
    for name in 'proc', 'sys', 'dev', 'run', 'tmp', 'bin':
        os.makedirs(os.path.join(tree, name))
    build = os.environ['VIRT_ATTEST_BUILD']
    programs = {f'/bin/{name}': shutil.which(name, path='/bin:/sbin:/usr/sbin') for name in TOOLS}
    programs['/bin/standin'] = f'{build}/tests/platform/standin/standin'
    for name, source in programs.items():
        copy(source, tree, name)
        for library in closure(source):
            copy(library, tree, library)
    copy(f'{build}/guest/report/guest-report', tree, PROGRAM)
    os.symlink('dash', f'{tree}/bin/sh')
    for path in modules:
        copy(path, tree, path)
    write(f'{tree}/init', INIT.replace('@MODULES@', ' '.join(modules)))
    os.chmod(f'{tree}/init', 0o755)
    names = '\n'.join(os.path.relpath(os.path.join(parent, name), tree) for parent, folders, files in os.walk(tree)
                      for name in folders + files)
    harness.call('cpio', '-o', '-H', 'newc', '-F', scratch('agent-initrd'), given=names + '\n', cwd=tree)
    return scratch('agent-initrd')


#
# What stands between libvirt and the guest
#
class Agent:
    """The socket of the agent's channel. QEMU is the first to connect; after it libvirt, which is led to QEMU, or, with
    @play, to a host that answers itself."""

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(8)
        os.chmod(path, 0o666)
        self.guest, self.libvirt, self.play, self.asked = None, None, None, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        self.guest, _ = self.server.accept()
        threading.Thread(target=self.to_libvirt, daemon=True).start()
        while True:
            self.libvirt, _ = self.server.accept()
            threading.Thread(target=self.to_guest, args=(self.libvirt,), daemon=True).start()

    def to_libvirt(self):
        """What the guest sends is for whoever is connected now; libvirt connects anew for every agent."""
        while data := self.guest.recv(65536):
            try:
                self.libvirt.sendall(data)
            except OSError:
                pass

    def to_guest(self, connection):
        with connection, connection.makefile('rb') as lines:
            for line in lines:
                command = json.loads(line.lstrip(b'\xff'))
                self.asked.append(command)
                try:
                    if self.play is None:
                        self.guest.sendall(line)
                    elif command['execute'].startswith('guest-sync'):
                        connection.sendall(json.dumps({'return': command['arguments']['id']}).encode() + b'\n')
                    else:
                        connection.sendall(self.play(command))
                except OSError:
                    return


def inside(script):
    """Runs a script in the guest, as a host can that has an agent."""
    command = {'execute': 'guest-exec', 'arguments': {'path': '/bin/sh', 'arg': ['-c', script], 'capture-output': True}}
    pid = json.loads(harness.virsh('qemu-agent-command', 'guest', json.dumps(command)).stdout)['return']['pid']
    ask = json.dumps({'execute': 'guest-exec-status', 'arguments': {'pid': pid}})
    for _ in range(1000):
        status = json.loads(harness.virsh('qemu-agent-command', 'guest', ask).stdout)['return']
        if status['exited']:
            return status
        time.sleep(0.1)
    raise harness.Failed(f'{script} does not end')


def agent():
    """The process that answers in the guest, None while there is none."""
    try:
        return inside('echo $PPID')['out-data']
    except harness.Failed:
        return None


def verify(*words):
    """The exit code, and the names of the checks that failed or the error."""
    done = attest('verify', '--trust-anchor', FACTS['anchor'], '--format', 'json', *words, check=False)
    if not done.stdout:
        return done.returncode, done.stderr
    return done.returncode, [each['name'] for each in json.loads(done.stdout)['checks'] if each['outcome'] == 'fail']


def test_start(tap):
    tap.comment('a simulation: the platform model and the test authority play the processor')
    kernel, _ = harness.boot_files()
    line = authority.Authority(authority.default_folder()).line('Milan')
    FACTS.update(line=line, anchor=write(scratch('anchor.pem'), line.trust_anchor()), agent=Agent(scratch('agent')))
    devices = (f"<channel type='unix'><source mode='connect' path='{scratch('agent')}'/>"
               f"<target type='virtio' name='{AGENT}'/></channel>"
               "<serial type='pty'/>")
    harness.install_hook()
    xml = harness.domain_xml('guest', kernel=kernel, initrd=make_initrd(os.path.basename(kernel).removeprefix('vmlinuz-')),
                             cmdline='console=ttyS0 no_timer_check quiet', devices=devices, memory=512)
    attest('define', '--level', '3', write(scratch('define.xml'), xml.replace('<os>', '<features><acpi/></features><os>')))
    harness.emulator_words(PLATFORM_REPORT_SOCKET=scratch('platform'))
    harness.expect_match(tap, 'guest', 'guest')
    FACTS['server'] = report_server.Server(scratch('platform'), line, harness.model('guest'))
    begin = time.monotonic()
    console = os.open(harness.virsh('ttyconsole', 'guest').stdout.strip(), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    up = harness.eventually(lambda: f"name='{AGENT}' state='connected'" in harness.virsh('dumpxml', 'guest').stdout, 600)
    if not tap.check(up, 'the agent in the guest is there', '' if up else os.read(console, 65536)):
        harness.stop('guest')
    tap.comment(f'after {time.monotonic() - begin:.0f} s')


def test_accepted(tap):
    kept = scratch('kept.json')
    tap.equal(verify('--domain', 'guest', '--via', 'agent', '--save', kept), (0, []), 'a report through the agent is accepted')
    document, (data, level) = json.loads(read(kept)), FACTS['server'].requests[-1]
    tap.equal((document['reportData'], document.get('sshHostKey'), level), (data.hex(), None, 0), 'it names no SSH key')
    tap.check(data[:32] == bytes(32) and data[32:] != bytes(32), 'a nonce stands where the channel has it', data.hex())
    started = next(each['arguments'] for each in FACTS['agent'].asked if each['execute'] == 'guest-exec')
    tap.equal((started['path'], base64.b64decode(started['input-data']).decode().strip()), (PROGRAM, data.hex()),
              'the program was given it')
    tap.equal(verify('--domain', 'guest'), (0, []), 'without a channel the agent is asked by itself')
    tap.check(FACTS['server'].requests[-1][0] != data, 'with another nonce')
    row = next(each for each in json.loads(attest('list', '--format', 'json').stdout) if each['name'] == 'guest')
    tap.equal(row['attested']['source'], 'agent', 'list says how')
    tap.equal(verify('--domain', 'guest', '--report-data', data.hex(), kept), (0, []), 'what was kept can be judged again')
    FACTS['server'].fault('debug-policy')
    code, failed = verify('--domain', 'guest')
    tap.check(code == 1 and 'debug' in failed, 'a report of a debugged guest is rejected', (code, failed))
    FACTS['server'].fault()
    code, said = verify('--domain', 'guest', '--via', 'channel')
    tap.check(code == 4 and 'has no channel' in said, 'the channel, when that is asked for, is missing', (code, said))


def ended(out=b'', err=b'', **members):
    answer = {'exited': True, 'exitcode': 0, 'out-data': base64.b64encode(out).decode(),
              'err-data': base64.b64encode(err).decode(), **members}
    return {name: value for name, value in answer.items() if value is not None}


# What qemu-ga 10.0 answers that was started with --block-rpcs=guest-exec.
BLOCKED = {'error': {'class': 'CommandNotFound', 'desc': 'Command guest-exec has been disabled: the command is not allowed'}}
BLOCKED_INFO = {'return': {'version': '10.0.2', 'supported_commands': [
    {'enabled': True, 'name': 'guest-info', 'success-response': True},
    {'enabled': False, 'name': 'guest-exec', 'success-response': True}]}}


def host(status=None, started=None, info=None):
    """A host that answers in the agent's place: @status and @started make the answers."""
    def play(command):
        if command['execute'] == 'guest-exec':
            answer = started(command) if started else {'return': {'pid': 7}}
        else:
            answer = {'return': status(command)} if status else info or BLOCKED
        return b'' if answer is None else json.dumps(answer).encode() + b'\n'
    return play


def signed(data, key=None):
    """What the report program would print, about report data of the host's choice: it may run anything in the guest."""
    report, certificates = FACTS['server'].issue(data, 0)
    document = {'format': 'virt-attest-evidence-1', 'provider': 'sev-guest', 'vmpl': 0, 'reportData': data.hex(),
                'report': base64.b64encode(report).decode(), 'auxblob': base64.b64encode(authority.table(certificates)).decode()}
    return json.dumps({**document, **({'sshHostKey': key} if key else {})}).encode() + b'\n'


def last_nonce():
    started = [each['arguments'] for each in FACTS['agent'].asked if each['execute'] == 'guest-exec'][-1]
    return bytes.fromhex(base64.b64decode(started['input-data']).decode())[32:]


def lost_rows():
    """Agents that forget the program they have started, as one does that was started anew: once, and always."""
    forgotten = {'error': {'class': 'GenericError', 'desc': "PID 7 does not exist"}}
    pids = []

    def play(answer):
        def forgetful(command):
            if command['execute'] == 'guest-exec':
                pids.append(command)
                found = {'return': {'pid': len(pids)}}
            else:
                found = answer(command['arguments']['pid'])
            return json.dumps(found).encode() + b'\n'
        return forgetful

    def once(pid):
        return forgotten if pid == 1 else {'return': ended(signed(bytes(32) + last_nonce()))}
    return (('a program that is forgotten once', play(once), (), 0, []),
            ('a program that is always forgotten', play(lambda _: forgotten), (), 5, 'guest-exec-status'))


def test_hostile_host(tap):
    """What answers need not be an agent."""
    key = base64.b64encode(b'\0\0\0\x0bssh-ed25519\0\0\0\x20' + bytes(32)).decode()
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    rows = (
        ('an honest relay', host(lambda _: ended(signed(bytes(32) + last_nonce()))), (), 0, []),
        ('an old report', host(lambda _: ended(signed(bytes(64)))), (), 1, ['nonce']),
        ("a report about the host's own SSH key", host(lambda _: ended(signed(digest + last_nonce(), f'ssh-ed25519 {key}'))), (),
         1, ['nonce']),
        ('no number of a program', host(started=lambda _: {'return': {}}), (), 3, 'pid'),
        ('a program that never ends', host(lambda _: {'exited': False}), ('--timeout', '5'), 3, 'has not ended'),
        ('silence', host(started=lambda _: None), ('--timeout', '5'), 5, 'guest agent does not answer'),
        ('too much', host(lambda _: ended(b'x' * (300 * 1024))), (), 3, 'more than 262144 bytes'),
        ('no base64', host(lambda _: ended(**{'out-data': '='})), (), 3, 'base64'),
        ('a zero byte', host(lambda _: ended(b'{\0}')), (), 3, 'zero byte'),
        ('no evidence', host(lambda _: ended(b'hello\n')), (), 3, ''),
        ('nothing', host(lambda _: ended()), (), 3, 'has made no report in the guest (exit code 0)'),
        ('an error with control characters', host(lambda _: ended(err=b'error: \x1b[2Jno\rfirst\nforged', exitcode=4)), (), 3,
         '(exit code 4); it says: '),
        ('a signal', host(lambda _: ended(exitcode=None, signal=9)), (), 3, 'a signal'),
        ('a refusal with control characters', host(started=lambda _: {'error': {'class': 'GenericError', 'desc': 'a\x1b[2J\nb'}}), (),
         4, 'cannot run /usr/bin/virt-attest'),
        ('an agent that may run no programs', host(started=lambda _: BLOCKED, info=BLOCKED_INFO), (), 4,
         'the guest lets its agent run no programs'),
    )
    for name, play, words, expected, failed in rows + lost_rows():
        FACTS['agent'].play = play
        begin = time.monotonic()
        code, said = verify('--domain', 'guest', *words)
        good = failed in said if isinstance(failed, str) else said == failed
        tap.check(code == expected and good and '\x1b' not in str(said) and '\r' not in str(said) and 'forged' not in str(said)
                  and time.monotonic() - begin < 50, f'{name}: exit {expected}', (code, said))
    FACTS['agent'].play = None


def test_restart(tap):
    """The agent ends and is started anew: before it is asked, and when it has started the program, which it then forgets."""
    for number in 'TERM', 'KILL':
        # Its parent is the agent; the next one finds the program itself.
        script = f'#!/bin/sh\nmv /run/program {PROGRAM}\nkill -{number} $PPID\n'
        trap = base64.b64encode(script.encode()).decode()
        status = inside(f'mv {PROGRAM} /run/program && echo {trap} | base64 -d >/run/trap && chmod 755 /run/trap && '
                        f'mv /run/trap {PROGRAM}')
        tap.equal(status['exitcode'], 0, f'{number}: the program ends the agent that has started it')
        before = len(FACTS['agent'].asked)
        tap.equal(verify('--domain', 'guest'), (0, []), f'{number}: accepted')
        started = [each for each in FACTS['agent'].asked[before:] if each['execute'] == 'guest-exec']
        tap.check(len(started) >= 2, f'{number}: the program was started again', started)
        ending = agent()
        # Nobody can say whether the answer to this gets through.
        command = {'path': '/bin/sh', 'arg': ['-c', f'(sleep 0.3; kill -{number} $PPID) >/dev/null 2>&1 &']}
        harness.virsh('qemu-agent-command', 'guest', json.dumps({'execute': 'guest-exec', 'arguments': command}), check=False)
        tap.equal(verify('--domain', 'guest'), (0, []), f'{number}: asked while it ends: accepted')
        # That may have been before its end.
        tap.check(harness.eventually(lambda ending=ending: agent() not in (None, ending)), f'{number}: it was started anew')


def test_guest_refuses(tap):
    """The guest without a report, and without the program."""
    FACTS['server'].fault('refused')
    code, said = verify('--domain', 'guest')
    tap.check(code == 3 and 'has made no report in the guest (exit code 3); it says: ' in str(said),
              'the firmware refuses: the words of the program', (code, said))
    FACTS['server'].fault()
    tap.equal(inside(f'mv {PROGRAM} /run/away')['exitcode'], 0, 'the program is taken away')
    code, said = verify('--domain', 'guest')
    tap.check(code == 4 and 'does its image have the report program' in str(said), 'no program: said so', (code, said))
    tap.equal(inside(f'mv /run/away {PROGRAM}')['exitcode'], 0, 'and brought back')
    tap.equal(verify('--domain', 'guest'), (0, []), 'accepted again')
    harness.stop('guest')


def usable(path):
    return path and os.path.exists(path) and os.stat(path).st_mode & stat.S_IXUSR


if __name__ == '__main__':
    if not usable(shutil.which('qemu-ga', path='/usr/sbin:/usr/bin')):
        harness.skip('no guest agent: install qemu-guest-agent')
    if not usable(os.path.join(os.environ.get('VIRT_ATTEST_BUILD', ''), 'tests/platform/standin/standin')):
        harness.skip('the stand-in was not built: install libfuse3-dev')
    harness.run([test_start, test_accepted, test_hostile_host, test_restart, test_guest_refuses], attested=True)
