// SPDX-License-Identifier: Apache-2.0
// Evaluation of a checkpoint on a packed set: the network is rebuilt from what the checkpoint says.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/checkpoint.h"
#include "facet/log.h"
#include "trainer.h"

enum { REPORT_DIGITS = 2, TOP_CONFUSIONS = 8 };

typedef struct {
    const fct_eval_spec *spec;
    char taken[FCT_PATH_MAX];
    fct_blobs state;
    fct_options *options;
    char *names; // the checkpoint's names, cut at the line ends
    char **class_name, **landmark_name;
    int classes, landmarks;
    fct_mix *mix;
    int *class_map;
    fct_cores cores;
    fct_tasks tasks;
    fct_persons persons; // that the identity head knows
    int64_t *person_map;
    fct_net *net;
    fct_head *head; // NULL: no identities to evaluate
    fct_evaluator *evaluator;
    fct_watchdog *watchdog;
} job;

static const char *text_of(const fct_blobs *state, const char *name)
{
    const fct_blob *b = fct_blobs_find(state, name);
    return b ? b->data : "";
}

// Lines of `text` as an array; the caller frees the array, *copy holds the characters.
static char **lines(const char *text, char **copy, int *n)
{
    *n = 0;
    *copy = strdup(text);
    size_t count = 1;
    for (const char *p = text; *p; p++)
        count += *p == '\n';
    char **out = calloc(count, sizeof *out);
    if (!*copy || !out) {
        free(out);
        return NULL;
    }
    char *rest = *copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line)
            out[(*n)++] = line;
    return out;
}

static fct_status read_names(job *j)
{
    char *more = NULL;
    fct_text both = { 0 };
    int all;
    fct_text_add(&both, "%s%s", text_of(&j->state, "meta/class_names"),
                 text_of(&j->state, "meta/landmark_names"));
    j->class_name = both.failed ? NULL : lines(both.data, &j->names, &all);
    char **counted = lines(text_of(&j->state, "meta/class_names"), &more, &j->classes);
    free(counted);
    free(more);
    fct_text_release(&both);
    if (!j->class_name || !counted)
        return FCT_FAIL_NOMEM(1, "class names");
    j->landmarks = all - j->classes;
    j->landmark_name = j->class_name + j->classes;
    return FCT_OK;
}

static fct_status map_classes(job *j)
{
    const fct_mix_info *info = fct_mix_describe(j->mix);
    j->class_map = calloc((size_t)info->classes + 1, sizeof *j->class_map);
    if (!j->class_map)
        return FCT_FAIL_NOMEM(sizeof(int), "class names");
    for (int v = 0; j->classes > 0 && v < info->classes; v++) {
        int k = 0;
        while (k < j->classes && strcmp(j->class_name[k], info->class_name[v]))
            k++;
        if (k == j->classes)
            return FCT_FAIL(FCT_E_ARG, "%s: class '%s' is not one that %s knows", j->spec->data,
                            info->class_name[v], j->taken);
        j->class_map[v] = k;
    }
    return FCT_OK;
}

// A checkpoint without the identity task knows nobody; of other persons there is nothing to score.
static fct_status match_persons(job *j)
{
    int64_t known = 0;
    if (!j->options->tasks_identity)
        return FCT_OK;
    FCT_TRY(fct_persons_read(&j->state, &j->persons));
    if (j->persons.classes < 2)
        return FCT_FAIL(FCT_E_FORMAT, "%s: has an identity head, but does not name its persons",
                        j->taken);
    FCT_TRY(fct_persons_match(&j->persons, j->mix,
                              fct_comm_rank(j->spec->comm) == 0 ? j->spec->data : NULL,
                              &j->person_map, &known));
    if (known == 0) {
        free(j->person_map);
        j->person_map = NULL;
        if (fct_comm_rank(j->spec->comm) == 0)
            FCT_INFO("%s shows none of the %lld persons that were trained: identities are not "
                     "evaluated; facet verify compares new faces",
                     j->spec->data, (long long)j->persons.classes);
    }
    return FCT_OK;
}

static fct_status open_data(job *j)
{
    const char *paths[1] = { j->spec->data };
    FCT_TRY(fct_options_parse(text_of(&j->state, "meta/config"), "the checkpoint's configuration",
                              &j->options));
    FCT_TRY(read_names(j));
    FCT_TRY(fct_mix_open(paths, 1, j->spec->split, &j->mix));
    if (j->landmarks)
        FCT_TRY(fct_landmarks_match(j->mix, j->spec->data, j->landmark_name, j->landmarks));
    FCT_TRY(map_classes(j));
    FCT_TRY(match_persons(j));
    j->tasks = (fct_tasks){ .index = { -1, -1, -1 },
                            .classes = j->classes,
                            .landmarks = j->landmarks,
                            .identities = j->persons.classes };
    j->tasks.ce = (fct_loss_ce_spec){ .classes = j->classes };
    j->tasks.points = (fct_loss_points_spec){ .landmarks = j->landmarks };
    j->tasks.balance.kind = FCT_BALANCE_OFF;
    const int has[FCT_TASKS] = { j->classes > 0, j->landmarks > 0, j->persons.classes > 0 };
    for (int task = 0; task < FCT_TASKS; task++)
        if (has[task]) {
            j->tasks.balance.weight[j->tasks.balance.tasks] = 1;
            j->tasks.index[task] = j->tasks.balance.tasks++;
        }
    return FCT_OK;
}

static fct_status make_net(job *j)
{
    fct_net_spec s = { .comm = j->spec->comm,
                       .backend = j->spec->backend,
                       .threads = j->cores.threads,
                       .device = fct_net_device_of(j->options),
                       .eval_rows = j->spec->batch };
    s.device.is_wish = 1;
    FCT_TRY(fct_state_describe_model(&j->state, j->options, j->taken, &s.model));
    s.model.expressions = j->classes;
    s.model.landmarks = j->landmarks;
    s.model.identity_rows = fct_identity_rows(j->options, &j->tasks);
    FCT_TRY(fct_net_create(&s, &j->net));
    j->tasks.features = j->net->features;
    if (j->net->place.ops)
        fct_cores_for_device(j->spec->workers, &j->cores);
    return FCT_OK;
}

static fct_status load_weights(job *j)
{
    FCT_TRY(fct_state_read_weights(&j->state, j->net->params));
    if (fct_state_has_ema(&j->state)) // evaluated as in training
        FCT_TRY(fct_state_read_ema(&j->state, j->net->params));
    return FCT_OK;
}

// Collective.
static fct_status load_head(job *j)
{
    if (!j->person_map)
        return FCT_OK;
    const fct_head_spec spec = fct_identity_spec(j->options, j->net, &j->tasks, j->spec->batch);
    FCT_TRY(fct_head_create(&spec, &j->head));
    FCT_TRY(fct_head_restore(j->head, j->taken));
    return fct_state_has_ema(&j->state) ? fct_head_swap_ema(j->head) : FCT_OK;
}

static fct_status make_evaluator(job *j)
{
    fct_evaluator_spec e = { .mix = j->mix,
                             .net = j->net,
                             .tasks = &j->tasks,
                             .comm = j->spec->comm,
                             .workers = j->cores.workers,
                             .class_map = j->class_map,
                             .pck_alpha = j->options->eval_pck_alpha,
                             .head = j->head,
                             .head_is_sharded = fct_identity_is_sharded(j->options),
                             .person_map = j->person_map };
    return fct_evaluator_create(&e, &j->evaluator);
}

static void json_report(const job *j, const fct_evaluation *e, fct_text *out)
{
    const double value[] = { e->accuracy,         e->macro_f1,
                             e->landmark_mse,     e->landmark_rmse_pixels,
                             e->landmark_nme,     e->landmark_pck,
                             e->identity_accuracy };
    static const char *const name[] = { "accuracy",         "macro_f1",
                                        "landmark_mse",     "landmark_rmse_pixels",
                                        "landmark_nme",     "landmark_pck",
                                        "identity_accuracy" };
    fct_text_add(out, "{\"checkpoint\": ");
    fct_text_add_json(out, j->taken);
    fct_text_add(out, ", \"pictures\": %lld", (long long)e->pictures);
    for (size_t i = 0; i < sizeof value / sizeof *value; i++)
        if (isfinite(value[i]))
            fct_text_add(out, ", \"%s\": %.9g", name[i], value[i]);
    if (j->classes) {
        const int64_t *m = fct_evaluator_confusion(j->evaluator);
        fct_text_add(out, ", \"classes\": [");
        for (int k = 0; k < j->classes; k++) {
            fct_text_add(out, k ? ", " : "");
            fct_text_add_json(out, j->class_name[k]);
        }
        fct_text_add(out, "], \"confusion\": [");
        for (int i = 0; i < j->classes * j->classes; i++)
            fct_text_add(out, "%s%lld", i ? ", " : "", (long long)m[i]);
        fct_text_add(out, "]");
    }
    fct_text_add(out, "}\n");
}

static fct_status words_report(const job *j, const fct_evaluation *e, fct_text *out)
{
    fct_text_add(out, "%s on %s (%s), %lld pictures\n", j->taken, j->spec->data, j->spec->split,
                 (long long)e->pictures);
    if (j->classes && e->sums.v[FCT_SUM_EXPRESSION_COUNT] > 0) {
        const int64_t *m = fct_evaluator_confusion(j->evaluator);
        fct_classification c;
        FCT_TRY(fct_classification_compute(j->classes, m, &c));
        fct_text_add(out, "\n");
        fct_classification_print(&c, j->class_name, REPORT_DIGITS, out);
        fct_classification_release(&c);
        fct_text_add(out, "\nconfusion matrix (rows actual, columns predicted)\n");
        fct_confusion_print(j->classes, j->class_name, m, out);
        fct_text_add(out, "\ntop confusions\n");
        fct_confusion_top(j->classes, j->class_name, m, TOP_CONFUSIONS, out);
        fct_confusion_collapse(j->classes, j->class_name, m, out);
    }
    const fct_points_score *points = fct_evaluator_points(j->evaluator);
    if (points && points->covered > 0) {
        fct_text_add(out, "\nlandmarks\n");
        fct_points_score_print(points, out);
    }
    const double known = e->sums.v[FCT_SUM_IDENTITY_COUNT];
    if (known > 0)
        fct_text_add(out,
                     "\nidentities\n%.0f pictures of known persons, %lld persons: accuracy %.2f%%, "
                     "softmax loss %.4f\n",
                     known, (long long)j->persons.classes, 100 * e->identity_accuracy,
                     e->sums.v[FCT_SUM_IDENTITY_LOSS] / known);
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the report") : FCT_OK;
}

static fct_status report_all(job *j, const fct_evaluation *e, fct_text *out)
{
    const fct_label_names names = { j->class_name, j->landmark_name, &j->persons };
    if (j->spec->predictions)
        FCT_TRY(fct_evaluator_write(j->evaluator, &names, j->spec->predictions));
    if (!j->spec->json)
        return words_report(j, e, out);
    json_report(j, e, out);
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the report") : FCT_OK;
}

static fct_status run(job *j, fct_text *report)
{
    fct_evaluation e;
    fct_comm *c = j->spec->comm;
    FCT_TRY(fct_cores_find(c, 1, j->spec->threads, j->spec->workers, &j->cores));
    FCT_TRY(fct_checkpoint_load_same(c, j->spec->checkpoint, &j->state, j->taken));
    FCT_TRY(fct_comm_agree(c, open_data(j), "opening checkpoint and data"));
    FCT_TRY(fct_watch_start(c, j->options, &j->watchdog));
    FCT_TRY(make_net(j));
    FCT_TRY(fct_comm_agree(c, load_weights(j), "loading the weights"));
    FCT_TRY(fct_comm_agree(c, load_head(j), "loading the identity head"));
    FCT_TRY(fct_comm_agree(c, make_evaluator(j), "preparing the evaluation"));
    fct_watchdog_phase(c, FCT_PHASE_EVAL, 0);
    FCT_TRY(fct_evaluator_run(j->evaluator, &e));
    return fct_comm_agree(c, fct_comm_rank(c) == 0 ? report_all(j, &e, report) : FCT_OK,
                          "reporting");
}

fct_status fct_eval(const fct_eval_spec *spec, fct_text *report)
{
    job j = { .spec = spec };
    fct_status status = run(&j, report);
    fct_watchdog_stop(j.watchdog);
    fct_evaluator_destroy(j.evaluator);
    fct_head_destroy(j.head);
    fct_net_destroy(j.net);
    fct_persons_release(&j.persons);
    free(j.person_map);
    fct_mix_close(j.mix);
    free(j.class_map);
    free(j.class_name);
    free(j.names);
    fct_options_destroy(j.options);
    fct_blobs_release(&j.state);
    return status;
}
