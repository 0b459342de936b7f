// SPDX-License-Identifier: Apache-2.0
// The identity head's element-wise work on the device: addresses, and head.cu's kernels.
#include "cuda.h"
#include "head_kernels.h"

static fct_head_at locate(const fct_head_work *w)
{
    return (fct_head_at){ .n = w->n,
                          .room = w->room,
                          .m = w->m,
                          .base = w->base,
                          .first = w->first,
                          .r = w->r,
                          .classes = w->classes,
                          .low = w->low,
                          .high = w->high,
                          .chosen_n = w->chosen_n,
                          .centres = w->centres,
                          .features = w->features,
                          .margin = w->margin,
                          .embedding = fct_cuda_slice(w->embedding),
                          .given = fct_cuda_slice(w->given),
                          .scalars = fct_cuda_slice(w->scalars),
                          .dembedding = fct_cuda_slice(w->dembedding),
                          .sums = fct_cuda_slice(w->sums),
                          .own_x = fct_cuda_slice(w->own_x),
                          .own_label = fct_cuda_slice(w->own_label),
                          .length = fct_cuda_slice(w->length),
                          .force = fct_cuda_slice(w->force),
                          .x = fct_cuda_slice(w->x),
                          .label = fct_cuda_slice(w->label),
                          .dx = fct_cuda_slice(w->dx),
                          .weight = fct_cuda_slice(w->weight),
                          .dweight = fct_cuda_slice(w->dweight),
                          .chosen = fct_cuda_slice(w->chosen),
                          .inverse = fct_cuda_slice(w->inverse),
                          .z = fct_cuda_slice(w->z),
                          .largest = fct_cuda_slice(w->largest),
                          .total = fct_cuda_slice(w->total),
                          .local = fct_cuda_slice(w->local),
                          .column = fct_cuda_slice(w->column),
                          .slope = fct_cuda_slice(w->slope),
                          .cosine = fct_cuda_slice(w->cosine),
                          .found = fct_cuda_slice(w->found) };
}

static cudaStream_t stream_of(fct_backend *b)
{
    return ((fct_cuda *)b)->stream[FCT_STREAM_COMPUTE];
}

static fct_status launch(fct_backend *b, const fct_head_work *w,
                         cudaError_t (*kernel)(const fct_head_at *at, cudaStream_t stream),
                         const char *what)
{
    const fct_head_at at = locate(w);
    return fct_cuda_check(kernel(&at, stream_of(b)), what);
}

static fct_status begin(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_begin, "the head's normalising embeddings");
}

static fct_status invert(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_invert, "the head's lengths of the weights");
}

static fct_status logits(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_logits, "the head's logits");
}

static fct_status exponentials(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_exponentials, "the head's sums of exponentials");
}

static fct_status add(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_add, "the head's sums of the losses");
}

static fct_status slopes(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_slopes, "the head's slopes of the logits");
}

static fct_status project(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_project, "the head's gradients along the weights");
}

static fct_status unwind(fct_backend *b, const fct_head_work *w)
{
    return launch(b, w, fct_head_launch_unwind, "the head's gradients of the embeddings");
}

static fct_status move(fct_backend *b, const fct_head_work *w, fct_slice all, fct_slice table,
                       int is_back)
{
    const fct_head_at at = locate(w);
    FCT_TRY_CUDA(fct_head_launch_move(&at, fct_cuda_slice(all), fct_cuda_slice(table), is_back,
                                      stream_of(b)));
    return FCT_OK;
}

static fct_status scan(fct_backend *b, const fct_head_work *w, int64_t first)
{
    const fct_head_at at = locate(w);
    FCT_TRY_CUDA(fct_head_launch_scan(&at, first, stream_of(b)));
    return FCT_OK;
}

const fct_device_head_ops fct_cuda_head = { .begin = begin,
                                            .invert = invert,
                                            .logits = logits,
                                            .exponentials = exponentials,
                                            .add = add,
                                            .slopes = slopes,
                                            .project = project,
                                            .unwind = unwind,
                                            .move = move,
                                            .scan = scan };
