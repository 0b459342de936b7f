// SPDX-License-Identifier: Apache-2.0
// Everything that training would get from a packed set, as bytes on standard output: names, sizes,
// labels and pixels. What differs from the dump of the undamaged set, without an error, is silently
// wrong.
//   shard_dump FOLDER SPLIT
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/dataset.h"
#include "facet/log.h"

static void put_names(const char *what, int n, char **name)
{
    for (int i = 0; i < n; i++)
        printf("%s %s\n", what, name[i]);
}

static void put(const char *what, const void *column, size_t bytes)
{
    printf("%s %s\n", what, column ? "is there" : "is not");
    if (column)
        fwrite(column, 1, bytes, stdout);
}

static void put_labels(const fct_dataset *d, const fct_dataset_info *info)
{
    size_t n = (size_t)info->pictures;
    printf("%" PRId64 " pictures of %d x %d, jpeg %d, %s, %s\n", info->pictures, info->width,
           info->height, info->is_jpeg, info->split, info->preprocessing);
    put_names("class", info->classes, info->class_name);
    put_names("landmark", info->landmarks, info->landmark_name);
    put_names("unit", info->action_units, info->action_unit_name);
    put("expression", fct_dataset_expressions(d), n * 2);
    put("identity", fct_dataset_identities(d), n * 4);
    put("landmarks", fct_dataset_landmarks(d), n * (size_t)info->landmarks * 8);
    put("valid", fct_dataset_landmarks_valid(d), n);
    put("units", fct_dataset_action_units(d), n * (size_t)info->action_units);
    put("valence", fct_dataset_valence_arousal(d), n * 8);
    for (int64_t i = 0; i < info->pictures; i++)
        printf("%s\n", fct_dataset_path(d, i));
}

static fct_status put_pictures(const fct_dataset *d, const fct_dataset_info *info)
{
    size_t bytes = (size_t)info->height * (size_t)info->width * 3;
    fct_scratch scratch = { 0 };
    uint8_t *rgb = malloc(bytes);
    fct_status status = rgb ? FCT_OK : FCT_FAIL_NOMEM(bytes, "a picture");
    for (int64_t i = 0; i < info->pictures && status == FCT_OK; i++) {
        status = fct_dataset_read(d, i, rgb, &scratch);
        fwrite(rgb, 1, status == FCT_OK ? bytes : 0, stdout);
    }
    free(rgb);
    fct_scratch_release(&scratch);
    return status;
}

int main(int argc, char **argv)
{
    fct_dataset *d = NULL;
    if (argc != 3)
        return 2;
    fct_status status = fct_dataset_open(argv[1], argv[2], &d);
    if (status == FCT_OK) {
        put_labels(d, fct_dataset_describe(d));
        status = put_pictures(d, fct_dataset_describe(d));
    }
    if (status != FCT_OK)
        fct_log_failure(fct_fail_text());
    fct_dataset_close(d);
    return status == FCT_OK ? 0 : 1;
}
