// SPDX-License-Identifier: Apache-2.0
// Lists of pairs.
#include <stdlib.h>

#include "pairs_list.h"

void fct_pairs_release(fct_pairs *p)
{
    free(p->pair);
    *p = (fct_pairs){ 0 };
}

fct_status fct_pairs_add(fct_pairs *p, size_t *capacity, fct_pair pair, const char *where)
{
    if (p->n >= FCT_PAIRS_MOST)
        return FCT_FAIL(FCT_E_FORMAT, "%s: more than %d pairs", where, FCT_PAIRS_MOST);
    if ((size_t)p->n == *capacity) {
        size_t more = *capacity < 256 ? 256 : 2 * *capacity;
        fct_pair *grown = realloc(p->pair, more * sizeof *grown);
        if (!grown)
            return FCT_FAIL_NOMEM(more * sizeof *grown, where);
        p->pair = grown;
        *capacity = more;
    }
    p->pair[p->n++] = pair;
    return FCT_OK;
}
