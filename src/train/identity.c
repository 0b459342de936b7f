// SPDX-License-Identifier: Apache-2.0
// The identity task in the trainer: the head from the options, its part of a step, its share of the
// gradient's norm, its update.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/fault.h"
#include "facet/log.h"
#include "trainer.h"

int fct_identity_is_sharded(const fct_options *o)
{
    return o->tasks_identity && !strcmp(o->model_head, "sharded");
}

fct_status fct_identity_check(const fct_options *o)
{
    const int wants_sharded = !strcmp(o->model_head, "sharded");
    if (wants_sharded && !o->tasks_identity)
        return FCT_FAIL(FCT_E_ARG, "model.head is sharded, but tasks.identity is off: there is no "
                                   "identity head\nset tasks.identity=true");
    if (!o->tasks_identity)
        return FCT_OK;
    if (wants_sharded && o->train_exact)
        return FCT_FAIL(FCT_E_ARG,
                        "model.head=sharded and train.exact exclude each other: a sharded softmax "
                        "adds in the order of the ranks\nleave train.exact off, or "
                        "model.head=replicated");
    if (o->model_head_sample < 1 && !wants_sharded)
        return FCT_FAIL(FCT_E_ARG,
                        "model.head_sample %g: only a sharded head trains a sample of "
                        "its persons\nset model.head=sharded, or model.head_sample=1",
                        o->model_head_sample);
    if (o->model_head_sample < 1 && o->train_accumulate > 1)
        return FCT_FAIL(FCT_E_ARG,
                        "model.head_sample %g and train.accumulate %lld exclude each other: the "
                        "persons of a sample are one batch's\nleave one of them at 1",
                        o->model_head_sample, (long long)o->train_accumulate);
    if (o->loss_triplet_weight > 0 && o->train_exact)
        return FCT_FAIL(FCT_E_ARG, "loss.triplet_weight and train.exact exclude each other: the "
                                   "hardest pictures are looked for among all ranks'\nleave one "
                                   "of them off");
    return FCT_OK;
}

int64_t fct_identity_rows(const fct_options *o, const fct_tasks *t)
{
    return fct_identity_is_sharded(o) ? 0 : t->identities * o->model_sub_centres;
}

fct_optim_spec fct_identity_optim(const fct_options *o)
{
    return (fct_optim_spec){ .is_adamw = !strcmp(o->optim_optimizer, "adamw"),
                             .momentum = o->optim_momentum,
                             .nesterov = o->optim_nesterov,
                             .beta1 = o->optim_beta1,
                             .beta2 = o->optim_beta2,
                             .eps = o->optim_eps,
                             .weight_decay = o->optim_weight_decay,
                             .decay_norm_bias = o->optim_decay_norm_bias,
                             .backbone_rate = 1,
                             .head_rate = o->optim_differential_lr ? o->optim_head_rate : 1,
                             .is_backbone = fct_model_is_backbone,
                             .clip_norm = o->optim_clip_norm,
                             .stat_momentum = 0.1,
                             .ema = o->optim_ema };
}

static fct_margin_spec margin_of(const fct_options *o)
{
    fct_margin_spec m = { 1, 0, 0, o->loss_identity_scale };
    if (!strcmp(o->loss_identity, "arcface"))
        m.m2 = o->loss_margin;
    else if (!strcmp(o->loss_identity, "cosface"))
        m.m3 = o->loss_margin;
    else if (!strcmp(o->loss_identity, "combined"))
        m = (fct_margin_spec){ o->loss_margin_m1, o->loss_margin_m2, o->loss_margin_m3, m.scale };
    return m;
}

double fct_identity_margin(const fct_options *o, double share)
{
    return !strcmp(o->loss_identity, "softmax")    ? 0
           : !strcmp(o->loss_identity, "combined") ? share
                                                   : share * o->loss_margin;
}

fct_head_spec fct_identity_spec(const fct_options *o, const fct_net *net, const fct_tasks *t,
                                int64_t rows)
{
    return (fct_head_spec){ .comm = net->spec.comm,
                            .links = net->place.links,
                            .backend = net->backend,
                            .classes = t->identities,
                            .centres = (int)o->model_sub_centres,
                            .features = t->features,
                            .rows = rows,
                            .margin = margin_of(o),
                            .triplet_weight = o->loss_triplet_weight,
                            .triplet_margin = o->loss_triplet_margin,
                            .is_sharded = fct_identity_is_sharded(o),
                            .sample = o->model_head_sample,
                            .seed = (uint64_t)o->train_seed,
                            .optim = fct_identity_optim(o),
                            .params = net->params };
}

double fct_identity_ramp(const fct_trainer *t, int64_t step)
{
    const double steps = t->o->loss_margin_ramp_epochs * (double)t->steps;
    return steps > 0 && (double)step < steps ? (double)step / steps : 1;
}

fct_head_spec fct_identity_plan(const fct_trainer *t)
{
    int64_t low, high, eval = t->net->spec.eval_rows;
    fct_sampler_slice(fct_sampler_batch_size(t->sampler, 0), 0, fct_comm_size(t->comm), &low,
                      &high); // rank 0 has the most
    return fct_identity_spec(t->o, t->net, &t->tasks, high - low > eval ? high - low : eval);
}

fct_status fct_identity_create(fct_trainer *t)
{
    if (!t->tasks.identities)
        return FCT_OK;
    if (t->o->loss_triplet_weight > 0 && strcmp(t->o->sampler_kind, "pk") &&
        fct_comm_rank(t->comm) == 0)
        FCT_WARN("loss.triplet_weight: a batch rarely holds two pictures of a person unless "
                 "sampler.kind is pk");
    const fct_head_spec spec = fct_identity_plan(t);
    if (t->net->place.ops)
        FCT_TRY(fct_comm_agree(t->comm,
                               fct_net_check_room(t->net, (double)fct_head_plan_bytes(&spec)),
                               "looking for room on the devices"));
    // A replicated one can lack memory on one rank alone.
    FCT_TRY(fct_comm_agree(t->comm, fct_head_create(&spec, &t->head), "the identity head"));
    return fct_comm_agree(t->comm, fct_head_init(t->head), "the identity head's first values");
}

// For tests: the middle row's embedding becomes NaN, or this rank fails where others wait for it.
static fct_status spoil(const fct_trainer *t, const fct_batch *b)
{
    if (b->rows > 0 && fct_fault("train.embedding"))
        t->outputs.embedding[b->rows / 2 * t->tasks.features] = NAN;
    return fct_fault("train.head") ? FCT_FAIL(FCT_E_IO, "injected: the identity head failed")
                                   : FCT_OK;
}

fct_status fct_identity_part(fct_trainer *t, fct_graph *g, const fct_batch *b,
                             const double *denominator, int train, fct_sums *sums)
{
    if (!t->tasks.identities)
        return FCT_OK;
    double factor[FCT_MAX_TASKS];
    fct_head_sums s = { 0 };
    fct_head_step step = t->head_step;
    fct_balance_factors(&t->tasks.balance, t->tasks.log_var, t->tasks.initial, factor);
    step.denominator = denominator[FCT_TASK_IDENTITY];
    step.factor = factor[t->tasks.index[FCT_TASK_IDENTITY]];
    step.margin_share = fct_identity_ramp(t, step.step);
    if (b->rows > 0)
        FCT_TRY(fct_graph_read(g, "embedding", t->outputs.embedding));
    FCT_TRY(spoil(t, b));
    FCT_TRY(fct_head_train(t->head, &step, b->rows, t->outputs.embedding, b->identity,
                           t->outputs.dembedding, &s));
    sums->v[FCT_SUM_IDENTITY_LOSS] += s.loss;
    sums->v[FCT_SUM_IDENTITY_COUNT] += s.count;
    sums->v[FCT_SUM_IDENTITY_RIGHT] += s.right;
    sums->v[FCT_SUM_TRIPLET] += s.triplet;
    sums->v[FCT_SUM_TRIPLET_COUNT] += s.anchors;
    sums->v[FCT_SUM_LOGIT_SPREAD] += s.spread;
    return train && b->rows > 0 ? fct_graph_write_grad(g, "embedding", t->outputs.dembedding)
                                : FCT_OK;
}

fct_status fct_identity_norm(fct_trainer *t, fct_sums *sums)
{
    double square = 0;
    if (t->head)
        FCT_TRY(fct_head_norm(t->head, &square));
    t->head_is_bad = !isfinite(square);
    sums->v[FCT_SUM_HEAD_SQUARE] = square;
    return FCT_OK;
}

fct_status fct_identity_update(fct_trainer *t, double rate, double norm)
{
    return t->head ? fct_head_update(t->head, rate, norm) : FCT_OK;
}
