#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# facet submit: the scripts it writes, what it refuses, and what these scripts do when their command
# ends this way or that. sbatch, srun, mpirun and scontrol are played by scripts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

data=$folder/data bin=$folder/bin
mkdir "$data" "$bin"
for split in train val; do
    "${FACET_BUILD:?}/tests/unit/make_shard" "$data" "$split" raw 8 >/dev/null || exit 2
done
cat >"$folder/a.cfg" <<END
run = { name = "tiny"; };
data = { path = "data"; batch_size = 8; num_workers = 1; };
END
cat >"$bin/sbatch" <<END
#!/bin/sh
echo "\$@" >>"$folder/submitted"
echo "\$((1000 + \$(wc -l <"$folder/submitted")));cluster"
END
cat >"$bin/scontrol" <<END
#!/bin/sh
echo "\$@" >>"$folder/scontrol"
case "\$1 \$2" in
"show config") printf 'Configuration data\nKillSwitch = 9\nKillWait                = 45 sec\n' ;;
"show job") echo "JobId=\$3 JobState=\${JOB_STATE:-RUNNING} Requeue=\${JOB_REQUEUE:-1}" ;;
esac
END
# Both launchers leave out their own options and run the command once.
cat >"$bin/srun" <<END
#!/bin/sh
[ "\$1" != --mpi=list ] || { echo "MPI plugin types are... none pmix"; exit; }
echo "srun \$@" >>"$folder/launched"
while [ "\${1#-}" != "\$1" ]; do shift; done
exec "\$@"
END
cat >"$bin/mpirun" <<END
#!/bin/sh
echo "mpirun \$@" >>"$folder/launched"
while [ "\${1#-}" != "\$1" ]; do [ "\$1" != --mca ] || shift; shift; [ "\${1#-}" = "\$1" ] && [ ! -x "\$1" ] && shift; done
exec "\$@"
END
chmod +x "$bin"/*
PATH=$bin:$PATH
cd "$folder" || exit 2

# ---- refused before the queue

refuses() { # refuses TEXT ARGUMENTS...
    text=$1
    shift
    run submit "$@"
    exits 2 "$* is refused"
    tells "$text" "$* says why"
}
refuses '--nodes is missing' a.cfg
refuses 'did you mean data.batch_size?' a.cfg data.batch_sise=9 --nodes 1
refuses 'data.path: nowhere: No such file' a.cfg data.path=nowhere --nodes 1
refuses 'data.path: data: holds no shards of split "test"' a.cfg data.val_split=test --nodes 1
refuses 'init.from: gone' a.cfg init.from=gone --nodes 1
refuses 'init.from: @first names a run of facet compare' a.cfg init.from=@first --nodes 1
refuses 'eval.verify: nopairs: No such file' a.cfg eval.verify=nopairs --nodes 1
refuses 'data.batch_size 8 is too few pictures for 10 ranks' a.cfg --nodes 2 --ranks-per-node 5
refuses 'there is one rank a GPU' a.cfg --nodes 1 --gpus-per-node 2 --ranks-per-node 3
refuses 'must end in %1' a.cfg --nodes 1 --array 1-3
refuses 'the members at a time' a.cfg --nodes 1 --array 1-3 --sweep train.seed=1,2
refuses 'key=value,value' a.cfg --nodes 1 --sweep train.seed
refuses 'train.epochs' a.cfg --nodes 1 --sweep train.epochs=1,none
refuses 'more than one line' a.cfg --nodes 1 --partition "$(printf 'a\n#SBATCH --x')"
refuses '-o is missing' --pack data --nodes 1
refuses 'did you mean --size?' --pack data -o packed --nodes 1 -- --sise 64
[ ! -e "$folder/submitted" ] || complain 'what is refused is not submitted'
[ ! -e runs ] || complain 'what is refused leaves nothing behind'

# ---- the scripts

run submit a.cfg --nodes 2 --gpus-per-node 4 --cpus-per-rank 8 --time 4:00:00 --partition 'long jobs' --account me \
    --qos high --constraint a100 --mem 64G --dependency afterok:7 --array '1-9%1' --name many \
    --sbatch '--exclusive --mail-user=me' -o 'my run 5%' --dry-run
exits 0 'a dry run succeeds'
[ ! -e 'my run 5%' ] || complain 'a dry run writes nothing'
[ ! -e "$folder/submitted" ] || complain 'a dry run submits nothing'
cp "$folder/out" train.sh
cat >want <<END
#SBATCH --job-name=many
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --mem=64G
#SBATCH --time=4:00:00
#SBATCH --partition="long jobs"
#SBATCH --account=me
#SBATCH --qos=high
#SBATCH --constraint=a100
#SBATCH --array=1-9%1
#SBATCH --dependency=afterok:7
#SBATCH --chdir=$folder
#SBATCH --output="$folder/my run 5%%/slurm-%A_%a.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --exclusive --mail-user=me

facet=$(readlink -f "$facet")
run='$folder/my run 5%'

END
sed -n '/^#SBATCH/,/^# ----/p' train.sh | grep -v '^# ----' | diff want - >"$folder/err" || complain 'the script'

run submit a.cfg --nodes 1 --dry-run
[ "$(grep -c '^#SBATCH' "$folder/out")" = 8 ] || complain 'an option that was not given has no line'
run submit a.cfg --nodes 1 --sweep loss.landmark_weight=0.1,0.2,0.3,0.5 --sweep train.seed=1,2 --array %2 --dry-run
prints '#SBATCH --array=0-7%2' 'a sweep is a job array with a limit'
prints '    005-landmark_weight=0.3-seed=2' 'a member is named after its values'
prints '#SBATCH --dependency=afterany:JOB' 'the table waits for the members'
sed '/^# SPDX/,$!d; /^#!\/bin\/bash/,$d' "$folder/out" >sweep.sh
run submit --pack data -o 'packed set' --nodes 3 --ranks-per-node 2 --dry-run -- --size 64 --split val=0.2
prints "arguments=($folder/data -o '$folder/packed set' --size 64 --split val=0.2)" 'the arguments of pack'
cp "$folder/out" pack.sh
if command -v shellcheck >/dev/null; then
    for script in train.sh sweep.sh pack.sh; do
        shellcheck --shell=bash "$script" >"$folder/out" || complain "shellcheck has something to say about $script"
    done
fi

# ---- submitted

run submit a.cfg train.epochs=1 --nodes 2 --ranks-per-node 2
exits 0 'a training is submitted'
job=$(cat submitted)
job=${job#--parsable }
prints "job 1001: a training on 2 x 2 ranks of 4 cpus, by srun" 'what was submitted'
prints "tail -F ${job%job.sbatch}slurm-1001.log" 'how to follow'
prints 'squeue -j 1001' 'where to look'
prints "scancel 1001    # a checkpoint is saved first, in KillWait's 45 s" 'how to stop'
[ -f "${job%job.sbatch}config.cfg" ] || complain 'the configuration lies beside the script'
printf 'data = { batch_size = nonsense\n' >>a.cfg # a later edit does not reach the job
grep -q 'launcher=srun' "$job" || complain 'srun where Slurm has PMIx'

# The script as Slurm would run it, for one rank: it trains, and a second life finds all done.
export SLURM_JOB_ID=1001 SLURM_JOB_NODELIST=n1 SLURM_CPUS_PER_TASK=1 OMP_NUM_THREADS=1
for life in 0 1; do
    SLURM_RESTART_COUNT=$life bash "$job" >"$folder/out" 2>"$folder/err"
    code=$?
    exits 0 "life $life of the job ends well"
done
grep -q 'srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1' launched || complain 'how srun is called'
[ -f "${job%job.sbatch}metrics.csv" ] || complain 'it trained'

# ---- what becomes of an exit code

act() { # act LAUNCHER CODE: the script's command exits so
    printf '#!/bin/sh\nexit %s\n' "$2" >play
    chmod +x play
    : >scontrol
    sed "s/^launcher=[a-z]*/launcher=$1/; s|^facet=.*|facet=$folder/play|; s/sleep 600/sleep 0/" "$job" >act.sh
    bash act.sh >"$folder/out" 2>"$folder/err"
    code=$?
}
for ended in 75 137 205; do
    act mpirun $ended
    exits $ended "code $ended is passed on"
    grep -q '^requeue 1001$' scontrol || complain "code $ended goes back into the queue"
done
grep -q 'mpirun --bind-to none --mca odls_base_sigkill_timeout 15' launched || complain 'how mpirun is called'
for ended in 0 1 2 143; do
    act srun $ended
    exits $ended "code $ended is passed on"
    ! grep -q requeue scontrol || complain "code $ended does not go back into the queue"
done
export SLURM_RESTART_COUNT=20
act srun 75
! grep -q requeue scontrol || complain 'C6: requeues are bounded'
export SLURM_RESTART_COUNT=19 JOB_STATE=COMPLETING
act srun 75
! grep -q requeue scontrol || complain 'what is cancelled, or requeued by facet, is left alone'
export SLURM_RESTART_COUNT=0 JOB_STATE=RUNNING JOB_REQUEUE=0
act srun 75
! grep -q requeue scontrol || complain 'a job that may not be requeued is left alone'
export JOB_REQUEUE=1 SLURM_ARRAY_JOB_ID=900 SLURM_ARRAY_TASK_ID=3
act srun 75
grep -q '^requeue 900_3$' scontrol || complain 'an array task has an id of its own'

# ---- signals: Slurm's SIGTERM lets the command end in peace, SIGUSR1 is handed on

cat >play <<END
#!/bin/sh
trap 'echo got USR1; exit 75' USR1
echo ready >"$folder/ready"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.1; [ ! -e "$folder/end" ] || exit 75; done
sleep 20 & wait
END
for signal in TERM USR1; do
    rm -f ready end
    : >scontrol
    bash act.sh >"$folder/out" 2>"$folder/err" &
    shell=$!
    until [ -e ready ]; do sleep 0.05; done
    kill -$signal $shell
    sleep 0.3
    [ $signal != TERM ] || { kill -0 $shell 2>/dev/null || complain 'the script waits while facet saves'; }
    [ $signal != TERM ] || : >end
    wait $shell
    code=$?
    exits 75 "SIG$signal: the command's exit code"
done
grep -q requeue scontrol || complain 'SIGUSR1: saved and back into the queue'
prints 'got USR1' 'SIGUSR1 reaches the launcher'
finish
