#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""define --volume and build: what they compose, that it starts as a confidential domain with the pinned digest, and
that every way to spoil it is refused or lowers the level."""
import json
import os
import random
import re
import signal
import stat
import subprocess
import time

import volumes
from harness import (CANNOT_READ, LIBVIRT_REFUSED, REJECTED, STATE, USAGE, Tap, attest, call, install_hook, read,
                     run, running, scratch, settle, sha256, start, stop, tree, virsh, virsh_define, write)
import idblock  # from the folder that harness put on the path
from volumes import (POOL, change_blob, configure, document, info, kernel, make_base, make_pool, spawn, vol)

BASE = ''
FOLDER = ''
COMMON = ['--cpu-model', 'EPYC-Milan', '--memory', '128', '--pool', POOL]


def refused(tap, done, code, parts, what):
    tap.equal(done.returncode, code, f'{what}: exit code', done.stderr)
    tap.contains(done.stderr.splitlines()[0] if done.stderr else '', ['error: ', *parts],
                 f'{what}: the first line says why')


def uuid_of(name):
    return virsh('domuuid', name).stdout.strip()


def xml_of(name):
    return virsh('dumpxml', '--inactive', name).stdout


def pinned(name):
    return json.loads(read(f'{STATE}/references/{uuid_of(name)}.json'))


def model(name):
    return json.loads(read(os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{uuid_of(name)}.json')))


def level(name):
    done = attest('level', '--format', 'json', name, check=False)
    return json.loads(done.stdout)


def define(name, volume, wanted, *more, **options):
    return attest('define', '--name', name, '--volume', volume, '--level', str(wanted), *COMMON, *more, **options)


def build(name, wanted, *more, **options):
    return attest('build', '--base', BASE, '--name', name, '--level', str(wanted), *COMMON, *more, **options)


def edited(xml, *changes):
    for pattern, text in changes:
        xml, count = re.subn(pattern, lambda _: text, xml, count=1, flags=re.S)
        assert count == 1, (pattern, xml)
    return xml


def boot_files():
    folder = f'{STATE}/boot'
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def expect_launch(tap, name, what):
    """It starts, and what was launched is what is pinned."""
    done = start(name, check=False)
    if not tap.equal((done.returncode, running(name)), (0, True), f'{what}: starts', done.stderr):
        return
    digest = model(name)['digest']
    found = json.loads(read(f'{STATE}/records/{uuid_of(name)}.json'))['launches'][-1]
    tap.equal((found['verdict'], digest in [each['digest'] for each in pinned(name)['measurements']]),
              ('match', True), f'{what}: the model measures what is pinned, and the hook agrees')


def test_install(tap: Tap):
    global BASE, FOLDER  # pylint: disable=global-statement
    configure()
    install_hook()
    FOLDER = make_pool()
    BASE = make_base(scratch('base.qcow2'))
    tap.check(os.path.exists(BASE), 'a base image is there')


def test_build(tap: Tap):
    done = build('guest', 4)
    tap.contains(done.stdout, ["Domain 'guest' defined from base image", 'Level', '4'], 'build says so')
    found = info('guest')
    seal = found['volume']['sealed']
    tap.equal((found['state'], found['domainName'], found['volume']['domain']), ('sealed', 'guest', uuid_of('guest')),
              'its volume is sealed and its own')
    xml = xml_of('guest')
    disks = re.findall(r'<disk .*?</disk>', xml, re.S)
    tap.equal(len(disks), 2, 'two disks')
    tap.contains(disks[0], [f'{FOLDER}/guest-root.qcow2', "type='qcow2'", '<readonly/>', '<serial>va-root</serial>'],
                 'the root, read-only')
    tap.contains(disks[1], [f'{FOLDER}/guest-verity.img', "type='raw'", '<readonly/>', '<serial>va-verity</serial>'],
                 'the hash tree, read-only')
    tap.contains(xml, ["kernelHashes='yes'", 'console=ttyS0 panic=-1', 'systemd.import_credentials=no',
                       'systemd.gpt_auto=no', 'systemd.getty_auto=no', 'virt_attest.level=4',
                       'virt_attest.root=va-root:2',
                       f'virt_attest.roothash={seal["rootHash"]}', f'uuid={seal["uuid"]},salt={seal["salt"]}',
                       'virt_attest.upper=tmpfs'], 'the command line')
    file = re.search(r'<kernel>(.*?)</kernel>', xml).group(1)
    initrd = re.search(r'<initrd>(.*?)</initrd>', xml).group(1)
    tap.equal((file, read(file)), (f'{STATE}/boot/{sha256(file)}.kernel', kernel()), 'the kernel of the image')
    tap.equal(initrd, f'{STATE}/boot/{sha256(initrd)}.initrd', 'the initrd is named by its content')
    call('virt-attest', 'initrd', '--level', '4', '--image', BASE, '--output', scratch('wanted.initrd'))
    tap.equal(read(initrd), read(scratch('wanted.initrd')), 'it is the one that initrd builds')
    modes = {path: stat.S_IMODE(os.stat(path).st_mode) for path in
             (STATE, f'{STATE}/boot', f'{STATE}/references', f'{STATE}/volumes', f'{STATE}/verity', file, initrd)}
    tap.equal(list(modes.values()), [0o711, 0o711, 0o700, 0o700, 0o700, 0o444, 0o444], 'modes of the state folder')
    for path, wanted in (file, True), (f'{STATE}/references/{uuid_of("guest")}.json', False), (f'{STATE}/boot', False):
        seen = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                               'ls' if path.endswith('boot')
                               else 'cat', path], capture_output=True, check=False).returncode == 0
        tap.equal(seen, wanted, f'another user {"reads" if wanted else "does not see"} {os.path.basename(path)[-12:]}')
    findings = level('guest')
    tap.equal((findings['level'], pinned('guest')['level']), (4, 4), 'the derived and the pinned level are 4', findings)
    expect_launch(tap, 'guest', 'level 4')
    refused(tap, vol('seal', 'guest', check=False), LIBVIRT_REFUSED, ["in use by domain 'guest'"],
            'sealing while it runs')
    refused(tap, attest('undefine', '--storage', 'guest', check=False), LIBVIRT_REFUSED, ['running'],
            'removing while it runs')
    stop('guest')
    tap.equal(info('guest')['state'], 'sealed', 'a start does not make the seal stale')
    expect_launch(tap, 'guest', 'a second time')
    stop('guest')
    tap.contains(attest('vol-list', '--pool', POOL).stdout, ['guest', 'sealed'], 'vol-list')
    tap.equal(json.loads(attest('show', '--format', 'json', 'guest').stdout)['volume'], 'guest', 'show names the volume')
    refused(tap, build('guest', 4, check=False), LIBVIRT_REFUSED, ["domain 'guest' exists already"],
            'building it again')
    refused(tap, vol('delete', 'guest', check=False), LIBVIRT_REFUSED, ["used by domain 'guest'"],
            'deleting its volume')
    done = attest('undefine', '--storage', 'guest')
    tap.equal((os.listdir(FOLDER), document('guest'), boot_files()), ([], None, []),
              'undefine --storage removes volumes, document, kernel and initrd', done.stderr)


def test_levels(tap: Tap):
    for wanted in 0, 1, 2, 3:
        name = f'level{wanted}'
        done = build(name, wanted, check=False)
        if not tap.equal(done.returncode, 0, f'level {wanted} is built', done.stderr):
            continue
        xml = xml_of(name)
        tap.equal((level(name)['level'] >= wanted, '<readonly/>' in xml, '<kernel>' in xml, 'va-root' in xml),
                  (True, False, wanted == 3, True), f'level {wanted}: reached, root writable, kernel from level 3 on')
        if wanted == 3:
            expect_launch(tap, name, 'level 3')
            stop(name)
        attest('undefine', '--storage', name)
    build('enc', 4, '--upper', 'encrypted:32M')
    xml = xml_of('enc')
    tap.contains(xml, [f'{FOLDER}/enc-upper.img', 'va-upper', 'virt_attest.upper=encrypted:va-upper'],
                 'encrypted upper')
    tap.equal(level('enc')['level'], 4, 'level 4 with an encrypted upper layer')
    expect_launch(tap, 'enc', 'encrypted upper')
    stop('enc')
    attest('undefine', '--storage', 'enc')
    build('dirs', 4, '--upper', 'dirs:home=64M', '--cmdline', 'quiet')
    tap.contains(xml_of('dirs'), ['virt_attest.upper=dirs:home=64M', ' quiet<'], 'directories, and a word of the user')
    attest('undefine', 'dirs')
    tap.equal((info('dirs')['domainName'], info('dirs')['state'], boot_files()), (None, 'sealed', []),
              'undefine without --storage keeps the volume, which belongs to nobody')
    tap.equal(define('again', 'dirs', 4).returncode, 0, 'it can be defined again')
    attest('undefine', '--storage', 'again')
    tap.equal(os.listdir(FOLDER), [], 'nothing is left')


def test_order(tap: Tap):
    vol('create', 'order', '--level', '4', '--base', BASE)
    refused(tap, define('order', 'order', 4, check=False), REJECTED, ['is not sealed', 'vol-seal --pool volumes order'],
            'before sealing')
    vol('seal', 'order')
    tap.equal(define('order', 'order', 4).returncode, 0, 'after it')
    refused(tap, define('thief', 'order', 4, check=False), REJECTED, ["already belongs to domain 'order'"],
            'another domain with the same volume')
    tap.equal(virsh('domstate', 'thief', check=False).returncode, 1, 'it was not defined')
    pin = read(f'{STATE}/references/{uuid_of("order")}.json')
    change_blob(f'{FOLDER}/order-root.qcow2')
    refused(tap, define('order', 'order', 4, check=False), REJECTED, ['changed after it was sealed', 'vol-seal'],
            'an image that changed after sealing')
    done = vol('seal', 'order')
    tap.contains(done.stderr, ['define it again'], 'vol-seal says that the domain has the former root hash')
    refused(tap, define('order', 'order', 4, check=False), REJECTED, ['differs from its reference'], 'without --accept')
    tap.equal(read(f'{STATE}/references/{uuid_of("order")}.json'), pin, 'the pin is as it was')
    tap.equal(define('order', 'order', 4, '--accept').returncode, 0, 'with --accept')
    tap.equal(level('order')['level'], 4, 'level 4 again')
    expect_launch(tap, 'order', 'defined again')
    stop('order')
    attest('undefine', '--storage', 'order')
    vol('create', 'low', '--level', '3', '--base', BASE)
    refused(tap, define('low', 'low', 4, check=False), REJECTED, ['was made for level 3, not 4'], 'a volume of level 3')
    # Kernel and initrd of the user must be those of the image.
    good, other = scratch('good.initrd'), scratch('other.initrd')
    attest('initrd', '--level', '3', '--image', BASE, '--output', good, '--kernel-output', scratch('good.kernel'))
    second = make_base(scratch('second.qcow2'), release='6.2.0-test')
    attest('initrd', '--level', '3', '--image', second, '--output', other)
    refused(tap, define('low', 'low', 3, '--initrd', other, check=False), REJECTED, ['other.initrd', 'another kernel'],
            'an initrd for another kernel')
    refused(tap, define('low', 'low', 3, '--kernel', write(scratch('x.kernel'), kernel('6.3')), check=False), REJECTED,
            ['x.kernel'], 'another kernel')
    for words, parts in ((['--cmdline', 'virt_attest.wait=5'], ['--cmdline']), (['--disk', '/x.img'], ['--disk'])):
        refused(tap, define('low', 'low', 3, *words, check=False), USAGE, parts, words[0])
    refused(tap, define('low', 'low', 2, '--cmdline', 'quiet', check=False), USAGE, ['--cmdline'],
            'a command line without a kernel')
    tap.equal((boot_files(), document('low')['domain'] if 'domain' in document('low') else None), ([], None),
              'refusals leave nothing')
    printed = define('low', 'low', 3, '--print-xml').stdout
    tap.contains(printed, ['va-root', 'virt_attest.level=3', "level=\"3\""], '--print-xml prints the whole domain')
    tap.equal((virsh('domstate', 'low', check=False).returncode, document('low').get('domain')), (1, None),
              'and defines nothing')
    tap.equal(define('low', 'low', 3, '--initrd', good, '--kernel', scratch('good.kernel')).returncode, 0,
              'the right files are taken')
    # A domain beside ours, made by hand, that uses our volume.
    attest('undefine', '--storage', 'low')
    refused(tap, define('x', 'nothing', 3, check=False), LIBVIRT_REFUSED, ["no volume 'nothing'"], 'no such volume')
    refused(tap, define('x', '../x', 3, check=False), USAGE, ['cannot be the name'], 'a hostile name')
    tap.equal(os.listdir(FOLDER), [], 'nothing is left')


def test_spoiled(tap: Tap):
    """Each way to spoil a level 4 domain is seen by `level`, and its start is refused where it changes the digest."""
    build('spoil', 4, '--upper', 'encrypted:32M')
    good = xml_of('spoil')
    shell = call('bash', '-c', 'echo "#!/bin/sh" >init; chmod 755 init; echo init | cpio -o -H newc --quiet',
                 cwd=scratch('.'), check=False)
    call('bash', '-c', f'cd {scratch(".")} && echo init | cpio -o -H newc --quiet >shell.initrd')
    tap.equal(shell.returncode, 0, 'an initrd with a shell script as its init is there', shell.stderr)
    cases = (
        ('the hash tree is missing', 3, [(r"<disk [^>]*>(?:(?!</disk>).)*va-verity.*?</disk>", '')]),
        ('the root is writable', 3, [(r'<readonly/>', '')]),
        ('no root hash', 3, [(r' virt_attest\.roothash=[0-9a-f]+', '')]),
        ('the upper layer is a plain disk', 3, [('virt_attest.upper=encrypted:va-upper', 'virt_attest.upper=disk')]),
        ('a shell on the command line', 3, [('panic=-1', 'panic=-1 init=/bin/sh')]),
        ('kernelHashes is off', 2, [("kernelHashes='yes'", "kernelHashes='no'")]),
        ('the init is a script', 3, [(r'<initrd>.*?</initrd>', f'<initrd>{scratch("shell.initrd")}</initrd>')]),
        ('two disks with one serial', 3, [('<serial>va-upper</serial>', '<serial>va-root</serial>')]),
        ('no confidential computing', 0, [(r'<launchSecurity.*?</launchSecurity>', '')]),
    )
    for what, most, changes in cases:
        virsh_define(edited(good, *changes))
        found = level('spoil')
        tap.check(found['level'] <= most, f'{what}: the level is at most {most}', json.dumps(found)[:2000])
        fails = [each for each in found['findings'] if each['outcome'] == 'fail']
        tap.check(fails and all(each['text'] for each in fails), f'{what}: level says why')
    virsh_define(good)
    tap.equal(level('spoil')['level'], 4, 'put back it is 4 again')
    # Under the same names another content: the measured files.
    initrd = re.search(r'<initrd>(.*?)</initrd>', good).group(1)
    kept = read(initrd)
    write(initrd, kept[:-1] + b'x')
    done = start('spoil', check=False)
    tap.equal(done.returncode, 1, 'a changed initrd in the store: the start is refused', done.stderr)
    vol('create', 'next', '--level', '4', '--base', BASE)
    vol('seal', 'next')
    refused(tap, define('next', 'next', 4, check=False), REJECTED, ['is not what its name says'],
            'nor is it taken for another domain')
    write(initrd, kept)
    expect_launch(tap, 'spoil', 'put back')
    stop('spoil')
    attest('undefine', '--storage', 'spoil')
    vol('delete', 'next')
    tap.equal((os.listdir(FOLDER), boot_files()), ([], []), 'nothing is left')


def test_undone(tap: Tap):
    before = tree(STATE)
    kept = {path for path in before if '/cache/' not in path and '/verity/' not in path}
    for what, words, code in (
            ('a network that is not there', ['--network', 'nowhere', '--policy', '0x30000', '--type', 'kvm'], None),
            ('a firmware that cannot carry the level', ['--firmware', '/dev/null'], None),
            ('a policy that allows debugging', ['--policy', '0xb0000'], None),
            ('words of ours', ['--cmdline', 'virt_attest.level=3'], USAGE)):
        done = build('undone', 4, *words, check=False)
        if what.startswith('a network') and done.returncode == 0:
            # libvirt takes it, and refuses the start.
            attest('undefine', '--storage', 'undone')
        else:
            tap.check(done.returncode == code if code else done.returncode > 0, f'{what} is refused', done.stderr)
        tap.equal((os.listdir(FOLDER), document('undone'), virsh('domstate', 'undone', check=False).returncode,
                   boot_files()),
                  ([], None, 1, []), f'{what}: everything is undone')
    after = {path for path in tree(STATE) if '/cache/' not in path and '/verity/' not in path}
    tap.equal(after, kept, 'and the state folder is as it was')


def test_killed(tap: Tap):
    seed = int(os.environ.get('VIRT_ATTEST_TEST_SEED') or random.randrange(1 << 30))
    tap.comment(f'VIRT_ATTEST_TEST_SEED={seed}')
    chance = random.Random(seed)
    words = ['build', '--base', BASE, '--name', 'kill', '--level', '4', *COMMON]
    begin = time.monotonic()
    attest(*words)
    usual = time.monotonic() - begin
    attest('undefine', '--storage', 'kill')
    bad = []
    for turn in range(12):
        number = signal.SIGKILL if turn % 2 else chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        process = spawn(*words)
        # A third of them about the end, where it is too late to undo anything.
        time.sleep(chance.uniform(0 if turn % 3 else usual * 0.8, usual * 1.1))
        process.send_signal(number)
        said, errors = process.communicate()
        settle()
        defined = virsh('domstate', 'kill', check=False).returncode == 0
        if number != signal.SIGKILL:
            if process.returncode != 0 and (defined or document('kill') or os.listdir(FOLDER)):
                bad.append(f'{number.name} in turn {turn}: something is left: {os.listdir(FOLDER)} {errors}')
            if (process.returncode == 0) != defined or (process.returncode == 0) != ('kill' in said):
                bad.append(f'{number.name} in turn {turn}: ended with {process.returncode}, said {said!r}')
        if defined:
            done = attest('undefine', '--storage', 'kill', check=False)
            if done.returncode:
                bad.append(done.stderr)
        if document('kill'):
            done = vol('delete', 'kill', check=False)
            if done.returncode:
                bad.append(done.stderr)
        volumes.volumes()
        if os.listdir(FOLDER):
            bad.append(f'{number.name}: left {os.listdir(FOLDER)}')
            break
    tap.equal(bad, [], 'build killed at 12 moments leaves nothing that the next run cannot clean')
    tap.equal(attest(*words).returncode, 0, 'and works afterwards')
    attest('undefine', '--storage', 'kill')
    tap.equal(boot_files(), [], 'no kernel is left')


def test_parallel(tap: Tap):
    several = [spawn('build', '--base', BASE, '--name', f'many{n}', '--level', '4', *COMMON) for n in range(3)]
    errors = [process.communicate()[1] for process in several]
    tap.equal([process.returncode for process in several], [0] * 3, 'three builds at once', errors)
    for n in range(3):
        tap.equal(level(f'many{n}')['level'], 4, f'domain {n} has level 4')
    removing = [spawn('undefine', '--storage', f'many{n}') for n in range(3)]
    errors = [process.communicate()[1] for process in removing]
    tap.equal([process.returncode for process in removing], [0] * 3, 'and three removals', errors)
    tap.equal((os.listdir(FOLDER), boot_files()), ([], []), 'nothing is left')


def test_id_block(tap: Tap):
    key = idblock.make_key(scratch('id.pem'))
    done = attest('build', '--base', BASE, '--name', 'signed', '--level', '4', '--pool', POOL, '--id-key', key,
                  check=False)
    refused(tap, done, REJECTED, ['host-model', '--cpu-model'], 'build --id-key with a CPU that the host chooses')
    done = build('signed', 4, '--id-key', scratch('nosuch.pem'), check=False)
    refused(tap, done, CANNOT_READ, ['nosuch.pem'], 'build with a key that is not there')
    tap.equal((os.listdir(FOLDER), document('signed')), ([], None), 'neither makes a volume')
    build('signed', 4, '--id-key', key, '--svn', '3')
    vol('create', 'signed2', '--level', '4', '--base', BASE)
    vol('seal', 'signed2')
    define('signed2', 'signed2', 4, '--id-key', key, '--svn', '3')
    for name in 'signed', 'signed2':
        expect_launch(tap, name, f'{name}: with an ID block')
        found = model(name)
        tap.equal((found['id_block'], found['id_key_digest'], found['guest_svn'], found['host_data']),
                  (True, idblock.digest(idblock.public_key(key)), 3, pinned(name)['hostData']),
                  f'{name}: QEMU hands it over')
        stop(name)
        attest('undefine', '--storage', name)


if __name__ == '__main__':
    run([test_install, test_build, test_id_block, test_levels, test_order, test_spoiled, test_undone, test_killed,
         test_parallel])
