// SPDX-License-Identifier: Apache-2.0
// Log lines to stderr and, once a run directory exists, to its train.log.
#ifndef FACET_LOG_H
#define FACET_LOG_H

#include "status.h"

typedef enum { FCT_LOG_DEBUG, FCT_LOG_INFO, FCT_LOG_WARN, FCT_LOG_ERROR } fct_log_level;

// Not collective. Who writes: only rank 0 prints DEBUG and INFO; WARN of other ranks is prefixed.
void fct_log_set_rank(int rank, int size);
void fct_log_set_level(fct_log_level level);
// Not collective. Appends everything from now on to `path` too; NULL stops. Never blocks training:
// a failed write is ignored.
fct_status fct_log_set_file(const char *path);
// Not collective. Where rank 0 logs to: the closing message of a job may come from this rank, when
// rank 0 cannot speak, and belongs there too. The first path counts until NULL forgets it; not
// while another thread may log.
void fct_log_set_rank_0_file(const char *path);

// Not collective, any thread. One line; no '\n' at its end.
void fct_log(fct_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define FCT_INFO(...) fct_log(FCT_LOG_INFO, __VA_ARGS__)
#define FCT_WARN(...) fct_log(FCT_LOG_WARN, __VA_ARGS__)

// Not collective, any thread. Whether a message would get out now or within so long: 0 when the
// terminal is stopped (Ctrl-S) or nobody reads the pipe.
int fct_log_can_show(int patience_ms);

// True once for each `topic` (a string literal's FACET_DEBUG category): FACET_DEBUG=loader,comm
int fct_log_debugging(const char *topic);
#define FCT_DEBUG(topic, ...)                                                                      \
    (fct_log_debugging(topic) ? fct_log(FCT_LOG_DEBUG, __VA_ARGS__) : (void)0)

// Prints the one closing message of a failed command: "facet: error: TEXT", then "  hint: HINT".
void fct_log_failure(const char *text);

#endif
