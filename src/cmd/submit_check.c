// SPDX-License-Identifier: Apache-2.0
// What can be known to be wrong before a job waits in the queue for it.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facet/dataset.h"
#include "facet/train.h"
#include "submit.h"

static fct_status check_split(const char *path, const char *key, const char *split)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return FCT_FAIL(FCT_E_ARG, "%s: %s: %s", key, path, strerror(errno));
    if (!S_ISDIR(st.st_mode) || fct_dataset_has_split(path, split))
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG,
                    "%s: %s: holds no shards of split \"%s\"\nfacet inspect tells what "
                    "is there",
                    key, path, split);
}

fct_status fct_check_data(const fct_options *o)
{
    const fct_list *val = o->data_val_path.n ? &o->data_val_path : &o->data_path;
    if (o->data_path.n == 0)
        return FCT_FAIL(FCT_E_ARG, "data.path is empty: nothing to train on");
    for (int i = 0; i < o->data_path.n; i++)
        FCT_TRY(check_split(o->data_path.item[i], "data.path", o->data_train_split));
    for (int i = 0; i < val->n; i++)
        FCT_TRY(check_split(val->item[i], val == &o->data_path ? "data.path" : "data.val_path",
                            o->data_val_split));
    for (int i = 0; i < o->eval_verify.n; i++)
        if (access(o->eval_verify.item[i], R_OK) != 0)
            return FCT_FAIL(FCT_E_ARG, "eval.verify: %s: %s", o->eval_verify.item[i],
                            strerror(errno));
    return FCT_OK;
}

fct_status fct_submit_check_options(const fct_options *o, const fct_submit_spec *s)
{
    int64_t ranks = s->nodes * s->ranks;
    FCT_TRY(fct_check_data(o));
    if (o->init_from[0] == '@')
        return FCT_FAIL(FCT_E_ARG, FCT_INIT_FROM_RUN, o->init_from);
    if (o->init_from[0] && access(o->init_from, R_OK) != 0)
        return FCT_FAIL(FCT_E_ARG, "init.from: %s: %s", o->init_from, strerror(errno));
    if (ranks > o->data_batch_size)
        return FCT_FAIL(FCT_E_ARG, "data.batch_size %lld is too few pictures for %lld ranks",
                        (long long)o->data_batch_size, (long long)ranks);
    return FCT_OK;
}

// Tasks of an array either go on with one run, one after another, or are the members of a sweep.
static fct_status check_array(const fct_submit_spec *s)
{
    if (!s->array)
        return FCT_OK;
    if (s->sweep.n && s->array[0] != '%')
        return FCT_FAIL(FCT_E_ARG, "--array %s: with --sweep it is %%M, the members at a time",
                        s->array);
    if (!s->sweep.n && !fct_text_ends_with(s->array, "%1"))
        return FCT_FAIL(FCT_E_ARG,
                        "--array %s: its tasks go on with the same run, so it must end in %%1\n"
                        "runs that differ are a --sweep",
                        s->array);
    return FCT_OK;
}

fct_status fct_submit_check_spec(fct_submit_spec *s)
{
    if (s->nodes == 0)
        return FCT_FAIL(FCT_E_ARG, "--nodes is missing: on how many nodes?");
    if (s->gpus && s->ranks && s->gpus != s->ranks)
        return FCT_FAIL(FCT_E_ARG, "--gpus-per-node and --ranks-per-node: there is one rank a GPU");
    if (s->gpus)
        s->ranks = s->gpus;
    if (s->ranks == 0)
        s->ranks = 1;
    if (s->pack && (s->gpus || s->array || s->sweep.n))
        return FCT_FAIL(FCT_E_ARG, "--pack takes no GPUs, no --array and no --sweep");
    return check_array(s);
}
