#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what the tests need, builds and runs them.
#
#   tests/run.sh                everything (below 40 minutes on 2 cores)
#   tests/run.sh --quick        what needs no libvirtd, no guest and no large image (below 3 minutes)
#   tests/run.sh --suite NAME   one suite: unit, golden, hook, fuzz, storage, libvirt, boot
#
# Everything runs on a build with AddressSanitizer and UndefinedBehaviorSanitizer;
# a clang build checks that it compiles there without a warning. The last line
# counts: N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=0
suites=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1 ;;
        --suite) suites+=("${2:?--suite needs a name}"); shift ;;
        -h|--help) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) printf 'error: unknown option %s; see %s --help\n' "$1" "$0" >&2; exit 2 ;;
    esac
    shift
done
if [ ${#suites[@]} -eq 0 ]; then
    suites=(unit golden hook fuzz)
    [ $quick = 1 ] || suites+=(storage libvirt boot)
fi

./setup.sh test

# Reference vectors are not part of the project; they are used where they lie beside it.
vectors=${VIRT_ATTEST_VECTORS-}
if [ -z "$vectors" ] && [ -d ../shared/vectors ]; then vectors=$(cd ../shared/vectors && pwd); fi

build=build/test
configure() { # FOLDER [OPTION…]
    local folder=$1 state=; shift
    [ -e "$folder/build.ninja" ] && state=--reconfigure
    meson setup $state "$folder" "$@" >"$folder.log" 2>&1 || { cat "$folder.log" >&2; exit 3; }
}
mkdir -p build
configure "$build" -Db_sanitize=address,undefined -Db_lundef=false -Dvectors="$vectors"
ninja -C "$build" --quiet

if [ $quick = 0 ]; then
    # The second compiler: warnings are errors there too. Nothing of it is run, so it need not optimise.
    CC=clang-14 configure build/clang -Doptimization=0 -Ddebug=false
    ninja -C build/clang --quiet
fi

arguments=()
for suite in "${suites[@]}"; do arguments+=(--suite "$suite"); done
rc=0
# The limits of the tests are for those that hang: a slow machine may take longer.
meson test -C "$build" --no-rebuild --print-errorlogs --num-processes 2 --timeout-multiplier 3 "${arguments[@]}" || rc=$?
/usr/bin/python3 tests/count.py "$build/meson-logs/testlog.json" || rc=1
exit "$rc"
