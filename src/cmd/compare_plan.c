// SPDX-License-Identifier: Apache-2.0
// What the arguments of `facet compare` name: run directories, configurations, and values for them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_inspect.h"
#include "compare.h"

// A key holds no slash, as in fct_args_options.
static int is_value(const char *argument)
{
    return strcspn(argument, "=") < strcspn(argument, "/") && strchr(argument, '=');
}

// "pretrain" of "configs/pretrain.cfg" and of "runs/pretrain/".
static fct_status name_of(const char *path, char out[64])
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (end - start > 4 && !strncmp(path + end - 4, ".cfg", 4))
        end -= 4;
    if (end - start >= 64 || memchr(path + start, ':', end - start))
        return FCT_FAIL(FCT_E_ARG, "%s: its name is over 63 characters or holds a colon", path);
    snprintf(out, 64, "%.*s", (int)(end - start), path + start);
    return FCT_OK;
}

static const fct_compare_entry *find(const fct_compare_plan *p, const char *name, size_t n)
{
    for (int i = 0; i < p->n; i++)
        if (strlen(p->entry[i].name) == n && !strncmp(p->entry[i].name, name, n))
            return &p->entry[i];
    return NULL;
}

// The values of configuration `name` among the arguments, those for it alone last.
static int collect_values(int n, char **argument, const char *name, char **out)
{
    int values = 0;
    size_t length = strlen(name);
    for (int i = 0; i < n; i++)
        if (is_value(argument[i]) && strcspn(argument[i], ":") > strcspn(argument[i], "="))
            out[values++] = argument[i];
    for (int i = 0; i < n; i++)
        if (is_value(argument[i]) && !strncmp(argument[i], name, length) &&
            argument[i][length] == ':')
            out[values++] = argument[i] + length + 1;
    return values;
}

// "@NAME": the best checkpoint of the run NAME before this one.
static fct_status resolve_init(const fct_compare_plan *p, fct_compare_entry *e)
{
    char path[FCT_PATH_MAX];
    const char *from = e->options->init_from;
    if (from[0] != '@')
        return FCT_OK;
    const fct_compare_entry *source = find(p, from + 1, strlen(from + 1));
    if (!source)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: init.from is %s, but no run before it is called so\n"
                        "give that run's directory or configuration before this one",
                        e->name, from);
    FCT_TRY(fct_path_join(path, source->path, "checkpoints/best"));
    return fct_options_set(e->options, "init.from", path, e->name);
}

static fct_status add_config(int n, char **argument, const char *path, const char *output,
                             fct_compare_plan *p)
{
    fct_compare_entry *e = &p->entry[p->n];
    if (!output)
        return FCT_FAIL(FCT_E_ARG, "%s: is to be trained, but where?\ngive -o DIR", path);
    if (find(p, e->name, strlen(e->name)))
        return FCT_FAIL(FCT_E_ARG, "%s: another run before it is called %s too", path, e->name);
    char **value = calloc((size_t)n, sizeof *value);
    if (!value)
        return FCT_FAIL_NOMEM((size_t)n * sizeof *value, "the arguments");
    int values = collect_values(n, argument, e->name, value);
    fct_status status = fct_options_load(path, value, values, &e->options);
    free(value);
    FCT_TRY(status);
    FCT_TRY(fct_path_join(e->path, output, e->name));
    status = fct_options_set(e->options, "run.dir", e->path, path);
    if (status == FCT_OK)
        status = resolve_init(p, e);
    p->n++; // its options are the plan's now
    return status;
}

static fct_status add(int n, char **argument, const char *path, const char *output,
                      fct_compare_plan *p)
{
    fct_compare_entry *e = &p->entry[p->n];
    if (p->n == FCT_COMPARE_MOST)
        return FCT_FAIL(FCT_E_ARG, "more than %d runs to compare", FCT_COMPARE_MOST);
    FCT_TRY(name_of(path, e->name));
    if (fct_path_is_file(path))
        return add_config(n, argument, path, output, p);
    if (!fct_inspect_is_run(path))
        return FCT_FAIL(FCT_E_ARG, "%s: neither a run directory nor a configuration file", path);
    FCT_TRY(fct_path_join(e->path, path, ""));
    for (size_t k = strlen(e->path); k > 1 && e->path[k - 1] == '/';)
        e->path[--k] = 0;
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->entry[i].path, e->path))
            return FCT_FAIL(FCT_E_ARG, "%s: is there twice", e->path);
    p->n++;
    return FCT_OK;
}

// Every value must be for something that is trained.
static fct_status check_values(const fct_compare_plan *p, int n, char **argument)
{
    int configs = 0;
    for (int i = 0; i < p->n; i++)
        configs += p->entry[i].options != NULL;
    for (int i = 0; i < n; i++) {
        if (!is_value(argument[i]))
            continue;
        size_t colon = strcspn(argument[i], ":"), equals = strcspn(argument[i], "=");
        const fct_compare_entry *e = colon < equals ? find(p, argument[i], colon) : NULL;
        if (colon < equals && !(e && e->options))
            return FCT_FAIL(FCT_E_ARG, "%s: no configuration here is called %.*s", argument[i],
                            (int)colon, argument[i]);
        if (configs == 0)
            return FCT_FAIL(FCT_E_ARG,
                            "%s: changes nothing\nrun directories are compared as they are; "
                            "key=value is for configurations",
                            argument[i]);
    }
    return FCT_OK;
}

fct_status fct_compare_plan_read(int n, char **argument, const char *output, fct_compare_plan *out)
{
    for (int i = 0; i < n; i++)
        if (!is_value(argument[i]))
            FCT_TRY(add(n, argument, argument[i], output, out));
    FCT_TRY(check_values(out, n, argument));
    return out->n >= 2 ? FCT_OK
                       : FCT_FAIL(FCT_E_ARG, "compares at least two runs or configurations\n"
                                             "facet inspect RUN shows one");
}

void fct_compare_plan_release(fct_compare_plan *p)
{
    for (int i = 0; i < p->n; i++)
        fct_options_destroy(p->entry[i].options);
}
