// SPDX-License-Identifier: Apache-2.0
// One process of a job that Slurm may stop, requeue and start again: the end of its time limit, why
// it stops, and its next life.
#include <math.h>

#include "facet/clock.h"
#include "facet/lifecycle.h"
#include "facet/log.h"
#include "trainer.h"

// Rank 0 alone knows the end; the others hear of it when the ranks agree on a step to stop at.
fct_status fct_life_begin(fct_trainer *t)
{
    fct_slurm_read(&t->job);
    FCT_TRY(fct_comm_broadcast(t->comm, &t->job.life, sizeof t->job.life, 0));
    if (fct_comm_rank(t->comm) != 0)
        return FCT_OK;
    fct_slurm_ask_end(&t->job);
    // A short job, to try things, must not spend more than half of its time in hand.
    t->keep_s = fmin(t->o->cluster_stop_before, fmax(0, t->job.end_s - fct_clock_s()) / 2);
    fct_lifecycle_set_end(t->job.end_s);
    fct_lifecycle_set_reserve(t->keep_s);
    return FCT_OK;
}

// A job of sbatch starts its later lives with the words of the first. Without --resume these mean
// "a new run", but a run directory named there holds what the life before did.
const char *fct_life_resume(const fct_trainer *t)
{
    if (t->spec->resume || t->job.life == 1 || !t->o->run_dir[0])
        return t->spec->resume;
    return "auto";
}

// What the next save takes: as long as the last one, or before the first an estimate for a slow
// disk.
static double save_s(const fct_trainer *t)
{
    const double slow_bytes_per_s = 50e6;
    double last = fct_saver_seconds(t->saver);
    return last > 0 ? last : fct_state_bytes(t) / slow_bytes_per_s;
}

// The longest of the last steps: a long one counts less with every step after it.
void fct_life_step_took(fct_trainer *t, double seconds)
{
    t->step_s = fmax(seconds, 0.9 * t->step_s);
    fct_lifecycle_set_reserve(t->keep_s + t->step_s + save_s(t));
}

void fct_life_stop(fct_trainer *t, fct_stop why)
{
    if (t->stop == FCT_STOP_NOT && why == FCT_STOP_BY_SIGNAL)
        FCT_INFO("stopping after step %lld: %s", (long long)t->at.step,
                 fct_lifecycle_name(fct_lifecycle_asked()));
    else if (t->stop == FCT_STOP_NOT && why == FCT_STOP_BY_DEADLINE)
        FCT_INFO("stopping after step %lld: the job's time limit ends in %.0f s",
                 (long long)t->at.step, t->job.end_s - fct_clock_s());
    t->stop = why;
}

void fct_life_interrupted(fct_trainer *t)
{
    fct_life_stop(t, fct_lifecycle_asked() == FCT_ASKED_BY_DEADLINE ? FCT_STOP_BY_DEADLINE
                                                                    : FCT_STOP_BY_SIGNAL);
}

static void requeue(const fct_trainer *t)
{
    if (t->spec->resume || t->o->run_dir[0])
        fct_slurm_requeue(&t->job, t->o->cluster_requeue);
    else if (t->job.job != 0 && t->o->cluster_requeue > 0)
        FCT_WARN("job %s is not put back into the queue: it would begin a new run; give run.dir or "
                 "--resume auto",
                 t->job.id);
}

// Slurm ends all processes as soon as the job is back in the queue; what they were to save is
// saved. The others wait: a launcher ends the job when the first of them leaves with an exit code.
fct_status fct_life_end(fct_trainer *t)
{
    fct_lifecycle_ignore();
    if (fct_comm_rank(t->comm) == 0 && t->stop != FCT_STOP_NOT)
        requeue(t);
    return fct_comm_barrier(t->comm);
}
