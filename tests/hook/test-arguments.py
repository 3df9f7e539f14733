#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hook's calling conventions: operations, arguments, descriptors, stdin, time."""
import os
import re
import signal
import subprocess
import sys
import time

import rig
from rig import HOOK, ROOT, Rig, Skip, accepted, refused

SECRET = b'correct-horse-battery-staple'
OTHERS = ['prepare', 'started', 'stopped', 'release', 'reconnect', 'migrate', 'restore', 'attach', 'invented', '', '-']


def test_recorded_calls():
    """What libvirt 11.3 really passed for a domain that is none of our business: nothing happens or is written."""
    names = sorted(path.stem for path in rig.FIXTURES.glob('*.argv'))
    assert len(names) > 10, names
    with Rig() as r:
        for name in names:
            argv = (rig.FIXTURES / f'{name}.argv').read_text().rstrip('\0').split('\0')
            assert len(argv) == 4, argv
            xml = (rig.FIXTURES / f'{name}.xml').read_bytes()
            done = subprocess.run([HOOK, *argv], input=xml, capture_output=True, env=r.environment(), cwd='/',
                                  check=False)
            accepted(done)
            assert done.stderr == b'', (name, done.stderr)
        assert r.tree() is None, r.tree()


def test_life_of_a_launch():
    with Rig() as r:
        xml = r.xml()
        accepted(r.run('prepare', xml))
        assert r.tree() is None
        accepted(r.start(xml))
        launch, = r.launches()
        assert (launch['state'], launch['verdict']) == ('decided', 'unpinned'), launch
        accepted(r.run('started', xml))
        assert r.launches()[0]['state'] == 'running'
        accepted(r.run('reconnect', xml))
        accepted(r.run('stopped', xml, sub='end'))
        launch, = r.launches()
        assert launch['state'] == 'stopped' and 'ended' in launch and 'endReason' not in launch, launch
        accepted(r.run('release', xml, sub='end', extra='destroyed'))
        launch, = r.launches()
        assert launch['endReason'] == 'destroyed', launch
        # A later veto in `prepare` by another hook says stopped and release again, for a launch that never was.
        accepted(r.run('prepare', xml))
        accepted(r.run('stopped', xml, sub='end'))
        accepted(r.run('release', xml, sub='end', extra='failed'))
        first, second = r.launches()
        assert first == launch, first
        assert (second['state'], second['verdict'], second['endReason']) == ('stopped', 'undecided', 'failed'), second
        # The host crashes under a running guest, and the next start is vetoed before it gets here.
        accepted(r.start(xml))
        accepted(r.run('started', xml))
        accepted(r.run('prepare', xml))
        launch = r.launches()[-1]
        assert (launch['state'], launch['endReason'], 'ended' in launch) == ('stopped', 'unknown', False), launch
        accepted(r.run('stopped', xml, sub='end'))
        accepted(r.run('release', xml, sub='end', extra='failed'))
        assert len(r.launches()) == 4 and r.launches()[2] == launch, r.launches()


def test_other_operations_never_fail():
    """With everything broken that can be: configuration, state, XML, and the domain itself refused."""
    with Rig() as r:
        xml = r.xml()
        r.pin()
        r.initrd.write_bytes(b'drifted')
        for operation in OTHERS:
            accepted(r.run(operation, xml))
            accepted(r.run(operation, b'<domain'))
            accepted(r.run(operation, b''))
            accepted(r.run(operation, xml, sub='invented', extra='$(x)'))
        r.state.chmod(0o777)
        for operation in OTHERS:
            accepted(r.run(operation, xml))
        r.config.write_text('[nonsense]\n')
        for operation in OTHERS:
            accepted(r.run(operation, xml))
        r.config.unlink()
        for operation in OTHERS:
            accepted(r.run(operation, xml))


def test_reconnect_comes_first():
    """Whatever the arguments and descriptors: a failing reconnect would kill a running guest."""
    with Rig() as r:
        for extra in ([], ['begin'], ['begin', '-', 'more', 'still more']):
            done = subprocess.run([HOOK, 'guest1', 'reconnect', *extra], input=b'', capture_output=True, env={},
                                  check=False)
            accepted(done)
        done = subprocess.run([HOOK, 'guest1', 'reconnect', 'begin', '-'], env=r.environment(), close_fds=True,
                              check=False,
                              preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
        assert done.returncode == 0


def test_filters_leave_no_trace():
    """stdin of migrate and restore may hold passwords, and stdout would replace the domain's XML."""
    with Rig() as r:
        accepted(r.start())
        before = r.tree()
        xml = r.xml(extra=f"<seclabel type='none'/><!-- {SECRET.decode()} -->")
        for operation in ('migrate', 'restore'):
            done = r.run(operation, xml)
            accepted(done)
            assert done.stderr == b''
        assert r.tree() == before


def test_hostile_names():
    with Rig() as r:
        names = ['--version', '--help', '-', '--', '-c', f'$(touch {r.folder}/pwned)', '`id`', 'a;b', 'a b', 'a<b',
                 'a\tb',
                 'ümläut', '%s%n', 'x' * 4096, '../../../etc/passwd', "it's", '"', '\\', '*']
        r.pin()
        r.initrd.write_bytes(b'drifted')
        for count, name in enumerate(names, 1):
            text = refused(r.start(r.xml(name=name), name=name), 'initrd')
            assert len(text.split('\n')[0]) < 4096
            assert len(r.launches()) == count
        # The name in the arguments is not even looked at.
        refused(r.start(name='another'), "domain 'guest1'", '--accept guest1')
        assert '--accept -- --version' in refused(r.start(r.xml(name='--version')))
        assert "--accept 'a;b'" in refused(r.start(r.xml(name='a;b')))
        assert not (r.folder / 'pwned').exists()
        names = [path.name for path in (r.state / 'records').iterdir() if not path.name.startswith('.')]
        assert names == [f'{rig.UUID}.json'], names


def test_wrong_number_of_arguments():
    with Rig() as r:
        for argv in ([], ['guest1'], ['guest1', 'start'], ['guest1', 'start', 'begin'],
                     ['guest1', 'start', 'begin', '-', '-'],
                     ['--help'], ['--version']):
            done = subprocess.run([HOOK, *argv], input=r.xml(), capture_output=True, env=r.environment(), check=False)
            assert done.returncode == 2, (argv, done)
            assert done.stdout == b'' and done.stderr.startswith(b'error: '), done
        assert r.tree() is None


def test_closed_descriptors():
    """A file that gets the number of a closed stderr must not get its messages."""
    with Rig() as r:
        r.pin()
        for closed in ([0], [1], [2], [0, 1], [1, 2], [0, 1, 2]):
            for content in (b'an initrd', b'drifted'):
                r.initrd.write_bytes(content)
                read, write = os.pipe()
                os.write(write, r.xml())
                os.close(write)
                done = subprocess.run([HOOK, 'guest1', 'start', 'begin', '-'], stdin=read, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, env=r.environment(), check=False,
                                      preexec_fn=lambda: [os.close(fd) for fd in closed])
                os.close(read)
                expected = 1 if 0 in closed or content == b'drifted' else 0
                assert done.returncode == expected, (closed, content, done.returncode)
                if r.record():
                    r.launches()
        for path in r.state.rglob('*'):
            assert not path.is_file() or b'error: ' not in path.read_bytes(), path
        # While it waits for the XML: both are there again, and lead nowhere.
        read, write = os.pipe()
        process = subprocess.Popen([HOOK, 'guest1', 'start', 'begin', '-'], stdin=read, env=r.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: [os.close(fd) for fd in (1, 2)])
        os.close(read)
        deadline = time.monotonic() + 60
        links = []
        while links != ['/dev/null', '/dev/null'] and time.monotonic() < deadline:
            time.sleep(0.01)
            try:
                links = [os.readlink(f'/proc/{process.pid}/fd/{fd}') for fd in (1, 2)]
            except FileNotFoundError:
                links = []
        os.close(write)
        assert process.wait(120) == 1
        assert links == ['/dev/null', '/dev/null'], links


def test_reader_of_stderr_has_gone():
    with Rig() as r:
        r.pin()
        r.initrd.write_bytes(b'drifted')
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([HOOK, 'guest1', 'start', 'begin', '-'], input=r.xml(), stdout=subprocess.DEVNULL,
                              stderr=write,
                              env=r.environment(), check=False)
        os.close(write)
        assert done.returncode == 1, done.returncode


def test_bad_stdin():
    bomb = (b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
            b'<domain><name>&b;</name></domain>')
    outside = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain><name>&x;</name></domain>'
    with Rig() as r:
        xml = r.xml()
        for text in (b'', b' ', b'\0', b'<', b'<domain/>junk', b'not xml', xml[:-1], xml[:len(xml) // 2], bomb, outside,
                     b'\xff\xfe' + xml, xml.replace(b'guest1', b'gu\xffst'), b'<domain>' * 100000,
                     os.urandom(1000), b'<network><name>x</name></network>'):
            refused(r.start(text), 'the domain XML cannot be read')
        assert r.tree() is None


def test_large_stdin():
    with Rig() as r:
        plain = r.plain_xml()
        tee = r.xml()
        limit = 8 * 1024 * 1024

        def padded(xml, size):
            return xml.replace(b'</domain>', b'<!--' + b'x' * (size - len(xml) - 7) + b'--></domain>')
        assert len(padded(plain, limit)) == limit
        accepted(r.start(padded(plain, limit)))
        assert r.tree() is None
        accepted(r.start(padded(tee, limit)))
        assert len(r.launches()) == 1
        refused(r.start(padded(plain, limit + 1)), 'cannot be read')
        refused(r.start(padded(tee, 3 * limit)), 'cannot be read')
        assert len(r.launches()) == 1


def test_watchdog():
    """A stdin that never ends: refused in start, let through elsewhere, in the time the configuration says."""
    with Rig() as r:
        accepted(r.start())
        # A second is enough for what hangs, and not for everything else on a busy machine.
        r.configure('watchdog = 1')
        for operation, status in (('start', 1), ('started', 0), ('stopped', 0)):
            for masked in (False, True):
                read, write = os.pipe()
                os.write(write, r.xml()[:100])
                before = time.monotonic()

                def mask():
                    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                    signal.signal(signal.SIGALRM, signal.SIG_IGN)
                done = subprocess.run([HOOK, 'guest1', operation, 'begin', '-'], stdin=read, capture_output=True,
                                      env=r.environment(), check=False, timeout=120, preexec_fn=mask if masked else None)
                took = time.monotonic() - before
                os.close(read)
                os.close(write)
                assert done.returncode == status, (operation, done)
                assert 0.9 < took < 60, (operation, took)
                if status:
                    refused(done, 'did not finish in time')
        assert len(r.launches()) == 1
        r.configure()
        # A start that ran out of time shows, the first one of a pinned domain too; its launch stays what it was.
        accepted(r.run('stopped', r.xml(), sub='end'))
        accepted(r.run('release', r.xml(), sub='end', extra='destroyed'))
        known = r.launches()
        other = '11111111-2222-3333-4444-555555555555'
        r.pin(r.xml(domain=other))
        for domain in (rig.UUID, other):
            r.configure('watchdog = 1')
            read, write = os.pipe()
            done = subprocess.run([HOOK, 'guest1', 'start', 'begin', '-'], stdin=read, capture_output=True,
                                  env=r.environment(), check=False, timeout=120)
            os.close(read)
            os.close(write)
            refused(done, 'did not finish in time')
            r.configure()
            accepted(r.run('stopped', r.xml(domain=domain), sub='end'))
            accepted(r.run('release', r.xml(domain=domain), sub='end', extra='failed'))
            launch = r.launches(domain)[-1]
            assert (launch['verdict'], launch['endReason']) == ('undecided', 'failed'), launch
        assert r.launches()[:-1] == known and len(r.launches(other)) == 1
        # A domain that is none of our business leaves no trace.
        third = '11111111-2222-3333-4444-666666666666'
        accepted(r.run('stopped', r.plain_xml(third), sub='end'))
        accepted(r.run('release', r.plain_xml(third), sub='end', extra='failed'))
        assert not list((r.state / 'records').glob(f'*{third}*'))


def test_blocking_files():
    """A FIFO, a device or a folder where a file should be is refused at once: whoever reads it meets the watchdog."""
    with Rig() as r:
        fifo = r.folder / 'fifo'
        os.mkfifo(fifo)
        r.configure('unpinned = refuse')
        for path in (fifo, '/dev/zero', r.folder):
            for role in ('kernel', 'initrd', 'firmware'):
                text = refused(r.start(r.xml(**{role: path})))
                assert 'in time' not in text, text
                launch = r.launches()[-1]
                assert launch['verdict'] == 'refused' and 'digest' not in launch, launch


def test_no_libvirt_no_children():
    """The closure of libraries has no libvirt, and the program imports nothing that starts a process."""
    closure = subprocess.run(['ldd', HOOK], capture_output=True, text=True, check=True).stdout
    assert 'libglib' in closure and 'libvirt' not in closure, closure
    names = subprocess.run(['readelf', '--wide', '--dyn-syms', HOOK], capture_output=True, text=True, check=True).stdout
    imported = set(re.findall(r'UND (\w+)', names))
    assert 'g_free' in imported, imported
    starters = re.compile(r'^(v?fork|exec[lv]\w*|fexecve|posix_spawn\w*|system|popen|clone|g_spawn\w*|g_subprocess\w*|'
                          r'vir\w*)$')
    assert not [name for name in imported if starters.match(name)], imported


def journal_rig(r, listener, xml):
    """Runs a start in a mount namespace where @listener is journald's socket."""
    script = ('mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && ' if listener else
              'mount -t tmpfs tmpfs /run && ')
    inner = [sys.executable, '-c', '''
import os, socket, subprocess, sys
mode, hook, xml = sys.argv[1], sys.argv[2], open(sys.argv[3], 'rb').read()
sock = None
if mode != 'none':
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind('/run/systemd/journal/socket')
    sock.setblocking(False)
if mode == 'full':
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    try:
        while True:
            filler.sendto(b'x' * 100, '/run/systemd/journal/socket')
    except BlockingIOError:
        pass
done = subprocess.run([hook, 'guest1', 'start', 'begin', '-'], input=xml, capture_output=True, timeout=60)
sys.stderr.buffer.write(done.stderr)
if mode == 'read':
    sys.stdout.buffer.write(sock.recv(65536))
sys.exit(done.returncode)
''']
    path = r.folder / 'start.xml'
    path.write_bytes(xml)
    return subprocess.run(['unshare', '-m', 'sh', '-c', script + 'exec "$@"', 'sh', *inner, listener or 'none', HOOK,
                           str(path)],
                          capture_output=True, env=r.environment(), check=False, timeout=120)


def fields(datagram):
    found = {}
    while datagram:
        key, _, rest = datagram.partition(b'\n')
        size = int.from_bytes(rest[:8], 'little')
        found[key.decode()] = rest[8:8 + size].decode()
        datagram = rest[8 + size + 1:]
    return found


def test_journal():
    if not ROOT or subprocess.run(['unshare', '-m', 'true'], capture_output=True, check=False).returncode:
        raise Skip('needs root and mount namespaces')
    with Rig() as r:
        r.pin()
        done = journal_rig(r, 'read', r.xml())
        assert done.returncode == 0, done
        entry = fields(done.stdout)
        assert entry['VIRT_ATTEST_VERDICT'] == 'match' and entry['PRIORITY'] == '6', entry
        assert entry['VIRT_ATTEST_UUID'] == rig.UUID and entry['VIRT_ATTEST_DOMAIN'] == 'guest1', entry
        assert entry['VIRT_ATTEST_DIGEST'] == r.digest() and entry['VIRT_ATTEST_LEVEL'] == '3', entry
        assert re.fullmatch('[0-9a-f]{32}', entry['MESSAGE_ID']) and 'guest1' in entry['MESSAGE'], entry
        r.initrd.write_bytes(b'drifted')
        entry = fields(journal_rig(r, 'read', r.xml(name='a\tb')).stdout)
        assert entry['VIRT_ATTEST_VERDICT'] == 'refused' and entry['PRIORITY'] == '3', entry
        assert entry['VIRT_ATTEST_CHANGED'].split()[0] == 'initrd', entry
        assert '\n' not in entry['MESSAGE'] and '\t' not in entry['MESSAGE'], entry
        # Nobody listens, or the queue is full: no difference. Whoever waited for a reader would meet the watchdog.
        r.initrd.write_bytes(b'an initrd')
        for listener in ('full', None):
            done = journal_rig(r, listener, r.xml())
            assert done.returncode == 0, done


rig.main([test_recorded_calls, test_life_of_a_launch, test_other_operations_never_fail, test_reconnect_comes_first,
          test_filters_leave_no_trace, test_hostile_names, test_wrong_number_of_arguments, test_closed_descriptors,
          test_reader_of_stderr_has_gone, test_bad_stdin, test_large_stdin, test_watchdog, test_blocking_files,
          test_no_libvirt_no_children, test_journal])
