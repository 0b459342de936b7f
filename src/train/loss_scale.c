// SPDX-License-Identifier: Apache-2.0
// The scale that keeps float16 gradients in range: found by trying, as mixed precision training
// does (Micikevicius et al., ICLR 2018). It is a function of the steps so far, equal on all ranks.
#include <math.h>

#include "facet/log.h"
#include "trainer.h"

static const double most_scale = 16777216;
enum { GOOD_STEPS = 2000 };

static fct_status apply(fct_trainer *t)
{
    return t->net->place.ops->set_loss_scale(t->net->backend, t->loss_scale.value);
}

fct_status fct_loss_scale_begin(fct_trainer *t)
{
    int exponent;
    if (!t->net->place.ops || t->net->spec.device.precision != FCT_PRECISION_FP16)
        return FCT_OK;
    if (frexp(t->o->train_loss_scale, &exponent) != 0.5)
        return FCT_FAIL(FCT_E_ARG,
                        "train.loss_scale is %g, not a power of two\nset 65536, 32768, "
                        "...",
                        t->o->train_loss_scale);
    t->loss_scale = (fct_loss_scale){ t->o->train_loss_scale, 0 };
    return apply(t);
}

fct_status fct_loss_scale_restore(fct_trainer *t, double value, double good)
{
    int exponent;
    if (t->loss_scale.value <= 0 || frexp(value, &exponent) != 0.5 || value > most_scale)
        return FCT_OK; // another precision, or not ours
    t->loss_scale = (fct_loss_scale){ value, good };
    return apply(t);
}

static fct_status change(fct_trainer *t, double factor, const char *why)
{
    t->loss_scale.value *= factor;
    t->loss_scale.good = 0;
    if (fct_comm_rank(t->comm) == 0)
        FCT_INFO("step %lld: %s: the loss scale is %.0f now", (long long)t->at.step + 1, why,
                 t->loss_scale.value);
    return apply(t);
}

int fct_loss_scale_is_guilty(const fct_trainer *t, int losses_are_finite)
{
    return t->loss_scale.value > 1 && losses_are_finite;
}

fct_status fct_loss_scale_overflowed(fct_trainer *t)
{
    return change(t, 0.5, "gradients left float16, the step is skipped");
}

fct_status fct_loss_scale_went_well(fct_trainer *t)
{
    if (t->loss_scale.value <= 0 || ++t->loss_scale.good < GOOD_STEPS)
        return FCT_OK;
    t->loss_scale.good = 0;
    return t->loss_scale.value < most_scale ? change(t, 2, "2000 good steps") : FCT_OK;
}
