// SPDX-License-Identifier: Apache-2.0
// Where each value lies in the arena: values that die in the operation that writes another lend it
// their memory, the others are packed by lifetime.
#include <stdlib.h>

#include "graph_internal.h"

enum { ALIGN_BYTES = 64 };

// Which output may be written over which input; backend.h allows these. First fit wins.
typedef struct {
    fct_op op;
    int add; // only with (1), without (0) a summand, or either (-1)
    int out, in;
} in_place_row;

static const in_place_row in_place[] = {
    { FCT_OP_ADD, -1, 0, 0 },          { FCT_OP_BN_FWD, 1, 0, 3 },
    { FCT_OP_BN_APPLY, 1, 0, 4 },      { FCT_OP_BN_INFER, -1, 0, 0 },
    { FCT_OP_BN_INFER, 1, 0, 5 },      { FCT_OP_BN_BWD, 1, 3, 1 },
    { FCT_OP_BN_BWD, 0, 0, 1 },        { FCT_OP_BN_BWD, -1, 0, 0 },
    { FCT_OP_BN_BWD_APPLY, 1, 1, 1 },  { FCT_OP_BN_BWD_APPLY, 0, 0, 1 },
    { FCT_OP_BN_BWD_APPLY, -1, 0, 0 },
};

static void try_in_place(fct_graph *g, const fct_instr *i, int step, const in_place_row *row)
{
    const fct_ref in = i->in[row->in], out = i->out[row->out];
    FCT_ASSERT(in.kind == FCT_REF_VALUE && out.kind == FCT_REF_VALUE);
    const int from = g->value[in.index].storage;
    fct_value *owner = &g->value[from], *v = &g->value[out.index];
    if (v->storage != out.index || owner->until != step || owner->keep || owner->bytes != v->bytes)
        return;
    v->storage = from;
    owner->until = v->until;
    owner->keep = v->keep;
}

static void share_in_place(fct_graph *g)
{
    const size_t n = g->backend->ops->keeps_apart ? 0 : sizeof in_place / sizeof *in_place;
    for (int step = 0; step < g->n_instr; step++) {
        const fct_instr *i = &g->instr[step];
        for (size_t r = 0; r < n; r++)
            if (in_place[r].op == i->desc.op &&
                (in_place[r].add < 0 || in_place[r].add == i->desc.attr.bn.add))
                try_in_place(g, i, step, &in_place[r]);
    }
}

// ---- packing: largest first (or by other orders), each into the tightest gap among the values
// that live at the same time. The best of several orders is taken.

typedef struct {
    fct_value *v;
    double key;
} packed;

static int by_key_down(const void *a, const void *b)
{
    const packed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return (x->v > y->v) - (x->v < y->v);
}

static int by_offset(const void *a, const void *b)
{
    const fct_value *x = *(fct_value *const *)a, *y = *(fct_value *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int meet(const fct_value *a, const fct_value *b)
{
    return a->first <= b->until && b->first <= a->until;
}

// `near`: already placed values that live at the same time, by offset.
static size_t tightest_gap(fct_value *const *near, int n, size_t bytes)
{
    size_t end = 0, best = 0, best_gap = SIZE_MAX;
    for (int i = 0; i < n; i++) {
        if (near[i]->offset > end && near[i]->offset - end >= bytes &&
            near[i]->offset - end < best_gap) {
            best_gap = near[i]->offset - end;
            best = end;
        }
        const size_t its_end = near[i]->offset + near[i]->bytes;
        end = its_end > end ? its_end : end;
    }
    return best_gap < SIZE_MAX ? best : end;
}

static size_t pack(packed *item, int n, fct_value **near)
{
    size_t total = 0;
    qsort(item, (size_t)n, sizeof *item, by_key_down);
    for (int i = 0; i < n; i++) {
        int k = 0;
        for (int j = 0; j < i; j++)
            if (meet(item[i].v, item[j].v))
                near[k++] = item[j].v;
        qsort(near, (size_t)k, sizeof *near, by_offset);
        item[i].v->offset = tightest_gap(near, k, item[i].v->bytes);
        const size_t end = item[i].v->offset + item[i].v->bytes;
        total = end > total ? end : total;
    }
    return total;
}

enum { ORDER_SIZE, ORDER_AREA, ORDER_FIRST, ORDER_LAST, ORDER_LENGTH, ORDER_COUNT };

static double order_key(const fct_value *v, int order)
{
    const double length = v->until - v->first + 1;
    switch (order) {
    case ORDER_SIZE:
        return (double)v->bytes;
    case ORDER_AREA:
        return (double)v->bytes * length;
    case ORDER_FIRST:
        return -v->first;
    case ORDER_LAST:
        return v->until;
    default:
        return length;
    }
}

static size_t pack_in_order(packed *item, int n, fct_value **near, int order)
{
    for (int i = 0; i < n; i++)
        item[i].key = order_key(item[i].v, order);
    return pack(item, n, near);
}

static size_t pack_best(packed *item, int n, fct_value **near)
{
    int best = 0;
    size_t least = SIZE_MAX;
    for (int order = 0; order < ORDER_COUNT; order++) {
        const size_t bytes = pack_in_order(item, n, near, order);
        if (bytes < least) {
            least = bytes;
            best = order;
        }
    }
    return pack_in_order(item, n, near, best);
}

static size_t lay_side_by_side(packed *item, int n)
{
    size_t end = 0;
    for (int i = 0; i < n; i++) {
        item[i].v->offset = end;
        end += item[i].v->bytes;
    }
    return end;
}

// The most bytes alive in one step, workspace aside: no packing can do with less.
static size_t most_alive(const fct_graph *g, const packed *item, int n)
{
    size_t most = 0;
    for (int step = 0; step < g->n_instr; step++) {
        size_t alive = 0;
        for (int i = 0; i < n; i++)
            if (item[i].v->first <= step && step <= item[i].v->until)
                alive += item[i].v->bytes;
        if (g->instr[step].workspace >= 0)
            alive -= g->value[g->instr[step].workspace].bytes;
        most = alive > most ? alive : most;
    }
    return most;
}

static int list_storage(fct_graph *g, packed *item)
{
    int n = 0;
    for (int i = 0; i < g->n_values; i++) {
        fct_value *v = &g->value[i];
        v->bytes = (v->bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
        if (v->storage == i)
            item[n++].v = v;
    }
    return n;
}

fct_status fct_memory_lay_out(fct_graph *g, size_t *arena_bytes)
{
    packed *item = calloc((size_t)g->n_values, sizeof *item);
    fct_value **near = calloc((size_t)g->n_values, sizeof(fct_value *));
    fct_status status = FCT_OK;
    if (!item || !near) {
        status = FCT_FAIL_NOMEM((size_t)g->n_values * sizeof *item, "the memory plan");
        goto done;
    }
    for (int i = 0; i < g->n_values; i++)
        g->value[i].until = g->value[i].last = g->value[i].keep ? g->n_instr - 1 : g->value[i].last;
    if (!g->no_sharing)
        share_in_place(g);
    const int n = list_storage(g, item);
    *arena_bytes = g->no_sharing ? lay_side_by_side(item, n) : pack_best(item, n, near);
    for (int i = 0; i < g->n_values; i++)
        g->value[i].offset = g->value[g->value[i].storage].offset;
    g->memory.activations = most_alive(g, item, n);
    g->memory.workspace = *arena_bytes - g->memory.activations;
done:
    free(near);
    free(item);
    return status;
}
