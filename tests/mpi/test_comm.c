// SPDX-License-Identifier: Apache-2.0
// Collectives of comm.h on any number of ranks, each against the value that can be worked out.
#include <stdlib.h>
#include <string.h>

#include "claim.h"

static void test_reduce_gives_sum_max_and_min(fct_comm *c)
{
    int n = fct_comm_size(c), r = fct_comm_rank(c);
    double sum[2] = { r + 1.0, 0.5 }, max = r, min = r;
    int64_t big = INT64_C(1) << 60, least = -r;
    CLAIM(c, fct_comm_reduce_f64(c, sum, 2, FCT_SUM) == FCT_OK);
    CLAIM(c, sum[0] == n * (n + 1) / 2.0 && sum[1] == 0.5 * n);
    CLAIM(c, fct_comm_reduce_f64(c, &max, 1, FCT_MAX) == FCT_OK && max == n - 1);
    CLAIM(c, fct_comm_reduce_f64(c, &min, 1, FCT_MIN) == FCT_OK && min == 0);
    CLAIM(c, fct_comm_reduce_i64(c, &big, 1, FCT_MAX) == FCT_OK && big == INT64_C(1) << 60);
    CLAIM(c, fct_comm_reduce_i64(c, &least, 1, FCT_MIN) == FCT_OK && least == -(n - 1));
}

static void test_reduce_in_pieces_equals_reduce_in_one(fct_comm *c)
{
    enum { N = 300000 }; // more than one piece of a MiB
    int n = fct_comm_size(c), r = fct_comm_rank(c), wrong = 0;
    double *v = malloc(N * sizeof *v);
    for (int i = 0; v && i < N; i++)
        v[i] = i + r;
    CLAIM(c, v && fct_comm_reduce_f64(c, v, N, FCT_SUM) == FCT_OK);
    for (int i = 0; v && i < N; i++)
        wrong += v[i] != (double)i * n + n * (n - 1) / 2.0;
    CLAIM(c, wrong == 0);
    free(v);
}

static void test_reduce_has_the_same_bits_on_all_ranks(fct_comm *c)
{
    double v[64];
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++)
        v[i] = 1.0 / (3 + i + 7 * fct_comm_rank(c));
    CLAIM(c, fct_comm_reduce_f64(c, v, 64, FCT_SUM) == FCT_OK);
    for (int i = 0; i < 64; i++) {
        uint64_t word;
        memcpy(&word, &v[i], sizeof word);
        bits = bits * 31 + word;
    }
    CLAIM(c, fct_comm_same(c, bits, "sum") == FCT_OK);
}

// The tree over 8 leaves, added as the model says: one number at a time, pairs of neighbours first.
static float leaf(int shard, int i)
{
    return 1.0F / (float)(3 + i % 1009 + 7 * shard) * (float)(shard % 2 ? -1 : 1);
}

static float tree(int low, int leaves, int i)
{
    if (leaves == 1)
        return leaf(low, i);
    volatile float left = tree(low, leaves / 2, i), right = tree(low + leaves / 2, leaves / 2, i);
    return left + right;
}

static double tree_f64(int low, int leaves, int i)
{
    return leaves == 1 ? (double)leaf(low, i) / 3
                       : tree_f64(low, leaves / 2, i) + tree_f64(low + leaves / 2, leaves / 2, i);
}

// A4: every rank holds the subtree of its leaves; the result is that of 8 ranks with one each.
static void test_sum_tree_has_the_bits_of_the_model_for_every_number_of_ranks(fct_comm *c)
{
    enum { LEAVES = 8, N = 300001 }; // several pieces, and a rest
    int ranks = fct_comm_size(c), mine = LEAVES / ranks, low = fct_comm_rank(c) * mine, wrong = 0;
    float *v = malloc(N * sizeof *v);
    double d[5];
    if (ranks & (ranks - 1)) {
        CLAIM(c, fct_comm_sum_tree_f64(c, d, 1) == FCT_E_ARG);
        CLAIM(c, strstr(fct_fail_text(), "needs 1, 2, 4, 8 .. ranks") != NULL);
        CLAIM(c, !fct_comm_is_cancelled(c));
        free(v);
        return;
    }
    for (int i = 0; v && i < N; i++)
        v[i] = tree(low, mine, i);
    for (int i = 0; i < 5; i++)
        d[i] = tree_f64(low, mine, i);
    CLAIM(c, v && fct_comm_sum_tree_f32(c, v, N) == FCT_OK);
    CLAIM(c, fct_comm_sum_tree_f64(c, d, 5) == FCT_OK);
    CLAIM(c, fct_comm_sum_tree_f32(c, v, 0) == FCT_OK);
    for (int i = 0; v && i < N; i++) {
        float want = tree(0, LEAVES, i);
        wrong += memcmp(&v[i], &want, sizeof want) != 0;
    }
    for (int i = 0; i < 5; i++)
        wrong += d[i] != tree_f64(0, LEAVES, i);
    CLAIM(c, wrong == 0);
    free(v);
}

static void test_broadcast_reaches_everyone_from_any_root(fct_comm *c)
{
    enum { N = 3 << 20 };
    unsigned char *v = malloc(N);
    for (int root = 0; root < fct_comm_size(c); root++) {
        int wrong = 0;
        for (int i = 0; v && i < N; i++)
            v[i] = fct_comm_rank(c) == root ? (unsigned char)(i * 7 + root) : 0;
        CLAIM(c, v && fct_comm_broadcast(c, v, N, root) == FCT_OK);
        for (int i = 0; v && i < N; i++)
            wrong += v[i] != (unsigned char)(i * 7 + root);
        CLAIM(c, wrong == 0);
    }
    free(v);
}

// Rank r sends r pieces of `each` bytes (so rank 0 sends none).
static void gather_in_rank_order(fct_comm *c, size_t each)
{
    int n = fct_comm_size(c), r = fct_comm_rank(c), wrong = 0;
    size_t mine = each * (size_t)r, total, at = 0;
    unsigned char *v = malloc(mine + 1), *all;
    memset(v, r, mine);
    CLAIM(c, fct_comm_gather(c, v, mine, (void **)&all, &total) == FCT_OK);
    CLAIM(c, (all != NULL) == (r == 0));
    CLAIM(c, r != 0 || total == each * (size_t)(n * (n - 1) / 2));
    for (int k = 0; all && k < n; k++)
        for (size_t i = 0; i < each * (size_t)k; i++)
            wrong += all[at++] != k;
    CLAIM(c, wrong == 0);
    free(all);
    free(v);
}

static void test_agree_gives_all_the_lowest_failing_ranks_answer(fct_comm *c)
{
    int n = fct_comm_size(c), r = fct_comm_rank(c);
    CLAIM(c, fct_comm_agree(c, FCT_OK, "nothing") == FCT_OK);
    for (int first = 0; first < n; first++) {
        fct_status mine = FCT_OK;
        if (r == first)
            mine = FCT_FAIL(FCT_E_FORMAT, "shard 7: broken\nrun facet inspect");
        else if (r > first)
            mine = FCT_FAIL(FCT_E_IO, "another trouble");
        else
            fct_fail_clear();
        fct_status all = fct_comm_agree(c, mine, "loading");
        char text[256], who[64];
        snprintf(text, sizeof text, "%s", fct_fail_text());
        snprintf(who, sizeof who, "loading: rank %d on %s", first,
                 r == first ? fct_comm_host(c) : "");
        CLAIM(c, all == FCT_E_FORMAT);
        CLAIM(c, strstr(text, "shard 7: broken\nrun facet inspect") != NULL);
        CLAIM(c, n == 1 || strstr(text, who) != NULL);
    }
}

static void test_same_names_both_ranks(fct_comm *c)
{
    int n = fct_comm_size(c);
    CLAIM(c, fct_comm_same(c, 42, "config") == FCT_OK);
    if (n == 1)
        return;
    fct_status status = fct_comm_same(c, fct_comm_rank(c) == n - 1 ? 0xbad : 42, "config");
    char text[256], other[64];
    snprintf(text, sizeof text, "%s", fct_fail_text());
    snprintf(other, sizeof other, "0000000000000bad on rank %d (", n - 1);
    CLAIM(c, status == FCT_E_ARG);
    CLAIM(c, strstr(text, "config differs") && strstr(text, "002a on rank 0 (") &&
                 strstr(text, other));
}

static void test_local_ranks_are_numbered_within_the_node(fct_comm *c)
{
    int is_one_node = !getenv("FACET_FAKE_NODES") && !getenv("FACET_TWO_HOSTS");
    CLAIM(c, fct_comm_local_rank(c) >= 0 && fct_comm_local_rank(c) < fct_comm_local_size(c));
    CLAIM(c, !is_one_node || fct_comm_local_size(c) == fct_comm_size(c));
    CLAIM(c, is_one_node || fct_comm_local_size(c) <= (fct_comm_size(c) + 1) / 2);
}

int main(void)
{
    fct_comm *c;
    if (fct_comm_create("auto", &c) != FCT_OK) {
        fct_comm_abort(NULL, 1);
    }
    CLAIM(c, !strcmp(fct_comm_kind(c), "mpi"));
    test_reduce_gives_sum_max_and_min(c);
    test_reduce_in_pieces_equals_reduce_in_one(c);
    test_reduce_has_the_same_bits_on_all_ranks(c);
    test_sum_tree_has_the_bits_of_the_model_for_every_number_of_ranks(c);
    test_broadcast_reaches_everyone_from_any_root(c);
    gather_in_rank_order(c, 5);
    gather_in_rank_order(c, 1500000);
    test_agree_gives_all_the_lowest_failing_ranks_answer(c);
    test_same_names_both_ranks(c);
    test_local_ranks_are_numbered_within_the_node(c);
    CLAIM(c, fct_comm_barrier(c) == FCT_OK);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
