// SPDX-License-Identifier: Apache-2.0
// Which rank makes which shard: whoever comes first, settled by files that only one can create.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/path.h"
#include "pack_parts.h"

static const char claim_suffix[] = ".claim.tmp";

fct_status fct_pack_share_create(const fct_pack_spec *spec, const fct_plan *plan, int rank,
                                 int ranks, const int64_t *is_there, fct_pack_share *out)
{
    int64_t shards = fct_plan_shards(plan), index, first, count;
    int split;
    *out = (fct_pack_share){ .spec = spec, .plan = plan, .rank = rank, .ranks = ranks };
    out->missing = malloc((size_t)shards * sizeof *out->missing);
    if (!out->missing)
        return FCT_FAIL_NOMEM((size_t)shards * sizeof *out->missing, "the list of shards");
    for (int64_t i = 0; i < shards; i++) {
        if (is_there[i])
            continue;
        fct_plan_locate(plan, i, &split, &index);
        fct_plan_shard(&plan->head->split[split], index, &first, &count);
        out->missing[out->shards++] = i;
        out->rows += count;
    }
    return FCT_OK;
}

void fct_pack_share_release(fct_pack_share *share)
{
    free(share->missing);
    *share = (fct_pack_share){ 0 };
}

static fct_status claim(const fct_pack_share *share, int64_t number, int *is_ours)
{
    char path[FCT_PATH_MAX];
    int split;
    int64_t index;
    *is_ours = 1;
    if (share->ranks == 1)
        return FCT_OK;
    fct_plan_locate(share->plan, number, &split, &index);
    FCT_TRY(fct_pack_shard_path(share->spec, share->plan, split, index, claim_suffix, path));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno != EEXIST)
        return FCT_FAIL(FCT_E_IO, "%s: cannot create: %s", path, strerror(errno));
    *is_ours = fd >= 0;
    if (fd >= 0)
        close(fd);
    return FCT_OK;
}

fct_status fct_pack_share_next(fct_pack_share *share, int64_t *number)
{
    int64_t begin = share->shards * share->rank / share->ranks;
    while (share->tried < share->shards) {
        int is_ours = 0;
        *number = share->missing[(begin + share->tried++) % share->shards];
        FCT_TRY(claim(share, *number, &is_ours));
        if (is_ours)
            return FCT_OK;
    }
    *number = -1;
    return FCT_OK;
}

fct_status fct_pack_share_forget(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                                 int64_t index)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_pack_shard_path(spec, plan, split, index, claim_suffix, path));
    return fct_path_remove(path);
}
