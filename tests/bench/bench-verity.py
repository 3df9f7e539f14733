#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares verity-format with veritysetup format, measured in the same run.

    tests/bench/bench-verity.py --tool build/bench/virsh-wrappers/virt-attest [--rounds N] [--folder FOLDER]

--tool comes from a build without sanitizers (meson setup build/bench --buildtype=release). --folder needs about 5 GiB.
The images are read once before, so that both programs find them in memory; they run in turn, whole processes with their
final fsync. Prints ratios of the medians, and for a machine that others use too the ratio of processor time, with the
tool's divided by the number of processors. Every pair of hash files is compared. Asserts no figure.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB, GIB = 1 << 20, 1 << 30
PARAMETERS = ["--salt", "a5" * 32, "--uuid", "12345678-9abc-4ef0-9234-56789abcdef0"]


class Figures:
    """Wall time, processor time and memory of several runs of one command."""

    def __init__(self):
        self.wall, self.cpu, self.memory = [], [], 0

    def run(self, argv, out):
        if os.path.exists(out):
            os.unlink(out)
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, os.environ,
                              file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        if status:
            sys.exit(f"error: {argv[0]} failed")
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.memory = max(self.memory, usage.ru_maxrss / 1024)


def same(one, two):
    return subprocess.run(["cmp", "-s", one, two], check=False).returncode == 0


def compare(what, slow, fast, rounds):
    """@slow and @fast: (name, argv up to the hash file, hash file, arguments behind it)."""
    figures = {}
    for _ in range(rounds):
        for name, front, out, rear in (slow, fast):
            figures.setdefault(name, Figures()).run([*front, out, *rear], out)
    if not same(slow[2], fast[2]):
        sys.exit(f"error: {what}: the hash files differ")
    one, two = figures[slow[0]], figures[fast[0]]
    wall = statistics.median(one.wall) / statistics.median(two.wall)
    cpu = statistics.median(one.cpu) / (statistics.median(two.cpu) / os.cpu_count())
    print(f"{what}: {slow[0]} {statistics.median(one.wall):.2f} s, {fast[0]} {statistics.median(two.wall):.3f} s: "
          f"{wall:.1f} times faster (by processor time {cpu:.1f}), {two.memory:.0f} MiB", flush=True)


def make_full(path):
    with open(path, "wb") as out:
        for _ in range(2048):
            out.write(os.urandom(MIB))


def make_sparse(path):
    """12 GiB with 400 MiB of data in pieces, as a file system leaves them."""
    choose = random.Random(3)
    with open(path, "wb") as out:
        out.truncate(12 * GIB)
        for _ in range(400):
            out.seek(choose.randrange(12 * 1024 - 1) * MIB)
            out.write(os.urandom(MIB))


def read_once(path):
    with open(path, "rb") as file:
        while file.read(4 * MIB):
            pass


def bench_reuse(options, folder):
    """An overlay on the full image with 1 % of it changed, in pieces of 64 KiB."""
    base, overlay = os.path.join(folder, "full.img"), os.path.join(folder, "overlay.qcow2")
    old = os.path.join(folder, "old")
    out = subprocess.run([options.tool, "verity-format", *PARAMETERS, base, old], stdout=subprocess.PIPE, check=True)
    root_hash = out.stdout.decode().split()[-1]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", overlay], check=True)
    choose = random.Random(4)
    commands = []
    for place in choose.sample(range(2 * GIB // 65536), 2 * GIB // 65536 // 100):
        commands += ["-c", f"write -q -P {place % 255 + 1} {place * 65536} 65536"]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, overlay], check=True)
    front = [options.tool, "verity-format", *PARAMETERS]
    compare("overlay with 1 % changed",
            ("whole", [*front, overlay], os.path.join(folder, "whole"), []),
            ("--reuse", [*front, "--reuse", old, "--reuse-root-hash", root_hash, overlay],
             os.path.join(folder, "part"), []),
            options.rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", required=True, type=os.path.abspath)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to make the images (default: the temporary folder)")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="virt-attest-bench-", dir=options.folder)
    try:
        for what, name, make in (("12 GiB with 400 MiB of data", "sparse.img", make_sparse),
                                 ("2 GiB, full", "full.img", make_full)):
            path = os.path.join(folder, name)
            make(path)
            os.sync()
            read_once(path)
            compare(what,
                    ("veritysetup", ["veritysetup", "format", *PARAMETERS, path], os.path.join(folder, "peer"), []),
                    ("verity-format", [options.tool, "verity-format", *PARAMETERS, path],
                     os.path.join(folder, "own"), []), options.rounds)
        bench_reuse(options, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
