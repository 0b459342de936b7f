#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# codespell finds nothing in sources and documents. ("\nknown" in a string reads as a misspelt word;
# "upto" and "nd" are names; tests feed "wieghted", "trian", "sise" and "suprised" on
# purpose.)
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"
need codespell

sources '*.c' '*.h' '*.def' '*.cu' '*.py' '*.sh' '*.md' '*.txt' '*.cmake' '*.cfg' '*.sbatch' |
    xargs -r codespell --quiet-level 2 --ignore-words-list 'nknown,upto,wieghted,nd,trian,sise,suprised' || bad=1
exit "$bad"
