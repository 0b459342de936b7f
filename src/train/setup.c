// SPDX-License-Identifier: Apache-2.0
// From options to a trainer that is ready to take its first step.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "feed.h"
#include "trainer.h"

enum {
    BY_HEART_STEPS = 400,
    BY_HEART_LOOK = 20
}; // optimiser steps in all, and between evaluations

static const float imagenet_mean[3] = { 0.485F, 0.456F, 0.406F },
                   imagenet_std[3] = { 0.229F, 0.224F, 0.225F };
static const float half[3] = { 0.5F, 0.5F, 0.5F };

// Maps the validation set's classes to the training set's by name.
static fct_status map_classes(fct_trainer *t)
{
    const fct_mix_info *train = fct_mix_describe(t->train_mix), *val = fct_mix_describe(t->val_mix);
    if (val->classes == 0 || t->tasks.classes == 0)
        return FCT_OK;
    t->val_class_map = calloc((size_t)val->classes, sizeof *t->val_class_map);
    if (!t->val_class_map)
        return FCT_FAIL_NOMEM((size_t)val->classes * sizeof(int), "class names");
    for (int v = 0; v < val->classes; v++) {
        int k = 0;
        while (k < train->classes && strcmp(train->class_name[k], val->class_name[v]))
            k++;
        if (k == train->classes)
            return FCT_FAIL(FCT_E_ARG,
                            "data.val_path: class '%s' does not occur in the training data",
                            val->class_name[v]);
        t->val_class_map[v] = k;
    }
    return FCT_OK;
}

static fct_status check_best(const fct_trainer *t)
{
    const char *by = t->o->checkpoint_best;
    if ((!strcmp(by, "expression") && !t->tasks.classes) ||
        (!strcmp(by, "landmarks") && !t->tasks.landmarks) ||
        (!strcmp(by, "identity") && !t->tasks.identities))
        return FCT_FAIL(FCT_E_ARG, "checkpoint.best is %s, but that task is not trained", by);
    if (!strcmp(by, "verification") && t->o->eval_verify.n == 0)
        return FCT_FAIL(FCT_E_ARG, "checkpoint.best is verification, but eval.verify names no set");
    if (!strcmp(by, "identity") && !t->val_person_map)
        return FCT_FAIL(FCT_E_ARG,
                        "checkpoint.best is identity, but the pictures to evaluate on show none of "
                        "the persons that are trained\nleave data.val_path empty and pack with "
                        "--split val=SHARE, or judge by loss");
    return FCT_OK;
}

static void tell_no_best(const fct_trainer *t)
{
    if (t->tasks.identities && t->tasks.balance.tasks == 1 && !t->val_person_map &&
        t->verifying.n == 0 && fct_comm_rank(t->comm) == 0)
        FCT_WARN("the pictures to evaluate on show none of the persons that are trained, and "
                 "eval.verify names no set: no checkpoint is marked as best");
}

// Who of the pictures to evaluate is a class of the identity head; nobody: no map.
static fct_status match_persons(fct_trainer *t)
{
    int64_t known;
    if (!t->tasks.identities)
        return FCT_OK;
    FCT_TRY(fct_persons_of(t->train_mix, &t->persons));
    FCT_TRY(fct_persons_match(&t->persons, t->val_mix,
                              fct_comm_rank(t->comm) == 0 ? "data.val_path" : NULL,
                              &t->val_person_map, &known));
    if (known > 0)
        return FCT_OK;
    free(t->val_person_map);
    t->val_person_map = NULL;
    return FCT_OK;
}

static fct_status open_data(fct_trainer *t)
{
    const fct_options *o = t->o;
    const fct_data_paths *p = &t->paths;
    if (o->data_path.n == 0)
        return FCT_FAIL(FCT_E_ARG, "data.path is empty: nothing to train on\n"
                                   "facet pack makes a picture set; then data.path=FOLDER");
    FCT_TRY(fct_mix_open(p->open, p->train_n, o->data_train_split, &t->train_mix));
    if (t->spec->overfit > 0) {
        FCT_TRY(fct_mix_keep(t->train_mix, t->spec->overfit));
        FCT_TRY(fct_mix_open(p->open, p->train_n, o->data_train_split, &t->val_mix));
        FCT_TRY(fct_mix_keep(t->val_mix, t->spec->overfit));
    } else
        FCT_TRY(
            fct_mix_open(p->open + p->train_n, p->n - p->train_n, o->data_val_split, &t->val_mix));
    FCT_TRY(fct_tasks_create(o, t->train_mix, &t->tasks));
    const fct_mix_info *train = fct_mix_describe(t->train_mix);
    if (t->tasks.landmarks)
        FCT_TRY(fct_landmarks_match(t->val_mix, "data.val_path", train->landmark_name,
                                    train->landmarks));
    FCT_TRY(match_persons(t));
    FCT_TRY(fct_verifying_open(t));
    FCT_TRY(check_best(t));
    tell_no_best(t);
    return map_classes(t);
}

static int input_side(const fct_trainer *t, int is_width)
{
    if (t->o->data_size > 0)
        return (int)t->o->data_size;
    int64_t row;
    const fct_dataset_info *first = fct_dataset_describe(fct_mix_dataset(t->train_mix, 0, &row));
    return is_width ? first->width : first->height;
}

static fct_status make_augment(fct_trainer *t)
{
    const fct_options *o = t->o;
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    int by_heart = t->spec->overfit > 0;
    fct_augment_spec s = { .height = input_side(t, 0),
                           .width = input_side(t, 1),
                           .scale_min = 1,
                           .scale_max = 1,
                           .ratio = 1,
                           .erase_max = o->augment_erase_max };
    if (!by_heart) {
        s.flip = o->augment_flip;
        s.scale_min = o->augment_scale_min;
        s.scale_max = o->augment_scale_max;
        s.ratio = o->augment_ratio;
        s.rotate_deg = o->augment_rotate;
        s.shift = o->augment_shift;
        s.brightness = o->augment_brightness;
        s.contrast = o->augment_contrast;
        s.saturation = o->augment_saturation;
        s.hue = o->augment_hue;
        s.grey = o->augment_grey;
        s.blur = o->augment_blur;
        s.erase = o->augment_erase;
    }
    return fct_augment_create(&s, info->landmarks, info->landmark_name, &t->augment);
}

// The pictures of one loader batch: of the whole global batch, or of a part of it.
static fct_status batch_rows(const fct_trainer *t, int64_t *out)
{
    const fct_options *o = t->o;
    const int64_t people = o->sampler_identities_per_batch,
                  pictures = o->sampler_images_per_identity;
    int is_pk = !strcmp(o->sampler_kind, "pk");
    int64_t whole = is_pk ? people * pictures : o->data_batch_size;
    if (is_pk && whole != o->data_batch_size && fct_comm_rank(t->comm) == 0)
        FCT_WARN("sampler.kind=pk: a batch is %lld people x %lld pictures = %lld; data.batch_size "
                 "%lld is not used",
                 (long long)people, (long long)pictures, (long long)whole,
                 (long long)o->data_batch_size);
    if ((is_pk ? people : whole) % o->train_accumulate)
        return FCT_FAIL(FCT_E_ARG, "%s %lld cannot be split into train.accumulate %lld equal parts",
                        is_pk ? "sampler.identities_per_batch" : "data.batch_size",
                        (long long)(is_pk ? people : whole), (long long)o->train_accumulate);
    *out = whole / o->train_accumulate;
    return FCT_OK;
}

// (pictures) the person on each, -1 none; the caller frees.
static fct_status list_identities(const fct_trainer *t, int32_t **out)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    if (info->identities == 0 || info->identities > INT32_MAX)
        return FCT_FAIL(FCT_E_ARG,
                        "sampler.kind is pk, but the training data has %s identities\n"
                        "facet inspect shows what a packed set holds; shuffle, weighted "
                        "and balanced need none",
                        info->identities ? "too many" : "no");
    int32_t *list = malloc((size_t)info->pictures * sizeof *list);
    if (!list)
        return FCT_FAIL_NOMEM((size_t)info->pictures * sizeof *list, "the identities");
    for (int64_t i = 0; i < info->pictures; i++) {
        fct_labels labels;
        fct_mix_labels(t->train_mix, i, &labels);
        list[i] = (int32_t)labels.identity;
    }
    *out = list;
    return FCT_OK;
}

// pk deals persons: what shows none is never drawn, and a task with labels only there never trains.
static void tell_left_out(const fct_trainer *t)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    int64_t out = 0, expressions = 0, landmarks = 0;
    for (int64_t i = 0; i < info->pictures; i++) {
        fct_labels labels;
        fct_mix_labels(t->train_mix, i, &labels);
        out += labels.identity < 0;
        expressions += labels.identity >= 0 && labels.expression >= 0;
        landmarks += labels.identity >= 0 && labels.landmarks_valid;
    }
    if (out == 0 || fct_comm_rank(t->comm) != 0)
        return;
    FCT_WARN("sampler.kind=pk: %lld of %lld pictures show no person and are never drawn%s%s",
             (long long)out, (long long)info->pictures,
             t->tasks.classes && expressions == 0 ? "; nothing trains expressions" : "",
             t->tasks.landmarks && landmarks == 0 ? "; nothing trains landmarks" : "");
}

static fct_status create_samplers(fct_trainer *t, fct_sampler_spec *s)
{
    int32_t *identity = NULL;
    if (s->kind == FCT_SAMPLER_PK) {
        FCT_TRY(list_identities(t, &identity));
        tell_left_out(t);
        s->label = identity;
        s->classes = (int)fct_mix_describe(t->train_mix)->identities;
    } else if (s->batch > s->pictures)
        s->batch = s->pictures;
    fct_status status = fct_sampler_create(s, &t->sampler);
    if (status == FCT_OK)
        status = fct_sampler_create(s, &t->plan);
    free(identity);
    return status;
}

static fct_status make_sampler(fct_trainer *t)
{
    const fct_options *o = t->o;
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    fct_sampler_spec s = { .pictures = info->pictures,
                           .label = fct_mix_expressions(t->train_mix),
                           .classes = info->classes,
                           .drop_last = !strcmp(o->data_last_batch, "drop"),
                           .parts = (int)o->train_accumulate,
                           .images = (int)o->sampler_images_per_identity,
                           .skip_few = !strcmp(o->sampler_few, "skip"),
                           .seed = (uint64_t)o->train_seed };
    FCT_TRY(batch_rows(t, &s.batch));
    FCT_TRY(fct_sampler_parse(o->sampler_kind, &s.kind));
    FCT_TRY(create_samplers(t, &s));
    t->picture = calloc((size_t)s.batch, sizeof *t->picture);
    t->people = calloc((size_t)s.batch, sizeof *t->people);
    if (!t->picture || !t->people)
        return FCT_FAIL_NOMEM((size_t)s.batch * sizeof *t->picture, "a batch's numbers");
    t->batches = fct_sampler_steps(t->sampler);
    t->steps = (t->batches + o->train_accumulate - 1) / o->train_accumulate;
    int64_t tail = fct_sampler_batch_size(t->sampler, t->batches - 1);
    t->epoch_pictures = (t->batches - 1) * s.batch + tail;
    if (o->train_sync_bn && tail < fct_comm_size(t->comm))
        return FCT_FAIL(FCT_E_ARG,
                        "train.sync_bn: the last batch of an epoch has %lld pictures for %d ranks\n"
                        "set data.last_batch=drop or another data.batch_size",
                        (long long)tail, fct_comm_size(t->comm));
    return FCT_OK;
}

// Buffers like the weights beside weights and gradients.
int fct_optim_copies(const fct_trainer *t)
{
    const fct_options *o = t->o;
    return (strcmp(o->optim_optimizer, "adamw") ? 1 : 2) + (o->optim_ema > 0) +
           (o->train_accumulate > 1);
}

// train.exact computes on the host.
static const char *backend_of(const fct_options *o)
{
    return o->train_exact && !strcmp(o->cluster_backend, "auto") ? "cpu" : o->cluster_backend;
}

static fct_status make_net(fct_trainer *t)
{
    const fct_options *o = t->o;
    int64_t full = fct_sampler_batch_size(t->sampler, 0),
            tail = fct_sampler_batch_size(t->sampler, t->batches - 1);
    int64_t low, high, shards = o->train_exact ? o->train_exact_shards : 0;
    fct_sampler_slice(full, 0, shards ? (int)shards : fct_comm_size(t->comm), &low, &high);
    int is_half = !strcmp(o->data_normalize, "half");
    fct_net_spec s = { .comm = t->comm,
                       .backend = backend_of(o),
                       .threads = t->cores.threads,
                       .device = fct_net_device_of(o),
                       .shards = (int)shards,
                       .batch = full,
                       .tail = tail == full ? 0 : tail,
                       .eval_rows = o->eval_batch_size ? o->eval_batch_size : high - low,
                       .sync_bn = o->train_sync_bn,
                       .freeze_first = t->thaw_step > 0 ? fct_freeze_part(o) : NULL,
                       .bucket_bytes = (size_t)o->cluster_bucket_bytes,
                       .plan_only = t->spec->dry_run };
    s.model = (fct_model_spec){ .backbone = o->model_backbone,
                                .stem = o->model_stem,
                                .height = input_side(t, 0),
                                .width = input_side(t, 1),
                                .embedding = (int)o->model_embedding,
                                .expressions = t->tasks.classes,
                                .landmarks = t->tasks.landmarks,
                                .has_identity = t->tasks.identities > 0,
                                .identity_rows = fct_identity_rows(o, &t->tasks),
                                .freeze = fct_freeze_part(o) ? "none" : o->model_freeze,
                                .log_vars = fct_tasks_log_vars(&t->tasks),
                                .log_var_init = (float)o->loss_log_var_init };
    s.device.copies = fct_optim_copies(t);
    memcpy(s.model.mean, is_half ? half : imagenet_mean, sizeof half);
    memcpy(s.model.std, is_half ? half : imagenet_std, sizeof half);
    FCT_TRY(fct_net_create(&s, &t->net));
    t->tasks.features = t->net->features;
    if (t->net->place.ops)
        fct_cores_for_device((int)o->data_num_workers, &t->cores);
    return FCT_OK;
}

static fct_status make_optim(fct_trainer *t)
{
    const fct_options *o = t->o;
    const fct_optim_spec s = fct_identity_optim(o);
    FCT_TRY(fct_optim_create(&s, t->net->params, &t->optim));
    if (o->train_accumulate > 1)
        FCT_TRY(t->net->backend->ops->alloc(t->net->backend, fct_params_bytes(t->net->params),
                                            &t->accumulated));
    if (o->train_exact)
        FCT_TRY(fct_exact_create(t));
    FCT_TRY(fct_loss_scale_begin(t));
    return fct_params_init(t->net->params, (uint64_t)o->train_seed);
}

// How long to train. Learning by heart takes some hundred steps, whatever the configuration's
// epochs over a whole set are, and no evaluation after each of them.
static void make_length(fct_trainer *t)
{
    int64_t epochs = (BY_HEART_STEPS + t->steps - 1) / t->steps, every = BY_HEART_LOOK / t->steps;
    t->epochs = t->o->train_epochs;
    t->eval_every = t->o->eval_every;
    if (t->spec->overfit > 0) {
        t->epochs = epochs > t->epochs ? epochs : t->epochs;
        t->eval_every = every > 1 ? every : 1;
    }
}

static fct_status make_schedule(fct_trainer *t)
{
    const fct_options *o = t->o;
    fct_schedule_spec *s = &t->schedule;
    make_length(t);
    *s = (fct_schedule_spec){ .base = o->optim_learning_rate,
                              .floor = o->schedule_floor,
                              .steps = t->epochs * t->steps,
                              .warmup = llround(o->schedule_warmup_epochs * (double)t->steps),
                              .step_factor = o->schedule_step_factor,
                              .power = o->schedule_power };
    if (t->spec->overfit > 0 && s->warmup > BY_HEART_LOOK)
        s->warmup = BY_HEART_LOOK;
    int most = (int)(sizeof s->milestone / sizeof *s->milestone);
    if (o->schedule_step_epochs.n > most)
        return FCT_FAIL(FCT_E_ARG, "schedule.step_epochs: more than %d entries", most);
    for (int i = 0; i < o->schedule_step_epochs.n; i++) {
        double epoch;
        if (fct_text_to_f64(o->schedule_step_epochs.item[i], &epoch) != FCT_OK)
            return FCT_FAIL(FCT_E_ARG, "schedule.step_epochs: '%s' is not a number",
                            o->schedule_step_epochs.item[i]);
        s->milestone[s->milestones++] = llround(epoch * (double)t->steps);
    }
    return fct_schedule_parse(o->schedule_kind, &s->kind);
}

static fct_status make_loader(fct_trainer *t)
{
    const fct_options *o = t->o;
    fct_loader_spec s = { .mix = t->train_mix,
                          .sampler = t->sampler,
                          .augment = t->augment,
                          .is_plain = t->spec->overfit > 0,
                          .seed = (uint64_t)o->train_seed,
                          .rank = fct_comm_rank(t->comm),
                          .ranks = fct_comm_size(t->comm),
                          .threads = t->cores.workers,
                          .ahead = (int)o->data_ahead,
                          .memory = fct_feed_memory(t->net->backend) };
    FCT_TRY(fct_loader_create(&s, &t->loader));
    FCT_TRY(fct_device_step_create(t));
    fct_evaluator_spec e = { .mix = t->val_mix,
                             .net = t->net,
                             .tasks = &t->tasks,
                             .comm = t->comm,
                             .workers = t->cores.workers,
                             .class_map = t->val_class_map,
                             .pck_alpha = o->eval_pck_alpha,
                             .head = t->val_person_map ? t->head : NULL,
                             .head_is_sharded = fct_identity_is_sharded(o),
                             .person_map = t->val_person_map };
    FCT_TRY(fct_evaluator_create(&e, &t->evaluator));
    FCT_TRY(fct_verifying_create(t));
    int64_t low, high, full = fct_sampler_batch_size(t->sampler, 0);
    fct_sampler_slice(full, 0, fct_comm_size(t->comm), &low, &high); // rank 0 has the most
    return fct_outputs_create(&t->tasks, high - low, &t->outputs);
}

static void name_mode(fct_trainer *t)
{
    const char *tasks = t->tasks.balance.tasks > 1 ? "multitask"
                        : t->tasks.classes         ? "expression"
                        : t->tasks.identities      ? "identity"
                                                   : "landmarks";
    const char *freeze = t->o->model_freeze;
    if (fct_freeze_part(t->o))
        snprintf(t->mode, sizeof t->mode, "%s_thawed_%s", tasks, fct_freeze_part(t->o));
    else if (!strcmp(freeze, "backbone"))
        snprintf(t->mode, sizeof t->mode, "head_only");
    else
        snprintf(t->mode, sizeof t->mode, "%s%s%s", tasks, strcmp(freeze, "none") ? "_frozen_" : "",
                 strcmp(freeze, "none") ? freeze : "");
}

static fct_status prepare_data(fct_trainer *t)
{
    FCT_TRY(open_data(t));
    FCT_TRY(make_augment(t));
    FCT_TRY(make_sampler(t));
    FCT_TRY(make_schedule(t));
    fct_freeze_plan(t);
    name_mode(t);
    return FCT_OK;
}

static fct_status prepare_run(fct_trainer *t)
{
    FCT_TRY(fct_comm_agree(t->comm, make_optim(t), "preparing the optimiser"));
    FCT_TRY(fct_identity_create(t));
    return fct_comm_agree(t->comm, make_loader(t), "preparing the training");
}

// Another number of threads may add in another order: exactness cannot follow each rank's cores.
static int wanted_threads(const fct_options *o)
{
    return o->train_exact && o->cluster_threads == 0 ? 1 : (int)o->cluster_threads;
}

fct_status fct_trainer_create(const fct_train_spec *spec, fct_trainer **out)
{
    FCT_TRY(fct_exact_check(spec->options, fct_comm_size(spec->comm))); // the same on all ranks
    FCT_TRY(fct_identity_check(spec->options));
    fct_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return FCT_FAIL_NOMEM(sizeof *t, "the trainer");
    t->spec = spec;
    t->o = spec->options;
    t->comm = spec->comm;
    t->best = (double)NAN;
    t->way = t->o->train_exact ? &fct_step_exact : &fct_step_plain;
    fct_status status = fct_cores_find(t->comm, t->o->cluster_bind, wanted_threads(t->o),
                                       (int)t->o->data_num_workers, &t->cores);
    if (status == FCT_OK)
        status = fct_trainer_stage(t);
    if (status == FCT_OK)
        status = fct_comm_agree(t->comm, prepare_data(t), "opening the data");
    if (status == FCT_OK)
        status =
            fct_comm_same(t->comm, fct_mix_describe(t->train_mix)->data_hash, "the training data");
    if (status == FCT_OK)
        status = fct_comm_same(t->comm, fct_mix_describe(t->val_mix)->data_hash,
                               "the data to evaluate on");
    if (status == FCT_OK)
        status = fct_comm_same(t->comm, fct_verifying_hash(t), "the verification sets");
    if (status == FCT_OK)
        status = make_net(t);
    if (status == FCT_OK && !spec->dry_run)
        status = prepare_run(t);
    if (status != FCT_OK)
        fct_trainer_destroy(t);
    else
        *out = t;
    return status;
}

void fct_trainer_destroy(fct_trainer *t)
{
    if (!t)
        return;
    fct_verifying_destroy(t);
    fct_evaluator_destroy(t->evaluator);
    fct_device_step_destroy(t);
    fct_loader_destroy(t->loader);
    fct_sampler_destroy(t->sampler);
    fct_sampler_destroy(t->plan);
    free(t->picture);
    free(t->people);
    fct_augment_destroy(t->augment);
    fct_outputs_release(&t->outputs);
    fct_optim_destroy(t->optim);
    fct_exact_destroy(t);
    if (t->accumulated)
        t->net->backend->ops->release(t->net->backend, t->accumulated);
    fct_head_destroy(t->head);
    fct_net_destroy(t->net);
    fct_persons_release(&t->persons);
    free(t->val_person_map);
    fct_tasks_release(&t->tasks);
    fct_mix_close(t->train_mix);
    fct_mix_close(t->val_mix);
    fct_trainer_unstage(t);
    free(t->val_class_map);
    free(t);
}
