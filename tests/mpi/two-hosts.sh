#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The MPI tests over real TCP: two network namespaces with names of their own are two hosts. Needs root.
set -u
bin=${FACET_MPI_TESTS:?the folder of the MPI test programs}
a=facet-a-$$ b=facet-b-$$ agent=$(mktemp "${TMPDIR:-/tmp}/facet-agent-XXXXXX")

skip() {
    echo "skipped: $*"
    exit 77
}

# shellcheck disable=SC2317
cleanup() {
    ip netns del "$a" 2>/dev/null
    ip netns del "$b" 2>/dev/null
    rm -f "$agent"
}
trap cleanup EXIT

[ "${FACET_SANITIZED:-0}" = 0 ] || skip "the sanitizers' options do not reach the other host"
command -v ip >/dev/null || skip "no ip (iproute2)"
{ ip netns add "$a" && ip netns add "$b"; } 2>/dev/null ||
    skip "no right to make network namespaces"
ip link add facet-va netns "$a" type veth peer name facet-vb netns "$b" || skip "no veth"
ip -n "$a" addr add 10.98.0.1/24 dev facet-va
ip -n "$b" addr add 10.98.0.2/24 dev facet-vb
for n in "$a" "$b"; do ip -n "$n" link set lo up; done
ip -n "$a" link set facet-va up && ip -n "$b" link set facet-vb up

# What mpirun takes for ssh: enters the host's namespace under its name.
cat >"$agent" <<EOF
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
shift
exec ip netns exec $b unshare -u sh -c 'hostname host-b; exec sh -c "\$*"' sh "\$@"
EOF
chmod +x "$agent"

unset OMPI_MCA_btl
failed=0
for test in test_comm test_buckets "test_cancel reduce" "test_cancel gather" "test_cancel buckets"; do
    # shellcheck disable=SC2086
    FACET_TWO_HOSTS=1 ip netns exec "$a" unshare -u sh -c 'hostname host-a; exec "$@"' sh \
        mpirun --mca plm rsh --mca plm_rsh_agent "$agent" --mca btl tcp,self,vader --bind-to none \
        -x FACET_TWO_HOSTS --host 10.98.0.1:2,10.98.0.2:2 -n 4 "$bin/"$test ||
        { failed=1 && echo "failed: $test"; }
done
exit $failed
