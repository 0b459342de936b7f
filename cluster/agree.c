// SPDX-License-Identifier: Apache-2.0
// One answer for all ranks: the outcome of a phase, and whether a value is the same everywhere.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "comm_kind.h"

// Collective. The lowest rank for which `is_mine` holds, `size` if none.
static fct_status lowest_rank(fct_comm *c, int is_mine, int *out)
{
    int64_t lowest = is_mine ? c->rank : c->size;
    FCT_TRY(fct_comm_reduce_i64(c, &lowest, 1, FCT_MIN));
    *out = (int)lowest;
    return FCT_OK;
}

static fct_status agree(fct_comm *c, fct_status mine, const char *what)
{
    int teller;
    FCT_TRY(lowest_rank(c, mine != FCT_OK, &teller));
    if (teller == c->size)
        return FCT_OK;
    fct_cancel_note note = { .status = (int)mine, .rank = c->rank };
    snprintf(note.text, sizeof note.text, "%s: rank %d on %s: %s", what, c->rank, c->host,
             fct_fail_text());
    FCT_TRY(fct_comm_broadcast(c, &note, sizeof note, teller));
    return fct_fail_set((fct_status)note.status, note.text);
}

fct_status fct_comm_agree(fct_comm *c, fct_status mine, const char *what)
{
    if (c->size == 1)
        return c->broken != FCT_OK ? fct_comm_check(c) : mine;
    c->marks.purpose = what;
    fct_status status = agree(c, mine, what);
    c->marks.purpose = NULL;
    return status;
}

fct_status fct_comm_same(fct_comm *c, uint64_t value, const char *what)
{
    struct {
        uint64_t value;
        char host[sizeof c->host];
    } first = { .value = value }, other = first;
    int differs;
    snprintf(first.host, sizeof first.host, "%s", c->host);
    other = first;
    FCT_TRY(fct_comm_broadcast(c, &first, sizeof first, 0));
    FCT_TRY(lowest_rank(c, value != first.value, &differs));
    if (differs == c->size)
        return FCT_OK;
    FCT_TRY(fct_comm_broadcast(c, &other, sizeof other, differs));
    return FCT_FAIL(FCT_E_ARG,
                    "%s differs between ranks: %016" PRIx64 " on rank 0 (%s), %016" PRIx64
                    " on rank %d (%s)",
                    what, first.value, first.host, other.value, differs, other.host);
}
