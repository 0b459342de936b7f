// SPDX-License-Identifier: Apache-2.0
// The identity head on devices against the same head in one piece on a CPU: losses, gradients,
// updated weights, predictions, checkpoints; given memory of the host or of the device, ranks
// exchanging through hosts or from device to device; recorded and replayed.
// usage: test_head_device; test_head_device save|load FOLDER cpu|device: a checkpoint of as many
// ranks, and going on from it
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "head_kit.h"

static fct_comm *self; // one rank alone, in every process: the judge's

static fct_head_spec spec_of(int is_sharded, int centres, double sample, double triplets)
{
    fct_head_spec spec = kit_spec(is_sharded, centres, sample);
    spec.triplet_weight = triplets;
    return spec;
}

static void compare(fct_comm *c, fct_head_spec spec, kit_where where)
{
    fct_head_spec whole = spec;
    whole.is_sharded = spec.is_sharded && spec.sample < 1; // who samples must be sharded
    kit_compare(c, self, whole, spec, where);
}

// They take turns on few processors: the shorter form of the tests.
static int has_many(fct_comm *c)
{
    return fct_comm_size(c) > 2;
}

static void test_replicated(fct_comm *c)
{
    if (fct_comm_size(c) > 1)
        return; // the gradient's sum over ranks is the network's
    compare(c, spec_of(0, 1, 1, 0.5), KIT_DEVICE);
    compare(c, spec_of(0, 3, 1, 0), KIT_LINKS);
}

static void test_margins(fct_comm *c)
{
    static const fct_margin_spec margin[] = {
        { 1, 0, 0, 16 }, { 1, 0, 0.35, 16 }, { 1.35, 0.2, 0.1, 16 }, { 1, 2, 0, 16 }
    };
    for (size_t i = 0; i < sizeof margin / sizeof *margin && !has_many(c); i++) {
        fct_head_spec spec = spec_of(1, 1 + (int)i % 2, 1, 0);
        spec.margin = margin[i];
        compare(c, spec, KIT_LINKS);
    }
}

static void test_sharded_through_hosts(fct_comm *c)
{
    compare(c, spec_of(1, 1, 1, 0.5), KIT_DEVICE);
}

static void test_sharded_from_device_to_device(fct_comm *c)
{
    if (!has_many(c))
        compare(c, spec_of(1, 1, 1, 0), KIT_LINKS);
    compare(c, spec_of(1, 2, 1, 0), KIT_LINKS);
}

static void test_triplets_need_hosts_also_with_links(fct_comm *c)
{
    compare(c, spec_of(1, 1, 1, 0.5), KIT_LINKS);
}

static void test_sampled_classes(fct_comm *c)
{
    compare(c, spec_of(1, 2, 0.4, 0), KIT_LINKS);
    if (!has_many(c))
        compare(c, spec_of(1, 1, 0.4, 0.5), KIT_DEVICE);
}

static void test_what_can_be_recorded(fct_comm *c)
{
    const struct {
        fct_head_spec spec;
        kit_where where;
        int can;
    } of[] = { { spec_of(0, 1, 1, 0), KIT_DEVICE, 1 },
               { spec_of(1, 1, 1, 0), KIT_LINKS, 1 },
               { spec_of(1, 1, 1, 0), KIT_DEVICE, fct_comm_size(c) == 1 },
               { spec_of(1, 1, 1, 0.5), KIT_LINKS, 0 },
               { spec_of(1, 1, 0.5, 0), KIT_LINKS, 0 },
               { spec_of(0, 1, 1, 0), KIT_CPU, 0 } };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        kit k;
        kit_open_on(&k, c, of[i].spec, of[i].where);
        CLAIM(c, fct_head_is_recordable(k.head) == of[i].can);
        kit_close(&k);
    }
}

static fct_head_step step_of(const int64_t *label, int number)
{
    fct_head_step step = { .parts = 1, .share = 1, .factor = 1.5 - number, .margin_share = 0.3 };
    step.margin_share += 0.4 * number;
    for (int i = 0; i < KIT_B; i++)
        step.denominator += label[i] >= 0;
    return step;
}

// Recorded over one batch, replayed over others, with other factors and margins.
static void test_a_recording_takes_new_numbers(fct_comm *c)
{
    for (int centres = 1 + has_many(c); centres < 3; centres++) {
        kit one, many;
        fct_recording *r = NULL;
        kit_open(&one, self, spec_of(0, centres, 1, 0));
        kit_open_on(&many, c, spec_of(1, centres, 1, 0), KIT_LINKS);
        const fct_device_ops *d = many.backend->ops->device;
        CLAIM(c, kit_part(&many, 9, KIT_B, 0, 1, 1) == FCT_OK); // all is there
        const int ranks = fct_comm_size(c);
        const fct_head_step none = { .parts = 1,
                                     .share = 1,
                                     .most_rows = centres == 1 ? 0 : (KIT_B + ranks - 1) / ranks };
        CLAIM(c, d->record_begin(many.backend) == FCT_OK);
        CLAIM(c, kit_train_there(&many, &none) == FCT_OK);
        CLAIM(c, d->record_end(many.backend, &r) == FCT_OK);
        for (int s = 0; s < 2; s++) {
            float x[KIT_B * KIT_E];
            int64_t label[KIT_B];
            fct_head_sums *sums = &one.sums;
            kit_batch(s, KIT_B, x, label);
            const fct_head_step step = step_of(label, s);
            *sums = (fct_head_sums){ 0 };
            CLAIM(c, fct_head_train(one.head, &step, KIT_B, x, label, one.dx, sums) == FCT_OK);
            CLAIM(c, fct_optim_norm(one.optim, &one.norm) == FCT_OK);
            CLAIM(c, kit_give(&many, x, label, &step) == FCT_OK);
            CLAIM(c, d->replay(many.backend, r) == FCT_OK && kit_fetch(&many) == FCT_OK);
            kit_claim_same_sums(c, &one, &many);
            kit_claim_same_dx(c, &one, &many);
            CLAIM(c, kit_update(&one) == FCT_OK && kit_update(&many) == FCT_OK);
            kit_claim_same_rows(c, &one, &many, "weight");
        }
        d->recording_destroy(r);
        kit_close(&one);
        kit_close(&many);
    }
}

// Two runs of the same steps: the same bits.
static void test_the_bits_do_not_change_from_run_to_run(fct_comm *c)
{
    static float a[KIT_ROWS * KIT_E], b[KIT_ROWS * KIT_E];
    double loss[2];
    for (int run = 0; run < 2; run++) {
        kit k;
        kit_open_on(&k, c, spec_of(1, 2, 1, 0), KIT_LINKS);
        for (int s = 0; s < 2; s++)
            CLAIM(c, kit_part(&k, s, KIT_B, 0, 1, 1) == FCT_OK && kit_update(&k) == FCT_OK);
        kit_all_rows(&k, "weight", run ? b : a);
        loss[run] = k.sums.loss;
        kit_close(&k);
    }
    CLAIM(c, memcmp(a, b, sizeof a) == 0 && loss[0] == loss[1]);
}

static void test_parts_of_a_step_add_up(fct_comm *c)
{
    kit one, many;
    kit_open(&one, self, spec_of(1, 1, 1, 0));
    kit_open_on(&many, c, spec_of(1, 1, 1, 0), KIT_LINKS);
    for (int part = 0; part < 2; part++) {
        CLAIM(c, kit_part(&one, part, KIT_B, part, 2, 0.25 + part * 0.5) == FCT_OK);
        CLAIM(c, kit_part(&many, part, KIT_B, part, 2, 0.25 + part * 0.5) == FCT_OK);
    }
    CLAIM(c, kit_update(&one) == FCT_OK && kit_update(&many) == FCT_OK);
    kit_claim_same_rows(c, &one, &many, "weight");
    kit_close(&one);
    kit_close(&many);
}

static void test_nan_and_foreign_labels_show(fct_comm *c)
{
    for (int kind = 0; kind < 3; kind++) {
        float x[KIT_B * KIT_E];
        int64_t label[KIT_B];
        double square;
        kit many;
        kit_open_on(&many, c, spec_of(1, 1 + kind % 2, 1, 0), KIT_LINKS);
        kit_batch(0, KIT_B, x, label);
        kit_slice(&many, KIT_B);
        if (kind == 2)
            label[0] = KIT_C;
        else
            x[3] = kind ? NAN : INFINITY;
        const fct_head_step step = step_of(label, 0);
        CLAIM(c, kit_give(&many, x, label, &step) == FCT_OK);
        CLAIM(c, kit_train_there(&many, &step) == FCT_OK && kit_fetch(&many) == FCT_OK);
        CLAIM(c, fct_head_norm(many.head, &square) == FCT_OK);
        CLAIM(c, !isfinite(many.sums.loss) && (kind == 2 || !isfinite(square)));
        kit_close(&many);
    }
}

static void test_more_rows_than_the_most_are_refused(fct_comm *c)
{
    const fct_head_step step = { .parts = 1, .share = 1, .most_rows = 2 };
    kit k;
    if (fct_comm_size(c) == 1)
        return;
    kit_open_on(&k, c, spec_of(1, 1, 1, 0), KIT_LINKS);
    k.high = 3;
    CLAIM(c, kit_train_there(&k, &step) == FCT_E_ARG);
    kit_close(&k);
}

static void test_predictions(fct_comm *c)
{
    for (int kind = has_many(c); kind < 3; kind++) {
        float x[KIT_B * KIT_E];
        int64_t label[KIT_B], wanted[KIT_B], nearest[KIT_B], wrong = 0;
        double want[KIT_B], loss[KIT_B];
        kit one, many;
        fct_head_spec spec = spec_of(1, 1 + kind % 2, kind == 2 ? 0.05 : 1, 0);
        if (kind == 2) // looked at a stretch of classes at a time
            spec.classes = 400;
        kit_open(&one, self, spec);
        kit_open_on(&many, c, spec, KIT_LINKS);
        kit_batch(4, KIT_B, x, label);
        kit_slice(&many, KIT_B);
        label[6] = spec.classes;
        const int64_t low = many.low, n = many.high - low;
        CLAIM(c, fct_head_predict(one.head, KIT_B, x, label, wanted, want) == FCT_OK);
        CLAIM(c, fct_head_predict(many.head, n, x + low * KIT_E, label + low, nearest + low,
                                  loss + low) == FCT_OK);
        for (int64_t i = low; i < low + n; i++) {
            const int is_known = label[i] >= 0 && label[i] < spec.classes;
            wrong += nearest[i] != wanted[i] || (isnan(loss[i]) == 0) != is_known;
            wrong += is_known && !kit_is_near(loss[i], want[i]);
        }
        CLAIM(c, wrong == 0);
        kit_close(&one);
        kit_close(&many);
    }
}

static fct_head_spec saved_spec(void)
{
    fct_head_spec spec = spec_of(1, 2, 0.6, 0);
    spec.optim.is_adamw = 1; // its steps count
    spec.optim.beta1 = 0.9;
    spec.optim.beta2 = 0.99;
    spec.optim.eps = 1e-3;
    spec.optim.ema = 0.5;
    return spec;
}

static void train_two(fct_comm *c, kit *k, int from)
{
    for (int s = from; s < from + 2; s++)
        CLAIM(c, kit_part(k, s, KIT_B, 0, 1, 1) == FCT_OK && kit_update(k) == FCT_OK);
}

static void test_averages_are_swapped(fct_comm *c)
{
    static float a[KIT_ROWS * KIT_E], b[KIT_ROWS * KIT_E];
    kit one, many;
    kit_open(&one, self, saved_spec());
    kit_open_on(&many, c, saved_spec(), KIT_LINKS);
    train_two(c, &one, 0);
    train_two(c, &many, 0);
    kit_claim_same_rows(c, &one, &many, "ema");
    kit_all_rows(&many, "ema", a);
    CLAIM(c, fct_head_swap_ema(many.head) == FCT_OK);
    kit_all_rows(&many, "weight", b);
    CLAIM(c, memcmp(a, b, sizeof a) == 0);
    kit_close(&one);
    kit_close(&many);
}

static void save(fct_comm *c, const char *folder, kit_where where)
{
    kit k;
    fct_saver *saver;
    fct_blobs state = { 0 };
    const float one = 1;
    const int64_t n = 1;
    kit_open_on(&k, c, saved_spec(), where);
    train_two(c, &k, 0);
    CLAIM(c, fct_blobs_add(&state, "model/other", FCT_BLOB_F32, 1, &n, &one) == FCT_OK);
    CLAIM(c, fct_head_collect(k.head, &state) == FCT_OK);
    CLAIM(c, fct_saver_create(c, folder, 2, &saver) == FCT_OK);
    CLAIM(c, fct_saver_start(saver, 2, 0, &state) == FCT_OK && fct_saver_wait(saver) == FCT_OK);
    fct_saver_destroy(saver);
    kit_close(&k);
}

static void load(fct_comm *c, const char *folder, kit_where where)
{
    static const char *const what[] = { "weight", "exp_avg", "exp_avg_sq", "ema" };
    kit one, many;
    char path[FCT_PATH_MAX];
    kit_open(&one, self, saved_spec());
    kit_open_on(&many, c, saved_spec(), where);
    train_two(c, &one, 0);
    CLAIM(c, fct_path_join(path, folder, "step_00000002") == FCT_OK);
    CLAIM(c, fct_head_restore(many.head, path) == FCT_OK);
    for (int i = 0; i < 4; i++)
        kit_claim_same_rows(c, &one, &many, what[i]);
    train_two(c, &one, 2);
    train_two(c, &many, 2);
    kit_claim_same_rows(c, &one, &many, "weight");
    kit_close(&many);
    kit_close(&one);
}

static void all(fct_comm *c)
{
    test_replicated(c);
    test_margins(c);
    test_sharded_through_hosts(c);
    test_sharded_from_device_to_device(c);
    test_triplets_need_hosts_also_with_links(c);
    test_sampled_classes(c);
    test_what_can_be_recorded(c);
    test_a_recording_takes_new_numbers(c);
    test_the_bits_do_not_change_from_run_to_run(c);
    test_parts_of_a_step_add_up(c);
    test_nan_and_foreign_labels_show(c);
    test_more_rows_than_the_most_are_refused(c);
    test_predictions(c);
    test_averages_are_swapped(c);
}

int main(int argc, char **argv)
{
    fct_comm *c;
    if (fct_comm_create("self", &self) != FCT_OK || fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    const kit_where where = argc == 4 && !strcmp(argv[3], "device") ? KIT_LINKS : KIT_CPU;
    if (argc == 4 && !strcmp(argv[1], "save"))
        save(c, argv[2], where);
    else if (argc == 4)
        load(c, argv[2], where);
    else
        all(c);
    kit_end();
    fct_comm_destroy(c);
    fct_comm_destroy(self);
    return failed_claims != 0;
}
