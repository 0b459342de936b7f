// SPDX-License-Identifier: Apache-2.0
// Pack from end to end: one rank plans, every rank makes shards until none is left, one rank
// publishes them.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/path.h"
#include "facet/progress.h"
#include "pack_pairs.h"

static const double TICK_S = 5; // between two words of rank 0 while it plans
static const double LOOK_S = 1; // between two looks for a rank that had to stop

typedef struct {
    const fct_pack_spec *spec;
    const fct_pack_peers *peers;
    fct_plan plan;
    int64_t *is_there; // (shards)
    fct_pack_share share;
    fct_pairs pairs;  // by rows of the plan, on rank 0
    fct_text records; // of the shards that this rank made or verified
    fct_progress progress;
    int64_t made, marked, outside; // pictures; with landmarks; with some outside of the picture
    int lock;                      // of the output folder, on rank 0
    double ticked_s, looked_s;
    int is_told; // another rank had to stop
} run;

static fct_status agree(const fct_pack_peers *p, fct_status mine, const char *what)
{
    return p->ranks > 1 ? p->agree(p->ctx, mine, what) : mine;
}

static fct_status gather(const fct_pack_peers *p, const void *mine, size_t n, void **out,
                         size_t *total)
{
    if (p->ranks > 1)
        return p->gather(p->ctx, mine, n, out, total);
    *out = malloc(n + 1);
    if (!*out)
        return FCT_FAIL_NOMEM(n, "what is packed");
    if (n)
        memcpy(*out, mine, n);
    *total = n;
    return FCT_OK;
}

static fct_status sum(const fct_pack_peers *p, int64_t *values, size_t n)
{
    return p->ranks > 1 ? p->sum(p->ctx, values, n) : FCT_OK;
}

static fct_status check_stop(const run *r)
{
    int signal_number = r->peers->stop ? r->peers->stop(r->peers->ctx) : 0;
    return !signal_number ? FCT_OK
                          : FCT_FAIL(FCT_E_INTERRUPTED,
                                     "stopped by signal %d\n"
                                     "the same command goes on where it stood",
                                     signal_number);
}

// ---- the plan

// Rank 0 says that it is at work, so that the others wait on without a limit, and hears of a rank
// that was asked to stop.
static fct_status tell_planning(run *r, int is_planning)
{
    int64_t value[2] = { is_planning, 0 };
    FCT_TRY(sum(r->peers, value, 2));
    return !value[1] ? FCT_OK : FCT_FAIL(FCT_E_INTERRUPTED, "a rank was asked to stop");
}

static fct_status tick(void *ctx)
{
    run *r = ctx;
    FCT_TRY(check_stop(r));
    double now = fct_clock_s();
    if (r->peers->ranks == 1 || now - r->ticked_s < TICK_S)
        return FCT_OK;
    r->ticked_s = now;
    return tell_planning(r, 1);
}

static fct_status plan_on_rank_0(run *r)
{
    char path[FCT_PATH_MAX];
    const fct_pack_tick every = { tick, r };
    r->ticked_s = fct_clock_s();
    fct_status status = fct_path_join(path, r->spec->output, FCT_PACK_NEW_NAME);
    if (status == FCT_OK)
        status = fct_plan_make(r->spec, &every, path);
    fct_status told = status == FCT_E_COMM || status == FCT_E_PEER ? FCT_OK : tell_planning(r, 0);
    return status != FCT_OK ? status : told;
}

static fct_status wait_for_plan(run *r)
{
    fct_status status = FCT_OK;
    for (int64_t value[2] = { 1, 0 }; value[0];) {
        status = check_stop(r);
        value[0] = 0;
        value[1] = status != FCT_OK;
        FCT_TRY(sum(r->peers, value, 2));
    }
    return status;
}

static fct_status hold_output(run *r)
{
    FCT_TRY(fct_path_make_folders(r->spec->output));
    return fct_pack_hold(r->spec->output, &r->lock);
}

static fct_status make_plan(run *r)
{
    int is_first = r->peers->rank == 0;
    FCT_TRY(agree(r->peers, is_first ? hold_output(r) : FCT_OK, "the output folder"));
    return agree(r->peers, is_first ? plan_on_rank_0(r) : wait_for_plan(r), "the plan");
}

static fct_status prepare_on_rank_0(run *r, fct_output_state *state)
{
    char made[FCT_PATH_MAX], path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(made, r->spec->output, FCT_PACK_NEW_NAME));
    FCT_TRY(fct_path_join(path, r->spec->output, FCT_PACK_PLAN_NAME));
    FCT_TRY(fct_plan_open(made, &r->plan));
    size_t shards = (size_t)fct_plan_shards(&r->plan);
    r->is_there = calloc(shards, sizeof *r->is_there);
    if (!r->is_there)
        return FCT_FAIL_NOMEM(shards * sizeof *r->is_there, "the list of shards");
    if (r->spec->stop_on_bad && r->plan.head->excluded > 0) {
        const char *name = r->plan.excluded;
        return FCT_FAIL(FCT_E_FORMAT, "%s: %s", name, name + strlen(name) + 1);
    }
    FCT_TRY(fct_pack_pairs_find(r->spec, &r->plan, &r->pairs));
    FCT_TRY(fct_pack_prepare(r->spec, &r->plan, r->is_there, state));
    if (*state == FCT_OUTPUT_OPEN && rename(made, path) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot rename", made);
    return FCT_OK;
}

static fct_status open_shared_plan(run *r, uint64_t hash)
{
    char path[FCT_PATH_MAX];
    if (r->peers->rank == 0)
        return FCT_OK;
    FCT_TRY(fct_path_join(path, r->spec->output, FCT_PACK_PLAN_NAME));
    if (fct_plan_open(path, &r->plan) != FCT_OK || r->plan.hash != hash)
        return FCT_FAIL(FCT_E_IO,
                        "%s: is not what rank 0 wrote\n"
                        "all ranks must see one and the same folder %s",
                        path, r->spec->output);
    size_t shards = (size_t)fct_plan_shards(&r->plan);
    r->is_there = calloc(shards, sizeof *r->is_there);
    return r->is_there ? FCT_OK
                       : FCT_FAIL_NOMEM(shards * sizeof *r->is_there, "the list of shards");
}

// Rank 0 looks at the folder; then all ranks hold the plan.
static fct_status prepare_output(run *r, int *is_done)
{
    fct_output_state state = FCT_OUTPUT_OPEN;
    fct_status status = r->peers->rank == 0 ? prepare_on_rank_0(r, &state) : FCT_OK;
    FCT_TRY(agree(r->peers, status, "the output folder"));
    int64_t told[2] = { state == FCT_OUTPUT_DONE, r->peers->rank == 0 ? (int64_t)r->plan.hash : 0 };
    FCT_TRY(sum(r->peers, told, 2));
    *is_done = told[0] != 0;
    if (*is_done)
        return FCT_OK;
    return agree(r->peers, open_shared_plan(r, (uint64_t)told[1]), "the plan");
}

// ---- the shards

// Of the shards with a record each rank verifies some; what is harmed is made again.
static fct_status verify_records(run *r, int64_t *verified)
{
    int64_t shards = fct_plan_shards(&r->plan), index;
    fct_status status = FCT_OK;
    int split;
    for (int64_t i = r->peers->rank; i < shards && status == FCT_OK; i += r->peers->ranks) {
        fct_plan_locate(&r->plan, i, &split, &index);
        verified[i] =
            r->is_there[i] && fct_journal_read(r->spec, &r->plan, split, index, &r->records);
        status = check_stop(r);
    }
    if (r->records.failed && status == FCT_OK)
        status = FCT_FAIL_NOMEM(r->records.size, "the shards' records");
    fct_shard_record record;
    const char *notes;
    for (size_t at = 0, n;
         fct_journal_next(r->records.data, r->records.size, &at, &record, &notes, &n);)
        if (record.bad && r->spec->stop_on_bad && status == FCT_OK)
            status = FCT_FAIL(FCT_E_FORMAT,
                              "%s: %lld bad pictures in shards of an earlier run\n"
                              "--on-bad skip leaves such pictures out and lists them",
                              r->spec->output, (long long)record.bad);
    return status;
}

static fct_status check_space(const run *r)
{
    const fct_plan_head *h = r->plan.head;
    unsigned long long free_bytes;
    double need = (double)r->share.rows * h->height * h->width * 3;
    if (h->is_jpeg || fct_path_free_bytes(r->spec->output, &free_bytes) != FCT_OK)
        return FCT_OK;
    if (need <= (double)free_bytes)
        return FCT_OK;
    char needed[32], there[32];
    fct_text_bytes(need, needed);
    fct_text_bytes((double)free_bytes, there);
    return FCT_FAIL(FCT_E_IO,
                    "%s: the shards need %s, only %s are free\n"
                    "--encoding jpeg takes about a tenth",
                    r->spec->output, needed, there);
}

static fct_status find_share(run *r)
{
    int64_t shards = fct_plan_shards(&r->plan);
    int64_t *verified = calloc((size_t)shards, sizeof *verified);
    fct_status status =
        verified ? FCT_OK : FCT_FAIL_NOMEM((size_t)shards * sizeof *verified, "the shards");
    status = agree(r->peers, status, "the shards");
    if (status == FCT_OK)
        status = sum(r->peers, r->is_there, (size_t)shards);
    if (status == FCT_OK)
        status = agree(r->peers, verify_records(r, verified), "the shards that are there");
    if (status == FCT_OK)
        status = sum(r->peers, verified, (size_t)shards);
    if (status == FCT_OK)
        status = fct_pack_share_create(r->spec, &r->plan, r->peers->rank, r->peers->ranks, verified,
                                       &r->share);
    free(verified);
    if (status == FCT_OK && r->peers->rank == 0) {
        if (r->share.shards < shards)
            FCT_INFO("going on: %lld of %lld shards are already there",
                     (long long)(shards - r->share.shards), (long long)shards);
        status = check_space(r);
    }
    return agree(r->peers, status, "the shards");
}

static void stop_path(const run *r, char out[FCT_PATH_MAX])
{
    if (fct_path_join(out, r->spec->output, FCT_PACK_STOP_NAME) != FCT_OK)
        out[0] = 0;
}

// The others look for this file; should it not come about, they end when no shard is left.
static void tell_stop(const run *r)
{
    char path[FCT_PATH_MAX];
    stop_path(r, path);
    int fd = r->peers->ranks > 1 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (fd >= 0)
        close(fd);
}

// Between two pictures: whether this rank or another one is asked to stop.
static fct_status check_all_stop(run *r)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(check_stop(r));
    if (r->peers->ranks == 1 || fct_clock_s() - r->looked_s < LOOK_S)
        return FCT_OK;
    r->looked_s = fct_clock_s();
    stop_path(r, path);
    r->is_told = access(path, F_OK) == 0;
    return !r->is_told ? FCT_OK : FCT_FAIL(FCT_E_INTERRUPTED, "another rank had to stop");
}

static fct_status take_note(run *r, int64_t row, const fct_packed *picture, fct_text *notes)
{
    const char *path = r->plan.text + r->plan.row[row].name;
    r->marked += !picture->bad && r->plan.row[row].landmark >= 0;
    r->outside += !picture->bad && picture->is_outside;
    if (picture->bad && r->spec->stop_on_bad)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: %s\n--on-bad skip leaves such pictures out and lists them", path,
                        picture->bad);
    if (!picture->bad && !picture->is_cut)
        return FCT_OK;
    fct_text_add(notes, "%c%lld", picture->bad ? 'b' : 'c', (long long)row);
    fct_text_add_bytes(notes, "", 1);
    fct_text_add(notes, "%s", picture->bad ? picture->bad : "");
    fct_text_add_bytes(notes, "", 1);
    return notes->failed ? FCT_FAIL_NOMEM(notes->size, "the list of bad pictures") : FCT_OK;
}

typedef struct {
    fct_workers *workers;
    int64_t number, next; // shards: the one under way and the one whose pictures come after, -1
    int has_next;         // `next` is known
} pipeline;

static void shard_rows(const run *r, int64_t number, int64_t *first, int64_t *count)
{
    int split;
    int64_t index;
    fct_plan_locate(&r->plan, number, &split, &index);
    fct_plan_shard(&r->plan.head->split[split], index, first, count);
}

// The threads never wait for a shard's end: the next one is taken just before they need it.
static fct_status take_next(run *r, pipeline *p)
{
    int64_t first, count;
    FCT_TRY(fct_pack_share_next(&r->share, &p->next));
    p->has_next = 1;
    if (p->next < 0)
        return FCT_OK;
    shard_rows(r, p->next, &first, &count);
    fct_workers_add(p->workers, first, count);
    return FCT_OK;
}

static fct_status fill_shard(run *r, pipeline *p, fct_shard_writer *writer, fct_text *notes,
                             fct_shard_record *record)
{
    int64_t first, count, ahead = fct_workers_ahead(p->workers);
    shard_rows(r, p->number, &first, &count);
    for (int64_t row = first; row < first + count; row++) {
        fct_packed picture;
        FCT_TRY(check_all_stop(r));
        if (!p->has_next && row + ahead >= first + count)
            FCT_TRY(take_next(r, p));
        FCT_TRY(fct_workers_next(p->workers, &picture));
        FCT_TRY(take_note(r, row, &picture, notes));
        FCT_TRY(fct_shard_writer_add(writer, row, &picture));
        fct_progress_update(&r->progress, ++r->made, r->peers->ranks > 1 ? "(rank 0's share)" : "");
    }
    return fct_shard_writer_finish(writer, record);
}

static fct_status make_shard(run *r, pipeline *p)
{
    int split;
    int64_t index;
    fct_shard_record record;
    fct_text notes = { 0 };
    fct_shard_writer *writer;
    fct_plan_locate(&r->plan, p->number, &split, &index);
    FCT_TRY(fct_journal_forget(r->spec, &r->plan, split, index));
    FCT_TRY(fct_shard_writer_create(r->spec, &r->plan, split, index, &writer));
    fct_status status = fill_shard(r, p, writer, &notes, &record);
    fct_shard_writer_destroy(writer);
    if (status == FCT_OK)
        status = fct_journal_write(r->spec, &r->plan, &record, &notes, &r->records);
    fct_text_release(&notes);
    return status;
}

static fct_status run_pipeline(run *r, pipeline *p)
{
    FCT_TRY(take_next(r, p));
    while (p->next >= 0) {
        p->number = p->next;
        p->has_next = 0;
        FCT_TRY(make_shard(r, p));
    }
    return FCT_OK;
}

static fct_status make_shards(run *r)
{
    pipeline p = { 0 };
    if (r->share.shards == 0)
        return FCT_OK;
    fct_status status = fct_workers_create(r->spec, &r->plan, &p.workers);
    int64_t ranks = r->peers->ranks;
    fct_progress_start(&r->progress, "pack", "pictures", (r->share.rows + ranks - 1) / ranks,
                       r->spec->quiet || r->peers->rank != 0);
    if (status == FCT_OK)
        status = run_pipeline(r, &p);
    fct_progress_end(&r->progress);
    fct_workers_destroy(p.workers);
    if (r->is_told)
        return FCT_OK; // the rank that had to stop says why
    if (status != FCT_OK)
        tell_stop(r);
    return status;
}

// ---- the end

static fct_status publish(run *r, const char *records, size_t n, fct_text *summary)
{
    fct_text sorted = { 0 };
    fct_status status = fct_journal_sort(&r->plan, records, n, &sorted);
    if (status == FCT_OK)
        status = fct_pack_publish(r->spec, &r->plan, sorted.data, sorted.size);
    if (status == FCT_OK && summary)
        status = fct_pack_summarise(&r->plan, sorted.data, sorted.size, summary);
    fct_text_release(&sorted);
    return status;
}

// Points of pictures of another size put every face askew, and no single one of them is wrong.
static fct_status check_places(run *r)
{
    int64_t told[2] = { r->marked, r->outside };
    FCT_TRY(sum(r->peers, told, 2));
    if (r->peers->rank == 0 && told[1] * 4 > told[0])
        FCT_WARN("%s: of %lld pictures with landmarks, %lld have some outside of the picture: are "
                 "the points those of pictures of another size? --landmarks-size tells which",
                 r->spec->output, (long long)told[0], (long long)told[1]);
    return FCT_OK;
}

static fct_status finish(run *r, fct_text *summary)
{
    void *all = NULL;
    size_t n;
    FCT_TRY(check_places(r));
    FCT_TRY(gather(r->peers, r->records.data, r->records.size, &all, &n));
    fct_status status = FCT_OK;
    if (r->peers->rank == 0)
        status = publish(r, all, n, summary);
    free(all);
    return agree(r->peers, status, "naming the shards");
}

static fct_status run_all(run *r, fct_text *summary)
{
    int is_done;
    FCT_TRY(make_plan(r));
    FCT_TRY(prepare_output(r, &is_done));
    if (is_done && r->peers->rank == 0 && summary)
        fct_text_add(summary, "%s: already holds exactly this set, nothing to do\n",
                     r->spec->output);
    if (!is_done) {
        FCT_TRY(find_share(r));
        FCT_TRY(agree(r->peers, make_shards(r), "packing"));
        FCT_TRY(finish(r, summary));
    }
    int is_first =
        r->peers->rank == 0; // of a run that was stopped just here, the pairs are missing
    return agree(r->peers,
                 is_first ? fct_pack_pairs_write(r->spec, &r->plan, &r->pairs, summary) : FCT_OK,
                 "the pairs");
}

fct_status fct_pack(const fct_pack_spec *spec, const fct_pack_peers *peers, fct_text *summary)
{
    static const fct_pack_peers alone = { .rank = 0, .ranks = 1 };
    char made[FCT_PATH_MAX];
    fct_pack_spec full = *spec;
    if (full.limits.max_pixels <= 0)
        full.limits = fct_image_default_limits;
    run r = { .spec = &full, .peers = peers ? peers : &alone, .lock = -1 };
    fct_status status = run_all(&r, summary);
    if (r.lock >= 0 && fct_path_join(made, full.output, FCT_PACK_NEW_NAME) == FCT_OK)
        unlink(made);
    fct_pack_let_go(full.output, r.lock);
    free(r.is_there);
    fct_pack_share_release(&r.share);
    fct_text_release(&r.records);
    fct_pairs_release(&r.pairs);
    fct_plan_close(&r.plan);
    return status;
}
