// SPDX-License-Identifier: Apache-2.0
// The machine's memory: blocks that are freed together, a stack, sequences; all within one budget.
#include <stdlib.h>
#include <string.h>

#include "pickle.h"

enum { BLOCK_BYTES = 1 << 16, ALIGN = 16 };

struct fct_pickle_block {
    fct_pickle_block *next;
    size_t used, bytes;
    _Alignas(ALIGN) uint8_t data[];
};

fct_status fct_pickle_take(fct_pickle *p, size_t bytes, void **out)
{
    if (bytes > p->left)
        return FCT_PICKLE_FAIL(p, "it makes much more than its %zu bytes: refused",
                               (size_t)(p->end - p->begin));
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    p->left -= bytes < p->left ? bytes : p->left;
    fct_pickle_block *b = p->block;
    if (!b || b->bytes - b->used < bytes) {
        size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        b = calloc(1, sizeof *b + size);
        if (!b)
            return FCT_FAIL_NOMEM(sizeof *b + size, p->file);
        b->bytes = size;
        b->next = p->block;
        p->block = b;
    }
    *out = b->data + b->used;
    b->used += bytes;
    return FCT_OK;
}

void fct_pickle_release(fct_pickle *p)
{
    for (fct_pickle_block *b = p->block; b;) {
        fct_pickle_block *next = b->next;
        free(b);
        b = next;
    }
    free(p->stack);
    free(p->mark);
    free(p->memo);
    *p = (fct_pickle){ 0 };
}

fct_status fct_pickle_grow(fct_pickle *p, void **array, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return FCT_OK;
    size_t more = n < 16 ? 16 : n + n / 2;
    if ((more - *capacity) * size > p->left)
        return FCT_PICKLE_FAIL(p, "it holds more than its %zu bytes can: refused",
                               (size_t)(p->end - p->begin));
    void *grown = realloc(*array, more * size);
    if (!grown)
        return FCT_FAIL_NOMEM(more * size, p->file);
    memset((uint8_t *)grown + *capacity * size, 0, (more - *capacity) * size);
    p->left -= (more - *capacity) * size;
    *array = grown;
    *capacity = more;
    return FCT_OK;
}

fct_status fct_pickle_push(fct_pickle *p, fct_pickle_value v)
{
    void *stack = p->stack;
    FCT_TRY(fct_pickle_grow(p, &stack, p->n, &p->capacity, sizeof v));
    p->stack = stack;
    p->stack[p->n++] = v;
    return FCT_OK;
}

fct_status fct_pickle_pop(fct_pickle *p, fct_pickle_value *out)
{
    size_t floor = p->marks > 0 ? p->mark[p->marks - 1] : 0;
    if (p->n <= floor)
        return FCT_PICKLE_FAIL(p, "%s finds nothing on the stack", fct_pickle_opcode_name(*p->op));
    *out = p->stack[--p->n];
    return FCT_OK;
}

fct_status fct_pickle_sequence_make(fct_pickle *p, const fct_pickle_value *item, size_t n,
                                    fct_pickle_value *out)
{
    void *memory;
    FCT_TRY(fct_pickle_take(p, sizeof(fct_pickle_sequence), &memory));
    fct_pickle_sequence *s = memory;
    if (n > 0) {
        FCT_TRY(fct_pickle_take(p, n * sizeof *item, &memory));
        s->item = memory;
        memcpy(s->item, item, n * sizeof *item);
    }
    s->n = s->capacity = n;
    *out = (fct_pickle_value){ .kind = FCT_PICKLE_SEQUENCE, .sequence = s };
    return FCT_OK;
}

// The place of before is left behind: with doubling that is at most as much again.
fct_status fct_pickle_sequence_add(fct_pickle *p, fct_pickle_sequence *s, fct_pickle_value v)
{
    if (s->n == s->capacity) {
        size_t more = s->capacity < 8 ? 8 : 2 * s->capacity;
        void *memory;
        FCT_TRY(fct_pickle_take(p, more * sizeof v, &memory));
        if (s->n > 0)
            memcpy(memory, s->item, s->n * sizeof v);
        s->item = memory;
        s->capacity = more;
    }
    s->item[s->n++] = v;
    return FCT_OK;
}

int fct_pickle_is_sequence(const fct_pickle_value *v, size_t n)
{
    return v->kind == FCT_PICKLE_SEQUENCE && v->sequence->n == n;
}
