# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end-to-end tests share.

A test file calls run(): outside it starts itself again inside private-libvirtd
with the platform model, inside it runs the test functions, each of which gets a
Tap. Everything that a test writes lies in private-libvirtd's own folders, which
vanish with its namespaces: nothing here removes a tree.

VIRT_ATTEST_TEST_ONLY=WORD runs the test functions with that word in their
names, VIRT_ATTEST_TEST_SEED repeats the random ones.

Digests that are expected come from the platform model's documents, never from
the program under test.
"""
import glob
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import struct
import subprocess
import sys
import time
import traceback
import uuid
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PLATFORM = os.path.join(os.path.dirname(HERE), 'platform')
sys.path.insert(0, PLATFORM)

AMDSEV = '/usr/share/ovmf/OVMF.amdsev.fd'
HOOK_FOLDER = '/etc/libvirt/hooks/qemu.d'
HOOK = f'{HOOK_FOLDER}/50-virt-attest'
CONFIG = '/etc/virt-attest/virt-attest.conf'
STATE = '/var/lib/virt-attest'
NAMESPACE = 'urn:virt-attest:domain:1'
INSIDE = 'VIRT_ATTEST_LIBVIRT_TEST_INSIDE'
REJECTED, USAGE, CANNOT_READ, NOT_CONFIGURED, LIBVIRT_REFUSED = 1, 2, 3, 4, 5


#
# TAP
#
def asked_from():
    """The line of the test that asks, for a failure that has nothing else to say."""
    frame = next(each for each in reversed(traceback.extract_stack())
                 if each.name not in ('asked_from', 'check', 'equal', 'contains'))
    return f'{os.path.basename(frame.filename)}, line {frame.lineno}: {frame.line}'


class Tap:
    def __init__(self):
        self.number = self.failed = 0
        self.where = ''

    def check(self, good, name, detail=''):
        self.number += 1
        self.failed += not good
        name = f'{self.where}: {name}'.replace('#', '\\#').replace('\n', ' ')
        print(f'{"ok" if good else "not ok"} {self.number} - {name}', flush=True)
        if not good:
            print('# ' + (str(detail) or asked_from()).replace('\n', '\n# '), flush=True)
        return good

    def equal(self, got, wanted, name, detail=''):
        return self.check(got == wanted, name, f'got {got!r}\nwanted {wanted!r}\n{detail}')

    def contains(self, text, parts, name):
        missing = [part for part in parts if part not in text]
        return self.check(not missing, name, f'missing {missing} in:\n{text}')

    def comment(self, text):
        print('# ' + str(text).replace('\n', '\n# '), flush=True)


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


#
# Outside and inside
#
def program(name):
    return os.path.join(os.environ['VIRT_ATTEST_BUILD'], name)


def run(tests, arguments=(), attested=False):
    """Run @tests, functions of a Tap, inside private-libvirtd; the end of the program. @attested: SEV-SNP domains are
    launched on the model and then run under TCG."""
    if os.environ.get(INSIDE):
        sys.exit(run_inside(tests))
    if not os.environ.get('VIRT_ATTEST_BUILD'):
        skip('VIRT_ATTEST_BUILD does not name a build directory')
    private = os.path.join(PLATFORM, 'private-libvirtd')
    check = subprocess.run([private, '--check'], capture_output=True, text=True)
    if check.returncode == 77:
        skip(check.stderr.strip().removeprefix('error: '))
    for path in AMDSEV, *boot_files():
        if not path or not os.path.exists(path):
            skip('no AmdSev firmware, or no kernel and initrd in /boot')
    os.environ[INSIDE] = '1'
    os.environ['PATH'] = f'{program("virsh-wrappers")}:{os.environ["PATH"]}'
    os.execv(private, [private, '--attested' if attested else '--model', sys.executable, os.path.abspath(sys.argv[0]),
                       *arguments])


def run_inside(tests):
    tap = Tap()
    only = os.environ.get('VIRT_ATTEST_TEST_ONLY')
    for test in tests:
        if only and only not in test.__name__ and test.__name__ != 'test_install':
            continue
        tap.where = test.__name__.removeprefix('test_').replace('_', ' ')
        begin = time.monotonic()
        try:
            test(tap)
        except Exception:  # pylint: disable=broad-except
            tap.check(False, 'runs to its end', traceback.format_exc())
        tap.comment(f'{tap.where}: {time.monotonic() - begin:.1f} s')
    print(f'1..{tap.number}', flush=True)
    return 1 if tap.failed else 0


#
# Programs
#
class Failed(Exception):
    """A program that had to succeed did not."""


def call(*command, check=True, given=None, timeout=300, **options):
    done = subprocess.run(command, input=given, stdin=None if given is not None else subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise Failed(f'{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}')
    return done


def virsh(*arguments, **options):
    return call('virsh', '-q', *arguments, **options)


def attest(*arguments, **options):
    return call(program('virsh-wrappers/virt-attest'), *arguments, **options)


def daemon(action):
    call('private-libvirtctl', action)


def install_hook(reload=True):
    os.makedirs(HOOK_FOLDER, exist_ok=True)
    shutil.copyfile(program('hooks/50-virt-attest'), HOOK + '.new')
    os.chmod(HOOK + '.new', 0o755)
    os.rename(HOOK + '.new', HOOK)
    if reload:
        daemon('reload')


def write_config(text):
    """Set the configuration; None leaves the defaults."""
    os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
    if text is not None:
        write(CONFIG, text)
    elif os.path.exists(CONFIG):
        os.unlink(CONFIG)


#
# Files
#
def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, data):
    """Write a file of the tests; @data is bytes or text."""
    with open(path, 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def scratch(name):
    """The path of a file that may be written."""
    return os.path.join(os.environ['PRIVATE_LIBVIRT_STATE'], name)


def sha256(path):
    return hashlib.sha256(read(path)).hexdigest()


def boot_files():
    """(kernel, initrd) of the machine: real ones."""
    kernels, initrds = sorted(glob.glob('/boot/vmlinuz-*')), sorted(glob.glob('/boot/initrd.img-*'))
    return (kernels[-1], initrds[-1]) if kernels and initrds else (None, None)


def small_kernel(seed):
    """Just enough of a Linux boot header for QEMU, around bytes that depend on @seed."""
    kernel = bytearray(random.Random(seed).randbytes(16384))
    kernel[0x1f1] = 4
    struct.pack_into('<HH4sH', kernel, 0x1fe, 0xaa55, 0x66eb, b'HdrS', 0x020c)
    kernel[0x211] = 1
    struct.pack_into('<I', kernel, 0x22c, 0x37ffffff)
    struct.pack_into('<IB', kernel, 0x230, 0x200000, 1)
    struct.pack_into('<I', kernel, 0x238, 2047)
    return bytes(kernel)


def small_boot_files(name):
    """(kernel, initrd) of the tests' own: small, and different for every @name."""
    return (write(scratch(f'{name}.kernel'), small_kernel(name)),
            write(scratch(f'{name}.initrd'), random.Random(name).randbytes(5000)))


def tree(folder):
    """What a folder holds: path -> mode and content, for comparing before and after. Locks and temporary files too."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.join(parent, name)] = os.lstat(os.path.join(parent, name)).st_mode
        for name in files:
            path = os.path.join(parent, name)
            found[path] = (os.lstat(path).st_mode, sha256(path))
    return found


#
# Domains
#
def domain_uuid(name):
    """The UUID that domain_xml() gives to a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


LAUNCH_SECURITY = {'sev-snp': 0x30000, 'sev': 0x1, 'sev-es': 0x5}


def domain_xml(name, platform='sev-snp', kernel_hashes=True, policy=None, security='', vcpus='<vcpu>1</vcpu>',
               cpu='EPYC-Milan', firmware=AMDSEV, kernel=None, initrd=None, cmdline=None, metadata='', devices='',
               memory=128):
    """A domain as a user would write it. @platform None: an ordinary one; @security goes into <launchSecurity>."""
    boot = ''.join(f'<{tag}>{escape(value)}</{tag}>' for tag, value in
                   (('kernel', kernel), ('initrd', initrd), ('cmdline', cmdline)) if value is not None)
    loader = f"<loader type='rom' readonly='yes'>{escape(firmware)}</loader>" if firmware else ''
    launch = ''
    if platform:
        policy = LAUNCH_SECURITY[platform] if policy is None else policy
        hashes = f" kernelHashes='{'yes' if kernel_hashes else 'no'}'"
        kind = 'sev-snp' if platform == 'sev-snp' else 'sev'
        launch = f"<launchSecurity type='{kind}'{hashes}><policy>{policy:#x}</policy>{security}</launchSecurity>"
    cpu_xml = ''
    if cpu:
        cpu_xml = f"<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>{cpu}</model></cpu>"
    return f'''<domain type='kvm'>
  <name>{escape(name)}</name>
  <uuid>{domain_uuid(name)}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory}</memory>
  {vcpus}
  <os><type arch='x86_64' machine='q35'>hvm</type>{loader}{boot}</os>
  {cpu_xml}
  <devices><memballoon model='none'/>{devices}</devices>
  {launch}
</domain>
'''


def plain_xml(name, **shape):
    return domain_xml(name, platform=None, firmware=None, cpu=None, memory=32, **shape)


def virsh_define(xml, **options):
    return virsh('define', write(scratch('define.xml'), xml), **options)


def redefine(name, *changes):
    """Edit the persistent definition as `virsh edit` would: replace each (pattern, text) once."""
    xml = virsh('dumpxml', '--inactive', '--domain', name).stdout
    for pattern, text in changes:
        xml, count = re.subn(pattern, lambda _: text, xml, count=1, flags=re.S)
        if count != 1:
            raise Failed(f'{pattern} is not in\n{xml}')
    virsh_define(xml)


def confidential(name, level=3, **shape):
    """Define a pinned confidential domain with small boot files of its own; what `define` said."""
    if level >= 3 and 'kernel' not in shape:
        shape['kernel'], shape['initrd'] = small_boot_files(name.replace('/', '_'))
        shape.setdefault('cmdline', 'console=ttyS0 quiet')
    return attest('define', '--level', str(level), write(scratch('define.xml'), domain_xml(name, **shape)))


def state(name):
    return virsh('domstate', '--domain', name).stdout.strip()


def running(name):
    return state(name) == 'running'


def stop(name):
    virsh('destroy', '--domain', name)


def start(name, **options):
    return virsh('start', '--domain', name, **options)


def model(name, identity=None):
    """The platform model's document of the last launch of a domain: what QEMU handed over."""
    return json.loads(read(os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{identity or domain_uuid(name)}.json')))


def emulator_words(**words):
    """Variables for the emulator of the domains that are started from now on, instead of those set before:
    emulator_words(PLATFORM_SSH_PORT=2222). tests/platform/qemu-attested lists them."""
    write(os.environ['PLATFORM_EMULATOR_WORDS'], ''.join(f'export {name}={shlex.quote(str(value))}\n'
                                                         for name, value in words.items()))


def forget_model(name):
    path = os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{domain_uuid(name)}.json')
    if os.path.exists(path):
        os.unlink(path)


def launched(name):
    """QEMU has handed something to the processor since forget_model()."""
    return os.path.exists(os.path.join(os.environ['PLATFORM_MODEL_OUT'], f'{domain_uuid(name)}.json'))


def pin_path(name):
    return f'{STATE}/references/{domain_uuid(name)}.json'


def record_path(name):
    return f'{STATE}/records/{domain_uuid(name)}.json'


def record(name):
    """The record document of a domain, None when there is none."""
    return json.loads(read(record_path(name))) if os.path.exists(record_path(name)) else None


def launches(name):
    document = record(name)
    return document['launches'] if document else []


def last(name):
    return launches(name)[-1]


def eventually(condition, seconds=120):
    """Wait for what follows an event without a moment of its own. @seconds end a test that fails, on a busy machine too."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def idle():
    text = call('virt-admin', '-q', '-c', 'libvirtd:///system', 'srv-threadpool-info', 'libvirtd').stdout
    workers = dict(re.findall(r'^(\w+) *: (\d+)$', text, re.M))
    return workers['freeWorkers'] == workers['nWorkers'] and workers['jobQueueDepth'] == '0'


def settle():
    """Wait until libvirtd has nothing more to do: what a client that was killed had asked for goes on without it."""
    if not eventually(lambda: idle() and idle()):
        raise Failed('libvirtd is never idle')


def hook_message(done):
    """The hook's own words in what virsh said."""
    return done.stderr.split('unexpected exit status', 1)[-1]


def expect_match(tap, name, what):
    """Start a domain; verdict, record and model must agree. Leaves it running."""
    forget_model(name)
    done = start(name, check=False)
    if not tap.equal((done.returncode, running(name)), (0, True), f'{what}: starts', done.stderr):
        return
    found = last(name)
    tap.equal((found['verdict'], found['digest']), ('match', model(name)['digest']),
              f'{what}: verdict match, recorded digest is that of the launch')


def expect_veto(tap, name, what, parts):
    """Start a domain that must be refused; @parts must be visible to the virsh user. Returns what virsh said."""
    before = len(launches(name))
    forget_model(name)
    done = start(name, check=False)
    tap.equal((done.returncode, state(name), launched(name)), (1, 'shut off', False),
              f'{what}: start refused, domain off')
    tap.contains(done.stderr, ['error: Hook script execution failed', *parts], f'{what}: the virsh user is told')
    added = launches(name)[before:]
    tap.equal([launch['verdict'] for launch in added], ['refused'], f'{what}: recorded once as refused')
    return done.stderr
