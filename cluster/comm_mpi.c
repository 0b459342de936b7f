// SPDX-License-Identifier: Apache-2.0
// The MPI kind: start, who shares a node with whom, end.
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_mpi.h"
#include "comm_mpi_small.h"
#include "comm_mpi_vectors.h"
#include "facet/text.h"

fct_status fct_mpi_check(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;
    if (code == MPI_SUCCESS)
        return FCT_OK;
    MPI_Error_string(code, text, &n);
    return FCT_FAIL(FCT_E_COMM, "%s: %s", what, text);
}

#define TRY_MPI(call) FCT_TRY(fct_mpi_check((call), #call))

static fct_status start_mpi(fct_comm_mpi *m)
{
    int is_up = 0, is_over = 0, level = MPI_THREAD_SINGLE;
    TRY_MPI(MPI_Finalized(&is_over));
    if (is_over)
        return FCT_FAIL(FCT_E_COMM, "MPI was ended in this process and cannot be started again");
    TRY_MPI(MPI_Initialized(&is_up));
    m->owns_mpi = !is_up;
    if (is_up)
        TRY_MPI(MPI_Query_thread(&level));
    else
        TRY_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level));
    if (level < MPI_THREAD_FUNNELED)
        return FCT_FAIL(FCT_E_COMM, "this MPI cannot be used by a program with threads");
    TRY_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &m->world));
    TRY_MPI(MPI_Comm_rank(m->world, &m->base.rank));
    TRY_MPI(MPI_Comm_size(m->world, &m->base.size));
    return FCT_OK;
}

// FACET_FAKE_NODES=k pretends that a host is k nodes: tests reach the two-level paths on one
// machine.
static fct_status split_fake_nodes(fct_comm_mpi *m)
{
    const char *text = getenv("FACET_FAKE_NODES");
    int64_t k = 1;
    int rank, size;
    MPI_Comm host = m->node;
    if (!text || fct_text_to_i64(text, &k) != FCT_OK || k < 2 || k > INT_MAX)
        return FCT_OK;
    TRY_MPI(MPI_Comm_rank(host, &rank));
    TRY_MPI(MPI_Comm_size(host, &size));
    TRY_MPI(MPI_Comm_split(host, (int)(rank * k / size), rank, &m->node));
    TRY_MPI(MPI_Comm_free(&host));
    return FCT_OK;
}

static fct_status find_nodes(fct_comm_mpi *m)
{
    fct_comm *c = &m->base;
    TRY_MPI(MPI_Comm_split_type(m->world, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &m->node));
    FCT_TRY(split_fake_nodes(m));
    TRY_MPI(MPI_Comm_rank(m->node, &c->local_rank));
    TRY_MPI(MPI_Comm_size(m->node, &c->local_size));
    int first = c->rank, is_first = c->local_rank == 0;
    TRY_MPI(MPI_Bcast(&first, 1, MPI_INT, 0, m->node)); // a node's name: the rank of its first
    TRY_MPI(MPI_Allreduce(&is_first, &m->nodes, 1, MPI_INT, MPI_SUM, m->world));
    TRY_MPI(MPI_Allreduce(&c->local_size, &m->lanes, 1, MPI_INT, MPI_MIN, m->world));
    int color = c->local_rank < m->lanes ? c->local_rank : MPI_UNDEFINED;
    TRY_MPI(MPI_Comm_split(m->world, color, c->rank, &m->lane));
    int *node_of = malloc((size_t)c->size * sizeof *node_of);
    m->is_local = malloc((size_t)c->size);
    if (!node_of || !m->is_local) {
        free(node_of);
        return FCT_FAIL_NOMEM(c->size, "a communicator");
    }
    int code = MPI_Allgather(&first, 1, MPI_INT, node_of, 1, MPI_INT, m->world);
    for (int i = 0; i < c->size; i++)
        m->is_local[i] = node_of[i] == first;
    free(node_of);
    return fct_mpi_check(code, "MPI_Allgather");
}

static void *aligned(void *at)
{
    return (char *)at + (64 - (uintptr_t)at % 64) % 64;
}

// Windows start on a page, or at the same offset in one, in every process: all align alike.
fct_status fct_mpi_window_create(fct_comm_mpi *m, size_t bytes, MPI_Win *out, void **segment)
{
    void *mine;
    MPI_Info info;
    TRY_MPI(MPI_Info_create(&info));
    TRY_MPI(MPI_Info_set(info, "alloc_shared_noncontig", "true"));
    fct_marks_enter(&m->base.marks, "shared memory");
    fct_marks_wait(&m->base.marks);
    int code = MPI_Win_allocate_shared((MPI_Aint)(bytes + 64), 1, info, m->node, &mine, out);
    fct_marks_waited(&m->base.marks, 0);
    MPI_Info_free(&info);
    FCT_TRY(fct_mpi_check(code, "a window in shared memory"));
    TRY_MPI(MPI_Win_set_errhandler(*out, MPI_ERRORS_RETURN));
    memset(mine, 0, bytes + 64);
    for (int i = 0; i < m->base.local_size; i++) {
        MPI_Aint size;
        int unit;
        TRY_MPI(MPI_Win_shared_query(*out, i, &size, &unit, &segment[i]));
        segment[i] = aligned(segment[i]);
    }
    TRY_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, *out));
    fct_marks_wait(&m->base.marks);
    code = MPI_Barrier(m->node); // everybody's is zeroed
    fct_marks_waited(&m->base.marks, 0);
    return fct_mpi_check(code, "MPI_Barrier");
}

static void read_host(fct_comm_mpi *m)
{
    char name[MPI_MAX_PROCESSOR_NAME];
    int n;
    if (MPI_Get_processor_name(name, &n) != MPI_SUCCESS)
        n = 0;
    snprintf(m->base.host, sizeof m->base.host, "%.*s", n, name);
}

static void read_patience(fct_comm_mpi *m)
{
    cpu_set_t cores;
    int n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    m->is_crowded = m->base.local_size > n;
    const char *text = getenv("FACET_COMM_LIMIT_S");
    m->limit_s = 1800;
    m->limit_is_given = text && fct_text_to_f64(text, &m->limit_s) == FCT_OK;
}

void fct_mpi_keep(fct_comm_mpi *m, void *memory)
{
    void **more = realloc(m->kept, (size_t)(m->kept_n + 1) * sizeof *more);
    if (!more)
        return; // then it lasts until the process ends
    m->kept = more;
    m->kept[m->kept_n++] = memory;
}

static void mpi_destroy(fct_comm *c)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    MPI_Comm *comms[] = { &m->lane, &m->node, &m->world };
    fct_cancel_close(m);
    for (size_t i = 0; i < sizeof comms / sizeof *comms && c->broken == FCT_OK; i++)
        if (*comms[i] != MPI_COMM_NULL)
            MPI_Comm_free(comms[i]);
    if (m->owns_mpi)
        MPI_Finalize();
    else if (c->broken != FCT_OK)
        return; // MPI lives on and may still write to our memory
    for (int i = 0; i < m->kept_n; i++)
        free(m->kept[i]);
    free(m->kept);
    free(m->scratch);
    free(m->telling);
    free(m->slot);
    free(m->is_local);
    free(m);
}

static void mpi_abort(fct_comm *c, int exit_code)
{
    (void)c;
    alarm(10); // an abort over a cut link may not come back: then this process at least ends
    MPI_Abort(MPI_COMM_WORLD, exit_code);
}

static fct_status mpi_create(fct_comm **out)
{
    fct_comm_mpi *m = calloc(1, sizeof *m);
    if (!m)
        return FCT_FAIL_NOMEM(sizeof *m, "a communicator");
    m->base.ops = &fct_comm_mpi_kind;
    m->world = m->node = m->lane = MPI_COMM_NULL;
    m->listening = MPI_REQUEST_NULL;
    m->window = MPI_WIN_NULL;
    fct_status status = FCT_OK;
    m->scratch = malloc(FCT_SMALL_BYTES);
    if (!m->scratch)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(FCT_SMALL_BYTES, "a communicator"), status, failed);
    FCT_TRY_GOTO(start_mpi(m), status, failed);
    read_host(m);
    FCT_TRY_GOTO(find_nodes(m), status, failed);
    read_patience(m);
    FCT_TRY_GOTO(fct_cancel_open(m), status, failed);
    *out = &m->base;
    return FCT_OK;
failed
    : // the others may be waiting in MPI itself, where no cancel reaches them: the process must end
    free(m->scratch);
    free(m->telling);
    free(m->slot);
    free(m->is_local);
    free(m);
    return status;
}

const fct_comm_ops fct_comm_mpi_kind = {
    .name = "mpi",
    .create = mpi_create,
    .reduce = fct_mpi_reduce,
    .sum_tree = fct_mpi_sum_tree,
    .broadcast = fct_mpi_broadcast,
    .gather = fct_mpi_gather,
    .barrier = fct_mpi_barrier,
    .all_gather = fct_mpi_all_gather,
    .reduce_scatter = fct_mpi_reduce_scatter,
    .destroy = mpi_destroy,
    .cancel = fct_cancel_tell,
    .abort = mpi_abort,
};
