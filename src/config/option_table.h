// SPDX-License-Identifier: Apache-2.0
// The rows of options.def as data; what the files of this folder share.
#ifndef FACET_OPTION_TABLE_H
#define FACET_OPTION_TABLE_H

#include "facet/options.h"

enum { FCT_OPTION_MAX_BYTES = 4096 }; // of a string, or of a list's item

typedef enum {
    FCT_OPTION_INT,
    FCT_OPTION_REAL,
    FCT_OPTION_BOOL,
    FCT_OPTION_STR,
    FCT_OPTION_LIST,
    FCT_OPTION_TIME,
    FCT_OPTION_BYTES
} fct_option_kind;

typedef struct {
    const char *key, *section, *field; // "data.batch_size", "data", "batch_size"
    fct_option_kind kind;
    size_t offset;       // in fct_options
    const char *initial; // default, as the command line would write it
    double low, high;
    const char *unit; // or the choices, "adamw|sgd"
    const char *help;
} fct_option;

extern const fct_option fct_option_table[];
extern const int fct_option_count;

const fct_option *fct_option_find(const char *key); // NULL when there is none
int fct_option_is_section(const char *name);
// E_ARG: "WHERE: KEY: unknown option, did you mean ...?"
fct_status fct_option_fail_unknown(const char *where, const char *key);
// "a whole number", "true or false": what a value of this kind must be
const char *fct_option_wants(const fct_option *option);

// All leave *o as it was when they fail; `where` begins the message.
// From text as on the command line; a LIST is split at commas.
fct_status fct_option_set(fct_options *o, const fct_option *option, const char *value,
                          const char *where);
fct_status fct_option_set_list(fct_options *o, const fct_option *option, char *const *item, int n,
                               const char *where);
void fct_option_release(fct_options *o, const fct_option *option);
// The value as a configuration file writes it.
void fct_option_print(const fct_options *o, const fct_option *option, fct_text *out);

// "1.5 GiB", "10 MB", "4096"; "90 s", "5 min", "2 h", "250 ms". E_ARG without a message.
fct_status fct_option_parse_bytes(const char *text, double *out);
fct_status fct_option_parse_time(const char *text, double *out);

#endif
