#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile host: every case is the good machine of this program with exactly one change.

The init does not see which firmware has started it: where it is the one that must stop, or refuse what a disk offers,
the PC BIOS starts it, which is quicker. A good machine boots with either.

A guest must end by itself with its reason on the console (or the firmware must stop before the kernel says a word), or,
where the host only offers something, must not take it. The good machine itself boots in this program: what stops a
hostile case is the change. At no time may anything on the console look as if somebody were listening there.
"""
import base64
import functools
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disks  # noqa: E402
import inputs  # noqa: E402
import rig  # noqa: E402
from login import Login  # noqa: E402

MULTI_USER = rb'Reached target .*multi-user\.target'
# What these tests see on the console, and for busy machines: an emulated timer fails the kernel's own check, and a unit
# that takes its time is no failed one.
STATUS = 'systemd.show_status=1 no_timer_check systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900'
HANDED_OVER = rb'systemd\[1\]: |systemd 25[0-9]|Welcome to'
EVIL = b'evil-host-was-here'
# The ends that a guest may come to.
POWER_OFF = 'power off'  # the init's own decision
PANIC = 'reset'          # the kernel's: dm-verity found something wrong


class Stage:
    """What the cases share."""

    def __init__(self, made):
        self.made = made
        self.good = made.machine(4, 'tmpfs', STATUS)
        self.not_for_long = self.good.but(cmdline=self.words(wait=inputs.SHORT_WAIT))
        self.root = disks.Root(made.raw, inputs.ROOT_PARTITION)
        self.control = threading.Event()  # set when the good machine's kernel has spoken, or never will
        self.control_wall = self.control_cpu = None

    def words(self, **changes):
        return f'{inputs.CONSOLE} {self.made.words(4, **{"upper": "tmpfs", **changes})} {STATUS}'

    def flip_root(self, name, block, byte=0, bit=0):
        """The good machine with one bit of its root file system flipped."""
        path = disks.flipped(self.made.folder, name, self.made.raw, self.root.offset + block * disks.BLOCK + byte, bit)
        return self.good.with_disk(inputs.ROOT_SERIAL, path=path)

    def flip_tree(self, name, offset, bit=0):
        path = disks.flipped(self.made.folder, name, self.made.tree, offset, bit)
        return self.good.with_disk(inputs.VERITY_SERIAL, path=path, format='qcow2')

    def tree_of(self, block, level):
        """Offset in the tree of the digest, or of a part of a digest, that a data block depends on."""
        place = block // disks.DIGESTS_PER_BLOCK ** level % disks.DIGESTS_PER_BLOCK if level >= 0 else 0
        return disks.tree_block(self.made.data_blocks, block, level) * disks.BLOCK + place * 32

    def cut(self, name, path, image_format, bytes_less):
        """A copy of a disk that is smaller."""
        smaller = disks.overlay(self.made.path(f'{name}.qcow2'), path, image_format)
        size = int(re.search(r'\((\d+) bytes\)', rig.call('qemu-img', 'info', '-U', smaller).stdout).group(1))
        rig.call('qemu-img', 'resize', '-q', '--shrink', smaller, str(size - bytes_less))
        return smaller


def check_silent(case, guest):
    case.equal(guest.prompts(), [], 'no prompt on the console, whatever is typed', guest.tail())


def died_early(guest):
    """The kernel gave up before it started the init: the emulator's fault (its timers on a busy machine)."""
    return b'Kernel panic' in guest.console and b'Run /init' not in guest.console


def run_stopped(case, stage, machine, reason, ended, handed_over, attempts=3):
    """The guest ends by itself, for @reason, before or after it handed over to systemd."""
    given = machine(stage)
    if reason.startswith(STOPPED):
        given = given.but(firmware=None)
    with rig.Guest(given, stage.made.folder, re.sub(r'\W+', '-', case.name)) as guest:
        found = guest.wait_end(rig.BOOT)
        if attempts > 1 and died_early(guest):
            guest.stop()
            case.comment(f'the kernel did not get to the init, tried again:\n{guest.tail(4)}')
            return run_stopped(case, stage, machine, reason, ended, handed_over, attempts - 1)
        case.equal(found, ended, f'ends by itself: {ended}', guest.tail())
        lines = [line for line in rig.printable(guest.console).splitlines() if re.search(reason, line)]
        case.check(lines, f'says why: {reason}', guest.tail())
        if not handed_over:
            case.check(not re.search(HANDED_OVER, guest.console), 'systemd was not started', guest.tail())
        case.check(not re.search(MULTI_USER, guest.console), 'multi-user was not reached', guest.tail())
        check_silent(case, guest)
        case.comment(f'{found} after {guest.age():.1f} s: {lines[-1].strip() if lines else ""}')
        return None


def run_watcher(case, stage):
    """What the consoles of unclean images showed is seen as a prompt; what a good boot shows is not."""
    for text in (b'\r\nlocalhost login: ', b'Press Enter to continue.\r\n', b'root@localhost:~# ', b'\r\n$ ',
                 b'(initramfs) ',
                 b'You are in emergency mode. After logging in', b'Give root password for maintenance\r\nPassword: ',
                 b'grub> ', b'virt-attest-42\r\n', b'Please enter passphrase for disk upper: '):
        case.check(rig.prompts_in(b'[  OK  ] Reached target\r\n' + text), f'{text!r} is a prompt')
    quiet = b'#1 SMP PREEMPT_DYNAMIC Debian\r\n' \
            b'Started systemd-ask-password-console.path - Dispatch Password Requests\r\n' \
            b'exec </dev/console; echo virt-attest-$((6*7))\r\nroot\r\nsh\r\n'
    case.equal(rig.prompts_in(quiet), [], 'what is typed, and what systemd says about its units, is not')


def run_control(case, stage):
    try:
        with rig.Guest(stage.good, stage.made.folder, 'control') as guest:
            spoke = guest.wait_for(rb'Linux version ', rig.BOOT)
            stage.control_wall, stage.control_cpu = guest.age(), guest.cpu_time()
            stage.control.set()
            case.check(spoke, 'the firmware starts the kernel', guest.tail())
            case.check(guest.wait_for(MULTI_USER, rig.BOOT), 'the good machine reaches multi-user', guest.tail())
            check_silent(case, guest)
            case.comment(f'kernel after {stage.control_wall:.1f} s, multi-user after {guest.age():.1f} s')
    finally:
        stage.control.set()


def run_halted(case, stage, machine):
    """The firmware stops: no word of the kernel in well over the processor time that it needs. A firmware that has
    stopped goes on using it."""
    stage.control.wait(2 * rig.BOOT)
    if not case.check(stage.control_cpu, 'the control run told how long a boot takes'):
        return
    with rig.Guest(machine(stage), stage.made.folder, re.sub(r'\W+', '-', case.name)) as guest:
        wall = 4 * (2 * stage.control_wall + 5)
        while (guest.process.poll() is None and not guest.kernel_spoke() and guest.age() < wall
               and guest.cpu_time() < 1.5 * stage.control_cpu):
            time.sleep(0.1)
        case.check(not guest.kernel_spoke(), 'the kernel is not started', guest.tail())
        check_silent(case, guest)
        case.comment(f'silent for {guest.age():.1f} s')


#
# The firmware's part: what is booted is not what the table says
#
def as_measured(stage):
    return stage.good.kernel, stage.good.initrd, stage.good.cmdline


def other_kernel(stage):
    data = bytearray(rig.read(stage.good.kernel))
    data[-1] ^= 1
    return stage.good.but(kernel=rig.write(stage.made.path('other-kernel'), data), table=as_measured(stage))


def other_initrd(stage):
    data = bytearray(rig.read(stage.good.initrd))
    data[len(data) // 2] ^= 1
    return stage.good.but(initrd=rig.write(stage.made.path('other-initrd'), data), table=as_measured(stage))


def other_cmdline(stage):
    return stage.good.but(cmdline=stage.good.cmdline + ' ', table=as_measured(stage))


def no_table(stage):
    """Without a table, which the launch digest tells, the firmware goes on to the disks: none here has a boot loader."""
    return stage.good.but(table=False, disks=stage.good.disks[1:])


def no_kernel(stage):
    """The measured table is there, but a disk that could start by itself is all there is to boot."""
    good = stage.good
    return good.but(kernel=None, table=(good.kernel, good.initrd, good.cmdline))


#
# Disks
#
def swapped(stage):
    root, tree = stage.good.disks
    return stage.not_for_long.but(disks=(rig.Disk(root.path, tree.serial, root.format), rig.Disk(tree.path, root.serial,
                                                                                         tree.format)))


def without(serial, stage):
    return stage.not_for_long.but(disks=tuple(disk for disk in stage.good.disks if disk.serial != serial))


def doubled(serial, stage):
    again = next(disk for disk in stage.good.disks if disk.serial == serial)
    return stage.good.but(disks=stage.good.disks + (again,))


def smaller_root(stage):
    """Without the end of the root partition. GPT's backup copy is lost too."""
    path = stage.cut('smaller-root', stage.made.raw, 'raw', 64 * rig.MIB)
    return stage.not_for_long.with_disk(inputs.ROOT_SERIAL, path=path)


def smaller_tree(stage):
    path = stage.cut('smaller-tree', stage.made.tree, 'raw', rig.MIB)
    return stage.good.with_disk(inputs.VERITY_SERIAL, path=path, format='qcow2')


#
# What only a host without measurement can give: the PC BIOS starts whatever it gets
#
def unmeasured(stage, more='', cmdline=None):
    return stage.good.but(firmware=None, cmdline=cmdline or f'{stage.good.cmdline} {more}')


#
# What a host may offer to a guest that runs
#
LOOK_AROUND = {
    'state': 'systemctl is-system-running --wait',
    'evil': f"find / -xdev -name '*{EVIL.decode()}*' 2>/dev/null; find /run /tmp /var/tmp -name '*{EVIL.decode()}*' "
            '2>/dev/null; true',
    'hostname': 'cat /proc/sys/kernel/hostname',
    'foreign': "awk '$1 ~ \"^/dev/(vd|sd|sr)\"' /proc/self/mounts",
    'swap': 'tail -n +2 /proc/swaps',
    'mapped': 'cat /sys/block/dm-*/dm/name',
    'raid': 'ls -d /sys/block/md* 2>/dev/null || true',
    'unit': 'systemctl show -P LoadState x.service',
    'credentials': 'find /run/credentials -path "*@*" -type f 2>/dev/null || true',
    'root': 'passwd -S root | cut -d " " -f 2',
    'gettys': 'ps -eo comm= | grep -E "getty|login$|sulogin" || true',
    'keys': 'cat /root/.ssh/authorized_keys /root/.ssh/authorized_keys2 /etc/ssh/authorized_keys 2>/dev/null || true',
    'sysctl': 'cat /proc/sys/kernel/sysrq',
}
FW_CFG_NAME = 55 - len('opt/io.systemd.credentials/')  # QEMU takes no longer names
EVIL_UNIT = f"""[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/sh -c 'echo {EVIL.decode()} >/dev/console; touch /{EVIL.decode()}'
"""


def evil_credentials(public_key):
    return {'systemd.extra-unit.x.service': EVIL_UNIT,
            'systemd.unit-dropin.multi-user.target': '[Unit]\nWants=x.service\n',
            'passwd.hashed-password.root': '$1$evil$MO5dShHfTxkNVPCxV5jLa/',
            'ssh.authorized_keys.root': public_key,
            'tmpfiles.extra': f'f+ /{EVIL.decode()} 0644 root root - x\n',
            'sysctl.extra': 'kernel.sysrq=1\n',
            'firstboot.hostname': EVIL.decode(),
            'fstab.extra': f'tmpfs /run/{EVIL.decode()} tmpfs defaults 0 0\n'}


def credential_arguments(stage, credentials):
    """The same by both ways that systemd knows on QEMU: an SMBIOS string and a firmware configuration file."""
    arguments = []
    for number, (name, value) in enumerate(credentials.items()):
        encoded = base64.b64encode(value.encode()).decode()
        arguments += ['-smbios', f'type=11,value=io.systemd.credential.binary:{name}={encoded}']
        path = rig.write(stage.made.path(f'credential-{number}'), value)
        if len(name) <= FW_CFG_NAME:
            arguments += ['-fw_cfg', f'name=opt/io.systemd.credentials/{name},file={path}']
    return tuple(arguments)


def foreign_disks(stage):
    """A seed for cloud-init, a second root by every name, swap, a volume group's member, an EFI system partition."""
    made = stage.made
    uuid_of_root = rig.call('blkid', '-p', '-O', str(stage.root.offset), '-s', 'UUID', '-o', 'value',
                            made.raw).stdout.strip()
    label = rig.call('blkid', '-p', '-O', str(stage.root.offset), '-s', 'LABEL', '-o', 'value', made.raw,
                     check=False).stdout.strip() or 'root'
    evil = disks.ext4(made.path('evil.ext4'), 64 * rig.MIB, disks.evil_tree(made.folder, 'evil'), label, uuid_of_root)
    table = 'label: gpt\nsize=16MiB, type=U\nsize=16MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root\n' \
            'size=8MiB, type=S\n'
    return (rig.Disk(disks.cidata(made.folder), 'cidata'), rig.Disk(evil, 'root', readonly=False),
            rig.Disk(disks.swap(made.path('swap')), 'swap', readonly=False),
            rig.Disk(disks.physical_volume(made.path('pv')), 'lvm', readonly=False),
            rig.Disk(disks.partitioned(made.folder, 'esp', table), 'esp', readonly=False))


def run_offers(case, stage):
    """Disks with well-known labels before and behind the guest's own, credentials, a console of another kind."""
    made = stage.made
    strange_key = made.path('strange')
    rig.call('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', strange_key)
    public = rig.read(f'{strange_key}.pub').decode()
    foreign = foreign_disks(stage)
    console = made.path('offers.hvc0')
    machine = stage.good.but(
        network=True, disks=foreign[:2] + stage.good.disks[::-1] + foreign[2:],
        arguments=credential_arguments(stage, evil_credentials(public)) + (
            '-device', 'virtio-serial-pci', '-chardev', f'file,id=hvc,path={console}', '-device',
            'virtconsole,chardev=hvc'))
    with rig.Guest(machine, made.folder, 'offers') as guest:
        login = Login(guest, made.key)
        facts = login.facts(**LOOK_AROUND)
        case.equal(facts['state'], 'running', 'multi-user is reached', guest.tail())
        case.equal((facts['evil'], EVIL in guest.console, EVIL.decode() in facts['hostname']), ('', False, False),
                   'no file, line or name of the host')
        case.equal((facts['foreign'], facts['swap'], facts['raid']), ('', '', ''), 'no foreign disk is used')
        case.equal(len(facts['mapped'].split()), 1, 'nothing is mapped but the root', facts['mapped'])
        case.equal((facts['unit'], facts['credentials'], facts['root'], facts['sysctl']), ('not-found', '', 'L', '0'),
                   'no credential is taken')
        case.check(public.split()[1] not in facts['keys'] and login.refused(strange_key),
                   "the host's key opens nothing")
        case.equal(facts['gettys'], '', 'nobody waits for a login on the other console')
        check_silent(case, guest)
    case.equal([pattern for pattern in rig.PROMPTS if re.search(pattern, rig.read(console))], [],
               'no prompt on the other console', rig.printable(rig.read(console))[-500:])


def run_prefilled_upper(case, stage):
    made = stage.made
    upper = made.upper_disk('prefilled')
    disks.ext4(upper.path, os.path.getsize(upper.path), disks.evil_tree(made.folder, 'evil-upper'), 'upper')
    good = made.machine(4, f'encrypted:{inputs.UPPER_SERIAL}', STATUS, network=True, firmware=None)
    with rig.Guest(good.but(disks=good.disks + (upper,)), made.folder, 'prefilled') as guest:
        facts = Login(guest, made.key).facts(**LOOK_AROUND)
        case.equal((facts['state'], facts['evil'], EVIL in guest.console, facts['unit']), ('running', '', False,
                                                                                           'not-found'),
                   "boots, and nothing of the host's is there", guest.tail())
        check_silent(case, guest)


def run_changed_upper(case, stage):
    """The host overwrites the encrypted disk under a running guest."""
    made = stage.made
    upper = made.upper_disk('changed')
    good = made.machine(4, f'encrypted:{inputs.UPPER_SERIAL}', STATUS, network=True, firmware=None)
    with rig.Guest(good.but(disks=good.disks + (upper,)), made.folder, 'changed') as guest:
        login = Login(guest, made.key)
        untouched = login.run('cd /root && for i in 1 2 3 4 5 6 7 8; do head -c 2M /dev/urandom >f$i; done; sync; '
                              'echo 3 >/proc/sys/vm/drop_caches; sha256sum f*').splitlines()
        again = login.run('cd /root && echo 3 >/proc/sys/vm/drop_caches; sha256sum f*').splitlines()
        case.equal(again, untouched, 'what was written is read back from the disk')
        size = os.path.getsize(upper.path)
        for at in range(size // 8, size - rig.MIB, 2 * rig.MIB):
            guest.hmp(f'qemu-io disk{len(good.disks)} "write -q -P 0x5a {at} 1M"')
        text = login.run('cd /root && echo 3 >/proc/sys/vm/drop_caches; '
                         'for i in 1 2 3 4 5 6 7 8; do sha256sum f$i 2>&1; done; true', check=False)
        read = [line for line in text.splitlines() if re.match(r'[0-9a-f]{64} ', line)]
        errors = [line for line in text.splitlines() if 'Input/output error' in line]
        case.check(set(read) <= set(untouched), 'never other data than what was written', text)
        refused = errors or guest.wait_for(rb'INTEGRITY AEAD ERROR', 60) or guest.wait_end(1)
        case.check(refused, 'an I/O error, or the guest stops', text + guest.tail())
        case.comment(f'{len(read)} files whole, {len(errors)} with I/O errors')
        check_silent(case, guest)


def run_changed_root(case, stage):
    """A bit flips under a running guest, in a file that nobody has read yet."""
    made = stage.made
    path = made.path('changed-root.raw')
    rig.call('cp', '--sparse=always', made.raw, path)
    victim = f'/boot/{stage.root.kernel()}'
    block = stage.root.block_of(victim, 100)
    with rig.Guest(stage.good.but(network=True).with_disk(inputs.ROOT_SERIAL, path=path, format='raw'), made.folder,
                   'changed-root') as guest:
        login = Login(guest, made.key)
        login.run(f'head -c 4096 {victim} >/dev/null')
        with open(path, 'r+b') as file:
            file.seek(stage.root.offset + block * disks.BLOCK)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes((byte ^ 1,)))
        login.run(f'nohup cat {victim} >/dev/null 2>&1 & sleep 1', check=False)
        case.equal(guest.wait_end(rig.BOOT), PANIC, 'the guest stops when it reads that block', guest.tail())
        case.check(re.search(f'data block {block} is corrupted', rig.printable(guest.console)),
                   'says which block it was',
                   guest.tail())
        check_silent(case, guest)


def stopped(name, machine, reason, ended=POWER_OFF, handed_over=False):
    return name, lambda case, stage: run_stopped(case, stage, machine, reason, ended, handed_over)


def halted(name, machine):
    return name, lambda case, stage: run_halted(case, stage, machine)


STOPPED = 'virt-attest: stopped: '
DIFFERS = STOPPED + f"verity: the superblock of '{inputs.VERITY_SERIAL}' differs from the command line at byte "
UNREADABLE = STOPPED + 'verity: block 0 of the root cannot be read'
CORRUPTED = r'device-mapper: verity: .*(data|metadata) block \d+ is corrupted'
SYSTEMD = '/usr/lib/systemd/systemd'


def wrong_hash(stage):
    value = stage.made.root_hash
    return stage.good.but(cmdline=stage.words(roothash=f'{int(value[0], 16) ^ 1:x}{value[1:]}'))


SALT_OFFSET, UUID_OFFSET, BLOCKS_OFFSET = 88, 16, 72  # in dm-verity's superblock

CASES = [
    ('the watcher', run_watcher),
    ('good machine', run_control),
    stopped('bit in the program of process 1', lambda stage: stage.flip_root('bit-1', stage.root.block_of(SYSTEMD),
                                                                             100, 3),
            CORRUPTED, PANIC),
    stopped('bit in the ext4 superblock', lambda stage: stage.flip_root('bit-2', 0, 1024 + 0x68), UNREADABLE),
    stopped('bit in a library that is read later',
            lambda stage: stage.flip_root('bit-3', stage.root.block_of('/usr/sbin/sshd'), 9), CORRUPTED, PANIC,
            handed_over=True),
    stopped('bit in the lowest level of the tree',
            lambda stage: stage.flip_tree('bit-4', stage.tree_of(stage.root.block_of(SYSTEMD), 0)), CORRUPTED, PANIC),
    stopped('bit in the highest level of the tree', lambda stage: stage.flip_tree('bit-5', stage.tree_of(0, -1)),
            UNREADABLE),
    stopped("bit in the tree's superblock: salt", lambda stage: stage.flip_tree('bit-6', SALT_OFFSET),
            DIFFERS + rf'{SALT_OFFSET}\b'),
    stopped("bit in the tree's superblock: UUID", lambda stage: stage.flip_tree('bit-7', UUID_OFFSET),
            DIFFERS + rf'{UUID_OFFSET}\b'),
    stopped("bit in the tree's superblock: size", lambda stage: stage.flip_tree('bit-8', BLOCKS_OFFSET),
            DIFFERS + rf'{BLOCKS_OFFSET}\b'),
    stopped("bit in the tree's superblock: signature", lambda stage: stage.flip_tree('bit-9', 0), DIFFERS + r'0\b'),
    stopped('wrong root hash', wrong_hash, UNREADABLE),
    stopped('no root hash', lambda stage: stage.good.but(cmdline=stage.words(roothash=None)),
            STOPPED + r'virt_attest\.roothash: is missing'),
    stopped('unknown word', lambda stage: stage.good.but(cmdline=f'{stage.good.cmdline} virt_attest.debug=1'),
            STOPPED + r'virt_attest\.debug: no such word'),
    stopped('disks swapped', swapped, STOPPED + f"root: the disk '{inputs.ROOT_SERIAL}' has no partition"),
    stopped('no root disk', functools.partial(without, inputs.ROOT_SERIAL),
            STOPPED + f"root: no disk has the serial '{inputs.ROOT_SERIAL}'"),
    stopped('no tree disk', functools.partial(without, inputs.VERITY_SERIAL),
            STOPPED + f"verity: no disk has the serial '{inputs.VERITY_SERIAL}'"),
    stopped('two root disks', functools.partial(doubled, inputs.ROOT_SERIAL),
            STOPPED + f"root: two disks have the serial '{inputs.ROOT_SERIAL}'"),
    stopped('two tree disks', functools.partial(doubled, inputs.VERITY_SERIAL),
            STOPPED + f"verity: two disks have the serial '{inputs.VERITY_SERIAL}'"),
    stopped('smaller root disk', smaller_root, STOPPED + f"root: the disk '{inputs.ROOT_SERIAL}' has no partition"),
    stopped('smaller tree disk', smaller_tree,
            STOPPED + f"verity: the disk '{inputs.VERITY_SERIAL}' has .* bytes, the hash tree"),
    ('offered disks, credentials and consoles', run_offers),
    ('upper disk filled by the host', run_prefilled_upper),
    ('upper disk changed while running', run_changed_upper),
    ('root disk changed while running', run_changed_root),
    halted('another kernel', other_kernel),
    halted('another initrd', other_initrd),
    halted('another command line', other_cmdline),
    halted('no table', no_table),
    halted('no kernel', no_kernel),
    stopped('init=/bin/sh without measurement', lambda stage: unmeasured(stage, 'init=/bin/sh'),
            STOPPED + "'init=/bin/sh' on the kernel command line"),
    stopped('rd.break without measurement', lambda stage: unmeasured(stage, 'rd.break'),
            STOPPED + r"'rd\.break' on the kernel command line"),
    stopped('systemd.unit=emergency.target without measurement',
            lambda stage: unmeasured(stage, 'systemd.unit=emergency.target'),
            STOPPED + r"'systemd\.unit=emergency\.target' on the kernel"),
    stopped('a level below that of the initrd, without measurement',
            lambda stage: unmeasured(stage, cmdline=f'{inputs.CONSOLE} {stage.made.words(3)} {STATUS}'),
            STOPPED + 'this initrd is for level 4, the command line says virt_attest.level=3'),
]


def main():
    made = inputs.prepare()
    try:
        stage = Stage(made)
        return rig.run_cases([rig.Case(name, lambda case, test=test: test(case, stage)) for name, test in CASES])
    finally:
        inputs.remove(made)


if __name__ == '__main__':
    sys.exit(main())
