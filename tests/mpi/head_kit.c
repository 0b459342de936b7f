// SPDX-License-Identifier: Apache-2.0
// What the tests of the identity head share.
#include "head_kit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/comm_vectors.h"
#include "facet/rng.h"

static const uint64_t SEED = 77;
static const double RATE = 0.003;

fct_head_spec kit_spec(int is_sharded, int centres, double sample)
{
    return (fct_head_spec){
        .classes = KIT_C,
        .centres = centres,
        .features = KIT_E,
        .rows = KIT_B,
        .margin = { 1, 0.4, 0.1, 16 },
        .triplet_weight = 0.5,
        .triplet_margin = 0.3,
        .is_sharded = is_sharded,
        .sample = sample,
        .seed = SEED,
        .optim = { .momentum = 0.9, .weight_decay = 0.01, .backbone_rate = 1, .head_rate = 1 }
    };
}

static fct_status open_table(kit *k)
{
    const fct_graph_spec spec = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    FCT_TRY(fct_params_create(k->backend, &k->params));
    FCT_TRY(fct_graph_create(k->params, &spec, &g));
    fct_graph_matrix(g, "identity_head.weight", k->spec.classes * k->spec.centres, k->spec.features,
                     0.01);
    fct_graph_destroy(g);
    FCT_TRY(fct_params_seal(k->params, NULL));
    FCT_TRY(fct_params_init(k->params, SEED));
    FCT_TRY(fct_optim_create(&k->spec.optim, k->params, &k->optim));
    k->spec.params = k->params;
    return FCT_OK;
}

void kit_open(kit *k, fct_comm *c, fct_head_spec spec)
{
    const fct_backend_spec threads = { .threads = 1 };
    *k = (kit){ .comm = c, .spec = spec };
    CLAIM(c, fct_backend_find("cpu")->create(&threads, &k->backend) == FCT_OK);
    k->spec.comm = c;
    k->spec.backend = k->backend;
    if (!spec.is_sharded)
        CLAIM(c, open_table(k) == FCT_OK);
    CLAIM(c, fct_head_create(&k->spec, &k->head) == FCT_OK);
    CLAIM(c, fct_head_init(k->head) == FCT_OK);
    k->dx = calloc((size_t)spec.rows * (size_t)spec.features, sizeof *k->dx);
    CLAIM(c, k->dx != NULL);
}

void kit_close(kit *k)
{
    free(k->dx);
    fct_head_destroy(k->head);
    fct_optim_destroy(k->optim);
    fct_params_destroy(k->params);
    k->backend->ops->destroy(k->backend);
}

void kit_batch(int number, int64_t rows, float *x, int64_t *label)
{
    for (int64_t i = 0; i < rows; i++) {
        fct_rng rng;
        fct_rng_init(&rng, 5, FCT_STREAM_TEST, (uint32_t)number, (uint64_t)i);
        label[i] = i % 7 == 5 ? -1 : (int64_t)fct_rng_below(&rng, i % 2 ? KIT_C : 4);
        for (int e = 0; e < KIT_E; e++)
            x[i * KIT_E + e] = (float)fct_rng_normal(&rng) + (label[i] == e ? 3.0F : 0.0F);
    }
}

// Not the way that the trainer slices, so that ranks have nothing now and then: all at the end.
static void slice(kit *k, int64_t rows)
{
    const int rank = fct_comm_rank(k->comm), ranks = fct_comm_size(k->comm);
    k->low = rows * rank / ranks;
    k->high = rows * (rank + 1) / ranks;
}

fct_status kit_part(kit *k, int number, int64_t rows, int part, int parts, double share)
{
    float x[KIT_B * KIT_E];
    int64_t label[KIT_B];
    fct_head_step step = { .step = number, .part = part, .parts = parts, .share = share };
    kit_batch(number, rows, x, label);
    slice(k, rows);
    for (int64_t i = 0; i < rows; i++)
        step.denominator += label[i] >= 0;
    step.factor = 1.5;
    step.margin_share = 0.8;
    fct_head_sums sums = { 0 };
    FCT_TRY(fct_head_train(k->head, &step, k->high - k->low, x + k->low * KIT_E, label + k->low,
                           k->dx + k->low * KIT_E, &sums));
    double v[7] = { sums.loss, sums.count, sums.right, sums.triplet, sums.anchors, sums.spread };
    if (k->optim)
        FCT_TRY(fct_optim_norm(k->optim, &k->norm));
    FCT_TRY(fct_head_norm(k->head, &v[6]));
    FCT_TRY(fct_comm_reduce_f64(k->comm, v, 7, FCT_SUM));
    k->sums = (fct_head_sums){ v[0], v[1], v[2], v[3], v[4], v[5] };
    k->norm = k->optim ? k->norm : sqrt(v[6]);
    return FCT_OK;
}

fct_status kit_update(kit *k)
{
    if (k->optim)
        return fct_optim_step(k->optim, RATE, k->norm);
    return fct_head_update(k->head, RATE, k->norm);
}

static const float *own_rows(kit *k, const char *what, fct_blobs *state, size_t *floats)
{
    char name[64];
    snprintf(name, sizeof name, "head/%s", what);
    CLAIM(k->comm, fct_head_collect(k->head, state) == FCT_OK);
    const fct_blob *b = fct_blobs_find(state, name);
    *floats = b ? fct_blob_bytes(b) / sizeof(float) : 0;
    return b ? b->data : NULL;
}

void kit_all_rows(kit *k, const char *what, float *out)
{
    fct_blobs state = { 0 };
    size_t bytes[16] = { 0 }, floats;
    double all[16] = { 0 };
    const char *name;
    if (k->params) {
        fct_buffer *b = strcmp(what, "weight") == 0 ? fct_params_weights(k->params)
                                                    : fct_optim_state(k->optim, 0, &name);
        memcpy(out, k->backend->ops->host_ptr(b),
               (size_t)(KIT_C * k->spec.centres * KIT_E) * sizeof *out);
        return;
    }
    const float *mine = own_rows(k, what, &state, &floats);
    all[fct_comm_rank(k->comm)] = (double)(floats * sizeof *mine);
    CLAIM(k->comm, mine && fct_comm_reduce_f64(k->comm, all, 16, FCT_SUM) == FCT_OK);
    for (int r = 0; r < 16; r++)
        bytes[r] = (size_t)all[r];
    CLAIM(k->comm, fct_comm_all_gather(k->comm, mine, bytes, out) == FCT_OK);
    fct_blobs_release(&state);
}

double kit_difference(const float *a, const float *b, int64_t n)
{
    double most = 0, error = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i]));
        error = isfinite(b[i]) ? fmax(error, fabs((double)a[i] - (double)b[i])) : INFINITY;
    }
    return most > 0 ? error / most : error;
}
