// SPDX-License-Identifier: Apache-2.0
// Kernels on the host do what they would do on a device, and what they do wrong shows.
#include <math.h>

#include "standin_kit.h"
#include "standin_probe.h"

static void test_every_element_has_its_thread(void **state)
{
    enum { N = 1000 };
    float in[N], out[N];
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = (float)i;
    float *from = fct_kit_on_device(in, sizeof in), *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_scale(from, 2, to, N, NULL));
    fct_kit_to_host(out, to, sizeof out);
    cudaFree(from);
    for (int i = 0; i < N; i++)
        assert_true(out[i] == (float)(2 * i));
}

static void check_sums(int threads)
{
    enum { ROWS = 7, MOST = 1024 };
    static float in[ROWS * MOST];
    float out[ROWS];
    for (int i = 0; i < ROWS * threads; i++)
        in[i] = (float)(i % 13);
    float *from = fct_kit_on_device(in, sizeof in), *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_sums(from, to, ROWS, threads, NULL));
    fct_kit_to_host(out, to, sizeof out);
    cudaFree(from);
    for (int row = 0; row < ROWS; row++) {
        float sum = 0;
        for (int i = 0; i < threads; i++)
            sum += in[row * threads + i];
        assert_true(out[row] == sum);
    }
}

static void test_sums_over_a_block(void **state)
{
    (void)state;
    check_sums(1024);
    check_sums(256);
    check_sums(40); // the last warp is not whole
}

static void test_turned_over_in_shared_memory(void **state)
{
    uint16_t in[32][32], out[32][32];
    (void)state;
    for (int i = 0; i < 32 * 32; i++)
        in[i / 32][i % 32] = (uint16_t)(0x3f80 + i % 128 + i / 512);
    void *from = fct_kit_on_device(in, sizeof in), *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_turn(from, to, NULL));
    fct_kit_to_host(out, to, sizeof out);
    cudaFree(from);
    for (int i = 0; i < 32 * 32; i++)
        assert_int_equal(out[i % 32][i / 32], in[i / 32][i % 32]);
}

static void test_warps_exchange(void **state)
{
    int out[32][FCT_PROBE_WARP];
    unsigned thirds = 0;
    (void)state;
    for (int lane = 0; lane < 32; lane += 3)
        thirds |= 1u << lane;
    int *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_warp(to, NULL));
    fct_kit_to_host(out, to, sizeof out);
    for (int lane = 0; lane < 32; lane++) {
        assert_int_equal(out[lane][0], (lane + 5) % 32);
        assert_int_equal(out[lane][1], lane < 3 ? lane : lane - 3);
        assert_int_equal(out[lane][2], lane % 8 >= 6 ? lane : lane + 2);
        assert_int_equal(out[lane][3], lane ^ 3);
        assert_int_equal((unsigned)out[lane][4], thirds);
        assert_int_equal(out[lane][5], 1);
        assert_int_equal(out[lane][6], 0);
        assert_int_equal(out[lane][7], lane < 16 ? 120 : 376);
    }
}

static void test_blocks_take_turns_by_lot(void **state)
{
    enum { N = 64 };
    unsigned out[N];
    int is_in_order = 1, is_seen[N] = { 0 };
    (void)state;
    unsigned *counter = fct_kit_on_device(NULL, sizeof *counter),
             *to = fct_kit_on_device(NULL, sizeof out);
    cudaMemset(counter, 0, sizeof *counter);
    assert_cuda(fct_probe_tickets(counter, to, N, NULL));
    fct_kit_to_host(out, to, sizeof out);
    cudaFree(counter);
    for (int i = 0; i < N; i++) {
        is_in_order &= out[i] == (unsigned)i;
        is_seen[out[i]]++;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(is_seen[i], 1);
    assert_false(is_in_order);
}

static void test_missing_barrier_gives_wrong_numbers(void **state)
{
    float out[64];
    int wrong = 0;
    (void)state;
    float *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_wrong(FCT_PROBE_NO_BARRIER, to, NULL));
    fct_kit_to_host(out, to, sizeof out);
    for (int i = 0; i < 64; i++)
        wrong += !(out[i] == (float)(i ^ 1));
    assert_true(wrong > 0);
}

static void test_unset_shared_memory_is_no_number(void **state)
{
    float out[64];
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); // shared memory lies where the sanitizer watches over it, and not where we can fill it
#endif
    float *to = fct_kit_on_device(NULL, sizeof out);
    assert_cuda(fct_probe_wrong(FCT_PROBE_UNSET_SHARED, to, NULL));
    fct_kit_to_host(out, to, sizeof out);
    assert_true(out[0] == 1);
    assert_true(isnan(out[40]));
}

static void test_too_large_a_block_is_refused(void **state)
{
    (void)state;
    float *to = fct_kit_on_device(NULL, 4);
    assert_int_equal(fct_probe_sums(to, to, 1, 2000, NULL), cudaErrorInvalidConfiguration);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    cudaFree(to);
}

// The last: nothing runs after it.
static void test_left_barrier_is_told(void **state)
{
    (void)state;
    float *to = fct_kit_on_device(NULL, 64 * sizeof *to);
    assert_cuda(fct_probe_wrong(FCT_PROBE_LEFT_BARRIER, to, NULL));
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    assert_int_equal(fct_probe_scale(to, 1, to, 64, NULL), cudaErrorLaunchFailure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_has_its_thread),
        cmocka_unit_test(test_sums_over_a_block),
        cmocka_unit_test(test_turned_over_in_shared_memory),
        cmocka_unit_test(test_warps_exchange),
        cmocka_unit_test(test_blocks_take_turns_by_lot),
        cmocka_unit_test(test_missing_barrier_gives_wrong_numbers),
        cmocka_unit_test(test_unset_shared_memory_is_no_number),
        cmocka_unit_test(test_too_large_a_block_is_refused),
        cmocka_unit_test(test_left_barrier_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
