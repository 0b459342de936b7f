// SPDX-License-Identifier: Apache-2.0
// cluster/: what the network's self-test makes of the nodes' figures, and of interfaces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/self_test_parts.h"

#define GB 1e9

static fct_node_report node(const char *host, double before_bps)
{
    fct_node_report r = { .ranks = 2, .within_bps = 6 * GB, .before_bps = before_bps };
    snprintf(r.host, sizeof r.host, "%s", host);
    snprintf(r.links.used, sizeof r.links.used, "eno1");
    r.links.used_bps = 1.25 * GB;
    r.latency_s = 0.00012;
    return r;
}

static void check_line(const fct_node_report *n, int count, const char *expected)
{
    fct_text line = { 0 };
    fct_network_line(n, count, &line);
    assert_string_equal(line.data, expected);
    fct_text_release(&line);
}

// Warnings: none when `expected` is NULL, else one line that holds it and its cure.
static void check_warning(const fct_node_report *n, int count, const char *expected,
                          const char *cure)
{
    fct_text words = { 0 };
    fct_network_warnings(n, count, &words);
    if (!expected)
        assert_null(words.data);
    else {
        assert_non_null(words.data);
        if (!strstr(words.data, expected) || !strstr(words.data, cure))
            fail_msg("\"%s\" lacks \"%s\" or \"%s\"", words.data, expected, cure);
        assert_ptr_equal(strchr(words.data, '\n') + 1, words.data + words.size);
    }
    fct_text_release(&words);
}

static void test_the_line_tells_latency_and_slowest(void **state)
{
    (void)state;
    fct_node_report two[] = { node("host-a", 1.1 * GB), node("host-b", 0.9 * GB) };
    check_line(two, 2,
               "network: 2 nodes, 0.12 ms, 1.1 GB/s between nodes (slowest: host-a -> host-b 900 "
               "MB/s), 6.0 GB/s within");
    two[0].within_bps = two[1].within_bps = 0;
    two[0].ranks = two[1].ranks = 1;
    check_line(two, 2,
               "network: 2 nodes, 0.12 ms, 1.1 GB/s between nodes (slowest: host-a -> host-b 900 "
               "MB/s)");
    fct_node_report one = node("host-a", 0);
    check_line(&one, 1, "network: 1 node, 6.0 GB/s between its 2 ranks");
    check_warning(&one, 1, NULL, NULL);
}

static void test_a_sound_network_is_not_warned_of(void **state)
{
    (void)state;
    fct_node_report n[] = { node("a", 1.1 * GB), node("b", 0.9 * GB), node("c", 0.5 * GB) };
    check_warning(n, 3, NULL, NULL);
    for (int i = 0; i < 3; i++)
        n[i].links.used_bps = 12.5 * GB; // one stream does not fill 100 Gb/s
    n[2].before_bps = 1.3 * GB;
    n[0].before_bps = n[1].before_bps = 2 * GB;
    check_warning(n, 3, NULL, NULL);
    for (int i = 0; i < 3; i++)
        n[i].links = (fct_links){ 0 }; // not TCP, or speeds unknown
    check_warning(n, 3, NULL, NULL);
}

static void test_one_slow_pair_is_named(void **state)
{
    (void)state;
    fct_node_report n[] = { node("a", 1.1 * GB), node("b", 0.9 * GB), node("c", 0.1 * GB) };
    check_warning(n, 3, "b -> c: only 100 MB/s", "median of the nodes is 900 MB/s");
    n[1].is_crowded = 1; // more ranks than cores: the figures say little
    check_warning(n, 3, NULL, NULL);
}

static void test_far_below_the_links_speed(void **state)
{
    (void)state;
    fct_node_report n[] = { node("a", 0.2 * GB), node("b", 0.2 * GB) };
    check_warning(n, 2, "b -> a: only 200 MB/s over eno1 (10 Gb/s) (and 1 more node)",
                  "OMPI_MCA_btl_tcp_if_include");
    n[1].links.used_bps = 0.125 * GB; // the slower end counts
    check_warning(n, 2, NULL, NULL);
}

static void test_the_wrong_interface(void **state)
{
    (void)state;
    fct_node_report n[] = { node("a", 1.1 * GB), node("b", 0.9 * GB), node("c", 1 * GB) };
    snprintf(n[1].links.better, sizeof n[1].links.better, "ib0");
    n[1].links.is_infiniband = 1;
    check_warning(n, 3, "b talks through eno1 (10 Gb/s) while InfiniBand ib0 is up;",
                  "OMPI_MCA_oob_tcp_if_include to ib0");
    n[1].links.is_infiniband = 0;
    n[1].links.better_bps = 12.5 * GB;
    n[2].links = n[1].links;
    check_warning(n, 3, "while ib0 (100 Gb/s) is up (and 1 more node);",
                  "OMPI_MCA_btl_tcp_if_include");
    n[1].links.better[0] = n[2].links.better[0] = 0;
    snprintf(n[0].links.used, sizeof n[0].links.used, "eno1+docker0");
    check_warning(n, 3, "a talks to other hosts through eno1+docker0", "containers");
    for (int i = 0; i < 3; i++)
        snprintf(n[i].host, sizeof n[i].host, "a"); // nodes that one host pretends to be
    check_warning(n, 3, NULL, NULL);
}

static void put(const char *folder, const char *name, const char *file, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/class/net/%s", folder, name);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/class/net/%s/%s", folder, name, file);
    if (!text) {
        assert_int_equal(mkdir(path, 0700), 0);
        return;
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_link(const char *folder, const char *name, const char *type, const char *speed)
{
    put(folder, name, "type", type);
    put(folder, name, "speed", speed);
    put(folder, name, "carrier", "1\n");
    put(folder, name, "device", NULL);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

static void test_a_better_interface_is_found_in_sys(void **state)
{
    (void)state;
    char folder[] = "/tmp/facet-sys-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/class", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/class/net", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put_link(folder, "eno1", "1\n", "1000\n");
    put_link(folder, "eno2", "1\n", "100000\n"); // no address here: not to be used
    fct_links l = { .used = "eno1" };
    fct_links_compare(folder, &l);
    assert_true(l.used_bps == 0.125 * GB && l.better[0] == 0);
    put_link(folder, "lo", "1\n", "25000\n"); // the one name that has an address on every machine
    l = (fct_links){ .used = "eno1" };
    fct_links_compare(folder, &l);
    assert_string_equal(l.better, "lo");
    assert_true(l.better_bps == 3.125 * GB && !l.is_infiniband);
    put_link(folder, "ib0", "32\n", "200000\n");
    l = (fct_links){ .used = "eno1" };
    fct_links_compare(folder, &l);
    assert_string_equal(l.better, "ib0");
    assert_true(l.is_infiniband);
    l = (fct_links){ .used = "ib0" };
    fct_links_compare(folder, &l);
    assert_true(l.better[0] == 0);
    l = (fct_links){ .used = "" }; // MPI does not use TCP
    fct_links_compare(folder, &l);
    assert_true(l.better[0] == 0);
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_connections_within_this_host_do_not_count(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&at, n), 0);
    fct_links l;
    fct_links_read("/sys", &l);
    assert_string_equal(l.used, "");
    close(caller);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_line_tells_latency_and_slowest),
        cmocka_unit_test(test_a_sound_network_is_not_warned_of),
        cmocka_unit_test(test_one_slow_pair_is_named),
        cmocka_unit_test(test_far_below_the_links_speed),
        cmocka_unit_test(test_the_wrong_interface),
        cmocka_unit_test(test_a_better_interface_is_found_in_sys),
        cmocka_unit_test(test_connections_within_this_host_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
