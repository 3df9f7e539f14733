#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's program asks a folder like configfs-tsm, and what it gets is accepted for the launch that the model has seen.

A SIMULATION, without a guest: the stand-in is mounted here, in a mount namespace of its own, the platform model plays the
processor at the launch and report_server.py afterwards. The device needs /dev/cuse and is tested in a booted guest.
"""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'libvirt')]
try:
    import authority as authorities
    import report_server
except ImportError as missing:
    print(f'1..0 # SKIP {missing}: install python3-cryptography')
    sys.exit(0)
import launch  # noqa: E402
from harness import Tap  # noqa: E402

FIRMWARE = '/usr/share/ovmf/OVMF.amdsev.fd'
DATA = hashlib.sha512(b'what the report is asked for').digest()
INSIDE = 'VIRT_ATTEST_STANDIN_NAMESPACE'


class Rig:
    def __init__(self, folder, document):
        self.folder = folder
        build = pathlib.Path(os.environ['VIRT_ATTEST_BUILD'])
        self.guest, self.tool = build / 'guest/report/guest-report', build / 'virsh-wrappers/virt-attest'
        self.line = authorities.Authority(authorities.default_folder()).line('Milan')
        self.socket = str(folder / 'platform')
        self.server = report_server.Server(self.socket, self.line, document)
        self.mount = folder / 'report'
        self.mount.mkdir()
        self.anchor = folder / 'anchor.pem'
        self.anchor.write_text(self.line.trust_anchor(), encoding='ascii')
        self.errors = folder / 'standin.log'
        with open(self.errors, 'wb') as log:
            self.process = subprocess.Popen([build / 'tests/platform/standin/standin', '--port', self.socket, 'folder',
                                             str(self.mount)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 120
        while not os.path.ismount(self.mount):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f'the stand-in does not mount: {self.errors.read_text(encoding="utf-8")}')
            time.sleep(0.05)

    def stop(self):
        subprocess.run(['umount', self.mount], check=False)
        self.process.wait(120)

    def get(self, *words):
        return subprocess.run([self.guest, 'report-get', '--tsm', self.mount, '--device', '/nonexistent', *words],
                              capture_output=True, timeout=120, check=False)

    def verify(self, evidence, *words):
        path = self.folder / 'evidence'
        path.write_bytes(evidence)
        environment = dict(os.environ, HOME=str(self.folder))
        done = subprocess.run([self.tool, 'verify', path, '--measurement', self.server.launch['digest'], '--report-data',
                               DATA.hex(), '--trust-anchor', self.anchor, '--format', 'json', *words], cwd=self.folder,
                              env=environment, capture_output=True, text=True, timeout=120, check=False)
        checks = json.loads(done.stdout)['checks'] if done.stdout else []
        return done.returncode, [each['name'] for each in checks if each['outcome'] == 'fail'], done.stderr


def request(rig, name):
    path = rig.mount / name
    path.mkdir()
    return path


def failure(action):
    """The name of the error, '' without one."""
    try:
        action()
    except OSError as error:
        return type(error).__name__ if error.errno not in (16, 22, 5) else {16: 'EBUSY', 22: 'EINVAL', 5: 'EIO'}[error.errno]
    return ''


def test_folder(tap, rig):
    """What the kernel's documentation says of it."""
    entry = request(rig, 'by-hand')
    tap.equal(sorted(os.listdir(entry)), ['auxblob', 'generation', 'inblob', 'outblob', 'privlevel', 'privlevel_floor',
                                          'provider'], 'the attributes of the provider')
    tap.equal((entry / 'provider').read_text(), 'sev_guest\n', 'which is sev_guest')
    tap.equal(failure((entry / 'outblob').read_bytes), 'EINVAL', 'no report before there is data')
    (entry / 'inblob').write_bytes(DATA[:63])
    tap.equal(failure((entry / 'outblob').read_bytes), 'EINVAL', 'nor for 63 bytes')
    tap.equal(failure(lambda: (entry / 'inblob').write_bytes(DATA + b'x')), 'OSError', 'more than 64 are not taken')
    (entry / 'inblob').write_bytes(DATA)
    tap.equal([failure(lambda text=text: (entry / 'privlevel').write_text(text)) for text in ('4', '-1', 'x')],
              ['EINVAL'] * 3, 'a level is from 0 to 3')
    tap.equal((entry / 'generation').read_text(), '2\n', 'what was taken has been counted')
    before = len(rig.server.requests)
    blobs = [(entry / name).read_bytes() for name in ('outblob', 'auxblob', 'outblob')]
    tap.equal((len(rig.server.requests) - before, blobs[0] == blobs[2]), (1, True), 'one request for all reads')
    (entry / 'privlevel').write_text('2\n')
    tap.equal((entry / 'outblob').read_bytes()[0x30], 2, 'another level is another report')
    entry.rmdir()
    tap.equal(os.listdir(rig.mount), [], 'a request can be removed')


def test_accepted(tap, rig):
    done = rig.get('--data', DATA.hex(), '--format', 'json')
    if not tap.equal(done.returncode, 0, 'the guest program gets a report', done.stderr):
        return
    found = json.loads(done.stdout)
    tap.equal((found['provider'], found['reportData']), ('configfs-tsm:sev_guest', DATA.hex()), 'for its data')
    tap.equal(rig.server.requests[-1], (DATA, 0), 'which is what the platform was asked for')
    report, table = base64.b64decode(found['report']), base64.b64decode(found['auxblob'])
    tap.equal(report[0x90:0xc0].hex(), rig.server.launch['digest'], 'with the measurement of the launch')
    tap.check(rig.server.signer.certificate in table, 'and the certificates that the host gave along')
    tap.equal(rig.verify(done.stdout), (0, [], ''), 'it is accepted')
    extended = rig.get('--data', DATA.hex(), '--format', 'extended', '--output', rig.folder / 'extended')
    tap.equal((extended.returncode, rig.verify((rig.folder / 'extended').read_bytes())[:2]), (0, (0, [])),
              'so is the extended form', extended.stderr)
    for level in '0', '3':
        done = rig.get('--data', DATA.hex(), '--vmpl', level, '--format', 'json')
        tap.equal((rig.server.requests[-1], rig.verify(done.stdout)[:2]),
                  ((DATA, int(level)), (0, []) if level == '0' else (1, ['vmpl'])), f'VMPL {level} is asked for and judged')
    tap.equal(os.listdir(rig.mount), [], 'no request stays behind')


def test_faults(tap, rig):
    rig.server.fault('no-table')
    done = rig.get('--data', DATA.hex(), '--format', 'json')
    tap.check(done.returncode == 0 and 'auxblob' not in json.loads(done.stdout), 'no certificates along', done.stderr)
    rig.server.fault('refused')
    done = rig.get('--data', DATA.hex(), '--format', 'json')
    tap.equal((done.returncode, done.stdout, b'Input/output error' in done.stderr), (3, b'', True),
              'the firmware refuses: no report', done.stderr)
    rig.server.fault('other-data')
    done = rig.get('--data', DATA.hex(), '--format', 'json')
    tap.equal((done.returncode, done.stdout), (3, b''), 'a report for other data is not handed on', done.stderr)
    rig.server.fault('busy')
    threading.Timer(1, rig.server.fault).start()
    done = rig.get('--data', DATA.hex(), '--format', 'json')
    tap.equal(done.returncode, 0, 'a busy firmware is asked again', done.stderr)
    tap.equal(os.listdir(rig.mount), [], 'no request stays behind')


def test_together(tap, rig):
    """Requests side by side do not see each other."""
    words = [hashlib.sha512(bytes([number])).hexdigest() for number in range(6)]
    running = [subprocess.Popen([rig.guest, 'report-get', '--tsm', rig.mount, '--data', word, '--format', 'json'],
                                stdout=subprocess.PIPE) for word in words]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    tap.equal([base64.b64decode(answer['report'])[0x50:0x90].hex() for answer in answers], words, 'each gets its own')


def modelled():
    """A launch, or why there is none."""
    try:
        return launch.launch('sev-snp', FIRMWARE)
    except (launch.LaunchFailed, OSError) as error:
        return str(error)


def main():
    build = os.environ.get('VIRT_ATTEST_BUILD')
    for reason, missing in (('VIRT_ATTEST_BUILD does not name a build directory', not build),
                            ('the stand-in was not built: install libfuse3-dev',
                             not os.path.exists(f'{build}/tests/platform/standin/standin')),
                            ('a mount needs root', os.geteuid() != 0), ('no /dev/fuse', not os.path.exists('/dev/fuse')),
                            ('no /dev/kvm', not os.path.exists('/dev/kvm')), ('no AmdSev firmware', not os.path.exists(FIRMWARE))):
        if missing:
            print(f'1..0 # SKIP {reason}')
            return 0
    if not os.environ.get(INSIDE):
        os.environ[INSIDE] = '1'
        os.execvp('unshare', ['unshare', '-m', sys.executable, *sys.argv])
    tap = Tap()
    tap.comment('a simulation: the platform model and the test authority play the processor')
    document = modelled()
    tap.where = 'launch'
    if tap.check(isinstance(document, dict), 'the model has seen a launch', document):
        folder = pathlib.Path(tempfile.mkdtemp(prefix='standin-'))
        rig = None
        try:
            rig = Rig(folder, document)
            for test in test_folder, test_accepted, test_faults, test_together:
                tap.where = test.__name__.removeprefix('test_')
                rig.server.fault()
                test(tap, rig)
        finally:
            if rig:
                rig.stop()
            if not os.path.ismount(folder / 'report'):
                shutil.rmtree(folder)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
