/* SPDX-License-Identifier: MIT */
#include "base/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>

#define COUNT 500

static void they_come_in_order(void **state)
{
    (void)state;
    static di_timer all[COUNT];
    di_timers timers = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        all[i].deadline = (i * 7919u) % COUNT / 2; /* each twice */
        di_timers_add(&timers, &all[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(timers.first->deadline, i / 2);
        di_timers_remove(&timers, timers.first);
    }
    assert_null(timers.first);
}

static void any_can_be_removed(void **state)
{
    (void)state;
    static di_timer all[COUNT];
    static bool in[COUNT];
    di_timers timers = {0};
    uint32_t random = 1;
    for (unsigned round = 0; round < 20 * COUNT; round++) {
        random = random * 1664525u + 1013904223u;
        unsigned i = (random >> 8) % COUNT;
        if (in[i]) {
            di_timers_remove(&timers, &all[i]);
        } else {
            all[i].deadline = round % 3 ? round : random >> 12; /* many in order */
            di_timers_add(&timers, &all[i]);
        }
        in[i] = !in[i];
        uint64_t least = UINT64_MAX;
        for (unsigned k = 0; k < COUNT; k++)
            if (in[k] && all[k].deadline < least)
                least = all[k].deadline;
        assert_int_equal(timers.first ? timers.first->deadline : UINT64_MAX, least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_in_order),
        cmocka_unit_test(any_can_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
