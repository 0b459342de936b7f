// SPDX-License-Identifier: Apache-2.0
// Shares of cores on machines that are only described, and when facet leaves placement alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/topology_share.h"
#include "src/train/cores.h"

static hwloc_topology_t machine_of(const char *description)
{
    hwloc_topology_t machine;
    assert_int_equal(hwloc_topology_init(&machine), 0);
    assert_int_equal(hwloc_topology_set_synthetic(machine, description), 0);
    assert_int_equal(hwloc_topology_load(machine), 0);
    return machine;
}

// The shares of all ranks as hwloc writes them, "0-1 2-3"; `mask` NULL: the whole machine.
static void check(const char *description, const char *mask, int ranks, const char *wanted)
{
    hwloc_topology_t machine = machine_of(description);
    hwloc_cpuset_t allowed = hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(machine));
    hwloc_cpuset_t share = hwloc_bitmap_alloc(), taken = hwloc_bitmap_alloc();
    char text[512] = "";
    size_t n = 0;
    if (mask)
        hwloc_bitmap_list_sscanf(allowed, mask);
    for (int rank = 0; rank < ranks; rank++) {
        int cores = fct_place_share(machine, allowed, rank, ranks, share);
        assert_int_equal(cores, fct_place_count_cores(machine, allowed) / ranks);
        assert_false(hwloc_bitmap_intersects(share, taken));
        assert_true(hwloc_bitmap_isincluded(share, allowed));
        hwloc_bitmap_or(taken, taken, share);
        n += (size_t)hwloc_bitmap_list_snprintf(text + n, sizeof text - n, share);
        text[n++] = rank + 1 < ranks ? ' ' : 0;
    }
    assert_string_equal(text, wanted);
    hwloc_bitmap_free(share);
    hwloc_bitmap_free(taken);
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(machine);
}

static void test_a_rank_alone_has_all_and_two_have_half_each(void **state)
{
    (void)state;
    check("core:4 pu:1", NULL, 1, "0-3");
    check("core:4 pu:1", NULL, 2, "0-1 2-3");
    check("core:4 pu:1", NULL, 4, "0 1 2 3");
}

static void test_cores_stay_whole(void **state)
{
    (void)state;
    check("core:4 pu:2", NULL, 2, "0-3 4-7");
    // As Linux numbers them: the second processors of all cores come last.
    check("core:4 pu:2(indexes=core:pu)", NULL, 4, "0,4 1,5 2,6 3,7");
    check("core:4 pu:2(indexes=core:pu)", NULL, 2, "0-1,4-5 2-3,6-7");
}

static void test_a_share_lies_in_one_numa_node_where_all_fit(void **state)
{
    (void)state;
    check("numa:2 core:10 pu:1", NULL, 6, "0-2 3-5 6-8 10-12 13-15 16-18");
    check("numa:2 core:6 pu:1", NULL, 4, "0-2 3-5 6-8 9-11");
    check("numa:4 core:4 pu:1", NULL, 2, "0-7 8-15");     // larger than a node: neighbours
    check("numa:2 core:6 pu:1", NULL, 3, "0-3 4-7 8-11"); // does not fit: all the same size
}

static void test_only_allowed_processors_are_shared(void **state)
{
    (void)state;
    check("core:8 pu:1", "2-5", 2, "2-3 4-5");
    check("numa:2 core:4 pu:1", "0-1,4-7", 3, "0-1 4-5 6-7");
    check("core:2 pu:2", "0,2", 2, "0 2"); // one processor of each core
}

static void test_fewer_cores_than_ranks_give_no_share(void **state)
{
    (void)state;
    hwloc_topology_t machine = machine_of("core:2 pu:2");
    hwloc_cpuset_t share = hwloc_bitmap_alloc();
    assert_int_equal(
        fct_place_share(machine, hwloc_topology_get_topology_cpuset(machine), 0, 3, share), 0);
    hwloc_bitmap_free(share);
    hwloc_topology_destroy(machine);
}

static void decides(fct_place_facts facts, fct_place_rule rule, int cores)
{
    int got;
    assert_int_equal(fct_place_decide(&facts, &got), rule);
    assert_int_equal(got, cores);
}

static void test_facet_binds_only_what_nobody_else_has_a_claim_on(void **state)
{
    (void)state;
    const fct_place_facts free_node = {
        .machine_cpus = 16, .mask_cpus = 16, .mask_cores = 8, .local_ranks = 4, .ranks_here = 4
    };
    fct_place_facts f = free_node;
    decides(f, FCT_PLACE_SHARE, 2);
    f.slurm_cpus = 16;
    decides(f, FCT_PLACE_SHARE, 2);
    f.slurm_cpus = 8; // and the mask is the machine's: Slurm keeps nobody in place
    decides(f, FCT_PLACE_SLURM, 2);
    f.mask_cpus = 8; // a control group of the job's own
    f.mask_cores = 4;
    decides(f, FCT_PLACE_SHARE, 1);
    f = free_node;
    f.masks_differ = 1;
    f.mask_cpus = f.mask_cores = 3;
    decides(f, FCT_PLACE_LAUNCHER, 3);
    f = free_node;
    f.ranks_here = 12; // the same machine plays three nodes: each would bind to the same cores
    decides(f, FCT_PLACE_MACHINE, 1);
    f = free_node;
    f.local_ranks = f.ranks_here = 9;
    decides(f, FCT_PLACE_CROWDED, 1);
    f = free_node;
    f.is_off = 1;
    decides(f, FCT_PLACE_OFF, 2);
    f = free_node;
    f.threads = 3;
    decides(f, FCT_PLACE_THREADS, 2);
    f = free_node;
    f.local_ranks = f.ranks_here = 1;
    decides(f, FCT_PLACE_WHOLE, 8);
    f.mask_cpus = f.mask_cores = 1;
    decides(f, FCT_PLACE_LAUNCHER, 1);
}

static void splits(int cores, int has_omp, int threads, int workers, int want_threads,
                   int want_workers)
{
    fct_cores c = { .threads = threads, .workers = workers };
    fct_cores_split(cores, has_omp, &c);
    assert_int_equal(c.threads, want_threads);
    assert_int_equal(c.workers, want_workers);
}

static void test_one_core_in_sixteen_is_left_to_the_loader(void **state)
{
    (void)state;
    splits(1, 0, 0, 0, 1, 1);
    splits(8, 0, 0, 0, 8, 1);
    splits(16, 0, 0, 0, 15, 1);
    splits(64, 0, 0, 0, 60, 4);
    splits(64, 0, 7, 9, 7, 9); // what was asked for
    splits(64, 1, 0, 0, 0, 4); // OMP_NUM_THREADS
}

static int workers_beside_device(int cores, int given)
{
    fct_cores c = { .place.cores = cores, .workers = given ? given : 1 };
    fct_cores_for_device(given, &c);
    return c.workers;
}

static void test_beside_a_device_most_cores_load(void **state)
{
    (void)state;
    assert_int_equal(workers_beside_device(1, 0), 1);
    assert_int_equal(workers_beside_device(3, 0), 1);
    assert_int_equal(workers_beside_device(14, 0), 12);
    assert_int_equal(workers_beside_device(224, 0), 64);
    assert_int_equal(workers_beside_device(14, 3), 3); // what was asked for
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rank_alone_has_all_and_two_have_half_each),
        cmocka_unit_test(test_cores_stay_whole),
        cmocka_unit_test(test_a_share_lies_in_one_numa_node_where_all_fit),
        cmocka_unit_test(test_only_allowed_processors_are_shared),
        cmocka_unit_test(test_fewer_cores_than_ranks_give_no_share),
        cmocka_unit_test(test_facet_binds_only_what_nobody_else_has_a_claim_on),
        cmocka_unit_test(test_one_core_in_sixteen_is_left_to_the_loader),
        cmocka_unit_test(test_beside_a_device_most_cores_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
