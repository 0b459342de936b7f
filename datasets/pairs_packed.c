// SPDX-License-Identifier: Apache-2.0
// The pairs that lie beside a packed set, by row number: <split>.pairs.csv.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "facet/text.h"
#include "pairs_list.h"

static const char columns[] = "first,second,same";

static fct_status file_of(const char *folder, const char *split, char out[FCT_PATH_MAX])
{
    char name[256];
    if (snprintf(name, sizeof name, "%s.pairs.csv", split) >= (int)sizeof name)
        return FCT_FAIL(FCT_E_ARG, "split %.60s...: the name is too long", split);
    return fct_path_join(out, folder, name);
}

int fct_pairs_has_packed(const char *folder, const char *split)
{
    char path[FCT_PATH_MAX];
    return fct_path_is_folder(folder) && file_of(folder, split, path) == FCT_OK &&
           fct_path_is_file(path);
}

fct_status fct_pairs_write_packed(const char *folder, const char *split, const fct_dataset *d,
                                  const fct_pairs *pairs)
{
    const fct_dataset_info *info = fct_dataset_describe(d);
    char path[FCT_PATH_MAX];
    fct_text text = { 0 };
    FCT_TRY(file_of(folder, split, path));
    fct_text_add(&text, "# facet pairs 1 pictures=%" PRId64 " data_hash=%016" PRIx64 "\n%s\n",
                 info->pictures, info->data_hash, columns);
    for (int64_t i = 0; i < pairs->n; i++)
        fct_text_add(&text, "%" PRId64 ",%" PRId64 ",%d\n", pairs->pair[i].first,
                     pairs->pair[i].second, pairs->pair[i].same);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, path)
                                    : fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}

// The pairs count rows: they mean something for that one set only.
static fct_status check_head(const char *line, const char *path, const fct_dataset_info *info)
{
    int64_t pictures;
    uint64_t hash;
    int end = -1;
    if (sscanf(line, "# facet pairs 1 pictures=%" SCNd64 " data_hash=%16" SCNx64 "%n", &pictures,
               &hash, &end) != 2 ||
        end < 0 || line[end] != 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s:1: is not \"# facet pairs 1 pictures=N data_hash=...\"",
                        path);
    if (pictures != info->pictures || hash != info->data_hash)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: was made for a set of %" PRId64 " pictures with hash %016" PRIx64
                        ", this one has %" PRId64 " and %016" PRIx64
                        "\npack the pairs again, or remove the file and pass --pairs",
                        path, pictures, hash, info->pictures, info->data_hash);
    return FCT_OK;
}

static fct_status read_row(const char *line, int64_t number, const char *path,
                           const fct_dataset_info *info, fct_pair *out)
{
    int end = -1;
    if (sscanf(line, "%" SCNd64 ",%" SCNd64 ",%d%n", &out->first, &out->second, &out->same, &end) !=
            3 ||
        end < 0 || line[end] != 0 || (out->same != 0 && out->same != 1))
        return FCT_FAIL(FCT_E_FORMAT, "%s:%" PRId64 ": \"%.60s\" is not first,second,same", path,
                        number, line);
    int64_t low = out->first < out->second ? out->first : out->second;
    int64_t high = out->first < out->second ? out->second : out->first;
    if (low < 0 || high >= info->pictures)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%" PRId64 ": picture %" PRId64 ", the set has %" PRId64,
                        path, number, low < 0 ? low : high, info->pictures);
    return FCT_OK;
}

static fct_status read_all(char *text, const char *path, const fct_dataset_info *info,
                           fct_pairs *out)
{
    size_t capacity = 0;
    int64_t number = 0;
    for (char *line; (line = strsep(&text, "\n"));) {
        fct_pair pair;
        number++;
        if (number == 1)
            FCT_TRY(check_head(line, path, info));
        else if (number == 2 && strcmp(line, columns))
            return FCT_FAIL(FCT_E_FORMAT, "%s:2: is not \"%s\"", path, columns);
        if (number <= 2 || *line == 0)
            continue;
        FCT_TRY(read_row(line, number, path, info, &pair));
        FCT_TRY(fct_pairs_add(out, &capacity, pair, path));
    }
    return out->n > 0 ? FCT_OK : FCT_FAIL(FCT_E_FORMAT, "%s: has no pairs", path);
}

fct_status fct_pairs_read_packed(const char *folder, const char *split, const fct_dataset *d,
                                 fct_pairs *out)
{
    char path[FCT_PATH_MAX], *text;
    fct_pairs pairs = { 0 };
    FCT_TRY(file_of(folder, split, path));
    FCT_TRY(fct_path_read(path, FCT_PAIRS_MOST_BYTES, &text, NULL));
    fct_status status = read_all(text, path, fct_dataset_describe(d), &pairs);
    free(text);
    if (status != FCT_OK)
        fct_pairs_release(&pairs);
    else
        *out = pairs;
    return status;
}

static const char *packed_path(const void *ctx, int64_t i)
{
    return fct_dataset_path(ctx, i);
}

fct_status fct_pairs_read_lfw_packed(const char *path, const fct_dataset *d, const char *what,
                                     fct_pairs *out)
{
    const fct_picture_names names = {
        .n = fct_dataset_describe(d)->pictures, .path = packed_path, .ctx = d, .what = what
    };
    return fct_pairs_read_lfw(path, &names, out);
}
