// SPDX-License-Identifier: Apache-2.0
// train.exact: the same bits for every number of ranks that divides the number of shards. A global
// batch is cut into V shards; each goes through the network alone, as if it had a rank to itself.
// Gradients, batch statistics and losses are then added in one balanced binary tree over the V
// shards, whose lower levels lie within a rank and whose upper ones between ranks.
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "part.h"

struct fct_exact {
    int count, levels;    // shards of this rank; levels of the tree within it
    fct_buffer **partial; // (levels) gradients of a finished subtree that waits for its neighbour
    fct_sums *sums;       // (levels) its sums
    double waited_s;
};

int fct_exact_levels(int64_t shards, int ranks)
{
    int levels = 0;
    while (shards / ranks >> (levels + 1))
        levels++;
    return levels;
}

fct_status fct_exact_check(const fct_options *o, int ranks)
{
    long long shards = o->train_exact_shards;
    if (!o->train_exact)
        return FCT_OK;
    if (shards & (shards - 1))
        return FCT_FAIL(FCT_E_ARG,
                        "train.exact_shards is %lld, not a power of two\nset 1, 2, 4, 8, ...",
                        shards);
    if (shards % ranks)
        return FCT_FAIL(FCT_E_ARG,
                        "train.exact: %d ranks do not divide train.exact_shards %lld\n"
                        "start 1, 2, 4, ... up to %lld ranks, or leave train.exact off",
                        ranks, shards, shards);
    if (!strcmp(o->cluster_backend, "cuda"))
        return FCT_FAIL(FCT_E_ARG,
                        "train.exact and cluster.backend=cuda exclude each other: a device adds in "
                        "an order of its own\nset cluster.backend=cpu, or train.deterministic for "
                        "the same bits on as many ranks");
    if (o->train_sync_bn)
        return FCT_FAIL(FCT_E_ARG, "train.exact and train.sync_bn exclude each other: exact batch "
                                   "norm is by shard\nleave one of them off");
    return FCT_OK;
}

fct_status fct_exact_create(fct_trainer *t)
{
    const int ranks = fct_comm_size(t->comm),
              levels = fct_exact_levels(t->o->train_exact_shards, ranks);
    fct_exact *e = t->exact = calloc(1, sizeof *e);
    if (!e)
        return FCT_FAIL_NOMEM(sizeof *e, "sums in a tree");
    e->count = (int)t->o->train_exact_shards / ranks;
    e->partial = calloc((size_t)levels + 1, sizeof *e->partial);
    e->sums = calloc((size_t)levels + 1, sizeof *e->sums);
    if (!e->partial || !e->sums)
        return FCT_FAIL_NOMEM((size_t)levels * sizeof *e->sums, "sums in a tree");
    for (; e->levels < levels; e->levels++)
        FCT_TRY(t->net->backend->ops->alloc(t->net->backend, fct_params_bytes(t->net->params),
                                            &e->partial[e->levels]));
    return FCT_OK;
}

void fct_exact_destroy(fct_trainer *t)
{
    fct_exact *e = t->exact;
    if (!e)
        return;
    for (int i = 0; i < e->levels; i++)
        t->net->backend->ops->release(t->net->backend, e->partial[i]);
    free(e->partial);
    free(e->sums);
    free(e);
}

// Shard i of this rank's, as a batch of its own.
static fct_batch shard_of(const fct_trainer *t, const fct_batch *b, int i)
{
    const int count = t->exact->count, shards = count * fct_comm_size(t->comm),
              first = fct_comm_rank(t->comm) * count;
    const fct_model_spec *m = &t->net->spec.model;
    int64_t base, end, low, high, unused, points = 2 * fct_mix_describe(t->train_mix)->landmarks;
    fct_sampler_slice(b->global_rows, first, shards, &base, &unused);
    fct_sampler_slice(b->global_rows, first + count - 1, shards, &unused, &end);
    FCT_ASSERT(end - base == b->rows); // slices nest
    fct_sampler_slice(b->global_rows, first + i, shards, &low, &high);
    fct_batch s = *b;
    s.rows = high - low;
    s.rgb += (low - base) * m->height * m->width * 3;
    s.picture += low - base;
    s.expression += low - base;
    s.identity += low - base;
    s.landmarks += (low - base) * points;
    s.landmarks_valid += low - base;
    return s;
}

static void add_sums(fct_sums *to, const fct_sums *from)
{
    for (int i = 0; i < FCT_SUMS; i++)
        to->v[i] += from->v[i];
}

// As a binary counter carries: after shard i every finished pair of neighbours is one subtree. The
// gradients of shard i come in the gradient buffer, where those of the last stay, as the root.
static fct_status carry(fct_trainer *t, int i, fct_sums *sums, int with_gradients)
{
    fct_exact *e = t->exact;
    fct_buffer *grads = fct_params_grads(t->net->params);
    int level = 0;
    for (; i >> level & 1; level++) {
        add_sums(sums, &e->sums[level]);
        if (with_gradients)
            FCT_TRY(fct_part_vec(t, FCT_VEC_AXPY, grads, e->partial[level], 1));
    }
    if (i == e->count - 1)
        return FCT_OK;
    e->sums[level] = *sums;
    return with_gradients ? fct_part_vec(t, FCT_VEC_COPY, e->partial[level], grads, 0) : FCT_OK;
}

// A shard of its own needs nobody else's sums.
static void moved_hook(void *ctx)
{
    fct_watchdog_tick(ctx);
}

static fct_graph_hooks hooks_of(const fct_trainer *t)
{
    return (fct_graph_hooks){ .ctx = t->comm, .moved = moved_hook };
}

static fct_status find_initial(fct_trainer *t, const fct_batch *b)
{
    const fct_graph_hooks hooks = hooks_of(t);
    fct_sums sums = { { 0 } };
    for (int i = 0; i < t->exact->count; i++) {
        const fct_batch shard = shard_of(t, b, i);
        sums = (fct_sums){ { 0 } };
        FCT_TRY(fct_part_losses(t, &shard, &hooks, &sums));
        FCT_TRY(carry(t, i, &sums, 0));
    }
    FCT_TRY(fct_comm_sum_tree_f64(t->comm, sums.v, FCT_SUMS));
    fct_part_set_initial(t, &sums);
    return FCT_OK;
}

static fct_status sum_over_ranks(fct_trainer *t, fct_sums *sums)
{
    const double start_s = fct_clock_s();
    float *grads = fct_buckets_memory(t->net->buckets);
    FCT_TRY(t->net->backend->ops->sync(t->net->backend));
    FCT_TRY(
        fct_comm_sum_tree_f32(t->comm, grads, fct_params_bytes(t->net->params) / sizeof *grads));
    FCT_TRY(fct_comm_sum_tree_f64(t->comm, sums->v, FCT_SUMS));
    t->exact->waited_s += fct_clock_s() - start_s;
    return FCT_OK;
}

// With several parts each is summed over all ranks by itself: parts are added last, alike
// everywhere.
static fct_status exact_part(fct_trainer *t, const fct_batch *b, const double *denominator,
                             int part, int parts, fct_sums *sums)
{
    double weighed[FCT_TASKS], share = fct_part_weigh(t, b, part, parts, denominator, weighed);
    const fct_graph_hooks hooks = hooks_of(t);
    fct_sums mine = { { 0 } };
    if (fct_part_lacks_initial(t, part))
        FCT_TRY(find_initial(t, b));
    for (int i = 0; i < t->exact->count; i++) {
        const fct_batch shard = shard_of(t, b, i);
        mine = (fct_sums){ { 0 } };
        FCT_TRY(fct_part_backward(t, &shard, weighed, &hooks, &mine));
        FCT_TRY(carry(t, i, &mine, 1));
    }
    FCT_TRY(sum_over_ranks(t, &mine));
    add_sums(sums, &mine);
    return fct_part_set_aside(t, share, part, parts);
}

// The parts have summed everything already; only who wants the step skipped is still to be said.
static fct_status exact_sum_gradients(fct_trainer *t, double *waited_s)
{
    *waited_s = t->exact->waited_s;
    t->exact->waited_s = 0;
    return FCT_OK;
}

static fct_status exact_sum_losses(fct_trainer *t, fct_sums *sums)
{
    return fct_comm_reduce_f64(t->comm, &sums->v[FCT_SUM_SKIPPED], 1, FCT_MAX);
}

const fct_step_way fct_step_exact = { exact_part, exact_sum_gradients, exact_sum_losses,
                                      fct_part_next, NULL };
