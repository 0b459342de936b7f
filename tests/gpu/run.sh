#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that only a GPU can tell, one after the other; a line for each, the figures at the end.
# usage: run.sh [options] [PART ...]
#   --build DIR       a build folder: made there when it is missing (needs what README.md names), or
#                     carried here from another machine (default: build-gpu)
#   --packages PATH   what tests/gpu/packages.sh unpacked, or a tar of it, where Open MPI, HDF5, oneDNN ..
#                     are not installed
#   --out DIR         logs and figures (default: DIR of --build/gpu)
#   --quick           small shapes and few steps: whether this script itself works
# PART: device ops sanitizer parity curve checkpoint repeat ranks bench (default: all, in this order)
# Exit code: 0 all passed, 1 something failed, 2 wrong use, 77 there is no GPU.
set -u
source=$(cd "$(dirname "$0")/../.." && pwd)
build=build-gpu packages='' out='' quick=0 parts=''
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?--build DIR} && shift ;;
    --packages) packages=${2:?--packages PATH} && shift ;;
    --out) out=${2:?--out DIR} && shift ;;
    --quick) quick=1 ;;
    -*)
        sed -n '3,16s/^# //p' "$0" >&2
        exit 2
        ;;
    *) parts="$parts $1" ;;
    esac
    shift
done
parts=${parts:-device ops sanitizer parity curve checkpoint repeat ranks bench}
python=${PYTHON:-python3}

if [ -z "${FACET_CUDA_LIBRARY:-}" ] && ! nvidia-smi -L >/dev/null 2>&1; then
    echo "skipped: there is no NVIDIA GPU here (nvidia-smi finds none)"
    exit 77
fi
if [ -n "$packages" ]; then
    if [ -f "$packages" ]; then
        unpacked=$(mktemp -d)
        tar xf "$packages" -C "$unpacked" || exit 2
        packages=$(dirname "$(dirname "$(find "$unpacked" -path '*/usr/bin/orterun' | head -1)")")/..
    fi
    packages=$(cd "$packages" && pwd)
    lib=$packages/usr/lib/x86_64-linux-gnu
    export LD_LIBRARY_PATH="$lib:$lib/openmpi/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" OPAL_PREFIX="$packages/usr"
    export OPAL_LIBDIR="$lib/openmpi/lib" PMIX_MCA_pmix_pcompress_base_silence_warning=1 PATH="$packages/usr/bin:$PATH"
    export OMPI_MCA_mca_base_component_path="$lib/openmpi/lib/openmpi3" PMIX_MCA_mca_base_component_path="$lib/pmix2/lib/pmix"
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl=self,vader OMPI_MCA_hwloc_base_binding_policy=none
if [ ! -x "$build/facet" ]; then
    mkdir -p "$build"
    if ! { cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFACET_CUDA=ON \
        -DFACET_CUDA_ARCHITECTURES=native && cmake --build "$build" --parallel; } >"$build/build.log" 2>&1; then
        tail -30 "$build/build.log"
        exit 1
    fi
fi
build=$(cd "$build" && pwd)
out=${out:-$build/gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export FACET="$build/facet" FACET_BUILD="$build" FACET_SOURCE="$source" FACET_GPU_OUT="$out" FACET_GPU_QUICK=$quick
export PYTHONUNBUFFERED=1

failed='' skipped=''
try() { # try NAME SECONDS COMMAND...: its output goes to OUT/NAME.log
    name=$1 limit=$2
    shift 2
    start=$(date +%s)
    timeout -k 10 "$limit" "$@" >"$out/$name.log" 2>&1
    code=$?
    spent=$(($(date +%s) - start))
    case $code in
    0) echo "passed   $name (${spent} s)" ;;
    77)
        echo "skipped  $name: $(tail -1 "$out/$name.log")"
        skipped="$skipped $name"
        ;;
    *)
        echo "FAILED   $name (exit $code after ${spent} s), $out/$name.log:"
        tail -15 "$out/$name.log" | sed 's/^/    /'
        failed="$failed $name"
        ;;
    esac
}

shapes() { # the lists of layers to test
    if [ "$quick" = 1 ]; then
        echo "$source/tests/op/shapes_cuda.txt"
    else
        echo "$source/tests/op/shapes_cuda.txt $source/tests/op/shapes_resnet18.txt"
        echo "$source/tests/op/shapes_resnet50.txt $source/tests/op/shapes_iresnet50.txt"
    fi
}

part_device() {
    try device 60 nvidia-smi
    sed 's/^/    /' "$out/device.log" | head -16
    "$FACET" --version
}

part_ops() {
    for precision in f32 tf32 bf16 fp16; do
        # shellcheck disable=SC2046 # a list of files
        try "ops-$precision" 300 "$build/tests/op/test_op_backend" --backend cuda --precision "$precision" $(shapes)
    done
}

part_sanitizer() {
    if ! command -v compute-sanitizer >/dev/null; then
        echo "skipped  sanitizer: there is no compute-sanitizer"
        skipped="$skipped sanitizer"
        return
    fi
    for tool in memcheck racecheck; do
        try "sanitizer-$tool" 300 compute-sanitizer --tool "$tool" --error-exitcode 3 \
            "$build/tests/op/test_op_backend" --backend cuda --precision bf16 "$source/tests/op/shapes_cuda.txt"
    done
}

part_parity() {
    for precision in f32 tf32 bf16; do
        try "parity-$precision" 240 "$python" "$source/tests/gpu/parity.py" "$precision"
    done
}

part_curve() { try curve 400 "$python" "$source/tests/gpu/train.py" curve; }
part_checkpoint() { try checkpoint 240 "$python" "$source/tests/gpu/train.py" checkpoint; }
part_repeat() { try repeat 240 "$python" "$source/tests/gpu/train.py" repeat; }
part_ranks() { try ranks 240 "$python" "$source/tests/gpu/train.py" ranks; }

part_bench() {
    try bench 580 "$python" "$source/tests/gpu/bench.py"
    cat "$out/bench.log"
}

for part in $parts; do
    case $part in
    device | ops | sanitizer | parity | curve | checkpoint | repeat | ranks | bench) "part_$part" ;;
    *)
        echo "run.sh: no part $part" >&2
        exit 2
        ;;
    esac
done
[ -z "$skipped" ] || echo "skipped:$skipped"
if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
echo "all passed: $parts"
