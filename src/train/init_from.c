// SPDX-License-Identifier: Apache-2.0
// init.from: a new training that starts from another one's weights. What fits by name and shape is
// taken, a head only when its classes are the same; the rest starts new, and all of it is told.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/log.h"
#include "init_match.h"
#include "trainer.h"

// What a file that somebody may take for a checkpoint is, by its first bytes.
static const char *kind_of(const char *path)
{
    unsigned char head[9] = { 0 };
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    if (n >= 4 && !memcmp(head, "PK\003\004", 4))
        return "a zip archive, as torch.save writes it";
    if (n >= 2 && head[0] == 0x80 && head[1] <= 5)
        return "a Python pickle, as old torch.save wrote it";
    if (n >= 8 && !memcmp(head, "\211HDF\r\n\032\n", 8))
        return "one part of a checkpoint, or another HDF5 file";
    if (n == 9 && head[8] == '{')
        return "a safetensors file, it seems";
    return "a file";
}

static fct_status check_kind(const char *path)
{
    if (path[0] == '@' && !fct_path_is_folder(path))
        return FCT_FAIL(FCT_E_ARG, FCT_INIT_FROM_RUN, path);
    if (!fct_path_is_file(path))
        return FCT_OK; // a folder, or the pointer "RUN/checkpoints/best"
    const char *name = strrchr(path, '/');
    if (!strcmp(name ? name + 1 : path, "best") || !strcmp(name ? name + 1 : path, "last"))
        return FCT_OK;
    return FCT_FAIL(
        FCT_E_ARG,
        "init.from: %s is %s, not a checkpoint of facet\ngive a run's folder, its "
        "checkpoints folder, or one of the step_ folders there; files of other programs "
        "cannot be read",
        path, kind_of(path));
}

// Whether the checkpoint's list of names is this one.
static int same_names(const fct_blobs *state, const char *list, char *const *name, int n)
{
    fct_text mine = { 0 };
    const fct_blob *b = fct_blobs_find(state, list);
    for (int i = 0; i < n; i++)
        fct_text_add(&mine, "%s\n", name[i]);
    const size_t bytes = b ? fct_blob_bytes(b) : 0;
    int same = b && !mine.failed && mine.size <= bytes && strnlen(b->data, bytes) == mine.size &&
               !memcmp(b->data, mine.data ? mine.data : "", mine.size);
    fct_text_release(&mine);
    return same;
}

// Whether the checkpoint's identity head has these persons, each in the same place.
static fct_status same_persons(const fct_trainer *t, const fct_blobs *state, int *same)
{
    fct_persons theirs = { 0 };
    int64_t *map = NULL, known;
    *same = 0;
    FCT_TRY(fct_persons_read(state, &theirs));
    fct_status status = FCT_OK;
    if (theirs.classes > 0 && theirs.classes == t->persons.classes) {
        status = fct_persons_match(&theirs, t->train_mix, NULL, &map, &known);
        *same = status == FCT_OK && known > 0;
        for (int64_t k = 0; *same && k < theirs.classes; k++)
            *same = map[k] == k || !t->persons.name[k][0];
    }
    free(map);
    fct_persons_release(&theirs);
    return status;
}

enum { HEADS = 3 };

// Heads whose outputs mean something else here: prefixes of their names.
static fct_status other_heads(const fct_trainer *t, const fct_blobs *state, const char *out[HEADS],
                              int *n_out)
{
    const fct_mix_info *info = fct_mix_describe(t->train_mix);
    int n = 0, same = 0;
    FCT_TRY(same_persons(t, state, &same));
    if (!same)
        out[n++] = "identity_head.";
    if (!same_names(state, "meta/class_names", info->class_name, t->tasks.classes))
        out[n++] = "expression_head.";
    if (!same_names(state, "meta/landmark_names", info->landmark_name, t->tasks.landmarks))
        out[n++] = "landmark_head.";
    *n_out = n;
    return FCT_OK;
}

static fct_status take(fct_trainer *t, const fct_blobs *state, const fct_init_match *m)
{
    for (int i = 0; i < m->n; i++)
        if (m->fate[i] == FCT_INIT_TAKEN)
            FCT_TRY(fct_params_set(t->net->params, i, state->blob[m->source[i]].data));
    return FCT_OK;
}

// Other pictures than the weights have learned from: allowed, and a word.
static void tell_input(const fct_trainer *t, const fct_blobs *state)
{
    const fct_model_spec *m = &t->net->spec.model;
    const fct_blob *input = fct_blobs_find(state, "meta/input"),
                   *normal = fct_blobs_find(state, "meta/normalize");
    if (input && fct_blob_bytes(input) == 2 * sizeof(int64_t)) {
        const int64_t *side = input->data;
        if (side[0] != m->height || side[1] != m->width)
            FCT_INFO("  its pictures were %lld x %lld, these are %d x %d", (long long)side[0],
                     (long long)side[1], m->height, m->width);
    }
    if (!normal || fct_blob_bytes(normal) != 6 * sizeof(double))
        return;
    const double *v = normal->data;
    int differs = 0;
    for (int c = 0; c < 3; c++)
        differs |=
            fabs(v[c] - (double)m->mean[c]) > 1e-6 || fabs(v[3 + c] - (double)m->std[c]) > 1e-6;
    if (differs)
        FCT_WARN("init.from: these weights have learned with another data.normalize than %s; that "
                 "shifts every input",
                 t->o->data_normalize);
}

static void tell(const fct_trainer *t, const fct_blobs *state, const fct_init_match *m,
                 const char *taken, int is_average)
{
    int n;
    const fct_param *table = fct_params_table(t->net->params, &n);
    fct_text words = { 0 };
    FCT_INFO("started from %s: %d of %d tensors taken over%s, %.2f%% of the backbone's values",
             taken, fct_init_match_count(m, FCT_INIT_TAKEN), n,
             is_average ? " (of the weights' moving average)" : "", 100 * m->share);
    fct_init_match_words(m, state, table, "\n", &words);
    for (char *at = words.data, *end; at && *at; at = end) {
        end = at + strcspn(at, "\n");
        FCT_INFO("  %.*s", (int)(end - at), at);
        end += *end == '\n';
    }
    fct_text_release(&words);
    if (fct_identity_is_sharded(t->o))
        FCT_INFO("  the sharded identity head starts new");
    tell_input(t, state);
}

// RUN/init.txt; without it the training is none the worse.
static void write_list(const fct_trainer *t, const fct_blobs *state, const fct_init_match *m,
                       const char *taken)
{
    int n;
    char path[FCT_PATH_MAX];
    const fct_param *table = fct_params_table(t->net->params, &n);
    fct_text text = { 0 };
    fct_text_add(&text, "# %s\n# backbone_share %.6f\n", taken, m->share);
    fct_text_add(&text, "fate\tname\tname_in_file\tshape\tshape_in_file\n");
    fct_init_match_list(m, state, table, &text);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "init.txt")
                                    : fct_path_join(path, t->run.path, "init.txt");
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    if (status != FCT_OK)
        FCT_WARN("%s; training goes on", fct_fail_text());
    fct_text_release(&text);
}

static fct_status refuse(const fct_trainer *t, const fct_blobs *state, const fct_init_match *m,
                         const char *taken)
{
    int n;
    const fct_param *table = fct_params_table(t->net->params, &n);
    fct_text words = { 0 };
    fct_init_match_words(m, state, table, "; ", &words);
    fct_status status = FCT_FAIL(
        FCT_E_ARG,
        "init.from: %s gives %.2f%% of the backbone's values, and init.least_share asks for "
        "%.2f%%: "
        "%d of %d tensors taken; %s\nis model.backbone (%s) that of the checkpoint? Other names: "
        "init.rename, init.strip_prefix; a smaller init.least_share takes what there is; all names "
        "are in %s/init.txt",
        taken, 100 * m->share, 100 * t->o->init_least_share,
        fct_init_match_count(m, FCT_INIT_TAKEN), n, words.data ? words.data : "",
        t->o->model_backbone, t->run.path);
    fct_text_release(&words);
    return status;
}

static fct_status start_from(fct_trainer *t, const fct_blobs *state, const char *taken)
{
    int n;
    const fct_param *table = fct_params_table(t->net->params, &n);
    const int is_average = fct_state_has_ema(state), is_boss = fct_comm_rank(t->comm) == 0;
    const char *other[HEADS];
    fct_init_rules rules = { .strip = t->o->init_strip_prefix,
                             .rename = t->o->init_rename,
                             .other_classes = other };
    fct_init_match m;
    FCT_TRY(other_heads(t, state, other, &rules.n_other_classes));
    FCT_TRY(fct_init_match_create(&rules, state, is_average ? "optim/ema" : "model", table, n, &m));
    if (is_boss)
        write_list(t, state, &m, taken);
    fct_status status = FCT_OK;
    if (m.share < t->o->init_least_share || fct_init_match_count(&m, FCT_INIT_TAKEN) == 0)
        status = refuse(t, state, &m, taken);
    else {
        status = take(t, state, &m);
        if (is_boss && status == FCT_OK)
            tell(t, state, &m, taken, is_average);
    }
    fct_init_match_release(&m);
    return status;
}

fct_status fct_trainer_start_from(fct_trainer *t, const char *path)
{
    fct_blobs state;
    char taken[FCT_PATH_MAX];
    fct_status status = fct_comm_rank(t->comm) == 0 ? check_kind(path) : FCT_OK;
    FCT_TRY(fct_comm_agree(t->comm, status, "init.from"));
    FCT_TRY(fct_checkpoint_load_same(t->comm, path, &state, taken));
    status = start_from(t, &state, taken);
    fct_blobs_release(&state);
    return fct_comm_agree(t->comm, status, "init.from");
}
