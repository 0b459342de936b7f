// SPDX-License-Identifier: Apache-2.0
// The identity head split over ranks against the same head in one piece: losses, gradients, updated
// weights, predictions; 23 classes, which no number of ranks here divides.
// usage: test_head; test_head label: rank 1 has a label beyond the classes;
// test_head save|load FOLDER: a checkpoint of as many ranks, and going on from it
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/clock.h"
#include "facet/path.h"
#include "head_kit.h"

static const double NOISE = 3e-5;
static fct_comm *self; // one rank alone, in every process: the judge's

static void compare(fct_comm *c, fct_head_spec whole, fct_head_spec split)
{
    kit_compare(c, self, whole, split, KIT_CPU);
}

static void test_split_equals_whole(fct_comm *c)
{
    compare(c, kit_spec(0, 1, 1), kit_spec(1, 1, 1));
    compare(c, kit_spec(0, 2, 1), kit_spec(1, 2, 1));
    compare(c, kit_spec(1, 2, 1), kit_spec(1, 2, 1));
}

// The choice is a function of (seed, step, class) alone.
static void test_sampled_classes_are_the_same_on_any_number_of_ranks(fct_comm *c)
{
    compare(c, kit_spec(1, 1, 0.3), kit_spec(1, 1, 0.3));
    compare(c, kit_spec(1, 2, 0.5), kit_spec(1, 2, 0.5));
}

static void test_adamw_and_average_go_along(fct_comm *c)
{
    for (int sampled = 0; sampled < 2; sampled++) {
        kit one, many;
        static float a[KIT_ROWS * KIT_E], b[KIT_ROWS * KIT_E];
        fct_head_spec spec = kit_spec(1, 1, sampled ? 0.4 : 1);
        spec.optim.is_adamw = 1;
        spec.optim.beta1 = 0.9;
        spec.optim.beta2 = 0.999;
        spec.optim.eps = 1e-3; // Adam's first steps go by the gradient's sign: noise would decide
        spec.optim.ema = 0.5;
        kit_open(&one, self, spec);
        kit_open(&many, c, spec);
        kit_all_rows(&many, "weight", a);
        kit_all_rows(&many, "ema", b); // of classes that no step chooses
        CLAIM(c, !sampled || memcmp(a, b, KIT_C * KIT_E * sizeof *a) == 0);
        for (int s = 0; s < 4; s++) {
            CLAIM(c, kit_part(&one, s, KIT_B, 0, 1, 1) == FCT_OK && kit_update(&one) == FCT_OK);
            CLAIM(c, kit_part(&many, s, KIT_B, 0, 1, 1) == FCT_OK && kit_update(&many) == FCT_OK);
        }
        kit_claim_same_rows(c, &one, &many, "weight");
        kit_claim_same_rows(c, &one, &many, "exp_avg");
        kit_claim_same_rows(c, &one, &many, "exp_avg_sq");
        kit_claim_same_rows(c, &one, &many, "ema");
        kit_all_rows(&many, "ema", a);
        kit_all_rows(&many, "weight", b);
        CLAIM(c, kit_difference(a, b, KIT_C * KIT_E) > 1e-3);
        CLAIM(c, fct_head_swap_ema(many.head) == FCT_OK);
        kit_all_rows(&many, "weight", b);
        CLAIM(c, memcmp(a, b, KIT_C * KIT_E * sizeof *a) == 0);
        kit_close(&one);
        kit_close(&many);
    }
}

// Which classes the first step changed: weight decay moves all that it trains.
static int64_t changed_classes(const float *before, const float *after, int64_t *class)
{
    int64_t n = 0;
    for (int64_t k = 0; k < KIT_C; k++)
        if (memcmp(before + k * KIT_E, after + k * KIT_E, KIT_E * sizeof *before) != 0)
            class[n++] = k;
    return n;
}

static int64_t place_of(int64_t label, const int64_t *class, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (class[i] == label)
            return i;
    return -1;
}

// Against a head in one piece that has no other classes than the chosen ones.
static void test_a_sampled_step_is_a_step_of_the_chosen_classes_alone(fct_comm *c)
{
    static float before[KIT_C * KIT_E], after[KIT_C * KIT_E], small[KIT_C * KIT_E],
        x[KIT_B * KIT_E], dx[KIT_B * KIT_E];
    int64_t class[KIT_C], label[KIT_B];
    int is_in_batch = 1;
    kit many, one;
    kit_open(&many, c, kit_spec(1, 1, 0.3));
    kit_all_rows(&many, "weight", before);
    CLAIM(c, kit_part(&many, 1, KIT_B, 0, 1, 1) == FCT_OK && kit_update(&many) == FCT_OK);
    kit_all_rows(&many, "weight", after);
    const int64_t n = changed_classes(before, after, class);
    fct_head_spec spec = kit_spec(0, 1, 1);
    spec.classes = n;
    kit_open(&one, self, spec);
    for (int64_t i = 0; i < n; i++)
        memcpy(small + i * KIT_E, before + class[i] * KIT_E, KIT_E * sizeof *small);
    CLAIM(c, fct_params_set(one.params, 0, small) == FCT_OK);
    kit_batch(1, KIT_B, x, label);
    fct_head_step step = { .parts = 1, .share = 1, .factor = 1.5, .margin_share = 0.8 };
    for (int i = 0; i < KIT_B; i++) {
        step.denominator += label[i] >= 0;
        is_in_batch &= label[i] < 0 || place_of(label[i], class, n) >= 0;
        label[i] = label[i] < 0 ? -1 : place_of(label[i], class, n);
    }
    CLAIM(c, is_in_batch && n > 8 && n < KIT_C);
    fct_head_sums sums = { 0 };
    CLAIM(c, fct_head_train(one.head, &step, KIT_B, x, label, dx, &sums) == FCT_OK);
    CLAIM(c, kit_is_near(sums.loss, many.sums.loss) && kit_is_near(sums.spread, many.sums.spread));
    CLAIM(c, kit_difference(dx + many.low * KIT_E, many.dx + many.low * KIT_E,
                            (many.high - many.low) * KIT_E) < NOISE);
    kit_close(&one);
    kit_close(&many);
}

static void test_another_step_chooses_other_classes(fct_comm *c)
{
    static float before[KIT_C * KIT_E], after[KIT_C * KIT_E];
    int64_t class[2][KIT_C], n[2];
    kit many;
    fct_head_spec spec = kit_spec(1, 1, 0.4);
    spec.optim.weight_decay = 0.1;
    kit_open(&many, c, spec);
    for (int s = 0; s < 2; s++) {
        kit_all_rows(&many, "weight", before);
        CLAIM(c, kit_part(&many, s, 0, 0, 1, 1) == FCT_OK && kit_update(&many) == FCT_OK);
        kit_all_rows(&many, "weight", after);
        n[s] = changed_classes(before, after, class[s]);
        CLAIM(c, n[s] >= 2 && n[s] <= 17); // 9.2 of 23 are expected; no batch adds to them
    }
    CLAIM(c, n[0] != n[1] || memcmp(class[0], class[1], (size_t)n[0] * sizeof **class) != 0);
    kit_close(&many);
}

static void test_parts_of_a_step_add_up(fct_comm *c)
{
    static float g[2][KIT_C * KIT_E], a[KIT_C * KIT_E], b[KIT_C * KIT_E];
    kit one, many;
    kit_open(&one, self, kit_spec(0, 1, 1));
    kit_open(&many, c, kit_spec(1, 1, 1));
    for (int part = 0; part < 2; part++) {
        CLAIM(c, kit_part(&one, part, KIT_B, 0, 1, 1) == FCT_OK);
        CLAIM(c, fct_params_get_grad(one.params, 0, g[part]) == FCT_OK);
    }
    CLAIM(c, kit_part(&many, 0, KIT_B, 0, 2, 0.25) == FCT_OK); // begun anew by the next
    for (int part = 0; part < 2; part++)
        CLAIM(c, kit_part(&many, part, KIT_B, part, 2, part ? 0.75 : 0.25) == FCT_OK);
    for (int i = 0; i < KIT_C * KIT_E; i++)
        a[i] = 0.25F * g[0][i] + 0.75F * g[1][i];
    CLAIM(c, fct_params_set_grad(one.params, 0, a) == FCT_OK && kit_update(&one) == FCT_OK);
    CLAIM(c, kit_update(&many) == FCT_OK);
    kit_all_rows(&one, "weight", a);
    kit_all_rows(&many, "weight", b);
    CLAIM(c, kit_difference(a, b, KIT_C * KIT_E) < NOISE);
    kit_close(&one);
    kit_close(&many);
    kit_open(&many, c, kit_spec(1, 1, 0.5));
    CLAIM(c, kit_part(&many, 0, KIT_B, 0, 2, 0.5) == FCT_E_ARG);
    kit_close(&many);
}

static void test_predictions_are_those_of_all_classes(fct_comm *c)
{
    for (int sampled = 0; sampled < 2; sampled++) {
        float x[KIT_B * KIT_E];
        int64_t label[KIT_B], nearest[KIT_B], wanted[KIT_B];
        double loss[KIT_B], want[KIT_B];
        int wrong = 0;
        kit one, many;
        kit_open(&one, self, kit_spec(0, 2, 1));
        kit_open(&many, c, kit_spec(1, 2, sampled ? 0.2 : 1));
        CLAIM(c, kit_part(&many, 3, KIT_B, 0, 1, 1) == FCT_OK); // leaves its logits behind
        kit_batch(2, KIT_B, x, label);
        label[0] = KIT_C + 4;
        const int64_t n = many.high - many.low;
        CLAIM(c, fct_head_predict(one.head, KIT_B, x, label, wanted, want) == FCT_OK);
        CLAIM(c, fct_head_predict(many.head, n, x + many.low * KIT_E, label + many.low,
                                  nearest + many.low, loss + many.low) == FCT_OK);
        for (int64_t i = many.low; i < many.high; i++) {
            const int is_known = label[i] >= 0 && label[i] < KIT_C;
            wrong += nearest[i] != wanted[i] || (isnan(loss[i]) == 0) != is_known;
            wrong += is_known && !kit_is_near(loss[i], want[i]);
        }
        CLAIM(c, wrong == 0);
        kit_close(&one);
        kit_close(&many);
    }
}

static void test_nan_on_one_rank_is_seen_by_all(fct_comm *c)
{
    for (int kind = 0; kind < 4; kind++) {
        float x[KIT_B * KIT_E], dx[KIT_B * KIT_E];
        int64_t label[KIT_B];
        fct_head_sums sums = { 0 };
        fct_head_step step = { .parts = 1, .share = 1, .factor = 1, .denominator = 20 };
        kit many;
        kit_open(&many, c, kit_spec(1, kind == 3 ? 3 : 1, kind == 2 ? 0.5 : 1));
        kit_batch(0, 4, x, label);
        const int is_last = fct_comm_rank(c) == fct_comm_size(c) - 1;
        if (is_last)
            x[KIT_E + 3] = kind ? NAN : INFINITY;
        CLAIM(c, fct_head_train(many.head, &step, 4, x, label, dx, &sums) == FCT_OK);
        double square, all[2];
        CLAIM(c, fct_head_norm(many.head, &square) == FCT_OK);
        all[0] = square;
        all[1] = sums.loss;
        CLAIM(c, fct_comm_reduce_f64(c, all, 2, FCT_SUM) == FCT_OK);
        CLAIM(c, !isfinite(all[0]) && !isfinite(all[1]));
        CLAIM(c, isfinite(sums.loss) == !is_last);
        kit_close(&many);
    }
}

static void test_the_plan_of_memory_is_what_is_taken(fct_comm *c)
{
    for (int i = 0; i < 6; i++) {
        kit k;
        fct_head_spec spec = kit_spec(i > 0, 1 + i % 2, i > 2 ? 0.25 : 1);
        spec.triplet_weight = i % 2;
        spec.optim.ema = i % 3 ? 0 : 0.9;
        spec.optim.is_adamw = i % 2;
        kit_open(&k, c, spec);
        spec.comm = c;
        CLAIM(c, fct_head_plan_bytes(&spec) == fct_head_bytes(k.head));
        kit_close(&k);
    }
}

static void test_bad_specs_are_refused(fct_comm *c)
{
    fct_head *h;
    fct_head_spec spec = kit_spec(1, 1, 0);
    spec.comm = c;
    CLAIM(c, fct_head_create(&spec, &h) == FCT_E_ARG && fct_head_plan_bytes(&spec) == 0);
    spec.sample = 1.5;
    CLAIM(c, fct_head_create(&spec, &h) == FCT_E_ARG);
    spec.sample = 1;
    spec.classes = fct_comm_size(c) - 1;
    CLAIM(c, fct_head_create(&spec, &h) == FCT_E_ARG);
    spec.classes = KIT_C;
    spec.margin.scale = -1;
    CLAIM(c, fct_head_create(&spec, &h) == FCT_E_ARG);
}

// One rank's data is at fault: it says so, and the others do not wait for it.
static void test_a_label_beyond_the_classes(fct_comm *c)
{
    float x[KIT_B * KIT_E], dx[KIT_B * KIT_E];
    int64_t label[KIT_B];
    fct_head_sums sums = { 0 };
    fct_head_step step = { .parts = 1, .share = 1, .factor = 1, .denominator = 20 };
    kit many;
    kit_open(&many, c, kit_spec(1, 1, 1));
    kit_batch(0, 4, x, label);
    label[2] = fct_comm_rank(c) == 1 ? KIT_C : 0;
    if (fct_comm_rank(c) == 1) // a cancel reaches whoever is still in what came before
        fct_clock_sleep_s(1);
    fct_status status = fct_head_train(many.head, &step, 4, x, label, dx, &sums);
    fct_comm_cancel(c, status);
    CLAIM_HERE(status == (fct_comm_rank(c) == 1 ? FCT_E_FORMAT : FCT_E_PEER));
    CLAIM_HERE(strstr(fct_fail_text(), "label 23, but there are 23 classes") != NULL);
    kit_close(&many);
}

static void train_two(fct_comm *c, kit *k, int from)
{
    for (int s = from; s < from + 2; s++)
        CLAIM(c, kit_part(k, s, KIT_B, 0, 1, 1) == FCT_OK && kit_update(k) == FCT_OK);
}

static fct_head_spec saved_spec(void)
{
    fct_head_spec spec = kit_spec(1, 2, 0.6);
    spec.optim.is_adamw = 1; // its steps count
    spec.optim.beta1 = 0.9;
    spec.optim.beta2 = 0.99;
    spec.optim.eps = 1e-3;
    return spec;
}

static void save(fct_comm *c, const char *folder)
{
    kit k;
    fct_saver *saver;
    fct_blobs state = { 0 };
    const float one = 1;
    const int64_t n = 1;
    kit_open(&k, c, saved_spec());
    train_two(c, &k, 0);
    CLAIM(c, fct_blobs_add(&state, "model/other", FCT_BLOB_F32, 1, &n, &one) == FCT_OK);
    CLAIM(c, fct_head_collect(k.head, &state) == FCT_OK);
    CLAIM(c, fct_saver_create(c, folder, 2, &saver) == FCT_OK);
    CLAIM(c, fct_saver_start(saver, 2, 0, &state) == FCT_OK && fct_saver_wait(saver) == FCT_OK);
    fct_saver_destroy(saver);
    kit_close(&k);
}

static void load(fct_comm *c, const char *folder)
{
    kit one, many;
    char path[FCT_PATH_MAX];
    kit_open(&one, self, saved_spec());
    kit_open(&many, c, saved_spec());
    train_two(c, &one, 0);
    CLAIM(c, fct_path_join(path, folder, "step_00000002") == FCT_OK);
    CLAIM(c, fct_head_restore(many.head, path) == FCT_OK);
    kit_claim_same_rows(c, &one, &many, "weight");
    kit_claim_same_rows(c, &one, &many, "exp_avg_sq");
    train_two(c, &one, 2);
    train_two(c, &many, 2);
    kit_claim_same_rows(c, &one, &many, "weight");
    kit_close(&many);
    fct_head_spec other = saved_spec();
    other.centres = 1;
    kit_open(&many, c, other);
    CLAIM(c, fct_head_restore(many.head, path) == FCT_E_FORMAT);
    CLAIM(c, strstr(fct_fail_text(), "23 classes of 2 centres, here it has 23 of 1") != NULL);
    kit_close(&many);
    other = kit_spec(1, 2, 1); // SGD
    kit_open(&many, c, other);
    CLAIM(c, fct_head_restore(many.head, path) == FCT_E_FORMAT);
    CLAIM(c, strstr(fct_fail_text(), "head/momentum") != NULL);
    kit_close(&many);
    kit_close(&one);
}

int main(int argc, char **argv)
{
    fct_comm *c;
    if (fct_comm_create("self", &self) != FCT_OK || fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    if (argc == 3 && !strcmp(argv[1], "save")) {
        save(c, argv[2]);
    } else if (argc == 3 && !strcmp(argv[1], "load")) {
        load(c, argv[2]);
    } else if (argc == 2) {
        test_a_label_beyond_the_classes(c);
    } else {
        test_split_equals_whole(c);
        test_sampled_classes_are_the_same_on_any_number_of_ranks(c);
        test_a_sampled_step_is_a_step_of_the_chosen_classes_alone(c);
        test_another_step_chooses_other_classes(c);
        test_adamw_and_average_go_along(c);
        test_parts_of_a_step_add_up(c);
        test_predictions_are_those_of_all_classes(c);
        test_nan_on_one_rank_is_seen_by_all(c);
        test_the_plan_of_memory_is_what_is_taken(c);
        test_bad_specs_are_refused(c);
    }
    fct_comm_destroy(c);
    fct_comm_destroy(self);
    return failed_claims != 0;
}
