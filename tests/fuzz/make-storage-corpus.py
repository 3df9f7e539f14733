#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/gpt, qcow2 and verity-superblock: files that are right (ok-…) or broken in one way (bad-…).

gpt: disks of a few sectors with partitions 1 and 2, of which 2 is asked for.
qcow2: headers. verity-superblock: hash files.
"""
import pathlib
import struct
import sys
import uuid
import zlib

U64_MAX = (1 << 64) - 1


def guid():
    return uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le


def gpt(sectors=12, entries=None, entry_size=128, count=None, header_size=92, own=1, first=4, last=9, table=2,
        table_crc=None, header_crc=None, signature=b"EFI PART", mbr_type=0xee, mbr_start=1, mbr_signature=b"\x55\xaa"):
    entries = [(4, 5), (6, 9)] if entries is None else entries
    body = b""
    for start, end in entries:
        used = guid() + uuid.UUID(int=7).bytes_le if start is not None else bytes(32)
        body += (used + struct.pack("<QQQ", start or 0, end or 0, 0)).ljust(entry_size, b"\0")[:max(entry_size, 56)]
    count = len(entries) if count is None else count
    covered = body.ljust(count * entry_size, b"\0")[:count * entry_size] if count * entry_size < 1 << 20 else b""
    crc = zlib.crc32(covered) if table_crc is None else table_crc
    header = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", signature, 0x10000, header_size, 0, 0, own, sectors - 1, first,
                                   last, uuid.UUID(int=9).bytes_le, table, count, entry_size, crc).ljust(512, b"\0"))
    crc = zlib.crc32(bytes(header[:header_size])) if header_crc is None else header_crc
    header[16:20] = struct.pack("<I", crc)
    mbr = bytearray(512)
    mbr[446:462] = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, mbr_type, 0xff, 0xff, 0xff, mbr_start, sectors - 1)
    mbr[510:] = mbr_signature
    return (bytes(mbr) + bytes(header) + body).ljust(sectors * 512, b"\0")[:sectors * 512]


GPT = {
    "ok-two": gpt(),
    "ok-unused": gpt(entries=[(None, None), (6, 9)]),
    "ok-large-entries": gpt(entry_size=256, entries=[(4, 5), (6, 9)]),
    "ok-long-header": gpt(header_size=512),
    "ok-one-sector": gpt(entries=[(4, 5), (9, 9)]),
    "bad-empty": b"",
    "bad-short": gpt()[:1024],
    "bad-no-mbr": gpt(mbr_signature=b"\0\0"),
    "bad-mbr-type": gpt(mbr_type=0x83),
    "bad-mbr-start": gpt(mbr_start=0),
    "bad-signature": gpt(signature=b"EFI PARS"),
    "bad-header-size": gpt(header_size=91),
    "bad-header-size-long": gpt()[:524] + struct.pack("<I", 513) + gpt()[528:],
    "bad-header-crc": gpt(header_crc=1),
    "bad-own-lba": gpt(own=2),
    "bad-first-usable": gpt(first=10),
    "bad-last-usable": gpt(last=12),
    "bad-last-usable-max": gpt(last=U64_MAX),
    "bad-table-in-header": gpt(table=1),
    "bad-table-outside": gpt(table=12),
    "bad-table-last": gpt(table=11, entries=[(4, 5), (6, 9)], count=5),
    "bad-table-max": gpt(table=U64_MAX),
    "bad-table-wraps": gpt(table=(1 << 55) + 2),
    "bad-table-crc": gpt(table_crc=1),
    "bad-count-0": gpt(count=0),
    "bad-count-1": gpt(entries=[(4, 9)]),
    "bad-count-max": gpt(count=0xffffffff),
    "bad-entry-size-0": gpt(entry_size=0, count=2),
    "bad-entry-size-120": gpt(entry_size=120),
    "bad-entry-size-odd": gpt(entry_size=129),
    "bad-entry-size-max": gpt(entry_size=8192, count=2),
    "bad-missing": gpt(entries=[(4, 5), (None, None)]),
    "bad-reversed": gpt(entries=[(4, 5), (9, 6)]),
    "bad-before-usable": gpt(entries=[(None, None), (3, 9)]),
    "bad-behind-usable": gpt(entries=[(4, 5), (6, 10)]),
    "bad-end-max": gpt(entries=[(4, 5), (6, U64_MAX)]),
    "bad-over-table": gpt(first=0, entries=[(None, None), (0, 9)]),
    "bad-first-usable-in-table": gpt(first=2),
    "bad-overlap": gpt(entries=[(4, 6), (6, 9)]),
    "bad-inside": gpt(entries=[(4, 9), (6, 7)]),
}


def qcow2(version=3, name=b"", name_offset=None, name_size=None, crypt=0, incompatible=0, header_size=104,
          extensions=(), magic=b"QFI\xfb"):
    head = 104 if version >= 3 else 72
    tail = b"".join(struct.pack(">II", kind, len(data)) + data.ljust((len(data) + 7) & ~7, b"\0")
                    for kind, data in extensions) + bytes(8)
    offset = (head + len(tail) if name else 0) if name_offset is None else name_offset
    size = len(name) if name_size is None else name_size
    out = struct.pack(">4sIQIIQIIQQIIQ", magic, version, offset, size, 16, 1 << 30, crypt, 2, 0x30000, 0x10000, 1, 0, 0)
    if version >= 3:
        out += struct.pack(">QQQII", incompatible, 0, 0, 4, header_size)
    return out + tail + name


FORMAT = 0xe2792aca
QCOW2 = {
    "ok-alone": qcow2(),
    "ok-version-2": qcow2(version=2),
    "ok-backing": qcow2(name=b"base.img", extensions=[(FORMAT, b"raw"), (0x6803f857, bytes(48))]),
    "ok-backing-version-2": qcow2(version=2, name=b"/pool/base.qcow2", extensions=[(FORMAT, b"qcow2")]),
    "ok-no-format": qcow2(name=b"base.img"),
    "ok-colon-in-folder": qcow2(name=b"./a:b.img", extensions=[(FORMAT, b"raw")]),
    "bad-empty": b"",
    "bad-magic": qcow2(magic=b"QFI\xfa"),
    "bad-short": qcow2()[:71],
    "bad-version-1": qcow2(version=1),
    "bad-version-4": qcow2(version=4),
    "bad-encrypted": qcow2(crypt=2),
    "bad-data-file": qcow2(incompatible=4),
    "bad-corrupt": qcow2(incompatible=2),
    "bad-header-size": qcow2(header_size=96),
    "bad-header-size-max": qcow2(header_size=0xfffffff8),
    "bad-header-cut": qcow2()[:100],
    "bad-name-offset": qcow2(name=b"base.img", name_offset=1 << 63),
    "bad-name-in-header": qcow2(name=b"base.img", name_offset=80),
    "bad-name-size-0": qcow2(name=b"base.img", name_size=0),
    "bad-name-size": qcow2(name=b"base.img", name_size=1024),
    "bad-name-cut": qcow2(name=b"base.img", name_size=9),
    "bad-name-zero": qcow2(name=b"base\0img"),
    "bad-name-json": qcow2(name=b'json:{"driver":"nbd"}'),
    "bad-name-protocol": qcow2(name=b"nbd://host/x"),
    "bad-extension-cut": qcow2(name=b"base.img", name_offset=104)[:110] + b"\xff\xff\xff\xff\xff\xff",
    "bad-format-zero": qcow2(name=b"base.img", extensions=[(FORMAT, b"r\0w")]),
}


def verity(signature=b"verity\0\0", version=1, kind=1, name=b"sha256", data=4096, block=4096, blocks=2,
           salt=bytes(range(32)), salt_size=None, body=4096):
    size = len(salt) if salt_size is None else salt_size
    head = struct.pack("<8sII16s32sIIQH6s256s168s", signature, version, kind, uuid.UUID(int=5).bytes, name, data, block,
                       blocks, size, b"", salt, b"")
    return head.ljust(max(block if block in (512, 1024, 2048, 4096) else 512, 512), b"\0") + bytes(body)


VERITY = {
    "ok-default": verity(),
    "ok-one-block": verity(blocks=1, body=0),
    "ok-512": verity(data=512, block=512, blocks=100),
    "ok-sha512": verity(name=b"sha512", salt=bytes(256)),
    "ok-no-salt": verity(salt=b""),
    "ok-huge": verity(blocks=1 << 50),
    "bad-empty": b"",
    "bad-short": verity()[:511],
    "bad-signature": verity(signature=b"verity\0\1"),
    "bad-version": verity(version=2),
    "bad-type-0": verity(kind=0),
    "bad-type-2": verity(kind=2),
    "bad-hash": verity(name=b"md5"),
    "bad-hash-case": verity(name=b"SHA256"),
    "bad-hash-empty": verity(name=b""),
    "bad-hash-no-end": verity(name=b"sha256".ljust(32, b"x")),
    "bad-hash-control": verity(name=b"sha\x1b[2J"),
    "bad-data-size-0": verity(data=0),
    "bad-data-size-3": verity(data=3000),
    "bad-data-size-8192": verity(data=8192),
    "bad-data-size-max": verity(data=0xffffffff),
    "bad-block-size-0": verity(block=0),
    "bad-block-size-256": verity(block=256),
    "bad-block-size-65536": verity(block=65536),
    "bad-blocks-0": verity(blocks=0),
    "bad-blocks-max": verity(blocks=U64_MAX),
    "bad-blocks-2-51": verity(blocks=1 << 51),
    "ok-largest": verity(data=512, block=4096, name=b"sha512", blocks=(1 << 54) - 1, body=0),
    "bad-salt-257": verity(salt=bytes(256), salt_size=257),
    "bad-salt-max": verity(salt=bytes(256), salt_size=0xffff),
}


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "corpus")
    for folder, cases in (("gpt", GPT), ("qcow2", QCOW2), ("verity-superblock", VERITY)):
        (top / folder).mkdir(exist_ok=True)
        for name, data in cases.items():
            (top / folder / name).write_bytes(data)


main()
