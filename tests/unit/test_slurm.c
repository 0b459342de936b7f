// SPDX-License-Identifier: Apache-2.0
// What a job hears from Slurm and asks of it, with a scontrol of our own in front of PATH; the real
// one is asked in tests/fault/slurm-*.py.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/path.h"
#include "facet/slurm.h"

static char folder[64], log_path[96], calls_path[96];

// The job as scontrol describes it, and what `scontrol requeue` exits with.
static void slurm_says(const char *job, int requeue_code)
{
    char path[128];
    snprintf(path, sizeof path, "%s/scontrol", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\necho \"$*\" >>%s\n[ \"$1\" = requeue ] || { echo 'JobId=12 %s'; exit 0; }\n"
            "[ %d = 0 ] || echo 'Access denied'\nexit %d\n",
            calls_path, job, requeue_code, requeue_code);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static int told(const char *path, const char *words)
{
    char *text;
    size_t size;
    if (fct_path_read(path, 1 << 20, &text, &size) != FCT_OK)
        return 0;
    int is_there = strstr(text, words) != NULL;
    free(text);
    return is_there;
}

static fct_slurm_job job_of(const char *id, const char *array, const char *task,
                            const char *restarts)
{
    fct_slurm_job job;
    const char *value[] = { id, array, task, restarts };
    const char *name[] = { "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
                           "SLURM_RESTART_COUNT" };
    for (int i = 0; i < 4; i++)
        if (value[i])
            setenv(name[i], value[i], 1);
        else
            unsetenv(name[i]);
    fct_slurm_read(&job);
    return job;
}

static void test_slurm_job_is_read_from_the_environment(void **state)
{
    (void)state;
    fct_slurm_job job = job_of(NULL, NULL, NULL, NULL);
    assert_int_equal(job.job, 0);
    assert_string_equal(job.id, "");
    job = job_of("12", NULL, NULL, NULL);
    assert_string_equal(job.id, "12");
    assert_int_equal(job.life, 1);
    job = job_of("12", "12", "3", "2"); // an array's last task has the array's number
    assert_string_equal(job.id, "12_3");
    assert_int_equal(job.life, 3);
    assert_true(isinf(job.end_s));
}

static void test_slurm_end_comes_from_the_environment_or_scontrol(void **state)
{
    (void)state;
    char text[64];
    fct_slurm_job job = job_of("12", NULL, NULL, NULL);
    snprintf(text, sizeof text, "EndTime=%lld", (long long)time(NULL) + 500);
    slurm_says(text, 0);
    fct_slurm_ask_end(&job);
    assert_true(fabs(job.end_s - fct_clock_s() - 500) < 30);
    assert_true(told(calls_path, "show job 12"));
    job = job_of("12", NULL, NULL, NULL);
    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + 900);
    setenv("SLURM_JOB_END_TIME", text, 1);
    fct_slurm_ask_end(&job);
    unsetenv("SLURM_JOB_END_TIME");
    assert_true(fabs(job.end_s - fct_clock_s() - 900) < 30);
    job = job_of("12", NULL, NULL, NULL);
    slurm_says("EndTime=Unknown", 0);
    fct_slurm_ask_end(&job);
    assert_true(isinf(job.end_s));
    slurm_says("EndTime=9999999999", 0);
    fct_slurm_ask_end(&job);
    assert_true(isinf(job.end_s));
}

static void test_slurm_requeue_asks_only_where_it_is_wanted(void **state)
{
    (void)state;
    const char *running = "JobState=RUNNING Reason=None Requeue=1 Restarts=0 BatchFlag=1";
    const struct {
        const char *job;
        int code, at_most, comes_back, asks;
        const char *words;
    } cases[] = {
        { running, 0, 20, 1, 1, "goes back into the queue for life 2" },
        { "JobState=COMPLETING Reason=TimeLimit Requeue=1 Restarts=0 BatchFlag=1", 0, 20, 1, 1,
          "for life 2" },
        { running, 1, 20, 0, 1, "Access denied; to go on: scontrol requeue 12_3" },
        { running, 0, 0, 0, 0, "" },
        { "JobState=COMPLETING Reason=None Requeue=1 Restarts=0 BatchFlag=1", 0, 20, 0, 0,
          "is being ended (COMPLETING)" },
        { "JobState=COMPLETING Reason=None Requeue=1 Restarts=1 BatchFlag=1", 0, 20, 1, 0,
          "Slurm puts job 12_3 back" },
        { "JobState=RUNNING Reason=None Requeue=1 Restarts=0 BatchFlag=0", 0, 20, 0, 0, "sbatch" },
        { "JobState=RUNNING Reason=None Requeue=0 Restarts=0 BatchFlag=1", 0, 20, 0, 0,
          "--no-requeue" },
    };
    fct_slurm_job job = job_of("15", "12", "3", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(calls_path);
        fct_log_set_file(NULL);
        unlink(log_path);
        fct_log_set_file(log_path);
        slurm_says(cases[i].job, cases[i].code);
        print_message("%s\n", cases[i].job);
        assert_int_equal(fct_slurm_requeue(&job, cases[i].at_most), cases[i].comes_back);
        assert_int_equal(told(calls_path, "requeue 12_3"), cases[i].asks);
        assert_true(told(log_path, cases[i].words));
    }
}

static void test_slurm_requeue_is_bounded_and_lives_without_scontrol(void **state)
{
    (void)state;
    char path[128];
    fct_slurm_job job = job_of("15", NULL, NULL, "2");
    unlink(calls_path);
    assert_int_equal(fct_slurm_requeue(&job, 2), 0);
    assert_true(told(log_path, "has been requeued 2 times (cluster.requeue = 2)"));
    assert_false(told(calls_path, "requeue"));
    snprintf(path, sizeof path, "%s/scontrol", folder);
    unlink(path);
    assert_int_equal(fct_slurm_requeue(&job, 20), 0);
    assert_true(told(log_path, "there is no scontrol here; to go on: scontrol requeue 15"));
    fct_slurm_ask_end(&job);
    assert_true(isinf(job.end_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slurm_job_is_read_from_the_environment),
        cmocka_unit_test(test_slurm_end_comes_from_the_environment_or_scontrol),
        cmocka_unit_test(test_slurm_requeue_asks_only_where_it_is_wanted),
        cmocka_unit_test(test_slurm_requeue_is_bounded_and_lives_without_scontrol),
    };
    char path[4096], tool[192];
    snprintf(folder, sizeof folder, "/tmp/facet-slurm-XXXXXX");
    if (!mkdtemp(folder))
        return 2;
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(calls_path, sizeof calls_path, "%s/calls", folder);
    // env and sh, and no scontrol of this machine.
    snprintf(path, sizeof path, "%s/bin", folder);
    if (mkdir(path, 0755) != 0)
        return 2;
    const char *const programs[] = { "env", "sh" };
    for (int i = 0; i < 2; i++) {
        char from[32];
        snprintf(from, sizeof from, "/bin/%s", programs[i]);
        snprintf(tool, sizeof tool, "%s/bin/%s", folder, programs[i]);
        if (symlink(from, tool) != 0)
            return 2;
    }
    snprintf(path, sizeof path, "%s:%s/bin", folder, folder);
    setenv("PATH", path, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fct_log_set_file(NULL);
    fct_path_remove(folder);
    return failed;
}
