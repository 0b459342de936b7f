// SPDX-License-Identifier: Apache-2.0
// Trains the configurations of a comparison one after another, in this process on all its ranks.
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "compare.h"
#include "facet/log.h"
#include "facet/train.h"

enum { MOST_CONFIG_BYTES = 1 << 20 };

// Options that decide what a training comes to, not how fast or where.
static int decides(const char *key)
{
    static const char *const others[] = {
        "run.", "cluster.", "log.", "checkpoint.", "data.stage", "data.ahead", "data.num_workers"
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strncmp(key, others[i], strlen(others[i])))
            return 0;
    return 1;
}

// A finished run of other options is not what was asked for.
static fct_status check_options(const fct_compare_entry *e)
{
    char file[FCT_PATH_MAX], *text;
    fct_options *then;
    fct_text differ = { 0 };
    FCT_TRY(fct_path_join(file, e->path, "config.cfg"));
    FCT_TRY(fct_path_read(file, MOST_CONFIG_BYTES, &text, NULL));
    fct_status status = fct_options_parse(text, file, &then);
    free(text);
    FCT_TRY(status);
    fct_options_differences(then, e->options, decides, &differ);
    fct_options_destroy(then);
    if (differ.failed)
        status = FCT_FAIL_NOMEM(differ.size, "the differing options");
    else if (differ.size > 0)
        status = FCT_FAIL(FCT_E_ARG,
                          "%s: was trained with other options: %s\n"
                          "give another -o, remove that run, or compare it as it is by its path",
                          e->path, differ.data);
    fct_text_release(&differ);
    return status;
}

static fct_status look(const fct_compare_entry *e, int *is_done)
{
    fct_run_metrics m;
    fct_status status = fct_run_metrics_read(e->path, &m);
    *is_done = status == FCT_OK && m.rows >= e->options->train_epochs;
    fct_run_metrics_release(&m);
    FCT_TRY(status);
    char last[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(last, e->path, "checkpoints/last"));
    *is_done &= fct_path_is_file(last);
    return *is_done ? check_options(e) : FCT_OK;
}

// What the last training would fail for is told before the first begins.
static fct_status check_all(const fct_compare_plan *p)
{
    for (int i = 0; i < p->n; i++) {
        const fct_compare_entry *e = &p->entry[i];
        int is_done;
        if (!e->options)
            continue;
        FCT_TRY(look(e, &is_done));
        if (!is_done)
            FCT_TRY(fct_check_data(e->options));
    }
    return FCT_OK;
}

static fct_status is_finished(const fct_compare_entry *e, fct_comm *c, int *out)
{
    *out = 0;
    fct_status status = fct_comm_rank(c) == 0 ? look(e, out) : FCT_OK;
    FCT_TRY(fct_comm_agree(c, status, "looking at the runs"));
    return fct_comm_broadcast(c, out, sizeof *out, 0);
}

// What was said so far belongs to the run before.
static void close_log(void)
{
    fct_log_set_file(NULL);
    fct_log_set_rank_0_file(NULL);
}

fct_status fct_compare_train(const fct_compare_plan *p, fct_comm *c, int *stopped)
{
    fct_status status = fct_comm_rank(c) == 0 ? check_all(p) : FCT_OK;
    *stopped = 0;
    FCT_TRY(fct_comm_agree(c, status, "looking at the runs"));
    for (int i = 0; i < p->n && !*stopped; i++) {
        const fct_compare_entry *e = &p->entry[i];
        int is_done;
        if (!e->options)
            continue;
        FCT_TRY(is_finished(e, c, &is_done));
        FCT_INFO("%s (%d of %d): %s %s", e->name, i + 1, p->n,
                 is_done ? "was trained before:" : "trains in", e->path);
        if (is_done)
            continue;
        fct_train_spec spec = { .options = e->options, .comm = c, .resume = "auto" };
        FCT_TRY(fct_train(&spec, stopped));
        close_log();
    }
    return FCT_OK;
}
