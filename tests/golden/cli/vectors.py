#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs `virt-attest measure --mode …` on every row of the collected vectors: the numbers of other implementations.

The folder is named by VIRT_ATTEST_VECTORS; without it the test is skipped.
"""
import base64
import csv
import os
import pathlib
import subprocess
import sys

TABLES = (('vectors.tsv', 'vcpu_type', 'expected'), ('vectors-derived.tsv', 'vcpu_type_or_sig', 'expected_hex'))
# What the command line cannot ask for: EC2 before it changed its VMSA.
FOREIGN_VMMS = ('ec2-rdx0',)


def rows(folder):
    for name, cpu_column, expected_column in TABLES:
        with open(folder / name, encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE):
                yield {**row, 'cpu': row[cpu_column], 'expected': row[expected_column]}


def path(folder, text):
    return '/dev/null' if text.startswith('empty') else str(folder / 'measurement' / text)


def arguments(folder, row):
    words = ['--mode', row['mode'], '--ovmf', path(folder, row['ovmf'])]
    if row['mode'] == 'snp:svsm':
        words += ['--svsm', path(folder, 'svsm.bin'), '--vars-size', '540672', '--vcpus', row['vcpus'], '--vcpu-type',
                  row['cpu']]
    if row['mode'] in ('snp', 'seves'):
        words += ['--vcpus', row['vcpus']]
        if row['cpu'] != '-':
            words += ['--vcpu-sig' if row['cpu'].startswith('0x') else '--vcpu-type', row['cpu']]
        elif row['vmm_type'] == 'QEMU':
            words += ['--vcpu-type', 'EPYC']
        if row['vmm_type'] == 'QEMU-legacy':
            words += ['--vmsa-fpu', 'legacy']
        else:
            words += ['--vmm-type', row['vmm_type']]
        words += ['--guest-features', row['sev_features']]
    for part in 'kernel', 'initrd':
        if row[part] not in ('-', 'absent'):
            words += [f'--{part}', path(folder, row[part])]
    if row['append'] not in ('-', 'absent'):
        words += ['--append', '' if row['append'] == '""' else row['append']]
    return words


def check(program, words, expected):
    """A sentence when the program does not say what it should."""
    done = subprocess.run([program, 'measure', *words], capture_output=True, text=True, check=False)
    if expected.startswith('ERROR'):
        refused = done.returncode == 3 and not done.stdout and done.stderr.startswith('error: ')
        return None if refused else f'not refused: {done}'
    if done.returncode != 0 or done.stdout != expected + '\n':
        return f'expected {expected}: {done}'
    done = subprocess.run([program, 'measure', *words, '--output-format', 'base64'], capture_output=True, text=True,
                          check=False)
    wanted = base64.b64encode(bytes.fromhex(expected)).decode() + '\n'
    return None if done.stdout == wanted else f'expected {wanted}: {done}'


def main():
    program = sys.argv[1]
    folder = pathlib.Path(os.environ.get('VIRT_ATTEST_VECTORS') or '/nonexistent')
    if not (folder / 'vectors.tsv').exists():
        print('1..0 # SKIP no vectors: set the option "vectors"')
        return 0
    table = list(rows(folder))
    print(f'1..{len(table)}')
    failed = 0
    for number, row in enumerate(table, 1):
        if row['vmm_type'] in FOREIGN_VMMS:
            print(f'ok {number} {row["id"]} # SKIP not on the command line')
            continue
        problem = check(program, arguments(folder, row), row['expected'])
        print(f'{"not ok" if problem else "ok"} {number} {row["id"]}')
        if problem:
            failed += 1
            print('# ' + problem.replace('\n', '\n# '))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
