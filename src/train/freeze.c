// SPDX-License-Identifier: Apache-2.0
// A part of the network that is frozen for the first epochs: which part, until which step, and the
// change at the border. What trains is a function of the step, so that resuming needs to know no
// more than where it stands and, for the optimiser, how many steps the thawed part has missed.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "facet/log.h"
#include "trainer.h"

const char *fct_freeze_part(const fct_options *o)
{
    if (o->init_freeze_epochs <= 0)
        return NULL;
    return strcmp(o->model_freeze, "none") ? o->model_freeze : "backbone";
}

void fct_freeze_plan(fct_trainer *t)
{
    t->thawed_at = -1;
    t->thaw_step = llround(t->o->init_freeze_epochs * (double)t->steps);
}

fct_status fct_freeze_follow(fct_trainer *t)
{
    const int phase = t->thaw_step > 0 && t->at.step >= t->thaw_step;
    if (t->thaw_step == 0 || phase == t->net->phase)
        return FCT_OK;
    if (t->thawed_at < 0) {
        t->thawed_at = fct_optim_steps(t->optim);
        if (fct_comm_rank(t->comm) == 0)
            FCT_INFO(
                "init.freeze_epochs: %s was frozen for %lld steps; from step %lld on everything "
                "trains",
                fct_freeze_part(t->o), (long long)t->thaw_step, (long long)t->at.step + 1);
    }
    FCT_TRY(fct_net_set_phase(t->net, phase));
    return fct_optim_regroup(t->optim, t->thawed_at);
}

void fct_freeze_words(const fct_trainer *t, char out[160])
{
    out[0] = 0;
    if (t->thaw_step > 0)
        snprintf(out, 160, "%s for the first %g epochs (%lld steps), then everything trains",
                 fct_freeze_part(t->o), t->o->init_freeze_epochs, (long long)t->thaw_step);
}
