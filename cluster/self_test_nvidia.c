// SPDX-License-Identifier: Apache-2.0
// What the figures of an all-reduce between devices mean: judged only where the host itself tells
// what it has, its InfiniBand adapters and its NVSwitch.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "self_test_parts.h"

// An NVSwitch carries 200 GB/s and more between GPUs; PCIe 4 and 5 carry 20 to 50.
static const double least_of_switch_bps = 80e9;
static const double poor_share_of_adapters = 0.3;

// "400 Gb/sec (4X NDR)"
static double read_rate(const char *port)
{
    char path[600], state[32] = "";
    double gigabits = 0;
    snprintf(path, sizeof path, "%s/state", port); // "4: ACTIVE"
    FILE *f = fopen(path, "r");
    if (f && !fgets(state, sizeof state, f))
        state[0] = 0;
    if (f)
        fclose(f);
    snprintf(path, sizeof path, "%s/rate", port);
    f = strstr(state, "ACTIVE") ? fopen(path, "r") : NULL;
    if (f && fscanf(f, "%lf", &gigabits) != 1)
        gigabits = 0;
    if (f)
        fclose(f);
    return gigabits * 125e6;
}

static void read_ports(const char *adapter, fct_device_node *out)
{
    char path[560];
    double bps = 0;
    DIR *ports = opendir(adapter);
    for (struct dirent *e; ports && (e = readdir(ports));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.300s/%.200s", adapter, e->d_name);
        bps += read_rate(path);
    }
    if (ports)
        closedir(ports);
    out->adapters += bps > 0;
    out->adapter_bps += bps;
}

void fct_adapters_read(const char *sys, fct_device_node *out)
{
    char path[320];
    snprintf(path, sizeof path, "%.200s/class/infiniband", sys);
    out->adapters = 0;
    out->adapter_bps = 0;
    DIR *all = opendir(path);
    for (struct dirent *e; all && (e = readdir(all));)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%.100s/class/infiniband/%.180s/ports", sys, e->d_name);
            read_ports(path, out);
        }
    if (all)
        closedir(all);
}

static void add_setting(fct_text *out, const char *name)
{
    const char *value = getenv(name);
    if (value && *value)
        fct_text_add(out, ", %s=%s", name, value);
}

void fct_device_line(const fct_device_node *node, int n, const fct_device_speed *speed,
                     const char *version, fct_text *out)
{
    fct_text_add(
        out,
        "GPUs: %d on %d host%s, all-reduce of %zu MiB %.3g GB/s (bus), a small one %.3g us; "
        "NCCL %s",
        speed->ranks, n, n > 1 ? "s" : "", speed->bytes >> 20, speed->bus_bps / 1e9,
        speed->latency_s * 1e6, version);
    if (n > 1 && node[0].adapters > 0)
        fct_text_add(out, ", %d InfiniBand adapter%s of %.4g Gb/s in all on %s", node[0].adapters,
                     node[0].adapters > 1 ? "s" : "", node[0].adapter_bps * 8 / 1e9, node[0].host);
    add_setting(out, "NCCL_SOCKET_IFNAME");
    add_setting(out, "NCCL_IB_HCA");
    add_setting(out, "NCCL_ALGO");
    add_setting(out, "NCCL_PROTO");
}

static int is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

// What the adapters could carry: a rank uses those near its own device.
static double adapters_bps(const fct_device_node *node)
{
    double share = node->ranks < node->adapters ? (double)node->ranks / node->adapters : 1;
    return node->adapter_bps * share;
}

static void warn_of_adapters(const fct_device_node *node, int n, const fct_device_speed *speed,
                             fct_text *out)
{
    int least = -1, without = -1, with = -1;
    for (int i = 0; i < n; i++) {
        if (node[i].adapters == 0)
            without = without < 0 ? i : without;
        else {
            with = with < 0 ? i : with;
            least = least < 0 || adapters_bps(&node[i]) < adapters_bps(&node[least]) ? i : least;
        }
    }
    if (with >= 0 && without >= 0)
        fct_text_add(out,
                     "%s has InfiniBand that is up, %s has none: NCCL then talks as the poorer "
                     "can; see to its adapters (ibstat)\n",
                     node[with].host, node[without].host);
    else if (with >= 0 && is_set("NCCL_IB_DISABLE"))
        fct_text_add(out, "NCCL_IB_DISABLE is set while %s has InfiniBand that is up: unset it\n",
                     node[with].host);
    else if (with >= 0 && speed->bus_bps < poor_share_of_adapters * adapters_bps(&node[least]))
        fct_text_add(out,
                     "all-reduce over %d hosts: only %.3g GB/s where the adapters of %s carry "
                     "%.3g; NCCL_DEBUG=INFO shows what NCCL uses (NET/IB, GDRDMA), NCCL_IB_HCA "
                     "names the adapters, and without the kernel's nvidia_peermem or DMA-BUF all "
                     "goes through the hosts' memory\n",
                     n, speed->bus_bps / 1e9, node[least].host, adapters_bps(&node[least]) / 1e9);
}

void fct_device_warnings(const fct_device_node *node, int n, const fct_device_speed *speed,
                         fct_text *out)
{
    int is_shared = 0, has_switch = 1;
    for (int i = 0; i < n; i++) {
        is_shared |= node[i].ranks > 1;
        has_switch &= node[i].has_switch;
    }
    if (is_shared && is_set("NCCL_P2P_DISABLE"))
        fct_text_add(out, "NCCL_P2P_DISABLE is set: GPUs of a host talk through its memory; unset "
                          "it unless they hang without\n");
    else if (n == 1 && is_shared && has_switch && speed->bus_bps < least_of_switch_bps)
        fct_text_add(out,
                     "only %.3g GB/s although %s has an NVSwitch: is its fabric manager running? "
                     "`nvidia-smi topo -m` shows how the GPUs see each other\n",
                     speed->bus_bps / 1e9, node[0].host);
    if (n > 1)
        warn_of_adapters(node, n, speed, out);
}
