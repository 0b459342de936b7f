#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Hosts on one machine, for tests: network namespaces on switches (bridges in a namespace of their
# own), each with its name, /dev/shm, TMPDIR and addresses; mpirun reaches them without ssh. Needs root.
#   hosts.sh up DIR N [NETS]   host-1 .. host-N; network k (0, 1) is 10.98.k.0/24 on interface ethk,
#                              host I is .I there. 77 with a reason where that is not possible.
#                              They go with `down`, or when the caller has ended, however it did.
#   hosts.sh run DIR I CMD...  runs CMD on host I in its place
#   hosts.sh mpirun DIR ...    runs mpirun on host 1; --host host-1:2,host-2:2 and what else is yours
#   hosts.sh cut DIR I [NET]   host I's cable out of the switch: packets are lost both ways, silently
#   hosts.sh mute DIR I [NET]  packets from host I are lost on the way, those to it arrive
#   hosts.sh join DIR I [NET]  takes back cut and mute
#   hosts.sh pids DIR I        processes on host I
#   hosts.sh signal DIR I SIG  to all of them at once
#   hosts.sh down DIR
set -u
verb=${1:?what to do} dir=${2:?the folder}
shift 2

die() {
    echo "hosts.sh: $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

read_state() {
    [ -r "$dir/state" ] || die "$dir: no hosts here"
    # shellcheck disable=SC1091
    . "$dir/state" # tag hosts nets
}

plug() { # plug I K: a cable from host I to switch K
    ip link add "p$1.$2" netns "$tag-net" type veth peer name "eth$2" netns "$tag-$1" || return
    ip -n "$tag-net" link set "p$1.$2" master "br$2" up || return
    ip -n "$tag-$1" addr add "10.98.$2.$1/24" dev "eth$2" && ip -n "$tag-$1" link set "eth$2" up
}

write_agent() { # what mpirun takes for ssh
    cat >"$dir/agent" <<END
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
host=\$1
shift
case \$host in
10.98.*) host=\${host##*.} ;;
*) host=\${host#host-} ;;
esac
exec '$self' run '$dir' "\$host" sh -c "\$*"
END
    chmod +x "$dir/agent"
}

make_all() {
    ip netns add "$tag-net" || return
    for k in $(seq 0 $((nets - 1))); do
        # A switch that forwards at once, as a real one does to a port it has known for long.
        ip -n "$tag-net" link add "br$k" type bridge stp_state 0 forward_delay 0 || return
        ip -n "$tag-net" link set "br$k" up || return
    done
    for i in $(seq "$hosts"); do
        ip netns add "$tag-$i" && ip -n "$tag-$i" link set lo up || return
        for k in $(seq 0 $((nets - 1))); do plug "$i" "$k" || return; done
        mkdir "$dir/tmp-$i"
        echo "10.98.0.$i host-$i" >>"$dir/hosts"
    done
}

# The shell that called us may be killed: then nobody else tidies up.
tidy_up_after() {
    setsid sh -c "while [ -d /proc/$1 ] && [ -e '$dir/state' ]; do sleep 0.5; done
        [ ! -e '$dir/state' ] || '$self' down '$dir'" </dev/null >/dev/null 2>&1 &
}

up() {
    command -v ip >/dev/null || skip "no ip (iproute2)"
    hosts=$1 nets=${2:-1} tag=facet-$$
    self=$(realpath "$0") dir=$(mkdir -p "$dir" && realpath "$dir")
    printf 'tag=%s hosts=%s nets=%s\n' "$tag" "$hosts" "$nets" >"$dir/state"
    echo "127.0.0.1 localhost" >"$dir/hosts"
    write_agent
    make_all >"$dir/up.log" 2>&1 || {
        reason=$(tail -1 "$dir/up.log")
        down
        skip "no right to make network namespaces ($reason)"
    }
    tidy_up_after "$PPID"
}

pids() {
    ip netns pids "$tag-$1" 2>/dev/null
}

# Processes that are still there; one that has ended but was not waited for is none.
living() {
    for pid in $(pids "$1"); do
        grep -qs '^State:.[^ZX]' "/proc/$pid/status" && echo "$pid"
    done
}

down() {
    for i in $(seq "$hosts"); do
        pids "$i" | xargs -r kill -KILL 2>/dev/null
        ip netns del "$tag-$i" 2>/dev/null
    done
    ip netns del "$tag-net" 2>/dev/null
    rm -rf "$dir"
}

# "ip netns exec" gives a mount namespace with the right /sys; the rest of a host is made in it.
run() {
    i=$1
    shift
    # shellcheck disable=SC2016
    exec ip netns exec "$tag-$i" unshare -u sh -c '
        hostname "host-$1" && mount -t tmpfs none /dev/shm && mount --bind "$2/hosts" /etc/hosts || exit 1
        export TMPDIR="$2/tmp-$1"
        shift 2
        exec "$@"' sh "$i" "$dir" "$@"
}

cable() { # cable WHAT I K
    ip -n "$tag-net" link set "p$2.$3" "$1" ${4:+"$4"}
}

# Host I takes every other one to be behind an address that nobody has.
mute() {
    for j in $(seq "$hosts"); do
        [ "$j" = "$1" ] || ip -n "$tag-$1" neigh replace "10.98.$2.$j" dev "eth$2" \
            lladdr 02:00:00:00:00:99 nud permanent
    done
}

unmute() {
    for j in $(seq "$hosts"); do
        ip -n "$tag-$1" neigh del "10.98.$2.$j" dev "eth$2" 2>/dev/null
    done
}

case $verb in
up) up "$@" ;;
run) read_state && run "$@" ;;
mpirun)
    read_state
    run 1 mpirun --mca plm rsh --mca plm_rsh_agent "$dir/agent" --mca btl tcp,self,vader \
        --bind-to none "$@"
    ;;
cut) read_state && cable nomaster "$1" "${2:-0}" ;;
mute) read_state && mute "$1" "${2:-0}" ;;
join) read_state && unmute "$1" "${2:-0}"; cable master "$1" "${2:-0}" "br${2:-0}" ;;
pids) read_state && living "$1" ;;
signal) read_state && living "$1" | xargs -r kill "-$2" ;;
down) read_state && down ;;
*) die "$verb: what is that?" ;;
esac
