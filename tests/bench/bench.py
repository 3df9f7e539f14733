#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares virt-attest with its peers, measured in the same run.

    tests/bench/bench.py --tool build/bench/virsh-wrappers/virt-attest [--hook HOOK --pin-tool PROGRAM] [--peer FOLDER]

--tool and --hook come from a build without sanitizers (meson setup build/bench --buildtype=release).
--peer is a checkout of the common Python calculator (the folder with sev-snp-measure.py); without it those rows are
left out. Every figure is the median of several whole processes, the compared commands run in turn so that a busy
machine hurts all alike. Prints ratios; asserts nothing.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FIRMWARE = ("/usr/share/ovmf/OVMF.amdsev.fd", "/usr/share/OVMF/OVMF.amdsev.fd")
CPUS = ["EPYC", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin", "0xa10f11", "0xaa0f02", "0xb00f21"]


def run(argv, stdin=None):
    """Seconds of one whole process; its output must be good."""
    start = time.perf_counter()
    done = subprocess.run(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"error: {argv[0]} failed ({done.returncode}): {done.stderr.decode(errors='replace').strip()}")
    return seconds, done.stdout.decode().strip()


def compare(commands, rounds):
    """Medians of several commands run in turn, and what each printed."""
    times = {name: [] for name in commands}
    output = {}
    for name, argv in commands.items():
        run(argv)
    for _ in range(rounds):
        for name, argv in commands.items():
            seconds, output[name] = run(argv)
            times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}, output


def peak_memory(argv):
    """Largest resident set of one run, MiB."""
    pid = os.posix_spawn(argv[0], argv, os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"error: {argv[0]} failed")
    return usage.ru_maxrss / 1024


def random_file(path, mebibytes):
    with open(path, "wb") as out:
        for _ in range(mebibytes):
            out.write(os.urandom(1 << 20))
    return path


def explicit(tool, firmware, kernel, initrd, cpu, vcpus):
    return [*tool, "--mode", "snp", "--vcpus", str(vcpus), "--vcpu-type", cpu, "--ovmf", firmware, "--kernel", kernel,
            "--initrd", initrd, "--append", "console=ttyS0 root=/dev/vda1"]


def domain_xml(firmware, kernel, initrd):
    return f"""<domain type='kvm'><name>bench</name><uuid>6b8b4567-0000-4000-8000-000000000001</uuid>
<memory unit='MiB'>512</memory><vcpu>4</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader type='rom' readonly='yes'>{firmware}</loader>
<kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 root=/dev/vda1</cmdline></os>
<cpu mode='host-model'/>
<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy></launchSecurity></domain>
"""


def bench_measure(options, folder, firmware, kernel):
    tool = [options.tool, "measure"]
    peer = [sys.executable, os.path.join(options.peer, "sev-snp-measure.py")] if options.peer else None
    for mebibytes in (18, 64):
        initrd = random_file(os.path.join(folder, f"initrd-{mebibytes}"), mebibytes)
        for vcpus in (1, 64):
            commands = {"tool": explicit(tool, firmware, kernel, initrd, "EPYC-Milan", vcpus),
                        "openssl": ["openssl", "dgst", "-sha256", initrd]}
            if peer:
                commands["peer"] = explicit(peer, firmware, kernel, initrd, "EPYC-Milan", vcpus)
            medians, output = compare(commands, options.rounds)
            line = (f"initrd {mebibytes} MiB, {vcpus:2d} vCPU: {medians['tool'] * 1e3:7.1f} ms, "
                    f"{medians['tool'] / medians['openssl']:.2f} x openssl dgst -sha256 of the initrd")
            if peer:
                if output["tool"] != output["peer"]:
                    sys.exit(f"error: the peer computes another digest: {output['peer']} instead of {output['tool']}")
                line += f", {medians['peer'] / medians['tool']:.1f} times faster than the peer ({medians['peer'] * 1e3:.0f} ms)"
            print(line)
        print(f"initrd {mebibytes} MiB: peak memory {peak_memory(commands['tool']):.1f} MiB")
        xml = os.path.join(folder, "bench.xml")
        with open(xml, "w", encoding="utf-8") as out:
            out.write(domain_xml(firmware, kernel, initrd))
        medians, _ = compare({"one": [*tool, xml, "--cpu", CPUS[2]], "eight": [*tool, xml, "--cpu", ",".join(CPUS)]},
                             options.rounds)
        print(f"initrd {mebibytes} MiB, 8 CPU types against one: {medians['eight'] / medians['one']:.3f} times")


def bench_hook(options, folder, firmware, kernel):
    """The hook with everything cached against a program that does nothing."""
    initrd = os.path.join(folder, "initrd-64")
    state = os.path.join(folder, "state")
    os.mkdir(state, 0o700)
    config = os.path.join(folder, "virt-attest.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.write(f"[paths]\nstate-directory = {state}\n")
    xml = os.path.join(folder, "hook.xml")
    with open(xml, "w", encoding="utf-8") as out:
        out.write(domain_xml(firmware, kernel, initrd).replace(
            "<cpu mode='host-model'/>", "<cpu mode='custom'><model>EPYC-Milan</model></cpu>"))
    os.environ["VIRT_ATTEST_CONFIG"] = config
    subprocess.run([options.pin_tool, xml, "refuse"], check=True, stdout=subprocess.DEVNULL)
    source = os.path.join(folder, "empty.c")
    with open(source, "w", encoding="utf-8") as out:
        out.write("int main(void) { return 0; }\n")
    empty = os.path.join(folder, "empty")
    subprocess.run(["cc", "-O2", "-o", empty, source], check=True)
    # Files younger than two seconds are not cached: their time stamps cannot tell a later change.
    time.sleep(3)
    times = {"hook": [], "empty": []}
    for turn in range(options.rounds * 5):
        for name, program in (("hook", options.hook), ("empty", empty)):
            with open(xml, "rb") as stdin:
                seconds, _ = run([program, "bench", "start", "begin", "-"], stdin)
            if turn >= 2:
                times[name].append(seconds)
    hook, nothing = statistics.median(times["hook"]), statistics.median(times["empty"])
    print(f"hook, pinned, warm cache: {hook * 1e3:.2f} ms; an empty program {nothing * 1e3:.2f} ms; "
          f"{(hook - nothing) * 1e3:.2f} ms more")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", required=True, type=os.path.abspath)
    parser.add_argument("--hook", type=os.path.abspath)
    parser.add_argument("--pin-tool", type=os.path.abspath, help="program that pins a domain XML into the configured state")
    parser.add_argument("--peer", type=os.path.abspath)
    parser.add_argument("--kernel", help="default: a file of 8 MiB")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    firmware = next(filter(os.path.exists, FIRMWARE), None)
    if not firmware:
        sys.exit("error: no AmdSev firmware found; install the ovmf-amdsev package (./setup.sh run)")
    folder = tempfile.mkdtemp(prefix="virt-attest-bench-")
    try:
        kernel = options.kernel or random_file(os.path.join(folder, "kernel"), 8)
        bench_measure(options, folder, firmware, kernel)
        if options.hook and options.pin_tool:
            bench_hook(options, folder, firmware, kernel)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
