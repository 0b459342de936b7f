// SPDX-License-Identifier: Apache-2.0
// The checkpoints/ folder: step folders, their names, the pointers last and best (one line of text
// each: that works on every file system and survives a copy), and what is thrown away when.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint_files.h"
#include "facet/fault.h"
#include "facet/log.h"

void fct_step_name(char out[32], int64_t step)
{
    snprintf(out, 32, "step_%08" PRId64, step);
}

int64_t fct_step_parse(const char *name)
{
    int64_t step;
    char again[32];
    if (strncmp(name, "step_", 5) != 0 || !isdigit((unsigned char)name[5]))
        return -1;
    size_t zeros = strspn(name + 5, "0"), digits = strlen(name + 5);
    if (fct_text_to_i64(name + 5 + (zeros < digits ? zeros : digits - 1), &step) != FCT_OK ||
        step < 0)
        return -1;
    fct_step_name(again, step);
    return strcmp(again, name) == 0 ? step : -1;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

fct_status fct_step_list(const char *folder, int64_t **out, int *n_out)
{
    int64_t *steps = NULL;
    int n = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));) {
        int64_t step = fct_step_parse(entry->d_name);
        if (step < 0)
            continue;
        int64_t *more = realloc(steps, (size_t)(n + 1) * sizeof *more);
        if (!more) {
            free(steps);
            closedir(dir);
            return FCT_FAIL_NOMEM((size_t)(n + 1) * sizeof *more, folder);
        }
        steps = more;
        steps[n++] = step;
    }
    closedir(dir);
    if (n > 0)
        qsort(steps, (size_t)n, sizeof *steps, newest_first);
    *out = steps;
    *n_out = n;
    return FCT_OK;
}

fct_status fct_pointer_write(const char *folder, const char *pointer, int64_t step)
{
    char path[FCT_PATH_MAX], name[32], line[40];
    fct_step_name(name, step);
    int n = snprintf(line, sizeof line, "%s\n", name);
    FCT_TRY(fct_path_join(path, folder, pointer));
    if (fct_fault("checkpoint.pointer"))
        return FCT_FAIL(FCT_E_IO, "%s: cannot write: injected", path);
    return fct_path_replace(path, line, (size_t)n);
}

fct_status fct_pointer_read(const char *folder, const char *pointer, int64_t *step)
{
    char path[FCT_PATH_MAX], *text;
    *step = -1;
    FCT_TRY(fct_path_join(path, folder, pointer));
    if (!fct_path_is_file(path))
        return FCT_OK;
    FCT_TRY(fct_path_read(path, 256, &text, NULL));
    text[strcspn(text, "\n")] = 0;
    *step = fct_step_parse(text);
    free(text);
    return *step >= 0 ? FCT_OK : FCT_FAIL(FCT_E_FORMAT, "%s: does not name a step folder", path);
}

static int is_stale(const char *name)
{
    return fct_text_ends_with(name, ".tmp") &&
           (!strncmp(name, "step_", 5) || !strncmp(name, "last.", 5) || !strncmp(name, "best.", 5));
}

fct_status fct_step_remove_stale(const char *folder)
{
    char path[FCT_PATH_MAX];
    fct_status status = FCT_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", folder, strerror(errno));
    for (struct dirent *entry; status == FCT_OK && (entry = readdir(dir));) {
        if (!is_stale(entry->d_name))
            continue;
        status = fct_path_join(path, folder, entry->d_name);
        if (status == FCT_OK)
            status = fct_path_remove(path);
    }
    closedir(dir);
    return status;
}

static fct_status step_paths(const char *folder, int64_t step, char final[FCT_PATH_MAX],
                             char temporary[FCT_PATH_MAX])
{
    char name[32], with_end[40];
    fct_step_name(name, step);
    snprintf(with_end, sizeof with_end, "%s.tmp", name);
    FCT_TRY(fct_path_join(final, folder, name));
    return fct_path_join(temporary, folder, with_end);
}

fct_status fct_step_publish(const char *folder, int64_t step)
{
    char final[FCT_PATH_MAX], temporary[FCT_PATH_MAX], aside[FCT_PATH_MAX + 8];
    FCT_TRY(step_paths(folder, step, final, temporary));
    snprintf(aside, sizeof aside, "%.*s.old.tmp", FCT_PATH_MAX - 1, final);
    if (fct_fault("checkpoint.rename"))
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: injected", final);
    if (!fct_path_is_folder(final)) {
        if (rename(temporary, final) != 0)
            return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
        return fct_path_sync_folder(folder);
    }
    // The same step again: both change places at once, where the file system can do that.
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, final, RENAME_EXCHANGE) == 0) {
        FCT_TRY(fct_path_sync_folder(folder));
        return fct_path_remove(temporary);
    }
    if (rename(final, aside) != 0 || rename(temporary, final) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
    FCT_TRY(fct_path_sync_folder(folder));
    return fct_path_remove(aside);
}

// Loses its name first, so that no half-removed folder is ever taken for a checkpoint.
static fct_status remove_step(const char *folder, int64_t step)
{
    char final[FCT_PATH_MAX], temporary[FCT_PATH_MAX];
    FCT_TRY(step_paths(folder, step, final, temporary));
    if (rename(final, temporary) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
    return fct_path_remove(temporary);
}

fct_status fct_step_prune(const char *folder, int64_t step, int keep)
{
    int64_t *steps, best;
    int n, kept = 0;
    if (keep <= 0)
        return FCT_OK;
    FCT_TRY(fct_pointer_read(folder, "best", &best));
    FCT_TRY(fct_step_list(folder, &steps, &n));
    fct_status status = FCT_OK;
    for (int i = 0; i < n && status == FCT_OK; i++) {
        if (steps[i] > step) // of a run that went further: not ours to judge
            continue;
        if (kept < keep)
            kept++;
        else if (steps[i] != best)
            status = remove_step(folder, steps[i]);
    }
    free(steps);
    return status;
}
