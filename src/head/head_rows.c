// SPDX-License-Identifier: Apache-2.0
// The rows of weights that this rank holds, and those that a step trains. Sampling (Partial FC, An
// et al., CVPR 2022): the classes that the batch has, and of the others each with probability
// `sample`, as a function of (seed, step, class) and of nothing else: the same classes on any
// number of ranks. Their weights and moments are copied into the small table that is trained, and
// back.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/rng.h"
#include "head_internal.h"

enum { PER_DRAW = 4 }; // classes that one call of Philox decides on

static size_t row_bytes(const fct_head *h)
{
    return (size_t)h->spec.features * sizeof(float);
}

int64_t fct_head_all_rows(const fct_head *h)
{
    return (h->rows.high - h->rows.low) * h->spec.centres;
}

static fct_status find_in_network(fct_head *h)
{
    fct_head_rows *r = &h->rows;
    int n;
    const fct_shape want =
        fct_shape_make(FCT_F32, FCT_PLAIN, 2, FCT_DIMS(fct_head_all_rows(h), h->spec.features));
    r->params = h->spec.params;
    r->param = fct_params_find(r->params, FCT_HEAD_WEIGHT);
    if (r->param < 0 || !fct_shape_equal(&fct_params_table(r->params, &n)[r->param].shape, &want))
        return FCT_FAIL(FCT_E_ARG,
                        "identity head: the network has no " FCT_HEAD_WEIGHT " of %lld x %d",
                        (long long)fct_head_all_rows(h), h->spec.features);
    return FCT_OK;
}

// More chosen than this has a probability below 1e-15; what would be too many is left out.
static int64_t most_chosen(const fct_head *h)
{
    const int64_t classes = h->rows.high - h->rows.low;
    const double expected = h->spec.sample * (double)classes;
    const double most = ceil(expected + 8 * sqrt(expected) + 16) + (double)h->most;
    return most < (double)classes ? (int64_t)most : classes;
}

// As the parameter table pads them.
static size_t padded_bytes(const fct_head *h, int64_t rows)
{
    return (row_bytes(h) * (size_t)rows + 63) / 64 * 64;
}

static fct_status make_table(fct_head *h)
{
    fct_head_rows *r = &h->rows;
    const fct_graph_spec spec = { .batch = 1, .global_batch = 1, .training = 1 };
    fct_graph *g;
    if (h->is_plan) {
        r->states = (h->spec.optim.is_adamw ? 2 : 1) + (h->spec.optim.ema > 0);
        h->bytes += (size_t)(2 + r->states) * padded_bytes(h, r->capacity);
        return FCT_OK;
    }
    FCT_TRY(fct_params_create(h->spec.backend, &r->params));
    FCT_TRY(fct_graph_create(r->params, &spec, &g));
    fct_graph_matrix(g, FCT_HEAD_WEIGHT, r->capacity, h->spec.features, 0.01);
    fct_graph_destroy(g);
    r->param = fct_params_find(r->params, FCT_HEAD_WEIGHT);
    if (r->param < 0)
        return FCT_FAIL_NOMEM(row_bytes(h) * (size_t)r->capacity, "the identity head's weights");
    FCT_TRY(fct_params_seal(r->params, NULL));
    FCT_TRY(fct_optim_create(&h->spec.optim, r->params, &r->optim));
    const char *name;
    while (fct_optim_state(r->optim, r->states, &name))
        r->states++;
    h->bytes += (size_t)(2 + r->states) * fct_params_bytes(r->params);
    return FCT_OK;
}

fct_status fct_head_rows_create(fct_head *h)
{
    fct_head_rows *r = &h->rows;
    if (!h->spec.is_sharded) {
        r->high = h->spec.classes;
        r->capacity = fct_head_all_rows(h);
        return h->is_plan ? FCT_OK : find_in_network(h);
    }
    fct_head_slice(h->spec.classes, h->rank, h->ranks, &r->low, &r->high);
    r->is_sampled = h->spec.sample < 1;
    r->capacity = r->is_sampled ? most_chosen(h) * h->spec.centres : fct_head_all_rows(h);
    FCT_TRY(make_table(h));
    if (!r->is_sampled)
        return FCT_OK;
    const size_t classes = (size_t)(r->high - r->low);
    FCT_TRY(fct_head_get(h, (size_t)r->capacity * sizeof *r->chosen, (void **)&r->chosen));
    FCT_TRY(fct_head_get(h, classes + PER_DRAW, (void **)&r->is_wanted));
    FCT_ASSERT(r->states < FCT_HEAD_STATES);
    FCT_TRY(
        fct_head_get_buffer(h, (size_t)r->capacity * sizeof *r->chosen, &h->held[FCT_HELD_CHOSEN]));
    for (int i = 0; i <= r->states; i++)
        FCT_TRY(fct_head_get_buffer(h, (size_t)fct_head_all_rows(h) * row_bytes(h), &r->all[i]));
    return FCT_OK;
}

void fct_head_rows_destroy(fct_head *h)
{
    fct_head_rows *r = &h->rows;
    for (int i = 0; i < FCT_HEAD_STATES; i++)
        h->ops->release(h->spec.backend, r->all[i]);
    h->ops->release(h->spec.backend, r->accumulated);
    free(r->chosen);
    free(r->is_wanted);
    fct_optim_destroy(r->optim);
    if (h->spec.is_sharded)
        fct_params_destroy(r->params);
}

// ---- where they lie

static fct_buffer *trained(const fct_head *h, int state, const char **name)
{
    *name = "weight";
    return state ? fct_optim_state(h->rows.optim, state - 1, name)
                 : fct_params_weights(h->rows.params);
}

fct_buffer *fct_head_state(const fct_head *h, int state, const char **name)
{
    fct_buffer *b = state <= h->rows.states ? trained(h, state, name) : NULL;
    return b && h->rows.is_sampled ? h->rows.all[state] : b;
}

static fct_head_matrix in_table(const fct_head *h, fct_buffer *buffer)
{
    int n;
    const size_t offset = fct_params_table(h->rows.params, &n)[h->rows.param].offset;
    return (fct_head_matrix){ buffer, offset, fct_head_rows_n(h), h->spec.features };
}

fct_head_matrix fct_head_weights(const fct_head *h)
{
    return in_table(h, fct_params_weights(h->rows.params));
}

fct_head_matrix fct_head_grads(const fct_head *h)
{
    return in_table(h, fct_params_grads(h->rows.params));
}

int64_t fct_head_rows_n(const fct_head *h)
{
    return h->rows.is_sampled ? h->rows.chosen_n * h->spec.centres : h->rows.capacity;
}

// ---- sampling

enum { DRAWN = 1, IN_BATCH = 2 };

// A word of Philox for each class, four to a call; calls begin at multiples of four classes.
static void draw(const fct_head *h, int64_t step)
{
    const fct_head_rows *r = &h->rows;
    const uint32_t below = (uint32_t)(h->spec.sample * 4294967296.0);
    const int64_t first = r->low / PER_DRAW * PER_DRAW;
#pragma omp parallel for schedule(static)
    for (int64_t c = first; c < r->high; c += PER_DRAW) {
        fct_rng rng;
        fct_rng_init(&rng, h->spec.seed, FCT_STREAM_CLASSES, (uint32_t)step,
                     (uint64_t)(c / PER_DRAW));
        for (int64_t k = c; k < c + PER_DRAW; k++) {
            const uint32_t word = fct_rng_u32(&rng);
            if (k >= r->low && k < r->high)
                r->is_wanted[k - r->low] = word < below ? DRAWN : 0;
        }
    }
}

static void choose(fct_head *h, int64_t step)
{
    fct_head_rows *r = &h->rows;
    int64_t room = r->capacity / h->spec.centres;
    draw(h, step);
    for (int64_t i = 0; i < h->batch.all; i++) {
        const int64_t c = h->batch.label[i] - r->low;
        if (h->batch.label[i] < r->low || h->batch.label[i] >= r->high ||
            r->is_wanted[c] & IN_BATCH)
            continue;
        r->is_wanted[c] |= IN_BATCH;
        room--;
    }
    r->chosen_n = 0;
    for (int64_t c = 0; c < r->high - r->low; c++) {
        if (r->is_wanted[c] == DRAWN && room-- <= 0)
            continue;
        if (r->is_wanted[c])
            r->chosen[r->chosen_n++] = c;
    }
}

// Between `all` and the table, weights and moments.
static fct_status copy_chosen(fct_head *h, int is_back)
{
    const fct_head_rows *r = &h->rows;
    for (int state = 0; state <= r->states; state++) {
        const char *name;
        const fct_slice all = { r->all[state], 0 }, table = { trained(h, state, &name), 0 };
        FCT_TRY(h->table->move(h->spec.backend, &h->work, all, table, is_back));
    }
    return FCT_OK;
}

fct_status fct_head_rows_choose(fct_head *h, int64_t step)
{
    fct_head_rows *r = &h->rows;
    if (!r->is_sampled)
        return FCT_OK;
    choose(h, step);
    h->work.chosen = fct_head_slice_of(h, FCT_HELD_CHOSEN);
    h->work.chosen_n = r->chosen_n;
    FCT_TRY(fct_head_push(h, h->work.chosen, r->chosen, (size_t)r->chosen_n * sizeof *r->chosen));
    FCT_TRY(copy_chosen(h, 0));
    // The rows behind them train too, on nothing.
    const size_t used = (size_t)fct_head_rows_n(h) * row_bytes(h);
    const fct_vec_args none = { .n = (fct_params_bytes(r->params) - used) / sizeof(float),
                                .a = { fct_params_grads(r->params), used } };
    return none.n ? h->ops->vec(h->spec.backend, FCT_VEC_FILL, &none, 1) : FCT_OK;
}

// ---- the step

fct_status fct_head_norm(const fct_head *h, double *square)
{
    *square = 0;
    if (!h->spec.is_sharded)
        return FCT_OK;
    const fct_slice all = { fct_params_grads(h->rows.params), 0 };
    const size_t n = fct_params_bytes(h->rows.params) / sizeof(float);
    return h->ops->sum_squares(h->spec.backend, &all, &n, 1, square);
}

fct_status fct_head_update(fct_head *h, double learning_rate, double norm)
{
    if (!h->spec.is_sharded)
        return FCT_OK;
    FCT_TRY(fct_optim_step(h->rows.optim, learning_rate, norm));
    return h->rows.is_sampled ? copy_chosen(h, 1) : FCT_OK;
}

// ---- all rows, a piece at a time through the host

enum { PIECE_FLOATS = 1 << 20 };

typedef fct_status (*on_piece)(fct_head *h, int64_t first, int64_t n, float *piece);

static fct_status for_pieces(fct_head *h, on_piece work)
{
    const int64_t all = fct_head_all_rows(h) * h->spec.features;
    float *piece = malloc(PIECE_FLOATS * sizeof *piece);
    if (!piece)
        return FCT_FAIL_NOMEM(PIECE_FLOATS * sizeof *piece, "rows of the identity head");
    fct_status status = FCT_OK;
    for (int64_t first = 0; first < all && status == FCT_OK; first += PIECE_FLOATS)
        status = work(h, first, all - first < PIECE_FLOATS ? all - first : PIECE_FLOATS, piece);
    free(piece);
    return status;
}

static fct_slice part_of(fct_buffer *buffer, int64_t first)
{
    return (fct_slice){ buffer, (size_t)first * sizeof(float) };
}

// Where the average of sampled weights lies; NULL: there is none.
static fct_buffer *average(const fct_head *h)
{
    const char *name;
    for (int i = 1; h->rows.is_sampled && i <= h->rows.states; i++)
        if (trained(h, i, &name) && !strcmp(name, "ema"))
            return h->rows.all[i];
    return NULL;
}

static fct_status swap_piece(fct_head *h, int64_t first, int64_t n, float *piece)
{
    const fct_slice weight = part_of(h->rows.all[0], first), ema = part_of(average(h), first);
    const size_t bytes = (size_t)n * sizeof *piece;
    const fct_vec_args copy = { .n = (size_t)n, .a = weight, .b = ema };
    FCT_TRY(fct_head_pull(h, piece, weight, bytes));
    FCT_TRY(h->ops->vec(h->spec.backend, FCT_VEC_COPY, &copy, 1));
    return fct_head_push(h, ema, piece, bytes);
}

fct_status fct_head_swap_ema(fct_head *h)
{
    const fct_head_rows *r = &h->rows;
    if (!h->spec.is_sharded || !r->is_sampled)
        return h->spec.is_sharded ? fct_optim_swap_ema(r->optim) : FCT_OK;
    return average(h) && fct_optim_steps(r->optim) > 0 ? for_pieces(h, swap_piece) : FCT_OK;
}

// The average of sampled classes too, which no step has chosen yet.
static fct_status init_piece(fct_head *h, int64_t first, int64_t n, float *piece)
{
    const fct_head_rows *r = &h->rows;
    const char *name;
    int rows;
    const size_t bytes = (size_t)n * sizeof *piece;
    fct_param_fill(&fct_params_table(r->params, &rows)[r->param], h->spec.seed,
                   r->low * h->spec.centres * h->spec.features + first, n, piece);
    FCT_TRY(fct_head_push(h, part_of(fct_head_state(h, 0, &name), first), piece, bytes));
    fct_buffer *ema = average(h);
    return ema ? fct_head_push(h, part_of(ema, first), piece, bytes) : FCT_OK;
}

fct_status fct_head_init(fct_head *h)
{
    return h->spec.is_sharded ? for_pieces(h, init_piece) : FCT_OK;
}
