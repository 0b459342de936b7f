// SPDX-License-Identifier: Apache-2.0
// What ends collectives between devices ends them on all ranks, soon, and with the reason: calls
// that differ, errors in the background, ranks that cancel or never come. One case a process.
// usage: test_device_broken CASE
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "device_kit.h"
#include "facet/clock.h"
#include "facet/watchdog.h"

enum { N = 1000 };

static fct_status reduce(device_kit *k, fct_slice v, size_t n)
{
    FCT_TRY(
        fct_comm_device_all_reduce(k->comm, device_kit_at(k, v), n, FCT_ON_DEVICE_F32, FCT_SUM));
    return k->d->wait(k->b, FCT_STREAM_COMPUTE);
}

static int says(const char *words)
{
    return strstr(fct_fail_text(), words) != NULL;
}

// Of a call with other arguments every rank learns, with both named.
static void test_mismatch(device_kit *k, fct_slice v)
{
    const size_t n = fct_comm_rank(k->c) == 1 ? N - 1 : N;
    CLAIM_HERE(reduce(k, v, n) != FCT_OK);
    CLAIM_HERE(says("all-reduce of 1000 float32, sum on rank 0"));
    CLAIM_HERE(says("all-reduce of 999 float32, sum (its collective 1) on rank 1"));
}

// With FACET_STANDIN_NCCL=error:3:rank1: one rank's error in the background ends the others' wait.
static void test_error(device_kit *k, fct_slice v)
{
    CLAIM(k->c, reduce(k, v, N) == FCT_OK);
    CLAIM(k->c, reduce(k, v, N) == FCT_OK); // all are past it before the third fails
    const fct_status status = reduce(k, v, N);
    CLAIM_HERE(status == (fct_comm_rank(k->c) == 1 ? FCT_E_COMM : FCT_E_PEER));
    CLAIM_HERE(says("rank 1 on ") && says("remote process exited or there was a network error"));
    CLAIM_HERE(reduce(k, v, N) != FCT_OK); // and from now on
}

// The same in a wait between the hosts, while the device's work is under way.
static void test_error_elsewhere(device_kit *k, fct_slice v)
{
    CLAIM(k->c, reduce(k, v, N) == FCT_OK);
    CLAIM(k->c, reduce(k, v, N) == FCT_OK); // all are past it before the third fails
    CLAIM_HERE(fct_comm_device_all_reduce(k->comm, device_kit_at(k, v), N, FCT_ON_DEVICE_F32,
                                          FCT_SUM) == FCT_OK);
    if (fct_comm_rank(k->c) == 0)
        CLAIM_HERE(k->d->wait(k->b, FCT_STREAM_COMPUTE) == FCT_E_PEER);
    else
        CLAIM_HERE(fct_comm_barrier(k->c) != FCT_OK);
    CLAIM_HERE(says("remote process exited or there was a network error"));
}

// The last rank breaks while the others wait on the device for it.
static void test_cancel(device_kit *k, fct_slice v)
{
    const int last = fct_comm_size(k->c) - 1;
    if (fct_comm_rank(k->c) == last) {
        fct_clock_sleep_s(0.3);
        fct_comm_cancel(k->c, FCT_FAIL(FCT_E_FORMAT, "shard 3: row 12 is damaged"));
        CLAIM_HERE(reduce(k, v, N) == FCT_E_FORMAT);
    } else
        CLAIM_HERE(reduce(k, v, N) == FCT_E_PEER);
    CLAIM_HERE(says("shard 3: row 12 is damaged"));
}

// With FACET_STANDIN_NCCL=hang:2 and FACET_COMM_LIMIT_S=1.
static void test_hang(device_kit *k, fct_slice v)
{
    CLAIM(k->c, reduce(k, v, N) == FCT_OK);
    CLAIM_HERE(reduce(k, v, N) != FCT_OK);
    CLAIM_HERE(says("the devices' work: the other ranks did not come within"));
}

// A rank whose host hangs while the others wait on their devices for it: the watchdog names that
// one and no other, and ends the process.
static void test_hanging_host(device_kit *k, fct_slice v)
{
    fct_watchdog *w;
    fct_watchdog_spec spec = { .limit_s = { [FCT_PHASE_INIT] = 30, [FCT_PHASE_STEP] = 1 },
                               .silence_s = 30 };
    CLAIM(k->c, fct_watchdog_start(k->c, &spec, &w) == FCT_OK);
    fct_watchdog_phase(k->c, FCT_PHASE_STEP, 7);
    CLAIM(k->c, reduce(k, v, N) == FCT_OK);
    fct_watchdog_phase(k->c, FCT_PHASE_STEP, 8);
    if (fct_comm_rank(k->c) == 1) {
        fct_clock_sleep_s(0.5);
        fct_watchdog_tick(k->c); // the others have stood still for longer than this rank
        fct_clock_sleep_s(5);
    }
    CLAIM_HERE(reduce(k, v, N) != FCT_OK); // does not return
    fct_watchdog_stop(w);
}

// A rank that is gone: the launcher ends the others, which wait for it on their devices.
static void test_dead(device_kit *k, fct_slice v)
{
    if (fct_comm_rank(k->c) == 1)
        raise(SIGKILL);
    CLAIM_HERE(reduce(k, v, N) != FCT_OK); // does not return
}

// Recordings that hold collectives are gone before the communicator is left, which is quick then.
static void test_recording(device_kit *k, fct_slice v)
{
    fct_recording *r = NULL;
    CLAIM(k->c, reduce(k, v, N) == FCT_OK);
    CLAIM(k->c, k->d->record_begin(k->b) == FCT_OK);
    CLAIM(k->c, fct_comm_device_all_reduce(k->comm, device_kit_at(k, v), N, FCT_ON_DEVICE_F32,
                                           FCT_SUM) == FCT_OK);
    CLAIM(k->c, k->d->record_end(k->b, &r) == FCT_OK);
    CLAIM(k->c, k->d->replay(k->b, r) == FCT_OK);
    CLAIM(k->c, k->d->wait(k->b, FCT_STREAM_COMPUTE) == FCT_OK);
    k->d->recording_destroy(r);
}

// Rank 1's device fails at the start, or all do: with FACET_STANDIN_NCCL=slow:9 and a limit.
static void test_start(device_kit *k)
{
    k->spec.limit_s = 0.5;
    CLAIM_HERE(device_kit_join(k) != FCT_OK);
    CLAIM_HERE(says("the start of NCCL: NCCL did not come to an end within") &&
               says("NCCL_SOCKET_IFNAME"));
}

static void test_duplicate(device_kit *k)
{
    k->spec.uuid = "GPU-1";
    CLAIM(k->c, device_kit_join(k) == FCT_E_ARG);
    CLAIM(k->c, says("ranks 0 and 1 on ") &&
                    says(" have the same GPU, GPU-1\nstart one rank a "
                         "GPU") &&
                    says("cluster.transport=mpi"));
}

static const struct {
    const char *name;
    void (*run)(device_kit *k, fct_slice v);
    void (*run_unjoined)(device_kit *k);
} cases[] = {
    { "mismatch", test_mismatch, NULL },
    { "error", test_error, NULL },
    { "elsewhere", test_error_elsewhere, NULL },
    { "cancel", test_cancel, NULL },
    { "hang", test_hang, NULL },
    { "recording", test_recording, NULL },
    { "hanging_host", test_hanging_host, NULL },
    { "dead", test_dead, NULL },
    { "start", NULL, test_start },
    { "duplicate", NULL, test_duplicate },
};

int main(int argc, char **argv)
{
    fct_comm *c;
    device_kit k;
    size_t i = 0, n = sizeof cases / sizeof *cases;
    while (argc == 2 && i < n && strcmp(argv[1], cases[i].name) != 0)
        i++;
    if (argc != 2 || i == n || fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    if (!CLAIM(c, device_kit_open(c, &k) == FCT_OK))
        return 2;
    if (cases[i].run && !CLAIM(c, device_kit_join(&k) == FCT_OK))
        return 2;
    fct_slice v = device_kit_alloc(&k, N);
    const double start = fct_clock_s();
    if (cases[i].run)
        cases[i].run(&k, v);
    else
        cases[i].run_unjoined(&k);
    CLAIM_HERE(fct_clock_s() - start < 6);
    k.b->ops->release(k.b, v.buffer);
    device_kit_close(&k);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
