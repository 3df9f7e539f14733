#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the corpus of fuzz-root-tree: make-root-tree-corpus.py FOLDER. Names begin with ok- for what has to be taken."""
import io
import os
import struct
import sys
import tarfile


def entry(name, kind=tarfile.REGTYPE, data=b'', **more):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime, info.mode = kind, len(data), 1600000000, 0o644
    pax = more.pop('pax', None)
    for key, value in more.items():
        setattr(info, key, value)
    if pax:
        info.pax_headers = pax
    return info, data


SYSTEMD = entry('./usr/lib/systemd/systemd', data=b'elf', mode=0o755)
BASE = [
    entry('./', tarfile.DIRTYPE, mode=0o755),
    entry('./etc/', tarfile.DIRTYPE, mode=0o755),
    entry('./etc/passwd', data=b'root:x:0:0::/root:/bin/sh\n'),
    entry('./etc/shadow', data=b'root:$6$a$b:1::::::\n', mode=0o640),
    entry('./etc/os-release', data=b'ID=debian\nVERSION_ID="13"\n'),
    entry('./var/lib/dpkg/status', data=b'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n'),
    entry('./boot/vmlinuz-6.1', data=b'kernel'),
    entry('./usr/lib/modules/6.1/modules.dep', data=b''),
    SYSTEMD,
]
CAPABILITY = struct.pack('<5I', 0x02000001, 0x2000, 0, 0, 0).decode('latin-1')
CASES = {
    'ok-base': BASE,
    'ok-links': BASE + [entry('./usr/bin/a', data=b'x'), entry('./usr/bin/b', tarfile.LNKTYPE, linkname='./usr/bin/a'),
                        entry('./usr/bin/c', tarfile.SYMTYPE, linkname='a'),
                        entry('./usr/bin/d', tarfile.SYMTYPE, linkname='y' * 200)],
    'ok-devices': BASE + [entry('./dev/null', tarfile.CHRTYPE, devmajor=1, devminor=3),
                          entry('./srv/sda', tarfile.BLKTYPE, devmajor=8, devminor=0), entry('./srv/pipe', tarfile.FIFOTYPE)],
    'ok-attributes': BASE + [entry('./usr/bin/ping', data=b'x', pax={
        'SCHILY.xattr.security.capability': CAPABILITY, 'SCHILY.xattr.user.note': 'n' * 500,
        'SCHILY.acl.access': 'user::rw-,user:someone:r--:1000,group::r--,mask::r--,other::---'})],
    'ok-names': BASE + [entry('./srv/F\u0151tan\u00fas\u00edtv\u00e1ny', data=b'x'), entry('./srv/' + 'n' * 255, data=b'y')],
    'ok-zeros': BASE + [entry('./srv/zeros', data=bytes(300000)), entry('./srv/mixed', data=(b'a' * 5000 + bytes(90000)) * 3)],
    'ok-dropped-link': BASE + [entry('./tmp/a', data=b'x'), entry('./srv/b', tarfile.LNKTYPE, linkname='./tmp/a')],
    'bad-nothing': [],
    'bad-no-systemd': BASE[:-1],
    'bad-parent': BASE + [entry('./etc/../../x', data=b'x')],
    'bad-through-link': BASE + [entry('./srv/l', tarfile.SYMTYPE, linkname='/etc'), entry('./srv/l/x', data=b'x')],
    'bad-twice': BASE + [entry('./srv/x', data=b'x'), entry('./srv/x', data=b'y')],
    'bad-shadow-link': [e for e in BASE if 'shadow' not in e[0].name] + [
        entry('./etc/shadow', tarfile.SYMTYPE, linkname='/srv/shadow')],
    'bad-etc-link': [SYSTEMD, entry('./etc', tarfile.SYMTYPE, linkname='/srv')],
    'bad-link-nowhere': BASE + [entry('./srv/b', tarfile.LNKTYPE, linkname='./srv/a')],
    'bad-link-folder': BASE + [entry('./srv/b', tarfile.LNKTYPE, linkname='./etc')],
    'bad-status': [e for e in BASE if 'status' not in e[0].name] + [
        entry('./var/lib/dpkg/status', data=b'Package: a b\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n')],
}


def make(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, entries in CASES.items():
        data = make(entries)
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(data)
    base = make(BASE)
    with open(os.path.join(folder, 'bad-cut'), 'wb') as file:
        file.write(base[:3000])
    # A size of 8 EiB, and one that the file does not have.
    huge = bytearray(make([SYSTEMD, entry('./srv/x', data=b'x')]))
    at = huge.rindex(b'srv/x') - 2
    huge[at + 124:at + 136] = b'\x80' + bytes(3) + struct.pack('>Q', (1 << 63) - 1)
    huge[at + 148:at + 156] = b' ' * 8
    huge[at + 148:at + 156] = b'%06o\0 ' % sum(huge[at:at + 512])
    with open(os.path.join(folder, 'bad-huge'), 'wb') as file:
        file.write(huge)
    with open(os.path.join(folder, 'bad-noise'), 'wb') as file:
        file.write(bytes((i * 7919) & 0xff for i in range(5000)))


main()
