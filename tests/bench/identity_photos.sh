#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# identity_photos.sh FACET DATA OUT [SEED]: the three identity trainings of docs/compare.md on real photos, from a
# backbone that learned expressions and landmarks of others. DATA holds lfw_train/, orl/, lfw_pairs/ (a folder a
# person), lfw_meta/{landmarks5.json,pairs.txt} and fer2013/{train,val}/; nothing of it is copied but packed.
set -eu
facet=$(realpath "$1") data=$(realpath "$2") out=$3 seed=${4:-1}
configs=$(realpath "$(dirname "$0")/../../configs")
mkdir -p "$out"
cd "$out"
marks=$data/lfw_meta/landmarks5.json
pack_all() {
    [ -e lfw ] || "$facet" pack "$data/lfw_train" -o lfw --format identity --align arcface --landmarks "$marks" \
        --split val=0.2 --quiet
    [ -e orl ] || "$facet" pack "$data/orl" -o orl --format identity --size 112 --split val=0.2 --quiet
    [ -e pairs ] || "$facet" pack "$data/lfw_pairs" -o pairs --format identity --split test --align arcface \
        --landmarks "$marks" --pairs "$data/lfw_meta/pairs.txt" --quiet
    [ -e fer ] || "$facet" pack "$data/fer2013" -o fer --size 112 --quiet
    [ -e points ] || "$facet" pack "$data/lfw_train" -o points --format flat --size 112 --landmarks "$marks" \
        --split val=0.1 --quiet
}

cat >pretrain.cfg <<'END'
run = { name = "pretrain"; };
data = { path = ["fer", "points"]; val_path = ["fer"]; batch_size = 64; num_workers = 1; size = 64; };
augment = { flip = 0.5; shift = 0.08; rotate = 10.0; brightness = 0.2; contrast = 0.2; grey = 0.5; };
loss = { use_uncertainty_weighting = "kendall"; landmarks = "smooth_l1"; smooth_l1_beta = 0.01; label_smoothing = 0.1; };
optim = { optimizer = "adamw"; learning_rate = 0.0005; head_rate = 3.0; };
schedule = { kind = "cosine"; warmup_epochs = 1.0; };
train = { epochs = 24; };
eval = { every = 4; predictions = false; };
END

# A hundred people are few: the head's rows move gently, see casia_pk_warmup.cfg.
options() {
    echo "model.backbone=resnet18" "model.stem=imagenet" "data.num_workers=1" "eval.predictions=false" "train.seed=$seed"
    for run in casia_naive casia_pk_warmup casia_transfer; do
        echo "$run:data.path=lfw,orl" "$run:data.size=64" "$run:eval.verify=pairs" "$run:optim.differential_lr=true" \
            "$run:optim.head_rate=0.02"
    done
    echo "casia_naive:train.epochs=40" "casia_naive:eval.every=8" "casia_transfer:init.from=@pretrain"
    for run in casia_pk_warmup casia_transfer; do # an epoch is four of eight pictures of each person
        echo "$run:train.epochs=80" "$run:eval.every=16" "$run:schedule.warmup_epochs=4" "$run:loss.margin_ramp_epochs=16"
    done
}

pack_all
# shellcheck disable=SC2046 # a list of options, none with blanks
"$facet" compare pretrain.cfg "$configs/casia_naive.cfg" "$configs/casia_pk_warmup.cfg" "$configs/casia_transfer.cfg" \
    $(options) -o "seed$seed"
for run in casia_naive casia_pk_warmup casia_transfer; do
    "$facet" verify "seed$seed/$run/checkpoints/last" pairs --split test
done
