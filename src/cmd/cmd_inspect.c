// SPDX-License-Identifier: Apache-2.0
// facet inspect: what a packed set, a shard, a picture folder, a checkpoint or a run holds.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_inspect.h"
#include "facet/inspect.h"
#include "facet/path.h"

static int64_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 16 ? 16 : n;
}

static fct_status inspect(const char *path, const fct_inspect_spec *spec, fct_text *out,
                          int64_t *bad)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", path, strerror(errno));
    if (fct_inspect_is_packed(path))
        return fct_inspect_packed(path, spec, out, bad);
    if (fct_inspect_is_checkpoint(path))
        return fct_inspect_checkpoint(path, spec->is_json, out);
    if (fct_inspect_is_run(path))
        return fct_inspect_run(path, spec->is_json, spec->is_verify, out, bad);
    if (fct_inspect_is_sweep(path))
        return fct_inspect_runs((char *[]){ (char *)path }, 1, spec->is_json, out);
    if (fct_path_is_folder(path))
        return fct_inspect_pictures(path, spec, out);
    return FCT_FAIL(FCT_E_FORMAT, "%s: neither a shard (*.h5) nor a folder", path);
}

// What was found before a failure is still worth reading; half of a JSON object is not.
static fct_status report(char *const *path, int n, const fct_inspect_spec *spec)
{
    fct_text out = { 0 };
    int64_t bad = 0;
    fct_status status = n == 1 ? inspect(path[0], spec, &out, &bad)
                               : fct_inspect_runs(path, n, spec->is_json, &out);
    if (status == FCT_OK && out.failed)
        status = FCT_FAIL_NOMEM(out.size, "what is told");
    if (out.data && (status == FCT_OK || !spec->is_json))
        fwrite(out.data, 1, out.size, stdout);
    fct_text_release(&out);
    if (status == FCT_OK && bad > 0)
        status = FCT_FAIL(FCT_E_FORMAT, "%s: %lld damaged, named above", path[0], (long long)bad);
    return status;
}

int fct_cmd_inspect(int argc, char **argv)
{
    fct_inspect_spec spec = { 0 };
    int64_t threads = cores();
    int positional, done;
    const fct_arg args[] = {
        { "--verify", FCT_ARG_FLAG, &spec.is_verify, NULL, 0, 0,
          "read every picture and compare its checksum" },
        { "--au", FCT_ARG_FLAG, &spec.is_action_units, NULL, 0, 0,
          "positives, negatives and nulls of every action unit" },
        { "--class-map", FCT_ARG_STR, &spec.class_map, "MAP", 0, 0,
          "classes of a picture folder's folders: FILE.json or a=happy,b=sad" },
        { "--landmarks", FCT_ARG_STR, &spec.landmarks, "FILE", 0, 0,
          "JSON cache that goes with a folder of pictures" },
        { "--au-file", FCT_ARG_STR, &spec.action_units, "FILE", 0, 0,
          "csv that goes with a folder of pictures" },
        { "--json", FCT_ARG_FLAG, &spec.is_json, NULL, 0, 0, "one JSON object" },
        { "--threads", FCT_ARG_INT, &threads, "T", 1, 1024, "readers of --verify" },
        { "--quiet", FCT_ARG_FLAG, &spec.is_quiet, NULL, 0, 0, "no progress" },
    };
    const fct_arg_table table = {
        .usage = "facet inspect PATH [RUN ...] [--verify] [--au] [--json]",
        .about = "Says what a packed set, a shard, a folder of pictures, a checkpoint or a run "
                 "holds; of several runs, or of a sweep's folder, it makes a table.",
        .arg = args,
        .n = sizeof args / sizeof *args,
        .min_positional = 1,
        .max_positional = -1,
    };
    fct_status status = fct_args_parse(&table, argc, argv, &positional, &done);
    if (status != FCT_OK || done)
        return fct_cmd_exit(status);
    spec.threads = (int)threads;
    return fct_cmd_exit(report(argv + 1, positional, &spec));
}
