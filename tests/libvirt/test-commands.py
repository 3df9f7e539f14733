#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands as a user runs them: what they print, their exit codes, and what they leave alone."""
import json
import os
import pty
import select
import shutil
import subprocess
import time

from harness import (AMDSEV, HOOK, HOOK_FOLDER, LIBVIRT_REFUSED, NAMESPACE, NOT_CONFIGURED, CANNOT_READ, REJECTED,
                     STATE, USAGE, Tap, attest, call, confidential, daemon, domain_uuid, domain_xml, install_hook,
                     model, pin_path, plain_xml, program, read, record_path, redefine, run, scratch, small_boot_files,
                     state, stop, virsh, virsh_define, write)

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
    before, pins = names(), sorted(os.listdir(f'{STATE}/references'))
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
    tap.equal((names(), sorted(os.listdir(f'{STATE}/references'))), (before, pins),
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
    tap.check(os.path.exists(f'{STATE}/references/{identity}.json'), 'libvirt gave it one')
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


def test_undefine(tap: Tap):
    pool = scratch('pool')
    os.makedirs(pool)
    virsh('pool-create-as', 'tests', 'dir', '--target', pool)
    for volume in 'one.img', 'shared.img', 'kept.img':
        virsh('vol-create-as', 'tests', volume, '1M', '--format', 'raw')

    def disk(path, target, more=''):
        return (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
                f"<target dev='{target}' bus='virtio'/>"
                f'{more}</disk>')
    confidential('store', devices=disk(f'{pool}/one.img', 'vda') + disk(f'{pool}/kept.img', 'vdb', '<readonly/>'))
    virsh_define(plain_xml('sharer', devices=disk(f'{pool}/shared.img', 'vda', '<shareable/>')))
    confidential('sharer2', devices=disk(f'{pool}/shared.img', 'vda', '<shareable/>'))
    done = expect(tap, LIBVIRT_REFUSED, 'undefine', '--storage', 'sharer2')
    tap.contains(done.stderr, ["also a disk of domain 'sharer'", 'nothing was removed'], 'a shared disk is kept')
    outside = write(scratch('outside.img'), bytes(4096))
    confidential('outside', devices=disk(outside, 'vda'))
    expect(tap, LIBVIRT_REFUSED, 'undefine', '--storage', 'outside')
    tap.equal([name in names() for name in ('sharer2', 'outside')], [True, True], 'and the domains')
    expect(tap, 0, 'start', 'store')
    expect(tap, LIBVIRT_REFUSED, 'undefine', '--storage', 'store', name='a running domain')
    expect(tap, 0, 'destroy', 'store')
    expect(tap, 0, 'undefine', '--storage', 'store')
    tap.equal(sorted(os.listdir(pool)), ['kept.img', 'shared.img'], 'only its writable volume is gone')
    tap.equal((os.path.exists(pin_path('store')), os.path.exists(record_path('store'))), (False, False),
              'with pin and records')
    virsh('undefine', 'outside')
    expect(tap, 0, 'undefine', domain_uuid('outside'), name='the pin of a domain that virsh undefined')
    tap.check(not os.path.exists(pin_path('outside')), 'is removed by its UUID')
    expect(tap, LIBVIRT_REFUSED, 'undefine', domain_uuid('outside'))
    undefine('sharer')
    undefine('sharer2')


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
                              extra_groups=[], timeout=60, check=False)
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


if __name__ == '__main__':
    run([test_without_hook, test_host_check, test_show_and_list, test_refused_start, test_observed_and_unpinned,
         test_other_veto, test_console,
         test_nothing_changed, test_existing, test_pipe, test_virt_install, test_compose, test_rollback,
         test_undefine, test_names,
         test_ordinary_user])
