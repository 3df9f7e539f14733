#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A folder of ALman and openend2e's configuration become running guests; what is exported of them is what was launched."""
import json
import os
import tomllib
from xml.sax.saxutils import escape

from harness import (AMDSEV, HOOK, REJECTED, STATE, Tap, attest, domain_uuid, expect_match, install_hook, model, read,
                     run, scratch, small_boot_files, start, stop, virsh, write, write_config)

CMDLINE = 'root=/dev/vda2 rw rootwait "a b" <&> console=ttyS0,115200n8'
# ALman writes the C-bit's position as a constant; libvirt knows the host's.
ALMAN_XML = '''<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>

  <memory unit='MiB'>128</memory>
  <currentMemory unit='MiB'>128</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <memoryBacking>
    <source type='memfd'/>
    <access mode='shared'/>
  </memoryBacking>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader type='rom'>{firmware}</loader>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <cpu mode='host-passthrough' check='none'/>
  <launchSecurity type='sev-snp' kernelHashes='yes'>
    <policy>0x00030000</policy>
  </launchSecurity>
  <devices>
    <video>
      <model type='none'/>
    </video>
    <audio id='1' type='none'/>
  </devices>
</domain>
'''


VM_CONFIG = '''host_cpu_family = "Milan"
vcpu_count = 2
ovmf_file = "{firmware}"
guest_features = 0x1
kernel_file = "{kernel}"
initrd_file = "{initrd}"
kernel_cmdline = "console=ttyS0 a=\\"b c\\" <&>"
platform_info = 0x1
guest_policy = 0x30000
family_id = "00000000000000000000000000000000"
image_id = "00000000000000000000000000000000"
[min_commited_tcb]
bootloader = 3
tee = 0
snp = 14
microcode = 209
_reserved = [0, 0, 0, 0]
'''


def host_signature():
    """CPUID 1 EAX of this machine, which host-passthrough carries: APM volume 3, Fn0000_0001_EAX."""
    lines = read('/proc/cpuinfo').decode().split('\n\n')[0].split('\n')
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(':') for line in lines)}
    family, number, stepping = (int(facts[name]) for name in ('cpu family', 'model', 'stepping'))
    return hex(max(family - 15, 0) << 20 | number >> 4 << 16 | min(family, 15) << 8 | (number & 15) << 4 | stepping)


def alman_folder(name, kernel, initrd, digest):
    """What ALman leaves of a guest: the domain XML of a dry run, and a record."""
    folder = scratch('alman')
    os.makedirs(os.path.join(folder, 'work', 'xml'), exist_ok=True)
    signature = host_signature()
    spec = {'kind': 'sig', 'sig': signature}
    write(os.path.join(folder, 'work', 'xml', f'{name}.xml'), ALMAN_XML.format(
        name=name, uuid=domain_uuid(name), firmware=AMDSEV, kernel=kernel, initrd=initrd, cmdline=escape(CMDLINE)))
    write(f'{folder}/alman.conf', f'QEMU_BIN=/usr/bin/qemu-system-x86_64\nOVMF_CODE={AMDSEV}\n')
    write(f'{folder}/cpu-types.json', json.dumps([signature]))
    write(f'{folder}/expected-measurements.json', json.dumps({name: {
        'al': 3, 'append': CMDLINE, 'vcpus': 2, 'mode': 'snp', 'vmm_type': 'QEMU', 'ovmf': AMDSEV, 'kernel': kernel,
        'initrd': initrd, 'cpu_types': [spec], 'errors': {}, 'timestamp_utc': '2026-01-01T00:00:00Z',
        'measurements': {f'vcpu-sig={signature}': {'cpu_spec': spec, 'measurement_hex': digest}}}}))
    return folder


def test_install(tap: Tap):
    write_config(None)
    install_hook()
    tap.check(os.path.exists(HOOK), 'the hook is installed')


def test_openend2e(tap: Tap):
    kernel, initrd = small_boot_files('openend2e')
    out = scratch('taken')
    config = write(scratch('vm.toml'), VM_CONFIG.format(firmware=AMDSEV, kernel=kernel, initrd=initrd))
    done = attest('import', '--from', 'openend2e', '--format', 'json', '--output-dir', out, config)
    told = json.loads(done.stdout)
    attest('define', '--reference', told['reference'], told['xml'])
    # libvirt has chosen the UUID: the file says none.
    uuid = virsh('domuuid', 'vm').stdout.strip()
    start('vm')
    launch = json.loads(read(f'{STATE}/records/{uuid}.json'))['launches'][-1]
    tap.equal((launch['verdict'], launch['digest']), ('match', model('vm', uuid)['digest']),
              'the guest of a vm-config.toml starts and matches')
    tap.equal(told['measurement'], launch['digest'], 'import foretold the digest of the launch')
    stop('vm')
    text = attest('export', '--to', 'openend2e', 'vm').stdout
    tap.equal(tomllib.loads(text), tomllib.loads(read(config).decode()), 'the same facts come out of libvirt again')
    values = json.loads(attest('export', '--to', 'rvps', '--platform-info', '0x1/0x3', 'vm').stdout)
    tap.equal(values['snp_launch_measurement'], [told['measurement']], 'and go to others')
    attest('undefine', 'vm')


def test_alman(tap: Tap):
    """The record is what QEMU hands to the processor for ALman's own XML, before this program has seen it."""
    kernel, initrd = small_boot_files('alman')
    out = scratch('taken')
    folder = alman_folder('vm1', kernel, initrd, '00' * 48)
    virsh('create', os.path.join(folder, 'work', 'xml', 'vm1.xml'))
    digest = model('vm1')['digest']
    stop('vm1')
    alman_folder('vm1', kernel, initrd, digest)
    done = attest('import-alman', '--output-dir', out, folder)
    tap.contains(done.stdout, ['match', digest, 'virt-attest define --reference'], 'the record matches')
    own = read(os.path.join(folder, 'work', 'xml', 'vm1.xml'))
    tap.equal(read(f'{out}/vm1.xml'), own, 'the domain XML is ALman\'s own')
    attest('define', '--reference', f'{out}/vm1.reference.json', f'{out}/vm1.xml')
    expect_match(tap, 'vm1', 'the guest that was taken over')
    tap.equal(model('vm1')['digest'], digest, 'and it launches with the recorded digest')
    stop('vm1')
    alman_folder('vm1', kernel, initrd, '11' * 48)
    done = attest('import-alman', folder, check=False)
    tap.equal(done.returncode, REJECTED, 'a record that is wrong is said', done.stdout)
    target = f'{folder}/expected-measurements.json'
    attest('export', '--to', 'alman', '--output', target, 'vm1')
    record = json.loads(read(target))['vm1']['measurements']
    tap.equal([each['measurement_hex'] for each in record.values()], [digest], 'export from libvirt puts it right')
    attest('undefine', 'vm1')


if __name__ == '__main__':
    run([test_install, test_openend2e, test_alman])
