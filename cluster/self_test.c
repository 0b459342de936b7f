// SPDX-License-Identifier: Apache-2.0
// Measures the network between the ranks at the start: small and large messages around a ring of
// the nodes (their first ranks) and around the ranks of each node.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm_mpi.h"
#include "facet/clock.h"
#include "facet/log.h"
#include "facet/self_test.h"
#include "self_test_parts.h"

enum { TEST_TAG = 19, TEST_BYTES = 4 << 20, PINGS = 16, PULLS = 3 };
static const double enough_s = 0.3; // a slow network is not measured twice

// A ring of ranks, and the memory that messages lie in.
typedef struct {
    fct_comm_mpi *m;
    MPI_Comm comm;
    char *sent, *taken;
    double latency_s, bps;
} test_ring;

// Sends to the neighbour on one side and takes from the one on the other; *taken_s: when that had
// come.
static fct_status pass_on(test_ring *r, int bytes, int is_back, double *taken_s)
{
    int rank, size;
    MPI_Request send = MPI_REQUEST_NULL, take = MPI_REQUEST_NULL;
    MPI_Comm_rank(r->comm, &rank);
    MPI_Comm_size(r->comm, &size);
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    double start = fct_clock_s();
    FCT_TRY(fct_mpi_check(
        MPI_Irecv(r->taken, bytes, MPI_BYTE, is_back ? next : previous, TEST_TAG, r->comm, &take),
        "MPI_Irecv"));
    FCT_TRY(fct_mpi_check(
        MPI_Isend(r->sent, bytes, MPI_BYTE, is_back ? previous : next, TEST_TAG, r->comm, &send),
        "MPI_Isend"));
    FCT_TRY(fct_mpi_wait(r->m, &take, "the network's self-test"));
    *taken_s = fct_clock_s() - start;
    return fct_mpi_wait(r->m, &send, "the network's self-test");
}

// The largest of the ring's values; all leave it at about the same moment.
static fct_status largest(test_ring *r, double *value)
{
    MPI_Request request;
    memcpy(r->sent, value, sizeof *value);
    FCT_TRY(
        fct_mpi_check(MPI_Iallreduce(r->sent, r->taken, 1, MPI_DOUBLE, MPI_MAX, r->comm, &request),
                      "MPI_Iallreduce"));
    FCT_TRY(fct_mpi_wait(r->m, &request, "the network's self-test"));
    memcpy(value, r->taken, sizeof *value);
    return FCT_OK;
}

static fct_status measure_ring(test_ring *r)
{
    double s, spent = 0, best = 1e9;
    FCT_TRY(pass_on(r, TEST_BYTES / 16, 0, &s)); // connections are made
    r->latency_s = 1e9;
    for (int i = 0; i < PINGS; i++) { // to the next and from there back
        double back_s;
        FCT_TRY(pass_on(r, 1, 0, &s));
        FCT_TRY(pass_on(r, 1, 1, &back_s));
        r->latency_s = fmin(r->latency_s, (s + back_s) / 2);
    }
    FCT_TRY(largest(r, &spent)); // all begin together
    for (int i = 0; i < PULLS && spent < enough_s; i++) {
        FCT_TRY(pass_on(r, TEST_BYTES, 0, &s));
        best = fmin(best, s);
        spent += s;
        FCT_TRY(largest(r, &spent));
    }
    r->bps = TEST_BYTES / fmax(best, 1e-9);
    return FCT_OK;
}

// Local rank 0 gets its node's report.
static fct_status measure(fct_comm_mpi *m, char *memory, fct_node_report *out)
{
    const fct_comm *c = &m->base;
    test_ring within = { .m = m, .comm = m->node, .sent = memory, .taken = memory + TEST_BYTES };
    test_ring between = within;
    between.comm = m->lane;
    snprintf(out->host, sizeof out->host, "%.*s", (int)sizeof out->host - 1, c->host);
    out->ranks = c->local_size;
    out->is_crowded = m->is_crowded;
    if (c->local_size > 1) {
        FCT_TRY(measure_ring(&within));
        double slowest = -within.bps;
        FCT_TRY(largest(&within, &slowest));
        out->within_bps = -slowest;
    }
    if (c->local_rank == 0 && m->nodes > 1) {
        FCT_TRY(measure_ring(&between));
        out->before_bps = between.bps;
        out->latency_s = between.latency_s;
        fct_links_read("/sys", &out->links);
    }
    return FCT_OK;
}

static void tell(const fct_node_report *node, int n)
{
    fct_text line = { 0 }, warnings = { 0 };
    char *rest = NULL;
    fct_network_line(node, n, &line);
    fct_network_warnings(node, n, &warnings);
    FCT_INFO("%s", line.data ? line.data : "");
    char *one = warnings.data ? strtok_r(warnings.data, "\n", &rest) : NULL;
    for (; one; one = strtok_r(NULL, "\n", &rest))
        FCT_WARN("network: %s", one);
    fct_text_release(&line);
    fct_text_release(&warnings);
}

fct_status fct_self_test(fct_comm *c)
{
    fct_comm_mpi *m = (fct_comm_mpi *)c;
    fct_node_report mine = { 0 };
    void *all = NULL;
    size_t bytes = 0;
    if (c->ops != &fct_comm_mpi_kind || c->size == 1)
        return FCT_OK;
    char *memory = calloc(2, TEST_BYTES);
    fct_status status =
        memory ? measure(m, memory, &mine) : FCT_FAIL_NOMEM(2 * TEST_BYTES, "the self-test");
    fct_comm_cancel(c, status);
    if (status == FCT_OK)
        status = fct_comm_gather(c, &mine, c->local_rank == 0 ? sizeof mine : 0, &all, &bytes);
    if (status == FCT_OK && all)
        tell(all, (int)(bytes / sizeof mine));
    free(all);
    if (fct_comm_is_cancelled(c))
        fct_mpi_keep(m, memory); // a message may still come
    else
        free(memory);
    return status;
}
