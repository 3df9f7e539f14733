#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs the Debian packages that virt-attest needs, and nothing else. This
# file is the one place where they are named.
#
#   ./setup.sh build           to build
#   ./setup.sh run             to run virt-attest on a host: libvirt, QEMU, firmware
#   ./setup.sh example         to build, and to run the examples
#   ./setup.sh test            to build, run and test (all of them)
#   ./setup.sh --print GROUP   print the package names of a group, install nothing
#
# On Debian 12 libvirt and QEMU come from bookworm-backports and the
# confidential firmware from testing: both suites are added with pins that
# keep every other package where it is. On a newer Debian nothing is added.
set -euo pipefail

build_packages=(meson ninja-build gcc libc6-dev pkg-config libglib2.0-dev
    libjson-glib-dev libxml2-dev libssl-dev liblzma-dev libvirt-dev
    zlib1g-dev libzstd-dev libarchive-dev libcbor-dev libcurl4-openssl-dev nettle-dev libnbd-dev libext2fs-dev libguestfs-dev
    python3-docutils)
run_packages=(libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu
    libvirt-clients qemu-system-x86 qemu-utils ovmf ovmf-amdsev
    mmdebstrap uidmap debian-archive-keyring e2fsprogs fdisk mtools libguestfs0 libguestfs-xfs libcurl4)
# A real guest kernel with its initrd, and what the private libvirtd of the
# examples and tests is started with.
example_packages=(linux-image-cloud-amd64 initramfs-tools util-linux procps iproute2 python3
    openssh-client)
# What tests compare with and are written with.
test_packages=(clang-14 libclang-rt-14-dev openssl libxml2-utils virtinst binutils python3-jsonschema python3-cbor2
    python3-cryptography dash cryptsetup-bin guestfish lvm2 xfsprogs btrfs-progs dosfstools cpio xz-utils zstd xorriso softhsm2
    pkcs11-provider openssh-server libfuse3-dev strace)

# What must come from another suite on Debian 12. The libraries are the ones
# that those packages were built against.
backports_packages='libvirt* gir1.2-libvirt* qemu qemu-* seabios virtinst virt-manager'
testing_packages='ovmf ovmf-*'

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 3; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "installing packages needs root: run this script as root"; fi
}

# The mirror that this machine's own sources use for the distribution's main
# suite; prints its address.
own_mirror() {
    local suite=$1 found=
    found=$(awk -v suite="$suite" '
        /^URIs:/ { uri = $2 }
        /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite && uri) { print uri; exit } }
        /^$/ { uri = "" }' /etc/apt/sources.list.d/*.sources 2>/dev/null)
    [ -n "$found" ] || found=$(sed -n "s/^deb *\(\[[^]]*\]\)\? *\([^ ]*\) *$suite .*/\2/p" \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
    [ -n "$found" ] || die "no apt source for $suite found: add the distribution's own sources first"
    printf '%s\n' "$found"
}

# Installs a root-owned file when its contents differ; returns 0 when changed.
put_file() {
    local path=$1 text=$2
    if [ "$(cat "$path" 2>/dev/null)" = "$text" ]; then return 1; fi
    printf '%s\n' "$text" | as_root tee "$path" >/dev/null
    as_root chmod 0644 "$path"
}

add_suites() {
    local mirror changed=1
    mirror=$(own_mirror bookworm)
    put_file /etc/apt/sources.list.d/virt-attest.sources "Types: deb
URIs: $mirror
Suites: bookworm-backports testing
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" && changed=0
    put_file /etc/apt/preferences.d/virt-attest "Package: *
Pin: release n=bookworm-backports
Pin-Priority: 100

Package: *
Pin: release a=testing
Pin-Priority: -1

Package: $backports_packages
Pin: release n=bookworm-backports
Pin-Priority: 600

Package: $testing_packages
Pin: release a=testing
Pin-Priority: 600" && changed=0
    return $changed
}

missing() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
    done
}

# libvirt-daemon starts services when it is installed; tests and the examples
# bring their own daemon, so nothing of the machine's is started here.
install_packages() {
    local wanted
    mapfile -t wanted < <(missing "$@")
    [ ${#wanted[@]} -gt 0 ] || return 0
    say "installing ${wanted[*]}"
    as_root apt-get -q update >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "${wanted[@]}" >/dev/null
}

main() {
    local print=0 group
    if [ "${1-}" = --print ]; then print=1; shift; fi
    group=${1-}
    local -a packages
    case $group in
        build) packages=("${build_packages[@]}") ;;
        run) packages=("${run_packages[@]}") ;;
        example) packages=("${build_packages[@]}" "${run_packages[@]}" "${example_packages[@]}") ;;
        test) packages=("${build_packages[@]}" "${run_packages[@]}" "${example_packages[@]}" "${test_packages[@]}") ;;
        *) printf 'usage: %s [--print] build|run|example|test\n' "$0" >&2; exit 2 ;;
    esac
    if [ $print = 1 ]; then printf '%s\n' "${packages[@]}"; return; fi
    command -v apt-get >/dev/null || die "this script knows Debian and Ubuntu; elsewhere install what '$0 --print $group' lists"
    # shellcheck disable=SC1091
    if [ "$(. /etc/os-release; printf '%s' "${VERSION_CODENAME-}")" = bookworm ]; then add_suites || true; fi
    install_packages "${packages[@]}"
}

main "$@"
