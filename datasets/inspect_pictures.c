// SPDX-License-Identifier: Apache-2.0
// A folder of pictures that is not packed yet: what its folders mean, how many pictures each holds.
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "facet/labels.h"
#include "facet/path.h"
#include "inspect_parts.h"
#include "shard.h"

typedef struct {
    char *name;
    int64_t pictures; // in it and below
    int class;        // of fct_affectnet_names, -1 when its name means none
} group;

typedef struct { // one level of class or person folders
    int n;
    group *group;
    int64_t loose; // pictures in no folder
} grouping;

enum { CLASSES = 8, MAX_DEPTH = 16 };

static int is_picture(const char *name)
{
    static const char *const suffix[] = { ".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm" };
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
        if (fct_text_ends_with(name, suffix[i]))
            return 1;
    return 0;
}

// Splits as the known sets name them.
static int is_split(const char *name)
{
    static const char *const splits[] = { "train", "val", "valid", "validation", "test", "eval" };
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
        if (!strcasecmp(name, splits[i]))
            return 1;
    return 0;
}

// "happiness" and AffectNet's "1" both mean happy.
static int class_of(const char *folder)
{
    if (folder[0] >= '0' && folder[0] < '0' + CLASSES && !folder[1])
        return folder[0] - '0';
    return fct_expression_from_alias(folder);
}

// Calls `each` for every entry but the hidden ones; folders are real ones, no symbolic links.
typedef fct_status (*visitor)(void *ctx, const char *path, const char *name, int is_folder);

static fct_status visit(const char *folder, visitor each, void *ctx)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: %s", folder, strerror(errno));
    fct_status status = FCT_OK;
    char path[FCT_PATH_MAX];
    for (struct dirent *e; status == FCT_OK && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        status = fct_path_join(path, folder, e->d_name);
        int is_folder = e->d_type == DT_DIR ||
                        (e->d_type == DT_UNKNOWN && status == FCT_OK && fct_path_is_folder(path));
        if (status == FCT_OK)
            status = each(ctx, path, e->d_name, is_folder);
    }
    closedir(dir);
    return status;
}

typedef struct {
    int64_t pictures;
    int depth;
} tally;

static fct_status count_entry(void *ctx, const char *path, const char *name, int is_folder)
{
    tally *t = ctx;
    if (!is_folder) {
        t->pictures += is_picture(name);
        return FCT_OK;
    }
    if (t->depth >= MAX_DEPTH)
        return FCT_OK;
    t->depth++;
    fct_status status = visit(path, count_entry, t);
    t->depth--;
    return status;
}

static fct_status add_group(void *ctx, const char *path, const char *name, int is_folder)
{
    grouping *g = ctx;
    if (!is_folder) {
        g->loose += is_picture(name);
        return FCT_OK;
    }
    tally t = { 0 };
    FCT_TRY(visit(path, count_entry, &t));
    if (t.pictures == 0 && class_of(name) < 0)
        return FCT_OK;
    if ((g->n & (g->n + 1)) == 0) { // full at 0, 1, 3, 7, ...
        group *more = realloc(g->group, (size_t)(2 * g->n + 1) * sizeof *more);
        if (!more)
            return FCT_FAIL_NOMEM((size_t)g->n * sizeof *more, "the list of folders");
        g->group = more;
    }
    group *one = &g->group[g->n];
    *one = (group){ strdup(name), t.pictures, class_of(name) };
    if (!one->name)
        return FCT_FAIL_NOMEM(strlen(name), "the name of a folder");
    g->n++;
    return FCT_OK;
}

static void release(grouping *g)
{
    for (int i = 0; i < g->n; i++)
        free(g->group[i].name);
    free(g->group);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const group *)a)->name, ((const group *)b)->name);
}

static fct_status list_groups(const char *folder, grouping *out)
{
    FCT_TRY(visit(folder, add_group, out));
    if (out->n > 1)
        qsort(out->group, (size_t)out->n, sizeof *out->group, by_name);
    return FCT_OK;
}

static int counts_classes(const grouping *g)
{
    int known = 0;
    for (int i = 0; i < g->n; i++)
        known += g->group[i].class >= 0;
    return known > 0 && 2 * known >= g->n; // a stray folder among classes, not "0" among persons
}

// Classes that have a folder, in AffectNet's order; several aliases of one class add up.
static void sum_classes(const grouping *g, fct_class_table *out, fct_class_count of[CLASSES])
{
    int64_t count[CLASSES] = { 0 };
    int is_there[CLASSES] = { 0 };
    for (int i = 0; i < g->n; i++)
        if (g->group[i].class >= 0) {
            count[g->group[i].class] += g->group[i].pictures;
            is_there[g->group[i].class] = 1;
        }
    *out = (fct_class_table){ .of = of, .unlabelled = g->loose };
    for (int k = 0; k < CLASSES; k++)
        if (is_there[k])
            of[out->classes++] = (fct_class_count){ fct_affectnet_names[k], count[k], 0 };
}

static void unknown_text(const grouping *g, fct_text *out)
{
    for (int i = 0; i < g->n; i++)
        if (g->group[i].class < 0) {
            const char *near = fct_expression_nearest(g->group[i].name);
            fct_text_add(out, "  unknown folder \"%s\" with %lld pictures%s%s\n", g->group[i].name,
                         (long long)g->group[i].pictures, near ? ", did you mean " : "",
                         near ? near : "");
        }
}

static void unknown_json(const grouping *g, fct_text *out)
{
    const char *comma = "";
    fct_text_add(out, ",\"unknown\":[");
    for (int i = 0; i < g->n; i++)
        if (g->group[i].class < 0) {
            fct_text_add(out, "%s{\"folder\":", comma);
            fct_text_add_json(out, g->group[i].name);
            fct_text_add(out, ",\"pictures\":%lld}", (long long)g->group[i].pictures);
            comma = ",";
        }
    fct_text_add(out, "]");
}

static void report_classes(const grouping *g, int is_json, fct_text *out)
{
    fct_class_table table;
    fct_class_count of[CLASSES];
    sum_classes(g, &table, of);
    if (!is_json) {
        fct_class_table_text(&table, out);
        unknown_text(g, out);
        return;
    }
    fct_text_add(out, ",\"expression\":");
    fct_class_table_json(&table, out);
    unknown_json(g, out);
}

static fct_status report_persons(const grouping *g, int is_json, fct_text *out)
{
    int64_t *count = calloc((size_t)g->n, sizeof *count);
    if (!count)
        return FCT_FAIL_NOMEM((size_t)g->n * sizeof *count, "the persons' counts");
    for (int i = 0; i < g->n; i++)
        count[i] = g->group[i].pictures;
    fct_person_counts persons = fct_person_counts_of(count, g->n);
    free(count);
    if (is_json) {
        fct_text_add(out, ",\"identity\":");
        fct_person_counts_json(&persons, out);
    } else {
        fct_person_counts_text(&persons, out);
    }
    return FCT_OK;
}

static int64_t total_of(const grouping *g)
{
    int64_t pictures = g->loose;
    for (int i = 0; i < g->n; i++)
        pictures += g->group[i].pictures;
    return pictures;
}

// One split: a heading and what its folders are. `name` is NULL for a set without splits.
static fct_status report_split(const char *folder, const char *name, int is_json, fct_text *out)
{
    grouping g = { 0 };
    fct_status status = list_groups(folder, &g);
    if (status == FCT_OK && is_json) {
        fct_text_add(out, "{\"split\":");
        fct_text_add_json(out, name ? name : "");
        fct_text_add(out, ",\"pictures\":%lld", (long long)total_of(&g));
    } else if (status == FCT_OK) {
        fct_text_add(out, "%s%s%lld pictures in %d folders\n", name ? name : "", name ? ": " : "",
                     (long long)total_of(&g), g.n);
    }
    if (status == FCT_OK && counts_classes(&g))
        report_classes(&g, is_json, out);
    else if (status == FCT_OK && g.n > 0)
        status = report_persons(&g, is_json, out);
    if (is_json)
        fct_text_add(out, "}");
    release(&g);
    return status;
}

static fct_status report_splits(const char *folder, const grouping *top, int is_json, fct_text *out)
{
    int shown = 0;
    for (int i = 0; i < top->n; i++) {
        if (!is_split(top->group[i].name))
            continue;
        char path[FCT_PATH_MAX];
        FCT_TRY(fct_path_join(path, folder, top->group[i].name));
        fct_text_add(out, "%s", is_json && shown++ ? "," : "");
        FCT_TRY(report_split(path, top->group[i].name, is_json, out));
    }
    return FCT_OK;
}

fct_status fct_inspect_pictures(const char *folder, const fct_inspect_spec *spec, fct_text *out)
{
    grouping top = { 0 };
    int splits = 0;
    fct_status status = list_groups(folder, &top);
    for (int i = 0; i < top.n; i++)
        splits += is_split(top.group[i].name);
    if (status == FCT_OK && total_of(&top) == 0)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: no pictures, shards, checkpoint or run in this folder",
                          folder);
    if (status == FCT_OK && spec->is_json) {
        fct_text_add(out, "{\"kind\":\"pictures\",\"path\":");
        fct_text_add_json(out, folder);
        fct_text_add(out, ",\"splits\":[");
    } else if (status == FCT_OK) {
        fct_text_add(out, "%s: folder of pictures\n", folder);
    }
    if (status == FCT_OK)
        status = splits ? report_splits(folder, &top, spec->is_json, out)
                        : report_split(folder, NULL, spec->is_json, out);
    if (status == FCT_OK && spec->is_json)
        fct_text_add(out, "]}\n");
    release(&top);
    if (status == FCT_OK && out->failed)
        status = FCT_FAIL_NOMEM(out->size, "the report");
    return status;
}
