// SPDX-License-Identifier: Apache-2.0
// Status codes, and the macros that decide on an error and pass it on.
#ifndef FACET_STATUS_H
#define FACET_STATUS_H

#include <stddef.h>

// One line per code: the enum, its name and its text all come from here.
#define FCT_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(E_ARG, "bad argument or option")                                                             \
    X(E_NOMEM, "out of memory")                                                                    \
    X(E_IO, "file or network failure")                                                             \
    X(E_FORMAT, "file is not in the expected format")                                              \
    X(E_BACKEND, "compute library reported an error")                                              \
    X(E_COMM, "communication failure")                                                             \
    X(E_PEER, "another rank reported an error")                                                    \
    X(E_UNSUPPORTED, "not supported by this build or device")                                      \
    X(E_DIVERGED, "training left the range of numbers")                                            \
    X(E_INTERRUPTED, "stopped on request")

typedef enum {
#define X(name, text) FCT_##name,
    FCT_STATUS_MAP(X)
#undef X
        FCT_STATUS_COUNT
} fct_status;

const char *fct_status_name(fct_status status); // "E_IO"
const char *fct_status_text(fct_status status); // "file or network failure"

// Not collective. Records why (and, in debug logs, where), returns `status`. Called only by the
// function that first decides that this is an error; callers above pass it on with FCT_TRY.
// The text is one line: what, where (file:line, dataset row) and why. A part after '\n' is the
// hint.
fct_status fct_fail_at(const char *file, int line, fct_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Not collective. The text of this thread's last failure, "" if none. Valid until its next failure.
const char *fct_fail_text(void);
void fct_fail_clear(void);
// Not collective. Makes `text` this thread's last failure: carries a failure from another thread.
fct_status fct_fail_set(fct_status status, const char *text);

// Passes the status around fct_fail_at, so that the compiler sees that a constant one is not FCT_OK
// and does not take what a failed call left alone for used. `status` must have no side effects.
static inline fct_status fct_fail_pass(fct_status told, fct_status status)
{
    (void)told;
    return status;
}
#define FCT_FAIL(status, ...)                                                                      \
    fct_fail_pass(fct_fail_at(__FILE__, __LINE__, (status), __VA_ARGS__), (status))
#define FCT_FAIL_NOMEM(bytes, what)                                                                \
    FCT_FAIL(FCT_E_NOMEM, "cannot get %zu bytes for %s", (size_t)(bytes), (what))

#define FCT_TRY(call)                                                                              \
    do {                                                                                           \
        fct_status fct_s_ = (call);                                                                \
        if (fct_s_ != FCT_OK)                                                                      \
            return fct_s_;                                                                         \
    } while (0)

#define FCT_TRY_GOTO(call, status, label)                                                          \
    do {                                                                                           \
        (status) = (call);                                                                         \
        if ((status) != FCT_OK)                                                                    \
            goto label;                                                                            \
    } while (0)

// For our own bugs only, never for what a user or the world can cause. Not removed by NDEBUG.
void fct_assert_failed(const char *file, int line, const char *expression)
    __attribute__((noreturn));
#define FCT_ASSERT(e) ((e) ? (void)0 : fct_assert_failed(__FILE__, __LINE__, #e))

#endif
