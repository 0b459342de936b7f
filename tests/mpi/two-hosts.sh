#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The MPI tests over real TCP: two network namespaces with names of their own are two hosts. Needs root.
set -u
bin=${FACET_MPI_TESTS:?the folder of the MPI test programs}
hosts=${FACET_SOURCE:?the sources}/tests/fault/hosts.sh
dir=$(mktemp -d "${TMPDIR:-/tmp}/facet-hosts-XXXXXX")

if [ "${FACET_SANITIZED:-0}" != 0 ]; then
    rmdir "$dir"
    echo "skipped: the sanitizers' options do not reach the other host"
    exit 77
fi
"$hosts" up "$dir" 2 || exit
trap '"$hosts" down "$dir"' EXIT

unset OMPI_MCA_btl
failed=0
for test in test_comm test_buckets "test_cancel reduce" "test_cancel gather" "test_cancel buckets"; do
    # shellcheck disable=SC2086
    FACET_TWO_HOSTS=1 "$hosts" mpirun "$dir" -x FACET_TWO_HOSTS --host host-1:2,host-2:2 -n 4 "$bin/"$test ||
        { failed=1 && echo "failed: $test"; }
done
exit $failed
