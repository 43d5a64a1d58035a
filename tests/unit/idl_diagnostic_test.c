/* SPDX-License-Identifier: MIT */
#include "idl_support.h"

#include "base/text.h"

/* The first message about a text, formatted. */
static void expect_format_of(const char *text, size_t size, const char *expected)
{
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(NULL, "a.x", text, size, &idl), 0);
    assert_null(di_idl_unit(idl));
    char *formatted = di_diagnostic_format(di_idl_diagnostics(idl));
    assert_non_null(formatted);
    assert_string_equal(formatted, expected);
    free(formatted);
    di_idl_free(idl);
}

static void expect_format(const char *text, const char *expected)
{
    expect_format_of(text, strlen(text), expected);
}

static void test_place_line_and_caret(void **state)
{
    (void)state;
    expect_format("const A = 1;\nconst B = UNKNOWN;\n",
                  "a.x:2:11: error: undeclared constant 'UNKNOWN'; one that a C header defines "
                  "needs -D UNKNOWN=VALUE\n"
                  "    2 | const B = UNKNOWN;\n"
                  "      |           ^~~~~~~\n");
}

static void test_something_missing_is_shown_where_it_belongs(void **state)
{
    (void)state;
    expect_format("const A = 1\n\n\nconst B = 2;\n",
                  "a.x:1:12: error: expected ';' before 'const'\n"
                  "    1 | const A = 1\n"
                  "      |            ^\n");
}

static void test_tabs_and_wide_letters_keep_the_caret_in_place(void **state)
{
    (void)state;
    expect_format("\tconst\tA = 08;", "a.x:1:12: error: a number that begins with 0 is octal and "
                                      "has no digit 8 or 9\n"
                                      "    1 | \tconst\tA = 08;\n"
                                      "      | \t     \t    ^~\n");
    expect_format("/* \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 */ const A = 08;",
                  "a.x:1:27: error: a number that begins with 0 is octal and has no digit 8 or 9\n"
                  "    1 | /* \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 */ const A = 08;\n"
                  "      |                     ^~\n");
}

static void test_bytes_that_could_upset_a_terminal(void **state)
{
    (void)state;
    expect_format("/* \x1b[2J \x7f \xc2\x9b \xff \xe2\x82 \xc3( \xf5 \xc0 */ const A = 08;",
                  "a.x:1:39: error: a number that begins with 0 is octal and has no digit 8 or 9\n"
                  "    1 | /* ?[2J ? ?? ? ?? ?( ? ? */ const A = 08;\n"
                  "      |                                       ^~\n");
    expect_format("#error \x1b[2J\n", "a.x:1:1: error: #error: ?[2J\n"
                                      "    1 | #error ?[2J\n"
                                      "      | ^~~~~~\n");
    expect_format("/* \xe2\x82", "a.x:1:1: error: this comment has no end\n"
                                 "    1 | /* ??\n"
                                 "      | ^~\n");
}

static void test_bytes_without_meaning(void **state)
{
    (void)state;
    expect_format_of("const\0A = 1;", 12,
                     "a.x:1:6: error: byte 0x00 can stand only in a comment\n"
                     "    1 | const?A = 1;\n"
                     "      |      ^\n");
    expect_format("const \xc3\xa9 = 1;", "a.x:1:7: error: byte 0xc3 can stand only in a comment\n"
                                         "    1 | const \xc3\xa9 = 1;\n"
                                         "      |       ^~\n");
    expect_format("const A = 1 $;", "a.x:1:13: error: '$' has no meaning here\n"
                                    "    1 | const A = 1 $;\n"
                                    "      |             ^\n");
    di_idl_free(idl_compile("/* \xff\x01 */ // \xfe\n%\xff \x01\n"));
}

static void test_byte_order_mark_and_carriage_returns(void **state)
{
    (void)state;
    expect_format("\xef\xbb\xbf"
                  "const A = 08;\r\n",
                  "a.x:1:11: error: a number that begins with 0 is octal and has no digit 8 or 9\n"
                  "    1 | const A = 08;\n"
                  "      |           ^~\n");
    di_idl_free(
        idl_compile("struct s {\r\n  int a;\r\n\r};\r\n// comment\r\nconst B = \\\r\n1;\r\n"));
}

static void test_long_lines_are_shown_in_part(void **state)
{
    (void)state;
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, ' ', 100000);
    memcpy(text + 50000, "const A = 08;", 13);
    text[100000] = '\0';
    di_idl *idl = idl_compile_with(NULL, text);
    char *formatted = di_diagnostic_format(di_idl_diagnostics(idl));
    assert_true(strlen(formatted) < 600);
    assert_non_null(strstr(formatted, "test.x:1:50011: "));
    assert_non_null(strstr(formatted, "const A = 08;"));
    free(formatted);
    di_idl_free(idl);
    /* The mark ends with what is shown. */
    memset(text, 'A', 100000);
    idl = idl_compile_with(NULL, text);
    formatted = di_diagnostic_format(di_idl_diagnostics(idl));
    assert_true(strlen(formatted) < 600);
    free(formatted);
    di_idl_free(idl);
    free(text);
}

static void test_the_number_of_errors_is_limited(void **state)
{
    (void)state;
    char text[60 * 24], *end = text;
    for (unsigned i = 0; i < 60; i++)
        end += sprintf(end, "const A%u = 08;\n", i);
    di_idl *idl = idl_compile_with(NULL, text);
    size_t errors = 0;
    const di_diagnostic *last = NULL;
    for (const di_diagnostic *d = di_idl_diagnostics(idl); d; d = d->next, errors++)
        last = d;
    assert_int_equal(errors, 51);
    assert_string_equal(last->text, "too many errors: giving up");
    char *formatted = di_diagnostic_format(last);
    assert_string_equal(formatted, "error: too many errors: giving up\n");
    free(formatted);
    assert_null(di_idl_unit(idl));
    di_idl_free(idl);
    end = text;
    for (unsigned i = 0; i < 50; i++)
        end += sprintf(end, "const A%u = 08;\n", i);
    idl = idl_compile_with(NULL, text);
    errors = 0;
    for (const di_diagnostic *d = di_idl_diagnostics(idl); d; d = d->next)
        errors++;
    assert_int_equal(errors, 50);
    di_idl_free(idl);
}

static void test_warnings_do_not_stop_a_compilation(void **state)
{
    (void)state;
    di_idl *idl = idl_compile_with(NULL, "struct s { opaque a; };\n#warning careful\n");
    assert_non_null(di_idl_unit(idl));
    const di_diagnostic *d = di_idl_diagnostics(idl);
    assert_int_equal(d->severity, DI_WARNING);
    assert_string_equal(d->text, "#warning: careful");
    assert_int_equal(d->next->severity, DI_WARNING);
    assert_int_equal(idl_type(idl, "s")->members->shape, DI_VARIABLE);
    assert_null(d->next->next);
    di_idl_free(idl);
}

static void test_lines_of_a_source(void **state)
{
    (void)state;
    size_t size;
    di_idl *idl = idl_compile("const A = 1;\r\n\nconst B = 2;");
    const struct di_source *source = idl_find(idl, "A")->position.source;
    assert_memory_equal(di_source_line(source, 1, &size), "const A = 1;", 12);
    assert_int_equal(size, 12);
    di_source_line(source, 2, &size);
    assert_int_equal(size, 0);
    di_source_line(source, 3, &size);
    assert_int_equal(size, 12);
    assert_string_equal(di_source_line(source, 4, &size), "");
    assert_int_equal(size, 0);
    assert_string_equal(di_source_line(source, 0, &size), "");
    di_idl_free(idl);
}

static void test_names_are_limited(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'A', sizeof text);
    memcpy(text, "const ", 6);
    memcpy(text + 6 + 255, " = 1;", 6);
    di_idl_free(idl_compile(text));
    memset(text + 6, 'A', 300);
    memcpy(text + 6 + 256, " = 1;", 6);
    idl_expect(text, 1, 7, "longer than 255");
}

static void test_nesting_is_limited(void **state)
{
    (void)state;
    for (unsigned depth = 32; depth <= 33; depth++) {
        di_text text = {0};
        di_text_format(&text, "struct s {");
        for (unsigned i = 1; i < depth; i++)
            di_text_format(&text, " struct {");
        di_text_format(&text, " int x;");
        for (unsigned i = 1; i < depth; i++)
            di_text_format(&text, " } y;");
        di_text_format(&text, " };");
        assert_false(text.failed);
        if (depth == 32)
            di_idl_free(idl_compile(text.data));
        else
            idl_expect(text.data, 1, 10 + 9 * 31 + 9, "nested deeper than 32");
        di_text_free(&text);
    }
}

static void test_macros_are_limited(void **state)
{
    (void)state;
    for (unsigned depth = 64; depth <= 65; depth++) {
        char text[2000], *end = text;
        for (unsigned i = 1; i < depth; i++)
            end += sprintf(end, "#define M%u M%u\n", i, i + 1);
        sprintf(end, "#define M%u 7\nconst A = M1;\n", depth);
        if (depth == 64)
            di_idl_free(idl_compile(text));
        else
            idl_expect(text, 66, 11, "nested deeper than 64");
    }
    idl_expect("#define A B B B B B B B B\n#define B C C C C C C C C\n#define C D D D D D D D D\n"
               "#define D E E E E E E E E\n#define E F F F F F F F F\n#define F G G G G G G G G\n"
               "#define G\nA A\n",
               8, 1, "more than 262144");
}

static void test_conditions_are_limited(void **state)
{
    (void)state;
    char text[400], *end = text + 4;
    memcpy(text, "#if ", 4);
    memset(end, '(', 63);
    sprintf(end + 63, "1%.*s\n#endif\n", 63,
            ")))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))");
    di_idl_free(idl_compile(text));
    memset(end, '(', 64);
    sprintf(end + 64, "1%.*s\n#endif\n", 64,
            ")))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))");
    idl_expect(text, 1, 69, "nested too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place_line_and_caret),
        cmocka_unit_test(test_something_missing_is_shown_where_it_belongs),
        cmocka_unit_test(test_tabs_and_wide_letters_keep_the_caret_in_place),
        cmocka_unit_test(test_bytes_that_could_upset_a_terminal),
        cmocka_unit_test(test_bytes_without_meaning),
        cmocka_unit_test(test_byte_order_mark_and_carriage_returns),
        cmocka_unit_test(test_long_lines_are_shown_in_part),
        cmocka_unit_test(test_the_number_of_errors_is_limited),
        cmocka_unit_test(test_warnings_do_not_stop_a_compilation),
        cmocka_unit_test(test_lines_of_a_source),
        cmocka_unit_test(test_names_are_limited),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_macros_are_limited),
        cmocka_unit_test(test_conditions_are_limited),
    };
    return cmocka_run_group_tests_name("idl/diagnostic", tests, NULL, NULL);
}
