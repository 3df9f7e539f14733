#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""image-build: a real image from the mirror, the same bytes again from its snapshot, and everything that can go wrong.

Where only our half of the work matters, a small program stands in for mmdebstrap and hands over a tree that was made
before.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import time

import image_rig
from image_rig import IMAGES, Image, Rig, Skip, copy, good, main, refused, run, sha256, system_tar, trixie

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS somebody\n'


def build(rig, *more, name='a.qcow2'):
    return rig.tool('image-build', '--suite', 'trixie', '--output', rig.out / name, *more)


def test_image():
    path = trixie()
    with Rig() as rig:
        image = Image(rig, path)
        image.check_layout()
        image.check_clean()
        image.check_starts()
        manifest = image.manifest
        assert manifest['source']['suite'] == 'trixie' and manifest['distribution']['id'] == 'debian'
        assert manifest['image']['virtualSize'] == image_rig.SIZE
        assert path.stat().st_size < 600 << 20, path.stat().st_size
        names = {package['name'] for package in manifest['packages']}
        status = image.cat('/var/lib/dpkg/status')
        installed = status.count('\nStatus: install ok installed\n')
        assert len(manifest['packages']) == installed > 80, (len(names), installed)
        assert {'openssh-server', 'systemd-sysv', 'linux-image-cloud-amd64'} <= names
        assert not names & {'cloud-init', 'grub-common', 'grub-efi-amd64', 'qemu-guest-agent', 'sudo'}, names
        lines = pathlib.Path(f'{path}.packages').read_text().splitlines()
        assert len([line for line in lines if not line.startswith('#')]) == len(manifest['packages'])
        modules = f'/usr/lib/modules/{manifest["kernel"]}/kernel/drivers/virt/coco'
        assert any(name.startswith('sev-guest.ko') for name in image.names(f'{modules}/sev-guest'))
        assert any(name.startswith('tsm') for name in image.names(modules))
        assert image.cat('/root/.ssh/authorized_keys') == (IMAGES / 'id_ed25519.pub').read_text()
        assert 'Mode:  0600' in image.debugfs('stat /root/.ssh/authorized_keys')
        assert manifest['reportAgent'] == {'path': '/usr/bin/virt-attest',
                                           'sha256': sha256(pathlib.Path(image_rig.REPORT))}
        image.debugfs(f'dump /usr/bin/virt-attest {rig.folder}/agent')
        assert sha256(rig.folder / 'agent') == sha256(pathlib.Path(image_rig.REPORT))
        assert 'Mode:  0755' in image.debugfs('stat /usr/bin/virt-attest')
        assert image.has('/etc/systemd/system/virt-attest-report.service')
        assert image.has('/etc/udev/rules.d/60-virt-attest-report.rules')
        assert image.cat('/etc/hostname') == 'localhost\n'
        assert image.link('/etc/systemd/system/multi-user.target.wants/ssh.service') in (
            '/usr/lib/systemd/system/ssh.service', '/lib/systemd/system/ssh.service')
        assert image.has('/etc/systemd/network/99-virt-attest.network')
        # The machine's resolver, name, proxy and accounts stay where they are.
        assert image.link('/etc/resolv.conf') == '../run/systemd/resolve/stub-resolv.conf'
        assert '@' not in image.cat('/etc/apt/sources.list')
        assert image.names('/home') == []


def test_same_again_from_snapshot():
    """The versions of the first build, pinned: the same file to the byte."""
    path = trixie()
    with Rig() as rig:
        done = build(rig, '--ssh-key', IMAGES / 'id_ed25519.pub', '--snapshot', f'{path}.packages')
        if done.returncode == 1 and 'does not have' in done.stderr:
            raise Skip('the mirror has moved on since the image was built')
        good(done)
        assert sha256(rig.out / 'a.qcow2') == sha256(path)
        for suffix in ('.manifest.json', '.packages'):
            assert (rig.out / f'a.qcow2{suffix}').read_bytes() == pathlib.Path(f'{path}{suffix}').read_bytes()
        rig.nothing_left(['a.qcow2', 'a.qcow2.manifest.json', 'a.qcow2.packages'])
        wrong = pathlib.Path(f'{path}.packages').read_text().replace('openssh-server:amd64=1:', 'openssh-server:amd64=77:')
        (rig.folder / 'wrong').write_text(wrong)
        refused(build(rig, '--snapshot', rig.folder / 'wrong', name='b.qcow2'), 1, 'openssh-server:amd64=77:',
                'does not have 1 of')


def stand_in(rig, tar, after='exit 0'):
    rig.program('mmdebstrap', f'#!/bin/sh\necho "I: pretending..." >&2\n[ -n "$SOURCE_DATE_EPOCH" ] || exit 9\n'
                              f'cat >/dev/null\ncat "{tar}"\n{after}\n')


def test_options():
    with Rig() as rig:
        tar = system_tar()
        stand_in(rig, tar)
        keys = rig.folder / 'key.pub'
        keys.write_text(KEY)
        good(build(rig, '--hostname', 'guest7', '--ssh-key', keys, '--size', '2G', '--progress'))
        image = Image(rig, rig.out / 'a.qcow2')
        image.check_layout()
        image.check_clean()
        image.check_starts()
        assert image.manifest['image']['virtualSize'] == 2 << 30
        assert image.cat('/etc/hostname') == 'guest7\n' and '127.0.1.1 guest7' in image.cat('/etc/hosts')
        assert image.cat('/root/.ssh/authorized_keys') == KEY
        # The same again, other options, and in place of the first.
        good(build(rig, '--hostname', 'guest7', '--ssh-key', keys, '--size', '2G', name='b.qcow2'))
        assert sha256(rig.out / 'a.qcow2') == sha256(rig.out / 'b.qcow2')
        refused(build(rig, '--size', '2G'), 3, 'a.qcow2', '--force')
        done = build(rig, '--force', '--size', '2G', '--console-login')
        good(done)
        assert sha256(rig.out / 'a.qcow2') != sha256(rig.out / 'b.qcow2')
        image = Image(rig, rig.out / 'a.qcow2')
        assert not image.has('/etc/systemd/system/getty@.service')
        # What is in a built tree, a script of the owner has put there.
        assert 'vendor' in image.cat('/root/.ssh/authorized_keys')
        assert image.link('/etc/systemd/system/debug-shell.service') == '/dev/null'
        rig.nothing_left([n + s for n in ('a.qcow2', 'b.qcow2') for s in ('', '.manifest.json', '.packages')])


def test_usage():
    with Rig() as rig:
        stand_in(rig, '/dev/null')
        key = rig.folder / 'key'
        key.write_text('-----BEGIN OPENSSH PRIVATE KEY-----\n')
        cases = [(2, '--suite', ['image-build', '--output', rig.out / 'a']),
                 (2, '--output', ['image-build', '--suite', 'trixie'])]
        for code, word, more in ((2, '--size', ['--size', '10']), (2, '--size', ['--size', '12Q']), (2, '--hostname', ['--hostname', 'a b']),
                                 (3, 'private key', ['--ssh-key', key]), (3, 'No such file', ['--ssh-key', '/nonexistent']),
                                 (2, '--package', ['--package', '-oX=y']), (2, '--package', ['--package', 'a b']),
                                 (3, '/nonexistent', ['--script', '/nonexistent']), (2, '#!', ['--script', '/etc/hostname']),
                                 (3, '/nonexistent', ['--snapshot', '/nonexistent']),
                                 (2, 'list of packages', ['--snapshot', '/etc/hostname']),
                                 (2, '--mirror', ['--mirror', 'ftp://x']), (2, '--mirror', ['--mirror', 'http://a b']),
                                 (3, '--keyring', ['--keyring', '/nonexistent'])):
            cases.append((code, word, ['image-build', '--suite', 'trixie', '--output', rig.out / 'a', *more]))
        for suite in ('', '-x', 'a b', '../x'):
            cases.append((2, '--suite', ['image-build', '--suite', suite, '--output', rig.out / 'a']))
        for code, word, argv in cases:
            refused(rig.tool(*argv), code, word)
        refused(rig.tool('image-build', '--suite', 'trixie', '--output', rig.folder / 'no/such/a'), 3, 'No such file')
        refused(rig.tool('image-build', '--suite', 'trixie', '--output', rig.out), 3, 'no regular file')
        rig.nothing_left()


def test_no_suite():
    """Errors in apt's own words."""
    with Rig() as rig:
        done = rig.tool('image-build', '--suite', 'nosuchsuite', '--output', rig.out / 'a')
        refused(done, 3, "cannot get suite 'nosuchsuite'")
        done = rig.tool('image-build', '--suite', 'trixie', '--mirror', 'http://user:secret@localhost:9/debian',
                        '--output', rig.out / 'a')
        refused(done, 3, "cannot get suite 'trixie' from http://localhost:9/debian/")
        done = rig.tool('image-build', '--suite', 'noble', '--output', rig.out / 'a')
        if 'ubuntu' not in pathlib.Path('/etc/os-release').read_text():
            refused(done, 2, '--mirror', 'Ubuntu')
        rig.nothing_left()


def test_failures():
    """A bootstrap that fails, is cut or hostile."""
    with Rig() as rig:
        tar = system_tar()
        rig.program('mmdebstrap', '#!/bin/sh\ncat >/dev/null\necho "E: no such package" >&2\nexit 25\n')
        refused(build(rig), 3, 'mmdebstrap', 'exit status 25', 'E: no such package')
        stand_in(rig, tar, 'echo "E: late" >&2; exit 25')
        refused(build(rig), 3, 'E: late')
        stand_in(rig, tar, 'kill -9 $$')
        refused(build(rig), 3, 'signal 9')
        cut = rig.folder / 'cut.tar'
        cut.write_bytes(tar.read_bytes()[:3000000])
        stand_in(rig, cut)
        refused(build(rig), 3, 'root tree')
        empty = rig.folder / 'empty.tar'
        with tarfile.open(empty, 'w'):
            pass
        stand_in(rig, empty)
        refused(build(rig), 3, 'systemd')
        with tarfile.open(cut, 'w') as file:
            link = tarfile.TarInfo('etc')
            link.type, link.linkname = tarfile.SYMTYPE, '/tmp'
            file.addfile(link)
            file.addfile(tarfile.TarInfo('etc/x'))
        stand_in(rig, cut)
        refused(build(rig), 3, 'is no folder')
        stand_in(rig, tar)
        (rig.folder / 'conf').write_text(f'[guest]\ninit = /nonexistent\nreport = {image_rig.REPORT}\n')
        done = build(rig)
        assert done.returncode in (3, 4), done.stderr
        refused(done, done.returncode, '/nonexistent')
        rig.nothing_left()


def test_no_room():
    """A full disk, and a limit on the size of files."""
    with Rig() as rig:
        tar = system_tar()
        stand_in(rig, tar)
        done = run('bash', '-c', 'ulimit -f 20000; exec "$@"', 'x', image_rig.TOOL, 'image-build', '--suite', 'trixie',
                   '--output', rig.out / 'a.qcow2', env=rig.environment())
        assert done.returncode == 3 and done.stderr.startswith('error: '), (done.returncode, done.stderr)
        small = rig.folder / 'small'
        small.mkdir()
        done = run('unshare', '-m', 'bash', '-c', f'mount -t tmpfs -o size=60M tmpfs {small} && "$@"; rc=$?; ls -A {small} >&2; exit $rc', 'x',
                   image_rig.TOOL, 'image-build', '--suite', 'trixie', '--output', small / 'a.qcow2', env=rig.environment())
        if 'mount' in done.stderr.splitlines()[0]:
            raise Skip('no private file system can be mounted here')
        assert done.returncode == 3 and done.stderr.startswith('error: '), (done.returncode, done.stderr)
        # Nothing lies there afterwards: the list of files is empty.
        assert 'a.qcow2' not in done.stderr.splitlines()[-1], done.stderr
        refused(build(rig, '--size', '1G', '--script', '/bin/sh'), 2, '#!')
        rig.nothing_left()


def test_interrupted():
    """Signals in every part of the work; kill -9 leaves what the next run sweeps."""
    with Rig() as rig:
        tar = system_tar()
        stand_in(rig, tar)
        for number, delays in ((signal.SIGINT, (0.3, 1.2, 3)), (signal.SIGTERM, (0.8, 2, 5)), (signal.SIGHUP, (1.5,))):
            for delay in delays:
                process = rig.start('image-build', '--suite', 'trixie', '--output', rig.out / 'a.qcow2')
                time.sleep(delay)
                process.send_signal(number)
                _, err = process.communicate(timeout=300)
                if process.returncode == 0:
                    for path in rig.out.iterdir():
                        path.unlink()
                    continue
                assert process.returncode == -number, (process.returncode, err)
                # Nothing is said when it came before anything was begun.
                assert (err == '' or 'interrupted' in err) and 'Sanitizer' not in err, err
                rig.nothing_left()
        # When the image has its name, the last of all, it is too late: everything is there, and is said to be.
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            process = rig.start('image-build', '--suite', 'trixie', '--output', rig.out / 'a.qcow2')
            while not (rig.out / 'a.qcow2').exists() and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(number)
            said, err = process.communicate(timeout=300)
            assert process.returncode == 0 and 'made' in said, (number, process.returncode, said, err)
            rig.nothing_left(['a.qcow2', 'a.qcow2.manifest.json', 'a.qcow2.packages'])
            for path in rig.out.iterdir():
                path.unlink()
        # While the bootstrap runs, in a temporary folder that image-build has made.
        def bootstraps():
            return any(rig.tmp.glob('*/mmdebstrap'))

        rig.program('mmdebstrap', '#!/bin/sh\ntrap "rm -r $TMPDIR/mmdebstrap; kill \\$!; exit 1" TERM\nmkdir $TMPDIR/mmdebstrap\n'
                                  'echo "I: waiting..." >&2\nsleep 60 & wait\n')
        process = rig.start('image-build', '--suite', 'trixie', '--output', rig.out / 'a.qcow2')
        rig.wait_for(process, bootstraps)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGINT, (process.returncode, err)
        rig.nothing_left()
        process = rig.start('image-build', '--suite', 'trixie', '--output', rig.out / 'a.qcow2')
        rig.wait_for(process, bootstraps)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 120
        while rig.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not rig.processes(), rig.processes()
        assert not list(rig.out.iterdir())
        stand_in(rig, tar)
        good(build(rig, '--size', '1G'))
        rig.nothing_left(['a.qcow2', 'a.qcow2.manifest.json', 'a.qcow2.packages'])


def test_unprivileged():
    """Somebody without rights gets as far as the bootstrap; mmdebstrap itself wants ranges of user numbers."""
    if os.geteuid() != 0 or not shutil.which('setpriv'):
        raise Skip('needs root to become somebody else')
    with Rig() as rig:
        stand_in(rig, copy(system_tar(), rig.folder / 'tree.tar'))
        for path in (rig.folder, rig.tmp, rig.out):
            os.chown(path, 65534, 65534)
        rig.folder.chmod(0o755)
        reachable = run('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', image_rig.TOOL, '--version')
        if reachable.returncode:
            raise Skip('the build folder cannot be read by others')
        done = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', image_rig.TOOL,
                               'image-build', '--suite', 'trixie', '--output', str(rig.out / 'a.qcow2')],
                              env=rig.environment(HOME='/nonexistent'), capture_output=True, text=True, check=False)
        good(done)
        Image(rig, rig.out / 'a.qcow2').check_layout()


main([test_usage, test_no_suite, test_image, test_options, test_failures, test_no_room, test_interrupted, test_unprivileged,
      test_same_again_from_snapshot])
