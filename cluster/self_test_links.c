// SPDX-License-Identifier: Apache-2.0
// Which interfaces MPI's connections really go through: told by this process's open sockets, not
// guessed from routes; and whether a better one lies idle, told by /sys.
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "self_test_parts.h"

enum { TYPE_INFINIBAND = 32 }; // ARPHRD_INFINIBAND

static int same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return 0;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

static const struct ifaddrs *owner(const struct ifaddrs *all, const struct sockaddr *address)
{
    while (all && !(all->ifa_addr && same_address(all->ifa_addr, address)))
        all = all->ifa_next;
    return all;
}

// The interface of a TCP connection to another host, NULL when `fd` is none.
static const char *interface_of(int fd, const struct ifaddrs *all)
{
    struct sockaddr_storage here, there;
    socklen_t here_n = sizeof here, there_n = sizeof there, n = sizeof(int);
    int type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&here, &here_n) != 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_n) != 0)
        return NULL;
    const struct ifaddrs *mine = owner(all, (struct sockaddr *)&here);
    if (!mine || mine->ifa_flags & IFF_LOOPBACK || owner(all, (struct sockaddr *)&there))
        return NULL;
    return mine->ifa_name;
}

static int is_among(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = names; (at = strstr(at, name)); at += n)
        if ((at == names || at[-1] == '+') && (at[n] == 0 || at[n] == '+'))
            return 1;
    return 0;
}

static void read_used(const struct ifaddrs *all, fct_links *out)
{
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *e; folder && (e = readdir(folder));) {
        int64_t fd;
        const char *name =
            fct_text_to_i64(e->d_name, &fd) == FCT_OK ? interface_of((int)fd, all) : NULL;
        size_t n = strlen(out->used);
        if (name && !is_among(out->used, name) && n + strlen(name) + 2 < sizeof out->used)
            snprintf(out->used + n, sizeof out->used - n, "%s%s", n ? "+" : "", name);
    }
    if (folder)
        closedir(folder);
}

static long read_number(const char *sys, const char *name, const char *file)
{
    char path[512];
    long value = -1;
    snprintf(path, sizeof path, "%s/class/net/%s/%s", sys, name, file);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &value) != 1)
        value = -1;
    if (f)
        fclose(f);
    return value;
}

// 0 for a virtual one: what it calls its speed is made up.
static double speed_bps(const char *sys, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/class/net/%s/device", sys, name);
    long megabits = access(path, F_OK) == 0 ? read_number(sys, name, "speed") : -1;
    return megabits > 0 ? (double)megabits * 125e3 : 0;
}

static int has_address(const struct ifaddrs *all, const char *name)
{
    for (; all; all = all->ifa_next)
        if (all->ifa_addr && all->ifa_addr->sa_family == AF_INET && !strcmp(all->ifa_name, name))
            return 1;
    return 0;
}

static void consider(const char *sys, const struct ifaddrs *all, const char *name, fct_links *out)
{
    int is_infiniband = read_number(sys, name, "type") == TYPE_INFINIBAND;
    double bps = speed_bps(sys, name);
    if (read_number(sys, name, "carrier") != 1 || is_among(out->used, name))
        return;
    int is_faster = has_address(all, name) && out->used_bps > 0 && bps >= 2 * out->used_bps;
    if ((!is_infiniband && !is_faster) || (out->better[0] && bps <= out->better_bps))
        return;
    snprintf(out->better, sizeof out->better, "%.*s", FCT_LINK_NAME - 1, name);
    out->better_bps = bps;
    out->is_infiniband = is_infiniband;
}

static void read_speed(const char *sys, fct_links *l)
{
    char names[sizeof l->used], *rest = NULL;
    memcpy(names, l->used, sizeof names);
    for (char *name = strtok_r(names, "+", &rest); name; name = strtok_r(NULL, "+", &rest))
        l->used_bps += speed_bps(sys, name);
}

static int uses_infiniband(const char *sys, const fct_links *l)
{
    char names[sizeof l->used], *rest = NULL;
    memcpy(names, l->used, sizeof names);
    for (char *name = strtok_r(names, "+", &rest); name; name = strtok_r(NULL, "+", &rest))
        if (read_number(sys, name, "type") == TYPE_INFINIBAND)
            return 1;
    return 0;
}

void fct_links_compare(const char *sys, fct_links *l)
{
    char path[256];
    struct ifaddrs *all = NULL;
    read_speed(sys, l);
    snprintf(path, sizeof path, "%s/class/net", sys);
    if (!l->used[0] || uses_infiniband(sys, l) || getifaddrs(&all) != 0)
        return;
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));)
        if (e->d_name[0] != '.')
            consider(sys, all, e->d_name, l);
    if (folder)
        closedir(folder);
    freeifaddrs(all);
}

void fct_links_read(const char *sys, fct_links *out)
{
    struct ifaddrs *all;
    *out = (fct_links){ 0 };
    if (getifaddrs(&all) != 0)
        return;
    read_used(all, out);
    freeifaddrs(all);
    fct_links_compare(sys, out);
}
