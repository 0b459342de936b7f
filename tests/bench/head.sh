#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory and time of a step of the identity head, replicated, split over ranks, and with a tenth of
# the classes sampled; what would take more than MIB MiB in all ranks together is only computed.
# usage: head.sh BUILD_FOLDER [MIB]
set -eu
build=${1:?usage: head.sh BUILD_FOLDER [MIB]}
most=${2:-8000}
bench=$build/tests/mpi/bench_head
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_WAIT_POLICY=passive

run() { # run RANKS KIND CLASSES STEPS [plan]
    ranks=$1
    shift
    mpirun --oversubscribe --bind-to none --mca btl vader,self -n "$ranks" "$bench" "$@"
}

for classes in 10000 100000 1000000; do
    for kind in replicated sharded 0.1; do
        for ranks in 1 2 4; do
            line=$(run $ranks $kind $classes 1 plan)
            mib=$(echo "$line" | sed 's/.*: *\([0-9]*\) MiB a rank.*/\1/')
            if [ $((mib * ranks)) -gt "$most" ]; then
                echo "$line (computed)"
            else
                run $ranks $kind $classes $((classes < 1000000 ? 7 : 3))
            fi
        done
    done
done
