// SPDX-License-Identifier: Apache-2.0
// Which graphs have engines. The library (9.19.0, sm_90) was asked without a device which patterns
// it takes, and this says the same of those that a network is trained with; whatever it was not
// asked for has none.
#include <string.h>

#include "dnn_standin.h"

enum { MOST = 16 };

// A graph as a word, a letter an operation, in their order:
// f d w convolution forward, of data, of filter; F I B norm training, inference, backward;
// g genstats; b finalisation of statistics; p q resample forward, backward;
// + * - r R > and i: ADD MUL SUB RELU_FWD RELU_BWD CMP_GT IDENTITY; ? anything else.
static char letter_of(const dnn_descriptor *op)
{
    static const struct {
        cudnnBackendDescriptorType_t type;
        char letter;
    } rows[] = {
        { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, 'f' },
        { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, 'd' },
        { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, 'w' },
        { CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, 'B' },
        { CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, 'g' },
        { CUDNN_BACKEND_OPERATION_BN_FINALIZE_STATISTICS_DESCRIPTOR, 'b' },
        { CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR, 'p' },
        { CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR, 'q' },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == op->type)
            return rows[i].letter;
    if (op->type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR)
        return dnn_enum(op, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, 0) == CUDNN_NORM_FWD_TRAINING
                   ? 'F'
                   : 'I';
    if (op->type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
        return '?';
    switch (dnn_enum(dnn_child(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR),
                     CUDNN_ATTR_POINTWISE_MODE, -1)) {
    case CUDNN_POINTWISE_ADD:
        return '+';
    case CUDNN_POINTWISE_MUL:
        return '*';
    case CUDNN_POINTWISE_SUB:
        return '-';
    case CUDNN_POINTWISE_RELU_FWD:
        return 'r';
    case CUDNN_POINTWISE_RELU_BWD:
        return 'R';
    case CUDNN_POINTWISE_CMP_GT:
        return '>';
    case CUDNN_POINTWISE_IDENTITY:
        return 'i';
    default:
        return '?';
    }
}

typedef struct {
    const char *word;
    dnn_kind kind;
    int half_only;  // fp16
    int kept_only;  // virtual tensors must be of the type of real ones, where that has 16 bits
    int float_stat; // the vectors of channels are float32
} pattern;

static const pattern patterns[] = {
    { "f", DNN_CONVOLUTION, 0, 0, 0 },    { "d", DNN_CONVOLUTION, 0, 0, 0 },
    { "w", DNN_CONVOLUTION, 0, 0, 0 },    { "fg", DNN_FUSED, 0, 0, 1 },
    { "f+r", DNN_CONVOLUTION, 0, 0, 0 },  { "d+", DNN_FUSED, 0, 0, 0 },
    { "dR", DNN_FUSED, 0, 0, 0 },         { "*+rfg", DNN_CONVOLUTION, 1, 0, 0 },
    { "*+rf", DNN_CONVOLUTION, 1, 0, 0 }, { "*+rw", DNN_CONVOLUTION, 1, 0, 0 },
    { "F", DNN_FUSED, 0, 0, 1 },          { "Fr", DNN_FUSED, 0, 0, 1 },
    { "Fr>", DNN_FUSED, 0, 0, 1 },        { "F+r", DNN_FUSED, 0, 0, 1 },
    { "F+r>", DNN_FUSED, 0, 0, 1 },       { "B", DNN_FUSED, 0, 1, 1 },
    { "*B", DNN_FUSED, 0, 1, 1 },         { "*iB", DNN_FUSED, 0, 1, 1 },
    { ">*B", DNN_FUSED, 0, 1, 1 },        { "+*B", DNN_FUSED, 0, 1, 1 },
    { "IRB", DNN_FUSED, 0, 0, 1 },        { "b", DNN_CONVOLUTION, 0, 0, 1 },
    { "p", DNN_FUSED, 0, 0, 0 },          { "q", DNN_FUSED, 0, 0, 0 },
};

static int is_elementwise(const char *word)
{
    return word[strspn(word, "+*-rR>i")] == 0;
}

static int is_vector(const dnn_tensor *t)
{
    return t->dim[0] == 1 && t->dim[2] * t->dim[3] == 1;
}

static int is_main(const dnn_descriptor *op)
{
    return strchr("fdwFBgpq", letter_of(op)) != NULL;
}

// The type in which activations are kept: of what the convolution, norm or pooling reads first;
// among element-wise operations, of the first real tensor that is more than a vector.
static cudnnDataType_t kept_type(dnn_descriptor *const *op, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (is_main(op[i]) && !dnn_tensor_of(dnn_operands_of(op[i]).in[0]).is_virtual)
            return dnn_tensor_of(dnn_operands_of(op[i]).in[0]).type;
    for (int64_t i = 0; i < n; i++) {
        const dnn_operands o = dnn_operands_of(op[i]);
        for (int k = 0; k < o.ins; k++) {
            const dnn_tensor t = dnn_tensor_of(o.in[k]);
            if (!t.is_virtual && !is_vector(&t) && t.type != CUDNN_DATA_BOOLEAN)
                return t.type;
        }
    }
    return CUDNN_DATA_FLOAT;
}

static int is_float(const dnn_tensor *t)
{
    return t->type == CUDNN_DATA_FLOAT || t->type == CUDNN_DATA_HALF ||
           t->type == CUDNN_DATA_BFLOAT16;
}

static int takes_place(const dnn_tensor *t)
{
    if (!dnn_is_nhwc(t)) {
        dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "tensor %d does not lie NHWC", (int)t->uid);
        return 0;
    }
    if (t->alignment < 16 && !t->is_virtual && !t->is_by_value && !is_vector(t)) {
        dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "tensor %d: no engine for alignment %d", (int)t->uid,
                 (int)t->alignment);
        return 0;
    }
    return 1;
}

static int takes_type(const pattern *p, const dnn_tensor *t, cudnnDataType_t kept)
{
    if (!is_float(t) || t->is_by_value)
        return 1;
    if (is_vector(t))
        return !p->float_stat || t->type == CUDNN_DATA_FLOAT || strchr(p->word, 'b');
    return t->type == kept || (t->is_virtual && t->type == CUDNN_DATA_FLOAT && !p->kept_only);
}

static int takes_tensors(const pattern *p, const dnn_descriptor *op, cudnnDataType_t kept)
{
    const dnn_operands o = dnn_operands_of(op);
    for (int k = 0; k < o.ins + o.outs; k++) {
        const dnn_tensor t = dnn_tensor_of(k < o.ins ? o.in[k] : o.out[k - o.ins]);
        if (!takes_place(&t))
            return 0;
        if (!takes_type(p, &t, kept)) {
            dnn_fail(CUDNN_STATUS_NOT_SUPPORTED,
                     "graph %s: no engine takes tensor %d as type %d, kept %d", p->word, (int)t.uid,
                     (int)t.type, (int)kept);
            return 0;
        }
    }
    return 1;
}

// What norm's backward takes must be of the kept type, even where values before it are wider.
static int gradient_is_kept(dnn_descriptor *const *op, const char *word, cudnnDataType_t kept)
{
    const char *norm = strchr(word, 'B');
    const dnn_descriptor *dy =
        norm ? dnn_child(op[norm - word], CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC) : NULL;
    return !dy || dnn_tensor_of(dy).type == kept;
}

// The fused norm compares what it has written.
static int mask_is_of_output(dnn_descriptor *const *op, const char *word)
{
    const char *compare = strchr(word, '>');
    if (!compare || word[0] != 'F')
        return 1;
    const dnn_operands o = dnn_operands_of(op[compare - word]);
    return !dnn_tensor_of(o.in[0]).is_virtual;
}

static const pattern *pattern_of(const char *word)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(patterns[i].word, word) == 0)
            return &patterns[i];
    return NULL;
}

dnn_kind dnn_graph_kind(const dnn_descriptor *graph)
{
    const dnn_attribute *ops = dnn_attribute_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    dnn_descriptor *const *op = ops->elements;
    char word[MOST + 1] = "";
    for (int64_t i = 0; i < ops->count && i < MOST; i++)
        word[i] = letter_of(op[i]);
    const pattern elementwise = { word, DNN_FUSED, 0, 0, 0 };
    const pattern *p = is_elementwise(word) ? &elementwise : pattern_of(word);
    const cudnnDataType_t kept = kept_type(op, ops->count);
    if (!p || (p->half_only && kept != CUDNN_DATA_HALF) || !mask_is_of_output(op, word) ||
        !gradient_is_kept(op, word, kept)) {
        dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "graph %s: no engine", word);
        return DNN_NONE;
    }
    for (int64_t i = 0; i < ops->count; i++)
        if (!takes_tensors(p, op[i], kept))
            return DNN_NONE;
    return p->kind;
}
