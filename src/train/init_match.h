// SPDX-License-Identifier: Apache-2.0
// Which tensors of a checkpoint become which parameters of another model: by name, after prefixes
// are replaced and stripped, and by shape. Pure: no file, no device.
#ifndef FACET_INIT_MATCH_H
#define FACET_INIT_MATCH_H

#include "facet/checkpoint.h"
#include "facet/graph.h"
#include "facet/options.h"
#include "facet/text.h"

typedef struct {
    fct_list strip;  // prefixes, taken off as often as it takes to make a name of the model
    fct_list rename; // "from=to": the first whose `from` begins a name replaces it, once
    const char *const *other_classes; // prefixes of heads that are not taken: their classes differ
    int n_other_classes;
} fct_init_rules;

typedef enum { // what became of a parameter of the model
    FCT_INIT_TAKEN,
    FCT_INIT_MISSING, // the file has no such name
    FCT_INIT_SHAPE,   // it has it in another shape
    FCT_INIT_CLASSES, // of a head of other classes
    FCT_INIT_OWN,     // how tasks are balanced: the new training's affair
    FCT_INIT_FATES
} fct_init_fate;

typedef struct {
    int n;               // parameters of the model
    fct_init_fate *fate; // (n)
    int *source;         // (n) its tensor among the checkpoint's blobs, -1: none
    int n_unexpected;    // tensors of the checkpoint that became nothing
    int *unexpected;     // among its blobs
    double share;        // values taken of those of the backbone, 0..1
} fct_init_match;

// Not collective. `inside`: "model" or "optim/ema", the group of the checkpoint that is read;
// `table` has the model's n parameters. E_ARG: a rule without '=', two tensors that become one
// parameter.
fct_status fct_init_match_create(const fct_init_rules *rules, const fct_blobs *state,
                                 const char *inside, const fct_param *table, int n,
                                 fct_init_match *out);
void fct_init_match_release(fct_init_match *m);
int fct_init_match_count(const fct_init_match *m, fct_init_fate fate);
// Adds the counts and the first few names of everything that was not taken: "" when all was.
void fct_init_match_words(const fct_init_match *m, const fct_blobs *state, const fct_param *table,
                          const char *separator, fct_text *text);
// Adds all names: lines of fate, name here, name in the file, shape here, shape in the file,
// separated by tabs; "-" where there is none.
void fct_init_match_list(const fct_init_match *m, const fct_blobs *state, const fct_param *table,
                         fct_text *text);

#endif
