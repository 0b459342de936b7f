// SPDX-License-Identifier: Apache-2.0
// All ranks leave an evaluation at the same batch, or none.
#include "eval_look.h"
#include "facet/fault.h"
#include "facet/lifecycle.h"

fct_status fct_eval_look(fct_comm *c, fct_status mine, int *leave)
{
    int64_t seen[2] = { mine != FCT_OK, fct_lifecycle_asked() != FCT_ASKED_BY_NOBODY ||
                                            fct_fault("evaluate.stop") };
    fct_status status = fct_comm_reduce_i64(c, seen, 2, FCT_MAX);
    *leave = status != FCT_OK || seen[0] || seen[1];
    if (mine != FCT_OK || status != FCT_OK)
        return mine != FCT_OK ? mine : status;
    return seen[1] && !seen[0]
               ? FCT_FAIL(FCT_E_INTERRUPTED, "asked to stop in the middle of an evaluation")
               : FCT_OK;
}
