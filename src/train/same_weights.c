// SPDX-License-Identifier: Apache-2.0
// Every rank must hold the same weights and optimiser state to the bit: compared by hash, the odd
// rank and the tensor named. What could make them differ is a bad memory chip or network card, or a
// bug; no later step would mend it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "facet/fault.h"
#include "facet/log.h"
#include "trainer.h"

enum { BUFFERS = 5, NAMED_RANKS = 8, TEXT = 1024 };

typedef struct { // of one rank
    int n_buffers, n;
    fct_buffer *buffer[BUFFERS];
    const char *name[BUFFERS];
    size_t bytes;   // of `hash` and what lies before it
    uint64_t *head; // [2] of all that follows, of the position; then of each tensor
    uint64_t *hash; // [n_buffers][n]
} digest;

enum { HEAD_ALL, HEAD_POSITION, HEAD_WORDS };

static fct_status hash_tensor(fct_backend *b, const fct_param *q, fct_buffer *buffer, uint64_t *out)
{
    const char *host = b->ops->host_ptr(buffer);
    if (host) {
        *out = XXH3_64bits(host + q->offset, q->bytes);
        return FCT_OK;
    }
    size_t bytes = (size_t)fct_shape_elements(&q->shape) * sizeof(float);
    void *plain = malloc(bytes);
    if (!plain)
        return FCT_FAIL_NOMEM(bytes, q->name);
    fct_status status = b->ops->download(b, plain, (fct_tensor){ buffer, q->offset, q->shape });
    if (status == FCT_OK)
        status = b->ops->sync(b);
    *out = XXH3_64bits(plain, bytes);
    free(plain);
    return status;
}

static fct_status take_digest(const fct_trainer *t, digest *d)
{
    const fct_param *table = fct_params_table(t->net->params, &d->n);
    d->buffer[0] = fct_params_weights(t->net->params);
    d->name[0] = "weights";
    d->n_buffers = 1;
    while (d->n_buffers < BUFFERS && (d->buffer[d->n_buffers] = fct_optim_state(
                                          t->optim, d->n_buffers - 1, &d->name[d->n_buffers])))
        d->n_buffers++;
    d->bytes = (HEAD_WORDS + (size_t)d->n_buffers * (size_t)d->n) * sizeof *d->hash;
    d->head = malloc(d->bytes);
    if (!d->head)
        return FCT_FAIL_NOMEM(d->bytes, "hashes of the weights");
    d->hash = d->head + HEAD_WORDS;
    for (int b = 0; b < d->n_buffers; b++)
        for (int i = 0; i < d->n; i++)
            FCT_TRY(hash_tensor(t->net->backend, &table[i], d->buffer[b],
                                &d->hash[(size_t)b * (size_t)d->n + (size_t)i]));
    const int64_t place[] = { t->at.epoch, t->at.batch, t->at.step, fct_optim_steps(t->optim) };
    d->head[HEAD_POSITION] = XXH3_64bits(place, sizeof place);
    d->head[HEAD_ALL] = XXH3_64bits(d->head + 1, d->bytes - sizeof *d->head);
    return FCT_OK;
}

typedef struct { // all ranks', on rank 0
    int ranks;
    const char *words, *hosts; // [ranks] of digest.bytes each; [ranks][64]
} gathered;

static const uint64_t *words_of(const gathered *g, const digest *d, int rank)
{
    return (const uint64_t *)(const void *)(g->words + (size_t)rank * d->bytes);
}

// A rank whose state more than half of the ranks share, -1: none.
static int find_majority(const gathered *g, const digest *d)
{
    for (int r = 0; r < g->ranks; r++) {
        int like = 0;
        for (int other = 0; other < g->ranks; other++)
            like += words_of(g, d, r)[HEAD_ALL] == words_of(g, d, other)[HEAD_ALL];
        if (2 * like > g->ranks)
            return r;
    }
    return -1;
}

// Those that differ from rank `like`; -1: all.
static void name_ranks(const gathered *g, const digest *d, int like, fct_text *text)
{
    int odd = 0;
    for (int r = 0; r < g->ranks; r++) {
        if (like >= 0 && words_of(g, d, r)[HEAD_ALL] == words_of(g, d, like)[HEAD_ALL])
            continue;
        if (odd++ < NAMED_RANKS)
            fct_text_add(text, "%srank %d on %s", odd > 1 ? ", " : "", r, g->hosts + 64 * r);
    }
    if (odd > NAMED_RANKS)
        fct_text_add(text, " and %d more", odd - NAMED_RANKS);
    fct_text_add(text, " hold%s", odd > 1 ? "" : "s");
}

static void name_tensor(const fct_trainer *t, const gathered *g, const digest *d, int like,
                        fct_text *text)
{
    int n, other = 0;
    const fct_param *table = fct_params_table(t->net->params, &n);
    while (words_of(g, d, other)[HEAD_ALL] == words_of(g, d, like)[HEAD_ALL])
        other++;
    const uint64_t *a = words_of(g, d, like) + HEAD_WORDS, *b = words_of(g, d, other) + HEAD_WORDS;
    int differs = 0;
    while (differs < d->n_buffers * n && a[differs] == b[differs])
        differs++;
    if (differs == d->n_buffers * n)
        fct_text_add(text, "in where they stand (epoch, batch, step)");
    else
        fct_text_add(text, "first in the %s of %s", d->name[differs / n], table[differs % n].name);
}

static void tell(const fct_trainer *t, const gathered *g, const digest *d, char words[TEXT])
{
    fct_text text = { 0 };
    int like = find_majority(g, d);
    fct_text_add(&text, "after step %lld ", (long long)t->at.step);
    name_ranks(g, d, like, &text);
    if (like >= 0)
        fct_text_add(&text, " other numbers than the ranks that agree (rank %d, ...): ", like);
    else
        fct_text_add(&text, " different numbers, and no majority says who is right: ");
    like = like >= 0 ? like : 0;
    name_tensor(t, g, d, like, &text);
    snprintf(words, TEXT, "%s", text.data ? text.data : "");
    fct_text_release(&text);
}

// Rare: the ranks differ already.
static fct_status name_odd(fct_trainer *t, const digest *d)
{
    char words[TEXT] = "", host[64] = "", advice[FCT_PATH_MAX + 128];
    void *all = NULL, *hosts = NULL;
    size_t total;
    snprintf(host, sizeof host, "%s", fct_comm_host(t->comm));
    fct_status status = fct_comm_gather(t->comm, d->head, d->bytes, &all, &total);
    if (status == FCT_OK)
        status = fct_comm_gather(t->comm, host, sizeof host, &hosts, &total);
    if (status == FCT_OK && all && hosts) {
        gathered g = { fct_comm_size(t->comm), all, hosts };
        tell(t, &g, d, words);
    }
    free(all);
    free(hosts);
    FCT_TRY(status);
    FCT_TRY(fct_comm_broadcast(t->comm, words, sizeof words, 0));
    FCT_TRY(fct_trainer_settle(t));
    fct_trainer_advice(t, advice);
    return FCT_FAIL(FCT_E_DIVERGED,
                    "%s\n%s; every checkpoint was compared before it was saved; the memory and "
                    "network of an odd host want a test",
                    words, advice);
}

fct_status fct_trainer_compare(fct_trainer *t)
{
    digest d = { 0 };
    if (fct_comm_size(t->comm) == 1)
        return FCT_OK;
    fct_status status = take_digest(t, &d);
    if (status != FCT_OK) {
        fct_comm_cancel(t->comm, status); // the others are on their way into the reduction
        free(d.head);
        return status;
    }
    int64_t most[2] = { (int64_t)d.head[HEAD_ALL], ~(int64_t)d.head[HEAD_ALL] };
    status = fct_comm_reduce_i64(t->comm, most, 2, FCT_MAX);
    if (status == FCT_OK && most[0] != ~most[1]) // the largest is not the smallest
        status = name_odd(t, &d);
    free(d.head);
    return status;
}

static fct_status flip(fct_backend *b, const fct_param *q, fct_buffer *buffer)
{
    char *host = b->ops->host_ptr(buffer);
    const size_t bytes = (size_t)fct_shape_elements(&q->shape) * sizeof(float);
    const fct_tensor at = { buffer, q->offset, q->shape };
    if (host) {
        *(uint32_t *)(void *)(host + q->offset) ^= 1U << 20;
        return FCT_OK;
    }
    uint32_t *plain = malloc(bytes);
    if (!plain)
        return FCT_FAIL_NOMEM(bytes, q->name);
    fct_status status = b->ops->download(b, plain, at);
    if (status == FCT_OK)
        status = b->ops->sync(b);
    *plain ^= 1U << 20;
    if (status == FCT_OK)
        status = b->ops->upload(b, at, plain);
    if (status == FCT_OK)
        status = b->ops->sync(b);
    free(plain);
    return status;
}

void fct_trainer_flip(fct_trainer *t, fct_buffer *buffer, const char *site)
{
    int n, i;
    const fct_param *table = fct_params_table(t->net->params, &n);
    for (i = n / 2; i < n - 1 && table[i].kind != FCT_PARAM_WEIGHT; i++)
        ;
    if (fct_fault(site) && flip(t->net->backend, &table[i], buffer) != FCT_OK)
        FCT_WARN("%s: %s", site, fct_fail_text());
}

fct_status fct_trainer_check(fct_trainer *t)
{
    const char *name;
    fct_trainer_flip(t, fct_params_weights(t->net->params), "train.weight");
    fct_trainer_flip(t, fct_optim_state(t->optim, 0, &name), "train.moment");
    int64_t every = t->o->train_check_every;
    return every > 0 && t->at.step % every == 0 ? fct_trainer_compare(t) : FCT_OK;
}
