#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files: median at most 250 lines, none over 600; names unique in the tree.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"

counted=$(sources '*.c' '*.h' '*.cu' '*.py' '*.sh' | xargs -r wc -l | grep -v ' total$' | sort -n)
[ -n "$counted" ] || complain "no sources found in $root"
printf '%s\n' "$counted" | awk '
    $1 > 600 { print $2 ": " $1 " lines, more than 600"; bad = 1 }
    { lines[NR] = $1 }
    END {
        median = lines[int((NR + 1) / 2)]
        printf "files %d, median %d lines, longest %d\n", NR, median, lines[NR]
        if (median > 250) { print "median length is over 250"; bad = 1 }
        exit bad
    }' || bad=1

twins=$(sources '*.c' '*.h' '*.cu' '*.py' '*.sh' | sed 's|.*/||' | sort | uniq -d)
[ -z "$twins" ] || complain "file names that occur twice: $twins"
exit "$bad"
