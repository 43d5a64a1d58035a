/* SPDX-License-Identifier: MIT */
/* The part of cmocka that the tests use, for machines that Debian has no cmocka for: cross builds
 * only. Prints TAP. A test runs to its end or to its first failure; a crash ends the program. */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
    void *initial_state;
};

#define cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, state) \
    {                                                                       \
#f, f, setup, teardown, state                                       \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
    cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, NULL)
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_teardown(f, teardown) cmocka_unit_test_setup_teardown(f, NULL, teardown)
#define cmocka_unit_test_prestate(f, state) \
    cmocka_unit_test_prestate_setup_teardown(f, NULL, NULL, state)
#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)

/* How the test that runs ended early. */
enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

/* One for all files of a program. */
__attribute__((weak)) jmp_buf cmocka_end;

__attribute__((noreturn, unused)) static void cmocka_skip(void)
{
    longjmp(cmocka_end, CMOCKA_SKIPPED);
}

__attribute__((noreturn, format(printf, 3, 4), unused)) static void
cmocka_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    longjmp(cmocka_end, CMOCKA_FAILED);
}

#define cmocka_check(holds, ...)                          \
    do {                                                  \
        if (!(holds))                                     \
            cmocka_fail(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

/* What the values are compared as. */
#define cmocka_number(value) ((uintmax_t)(value))

#define skip() cmocka_skip()
#define fail() cmocka_fail(__FILE__, __LINE__, "failed")
#define fail_msg(...) cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)
#define print_message printf
#define print_error printf

#define assert_true(c) cmocka_check((c), "%s is false", #c)
#define assert_false(c) cmocka_check(!(c), "%s is true", #c)
#define assert_null(p) cmocka_check((p) == NULL, "%s is not NULL", #p)
#define assert_non_null(p) cmocka_check((p) != NULL, "%s is NULL", #p)
#define assert_ptr_equal(a, b) \
    cmocka_check((const void *)(a) == (const void *)(b), "%s is not %s", #a, #b)
#define assert_ptr_not_equal(a, b) \
    cmocka_check((const void *)(a) != (const void *)(b), "%s is %s", #a, #b)
#define assert_int_equal(a, b) \
    cmocka_compare_numbers(__FILE__, __LINE__, #a, #b, cmocka_number(a), cmocka_number(b))
#define assert_int_not_equal(a, b) \
    cmocka_check(cmocka_number(a) != cmocka_number(b), "%s is %s", #a, #b)
/* A function, so that the compiler does not call a lower end of 0 a comparison without sense. */
static inline int cmocka_is_in_range(uintmax_t value, uintmax_t low, uintmax_t high)
{
    return value >= low && value <= high;
}
#define assert_in_range(value, low, high)                                                          \
    cmocka_check(cmocka_is_in_range(cmocka_number(value), cmocka_number(low), cmocka_number(high)), \
                 "%s is not in [%s, %s]", #value, #low, #high)
#define assert_string_equal(a, b) cmocka_compare_strings(__FILE__, __LINE__, #a, #b, a, b)
#define assert_string_not_equal(a, b) \
    cmocka_check(strcmp(a, b) != 0, "%s is the same string as %s", #a, #b)
#define assert_memory_equal(a, b, size) \
    cmocka_check(memcmp(a, b, size) == 0, "%s holds other bytes than %s", #a, #b)
#define assert_memory_not_equal(a, b, size) \
    cmocka_check(memcmp(a, b, size) != 0, "%s holds the same bytes as %s", #a, #b)
#define assert_return_code(rc, error) cmocka_check((rc) >= 0, "%s failed: %d", #rc, (int)(error))

__attribute__((unused)) static void cmocka_compare_numbers(const char *file, int line,
                                                           const char *a_text, const char *b_text,
                                                           uintmax_t a, uintmax_t b)
{
    if (a != b)
        cmocka_fail(file, line, "%s is %#" PRIxMAX ", %s is %#" PRIxMAX, a_text, a, b_text, b);
}

__attribute__((unused)) static void cmocka_compare_strings(const char *file, int line,
                                                           const char *a_text, const char *b_text,
                                                           const char *a, const char *b)
{
    if (!a || !b || strcmp(a, b) != 0)
        cmocka_fail(file, line, "%s is \"%s\", %s is \"%s\"", a_text, a ? a : "(null)", b_text,
                    b ? b : "(null)");
}

/* Runs one test with its fixtures; returns 0 or how it ended. */
static int cmocka_run_test(const struct CMUnitTest *test, void *group_state)
{
    void *state = test->initial_state ? test->initial_state : group_state;
    int ended = setjmp(cmocka_end);
    if (ended == 0) {
        if (test->setup_func && test->setup_func(&state) != 0)
            return CMOCKA_FAILED;
        test->test_func(&state);
    }
    if (test->teardown_func && test->teardown_func(&state) != 0)
        return CMOCKA_FAILED;
    return ended;
}

__attribute__((unused)) static int
cmocka_run_tests(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                 CMFixtureFunction teardown)
{
    void *state = NULL;
    int failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", count);
    if (setup && setup(&state) != 0) {
        printf("Bail out! The group's setup failed\n");
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        int ended = cmocka_run_test(&tests[i], state);
        printf("%sok %zu - %s%s\n", ended == CMOCKA_FAILED ? "not " : "", i + 1, tests[i].name,
               ended == CMOCKA_SKIPPED ? " # SKIP" : "");
        failed += ended == CMOCKA_FAILED;
    }
    if (teardown && teardown(&state) != 0)
        failed++;
    return failed;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_tests(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define _cmocka_run_group_tests(name, tests, count, setup, teardown) \
    cmocka_run_tests(tests, count, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    cmocka_run_group_tests(tests, setup, teardown)

#endif
