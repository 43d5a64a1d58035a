/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_appending(void **state)
{
    (void)state;
    di_text text = {0};
    di_text_append(&text, "one", 3);
    di_text_append(&text, "", 0);
    di_text_format(&text, " and %d", 2);
    assert_string_equal(text.data, "one and 2");
    assert_int_equal(text.size, 9);
    assert_false(text.failed);
    di_text_free(&text);
    assert_null(text.data);
}

/* What is formatted without printf is what printf makes of it, also beside what is not. */
static void test_directives(void **state)
{
    (void)state;
    di_text text = {0};
    di_text_format(&text, "%s|%u|%u|%d|%d|", "", 0u, UINT32_MAX, INT32_MIN, INT32_MAX);
    di_text_format(&text, "%lu|%" PRIu64 "|100%%|%5d|%s|", ULONG_MAX, UINT64_MAX, -7, "last");
    char expected[256];
    snprintf(expected, sizeof expected, "|0|4294967295|-2147483648|2147483647|%lu|%s", ULONG_MAX,
             "18446744073709551615|100%|   -7|last|");
    assert_string_equal(text.data, expected);
    assert_int_equal(text.size, strlen(expected));
    di_text_free(&text);
}

static void test_growing(void **state)
{
    (void)state;
    di_text text = {0};
    for (int i = 0; i < 10000; i++)
        di_text_format(&text, "%05d", i);
    assert_int_equal(text.size, 50000);
    assert_int_equal(strlen(text.data), 50000);
    assert_memory_equal(text.data + 5 * 1234, "01234", 5);
    di_text_free(&text);
}

static void test_impossible_sizes_stick(void **state)
{
    (void)state;
    di_text text = {0};
    di_text_append(&text, "x", 1);
    di_text_append(&text, "x", SIZE_MAX / 2);
    assert_true(text.failed);
    di_text_append(&text, "y", 1);
    assert_string_equal(text.data, "x");
    di_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_impossible_sizes_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
