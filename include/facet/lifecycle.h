// SPDX-License-Identifier: Apache-2.0
// Being asked to stop: signals set a flag, the training loop looks at it between steps.
#ifndef FACET_LIFECYCLE_H
#define FACET_LIFECYCLE_H

#include "status.h"

// Not collective. SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 ask for a checkpoint and a clean end; a
// second SIGINT or SIGTERM leaves at once.
fct_status fct_lifecycle_install(void);
// Not collective. The signal that asked, 0 when none did.
int fct_lifecycle_signal(void);

#endif
