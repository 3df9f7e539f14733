# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the examples share; sourced, not run. Expects "set -euo pipefail", and
# $top, the checkout.

build=$top/build/quickstart
prefix=$build/prefix

step() { printf '\n== %s\n' "$*"; }
show() { printf '$'; printf ' %q' "$@"; printf '\n'; }
run() { show "$@"; "$@"; }
# Runs a command that has to be refused, and shows the refusal.
refused() { show "$@"; if "$@"; then printf 'error: this should have been refused\n' >&2; exit 1; fi; }
newest() { find "$@" 2>/dev/null | sort -V | tail -n 1; }

has_snp() { [ -c /dev/sev ] && [ "$(cat /sys/module/kvm_amd/parameters/sev_snp 2>/dev/null)" = Y ]; }

# Packages, a release build, and its installation into $prefix.
build_and_install() {
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
}

# Goes on as "$@" beside a private libvirtd, on the processor or on the platform model.
enter_private() {
    local -a model=() as_root=()
    if has_snp; then
        printf 'This machine has SEV-SNP: launching on the processor.\n'
    else
        printf 'No SEV-SNP here: launching on the platform model, a simulation. Nothing below is a real attestation.\n'
        model=(--model --model-library "$(find "$build/tree/tests/platform" -name '*platform-model.so')")
    fi
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    exec "${as_root[@]}" "$top/tests/platform/private-libvirtd" "${model[@]}" "$@"
}

install_hook() {
    step 'install the hook into the private libvirtd'
    run install -D -m 0755 "$prefix/hooks/50-virt-attest" /etc/libvirt/hooks/qemu.d/50-virt-attest
    # A daemon that saw no hook when it started runs none until it is reloaded.
    run private-libvirtctl reload
}

show_model_digest() {
    if [ -n "${PLATFORM_MODEL_OUT-}" ]; then
        printf 'What QEMU really handed to the platform, as the model hashed it:\n'
        run grep '"digest"' "$PLATFORM_MODEL_OUT/$(virsh domuuid "$1" | head -n 1).json"
    fi
}
