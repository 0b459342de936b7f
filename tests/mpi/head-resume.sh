#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A checkpoint of an identity head that is split over ranks goes on with any other number of them;
# a damaged or missing part is named.
: "${FACET_MPI_TESTS:?where test_head is}"
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0

run() { # run RANKS MODE
    mpiexec -n "$1" "$FACET_MPI_TESTS/test_head" "$2" "$folder" >"$folder/out" 2>&1
}

for saved in 1 3 4; do
    rm -rf "${folder:?}"/*
    run $saved save || {
        cat "$folder/out"
        exit 1
    }
    for ranks in 1 2 3 4; do
        run $ranks load || {
            echo "saved by $saved, not loaded by $ranks:"
            cat "$folder/out"
            failed=1
        }
    done
done

part=$folder/step_00000002/rank_0002.h5
printf x | dd of="$part" bs=1 seek=3000 conv=notrunc 2>/dev/null
run 2 load && failed=1
grep -q 'rank_0002.h5: damaged' "$folder/out" || {
    echo 'a damaged part is not named:'
    cat "$folder/out"
    failed=1
}
exit $failed
