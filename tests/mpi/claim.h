// SPDX-License-Identifier: Apache-2.0
// Checks under MPI are collective: every rank learns of one rank's failure, so none is left
// waiting.
#ifndef FACET_TESTS_CLAIM_H
#define FACET_TESTS_CLAIM_H

#include <stdio.h>

#include "facet/comm.h"

// One for all files of a program.
__attribute__((weak)) int failed_claims;

// Collective. True where it holds on all ranks; the ranks where it does not say so.
static inline int claim_at(fct_comm *c, int holds, const char *claim, const char *file, int line)
{
    int64_t all = holds != 0;
    if (!holds)
        fprintf(stderr, "%s:%d: rank %d: does not hold: %s (last failure: %s)\n", file, line,
                fct_comm_rank(c), claim, fct_fail_text());
    if (fct_comm_reduce_i64(c, &all, 1, FCT_MIN) != FCT_OK)
        all = 0;
    failed_claims += !all;
    return (int)all;
}

// Not collective: for claims about a communicator that no longer works.
static inline void claim_here_at(int holds, const char *claim, const char *file, int line)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s (last failure: %s)\n", file, line, claim,
                fct_fail_text());
        failed_claims++;
    }
}

#define CLAIM(c, e)   claim_at((c), (e), #e, __FILE__, __LINE__)
#define CLAIM_HERE(e) claim_here_at((e), #e, __FILE__, __LINE__)

#endif
