// SPDX-License-Identifier: Apache-2.0
// Options out of libconfig's text; the only place that knows libconfig.
#ifndef FACET_OPTIONS_FILE_H
#define FACET_OPTIONS_FILE_H

#include "facet/options.h"

// Not collective. Sets what the file says; E_ARG worded "file:line: key: why".
fct_status fct_options_read_file(fct_options *o, const char *path);
fct_status fct_options_read_text(fct_options *o, const char *text, const char *name);

#endif
