#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet synth: folders and labels that other programs read, refusals, a full disk.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

run synth -o "$folder/set" --expression 40 --identities 3 --per-identity 5 --landmarks 10 --quiet
exits 0 'a small set is drawn'
prints "$folder/set/expression/  40 pictures, 8 classes" 'the expression set is named'
prints "$folder/set/identity/  15 pictures, 3 people" 'the identity set is named'
prints "$folder/set/expression_landmarks.json" 'the landmarks are named'
prints "$folder/set/expression_au.csv" 'the action units are named'
is_quiet 'nothing to complain about'

/usr/bin/python3 - "$folder/set" <<'PY' || complain 'PIL, json and csv read the set'
import csv, json, os, sys
from PIL import Image
root = sys.argv[1]
for which, n in (("expression", 40), ("identity", 15)):
    points = json.load(open(f"{root}/{which}_landmarks.json"))
    rows = {r["path"]: r for r in csv.DictReader(open(f"{root}/{which}_au.csv"))}
    files = {os.path.relpath(os.path.join(at, f), root)
             for at, _, names in os.walk(f"{root}/{which}") for f in names}
    assert len(files) == n and files == set(points) == set(rows), which
    for path in files:
        picture = Image.open(f"{root}/{path}")
        picture.load()
        assert picture.size == (96, 96) and picture.mode == "RGB", path
        assert len(points[path]) == 10 and all(0 < v < 1 for p in points[path] for v in p), path
        assert all(v in ("", "0", "1") for k, v in rows[path].items() if k != "path"), path
    happy = [r for p, r in rows.items() if "/happy/" in p]
    assert all(r["AU12"] != "0" for r in happy)
PY

run synth -o "$folder/again" --expression 40 --identities 3 --per-identity 5 --landmarks 10 --quiet --threads 1
diff -r "$folder/set" "$folder/again" >/dev/null || complain 'the same seed draws the same bytes'

run synth -o "$folder/set" --quiet
exits 2 'a folder in use is refused'
tells 'is not empty' 'the reason is named'
tells 'hint:' 'a way out is named'

run synth -o "$folder/numeric" --expression 16 --identities 0 --layout numeric --classes 7 --quiet
exits 0 'numeric folders, seven classes'
[ "$(cd "$folder/numeric/expression" && echo *)" = '0 1 2 3 4 5 6' ] || complain 'folders 0 to 6'
[ ! -e "$folder/numeric/identity" ] || complain 'no identity set was asked for'

run synth
exits 2 'an output folder is needed'
tells '-o DIR' 'the option is named'
run synth -o "$folder/bad" --layout wild
exits 2 'an unknown layout is wrong use'
run synth -o "$folder/bad" --landmarks 6 --quiet
exits 2 'six landmarks are wrong use'
[ ! -e "$folder/bad" ] || complain 'a refused run leaves nothing'

if [ "$(id -u)" = 0 ] && mkdir "$folder/small" && mount -t tmpfs -o size=200k none "$folder/small" 2>/dev/null; then
    run synth -o "$folder/small/set" --expression 400 --identities 0 --quiet
    left=$(find "$folder/small/set" -type f | wc -l)
    umount "$folder/small"
    exits 1 'a full disk is a failure'
    tells 'No space left on device' 'the reason is named'
    [ "$left" = 0 ] || complain "a failed run leaves $left files"
fi
finish
