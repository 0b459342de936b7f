// SPDX-License-Identifier: Apache-2.0
// The parts of the network's self-test: what a node reports, and what is made of the reports.
#ifndef FACET_SELF_TEST_PARTS_H
#define FACET_SELF_TEST_PARTS_H

#include "facet/text.h"

enum { FCT_LINK_NAME = 16 }; // an interface's name

// The interfaces that this process's MPI talks through. Speeds in bytes a second, 0 unknown.
typedef struct {
    char used[4 * FCT_LINK_NAME]; // "eth0" or "eth0+eth1"; "" when MPI talks otherwise than by TCP
    double used_bps;
    char better[FCT_LINK_NAME]; // one that is up, faster and not used; "" none
    double better_bps;
    int is_infiniband; // the better one is
} fct_links;

// One node's report; the nodes form a ring in the order of their ranks.
typedef struct {
    char host[64];
    int ranks;
    int is_crowded;    // more ranks than cores: its figures say little
    double within_bps; // between neighbouring ranks of the node, the slowest; 0 for one rank
    double before_bps; // to here from the node before it in the ring; 0 for one node
    double latency_s;  // of a small message there; 0 for one node
    fct_links links;
} fct_node_report;

// Not collective, none of these.
// Fills in all but `used`: what the kernel (`sys`: "/sys") tells of it and of the others.
void fct_links_compare(const char *sys, fct_links *links);
// What this process's open connections and the kernel tell.
void fct_links_read(const char *sys, fct_links *out);
// The line of figures.
void fct_network_line(const fct_node_report *node, int n, fct_text *out);
// What is wrong, a line each, each with what to do; nothing when all is well.
void fct_network_warnings(const fct_node_report *node, int n, fct_text *out);

// ---- devices: what a host has, and what an all-reduce between all of them did
typedef struct {
    char host[64];
    int ranks;
    int adapters;       // of InfiniBand (or RoCE), with a port that is up
    double adapter_bps; // of all of them; bytes a second
    int has_switch;     // NVSwitch
} fct_device_node;
typedef struct {
    int ranks;
    size_t bytes;
    double bus_bps, latency_s;
} fct_device_speed;

// Not collective, none of these.
void fct_adapters_read(const char *sys, fct_device_node *out);
void fct_device_line(const fct_device_node *node, int n, const fct_device_speed *speed,
                     const char *version, fct_text *out);
void fct_device_warnings(const fct_device_node *node, int n, const fct_device_speed *speed,
                         fct_text *out);

#endif
