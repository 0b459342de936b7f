// SPDX-License-Identifier: Apache-2.0
// The persons behind the numbers: names from the pictures' folders, and who is the same.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "facet/log.h"
#include "facet/text.h"
#include "persons.h"

enum { NAME_BYTES = 256 };

static int is_split(const char *name, size_t n)
{
    static const char *const alias[] = { "train",      "training", "val",    "valid",
                                         "validation", "test",     "testing" };
    for (size_t i = 0; i < sizeof alias / sizeof *alias; i++)
        if (strlen(alias[i]) == n && !strncasecmp(alias[i], name, n))
            return 1;
    return 0;
}

// A person's pictures lie in a folder of their own, which may lie in one of the split's.
static void name_of(const char *path, int64_t number, char out[NAME_BYTES])
{
    size_t n = strcspn(path, "/");
    if (path[n] && is_split(path, n) && strchr(path + n + 1, '/')) {
        path += n + 1;
        n = strcspn(path, "/");
    }
    if (path[n] && n > 0)
        snprintf(out, NAME_BYTES, "%.*s", (int)n, path);
    else
        snprintf(out, NAME_BYTES, "#%lld", (long long)number);
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' ? '?' : *c;
}

static fct_status add_set(fct_persons *p, int64_t first, int64_t count, const char *source)
{
    fct_person_set *set = realloc(p->set, ((size_t)p->sets + 1) * sizeof *set);
    if (!set)
        return FCT_FAIL_NOMEM(((size_t)p->sets + 1) * sizeof *set, "the persons' sets");
    p->set = set;
    p->set[p->sets++] = (fct_person_set){ first, count, source };
    return FCT_OK;
}

// `text`, taken over, holds a line for each class.
static fct_status cut_names(fct_persons *p, char *text)
{
    p->text = text;
    p->name = calloc((size_t)p->classes + 1, sizeof *p->name);
    if (!p->name)
        return FCT_FAIL_NOMEM((size_t)p->classes * sizeof *p->name, "the persons' names");
    int64_t n = 0;
    for (char *end; n < p->classes && (end = strchr(text, '\n')); text = end + 1) {
        *end = 0;
        p->name[n++] = text;
    }
    return n == p->classes && !*text
               ? FCT_OK
               : FCT_FAIL(FCT_E_FORMAT, "checkpoint: %lld persons, but %s names",
                          (long long)p->classes, n == p->classes ? "more" : "fewer");
}

typedef struct {
    int64_t picture; // its first one; -1: none
    int64_t number;  // in its set
} person;

// Where each person's first picture is, and which persons are whose set's.
static fct_status find_first(const fct_mix *mix, person *who, fct_persons *out)
{
    const fct_dataset *last = NULL;
    for (int64_t i = 0; i < fct_mix_describe(mix)->pictures; i++) {
        int64_t row;
        fct_labels labels;
        const fct_dataset *set = fct_mix_dataset(mix, i, &row);
        fct_mix_labels(mix, i, &labels);
        if (labels.identity < 0)
            continue;
        const int64_t number = fct_dataset_identities(set)[row];
        const fct_dataset_info *info = fct_dataset_describe(set);
        if (set != last)
            FCT_TRY(add_set(out, labels.identity - number, info->identities, info->source));
        last = set;
        if (who[labels.identity].picture < 0)
            who[labels.identity] = (person){ i, number };
    }
    return FCT_OK;
}

static fct_status name_all(const fct_mix *mix, const person *who, fct_persons *out)
{
    fct_text text = { 0 };
    for (int64_t k = 0; k < out->classes; k++) {
        int64_t row;
        char name[NAME_BYTES] = "";
        if (who[k].picture >= 0) {
            const fct_dataset *set = fct_mix_dataset(mix, who[k].picture, &row);
            name_of(fct_dataset_path(set, row), who[k].number, name);
        }
        fct_text_add(&text, "%s\n", name);
    }
    if (text.failed) {
        fct_text_release(&text);
        return FCT_FAIL_NOMEM(text.size, "the persons' names");
    }
    return cut_names(out, text.data);
}

fct_status fct_persons_of(const fct_mix *mix, fct_persons *out)
{
    *out = (fct_persons){ .classes = fct_mix_describe(mix)->identities };
    if (out->classes == 0)
        return FCT_OK;
    person *who = malloc((size_t)out->classes * sizeof *who);
    if (!who)
        return FCT_FAIL_NOMEM((size_t)out->classes * sizeof *who, "the persons");
    for (int64_t k = 0; k < out->classes; k++)
        who[k] = (person){ -1, 0 };
    fct_status status = find_first(mix, who, out);
    if (status == FCT_OK)
        status = name_all(mix, who, out);
    free(who);
    if (status != FCT_OK)
        fct_persons_release(out);
    return status;
}

void fct_persons_release(fct_persons *p)
{
    free(p->name);
    free(p->set);
    free(p->text);
    free(p->sources);
    *p = (fct_persons){ 0 };
}

fct_status fct_persons_add(const fct_persons *p, fct_blobs *state)
{
    fct_text names = { 0 }, sets = { 0 };
    for (int64_t k = 0; k < p->classes; k++)
        fct_text_add(&names, "%s\n", p->name[k]);
    for (int i = 0; i < p->sets; i++)
        fct_text_add(&sets, "%lld %lld %s\n", (long long)p->set[i].first,
                     (long long)p->set[i].count, p->set[i].source);
    fct_status status = names.failed || sets.failed
                            ? FCT_FAIL_NOMEM(names.size, "the persons' names")
                            : fct_blobs_add_text(state, "meta/identity_names", names.data);
    if (status == FCT_OK)
        status = fct_blobs_add_text(state, "meta/identity_sets", sets.data ? sets.data : "");
    fct_text_release(&names);
    fct_text_release(&sets);
    return status;
}

static fct_status read_sets(fct_persons *p, const char *text)
{
    p->sources = strdup(text);
    if (!p->sources)
        return FCT_FAIL_NOMEM(strlen(text), "the persons' sets");
    char *rest = p->sources;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *end;
        if (!*line)
            continue;
        long long first = strtoll(line, &end, 10), count = strtoll(end, &end, 10);
        if (*end != ' ' || first < 0 || count < 0 || first > p->classes ||
            count > p->classes - first)
            return FCT_FAIL(FCT_E_FORMAT, "checkpoint: meta/identity_sets: '%.80s'", line);
        FCT_TRY(add_set(p, first, count, end + 1));
    }
    return FCT_OK;
}

fct_status fct_persons_read(const fct_blobs *state, fct_persons *out)
{
    const fct_blob *names = fct_blobs_find(state, "meta/identity_names"),
                   *sets = fct_blobs_find(state, "meta/identity_sets");
    *out = (fct_persons){ 0 };
    if (!names || !sets)
        return FCT_OK;
    char *text = strdup(names->data);
    if (!text)
        return FCT_FAIL_NOMEM(fct_blob_bytes(names), "the persons' names");
    for (const char *c = text; *c; c++)
        out->classes += *c == '\n';
    fct_status status = cut_names(out, text);
    if (status == FCT_OK)
        status = read_sets(out, sets->data);
    if (status != FCT_OK)
        fct_persons_release(out);
    return status;
}

// The first person of both sets with two names, -1: none.
static int64_t find_stranger(const fct_persons *a, const fct_person_set *s, const fct_persons *b,
                             const fct_person_set *z)
{
    for (int64_t k = 0; k < s->count && k < z->count; k++) {
        const char *one = a->name[s->first + k], *two = b->name[z->first + k];
        if (one[0] && two[0] && strcmp(one, two))
            return k;
    }
    return -1;
}

static void match_set(const fct_persons *trained, const fct_persons *theirs,
                      const fct_person_set *z, const char *what, int64_t *map)
{
    for (int i = 0; i < trained->sets; i++) {
        const fct_person_set *s = &trained->set[i];
        if (strcmp(s->source, z->source))
            continue;
        const int64_t k = find_stranger(trained, s, theirs, z);
        if (k >= 0 && what)
            FCT_WARN("%s: person %lld of %s is %s there and %s where it was trained: packed from "
                     "another state of the folder, so its identities are not evaluated",
                     what, (long long)k, z->source, theirs->name[z->first + k],
                     trained->name[s->first + k]);
        for (int64_t j = 0; k < 0 && j < s->count && j < z->count; j++)
            if (trained->name[s->first + j][0])
                map[z->first + j] = s->first + j;
        return;
    }
}

fct_status fct_persons_match(const fct_persons *trained, const fct_mix *mix, const char *what,
                             int64_t **map, int64_t *known)
{
    fct_persons theirs;
    *known = 0;
    FCT_TRY(fct_persons_of(mix, &theirs));
    *map = malloc(((size_t)theirs.classes + 1) * sizeof **map);
    if (!*map) {
        fct_persons_release(&theirs);
        return FCT_FAIL_NOMEM((size_t)theirs.classes * sizeof **map, "the persons' classes");
    }
    for (int64_t k = 0; k < theirs.classes; k++)
        (*map)[k] = -1;
    for (int i = 0; i < theirs.sets; i++)
        match_set(trained, &theirs, &theirs.set[i], what, *map);
    for (int64_t k = 0; k < theirs.classes; k++)
        *known += (*map)[k] >= 0;
    fct_persons_release(&theirs);
    return FCT_OK;
}
