#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""image-import: cloud images of every layout, made here with guestfish, and those that have to be refused."""
import atexit
import os
import shutil
import signal
import stat
import time

import image_rig
from image_rig import Image, Rig, Skip, copy, good, main, must, refused, run, sha256, system_tree

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS somebody\n'
CLOUDS = None  # the folder with the cloud images, made once

ESP_TYPE = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
LINUX_TYPE = '0fc63daf-8483-4772-8e79-3d69d8477de4'
UBUNTU = {'usr/lib/os-release': 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"\nNAME=Ubuntu\n',
          'etc/lsb-release': 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_CODENAME=noble\n'
                             'DISTRIB_DESCRIPTION="Ubuntu 24.04 LTS"\n',
          'etc/fstab': 'LABEL=cloud-root / ext4 defaults 0 1\nLABEL=cloud-boot /boot ext4 defaults 0 2\n'
                       'LABEL=CLOUD-ESP /boot/efi vfat umask=0077 0 1\n'}
FEDORA = {'etc/os-release': 'ID=fedora\nVERSION_ID=40\nNAME=Fedora\nPRETTY_NAME="Fedora Linux 40"\n',
          'etc/redhat-release': 'Fedora release 40 (Forty)\n'}
# In the machine of libguestfs: the root of ext4.raw (sda) copied to file systems that need a kernel to be made.
COPIES = """run
mkmountpoint /src
mkmountpoint /dst
mount-ro /dev/sda1 /src
part-disk /dev/sdb gpt
pvcreate /dev/sdb1
vgcreate cloud /dev/sdb1
lvcreate root cloud 760
mkfs xfs /dev/cloud/root label:cloudxfs
mount /dev/cloud/root /dst
glob cp-a /src/* /dst/
write /dst/etc/fstab "/dev/cloud/root / xfs defaults 0 1\\n"
umount /dst
part-disk /dev/sdc gpt
mkfs btrfs /dev/sdc1 label:cloudbtrfs
mount /dev/sdc1 /dst
btrfs-subvolume-create /dst/@
btrfs-subvolume-create /dst/@home
umount /dst
mount-options subvol=@ /dev/sdc1 /dst
mkdir /dst/home
mount-options subvol=@home /dev/sdc1 /dst/home
glob cp-a /src/* /dst/
write /dst/etc/fstab "LABEL=cloudbtrfs / btrfs subvol=@ 0 1\\nLABEL=cloudbtrfs /home btrfs subvol=@home 0 2\\n"
umount /dst/home
umount /dst
umount /src
"""


def small_tree(rig, tree):
    """Enough for a system to be recognised."""
    small = rig.folder / 'small'
    for name in ('etc', 'var/lib/dpkg', 'usr/bin'):
        (small / name).mkdir(parents=True)
    (small / 'bin').symlink_to('usr/bin')
    copy(tree / 'usr/lib/os-release', small / 'etc/os-release')
    copy(tree / 'var/lib/dpkg/status', small / 'var/lib/dpkg/status')
    (small / 'etc/debian_version').write_text('13.1\n')
    (small / 'etc/fstab').write_text('/dev/sda1 / ext4 defaults 0 1\n')
    return small


def put(folder, files):
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text)


def disk(path, *parts):
    """A GPT disk. A part: (type, size in MiB, what makes the file system in a file of that size)."""
    at, lines = 1, ['label: gpt']
    for kind, size, _ in parts:
        lines.append(f'start={at}MiB, size={size}MiB, type={kind}')
        at += size
    with open(path, 'wb') as file:
        file.truncate((at + 1) << 20)
    must('/sbin/sfdisk', '-q', path, input='\n'.join(lines) + '\n')
    at = 1
    for _, size, make in parts:
        part = f'{path}.part'
        with open(part, 'wb') as file:
            file.truncate(size << 20)
        make(part)
        must('dd', f'if={part}', f'of={path}', 'bs=1M', f'seek={at}', 'conv=notrunc,sparse', 'status=none')
        must('rm', part)
        at += size


def ext4(label, folder=None):
    return lambda part: must('/sbin/mkfs.ext4', '-q', '-F', '-L', label, *(['-d', folder] if folder else []), part)


def esp(part):
    must('/sbin/mkfs.vfat', '-F', '32', '-n', 'CLOUD-ESP', part)
    must('mmd', '-i', part, '::EFI', '::EFI/ubuntu')


def make_all(rig):
    """The cloud images. File systems that mkfs can fill are made without a virtual machine."""
    out = rig.folder / 'clouds'
    out.mkdir()
    tree = system_tree(rig)
    small = small_tree(rig, tree)
    put(tree, {'etc/fstab': 'LABEL=cloud-root / ext4 defaults 0 1\nLABEL=gone none swap sw 0 0\n', 'srv/labelled': 'x'})
    os.setxattr(tree / 'srv/labelled', 'user.note', b'hello')
    if os.geteuid() == 0:
        os.mknod(tree / 'srv/disk', 0o660 | stat.S_IFBLK, os.makedev(8, 0))
    disk(out / 'ext4.raw', (LINUX_TYPE, 600, ext4('cloud-root', tree)))
    disk(out / 'two.raw', (LINUX_TYPE, 60, ext4('a', small)), (LINUX_TYPE, 60, ext4('b', small)))
    disk(out / 'data.raw', (LINUX_TYPE, 60, ext4('data')))
    put(small, FEDORA)
    disk(out / 'fedora.raw', (LINUX_TYPE, 60, ext4('fedora', small)))
    for name, size in (('lvm', 800), ('btrfs', 800)):
        with open(out / f'{name}.raw', 'wb') as file:
            file.truncate(size << 20)
    drives = [f'add-drive {out}/ext4.raw format:raw readonly:true\n']
    drives += [f'add-drive {out}/{name}.raw format:raw\n' for name in ('lvm', 'btrfs')]
    done = run('guestfish', input=''.join(drives) + COPIES, env=rig.environment(LIBGUESTFS_BACKEND='direct'))
    assert done.returncode == 0, (done.stdout, done.stderr)
    put(tree, UBUNTU)
    must('mv', tree / 'boot', rig.folder / 'boot')
    (tree / 'boot').mkdir()
    (rig.folder / 'boot/efi').mkdir(exist_ok=True)
    disk(out / 'boot.raw', (ESP_TYPE, 64, esp), (LINUX_TYPE, 200, ext4('cloud-boot', rig.folder / 'boot')),
         (LINUX_TYPE, 600, ext4('cloud-root', tree)))
    return out


def clouds():
    """The folder with the cloud images, made once; a failure is not tried again for every test."""
    global CLOUDS
    if not shutil.which('guestfish'):
        raise Skip('guestfish is not installed')
    if CLOUDS is None:
        rig = Rig()
        atexit.register(rig.__exit__)
        CLOUDS = False
        CLOUDS = make_all(rig)
    assert CLOUDS, 'the cloud images could not be made'
    return CLOUDS


def take(rig, image, *more, name='a.qcow2'):
    return rig.tool('image-import', image, '--output', rig.out / name, *more)


def check(rig, name='a.qcow2'):
    image = Image(rig, rig.out / name)
    image.check_layout()
    image.check_clean()
    image.check_starts()
    assert not image.has('/root/.ssh/authorized_keys') and not image.has('/home/user/.ssh/authorized_keys')
    assert not image.has('/swapfile') and not image.has('/var/log/syslog') and image.has('/var/log')
    assert not image.has('/etc/systemd/system/serial-getty@ttyS0.service.d')
    assert image.has(f'/boot/vmlinuz-{image.manifest["kernel"]}')
    assert image.has(f'/usr/lib/modules/{image.manifest["kernel"]}/modules.dep')
    assert image.cat('/etc/hostname') == 'cloudy\n'
    assert image.manifest['packages'] and image.manifest['source']['kind'] == 'import'
    return image


def test_ext4():
    """Raw and qcow2 of the same disk: the same root; twice: the same bytes."""
    cloud = clouds() / 'ext4.raw'
    with Rig() as rig:
        good(take(rig, cloud))
        image = check(rig)
        assert image.manifest['source']['sha256'] == sha256(cloud) and image.manifest['source']['format'] == 'raw'
        assert image.manifest['distribution']['id'] == 'debian'
        assert 'hello' in image.debugfs('ea_get /srv/labelled user.note')
        assert not image.has('/srv/disk')
        good(take(rig, cloud, name='b.qcow2'))
        assert sha256(rig.out / 'a.qcow2') == sha256(rig.out / 'b.qcow2')
        rig.nothing_left([n + s for n in ('a.qcow2', 'b.qcow2') for s in ('', '.manifest.json', '.packages')])


def test_boot_partition():
    """Ubuntu, /boot of its own, a system partition; as qcow2, with options."""
    with Rig() as rig:
        cloud = rig.folder / 'cloud.img'
        must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', clouds() / 'boot.raw', cloud)
        keys = rig.folder / 'key.pub'
        keys.write_text(KEY)
        refused(take(rig, cloud), 2, '--format qcow2')
        good(take(rig, cloud, '--format', 'qcow2', '--ssh-key', keys, '--hostname', 'guest9', '--size', '3G'))
        image = Image(rig, rig.out / 'a.qcow2')
        image.check_layout()
        image.check_clean()
        assert image.cat('/root/.ssh/authorized_keys') == KEY and image.cat('/etc/hostname') == 'guest9\n'
        assert image.manifest['distribution']['id'] == 'ubuntu'
        assert image.manifest['image']['virtualSize'] == 3 << 30
        assert image.has(f'/boot/vmlinuz-{image.manifest["kernel"]}') and image.names('/boot/efi') == []
        rig.nothing_left(['a.qcow2', 'a.qcow2.manifest.json', 'a.qcow2.packages'])


def test_lvm():
    """XFS on a logical volume."""
    with Rig() as rig:
        good(take(rig, clouds() / 'lvm.raw'))
        check(rig)


def test_btrfs():
    with Rig() as rig:
        good(take(rig, clouds() / 'btrfs.raw'))
        image = check(rig)
        assert image.has('/home/user')


def test_refused():
    folder = clouds()
    with Rig() as rig:
        refused(take(rig, folder / 'two.raw'), 3, '2 operating systems')
        refused(take(rig, folder / 'fedora.raw'), 1, 'Fedora', 'only Debian and Ubuntu')
        rig.nothing_left()


def test_bad_files():
    """What is found out before anything is started."""
    with Rig() as rig:
        cloud = rig.folder / 'cloud.qcow2'
        must('qemu-img', 'create', '-q', '-f', 'qcow2', cloud, '64M')
        raw = rig.folder / 'disk.raw'
        raw.write_bytes(bytes(1 << 20))
        refused(take(rig, '/nonexistent'), 3, '/nonexistent')
        refused(take(rig, rig.folder), 3, str(rig.folder))
        refused(take(rig, cloud, '--format', 'raw'), 2, '--format qcow2')
        refused(take(rig, raw, '--format', 'qcow2'), 3, 'qcow2')
        short = rig.folder / 'short.qcow2'
        short.write_bytes(cloud.read_bytes()[:60])
        refused(take(rig, short), 3, 'short.qcow2')
        # A file of this machine as a part of the guest.
        secret = rig.folder / 'secret'
        secret.write_bytes(bytes(1 << 20))
        backed = rig.folder / 'backed.qcow2'
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', backed)
        refused(take(rig, backed), 1, 'backing file')
        external = rig.folder / 'external.qcow2'
        must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', f'data_file={rig.folder}/data,data_file_raw=on', external, '1M')
        refused(take(rig, external), 3, 'external.qcow2')
        (rig.out / 'there').write_text('mine')
        refused(take(rig, raw, name='there'), 3, '--force')
        assert (rig.out / 'there').read_text() == 'mine'
        refused(rig.tool('image-import', raw, '--output', rig.folder / 'no/such/a'), 3, 'No such file')
        done = run(image_rig.TOOL, 'image-import', raw, '--output', rig.out / 'a',
                   env=rig.environment(VIRT_ATTEST_LIBEXEC='/nonexistent'))
        refused(done, 4, 'guestfs-helper')
        rig.nothing_left(['there'])


def test_truncated():
    """Half of a disk: the tables say more than there is."""
    with Rig() as rig:
        cloud = rig.folder / 'half.raw'
        with open(clouds() / 'ext4.raw', 'rb') as file:
            cloud.write_bytes(file.read(40 << 20))
        done = take(rig, cloud)
        assert done.returncode == 3 and done.stderr.startswith('error: '), (done.returncode, done.stderr)
        rig.nothing_left()


def test_interrupted():
    cloud = clouds() / 'ext4.raw'
    with Rig() as rig:
        # When its helper has been started, and when the machine of libguestfs runs, which takes seconds to get anywhere.
        for number, program in ((signal.SIGINT, b'guestfs-helper'), (signal.SIGTERM, b'qemu-system')):
            process = rig.start('image-import', cloud, '--output', rig.out / 'a.qcow2')
            rig.wait_for(process, lambda program=program: rig.runs(program))
            time.sleep(1)
            process.send_signal(number)
            _, err = process.communicate(timeout=300)
            assert process.returncode == -number, (process.returncode, err)
            rig.nothing_left()
        process = rig.start('image-import', cloud, '--output', rig.out / 'a.qcow2')
        rig.wait_for(process, lambda: rig.runs(b'qemu-system'))
        process.kill()
        process.wait()
        deadline = time.monotonic() + 120
        while rig.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not rig.processes(), rig.processes()
        assert not list(rig.out.iterdir())
        # The next run sweeps. It fails for its own reason, too.
        refused(take(rig, clouds() / 'data.raw'), 3, 'no operating system')
        rig.nothing_left()


main([test_bad_files, test_ext4, test_boot_partition, test_lvm, test_btrfs, test_refused, test_truncated,
      test_interrupted])
