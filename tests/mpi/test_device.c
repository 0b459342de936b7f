// SPDX-License-Identifier: Apache-2.0
// Collectives between devices: sums in buckets, recorded and not, against sums of the host.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "device_kit.h"

static float gradient(int rank, size_t i, int step)
{
    uint32_t h = (uint32_t)(i * 2654435761u) ^ (uint32_t)(rank * 40503 + step * 977);
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (float)((int32_t)h / 2147483648.0);
}

static void fill(device_kit *k, size_t n, int step)
{
    for (size_t i = 0; i < n; i++)
        k->host[i] = gradient(fct_comm_rank(k->c), i, step);
}

static double worst_error(const device_kit *k, size_t n, int step)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double want = 0;
        for (int r = 0; r < fct_comm_size(k->c); r++)
            want += gradient(r, i, step);
        worst = fmax(worst, fabs(k->host[i] - want));
    }
    return worst;
}

static uint64_t bits_of(const float *v, size_t n)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, v + i, sizeof word);
        hash = (hash ^ word) * 1099511628211u;
    }
    return hash;
}

typedef struct {
    fct_buckets *b;
    fct_slice source, gradients, result;
    size_t n;
} sums;

static void make_sums(device_kit *k, size_t n, int cuts, int is_bf16, sums *s)
{
    size_t cut[8];
    *s = (sums){ .n = n };
    s->source = device_kit_alloc(k, n);
    s->gradients = device_kit_alloc(k, n);
    s->result = device_kit_alloc(k, n);
    for (int i = 0; i < cuts; i++)
        cut[i] = n * 4 * (size_t)(i + 1) / (size_t)(cuts + 1) / 64 * 64;
    fct_device_buckets_spec spec = { .gradients = device_kit_at(k, s->gradients),
                                     .bytes = n * 4,
                                     .cut = cut,
                                     .cuts = cuts,
                                     .is_bf16 = is_bf16 };
    CLAIM(k->c, fct_device_buckets_create(k->comm, &spec, &s->b) == FCT_OK);
    CLAIM(k->c, fct_buckets_memory(s->b) == NULL);
}

static void free_sums(device_kit *k, sums *s)
{
    fct_buckets_destroy(s->b);
    k->b->ops->release(k->b, s->source.buffer);
    k->b->ops->release(k->b, s->gradients.buffer);
    k->b->ops->release(k->b, s->result.buffer);
}

// What a step puts on the streams: gradients appear from the end down, in pieces, their buckets are
// summed, then somebody reads them.
static fct_status put_step(device_kit *k, sums *s, int pieces)
{
    const size_t bytes = s->n * 4;
    size_t high = bytes;
    for (int i = pieces - 1; i >= 0; i--) {
        const size_t low = bytes * (size_t)i / (size_t)pieces / 64 * 64;
        fct_slice to = s->gradients, from = s->source;
        to.offset = from.offset = low;
        FCT_TRY(k->d->copy(k->b, to, from, high - low, FCT_STREAM_COMPUTE));
        if (i > 0) // the last piece is told by nobody but the wait
            FCT_TRY(fct_buckets_ready(s->b, low, high));
        high = low;
    }
    FCT_TRY(fct_buckets_wait(s->b));
    return k->d->copy(k->b, s->result, s->gradients, bytes, FCT_STREAM_COMPUTE);
}

static void check_step(device_kit *k, sums *s, int step, double bound)
{
    CLAIM(k->c, device_kit_read(k, s->result, s->n) == FCT_OK);
    CLAIM(k->c, worst_error(k, s->n, step) <= bound);
    CLAIM(k->c, fct_comm_same(k->c, bits_of(k->host, s->n), "gradients") == FCT_OK);
}

// bfloat16 keeps 8 bits: each rank's gradient, below 1, and the sum are rounded once.
static double bound_of(const device_kit *k, int is_bf16)
{
    const int n = fct_comm_size(k->c);
    return is_bf16 && n > 1 ? (n + n) * ldexp(1, -8) : n * 1e-6;
}

static void test_sums(device_kit *k, size_t n, int cuts, int pieces, int is_bf16)
{
    sums s;
    make_sums(k, n, cuts, is_bf16, &s);
    for (int step = 0; step < 3; step++) {
        fill(k, n, step);
        CLAIM(k->c, device_kit_write(k, s.source, n) == FCT_OK);
        CLAIM(k->c, put_step(k, &s, pieces) == FCT_OK);
        check_step(k, &s, step, bound_of(k, is_bf16));
    }
    if (is_bf16 && fct_comm_size(k->c) > 1) // else it went as float32
        CLAIM(k->c, n < 100 || worst_error(k, n, 2) > 1e-4);
    free_sums(k, &s);
}

static void test_recorded(device_kit *k, size_t n, int is_bf16)
{
    sums s;
    fct_recording *step = NULL;
    make_sums(k, n, 4, is_bf16, &s);
    fill(k, n, 0);
    CLAIM(k->c, device_kit_write(k, s.source, n) == FCT_OK);
    CLAIM(k->c, put_step(k, &s, 9) == FCT_OK); // once as it is
    check_step(k, &s, 0, bound_of(k, is_bf16));
    CLAIM(k->c, k->d->record_begin(k->b) == FCT_OK);
    CLAIM(k->c, put_step(k, &s, 9) == FCT_OK);
    CLAIM(k->c, k->d->record_end(k->b, &step) == FCT_OK);
    for (int i = 1; i < 5 && step; i++) {
        fill(k, n, i);
        CLAIM(k->c, device_kit_write(k, s.source, n) == FCT_OK);
        CLAIM(k->c, k->d->replay(k->b, step) == FCT_OK);
        check_step(k, &s, i, bound_of(k, is_bf16));
    }
    fill(k, n, 7); // and unrecorded again
    CLAIM(k->c, device_kit_write(k, s.source, n) == FCT_OK);
    CLAIM(k->c, put_step(k, &s, 3) == FCT_OK);
    check_step(k, &s, 7, bound_of(k, is_bf16));
    k->d->recording_destroy(step);
    free_sums(k, &s);
}

static void test_all_gather(device_kit *k)
{
    enum { N = 1001 };
    int ranks = fct_comm_size(k->c), wrong = 0;
    fct_slice mine = device_kit_alloc(k, N), all = device_kit_alloc(k, N * (size_t)ranks);
    fill(k, N, 11);
    CLAIM(k->c, device_kit_write(k, mine, N) == FCT_OK);
    CLAIM(k->c, fct_comm_device_all_gather(k->comm, device_kit_at(k, mine), N * 4,
                                           device_kit_at(k, all)) == FCT_OK);
    CLAIM(k->c, device_kit_read(k, all, N * (size_t)ranks) == FCT_OK);
    for (int r = 0; r < ranks; r++)
        for (size_t i = 0; i < N; i++)
            wrong += k->host[(size_t)r * N + i] != gradient(r, i, 11);
    CLAIM(k->c, wrong == 0);
    k->b->ops->release(k->b, mine.buffer);
    k->b->ops->release(k->b, all.buffer);
}

static void test_reduce_scatter(device_kit *k)
{
    enum { N = 777 };
    int ranks = fct_comm_size(k->c), rank = fct_comm_rank(k->c);
    double worst = 0;
    fct_slice all = device_kit_alloc(k, N * (size_t)ranks), mine = device_kit_alloc(k, N);
    fill(k, N * (size_t)ranks, 12);
    CLAIM(k->c, device_kit_write(k, all, N * (size_t)ranks) == FCT_OK);
    CLAIM(k->c, fct_comm_device_reduce_scatter_f32(k->comm, device_kit_at(k, all), N,
                                                   device_kit_at(k, mine)) == FCT_OK);
    CLAIM(k->c, device_kit_read(k, mine, N) == FCT_OK);
    for (size_t i = 0; i < N; i++) {
        double want = 0;
        for (int r = 0; r < ranks; r++)
            want += gradient(r, (size_t)rank * N + i, 12);
        worst = fmax(worst, fabs(k->host[i] - want));
    }
    CLAIM(k->c, worst < 1e-6 * ranks);
    k->b->ops->release(k->b, mine.buffer);
    k->b->ops->release(k->b, all.buffer);
}

static void test_largest_and_least(device_kit *k)
{
    int rank = fct_comm_rank(k->c), ranks = fct_comm_size(k->c);
    fct_slice v = device_kit_alloc(k, 2);
    double *host = (double *)(void *)k->host;
    *host = rank + 0.5;
    CLAIM(k->c, device_kit_write(k, v, 2) == FCT_OK);
    CLAIM(k->c, fct_comm_device_all_reduce(k->comm, device_kit_at(k, v), 1, FCT_ON_DEVICE_F64,
                                           FCT_MAX) == FCT_OK);
    CLAIM(k->c, device_kit_read(k, v, 2) == FCT_OK && *host == ranks - 0.5);
    *host = -rank;
    CLAIM(k->c, device_kit_write(k, v, 2) == FCT_OK);
    CLAIM(k->c, fct_comm_device_all_reduce(k->comm, device_kit_at(k, v), 1, FCT_ON_DEVICE_F64,
                                           FCT_MIN) == FCT_OK);
    CLAIM(k->c, device_kit_read(k, v, 2) == FCT_OK && *host == 1 - ranks);
    k->b->ops->release(k->b, v.buffer);
}

static void test_bad_cuts(device_kit *k)
{
    fct_buckets *b;
    fct_slice v = device_kit_alloc(k, 1000);
    size_t cut[] = { 128, 64 };
    fct_device_buckets_spec spec = {
        .gradients = device_kit_at(k, v), .bytes = 4000, .cut = cut, .cuts = 2
    };
    CLAIM(k->c, fct_device_buckets_create(k->comm, &spec, &b) == FCT_E_ARG);
    CLAIM(k->c, strstr(fct_fail_text(), "a cut at byte 64 after one at 128") != NULL);
    cut[1] = fct_comm_rank(k->c) == 0 ? 256 : 512;
    CLAIM(k->c,
          fct_device_buckets_create(k->comm, &spec, &b) == FCT_E_ARG || fct_comm_size(k->c) == 1);
    if (fct_comm_size(k->c) > 1)
        CLAIM(k->c, strstr(fct_fail_text(), "the cut of the gradients differs") != NULL);
    else
        fct_buckets_destroy(b);
    k->b->ops->release(k->b, v.buffer);
}

static void test_choice(fct_comm *c)
{
    int device = -1, ranks = fct_comm_local_size(c);
    CLAIM(c, fct_device_choose(c, ranks + 1, 0, &device) == FCT_OK);
    CLAIM(c, device == fct_comm_local_rank(c));
    CLAIM(c, fct_device_choose(c, 1, 0, &device) == FCT_OK && device == 0);
    CLAIM(c, fct_device_choose(c, 0, 1, &device) == FCT_E_ARG);
    CLAIM(c, strstr(fct_fail_text(), "sees no GPU") != NULL);
    if (ranks < 3)
        return;
    CLAIM(c, fct_device_choose(c, 2, 0, &device) == FCT_E_ARG);
    CLAIM(c, strstr(fct_fail_text(), "but 2 GPUs\nstart 2 there") != NULL);
    CLAIM(c, fct_device_choose(c, 2, 1, &device) == FCT_OK);
    CLAIM(c, device == fct_comm_local_rank(c) % 2);
}

int main(void)
{
    fct_comm *c;
    device_kit k;
    if (fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    test_choice(c);
    if (!CLAIM(c, device_kit_open(c, &k) == FCT_OK) || !CLAIM(c, device_kit_join(&k) == FCT_OK))
        return 2;
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        test_sums(&k, 16, 0, 1, is_bf16);
        test_sums(&k, 70001, 4, 1, is_bf16);
        test_sums(&k, 70001, 0, 7, is_bf16);
        test_sums(&k, 70001, 4, 13, is_bf16);
        test_recorded(&k, 30001, is_bf16);
    }
    test_all_gather(&k);
    test_reduce_scatter(&k);
    test_largest_and_least(&k);
    test_bad_cuts(&k);
    CLAIM(c, fct_device_self_test(k.comm, k.b) == FCT_OK);
    device_kit_close(&k);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
