// SPDX-License-Identifier: Apache-2.0
// The cuda backend is found, or words say why not; without a driver it says so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "facet/device.h"

static void assert_refused(const char *library, const char *words)
{
    setenv("FACET_CUDA_LIBRARY", library, 1);
    fct_fail_clear();
    assert_null(fct_backend_find("cuda"));
    if (!strstr(fct_fail_text(), words))
        fail_msg("'%s' does not say '%s'", fct_fail_text(), words);
}

static void test_a_library_that_is_missing_or_broken_is_told(void **state)
{
    char path[] = "/tmp/facet_load_cuda_XXXXXX";
    (void)state;
    assert_refused("/nowhere/libfacet_cuda.so",
                   "cannot be loaded: /nowhere/libfacet_cuda.so: cannot");
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "no library", 10), 10);
    close(file);
    assert_refused(path, path);
    unlink(path);
    assert_refused("libm.so.6", "fct_cuda_table"); // a library, but not ours
}

static void test_without_a_driver_words_say_so(void **state)
{
    const char *library = getenv("FACET_TEST_CUDA");
    int n = -1;
    (void)state;
    if (!library)
        skip();
    setenv("FACET_CUDA_LIBRARY", library, 1);
    const fct_backend_ops *ops = fct_backend_find("cuda");
    if (!ops)
        fail_msg("%s", fct_fail_text());
    assert_string_equal(ops->name, "cuda");
    const fct_status s = ops->device->count(&n);
    if (s == FCT_OK && n > 0)
        return; // there are GPUs; tests/gpu has more for them
    const fct_backend_spec spec = { 0 };
    fct_backend *b;
    fct_device_info info;
    assert_true(s == FCT_OK || s == FCT_E_BACKEND);
    assert_int_equal(n, 0);
    const char *words = s == FCT_OK ? "has no GPU" : "NVIDIA driver";
    assert_int_equal(ops->device->info(0, &info), FCT_E_BACKEND);
    assert_non_null(strstr(fct_fail_text(), words));
    fct_fail_clear();
    assert_int_equal(ops->create(&spec, &b), FCT_E_BACKEND);
    assert_null(b);
    assert_non_null(strstr(fct_fail_text(), words));
    assert_non_null(strchr(fct_fail_text(), '\n')); // what to do
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_library_that_is_missing_or_broken_is_told),
        cmocka_unit_test(test_without_a_driver_words_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
