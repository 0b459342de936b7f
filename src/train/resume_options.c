// SPDX-License-Identifier: Apache-2.0
// A resumed training's options beside those of its checkpoint: what may not differ, and what is
// told.
#include <string.h>

#include "facet/log.h"
#include "trainer.h"

// What decides which pictures make up which step: with another value "go on exactly" means nothing.
static fct_status check_same_order(const fct_options *now, const fct_options *then)
{
    const struct {
        const char *key;
        int64_t now, then;
    } number[] = {
        { "train.seed", now->train_seed, then->train_seed },
        { "data.batch_size", now->data_batch_size, then->data_batch_size },
        { "train.accumulate", now->train_accumulate, then->train_accumulate },
        { "data.last_batch", strcmp(now->data_last_batch, "drop"),
          strcmp(then->data_last_batch, "drop") },
        { "sampler.kind", strcmp(now->sampler_kind, then->sampler_kind), 0 },
        { "sampler.identities_per_batch", now->sampler_identities_per_batch,
          then->sampler_identities_per_batch },
        { "sampler.images_per_identity", now->sampler_images_per_identity,
          then->sampler_images_per_identity },
        { "sampler.few", strcmp(now->sampler_few, then->sampler_few), 0 },
        { "model.head", strcmp(now->model_head, then->model_head), 0 },
        { "optim.optimizer", strcmp(now->optim_optimizer, then->optim_optimizer), 0 },
    };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        if (number[i].now != number[i].then)
            return FCT_FAIL(FCT_E_ARG,
                            "resume: %s is not what it was in the checkpoint\n"
                            "give it as it was, or start a new run with init.from",
                            number[i].key);
    return FCT_OK;
}

// Not those that decide only how fast and where, that the data's hash answers for, that resuming
// does not read, or that have a warning of their own.
static int is_told(const char *key)
{
    static const char *const silent[] = {
        "run.",
        "cluster.",
        "log.",
        "checkpoint.",
        "data.stage",
        "data.ahead",
        "data.path",
        "init.from",
        "optim.learning_rate",
        "train.epochs",
        "train.exact", // and its shards
        "data.num_workers",
        "train.loss_scale", // the checkpoint's goes on
    };
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (!strncmp(key, silent[i], strlen(silent[i])))
            return 0;
    return 1;
}

// Rank 0 tells of options with which the training goes another way than it would have gone.
static fct_status tell_differences(const fct_options *now, const fct_options *then)
{
    if (now->train_exact != then->train_exact ||
        (now->train_exact && now->train_exact_shards != then->train_exact_shards))
        FCT_WARN("resume: train.exact or train.exact_shards differ from the checkpoint's: the bits "
                 "will not be those of one whole run");
    if (now->train_epochs != then->train_epochs ||
        now->optim_learning_rate != then->optim_learning_rate)
        FCT_WARN("resume: train.epochs or optim.learning_rate differ from the checkpoint's: the "
                 "schedule goes on along the new curve");
    fct_text text = { 0 };
    fct_options_differences(then, now, is_told, &text);
    if (text.size > 0 && !text.failed)
        FCT_WARN("resume: not as in the checkpoint: %s; training goes on with the new values",
                 text.data);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "the differing options") : FCT_OK;
    fct_text_release(&text);
    return status;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Whether what decided on the best checkpoint still does: values of two kinds do not compare.
static int judges_alike(const fct_options *now, const fct_options *then)
{
    const fct_list *a = &now->eval_verify, *b = &then->eval_verify;
    if (strcmp(now->checkpoint_best, then->checkpoint_best) != 0)
        return 0;
    if (strcmp(now->checkpoint_best, "verification") != 0 &&
        (strcmp(now->checkpoint_best, "auto") != 0 || !now->tasks_identity))
        return 1;
    return a->n == 0 || b->n == 0 ? a->n == b->n
                                  : !strcmp(last_part(a->item[0]), last_part(b->item[0]));
}

// Another device or precision is fine, but its bits are others.
static void tell_device(const fct_trainer *t, const fct_blobs *state)
{
    char now[64];
    const fct_blob *b = fct_blobs_find(state, "meta/device");
    const char *then = b ? b->data : "cpu, f32"; // of an older facet
    if (strcmp(fct_net_words(t->net, now), then) != 0)
        FCT_INFO("resume: the checkpoint comes from %s, training goes on with %s: losses agree as "
                 "far as the precisions do",
                 then, now);
}

fct_status fct_resume_check_options(const fct_trainer *t, const fct_blobs *state, int *is_best_kept)
{
    const fct_blob *config = fct_blobs_find(state, "meta/config");
    fct_options *then;
    if (!config)
        return FCT_FAIL(FCT_E_FORMAT, "checkpoint: meta/config is missing");
    FCT_TRY(fct_options_parse(config->data, "the checkpoint's configuration", &then));
    fct_status status = check_same_order(t->o, then);
    *is_best_kept = judges_alike(t->o, then);
    if (status == FCT_OK && fct_comm_rank(t->comm) == 0) {
        if (!*is_best_kept)
            FCT_WARN("resume: something else decides on the best checkpoint than in the "
                     "checkpoint: the best one is looked for anew");
        status = tell_differences(t->o, then);
        tell_device(t, state);
    }
    fct_options_destroy(then);
    return status;
}
