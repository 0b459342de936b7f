// SPDX-License-Identifier: Apache-2.0
// What the nodes' figures mean: the line that is logged, and the warnings.
#include <stdlib.h>
#include <string.h>

#include "self_test_parts.h"

// One TCP stream fills a link of up to 10 Gb/s, but only part of a faster one.
static const double one_stream_bps = 1.25e9, poor_share = 0.3, poor_share_of_fast = 0.1;
static const double far_slower = 0.25; // than the median of the pairs

#define USE_INTERFACE "set OMPI_MCA_btl_tcp_if_include and OMPI_MCA_oob_tcp_if_include to "

static void add_speed(fct_text *out, double bps)
{
    if (bps >= 0.95e9)
        fct_text_add(out, "%.1f GB/s", bps / 1e9);
    else
        fct_text_add(out, bps < 9.5e6 ? "%.1f MB/s" : "%.0f MB/s", bps / 1e6);
}

// Network gear is sold in bits.
static void add_link(fct_text *out, const char *name, double bps)
{
    fct_text_add(out, "%s", name);
    if (bps > 0)
        fct_text_add(out, " (%.4g Gb/s)", bps * 8 / 1e9);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of the pairs' bandwidths; 0 when there is no memory for it: then nothing is far slower.
static double median_of_pairs(const fct_node_report *node, int n)
{
    double *sorted = malloc((size_t)n * sizeof *sorted);
    if (!sorted)
        return 0;
    for (int i = 0; i < n; i++)
        sorted[i] = node[i].before_bps;
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    double median = sorted[n / 2];
    free(sorted);
    return median;
}

static const fct_node_report *before(const fct_node_report *node, int n, int i)
{
    return &node[(i + n - 1) % n];
}

static int slowest_pair(const fct_node_report *node, int n)
{
    int slowest = 0;
    for (int i = 1; i < n; i++)
        if (node[i].before_bps < node[slowest].before_bps)
            slowest = i;
    return slowest;
}

void fct_network_line(const fct_node_report *node, int n, fct_text *out)
{
    double latency = 0, within = 0;
    int ranks = 0, slowest = slowest_pair(node, n);
    for (int i = 0; i < n; i++) {
        ranks += node[i].ranks;
        latency = node[i].latency_s > latency ? node[i].latency_s : latency;
        if (node[i].within_bps > 0 && (within <= 0 || node[i].within_bps < within))
            within = node[i].within_bps;
    }
    fct_text_add(out, "network: %d node%s, ", n, n > 1 ? "s" : "");
    if (n > 1) {
        fct_text_add(out, latency < 1e-4 ? "%.3f ms, " : "%.2f ms, ", latency * 1e3);
        add_speed(out, median_of_pairs(node, n));
        fct_text_add(out, " between nodes (slowest: %s -> %s ", before(node, n, slowest)->host,
                     node[slowest].host);
        add_speed(out, node[slowest].before_bps);
        fct_text_add(out, ")%s", within > 0 ? ", " : "");
    }
    if (within > 0) {
        add_speed(out, within);
        fct_text_add(out, n > 1 ? " within" : " between its %d ranks", ranks);
    }
}

// How many nodes besides the one that a warning tells of.
static void add_more(fct_text *out, int more)
{
    if (more > 0)
        fct_text_add(out, " (and %d more node%s)", more, more > 1 ? "s" : "");
}

static int is_alone(const fct_node_report *node, int n, int i)
{
    return strcmp(node[i].host, before(node, n, i)->host) == 0; // pretended nodes of one host
}

// Bridges and tunnels of containers and virtual machines: each host has its own, of the same name.
static int is_for_guests(const char *used)
{
    static const char *const begins[] = { "docker", "virbr",  "br-", "vboxnet",
                                          "vmnet",  "podman", "cni", "lxc" };
    for (const char *name = used; name; name = strchr(name, '+')) {
        name += *name == '+';
        for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
            if (!strncmp(name, begins[i], strlen(begins[i])))
                return 1;
    }
    return 0;
}

static void warn_of_guests(const fct_node_report *node, int n, fct_text *out)
{
    int first = -1, count = 0;
    for (int i = 0; i < n; i++)
        if (!is_alone(node, n, i) && is_for_guests(node[i].links.used) && count++ == 0)
            first = i;
    if (first < 0)
        return;
    fct_text_add(out, "%s talks to other hosts through %s", node[first].host,
                 node[first].links.used);
    add_more(out, count - 1);
    fct_text_add(out, ", which belongs to containers or virtual machines; " USE_INTERFACE
                      "the cluster's network, as 10.1.0.0/16\n");
}

static void warn_of_better(const fct_node_report *node, int n, fct_text *out)
{
    int first = -1, count = 0;
    for (int i = 0; i < n; i++)
        if (!is_alone(node, n, i) && node[i].links.better[0] && count++ == 0)
            first = i;
    if (first < 0)
        return;
    const fct_links *l = &node[first].links;
    fct_text_add(out, "%s talks through ", node[first].host);
    add_link(out, l->used, l->used_bps);
    fct_text_add(out, " while %s", l->is_infiniband ? "InfiniBand " : "");
    add_link(out, l->better, l->better_bps);
    fct_text_add(out, " is up");
    add_more(out, count - 1);
    fct_text_add(out, "; " USE_INTERFACE "%s%s\n", l->better,
                 l->is_infiniband ? ", or use an MPI built with UCX" : "");
}

static double link_between(const fct_node_report *a, const fct_node_report *b)
{
    double x = a->links.used_bps, y = b->links.used_bps;
    return x > 0 && x < y ? x : y > 0 ? y : x;
}

static int is_below_link(const fct_node_report *node, int n, int i)
{
    double link = link_between(before(node, n, i), &node[i]);
    double share = link > one_stream_bps ? poor_share_of_fast : poor_share;
    return link > 0 && node[i].before_bps < share * link;
}

static int is_far_slower(const fct_node_report *node, int n, int i, double median)
{
    return n > 2 && node[i].before_bps < far_slower * median;
}

// One warning for the slowest pair, whichever way it is slow.
static void warn_of_slow(const fct_node_report *node, int n, fct_text *out)
{
    int i = slowest_pair(node, n), below = 0, slower = 0;
    const fct_node_report *from = before(node, n, i);
    double median = median_of_pairs(node, n);
    for (int k = 0; k < n; k++) {
        if (node[k].is_crowded || is_alone(node, n, k))
            return;
        below += is_below_link(node, n, k);
        slower += is_far_slower(node, n, k, median);
    }
    if (below == 0 && slower == 0)
        return;
    fct_text_add(out, "%s -> %s: only ", from->host, node[i].host);
    add_speed(out, node[i].before_bps);
    if (below > 0 && is_below_link(node, n, i)) {
        fct_text_add(out, " over ");
        add_link(out, node[i].links.used, link_between(from, &node[i]));
    }
    add_more(out, below > slower ? below - 1 : slower - 1);
    if (slower > 0) {
        fct_text_add(out, ", the median of the nodes is ");
        add_speed(out, median);
        fct_text_add(out, "; every step waits for the slowest: see to the cable and port of these "
                          "two, or leave one of them out (srun --exclude)\n");
    } else
        fct_text_add(out, "; other jobs may load the network, or MPI talks through the wrong "
                          "interface: " USE_INTERFACE "the right one\n");
}

void fct_network_warnings(const fct_node_report *node, int n, fct_text *out)
{
    if (n < 2)
        return;
    warn_of_guests(node, n, out);
    warn_of_better(node, n, out);
    warn_of_slow(node, n, out);
}
