// SPDX-License-Identifier: Apache-2.0
// Being asked to stop: C5's signals, in processes of their own, and the end of a time limit.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/clock.h"
#include "facet/lifecycle.h"

static char *names[] = { "SIGTERM", "SIGUSR1", "SIGINT" };

// Runs `life` in a child process; its wait status.
static int in_child(void (*life)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (fct_lifecycle_install(names, 3) != FCT_OK)
            _exit(99);
        life();
        _exit(fct_lifecycle_asked());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void nothing(void)
{
}

static void usr1_once(void)
{
    raise(SIGUSR1);
}

static void term_forwarded(void)
{
    raise(SIGTERM);
    raise(SIGTERM);
    fct_clock_sleep_s(0.2);
    raise(SIGTERM);
}

static void two_kinds(void)
{
    raise(SIGUSR1);
    raise(SIGTERM);
}

static void interrupted_too(void)
{
    raise(SIGTERM);
    raise(SIGINT);
    _exit(98);
}

static void term_again_while_saving(void)
{
    raise(SIGTERM);
    fct_lifecycle_saving();
    fct_clock_sleep_s(2.2);
    raise(SIGTERM);
}

static void interrupted_while_saving(void)
{
    raise(SIGTERM);
    fct_lifecycle_saving();
    raise(SIGINT);
    _exit(98);
}

static void other_signals_later(void)
{
    static char *later[] = { "SIGUSR2" };
    if (fct_lifecycle_install(later, 1) != FCT_OK)
        _exit(97);
    raise(SIGUSR2);
    signal(SIGHUP, SIG_IGN);
    if (fct_lifecycle_install(later, 1) != FCT_OK || signal(SIGHUP, SIG_DFL) != SIG_IGN ||
        signal(SIGTERM, SIG_DFL) != SIG_DFL)
        _exit(97);
}

static void term_again(void)
{
    raise(SIGTERM);
    fct_clock_sleep_s(2.2);
    raise(SIGTERM);
    _exit(98);
}

static void next_work(void)
{
    fct_lifecycle_saving();
    if (fct_lifecycle_install(names, 3) != FCT_OK)
        _exit(97);
    term_again();
}

static void after_the_commit(void)
{
    raise(SIGTERM);
    fct_lifecycle_ignore();
    raise(SIGUSR1);
    raise(SIGTERM);
}

static void unlisted(void)
{
    raise(SIGUSR2);
    _exit(98);
}

static void test_signals_ask_once_and_the_second_leaves(void **state)
{
    (void)state;
    const struct {
        const char *claim;
        void (*life)(void);
        int code;
    } cases[] = {
        { "nobody asked", nothing, 0 },
        { "one asks", usr1_once, SIGUSR1 },
        { "the same on several ways is one", term_forwarded, SIGTERM },
        { "a warning and then the end are two requests, not impatience", two_kinds, SIGTERM },
        { "Ctrl-C after another leaves", interrupted_too, 128 + SIGINT },
        { "during the save the same again does not leave", term_again_while_saving, SIGTERM },
        { "during the save Ctrl-C leaves", interrupted_while_saving, 128 + SIGINT },
        { "a later call takes the place of an earlier one", other_signals_later, SIGUSR2 },
        { "the same later leaves", term_again, 128 + SIGTERM },
        { "the next work of the process may be left at once again", next_work, 128 + SIGTERM },
        { "after the commit none leaves", after_the_commit, SIGTERM },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = in_child(cases[i].life);
        print_message("%s\n", cases[i].claim);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].code);
    }
    int status = in_child(unlisted);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
}

static void test_unknown_signals_are_refused_with_the_allowed_ones(void **state)
{
    (void)state;
    char *typo[] = { "SIGTERM", "SIGUSR" }, *never[] = { "SIGKILL" };
    assert_int_equal(fct_lifecycle_install(typo, 2), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "'SIGUSR' is not a signal"));
    assert_non_null(strstr(fct_fail_text(), "did you mean SIGUSR"));
    assert_non_null(strstr(fct_fail_text(), "SIGHUP, SIGINT"));
    assert_int_equal(fct_lifecycle_install(never, 1), FCT_E_ARG);
}

static void test_deadline_asks_when_the_reserve_begins(void **state)
{
    (void)state;
    assert_int_equal(fct_lifecycle_asked(), FCT_ASKED_BY_NOBODY);
    fct_lifecycle_set_end(fct_clock_s() + 1000);
    fct_lifecycle_set_reserve(900);
    assert_int_equal(fct_lifecycle_asked(), FCT_ASKED_BY_NOBODY);
    fct_lifecycle_set_reserve(1001);
    assert_int_equal(fct_lifecycle_asked(), FCT_ASKED_BY_DEADLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_signals_are_refused_with_the_allowed_ones),
        cmocka_unit_test(test_signals_ask_once_and_the_second_leaves),
        cmocka_unit_test(test_deadline_asks_when_the_reserve_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
