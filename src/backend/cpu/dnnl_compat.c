// SPDX-License-Identifier: Apache-2.0
// Every call of oneDNN whose form depends on its major version, and its errors turned into ours.
#include "dnnl_compat.h"

fct_status fct_dnnl_check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return FCT_OK;
    if (status == dnnl_out_of_memory)
        return FCT_FAIL(FCT_E_NOMEM, "oneDNN is out of memory: %s", what);
    return FCT_FAIL(FCT_E_BACKEND, "oneDNN: %s failed with status %d", what, (int)status);
}

fct_status fct_dnnl_md_make(const dnnl_dim_t dim[4], dnnl_format_tag_t tag, fct_dnnl_md *out)
{
    const dnnl_dims_t dims = { dim[0], dim[1], dim[2], dim[3] };
    return fct_dnnl_check(dnnl_memory_desc_init_by_tag(out, 4, dims, dnnl_f32, tag),
                          "describing a tensor");
}

static dnnl_status_t init_conv(const fct_dnnl_conv *c, fct_conv_direction direction,
                               dnnl_convolution_desc_t *out)
{
    const dnnl_dims_t stride = { c->stride, c->stride }, pad = { c->pad, c->pad };
    dnnl_alg_kind_t kind = c->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    switch (direction) {
    case FCT_CONV_FWD:
        return dnnl_convolution_forward_desc_init(out, dnnl_forward_training, kind, &c->x, &c->w,
                                                  NULL, &c->y, stride, pad, pad);
    case FCT_CONV_BWD_DATA:
        return dnnl_convolution_backward_data_desc_init(out, kind, &c->x, &c->w, &c->y, stride, pad,
                                                        pad);
    default:
        return dnnl_convolution_backward_weights_desc_init(out, kind, &c->x, &c->w, NULL, &c->y,
                                                           stride, pad, pad);
    }
}

static dnnl_status_t describe(dnnl_engine_t engine, const fct_dnnl_conv *c,
                              fct_conv_direction direction, const_dnnl_primitive_attr_t attr,
                              const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t s = init_conv(c, direction, &desc);
    return s == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, hint) : s;
}

fct_status fct_dnnl_conv_describe(dnnl_engine_t engine, const fct_dnnl_conv *conv,
                                  dnnl_primitive_desc_t *out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t forward = NULL; // the backward ones ask for it as a hint
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success && conv->direction != FCT_CONV_FWD)
        s = describe(engine, conv, FCT_CONV_FWD, attr, NULL, &forward);
    if (s == dnnl_success)
        s = describe(engine, conv, conv->direction, attr, forward, out);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s == dnnl_unimplemented ? FCT_E_UNSUPPORTED
                                   : fct_dnnl_check(s, "describing a convolution");
}

fct_dnnl_md_view fct_dnnl_conv_md(const_dnnl_primitive_desc_t pd, fct_conv_direction direction,
                                  int which)
{
    static const dnnl_query_t query[3][4] = {
        { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md, dnnl_query_scratchpad_md },
        { dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md,
          dnnl_query_scratchpad_md },
        { dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md,
          dnnl_query_scratchpad_md },
    };
    return dnnl_primitive_desc_query_md(pd, query[direction][which], 0);
}

int fct_dnnl_conv_arg(fct_conv_direction direction, int which)
{
    static const int arg[3][4] = {
        { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD },
        { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_SCRATCHPAD },
        { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_SCRATCHPAD },
    };
    return arg[direction][which];
}
