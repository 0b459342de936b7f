// SPDX-License-Identifier: Apache-2.0
// What a checkpoint says of its network.
#include "trainer.h"

fct_status fct_state_describe_model(const fct_blobs *state, const fct_options *o, const char *taken,
                                    fct_model_spec *out)
{
    const fct_blob *input = fct_blobs_find(state, "meta/input");
    const fct_blob *normalize = fct_blobs_find(state, "meta/normalize");
    if (!input || !normalize || fct_blob_bytes(input) != 2 * sizeof(int64_t) ||
        fct_blob_bytes(normalize) != 6 * sizeof(double))
        return FCT_FAIL(FCT_E_FORMAT, "%s: does not say its input size and normalisation", taken);
    const int64_t *side = input->data;
    const double *numbers = normalize->data;
    *out = (fct_model_spec){ .backbone = o->model_backbone,
                             .stem = o->model_stem,
                             .height = (int)side[0],
                             .width = (int)side[1],
                             .embedding = (int)o->model_embedding,
                             .freeze = "none" };
    for (int c = 0; c < 3; c++) {
        out->mean[c] = (float)numbers[c];
        out->std[c] = (float)numbers[3 + c];
    }
    return FCT_OK;
}
