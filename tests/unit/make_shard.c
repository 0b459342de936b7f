// SPDX-License-Identifier: Apache-2.0
// make_shard FOLDER SPLIT raw|jpeg PICTURES: a good shard for the scripts that make bad ones of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/shard_maker.h"

int main(int argc, char **argv)
{
    char path[4096];
    if (argc != 5)
        return 2;
    shard_recipe r = shard_recipe_full;
    r.split = argv[2];
    r.is_jpeg = !strcmp(argv[3], "jpeg");
    r.pictures = strtol(argv[4], NULL, 10);
    if (make_shard(argv[1], &r, path) != 0)
        return 1;
    printf("%s\n", path);
    return 0;
}
