// SPDX-License-Identifier: Apache-2.0
// manifest.json: what a run is, and its lives: one entry for each process group that worked on it.
#include <jansson.h>
#include <stdlib.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "run_dir.h"

enum { HOST = 64 };

static json_t *hosts_of(const fct_comm *c, const char *hosts)
{
    json_t *list = json_array();
    for (int i = 0; i < fct_comm_size(c); i++)
        json_array_append_new(list, json_string(hosts + (size_t)HOST * (size_t)i));
    return list;
}

// The environment's word as a string, null where there is none.
static json_t *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? json_string(value) : json_null();
}

static json_t *life_of(const fct_comm *c, const char *stamp, const char *hosts,
                       const fct_run_facts *f)
{
    return json_pack("{s:s, s:I, s:i, s:s, s:s, s:o, s:o, s:o}", "started", stamp, "from_step",
                     (json_int_t)f->step, "ranks", fct_comm_size(c), "comm", fct_comm_kind(c),
                     "device", f->device, "hosts", hosts_of(c, hosts), "slurm_job",
                     variable("SLURM_JOB_ID"), "slurm_restarts", variable("SLURM_RESTART_COUNT"));
}

// What earlier lives wrote; an empty object for a new run, and where it cannot be read.
static json_t *read_old(const char *path)
{
    json_error_t error;
    json_t *old = fct_path_is_file(path) ? json_load_file(path, 0, &error) : json_object();
    if (!json_is_object(old)) {
        FCT_WARN("%s: cannot be read, its earlier lives are forgotten", path);
        json_decref(old);
        old = json_object();
    }
    if (!json_is_array(json_object_get(old, "lives")))
        json_object_set_new(old, "lives", json_array());
    return old;
}

static void set_hash(json_t *manifest, const char *name, uint64_t hash)
{
    json_object_set_new(manifest, name, json_sprintf("%016llx", (unsigned long long)hash));
}

static fct_status write(const char *path, const json_t *manifest)
{
    char *text = json_dumps(manifest, JSON_INDENT(2));
    fct_text whole = { 0 };
    if (text)
        fct_text_add(&whole, "%s\n", text);
    fct_status status = text && !whole.failed ? fct_path_replace(path, whole.data, whole.size)
                                              : FCT_FAIL_NOMEM(whole.size, path);
    fct_text_release(&whole);
    free(text);
    return status;
}

fct_status fct_manifest_write(const fct_run_dir *r, const fct_run_facts *f, const fct_comm *c,
                              const char *hosts)
{
    char path[FCT_PATH_MAX], stamp[32];
    fct_clock_stamp(stamp);
    FCT_TRY(fct_path_join(path, r->path, "manifest.json"));
    json_t *m = f->step > 0 ? read_old(path) : json_pack("{s:[]}", "lives");
    if (!m)
        return FCT_FAIL_NOMEM(1, path);
    if (!json_object_get(m, "started"))
        json_object_set_new(m, "started", json_string(stamp));
    json_object_set_new(m, "facet", json_string(FACET_VERSION));
    json_object_set_new(m, "seed", json_integer(f->options->train_seed));
    json_object_set_new(m, "ranks", json_integer(fct_comm_size(c)));
    json_object_set_new(m, "comm", json_string(fct_comm_kind(c)));
    set_hash(m, "data_hash", f->data_hash);
    set_hash(m, "config_hash", fct_options_hash(f->options));
    json_object_set_new(m, "parameters", json_integer(f->parameters));
    json_object_set_new(m, "hosts", hosts_of(c, hosts));
    json_array_append_new(json_object_get(m, "lives"), life_of(c, stamp, hosts, f));
    fct_status status = write(path, m);
    json_decref(m);
    return status;
}
