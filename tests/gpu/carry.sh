#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What run.sh needs of a build, with the libraries that it loads, for a GPU machine that has no compiler
# for it and none of the libraries: at most 60 MiB. Prints the command to run there.
# usage: carry.sh BUILD FOLDER   (FOLDER: inside the source tree, where it travels with it)
set -eu
build=${1:?usage: carry.sh BUILD FOLDER}
folder=${2:?usage: carry.sh BUILD FOLDER}
source=$(cd "$(dirname "$0")/../.." && pwd)
most=60
programs='facet libfacet_cuda.so tests/op/test_op_backend tests/op/test_op_device tests/op/test_cuda_own
tests/interop/dump_steps tests/unit/test_device_losses tests/mpi/test_device tests/mpi/test_head_device
tests/gpu/test_core_memory tests/gpu/test_core_products tests/gpu/test_core_ranges tests/gpu/test_core_streams
tests/gpu/test_dnn_choices'
rm -rf "$folder/build" "$folder/packages.tar.gz"
mkdir -p "$folder/build"
folder=$(cd "$folder" && pwd)
for program in $programs; do
    if [ ! -f "$build/$program" ]; then
        echo "carry.sh: $build/$program is not built" >&2
        exit 1
    fi
    mkdir -p "$(dirname "$folder/build/$program")"
    strip -o "$folder/build/$program" "$build/$program"
done
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
sh "$source/tests/gpu/packages.sh" "$folder/build" "$unpacked" >/dev/null
tar cf - -C "$unpacked" usr | gzip -9 >"$folder/packages.tar.gz"
size=$(du -sm "$folder" | cut -f1)
if [ "$size" -gt "$most" ]; then
    echo "carry.sh: $folder weighs $size MiB, more than $most" >&2
    exit 1
fi
# The C library is the other machine's own.
newest=$(find "$folder/build" "$unpacked" -type f -exec objdump -T {} + 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
echo "$folder: $size MiB; runs where the C library is $newest or later. There, at the top of the source tree:"
echo "sh tests/gpu/run.sh --build ${folder#"$source"/}/build --out OUT"
