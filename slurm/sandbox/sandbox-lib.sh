# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What up, down and node share. Read by `.` with $dir, the sandbox's folder, and $mode set.
: "${dir:?the folder}" "${mode:=}"
PATH=$PATH:/usr/sbin:/sbin
SLURM_CONF=$dir/slurm.conf
export PATH SLURM_CONF

die() {
    echo "sandbox: $*" >&2
    exit 1
}

# is_alive PID: a zombie that a lazy process 1 does not reap is dead, whatever kill -0 says.
is_alive() {
    [ -n "$1" ] && state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) &&
        [ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# environment PID: a line for each variable; nothing when it is gone.
environment() {
    # shellcheck disable=SC2002 # cat's complaint about a process that ended can be silenced
    cat "/proc/$1/environ" 2>/dev/null | tr '\0' '\n'
}

# start_node I: in uts mode with a host name, /etc/hosts and /dev/shm of its own, so that Open MPI
# takes the nodes for different machines.
start_node() {
    mkdir -p "$dir/run/spool-n$1" "$dir/run/tmp-n$1"
    if [ "$mode" = plain ]; then
        slurmd -N "n$1"
    else
        # shellcheck disable=SC2016 # the inner shell's own $1 and $2
        unshare -mu sh -c 'hostname "$1" && mount --bind "$2/run/hosts" /etc/hosts &&
            mount -t tmpfs tmpfs /dev/shm && exec slurmd -N "$1"' sh "n$1" "$dir"
    fi
}
