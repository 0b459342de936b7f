// SPDX-License-Identifier: Apache-2.0
// Job scripts from the templates of slurm/.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submit.h"

enum { MOST_TEMPLATE_BYTES = 1 << 16 };

static const char plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:,=+@%-";

// ---- words

static void quote(const char *text, const char *mark, const char *escaped, fct_text *out)
{
    if (*text && strspn(text, plain) == strlen(text)) {
        fct_text_add(out, "%s", text);
        return;
    }
    fct_text_add(out, "%s", mark);
    for (; *text; text++)
        if (*text == *mark || (*mark == '"' && *text == '\\'))
            fct_text_add(out, escaped, *text);
        else
            fct_text_add_bytes(out, text, 1);
    fct_text_add(out, "%s", mark);
}

void fct_shell_quote(const char *text, fct_text *out)
{
    quote(text, "'", "'\\%c'", out);
}

fct_status fct_words_add(fct_words *w, const char *name, fct_word_kind kind, const char *value)
{
    FCT_ASSERT(w->n < (int)(sizeof w->word / sizeof *w->word));
    fct_text *out = &w->word[w->n].value;
    w->word[w->n++].name = name;
    value = value ? value : "";
    if (kind != FCT_WORD_TEXT && strpbrk(value, "\r\n"))
        return FCT_FAIL(FCT_E_ARG, "'%.100s' has more than one line", value);
    if (kind == FCT_WORD_SHELL)
        fct_shell_quote(value, out);
    else if (kind == FCT_WORD_SBATCH && *value)
        quote(value, "\"", "\\%c", out);
    else
        fct_text_add(out, "%s", value);
    return out->failed ? FCT_FAIL_NOMEM(strlen(value), "the job script") : FCT_OK;
}

fct_status fct_words_add_int(fct_words *w, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return fct_words_add(w, name, FCT_WORD_LINE, text);
}

void fct_words_release(fct_words *w)
{
    for (int i = 0; i < w->n; i++)
        fct_text_release(&w->word[i].value);
    w->n = 0;
}

// ---- templates

// $FACET_SHARE, what was installed beside the program, the source tree it was built from.
static fct_status find_template(const char *name, char out[FCT_PATH_MAX])
{
    char program[FCT_PATH_MAX], tried[3][FCT_PATH_MAX] = { "" };
    const char *share = getenv("FACET_SHARE");
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = 0;
    if (share)
        snprintf(tried[0], FCT_PATH_MAX, "%s", share);
    if (slash)
        FCT_TRY(fct_path_join(tried[1], program, "../share/facet"));
    snprintf(tried[2], FCT_PATH_MAX, "%s", FACET_SOURCE_SHARE);
    for (int i = share ? 0 : 1; i < 3; i++) {
        char folder[FCT_PATH_MAX];
        FCT_TRY(fct_path_join(folder, tried[i], "slurm"));
        FCT_TRY(fct_path_join(out, folder, name));
        if (share || fct_path_is_file(out))
            break;
    }
    return fct_path_is_file(out)
               ? FCT_OK
               : FCT_FAIL(FCT_E_IO,
                          "%s: the template is not there\nset FACET_SHARE to the folder "
                          "that holds slurm/, as share/facet of an installation",
                          out);
}

// The word at `at`, "@NAME@": its length there and its value, NULL when this is no word.
static const char *word_at(const fct_words *words, const char *at, size_t *length)
{
    size_t n = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (n == 0 || at[1 + n] != '@')
        return NULL;
    *length = n + 2;
    for (int i = 0; i < words->n; i++)
        if (strlen(words->word[i].name) == n && !strncmp(words->word[i].name, at + 1, n))
            return words->word[i].value.data ? words->word[i].value.data : "";
    return NULL;
}

static fct_status render_line(const char *line, size_t n, const char *file, const fct_words *words,
                              fct_text *out)
{
    fct_text text = { 0 };
    int is_option = !strncmp(line, "#SBATCH", 7), is_left_out = 0;
    fct_status status = FCT_OK;
    for (size_t i = 0; i < n && status == FCT_OK;) {
        size_t length = 0;
        const char *value = line[i] == '@' ? word_at(words, line + i, &length) : NULL;
        if (length && !value)
            status = FCT_FAIL(FCT_E_FORMAT, "%s: nothing is known for %.*s", file, (int)length,
                              line + i);
        if (value)
            fct_text_add(&text, "%s", value);
        else
            fct_text_add_bytes(&text, line + i, 1);
        is_left_out |= is_option && value && !*value;
        i += value ? length : 1;
    }
    if (status == FCT_OK && !is_left_out)
        fct_text_add(out, "%s\n", text.data ? text.data : "");
    if (text.failed || out->failed)
        status = FCT_FAIL_NOMEM(n, "the job script");
    fct_text_release(&text);
    return status;
}

static fct_status render_text(const char *text, const char *file, const fct_words *words,
                              fct_text *out)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        FCT_TRY(render_line(text, n, file, words, out));
        text += n + (text[n] == '\n');
    }
    return FCT_OK;
}

static fct_status render_file(const char *name, int is_part, const fct_words *words, fct_text *out)
{
    char file[FCT_PATH_MAX], *text;
    FCT_TRY(find_template(name, file));
    FCT_TRY(fct_path_read(file, MOST_TEMPLATE_BYTES, &text, NULL));
    const char *head = is_part ? strstr(text, "\n\n") : NULL;
    fct_status status = render_text(head ? head + 2 : text, file, words, out);
    free(text);
    return status;
}

fct_status fct_template_render(const char *name, const fct_words *words, fct_text *out)
{
    fct_text part = { 0 };
    fct_words all = *words;
    fct_status status = render_file("launch.sh", 1, words, &part);
    all.word[all.n].name = "LAUNCH";
    all.word[all.n++].value = part;
    if (status == FCT_OK)
        status = render_file(name, 0, &all, out);
    fct_text_release(&part);
    return status;
}
