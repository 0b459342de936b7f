// SPDX-License-Identifier: Apache-2.0
// The plan as a file: one rank writes it, all map it, so that a node holds it once and a rank only
// the pages of its own shards.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "pack_parts.h"

enum { BUFFER_BYTES = 1 << 18, ALIGNMENT = 8 };
// The last character counts up with what the same plan makes of the same pictures.
static const char magic[8] = "fctpln2";

typedef struct {
    FILE *file;
    XXH3_state_t hash;
} writer;

// stdio keeps an error for the end.
static void put(writer *w, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    fwrite(bytes, 1, n, w->file);
    XXH3_64bits_update(&w->hash, bytes, n);
}

static size_t padding(size_t n)
{
    return (ALIGNMENT - n % ALIGNMENT) % ALIGNMENT;
}

static void pad(writer *w, size_t n)
{
    static const char zeros[ALIGNMENT] = { 0 };
    put(w, zeros, padding(n));
}

static void put_section(writer *w, const void *bytes, size_t n)
{
    put(w, bytes, n);
    pad(w, n);
}

// The files of every split in turn, in the order of their paths; starts as {0}.
typedef struct {
    int split; // of fct_pack_split_names
    size_t next;
} row_walk;

// 0 at the end.
static int next_row(const fct_plan_draft *d, row_walk *at, size_t *file)
{
    for (; at->split < FCT_PACK_SPLITS_MAX; at->split++, at->next = 0)
        while (at->next < d->scan.files) {
            *file = at->next++;
            if (d->layout.label[*file] >= FCT_LABEL_NONE && d->layout.split[*file] == at->split)
                return 1;
        }
    return 0;
}

static void put_rows(writer *w, const fct_plan_draft *d)
{
    const fct_plan_split *split = d->head.split;
    uint64_t name = 0;
    int64_t n = 0;
    int32_t number = 0; // of the split, in this plan
    size_t i;
    for (row_walk at = { 0 }; next_row(d, &at, &i); n++) {
        number += n == split[number].first + split[number].rows;
        fct_plan_row row = { name,
                             d->scan.file[i].size_bytes,
                             d->scan.file[i].mtime_ns,
                             d->scan.file[i].at,
                             d->layout.label[i],
                             d->landmark_of ? d->landmark_of[i] : -1,
                             d->unit_of ? d->unit_of[i] : -1,
                             number,
                             d->box_of ? d->box_of[i] : -1,
                             d->affect_of ? d->affect_of[i] : -1 };
        put(w, &row, sizeof row);
        name += strlen(fct_scan_path(&d->scan, i)) + 1;
    }
}

static size_t count_names(const fct_plan_draft *d)
{
    size_t bytes = 0, i;
    for (row_walk at = { 0 }; next_row(d, &at, &i);)
        bytes += strlen(fct_scan_path(&d->scan, i)) + 1;
    return bytes;
}

static void put_names(writer *w, const fct_plan_draft *d)
{
    size_t i;
    for (row_walk at = { 0 }; next_row(d, &at, &i);)
        put(w, fct_scan_path(&d->scan, i), strlen(fct_scan_path(&d->scan, i)) + 1);
}

static void put_all(writer *w, const fct_pack_spec *spec, fct_plan_draft *d)
{
    fct_plan_head *h = &d->head;
    const struct {
        const void *bytes; // NULL: written row by row
        size_t n;
    } section[FCT_PLAN_SECTIONS] = {
        { NULL, (size_t)h->rows * sizeof(fct_plan_row) },
        { NULL, count_names(d) },
        { d->layout.names.data, d->layout.names.size },
        { d->units.names.data, d->units.names.size },
        { d->scan.excluded.data, d->scan.excluded.size },
        { d->landmarks.point.data, d->landmarks.point.size },
        { d->units.value.data, d->units.value.size },
        { spec->input, strlen(spec->input) + 1 },
        { d->box.data, d->box.size },
        { d->affect.data, d->affect.size },
    };
    int64_t ignored = h->ignored;
    memcpy(h->magic, magic, sizeof magic);
    for (int i = 0; i < FCT_PLAN_SECTIONS; i++)
        h->section_bytes[i] = (int64_t)section[i].n;
    h->ignored = 0;
    put_section(w, h, sizeof *h);
    put_rows(w, d);
    pad(w, section[0].n);
    put_names(w, d);
    pad(w, section[1].n);
    for (int i = 2; i < FCT_PLAN_SECTIONS; i++)
        put_section(w, section[i].bytes, section[i].n);
    h->hash = XXH3_64bits_digest(&w->hash);
    h->ignored = ignored;
    fflush(w->file);
    rewind(w->file);
    fwrite(h, 1, sizeof *h, w->file);
}

fct_status fct_plan_write(const fct_pack_spec *spec, fct_plan_draft *draft, const char *file)
{
    writer *w = calloc(1, sizeof *w);
    if (!w)
        return FCT_FAIL_NOMEM(sizeof *w, "the plan");
    fct_status status = FCT_OK;
    w->file = fopen(file, "we");
    if (!w->file) {
        status = FCT_FAIL(FCT_E_IO, "%s: cannot create: %s", file, strerror(errno));
    } else {
        setvbuf(w->file, NULL, _IOFBF, BUFFER_BYTES);
        XXH3_INITSTATE(&w->hash);
        XXH3_64bits_reset(&w->hash);
        errno = 0;
        put_all(w, spec, draft);
        int failed = ferror(w->file), error = errno;
        if (fclose(w->file) != 0 && !failed)
            failed = 1, error = errno;
        if (failed)
            status = FCT_FAIL(FCT_E_IO, "%s: cannot write: %s", file, strerror(error));
    }
    free(w);
    return status;
}

static fct_status fail_torn(const char *file)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: is no plan of this version, or torn", file);
}

static fct_status map_file(const char *file, fct_plan *out)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", file, strerror(errno));
    int failed = fstat(fd, &st) != 0, error = errno;
    if (!failed && (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(fct_plan_head))) {
        close(fd);
        return fail_torn(file);
    }
    if (!failed) {
        out->size = (size_t)st.st_size;
        out->bytes = mmap(NULL, out->size, PROT_READ, MAP_SHARED, fd, 0);
        failed = out->bytes == MAP_FAILED;
        error = errno;
    }
    close(fd);
    if (!failed)
        return FCT_OK;
    out->bytes = NULL;
    return FCT_FAIL(FCT_E_IO, "%s: cannot map: %s", file, strerror(error));
}

// Where the sections lie; 0 when the file is not as long as they say.
static int find_sections(const fct_plan *plan, const char *section[FCT_PLAN_SECTIONS])
{
    size_t at = sizeof *plan->head + padding(sizeof *plan->head);
    for (int i = 0; i < FCT_PLAN_SECTIONS; i++) {
        int64_t n = plan->head->section_bytes[i];
        if (at > plan->size || n < 0 || (uint64_t)n > plan->size - at)
            return 0;
        section[i] = (const char *)plan->bytes + at;
        at += (size_t)n + padding((size_t)n);
    }
    return at == plan->size;
}

fct_status fct_plan_open(const char *file, fct_plan *out)
{
    const char *section[FCT_PLAN_SECTIONS];
    *out = (fct_plan){ 0 };
    FCT_TRY(map_file(file, out));
    out->head = out->bytes;
    if (memcmp(out->head->magic, magic, sizeof magic) != 0 || !find_sections(out, section)) {
        fct_plan_close(out);
        return fail_torn(file);
    }
    out->row = (const void *)section[0];
    out->text = section[1];
    out->label_names = section[2];
    out->unit_names = section[3];
    out->excluded = section[4];
    out->point = (const void *)section[5];
    out->value = (const int8_t *)section[6];
    out->source = section[7];
    out->box = (const void *)section[8];
    out->affect = (const void *)section[9];
    out->hash = out->head->hash;
    return FCT_OK;
}

void fct_plan_close(fct_plan *plan)
{
    if (plan->bytes)
        munmap(plan->bytes, plan->size);
    *plan = (fct_plan){ 0 };
}
