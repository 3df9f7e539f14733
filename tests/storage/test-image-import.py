#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""image-import: cloud images of every layout, made here with guestfish, and those that have to be refused."""
import atexit
import shutil
import signal
import time

import image_rig
from image_rig import Image, Rig, Skip, copy, good, main, must, refused, run, sha256, system_tree, tar_of

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINHTE6wwgDEzk9kP7sWyDLdcLMCZm8TBeb6XLmGa1iAS somebody\n'
CLOUDS = None  # the folder with the cloud images, made once

GPT = 'part-init {0} gpt\npart-add {0} p 2048 -2048\n'
LAYOUTS = {
    # name: size in MiB, commands with {0} for the disk
    'ext4': (1200, GPT + 'mkfs ext4 {0}1 label:cloud-root\nmount {0}1 /\ntar-in TREE / acls:true xattrs:true\n'
             'write /etc/fstab "LABEL=cloud-root / ext4 defaults 0 1\\nLABEL=gone none swap sw 0 0\\n"\n'
             'write /srv/labelled x\nsetxattr user.note hello 5 /srv/labelled\nmknod-b 0660 8 0 /srv/disk\n'),
    'boot': (1500, 'part-init {0} gpt\npart-add {0} p 2048 206847\npart-add {0} p 206848 1026047\n'
             'part-add {0} p 1026048 -2048\npart-set-gpt-type {0} 1 C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n'
             'mkfs vfat {0}1\nmkfs ext4 {0}2 label:cloud-boot\nmkfs ext4 {0}3 label:cloud-root\n'
             'mount {0}3 /\nmkdir /boot\nmount {0}2 /boot\nmkdir /boot/efi\nmount {0}1 /boot/efi\n'
             'tar-in TREE /\nmkdir-p /boot/efi/EFI/ubuntu\nwrite /boot/efi/EFI/ubuntu/grubx64.efi grub\n'
             'write /usr/lib/os-release "ID=ubuntu\\nVERSION_ID=\\"24.04\\"\\nPRETTY_NAME=\\"Ubuntu 24.04 LTS\\"\\nNAME=Ubuntu\\n"\n'
             'write /etc/lsb-release "DISTRIB_ID=Ubuntu\\nDISTRIB_RELEASE=24.04\\nDISTRIB_CODENAME=noble\\n'
             'DISTRIB_DESCRIPTION=\\"Ubuntu 24.04 LTS\\"\\n"\n'
             'write /etc/fstab "LABEL=cloud-root / ext4 defaults 0 1\\nLABEL=cloud-boot /boot ext4 defaults 0 2\\n'
             '{0}1 /boot/efi vfat umask=0077 0 1\\n"\n'),
    'lvm': (1200, GPT + 'pvcreate {0}1\nvgcreate cloud {0}1\nlvcreate root cloud 1000\n'
            'mkfs ext4 /dev/cloud/root\nmount /dev/cloud/root /\ntar-in TREE /\n'
            'write /etc/fstab "/dev/cloud/root / ext4 defaults 0 1\\n"\n'),
    'xfs': (1200, GPT + 'mkfs xfs {0}1 label:cloud-root\nmount {0}1 /\ntar-in TREE /\n'
            'write /etc/fstab "LABEL=cloud-root / xfs defaults 0 1\\n"\n'),
    'btrfs': (1200, GPT + 'mkfs btrfs {0}1 label:cloud-root\nmount {0}1 /\nbtrfs-subvolume-create /@\n'
              'btrfs-subvolume-create /@home\numount /\nmount-options subvol=@ {0}1 /\nmkdir /home\n'
              'mount-options subvol=@home {0}1 /home\ntar-in TREE /\n'
              'write /etc/fstab "LABEL=cloud-root / btrfs subvol=@ 0 1\\nLABEL=cloud-root /home btrfs subvol=@home 0 2\\n"\n'),
    'two': (400, 'part-init {0} gpt\npart-add {0} p 2048 409599\npart-add {0} p 409600 -2048\nmkfs ext4 {0}1\nmkfs ext4 {0}2\n'
            'mount {0}1 /\ntar-in SMALL /\numount /\nmount {0}2 /\ntar-in SMALL /\n'),
    'fedora': (200, GPT + 'mkfs ext4 {0}1\nmount {0}1 /\ntar-in SMALL /\n'
               'write /etc/os-release "ID=fedora\\nVERSION_ID=40\\nNAME=Fedora\\nPRETTY_NAME=\\"Fedora Linux 40\\"\\n"\n'
               'write /etc/redhat-release "Fedora release 40 (Forty)\\n"\n'),
    'data': (100, GPT + 'mkfs ext4 {0}1\n'),
}


def small_tree(rig, tree):
    """Enough for a system to be recognised."""
    small = rig.folder / 'small'
    (small / 'etc').mkdir(parents=True)
    (small / 'var/lib/dpkg').mkdir(parents=True)
    (small / 'usr/bin').mkdir(parents=True)
    (small / 'bin').symlink_to('usr/bin')
    copy(tree / 'usr/lib/os-release', small / 'etc/os-release')
    copy(tree / 'var/lib/dpkg/status', small / 'var/lib/dpkg/status')
    (small / 'etc/debian_version').write_text('13.1\n')
    (small / 'etc/fstab').write_text('/dev/sda1 / ext4 defaults 0 1\n')
    path = rig.folder / 'small.tar'
    must('tar', '-C', small, '-cf', path, '.')
    return path


def clouds():
    """Makes all cloud images in one run of guestfish."""
    global CLOUDS
    if CLOUDS:
        return CLOUDS.folder / 'clouds'
    if not shutil.which('guestfish'):
        raise Skip('guestfish is not installed')
    rig = Rig()
    atexit.register(rig.__exit__)
    folder = rig.folder / 'clouds'
    folder.mkdir()
    tree = system_tree(rig)
    tar, small = tar_of(rig, tree), small_tree(rig, tree)
    script = [f'sparse {folder}/{name}.raw {size}M\n' for name, (size, _) in LAYOUTS.items()] + ['run\n']
    for number, (_, commands) in enumerate(LAYOUTS.values()):
        commands = commands.replace('TREE', str(tar)).replace('SMALL', str(small))
        script.append(commands.format(f'/dev/sd{chr(ord("a") + number)}') + '-umount-all\n')
    done = run('guestfish', input=''.join(script), env=rig.environment(LIBGUESTFS_BACKEND='direct'))
    assert done.returncode == 0, (done.stdout, done.stderr)
    CLOUDS = rig
    return folder


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
    with Rig() as rig:
        good(take(rig, clouds() / 'lvm.raw'))
        check(rig)


def test_xfs():
    with Rig() as rig:
        done = take(rig, clouds() / 'xfs.raw')
        good(done)
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
        refused(take(rig, folder / 'data.raw'), 3, 'no operating system')
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
        for number, delay in ((signal.SIGINT, 2), (signal.SIGTERM, 12)):
            process = rig.start('image-import', cloud, '--output', rig.out / 'a.qcow2')
            time.sleep(delay)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            assert process.returncode == -number, (process.returncode, err)
            rig.nothing_left()
        process = rig.start('image-import', cloud, '--output', rig.out / 'a.qcow2')
        time.sleep(8)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while rig.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not rig.processes(), rig.processes()
        assert not list(rig.out.iterdir())
        # The next run sweeps.
        refused(take(rig, clouds() / 'data.raw'), 3, 'no operating system')
        rig.nothing_left()


main([test_bad_files, test_ext4, test_boot_partition, test_lvm, test_xfs, test_btrfs, test_refused, test_truncated,
      test_interrupted])
