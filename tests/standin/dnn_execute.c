// SPDX-License-Identifier: Apache-2.0
// A plan on a stream: arguments are looked at and copied when it is executed, the arithmetic is
// done when the stream comes to it.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dnn_standin.h"
#include "standin.h"

typedef struct {
    dnn_run run;
    int64_t scalar[DNN_MAX_TENSORS]; // copies of what is given by value
    dnn_descriptor *plan;
    void *workspace;
    size_t workspace_bytes;
} task;

static const dnn_descriptor *graph_of(const dnn_descriptor *plan)
{
    const dnn_descriptor *config = dnn_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const dnn_descriptor *engine = dnn_child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    return dnn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
}

// ---- values while a plan runs

dnn_slot *dnn_slot_of(dnn_run *run, const dnn_descriptor *tensor)
{
    const int64_t uid = tensor ? dnn_integer(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0) : 0;
    for (int i = 0; tensor && i < run->slots; i++)
        if (run->slot[i].t.uid == uid)
            return &run->slot[i];
    return NULL;
}

float *dnn_in(dnn_run *run, const dnn_descriptor *tensor)
{
    dnn_slot *s = dnn_slot_of(run, tensor);
    if (s && !s->v) {
        s->v = malloc((size_t)dnn_elements(&s->t) * sizeof *s->v);
        dnn_load(&s->t, s->at, s->v);
    }
    return s ? s->v : NULL;
}

float *dnn_out(dnn_run *run, const dnn_descriptor *tensor)
{
    dnn_slot *s = dnn_slot_of(run, tensor);
    if (s && !s->v)
        s->v = malloc((size_t)dnn_elements(&s->t) * sizeof *s->v);
    return s ? s->v : NULL;
}

// The last bits of a result that depends on the order of additions: some elements are moved by half
// a unit in the last place, others each time.
static void shake(const dnn_slot *s)
{
    const float half = s->t.type == CUDNN_DATA_BFLOAT16 ? 0x1p-9f
                       : s->t.type == CUDNN_DATA_HALF   ? 0x1p-12f
                                                        : 0x1p-24f;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t state = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u + 1;
    for (int64_t i = 0; i < dnn_elements(&s->t); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (state >> 61 == 0)
            s->v[i] *= 1 + (state >> 60 & 1 ? half : -half);
    }
}

void dnn_written(dnn_run *run, const dnn_descriptor *tensor)
{
    dnn_slot *s = dnn_slot_of(run, tensor);
    if (!s)
        return;
    const int64_t n = dnn_elements(&s->t);
    if (run->engine.is_random && s->t.type != CUDNN_DATA_BOOLEAN)
        shake(s);
    if (s->t.type != CUDNN_DATA_FLOAT)
        for (int64_t i = 0; i < n; i++)
            s->v[i] = dnn_round(s->t.type, s->v[i]);
    if (s->at)
        dnn_store(&s->t, s->v, s->at);
}

// ---- the work of a stream

static void run_operation(dnn_run *run, const dnn_descriptor *op)
{
    switch (op->type) {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        dnn_run_pointwise(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
        dnn_run_norm_forward(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR:
        dnn_run_norm_backward(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        dnn_run_genstats(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_BN_FINALIZE_STATISTICS_DESCRIPTOR:
        dnn_run_finalize_stats(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR:
        dnn_run_resample_forward(run, op);
        return;
    case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR:
        dnn_run_resample_backward(run, op);
        return;
    default:
        dnn_run_convolution(run, op);
    }
}

static int work(void *arg)
{
    task *t = arg;
    const dnn_attribute *ops = dnn_attribute_of(graph_of(t->plan), CUDNN_ATTR_OPERATIONGRAPH_OPS);
    dnn_descriptor *const *op = ops->elements;
    if (t->workspace_bytes) // somebody else's bytes show when the caller's size was too small
        memset(t->workspace, 0xcb, t->workspace_bytes);
    for (int64_t i = 0; i < ops->count; i++)
        run_operation(&t->run, op[i]);
    for (int i = 0; i < t->run.slots; i++) {
        free(t->run.slot[i].v);
        t->run.slot[i].v = NULL;
    }
    return 1;
}

static void done(void *arg)
{
    task *t = arg;
    dnn_drop(t->plan);
    free(t);
}

// ---- arguments

// Which slots are written: bit 1; read: bit 0.
static void collect(task *t, const dnn_descriptor *graph, int use[DNN_MAX_TENSORS])
{
    const dnn_attribute *ops = dnn_attribute_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    dnn_descriptor *const *op = ops->elements;
    for (int64_t i = 0; i < ops->count; i++) {
        const dnn_operands o = dnn_operands_of(op[i]);
        for (int k = 0; k < o.ins + o.outs; k++) {
            const dnn_descriptor *d = k < o.ins ? o.in[k] : o.out[k - o.ins];
            dnn_slot *s = dnn_slot_of(&t->run, d);
            if (!s) {
                s = &t->run.slot[t->run.slots++];
                s->t = dnn_tensor_of(d);
            }
            use[s - t->run.slot] |= k < o.ins ? 1 : 2;
        }
    }
}

static cudnnStatus_t give_pointer(task *t, int64_t uid, void *at)
{
    dnn_slot *s = NULL;
    int i = 0;
    for (; i < t->run.slots && !s; i++)
        s = t->run.slot[i].t.uid == uid ? &t->run.slot[i] : NULL;
    if (!s || s->t.is_virtual)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "uid %d: the graph has no such real tensor",
                        (int)uid);
    if (!at)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "uid %d: no pointer", (int)uid);
    if ((uintptr_t)at % (uintptr_t)s->t.alignment)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "uid %d: not aligned to %d",
                        (int)uid, (int)s->t.alignment);
    const size_t bytes = dnn_tensor_bytes(&s->t);
    if (s->t.is_by_value) {
        if (fct_standin_is_device(at, bytes))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "uid %d: a value lies on the device", (int)uid);
        memcpy(&t->scalar[i - 1], at, bytes);
        s->at = &t->scalar[i - 1];
        return CUDNN_STATUS_SUCCESS;
    }
    if (!fct_standin_is_device(at, bytes))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM,
                        "uid %d: %zu bytes do not lie in one allocation of the device", (int)uid,
                        bytes);
    s->at = at;
    return CUDNN_STATUS_SUCCESS;
}

static int overlap(const void *a, size_t m, const void *b, size_t n)
{
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return m && n && x < y + n && y < x + m;
}

static cudnnStatus_t check_overlaps(const task *t, const int use[DNN_MAX_TENSORS])
{
    for (int i = 0; i < t->run.slots; i++) {
        const dnn_slot *a = &t->run.slot[i];
        if (a->t.is_virtual || a->t.is_by_value)
            continue;
        const size_t bytes = dnn_tensor_bytes(&a->t);
        if (overlap(a->at, bytes, t->workspace, t->workspace_bytes))
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "uid %d lies in the workspace", (int)a->t.uid);
        for (int k = 0; k < t->run.slots; k++) {
            const dnn_slot *b = &t->run.slot[k];
            if (k != i && use[i] & 2 && b->at && !b->t.is_by_value &&
                overlap(a->at, bytes, b->at, dnn_tensor_bytes(&b->t)))
                return dnn_fail(CUDNN_STATUS_BAD_PARAM, "output %d lies in the memory of %d",
                                (int)a->t.uid, (int)b->t.uid);
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t take_arguments(task *t, const dnn_descriptor *pack)
{
    const dnn_attribute *uids = dnn_attribute_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const int64_t *uid = uids->elements;
    void *const *at = dnn_value(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    void *const *workspace = dnn_value(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    int use[DNN_MAX_TENSORS] = { 0 };
    collect(t, graph_of(t->plan), use);
    for (int64_t i = 0; i < uids->count; i++) {
        const cudnnStatus_t s = give_pointer(t, uid[i], at[i]);
        if (s != CUDNN_STATUS_SUCCESS)
            return s;
    }
    for (int i = 0; i < t->run.slots; i++)
        if (!t->run.slot[i].t.is_virtual && !t->run.slot[i].at)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM, "uid %d is not in the pack",
                            (int)t->run.slot[i].t.uid);
    t->workspace = workspace ? *workspace : NULL;
    if (t->workspace_bytes && !fct_standin_is_device(t->workspace, t->workspace_bytes))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "the workspace is not %zu bytes of the device",
                        t->workspace_bytes);
    if (t->workspace_bytes && (uintptr_t)t->workspace % 256) // what it needs is written nowhere
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "workspace: not aligned to 256");
    return check_overlaps(t, use);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    dnn_descriptor *p = plan, *v = pack;
    cudaStream_t stream;
    if (cudnnGetStream(handle, &stream) != CUDNN_STATUS_SUCCESS)
        return CUDNN_STATUS_BAD_PARAM;
    if (!dnn_is(p, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) || !p->is_final ||
        !dnn_is(v, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) || !v->is_final)
        return dnn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "the plan or the pack");
    const dnn_descriptor *config = dnn_child(p, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const dnn_descriptor *engine = dnn_child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    task *t = calloc(1, sizeof *t);
    t->plan = dnn_keep(p);
    t->workspace_bytes = dnn_config_workspace(config);
    dnn_engine_find(graph_of(p), dnn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1),
                    &t->run.engine);
    const cudnnStatus_t s = take_arguments(t, v);
    if (s != CUDNN_STATUS_SUCCESS) {
        done(t);
        return s;
    }
    return fct_standin_put(stream, work, t, done) == cudaSuccess
               ? CUDNN_STATUS_SUCCESS
               : dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the stream takes no work");
}
