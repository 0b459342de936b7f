#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# C is laid out as .clang-format says (clang-format 14: other versions differ).
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
need clang-format-14

for file in $(sources '*.c' '*.h' '*.cu'); do
    clang-format-14 --style=file --dry-run -Werror "$file" >/dev/null 2>&1 ||
        complain "$file: run clang-format-14 -i on it"
done
exit "$bad"
