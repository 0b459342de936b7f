// SPDX-License-Identifier: Apache-2.0
// Reads run directories, and finds the options in which they differ.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "facet/options.h"
#include "runs.h"

enum { MOST_RUNS = 4096, MOST_CONFIG_BYTES = 1 << 20 };

static int cut_lines(fct_text *text, char **line)
{
    int n = 0;
    for (char *at = text->data; at && *at && n < FCT_RUN_LINES;) {
        line[n++] = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = 0;
    }
    return n;
}

static fct_status read_config(fct_run *r)
{
    char file[FCT_PATH_MAX], *text;
    fct_options *o = NULL;
    FCT_TRY(fct_path_join(file, r->path, "config.cfg"));
    if (!fct_path_is_file(file))
        return FCT_OK;
    FCT_TRY(fct_path_read(file, MOST_CONFIG_BYTES, &text, NULL));
    fct_status status = fct_options_parse(text, file, &o);
    free(text);
    FCT_TRY(status);
    r->epochs = o->train_epochs;
    fct_options_print(o, &r->config);
    fct_options_destroy(o);
    r->lines = cut_lines(&r->config, r->line);
    return r->config.failed ? FCT_FAIL_NOMEM(1, file) : FCT_OK;
}

static const char *state_of(const fct_run *r)
{
    char last[FCT_PATH_MAX];
    if (r->epochs > 0 && r->metrics.rows >= r->epochs)
        return "done";
    if (r->metrics.rows > 0 ||
        (fct_path_join(last, r->path, "checkpoints/last") == FCT_OK && fct_path_is_file(last)))
        return "unfinished";
    return "not begun";
}

// A run that cannot be read is a row that says so: the others are still worth a table.
static void read_run(fct_run *r)
{
    const char *slash = strrchr(r->path, '/');
    r->name = slash ? slash + 1 : r->path;
    if (read_config(r) == FCT_OK && fct_run_metrics_read(r->path, &r->metrics) == FCT_OK) {
        r->state = state_of(r);
        return;
    }
    FCT_WARN("%s", fct_fail_text());
    fct_run_metrics_release(&r->metrics);
    r->metrics = (fct_run_metrics){ 0 };
    r->state = "unreadable";
}

fct_status fct_runs_add(fct_runs *all, const char *path)
{
    if (all->n == MOST_RUNS)
        return FCT_FAIL(FCT_E_ARG, "more than %d runs", MOST_RUNS);
    fct_run *more = realloc(all->run, (size_t)(all->n + 1) * sizeof *more);
    if (!more)
        return FCT_FAIL_NOMEM(sizeof *more, path);
    all->run = more;
    fct_run *r = &more[all->n++];
    *r = (fct_run){ 0 };
    FCT_TRY(fct_path_join(r->path, path, ""));
    for (size_t n = strlen(r->path); n > 1 && r->path[n - 1] == '/';)
        r->path[--n] = 0;
    return FCT_OK;
}

void fct_runs_read(fct_runs *all)
{
    for (int i = 0; i < all->n; i++)
        read_run(&all->run[i]);
}

void fct_runs_release(fct_runs *all)
{
    for (int i = 0; i < all->n; i++) {
        fct_run_metrics_release(&all->run[i].metrics);
        fct_text_release(&all->run[i].config);
    }
    free(all->run);
    *all = (fct_runs){ 0 };
}

// The value in "    field = value;", without quotes; "" when the run has no configuration.
void fct_run_value(const fct_runs *all, const fct_run *r, int k, char out[FCT_RUN_VALUE])
{
    int line = all->line[k];
    out[0] = 0;
    if (line >= r->lines)
        return;
    const char *at = strstr(r->line[line], " = ");
    if (!at)
        return;
    at += 3;
    int n = (int)strlen(at) - 1, quoted = n > 1 && at[0] == '"';
    snprintf(out, FCT_RUN_VALUE, "%.*s", n - 2 * quoted, at + quoted);
}

static int differs(const fct_runs *all, const fct_run *first, int line)
{
    for (int i = 0; i < all->n; i++)
        if (all->run[i].lines == first->lines &&
            strcmp(all->run[i].line[line], first->line[line]) != 0)
            return 1;
    return 0;
}

// "section.field" of a line "    field = value;".
static void name_key(const char *section, const char *text, char out[96])
{
    text += strspn(text, " ");
    snprintf(out, 96, "%.40s.%.*s", section, (int)strcspn(text, " ="), text);
}

void fct_runs_find_keys(fct_runs *all, int most, int (*is_wanted)(const char *key))
{
    const fct_run *first = all->run;
    char section[48] = "", key[96];
    all->keys = all->more_keys = 0;
    while (first < all->run + all->n - 1 && first->lines == 0)
        first++;
    for (int line = 0; all->n > 0 && line < first->lines; line++) {
        const char *text = first->line[line];
        if (text[0] != ' ') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(text, " "), text);
            continue;
        }
        name_key(section, text, key);
        if (!differs(all, first, line) || !strcmp(key, "run.dir") || (is_wanted && !is_wanted(key)))
            continue;
        if (all->keys == most || all->keys == FCT_RUNS_KEYS) {
            all->more_keys++;
            continue;
        }
        memcpy(all->key[all->keys], key, sizeof key);
        all->line[all->keys++] = line;
    }
}

void fct_runs_add_number(fct_text *out, double x)
{
    if (isfinite(x))
        fct_text_add(out, "%.9g", x);
    else
        fct_text_add(out, "null");
}
