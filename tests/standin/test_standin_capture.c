// SPDX-License-Identifier: Apache-2.0
// Captured work does nothing, its graph does it at every launch; what CUDA forbids is refused.
#include "standin_kit.h"
#include "standin_probe.h"

enum { N = 8 };

static float *from, *to, *host;
static cudaStream_t s, side;

static int set_up(void **state)
{
    (void)state;
    from = fct_kit_on_device(NULL, N * sizeof *from);
    to = fct_kit_on_device(NULL, N * sizeof *to);
    assert_cuda(cudaMallocHost((void **)&host, N * sizeof *host));
    s = fct_kit_stream();
    side = fct_kit_stream();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_cuda(cudaStreamDestroy(s));
    assert_cuda(cudaStreamDestroy(side));
    assert_cuda(cudaFree(from));
    assert_cuda(cudaFree(to));
    assert_cuda(cudaFreeHost(host));
    return 0;
}

static void begin(void)
{
    assert_cuda(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
}

static cudaGraphExec_t end(size_t nodes)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    size_t n;
    assert_cuda(cudaStreamEndCapture(s, &graph));
    assert_cuda(cudaGraphGetNodes(graph, NULL, &n));
    assert_int_equal(n, nodes);
    assert_cuda(cudaGraphInstantiate(&exec, graph, 0));
    assert_cuda(cudaGraphDestroy(graph));
    return exec;
}

// Ends a capture that was spoilt.
static void end_spoilt(cudaError_t why)
{
    cudaGraph_t graph;
    assert_int_equal(cudaStreamEndCapture(s, &graph), why);
    assert_null(graph);
    assert_cuda(cudaMemsetAsync(to, 0, sizeof *to, s)); // the stream is as before
    assert_cuda(cudaStreamSynchronize(s));
    cudaGetLastError();
}

static void fill_host(float value)
{
    for (int i = 0; i < N; i++)
        host[i] = value;
}

static void test_a_graph_reads_what_is_there_when_it_is_launched(void **state)
{
    (void)state;
    begin();
    assert_cuda(cudaMemcpyAsync(from, host, N * sizeof *from, cudaMemcpyHostToDevice, s));
    assert_cuda(fct_probe_scale(from, 3, to, N, s));
    assert_cuda(cudaMemcpyAsync(host, to, N * sizeof *to, cudaMemcpyDeviceToHost, s));
    cudaGraphExec_t exec = end(3);
    fill_host(-1);
    assert_cuda(cudaDeviceSynchronize());
    assert_true(host[0] == -1); // capturing did nothing
    for (int i = 1; i < 4; i++) {
        fill_host((float)i);
        assert_cuda(cudaGraphLaunch(exec, s));
        assert_cuda(cudaStreamSynchronize(s));
        assert_true(host[N - 1] == (float)(3 * i));
    }
    assert_cuda(cudaGraphExecDestroy(exec));
}

static void test_launches_follow_each_other(void **state)
{
    (void)state;
    begin();
    assert_cuda(fct_probe_scale(to, 2, to, N, s));
    cudaGraphExec_t exec = end(1);
    assert_cuda(cudaMemsetAsync(to, 0x3f, N * sizeof *to, s));
    for (int i = 0; i < 3; i++)
        assert_cuda(cudaGraphLaunch(exec, s));
    assert_cuda(cudaGraphExecDestroy(exec)); // what was launched is still done
    assert_cuda(cudaMemcpyAsync(host, to, N * sizeof *to, cudaMemcpyDeviceToHost, s));
    assert_cuda(cudaStreamSynchronize(s));
    uint32_t bits = 0x3f3f3f3f;
    float expected;
    memcpy(&expected, &bits, sizeof expected);
    assert_true(host[3] == 8 * expected);
}

// A fork by event and back; without the way back, or without the order, it is another thing.
static void fork_and_join(int joins)
{
    cudaEvent_t forked = fct_kit_event(), joined = fct_kit_event();
    begin();
    assert_cuda(cudaMemcpyAsync(from, host, N * sizeof *from, cudaMemcpyHostToDevice, s));
    assert_cuda(cudaEventRecord(forked, s));
    assert_cuda(cudaStreamWaitEvent(side, forked, 0));
    assert_cuda(fct_probe_scale(from, 5, to, N, side));
    assert_cuda(cudaEventRecord(joined, side));
    if (joins)
        assert_cuda(cudaStreamWaitEvent(s, joined, 0));
    assert_int_equal(cudaEventQuery(joined), cudaErrorCapturedEvent);
    end_spoilt(cudaErrorStreamCaptureInvalidated);
    assert_cuda(cudaEventDestroy(forked));
    assert_cuda(cudaEventDestroy(joined));
}

static void test_captured_events_cannot_be_asked(void **state)
{
    (void)state;
    fork_and_join(1);
    fork_and_join(0);
}

static void test_streams_fork_and_join(void **state)
{
    cudaEvent_t e = fct_kit_event();
    (void)state;
    begin();
    assert_cuda(cudaMemcpyAsync(from, host, N * sizeof *from, cudaMemcpyHostToDevice, s));
    assert_cuda(cudaEventRecord(e, s));
    assert_cuda(cudaStreamWaitEvent(side, e, 0));
    assert_cuda(fct_probe_scale(from, 5, to, N, side));
    assert_cuda(cudaEventRecord(e, side));
    assert_cuda(cudaStreamWaitEvent(s, e, 0));
    assert_cuda(cudaMemcpyAsync(host, to, N * sizeof *to, cudaMemcpyDeviceToHost, s));
    cudaGraphExec_t exec = end(3);
    for (int i = 0; i < 20; i++) {
        fill_host((float)i);
        assert_cuda(cudaGraphLaunch(exec, side));
        assert_cuda(cudaStreamSynchronize(side));
        assert_true(host[0] == (float)(5 * i));
    }
    assert_cuda(cudaGraphExecDestroy(exec));
    assert_cuda(cudaEventDestroy(e));
}

static void test_what_did_not_join_is_told(void **state)
{
    cudaEvent_t e = fct_kit_event();
    (void)state;
    begin();
    assert_cuda(cudaEventRecord(e, s));
    assert_cuda(cudaStreamWaitEvent(side, e, 0));
    assert_cuda(fct_probe_scale(from, 5, to, N, side));
    end_spoilt(cudaErrorStreamCaptureUnjoined);
    assert_cuda(cudaEventDestroy(e));
}

// Two nodes that nothing orders run in both orders.
static void test_unordered_nodes_run_in_any_order(void **state)
{
    cudaEvent_t e = fct_kit_event();
    int ones = 0;
    enum { TRIES = 40 };
    (void)state;
    begin();
    assert_cuda(cudaEventRecord(e, s));
    assert_cuda(cudaStreamWaitEvent(side, e, 0));
    assert_cuda(cudaMemsetAsync(to, 1, sizeof *to, side));
    assert_cuda(cudaMemsetAsync(to, 2, sizeof *to, s));
    assert_cuda(cudaEventRecord(e, side));
    assert_cuda(cudaStreamWaitEvent(s, e, 0));
    cudaGraphExec_t exec = end(2);
    for (int i = 0; i < TRIES; i++) {
        unsigned char last;
        assert_cuda(cudaGraphLaunch(exec, s));
        assert_cuda(cudaStreamSynchronize(s));
        assert_cuda(cudaMemcpy(&last, to, 1, cudaMemcpyDeviceToHost));
        ones += last == 1;
    }
    assert_true(ones > 0 && ones < TRIES);
    assert_cuda(cudaGraphExecDestroy(exec));
    assert_cuda(cudaEventDestroy(e));
}

static void test_what_might_wait_is_refused(void **state)
{
    void *at = NULL;
    float value = 0;
    (void)state;
    begin();
    assert_int_equal(cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(fct_probe_scale(from, 1, to, N, s), cudaErrorStreamCaptureInvalidated);
    end_spoilt(cudaErrorStreamCaptureInvalidated);
    begin();
    assert_int_equal(cudaMalloc(&at, 8), cudaErrorStreamCaptureUnsupported);
    end_spoilt(cudaErrorStreamCaptureInvalidated);
    begin();
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    end_spoilt(cudaErrorStreamCaptureInvalidated);
    begin();
    assert_int_equal(cudaMemcpyAsync(from, &value, sizeof value, cudaMemcpyHostToDevice, s),
                     cudaErrorStreamCaptureUnsupported); // it is not pinned
    end_spoilt(cudaErrorStreamCaptureInvalidated);
}

static void test_what_was_put_before_is_no_part(void **state)
{
    cudaEvent_t e = fct_kit_event();
    (void)state;
    assert_cuda(cudaMemsetAsync(to, 0, sizeof *to, side));
    assert_cuda(cudaEventRecord(e, side));
    begin();
    assert_int_equal(cudaStreamWaitEvent(s, e, 0), cudaErrorStreamCaptureIsolation);
    end_spoilt(cudaErrorStreamCaptureInvalidated);
    assert_cuda(cudaEventDestroy(e));
}

static void test_a_mark_is_set_at_every_launch(void **state)
{
    cudaEvent_t first, last;
    float ms = -1;
    (void)state;
    assert_cuda(cudaEventCreate(&first));
    assert_cuda(cudaEventCreate(&last));
    begin();
    assert_cuda(cudaEventRecordWithFlags(first, s, cudaEventRecordExternal));
    assert_cuda(fct_probe_scale(from, 5, to, N, s));
    assert_cuda(cudaEventRecordWithFlags(last, s, cudaEventRecordExternal));
    cudaGraphExec_t exec = end(3);
    for (int i = 0; i < 2; i++) {
        assert_cuda(cudaGraphLaunch(exec, s));
        assert_int_equal(cudaEventElapsedTime(&ms, first, last), cudaErrorNotReady);
        assert_cuda(cudaEventSynchronize(last));
        assert_cuda(cudaEventElapsedTime(&ms, first, last));
        assert_true(ms >= 0);
    }
    assert_cuda(cudaGraphExecDestroy(exec));
    assert_cuda(cudaEventDestroy(first));
    assert_cuda(cudaEventDestroy(last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_graph_reads_what_is_there_when_it_is_launched),
        cmocka_unit_test(test_launches_follow_each_other),
        cmocka_unit_test(test_captured_events_cannot_be_asked),
        cmocka_unit_test(test_streams_fork_and_join),
        cmocka_unit_test(test_what_did_not_join_is_told),
        cmocka_unit_test(test_unordered_nodes_run_in_any_order),
        cmocka_unit_test(test_what_might_wait_is_refused),
        cmocka_unit_test(test_what_was_put_before_is_no_part),
        cmocka_unit_test(test_a_mark_is_set_at_every_launch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
