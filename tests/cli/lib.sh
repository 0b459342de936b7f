# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the shell tests share: a temporary folder that is removed at the end, and checks that say
# what they wanted. Read by `.` at the top of a test; finish() ends the test.
facet=${FACET:?the program}
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0

# run ARGUMENTS...: facet's exit code in $code, its output in $folder/out and $folder/err.
run() {
    "$facet" "$@" >"$folder/out" 2>"$folder/err"
    code=$?
}

complain() {
    printf 'FAILED: %s\n' "$*"
    printf '  out: '
    head -c 600 "$folder/out"
    printf '\n  err: '
    head -c 600 "$folder/err"
    printf '\n'
    failed=1
}

exits() { # exits CODE CLAIM: the last run's exit code
    [ "$code" = "$1" ] || complain "$2: exit code $code, wanted $1"
}

prints() { # prints TEXT CLAIM: the last run's standard output holds TEXT
    grep -qF -- "$1" "$folder/out" || complain "$2: standard output lacks '$1'"
}

tells() { # tells TEXT CLAIM: the last run's standard error holds TEXT
    grep -qF -- "$1" "$folder/err" || complain "$2: standard error lacks '$1'"
}

is_quiet() { # is_quiet CLAIM: nothing on standard error
    [ ! -s "$folder/err" ] || complain "$1: standard error is not empty"
}

skip() { # skip REASON
    echo "skipped: $1"
    exit 77
}

finish() {
    exit $failed
}
