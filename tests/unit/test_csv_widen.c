// SPDX-License-Identifier: Apache-2.0
// train/: tables of an older facet get the columns that came later; all others stay as they are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "facet/text.h"
#include "src/train/run_dir.h"

static void check(const char *columns, const char *before, const char *after)
{
    fct_text table = { 0 };
    fct_text_add(&table, "%s", before);
    fct_csv_widen(columns, &table);
    assert_false(table.failed);
    assert_string_equal(table.data, after);
    assert_int_equal(table.size, strlen(after));
    fct_text_release(&table);
}

static void test_old_tables_get_empty_fields(void **state)
{
    (void)state;
    check("a,b,c,d\n", "a,b\n1,2\n3,\n", "a,b,c,d\n1,2,,\n3,,,\n");
    check("a,b,c", "a,b\n", "a,b,c\n");
    check("a,b,c", "a,b\n1,2", "a,b,c\n1,2,\n");
}

static void test_other_tables_stay(void **state)
{
    (void)state;
    check("a,b,c\n", "a,b,c\n1,2,3\n", "a,b,c\n1,2,3\n");
    check("a,b,c\n", "a,x\n1,2\n", "a,x\n1,2\n");
    check("a,bc,d\n", "a,b\n1,2\n", "a,b\n1,2\n");
    check("a,b\n", "a,b,c\n1,2,3\n", "a,b,c\n1,2,3\n");
    check("a,b\n", "", "");
    fct_text nothing = { 0 };
    fct_csv_widen("a,b\n", &nothing);
    assert_null(nothing.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_tables_get_empty_fields),
        cmocka_unit_test(test_other_tables_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
