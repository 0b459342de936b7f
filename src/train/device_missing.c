// SPDX-License-Identifier: Apache-2.0
// Until the parts that define these are merged: to be deleted then.
#include "facet/head.h"

#define MISSING __attribute__((weak)) fct_status

MISSING fct_comm_device_create(fct_comm *c, const fct_comm_device_spec *spec, fct_comm_device **out)
{
    (void)c, (void)spec, (void)out;
    return FCT_FAIL(FCT_E_UNSUPPORTED, "not merged yet");
}
MISSING fct_comm_device_idle(void *ctx)
{
    (void)ctx;
    return FCT_OK;
}
__attribute__((weak)) void fct_comm_device_destroy(fct_comm_device *d)
{
    (void)d;
}
MISSING fct_device_buckets_create(fct_comm_device *d, const fct_device_buckets_spec *spec,
                                  fct_buckets **out)
{
    (void)d, (void)spec, (void)out;
    return FCT_FAIL(FCT_E_UNSUPPORTED, "not merged yet");
}
MISSING fct_comm_device_all_reduce(fct_comm_device *d, void *values, size_t n, fct_on_device type,
                                   fct_reduce how)
{
    (void)d, (void)values, (void)n, (void)type, (void)how;
    return FCT_FAIL(FCT_E_UNSUPPORTED, "not merged yet");
}
MISSING fct_head_train_device(fct_head *h, const fct_head_step *step, int64_t rows,
                              fct_slice embedding, fct_slice label, fct_slice scalars,
                              fct_slice dembedding, fct_slice sums)
{
    (void)h, (void)step, (void)rows, (void)embedding, (void)label, (void)scalars, (void)dembedding,
        (void)sums;
    return FCT_FAIL(FCT_E_UNSUPPORTED, "not merged yet");
}
__attribute__((weak)) int fct_head_is_recordable(const fct_head *h)
{
    (void)h;
    return 0;
}
