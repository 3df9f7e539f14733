#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record: nothing that was reported is lost, whoever else writes and whenever the hook dies."""
import concurrent.futures
import fcntl
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import time

import rig
from rig import HOOK, UUID, Rig, accepted, refused

KILLS = 200


def ids(r, domain=UUID):
    record = r.record(domain)
    return [launch['id'] for launch in record['launches']] if record else []


def test_history():
    with Rig() as r:
        r.configure('history = 3')
        seen = []
        for count in range(1, 6):
            accepted(r.start())
            seen.append(ids(r)[-1])
            assert ids(r) == seen[-3:], (count, seen)
        assert len(set(seen)) == 5
        r.configure('history = 1')
        accepted(r.start())
        assert len(ids(r)) == 1


def test_name_follows():
    with Rig() as r:
        accepted(r.start())
        assert r.record()['name'] == 'guest1'
        accepted(r.start(r.xml(name='renamed "ü"')))
        assert r.record()['name'] == 'renamed "ü"' and len(r.launches()) == 2


def test_parallel():
    """Twenty domains at once, and twenty starts of one domain, four at once: a start waits 3 s for its turn, and gives up."""
    with Rig() as r, concurrent.futures.ThreadPoolExecutor(20) as pool, concurrent.futures.ThreadPoolExecutor(4) as queue:
        r.configure('watchdog = 60')
        domains = [f'11111111-2222-3333-4444-{number:012x}' for number in range(20)]
        for done in pool.map(lambda domain: r.start(r.xml(domain=domain)), domains):
            accepted(done)
        for domain in domains:
            launch, = r.launches(domain)
            assert launch['digest'] == r.digest(), launch
        for done in queue.map(lambda _: r.start(), range(20)):
            accepted(done)
        assert len(set(ids(r))) == 20
        assert not [path for path in r.state.rglob('.tmp-*')]


def test_killed():
    """Killed at random points: the record is always whole, and every launch that was reported stays in it."""
    seed = int(os.environ.get('VIRT_ATTEST_SEED', random.randrange(1 << 32)))
    print(f'# VIRT_ATTEST_SEED={seed}', flush=True)
    choose = random.Random(seed)
    with Rig() as r:
        r.configure('history = 1000')
        xml = r.xml()
        before = time.monotonic()
        for _ in range(5):
            accepted(r.start(xml))
        typical = (time.monotonic() - before) / 5
        known = ids(r)
        killed = 0
        for _ in range(KILLS):
            operation = choose.choice(['start', 'start', 'started', 'stopped'])
            # The end of a launch that is not on record adds one too.
            adds = operation == 'start' or (operation == 'stopped' and r.launches()[-1]['state'] == 'stopped')
            with subprocess.Popen([HOOK, 'guest1', operation, 'begin', '-'], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=r.environment()) as process:
                try:
                    process.stdin.write(xml)
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                # Most of the work is done near the end.
                time.sleep(typical * choose.triangular(0, 1.2, 1))
                process.kill()
                status = process.wait()
            # The machine may become faster, or slower, meanwhile.
            typical *= 0.95 if status == 0 else 1.02
            assert status in (0, -signal.SIGKILL), status
            killed += status != 0
            now = ids(r)
            assert now[:len(known)] == known, 'a launch was lost'
            new = len(now) - len(known)
            # A killed one may or may not be on record; one that reported success is.
            assert new <= adds and (status != 0 or new == adds), (operation, status, new)
            known = now
        print(f'# {killed} of {KILLS} were killed before they ended', flush=True)
        assert killed > KILLS // 10, 'the kills came too late to mean anything'
        accepted(r.start(xml))
        assert ids(r)[:-1] == known
        # What the killed ones left behind is removed once it is old.
        for path in (r.state / 'records').glob('.tmp-*'):
            os.utime(path, (1, 1))
        accepted(r.run('stopped', xml, sub='end'))
        accepted(r.run('release', xml, sub='end', extra='destroyed'))
        assert not list((r.state / 'records').glob('.tmp-*'))


def test_damaged():
    """A damaged record is kept beside, mentioned, and never silently replaced."""
    with Rig() as r:
        accepted(r.start())
        path = r.state / 'records' / f'{UUID}.json'
        good = path.read_bytes()
        damages = [b'', b'{', good[:-1], good[:-100], good.replace(b'unpinned', b'match', 1), good + b'x', b'\0' * 100,
                   good.replace(UUID.encode(), b'11111111-2222-3333-4444-555555555555'), b'\xff' * 1000]
        for count, damage in enumerate(damages, 1):
            path.write_bytes(damage)
            accepted(r.run('started', r.xml()))
            assert path.read_bytes() == damage
            accepted(r.start())
            launch, = r.launches()
            kept = re.search(r'damaged and is kept as (\S+)\)', launch['summary']).group(1)
            assert (path.parent / kept).read_bytes() == damage
            assert len(list(path.parent.glob('*.corrupt-*'))) == count
        path.unlink()
        path.symlink_to(r.config)
        before = r.config.read_bytes()
        accepted(r.start())
        assert len(r.launches()) == 1 and r.config.read_bytes() == before


def test_cannot_record():
    """Where a check is wanted a start without a record is refused; where only to observe, it goes on."""
    with Rig() as r:
        records = r.state / 'records'
        for folder in (r.state, r.state / 'references', r.state / 'cache'):
            folder.mkdir(mode=0o700)
        records.write_text('not a folder')
        accepted(r.start())
        accepted(r.start(r.plain_xml()))
        r.configure('unpinned = refuse')
        refused(r.start(), 'no pinned reference')
        r.configure()
        records.unlink()
        r.pin()
        os.rmdir(records)
        records.write_text('not a folder')
        refused(r.start(), 'could not be recorded', 'the decision was', 'matches its reference')
        records.unlink()
        accepted(r.start())
        r.pin(mismatch='observe')
        (records / '.lock').unlink()
        (records / '.lock').mkdir()
        refused(r.start(), 'could not be recorded')


def test_no_room():
    """A full disk, played by a limit on the size of files: no torn record, and the old one stays."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    with Rig() as r:
        r.pin()
        accepted(r.start())
        before = (r.state / 'records' / f'{UUID}.json').read_bytes()
        refused(r.start(preexec_fn=limit), 'could not be recorded', 'File too large')
        assert (r.state / 'records' / f'{UUID}.json').read_bytes() == before
        assert not list(r.state.rglob('.tmp-*'))


def test_forgotten():
    """The end of a guest brings no record back that was removed while it ran, unless a reference is pinned."""
    with Rig() as r:
        accepted(r.start())
        accepted(r.run('started', r.xml()))
        (r.state / 'records' / f'{UUID}.json').unlink()
        accepted(r.run('stopped', r.xml(), sub='end'))
        accepted(r.run('release', r.xml(), sub='end', extra='destroyed'))
        assert r.record() is None and not list((r.state / 'records').glob(f'*{UUID}*'))
        r.pin()
        accepted(r.run('stopped', r.xml(), sub='end'))
        accepted(r.run('release', r.xml(), sub='end', extra='failed'))
        launch, = r.launches()
        assert (launch['state'], launch['verdict'], launch['endReason']) == ('stopped', 'undecided', 'failed'), launch


def test_lock_held():
    """Another process that sits on the record: the hook gives up in time, and says so where it matters."""
    with Rig() as r:
        r.pin()
        accepted(r.start())
        lock = r.state / 'records' / '.lock'
        with open(lock, 'r+b') as holder:
            fcntl.lockf(holder, fcntl.LOCK_EX)
            # Before its watchdog barks, which would say something else.
            refused(r.start(), 'lock')
            accepted(r.run('stopped', r.xml()))
        accepted(r.start())
        assert len(r.launches()) == 2


def test_schema():
    """The schema describes every record of this suite's kinds."""
    validate = os.path.join(os.environ['VIRT_ATTEST_SOURCE'], 'tests', 'unit', 'json-validate.py')
    schema = os.path.join(os.environ['VIRT_ATTEST_SOURCE'], 'hooks', 'record.schema.json')
    with Rig() as r:
        accepted(r.start())
        accepted(r.start(r.xml(launch="<launchSecurity type='sev'><policy>0x1</policy></launchSecurity>")))
        accepted(r.start(r.xml(kernel='/absent')))
        accepted(r.start(r.xml(cmdline='x' * 70000)))
        assert 'text' not in r.launches()[-1]['inputs']['cmdline']
        assert r.launches()[-1]['inputs']['cmdline']['sha256'] == hashlib.sha256(b'x' * 70000 + b'\0').hexdigest()
        r.pin()
        refused(r.start(r.xml(cmdline='y' * 70000)))
        refused(r.start(r.plain_xml()))
        accepted(r.run('started', r.xml()))
        accepted(r.run('release', r.xml(), extra='crashed'))
        path = r.state / 'records' / f'{UUID}.json'
        done = subprocess.run(['/usr/bin/python3', validate, schema, str(path)], capture_output=True, text=True,
                              check=False)
        if done.returncode == 77:
            raise rig.Skip('python3-jsonschema is not installed')
        assert done.returncode == 0, done.stdout + done.stderr
        # The schema is not one that takes everything.
        record = json.loads(path.read_text())
        record['launches'][0]['verdict'] = 'fine'
        path.write_text(json.dumps(record))
        done = subprocess.run(['/usr/bin/python3', validate, schema, str(path)], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 1, done


rig.main([test_history, test_name_follows, test_parallel, test_killed, test_damaged, test_cannot_record, test_no_room,
          test_forgotten, test_lock_held, test_schema])
