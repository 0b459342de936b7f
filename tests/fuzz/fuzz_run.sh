#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM SECONDS MEBIBYTES LARGEST [FOLDER]: one fuzz target for a bounded time; what makes it
# fail is printed, and kept in FOLDER where one is given.
program=${1:?the program} seconds=${2:?} memory=${3:?} largest=${4:?} kept=$5
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$program" ] || {
    echo "skipped: no clang-14 with libFuzzer here (packages clang-14, libclang-rt-14-dev)"
    exit 77
}
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/seeds" "$folder/failed" "$folder/tmp"
seeds=$here/$(basename "$program")_seeds.py
[ ! -f "$seeds" ] || /usr/bin/python3 "$seeds" "$folder/seeds" || exit 1

# 77, libFuzzer's own exit code, would read as skipped. The rules for leaks of others are of no use here.
LSAN_OPTIONS='' ASAN_OPTIONS=allocator_may_return_null=1 TMPDIR=$folder/tmp "$program" \
    -max_total_time="$seconds" -rss_limit_mb="$memory" -malloc_limit_mb="$memory" -max_len="$largest" -timeout=10 \
    -error_exitcode=1 -timeout_exitcode=1 -interruptable=1 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$folder/failed/" "$folder/seeds" >"$folder/log" 2>&1
code=$?
grep -E '^(INFO: seed corpus|Done|stat::(number_of|peak_rss))' "$folder/log"
[ $code = 0 ] || {
    tail -n 60 "$folder/log"
    for file in "$folder"/failed/*; do
        [ -f "$file" ] || continue
        echo "the input, $(basename "$file"):"
        head -c 600 "$file" | od -A d -t x1z
        [ -z "$kept" ] || cp "$file" "$kept/"
    done
    exit 1
}
grep -q '^stat::number_of_executed_units: [0-9]*[0-9]' "$folder/log" || exit 1
