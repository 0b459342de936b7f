#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 at every system call of a save that changes files or opens them: there is always a whole checkpoint.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
need_strace

for call in openat write fsync rename mkdir unlink rmdir; do
    for i in $(points "$call"); do
        new_folder
        traced -o /dev/null -e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$i"
        check "kill at $call number $i"
    done
done
report
