// SPDX-License-Identifier: Apache-2.0
// The checkpoints/ folder: step folders, their names, the pointers last and best (a line of
// text and its hash: that works on every file system and survives a copy), and what is thrown away
// when.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

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

// The second line is a hash of what points where: a flipped bit may make another step's name, and
// a copy may put one pointer in the other's place. Readers that know only one line take the first.
static int write_lines(char lines[64], const char *pointer, const char *name)
{
    char both[64];
    int n = snprintf(both, sizeof both, "%s %s", pointer, name);
    return snprintf(lines, 64, "%s\nhash %016" PRIx64 "\n", name,
                    (uint64_t)XXH3_64bits(both, (size_t)n));
}

fct_status fct_pointer_write(const char *folder, const char *pointer, int64_t step)
{
    char path[FCT_PATH_MAX], name[32], lines[64];
    fct_step_name(name, step);
    int n = write_lines(lines, pointer, name);
    FCT_TRY(fct_path_join(path, folder, pointer));
    if (fct_fault("checkpoint.pointer"))
        return FCT_FAIL(FCT_E_IO, "%s: cannot write: injected", path);
    return fct_path_replace(path, lines, (size_t)n);
}

fct_status fct_pointer_read(const char *folder, const char *pointer, int64_t *step)
{
    char path[FCT_PATH_MAX], want[64], name[32], *text;
    size_t n;
    *step = -1;
    FCT_TRY(fct_path_join(path, folder, pointer));
    if (!fct_path_is_file(path))
        return FCT_OK;
    FCT_TRY(fct_path_read(path, 256, &text, &n));
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "\n"), text);
    *step = fct_step_parse(name);
    // One line alone is a pointer of an earlier facet, or written by hand.
    int is_alone = n == strlen(name) || (n == strlen(name) + 1 && text[n - 1] == '\n');
    int is_whole = n == (size_t)write_lines(want, pointer, name) && !memcmp(text, want, n);
    free(text);
    if (*step >= 0 && (is_alone || is_whole))
        return FCT_OK;
    *step = -1;
    return FCT_FAIL(FCT_E_FORMAT, "%s: damaged: does not name a step folder", path);
}

static int is_stale(const char *name)
{
    return fct_text_ends_with(name, ".tmp") &&
           (!strncmp(name, "step_", 5) || !strncmp(name, "last.", 5) || !strncmp(name, "best.", 5));
}

// step_N.old.tmp is the only step N when a save was stopped between its two renames: it gets its
// name back.
static fct_status restore_or_remove(const char *folder, const char *name)
{
    char path[FCT_PATH_MAX], final[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, folder, name));
    FCT_TRY(fct_path_join(final, folder, name));
    if (!fct_text_ends_with(name, FCT_STEP_ASIDE))
        return fct_path_remove(path);
    final[strlen(final) - strlen(FCT_STEP_ASIDE)] = 0;
    if (fct_path_is_folder(final))
        return fct_path_remove(path);
    if (rename(path, final) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", path, strerror(errno));
    return fct_path_sync_folder(folder);
}

fct_status fct_step_remove_stale(const char *folder)
{
    fct_status status = FCT_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", folder, strerror(errno));
    for (struct dirent *entry; status == FCT_OK && (entry = readdir(dir));) {
        if (is_stale(entry->d_name))
            status = restore_or_remove(folder, entry->d_name);
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

// What the new checkpoint took the place of. The new one is safe all the same.
static void throw_away(const char *path)
{
    if (fct_path_remove(path) != FCT_OK)
        FCT_WARN("a replaced checkpoint could not be removed: %s", fct_fail_text());
}

// Where the file system cannot exchange two names: never is there neither of the two.
static fct_status replace_in_two(const char *folder, const char *temporary, const char *final)
{
    char aside[FCT_PATH_MAX + 16];
    snprintf(aside, sizeof aside, "%s" FCT_STEP_ASIDE, final);
    if (rename(final, aside) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
    if (rename(temporary, final) != 0) {
        fct_status status = FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
        rename(aside, final); // and if not even that: it loads, and the next start restores it
        return status;
    }
    FCT_TRY(fct_path_sync_folder(folder));
    throw_away(aside);
    return FCT_OK;
}

fct_status fct_step_publish(const char *folder, int64_t step)
{
    char final[FCT_PATH_MAX], temporary[FCT_PATH_MAX];
    FCT_TRY(step_paths(folder, step, final, temporary));
    if (fct_fault("checkpoint.rename"))
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename: injected", final);
    if (!fct_path_is_folder(final)) {
        if (rename(temporary, final) != 0)
            return FCT_FAIL(FCT_E_IO, "%s: cannot rename: %s", final, strerror(errno));
        return fct_path_sync_folder(folder);
    }
    // The same step again: both change places at once, where the file system can do that.
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, final, RENAME_EXCHANGE) != 0)
        return replace_in_two(folder, temporary, final);
    FCT_TRY(fct_path_sync_folder(folder));
    throw_away(temporary);
    return FCT_OK;
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
