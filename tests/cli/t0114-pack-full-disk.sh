#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack on a full disk: a clear error, nothing that looks finished, and with room it goes on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
[ "$(id -u)" = 0 ] || skip 'only root may mount a small disk'
mkdir "$folder/disk"
mount -t tmpfs -o size=600k none "$folder/disk" 2>/dev/null || skip 'tmpfs cannot be mounted here'
trap 'umount "$folder/disk"; rm -rf "$folder"' EXIT
/usr/bin/python3 "$here/pack_draw.py" "$folder/in" 60 || exit 2

run pack "$folder/in" -o "$folder/disk/set" --size 64 --quiet
exits 1 'raw shards that cannot fit are refused'
tells 'the shards need' 'before a byte is written, with both sizes'

# JPEG sizes are not known beforehand: every size of the disk meets the end of room elsewhere.
stopped=0
for size in 60k 100k 140k 180k 220k 300k; do
    rm -rf "$folder/disk/set"
    mount -o "remount,size=$size" "$folder/disk" || skip 'tmpfs cannot be resized here'
    run pack "$folder/in" -o "$folder/disk/set" --size 64 --encoding jpeg --quality 98 --shard-size 20 --quiet
    [ "$code" = 0 ] && continue
    stopped=$((stopped + 1))
    exits 1 "a full disk of $size is a failure"
    tells 'No space left on device' "the reason is named at $size"
    [ -z "$(find "$folder/disk/set" -name '*.h5')" ] || complain "something looks finished at $size"
    mount -o 'remount,size=8m' "$folder/disk"
    run pack "$folder/in" -o "$folder/disk/set" --size 64 --encoding jpeg --quality 98 --shard-size 20 --quiet
    exits 0 "with room, the same command ends what stopped at $size"
    [ -d "$folder/golden" ] || cp -r "$folder/disk/set" "$folder/golden"
    diff -r "$folder/golden" "$folder/disk/set" >/dev/null || complain "other bytes after a full disk of $size"
done
[ "$stopped" -ge 3 ] || complain "only $stopped sizes were too small"
finish
