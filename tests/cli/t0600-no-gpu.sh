#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cluster.backend=cuda where it cannot be had ends with one line that says why, and a hint.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "$FACET_CUDA_LIBRARY" ] || skip 'built without the cuda backend'

run synth -o "$folder/set" --expression 16 --identities 1 --per-identity 1 --size 32 --quiet
exits 0 'a small set is drawn'
run pack "$folder/set/expression" -o "$folder/packed" --size 32 --split val=0.25 --quiet
exits 0 'and packed'

train() {
    run train "data.path=$folder/packed" "run.dir=$folder/run" cluster.backend=cuda train.epochs=1
    case $code in
    1 | 2) ;;
    *) complain "it fails: exit code $code" ;;
    esac
    [ "$(grep -c 'error:' "$folder/err")" = 1 ] || complain 'there is one line of error'
}

export FACET_STANDIN_GPUS FACET_STANDIN_SM
FACET_STANDIN_GPUS=-1 # there is no driver
train
tells "no NVIDIA driver on $(uname -n)" 'the host without a driver is named'
tells 'hint: ' 'what to do is said'

FACET_STANDIN_GPUS=0
train
tells 'this process sees no GPU' 'a driver without a device is told'

FACET_STANDIN_GPUS=1 FACET_STANDIN_SM=75
train
tells 'compute capability 7.5; 8.0 (A100) is the least' 'a device that is too old is refused'

FACET_CUDA_LIBRARY=/nowhere/libfacet_cuda.so
train
tells 'the cuda backend cannot be loaded: /nowhere/libfacet_cuda.so' 'a library that is not there is named'
finish
