#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vol-create, vol-seal, vol-list, vol-info, vol-delete in a real libvirt pool: what they make, and what they refuse."""
import json
import os
import random
import signal
import stat
import time

from harness import (CANNOT_READ, LIBVIRT_REFUSED, NOT_CONFIGURED, REJECTED, STATE, USAGE, Tap, attest, call,
                     eventually, plain_xml, program, read, run, scratch, settle, sha256, start, stop, tree, virsh,
                     virsh_define, write)
from volumes import (MIB, POOL, RELEASE, change_blob, configure, document, document_path, info, make_base, make_pool,
                     partition_root_hash, spawn, vol, volumes)

BASE = ''
FOLDER = ''


def refused(tap, done, code, parts, what):
    tap.equal(done.returncode, code, f'{what}: exit code', done.stderr)
    tap.contains(done.stderr.splitlines()[0] if done.stderr else '', ['error: ', *parts],
                 f'{what}: the first line says why')


def test_install(tap: Tap):
    global BASE, FOLDER  # pylint: disable=global-statement
    configure()
    FOLDER = make_pool()
    BASE = make_base(scratch('base.qcow2'))
    tap.check(os.path.exists(BASE), 'a base image is there')


def test_create(tap: Tap):
    done = vol('create', 'one', '--level', '3', '--base', BASE)
    tap.contains(done.stdout, ["Volume 'one' created in pool 'volumes' for level 3"], 'vol-create says so')
    tap.equal(volumes(), ['one-root.qcow2'], 'virsh sees it')
    xml = virsh('vol-dumpxml', '--pool', POOL, 'one-root.qcow2').stdout
    tap.contains(xml, [f'<path>{BASE}</path>', "<format type='qcow2'/>", f'<capacity unit=\'bytes\'>{64 * MIB}<'],
                 'libvirt knows its base and formats')
    image = json.loads(call('qemu-img', 'info', '--output=json', f'{FOLDER}/one-root.qcow2').stdout)
    tap.equal((image['full-backing-filename'], image['backing-filename-format']), (BASE, 'qcow2'),
              'the backing format is in the image')
    found = document('one')
    tap.equal((found['level'], found['base']['sha256'], found['base']['kernel'], found['complete'], found['upper']),
              (3, sha256(BASE), RELEASE, True, 'none'), 'the document has the facts of the base')
    tap.equal(stat.S_IMODE(os.stat(document_path('one')).st_mode), 0o600, 'nobody else reads the document')
    before = sha256(f'{FOLDER}/one-root.qcow2')
    refused(tap, vol('create', 'one', '--level', '3', '--base', BASE, check=False), LIBVIRT_REFUSED,
            ["volume 'one' exists already"], 'a second time')
    tap.equal(sha256(f'{FOLDER}/one-root.qcow2'), before, 'nothing was changed')
    vol('create', 'enc', '--level', '4', '--base', BASE, '--upper', 'encrypted:64M')
    tap.equal(volumes(), ['enc-root.qcow2', 'enc-upper.img', 'one-root.qcow2'], 'an encrypted upper layer has a disk')
    size = os.stat(f'{FOLDER}/enc-upper.img')
    tap.equal((size.st_size, size.st_blocks), (64 * MIB, 0), 'it is as large as asked for and takes no room')
    listed = vol('list').stdout
    tap.contains(listed, ['Name', 'Level', 'Base', 'Sealed', 'Domain', 'State', 'one', 'enc', 'new'], 'vol-list')
    listed = {each['name']: each for each in json.loads(vol('list', '--format', 'json').stdout)['volumes']}
    tap.equal((sorted(listed), listed['one']['state'], listed['one']['rootHash']), (['enc', 'one'], 'new', None),
              'vol-list --format json')
    text = vol('info', 'enc').stdout
    tap.contains(text, ['encrypted:67108864', sha256(BASE), RELEASE, 'Upper disk'], 'vol-info')
    vol('delete', 'one')
    vol('delete', 'enc')
    tap.equal((volumes(), os.listdir(FOLDER), document('one')), ([], [], None), 'vol-delete removes everything')
    refused(tap, vol('delete', 'one', check=False), LIBVIRT_REFUSED, ["there is no volume 'one'"], 'deleting it again')
    refused(tap, vol('info', 'one', check=False), LIBVIRT_REFUSED, ["there is no volume 'one'"], 'asking for it')


def test_seal(tap: Tap):
    vol('create', 'sealed', '--level', '4', '--base', BASE)
    root, tree_path = f'{FOLDER}/sealed-root.qcow2', f'{FOLDER}/sealed-verity.img'
    done = vol('seal', 'sealed')
    found = info('sealed')
    seal = found['volume']['sealed']
    tap.equal(done.stdout, f'Root hash: {seal["rootHash"]}\n', 'vol-seal prints the root hash')
    wanted = partition_root_hash(root, seal['salt'], seal['uuid'])
    tap.equal((seal['rootHash'], sha256(tree_path)), wanted, 'veritysetup makes the same tree')
    tap.equal((found['state'], stat.S_IMODE(os.stat(tree_path).st_mode)), ('sealed', 0o600), 'it is sealed')
    tap.equal(volumes(), ['sealed-root.qcow2', 'sealed-verity.img'], 'virsh sees the tree')
    vol('seal', 'sealed')
    tap.equal(info('sealed')['volume']['sealed']['rootHash'], seal['rootHash'], 'sealing again gives the same')
    vol('create', 'other', '--level', '4', '--base', BASE)
    vol('seal', 'other')
    other = info('other')['volume']['sealed']
    tap.equal((other['rootHash'], other['salt'], other['uuid'] != seal['uuid']), (seal['rootHash'], seal['salt'], True),
              'an overlay that holds nothing has the tree of its base')
    change_blob(root)
    tap.equal(info('sealed')['state'], 'stale', 'a write makes the seal stale')
    vol('seal', 'sealed')
    again = info('sealed')
    seal = again['volume']['sealed']
    tap.equal((again['state'], (seal['rootHash'], sha256(tree_path))),
              ('sealed', partition_root_hash(root, seal['salt'], seal['uuid'])),
              'the tree over the changed overlay is what veritysetup makes, with the tree of the base reused')
    tap.check(seal['rootHash'] != other['rootHash'], 'it has another root hash')
    vol('seal', 'sealed', '--salt', '-', '--uuid', '01234567-89ab-cdef-0123-456789abcdef')
    seal = info('sealed')['volume']['sealed']
    tap.equal((seal['salt'], seal['uuid'], (seal['rootHash'], sha256(tree_path))),
              ('', '01234567-89ab-cdef-0123-456789abcdef', partition_root_hash(root, '', seal['uuid'])),
              'salt and UUID of the user\'s choice')
    for salt in 'x', 'abc', 'zz', '0' * 514, '':
        refused(tap, vol('seal', 'sealed', f'--salt={salt}', check=False), USAGE, ['--salt'], f'salt {salt[:8]!r}')
    refused(tap, vol('seal', 'sealed', '--uuid', 'x', check=False), USAGE, ['--uuid'], 'a UUID that is none')
    refused(tap, vol('seal', 'missing', check=False), LIBVIRT_REFUSED, ["there is no volume 'missing'"], 'no volume')
    # What is kept of the base may be damaged or removed.
    kept = [f'{STATE}/verity/{name}' for name in os.listdir(f'{STATE}/verity') if name.endswith('.tree')]
    tap.check(kept, 'the tree of the base is kept')
    for path in kept:
        with open(path, 'r+b') as file:
            file.seek(8192)
            file.write(b'\xff' * 64)
    vol('seal', 'other')
    seal = info('other')['volume']['sealed']
    tap.equal((seal['rootHash'], sha256(f'{FOLDER}/other-verity.img')),
              partition_root_hash(f'{FOLDER}/other-root.qcow2', seal['salt'], seal['uuid']),
              'a damaged tree of the base is not believed, but made anew')
    for path in kept:
        os.unlink(path)
    vol('seal', 'other')
    tap.equal(info('other')['volume']['sealed']['rootHash'], other['rootHash'], 'so is one that was removed')
    os.unlink(tree_path)
    tap.equal(info('sealed')['state'], 'stale', 'without its tree it is stale')
    vol('delete', 'sealed')
    vol('delete', 'other')
    tap.equal(os.listdir(FOLDER), [], 'nothing is left')


def test_base_protection(tap: Tap):
    base = make_base(scratch('guarded.qcow2'))
    vol('create', 'guarded', '--level', '3', '--base', base)
    other = make_base(scratch('changed.qcow2'), marker='two')
    kept = read(base)
    write(base, read(other))
    refused(tap, vol('create', 'second', '--level', '3', '--base', base, check=False), REJECTED,
            ['changed since', "'guarded'"], 'a base that changed since it was pinned')
    tap.equal((volumes(), document('second')), (['guarded-root.qcow2'], None), 'nothing was made')
    tap.equal(info('guarded')['state'], 'base changed', 'vol-info says so')
    refused(tap, vol('seal', 'guarded', check=False), REJECTED, ['changed since'], 'sealing it')
    write(base, kept)
    tap.equal(info('guarded')['state'], 'new', 'with the file as it was everything is good')
    write(base + '.manifest.json', json.dumps({'image': {'sha256': sha256(other)}}))
    refused(tap, vol('create', 'second', '--level', '3', '--base', base, check=False), REJECTED, ['manifest'],
            'a base that is not what its manifest says')
    write(base + '.manifest.json', json.dumps({'image': {'sha256': sha256(base)}, 'packages': ['x']}))
    vol('create', 'second', '--level', '3', '--base', base)
    os.unlink(base)
    tap.equal(info('guarded')['state'], 'base missing', 'a base that is gone')
    vol('delete', 'guarded')
    vol('delete', 'second')
    # An overlay as the base of another one, made by hand.
    vol('create', 'below', '--level', '0', '--base', BASE)
    virsh('vol-create-as', POOL, 'top.qcow2', '1G', '--format', 'qcow2', '--backing-vol', 'below-root.qcow2',
          '--backing-vol-format', 'qcow2')
    refused(tap, vol('delete', 'below', check=False), LIBVIRT_REFUSED, ['top.qcow2', 'whose base it is'],
            'deleting what is the base of another volume')
    refused(tap, vol('create', 'on-top', '--level', '0', '--base', f'{FOLDER}/below-root.qcow2', check=False), USAGE,
            ['itself based on another image'], 'an overlay as a base')
    virsh('vol-delete', '--pool', POOL, 'top.qcow2')
    vol('delete', 'below')


def test_used_by_domains(tap: Tap):
    vol('create', 'busy', '--level', '4', '--base', BASE)
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            f"<source file='{FOLDER}/busy-root.qcow2'/><target dev='vda' bus='virtio'/></disk>")
    virsh_define(plain_xml('holder', devices=disk))
    refused(tap, vol('delete', 'busy', check=False), LIBVIRT_REFUSED, ["used by domain 'holder'"], 'a domain names it')
    start('holder')
    refused(tap, vol('seal', 'busy', check=False), LIBVIRT_REFUSED, ["in use by domain 'holder'"], 'the domain runs')
    stop('holder')
    tap.equal(vol('seal', 'busy').returncode, 0, 'sealing works once it is off')
    virsh('undefine', 'holder')
    # A base that a guest writes to.
    base = make_base(scratch('written.qcow2'))
    virsh_define(plain_xml('writer', devices=disk.replace(f'{FOLDER}/busy-root.qcow2', base)))
    start('writer')
    refused(tap, vol('create', 'late', '--level', '3', '--base', base, check=False), CANNOT_READ, ['written.qcow2'],
            'a base that a running domain writes to')
    tap.equal(document('late'), None, 'nothing was made of it')
    stop('writer')
    virsh('undefine', 'writer')
    vol('delete', 'busy')


def test_refusals(tap: Tap):
    for name in '', '.', '..', '.x', 'a/b', '../x', 'a b', '$(touch x)', 'a;b', 'ü', 'x' * 101, 'a\nb', '-x':
        refused(tap, vol('create', '--level', '3', '--base', BASE, '--', name, check=False, pool=None), USAGE,
                ['cannot be the name'], f'name {name[:20]!r}')
    base = ['--base', BASE]
    for words, code, parts in (
            ([*base], USAGE, ['--level is missing']),
            (['--level', '3'], USAGE, ['--base is missing']),
            (['--level', '5', *base], USAGE, ['level']),
            (['--level', '3', *base, '--capacity', '1.5G'], USAGE, ['--capacity']),
            (['--level', '3', *base, '--capacity', '32M'], USAGE, ['cannot be smaller than its base']),
            (['--level', '3', *base, '--upper', 'disk'], USAGE, ['--upper']),
            (['--level', '2', *base, '--upper', 'tmpfs'], USAGE, ['--upper']),
            (['--level', '3', '--base', scratch('none.qcow2')], CANNOT_READ, ['none.qcow2']),
            (['--level', '3', '--base', FOLDER], CANNOT_READ, ['directory']),
            (['--level', '3', '--base', '/dev/null'], CANNOT_READ, ['/dev/null'])):
        refused(tap, vol('create', 'bad', *words, check=False), code, parts, ' '.join(words[-2:])[-60:])
    truncated = write(scratch('truncated.qcow2'), read(BASE)[:100000])
    garbage = write(scratch('garbage.raw'), random.Random(1).randbytes(1 << 20))
    posing = write(scratch('posing.raw'), read(BASE))
    for path in truncated, garbage, posing:
        done = vol('create', 'bad', '--level', '3', '--base', path, check=False)
        refused(tap, done, CANNOT_READ, [os.path.basename(path)], os.path.basename(path))
    refused(tap, attest('vol-list', '--pool', 'nowhere', check=False), LIBVIRT_REFUSED, ["no storage pool 'nowhere'"],
            'a pool that is missing')
    virsh('pool-define-as', 'stopped', 'dir', '--target', FOLDER + '-stopped')
    refused(tap, attest('vol-list', '--pool', 'stopped', check=False), LIBVIRT_REFUSED, ['not active'],
            'a stopped pool')
    virsh('pool-undefine', 'stopped')
    write(f'{FOLDER}/foreign-root.qcow2', 'somebody else\'s')
    refused(tap, vol('create', 'foreign', '--level', '3', *base, check=False), LIBVIRT_REFUSED,
            ['vol-create did not make it'], 'a file of that name')
    tap.equal(read(f'{FOLDER}/foreign-root.qcow2'), b"somebody else's", 'it is untouched')
    os.unlink(f'{FOLDER}/foreign-root.qcow2')
    refused(tap, attest('--readonly', 'vol-create', 'ro', '--level', '3', *base, '--pool', POOL, check=False), USAGE,
            ['--readonly'], 'a connection for reading only')
    tap.equal((volumes(), os.listdir(FOLDER)), ([], []), 'none of this left anything')


def test_grow(tap: Tap):
    if not os.path.exists(program('storage/guestfs-grow')):
        tap.comment('not tried: built without libguestfs')
        return
    vol('create', 'grown', '--level', '4', '--base', BASE, '--capacity', '130500K', timeout=500)
    root, raw = f'{FOLDER}/grown-root.qcow2', scratch('grown.raw')
    call('qemu-img', 'convert', '-q', '-O', 'raw', root, raw)
    size = os.stat(raw).st_size
    tap.equal(size, 128 * MIB, 'the capacity is rounded up to a MiB')
    call('sfdisk', '--verify', raw)
    table = json.loads(call('sfdisk', '--json', raw).stdout)['partitiontable']
    part = table['partitions'][1]
    end = (part['start'] + part['size']) * 512
    tap.equal((end, part['size'] % 8, (table['lastlba'] + 1) * 512 >= end), (size - MIB, 0, True),
              'partition 2 fills the disk, in whole blocks')
    call('dd', f'if={raw}', f'of={raw}.2', 'bs=512', f'skip={part["start"]}', f'count={part["size"]}', 'status=none')
    checked = call('e2fsck', '-fn', f'{raw}.2')
    counts = call('dumpe2fs', '-h', f'{raw}.2').stdout
    tap.contains(counts, [f'Block count:              {part["size"] // 8}'], 'the file system fills the partition')
    tap.equal(checked.returncode, 0, 'and is clean')
    marker = call('debugfs', '-R', 'cat /etc/marker', f'{raw}.2').stdout
    tap.equal(marker, 'one', 'its files are there')
    vol('seal', 'grown')
    seal = info('grown')['volume']['sealed']
    tap.equal((seal['rootHash'], sha256(f'{FOLDER}/grown-verity.img')),
              partition_root_hash(root, seal['salt'],
                                  seal['uuid']), 'it is sealed as veritysetup does, with the base reused')
    vol('delete', 'grown')
    os.unlink(raw)
    os.unlink(raw + '.2')
    process = spawn('vol-create', 'stopped', '--pool', POOL, '--level', '4', '--base', BASE, '--capacity', '256M')
    tap.check(eventually(lambda: os.path.exists(f'{FOLDER}/stopped-root.qcow2')), 'another one is being grown')
    time.sleep(1)
    process.terminate()
    errors = process.communicate()[1]
    tap.equal((process.returncode, os.listdir(FOLDER), document('stopped')), (-signal.SIGTERM, [], None),
              'SIGTERM while it grows leaves nothing', errors)
    os.environ['VIRT_ATTEST_LIBEXEC'] = '/nowhere'
    refused(tap, vol('create', 'grown', '--level', '4', '--base', BASE, '--capacity', '256M', check=False),
            NOT_CONFIGURED, ['libguestfs'], 'without the helper')
    configure()
    tap.equal((os.listdir(FOLDER), document('grown')), ([], None), 'nothing is left')


def test_full_disk(tap: Tap):
    folder = scratch('small')
    os.mkdir(folder)
    call('mount', '-t', 'tmpfs', '-o', 'size=300k', 'small', folder)
    virsh('pool-create-as', 'small', 'dir', '--target', folder)
    vol('create', 'full', '--level', '4', '--base', BASE, pool='small')
    before = tree(f'{STATE}/volumes')
    refused(tap, vol('seal', 'full', pool='small', check=False), CANNOT_READ, ['No space left'], 'no room for the tree')
    tap.equal(tree(f'{STATE}/volumes'), before, 'the document is as it was')
    tap.equal(os.listdir(folder), ['full-root.qcow2'], 'no part of the tree is left')
    done = vol('create', 'second', '--level', '4', '--base', BASE, pool='small', check=False)
    tap.equal(done.returncode, LIBVIRT_REFUSED, 'no room for another overlay', done.stderr)
    tap.equal((os.listdir(folder), document('second', 'small')), (['full-root.qcow2'], None), 'nothing of it is left')
    call('mount', '-o', 'remount,ro', folder)
    done = vol('create', 'second', '--level', '4', '--base', BASE, pool='small', check=False)
    tap.equal((done.returncode, document('second', 'small')), (LIBVIRT_REFUSED, None), 'a pool that cannot be written',
              done.stderr)
    refused(tap, vol('seal', 'full', pool='small', check=False), CANNOT_READ, ['Read-only file system'], 'nor sealed in')
    done = vol('delete', 'full', pool='small', check=False)
    tap.equal((done.returncode, document('full', 'small') is not None), (LIBVIRT_REFUSED, True),
              'what cannot be deleted keeps its document', done.stderr)
    call('mount', '-o', 'remount,rw', folder)
    vol('delete', 'full', pool='small')
    virsh('pool-destroy', 'small')
    call('umount', folder)
    # The limit on file sizes is an error as well, not a death.
    vol('create', 'limit', '--level', '4', '--base', BASE)
    done = call('bash', '-c', 'ulimit -f 100; exec "$@"', 'bash', 'virt-attest', 'vol-seal', '--pool', POOL, 'limit',
                check=False)
    tap.equal((done.returncode, info('limit')['state']), (CANNOT_READ, 'new'), 'a limit on file sizes', done.stderr)
    vol('delete', 'limit')


def clean_up(tap, name, what):
    """After a run that was killed: either nothing, or a document by which vol-delete removes what is left."""
    if document(name):
        vol('delete', name)
    virsh('pool-refresh', POOL)
    left = [each for each in os.listdir(FOLDER) if each.startswith(name)]
    return tap.equal(left, [], f'{what}: nothing is left')


def failure(turn, done):
    return [f'turn {turn}: {done.args[1:3]}: {done.returncode}: {done.stderr}'] if done.returncode else []


def killed(arguments, seconds, number):
    process = spawn(*arguments)
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate()
    settle()


def test_killed(tap: Tap):
    seed = int(os.environ.get('VIRT_ATTEST_TEST_SEED') or random.randrange(1 << 30))
    tap.comment(f'VIRT_ATTEST_TEST_SEED={seed}')
    chance = random.Random(seed)
    create = ['vol-create', 'kill', '--pool', POOL, '--level', '4', '--base', BASE, '--upper', 'encrypted:32M']
    begin = time.monotonic()
    attest(*create)
    usual = time.monotonic() - begin
    vol('delete', 'kill')
    bad = []
    for turn in range(12):
        killed(create, chance.uniform(0, usual * 1.2), signal.SIGKILL)
        found = document('kill')
        if found and found['complete']:
            if info('kill')['state'] != 'new':
                bad.append(f'turn {turn}: {info("kill")}')
        elif chance.random() < 0.5:
            # The next run clears what is left and makes it whole.
            bad += failure(turn, attest(*create, check=False))
        if document('kill'):
            bad += failure(turn, vol('delete', 'kill', check=False))
        virsh('pool-refresh', POOL)
        left = [each for each in os.listdir(FOLDER) if each.startswith('kill')]
        if left:
            bad.append(f'turn {turn}: left {left}')
    tap.equal(bad, [], 'vol-create killed at 12 moments leaves nothing that the next run cannot clean')
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        killed(create, usual / 2, number)
        found = document('kill')
        if not found or found['complete']:
            clean_up(tap, 'kill', f'signal {number}')
        else:
            tap.check(False, f'signal {number} left an incomplete volume')
    attest(*create)
    vol('seal', 'kill')
    begin = time.monotonic()
    vol('seal', 'kill')
    usual = time.monotonic() - begin
    first = info('kill')['volume']['sealed']['rootHash']
    change_blob(f'{FOLDER}/kill-root.qcow2')
    bad = []
    for turn in range(12):
        killed(['vol-seal', '--pool', POOL, 'kill'], chance.uniform(0, usual * 1.2), signal.SIGKILL)
        found = info('kill')
        seal = found['volume'].get('sealed')
        if seal and seal['rootHash'] != first:
            got = seal['rootHash'], sha256(f'{FOLDER}/kill-verity.img')
            wanted = partition_root_hash(f'{FOLDER}/kill-root.qcow2', seal['salt'], seal['uuid'])
            if got != wanted:
                bad.append(f'turn {turn}: root hash and tree {got} instead of {wanted}')
        if found['state'] not in ('stale', 'sealed', 'new'):
            bad.append(f'turn {turn}: {found}')
    tap.equal(bad, [], 'vol-seal killed at 12 moments leaves a seal with its whole tree, or none')
    vol('seal', 'kill')
    tap.equal(info('kill')['state'], 'sealed', 'it can be sealed afterwards')
    clean_up(tap, 'kill', 'killed seals')


def test_parallel(tap: Tap):
    create = ['--pool', POOL, '--level', '4', '--base', BASE]
    same = [spawn('vol-create', 'same', *create) for _ in range(3)]
    for process in same:
        process.communicate()
    tap.equal(sorted(process.returncode for process in same), [0, LIBVIRT_REFUSED, LIBVIRT_REFUSED],
              'of three runs for one name one succeeds')
    tap.equal(info('same')['state'], 'new', 'and its volume is whole')
    several = [spawn('vol-create', f'several{n}', *create) for n in range(4)]
    for process in several:
        process.communicate()
    tap.equal([process.returncode for process in several], [0] * 4,
              'runs for different names do not disturb each other')
    seals = [spawn('vol-seal', '--pool', POOL, 'same') for _ in range(2)]
    for process in seals:
        process.communicate()
    tap.equal([process.returncode for process in seals], [0, 0], 'two seals wait for each other')
    tap.equal(info('same')['state'], 'sealed', 'and the result is whole')
    for name in 'same', *(f'several{n}' for n in range(4)):
        vol('delete', name)
    tap.equal(os.listdir(FOLDER), [], 'nothing is left')


def test_incomplete(tap: Tap):
    """A document that a killed run has left, and what is in the pool by then."""
    vol('create', 'torn', '--level', '4', '--base', BASE, '--upper', 'encrypted:32M')
    text = document('torn')
    text['complete'] = False
    write(document_path('torn'), json.dumps(text))
    os.chmod(document_path('torn'), 0o600)
    tap.equal(info('torn')['state'], 'incomplete', 'vol-info says so')
    refused(tap, vol('seal', 'torn', check=False), REJECTED, ['is incomplete'], 'sealing it')
    vol('create', 'torn', '--level', '3', '--base', BASE)
    tap.equal((info('torn')['state'], volumes()), ('new', ['torn-root.qcow2']), 'vol-create makes it anew')
    vol('delete', 'torn')
    write(document_path('torn'), json.dumps(text))
    os.chmod(document_path('torn'), 0o600)
    foreign = f'{FOLDER}/torn-root.qcow2'
    call('qemu-img', 'create', '-q', '-f', 'qcow2', foreign, '1M')
    before = sha256(foreign)
    vol('delete', 'torn')
    tap.equal((document('torn'), sha256(foreign)), (None, before), 'a file that somebody else put there is not removed')
    os.unlink(foreign)
    write(document_path('torn'), '{')
    os.chmod(document_path('torn'), 0o600)
    refused(tap, vol('info', 'torn', check=False), CANNOT_READ, ['torn.json', 'restore it from a backup'],
            'a damaged document')
    refused(tap, vol('create', 'other', '--level', '3', '--base', BASE, check=False), CANNOT_READ, ['torn.json'],
            'while one cannot be read, nobody can tell what is based on a base')
    os.unlink(document_path('torn'))
    tap.equal((os.listdir(FOLDER), volumes()), ([], []), 'nothing is left')


def test_partial_deletion(tap: Tap):
    vol('create', 'half', '--level', '4', '--base', BASE, '--upper', 'encrypted:32M')
    vol('seal', 'half')
    virsh('vol-delete', '--pool', POOL, 'half-root.qcow2')
    tap.equal(info('half')['state'], 'missing', 'a volume without its root')
    os.unlink(f'{FOLDER}/half-upper.img')
    tap.equal(vol('delete', 'half').returncode, 0, 'vol-delete goes on where somebody else began')
    tap.equal((os.listdir(FOLDER), document('half')), ([], None), 'and nothing is left')


if __name__ == '__main__':
    run([test_install, test_create, test_seal, test_base_protection, test_used_by_domains, test_refusals, test_grow,
         test_full_disk, test_killed, test_parallel, test_incomplete, test_partial_deletion])
