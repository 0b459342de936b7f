// SPDX-License-Identifier: Apache-2.0
// Everything one training job holds; the files of this folder each do one part of it.
#ifndef FACET_TRAINER_H
#define FACET_TRAINER_H

#include "cores.h"
#include "evaluate.h"
#include "facet/checkpoint.h"
#include "facet/optim.h"
#include "facet/progress.h"
#include "facet/slurm.h"
#include "facet/stage.h"
#include "facet/train.h"
#include "facet/watchdog.h"
#include "health.h"
#include "identity.h"
#include "run_dir.h"
#include "verifier.h"

typedef struct {       // where the training stands; saved with every checkpoint
    int64_t epoch;     // 0-based, the one under way
    int64_t batch;     // loader batches of it already trained
    int64_t step;      // optimiser steps since the beginning
    int64_t bad_steps; // skipped in a row
} fct_position;

typedef struct {        // of checkpoints; equal on all ranks
    int is_under_way;   // its outcome is not known yet
    int is_best;        // it is to be marked as best
    fct_position at;    // what it holds: of the last one that was begun
    double best_before; // fct_trainer.best before it
    int64_t failures;   // in a row
    char why[1024];     // the last one failed
    fct_position good;  // the newest committed one
    int has_good;
    int64_t best_epoch; // the epoch before this one gave the best value, `judged`; 0: none did
    double judged;
} fct_saving;

enum { FCT_SUSPECTS = 8 };

typedef struct { // of this rank, in the step under way: pictures whose loss is NaN or Inf
    int64_t n, picture[FCT_SUSPECTS]; // n counts all of them
} fct_suspects;

typedef struct fct_trainer fct_trainer;
typedef struct fct_exact fct_exact;
typedef struct fct_device_step fct_device_step;

typedef enum { FCT_STOP_NOT, FCT_STOP_BY_SIGNAL, FCT_STOP_BY_DEADLINE } fct_stop;

typedef struct { // the sets of eval.verify
    int n;
    fct_pair_set **set;       // (n)
    fct_verifier **verifier;  // (n)
    fct_verification *result; // (n) of the last time; equal on all ranks
    int64_t step;             // of which step they are; 0: none yet
    int is_unwritten;         // verification.csv cannot be written: said once
} fct_verifying;

typedef struct { // packed sets to train on, then those to evaluate on
    int n, train_n;
    fct_stage_item *item;
    const char **open; // (n) where their shards are read: in data.path, or in copies
    fct_stage *stage;  // of the rank that copied
} fct_data_paths;

// How a step comes from batches to gradients; chosen once. Collective.
typedef struct {
    // Forward, losses, backward of one of an optimiser step's batches; `denominator` (FCT_TASKS) is
    // the whole step's.
    fct_status (*part)(fct_trainer *t, const fct_batch *b, const double *denominator, int part,
                       int parts, fct_sums *sums);
    // After the last part: gradients, then sums, are those of all ranks. A step that one rank wants
    // skipped (FCT_SUM_SKIPPED) is skipped by all.
    fct_status (*sum_gradients)(fct_trainer *t, double *waited_s);
    fct_status (*sum_losses)(fct_trainer *t, fct_sums *sums);
    fct_status (*next)(fct_trainer *t, const fct_batch **out); // not collective: the next batch
    // Not collective. After the first wait for the gradients: the losses that were still on their
    // way. NULL: there are none.
    fct_status (*take_sums)(fct_trainer *t, fct_sums *sums);
} fct_step_way;
extern const fct_step_way fct_step_plain, fct_step_exact, fct_step_device; // part.c, exact.c,
                                                                           // part_device.c

typedef struct {  // fp16
    double value; // 0: none
    double good;  // steps since it changed
} fct_loss_scale;

struct fct_trainer {
    const fct_train_spec *spec;
    const fct_options *o;
    fct_comm *comm;
    char mode[64];

    fct_data_paths paths;
    fct_mix *train_mix, *val_mix;
    int *val_class_map; // (classes of val_mix) -> class of train_mix; NULL when there is nothing to
                        // map
    fct_persons persons;     // of train_mix, with the identity task
    int64_t *val_person_map; // (persons of val_mix) -> class of the identity head; NULL: all others
    fct_augment *augment;
    fct_sampler *sampler;
    fct_loader *loader;
    int64_t batches, steps; // loader batches and optimiser steps of an epoch
    int64_t epoch_pictures; // that these hold
    int64_t epochs, eval_every;
    fct_sampler
        *plan; // the same order again, for the denominators: the loader's threads own `sampler`
    int64_t *picture;  // (one loader batch) numbers, from the plan
    int64_t *people;   // (one loader batch) to count its people with
    int64_t step_rows; // pictures of the optimiser step under way

    fct_cores cores;
    const fct_step_way *way;
    fct_exact *exact;        // NULL unless train.exact
    fct_device_step *device; // NULL where buffers are the host's
    fct_loss_scale loss_scale;

    fct_tasks tasks;
    fct_net *net;
    fct_outputs outputs;
    fct_optim *optim;
    fct_head *head;          // of the identity task; NULL: there is none
    fct_head_step head_step; // where the step under way stands; denominators and factors come later
    int head_is_bad;         // what only this rank holds of its gradient is not finite
    fct_schedule_spec schedule;
    int64_t thaw_step; // optimiser steps with init.freeze_epochs' part frozen; 0: none
    int64_t thawed_at; // steps that the optimiser had taken when it began to train; -1: not yet
    fct_buffer
        *accumulated; // gradients of the parts before the last; NULL unless train.accumulate > 1
    fct_evaluator *evaluator;
    fct_verifying verifying;

    fct_suspects suspects;
    fct_run_dir run;
    fct_saver *saver;
    fct_saving save;
    fct_position at;
    fct_sums sums; // of this epoch so far
    double best;   // best value so far that is saved or being saved, larger is better; NaN before
    int64_t steps_here;              // taken by this process
    double time_s[FCT_TIMES], lap_s; // of the steps so far by part; where the stopwatch stands
    fct_health health;               // equal on all ranks
    double seconds, waited_s;        // of this epoch so far, stretches before a resume included

    fct_slurm_job job;
    double keep_s, step_s; // kept in hand before the time limit's end; what a step takes
    fct_stop stop;         // why this process stopped
};

// stage_data.c. Collective; the end is not.
fct_status fct_trainer_stage(fct_trainer *t);
void fct_trainer_unstage(fct_trainer *t);

// setup.c. Collective. Data, network, optimiser, schedule; no file is written yet.
int fct_optim_copies(const fct_trainer *t); // not collective: buffers like the weights beside
                                            // weights and gradients
fct_status fct_trainer_create(const fct_train_spec *spec, fct_trainer **out);
void fct_trainer_destroy(fct_trainer *t);

// identity.c
// Not collective. The head's description, as it is or will be.
fct_head_spec fct_identity_plan(const fct_trainer *t);
fct_status fct_identity_create(fct_trainer *t); // collective; nothing without the task
// Collective where the head is. Of the batch just computed by g (NULL without rows): its losses and
// counts, and with `train` the gradient of the embedding, written into the graph.
fct_status fct_identity_part(fct_trainer *t, fct_graph *g, const fct_batch *b,
                             const double *denominator, int train, fct_sums *sums);
// Not collective. FCT_SUM_HEAD_SQUARE: this rank's share of the gradient's squared norm.
fct_status fct_identity_norm(fct_trainer *t, fct_sums *sums);
fct_status fct_identity_update(fct_trainer *t, double rate, double norm); // not collective
double fct_identity_ramp(const fct_trainer *t, int64_t step); // share of the margin, 0..1

// verifying.c: eval.verify
fct_status fct_verifying_open(fct_trainer *t);   // not collective: the sets
fct_status fct_verifying_create(fct_trainer *t); // not collective: after the network
void fct_verifying_destroy(fct_trainer *t);
uint64_t fct_verifying_hash(const fct_trainer *t); // of all sets
// Collective. Verifies on every set, writes verification.csv. Of weights as they stand.
fct_status fct_verifying_run(fct_trainer *t);
// Collective. After a step: that, when eval.verify_every says so, of the weights' moving average
// where there is one. *did: it was due. Asked to stop meanwhile: OK, without a result.
fct_status fct_verifying_step(fct_trainer *t, int *did);
// Not collective. 0..1, of the first set after the step just taken; NaN: there is none.
double fct_verifying_accuracy(const fct_trainer *t);
// Not collective. Whether the first set could not be read after the step just taken.
int fct_verifying_failed(const fct_trainer *t);
// Not collective, rank 0. Drops the rows of verification.csv beyond `step`.
fct_status fct_verifying_trim(const fct_trainer *t, int64_t step);

// exact.c
fct_status fct_exact_check(const fct_options *o, int ranks); // E_ARG where exactness cannot be
fct_status fct_exact_create(fct_trainer *t);
void fct_exact_destroy(fct_trainer *t);
int fct_exact_levels(int64_t shards, int ranks); // gradient buffers that the tree holds on a rank

// part_device.c. Not collective. After the loader; nothing where buffers are the host's.
fct_status fct_device_step_create(fct_trainer *t);
void fct_device_step_destroy(fct_trainer *t);

// loss_scale.c. Not collective; all ranks do the same. Nothing happens in another precision.
fct_status fct_loss_scale_begin(fct_trainer *t); // E_ARG: not a power of two
fct_status fct_loss_scale_restore(fct_trainer *t, double value, double good);
// Whether a step that must be skipped is one because of the scale, and a smaller one may help.
int fct_loss_scale_is_guilty(const fct_trainer *t, int losses_are_finite);
fct_status fct_loss_scale_overflowed(fct_trainer *t); // then
fct_status fct_loss_scale_went_well(fct_trainer *t);  // after a step that was taken

// bad_step.c. Not collective. Remembers the rows of the batch just computed whose loss is not
// finite.
void fct_suspects_add(fct_trainer *t, const fct_batch *b);

// watch.c. Collective. The watchdog with the limits of the options.
fct_status fct_watch_start(fct_comm *c, const fct_options *o, fct_watchdog **out);

// step_times.c. Not collective. The time since the last lap went into this.
void fct_times_lap(fct_trainer *t, fct_time what);
// freeze.c. Not collective; all ranks do the same.
const char *fct_freeze_part(const fct_options *o); // what is frozen first; NULL: nothing thaws
void fct_freeze_plan(fct_trainer *t);              // thaw_step
fct_status fct_freeze_follow(fct_trainer *t);      // what trains in the step at t->at
void fct_freeze_words(const fct_trainer *t, char out[160]); // "" when nothing thaws

// step.c. Collective. One optimiser step from train.accumulate loader batches.
typedef struct {
    double loss[FCT_MAX_TASKS], total, norm, rate, waited_comm_s;
    double identity_accuracy; // 0..1, without margin; of no meaning without the task
    int64_t pictures;
    int is_skipped; // NaN or Inf in the gradient: nothing was changed
    fct_stop stop;  // what some rank was asked to do after this step
} fct_step_report;
fct_status fct_trainer_step(fct_trainer *t, fct_step_report *out);
// health_watch.c. Not collective; all ranks do the same. A loader batch whose picture numbers are
// these; the step that was just taken; the end of an epoch, after which rank 0 tells new findings.
void fct_health_batch(fct_trainer *t, const int64_t *picture, int64_t n);
void fct_health_step(fct_trainer *t, const fct_step_report *r);
void fct_health_end_epoch(fct_trainer *t);
// Of the epoch so far: pictures a person in a batch, the norm of its first and last steps; or NaN.
double fct_health_images(const fct_trainer *t);
double fct_health_norm_first(const fct_trainer *t);
double fct_health_norm_last(const fct_trainer *t);
// Different persons on these n pictures, `*pictures` of which show one; scratch (n).
int64_t fct_count_people(const fct_mix *mix, const int64_t *picture, int64_t n, int64_t *scratch,
                         int64_t *pictures);

// bad_step.c. Collective. The step was skipped on all ranks: says which parameters and pictures
// were bad; after train.nan_limit such steps in a row E_DIVERGED, and a file in the run directory.
fct_status fct_trainer_skipped(fct_trainer *t, const fct_step_report *r);
// same_weights.c. Collective. E_DIVERGED unless weights and optimiser state are the same bits on
// all ranks: which rank is the odd one, and where.
fct_status fct_trainer_compare(fct_trainer *t);
// Collective. After a step: that, when train.check_every says so.
fct_status fct_trainer_check(fct_trainer *t);
// Not collective. For tests: flips a bit of a weight in the middle of `buffer` when `site` asks.
void fct_trainer_flip(fct_trainer *t, fct_buffer *buffer, const char *site);

// save.c. All collective; a text of a failure is the same on all ranks.
// Starts to save the state as it stands, marked as best when the evaluation just before found it
// so. A save that fails is a warning, found out here, in settle or in finish; E_IO only when
// checkpoint.failures of them failed in a row.
fct_status fct_trainer_save(fct_trainer *t);
// Waits for the save under way: afterwards t->best is what the disk's best has.
fct_status fct_trainer_settle(fct_trainer *t);
// The state as it stands is saved, after several tries if need be, or E_IO says what was saved
// last.
fct_status fct_trainer_finish(fct_trainer *t);
// Not collective. "the newest good checkpoint is ...", or that there is none.
void fct_trainer_newest(const fct_trainer *t, char out[FCT_PATH_MAX + 64]);
// Not collective. That, and what to do about it: for the hint of a failure that ends the run.
void fct_trainer_advice(const fct_trainer *t, char out[FCT_PATH_MAX + 128]);

// state.c
double fct_state_bytes(const fct_trainer *t); // not collective, about what a checkpoint takes
// Not collective, a copy: this rank's part, of rank 0 all that is replicated too.
fct_status fct_state_collect(fct_trainer *t, fct_blobs *state);
fct_status fct_trainer_restore(fct_trainer *t, const char *path); // collective, exact resume
int fct_state_has_shape(const fct_blob *b, const fct_param *q);   // float32 of q's dimensions
fct_status fct_state_read_weights(const fct_blobs *state, fct_params *params);
// The moving average of the weights in place of the weights, where there is one.
int fct_state_has_ema(const fct_blobs *state);
fct_status fct_state_read_ema(const fct_blobs *state, fct_params *params);

// state_model.c. Not collective. The trunk, input and normalisation of a checkpoint's network,
// without heads; the strings are the options'. E_FORMAT; `taken` is for the message.
fct_status fct_state_describe_model(const fct_blobs *state, const fct_options *o, const char *taken,
                                    fct_model_spec *out);
// init_from.c. Collective. The weights of the checkpoint `path`, or their moving average where
// there is one, as far as they fit by name and shape; says what did not, in words and in
// RUN/init.txt. E_ARG: not a checkpoint, or less than init.least_share of the backbone fits.
fct_status fct_trainer_start_from(fct_trainer *t, const char *path);

// resume_options.c. Not collective. E_ARG when the options name other steps than the checkpoint's
// did; other differences are told by rank 0. *is_best_kept: the best value so far is still of the
// kind that decides.
fct_status fct_resume_check_options(const fct_trainer *t, const fct_blobs *state,
                                    int *is_best_kept);

// life.c: what Slurm gives a process and takes from it
fct_status fct_life_begin(fct_trainer *t);               // collective
const char *fct_life_resume(const fct_trainer *t);       // --resume, or what a requeue means
void fct_life_step_took(fct_trainer *t, double seconds); // not collective
void fct_life_stop(fct_trainer *t, fct_stop why);        // not collective: says why, once
void fct_life_interrupted(fct_trainer *t);               // not collective: asked while it evaluated
fct_status fct_life_end(fct_trainer *t);                 // collective, after the commit

// console.c, rank 0
void fct_console_start(const fct_trainer *t);
void fct_console_epoch(const fct_trainer *t, const fct_evaluation *val);
fct_status fct_metrics_add(fct_trainer *t, const fct_evaluation *val, double rate); // metrics.csv
// A table of an older facet gets the columns that came later, empty.
void fct_metrics_widen(fct_text *table);
// steps.csv; a failure (a full disk) is told once and costs nothing else.
void fct_steps_add(fct_trainer *t, const fct_step_report *r, double seconds);
const char *fct_steps_columns(void);          // the first line of steps.csv
fct_status fct_dry_run_print(fct_trainer *t); // E_NOMEM
// people_report.c, rank 0. Not collective. What the sampler makes of the data's people: in words to
// the log, and lines of "name value" for a machine to `out`; nothing when it has none. E_NOMEM.
fct_status fct_people_report(fct_trainer *t, fct_text *out);

#endif
