#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A checkpoint of an identity head that CPUs wrote goes on on devices, and back.
: "${FACET_MPI_TESTS:?where test_head_device is}"
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
failed=0

run() { # run RANKS MODE WHERE
    mpiexec -n "$1" "$FACET_MPI_TESTS/test_head_device" "$2" "$folder" "$3" >"$folder/out" 2>&1
}

try() { # try SAVING-RANKS WHERE LOADING-RANKS WHERE
    rm -rf "${folder:?}"/*
    if run "$1" save "$2" && run "$3" load "$4"; then
        return
    fi
    echo "saved by $1 on $2, not loaded by $3 on $4:"
    cat "$folder/out"
    failed=1
}

try 3 cpu 2 device
try 2 device 3 cpu
try 1 device 4 device
exit $failed
