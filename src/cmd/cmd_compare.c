// SPDX-License-Identifier: Apache-2.0
// facet compare: several runs side by side, trained first where they are configurations.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd.h"
#include "compare.h"
#include "facet/lifecycle.h"
#include "facet/log.h"

typedef struct {
    const char *output;
    double reach;
    int json;
} compare_args;

// Of the terminal; a file gets what most terminals show.
static int line_width(void)
{
    struct winsize size;
    int64_t columns;
    const char *text = getenv("COLUMNS");
    int width = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col;
    else if (text && fct_text_to_i64(text, &columns) == FCT_OK && columns > 0 && columns < 1000)
        width = (int)columns;
    return width < 40 ? 40 : width;
}

static int counts(const char *key)
{
    static const char *const others[] = { "run.", "log.", "data.ahead", "data.num_workers" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strncmp(key, others[i], strlen(others[i])))
            return 0;
    return 1;
}

// The fewest last parts of the paths that tell all runs apart: "multitask" may end many of them.
static void name_runs(const fct_runs *all, char (*label)[64])
{
    for (int parts = 1, is_clear = 0; !is_clear && parts <= 16; parts++) {
        is_clear = 1;
        for (int i = 0; i < all->n; i++) {
            const char *path = all->run[i].path, *at = path + strlen(path);
            for (int left = parts; at > path && left > 0;)
                left -= *--at == '/';
            at += *at == '/' && at[1];
            size_t n = strlen(at);
            snprintf(label[i], 64, "%s", n < 64 ? at : at + n - 63);
            for (int before = 0; before < i; before++)
                is_clear &= strcmp(label[before], label[i]) != 0;
        }
    }
}

static fct_status write_out(const fct_compare_view *v, const compare_args *a, fct_text *out)
{
    if (a->json)
        fct_compare_json(v, out);
    else {
        fct_compare_table(v, out);
        fct_compare_curves(v, out);
    }
    if (out->failed)
        return FCT_FAIL_NOMEM(out->size, "the comparison");
    if (fputs(out->data, stdout) < 0 || fflush(stdout) != 0)
        return FCT_FAIL(FCT_E_IO, "cannot write the comparison to standard output");
    return FCT_OK;
}

static fct_status show(const fct_compare_plan *p, const compare_args *a)
{
    fct_runs all = { 0 };
    fct_text out = { 0 };
    char label[FCT_COMPARE_MOST][64];
    fct_status status = FCT_OK;
    for (int i = 0; i < p->n && status == FCT_OK; i++)
        status = fct_runs_add(&all, p->entry[i].path);
    if (status == FCT_OK) {
        fct_runs_read(&all);
        fct_runs_find_keys(&all, FCT_RUNS_KEYS, counts);
        name_runs(&all, label);
        fct_compare_view v = {
            .runs = &all, .label = label, .reach = a->reach, .width = line_width()
        };
        status = fct_compare_place(&v);
        if (status == FCT_OK)
            status = write_out(&v, a, &out);
        if (status == FCT_OK && a->output)
            status = fct_compare_write(&v, a->output);
        fct_compare_place_release(&v);
    }
    fct_text_release(&out);
    fct_runs_release(&all);
    return status;
}

// From the first moment, as in facet train, where there is something to train.
static const char *prepare(const fct_compare_plan *p)
{
    const char *kind = NULL;
    for (int i = 0; i < p->n; i++)
        kind = p->entry[i].options ? p->entry[i].options->cluster_comm : kind;
    if (kind && fct_lifecycle_install(NULL, 0) != FCT_OK)
        FCT_WARN("%s", fct_fail_text());
    return kind ? kind : "auto";
}

// All ranks have the same plan or none: nobody waits for one that could not read its file.
static fct_status compare(int n, char **argument, const compare_args *a, fct_comm **comm,
                          int *stopped)
{
    fct_compare_plan plan = { 0 };
    fct_status read = fct_compare_plan_read(n, argument, a->output, &plan), status;
    const char *kind = read == FCT_OK ? prepare(&plan) : "auto";
    FCT_TRY_GOTO(fct_comm_create(kind, comm), status, done);
    fct_log_set_rank(fct_comm_rank(*comm), fct_comm_size(*comm));
    FCT_TRY_GOTO(fct_comm_agree(*comm, read, "reading the arguments"), status, done);
    FCT_TRY_GOTO(fct_compare_train(&plan, *comm, stopped), status, done);
    if (*stopped)
        goto done;
    status = fct_comm_rank(*comm) == 0 ? show(&plan, a) : FCT_OK;
    status = fct_comm_agree(*comm, status, "comparing");
done:
    fct_compare_plan_release(&plan);
    return status;
}

int fct_cmd_compare(int argc, char **argv)
{
    compare_args a = { .reach = 50 };
    int positional, done, stopped = 0;
    fct_comm *comm = NULL;
    const fct_arg args[] = {
        { "-o|--output", FCT_ARG_STR, &a.output, "DIR", 0, 0,
          "run directories of what is trained, DIR/NAME, and the comparison's files" },
        { "--reach", FCT_ARG_REAL, &a.reach, "PERCENT", 0, 100,
          "in which epoch the training accuracy came to this" },
        { "--json", FCT_ARG_FLAG, &a.json, NULL, 0, 0, "the table for a machine, no curves" },
    };
    const fct_arg_table table = {
        "facet compare RUN|CONFIG RUN|CONFIG ... [key=value] [NAME:key=value] [-o DIR]",
        "Runs side by side: a table, their curves over each other, and with -o compare.csv, "
        "compare_epochs.csv and compare.png. A run directory is taken as it is; configurations "
        "(NAME.cfg) are trained first, in order, under mpirun or srun on all ranks; started again, "
        "the command goes on where it was. key=value goes to every configuration, NAME:key=value "
        "to one; init.from = \"@NAME\" is the best checkpoint of the run NAME before it.",
        args,
        sizeof args / sizeof *args,
        1,
        -1
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    status = compare(positional, argv + 1, &a, &comm, &stopped);
    int code = fct_cmd_end(comm, status);
    return code == FCT_EXIT_OK && stopped ? FCT_EXIT_REQUEUE : code;
}
