// SPDX-License-Identifier: Apache-2.0
// Buckets of gradients that end where a stage of the network ends.
#include <string.h>

#include "facet/model.h"

// The first parameter of a stage; -1: there is none.
static int find_stage(const fct_param *table, int n, const char *stage)
{
    for (int i = 0; i < n; i++)
        if (strstr(table[i].name, stage))
            return i;
    return -1;
}

// The parameter of the stage that begins at or after half of its bytes.
static int find_middle(const fct_param *table, int n, const char *stage, int first)
{
    int end = first;
    while (end < n && strstr(table[end].name, stage))
        end++;
    const size_t from = table[first].offset,
                 half = from + (table[end - 1].offset + table[end - 1].bytes - from) / 2;
    int middle = first;
    while (middle < end - 1 && table[middle].offset < half)
        middle++;
    return middle;
}

int fct_model_cuts(const fct_params *p, size_t cut[FCT_MODEL_CUTS])
{
    static const char *const stages[] = { "layer2.", "layer3.", "layer4." };
    int n, cuts = 0, first = -1;
    const fct_param *table = fct_params_table(p, &n);
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
        first = find_stage(table, n, stages[s]);
        if (first > 0)
            cut[cuts++] = table[first].offset;
    }
    const int middle = first < 0 ? first : find_middle(table, n, stages[2], first);
    if (middle > first)
        cut[cuts++] = table[middle].offset;
    const int head = find_stage(table, n, "identity_head.");
    if (head > 0)
        cut[cuts++] = table[head].offset;
    return cuts;
}
