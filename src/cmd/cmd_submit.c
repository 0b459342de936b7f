// SPDX-License-Identifier: Apache-2.0
// facet submit: checks what is to run, writes the job script, gives it to sbatch.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "submit.h"

enum { DEFAULT_CPUS = 4 };

typedef struct {
    const fct_submit_spec *spec;
    char folder[FCT_PATH_MAX]; // the run's, the sweep's or the packed set's, absolute
    char stem[FCT_PATH_MAX];   // what the names of script and log begin with
    char script[FCT_PATH_MAX];
    const char *name, *launcher, *pattern;
    int64_t restarts;
    fct_words words;
    char id[32];
} job;

// ---- folders and words

static fct_status make_absolute(const char *path, char out[FCT_PATH_MAX])
{
    char here[FCT_PATH_MAX];
    if (!getcwd(here, sizeof here))
        return FCT_FAIL(FCT_E_IO, "the current folder has no path: %s", strerror(errno));
    FCT_TRY(fct_path_join(out, path[0] == '/' ? path : here, path[0] == '/' ? "" : path));
    for (size_t n = strlen(out); n > 1 && out[n - 1] == '/';)
        out[--n] = 0;
    return FCT_OK;
}

static fct_status choose_folder(job *j, const fct_options *o, const char *last)
{
    char dated[FCT_PATH_MAX], stamp[32];
    const char *chosen = j->spec->output ? j->spec->output : o->run_dir;
    fct_clock_stamp(stamp);
    if (snprintf(dated, sizeof dated, "%s/%s/%s/%s/%s", o->run_root, stamp, o->run_name,
                 o->model_backbone, last) >= FCT_PATH_MAX)
        return FCT_FAIL(FCT_E_ARG, "run.root: the path is too long");
    FCT_TRY(make_absolute(*chosen ? chosen : dated, j->folder));
    return fct_path_join(j->stem, j->folder, "");
}

// A % in the path is one; what Slurm fills in follows.
static fct_status add_log(job *j, const char *pattern)
{
    fct_text text = { 0 };
    for (const char *p = j->stem; *p; p++)
        fct_text_add(&text, "%c%s", *p, *p == '%' ? "%" : "");
    fct_text_add(&text, "%s", pattern);
    j->pattern = pattern;
    fct_status status = fct_words_add(&j->words, "LOG", FCT_WORD_SBATCH, text.data);
    fct_text_release(&text);
    return status;
}

static fct_status add_words(job *j)
{
    const fct_submit_spec *s = j->spec;
    char here[FCT_PATH_MAX], program[FCT_PATH_MAX], gpus[24] = "";
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    FCT_TRY(make_absolute("", here));
    if (s->gpus)
        snprintf(gpus, sizeof gpus, "%lld", (long long)s->gpus);
    const struct {
        const char *name, *value;
        fct_word_kind kind;
    } texts[] = {
        { "NAME", j->name, FCT_WORD_SBATCH },
        { "PARTITION", s->partition, FCT_WORD_SBATCH },
        { "TIME", s->time, FCT_WORD_SBATCH },
        { "ACCOUNT", s->account, FCT_WORD_SBATCH },
        { "QOS", s->qos, FCT_WORD_SBATCH },
        { "CONSTRAINT", s->constraint, FCT_WORD_SBATCH },
        { "DEPENDENCY", s->dependency, FCT_WORD_SBATCH },
        { "MEM", s->mem, FCT_WORD_SBATCH },
        { "GPUS", gpus, FCT_WORD_LINE },
        { "FOLDER", here, FCT_WORD_SBATCH },
        { "EXTRA", s->extra, FCT_WORD_LINE },
        { "FACET", program, FCT_WORD_SHELL },
        { "RUN", j->folder, FCT_WORD_SHELL },
        { "LAUNCHER", j->launcher, FCT_WORD_LINE },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        FCT_TRY(fct_words_add(&j->words, texts[i].name, texts[i].kind, texts[i].value));
    FCT_TRY(fct_words_add_int(&j->words, "NODES", s->nodes));
    FCT_TRY(fct_words_add_int(&j->words, "RANKS", s->ranks));
    FCT_TRY(fct_words_add_int(&j->words, "CPUS", s->cpus));
    return fct_words_add_int(&j->words, "RESTARTS", j->restarts);
}

// ---- writing and submitting

static fct_status write_config(const fct_options *o, const char *folder)
{
    char path[FCT_PATH_MAX];
    fct_text text = { 0 };
    fct_options_print(o, &text);
    fct_status status =
        text.failed ? FCT_FAIL_NOMEM(text.size, "config.cfg") : fct_path_make_folders(folder);
    if (status == FCT_OK)
        status = fct_path_join(path, folder, "config.cfg");
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}

// The script on standard output, or beside the run and in the queue.
static fct_status publish(job *j, const char *template, const char *ending, char id[32])
{
    fct_text script = { 0 };
    fct_status status = fct_template_render(template, &j->words, &script);
    if (snprintf(j->script, sizeof j->script, "%s%s", j->stem, ending) >= FCT_PATH_MAX)
        status = FCT_FAIL(FCT_E_ARG, "%.200s...: the path is too long", j->stem);
    if (status == FCT_OK && j->spec->dry_run) {
        fputs(script.data, stdout);
    } else if (status == FCT_OK) {
        status = fct_path_replace(j->script, script.data, script.size);
        if (status == FCT_OK)
            status = fct_submit_send(j->script, id);
    }
    fct_text_release(&script);
    return status;
}

// The log's name for a shell: %j and %A are the job, %a stands for every task.
static void add_log_name(const job *j, fct_text *out)
{
    fct_shell_quote(j->stem, out);
    for (const char *p = j->pattern; *p; p++)
        if (*p == '%' && p[1])
            fct_text_add(out, "%s", *++p == 'a' ? "*" : j->id);
        else
            fct_text_add(out, "%c", *p);
}

static void print_how_to_follow(const job *j, const char *what)
{
    const fct_submit_spec *s = j->spec;
    char wait[32];
    fct_text log = { 0 };
    if (s->dry_run) {
        FCT_INFO("dry run: nothing was written or submitted");
        return;
    }
    fct_submit_kill_wait(wait);
    add_log_name(j, &log);
    printf("job %s: %s on %lld x %lld ranks of %lld cpus, by %s\n", j->id, what,
           (long long)s->nodes, (long long)s->ranks, (long long)s->cpus, j->launcher);
    printf("  script   %s\n  log      %s\n", j->script, log.data ? log.data : "");
    printf("  follow   tail -F %s\n  state    squeue -j %s\n", log.data ? log.data : "", j->id);
    printf("  stop     scancel %s", j->id);
    if (!s->pack)
        printf("    # a checkpoint is saved first%s%s%s", *wait ? ", in KillWait's " : "", wait,
               *wait ? "" : ", within KillWait");
    printf("\n");
    fct_text_release(&log);
}

// ---- what can be submitted

static fct_status submit_train(job *j, int n, char **argument)
{
    fct_options *o = NULL;
    FCT_TRY(fct_args_options(n, argument, &o));
    j->name = j->spec->name ? j->spec->name : o->run_name;
    j->restarts = o->cluster_requeue;
    fct_status status = fct_submit_check_options(o, j->spec);
    if (status == FCT_OK)
        status = choose_folder(j, o, "job");
    if (status == FCT_OK)
        status = fct_options_set(o, "run.dir", j->folder, "--output");
    if (status == FCT_OK)
        status = add_words(j);
    if (status == FCT_OK)
        status = fct_words_add(&j->words, "ARRAY", FCT_WORD_LINE, j->spec->array);
    if (status == FCT_OK)
        status = add_log(j, j->spec->array ? "slurm-%A_%a.log" : "slurm-%j.log");
    if (status == FCT_OK && !j->spec->dry_run)
        status = write_config(o, j->folder);
    if (status == FCT_OK)
        status = publish(j, "train.sbatch", "job.sbatch", j->id);
    if (status == FCT_OK)
        print_how_to_follow(j, "a training");
    fct_options_destroy(o);
    return status;
}

static fct_status check_members(const job *j, const fct_sweep *sweep)
{
    for (int i = 0; i < sweep->n; i++) {
        FCT_TRY(fct_submit_check_options(sweep->member[i].options, j->spec));
        if (!j->spec->dry_run)
            FCT_TRY(write_config(sweep->member[i].options, sweep->member[i].options->run_dir));
    }
    return FCT_OK;
}

static fct_status add_members(job *j, const fct_sweep *sweep)
{
    fct_text names = { 0 };
    char tasks[64];
    for (int i = 0; i < sweep->n; i++)
        fct_text_add(&names, "%s    %s", i ? "\n" : "", sweep->member[i].name);
    snprintf(tasks, sizeof tasks, "0-%d%.40s", sweep->n - 1, j->spec->array ? j->spec->array : "");
    fct_status status = fct_words_add(&j->words, "MEMBERS", FCT_WORD_TEXT, names.data);
    fct_text_release(&names);
    return status == FCT_OK ? fct_words_add(&j->words, "ARRAY", FCT_WORD_LINE, tasks) : status;
}

// A small job for when all members have ended; without it nothing is lost.
static fct_status submit_table(job *j)
{
    char id[32] = "";
    job table = { .spec = j->spec, .name = j->name, .launcher = j->launcher };
    memcpy(table.folder, j->folder, sizeof table.folder);
    memcpy(table.stem, j->stem, sizeof table.stem);
    fct_status status = add_words(&table);
    if (status == FCT_OK)
        status = fct_words_add(&table.words, "AFTER", FCT_WORD_LINE, *j->id ? j->id : "JOB");
    if (status == FCT_OK)
        status = add_log(&table, "table-%j.log");
    if (status == FCT_OK)
        status = publish(&table, "table.sbatch", "table.sbatch", id);
    fct_words_release(&table.words);
    if (status != FCT_OK && *j->id) {
        FCT_WARN("no job makes the table: %s", fct_fail_text());
        status = FCT_OK;
    }
    if (status == FCT_OK && !j->spec->dry_run)
        printf("  table    %s/table.txt, by job %s at the end; facet inspect %s at any time\n",
               j->folder, *id ? id : "-", j->folder);
    return status;
}

static fct_status run_sweep(job *j, const fct_sweep *sweep)
{
    char what[64];
    FCT_TRY(check_members(j, sweep));
    FCT_TRY(add_words(j));
    FCT_TRY(add_members(j, sweep));
    FCT_TRY(add_log(j, "slurm-%A_%a.log"));
    FCT_TRY(publish(j, "sweep.sbatch", "job.sbatch", j->id));
    snprintf(what, sizeof what, "%d trainings", sweep->n);
    print_how_to_follow(j, what);
    return submit_table(j);
}

static fct_status submit_sweep(job *j, int n, char **argument)
{
    fct_options *o = NULL;
    fct_sweep sweep = { 0 };
    FCT_TRY(fct_args_options(n, argument, &o));
    j->name = j->spec->name ? j->spec->name : o->run_name;
    j->restarts = o->cluster_requeue;
    fct_status status = choose_folder(j, o, "sweep");
    if (status == FCT_OK)
        status = fct_sweep_create(&j->spec->sweep, n, argument, j->folder, &sweep);
    if (status == FCT_OK)
        status = run_sweep(j, &sweep);
    fct_sweep_release(&sweep);
    fct_options_destroy(o);
    return status;
}

// "facet pack INPUT -o DIR" and what stood behind "--".
static fct_status check_pack(job *j, int n, char **argument, fct_text *out)
{
    const fct_submit_spec *s = j->spec;
    char input[FCT_PATH_MAX];
    char **all = malloc(((size_t)n + 5) * sizeof *all);
    if (!all)
        return FCT_FAIL_NOMEM(((size_t)n + 5) * sizeof *all, "the arguments");
    fct_status status = make_absolute(s->pack, input);
    char *first[] = { "pack", input, "-o", j->folder };
    memcpy(all, first, sizeof first);
    memcpy(all + 4, argument, (size_t)n * sizeof *all);
    all[n + 4] = NULL;
    for (int i = 1; i < n + 4; i++) {
        fct_text_add(out, "%s", i > 1 ? " " : "");
        fct_shell_quote(all[i], out);
    }
    if (status == FCT_OK && access(input, R_OK) != 0)
        status = FCT_FAIL(FCT_E_ARG, "--pack: %s: %s", input, strerror(errno));
    if (status == FCT_OK)
        status = fct_cmd_pack_check(n + 4, all);
    free(all);
    return status;
}

static fct_status submit_pack(job *j, int n, char **argument)
{
    fct_text arguments = { 0 };
    if (!j->spec->output)
        return FCT_FAIL(FCT_E_ARG, "--pack: -o is missing: the folder of the packed set");
    FCT_TRY(make_absolute(j->spec->output, j->folder));
    snprintf(j->stem, sizeof j->stem, "%.4000s.", j->folder); // beside it: the folder is pack's own
    j->name = j->spec->name ? j->spec->name : "facet-pack";
    j->restarts = 20;
    fct_status status = check_pack(j, n, argument, &arguments);
    if (status == FCT_OK)
        status = add_words(j);
    if (status == FCT_OK)
        status = fct_words_add(&j->words, "ARGUMENTS", FCT_WORD_LINE, arguments.data);
    if (status == FCT_OK)
        status = add_log(j, "slurm-%j.log");
    if (status == FCT_OK)
        status = publish(j, "pack.sbatch", "sbatch", j->id);
    if (status == FCT_OK)
        print_how_to_follow(j, "a packing");
    fct_text_release(&arguments);
    return status;
}

static fct_status submit(fct_submit_spec *spec, int n, char **argument)
{
    job *j = calloc(1, sizeof *j);
    if (!j)
        return FCT_FAIL_NOMEM(sizeof *j, "a job");
    j->spec = spec;
    fct_status status = fct_submit_check_spec(spec);
    j->launcher = fct_submit_launcher(spec->launcher);
    if (status == FCT_OK)
        status = spec->pack      ? submit_pack(j, n, argument)
                 : spec->sweep.n ? submit_sweep(j, n, argument)
                                 : submit_train(j, n, argument);
    fct_words_release(&j->words);
    free(j);
    return status;
}

int fct_cmd_submit(int argc, char **argv)
{
    fct_submit_spec s = { .launcher = "auto", .cpus = DEFAULT_CPUS };
    int positional, done;
    const fct_arg args[] = {
        { "--nodes", FCT_ARG_INT, &s.nodes, "N", 1, 1e5, "how many nodes; needed" },
        { "--gpus-per-node", FCT_ARG_INT, &s.gpus, "G", 1, 64, "one rank for each GPU" },
        { "--ranks-per-node", FCT_ARG_INT, &s.ranks, "R", 1, 1024,
          "ranks of a node without GPUs; otherwise 1" },
        { "--cpus-per-rank", FCT_ARG_INT, &s.cpus, "C", 1, 1024,
          "shared by a rank's compute and loader threads" },
        { "--partition", FCT_ARG_STR, &s.partition, "P", 0, 0, "as sbatch's" },
        { "--time", FCT_ARG_STR, &s.time, "T", 0, 0, "as sbatch's" },
        { "--account", FCT_ARG_STR, &s.account, "A", 0, 0, "as sbatch's" },
        { "--qos", FCT_ARG_STR, &s.qos, "Q", 0, 0, "as sbatch's" },
        { "--constraint", FCT_ARG_STR, &s.constraint, "C", 0, 0, "as sbatch's" },
        { "--dependency", FCT_ARG_STR, &s.dependency, "D", 0, 0, "as sbatch's" },
        { "--mem", FCT_ARG_STR, &s.mem, "M", 0, 0, "as sbatch's" },
        { "--name", FCT_ARG_STR, &s.name, "NAME", 0, 0, "the job's; otherwise run.name" },
        { "--array", FCT_ARG_STR, &s.array, "SPEC", 0, 0,
          "1-9%1: up to nine jobs, one after another, that go on with the same run; with --sweep "
          "%M: M members at a time" },
        { "--sbatch", FCT_ARG_STR, &s.extra, "OPTIONS", 0, 0, "further #SBATCH options" },
        { "--launcher", FCT_ARG_STR, &s.launcher, "auto|srun|mpirun", 0, 0,
          "auto: srun where Slurm has PMIx" },
        { "--sweep", FCT_ARG_LIST, &s.sweep, "KEY=V,V,...", 0, 0,
          "a training for each value; several sweeps: for each combination" },
        { "--pack", FCT_ARG_STR, &s.pack, "INPUT", 0, 0,
          "pack pictures into -o; options of facet pack follow behind --" },
        { "-o|--output", FCT_ARG_STR, &s.output, "DIR", 0, 0,
          "the run's folder, the sweep's or the packed set's; otherwise a dated one in run.root" },
        { "--dry-run", FCT_ARG_FLAG, &s.dry_run, NULL, 0, 0, "print the script, submit nothing" },
    };
    const fct_arg_table table = {
        .usage = "facet submit CONFIG [key=value ...] --nodes N [options]",
        .about = "Checks a training, a sweep of trainings or a packing, writes its Slurm job and "
                 "gives it to sbatch.",
        .arg = args,
        .n = sizeof args / sizeof *args,
        .min_positional = 0,
        .max_positional = -1,
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return status == FCT_OK ? FCT_EXIT_OK : fct_cmd_exit(status);
    return fct_cmd_exit(submit(&s, positional, argv + 1));
}
