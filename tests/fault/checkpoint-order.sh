#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a power cut asks for and a kill does not show: every file and folder is synced before the step that
# relies on it.
set -u
. "$(dirname "$0")/checkpoint-lib.sh"
need_strace
new_folder
traced -y -o "$work/trace" -e trace=fsync,rename || exit 1

# What was synced or renamed, in order, without what is not ours.
sed -n -e "s|.*fsync([0-9]*<$work/ckpt\([^>]*\)>).*= 0|sync ckpt\1|p" \
    -e "s|.*rename(\"$work/ckpt\([^\"]*\)\", \"$work/ckpt\([^\"]*\)\").*= 0|rename \2|p" "$work/trace" |
    sed 's|\.[0-9]*\.tmp$|.PID.tmp|' >"$work/order"
cat >"$work/want" <<'EOF'
sync ckpt/step_00000002.tmp/rank_0000.h5
sync ckpt/step_00000002.tmp/rank_0000.note.new
rename /step_00000002.tmp/rank_0000.note
sync ckpt/step_00000002.tmp/COMMIT
sync ckpt/step_00000002.tmp
rename /step_00000002
sync ckpt
sync ckpt/last.PID.tmp
rename /last
sync ckpt
sync ckpt/best.PID.tmp
rename /best
sync ckpt
rename /step_00000000.tmp
EOF
diff "$work/want" "$work/order"
