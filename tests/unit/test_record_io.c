// SPDX-License-Identifier: Apache-2.0
// RecordIO: the format's test vectors, split records, and files that lie.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/insightface/record_index.h"
#include "datasets/insightface/record_io.h"
#include "facet/path.h"

static char file[FCT_PATH_MAX];

static int make_name(void **state)
{
    (void)state;
    snprintf(file, sizeof file, "/tmp/facet-rec-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static void put(const void *bytes, size_t n)
{
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t put_hex(const char *hex)
{
    uint8_t bytes[512];
    size_t n = 0;
    for (; *hex; hex++)
        if (*hex != ' ') {
            unsigned byte;
            assert_int_equal(sscanf(hex++, "%2x", &byte), 1);
            bytes[n++] = (uint8_t)byte;
        }
    put(bytes, n);
    return n;
}

#define HEAD  "0000e040 2a00000000000000 0000000000000000" // label 7, id 42
#define WHOLE "0a23d7ce 1d000000 00000000" HEAD "ffd8ffd958 000000"

static fct_record look(int64_t at)
{
    fct_record_file *f;
    fct_record record;
    assert_int_equal(fct_record_open(file, &f), FCT_OK);
    assert_int_equal(fct_record_look(f, at, &record), FCT_OK);
    fct_record_close(f);
    return record;
}

static fct_status read_picture(int64_t at, size_t max_bytes, const char *want, size_t want_n)
{
    fct_record_file *f;
    uint8_t *buffer = NULL;
    const uint8_t *picture;
    size_t capacity = 0, n;
    assert_int_equal(fct_record_open(file, &f), FCT_OK);
    fct_status status = fct_record_read(f, at, "it", max_bytes, &buffer, &capacity, &picture, &n);
    if (status == FCT_OK) {
        assert_int_equal(n, want_n);
        assert_memory_equal(picture, want, n);
    }
    free(buffer);
    fct_record_close(f);
    return status;
}

static void test_a_record_has_its_label_and_picture(void **state)
{
    (void)state;
    size_t n = put_hex(WHOLE);
    fct_record r = look(0);
    assert_null(r.bad);
    assert_int_equal(r.end, n);
    assert_int_equal(r.flag, 0);
    assert_true(r.label[0] == 7);
    assert_int_equal(r.picture_bytes, 5);
    assert_int_equal(read_picture(0, 1000, "\xff\xd8\xff\xd9X", 5), FCT_OK);
}

static void test_a_header_record_has_two_labels_and_no_picture(void **state)
{
    (void)state;
    put_hex(
        "0a23d7ce 20000000 02000000 00000000 0000000000000000 0000000000000000 0090ef48 80b9f448");
    fct_record r = look(0);
    assert_null(r.bad);
    assert_int_equal(r.flag, 2);
    assert_true(r.label[0] == 490624 && r.label[1] == 501196);
    assert_int_equal(r.picture_bytes, 0);
}

static void test_parts_are_joined_with_the_magic_between(void **state)
{
    (void)state;
    // 28 bytes, cut where the picture's bytes 4..7 were the magic; a middle part; the last,
    // unpadded
    size_t n = put_hex("0a23d7ce 1c000020 00000000" HEAD "61626364"
                       "0a23d7ce 04000040 65666768 0a23d7ce 03000060 696a6b 00");
    fct_record r = look(0);
    static const char want[] = "abcd\x0a\x23\xd7\xce"
                               "efgh\x0a\x23\xd7\xce"
                               "ijk";
    assert_null(r.bad);
    assert_int_equal(r.end, n);
    assert_true(r.label[0] == 7);
    assert_int_equal(r.picture_bytes, sizeof want - 1);
    assert_int_equal(read_picture(0, 1000, want, sizeof want - 1), FCT_OK);
}

static void test_a_magic_within_the_head_is_put_back(void **state)
{
    (void)state;
    // the id's first four bytes (8..11 of the data) are the magic
    put_hex("0a23d7ce 08000020 00000000 0000e040 0a23d7ce 10000060"
            "00000000 0000000000000000 ffd8ffd9");
    fct_record r = look(0);
    assert_null(r.bad);
    assert_true(r.label[0] == 7);
    assert_int_equal(r.picture_bytes, 4);
    assert_int_equal(read_picture(0, 1000, "\xff\xd8\xff\xd9", 4), FCT_OK);
}

static void is_bad(const char *hex, const char *why)
{
    put_hex(hex);
    fct_record r = look(0);
    if (!r.bad || !strstr(r.bad, why))
        print_error("wanted '%s', got '%s'\n", why, r.bad ? r.bad : "no complaint");
    assert_true(r.bad && strstr(r.bad, why));
    assert_int_equal(read_picture(0, 1 << 20, "", 0), FCT_E_FORMAT);
}

static void test_what_is_no_record_is_told(void **state)
{
    (void)state;
    is_bad("", "the file ends");
    is_bad("0a23d7ce 1d00", "ends within");
    is_bad("0a23d7cf 1d000000", "no record begins here");
    is_bad("0a23d7ce ffffff1f 00000000", "ends within"); // the longest length there is
    is_bad("0a23d7ce 04000060 00000000", "first part is missing");
    is_bad("0a23d7ce 040000e0 00000000", "first part is missing"); // a kind that does not exist
    is_bad("0a23d7ce 04000020 00000000", "ends before this record's last part");
    is_bad("0a23d7ce 04000020 00000000 0a23d7ce 04000000 00000000", "before its last part");
    is_bad("0a23d7ce 17000000 00000000 0000e040 2a00000000000000 00000000000000", "too short");
    is_bad("0a23d7ce 1c000000 02000000" HEAD "00000000", "more labels");
    is_bad("0a23d7ce 1c000000 ffffffff" HEAD "00000000", "more labels");
}

static void test_no_more_is_read_than_allowed(void **state)
{
    (void)state;
    put_hex(WHOLE);
    assert_int_equal(read_picture(0, 28, "", 0), FCT_E_FORMAT);
    assert_non_null(strstr(fct_fail_text(), "more than the 28 bytes"));
    put_hex("0a23d7ce 1c000020 00000000" HEAD "61626364 0a23d7ce 04000060 65666768");
    assert_int_equal(read_picture(0, 32, "", 0), FCT_E_FORMAT);
    assert_int_equal(read_picture(0, 36,
                                  "abcd\x0a\x23\xd7\xce"
                                  "efgh",
                                  12),
                     FCT_OK);
}

static void test_the_next_record_is_found_after_damage(void **state)
{
    (void)state;
    fct_record_file *f;
    int64_t at;
    size_t n = put_hex("ffffffff 0a23d7ce 04000040 00000000 00 0a23d7ce 000000" WHOLE);
    assert_int_equal(fct_record_open(file, &f), FCT_OK);
    assert_int_equal(fct_record_find(f, 1, &at), FCT_OK);
    assert_int_equal(at, n - 40);
    assert_int_equal(fct_record_find(f, at + 1, &at), FCT_OK);
    assert_int_equal(at, n); // none is left
    fct_record_close(f);
}

static void index_is(const char *text, fct_status want, const char *why)
{
    fct_record_index index;
    put(text, strlen(text));
    fct_status status = fct_record_index_load(file, &index);
    assert_int_equal(status, want);
    if (status == FCT_OK)
        fct_record_index_release(&index);
    else if (!strstr(fct_fail_text(), why))
        fail_msg("wanted '%s', got '%s'", why, fct_fail_text());
}

static void test_an_index_is_read_in_any_order(void **state)
{
    (void)state;
    fct_record_index index;
    static const char text[] = "5\t80\r\n\n0\t0\n7\t40";
    put(text, sizeof text - 1);
    assert_int_equal(fct_record_index_load(file, &index), FCT_OK);
    static const int64_t want[][3] = { { 0, 0, 3 }, { 7, 40, 4 }, { 5, 80, 1 } };
    assert_int_equal(index.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(index.entry[i].key, want[i][0]);
        assert_int_equal(index.entry[i].at, want[i][1]);
        assert_int_equal(index.entry[i].line, want[i][2]);
    }
    fct_record_index_release(&index);
}

static void test_an_index_that_is_none_is_refused(void **state)
{
    (void)state;
    index_is("1\t0\n2 40\n", FCT_E_FORMAT, ":2: is no number");
    index_is("1\t0\n-2\t40\n", FCT_E_FORMAT, ":2: is no number");
    index_is("1\t0x\n", FCT_E_FORMAT, ":1: is no number");
    index_is("1\t\n", FCT_E_FORMAT, ":1: is no number");
    index_is("1\t99999999999999999999999\n", FCT_E_FORMAT, ":1: is no number");
    index_is("", FCT_E_FORMAT, "names no record");
    index_is("1\t0\n2\t40\n1\t80\n", FCT_E_FORMAT, ":3: record 1 was named in line 1");
    index_is("1\t0\n2\t40\n3\t40\n", FCT_E_FORMAT, ":3: record 3 lies where line 2");
}

static void test_property_begins_with_the_number_of_classes(void **state)
{
    (void)state;
    int64_t classes;
    put("10572,112,112\n501195\n", 21);
    assert_int_equal(fct_record_property_load(file, &classes), FCT_OK);
    assert_int_equal(classes, 10572);
    static const char *const wrong[] = { "", "x,112,112", "0,112,112", "-4", "12x,4" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put(wrong[i], strlen(wrong[i]));
        assert_int_equal(fct_record_property_load(file, &classes), FCT_E_FORMAT);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_name, remove_file)
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_has_its_label_and_picture),
        TEST(test_a_header_record_has_two_labels_and_no_picture),
        TEST(test_parts_are_joined_with_the_magic_between),
        TEST(test_a_magic_within_the_head_is_put_back),
        TEST(test_what_is_no_record_is_told),
        TEST(test_no_more_is_read_than_allowed),
        TEST(test_the_next_record_is_found_after_damage),
        TEST(test_an_index_is_read_in_any_order),
        TEST(test_an_index_that_is_none_is_refused),
        TEST(test_property_begins_with_the_number_of_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
