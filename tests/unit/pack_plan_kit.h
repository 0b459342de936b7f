// SPDX-License-Identifier: Apache-2.0
// What the tests of pack's plan share: a folder of empty files, and the plan of it. After cmocka.h.
#ifndef FACET_PACK_PLAN_KIT_H
#define FACET_PACK_PLAN_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/pack_parts.h"
#include "facet/path.h"

static char folder[FCT_PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facet-plan-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

// An empty file (the plan opens none), and the folders above it.
static void touch(const char *name)
{
    char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, folder, name), FCT_OK);
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(fct_path_make_folders(path), FCT_OK);
    *slash = '/';
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void touch_all(const char *const *name)
{
    for (; *name; name++)
        touch(*name);
}

static fct_pack_spec plain_spec(void)
{
    return (fct_pack_spec){ .input = folder,
                            .output = folder,
                            .format = "auto",
                            .split = "train",
                            .seed = 1,
                            .height = 32,
                            .width = 32,
                            .shard_pictures = 1000,
                            .limits = fct_image_default_limits };
}

static fct_status plan(const fct_pack_spec *spec, fct_plan *out)
{
    char file[FCT_PATH_MAX];
    *out = (fct_plan){ 0 };
    assert_int_equal(fct_path_join(file, folder, "pack.plan.tmp"), FCT_OK);
    unlink(file); // another plan may still be mapped
    fct_status status = fct_plan_make(spec, NULL, file);
    return status == FCT_OK ? fct_plan_open(file, out) : status;
}

#endif
