// SPDX-License-Identifier: Apache-2.0
// The operations of a compiled graph, one by one, for whoever counts what they move and multiply.
#include "graph_internal.h"

int fct_graph_operations(const fct_graph *g, int *forward)
{
    *forward = g->n_forward;
    return g->n_instr;
}

const fct_op_desc *fct_graph_operation(const fct_graph *g, int i, size_t *ready_low)
{
    FCT_ASSERT(i >= 0 && i < g->n_instr);
    *ready_low = g->instr[i].ready_low;
    return &g->instr[i].desc;
}
