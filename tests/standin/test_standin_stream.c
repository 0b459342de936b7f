// SPDX-License-Identifier: Apache-2.0
// Streams keep their order and what events say, and nothing more: what was not ordered goes wrong.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standin_kit.h"

enum { N = 4, TRIES = 40 };

static int *on_device, *pinned;

static int set_up(void **state)
{
    (void)state;
    on_device = fct_kit_on_device(NULL, N * sizeof *on_device);
    assert_cuda(cudaMallocHost((void **)&pinned, N * sizeof *pinned));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_cuda(cudaFree(on_device));
    assert_cuda(cudaFreeHost(pinned));
    return 0;
}

static void test_nothing_runs_before_the_host_waits(void **state)
{
    cudaStream_t s = fct_kit_stream();
    (void)state;
    pinned[0] = 1;
    assert_cuda(cudaMemcpyAsync(on_device, pinned, sizeof *pinned, cudaMemcpyHostToDevice, s));
    pinned[0] = 2; // too early
    assert_cuda(cudaStreamSynchronize(s));
    int found = 0;
    assert_cuda(cudaMemcpy(&found, on_device, sizeof found, cudaMemcpyDeviceToHost));
    assert_int_equal(found, 2);
    assert_cuda(cudaStreamDestroy(s));
}

static void test_pageable_memory_is_read_at_once(void **state)
{
    cudaStream_t s = fct_kit_stream();
    int value = 5, found = 0;
    (void)state;
    assert_cuda(cudaMemcpyAsync(on_device, &value, sizeof value, cudaMemcpyHostToDevice, s));
    value = 6;
    assert_cuda(cudaMemcpyAsync(&found, on_device, sizeof found, cudaMemcpyDeviceToHost, s));
    assert_int_equal(found, 5);
    assert_cuda(cudaStreamDestroy(s));
}

// One stream sets, another copies to the host; returns how often the copy came too early.
static int early_copies(int use_event)
{
    cudaStream_t first = fct_kit_stream(), then = fct_kit_stream();
    cudaEvent_t e = fct_kit_event();
    int early = 0;
    for (int i = 0; i < TRIES; i++) {
        assert_cuda(cudaMemset(on_device, 0, sizeof *on_device));
        assert_cuda(cudaDeviceSynchronize());
        assert_cuda(cudaMemsetAsync(on_device, 0x11, sizeof *on_device, first));
        if (use_event) {
            assert_cuda(cudaEventRecord(e, first));
            assert_cuda(cudaStreamWaitEvent(then, e, 0));
        }
        assert_cuda(
            cudaMemcpyAsync(pinned, on_device, sizeof *pinned, cudaMemcpyDeviceToHost, then));
        assert_cuda(cudaStreamSynchronize(then));
        early += pinned[0] != 0x11111111;
    }
    assert_cuda(cudaEventDestroy(e));
    assert_cuda(cudaStreamDestroy(first));
    assert_cuda(cudaStreamDestroy(then));
    return early;
}

static void test_an_event_orders_streams(void **state)
{
    (void)state;
    assert_int_equal(early_copies(1), 0);
}

static void test_a_missing_order_shows(void **state)
{
    (void)state;
    const int early = early_copies(0);
    assert_true(early > 0 && early < TRIES); // by lot
}

static void test_the_default_stream_waits_for_those_that_block(void **state)
{
    cudaStream_t blocking;
    (void)state;
    assert_cuda(cudaStreamCreate(&blocking));
    assert_cuda(cudaMemsetAsync(on_device, 0x22, sizeof *on_device, blocking));
    int found = 0;
    assert_cuda(cudaMemcpy(&found, on_device, sizeof found, cudaMemcpyDeviceToHost));
    assert_int_equal(found, 0x22222222);
    assert_cuda(cudaStreamDestroy(blocking));
}

static void test_asking_comes_to_an_end(void **state)
{
    cudaStream_t s = fct_kit_stream();
    cudaEvent_t from, to;
    float ms = -1;
    int asked = 0;
    (void)state;
    assert_cuda(cudaEventCreate(&from));
    assert_cuda(cudaEventCreate(&to));
    assert_cuda(cudaEventRecord(from, s));
    for (int i = 0; i < 200; i++)
        assert_cuda(cudaMemsetAsync(on_device, i, sizeof *on_device, s));
    assert_cuda(cudaEventRecord(to, s));
    assert_int_equal(cudaEventElapsedTime(&ms, from, to), cudaErrorNotReady);
    for (cudaError_t e; (e = cudaEventQuery(to)) != cudaSuccess; asked++)
        assert_int_equal(e, cudaErrorNotReady);
    assert_true(asked >= 3);
    assert_int_equal(cudaGetLastError(), cudaErrorNotReady); // as CUDA keeps it
    assert_cuda(cudaEventElapsedTime(&ms, from, to));
    assert_true(ms >= 0);
    assert_cuda(cudaEventDestroy(from));
    assert_cuda(cudaEventDestroy(to));
    assert_cuda(cudaStreamDestroy(s));
}

static int count_down(void *arg)
{
    int *left = arg;
    return --*left <= 0;
}

static void test_work_that_is_not_yet_done_is_asked_again(void **state)
{
    cudaStream_t s = fct_kit_stream(), other = fct_kit_stream();
    int left = 5;
    (void)state;
    assert_cuda(fct_standin_put(s, count_down, &left, NULL));
    assert_cuda(cudaMemsetAsync(on_device, 0x33, sizeof *on_device, other));
    assert_cuda(cudaStreamSynchronize(s));
    assert_int_equal(left, 0);
    assert_cuda(cudaStreamDestroy(s));
    assert_cuda(cudaStreamDestroy(other));
}

static void test_copies_want_what_they_say(void **state)
{
    int value = 0;
    (void)state;
    assert_int_equal(cudaMemcpy(&value, &value, sizeof value, cudaMemcpyHostToDevice),
                     cudaErrorInvalidValue);
    assert_int_equal(
        cudaMemcpy(on_device, on_device, (N + 1) * sizeof value, cudaMemcpyDeviceToDevice),
        cudaErrorInvalidValue);
    assert_int_equal(cudaFree(on_device + 1), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(&value), cudaErrorInvalidValue);
}

static void test_fresh_memory_is_no_number(void **state)
{
    unsigned char found[7];
    size_t left, total, left_now;
    (void)state;
    assert_cuda(cudaMemGetInfo(&left, &total));
    void *at = fct_kit_on_device(NULL, sizeof found);
    assert_cuda(cudaMemGetInfo(&left_now, &total));
    assert_int_equal(left - left_now, sizeof found);
    fct_kit_to_host(found, at, sizeof found);
    for (size_t i = 0; i < sizeof found; i++)
        assert_int_equal(found[i], 0xff);
    assert_int_equal(cudaMalloc(&at, total), cudaErrorMemoryAllocation);
}

// In a process of its own, which it ends. AddressSanitizer says more, and ends it as well.
static void test_the_host_cannot_touch_device_memory(void **state)
{
    int status;
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        volatile int *at = on_device;
        signal(SIGSEGV, SIG_DFL); // not cmocka's
        *at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_runs_before_the_host_waits),
        cmocka_unit_test(test_pageable_memory_is_read_at_once),
        cmocka_unit_test(test_an_event_orders_streams),
        cmocka_unit_test(test_a_missing_order_shows),
        cmocka_unit_test(test_the_default_stream_waits_for_those_that_block),
        cmocka_unit_test(test_asking_comes_to_an_end),
        cmocka_unit_test(test_work_that_is_not_yet_done_is_asked_again),
        cmocka_unit_test(test_copies_want_what_they_say),
        cmocka_unit_test(test_fresh_memory_is_no_number),
        cmocka_unit_test(test_the_host_cannot_touch_device_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
