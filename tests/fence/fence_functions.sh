#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions: median at most 20 lines, none over 80, complexity (pmccabe's first figure) at most 15.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
need pmccabe

sources '*.c' | xargs -r pmccabe | sort -k5,5n | awk '
    $5 > 80 { print $6 " " $7 ": " $5 " lines, more than 80"; bad = 1 }
    $1 > 15 { print $6 " " $7 ": complexity " $1 ", more than 15"; bad = 1 }
    { lines[NR] = $5; if ($1 > most) most = $1 }
    END {
        median = lines[int((NR + 1) / 2)]
        printf "functions %d, median %d lines, p90 %d, longest %d, largest complexity %d\n",
               NR, median, lines[int(NR * 0.9) + 1], lines[NR], most
        if (NR == 0) { print "no functions found"; bad = 1 }
        if (median > 20) { print "median length is over 20"; bad = 1 }
        exit bad
    }' || bad=1
exit "$bad"
