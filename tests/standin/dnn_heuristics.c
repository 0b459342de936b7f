// SPDX-License-Identifier: Apache-2.0
// Engines, what heuristics offer of them, and what can be asked of descriptors that are finalised.
// Every graph has one engine of each kind that a caller must treat differently: with little
// workspace, with more than anybody should take, with a result that differs from run to run, with
// knobs that change the workspace; those of convolutions with and without tensor cores.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dnn_standin.h"

enum { KIB = 1024, MIB = 1024 * 1024, KNOB = CUDNN_KNOB_TYPE_TILE_SIZE };

typedef struct {
    int index, knob;
} choice;

static const dnn_engine of_convolution[] = {
    { .index = 0 },
    { .index = 1, .tensor_core = 1, .workspace = 4 * KIB },
    { .index = 2, .tensor_core = 1, .workspace = 96 * MIB },
    { .index = 3, .tensor_core = 1, .is_random = 1, .workspace = MIB },
    { .index = 4, .tensor_core = 1, .workspace = 8 * KIB, .knobs = 3 },
};
static const dnn_engine of_norm[] = {
    { .index = 0, .workspace = 16 * KIB, .knobs = 2 },
    { .index = 1, .is_random = 1 },
    { .index = 2, .workspace = 80 * MIB },
};
static const choice first_of_convolution[] = { { 1, 0 }, { 4, 0 }, { 2, 0 },
                                               { 3, 0 }, { 4, 2 }, { 0, 0 } };
static const choice last_of_convolution[] = { { 0, 0 }, { 3, 0 } };
static const choice first_of_norm[] = { { 0, 0 }, { 0, 1 }, { 2, 0 }, { 1, 0 } };
static const choice last_of_norm[] = { { 0, 0 } };

static int has_convolution(const dnn_descriptor *graph)
{
    const dnn_attribute *ops = dnn_attribute_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    dnn_descriptor *const *op = ops->elements;
    for (int64_t i = 0; i < ops->count; i++)
        if (op[i]->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
            op[i]->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
            op[i]->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
            return 1;
    return 0;
}

static const dnn_engine *engines_of(const dnn_descriptor *graph, int *n)
{
    if (dnn_graph_kind(graph) == DNN_NONE) {
        *n = 0;
        return NULL;
    }
    const int conv = has_convolution(graph);
    *n = (int)(conv ? sizeof of_convolution : sizeof of_norm) / (int)sizeof(dnn_engine);
    return conv ? of_convolution : of_norm;
}

int dnn_engine_find(const dnn_descriptor *graph, int64_t index, dnn_engine *out)
{
    int n;
    const dnn_engine *e = engines_of(graph, &n);
    if (index < 0 || index >= n)
        return 0;
    *out = e[index];
    return 1;
}

static int is_wanted(const char *first, const choice *c)
{
    const int of_norms = c >= first_of_norm && c < first_of_norm + sizeof first_of_norm / sizeof *c;
    const dnn_engine *e = &(of_norms ? of_norm : of_convolution)[c->index];
    return strcmp(first, "random") == 0 ? e->is_random
                                        : strcmp(first, "large") == 0 && e->workspace > 64 * MIB;
}

// FACET_STANDIN_FIRST, random or large: what differs from run to run, or takes a large workspace,
// comes first, for tests that must not get it.
static choice choice_at(const choice *c, int n, int i)
{
    const char *first = getenv("FACET_STANDIN_FIRST");
    int at = 0;
    while (first && at < n && !is_wanted(first, &c[at]))
        at++;
    if (!first || at == n || i > at)
        return c[i];
    return i == 0 ? c[at] : c[i - 1];
}

static const choice *choices_of(const dnn_descriptor *graph, int mode, int *n)
{
    const int conv = has_convolution(graph), last = mode == CUDNN_HEUR_MODE_FALLBACK;
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))
    if (dnn_graph_kind(graph) == DNN_NONE) {
        *n = 0;
        return NULL;
    }
    if (conv)
        *n = last ? COUNT(last_of_convolution) : COUNT(first_of_convolution);
    else
        *n = last ? COUNT(last_of_norm) : COUNT(first_of_norm);
#undef COUNT
    if (conv)
        return last ? last_of_convolution : first_of_convolution;
    return last ? last_of_norm : first_of_norm;
}

// ---- descriptors that the library fills

static void put(dnn_descriptor *d, cudnnBackendAttributeName_t name, const void *value)
{
    dnn_put(d, dnn_rule_find(d->type, name), 1, value);
}

static dnn_descriptor *make(cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t d = NULL;
    cudnnBackendCreateDescriptor(type, &d);
    return d;
}

static dnn_descriptor *make_knob(int value)
{
    dnn_descriptor *d = make(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    const int64_t v = value;
    const int type = KNOB;
    put(d, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, &type);
    put(d, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, &v);
    d->is_final = 1;
    return d;
}

static void fill_config(dnn_descriptor *config, dnn_descriptor *graph, choice c)
{
    dnn_descriptor *engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    const int64_t index = c.index;
    dnn_engine e;
    put(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, &graph);
    put(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &index);
    engine->is_final = 1;
    put(config, CUDNN_ATTR_ENGINECFG_ENGINE, &engine);
    if (dnn_engine_find(graph, index, &e) && e.knobs) {
        dnn_descriptor *knob = make_knob(c.knob);
        put(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, &knob);
        dnn_drop(knob);
    }
    config->is_final = 1;
    dnn_drop(engine);
}

// As the real ones: asked for none it gives a number that is not reached; into a descriptor that is
// finished nothing comes.
static cudnnStatus_t give_results(const dnn_descriptor *d, int64_t requested, int64_t *count,
                                  void **out)
{
    enum { TOO_MANY = 3 };
    dnn_descriptor *graph = dnn_child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    int n;
    const choice *c = choices_of(graph, dnn_enum(d, CUDNN_ATTR_ENGINEHEUR_MODE, 0), &n);
    *count = requested < n ? requested : n;
    for (int64_t i = 0; i < *count; i++)
        if (!dnn_is(out[i], CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "result %d: not a configuration", (int)i);
    for (int64_t i = 0; i < *count; i++)
        if (((dnn_descriptor *)out[i])->is_final)
            *count = 0;
    for (int64_t i = 0; i < *count; i++)
        fill_config(out[i], graph, choice_at(c, n, (int)i));
    if (!requested)
        *count = n + TOO_MANY;
    return CUDNN_STATUS_SUCCESS;
}

// Fills a fresh descriptor of the caller's with the attributes of another.
static cudnnStatus_t give_copy(const dnn_descriptor *from, void *to)
{
    dnn_descriptor *d = to;
    if (!from || !dnn_is(to, from->type) || d->is_final)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "not a fresh descriptor of the right type");
    for (int i = 0; i < from->attributes; i++)
        dnn_put(d, dnn_rule_find(d->type, from->attribute[i].name), from->attribute[i].count,
                from->attribute[i].elements);
    d->is_final = 1;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_notes(const dnn_descriptor *d, int is_behavior, int64_t requested,
                                int64_t *count, void *out)
{
    const dnn_descriptor *graph = dnn_child(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    int note[2], n = 0;
    dnn_engine e;
    if (!dnn_engine_find(graph, dnn_integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1), &e))
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "no such engine");
    if (is_behavior && dnn_graph_kind(graph) == DNN_FUSED)
        note[n++] = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    if (!is_behavior && e.tensor_core)
        note[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (!is_behavior && e.is_random)
        note[n++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    *count = requested && requested < n ? requested : n;
    if (requested)
        memcpy(out, note, (size_t)*count * sizeof *note);
    return CUDNN_STATUS_SUCCESS;
}

static int64_t knob_of(const dnn_descriptor *config)
{
    const dnn_descriptor *knob = dnn_child(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES);
    return knob ? dnn_integer(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 0) : 0;
}

static int engine_of(const dnn_descriptor *config, dnn_engine *out)
{
    const dnn_descriptor *d = dnn_child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    return dnn_engine_find(dnn_child(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH),
                           dnn_integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1), out);
}

size_t dnn_config_workspace(const dnn_descriptor *config)
{
    dnn_engine e = { .index = 0 };
    engine_of(config, &e);
    return e.workspace * (size_t)(1 + knob_of(config));
}

cudnnStatus_t dnn_config_check(const dnn_descriptor *config)
{
    const dnn_attribute *knobs = dnn_attribute_of(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES);
    dnn_engine e;
    if (!engine_of(config, &e))
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "no such engine");
    if (!knobs)
        return CUDNN_STATUS_SUCCESS;
    const dnn_descriptor *knob = *(dnn_descriptor *const *)knobs->elements;
    const int64_t value = knob_of(config);
    if (knobs->count > 1 || dnn_enum(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, -1) != KNOB ||
        value < 0 || value >= e.knobs)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "engine %d has no such knob, or not that value",
                        e.index);
    return CUDNN_STATUS_SUCCESS;
}

// ---- what can be asked

static cudnnStatus_t give_one(int64_t value, cudnnBackendAttributeType_t type, int64_t requested,
                              int64_t *count, void *out)
{
    if (type != CUDNN_TYPE_INT64)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "type %d, not INT64", (int)type);
    *count = 1;
    if (requested > 0)
        memcpy(out, &value, sizeof value);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_text(const dnn_descriptor *plan, int64_t requested, int64_t *count,
                               void *out)
{
    const dnn_descriptor *config = dnn_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    char text[96];
    dnn_engine e = { .index = 0 };
    engine_of(config, &e);
    const int n =
        snprintf(text, sizeof text, "{\"engineId\":%d,\"knob\":%d}", e.index, (int)knob_of(config));
    *count = requested && requested < n ? requested : n;
    if (requested)
        memcpy(out, text, (size_t)*count);
    return CUDNN_STATUS_SUCCESS;
}

// What was set is given back; descriptors in it are not.
static cudnnStatus_t give_set(const dnn_descriptor *d, cudnnBackendAttributeName_t name,
                              cudnnBackendAttributeType_t type, int64_t requested, int64_t *count,
                              void *out)
{
    const dnn_rule *rule = dnn_rule_find(d->type, name);
    const dnn_attribute *a = dnn_attribute_of(d, name);
    if (!rule || rule->type == CUDNN_TYPE_BACKEND_DESCRIPTOR || rule->type == CUDNN_TYPE_FLOAT)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d cannot be asked for", (int)name);
    if (type != rule->type)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d: type %d, not %d",
                        (int)name, (int)type, (int)rule->type);
    *count = a ? a->count : 0;
    if (requested && requested < *count)
        *count = requested;
    if (requested && a)
        memcpy(out, a->elements, (size_t)*count * dnn_element_bytes(type));
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give(dnn_descriptor *d, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t requested, int64_t *count,
                          void *out)
{
    int n;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        return give_results(d, requested, count, out);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
        *count = requested && dnn_child(d, name) ? 1 : 0;
        return *count ? give_copy(dnn_child(d, name), *(void **)out) : CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
        return give_notes(d, name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, requested, count, out);
    case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT:
        engines_of(d, &n);
        return give_one(n, type, requested, count, out);
    case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
        return give_one((int64_t)dnn_config_workspace(d), type, requested, count, out);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        return give_one(
            (int64_t)dnn_config_workspace(dnn_child(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)),
            type, requested, count, out);
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
        return give_text(d, requested, count, out);
    default:
        return give_set(d, name, type, requested, count, out);
    }
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested,
                                       int64_t *count, void *elements)
{
    static const struct {
        cudnnBackendAttributeName_t name;
        cudnnBackendDescriptorType_t of;
    } owner[] = {
        { CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR },
        { CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR },
        { CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR },
        { CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR },
        { CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_BACKEND_ENGINE_DESCRIPTOR },
        { CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_BACKEND_ENGINE_DESCRIPTOR },
        { CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR },
        { CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR },
        { CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR },
    };
    dnn_descriptor *d = descriptor;
    int64_t ignored;
    if (!d || !dnn_is(d, d->type))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    if (!d->is_final)
        return dnn_fail(CUDNN_STATUS_NOT_INITIALIZED, "the descriptor is not finalised");
    if (requested < 0 || (requested > 0 && !elements))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: nowhere to put it", (int)name);
    for (size_t i = 0; i < sizeof owner / sizeof *owner; i++)
        if (owner[i].name == name && owner[i].of != d->type)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "a descriptor of type %d has no attribute %d",
                            (int)d->type, (int)name);
    return give(d, name, type, requested, count ? count : &ignored, elements);
}
