// SPDX-License-Identifier: Apache-2.0
// A configuration's text with its includes put in, and the place each of its lines came from.
#ifndef FACET_CONFIG_SOURCE_H
#define FACET_CONFIG_SOURCE_H

#include "facet/path.h"
#include "facet/text.h"

enum {
    FCT_CONFIG_MAX_BYTES = 1 << 20,  // of all files together
    FCT_CONFIG_MAX_FILES = 64,       // included ones counted as often as they are included
    FCT_CONFIG_MAX_DEPTH = 8,        // of includes in includes
    FCT_CONFIG_MAX_SETTINGS = 4096,  // libconfig compares each new name with all before it
    FCT_CONFIG_MAX_WORD_BYTES = 255, // libconfig needs quadratic time for a bare word
    FCT_CONFIG_MAX_STRING_BYTES = 16384
};

typedef struct {
    int file, line;
} fct_config_place;

typedef struct {
    fct_text text;
    char root[FCT_PATH_MAX]; // real path of the folder that includes must stay in; "": none allowed
    char *file[FCT_CONFIG_MAX_FILES];
    int files, settings;
    fct_config_place *place; // (lines) of each line of `text`
    int lines, lines_capacity;
} fct_config_source;

// Not collective. Reads `path` and what it includes, within the limits above. Integers that do not
// fit 32 bits get libconfig's L, without which it cuts them silently; beyond 64 bits they are
// refused. Errors are worded "file:line: why". *out: release in any case.
fct_status fct_config_source_read(const char *path, fct_config_source *out);
// The same from a text in memory, which may not include anything; `name` is for messages.
fct_status fct_config_source_from_text(const char *text, const char *name, fct_config_source *out);
void fct_config_source_release(fct_config_source *source);
// "configs/a.cfg:12" for a line (from 1) of the text.
void fct_config_source_where(const fct_config_source *source, int line, char out[FCT_PATH_MAX]);

#endif
