#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing for shellcheck to say about any shell script.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
need shellcheck

scripts=$(sources '*.sh' '*.sbatch')
for file in quickstart .ci/run slurm/sandbox/up slurm/sandbox/down slurm/sandbox/node; do
    [ ! -f "$file" ] || scripts="$scripts $file"
done
for file in $scripts; do
    shell="sh"
    head -n 1 "$file" | grep -q bash && shell=bash
    shellcheck --shell=$shell --external-sources --source-path=SCRIPTDIR "$file" || bad=1
done
exit "$bad"
