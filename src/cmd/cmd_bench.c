// SPDX-License-Identifier: Apache-2.0
// facet bench: measures parts of facet on their own; the table of measurements.
#include <stdio.h>
#include <string.h>

#include "bench.h"

typedef struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} measurement;

static const measurement measurements[] = {
    { "loader", "pictures a second that the loader gives from a packed set", fct_bench_loader },
    { "step", "seconds of a training step, by part; under mpirun or srun on all ranks",
      fct_bench_step },
    { "allreduce", "the sum of gradients over ranks, or a model of it for 8 to 1,024 devices",
      fct_bench_allreduce },
};
enum { MEASUREMENTS = sizeof measurements / sizeof *measurements };

int fct_cmd_bench(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < MEASUREMENTS; i++)
        if (!strcmp(name, measurements[i].name))
            return measurements[i].run(argc - 1, argv + 1);
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        printf("usage: facet bench MEASUREMENT ...\n\n");
        for (int i = 0; i < MEASUREMENTS; i++)
            printf("  %-9s  %s\n", measurements[i].name, measurements[i].about);
        printf("\n`facet bench MEASUREMENT --help` tells more.\n");
        return fct_cmd_exit(FCT_OK);
    }
    const char *what = !*name           ? "an argument is missing"
                       : name[0] == '-' ? ": no such option"
                                        : ": no such measurement";
    return fct_cmd_exit(
        FCT_FAIL(FCT_E_ARG, "%.100s%s\nusage: facet bench loader|step|allreduce ...", name, what));
}
