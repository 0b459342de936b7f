#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cuda backend for the host finds all it calls: NVIDIA's functions in the library itself, the
# rest in the program or in libraries.
library=${FACET_BUILD:?the build directory}/tests/standin/libfacet_cuda.so
missing=$(nm -D --undefined-only "$library" | awk '$NF ~ /^(cu|nccl)/ { print $NF }')
[ -z "$missing" ] || {
    echo "$library: nothing stands in for"
    echo "$missing"
    exit 1
}
program=${FACET:?the program}
nm -D --defined-only "$program" | awk '{ print $NF }' | sort >"${TMPDIR:-/tmp}/standin-program.$$"
missing=$(nm -D --undefined-only "$library" | awk '$NF ~ /^fct_/ { print $NF }' | sort |
    comm -23 - "${TMPDIR:-/tmp}/standin-program.$$")
rm "${TMPDIR:-/tmp}/standin-program.$$"
[ -z "$missing" ] || {
    echo "$library: the program does not have"
    echo "$missing"
    exit 1
}
