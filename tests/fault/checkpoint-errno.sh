#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every system call of a save that can fail does so once: either the save goes on, or it says what failed, and
# there is always a whole checkpoint.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
need_strace

for fault in openat:EMFILE write:ENOSPC write:EDQUOT write:EINTR fsync:EIO rename:EIO mkdir:EROFS; do
    call=${fault%:*} reason=${fault#*:}
    for i in $(points "$call"); do
        new_folder
        traced -o /dev/null -e "trace=$call" -e "inject=$call:error=$reason:when=$i"
        rc=$?
        [ $rc -le 1 ] || lose "$call number $i $reason: exit code $rc"
        if [ $rc = 1 ] && ! grep -q 'facet: error: .*/' "$work/out"; then
            lose "$call number $i $reason: no file is named: $(cat "$work/out")"
        fi
        check "$reason at $call number $i"
    done
done
report
