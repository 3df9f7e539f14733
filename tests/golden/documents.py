#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documentation against behaviour: manual pages, help, the policy file's schema, its parser and its sample.

documents.py VIRT-ATTEST: run by meson.
"""
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / 'tests' / 'libvirt'))
from harness import Tap  # noqa: E402

PAGES = sorted((SOURCE / 'virsh-wrappers' / 'man').glob('*.rst')) + sorted(SOURCE.glob('*/*.rst'))
SCHEMA = json.loads((SOURCE / 'policy' / 'appraisal' / 'policy.schema.json').read_text(encoding='utf-8'))


def resolve(node):
    while '$ref' in node:
        node = SCHEMA['$defs'][node['$ref'].rsplit('/', 1)[1]]
    return node


def words(node):
    """Every word that the schema lists for a value."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from value if name == 'enum' else words(value)
    elif isinstance(node, list):
        for value in node:
            yield from words(value)


HEX = {r'^0x(0|[1-9a-f][0-9a-f]{0,15})$': '0x1', r'^[0-9]{1,3}\.[0-9]{1,3}$': '1.55',
       r'^[0-9]{1,3}(\.[0-9]{1,3}){1,2}$': '1.55.29', r'^[ -~]{1,255}$': 'provider',
       r'^[0-9a-f]{96}$': 'a5' * 48, r'^([0-9a-f]{16}|[0-9a-f]{128})$': 'a5' * 64}


def samples(node):
    """Values that the schema accepts: each word, each bound, each member of an object with those that it requires."""
    node = resolve(node)
    if 'enum' in node:
        yield from node['enum']
    elif node['type'] == 'array' and 'enum' in resolve(node['items']):
        yield list(samples(node['items']))
    elif node['type'] == 'array':
        for value in samples(node['items']):
            yield [value]
    elif node['type'] == 'object':
        required = {name: next(samples(node['properties'][name])) for name in node.get('required', [])}
        for name, value in node['properties'].items():
            needs = {need: next(samples(node['properties'][need]))
                     for need in node.get('dependentRequired', {}).get(name, [])}
            found = list(samples(value))
            # The bounds are enough: every document is a process.
            for sample in found[:1] + found[-1:] if len(found) > 1 else found:
                yield {**required, **needs, name: sample}
    elif node['type'] == 'integer':
        yield from (node['minimum'], node['maximum'])
    elif node['type'] == 'boolean':
        yield from (False, True)
    else:
        pattern = node.get('pattern')
        if pattern and pattern.startswith('^(any|'):
            yield from ('any', 'a5' * (int(re.search(r'\{(\d+)\}', pattern)[1]) // 2))
        else:
            yield HEX[pattern] if pattern else 'words'


class Parser:
    """The real parser, behind 'verify --policy'. Nobody has signed the report, so a good file gives exit code 1."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        spec = importlib.util.spec_from_file_location('golden', SOURCE / 'tests' / 'golden' / 'cli' / 'golden-cli.py')
        golden = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(golden)
        (folder / 'report.bin').write_bytes(golden.snp_report())
        (folder / 'virt-attest.conf').write_text(f'[paths]\nstate-directory = {folder}/state\n', encoding='utf-8')

    def fault(self, document):
        (self.folder / 'policy.json').write_text(json.dumps(document), encoding='utf-8')
        environment = {**os.environ, 'HOME': str(self.folder),
                       'VIRT_ATTEST_CONFIG': str(self.folder / 'virt-attest.conf')}
        done = subprocess.run([self.program, '-q', 'verify', 'report.bin', '--policy', 'policy.json'], cwd=self.folder,
                              env=environment, capture_output=True, text=True, check=False)
        return '' if done.returncode == 1 else f'exit {done.returncode}: {done.stderr}'


def test_pages(tap, program):
    broken = [page.name for page in PAGES if re.search(r'^(<{7}|>{7}) ', page.read_text(encoding='utf-8'), re.M)]
    tap.check(len(PAGES) > 40 and not broken, f'no page has leftovers of a merge ({broken})')
    overview = subprocess.run([program, '--help'], capture_output=True, text=True, check=True).stdout
    listed = overview[:overview.index('Options of every command')].split('Commands:')[1]
    commands = re.findall(r'^  ([a-z][a-z-]+) ', listed, re.M)
    silent = [name for name in commands
              if not subprocess.run([program, name, '--help'], capture_output=True, text=True,
                                    check=True).stdout.startswith(f'Usage: virt-attest {name} ')]
    tap.check(len(commands) > 30 and not silent, f'the help of every command says how it is used ({silent})')
    lost = [name for name in commands if not (SOURCE / 'virsh-wrappers' / 'man' / f'{name}.rst').exists()]
    tap.check(not lost, f'every command has a page ({lost})')


def test_policy(tap, parser):
    text = (SOURCE / 'virsh-wrappers' / 'man' / 'verify.rst').read_text(encoding='utf-8')
    known = (SOURCE / 'policy' / 'appraisal' / 'rules-read.c').read_text(encoding='utf-8')
    members = re.findall(r'"(\w+)"', re.search(r'members\[\] = \{(.*?)\}', known, re.S)[1])
    tap.check(sorted(members) == sorted(SCHEMA['properties']), 'parser and schema know the same members')
    unsaid = [word for word in [*SCHEMA['properties'], *words(SCHEMA)] if not re.search(rf'\b{word}\b', text)]
    tap.check(not unsaid, f'the manual page has every member and every word of the schema ({unsaid})')
    faults = []
    count = 0
    for name, node in SCHEMA['properties'].items():
        if name == 'format':
            continue
        for value in samples(node):
            count += 1
            fault = parser.fault({'format': 'virt-attest-policy-1', name: value})
            if fault:
                faults.append((name, value, fault))
    tap.check(count > 50 and not faults, f'the parser takes what the schema allows, {count} documents ({faults[:3]})')
    for name, value in (('vmpl', 4), ('products', []), ('platformInfo', {'mask': '0x1'}), ('hostData', 'A5' * 32),
                        ('policy', {'allowed': ['ecc']}), ('minimumTcb', {'reported': {}}), ('vmpl', '0'),
                        ('chips', ['a5']), ('foo', 1)):
        fault = parser.fault({'format': 'virt-attest-policy-1', name: value})
        tap.check(name in fault and "policy file 'policy.json'" in fault,
                  f'and not {name}: {json.dumps(value)} ({fault.strip()})')
    sample = json.loads((SOURCE / 'examples' / 'policy.json').read_text(encoding='utf-8'))
    tap.check(not parser.fault(sample), 'it takes the sample')
    shown = re.search(r'Another one::\n\n(.*?)\n\n\S', text, re.S)[1]
    fault = parser.fault(json.loads(re.sub('[0-9a-f]{8}…', 'a5' * 48, shown)))
    tap.check(not fault, f'and the one of the manual page ({fault})')


def main():
    tap = Tap()
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        tap.where = 'pages'
        test_pages(tap, program)
        tap.where = 'policy file'
        test_policy(tap, Parser(program, pathlib.Path(folder)))
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
