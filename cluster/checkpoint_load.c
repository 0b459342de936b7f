// SPDX-License-Identifier: Apache-2.0
// Finds the checkpoint that a path means, and loads one rank's part of it; a damaged last one is
// named, and the one before it is taken.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_files.h"
#include "facet/fault.h"
#include "facet/log.h"

static const fct_part_record *find_part(const fct_commit *commit, int rank)
{
    for (int i = 0; i < commit->n; i++)
        if (commit->part[i].rank == rank)
            return &commit->part[i];
    return NULL;
}

static fct_status load_part(const char *step_folder, const fct_commit *commit, int rank,
                            const char *prefix, fct_blobs *out)
{
    char path[FCT_PATH_MAX], name[32];
    const fct_part_record *part = find_part(commit, rank);
    if (!part)
        return FCT_FAIL(FCT_E_ARG, "%s: has no part of rank %d (it has %d parts)", step_folder,
                        rank, commit->n);
    fct_part_file_name(name, rank);
    FCT_TRY(fct_path_join(path, step_folder, name));
    if (fct_fault("checkpoint.read"))
        return FCT_FAIL(FCT_E_FORMAT, "%s: damaged (injected)", path);
    FCT_TRY(fct_part_verify(path, part));
    return fct_part_read(path, part, prefix, out);
}

fct_status fct_checkpoint_load_some(const char *step_folder, int rank, const char *prefix,
                                    fct_blobs *out)
{
    fct_commit commit;
    *out = (fct_blobs){ 0 };
    fct_status status = fct_commit_read(step_folder, &commit);
    if (status == FCT_OK)
        status = load_part(step_folder, &commit, rank, prefix, out);
    fct_commit_release(&commit);
    if (status != FCT_OK)
        fct_blobs_release(out);
    return status;
}

fct_status fct_checkpoint_parts(const char *step_folder, int *parts)
{
    fct_commit commit;
    fct_status status = fct_commit_read(step_folder, &commit);
    *parts = status == FCT_OK ? commit.n : 0;
    fct_commit_release(&commit);
    return status;
}

static fct_status load_step(const char *step_folder, int rank, fct_blobs *out, char *taken)
{
    FCT_TRY(fct_checkpoint_load_some(step_folder, rank, "", out));
    if (taken != step_folder)
        snprintf(taken, FCT_PATH_MAX, "%s", step_folder);
    return FCT_OK;
}

// The other ranks' parts are verified too: what one of them lacks makes the whole worthless.
static fct_status load_whole(const char *step_folder, int rank, fct_blobs *out, char *taken)
{
    fct_commit commit;
    fct_status status = fct_commit_read(step_folder, &commit);
    for (int i = 0; status == FCT_OK && i < commit.n; i++) {
        char path[FCT_PATH_MAX], name[32];
        fct_part_file_name(name, commit.part[i].rank);
        if (commit.part[i].rank == rank)
            continue;
        status = fct_path_join(path, step_folder, name);
        if (status == FCT_OK)
            status = fct_part_verify(path, &commit.part[i]);
    }
    fct_commit_release(&commit);
    return status == FCT_OK ? load_step(step_folder, rank, out, taken) : status;
}

static fct_status load_numbered(const char *folder, int64_t step, int rank, fct_blobs *out,
                                char *taken)
{
    char path[FCT_PATH_MAX], aside[FCT_PATH_MAX], name[32], second_name[64];
    fct_step_name(name, step);
    snprintf(second_name, sizeof second_name, "%s" FCT_STEP_ASIDE, name);
    FCT_TRY(fct_path_join(path, folder, name));
    FCT_TRY(fct_path_join(aside, folder, second_name));
    int is_aside = !fct_path_is_folder(path) && fct_path_is_folder(aside);
    return load_whole(is_aside ? aside : path, rank, out, taken);
}

static int is_damage(fct_status status)
{
    return status == FCT_E_FORMAT || status == FCT_E_IO;
}

// `newest` first, then older ones until one is whole.
static fct_status load_newest(const char *folder, int64_t newest, const int64_t *steps, int n,
                              int rank, fct_blobs *out, char *taken)
{
    char damage[1024];
    fct_status status = load_numbered(folder, newest, rank, out, taken);
    if (!is_damage(status))
        return status;
    snprintf(damage, sizeof damage, "%s", fct_fail_text());
    for (int i = 0; i < n; i++) {
        if (steps[i] >= newest)
            continue;
        fct_status older = load_numbered(folder, steps[i], rank, out, taken);
        if (older == FCT_OK) {
            FCT_WARN("%s; taking step_%08" PRId64 " instead: %" PRId64 " step%s lost", damage,
                     steps[i], newest - steps[i], newest - steps[i] == 1 ? " is" : "s are");
            return FCT_OK;
        }
        if (!is_damage(older))
            return older;
        FCT_WARN("%s", fct_fail_text());
    }
    return FCT_FAIL(status, "%s; %s holds no older whole checkpoint", damage, folder);
}

static fct_status load_last(const char *folder, int rank, fct_blobs *out, char *taken)
{
    int64_t *steps, last;
    int n;
    FCT_TRY(fct_step_list(folder, &steps, &n));
    fct_status status = fct_pointer_read(folder, "last", &last);
    if (status != FCT_OK)
        FCT_WARN("%s; looking for the newest step folder", fct_fail_text());
    if (last < 0 && n > 0)
        last = steps[0];
    if (last < 0)
        status = FCT_FAIL(FCT_E_IO, "%s: holds no checkpoint", folder);
    else
        status = load_newest(folder, last, steps, n, rank, out, taken);
    free(steps);
    return status;
}

static fct_status load_best(const char *folder, int rank, fct_blobs *out, char *taken)
{
    int64_t best;
    FCT_TRY(fct_pointer_read(folder, "best", &best));
    if (best < 0)
        return FCT_FAIL(
            FCT_E_IO, "%s/best: is not there: no checkpoint was marked as best\nuse last", folder);
    return load_numbered(folder, best, rank, out, taken);
}

// A run folder's checkpoints/, or the folder itself.
static fct_status checkpoints_of(const char *path, char out[FCT_PATH_MAX])
{
    FCT_TRY(fct_path_join(out, path, "checkpoints"));
    if (!fct_path_is_folder(out))
        snprintf(out, FCT_PATH_MAX, "%s", path);
    return FCT_OK;
}

static int is_step_folder(const char *path, const char *name)
{
    char commit[FCT_PATH_MAX];
    if (fct_step_parse(name) >= 0)
        return 1;
    return fct_path_join(commit, path, "COMMIT") == FCT_OK && fct_path_is_file(commit);
}

fct_status fct_checkpoint_load(const char *path, int rank, fct_blobs *out, char *taken)
{
    char place[FCT_PATH_MAX], folder[FCT_PATH_MAX];
    *out = (fct_blobs){ 0 };
    if (snprintf(place, sizeof place, "%s", path) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", path);
    for (size_t n = strlen(place); n > 1 && place[n - 1] == '/'; n--)
        place[n - 1] = 0;
    char *slash = strrchr(place, '/');
    const char *name = slash ? slash + 1 : place;
    if (is_step_folder(place, name))
        return load_whole(place, rank, out, taken);
    if (fct_path_is_folder(place)) {
        FCT_TRY(checkpoints_of(place, folder));
        return load_last(folder, rank, out, taken);
    }
    int is_best = !strcmp(name, "best");
    if (!is_best && strcmp(name, "last") != 0)
        return FCT_FAIL(FCT_E_IO, "%s: there is no such checkpoint or run folder", path);
    if (slash)
        slash[slash == place] = 0;
    FCT_TRY(checkpoints_of(slash ? place : ".", folder));
    return is_best ? load_best(folder, rank, out, taken) : load_last(folder, rank, out, taken);
}

fct_status fct_checkpoint_load_same(fct_comm *c, const char *path, fct_blobs *out, char *taken)
{
    int is_first = fct_comm_rank(c) == 0;
    *out = (fct_blobs){ 0 };
    memset(taken, 0, FCT_PATH_MAX);
    fct_status status = is_first ? fct_checkpoint_load(path, 0, out, taken) : FCT_OK;
    FCT_TRY_GOTO(fct_comm_agree(c, status, "loading the checkpoint"), status, done);
    FCT_TRY_GOTO(fct_comm_broadcast(c, taken, FCT_PATH_MAX, 0), status, done);
    status = is_first ? FCT_OK : load_step(taken, 0, out, taken);
    status = fct_comm_agree(c, status, "loading the checkpoint");
done:
    if (status != FCT_OK)
        fct_blobs_release(out);
    return status;
}
