/* SPDX-License-Identifier: MIT */
#include "loop/counters.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void buckets_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(dari_latency_floor(0), 0);
    for (unsigned i = 0; i < DARI_LATENCY_BUCKETS; i++) {
        uint64_t floor = dari_latency_floor(i);
        uint64_t end = dari_latency_floor(i + 1);
        assert_true(floor < end);
        assert_int_equal(di_latency_bucket(floor), i);
        assert_int_equal(di_latency_bucket(end - 1), i);
        if (floor >= 64 && i + 1 < DARI_LATENCY_BUCKETS)
            assert_true(end - floor <= floor / 4);
    }
    assert_int_equal(dari_latency_floor(DARI_LATENCY_BUCKETS), UINT64_MAX);
    assert_int_equal(di_latency_bucket(UINT64_MAX), DARI_LATENCY_BUCKETS - 1);
}

/* As counters.h has them. */
static void buckets_are_as_told(void **state)
{
    static const uint64_t floors[] = {0, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320};
    (void)state;
    for (unsigned i = 0; i < sizeof floors / sizeof *floors; i++)
        assert_int_equal(dari_latency_floor(i), floors[i]);
    assert_int_equal(dari_latency_floor(DARI_LATENCY_BUCKETS - 1),
                     (UINT64_C(1) << 37) - (UINT64_C(1) << 34));
}

static void quantiles(void **state)
{
    (void)state;
    static dari_call_counters calls;
    assert_int_equal(dari_latency_quantile(&calls, 0.5), 0);
    calls.ok = 100;
    calls.latency[di_latency_bucket(1000)] = 90;
    calls.latency[di_latency_bucket(20000)] = 9;
    calls.latency[di_latency_bucket(5000000)] = 1;
    assert_int_equal(dari_latency_quantile(&calls, 0.0), 1024);
    assert_int_equal(dari_latency_quantile(&calls, 0.5), 1024);
    assert_int_equal(dari_latency_quantile(&calls, 0.9), 1024);
    assert_int_equal(dari_latency_quantile(&calls, 0.91), 20480);
    assert_int_equal(dari_latency_quantile(&calls, 0.99), 20480);
    assert_in_range(dari_latency_quantile(&calls, 1.0), 5000000, 6250000);
    calls.latency[DARI_LATENCY_BUCKETS - 1] = 1;
    calls.ok++;
    assert_true(dari_latency_quantile(&calls, 1.0) == UINT64_MAX);
}

static void codes_have_their_places(void **state)
{
    (void)state;
    for (int error = -1; error > -1000; error--)
        if (strcmp(dari_error_name(error), "DARI_?") != 0)
            assert_true(error > -DARI_ERROR_CODES);
    di_counters counters = {0};
    static const int errors[] = {DARI_NO_MEMORY, DARI_BAD_REPLY, -DARI_ERROR_CODES, 7};
    static const unsigned places[] = {1, 77, 0, 0};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = counters.rest.errors[places[i]];
        di_count_error(&counters.rest, errors[i]);
        assert_int_equal(counters.rest.errors[places[i]], before + 1);
    }
}

static void procedures_are_found_again(void **state)
{
    /* The last two meet the first in the table's slots. */
    enum { COUNT = 3 * DI_COUNTERS_SLOTS, INTERFACES = 4 };
    static const dari_interface interfaces[INTERFACES] = {
        {.program = 7, .version = 1, .name = "SEVEN_V1"},
        {.program = 7, .version = 2},
        {.program = 7, .version = 1 + DI_COUNTERS_SLOTS},
        {.program = 7 + DI_COUNTERS_SLOTS, .version = 1}};
    static di_procedure_counters *all[INTERFACES][COUNT];
    (void)state;
    di_counters counters = {0};
    for (unsigned i = 0; i < INTERFACES; i++)
        for (uint32_t number = 0; number < COUNT; number++) {
            char name[16];
            snprintf(name, sizeof name, "P%u", number);
            all[i][number] = di_counters_find(&counters, &interfaces[i], number, name);
            assert_non_null(all[i][number]);
        }
    di_procedure_counters *at = &counters.rest;
    for (unsigned i = 0; i < INTERFACES; i++)
        for (uint32_t number = 0; number < COUNT; number++) {
            at = at->next;
            assert_ptr_equal(at, all[i][number]);
            assert_ptr_equal(di_counters_find(&counters, &interfaces[i], number, "?"), at);
        }
    assert_null(at->next);
    /* Names are copied: those that they were found by are gone. */
    assert_string_equal(all[0][0]->name, "P0");
    assert_string_equal(all[0][COUNT - 1]->name, "P95");
    assert_string_equal(all[0][0]->interface, "SEVEN_V1");
    assert_string_equal(all[1][0]->interface, "");
    di_counters_end(&counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test(buckets_are_as_told),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(codes_have_their_places),
        cmocka_unit_test(procedures_are_found_again),
    };
    return cmocka_run_group_tests_name("unit/counters", tests, NULL, NULL);
}
