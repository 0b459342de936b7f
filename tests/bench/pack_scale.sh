#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack on 10,000, 100,000 and 1,000,000 small pictures in one folder: peak memory of each rank, pictures a second,
# and how long a second run needs to see that all is there (finished set), or what an interrupted run left.
# usage: FACET=build/facet [OTHER=an/older/facet] tests/bench/pack_scale.sh [FOLDER] [COUNTS]; 8 GB for a million.
facet=${FACET:?the program}
here=$(dirname "$0")
folder=$(mktemp -d "${1:-/tmp}/pack-scale-XXXXXX") || exit 2
trap 'rm -rf "$folder"' EXIT
counts=${2:-10000 100000 1000000}

# told WHAT COMMAND...: one line a process
told() {
    what=$1
    shift
    /usr/bin/time -a -o "$folder/told" -f "$what: %e s, processor %U + %S s, peak %M KiB" "$@" >/dev/null
}

# packed PROGRAM RANKS WHAT
packed() {
    program=$1 ranks=$2 what=$3
    set -- "$program" pack "$folder/in" -o "$folder/out" --size 32 --format flat --shard-size 16384 --threads 1 --quiet
    if [ "$ranks" = 1 ]; then
        told "$what" "$@"
    else
        # shellcheck disable=SC2016 # expanded by each rank
        mpirun -n "$ranks" sh -c 'what=$1 told=$2; shift 2
            what="$what, rank $OMPI_COMM_WORLD_RANK"
            exec /usr/bin/time -a -o "$told" -f "$what: %e s, processor %U + %S s, peak %M KiB" "$@"' \
            sh "$what" "$folder/told" "$@" >/dev/null
    fi
    cat "$folder/told"
    rm "$folder/told"
}

for n in $counts; do
    /usr/bin/python3 "$here/many_pictures.py" "$folder/in" "$n"
    for program in ${OTHER:+"$OTHER"} "$facet"; do
        for ranks in 1 2; do
            rm -rf "$folder/out"
            packed "$program" "$ranks" "$n pictures, $program, $ranks rank(s)"
            packed "$program" "$ranks" "$n pictures, $program, $ranks rank(s), again"
        done
    done
    # All shards but one are there: killed just before the last.
    rm -rf "$folder/out"
    "$facet" pack "$folder/in" -o "$folder/out" --size 32 --format flat --shard-size 16384 --threads 1 --quiet \
        >/dev/null 2>&1 &
    wanted=$(((n + 16383) / 16384 - 1))
    while kill -0 $! 2>/dev/null && [ "$(find "$folder/out" -name '*.done.tmp' 2>/dev/null | wc -l)" -lt $wanted ]; do
        sleep 0.05
    done
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    packed "$facet" 1 "$n pictures, going on with the last of $((wanted + 1)) shards"
    rm -rf "$folder/in" "$folder/out"
done
