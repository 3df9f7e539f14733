#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/corpus/initrd: small initrds of our form (ok-…), and ones that differ from it in one way (bad-…)."""
import gzip
import pathlib
import subprocess
import sys

RELEASE = "6.12.57+deb13-cloud-amd64"
DIR, REG, LNK, CHR, FIFO = 0o040755, 0o100644, 0o120777, 0o020600, 0o010644


def entry(name, mode, data=b"", inode=0, links=None, size=None, name_size=None, magic=b"070701", **other):
    raw = name if isinstance(name, bytes) else name.encode()
    fields = [inode, mode, other.get("uid", 0), other.get("gid", 0),
              links if links is not None else (2 if mode == DIR else 1), other.get("mtime", 0),
              len(data) if size is None else size, 0, 0, other.get("rdev", 0), 0,
              len(raw) + 1 if name_size is None else name_size, 0]
    head = magic + b"".join(b"%08X" % field for field in fields) + raw + b"\0"
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


def listing(level=4, modules=("required 0000-virtio.ko",), kernel=RELEASE):
    lines = ["virt-attest-initrd 1", "level %d" % level, "kernel " + kernel] + ["module " + m for m in modules]
    return "".join(line + "\n" for line in lines).encode()


def rows(level=4, text=None, modules=(("modules/0000-virtio.ko", b"\x7fELF"),)):
    text = listing(level) if text is None else text
    return ([("dev", DIR, b""), ("init", 0o100755, b"\x7fELF init"), ("initrd.list", REG, text), ("modules", DIR, b"")] +
            [(name, REG, data) for name, data in modules] + [(name, DIR, b"") for name in ("proc", "run", "sys", "sysroot")])


def archive(entries, trailer=True):
    body = b"".join(entry(name, mode, data, inode=number) for number, (name, mode, data) in enumerate(entries, 1))
    return body + (entry("TRAILER!!!", 0) if trailer else b"")


def with_row(name, mode, data=b""):
    return archive(sorted(rows() + [(name, mode, data)]))


def zstd(data):
    return subprocess.run(["zstd", "-q", "-19", "--stream-size=%d" % len(data)], input=data, capture_output=True,
                          check=True).stdout


GOOD = archive(rows())
CASES = {
    "ok-zstd": zstd(GOOD),
    "bad-zstd-twice": zstd(GOOD) * 2,
    "ok-plain": GOOD,
    "ok-gzip": gzip.compress(GOOD, mtime=0),
    "ok-level-3": archive(rows(3)),
    "ok-no-modules": archive(rows(text=listing(modules=()), modules=())),
    "bad-empty": b"",
    "bad-shell": with_row("bin/sh", 0o100755, b"\x7fELF"),
    "bad-etc": with_row("etc", DIR),
    "bad-device": with_row("dev/mem", CHR),
    "bad-fifo": with_row("run/fifo", FIFO),
    "bad-link": with_row("modules/x.ko", LNK, b"/init"),
    "bad-no-trailer": archive(rows(), trailer=False),
    "bad-second-archive": GOOD + GOOD,
    "bad-padding-behind": GOOD + bytes(512),
    "bad-gzip-twice": gzip.compress(GOOD, mtime=0) * 2,
    "bad-gzip-time": gzip.compress(GOOD, mtime=1),
    "bad-order": archive(list(reversed(rows()))),
    "bad-setuid": archive([r if r[0] != "init" else ("init", 0o104755, r[2]) for r in rows()]),
    "bad-no-init": archive([r for r in rows() if r[0] != "init"]),
    "bad-list-level": archive(rows(text=listing(2))),
    "bad-list-module": archive(rows(text=listing(modules=("required 0000-other.ko",)))),
    "bad-huge-size": entry("init", 0o100755, b"x", inode=1, size=0xffffffff),
    "bad-huge-name": entry("init", 0o100755, b"x", inode=1, name_size=0xffffffff),
    "bad-name-zero": entry("init", 0o100755, b"x", inode=1, name_size=0),
    "bad-name-nul": entry(b"in\0t", 0o100755, b"x", inode=1),
    "bad-magic": entry("init", 0o100755, b"x", inode=1, magic=b"070702"),
    "bad-hex": GOOD.replace(b"07070100000001", b"07070100000 01", 1),
    "bad-mtime": entry("dev", DIR, inode=1, mtime=1) + GOOD[len(entry("dev", DIR, inode=1)):],
    "bad-hard-link": entry("dev", DIR, inode=1, links=3) + GOOD[len(entry("dev", DIR, inode=1)):],
    "bad-zstd-cut": b"\x28\xb5\x2f\xfd\x24",
    "bad-xz": b"\xfd7zXZ\0\0\4",
    "bad-text": b"#!/bin/sh\nexec sh\n",
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).resolve().parents[1] / "corpus" / "initrd")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in CASES.items():
        (folder / (name + ".bin")).write_bytes(data)


main()
