#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Good boots: a Debian image of our own at levels 3 and 4, through the firmware that verifies, up to multi-user.

What a guest says about itself is asked over SSH; what it is on the outside is seen on its console and its disks.
"""
import hashlib
import json
import os
import secrets
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disks  # noqa: E402
import inputs  # noqa: E402
import rig  # noqa: E402
from login import Login, fingerprint  # noqa: E402

MULTI_USER = rb'Reached target .*multi-user\.target'
# The guest is still starting: what a service removes meanwhile is no failure of find.
FIND = 'find /root /etc /var/lib /usr/bin /home /opt -ignore_readdir_race'
# What these tests see on the console, and for busy machines: an emulated timer fails the kernel's own check, and a unit
# that takes its time is no failed one.
STATUS = 'systemd.show_status=1 no_timer_check systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900'


def data_sum(path):
    """Digest of what a sparse file holds and where."""
    digest = hashlib.sha256()
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            digest.update(b'%d %d\n' % (at, end))
            file.seek(at)
            while at < end:
                block = file.read(min(4 * rig.MIB, end - at))
                digest.update(block)
                at += len(block)
    return digest.hexdigest()


def check_silent(case, guest):
    case.equal(guest.prompts(), [], 'no prompt on the console, whatever is typed', guest.tail())


#
# One boot looked at from all sides
#
QUESTIONS = {
    'state': 'systemctl is-system-running --wait',
    'failed': 'systemctl list-units --failed --plain --no-legend',
    'root': 'findmnt -n -o FSTYPE /',
    'mounts': 'cat /proc/self/mounts',
    'sysrq': 'cat /proc/sys/kernel/sysrq',
    'machine_id': 'cat /etc/machine-id',
    'gettys': 'ps -eo comm= | grep -E "getty|login$|sulogin" || true',
    'shells': 'for u in emergency.service rescue.service debug-shell.service emergency.target rescue.target; do '
              'echo "$(systemctl show -P LoadState $u) $(systemctl show -P Id $u)"; done',
    'cloud': 'ls -d /usr/bin/cloud-init /usr/lib/cloud-init /var/lib/cloud 2>/dev/null || true',
    'sshd': 'mkdir -p /run/sshd; sshd -T | grep -E "^(passwordauthentication|permitrootlogin|'
            'kbdinteractiveauthentication|permitemptypasswords) "',
    'shadow': 'grep -v -E "^[^:]*:(!|\\*|!\\*|!!)?:" /etc/shadow | grep -v -E "^[^:]*:[!*]" || true',
    'swap': 'cat /proc/swaps | tail -n +2',
    'write': 'for d in /root /etc /var/lib /usr/bin /home /opt; do echo written >$d/virt-attest-test && '
             'cat $d/virt-attest-test; done',
    'kernel': 'uname -r',
    'command_line': 'cat /proc/cmdline',
    'listening': 'ss -H -lntu 2>/dev/null || true',
    'vsock': 'ss -H -l --vsock 2>/dev/null || true',
    'processes': 'ps -eo comm= | sort -u | tr "\\n" " "',
    # The last one: where it succeeds, it ends everything else.
    'emergency': 'systemctl start emergency.service >/dev/null 2>&1; echo $?',
}


def ask(case, guest, key):
    login = Login(guest, key)
    case.equal(login.shown, fingerprint(login.host_key), 'the console showed the fingerprint of the host key',
               guest.tail())
    return login, login.facts(**QUESTIONS)


def check_well(case, facts):
    """What holds at every level."""
    case.equal((facts['state'], facts['failed']), ('running', ''), 'systemd reaches multi-user and no unit has failed')
    case.equal(facts['sysrq'], '0', 'SysRq is off')
    case.equal(facts['gettys'], '', 'nobody waits for a login')
    case.equal(facts['shells'].splitlines(), ['masked emergency.service', 'masked rescue.service',
                                              'masked debug-shell.service',
                                              'loaded poweroff.target', 'loaded poweroff.target'],
               'there is no emergency, rescue and debug shell; asking for one switches off')
    case.check(facts['emergency'] != '0', 'the emergency shell cannot be started')
    case.equal(facts['cloud'], '', 'no cloud-init')
    case.equal(sorted(facts['sshd'].splitlines()), ['kbdinteractiveauthentication no', 'passwordauthentication no',
                                                    'permitemptypasswords no', 'permitrootlogin without-password'],
               'SSH takes keys only')
    case.equal((facts['shadow'], facts['swap']), ('', ''), 'no account has a password, nothing is swapped')
    case.comment(f'listening: {facts["listening"]}\nvsock: {facts["vsock"]}\nprocesses: {facts["processes"]}')


def check_breaks(case, guest, login):
    """SysRq requests from the serial line and the keyboard reach nobody."""
    before = guest.console.count(b'sysrq:')
    for key in b'hb', b'b', b'o':
        guest.send(rig.TELNET_BREAK + key)
    for key in 'h', 'b':
        guest.press('alt', 'sysrq', key)
    alive = login.run('echo alive')
    case.equal((alive.strip(), guest.console.count(b'sysrq:') - before), ('alive', 0),
               'SysRq does nothing', guest.tail())


CHANNEL = 'org.virt-attest.report.0'


def with_channel(machine, path):
    """The machine with the channel over which a host asks for reports, at the socket @path."""
    return machine.but(arguments=machine.arguments + (
        '-device', 'virtio-serial-pci,id=serials,disable-legacy=on,iommu_platform=on',
        '-chardev', f'socket,id=report,path={path},server=on,wait=off',
        '-device', f'virtserialport,bus=serials.0,chardev=report,name={CHANNEL}'))


def ask_channel(path, before=b'', count=1):
    """(nonce of a request, @count answers to it and what is sent before it)."""
    nonce = secrets.token_hex(32)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(rig.BOOT)
        channel.connect(path)
        channel.sendall(before + f'\nvirt-attest-report-1 {nonce}\n'.encode())
        return nonce, [json.loads(line) for _, line in zip(range(count), channel.makefile('rb'))]


def check_channel(case, path):
    """The service answers, whatever came before; without a processor that could, its answer is an error."""
    nonce, lines = ask_channel(path, b'\0garbage ' * 1000 + b'\n', 2)
    case.equal([line.get('format') for line in lines], ['virt-attest-evidence-1'] * 2,
               'the report service answers on its channel', lines)
    case.equal((lines[0].get('nonce'), lines[1].get('nonce')), (None, nonce), 'garbage first, and then the request')
    case.check('no SEV-SNP guest' in lines[1].get('error', ''), 'it says that this is no SEV-SNP guest', lines)


SANDBOX = {
    'status': 'grep -E "^(CapBnd|CapEff|NoNewPrivs|Seccomp):" /proc/$(systemctl show -P MainPID virt-attest-report)/status',
    'mounts': "awk '$5 == \"/\" || $5 ~ \"^/sys(/kernel/config)?$\" {print $5, substr($6, 1, 2)}' "
              '/proc/$(systemctl show -P MainPID virt-attest-report)/mountinfo',
}


def check_sandbox(case, login, path):
    """Nothing is left to the service but what a request needs, and that much is. What a processor would show is made here
    from what this kernel has: folders of configfs-tsm, which refuses for want of one, and devices of the name that it opens."""
    facts = login.facts(**SANDBOX)
    case.equal(facts['status'].split(), ['CapEff:', '0' * 16, 'CapBnd:', '0' * 16, 'NoNewPrivs:', '1', 'Seccomp:', '2'],
               'the report service has no capabilities, and system calls are filtered')
    last = dict(line.split() for line in facts['mounts'].splitlines())
    case.equal(last, {'/': 'ro', '/sys': 'ro', '/sys/kernel/config': 'rw'}, 'it can write nowhere but in configfs')
    # Not EROFS: the kernel has got the request.
    login.run('modprobe tsm && test -d /sys/kernel/config/tsm/report && ! mkdir /sys/kernel/config/tsm/report/x 2>/dev/null')
    error = ask_channel(path)[1][0].get('error', '')
    case.check('no SEV-SNP guest' in error, 'it reaches configfs-tsm', error)
    login.run("mknod -m 600 /dev/sev-guest c 10 $(awk '$2 == \"cpu_dma_latency\" {print $1}' /proc/misc)")
    error = ask_channel(path)[1][0].get('error', '')
    case.check('/dev/sev-guest' in error and 'Inappropriate ioctl' in error, 'and a device that came after it', error)
    login.run('rm /dev/sev-guest; mknod -m 600 /dev/sev-guest c 4 64')
    error = ask_channel(path)[1][0].get('error', '')
    case.check('/dev/sev-guest' in error and 'Operation not permitted' in error, 'but no device of another kind', error)
    login.run('rm /dev/sev-guest')


READ_ONLY = r'''
for name in /sys/block/dm-*; do
    [ -e "$name" ] || continue
    node=/dev/${name##*/}
    case $(cat $name/dm/uuid) in *CRYPT*|*INTEGRITY*) continue ;; esac
    echo "ro $(cat $name/ro)"
    mkdir -p /run/try
    if mount -t ext4 -o rw $node /run/try >/dev/null 2>&1; then
        touch /run/try/virt-attest-test 2>/dev/null && echo writable
        mount -o remount,rw /run/try >/dev/null 2>&1 && echo remounted-writable
        umount /run/try
    fi
    dd if=/dev/zero of=$node bs=4096 count=1 conv=notrunc oflag=direct 2>/dev/null && echo written
    blockdev --setrw $node 2>/dev/null
    dd if=/dev/zero of=$node bs=4096 count=1 conv=notrunc oflag=direct 2>/dev/null && echo written
done
while read -r source target type options rest; do
    case $source in /dev/*)
        case $type in ext4) mount -o remount,rw "$target" >/dev/null 2>&1 && echo "remounted $source $target" ;; esac ;;
    esac
done </proc/self/mounts
true
'''


def level_4(made, upper, folder, name, more='', **options):
    """A level 4 machine whose root disk would let itself be written."""
    root = os.path.join(folder, f'{name}-root.raw')
    rig.call('cp', '--sparse=always', made.raw, root)
    machine = made.machine(4, upper, f'{STATUS}{" " if more else ""}{more}', network=True, **options)
    return machine.with_disk(inputs.ROOT_SERIAL, path=root, format='raw', readonly=False), root


def case_tmpfs(case, made):
    machine, root = level_4(made, 'tmpfs', made.folder, 'tmpfs')
    channel = os.path.join(made.folder, 'channel')
    machine = with_channel(machine, channel)
    before = data_sum(root), rig.sha256(made.tree)
    boots = []
    for turn in 'first', 'second':
        with rig.Guest(machine, made.folder, f'tmpfs-{turn}') as guest:
            login = Login(guest, made.key)
            left = login.run(f'{FIND} -name virt-attest-test')
            case.equal(left, '', f'{turn} boot: nothing of an earlier boot')
            facts = login.facts(**QUESTIONS)
            case.equal(login.shown, fingerprint(login.host_key),
                       f'{turn} boot: the console showed the fingerprint of the host key', guest.tail())
            boots.append((login.host_key, facts['machine_id']))
            if turn == 'first':
                check_well(case, facts)
                check_channel(case, channel)
                check_sandbox(case, login, channel)
                case.equal(login.run('systemctl is-active virt-attest-report.service; systemctl is-system-running',
                                     check=False).split(), ['active', 'running'], 'and nothing has failed by it')
                case.equal(facts['root'], 'overlay', 'the root is an overlay')
                case.equal(facts['write'].split(), ['written'] * 6, 'everywhere can be written')
                case.equal(sorted(set(login.run(READ_ONLY).split('\n'))), ['', 'ro 1'],
                           'the verified device and its mount cannot be made writable')
                check_breaks(case, guest, login)
            case.check(guest.wait_for(MULTI_USER, rig.BOOT), f'{turn} boot: the console says so too', guest.tail())
            check_silent(case, guest)
    case.check(boots[0][0] != boots[1][0], 'the host key is another one on every boot')
    case.check(boots[0][1] != boots[1][1] and all(len(boot[1]) == 32 for boot in boots),
               'the machine-id is another one on every boot', boots)
    case.equal((data_sum(root), rig.sha256(made.tree)), before, 'root disk and hash tree have not changed')


def case_encrypted(case, made):
    machine, root = level_4(made, f'encrypted:{inputs.UPPER_SERIAL}', made.folder, 'encrypted')
    upper = made.upper_disk('upper.raw')
    machine = machine.but(disks=machine.disks + (upper,))
    before = data_sum(root)
    secret = 'a sentence that no host should read ' * 200
    for turn in 'first', 'second':
        with rig.Guest(machine, made.folder, f'encrypted-{turn}') as guest:
            login = Login(guest, made.key)
            left = login.run(f'{FIND} -name virt-attest-test -o -name secret')
            case.equal(left, '', f'{turn} boot: nothing of an earlier boot')
            if turn == 'first':
                facts = login.facts(**QUESTIONS)
                check_well(case, facts)
                case.equal(facts['root'], 'overlay', 'the root is an overlay')
                case.equal(facts['write'].split(), ['written'] * 6, 'everywhere can be written')
                login.run(f'echo "{secret}" >/root/secret; sync')
                case.check(secret[:30].encode() not in rig.read(upper.path), 'the host cannot read what is written')
                case.check(disks.allocated(upper.path) > 0, 'it is on the disk')
                check_breaks(case, guest, login)
            check_silent(case, guest)
    case.equal(data_sum(root), before, 'the root disk has not changed')


def case_dirs(case, made):
    machine, root = level_4(made, 'dirs:home=64M,etc=64M,var=25%,tmp=32M', made.folder, 'dirs')
    before = data_sum(root)
    with rig.Guest(machine, made.folder, 'dirs') as guest:
        login, facts = ask(case, guest, made.key)
        check_well(case, facts)
        mounts = {line.split()[1]: line.split() for line in facts['mounts'].splitlines()}
        case.equal([mounts.get(f'/{name}', [None] * 3)[2] for name in ('home', 'etc', 'var', 'tmp')], ['tmpfs'] * 4,
                   'the four directories are tmpfs', facts['mounts'])
        case.equal([option for option in mounts['/home'][3].split(',') if option.startswith('size=')], ['size=65536k'],
                   'with the size asked for')
        case.check('ro' in mounts['/'][3].split(','), 'the root itself is read-only', facts['mounts'])
        answers = login.run('for d in /home /etc /var /tmp; do echo x >$d/w && echo yes; done; '
                            'for d in /usr/bin /opt /root; do echo x 2>/dev/null >$d/w || echo no; done; '
                            'dd if=/dev/zero of=/home/full bs=1M count=100 2>&1 | grep -o "No space left" | head -n 1; '
                            'test -s /etc/passwd && test -d /var/lib/dpkg && echo filled', check=False)
        case.equal(answers.split('\n')[:-1], ['yes'] * 4 + ['no'] * 3 + ['No space left', 'filled'],
                   'they take what fits, the rest of the root takes nothing, and they are filled from the root')
        case.equal(sorted(set(login.run(READ_ONLY, check=False).split('\n'))), ['', 'ro 1'],
                   'the verified device and its mount cannot be made writable')
        check_silent(case, guest)
    case.equal(data_sum(root), before, 'the root disk has not changed')


def case_none(case, made):
    """Nowhere to write. Debian's own services do not come up so (documented): this is for images made for it."""
    machine, root = level_4(made, 'none', made.folder, 'none')
    before = data_sum(root)
    with rig.Guest(machine, made.folder, 'none') as guest:
        case.check(guest.wait_for(rb'Reached target .*basic\.target', rig.BOOT), 'systemd reaches basic.target',
                   guest.tail())
        case.check(guest.wait_for(rb'virt-attest: no machine-id and no SSH host keys of this boot', 1),
                   'the console says what is missing', guest.tail())
        guest.wait_for(MULTI_USER, 20)
        check_silent(case, guest)
    case.equal(data_sum(root), before, 'the root disk has not changed')


def case_level_3(case, made):
    machine = made.machine(3, None, STATUS, network=True)
    keys = []
    for turn in 'first', 'second':
        with rig.Guest(machine, made.folder, f'level-3-{turn}') as guest:
            login, facts = ask(case, guest, made.key)
            keys.append(login.host_key)
            if turn == 'first':
                check_well(case, facts)
                case.equal(facts['root'], 'ext4', 'the root is the disk itself')
                case.equal(facts['write'].split(), ['written'] * 6, 'everywhere can be written')
                login.run('sync')
            else:
                case.equal(login.run('cat /root/virt-attest-test').strip(), 'written',
                           'what was written is still there')
            check_silent(case, guest)
    case.check(keys[0] != '', 'has a host key')


def main():
    made = inputs.prepare()
    try:
        cases = [rig.Case(name, lambda case, test=test: test(case, made)) for name, test in (
            ('level 4, encrypted upper', case_encrypted), ('level 4, tmpfs upper', case_tmpfs),
            ('level 3', case_level_3), ('level 4, directories', case_dirs), ('level 4, no upper', case_none))]
        return rig.run_cases(cases)
    finally:
        inputs.remove(made)


if __name__ == '__main__':
    sys.exit(main())
