// SPDX-License-Identifier: Apache-2.0
// What Slurm tells a job about itself, and the one thing that a job asks of it: another life.
#ifndef FACET_SLURM_H
#define FACET_SLURM_H

#include <stdint.h>

typedef struct {
    char id[64];  // what scontrol calls this job: "120", an array's task "119_3"; "" outside Slurm
    int64_t job;  // SLURM_JOB_ID: a number of its own for every task of an array
    int64_t life; // 1 for the first run, 2 after the first requeue
    double end_s; // when its time limit ends, in fct_clock_s(); infinite when none is known
    char end[32]; // the same for a person, local time; "" when none is known
} fct_slurm_job;

// Not collective. From the environment alone; `end_s` stays infinite. id is "" outside Slurm.
void fct_slurm_read(fct_slurm_job *out);
// Not collective; one rank asks. The end of the time limit: SLURM_JOB_END_TIME, or else scontrol,
// waited for some seconds. Where neither knows (in a container without scontrol), none.
void fct_slurm_ask_end(fct_slurm_job *job);
// Not collective; one rank asks, once the checkpoint is committed. Puts the job back into the queue
// unless it is none of sbatch's, was submitted with --no-requeue, was cancelled, is on its way back
// already, or has had `at_most` requeues; says what it did. When it tries in vain, a warning gives
// the command to type. 1 when the job will have another life.
int fct_slurm_requeue(const fct_slurm_job *job, int64_t at_most);

#endif
