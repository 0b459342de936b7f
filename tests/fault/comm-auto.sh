#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# "auto" leaves MPI alone where no launcher started us, and warns when every process would be rank 0.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
for variable in $(env | sed -n 's/^\(OMPI_COMM[A-Z_]*\|PMI[A-Z_]*\|SLURM_[A-Z_]*\)=.*/\1/p'); do
    unset "$variable"
done

"$tool" save "$work/ckpt" 1 1 >"$work/out" 2>&1 || lose "plain start failed"
grep -q 'rank 0' "$work/out" && lose "a plain start warned: $(cat "$work/out")"
SLURM_STEP_NUM_TASKS=4 "$tool" load "$work/ckpt" >"$work/out" 2>&1
grep -q 'warning: every process is rank 0: SLURM_STEP_NUM_TASKS is 4' "$work/out" ||
    lose "no warning under a launcher without MPI"
SLURM_NTASKS=4 SLURM_PROCID=0 "$tool" load "$work/ckpt" >"$work/out" 2>&1
grep -q warning "$work/out" && lose "a batch script, which is one process, was warned"
FACET_FAULT=nonsense "$tool" load "$work/ckpt" >"$work/out" 2>&1
grep -q "warning: FACET_FAULT=nonsense: not site:nth" "$work/out" || lose "a fault that makes no sense was not told"
if command -v strace >/dev/null && [ "${FACET_SANITIZED:-0}" = 0 ] &&
    strace -f -o "$work/trace" -e trace=socket,openat "$tool" load "$work/ckpt" >/dev/null 2>&1; then
    grep -q 'openmpi-mca-params\|socket(' "$work/trace" && lose "a plain start starts MPI"
fi
[ "$lost" = 0 ]
