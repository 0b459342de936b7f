// SPDX-License-Identifier: Apache-2.0
// Signal handlers that only set a flag; the second impatient signal ends the process.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "facet/lifecycle.h"

static volatile sig_atomic_t asked;

static void ask(int signal_number)
{
    if (asked && (signal_number == SIGINT || signal_number == SIGTERM))
        _exit(128 + signal_number);
    asked = signal_number;
}

fct_status fct_lifecycle_install(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGUSR1, SIGUSR2 };
    struct sigaction action = { .sa_handler = ask, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return FCT_FAIL(FCT_E_IO, "cannot catch signal %d: %s", signals[i], strerror(errno));
    return FCT_OK;
}

int fct_lifecycle_signal(void)
{
    return asked;
}
