// SPDX-License-Identifier: Apache-2.0
// A checkpoint in words or as JSON: its step, its tensors, whether it is whole.
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "cmd_inspect.h"
#include "facet/checkpoint.h"
#include "facet/path.h"

int fct_inspect_is_checkpoint(const char *path)
{
    char commit[FCT_PATH_MAX];
    if (fct_path_join(commit, path, "COMMIT") == FCT_OK && fct_path_is_file(commit))
        return 1;
    if (fct_path_is_file(path)) // the pointers last and best
        return fct_text_ends_with(path, "/last") || fct_text_ends_with(path, "/best");
    DIR *dir = opendir(path);
    int steps = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        steps += strncmp(e->d_name, "step_", 5) == 0;
    if (dir)
        closedir(dir);
    return steps > 0;
}

static const char *type_name(int type)
{
    static const char *const names[] = { "f32", "f64", "i64", "u8" };
    return type >= 0 && type < (int)(sizeof names / sizeof *names) ? names[type] : "?";
}

static void shape_text(const fct_blob *b, char out[96])
{
    int n = 0;
    out[0] = 0;
    for (int i = 0; i < b->ndim && i < 4; i++)
        n += snprintf(out + n, 96 - (size_t)n, "%s%lld", i ? "," : "", (long long)b->dim[i]);
}

static size_t tensors_text(const fct_blobs *blobs, fct_text *out)
{
    size_t total = 0;
    char size[32], shape[96];
    for (int i = 0; i < blobs->n; i++) {
        const fct_blob *b = &blobs->blob[i];
        total += fct_blob_bytes(b);
        fct_text_bytes((double)fct_blob_bytes(b), size);
        shape_text(b, shape);
        fct_text_add(out, "  %-52s %s (%s) %s\n", b->name, type_name((int)b->type), shape, size);
    }
    return total;
}

// Those of a part that is not rank 0's carry its rank.
static void tensors_json(const fct_blobs *blobs, int rank, fct_text *out)
{
    char shape[96];
    for (int i = 0; i < blobs->n; i++) {
        const fct_blob *b = &blobs->blob[i];
        shape_text(b, shape);
        fct_text_add(out, "%s{\"name\":", i || rank ? "," : "");
        fct_text_add_json(out, b->name);
        fct_text_add(out, ",\"type\":\"%s\",\"shape\":[%s],\"bytes\":%zu", type_name((int)b->type),
                     shape, fct_blob_bytes(b));
        if (rank)
            fct_text_add(out, ",\"rank\":%d", rank);
        fct_text_add(out, "}");
    }
}

typedef struct {
    int tensors;
    size_t bytes;
} total;

static fct_status one_part(const char *step_folder, int rank, int is_json, total *sum,
                           fct_text *out)
{
    fct_blobs blobs;
    FCT_TRY(fct_checkpoint_load_some(step_folder, rank, "", &blobs));
    if (is_json)
        tensors_json(&blobs, rank, out);
    else if (rank > 0 && blobs.n > 0)
        fct_text_add(out, "  only rank %d's:\n", rank);
    if (!is_json)
        sum->bytes += tensors_text(&blobs, out);
    sum->tensors += blobs.n;
    fct_blobs_release(&blobs);
    return FCT_OK;
}

// What is split over ranks, an identity head's classes, lies in the parts of all.
static fct_status all_parts(const char *step_folder, int is_json, fct_text *out)
{
    int parts;
    total sum = { 0 };
    char size[32];
    FCT_TRY(fct_checkpoint_parts(step_folder, &parts));
    fct_text_add(out, "%s", is_json ? ",\"tensors\":[" : "");
    for (int rank = 0; rank < parts; rank++)
        FCT_TRY(one_part(step_folder, rank, is_json, &sum, out));
    fct_text_bytes((double)sum.bytes, size);
    if (is_json)
        fct_text_add(out, "],\"parts\":%d}\n", parts);
    else
        fct_text_add(out, "  %d tensors, %s, all checksums right\n", sum.tensors, size);
    return FCT_OK;
}

fct_status fct_inspect_checkpoint(const char *path, int is_json, fct_text *out)
{
    fct_blobs blobs;
    char taken[FCT_PATH_MAX] = "";
    int64_t step = -1;
    FCT_TRY(fct_checkpoint_load(path, 0, &blobs, taken)); // chooses, and verifies all parts
    fct_blobs_release(&blobs);
    FCT_TRY(fct_checkpoint_verify(taken, &step));
    if (is_json) {
        fct_text_add(out, "{\"kind\":\"checkpoint\",\"path\":");
        fct_text_add_json(out, taken);
        fct_text_add(out, ",\"step\":%lld", (long long)step);
    } else {
        fct_text_add(out, "%s: checkpoint of step %lld\n", taken, (long long)step);
    }
    return all_parts(taken, is_json, out);
}
