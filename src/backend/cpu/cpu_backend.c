// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend: its context, its table of operations, plans of all families.
#include <omp.h>
#include <stdlib.h>

#include "cpu.h"
#include "dnnl_compat.h"
#include "host_memory.h"
#include "op_dims.h"

static const fct_cpu_family *const families[] = {
    [FCT_OP_CONV_FWD] = &fct_cpu_conv,
    [FCT_OP_CONV_BWD_DATA] = &fct_cpu_conv,
    [FCT_OP_CONV_BWD_WEIGHT] = &fct_cpu_conv,
    [FCT_OP_BN_FWD] = &fct_cpu_bn,
    [FCT_OP_BN_BWD] = &fct_cpu_bn,
    [FCT_OP_BN_INFER] = &fct_cpu_bn,
    [FCT_OP_BN_SUM] = &fct_cpu_bn,
    [FCT_OP_BN_APPLY] = &fct_cpu_bn,
    [FCT_OP_BN_BWD_SUM] = &fct_cpu_bn,
    [FCT_OP_BN_BWD_APPLY] = &fct_cpu_bn,
    [FCT_OP_MAXPOOL_FWD] = &fct_cpu_maxpool,
    [FCT_OP_MAXPOOL_BWD] = &fct_cpu_maxpool,
    [FCT_OP_AVGPOOL_FWD] = &fct_cpu_avgpool,
    [FCT_OP_AVGPOOL_BWD] = &fct_cpu_avgpool,
    [FCT_OP_FLATTEN] = &fct_cpu_flatten,
    [FCT_OP_UNFLATTEN] = &fct_cpu_flatten,
    [FCT_OP_LINEAR_FWD] = &fct_cpu_linear,
    [FCT_OP_LINEAR_BWD_DATA] = &fct_cpu_linear,
    [FCT_OP_LINEAR_BWD_WEIGHT] = &fct_cpu_linear,
    [FCT_OP_ADD] = &fct_cpu_add,
    [FCT_OP_NORMALIZE] = &fct_cpu_normalize,
};
_Static_assert(sizeof families / sizeof *families == FCT_OP_COUNT, "one family an operation");

// oneDNN's answer counts, so that ONEDNN_MAX_CPU_ISA limits our own kernels too.
static fct_cpu_isa detect_isa(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    unsigned avx512 = (unsigned)dnnl_cpu_isa_avx512_core, avx2 = (unsigned)dnnl_cpu_isa_avx2;
    if ((isa & avx512) == avx512 && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return FCT_ISA_AVX512;
    return (isa & avx2) == avx2 && __builtin_cpu_supports("avx2") ? FCT_ISA_AVX2 : FCT_ISA_BASELINE;
}

static void cpu_destroy(fct_backend *backend)
{
    fct_cpu *b = (fct_cpu *)backend;
    if (!b)
        return;
    if (b->stream)
        dnnl_stream_destroy(b->stream);
    if (b->engine)
        dnnl_engine_destroy(b->engine);
    free(b);
}

static fct_status cpu_create(const fct_backend_spec *spec, fct_backend **out)
{
    fct_status s;
    *out = NULL;
    if (spec->threads < 0)
        return FCT_FAIL(FCT_E_ARG, "cpu backend: %d threads", spec->threads);
    fct_cpu *b = calloc(1, sizeof *b);
    if (!b)
        return FCT_FAIL_NOMEM(sizeof *b, "the cpu backend");
    b->base.ops = &fct_backend_cpu;
    if (spec->threads > 0) // of the calling thread: the one that runs the plans
        omp_set_num_threads(spec->threads);
    FCT_TRY_GOTO(fct_dnnl_check(dnnl_engine_create(&b->engine, dnnl_cpu, 0), "starting the engine"),
                 s, failed);
    FCT_TRY_GOTO(
        fct_dnnl_check(dnnl_stream_create(&b->stream, b->engine, dnnl_stream_default_flags),
                       "starting a stream"),
        s, failed);
    b->isa = detect_isa();
    b->lanes = b->isa == FCT_ISA_AVX512 ? 16 : 8;
    *out = &b->base;
    return FCT_OK;
failed:
    cpu_destroy(&b->base);
    return s;
}

static void cpu_plan_destroy(fct_plan *plan)
{
    fct_cpu_plan *p = (fct_cpu_plan *)plan;
    if (!p)
        return;
    if (p->family->release)
        p->family->release(p);
    free(p);
}

static fct_status cpu_plan(fct_backend *b, const fct_op_desc *desc, fct_plan **out)
{
    *out = NULL;
    FCT_TRY(fct_op_check(desc));
    fct_cpu_plan *p = calloc(1, sizeof *p);
    if (!p)
        return FCT_FAIL_NOMEM(sizeof *p, "a plan");
    p->base.desc = *desc;
    p->family = families[desc->op];
    fct_status s = p->family->prepare ? p->family->prepare((fct_cpu *)b, p) : FCT_OK;
    if (s != FCT_OK) {
        cpu_plan_destroy(&p->base);
        return s;
    }
    *out = &p->base;
    return FCT_OK;
}

static size_t cpu_workspace_bytes(const fct_plan *p)
{
    return ((const fct_cpu_plan *)p)->workspace_bytes;
}

static fct_status cpu_run(fct_backend *b, fct_plan *plan, const fct_tensor *in,
                          const fct_tensor *out, fct_slice workspace)
{
    fct_cpu_plan *p = (fct_cpu_plan *)plan;
    return p->family->run((fct_cpu *)b, p, in, out, fct_host_slice(workspace));
}

fct_cpu_range fct_cpu_part(size_t n, size_t unit, size_t i, size_t parts)
{
    size_t units = (n + unit - 1) / unit;
    fct_cpu_range r = { units * i / parts * unit, units * (i + 1) / parts * unit };
    r.begin = r.begin < n ? r.begin : n;
    r.end = r.end < n ? r.end : n;
    return r;
}

int fct_cpu_should_stream(size_t bytes)
{
    return bytes >= (size_t)5 << 20; // measured: 6 MB gain a third, 3 MB lose a third
}

const fct_backend_ops fct_backend_cpu = {
    .name = "cpu",
    .create = cpu_create,
    .destroy = cpu_destroy,
    .alloc = fct_host_alloc,
    .adopt = fct_host_adopt,
    .release = fct_host_release,
    .host_ptr = fct_host_ptr,
    .bytes = fct_cpu_bytes,
    .upload = fct_cpu_upload,
    .download = fct_cpu_download,
    .sync = fct_host_sync,
    .plan = cpu_plan,
    .workspace_bytes = cpu_workspace_bytes,
    .run = cpu_run,
    .plan_destroy = cpu_plan_destroy,
    .vec = fct_cpu_vec,
    .sum_squares = fct_cpu_sum_squares,
};
