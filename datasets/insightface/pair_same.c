// SPDX-License-Identifier: Apache-2.0
// Which pictures of a .bin are the same: LFW's 12000 are 7701 different ones.
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "facet/pairs.h"

typedef struct {
    uint64_t hash;
    int64_t i;
} hashed;

static int by_hash(const void *va, const void *vb)
{
    const hashed *a = va, *b = vb;
    int order = (a->hash > b->hash) - (a->hash < b->hash);
    return order ? order : (a->i > b->i) - (a->i < b->i);
}

static int is_same(const fct_pair_bin *b, int64_t i, int64_t k)
{
    size_t n, m;
    const uint8_t *a = fct_pair_bin_picture(b, i, &n), *c = fct_pair_bin_picture(b, k, &m);
    return n == m && !memcmp(a, c, n);
}

static void find_same(const fct_pair_bin *b, hashed *h, int64_t *same_as, uint64_t *all)
{
    int64_t n = fct_pair_bin_pictures(b), head = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t bytes;
        const uint8_t *picture = fct_pair_bin_picture(b, i, &bytes);
        h[i] = (hashed){ XXH3_64bits(picture, bytes), i };
        *all = XXH3_64bits_withSeed(&h[i].hash, sizeof h[i].hash, *all);
    }
    qsort(h, (size_t)n, sizeof *h, by_hash);
    for (int64_t i = 0; i < n; i++) {
        if (h[i].hash != h[head].hash || !is_same(b, h[i].i, h[head].i))
            head = i;
        same_as[h[i].i] = h[head].i;
    }
}

fct_status fct_pair_bin_find_same(const fct_pair_bin *b, int64_t **same_as, uint64_t *hash)
{
    size_t n = (size_t)fct_pair_bin_pictures(b);
    hashed *h = malloc(n * sizeof *h);
    *same_as = malloc(n * sizeof **same_as);
    if (h && *same_as)
        find_same(b, h, *same_as, hash);
    else {
        free(*same_as);
        *same_as = NULL;
    }
    free(h);
    return *same_as ? FCT_OK : FCT_FAIL_NOMEM(n * sizeof *h, "the pairs' pictures");
}
