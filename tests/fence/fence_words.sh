#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing unfinished, a licence line everywhere, a comment on everything public.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"

# Split so that this file does not find itself.
words='TO''DO|FIX''ME|XX''X|HA''CK|[Ss]tu''b(s|bed)?'
found=$(sources '*.c' '*.h' '*.def' '*.cu' '*.py' '*.sh' '*.cmake' 'CMakeLists.txt' '*.md' '*.cfg' '*.sbatch' |
    xargs -r grep -nwE "$words" /dev/null)
[ -z "$found" ] || complain "unfinished work belongs into an issue, not into the tree:
$found"

licensed=$(sources '*.c' '*.h' '*.def' '*.cu' '*.py' '*.sh' '*.cmake' 'CMakeLists.txt' '*.sbatch')
for file in $licensed quickstart .ci/run slurm/sandbox/up slurm/sandbox/down slurm/sandbox/node; do
    [ ! -f "$file" ] || head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
        complain "$file: has no SPDX line"
done

# In a public header a prototype has a comment above it in its paragraph, or behind it.
headers=$(sources '*.h' | grep '^include/')
[ -z "$headers" ] || for file in $headers; do
    awk -v file="$file" '
        /^[[:space:]]*$/ { commented = 0 }
        /\/\/|\/\*/ { commented = 1 }
        /^[a-zA-Z_].*[a-z0-9_]\(/ && !/^(typedef|#|extern "C")/ && !commented {
            print file ":" NR ": no comment says what this does: " $0
            bad = 1
        }
        END { exit bad }' "$file" || bad=1
done
exit "$bad"
