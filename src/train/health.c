// SPDX-License-Identifier: Apache-2.0
// The rules. What healthy trainings show too (a gradient that shrinks while the loss falls) is no
// finding; thresholds are stated in docs/metrics.md.
#include <math.h>
#include <string.h>

#include "health.h"

static const double few_images = 1.5;      // pictures of a person in a batch
static const double low_spread = 0.1;      // of what random directions would have
static const double stuck_share = 0.97;    // of the loss of guessing
static const double falling_share = 0.95;  // of the loss before: not stuck yet, however high
static const double dead_share = 0.33;     // of the gradient's norm that is left
static const double least_fit = 0.9;       // R^2 of the straight line
static const double little_progress = 0.1; // share by which the loss fell
static const double jump = 2;              // times, over an epoch's border
static const double fading_share = 0.6;    // of the best accuracy that is left
enum { LEAST_EPOCHS = 4, SPREAD_CLASSES = 10 };

static const char *const task_name[FCT_HEALTH_TASKS] = { "identity", "expression" };
static const char *const class_word[FCT_HEALTH_TASKS] = { "people", "classes" };

double fct_health_chance_loss(double classes, double margin_logit)
{
    return margin_logit >= 0 ? log1p((classes - 1) * exp(-margin_logit))
                             : log(exp(margin_logit) + classes - 1) - margin_logit;
}

static int has_identity(const fct_health_epoch *e)
{
    return e->task[FCT_HEALTH_IDENTITY].classes > 0;
}

static int find_few_images(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    (void)h;
    if (!has_identity(e) || !(e->images_per_identity < few_images))
        return 0;
    fct_text_add(
        out,
        "a batch shows %.2f pictures of each of its people: hardly ever two of one, so that "
        "the head meets most people once an epoch and nothing pulls a person's pictures "
        "together. ",
        e->images_per_identity);
    if (e->is_pk)
        fct_text_add(out, "Raise sampler.images_per_identity.");
    else
        fct_text_add(out, "Use sampler.kind=pk: sampler.identities_per_batch people with "
                          "sampler.images_per_identity pictures of each.");
    return 1;
}

// Of many people a twentieth right is still a failure; of few, half again as much as guessing.
static double low_accuracy(const fct_health_epoch *e, int k)
{
    const double few = 1.5 / e->task[k].classes;
    return k == FCT_HEALTH_IDENTITY ? fmax(few, 0.05) : few;
}

// Low accuracy that has hardly moved over `back` epochs. A loss says less: with a margin it passes
// that of guessing on its way down, and logits are flat for a while, also where all goes well.
static int knows_nothing(const fct_health *h, const fct_health_epoch *e, int k, int back)
{
    const double limit = low_accuracy(e, k), now = e->task[k].accuracy;
    if (e->task[k].classes < 2 || e->is_warming || h->epochs < back ||
        h->past[back - 1].is_warming > 0)
        return 0;
    return now < limit && now - h->past[back - 1].accuracy[k] < 0.2 * limit;
}

static int find_low_spread(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    const double random = e->scale * e->scale / e->features;
    if (!has_identity(e) || e->task[0].classes < SPREAD_CLASSES ||
        !(e->spread < low_spread * random) || !knows_nothing(h, e, FCT_HEALTH_IDENTITY, 1))
        return 0;
    fct_text_add(
        out,
        "the identity logits of a picture hardly differ: their variance over the people is "
        "%.3g, where random directions would have %.3g (scale^2 / features), and %.2f%% of "
        "the pictures are told right. All people look alike to the head. A smaller "
        "optim.learning_rate, a longer schedule.warmup_epochs%s or a trained backbone "
        "(init.from) help.",
        e->spread, random, 100 * e->task[0].accuracy, e->is_pk ? "" : ", sampler.kind=pk");
    return 1;
}

static int find_stuck(const fct_health *h, const fct_health_epoch *e, int k, fct_text *out)
{
    const fct_health_task *t = &e->task[k];
    const double before = h->past[1].loss[k];
    if (!knows_nothing(h, e, k, 2) || !(t->loss > stuck_share * t->chance_loss) ||
        !(before > stuck_share * t->chance_loss) || t->loss < falling_share * before)
        return 0;
    fct_text_add(out,
                 "the %s loss is stuck: %.3f in epoch %d and %.3f two epochs before, and guessing "
                 "among %.0f %s costs %.3f",
                 task_name[k], t->loss, e->epoch, before, t->classes, class_word[k],
                 t->chance_loss);
    if (fabs(t->chance_loss - log(t->classes)) < 1e-6)
        fct_text_add(out, " (ln %.0f)", t->classes);
    fct_text_add(out, ". Nothing is learned: try another optim.learning_rate, a longer "
                      "schedule.warmup_epochs");
    if (k == FCT_HEALTH_IDENTITY)
        fct_text_add(out, "%s, a smaller margin at first, or a trained backbone (init.from)",
                     e->is_pk ? "" : ", sampler.kind=pk");
    fct_text_add(out, "; --overfit 32 tells whether the network can learn these labels at all.");
    return 1;
}

static int find_stuck_identity(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    return find_stuck(h, e, FCT_HEALTH_IDENTITY, out);
}

static int find_stuck_expression(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    return find_stuck(h, e, FCT_HEALTH_EXPRESSION, out);
}

static int find_chance(const fct_health *h, const fct_health_epoch *e, int k, fct_text *out)
{
    const fct_health_task *t = &e->task[k];
    if (!knows_nothing(h, e, k, 2))
        return 0;
    fct_text_add(out,
                 "the %s accuracy is %.2f%% in epoch %d and was %.2f%% two epochs before; guessing "
                 "among %.0f %s gives %.2g%%. ",
                 task_name[k], 100 * t->accuracy, e->epoch, 100 * h->past[1].accuracy[k],
                 t->classes, class_word[k], 100 / t->classes);
    if (k == FCT_HEALTH_IDENTITY)
        fct_text_add(out,
                     "%sschedule.warmup_epochs and a trained backbone (init.from) are what "
                     "starts such a training.",
                     e->is_pk ? "" : "sampler.kind=pk, ");
    else
        fct_text_add(out, "Look at the confusion matrix, optim.learning_rate and the labels.");
    return 1;
}

static int find_chance_identity(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    return find_chance(h, e, FCT_HEALTH_IDENTITY, out);
}

static int find_chance_expression(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    return find_chance(h, e, FCT_HEALTH_EXPRESSION, out);
}

// The norms since the warm-up, the oldest first, then this epoch's; returns how many.
static int list_norms(const fct_health *h, const fct_health_epoch *e,
                      double norm[FCT_HEALTH_PAST + 1])
{
    int n = 0, from = 0;
    while (from < (int)h->epochs && h->past[from].is_warming == 0 && isfinite(h->past[from].norm))
        from++;
    for (int i = from - 1; i >= 0; i--)
        norm[n++] = h->past[i].norm;
    norm[n++] = e->norm;
    return n;
}

// How well a straight line fits, 0..1.
static double straightness(const double *y, int n)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    for (int i = 0; i < n; i++) {
        sx += i;
        sy += y[i];
        sxx += (double)i * i;
        sxy += i * y[i];
        syy += y[i] * y[i];
    }
    const double xx = sxx - sx * sx / n, yy = syy - sy * sy / n, xy = sxy - sx * sy / n;
    return xx > 0 && yy > 0 ? xy * xy / (xx * yy) : 0;
}

static int find_dying(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    double norm[FCT_HEALTH_PAST + 1];
    const int n = list_norms(h, e, norm);
    if (e->is_warming || e->forgot_norm || n < LEAST_EPOCHS || !(e->norm < dead_share * norm[0]) ||
        straightness(norm, n) < least_fit)
        return 0;
    for (int k = 0; k < FCT_HEALTH_TASKS; k++) {
        const double then = h->past[n - 2].loss[k], now = e->task[k].loss;
        if (e->task[k].classes < 2 || !(now > (1 - little_progress) * then))
            continue;
        fct_text_add(
            out,
            "the gradient dies away while nothing is learned: its norm fell in a straight "
            "line from %.3g to %.3g over %d epochs, and the %s loss only went from %.3f to "
            "%.3f. Strong steps at the start have led into a flat place: a longer "
            "schedule.warmup_epochs, a smaller optim.learning_rate or optim.clip_norm.",
            norm[0], e->norm, n, task_name[k], then, now);
        return 1;
    }
    return 0;
}

static int find_jumps(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    if (h->epochs < 2 || e->is_warming || e->forgot_norm || h->past[1].is_warming > 0)
        return 0;
    const double now = e->norm_first / h->past[0].norm_last,
                 before = h->past[0].norm_first / h->past[1].norm_last;
    if (!(now >= jump) || !(before >= jump) || !isfinite(now) || !isfinite(before))
        return 0;
    fct_text_add(out,
                 "the gradient jumps at the epochs' borders: its norm was %.3g at the end of epoch "
                 "%d and %.3g at the beginning of epoch %d (%.1f times), %.1f times at the border "
                 "before. What an epoch taught does not hold for the next one's order: ",
                 h->past[0].norm_last, e->epoch - 1, e->norm_first, e->epoch, now, before);
    if (has_identity(e) && !e->is_pk)
        fct_text_add(out, "sampler.kind=pk shows people evenly; ");
    fct_text_add(out, "a smaller optim.learning_rate or more pictures in a batch help.");
    return 1;
}

// The loss of a margin can go on falling on a way where all embeddings become alike.
static int find_fading(const fct_health *h, const fct_health_epoch *e, fct_text *out)
{
    const fct_health_task *t = &e->task[FCT_HEALTH_IDENTITY];
    int best = 0;
    if (!has_identity(e) || e->is_warming || h->epochs < LEAST_EPOCHS)
        return 0;
    for (int i = 1; i < (int)h->epochs; i++)
        if (h->past[i].accuracy[FCT_HEALTH_IDENTITY] > h->past[best].accuracy[FCT_HEALTH_IDENTITY])
            best = i;
    const fct_health_past *p = &h->past[best];
    const double then = p->accuracy[FCT_HEALTH_IDENTITY], loss = p->loss[FCT_HEALTH_IDENTITY];
    if (!(then > 2 * low_accuracy(e, FCT_HEALTH_IDENTITY)) ||
        !(t->accuracy < fading_share * then) || !(t->loss < loss))
        return 0;
    fct_text_add(out,
                 "people are no longer told apart while the loss falls: the identity accuracy went "
                 "from %.1f%% to %.1f%% in %d epochs, the loss from %.3f to %.3f; the logits of a "
                 "picture have a variance of %.3g. The network makes all faces alike to please the "
                 "margin: %sa smaller loss.margin, a longer loss.margin_ramp_epochs or "
                 "schedule.warmup_epochs; an earlier checkpoint is better than the last.",
                 100 * then, 100 * t->accuracy, best + 1, loss, t->loss, e->spread,
                 e->is_pk ? "" : "sampler.kind=pk, ");
    return 1;
}

// A checkpoint remembers by number which have spoken: new ones stand at the end.
static int (*const rule[])(const fct_health *, const fct_health_epoch *, fct_text *) = {
    find_few_images,      find_low_spread,        find_stuck_identity, find_stuck_expression,
    find_chance_identity, find_chance_expression, find_dying,          find_jumps,
    find_fading,
};

static void remember(fct_health *h, const fct_health_epoch *e)
{
    memmove(h->past + 1, h->past, (FCT_HEALTH_PAST - 1) * sizeof *h->past);
    fct_health_past *p = &h->past[0];
    *p = (fct_health_past){ .is_warming = e->is_warming,
                            .norm = e->norm,
                            .norm_first = e->norm_first,
                            .norm_last = e->norm_last };
    for (int k = 0; k < FCT_HEALTH_TASKS; k++) {
        p->loss[k] = e->task[k].loss;
        p->accuracy[k] = e->task[k].accuracy;
    }
    h->epochs = fmin(h->epochs + 1, FCT_HEALTH_PAST);
}

void fct_health_mend(fct_health *h)
{
    if (!(h->epochs >= 0 && h->epochs <= FCT_HEALTH_PAST))
        h->epochs = 0;
    if (!(h->told >= 0 && h->told <= 1U << (sizeof rule / sizeof *rule)))
        h->told = 0;
}

void fct_health_look(fct_health *h, const fct_health_epoch *e, fct_text *lines)
{
    unsigned told = (unsigned)h->told;
    if (e->forgot_norm)
        for (int i = 0; i < (int)h->epochs; i++)
            h->past[i].norm = h->past[i].norm_first = h->past[i].norm_last = (double)NAN;
    for (unsigned i = 0; i < sizeof rule / sizeof *rule; i++)
        if (!(told & 1U << i) && rule[i](h, e, lines)) {
            told |= 1U << i;
            fct_text_add(lines, "\n");
        }
    h->told = told;
    remember(h, e);
}
