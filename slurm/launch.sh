#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the job scripts share: `facet submit` puts all below the empty line where they say so.

# ---- how a command starts on all ranks, and what becomes of the job when it ends
launcher=@LAUNCHER@ # srun or mpirun
most_restarts=@RESTARTS@

# launch COMMAND...: one process a rank; waits for all, gives the exit code.
launch() {
    echo "== $(date '+%F %T') job $SLURM_JOB_ID on $SLURM_JOB_NODELIST by $launcher," \
        "restarts ${SLURM_RESTART_COUNT:-0}"
    if [ "$launcher" = srun ]; then
        # A rank that dies ends the others, which would wait for it for ever. Every rank sees all
        # GPUs of its node and takes the one of its place there.
        srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "$@" &
    else
        # A lost node is noticed in 2 + 3 * 2 s, before facet gives up on it after
        # cluster.limit_silence (12 s): the other way round mpirun hangs. A rank that is told to
        # stop has 15 s to save a checkpoint; not more, because mpirun sits through twice this time
        # after any exit code but 0. facet itself keeps ranks on their cores.
        mpirun --bind-to none --mca odls_base_sigkill_timeout 15 \
            --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 2 \
            --mca oob_tcp_keepalive_probes 3 "$@" &
    fi
    local pid=$!
    is_ending=0
    trap 'kill -USR1 "$pid"' USR1 # scancel --batch --signal=USR1: every rank saves and stops
    trap 'is_ending=1' TERM       # Slurm has told all processes: wait while they save
    while kill -0 "$pid" 2>/dev/null; do
        wait "$pid"
    done
    wait "$pid"
}

# finish CODE: a job that stopped early (75), was killed (137) or lost a node (205 from mpirun) goes
# back into the queue and resumes, a bounded number of times, unless facet has seen to that itself.
finish() {
    # An array's last task has the array's own number as SLURM_JOB_ID.
    local id=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    id=${id:-$SLURM_JOB_ID}
    case $1 in
    75 | 137 | 205) ;;
    *) exit "$1" ;;
    esac
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most_restarts" ]; then
        echo "== exit code $1, restarts ${SLURM_RESTART_COUNT:-0}: not requeued again"
    elif [ "$is_ending" = 0 ]; then
        case $(scontrol show job "$id") in
        *JobState=RUNNING*Requeue=1*)
            echo "== exit code $1: back into the queue"
            scontrol requeue "$id" && sleep 600
            ;;
        esac
    fi
    exit "$1"
}
