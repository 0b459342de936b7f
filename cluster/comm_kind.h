// SPDX-License-Identifier: Apache-2.0
// What a kind of communicator (self, mpi) must offer; comm.c calls it through this table.
#ifndef FACET_COMM_KIND_H
#define FACET_COMM_KIND_H

#include "comm_marks.h"
#include "facet/comm.h"

enum { FCT_WHY_MAX = 2048 };

typedef enum { FCT_NUMBER_F64, FCT_NUMBER_I64, FCT_NUMBER_F32 } fct_number; // F32: sum_tree only

// Why a rank cannot go on: travels between ranks as plain bytes.
typedef struct {
    int status, rank;
    char text[FCT_WHY_MAX];
} fct_cancel_note;

typedef struct {
    const char *name;
    fct_status (*create)(fct_comm **out);
    // Collective, as the functions of the same name in comm.h.
    fct_status (*reduce)(fct_comm *c, void *values, size_t n, fct_number type, fct_reduce how);
    fct_status (*sum_tree)(fct_comm *c, void *values, size_t n, fct_number type);
    fct_status (*broadcast)(fct_comm *c, void *bytes, size_t n, int root);
    fct_status (*gather)(fct_comm *c, const void *mine, size_t n_mine, void **out, size_t *total);
    fct_status (*barrier)(fct_comm *c);
    // As in comm_vectors.h, sizes in bytes.
    fct_status (*all_gather)(fct_comm *c, const void *mine, const size_t *bytes, void *out);
    fct_status (*reduce_scatter)(fct_comm *c, const float *values, const size_t *bytes, float *out);
    void (*destroy)(fct_comm *c);
    // Not collective.
    void (*cancel)(fct_comm *c, const fct_cancel_note *note);
    void (*abort)(fct_comm *c, int exit_code);
} fct_comm_ops;

struct fct_comm {
    const fct_comm_ops *ops;
    int rank, size, local_rank, local_size;
    char host[256];
    fct_marks marks; // for the watchdog
    // Not OK once a rank has cancelled: the ranks no longer agree on which collective comes next,
    // so every later one returns this at once, with `why`.
    fct_status broken;
    char why[FCT_WHY_MAX];
    // Asked while this rank waits for others, where not OK ends the wait, and told, by one more
    // question, when the communicator breaks. NULL: nobody.
    fct_status (*watch)(void *ctx);
    void *watched;
};

extern const fct_comm_ops fct_comm_self, fct_comm_mpi_kind;

// Not collective. Records the cancel of another rank; returns E_PEER with its text.
fct_status fct_comm_break(fct_comm *c, const fct_cancel_note *note);
// Not collective. OK, or why this communicator can no longer be used.
fct_status fct_comm_check(fct_comm *c);

// What the launcher's environment says (comm_env.c).
typedef struct {
    int size;             // ranks that it started, 0 when there is no launcher
    int can_start_mpi;    // it speaks a protocol through which MPI finds the other ranks
    const char *variable; // where `size` was read
    const char *name;     // whose variable that is
    const char *cure;     // what to start with instead when MPI sees only one rank
} fct_launcher;
void fct_launcher_read(fct_launcher *out);

#endif
