// SPDX-License-Identifier: Apache-2.0
// The training as named arrays and back: what a checkpoint holds. Parameters are stored row-major
// and without padding, so that they suit every backend.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "trainer.h"

// train/position: epoch, batch, step, bad steps, steps that the optimiser took.
enum { PLACE_OPTIM_STEPS = 4, PLACES };

// Row-major values of parameter `q`'s place in a buffer laid out like the weights.
static fct_status download(fct_params *p, fct_buffer *like, const fct_param *q, float *plain)
{
    fct_backend *b = fct_params_backend(p);
    fct_tensor at = { like, q->offset, q->shape };
    FCT_TRY(b->ops->download(b, plain, at));
    return b->ops->sync(b);
}

static fct_status upload(fct_params *p, fct_buffer *like, const fct_param *q, const float *plain)
{
    fct_backend *b = fct_params_backend(p);
    fct_tensor at = { like, q->offset, q->shape };
    FCT_TRY(b->ops->upload(b, at, plain));
    return b->ops->sync(b);
}

static fct_status add_buffer(fct_blobs *state, fct_params *p, fct_buffer *like, const char *prefix)
{
    int n;
    const fct_param *table = fct_params_table(p, &n);
    for (int i = 0; i < n; i++) {
        char name[128];
        size_t bytes = (size_t)fct_shape_elements(&table[i].shape) * sizeof(float);
        float *plain = malloc(bytes);
        if (!plain)
            return FCT_FAIL_NOMEM(bytes, table[i].name);
        snprintf(name, sizeof name, "%s/%.95s", prefix, table[i].name);
        fct_status status = download(p, like, &table[i], plain);
        if (status == FCT_OK)
            status = fct_blobs_add(state, name, FCT_BLOB_F32, table[i].shape.ndim,
                                   table[i].shape.dim, plain);
        free(plain);
        FCT_TRY(status);
    }
    return FCT_OK;
}

int fct_state_has_shape(const fct_blob *b, const fct_param *q)
{
    if (b->type != FCT_BLOB_F32 || b->ndim != q->shape.ndim)
        return 0;
    for (int i = 0; i < b->ndim; i++)
        if (b->dim[i] != q->shape.dim[i])
            return 0;
    return 1;
}

static fct_status read_buffer(const fct_blobs *state, fct_params *p, fct_buffer *like,
                              const char *prefix)
{
    int n;
    const fct_param *table = fct_params_table(p, &n);
    for (int i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%.95s", prefix, table[i].name);
        const fct_blob *b = fct_blobs_find(state, name);
        if (!b || !fct_state_has_shape(b, &table[i]))
            return FCT_FAIL(FCT_E_FORMAT,
                            "checkpoint: %s is %s\nthe model of the checkpoint and of the "
                            "configuration must be the same; init.from takes over what fits",
                            name, b ? "of another shape" : "missing");
        FCT_TRY(upload(p, like, &table[i], b->data));
    }
    return FCT_OK;
}

fct_status fct_state_read_weights(const fct_blobs *state, fct_params *params)
{
    return read_buffer(state, params, fct_params_weights(params), "model");
}

// Before the first step that was not skipped there is nothing in the average.
int fct_state_has_ema(const fct_blobs *state)
{
    const fct_blob *place = fct_blobs_find(state, "train/position");
    if (!place || fct_blob_bytes(place) != PLACES * sizeof(int64_t))
        return 0;
    return ((const int64_t *)place->data)[PLACE_OPTIM_STEPS] > 0 &&
           fct_blobs_find(state, "optim/ema/backbone.conv1.weight");
}

fct_status fct_state_read_ema(const fct_blobs *state, fct_params *params)
{
    return read_buffer(state, params, fct_params_weights(params), "optim/ema");
}

static fct_status add_text(fct_blobs *state, const char *name, const fct_text *text)
{
    if (text->failed)
        return FCT_FAIL_NOMEM(text->size, name);
    return fct_blobs_add_text(state, name, text->data ? text->data : "");
}

static fct_status add_names(fct_blobs *state, const char *name, char *const *item, int n)
{
    fct_text text = { 0 };
    for (int i = 0; i < n; i++)
        fct_text_add(&text, "%s\n", item[i]);
    fct_status status = add_text(state, name, &text);
    fct_text_release(&text);
    return status;
}

static fct_status add_meta(fct_blobs *state, const fct_trainer *t)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    const fct_model_spec *m = &t->net->spec.model;
    int64_t side[2] = { m->height, m->width }, hash = (int64_t)info->data_hash, two = 2, six = 6,
            one = 1;
    double normalize[6];
    fct_text config = { 0 };
    for (int c = 0; c < 3; c++) {
        normalize[c] = (double)m->mean[c];
        normalize[3 + c] = (double)m->std[c];
    }
    fct_options_print(t->o, &config);
    fct_status status = add_text(state, "meta/config", &config);
    fct_text_release(&config);
    FCT_TRY(status);
    FCT_TRY(add_names(state, "meta/class_names", info->class_name, t->tasks.classes));
    FCT_TRY(add_names(state, "meta/landmark_names", info->landmark_name, t->tasks.landmarks));
    if (t->tasks.identities)
        FCT_TRY(fct_persons_add(&t->persons, state));
    FCT_TRY(fct_blobs_add(state, "meta/input", FCT_BLOB_I64, 1, &two, side));
    FCT_TRY(fct_blobs_add(state, "meta/normalize", FCT_BLOB_F64, 1, &six, normalize));
    char device[64];
    FCT_TRY(fct_blobs_add_text(state, "meta/device", fct_net_words(t->net, device)));
    return fct_blobs_add(state, "meta/data_hash", FCT_BLOB_I64, 1, &one, &hash);
}

static fct_status add_position(fct_blobs *state, const fct_trainer *t)
{
    int64_t place[PLACES] = { t->at.epoch, t->at.batch, t->at.step, t->at.bad_steps,
                              fct_optim_steps(t->optim) };
    int64_t places = PLACES, one = 1, sums = FCT_SUMS, tasks = FCT_MAX_TASKS;
    FCT_TRY(fct_blobs_add(state, "train/position", FCT_BLOB_I64, 1, &places, place));
    FCT_TRY(fct_blobs_add(state, "train/sums", FCT_BLOB_F64, 1, &sums, t->sums.v));
    FCT_TRY(fct_blobs_add(state, "train/thawed_at", FCT_BLOB_I64, 1, &one, &t->thawed_at));
    double spent[2] = { t->seconds, t->waited_s };
    int64_t two = 2;
    FCT_TRY(fct_blobs_add(state, "train/seconds", FCT_BLOB_F64, 1, &two, spent));
    int64_t health = sizeof t->health / sizeof(double);
    FCT_TRY(fct_blobs_add(state, "train/health", FCT_BLOB_F64, 1, &health, &t->health));
    if (t->loss_scale.value > 0) {
        const double scale[2] = { t->loss_scale.value, t->loss_scale.good };
        FCT_TRY(fct_blobs_add(state, "train/loss_scale", FCT_BLOB_F64, 1, &two, scale));
    }
    FCT_TRY(fct_blobs_add(state, "train/best", FCT_BLOB_F64, 1, &one, &t->best));
    FCT_TRY(
        fct_blobs_add(state, "train/initial_losses", FCT_BLOB_F64, 1, &tasks, t->tasks.initial));
    return add_text(state, "history/metrics.csv", &t->run.metrics);
}

// What all ranks have alike, and where they stand: rank 0's.
static fct_status collect_replicated(fct_trainer *t, fct_blobs *state)
{
    fct_params *p = t->net->params;
    const char *name;
    fct_buffer *moment;
    FCT_TRY(add_buffer(state, p, fct_params_weights(p), "model"));
    for (int i = 0; (moment = fct_optim_state(t->optim, i, &name)); i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "optim/%s", name);
        FCT_TRY(add_buffer(state, p, moment, prefix));
    }
    FCT_TRY(add_position(state, t));
    return add_meta(state, t);
}

fct_status fct_state_collect(fct_trainer *t, fct_blobs *state)
{
    if (fct_comm_rank(t->comm) == 0)
        FCT_TRY(collect_replicated(t, state));
    return t->head ? fct_head_collect(t->head, state) : FCT_OK;
}

double fct_state_bytes(const fct_trainer *t)
{
    const char *name;
    int copies = 1; // the weights
    while (fct_optim_state(t->optim, copies - 1, &name))
        copies++;
    double head = 0;
    if (fct_identity_is_sharded(t->o))
        head = (double)(t->tasks.identities * t->o->model_sub_centres * t->tasks.features) *
               sizeof(float);
    return (double)copies * ((double)fct_params_bytes(t->net->params) + head);
}

static fct_status take_array(const fct_blobs *state, const char *name, void *out, size_t bytes)
{
    const fct_blob *b = fct_blobs_find(state, name);
    if (!b || fct_blob_bytes(b) != bytes)
        return FCT_FAIL(FCT_E_FORMAT, "checkpoint: %s is %s", name,
                        b ? "of another size" : "missing");
    memcpy(out, b->data, bytes);
    return FCT_OK;
}

// Of a training in float16.
static fct_status take_loss_scale(fct_trainer *t, const fct_blobs *state)
{
    double scale[2];
    const fct_blob *b = fct_blobs_find(state, "train/loss_scale");
    if (!b || fct_blob_bytes(b) != sizeof scale)
        return FCT_OK;
    memcpy(scale, b->data, sizeof scale);
    return fct_loss_scale_restore(t, scale[0], scale[1]);
}

// What checkpoints of older versions lack. With the border of init.freeze_epochs moved behind where
// the training stands it is yet to come.
static void take_newer(fct_trainer *t, const fct_blobs *state)
{
    const fct_blob *health = fct_blobs_find(state, "train/health");
    if (health && fct_blob_bytes(health) == sizeof t->health)
        memcpy(&t->health, health->data, sizeof t->health);
    fct_health_mend(&t->health);
    const fct_blob *b = fct_blobs_find(state, "train/thawed_at");
    if (b && fct_blob_bytes(b) == sizeof t->thawed_at && t->at.step >= t->thaw_step)
        memcpy(&t->thawed_at, b->data, sizeof t->thawed_at);
}

// Of an older facet there are fewer.
static fct_status take_sums(fct_trainer *t, const fct_blobs *state)
{
    const fct_blob *b = fct_blobs_find(state, "train/sums");
    t->sums = (fct_sums){ { 0 } };
    return take_array(state, "train/sums", t->sums.v,
                      b && fct_blob_bytes(b) < sizeof t->sums.v ? fct_blob_bytes(b)
                                                                : sizeof t->sums.v);
}

static fct_status take_position(fct_trainer *t, const fct_blobs *state)
{
    int64_t place[PLACES], hash = 0;
    double spent[2] = { 0 };
    int is_best_kept;
    const fct_blob *history = fct_blobs_find(state, "history/metrics.csv");
    FCT_TRY(take_array(state, "train/position", place, sizeof place));
    FCT_TRY(take_sums(t, state));
    FCT_TRY(fct_resume_check_options(t, state, &is_best_kept));
    FCT_TRY(take_array(state, "train/seconds", spent, sizeof spent));
    t->seconds = spent[0];
    t->waited_s = spent[1];
    FCT_TRY(take_array(state, "train/best", &t->best, sizeof t->best));
    t->best = is_best_kept ? t->best : (double)NAN;
    FCT_TRY(take_array(state, "train/initial_losses", t->tasks.initial, sizeof t->tasks.initial));
    FCT_TRY(take_array(state, "meta/data_hash", &hash, sizeof hash));
    if ((uint64_t)hash != fct_mix_describe(t->train_mix)->data_hash)
        return FCT_FAIL(FCT_E_ARG, "resume: the training data is not the data of the checkpoint\n"
                                   "give data.path as it was, or start a new run with init.from");
    t->at = (fct_position){ place[0], place[1], place[2], place[3] };
    fct_optim_set_steps(t->optim, place[PLACE_OPTIM_STEPS]);
    take_newer(t, state);
    FCT_TRY(take_loss_scale(t, state));
    fct_text_release(&t->run.metrics);
    if (history)
        fct_text_add_bytes(&t->run.metrics, history->data,
                           strnlen(history->data, fct_blob_bytes(history)));
    fct_metrics_widen(&t->run.metrics);
    return t->run.metrics.failed ? FCT_FAIL_NOMEM(t->run.metrics.size, "metrics.csv") : FCT_OK;
}

static fct_status restore(fct_trainer *t, const fct_blobs *state)
{
    fct_params *p = t->net->params;
    const char *name;
    fct_buffer *moment;
    FCT_TRY(fct_state_read_weights(state, p));
    for (int i = 0; (moment = fct_optim_state(t->optim, i, &name)); i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "optim/%s", name);
        FCT_TRY(read_buffer(state, p, moment, prefix));
    }
    FCT_TRY(take_position(t, state));
    return fct_freeze_follow(t);
}

static void read_log_vars(fct_trainer *t)
{
    float value[FCT_MAX_TASKS] = { 0 };
    if (t->net->log_var >= 0 && fct_params_get(t->net->params, t->net->log_var, value) == FCT_OK)
        for (int i = 0; i < t->tasks.balance.tasks; i++)
            t->tasks.log_var[i] = (double)value[i];
}

fct_status fct_trainer_restore(fct_trainer *t, const char *path)
{
    fct_blobs state;
    char taken[FCT_PATH_MAX];
    FCT_TRY(fct_checkpoint_load_same(t->comm, path, &state, taken));
    fct_status status = restore(t, &state);
    fct_blobs_release(&state);
    FCT_TRY(fct_comm_agree(t->comm, status, "resuming"));
    if (t->head)
        FCT_TRY(fct_head_restore(t->head, taken));
    FCT_INFO("resumed from %s: epoch %lld, step %lld", taken, (long long)t->at.epoch + 1,
             (long long)t->at.step);
    read_log_vars(t);
    t->save.good = t->at;
    t->save.has_good = 1;
    return FCT_OK;
}
