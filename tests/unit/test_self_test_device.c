// SPDX-License-Identifier: Apache-2.0
// cluster/: what is made of the figures of an all-reduce between devices, and of /sys.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/self_test_parts.h"

static fct_device_node node(const char *host, int ranks, int adapters, int has_switch)
{
    fct_device_node n = { .ranks = ranks,
                          .adapters = adapters,
                          .adapter_bps = adapters * 50e9,
                          .has_switch = has_switch };
    snprintf(n.host, sizeof n.host, "%s", host);
    return n;
}

static fct_device_speed speed(int ranks, double bus_bps)
{
    return (fct_device_speed){
        .ranks = ranks, .bytes = 64 << 20, .bus_bps = bus_bps, .latency_s = 21e-6
    };
}

static void check_line(const fct_device_node *n, int count, double bus_bps, const char *expected)
{
    const fct_device_speed s = speed(8 * count, bus_bps);
    fct_text line = { 0 };
    fct_device_line(n, count, &s, "2.28.9", &line);
    assert_string_equal(line.data, expected);
    fct_text_release(&line);
}

// None when `expected` is NULL, else one line that holds it.
static void check_warning(const fct_device_node *n, int count, double bus_bps, const char *expected)
{
    const fct_device_speed s = speed(8 * count, bus_bps);
    fct_text words = { 0 };
    fct_device_warnings(n, count, &s, &words);
    if (!expected)
        assert_null(words.data);
    else {
        assert_non_null(words.data);
        if (!strstr(words.data, expected))
            fail_msg("\"%s\" lacks \"%s\"", words.data, expected);
        assert_ptr_equal(strchr(words.data, '\n') + 1, words.data + words.size);
    }
    fct_text_release(&words);
}

static void forget_settings(void)
{
    static const char *const names[] = {
        "NCCL_SOCKET_IFNAME", "NCCL_IB_HCA",     "NCCL_ALGO",
        "NCCL_PROTO",         "NCCL_IB_DISABLE", "NCCL_P2P_DISABLE"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static void test_the_line_tells_what_was_measured(void **state)
{
    (void)state;
    const fct_device_node n[] = { node("gpu-a", 8, 8, 1), node("gpu-b", 8, 8, 1) };
    forget_settings();
    check_line(n, 1, 412e9,
               "GPUs: 8 on 1 host, all-reduce of 64 MiB 412 GB/s (bus), a small one 21 us; "
               "NCCL 2.28.9");
    setenv("NCCL_SOCKET_IFNAME", "eth0", 1);
    check_line(n, 2, 180e9,
               "GPUs: 16 on 2 hosts, all-reduce of 64 MiB 180 GB/s (bus), a small one 21 us; "
               "NCCL 2.28.9, 8 InfiniBand adapters of 3200 Gb/s in all on gpu-a, "
               "NCCL_SOCKET_IFNAME=eth0");
}

static void test_a_switch_that_carries_little_is_told(void **state)
{
    (void)state;
    const fct_device_node with = node("gpu-a", 8, 8, 1), without = node("gpu-b", 8, 8, 0);
    forget_settings();
    check_warning(&with, 1, 412e9, NULL);
    check_warning(&with, 1, 40e9, "only 40 GB/s although gpu-a has an NVSwitch");
    check_warning(&without, 1, 20e9, NULL); // PCIe: what it should give is not known
    setenv("NCCL_P2P_DISABLE", "1", 1);
    check_warning(&without, 1, 20e9, "NCCL_P2P_DISABLE is set");
    setenv("NCCL_P2P_DISABLE", "0", 1);
    check_warning(&without, 1, 20e9, NULL);
}

static void test_adapters_that_carry_little_are_told(void **state)
{
    (void)state;
    fct_device_node n[] = { node("gpu-a", 8, 8, 1), node("gpu-b", 8, 4, 1) };
    forget_settings();
    check_warning(n, 2, 150e9, NULL);
    check_warning(n, 2, 12e9, "only 12 GB/s where the adapters of gpu-b carry 200");
    n[0].ranks = n[1].ranks = 1; // one rank uses one adapter
    check_warning(n, 2, 40e9, NULL);
    n[1].adapters = 0;
    check_warning(n, 2, 12e9, "gpu-a has InfiniBand that is up, gpu-b has none");
    n[0].adapters = 0;
    check_warning(n, 2, 1e9, NULL);
    n[0].adapters = n[1].adapters = 8;
    setenv("NCCL_IB_DISABLE", "1", 1);
    check_warning(n, 2, 1e9, "NCCL_IB_DISABLE is set while gpu-a");
}

static void write_port(const char *folder, const char *port, const char *state, const char *rate)
{
    static const char *const levels[] = { "class", "class/infiniband", "class/infiniband/mlx5_0",
                                          "class/infiniband/mlx5_0/ports", NULL };
    char path[300];
    for (int i = 0; levels[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, levels[i]);
        (void)mkdir(path, 0755);
    }
    snprintf(path, sizeof path, "%s/class/infiniband/mlx5_0/ports/%s", folder, port);
    (void)mkdir(path, 0755);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/class/infiniband/mlx5_0/ports/%s/%s", folder, port,
                 i ? "rate" : "state");
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f, "%s\n", i ? rate : state);
        fclose(f);
    }
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

static void test_ports_that_are_up_are_counted(void **state)
{
    (void)state;
    char folder[] = "/tmp/facet-sys-XXXXXX";
    fct_device_node n = { .adapters = 7 };
    assert_non_null(mkdtemp(folder));
    fct_adapters_read(folder, &n);
    assert_int_equal(n.adapters, 0);
    write_port(folder, "1", "1: DOWN", "10 Gb/sec (4X SDR)");
    fct_adapters_read(folder, &n);
    assert_int_equal(n.adapters, 0);
    write_port(folder, "2", "4: ACTIVE", "400 Gb/sec (4X NDR)");
    fct_adapters_read(folder, &n);
    assert_int_equal(n.adapters, 1);
    assert_true(n.adapter_bps == 50e9);
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_line_tells_what_was_measured),
        cmocka_unit_test(test_a_switch_that_carries_little_is_told),
        cmocka_unit_test(test_adapters_that_carry_little_are_told),
        cmocka_unit_test(test_ports_that_are_up_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
