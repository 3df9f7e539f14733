#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that mean something to a shell, to an option parser or to a printer; and the ways users make domains."""
import json
import os
import re
import subprocess

from harness import (AMDSEV, HOOK, NAMESPACE, REJECTED, STATE, Tap, attest, boot_files, call, confidential,
                     domain_uuid, domain_xml, expect_match, expect_veto, install_hook, last, model, pin_path, read, record,
                     redefine, run, scratch, small_boot_files, start, state, stop, tree, virsh, write)

NAMES = ('--version', '--help', '-', '--', '-c', '$(touch hacked)', '`touch hacked`', 'a;touch hacked', 'a b',
         ' leading', "it's", '"double"', 'back\\slash', 'a<b>&amp;c', 'müsli 日本 🔒', 'right\u202eleft', 'tab\there',
         'bell\x7f', '*',
         '%s%n', '!!', '#comment', '~', 'file.xml', '..', 'é' * 60)


def suggested(text):
    """The command in a refusal that accepts the change: all the rest of its line."""
    found = re.search(r'(?:to accept this|If this change is wanted): (virt-attest .*)', text)
    return found[1] if found else None


def test_install(tap: Tap):
    install_hook()
    tap.check(os.access(HOOK, os.X_OK), 'the hook is installed')


def test_names(tap: Tap):
    folder = scratch('cwd')
    os.mkdir(folder)
    kernel, initrd = small_boot_files('names')
    for name in NAMES:
        what = ascii(name)
        done = attest('define', '--level', '3', write(scratch('define.xml'), domain_xml(
            name, kernel=kernel, initrd=initrd, cmdline='quiet')), check=False)
        if done.returncode == 5 and 'cannot define domain' in done.stderr:
            tap.check(not os.path.exists(pin_path(name)), f'{what}: libvirt does not take this name, nothing is pinned')
            continue
        if not tap.equal(done.returncode, 0, f'{what}: is defined', done.stderr):
            continue
        expect_match(tap, name, what)
        tap.equal(record(name)['name'], name, f'{what}: recorded under its name')
        stop(name)
        redefine(name, ('<cmdline>.*</cmdline>', '<cmdline>loud</cmdline>'))
        said = expect_veto(tap, name, what, ["'quiet'", "'loud'"])
        command = suggested(said)
        if not tap.check(command, f'{what}: a command is suggested', said):
            continue
        done = attest('check', f'--domain={name}', check=False)
        by_uuid = f'virt-attest define --accept {domain_uuid(name)}'
        tap.check(done.returncode == REJECTED and suggested(done.stdout) in (command, by_uuid),
                  f'{what}: check suggests the same, by name or by UUID', done.stdout)
        done = subprocess.run(['bash', '-c', command], cwd=folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL,
                              timeout=300)
        tap.equal(done.returncode, 0, f'{what}: the suggested command works in a shell', f'{command}\n{done.stderr}')
        tap.equal(os.listdir(folder), [], f'{what}: and does nothing else')
        expect_match(tap, name, f'{what}, accepted')
        stop(name)
        done = attest('undefine', f'--domain={name}', check=False)
        tap.equal((done.returncode, os.path.exists(pin_path(name))), (0, False), f'{what}: can be undefined',
                  done.stderr)


def test_command_line_texts(tap: Tap):
    """Command lines are quoted in messages: no control character reaches a terminal."""
    confidential('texts', cmdline='plain')
    texts = "quote ' and \" and `x` $(y)", 'esc&#x9;tab', 'long ' * 400, 'right\u202eleft', 'C1 \u009b31m', 'ü'
    for number, text in enumerate(texts):
        redefine('texts', ('<cmdline>.*</cmdline>', f'<cmdline>{text}</cmdline>'))
        said = expect_veto(tap, 'texts', f'text {number}', ['command line', 'virt-attest define --accept texts'])
        odd = [character for character in said if not character.isprintable() and character not in '\n\t']
        tap.equal(odd, [], f'text {number}: only printable characters in the message')
        tap.check(len(said) < 20000, f'text {number}: a message of reasonable length', len(said))


def test_existing_domain(tap: Tap):
    """A domain that virt-manager made is taken as it is: UUID, devices, metadata of others."""
    kernel, initrd = boot_files()
    xml = domain_xml('existing', kernel=kernel, initrd=initrd, cmdline='quiet',
                     metadata="<libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
                     "<libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo>")
    virsh('define', write(scratch('existing.xml'), xml))
    before = virsh('dumpxml', '--inactive', 'existing').stdout
    attest('define', '--level', '3', 'existing')
    after = virsh('dumpxml', '--inactive', 'existing').stdout
    element = re.compile(r'\s*<(attest:)?attestation .*</(attest:)?attestation>', re.S)
    tap.check(element.search(after) and not element.search(before), 'the element is added')
    tap.equal(element.sub('', after), before, 'and nothing else is changed')
    expect_match(tap, 'existing', 'as it was')
    stop('existing')


def test_running_domain(tap: Tap):
    """Annotating a running domain writes the live copy too, and does not disturb it."""
    kernel, initrd = boot_files()
    virsh('define', write(scratch('live.xml'), domain_xml('live', kernel=kernel, initrd=initrd, cmdline='quiet')))
    start('live')
    tap.equal(last('live')['verdict'], 'unpinned', 'started without a pin')
    attest('define', '--level', '3', 'live')
    digest = model('live')['digest']
    for scope in '--live', '--config':
        tap.check(digest in virsh('metadata', 'live', NAMESPACE, scope).stdout, f'metadata {scope}')
    tap.equal(state('live'), 'running', 'it goes on running')
    stop('live')
    expect_match(tap, 'live', 'the next start')
    stop('live')


VIRT_INSTALL = ('virt-install', '--connect', 'qemu:///system', '--import', '--osinfo', 'linux2022', '--memory', '256',
                '--vcpus', '2',
                '--machine', 'q35', '--disk', 'none', '--network', 'none', '--graphics', 'none', '--cpu',
                'EPYC-Milan,check=none',
                '--launchSecurity', 'sev-snp,policy=0x30000,kernelHashes=on')


def virt_install(name, *options):
    kernel, initrd = boot_files()
    done = call(*VIRT_INSTALL, '--name', name, '--boot', f'kernel={kernel},initrd={initrd},kernel_args=console=ttyS0',
                *options,
                '--print-xml', '1', check=False)
    return done


def test_virt_install(tap: Tap):
    """It wants firmware='efi' for a confidential guest and refuses an explicit rom loader. libvirt then chooses
    the AmdSev build by its descriptor. So its XML can be piped into define as it is."""
    try:
        done = virt_install('installed', '--boot', 'firmware=efi')
    except FileNotFoundError:
        tap.check(True, 'virt-install # SKIP not installed')
        return
    if not tap.equal((done.returncode, "type=\"sev-snp\"" in done.stdout), (0, True),
                     'virt-install prints a sev-snp domain',
                     done.stderr + done.stdout):
        return
    taken = attest('define', '--level', '3', '-', given=done.stdout, check=False)
    tap.equal(taken.returncode, 0, 'its XML goes through define from standard input', taken.stderr)
    if taken.returncode != 0:
        return
    identity = virsh('domuuid', 'installed').stdout.strip()
    tap.equal(virsh('start', 'installed', check=False).returncode, 0, 'and the domain starts')
    found = json.loads(read(f'{STATE}/records/{identity}.json'))['launches'][-1]
    tap.equal((found['verdict'], found['level'], found['digest']), ('match', 3, model('installed', identity)['digest']),
              'at level 3 with the digest of the launch')
    tap.equal(found['inputs']['firmware']['path'], AMDSEV, 'on the firmware that verifies the hashes')
    virsh('destroy', 'installed')


def test_composed(tap: Tap):
    """define --name makes a domain at each level that starts."""
    kernel, initrd = boot_files()
    for level in 1, 2, 3:
        name = f'composed{level}'
        boot = ('--kernel', kernel, '--initrd', initrd, '--cmdline', 'console=ttyS0') if level == 3 else ()
        done = attest('define', '--name', name, '--level', str(level), '--memory', '256', '--vcpus', '2', '--cpu-model',
                      'EPYC-Milan', '--emulator', os.environ['EMULATOR'], *boot, check=False)
        if not tap.equal(done.returncode, 0, f'level {level}: is composed', done.stderr):
            continue
        identity = virsh('domuuid', name).stdout.strip()
        done = virsh('start', name, check=False)
        tap.equal(done.returncode, 0, f'level {level}: starts', done.stderr)
        found = json.loads(read(f'{STATE}/records/{identity}.json'))['launches'][-1]
        tap.equal((found['verdict'], found['digest']), ('match', model(name, identity)['digest']),
                  f'level {level}: agrees with the launch')
        virsh('destroy', name)


def test_describing(tap: Tap):
    """--print-xml changes nothing, and what it prints defines the same domain elsewhere."""
    before = tree(STATE)
    kernel, initrd = boot_files()
    xml = write(scratch('print.xml'), domain_xml('printed', kernel=kernel, initrd=initrd, cmdline='a &b <c>'))
    done = attest('define', '--level', '3', '--print-xml', xml)
    tap.equal(virsh('domstate', 'printed', check=False).returncode, 1, '--print-xml defines nothing')
    tap.equal(tree(f'{STATE}/references'), {path: value for path, value in before.items() if 'references/' in path},
              'and pins nothing')
    virsh('define', write(scratch('printed.xml'), done.stdout))
    refused = start('printed', check=False)
    tap.equal(refused.returncode, 1, 'the XML alone is not trusted here: nothing is pinned on this host',
              refused.stderr)
    attest('define', '--level', '3', 'printed')
    expect_match(tap, 'printed', 'after define')
    tap.check(model('printed')['digest'] in done.stdout, 'the printed metadata had the digest of the launch')
    stop('printed')


TESTS = (test_install, test_names, test_command_line_texts, test_existing_domain, test_running_domain,
         test_virt_install,
         test_composed, test_describing)

if __name__ == '__main__':
    run(TESTS)
