#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# long.sh BUILD MINUTES [NAME...]: every fuzz target (or those named) for MINUTES each; inputs that make one
# fail are kept under BUILD/fuzz-failed.
build=${1:?the build directory} minutes=${2:?minutes for each} here=$(dirname "$0")
shift 2
[ $# -gt 0 ] || {
    # shellcheck disable=SC2046 # names hold no blanks
    set -- $(sed -n 's/^fct_fuzz_test(\([a-z0-9_]*\).*/\1/p' "$here/CMakeLists.txt")
}
mkdir -p "$build/fuzz-failed" || exit 2
bad=0
for name in "$@"; do
    echo "== $name"
    sh "$here/fuzz_run.sh" "$build/tests/fuzz/$name" $((minutes * 60)) 2048 1048576 "$build/fuzz-failed" || bad=1
done
exit $bad
