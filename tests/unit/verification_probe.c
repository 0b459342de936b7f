// SPDX-License-Identifier: Apache-2.0
// Verification numbers of embeddings that a script wrote: int64 N, E, n; float32 raw (N, 2, E);
// int64 identity (N); int64 first, second, same (n each). JSON to stdout, distances to stderr; the
// ROC instead with a second argument.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "facet/verification.h"

static void *read_some(FILE *file, size_t n, size_t size)
{
    void *data = calloc(n + 1, size);
    if (!data || fread(data, size, n, file) != n)
        abort();
    return data;
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 2;
    int64_t *head = read_some(file, 3, sizeof *head), n = head[0], e = head[1], pairs = head[2];
    float *raw = read_some(file, (size_t)(n * 2 * e), sizeof *raw);
    int64_t *identity = read_some(file, (size_t)n, sizeof *identity);
    int64_t *pair = read_some(file, (size_t)pairs * 3, sizeof *pair);
    double *embedding = calloc((size_t)(n * e), sizeof *embedding);
    double *distance = calloc((size_t)pairs, sizeof *distance);
    uint8_t *same = calloc((size_t)pairs, 1);
    int64_t *times = calloc((size_t)n, sizeof *times);
    fct_verification v = { 0 };
    fct_text text = { 0 };
    if (!embedding || !distance || !same || !times)
        return 2;
    for (int64_t i = 0; i < 2 * pairs; i++)
        times[pair[i]]++;
    fct_verification_embed(n, (int)e, raw, times, embedding, &v);
    for (int64_t i = 0; i < pairs; i++) {
        distance[i] = fct_verification_distance((int)e, embedding + pair[i] * e,
                                                embedding + pair[pairs + i] * e);
        same[i] = (uint8_t)pair[2 * pairs + i];
        fprintf(stderr, "%.17g\n", distance[i]);
    }
    if (fct_verification_judge(pairs, distance, same, &v) != FCT_OK ||
        fct_verification_rank1(n, (int)e, embedding, identity, &v) != FCT_OK)
        return 1;
    if (argc > 2) {
        if (fct_verification_roc_csv(pairs, distance, same, &text) != FCT_OK)
            fct_text_add(&text, "%s\n", fct_fail_text());
    } else {
        fct_text_add(&text, "{");
        fct_verification_json(&v, &text);
        fct_text_add(&text, "}\n");
        fct_verification_print(&v, &text);
    }
    fputs(text.data, stdout);
    fct_text_release(&text);
    fclose(file);
    free(head);
    free(raw);
    free(identity);
    free(pair);
    free(embedding);
    free(distance);
    free(same);
    free(times);
    return 0;
}
