// SPDX-License-Identifier: Apache-2.0
// LFW's pairs.txt: names and numbers, looked up among the pictures' stored names.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "facet/text.h"
#include "pairs_list.h"

enum { MOST_FIELDS = 4, LONGEST_NAME = 200 };

typedef struct { // "Name" and "Name_0001" of anything/Name/Name_0001.jpg
    const char *folder, *stem;
    size_t folder_n, stem_n;
    int64_t picture;
} entry;

typedef struct {
    const char *path; // of pairs.txt
    int64_t line;
    const char *set;
    entry *entry; // sorted by folder, then stem
    size_t n;
} reader;

static int compare_text(const char *a, size_t an, const char *b, size_t bn)
{
    int order = memcmp(a, b, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

static int compare(const void *va, const void *vb)
{
    const entry *a = va, *b = vb;
    int order = compare_text(a->folder, a->folder_n, b->folder, b->folder_n);
    return order ? order : compare_text(a->stem, a->stem_n, b->stem, b->stem_n);
}

static entry entry_of(const char *path, int64_t picture)
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *folder = slash;
    const char *dot = strrchr(stem, '.');
    while (folder && folder > path && folder[-1] != '/')
        folder--;
    return (entry){ .folder = folder ? folder : path,
                    .folder_n = folder ? (size_t)(slash - folder) : 0,
                    .stem = stem,
                    .stem_n = dot && dot > stem ? (size_t)(dot - stem) : strlen(stem),
                    .picture = picture };
}

static fct_status make_index(reader *r, const fct_picture_names *pictures)
{
    r->entry = calloc((size_t)pictures->n + 1, sizeof *r->entry);
    if (!r->entry)
        return FCT_FAIL_NOMEM((size_t)pictures->n * sizeof *r->entry, "the pictures' names");
    for (int64_t i = 0; i < pictures->n; i++)
        r->entry[r->n++] = entry_of(pictures->path(pictures->ctx, i), i);
    qsort(r->entry, r->n, sizeof *r->entry, compare);
    return FCT_OK;
}

// The first entry that is not before `key`.
static size_t lower_bound(const reader *r, const entry *key)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&r->entry[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static fct_status fail_missing(const reader *r, const char *name, const char *stem)
{
    entry key = { .folder = name, .folder_n = strlen(name), .stem = "" };
    size_t first = lower_bound(r, &key), last = first;
    while (last < r->n &&
           !compare_text(r->entry[last].folder, r->entry[last].folder_n, name, key.folder_n))
        last++;
    if (last == first)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s:%" PRId64 ": %s: no such person among the %zu pictures of %s"
                        "\nthis picture is looked for as %s/%s and an extension",
                        r->path, r->line, name, r->n, r->set, name, stem);
    return FCT_FAIL(FCT_E_FORMAT,
                    "%s:%" PRId64 ": %s: no such picture in %s, which has %zu of this person",
                    r->path, r->line, stem, r->set, last - first);
}

static fct_status find(const reader *r, const char *name, const char *number, int64_t *out)
{
    char stem[LONGEST_NAME + 32];
    int64_t j;
    size_t n = strlen(name);
    if (fct_text_to_i64(number, &j) != FCT_OK || j < 0 || j > 99999999)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%" PRId64 ": \"%.40s\" is no picture's number", r->path,
                        r->line, number);
    if (n == 0 || n > LONGEST_NAME)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%" PRId64 ": \"%.40s\" is no name", r->path, r->line,
                        name);
    snprintf(stem, sizeof stem, "%s_%04" PRId64, name, j);
    entry key = { .folder = name, .folder_n = n, .stem = stem, .stem_n = strlen(stem) };
    size_t i = lower_bound(r, &key);
    if (i == r->n || compare(&r->entry[i], &key))
        return fail_missing(r, name, stem);
    if (i + 1 < r->n && !compare(&r->entry[i + 1], &key))
        return FCT_FAIL(FCT_E_FORMAT, "%s:%" PRId64 ": %s: is twice in %s", r->path, r->line, stem,
                        r->set);
    *out = r->entry[i].picture;
    return FCT_OK;
}

// Fields by TAB where there is one (a name may hold blanks then), else by blanks; `line` is cut up.
static int split(char *line, char *field[MOST_FIELDS])
{
    const char *at = strchr(line, '\t') ? "\t" : " ";
    int n = 0;
    line[strcspn(line, "\r")] = 0;
    for (char *f; (f = strsep(&line, at));) {
        if (*f == 0)
            continue;
        if (n == MOST_FIELDS)
            return MOST_FIELDS + 1;
        field[n++] = f;
    }
    return n;
}

// "folds pairs" or "pairs"
static int is_header(int n, char *const *field, int64_t *pairs)
{
    int64_t a = 1, b;
    if (n < 1 || n > 2 || (n == 2 && fct_text_to_i64(field[0], &a) != FCT_OK) ||
        fct_text_to_i64(field[n - 1], &b) != FCT_OK)
        return 0;
    if (a < 0 || a > FCT_PAIRS_MOST || b < 0 || b > FCT_PAIRS_MOST)
        return 0;
    *pairs = 2 * a * b;
    return 1;
}

static fct_status read_pair(const reader *r, int n, char *const *field, fct_pair *out)
{
    if (n != 3 && n != 4)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s:%" PRId64 ": has %s%d fields\na pair is \"name i j\" or \"name i "
                        "other j\", by TAB or blanks",
                        r->path, r->line, n > MOST_FIELDS ? "more than " : "",
                        n > MOST_FIELDS ? MOST_FIELDS : n);
    FCT_TRY(find(r, field[0], field[1], &out->first));
    FCT_TRY(find(r, field[n == 3 ? 0 : 2], field[n - 1], &out->second));
    out->same = n == 3 || !strcmp(field[0], field[2]);
    return FCT_OK;
}

static fct_status read_all(reader *r, char *text, fct_pairs *out)
{
    int64_t announced = -1;
    size_t capacity = 0;
    for (char *line; (line = strsep(&text, "\n"));) {
        char *field[MOST_FIELDS];
        fct_pair pair;
        r->line++;
        int n = split(line, field);
        if (n == 0 || (r->line == 1 && is_header(n, field, &announced)))
            continue;
        FCT_TRY(read_pair(r, n, field, &pair));
        FCT_TRY(fct_pairs_add(out, &capacity, pair, r->path));
    }
    if (out->n == 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: has no pairs", r->path);
    if (announced >= 0 && announced != out->n)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: its first line stands for %" PRId64 " pairs, there are %" PRId64
                        ": cut off?\na file without that line is fine too",
                        r->path, announced, out->n);
    return FCT_OK;
}

fct_status fct_pairs_read_lfw(const char *path, const fct_picture_names *pictures, fct_pairs *out)
{
    char *text;
    reader r = { .path = path, .set = pictures->what };
    fct_pairs pairs = { 0 };
    FCT_TRY(fct_path_read(path, FCT_PAIRS_MOST_BYTES, &text, NULL));
    fct_status status = make_index(&r, pictures);
    if (status == FCT_OK)
        status = read_all(&r, text, &pairs);
    free(r.entry);
    free(text);
    if (status != FCT_OK)
        fct_pairs_release(&pairs);
    else
        *out = pairs;
    return status;
}
