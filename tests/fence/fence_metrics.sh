#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every column of metrics.csv and steps.csv is defined in docs/metrics.md.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
writer=src/train/metrics_csv.c

columns=$(grep -oE '"[a-z0-9_]+,[a-z0-9_,]*(\\n)?"' $writer | sed 's/\\n//' | tr ',"' '\n' | grep . | sort -u)
[ -n "$columns" ] || complain "no columns found in $writer"
for column in $columns; do
    grep -q "\`$column\`" docs/metrics.md || complain "docs/metrics.md does not define $column"
done
exit "$bad"
