// SPDX-License-Identifier: Apache-2.0
// Names and shapes of a checkpoint against those of a model.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/model.h"
#include "init_match.h"
#include "trainer.h"

enum { NAME = 256, NAMED = 4 };

static int starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static fct_status check_rules(const fct_init_rules *r)
{
    for (int i = 0; i < r->rename.n; i++)
        if (!strchr(r->rename.item[i], '='))
            return FCT_FAIL(FCT_E_ARG,
                            "init.rename: '%s' is not FROM=TO\nfor example encoder.=backbone. or, "
                            "to put a prefix before every name, =backbone.",
                            r->rename.item[i]);
    return FCT_OK;
}

static int find_row(const fct_param *table, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(table[i].name, name))
            return i;
    return -1;
}

// Replaces the beginning of `name` in place; 0: no rule fits, or the name would be too long.
static int rename_once(const fct_init_rules *r, char name[NAME])
{
    char old[NAME];
    snprintf(old, sizeof old, "%s", name);
    for (int i = 0; i < r->rename.n; i++) {
        const char *rule = r->rename.item[i], *to = strchr(rule, '=') + 1;
        const size_t from = (size_t)(to - 1 - rule);
        if (strncmp(old, rule, from) != 0)
            continue;
        return snprintf(name, NAME, "%s%s", to, old + from) < NAME;
    }
    return 0;
}

static int strip_once(const fct_init_rules *r, char name[NAME])
{
    for (int i = 0; i < r->strip.n; i++) {
        const size_t length = strlen(r->strip.item[i]);
        if (length == 0 || !starts(name, r->strip.item[i]))
            continue;
        memmove(name, name + length, strlen(name) - length + 1);
        return 1;
    }
    return 0;
}

// The parameter that a tensor of this name becomes, -1: none.
static int resolve(const fct_init_rules *r, const fct_param *table, int n, const char *source)
{
    char name[NAME];
    int row = -1, renamed = 0;
    snprintf(name, sizeof name, "%s", source);
    do {
        renamed = renamed || rename_once(r, name);
        row = find_row(table, n, name);
    } while (row < 0 && strip_once(r, name));
    return row;
}

static const char *name_in(const fct_blobs *state, int blob, const char *inside)
{
    const char *name = state->blob[blob].name;
    const size_t length = strlen(inside);
    return starts(name, inside) && name[length] == '/' ? name + length + 1 : NULL;
}

static fct_init_fate judge(const fct_init_rules *r, const fct_param *q, const fct_blob *b)
{
    if (starts(q->name, "balance."))
        return FCT_INIT_OWN;
    for (int i = 0; b && i < r->n_other_classes; i++)
        if (starts(q->name, r->other_classes[i]))
            return FCT_INIT_CLASSES;
    return !b ? FCT_INIT_MISSING : fct_state_has_shape(b, q) ? FCT_INIT_TAKEN : FCT_INIT_SHAPE;
}

static fct_status assign(const fct_init_rules *r, const fct_blobs *state, const char *inside,
                         const fct_param *table, fct_init_match *m)
{
    for (int k = 0; k < state->n; k++) {
        const char *name = name_in(state, k, inside);
        const int row = name ? resolve(r, table, m->n, name) : -1;
        if (!name)
            continue;
        if (row < 0 && starts(name, "balance."))
            continue;
        if (row < 0) {
            m->unexpected[m->n_unexpected++] = k;
            continue;
        }
        if (m->source[row] >= 0)
            return FCT_FAIL(FCT_E_ARG,
                            "init.from: %s and %s would both become %s\nmake init.rename and "
                            "init.strip_prefix fit one of them only",
                            name_in(state, m->source[row], inside), name, table[row].name);
        m->source[row] = k;
    }
    return FCT_OK;
}

static void judge_all(const fct_init_rules *r, const fct_blobs *state, const fct_param *table,
                      fct_init_match *m)
{
    double backbone = 0, taken = 0;
    for (int i = 0; i < m->n; i++) {
        const double values = (double)fct_shape_elements(&table[i].shape);
        m->fate[i] = judge(r, &table[i], m->source[i] < 0 ? NULL : &state->blob[m->source[i]]);
        if (!fct_model_is_backbone(table[i].name))
            continue;
        backbone += values;
        taken += m->fate[i] == FCT_INIT_TAKEN ? values : 0;
    }
    m->share = backbone > 0 ? taken / backbone : 0;
}

fct_status fct_init_match_create(const fct_init_rules *rules, const fct_blobs *state,
                                 const char *inside, const fct_param *table, int n,
                                 fct_init_match *out)
{
    fct_init_match m = { .n = n };
    fct_status status = check_rules(rules);
    if (status != FCT_OK)
        return status;
    m.fate = calloc((size_t)n + 1, sizeof *m.fate);
    m.source = malloc(((size_t)n + 1) * sizeof *m.source);
    m.unexpected = malloc(((size_t)state->n + 1) * sizeof *m.unexpected);
    if (!m.fate || !m.source || !m.unexpected)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)n * sizeof *m.source, "names to match"), status, fail);
    for (int i = 0; i < n; i++)
        m.source[i] = -1;
    FCT_TRY_GOTO(assign(rules, state, inside, table, &m), status, fail);
    judge_all(rules, state, table, &m);
    *out = m;
    return FCT_OK;
fail:
    fct_init_match_release(&m);
    return status;
}

void fct_init_match_release(fct_init_match *m)
{
    free(m->fate);
    free(m->source);
    free(m->unexpected);
    *m = (fct_init_match){ 0 };
}

int fct_init_match_count(const fct_init_match *m, fct_init_fate fate)
{
    int count = 0;
    for (int i = 0; i < m->n; i++)
        count += m->fate[i] == fate;
    return count;
}

static void add_dims(const int64_t *dim, int n, fct_text *text)
{
    for (int i = 0; i < n; i++)
        fct_text_add(text, "%s%lld", i ? "x" : "", (long long)dim[i]);
    if (n == 0)
        fct_text_add(text, "1");
}

static const char *plain_name(const fct_blob *b) // without the group it lies in
{
    const char *slash = strrchr(b->name, '/');
    return slash ? slash + 1 : b->name;
}

static void add_row(const fct_init_match *m, const fct_blobs *state, const fct_param *table, int i,
                    fct_text *text)
{
    fct_text_add(text, "%s", table[i].name);
    if (m->fate[i] != FCT_INIT_SHAPE)
        return;
    fct_text_add(text, " (");
    add_dims(state->blob[m->source[i]].dim, state->blob[m->source[i]].ndim, text);
    fct_text_add(text, " in the file, ");
    add_dims(table[i].shape.dim, table[i].shape.ndim, text);
    fct_text_add(text, " here)");
}

static void add_fate(const fct_init_match *m, const fct_blobs *state, const fct_param *table,
                     fct_init_fate fate, const char *words, const char *separator, fct_text *text)
{
    int count = fct_init_match_count(m, fate), named = 0;
    if (count == 0)
        return;
    fct_text_add(text, "%s%d %s: ", text->size ? separator : "", count, words);
    for (int i = 0; i < m->n && named < NAMED; i++) {
        if (m->fate[i] != fate)
            continue;
        fct_text_add(text, "%s", named++ ? ", " : "");
        add_row(m, state, table, i, text);
    }
    if (count > named)
        fct_text_add(text, " and %d more", count - named);
}

void fct_init_match_words(const fct_init_match *m, const fct_blobs *state, const fct_param *table,
                          const char *separator, fct_text *text)
{
    fct_text w = { 0 };
    add_fate(m, state, table, FCT_INIT_MISSING, "missing (not in the file)", separator, &w);
    add_fate(m, state, table, FCT_INIT_SHAPE, "of another shape", separator, &w);
    add_fate(m, state, table, FCT_INIT_CLASSES, "of a head with other classes", separator, &w);
    if (m->n_unexpected > 0)
        fct_text_add(&w, "%s%d unexpected (not in this model): ", w.size ? separator : "",
                     m->n_unexpected);
    for (int i = 0; i < m->n_unexpected && i < NAMED; i++)
        fct_text_add(&w, "%s%s", i ? ", " : "", plain_name(&state->blob[m->unexpected[i]]));
    if (m->n_unexpected > NAMED)
        fct_text_add(&w, " and %d more", m->n_unexpected - NAMED);
    fct_text_add(text, "%s", w.data ? w.data : "");
    text->failed |= w.failed;
    fct_text_release(&w);
}

void fct_init_match_list(const fct_init_match *m, const fct_blobs *state, const fct_param *table,
                         fct_text *text)
{
    static const char *const word[FCT_INIT_FATES] = { "taken", "missing", "shape", "classes",
                                                      "own" };
    for (int i = 0; i < m->n; i++) {
        const fct_blob *b = m->source[i] < 0 ? NULL : &state->blob[m->source[i]];
        fct_text_add(text, "%s\t%s\t%s\t", word[m->fate[i]], table[i].name,
                     b ? plain_name(b) : "-");
        add_dims(table[i].shape.dim, table[i].shape.ndim, text);
        fct_text_add(text, "\t%s", b ? "" : "-");
        if (b)
            add_dims(b->dim, b->ndim, text);
        fct_text_add(text, "\n");
    }
    for (int i = 0; i < m->n_unexpected; i++) {
        const fct_blob *b = &state->blob[m->unexpected[i]];
        fct_text_add(text, "unexpected\t-\t%s\t-\t", plain_name(b));
        add_dims(b->dim, b->ndim, text);
        fct_text_add(text, "\n");
    }
}
