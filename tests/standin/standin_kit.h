// SPDX-License-Identifier: Apache-2.0
// What the tests of the stand-ins share.
#ifndef FCT_STANDIN_KIT_H
#define FCT_STANDIN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "standin.h"

#define assert_cuda(call) assert_int_equal(call, cudaSuccess)

static inline void *fct_kit_on_device(const void *from, size_t bytes) // from: NULL is fine
{
    void *at = NULL;
    assert_cuda(cudaMalloc(&at, bytes));
    if (from)
        assert_cuda(cudaMemcpy(at, from, bytes, cudaMemcpyHostToDevice));
    return at;
}

static inline void fct_kit_to_host(void *to, void *at, size_t bytes) // frees `at`
{
    assert_cuda(cudaMemcpy(to, at, bytes, cudaMemcpyDeviceToHost));
    assert_cuda(cudaFree(at));
}

static inline cudaStream_t fct_kit_stream(void)
{
    cudaStream_t s = NULL;
    assert_cuda(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}

static inline cudaEvent_t fct_kit_event(void)
{
    cudaEvent_t e = NULL;
    assert_cuda(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    return e;
}

#endif
