// SPDX-License-Identifier: Apache-2.0
// Fault sites: which passage of which site on which rank is to fail, read from FACET_FAULT once.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/fault.h"
#include "facet/log.h"
#include "facet/text.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted_site[128];
static int64_t first_passage, last_passage; // 0: no fault is wanted
static int64_t wanted_rank = -1;
static atomic_int this_rank;
static atomic_llong passages;

static int parse(char *text) // cuts ":nth:rankR" off
{
    char *nth = strchr(text, ':'), *rank = nth ? strchr(nth + 1, ':') : NULL;
    if (!nth)
        return 0;
    *nth++ = 0;
    if (rank) {
        *rank++ = 0;
        if (strncmp(rank, "rank", 4) != 0 || fct_text_to_i64(rank + 4, &wanted_rank) != FCT_OK)
            return 0;
    }
    char *last = strchr(nth, '-');
    if (last)
        *last++ = 0;
    return fct_text_to_i64(nth, &first_passage) == FCT_OK && first_passage > 0 &&
           fct_text_to_i64(last ? last : nth, &last_passage) == FCT_OK;
}

static void read_environment(void)
{
    const char *text = getenv("FACET_FAULT");
    if (!text)
        return;
    snprintf(wanted_site, sizeof wanted_site, "%s", text);
    if (!parse(wanted_site)) {
        first_passage = 0;
        FCT_WARN("FACET_FAULT=%s: not site:nth[-last][:rankR], ignored", text);
    }
}

void fct_fault_set_rank(int rank)
{
    atomic_store(&this_rank, rank);
}

int fct_fault(const char *site)
{
    pthread_once(&once, read_environment);
    if (first_passage == 0 || strcmp(site, wanted_site) != 0)
        return 0;
    if (wanted_rank >= 0 && wanted_rank != atomic_load(&this_rank))
        return 0;
    long long passage = atomic_fetch_add(&passages, 1) + 1;
    return passage >= first_passage && passage <= last_passage;
}
