#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet config: describes options, checks files, prints what loads back.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

run config data.batch_size
exits 0 'a key is described'
prints '1 to 1048576 images' 'the range is shown'
run config data
prints 'data.num_workers' 'a section is described'
run config batch_size
exits 2 'an unknown key is wrong use'
tells 'did you mean data.batch_size?' 'the nearest key is named'

printf 'data = {\n  batch_size = 32;\n  num_workers = 300;\n};\n' >"$folder/bad.cfg"
run config --check "$folder/bad.cfg"
exits 2 'a value out of range is wrong use'
tells "$folder/bad.cfg:3: data.num_workers: 300 is out of range" 'file, line and key are named'

printf 'data = { batch_size = 32; path = [ "a", "b" ]; };\n' >"$folder/good.cfg"
run config --check "$folder/good.cfg" data.batch_size=16 data.val_path=c,d
exits 0 'a good file is accepted'
prints 'batch_size = 16;' 'the command line wins over the file'
prints 'path = [ "a", "b" ];' 'the file wins over the default'
prints 'val_path = [ "c", "d" ];' 'lists are split at commas on the command line'
cp "$folder/out" "$folder/printed.cfg"
run config --check "$folder/printed.cfg"
cmp "$folder/out" "$folder/printed.cfg" || complain 'a printed configuration prints as itself'
LC_ALL=de_DE.UTF-8 run config --check "$folder/printed.cfg"
cmp "$folder/out" "$folder/printed.cfg" || complain 'a German locale changes nothing'

run config --check "$folder/not-there.cfg"
exits 1 'a missing file is a failure'
tells 'No such file' 'the reason is named'
if [ -w /dev/full ]; then
    "$facet" config >/dev/full 2>"$folder/err"
    code=$?
    exits 1 'a full disk below standard output is a failure'
fi
finish
