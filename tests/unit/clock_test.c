/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void never_is_never(void **state)
{
    (void)state;
    assert_true(di_deadline_in(DI_NEVER) == DI_NEVER);
    assert_int_equal(di_poll_timeout(DI_NEVER), -1);
}

static void deadline_beyond_the_clock_is_never(void **state)
{
    (void)state;
    assert_true(di_deadline_in(UINT64_MAX - 1) == DI_NEVER);
}

static void timeout_rounds_up(void **state)
{
    (void)state;
    int timeout = di_poll_timeout(di_deadline_in(UINT64_C(1500000000)));
    assert_in_range(timeout, 1, 1500);
    assert_int_equal(di_poll_timeout(di_now()), 0);
    assert_int_equal(di_poll_timeout(1), 0);
    assert_int_equal(di_poll_timeout(di_now() + 1) <= 1, 1);
}

static void far_timeout_is_cut(void **state)
{
    (void)state;
    assert_int_equal(di_poll_timeout(DI_NEVER - 1), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_is_never),
        cmocka_unit_test(deadline_beyond_the_clock_is_never),
        cmocka_unit_test(timeout_rounds_up),
        cmocka_unit_test(far_timeout_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
