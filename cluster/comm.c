// SPDX-License-Identifier: Apache-2.0
// The communicator that everyone sees: picks a kind, and hands each call to it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_kind.h"
#include "facet/comm_vectors.h"
#include "facet/fault.h"
#include "facet/log.h"

static const fct_comm_ops *const kinds[] = { &fct_comm_self, &fct_comm_mpi_kind };

static const fct_comm_ops *find_kind(const char *kind, const fct_launcher *launcher)
{
    if (!strcmp(kind, "auto"))
        return launcher->can_start_mpi ? &fct_comm_mpi_kind : &fct_comm_self;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i]->name))
            return kinds[i];
    return NULL;
}

// N processes that know nothing of each other would all write to the same run.
static fct_status every_rank_is_0(const fct_launcher *l)
{
    return FCT_FAIL(
        FCT_E_UNSUPPORTED,
        "every process is rank 0: %s started %d (%s=%d), but each sees only itself\n%s; "
        "for %d separate runs unset %s, or train with cluster.comm=self",
        l->name, l->size, l->variable, l->size, l->cure, l->size, l->variable);
}

fct_status fct_comm_create(const char *kind, fct_comm **out)
{
    fct_launcher launcher;
    fct_launcher_read(&launcher);
    const fct_comm_ops *ops = find_kind(kind, &launcher);
    if (!ops)
        return FCT_FAIL(FCT_E_ARG, "communicator \"%s\": unknown kind\nauto, self or mpi", kind);
    fct_comm *c;
    FCT_TRY(ops->create(&c));
    if (c->size == 1 && launcher.size > 1 && strcmp(kind, "self") != 0) {
        fct_comm_destroy(c);
        return every_rank_is_0(&launcher);
    }
    fct_log_set_rank(c->rank, c->size);
    fct_fault_set_rank(c->rank);
    *out = c;
    return FCT_OK;
}

void fct_comm_destroy(fct_comm *c)
{
    if (c)
        c->ops->destroy(c);
}

_Noreturn void fct_comm_abort(fct_comm *c, int exit_code)
{
    if (c)
        c->ops->abort(c, exit_code);
    _exit(exit_code);
}

int fct_comm_rank(const fct_comm *c)
{
    return c->rank;
}

int fct_comm_size(const fct_comm *c)
{
    return c->size;
}

int fct_comm_local_rank(const fct_comm *c)
{
    return c->local_rank;
}

int fct_comm_local_size(const fct_comm *c)
{
    return c->local_size;
}

const char *fct_comm_host(const fct_comm *c)
{
    return c->host;
}

const char *fct_comm_kind(const fct_comm *c)
{
    return c->ops->name;
}

fct_status fct_comm_check(fct_comm *c)
{
    return c->broken == FCT_OK ? FCT_OK : fct_fail_set(c->broken, c->why);
}

static void tell_watcher(fct_comm *c)
{
    if (c->watch)
        (void)c->watch(c->watched);
}

fct_status fct_comm_break(fct_comm *c, const fct_cancel_note *note)
{
    if (c->broken == FCT_OK) {
        c->broken = FCT_E_PEER;
        snprintf(c->why, sizeof c->why, "%s", note->text);
        tell_watcher(c);
    }
    return fct_comm_check(c);
}

void fct_comm_cancel(fct_comm *c, fct_status mine)
{
    if (mine == FCT_OK || c->broken != FCT_OK)
        return;
    fct_cancel_note note = { .status = (int)mine, .rank = c->rank };
    int head = 0;
    if (c->size > 1)
        head = snprintf(note.text, sizeof note.text, "rank %d on %s: ", c->rank, c->host);
    snprintf(note.text + head, sizeof note.text - (size_t)head, "%s", fct_fail_text());
    c->broken = mine;
    snprintf(c->why, sizeof c->why, "%s", note.text);
    c->ops->cancel(c, &note);
    tell_watcher(c);
}

int fct_comm_is_cancelled(const fct_comm *c)
{
    return c->broken != FCT_OK;
}

// A collective that fails on one rank alone leaves the others waiting: it cancels them.
static fct_status closed(fct_comm *c, fct_status status)
{
    fct_comm_cancel(c, status);
    return status;
}

static fct_status opened(fct_comm *c, const char *name)
{
    FCT_TRY(fct_comm_check(c));
    fct_marks_enter(&c->marks, name);
    if (fct_fault("comm.collective"))
        return closed(c, FCT_FAIL(FCT_E_COMM, "a collective failed (injected)"));
    return FCT_OK;
}

fct_status fct_comm_reduce_f64(fct_comm *c, double *values, size_t n, fct_reduce how)
{
    FCT_TRY(opened(c, "reduce"));
    return closed(c, c->ops->reduce(c, values, n, FCT_NUMBER_F64, how));
}

fct_status fct_comm_reduce_i64(fct_comm *c, int64_t *values, size_t n, fct_reduce how)
{
    FCT_TRY(opened(c, "reduce"));
    return closed(c, c->ops->reduce(c, values, n, FCT_NUMBER_I64, how));
}

static fct_status sum_tree(fct_comm *c, void *values, size_t n, fct_number type)
{
    if (c->size & (c->size - 1)) // all ranks alike: nobody waits
        return FCT_FAIL(FCT_E_ARG, "a sum in a tree needs 1, 2, 4, 8 .. ranks, not %d", c->size);
    FCT_TRY(opened(c, "sum in a tree"));
    return closed(c, c->ops->sum_tree(c, values, n, type));
}

fct_status fct_comm_sum_tree_f32(fct_comm *c, float *values, size_t n)
{
    return sum_tree(c, values, n, FCT_NUMBER_F32);
}

fct_status fct_comm_sum_tree_f64(fct_comm *c, double *values, size_t n)
{
    return sum_tree(c, values, n, FCT_NUMBER_F64);
}

fct_status fct_comm_broadcast(fct_comm *c, void *bytes, size_t n, int root)
{
    FCT_TRY(opened(c, "broadcast"));
    FCT_ASSERT(root >= 0 && root < c->size);
    return closed(c, c->ops->broadcast(c, bytes, n, root));
}

fct_status fct_comm_gather(fct_comm *c, const void *mine, size_t n_mine, void **out, size_t *total)
{
    *out = NULL;
    *total = 0;
    FCT_TRY(opened(c, "gather"));
    return closed(c, c->ops->gather(c, mine, n_mine, out, total));
}

fct_status fct_comm_barrier(fct_comm *c)
{
    FCT_TRY(opened(c, "barrier"));
    return closed(c, c->ops->barrier(c));
}

fct_status fct_comm_all_gather(fct_comm *c, const void *mine, const size_t *bytes, void *out)
{
    FCT_TRY(opened(c, "all-gather"));
    return closed(c, c->ops->all_gather(c, mine, bytes, out));
}

fct_status fct_comm_reduce_scatter_f32(fct_comm *c, const float *values, const size_t *floats,
                                       float *out)
{
    FCT_TRY(opened(c, "reduce-scatter"));
    size_t *bytes = malloc((size_t)c->size * sizeof *bytes);
    if (!bytes)
        return closed(c, FCT_FAIL_NOMEM((size_t)c->size * sizeof *bytes, "a reduce-scatter"));
    for (int r = 0; r < c->size; r++)
        bytes[r] = floats[r] * sizeof(float);
    fct_status status = closed(c, c->ops->reduce_scatter(c, values, bytes, out));
    free(bytes);
    return status;
}
