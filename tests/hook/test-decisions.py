#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the hook lets start and what it refuses, and what it says: pins, drift, metadata, configuration, cache."""
import hashlib
import json
import os
import shutil
import subprocess
import time

import rig
from rig import HOOK, ROOT, UUID, Rig, Skip, accepted, refused

NOBODY = 65534
DAMAGED = b"<metadata><a:attestation xmlns:a='urn:virt-attest:domain:1' novelty='1'/></metadata>"


def test_unpinned():
    """Measured and recorded; the measurement is the one that the specification gives."""
    with Rig() as r:
        accepted(r.start())
        accepted(r.start(r.xml(vcpus="<vcpu current='3'>8</vcpu>", model='EPYC-Genoa', cmdline='ünï <&>  ')))
        first, second = r.launches()
        assert first['digest'] == r.digest(), first
        assert second['digest'] == r.digest(vcpus=3, cmdline='ünï <&>  ', signature=0xa10f10), second
        assert first['verdict'] == 'unpinned' and first['level'] == 1, first
        assert first['inputs']['kernel'] == {'path': str(r.kernel), 'size': 8,
                                             'sha256': hashlib.sha256(b'a kernel').hexdigest()}, first
        r.configure('unpinned = refuse')
        refused(r.start(), 'no pinned reference', 'unpinned = refuse', 'virt-attest define --accept guest1')
        assert r.launches()[2]['verdict'] == 'refused'
        # Not our business.
        accepted(r.start(r.plain_xml()))
        assert len(r.launches()) == 3


def test_amdsev_firmware():
    """The firmware that is really used, judged without the owner's word."""
    if not rig.AMDSEV.exists():
        raise Skip(f'{rig.AMDSEV} is not installed')
    with Rig() as r:
        r.config.write_text(f'[paths]\nstate-directory = {r.state}\n')
        xml = r.xml(firmware=rig.AMDSEV)
        r.pin(xml)
        accepted(r.start(xml))
        launch, = r.launches()
        assert (launch['verdict'], launch['level']) == ('match', 3), launch
        data = rig.AMDSEV.read_bytes()
        at = data.index(b'ASEV')
        count = int.from_bytes(data[at + 12:at + 16], 'little')
        sections = [tuple(int.from_bytes(data[at + 16 + 12 * i + 4 * j:at + 20 + 12 * i + 4 * j],
                                         'little') for j in range(3))
                    for i in range(count)]

        def table(name):
            end = data.rindex(rig.guid(name)) - 2
            size = int.from_bytes(data[end:end + 2], 'little') - 18
            return int.from_bytes(data[end - size:end - size + 4], 'little')
        expected = rig.snp_digest(data, b'a kernel', b'an initrd', b'console=ttyS0', 2, sections=sections,
                                  hash_area=table('7255371f-3a3b-4b04-927b-1da6efa8d454'),
                                  ap_eip=table('00f771de-1a7e-4fcb-890e-68c77e2fb44e'))
        assert launch['digest'] == expected, launch


def test_match():
    with Rig() as r:
        metadata = r.pin()
        for xml in (r.xml(), r.xml(metadata=metadata), r.xml(vcpus="<vcpu current='2'>64</vcpu>"),
                    r.xml(name='renamed')):
            accepted(r.start(xml))
            launch = r.launches()[-1]
            assert (launch['verdict'], launch['level'], launch['digest']) == ('match', 3, r.digest()), launch
        other = r.folder / 'copy'
        shutil.copy(r.kernel, other)
        accepted(r.start(r.xml(kernel=other)))


def test_drift():
    """Each input that changes is named, with the old and the new value and the command that accepts it."""
    with Rig() as r:
        r.pin()
        accept = 'to accept this: virt-attest define --accept guest1'
        for path, content in ((r.kernel, b'a kernel'), (r.initrd, b'an initrd')):
            path.write_bytes(b'something else')
            refused(r.start(), f"'{path}' changed: SHA-256 was {hashlib.sha256(content).hexdigest()[:16]}…, is "
                    f"{hashlib.sha256(b'something else').hexdigest()[:16]}…", accept)
            text = refused(r.start())
            assert hashlib.sha256(content).hexdigest() in text and r.digest() in text, text
            # Same size and time as before: only the contents differ.
            path.write_bytes(content[::-1])
            refused(r.start(), f"'{path}' changed")
            path.unlink()
            refused(r.start(), str(path), 'No such file')
            path.write_bytes(content)
        firmware = r.firmware.read_bytes()
        r.firmware.write_bytes(rig.make_firmware(fill=9))
        r.configure()
        refused(r.start(), f"firmware '{r.firmware}' changed", accept)
        r.firmware.write_bytes(firmware[:-4096])
        refused(r.start(), 'firmware')
        r.firmware.write_bytes(firmware)
        r.configure()
        accepted(r.start())
        launch = "<launchSecurity type='sev-snp' kernelHashes='%s'><policy>%s</policy>%s</launchSecurity>"
        host_data = '<hostData>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</hostData>'
        for xml, says in (
                (r.xml(cmdline='console=ttyS0 init=/bin/sh'), "was 'console=ttyS0'"),
                (r.xml(cmdline='console=ttyS0 '), 'kernel command line changed'),
                (r.xml(vcpus='<vcpu>3</vcpu>'), 'number of vCPUs at start changed: was 2, is 3'),
                (r.xml(model='EPYC-Genoa'), 'EPYC-Genoa (signature 0xa10f10)'),
                (r.xml(cpu="<cpu mode='host-model'/>"), 'CPU type is not resolved'),
                (r.xml(cpu=''), 'qemu64'),
                (r.xml(launch=launch % ('yes', '0x20000', '')), 'guest policy changed: was 0x30000 (smt), is 0x20000'),
                (r.xml(launch=launch % ('yes', '0xb0000', '')), 'guest policy changed'),
                (r.xml(launch=launch % ('no', '0x30000', '')), "kernel"),
                (r.xml(launch=launch % ('yes', '0x30000', host_data)), 'host data changed: was absent'),
                (r.xml(launch=launch % ('yes', '0x30000', '<novelty/>')), 'novelty'),
                (r.xml(launch="<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>"),
                 'platform changed: was sev-snp, is sev-es'),
                (r.xml(launch=launch.replace('>', " authorKey='yes'>", 1) % ('yes', '0x30000', '')),
                 'authorKey changed: was no, is yes'),
                (r.xml().replace(b"type='kvm'", b"type='qemu'"), "type of the domain changed: was 'kvm', is 'qemu'"),
                (r.xml(launch=''), '<launchSecurity> was removed'),
                (r.xml(launch="<launchSecurity type='tdx'><policy>0x0</policy></launchSecurity>"), 'removed'),
                (r.xml(extra="<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-S'/>"
                       "</q:commandline>"), '<qemu:commandline>')):
            # What cannot be measured cannot be accepted; what is no longer confidential has level 0.
            remedy = {'novelty': 'put this right first', '<qemu:commandline>': 'put this right first'}.get(says, accept)
            if 'removed' in says:
                remedy = 'to accept this: virt-attest define --accept --level 0 guest1'
            refused(r.start(xml), says, remedy)
            assert r.launches()[-1]['verdict'] == 'refused'
            assert r.launches()[-1]['changes'] or 'resolved' in says, r.launches()[-1]
        accepted(r.start())


def test_observing_pin():
    with Rig() as r:
        r.pin(mismatch='observe')
        r.initrd.write_bytes(b'drifted')
        accepted(r.start())
        assert r.launches()[-1]['verdict'] == 'observed'
        assert [change['what'] for change in r.launches()[-1]['changes']] == ['initrd', 'digest']
        r.initrd.write_bytes(b'an initrd')
        # Each of these is seen, and none of them stops the guest.
        launch = "<launchSecurity type='sev-snp' kernelHashes='yes'%s><policy>0x30000</policy></launchSecurity>"
        emulator = b"<devices><emulator>/usr/bin/qemu</emulator></devices>"
        r.pin(r.xml().replace(b'<devices/>', emulator), mismatch='observe')
        for xml, what in ((r.xml().replace(b'<devices/>', emulator), None),
                          (r.xml().replace(b'<devices/>', emulator.replace(b'/usr', b'/tmp')), 'emulator'),
                          (r.xml().replace(b'<devices/>', emulator).replace(b"'kvm'", b"'qemu'"), 'domain-type'),
                          (r.xml(launch=launch % " authorKey='yes'").replace(b'<devices/>', emulator), 'author-key'),
                          (r.xml(launch=launch % " vcek='no'").replace(b'<devices/>', emulator), 'vcek'),
                          (r.xml(launch=''), 'platform'), (r.plain_xml(), 'platform')):
            accepted(r.start(xml))
            seen = r.launches()[-1]
            assert (seen['verdict'], [change['what'] for change in seen['changes']]) == (
                ('observed', [what]) if what else ('match', [])), (what, seen)


def test_metadata():
    with Rig() as r:
        metadata = r.pin()
        for old, new in (('level="3"', 'level="1"'), ('"refuse"', '"observe"'), ('vcpus="2"', 'vcpus="4"'),
                         ('size="8"', 'size="9"'), (r.digest(), '0' * 96)):
            assert old in metadata, (old, metadata)
            refused(r.start(r.xml(metadata=metadata.replace(old, new))), 'metadata', 'define --accept guest1')
        # Written by hand or by a newer version: not understood is not agreed with.
        refused(r.start(r.xml(metadata=metadata.replace('level=', 'novelty="1" level='))), 'metadata')
        # In a domain that is not confidential and not pinned it is nobody's business.
        other = '11111111-2222-3333-4444-555555555555'
        accepted(r.start(r.plain_xml(other).replace(b'<vcpu>', b"<metadata><a:attestation novelty='1' "
                                                    b"xmlns:a='urn:virt-attest:domain:1'/></metadata><vcpu>")))
        # The pin is gone, the metadata still asks for it.
        (r.state / 'references' / f'{UUID}.json').unlink()
        refused(r.start(r.xml(metadata=metadata)), 'no reference is pinned', 'define --accept guest1')
        accepted(r.start(r.xml(metadata=metadata.replace('"refuse"', '"observe"'))))
        accepted(r.start())
        # And launchSecurity is gone too.
        known = len(r.launches())
        refused(r.start(r.xml(launch='', metadata=metadata)), 'define --accept guest1',
                'virsh metadata guest1 urn:virt-attest:domain:1 --remove --config')
        assert len(r.launches()) == known + 1 and r.launches()[-1]['verdict'] == 'refused'
        accepted(r.start(r.xml(launch='', metadata=metadata.replace('"refuse"', '"observe"'))))
        accepted(r.start(r.xml(launch='')))
        assert len(r.launches()) == known + 1


def test_pin_unusable():
    with Rig() as r:
        r.pin()
        path = r.state / 'references' / f'{UUID}.json'
        good = path.read_bytes()
        document = json.loads(good)

        def spoilt():
            yield b''
            yield good[:-10]
            yield b'{}'
            yield good.replace(b'"level" : 3', b'"level" : 3, "level" : 0')
            yield good.replace(UUID.encode(), b'11111111-2222-3333-4444-555555555555')
            yield good.replace(b'reference-1', b'reference-9')
            yield json.dumps({**document, 'novelty': 1}).encode()
            yield b'\xff' * 100
            yield b'[' * 1000000
            yield b' ' * 2000000
        for content in spoilt():
            path.write_bytes(content)
            refused(r.start(), 'its reference cannot be used')
            refused(r.start(r.plain_xml()), 'its reference cannot be used')
            assert path.read_bytes() == content
        # The same facts in another layout are the same reference.
        path.write_text(json.dumps(document))
        accepted(r.start())
        path.chmod(0o622)
        refused(r.start(), 'not to be trusted')
        path.chmod(0o644)
        accepted(r.start())
        if ROOT:
            os.chown(path, 12345, -1)
            refused(r.start(), 'not to be trusted')
        path.unlink()
        path.symlink_to(r.config)
        refused(r.start(), 'symbolic link')
        path.unlink()
        os.mkfifo(path)
        refused(r.start(), 'regular file')


def test_state_folder():
    with Rig() as r:
        r.pin()
        accepted(r.start())
        for mode in (0o777, 0o770, 0o702):
            r.state.chmod(mode)
            refused(r.start(), 'others can write', '0700')
            accepted(r.start(r.plain_xml()))
            # Nobody can tell whether it is pinned, and its metadata speaks of it.
            refused(r.start(r.plain_xml().replace(b'<vcpu>', DAMAGED + b'<vcpu>')), 'nobody can tell')
            r.state.chmod(0o700)
            (r.state / 'references').chmod(mode)
            refused(r.start(), 'others can write')
            accepted(r.start(r.plain_xml()))
            (r.state / 'references').chmod(0o700)
        accepted(r.start())
        # launchSecurity is gone and the pin is not.
        refused(r.start(r.plain_xml()), '<launchSecurity> was removed')
        (r.state / 'references').rename(r.folder / 'references')
        refused(r.start(), 'missing from the state folder')
        refused(r.start(r.plain_xml().replace(b'<vcpu>', DAMAGED + b'<vcpu>')), 'missing from the state folder')
        accepted(r.start(r.plain_xml()))
        (r.folder / 'references').rename(r.state / 'references')
        accepted(r.start())
        if ROOT:
            os.chown(r.state, 12345, -1)
            refused(r.start(), 'belongs to another user')
            os.chown(r.state, 0, -1)
        shutil.move(r.state, r.folder / 'elsewhere')
        r.state.write_text('not a folder')
        refused(r.start(), 'state')
        accepted(r.start(r.plain_xml()))


def test_configuration_broken():
    with Rig() as r:
        for text in ('[gate]\nunpined = refuse\n', 'junk', '[gate]\nwatchdog = 0\n', '\xff'):
            r.config.write_text(text, encoding='latin-1')
            refused(r.start(), 'virt-attest is not usable', str(r.config))
            accepted(r.start(r.plain_xml()))
            refused(r.start(r.plain_xml().replace(b'<vcpu>', DAMAGED + b'<vcpu>')), 'nobody can tell', str(r.config))
        r.config.unlink()
        refused(r.start(), 'No such file')
        accepted(r.start(r.plain_xml()))
        r.configure()
        r.config.chmod(0o666)
        refused(r.start(), 'everybody may write')


def as_nobody(r, xml, env):
    """The hook as an ordinary user."""
    prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']
    return r.run('start', xml, prefix=prefix, env=env)


def test_ordinary_user():
    """qemu:///session runs the same hook without root: its own configuration and state, and clear words."""
    if not ROOT or not shutil.which('setpriv'):
        raise Skip('needs root and setpriv')
    with Rig() as r:
        r.folder.chmod(0o755)
        home = r.folder / 'home'
        own = home / '.config' / 'virt-attest' / 'virt-attest.conf'
        own.parent.mkdir(parents=True)
        for path in (r.firmware, r.kernel, r.initrd):
            path.chmod(0o644)
        sha = hashlib.sha256(r.firmware.read_bytes()).hexdigest()
        own.write_text(f'[firmware]\ntrusted = {sha}\n')
        for path in (home, *home.rglob('*')):
            os.chown(path, NOBODY, NOBODY)
        env = r.environment(VIRT_ATTEST_CONFIG=None, HOME=str(home))
        try:
            subprocess.run(['setpriv', f'--reuid={NOBODY}', '--clear-groups', 'test', '-x', HOOK], check=True)
        except subprocess.CalledProcessError:
            raise Skip('the build folder is closed to other users') from None
        accepted(as_nobody(r, r.plain_xml(), env))
        assert not (home / '.local').exists()
        accepted(as_nobody(r, r.xml(), env))
        state = home / '.local' / 'state' / 'virt-attest'
        assert state.stat().st_mode & 0o7777 == 0o700 and state.stat().st_uid == NOBODY
        record = json.loads((state / 'records' / f'{UUID}.json').read_bytes())
        assert record['launches'][0]['digest'] == r.digest(), record
        # A file that only root can read.
        own.write_text(f'[gate]\nunpinned = refuse\n[firmware]\ntrusted = {sha}\n')
        r.initrd.chmod(0o600)
        refused(as_nobody(r, r.xml(), env), 'no pinned reference')
        own.write_text('[gate]\nunpinned = observe\n')
        accepted(as_nobody(r, r.xml(), env))
        record = json.loads((state / 'records' / f'{UUID}.json').read_bytes())
        summary = record['launches'][-1]['summary']
        assert str(r.initrd) in summary and 'denied' in summary, summary
        # A configuration that cannot be read does not hide a pin in the usual place.
        pin = state / 'references' / f'{UUID}.json'
        r.initrd.chmod(0o644)
        r.pin()
        shutil.copy(r.state / 'references' / f'{UUID}.json', pin)
        os.chown(pin, NOBODY, NOBODY)
        own.write_text('[gate]\nunpinned = observe\n')
        refused(as_nobody(r, r.plain_xml(), env), '<launchSecurity> was removed')
        own.write_text('[gate]\nunpined = observe\n')
        for xml in (r.plain_xml(), r.xml()):
            refused(as_nobody(r, xml, env), 'not usable', "'unpined'")
        record = json.loads((state / 'records' / f'{UUID}.json').read_bytes())
        assert [launch['verdict'] for launch in record['launches'][-3:]] == ['refused'] * 3, record
        pin.unlink()
        accepted(as_nobody(r, r.plain_xml(), env))
        refused(as_nobody(r, r.xml(), env), 'not usable')
        own.write_text('[gate]\nunpinned = observe\n')
        # Another state folder through the environment.
        elsewhere = r.folder / 'xdg'
        elsewhere.mkdir()
        os.chown(elsewhere, NOBODY, NOBODY)
        accepted(as_nobody(r, r.xml(), {**env, 'XDG_STATE_HOME': str(elsewhere)}))
        assert (elsewhere / 'virt-attest' / 'records' / f'{UUID}.json').exists()


def test_cache():
    """An entry is used only for the very file it was made for."""
    with Rig() as r:
        r.initrd.write_bytes(b'x' * 1000000)
        r.pin()
        time.sleep(2.2)  # what was written a moment ago is not cached: a second write could leave the same times
        accepted(r.start())
        cache = r.state / 'cache'
        entries = {path.name: path.read_bytes() for path in cache.iterdir()}
        inodes = {role: f'{path.stat().st_ino:x}' for role, path in
                  (('kernel', r.kernel), ('initrd', r.initrd), ('firmware', r.firmware))}
        assert all(any(name.endswith(f'-{inode}') for name in entries) for inode in inodes.values()), (entries, inodes)
        accepted(r.start())
        # The same entry answers: its time of writing stays.
        times = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
        accepted(r.start())
        assert times == {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}

        # Contents changed in place, size and mtime restored.
        before = r.initrd.stat()
        with open(r.initrd, 'r+b') as file:
            file.seek(500000)
            file.write(b'y')
        os.utime(r.initrd, ns=(before.st_atime_ns, before.st_mtime_ns))
        refused(r.start(), 'initrd')
        with open(r.initrd, 'r+b') as file:
            file.seek(500000)
            file.write(b'x')
        os.utime(r.initrd, ns=(before.st_atime_ns, before.st_mtime_ns))
        accepted(r.start())

        kernel = next(name for name in entries if name.endswith('-' + inodes['kernel']))
        initrd = next(name for name in entries if name.endswith('-' + inodes['initrd']))
        for content in (entries[kernel], entries[initrd][:-1], entries[initrd][:20], b'', b'\0' * 5000, b'x' * 100000):
            (cache / initrd).write_bytes(content)
            (cache / initrd).chmod(0o600)
            accepted(r.start())
            assert r.launches()[-1]['digest'] == r.digest()
        forged = r.folder / 'forged'
        for name, content in entries.items():
            (cache / name).unlink(missing_ok=True)
            forged.write_bytes(content)
            (cache / name).symlink_to(forged)
        accepted(r.start())
        if ROOT:
            for path in cache.iterdir():
                os.chown(path, 12345, -1, follow_symlinks=False)
            accepted(r.start())
        shutil.rmtree(cache)
        cache.write_text('not a folder')
        accepted(r.start())
        r.kernel.write_bytes(b'drifted')
        refused(r.start(), 'kernel')


def test_veto_then_end():
    with Rig() as r:
        r.pin()
        r.kernel.write_bytes(b'drifted')
        refused(r.start())
        accepted(r.run('stopped', r.xml(), sub='end'))
        accepted(r.run('release', r.xml(), sub='end', extra='failed'))
        launch, = r.launches()
        assert (launch['state'], launch['verdict'], launch['endReason']) == ('stopped', 'refused', 'failed'), launch


def test_sev_and_sev_es():
    """The older platforms: SHA-256 of the firmware and the hash table, for SEV-ES of the vCPUs too."""
    with Rig() as r:
        for policy in ('0x1', '0x5'):
            xml = r.xml(launch="<launchSecurity type='sev' kernelHashes='yes'>"
                               f"<policy>{policy}</policy></launchSecurity>")
            r.pin(xml)
            accepted(r.start(xml))
            launch = r.launches()[-1]
            assert (launch['verdict'], launch['level']) == ('match', 3), launch
            data = r.firmware.read_bytes()
            data += rig.hash_table(r.kernel.read_bytes(), r.initrd.read_bytes(), r.cmdline.encode())
            if policy == '0x5':
                for eip in (0xfffffff0, rig.AP_EIP):
                    page = bytearray(rig.vmsa(eip, rig.MILAN, 0))
                    page[0x408:0x40c] = bytes(4)  # KVM_SEV_ES_INIT leaves the floating-point words at zero
                    page[0x410:0x412] = bytes(2)
                    data += page
            assert launch['digest'] == hashlib.sha256(data).hexdigest(), launch
            # The CPU does not matter for plain SEV.
            done = r.start(xml.replace(b'EPYC-Milan', b'EPYC-Rome'))
            if policy == '0x1':
                accepted(done)
            else:
                refused(done, 'EPYC-Rome')


rig.main([test_unpinned, test_amdsev_firmware, test_match, test_drift, test_observing_pin, test_metadata,
          test_pin_unusable, test_state_folder, test_configuration_broken, test_ordinary_user, test_cache,
          test_veto_then_end, test_sev_and_sev_es])
