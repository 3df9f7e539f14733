#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/archive: tar archives that are good (ok-…), hostile (bad-hostile-…) or broken (bad-broken-…).

The table of members that goes with them is in tests/unit/archive-fixture.h: manifest.json (at most 4096 bytes) and
firmware (65536) must be there, kernel and initrd (65536 each) may be; names are plain. absolute-… are for the flag that
takes "/name".
"""
import gzip
import io
import lzma
import pathlib
import subprocess
import sys
import tarfile

MANIFEST, FIRMWARE, KERNEL = b'{"a": 1}\n', bytes(range(256)) * 4, b"kernel " * 200
GOOD = (("manifest.json", MANIFEST), ("firmware", FIRMWARE), ("kernel", KERNEL))
END = bytes(1024)


def number(value, size):
    """An octal field, or GNU's base 256 for what does not fit."""
    if isinstance(value, bytes):
        return value.ljust(size, b"\0")
    if 0 <= value < 8 ** (size - 1):
        return f"{value:0{size - 1}o}".encode() + b"\0"
    return (value & ((1 << 8 * size) - 1) | 0x80 << 8 * (size - 1)).to_bytes(size, "big")


def header(name, size=0, kind=b"0", link=b"", mode=0o644, magic=b"ustar\x0000", prefix=b"", checksum=None, tail=b""):
    name = name if isinstance(name, bytes) else name.encode()
    block = bytearray(b"".join((
        name[:100].ljust(100, b"\0"), number(mode, 8), number(0, 8), number(0, 8), number(size, 12), number(0, 12),
        b" " * 8, kind, link[:100].ljust(100, b"\0"), magic, bytes(64), number(0, 8), number(0, 8),
        prefix.ljust(155, b"\0"), bytes(12))))
    if tail:
        block[512 - len(tail):] = tail
    total = sum(block) if checksum is None else checksum
    block[148:156] = f"{total:06o}\0 ".encode()
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def member(name, data=b"", size=None, **fields):
    return header(name, len(data) if size is None else size, **fields) + padded(data)


def plain(*members):
    return b"".join(member(name, data) for name, data in members)


def archive(*parts, end=END):
    return b"".join(parts) + end


def pax(records, kind=b"x"):
    body = b""
    for key, value in records:
        value = value if isinstance(value, bytes) else value.encode()
        line = b" " + key.encode() + b"=" + value + b"\n"
        length = len(line) + 1
        while len(str(length)) + len(line) != length:
            length += 1
        body += str(length).encode() + line
    return member("PaxHeader", body, kind=kind)


def long_name(name, kind=b"L"):
    name = name if isinstance(name, bytes) else name.encode()
    return member("././@LongLink", name + b"\0", kind=kind, magic=b"ustar  \0")


def written(form, members=GOOD):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c", "--no-check"], input=data, stdout=subprocess.PIPE, check=True).stdout


def gz(data):
    return gzip.compress(data, 9, mtime=0)


def gnu_sparse(name, real, data):
    """The old GNU form: a map in the header: one piece at 512."""
    block = bytearray(header(name, len(data), kind=b"S", magic=b"ustar  \0"))
    block[386:410] = number(512, 12) + number(len(data), 12)
    block[483:495] = number(real, 12)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + padded(data)


def sparse_1_0(name, pieces, real, data):
    """The newer one: the map stands before the data."""
    table = f"{len(pieces)}\n" + "".join(f"{start}\n{size}\n" for start, size in pieces)
    body = padded(table.encode()) + data
    return pax((("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name),
                ("GNU.sparse.realsize", str(real)))) + member("GNUSparseFile.1/" + name, body)


def cases():
    good = plain(*GOOD)
    two = plain(*GOOD[:2])
    base = archive(good)
    yield "ok-ustar", base
    yield "ok-two-members", archive(two)
    yield "ok-no-padding", archive(plain(("manifest.json", b""), ("firmware", b"f" * 512)))
    yield "ok-record-size", archive(good, end=bytes(10240 - len(good) % 10240))
    yield "ok-largest", gz(archive(plain(("manifest.json", b"m" * 4096), ("firmware", b"f" * 65536))))
    yield "ok-gnu", written(tarfile.GNU_FORMAT)
    yield "ok-pax", written(tarfile.PAX_FORMAT)
    yield "ok-gzip", gz(base)
    yield "ok-xz", lzma.compress(base)
    yield "ok-zstd", zstd(base)
    yield "ok-pax-times", archive(pax((("mtime", "1.5"), ("atime", "2"))), good)
    yield "ok-pax-path", archive(pax((("path", "manifest.json"),)), member("x", MANIFEST), plain(GOOD[1]))
    # A name ends at its zero, whatever comes behind it.
    yield "ok-pax-path-zero", archive(pax((("path", b"manifest.json\0/../x"),)), member("x", MANIFEST), plain(GOOD[1]))
    # As 'git archive' writes one; a path in it counts for nobody's members.
    yield "ok-pax-global", archive(pax((("comment", "c"), ("path", "evil")), kind=b"g"), good)
    yield "ok-long-name", archive(long_name("manifest.json"), member("x", MANIFEST, magic=b"ustar  \0"), plain(GOOD[1]))
    yield "ok-old-kind", archive(member("manifest.json", MANIFEST, kind=b"\0"), plain(GOOD[1]))
    yield "ok-name-with-tail", archive(member(b"manifest.json\0evil", MANIFEST), plain(GOOD[1]))
    yield "absolute-all", archive(plain(*(("/" + name, data) for name, data in GOOD)))
    yield "absolute-mixed", archive(plain(("/manifest.json", MANIFEST), GOOD[1]))

    def hostile(name, *parts, end=END):
        return "bad-hostile-" + name, archive(*parts, end=end)

    for what, name in (("absolute", "/manifest.json"), ("absolute-twice", "//manifest.json"), ("dot", "./manifest.json"),
                       ("parent", "../manifest.json"), ("parent-inside", "x/../manifest.json"),
                       ("inside", "firmware/manifest.json"), ("slash-end", "manifest.json/"), ("case", "Manifest.JSON"),
                       ("blank", "manifest.json "), ("newline", "manifest.json\n"), ("escape", "\x1b]0;x\x07"),
                       ("latin", b"manif\xe9st.json"), ("accent", "manifest.jsoń"), ("unknown", "evil.sh"),
                       ("homoglyph", "mаnifest.json"), ("backslash", "..\\manifest.json"), ("empty", ""),
                       ("etc", "/etc/passwd"), ("deep", "../" * 30 + "etc/x")):
        yield hostile("name-" + what, member(name, MANIFEST), good)
    yield hostile("prefix", member("manifest.json", MANIFEST, prefix=b".."), good)
    for what, kind, link in (("hard-link", b"1", b"firmware"), ("symbolic-link", b"2", b"/etc/shadow"),
                             ("character-device", b"3", b""), ("block-device", b"4", b""), ("folder", b"5", b""),
                             ("fifo", b"6", b"")):
        yield hostile(what, plain(*GOOD), member("initrd", kind=kind, link=link))
        yield hostile(what + "-first", member("manifest.json", kind=kind, link=link), good)
    yield hostile("kind-contiguous-link", good, member("initrd", kind=b"1", link=b"/etc/shadow", magic=b"\0" * 8))
    yield hostile("duplicate", good, plain(GOOD[0]))
    yield hostile("duplicate-same", plain(GOOD[0]), good)
    yield hostile("too-large", plain(GOOD[1]), member("manifest.json", b"x" * 4097))
    yield hostile("too-large-header-only", member("firmware", size=65537))
    yield hostile("huge", two, member("kernel", b"x", size=1 << 62))
    yield hostile("pax-size-huge", two, pax((("size", str(1 << 62)),)), member("kernel", b"x"))
    yield hostile("pax-path", pax((("path", "../../etc/passwd"),)), member("manifest.json", MANIFEST), plain(GOOD[1]))
    yield hostile("pax-path-absolute", pax((("path", "/manifest.json"),)), member("x", MANIFEST), plain(GOOD[1]))
    yield hostile("pax-linkpath", two, pax((("linkpath", "/etc/shadow"),)), member("kernel", kind=b"2", link=b"x"))
    yield hostile("pax-record", member("PaxHeader", b"99 path=x\n", kind=b"x"), good)
    yield hostile("long-name", long_name("../" * 200 + "x"), member("manifest.json", MANIFEST, magic=b"ustar  \0"), good)
    yield hostile("long-link", two, long_name("/etc/shadow", kind=b"K"),
                  member("kernel", kind=b"2", link=b"x", magic=b"ustar  \0"))
    yield hostile("sparse-old", two, gnu_sparse("kernel", 1536, b"d" * 1024))
    yield hostile("sparse-old-bomb", two, gnu_sparse("kernel", 1 << 40, b"d" * 512))
    yield hostile("sparse", two, sparse_1_0("kernel", ((0, 512), (1024, 512)), 1536, b"d" * 1024))
    yield hostile("sparse-bomb", two, sparse_1_0("kernel", ((0, 512), (1 << 40, 512)), (1 << 40) + 512, b"d" * 1024))
    yield hostile("sparse-name", sparse_1_0("../evil", ((0, 512),), 512, b"d" * 512), good)
    yield hostile("trailing-text", good, END, b"hello, this is behind the end".ljust(512, b"\0"), END)
    yield hostile("trailing-last-byte", good, end=END + bytes(4095) + b"x")
    yield hostile("two-archives", good, END, good)
    yield hostile("two-archives-padded", good, bytes(10240 - len(good)), good)
    yield hostile("nested", two, member("inner.tar", base))
    yield "bad-hostile-gzip-two", gz(base) + gz(archive(plain(("kernel", b"other"))))
    yield "bad-hostile-gzip-trailing", gz(base) + b"trailing"
    yield "bad-hostile-gzip-zeros", gz(base) + bytes(512)
    yield "bad-hostile-xz-two", lzma.compress(base) * 2
    yield "bad-hostile-zstd-two", zstd(base) * 2
    yield "bad-hostile-gzip-bomb", gz(archive(two, end=bytes(8 << 20)))
    yield "bad-hostile-xz-bomb", lzma.compress(archive(two, end=bytes(8 << 20)))
    yield "bad-hostile-zstd-bomb", zstd(archive(two, end=bytes(8 << 20)))
    yield "bad-broken-pax-bomb", gz(archive(pax((("comment", b"c" * (4 << 20)),)), good))

    yield "bad-broken-empty", b""
    yield "bad-broken-zeros", bytes(10240)
    yield "bad-broken-text", b"this is no archive\n" * 100
    yield "bad-broken-end-missing", good
    yield "bad-broken-end-half", good + bytes(512)
    yield "bad-broken-missing", archive(plain(*GOOD[1:]))
    yield "bad-broken-checksum", archive(member("manifest.json", MANIFEST, checksum=1), plain(GOOD[1]))
    yield "bad-broken-checksum-later", archive(plain(GOOD[0]), member("firmware", FIRMWARE, checksum=7))
    yield "bad-broken-v7", archive(plain(*GOOD)).replace(b"ustar\x0000", bytes(8))
    yield "bad-broken-nested-gzip", gz(gz(base))
    yield "bad-broken-gzip-damaged", gz(base)[:100] + b"\xff" + gz(base)[101:]
    yield "bad-broken-gzip-crc", gz(base)[:-8] + bytes(4) + gz(base)[-4:]
    yield "bad-broken-gzip-magic", b"\x1f\x8b"
    yield "bad-broken-xz-magic", b"\xfd7zXZ\0"
    yield "bad-broken-xz-memory", lzma.compress(base, format=lzma.FORMAT_XZ,
                                                filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    yield "bad-broken-zstd-magic", b"\x28\xb5\x2f\xfd"
    yield "bad-broken-zstd-window", b"\x28\xb5\x2f\xfd" + b"\x00\xa8" + bytes(20)
    yield "bad-broken-cpio", b"070701" + b"0" * 104 + bytes(512)
    yield "bad-broken-zip", b"PK\x03\x04" + bytes(600)
    yield "bad-broken-gzip-of-text", gz(b"hello" * 200)
    yield "bad-broken-pax-cut", archive(pax((("path", "manifest.json"),)))[:700]
    yield "bad-broken-huge-base-256", archive(two, member("kernel", b"x", size=(1 << 80) + 5))
    yield "bad-broken-negative", archive(two, member("kernel", b"x", size=-1))
    yield "bad-broken-pax-size-max", archive(two, pax((("size", str((1 << 64) - 1)),)), member("kernel", b"x"))
    yield "bad-broken-cut", base[:2048]


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "corpus") / "archive"
    top.mkdir(exist_ok=True)
    for name, data in cases():
        (top / name).write_bytes(data)


main()
