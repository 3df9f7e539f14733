#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compare virt-attest with what an unmodified QEMU hands to the platform model.

Every configuration is drawn from its own random numbers (seed and index), is
launched on the model, and is measured by `virt-attest measure` twice: with
explicit options, and from a domain XML that says the same. The prediction of
predict.py is the third opinion. A launch that QEMU or the model refuses has to
be refused by the tool as well.

Without --tool only the model and the prediction are compared.
"""
import argparse
import concurrent.futures
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape, quoteattr

sys.dont_write_bytecode = True
import launch  # noqa: E402
import predict  # noqa: E402

FIRMWARE = '/usr/share/ovmf'
CANNOT_MEASURE = 3
CMDLINES = (
    None, '', 'console=ttyS0', 'console=ttyS0 root=/dev/vda1 ro  ', ' leading and  double blanks', 'quotes="a b" \'c\'',
    'entities=<a>&b;"c"', 'müsli=ü 日本語 🔒', 'tab\there', 'comma,separated=,,values', 'x' * 2000,
)
MODELS = (
    'EPYC', 'EPYC-v1', 'EPYC-v2', 'EPYC-v3', 'EPYC-v4', 'EPYC-IBPB', 'EPYC-Rome', 'EPYC-Rome-v1', 'EPYC-Rome-v2',
    'EPYC-Rome-v3', 'EPYC-Rome-v4', 'EPYC-Milan', 'EPYC-Milan-v1', 'EPYC-Milan-v2', 'EPYC-Genoa', 'EPYC-Genoa-v1',
)


def read(path):
    if path is None:
        return None
    with open(path, 'rb') as file:
        return file.read()


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def without_hash_area(image):
    """The image with a hash-table area of base 0: the firmware has no place for the table."""
    at = image.rindex(predict.guid(predict.HASH_TABLE_AREA))
    length, = struct.unpack_from('<H', image, at - 2)
    start = at + 16 - length
    return image[:start] + bytes(8) + image[start + 8:]


def without_hash_section(image):
    """The image whose metadata calls the section of the kernel hashes plain memory."""
    offset, = struct.unpack('<I', predict.Firmware(image).entry(predict.METADATA, 4))
    at = len(image) - offset + 16
    while struct.unpack_from('<I', image, at + 8)[0] != 0x10:
        at += 12
    return image[:at + 8] + struct.pack('<I', 1) + image[at + 12:]


def small_kernel(rng):
    """Just enough of a Linux boot header for QEMU, around random bytes."""
    kernel = bytearray(rng.randbytes(rng.randrange(8192, 65536)))
    kernel[0x1f1] = 4
    struct.pack_into('<HH4sH', kernel, 0x1fe, 0xaa55, 0x66eb, b'HdrS', 0x020c)
    kernel[0x211] = 1
    struct.pack_into('<I', kernel, 0x22c, 0x37ffffff)
    struct.pack_into('<IB', kernel, 0x230, 0x200000, 1)
    struct.pack_into('<I', kernel, 0x238, 2047)
    return bytes(kernel)


class Inputs:
    """The files that all configurations draw from, made in @folder."""

    def __init__(self, folder):
        amdsev, generic = (read(f'{FIRMWARE}/{name}') for name in ('OVMF.amdsev.fd', 'OVMF.fd'))
        bare = without_hash_section(without_hash_area(generic))
        self.folder = folder
        self.firmware = {
            'amdsev': f'{FIRMWARE}/OVMF.amdsev.fd',
            'generic': f'{FIRMWARE}/OVMF.fd',
            'no-area': write(folder, 'no-area.fd', without_hash_area(generic)),
            'no-section': write(folder, 'no-section.fd', without_hash_section(amdsev)),
            'bare': write(folder, 'bare & plain.fd', bare),
        }
        self.kernels = sorted(f'/boot/{name}' for name in os.listdir('/boot') if name.startswith('vmlinuz-'))


class Configuration:
    def __init__(self, inputs, seed, index):
        rng = random.Random(f'{seed}:{index}')
        self.folder = tempfile.mkdtemp(prefix=f'{index}-', dir=inputs.folder)
        self.platform = rng.choices(('sev-snp', 'sev-es', 'sev'), (80, 12, 8))[0]
        self.flavour = rng.choices(tuple(inputs.firmware), (45, 20, 10, 10, 15))[0]
        self.firmware = inputs.firmware[self.flavour]
        self.cpu = rng.choice(MODELS)
        low, high = rng.choices(((1, 8), (9, 64), (65, 255)), (80, 15, 5))[0]
        self.vcpus = rng.randint(low, high)
        self.max_vcpus = rng.randint(self.vcpus, min(255, 2 * self.vcpus)) if rng.random() < 0.4 else self.vcpus
        self.pflash = self.platform != 'sev-snp' and rng.random() < 0.5
        self.kernel = self.initrd = self.cmdline = None
        self.kernel_hashes = False
        if rng.random() < 0.75:
            self.draw_kernel(inputs, rng)
        self.cpu_form = rng.choice(('type', 'sig', 'family'))
        self.entities = rng.random() < 0.3

    def draw_kernel(self, inputs, rng):
        if inputs.kernels and rng.random() < 0.2:
            self.kernel = rng.choice(inputs.kernels)
        else:
            self.kernel = write(self.folder, 'kernel', small_kernel(rng))
        size = rng.choice((None, 0, 1, rng.randrange(2, 300000)))
        if size is not None:
            self.initrd = write(self.folder, 'initrd', rng.randbytes(size))
        self.cmdline = rng.choice(CMDLINES)
        self.kernel_hashes = rng.random() < (0.85 if self.flavour in ('amdsev', 'generic') else 0.25)

    def __str__(self):
        def size(path):
            return 'none' if path is None else str(os.path.getsize(path))
        return (f'{self.platform} {self.flavour} {self.cpu} vcpus={self.vcpus}/{self.max_vcpus} '
                f'kernel={size(self.kernel)} initrd={size(self.initrd)} '
                f'cmdline={ascii(self.cmdline)[:30]} hashes={"on" if self.kernel_hashes else "off"}')

    def launched(self, library, legacy_vm_type=None):
        """The digest of the launch; None when it was refused."""
        try:
            document = launch.launch(
                self.platform, self.firmware, vcpus=self.vcpus, cpu=self.cpu, max_vcpus=self.max_vcpus,
                kernel=self.kernel, initrd=self.initrd, cmdline=self.cmdline, kernel_hashes=self.kernel_hashes,
                legacy_vm_type=legacy_vm_type, pflash=self.pflash, library=library)
        except launch.LaunchFailed as error:
            if 'ended with 1:' not in str(error):
                raise
            return None
        return document['digest']

    def predicted(self, legacy_vm_type=None):
        try:
            return predict.predict(
                self.platform, read(self.firmware), self.vcpus, self.cpu, read(self.kernel), read(self.initrd),
                self.cmdline.encode() if self.cmdline is not None else None, self.kernel_hashes, legacy_vm_type)
        except predict.Unpredictable:
            return None

    @property
    def silently_unmeasured(self):
        """QEMU takes kernel-hashes=on, finds no section to put the table into, and launches without it: such a
        launch has a digest that says nothing about the kernel. Whoever predicts it has to refuse."""
        return self.platform == 'sev-snp' and self.flavour == 'no-section' and self.kernel_hashes

    def cpu_options(self):
        if self.cpu_form == 'type':
            return ['--vcpu-type', self.cpu]
        if self.cpu_form == 'sig':
            return ['--vcpu-sig', hex(predict.signature(self.cpu))]
        base = next(name for name in sorted(predict.CPU_MODELS, key=len, reverse=True) if self.cpu.startswith(name))
        family, model, stepping = predict.CPU_MODELS[base]
        return ['--vcpu-family', str(family), '--vcpu-model', str(model), '--vcpu-stepping', str(stepping)]

    def options(self):
        mode = {'sev-snp': 'snp', 'sev-es': 'seves', 'sev': 'sev'}[self.platform]
        options = ['--mode', mode, '--vcpus', str(self.vcpus), *self.cpu_options(), '--ovmf', self.firmware]
        if self.kernel_hashes:
            options += ['--kernel', self.kernel]
            for option, value in ('--initrd', self.initrd), ('--append', self.cmdline):
                if value is not None:
                    options += [option, value]
        return options

    def text(self, value):
        if self.entities:
            return ''.join(c if c.isalnum() and c.isascii() else f'&#x{ord(c):x};' for c in value)
        return escape(value)

    def xml(self):
        kind = 'pflash' if self.pflash else 'rom'
        parts = ''.join(f'<{name}>{self.text(value)}</{name}>' for name, value in
                        (('kernel', self.kernel), ('initrd', self.initrd), ('cmdline', self.cmdline))
                        if value is not None)
        hashes = ' kernelHashes="yes"' if self.kernel_hashes else ''
        snp = self.platform == 'sev-snp'
        policy = launch.DEFAULT_POLICY[self.platform]
        current = f' current={quoteattr(str(self.vcpus))}' if self.vcpus != self.max_vcpus else ''
        return f'''<domain type='kvm'>
  <name>differential</name>
  <uuid>2d0d1c4a-0fb5-4f2b-8e5f-6b6f7d1e8a10</uuid>
  <memory unit='MiB'>256</memory>
  <vcpu placement='static'{current}>{self.max_vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='{kind}'>{escape(self.firmware)}</loader>
    {parts}
  </os>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>{self.cpu}</model></cpu>
  <devices/>
  <launchSecurity type='{"sev-snp" if snp else "sev"}'{hashes}>
    <cbitpos>51</cbitpos>
    <reducedPhysBits>1</reducedPhysBits>
    <policy>{policy:#x}</policy>
  </launchSecurity>
</domain>
'''


def run_tool(arguments):
    """(digest or None, what was said) of one run; a refusal must say so with its exit code."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    said = done.stderr.strip()
    if done.returncode == CANNOT_MEASURE and not done.stdout:
        return None, said
    if done.returncode != 0:
        return f'exit code {done.returncode}', said
    return done.stdout.strip(), said


def measured_from_xml(tool, configuration):
    path = os.path.join(configuration.folder, 'domain.xml')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(configuration.xml())
    output, said = run_tool([tool, 'measure', '--format', 'json', path])
    if output is None or output.startswith('exit code'):
        return output, said
    try:
        return ' '.join(entry['digest'] for entry in json.loads(output)['measurements']), said
    except (ValueError, KeyError, TypeError) as error:
        return f'no document ({error!r})', said


def compare(configuration, tool, library):
    """The differences found, as lines of text."""
    found = []

    def check(what, wanted, opinion, got, said=''):
        if got != wanted:
            found.append(f'{what}: model {wanted}, {opinion} {got} {said}'.rstrip())

    wanted = configuration.launched(library)
    if configuration.silently_unmeasured:
        configuration.kernel_hashes = False
        check('launch without the kernel', wanted, 'prediction', configuration.predicted())
        configuration.kernel_hashes = True
        wanted = None
    check('launch', wanted, 'prediction', configuration.predicted())
    # Explicit options follow the common tool, which knows only the newer SEV-ES machines; libvirt makes the older ones.
    plain = wanted
    if configuration.platform == 'sev-es':
        plain = configuration.launched(library, 'off')
        check('launch, newer machine', plain, 'prediction', configuration.predicted('off'))
    if tool is not None:
        check('options', plain, 'virt-attest', *run_tool([tool, 'measure', *configuration.options()]))
        check('domain XML', wanted, 'virt-attest', *measured_from_xml(tool, configuration))
    return found, wanted


def compare_safely(configuration, tool, library):
    """A configuration that cannot be compared is a failure of that one, not the end of the run."""
    try:
        return compare(configuration, tool, library)
    except (launch.LaunchFailed, subprocess.TimeoutExpired, OSError) as error:
        return [str(error)], None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--tool', help='virt-attest')
    parser.add_argument('--model-library', required=True)
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--seed', default=None)
    parser.add_argument('--only', type=int, help='one configuration, shown in full')
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else str(random.SystemRandom().randrange(1 << 32))
    if not re.fullmatch(r'[0-9A-Za-z]+', seed):
        parser.error('a seed is letters and digits')
    for needed in '/dev/kvm', f'{FIRMWARE}/OVMF.amdsev.fd', f'{FIRMWARE}/OVMF.fd':
        if not os.path.exists(needed):
            print(f'1..0 # SKIP no {needed}')
            return 0

    indices = range(given.count) if given.only is None else [given.only]
    print(f'# seed {seed}: replay one with --seed {seed} --only INDEX\n1..{len(indices)}', flush=True)
    failed = refused = 0
    with tempfile.TemporaryDirectory(prefix='differential-') as folder, \
            concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        inputs = Inputs(folder)
        configurations = [Configuration(inputs, seed, index) for index in indices]
        if given.only is not None:
            print('# ' + configurations[0].xml().replace('\n', '\n# '))
            print(f'# {configurations[0].options()}')
        results = pool.map(lambda configuration: compare_safely(configuration, given.tool, given.model_library),
                           configurations)
        for number, (configuration, (found, wanted)) in enumerate(zip(configurations, results), 1):
            failed += bool(found)
            refused += wanted is None
            print(f'{"not ok" if found else "ok"} {number} - {indices[number - 1]} {configuration} '
                  f'{wanted[:16] if wanted else "refused"}', flush=True)
            for line in found:
                print('# ' + line.replace('\n', '\n# '))
    print(f'# {len(indices)} configurations, {refused} of them to be refused, {failed} differ')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
