// SPDX-License-Identifier: Apache-2.0
// Puts a network together: one set of parameters, one arena, a graph for each batch size.
#include <stdlib.h>
#include <string.h>

#include "facet/sampler.h"
#include "net.h"

static fct_model_spec model_of(const fct_net *n, int training)
{
    fct_model_spec m = n->spec.model;
    if (training && n->spec.freeze_first && n->phase == 0)
        m.freeze = n->spec.freeze_first;
    return m;
}

static fct_status add_graph(fct_net *n, int64_t rows, int64_t global_rows, int training,
                            fct_graph **out)
{
    fct_graph_spec gs = { .batch = rows,
                          .global_batch = global_rows,
                          .training = training,
                          .sync_bn = training && n->spec.sync_bn };
    const fct_model_spec ms = model_of(n, training);
    fct_model model;
    FCT_TRY(fct_graph_create(n->params, &gs, out));
    FCT_TRY(fct_model_build(*out, &ms, &model));
    n->features = (int)fct_graph_shape(*out, model.embedding).dim[1];
    return fct_graph_compile(*out, n->arena);
}

// For slice `i` of `slices`, unless one of its size is there already.
static fct_status add_slice(fct_net *n, int64_t global_rows, int i, int slices)
{
    int64_t low, high;
    fct_sampler_slice(global_rows, i, slices, &low, &high);
    if (high == low || fct_net_graph(n, high - low, global_rows))
        return FCT_OK;
    FCT_ASSERT(n->trains < (int)(sizeof n->train / sizeof *n->train));
    n->train[n->trains].rows = high - low;
    n->train[n->trains].global_rows = global_rows;
    n->train[n->trains].phase = n->phase;
    return add_graph(n, high - low, global_rows, 1, &n->train[n->trains++].graph);
}

// The tail of an epoch may be smaller: a step that learns little is better than pictures left out.
static fct_status check_least_rows(const fct_net *n)
{
    const int slices = n->spec.shards ? n->spec.shards : fct_comm_size(n->spec.comm);
    const int64_t least = fct_model_least_rows(n->spec.model.backbone);
    if (n->spec.sync_bn || n->spec.batch / slices >= least)
        return FCT_OK;
    return FCT_FAIL(
        FCT_E_ARG,
        "%s needs at least %lld pictures of a step in one place, for its last batch norm "
        "has one value a picture: data.batch_size %lld is too small for %d %s\n"
        "raise data.batch_size, or set train.sync_bn to true",
        n->spec.model.backbone, (long long)least, (long long)n->spec.batch, slices,
        n->spec.shards ? "shards" : "ranks");
}

// With shards all ranks have all graphs, and so one plan of the memory.
static fct_status add_training_graphs(fct_net *n)
{
    const int64_t size[2] = { n->spec.batch, n->spec.tail };
    FCT_TRY(check_least_rows(n));
    for (int k = 0; k < 2; k++) {
        if (n->spec.shards == 0)
            FCT_TRY(
                add_slice(n, size[k], fct_comm_rank(n->spec.comm), fct_comm_size(n->spec.comm)));
        for (int i = 0; i < n->spec.shards; i++)
            FCT_TRY(add_slice(n, size[k], i, n->spec.shards));
    }
    return FCT_OK;
}

// A graph that is built and dropped again marks the table, also on a rank without rows of its own.
fct_status fct_net_set_phase(fct_net *n, int phase)
{
    const fct_graph_spec gs = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    fct_model model;
    n->phase = phase;
    const fct_model_spec ms = model_of(n, 1);
    fct_params_thaw(n->params);
    FCT_TRY(fct_graph_create(n->params, &gs, &g));
    fct_status status = fct_model_build(g, &ms, &model);
    fct_graph_destroy(g);
    return status;
}

// The last phase first: the net is then in the first.
static fct_status add_phases(fct_net *n)
{
    for (int phase = n->spec.freeze_first ? 1 : 0; phase >= 0; phase--) {
        FCT_TRY(fct_net_set_phase(n, phase));
        FCT_TRY(add_training_graphs(n));
    }
    return FCT_OK;
}

static fct_status build(fct_net *n)
{
    FCT_TRY(fct_params_create(n->backend, &n->params));
    FCT_TRY(fct_arena_create(n->backend, &n->arena));
    if (n->spec.batch > 0)
        FCT_TRY(add_phases(n));
    if (n->spec.eval_rows > 0)
        FCT_TRY(add_graph(n, n->spec.eval_rows, n->spec.eval_rows, 0, &n->eval));
    n->log_var = fct_params_find(n->params, "balance.log_var");
    return FCT_OK;
}

// On devices the ranks choose the algorithms of an operation alike: the first rank measures them.
static fct_status build_on_all(fct_net *n)
{
    const char *what = "building the network";
    fct_comm *c = n->spec.comm;
    if (!n->place.ops || !n->spec.device.is_autotuned || fct_comm_size(c) == 1)
        return fct_comm_agree(c, build(n), what);
    FCT_TRY(fct_comm_agree(c, fct_comm_rank(c) == 0 ? build(n) : FCT_OK, what));
    FCT_TRY(fct_net_share_choices(n));
    return fct_comm_agree(c, fct_comm_rank(c) == 0 ? FCT_OK : build(n), what);
}

static fct_status take_device_memory(fct_net *n)
{
    FCT_TRY(fct_params_seal(n->params, NULL));
    return fct_arena_seal(n->arena);
}

// Its parts agree each by itself: the ranks meet in them.
static fct_status take_memory_there(fct_net *n)
{
    FCT_TRY(fct_net_connect(n));
    FCT_TRY(fct_comm_agree(n->spec.comm, take_device_memory(n), "taking a device's memory"));
    return fct_net_make_buckets(n);
}

static fct_status take_memory(fct_net *n)
{
    if (n->spec.batch > 0)
        FCT_TRY(fct_buckets_create(n->spec.comm, fct_params_bytes(n->params), n->spec.bucket_bytes,
                                   &n->buckets));
    FCT_TRY(fct_params_seal(n->params, n->buckets ? fct_buckets_memory(n->buckets) : NULL));
    return fct_arena_seal(n->arena);
}

fct_status fct_net_create(const fct_net_spec *spec, fct_net **out)
{
    fct_net *n = calloc(1, sizeof *n);
    if (!n)
        return FCT_FAIL_NOMEM(sizeof *n, "a network");
    n->spec = *spec;
    fct_status status = fct_net_choose(n);
    if (status == FCT_OK)
        status = build_on_all(n);
    if (status == FCT_OK && !spec->plan_only)
        status = n->place.ops
                     ? take_memory_there(n)
                     : fct_comm_agree(spec->comm, take_memory(n), "taking the network's memory");
    if (status != FCT_OK)
        fct_net_destroy(n);
    else
        *out = n;
    return status;
}

void fct_net_destroy(fct_net *n)
{
    if (!n)
        return;
    fct_graph_destroy(n->eval);
    for (int i = 0; i < n->trains; i++)
        fct_graph_destroy(n->train[i].graph);
    fct_arena_destroy(n->arena);
    fct_net_disconnect(n); // its buckets know the gradients' memory
    fct_params_destroy(n->params);
    if (n->buckets) // the gradients lie in them
        fct_buckets_destroy(n->buckets);
    if (n->backend)
        n->backend->ops->destroy(n->backend);
    free(n);
}

int fct_net_index(const fct_net *n, int64_t rows, int64_t global_rows)
{
    for (int i = 0; i < n->trains; i++)
        if (n->train[i].phase == n->phase && n->train[i].rows == rows &&
            n->train[i].global_rows == global_rows)
            return i;
    return -1;
}

fct_graph *fct_net_graph(const fct_net *n, int64_t rows, int64_t global_rows)
{
    const int i = fct_net_index(n, rows, global_rows);
    return i < 0 ? NULL : n->train[i].graph;
}

static void most_memory(fct_graph_memory *most, const fct_graph *g)
{
    fct_graph_memory m = { 0 };
    fct_graph_memory_plan(g, &m);
    most->activations = m.activations > most->activations ? m.activations : most->activations;
    most->workspace = m.workspace > most->workspace ? m.workspace : most->workspace;
    most->parameters = m.parameters;
    most->gradients = m.gradients > most->gradients ? m.gradients : most->gradients;
}

void fct_net_memory(const fct_net *n, fct_graph_memory *out)
{
    *out = (fct_graph_memory){ 0 };
    for (int i = 0; i < n->trains; i++)
        most_memory(out, n->train[i].graph);
    if (n->eval)
        most_memory(out, n->eval);
}
