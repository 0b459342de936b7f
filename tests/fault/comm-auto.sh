#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# "auto" leaves MPI alone where no launcher started us; where every process would be rank 0 it is an error.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
for variable in $(env | sed -n 's/^\(OMPI_COMM[A-Z_]*\|PMI[A-Z_]*\|SLURM_[A-Z_]*\)=.*/\1/p'); do
    unset "$variable"
done

"$tool" save "$work/ckpt" 1 1 >"$work/out" 2>&1 || lose "plain start failed"
grep -q 'rank 0' "$work/out" && lose "a plain start warned: $(cat "$work/out")"
# The launcher started many, MPI sees one: nothing runs, rank 0 alone says why.
# alone VARIABLE=4 RANK_VARIABLE WORD: as this launcher's rank 0 and as its rank 1.
alone() {
    env "$1" "$2=0" "$tool" load "$work/ckpt" >"$work/out" 2>&1 && lose "$1: went on"
    for command in "train data.path=$work/none" "eval $work/ckpt $work/none" "pack $work -o $work/packed"; do
        # shellcheck disable=SC2086
        env "$1" "$2=0" "$FACET" $command >"$work/out" 2>&1
        code=$?
        [ "$code" = 1 ] || lose "$1: facet $command: exit code $code"
        [ "$(grep -c 'facet: error: every process is rank 0' "$work/out")" = 1 ] || lose "$1: facet $command: not told"
        grep -q "hint: .*$3.*unset ${1%=*}" "$work/out" || lose "$1: facet $command: $(cat "$work/out")"
    done
    env "$1" "$2=1" "$FACET" train data.path="$work/none" >"$work/out" 2>&1 && lose "$1: rank 1 went on"
    [ -s "$work/out" ] && lose "$1: rank 1 speaks too: $(cat "$work/out")"
}
alone SLURM_STEP_NUM_TASKS=4 SLURM_PROCID 'srun --mpi=pmix'
alone PMI_SIZE=4 PMI_RANK 'the MPI that facet was built with'
alone OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK 'the MPI that facet was built with'
SLURM_STEP_NUM_TASKS=4 "$FACET" train data.path="$work/none" cluster.comm=self >"$work/out" 2>&1
grep -q 'rank 0' "$work/out" && lose "cluster.comm=self was refused: $(cat "$work/out")"
SLURM_STEP_NUM_TASKS=1 "$tool" load "$work/ckpt" >"$work/out" 2>&1 || lose "a step of one task was refused"
SLURM_NTASKS=4 SLURM_PROCID=0 "$tool" load "$work/ckpt" >"$work/out" 2>&1
grep -q 'rank 0' "$work/out" && lose "a batch script, which is one process, was refused"
FACET_FAULT=nonsense "$tool" load "$work/ckpt" >"$work/out" 2>&1
grep -q "warning: FACET_FAULT=nonsense: not site:nth" "$work/out" || lose "a fault that makes no sense was not told"
if command -v strace >/dev/null && [ "${FACET_SANITIZED:-0}" = 0 ] &&
    strace -f -o "$work/trace" -e trace=socket,openat "$tool" load "$work/ckpt" >/dev/null 2>&1; then
    grep -q 'openmpi-mca-params\|socket(' "$work/trace" && lose "a plain start starts MPI"
fi
[ "$lost" = 0 ]
