// SPDX-License-Identifier: Apache-2.0
// SGD and AdamW over the flat buffers: neighbours with the same settings are one range, and all
// ranges go to the backend together, for a call costs a device more than the work of a small one.
#include <math.h>
#include <stdlib.h>

#include "facet/optim.h"

typedef struct { // a run of parameters, in the flat buffers
    size_t offset, bytes;
    int is_stat;
    double rate, decay;
    int64_t since; // optimiser steps before its first
} range;

enum { STATES = 3, SWAP_FLOATS = 1 << 18 }; // a moving average besides at most two moments

struct fct_optim {
    fct_optim_spec spec;
    fct_params *params;
    fct_backend *backend;
    range *ranges;
    int n_ranges;
    char *was_frozen;        // (parameters) at creation
    int n_states, n_moments; // the moving average, if any, is the last state
    fct_buffer *state[STATES];
    const char *state_name[STATES];
    fct_buffer *swap; // for swapping weights and average, a piece at a time
    // One call's operands; (parameters) each.
    fct_slice *slice;
    size_t *floats;
    double *sum;
    fct_vec_args *args;
    int64_t steps;
};

static range range_of(const fct_optim *o, const fct_param *q)
{
    const fct_optim_spec *s = &o->spec;
    range r = { .offset = q->offset, .bytes = q->bytes, .is_stat = q->kind == FCT_PARAM_STAT };
    if (r.is_stat)
        return r;
    r.rate = s->is_backbone && s->is_backbone(q->name) ? s->backbone_rate : s->head_rate;
    r.decay = q->kind == FCT_PARAM_WEIGHT || s->decay_norm_bias ? s->weight_decay : 0;
    return r;
}

static int continues(const range *a, const range *b)
{
    return a->offset + a->bytes == b->offset && a->is_stat == b->is_stat && a->rate == b->rate &&
           a->decay == b->decay && a->since == b->since;
}

fct_status fct_optim_regroup(fct_optim *o, int64_t since)
{
    int n;
    const fct_param *table = fct_params_table(o->params, &n);
    range *ranges = calloc((size_t)n + 1, sizeof *ranges);
    if (!ranges)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *ranges, "parameter groups");
    free(o->ranges);
    o->ranges = ranges;
    o->n_ranges = 0;
    for (int i = 0; i < n; i++) {
        if (table[i].frozen)
            continue;
        range r = range_of(o, &table[i]);
        r.since = o->was_frozen[i] ? since : 0;
        if (o->n_ranges && continues(&o->ranges[o->n_ranges - 1], &r))
            o->ranges[o->n_ranges - 1].bytes += r.bytes;
        else
            o->ranges[o->n_ranges++] = r;
    }
    return FCT_OK;
}

static fct_status make_ranges(fct_optim *o)
{
    int n;
    const fct_param *table = fct_params_table(o->params, &n);
    const size_t room = (size_t)n + 1;
    o->was_frozen = calloc(room, 1);
    o->slice = calloc(room, sizeof *o->slice);
    o->floats = calloc(room, sizeof *o->floats);
    o->sum = calloc(room, sizeof *o->sum);
    o->args = calloc(room, sizeof *o->args);
    if (!o->was_frozen || !o->slice || !o->floats || !o->sum || !o->args)
        return FCT_FAIL_NOMEM(room * sizeof *o->args, "the optimiser's ranges");
    for (int i = 0; i < n; i++)
        o->was_frozen[i] = table[i].frozen != 0;
    return fct_optim_regroup(o, 0);
}

static fct_status add_state(fct_optim *o, const char *name)
{
    const size_t bytes = fct_params_bytes(o->params);
    FCT_TRY(o->backend->ops->alloc(o->backend, bytes, &o->state[o->n_states]));
    o->state_name[o->n_states++] = name;
    return FCT_OK;
}

static fct_status make_states(fct_optim *o)
{
    if (o->spec.is_adamw) {
        FCT_TRY(add_state(o, "exp_avg"));
        FCT_TRY(add_state(o, "exp_avg_sq"));
    } else {
        FCT_TRY(add_state(o, "momentum"));
    }
    o->n_moments = o->n_states;
    if (o->spec.ema <= 0)
        return FCT_OK;
    FCT_TRY(add_state(o, "ema"));
    return o->backend->ops->alloc(o->backend, SWAP_FLOATS * sizeof(float), &o->swap);
}

fct_status fct_optim_create(const fct_optim_spec *spec, fct_params *params, fct_optim **out)
{
    fct_optim *o = calloc(1, sizeof *o);
    if (!o)
        return FCT_FAIL_NOMEM(sizeof *o, "the optimiser");
    o->spec = *spec;
    o->params = params;
    o->backend = fct_params_backend(params);
    fct_status status;
    FCT_TRY_GOTO(make_ranges(o), status, fail);
    FCT_TRY_GOTO(make_states(o), status, fail);
    *out = o;
    return FCT_OK;
fail:
    fct_optim_destroy(o);
    return status;
}

void fct_optim_destroy(fct_optim *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->n_states; i++)
        o->backend->ops->release(o->backend, o->state[i]);
    o->backend->ops->release(o->backend, o->swap);
    free(o->ranges);
    free(o->was_frozen);
    free(o->slice);
    free(o->floats);
    free(o->sum);
    free(o->args);
    free(o);
}

// ---- one step

static void ask_squares(const fct_optim *o, int i, size_t offset, size_t bytes)
{
    o->slice[i] = (fct_slice){ fct_params_grads(o->params), offset };
    o->floats[i] = bytes / sizeof(float);
}

static fct_status sum_squares(const fct_optim *o, int count)
{
    return count == 0
               ? FCT_OK
               : o->backend->ops->sum_squares(o->backend, o->slice, o->floats, count, o->sum);
}

// Over trained parameters; statistics only must be finite.
fct_status fct_optim_norm(const fct_optim *o, double *norm)
{
    double total = 0;
    int is_finite = 1;
    for (int i = 0; i < o->n_ranges; i++)
        ask_squares(o, i, o->ranges[i].offset, o->ranges[i].bytes);
    FCT_TRY(sum_squares(o, o->n_ranges));
    for (int i = 0; i < o->n_ranges; i++) {
        is_finite &= isfinite(o->sum[i]) != 0;
        if (!o->ranges[i].is_stat)
            total += o->sum[i];
    }
    *norm = is_finite ? sqrt(total) : (double)NAN;
    return FCT_OK;
}

fct_status fct_optim_find_bad(const fct_optim *o, int most, int *index, int *found)
{
    int n, asked = 0;
    const fct_param *table = fct_params_table(o->params, &n);
    *found = 0;
    for (int i = 0; i < n; i++)
        if (!table[i].frozen)
            ask_squares(o, asked++, table[i].offset, table[i].bytes);
    FCT_TRY(sum_squares(o, asked));
    for (int i = 0, k = 0; i < n; i++) {
        if (table[i].frozen || isfinite(o->sum[k++]))
            continue;
        if (*found < most)
            index[*found] = i;
        ++*found;
    }
    return FCT_OK;
}

static fct_slice at(fct_buffer *buffer, size_t offset)
{
    return (fct_slice){ buffer, offset };
}

static fct_vec_args stat_args(const fct_optim *o, const range *r)
{
    return (fct_vec_args){ .n = r->bytes / sizeof(float),
                           .a = at(fct_params_weights(o->params), r->offset),
                           .b = at(fct_params_grads(o->params), r->offset),
                           .s0 = (float)o->spec.stat_momentum };
}

static fct_vec_args step_args(const fct_optim *o, const range *r, double rate, double scale)
{
    const fct_optim_spec *s = &o->spec;
    fct_vec_args args = { .n = r->bytes / sizeof(float),
                          .a = at(fct_params_weights(o->params), r->offset),
                          .b = at(fct_params_grads(o->params), r->offset),
                          .c = at(o->state[0], r->offset),
                          .lr = (float)(rate * r->rate),
                          .decay = (float)r->decay,
                          .scale = (float)scale };
    if (!s->is_adamw) {
        args.s1 = (float)s->momentum;
        args.nesterov = s->nesterov;
        return args;
    }
    const double t = (double)(o->steps + 1 - r->since);
    args.d = at(o->state[1], r->offset);
    args.s1 = (float)s->beta1;
    args.s2 = (float)s->beta2;
    args.eps = (float)s->eps;
    args.correct1 = 1 - pow(s->beta1, t);
    args.correct2 = 1 - pow(s->beta2, t);
    return args;
}

// All that trains in one call, all statistics in another.
static fct_status step_ranges(const fct_optim *o, int is_stat, double rate, double scale)
{
    const fct_vec_op op = is_stat ? FCT_VEC_LERP : o->spec.is_adamw ? FCT_VEC_ADAMW : FCT_VEC_SGD;
    int count = 0;
    for (int i = 0; i < o->n_ranges; i++) {
        const range *r = &o->ranges[i];
        if (r->is_stat == is_stat)
            o->args[count++] = is_stat ? stat_args(o, r) : step_args(o, r, rate, scale);
    }
    return count == 0 ? FCT_OK : o->backend->ops->vec(o->backend, op, o->args, count);
}

static fct_status vec_whole(const fct_optim *o, fct_vec_op op, float s0)
{
    const fct_vec_args args = { .n = fct_params_bytes(o->params) / sizeof(float),
                                .a = at(o->state[o->n_moments], 0),
                                .b = at(fct_params_weights(o->params), 0),
                                .s0 = s0 };
    return o->backend->ops->vec(o->backend, op, &args, 1);
}

static fct_status step_ema(const fct_optim *o)
{
    const double t = (double)(o->steps + 1), young = (1 + t) / (10 + t);
    return vec_whole(o, FCT_VEC_LERP, (float)(1 - fmin(o->spec.ema, young)));
}

fct_status fct_optim_step(fct_optim *o, double learning_rate, double norm)
{
    const double clip = o->spec.clip_norm;
    const double scale = clip > 0 && norm > clip ? clip / norm : 1;
    const int has_ema = o->n_states > o->n_moments;
    if (has_ema && o->steps == 0)
        FCT_TRY(vec_whole(o, FCT_VEC_COPY, 0));
    FCT_TRY(step_ranges(o, 0, learning_rate, scale));
    FCT_TRY(step_ranges(o, 1, learning_rate, scale));
    if (has_ema)
        FCT_TRY(step_ema(o));
    o->steps++;
    return FCT_OK;
}

int64_t fct_optim_steps(const fct_optim *o)
{
    return o->steps;
}

void fct_optim_set_steps(fct_optim *o, int64_t steps)
{
    o->steps = steps;
}

fct_buffer *fct_optim_state(const fct_optim *o, int i, const char **name)
{
    if (i < 0 || i >= o->n_states)
        return NULL;
    *name = o->state_name[i];
    return o->state[i];
}

static fct_status copy(const fct_optim *o, fct_slice to, fct_slice from, size_t n)
{
    const fct_vec_args args = { .n = n, .a = to, .b = from };
    return o->backend->ops->vec(o->backend, FCT_VEC_COPY, &args, 1);
}

fct_status fct_optim_swap_ema(fct_optim *o)
{
    if (o->n_states == o->n_moments || o->steps == 0)
        return FCT_OK;
    const size_t total = fct_params_bytes(o->params) / sizeof(float);
    for (size_t done = 0, n; done < total; done += n) {
        n = total - done < SWAP_FLOATS ? total - done : SWAP_FLOATS;
        const fct_slice weights = at(fct_params_weights(o->params), done * sizeof(float));
        const fct_slice average = at(o->state[o->n_moments], done * sizeof(float));
        const fct_slice piece = at(o->swap, 0);
        FCT_TRY(copy(o, piece, weights, n));
        FCT_TRY(copy(o, weights, average, n));
        FCT_TRY(copy(o, average, piece, n));
    }
    return FCT_OK;
}
