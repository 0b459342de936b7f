// SPDX-License-Identifier: Apache-2.0
// The operations of a compiled graph, one by one, for whoever counts or measures them.
#include "graph_internal.h"

int fct_graph_steps(const fct_graph *g, int *forward)
{
    *forward = g->n_forward;
    return g->n_instr;
}

const fct_op_desc *fct_graph_step(const fct_graph *g, int step, const char **node)
{
    if (!g->is_compiled || step < 0 || step >= g->n_instr)
        return NULL;
    *node = g->node[g->instr[step].node].name;
    return &g->instr[step].desc;
}

size_t fct_graph_ready_low(const fct_graph *g, int step)
{
    FCT_ASSERT(step >= 0 && step < g->n_instr);
    return g->instr[step].ready_low;
}
