# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of image-build and image-import share: the command, the image that is built once, cloud images."""
import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOOL, HELPER, INIT = (os.path.abspath(path) for path in sys.argv[1:4])
SOURCE = pathlib.Path(os.environ['VIRT_ATTEST_SOURCE'])
IMAGES = pathlib.Path(os.environ['VIRT_ATTEST_BUILD']) / 'images'
REPORT = os.path.join(os.path.dirname(INIT), 'report', 'guest-report')
ROOT_OFFSET = 257 << 20
SIZE = 12 << 30


class Skip(Exception):
    """A test that cannot run here; the text says why."""


def run(*argv, **more):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **more)


def must(*argv, **more):
    done = run(*argv, **more)
    assert done.returncode == 0, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Rig:
    """A folder of our own with a configuration, a place for temporary files and one for outputs."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='virt-attest-image-'))
        self.tmp, self.out, self.bin = (self.folder / name for name in ('tmp', 'out', 'bin'))
        for path in (self.tmp, self.out, self.bin):
            path.mkdir()
        (self.folder / 'conf').write_text(f'[guest]\ninit = {INIT}\nreport = {REPORT}\n'
                                          f'[paths]\nstate-directory = {self.folder}/state\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(['rm', '-rf', '--one-file-system', str(self.folder)], check=True)

    def environment(self, **more):
        names = os.environ | {'VIRT_ATTEST_CONFIG': str(self.folder / 'conf'), 'VIRT_ATTEST_LIBEXEC': os.path.dirname(HELPER),
                              'TMPDIR': str(self.tmp), 'PATH': f'{self.bin}:{os.environ["PATH"]}', 'LC_ALL': 'C.UTF-8'}
        names.setdefault('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg')
        return names | more

    def tool(self, *argv, **more):
        return run(TOOL, *argv, env=self.environment(), **more)

    def start(self, *argv):
        # Whoever started the tests in the background had SIGINT ignored, and what is ignored stays so.
        return subprocess.Popen([TOOL, *map(str, argv)], env=self.environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def program(self, name, text):
        """A program that takes the place of the machine's own."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def processes(self):
        """Command lines of processes that have our folder for temporary files in their environment."""
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            try:
                if entry.name.isdigit() and str(self.tmp).encode() in (entry / 'environ').read_bytes():
                    found.append((entry / 'cmdline').read_bytes())
            except OSError:
                pass
        return found

    def wait_for(self, process, condition):
        """Until a program that runs has got as far as something can be seen of it."""
        deadline = time.monotonic() + 300
        while not condition():
            assert process.poll() is None, ('it has ended', process.returncode, process.communicate())
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.01)

    def runs(self, program):
        """Whether a program with this in its command line runs for us."""
        return any(program in words for words in self.processes())

    def nothing_left(self, outputs=()):
        deadline = time.monotonic() + 120
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not self.processes(), self.processes()
        assert sorted(p.name for p in self.out.iterdir()) == sorted(outputs), list(self.out.iterdir())
        assert not list(self.tmp.iterdir()), list(self.tmp.rglob('*'))[:10]
        assert str(self.folder) not in pathlib.Path('/proc/self/mounts').read_text()


def refused(done, code, *words):
    """One line on standard error that stands alone, nothing on standard output."""
    assert done.returncode == code, (done.args, done.returncode, done.stderr)
    assert done.stdout == '', done.stdout
    assert done.stderr.startswith('error: '), done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert 'Sanitizer' not in done.stderr, done.stderr


def good(done):
    assert done.returncode == 0, (done.args, done.returncode, done.stdout, done.stderr)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def key_pair():
    IMAGES.mkdir(exist_ok=True)
    key = IMAGES / 'id_ed25519'
    if not key.exists():
        must('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'boot tests', '-f', key)
    return f'{key}.pub'


@contextlib.contextmanager
def only_one():
    """The tests of guests that boot build the same image."""
    IMAGES.mkdir(exist_ok=True)
    with open(IMAGES / 'lock', 'w', encoding='ascii') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def trixie():
    """The image of this build of the tool: made when it is missing."""
    image = IMAGES / 'trixie.qcow2'
    with only_one():
        key = key_pair()
        if not image.exists():
            with Rig() as rig:
                done = rig.tool('image-build', '--suite', 'trixie', '--output', image, '--ssh-key', key)
            if 'cannot get suite' in done.stderr or 'this machine\'s apt sources' in done.stderr:
                raise Skip('no mirror can be reached: ' + done.stderr.splitlines()[0])
            good(done)
    return image


class Image:
    """A made image, looked at by e2fsck, debugfs, sfdisk and mtools."""

    def __init__(self, rig, path):
        self.raw = rig.folder / (path.name + '.raw')
        self.at = f'{self.raw}?offset={ROOT_OFFSET}'
        self.manifest = json.loads(pathlib.Path(f'{path}.manifest.json').read_text())
        must('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', path, self.raw)
        assert must('qemu-img', 'check', '-f', 'qcow2', path)
        assert self.manifest['image']['sha256'] == sha256(path)
        assert self.manifest['image']['size'] == path.stat().st_size
        assert self.manifest['image']['virtualSize'] == self.raw.stat().st_size
        assert path.stat().st_mode & 0o7777 == 0o444
        must('/usr/bin/python3', SOURCE / 'tests/unit/json-validate.py', SOURCE / 'storage/image.schema.json',
             f'{path}.manifest.json')

    def debugfs(self, command):
        return must('/sbin/debugfs', '-R', command, self.at)

    def cat(self, name):
        return self.debugfs(f'cat {name}')

    def names(self, folder):
        return sorted(line.split('/')[5] for line in self.debugfs(f'ls -p {folder}').splitlines() if line.strip())[2:]

    def link(self, name):
        text = self.debugfs(f'stat {name}')
        return text.split('Fast link dest: "')[1].split('"')[0] if 'Fast link dest' in text else None

    def has(self, name):
        return 'Inode:' in run('/sbin/debugfs', '-R', f'stat {name}', self.at).stdout

    def check_layout(self):
        must('/sbin/e2fsck', '-fn', self.at)
        table = json.loads(must('/sbin/sfdisk', '-J', self.raw))['partitiontable']
        assert table['label'] == 'gpt'
        esp, root = table['partitions']
        assert esp['type'].lower() == 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', esp
        assert root['type'].lower() == '4f68bce3-e8cd-4db1-96e7-fbcaf984b709', root
        for name, entry in (('esp', esp), ('root', root)):
            said = self.manifest['partitions'][name]
            assert said['offset'] == entry['start'] * 512 and said['length'] == entry['size'] * 512
            assert said['uuid'] == entry['uuid'].lower()
        assert 'No errors detected' in must('/sbin/sfdisk', '-V', self.raw)
        uuid = must('/sbin/blkid', '-p', '-O', ROOT_OFFSET, '-s', 'UUID', '-o', 'value', self.raw).strip()
        assert uuid == self.manifest['partitions']['root']['fileSystemUuid']

    def esp(self, name):
        return must('mtype', '-i', f'{self.raw}@@1M', f'::{name}', env=os.environ | {'MTOOLSRC': '/dev/null'})

    def check_clean(self):
        """What no image may have, and what every one must."""
        assert not [n for n in self.names('/etc/ssh') if n.startswith('ssh_host_')]
        for line in self.cat('/etc/shadow').splitlines():
            assert line.split(':')[1] in ('*', '!', '!*', '!!'), line
        assert [line for line in self.cat('/etc/shadow').splitlines() if line.startswith('root:*:')]
        assert all(line.split(':')[1] in ('x', '*', '!') for line in self.cat('/etc/passwd').splitlines())
        assert self.cat('/etc/machine-id') == '' and self.has('/etc/machine-id')
        for name in ('/etc/shadow-', '/etc/passwd-', '/var/lib/systemd/random-seed', '/etc/crypttab', '/boot/grub',
                     '/etc/apt/apt.conf.d/99mmdebstrap', '/usr/lib/tmpfiles.d/provision.conf', '/root/.bash_history'):
            assert not self.has(name), name
        for folder in ('/tmp', '/run', '/dev', '/proc', '/sys', '/var/tmp', '/var/lib/apt/lists'):
            assert not self.names(folder), (folder, self.names(folder))
        assert not [n for n in self.names('/boot') if n.startswith('initrd')]
        assert all(line.startswith('#') for line in self.cat('/etc/fstab').splitlines())
        system = '/etc/systemd/system'
        for unit in ('getty@.service', 'serial-getty@.service', 'console-getty.service', 'autovt@.service',
                     'debug-shell.service', 'emergency.service', 'rescue.service', 'systemd-firstboot.service',
                     'ctrl-alt-del.target', 'qemu-guest-agent.service'):
            assert self.link(f'{system}/{unit}') == '/dev/null', unit
        for unit in ('emergency.target', 'rescue.target'):
            assert self.link(f'{system}/{unit}') == '/usr/lib/systemd/system/poweroff.target', unit
        for name in ('gpt-auto', 'getty', 'ssh', 'debug', 'run', 'hibernate-resume'):
            assert self.link(f'/etc/systemd/system-generators/systemd-{name}-generator') == '/dev/null', name
        assert 'kernel.sysrq = 0' in self.cat('/etc/sysctl.d/99-zz-virt-attest.conf')
        assert self.has('/etc/cloud/cloud-init.disabled')
        assert '[ None ]' in self.cat('/etc/cloud/cloud.cfg.d/99-virt-attest.cfg')

    def check_starts(self):
        """The boot partition, and that its words are those of the guest's init."""
        uuid = self.manifest['partitions']['root']['uuid']
        entry = self.esp('loader/entries/virt-attest.conf')
        assert f'options virt_attest.level=0 virt_attest.root=partuuid:{uuid} console=ttyS0\n' in entry, entry
        assert 'editor no' in self.esp('loader/loader.conf')


def system_tree(rig):
    """A folder with a small system: what an image needs, with the real kernel of the built image, and what none may keep."""
    image = Image(rig, trixie())
    folder = rig.folder / 'tree'
    for name in ('etc', 'boot', 'usr/lib/systemd/boot', 'usr/lib/modules'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.debugfs(f'rdump /{name} {(folder / name).parent}')
    # Drivers that no initrd of ours has.
    for path in (folder / 'usr/lib/modules').glob('*/kernel/*'):
        for part in path.iterdir() if path.name == 'drivers' else [path]:
            if part.name in ('net', 'sound', 'gpu', 'usb', 'scsi', 'infiniband', 'hid', 'input', 'video', 'media', 'nvme', 'ata'):
                subprocess.run(['rm', '-r', str(part)], check=True)
    for name in ('usr/lib/os-release', 'usr/lib/systemd/systemd', 'usr/sbin/sshd', 'var/lib/dpkg/status'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.debugfs(f'dump -p /{name} {folder / name}')
    image.raw.unlink()
    # It comes out of a clean image: what the cleaning has put there must not be found because it was there before.
    for path in [*(folder / 'etc/systemd').rglob('*')]:
        if path.is_symlink() and (os.readlink(path) == '/dev/null' or path.name in ('emergency.target', 'rescue.target')):
            path.unlink()
    for name in ('etc/sysctl.d/99-zz-virt-attest.conf', 'etc/ssh/sshd_config.d/00-virt-attest.conf', 'etc/fstab',
                 'etc/udev/rules.d/60-virt-attest-sev-guest.rules', 'etc/systemd/network/99-virt-attest.network'):
        (folder / name).unlink()
    subprocess.run(['rm', '-r', str(folder / 'etc/cloud')], check=True)
    for name in ('bin', 'lib', 'sbin'):
        (folder / 'usr' / name).mkdir(exist_ok=True)
        (folder / name).symlink_to(f'usr/{name}')
    for name in ('root/.ssh', 'home/user/.ssh', 'srv', 'proc', 'sys', 'dev', 'run', 'tmp', 'var/log/journal', 'var/tmp'):
        (folder / name).mkdir(parents=True)
    autologin = folder / 'etc/systemd/system/serial-getty@ttyS0.service.d'
    autologin.mkdir()
    for path, text in ((folder / 'etc/shadow', 'root:$6$a$b:1::::::\nuser::1::::::\n'),
                       (folder / 'etc/ssh/ssh_host_rsa_key', 'secret'), (autologin / 'autologin.conf', '[Service]\n'),
                       (folder / 'root/.ssh/authorized_keys', 'ssh-rsa AAAA vendor\n'),
                       (folder / 'home/user/.ssh/authorized_keys', 'ssh-rsa AAAA vendor\n'),
                       (folder / 'root/.bash_history', 'secret\n'), (folder / 'var/log/syslog', 'secret\n'),
                       (folder / 'boot/initrd.img-6', 'old'), (folder / 'swapfile', 'x' * 4096)):
        path.write_text(text)
    for path in (folder / 'etc/machine-id', folder / 'etc/hostname'):
        path.unlink(missing_ok=True)
    (folder / 'etc/machine-id').write_text('0123456789abcdef0123456789abcdef\n')
    (folder / 'etc/hostname').write_text('cloudy\n')
    return folder


TREE = None


def system_tar():
    """The same as a tar archive, made once."""
    global TREE
    if not TREE:
        TREE = Rig()
        atexit.register(TREE.__exit__)
        tar_of(TREE, system_tree(TREE))
    return TREE.folder / 'tree.tar'


def tar_of(rig, folder):
    path = rig.folder / 'tree.tar'
    must('tar', '--sort=name', '--mtime=@1600000000', '--owner=0', '--group=0', '--format=pax',
         '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime', '-C', folder, '-cf', path, '.')
    return path


def main(tests):
    """All tests, or those whose names follow the three programs on the command line."""
    tests = [test for test in tests if not sys.argv[4:] or test.__name__ in sys.argv[4:]]
    failed = False
    print(f'1..{len(tests)}', flush=True)
    for number, test in enumerate(tests, 1):
        name, result = test.__name__, ''
        start = time.monotonic()
        try:
            test()
        except Skip as reason:
            result = f' # SKIP {reason}'
        except Exception:  # pylint: disable=broad-except
            failed = True
            # Behind the point: what counts the log prints these lines with it.
            print(f'not ok {number} {name}', flush=True)
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()), flush=True)
            continue
        print(f'# {time.monotonic() - start:.0f} s\nok {number} {name}{result}', flush=True)
    sys.exit(1 if failed else 0)


def copy(source, target):
    shutil.copyfile(source, target)
    return target
