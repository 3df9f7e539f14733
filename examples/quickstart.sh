#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, from nothing: installs the packages, builds, installs into a
# private prefix and lets a real libvirtd gate a confidential domain.
#
#   examples/quickstart.sh
#
# Uses Debian's own cloud kernel and initrd and the AmdSev build of OVMF. The
# libvirtd is a private one in its own mount namespace; the machine's own
# libvirt, /etc and /var are left alone. With SEV-SNP hardware the domain is
# launched on it, otherwise on the platform model of tests/platform, which
# stands in for the processor and says so.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build/quickstart
prefix=$build/prefix

step() { printf '\n== %s\n' "$*"; }
show() { printf '$'; printf ' %q' "$@"; printf '\n'; }
run() { show "$@"; "$@"; }
# Runs a command that has to be refused, and shows the refusal.
refused() { show "$@"; if "$@"; then printf 'error: this should have been refused\n' >&2; exit 1; fi; }
newest() { find "$@" 2>/dev/null | sort -V | tail -n 1; }

has_snp() { [ -c /dev/sev ] && [ "$(cat /sys/module/kvm_amd/parameters/sev_snp 2>/dev/null)" = Y ]; }

outside() {
    step 'packages'
    "$top/setup.sh" example
    step "build and install into $prefix"
    mkdir -p "$build"
    local state=
    [ -e "$build/tree/build.ninja" ] && state=--reconfigure
    # shellcheck disable=SC2086
    meson setup $state "$build/tree" "$top" --buildtype=release --prefix="$prefix" --sysconfdir=etc --localstatedir=var \
        -Dhookdir="$prefix/hooks" >"$build/setup.log" 2>&1 || { cat "$build/setup.log" >&2; exit 3; }
    ninja -C "$build/tree" --quiet
    meson install -C "$build/tree" --quiet --no-rebuild

    local -a model=()
    if has_snp; then
        printf 'This machine has SEV-SNP: launching on the processor.\n'
    else
        printf 'No SEV-SNP here: launching on the platform model, a simulation. Nothing below is a real attestation.\n'
        model=(--model --model-library "$(find "$build/tree/tests/platform" -name '*platform-model.so')")
    fi
    local -a as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    exec "${as_root[@]}" "$top/tests/platform/private-libvirtd" "${model[@]}" "$top/examples/quickstart.sh" --inside
}

inside() {
    export PATH=$prefix/bin:$PATH
    local firmware=/usr/share/ovmf/OVMF.amdsev.fd name=quickstart kernel initrd
    kernel=$(newest /boot -name 'vmlinuz-*-cloud-amd64')
    initrd=/boot/initrd.img-${kernel#/boot/vmlinuz-}

    step 'install the hook into the private libvirtd'
    run install -D -m 0755 "$prefix/hooks/50-virt-attest" /etc/libvirt/hooks/qemu.d/50-virt-attest
    # A daemon that saw no hook when it started runs none until it is reloaded.
    run private-libvirtctl reload

    step 'define a domain at attestation level 3: firmware, kernel, initrd and command line are measured'
    run virt-attest define --name "$name" --level 3 --firmware "$firmware" --kernel "$kernel" --initrd "$initrd" \
        --cmdline 'console=ttyS0 root=/dev/vda1 ro' --memory 512 --vcpus 2 --cpu-model EPYC-Milan ${EMULATOR:+--emulator "$EMULATOR"}
    run virt-attest show "$name"

    step 'start it: the hook measures again, and the verdict is recorded'
    run virsh start "$name"
    run virt-attest list
    if [ -n "${PLATFORM_MODEL_OUT-}" ]; then
        printf 'What QEMU really handed to the platform, as the model hashed it:\n'
        run grep '"digest"' "$PLATFORM_MODEL_OUT/$(virsh domuuid "$name" | head -n 1).json"
    fi
    run virsh destroy "$name"

    step 'somebody edits the kernel command line'
    virsh dumpxml --inactive "$name" | sed 's|<cmdline>.*</cmdline>|<cmdline>console=ttyS0 root=/dev/vda1 rw init=/bin/sh</cmdline>|' \
        > "$PRIVATE_LIBVIRT_STATE/edited.xml"
    run virsh define "$PRIVATE_LIBVIRT_STATE/edited.xml"
    refused virsh start "$name"
    refused virt-attest check "$name"

    step 'the change is wanted: accept it, and start'
    run virt-attest define --accept "$name"
    run virt-attest start "$name"
    run virt-attest list
    run virsh destroy "$name"
    printf '\nDone. The programs are in %s.\n' "$prefix/bin"
}

case ${1-} in
    '') outside ;;
    --inside) inside ;;
    -h|--help) sed -n '3,13s/^# \{0,1\}//p' "$0" ;;
    *) printf 'error: unknown option %s; see %s --help\n' "$1" "$0" >&2; exit 2 ;;
esac
