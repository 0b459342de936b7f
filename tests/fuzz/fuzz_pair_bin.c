// SPDX-License-Identifier: Apache-2.0
// The reader of verification .bin: whatever the bytes are, it ends, calls nothing, and what it
// gives lies within memory that it may read.
#include <stdlib.h>

#include "facet/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fct_pair_bin *b = NULL;
    if (fct_pair_bin_parse(data, n, "input", &b) != FCT_OK) {
        if (b || !fct_fail_text()[0])
            abort();
        return 0;
    }
    const fct_pairs *pairs = fct_pair_bin_pairs(b);
    if (pairs->n < 1 || fct_pair_bin_pictures(b) != 2 * pairs->n)
        abort();
    for (int64_t i = 0; i < pairs->n; i++)
        if (pairs->pair[i].first != 2 * i || (pairs->pair[i].same & ~1))
            abort();
    unsigned sum = 0;
    for (int64_t i = 0; i < fct_pair_bin_pictures(b); i++) {
        size_t bytes;
        const uint8_t *picture = fct_pair_bin_picture(b, i, &bytes);
        for (size_t k = 0; k < bytes; k++)
            sum += picture[k];
        if (bytes == 0 && sum == 1)
            abort();
    }
    fct_pair_bin_close(b);
    return 0;
}
