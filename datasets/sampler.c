// SPDX-License-Identifier: Apache-2.0
// Which pictures make up a global batch: shuffle, weighted, balanced, sequential, pk, each a pure
// function of (seed, epoch, step). What is kept between calls is only a cache.
#include <stdlib.h>
#include <string.h>

#include "facet/text.h"
#include "sampler_pk.h"

// The pictures of one class, and the permutation of the pass through them that was asked for last.
typedef struct {
    int64_t low, count; // its part of `member` and `order`
    int64_t pass;       // whose permutation `order` holds; -1: none yet
} class_list;

struct fct_sampler {
    fct_sampler_spec spec;
    int64_t steps;
    int64_t draws;       // pictures handed out in an epoch
    int classes;         // that have pictures; the unlabelled are one of them
    class_list *list;    // (classes)
    int64_t *member;     // (N) pictures sorted by class, ascending within one
    int64_t *order;      // (N) shuffle: the epoch's permutation; balanced: each class's permutation
    int64_t order_epoch; // of shuffle; -1: none yet
    fct_pk *pk;          // of pk
};

static const char *const kind_name[] = {
    [FCT_SAMPLER_SHUFFLE] = "shuffle",
    [FCT_SAMPLER_WEIGHTED] = "weighted",
    [FCT_SAMPLER_BALANCED] = "balanced",
    [FCT_SAMPLER_SEQUENTIAL] = "sequential",
    [FCT_SAMPLER_PK] = "pk",
};
enum { KINDS = sizeof kind_name / sizeof kind_name[0] };

fct_status fct_sampler_parse(const char *name, fct_sampler_kind *out)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(name, kind_name[i]) == 0) {
            *out = (fct_sampler_kind)i;
            return FCT_OK;
        }
    const char *near = fct_text_nearest(name, kind_name, KINDS);
    return FCT_FAIL(FCT_E_ARG, "sampler '%s' is unknown\n%s%s%s", name,
                    near ? "did you mean '" : "shuffle, weighted, balanced, pk or sequential",
                    near ? near : "", near ? "'?" : "");
}

void fct_sampler_slice(int64_t batch, int rank, int ranks, int64_t *low, int64_t *high)
{
    *low = (batch * rank + ranks - 1) / ranks;
    *high = (batch * (rank + 1) + ranks - 1) / ranks;
}

static int is_by_class(fct_sampler_kind kind)
{
    return kind == FCT_SAMPLER_WEIGHTED || kind == FCT_SAMPLER_BALANCED;
}

static fct_status check_spec(const fct_sampler_spec *spec)
{
    if ((unsigned)spec->kind >= KINDS)
        return FCT_FAIL(FCT_E_ARG, "sampler kind %d is unknown", (int)spec->kind);
    if (spec->pictures < 1)
        return FCT_FAIL(FCT_E_ARG, "no pictures to sample from");
    if (spec->batch < 1)
        return FCT_FAIL(FCT_E_ARG, "batch of %lld pictures", (long long)spec->batch);
    if (spec->drop_last && spec->batch > spec->pictures && spec->kind != FCT_SAMPLER_PK)
        return FCT_FAIL(FCT_E_ARG,
                        "a batch of %lld is larger than the set of %lld pictures\n"
                        "make the batch smaller or train the short last batch too",
                        (long long)spec->batch, (long long)spec->pictures);
    return FCT_OK;
}

static fct_status check_labels(const fct_sampler_spec *spec)
{
    if (!is_by_class(spec->kind) && spec->kind != FCT_SAMPLER_PK)
        return FCT_OK;
    if (!spec->label)
        return FCT_FAIL(FCT_E_ARG, "the %s sampler needs %s", kind_name[spec->kind],
                        spec->kind == FCT_SAMPLER_PK ? "identities" : "class labels");
    for (int64_t i = 0; i < spec->pictures; i++)
        if (spec->label[i] < -1 || spec->label[i] >= spec->classes)
            return FCT_FAIL(FCT_E_ARG, "picture %lld has class %d of %d", (long long)i,
                            (int)spec->label[i], spec->classes);
    return FCT_OK;
}

// Counting sort by class, slot 0 for the unlabelled; then classes without pictures are left out.
static void sort_by_class(fct_sampler *s)
{
    const int32_t *label = s->spec.label;
    for (int64_t i = 0; i < s->spec.pictures; i++)
        s->list[label[i] + 1].count++;
    int64_t low = 0;
    for (int c = 0; c <= s->spec.classes; c++) {
        s->list[c].low = low;
        low += s->list[c].count;
        s->list[c].count = 0;
    }
    for (int64_t i = 0; i < s->spec.pictures; i++) {
        class_list *list = &s->list[label[i] + 1];
        s->member[list->low + list->count++] = i;
    }
    for (int c = 0; c <= s->spec.classes; c++)
        if (s->list[c].count > 0) {
            s->list[s->classes] = s->list[c];
            s->list[s->classes++].pass = -1;
        }
}

static void count_steps(fct_sampler *s)
{
    const fct_sampler_spec *spec = &s->spec;
    s->steps = s->pk ? fct_pk_steps(s->pk) : spec->pictures / spec->batch;
    if (!s->pk && !spec->drop_last && spec->pictures % spec->batch)
        s->steps++;
    if (spec->drop_last && spec->parts > 1 && s->steps > spec->parts)
        s->steps -= s->steps % spec->parts;
    s->draws = s->pk || spec->drop_last ? s->steps * spec->batch : spec->pictures;
}

static fct_status make_lists(fct_sampler *s)
{
    size_t n = (size_t)s->spec.pictures;
    if (s->spec.kind == FCT_SAMPLER_SHUFFLE || s->spec.kind == FCT_SAMPLER_BALANCED) {
        s->order = malloc(n * sizeof *s->order);
        if (!s->order)
            return FCT_FAIL_NOMEM(n * sizeof *s->order, "the order of pictures");
    }
    if (is_by_class(s->spec.kind)) {
        s->list = calloc((size_t)s->spec.classes + 1, sizeof *s->list);
        s->member = malloc(n * sizeof *s->member);
        if (!s->list || !s->member)
            return FCT_FAIL_NOMEM(n * sizeof *s->member, "the pictures of each class");
        sort_by_class(s);
    }
    if (s->spec.kind == FCT_SAMPLER_PK)
        FCT_TRY(fct_pk_create(&s->spec, &s->pk));
    s->spec.label = NULL; // the caller's, not needed any more
    return FCT_OK;
}

fct_status fct_sampler_create(const fct_sampler_spec *spec, fct_sampler **out)
{
    FCT_TRY(check_spec(spec));
    FCT_TRY(check_labels(spec));
    fct_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return FCT_FAIL_NOMEM(sizeof *s, "the sampler");
    s->spec = *spec;
    s->order_epoch = -1;
    fct_status status = make_lists(s);
    if (status != FCT_OK) {
        fct_sampler_destroy(s);
        return status;
    }
    count_steps(s);
    *out = s;
    return FCT_OK;
}

void fct_sampler_destroy(fct_sampler *s)
{
    if (!s)
        return;
    free(s->list);
    free(s->member);
    free(s->order);
    fct_pk_destroy(s->pk);
    free(s);
}

int64_t fct_sampler_steps(const fct_sampler *s)
{
    return s->steps;
}

int64_t fct_sampler_batch_size(const fct_sampler *s, int64_t step)
{
    int64_t rest = s->draws - step * s->spec.batch;
    return rest < s->spec.batch ? rest : s->spec.batch;
}

static void draw_shuffled(fct_sampler *s, int64_t epoch, int64_t first, int64_t n, int64_t *out)
{
    if (s->order_epoch != epoch) {
        for (int64_t i = 0; i < s->spec.pictures; i++)
            s->order[i] = i;
        fct_rng rng;
        fct_rng_init(&rng, s->spec.seed, FCT_STREAM_ORDER, (uint32_t)epoch, 0);
        fct_permute(s->order, s->spec.pictures, &rng);
        s->order_epoch = epoch;
    }
    memcpy(out, s->order + first, (size_t)n * sizeof *out);
}

// Weight 1/count of the class: any class that has pictures alike, then any of its pictures alike.
static void draw_weighted(const fct_sampler *s, int64_t epoch, int64_t first, int64_t n,
                          int64_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        fct_rng rng;
        fct_rng_init(&rng, s->spec.seed, FCT_STREAM_SAMPLER, (uint32_t)epoch,
                     (uint64_t)(first + i));
        const class_list *list = &s->list[fct_rng_below(&rng, (uint64_t)s->classes)];
        out[i] = s->member[list->low + (int64_t)fct_rng_below(&rng, (uint64_t)list->count)];
    }
}

// The `turn`-th picture of a class since training began: passes go on over the ends of epochs, so
// that a class larger than its share of an epoch is still seen whole before any picture comes
// again.
static int64_t class_picture(fct_sampler *s, int c, int64_t turn)
{
    class_list *list = &s->list[c];
    int64_t *order = s->order + list->low, pass = turn / list->count;
    if (list->pass != pass) {
        memcpy(order, s->member + list->low, (size_t)list->count * sizeof *order);
        fct_rng rng;
        fct_rng_init(&rng, s->spec.seed, FCT_STREAM_SAMPLER, (uint32_t)c, (uint64_t)pass);
        fct_permute(order, list->count, &rng);
        list->pass = pass;
    }
    return order[turn % list->count];
}

static void draw_balanced(fct_sampler *s, int64_t epoch, int64_t first, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t draw = epoch * s->draws + first + i;
        out[i] = class_picture(s, (int)(draw % s->classes), draw / s->classes);
    }
}

fct_status fct_sampler_batch(fct_sampler *s, int64_t epoch, int64_t step, int64_t *out)
{
    if (epoch < 0 || epoch > UINT32_MAX || step < 0 || step >= s->steps)
        return FCT_FAIL(FCT_E_ARG, "no batch at epoch %lld, step %lld of %lld", (long long)epoch,
                        (long long)step, (long long)s->steps);
    int64_t first = step * s->spec.batch, n = fct_sampler_batch_size(s, step);
    switch (s->spec.kind) {
    case FCT_SAMPLER_SHUFFLE:
        draw_shuffled(s, epoch, first, n, out);
        break;
    case FCT_SAMPLER_WEIGHTED:
        draw_weighted(s, epoch, first, n, out);
        break;
    case FCT_SAMPLER_BALANCED:
        draw_balanced(s, epoch, first, n, out);
        break;
    case FCT_SAMPLER_PK:
        fct_pk_batch(s->pk, epoch, step, out);
        break;
    case FCT_SAMPLER_SEQUENTIAL:
        for (int64_t i = 0; i < n; i++)
            out[i] = first + i;
        break;
    }
    return FCT_OK;
}
