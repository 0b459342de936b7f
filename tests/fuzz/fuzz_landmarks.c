// SPDX-License-Identifier: Apache-2.0
// The readers of .pts, landmark csv and lists, and action units: what they keep is whole. The first
// byte says which one reads the rest.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/landmark_files.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_cache(char *text, fct_status (*read)(fct_landmark_reader *r, char *text))
{
    fct_landmark_cache cache = { .keys.file = "file" };
    const fct_landmark_spec spec = { .of_68 = 10 };
    fct_landmark_reader r = { .spec = &spec, .cache = &cache, .file = "file" };
    fct_status status = read(&r, text);
    if (cache.point.size != cache.keys.keys * (size_t)cache.points * 2 * sizeof(float))
        abort();
    if (status == FCT_OK && !isfinite(r.largest))
        abort();
    fct_landmark_cache_release(&cache);
}

static void read_units(const char *text)
{
    char path[512];
    fct_unit_table table;
    fuzz_file(path, "au.csv", text, strlen(text));
    if (fct_unit_table_load(path, &table) != FCT_OK)
        return;
    if (table.value.size != table.keys.keys * (size_t)table.units)
        abort();
    fct_unit_table_release(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fct_face_points face;
    if (n == 0)
        return 0;
    char *text = malloc(n);
    if (!text)
        abort();
    memcpy(text, data + 1, n - 1);
    text[n - 1] = 0;
    switch (data[0]) {
    case 'p':
        if (fct_pts_parse(text, "face.pts", &face) == FCT_OK && !isfinite(face.xy[4][1]))
            abort();
        break;
    case 'c':
        read_cache(text, fct_landmarks_read_csv);
        break;
    case 'l':
        read_cache(text, fct_landmarks_read_list);
        break;
    default:
        read_units(text);
    }
    free(text);
    return 0;
}
