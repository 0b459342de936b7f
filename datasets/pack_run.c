// SPDX-License-Identifier: Apache-2.0
// Pack from end to end: one rank plans, every rank makes its shards, one rank publishes them.
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "facet/path.h"
#include "facet/progress.h"
#include "pack_parts.h"

// The shards that this rank makes, and the rows of all of them in one line for the workers.
typedef struct {
    int64_t *shard; // number over all splits
    int64_t shards;
    int64_t *row;
    int64_t rows;
} share;

typedef struct {
    const fct_pack_spec *spec;
    const fct_pack_peers *peers;
    fct_plan plan;
    share mine;
    fct_text records; // of this rank's shards
    fct_progress progress;
    int lock; // of the output folder, on rank 0
} run;

static fct_status agree(const fct_pack_peers *p, fct_status mine, const char *what)
{
    return p->ranks > 1 ? p->agree(p->ctx, mine, what) : mine;
}

static fct_status gather_all(const fct_pack_peers *p, const void *mine, size_t n, void **out,
                             size_t *total)
{
    if (p->ranks > 1)
        return p->gather_all(p->ctx, mine, n, out, total);
    *out = malloc(n + 1);
    if (!*out)
        return FCT_FAIL_NOMEM(n, "what is packed");
    if (n)
        memcpy(*out, mine, n);
    *total = n;
    return FCT_OK;
}

static fct_status make_plan(run *r)
{
    fct_text bytes = { 0 };
    fct_status status = FCT_OK;
    void *all = NULL;
    size_t n = 0;
    if (r->peers->rank == 0) {
        status = fct_path_make_folders(r->spec->output);
        if (status == FCT_OK)
            status = fct_plan_make(r->spec, &bytes);
    }
    status = agree(r->peers, status, "the plan");
    if (status == FCT_OK)
        status = gather_all(r->peers, bytes.data, bytes.size, &all, &n);
    fct_text_release(&bytes);
    FCT_TRY(status);
    FCT_TRY(fct_plan_open(all, n, r->spec, &r->plan));
    if (r->spec->stop_on_bad && r->plan.head->excluded > 0) {
        const char *path = r->plan.excluded;
        return FCT_FAIL(FCT_E_FORMAT, "%s: %s", path, path + strlen(path) + 1);
    }
    return FCT_OK;
}

static fct_status prepare_output(run *r, int64_t *is_done)
{
    fct_status status = FCT_OK;
    int done = 0;
    if (r->peers->rank == 0)
        status = fct_pack_hold(r->spec->output, &r->lock);
    if (r->peers->rank == 0 && status == FCT_OK)
        status = fct_pack_prepare(r->spec, &r->plan, &done);
    FCT_TRY(agree(r->peers, status, "the output folder"));
    *is_done = done;
    return r->peers->ranks > 1 ? r->peers->sum(r->peers->ctx, is_done, 1) : FCT_OK;
}

// Shard `number`, counted over all splits.
static void locate_shard(const fct_plan *plan, int64_t number, int *split, int64_t *index)
{
    for (*split = 0; number >= plan->head->split[*split].shards; ++*split)
        number -= plan->head->split[*split].shards;
    *index = number;
}

static void add_rows(run *r, int64_t number)
{
    int split;
    int64_t index, first, count;
    locate_shard(&r->plan, number, &split, &index);
    fct_plan_shard(&r->plan.head->split[split], index, &first, &count);
    for (int64_t i = 0; i < count; i++)
        r->mine.row[r->mine.rows++] = first + i;
    r->mine.shard[r->mine.shards++] = number;
}

// Round robin; what the journal knows is kept.
static fct_status find_share(run *r)
{
    int64_t shards = 0, kept = 0, index;
    int split;
    for (int s = 0; s < r->plan.head->splits; s++)
        shards += r->plan.head->split[s].shards;
    r->mine.shard = malloc((size_t)shards * sizeof *r->mine.shard);
    r->mine.row = malloc((size_t)r->plan.head->rows * sizeof *r->mine.row);
    if (!r->mine.shard || !r->mine.row)
        return FCT_FAIL_NOMEM((size_t)r->plan.head->rows * sizeof *r->mine.row, "the plan");
    for (int64_t number = r->peers->rank; number < shards; number += r->peers->ranks) {
        locate_shard(&r->plan, number, &split, &index);
        if (fct_journal_read(r->spec, &r->plan, split, index, &r->records))
            kept++;
        else
            add_rows(r, number);
    }
    if (kept)
        FCT_INFO("going on: %lld of %lld shards%s are already there", (long long)kept,
                 (long long)(kept + r->mine.shards), r->peers->ranks > 1 ? " of this rank" : "");
    return FCT_OK;
}

static fct_status check_space(const run *r)
{
    const fct_plan_head *h = r->plan.head;
    unsigned long long free_bytes;
    double need = (double)r->mine.rows * h->height * h->width * 3;
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

static fct_status take_note(run *r, int64_t row, const fct_packed *picture, fct_text *notes)
{
    const char *path = r->plan.text + r->plan.row[row].name;
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

static fct_status fill_shard(run *r, fct_workers *workers, fct_shard_writer *writer,
                             const int64_t *row, int64_t rows, fct_text *notes,
                             fct_shard_record *record)
{
    for (int64_t i = 0; i < rows; i++) {
        fct_packed picture;
        FCT_TRY(fct_workers_next(workers, &picture));
        FCT_TRY(take_note(r, row[i], &picture, notes));
        FCT_TRY(fct_shard_writer_add(writer, row[i], &picture));
        fct_progress_update(&r->progress, row - r->mine.row + i + 1,
                            r->peers->ranks > 1 ? "(rank 0's share)" : "");
    }
    return fct_shard_writer_finish(writer, record);
}

static fct_status make_shard(run *r, fct_workers *workers, int64_t number, const int64_t *row,
                             int64_t *rows)
{
    int split;
    int64_t index, first;
    fct_shard_record record;
    fct_text notes = { 0 };
    fct_shard_writer *writer;
    locate_shard(&r->plan, number, &split, &index);
    fct_plan_shard(&r->plan.head->split[split], index, &first, rows);
    FCT_TRY(fct_journal_forget(r->spec, &r->plan, split, index));
    FCT_TRY(fct_shard_writer_create(r->spec, &r->plan, split, index, &writer));
    fct_status status = fill_shard(r, workers, writer, row, *rows, &notes, &record);
    fct_shard_writer_destroy(writer);
    if (status == FCT_OK)
        status = fct_journal_write(r->spec, &r->plan, &record, &notes, &r->records);
    fct_text_release(&notes);
    return status;
}

static fct_status make_shards(run *r)
{
    fct_workers *workers;
    fct_status status = FCT_OK;
    FCT_TRY(find_share(r));
    if (r->mine.rows == 0)
        return FCT_OK;
    FCT_TRY(check_space(r));
    FCT_TRY(fct_workers_create(r->spec, &r->plan, r->mine.row, r->mine.rows, &workers));
    fct_progress_start(&r->progress, "pack", "pictures", r->mine.rows,
                       r->spec->quiet || r->peers->rank != 0);
    const int64_t *row = r->mine.row;
    for (int64_t i = 0; i < r->mine.shards && status == FCT_OK; i++) {
        int64_t rows;
        status = make_shard(r, workers, r->mine.shard[i], row, &rows);
        row += rows;
    }
    fct_progress_end(&r->progress);
    fct_workers_destroy(workers);
    return status;
}

// Every rank knows every shard's record; rank 0 gives the shards their names.
static fct_status finish(run *r, fct_text *summary)
{
    void *all = NULL;
    size_t n;
    FCT_TRY(gather_all(r->peers, r->records.data, r->records.size, &all, &n));
    fct_shard_record record;
    const char *notes;
    fct_status status = FCT_OK;
    for (size_t at = 0, notes_n; fct_journal_next(all, n, &at, &record, &notes, &notes_n);)
        if (record.bad && r->spec->stop_on_bad && status == FCT_OK)
            status = FCT_FAIL(FCT_E_FORMAT,
                              "%s: %lld bad pictures in shards of an earlier run\n"
                              "--on-bad skip leaves such pictures out and lists them",
                              r->spec->output, (long long)record.bad);
    if (status == FCT_OK && r->peers->rank == 0)
        status = fct_pack_publish(r->spec, &r->plan, all, n);
    status = agree(r->peers, status, "naming the shards");
    if (status == FCT_OK && r->peers->rank == 0 && summary)
        status = fct_pack_summarise(&r->plan, all, n, summary);
    free(all);
    return status;
}

static fct_status run_all(run *r, fct_text *summary)
{
    int64_t is_done;
    FCT_TRY(make_plan(r));
    FCT_TRY(prepare_output(r, &is_done));
    if (is_done) {
        if (r->peers->rank == 0 && summary)
            fct_text_add(summary, "%s: already holds exactly this set, nothing to do\n",
                         r->spec->output);
        return FCT_OK;
    }
    FCT_TRY(agree(r->peers, make_shards(r), "packing"));
    return finish(r, summary);
}

fct_status fct_pack(const fct_pack_spec *spec, const fct_pack_peers *peers, fct_text *summary)
{
    static const fct_pack_peers alone = { .rank = 0, .ranks = 1 };
    fct_pack_spec full = *spec;
    if (full.limits.max_pixels <= 0)
        full.limits = fct_image_default_limits;
    run r = { .spec = &full, .peers = peers ? peers : &alone, .lock = -1 };
    fct_status status = run_all(&r, summary);
    fct_pack_let_go(full.output, r.lock);
    free(r.mine.shard);
    free(r.mine.row);
    fct_text_release(&r.records);
    fct_plan_close(&r.plan);
    return status;
}
