// SPDX-License-Identifier: Apache-2.0
// A record is a chain of parts: magic, kind and length, data, zeros up to a multiple of four. Where
// the data itself held the magic at such a place, the writer cut it there and left the magic out.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record_io.h"

enum { PART_HEAD = 8, PAYLOAD_HEAD = 24, LABELS = 2, WINDOW_BYTES = 1 << 18, ALIGNMENT = 4 };
enum { PARTS_MAX = 1024 }; // no picture holds the magic so often; a file of such chains has no end
enum { WHOLE, FIRST, MIDDLE, LAST }; // kinds of parts

static const uint8_t magic[4] = { 0x0a, 0x23, 0xd7, 0xce };

struct fct_record_file {
    char *path;
    int fd;
    int64_t bytes, mtime_ns;
    int64_t window_at; // the window's place in the file
    size_t window_bytes;
    uint8_t window[WINDOW_BYTES]; // records are looked at in the order of their places
};

static uint32_t little_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float little_f32(const uint8_t *p)
{
    uint32_t bits = little_u32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

fct_status fct_record_open(const char *path, fct_record_file **out)
{
    struct stat st;
    fct_record_file *f = malloc(sizeof *f); // the window needs no zeros
    if (!f)
        return FCT_FAIL_NOMEM(sizeof *f, path);
    f->window_at = 0;
    f->window_bytes = 0;
    f->path = strdup(path);
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!f->path || f->fd < 0 || fstat(f->fd, &st) != 0) {
        fct_status status = FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", path, strerror(errno));
        fct_record_close(f);
        return status;
    }
    if (!S_ISREG(st.st_mode)) {
        fct_record_close(f);
        return FCT_FAIL(FCT_E_FORMAT, "%s: is not a regular file", path);
    }
    f->bytes = st.st_size;
    f->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    *out = f;
    return FCT_OK;
}

void fct_record_close(fct_record_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

int64_t fct_record_file_bytes(const fct_record_file *f)
{
    return f->bytes;
}

int64_t fct_record_file_mtime_ns(const fct_record_file *f)
{
    return f->mtime_ns;
}

// Up to n bytes; *got fewer only at the file's end.
static fct_status read_at(const fct_record_file *f, int64_t at, uint8_t *bytes, size_t n,
                          size_t *got)
{
    for (*got = 0; *got < n;) {
        ssize_t k = pread(f->fd, bytes + *got, n - *got, (off_t)(at + (int64_t)*got));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return FCT_FAIL(FCT_E_IO, "%s: cannot read: %s", f->path, strerror(errno));
        if (k == 0)
            break;
        *got += (size_t)k;
    }
    return FCT_OK;
}

// ---- looking: through a window that moves along the file

// The bytes from `at` on, n of them or as many as the file has (*got).
static fct_status look_at(fct_record_file *f, int64_t at, size_t n, const uint8_t **out,
                          size_t *got)
{
    int64_t end = f->window_at + (int64_t)f->window_bytes;
    if (at < f->window_at || at + (int64_t)n > end) {
        f->window_bytes = 0;
        FCT_TRY(read_at(f, at, f->window, WINDOW_BYTES, &f->window_bytes));
        f->window_at = at;
    }
    size_t before = (size_t)(at - f->window_at), rest = f->window_bytes - before;
    *out = f->window + before;
    *got = n < rest ? n : rest;
    return FCT_OK;
}

typedef struct {
    int kind;
    int64_t data, bytes, end; // place and size of its data; where the next part begins
} part;

// What the eight bytes before a part's data say; NULL, or why there is no such part. `got`: bytes
// that the file has there.
static const char *read_part(const fct_record_file *f, int64_t at, const uint8_t *head, size_t got,
                             part *out)
{
    if (got < PART_HEAD)
        return got == 0 ? "the file ends before this record's last part"
                        : "the file ends within this record";
    if (memcmp(head, magic, sizeof magic) != 0)
        return "no record begins here";
    uint32_t word = little_u32(head + 4);
    *out = (part){ .kind = (int)(word >> 29),
                   .data = at + PART_HEAD,
                   .bytes = (int64_t)(word & ((1U << 29) - 1)) };
    if (out->bytes > f->bytes - out->data)
        return "the file ends within this record";
    out->end = out->data + (out->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    out->end = out->end < f->bytes ? out->end : f->bytes;
    return NULL;
}

// Whether a part of this kind may stand after `before` others.
static const char *check_order(const part *p, int64_t before)
{
    if (before >= PARTS_MAX)
        return "has more parts than a picture can have";
    if (before == 0 && (p->kind == WHOLE || p->kind == FIRST))
        return NULL;
    if (before == 0)
        return "the rest of a record whose first part is missing";
    return p->kind == MIDDLE || p->kind == LAST ? NULL
                                                : "another record begins before its last part";
}

static int is_final(const part *p)
{
    return p->kind == WHOLE || p->kind == LAST;
}

// The first bytes of a record's data, its parts joined.
typedef struct {
    uint8_t head[PAYLOAD_HEAD + 4 * LABELS];
    int64_t bytes; // of all the data
} payload;

static void join(payload *p, const uint8_t *bytes, size_t n)
{
    if (p->bytes < (int64_t)sizeof p->head) {
        size_t room = sizeof p->head - (size_t)p->bytes;
        memcpy(p->head + p->bytes, bytes, n < room ? n : room);
    }
}

static fct_status join_part(fct_record_file *f, const part *p, int is_first, payload *joined)
{
    const uint8_t *bytes;
    size_t got;
    if (!is_first) {
        join(joined, magic, sizeof magic);
        joined->bytes += (int64_t)sizeof magic;
    }
    size_t want = p->bytes < (int64_t)sizeof joined->head ? (size_t)p->bytes : sizeof joined->head;
    if (joined->bytes < (int64_t)sizeof joined->head) {
        FCT_TRY(look_at(f, p->data, want, &bytes, &got));
        join(joined, bytes, got);
    }
    joined->bytes += p->bytes;
    return FCT_OK;
}

// Follows the parts from byte `at` on.
static fct_status follow(fct_record_file *f, int64_t at, payload *joined, fct_record *out)
{
    part p = { 0 };
    int64_t before = 0;
    do {
        const uint8_t *head;
        size_t got;
        FCT_TRY(look_at(f, at, PART_HEAD, &head, &got));
        out->bad = read_part(f, at, head, got, &p);
        if (!out->bad)
            out->bad = check_order(&p, before);
        if (out->bad)
            return FCT_OK;
        FCT_TRY(join_part(f, &p, before == 0, joined));
        before++;
        at = p.end;
        out->end = at;
    } while (!is_final(&p));
    return FCT_OK;
}

// Labels and picture of the joined data; NULL, or why it is none.
static const char *read_payload(const payload *p, fct_record *out)
{
    if (p->bytes < PAYLOAD_HEAD)
        return "too short for a record's head";
    out->flag = little_u32(p->head);
    out->picture_bytes = p->bytes - PAYLOAD_HEAD - 4 * (int64_t)out->flag;
    if (out->picture_bytes < 0)
        return "says more labels than it has bytes";
    out->label[0] = little_f32(p->head + (out->flag ? PAYLOAD_HEAD : 4));
    out->label[1] = out->flag > 1 ? little_f32(p->head + PAYLOAD_HEAD + 4) : 0;
    return NULL;
}

fct_status fct_record_look(fct_record_file *f, int64_t at, fct_record *out)
{
    payload joined = { .bytes = 0 };
    *out = (fct_record){ .at = at, .end = at };
    FCT_TRY(follow(f, at, &joined, out));
    if (!out->bad)
        out->bad = read_payload(&joined, out);
    return FCT_OK;
}

fct_status fct_record_find(fct_record_file *f, int64_t at, int64_t *out)
{
    *out = f->bytes;
    for (at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; at < f->bytes; at += ALIGNMENT) {
        const uint8_t *head;
        size_t got;
        FCT_TRY(look_at(f, at, PART_HEAD, &head, &got));
        if (got < PART_HEAD)
            return FCT_OK;
        if (!memcmp(head, magic, sizeof magic) && head[7] >> 5 <= FIRST) {
            *out = at;
            return FCT_OK;
        }
    }
    return FCT_OK;
}

// ---- reading: whole records, by any thread

static fct_status reserve(const char *name, size_t n, uint8_t **buffer, size_t *capacity)
{
    if (n <= *capacity)
        return FCT_OK;
    uint8_t *grown = realloc(*buffer, n * 2);
    if (!grown)
        return FCT_FAIL_NOMEM(n * 2, name);
    *buffer = grown;
    *capacity = n * 2;
    return FCT_OK;
}

static fct_status fail_record(const char *name, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: %s", name, why);
}

fct_status fct_record_read(const fct_record_file *f, int64_t at, const char *name, size_t max_bytes,
                           uint8_t **buffer, size_t *capacity, const uint8_t **picture,
                           size_t *bytes)
{
    payload joined = { .bytes = 0 };
    fct_record record = { 0 };
    part p = { 0 };
    size_t n = 0, got;
    int64_t before = 0;
    do {
        uint8_t head[PART_HEAD];
        FCT_TRY(read_at(f, at, head, sizeof head, &got));
        const char *bad = read_part(f, at, head, got, &p);
        bad = bad ? bad : check_order(&p, before);
        if (bad)
            return fail_record(name, bad);
        size_t between = before++ > 0 ? sizeof magic : 0;
        if (n + between + (size_t)p.bytes > max_bytes)
            return FCT_FAIL(FCT_E_FORMAT, "%s: more than the %zu bytes allowed", name, max_bytes);
        FCT_TRY(reserve(name, n + between + (size_t)p.bytes + 1, buffer, capacity));
        memcpy(*buffer + n, magic, between);
        n += between;
        FCT_TRY(read_at(f, p.data, *buffer + n, (size_t)p.bytes, &got));
        if ((int64_t)got < p.bytes)
            return fail_record(name, "became shorter while it was read");
        n += got;
        at = p.end;
    } while (!is_final(&p));
    join(&joined, *buffer, n);
    joined.bytes = (int64_t)n;
    const char *bad = read_payload(&joined, &record);
    if (bad)
        return fail_record(name, bad);
    *bytes = (size_t)record.picture_bytes;
    *picture = *buffer + n - *bytes;
    return FCT_OK;
}
