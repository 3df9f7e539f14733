#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Save, restore, rename, snapshots, undefine; many starts at once; a hook that is killed in the middle."""
import concurrent.futures
import json
import os
import random
import shutil
import time

from harness import (HOOK, LIBVIRT_REFUSED, STATE, Tap, attest, call, confidential, domain_uuid,
                     expect_match, expect_veto, eventually, install_hook, last, launched, launches, forget_model, model,
                     pin_path, plain_xml, read, record, record_path, redefine, run, running, scratch, start,
                     state, stop, tree, virsh, virsh_define, write, write_config)


def test_install(tap: Tap):
    install_hook()
    tap.check(os.access(HOOK, os.X_OK), 'the hook is installed')


def test_managed_save(tap: Tap):
    """The hook sees restore as well, where its output would replace the XML."""
    virsh_define(plain_xml('saved'))
    before = tree(STATE)
    start('saved')
    wanted = virsh('dumpxml', '--inactive', 'saved').stdout
    virsh('managedsave', 'saved')
    tap.equal(state('saved'), 'shut off', 'managed save stops the domain')
    done = start('saved', check=False)
    tap.equal((done.returncode, state('saved')), (0, 'running'), 'it is restored', done.stderr)
    tap.equal(virsh('dumpxml', '--inactive', 'saved').stdout, wanted, 'its definition is unchanged')
    file = scratch('saved.image')
    virsh('save', 'saved', file)
    done = virsh('restore', file, check=False)
    tap.equal((done.returncode, state('saved')), (0, 'running'), 'save and restore work', done.stderr)
    stop('saved')
    tap.equal(tree(STATE), before, 'an ordinary domain leaves nothing in our state')
    os.unlink(file)


def test_confidential_save(tap: Tap):
    """The memory of a confidential guest cannot be saved; asking for it must not harm the guest or its record."""
    confidential('unsaved')
    expect_match(tap, 'unsaved', 'before')
    done = virsh('managedsave', 'unsaved', check=False)
    tap.equal((done.returncode, state('unsaved')), (1, 'running'),
              'managed save is refused by libvirt, the guest lives', done.stderr)
    tap.equal((len(launches('unsaved')), last('unsaved')['state']), (1, 'running'), 'its record says so')
    stop('unsaved')


def test_rename(tap: Tap):
    confidential('oldname')
    identity, pin = domain_uuid('oldname'), read(pin_path('oldname'))
    start('oldname')
    stop('oldname')
    virsh('domrename', 'oldname', 'newname')
    tap.equal(read(f'{STATE}/references/{identity}.json'), pin, 'the pin stays with the UUID')
    done = start('newname', check=False)
    tap.equal((done.returncode, state('newname')), (0, 'running'), 'the renamed domain starts', done.stderr)
    found = json.loads(read(f'{STATE}/records/{identity}.json'))
    tap.equal((found['name'], [launch['verdict'] for launch in found['launches']]), ('newname', ['match', 'match']),
              'its record goes on under the new name')
    stop('newname')
    tap.equal(attest('check', 'newname').returncode, 0, 'check finds the pin')
    redefine('newname', ('<cmdline>.*</cmdline>', '<cmdline>x</cmdline>'))
    done = start('newname', check=False)
    tap.check(done.returncode == 1 and "virt-attest define --accept newname" in done.stderr,
              'the veto knows the new name', done.stderr)


def test_same_name_again(tap: Tap):
    """Another domain under a name that was used before has nothing to do with the former one's pin."""
    virsh_define(plain_xml('again'))
    virsh('undefine', 'again')
    confidential('again')
    expect_match(tap, 'again', 'defined again')
    stop('again')


def test_snapshot(tap: Tap):
    disk = scratch('disk.qcow2')
    call('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '1M')
    confidential('snap', devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                 f"<source file='{disk}'/><target dev='vda' bus='virtio'/></disk>")
    pin = read(pin_path('snap'))
    virsh('snapshot-create-as', 'snap', 'first')
    redefine('snap', ('<cmdline>.*</cmdline>', '<cmdline>newer</cmdline>'))
    attest('define', '--accept', 'snap')
    expect_match(tap, 'snap', 'after the snapshot')
    stop('snap')
    newer = read(pin_path('snap'))
    virsh('snapshot-revert', 'snap', 'first')
    tap.equal(read(pin_path('snap')), newer, 'a snapshot that returns does not bring back its pin')
    expect_veto(tap, 'snap', 'the definition of the snapshot', ["'newer'", 'console=ttyS0 quiet'])
    write(pin_path('snap'), pin)
    expect_match(tap, 'snap', 'the pin of that time')
    stop('snap')
    done = attest('undefine', 'snap', check=False)
    tap.equal((done.returncode, os.path.exists(pin_path('snap'))), (LIBVIRT_REFUSED, True),
              'undefine with snapshots is refused as by virsh, and the pin stays')
    tap.equal(attest('undefine', '--snapshots-metadata', 'snap').returncode, 0, 'undefine --snapshots-metadata')
    tap.equal((os.path.exists(pin_path('snap')), os.path.exists(disk)), (False, True),
              'removes the pin, keeps the disk')


def test_undefine(tap: Tap):
    confidential('gone')
    confidential('staying')
    start('gone')
    stop('gone')
    kept = record_path('gone') + '.corrupt-20260101T000000Z'
    write(kept, b'what a hook once moved aside')
    before = tree(STATE)
    done = attest('undefine', 'gone')
    tap.contains(done.stdout, ["Domain 'gone' has been undefined"], 'undefine says so')
    tap.equal(virsh('domstate', 'gone', check=False).returncode, 1, 'the domain is gone')
    after = tree(STATE)
    tap.equal(sorted(path for path in before if path not in after),
              sorted([pin_path('gone'), record_path('gone'), kept]), 'pin and records are gone, and nothing else')
    tap.equal({path: value for path, value in after.items() if before.get(path) != value}, {}, 'nothing else changed')
    done = attest('undefine', 'gone', check=False)
    tap.equal(done.returncode, LIBVIRT_REFUSED, 'a second time there is nothing to undefine', done.stderr)
    virsh('undefine', 'staying')
    tap.check(os.path.exists(pin_path('staying')), 'virsh undefine knows nothing of the pin')
    done = attest('undefine', '--leftover', domain_uuid('staying'), check=False)
    tap.equal((done.returncode, os.path.exists(pin_path('staying'))), (0, False), 'it is removed as a leftover',
              done.stderr)


def test_undefine_storage(tap: Tap):
    folder = scratch('pool')
    os.mkdir(folder)
    virsh('pool-create-as', 'private', 'dir', '--target', folder)
    virsh('vol-create-as', 'private', 'vol.qcow2', '1M', '--format', 'qcow2')
    confidential('stored', devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                 f"<source file='{folder}/vol.qcow2'/><target dev='vda' bus='virtio'/></disk>")
    tap.equal(attest('undefine', '--storage', 'stored').returncode, 0, 'undefine --storage')
    tap.equal((os.listdir(folder), os.path.exists(pin_path('stored'))), ([], False), 'removes volume and pin')


def test_transient(tap: Tap):
    """virsh create: the domain has no persistent definition, the hook measures it all the same."""
    confidential('template')
    xml = virsh('dumpxml', '--inactive', 'template').stdout
    virsh('undefine', 'template')
    done = virsh('create', write(scratch('transient.xml'), xml), check=False)
    tap.equal((done.returncode, last('template')['verdict']), (0, 'match'),
              'a transient domain is compared with its pin', done.stderr)
    stop('template')
    changed = xml.replace('console=ttyS0 quiet', 'console=ttyS0 loud')
    done = virsh('create', write(scratch('transient.xml'), changed), check=False)
    tap.equal(done.returncode, 1, 'and refused when it drifted')
    tap.contains(done.stderr, ['command line', 'loud'], 'with the reason')


PARALLEL = 20


def test_parallel(tap: Tap):
    names = [f'many{number}' for number in range(PARALLEL)]
    for number, name in enumerate(names):
        confidential(name, vcpus=f'<vcpu>{1 + number % 3}</vcpu>', memory=64)
    drifted = names[7]
    redefine(drifted, ('<cmdline>.*</cmdline>', '<cmdline>drifted</cmdline>'))
    for name in names:
        forget_model(name)
    # What is tried is that they do not disturb each other, not how fast this machine is.
    write_config('[gate]\nwatchdog = 60\n')
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        results = list(pool.map(lambda name: start(name, check=False), names))
    tap.comment(f'{PARALLEL} starts at once: {time.monotonic() - begin:.1f} s')
    good = [name for name in names if name != drifted]
    tap.equal([name for name, done in zip(names, results) if done.returncode != 0], [drifted],
              'all start but the one that drifted',
              '\n'.join(done.stderr for done in results))
    tap.equal([name for name in good if last(name)['digest'] != model(name)['digest']], [],
              'every record has its own digest')
    tap.equal({last(name)['verdict'] for name in good}, {'match'}, 'every verdict is match')
    tap.equal(last(drifted)['verdict'], 'refused', 'but one')
    tap.equal([name for name in names if record(name)['name'] != name or len(launches(name)) != 1], [],
              'one launch in every record')
    tap.equal([name for name in good if last(name)['state'] != 'running'], [], 'all are recorded as running')
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(stop, good))
    tap.check(eventually(lambda: all(last(name)['state'] == 'stopped' for name in good)), 'and then as stopped')
    write_config(None)
    tap.equal([path for path in tree(STATE) if '.tmp' in path], [], 'no temporary file is left')


KILLS = 24
KILLER = '''#!/usr/bin/python3
import os, resource, signal, subprocess, sys, time
def note(what):
    with open({log!r}, 'a') as file:
        file.write(what + '\\n')
try:
    operation, kind, limit = open({plan!r}).read().split()
except FileNotFoundError:
    operation, kind, limit = '', '', '0'
def prepare():
    if operation == sys.argv[2] and kind == 'size':
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
begin = time.monotonic()
hook = subprocess.Popen([{hook!r}, *sys.argv[1:]], preexec_fn=prepare)
if operation == sys.argv[2] and kind == 'time':
    time.sleep(float(limit))
    if hook.poll() is None:
        hook.kill()
hook.wait()
note(f'{{sys.argv[2]}} {{hook.returncode}} {{time.monotonic() - begin:.4f}}')
if hook.returncode < 0:
    signal.signal(-hook.returncode, signal.SIG_DFL)
    os.kill(os.getpid(), -hook.returncode)
sys.exit(hook.returncode)
'''


def test_killed_hook(tap: Tap):
    """The hook is killed with no chance to clean up, at a random moment of a random operation; or the kernel ends one of
    its writes after a random number of bytes."""
    seed = os.environ.get('VIRT_ATTEST_TEST_SEED') or str(random.SystemRandom().randrange(1 << 32))
    tap.comment(f'seed {seed}: repeat with VIRT_ATTEST_TEST_SEED={seed}')
    rng = random.Random(seed)
    confidential('victim')
    confidential('neighbour')
    real, log, plan = scratch('real-hook'), scratch('killer.log'), scratch('killer.plan')
    shutil.copy(HOOK, real)
    write(HOOK + '.new', KILLER.format(hook=real, log=log, plan=plan))
    os.chmod(HOOK + '.new', 0o755)
    os.rename(HOOK + '.new', HOOK)
    took = {}
    for _ in range(3):
        expect_match(tap, 'victim', 'through the wrapper')
        stop('victim')
        eventually(lambda: last('victim')['state'] == 'stopped')
    for line in read(log).decode().splitlines():
        operation, _, seconds = line.split()
        took[operation] = min(took.get(operation, 1.0), float(seconds))
    tap.comment(f'operations of a start and a stop: {took}')
    neighbour = tree(STATE)
    neighbour = {path: value for path, value in neighbour.items() if domain_uuid('neighbour') in path}
    history, killed, refused, wrong = launches('victim'), 0, 0, []
    number = 0
    while killed < KILLS and number < 4 * KILLS:
        number += 1
        if rng.random() < 0.6:
            operation = rng.choice([name for name in took for _ in range(6 if name == 'start' else 1)])
            write(plan, f'{operation} time {rng.uniform(0.0, took[operation]):.4f}')
        else:
            operation = rng.choice(('start', 'start', 'started', 'stopped', 'release'))
            write(plan, f'{operation} size {rng.randrange(os.path.getsize(record_path("victim")))}')
        write(log, '')
        forget_model('victim')
        done = start('victim', check=False)
        was_running = running('victim')
        if was_running:
            stop('victim')
        eventually(lambda: state('victim') == 'shut off')
        hits = [line.split() for line in read(log).decode().splitlines() if line.split()[1] == '-9']
        # A limit on the size of files is no kill: the hook sees a write fail half-way, and refuses what it cannot record.
        limited = 'could not be recorded' in done.stderr and 'File too large' in done.stderr
        killed += bool(hits) or limited
        refused += done.returncode != 0
        what = f'{number}, {operation}, {hits}'
        early = limited or any(hit[0] in ('prepare', 'start', 'started') for hit in hits)
        if (done.returncode == 0) == early:
            wrong.append(f'{what}: start returned {done.returncode}: {done.stderr}')
        if early and 'started' not in operation and launched('victim'):
            wrong.append(f'{what}: a refused start was launched')
        try:
            document = record('victim')
            now = document['launches']
        except (OSError, ValueError, TypeError) as error:
            wrong.append(f'{what}: the record is torn: {error!r}')
            continue
        if [launch['id'] for launch in now[:len(history)]] != [launch['id'] for launch in history]:
            wrong.append(f'{what}: a launch is lost')
        if len(now) - len(history) not in (0, 1):
            wrong.append(f'{what}: {len(now) - len(history)} launches were added')
        if done.returncode == 0 and (len(now) != len(history) + 1 or now[-1]['verdict'] != 'match'):
            wrong.append(f'{what}: a start that went on is not recorded')
        history = now
    tap.comment(f'{number} starts, the hook killed in {killed}, {refused} refused')
    tap.equal(killed, KILLS, 'the hook was killed often enough to mean something')
    tap.equal(wrong, [], 'every start was refused or went on, and no record was lost or torn')
    os.unlink(plan)
    expect_match(tap, 'victim', 'afterwards')
    stop('victim')
    tap.equal([name for name in os.listdir(f'{STATE}/records') if 'corrupt' in name], [], 'no record was found corrupt')
    tap.equal({path: value for path, value in tree(STATE).items() if domain_uuid('neighbour') in path}, neighbour,
              "the neighbour's files are unchanged")
    install_hook()
    expect_match(tap, 'neighbour', 'the neighbour')
    stop('neighbour')


def test_killed_and_corrupt(tap: Tap):
    """A record that something else has damaged is kept beside, never overwritten in silence."""
    confidential('damaged')
    expect_match(tap, 'damaged', 'before')
    stop('damaged')
    torn = read(record_path('damaged'))[:100]
    write(record_path('damaged'), torn)
    expect_match(tap, 'damaged', 'with a torn record')
    stop('damaged')
    kept = [name for name in os.listdir(f'{STATE}/records')
            if name.startswith(domain_uuid('damaged')) and 'corrupt' in name]
    tap.equal(len(kept), 1, 'the torn record is kept beside', kept)
    tap.equal(read(f'{STATE}/records/{kept[0]}') if kept else None, torn, 'as it was')
    tap.contains(json.dumps(launches('damaged')[0]), ['corrupt'], 'and the new record mentions it')


TESTS = (test_install, test_managed_save, test_confidential_save, test_rename, test_same_name_again, test_snapshot,
         test_undefine, test_undefine_storage, test_transient, test_parallel, test_killed_hook, test_killed_and_corrupt)

if __name__ == '__main__':
    run(TESTS)
