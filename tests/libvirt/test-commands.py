#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands as a user runs them: what they print, their exit codes, and what they leave alone."""
import concurrent.futures
import fcntl
import json
import os
import pty
import resource
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import (AMDSEV, HOOK, HOOK_FOLDER, LIBVIRT_REFUSED, NAMESPACE, NOT_CONFIGURED, CANNOT_READ, REJECTED,
                     STATE, USAGE, Tap, attest, call, confidential, daemon, domain_uuid, domain_xml, install_hook,
                     model, pin_path, plain_xml, program, read, record_path, redefine, run, scratch, small_boot_files,
                     settle, state, stop, virsh, virsh_define, write)

import predict  # harness has made it known where this is

GENERIC = '/usr/share/ovmf/OVMF.fd'


def expect(tap, code, *words, name=None, **options):
    """Run virt-attest; a wrong exit code shows everything that was printed."""
    done = attest(*words, check=False, **options)
    tap.equal(done.returncode, code, name or f'exit {code}: {" ".join(words)}', done.stdout + done.stderr)
    if code and words[0] != 'check':  # which says what it found on standard output
        tap.check(any(line.startswith('error: ') for line in done.stderr.splitlines()),
                  f'an error is said: {" ".join(words)}', done.stderr)
    return done


def parts_of(name):
    return [read(scratch(f'{name}.{part}')) for part in ('kernel', 'initrd')]


def predicted(name, cmdline='console=ttyS0 quiet', vcpus=1, firmware=AMDSEV):
    """The measurement by the specifications, of the files as they are now."""
    kernel, initrd = parts_of(name)
    return predict.predict('sev-snp', read(firmware), vcpus, 'EPYC-Milan', kernel, initrd, cmdline.encode())


def pin(name):
    return json.loads(read(pin_path(name))) if os.path.exists(pin_path(name)) else None


def all_pins():
    return sorted(name for name in os.listdir(f'{STATE}/references') if not name.startswith('.'))


def need_hook():
    """For a test that runs alone."""
    if not os.path.exists(HOOK):
        install_hook()


def names():
    return sorted(virsh('list', '--all', '--name').stdout.split('\n'))


def element(name, *flags):
    done = virsh('metadata', *flags, '--domain', name, NAMESPACE, check=False)
    return done.stdout.strip() if done.returncode == 0 else ''


def choose_firmware(xml):
    """Leave the firmware to libvirt, which decides when the domain is defined."""
    loader = f"<loader type='rom' readonly='yes'>{AMDSEV}</loader>"
    xml = xml.replace('<os>', "<os firmware='efi'>").replace(loader, '')
    return xml.replace('</os>', '</os><features><acpi/></features>')


def undefine(name):
    virsh('destroy', '--domain', name, check=False)
    attest('undefine', '--domain', name, check=False)


def row(name):
    rows = json.loads(attest('host-check', '--format', 'json', check=False).stdout)['checks']
    return next((each['result'] for each in rows if each['check'] == name), 'no row')


#
# Before there is a hook, and when the daemon does not know it
#
def test_without_hook(tap: Tap):
    done = confidential('early')
    tap.contains(done.stderr, ["warning: the hook '/etc/libvirt/hooks/qemu.d/50-virt-attest' is not installed"],
                 'define warns')
    tap.contains(done.stdout, ["Domain 'early' defined from ", predicted('early')], 'define shows the measurement')
    found = pin('early')
    tap.equal([each['digest'] for each in found['measurements']], [predicted('early')], 'it is pinned')
    tap.equal((found['level'], found['onMismatch'], found['domain']['name']), (3, 'refuse', 'early'),
              'with level and name')
    tap.contains(element('early', '--config'), [predicted('early')], 'and in the metadata')
    tap.equal(os.stat(STATE).st_mode & 0o777, 0o700, 'nobody else may look into the state folder')
    done = expect(tap, NOT_CONFIGURED, 'start', 'early')
    tap.contains(done.stderr, ['error: the hook did not run', 'is RUNNING unchecked'],
                 'a start that no hook saw is no success')
    tap.equal(state('early'), 'running', 'but the domain runs')
    expect(tap, 0, 'destroy', 'early')
    expect(tap, NOT_CONFIGURED, 'start', '--strict', 'early')
    tap.equal(state('early'), 'shut off', 'with --strict it was stopped')
    virsh_define(plain_xml('plain'))
    done = expect(tap, 0, 'start', 'plain')
    tap.equal(done.stderr, '', 'an ordinary domain needs no hook and no warning')
    undefine('plain')


def test_host_check(tap: Tap):
    tap.equal(row('hook-installed'), 'fail', 'no hook')
    install_hook(reload=False)
    tap.equal((row('hook-installed'), row('hook-known')), ('pass', 'fail'), 'a hook that the daemon does not know')
    expect(tap, NOT_CONFIGURED, 'start', '--strict', 'early', name='indeed it is not run')
    daemon('reload')
    done = expect(tap, 0, 'start', 'early', name='after a reload it is')
    tap.contains(done.stdout,
                 [f'Expected:        {predicted("early")} (EPYC-Milan)', f'Measured:        {predicted("early")}',
                  'Verdict:         match', "Domain 'early' started"],
                 'start shows what was expected and measured')
    tap.equal(model('early')['digest'], predicted('early'), 'and QEMU handed over exactly that')
    tap.equal(row('hook-known'), 'pass', 'a recorded launch is evidence')
    expect(tap, 0, 'destroy', 'early')
    os.rename(f'{STATE}/records', f'{STATE}/hidden')
    tap.equal(row('hook-known'), 'fail', 'without it there is none')
    daemon('restart')
    tap.equal(row('hook-known'), 'pass', 'a daemon that started after the hook knows it')
    os.rename(f'{STATE}/hidden', f'{STATE}/records')
    for name in 'libvirt', 'qemu', 'domcapabilities-sev-snp', 'domcapabilities-sev', 'firmware-level-3', 'state-folder':
        tap.equal(row(name), 'pass', name)
    shutil.copyfile(HOOK, HOOK + '.bak')
    os.chmod(HOOK + '.bak', 0o755)
    tap.equal(row('hook-strays'), 'warn', 'a backup of the hook would run too')
    os.unlink(HOOK + '.bak')
    os.chmod(STATE, 0o755)
    tap.equal(row('state-folder'), 'fail', 'a state folder that others can read')
    os.chmod(STATE, 0o700)


#
# Launches
#
def test_show_and_list(tap: Tap):
    confidential('shown', vcpus='<vcpu>2</vcpu>')
    digest = predicted('shown', vcpus=2)
    expect(tap, 0, 'start', '--paused', 'shown')
    tap.equal(state('shown'), 'paused', 'start --paused')
    document = json.loads(expect(tap, 0, 'show', '--format', 'json', 'shown').stdout)
    tap.equal((document['uuid'], document['metadata'], document['reference']),
              (domain_uuid('shown'), 'agrees', pin('shown')),
              'show has the reference')
    tap.equal([(each['verdict'], each['digest'], each['vcpus']) for each in document['launches']],
              [('match', digest, 2)],
              'show has the launch')
    rows = json.loads(expect(tap, 0, 'list', '--format', 'json').stdout)
    found = next(each for each in rows if each['name'] == 'shown')
    tap.equal((found['state'], found['platform'], found['level'], found['verdict']),
              ('paused', 'sev-snp', 3, 'match'), 'list')
    identity = virsh('domid', 'shown').stdout.strip()
    for word in identity, domain_uuid('shown'), domain_uuid('shown').upper(), 'shown':
        expect(tap, 0, 'check', word)
    expect(tap, 0, 'check', '--domain', 'shown')
    tap.contains(expect(tap, 0, 'show', 'shown').stdout, ['agrees with the pinned reference', digest, ' match '],
                 'show for people')
    tap.contains(expect(tap, 0, 'list', '--all').stdout, ['shown', 'paused', 'early', 'shut off'], 'list --all')
    tap.check('early' not in expect(tap, 0, 'list').stdout, 'list shows what runs')
    tap.check('shown' not in expect(tap, 0, 'list', '--inactive').stdout, 'list --inactive shows the others')
    expect(tap, 0, 'destroy', identity)
    expect(tap, LIBVIRT_REFUSED, 'destroy', 'shown')
    document = json.loads(expect(tap, 0, 'show', '--format', 'json', 'shown').stdout)
    tap.equal(document['launches'][-1]['state'], 'stopped', 'the launch is over')
    virsh('metadata', '--domain', 'shown', NAMESPACE, '--config', '--remove')
    tap.equal(json.loads(attest('show', '--format', 'json', 'shown').stdout)['metadata'], 'absent',
              'show says that metadata is gone')
    undefine('shown')


def test_refused_start(tap: Tap):
    confidential('drifted')
    redefine('drifted', ('quiet</cmdline>', 'quiet init=/bin/sh</cmdline>'))
    old = pin('drifted')
    done = expect(tap, REJECTED, 'start', 'drifted')
    tap.contains(done.stderr,
                 ["error: start of domain 'drifted' was refused: ", 'init=/bin/sh', 'virt-attest define --accept'],
                 'the hook\'s words, and what to do')
    tap.equal(state('drifted'), 'shut off', 'it does not run')
    done = expect(tap, REJECTED, 'check', '--format', 'json', 'drifted')
    changes = {each['what']: each for each in json.loads(done.stdout)['changes']}
    tap.check('cmdline' in changes and changes['cmdline']['pinned'] != changes['cmdline']['found'],
              'check names the command line', done.stdout)
    done = expect(tap, REJECTED, 'define', 'drifted')
    tap.contains(done.stderr, ['init=/bin/sh', '--accept'], 'define shows the difference')
    tap.equal(pin('drifted'), old, 'and keeps the pin')
    done = expect(tap, 0, 'define', '--accept', 'drifted')
    tap.check(done.stdout.startswith("Accepting for domain 'drifted':\n"), 'with --accept the difference comes first',
              done.stdout)
    expect(tap, 0, 'check', 'drifted')
    expect(tap, 0, 'start', 'drifted')
    tap.equal(model('drifted')['digest'], pin('drifted')['measurements'][0]['digest'],
              'the new pin is what QEMU launched')
    undefine('drifted')


def test_observed_and_unpinned(tap: Tap):
    kernel, initrd = small_boot_files('observed')
    xml = domain_xml('observed', kernel=kernel, initrd=initrd, cmdline='quiet')
    expect(tap, 0, 'define', '--on-mismatch', 'observe', '-', given=xml)
    write(initrd, 'another')
    done = expect(tap, 0, 'start', 'observed')
    tap.contains(done.stdout, ['Verdict:         observed'], 'a domain that is only observed starts')
    tap.contains(done.stderr, ['warning: ', initrd], 'with a warning')
    expect(tap, 0, 'destroy', 'observed')
    expect(tap, 0, 'undefine', '--keep-records', 'observed')
    tap.equal((os.path.exists(pin_path('observed')), os.path.exists(record_path('observed'))), (False, True),
              'undefine --keep-records')
    virsh_define(domain_xml('loose', kernel=kernel, initrd=initrd, cmdline='quiet'))
    done = expect(tap, 0, 'start', 'loose')
    tap.contains(done.stdout + done.stderr, ['has no pinned reference', 'Verdict:         unpinned'],
                 'a start without a pin')
    expect(tap, NOT_CONFIGURED, 'check', 'loose')
    expect(tap, 0, 'define', 'loose', name='define of a running domain')
    for flag in '--live', '--config':
        tap.contains(element('loose', flag), [pin('loose')['measurements'][0]['digest']], f'metadata {flag}')
    expect(tap, 0, 'destroy', 'loose')
    record = read(record_path('loose'))
    write(record_path('loose'), record[:len(record) // 2])
    done = expect(tap, 0, 'show', 'loose', name='show of a damaged record')
    tap.contains(done.stderr, ['warning: ', record_path('loose'), 'the next start moves'], 'warns')
    tap.contains(done.stdout, [pin('loose')['measurements'][0]['digest'], 'cannot be shown'], 'and shows the pin')
    done = expect(tap, 0, 'show', '--format', 'json', 'loose')
    tap.equal(json.loads(done.stdout)['launches'], None, 'to programs it says that launches are unknown')
    write(record_path('loose'), record)
    os.rename(pin_path('loose'), pin_path('loose') + '.lost')
    done = expect(tap, REJECTED, 'start', 'loose', name='a pin that was lost')
    tap.contains(done.stderr, ["warning: the metadata of domain 'loose' asks for a check",
                               'to pin it: virt-attest define --accept loose\n'], 'start says what the hook says')
    os.rename(pin_path('loose') + '.lost', pin_path('loose'))
    expect(tap, 0, 'start', 'loose')
    done = expect(tap, 0, 'undefine', 'loose', name='undefine of a running domain')
    tap.contains(done.stderr, ["domain 'loose' keeps running, now without a pinned reference"], 'is remarked upon')
    virsh('destroy', '--domain', 'loose')
    virsh_define(domain_xml('loose', kernel=kernel, initrd=initrd, cmdline='quiet'))
    expect(tap, 0, 'define', 'loose')
    os.unlink(initrd)
    done = expect(tap, CANNOT_READ, 'check', 'loose')
    tap.contains(done.stderr, [initrd], 'the file that is gone is named')
    undefine('loose')


def test_other_veto(tap: Tap):
    confidential('vetoed')
    other = write(f'{HOOK_FOLDER}/10-other',
                  '#!/bin/sh\ncat >/dev/null\n[ "$1 $2" != "vetoed prepare" ] || { echo "not today" >&2; exit 1; }\n')
    os.chmod(other, 0o755)
    done = expect(tap, LIBVIRT_REFUSED, 'start', 'vetoed')
    tap.contains(done.stderr, ['not today'], 'the veto of another hook is passed on')
    os.unlink(other)
    expect(tap, 0, 'start', 'vetoed')
    expect(tap, LIBVIRT_REFUSED, 'start', 'vetoed', name='a domain that runs already')
    undefine('vetoed')


def on_terminal(words, until, send, seconds=60):
    """Run on a terminal; once @until has appeared type @send, again and again: the program may not listen yet.

    (exit code, everything printed)
    """
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(words[0], words)
    seen, end = b'', time.monotonic() + seconds
    while True:
        if time.monotonic() > end:
            os.kill(child, 9)
        try:
            if select.select([terminal], [], [], 0.3)[0]:
                seen += os.read(terminal, 4096)
            elif until in seen:
                os.write(terminal, send)
        except OSError:  # the other side is closed
            break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


def test_console(tap: Tap):
    confidential('talk', devices="<console type='pty'/>")
    expect(tap, LIBVIRT_REFUSED, 'console', 'talk')
    expect(tap, 0, 'start', 'talk')
    code, seen = on_terminal([program('virsh-wrappers/virt-attest'), 'console', 'talk'], b'Escape character', b'\x1d')
    tap.equal(code, 0, 'console ends as virsh does', seen)
    tap.check(-1 < seen.find('Verdict:         match') < seen.find('The host sees') < seen.find('Connected to domain'),
              'verdict and remark come before the console', seen)
    undefine('talk')


#
# Definitions
#
def test_nothing_changed(tap: Tap):
    before, pins = names(), all_pins()
    kernel, initrd = small_boot_files('weak')
    weak = domain_xml('weak', firmware=GENERIC, kernel=kernel, initrd=initrd)
    done = expect(tap, REJECTED, 'define', '--level', '3', '-', given=weak)
    tap.contains(done.stderr, ['reaches attestation level 2, not 3', 'hash-verifier'], 'the rule that failed is named')
    expect(tap, REJECTED, 'define', '--level', '2', '-', given=plain_xml('weak'))
    expect(tap, CANNOT_READ, 'define', '-', given='<domain>')
    expect(tap, CANNOT_READ, 'define', '-', given='')
    expect(tap, CANNOT_READ, 'define', '/nonexistent.xml')
    strong = domain_xml('weak', kernel=kernel, initrd=initrd)
    expect(tap, LIBVIRT_REFUSED, 'define', '-', given=strong.replace("<memory unit='MiB'>128</memory>", ''),
           name='libvirt refuses the XML')
    early = domain_uuid('early')
    done = expect(tap, LIBVIRT_REFUSED, 'define', '-', given=strong.replace('<name>weak<', '<name>early<'),
                  name='another UUID')
    tap.contains(done.stderr, ['exists already, with the UUID ' + early], 'is explained')
    expect(tap, LIBVIRT_REFUSED, 'define', '-', given=strong.replace(domain_uuid('weak'), early),
           name='a UUID of another domain')
    expect(tap, LIBVIRT_REFUSED, 'define', 'nosuch')
    expect(tap, USAGE, '-r', 'define', 'early')
    missing = {'LIBVIRT_DEFAULT_URI': 'qemu+unix:///system?socket=/nosuch'}
    done = expect(tap, LIBVIRT_REFUSED, 'define', '-', given=strong, env={**os.environ, **missing})
    tap.contains(done.stderr, ['cannot connect to', 'is libvirt running?'], 'no libvirt')
    tap.equal((names(), all_pins()), (before, pins),
              'nothing was defined, nothing pinned')


def test_existing(tap: Tap):
    foreign = ("<other:thing xmlns:other='urn:example:other' a='1'><other:deep>kept &amp; safe</other:deep>"
               '</other:thing>')
    kernel, initrd = small_boot_files('old')
    virsh_define(domain_xml('old', kernel=kernel, initrd=initrd, cmdline='a "b" <c> & ü', metadata=foreign))
    before = virsh('dumpxml', '--inactive', 'old').stdout
    expect(tap, 0, 'define', '--level', '3', 'old')
    after = virsh('dumpxml', '--inactive', 'old').stdout
    begin, end = after.index('<attestation'), after.index('</attestation>') + len('</attestation>')
    tap.equal((after[:begin] + after[end:]).split(), before.split(), 'everything else is as it was')
    tap.equal(pin('old')['measurements'][0]['digest'], predicted('old', 'a "b" <c> & ü'), 'measured')
    virsh('domrename', 'old', 'new')
    expect(tap, 0, 'check', 'new', name='a renamed domain keeps its pin')
    tap.equal(len(json.loads(attest('list', '--all', '--format', 'json').stdout)), len(names()) - names().count(''),
              'list shows every domain')
    expect(tap, 0, 'undefine', 'new')
    tap.equal(pin('old'), None, 'undefine removes the pin')
    virsh('create', write(scratch('transient.xml'), domain_xml('transient', kernel=kernel, initrd=initrd)))
    expect(tap, LIBVIRT_REFUSED, 'define', 'transient', name='a transient domain cannot carry a reference')
    stop('transient')


def test_pipe(tap: Tap):
    kernel, initrd = small_boot_files('pipe')
    xml = domain_xml('pipe', kernel=kernel, initrd=initrd).replace(f'<uuid>{domain_uuid("pipe")}</uuid>', '')
    expect(tap, 0, 'define', '--level', '3', '-', given=xml, name='a document without UUID')
    identity = virsh('domuuid', 'pipe').stdout.strip()
    tap.check(os.path.exists(f'{STATE}/references/{identity}.json'), 'it got one')
    expect(tap, 0, 'undefine', 'pipe')
    xml = choose_firmware(domain_xml('chosen', kernel=kernel, initrd=initrd))
    expect(tap, 0, 'define', '--level', '3', '-', given=xml, name='unresolved firmware')
    tap.equal(pin('chosen')['inputs']['firmware']['path'], AMDSEV, 'libvirt chose the AmdSev build')
    expect(tap, 0, 'start', 'chosen')
    undefine('chosen')
    before = names()
    xml = xml.replace("kernelHashes='yes'", '')
    expect(tap, REJECTED, 'define', '--level', '3', '-', given=xml, name='unresolved firmware, level not reached')
    tap.equal(names(), before, 'the new domain is undefined again')


def test_virt_install(tap: Tap):
    if not shutil.which('virt-install'):
        tap.check(True, 'virt-install # SKIP not installed')
        return
    kernel, initrd = small_boot_files('installed')
    done = call('virt-install', '--connect', 'qemu:///system', '--name', 'installed', '--memory', '128', '--vcpus',
                '2', '--import', '--disk', 'none',
                '--boot', f'firmware=efi,kernel={kernel},initrd={initrd},cmdline=quiet', '--machine', 'q35',
                '--osinfo', 'detect=off,require=off',
                '--launchSecurity', 'type=sev-snp,policy=0x30000,kernelHashes=yes', '--network', 'none',
                '--print-xml', '1',
                '--cpu', 'EPYC-Milan,check=none', check=False)
    if done.returncode != 0:
        tap.check(False, 'virt-install prints XML', done.stderr)
        return
    expect(tap, 0, 'define', '--level', '3', '-', given=done.stdout)
    expect(tap, 0, 'start', 'installed')
    identity = virsh('domuuid', 'installed').stdout.strip()
    expected = predict.predict('sev-snp', read(AMDSEV), 2, 'EPYC-Milan', *parts_of('installed'), b'quiet')
    tap.equal(model('installed', identity)['digest'], expected, 'and starts as predicted')
    undefine('installed')


def test_compose(tap: Tap):
    kernel, initrd = small_boot_files('composed')
    done = expect(tap, 0, 'define', '--name', 'composed', '--level', '3', '--kernel', kernel, '--initrd', initrd,
                  '--cmdline', 'root=<x> & "y"',
                  '--cpu-model', 'EPYC-Milan', '--vcpus', '3', '--memory', '192')
    identity = virsh('domuuid', 'composed').stdout.strip()
    xml = virsh('dumpxml', '--inactive', 'composed').stdout
    capabilities = virsh('domcapabilities').stdout
    position = capabilities[capabilities.index('<cbitpos>'):capabilities.index('</cbitpos>')]
    tap.contains(xml, [position, f'>{AMDSEV}</loader>'], 'host bits and firmware are found')
    expect(tap, 0, 'start', 'composed')
    expected = predict.predict('sev-snp', read(AMDSEV), 3, 'EPYC-Milan', *parts_of('composed'), b'root=<x> & "y"')
    tap.contains(done.stdout, [expected], 'it is measured')
    tap.equal(model('composed', identity)['digest'], expected, 'and launched so')
    expect(tap, LIBVIRT_REFUSED, 'define', '--name', 'composed', '--level', '3', '--kernel', kernel, '--cpu-model',
           'EPYC-Milan')
    undefine('composed')
    expect(tap, 0, 'define', '--name', 'zero', '--level', '0')
    tap.equal(attest('-q', 'level', 'zero').stdout, '0\n', 'level 0 is level 0')
    expect(tap, 0, 'undefine', 'zero')


def bind_read_only(path):
    call('mount', '--bind', path, path)
    call('mount', '-o', 'remount,bind,ro', path)


def test_rollback(tap: Tap):
    confidential('rollback')
    former, reference = virsh('dumpxml', '--inactive', 'rollback').stdout, read(pin_path('rollback'))
    kernel, initrd = scratch('rollback.kernel'), scratch('rollback.initrd')
    changed = domain_xml('rollback', kernel=kernel, initrd=initrd, cmdline='changed')
    fresh = domain_xml('rollback2', kernel=kernel, initrd=initrd, cmdline='changed')
    bind_read_only(f'{STATE}/references')
    done = expect(tap, NOT_CONFIGURED, 'define', '--accept', '-', given=changed,
                  name='a state folder that cannot be written')
    tap.contains(done.stderr, ['state folder'], 'is found early')
    tap.equal(row('state-folder'), 'fail', 'and by host-check')
    expect(tap, NOT_CONFIGURED, 'define', '-', given=fresh)
    expect(tap, NOT_CONFIGURED, 'undefine', 'rollback')
    call('umount', f'{STATE}/references')
    tap.equal((virsh('dumpxml', '--inactive', 'rollback').stdout, read(pin_path('rollback'))), (former, reference),
              'nothing changed')
    tap.check('rollback2' not in names(), 'nothing is new')
    # A folder where the new domain's pin belongs: only writing it shows that.
    os.makedirs(pin_path('rollback2') + '/x')
    done = attest('define', '-', given=fresh, check=False)
    tap.check(done.returncode in (CANNOT_READ, NOT_CONFIGURED), 'a pin that cannot be written', done.stderr)
    tap.check('rollback2' not in names(), 'the new domain is undefined again', done.stderr)
    os.rmdir(pin_path('rollback2') + '/x')
    os.rmdir(pin_path('rollback2'))
    done = expect(tap, REJECTED, 'define', '-', given=choose_firmware(changed),
                  name='a difference that shows only after the definition')
    tap.equal(virsh('dumpxml', '--inactive', 'rollback').stdout.split(), former.split(),
              'the former definition is back', done.stderr)
    tap.equal(read(pin_path('rollback')), reference, 'the pin is as it was')
    expect(tap, 0, 'check', 'rollback')
    undefine('rollback')


def disk(path, target='vda', more='', kind='raw', device='disk'):
    return (f"<disk type='file' device='{device}'><driver name='qemu' type='{kind}'/><source file='{path}'/>"
            f"<target dev='{target}' bus='{'sata' if device == 'cdrom' else 'virtio'}'/>{more}</disk>")


def volume_disk(pool, volume, target='vda', kind='raw'):
    return (f"<disk type='volume' device='disk'><driver name='qemu' type='{kind}'/>"
            f"<source pool='{pool}' volume='{volume}'/><target dev='{target}' bus='virtio'/></disk>")


def make_pool(name, *volumes):
    folder = scratch(name)
    os.makedirs(folder)
    virsh('pool-define-as', name, 'dir', '--target', folder)
    virsh('pool-start', name)
    for volume in volumes:
        virsh('vol-create-as', name, volume, '1M', '--format', 'qcow2' if volume.endswith('.qcow2') else 'raw')
    return folder


class Denying:
    """A socket in front of libvirt's that answers one procedure with "access denied" and passes on everything else.

    With @action it is not denied: that runs first.
    """
    LOOKUP_BY_UUID, GET_XML_DESC, LIST_ALL_DOMAINS = 24, 14, 273

    def __init__(self, procedure, skip=0, action=None):
        self.procedure, self.skip, self.action, self.denied = procedure, skip, action, 0
        self.path = scratch(f'denying-{procedure}-{skip}')
        self.uri = f'qemu+unix:///system?socket={self.path}'

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        os.unlink(self.path)

    def refusal(self, header):
        program_number, version, procedure, _, serial, _ = struct.unpack('>6I', header)
        message = b'access denied by the test!!!'  # no padding needed
        body = struct.pack('>6I', program_number, version, procedure, 1, serial, 1)
        body += struct.pack('>iiII', 88, 0, 1, len(message)) + message + struct.pack('>i4IiiI', 2, 0, 0, 0, 0, 0, 0, 0)
        return struct.pack('>I', len(body) + 4) + body

    def serve(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect('/run/libvirt/libvirt-sock')

        def answers():
            while data := server.recv(65536):
                client.sendall(data)
        threading.Thread(target=answers, daemon=True).start()
        stream = client.makefile('rb')
        while len(length := stream.read(4)) == 4:
            packet = stream.read(struct.unpack('>I', length)[0] - 4)
            if struct.unpack_from('>I', packet, 8)[0] == self.procedure:
                self.skip -= 1
                if self.skip < 0 and not self.action:
                    self.denied += 1
                    client.sendall(self.refusal(packet[:24]))
                    continue
                if self.skip == -1:
                    self.action()
            server.sendall(length + packet)
        server.close()


def test_locked(tap: Tap):
    """Two runs on one domain: each sees what the other has finished."""
    kernel, initrd = small_boot_files('locked')

    def changed(text):
        return domain_xml('locked', kernel=kernel, initrd=initrd, cmdline=text)

    def begin(*words, given=''):
        return subprocess.Popen([program('virsh-wrappers/virt-attest'), *words], stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE), given

    def end(runs):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return [(each.returncode, *printed) for (each, _), printed in
                    zip(runs, pool.map(lambda run: run[0].communicate(run[1], timeout=300), runs))]
    expect(tap, 0, 'define', '-', given=changed('first'))
    former, pinned = virsh('dumpxml', '--inactive', 'locked').stdout, read(pin_path('locked'))
    with open(f'{STATE}/references/.lock', 'r+b') as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        for code, _, said in end([begin('define', '--accept', '-', given=changed('second')),
                                  begin('undefine', 'locked'), begin('define', 'locked')]):
            tap.equal(code, CANNOT_READ, 'somebody else is at it', said)
            tap.contains(said, ['error: cannot lock domain', 'another virt-attest', 'nothing was changed'], 'is said')
        tap.equal((virsh('dumpxml', '--inactive', 'locked').stdout, read(pin_path('locked'))), (former, pinned),
                  'nothing was changed')
        waiting = begin('define', '--accept', '-', given=changed('second'))
        time.sleep(1)
        tap.check(waiting[0].poll() is None, 'it waits')
    tap.equal([run[0] for run in end([waiting])], [0], 'and goes on when the other one is done')
    undefine('locked')
    for turn in range(4):
        done = end([begin('define', '-', given=changed(text)) for text in ('this', 'that')])
        tap.equal(sorted(run[0] for run in done), [0, REJECTED], f'two at once, turn {turn}: only one defines it', done)
        expect(tap, 0, 'check', 'locked')
        done = end([begin('define', '--accept', '-', given=changed(text)) for text in ('one', 'two')])
        tap.equal([run[0] for run in done], [0, 0], f'two that accept, turn {turn}: one after the other', done)
        expect(tap, 0, 'check', 'locked')
        tap.equal(json.loads(attest('show', '--format', 'json', 'locked').stdout)['metadata'], 'agrees',
                  'pin and metadata are of one run')
        undefine('locked')
    with Denying(Denying.GET_XML_DESC, action=lambda: virsh_define(changed('other'))) as front:
        done = expect(tap, LIBVIRT_REFUSED, '-c', front.uri, 'define', '-', given=changed('asked'),
                      name='a program without our lock gets in between')
    tap.contains(done.stderr, ["domain 'locked' is not what was handed to libvirt", 'asked', 'other'], 'is noticed')
    tap.check('locked' not in names() and not os.path.exists(pin_path('locked')), 'nothing stays')


def test_killed(tap: Tap):
    """Killed at any moment define leaves a domain that is complete, or one that does not start."""
    kernel, initrd = small_boot_files('killed')
    xml = domain_xml('killed', kernel=kernel, initrd=initrd, cmdline='quiet')
    need_hook()

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    done = attest('define', '-', given=choose_firmware(xml), check=False, preexec_fn=limit_files)
    tap.equal((done.returncode, 'killed' in names(), os.path.exists(pin_path('killed'))),
              (CANNOT_READ, False, False), 'a file size limit does not kill it: the domain is undefined again',
              done.stderr)
    expect(tap, 0, 'define', '-', given=choose_firmware(xml))
    os.unlink(pin_path('killed'))  # what a kill between metadata and pin leaves
    expect(tap, REJECTED, 'start', 'killed', name='which does not start')
    tap.equal(state('killed'), 'shut off', 'it does not run')
    expect(tap, 0, 'define', '--level', '3', 'killed', name='another run completes it')
    expect(tap, 0, 'start', 'killed')
    undefine('killed')
    begin = time.monotonic()
    expect(tap, 0, 'define', '-', given=xml)
    whole = time.monotonic() - begin
    undefine('killed')
    seen = []
    for turn in range(16):
        with subprocess.Popen([program('virsh-wrappers/virt-attest'), 'define', '-'], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            run.stdin.write(xml.encode())
            run.stdin.close()
            time.sleep(whole * (0.4 + 0.6 * turn / 15))
            run.kill()
        settle()
        if 'killed' not in names():
            seen.append('nothing')
        elif os.path.exists(pin_path('killed')):
            expect(tap, 0, 'check', 'killed', name=f'turn {turn}: pinned')
            seen.append('pinned')
        else:
            expect(tap, REJECTED, 'start', 'killed', name=f'turn {turn}: refused')
            seen.append('refused')
        undefine('killed')
    tap.comment(f'killed within {whole:.2f} s: {seen}')


def test_undefine(tap: Tap):
    pool = make_pool('tests', 'one.img', 'named.img', 'shared.img', 'kept.img', 'cd.iso')
    confidential('store', devices=disk(f'{pool}/one.img', 'vda') + disk(f'{pool}/kept.img', 'vdb', '<readonly/>') +
                 disk(f'{pool}/shared.img', 'vdc', '<shareable/>') + disk(f'{pool}/cd.iso', 'sda', device='cdrom') +
                 volume_disk('tests', 'named.img', 'vdd'))
    outside = write(scratch('outside.img'), bytes(4096))
    need_hook()
    confidential('outside', devices=disk(outside))
    done = expect(tap, LIBVIRT_REFUSED, 'undefine', '--storage', 'outside')
    tap.contains(done.stderr, ['nothing was removed', outside, 'is in no storage pool'], 'a disk that is no volume')
    tap.check('outside' in names() and os.path.exists(pin_path('outside')), 'and the domain stays')
    expect(tap, 0, 'start', 'store')
    done = expect(tap, LIBVIRT_REFUSED, 'undefine', '--storage', 'store', name='a running domain')
    tap.contains(done.stderr, ['to stop it: virt-attest destroy store'], 'is to be stopped first')
    expect(tap, 0, 'destroy', 'store')
    done = expect(tap, 0, 'undefine', '--storage', 'store')
    tap.equal(sorted(os.listdir(pool)), ['cd.iso', 'kept.img', 'shared.img'],
              'only its own writable volumes are gone, by path and by pool and name')
    tap.contains(done.stdout, ["kept.img' is kept: it is read-only", "shared.img' is kept: it is shareable",
                               "cd.iso' is kept: it is a CD-ROM", "one.img' removed", "named.img' removed"],
                 'it says what it kept')
    tap.equal((os.path.exists(pin_path('store')), os.path.exists(record_path('store'))), (False, False),
              'with pin and records')
    undefine('outside')


def test_leftover(tap: Tap):
    confidential('left')
    identity, pinned = domain_uuid('left'), read(pin_path('left'))
    leftover = 'undefine', '--leftover', identity

    def stays(what):
        tap.check(os.path.exists(pin_path('left')) and read(pin_path('left')) == pinned, f'{what}: the pin stays')
    expect(tap, USAGE, *leftover, name='of a domain that exists')
    stays('the domain exists')
    expect(tap, USAGE, '-c', 'qemu:///session', *leftover, name="root's session is the same libvirt")
    stays("root's session")
    twin = write(scratch('twin.xml'), '<node><domain type="test"><name>twin</name><memory>8192</memory><os><type>hvm'
                 f'</type></os><uuid>{identity}</uuid></domain></node>')
    expect(tap, LIBVIRT_REFUSED, '-c', 'test:///default', 'undefine', identity, name='a libvirt without that domain')
    expect(tap, LIBVIRT_REFUSED, '-c', 'test:///default', 'undefine', 'nosuch')
    done = expect(tap, USAGE, '-c', 'test:///default', *leftover, name='a libvirt without our hook')
    tap.contains(done.stderr, ["'test:///default' is not the libvirt whose hook reads"], 'is told so')
    expect(tap, USAGE, '-c', f'test://{twin}', 'undefine', 'twin', name='the UUID in another libvirt')
    expect(tap, USAGE, '-c', f'test://{twin}', 'define', 'twin', name='nothing is pinned for it')
    stays('other drivers')
    expect(tap, LIBVIRT_REFUSED, '-c', 'qemu+unix:///system?socket=/nosuch', *leftover, name='no libvirt')
    for words in ('undefine', identity), leftover:
        with Denying(Denying.LOOKUP_BY_UUID) as front:
            expect(tap, LIBVIRT_REFUSED, '-c', front.uri, *words, name=f'{words[1]}: a lookup that is denied')
            tap.equal(front.denied, 1, 'it was denied')
    with Denying(Denying.LOOKUP_BY_UUID, skip=1) as front:
        virsh('undefine', 'left')
        expect(tap, LIBVIRT_REFUSED, '-c', front.uri, *leftover, name='a second look that is denied')
        tap.equal(front.denied, 1, 'it was denied')
    stays('libvirt did not say that there is none')
    done = expect(tap, LIBVIRT_REFUSED, 'undefine', identity, name='the pin of a domain that virsh undefined')
    tap.contains(done.stderr, [f'to remove them: virt-attest undefine --leftover {identity}'], 'how to remove it')
    stays('not asked for')
    expect(tap, USAGE, 'undefine', '--leftover', 'left', name='by name')
    stays('a name')
    expect(tap, 0, *leftover)
    tap.check(not os.path.exists(pin_path('left')), 'its UUID reaches it')
    expect(tap, LIBVIRT_REFUSED, *leftover)


def test_used_volumes(tap: Tap):
    """A volume that anybody else uses, or may use, stays, and so does its domain."""
    pool = make_pool('used', 'mine.img', 'base.qcow2')
    virsh('vol-create-as', 'used', 'over.qcow2', '1M', '--format', 'qcow2', '--backing-vol', 'base.qcow2',
          '--backing-vol-format', 'qcow2')
    mine, link, folder = f'{pool}/mine.img', scratch('other-spelling'), scratch('same-pool')
    os.symlink(pool, folder)
    os.symlink(mine, link)
    confidential('mine', devices=disk(mine))
    confidential('base', devices=disk(f'{pool}/base.qcow2', kind='qcow2'))
    before = sorted(os.listdir(pool))

    def stays(what, *words, name='mine', code=LIBVIRT_REFUSED, front=()):
        done = expect(tap, code, *front, 'undefine', '--storage', name, name=what)
        tap.contains(done.stderr, ['nothing was removed', *words], f'{what}: why')
        tap.equal((sorted(os.listdir(pool)), name in names(), os.path.exists(pin_path(name))), (before, True, True),
                  f'{what}: everything is still there')

    for what, devices in {
            'a disk of another domain': disk(mine),
            'another spelling': disk(f'{pool}/../used//mine.img'),
            'a symbolic link': disk(link),
            'below a linked folder': disk(f'{folder}/mine.img'),
            'a read-only disk': disk(mine, more='<readonly/>'),
            'a CD-ROM': disk(mine, 'sda', device='cdrom'),
            'pool and volume': volume_disk('used', 'mine.img'),
            'a base in the XML': disk(f'{pool}/over.qcow2', kind='qcow2', more=(
                f"<backingStore type='file'><format type='raw'/><source file='{mine}'/></backingStore>"))}.items():
        virsh_define(plain_xml('user', devices=devices))
        stays(what, mine, "used by domain 'user'")
        virsh('undefine', 'user')
    virsh_define(plain_xml('user', kernel=mine))
    stays('a kernel', mine, "used by domain 'user'")
    virsh('undefine', 'user')
    stays('the base of a volume', 'base.qcow2', f"used by volume '{pool}/over.qcow2', whose base it is", name='base')
    virsh_define(plain_xml('user', devices=disk(f'{pool}/over.qcow2', kind='qcow2')))
    stays('the base of a disk', f"used by volume '{pool}/over.qcow2'", name='base')
    unknown = scratch('unknown.qcow2')
    call('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', mine, '-F', 'raw', unknown)
    virsh_define(plain_xml('user', devices=disk(unknown, kind='qcow2')))
    stays('an overlay outside of all pools', unknown, "used by domain 'user'", 'is in no storage pool')
    virsh_define(plain_xml('user'))
    virsh('pool-define-as', 'idle', 'dir', '--target', scratch('idle'))
    stays('a pool that is not active', "pool 'idle' is not active")
    virsh('pool-undefine', 'idle')
    virsh_define(plain_xml('user', devices=disk('/dev/null/x') + disk(scratch('gone.qcow2'), 'vdb', kind='qcow2')))
    for procedure, skip in (Denying.LIST_ALL_DOMAINS, 0), (Denying.GET_XML_DESC, 1), (Denying.GET_XML_DESC, 2):
        with Denying(procedure, skip) as front:
            stays(f'procedure {procedure} fails', 'access denied', front=('-c', front.uri))
            tap.equal(front.denied, 1, 'it was denied')
    expect(tap, 0, 'undefine', '--storage', 'mine', name='when nobody uses it')
    tap.check('mine.img' not in os.listdir(pool) and 'mine' not in names(), 'it is gone')
    virsh('vol-delete', '--pool', 'used', 'over.qcow2')
    expect(tap, 0, 'undefine', '--storage', 'base', name='when it is no base any more')
    tap.equal(os.listdir(pool), [], 'it is gone')
    virsh('undefine', 'user')


def test_names(tap: Tap):
    for name in '--version', 'a b;c$(touch x)', '-', 'x.xml', 'ü"\'<&>':
        confidential(name)
        expect(tap, 0, 'check', '--domain', name)
        expect(tap, 0, 'start', '--domain', name)
        expect(tap, 0, 'destroy', '--domain', name)
        if name == '--version':
            expect(tap, 0, 'show', '--', name)
        expect(tap, 0, 'undefine', '--domain', name)
        tap.check(not os.path.exists(pin_path(name)), f'{name}: gone')


def test_ordinary_user(tap: Tap):
    """Who may not talk to libvirt, or not write the state, is told so, and nothing happens."""
    home = scratch('home')
    os.makedirs(home)
    os.chmod(home, 0o777)
    tool = shutil.copyfile(program('virsh-wrappers/virt-attest'), f'{home}/virt-attest')
    os.chmod(tool, 0o755)
    environment = {**os.environ, 'HOME': home, 'XDG_STATE_HOME': f'{home}/state', 'ASAN_OPTIONS': 'detect_leaks=0'}
    environment.pop('XDG_RUNTIME_DIR', None)

    def user(*words, given=None):
        return subprocess.run([tool, *words], input=given or '', capture_output=True, text=True, env=environment,
                              user=65534, group=65534,
                              extra_groups=[], timeout=300, check=False)
    os.chmod(os.environ['PRIVATE_LIBVIRT_STATE'], 0o755)
    done = user('list')
    if done.returncode == 5:
        tap.contains(done.stderr, ['error: cannot connect to', 'as root'], 'no access to libvirt')
    else:
        tap.contains(done.stderr, ['warning: levels and verdicts are not shown'], 'list without access to the state')
        done = user('define', 'early')
        tap.equal(done.returncode, NOT_CONFIGURED, 'define without access to the state', done.stderr)
        tap.contains(done.stderr, ['error: '], 'says so')
        tap.check(not os.path.exists(f'{home}/state'), 'and pins nowhere else')
    done = user('measure', '-', given=domain_xml('offline', kernel_hashes=False))
    tap.equal(done.returncode, 0, 'measure needs nothing', done.stderr)


def test_session(tap: Tap):
    """libvirt tells its hooks a user's HOME, but no XDG_… variable: what is pinned elsewhere would not count."""
    home = scratch('session')
    for folder in home, f'{home}/run', f'{home}/state', f'{home}/config', f'{home}/config/virt-attest':
        os.makedirs(folder)
        os.chown(folder, 65534, 65534)
        os.chmod(folder, 0o700)
    os.chmod(os.environ['PRIVATE_LIBVIRT_STATE'], 0o755)
    tool = shutil.copyfile(program('virsh-wrappers/virt-attest'), f'{home}/virt-attest')
    os.chmod(tool, 0o755)
    environment = {'PATH': os.environ['PATH'], 'HOME': home, 'XDG_RUNTIME_DIR': f'{home}/run',
                   'ASAN_OPTIONS': 'detect_leaks=0'}
    xml = plain_xml('humble').replace("type='kvm'", "type='qemu'")

    def define(**variables):
        return subprocess.run([tool, '-c', 'qemu:///session', 'define', '--level', '0', '-'], input=xml, text=True,
                              capture_output=True, env={**environment, **variables}, user=65534, group=65534,
                              extra_groups=[], timeout=300, check=False)

    def refused(done, variable):
        tap.equal(done.returncode, NOT_CONFIGURED, f'{variable}: refused', done.stdout + done.stderr)
        tap.contains(done.stderr, [f"error: {variable} is '", f'unset {variable} and run this command again'],
                     f'{variable}: what to do')
    refused(define(XDG_STATE_HOME=f'{home}/state'), 'XDG_STATE_HOME')
    tap.equal((os.listdir(f'{home}/state'), os.path.exists(f'{home}/.local')), ([], False), 'nothing was written')
    write(f'{home}/config/virt-attest/virt-attest.conf', '')
    refused(define(XDG_CONFIG_HOME=f'{home}/config'), 'XDG_CONFIG_HOME')
    os.unlink(f'{home}/config/virt-attest/virt-attest.conf')
    for variables in {}, {'XDG_CONFIG_HOME': f'{home}/config'}, {'XDG_STATE_HOME': f'{home}/.local/state/'}, \
            {'XDG_STATE_HOME': f'{home}/.local/../.local/state'}:
        done = define(**variables)
        tap.equal(done.returncode, 0, f'{variables}: the hook looks there too', done.stderr)
    tap.check(os.path.isdir(f'{home}/.local/state/virt-attest/references'), 'that is where the state is')


if __name__ == '__main__':
    run([test_without_hook, test_host_check, test_show_and_list, test_refused_start, test_observed_and_unpinned,
         test_other_veto, test_console,
         test_nothing_changed, test_existing, test_pipe, test_virt_install, test_compose, test_rollback,
         test_locked, test_killed, test_undefine, test_leftover, test_used_volumes, test_names,
         test_ordinary_user, test_session])
