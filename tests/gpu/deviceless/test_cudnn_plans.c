// SPDX-License-Identifier: Apache-2.0
// test_cudnn_plans LIBRARY SM PRECISION all|some: cuDNN itself is asked, for a card that is not
// here, about every distinct convolution and batch norm, forward and backward, of a training step
// of ResNet-18, ResNet-50 and IResNet-50 on 256 pictures of 224 x 224 and of 112 x 112, by the very
// code that plans them on a device. For each it must offer an engine that the precision allows;
// `all` also makes every plan to the end. `some` makes the plans of all convolutions that stand
// alone, and, of what cuDNN compiles at run time (batch norm, a gradient with a sum; a second
// each), the first of each pattern and the engines' promise for the others. The same layers on 128
// pictures: the promise. Batch norm with PReLU, and with a sum but no ReLU, is not cuDNN's work but
// our kernels'.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"
#include "layers.h"
#include "op_dims.h"

enum { BATCH = 256, MAX_PATTERNS = 64, MAX_WORKSPACE = 72 << 20, TEXT = 200 };

typedef struct { // of libfacet_cuda.so
    fct_status (*describe)(fct_cuda *b, const char *json, int only_lists);
    void (*destroy)(fct_cuda *b);
    fct_status (*bn_prepare)(fct_cuda *b, fct_cuda_plan *p);
    void (*bn_release)(fct_cuda_plan *p);
    const fct_cuda_family *conv;
} library;

typedef struct {
    const char *name;
    int sm, multiprocessors, shared_bytes, l2_bytes;
    long long bytes;
} card;

static const card cards[] = {
    { "NVIDIA A100-SXM4-80GB", 80, 108, 166912, 41943040, 84987740160 },
    { "NVIDIA H100 80GB HBM3", 90, 132, 232448, 52428800, 85017493504 },
    { "NVIDIA B200", 100, 148, 232448, 132644864, 191501107200 },
};

static const struct {
    const char *name;
    fct_precision precision;
    fct_kept kept;
} precisions[] = { { "f32", FCT_PRECISION_F32, FCT_KEPT_F32 },
                   { "tf32", FCT_PRECISION_TF32, FCT_KEPT_F32 },
                   { "bf16", FCT_PRECISION_BF16, FCT_KEPT_BF16 },
                   { "fp16", FCT_PRECISION_FP16, FCT_KEPT_F16 } };

typedef struct { // layers that cuDNN compiles the same way but for sizes
    fct_op op;
    int add, relu, kernel, stride;
} pattern;

typedef struct {
    library lib;
    fct_cuda plans, lists; // the same device; `lists` makes no plans
    int make_all;
    pattern seen[MAX_PATTERNS];
    int patterns;
    int planned, promised, ours, missing;
    size_t largest;
    char largest_text[TEXT];
} test;

static int load(const char *path, library *out)
{
    void *l = dlopen(path, RTLD_LAZY);
    if (!l) {
        fprintf(stderr, "%s\n", dlerror());
        return 0;
    }
    *(void **)&out->describe = dlsym(l, "fct_cuda_dnn_describe");
    *(void **)&out->destroy = dlsym(l, "fct_cuda_dnn_destroy");
    *(void **)&out->bn_prepare = dlsym(l, "fct_dnn_bn_prepare");
    *(void **)&out->bn_release = dlsym(l, "fct_dnn_bn_release");
    out->conv = dlsym(l, "fct_cuda_conv");
    return out->describe && out->destroy && out->bn_prepare && out->bn_release && out->conv;
}

// What a CUDA 13.0 driver says of the card.
static void describe(const card *c, char *out, size_t size)
{
    snprintf(out, size,
             "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
             "\"regsPerBlock\":65536,\"multiProcessorCount\":%d,\"warpSize\":32,"
             "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":%d,"
             "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,"
             "\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,"
             "\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,"
             "\"totalGlobalMem\":%lld,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,"
             "\"l2CacheSize\":%d,\"cudaDeviceId\":0,\"deviceVer\":%d,\"driverVer\":13000,"
             "\"deviceName\":\"%s\"}",
             c->multiprocessors, c->shared_bytes, c->bytes, c->l2_bytes, 10 * c->sm, c->name);
}

static int is_bn(const fct_op_desc *d)
{
    return d->op == FCT_OP_BN_FWD || d->op == FCT_OP_BN_BWD;
}

static int has_sum(const fct_op_desc *d)
{
    return d->op == FCT_OP_CONV_BWD_DATA && d->attr.conv.add;
}

static int is_ours(const fct_op_desc *d)
{
    return is_bn(d) &&
           (d->attr.bn.prelu || (d->op == FCT_OP_BN_FWD && d->attr.bn.add && !d->attr.bn.relu));
}

static void name_layer(const fct_op_desc *d, char out[TEXT])
{
    if (is_bn(d)) {
        fct_plane_dims v = fct_op_plane_dims(d);
        snprintf(out, TEXT, "%s n%lld c%lld %lldx%lld%s%s", fct_op_name(d->op), (long long)v.n,
                 (long long)v.c, (long long)v.h, (long long)v.w, d->attr.bn.add ? " add" : "",
                 d->attr.bn.relu ? " relu" : "");
        return;
    }
    fct_conv_dims v = fct_op_conv_dims(d);
    snprintf(out, TEXT, "%s n%lld c%lld %lldx%lld k%lld r%d s%d%s", fct_op_name(d->op),
             (long long)v.n, (long long)v.c, (long long)v.h, (long long)v.w, (long long)v.k, v.r,
             v.stride, has_sum(d) ? " add" : "");
}

// 1 at the first layer of its pattern.
static int is_new(test *t, const fct_op_desc *d)
{
    pattern p;
    memset(&p, 0, sizeof p);
    p.op = d->op;
    p.add = is_bn(d) ? d->attr.bn.add : 1;
    p.relu = is_bn(d) && d->attr.bn.relu;
    p.kernel = is_bn(d) ? 0 : d->attr.conv.kernel;
    p.stride = is_bn(d) ? 0 : d->attr.conv.stride;
    for (int i = 0; i < t->patterns; i++)
        if (memcmp(&t->seen[i], &p, sizeof p) == 0)
            return 0;
    if (t->patterns < MAX_PATTERNS)
        t->seen[t->patterns++] = p;
    return 1;
}

static void check(test *t, const fct_op_desc *d, int only_promise)
{
    char text[TEXT];
    int list = only_promise || (!t->make_all && (is_bn(d) || has_sum(d)) && !is_new(t, d));
    fct_cuda *b = list ? &t->lists : &t->plans;
    fct_cuda_plan p = { .b = b };
    p.base.desc = *d;
    if (is_ours(d)) {
        t->ours++;
        return;
    }
    fct_status s = is_bn(d) ? t->lib.bn_prepare(b, &p) : t->lib.conv->prepare(b, &p);
    name_layer(d, text);
    if (s != FCT_OK) {
        t->missing++;
        printf("%s: %s %s\n", text, fct_status_name(s), fct_fail_text());
        fct_fail_clear();
    }
    if (p.workspace_bytes > t->largest && !list) {
        t->largest = p.workspace_bytes;
        snprintf(t->largest_text, TEXT, "%s", text);
    }
    *(list ? &t->promised : &t->planned) += s == FCT_OK;
    if (is_bn(d))
        t->lib.bn_release(&p);
    else
        t->lib.conv->release(&p);
}

static fct_status check_batch(test *t, int64_t batch, int only_promise)
{
    static const char *const networks[] = { "resnet18", "resnet50", "iresnet50" };
    static const int sizes[] = { 224, 112 };
    fct_layers layers = { 0 };
    fct_status s = FCT_OK;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        for (size_t j = 0; s == FCT_OK && j < sizeof sizes / sizeof *sizes; j++)
            s = fct_layers_add(&layers, networks[i], sizes[j], batch);
    for (int i = 0; s == FCT_OK && i < layers.n; i++)
        check(t, &layers.at[i], only_promise);
    fct_layers_release(&layers);
    return s;
}

static fct_status start(test *t, const char *sm, const char *precision)
{
    char json[1500];
    const card *c = NULL;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        if (cards[i].sm == (int)strtol(sm, NULL, 10))
            c = &cards[i];
    if (!c)
        return FCT_FAIL(FCT_E_ARG, "no card of sm %s", sm);
    t->plans.sm = c->sm;
    t->plans.multiprocessors = c->multiprocessors;
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
        if (strcmp(precisions[i].name, precision) == 0) {
            t->plans.precision = precisions[i].precision;
            t->plans.kept = precisions[i].kept;
        }
    t->lists = t->plans;
    describe(c, json, sizeof json);
    FCT_TRY(t->lib.describe(&t->plans, json, 0));
    return t->lib.describe(&t->lists, json, 1);
}

int main(int argc, char **argv)
{
    static test t;
    if (argc != 5 || !load(argv[1], &t.lib))
        return 2;
    t.make_all = strcmp(argv[4], "all") == 0;
    fct_status s = start(&t, argv[2], argv[3]);
    if (s == FCT_OK)
        s = check_batch(&t, BATCH, 0);
    if (s == FCT_OK)
        s = check_batch(&t, BATCH / 2, 1);
    if (s != FCT_OK)
        fprintf(stderr, "%s\n", fct_fail_text());
    printf("sm_%s %s: %d plans made, %d promised, %d missing, %d left to our kernels\n"
           "largest workspace %.1f MB: %s\n",
           argv[2], argv[3], t.planned, t.promised, t.missing, t.ours, (double)t.largest / 1e6,
           t.largest_text);
    t.lib.destroy(&t.plans);
    t.lib.destroy(&t.lists);
    return s != FCT_OK || t.missing || t.planned < 100 || t.largest > MAX_WORKSPACE;
}
