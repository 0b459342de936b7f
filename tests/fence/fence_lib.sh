# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034 # `bad` is read by those who read this file
# What the fences share: the tree, its sources, complaints. Read by `.`; $1 is the tree's root.
root=${1:-${FACET_SOURCE:?the tree to look at}}
cd "$root" || exit 2
bad=0

complain() {
    printf '%s\n' "$*"
    bad=1
}

# sources '*.c' '*.h': the tree's own files of these names, no build or run directories.
sources() {
    for pattern in "$@"; do
        find . \( -name .git -o -path './build*' -o -path ./runs -o -path ./shared \) -prune \
            -o -type f -name "$pattern" -print
    done | sed 's|^\./||' | sort
}

need() { # need PROGRAM: leaves with 77, skipped, when it is not installed
    command -v "$1" >/dev/null || {
        echo "skipped: $1 is not installed"
        exit 77
    }
}
