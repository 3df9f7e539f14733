#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verdicts over reports per second, against what one verification of an ECDSA P-384 signature costs at least.

A verdict is all of it: report parsed, signature and chain verified, every check judged. The certificate is one that was
parsed for an earlier report ("known"), or is parsed every time ("new").

    tests/bench/bench-appraisal.py --program build/bench/tests/bench/bench-appraisal [--seconds N] [--rounds N]

The program comes from a build without sanitizers (meson setup build/bench --buildtype=release; ninja -C build/bench
tests/bench/bench-appraisal). The limit is that of `openssl speed ecdsap384`, run in turn with it so that a busy machine
hurts both alike, and counted as it is: per second of CPU. Prints ratios; asserts nothing.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile


def limit(seconds):
    """Verifications per second of CPU, of the openssl program."""
    done = subprocess.run(['openssl', 'speed', '-mr', '-seconds', str(seconds), 'ecdsap384'], capture_output=True,
                          text=True, check=True)
    # index, bits, signatures per second, verifications per second
    row = next(line for line in done.stdout.splitlines() if line.startswith('+F4:') and line.split(':')[2] == '384')
    return float(row.split(':')[4])


def output(*argv):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stdout


def cpu_of(argv):
    """Milliseconds of CPU of one whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--program', required=True)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    cases = [(threads, word) for word in ('known', 'new') for threads in (1, 2)]
    rates = {case: [] for case in ['openssl'] + cases}
    with tempfile.TemporaryDirectory() as folder:
        output(options.program, '--write', folder)
        for _ in range(options.rounds):
            rates['openssl'].append(limit(options.seconds))
            for case in cases:
                rates[case].append(tuple(map(float, output(options.program, '--warm', folder, options.seconds,
                                                           *case).split())))
        cold = statistics.median(cpu_of([options.program, '--once', folder]) for _ in range(20))
    best = statistics.median(rates['openssl'])
    print(f'{"":34}{"per CPU second":>16}{"per second":>12}{"of the limit":>14}')
    print(f'{"openssl speed ecdsap384, verify":34}{best:16.0f}{"":12}{100:13.0f}%')
    for threads, word in cases:
        cpu, clock = (statistics.median(pair[i] for pair in rates[threads, word]) for i in (0, 1))
        print(f'{f"{word} certificate, {threads} thread(s)":34}{cpu:16.0f}{clock:12.0f}{100 * cpu / best / threads:13.0f}%')
    print(f'first verification of a process, anchors from a file: {cold:.1f} ms of CPU')
    print(f'{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}')


if __name__ == '__main__':
    sys.exit(main())
