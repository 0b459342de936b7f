// SPDX-License-Identifier: Apache-2.0
// What a person sees while it trains: the facts at the start, a line an epoch, the summary at the
// end.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/log.h"
#include "facet/loss.h"
#include "trainer.h"

static void fact(const char *name, const char *value)
{
    FCT_INFO("  %-12s %s", name, value);
}

static int64_t count_parameters(const fct_trainer *t, int trained)
{
    int n;
    int64_t count = 0;
    const fct_param *p = fct_params_table(t->net->params, &n);
    for (int i = 0; i < n; i++)
        if (p[i].kind != FCT_PARAM_STAT && (!trained || !p[i].frozen))
            count += fct_shape_elements(&p[i].shape);
    return count;
}

static void memory_fact(const fct_trainer *t)
{
    fct_graph_memory m;
    char a[32], w[32], p[32], g[32], line[256];
    fct_net_memory(t->net, &m);
    fct_text_bytes((double)m.activations, a);
    fct_text_bytes((double)m.workspace, w);
    fct_text_bytes((double)m.parameters, p);
    fct_text_bytes((double)m.gradients, g);
    snprintf(line, sizeof line, "%s activations, %s workspace, %s weights, %s gradients each rank",
             a, w, p, g);
    fact("memory", line);
}

static void balance_fact(const fct_trainer *t)
{
    fct_text text = { 0 };
    for (int i = 0; i < t->tasks.balance.tasks; i++)
        fct_text_add(&text, "%s%s", i ? " + " : "", t->tasks.balance.name[i]);
    if (fct_balance_is_learned(t->tasks.balance.kind))
        fct_text_add(&text, ", balanced by %s", t->o->loss_use_uncertainty_weighting);
    else if (t->tasks.balance.tasks > 1)
        fct_text_add(&text, ", fixed weights");
    if (!text.failed)
        fact("tasks", text.data);
    fct_text_release(&text);
}

static void placement_fact(const fct_trainer *t)
{
    char line[256], threads[32] = "OMP_NUM_THREADS";
    if (t->cores.threads > 0)
        snprintf(threads, sizeof threads, "%d", t->cores.threads);
    if (t->net->place.ops)
        snprintf(line, sizeof line, "%d loading threads a rank; rank 0: %s", t->cores.workers,
                 t->cores.place.how);
    else
        snprintf(line, sizeof line, "%s computing and %d loading threads a rank; rank 0: %s",
                 threads, t->cores.workers, t->cores.place.how);
    fact("placement", line);
}

// "NVIDIA H100 80GB HBM3, bf16, gradients by NCCL; recorded steps": nothing where it is the host.
static void device_fact(const fct_trainer *t)
{
    const fct_net_place *p = &t->net->place;
    fct_graph_memory m;
    char need[32], have[32], line[512];
    if (!p->ops)
        return;
    fct_net_memory(t->net, &m);
    fct_text_bytes((double)m.activations + (double)m.workspace +
                       (double)m.parameters * (2 + t->net->spec.device.copies),
                   need);
    fct_text_bytes((double)p->info.memory_bytes, have);
    snprintf(line, sizeof line, "%s, %s%s, gradients %s, %s of %s (%s)", p->info.name,
             fct_precision_name(t->net->spec.device.precision),
             t->net->spec.device.is_deterministic ? ", deterministic" : "",
             p->links                     ? "by NCCL"
             : fct_comm_size(t->comm) > 1 ? "through the hosts"
                                          : "stay there",
             need, have, p->info.versions);
    fact("device", line);
}

static void slurm_fact(const fct_trainer *t)
{
    const fct_slurm_job *job = &t->job;
    char line[256];
    if (job->job == 0)
        return;
    int n =
        snprintf(line, sizeof line, "job %s, life %lld of this job", job->id, (long long)job->life);
    if (job->end[0])
        snprintf(line + n, sizeof line - (size_t)n, ", its time limit ends at %s", job->end);
    fact("slurm", line);
}

// "4000 training pictures, 1000 to evaluate, 8 classes, 5 landmarks"
static void data_words(const fct_trainer *t, char *line, size_t size)
{
    const fct_mix_info *train = fct_mix_describe(t->train_mix), *val = fct_mix_describe(t->val_mix);
    int n = snprintf(line, size, "%lld training pictures, %lld to evaluate",
                     (long long)train->pictures, (long long)val->pictures);
    if (t->tasks.classes)
        n += snprintf(line + n, size - (size_t)n, ", %d classes", t->tasks.classes);
    if (t->tasks.landmarks)
        snprintf(line + n, size - (size_t)n, ", %d landmarks", t->tasks.landmarks);
}

// "512 persons, arcface with margin 0.5, sharded over 4 ranks; 16 x 4 pictures a batch"
static void identity_fact(const fct_trainer *t)
{
    fct_text text = { 0 };
    const fct_options *o = t->o;
    if (!t->tasks.identities)
        return;
    fct_text_add(&text, "%lld persons", (long long)t->tasks.identities);
    if (o->model_sub_centres > 1)
        fct_text_add(&text, " of %lld centres", (long long)o->model_sub_centres);
    fct_text_add(&text, ", %s", o->loss_identity);
    if (!strcmp(o->loss_identity, "arcface") || !strcmp(o->loss_identity, "cosface"))
        fct_text_add(&text, " with margin %g", o->loss_margin);
    if (o->loss_margin_ramp_epochs > 0)
        fct_text_add(&text, " (whole after %g epoch%s)", o->loss_margin_ramp_epochs,
                     o->loss_margin_ramp_epochs == 1 ? "" : "s");
    if (fct_identity_is_sharded(o))
        fct_text_add(&text, ", head sharded over %d ranks", fct_comm_size(t->comm));
    else
        fct_text_add(&text, ", head on every rank");
    if (o->model_head_sample < 1)
        fct_text_add(&text, ", %g of the persons a step", o->model_head_sample);
    if (!strcmp(o->sampler_kind, "pk"))
        fct_text_add(&text, "; %lld x %lld pictures a batch",
                     (long long)o->sampler_identities_per_batch,
                     (long long)o->sampler_images_per_identity);
    if (!t->val_person_map)
        fct_text_add(&text, "; the pictures to evaluate on show others");
    if (!text.failed)
        fact("identities", text.data);
    fct_text_release(&text);
}

void fct_console_start(const fct_trainer *t)
{
    const fct_model_spec *m = &t->net->spec.model;
    char line[512];
    FCT_INFO("facet train");
    snprintf(line, sizeof line, "%s, %d x %d, %.1f M parameters (%.1f M trained)", m->backbone,
             m->height, m->width, (double)count_parameters(t, 0) / 1e6,
             (double)count_parameters(t, 1) / 1e6);
    fact("model", line);
    fct_freeze_words(t, line);
    if (line[0])
        fact("frozen", line);
    balance_fact(t);
    identity_fact(t);
    data_words(t, line, sizeof line);
    fact("data", line);
    snprintf(line, sizeof line, "%d (%s) on %s, backend %s", fct_comm_size(t->comm),
             fct_comm_kind(t->comm), fct_comm_host(t->comm), t->net->backend->ops->name);
    fact("ranks", line);
    device_fact(t);
    placement_fact(t);
    snprintf(line, sizeof line, "%lld pictures in all, %lld steps an epoch, %lld epochs",
             (long long)(fct_sampler_batch_size(t->sampler, 0) * t->o->train_accumulate),
             (long long)t->steps, (long long)t->epochs);
    fact("batch", line);
    snprintf(line, sizeof line, "the same bits on every number of ranks that divides %lld",
             (long long)t->o->train_exact_shards);
    if (t->o->train_exact)
        fact("exact", line);
    memory_fact(t);
    slurm_fact(t);
    if (t->run.path[0])
        fact("run", t->run.path);
}

// What the process holds already: libraries, labels, plans.
static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%*d %ld", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double optimiser_bytes(const fct_trainer *t, const fct_graph_memory *m)
{
    return (double)m->parameters * fct_optim_copies(t);
}

// Sums that train.exact's tree holds.
static double exact_bytes(const fct_trainer *t, const fct_graph_memory *m)
{
    return t->o->train_exact ? (double)m->gradients * fct_exact_levels(t->o->train_exact_shards,
                                                                       fct_comm_size(t->comm))
                             : 0;
}

static double head_bytes(const fct_trainer *t)
{
    const fct_head_spec spec = fct_identity_plan(t);
    return t->tasks.identities ? (double)fct_head_plan_bytes(&spec) : 0;
}

// The batches ahead of the training and of the evaluation.
static double loader_bytes(const fct_trainer *t)
{
    const fct_net_spec *n = &t->net->spec;
    double picture = 3.0 * n->model.height * n->model.width;
    double train = (double)n->batch / fct_comm_size(t->comm) * (double)(t->o->data_ahead + 1);
    return picture * (train + 3.0 * (double)n->eval_rows);
}

// Rank 0 writes a checkpoint from a copy of the state, through the file's image in memory.
static double checkpoint_bytes(const fct_trainer *t, const fct_graph_memory *m)
{
    return fct_comm_rank(t->comm) == 0 ? 2 * ((double)m->parameters + optimiser_bytes(t, m)) : 0;
}

static fct_status print_people(fct_trainer *t)
{
    fct_text lines = { 0 };
    fct_status status = fct_people_report(t, &lines);
    if (status == FCT_OK && lines.data)
        printf("%s", lines.data);
    fct_text_release(&lines);
    return status;
}

fct_status fct_dry_run_print(fct_trainer *t)
{
    enum { computing = 7 }; // of the parts below, the first that lie where it computes
    fct_graph_memory m;
    fct_console_start(t);
    FCT_TRY(print_people(t));
    fct_net_memory(t->net, &m);
    const struct {
        const char *what;
        double bytes;
    } part[] = {
        { "activations", (double)m.activations },  { "workspace", (double)m.workspace },
        { "weights", (double)m.parameters },       { "gradients", (double)m.gradients },
        { "optimiser", optimiser_bytes(t, &m) },   { "exact", exact_bytes(t, &m) },
        { "identity_head", head_bytes(t) },        { "loader", loader_bytes(t) },
        { "checkpoint", checkpoint_bytes(t, &m) }, { "program", resident_bytes() },
    };
    double sum = 0, device = 0;
    const int is_device = t->net->place.ops != NULL;
    for (int i = 0; i < (int)(sizeof part / sizeof *part); i++) {
        printf("%s_bytes %.0f\n", part[i].what, part[i].bytes);
        *(is_device && i < computing ? &device : &sum) += part[i].bytes;
    }
    char total[32];
    if (is_device)
        printf("memory_on_device_bytes %.0f\n", device);
    fct_text_bytes(sum, total);
    printf("memory_per_rank_bytes %.0f\nmemory_per_rank %s\n", sum, total);
    printf("steps_per_epoch %lld\nsteps %lld\nparameters %lld\n", (long long)t->steps,
           (long long)(t->steps * t->epochs), (long long)count_parameters(t, 0));
    if (is_device)
        FCT_TRY(fct_net_check_room(t->net, head_bytes(t)));
    FCT_INFO("dry run: nothing was trained or written. Too much memory? A smaller data.batch_size, "
             "train.accumulate, resnet18 instead of resnet50, or more ranks");
    return FCT_OK;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

// The studies' line: "Epoch 1/5 — train_loss: 1.5510 train_acc: 0.3992 | val_loss: 1.4029 val_acc:
// 0.4667".
void fct_console_epoch(const fct_trainer *t, const fct_evaluation *val)
{
    fct_text text = { 0 };
    const double *s = t->sums.v;
    fct_text_add(&text, "Epoch %lld/%lld — train_loss: %.4f", (long long)t->at.epoch + 1,
                 (long long)t->epochs, ratio(s[FCT_SUM_TOTAL], s[FCT_SUM_PICTURES]));
    if (t->tasks.classes)
        fct_text_add(&text, " train_acc: %.4f",
                     ratio(s[FCT_SUM_EXPRESSION_RIGHT], s[FCT_SUM_EXPRESSION_COUNT]));
    if (t->tasks.identities)
        fct_text_add(&text, " train_id_acc: %.4f",
                     ratio(s[FCT_SUM_IDENTITY_RIGHT], s[FCT_SUM_IDENTITY_COUNT]));
    if (val) {
        if (isfinite(val->total))
            fct_text_add(&text, " | val_loss: %.4f", val->total);
        else
            fct_text_add(&text, " | no val_loss");
        if (t->tasks.classes)
            fct_text_add(&text, " val_acc: %.4f", val->accuracy);
        if (t->val_person_map)
            fct_text_add(&text, " val_id_acc: %.4f", val->identity_accuracy);
        if (isfinite(fct_verifying_accuracy(t)))
            fct_text_add(&text, " val_verify: %.4f", fct_verifying_accuracy(t));
        if (t->tasks.landmarks && isfinite(val->landmark_nme))
            fct_text_add(&text, " val_nme: %.2f%% val_pck: %.1f%%", 100 * val->landmark_nme,
                         100 * val->landmark_pck);
    }
    fct_text_add(&text, " | %.0f pictures/s, data-wait %.1f%%", s[FCT_SUM_PICTURES] / t->seconds,
                 100 * ratio(t->waited_s, t->seconds));
    if (!text.failed)
        FCT_INFO("%s", text.data);
    fct_text_release(&text);
    double loss[FCT_MAX_TASKS] = { 0 };
    char *finding = NULL;
    fct_tasks_losses(&t->tasks, &t->sums, loss);
    if (fct_balance_finding(&t->tasks.balance, t->tasks.log_var, loss,
                            fct_tasks_total(&t->tasks, loss, NULL), &finding) == FCT_OK &&
        finding)
        FCT_WARN("%s", finding);
    free(finding);
}
