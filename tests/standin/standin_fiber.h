// SPDX-License-Identifier: Apache-2.0
// Fibers: each runs the same function over and over, on a stack of its own, until it pauses.
#ifndef FCT_STANDIN_FIBER_H
#define FCT_STANDIN_FIBER_H

typedef struct fct_standin_fiber fct_standin_fiber;

// Runs `loop`, which never returns, from its first fct_standin_fiber_go on.
fct_standin_fiber *fct_standin_fiber_create(void (*loop)(fct_standin_fiber *self));
void fct_standin_fiber_destroy(fct_standin_fiber *f);
void fct_standin_fiber_go(fct_standin_fiber *f);    // until it pauses
void fct_standin_fiber_pause(fct_standin_fiber *f); // from inside of it
// From inside of `f`, which pauses, straight into `to`, which has paused.
void fct_standin_fiber_pass(fct_standin_fiber *f, fct_standin_fiber *to);

#endif
