// SPDX-License-Identifier: Apache-2.0
// What the MPI files of this folder share: communicators, nodes, and how a rank waits.
#ifndef FACET_COMM_MPI_H
#define FACET_COMM_MPI_H

#include <mpi.h>
#include <stdatomic.h>

#include "comm_kind.h"

// A rank's place in its node's window where it says that it cannot go on.
typedef struct {
    atomic_int is_set;
    fct_cancel_note note;
} fct_cancel_slot;

typedef struct {
    fct_comm base;  // first: an fct_comm * of kind mpi points here
    int owns_mpi;   // we called MPI_Init, so we finalise
    MPI_Comm world; // a copy of our own of MPI_COMM_WORLD
    MPI_Comm node;  // the ranks of this host (or of this pretended node)
    MPI_Comm lane;  // the ranks with the same local rank on every node; NULL where a node lacks one
    int nodes, lanes; // lanes: local ranks that every node has
    char *is_local;   // [size]
    MPI_Win window;
    fct_cancel_slot **slot; // [local_size]
    MPI_Request listening;  // for a cancel from another node
    fct_cancel_note heard, told;
    MPI_Request *telling; // [size]
    void *scratch;        // all small collectives go through it: a cancelled one may write for ever
    int is_crowded;       // more ranks than cores here: never spin
    double limit_s;       // a wait longer than this is a failure, 0 never
    int limit_is_given;   // by FACET_COMM_LIMIT_S
    void **kept;          // memory that cancelled operations may still touch, freed after MPI ended
    int kept_n;
} fct_comm_mpi;

// How long somebody has been waiting, and how patiently; init with {0}.
typedef struct {
    double start_s;
    unsigned turns;
    double limit_from_s; // since then nobody has moved, as far as known
    uint64_t others_moves;
} fct_wait;

// OK or E_COMM with MPI's own words.
fct_status fct_mpi_check(int code, const char *what);
// Not collective. Ends when `request` is done, a rank cancels (E_PEER) or the limit is over.
fct_status fct_mpi_wait(fct_comm_mpi *m, MPI_Request *request, const char *what);
// Not collective. One turn of a wait for something else: looks for a cancel and the limit, lets go
// of the core.
fct_status fct_mpi_idle(fct_comm_mpi *m, fct_wait *wait, const char *what);
// Not collective. The two parts of a wait that somebody else turns: its begin, its limit.
void fct_mpi_wait_begin(fct_comm_mpi *m, fct_wait *wait);
fct_status fct_mpi_wait_check(fct_comm_mpi *m, fct_wait *wait, const char *what);
// Not collective. The wait is over, well or not.
void fct_mpi_waited(fct_comm_mpi *m, const fct_wait *wait);
// Not collective. E_PEER when another rank has cancelled; never waits.
fct_status fct_mpi_poll(fct_comm_mpi *m);

// Collective over the node. A window of `bytes` for each local rank, zeroed, 64-byte aligned;
// `segment` [local_size] gets where each one's lies.
fct_status fct_mpi_window_create(fct_comm_mpi *m, size_t bytes, MPI_Win *out, void **segment);

// Not collective. Frees `memory` once MPI has ended.
void fct_mpi_keep(fct_comm_mpi *m, void *memory);

// comm_cancel.c
fct_status fct_cancel_open(fct_comm_mpi *m);
void fct_cancel_tell(fct_comm *c, const fct_cancel_note *note);
void fct_cancel_close(fct_comm_mpi *m);

#endif
