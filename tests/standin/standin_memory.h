// SPDX-License-Identifier: Apache-2.0
// Where the stand-in's allocations lie.
#ifndef FCT_STANDIN_MEMORY_H
#define FCT_STANDIN_MEMORY_H

#include <stddef.h>

// ---- standin_arena.c: pages for device memory, out of the host's reach between open and close
void *fct_standin_arena_take(size_t bytes); // 0xff everywhere; NULL: no room
// 0: something wrote past its end.
int fct_standin_arena_give(void *at, size_t bytes);

// ---- cudart_memory.c
int fct_standin_is_pinned(const void *at, size_t bytes);

#endif
