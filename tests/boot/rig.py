# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots guests for the tests: real firmware, real kernel, a hostile hand on the console.

QEMU emulates (TCG), so nothing but QEMU is needed. A Machine says what a host gives to a guest; Guest runs it. With the
AmdSev firmware the kernel hash table is put where the firmware looks for it, as QEMU does it on a confidential host;
table and addresses are computed here from the published formats, never asked from the program under test.

While a guest runs, keys, breaks, SysRq requests and shell commands are sent to its console without a pause, on the
serial line and on the PS/2 keyboard: a guest that would listen to anybody there betrays itself.
"""
import dataclasses
import hashlib
import json
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

sys.dont_write_bytecode = True

AMDSEV = '/usr/share/ovmf/OVMF.amdsev.fd'
GENERIC = '/usr/share/ovmf/OVMF.fd'
QEMU = 'qemu-system-x86_64'
MIB = 1 << 20
PARALLEL = 2  # guests at a time
BOOT = 600  # seconds until a guest has done what is waited for, on a busy machine; a quiet one needs 40
# What would say that somebody is listening on the console.
PROMPTS = (rb'login:', rb'(?m)[#$] *\r?$', rb'(?m)^> *\r?$', rb'\(initramfs\)', rb'Press Enter', rb'sulogin',
           rb'[Ee]mergency mode', rb'[Rr]escue mode', rb'[Pp]ass(word|phrase)[^\n]{0,40}: ?', rb'grub>', rb'Shell>',
           rb'Press any key', rb'Boot Manager', rb'virt-attest-42')


class Failed(Exception):
    """Something that had to work did not."""


#
# The hash table
#
def guid(text):
    return uuid.UUID(text).bytes_le


def hash_table_base(firmware):
    """Guest address of the kernel hash table, from the footer table at the end of a firmware file.

    The table ends 32 bytes before the end. Read backwards: 16 bytes of GUID, 2 bytes of length (of data, length and
    GUID), the data. The first entry names the table and holds its whole length.
    """
    with open(firmware, 'rb') as file:
        image = file.read()
    end = len(image) - 32
    if image[end - 16:end] != guid('96b582de-1fb2-45f7-baea-a366c55a082d'):
        raise Failed(f'{firmware} has no footer table')
    start = end - struct.unpack_from('<H', image, end - 18)[0]
    at = end - 18
    while at > start:
        length = struct.unpack_from('<H', image, at - 18)[0]
        if length < 18 or at - length < start:
            break
        if image[at - 16:at] == guid('7255371f-3a3b-4b04-927b-1da6efa8d454'):
            return struct.unpack_from('<I', image, at - length)[0]
        at -= length
    raise Failed(f'{firmware} has no area for the kernel hash table')


def hash_table(kernel, initrd, cmdline):
    """The 168 bytes of the table padded to 176; the sum of the command line includes its final zero."""
    def entry(name, data):
        return guid(name) + struct.pack('<H', 50) + hashlib.sha256(data).digest()
    table = guid('9438d606-4f22-4cc9-b479-a793d411fd21') + struct.pack('<H', 168)
    table += entry('97d02dd8-bd20-4c94-aa78-e7714d36ab2a', cmdline.encode() + b'\0')
    table += entry('44baf731-3a2f-4bd7-9af1-41e29169781d', initrd)
    table += entry('4de79437-abd2-427f-b835-d5b172d2045b', kernel)
    return table.ljust(176, b'\0')


#
# What the host gives
#
@dataclasses.dataclass(frozen=True)
class Disk:
    path: str
    serial: str
    format: str = 'raw'
    readonly: bool = True


@dataclasses.dataclass(frozen=True)
class Machine:
    """@kernel None: the host gives none. @firmware None: the PC BIOS. @table: (kernel file, initrd file, command line) that the hash table is made of;
    None: what is booted; False: there is no table. @arguments go to QEMU as they are."""
    kernel: str
    initrd: str
    cmdline: str
    disks: tuple = ()
    firmware: str = AMDSEV
    table: object = None
    memory: int = 1024
    network: bool = False
    arguments: tuple = ()

    def but(self, **changes):
        """This machine with one thing changed."""
        return dataclasses.replace(self, **changes)

    def with_disk(self, serial, **changes):
        return self.but(disks=tuple(dataclasses.replace(disk, **changes) if disk.serial == serial else disk
                                    for disk in self.disks))


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return path


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(4 * MIB):
            digest.update(block)
    return digest.hexdigest()


def call(*command, check=True, timeout=600, **options):
    options.setdefault('stdin', subprocess.DEVNULL)
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    if check and done.returncode != 0:
        raise Failed(f'{" ".join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}')
    return done


def die_with_parent():
    """Run in the child: a test that is killed takes its guests along."""
    import ctypes  # pylint: disable=import-outside-toplevel
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


#
# A running guest
#
TELNET_BREAK = b'\xff\xf3'
# Nothing typed here may look like a prompt when the terminal echoes it. SysRq h only lists what may be asked for.
TYPED = (b'\r\n', b'\x03', b'\x04', b'root\r', b'\r', b'sh\r', TELNET_BREAK + b'h', b'\x1b\x1b', b'e', b'\x1a', b'y\r',
         b'\rexec </dev/console; echo virt-attest-$((6*7))\r', b'\x1d', b'\x0f', b'1\r', b'c\r')
KEYS = (('ret',), ('ctrl', 'c'), ('alt', 'f2'), ('alt', 'sysrq', 'h'), ('esc',), ('f2',), ('r',), ('ret',))


class Guest:
    """Runs a Machine until it ends or stop() is called. A context manager."""

    def __init__(self, machine, folder, name, keyboard=True):
        self.machine, self.folder, self.name = machine, folder, name
        self.console = b''
        self.events = []
        self.marks = {}  # text -> seconds after the start when it was first looked for and found
        self._changed = threading.Condition()
        self._replies = queue.Queue()
        self._monitor_lock = threading.Lock()
        self._break_pending = False
        self.port, self._port_lock = claim_port() if machine.network else (None, None)
        serial, qemu_serial = listening_pair()
        monitor, qemu_monitor = listening_pair()
        self._monitor_text = monitor.makefile('rw', encoding='utf-8')
        self.errors = os.path.join(folder, f'{name}.qemu')
        self.started = time.monotonic()
        with open(self.errors, 'wb') as errors:
            self.process = subprocess.Popen(self._arguments(qemu_serial.fileno(), qemu_monitor.fileno()),
                                            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            pass_fds=(qemu_serial.fileno(), qemu_monitor.fileno()),
                                            preexec_fn=die_with_parent)
        qemu_serial.close()
        qemu_monitor.close()
        self._serial = serial
        self._threads = [threading.Thread(target=self._read_serial, daemon=True),
                         threading.Thread(target=self._read_monitor, daemon=True)]
        if keyboard:
            self._threads.append(threading.Thread(target=self._type, daemon=True))
        for thread in self._threads:
            thread.start()
        self.monitor('qmp_capabilities')

    def _arguments(self, serial, monitor):
        machine = self.machine
        argv = [QEMU, '-no-user-config', '-nodefaults', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'EPYC-v4',
                '-smp', '1', '-m', str(machine.memory), '-display', 'none', '-no-reboot',
                '-chardev', f'socket,id=serial,fd={serial},server=on,wait=on,telnet=on', '-serial', 'chardev:serial',
                '-chardev', f'socket,id=monitor,fd={monitor},server=on,wait=on', '-mon', 'chardev=monitor,mode=control']
        if machine.kernel:
            argv += ['-kernel', machine.kernel, '-initrd', machine.initrd, '-append', machine.cmdline]
        if machine.firmware:
            argv += ['-bios', machine.firmware]
        if machine.firmware == AMDSEV and machine.table is not False:
            kernel, initrd, cmdline = machine.table or (machine.kernel, machine.initrd, machine.cmdline)
            table = write(os.path.join(self.folder, f'{self.name}.table'), hash_table(read(kernel), read(initrd),
                                                                                      cmdline))
            argv += ['-device', f'loader,file={table},addr={hash_table_base(machine.firmware):#x},force-raw=on']
        for number, disk in enumerate(machine.disks):
            argv += ['-drive', f'if=none,id=disk{number},file={disk.path},format={disk.format},'
                               f'readonly={"on" if disk.readonly else "off"},file.locking=off',
                     '-device', f'virtio-blk-pci,drive=disk{number},serial={disk.serial},disable-legacy=on,'
                                'iommu_platform=on']
        if machine.network:
            argv += ['-netdev', f'user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22',
                     '-device', 'virtio-net-pci,netdev=net,disable-legacy=on,iommu_platform=on,romfile=']
        return argv + list(machine.arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End QEMU if it still runs, and keep the console's text in a file."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(10)
        write(os.path.join(self.folder, f'{self.name}.console'), self.console)
        self._serial.close()
        if self._port_lock:
            self._port_lock.close()

    #
    # Threads
    #
    def _read_serial(self):
        """Take in what the guest prints, without the telnet protocol's own bytes."""
        pending = b''
        while True:
            try:
                data = self._serial.recv(65536)
            except OSError:
                data = b''
            if not data:
                break
            data = pending + data
            pending = b''
            text = bytearray()
            at = 0
            while at < len(data):
                if data[at] != 0xff:
                    text.append(data[at])
                    at += 1
                elif at + 1 >= len(data) or (0xfb <= data[at + 1] <= 0xfe and at + 2 >= len(data)):
                    pending = data[at:]
                    break
                elif data[at + 1] == 0xff:
                    text.append(0xff)
                    at += 2
                else:
                    at += 3 if 0xfb <= data[at + 1] <= 0xfe else 2
            with self._changed:
                self.console += bytes(text)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_monitor(self):
        try:
            for line in self._monitor_text:
                message = json.loads(line)
                if 'event' in message:
                    self.events.append(message)
                elif 'return' in message or 'error' in message:
                    self._replies.put(message)
        except (OSError, ValueError):
            pass
        self._replies.put({'error': 'closed'})

    def _type(self):
        turn = 0
        while self.process.poll() is None:
            try:
                self.send(TYPED[turn % len(TYPED)])
                self.press(*KEYS[turn % len(KEYS)])
            except (OSError, Failed):
                return
            turn += 1
            time.sleep(0.4)

    #
    # Talking to QEMU
    #
    def send(self, data):
        """Bytes to the serial line, for QEMU's telnet side."""
        self._serial.sendall(data)

    def press(self, *keys):
        """Keys of the PS/2 keyboard, together."""
        self.monitor('send-key', keys=[{'type': 'qcode', 'data': key} for key in keys], **{'hold-time': 20})

    def monitor(self, command, **arguments):
        """One QMP command; its answer."""
        with self._monitor_lock:
            try:
                self._monitor_text.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
                self._monitor_text.flush()
                answer = self._replies.get(timeout=60)
            except (OSError, ValueError, queue.Empty) as error:
                raise Failed(f'{self.name}: no answer from QEMU: {error}') from error
        if 'error' in answer:
            raise Failed(f'{self.name}: {command}: {answer["error"]}')
        return answer['return']

    def hmp(self, line):
        return self.monitor('human-monitor-command', **{'command-line': line})

    #
    # Waiting
    #
    def age(self):
        return time.monotonic() - self.started

    def wait_for(self, pattern, timeout):
        """Wait until the console shows @pattern (a regular expression of bytes); the match, None if it does not."""
        expression = re.compile(pattern)
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = expression.search(self.console)
                if found:
                    self.marks.setdefault(pattern, self.age())
                    return found
                left = end - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._threads[0].is_alive()):
                    return None
                self._changed.wait(min(left, 0.5))

    def wait_end(self, timeout):
        """How the guest ended: 'power off', 'reset' (a panic of the kernel), 'QEMU failed'; None: it still runs."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        for thread in self._threads[:2]:
            thread.join(10)
        reasons = [event['data'].get('reason') for event in self.events if event['event'] == 'SHUTDOWN']
        if status != 0 or not reasons:
            return 'QEMU failed'
        return {'guest-shutdown': 'power off', 'guest-reset': 'reset', 'guest-panic': 'reset'}.get(reasons[0],
                                                                                                   reasons[0])

    def cpu_time(self):
        """Seconds of processor time that QEMU had."""
        try:
            fields = read(f'/proc/{self.process.pid}/stat').rsplit(b')', 1)[1].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def kernel_spoke(self):
        return b'Linux version ' in self.console

    def prompts(self):
        """What on the console looks as if somebody were listening."""
        return prompts_in(self.console)

    def tail(self, lines=25):
        """The last lines of the console, and what QEMU itself had to say."""
        messages = [line for line in read(self.errors).decode(errors='replace').splitlines()
                    if "TCG doesn't support" not in line and 'QEMU waiting' not in line]
        return '\n'.join(printable(self.console).splitlines()[-lines:] + messages)


def prompts_in(text):
    return [match.group().decode(errors='replace') for pattern in PROMPTS for match in re.finditer(pattern, text)]


def printable(data):
    text = re.sub(rb'\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[A-Za-z=>])', b'', data)
    return ''.join(chr(byte) if 32 <= byte < 127 or byte == 10 else '' for byte in text)


PORTS = range(20000, 30000)  # below net.ipv4.ip_local_port_range: no outgoing connection takes one of them


def claim_port():
    """(port, open lock): a TCP port of 127.0.0.1 that no other guest takes for as long as the lock is open.

    A probe alone would leave a gap between it and QEMU's bind, in which another guest could get the same port.
    The lock is a name in the abstract namespace, so it ends with the process and needs no file.
    """
    start = os.getpid() * 37
    for offset in range(len(PORTS)):
        port = PORTS[(start + offset) % len(PORTS)]
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f'\0virt-attest-test-port-{port}')
            with socket.socket() as probe:
                # As QEMU binds it: a connection that only waits to be forgotten is no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(('127.0.0.1', port))
            return port, lock
        except OSError:
            lock.close()
    raise RuntimeError(f'no free TCP port from {PORTS.start} to {PORTS.stop - 1}')


def listening_pair():
    """(connected client, listening socket): QEMU takes the second and finds the first waiting there."""
    folder = tempfile.mkdtemp(prefix='virt-attest-')
    path = os.path.join(folder, 'socket')
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    os.unlink(path)
    os.rmdir(folder)
    return client, server


#
# TAP
#
def asked_from():
    """The line of the test that asks, for a failure that has nothing else to say."""
    frame = next(each for each in reversed(traceback.extract_stack())
                 if each.name not in ('asked_from', 'check', 'equal'))
    return f'{os.path.basename(frame.filename)}, line {frame.lineno}: {frame.line}'


class Case:
    """One test, with the lines it has to print: tests run side by side and are printed whole."""

    def __init__(self, name, function):
        self.name, self.function = name, function
        self.lines, self.failed, self.seconds = [], 0, 0.0

    def check(self, good, name, detail=''):
        self.failed += not good
        text = f'{self.name}: {name}'.replace('#', '\\#').replace('\n', ' ')
        self.lines.append((bool(good), text, '' if good else str(detail) or asked_from()))
        return good

    def equal(self, got, wanted, name, detail=''):
        return self.check(got == wanted, name, f'got {got!r}\nwanted {wanted!r}\n{detail}')

    def comment(self, text):
        self.lines.append((None, str(text), ''))

    def run(self):
        begin = time.monotonic()
        try:
            self.function(self)
        except Exception:  # pylint: disable=broad-except
            self.check(False, 'runs to its end', traceback.format_exc())
        self.seconds = time.monotonic() - begin


def run_cases(cases, parallel=PARALLEL):
    """Run Cases, @parallel at a time, and print them in TAP form as they end; the program's exit code.
    VIRT_ATTEST_TEST_ONLY=WORD[|WORD…] runs those with one of these words in their names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = os.environ.get('VIRT_ATTEST_TEST_ONLY')
    waiting = queue.SimpleQueue()
    for case in cases:
        if not only or any(word in case.name for word in only.split('|')):
            waiting.put(case)
    lock = threading.Lock()
    counts = [0, 0]

    def work():
        while True:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            case.run()
            with lock:
                report(case, counts)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f'1..{counts[0]}', flush=True)
    return 1 if counts[1] else 0


def report(case, counts):
    for good, text, detail in case.lines:
        if good is None:
            print('# ' + text.replace('\n', '\n# '))
            continue
        counts[0] += 1
        counts[1] += not good
        print(f'{"ok" if good else "not ok"} {counts[0]} - {text}')
        if detail:
            print('# ' + detail.replace('\n', '\n# '))
    print(f'# {case.name}: {case.seconds:.1f} s', flush=True)


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)
