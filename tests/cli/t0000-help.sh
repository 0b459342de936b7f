#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every command has help; wrong use is told with the nearest name and exit code 2.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

run
exits 2 'no arguments is wrong use'
tells 'usage: facet COMMAND' 'no arguments shows the usage'
run --help
exits 0 'help succeeds'
is_quiet 'help goes to standard output'
prints 'config ' 'help lists the commands'
run --version
exits 0 'version succeeds'
grep -qE '^facet [0-9]+\.[0-9]+\.[0-9]+$' "$folder/out" || complain 'version is one line'

commands=$("$facet" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ -n "$commands" ] || complain 'no commands listed'
for command in $commands; do
    run "$command" --help
    exits 0 "$command --help succeeds"
    prints "usage: facet $command" "$command --help shows its usage"
    is_quiet "$command --help goes to standard output"
    sed -n '3,/^$/p' "$folder/out" | awk 'length > 80 && !/^ / { exit 1 }' ||
        complain "$command --help: its paragraph is broken into lines"
    run "$command" --no-such-option
    exits 2 "$command refuses unknown options"
    tells 'no such option' "$command says that the option is unknown"
done

run confg
exits 2 'an unknown command is wrong use'
tells 'facet config' 'the nearest command is named'
OMPI_COMM_WORLD_RANK=1 run confg
exits 2 'wrong use on rank 1 is wrong use'
is_quiet 'rank 0 speaks for the job'
run config --chek
tells 'did you mean --check?' 'the nearest option is named'
finish
