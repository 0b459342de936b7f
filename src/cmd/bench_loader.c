// SPDX-License-Identifier: Apache-2.0
// facet bench loader: pictures a second from a packed set.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "facet/clock.h"
#include "facet/loader.h"

typedef struct {
    const char *data, *split, *augment;
    int64_t threads, size, batch, ahead;
    double seconds;
    int json;
} bench_args;

// What is usual for faces, by how much it costs: copies, one resize, every step there is.
static fct_augment_spec augment_of(const bench_args *a)
{
    fct_augment_spec s = { .height = (int)a->size, .width = (int)a->size };
    if (strcmp(a->augment, "none") != 0)
        s.flip = 0.5;
    if (strcmp(a->augment, "shift") == 0)
        s.shift = 0.1;
    if (strcmp(a->augment, "crop") != 0 && strcmp(a->augment, "all") != 0)
        return s;
    s.scale_min = 0.5;
    s.scale_max = 1;
    s.ratio = 4.0 / 3;
    if (strcmp(a->augment, "all") != 0)
        return s;
    s.rotate_deg = 10;
    s.brightness = s.contrast = s.saturation = 0.4;
    s.hue = 0.1;
    s.grey = s.blur = s.erase = 0.2;
    s.erase_max = 0.2;
    return s;
}

// Batches for `seconds` after a first one of each buffer, which pays for memory and threads.
static fct_status measure(fct_loader *l, const bench_args *a, int64_t *pictures, double *spent_s)
{
    const fct_batch *batch;
    for (int64_t i = 0; i <= a->ahead; i++)
        FCT_TRY(fct_loader_next(l, &batch));
    double start_s = fct_clock_s();
    *pictures = 0;
    do {
        FCT_TRY(fct_loader_next(l, &batch));
        *pictures += batch->rows;
        *spent_s = fct_clock_s() - start_s;
    } while (*spent_s < a->seconds);
    return FCT_OK;
}

static void print_rate(const bench_args *a, const fct_mix *mix, int64_t pictures, double spent_s)
{
    int64_t row;
    const fct_dataset_info *info = fct_dataset_describe(fct_mix_dataset(mix, 0, &row));
    const char *encoding = info->is_jpeg ? "jpeg" : "raw";
    double rate = (double)pictures / spent_s;
    if (a->json)
        printf(
            "{\"bench\": \"loader\", \"pictures_per_s\": %.1f, \"threads\": %lld, \"size\": %lld, "
            "\"augment\": \"%s\", \"encoding\": \"%s\", \"height\": %d, \"width\": %d}\n",
            rate, (long long)a->threads, (long long)a->size, a->augment, encoding, info->height,
            info->width);
    else
        printf("%.0f pictures/s  (%s %d x %d -> %lld, augment %s, %lld thread%s, %.1f s)\n", rate,
               encoding, info->height, info->width, (long long)a->size, a->augment,
               (long long)a->threads, a->threads == 1 ? "" : "s", spent_s);
}

static fct_status bench_loader(const bench_args *a)
{
    fct_mix *mix = NULL;
    fct_sampler *sampler = NULL;
    fct_augment *augment = NULL;
    fct_loader *loader = NULL;
    int64_t pictures = 0;
    double spent_s = 0;
    fct_augment_spec change = augment_of(a);
    fct_status status = fct_mix_open(&a->data, 1, a->split, &mix);
    if (status != FCT_OK)
        return status;
    const fct_mix_info *info = fct_mix_describe(mix);
    fct_sampler_spec order = { .kind = FCT_SAMPLER_SHUFFLE,
                               .pictures = info->pictures,
                               .batch = a->batch };
    FCT_TRY_GOTO(fct_sampler_create(&order, &sampler), status, out);
    FCT_TRY_GOTO(fct_augment_create(&change, info->landmarks, info->landmark_name, &augment),
                 status, out);
    fct_loader_spec spec = { .mix = mix,
                             .sampler = sampler,
                             .augment = augment,
                             .is_plain = strcmp(a->augment, "none") == 0,
                             .ranks = 1,
                             .threads = (int)a->threads,
                             .ahead = (int)a->ahead };
    FCT_TRY_GOTO(fct_loader_create(&spec, &loader), status, out);
    FCT_TRY_GOTO(measure(loader, a, &pictures, &spent_s), status, out);
    print_rate(a, mix, pictures, spent_s);
out:
    fct_loader_destroy(loader);
    fct_augment_destroy(augment);
    fct_sampler_destroy(sampler);
    fct_mix_close(mix);
    return status;
}

int fct_bench_loader(int argc, char **argv)
{
    bench_args a = { .split = "train",
                     .augment = "shift",
                     .threads = 1,
                     .size = 112,
                     .batch = 64,
                     .ahead = 4,
                     .seconds = 2 };
    const fct_arg args[] = {
        { "--split", FCT_ARG_STR, &a.split, "NAME", 0, 0, "which pictures" },
        { "--threads", FCT_ARG_INT, &a.threads, "N", 1, 256, "loader threads" },
        { "--size", FCT_ARG_INT, &a.size, "PIXELS", 1, 4096, "height and width of the result" },
        { "--augment", FCT_ARG_STR, &a.augment, "none|shift|crop|all", 0, 0,
          "flip and shift; flip and random resized crop; or every step there is" },
        { "--batch", FCT_ARG_INT, &a.batch, "N", 1, 65536, "pictures a batch" },
        { "--ahead", FCT_ARG_INT, &a.ahead, "N", 1, 256, "batches prepared in advance" },
        { "--seconds", FCT_ARG_REAL, &a.seconds, "S", 0.01, 3600, "how long to measure" },
        { "--json", FCT_ARG_FLAG, &a.json, NULL, 0, 0, "for a machine to read" },
    };
    const fct_arg_table table = {
        .usage = "facet bench loader DATA [options]",
        .about = "Measures how many pictures a second the loader gives from a packed set.",
        .arg = args,
        .n = sizeof args / sizeof *args,
        .min_positional = 1,
        .max_positional = 1,
    };
    int n, done;
    fct_status status = fct_args_parse(&table, argc, argv, &n, &done);
    if (status != FCT_OK || done)
        return fct_cmd_exit(status);
    a.data = argv[1];
    return fct_cmd_exit(bench_loader(&a));
}
