// SPDX-License-Identifier: Apache-2.0
// Every option: read from src/config/options.def, which alone names it, its default and its range.
#ifndef FACET_OPTIONS_H
#define FACET_OPTIONS_H

#include <stdint.h>

#include "text.h"

typedef struct {
    int n;
    char **item;
} fct_list;

// Field of key "data.batch_size": o->data_batch_size.
typedef struct {
#define FCT_TYPE_INT                                           int64_t
#define FCT_TYPE_REAL                                          double
#define FCT_TYPE_BOOL                                          int
#define FCT_TYPE_STR                                           char *
#define FCT_TYPE_LIST                                          fct_list
#define FCT_TYPE_TIME                                          double
#define FCT_TYPE_BYTES                                         int64_t
#define OPT(section, field, kind, dflt, low, high, unit, help) FCT_TYPE_##kind section##_##field;
#include "../../src/config/options.def"
#undef OPT
} fct_options;

// Not collective. Defaults, then the file (NULL: none), then "key=value" arguments in order.
// E_ARG says `file:line: key: what is wrong`, with the nearest name for an unknown key.
fct_status fct_options_load(const char *file, char *const *argument, int n, fct_options **out);
// The same from a configuration's text (a checkpoint's); `name` is for messages.
fct_status fct_options_parse(const char *text, const char *name, fct_options **out);
void fct_options_destroy(fct_options *o);
// Not collective. Sets one key as the command line would.
fct_status fct_options_set(fct_options *o, const char *key, const char *value, const char *where);
// Not collective. A libconfig file that loads to the same options.
void fct_options_print(const fct_options *o, fct_text *out);
uint64_t fct_options_hash(const fct_options *o); // equal on all ranks, or something is wrong
// Not collective. Appends "KEY (VALUE THEN -> VALUE NOW), ..." of the options that differ and whose
// key `is_wanted`.
void fct_options_differences(const fct_options *then, const fct_options *now,
                             int (*is_wanted)(const char *key), fct_text *out);
// Documentation of one key, a section, or all (NULL), for the terminal or as docs/options.md.
// E_ARG with the nearest key when unknown.
fct_status fct_options_help(const char *key, int markdown, fct_text *out);

#endif
