#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processor time from a base image to a defined domain at level 4, beside the usual way.

    VIRT_ATTEST_BUILD=build/bench tests/bench/bench-build.py --image BASE.qcow2 [--rounds 3]

Runs 'virt-attest build' inside a private libvirtd on the platform model and counts the processor time, user and system,
of everything in its process namespace: the command, what it starts, and libvirtd with what that starts. The usual way
is
a chroot with update-initramfs and then veritysetup; its two heavy steps run here on the same machine, over the same
disk:
'veritysetup format' and 'mkinitramfs' for the host's kernel. They are a lower bound: mounting, copying and the package
tools of the chroot come on top. Prints figures and ratios; asserts nothing. Needs root.
"""
import argparse
import glob
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PRIVATE = os.path.join(os.path.dirname(HERE), 'platform', 'private-libvirtd')
TICKS = os.sysconf('SC_CLK_TCK')


def run(*argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def namespace_time():
    """Seconds of processor time that all processes here have used, those that are gone included: their parents, in
    the end
    the first process, inherit it (proc(5), stat, fields 14 to 17)."""
    total = 0
    for path in glob.glob('/proc/[0-9]*/stat'):
        try:
            with open(path, encoding='utf-8', errors='replace') as file:
                total += sum(int(field) for field in file.read().rsplit(')', 1)[1].split()[11:15])
        except (OSError, IndexError):
            pass
    return total / TICKS


def child_time(*argv):
    """(wall, processor) seconds of a program and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    run(*argv)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench_build(options):
    """Inside: processor time of the first build, which finds nothing that an earlier one kept, and the median of the
    others,
    which reuse the hash tree of the base."""
    tool = os.path.join(os.environ['VIRT_ATTEST_BUILD'], 'virsh-wrappers', 'virt-attest')
    state = os.environ['PRIVATE_LIBVIRT_STATE']
    config = os.path.join(state, 'virt-attest.conf')
    with open(config, 'w', encoding='utf-8') as out:
        folder = os.path.join(os.environ['VIRT_ATTEST_BUILD'], 'guest')
        out.write(f"[guest]\ninit = {folder}/guest-init\nreport = {folder}/report/guest-report\n")
    os.environ['VIRT_ATTEST_CONFIG'] = config
    pool = os.path.join(state, 'pool')
    os.mkdir(pool)
    run('virsh', '-q', 'pool-define-as', 'default', 'dir', '--target', pool)
    run('virsh', '-q', 'pool-start', 'default')
    times = []
    for turn in range(options.rounds):
        wall, cpu = time.perf_counter(), namespace_time()
        run(tool, 'build', '--base', options.image, '--name', f'bench{turn}', '--level', '4', '--cpu-model',
            'EPYC-Milan')
        times.append(namespace_time() - cpu)
        print(f'build, run {turn + 1}: {times[-1]:.2f} s of processor time, {time.perf_counter() - wall:.2f} s',
              flush=True)
    return times[0], statistics.median(times[1:] or times)


def bench_usual(options):
    """Outside or inside alike: (name, wall, processor) of the heavy steps of the usual way."""
    folder = tempfile.mkdtemp(prefix='virt-attest-bench-')
    rows = []
    try:
        raw = os.path.join(folder, 'image.raw')
        run('qemu-img', 'convert', '-O', 'raw', options.image, raw)
        size = os.path.getsize(raw) / 2 ** 30
        rows.append((f'veritysetup format, {size:.0f} GiB', *child_time('veritysetup', 'format', raw,
                                                                        os.path.join(folder, 'tree'))))
        releases = sorted(glob.glob('/boot/vmlinuz-*'))
        if releases and shutil.which('mkinitramfs'):
            release = releases[-1].split('vmlinuz-', 1)[1]
            rows.append((f'mkinitramfs {release}', *child_time('mkinitramfs', '-o', os.path.join(folder, 'initrd'),
                                                               release)))
    finally:
        shutil.rmtree(folder)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--image', required=True, type=os.path.abspath,
                        help="base image, from 'virt-attest image-build'")
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    if not os.environ.get('VIRT_ATTEST_BUILD'):
        sys.exit('error: VIRT_ATTEST_BUILD does not name a build directory (without sanitizers)')
    if not os.environ.get('PRIVATE_LIBVIRT_STATE'):
        os.environ['VIRT_ATTEST_BUILD'] = os.path.abspath(os.environ['VIRT_ATTEST_BUILD'])
        os.execv(PRIVATE, [PRIVATE, '--model', sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    first, again = bench_build(options)
    print(f'build from base to a defined level 4 domain: {first:.2f} s of processor time for the first of a base, '
          f'{again:.2f} s for another (median of {max(options.rounds - 1, 1)})')
    total = 0.0
    for name, other_wall, other_cpu in bench_usual(options):
        total += other_cpu
        print(f'{name}: {other_cpu:.2f} s of processor time, {other_wall:.2f} s')
    print(f'the usual way takes at least {total:.2f} s of processor time: {total / first:.1f} times the first, '
          f'{total / again:.1f} times another')


if __name__ == '__main__':
    main()
