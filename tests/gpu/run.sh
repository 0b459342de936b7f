#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that only a GPU can tell, the most important first; a line for each, the figures at the end.
# usage: run.sh [options] [PART ...]
#   --build DIR       a build folder: made there when it is missing (needs what README.md names), or
#                     carried here from another machine by carry.sh (default: build-gpu)
#   --packages PATH   what packages.sh unpacked, or a tar of it, where Open MPI, HDF5, oneDNN .. are
#                     not installed (default: what carry.sh put beside --build)
#   --out DIR         report.txt and logs.tar.gz (default: DIR of --build/gpu)
#   --limit SECONDS   for all parts together; what does not fit is left out and named (default 540)
#   --quick           small shapes and few steps: whether this script itself works
# PART, or PART+PART side by side where there are 8 cores; expected seconds on an H100 with 16 cores, all 9 minutes:
#   device 5             card, driver, where the libraries were found
#   ops 80               every operation against the plain loops, in four precisions
#   tests 20             the backend's own test programs
#   prepare 80           pictures for the benchmarks, PyTorch's compilations
#   parity 50            a step against PyTorch
#   curve 70             300 steps against the CPU's curve
#   bench 80             resnet50 at 224 in bf16, beside PyTorch
#   norm 50              batch norm by own kernels and by cuDNN's
#   checkpoint 60        CPU to GPU and back
#   repeat 40            the same bits twice
#   ranks 40             two ranks on one card
#   more 90              the other networks' benchmarks
#   sanitizer 100        compute-sanitizer, for what is left of the time
# (default: device ops+tests+prepare parity+curve bench norm checkpoint+repeat+ranks more sanitizer)
# Exit code: 0 all passed, 1 something failed, 2 wrong use, 3 something was left out, 77 there is no GPU.
set -u
source=$(cd "$(dirname "$0")/../.." && pwd)
build=build-gpu packages='' out='' quick=0 parts='' limit=540
usage() {
    sed -n '3,28s/^# //p' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --build | --packages | --out | --limit)
        [ $# -ge 2 ] || usage
        case $1 in
        --build) build=$2 ;;
        --packages) packages=$2 ;;
        --out) out=$2 ;;
        --limit) limit=$2 ;;
        esac
        shift
        ;;
    --quick) quick=1 ;;
    -*) usage ;;
    *) parts="$parts $1" ;;
    esac
    shift
done
known='device ops tests prepare parity curve bench norm checkpoint repeat ranks more sanitizer'
parts=${parts:-device ops+tests+prepare parity+curve bench norm checkpoint+repeat+ranks more sanitizer}
for part in $(echo "$parts" | tr + ' '); do
    case " $known " in
    *" $part "*) ;;
    *)
        echo "run.sh: no part $part; there are: $known" >&2
        exit 2
        ;;
    esac
done
case $limit in
'' | *[!0-9]*)
    echo "run.sh: --limit $limit: a number of seconds" >&2
    exit 2
    ;;
esac
if [ -z "${FACET_CUDA_LIBRARY:-}" ] && ! nvidia-smi -L >/dev/null 2>&1; then
    echo "skipped: there is no NVIDIA GPU here (nvidia-smi finds none)"
    exit 77
fi
end=$(($(date +%s) + limit))
python=${PYTHON:-python3}
if [ ! -x "$build/facet" ]; then
    mkdir -p "$build"
    if ! { cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFACET_CUDA=ON \
        -DFACET_CUDA_ARCHITECTURES=native && cmake --build "$build" --parallel; } >"$build/build.log" 2>&1; then
        tail -30 "$build/build.log"
        exit 1
    fi
fi
build=$(cd "$build" && pwd)
mkdir -p "${out:=$build/gpu}"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
mkdir "$work/logs"
# Also when this is stopped: what was found by then.
trap 'tar czf "$out/logs.tar.gz" -C "$work" logs; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
report=$out/report.txt
: >"$report"
say() { echo "$*" | tee -a "$report"; }

export FACET_CUDA_LIBRARY="${FACET_CUDA_LIBRARY:-$build/libfacet_cuda.so}"
[ -n "$packages" ] || for packages in "$build/../packages" "$build/../packages.tar.gz" ''; do
    [ ! -e "$packages" ] || break
done
if [ -f "$packages" ]; then
    mkdir "$work/packages"
    tar xf "$packages" -C "$work/packages" || exit 2
    packages=$work/packages
fi
# shellcheck source=programs.sh
. "$source/tests/gpu/programs.sh"
fct_programs "$build" "$packages" "$work/programs" || exit 2
programs=$work/programs
export FACET="$programs/facet" FACET_BUILD="$programs" FACET_SOURCE="$source" FACET_GPU_OUT="$work" FACET_GPU_QUICK=$quick
export PATH="$programs/bin:$PATH"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl=self,vader OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_base_warn_component_unused=0
# One machine: no ranks are started over ssh, which may be missing.
export OMPI_MCA_plm_rsh_agent=/bin/true
# Plans and compilations are this run's own.
export PYTHONUNBUFFERED=1 XDG_CACHE_HOME="$work/cache" TORCHINDUCTOR_CACHE_DIR="$work/inductor"
[ "$(nproc)" -ge 8 ] && wide=1 || wide=0

# Runs beside what follows until `wait`, where there are cores for it.
beside() {
    if [ "$wide" = 1 ]; then
        "$@" &
    else
        "$@"
    fi
}

result() { # result WORD NAME TEXT: in the list that the end reads, and told
    echo "$1 $2" >>"$work/results"
    say "$(printf '%-8s %s' "$1" "$2") $3"
}

try() { # try NAME SECONDS COMMAND...: its output goes to NAME.log
    name=$1 most=$2 late=FAILED
    shift 2
    start=$(date +%s)
    [ $((end - start)) -ge "$most" ] || { most=$((end - start)) && late=left-out; }
    if [ "$most" -lt 8 ]; then
        result left-out "$name" "(no time)"
        return
    fi
    timeout -k 5 "$most" "$@" >"$work/logs/$name.log" 2>&1
    code=$?
    spent="($(($(date +%s) - start)) s)"
    case $code in
    0) result passed "$name" "$spent" ;;
    77) result skipped "$name" "$(tail -1 "$work/logs/$name.log")" ;;
    124 | 137) result $late "$name" "not done after $most s
$(tail -5 "$work/logs/$name.log" | sed 's/^/    /')" ;;
    *) result FAILED "$name" "exit $code $spent
$(grep -v '^$' "$work/logs/$name.log" | tail -12 | cut -c1-400 | sed 's/^/    /')" ;;
    esac
}

op() { # op NAME OPTIONS... LIST
    name=$1
    shift
    try "$name" 200 "$programs/tests/op/test_op_backend" --backend cuda "$@"
}

part_device() {
    if command -v nvidia-smi >/dev/null; then
        try device 30 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem --format=csv,noheader
        say "    $(cat "$work/logs/device.log")"
    else
        result skipped device "there is no nvidia-smi: a stand-in is asked"
    fi
    say "    $("$FACET" --version 2>&1 | tr '\n' ' ')"
    [ -z "$fct_found" ] || say "    libraries from$fct_found"
}

part_ops() {
    lists='cuda resnet18 resnet50 iresnet50'
    [ "$quick" = 0 ] || lists=cuda_bn
    for precision in bf16 f32 tf32 fp16; do
        [ "$precision" = fp16 ] && scale=1024 || scale=1
        for list in $lists; do
            beside op "ops-$precision-$list" --precision "$precision" --loss-scale "$scale" \
                "$source/tests/op/shapes_$list.txt"
        done
    done
    wait
}

part_tests() {
    for test in gpu/test_core_memory gpu/test_core_products gpu/test_core_ranges gpu/test_core_streams \
        gpu/test_dnn_choices unit/test_device_losses op/test_op_device op/test_cuda_own; do
        beside try "${test#*/}" 60 "$programs/tests/$test"
    done
    for test in test_device test_head_device; do
        beside try "$test" 60 mpirun -n 1 "$programs/tests/mpi/$test"
    done
    wait
}

part_parity() {
    precisions='bf16 f32 tf32 fp16'
    [ "$quick" = 0 ] || precisions='bf16 f32'
    for precision in $precisions; do
        beside try "parity-$precision" 150 "$python" "$source/tests/gpu/parity.py" "$precision"
    done
    wait
}

part_norm() {
    for kernels in own cudnn; do
        for precision in bf16 f32; do
            beside try "ops-$precision-norm-$kernels" 60 env FACET_CUDA_BN=$kernels "$programs/tests/op/test_op_backend" \
                --backend cuda --precision "$precision" "$source/tests/op/shapes_cuda_bn.txt"
        done
    done
    wait
    [ "$quick" = 1 ] || try norm 120 "$python" "$source/tests/gpu/bench.py" norm
}

part_sanitizer() {
    if ! command -v compute-sanitizer >/dev/null; then
        result skipped sanitizer "there is no compute-sanitizer"
        return
    fi
    for tool in memcheck racecheck; do
        for list in cuda_bn cuda; do
            beside try "sanitizer-$tool-$list" 200 compute-sanitizer --tool $tool --target-processes all --error-exitcode 3 \
                "$programs/tests/op/test_op_backend" --backend cuda --precision bf16 "$source/tests/op/shapes_$list.txt"
        done
    done
    wait
}

part_prepare() { try prepare 200 "$python" "$source/tests/gpu/bench.py" prepare; }
part_bench() { try bench 200 "$python" "$source/tests/gpu/bench.py" resnet50-224-bf16; }
part_more() { try more 300 "$python" "$source/tests/gpu/bench.py" others; }
part_curve() { try curve 200 "$python" "$source/tests/gpu/train.py" curve; }
part_checkpoint() { try checkpoint 150 "$python" "$source/tests/gpu/train.py" checkpoint; }
part_repeat() { try repeat 150 "$python" "$source/tests/gpu/train.py" repeat; }
part_ranks() { try ranks 150 "$python" "$source/tests/gpu/train.py" ranks; }

: >"$work/results"
for group in $parts; do
    for part in $(echo "$group" | tr + ' '); do
        beside "part_$part"
    done
    wait
done

say ''
say "figures"
for name in parity-bf16 parity-f32 parity-tf32 parity-fp16 curve checkpoint repeat ranks bench norm more; do
    [ ! -s "$work/logs/$name.log" ] || sed "s/^/    /" "$work/logs/$name.log" | tail -12 | cut -c1-200 | tee -a "$report"
done
say "$(awk '{ n[$1]++ } END { printf "%d passed, %d failed, %d skipped, %d left out", n["passed"], n["FAILED"], n["skipped"],
    n["left-out"] }' "$work/results"), $((limit - end + $(date +%s))) s; $report"
for word in FAILED left-out skipped; do
    names=$(awk -v word=$word '$1 == word { printf " %s", $2 }' "$work/results")
    [ -z "$names" ] || say "$word:$names"
done
! grep -q '^FAILED' "$work/results" || exit 1
! grep -q '^left-out' "$work/results" || exit 3
