// SPDX-License-Identifier: Apache-2.0
// The stack machine: one row an opcode, with what runs it. Opcodes without a function are refused
// by name.
#include <string.h>

#include "pickle.h"

enum {
    LEAST_BUDGET = 16 << 20,
    TOP_PROTOCOL = 5,
    LONGEST_LINE = 256,
    IS_TEXT = 0x100, // in the argument of op_data
    TO_MARK = -1
};

typedef fct_status (*run_op)(fct_pickle *p, int arg);

static fct_status read_bytes(fct_pickle *p, size_t n, const uint8_t **out)
{
    if (n > (size_t)(p->end - p->at))
        return FCT_PICKLE_FAIL(p, "%s of %zu bytes goes beyond the end of the file: cut off?",
                               fct_pickle_opcode_name(*p->op), n);
    *out = p->at;
    p->at += n;
    return FCT_OK;
}

static fct_status read_number(fct_pickle *p, int width, uint64_t *out)
{
    const uint8_t *b;
    *out = 0;
    FCT_TRY(read_bytes(p, (size_t)width, &b));
    for (int i = width; i-- > 0;)
        *out = *out << 8 | b[i];
    return FCT_OK;
}

static fct_status read_line(fct_pickle *p, fct_pickle_value *out)
{
    size_t rest = (size_t)(p->end - p->at), most = rest < LONGEST_LINE ? rest : LONGEST_LINE;
    const uint8_t *end = memchr(p->at, '\n', most);
    if (!end)
        return FCT_PICKLE_FAIL(p, "%s without a line behind it", fct_pickle_opcode_name(*p->op));
    *out =
        (fct_pickle_value){ .kind = FCT_PICKLE_TEXT, .bytes = p->at, .n = (size_t)(end - p->at) };
    p->at = end + 1;
    return FCT_OK;
}

static fct_status op_proto(fct_pickle *p, int arg)
{
    (void)arg;
    uint64_t version;
    FCT_TRY(read_number(p, 1, &version));
    return version <= TOP_PROTOCOL ? FCT_OK
                                   : FCT_PICKLE_FAIL(p, "pickle protocol %d, known are 0 to %d",
                                                     (int)version, TOP_PROTOCOL);
}

// A frame is only for those who read ahead; that it lies within the file is all it has to do.
static fct_status op_frame(fct_pickle *p, int arg)
{
    (void)arg;
    uint64_t n;
    FCT_TRY(read_number(p, 8, &n));
    return n <= (uint64_t)(p->end - p->at)
               ? FCT_OK
               : FCT_PICKLE_FAIL(p, "a frame of %llu bytes, the file has %zu more: cut off?",
                                 (unsigned long long)n, (size_t)(p->end - p->at));
}

static fct_status op_mark(fct_pickle *p, int arg)
{
    (void)arg;
    void *mark = p->mark;
    FCT_TRY(fct_pickle_grow(p, &mark, p->marks, &p->mark_capacity, sizeof *p->mark));
    p->mark = mark;
    p->mark[p->marks++] = p->n;
    return FCT_OK;
}

// Takes the last mark away; the values above it are p->stack[*low .. p->n).
static fct_status end_mark(fct_pickle *p, size_t *low)
{
    if (p->marks == 0)
        return FCT_PICKLE_FAIL(p, "%s without a MARK", fct_pickle_opcode_name(*p->op));
    *low = p->mark[--p->marks];
    return FCT_OK;
}

static fct_status op_pop(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value v;
    if (p->marks > 0 && p->mark[p->marks - 1] == p->n) {
        p->marks--;
        return FCT_OK;
    }
    return fct_pickle_pop(p, &v);
}

static fct_status op_pop_mark(fct_pickle *p, int arg)
{
    (void)arg;
    return end_mark(p, &p->n);
}

static fct_status op_none(fct_pickle *p, int arg)
{
    (void)arg;
    return fct_pickle_push(p, (fct_pickle_value){ .kind = FCT_PICKLE_NONE });
}

static fct_status push_number(fct_pickle *p, int64_t number)
{
    return fct_pickle_push(p, (fct_pickle_value){ .kind = FCT_PICKLE_NUMBER, .number = number });
}

static fct_status op_bool(fct_pickle *p, int arg)
{
    return push_number(p, arg);
}

// "01" and "00" are True and False in protocols 0 and 1; others are sizes, of which nothing
// depends.
static fct_status op_int_line(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value line;
    int64_t number = 0;
    FCT_TRY(read_line(p, &line));
    if (line.n == 0 || line.n > 18)
        return FCT_PICKLE_FAIL(p, "%s", "INT that is no number");
    for (size_t i = 0; i < line.n; i++) {
        if (line.bytes[i] < '0' || line.bytes[i] > '9')
            return FCT_PICKLE_FAIL(p, "%s", "INT that is no number");
        number = number * 10 + (line.bytes[i] - '0');
    }
    return push_number(p, number);
}

static fct_status op_int(fct_pickle *p, int width)
{
    uint64_t number;
    FCT_TRY(read_number(p, width, &number));
    return push_number(p, width == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static fct_status op_long(fct_pickle *p, int arg)
{
    (void)arg;
    uint64_t width, number;
    FCT_TRY(read_number(p, 1, &width));
    if (width > 8)
        return FCT_PICKLE_FAIL(p, "LONG1 of %d bytes has no place here", (int)width);
    FCT_TRY(read_number(p, (int)width, &number));
    return push_number(p, (int64_t)number);
}

static fct_status op_data(fct_pickle *p, int arg)
{
    uint64_t n;
    fct_pickle_value v = { .kind = arg & IS_TEXT ? FCT_PICKLE_TEXT : FCT_PICKLE_BYTES };
    FCT_TRY(read_number(p, arg & 0xff, &n));
    FCT_TRY(read_bytes(p, (size_t)n, &v.bytes));
    v.n = (size_t)n;
    return fct_pickle_push(p, v);
}

// The n topmost values, or those above the mark, become one.
static fct_status op_sequence(fct_pickle *p, int n)
{
    size_t low, floor = p->marks > 0 ? p->mark[p->marks - 1] : 0;
    fct_pickle_value v;
    if (n == TO_MARK)
        FCT_TRY(end_mark(p, &low));
    else if (p->n - floor < (size_t)n)
        return FCT_PICKLE_FAIL(p, "%s finds only %zu on the stack", fct_pickle_opcode_name(*p->op),
                               p->n - floor);
    else
        low = p->n - (size_t)n;
    FCT_TRY(fct_pickle_sequence_make(p, p->stack ? p->stack + low : NULL, p->n - low, &v));
    p->n = low;
    return fct_pickle_push(p, v);
}

static fct_status op_append(fct_pickle *p, int n)
{
    size_t low = p->n;
    if (n == TO_MARK)
        FCT_TRY(end_mark(p, &low));
    else
        low = p->n > 0 ? p->n - 1 : 0;
    size_t floor = p->marks > 0 ? p->mark[p->marks - 1] : 0;
    if (low <= floor || p->stack[low - 1].kind != FCT_PICKLE_SEQUENCE)
        return FCT_PICKLE_FAIL(p, "%s to what is no list", fct_pickle_opcode_name(*p->op));
    for (size_t i = low; i < p->n; i++)
        FCT_TRY(fct_pickle_sequence_add(p, p->stack[low - 1].sequence, p->stack[i]));
    p->n = low;
    return FCT_OK;
}

static fct_status op_global(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value module, name, v;
    FCT_TRY(read_line(p, &module));
    FCT_TRY(read_line(p, &name));
    FCT_TRY(fct_pickle_find_name(p, &module, &name, &v));
    return fct_pickle_push(p, v);
}

static fct_status op_stack_global(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value module, name, v;
    FCT_TRY(fct_pickle_pop(p, &name));
    FCT_TRY(fct_pickle_pop(p, &module));
    if (module.kind != FCT_PICKLE_TEXT || name.kind != FCT_PICKLE_TEXT)
        return FCT_PICKLE_FAIL(p, "%s", "STACK_GLOBAL of what is no text");
    FCT_TRY(fct_pickle_find_name(p, &module, &name, &v));
    return fct_pickle_push(p, v);
}

// A call in protocol 0: names that we know are not called this way either.
static fct_status op_inst(fct_pickle *p, int arg)
{
    FCT_TRY(op_global(p, arg));
    return FCT_PICKLE_FAIL(p, "%s", "opcode INST: refused");
}

static fct_status op_reduce(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value args, name, v;
    FCT_TRY(fct_pickle_pop(p, &args));
    FCT_TRY(fct_pickle_pop(p, &name));
    FCT_TRY(fct_pickle_make(p, &name, &args, &v));
    return fct_pickle_push(p, v);
}

static fct_status op_build(fct_pickle *p, int arg)
{
    (void)arg;
    fct_pickle_value state, object;
    FCT_TRY(fct_pickle_pop(p, &state));
    FCT_TRY(fct_pickle_pop(p, &object));
    FCT_TRY(fct_pickle_build(p, &object, &state));
    return fct_pickle_push(p, object);
}

// Width 0: the next free place. Pickles number their memo from 0 on, so a place far away is a
// trick.
static fct_status op_put(fct_pickle *p, int width)
{
    uint64_t i = p->memos;
    fct_pickle_value v;
    if (width > 0)
        FCT_TRY(read_number(p, width, &i));
    if (i > (uint64_t)(p->op - p->begin))
        return FCT_PICKLE_FAIL(p, "memo place %llu, further than the file is long so far",
                               (unsigned long long)i);
    FCT_TRY(fct_pickle_pop(p, &v));
    FCT_TRY(fct_pickle_push(p, v));
    void *memo = p->memo;
    FCT_TRY(fct_pickle_grow(p, &memo, (size_t)i, &p->memo_capacity, sizeof v));
    p->memo = memo;
    p->memo[i] = v;
    p->memos = i >= p->memos ? (size_t)i + 1 : p->memos;
    return FCT_OK;
}

static fct_status op_get(fct_pickle *p, int width)
{
    uint64_t i;
    FCT_TRY(read_number(p, width, &i));
    if (i >= p->memos || p->memo[i].kind == FCT_PICKLE_NOTHING)
        return FCT_PICKLE_FAIL(p, "memo place %llu was never filled", (unsigned long long)i);
    return fct_pickle_push(p, p->memo[i]);
}

static const struct {
    const char *name;
    run_op run;
    int arg;
} table[256] = {
    [0x80] = { "PROTO", op_proto, 0 },
    [0x95] = { "FRAME", op_frame, 0 },
    ['.'] = { "STOP", NULL, 0 },
    ['('] = { "MARK", op_mark, 0 },
    ['0'] = { "POP", op_pop, 0 },
    ['1'] = { "POP_MARK", op_pop_mark, 0 },
    ['N'] = { "NONE", op_none, 0 },
    [0x88] = { "NEWTRUE", op_bool, 1 },
    [0x89] = { "NEWFALSE", op_bool, 0 },
    ['I'] = { "INT", op_int_line, 0 },
    ['J'] = { "BININT", op_int, 4 },
    ['K'] = { "BININT1", op_int, 1 },
    ['M'] = { "BININT2", op_int, 2 },
    [0x8a] = { "LONG1", op_long, 0 },
    ['T'] = { "BINSTRING", op_data, 4 },
    ['U'] = { "SHORT_BINSTRING", op_data, 1 },
    ['B'] = { "BINBYTES", op_data, 4 },
    ['C'] = { "SHORT_BINBYTES", op_data, 1 },
    [0x8e] = { "BINBYTES8", op_data, 8 },
    [0x96] = { "BYTEARRAY8", op_data, 8 },
    ['X'] = { "BINUNICODE", op_data, 4 | IS_TEXT },
    [0x8c] = { "SHORT_BINUNICODE", op_data, 1 | IS_TEXT },
    [0x8d] = { "BINUNICODE8", op_data, 8 | IS_TEXT },
    [']'] = { "EMPTY_LIST", op_sequence, 0 },
    [')'] = { "EMPTY_TUPLE", op_sequence, 0 },
    ['l'] = { "LIST", op_sequence, TO_MARK },
    ['t'] = { "TUPLE", op_sequence, TO_MARK },
    [0x85] = { "TUPLE1", op_sequence, 1 },
    [0x86] = { "TUPLE2", op_sequence, 2 },
    [0x87] = { "TUPLE3", op_sequence, 3 },
    ['a'] = { "APPEND", op_append, 1 },
    ['e'] = { "APPENDS", op_append, TO_MARK },
    ['c'] = { "GLOBAL", op_global, 0 },
    [0x93] = { "STACK_GLOBAL", op_stack_global, 0 },
    ['i'] = { "INST", op_inst, 0 },
    ['R'] = { "REDUCE", op_reduce, 0 },
    ['b'] = { "BUILD", op_build, 0 },
    ['q'] = { "BINPUT", op_put, 1 },
    ['r'] = { "LONG_BINPUT", op_put, 4 },
    [0x94] = { "MEMOIZE", op_put, 0 },
    ['h'] = { "BINGET", op_get, 1 },
    ['j'] = { "LONG_BINGET", op_get, 4 },
    // known, and of no use here
    ['F'] = { .name = "FLOAT" },
    ['G'] = { .name = "BINFLOAT" },
    ['L'] = { .name = "LONG" },
    [0x8b] = { .name = "LONG4" },
    ['S'] = { .name = "STRING" },
    ['V'] = { .name = "UNICODE" },
    ['2'] = { .name = "DUP" },
    ['}'] = { .name = "EMPTY_DICT" },
    ['d'] = { .name = "DICT" },
    ['s'] = { .name = "SETITEM" },
    ['u'] = { .name = "SETITEMS" },
    [0x8f] = { .name = "EMPTY_SET" },
    [0x90] = { .name = "ADDITEMS" },
    [0x91] = { .name = "FROZENSET" },
    ['p'] = { .name = "PUT" },
    ['g'] = { .name = "GET" },
    ['P'] = { .name = "PERSID" },
    ['Q'] = { .name = "BINPERSID" },
    ['o'] = { .name = "OBJ" },
    [0x81] = { .name = "NEWOBJ" },
    [0x92] = { .name = "NEWOBJ_EX" },
    [0x82] = { .name = "EXT1" },
    [0x83] = { .name = "EXT2" },
    [0x84] = { .name = "EXT4" },
    [0x97] = { .name = "NEXT_BUFFER" },
    [0x98] = { .name = "READONLY_BUFFER" },
};

const char *fct_pickle_opcode_name(int opcode)
{
    return table[opcode & 0xff].name;
}

static fct_status refuse(const fct_pickle *p)
{
    static const char hint[] = "a verification set is the pickle, protocol 2 or newer, of (encoded "
                               "pictures, flags)";
    const char *name = fct_pickle_opcode_name(*p->op);
    if (!name)
        return FCT_PICKLE_FAIL(p, "0x%02x is no opcode of a pickle\n%s", *p->op, hint);
    return FCT_PICKLE_FAIL(p, "opcode %s: refused\n%s", name, hint);
}

fct_status fct_pickle_run(fct_pickle *p, const void *bytes, size_t n, const char *file,
                          fct_pickle_value *out)
{
    *p = (fct_pickle){ .file = file, .begin = bytes, .left = LEAST_BUDGET + 2 * n };
    p->at = p->op = p->begin;
    p->end = p->begin + n;
    while (p->at < p->end) {
        p->op = p->at++;
        if (*p->op == '.')
            return fct_pickle_pop(p, out);
        if (!table[*p->op].run)
            return refuse(p);
        FCT_TRY(table[*p->op].run(p, table[*p->op].arg));
    }
    return FCT_FAIL(FCT_E_FORMAT, "%s: %zu bytes, and no end of the pickle: cut off?", file, n);
}
