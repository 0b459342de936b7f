#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Banned calls; libraries neither end the process nor print; comments and strings do not count.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"

# Prints file:line:text of the code alone.
code() {
    for file in "$@"; do
        sed -E 's/"([^"\\]|\\.)*"/""/g; s|//.*||; s|/\*.*\*/||' "$file" |
            awk -v file="$file" '{ print file ":" NR ":" $0 }'
    done
}

ban() { # ban WHY REGEX FILE...
    why=$1 regex=$2
    shift 2
    [ $# -gt 0 ] || return 0
    found=$(code "$@" | grep -E "^[^:]*:[0-9]+:.*(^|[^A-Za-z0-9_])($regex)[[:space:]]*\(")
    [ -z "$found" ] || complain "$why:
$found"
}

# shellcheck disable=SC2046 # names in this tree hold no blanks
set -- $(sources '*.c' '*.h' '*.cu')
ban 'banned, see STYLE in CONTRIBUTING.md' \
    'strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|alloca|tmpnam|mktemp|system|rand|srand' "$@"

# shellcheck disable=SC2046
set -- $(sources '*.c' '*.h' '*.cu' | grep -E '^(src|cluster|datasets)/' |
    grep -Ev '^src/(cmd/|main\.c|train/console\.c)')
ban 'a library does not print' 'printf|puts|putchar|vprintf|perror' "$@"
# cluster/ may leave at once when a peer is dead; core/status.c stops on our own bugs.
# shellcheck disable=SC2046
set -- $(sources '*.c' '*.h' '*.cu' | grep -E '^(src|datasets)/' |
    grep -Ev '^src/(cmd/|main\.c|core/status\.c)')
ban 'a library does not end the process' 'exit|_exit|abort|quick_exit' "$@"
exit "$bad"
