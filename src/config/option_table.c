// SPDX-License-Identifier: Apache-2.0
// options.def as an array, and looking up keys in it.
#include <string.h>

#include "option_table.h"

#define INITIAL_INT(x)   #x
#define INITIAL_REAL(x)  #x
#define INITIAL_BOOL(x)  #x
#define INITIAL_STR(x)   x
#define INITIAL_LIST(x)  x
#define INITIAL_TIME(x)  #x
#define INITIAL_BYTES(x) #x

const fct_option fct_option_table[] = {
#define OPT(section, field, kind, initial, low, high, unit, help)                                  \
    { #section "." #field,                                                                         \
      #section,                                                                                    \
      #field,                                                                                      \
      FCT_OPTION_##kind,                                                                           \
      offsetof(fct_options, section##_##field),                                                    \
      INITIAL_##kind(initial),                                                                     \
      low,                                                                                         \
      high,                                                                                        \
      unit,                                                                                        \
      help },
#include "options.def"
#undef OPT
};

enum { COUNT = sizeof fct_option_table / sizeof *fct_option_table };
const int fct_option_count = COUNT;

const fct_option *fct_option_find(const char *key)
{
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(fct_option_table[i].key, key))
            return &fct_option_table[i];
    return NULL;
}

int fct_option_is_section(const char *name)
{
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(fct_option_table[i].section, name))
            return 1;
    return 0;
}

// "train.batch_size" means data.batch_size: the field's name weighs more than the section's.
static const char *nearest(const char *key)
{
    const char *names[COUNT], *dot = strrchr(key, '.'), *field = dot ? dot + 1 : key;
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(fct_option_table[i].field, field))
            return fct_option_table[i].key;
    for (int i = 0; i < COUNT; i++)
        names[i] = fct_option_table[i].key;
    const char *found = fct_text_nearest(key, names, COUNT);
    if (found)
        return found;
    for (int i = 0; i < COUNT; i++)
        names[i] = dot ? fct_option_table[i].field : fct_option_table[i].section;
    found = fct_text_nearest(field, names, COUNT);
    for (int i = 0; i < COUNT && found && dot; i++)
        if (names[i] == found)
            return fct_option_table[i].key;
    return found;
}

fct_status fct_option_fail_unknown(const char *where, const char *key)
{
    const char *guess = nearest(key);
    if (guess)
        return FCT_FAIL(FCT_E_ARG, "%s: %.100s: unknown option, did you mean %s?", where, key,
                        guess);
    return FCT_FAIL(FCT_E_ARG, "%s: %.100s: unknown option\n`facet config` lists them", where, key);
}

const char *fct_option_wants(const fct_option *option)
{
    static const char *const texts[] = {
        [FCT_OPTION_INT] = "a whole number",
        [FCT_OPTION_REAL] = "a number",
        [FCT_OPTION_BOOL] = "true or false",
        [FCT_OPTION_STR] = "a string in quotes",
        [FCT_OPTION_LIST] = "a string or an array of strings",
        [FCT_OPTION_TIME] = "seconds or a string such as \"90 s\"",
        [FCT_OPTION_BYTES] = "bytes or a string such as \"64 MiB\"",
    };
    return texts[option->kind];
}
