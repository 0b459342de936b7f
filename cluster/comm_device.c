// SPDX-License-Identifier: Apache-2.0
// The communicator of devices: how it starts beside one of hosts, what is put on its stream, and
// how an error of one rank ends all, wherever they wait.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "comm_device_parts.h"
#include "facet/clock.h"

static const double call_limit_s = 120; // for what is not the start

// ---- while something goes on

static void abort_link(fct_comm_device *d)
{
    if (!d->is_aborted && d->link)
        d->ops->abort(d->link);
    d->is_aborted = 1;
}

fct_status fct_device_broke(fct_comm_device *d, fct_status status)
{
    if (status == FCT_OK)
        return FCT_OK;
    fct_comm_cancel(d->c, status); // first: it keeps the text
    abort_link(d);
    return fct_comm_check(d->c);
}

static fct_status poll_hosts(fct_comm *c)
{
    return c->ops == &fct_comm_mpi_kind ? fct_mpi_poll((fct_comm_mpi *)c) : fct_comm_check(c);
}

// For the hosts' communicator: an error of the device ends its waits too, and where it breaks the
// device's collectives end before somebody frees memory, which waits for them.
static fct_status watch(void *ctx)
{
    fct_comm_device *d = ctx;
    fct_status status = fct_comm_check(d->c);
    if (status == FCT_OK)
        return fct_device_broke(d, d->ops->check(d->link));
    abort_link(d);
    return status;
}

static fct_status look(fct_comm_device *d)
{
    fct_status status = poll_hosts(d->c);
    if (status == FCT_OK)
        status = d->ops->check(d->link);
    return fct_device_broke(d, status);
}

static void let_go(unsigned turns)
{
    struct timespec nap = { .tv_nsec = 100000 };
    if (turns < 1000)
        sched_yield();
    else
        nanosleep(&nap, NULL);
}

static fct_status too_late(const fct_comm_device *d, const char *what)
{
    return FCT_FAIL(FCT_E_COMM,
                    "%s: NCCL did not come to an end within %.0f s\na rank that hangs, or a "
                    "network that NCCL cannot use: NCCL_DEBUG=INFO tells what it tries, "
                    "NCCL_SOCKET_IFNAME and NCCL_IB_HCA name what it shall use, and a firewall "
                    "must let any port through between the hosts",
                    what, d->limit_s);
}

// Until the link's last call is through. The main thread does not stand still meanwhile: it waits.
static fct_status settle(fct_comm_device *d, fct_status status, const char *what)
{
    double start = 0;
    int is_up = 0;
    if (status == FCT_OK)
        status = d->ops->is_up(d->link, &is_up);
    for (unsigned turns = 0; status == FCT_OK && !is_up; turns++) {
        if (turns == 0) {
            start = fct_clock_s();
            fct_marks_wait(&d->c->marks);
        }
        let_go(turns);
        FCT_TRY(look(d));
        status = d->ops->is_up(d->link, &is_up);
        if (status == FCT_OK && !is_up && fct_clock_s() - start > d->limit_s)
            status = too_late(d, what);
    }
    if (start > 0)
        fct_marks_waited(&d->c->marks, fct_clock_s() - start);
    return fct_device_broke(d, status);
}

fct_status fct_comm_device_idle(void *ctx)
{
    fct_comm_device *d = ctx;
    fct_comm *c = d->c;
    FCT_TRY(look(d));
    if (c->ops != &fct_comm_mpi_kind || c->size == 1)
        return FCT_OK; // then the watchdog takes a device that hangs for a host that does
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    uint64_t moves = atomic_load_explicit(&c->marks.moves, memory_order_relaxed);
    if (moves != d->moves) {
        d->wait = (fct_wait){ 0 };
        d->moves = moves;
        fct_mpi_wait_begin(m, &d->wait);
    }
    if (d->wait.turns++ % 256 != 255)
        return FCT_OK;
    return fct_device_broke(d, fct_mpi_wait_check(m, &d->wait, "the devices' work"));
}

// ---- what is put on the streams

static fct_status is_usable(fct_comm_device *d)
{
    FCT_TRY(fct_comm_check(d->c));
    return look(d);
}

fct_status fct_device_enter(fct_comm_device *d)
{
    FCT_TRY(is_usable(d));
    return fct_device_broke(d, d->ops->order(d->link, d->compute, d->comm));
}

fct_status fct_device_exit(fct_comm_device *d)
{
    return fct_device_broke(d, d->ops->order(d->link, d->comm, d->compute));
}

fct_status fct_device_reduce(fct_comm_device *d, void *values, size_t n, fct_on_device type,
                             fct_reduce how)
{
    return settle(d, d->ops->all_reduce(d->link, values, n, type, how, d->comm), "an all-reduce");
}

fct_status fct_comm_device_all_reduce(fct_comm_device *d, void *values, size_t n,
                                      fct_on_device type, fct_reduce how)
{
    FCT_TRY(fct_device_enter(d));
    FCT_TRY(fct_device_reduce(d, values, n, type, how));
    return fct_device_exit(d);
}

fct_status fct_comm_device_all_gather(fct_comm_device *d, const void *mine, size_t bytes, void *out)
{
    FCT_TRY(fct_device_enter(d));
    FCT_TRY(settle(d, d->ops->all_gather(d->link, mine, bytes, out, d->comm), "an all-gather"));
    return fct_device_exit(d);
}

fct_status fct_comm_device_reduce_scatter_f32(fct_comm_device *d, const float *values,
                                              size_t floats, float *out)
{
    FCT_TRY(fct_device_enter(d));
    FCT_TRY(settle(d, d->ops->reduce_scatter(d->link, values, floats, out, d->comm),
                   "a reduce-scatter"));
    return fct_device_exit(d);
}

// ---- start and end

typedef struct { // what ranks tell of their device
    int rank;
    char host[256], uuid[64], version[32];
} device_card;

static fct_status compare(const device_card *card, int n)
{
    for (int b = 1; b < n; b++) {
        if (strcmp(card[b].version, card[0].version) != 0)
            return FCT_FAIL(FCT_E_ARG,
                            "rank 0 on %s has NCCL %s, rank %d on %s has %s\nall hosts need the "
                            "same",
                            card[0].host, card[0].version, card[b].rank, card[b].host,
                            card[b].version);
        for (int a = 0; a < b; a++)
            if (!strcmp(card[a].uuid, card[b].uuid) && !strcmp(card[a].host, card[b].host))
                return FCT_FAIL(FCT_E_ARG,
                                "ranks %d and %d on %s have the same GPU, %s\nstart one rank a "
                                "GPU, or let ranks share it with cluster.transport=mpi",
                                card[a].rank, card[b].rank, card[a].host, card[a].uuid);
    }
    return FCT_OK;
}

// Collective.
static fct_status check_devices(fct_comm *c, const fct_comm_device_spec *spec)
{
    device_card mine = { .rank = c->rank };
    void *all = NULL;
    size_t bytes;
    snprintf(mine.host, sizeof mine.host, "%s", c->host);
    snprintf(mine.uuid, sizeof mine.uuid, "%s", spec->uuid);
    snprintf(mine.version, sizeof mine.version, "%s", spec->ops->version());
    FCT_TRY(fct_comm_gather(c, &mine, sizeof mine, &all, &bytes));
    fct_status status = all ? compare(all, c->size) : FCT_OK;
    free(all);
    return fct_comm_agree(c, status, "GPUs");
}

// Collective.
static fct_status join(fct_comm_device *d, const fct_comm_device_spec *spec)
{
    fct_comm *c = d->c;
    char id[FCT_DEVICE_ID_BYTES] = { 0 };
    fct_status status = c->rank == 0 ? d->ops->get_id(id) : FCT_OK;
    FCT_TRY(fct_comm_agree(c, status, "the start of NCCL"));
    FCT_TRY(fct_comm_broadcast(c, id, sizeof id, 0));
    fct_marks_enter(&c->marks, "start of NCCL");
    status = d->ops->join(id, c->rank, c->size, spec->device, &d->link);
    d->limit_s = spec->limit_s;
    FCT_TRY(settle(d, status, "the start of NCCL"));
    d->limit_s = spec->limit_s > call_limit_s ? spec->limit_s : call_limit_s;
    return fct_comm_agree(c, FCT_OK, "the start of NCCL");
}

fct_status fct_comm_device_create(fct_comm *c, const fct_comm_device_spec *spec,
                                  fct_comm_device **out)
{
    FCT_TRY(fct_comm_check(c));
    fct_comm_device *d = calloc(1, sizeof *d);
    fct_status status = d ? FCT_OK : FCT_FAIL_NOMEM(sizeof *d, "a communicator of GPUs");
    FCT_TRY_GOTO(fct_comm_agree(c, status, "GPUs"), status, failed);
    *d =
        (fct_comm_device){ .c = c, .ops = spec->ops, .compute = spec->compute, .comm = spec->comm };
    FCT_TRY_GOTO(check_devices(c, spec), status, failed);
    FCT_TRY_GOTO(join(d, spec), status, failed);
    c->watch = watch;
    c->watched = d;
    *out = d;
    return FCT_OK;
failed:
    fct_comm_device_destroy(d);
    return status;
}

void fct_comm_device_destroy(fct_comm_device *d)
{
    if (!d)
        return;
    if (fct_comm_is_cancelled(d->c))
        abort_link(d);
    if (d->c->watched == d)
        d->c->watch = NULL;
    if (d->link)
        d->ops->leave(d->link);
    free(d);
}

// ---- which device

fct_status fct_device_choose(fct_comm *c, int seen, int may_share, int *out)
{
    fct_status status = FCT_OK;
    int here = c->local_size;
    if (seen < 1)
        status = FCT_FAIL(FCT_E_ARG, "this process sees no GPU\nnvidia-smi -L lists the host's; "
                                     "CUDA_VISIBLE_DEVICES and the job's --gpus-per-node pick");
    else if (seen > 1 && here > seen && !may_share)
        status = FCT_FAIL(FCT_E_ARG,
                          "%d ranks on %s but %d GPUs\nstart %d there, or let ranks share GPUs "
                          "with cluster.transport=mpi",
                          here, c->host, seen, seen);
    FCT_TRY(fct_comm_agree(c, status, "GPUs"));
    *out = seen == 1 ? 0 : c->local_rank % seen;
    return FCT_OK;
}
