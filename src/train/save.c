// SPDX-License-Identifier: Apache-2.0
// When to save and what a failed save means: a warning at first, the end of the run when several
// fail in a row; and a last checkpoint that is tried again before the run gives up.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "trainer.h"

enum { FINAL_TRIES = 4 };
static const double final_pause_s = 0.5; // before the second try, then twice as long each time

static int same_position(const fct_position *a, const fct_position *b)
{
    return a->epoch == b->epoch && a->batch == b->batch && a->step == b->step;
}

// Is the state as it stands the best so far? Only just after the evaluation that found it.
static int is_best_now(const fct_trainer *t)
{
    return t->at.batch == 0 && t->at.epoch == t->save.best_epoch;
}

static void remember_why(fct_trainer *t)
{
    const char *text = fct_fail_text(), *hint = strchr(text, '\n');
    snprintf(t->save.why, sizeof t->save.why, "%.*s", hint ? (int)(hint - text) : (int)strlen(text),
             text);
}

void fct_trainer_newest(const fct_trainer *t, char out[FCT_PATH_MAX + 64])
{
    if (t->save.has_good)
        snprintf(out, FCT_PATH_MAX + 64, "the newest good checkpoint is %s/step_%08lld",
                 t->run.checkpoints, (long long)t->save.good.step);
    else
        snprintf(out, FCT_PATH_MAX + 64, "there is no good checkpoint yet");
}

void fct_trainer_advice(const fct_trainer *t, char out[FCT_PATH_MAX + 128])
{
    char newest[FCT_PATH_MAX + 64];
    fct_trainer_newest(t, newest);
    snprintf(out, FCT_PATH_MAX + 128, "%s: %s", newest,
             t->save.has_good ? "go on from it with --resume" : "start anew");
}

static void warn(const fct_trainer *t)
{
    char newest[FCT_PATH_MAX + 64];
    fct_trainer_newest(t, newest);
    if (fct_comm_rank(t->comm) == 0)
        FCT_WARN(
            "the checkpoint of step %lld could not be saved%s: %s; %s; training goes on "
            "(failed saves in a row: %lld, checkpoint.failures: %lld)",
            (long long)t->save.at.step,
            t->save.is_best ? " (it was the best so far: `best` stays with the one before)" : "",
            t->save.why, newest, (long long)t->save.failures, (long long)t->o->checkpoint_failures);
}

// The outcome of the save that t->save describes. Only a broken communicator is an error here.
static fct_status account(fct_trainer *t, fct_status status)
{
    t->save.is_under_way = 0;
    if (status == FCT_OK) {
        t->save.failures = 0;
        t->save.good = t->save.at;
        t->save.has_good = 1;
        return FCT_OK;
    }
    if (fct_comm_is_cancelled(t->comm))
        return status;
    t->save.failures++;
    if (t->save.is_best) // `best` on disk is still the one before
        t->best = t->save.best_before;
    remember_why(t);
    warn(t);
    return FCT_OK;
}

static fct_status wait_for_save(fct_trainer *t) // every save begins with this
{
    fct_watchdog_phase(t->comm, FCT_PHASE_CHECKPOINT, t->at.step);
    return t->save.is_under_way ? account(t, fct_saver_wait(t->saver)) : FCT_OK;
}

static fct_status check_failures(const fct_trainer *t)
{
    char advice[FCT_PATH_MAX + 128];
    if (t->save.failures < t->o->checkpoint_failures)
        return FCT_OK;
    fct_trainer_advice(t, advice);
    return FCT_FAIL(FCT_E_IO,
                    "%lld checkpoints in a row could not be saved, the last, of step %lld: %s\n"
                    "make sure there is a place to save to; %s",
                    (long long)t->save.failures, (long long)t->save.at.step, t->save.why, advice);
}

static fct_status start(fct_trainer *t)
{
    fct_blobs state = { 0 };
    FCT_TRY(fct_trainer_compare(t)); // what differs between ranks is never committed
    t->save.at = t->at;
    t->save.is_best = is_best_now(t);
    t->save.best_before = t->best;
    if (t->save.is_best)
        t->best = t->save.judged;
    fct_status status = fct_state_collect(t, &state);
    status = fct_comm_agree(t->comm, status, "collecting the checkpoint");
    if (status == FCT_OK)
        status = fct_saver_start(t->saver, t->at.step, t->save.is_best, &state);
    fct_blobs_release(&state);
    t->save.is_under_way = status == FCT_OK;
    return status == FCT_OK ? FCT_OK : account(t, status);
}

fct_status fct_trainer_settle(fct_trainer *t)
{
    FCT_TRY(wait_for_save(t));
    return check_failures(t);
}

fct_status fct_trainer_save(fct_trainer *t)
{
    FCT_TRY(fct_trainer_settle(t));
    FCT_TRY(start(t));
    return check_failures(t);
}

fct_status fct_trainer_finish(fct_trainer *t)
{
    char advice[FCT_PATH_MAX + 128];
    FCT_TRY(wait_for_save(t));
    double pause_s = final_pause_s;
    for (int i = 0; i < FINAL_TRIES; i++) {
        if (t->save.has_good && same_position(&t->save.good, &t->at))
            return FCT_OK;
        if (i > 0) {
            fct_clock_sleep_s(pause_s);
            pause_s *= 2;
        }
        FCT_TRY(start(t));
        FCT_TRY(wait_for_save(t));
    }
    if (t->save.has_good && same_position(&t->save.good, &t->at))
        return FCT_OK;
    fct_trainer_advice(t, advice);
    return FCT_FAIL(FCT_E_IO,
                    "the last checkpoint, of step %lld, could not be saved in %d tries: %s\n"
                    "%lld steps are lost; make sure there is a place to save to; %s",
                    (long long)t->at.step, FINAL_TRIES, t->save.why,
                    (long long)(t->at.step - (t->save.has_good ? t->save.good.step : 0)), advice);
}
