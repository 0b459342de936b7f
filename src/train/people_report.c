// SPDX-License-Identifier: Apache-2.0
// What the sampler makes of the data's people, for --dry-run: how many a batch shows, how many
// pictures of each, and what an epoch leaves out. Shows why plain shuffling starts no identity
// training.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "trainer.h"

// Enough to see whether a sampler without a bound comes round at all.
enum { MOST_EPOCHS = 10 };
static const double most_draws = 2e7;

typedef struct {
    double sum, n, least, most;
} spread;

typedef struct {
    int64_t persons, pictures;         // of the data, that show a person
    int64_t few, few_pictures;         // persons with fewer than K pictures, and their pictures
    int64_t largest;                   // pictures of the person with the most
    int64_t seen_persons, seen, draws; // in the epochs so far; draws with repetitions
    spread per_batch, ratio, each;     // persons; pictures a person, batch by batch; of each person
    int64_t *count;                    // (identities) pictures of each
    char *shown_person, *shown;        // (identities), (pictures)
} report;

static void widen(spread *s, double value)
{
    s->least = s->n == 0 || value < s->least ? value : s->least;
    s->most = s->n == 0 || value > s->most ? value : s->most;
    s->sum += value;
    s->n++;
}

static double mean(const spread *s)
{
    return s->n > 0 ? s->sum / s->n : 0;
}

static void count_data(const fct_trainer *t, report *r)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    for (int64_t i = 0; i < info->pictures; i++) {
        fct_labels labels;
        fct_mix_labels(t->train_mix, i, &labels);
        if (labels.identity < 0)
            continue;
        r->pictures++;
        r->persons += r->count[labels.identity]++ == 0;
    }
    for (int64_t c = 0; c < info->identities; c++) {
        const int is_few = r->count[c] > 0 && r->count[c] < t->o->sampler_images_per_identity;
        r->few += is_few;
        r->few_pictures += is_few ? r->count[c] : 0;
        r->largest = r->count[c] > r->largest ? r->count[c] : r->largest;
    }
}

static void mark_shown(const fct_trainer *t, report *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        fct_labels labels;
        fct_mix_labels(t->train_mix, t->picture[i], &labels);
        if (labels.identity < 0)
            continue;
        r->draws++;
        r->seen += !r->shown[t->picture[i]];
        r->seen_persons += !r->shown_person[labels.identity];
        r->shown[t->picture[i]] = r->shown_person[labels.identity] = 1;
    }
}

// `t->people` holds the batch's persons in order, so that each is a run.
static void measure_batch(fct_trainer *t, report *r, int64_t n)
{
    int64_t pictures, run = 0;
    const int64_t people = fct_count_people(t->train_mix, t->picture, n, t->people, &pictures);
    widen(&r->per_batch, (double)people);
    if (people > 0)
        widen(&r->ratio, (double)pictures / (double)people);
    for (int64_t i = 0; i < pictures; i++) {
        run++;
        if (i + 1 < pictures && t->people[i + 1] == t->people[i])
            continue;
        widen(&r->each, (double)run);
        run = 0;
    }
}

static fct_status walk_epoch(fct_trainer *t, int64_t epoch, int is_measured, report *r)
{
    for (int64_t b = 0; b < t->batches; b++) {
        const int64_t n = fct_sampler_batch_size(t->plan, b);
        FCT_TRY(fct_sampler_batch(t->plan, epoch, b, t->picture));
        if (is_measured)
            measure_batch(t, r, n);
        mark_shown(t, r, n);
    }
    return FCT_OK;
}

static void tell_first_epoch(const fct_trainer *t, const report *r, fct_text *out)
{
    const int is_pk = !strcmp(t->o->sampler_kind, "pk");
    fct_text_add(out, "pk_persons %lld\npk_pictures %lld\n", (long long)r->persons,
                 (long long)r->pictures);
    fct_text_add(out,
                 "pk_persons_per_batch_mean %.2f\npk_persons_per_batch_min %.0f\n"
                 "pk_persons_per_batch_max %.0f\n",
                 mean(&r->per_batch), r->per_batch.least, r->per_batch.most);
    fct_text_add(out,
                 "pk_images_per_person_mean %.2f\npk_images_per_person_min %.0f\n"
                 "pk_images_per_person_max %.0f\n",
                 mean(&r->ratio), r->each.least, r->each.most);
    fct_text_add(
        out, "pk_epoch_persons_share %.4f\npk_epoch_pictures_share %.4f\npk_epoch_repeats %lld\n",
        (double)r->seen_persons / (double)r->persons, (double)r->seen / (double)r->pictures,
        (long long)(r->draws - r->seen));
    fct_text_add(out, "pk_few_persons %lld\npk_few_pictures %lld\npk_few_policy %s\n",
                 (long long)r->few, (long long)r->few_pictures, is_pk ? t->o->sampler_few : "none");
    FCT_INFO("  people       %lld with %lld pictures; a batch shows %.1f of them, %.2f pictures of "
             "each; an epoch shows %.1f%% of them and %.1f%% of their pictures%s",
             (long long)r->persons, (long long)r->pictures, mean(&r->per_batch), mean(&r->ratio),
             100 * (double)r->seen_persons / (double)r->persons,
             100 * (double)r->seen / (double)r->pictures,
             is_pk || mean(&r->ratio) > 1.5
                 ? ""
                 : "; a head that learns people wants several of each: sampler.kind=pk");
    if (is_pk && r->few > 0)
        FCT_INFO("  few pictures %lld people have fewer than %lld pictures: they %s "
                 "(sampler.few=%s)",
                 (long long)r->few, (long long)t->o->sampler_images_per_identity,
                 strcmp(t->o->sampler_few, "skip") ? "show some of them twice" : "take no part",
                 t->o->sampler_few);
}

// pk keeps a bound; of the others some epochs are walked through.
static fct_status tell_epochs_to_all(fct_trainer *t, report *r, fct_text *out)
{
    const int64_t k = t->o->sampler_images_per_identity;
    int64_t epochs = 1;
    if (!strcmp(t->o->sampler_kind, "pk")) {
        fct_text_add(out, "pk_epochs_to_see_all %lld\n", (long long)((r->largest + k - 1) / k));
        return FCT_OK;
    }
    while (r->seen < r->pictures && epochs < MOST_EPOCHS && (double)r->draws < most_draws)
        FCT_TRY(walk_epoch(t, epochs++, 0, r));
    fct_text_add(out, "pk_epochs_to_see_all %s%lld\n", r->seen < r->pictures ? ">" : "",
                 (long long)epochs);
    return FCT_OK;
}

fct_status fct_people_report(fct_trainer *t, fct_text *out)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    report r = { 0 };
    fct_status status = FCT_OK;
    if (info->identities == 0)
        return FCT_OK;
    r.count = calloc((size_t)info->identities, sizeof *r.count);
    r.shown_person = calloc((size_t)info->identities, 1);
    r.shown = calloc((size_t)info->pictures, 1);
    if (!r.count || !r.shown_person || !r.shown)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)info->pictures, "the count of people"), status, done);
    count_data(t, &r);
    FCT_TRY_GOTO(walk_epoch(t, 0, 1, &r), status, done);
    if (r.persons > 0) {
        tell_first_epoch(t, &r, out);
        status = tell_epochs_to_all(t, &r, out);
    }
done:
    free(r.count);
    free(r.shown_person);
    free(r.shown);
    return status;
}
