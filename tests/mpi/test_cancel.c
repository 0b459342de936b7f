// SPDX-License-Identifier: Apache-2.0
// A rank that breaks halfway reaches everyone who waits for it, in every collective, within two
// seconds. One case a process: cancel breaks the communicator. usage: test_cancel CASE
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "facet/clock.h"
#include "facet/comm_vectors.h"

static fct_buckets *buckets;

static fct_status in_reduce(fct_comm *c)
{
    double v[3] = { 1, 2, 3 };
    return fct_comm_reduce_f64(c, v, 3, FCT_SUM);
}

static fct_status in_broadcast(fct_comm *c)
{
    static char v[3 << 20];
    return fct_comm_broadcast(c, v, sizeof v, fct_comm_size(c) - 1);
}

static fct_status in_gather(fct_comm *c)
{
    static char v[2 << 20];
    void *all;
    size_t total;
    fct_status status = fct_comm_gather(c, v, sizeof v, &all, &total);
    free(all);
    return status;
}

static fct_status in_barrier(fct_comm *c)
{
    return fct_comm_barrier(c);
}

static fct_status in_agree(fct_comm *c)
{
    return fct_comm_agree(c, FCT_OK, "step");
}

static fct_status in_same(fct_comm *c)
{
    return fct_comm_same(c, 1, "config");
}

static fct_status in_buckets(fct_comm *c)
{
    (void)c;
    fct_status status = fct_buckets_ready(buckets, 2 << 20, 4 << 20);
    return status != FCT_OK ? status : fct_buckets_wait(buckets);
}

static fct_status in_tree(fct_comm *c)
{
    static float v[1 << 20];
    return fct_comm_sum_tree_f32(c, v, sizeof v / sizeof *v);
}

enum { VECTOR = 1 << 20, MOST_RANKS = 8 };

static fct_status in_all_gather(fct_comm *c)
{
    static float mine[VECTOR], all[MOST_RANKS * VECTOR];
    size_t bytes[MOST_RANKS];
    for (int r = 0; r < MOST_RANKS; r++)
        bytes[r] = sizeof mine;
    return fct_comm_all_gather(c, mine, bytes, all);
}

static fct_status in_reduce_scatter(fct_comm *c)
{
    static float all[MOST_RANKS * VECTOR], mine[VECTOR];
    size_t floats[MOST_RANKS];
    for (int r = 0; r < MOST_RANKS; r++)
        floats[r] = VECTOR;
    return fct_comm_reduce_scatter_f32(c, all, floats, mine);
}

static const struct {
    const char *name;
    fct_status (*wait)(fct_comm *c);
} cases[] = { { "reduce", in_reduce },         { "broadcast", in_broadcast },
              { "gather", in_gather },         { "barrier", in_barrier },
              { "agree", in_agree },           { "same", in_same },
              { "buckets", in_buckets },       { "tree", in_tree },
              { "all_gather", in_all_gather }, { "reduce_scatter", in_reduce_scatter } };

static void test_others_learn_why_soon(fct_comm *c, fct_status (*wait)(fct_comm *c))
{
    int last = fct_comm_size(c) - 1;
    char who[64];
    snprintf(who, sizeof who, "rank %d on ", last);
    if (fct_comm_rank(c) == last) {
        fct_clock_sleep_s(0.3);
        fct_comm_cancel(c, FCT_FAIL(FCT_E_FORMAT, "shard 3: row 12 is damaged\npack it again"));
        CLAIM_HERE(wait(c) == FCT_E_FORMAT); // its own answer, and at once
    } else {
        double start = fct_clock_s();
        CLAIM_HERE(wait(c) == FCT_E_PEER);
        CLAIM_HERE(fct_clock_s() - start < 2.3);
        CLAIM_HERE(wait(c) == FCT_E_PEER); // and from now on
    }
    CLAIM_HERE(strstr(fct_fail_text(), "shard 3: row 12 is damaged\npack it again") != NULL);
    CLAIM_HERE(fct_comm_size(c) == 1 || !strncmp(fct_fail_text(), who, strlen(who)));
}

// With FACET_COMM_LIMIT_S=0.5: nobody waits for ever for a rank that does not come.
static void test_a_wait_ends_at_its_limit(fct_comm *c)
{
    int last = fct_comm_size(c) - 1;
    if (fct_comm_rank(c) == last)
        fct_clock_sleep_s(1.5);
    double start = fct_clock_s();
    fct_status status = fct_comm_barrier(c);
    if (fct_comm_rank(c) == last) {
        CLAIM_HERE(status == FCT_E_PEER);
    } else {
        CLAIM_HERE(status == FCT_E_COMM ||
                   status == FCT_E_PEER); // the first to give up tells the rest
        CLAIM_HERE(fct_clock_s() - start < 1.4);
    }
    CLAIM_HERE(strstr(fct_fail_text(), "did not come within") != NULL);
}

// With FACET_FAULT=buckets.wait:1:rank1: a rank whose own all-reduce fails needs no further call.
static void test_a_failed_collective_cancels_by_itself(fct_comm *c)
{
    if (fct_comm_rank(c) == 1)
        fct_clock_sleep_s(0.3); // the others are out of the last claim
    fct_status status = fct_buckets_wait(buckets);
    CLAIM_HERE(status == (fct_comm_rank(c) == 1 ? FCT_E_COMM : FCT_E_PEER));
    CLAIM_HERE(strstr(fct_fail_text(), "the sum of gradients failed") != NULL);
}

int main(int argc, char **argv)
{
    fct_comm *c;
    fct_status (*wait)(fct_comm *) = NULL;
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(argv[1], cases[i].name))
            wait = cases[i].wait;
    if (argc != 2 || fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    CLAIM(c, fct_buckets_create(c, 4 << 20, 1 << 20, &buckets) == FCT_OK);
    if (wait)
        test_others_learn_why_soon(c, wait);
    else if (!strcmp(argv[1], "limit"))
        test_a_wait_ends_at_its_limit(c);
    else
        test_a_failed_collective_cancels_by_itself(c);
    fct_buckets_destroy(buckets);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
