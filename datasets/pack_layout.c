// SPDX-License-Identifier: Apache-2.0
// What the folders' names say: which level is the split, which the class or the person.
#include <stdlib.h>
#include <string.h>

#include "ascii.h"
#include "facet/log.h"
#include "pack_parts.h"

const char *const fct_pack_split_names[FCT_PACK_SPLITS_MAX] = { "train", "val", "test" };

static int split_of_folder(const char *name, size_t n)
{
    static const char *const alias[] = { "train",      "training", "val",    "valid",
                                         "validation", "test",     "testing" };
    static const int means[] = { 0, 0, 1, 1, 1, 2, 2 };
    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++)
        if (fct_ascii_equal(name, n, alias[i]))
            return means[i];
    return -1;
}

// The folder at `level` of a path: its start and length; NULL when the path has no folder there.
static const char *folder_at(const char *path, int level, size_t *n)
{
    for (; level > 0 && path; level--) {
        path = strchr(path, '/');
        path = path ? path + 1 : NULL;
    }
    const char *slash = path ? strchr(path, '/') : NULL;
    *n = slash ? (size_t)(slash - path) : 0;
    return slash ? path : NULL;
}

static fct_status find_splits(const fct_scan *scan, fct_layout *layout)
{
    size_t n;
    const char *split = NULL, *other = NULL;
    for (size_t i = 0; i < scan->files; i++) {
        const char *top = folder_at(fct_scan_path(scan, i), 0, &n);
        if (top && split_of_folder(top, n) >= 0)
            split = top;
        else if (top)
            other = top;
    }
    if (split && other && layout->kind != FCT_PACK_FLAT)
        return FCT_FAIL(FCT_E_ARG,
                        "folder %.*s: lies beside %.*s, but names no split\n"
                        "keep only train, val and test at the top, or pack one of them",
                        (int)strcspn(other, "/"), other, (int)strcspn(split, "/"), split);
    layout->has_splits = split && !other;
    for (size_t i = 0; i < scan->files && layout->has_splits; i++) {
        const char *top = folder_at(fct_scan_path(scan, i), 0, &n);
        layout->split[i] = (int8_t)(top ? split_of_folder(top, n) : -1);
    }
    return FCT_OK;
}

// The different folders that carry labels, sorted by bytes; a file's label is its folder's index.
typedef struct {
    char **name;
    size_t n, capacity;
} folder_list;

static void release_folders(folder_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->name[i]);
    free(list->name);
}

static fct_status add_folder(folder_list *list, const char *name, size_t n)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **grown = realloc(list->name, capacity * sizeof *grown);
        if (!grown)
            return FCT_FAIL_NOMEM(capacity * sizeof *grown, "the list of folders");
        list->name = grown;
        list->capacity = capacity;
    }
    list->name[list->n] = strndup(name, n);
    return list->name[list->n++] ? FCT_OK : FCT_FAIL_NOMEM(n, "the list of folders");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static fct_status list_folders(const fct_scan *scan, const fct_layout *layout, folder_list *out)
{
    const char *last = NULL;
    size_t last_n = 0, n, kept = 0;
    for (size_t i = 0; i < scan->files; i++) {
        const char *folder = folder_at(fct_scan_path(scan, i), layout->has_splits, &n);
        if (!folder || (last && n == last_n && !memcmp(folder, last, n)))
            continue;
        FCT_TRY(add_folder(out, folder, n));
        last = folder;
        last_n = n;
    }
    if (out->n)
        qsort(out->name, out->n, sizeof *out->name, by_name);
    for (size_t i = 0; i < out->n; i++)
        if (kept && !strcmp(out->name[i], out->name[kept - 1]))
            free(out->name[i]);
        else
            out->name[kept++] = out->name[i];
    out->n = kept;
    return FCT_OK;
}

static fct_status guess_kind(const folder_list *folders, const fct_pack_spec *spec,
                             fct_layout *layout)
{
    size_t known = 0;
    for (size_t i = 0; i < folders->n; i++)
        known += (size_t)fct_class_map_knows(folders->name[i]);
    if (folders->n == 0)
        layout->kind = FCT_PACK_FLAT;
    else if (spec->class_map || known > 0)
        layout->kind = FCT_PACK_EXPRESSION;
    else if (folders->n == 1)
        return FCT_FAIL(
            FCT_E_ARG,
            "%s: cannot tell what its only folder %s is\n"
            "say --format flat for pictures without labels, identity for one folder a person",
            spec->input, folders->name[0]);
    else
        layout->kind = FCT_PACK_IDENTITY;
    if (layout->kind == FCT_PACK_IDENTITY)
        FCT_INFO("no folder names an expression: each of the %zu folders is taken for a person",
                 folders->n);
    return FCT_OK;
}

static fct_status set_kind(const fct_pack_spec *spec, fct_layout *layout, int *must_guess)
{
    static const char *const kinds[] = { "expression", "identity", "flat", "auto" };
    *must_guess = !spec->format || !strcmp(spec->format, "auto");
    for (int i = 0; i < 3 && !*must_guess; i++)
        if (!strcmp(spec->format, kinds[i])) {
            layout->kind = (fct_pack_kind)i;
            return FCT_OK;
        }
    return *must_guess
               ? FCT_OK
               : FCT_FAIL(FCT_E_ARG, "--format %s: auto, expression, identity, flat or affectnet",
                          spec->format);
}

static void add_name(fct_layout *layout, const char *name)
{
    fct_text_add_bytes(&layout->names, name, strlen(name) + 1);
    layout->labels++;
}

// label_of (folders): what each folder means.
static fct_status label_folders(const folder_list *folders, const fct_pack_spec *spec,
                                fct_layout *layout, int32_t *label_of)
{
    if (layout->kind == FCT_PACK_FLAT)
        return FCT_OK;
    if (layout->kind == FCT_PACK_IDENTITY) {
        for (size_t i = 0; i < folders->n; i++) {
            label_of[i] = (int32_t)i;
            add_name(layout, folders->name[i]);
        }
        return FCT_OK;
    }
    fct_class_map *map;
    FCT_TRY(fct_class_map_create(spec->class_map, (const char *const *)folders->name, folders->n,
                                 &map));
    fct_status status = FCT_OK;
    for (size_t i = 0; i < folders->n && status == FCT_OK; i++)
        status = fct_class_map_find(map, folders->name[i], &label_of[i]);
    for (int c = 0; c < fct_class_map_classes(map); c++)
        add_name(layout, fct_class_map_name(map, c));
    fct_class_map_destroy(map);
    return status;
}

static int by_folder(const void *key, const void *element)
{
    const char *folder = key, *name = *(char *const *)element;
    size_t n = strcspn(folder, "/");
    int order = strncmp(folder, name, n);
    return order ? order : name[n] ? -1 : 0;
}

static void label_files(const fct_scan *scan, const folder_list *folders, const int32_t *label_of,
                        fct_layout *layout)
{
    size_t n;
    for (size_t i = 0; i < scan->files; i++) {
        layout->label[i] = FCT_LABEL_NONE;
        if (layout->has_splits && layout->split[i] < 0)
            layout->label[i] = FCT_LABEL_ASTRAY;
        if (layout->kind == FCT_PACK_FLAT)
            continue;
        const char *folder = folder_at(fct_scan_path(scan, i), layout->has_splits, &n);
        char **found =
            folder ? bsearch(folder, folders->name, folders->n, sizeof *folders->name, by_folder)
                   : NULL;
        layout->label[i] = found ? label_of[found - folders->name] : FCT_LABEL_ASTRAY;
    }
}

fct_status fct_layout_find(const fct_scan *scan, const fct_pack_spec *spec, fct_layout *out)
{
    *out = (fct_layout){ .label = calloc(scan->files + 1, sizeof *out->label),
                         .split = calloc(scan->files + 1, sizeof *out->split) };
    folder_list folders = { 0 };
    int32_t *label_of = NULL;
    int must_guess;
    fct_status status = FCT_OK;
    if (!out->label || !out->split)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(scan->files * sizeof *out->label, "the labels"), status, done);
    FCT_TRY_GOTO(set_kind(spec, out, &must_guess), status, done);
    if (must_guess && scan->source != FCT_SOURCE_FOLDER) { // its folders are numbers of ours
        out->kind = scan->source == FCT_SOURCE_RECORDS ? FCT_PACK_IDENTITY : FCT_PACK_FLAT;
        must_guess = 0;
    }
    FCT_TRY_GOTO(find_splits(scan, out), status, done);
    FCT_TRY_GOTO(list_folders(scan, out, &folders), status, done);
    if (must_guess)
        FCT_TRY_GOTO(guess_kind(&folders, spec, out), status, done);
    label_of = calloc(folders.n + 1, sizeof *label_of);
    if (!label_of)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM(folders.n * sizeof *label_of, "the labels"), status, done);
    FCT_TRY_GOTO(label_folders(&folders, spec, out, label_of), status, done);
    label_files(scan, &folders, label_of, out);
    if (out->names.failed)
        status = FCT_FAIL_NOMEM(out->names.size, "the labels' names");
done:
    free(label_of);
    release_folders(&folders);
    if (status != FCT_OK)
        fct_layout_release(out);
    return status;
}

void fct_layout_release(fct_layout *layout)
{
    fct_text_release(&layout->names);
    free(layout->label);
    free(layout->split);
    *layout = (fct_layout){ 0 };
}
