// SPDX-License-Identifier: Apache-2.0
// A step whose numbers went bad: which parameters, which pictures, on which rank; and the end, with
// a file that says it all, when that happens too often in a row.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "trainer.h"

enum { NAMED_PARAMETERS = 64, TEXT = 1024 };

typedef struct { // what one rank tells rank 0
    int64_t n, picture[FCT_SUSPECTS];
    int64_t head_is_bad; // its share of the identity head
    char host[64];
} testimony;

typedef struct { // what rank 0 knows of the step
    int parameters, parameter[NAMED_PARAMETERS];
    testimony *rank; // [ranks]
    int64_t pictures;
    int heads; // ranks whose share of the identity head is bad
} finding;

void fct_suspects_add(fct_trainer *t, const fct_batch *b)
{
    for (int64_t i = 0; i < b->rows; i++) {
        if (!fct_tasks_row_is_bad(&t->tasks, b, &t->outputs, i))
            continue;
        if (t->suspects.n < FCT_SUSPECTS)
            t->suspects.picture[t->suspects.n] = b->picture[i];
        t->suspects.n++;
    }
}

static const char *path_of(const fct_trainer *t, int64_t picture)
{
    int64_t row;
    const fct_dataset *set = fct_mix_dataset(t->train_mix, picture, &row);
    return fct_dataset_path(set, row);
}

static int named(const testimony *r)
{
    return (int)(r->n < FCT_SUSPECTS ? r->n : FCT_SUSPECTS);
}

// The first share of the identity head that is bad.
static void tell_head(const fct_trainer *t, const finding *f, fct_text *text)
{
    int r = 0;
    int64_t low, high;
    while (!f->rank[r].head_is_bad)
        r++;
    fct_sampler_slice(t->tasks.identities, r, fct_comm_size(t->comm), &low, &high);
    fct_text_add(text, "identity_head.weight (persons %" PRId64 " to %" PRId64 ", rank %d)", low,
                 high - 1, r);
}

static void tell_parameters(const fct_trainer *t, const finding *f, fct_text *text)
{
    int n, all = f->parameters + f->heads;
    const fct_param *table = fct_params_table(t->net->params, &n);
    if (all == 0) {
        fct_text_add(text, "a loss is not finite");
        return;
    }
    fct_text_add(text, "the gradient of ");
    if (f->parameters > 0)
        fct_text_add(text, "%s", table[f->parameter[0]].name);
    else
        tell_head(t, f, text);
    if (f->parameters > 0 && f->heads > 0) {
        fct_text_add(text, ", of ");
        tell_head(t, f, text);
        all--;
    }
    if (all > 1)
        fct_text_add(text, " and of %d other%s", all - 1, all > 2 ? "s" : "");
    fct_text_add(text, " is not finite");
}

static void tell_pictures(const fct_trainer *t, const finding *f, fct_text *text)
{
    int64_t told = 0;
    for (int r = 0; r < fct_comm_size(t->comm); r++)
        for (int i = 0; i < named(&f->rank[r]) && told < FCT_SUSPECTS; i++, told++)
            fct_text_add(text, "%s%" PRId64 " (%s, rank %d on %s)",
                         told ? ", " : "; bad loss: picture ", f->rank[r].picture[i],
                         path_of(t, f->rank[r].picture[i]), r, f->rank[r].host);
    if (f->pictures > told)
        fct_text_add(text, " and %" PRId64 " more", f->pictures - told);
    if (f->pictures == 0)
        fct_text_add(text, "; no single picture's loss was bad (epoch %lld, batch %lld)",
                     (long long)t->at.epoch + 1, (long long)t->at.batch + 1);
}

static void number(fct_text *text, const char *name, double value)
{
    if (isfinite(value))
        fct_text_add(text, "  \"%s\": %.9g,\n", name, value);
    else
        fct_text_add(text, "  \"%s\": null,\n", name);
}

static void list_parameters(const fct_trainer *t, const finding *f, fct_text *text)
{
    int n;
    const fct_param *table = fct_params_table(t->net->params, &n);
    fct_text_add(text, "  \"parameters_in_all\": %d,\n  \"parameters\": [", f->parameters);
    for (int i = 0; i < f->parameters && i < NAMED_PARAMETERS; i++) {
        fct_text_add(text, i ? ", " : "");
        fct_text_add_json(text, table[f->parameter[i]].name);
    }
    fct_text_add(text, "],\n  \"identity_head_ranks\": [");
    for (int r = 0, told = 0; r < fct_comm_size(t->comm); r++)
        if (f->rank[r].head_is_bad)
            fct_text_add(text, "%s%d", told++ ? ", " : "", r);
    fct_text_add(text, "],\n");
}

static void list_pictures(const fct_trainer *t, const finding *f, fct_text *text)
{
    const char *comma = "";
    fct_text_add(text, "  \"pictures_in_all\": %" PRId64 ",\n  \"pictures\": [", f->pictures);
    for (int r = 0; r < fct_comm_size(t->comm); r++)
        for (int i = 0; i < named(&f->rank[r]); i++) {
            fct_text_add(text, "%s\n    {\"picture\": %" PRId64 ", \"path\": ", comma,
                         f->rank[r].picture[i]);
            fct_text_add_json(text, path_of(t, f->rank[r].picture[i]));
            fct_text_add(text, ", \"rank\": %d, \"host\": ", r);
            fct_text_add_json(text, f->rank[r].host);
            fct_text_add(text, "}");
            comma = ",";
        }
    fct_text_add(text, "]\n");
}

// RUN/diverged_step_N.json: it must not hide why the run ends, so a failure is only a warning.
static void write_dump(const fct_trainer *t, const finding *f, const fct_step_report *r)
{
    char path[FCT_PATH_MAX], name[64];
    fct_text text = { 0 };
    fct_text_add(&text, "{\n  \"facet\": \"%s\",\n  \"step\": %lld,\n  \"epoch\": %lld,\n",
                 FACET_VERSION, (long long)t->at.step + 1, (long long)t->at.epoch + 1);
    fct_text_add(&text, "  \"batch\": %lld,\n  \"skipped_in_a_row\": %lld,\n",
                 (long long)t->at.batch + 1, (long long)t->at.bad_steps);
    number(&text, "learning_rate", r->rate);
    number(&text, "gradient_norm", r->norm);
    number(&text, "loss", r->total);
    for (int i = 0; i < t->tasks.balance.tasks; i++) {
        snprintf(name, sizeof name, "%s_loss", t->tasks.balance.name[i]);
        number(&text, name, r->loss[i]);
    }
    list_parameters(t, f, &text);
    list_pictures(t, f, &text);
    fct_text_add(&text, "}\n");
    snprintf(name, sizeof name, "diverged_step_%08lld.json", (long long)t->at.step + 1);
    fct_status status =
        text.failed ? FCT_FAIL_NOMEM(text.size, name) : fct_path_join(path, t->run.path, name);
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    if (status != FCT_OK)
        FCT_WARN("%s", fct_fail_text());
    fct_text_release(&text);
}

// Rank 0: the step in words, and the dump when it is the last.
static void tell(const fct_trainer *t, const finding *f, const fct_step_report *r, char words[TEXT])
{
    fct_text text = { 0 };
    tell_parameters(t, f, &text);
    tell_pictures(t, f, &text);
    snprintf(words, TEXT, "%s", text.data ? text.data : "");
    fct_text_release(&text);
    FCT_WARN("step %lld skipped: %s", (long long)t->at.step + 1, words);
    if (t->at.bad_steps >= t->o->train_nan_limit)
        write_dump(t, f, r);
}

static fct_status investigate(fct_trainer *t, const fct_step_report *r, char words[TEXT])
{
    finding f = { 0 };
    testimony mine = { .n = t->suspects.n, .head_is_bad = t->head_is_bad };
    void *all = NULL;
    size_t total;
    snprintf(mine.host, sizeof mine.host, "%s", fct_comm_host(t->comm));
    memcpy(mine.picture, t->suspects.picture, sizeof mine.picture);
    fct_status status = fct_optim_find_bad(t->optim, NAMED_PARAMETERS, f.parameter, &f.parameters);
    FCT_TRY(fct_comm_agree(t->comm, status, "looking for what is not finite"));
    FCT_TRY(fct_comm_gather(t->comm, &mine, sizeof mine, &all, &total));
    f.rank = all;
    for (int i = 0; f.rank && i < fct_comm_size(t->comm); i++) {
        f.pictures += f.rank[i].n;
        f.heads += f.rank[i].head_is_bad != 0;
    }
    if (f.rank)
        tell(t, &f, r, words);
    free(all);
    return fct_comm_broadcast(t->comm, words, TEXT, 0);
}

fct_status fct_trainer_skipped(fct_trainer *t, const fct_step_report *r)
{
    char words[TEXT] = "", advice[FCT_PATH_MAX + 128];
    FCT_TRY(investigate(t, r, words));
    if (t->at.bad_steps < t->o->train_nan_limit)
        return FCT_OK;
    FCT_TRY(fct_trainer_settle(t));
    fct_trainer_advice(t, advice);
    return FCT_FAIL(FCT_E_DIVERGED,
                    "%lld steps in a row were not finite, the last %lld: %s; more in "
                    "%s/diverged_step_%08lld.json\n"
                    "lower optim.learning_rate, raise schedule.warmup_epochs or set "
                    "optim.clip_norm; %s",
                    (long long)t->at.bad_steps, (long long)t->at.step + 1, words, t->run.path,
                    (long long)t->at.step + 1, advice);
}
