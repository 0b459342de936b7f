// SPDX-License-Identifier: Apache-2.0
// Keeps each rank to its share of the node's cores where the launcher did not.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "facet/log.h"
#include "facet/text.h"
#include "facet/topology.h"
#include "topology_share.h"

typedef struct {
    uint64_t machine; // the same for all ranks that one kernel runs
    uint64_t mask;
    int64_t has_failed;
} card;

typedef struct {
    hwloc_topology_t machine;
    hwloc_cpuset_t mask;
    fct_place_facts facts;
} finder;

static uint64_t hash_of(const char *text)
{
    return XXH3_64bits(text, strlen(text));
}

// Containers and the nodes of a pretended cluster have names of their own, but one kernel.
static uint64_t machine_id(const fct_comm *c)
{
    char text[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (file) {
        if (!fgets(text, sizeof text, file))
            text[0] = 0;
        fclose(file);
    }
    return hash_of(text[0] ? text : fct_comm_host(c));
}

static int look_at_machine(finder *f)
{
    f->mask = hwloc_bitmap_alloc();
    if (!f->mask || hwloc_topology_init(&f->machine) != 0)
        return 0;
    if (hwloc_topology_load(f->machine) != 0 ||
        hwloc_get_cpubind(f->machine, f->mask, HWLOC_CPUBIND_PROCESS) != 0)
        return 0;
    hwloc_const_cpuset_t online = hwloc_topology_get_topology_cpuset(f->machine);
    hwloc_bitmap_and(f->mask, f->mask, online);
    f->facts.machine_cpus = hwloc_bitmap_weight(hwloc_topology_get_complete_cpuset(f->machine));
    f->facts.mask_cpus = hwloc_bitmap_weight(f->mask);
    f->facts.mask_cores = fct_place_count_cores(f->machine, f->mask);
    return f->facts.mask_cpus > 0;
}

static uint64_t mask_id(const finder *f)
{
    char text[4096];
    hwloc_bitmap_list_snprintf(text, sizeof text, f->mask);
    return hash_of(text);
}

// Every rank's card, to every rank.
static fct_status exchange(fct_comm *c, const card *mine, card **out)
{
    size_t bytes = (size_t)fct_comm_size(c) * sizeof **out, total;
    void *gathered;
    FCT_TRY(fct_comm_gather(c, mine, sizeof *mine, &gathered, &total));
    card *all = gathered ? gathered : calloc(1, bytes);
    fct_status status = all ? FCT_OK : FCT_FAIL_NOMEM(bytes, "the ranks' places");
    status = fct_comm_agree(c, status, "finding each rank's cores");
    if (status == FCT_OK)
        status = fct_comm_broadcast(c, all, bytes, 0);
    if (status == FCT_OK)
        *out = all;
    else
        free(all);
    return status;
}

// Whether all ranks of this machine could look at it.
static int read_cards(const card *all, int n, const card *mine, fct_place_facts *f)
{
    int all_well = 1;
    for (int i = 0; i < n; i++)
        if (all[i].machine == mine->machine) {
            f->ranks_here++;
            f->masks_differ |= all[i].mask != mine->mask;
            all_well &= !all[i].has_failed;
        }
    return all_well;
}

static int slurm_cpus(void)
{
    const char *text = getenv("SLURM_CPUS_ON_NODE");
    int64_t n;
    return text && fct_text_to_i64(text, &n) == FCT_OK && n > 0 && n < 1 << 20 ? (int)n : 0;
}

static void describe(const finder *f, fct_place_rule rule, fct_place *out)
{
    const fct_place_facts *k = &f->facts;
    char cores[64];
    hwloc_bitmap_list_snprintf(cores, sizeof cores, f->mask);
    switch (rule) {
    case FCT_PLACE_SHARE:
        snprintf(out->how, sizeof out->how, "cpus %s, bound by facet", cores);
        break;
    case FCT_PLACE_WHOLE:
        snprintf(out->how, sizeof out->how, "all cores of the node");
        break;
    case FCT_PLACE_LAUNCHER:
        snprintf(out->how, sizeof out->how, "cpus %s of %d, bound by the launcher", cores,
                 k->machine_cpus);
        break;
    case FCT_PLACE_OFF:
        snprintf(out->how, sizeof out->how, "not bound: cluster.bind is false");
        break;
    case FCT_PLACE_MACHINE:
        snprintf(out->how, sizeof out->how, "not bound: %d ranks of several nodes on one machine",
                 k->ranks_here);
        break;
    case FCT_PLACE_SLURM:
        snprintf(out->how, sizeof out->how, "not bound: %d of the node's %d cpus are the job's",
                 k->slurm_cpus, k->machine_cpus);
        break;
    case FCT_PLACE_CROWDED:
        snprintf(out->how, sizeof out->how, "not bound: %d ranks on %d cores", k->local_ranks,
                 k->mask_cores);
        break;
    case FCT_PLACE_THREADS:
        snprintf(out->how, sizeof out->how, "not bound: %d threads in each of %d ranks on %d cores",
                 k->threads, k->local_ranks, k->mask_cores);
        break;
    }
}

// The process, with whatever threads MPI has started, goes to its share.
static fct_place_rule settle(finder *f, const fct_comm *c, fct_place *out)
{
    fct_place_rule rule = fct_place_decide(&f->facts, &out->cores);
    hwloc_cpuset_t share = hwloc_bitmap_alloc();
    if (rule == FCT_PLACE_SHARE &&
        (!share ||
         !fct_place_share(f->machine, f->mask, fct_comm_local_rank(c), f->facts.local_ranks,
                          share) ||
         hwloc_set_cpubind(f->machine, share, HWLOC_CPUBIND_PROCESS) != 0)) {
        FCT_WARN("this rank could not be bound to its cores");
        rule = FCT_PLACE_OFF;
    }
    if (rule == FCT_PLACE_SHARE) {
        hwloc_bitmap_copy(f->mask, share);
        out->cores = fct_place_count_cores(f->machine, share);
    }
    int per_core = f->facts.mask_cpus / (f->facts.mask_cores > 0 ? f->facts.mask_cores : 1);
    out->cpus = rule == FCT_PLACE_SHARE ? hwloc_bitmap_weight(share) : out->cores * per_core;
    hwloc_bitmap_free(share);
    return rule;
}

fct_status fct_place_find(fct_comm *c, int bind, int threads, fct_place *out)
{
    finder f = { .facts = { .local_ranks = fct_comm_local_size(c),
                            .slurm_cpus = slurm_cpus(),
                            .threads = threads,
                            .is_off = !bind } };
    card mine = { .machine = machine_id(c), .has_failed = !look_at_machine(&f) }, *all;
    *out = (fct_place){ .cores = 1, .cpus = 1, .how = "not bound: hwloc cannot tell the cores" };
    if (!mine.has_failed)
        mine.mask = mask_id(&f);
    fct_status status = exchange(c, &mine, &all);
    if (status == FCT_OK) {
        if (read_cards(all, fct_comm_size(c), &mine, &f.facts))
            describe(&f, settle(&f, c, out), out);
        else
            FCT_WARN("hwloc cannot tell this machine's cores: one thread each rank");
        free(all);
    }
    if (f.machine)
        hwloc_topology_destroy(f.machine);
    hwloc_bitmap_free(f.mask);
    return status;
}
