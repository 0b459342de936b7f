// SPDX-License-Identifier: Apache-2.0
// Expression head, landmark head, the identity head's rows, and the tasks' log variances.
#include "heads.h"

// Landmarks are in 0..1 of the picture: a head that starts in its middle need not walk there.
static const float middle = 0.5f;
// Of the initial rows of the identity head, as in the papers' code; only directions matter.
static const double identity_deviation = 0.01;

void fct_heads_build(fct_graph *g, const fct_model_spec *spec, int training, fct_node e)
{
    if (spec->expressions > 0)
        fct_graph_output(g, "expression",
                         fct_graph_linear(g, "expression_head", e, spec->expressions));
    if (spec->landmarks > 0) {
        fct_node points = fct_graph_linear(g, "landmark_head", e, 2 * spec->landmarks);
        fct_graph_initial_constant(g, points, middle);
        fct_graph_output(g, "landmarks", points);
    }
    if (!training || spec->has_identity)
        fct_graph_output(g, "embedding", e);
    if (spec->identity_rows > 0)
        fct_graph_matrix(g, "identity_head.weight", spec->identity_rows,
                         fct_graph_shape(g, e).dim[1], identity_deviation);
    if (spec->log_vars > 0)
        fct_graph_scalar(g, "balance.log_var", spec->log_vars, spec->log_var_init);
}
