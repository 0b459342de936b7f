// SPDX-License-Identifier: Apache-2.0
// Writes one shard. Pictures go straight to where HDF5 will have them; how many they are is only
// known at the end, and then HDF5's own bytes, made in a file without pictures, are laid around
// them.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facet/path.h"
#include "pack_hdf5.h"

enum { COPY_BYTES = 1 << 20 };

struct fct_shard_writer {
    const fct_pack_spec *spec;
    const fct_plan *plan;
    int split;
    int64_t index, capacity, rows;
    int fd;
    uint64_t bytes; // of pictures so far
    int64_t cut, bad;
    char part[FCT_PATH_MAX], frame[FCT_PATH_MAX], done[FCT_PATH_MAX];
    int64_t *row;             // of the plan, (rows)
    uint64_t *checksum;       // (rows)
    uint64_t *offset;         // (rows + 1)
    float *landmark;          // (rows, points, 2), NULL without landmarks
    uint8_t *landmarks_valid; // (rows)
    char first_bad[512];
};

fct_status fct_pack_shard_path(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                               int64_t index, const char *suffix, char out[4096])
{
    const fct_plan_split *s = &plan->head->split[split];
    if (snprintf(out, FCT_PATH_MAX, "%s/" FCT_SHARD_FILE_FORMAT "%s", spec->output, s->name,
                 (int)index, (int)s->shards, suffix) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%.200s...: path is too long", spec->output);
    return FCT_OK;
}

static fct_status fail_errno(const char *path, const char *what)
{
    return FCT_FAIL(FCT_E_IO, "%s: %s: %s%s", path, what, strerror(errno),
                    errno == ENOSPC || errno == EDQUOT
                        ? "\nmake room and run the same command again: finished shards are kept"
                        : "");
}

static fct_status reserve_columns(fct_shard_writer *w)
{
    size_t n = (size_t)w->capacity, points = (size_t)w->plan->head->points;
    w->row = malloc(n * sizeof *w->row);
    w->checksum = malloc(n * sizeof *w->checksum);
    w->offset = calloc(n + 1, sizeof *w->offset);
    int is_short = !w->row || !w->checksum || !w->offset;
    if (points) {
        w->landmark = calloc(n * points * 2, sizeof *w->landmark);
        w->landmarks_valid = calloc(n, sizeof *w->landmarks_valid);
        is_short |= !w->landmark || !w->landmarks_valid;
    }
    return is_short ? FCT_FAIL_NOMEM(n * (3 * sizeof *w->row + points * 8), "a shard's columns")
                    : FCT_OK;
}

fct_status fct_shard_writer_create(const fct_pack_spec *spec, const fct_plan *plan, int split,
                                   int64_t index, fct_shard_writer **out)
{
    fct_shard_writer *w = calloc(1, sizeof *w);
    if (!w)
        return FCT_FAIL_NOMEM(sizeof *w, "a shard");
    int64_t first;
    fct_status status;
    w->fd = -1;
    w->spec = spec;
    w->plan = plan;
    w->split = split;
    w->index = index;
    fct_plan_shard(&plan->head->split[split], index, &first, &w->capacity);
    FCT_TRY_GOTO(fct_pack_shard_path(spec, plan, split, index, ".part.tmp", w->part), status, fail);
    FCT_TRY_GOTO(fct_pack_shard_path(spec, plan, split, index, ".frame.tmp", w->frame), status,
                 fail);
    FCT_TRY_GOTO(fct_pack_shard_path(spec, plan, split, index, ".tmp", w->done), status, fail);
    FCT_TRY_GOTO(reserve_columns(w), status, fail);
    w->fd = open(w->part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (w->fd < 0)
        FCT_TRY_GOTO(fail_errno(w->part, "cannot create"), status, fail);
    *out = w;
    return FCT_OK;
fail:
    fct_shard_writer_destroy(w);
    return status;
}

void fct_shard_writer_destroy(fct_shard_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->part);
        unlink(w->frame);
    }
    free(w->row);
    free(w->checksum);
    free(w->offset);
    free(w->landmark);
    free(w->landmarks_valid);
    free(w);
}

static fct_status write_at(int fd, const char *path, const void *bytes, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const char *)bytes + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fail_errno(path, "cannot write");
        done += (size_t)k;
    }
    return FCT_OK;
}

fct_status fct_shard_writer_add(fct_shard_writer *w, int64_t row, const fct_packed *picture)
{
    size_t i = (size_t)w->rows, points = (size_t)w->plan->head->points;
    if (picture->bad) {
        if (!w->bad++)
            snprintf(w->first_bad, sizeof w->first_bad, "%.200s: %.200s",
                     w->plan->text + w->plan->row[row].name, picture->bad);
        return FCT_OK;
    }
    FCT_ASSERT(w->rows < w->capacity);
    FCT_TRY(
        write_at(w->fd, w->part, picture->picture, picture->bytes, FCT_PACK_DATA_AT + w->bytes));
    w->bytes += picture->bytes;
    w->row[i] = row;
    w->checksum[i] = picture->checksum;
    w->offset[i + 1] = w->bytes;
    if (points && picture->has_landmarks)
        memcpy(w->landmark + i * points * 2, picture->landmark, points * 2 * sizeof *w->landmark);
    if (points)
        w->landmarks_valid[i] = (uint8_t)picture->has_landmarks;
    w->cut += picture->is_cut;
    w->rows++;
    return FCT_OK;
}

// The columns that follow from the plan, in memory of their own.
typedef struct {
    int16_t *expression;
    int32_t *identity;
    int8_t *action_unit;
    float *affect;
    char *path;
} plan_columns;

static void release_plan_columns(plan_columns *c)
{
    free(c->expression);
    free(c->identity);
    free(c->action_unit);
    free(c->affect);
    free(c->path);
}

static fct_status alloc_plan_columns(const fct_plan_head *h, size_t n, size_t width,
                                     plan_columns *out)
{
    size_t units = (size_t)h->units;
    int has_expression = h->kind == FCT_PACK_EXPRESSION,
        has_identity = h->kind == FCT_PACK_IDENTITY;
    *out = (plan_columns){ .path = calloc(n, width) };
    if (has_expression)
        out->expression = malloc(n * sizeof *out->expression);
    if (has_identity)
        out->identity = malloc(n * sizeof *out->identity);
    if (units)
        out->action_unit = malloc(n * units);
    if (h->has_affect)
        out->affect = malloc(n * 2 * sizeof *out->affect);
    if (!out->path || (has_expression && !out->expression) || (has_identity && !out->identity) ||
        (units && !out->action_unit) || (h->has_affect && !out->affect))
        return FCT_FAIL_NOMEM(n * (width + units), "a shard's columns");
    return FCT_OK;
}

static fct_status make_plan_columns(const fct_shard_writer *w, plan_columns *out)
{
    const fct_plan_head *h = w->plan->head;
    size_t n = (size_t)w->rows, units = (size_t)h->units,
           width = (size_t)h->split[w->split].path_bytes;
    FCT_TRY(alloc_plan_columns(h, n, width, out));
    for (size_t i = 0; i < n; i++) {
        const fct_plan_row *row = &w->plan->row[w->row[i]];
        const char *path = w->plan->text + row->name;
        memcpy(out->path + i * width, path, strlen(path));
        if (out->expression)
            out->expression[i] = (int16_t)row->label;
        if (out->identity)
            out->identity[i] = row->label;
        for (size_t k = 0; k < 2 && out->affect; k++)
            out->affect[2 * i + k] =
                row->affect < 0 ? NAN : w->plan->affect[2 * (size_t)row->affect + k];
        if (units && row->unit < 0)
            memset(out->action_unit + i * units, -1, units);
        else if (units)
            memcpy(out->action_unit + i * units, w->plan->value + (size_t)row->unit * units, units);
    }
    return FCT_OK;
}

static fct_shard_columns all_columns(const fct_shard_writer *w, const plan_columns *c)
{
    const fct_plan_head *h = w->plan->head;
    return (fct_shard_columns){ .pictures = w->rows,
                                .landmarks = h->points,
                                .action_units = h->units,
                                .path_bytes = (size_t)h->split[w->split].path_bytes,
                                .checksum = w->checksum,
                                .expression = c->expression,
                                .identity = c->identity,
                                .landmark = w->landmark,
                                .landmarks_valid = w->landmarks_valid,
                                .action_unit = c->action_unit,
                                .valence_arousal = c->affect,
                                .path = c->path };
}

static fct_status fill_frame(const fct_shard_writer *w, hid_t file,
                             const fct_shard_columns *columns, uint64_t hash)
{
    const fct_plan_head *h = w->plan->head;
    hsize_t raw[4] = { (hsize_t)w->rows, (hsize_t)h->height, (hsize_t)h->width, 3 };
    hsize_t jpeg[1] = { w->bytes };
    uint64_t at;
    FCT_TRY(fct_h5_reserve(file, w->frame, h->is_jpeg ? FCT_SHARD_BYTES : FCT_SHARD_IMAGES,
                           h->is_jpeg ? 1 : 4, h->is_jpeg ? jpeg : raw, &at));
    if (at != FCT_PACK_DATA_AT)
        return FCT_FAIL(FCT_E_UNSUPPORTED, "%s: HDF5 puts the pictures at byte %llu, not %d",
                        w->frame, (unsigned long long)at, FCT_PACK_DATA_AT);
    FCT_TRY(fct_h5_write_attributes(file, w->frame, w->spec, w->plan, w->split, w->index, hash));
    if (h->is_jpeg) {
        fct_h5_column offset = { FCT_SHARD_OFFSET, H5T_STD_U64LE, 1, { (hsize_t)w->rows + 1 }, 8,
                                 w->offset };
        FCT_TRY(fct_h5_write_column(file, w->frame, &offset));
    }
    fct_h5_column column[FCT_PACK_COLUMNS_MAX];
    hid_t path_type = fct_h5_text_type(columns->path_bytes);
    int n = fct_h5_list_columns(columns, path_type, column);
    fct_status status = FCT_OK;
    for (int i = 0; i < n && status == FCT_OK; i++)
        status = fct_h5_write_column(file, w->frame, &column[i]);
    H5Tclose(path_type);
    return status;
}

// The shard as HDF5 writes it, with a hole where the pictures belong.
static fct_status write_frame(const fct_shard_writer *w, uint64_t *hash_out)
{
    plan_columns own;
    hid_t file;
    fct_status status = make_plan_columns(w, &own);
    if (status == FCT_OK) {
        fct_shard_columns columns = all_columns(w, &own);
        *hash_out = fct_shard_hash(&columns);
        fct_h5_prepare();
        status = fct_h5_create(w->frame, w->bytes, &file);
        if (status == FCT_OK)
            status = fct_h5_close(file, w->frame, fill_frame(w, file, &columns, *hash_out));
    }
    release_plan_columns(&own);
    return status;
}

// Bytes [from, to) of the frame, to the same place in the shard.
static fct_status copy_range(const fct_shard_writer *w, int frame, uint64_t from, uint64_t to,
                             uint8_t *buffer)
{
    while (from < to) {
        size_t n = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        ssize_t k = pread(frame, buffer, n, (off_t)from);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k < 0 ? fail_errno(w->frame, "cannot read")
                         : FCT_FAIL(FCT_E_IO, "%s: became shorter while it was read", w->frame);
        FCT_TRY(write_at(w->fd, w->part, buffer, (size_t)k, from));
        from += (uint64_t)k;
    }
    return FCT_OK;
}

static fct_status lay_frame(const fct_shard_writer *w)
{
    int frame = open(w->frame, O_RDONLY | O_CLOEXEC);
    if (frame < 0)
        return fail_errno(w->frame, "cannot open");
    struct stat st;
    uint8_t *buffer = malloc(COPY_BYTES);
    fct_status status = FCT_OK;
    if (!buffer)
        status = FCT_FAIL_NOMEM(COPY_BYTES, "a shard");
    else if (fstat(frame, &st) != 0)
        status = fail_errno(w->frame, "cannot look at");
    if (status == FCT_OK)
        status = copy_range(w, frame, 0, FCT_PACK_DATA_AT, buffer);
    if (status == FCT_OK)
        status = copy_range(w, frame, FCT_PACK_DATA_AT + w->bytes, (uint64_t)st.st_size, buffer);
    free(buffer);
    close(frame);
    return status;
}

fct_status fct_shard_writer_finish(fct_shard_writer *w, fct_shard_record *out)
{
    uint64_t hash;
    if (w->rows == 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: none of its %lld pictures can be used; the first: %s",
                        w->done, (long long)w->capacity, w->first_bad);
    FCT_TRY(write_frame(w, &hash));
    FCT_TRY(lay_frame(w));
    if (fsync(w->fd) != 0)
        return fail_errno(w->part, "cannot sync");
    int closed = close(w->fd);
    w->fd = -1;
    unlink(w->frame);
    if (closed != 0 || rename(w->part, w->done) != 0) {
        fct_status status = fail_errno(w->part, "cannot finish");
        unlink(w->part);
        return status;
    }
    FCT_TRY(fct_path_sync_folder(w->spec->output));
    *out = (fct_shard_record){ .split = w->split,
                               .index = w->index,
                               .rows = w->rows,
                               .bytes = (int64_t)w->bytes,
                               .data_hash = hash,
                               .cut = w->cut,
                               .bad = w->bad };
    return FCT_OK;
}
