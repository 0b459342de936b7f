#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every symbol that a library of ours shows to others begins with fct_.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
build=${FACET_BUILD:?the build directory}
need nm

archives=$(find "$build" -name 'libfacet_*.a')
[ -n "$archives" ] || complain "no libraries found in $build"
for archive in $archives; do
    found=$(nm --defined-only --extern-only "$archive" 2>/dev/null |
        awk 'NF == 3 && $3 !~ /^(fct_|__odr_asan)/ { print $3 }')
    [ -z "$found" ] || complain "$(basename "$archive"): $found"
done
exit "$bad"
