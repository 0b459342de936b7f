// SPDX-License-Identifier: Apache-2.0
// Reads a configuration before libconfig does: includes, limits, integers it would cut in silence.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_source.h"

// Where the reading of one file stands.
typedef struct {
    fct_config_source *out;
    const char *at;
    int file, line, depth;
} reader;

static fct_status include_file(reader *r, const char *path, int depth);

#define FAIL_HERE(r, ...) fail_at_line((r), (r)->line, __VA_ARGS__)

static fct_status fail_at_line(const reader *r, int line, const char *why)
{
    return FCT_FAIL(FCT_E_ARG, "%s:%d: %s", r->out->file[r->file], line, why);
}

// Says where the line that the output now begins comes from.
static fct_status begin_line(fct_config_source *out, int file, int line)
{
    if (out->lines == out->lines_capacity) {
        int capacity = out->lines_capacity * 2 + 64;
        fct_config_place *place = realloc(out->place, (size_t)capacity * sizeof *place);
        if (!place)
            return FCT_FAIL_NOMEM((size_t)capacity * sizeof *place, "a configuration's lines");
        out->place = place;
        out->lines_capacity = capacity;
    }
    out->place[out->lines++] = (fct_config_place){ file, line };
    return FCT_OK;
}

// Copies n bytes, which hold no line end.
static void copy(reader *r, size_t n)
{
    fct_text_add_bytes(&r->out->text, r->at, n);
    r->at += n;
}

static fct_status copy_line_end(reader *r)
{
    copy(r, 1);
    return begin_line(r->out, r->file, ++r->line);
}

static fct_status copy_string(reader *r)
{
    int start = r->line;
    size_t n = 0;
    copy(r, 1);
    for (; *r->at && *r->at != '"'; n++) {
        if (n >= FCT_CONFIG_MAX_STRING_BYTES)
            return fail_at_line(r, start, "string is longer than 16384 bytes");
        if (*r->at == '\n') {
            FCT_TRY(copy_line_end(r));
            continue;
        }
        copy(r, *r->at == '\\' && r->at[1] && r->at[1] != '\n' ? 2 : 1);
    }
    if (!*r->at)
        return fail_at_line(r, start, "string has no closing quote");
    copy(r, 1);
    return FCT_OK;
}

static fct_status copy_block_comment(reader *r)
{
    int start = r->line;
    copy(r, 2);
    while (*r->at && strncmp(r->at, "*/", 2) != 0) {
        if (*r->at == '\n')
            FCT_TRY(copy_line_end(r));
        else
            copy(r, 1);
    }
    if (!*r->at)
        return fail_at_line(r, start, "comment has no end");
    copy(r, 2);
    return FCT_OK;
}

static int is_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_*+-.", c));
}

// 10 or 16 for an integer as libconfig writes it, "12", "-12L", "0x1F", else 0.
static int integer_base(const char *word, size_t n)
{
    int base = !strncmp(word, "0x", 2) || !strncmp(word, "0X", 2) ? 16 : 10;
    size_t first = base == 16 ? 2 : strspn(word, "+-") == 1;
    size_t digits = strspn(word + first, base == 16 ? "0123456789abcdefABCDEF" : "0123456789");
    size_t suffix = strspn(word + first + digits, "L");
    return digits > 0 && first + digits + suffix == n ? base : 0;
}

static fct_status copy_word(reader *r)
{
    char word[FCT_CONFIG_MAX_WORD_BYTES + 1];
    size_t n = 0;
    while (is_word(r->at[n]) && n <= FCT_CONFIG_MAX_WORD_BYTES)
        n++;
    if (n > FCT_CONFIG_MAX_WORD_BYTES)
        return FAIL_HERE(r, "word is longer than 255 bytes");
    snprintf(word, sizeof word, "%.*s", (int)n, r->at);
    int base = integer_base(word, n);
    copy(r, n);
    if (!base)
        return FCT_OK;
    errno = 0;
    long long x = strtoll(word, NULL, base);
    if (errno)
        return FCT_FAIL(FCT_E_ARG, "%s:%d: %.40s%s: integer does not fit 64 bits",
                        r->out->file[r->file], r->line, word, n > 40 ? "..." : "");
    if ((x < INT32_MIN || x > INT32_MAX) && word[n - 1] != 'L')
        fct_text_add(&r->out->text, "L");
    return FCT_OK;
}

// The included file's path: beside the file that names it, and really inside the root folder.
static fct_status resolve_include(const reader *r, const char *name, char path[FCT_PATH_MAX],
                                  char real[FCT_PATH_MAX])
{
    const char *where = r->out->file[r->file], *slash = strrchr(where, '/');
    if (!*r->out->root)
        return FAIL_HERE(r, "@include is only possible in a file");
    int head = slash && *name != '/' ? (int)(slash - where) + 1 : 0;
    if (snprintf(path, FCT_PATH_MAX, "%.*s%s", head, where, name) >= FCT_PATH_MAX)
        return FAIL_HERE(r, "@include: path is too long");
    char *resolved = realpath(path, NULL);
    if (!resolved)
        return FCT_FAIL(FCT_E_ARG, "%s:%d: @include \"%.200s\": %s", where, r->line, name,
                        strerror(errno));
    size_t n = strlen(r->out->root);
    int inside = !strncmp(resolved, r->out->root, n) && (resolved[n] == '/' || n == 1);
    snprintf(real, FCT_PATH_MAX, "%s", resolved);
    free(resolved);
    if (!inside)
        return FCT_FAIL(FCT_E_ARG, "%s:%d: @include \"%.200s\": lies outside %.200s", where,
                        r->line, name, r->out->root);
    return FCT_OK;
}

static int is_at_line_start(const fct_text *text)
{
    size_t n = text->size;
    while (n > 0 && (text->data[n - 1] == ' ' || text->data[n - 1] == '\t'))
        n--;
    return n == 0 || text->data[n - 1] == '\n';
}

// Takes `@include "name"` and leaves r->at at the line's end.
static fct_status parse_include(reader *r, char name[FCT_PATH_MAX])
{
    size_t word = strlen("@include");
    if (!is_at_line_start(&r->out->text) || strncmp(r->at, "@include", word) != 0)
        return FAIL_HERE(r, "'@' is only allowed in: @include \"file\", on a line of its own");
    const char *at = r->at + word + strspn(r->at + word, " \t");
    size_t n = *at == '"' ? strcspn(at + 1, "\"\n") : 0;
    if (*at != '"' || at[1 + n] != '"' || n >= FCT_PATH_MAX)
        return FAIL_HERE(r, "@include wants a file name in quotes");
    snprintf(name, FCT_PATH_MAX, "%.*s", (int)n, at + 1);
    r->at = at + n + 2 + strspn(at + n + 2, " \t\r");
    if (*r->at && *r->at != '\n' && *r->at != '#')
        return FAIL_HERE(r, "@include stands on a line of its own");
    return FCT_OK;
}

// At an '@': the only thing it may begin is an include.
static fct_status copy_include(reader *r)
{
    char name[FCT_PATH_MAX], path[FCT_PATH_MAX], real[FCT_PATH_MAX];
    fct_config_source *out = r->out;
    FCT_TRY(parse_include(r, name));
    FCT_TRY(resolve_include(r, name, path, real));
    if (out->files == FCT_CONFIG_MAX_FILES)
        return FAIL_HERE(r, "more than 64 includes");
    if (r->depth == FCT_CONFIG_MAX_DEPTH)
        return FAIL_HERE(r, "includes nest deeper than 8; does a file include itself?");
    out->lines--; // the line that is replaced
    out->file[out->files] = strdup(path);
    if (!out->file[out->files++])
        return FCT_FAIL_NOMEM(strlen(path), "a file name");
    FCT_TRY(include_file(r, real, r->depth + 1));
    fct_text_add(&out->text, "\n");
    return begin_line(out, r->file, r->line);
}

static fct_status copy_one(reader *r)
{
    switch (*r->at) {
    case '\n':
        return copy_line_end(r);
    case '"':
        return copy_string(r);
    case '@':
        return copy_include(r);
    case '/':
        if (r->at[1] == '*')
            return copy_block_comment(r);
        copy(r, r->at[1] == '/' ? strcspn(r->at, "\n") : 1);
        return FCT_OK;
    case '#':
        copy(r, strcspn(r->at, "\n"));
        return FCT_OK;
    case '=':
    case ':':
        if (++r->out->settings > FCT_CONFIG_MAX_SETTINGS)
            return FAIL_HERE(r, "more than 4096 settings");
        break;
    default:
        if (is_word(*r->at))
            return copy_word(r);
    }
    copy(r, 1);
    return FCT_OK;
}

// `text` as the last of out->file, whose name is set.
static fct_status copy_text(fct_config_source *out, const char *text, int depth)
{
    reader r = { .out = out, .at = text, .file = out->files - 1, .line = 1, .depth = depth };
    if (!strncmp(text, "\xEF\xBB\xBF", 3))
        r.at += 3; // the mark some editors put before UTF-8; libconfig calls it a syntax error
    FCT_TRY(begin_line(out, r.file, 1));
    while (*r.at)
        FCT_TRY(copy_one(&r));
    return out->text.failed ? FCT_FAIL_NOMEM(out->text.size, "a configuration") : FCT_OK;
}

static fct_status include_file(reader *r, const char *path, int depth)
{
    char *text, why[512];
    size_t n, limit = FCT_CONFIG_MAX_BYTES - r->out->text.size;
    if (r->out->text.size > FCT_CONFIG_MAX_BYTES ||
        fct_path_read(path, limit, &text, &n) != FCT_OK) {
        snprintf(why, sizeof why, "%s", fct_fail_text());
        return FCT_FAIL(FCT_E_ARG, "%s:%d: @include: %s", r->out->file[r->file], r->line, why);
    }
    fct_status status = strlen(text) == n ? copy_text(r->out, text, depth)
                                          : FAIL_HERE(r, "@include: that file holds a zero byte");
    free(text);
    return status;
}

fct_status fct_config_source_read(const char *path, fct_config_source *out)
{
    char *text = NULL;
    size_t n;
    *out = (fct_config_source){ .files = 1 };
    out->file[0] = strdup(path);
    if (!out->file[0])
        return FCT_FAIL_NOMEM(strlen(path), "a file name");
    FCT_TRY(fct_path_read(path, FCT_CONFIG_MAX_BYTES, &text, &n));
    const char *slash = strrchr(path, '/');
    char folder[FCT_PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    char *root = realpath(folder, NULL);
    snprintf(out->root, sizeof out->root, "%s", root ? root : "");
    free(root);
    fct_status status = strlen(text) == n
                            ? copy_text(out, text, 0)
                            : FCT_FAIL(FCT_E_ARG, "%s: holds a zero byte, is not a text", path);
    free(text);
    return status;
}

fct_status fct_config_source_from_text(const char *text, const char *name, fct_config_source *out)
{
    *out = (fct_config_source){ .files = 1 };
    out->file[0] = strdup(name);
    if (!out->file[0])
        return FCT_FAIL_NOMEM(strlen(name), "a name");
    if (strlen(text) > FCT_CONFIG_MAX_BYTES)
        return FCT_FAIL(FCT_E_ARG, "%s: configuration is longer than 1 MiB", name);
    return copy_text(out, text, 0);
}

void fct_config_source_release(fct_config_source *source)
{
    for (int i = 0; i < source->files; i++)
        free(source->file[i]);
    free(source->place);
    fct_text_release(&source->text);
    *source = (fct_config_source){ 0 };
}

void fct_config_source_where(const fct_config_source *source, int line, char out[FCT_PATH_MAX])
{
    if (line < 1 || line > source->lines)
        line = source->lines;
    const fct_config_place *place = &source->place[line - 1];
    snprintf(out, FCT_PATH_MAX, "%.4000s:%d", source->file[place->file], place->line);
}
