#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Writes tests/corpus/image: small ext4 file systems in the forms that differ most to a reader. Without check sums, which
# would keep a fuzzer out.
set -euo pipefail
corpus=$(cd "$(dirname "$0")/.." && pwd)/corpus/image
mkdir -p "$corpus"
work=$(mktemp -d)
mkdir -p "$work/tree/boot" "$work/tree/usr/lib/modules/6.1.0"
printf 'kernel' >"$work/tree/boot/vmlinuz-6.1.0"
printf 'dep' >"$work/tree/usr/lib/modules/6.1.0/modules.dep"
head -c 20000 /dev/zero | tr '\0' 'x' >"$work/tree/file"
ln -s usr/lib "$work/tree/lib"
ln -s loop "$work/tree/loop"
ln -s "$(printf '%070d' 0)" "$work/tree/slow-link"
make() {
    local name=$1
    shift
    rm -f "$corpus/$name.bin"
    mkfs.ext4 -q -F -b 1024 -N 32 -U 11111111-2222-3333-4444-555555555555 -d "$work/tree" "$@" "$corpus/$name.bin" 128
}
make extents -O ^metadata_csum,^has_journal,^resize_inode
make blocks -O ^metadata_csum,^has_journal,^resize_inode,^extent,^64bit
make wide -O ^metadata_csum,^has_journal,^resize_inode,64bit,large_dir,huge_file
rm -r -- "${work:?}"
