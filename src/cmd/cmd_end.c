// SPDX-License-Identifier: Apache-2.0
// How a command that ran on many ranks ends: with one message, and never waiting for a rank that
// will not come.
#include <signal.h>

#include "cmd.h"
#include "facet/clock.h"
#include "facet/log.h"

// How long rank 0 may take to speak and end the job before another rank does. The lowest rank comes
// first, by a step each, so that it is still one message.
static const double silence_s = 4, step_s = 0.2;
enum { STEPS = 10 };

static void tell_if_rank_0_does_not(const fct_comm *c)
{
    int rank = fct_comm_rank(c);
    signal(SIGTERM, SIG_DFL); // with which the launcher ends us when rank 0 has spoken
    fct_clock_sleep_s(silence_s + step_s * (rank < STEPS ? rank : STEPS));
    fct_log_failure(fct_fail_text());
}

int fct_cmd_end(fct_comm *c, fct_status status)
{
    if (!c)
        return fct_cmd_exit(status);
    int is_over = status == FCT_E_COMM || status == FCT_E_PEER || fct_comm_is_cancelled(c);
    if (!is_over || fct_comm_size(c) == 1) {
        int code = fct_cmd_exit(status);
        fct_comm_destroy(c);
        return code;
    }
    if (fct_comm_rank(c) == 0)
        fct_comm_abort(c, fct_cmd_exit(status));
    tell_if_rank_0_does_not(c);
    fct_comm_abort(c, FCT_EXIT_FAILED);
}
