#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack killed, or refused by the disk, at every single call that changes it: a clear error, and the same
# command run again ends with the bytes of a run that was never disturbed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
[ "${FACET_SANITIZED:-0}" = 0 ] || skip 'the leak check cannot run under strace'
strace -f -o /dev/null true 2>/dev/null || skip 'strace is not here or may not trace'
/usr/bin/python3 "$here/pack_draw.py" "$folder/in" 8 || exit 2
printf 'broken' >"$folder/in/sad/0003.jpg"

pack() { # pack TARGET [COMMAND...]: under that command
    target=$1
    shift
    "$@" "$facet" pack "$folder/in" -o "$target" --size 32 --split val=0.3 --shard-size 9 --quiet --threads 2 \
        >"$folder/out" 2>"$folder/err"
}

points=0
check_point() { # check_point WHAT: goes on and compares
    points=$((points + 1))
    pack "$folder/set" || complain "going on after $1"
    diff -r "$folder/golden" "$folder/set" >/dev/null || complain "other bytes after $1"
    rm -rf "$folder/set"
}

pack "$folder/golden" || complain 'the run that is not disturbed'
for call in pwrite64 rename unlink fsync ftruncate; do
    n=1
    while [ $n -lt 200 ]; do
        pack "$folder/set" strace -f -o /dev/null -e trace=$call -e "inject=$call:signal=SIGKILL:when=$n" && break
        check_point "kill -9 at $call $n"
        n=$((n + 1))
    done
    rm -rf "$folder/set"
done
killed=$points
for fault in pwrite64:ENOSPC pwrite64:EIO fsync:EIO rename:EACCES; do
    call=${fault%:*} n=1
    while [ $n -lt 200 ]; do
        pack "$folder/set" strace -f -o /dev/null -e "trace=$call" -e "inject=$call:error=${fault#*:}:when=$n"
        code=$?
        [ $code = 0 ] && break
        exits 1 "$fault at $call $n"
        tells 'facet: error: ' "$fault at $call $n is told"
        if [ -e "$folder/set/val.h5" ]; then # named last: only what follows it may have failed
            diff -r -x '*.tmp' "$folder/golden" "$folder/set" >/dev/null ||
                complain "$fault at $call $n: val looks finished and is not"
        fi
        check_point "$fault at $call $n"
        n=$((n + 1))
    done
    rm -rf "$folder/set"
done
if [ $killed -le 60 ] || [ $points -le $((killed + 60)) ]; then
    complain "only $points points, $killed of them kills"
fi
finish
