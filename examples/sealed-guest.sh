#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From nothing to a guest at attestation level 4: builds a Debian image, seals
# it, lets a real libvirtd gate its launch, and boots it.
#
#   examples/sealed-guest.sh
#
# Takes some minutes; the image is kept in build/quickstart and not made again.
# Where SEV-SNP is missing, libvirt launches on the platform model of
# tests/platform, on which no guest executes; the same firmware, kernel, initrd,
# command line and disks are then booted under software emulation. Both say so.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=examples/common.sh
. "$top/examples/common.sh"
image=$build/trixie.qcow2
key=$build/id_ed25519
name=sealed

outside() {
    build_and_install
    export PATH=$prefix/bin:$PATH
    [ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$key"
    step 'a base image from Debian trixie: no passwords, no host keys, no consoles'
    if [ -e "$image" ]; then
        printf '%s is there already\n' "$image"
    else
        run virt-attest image-build --suite trixie --output "$image" --ssh-key "$key.pub"
    fi
    enter_private "$top/examples/sealed-guest.sh" --inside
}

# The domain as it stands, booted without SEV.
boot() { run "$top/tests/boot/boot-domain.py" --key "$key" "$@"; }

inside() {
    local disks=$PRIVATE_LIBVIRT_STATE/images
    export PATH=$prefix/bin:$PATH
    install_hook

    step 'a storage pool'
    run virsh pool-define-as default dir --target "$disks"
    run virsh pool-build default
    run virsh pool-start default

    step 'overlay, hash tree, initrd, domain and pin in one go'
    run virt-attest build --base "$image" --name "$name" --level 4 --memory 1024 --cpu-model EPYC-Milan \
        ${EMULATOR:+--emulator "$EMULATOR"}
    run virsh vol-list default
    run virt-attest vol-info "$name"
    run virt-attest level "$name"

    step 'start it: the hook measures again'
    run virt-attest start "$name"
    show_model_digest "$name"
    run virsh destroy "$name"
    virsh dumpxml --inactive "$name" >"$PRIVATE_LIBVIRT_STATE/$name.xml"

    if ! has_snp; then
        step 'boot it under emulation: same firmware, kernel, initrd, command line and disks'
        boot --run 'uname -r; findmnt -n -o FSTYPE,OPTIONS /; touch /root/written && ls /root; systemctl is-system-running --wait' \
            "$PRIVATE_LIBVIRT_STATE/$name.xml"
        step 'the host flips one bit of the root disk'
        boot --flip va-root --expect-stop "$PRIVATE_LIBVIRT_STATE/$name.xml"
        step 'the host appends a word to the command line'
        boot --append 'init=/bin/sh' --expect-stop "$PRIVATE_LIBVIRT_STATE/$name.xml"
    fi
    run virt-attest undefine --storage "$name"
    printf '\nDone. The programs are in %s.\n' "$prefix/bin"
}

case ${1-} in
    '') outside ;;
    --inside) inside ;;
    -h|--help) sed -n '3,13s/^# \{0,1\}//p' "$0" ;;
    *) printf 'error: unknown option %s; see %s --help\n' "$1" "$0" >&2; exit 2 ;;
esac
