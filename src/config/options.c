// SPDX-License-Identifier: Apache-2.0
// Options from defaults, a file and the command line, in this order.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "option_table.h"
#include "options_file.h"

void fct_options_destroy(fct_options *o)
{
    for (int i = 0; o && i < fct_option_count; i++)
        fct_option_release(o, &fct_option_table[i]);
    free(o);
}

static fct_status create_with_defaults(fct_options **out)
{
    fct_options *o = calloc(1, sizeof *o);
    if (!o)
        return FCT_FAIL_NOMEM(sizeof *o, "the options");
    for (int i = 0; i < fct_option_count; i++) {
        const fct_option *option = &fct_option_table[i];
        fct_status status = fct_option_set(o, option, option->initial, "default");
        if (status != FCT_OK) {
            fct_options_destroy(o);
            return status;
        }
    }
    *out = o;
    return FCT_OK;
}

fct_status fct_options_set(fct_options *o, const char *key, const char *value, const char *where)
{
    const fct_option *option = fct_option_find(key);
    return option ? fct_option_set(o, option, value, where) : fct_option_fail_unknown(where, key);
}

static fct_status set_argument(fct_options *o, const char *argument)
{
    const char *equals = strchr(argument, '=');
    char key[128];
    if (!equals)
        return FCT_FAIL(FCT_E_ARG, "command line: %.100s: an option is written key=value",
                        argument);
    snprintf(key, sizeof key, "%.*s", (int)(equals - argument), argument);
    return fct_options_set(o, key, equals + 1, "command line");
}

// What no single row can say.
static fct_status check_pairs(const fct_options *o)
{
    const struct {
        const char *low_key, *high_key;
        double low, high;
    } pairs[] = {
        { "augment.scale_min", "augment.scale_max", o->augment_scale_min, o->augment_scale_max },
        { "loss.log_var_min", "loss.log_var_init", o->loss_log_var_min, o->loss_log_var_init },
        { "loss.log_var_init", "loss.log_var_max", o->loss_log_var_init, o->loss_log_var_max },
        { "schedule.floor", "optim.learning_rate", o->schedule_floor, o->optim_learning_rate },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].low > pairs[i].high)
            return FCT_FAIL(FCT_E_ARG, "%s = %g is larger than %s = %g", pairs[i].low_key,
                            pairs[i].low, pairs[i].high_key, pairs[i].high);
    return FCT_OK;
}

fct_status fct_options_load(const char *file, char *const *argument, int n, fct_options **out)
{
    fct_options *o = NULL;
    FCT_TRY(create_with_defaults(&o));
    fct_status status = file ? fct_options_read_file(o, file) : FCT_OK;
    for (int i = 0; i < n && status == FCT_OK; i++)
        status = set_argument(o, argument[i]);
    if (status == FCT_OK)
        status = check_pairs(o);
    if (status != FCT_OK)
        fct_options_destroy(o);
    else
        *out = o;
    return status;
}

fct_status fct_options_parse(const char *text, const char *name, fct_options **out)
{
    fct_options *o = NULL;
    FCT_TRY(create_with_defaults(&o));
    fct_status status = fct_options_read_text(o, text, name);
    if (status == FCT_OK)
        status = check_pairs(o);
    if (status != FCT_OK)
        fct_options_destroy(o);
    else
        *out = o;
    return status;
}
