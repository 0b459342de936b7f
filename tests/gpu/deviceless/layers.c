// SPDX-License-Identifier: Apache-2.0
// A backend that only writes down what it is asked to plan.
#include "layers.h"

#include <stdlib.h>
#include <string.h>

#include "facet/graph.h"
#include "facet/model.h"

typedef struct {
    fct_backend base;
    fct_layers *layers;
} recorder;

static int is_wanted(fct_op op)
{
    return op == FCT_OP_CONV_FWD || op == FCT_OP_CONV_BWD_DATA || op == FCT_OP_CONV_BWD_WEIGHT ||
           op == FCT_OP_BN_FWD || op == FCT_OP_BN_BWD;
}

// Two descriptions are the same layer when their bytes are: all were zeroed before they were set.
static fct_status note(fct_layers *l, const fct_op_desc *d)
{
    for (int i = 0; i < l->n; i++)
        if (memcmp(&l->at[i], d, sizeof *d) == 0)
            return FCT_OK;
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        fct_op_desc *more = realloc(l->at, (size_t)l->capacity * sizeof *more);
        if (!more)
            return FCT_FAIL_NOMEM((size_t)l->capacity * sizeof *more, "layers");
        l->at = more;
    }
    memcpy(&l->at[l->n++], d, sizeof *d);
    return FCT_OK;
}

static fct_status plan(fct_backend *b, const fct_op_desc *d, fct_plan **out)
{
    static fct_plan any;
    *out = &any;
    return is_wanted(d->op) ? note(((recorder *)b)->layers, d) : FCT_OK;
}

static size_t workspace_bytes(const fct_plan *p)
{
    (void)p;
    return 0;
}

static void plan_destroy(fct_plan *p)
{
    (void)p;
}

static size_t bytes(fct_backend *b, const fct_shape *s)
{
    (void)b;
    return (size_t)fct_shape_elements(s) * 4;
}

static void release(fct_backend *b, fct_buffer *m)
{
    (void)b;
    (void)m;
}

static const fct_backend_ops table = { .name = "recorder",
                                       .plan = plan,
                                       .plan_destroy = plan_destroy,
                                       .workspace_bytes = workspace_bytes,
                                       .bytes = bytes,
                                       .release = release,
                                       .fuses = FCT_FUSE_DGRAD_ADD,
                                       .keeps_apart = 1 };

static fct_status compile(fct_graph *g, fct_backend *b, const char *backbone, int size)
{
    const fct_model_spec spec = { .backbone = backbone,
                                  .stem = "auto",
                                  .height = size,
                                  .width = size,
                                  .std = { 1, 1, 1 },
                                  .embedding = 512,
                                  .expressions = 8,
                                  .landmarks = 5,
                                  .freeze = "none",
                                  .log_vars = 2 };
    fct_model nodes;
    fct_arena *arena;
    FCT_TRY(fct_model_build(g, &spec, &nodes));
    FCT_TRY(fct_arena_create(b, &arena));
    fct_status s = fct_graph_compile(g, arena);
    fct_arena_destroy(arena);
    return s;
}

fct_status fct_layers_add(fct_layers *l, const char *backbone, int size, int64_t batch)
{
    recorder b = { { &table }, l };
    const fct_graph_spec spec = { .batch = batch, .global_batch = batch, .training = 1 };
    fct_params *params;
    fct_graph *g = NULL;
    FCT_TRY(fct_params_create(&b.base, &params));
    fct_status s = fct_graph_create(params, &spec, &g);
    if (s == FCT_OK)
        s = compile(g, &b.base, backbone, size);
    fct_graph_destroy(g);
    fct_params_destroy(params);
    return s;
}

void fct_layers_release(fct_layers *l)
{
    free(l->at);
    *l = (fct_layers){ 0 };
}
