#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A disk without room: the save is refused before it begins, in figures, and the old checkpoint loads.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
if [ "${1:-}" != inside ]; then
    unshare -m true 2>/dev/null || skip "no right to mount a small tmpfs"
    exec unshare -m sh "$0" inside
fi
mkdir "$work/disk"
mount -t tmpfs -o size=1300k tmpfs "$work/disk" 2>/dev/null || skip "no right to mount a small tmpfs"
trap 'umount "$work/disk"; rm -rf "$work"' EXIT

"$tool" save "$work/disk/ckpt" 1 1 >/dev/null || exit 1
if "$tool" save "$work/disk/ckpt" 2 2 >"$work/out" 2>&1; then
    lose "a save on a full disk succeeded"
fi
grep -q 'a checkpoint needs .*MiB, only .*free' "$work/out" || lose "$(cat "$work/out")"
grep -q 'hint: make room' "$work/out" || lose "no hint: $(cat "$work/out")"
[ "$("$tool" load "$work/disk/ckpt")" = 1 ] || lose "step 1 does not load"
[ -z "$(find "$work/disk" -name '*.tmp')" ] || lose "something is left over"
[ "$lost" = 0 ]
