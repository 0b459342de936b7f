// SPDX-License-Identifier: Apache-2.0
// Asking cuDNN's heuristics for engines, and passing over those whose numerical notes forbid them.
#include <stdio.h>
#include <string.h>

#include "dnn.h"

enum { MAX_OFFERED = 64, MAX_KNOBS = CUDNN_KNOB_TYPE_COUNTS };

#define NOTE(name) (1U << CUDNN_NUMERICAL_NOTE_##name)

// float32 must be float32: no tensor cores, which take 10 bits of it.
static unsigned forbidden(const fct_cuda *b)
{
    unsigned notes = b->is_deterministic ? NOTE(NONDETERMINISTIC) : 0;
    if (b->precision == FCT_PRECISION_F32)
        notes |= NOTE(TENSOR_CORE) | NOTE(DOWN_CONVERT_INPUTS);
    return notes | NOTE(REDUCED_PRECISION_REDUCTION);
}

static unsigned notes_of(cudnnBackendDescriptor_t engine)
{
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    unsigned all = 0;
    if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n,
                                 note) != CUDNN_STATUS_SUCCESS)
        return 0;
    for (int64_t i = 0; i < n; i++)
        all |= 1U << note[i];
    return all;
}

static int is_compiled(cudnnBackendDescriptor_t engine)
{
    cudnnBackendBehaviorNote_t note[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                 CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n, note) != CUDNN_STATUS_SUCCESS)
        return 0;
    for (int64_t i = 0; i < n; i++)
        if (note[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return 1;
    return 0;
}

// Appends " TYPE=VALUE" for each knob.
static void name_knobs(cudnnBackendDescriptor_t config, char *name, size_t used)
{
    cudnnBackendDescriptor_t knob[MAX_KNOBS] = { 0 };
    int64_t n = 0, one;
    for (int i = 0; i < MAX_KNOBS; i++)
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knob[i]);
    if (cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_KNOBS, &n,
                                 knob) != CUDNN_STATUS_SUCCESS)
        n = 0;
    for (int64_t i = 0; i < n && used < FCT_DNN_NAME; i++) {
        cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_COUNTS;
        int64_t value = 0;
        cudnnBackendGetAttribute(knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
                                 &one, &type);
        cudnnBackendGetAttribute(knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
                                 &one, &value);
        used += (size_t)snprintf(name + used, FCT_DNN_NAME - used, " %d=%lld", (int)type,
                                 (long long)value);
    }
    for (int i = 0; i < MAX_KNOBS; i++)
        if (knob[i])
            cudnnBackendDestroyDescriptor(knob[i]);
}

// As far as it is known before there is a plan.
static int64_t workspace_of(cudnnBackendDescriptor_t config)
{
    int64_t n, bytes = 0;
    return cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                    1, &n, &bytes) == CUDNN_STATUS_SUCCESS
               ? bytes
               : 0;
}

typedef struct { // what is looked for
    fct_cuda *b;
    cudnnBackendDescriptor_t operations;
    int is_large; // workspaces above the limit too
} search;

// 0 when the engine may not serve.
static int look_at(const search *q, cudnnBackendDescriptor_t config, fct_dnn_candidate *out)
{
    cudnnBackendDescriptor_t engine = NULL;
    int64_t n = 0, index = -1;
    int serves = 0;
    if (!q->is_large && workspace_of(config) > FCT_DNN_WORKSPACE_BYTES)
        return 0;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS)
        return 0;
    if (cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &n, &engine) == CUDNN_STATUS_SUCCESS &&
        !(notes_of(engine) & forbidden(q->b))) {
        cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n,
                                 &index);
        out->is_compiled = is_compiled(engine);
        out->config = config;
        int used = snprintf(out->name, sizeof out->name, "%lld", (long long)index);
        name_knobs(config, out->name, (size_t)used);
        serves = 1;
    }
    cudnnBackendDestroyDescriptor(engine);
    return serves;
}

// The heuristics' answer in one mode; configurations that serve go behind out[*n].
static fct_status ask(const search *q, cudnnBackendDescriptor_t heuristics,
                      fct_dnn_candidate out[FCT_DNN_CANDIDATES], int *n)
{
    cudnnBackendDescriptor_t config[MAX_OFFERED] = { 0 };
    int64_t offered = 0;
    fct_status s = FCT_OK;
    for (int i = 0; s == FCT_OK && i < MAX_OFFERED; i++)
        s = fct_dnn_check(
            cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[i]),
            "making a descriptor");
    if (s == FCT_OK)
        s = fct_dnn_check(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_OFFERED,
                                                   &offered, config),
                          "asking for engines");
    for (int64_t i = 0; s == FCT_OK && i < offered && *n < FCT_DNN_CANDIDATES; i++)
        if (look_at(q, config[i], &out[*n])) {
            (*n)++;
            config[i] = NULL;
        }
    for (int i = 0; i < MAX_OFFERED; i++)
        if (config[i])
            cudnnBackendDestroyDescriptor(config[i]);
    return s;
}

static fct_status set_up(const search *q, cudnnBackendDescriptor_t heuristics,
                         cudnnBackendHeurMode_t mode)
{
    const cudnnBackendDescriptor_t *device = &q->b->dnn->device;
    FCT_TRY_DNN(cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &q->operations));
    FCT_TRY_DNN(cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE,
                                         CUDNN_TYPE_HEUR_MODE, 1, &mode));
    if (*device)
        FCT_TRY_DNN(cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, device));
    return fct_dnn_check(cudnnBackendFinalize(heuristics), "asking for engines");
}

// In both modes, until there are enough.
static fct_status ask_all(const search *q, fct_dnn_candidate out[FCT_DNN_CANDIDATES], int *n)
{
    static const cudnnBackendHeurMode_t modes[] = { CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK };
    for (size_t i = 0; i < sizeof modes / sizeof *modes && *n < FCT_DNN_CANDIDATES; i++) {
        cudnnBackendDescriptor_t heuristics;
        FCT_TRY_DNN(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
        fct_status s = set_up(q, heuristics, modes[i]);
        if (s == FCT_OK)
            s = ask(q, heuristics, out, n);
        cudnnBackendDestroyDescriptor(heuristics);
        if (s != FCT_OK && s != FCT_E_UNSUPPORTED)
            return s;
    }
    return *n ? FCT_OK : FCT_E_UNSUPPORTED;
}

fct_status fct_dnn_candidates(fct_cuda *b, cudnnBackendDescriptor_t operations,
                              fct_dnn_candidate out[FCT_DNN_CANDIDATES], int *n)
{
    search q = { b, operations, 0 };
    *n = 0;
    fct_status s = ask_all(&q, out, n);
    if (s == FCT_E_UNSUPPORTED) {
        q.is_large = 1;
        s = ask_all(&q, out, n);
    }
    if (s != FCT_OK) {
        fct_dnn_candidates_release(out, *n);
        *n = 0;
    }
    return s;
}

void fct_dnn_candidates_release(fct_dnn_candidate *c, int n)
{
    for (int i = 0; i < n; i++)
        if (c[i].config)
            cudnnBackendDestroyDescriptor(c[i].config);
}
