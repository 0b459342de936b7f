// SPDX-License-Identifier: Apache-2.0
// The table of subcommands.
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "facet/text.h"

typedef struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    { "synth", "draws faces with known labels: data to try everything with", fct_cmd_synth },
    { "pack", "turns folders of pictures into HDF5 shards", fct_cmd_pack },
    { "train", "trains; under mpirun or srun on all ranks", fct_cmd_train },
    { "eval", "scores a checkpoint on a packed set", fct_cmd_eval },
    { "verify", "tells with a checkpoint whether two faces are one person's", fct_cmd_verify },
    { "inspect", "what a packed set, a picture folder, a checkpoint or a run holds",
      fct_cmd_inspect },
    { "compare", "runs side by side: trains configurations, then a table and curves",
      fct_cmd_compare },
    { "submit", "writes a Slurm job for train or pack and gives it to sbatch", fct_cmd_submit },
    { "bench", "measures parts of facet on their own", fct_cmd_bench },
    { "config", "every option: its type, default, range and meaning", fct_cmd_config },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "facet: trains networks on faces, on one machine or on many\n\n"
                 "usage: facet COMMAND [arguments]\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].about);
    fprintf(out,
            "\n`facet COMMAND --help` tells more; `facet --version` prints the version.\n"
            "Exit code: 0 success, 1 failed, 2 wrong use, 75 stopped early, to be gone on with.\n");
}

static int refuse(const char *name)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *nearest = fct_text_nearest(name, names, COMMANDS);
    FCT_FAIL(FCT_E_ARG, "%.100s: no such command\n%s%s%s", name,
             nearest ? "did you mean `facet " : "", nearest ? nearest : "`facet --help` lists them",
             nearest ? "`?" : "");
    return fct_cmd_exit(FCT_E_ARG);
}

int main(int argc, char **argv)
{
    // Letters and messages follow the user's locale; numbers in files keep their point.
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    if (argc < 2) {
        print_help(stderr);
        return FCT_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return fflush(stdout) == 0 ? FCT_EXIT_OK : FCT_EXIT_FAILED;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("facet %s\n", FACET_VERSION);
        return fflush(stdout) == 0 ? FCT_EXIT_OK : FCT_EXIT_FAILED;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return refuse(argv[1]);
}
