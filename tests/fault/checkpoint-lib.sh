# SPDX-License-Identifier: Apache-2.0
# What the checkpoint fault tests share. Needs CHECKPOINT_TOOL.
# shellcheck shell=sh
tool=${CHECKPOINT_TOOL:?the program checkpoint_tool}
work=$(mktemp -d "${TMPDIR:-/tmp}/facet-fault-XXXXXX")
trap 'rm -rf "$work"' EXIT
injected=0 survived=0 lost=0

skip() {
    echo "skipped: $*"
    exit 77
}

need_strace() {
    command -v strace >/dev/null || skip "no strace"
    strace -f -o /dev/null -e trace=close true 2>/dev/null || skip "strace may not trace here"
    [ "${FACET_SANITIZED:-0}" = 0 ] || skip "the leak checker cannot run under strace"
}

# A folder in which steps 0 and 1 are saved, so that saving 2 throws 0 away: made once, copied for every point.
new_folder() {
    [ -d "$work/first" ] || "$tool" save "$work/first" 0 1 >/dev/null || exit 1
    rm -rf "$work/ckpt"
    cp -r "$work/first" "$work/ckpt"
}

# traced STRACE_OPTIONS...: saves step 2 under strace. strace counts calls by thread, so the save is
# made to do without its thread: the same code then runs in the main one.
traced() {
    FACET_FAULT=checkpoint.thread:1 strace -f "$@" "$tool" save "$work/ckpt" 2 2 >"$work/out" 2>&1
}

# points CALL: numbers, counted over the process, of this system call in a save; not the dynamic linker's.
points() {
    new_folder
    traced -o "$work/trace" -e trace=all || exit 1
    last=$(grep -c " $1(" "$work/trace")
    before=$(sed '/ckpt/,$d' "$work/trace" | grep -c " $1(")
    seq $((before + 1)) "$last"
}

# After a fault: step 1 or 2 loads whole, 2 if it was acknowledged; and the next save works, with nothing
# of the broken one left.
check() {
    injected=$((injected + 1))
    step=$("$tool" load "$work/ckpt" 2>"$work/load.err") || step=none
    acknowledged=$(grep -c 'saved 2' "$work/out" || true)
    case $step-$acknowledged in
    1-0 | 2-*) survived=$((survived + 1)) ;;
    *) lose "$1: step $step loads, acknowledged $acknowledged: $(cat "$work/load.err")" ;;
    esac
    "$tool" save "$work/ckpt" 3 3 >/dev/null
    [ "$("$tool" load "$work/ckpt")" = 3 ] || lose "$1: the save after it failed"
    left=$(find "$work/ckpt" -name '*.tmp' -o -name '*.note*')
    [ -z "$left" ] || lose "$1: left over: $left"
}

lose() {
    lost=$((lost + 1))
    echo "LOST: $1"
}

report() {
    echo "injected $injected, survived $survived, lost $lost"
    [ "$lost" = 0 ] && [ "$injected" -gt 20 ]
}
