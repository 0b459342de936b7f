#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each fence passes a clean little tree and refuses it once its rule is broken.
: "${FACET_SOURCE:?the tree}" "${FACET:?the program}"
fences=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
failed=0

make_tree() {
    rm -rf "$tree"
    mkdir -p "$tree/include/facet" "$tree/src/core" "$tree/docs" "$tree/configs" "$tree/lib"
    cp "$FACET_SOURCE/.clang-format" "$tree/"
    "$FACET" config --markdown >"$tree/docs/options.md"
    mkdir -p "$tree/src/train"
    printf '// SPDX-License-Identifier: Apache-2.0\nconst char *fct_x = "epoch,loss\\n";\n' \
        >"$tree/src/train/metrics_csv.c"
    # shellcheck disable=SC2016 # markdown's backticks
    printf '`epoch` `loss`\n' >"$tree/docs/metrics.md"
    printf '# a small configuration\ntrain = { epochs = 1; };\n' >"$tree/configs/small.cfg"
    cat >"$tree/include/facet/a.h" <<'EOF'
// SPDX-License-Identifier: Apache-2.0
// Adds.
#ifndef FACET_A_H
#define FACET_A_H

// Not collective. The sum.
int fct_a_sum(int a, int b);

#endif
EOF
    cat >"$tree/src/core/a.c" <<'EOF'
// SPDX-License-Identifier: Apache-2.0
// Adds; does not exit() or printf("").
#include "facet/a.h"

int fct_a_sum(int a, int b)
{
    return a + b;
}
EOF
    # shellcheck disable=SC2016 # the little script's own $1
    printf '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho "$1"\n' >"$tree/quickstart"
    (cd "$tree/lib" && cc -c -I../include ../src/core/a.c && ar rc libfacet_a.a a.o)
}

run_fence() {
    FACET_BUILD=$tree/lib sh "$fences/fence_$1.sh" "$tree" >"$tree/out" 2>&1
}

# broken FENCE WORD CODE: with the tree changed by CODE (run in it), the fence must say WORD.
broken() {
    make_tree
    (cd "$tree" && eval "$3")
    run_fence "$1"
    status=$?
    [ $status = 77 ] && return 0
    if [ $status = 0 ]; then
        echo "fence_$1 let this pass: $3"
        failed=1
    elif ! grep -q -- "$2" "$tree/out"; then
        echo "fence_$1 did not say '$2' of: $3"
        cat "$tree/out"
        failed=1
    fi
}

make_tree
for fence in headers lengths functions format shell spelling calls words options symbols metrics; do
    run_fence $fence
    status=$?
    case $status in
    0) ;;
    77) echo "fence_$fence: $(cat "$tree/out")" ;;
    *)
        echo "fence_$fence refuses a clean tree:"
        cat "$tree/out"
        failed=1
        ;;
    esac
done

spdx='// SPDX-License-Identifier: Apache-2.0'
for header in mpi.h hdf5.h libconfig.h oneapi/dnnl/dnnl.h cuda_runtime.h jansson.h cairo/cairo.h \
    stb/stb_image.h turbojpeg.h; do
    broken headers 'src/core/a.c' "echo '#include <$header>' >>src/core/a.c"
done
broken headers 'must not know' "echo '#include \"facet/graph.h\"' >>src/core/a.c"
broken headers 'does not compile alone' "echo 'size_t fct_b(void);' >>include/facet/a.h"
broken lengths 'more than 600' 'yes "" | head -n 601 >>src/core/a.c'
broken lengths 'median' 'yes "" | head -n 300 | tee -a src/core/a.c quickstart >>include/facet/a.h'
broken lengths 'occur twice' 'mkdir src/other; cp src/core/a.c src/other/'
broken functions 'more than 80' \
    '{ echo "int f(void)"; echo "{"; yes ";" | head -n 90; echo "}"; } >>src/core/a.c'
broken functions 'complexity' \
    '{ echo "int f(int a)"; echo "{"; yes "if (a) return a;" | head -n 16; echo "}"; } >>src/core/a.c'
broken functions 'median length' \
    '{ echo "int f(void)"; echo "{"; yes ";" | head -n 30; echo "}"; } >src/core/a.c'
broken format 'src/core/a.c' "echo 'int  f(void);' >>src/core/a.c"
broken shell 'SC2086' "echo 'echo \$1' >>quickstart"
broken spelling 'recieve' "echo '// rec''ieve' >>src/core/a.c"
for call in 'strcpy(a, b)' 'strcat (a, b)' 'sprintf(a, b)' 'strtok(a, b)' 'atoi(a)' 'gets(a)'; do
    broken calls 'banned' "echo 'int f(void) { $call; }' >>src/core/a.c"
done
broken calls 'does not print' "echo 'int f(void) { printf(\"x\"); }' >>src/core/a.c"
broken calls 'does not end the process' "echo 'int f(void) { exit(1); }' >>src/core/a.c"
for word in 'TO''DO' 'FIX''ME' 'a stu''b'; do
    broken words 'unfinished' "echo '// $word' >>src/core/a.c"
done
broken words 'no SPDX line' "sed -i 1d src/core/a.c"
broken words 'no SPDX line' "sed -i 2d quickstart"
broken words 'no comment says' "printf '$spdx\n\nint fct_b(void);\n' >include/facet/b.h"
broken options 'options.md is old' "echo more >>docs/options.md"
broken options 'does not load' "echo 'train = { epoch = 1; };' >configs/small.cfg"
broken options 'what it is for' "echo 'train = { };' >configs/small.cfg"
broken options 'no configurations' "rm configs/small.cfg"
broken metrics 'does not define loss' "sed -i 's/loss//' docs/metrics.md"
broken metrics 'no columns' "echo >src/train/metrics_csv.c"
broken symbols 'other_name' "cd lib && echo 'int other_name;' >b.c && cc -c b.c && ar r libfacet_a.a b.o"
exit $failed
