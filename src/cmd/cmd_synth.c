// SPDX-License-Identifier: Apache-2.0
// facet synth: draws the embedded default data.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "facet/clock.h"
#include "facet/synth.h"

typedef struct {
    const char *output, *layout;
    int64_t expression, identities, per_identity, pairs, seed, size, quality, landmarks, classes,
        threads;
    double difficulty;
    int quiet;
} synth_args;

static int64_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 64 ? 64 : n;
}

static fct_synth_spec spec_of(const synth_args *a)
{
    return (fct_synth_spec){
        .output = a->output,
        .expression = a->expression,
        .identities = a->identities,
        .per_identity = a->per_identity,
        .pairs = a->pairs,
        .numeric_folders = strcmp(a->layout, "numeric") == 0,
        .classes = (int)a->classes,
        .landmarks = (int)a->landmarks,
        .size = (int)a->size,
        .quality = (int)a->quality,
        .difficulty = a->difficulty,
        .seed = (uint64_t)a->seed,
        .threads = (int)a->threads,
        .quiet = a->quiet,
    };
}

static void print_set(const char *output, const char *set, long long pictures, long long folders,
                      const char *what)
{
    if (pictures == 0)
        return;
    printf("%s/%s/  %lld pictures, %lld %s\n", output, set, pictures, folders, what);
    printf("%s/%s_landmarks.json\n", output, set);
    printf("%s/%s_au.csv\n", output, set);
}

static fct_status draw(const synth_args *a)
{
    double start_s = fct_clock_s();
    fct_synth_spec spec = spec_of(a);
    FCT_TRY(fct_synth(&spec));
    double spent_s = fct_clock_s() - start_s;
    long long people = 10 * (long long)fct_synth_pair_people(&spec);
    long long drawn = (long long)(a->expression + a->identities * a->per_identity) + 2 * people;
    print_set(a->output, "expression", a->expression, a->classes, "classes");
    print_set(a->output, "identity", a->identities * a->per_identity, a->identities, "people");
    print_set(a->output, "pairs", 2 * people, people, "people");
    if (a->pairs > 0)
        printf("%s/pairs.txt  %lld pairs\n", a->output, 20 * (long long)a->pairs);
    if (!a->quiet)
        fprintf(stderr, "synth: %lld pictures in %.1f s, %.0f/s\n", drawn, spent_s,
                (double)drawn / (spent_s > 0 ? spent_s : 1e-9));
    return FCT_OK;
}

int fct_cmd_synth(int argc, char **argv)
{
    synth_args a = { .layout = "named",
                     .expression = 4000,
                     .identities = 60,
                     .per_identity = 20,
                     .seed = 1,
                     .size = 96,
                     .quality = 90,
                     .landmarks = 5,
                     .classes = 8,
                     .threads = cores(),
                     .difficulty = 0.5 };
    int positional, done;
    const fct_arg args[] = {
        { "-o|--output", FCT_ARG_STR, &a.output, "DIR", 0, 0,
          "the folder to make (missing or empty)" },
        { "--expression", FCT_ARG_INT, &a.expression, "N", 0, 1e7,
          "pictures in expression/, a folder for each class (AffectNet's layout)" },
        { "--identities", FCT_ARG_INT, &a.identities, "N", 0, 1e7,
          "people in identity/, a folder for each (CASIA-WebFace's layout)" },
        { "--per-identity", FCT_ARG_INT, &a.per_identity, "M", 1, 1000, "pictures of each person" },
        { "--pairs", FCT_ARG_INT, &a.pairs, "N", 0, 1e5,
          "verification pairs of each kind in each of ten folds: pairs/ and LFW's pairs.txt, of "
          "people who are not in identity/" },
        { "--seed", FCT_ARG_INT, &a.seed, "S", 0, 9e15, "the same seed draws the same bytes" },
        { "--size", FCT_ARG_INT, &a.size, "PIXELS", 32, 1024, "height and width of a picture" },
        { "--quality", FCT_ARG_INT, &a.quality, "Q", 1, 100, "of the JPEG files" },
        { "--landmarks", FCT_ARG_INT, &a.landmarks, "5|10", 5, 10, "points of each face" },
        { "--layout", FCT_ARG_STR, &a.layout, "named|numeric", 0, 0,
          "class folders neutral, happy, ... or 0, 1, ..." },
        { "--classes", FCT_ARG_INT, &a.classes, "8|7", 7, 8, "7: without contempt" },
        { "--difficulty", FCT_ARG_REAL, &a.difficulty, "D", 0, 1,
          "0 frontal and clean .. 1 turned, hidden, faint" },
        { "--threads", FCT_ARG_INT, &a.threads, "T", 1, 1024, "drawing threads" },
        { "--quiet", FCT_ARG_FLAG, &a.quiet, NULL, 0, 0, "no progress" },
    };
    const fct_arg_table table = {
        .usage = "facet synth -o DIR [options]",
        .about = "Draws faces with known expressions, identities, landmarks and action units.",
        .arg = args,
        .n = sizeof args / sizeof *args,
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return fct_cmd_exit(status);
    return fct_cmd_exit(draw(&a));
}
