#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# C is laid out as .clang-format says (clang-format 14: other versions differ).
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
need clang-format-14

found=$(sources '*.c' '*.h' '*.cu' |
    xargs -r clang-format-14 --style=file --dry-run -Werror 2>&1 | sed -n 's/^\(.*\):[0-9]*:[0-9]*: error.*/\1/p' | uniq)
[ -z "$found" ] || complain "run clang-format-14 -i on these:
$found"
exit "$bad"
