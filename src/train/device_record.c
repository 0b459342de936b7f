// SPDX-License-Identifier: Apache-2.0
// Passes that are recorded once and replayed: a small batch is over before the host could put each
// of its operations on the stream. What a pass uses must have run before, so the first one is
// plain.
#include "facet/log.h"
#include "part_device.h"

// A pass that some rank could not record is recorded by none, for good.
static fct_status give_up(fct_trainer *t, fct_status mine, int has_buckets)
{
    fct_net *n = t->net;
    if (mine != FCT_OK || fct_comm_rank(t->comm) == 0)
        FCT_WARN("the step is not recorded but put together anew each time, which is slower: %s",
                 mine != FCT_OK ? fct_fail_text() : "another rank could not");
    t->device->is_plain = 1;
    fct_passes_release(t);
    if (!has_buckets) // they may have stopped halfway
        return FCT_OK;
    fct_buckets_destroy(n->buckets);
    n->buckets = NULL;
    return fct_net_make_buckets(n);
}

static fct_status record(const fct_pass *p, fct_recording **out)
{
    fct_backend *b = p->t->net->backend;
    const fct_device_ops *ops = p->t->net->place.ops;
    FCT_TRY(ops->record_begin(b));
    const fct_status status = fct_pass_enqueue(p);
    if (status == FCT_OK)
        return ops->record_end(b, out);
    ops->record_drop(b);
    return status;
}

fct_status fct_pass_run(fct_trainer *t, const fct_pass *p)
{
    fct_device_step *d = t->device;
    const int index = fct_net_index(t->net, p->b->rows, p->b->global_rows);
    if (d->is_plain || index < 0 || !fct_pass_is_recordable(p))
        return fct_pass_enqueue(p);
    const int k = 2 * index + (p->with_sum != 0);
    if (!d->pass[k].has_run) {
        d->pass[k].has_run = 1;
        return fct_pass_enqueue(p);
    }
    if (!d->pass[k].recording) {
        const fct_status status = record(p, &d->pass[k].recording);
        int64_t failed = status != FCT_OK;
        FCT_TRY(fct_comm_reduce_i64(t->comm, &failed, 1, FCT_MAX));
        if (failed) {
            FCT_TRY(give_up(t, status, p->with_sum));
            return fct_pass_enqueue(p);
        }
    }
    return t->net->place.ops->replay(t->net->backend, d->pass[k].recording);
}

void fct_passes_release(fct_trainer *t)
{
    for (int i = 0; i < FCT_RECORDINGS; i++) {
        t->net->place.ops->recording_destroy(t->device->pass[i].recording);
        t->device->pass[i].recording = NULL;
    }
}
