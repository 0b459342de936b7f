// SPDX-License-Identifier: Apache-2.0
// Ranks that the launcher left on the same cores end up on different ones, threads included; where
// one machine plays several nodes, or when it is not wanted, nobody is moved.
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "facet/topology.h"

static void read_mask(cpu_set_t *out)
{
    CPU_ZERO(out);
    sched_getaffinity(0, sizeof *out, out);
}

int main(void)
{
    fct_comm *c;
    fct_place place;
    cpu_set_t before, after, *all = NULL;
    void *bytes;
    size_t total;
    if (fct_comm_create("auto", &c) != FCT_OK)
        return 1;
    int ranks = fct_comm_size(c), is_fake = getenv("FACET_FAKE_NODES") != NULL;
    read_mask(&before);
    CLAIM(c, fct_place_find(c, 0, 1, &place) == FCT_OK); // cluster.bind = false moves nobody
    int is_possible = strstr(place.how, "cluster.bind is false") != NULL;
    read_mask(&after);
    CLAIM(c, CPU_EQUAL(&before, &after));
    CLAIM(c, fct_place_find(c, 1, 1, &place) == FCT_OK);
    read_mask(&after);
    CLAIM(c, place.cores >= 1 && place.cpus >= place.cores);
    CLAIM(c, fct_comm_gather(c, &after, sizeof after, &bytes, &total) == FCT_OK);
    all = bytes;
    int is_moved = strstr(place.how, "bound by facet") != NULL, differs = 1;
    if (fct_comm_rank(c) == 0 && is_moved)
        for (int i = 0; i < ranks; i++)
            for (int k = 0; k < i; k++) {
                cpu_set_t both;
                CPU_AND(&both, &all[i], &all[k]);
                differs &= CPU_COUNT(&both) == 0;
            }
    CLAIM(c, differs);
    CLAIM(c, !is_moved || CPU_COUNT(&after) == place.cpus);
    CLAIM(c, is_moved || CPU_EQUAL(&before, &after));
    CLAIM(c, !is_fake || !is_moved); // several nodes on one machine
    CLAIM(c, is_moved || !is_possible);
    free(bytes);
    fct_comm_destroy(c);
    return failed_claims != 0;
}
