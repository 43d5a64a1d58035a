/* SPDX-License-Identifier: MIT */
#include "rpc/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int serve(dari_request *request, const void *handlers)
{
    (void)request;
    (void)handlers;
    return 0;
}

static const dari_procedure procedures[] = {
    {1, "ONE", serve}, {2, "TWO", NULL}, {7, "SEVEN", serve}, {UINT32_MAX, "LAST", serve}};

static dari_interface make(uint32_t program, uint32_t version)
{
    return (dari_interface){.generator = DARI_GENERATOR_NEWEST,
                            .program = program,
                            .version = version,
                            .procedures = procedures,
                            .procedure_count = 4};
}

static void find(di_dispatch *dispatch, uint32_t program, uint32_t version, uint32_t procedure,
                 int expected)
{
    di_target target = {0};
    assert_int_equal(di_dispatch_find(dispatch, program, version, procedure, &target), expected);
    if (expected == 0) {
        assert_int_equal(target.service.interface->program, program);
        assert_int_equal(target.service.interface->version, version);
        if (target.procedure)
            assert_int_equal(target.procedure->number, procedure);
    }
}

static void check_range(di_dispatch *dispatch, uint32_t program, uint32_t low, uint32_t high)
{
    di_target target = {0};
    assert_int_equal(di_dispatch_find(dispatch, program, 1000, 1, &target), DARI_PROGRAM_MISMATCH);
    assert_int_equal(target.low, low);
    assert_int_equal(target.high, high);
}

static void programs_in_any_order(void **state)
{
    (void)state;
    static const uint32_t keys[][2] = {{50, 3}, {10, 1}, {50, 1}, {UINT32_MAX, 0},
                                       {0, 9},  {50, 7}, {10, 2}, {60, UINT32_MAX}};
    dari_interface interfaces[8];
    di_dispatch dispatch = {0};
    find(&dispatch, 50, 1, 1, DARI_PROGRAM_UNAVAILABLE);
    for (size_t i = 0; i < 8; i++) {
        interfaces[i] = make(keys[i][0], keys[i][1]);
        assert_int_equal(di_dispatch_add(&dispatch, &(di_service){&interfaces[i], NULL, NULL}), 0);
        for (size_t j = 0; j <= i; j++) {
            find(&dispatch, keys[j][0], keys[j][1], 1, 0);
            assert_int_equal(di_dispatch_add(&dispatch, &(di_service){&interfaces[j], NULL, NULL}),
                             DARI_IN_USE);
        }
    }
    check_range(&dispatch, 50, 1, 7);
    check_range(&dispatch, 10, 1, 2);
    check_range(&dispatch, UINT32_MAX, 0, 0);
    check_range(&dispatch, 0, 9, 9);
    find(&dispatch, 51, 1, 1, DARI_PROGRAM_UNAVAILABLE);
    find(&dispatch, 1, 1, 1, DARI_PROGRAM_UNAVAILABLE);
    di_dispatch_free(&dispatch);
    find(&dispatch, 50, 1, 1, DARI_PROGRAM_UNAVAILABLE);
}

static void procedures_by_number(void **state)
{
    (void)state;
    dari_interface interface = make(5, 5);
    di_dispatch dispatch = {0};
    assert_int_equal(di_dispatch_add(&dispatch, &(di_service){&interface, NULL, NULL}), 0);
    find(&dispatch, 5, 5, 0, 0);
    find(&dispatch, 5, 5, 1, 0);
    find(&dispatch, 5, 5, 2, DARI_PROCEDURE_UNAVAILABLE);
    find(&dispatch, 5, 5, 3, DARI_PROCEDURE_UNAVAILABLE);
    find(&dispatch, 5, 5, 7, 0);
    find(&dispatch, 5, 5, 8, DARI_PROCEDURE_UNAVAILABLE);
    find(&dispatch, 5, 5, UINT32_MAX, 0);
    interface.procedure_count = 0;
    find(&dispatch, 5, 5, 0, 0);
    find(&dispatch, 5, 5, 1, DARI_PROCEDURE_UNAVAILABLE);
    di_dispatch_free(&dispatch);
}

static void programs_can_be_taken_out(void **state)
{
    (void)state;
    dari_interface interfaces[3];
    for (uint32_t taken = 0; taken < 3; taken++) {
        di_dispatch dispatch = {0};
        for (uint32_t i = 0; i < 3; i++) {
            interfaces[i] = make(5, i + 1);
            assert_int_equal(di_dispatch_add(&dispatch, &(di_service){&interfaces[i], NULL, NULL}),
                             0);
        }
        find(&dispatch, 5, taken + 1, 1, 0);
        di_dispatch_remove(&dispatch, 5, taken + 1);
        assert_int_equal(dispatch.count, 2);
        for (uint32_t i = 0; i < 3; i++)
            find(&dispatch, 5, i + 1, 1, i == taken ? DARI_PROGRAM_MISMATCH : 0);
        di_dispatch_free(&dispatch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_in_any_order),
        cmocka_unit_test(procedures_by_number),
        cmocka_unit_test(programs_can_be_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
