// SPDX-License-Identifier: Apache-2.0
// All-gather and reduce-scatter on any number of ranks, parts of any size, against the values that
// can be worked out. usage: test_vectors; or, with FACET_FAULT for rank 1: test_vectors fault
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "facet/clock.h"
#include "facet/comm_vectors.h"

enum { MOST_RANKS = 8 };

static unsigned char byte_of(int rank, size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13 ^ (unsigned)rank * 37);
}

// Rank r has each * r + extra bytes.
static void gather_parts(fct_comm *c, size_t each, size_t extra)
{
    size_t bytes[MOST_RANKS], total = 0, wrong = 0, at = 0;
    const int rank = fct_comm_rank(c);
    for (int r = 0; r < fct_comm_size(c); r++)
        total += bytes[r] = each * (size_t)r + extra;
    unsigned char *mine = malloc(bytes[rank] + 1), *all = malloc(total + 1);
    for (size_t i = 0; mine && i < bytes[rank]; i++)
        mine[i] = byte_of(rank, i);
    CLAIM(c, mine && all && fct_comm_all_gather(c, mine, bytes, all) == FCT_OK);
    for (int r = 0; all && r < fct_comm_size(c); r++)
        for (size_t i = 0; i < bytes[r]; i++)
            wrong += all[at++] != byte_of(r, i);
    CLAIM(c, wrong == 0);
    free(mine);
    free(all);
}

static void test_all_gather_gives_everyone_every_part(fct_comm *c)
{
    gather_parts(c, 0, 0);
    gather_parts(c, 1, 0); // rank 0 has nothing
    gather_parts(c, 1000, 3);
    gather_parts(c, 9 << 20, 5); // more than one piece
}

static float value_of(int rank, size_t i)
{
    return 1.0F / (float)(3 + i % 1009 + 7 * (size_t)rank) * (rank % 2 ? -1.0F : 1.0F);
}

// Bit for bit what adding in rank order gives.
static void scatter_parts(fct_comm *c, size_t each, size_t extra)
{
    size_t floats[MOST_RANKS], total = 0, first = 0, wrong = 0;
    const int rank = fct_comm_rank(c), ranks = fct_comm_size(c);
    for (int r = 0; r < ranks; r++) {
        floats[r] = each * (size_t)(ranks - r) + extra;
        first += r < rank ? floats[r] : 0;
        total += floats[r];
    }
    float *all = malloc((total + 1) * sizeof *all), *mine = malloc((floats[rank] + 1) * 4);
    for (size_t i = 0; all && i < total; i++)
        all[i] = value_of(rank, i);
    CLAIM(c, all && mine && fct_comm_reduce_scatter_f32(c, all, floats, mine) == FCT_OK);
    for (size_t i = 0; mine && i < floats[rank]; i++) {
        float sum = value_of(0, first + i);
        for (int r = 1; r < ranks; r++) {
            volatile float next = sum + value_of(r, first + i);
            sum = next;
        }
        wrong += memcmp(&sum, &mine[i], sizeof sum) != 0;
    }
    CLAIM(c, wrong == 0);
    free(mine);
    free(all);
}

static void test_reduce_scatter_adds_in_rank_order(fct_comm *c)
{
    scatter_parts(c, 0, 0);
    scatter_parts(c, 0, 1);
    scatter_parts(c, 333, 7);
    scatter_parts(c, 3 << 20, 1);
}

// The fault's third passage of rank 1 is its reduce-scatter.
static void test_a_failing_rank_is_everybodys_answer(fct_comm *c)
{
    size_t sizes[MOST_RANKS] = { 4, 4, 4, 4, 4, 4, 4, 4 };
    float all[4 * MOST_RANKS] = { 0 }, mine[4] = { 0 };
    CLAIM_HERE(fct_comm_barrier(c) == FCT_OK);
    CLAIM_HERE(fct_comm_all_gather(c, mine, sizes, all) == FCT_OK);
    if (fct_comm_rank(c) == 1)
        fct_clock_sleep_s(0.3); // the others are out of the all-gather
    fct_status status = fct_comm_reduce_scatter_f32(c, all, sizes, mine);
    CLAIM_HERE(status == (fct_comm_rank(c) == 1 ? FCT_E_COMM : FCT_E_PEER));
    CLAIM_HERE(strstr(fct_fail_text(), "injected") != NULL);
    CLAIM_HERE(fct_comm_all_gather(c, mine, sizes, all) != FCT_OK);
}

int main(int argc, char **argv)
{
    fct_comm *c;
    (void)argv;
    if (fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    if (argc > 1) {
        test_a_failing_rank_is_everybodys_answer(c);
    } else {
        test_all_gather_gives_everyone_every_part(c);
        test_reduce_scatter_adds_in_rank_order(c);
    }
    fct_comm_destroy(c);
    return failed_claims != 0;
}
