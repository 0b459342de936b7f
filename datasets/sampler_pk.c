// SPDX-License-Identifier: Apache-2.0
// PK sampling as a function of (seed, epoch, step). An epoch shows every identity once, in the
// epoch's own order; the last batch is filled up from the order's beginning. An identity with n
// pictures shows K of them at a time and all within ceil(n / K) epochs, then in a new order.
// Letters: P identities in a batch, K pictures of each.
#include <stdlib.h>
#include <string.h>

#include "sampler_pk.h"

struct fct_pk {
    uint64_t seed;
    int64_t p, k;
    int64_t people;      // identities that take part
    int32_t *identity;   // (people) their labels
    int64_t *first;      // (people + 1) where their pictures begin in `member`
    int64_t *member;     // pictures by identity, ascending within one
    int64_t *order;      // (people) the epoch's order
    int64_t order_epoch; // -1: none yet
    int64_t *hand;       // (pictures of the largest identity) one identity's permutation
};

void fct_permute(int64_t *order, int64_t n, fct_rng *rng)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)fct_rng_below(rng, (uint64_t)i + 1);
        int64_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static fct_status refuse_few(const fct_pk *pk, int64_t least)
{
    int all = least == 1;
    return FCT_FAIL(FCT_E_ARG,
                    "%lld identities have at least %lld picture%s, fewer than the %lld of a "
                    "batch\nset sampler.identities_per_batch lower%s",
                    (long long)pk->people, (long long)least, all ? "" : "s", (long long)pk->p,
                    all ? "" : ", or sampler.few to repeat");
}

// count[c]: pictures of identity c; afterwards its place among those that take part, or -1.
static fct_status choose_people(fct_pk *pk, const fct_sampler_spec *spec, int64_t *count)
{
    int64_t least = spec->skip_few ? spec->images : 1, most = 0, at = 0;
    for (int64_t i = 0; i < spec->pictures; i++)
        if (spec->label[i] >= 0)
            count[spec->label[i]]++;
    for (int c = 0; c < spec->classes; c++)
        pk->people += count[c] >= least;
    if (pk->people < pk->p)
        return refuse_few(pk, least);
    const size_t n = (size_t)pk->people;
    pk->identity = malloc(n * sizeof *pk->identity);
    pk->first = malloc((n + 1) * sizeof *pk->first);
    pk->order = malloc(n * sizeof *pk->order);
    if (!pk->identity || !pk->first || !pk->order)
        return FCT_FAIL_NOMEM(3 * n * sizeof *pk->order, "the order of identities");
    pk->people = 0;
    for (int c = 0; c < spec->classes; c++) {
        int64_t pictures = count[c];
        count[c] = -1;
        if (pictures < least)
            continue;
        pk->identity[pk->people] = c;
        pk->first[pk->people] = at;
        count[c] = pk->people++;
        at += pictures;
        most = pictures > most ? pictures : most;
    }
    pk->first[pk->people] = at;
    pk->member = malloc((size_t)at * sizeof *pk->member);
    pk->hand = malloc((size_t)most * sizeof *pk->hand);
    return pk->member && pk->hand
               ? FCT_OK
               : FCT_FAIL_NOMEM((size_t)(at + most) * sizeof *pk->hand, "identities' pictures");
}

// A counting sort; `first` runs ahead to the next identity's beginning and is set back.
static void sort_pictures(fct_pk *pk, const fct_sampler_spec *spec, const int64_t *place)
{
    for (int64_t i = 0; i < spec->pictures; i++) {
        int64_t person = spec->label[i] < 0 ? -1 : place[spec->label[i]];
        if (person >= 0)
            pk->member[pk->first[person]++] = i;
    }
    for (int64_t person = pk->people - 1; person > 0; person--)
        pk->first[person] = pk->first[person - 1];
    pk->first[0] = 0;
}

fct_status fct_pk_create(const fct_sampler_spec *spec, fct_pk **out)
{
    if (spec->images < 1 || spec->batch % spec->images)
        return FCT_FAIL(FCT_E_ARG, "a batch of %lld is not made of identities with %d pictures",
                        (long long)spec->batch, spec->images);
    fct_pk *pk = calloc(1, sizeof *pk);
    int64_t *count = calloc((size_t)spec->classes + 1, sizeof *count);
    fct_status status = FCT_OK;
    if (!pk || !count)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)spec->classes * sizeof *count, "identities"), status,
                     done);
    pk->seed = spec->seed;
    pk->k = spec->images;
    pk->p = spec->batch / spec->images;
    pk->order_epoch = -1;
    FCT_TRY_GOTO(choose_people(pk, spec, count), status, done);
    sort_pictures(pk, spec, count);
    *out = pk;
    pk = NULL;
done:
    free(count);
    fct_pk_destroy(pk);
    return status;
}

void fct_pk_destroy(fct_pk *pk)
{
    if (!pk)
        return;
    free(pk->identity);
    free(pk->first);
    free(pk->member);
    free(pk->order);
    free(pk->hand);
    free(pk);
}

int64_t fct_pk_steps(const fct_pk *pk)
{
    return (pk->people + pk->p - 1) / pk->p;
}

static void order_people(fct_pk *pk, int64_t epoch)
{
    fct_rng rng;
    if (pk->order_epoch == epoch)
        return;
    for (int64_t i = 0; i < pk->people; i++)
        pk->order[i] = i;
    fct_rng_init(&rng, pk->seed, FCT_STREAM_ORDER, (uint32_t)epoch, 0);
    fct_permute(pk->order, pk->people, &rng);
    pk->order_epoch = epoch;
}

// The pictures that a person shows at its turn 0, 1, ...: K neighbours of a permutation that lasts
// until all were shown. With K pictures or more those of one turn differ.
static void draw_person(fct_pk *pk, int64_t person, int64_t turn, int64_t *out)
{
    const int64_t n = pk->first[person + 1] - pk->first[person], turns = (n + pk->k - 1) / pk->k;
    fct_rng rng;
    memcpy(pk->hand, pk->member + pk->first[person], (size_t)n * sizeof *pk->hand);
    fct_rng_init(&rng, pk->seed, FCT_STREAM_SAMPLER, (uint32_t)pk->identity[person],
                 (uint64_t)(turn / turns));
    fct_permute(pk->hand, n, &rng);
    for (int64_t i = 0; i < pk->k; i++)
        out[i] = pk->hand[(turn % turns * pk->k + i) % n];
}

// Who fills the last batch up shows the pictures of its next turn.
void fct_pk_batch(fct_pk *pk, int64_t epoch, int64_t step, int64_t *out)
{
    order_people(pk, epoch);
    for (int64_t i = 0; i < pk->p; i++) {
        const int64_t place = step * pk->p + i, again = place >= pk->people;
        draw_person(pk, pk->order[again ? place - pk->people : place], epoch + again,
                    out + i * pk->k);
    }
}
