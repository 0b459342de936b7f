#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 at every system call of a save that touches files: there is always a whole checkpoint.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
need_strace

for call in openat write fsync close rename renameat2 mkdir unlink unlinkat rmdir; do
    range=$(points $call)
    for i in $(seq $range); do
        new_folder
        traced -o /dev/null -e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$i"
        check "kill at $call number $i"
    done
done
report
