// SPDX-License-Identifier: Apache-2.0
// Signal handlers that only set a flag, the end of the time limit beside it; the same signal again
// ends the process, and a second SIGINT always does.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "facet/clock.h"
#include "facet/lifecycle.h"
#include "facet/text.h"

static const struct {
    const char *name;
    int number;
} usable[] = { { "SIGHUP", SIGHUP },   { "SIGINT", SIGINT },   { "SIGQUIT", SIGQUIT },
               { "SIGTERM", SIGTERM }, { "SIGUSR1", SIGUSR1 }, { "SIGUSR2", SIGUSR2 },
               { "SIGXCPU", SIGXCPU } };
enum { USABLE = sizeof usable / sizeof *usable, MOST = USABLE * 4 };

static const int64_t echo_ns = 2000000000; // as long as a forwarded signal may be on its way

static atomic_int asked;  // the signal
static atomic_int ending; // what more of them change
enum { ENDING_NOT, ENDING_SAVES, ENDING_LEAVES };
static _Atomic int64_t asked_at_ns;
static int caught[MOST], caught_n;         // by fct_lifecycle_install
static double end_s = INFINITY, reserve_s; // of the main thread

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); // may be called in a signal handler, as what is below
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Slurm warns with one signal and ends with another, which must not cut off the save that the first
// one asked for: a signal of another kind asks again, and during the save only SIGINT leaves.
static int leaves(int signal_number, int before, int64_t waited_ns)
{
    if (signal_number == SIGINT)
        return before != SIGINT || waited_ns > echo_ns;
    return atomic_load(&ending) == ENDING_NOT && before == signal_number && waited_ns > echo_ns;
}

static void ask(int signal_number)
{
    int64_t now = now_ns();
    int before = atomic_load(&asked);
    if (atomic_load(&ending) == ENDING_LEAVES)
        return;
    if (before != 0 && leaves(signal_number, before, now - atomic_load(&asked_at_ns)))
        _exit(128 + signal_number);
    if (before == signal_number)
        return;
    atomic_store(&asked_at_ns, now);
    atomic_store(&asked, signal_number);
}

static fct_status number_of(const char *name, int *out)
{
    const char *names[USABLE];
    for (int i = 0; i < USABLE; i++) {
        names[i] = usable[i].name;
        *out = usable[i].number;
        if (!strcmp(name, usable[i].name))
            return FCT_OK;
    }
    const char *nearest = fct_text_nearest(name, names, USABLE);
    return FCT_FAIL(FCT_E_ARG,
                    "cluster.signals: '%.40s' is not a signal that may ask to stop%s%s%s\n"
                    "SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU may",
                    name, nearest ? "; did you mean " : "", nearest ? nearest : "",
                    nearest ? "?" : "");
}

fct_status fct_lifecycle_install(char *const *names, int n)
{
    static char *const usual[] = { "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2" };
    names = names ? names : usual;
    n = names == usual ? (int)(sizeof usual / sizeof *usual) : n;
    struct sigaction action = { .sa_handler = ask, .sa_flags = SA_RESTART };
    int number[MOST], count = n < MOST ? n : MOST;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < count; i++) {
        FCT_TRY(number_of(names[i], &number[i]));
        sigaddset(&action.sa_mask, number[i]);
    }
    for (int i = 0; i < caught_n; i++) // by an earlier call; others may be ignored, as by nohup
        signal(caught[i], SIG_DFL);
    caught_n = 0;
    atomic_store(&ending, ENDING_NOT); // a training before this one in the process may have saved
    signal(SIGPIPE, SIG_IGN);          // whoever reads our messages may leave: the work goes on
    for (int i = 0; i < count; i++)
        if (sigaction(number[i], &action, NULL) != 0)
            return FCT_FAIL(FCT_E_IO, "cannot catch %s: %s", names[i], strerror(errno));
        else
            caught[caught_n++] = number[i];
    return FCT_OK;
}

void fct_lifecycle_saving(void)
{
    atomic_store(&ending, ENDING_SAVES);
}

void fct_lifecycle_ignore(void)
{
    atomic_store(&ending, ENDING_LEAVES);
}

void fct_lifecycle_set_end(double clock_s)
{
    end_s = clock_s;
}

void fct_lifecycle_set_reserve(double seconds)
{
    reserve_s = seconds;
}

int fct_lifecycle_asked(void)
{
    int number = atomic_load(&asked);
    if (number != 0)
        return number;
    return fct_clock_s() + reserve_s >= end_s ? FCT_ASKED_BY_DEADLINE : FCT_ASKED_BY_NOBODY;
}

const char *fct_lifecycle_name(int signal_number)
{
    for (int i = 0; i < USABLE; i++)
        if (usable[i].number == signal_number)
            return usable[i].name;
    return "another rank's signal";
}
