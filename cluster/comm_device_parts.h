// SPDX-License-Identifier: Apache-2.0
// What the files of the devices' communicator share.
#ifndef FACET_COMM_DEVICE_PARTS_H
#define FACET_COMM_DEVICE_PARTS_H

#include "comm_mpi.h"
#include "facet/comm_device.h"

struct fct_comm_device {
    fct_comm *c;
    const fct_device_comm_ops *ops;
    fct_device_link *link;
    void *compute, *comm; // streams
    double limit_s;       // of a call that goes on in the background
    int is_aborted;
    // The host's wait for the device: who calls the idle function does not say when a wait begins,
    // but between two of them something moves.
    uint64_t moves;
    fct_wait wait;
};

// Not collective. What a failure of this rank's device means: the collectives on it end, the other
// ranks are told. Returns `status`; OK does nothing.
fct_status fct_device_broke(fct_comm_device *d, fct_status status);
// Not collective, all enqueued by every rank alike. `comm` after `compute`, and back.
fct_status fct_device_enter(fct_comm_device *d);
fct_status fct_device_exit(fct_comm_device *d);
// Not collective. On the stream `comm`, without order to others.
fct_status fct_device_reduce(fct_comm_device *d, void *values, size_t n, fct_on_device type,
                             fct_reduce how);

#endif
