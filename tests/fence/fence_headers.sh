#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Heavy headers stay in the folder that owns them; public headers compile alone.
# shellcheck source=fence_lib.sh
. "$(dirname "$0")/fence_lib.sh"

own() { # own HEADERS WHERE: extended regular expressions
    found=$(sources '*.c' '*.h' '*.cu' '*.cuh' | grep -Ev "$2" |
        xargs -r grep -nE "#[[:space:]]*include[[:space:]]*[<\"]([a-z]+/)*($1)[>\"]" /dev/null)
    [ -z "$found" ] || complain "only $2 may include $1:
$found"
}

own 'mpi\.h' '^cluster/|^tests/(mpi|bench|standin)/'
own 'nccl\.h' '^cluster/|^tests/standin/'
own 'hwloc\.h' '^cluster/topology|^tests/unit/test_topology'
own 'hdf5(_hl)?\.h' '^datasets/|^cluster/checkpoint|^tests/'
own 'libconfig\.h' '^src/config/'
own 'dnnl[a-z_]*\.h' '^src/backend/cpu/|^tests/bench/'
own '(cuda|cudnn|cublas)[a-zA-Z_]*\.h' '^src/backend/cuda/|^cluster/comm_nccl|^tests/(standin|gpu)/'
own '(turbojpeg|jpeglib|spng|png|exif-[a-z]+|cairo|stb_[a-z_]+)\.h' '^datasets/'
own 'jansson\.h' '^datasets/|^src/train/manifest\.c'

# Left may use right, never back.
below() { # below FOLDER FORBIDDEN: files of FOLDER must not include these public headers
    found=$(sources '*.c' '*.h' | grep -E "^$1/" |
        xargs -r grep -nE "#[[:space:]]*include[[:space:]]*\"facet/($2)\.h\"" /dev/null)
    [ -z "$found" ] || complain "$1/ must not know $2:
$found"
}
upper='loop|options|comm|checkpoint|dataset|loader|sampler|pack|synth|model|loss|optim|metrics'
below src/core "$upper|graph|backend"
below src/backend "$upper|graph"
below src/graph "$upper"
below src/metrics 'options|comm|checkpoint|dataset|loader|sampler|pack|synth|graph|backend'
below src/config "${upper#loop|options|}|graph|backend"
below datasets 'options|checkpoint|model|loss|optim|graph|backend'

for header in $(sources '*.h' | grep '^include/'); do
    out=$(printf '#include "%s"\n' "${header#include/}" |
        ${CC:-cc} -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Iinclude -x c - 2>&1) ||
        complain "$header does not compile alone:
$out"
done
exit "$bad"
