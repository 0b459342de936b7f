// SPDX-License-Identifier: Apache-2.0
// Ties rows of label files to pictures: two paths mean the same file when one is the other's end.
//
// Paths are compared from their last part on. Turned round ("c.jpg", "b", "a"), "is the end of"
// becomes "is the beginning of", and a sorted list answers with binary searches.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "pack_parts.h"

enum { PART_END = 1 }; // closes every part; sorts before all that names are made of

fct_status fct_keys_add(fct_keys *keys, const char *key)
{
    if (keys->keys == keys->capacity) {
        size_t capacity = keys->capacity ? keys->capacity * 2 : 1024;
        size_t *at = realloc(keys->at, capacity * sizeof *at);
        if (!at)
            return FCT_FAIL_NOMEM(capacity * sizeof *at, keys->file);
        keys->at = at;
        keys->capacity = capacity;
    }
    keys->at[keys->keys++] = keys->blob.size;
    fct_text_add_bytes(&keys->blob, key, strlen(key) + 1);
    return keys->blob.failed ? FCT_FAIL_NOMEM(keys->blob.size, keys->file) : FCT_OK;
}

void fct_keys_release(fct_keys *keys)
{
    fct_text_release(&keys->blob);
    free(keys->at);
    *keys = (fct_keys){ 0 };
}

const char *fct_keys_name(const fct_keys *keys, size_t i)
{
    return keys->blob.data + keys->at[i];
}

static int is_slash(char c)
{
    return c == '/' || c == '\\';
}

// "./a\\b//c.jpg" -> "c.jpg" END "b" END "a" END.
static void add_turned(fct_text *out, const char *path)
{
    static const char end[1] = { PART_END };
    for (size_t stop = strlen(path); stop > 0;) {
        size_t start = stop;
        while (start > 0 && !is_slash(path[start - 1]))
            start--;
        if (stop > start && !(stop - start == 1 && path[start] == '.')) {
            fct_text_add_bytes(out, path + start, stop - start);
            fct_text_add_bytes(out, end, 1);
        }
        stop = start > 0 ? start - 1 : 0;
    }
    fct_text_add_bytes(out, "", 1);
}

// The keys turned round, in order.
typedef struct {
    const char *turned;
    size_t row;
} turned_key;

typedef struct {
    const fct_keys *keys;
    fct_text text;
    turned_key *sorted;
    size_t n;
} turned_index;

static int by_turned(const void *a, const void *b)
{
    const turned_key *x = a, *y = b;
    int order = strcmp(x->turned, y->turned);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static fct_status index_create(const fct_keys *keys, turned_index *out)
{
    *out = (turned_index){ .keys = keys, .n = keys->keys };
    out->sorted = malloc((out->n + 1) * sizeof *out->sorted);
    for (size_t i = 0; i < out->n; i++)
        add_turned(&out->text, fct_keys_name(keys, i));
    if (!out->sorted || out->text.failed)
        return FCT_FAIL_NOMEM(out->n * sizeof *out->sorted, keys->file);
    const char *at = out->text.data;
    for (size_t i = 0; i < out->n; i++, at += strlen(at) + 1)
        out->sorted[i] = (turned_key){ at, i };
    if (out->n)
        qsort(out->sorted, out->n, sizeof *out->sorted, by_turned);
    for (size_t i = 1; i < out->n; i++)
        if (!strcmp(out->sorted[i].turned, out->sorted[i - 1].turned))
            return FCT_FAIL(FCT_E_FORMAT, "%s: \"%s\" is named twice", keys->file,
                            fct_keys_name(keys, out->sorted[i].row));
    return FCT_OK;
}

static void index_release(turned_index *index)
{
    fct_text_release(&index->text);
    free(index->sorted);
}

// Bytes of the whole parts with which both begin.
static size_t common_parts(const char *a, const char *b)
{
    size_t common = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == PART_END)
            common = i + 1;
    return common;
}

// How many keys sort before (path, n); keys of which that is a beginning do not.
static size_t count_below(const turned_index *index, const char *path, size_t n)
{
    size_t low = 0, high = index->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strncmp(index->sorted[middle].turned, path, n) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The longest key that is a beginning of the path; n (none) or its place.
static size_t find_whole_key(const turned_index *index, const char *path)
{
    size_t n = strlen(path);
    while (n > 0) {
        size_t at = count_below(index, path, n);
        if (at < index->n && !strncmp(index->sorted[at].turned, path, n) &&
            !index->sorted[at].turned[n])
            return at;
        // The next candidate is no longer than what the neighbour below shares with the path.
        size_t shared = at > 0 ? common_parts(index->sorted[at - 1].turned, path) : 0;
        n = shared < n ? shared : 0;
    }
    return index->n;
}

typedef struct {
    size_t at;     // place in the index, index->n: none
    size_t common; // bytes shared with the picture's path
    size_t rival;  // another key that shares as much, index->n: none
} match;

// The key that continues `relative` (the first n bytes of path) and shares most of the path.
static match find_longer_key(const turned_index *index, const char *path, size_t n)
{
    match best = { index->n, 0, index->n };
    size_t at = count_below(index, path, strlen(path));
    for (size_t i = at > 0 ? at - 1 : 0; i <= at && i < index->n; i++) {
        size_t common = common_parts(index->sorted[i].turned, path);
        if (common >= n && common > best.common)
            best = (match){ i, common, index->n };
    }
    if (best.at == index->n)
        return best;
    size_t first = count_below(index, path, best.common);
    for (size_t i = first; i < first + 2 && i < index->n; i++)
        if (i != best.at && !strncmp(index->sorted[i].turned, path, best.common))
            best.rival = i;
    return best;
}

static fct_status match_one(const turned_index *index, const char *turned, size_t relative,
                            const char *name, match *out)
{
    size_t whole = find_whole_key(index, turned);
    match longer = find_longer_key(index, turned, relative);
    size_t whole_common = whole < index->n ? strlen(index->sorted[whole].turned) : 0;
    if (whole_common > 0 && whole_common >= longer.common) {
        *out = (match){ whole, whole_common, index->n };
        return FCT_OK;
    }
    *out = longer;
    if (longer.at < index->n && longer.rival < index->n)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: both \"%s\" and \"%s\" may mean picture %s\n"
                        "use keys relative to the packed folder",
                        index->keys->file, fct_keys_name(index->keys, index->sorted[longer.at].row),
                        fct_keys_name(index->keys, index->sorted[longer.rival].row), name);
    return FCT_OK;
}

// Which picture has taken a key so far, and how much of the path they share.
typedef struct {
    size_t file, common;
} taken;

static fct_status take_key(const fct_keys *keys, const fct_scan *scan, size_t row, size_t file,
                           size_t common, taken *taken_by, int32_t *row_out)
{
    taken *old = &taken_by[row];
    if (old->common == common)
        return FCT_FAIL(FCT_E_ARG,
                        "%s: \"%s\" may mean both picture %s and picture %s\n"
                        "use keys relative to the packed folder",
                        keys->file, fct_keys_name(keys, row), fct_scan_path(scan, old->file),
                        fct_scan_path(scan, file));
    if (old->common > common)
        return FCT_OK;
    if (old->common > 0)
        row_out[old->file] = -1;
    *old = (taken){ file, common };
    row_out[file] = (int32_t)row;
    return FCT_OK;
}

static fct_status match_all(const turned_index *index, const char *root, const fct_scan *scan,
                            taken *taken_by, int32_t *row_out)
{
    fct_text turned = { 0 }, path = { 0 };
    fct_status status = FCT_OK;
    for (size_t i = 0; i < scan->files && status == FCT_OK; i++) {
        const char *name = fct_scan_path(scan, i);
        turned.size = path.size = 0;
        add_turned(&turned, name);
        size_t relative = turned.failed ? 0 : turned.size - 1;
        fct_text_add(&path, "%s/%s", root, name);
        turned.size = 0;
        if (!path.failed)
            add_turned(&turned, path.data);
        match found = { index->n, 0, index->n };
        if (turned.failed || path.failed)
            status = FCT_FAIL_NOMEM(path.size, "a path");
        else
            status = match_one(index, turned.data, relative, name, &found);
        row_out[i] = -1;
        if (status == FCT_OK && found.at < index->n)
            status = take_key(index->keys, scan, index->sorted[found.at].row, i, found.common,
                              taken_by, row_out);
    }
    fct_text_release(&turned);
    fct_text_release(&path);
    return status;
}

fct_status fct_keys_match(const fct_keys *keys, const char *input, const fct_scan *scan,
                          int32_t *row_out)
{
    char *root = realpath(input, NULL);
    if (!root)
        return FCT_FAIL(FCT_E_IO, "%s: %s", input, strerror(errno));
    turned_index index;
    taken *taken_by = calloc(keys->keys + 1, sizeof *taken_by);
    fct_status status = index_create(keys, &index);
    if (status == FCT_OK && !taken_by)
        status = FCT_FAIL_NOMEM(keys->keys * sizeof *taken_by, keys->file);
    if (status == FCT_OK)
        status = match_all(&index, root, scan, taken_by, row_out);
    size_t found = 0;
    for (size_t i = 0; i < keys->keys && status == FCT_OK; i++)
        found += taken_by[i].common > 0;
    if (status == FCT_OK && keys->keys > 0 && scan->files > 0 && found == 0)
        status =
            FCT_FAIL(FCT_E_ARG,
                     "%s: none of its %zu paths is a picture of %s\n"
                     "its first is \"%s\", the folder's first picture is %s",
                     keys->file, keys->keys, input, fct_keys_name(keys, 0), fct_scan_path(scan, 0));
    index_release(&index);
    free(taken_by);
    free(root);
    return status;
}
