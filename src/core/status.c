// SPDX-License-Identifier: Apache-2.0
// The texts of the status codes, and the failure that each thread remembers.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "facet/status.h"

static _Thread_local char last_failure[4096];

const char *fct_status_name(fct_status status)
{
    static const char *const names[] = {
#define X(name, text) #name,
        FCT_STATUS_MAP(X)
#undef X
    };
    return (unsigned)status < FCT_STATUS_COUNT ? names[status] : "unknown";
}

const char *fct_status_text(fct_status status)
{
    static const char *const texts[] = {
#define X(name, text) text,
        FCT_STATUS_MAP(X)
#undef X
    };
    return (unsigned)status < FCT_STATUS_COUNT ? texts[status] : "unknown status";
}

fct_status fct_fail_at(const char *file, int line, fct_status status, const char *format, ...)
{
    va_list args;
    char text[sizeof last_failure]; // the last failure may be among the arguments
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(last_failure, text, strlen(text) + 1);
    FCT_DEBUG("fail", "%s:%d: %s: %s", file, line, fct_status_name(status), last_failure);
    return status;
}

const char *fct_fail_text(void)
{
    return last_failure;
}

void fct_fail_clear(void)
{
    last_failure[0] = 0;
}

fct_status fct_fail_set(fct_status status, const char *text)
{
    if (text != last_failure)
        snprintf(last_failure, sizeof last_failure, "%s", text);
    return status;
}

_Noreturn void fct_assert_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "facet: bug: %s:%d: %s does not hold\n", file, line, expression);
    abort();
}
