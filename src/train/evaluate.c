// SPDX-License-Identifier: Apache-2.0
// Runs the evaluation graph over this rank's slices, gathers the predictions on rank 0 in the order
// of the pictures, and computes every number there: the same for any number of ranks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval_look.h"
#include "evaluate.h"
#include "facet/fault.h"
#include "facet/watchdog.h"
#include "prediction.h"

enum { LOOK_BATCHES = 4 }; // between looks at whether anybody failed or is asked to stop

struct fct_evaluator {
    fct_evaluator_spec spec;
    fct_augment *augment;
    fct_sampler *sampler;
    fct_loader *loader;
    fct_outputs outputs;
    int64_t *person, *nearest; // (eval_rows), with the identity task
    double *person_loss;
    uint8_t *images; // (eval_rows, H, W, 3)
    fct_predictions mine, all;
    int64_t *confusion; // (K, K)
    fct_points_score points;
};

static size_t picture_bytes(const fct_evaluator *e)
{
    return (size_t)e->spec.net->spec.model.height * (size_t)e->spec.net->spec.model.width * 3;
}

static fct_status start_loader(fct_evaluator *e)
{
    const fct_mix_info *info = fct_mix_describe(e->spec.mix);
    const fct_model_spec *m = &e->spec.net->spec.model;
    int ranks = fct_comm_size(e->spec.comm);
    fct_augment_spec plain = {
        .height = m->height, .width = m->width, .scale_min = 1, .scale_max = 1, .ratio = 1
    };
    FCT_TRY(fct_augment_create(&plain, info->landmarks, info->landmark_name, &e->augment));
    fct_sampler_spec ss = { .kind = FCT_SAMPLER_SEQUENTIAL,
                            .pictures = info->pictures,
                            .batch = e->spec.net->spec.eval_rows * ranks };
    FCT_TRY(fct_sampler_create(&ss, &e->sampler));
    fct_loader_spec ls = { .mix = e->spec.mix,
                           .sampler = e->sampler,
                           .augment = e->augment,
                           .is_plain = 1,
                           .rank = fct_comm_rank(e->spec.comm),
                           .ranks = ranks,
                           .block = e->spec.net->spec.eval_rows,
                           .threads = e->spec.workers,
                           .ahead = 2 };
    return fct_loader_create(&ls, &e->loader);
}

static fct_status prepare(fct_evaluator *e)
{
    const fct_mix_info *info = fct_mix_describe(e->spec.mix);
    const fct_tasks *t = e->spec.tasks;
    const fct_model_spec *m = &e->spec.net->spec.model;
    int64_t rows = e->spec.net->spec.eval_rows;
    FCT_TRY(fct_outputs_create(t, rows, &e->outputs));
    e->images = calloc((size_t)rows, picture_bytes(e));
    e->confusion = calloc((size_t)(t->classes * t->classes) + 1, sizeof *e->confusion);
    e->person = calloc((size_t)rows, sizeof *e->person);
    e->nearest = calloc((size_t)rows, sizeof *e->nearest);
    e->person_loss = calloc((size_t)rows, sizeof *e->person_loss);
    if (!e->images || !e->confusion || !e->person || !e->nearest || !e->person_loss)
        return FCT_FAIL_NOMEM((size_t)rows * picture_bytes(e), "evaluation");
    FCT_TRY(fct_predictions_init(&e->mine, t->classes, t->landmarks, e->spec.head != NULL));
    FCT_TRY(fct_predictions_init(&e->all, t->classes, t->landmarks, e->spec.head != NULL));
    if (t->landmarks)
        FCT_TRY(fct_points_score_init(&e->points, t->landmarks, info->landmark_name, m->height,
                                      m->width, e->spec.pck_alpha));
    return start_loader(e);
}

fct_status fct_evaluator_create(const fct_evaluator_spec *spec, fct_evaluator **out)
{
    fct_evaluator *e = calloc(1, sizeof *e);
    if (!e)
        return FCT_FAIL_NOMEM(sizeof *e, "evaluation");
    e->spec = *spec;
    fct_status status = prepare(e);
    if (status != FCT_OK)
        fct_evaluator_destroy(e);
    else
        *out = e;
    return status;
}

void fct_evaluator_destroy(fct_evaluator *e)
{
    if (!e)
        return;
    fct_loader_destroy(e->loader);
    fct_sampler_destroy(e->sampler);
    fct_augment_destroy(e->augment);
    fct_predictions_release(&e->mine);
    fct_predictions_release(&e->all);
    fct_outputs_release(&e->outputs);
    free(e->images);
    free(e->confusion);
    free(e->person);
    free(e->nearest);
    free(e->person_loss);
    free(e);
}

static void moved(void *comm)
{
    fct_watchdog_tick(comm);
}

// A short batch leaves old pictures in the rows behind it, unused. The loader deals in blocks of
// eval_rows, so a picture has the same row for every number of ranks, and with it the same bits.
static fct_status forward(fct_evaluator *e, const fct_batch *b)
{
    const fct_tasks *t = e->spec.tasks;
    fct_graph *g = e->spec.net->eval;
    memcpy(e->images, b->rgb, (size_t)b->rows * picture_bytes(e));
    FCT_TRY(fct_graph_set_images(g, e->images));
    const fct_graph_hooks hooks = { .ctx = e->spec.comm, .moved = moved };
    FCT_TRY(fct_graph_forward(g, &hooks));
    if (t->classes)
        FCT_TRY(fct_graph_read(g, "expression", e->outputs.logits));
    if (t->landmarks)
        FCT_TRY(fct_graph_read(g, "landmarks", e->outputs.points));
    return e->spec.head ? fct_graph_read(g, "embedding", e->outputs.embedding) : FCT_OK;
}

// Nearest persons; a sharded head wants all ranks, also those without pictures.
static fct_status find_persons(fct_evaluator *e, const fct_batch *b)
{
    if (!e->spec.head)
        return FCT_OK;
    for (int64_t i = 0; i < b->rows; i++)
        e->person[i] = b->identity[i] >= 0 ? e->spec.person_map[b->identity[i]] : -1;
    if (fct_fault("evaluate.head"))
        return FCT_FAIL(FCT_E_IO, "injected: the identity head failed");
    return fct_head_predict(e->spec.head, b->rows, e->outputs.embedding, e->person, e->nearest,
                            e->person_loss);
}

// One batch through the graph.
static fct_status run_batch(fct_evaluator *e, const fct_batch *b)
{
    const fct_tasks *t = e->spec.tasks;
    if (b->rows > 0)
        FCT_TRY(forward(e, b));
    FCT_TRY(find_persons(e, b));
    for (int64_t i = 0; i < b->rows; i++) {
        int label = b->expression[i];
        if (label >= 0 && e->spec.class_map)
            label = e->spec.class_map[label];
        const fct_prediction p = { .picture = b->picture[i],
                                   .label = label,
                                   .landmarks_valid = t->landmarks ? b->landmarks_valid[i] : 0,
                                   .logits = e->outputs.logits + i * t->classes,
                                   .points = e->outputs.points + i * 2 * t->landmarks,
                                   .target =
                                       b->landmarks ? b->landmarks + i * 2 * t->landmarks : NULL,
                                   .person = e->person[i],
                                   .nearest = e->nearest[i],
                                   .person_loss = e->person_loss[i] };
        FCT_TRY(fct_predictions_add(&e->mine, &p));
    }
    return FCT_OK;
}

static fct_status run_all(fct_evaluator *e)
{
    e->mine.n = 0;
    int leave = 0;
    fct_status status = fct_loader_seek(e->loader, 0, 0);
    for (int64_t i = 0; i < fct_sampler_steps(e->sampler); i++) {
        const fct_batch *batch;
        if (i % LOOK_BATCHES == 0)
            status = fct_eval_look(e->spec.comm, status, &leave);
        if (leave)
            break;
        if (status == FCT_OK)
            status = fct_loader_next(e->loader, &batch);
        if (status == FCT_OK)
            status = run_batch(e, batch);
        if (status != FCT_OK && e->spec.head_is_sharded) { // the others wait for its share of it
            fct_comm_cancel(e->spec.comm, status);
            break;
        }
        fct_watchdog_tick(e->spec.comm);
    }
    return status;
}

static void add_losses(fct_evaluator *e, fct_sums *sums)
{
    const fct_tasks *t = e->spec.tasks;
    fct_loss_points_spec mse = { .kind = FCT_POINTS_MSE, .landmarks = t->landmarks };
    for (int64_t i = 0; i < e->all.n; i++) {
        fct_prediction p = fct_predictions_at(&e->all, i);
        double sum;
        int32_t label = (int32_t)p.label;
        uint8_t valid = (uint8_t)p.landmarks_valid;
        sums->v[FCT_SUM_PICTURES] += 1;
        if (t->classes && label >= 0) {
            fct_loss_ce(&t->ce, 1, p.logits, &label, 0, &sum, NULL);
            sums->v[FCT_SUM_EXPRESSION_LOSS] += sum;
            sums->v[FCT_SUM_EXPRESSION_WEIGHT] += fct_loss_ce_weight(&t->ce, 1, &label);
            sums->v[FCT_SUM_EXPRESSION_COUNT] += 1;
            sums->v[FCT_SUM_EXPRESSION_RIGHT] += fct_argmax(p.logits, t->classes) == label;
            e->confusion[label * t->classes + fct_argmax(p.logits, t->classes)]++;
        }
        if (t->landmarks && valid) {
            fct_loss_points(&t->points, 1, p.points, p.target, &valid, 0, &sum, NULL);
            sums->v[FCT_SUM_LANDMARK_LOSS] += sum;
            fct_loss_points(&mse, 1, p.points, p.target, &valid, 0, &sum, NULL);
            sums->v[FCT_SUM_LANDMARK_SQUARE] += sum;
            sums->v[FCT_SUM_LANDMARK_WEIGHT] += 2.0 * t->landmarks;
        }
        if (e->spec.head && p.person >= 0) {
            sums->v[FCT_SUM_IDENTITY_LOSS] += p.person_loss;
            sums->v[FCT_SUM_IDENTITY_COUNT] += 1;
            sums->v[FCT_SUM_IDENTITY_RIGHT] += p.nearest == p.person;
        }
        if (t->landmarks)
            fct_points_score_add(&e->points, p.points, p.target, valid);
    }
}

static double or_nan(double value, double count)
{
    return count > 0 ? value : (double)NAN;
}

// NaN where no picture has a label of any task: 0 would pass for the best loss there can be.
static double total_of(const fct_tasks *t, const double *loss)
{
    int known = 0;
    for (int i = 0; i < t->balance.tasks; i++)
        known |= !isnan(loss[i]);
    return known ? fct_tasks_total(t, loss, NULL) : (double)NAN;
}

static fct_status score(fct_evaluator *e, fct_evaluation *out)
{
    const fct_tasks *t = e->spec.tasks;
    fct_points_score *s = &e->points;
    memset(e->confusion, 0, (size_t)(t->classes * t->classes) * sizeof *e->confusion);
    s->pictures = s->covered = 0;
    s->square = s->pixel_square = s->nme = s->pck = 0;
    *out = (fct_evaluation){ .pictures = e->all.n };
    add_losses(e, &out->sums);
    fct_tasks_losses(t, &out->sums, out->loss);
    out->total = total_of(t, out->loss);
    double labelled = out->sums.v[FCT_SUM_EXPRESSION_COUNT],
           covered = out->sums.v[FCT_SUM_LANDMARK_WEIGHT];
    out->accuracy =
        or_nan(out->sums.v[FCT_SUM_EXPRESSION_RIGHT] / (labelled > 0 ? labelled : 1), labelled);
    const double known = out->sums.v[FCT_SUM_IDENTITY_COUNT];
    out->identity_accuracy =
        or_nan(out->sums.v[FCT_SUM_IDENTITY_RIGHT] / (known > 0 ? known : 1), known);
    out->macro_f1 = (double)NAN;
    if (labelled > 0) {
        fct_classification c;
        FCT_TRY(fct_classification_compute(t->classes, e->confusion, &c));
        out->macro_f1 = c.macro.f1;
        fct_classification_release(&c);
    }
    out->landmark_mse = or_nan(t->landmarks ? fct_points_mse(s) : 0, covered);
    out->landmark_rmse_pixels = or_nan(t->landmarks ? fct_points_rmse_pixels(s) : 0, covered);
    out->landmark_nme = or_nan(t->landmarks ? fct_points_nme(s) : 0, covered);
    out->landmark_pck = or_nan(t->landmarks ? fct_points_pck(s) : 0, covered);
    return FCT_OK;
}

fct_status fct_evaluator_run(fct_evaluator *e, fct_evaluation *out)
{
    fct_evaluation result = { 0 };
    fct_status run = run_all(e);
    if (run == FCT_E_INTERRUPTED)
        return run; // agreed on already
    FCT_TRY(fct_comm_agree(e->spec.comm, run, "evaluation"));
    FCT_TRY(fct_predictions_gather(&e->mine, e->spec.comm, &e->all));
    fct_status status = fct_comm_rank(e->spec.comm) == 0 ? score(e, &result) : FCT_OK;
    FCT_TRY(fct_comm_agree(e->spec.comm, status, "scoring the evaluation"));
    FCT_TRY(fct_comm_broadcast(e->spec.comm, &result, sizeof result, 0));
    *out = result;
    return FCT_OK;
}

const int64_t *fct_evaluator_confusion(const fct_evaluator *e)
{
    return e->confusion;
}

const fct_points_score *fct_evaluator_points(const fct_evaluator *e)
{
    return e->spec.tasks->landmarks ? &e->points : NULL;
}

fct_status fct_evaluator_write(const fct_evaluator *e, const fct_label_names *names,
                               const char *path)
{
    return fct_predictions_write(&e->all, e->spec.mix, names, path);
}
