// SPDX-License-Identifier: Apache-2.0
// The reader of pairs.txt: whatever the bytes are, it gives pairs of pictures that there are, or
// one line about what is wrong. The first byte chooses how the pictures are named.
#include <stdlib.h>
#include <string.h>

#include "facet/pairs.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const stored[] = {
    "Ann/Ann_0001.jpg", "x/Ann/Ann_0002.png", "Bo/Bo_0001",    "Bo_0003.jpg", "/", "",
    "Ann/.hidden",      "y/Bo/Bo_0002.jpg",   "Bo/Bo_0001.pgm"
};
enum { STORED = sizeof stored / sizeof *stored };

static const char *name_of(const void *ctx, int64_t i)
{
    (void)ctx;
    return stored[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[512];
    if (n == 0)
        return 0;
    const fct_picture_names names = { .n = data[0] % (STORED + 1), .path = name_of, .what = "set" };
    fct_pairs pairs = { 0 };
    fuzz_file(path, "pairs.txt", data + 1, n - 1);
    if (fct_pairs_read_lfw(path, &names, &pairs) != FCT_OK) {
        const char *text = fct_fail_text(), *line = strchr(text, '\n');
        if (pairs.pair || !text[0] || (line && strchr(line + 1, '\n')))
            abort();
        return 0;
    }
    for (int64_t i = 0; i < pairs.n; i++)
        if (pairs.pair[i].first < 0 || pairs.pair[i].first >= names.n || pairs.pair[i].second < 0 ||
            pairs.pair[i].second >= names.n)
            abort();
    fct_pairs_release(&pairs);
    return 0;
}
