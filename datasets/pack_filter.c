// SPDX-License-Identifier: Apache-2.0
// Persons left out before anything is split or numbered: by a list of names, or for having few
// pictures.
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "facet/path.h"
#include "pack_parts.h"

enum { LIST_BYTES_MAX = 1 << 28 };

typedef struct {
    fct_layout *layout;
    const char **name; // (labels), ascending: the folders' names
    int64_t *pictures; // (labels)
    int32_t *becomes;  // (labels): its new number, or why it is left out
} filter;

static int find_name(const filter *f, const char *name)
{
    int low = 0, high = f->layout->labels;
    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(f->name[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->layout->labels && !strcmp(f->name[low], name) ? low : -1;
}

// A label of a .rec, whose names are padded to one length, may be given without its zeros.
static int find_person(const filter *f, const fct_scan *scan, const char *name)
{
    char padded[32];
    size_t n = strlen(name), width = f->layout->labels ? strlen(f->name[0]) : 0;
    if (scan->source != FCT_SOURCE_RECORDS || n >= width || width >= sizeof padded)
        return find_name(f, name);
    memset(padded, '0', width);
    memcpy(padded + width - n, name, n + 1);
    return find_name(f, padded);
}

static void leave_listed_out(filter *f, const fct_scan *scan, char *text)
{
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        size_t n = strlen(line);
        while (n > 0 && strchr(" \t\r", line[n - 1]))
            line[--n] = 0;
        if (n == 0 || line[0] == '#')
            continue;
        int i = find_person(f, scan, line);
        if (i < 0)
            f->layout->unknown++;
        else
            f->becomes[i] = FCT_LABEL_LISTED;
    }
}

static fct_status read_list(filter *f, const fct_scan *scan, const char *file)
{
    char *text;
    size_t n;
    FCT_TRY(fct_path_read(file, LIST_BYTES_MAX, &text, &n));
    fct_status status = FCT_OK;
    if (strlen(text) != n)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: is no text", file);
    else
        leave_listed_out(f, scan, fct_csv_open(file, text).at);
    free(text);
    return status;
}

// Numbers those that stay in the order they had; their names follow.
static fct_status renumber(filter *f, int64_t min_pictures)
{
    fct_text names = { 0 };
    int32_t stay = 0;
    for (int i = 0; i < f->layout->labels; i++) {
        if (f->becomes[i] != FCT_LABEL_LISTED)
            f->becomes[i] = f->pictures[i] < min_pictures ? FCT_LABEL_FEW : stay++;
        f->layout->listed += f->becomes[i] == FCT_LABEL_LISTED;
        f->layout->few += f->becomes[i] == FCT_LABEL_FEW;
        if (f->becomes[i] >= 0)
            fct_text_add_bytes(&names, f->name[i], strlen(f->name[i]) + 1);
    }
    fct_text_release(&f->layout->names);
    f->layout->names = names;
    f->layout->labels = stay;
    return names.failed ? FCT_FAIL_NOMEM(names.size, "the persons' names") : FCT_OK;
}

static fct_status apply(filter *f, const fct_scan *scan, const fct_pack_spec *spec)
{
    fct_layout *layout = f->layout;
    const char *name = layout->names.data;
    for (int i = 0; i < layout->labels; i++, name += strlen(name) + 1)
        f->name[i] = name;
    for (size_t i = 0; i < scan->files; i++)
        if (layout->label[i] >= 0)
            f->pictures[layout->label[i]]++;
    if (spec->leave_out)
        FCT_TRY(read_list(f, scan, spec->leave_out));
    FCT_TRY(renumber(f, spec->min_pictures));
    for (size_t i = 0; i < scan->files; i++)
        if (layout->label[i] >= 0)
            layout->label[i] = f->becomes[layout->label[i]];
    return FCT_OK;
}

fct_status fct_layout_filter(const fct_scan *scan, const fct_pack_spec *spec, fct_layout *layout)
{
    if (!spec->leave_out && spec->min_pictures <= 0)
        return FCT_OK;
    if (layout->kind != FCT_PACK_IDENTITY)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: %s leaves out persons, but these pictures have none\n"
                        "--format identity takes each folder for a person",
                        spec->input, spec->leave_out ? "--leave-out" : "--min-pictures");
    size_t n = (size_t)layout->labels + 1;
    filter f = { layout, calloc(n, sizeof *f.name), calloc(n, sizeof *f.pictures),
                 calloc(n, sizeof *f.becomes) };
    fct_status status = FCT_OK;
    if (!f.name || !f.pictures || !f.becomes)
        status = FCT_FAIL_NOMEM(n * sizeof *f.pictures, "the persons");
    else
        status = apply(&f, scan, spec);
    free(f.name);
    free(f.pictures);
    free(f.becomes);
    return status;
}
