// SPDX-License-Identifier: Apache-2.0
// Runs one network on drawn pictures and writes what happened, for compare_torch.py to judge.
// Records in the machine's byte order: u32 length of name, name, u32 dimensions, u32 each, float32.
// Names: KIND/NAME; kinds: init, input (images, coefficients of the loss), output, grad, sgd, adamw
// (weights after three steps, when steps are asked for).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/model.h"
#include "facet/optim.h"
#include "facet/rng.h"
#include "facet/text.h"

enum { CLASSES = 8, POINTS = 5, STEPS = 3, SEED = 3 };

typedef struct {
    FILE *file;
    fct_backend *backend;
    fct_params *params;
    fct_arena *arena;
    fct_graph *graph;
    int batch, side;
    int is_bn2_low;                // an activation follows a block's bn2 directly
    uint8_t *images;               // (N, S, S, 3)
    float *expression, *landmarks; // coefficients: loss = sum of coefficient * output
} run;

static fct_status write_bytes(run *r, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, r->file) != n)
        return FCT_FAIL(FCT_E_IO, "cannot write the result");
    return FCT_OK;
}

static fct_status write_record(run *r, const char *kind, const char *name, int ndim,
                               const int64_t *dim, const float *data)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s", kind, name);
    const uint32_t length = (uint32_t)strlen(full), n = (uint32_t)ndim;
    size_t elements = 1;
    FCT_TRY(write_bytes(r, &length, sizeof length));
    FCT_TRY(write_bytes(r, full, length));
    FCT_TRY(write_bytes(r, &n, sizeof n));
    for (int i = 0; i < ndim; i++) {
        const uint32_t d = (uint32_t)dim[i];
        FCT_TRY(write_bytes(r, &d, sizeof d));
        elements *= d;
    }
    return write_bytes(r, data, elements * sizeof *data);
}

static fct_status write_params(run *r, const char *kind, int gradients)
{
    int n;
    const fct_param *p = fct_params_table(r->params, &n);
    for (int i = 0; i < n; i++) {
        const size_t bytes = (size_t)fct_shape_elements(&p[i].shape) * sizeof(float);
        float *plain = malloc(bytes);
        if (!plain)
            return FCT_FAIL_NOMEM(bytes, "a parameter");
        fct_status status = gradients ? fct_params_get_grad(r->params, i, plain)
                                      : fct_params_get(r->params, i, plain);
        if (status == FCT_OK)
            status = write_record(r, kind, p[i].name, p[i].shape.ndim, p[i].shape.dim, plain);
        free(plain);
        FCT_TRY(status);
    }
    return FCT_OK;
}

// facet's landmark head starts as a constant, through which nothing flows back: not so here.
static fct_status draw_landmark_head(run *r)
{
    int n, i = fct_params_find(r->params, "landmark_head.weight");
    FCT_ASSERT(i >= 0);
    const fct_param *p = fct_params_table(r->params, &n) + i;
    const int64_t count = fct_shape_elements(&p->shape);
    const double bound = 1 / sqrt((double)p->shape.dim[1]);
    float *plain = malloc((size_t)count * sizeof *plain);
    if (!plain)
        return FCT_FAIL_NOMEM((size_t)count * sizeof *plain, "a head");
    fct_rng rng;
    fct_rng_init(&rng, SEED, FCT_STREAM_TEST, 2, 0);
    for (int64_t k = 0; k < count; k++)
        plain[k] = (float)fct_rng_between(&rng, -bound, bound);
    const fct_status status = fct_params_set(r->params, i, plain);
    free(plain);
    return status;
}

// A ReLU or PReLU that lets through by the last bit of a sum makes the gradients of large networks
// incomparable, so the batch norms are moved away from zero: every channel lies high (let
// through) or low (cut off), and high where a shortcut is added.
static fct_status draw_weights(run *r)
{
    int n;
    const fct_param *p = fct_params_table(r->params, &n);
    FCT_TRY(fct_params_init(r->params, SEED));
    for (int i = 0; i < n; i++) {
        float plain[2048];
        const int64_t channels = fct_shape_elements(&p[i].shape);
        fct_rng rng;
        fct_rng_init(&rng, SEED, FCT_STREAM_TEST, 1, (uint64_t)i);
        if (p[i].kind != FCT_PARAM_NORM)
            continue;
        FCT_ASSERT(channels <= 2048);
        const int is_shift = fct_text_ends_with(p[i].name, ".bias");
        const int is_slope = fct_text_ends_with(p[i].name, "prelu.weight");
        const int has_low = fct_text_ends_with(p[i].name, "bn1.bias") ||
                            (r->is_bn2_low && fct_text_ends_with(p[i].name, "bn2.bias"));
        for (int64_t c = 0; c < channels; c++)
            plain[c] = is_shift   ? (has_low && fct_rng_below(&rng, 2) ? -4.0f : 4.0f)
                       : is_slope ? (float)fct_rng_between(&rng, -0.2, 0.6)
                                  : (float)fct_rng_between(&rng, 0.7, 1.3);
        FCT_TRY(fct_params_set(r->params, i, plain));
    }
    return draw_landmark_head(r);
}

static fct_status draw_input(run *r)
{
    const size_t pixels = (size_t)r->batch * (size_t)r->side * (size_t)r->side * 3;
    r->images = malloc(pixels);
    r->expression = malloc((size_t)r->batch * CLASSES * sizeof(float));
    r->landmarks = malloc((size_t)r->batch * 2 * POINTS * sizeof(float));
    float *plain = malloc(pixels * sizeof(float));
    if (!r->images || !r->expression || !r->landmarks || !plain) {
        free(plain);
        return FCT_FAIL_NOMEM(pixels, "pictures");
    }
    fct_rng rng;
    fct_rng_init(&rng, SEED, FCT_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < pixels; i++)
        plain[i] = (float)(r->images[i] = (uint8_t)fct_rng_below(&rng, 256));
    for (int i = 0; i < r->batch * CLASSES; i++)
        r->expression[i] = (float)(fct_rng_normal(&rng) / r->batch);
    for (int i = 0; i < r->batch * 2 * POINTS; i++)
        r->landmarks[i] = (float)(fct_rng_normal(&rng) / r->batch);
    const int64_t dim[4] = { r->batch, r->side, r->side, 3 };
    fct_status status = write_record(r, "input", "images", 4, dim, plain);
    free(plain);
    FCT_TRY(status);
    FCT_TRY(write_record(r, "input", "expression", 2, FCT_DIMS(r->batch, CLASSES), r->expression));
    return write_record(r, "input", "landmarks", 2, FCT_DIMS(r->batch, 2 * POINTS), r->landmarks);
}

static fct_status write_output(run *r, const char *name, int features)
{
    float *out = malloc((size_t)r->batch * (size_t)features * sizeof *out);
    if (!out)
        return FCT_FAIL_NOMEM(r->batch * features, "outputs");
    fct_status status = fct_graph_read(r->graph, name, out);
    if (status == FCT_OK)
        status = write_record(r, "output", name, 2, FCT_DIMS(r->batch, features), out);
    free(out);
    return status;
}

static fct_status both_ways(run *r)
{
    FCT_TRY(fct_graph_set_images(r->graph, r->images));
    FCT_TRY(fct_graph_forward(r->graph, NULL));
    FCT_TRY(fct_graph_write_grad(r->graph, "expression", r->expression));
    FCT_TRY(fct_graph_write_grad(r->graph, "landmarks", r->landmarks));
    return fct_graph_backward(r->graph, NULL);
}

// The same settings stand in compare_torch.py.
static fct_status steps(run *r, int is_adamw)
{
    const fct_optim_spec spec = { .is_adamw = is_adamw,
                                  .momentum = 0.9,
                                  .nesterov = 1,
                                  .beta1 = 0.9,
                                  .beta2 = 0.99,
                                  .eps = 1e-3,
                                  .weight_decay = 0.01,
                                  .backbone_rate = 1,
                                  .head_rate = 2,
                                  .is_backbone = fct_model_is_backbone,
                                  .stat_momentum = 0.1 };
    fct_optim *o;
    FCT_TRY(draw_weights(r));
    FCT_TRY(fct_optim_create(&spec, r->params, &o));
    fct_status status = FCT_OK;
    for (int i = 0; i < STEPS && status == FCT_OK; i++) {
        double norm;
        status = both_ways(r);
        if (status == FCT_OK)
            status = fct_optim_norm(o, &norm);
        if (status == FCT_OK)
            status = fct_optim_step(o, is_adamw ? 1e-4 : 1e-3, norm);
    }
    fct_optim_destroy(o);
    FCT_TRY(status);
    return write_params(r, is_adamw ? "adamw" : "sgd", 0);
}

// "cuda:bf16": what follows the colon is the precision.
static fct_precision precision_of(char *word)
{
    static const char *const names[] = { [FCT_PRECISION_F32] = "f32",
                                         [FCT_PRECISION_TF32] = "tf32",
                                         [FCT_PRECISION_BF16] = "bf16",
                                         [FCT_PRECISION_FP16] = "fp16" };
    char *colon = strchr(word, ':');
    if (!colon)
        return FCT_PRECISION_AUTO;
    *colon = 0;
    for (int i = FCT_PRECISION_F32; i <= FCT_PRECISION_FP16; i++)
        if (!strcmp(colon + 1, names[i]))
            return (fct_precision)i;
    return FCT_PRECISION_AUTO;
}

static fct_status open_network(run *r, char **word)
{
    const fct_backend_spec backend = { .precision = precision_of(word[1]) };
    const fct_graph_spec graph = { .batch = r->batch, .global_batch = r->batch, .training = 1 };
    const fct_model_spec model = { .backbone = word[2],
                                   .stem = word[3],
                                   .height = r->side,
                                   .width = r->side,
                                   .mean = { 0.485f, 0.456f, 0.406f },
                                   .std = { 0.229f, 0.224f, 0.225f },
                                   .embedding = 512,
                                   .expressions = CLASSES,
                                   .landmarks = POINTS,
                                   .freeze = word[6] };
    const fct_backend_ops *ops = fct_backend_find(word[1]);
    fct_model nodes;
    if (!ops)
        return FCT_E_UNSUPPORTED; // the text is set
    FCT_TRY(ops->create(&backend, &r->backend));
    FCT_TRY(fct_params_create(r->backend, &r->params));
    FCT_TRY(fct_arena_create(r->backend, &r->arena));
    FCT_TRY(fct_graph_create(r->params, &graph, &r->graph));
    FCT_TRY(fct_model_build(r->graph, &model, &nodes));
    FCT_TRY(fct_graph_compile(r->graph, r->arena));
    FCT_TRY(fct_params_seal(r->params, NULL));
    return fct_arena_seal(r->arena);
}

static fct_status run_all(run *r, char **word)
{
    int64_t side, batch;
    FCT_TRY(fct_text_to_i64(word[4], &side));
    FCT_TRY(fct_text_to_i64(word[5], &batch));
    r->side = (int)side;
    r->batch = (int)batch;
    r->is_bn2_low = !strcmp(word[2], "resnet50") || word[2][0] == 'i';
    r->file = fopen(word[8], "wb");
    if (!r->file)
        return FCT_FAIL(FCT_E_IO, "cannot create %s", word[8]);
    FCT_TRY(open_network(r, word));
    FCT_TRY(draw_input(r));
    FCT_TRY(draw_weights(r));
    FCT_TRY(write_params(r, "init", 0));
    FCT_TRY(both_ways(r));
    FCT_TRY(write_output(r, "expression", CLASSES));
    FCT_TRY(write_output(r, "landmarks", 2 * POINTS));
    FCT_TRY(write_params(r, "grad", 1));
    if (!strcmp(word[7], "grad"))
        return FCT_OK;
    FCT_TRY(steps(r, 0));
    return steps(r, 1);
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr,
                "use: %s BACKEND[:PRECISION] BACKBONE STEM SIDE BATCH FREEZE grad|steps OUT\n",
                argv[0]);
        return 2;
    }
    run r = { 0 };
    fct_status status = run_all(&r, argv);
    if (r.file && fclose(r.file) != 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_IO, "cannot write %s", argv[8]);
    if (status != FCT_OK)
        fprintf(stderr, "%s: %s\n", fct_status_text(status), fct_fail_text());
    free(r.images);
    free(r.expression);
    free(r.landmarks);
    fct_graph_destroy(r.graph);
    fct_arena_destroy(r.arena);
    fct_params_destroy(r.params);
    if (r.backend)
        r.backend->ops->destroy(r.backend);
    return status == FCT_OK ? 0 : 1;
}
