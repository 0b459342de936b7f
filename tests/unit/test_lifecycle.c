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

static char *names[] = { "SIGTERM", "SIGUSR1" };

// Runs `life` in a child process; its wait status.
static int in_child(void (*life)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (fct_lifecycle_install(names, 2) != FCT_OK)
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
    _exit(98);
}

static void term_again(void)
{
    raise(SIGTERM);
    fct_clock_sleep_s(2.2);
    raise(SIGTERM);
    _exit(98);
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
        { "another one leaves", two_kinds, 128 + SIGTERM },
        { "the same later leaves", term_again, 128 + SIGTERM },
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
