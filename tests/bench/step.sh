#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Training steps of ResNet-18 and -50, IResNet-18 and -50, facet against PyTorch: pictures per second, ratio, peak memory.
# usage: step.sh [BUILD_FOLDER [options of step.py]]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../../build}
[ $# -eq 0 ] || shift
cmake --build "$build" --target bench_step >/dev/null
exec "${PYTHON:-/usr/bin/python3}" "$here/step.py" "$build/tests/bench/bench_step" "$@"
