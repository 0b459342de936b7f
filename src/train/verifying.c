// SPDX-License-Identifier: Apache-2.0
// Verification while it trains: the sets of eval.verify, a row each in verification.csv.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "facet/log.h"
#include "trainer.h"

static const char table[] = "verification.csv";
static const char columns[] =
    "step,epoch,set,accuracy,std,threshold,xnorm,tar_1e-1,tar_1e-2,tar_1e-3,tar_1e-4,tar_1e-5,"
    "tar_1e-6,auc,eer,best_accuracy,pairs,different";

fct_status fct_verifying_open(fct_trainer *t)
{
    const fct_list *paths = &t->o->eval_verify;
    fct_verifying *v = &t->verifying;
    if (paths->n == 0 || t->spec->overfit > 0)
        return FCT_OK;
    v->set = calloc((size_t)paths->n, sizeof *v->set);
    v->verifier = calloc((size_t)paths->n, sizeof *v->verifier);
    v->result = calloc((size_t)paths->n, sizeof *v->result);
    if (!v->set || !v->verifier || !v->result)
        return FCT_FAIL_NOMEM((size_t)paths->n * sizeof *v->result, "eval.verify");
    for (; v->n < paths->n; v->n++) {
        const fct_pair_set_spec spec = { .path = paths->item[v->n] };
        FCT_TRY(fct_pair_set_open(&spec, &v->set[v->n]));
    }
    return FCT_OK;
}

fct_status fct_verifying_create(fct_trainer *t)
{
    for (int i = 0; i < t->verifying.n; i++) {
        const fct_verifier_spec spec = {
            .set = t->verifying.set[i], .net = t->net, .comm = t->comm, .workers = t->cores.workers
        };
        FCT_TRY(fct_verifier_create(&spec, &t->verifying.verifier[i]));
    }
    return FCT_OK;
}

void fct_verifying_destroy(fct_trainer *t)
{
    fct_verifying *v = &t->verifying;
    for (int i = 0; i < v->n; i++) {
        fct_verifier_destroy(v->verifier[i]);
        fct_pair_set_close(v->set[i]);
    }
    free(v->set);
    free(v->verifier);
    free(v->result);
    *v = (fct_verifying){ 0 };
}

uint64_t fct_verifying_hash(const fct_trainer *t)
{
    uint64_t hash = 0;
    for (int i = 0; i < t->verifying.n; i++) {
        uint64_t one = fct_pair_set_describe(t->verifying.set[i])->hash;
        hash = XXH3_64bits_withSeed(&one, sizeof one, hash);
    }
    return hash;
}

double fct_verifying_accuracy(const fct_trainer *t)
{
    const fct_verifying *v = &t->verifying;
    return v->n > 0 && v->step > 0 && v->step == t->at.step ? v->result[0].accuracy : (double)NAN;
}

// ---- verification.csv

static void number(fct_text *row, double value)
{
    fct_text_add(row, ",");
    if (isfinite(value))
        fct_text_add(row, "%.9g", value);
}

static void add_row(const fct_trainer *t, int i, fct_text *out)
{
    const fct_verification *r = &t->verifying.result[i];
    fct_text_add(out, "%lld,%lld,", (long long)t->at.step, (long long)t->at.epoch + 1);
    fct_text_add_csv(out, fct_pair_set_describe(t->verifying.set[i])->name);
    const double value[] = { r->accuracy, r->std, r->threshold, r->xnorm };
    for (size_t k = 0; k < sizeof value / sizeof *value; k++)
        number(out, value[k]);
    for (int k = 0; k < FCT_VERIFY_RATES; k++)
        number(out, r->rate[k].tar);
    number(out, r->auc);
    number(out, r->eer);
    number(out, r->best_accuracy);
    fct_text_add(out, ",%lld,%lld\n", (long long)r->pairs, (long long)r->different);
}

// A failure costs the row, not the run, and is told once.
static void append(fct_trainer *t, const fct_text *rows)
{
    char path[FCT_PATH_MAX];
    if (rows->failed || fct_path_join(path, t->run.path, table) != FCT_OK)
        return;
    FILE *file = fopen(path, "a");
    int failed = !file;
    if (file) {
        failed = ftell(file) == 0 && fprintf(file, "%s\n", columns) < 0;
        failed |= fwrite(rows->data, 1, rows->size, file) != rows->size;
        failed |= fclose(file) != 0;
    }
    if (failed && !t->verifying.is_unwritten)
        FCT_WARN("%s: %s; training goes on", path, strerror(errno));
    t->verifying.is_unwritten = failed;
}

fct_status fct_verifying_trim(const fct_trainer *t, int64_t step)
{
    return fct_run_dir_trim(&t->run, table, step, columns);
}

// ---- running

static int is_missing(const fct_verifying *v, int i)
{
    return v->result[i].pairs == 0;
}

int fct_verifying_failed(const fct_trainer *t)
{
    const fct_verifying *v = &t->verifying;
    return v->n > 0 && v->step > 0 && v->step == t->at.step && is_missing(v, 0);
}

// A set that cannot be read, on whichever rank, costs its row and not the training.
static fct_status verify_one(fct_trainer *t, int i)
{
    fct_verifying *v = &t->verifying;
    const fct_status status = fct_verifier_run(v->verifier[i], &v->result[i]);
    if ((status != FCT_E_IO && status != FCT_E_FORMAT) || fct_comm_is_cancelled(t->comm))
        return status;
    v->result[i] = (fct_verification){ .accuracy = (double)NAN };
    const char *text = fct_fail_text();
    if (fct_comm_rank(t->comm) == 0)
        FCT_WARN("step %lld: %s is not verified: %.*s; training goes on", (long long)t->at.step,
                 fct_pair_set_describe(v->set[i])->name, (int)strcspn(text, "\n"), text);
    return FCT_OK;
}

static void tell(const fct_trainer *t)
{
    for (int i = 0; i < t->verifying.n; i++) {
        const fct_verification *r = &t->verifying.result[i];
        if (is_missing(&t->verifying, i))
            continue;
        FCT_INFO("step %lld: %s: accuracy %.5f +- %.5f, XNorm %.3f", (long long)t->at.step,
                 fct_pair_set_describe(t->verifying.set[i])->name, r->accuracy, r->std, r->xnorm);
    }
}

fct_status fct_verifying_run(fct_trainer *t)
{
    fct_verifying *v = &t->verifying;
    if (v->n == 0 || v->step == t->at.step)
        return FCT_OK; // verified just now, after the step
    for (int i = 0; i < v->n; i++)
        FCT_TRY(verify_one(t, i));
    int64_t before = v->step;
    v->step = t->at.step;
    if (fct_comm_rank(t->comm) == 0) {
        fct_text rows = { 0 };
        if (before == 0 && fct_verifying_trim(t, t->at.step - 1) != FCT_OK)
            FCT_WARN("%s", fct_fail_text()); // a resumed run judges the same step again
        for (int i = 0; i < v->n; i++)
            if (!is_missing(v, i))
                add_row(t, i, &rows);
        append(t, &rows);
        fct_text_release(&rows);
        tell(t);
    }
    return FCT_OK;
}

fct_status fct_verifying_step(fct_trainer *t, int *did)
{
    int64_t every = t->o->eval_verify_every;
    *did = t->verifying.n > 0 && every > 0 && t->at.step % every == 0;
    if (!*did)
        return FCT_OK;
    fct_watchdog_phase(t->comm, FCT_PHASE_EVAL, t->at.step);
    FCT_TRY(fct_optim_swap_ema(t->optim));
    fct_status status = fct_verifying_run(t);
    FCT_TRY(fct_optim_swap_ema(t->optim));
    return status == FCT_E_INTERRUPTED ? FCT_OK : status; // the next step knows what to do
}
