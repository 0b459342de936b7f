// SPDX-License-Identifier: Apache-2.0
// The training loop: epochs of steps, an evaluation after each, a checkpoint after that.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/lifecycle.h"
#include "facet/log.h"
#include "facet/self_test.h"
#include "trainer.h"

typedef enum { EPOCH_DONE, EPOCH_STOPPED } epoch_end;

static int is_boss(const fct_trainer *t)
{
    return fct_comm_rank(t->comm) == 0;
}

// A local action of rank 0 whose failure all ranks must share.
static fct_status boss_did(fct_trainer *t, fct_status status, const char *what)
{
    return fct_comm_agree(t->comm, status, what);
}

static void show_step(fct_trainer *t, fct_progress *bar, const fct_step_report *r)
{
    char note[96];
    const double *s = t->sums.v;
    int n = snprintf(note, sizeof note, "loss %.3f", r->total);
    if (t->tasks.classes && s[FCT_SUM_EXPRESSION_COUNT] > 0)
        snprintf(note + n, sizeof note - (size_t)n, "  acc %.3f",
                 s[FCT_SUM_EXPRESSION_RIGHT] / s[FCT_SUM_EXPRESSION_COUNT]);
    else if (s[FCT_SUM_IDENTITY_COUNT] > 0)
        snprintf(note + n, sizeof note - (size_t)n, "  id acc %.3f",
                 s[FCT_SUM_IDENTITY_RIGHT] / s[FCT_SUM_IDENTITY_COUNT]);
    fct_progress_update(bar, (int64_t)s[FCT_SUM_PICTURES], note);
}

static int must_save(const fct_trainer *t)
{
    return t->o->checkpoint_every_steps > 0 && t->at.step % t->o->checkpoint_every_steps == 0 &&
           t->at.batch < t->batches;
}

static int must_stop(const fct_trainer *t, const fct_step_report *r)
{
    return r->stop || (t->spec->stop_after > 0 && t->steps_here >= t->spec->stop_after);
}

// After each step, so that a checkpoint within the epoch holds the seconds that belong to its sums.
static void add_times(fct_trainer *t, double *since, double *waited)
{
    double now = fct_clock_s(), waited_now = fct_loader_waited_s(t->loader);
    t->seconds += now - *since;
    t->waited_s += waited_now - *waited;
    *since = now;
    *waited = waited_now;
}

static fct_status train_epoch(fct_trainer *t, epoch_end *how)
{
    fct_progress bar;
    char title[64];
    int verified;
    *how = EPOCH_DONE;
    snprintf(title, sizeof title, "epoch %lld/%lld", (long long)t->at.epoch + 1,
             (long long)t->epochs);
    fct_progress_start(&bar, title, "pictures", t->epoch_pictures, !is_boss(t));
    double waited = fct_loader_waited_s(t->loader), since = fct_clock_s();
    while (t->at.batch < t->batches) {
        fct_step_report r;
        double start = fct_clock_s();
        FCT_TRY(fct_trainer_step(t, &r));
        fct_life_step_took(t, fct_clock_s() - start);
        if (is_boss(t) && t->at.step % t->o->log_every_steps == 0)
            fct_steps_add(t, &r, fct_clock_s() - start);
        show_step(t, &bar, &r);
        add_times(t, &since, &waited);
        if (must_save(t))
            FCT_TRY(fct_trainer_save(t));
        if (must_stop(t, &r)) {
            fct_life_stop(t, r.stop);
            *how = EPOCH_STOPPED;
            break;
        }
        FCT_TRY(fct_verifying_step(t, &verified));
        since = verified ? fct_clock_s() : since;
    }
    fct_progress_end(&bar);
    return FCT_OK;
}

// What checkpoint.best names, or with auto the first that is trained and has a value.
static int decides(const fct_trainer *t, const char *what, int64_t is_trained, double value)
{
    const char *by = t->o->checkpoint_best;
    return !strcmp(by, what) || (!strcmp(by, "auto") && is_trained && isfinite(value));
}

static double judged(const fct_trainer *t, const fct_evaluation *e)
{
    double verified = fct_verifying_accuracy(t);
    if (fct_verifying_failed(t) && decides(t, "verification", t->tasks.identities, 0))
        return (double)NAN; // no other number in its place
    if (decides(t, "verification", t->tasks.identities, verified))
        return verified;
    if (decides(t, "identity", t->tasks.identities, e->identity_accuracy))
        return e->identity_accuracy;
    if (decides(t, "expression", t->tasks.classes, e->accuracy))
        return e->accuracy;
    if (decides(t, "landmarks", t->tasks.landmarks, e->landmark_nme))
        return -e->landmark_nme;
    return -e->total;
}

// A full disk must not end the run here: a table is no checkpoint. metrics.csv lives on in memory
// and in the checkpoints, and is written whole after the next epoch.
static fct_status or_warn(fct_status status)
{
    if (status != FCT_E_IO)
        return status;
    const char *text = fct_fail_text();
    FCT_WARN("%.*s; training goes on", (int)strcspn(text, "\n"), text);
    return FCT_OK;
}

static fct_status write_predictions(fct_trainer *t)
{
    char path[FCT_PATH_MAX], name[64];
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    snprintf(name, sizeof name, "predictions/val_epoch_%03lld.csv", (long long)t->at.epoch + 1);
    FCT_TRY(fct_path_join(path, t->run.path, name));
    const fct_label_names names = { info->class_name, info->landmark_name, &t->persons };
    return fct_evaluator_write(t->evaluator, &names, path);
}

static fct_status swap_ema(fct_trainer *t)
{
    FCT_TRY(fct_optim_swap_ema(t->optim));
    return t->head ? fct_head_swap_ema(t->head) : FCT_OK;
}

static fct_status evaluate(fct_trainer *t, fct_evaluation *out)
{
    fct_watchdog_phase(t->comm, FCT_PHASE_EVAL, t->at.step);
    FCT_TRY(swap_ema(t));
    fct_status status = fct_evaluator_run(t->evaluator, out);
    if (status == FCT_OK)
        status = fct_verifying_run(t);
    FCT_TRY(swap_ema(t));
    FCT_TRY(status);
    status = is_boss(t) && t->o->eval_predictions ? or_warn(write_predictions(t)) : FCT_OK;
    return boss_did(t, status, "writing predictions");
}

static fct_status finish_epoch(fct_trainer *t, epoch_end how, fct_evaluation *val)
{
    int evaluated = (t->at.epoch + 1) % t->eval_every == 0 || t->at.epoch + 1 == t->epochs;
    double rate = fct_schedule_rate(&t->schedule, t->at.step - 1);
    if (evaluated)
        FCT_TRY(evaluate(t, val));
    FCT_TRY(fct_trainer_settle(t));
    if (evaluated && isfinite(judged(t, val)) && !(judged(t, val) <= t->best)) {
        t->save.judged = judged(t, val);
        t->save.best_epoch = t->at.epoch + 1;
    }
    fct_status status = FCT_OK;
    if (is_boss(t)) {
        fct_console_epoch(t, evaluated ? val : NULL);
        status = or_warn(fct_metrics_add(t, evaluated ? val : NULL, rate));
    }
    FCT_TRY(boss_did(t, status, "writing metrics.csv"));
    fct_health_end_epoch(t);
    t->at.epoch++;
    t->at.batch = 0;
    t->sums = (fct_sums){ { 0 } };
    t->seconds = t->waited_s = 0;
    if (how == EPOCH_STOPPED || t->at.epoch == t->epochs)
        return FCT_OK; // fct_trainer_finish saves
    if (t->spec->overfit > 0 && !evaluated)
        return FCT_OK; // an epoch of a step or two is not worth a checkpoint
    return fct_trainer_save(t);
}

static int knows_by_heart(const fct_trainer *t, const fct_evaluation *val)
{
    return (!t->tasks.classes || !isfinite(val->accuracy) || val->accuracy >= 1) &&
           (!t->tasks.identities || !isfinite(val->identity_accuracy) ||
            val->identity_accuracy >= 1) &&
           (!t->tasks.landmarks || !isfinite(val->landmark_pck) || val->landmark_pck > 0.9);
}

static fct_status judge_by_heart(const fct_trainer *t, const fct_evaluation *val, int passed)
{
    fct_text text = { 0 };
    if (t->tasks.classes)
        fct_text_add(&text, " accuracy %.1f%%", 100 * val->accuracy);
    if (t->tasks.landmarks)
        fct_text_add(&text, " PCK@%g %.1f%%", t->o->eval_pck_alpha, 100 * val->landmark_pck);
    if (t->tasks.identities)
        fct_text_add(&text, " identities %.1f%%", 100 * val->identity_accuracy);
    fct_status status = FCT_OK;
    if (passed)
        FCT_INFO("overfit: passed: %lld pictures learned by heart in %lld epochs:%s",
                 (long long)t->spec->overfit, (long long)t->at.epoch, text.data ? text.data : "");
    else
        status = FCT_FAIL(
            FCT_E_DIVERGED,
            "overfit: failed: after %lld epochs%s on %lld pictures, wanted accuracy 100%% "
            "and PCK > 90%%\na network that cannot learn these by heart has a wrong learning rate, "
            "labels or inputs; more train.epochs may help",
            (long long)t->at.epoch, text.data ? text.data : "", (long long)t->spec->overfit);
    fct_text_release(&text);
    return status;
}

// A resumed --overfit may know its pictures already, or have no epochs left to learn them in.
static fct_status look_first(fct_trainer *t, fct_evaluation *val, int *passed, int *stopped)
{
    if (t->spec->overfit == 0 || t->at.epoch == 0 || t->at.batch > 0)
        return FCT_OK;
    fct_status status = evaluate(t, val);
    *stopped = status == FCT_E_INTERRUPTED;
    if (*stopped)
        fct_life_interrupted(t);
    *passed = status == FCT_OK && knows_by_heart(t, val);
    return *stopped ? FCT_OK : status;
}

// A checkpoint is written, and a training asked to stop, before the step is verified.
static fct_status verify_first(fct_trainer *t)
{
    int verified;
    return t->at.batch > 0 ? fct_verifying_step(t, &verified) : FCT_OK;
}

static fct_status run_epochs(fct_trainer *t, int *stopped)
{
    fct_evaluation val = { 0 };
    int passed = 0;
    FCT_TRY(look_first(t, &val, &passed, stopped));
    FCT_TRY(verify_first(t));
    FCT_TRY(fct_loader_seek(t->loader, t->at.epoch, t->at.batch));
    while (t->at.epoch < t->epochs && !passed && !*stopped) {
        epoch_end how;
        fct_status status;
        FCT_TRY(train_epoch(t, &how));
        *stopped = how == EPOCH_STOPPED;
        if (*stopped && t->at.batch < t->batches)
            break;
        status = finish_epoch(t, how, &val);
        if (status == FCT_E_INTERRUPTED) { // asked to stop while it evaluated: that is to be done
            *stopped = 1;
            fct_life_interrupted(t);
            break;
        }
        FCT_TRY(status);
        passed = t->spec->overfit > 0 && knows_by_heart(t, &val);
        *stopped &= t->at.epoch < t->epochs && !passed;
    }
    fct_lifecycle_saving();
    FCT_TRY(fct_trainer_finish(t));
    return t->spec->overfit > 0 && !*stopped ? judge_by_heart(t, &val, passed) : FCT_OK;
}

// Where to resume from: "" for a new run.
static fct_status find_resume(fct_trainer *t, char from[FCT_PATH_MAX])
{
    const char *resume = fct_life_resume(t);
    from[0] = 0;
    if (!resume)
        return FCT_OK;
    if (!strcmp(resume, "auto"))
        return fct_run_dir_newest(t->o, t->comm, t->mode, from);
    int n = snprintf(from, FCT_PATH_MAX, "%s", resume);
    return n < FCT_PATH_MAX ? FCT_OK : FCT_FAIL(FCT_E_ARG, "--resume: the path is too long");
}

// A resumed run goes on in its own directory: RUN, RUN/checkpoints, RUN/checkpoints/<anything>.
static fct_status run_of(const char *from, char out[FCT_PATH_MAX])
{
    char *whole = realpath(from, NULL);
    if (!whole)
        return FCT_FAIL(FCT_E_IO, "--resume: %s: %s", from, strerror(errno));
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(whole, '/');
        if (!slash || slash == whole)
            break;
        if (!strcmp(slash, "/checkpoints")) {
            *slash = 0;
            break;
        }
        if (up == 0 && slash - whole >= (long)strlen("/checkpoints") &&
            !strncmp(slash - strlen("/checkpoints"), "/checkpoints/", strlen("/checkpoints/")))
            *slash = 0;
    }
    int n = snprintf(out, FCT_PATH_MAX, "%s", whole);
    free(whole);
    return n < FCT_PATH_MAX ? FCT_OK : FCT_FAIL(FCT_E_ARG, "--resume: the path is too long");
}

// The run's tables as they were when the checkpoint was made that this life goes on from.
static fct_status restore_tables(fct_trainer *t)
{
    FCT_TRY(fct_run_dir_trim(&t->run, "steps.csv", t->at.step, fct_steps_columns()));
    FCT_TRY(fct_verifying_trim(t, t->at.step));
    return t->run.metrics.size > 0 ? or_warn(fct_run_dir_write_metrics(&t->run)) : FCT_OK;
}

static fct_status open_run(fct_trainer *t)
{
    char from[FCT_PATH_MAX], run[FCT_PATH_MAX];
    FCT_TRY(find_resume(t, from));
    if (from[0])
        FCT_TRY(fct_comm_agree(t->comm, run_of(from, run), "--resume"));
    FCT_TRY(fct_run_dir_open(t->o, t->comm, t->mode, from[0] ? run : NULL, &t->run));
    FCT_TRY(fct_saver_create(t->comm, t->run.checkpoints, (int)t->o->checkpoint_keep, &t->saver));
    FCT_TRY(fct_saver_ask_room(t->saver, fct_state_bytes(t)));
    if (from[0])
        FCT_TRY(fct_trainer_restore(t, from));
    else if (t->o->init_from[0])
        FCT_TRY(fct_trainer_start_from(t, t->o->init_from));
    int n;
    int64_t parameters = 0;
    const fct_param *p = fct_params_table(t->net->params, &n);
    for (int i = 0; i < n; i++)
        parameters += p[i].kind == FCT_PARAM_STAT ? 0 : fct_shape_elements(&p[i].shape);
    char device[256];
    fct_net_tell_place(t->net, device, sizeof device);
    fct_run_facts facts = { t->o, fct_mix_describe(t->train_mix)->data_hash, parameters, t->at.step,
                            device };
    FCT_TRY(fct_run_dir_describe(&t->run, &facts, t->comm));
    return boss_did(t, is_boss(t) ? restore_tables(t) : FCT_OK, "restoring steps.csv");
}

static fct_status run(fct_trainer *t, int *stopped)
{
    FCT_TRY(fct_life_begin(t));
    FCT_TRY(open_run(t));
    if (is_boss(t))
        fct_console_start(t);
    if (t->o->cluster_self_test)
        FCT_TRY(fct_self_test(t->comm));
    if (t->o->cluster_self_test && t->net->place.links)
        FCT_TRY(fct_device_self_test(t->net->place.links, t->net->backend));
    FCT_TRY(run_epochs(t, stopped));
    if (*stopped)
        FCT_INFO("stopped at epoch %lld, step %lld with a checkpoint; go on with --resume %s",
                 (long long)t->at.epoch + 1, (long long)t->at.step, t->run.path);
    else
        FCT_INFO("done: %s", t->run.path);
    return *stopped ? fct_life_end(t) : FCT_OK;
}

static fct_status train(const fct_train_spec *spec, int *stopped)
{
    fct_trainer *t;
    FCT_TRY(fct_trainer_create(spec, &t));
    fct_status status = FCT_OK;
    if (!spec->dry_run) {
        status = run(t, stopped);
        if (t->saver)
            fct_saver_destroy(t->saver);
        fct_run_dir_release(&t->run);
    } else
        status = boss_did(t, is_boss(t) ? fct_dry_run_print(t) : FCT_OK, "the dry run");
    fct_trainer_destroy(t);
    return status;
}

fct_status fct_train(const fct_train_spec *spec, int *stopped)
{
    fct_watchdog *watchdog;
    *stopped = 0;
    FCT_TRY(fct_comm_same(spec->comm, fct_options_hash(spec->options), "the configuration"));
    const fct_list *signals = &spec->options->cluster_signals;
    if (!spec->dry_run)
        FCT_TRY(fct_lifecycle_install(signals->item, signals->n));
    FCT_TRY(fct_watch_start(spec->comm, spec->options, &watchdog));
    fct_status status = train(spec, stopped);
    fct_watchdog_stop(watchdog);
    return status;
}
