// SPDX-License-Identifier: Apache-2.0
// What `facet submit` asks of Slurm.
#include <stdio.h>
#include <string.h>

#include "facet/process.h"
#include "submit.h"

static const double patience_s = 60; // for one answer of a busy slurmctld

// What the program says, or "" when it cannot be run or fails; the caller releases.
static const char *ask(char *const *argv, fct_text *out)
{
    int code = 1;
    if (fct_process_run(argv, patience_s, out, &code) != FCT_OK || code != 0 || !out->data)
        return "";
    return out->data;
}

const char *fct_submit_launcher(const char *asked)
{
    if (strcmp(asked, "auto") != 0)
        return asked;
    char *list[] = { "srun", "--mpi=list", NULL };
    fct_text out = { 0 };
    int has_pmix = strstr(ask(list, &out), "pmix") != NULL;
    fct_text_release(&out);
    return has_pmix ? "srun" : "mpirun";
}

void fct_submit_kill_wait(char out[32])
{
    char *show[] = { "scontrol", "show", "config", NULL };
    fct_text text = { 0 };
    int seconds;
    const char *at = strstr(ask(show, &text), "\nKillWait");
    out[0] = 0;
    if (at && sscanf(at, " KillWait = %9d", &seconds) == 1)
        snprintf(out, 32, "%d s", seconds);
    fct_text_release(&text);
}

// "12", or "12;cluster".
static fct_status read_id(const char *answer, char id[32])
{
    size_t n = strspn(answer, "0123456789");
    if (n == 0 || n >= 32)
        return FCT_FAIL(FCT_E_FORMAT, "sbatch: its answer is no job id: %.200s", answer);
    memcpy(id, answer, n);
    id[n] = 0;
    return FCT_OK;
}

fct_status fct_submit_send(const char *script, char id[32])
{
    char *const argv[] = { "sbatch", "--parsable", (char *)script, NULL };
    fct_text out = { 0 };
    int code = 0;
    fct_status status = fct_process_run(argv, patience_s, &out, &code);
    if (status != FCT_OK)
        status = FCT_FAIL(FCT_E_IO,
                          "%s\nis this a Slurm cluster's login node? --dry-run prints "
                          "the script without sbatch",
                          fct_fail_text());
    // Warnings come before the answer: the last line counts.
    char *last = out.data;
    for (char *p = out.data; p && *p; p++)
        if (*p == '\n' && p[1])
            last = p + 1;
    if (status == FCT_OK && code != 0)
        status =
            FCT_FAIL(FCT_E_ARG, "sbatch refuses %s:\n%.1500s", script, out.data ? out.data : "");
    if (status == FCT_OK)
        status = read_id(last ? last : "", id);
    fct_text_release(&out);
    return status;
}
