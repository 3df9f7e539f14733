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
# shellcheck source=examples/common.sh
. "$top/examples/common.sh"

outside() {
    build_and_install
    enter_private "$top/examples/quickstart.sh" --inside
}

inside() {
    export PATH=$prefix/bin:$PATH
    local firmware=/usr/share/ovmf/OVMF.amdsev.fd name=quickstart kernel initrd
    kernel=$(newest /boot -name 'vmlinuz-*-cloud-amd64')
    initrd=/boot/initrd.img-${kernel#/boot/vmlinuz-}

    install_hook

    step 'define a domain at attestation level 3: firmware, kernel, initrd and command line are measured'
    run virt-attest define --name "$name" --level 3 --firmware "$firmware" --kernel "$kernel" --initrd "$initrd" \
        --cmdline 'console=ttyS0 root=/dev/vda1 ro' --memory 512 --vcpus 2 --cpu-model EPYC-Milan ${EMULATOR:+--emulator "$EMULATOR"}
    run virt-attest show "$name"

    step 'start it: the hook measures again, and the verdict is recorded'
    run virsh start "$name"
    run virt-attest list
    show_model_digest "$name"
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
