// SPDX-License-Identifier: Apache-2.0
// Configuration: what is refused and where, precedence, and that a printed one loads to the same.
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
#include "facet/options.h"
#include "facet/path.h"
#include "facet/rng.h"
#include "src/config/option_table.h"

static char folder[] = "/tmp/facet-options-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fct_path_remove(folder) == FCT_OK ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[FCT_PATH_MAX];
    assert_int_equal(fct_path_join(path, folder, name), FCT_OK);
    return path;
}

static void write_bytes(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

// Loads `name`, wants a refusal that holds `where` (behind the folder) and `word`, in 0.1 s of
// processor time (the machine may be busy) and without waiting for anybody.
static void expect_refused(const char *name, const char *where, const char *word)
{
    const char *sanitized = getenv("FACET_SANITIZED");
    double limit_s = sanitized && *sanitized == '1' ? 2 : 0.1;
    fct_options *o = NULL;
    double start_s = fct_clock_s();
    clock_t start = clock();
    fct_status status = fct_options_load(path_of(name), NULL, 0, &o);
    double busy_s = (double)(clock() - start) / CLOCKS_PER_SEC, spent_s = fct_clock_s() - start_s;
    if (status == FCT_OK) {
        fct_options_destroy(o);
        fail_msg("%s was not refused, wanted '%s'", name, word);
    }
    if (!strstr(fct_fail_text(), where) || !strstr(fct_fail_text(), word))
        fail_msg("'%s', wanted '%s' and '%s'", fct_fail_text(), where, word);
    if (busy_s > limit_s || spent_s > 10)
        fail_msg("refusing '%s' took %.3f s, %.3f s of them busy", word, spent_s, busy_s);
}

typedef struct {
    const char *text;
    int line;
    const char *word;
} bad;

static const bad bad_texts[] = {
    // keys
    { "data = { batchsize = 1; };", 1, "did you mean data.batch_size?" },
    { "\n\ndata = {\n  num_worker = 1;\n};", 4, "did you mean data.num_workers?" },
    { "batch_size = 1;", 1, "did you mean data.batch_size?" },
    { "train = { batch_size = 1; };", 1, "did you mean data.batch_size?" },
    { "trian = { epochs = 1; };", 1, "did you mean train?" },
    { "optim = { lr = 0.1; };", 1, "optim.lr: unknown option" },
    { "schedule = { warmpu_epochs = 1; };", 1, "did you mean schedule.warmup_epochs?" },
    { "zzzzzzzzzz = { };", 1, "unknown option" },
    { "data = { x = { y = 1; }; };", 1, "data.x: unknown option" },
    { "data = { size = 1; size = 2; };", 1, "duplicate" },
    { "data = { size = 1; };\ndata = { ahead = 2; };", 2, "duplicate" },
    // sections
    { "data = 1;", 1, "wants a group" },
    { "data = [ 1, 2 ];", 1, "wants a group" },
    { "data = ( { size = 1; } );", 1, "wants a group" },
    { "data = \"x\";", 1, "wants a group" },
    // types
    { "data = { size = 0.5; };", 1, "wants a whole number, not a number with a fraction" },
    { "data = { size = \"64\"; };", 1, "wants a whole number, not a string" },
    { "data = { size = true; };", 1, "wants a whole number" },
    { "data = { size = [ 1 ]; };", 1, "wants a whole number, not an array" },
    { "data = { size = { }; };", 1, "wants a whole number, not a group" },
    { "data = { size = ( ); };", 1, "wants a whole number" },
    { "optim = { learning_rate = \"0.1\"; };", 1, "wants a number" },
    { "optim = { nesterov = 1; };", 1, "wants true or false, not a whole number" },
    { "optim = { nesterov = \"yes\"; };", 1, "wants true or false" },
    { "model = { backbone = 18; };", 1, "wants a string in quotes" },
    { "model = { backbone = [ \"resnet18\" ]; };", 1, "wants a string" },
    { "data = { path = 3; };", 1, "wants a string or an array" },
    { "data = { path = { a = 1; }; };", 1, "wants a string or an array of strings, not a group" },
    { "data = { path = ( [ \"a\" ] ); };", 1, "item 1 is an array" },
    { "data = { path = [ \"a\", \"\" ]; };", 1, "item 2 is empty" },
    { "data = { path = [ \"a\", 1 ]; };", 1, "mismatched element type" },
    { "cluster = { bucket_bytes = 1.5; };", 1, "wants bytes" },
    { "cluster = { bucket_bytes = \"4 parsec\"; };", 1, "64 MiB" },
    { "cluster = { bucket_bytes = \"MiB\"; };", 1, "64 MiB" },
    { "cluster = { bucket_bytes = \"1e999 GiB\"; };", 1, "64 MiB" },
    // ranges
    { "data = { batch_size = 0; };", 1, "out of range, allowed is 1 to 1048576 images" },
    { "data = { batch_size = -64; };", 1, "-64 is out of range" },
    { "data = { batch_size = 3000000000; };", 1, "3000000000 is out of range" },
    { "data = { batch_size = 4294967360; };", 1, "4294967360 is out of range" },
    { "data = { batch_size = 0x100000040; };", 1, "4294967360 is out of range" },
    { "data = {\n batch_size = 99999999999999999999;\n};", 2, "does not fit 64 bits" },
    { "data = { batch_size = -99999999999999999999L; };", 1, "does not fit 64 bits" },
    { "data = { batch_size = 0xFFFFFFFFFFFFFFFF; };", 1, "does not fit 64 bits" },
    { "optim = { learning_rate = -1e-9; };", 1, "out of range" },
    { "optim = { learning_rate = 1e999; };", 1, "is not a number" },
    { "optim = { momentum = 1; };", 1, "out of range, allowed is 0 to 0.9999" },
    { "cluster = { bucket_bytes = \"2 TiB\"; };", 1, "out of range" },
    { "model = { backbone = \"resnet19\"; };", 1, "resnet18|resnet34|resnet50" },
    { "model = { backbone = \"resnet\"; };", 1, "not one of the choices" },
    { "model = { backbone = \"\"; };", 1, "not one of the choices" },
    { "model = { backbone = \"resnet18|resnet34\"; };", 1, "not one of the choices" },
    { "optim = { optimizer = \"AdamW\"; };", 1, "adamw|sgd" },
    // syntax
    { "data = {\n size = ;\n};", 2, "syntax error" },
    { "data = { size = 1 ", 1, "syntax error" },
    { "data = { size 1; };", 1, "syntax error" },
    { "data = { size = 010x; };", 1, "syntax error" },
    { "data = { size = 'x'; };", 1, "syntax error" },
    { "\n\ndata = { path = \"abc; };\n", 3, "no closing quote" },
    { "\n/* data = { size = 1; };\n\n", 2, "comment has no end" },
    { "data: size: 1", 1, "syntax error" },
    { "- data\n- size", 1, "syntax error" },
    { "{ \"data\": { \"size\": 1 } }", 1, "syntax error" },
    { "\x7f"
      "ELF\x02\x01\x01",
      1, "syntax error" },
    // includes and what looks like them
    { "data = { @include \"a.cfg\" };", 1, "on a line of its own" },
    { "@inclod \"a.cfg\"", 1, "on a line of its own" },
    { "\n@include a.cfg", 2, "file name in quotes" },
    { "@include \"a.cfg", 1, "file name in quotes" },
    { "@include \"a.cfg\" data = { };", 1, "on a line of its own" },
    { "\n@include \"not-there.cfg\"", 2, "No such file" },
    { "@include \"/etc/passwd\"", 1, "lies outside" },
    { "@include \"../../../../../../etc/passwd\"", 1, "lies outside" },
    { "@include \"..\"", 1, "lies outside" },
    { "@include \"bad.cfg\"", 1, "does a file include itself?" },
    { "@include \".\"", 1, "lies outside" },
};
enum { BAD_TEXTS = sizeof bad_texts / sizeof *bad_texts };
_Static_assert(BAD_TEXTS >= 60, "sixty wrong configurations were promised");

static void test_wrong_text_is_refused_with_its_line(void **state)
{
    (void)state;
    for (int i = 0; i < BAD_TEXTS; i++) {
        char where[64];
        snprintf(where, sizeof where, "/bad.cfg:%d: ", bad_texts[i].line);
        write_file("bad.cfg", bad_texts[i].text);
        expect_refused("bad.cfg", where, bad_texts[i].word);
    }
}

// A file of n bytes: `head`, then `fill` over and over.
static void write_filled(const char *name, const char *head, const char *fill, size_t n)
{
    char *text = malloc(n + 1);
    assert_non_null(text);
    size_t at = strlen(head), k = strlen(fill);
    memcpy(text, head, at);
    for (; at < n; at++)
        text[at] = fill[at % k];
    write_bytes(name, text, n);
    free(text);
}

static void test_oversized_input_is_refused_at_once(void **state)
{
    (void)state;
    write_filled("big.cfg", "#", " \n", (1 << 20) + 1);
    expect_refused("big.cfg", "/big.cfg", "more than the 1048576 allowed");
    write_filled("word.cfg", "\n", "w", 1 << 20);
    expect_refused("word.cfg", "/word.cfg:2: ", "word is longer");
    write_filled("digits.cfg", "data = { size = ", "1", 1 << 20);
    expect_refused("digits.cfg", "/digits.cfg:1: ", "word is longer");
    write_filled("string.cfg", "data = { path = \"", "s", 1 << 20);
    expect_refused("string.cfg", "/string.cfg:1: ", "string is longer");
    write_filled("nest.cfg", "a = ", "(", 1 << 20);
    expect_refused("nest.cfg", "/nest.cfg:1: ", "");
    write_filled("many.cfg", "data = { ", "a=1;b=2;", 1 << 20);
    expect_refused("many.cfg", "/many.cfg:1: ", "more than 4096 settings");
    write_bytes("zero.cfg", "data = { size = 1; };\0x", 23);
    expect_refused("zero.cfg", "/zero.cfg", "zero byte");
}

static void test_what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path_of("fifo.cfg"), 0600), 0);
    expect_refused("fifo.cfg", "/fifo.cfg", "regular file");
    write_file("wants-fifo.cfg", "\n@include \"fifo.cfg\"\n");
    expect_refused("wants-fifo.cfg", "/wants-fifo.cfg:2: ", "regular file");
    expect_refused("missing.cfg", "/missing.cfg", "No such file");
    expect_refused(".", "", "regular file");
    assert_int_equal(symlink("/etc/passwd", path_of("link.cfg")), 0);
    write_file("wants-link.cfg", "@include \"link.cfg\"\n");
    expect_refused("wants-link.cfg", "/wants-link.cfg:1: ", "lies outside");
}

static void test_an_included_files_mistake_is_told_with_its_own_line(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    write_file("sub/in.cfg", "\n@include \"deep.cfg\"\n");
    write_file("sub/deep.cfg", "data = {\n size = 1;\n sise = 2;\n};\n");
    write_file("top.cfg", "train = { epochs = 3; };\n@include \"sub/in.cfg\"\noptim = { };\n");
    expect_refused("top.cfg", "/sub/deep.cfg:3: ", "did you mean data.size?");
    write_file("sub/deep.cfg", "data = {\n size = 1; };");
    write_file("top.cfg", "\n@include \"sub/in.cfg\"\n\noptim = { x = 1; };\n");
    expect_refused("top.cfg", "/top.cfg:4: ", "optim.x");
}

static void test_includes_are_bounded_in_number(void **state)
{
    (void)state;
    char text[70 * 32] = "";
    for (int i = 0; i < 70; i++)
        strncat(text, "@include \"empty.cfg\"\n", sizeof text - strlen(text) - 1);
    write_file("empty.cfg", "");
    write_file("many-includes.cfg", text);
    expect_refused("many-includes.cfg", "/many-includes.cfg:64: ", "more than 64 includes");
}

static fct_options *load(const char *file, char *const *argument, int n)
{
    fct_options *o = NULL;
    if (fct_options_load(file, argument, n, &o) != FCT_OK)
        fail_msg("%s", fct_fail_text());
    return o;
}

static void test_command_line_wins_over_file_wins_over_default(void **state)
{
    (void)state;
    write_file("a.cfg", "\xEF\xBB\xBF"
                        "data = { batch_size = 32; num_workers = 2; path = \"one,path\"; };\n"
                        "schedule: { step_epochs = [ 10, 20 ]; floor = 0 }\n"
                        "@include \"b.cfg\" # a comment\n"
                        "train = { seed = 9007199254740991; }; // the largest\n");
    write_file("b.cfg", "cluster = { bucket_bytes = \"1.5 MiB\" }");
    char *arguments[] = { "data.batch_size=16", "data.batch_size=8", "data.val_path= a, b ,c",
                          "optim.nesterov=on" };
    fct_options *o = load(path_of("a.cfg"), arguments, 4);
    assert_int_equal(o->data_batch_size, 8);
    assert_int_equal(o->data_num_workers, 2);
    assert_int_equal(o->data_ahead, 4);
    assert_int_equal(o->data_path.n, 1);
    assert_string_equal(o->data_path.item[0], "one,path");
    assert_int_equal(o->data_val_path.n, 3);
    assert_string_equal(o->data_val_path.item[1], "b");
    assert_int_equal(o->schedule_step_epochs.n, 2);
    assert_string_equal(o->schedule_step_epochs.item[1], "20");
    assert_true(o->train_seed == 9007199254740991);
    assert_int_equal(o->cluster_bucket_bytes, 1572864);
    assert_int_equal(o->optim_nesterov, 1);
    fct_options_destroy(o);
}

static void test_wrong_arguments_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "data.batch_size", "an option is written key=value" },
        { "data.batchsize=1", "did you mean data.batch_size?" },
        { "data.batch_size=", "is not a whole number" },
        { "data.batch_size=1e3", "is not a whole number" },
        { "data.batch_size=0", "command line: data.batch_size: 0 is out of range" },
        { "optim.learning_rate=nan", "is not a number" },
        { "optim.learning_rate=0,1", "is not a number" },
        { "optim.nesterov=maybe", "is not true or false" },
        { "data.path=a,,b", "item 2 is empty" },
        { "model.backbone=vgg", "not one of the choices" },
        { "augment.scale_min=2", "augment.scale_min = 2 is larger than augment.scale_max = 1" },
        { "schedule.floor=1", "larger than optim.learning_rate" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *argument = (char *)(size_t)cases[i][0];
        fct_options *o;
        assert_int_equal(fct_options_load(NULL, &argument, 1, &o), FCT_E_ARG);
        if (!strstr(fct_fail_text(), cases[i][1]))
            fail_msg("'%s', wanted '%s'", fct_fail_text(), cases[i][1]);
    }
}

static void test_set_that_fails_changes_nothing(void **state)
{
    (void)state;
    fct_options *o = load(NULL, NULL, 0);
    uint64_t before = fct_options_hash(o);
    assert_int_equal(fct_options_set(o, "data.path", "a,,b", "test"), FCT_E_ARG);
    assert_int_equal(fct_options_set(o, "model.backbone", "x", "test"), FCT_E_ARG);
    assert_int_equal(fct_options_set(o, "data.size", "9999", "test"), FCT_E_ARG);
    assert_true(fct_options_hash(o) == before);
    assert_int_equal(fct_options_set(o, "data.size", "96", "test"), FCT_OK);
    assert_false(fct_options_hash(o) == before);
    fct_options_destroy(o);
}

static void test_the_longest_value_survives_printing(void **state)
{
    (void)state;
    char value[FCT_OPTION_MAX_BYTES + 2];
    memset(value, '\x1b', sizeof value);
    value[FCT_OPTION_MAX_BYTES + 1] = 0;
    fct_options *o = load(NULL, NULL, 0), *again = NULL;
    assert_int_equal(fct_options_set(o, "run.dir", value, "test"), FCT_E_ARG);
    assert_int_equal(fct_options_set(o, "data.path", value, "test"), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "longer than 4096 bytes"));
    value[FCT_OPTION_MAX_BYTES] = 0;
    assert_int_equal(fct_options_set(o, "run.dir", value, "test"), FCT_OK);
    assert_int_equal(fct_options_set(o, "data.path", value, "test"), FCT_OK);
    fct_text text = { 0 };
    fct_options_print(o, &text);
    assert_int_equal(fct_options_parse(text.data, "printed", &again), FCT_OK);
    assert_string_equal(again->run_dir, value);
    assert_string_equal(again->data_path.item[0], value);
    fct_text_release(&text);
    fct_options_destroy(o);
    fct_options_destroy(again);
}

// A random value of the row's kind, as the command line would write it.
static void random_value(fct_rng *rng, const fct_option *option, char *out, size_t n)
{
    double share = (double)fct_rng_below(rng, 1000001) / 1e6;
    double x = option->low + share * (option->high - option->low);
    const char *choice = option->unit;
    switch (option->kind) {
    case FCT_OPTION_INT:
    case FCT_OPTION_BYTES:
        snprintf(out, n, "%lld", (long long)x);
        break;
    case FCT_OPTION_REAL:
    case FCT_OPTION_TIME:
        snprintf(out, n, "%.17g", x);
        break;
    case FCT_OPTION_BOOL:
        snprintf(out, n, "%s", share > 0.5 ? "true" : "false");
        break;
    case FCT_OPTION_STR:
    case FCT_OPTION_LIST:
        if (strchr(choice, '|')) {
            for (uint64_t i = fct_rng_below(rng, 3); i > 0 && strchr(choice, '|'); i--)
                choice = strchr(choice, '|') + 1;
            snprintf(out, n, "%.*s", (int)strcspn(choice, "|"), choice);
            break;
        }
        size_t length = fct_rng_below(rng, 40);
        for (size_t i = 0; i < length; i++)
            out[i] = (char)(fct_rng_below(rng, 255) + 1);
        out[length] = 0;
    }
}

static void test_a_printed_configuration_loads_to_the_same(void **state)
{
    (void)state;
    fct_rng rng;
    fct_rng_init(&rng, 11, FCT_STREAM_TEST, 0, 0);
    for (int round = 0; round < 200; round++) {
        fct_options *o = load(NULL, NULL, 0), *again = NULL;
        for (int i = 0; i < fct_option_count; i++) {
            const fct_option *option = &fct_option_table[i];
            char value[64];
            random_value(&rng, option, value, sizeof value);
            // Random bytes may leave an item of a list empty, which is refused.
            if (fct_options_set(o, option->key, value, "test") != FCT_OK)
                assert_int_equal(option->kind, FCT_OPTION_LIST);
        }
        o->augment_scale_max = 4;
        o->loss_log_var_min = -20;
        o->loss_log_var_max = 20;
        o->schedule_floor = 0;
        fct_text text = { 0 }, text_again = { 0 };
        fct_options_print(o, &text);
        for (const char *c = text.data; *c; c++)
            assert_false(*c != '\n' && ((unsigned char)*c < 0x20 || *c == 0x7F));
        if (fct_options_parse(text.data, "printed", &again) != FCT_OK)
            fail_msg("%s", fct_fail_text());
        fct_options_print(again, &text_again);
        assert_string_equal(text.data, text_again.data);
        assert_true(fct_options_hash(o) == fct_options_hash(again));
        for (int i = 0; i < fct_option_count; i++) {
            size_t at = fct_option_table[i].offset;
            if (fct_option_table[i].kind == FCT_OPTION_REAL)
                assert_memory_equal((char *)o + at, (char *)again + at, sizeof(double));
        }
        fct_text_release(&text);
        fct_text_release(&text_again);
        fct_options_destroy(o);
        fct_options_destroy(again);
    }
}

static void test_a_text_may_not_include_files(void **state)
{
    (void)state;
    fct_options *o;
    assert_int_equal(fct_options_parse("\n@include \"/etc/passwd\"\n", "checkpoint", &o),
                     FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "checkpoint:2: @include is only possible in a file"));
}

static void test_numbers_may_carry_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double bytes, seconds; // -1: refused
    } cases[] = {
        { "4096", 4096, 4096 },
        { "1 GiB", 1073741824, -1 },
        { "1.5GiB", 1610612736, -1 },
        { "10 MB", 1e7, -1 },
        { "64 KiB", 65536, -1 },
        { "90 s", -1, 90 },
        { "5 min", -1, 300 },
        { "2 h", -1, 7200 },
        { "250 ms", -1, 0.25 },
        { "1 d", -1, 86400 },
        { "", -1, -1 },
        { "s", -1, -1 },
        { "1 x", -1, -1 },
        { "1 s s", -1, -1 },
        { "1e3 B", 1000, -1 },
        { "0x10", -1, -1 },
        { "1 gib", -1, -1 },
        { "- 1 s", -1, -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double bytes = -1, seconds = -1;
        if (fct_option_parse_bytes(cases[i].text, &bytes) != FCT_OK)
            bytes = -1;
        if (fct_option_parse_time(cases[i].text, &seconds) != FCT_OK)
            seconds = -1;
        if (bytes != cases[i].bytes || seconds != cases[i].seconds)
            fail_msg("'%s' gave %g bytes, %g s", cases[i].text, bytes, seconds);
    }
}

static void test_every_row_has_a_default_in_range_and_a_unique_key(void **state)
{
    (void)state;
    for (int i = 0; i < fct_option_count; i++) {
        assert_ptr_equal(fct_option_find(fct_option_table[i].key), &fct_option_table[i]);
        assert_true(strlen(fct_option_table[i].help) > 5);
        fct_text text = { 0 };
        assert_int_equal(fct_options_help(fct_option_table[i].key, 0, &text), FCT_OK);
        assert_non_null(strstr(text.data, fct_option_table[i].help));
        fct_text_release(&text);
    }
    fct_options_destroy(load(NULL, NULL, 0));
    fct_text text = { 0 };
    assert_int_equal(fct_options_help("data.batch_sice", 0, &text), FCT_E_ARG);
    assert_non_null(strstr(fct_fail_text(), "did you mean data.batch_size?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_text_is_refused_with_its_line),
        cmocka_unit_test(test_oversized_input_is_refused_at_once),
        cmocka_unit_test(test_what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(test_an_included_files_mistake_is_told_with_its_own_line),
        cmocka_unit_test(test_includes_are_bounded_in_number),
        cmocka_unit_test(test_command_line_wins_over_file_wins_over_default),
        cmocka_unit_test(test_wrong_arguments_are_refused),
        cmocka_unit_test(test_set_that_fails_changes_nothing),
        cmocka_unit_test(test_a_printed_configuration_loads_to_the_same),
        cmocka_unit_test(test_the_longest_value_survives_printing),
        cmocka_unit_test(test_a_text_may_not_include_files),
        cmocka_unit_test(test_numbers_may_carry_units),
        cmocka_unit_test(test_every_row_has_a_default_in_range_and_a_unique_key),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
