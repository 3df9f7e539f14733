#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Define, start, stop; what the hook leaves alone; daemons that come and go under running guests."""
import json
import os
import re
import subprocess
import time

from harness import (AMDSEV, CONFIG, HOOK, NAMESPACE, NOT_CONFIGURED, STATE, Tap, attest, boot_files, call,
                     confidential,
                     daemon, domain_xml, eventually, expect_match, install_hook, last, launches, model,
                     pin_path, plain_xml, read, record, record_path, run, running, scratch, sha256, start, state, stop,
                     tree,
                     virsh, virsh_define, write, write_config)


def row(tap, check, name):
    rows = {entry['check']: entry for entry in json.loads(check.stdout)['checks']}
    if not tap.check(name in rows, f'host-check has the row {name}', check.stdout):
        return {}
    return rows[name]


def test_hook_that_the_daemon_does_not_know(tap: Tap):
    """The daemon found no hook when it started: libvirt runs none, however many are installed since."""
    confidential('early')
    said = attest('host-check', '--format', 'json', check=False)
    tap.equal(row(tap, said, 'hook-installed').get('result'), 'fail', 'host-check misses the hook')
    install_hook(reload=False)
    done = start('early', check=False)
    tap.equal((done.returncode, running('early'), record('early')), (0, True, None),
              'libvirt starts without asking the hook')
    stop('early')
    said = attest('host-check', '--format', 'json', check=False)
    known = row(tap, said, 'hook-known')
    tap.equal((said.returncode, known.get('result')), (NOT_CONFIGURED, 'fail'),
              'host-check says that the daemon does not know it')
    tap.check('reload' in str(known), 'and that a reload is what to do', known)
    done = attest('start', 'early', check=False)
    tap.equal((done.returncode, running('early')), (NOT_CONFIGURED, True),
              'virt-attest start starts it, and does not call that good')
    tap.contains(done.stderr, ['error: ', 'hook', 'RUNNING unchecked', 'reload'], 'but says loudly that nobody checked')
    stop('early')
    done = attest('start', '--strict', 'early', check=False)
    tap.equal((done.returncode, state('early')), (NOT_CONFIGURED, 'shut off'),
              'virt-attest start --strict stops it again', done.stderr)
    daemon('reload')
    expect_match(tap, 'early', 'after a reload')
    said = attest('host-check', '--format', 'json', check=False)
    tap.equal(row(tap, said, 'hook-known').get('result'), 'pass', 'host-check sees that the daemon has run the hook')
    stop('early')


def test_level_3(tap: Tap):
    kernel, initrd = boot_files()
    cmdline = 'console=ttyS0 root=/dev/vda1 ro  "a b" <&> müsli'
    files = {path: sha256(path) for path in (kernel, initrd, AMDSEV)}
    xml = domain_xml('main', kernel=kernel, initrd=initrd, cmdline=cmdline, vcpus='<vcpu>2</vcpu>', memory=512,
                     metadata="<app:note xmlns:app='urn:example:app' kept='yes'>text</app:note>")
    before = tree(STATE)
    done = attest('define', '--level', '3', write(scratch('main.xml'), xml))
    tap.contains(done.stdout, ["Domain 'main' defined", 'sev-snp', 'EPYC-Milan'], 'define says what it did')
    tap.equal(done.stderr, '', 'and nothing on stderr')
    tap.equal({path: value for path, value in tree(STATE).items() if path in before}, before,
              'what other domains have is unchanged')
    pinned = json.loads(read(pin_path('main')))
    tap.equal(os.lstat(pin_path('main')).st_mode & 0o777, 0o600, 'the pin is readable for root only')
    element = virsh('metadata', 'main', NAMESPACE, '--config').stdout
    tap.check(pinned['measurements'][0]['digest'] in element and "level=\"3\"" in element,
              'the metadata has the digest', element)
    tap.contains(virsh('metadata', 'main', 'urn:example:app').stdout, ['kept="yes"', 'text'],
                 'the metadata of others is kept')
    begin = time.time()
    expect_match(tap, 'main', 'level 3')
    digest = model('main')['digest']
    tap.equal([entry['digest'] for entry in pinned['measurements']], [digest], 'the pin has the digest of the launch')
    found = last('main')
    tap.equal((found['state'], found['platform'], found['level'], found['cpu'], found['vcpus'], found['signature']),
              ('running', 'sev-snp', 3, 'EPYC-Milan', 2, '0xa00f11'), 'the record has the facts', found)
    inputs = {role: found['inputs'][role]['sha256'] for role in ('firmware', 'kernel', 'initrd')}
    tap.equal(inputs, {'firmware': files[AMDSEV], 'kernel': files[kernel], 'initrd': files[initrd]}, 'and the inputs')
    tap.equal(found['inputs']['cmdline']['text'], cmdline, 'and the command line')
    moment = re.fullmatch(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z', found['time'])
    parsed = moment and time.mktime(time.strptime(moment[1] + ' UTC', '%Y-%m-%dT%H:%M:%S %Z')) - time.timezone
    tap.check(moment and begin - 1 <= parsed <= time.time() + 1, 'and the time', found['time'])
    for scope in '--live', '--config':
        tap.check(digest in virsh('metadata', 'main', NAMESPACE, scope).stdout, f'metadata {scope}')
    shown = attest('show', 'main').stdout
    tap.contains(shown, [digest, 'main', 'match'], 'show has digest and verdict')
    listed = attest('list', '--all').stdout
    tap.contains(listed, ['main', 'match'], 'list has the domain')
    tap.equal(attest('check', 'main').returncode, 0, 'check agrees while it runs')
    stop('main')
    tap.check(eventually(lambda: last('main')['state'] == 'stopped'), 'the record says stopped', record('main'))
    tap.equal((last('main')['endReason'], bool(last('main').get('ended'))), ('destroyed', True), 'with reason and time')
    done = attest('start', 'main')
    tap.contains(done.stdout, [digest, 'match'], 'virt-attest start shows measurement and verdict')
    done = attest('destroy', 'main')
    tap.equal((done.returncode, state('main')), (0, 'shut off'), 'virt-attest destroy stops it')
    tap.equal(len(launches('main')), 2, 'two launches are in the record')
    tap.equal({path: sha256(path) for path in files}, files, 'the inputs are unchanged')
    tap.equal(oct(os.lstat(record_path('main')).st_mode & 0o777), oct(0o600), 'the record is readable for root only')


SHAPES = (
    ('sev', dict(platform='sev', policy=0x3), 1),
    ('sev-es', dict(platform='sev-es', policy=0x7, vcpus='<vcpu>3</vcpu>'), 3),
    ('sev rome', dict(platform='sev-es', cpu='EPYC-Rome', vcpus='<vcpu>2</vcpu>'), 2),
    ('current', dict(vcpus="<vcpu current='3'>8</vcpu>"), 3),
    ('hotplug', dict(vcpus='''<vcpu current='3'>4</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>
        <vcpu id='1' enabled='no' hotpluggable='yes'/><vcpu id='2' enabled='yes' hotpluggable='yes'/>
        <vcpu id='3' enabled='yes' hotpluggable='yes'/></vcpus>'''), 3),
    ('genoa', dict(cpu='EPYC-Genoa', vcpus='<vcpu>4</vcpu>'), 4),
)


def test_platforms_and_vcpus(tap: Tap):
    for name, shape, vcpus in SHAPES:
        confidential(name, **shape)
        expect_match(tap, name, name)
        found, seen = last(name), model(name)
        platform = shape.get('platform', 'sev-snp')
        # The state of virtual CPUs is no part of a SEV measurement.
        tap.equal((found.get('vcpus'), found['platform']), (None if platform == 'sev' else vcpus, platform),
                  f'{name}: vCPUs and platform')
        tap.equal(seen['vcpus'], vcpus, f'{name}: the model saw as many')
        stop(name)


def test_host_decides_cpu(tap: Tap):
    """host-passthrough is this machine's processor: only what the launching host sees can tell the signature."""
    kernel, initrd = boot_files()
    xml = domain_xml('passthrough', cpu=None, kernel=kernel, initrd=initrd, cmdline='quiet').replace(
        '<devices>', "<cpu mode='host-passthrough' check='none'/><devices>")
    done = attest('define', '--level', '2', '--cpu', 'host', write(scratch('p.xml'), xml), check=False)
    if not tap.equal(done.returncode, 0, 'host-passthrough is defined for this host', done.stderr):
        return
    expect_match(tap, 'passthrough', 'host-passthrough')
    tap.equal(last('passthrough')['signature'], model('passthrough')['rdx'],
              'with the signature that QEMU has put into the vCPU')
    stop('passthrough')


def test_plain_domains(tap: Tap):
    """No launchSecurity, no pin: the hook has nothing to say, whatever state it is in."""
    before = tree(STATE)
    virsh_define(plain_xml('plain'))
    for what, config in (('defaults', None), ('a broken configuration', '[gate]\nnonsense = 1\n'),
                         ('no state folder', '[paths]\nstate-directory = /nonexistent/virt-attest\n'),
                         ('a state folder that is a file', f'[paths]\nstate-directory = {scratch("main.xml")}\n'),
                         ('unpinned domains refused', '[gate]\nunpinned = refuse\n')):
        write_config(config)
        done = start('plain', check=False)
        tap.equal((done.returncode, done.stderr, running('plain')), (0, '', True), f'starts with {what}')
        stop('plain')
    write_config(None)
    tap.equal(tree(STATE), before, 'nothing was written')
    tap.check(not os.path.exists('/nonexistent'), 'not even the folder that was missing')


def test_unpinned(tap: Tap):
    """Confidential, but never given to virt-attest: observed by default, refused where the owner says so."""
    virsh_define(domain_xml('unpinned', kernel_hashes=False))
    tap.equal(start('unpinned').returncode, 0, 'starts by default')
    tap.equal((last('unpinned')['verdict'], last('unpinned')['digest']), ('unpinned', model('unpinned')['digest']),
              'and is measured and recorded')
    stop('unpinned')
    write_config('[gate]\nunpinned = refuse\n')
    done = start('unpinned', check=False)
    tap.equal((done.returncode, state('unpinned')), (1, 'shut off'), 'unpinned = refuse refuses it')
    tap.contains(done.stderr, ['no pinned reference', CONFIG, 'virt-attest define'], 'and says what to do')
    write_config(None)
    tap.equal(start('unpinned').returncode, 0, 'starts again')
    stop('unpinned')


def qemu_pid(name):
    return int(read(f'/run/libvirt/qemu/{name}.pid'))


def test_daemon(tap: Tap):
    """Whatever happens to the daemon, the configuration or the state: a running guest is not killed."""
    confidential('survivor')
    start('survivor')
    pid, pin = qemu_pid('survivor'), read(pin_path('survivor'))
    history = launches('survivor')

    def reconnected():
        return virsh('qemu-monitor-command', 'survivor', '{"execute": "query-status"}', check=False).returncode == 0

    def survives(what, *actions):
        for action in actions:
            daemon(action)
        tap.check(eventually(reconnected), f'is reconnected after {what}')
        tap.equal((state('survivor'), qemu_pid('survivor')), ('running', pid), f'survives {what}')

    survives('a restart', 'restart')
    survives('a reload', 'reload')
    # From here on the daemon is killed: it takes up to half a minute to end, and reconnects the guest just the same.
    survives('a killed daemon', 'kill', 'start')
    write_config('[gate]\nnonsense = 1\n')
    survives('a restart with a broken configuration', 'kill', 'start')
    write_config('[paths]\nstate-directory = /nonexistent/virt-attest\n')
    survives('a restart without the state folder', 'kill', 'start')
    write_config(None)
    write(pin_path('survivor'), pin[:len(pin) // 2])
    survives('a restart with a torn pin', 'kill', 'start')
    write(pin_path('survivor'), b'{}')
    survives('a reload with an empty pin', 'reload', 'kill', 'start')
    write(pin_path('survivor'), pin)
    entries = read(record_path('survivor'))
    write(record_path('survivor'), b'\0not json')
    survives('a restart with a corrupt record', 'kill', 'start')
    write(record_path('survivor'), entries)
    os.rename(HOOK, HOOK + '.gone')
    os.chmod(HOOK + '.gone', 0o644)
    survives('a restart without the hook', 'kill', 'start')
    os.chmod(HOOK + '.gone', 0o755)
    os.rename(HOOK + '.gone', HOOK)
    survives('its return', 'kill', 'start')
    tap.equal(launches('survivor')[0]['id'], history[0]['id'], 'the launch is still in the record')
    tap.equal(len(launches('survivor')), 1, 'and it is the only one')
    stop('survivor')
    tap.check(eventually(lambda: last('survivor')['state'] == 'stopped'), 'its end is recorded', record('survivor'))
    expect_match(tap, 'survivor', 'afterwards')
    daemon('kill')
    call('kill', '-9', str(pid2 := qemu_pid('survivor')))
    eventually(lambda: not os.path.exists(f'/proc/{pid2}'))
    daemon('start')
    tap.check(eventually(lambda: state('survivor') == 'shut off'), 'a guest that died without the daemon is seen')
    expect_match(tap, 'survivor', 'and starts again')
    stop('survivor')


def test_hook_needs_no_libvirt(tap: Tap):
    linked = subprocess.run(['ldd', HOOK], capture_output=True, text=True, check=True).stdout
    tap.check('libvirt' not in linked and 'libglib' in linked, 'the installed hook does not link libvirt', linked)


TESTS = (test_hook_that_the_daemon_does_not_know, test_level_3, test_platforms_and_vcpus, test_host_decides_cpu,
         test_plain_domains, test_unpinned, test_daemon, test_hook_needs_no_libvirt)

if __name__ == '__main__':
    run(TESTS)
