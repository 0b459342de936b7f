// SPDX-License-Identifier: Apache-2.0
// Autotuning: what one backend measured another takes over, from a file or from text, and measures
// nothing again; a deterministic one measures nothing at all.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core_kit.h"
#include "facet/path.h"

static fct_backend *tuned(const char *cache, int is_deterministic)
{
    const fct_backend_spec spec = { .precision = FCT_PRECISION_BF16,
                                    .autotune = 1,
                                    .is_deterministic = is_deterministic,
                                    .plan_cache = cache };
    fct_backend *b;
    OK(fct_backend_find("cuda")->create(&spec, &b));
    return b;
}

// A gradient with a sum: two graphs, so two choices.
static void plan(fct_backend *b, int64_t channels)
{
    const int64_t act[] = { 2, channels, 9, 9 }, filter[] = { channels, channels, 3, 3 };
    fct_op_desc d = { .op = FCT_OP_CONV_BWD_DATA, .n_in = 3, .n_out = 1 };
    d.in[0] = d.in[2] = d.out[0] = fct_shape_make(FCT_F32, FCT_ACT, 4, act);
    d.in[1] = fct_shape_make(FCT_F32, FCT_FILTER, 4, filter);
    d.attr.conv.kernel = 3;
    d.attr.conv.stride = d.attr.conv.pad = d.attr.conv.add = 1;
    fct_plan *p;
    OK(b->ops->plan(b, &d, &p));
    b->ops->plan_destroy(p);
}

static char *choices(fct_backend *b)
{
    char *text = NULL;
    OK(b->ops->device->get_choices(b, &text));
    return text;
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_what_is_measured_is_told(void **state)
{
    (void)state;
    fct_backend *b = tuned(NULL, 0);
    char *none = choices(b);
    plan(b, 16);
    char *two = choices(b);
    plan(b, 16);
    char *same = choices(b);
    plan(b, 24);
    char *four = choices(b);
    assert_int_equal(lines(none), 0);
    assert_int_equal(lines(two), 2);
    assert_string_equal(same, two);
    assert_int_equal(lines(four), 4);
    free(none), free(two), free(same), free(four);
    b->ops->destroy(b);
}

// A measurement would put its own time in the place of the one handed over.
static void test_text_is_taken_over_and_not_measured_again(void **state)
{
    (void)state;
    fct_backend *first = tuned(NULL, 0), *second = tuned(NULL, 0);
    plan(first, 16);
    char *given = choices(first);
    OK(second->ops->device->put_choices(second, given));
    plan(second, 16);
    char *after = choices(second);
    assert_string_equal(after, given);
    free(given), free(after);
    first->ops->destroy(first);
    second->ops->destroy(second);
}

static void test_the_file_is_taken_over(void **state)
{
    (void)state;
    char path[] = "/tmp/facet_choices_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    fct_backend *b = tuned(path, 0);
    plan(b, 16);
    char *given = choices(b);
    b->ops->destroy(b);
    b = tuned(path, 0);
    plan(b, 16);
    char *after = choices(b);
    assert_int_equal(lines(after), 2);
    assert_string_equal(after, given);
    free(given), free(after);
    b->ops->destroy(b);
    assert_int_equal(fct_path_remove(path), FCT_OK);
}

// Engines that cuDNN does not offer are measured anew.
static void test_an_unknown_engine_is_measured_anew(void **state)
{
    (void)state;
    fct_backend *first = tuned(NULL, 0), *second = tuned(NULL, 0);
    plan(first, 16);
    char *given = choices(first);
    for (char *line = given; *line; line = strchr(line, '\n') + 1) {
        char *engine = strchr(strchr(line, '\t') + 1, '\t') + 1;
        assert_true(*engine >= '0' && *engine <= '9');
        *engine = 'x';
    }
    OK(second->ops->device->put_choices(second, given));
    plan(second, 16);
    char *after = choices(second);
    assert_null(strstr(after, "\tx"));
    assert_int_equal(lines(after), 2);
    free(given), free(after);
    first->ops->destroy(first);
    second->ops->destroy(second);
}

// Of two ways to the same sum that both were timed, the slower is not even made: its engine, which
// nobody knows, would have to be measured anew here.
static void test_the_slower_way_is_not_made_again(void **state)
{
    (void)state;
    fct_backend *first = tuned(NULL, 0), *second = tuned(NULL, 0);
    char given[1024] = "", *rest = NULL;
    plan(first, 16);
    char *all = choices(first);
    for (char *device = strtok_r(all, "\t", &rest); device; device = strtok_r(NULL, "\t", &rest)) {
        const char *key = strtok_r(NULL, "\t", &rest), *engine = strtok_r(NULL, "\t", &rest);
        const int is_fused = strstr(key, " + a") != NULL;
        assert_non_null(strtok_r(NULL, "\n", &rest));
        const size_t used = strlen(given);
        snprintf(given + used, sizeof given - used, "%s\t%s\t%s\t%s\n", device, key,
                 is_fused ? "x" : engine, is_fused ? "1" : "1e-06");
    }
    assert_int_equal(lines(given), 2);
    OK(second->ops->device->put_choices(second, given));
    plan(second, 16);
    char *after = choices(second);
    assert_string_equal(after, given);
    free(all), free(after);
    first->ops->destroy(first);
    second->ops->destroy(second);
}

static void test_a_deterministic_backend_measures_nothing(void **state)
{
    (void)state;
    fct_backend *b = tuned(NULL, 1);
    plan(b, 16);
    char *none = choices(b);
    assert_int_equal(lines(none), 0);
    free(none);
    b->ops->destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_measured_is_told),
        cmocka_unit_test(test_text_is_taken_over_and_not_measured_again),
        cmocka_unit_test(test_the_file_is_taken_over),
        cmocka_unit_test(test_an_unknown_engine_is_measured_anew),
        cmocka_unit_test(test_the_slower_way_is_not_made_again),
        cmocka_unit_test(test_a_deterministic_backend_measures_nothing),
    };
    return fct_core_is_there() ? cmocka_run_group_tests(tests, NULL, NULL) : FCT_SKIPPED;
}
