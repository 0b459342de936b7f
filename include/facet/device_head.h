// SPDX-License-Identifier: Apache-2.0
// The identity head's work beside its matrix products, element by element: a table with one row for
// hosts (src/head/head_host.c) and one for devices. Letters as head.h's: N rows of this rank, M
// rows that the softmax works on here, C classes, K centres a class, E features, R rows of weights
// that train here. Nothing waits, and all of it may be recorded.
#ifndef FACET_DEVICE_HEAD_H
#define FACET_DEVICE_HEAD_H

#include "device.h"
#include "margin.h"

enum { // places in the float64 sums of a head, in the order of fct_head_sums
    FCT_HEAD_LOSS,
    FCT_HEAD_COUNT,
    FCT_HEAD_RIGHT,
    FCT_HEAD_TRIPLET,
    FCT_HEAD_ANCHORS,
    FCT_HEAD_SPREAD,
    FCT_HEAD_SUMS
};
enum { FCT_HEAD_DENOMINATOR, FCT_HEAD_FACTOR, FCT_HEAD_SHARE, FCT_HEAD_SCALARS }; // float64, too
enum {               // parts of `largest` and of `total`, M float64 each; the last is one number
    FCT_HEAD_MAX,    // largest logit
    FCT_HEAD_OTHER,  // largest cosine beside the true class's
    FCT_HEAD_TARGET, // the true class's cosine; -inf where it is not here
    FCT_HEAD_EXPONENTIALS = 0, // sum of exp(logit - max)
    FCT_HEAD_TRUE_LOGIT,       // 0 where it is not here
    FCT_HEAD_Z1,               // sum of scale * cosine
    FCT_HEAD_Z2,               // of its square
    FCT_HEAD_CLASSES           // that the softmax goes over
};

typedef struct { // what a step's scalars come to
    fct_margin margin;
    double weight; // of a row's gradient
} fct_head_force;

typedef struct {             // a row's prediction after the classes seen so far
    int64_t label, nearest;  // the true class, the one of the largest logit: -1 none yet
    double max, sum, target; // largest logit, sum of exp(logit - max), the true class's logit
} fct_head_nearest;

typedef struct {
    int64_t n, room;       // N; rows that its place has (E), those beyond N being nobody's
    int64_t m, base;       // M, and where they begin in x and label
    int64_t first;         // where the N begin in x and label
    int64_t r;             // R
    int64_t classes;       // C
    int64_t low, high;     // classes of this rank, of which
    int64_t chosen_n;      // so many train, when they are chosen
    int centres, features; // K, E
    fct_margin_spec margin;
    // The step's; see fct_head_train_device.
    fct_slice embedding, given; // F32 (N, E); labels int64 (N)
    fct_slice scalars;          // F64 (FCT_HEAD_SCALARS); no buffer: nothing will be trained
    fct_slice dembedding, sums; // F32 (N, E); F64 (FCT_HEAD_SUMS)
    // The batch.
    fct_slice own_x, own_label; // F32 (room, E) of length 1; int64 (room), -1 none
    fct_slice length;           // F64 (N), of the embeddings as they came
    fct_slice force;            // fct_head_force
    fct_slice x, label;         // of all rows: F32 (., E), int64 (.)
    fct_slice dx;               // F32 (N, E): d(loss)/dx of this rank's rows
    // Weights.
    fct_slice weight, dweight; // F32 (R, E)
    fct_slice chosen;          // int64 (chosen_n) classes, from low, ascending; no buffer: all
    fct_slice inverse;         // F32 (R): 1 / length; 0 for a row of zeros
    fct_slice coefficient;     // F32 (R), the table's own
    // The softmax.
    fct_slice z;              // F32 (M, R)
    fct_slice largest, total; // F64 (3 M), (4 M + 1)
    fct_slice column;         // int64 (M): of the true class's winner, -1 not here
    fct_slice slope, cosine;  // F32 (M): of the true class's logit, where it is here
    fct_slice local;          // F64 (M), the table's own
    fct_slice found;          // fct_head_nearest (M); predictions only
} fct_head_work;

// In the order of a step. None of them is collective.
typedef struct fct_device_head_ops {
    // embedding, given, scalars -> own_x, own_label, length, force. An embedding of zeros stays so.
    fct_status (*begin)(fct_backend *b, const fct_head_work *w);
    fct_status (*invert)(fct_backend *b, const fct_head_work *w); // weight -> inverse
    // z, dot products -> largest, total, column, slope, cosine, of what is here, with the margin.
    // Of a class only the nearest centre counts. What z holds from here to `slopes` is the table's
    // own.
    fct_status (*logits)(fct_backend *b, const fct_head_work *w);
    // `largest` is that of all ranks now: total's exponentials go by it.
    fct_status (*exponentials)(fct_backend *b, const fct_head_work *w);
    // Adds this rank's rows to sums, but for the triplets. NaN for a label beyond the classes.
    fct_status (*add)(fct_backend *b, const fct_head_work *w);
    // z becomes d(loss)/d(dot product).
    fct_status (*slopes)(fct_backend *b, const fct_head_work *w);
    // From dweight goes what is along the weights: they only turn. After `slopes` and the products.
    fct_status (*project)(fct_backend *b, const fct_head_work *w);
    // dx, d(loss)/d(unit embedding) -> dembedding.
    fct_status (*unwind)(fct_backend *b, const fct_head_work *w);
    // The rows of chosen classes, K E floats each: between `all`, which has those of every class of
    // this rank, and `table`, which has only them.
    fct_status (*move)(fct_backend *b, const fct_head_work *w, fct_slice all, fct_slice table,
                       int is_back);
    // z (M, r), dot products with the classes from `first` on: seen too, in `found`. Without
    // margin.
    fct_status (*scan)(fct_backend *b, const fct_head_work *w, int64_t first);
} fct_device_head_ops;

#endif
