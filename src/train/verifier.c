// SPDX-License-Identifier: Apache-2.0
// The pictures are dealt in blocks of eval_rows, block b to rank b % ranks: a picture is in the
// same row of the same block for every number of ranks, and so gets the same bits.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval_look.h"
#include "facet/log.h"
#include "facet/path.h"
#include "facet/watchdog.h"
#include "verifier.h"

enum { LOOK_BLOCKS = 4, VIEWS = 2 }; // the picture and its mirror image

struct fct_verifier {
    fct_verifier_spec spec;
    const fct_pair_set_info *set;
    int64_t rows, blocks; // of a block; in all
    size_t features;      // E
    uint8_t *images;      // (rows, H, W, 3)
    float *read;          // (rows, E), of one view
    float *mine;          // (this rank's pictures, 2, E)
    int64_t n_mine;       // in `mine` so far
    int64_t *times;       // (pictures) in how many pairs, rank 0
    double *distance;     // (pairs), rank 0
    uint8_t *same;        // (pairs), rank 0
};

static int64_t rows_of(const fct_verifier *v, int64_t block)
{
    int64_t rest = v->set->pictures - block * v->rows;
    return rest < v->rows ? rest : v->rows;
}

static int64_t pictures_of_rank(const fct_verifier *v, int rank)
{
    int64_t n = 0;
    for (int64_t b = rank; b < v->blocks; b += fct_comm_size(v->spec.comm))
        n += rows_of(v, b);
    return n;
}

static size_t side_bytes(const fct_verifier *v)
{
    return (size_t)v->spec.net->spec.model.width * 3;
}

static fct_status take_memory(fct_verifier *v)
{
    const fct_model_spec *m = &v->spec.net->spec.model;
    size_t mine = (size_t)pictures_of_rank(v, fct_comm_rank(v->spec.comm));
    size_t pairs = fct_comm_rank(v->spec.comm) == 0 ? (size_t)v->set->pairs->n : 0;
    v->images = calloc((size_t)v->rows * (size_t)m->height, side_bytes(v));
    v->read = calloc((size_t)v->rows * v->features, sizeof *v->read);
    v->mine = calloc(mine * VIEWS * v->features + 1, sizeof *v->mine);
    v->distance = calloc(pairs + 1, sizeof *v->distance);
    v->same = calloc(pairs + 1, 1);
    v->times = calloc((size_t)v->set->pictures + 1, sizeof *v->times);
    if (!v->images || !v->read || !v->mine || !v->distance || !v->same || !v->times)
        return FCT_FAIL_NOMEM(mine * VIEWS * v->features * sizeof *v->mine, "embeddings");
    for (size_t i = 0; i < pairs; i++) {
        const fct_pair *p = &v->set->pairs->pair[i];
        v->same[i] = (uint8_t)p->same;
        v->times[p->first]++;
        v->times[p->second]++;
    }
    return FCT_OK;
}

fct_status fct_verifier_create(const fct_verifier_spec *spec, fct_verifier **out)
{
    fct_verifier *v = calloc(1, sizeof *v);
    if (!v)
        return FCT_FAIL_NOMEM(sizeof *v, "verification");
    const fct_model_spec *m = &spec->net->spec.model;
    v->spec = *spec;
    v->set = fct_pair_set_describe(spec->set);
    v->rows = spec->net->spec.eval_rows;
    v->blocks = (v->set->pictures + v->rows - 1) / v->rows;
    v->features = (size_t)spec->net->features;
    fct_status status = take_memory(v);
    if (status != FCT_OK) {
        fct_verifier_destroy(v);
        return status;
    }
    if ((v->set->height != m->height || v->set->width != m->width) &&
        fct_comm_rank(spec->comm) == 0)
        FCT_WARN("%s: pictures of %d x %d are scaled and cropped to the network's %d x %d",
                 v->set->name, v->set->width, v->set->height, m->width, m->height);
    *out = v;
    return FCT_OK;
}

void fct_verifier_destroy(fct_verifier *v)
{
    if (!v)
        return;
    free(v->images);
    free(v->read);
    free(v->mine);
    free(v->distance);
    free(v->same);
    free(v->times);
    free(v);
}

// ---- embedding

static void mirror(fct_verifier *v, int64_t rows)
{
    const fct_model_spec *m = &v->spec.net->spec.model;
    for (int64_t y = 0; y < rows * m->height; y++) {
        uint8_t *line = v->images + (size_t)y * side_bytes(v);
        for (int a = 0, b = m->width - 1; a < b; a++, b--)
            for (int c = 0; c < 3; c++) {
                uint8_t left = line[3 * a + c];
                line[3 * a + c] = line[3 * b + c];
                line[3 * b + c] = left;
            }
    }
}

static void moved(void *comm)
{
    fct_watchdog_tick(comm);
}

// A short block leaves old pictures in the rows behind it, unused.
static fct_status embed_view(fct_verifier *v, int64_t rows, int view)
{
    fct_graph *g = v->spec.net->eval;
    const fct_graph_hooks hooks = { .ctx = v->spec.comm, .moved = moved };
    FCT_TRY(fct_graph_set_images(g, v->images));
    FCT_TRY(fct_graph_forward(g, &hooks));
    FCT_TRY(fct_graph_read(g, "embedding", v->read));
    for (int64_t i = 0; i < rows; i++)
        memcpy(v->mine + ((size_t)(v->n_mine + i) * VIEWS + (size_t)view) * v->features,
               v->read + (size_t)i * v->features, v->features * sizeof *v->mine);
    return FCT_OK;
}

static fct_status embed_block(fct_verifier *v, int64_t block)
{
    const fct_model_spec *m = &v->spec.net->spec.model;
    if (block >= v->blocks)
        return FCT_OK;
    int64_t rows = rows_of(v, block);
    FCT_TRY(fct_pair_set_read(v->spec.set, block * v->rows, rows, m->height, m->width,
                              v->spec.workers, v->images));
    FCT_TRY(embed_view(v, rows, 0));
    mirror(v, rows);
    FCT_TRY(embed_view(v, rows, 1));
    v->n_mine += rows;
    return FCT_OK;
}

static fct_status embed_all(fct_verifier *v)
{
    int rank = fct_comm_rank(v->spec.comm), ranks = fct_comm_size(v->spec.comm), leave = 0;
    fct_status status = FCT_OK;
    v->n_mine = 0;
    for (int64_t first = 0, i = 0; first < v->blocks; first += ranks, i++) {
        if (i % LOOK_BLOCKS == 0)
            status = fct_eval_look(v->spec.comm, status, &leave);
        if (leave)
            break;
        if (status == FCT_OK)
            status = embed_block(v, first + rank);
        fct_watchdog_tick(v->spec.comm);
    }
    return status;
}

// ---- judging, rank 0

// From rank after rank to the pictures' order: (N, 2, E) of `by_rank` into `out`.
static void order_blocks(const fct_verifier *v, const float *by_rank, float *out)
{
    int ranks = fct_comm_size(v->spec.comm);
    size_t each = VIEWS * v->features;
    for (int r = 0; r < ranks; r++)
        for (int64_t b = r; b < v->blocks; b += ranks) {
            size_t n = (size_t)rows_of(v, b) * each;
            memcpy(out + (size_t)(b * v->rows) * each, by_rank, n * sizeof *out);
            by_rank += n;
        }
}

static fct_status judge_embeddings(fct_verifier *v, const float *raw, double *embedding,
                                   fct_verification *out)
{
    const fct_pairs *pairs = v->set->pairs;
    int features = (int)v->features;
    fct_verification_embed(v->set->pictures, features, raw, v->times, embedding, out);
    for (int64_t i = 0; i < pairs->n; i++)
        v->distance[i] = fct_verification_distance(
            features, embedding + (size_t)pairs->pair[i].first * v->features,
            embedding + (size_t)pairs->pair[i].second * v->features);
    FCT_TRY(fct_verification_judge(pairs->n, v->distance, v->same, out));
    return v->spec.is_rank1 && v->set->identity
               ? fct_verification_rank1(v->set->pictures, features, embedding, v->set->identity,
                                        out)
               : FCT_OK;
}

static fct_status judge(fct_verifier *v, const float *by_rank, fct_verification *out)
{
    size_t n = (size_t)v->set->pictures * v->features;
    float *raw = malloc(n * VIEWS * sizeof *raw);
    double *embedding = malloc(n * sizeof *embedding);
    fct_status status = raw && embedding ? FCT_OK : FCT_FAIL_NOMEM(n * 16, "embeddings");
    if (status == FCT_OK) {
        order_blocks(v, by_rank, raw);
        status = judge_embeddings(v, raw, embedding, out);
    }
    free(raw);
    free(embedding);
    return status;
}

fct_status fct_verifier_run(fct_verifier *v, fct_verification *out)
{
    fct_comm *c = v->spec.comm;
    void *by_rank = NULL;
    size_t total;
    FCT_TRY(fct_comm_agree(c, embed_all(v), v->set->name));
    FCT_TRY(fct_comm_gather(c, v->mine, (size_t)v->n_mine * VIEWS * v->features * sizeof(float),
                            &by_rank, &total));
    *out = (fct_verification){ .rank1 = NAN };
    fct_status status = fct_comm_rank(c) == 0 ? judge(v, by_rank, out) : FCT_OK;
    free(by_rank);
    FCT_TRY(fct_comm_agree(c, status, "judging the pairs"));
    return fct_comm_broadcast(c, out, sizeof *out, 0);
}

// ---- files

const double *fct_verifier_distances(const fct_verifier *v)
{
    return v->distance;
}

static fct_status write_text(fct_text *text, fct_status status, const char *path)
{
    if (status == FCT_OK && text->failed)
        status = FCT_FAIL_NOMEM(text->size, path);
    if (status == FCT_OK)
        status = fct_path_replace(path, text->data, text->size);
    fct_text_release(text);
    return status;
}

fct_status fct_verifier_write_roc(const fct_verifier *v, const char *path)
{
    fct_text text = { 0 };
    fct_status status = fct_verification_roc_csv(v->set->pairs->n, v->distance, v->same, &text);
    return write_text(&text, status, path);
}

fct_status fct_verifier_write_distances(const fct_verifier *v, const char *path)
{
    fct_text text = { 0 };
    fct_text_add(&text, "first,second,same,distance\n");
    for (int64_t i = 0; i < v->set->pairs->n; i++) {
        const fct_pair *p = &v->set->pairs->pair[i];
        fct_text_add(&text, "%lld,%lld,%d,%.17g\n", (long long)p->first, (long long)p->second,
                     p->same, v->distance[i]);
    }
    return write_text(&text, FCT_OK, path);
}
