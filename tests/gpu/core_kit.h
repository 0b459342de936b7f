// SPDX-License-Identifier: Apache-2.0
// What the tests of a device's core share: a cuda backend of each precision beside the judge. They
// run on a GPU, and in CI on the stand-ins that FACET_CUDA_LIBRARY names.
#ifndef FCT_CORE_KIT_H
#define FCT_CORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/device.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != FCT_OK)                                                                      \
            fail_msg("%s", fct_fail_text());                                                       \
    } while (0)

// E_SKIPPED of the test program: there is no GPU.
enum { FCT_SKIPPED = 77 };
int fct_core_is_there(void);
fct_backend *fct_core_backend(fct_precision precision, int is_deterministic);
fct_backend *fct_core_judge(void);
// A buffer that holds these bytes; raw, no change of layout.
fct_buffer *fct_core_buffer(fct_backend *b, const void *bytes, size_t n);
void fct_core_read(fct_backend *b, fct_slice from, void *to, size_t n);
void fct_core_fill(float *v, size_t n, double low, double high, uint64_t seed);

#endif
