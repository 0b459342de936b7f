// SPDX-License-Identifier: Apache-2.0
// Which shards lie in a folder, by their names alone.
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "shard.h"

// "<split>-00000-of-00008.h5": its split and count, or 0. `split` has room for FCT_PATH_MAX.
static int parse_name(const char *name, char *split, int *count)
{
    static const char pattern[] = "-00000-of-00000.h5";
    size_t n = strlen(name), tail = sizeof pattern - 1;
    if (n <= tail || n >= FCT_PATH_MAX)
        return 0;
    const char *p = name + n - tail;
    for (size_t i = 0; i < tail; i++)
        if (pattern[i] == '0' ? p[i] < '0' || p[i] > '9' : p[i] != pattern[i])
            return 0;
    memcpy(split, name, n - tail);
    split[n - tail] = 0;
    *count = (int)strtol(p + strlen("-00000-of-"), NULL, 10);
    return *count > 0;
}

static fct_status add_name(fct_names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (!strcmp(names->name[i], name))
            return FCT_OK;
    char **more = realloc(names->name, (size_t)(names->n + 1) * sizeof *more);
    if (!more)
        return FCT_FAIL_NOMEM(sizeof *more, "the names of the splits");
    names->name = more;
    names->name[names->n] = strdup(name);
    if (!names->name[names->n])
        return FCT_FAIL_NOMEM(strlen(name), "the names of the splits");
    names->n++;
    return FCT_OK;
}

static fct_status list_entry(const char *folder, const char *name, const char *split,
                             fct_names *splits, int *count)
{
    char found[FCT_PATH_MAX];
    int of;
    if (!parse_name(name, found, &of))
        return FCT_OK;
    FCT_TRY(add_name(splits, found));
    if (!split || strcmp(found, split))
        return FCT_OK;
    if (*count > 0 && of != *count)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: split %s: shards of two packings (of %d and of %d)\nremove the older "
                        "ones",
                        folder, split, *count, of);
    *count = of;
    return FCT_OK;
}

fct_status fct_shard_list(const char *folder, const char *split, fct_names *splits, int *count)
{
    *count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: %s", folder, strerror(errno));
    fct_status status = FCT_OK;
    for (struct dirent *e; status == FCT_OK && (e = readdir(dir));)
        status = list_entry(folder, e->d_name, split, splits, count);
    closedir(dir);
    return status;
}
