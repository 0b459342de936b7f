// SPDX-License-Identifier: Apache-2.0
// The members of a sweep: one configuration for each combination of values.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submit.h"

enum { MOST_MEMBERS = 1000, MOST_KEYS = 16, MOST_VALUE = 256 };

typedef struct {
    const char *key; // "loss.landmark_weight=0.1,0.2"
    size_t key_length;
    int n;
} axis;

static fct_status read_axis(const char *text, axis *out)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return FCT_FAIL(FCT_E_ARG, "--sweep %.100s: is written key=value,value,...", text);
    *out = (axis){ text, (size_t)(equals - text), 1 };
    for (const char *p = equals + 1; *p; p++)
        out->n += *p == ',';
    return FCT_OK;
}

// "key=value" with the value number k.
static fct_status setting_of(const axis *a, int k, char out[MOST_VALUE])
{
    const char *value = a->key + a->key_length + 1;
    for (; k > 0; k--)
        value = strchr(value, ',') + 1;
    int n = snprintf(out, MOST_VALUE, "%.*s=%.*s", (int)a->key_length, a->key,
                     (int)strcspn(value, ","), value);
    return n < MOST_VALUE ? FCT_OK : FCT_FAIL(FCT_E_ARG, "--sweep %.100s...: too long", a->key);
}

// The member's folder: its number, and what was set, without the section's name.
static void add_to_name(fct_member *m, const char *setting)
{
    size_t n = strlen(m->name);
    const char *dot = strchr(setting, '.');
    snprintf(m->name + n, sizeof m->name - n, "-%s",
             dot && dot < strchr(setting, '=') ? dot + 1 : setting);
    for (char *p = m->name; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=+-", *p))
            *p = '_';
}

static fct_status make_member(const axis *axes, int keys, int index, int n, char **argument,
                              const char *folder, fct_member *out)
{
    char setting[MOST_KEYS][MOST_VALUE], path[FCT_PATH_MAX];
    char **all = malloc((size_t)(n + keys) * sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM((size_t)(n + keys) * sizeof *all, "a sweep");
    memcpy(all, argument, (size_t)n * sizeof *all);
    snprintf(out->name, sizeof out->name, "%03d", index);
    fct_status status = FCT_OK;
    int choice[MOST_KEYS];
    for (int k = keys - 1, rest = index; k >= 0; rest /= axes[k].n, k--)
        choice[k] = rest % axes[k].n;
    for (int k = 0; k < keys && status == FCT_OK; k++) {
        status = setting_of(&axes[k], choice[k], setting[k]);
        all[n + k] = setting[k];
        if (status == FCT_OK)
            add_to_name(out, setting[k]);
    }
    if (status == FCT_OK)
        status = fct_args_options(n + keys, all, &out->options);
    if (status == FCT_OK)
        status = fct_path_join(path, folder, out->name);
    if (status == FCT_OK)
        status = fct_options_set(out->options, "run.dir", path, "--sweep");
    free(all);
    return status;
}

fct_status fct_sweep_create(const fct_arg_list *sweep, int n, char **argument, const char *folder,
                            fct_sweep *out)
{
    axis axes[MOST_KEYS];
    int64_t members = 1;
    *out = (fct_sweep){ 0 };
    for (int k = 0; k < sweep->n; k++) {
        FCT_TRY(read_axis(sweep->item[k], &axes[k]));
        members *= axes[k].n;
        if (members > MOST_MEMBERS)
            return FCT_FAIL(FCT_E_ARG, "--sweep: more than %d members", MOST_MEMBERS);
    }
    out->member = calloc((size_t)members, sizeof *out->member);
    if (!out->member)
        return FCT_FAIL_NOMEM((size_t)members * sizeof *out->member, "a sweep");
    for (int i = 0; i < (int)members; i++) {
        out->n++;
        FCT_TRY(make_member(axes, sweep->n, i, n, argument, folder, &out->member[i]));
    }
    return FCT_OK;
}

void fct_sweep_release(fct_sweep *s)
{
    for (int i = 0; i < s->n; i++)
        fct_options_destroy(s->member[i].options);
    free(s->member);
    *s = (fct_sweep){ 0 };
}
