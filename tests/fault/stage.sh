#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# data.stage: shards on the node's own disk. Copied once a node, reused, shared by jobs that run at
# the same time, removed by the last; a full disk, a failed or killed copy costs a warning at most.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

data=$folder/data disk=$folder/disk
stage=$disk/facet-stage-$(id -u)
mkdir "$data" "$disk"
for split in train val; do
    "${FACET_BUILD:?}/tests/unit/make_shard" "$data" "$split" raw 24 >/dev/null || exit 2
done

train() { # train NAME ARGUMENTS...: on two ranks that play two nodes
    name=$1
    shift
    FACET_FAKE_NODES=2 OMP_NUM_THREADS=1 mpirun -n 2 "$facet" train model.embedding=8 data.size=32 data.batch_size=8 \
        optim.optimizer=sgd train.epochs=1 cluster.self_test=false data.path="$data" run.dir="$folder/$name" "$@" \
        >"$folder/out" 2>"$folder/err"
    code=$?
}
losses() { cut -d, -f1-7 "$folder/$1/metrics.csv"; }

train plain
exits 0 'trains on the originals'
train staged data.stage="$disk"
exits 0 'trains on copies'
tells 'staged ' 'what was staged is told'
[ "$(losses plain)" = "$(losses staged)" ] || complain 'the same numbers from copies'
grep -qF "\"$data\"" "$folder/staged/config.cfg" || complain 'the configuration names the originals'
[ ! -e "$stage" ] || complain 'what was copied is removed at the end'
TMPDIR=$disk train auto data.stage=auto
tells 'staged ' 'auto is TMPDIR'

# What was there before, here from a job that was killed while it copied the second shard.
FACET_FAULT=stage.write:2 "$facet" train model.embedding=8 data.size=32 data.batch_size=8 train.epochs=1 \
    cluster.self_test=false data.path="$data" run.dir="$folder/fails" data.stage="$disk" --stop-after 1 \
    >"$folder/out" 2>"$folder/err"
code=$?
exits 75 'a copy that fails costs no training'
tells 'No space left on device; the shards are read where they are' 'it is a warning'
[ ! -e "$stage" ] || complain 'a failed staging leaves nothing'
train seen data.stage="$disk" --stop-after 1 &
until hash=$(find "$stage" -maxdepth 1 -type d -name '????????????????' 2>/dev/null | head -n 1) && [ -n "$hash" ]; do
    sleep 0.02
    jobs %1 >/dev/null 2>&1 || break
done
wait
[ -n "$hash" ] || complain 'a folder for the copies is seen while they are there'
mkdir -p "$hash"
cp -p "$data"/train-*.h5 "$hash/"
head -c 100 "$data"/val-00000-of-00001.h5 >"$hash/val-00000-of-00001.h5.77.begun"
train again data.stage="$disk"
exits 0 'trains on what a killed job left'
[ ! -e "$hash/val-00000-of-00001.h5.77.begun" ] || complain 'what was begun is cleared away'
# Complete copies of another job stay.
mkdir -p "$hash"
cp -p "$data"/*-of-*.h5 "$hash/"
train third data.stage="$disk"
tells ', 0 B of it copied' 'whole copies are reused'
[ -f "$hash/train-00000-of-00001.h5" ] || complain 'what was there before stays'
# A source that changed is copied again.
touch "$data"/train-*.h5
train fourth data.stage="$disk"
exits 0 'trains on a changed source'
grep -q 'staged .* of it copied' "$folder/err" || complain 'a changed source is copied again'
! grep -q ', 0 B of it' "$folder/err" || complain 'a changed source is not taken for the old one'

# Somebody else, who holds the lock, still uses what this job copied.
rm -rf "$stage"
mkdir "$stage"
sh -c 'exec 9>"$1/use.lock"; flock -s 9; : >"$1.held"; while [ ! -e "$1.go" ]; do sleep 0.05; done' sh "$stage" &
other=$!
until [ -e "$stage.held" ]; do sleep 0.05; done
train fifth data.stage="$disk"
find "$stage" -name 'train-*.h5' | grep -q . || complain 'copies that others use stay'
: >"$stage.go"
wait $other
train sixth data.stage="$disk"
[ ! -e "$stage" ] || complain 'the last one who used them removes them'

# Another job copies for longer than anything may stand still: that is no hang. Nobody else ends it
# either, the last resort of a wait for other ranks among them.
rm -f "$stage".*
mkdir -p "$stage"
sh -c 'exec 9>"$1/copy.lock"; flock 9; : >"$1.held"; sleep 14' sh "$stage" &
other=$!
until [ -e "$stage.held" ]; do sleep 0.05; done
train waits data.stage="$disk" cluster.limit_init=8
wait $other
exits 0 'waiting for another job that copies is no hang'
tells 'waiting for another process that copies' 'the wait is told'
tells 'staged ' 'then it stages'
rm -rf "$stage"

# kill -9 leaves its copies, marked for whoever is the last to use them.
rm "$folder/err"
"$facet" train model.embedding=8 data.size=32 data.batch_size=8 train.epochs=1000 cluster.self_test=false \
    data.path="$data" run.dir="$folder/killed" data.stage="$disk" >"$folder/out" 2>"$folder/err" &
killed=$!
until grep -qs 'Epoch 1/' "$folder/err"; do kill -0 $killed || break; sleep 0.05; done
kill -9 $killed
wait $killed 2>/dev/null
find "$stage" -name 'train-*.h5' | grep -q . || complain 'a killed job leaves its copies'
train after data.stage="$disk"
tells ', 0 B of it copied' 'what a killed job left is reused'
[ ! -e "$stage" ] || complain 'and removed at the end'

# One node, and a rank of it that looks elsewhere.
mkdir "$folder/elsewhere"
run="train model.embedding=8 data.size=32 data.batch_size=8 train.epochs=1 cluster.self_test=false data.stage=auto"
# shellcheck disable=SC2086 # words
OMP_NUM_THREADS=1 TMPDIR=$disk mpirun -n 1 "$facet" $run data.path="$data" run.dir="$folder/apart" : \
    -n 1 env TMPDIR="$folder/elsewhere" "$facet" $run data.path="$data" run.dir="$folder/apart" \
    >"$folder/out" 2>"$folder/err"
code=$?
exits 0 'a rank that finds no copies trains on'
tells 'this rank does not find them: ' 'and says so'

train nowhere data.stage="$folder/nowhere"
exits 0 'no such folder costs no training'
tells 'not a folder; the shards are read where they are' 'no such folder is told'
if mkdir "$folder/small" && mount -t tmpfs -o size=16k tmpfs "$folder/small" 2>/dev/null; then
    train full data.stage="$folder/small"
    umount "$folder/small"
    exits 0 'a disk that is too small costs no training'
    grep -q 'the shards need .*, .* are free there; the shards are read where' "$folder/err" ||
        complain 'too little room is told with both sizes'
fi
finish
