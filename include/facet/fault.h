// SPDX-License-Identifier: Apache-2.0
// Faults on demand: FACET_FAULT=site:nth[-last][:rankR] makes the nth passage of a named site fail,
// or all from the nth to the last.
#ifndef FACET_FAULT_H
#define FACET_FAULT_H

// Not collective, any thread. Counts a passage of `site`; true when this one is to fail. The caller
// then fails as if the world had done it. Costs one comparison while FACET_FAULT is unset.
int fct_fault(const char *site);
// Not collective. Which rank this process is (0 until set); the communicator tells.
void fct_fault_set_rank(int rank);

#endif
