// SPDX-License-Identifier: Apache-2.0
// What the watchdog decides, says and believes: pure functions of records and time, no waiting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/watchdog_parts.h"

enum { RANKS = 4 }; // ranks 0 and 1 on one host, 2 and 3 on another

static const fct_watchdog_spec spec = { .limit_s = { 100, 10, 30, 20 },
                                        .silence_s = 5,
                                        .slow_factor = 1.5 };
static fct_watch_record record[RANKS];
static fct_watch_card card[RANKS];
static fct_watch_sight sight[RANKS];

static int all_well(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++) {
        record[r] = (fct_watch_record){ .state = FCT_WATCH_ALIVE,
                                        .phase = FCT_PHASE_STEP,
                                        .step = 7,
                                        .beat = 1,
                                        .collectives = 40 };
        card[r] = (fct_watch_card){ .node = r / 2 * 2 };
        snprintf(card[r].host, sizeof card[r].host, "%s", r < 2 ? "red" : "blue");
        sight[r] = (fct_watch_sight){ .beat = 1 };
    }
    return 0;
}

static fct_verdict judged_by(int self)
{
    fct_verdict v;
    fct_watch_judge(&spec, RANKS, self, record, card, sight, &v);
    return v;
}

static void pass(double seconds, const int *beating)
{
    for (double s = 0; s < seconds; s += 0.25) {
        for (int r = 0; r < RANKS; r++)
            record[r].beat += (uint64_t)beating[r];
        fct_watch_see(RANKS, 0, record, 0.25, 0, sight);
    }
}

static void test_a_silent_rank_is_named_after_its_limit_and_not_before(void **state)
{
    (void)state;
    const int beating[RANKS] = { 1, 0, 1, 1 };
    pass(4.5, beating);
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
    pass(1, beating);
    fct_verdict v = judged_by(0);
    assert_int_equal(v.kind, FCT_VERDICT_SILENT);
    assert_int_equal(v.rank, 1);
    assert_true(v.seconds > 5 && v.seconds < 6);
}

static void test_a_watchdog_that_was_held_up_itself_starts_anew(void **state)
{
    (void)state;
    const int beating[RANKS] = { 1, 0, 1, 1 };
    pass(4.75, beating);
    fct_watch_see(RANKS, 0, record, 0, 1, sight);
    pass(4.75, beating);
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
    pass(0.75, beating);
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_SILENT);
}

static void test_what_the_kernel_says_changes_the_patience(void **state)
{
    (void)state;
    sight[1].silence_s = 20;
    sight[1].fate = FCT_FATE_STARVED;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
    sight[1].fate = FCT_FATE_STOPPED;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_SILENT);
    sight[1].silence_s = 2.5;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
    sight[1].fate = FCT_FATE_GONE;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_SILENT);
}

static void test_ranks_that_ended_or_were_never_heard_are_not_judged(void **state)
{
    (void)state;
    sight[1].silence_s = sight[2].silence_s = 100;
    record[1].state = FCT_WATCH_ENDED;
    record[2].state = FCT_WATCH_UNHEARD;
    record[1].stalled_ms = record[2].stalled_ms = 1000000;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
}

static void test_a_host_of_which_nobody_is_heard_is_lost(void **state)
{
    (void)state;
    sight[2].silence_s = 6;
    sight[3].silence_s = 4.5; // not silent for long enough yet, but nobody has heard of it either
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_HOST);
    sight[3].silence_s = 0.5;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_SILENT);
    all_well(NULL);
    sight[1].silence_s = 6; // the other one of our own host
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_SILENT);
}

static void test_a_rank_that_moves_nowhere_hangs_unless_it_waits_for_others(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++) {
        record[r].stalled_ms = 11000;
        record[r].is_waiting = r != 2;
    }
    fct_verdict v = judged_by(3);
    assert_int_equal(v.kind, FCT_VERDICT_HANGS);
    assert_int_equal(v.rank, 2);
    assert_int_equal(v.others, 0);
    record[2].phase = FCT_PHASE_CHECKPOINT; // may take 30 s
    assert_int_equal(judged_by(3).kind, FCT_VERDICT_NONE);
    record[2].stalled_ms = 31000;
    assert_int_equal(judged_by(3).kind, FCT_VERDICT_HANGS);
    record[1].is_waiting = 0;
    assert_int_equal(judged_by(3).rank, 1);
    assert_int_equal(judged_by(3).others, 1);
}

static void test_limits_of_zero_are_never_reached(void **state)
{
    (void)state;
    const fct_watchdog_spec never = { .silence_s = 0 };
    fct_verdict v;
    record[1].stalled_ms = 4000000000U;
    sight[2].silence_s = 1e9;
    fct_watch_judge(&never, RANKS, 0, record, card, sight, &v);
    assert_int_equal(v.kind, FCT_VERDICT_NONE);
}

static void test_when_all_wait_that_is_told_with_the_earliest_collective(void **state)
{
    (void)state;
    for (int r = 0; r < RANKS; r++) {
        record[r].stalled_ms = 11000;
        record[r].is_waiting = 1;
    }
    assert_int_equal(judged_by(0).others, RANKS - 1);
    record[3].collectives = 39;
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_DEADLOCK);
    assert_int_equal(judged_by(0).rank, 3);
    assert_int_equal(judged_by(0).others, 0);
    record[0].stalled_ms = 100; // somebody still moves
    assert_int_equal(judged_by(0).kind, FCT_VERDICT_NONE);
}

static void test_the_slowest_is_found_against_the_median(void **state)
{
    (void)state;
    const uint32_t us[RANKS] = { 160000, 150000, 170000, 340000 };
    double factor;
    uint32_t median;
    for (int r = 0; r < RANKS; r++) {
        record[r].step_us = us[r];
        record[r].steps = 16;
    }
    assert_int_equal(fct_watch_slowest(1.5, RANKS, record, &factor, &median), 3);
    assert_int_equal(median, 160000);
    assert_true(factor > 2.1 && factor < 2.2);
    assert_int_equal(fct_watch_slowest(2.5, RANKS, record, &factor, &median), -1);
    assert_int_equal(fct_watch_slowest(0, RANKS, record, &factor, &median), -1);
    assert_int_equal(fct_watch_slowest(1.5, 2, record + 2, &factor, &median), -1); // two: from 2x
    record[0].steps = 3;
    assert_int_equal(fct_watch_slowest(1.5, RANKS, record, &factor, &median), -1);
    for (int r = 0; r < RANKS; r++) {
        record[r].step_us = r == 1 ? 1900 : 500; // too little to speak of
        record[r].steps = 16;
    }
    assert_int_equal(fct_watch_slowest(1.5, RANKS, record, &factor, &median), -1);
}

static void test_the_message_names_rank_host_phase_step_and_collective(void **state)
{
    (void)state;
    char text[FCT_WATCH_TEXT];
    fct_verdict v = { .kind = FCT_VERDICT_HANGS, .rank = 2, .seconds = 11.04 };
    memcpy(record[2].collective, "sum of gradients", sizeof "sum of gradients");
    fct_watch_say(&v, record, card, RANKS, FCT_FATE_UNKNOWN, text);
    assert_non_null(strstr(text, "rank 2 on blue hangs: has not moved for 11.0 s "
                                 "(cluster.limit_step) in step 7; last collective: sum of "
                                 "gradients (number 40), left\n"));
    v.kind = FCT_VERDICT_SILENT;
    record[2].is_waiting = 1;
    fct_watch_say(&v, record, card, RANKS, FCT_FATE_STOPPED, text);
    assert_non_null(strstr(text, "rank 2 on blue is stopped (SIGSTOP"));
    assert_non_null(strstr(text, "(cluster.limit_silence) in step 7; last collective: sum of "
                                 "gradients (number 40), waiting in it\n"));
    v.kind = FCT_VERDICT_HOST;
    fct_watch_say(&v, record, card, RANKS, FCT_FATE_UNKNOWN, text);
    assert_non_null(strstr(text, "host blue (rank 2, 3) is cut off, down or stopped"));
}

static void test_own_time_of_a_step_leaves_waits_out(void **state)
{
    (void)state;
    fct_marks m = { 0 };
    uint32_t n;
    for (int i = 0; i < 5; i++) {
        fct_marks_phase(&m, FCT_PHASE_STEP, i, 1, i * 1.0);
        fct_marks_wait(&m);
        fct_marks_waited(&m, 0.75);
    }
    fct_marks_phase(&m, FCT_PHASE_EVAL, 5, 0, 5.0);
    fct_marks_phase(&m, FCT_PHASE_STEP, 6, 1, 500.0); // an evaluation is not part of a step
    assert_int_equal(fct_marks_step_us(&m, &n), 250000);
    assert_int_equal(n, 5);
    assert_int_equal(atomic_load(&m.is_waiting), 0);
}

// ---- datagrams, over the loopback

static int taken_rank, taken_n;
static fct_watch_record taken;

static void take(void *ctx, int rank, const fct_watch_record *r)
{
    (void)ctx;
    taken_rank = rank;
    taken = *r;
    taken_n++;
}

static int receive(fct_watch_net *n)
{
    taken_n = 0;
    usleep(20000);
    fct_watch_net_receive(n, take, NULL);
    return taken_n;
}

static void test_datagrams_are_believed_only_when_they_are_ours_and_sane(void **state)
{
    (void)state;
    const fct_watch_job job = { { 1, 2 } }, other_job = { { 1, 3 } };
    fct_watch_net *net[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fct_watch_net_open(&card[2 * i], &net[i]), FCT_OK);
        assert_true(card[2 * i].addresses > 0 && card[2 * i].port > 0);
        for (int r = 2 * i; r < 2 * i + 2; r++) { // one socket serves both ranks of a node here
            card[r] = card[2 * i];
            card[r].addresses = 1;
            card[r].address[0].s_addr = htonl(INADDR_LOOPBACK);
        }
        fct_watch_net_begin(net[i], &job, RANKS, 2 * i, card);
    }
    memcpy(record[1].collective, "bar\033rier", 9);
    record[1].step = 12345;
    fct_watch_net_send(net[0], record, 1);
    assert_int_equal(receive(net[1]), 4); // both records, to both ranks
    assert_int_equal(taken_rank, 1);
    assert_int_equal(taken.step, 12345);
    assert_string_equal(taken.collective, "bar?rier");

    record[1].phase = FCT_PHASES;
    fct_watch_net_send(net[0], record, 1);
    assert_int_equal(receive(net[1]), 2); // that of rank 0 alone
    record[1].phase = FCT_PHASE_STEP;

    fct_watch_net_begin(net[0], &other_job, RANKS, 0, card);
    fct_watch_net_send(net[0], record, 1);
    assert_int_equal(receive(net[1]), 0);

    char junk[2000] = "junk";
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)card[2].port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const size_t sizes[] = { 0, 1, 24, 100, sizeof junk };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(sendto(fd, junk, sizes[i], 0, (struct sockaddr *)&to, sizeof to),
                         sizes[i]);
    close(fd);
    fct_watch_net_begin(net[0], &job, RANKS, 0, card);
    fct_watch_net_send(net[0], record, 1);
    assert_int_equal(receive(net[1]), 4); // what comes after the junk still arrives
    for (int i = 0; i < 2; i++)
        fct_watch_net_close(net[i]);
}

// Ranks take turns in sending and in being sent to: every pair has its turn.
static void test_a_stopped_rank_costs_only_its_own_turns(void **state)
{
    (void)state;
    const fct_watch_job job = { { 7, 8 } };
    fct_watch_net *net[RANKS];
    int heard[RANKS] = { 0 };
    for (int r = 0; r < RANKS; r++) {
        card[r].addresses = 0;
        assert_int_equal(fct_watch_net_open(&card[r], &net[r]), FCT_OK);
        card[r].addresses = 1;
        card[r].address[0].s_addr = htonl(INADDR_LOOPBACK);
        fct_watch_net_begin(net[r], &job, RANKS, r, card);
    }
    for (int i = 0; i < 8; i++)
        fct_watch_net_send(net[1], record, 0); // rank 0 sends nothing
    for (int r = 0; r < RANKS; r++)
        heard[r] = receive(net[r]);
    assert_int_equal(heard[0] + heard[1], 0);
    assert_int_equal(heard[2], 4); // 4 turns in 8, half of them to each, two records each
    assert_int_equal(heard[3], 4);
    for (int r = 0; r < RANKS; r++)
        fct_watch_net_close(net[r]);
}

static void test_the_kernel_is_asked_about_a_process(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) { // sleeps until its parent is done with it, or gone
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    close(ends[0]);
    assert_int_equal(kill(child, SIGSTOP), 0);
    int how;
    assert_int_equal(waitpid(child, &how, WUNTRACED), child);
    assert_int_equal(fct_watch_probe(child, child), FCT_FATE_STOPPED);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &how, WCONTINUED), child);
    fct_watch_fate fate = fct_watch_probe(child, child);
    assert_true(fate == FCT_FATE_RUNNING || fate == FCT_FATE_STARVED);
    close(ends[1]);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(fct_watch_probe(child, child), FCT_FATE_GONE);
    assert_int_equal(fct_watch_probe(0x3fffffff, 0x3fffffff), FCT_FATE_GONE);
}

// In two containers on one host two ranks may have the same number.
static void test_a_rank_with_our_own_number_is_not_looked_up(void **state)
{
    (void)state;
    assert_int_equal(fct_watch_probe(getpid(), gettid()), FCT_FATE_UNKNOWN);
    assert_int_equal(fct_watch_probe(getpid(), 0x3fffffff), FCT_FATE_UNKNOWN);
}

static void test_unheard_hosts_are_told_late_and_never_our_own(void **state)
{
    (void)state;
    for (int r = 1; r < RANKS; r++)
        record[r].state = FCT_WATCH_UNHEARD;
    assert_int_equal(fct_watch_unheard(0, 0.2, RANKS, 0, record, card), -1);
    assert_int_equal(fct_watch_unheard(0, 11, RANKS, 0, record, card), -1);
    assert_int_equal(fct_watch_unheard(0, 13, RANKS, 0, record, card), 2);
    assert_int_equal(fct_watch_unheard(30, 13, RANKS, 0, record, card), -1);
    assert_int_equal(fct_watch_unheard(0, 13, 2, 0, record, card), -1); // one host
}

// A terminal that takes nothing: the watchdog's thread does not wait for it.
static void test_a_warning_does_not_wait_for_its_reader(void **state)
{
    (void)state;
    int ends[2], before = dup(STDERR_FILENO);
    char junk[4096] = { 0 };
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], junk, sizeof junk) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    alarm(60);
    int first = fct_watch_warn("the first"), second = fct_watch_warn("the second");
    alarm(0);
    size_t n = 0;
    while (!memchr(junk, '\n', sizeof junk) && read(ends[0], junk, sizeof junk) > 0)
        n++;
    dup2(before, STDERR_FILENO);
    close(ends[0]);
    close(before);
    assert_int_equal(first, 1);
    assert_int_equal(second, 0);
    assert_true(n > 1);
    assert_non_null(memmem(junk, sizeof junk, "warning: the first\n", 19));
}

#define TEST(name) cmocka_unit_test_setup(name, all_well)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_silent_rank_is_named_after_its_limit_and_not_before),
        TEST(test_a_watchdog_that_was_held_up_itself_starts_anew),
        TEST(test_what_the_kernel_says_changes_the_patience),
        TEST(test_ranks_that_ended_or_were_never_heard_are_not_judged),
        TEST(test_a_host_of_which_nobody_is_heard_is_lost),
        TEST(test_a_rank_that_moves_nowhere_hangs_unless_it_waits_for_others),
        TEST(test_limits_of_zero_are_never_reached),
        TEST(test_when_all_wait_that_is_told_with_the_earliest_collective),
        TEST(test_the_slowest_is_found_against_the_median),
        TEST(test_the_message_names_rank_host_phase_step_and_collective),
        TEST(test_own_time_of_a_step_leaves_waits_out),
        TEST(test_datagrams_are_believed_only_when_they_are_ours_and_sane),
        TEST(test_a_stopped_rank_costs_only_its_own_turns),
        TEST(test_the_kernel_is_asked_about_a_process),
        TEST(test_a_rank_with_our_own_number_is_not_looked_up),
        TEST(test_unheard_hosts_are_told_late_and_never_our_own),
        TEST(test_a_warning_does_not_wait_for_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
