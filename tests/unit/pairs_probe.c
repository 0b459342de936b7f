// SPDX-License-Identifier: Apache-2.0
// What facet makes of a verification .bin, for scripts: a line a picture (its bytes in hex), a line
// of flags. Exit 1 and the message when it is refused.
#include <stdio.h>

#include "facet/pairs.h"

int main(int argc, char **argv)
{
    fct_pair_bin *b;
    if (argc != 2)
        return 2;
    if (fct_pair_bin_open(argv[1], &b) != FCT_OK) {
        fprintf(stderr, "%s\n", fct_fail_text());
        return 1;
    }
    for (int64_t i = 0; i < fct_pair_bin_pictures(b); i++) {
        size_t n;
        const uint8_t *bytes = fct_pair_bin_picture(b, i, &n);
        for (size_t k = 0; k < n; k++)
            printf("%02x", bytes[k]);
        printf("\n");
    }
    const fct_pairs *pairs = fct_pair_bin_pairs(b);
    printf("flags ");
    for (int64_t i = 0; i < pairs->n; i++)
        printf("%d", pairs->pair[i].same);
    printf("\n");
    fct_pair_bin_close(b);
    return 0;
}
