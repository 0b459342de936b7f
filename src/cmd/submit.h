// SPDX-License-Identifier: Apache-2.0
// The parts of `facet submit`: the job script, the members of a sweep, and talking to Slurm.
#ifndef FACET_SUBMIT_H
#define FACET_SUBMIT_H

#include "cmd.h"
#include "facet/options.h"
#include "facet/path.h"

typedef struct { // what the command line asked for; NULL or 0: not given
    int64_t nodes, gpus, ranks, cpus;
    const char *partition, *time, *account, *qos, *constraint, *array, *dependency, *mem, *name;
    const char *launcher; // auto, srun, mpirun
    const char *extra;    // further #SBATCH options
    const char *output, *pack;
    fct_arg_list sweep; // "key=value,value"
    int dry_run;
} fct_submit_spec;

// ---- submit_check.c
// Not collective. E_ARG unless the options of the command line fit each other; fills ranks.
fct_status fct_submit_check_spec(fct_submit_spec *s);
// Not collective. E_ARG unless the data is where the configuration says, and enough for the ranks.
fct_status fct_submit_check_options(const fct_options *o, const fct_submit_spec *s);

// ---- submit_script.c: templates of slurm/ with their @WORDS@ replaced
typedef enum {
    FCT_WORD_TEXT,   // as it is, of any number of lines
    FCT_WORD_LINE,   // as it is
    FCT_WORD_SHELL,  // quoted for the shell
    FCT_WORD_SBATCH, // quoted for an #SBATCH line
} fct_word_kind;
typedef struct {
    int n;
    struct {
        const char *name;
        fct_text value;
    } word[40];
} fct_words;

// Not collective, none of these. NULL is ""; E_ARG when there is a line's end where none may be.
fct_status fct_words_add(fct_words *w, const char *name, fct_word_kind kind, const char *value);
fct_status fct_words_add_int(fct_words *w, const char *name, int64_t value);
void fct_words_release(fct_words *w);
void fct_shell_quote(const char *text, fct_text *out);
// Adds a template of slurm/ ("train.sbatch") to `out`. An #SBATCH line whose word is empty is left
// out; @LAUNCH@ is slurm/launch.sh.
fct_status fct_template_render(const char *name, const fct_words *words, fct_text *out);

// ---- submit_sweep.c
typedef struct {
    char name[128]; // "002-landmark_weight=0.3"
    fct_options *options;
} fct_member;
typedef struct {
    int n;
    fct_member *member;
} fct_sweep;

// Every combination of the sweep's values, the last key's changing fastest, over the configuration
// that `argument` (n: CONFIG key=value ...) names; each member's run.dir is its folder in `folder`.
fct_status fct_sweep_create(const fct_arg_list *sweep, int n, char **argument, const char *folder,
                            fct_sweep *out);
void fct_sweep_release(fct_sweep *s);

// ---- submit_job.c
// "srun" where Slurm has PMIx, else "mpirun"; `asked` when it is not "auto".
const char *fct_submit_launcher(const char *asked);
// Gives a script to sbatch; its answer is the job's id.
fct_status fct_submit_send(const char *script, char id[32]);
// How long Slurm waits between telling a job to end and killing it ("30 s"); "" when unknown.
void fct_submit_kill_wait(char out[32]);

#endif
