// SPDX-License-Identifier: Apache-2.0
// How the cores of a node are shared by its ranks, and when facet had better leave that alone.
#include "topology_share.h"

static int at_least_one(int n)
{
    return n > 1 ? n : 1;
}

fct_place_rule fct_place_decide(const fct_place_facts *f, int *cores)
{
    int fair = at_least_one(f->mask_cores / at_least_one(f->local_ranks));
    *cores = fair;
    if (f->masks_differ) {
        *cores = at_least_one(f->mask_cores);
        return FCT_PLACE_LAUNCHER;
    }
    if (f->ranks_here > f->local_ranks) {
        *cores = at_least_one(f->mask_cores / f->ranks_here);
        return FCT_PLACE_MACHINE;
    }
    if (f->slurm_cpus > 0 && f->slurm_cpus < f->mask_cpus) {
        int mine = at_least_one(f->slurm_cpus / f->local_ranks);
        *cores = mine < fair ? mine : fair;
        return FCT_PLACE_SLURM;
    }
    if (f->local_ranks == 1)
        return f->mask_cpus < f->machine_cpus ? FCT_PLACE_LAUNCHER : FCT_PLACE_WHOLE;
    if (f->local_ranks > f->mask_cores)
        return FCT_PLACE_CROWDED;
    if (f->is_off)
        return FCT_PLACE_OFF;
    return f->threads > fair ? FCT_PLACE_THREADS : FCT_PLACE_SHARE;
}

// The allowed core number k, in the machine's order: neighbours share caches.
static hwloc_obj_t core_at(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, int k)
{
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(machine, HWLOC_OBJ_CORE, core)))
        if (hwloc_bitmap_intersects(core->cpuset, allowed) && k-- == 0)
            return core;
    return NULL;
}

int fct_place_count_cores(hwloc_topology_t machine, hwloc_const_cpuset_t allowed)
{
    int n = 0;
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(machine, HWLOC_OBJ_CORE, core)))
        n += hwloc_bitmap_intersects(core->cpuset, allowed);
    return n;
}

static void take_cores(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, int first, int n,
                       hwloc_cpuset_t out)
{
    hwloc_bitmap_zero(out);
    for (int k = first; k < first + n; k++)
        hwloc_bitmap_or(out, out, core_at(machine, allowed, k)->cpuset);
    hwloc_bitmap_and(out, out, allowed);
}

// Memory without processors, or a second kind of memory at the same ones, is no node to us.
static int is_node(hwloc_obj_t node)
{
    if (hwloc_bitmap_iszero(node->cpuset))
        return 0;
    for (hwloc_obj_t before = node->prev_cousin; before; before = before->prev_cousin)
        if (hwloc_bitmap_intersects(before->cpuset, node->cpuset))
            return 0;
    return 1;
}

// Shares of n cores that lie within one NUMA node: how many there are; number `wanted` goes to
// `out`.
static int shares_in_nodes(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, int n,
                           int wanted, hwloc_cpuset_t out)
{
    int shares = 0;
    hwloc_obj_t node = NULL;
    hwloc_cpuset_t here = hwloc_bitmap_alloc();
    while (here && (node = hwloc_get_next_obj_by_type(machine, HWLOC_OBJ_NUMANODE, node))) {
        if (!is_node(node))
            continue;
        hwloc_bitmap_and(here, node->cpuset, allowed);
        int fit = fct_place_count_cores(machine, here) / n;
        if (wanted >= shares && wanted < shares + fit)
            take_cores(machine, here, (wanted - shares) * n, n, out);
        shares += fit;
    }
    hwloc_bitmap_free(here);
    return shares;
}

int fct_place_share(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, int rank, int ranks,
                    hwloc_cpuset_t out)
{
    int cores = fct_place_count_cores(machine, allowed), n = cores / ranks;
    if (n == 0)
        return 0;
    int shares = shares_in_nodes(machine, allowed, n, -1, out);
    if (shares >= ranks)
        shares_in_nodes(machine, allowed, n, (int)((int64_t)rank * shares / ranks), out);
    else
        take_cores(machine, allowed, (int)((int64_t)rank * cores / ranks), n, out);
    return n;
}
