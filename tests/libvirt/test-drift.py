#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that can drift between define and start is refused, named, explained by check, and can be accepted."""
import base64
import hashlib
import json
import os
import re

from harness import (AMDSEV, CANNOT_READ, NAMESPACE, REJECTED, STATE, Tap, attest, boot_files, confidential,
                     domain_uuid, domain_xml, eventually, expect_match, expect_veto, install_hook, last, launches,
                     model, pin_path, plain_xml, read, record, redefine, run, running, scratch, sha256,
                     small_boot_files, small_kernel, start, state, stop, tree, virsh, virsh_define, write,
                     write_config)


def test_install(tap: Tap):
    install_hook()
    confidential('bystander')
    expect_match(tap, 'bystander', 'a domain without drift')
    stop('bystander')


def short(digest):
    return digest[:16]


def drift(tap, name, what, parts, change):
    """@change a domain after its definition: veto, check, accept, start."""
    before = {path: value for path, value in tree(f'{STATE}/references').items()}
    change()
    command = f'virt-attest define --accept {name}'
    expect_veto(tap, name, what, [*parts, command])
    tap.equal(tree(f'{STATE}/references'), before, f'{what}: a veto changes no pin')
    names = {entry['what'] for entry in last(name)['changes']}
    done = attest('check', name, check=False)
    tap.equal(done.returncode, REJECTED, f'{what}: check rejects it', done.stdout + done.stderr)
    tap.contains(done.stdout, [*parts, command], f'{what}: check explains it')
    told = json.loads(attest('check', '--format', 'json', name, check=False).stdout)
    tap.equal({entry['what'] for entry in told['changes']}, names, f'{what}: check and hook name the same')
    done = attest('define', name, check=False)
    tap.equal(done.returncode, REJECTED, f'{what}: define without --accept is refused')
    tap.contains(done.stderr, [*parts, '--accept'], f'{what}: and shows the difference')
    tap.equal(tree(f'{STATE}/references'), before, f'{what}: the pin is as it was')
    done = attest('define', '--accept', name, check=False)
    tap.equal(done.returncode, 0, f'{what}: define --accept pins it anew', done.stderr)
    tap.contains(done.stdout, parts, f'{what}: and shows the difference')
    expect_match(tap, name, f'{what}: after --accept')
    stop(name)
    others = {path: value for path, value in tree(f'{STATE}/references').items() if name not in path}
    tap.equal({path: value for path, value in others.items() if path != pin_path(name)},
              {path: value for path, value in before.items() if path != pin_path(name)},
              f'{what}: no other pin changed')
    return names


def test_command_line(tap: Tap):
    confidential('cmdline', cmdline='console=ttyS0 ro')
    # As in the table of kernel hashes, the NUL at the end counts; without a command line there is still an empty one.
    old, new, none = (short(hashlib.sha256(text + b'\0').hexdigest())
                      for text in (b'console=ttyS0 ro', b'console=ttyS0 rw init=/bin/sh', b''))
    drift(tap, 'cmdline', 'command line',
          ['command line', "'console=ttyS0 ro'", "'console=ttyS0 rw init=/bin/sh'", old, new],
          lambda: redefine('cmdline', ('<cmdline>.*</cmdline>', '<cmdline>console=ttyS0 rw init=/bin/sh</cmdline>')))
    drift(tap, 'cmdline', 'command line removed',
          ['command line', "'console=ttyS0 rw init=/bin/sh'", new, "is ''", none],
          lambda: redefine('cmdline', ('<cmdline>.*</cmdline>', '')))


def changed_file(path, content):
    """A function that changes a file, with the two short digests that have to be named."""
    old, new = short(sha256(path)), short(hashlib.sha256(content).hexdigest())
    return [path, old, new], lambda: write(path, content)


def test_files(tap: Tap):
    firmware = write(scratch('firmware.fd'), read(AMDSEV))
    confidential('files', firmware=firmware)
    kernel, initrd = small_boot_files('files')
    same_size = bytearray(read(kernel))
    same_size[9000] ^= 1
    names = drift(tap, 'files', 'one bit of the kernel', *changed_file(kernel, bytes(same_size)))
    tap.check('kernel' in names and 'firmware' not in names and 'initrd' not in names, 'only the kernel is named',
              names)
    drift(tap, 'files', 'kernel', *changed_file(kernel, small_kernel('another')))
    drift(tap, 'files', 'initrd', *changed_file(initrd, read(initrd) + b'more'))
    drift(tap, 'files', 'initrd emptied', *changed_file(initrd, b''))
    other = bytearray(read(firmware))
    blank = other.index(b'\xff' * 4096)
    other[blank + 100] ^= 1
    drift(tap, 'files', 'firmware', *changed_file(firmware, bytes(other)))

    def replace():
        write(firmware + '.new', read(AMDSEV))
        os.rename(firmware + '.new', firmware)
    parts, _ = changed_file(firmware, bytes(other))
    drift(tap, 'files', 'firmware replaced by rename', [firmware, parts[2], short(sha256(AMDSEV))], replace)

    # What is in the cache was not changed lately: wait, and let it be measured once more.
    stamp = os.stat(kernel)
    entry = f'{STATE}/cache/file-{stamp.st_dev:x}-{stamp.st_ino:x}'
    tap.check(eventually(lambda: attest('check', 'files').returncode == 0 and os.path.exists(entry)),
              'the digest of the kernel is in the cache', os.listdir(f'{STATE}/cache'))
    other_kernel = bytearray(read(kernel))
    other_kernel[10000] ^= 1
    parts, change = changed_file(kernel, bytes(other_kernel))

    def with_old_times():
        change()
        os.utime(kernel, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    drift(tap, 'files', 'kernel of the same size and time', parts, with_old_times)


def test_definition(tap: Tap):
    confidential('shape', vcpus='<vcpu>2</vcpu>')
    drift(tap, 'shape', 'vCPUs', ['vCPUs', 'was 2', 'is 3'],
          lambda: redefine('shape', (r'<vcpu [^>]*>2</vcpu>', '<vcpu>3</vcpu>')))
    drift(tap, 'shape', 'current vCPUs', ['vCPUs', 'was 3', 'is 1'],
          lambda: redefine('shape', (r'<vcpu [^>]*>3</vcpu>', "<vcpu current='1'>3</vcpu>")))
    drift(tap, 'shape', 'CPU model', ['EPYC-Milan', 'EPYC-Genoa', '0xa00f11'],
          lambda: redefine('shape', ('(?<=<model fallback=.forbid.>)EPYC-Milan', 'EPYC-Genoa')))
    drift(tap, 'shape', 'policy', ['policy', '0x30000', '0x130000'],
          lambda: redefine('shape', ('<policy>[^<]*</policy>', '<policy>0x130000</policy>')))
    data = base64.b64encode(bytes(range(32))).decode()
    drift(tap, 'shape', 'host data', ['host data', 'absent', bytes(range(8)).hex()],
          lambda: redefine('shape', ('</launchSecurity>', f'<hostData>{data}</hostData></launchSecurity>')))
    drift(tap, 'shape', 'kernelHashes off', ['kernelHashes', 'was yes', 'is no', 'level'],
          lambda: redefine('shape', ("kernelHashes='yes'", "kernelHashes='no'")))
    drift(tap, 'shape', 'kernelHashes on', ['kernelHashes', 'was no', 'is yes'],
          lambda: redefine('shape', ("kernelHashes='no'", "kernelHashes='yes'")))


def test_launch_security_removed(tap: Tap):
    """An ordinary domain in place of the confidential one: the pin says that it must not be."""
    confidential('stripped')
    element = r'<launchSecurity .*</launchSecurity>'
    original = re.search(element, virsh('dumpxml', '--inactive', 'stripped').stdout, re.S)[0]
    redefine('stripped', (element, ''))
    expect_veto(tap, 'stripped', 'launchSecurity removed',
                ['<launchSecurity> was removed', 'sev-snp', 'virt-attest define --accept --level 0 stripped'])
    done = attest('check', 'stripped', check=False)
    tap.contains(done.stdout, ['<launchSecurity> was removed', 'virt-attest define --accept --level 0 stripped'],
                 'check explains it')
    tap.equal(done.returncode, REJECTED, 'check rejects it', done.stderr)
    redefine('stripped', ('</devices>', '</devices>' + original))
    expect_match(tap, 'stripped', 'launchSecurity put back')
    stop('stripped')
    done = attest('define', '--level', '3', 'stripped')
    tap.equal(done.returncode, 0, 'define without a change is no change')
    redefine('stripped', (element, ''))
    done = attest('define', '--accept', '--level', '0', 'stripped', check=False)
    tap.equal(done.returncode, 0, 'level 0 can be accepted', done.stderr)
    tap.equal(start('stripped', check=False).returncode, 0, 'and the domain starts as an ordinary one')
    stop('stripped')


def test_debug_policy(tap: Tap):
    confidential('debug')
    redefine('debug', ('<policy>[^<]*</policy>', '<policy>0xb0000</policy>'))
    expect_veto(tap, 'debug', 'debug policy', ['policy', '0x30000', '0xb0000', 'debug'])
    done = attest('define', '--accept', '--level', '3', 'debug', check=False)
    tap.equal(done.returncode, REJECTED, 'level 3 with the debug bit is not accepted')
    tap.contains(done.stderr, ['debug'], 'and the reason is named')


def test_host_arguments(tap: Tap):
    confidential('arguments')
    redefine('arguments',
             ('<domain type=\'kvm\'>', "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"),
             ('</domain>', "<qemu:commandline><qemu:arg value='-global'/><qemu:arg value='ICH9-LPC.disable_s3=1'/>"
              "</qemu:commandline></domain>"))
    expect_veto(tap, 'arguments', 'QEMU arguments', ['level', '<qemu:commandline>'])


def test_generic_firmware(tap: Tap):
    """Debian's generic build takes the hash table and verifies nothing: level 3 on it is void."""
    kernel, initrd = small_boot_files('generic')
    xml = domain_xml('generic', firmware='/usr/share/ovmf/OVMF.fd', kernel=kernel, initrd=initrd, cmdline='quiet')
    done = attest('define', '--level', '3', write(scratch('generic.xml'), xml), check=False)
    tap.equal((done.returncode, virsh('domstate', 'generic', check=False).returncode), (REJECTED, 1),
              'level 3 is refused, nothing defined')
    tap.contains(done.stderr, ['/usr/share/ovmf/OVMF.fd', 'verif'], 'with the reason')
    tap.check(not os.path.exists(pin_path('generic')), 'and nothing is pinned')
    write_config(f'[firmware]\ntrusted = {sha256("/usr/share/ovmf/OVMF.fd")}\n')
    done = attest('define', '--level', '3', write(scratch('generic.xml'), xml), check=False)
    tap.equal(done.returncode, 0, 'an owner may vouch for it by digest', done.stderr)
    expect_match(tap, 'generic', 'and it starts')
    stop('generic')
    write_config(None)
    expect_veto(tap, 'generic', 'trust withdrawn', ['level', 'verif'])


def test_observe(tap: Tap):
    confidential('observed')
    attest('define', '--on-mismatch', 'observe', '--accept', 'observed')
    redefine('observed', ('<cmdline>.*</cmdline>', '<cmdline>other</cmdline>'))
    done = start('observed', check=False)
    tap.equal((done.returncode, running('observed')), (0, True), 'onMismatch observe lets it start', done.stderr)
    found = last('observed')
    tap.equal((found['verdict'], found['digest']), ('observed', model('observed')['digest']),
              'and records the difference')
    tap.contains(str(found['changes']), ['cmdline', 'other'], 'with what changed')
    stop('observed')


#
# Pins, metadata, cache
#
def metadata_element(name):
    return virsh('metadata', name, NAMESPACE, '--config').stdout.strip()


def set_metadata(name, element):
    virsh('metadata', name, NAMESPACE, '--key', 'attest', '--set', element, '--config')


def test_metadata(tap: Tap):
    confidential('meta', metadata="<app:note xmlns:app='urn:example:app'>mine</app:note>")
    # What virsh shows is in the namespace as default; it takes an element back without it.
    element = re.sub(r' xmlns(:attest)?="[^"]*"', '', metadata_element('meta'))
    digest = json.loads(read(pin_path('meta')))['measurements'][0]['digest']
    for what, change in (('digest', (digest, 'ab' * 48)), ('level', ('level="3"', 'level="1"')),
                         ('onMismatch', ('"refuse"', '"observe"')),
                         ('input', ('role="kernel" size="', 'role="kernel" size="1')),
                         ('input left out', (re.search(r'<(attest:)?input role="cmdline"[^>]*>', element)[0], ''))):
        tap.check(change[0] in element, f'the element has {what}', element)
        set_metadata('meta', element.replace(*change))
        expect_veto(tap, 'meta', f'metadata, another {what}', ['metadata', 'virt-attest define --accept meta'])
    set_metadata('meta', '<attestation nonsense="1"/>')
    expect_veto(tap, 'meta', 'metadata, nonsense', ['metadata', 'nonsense'])
    virsh('metadata', 'meta', NAMESPACE, '--remove', '--config')
    expect_match(tap, 'meta', 'metadata removed')
    tap.check(re.search('^Metadata: +none', attest('show', 'meta').stdout, re.M), 'and show remarks it',
              attest('show', 'meta').stdout)
    stop('meta')
    tap.equal(attest('define', 'meta', check=False).returncode, 0, 'define writes it again')
    tap.check(digest in metadata_element('meta'), 'with the same digest')
    tap.contains(virsh('metadata', 'meta', 'urn:example:app', '--config').stdout, ['mine'],
                 'metadata of others is kept')
    start('meta')
    virsh('metadata', 'meta', NAMESPACE, '--key', 'attest', '--set', '<attestation nonsense="1"/>', '--live')
    stop('meta')
    expect_match(tap, 'meta', 'metadata edited while it ran, in the live copy only')
    stop('meta')


def test_pins(tap: Tap):
    confidential('pins')
    pin = read(pin_path('pins'))
    others = {path: value for path, value in tree(STATE).items() if 'references' in path and path != pin_path('pins')}
    for what, content in (('torn', pin[:len(pin) // 2]), ('empty', b''), ('no JSON', b'\0\1\2'), ('an array', b'[]'),
                          ('another format', pin.replace(b'virt-attest-reference-1', b'virt-attest-reference-9')),
                          ('an unknown member', pin.replace(b'"level"', b'"levle"')),
                          ('too large', pin + b' ' * (5 << 20)),
                          ('of another domain',
                           pin.replace(domain_uuid('pins').encode(), domain_uuid('other').encode()))):
        tap.check(content != pin, f'the pin is changed: {what}')
        write(pin_path('pins'), content)
        done = start('pins', check=False)
        tap.equal((done.returncode, state('pins')), (1, 'shut off'), f'a pin that is {what} refuses')
        tap.contains(done.stderr, ['pins', pin_path('pins'), 'virt-attest define'],
                     f'a pin that is {what} is named, with what to do')
        tap.equal(read(pin_path('pins')), content, f'a pin that is {what} stays where it is')
    write(pin_path('pins'), pin)
    os.unlink(pin_path('pins'))
    os.symlink(write(scratch('pin'), pin), pin_path('pins'))
    tap.equal(start('pins', check=False).returncode, 1, 'a pin that is a link refuses')
    os.unlink(pin_path('pins'))
    done = start('pins', check=False)
    tap.equal((done.returncode, state('pins')), (1, 'shut off'), 'metadata without a pin refuses')
    tap.contains(done.stderr, ['no reference is pinned', 'virt-attest define'], 'and says what to do')
    write(pin_path('pins'), pin)
    os.chmod(pin_path('pins'), 0o666)
    done = start('pins', check=False)
    tap.equal(done.returncode, 1, 'a pin that everybody can write refuses', done.stderr)
    os.chmod(pin_path('pins'), 0o600)
    expect_match(tap, 'pins', 'the pin put back')
    stop('pins')
    tap.equal({path: value for path, value in tree(STATE).items() if path in others}, others,
              'other pins are as they were')


def test_broken_pin_repaired(tap: Tap):
    """What the refusal tells the user to do has to work."""
    confidential('repair')
    write(pin_path('repair'), b'{"broken": true}')
    said = start('repair', check=False).stderr
    tap.contains(said, [f"remove '{pin_path('repair')}' and run 'virt-attest define {domain_uuid('repair')}' again"],
                 'the refusal says what to do')
    done = attest('define', '--level', '3', '--accept', 'repair', check=False)
    tap.equal((done.returncode, read(pin_path('repair'))), (CANNOT_READ, b'{"broken": true}'),
              'define does not replace a broken pin in silence')
    tap.contains(done.stderr, [pin_path('repair')], 'but names it')
    os.unlink(pin_path('repair'))
    done = attest('define', '--level', '3', 'repair', check=False)
    tap.equal(done.returncode, 0, 'the pin can be made again', done.stderr)
    expect_match(tap, 'repair', 'afterwards')
    stop('repair')


def test_cache(tap: Tap):
    """The cache makes starts fast and nothing else: whatever is in it, no digest but the file's own is ever taken."""
    # Files that have been there for long: what was changed lately is not cached.
    kernel, initrd = boot_files()
    confidential('cache', kernel=kernel, initrd=initrd, cmdline='quiet')
    expect_match(tap, 'cache', 'cold and warm')
    stop('cache')
    folder = f'{STATE}/cache'
    entries = [os.path.join(folder, name) for name in os.listdir(folder) if not name.startswith('.')]
    for path in kernel, initrd, AMDSEV:
        found = os.stat(path)
        tap.check([entry for entry in entries if entry.endswith(f'-{found.st_dev:x}-{found.st_ino:x}')],
                  f'{path} is in the cache', entries)

    def edited(text):
        """Each digest with another first digit."""
        return re.sub(rb'\b([0-9a-f])([0-9a-f]{63,95})\b', lambda m: (b'1' if m[1] == b'0' else b'0') + m[2], text,
                      count=1)
    for what, change in (('torn', lambda text: text[:len(text) // 2]), ('empty', lambda text: b''),
                         ('random', lambda text: os.urandom(len(text))), ('edited', edited),
                         ('huge', lambda text: text * 100000)):
        kept = {path: read(path) for path in entries}
        for path in entries:
            write(path, change(kept[path]))
        expect_match(tap, 'cache', f'cache {what}')
        stop('cache')
    for path in entries:
        if os.path.exists(path):
            os.unlink(path)
    expect_match(tap, 'cache', 'cache emptied')
    stop('cache')
    # Entries under each other's names: right form, wrong file.
    names = sorted(name for name in os.listdir(folder) if name.startswith('file-'))
    contents = [read(os.path.join(folder, name)) for name in names]
    for name, content in zip(names, contents[1:] + contents[:1]):
        write(os.path.join(folder, name), content)
    expect_match(tap, 'cache', 'cache entries of other files')
    stop('cache')


#
# What cannot be read
#
def test_unreadable(tap: Tap):
    kernel, initrd = small_boot_files('absent')
    confidential('absent', kernel=kernel, initrd=initrd, cmdline='quiet')
    os.rename(kernel, kernel + '.gone')
    said = expect_veto(tap, 'absent', 'kernel removed', [kernel, 'No such file'])
    done = attest('check', 'absent', check=False)
    tap.equal(done.returncode, CANNOT_READ, 'check cannot measure it', done.stdout)
    tap.contains(done.stdout + done.stderr, [kernel], 'and names the file')
    os.mkdir(kernel)
    expect_veto(tap, 'absent', 'folder in place of the kernel', [kernel])
    os.rmdir(kernel)
    os.mkfifo(kernel)
    expect_veto(tap, 'absent', 'pipe in place of the kernel', [kernel])
    os.unlink(kernel)
    os.symlink(kernel, kernel)
    expect_veto(tap, 'absent', 'link to itself in place of the kernel', [kernel])
    os.unlink(kernel)
    write(kernel, b'')
    expect_veto(tap, 'absent', 'empty kernel', [kernel])
    os.unlink(kernel)
    os.rename(kernel + '.gone', kernel)
    expect_match(tap, 'absent', 'kernel put back')
    stop('absent')
    tap.check('\n' in said, 'the message is whole', said)


def add_large_metadata(name, count, megabytes=3):
    """A string of libvirt's protocol is 4 MiB at most, but nothing limits the number of elements."""
    for number in range(count):
        file = write(scratch('big.xml'), f'<big>{"y" * (megabytes << 20)}</big>')
        virsh('metadata', name, f'urn:example:big{number}', '--key', 'big', '--config', '--edit',
              env=dict(os.environ, EDITOR=f'cp {file}'))


def test_large_xml(tap: Tap):
    confidential('large')
    add_large_metadata('large', 2)
    expect_match(tap, 'large', 'six MiB of metadata')
    stop('large')
    add_large_metadata('large', 3)
    done = start('large', check=False)
    tap.equal((done.returncode, state('large')), (1, 'shut off'), 'nine MiB of metadata are refused')
    tap.contains(done.stderr, ['domain XML', str(8 << 20)], 'with the limit')
    tap.check(len(done.stderr) < 5000, 'in a short message', len(done.stderr))


def test_large_plain_xml(tap: Tap):
    virsh_define(plain_xml('heavy'))
    add_large_metadata('heavy', 2)
    tap.equal(start('heavy', check=False).returncode, 0, 'an ordinary domain with six MiB of metadata starts')
    stop('heavy')
    tap.equal(record('heavy'), None, 'and is not recorded')


def test_bystander(tap: Tap):
    expect_match(tap, 'bystander', 'the domain without drift still starts')
    stop('bystander')
    tap.equal([launch['verdict'] for launch in launches('bystander')], ['match', 'match'],
              'and nothing else is in its record')


TESTS = (test_install, test_command_line, test_files, test_definition, test_launch_security_removed, test_debug_policy,
         test_host_arguments, test_generic_firmware, test_observe, test_metadata, test_pins, test_broken_pin_repaired,
         test_cache, test_unreadable, test_large_xml, test_large_plain_xml, test_bystander)

if __name__ == '__main__':
    run(TESTS)
