#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet pack writes the same bytes for any number of threads and ranks, and after kill -9 and going on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
/usr/bin/python3 "$here/pack_draw.py" "$folder/in" 60 || exit 2
printf 'broken' >"$folder/in/sad/0007.jpg"
printf 'broken' >"$folder/in/happy/0030.jpg"

pack() { # pack TARGET RANKS THREADS
    if [ "$2" = 1 ]; then
        "$facet" pack "$folder/in" -o "$1" --size 48 --split val=0.3 --shard-size 13 --quiet --threads "$3"
    else
        mpirun -n "$2" "$facet" pack "$folder/in" -o "$1" --size 48 --split val=0.3 --shard-size 13 --quiet \
            --threads "$3"
    fi
}

alone() { # alone TARGET: replaces the (sub)shell, so that a signal meets the program itself
    exec "$facet" pack "$folder/in" -o "$1" --size 48 --split val=0.3 --shard-size 13 --quiet --threads 2
}

pack "$folder/golden" 1 1 >"$folder/out" 2>"$folder/err" || complain 'packing with one thread'
prints 'bad pictures: 2' 'bad pictures are counted'
[ "$(find "$folder/golden" -name '*-of-*.h5' | wc -l)" = 15 ] || complain 'ten shards of train, five of val'
for way in '1 3' '2 1' '3 2'; do
    # shellcheck disable=SC2086 # two numbers
    pack "$folder/other" $way >"$folder/out" 2>"$folder/err" || complain "packing with ranks, threads $way"
    prints 'bad pictures: 2' "bad pictures are counted with ranks, threads $way"
    diff -r "$folder/golden" "$folder/other" >/dev/null || complain "other bytes with ranks, threads $way"
    rm -rf "$folder/other"
done

# Killed after ever longer times; what is left never looks finished, and the same command ends it.
tries=0 killed=0
for delay in 0.02 0.05 0.1 0.2 0.3 0.45 0.6 0.8; do
    rm -rf "$folder/other"
    alone "$folder/other" >/dev/null 2>&1 &
    sleep "$delay"
    kill -9 $! 2>/dev/null && killed=$((killed + 1))
    wait $! 2>/dev/null
    tries=$((tries + 1))
    if [ -e "$folder/other/val.h5" ]; then
        # val is named last: then everything is there
        [ "$(find "$folder/other" -name '*.h5' | wc -l)" = 17 ] || complain "finished with shards missing at $delay"
    fi
    pack "$folder/other" 2 1 >"$folder/out" 2>"$folder/err" || complain "going on after $delay s"
    diff -r "$folder/golden" "$folder/other" >/dev/null || complain "other bytes after a kill at $delay s"
done
[ "$killed" -gt 0 ] || complain "none of $tries runs was killed in time"

# A picture that changed since: what was packed from the old one is not taken over without a word.
rm -rf "$folder/other"
alone "$folder/other" >/dev/null 2>&1 &
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do # until its first shard is done
    find "$folder/other" -name '*.done.tmp' 2>/dev/null | grep -q . && break
    sleep 0.05
done
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
cp "$folder/in/happy/0002.jpg" "$folder/in/happy/0001.jpg"
touch "$folder/in/happy/0001.jpg"
pack "$folder/other" 1 2 >"$folder/out" 2>"$folder/err" && complain 'a changed picture is taken from the old shard'
# When the run was faster than the kill there is a whole set, and no plan to compare with.
[ -e "$folder/other/val.h5" ] || tells 'happy/0001.jpg has changed since' 'the picture is named'
"$facet" pack "$folder/in" -o "$folder/other" --size 48 --split val=0.3 --shard-size 13 --quiet --force \
    >"$folder/out" 2>"$folder/err" || complain 'starting anew after a change'
pack "$folder/third" 1 2 >"$folder/out" 2>"$folder/err" || complain 'packing from scratch after a change'
diff -r "$folder/third" "$folder/other" >/dev/null || complain 'other bytes after --force'
finish
