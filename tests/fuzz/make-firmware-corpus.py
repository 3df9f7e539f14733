#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/firmware: small firmware files whose footer is right (ok-…) or broken in one way (bad-…)."""
import pathlib
import struct
import sys
import uuid

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
SECRET = "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
SVSM = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"
TDX = "e47a6535-984a-4798-865e-4685a7bf8ec2"

SECTIONS = [(0x800000, 0x9000, 1), (0x80a000, 0x3000, 1), (0x80d000, 0x1000, 2), (0x80e000, 0x1000, 3),
            (0x80f000, 0x1000, 4), (0x810000, 0x1000, 0x10), (0x811000, 0xf000, 1)]


def entry(guid, data, length=None):
    length = len(data) + 18 if length is None else length
    return data + struct.pack("<H", length) + uuid.UUID(guid).bytes_le


def u32(*values):
    return struct.pack("<%dI" % len(values), *values)


def metadata(sections, length=None, version=1, count=None, signature=b"ASEV"):
    length = 16 + 12 * len(sections) if length is None else length
    count = len(sections) if count is None else count
    return signature + u32(length, version, count) + b"".join(u32(*s) for s in sections)


ENTRIES = [entry(RESET, u32(0x80b004)), entry(SECRET, u32(0x810000, 0xc00)), entry(HASHES, u32(0x810c00, 0x400))]


def image(entries=None, meta=None, offset=None, total=None, size=1024, metadata_entry=True, vector=bytes(32)):
    """The metadata lie at the start of the file; `offset` replaces their true distance from its end."""
    meta = metadata(SECTIONS) if meta is None else meta
    entries = ENTRIES if entries is None else entries
    if metadata_entry:
        entries = entries + [entry(METADATA, u32(size if offset is None else offset))]
    table = b"".join(entries)
    table += entry(FOOTER, b"", len(table) + 18 if total is None else total)
    body = meta + bytes(size - len(meta) - len(table) - len(vector)) + table
    return body + vector


def one(gpa, size, kind):
    return metadata([(gpa, size, kind)])


CASES = {
    "ok-complete": image(),
    "ok-no-metadata": image(metadata_entry=False),
    "ok-no-sections": image(meta=metadata([])),
    "ok-longer-metadata": image(meta=metadata(SECTIONS, length=16 + 12 * 7 + 40)),
    "ok-hash-base-0": image(entries=[entry(RESET, u32(0x80b004)), entry(HASHES, u32(0, 0)), entry(SECRET, u32(0, 0))]),
    "ok-hash-across-page": image(entries=[entry(HASHES, u32(0x810f60, 0x400))]),
    "ok-foreign-entries": image(entries=[entry(TDX, u32(1)), entry(TDX, u32(2))] + ENTRIES),
    "ok-svsm": image(entries=[entry(SVSM, u32(0x40))]),
    "ok-svsm-entry-point-outside": image(entries=[entry(SVSM, u32(0x1000))]),
    "ok-reset-address-0": image(entries=[entry(RESET, u32(0))]),
    "ok-unknown-section": image(meta=one(0x800000, 0x1000, 0x7)),
    "ok-unknown-section-type-byte-1": image(meta=one(0x800000, 0x1000, 0x101)),
    "ok-section-empty": image(meta=one(0x800000, 0, 1)),
    "ok-slack-in-table": image(entries=[bytes(17)] + ENTRIES),
    "ok-empty-table": entry(FOOTER, b"") + bytes(32),
    "ok-no-table": bytes(range(256)) * 4,
    "ok-lone-reset-block": bytes(200) + entry(RESET, u32(0x80b004)) + bytes(32),
    "ok-lone-reset-block-too-short": bytes(200) + entry(RESET, u32(0x80b004), 18) + bytes(32),
    "ok-49-bytes": bytes(49),
    "ok-1-byte": b"\0",
    "ok-odd-size": b"\0" + image(),
    "ok-footer-one-byte-off": image() + b"\0",
    "bad-total-0": image(total=0),
    "bad-total-17": image(total=17),
    "bad-total-beyond-file": image(total=0xffff),
    "bad-total-one-too-long": image(metadata_entry=False, total=1024 - 32 + 1),
    "bad-entry-length-0": image(entries=[entry(RESET, u32(1), 0)]),
    "bad-entry-length-17": image(entries=[entry(RESET, u32(1), 17)]),
    "bad-entry-length-ffff": image(entries=[entry(RESET, u32(1), 0xffff)]),
    "bad-entry-one-too-long": image(entries=[entry(RESET, u32(1), 23)]),
    "bad-reset-block-3-bytes": image(entries=[entry(RESET, b"abc")]),
    "bad-hash-area-4-bytes": image(entries=[entry(HASHES, u32(1))]),
    "bad-secret-area-empty": image(entries=[entry(SECRET, b"")]),
    "bad-metadata-entry-empty": image(metadata_entry=False, entries=[entry(METADATA, b"")]),
    "bad-svsm-empty": image(entries=[entry(SVSM, b"")]),
    "bad-twice-reset-block": image(entries=[entry(RESET, u32(1)), entry(RESET, u32(1))]),
    "bad-twice-hash-area": image(entries=ENTRIES + [entry(HASHES, u32(0x810c00, 0x400))]),
    "bad-twice-metadata": image(entries=[entry(METADATA, u32(1024))]),
    "bad-offset-beyond-file": image(offset=1025),
    "bad-offset-ffffffff": image(offset=0xffffffff),
    "bad-offset-0": image(offset=0),
    "bad-offset-15": image(offset=15),
    "bad-signature": image(meta=metadata(SECTIONS, signature=b"ASEW")),
    "bad-version-0": image(meta=metadata(SECTIONS, version=0)),
    "bad-version-2": image(meta=metadata(SECTIONS, version=2)),
    "bad-count-ffffffff": image(meta=metadata(SECTIONS, count=0xffffffff)),
    "bad-count-65": image(meta=metadata(SECTIONS, count=65)),
    "bad-count-one-more-than-length": image(meta=metadata(SECTIONS, count=8)),
    "bad-length-0": image(meta=metadata(SECTIONS, length=0)),
    "bad-length-beyond-file": image(meta=metadata(SECTIONS, length=1025)),
    "bad-section-gpa-unaligned": image(meta=one(0x800800, 0x1000, 1)),
    "bad-section-size-unaligned": image(meta=one(0x800000, 0x1001, 1)),
    "bad-section-overflow": image(meta=one(0xfffff000, 0x2000, 1)),
    "bad-section-overflow-max": image(meta=one(0xfffff000, 0xfffff000, 1)),
    "bad-section-over-firmware": image(meta=one(0xfffff000, 0x1000, 1)),
    "bad-sections-overlap": image(meta=metadata([(0x800000, 0x3000, 1), (0x900000, 0x1000, 1), (0x802000, 0x1000, 2)])),
    "bad-sections-equal": image(meta=metadata([(0x800000, 0x1000, 1)] * 2)),
    "bad-sections-inside": image(meta=metadata([(0x801000, 0x1000, 1), (0x800000, 0x4000, 1)])),
    "bad-hashes-twice": image(meta=metadata([(0x800000, 0x1000, 16), (0x801000, 0x1000, 16)])),
    "bad-hashes-two-pages": image(meta=one(0x800000, 0x2000, 16)),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, data in CASES.items():
        (folder / name).write_bytes(data)


main()
