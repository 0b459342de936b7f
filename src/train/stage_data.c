// SPDX-License-Identifier: Apache-2.0
// Where the ranks read their shards: from copies on each node's own disk when data.stage says so.
// The first rank of a node copies, the others wait and look whether the copies are whole. Copies
// that cannot be had are a warning: the originals are as good, only slower.
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "trainer.h"

static fct_status list_items(fct_trainer *t)
{
    const fct_options *o = t->o;
    const fct_list *val = o->data_val_path.n ? &o->data_val_path : &o->data_path;
    fct_data_paths *p = &t->paths;
    p->train_n = o->data_path.n;
    p->n = p->train_n + val->n;
    p->item = calloc((size_t)p->n + 1, sizeof *p->item);
    p->open = calloc((size_t)p->n + 1, sizeof *p->open);
    if (!p->item || !p->open)
        return FCT_FAIL_NOMEM((size_t)p->n * sizeof *p->item, "the data's paths");
    for (int i = 0; i < p->n; i++) {
        int is_val = i >= p->train_n;
        p->item[i].path = is_val ? val->item[i - p->train_n] : o->data_path.item[i];
        p->item[i].split = is_val ? o->data_val_split : o->data_train_split;
        p->open[i] = p->item[i].path;
    }
    return FCT_OK;
}

static void moved(void *comm)
{
    fct_watchdog_tick(comm);
}

static void tell(const fct_stage_report *r, double seconds)
{
    char all[32], copied[32], took[32];
    fct_text_bytes((double)r->bytes, all);
    fct_text_bytes((double)r->copied, copied);
    fct_text_seconds(seconds, took);
    FCT_INFO("staged %s of shards on each node, %s of it copied in %s", all, copied, took);
}

// What the copier of this node made; `is_told`: somewhere copying failed, with a warning.
static fct_status find(const fct_trainer *t, int is_told)
{
    const fct_data_paths *p = &t->paths;
    fct_status status = fct_stage_find(t->o->data_stage, p->item, p->n);
    if (status != FCT_OK && !is_told)
        FCT_WARN("%s: copies were made, but this rank does not find them: %s; it reads the shards "
                 "where they are",
                 fct_comm_host(t->comm), fct_fail_text());
    return status;
}

fct_status fct_trainer_stage(fct_trainer *t)
{
    fct_data_paths *p = &t->paths;
    fct_stage_report report;
    double start = fct_clock_s();
    FCT_TRY(fct_comm_agree(t->comm, list_items(t), "the data's paths"));
    const char *root = t->o->data_stage;
    if (!root[0] || t->spec->dry_run || p->train_n == 0)
        return FCT_OK;
    int copies = fct_comm_local_rank(t->comm) == 0;
    fct_status mine = FCT_OK;
    if (copies)
        mine = fct_stage_create(root, p->item, p->n, (fct_stage_tick){ moved, t->comm }, &p->stage,
                                &report);
    if (copies && mine != FCT_OK)
        FCT_WARN("%s: %s; the shards are read where they are", fct_comm_host(t->comm),
                 fct_fail_text());
    double failed = mine != FCT_OK; // and nobody looks before all have copied
    FCT_TRY(fct_comm_reduce_f64(t->comm, &failed, 1, FCT_SUM));
    if (!copies)
        mine = find(t, failed > 0);
    for (int i = 0; i < p->n && mine == FCT_OK; i++)
        p->open[i] = p->item[i].staged;
    if (copies && mine == FCT_OK && fct_comm_rank(t->comm) == 0)
        tell(&report, fct_clock_s() - start);
    return FCT_OK;
}

void fct_trainer_unstage(fct_trainer *t)
{
    fct_stage_destroy(t->paths.stage);
    free(t->paths.item);
    free((void *)t->paths.open);
    t->paths = (fct_data_paths){ 0 };
}
