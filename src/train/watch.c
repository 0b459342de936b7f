// SPDX-License-Identifier: Apache-2.0
// The watchdog as the options want it.
#include "trainer.h"

fct_status fct_watch_start(fct_comm *c, const fct_options *o, fct_watchdog **out)
{
    fct_watchdog_spec spec = { .limit_s = { [FCT_PHASE_INIT] = o->cluster_limit_init,
                                            [FCT_PHASE_STEP] = o->cluster_limit_step,
                                            [FCT_PHASE_CHECKPOINT] = o->cluster_limit_checkpoint,
                                            [FCT_PHASE_EVAL] = o->cluster_limit_eval },
                               .silence_s = o->cluster_limit_silence,
                               .slow_factor = o->cluster_slow_factor };
    return fct_watchdog_start(c, &spec, out);
}
