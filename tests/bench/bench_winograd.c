// SPDX-License-Identifier: Apache-2.0
// Direct against Winograd for every 3x3 layer of stride 1 of ResNet-18, ResNet-50 and IResNet, each
// direction: the figures behind docs/design/0002-winograd-by-rule.md and 0012-iresnet.md. Not a
// test.
// usage: bench_winograd THREADS REPEATS; with 1 thread it counts processor time, else wall time.
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "dnnl_compat.h"
#include "facet/text.h"
#include "winograd_rule.h"

typedef struct {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int threads, repeats;
} bench;

static double seconds(const bench *b)
{
    struct timespec t;
    clock_gettime(b->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *values(size_t bytes)
{
    float *v = aligned_alloc(2 << 20, (bytes + (2 << 20)) >> 21 << 21);
    madvise(v, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes / sizeof *v; i++)
        v[i] = (float)((i * 2654435761u >> 16) % 1000) * 1e-3f - 0.4f;
    return v;
}

// The fastest of the repeats, in ms; negative where oneDNN has no such kernel.
static double fastest(const bench *b, const fct_conv_dims *v, fct_conv_direction direction,
                      int winograd)
{
    fct_dnnl_conv c = {
        .direction = direction, .winograd = winograd, .stride = v->stride, .pad = v->pad
    };
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t conv;
    dnnl_exec_arg_t args[4];
    void *memory[4];
    double best = 1e9;
    fct_dnnl_md_make((dnnl_dim_t[4]){ v->n, v->c, v->h, v->w }, dnnl_nChw16c, &c.x);
    fct_dnnl_md_make((dnnl_dim_t[4]){ v->k, v->c, v->r, v->r }, dnnl_format_tag_any, &c.w);
    fct_dnnl_md_make((dnnl_dim_t[4]){ v->n, v->k, v->p, v->q }, dnnl_nChw16c, &c.y);
    if (fct_dnnl_conv_describe(b->engine, &c, &pd) != FCT_OK)
        return -1;
    dnnl_primitive_create(&conv, pd);
    for (int i = 0; i < 4; i++) {
        fct_dnnl_md_view md = fct_dnnl_conv_md(pd, direction, i);
        memory[i] = values(dnnl_memory_desc_get_size(md));
        args[i].arg = fct_dnnl_conv_arg(direction, i);
        dnnl_memory_create(&args[i].memory, md, b->engine, memory[i]);
    }
    for (int i = 0; i <= b->repeats; i++) {
        double start = seconds(b);
        dnnl_primitive_execute(conv, b->stream, 4, args);
        double took = seconds(b) - start;
        best = i > 0 && took < best ? took : best;
    }
    for (int i = 0; i < 4; i++) {
        dnnl_memory_destroy(args[i].memory);
        free(memory[i]);
    }
    dnnl_primitive_destroy(conv);
    dnnl_primitive_desc_destroy(pd);
    return best * 1e3;
}

static void compare(const bench *b, int batch, int channels, int size)
{
    static const char *const names[] = { "forward", "backward data", "backward weight" };
    fct_conv_dims v = { batch, channels, size, size, channels, size, size, 3, 1, 1 };
    for (int d = FCT_CONV_FWD; d <= FCT_CONV_BWD_WEIGHT; d++) {
        double direct = fastest(b, &v, (fct_conv_direction)d, 0);
        double winograd = fastest(b, &v, (fct_conv_direction)d, 1);
        printf("batch %3d channels %3d size %2d %-15s direct %7.2f winograd %7.2f ms, gain %4.2f, "
               "rule %s\n",
               batch, channels, size, names[d], direct, winograd, direct / winograd,
               fct_winograd_rule((fct_conv_direction)d, &v) ? "winograd" : "direct");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    // pictures of 224, of 112, of 48 with a small stem, of 112 in an IResNet
    static const int first_size[] = { 56, 28, 48, 112 };
    static const int batches[] = { 32, 64, 64, 32 };
    int64_t threads, repeats;
    if (argc != 3 || fct_text_to_i64(argv[1], &threads) != FCT_OK ||
        fct_text_to_i64(argv[2], &repeats) != FCT_OK)
        return 2;
    bench b = { .threads = (int)threads, .repeats = (int)repeats };
    omp_set_num_threads(b.threads);
    dnnl_engine_create(&b.engine, dnnl_cpu, 0);
    dnnl_stream_create(&b.stream, b.engine, dnnl_stream_default_flags);
    for (int picture = 0; picture < 4; picture++)
        for (int stage = 0, size = first_size[picture]; stage < 4; stage++, size = (size + 1) / 2) {
            compare(&b, batches[picture] / (b.threads == 1 ? 2 : 1), 64 << stage, size);
            compare(&b, 4, 64 << stage, size);
        }
    dnnl_stream_destroy(b.stream);
    dnnl_engine_destroy(b.engine);
    return 0;
}
