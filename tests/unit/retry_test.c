/* SPDX-License-Identifier: MIT */
#include "rpc/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIRST UINT64_C(500000000)

static void times_double_up_to_the_limit(void **state)
{
    (void)state;
    di_retry retry;
    di_retry_begin(&retry, FIRST, 42);
    uint64_t now = 1000, average = FIRST;
    for (int i = 0; i < 20; i++) {
        uint64_t due = di_retry_next(&retry, now);
        assert_in_range(due - now, average - average / 4, average + average / 4);
        now = due;
        average = 2 * average < DI_RETRY_MAX_NS ? 2 * average : DI_RETRY_MAX_NS;
    }
    assert_int_equal(average, DI_RETRY_MAX_NS);
}

static void callers_do_not_march_in_step(void **state)
{
    (void)state;
    unsigned early = 0, late = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        di_retry retry;
        di_retry_begin(&retry, FIRST, seed);
        uint64_t due = di_retry_next(&retry, 0);
        early += due < FIRST - FIRST / 8;
        late += due > FIRST + FIRST / 8;
    }
    assert_in_range(early, 200, 300);
    assert_in_range(late, 200, 300);
}

static void the_shortest_time_is_kept(void **state)
{
    (void)state;
    di_retry retry;
    di_retry_begin(&retry, 1, 7);
    assert_in_range(di_retry_next(&retry, 10), 11, 11);
    assert_int_equal(retry.interval_ns, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_double_up_to_the_limit),
        cmocka_unit_test(callers_do_not_march_in_step),
        cmocka_unit_test(the_shortest_time_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
