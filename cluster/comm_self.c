// SPDX-License-Identifier: Apache-2.0
// One rank alone: every collective is done as soon as it is called.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_kind.h"

static fct_status self_create(fct_comm **out)
{
    fct_comm *c = calloc(1, sizeof *c);
    if (!c)
        return FCT_FAIL_NOMEM(sizeof *c, "a communicator");
    c->ops = &fct_comm_self;
    c->size = c->local_size = 1;
    if (gethostname(c->host, sizeof c->host - 1) != 0)
        memcpy(c->host, "localhost", sizeof "localhost");
    *out = c;
    return FCT_OK;
}

static fct_status self_reduce(fct_comm *c, void *values, size_t n, fct_number type, fct_reduce how)
{
    (void)c, (void)values, (void)n, (void)type, (void)how;
    return FCT_OK;
}

static fct_status self_sum_tree(fct_comm *c, void *values, size_t n, fct_number type)
{
    (void)c, (void)values, (void)n, (void)type;
    return FCT_OK;
}

static fct_status self_broadcast(fct_comm *c, void *bytes, size_t n, int root)
{
    (void)c, (void)bytes, (void)n, (void)root;
    return FCT_OK;
}

static fct_status self_gather(fct_comm *c, const void *mine, size_t n_mine, void **out,
                              size_t *total)
{
    (void)c;
    *out = malloc(n_mine + 1);
    if (!*out)
        return FCT_FAIL_NOMEM(n_mine, "a gather");
    if (n_mine > 0)
        memcpy(*out, mine, n_mine);
    *total = n_mine;
    return FCT_OK;
}

static fct_status self_barrier(fct_comm *c)
{
    (void)c;
    return FCT_OK;
}

static fct_status self_all_gather(fct_comm *c, const void *mine, const size_t *bytes, void *out)
{
    (void)c;
    if (bytes[0] > 0)
        memcpy(out, mine, bytes[0]);
    return FCT_OK;
}

static fct_status self_reduce_scatter(fct_comm *c, const float *values, const size_t *bytes,
                                      float *out)
{
    return self_all_gather(c, values, bytes, out);
}

static void self_cancel(fct_comm *c, const fct_cancel_note *note)
{
    (void)c, (void)note;
}

static void self_abort(fct_comm *c, int exit_code)
{
    (void)c, (void)exit_code;
}

static void self_destroy(fct_comm *c)
{
    free(c);
}

const fct_comm_ops fct_comm_self = {
    .name = "self",
    .create = self_create,
    .reduce = self_reduce,
    .sum_tree = self_sum_tree,
    .broadcast = self_broadcast,
    .gather = self_gather,
    .barrier = self_barrier,
    .all_gather = self_all_gather,
    .reduce_scatter = self_reduce_scatter,
    .destroy = self_destroy,
    .cancel = self_cancel,
    .abort = self_abort,
};
