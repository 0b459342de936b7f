// SPDX-License-Identifier: Apache-2.0
// Slurm as a job sees it: its environment, and scontrol for what is not there.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/process.h"
#include "facet/slurm.h"
#include "facet/text.h"

static const double patience_s = 20; // for one answer of scontrol
enum { NOT_FOUND = 127 };            // env's exit code

static int64_t number_in(const char *variable, int64_t otherwise)
{
    const char *text = getenv(variable);
    int64_t value;
    return text && fct_text_to_i64(text, &value) == FCT_OK && value >= 0 ? value : otherwise;
}

// Runs `argv` to its end; its exit code, or -1. A slurmctld that is down must not stop a training.
static int ask(char *const argv[], char *out, size_t size)
{
    fct_text said = { 0 };
    int code = -1;
    if (fct_process_run(argv, patience_s, &said, &code) != FCT_OK)
        code = -1;
    snprintf(out, size, "%s", said.data && !said.failed ? said.data : "");
    fct_text_release(&said);
    return code;
}

// scontrol's description of the job, in one line of NAME=VALUE; times as seconds since 1970.
static int describe(const fct_slurm_job *job, char *out, size_t size)
{
    char id[sizeof job->id];
    char *argv[] = { "env", "SLURM_TIME_FORMAT=%s", "scontrol", "--oneliner", "show", "job", id,
                     NULL };
    snprintf(id, sizeof id, "%s", job->id);
    return ask(argv, out, size);
}

// The value of " NAME=VALUE " in such a line; "" when it is not there.
static void value_of(const char *line, const char *name, char out[32])
{
    size_t n = strlen(name);
    out[0] = 0;
    for (const char *at = line; (at = strstr(at, name)); at += n)
        if ((at == line || at[-1] == ' ' || at[-1] == '\n') && at[n] == '=') {
            snprintf(out, 32, "%.*s", (int)strcspn(at + n + 1, " \n"), at + n + 1);
            return;
        }
}

void fct_slurm_read(fct_slurm_job *out)
{
    int64_t array = number_in("SLURM_ARRAY_JOB_ID", -1),
            task = number_in("SLURM_ARRAY_TASK_ID", -1);
    *out = (fct_slurm_job){ .job = number_in("SLURM_JOB_ID", 0), .end_s = INFINITY, .life = 1 };
    if (out->job == 0)
        return;
    out->life = number_in("SLURM_RESTART_COUNT", 0) + 1;
    // The last task of an array has the array's number as its own: requeueing that is requeueing
    // all tasks.
    if (array >= 0 && task >= 0)
        snprintf(out->id, sizeof out->id, "%lld_%lld", (long long)array, (long long)task);
    else
        snprintf(out->id, sizeof out->id, "%lld", (long long)out->job);
}

void fct_slurm_ask_end(fct_slurm_job *job)
{
    char line[4096], value[32];
    int64_t end = number_in("SLURM_JOB_END_TIME", 0);
    if (job->job == 0)
        return;
    if (end == 0 && describe(job, line, sizeof line) == 0) {
        value_of(line, "EndTime", value);
        if (fct_text_to_i64(value, &end) != FCT_OK)
            end = 0;
    }
    const int64_t year = 364 * 86400;
    time_t now = time(NULL), at = (time_t)end;
    struct tm tm;
    if (end <= 0 || end - now > year) // a job without a limit has one of a year or more
        return;
    job->end_s = fct_clock_s() + (double)(end - now);
    localtime_r(&at, &tm);
    strftime(job->end, sizeof job->end, "%Y-%m-%d %H:%M:%S", &tm);
}

// Whether Slurm, as it describes the job, would let it go on being itself: 1, or 0 with the reason
// told. *comes_back: it is on its way to the queue without us.
static int may_requeue(const fct_slurm_job *job, const char *line, int *comes_back)
{
    char state[32], reason[32], batch[32], wanted[32], restarts[32];
    int64_t lives;
    value_of(line, "JobState", state);
    value_of(line, "Reason", reason);
    value_of(line, "BatchFlag", batch);
    value_of(line, "Requeue", wanted);
    value_of(line, "Restarts", restarts);
    *comes_back = fct_text_to_i64(restarts, &lives) == FCT_OK && lives >= job->life;
    if (*comes_back)
        FCT_INFO("Slurm puts job %s back into the queue itself", job->id);
    else if (!strcmp(batch, "0"))
        FCT_INFO("job %s was not submitted with sbatch: it is not put back into the queue",
                 job->id);
    else if (!strcmp(wanted, "0"))
        FCT_INFO("job %s was submitted with --no-requeue: it is not put back into the queue",
                 job->id);
    // Being cancelled, it is COMPLETING, and scontrol would revive it.
    else if (strcmp(state, "RUNNING") && strcmp(reason, "TimeLimit"))
        FCT_INFO("job %s is being ended (%s): it is not put back into the queue", job->id, state);
    else
        return 1;
    return 0;
}

int fct_slurm_requeue(const fct_slurm_job *job, int64_t at_most)
{
    char line[4096], id[sizeof job->id];
    char *argv[] = { "env", "scontrol", "requeue", id, NULL };
    int comes_back;
    snprintf(id, sizeof id, "%s", job->id);
    if (job->job == 0 || at_most == 0)
        return 0;
    if (job->life > at_most) {
        FCT_WARN("job %s has been requeued %lld times (cluster.requeue = %lld): not again; to go "
                 "on: scontrol requeue %s",
                 job->id, (long long)job->life - 1, (long long)at_most, job->id);
        return 0;
    }
    int code = describe(job, line, sizeof line);
    if (code == 0 && !may_requeue(job, line, &comes_back))
        return comes_back;
    if (code == 0)
        code = ask(argv, line, sizeof line);
    line[strcspn(line, "\n")] = 0;
    if (code != 0) {
        FCT_WARN("job %s could not be put back into the queue: %s; to go on: scontrol requeue %s",
                 job->id, code == NOT_FOUND ? "there is no scontrol here" : line, job->id);
        return 0;
    }
    FCT_INFO("job %s goes back into the queue for life %lld", job->id, (long long)job->life + 1);
    return 1;
}
