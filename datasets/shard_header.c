// SPDX-License-Identifier: Apache-2.0
// The object headers below HDF5: what they refer to is stored beside them. HDF5 1.10 trusts the
// heaps and trees of "dense" links and attributes, and crashes on forged ones, so it never meets
// them: nothing of the file is given to it before this succeeded.
// HDF5 file format specification 3.0, IV.A.1.b (version 2 object headers) and IV.A.2 (messages).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shard.h"

enum { ROOT_ADDRESS_AT = 36, PREFIX_BYTES = 34, MAX_BLOCKS = 64, MAX_LINKS = 16, WHAT_BYTES = 48 };
enum { MAX_BLOCK_BYTES = 1 << 20, CHECKSUM_BYTES = 4 };
enum {
    LINK_INFO = 0x02,
    LINK = 0x06,
    CONTINUATION = 0x10,
    SYMBOL_TABLE = 0x11,
    ATTRIBUTE_INFO = 0x15
};
enum { IS_SHARED = 2, HAS_ORDER = 4, HAS_PHASES = 16, HAS_TIMES = 32 };

typedef struct {
    const uint8_t *at, *end;
    int is_short; // somebody wanted more than there is
} span;

typedef struct {
    uint64_t at, bytes;
} extent;

typedef struct {
    const fct_shard *s;
    char what[WHAT_BYTES]; // for messages: "the root group" or "dataset images"
    int order_bytes;       // of each message's creation order
    extent block[MAX_BLOCKS];
    int blocks;
    struct {
        uint64_t at;
        char what[WHAT_BYTES];
    } child[MAX_LINKS];
    int children;
} header;

static fct_status bad(const header *h, const char *why)
{
    return FCT_FAIL(FCT_E_FORMAT, "%s: %s: %s", h->s->file, h->what, why);
}

static uint64_t take(span *p, int n)
{
    uint64_t x = 0;
    if (p->end - p->at < n) {
        p->is_short = 1;
        p->at = p->end;
        return 0;
    }
    for (int i = n - 1; i >= 0; i--)
        x = x << 8 | p->at[i];
    p->at += n;
    return x;
}

static fct_status read_at(const header *h, uint64_t at, size_t n, void *out)
{
    if (at > (uint64_t)h->s->file_bytes || n > (uint64_t)h->s->file_bytes - at)
        return bad(h, "its header is damaged: it lies outside of the file");
    ssize_t done = pread(h->s->fd, out, n, (off_t)at);
    if (done < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", h->s->file, strerror(errno));
    return (size_t)done == n ? FCT_OK : bad(h, "its header is damaged: the file ends within it");
}

static fct_status add_block(header *h, uint64_t at, uint64_t bytes)
{
    if (h->blocks == MAX_BLOCKS || bytes > MAX_BLOCK_BYTES)
        return bad(h, "its header is damaged: too large");
    h->block[h->blocks++] = (extent){ at, bytes };
    return FCT_OK;
}

// Link info and attribute info differ in the width of the largest creation order only.
static fct_status see_info(header *h, span p, int order_bytes, const char *dense)
{
    take(&p, 1);
    if (take(&p, 1) & 1)
        take(&p, order_bytes);
    uint64_t heap = take(&p, 8), tree = take(&p, 8);
    if (p.is_short)
        return bad(h, "its header is damaged: a message is too short");
    return heap == UINT64_MAX && tree == UINT64_MAX ? FCT_OK : bad(h, dense);
}

// A hard link's object is checked too; the other kinds are told by name later.
static fct_status see_link(header *h, span p)
{
    take(&p, 1);
    uint64_t flags = take(&p, 1), kind = flags & 8 ? take(&p, 1) : 0;
    take(&p, (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
    uint64_t n = take(&p, 1 << (flags & 3));
    if (p.is_short || n > (uint64_t)(p.end - p.at) || h->children == MAX_LINKS)
        return bad(h, "its header is damaged: a link is too long, or there are too many");
    const char *name = (const char *)p.at;
    p.at += n;
    if (kind != 0)
        return FCT_OK;
    h->child[h->children].at = take(&p, 8);
    char *what = h->child[h->children++].what;
    snprintf(what, WHAT_BYTES, "dataset %.*s", (int)(n < WHAT_BYTES ? n : WHAT_BYTES), name);
    for (char *c = what; *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    return p.is_short ? bad(h, "its header is damaged: a message is too short") : FCT_OK;
}

static fct_status see_message(header *h, int type, span p)
{
    uint64_t at;
    switch (type) {
    case LINK_INFO:
        return see_info(h, p, 8,
                        "dense link storage, which no shard has\n"
                        "pack the pictures again");
    case ATTRIBUTE_INFO:
        return see_info(h, p, 2,
                        "dense attribute storage, which no shard has\n"
                        "pack the pictures again");
    case LINK:
        return see_link(h, p);
    case SYMBOL_TABLE:
        return bad(h, "a symbol table, which no shard has");
    case CONTINUATION:
        at = take(&p, 8);
        return add_block(h, at + CHECKSUM_BYTES, take(&p, 8) - 2 * CHECKSUM_BYTES);
    default:
        return FCT_OK;
    }
}

static fct_status see_block(header *h, span p)
{
    while (p.end - p.at >= 4 + h->order_bytes) { // less is a gap
        int type = (int)take(&p, 1);
        uint64_t bytes = take(&p, 2), flags = take(&p, 1);
        take(&p, h->order_bytes);
        if (bytes > (uint64_t)(p.end - p.at))
            return bad(h, "its header is damaged: a message is too long");
        if (flags & IS_SHARED)
            return bad(h, "a shared message in its header, which no shard has");
        FCT_TRY(see_message(h, type, (span){ p.at, p.at + bytes, 0 }));
        p.at += bytes;
    }
    return FCT_OK;
}

// The first block lies in the header itself, the others where continuation messages say.
static fct_status open_header(header *h, uint64_t address)
{
    uint8_t b[PREFIX_BYTES] = { 0 };
    uint64_t left = (uint64_t)h->s->file_bytes - address;
    if (address > (uint64_t)h->s->file_bytes)
        left = 0;
    FCT_TRY(read_at(h, address, left < sizeof b ? left : sizeof b, b));
    if (memcmp(b, "OHDR\2", 5) != 0)
        return bad(h, "its header is damaged or of an earlier HDF5 format than shards have");
    span p = { b + 6, b + sizeof b, 0 };
    int flags = b[5];
    h->order_bytes = flags & HAS_ORDER ? 2 : 0;
    take(&p, (flags & HAS_TIMES ? 16 : 0));
    take(&p, (flags & HAS_PHASES ? 4 : 0));
    uint64_t bytes = take(&p, 1 << (flags & 3));
    return add_block(h, address + (uint64_t)(p.at - b), bytes);
}

static fct_status check_header(header *h, uint64_t address)
{
    FCT_TRY(open_header(h, address));
    for (int i = 0; i < h->blocks; i++) { // grows while it is walked
        uint8_t *block = malloc(h->block[i].bytes + 1);
        if (!block)
            return FCT_FAIL_NOMEM(h->block[i].bytes, h->what);
        fct_status status = read_at(h, h->block[i].at, h->block[i].bytes, block);
        if (status == FCT_OK)
            status = see_block(h, (span){ block, block + h->block[i].bytes, 0 });
        free(block);
        FCT_TRY(status);
    }
    return FCT_OK;
}

fct_status fct_shard_check_headers(const fct_shard *s)
{
    header root = { .s = s, .what = "the root group" };
    uint8_t b[8];
    FCT_TRY(read_at(&root, ROOT_ADDRESS_AT, sizeof b, b));
    span p = { b, b + sizeof b, 0 };
    FCT_TRY(check_header(&root, take(&p, 8)));
    for (int i = 0; i < root.children; i++) {
        header child = { .s = s };
        snprintf(child.what, sizeof child.what, "%s", root.child[i].what);
        FCT_TRY(check_header(&child, root.child[i].at));
    }
    return FCT_OK;
}
