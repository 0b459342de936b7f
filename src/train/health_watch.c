// SPDX-License-Identifier: Apache-2.0
// What the findings are made from: gathered step by step, judged at an epoch's end.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "trainer.h"

static double ratio(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

static int64_t edge_steps(const fct_trainer *t) // a tenth of the epoch at each of its ends
{
    return t->steps >= 20 ? t->steps / 10 : t->steps >= 2 ? 1 : 0;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t fct_count_people(const fct_mix *mix, const int64_t *picture, int64_t n, int64_t *scratch,
                         int64_t *pictures)
{
    int64_t people = 0;
    *pictures = 0;
    for (int64_t i = 0; i < n; i++) {
        fct_labels labels;
        fct_mix_labels(mix, picture[i], &labels);
        if (labels.identity >= 0)
            scratch[(*pictures)++] = labels.identity;
    }
    qsort(scratch, (size_t)*pictures, sizeof *scratch, by_number);
    for (int64_t i = 0; i < *pictures; i++)
        people += i == 0 || scratch[i] != scratch[i - 1];
    return people;
}

void fct_health_batch(fct_trainer *t, const int64_t *picture, int64_t n)
{
    int64_t pictures;
    if (fct_mix_describe(t->train_mix)->identities == 0)
        return;
    const int64_t people = fct_count_people(t->train_mix, picture, n, t->people, &pictures);
    if (people == 0)
        return;
    t->health.ratio += (double)pictures / (double)people;
    t->health.ratios++;
}

void fct_health_step(fct_trainer *t, const fct_step_report *r)
{
    const int64_t step = t->at.batch / t->o->train_accumulate, edge = edge_steps(t);
    if (r->is_skipped)
        return;
    if (step < edge) {
        t->health.first_norm += r->norm;
        t->health.first_steps++;
    }
    if (step >= t->steps - edge) {
        t->health.last_norm += r->norm;
        t->health.last_steps++;
    }
}

static fct_health_task expression_of(const fct_trainer *t)
{
    const double *s = t->sums.v, classes = t->tasks.classes, log_k = log(classes);
    return (fct_health_task){ .classes = classes,
                              .loss =
                                  ratio(s[FCT_SUM_EXPRESSION_LOSS], s[FCT_SUM_EXPRESSION_WEIGHT]),
                              .chance_loss = log_k * pow(1 - 1 / classes, t->tasks.ce.focal_gamma),
                              .accuracy =
                                  ratio(s[FCT_SUM_EXPRESSION_RIGHT], s[FCT_SUM_EXPRESSION_COUNT]) };
}

// With sampled centres the softmax sees a share of the people.
static fct_health_task identity_of(const fct_trainer *t, int64_t step)
{
    const fct_head_spec head = fct_identity_plan(t);
    const fct_margin margin = fct_margin_make(&head.margin, fct_identity_ramp(t, step));
    const double *s = t->sums.v, people = (double)head.classes;
    float slope;
    return (fct_health_task){
        .classes = people,
        .loss = ratio(s[FCT_SUM_IDENTITY_LOSS], s[FCT_SUM_IDENTITY_COUNT]),
        .chance_loss = fct_health_chance_loss(fmax(2, people * head.sample),
                                              (double)fct_margin_logit(&margin, 0, &slope)),
        .accuracy = ratio(s[FCT_SUM_IDENTITY_RIGHT], s[FCT_SUM_IDENTITY_COUNT])
    };
}

static void describe_identity(const fct_trainer *t, fct_health_epoch *e)
{
    const int64_t first = t->at.step - t->steps;
    const double *s = t->sums.v;
    if (!t->tasks.identities)
        return;
    e->task[FCT_HEALTH_IDENTITY] = identity_of(t, first + t->steps / 2);
    e->is_warming |= fct_identity_ramp(t, first) < 1; // the margin grows: losses do not compare
    e->spread = ratio(s[FCT_SUM_LOGIT_SPREAD], s[FCT_SUM_IDENTITY_COUNT]);
    e->scale = t->o->loss_identity_scale;
    e->features = t->tasks.features;
}

double fct_health_images(const fct_trainer *t)
{
    return ratio(t->health.ratio, t->health.ratios);
}

double fct_health_norm_first(const fct_trainer *t)
{
    return ratio(t->health.first_norm, t->health.first_steps);
}

double fct_health_norm_last(const fct_trainer *t)
{
    return ratio(t->health.last_norm, t->health.last_steps);
}

static fct_health_epoch describe(const fct_trainer *t)
{
    const int64_t first = t->at.step - t->steps; // of the epoch's steps
    fct_health_epoch e = { .epoch = (int)t->at.epoch + 1,
                           .is_warming =
                               first<t->schedule.warmup, .is_pk = !strcmp(t->o->sampler_kind, "pk"),
                                     .forgot_norm = t->thaw_step> 0 &&
                               t->thaw_step >= first && t->thaw_step < t->at.step,
                           .spread = (double)NAN,
                           .images_per_identity = fct_health_images(t),
                           .norm = ratio(t->sums.v[FCT_SUM_NORM], t->sums.v[FCT_SUM_STEPS]),
                           .norm_first = fct_health_norm_first(t),
                           .norm_last = fct_health_norm_last(t) };
    if (t->tasks.classes)
        e.task[FCT_HEALTH_EXPRESSION] = expression_of(t);
    describe_identity(t, &e);
    return e;
}

// Learning a few pictures by heart has epochs of a step or two: no rule was made for those.
void fct_health_end_epoch(fct_trainer *t)
{
    fct_text lines = { 0 };
    const fct_health_epoch e = describe(t);
    if (t->spec->overfit == 0)
        fct_health_look(&t->health, &e, &lines);
    for (char *at = lines.data, *end; fct_comm_rank(t->comm) == 0 && at && *at; at = end + 1) {
        end = at + strcspn(at, "\n");
        FCT_WARN("%.*s", (int)(end - at), at);
    }
    fct_text_release(&lines);
    fct_health *h = &t->health;
    h->first_norm = h->first_steps = h->last_norm = h->last_steps = h->ratio = h->ratios = 0;
}
