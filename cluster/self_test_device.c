// SPDX-License-Identifier: Apache-2.0
// Times the all-reduce between the devices at the start, by the clock of the host around many in a
// row: growing ones, as long as they are quick, and the smallest.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm_device_parts.h"
#include "facet/clock.h"
#include "facet/device.h"
#include "facet/log.h"
#include "self_test_parts.h"

enum { LEAST_BYTES = 1 << 20, MOST_BYTES = 64 << 20, TRIES = 3, IN_A_ROW = 4, SMALL_IN_A_ROW = 16 };
static const double enough_s = 0.005; // what is this slow is not made larger

typedef struct {
    fct_comm_device *d;
    fct_backend *b;
    void *memory; // MOST_BYTES
} device_test;

// Seconds of one all-reduce, the best of a few tries, the same on all ranks: all begin together.
static fct_status measure(device_test *t, size_t floats, int in_a_row, double *out)
{
    double best = 1e9;
    for (int i = 0; i <= TRIES; i++) { // the first only makes connections
        FCT_TRY(fct_comm_barrier(t->d->c));
        const double start = fct_clock_s();
        for (int k = 0; k < in_a_row; k++)
            FCT_TRY(fct_device_reduce(t->d, t->memory, floats, FCT_ON_DEVICE_F32, FCT_SUM));
        FCT_TRY(t->b->ops->device->wait(t->b, FCT_STREAM_COMM));
        if (i > 0)
            best = fmin(best, (fct_clock_s() - start) / in_a_row);
        if (i == 0 && fct_clock_s() - start > 1)
            in_a_row = 1;
    }
    FCT_TRY(fct_comm_reduce_f64(t->d->c, &best, 1, FCT_MAX));
    *out = best;
    return FCT_OK;
}

static fct_status measure_all(device_test *t, fct_device_speed *out)
{
    const double n = t->d->c->size;
    double s = 0;
    for (out->bytes = LEAST_BYTES;; out->bytes *= 8) {
        FCT_TRY(measure(t, out->bytes / sizeof(float), IN_A_ROW, &s));
        if (s > enough_s || out->bytes >= MOST_BYTES)
            break;
    }
    out->bus_bps = 2 * (n - 1) / n * (double)out->bytes / s; // what passes each rank's link
    out->ranks = t->d->c->size;
    return measure(t, 1, SMALL_IN_A_ROW, &out->latency_s);
}

static void read_node(const fct_comm *c, fct_device_node *out)
{
    snprintf(out->host, sizeof out->host, "%.*s", (int)sizeof out->host - 1, c->host);
    out->ranks = c->local_size;
    out->has_switch = access("/dev/nvidia-nvswitch0", F_OK) == 0;
    fct_adapters_read("/sys", out);
}

static void tell(const fct_device_node *node, int n, const fct_device_speed *speed,
                 const char *version)
{
    fct_text line = { 0 }, warnings = { 0 };
    char *rest = NULL;
    fct_device_line(node, n, speed, version, &line);
    fct_device_warnings(node, n, speed, &warnings);
    FCT_INFO("%s", line.data ? line.data : "");
    char *one = warnings.data ? strtok_r(warnings.data, "\n", &rest) : NULL;
    for (; one; one = strtok_r(NULL, "\n", &rest))
        FCT_WARN("GPUs: %s", one);
    fct_text_release(&line);
    fct_text_release(&warnings);
}

fct_status fct_device_self_test(fct_comm_device *d, struct fct_backend *b)
{
    fct_comm *c = d->c;
    device_test t = { .d = d, .b = b };
    fct_device_speed speed = { 0 };
    fct_device_node mine = { .ranks = 0 };
    void *all = NULL;
    size_t bytes = 0;
    if (c->size == 1)
        return FCT_OK;
    fct_status status = d->ops->get_memory(d->link, MOST_BYTES, &t.memory);
    FCT_TRY(fct_comm_agree(c, status, "the GPUs' self-test"));
    status = measure_all(&t, &speed);
    if (status == FCT_OK) {
        read_node(c, &mine);
        status = fct_comm_gather(c, &mine, c->local_rank == 0 ? sizeof mine : 0, &all, &bytes);
    }
    if (status == FCT_OK && all)
        tell(all, (int)(bytes / sizeof mine), &speed, d->ops->version());
    free(all);
    d->ops->put_memory(d->link, t.memory);
    return fct_device_broke(d, status);
}
