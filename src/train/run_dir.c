// SPDX-License-Identifier: Apache-2.0
// Makes and fills the run directory.
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "run_dir.h"

enum { MOST_LOG_BYTES = 1 << 30 };

static fct_status choose(const fct_options *o, const char *mode, const char *resumed,
                         char out[FCT_PATH_MAX])
{
    char stamp[32];
    int n;
    fct_clock_stamp(stamp);
    if (resumed)
        n = snprintf(out, FCT_PATH_MAX, "%s", resumed);
    else if (o->run_dir[0])
        n = snprintf(out, FCT_PATH_MAX, "%s", o->run_dir);
    else
        n = snprintf(out, FCT_PATH_MAX, "%s/%s/%s/%s/%s", o->run_root, stamp, o->run_name,
                     o->model_backbone, mode);
    return n < FCT_PATH_MAX
               ? FCT_OK
               : FCT_FAIL(FCT_E_ARG, "run.dir: the path is longer than %d bytes", FCT_PATH_MAX);
}

static fct_status make(fct_run_dir *r, int is_new)
{
    static const char *const inside[] = { "checkpoints", "predictions" };
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, r->path, "checkpoints/last"));
    if (is_new && fct_path_is_file(path)) // a run that died before its first checkpoint may go
        return FCT_FAIL(FCT_E_ARG,
                        "%s: already holds a run\ngo on with --resume %s, or name another run.dir",
                        r->path, r->path);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        FCT_TRY(fct_path_join(path, r->path, inside[i]));
        FCT_TRY(fct_path_make_folders(path));
    }
    FCT_TRY(fct_path_join(path, r->path, "train.log"));
    return fct_log_set_file(path);
}

fct_status fct_run_dir_open(const fct_options *o, fct_comm *c, const char *mode,
                            const char *resumed, fct_run_dir *out)
{
    fct_run_dir r = { .path = "" };
    fct_status status = FCT_OK;
    if (fct_comm_rank(c) == 0) {
        status = choose(o, mode, resumed, r.path);
        if (status == FCT_OK)
            status = make(&r, !resumed);
    }
    FCT_TRY(fct_comm_agree(c, status, "opening the run directory"));
    FCT_TRY(fct_comm_broadcast(c, r.path, sizeof r.path, 0));
    FCT_TRY(fct_path_join(r.checkpoints, r.path, "checkpoints"));
    *out = r;
    return FCT_OK;
}

void fct_run_dir_release(fct_run_dir *r)
{
    if (r->steps)
        fclose(r->steps);
    r->steps = NULL;
    fct_text_release(&r->metrics);
}

fct_status fct_run_dir_newest(const fct_options *o, fct_comm *c, const char *mode,
                              char out[FCT_PATH_MAX])
{
    char pattern[FCT_PATH_MAX];
    memset(out, 0, FCT_PATH_MAX);
    if (fct_comm_rank(c) == 0 && o->run_dir[0]) {
        snprintf(pattern, sizeof pattern, "%s/checkpoints/last", o->run_dir);
        if (fct_path_is_file(pattern) || fct_path_is_folder(pattern))
            snprintf(out, FCT_PATH_MAX, "%s", o->run_dir);
    } else if (fct_comm_rank(c) == 0) {
        glob_t found = { 0 };
        snprintf(pattern, sizeof pattern, "%s/*/%s/%s/%s/checkpoints/last", o->run_root,
                 o->run_name, o->model_backbone, mode);
        if (glob(pattern, 0, NULL, &found) == 0) { // sorted by name: the last is the newest date
            snprintf(out, FCT_PATH_MAX, "%s", found.gl_pathv[found.gl_pathc - 1]);
            out[strlen(out) - strlen("/checkpoints/last")] = 0;
        }
        globfree(&found);
    }
    return fct_comm_broadcast(c, out, FCT_PATH_MAX, 0);
}

static fct_status write_config(const fct_run_dir *r, const fct_options *o)
{
    char path[FCT_PATH_MAX];
    fct_text text = { 0 };
    fct_options_print(o, &text);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "config.cfg")
                                    : fct_path_join(path, r->path, "config.cfg");
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}

static fct_status write_manifest(const fct_run_dir *r, const fct_options *o, const fct_comm *c,
                                 const char *hosts, uint64_t data_hash, int64_t parameters)
{
    char path[FCT_PATH_MAX], stamp[32];
    fct_text text = { 0 };
    fct_clock_stamp(stamp);
    fct_text_add(&text, "{\n  \"facet\": \"%s\",\n  \"started\": \"%s\",\n", FACET_VERSION, stamp);
    fct_text_add(&text, "  \"seed\": %lld,\n  \"ranks\": %d,\n  \"comm\": \"%s\",\n",
                 (long long)o->train_seed, fct_comm_size(c), fct_comm_kind(c));
    fct_text_add(&text, "  \"data_hash\": \"%016llx\",\n  \"config_hash\": \"%016llx\",\n",
                 (unsigned long long)data_hash, (unsigned long long)fct_options_hash(o));
    fct_text_add(&text, "  \"parameters\": %lld,\n  \"hosts\": [", (long long)parameters);
    for (int i = 0; i < fct_comm_size(c); i++) {
        fct_text_add(&text, i ? ", " : "");
        fct_text_add_json(&text, hosts + 64 * i);
    }
    fct_text_add(&text, "]\n}\n");
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "manifest.json")
                                    : fct_path_join(path, r->path, "manifest.json");
    if (status == FCT_OK)
        status = fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}

fct_status fct_run_dir_describe(const fct_run_dir *r, const fct_options *o, fct_comm *c,
                                uint64_t data_hash, int64_t parameters)
{
    char mine[64] = "";
    void *hosts = NULL;
    size_t total;
    snprintf(mine, sizeof mine, "%s", fct_comm_host(c));
    FCT_TRY(fct_comm_gather(c, mine, sizeof mine, &hosts, &total));
    fct_status status = FCT_OK;
    if (fct_comm_rank(c) == 0) {
        status = write_config(r, o);
        if (status == FCT_OK)
            status = write_manifest(r, o, c, hosts, data_hash, parameters);
    }
    free(hosts);
    return fct_comm_agree(c, status, "writing the run directory");
}

fct_status fct_run_dir_write_metrics(const fct_run_dir *r)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, r->path, "metrics.csv"));
    if (r->metrics.failed)
        return FCT_FAIL_NOMEM(r->metrics.size, "metrics.csv");
    return fct_path_replace(path, r->metrics.data, r->metrics.size);
}

fct_status fct_run_dir_trim_steps(const fct_run_dir *r, int64_t step)
{
    char path[FCT_PATH_MAX], *text;
    size_t size;
    FCT_TRY(fct_path_join(path, r->path, "steps.csv"));
    if (!fct_path_is_file(path))
        return FCT_OK;
    FCT_TRY(fct_path_read(path, MOST_LOG_BYTES, &text, &size));
    char *at = strchr(text, '\n');
    at = at ? at + 1 : text + size;
    while (*at && strtoll(at, NULL, 10) <= step) {
        char *end = strchr(at, '\n');
        if (!end) // a row cut off when the process was killed
            break;
        at = end + 1;
    }
    fct_status status = fct_path_replace(path, text, (size_t)(at - text));
    free(text);
    return status;
}

static fct_status add_step(fct_run_dir *r, const char *header, const char *row)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, r->path, "steps.csv"));
    if (!r->steps) {
        int is_new = !fct_path_is_file(path);
        r->steps = fopen(path, "a");
        if (!r->steps)
            return FCT_FAIL(FCT_E_IO, "%s: cannot open: %s", path, strerror(errno));
        if (is_new)
            fprintf(r->steps, "%s\n", header);
    }
    if (fprintf(r->steps, "%s\n", row) < 0 || fflush(r->steps) != 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot write: %s", path, strerror(errno));
    return FCT_OK;
}

void fct_run_dir_add_step(fct_run_dir *r, const char *header, const char *row)
{
    if (r->steps_failed || add_step(r, header, row) == FCT_OK)
        return;
    r->steps_failed = 1;
    FCT_WARN("%s; no more rows will be written", fct_fail_text());
}
