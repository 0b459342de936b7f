// SPDX-License-Identifier: Apache-2.0
// The gradient all-reduce over MPI ranks. Inside a node gradients lie in a window that all its
// ranks see: each rank sums its share of a bucket once all have posted it, and writes the result
// into every rank's memory. Between nodes it then all-reduces that share with the ranks of the same
// local index.
#include <stdlib.h>
#include <string.h>

#include "buckets.h"

static fct_status plan_staging(fct_buckets *b)
{
    fct_bucket_node *node = b->node;
    size_t low, high, total = 0;
    node->staging_at = malloc((size_t)b->n * sizeof *node->staging_at);
    node->request = malloc((size_t)b->n * sizeof *node->request);
    if (!node->staging_at || !node->request)
        return FCT_FAIL_NOMEM((size_t)b->n * sizeof *node->request, "gradient buckets");
    for (int k = 0; k < b->n; k++) {
        fct_bucket_share(b, k, node->m->lanes, node->m->base.local_rank, &low, &high);
        node->staging_at[k] = total;
        node->request[k] = MPI_REQUEST_NULL;
        total += high - low;
    }
    node->staging = malloc(total * sizeof(float) + 1);
    if (!node->staging)
        return FCT_FAIL_NOMEM(total * sizeof(float), "gradients on their way to other nodes");
    return FCT_OK;
}

// Window of a rank: its progress, then its gradients.
static fct_status find_memory(fct_buckets *b)
{
    fct_bucket_node *node = b->node;
    fct_comm *c = b->c;
    node->progress = calloc((size_t)c->local_size, sizeof *node->progress);
    node->memory = calloc((size_t)c->local_size, sizeof *node->memory);
    fct_status status = FCT_OK;
    if (!node->progress || !node->memory)
        status = FCT_FAIL_NOMEM((size_t)c->local_size * sizeof(void *), "gradient buckets");
    FCT_TRY(fct_comm_agree(c, status, "gradient buckets"));
    FCT_TRY(fct_mpi_window_create(node->m, sizeof(fct_bucket_progress) + b->floats * sizeof(float),
                                  &node->window, (void **)node->progress));
    for (int r = 0; r < c->local_size; r++)
        node->memory[r] = (float *)(void *)(node->progress[r] + 1);
    b->memory = node->memory[c->local_rank];
    return FCT_OK;
}

fct_status fct_bucket_node_create(fct_buckets *b)
{
    b->node = calloc(1, sizeof *b->node);
    fct_status status = b->node ? FCT_OK : FCT_FAIL_NOMEM(sizeof *b->node, "gradient buckets");
    FCT_TRY(fct_comm_agree(b->c, status, "gradient buckets"));
    b->node->m = (fct_comm_mpi *)b->c;
    b->node->window = MPI_WIN_NULL;
    b->node->is_owner = b->c->local_rank < b->node->m->lanes;
    FCT_TRY(find_memory(b));
    return b->node->m->nodes > 1 && b->node->is_owner ? plan_staging(b) : FCT_OK;
}

void fct_bucket_node_destroy(fct_buckets *b)
{
    fct_bucket_node *node = b->node;
    if (!node)
        return;
    if (b->c->broken == FCT_OK && node->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(node->window);
        MPI_Win_free(&node->window);
    }
    if (b->c->broken == FCT_OK || node->done == node->started)
        free(node->staging);
    else
        fct_mpi_keep(node->m, node->staging);
    free(node->staging_at);
    free(node->request);
    free(node->progress);
    free(node->memory);
    free(node);
}

static uint64_t count_posted_by_all(const fct_bucket_node *node)
{
    uint64_t least = UINT64_MAX;
    for (int r = 0; r < node->m->base.local_size; r++) {
        uint64_t k = atomic_load_explicit(&node->progress[r]->posted, memory_order_acquire);
        least = k < least ? k : least;
    }
    return least;
}

static fct_status sum_share(fct_buckets *b, int k)
{
    fct_bucket_node *node = b->node;
    size_t low, high;
    fct_bucket_share(b, k, node->m->lanes, b->c->local_rank, &low, &high);
    if (node->m->nodes == 1) {
        fct_sum_everywhere(node->memory, b->c->local_size, low, high);
        return FCT_OK;
    }
    float *staged = node->staging + node->staging_at[k];
    fct_sum_into(node->memory, b->c->local_size, low, high, staged);
    return fct_mpi_check(MPI_Iallreduce(staged, b->memory + low, (int)(high - low), MPI_FLOAT,
                                        MPI_SUM, node->m->lane, &node->request[k]),
                         "MPI_Iallreduce");
}

// Results from other nodes, in order: from this rank's memory into the others' of its node.
static fct_status take_results(fct_buckets *b)
{
    fct_bucket_node *node = b->node;
    for (int is_done = 1; node->done < node->started; node->done++) {
        int k = (int)(node->done % (uint64_t)b->n);
        size_t low, high;
        if (node->m->nodes > 1)
            FCT_TRY(fct_mpi_check(MPI_Test(&node->request[k], &is_done, MPI_STATUS_IGNORE),
                                  "MPI_Iallreduce"));
        if (!is_done)
            return FCT_OK;
        fct_bucket_share(b, k, node->m->lanes, b->c->local_rank, &low, &high);
        for (int r = 0; r < b->c->local_size && node->m->nodes > 1; r++)
            if (r != b->c->local_rank)
                memcpy(node->memory[r] + low, b->memory + low, (high - low) * sizeof(float));
    }
    return FCT_OK;
}

fct_status fct_bucket_node_advance(fct_buckets *b, uint64_t posted)
{
    fct_bucket_node *node = b->node;
    fct_bucket_progress *mine = node->progress[b->c->local_rank];
    atomic_store_explicit(&mine->posted, posted, memory_order_release);
    if (!node->is_owner)
        return FCT_OK;
    uint64_t by_all = count_posted_by_all(node);
    for (; node->started < by_all; node->started++)
        FCT_TRY(sum_share(b, (int)(node->started % (uint64_t)b->n)));
    FCT_TRY(take_results(b));
    atomic_store_explicit(&mine->summed, node->done, memory_order_release);
    return FCT_OK;
}

int fct_bucket_node_is_done(const fct_buckets *b, uint64_t wanted)
{
    for (int r = 0; r < b->node->m->lanes; r++)
        if (atomic_load_explicit(&b->node->progress[r]->summed, memory_order_acquire) < wanted)
            return 0;
    return 1;
}
