// SPDX-License-Identifier: Apache-2.0
// Allocations by address: a sorted array.
#include "standin_ranges.h"

#include <stdlib.h>
#include <string.h>

// The first range that begins behind `at`.
static size_t behind(const fct_standin_ranges *r, const char *at)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (r->at[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

fct_standin_range *fct_standin_ranges_find(const fct_standin_ranges *r, const void *at)
{
    const char *byte = at;
    const size_t i = behind(r, byte);
    if (i == 0 || byte >= r->at[i - 1].at + r->at[i - 1].bytes)
        return NULL;
    return &r->at[i - 1];
}

void fct_standin_ranges_add(fct_standin_ranges *r, fct_standin_range added)
{
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        r->at = realloc(r->at, r->room * sizeof *r->at);
        if (!r->at)
            abort();
    }
    const size_t i = behind(r, added.at);
    memmove(r->at + i + 1, r->at + i, (r->n - i) * sizeof *r->at);
    r->at[i] = added;
    r->n++;
    r->bytes += added.bytes;
}

void fct_standin_ranges_remove(fct_standin_ranges *r, fct_standin_range *gone)
{
    const size_t i = (size_t)(gone - r->at);
    r->bytes -= gone->bytes;
    r->n--;
    memmove(r->at + i, r->at + i + 1, (r->n - i) * sizeof *r->at);
}
