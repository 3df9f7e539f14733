#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reference for a fleet against one for a single launch: 16 CPU types times 8 vCPU counts, one pass over the files.

    tests/bench/bench-reference.py --tool build/bench/virsh-wrappers/virt-attest [--peer FOLDER] [--firmware F --kernel K --initrd I]

--tool comes from a build without sanitizers (meson setup build/bench --buildtype=release). --peer is a checkout of the
common Python calculator (the folder with sev-snp-measure.py), which needs one process for each of the 128 launches;
without it that row is left out. Every figure is the median of several whole processes, run in turn so that a busy machine
hurts all alike. Cold: no digest is cached (the files are in the page cache). Warm: they all are, as in the state folder of
a host. Prints ratios; asserts nothing about them.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FIRMWARE = ('/usr/share/ovmf/OVMF.amdsev.fd', '/usr/share/OVMF/OVMF.amdsev.fd')
CPUS = ['EPYC', 'EPYC-Rome', 'EPYC-Milan', 'EPYC-Genoa', 'EPYC-Turin', '0xa00f10', '0xa00f12', '0xa10f01', '0xa10f11',
        '0xa10f12', '0xaa0f01', '0xaa0f02', '0xb00f10', '0xb00f20', '0xb00f21', '0xb10f10']
VCPUS = [1, 2, 4, 8, 16, 32, 64, 128]
CMDLINE = 'console=ttyS0 root=/dev/vda1'


def run(argv):
    """(seconds, standard output) of one whole process, which must succeed."""
    start = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f'error: {argv} failed ({done.returncode}): {done.stderr.decode(errors="replace").strip()}')
    return seconds, done.stdout.decode()


def domain_xml(options):
    return f"""<domain type='kvm'><name>bench</name><uuid>6b8b4567-0000-4000-8000-000000000001</uuid>
<memory unit='MiB'>512</memory><vcpu>4</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader type='rom' readonly='yes'>{options.firmware}</loader>
<kernel>{options.kernel}</kernel><initrd>{options.initrd}</initrd><cmdline>{CMDLINE}</cmdline></os>
<cpu mode='custom'><model>EPYC-Milan</model></cpu>
<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy></launchSecurity></domain>
"""


def compare(commands, rounds, prepare):
    """Medians of commands run in turn, and what each printed; @prepare comes before every run."""
    times = {name: [] for name in commands}
    output = {}
    for turn in range(rounds + 1):
        for name, argv in commands.items():
            prepare()
            seconds, output[name] = run(argv)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}, output


def bench_fleet(options, folder):
    """One and many, cold and warm, through libvirt's test driver, whose domains have the cache of a state folder."""
    node, config = os.path.join(folder, 'node.xml'), os.path.join(folder, 'virt-attest.conf')
    with open(node, 'w', encoding='utf-8') as out:
        out.write(f'<node>{domain_xml(options)}</node>')
    with open(config, 'w', encoding='utf-8') as out:
        out.write(f'[paths]\nstate-directory = {folder}/state\n')
    base = [options.tool, '--connect', f'test://{node}', '--config', config, 'reference', 'bench']
    commands = {'one': base, 'fleet': [*base, '--cpu', ','.join(CPUS), '--vcpus', ','.join(map(str, VCPUS))]}

    def forget():
        for path in glob.glob(f'{folder}/state/cache/*'):
            os.unlink(path)

    fleet = None
    for name, prepare in (('cold', forget), ('warm', lambda: None)):
        times, output = compare(commands, options.rounds, prepare)
        fleet = json.loads(output['fleet'])['measurements']
        if len(fleet) != len(CPUS) * len(VCPUS):
            sys.exit(f'error: {len(fleet)} measurements')
        print(f'{name} cache: one launch {times["one"] * 1000:.1f} ms, {len(fleet)} launches {times["fleet"] * 1000:.1f} ms: '
              f'ratio {times["fleet"] / times["one"]:.2f}')
    return times['fleet'], fleet


def bench_peer(options, seconds, fleet):
    """The peer's way for some of the launches, and its time for all of them; its digests must be ours."""
    script = os.path.join(options.peer, 'sev-snp-measure.py')
    spent = []
    chosen = fleet[::max(1, len(fleet) // 8)]
    for launch in chosen:
        argv = [sys.executable, script, '--mode', 'snp', '--vcpus', str(launch['vcpus']), '--vcpu-sig', launch['signature'],
                '--ovmf', options.firmware, '--kernel', options.kernel, '--initrd', options.initrd, '--append', CMDLINE]
        each, digest = run(argv)
        spent.append(each)
        if digest.strip() != launch['digest']:
            sys.exit(f'error: the peer has {digest.strip()} for {launch}')
    whole = statistics.mean(spent) * len(fleet)
    print(f'peer: {statistics.mean(spent) * 1000:.0f} ms a launch, {whole:.1f} s for {len(fleet)} (from {len(spent)} of them, '
          f'same digests): {whole / seconds:.0f} times as long as the warm fleet')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tool', required=True)
    parser.add_argument('--peer')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--firmware', default=next((path for path in FIRMWARE if os.path.exists(path)), None))
    parser.add_argument('--kernel', default=next(iter(sorted(glob.glob('/boot/vmlinuz-*'))), None))
    parser.add_argument('--initrd', default=next(iter(sorted(glob.glob('/boot/initrd.img-*'))), None))
    options = parser.parse_args()
    if not options.firmware or not options.kernel or not options.initrd:
        sys.exit('error: no firmware, kernel or initrd found: give them with --firmware, --kernel and --initrd')
    options.tool = os.path.abspath(options.tool)
    sizes = [os.path.getsize(path) / 2**20 for path in (options.firmware, options.kernel, options.initrd)]
    print('firmware {:.1f} MiB, kernel {:.1f} MiB, initrd {:.1f} MiB'.format(*sizes))
    with tempfile.TemporaryDirectory() as folder:
        seconds, fleet = bench_fleet(options, folder)
        if options.peer:
            bench_peer(options, seconds, fleet)


if __name__ == '__main__':
    main()
