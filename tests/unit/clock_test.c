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

static void far_deadline_stays_in_the_future(void **state)
{
    (void)state;
    const uint64_t latest = sizeof(time_t) > 4 ? INT64_MAX : INT32_MAX;
    static const uint64_t far[] = {INT64_MAX, UINT64_C(2147483648) * 1000000000, DI_NEVER - 1};
    for (int i = 0; i < 3; i++) {
        struct timespec until = di_timespec(far[i]);
        uint64_t seconds = far[i] / 1000000000;
        assert_true((uint64_t)until.tv_sec == (seconds < latest ? seconds : latest));
        assert_in_range(until.tv_nsec, 0, 999999999);
    }
    struct timespec near = di_timespec(UINT64_C(1500000001));
    assert_int_equal(near.tv_sec, 1);
    assert_int_equal(near.tv_nsec, 500000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_is_never),
        cmocka_unit_test(deadline_beyond_the_clock_is_never),
        cmocka_unit_test(timeout_rounds_up),
        cmocka_unit_test(far_timeout_is_cut),
        cmocka_unit_test(far_deadline_stays_in_the_future),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
