// SPDX-License-Identifier: Apache-2.0
// A machine that reads the pickles of verification sets and calls nothing: it knows what bytes,
// tuples, lists and numpy's arrays look like, builds those itself, and refuses every other name.
#ifndef FACET_PICKLE_H
#define FACET_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "facet/status.h"

typedef enum {
    FCT_PICKLE_NOTHING, // no value: an empty place of the memo
    FCT_PICKLE_NONE,
    FCT_PICKLE_NUMBER, // also True and False
    FCT_PICKLE_BYTES,  // bytes, bytearray, Python 2's str
    FCT_PICKLE_TEXT,   // UTF-8 as stored
    FCT_PICKLE_SEQUENCE,
    FCT_PICKLE_ARRAY, // numpy.ndarray
    FCT_PICKLE_TYPE,  // numpy.dtype
    FCT_PICKLE_NAME   // something that a pickle may "call"
} fct_pickle_kind;

typedef enum {
    FCT_NAME_RECONSTRUCT,
    FCT_NAME_FROMBUFFER,
    FCT_NAME_SCALAR,
    FCT_NAME_NDARRAY,
    FCT_NAME_DTYPE,
    FCT_NAME_ENCODE,
    FCT_NAME_BYTES
} fct_pickle_name;

typedef struct fct_pickle_sequence fct_pickle_sequence;
typedef struct fct_pickle_array fct_pickle_array;

typedef struct {
    fct_pickle_kind kind;
    union {
        int64_t number;
        const uint8_t *bytes; // BYTES, TEXT: in the file, or in the machine's memory
        fct_pickle_sequence *sequence;
        fct_pickle_array *array;
        struct {
            char letter; // 'u', 'i', 'b'
            int bytes;   // of an item
        } type;
        fct_pickle_name name;
    };
    size_t n; // of BYTES and TEXT
} fct_pickle_value;

struct fct_pickle_sequence { // a list or a tuple; values may stand in several sequences
    fct_pickle_value *item;
    size_t n, capacity;
};

struct fct_pickle_array {
    int is_built;
    fct_pickle_value data; // BYTES
    char letter;           // of its type
    int item_bytes;
};

typedef struct fct_pickle_block fct_pickle_block;

typedef struct {
    const char *file;
    const uint8_t *begin, *at, *end; // the file
    const uint8_t *op;               // the opcode under way
    fct_pickle_value *stack, *memo;
    size_t *mark; // heights of the stack
    size_t n, capacity, marks, mark_capacity, memos, memo_capacity;
    fct_pickle_block *block; // all values' memory, freed at the end
    size_t left;             // bytes that may still be taken
} fct_pickle;

// Not collective. Runs the pickle in `bytes` to its STOP; *out is what it left, valid until release
// and as long as `bytes`. Neither recursion nor time beyond the file's size. Release also after a
// failure.
fct_status fct_pickle_run(fct_pickle *p, const void *bytes, size_t n, const char *file,
                          fct_pickle_value *out);
void fct_pickle_release(fct_pickle *p);

// ---- the parts
// E_FORMAT at the opcode under way.
#define FCT_PICKLE_FAIL(p, format, ...)                                                            \
    FCT_FAIL(FCT_E_FORMAT, "%s: byte %zu: " format, (p)->file, (size_t)((p)->op - (p)->begin),     \
             __VA_ARGS__)
// Zeroed memory that lives until release.
fct_status fct_pickle_take(fct_pickle *p, size_t bytes, void **out);
// Room for one more in an array of `size` bytes an item.
fct_status fct_pickle_grow(fct_pickle *p, void **array, size_t n, size_t *capacity, size_t size);
fct_status fct_pickle_push(fct_pickle *p, fct_pickle_value v);
// The top, which must lie above the last mark.
fct_status fct_pickle_pop(fct_pickle *p, fct_pickle_value *out);
fct_status fct_pickle_sequence_make(fct_pickle *p, const fct_pickle_value *item, size_t n,
                                    fct_pickle_value *out);
fct_status fct_pickle_sequence_add(fct_pickle *p, fct_pickle_sequence *s, fct_pickle_value v);
// 1 when v is a sequence of n items.
int fct_pickle_is_sequence(const fct_pickle_value *v, size_t n);

// Module and name as the file gives them; one that is not known is refused.
fct_status fct_pickle_find_name(fct_pickle *p, const fct_pickle_value *module,
                                const fct_pickle_value *name, fct_pickle_value *out);
// What calling `name` with the tuple `args` would make.
fct_status fct_pickle_make(fct_pickle *p, const fct_pickle_value *name,
                           const fct_pickle_value *args, fct_pickle_value *out);
// Gives an array its state; a type's is ignored.
fct_status fct_pickle_build(fct_pickle *p, fct_pickle_value *object, const fct_pickle_value *state);

// "BINGET" for 'h'; NULL: no opcode.
const char *fct_pickle_opcode_name(int opcode);

#endif
