// SPDX-License-Identifier: Apache-2.0
// The verification pairs of a set that is packed: found in the plan, written beside the shards.
#ifndef FACET_PACK_PAIRS_H
#define FACET_PACK_PAIRS_H

#include "facet/pairs.h"
#include "pack_parts.h"

// Not collective. The pairs of spec->pairs, or of a .bin, by rows of the plan; none when there are
// no pairs to be had. E_ARG when the pictures are in several splits, E_FORMAT for what is wrong in
// the list.
fct_status fct_pack_pairs_find(const fct_pack_spec *spec, const fct_plan *plan, fct_pairs *out);
// Not collective. Writes those whose pictures were packed beside the finished set, and says how
// many.
fct_status fct_pack_pairs_write(const fct_pack_spec *spec, const fct_plan *plan,
                                const fct_pairs *pairs, fct_text *summary);

#endif
