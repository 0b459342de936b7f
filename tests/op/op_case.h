// SPDX-License-Identifier: Apache-2.0
// One operation with its operands in plain host memory, to be run on any backend.
#ifndef FCT_OP_CASE_H
#define FCT_OP_CASE_H

#include "facet/backend.h"

enum { FCT_NO_ALIAS = -1 };

typedef struct {
    fct_op_desc desc;
    void *in[FCT_MAX_IN], *out[FCT_MAX_OUT]; // row-major; owned
    int alias[FCT_MAX_OUT];                  // the input whose memory this output takes
} fct_case;

// Memory for all operands, no aliases.
fct_status fct_case_init(fct_case *c, const fct_op_desc *desc);
void fct_case_release(fct_case *c);
// Same operands in, fresh memory out.
fct_status fct_case_copy(const fct_case *from, fct_case *out);

// Uniform in [low, high), a function of `seed`.
void fct_case_fill(float *v, size_t n, double low, double high, uint64_t seed);
size_t fct_case_elements(const fct_shape *s);

// Uploads, plans, runs, downloads, all through the table. Outputs hold NaN before the run, and so
// does the workspace, so that nothing unwritten goes unseen. E_ARG when the padding of an output is
// not zero afterwards, an input has changed, or something was written behind an end.
fct_status fct_case_run(fct_backend *b, fct_case *c);
// The same of a device, recorded and replayed; no output may share an input's memory.
fct_status fct_case_replay(fct_backend *b, fct_case *c);

// One line of a shape file is one layer: calls `visit` with every op of the layer, forward before
// backward, the inputs consistent (masks, indices and statistics come from `judge`).
typedef fct_status (*fct_case_visit)(void *ctx, const char *line, fct_case *c);
fct_status fct_case_file(fct_backend *judge, const char *path, fct_case_visit visit, void *ctx);
fct_status fct_case_layer(fct_backend *judge, const char *line, fct_case_visit visit, void *ctx);

#endif
