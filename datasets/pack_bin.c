// SPDX-License-Identifier: Apache-2.0
// Writes a verification .bin: Python's pickle of the pairs' pictures and flags, as others read it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/path.h"
#include "pack_pairs.h"

// Readers take it into memory as a whole; more is a mistake.
static const uint64_t BIN_BYTES_MAX = (uint64_t)4 << 30;

// The pictures that pairs name, encoded; a plan of these alone, in which they lie one behind the
// other.
typedef struct {
    fct_plan_head head;
    fct_plan plan;
    fct_plan_row *row;
    int64_t n;
    int64_t *used; // (rows of the whole plan): the number among those here, -1 none
    uint8_t **picture;
    size_t *bytes;
} picked;

static fct_status pick(const fct_plan *plan, const fct_pairs *pairs, picked *out)
{
    size_t rows = (size_t)plan->head->rows;
    *out = (picked){ .head = *plan->head,
                     .plan = *plan,
                     .row = malloc(rows * sizeof *out->row),
                     .used = calloc(rows, sizeof *out->used),
                     .picture = calloc(rows, sizeof *out->picture),
                     .bytes = calloc(rows, sizeof *out->bytes) };
    if (!out->row || !out->used || !out->picture || !out->bytes)
        return FCT_FAIL_NOMEM(rows * sizeof *out->row, "the pairs' pictures");
    for (int64_t i = 0; i < pairs->n; i++)
        out->used[pairs->pair[i].first] = out->used[pairs->pair[i].second] = 1;
    for (size_t i = 0; i < rows; i++) {
        if (out->used[i])
            out->row[out->n] = plan->row[i];
        out->used[i] = out->used[i] ? out->n++ : -1;
    }
    out->head.rows = out->n;
    out->plan.head = &out->head;
    out->plan.row = out->row;
    return FCT_OK;
}

static void picked_release(picked *p)
{
    for (int64_t i = 0; p->picture && i < p->n; i++)
        free(p->picture[i]);
    free(p->row);
    free(p->used);
    free(p->picture);
    free(p->bytes);
}

static fct_status keep(const picked *p, int64_t i, const fct_packed *made)
{
    if (made->bad)
        return FCT_FAIL(FCT_E_FORMAT, "%s: %s\na .bin lacks no picture of its pairs",
                        p->plan.text + p->row[i].name, made->bad);
    p->picture[i] = malloc(made->bytes);
    if (!p->picture[i])
        return FCT_FAIL_NOMEM(made->bytes, "a picture");
    memcpy(p->picture[i], made->picture, made->bytes);
    p->bytes[i] = made->bytes;
    return FCT_OK;
}

static fct_status encode(const fct_pack_spec *spec, const fct_pack_peers *peers, picked *p)
{
    fct_workers *workers;
    FCT_TRY(fct_workers_create(spec, &p->plan, &workers));
    fct_workers_add(workers, 0, p->n);
    fct_status status = FCT_OK;
    for (int64_t i = 0; i < p->n && status == FCT_OK; i++) {
        fct_packed made;
        status = fct_workers_next(workers, &made);
        if (status == FCT_OK)
            status = keep(p, i, &made);
        if (status == FCT_OK && peers->stop && peers->stop(peers->ctx))
            status = FCT_FAIL(FCT_E_INTERRUPTED, "stopped by signal %d", peers->stop(peers->ctx));
    }
    fct_workers_destroy(workers);
    return status;
}

// ---- the pickle, protocol 3: ([bytes, ...], [bool, ...])

static void put_picture(fct_text *out, const picked *p, int64_t row)
{
    int64_t i = p->used[row];
    uint32_t n = (uint32_t)p->bytes[i];
    const uint8_t head[5] = { 'B', (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                              (uint8_t)(n >> 24) };
    fct_text_add_bytes(out, head, sizeof head);
    fct_text_add_bytes(out, p->picture[i], p->bytes[i]);
}

static void put_pickle(fct_text *out, const picked *p, const fct_pairs *pairs)
{
    fct_text_add_bytes(out, "\x80\x03](", 4);
    for (int64_t i = 0; i < pairs->n; i++) {
        put_picture(out, p, pairs->pair[i].first);
        put_picture(out, p, pairs->pair[i].second);
    }
    fct_text_add_bytes(out, "e](", 3);
    for (int64_t i = 0; i < pairs->n; i++)
        fct_text_add_bytes(out, pairs->pair[i].same ? "\x88" : "\x89", 1);
    fct_text_add_bytes(out, "e\x86.", 3);
}

static fct_status write_bin(const fct_pack_spec *spec, const picked *p, const fct_pairs *pairs,
                            fct_text *summary)
{
    uint64_t bytes = 16, same = 0;
    fct_text pickle = { 0 };
    for (int64_t i = 0; i < pairs->n; i++) {
        const fct_pair *pair = &pairs->pair[i];
        bytes += p->bytes[p->used[pair->first]] + p->bytes[p->used[pair->second]] + 11;
        same += (uint64_t)pair->same;
    }
    if (bytes > BIN_BYTES_MAX)
        return FCT_FAIL(FCT_E_ARG, "%s: would have %llu bytes, more than 4 GiB", spec->output,
                        (unsigned long long)bytes);
    put_pickle(&pickle, p, pairs);
    fct_status status = pickle.failed ? FCT_FAIL_NOMEM(bytes, spec->output)
                                      : fct_path_replace(spec->output, pickle.data, pickle.size);
    fct_text_release(&pickle);
    if (status == FCT_OK && summary)
        fct_text_add(
            summary, "%s: %lld pairs (%lld of one person, %lld of two) of %lld pictures of %dx%d\n",
            spec->output, (long long)pairs->n, (long long)same,
            (long long)(pairs->n - (int64_t)same), (long long)p->n, p->head.width, p->head.height);
    return status;
}

static fct_status make_bin(const fct_pack_spec *spec, const fct_pack_peers *peers,
                           const fct_plan *plan, fct_text *summary)
{
    fct_pairs pairs;
    picked p = { 0 };
    FCT_TRY(fct_pack_pairs_find(spec, plan, &pairs));
    fct_status status = pick(plan, &pairs, &p);
    if (status == FCT_OK)
        status = encode(spec, peers, &p);
    if (status == FCT_OK)
        status = write_bin(spec, &p, &pairs, summary);
    picked_release(&p);
    fct_pairs_release(&pairs);
    return status;
}

static fct_status tick(void *ctx)
{
    const fct_pack_peers *peers = ctx;
    int number = peers->stop ? peers->stop(peers->ctx) : 0;
    return number ? FCT_FAIL(FCT_E_INTERRUPTED, "stopped by signal %d", number) : FCT_OK;
}

fct_status fct_pack_bin(const fct_pack_spec *spec, const fct_pack_peers *peers, fct_text *summary)
{
    char file[FCT_PATH_MAX];
    fct_plan plan;
    fct_pack_peers told = *peers;
    fct_pack_spec full = *spec;
    full.is_jpeg = 1;
    full.format = "flat"; // names and pairs are all that counts
    if (!spec->pairs)
        return FCT_FAIL(FCT_E_ARG, "%s: a .bin holds pairs\nname a file of them with --pairs",
                        spec->output);
    if (spec->leave_out || spec->min_pictures > 0)
        return FCT_FAIL(FCT_E_ARG, "%s: %s leaves persons out, a .bin has all of its pairs",
                        spec->output, spec->leave_out ? "--leave-out" : "--min-pictures");
    if (access(spec->output, F_OK) == 0 && !spec->force)
        return FCT_FAIL(FCT_E_ARG, "%s: is already there\n--force replaces it", spec->output);
    if (snprintf(file, sizeof file, "%s.plan.tmp", spec->output) >= (int)sizeof file)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", spec->output);
    const fct_pack_tick every = { tick, &told };
    fct_status status = fct_plan_make(&full, &every, file);
    if (status == FCT_OK)
        status = fct_plan_open(file, &plan);
    unlink(file); // the mapping stays
    FCT_TRY(status);
    status = make_bin(&full, peers, &plan, summary);
    fct_plan_close(&plan);
    return status;
}
