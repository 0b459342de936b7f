// SPDX-License-Identifier: Apache-2.0
// What the tests of the identity head share.
#include "head_kit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/comm_vectors.h"
#include "facet/rng.h"

static const uint64_t SEED = 77;
static const double RATE = 0.003, NOISE = 3e-5;

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
    kit_open_on(k, c, spec, KIT_CPU);
}

// A device takes its time to start: one for all kits, with its links.
static fct_backend *the_device;
static fct_comm_device *the_links;

static fct_status open_links(kit *k, int device)
{
    const fct_device_ops *d = k->backend->ops->device;
    fct_device_info info;
    if (fct_comm_size(k->comm) == 1)
        return FCT_OK;
    FCT_TRY(d->info(device, &info));
    const fct_comm_device_spec spec = { .ops = d->comm,
                                        .device = device,
                                        .uuid = info.uuid,
                                        .compute = d->stream(k->backend, FCT_STREAM_COMPUTE),
                                        .comm = d->stream(k->backend, FCT_STREAM_COMM),
                                        .limit_s = 20 };
    FCT_TRY(fct_comm_device_create(k->comm, &spec, &the_links));
    d->set_idle(k->backend, fct_comm_device_idle, the_links);
    return FCT_OK;
}

void kit_end(void)
{
    if (the_links)
        the_device->ops->device->set_idle(the_device, NULL, NULL);
    fct_comm_device_destroy(the_links);
    if (the_device)
        the_device->ops->destroy(the_device);
    the_device = NULL;
    the_links = NULL;
}

static fct_status open_operands(kit *k)
{
    const struct {
        fct_buffer **out;
        size_t bytes;
    } of[] = { { &k->x_there, KIT_B * KIT_E * sizeof(float) },
               { &k->label_there, KIT_B * sizeof(int64_t) },
               { &k->scalars_there, 3 * sizeof(double) },
               { &k->dx_there, KIT_B * KIT_E * sizeof(float) },
               { &k->sums_there, 6 * sizeof(double) } };
    for (size_t i = 0; k->where == KIT_LINKS && i < sizeof of / sizeof *of; i++)
        FCT_TRY(k->backend->ops->alloc(k->backend, of[i].bytes, of[i].out));
    return FCT_OK;
}

static fct_status start_device(kit *k, fct_backend_spec *spec)
{
    const fct_backend_ops *ops = fct_backend_find("cuda");
    int devices;
    if (!ops)
        return FCT_E_UNSUPPORTED; // in words
    FCT_TRY(ops->device->count(&devices));
    spec->device = fct_comm_rank(k->comm) % devices;
    FCT_TRY(ops->create(spec, &k->backend));
    the_device = k->backend;
    return open_links(k, spec->device);
}

static fct_status open_backend(kit *k)
{
    fct_backend_spec spec = { .threads = 1, .precision = FCT_PRECISION_F32 };
    if (k->where == KIT_CPU)
        return fct_backend_find("cpu")->create(&spec, &k->backend);
    if (!the_device)
        FCT_TRY(start_device(k, &spec));
    k->backend = the_device;
    k->spec.links = k->where == KIT_LINKS ? the_links : NULL;
    return open_operands(k);
}

void kit_open_on(kit *k, fct_comm *c, fct_head_spec spec, kit_where where)
{
    *k = (kit){ .comm = c, .spec = spec, .where = where };
    k->spec.comm = c;
    CLAIM(c, open_backend(k) == FCT_OK);
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
    fct_buffer *const operands[] = { k->x_there, k->label_there, k->scalars_there, k->dx_there,
                                     k->sums_there };
    free(k->dx);
    fct_head_destroy(k->head);
    fct_optim_destroy(k->optim);
    fct_params_destroy(k->params);
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
        k->backend->ops->release(k->backend, operands[i]);
    if (k->where == KIT_CPU)
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
void kit_slice(kit *k, int64_t rows)
{
    const int rank = fct_comm_rank(k->comm), ranks = fct_comm_size(k->comm);
    k->low = rows * rank / ranks;
    k->high = rows * (rank + 1) / ranks;
}

static fct_tensor bytes_of(fct_buffer *b, int64_t bytes)
{
    return (fct_tensor){ b, 0, fct_shape_make(FCT_U8, FCT_PLAIN, 1, FCT_DIMS(bytes)) };
}

static fct_status send(kit *k, fct_buffer *to, const void *from, size_t bytes)
{
    if (bytes)
        FCT_TRY(k->backend->ops->upload(k->backend, bytes_of(to, (int64_t)bytes), from));
    return k->backend->ops->sync(k->backend);
}

static fct_status receive(kit *k, void *to, fct_buffer *from, size_t bytes)
{
    if (bytes)
        FCT_TRY(k->backend->ops->download(k->backend, to, bytes_of(from, (int64_t)bytes)));
    return k->backend->ops->sync(k->backend);
}

fct_status kit_give(kit *k, const float *x, const int64_t *label, const fct_head_step *step)
{
    const size_t n = (size_t)(k->high - k->low);
    const double scalars[3] = { step->denominator, step->factor, step->margin_share };
    const double none[6] = { 0 };
    FCT_TRY(send(k, k->x_there, x + k->low * KIT_E, n * KIT_E * sizeof *x));
    FCT_TRY(send(k, k->label_there, label + k->low, n * sizeof *label));
    FCT_TRY(send(k, k->scalars_there, scalars, sizeof scalars));
    return send(k, k->sums_there, none, sizeof none);
}

fct_status kit_train_there(kit *k, const fct_head_step *step)
{
    return fct_head_train_device(k->head, step, k->high - k->low, (fct_slice){ k->x_there, 0 },
                                 (fct_slice){ k->label_there, 0 },
                                 (fct_slice){ k->scalars_there, 0 }, (fct_slice){ k->dx_there, 0 },
                                 (fct_slice){ k->sums_there, 0 });
}

static fct_status add_over_ranks(kit *k, const fct_head_sums *sums)
{
    double v[7] = {
        sums->loss, sums->count, sums->right, sums->triplet, sums->anchors, sums->spread
    };
    if (k->optim)
        FCT_TRY(fct_optim_norm(k->optim, &k->norm));
    FCT_TRY(fct_head_norm(k->head, &v[6]));
    FCT_TRY(fct_comm_reduce_f64(k->comm, v, 7, FCT_SUM));
    k->sums = (fct_head_sums){ v[0], v[1], v[2], v[3], v[4], v[5] };
    k->norm = k->optim ? k->norm : sqrt(v[6]);
    return FCT_OK;
}

fct_status kit_fetch(kit *k)
{
    double s[6];
    FCT_TRY(receive(k, k->dx + k->low * KIT_E, k->dx_there,
                    (size_t)((k->high - k->low) * KIT_E) * sizeof *k->dx));
    FCT_TRY(receive(k, s, k->sums_there, sizeof s));
    return add_over_ranks(k, &(fct_head_sums){ s[0], s[1], s[2], s[3], s[4], s[5] });
}

fct_status kit_part(kit *k, int number, int64_t rows, int part, int parts, double share)
{
    float x[KIT_B * KIT_E];
    int64_t label[KIT_B];
    fct_head_step step = { .step = number, .part = part, .parts = parts, .share = share };
    kit_batch(number, rows, x, label);
    kit_slice(k, rows);
    for (int64_t i = 0; i < rows; i++)
        step.denominator += label[i] >= 0;
    step.factor = 1.5;
    step.margin_share = 0.8;
    if (k->where == KIT_LINKS) {
        FCT_TRY(kit_give(k, x, label, &step));
        FCT_TRY(kit_train_there(k, &step));
        return kit_fetch(k);
    }
    fct_head_sums sums = { 0 };
    FCT_TRY(fct_head_train(k->head, &step, k->high - k->low, x + k->low * KIT_E, label + k->low,
                           k->dx + k->low * KIT_E, &sums));
    return add_over_ranks(k, &sums);
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
        CLAIM(k->comm, receive(k, out, b,
                               (size_t)(KIT_C * k->spec.centres * KIT_E) * sizeof *out) == FCT_OK);
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

int kit_is_near(double a, double b)
{
    return fabs(a - b) <= NOISE * (1 + fabs(a));
}

void kit_claim_same_sums(fct_comm *c, const kit *one, const kit *many)
{
    const fct_head_sums *a = &one->sums, *b = &many->sums;
    CLAIM(c, kit_is_near(a->loss, b->loss) && a->count == b->count && a->right == b->right);
    CLAIM(c, kit_is_near(a->triplet, b->triplet) && a->anchors == b->anchors);
    CLAIM(c, kit_is_near(a->spread, b->spread));
    CLAIM(c, kit_is_near(one->norm, many->norm));
}

void kit_claim_same_rows(fct_comm *c, kit *one, kit *many, const char *what)
{
    static float a[KIT_ROWS * KIT_E], b[KIT_ROWS * KIT_E];
    kit_all_rows(one, what, a);
    kit_all_rows(many, what, b);
    CLAIM(c, kit_difference(a, b, KIT_C * one->spec.centres * KIT_E) < NOISE);
}

void kit_claim_same_dx(fct_comm *c, const kit *one, const kit *many)
{
    const int64_t from = many->low * KIT_E, n = (many->high - many->low) * KIT_E;
    CLAIM(c, kit_difference(one->dx + from, many->dx + from, n) < NOISE);
}

void kit_compare(fct_comm *c, fct_comm *self, fct_head_spec whole, fct_head_spec split,
                 kit_where where)
{
    static const int64_t rows[] = { KIT_B, KIT_B, 2, 0, KIT_B }; // some ranks of 3 and 4 have none
    kit one, many;
    kit_open(&one, self, whole);
    kit_open_on(&many, c, split, where);
    kit_claim_same_rows(c, &one, &many, "weight");
    for (int s = 0; s < 5; s++) {
        CLAIM(c, kit_part(&one, s, rows[s], 0, 1, 1) == FCT_OK);
        CLAIM(c, kit_part(&many, s, rows[s], 0, 1, 1) == FCT_OK);
        kit_claim_same_sums(c, &one, &many);
        kit_claim_same_dx(c, &one, &many);
        CLAIM(c, kit_update(&one) == FCT_OK && kit_update(&many) == FCT_OK);
        kit_claim_same_rows(c, &one, &many, "weight");
        kit_claim_same_rows(c, &one, &many, "momentum");
    }
    CLAIM(c, one.sums.count > one.sums.right);
    CLAIM(c, whole.triplet_weight <= 0 || one.sums.anchors > 0);
    kit_close(&one);
    kit_close(&many);
}
