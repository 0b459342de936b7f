#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/options.md is what the program says today; every ready configuration loads.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
facet=${FACET:?the program}

"$facet" config --markdown | diff docs/options.md - ||
    complain 'docs/options.md is old: facet config --markdown > docs/options.md'

n=0
for file in $(sources '*.cfg' | grep '^configs/'); do
    "$facet" config --check "$file" >/dev/null || complain "$file does not load"
    head -n 2 "$file" | grep -qE '^(#|//)' || complain "$file: does not open with what it is for"
    n=$((n + 1))
done
echo "$n configurations loaded"
[ $n -gt 0 ] || complain 'no configurations found under configs/'
exit "$bad"
