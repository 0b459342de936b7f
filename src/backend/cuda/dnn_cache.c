// SPDX-License-Identifier: Apache-2.0
// The file is a first line that names its kind, lines of four fields between tabs (device, graph,
// engine, seconds), and a last line with their number, by which a file that was cut short is known.
#include "dnn_cache.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "facet/path.h"
#include "facet/text.h"

#define MAGIC "facet-cuda-choices 1\n"
enum { MAX_FILE = 8 << 20, MAX_CHOICES = 4096, MAX_FIELD = 512 };

typedef struct {
    char *device, *key, *choice;
    double seconds;
} choice;

struct fct_dnn_cache {
    char *path; // NULL: in memory only
    char *device;
    choice *at;
    int n, capacity;
};

static choice *find(const fct_dnn_cache *c, const char *device, const char *key)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->at[i].key, key) == 0 && strcmp(c->at[i].device, device) == 0)
            return &c->at[i];
    return NULL;
}

static void forget(choice *e)
{
    free(e->device);
    free(e->key);
    free(e->choice);
}

// The oldest goes when the table is full.
static fct_status make_room(fct_dnn_cache *c)
{
    if (c->n == MAX_CHOICES) {
        forget(&c->at[0]);
        memmove(c->at, c->at + 1, (size_t)--c->n * sizeof *c->at);
    }
    if (c->n < c->capacity)
        return FCT_OK;
    int capacity = c->capacity ? 2 * c->capacity : 256;
    choice *more = realloc(c->at, (size_t)capacity * sizeof *more);
    if (!more)
        return FCT_FAIL_NOMEM((size_t)capacity * sizeof *more, "the choices of engines");
    c->at = more;
    c->capacity = capacity;
    return FCT_OK;
}

static fct_status put(fct_dnn_cache *c, const choice *from)
{
    choice *old = find(c, from->device, from->key);
    choice new = { strdup(from->device), strdup(from->key), strdup(from->choice), from->seconds };
    fct_status s = FCT_OK;
    if (!new.device || !new.key || !new.choice)
        s = FCT_FAIL_NOMEM(3 * MAX_FIELD, "a choice of an engine");
    if (s == FCT_OK && !old)
        s = make_room(c);
    if (s != FCT_OK) {
        forget(&new);
        return s;
    }
    if (!old)
        old = &c->at[c->n++];
    else
        forget(old);
    *old = new;
    return FCT_OK;
}

// Splits a line at its tabs, in place. 0 when it is no choice.
static int parse_line(char *line, choice *out)
{
    char *field[4] = { line };
    for (int i = 1; i < 4; i++) {
        char *tab = strchr(field[i - 1], '\t');
        if (!tab)
            return 0;
        *tab = 0;
        field[i] = tab + 1;
    }
    for (int i = 0; i < 3; i++)
        if (!*field[i] || strlen(field[i]) >= MAX_FIELD)
            return 0;
    *out = (choice){ field[0], field[1], field[2], 0 };
    return fct_text_to_f64(field[3], &out->seconds) == FCT_OK && out->seconds >= 0;
}

// Ends the line at `at` and steps behind it; NULL when no whole line is left.
static char *take_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = 0;
    *at = end + 1;
    return line;
}

// `keep_mine`: what is in memory is newer than the text.
static fct_status read_lines(fct_dnn_cache *c, char *text, int keep_mine)
{
    choice e;
    for (char *line; (line = take_line(&text));)
        if (parse_line(line, &e) && !(keep_mine && find(c, e.device, e.key)))
            FCT_TRY(put(c, &e));
    return FCT_OK;
}

// Whether the last line counts the lines between the first and it.
static int is_whole(const char *text)
{
    int64_t lines = 0, told;
    const char *last = text, *end = strchr(text, '\n');
    for (; end && end[1]; end = strchr(last, '\n')) {
        last = end + 1;
        lines++;
    }
    char number[24];
    if (!end || strncmp(last, "end ", 4) != 0 || (size_t)(end - last - 4) >= sizeof number)
        return 0;
    memcpy(number, last + 4, (size_t)(end - last - 4));
    number[end - last - 4] = 0;
    return fct_text_to_i64(number, &told) == FCT_OK && told == lines - 1;
}

static void give_up_file(fct_dnn_cache *c)
{
    fct_fail_clear();
    free(c->path);
    c->path = NULL;
}

// Adds what the file has and memory has not. A file of another kind is not ours to write to.
static void read_file(fct_dnn_cache *c)
{
    char *text;
    size_t size;
    if (!fct_path_is_file(c->path))
        return;
    if (fct_path_read(c->path, MAX_FILE, &text, &size) != FCT_OK) {
        FCT_WARN("the plan cache is not used: %s", fct_fail_text());
        give_up_file(c);
        return;
    }
    int is_ours = !size || strncmp(text, MAGIC, size < strlen(MAGIC) ? size : strlen(MAGIC)) == 0;
    if (!is_ours) {
        FCT_WARN("%s: not a plan cache; it is left as it is, and not used", c->path);
        give_up_file(c);
    } else if (size && !is_whole(text)) {
        FCT_WARN("%s: cut short; a new one will take its place", c->path);
    } else if (read_lines(c, text, 1) != FCT_OK) {
        give_up_file(c);
    }
    free(text);
}

static void write_lines(const fct_dnn_cache *c, const char *device, fct_text *out)
{
    for (int i = 0; i < c->n; i++)
        if (!device || strcmp(c->at[i].device, device) == 0)
            fct_text_add(out, "%s\t%s\t%s\t%.9g\n", c->at[i].device, c->at[i].key, c->at[i].choice,
                         c->at[i].seconds);
}

// Two that write at the same moment: one's last choice may be lost, never the file; it is only
// measured again.
static void write_file(fct_dnn_cache *c)
{
    fct_text text = { 0 };
    read_file(c);
    if (!c->path)
        return;
    fct_text_add(&text, "%s", MAGIC);
    write_lines(c, NULL, &text);
    fct_text_add(&text, "end %d\n", c->n);
    if (text.failed || fct_path_replace(c->path, text.data, text.size) != FCT_OK) {
        FCT_WARN("the plan cache is not kept: %s", text.failed ? c->path : fct_fail_text());
        give_up_file(c);
    }
    fct_text_release(&text);
}

fct_status fct_dnn_cache_create(const char *path, const char *device, fct_dnn_cache **out)
{
    fct_dnn_cache *c = calloc(1, sizeof *c);
    if (!c)
        return FCT_FAIL_NOMEM(sizeof *c, "the choices of engines");
    c->device = strdup(device);
    c->path = path ? strdup(path) : NULL;
    if (!c->device || (path && !c->path)) {
        fct_dnn_cache_destroy(c);
        return FCT_FAIL_NOMEM(strlen(device), "the choices of engines");
    }
    for (char *at = c->device; *at; at++)
        if (*at == '\t' || *at == '\n')
            *at = ' ';
    if (c->path)
        read_file(c);
    *out = c;
    return FCT_OK;
}

void fct_dnn_cache_destroy(fct_dnn_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++)
        forget(&c->at[i]);
    free(c->at);
    free(c->path);
    free(c->device);
    free(c);
}

const char *fct_dnn_cache_find(const fct_dnn_cache *c, const char *key, double *seconds)
{
    const choice *e = find(c, c->device, key);
    if (!e)
        return NULL;
    *seconds = e->seconds;
    return e->choice;
}

fct_status fct_dnn_cache_add(fct_dnn_cache *c, const char *key, const char *name, double seconds)
{
    choice e = { c->device, (char *)(uintptr_t)key, (char *)(uintptr_t)name, seconds };
    FCT_TRY(put(c, &e));
    if (c->path)
        write_file(c);
    return FCT_OK;
}

fct_status fct_dnn_cache_write(const fct_dnn_cache *c, char **out)
{
    fct_text text = { 0 };
    fct_text_add(&text, "%s", "");
    write_lines(c, c->device, &text);
    if (text.failed || !text.data) {
        fct_text_release(&text);
        return FCT_FAIL_NOMEM(MAX_FIELD, "the choices of engines");
    }
    *out = text.data;
    return FCT_OK;
}

fct_status fct_dnn_cache_read(fct_dnn_cache *c, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return FCT_FAIL_NOMEM(strlen(text), "the choices of engines");
    fct_status s = read_lines(c, copy, 0);
    free(copy);
    return s;
}
