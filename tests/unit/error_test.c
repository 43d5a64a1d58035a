/* SPDX-License-Identifier: MIT */
#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_code_has_a_name_and_words(void **state)
{
    (void)state;
    size_t codes = 0;
    for (int error = 0; error > -200; error--) {
        const char *name = dari_error_name(error);
        if (!strcmp(name, "DARI_?"))
            continue;
        codes++;
        assert_memory_equal(name, "DARI_", 5);
        assert_string_not_equal(dari_error_text(error), "unknown error");
    }
    assert_int_equal(codes, 41);
}

static void test_names_are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(dari_error_name(DARI_OK), "DARI_OK");
    assert_string_equal(dari_error_name(DARI_GENERATOR), "DARI_GENERATOR");
    assert_string_equal(dari_error_name(DARI_DEPTH), "DARI_DEPTH");
    assert_string_equal(dari_error_name(DARI_BAD_REPLY), "DARI_BAD_REPLY");
}

static void test_other_numbers(void **state)
{
    (void)state;
    assert_string_equal(dari_error_name(1), "DARI_?");
    assert_string_equal(dari_error_text(-10000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_a_name_and_words),
        cmocka_unit_test(test_names_are_those_of_the_header),
        cmocka_unit_test(test_other_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
