// SPDX-License-Identifier: Apache-2.0
// A rank with a device of the backend `cuda`, for tests: FACET_CUDA_LIBRARY names a stand-in.
#ifndef FACET_TESTS_DEVICE_KIT_H
#define FACET_TESTS_DEVICE_KIT_H

#include "facet/comm_device.h"
#include "facet/device.h"

enum { KIT_FLOATS = 100000 };

typedef struct {
    fct_comm *c;
    fct_backend *b;
    const fct_device_ops *d;
    fct_device_info info;
    fct_comm_device_spec spec;
    fct_comm_device *comm;
    float *host; // [KIT_FLOATS], pinned
} device_kit;

// Collective. The backend, but no communicator of devices yet.
fct_status device_kit_open(fct_comm *c, device_kit *k);
fct_status device_kit_join(device_kit *k);
void device_kit_close(device_kit *k);

fct_slice device_kit_alloc(device_kit *k, size_t floats);
void *device_kit_at(device_kit *k, fct_slice s);
// From and to k->host; both wait.
fct_status device_kit_write(device_kit *k, fct_slice to, size_t floats);
fct_status device_kit_read(device_kit *k, fct_slice from, size_t floats);

#endif
