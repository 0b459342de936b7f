// SPDX-License-Identifier: Apache-2.0
// Every call of oneDNN whose form depends on its major version, and its errors turned into ours.
#ifndef FCT_DNNL_COMPAT_H
#define FCT_DNNL_COMPAT_H

#include <oneapi/dnnl/dnnl.h>

#include "facet/status.h"

#if DNNL_VERSION_MAJOR != 2
#error                                                                                             \
    "this backend is written and tested for oneDNN 2.x: dnnl_compat.c is the place to add another"
#endif

typedef dnnl_memory_desc_t fct_dnnl_md;             // how a tensor lies, owned
typedef const dnnl_memory_desc_t *fct_dnnl_md_view; // the same, somebody else's

typedef enum { FCT_CONV_FWD, FCT_CONV_BWD_DATA, FCT_CONV_BWD_WEIGHT } fct_conv_direction;

typedef struct {
    fct_conv_direction direction;
    int winograd;
    fct_dnnl_md x, w, y; // w may be of format tag `any`
    dnnl_dim_t stride, pad;
} fct_dnnl_conv;

fct_status fct_dnnl_check(dnnl_status_t status, const char *what);

fct_status fct_dnnl_md_make(const dnnl_dim_t dim[4], dnnl_format_tag_t tag, fct_dnnl_md *out);

// A convolution's description with its scratchpad handed in by the caller. FCT_E_UNSUPPORTED
// without a message where oneDNN has no such kernel for this processor.
fct_status fct_dnnl_conv_describe(dnnl_engine_t engine, const fct_dnnl_conv *conv,
                                  dnnl_primitive_desc_t *out);
// Which: 0 x, 1 w, 2 y, 3 scratchpad; the view lives as long as the description.
fct_dnnl_md_view fct_dnnl_conv_md(const_dnnl_primitive_desc_t pd, fct_conv_direction direction,
                                  int which);
int fct_dnnl_conv_arg(fct_conv_direction direction, int which); // DNNL_ARG_...

#endif
