// SPDX-License-Identifier: Apache-2.0
// COMMIT: the text that makes a folder a checkpoint. It lists every part and tensor with size and
// hash, and ends in the hash of itself.
//   facet-checkpoint VERSION
//   step STEP
//   part RANK BYTES HASH TENSORS     (then as many lines)
//   tensor OFFSET BYTES HASH NAME
//   end HASH
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "checkpoint_files.h"

enum { COMMIT_MOST_BYTES = 64 << 20 };

void fct_part_file_name(char out[32], int rank)
{
    snprintf(out, 32, "rank_%04d.h5", rank);
}

void fct_commit_add_head(fct_text *text, int64_t step)
{
    fct_text_add(text, "facet-checkpoint %d\nstep %" PRId64 "\n", FCT_CHECKPOINT_VERSION, step);
}

void fct_commit_add_part(fct_text *text, const fct_part_record *part)
{
    fct_text_add(text, "part %d %" PRIu64 " %016" PRIx64 " %d\n", part->rank, part->bytes,
                 part->hash, part->n);
    for (int i = 0; i < part->n; i++) {
        const fct_tensor_record *t = &part->tensor[i];
        fct_text_add(text, "tensor %" PRIu64 " %" PRIu64 " %016" PRIx64 " %s\n", t->offset,
                     t->bytes, t->hash, t->name);
    }
}

void fct_commit_add_end(fct_text *text)
{
    uint64_t hash = XXH3_64bits(text->data, text->size);
    fct_text_add(text, "end %016" PRIx64 "\n", hash);
}

void fct_commit_release(fct_commit *commit)
{
    for (int i = 0; i < commit->n; i++)
        free(commit->part[i].tensor);
    free(commit->part);
    *commit = (fct_commit){ 0 };
}

static fct_status damaged(const char *path, const char *text, const char *at)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: damaged at byte %zu", path, (size_t)(at - text));
}

// The version comes first, before any trust in the rest: a newer format may end otherwise.
static fct_status check_version(const char *path, const char *text)
{
    int version = 0;
    if (sscanf(text, "facet-checkpoint %9d\n", &version) != 1)
        return FCT_FAIL(FCT_E_FORMAT, "%s: does not begin like a checkpoint's commit record", path);
    if (version > FCT_CHECKPOINT_VERSION)
        return FCT_FAIL(FCT_E_UNSUPPORTED,
                        "%s: format %d, but this facet reads up to format %d\n"
                        "it was written by a newer facet: use that one",
                        path, version, FCT_CHECKPOINT_VERSION);
    return FCT_OK;
}

static fct_status check_end(const char *path, char *text, size_t n)
{
    enum { END = sizeof "end 0123456789abcdef\n" - 1 };
    uint64_t want = 0;
    if (n < END || strlen(text) != n || sscanf(text + n - END, "end %16" SCNx64 "\n", &want) != 1 ||
        text[n - 1] != '\n')
        return FCT_FAIL(FCT_E_FORMAT, "%s: its end is missing (%zu bytes are there)", path, n);
    if (XXH3_64bits(text, n - END) != want)
        return FCT_FAIL(FCT_E_FORMAT, "%s: does not have its own checksum", path);
    text[n - END] = 0;
    return FCT_OK;
}

static char *next_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = 0;
    *at = end + 1;
    return line;
}

static fct_status parse_tensors(const char *path, const char *text, char **at,
                                fct_part_record *part)
{
    uint64_t sum = 0;
    for (int i = 0; i < part->n; i++) {
        fct_tensor_record *t = &part->tensor[i];
        char *line = next_line(at);
        if (!line || sscanf(line, "tensor %" SCNu64 " %" SCNu64 " %16" SCNx64 " %127s", &t->offset,
                            &t->bytes, &t->hash, t->name) != 4)
            return damaged(path, text, *at);
        if (t->bytes > part->bytes || t->offset > part->bytes - t->bytes ||
            (sum += t->bytes) > part->bytes)
            return FCT_FAIL(FCT_E_FORMAT, "%s: tensor %s does not fit its part", path, t->name);
    }
    return FCT_OK;
}

static fct_status parse_part(const char *path, const char *text, size_t n, char **at,
                             fct_commit *out)
{
    fct_part_record part = { 0 };
    char *line = next_line(at);
    if (!line ||
        sscanf(line, "part %9d %" SCNu64 " %16" SCNx64 " %9d", &part.rank, &part.bytes, &part.hash,
               &part.n) != 4 ||
        part.rank < 0 || part.n < 0 || (size_t)part.n > n / 8)
        return damaged(path, text, *at);
    fct_part_record *all = realloc(out->part, (size_t)(out->n + 1) * sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM(sizeof *all, path);
    out->part = all;
    part.tensor = calloc((size_t)part.n + 1, sizeof *part.tensor);
    if (!part.tensor)
        return FCT_FAIL_NOMEM((size_t)part.n * sizeof *part.tensor, path);
    all[out->n++] = part;
    return parse_tensors(path, text, at, &all[out->n - 1]);
}

fct_status fct_commit_parse(const char *path, char *text, size_t n, fct_commit *out)
{
    char *at = text, *line;
    *out = (fct_commit){ 0 };
    FCT_TRY(check_version(path, text));
    FCT_TRY(check_end(path, text, n));
    next_line(&at);
    if (!(line = next_line(&at)) || sscanf(line, "step %" SCNd64, &out->step) != 1)
        return damaged(path, text, at);
    while (*at)
        FCT_TRY(parse_part(path, text, n, &at, out));
    return FCT_OK;
}

// A step folder whose COMMIT tells of another step was put together from two.
static fct_status check_step(const char *path, const char *step_folder, int64_t step)
{
    char name[32];
    size_t n = strlen(step_folder);
    while (n > 1 && step_folder[n - 1] == '/')
        n--;
    size_t first = n;
    while (first > 0 && step_folder[first - 1] != '/')
        first--;
    if (n - first >= sizeof name)
        return FCT_OK;
    memcpy(name, step_folder + first, n - first);
    name[n - first] = 0;
    int64_t named = fct_step_parse(name);
    if (named < 0 || named == step)
        return FCT_OK;
    return FCT_FAIL(FCT_E_FORMAT, "%s: belongs to step %" PRId64, path, step);
}

fct_status fct_commit_read(const char *step_folder, fct_commit *out)
{
    char path[FCT_PATH_MAX], *text;
    size_t n;
    *out = (fct_commit){ 0 };
    FCT_TRY(fct_path_join(path, step_folder, "COMMIT"));
    if (!fct_path_is_file(path))
        return FCT_FAIL(FCT_E_FORMAT, "%s: is not there: this folder holds no whole checkpoint",
                        path);
    FCT_TRY(fct_path_read(path, COMMIT_MOST_BYTES, &text, &n));
    fct_status status = fct_commit_parse(path, text, n, out);
    free(text);
    return status == FCT_OK ? check_step(path, step_folder, out->step) : status;
}
