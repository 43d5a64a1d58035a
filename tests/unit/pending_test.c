/* SPDX-License-Identifier: MIT */
#include "rpc/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT 5000

static void calls_are_found(void **state)
{
    (void)state;
    static di_pending_call calls[COUNT];
    di_pending pending = {.next_xid = UINT32_MAX - COUNT / 2}; /* it wraps around */
    for (unsigned i = 0; i < COUNT; i++)
        di_pending_add(&pending, &calls[i]);
    assert_int_equal(pending.count, COUNT);
    assert_true(pending.slot_count >= COUNT / 4);
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(di_pending_match(&pending, calls[i].xid), &calls[i]);
    for (unsigned i = 0; i < COUNT; i += 2)
        di_pending_remove(&pending, &calls[i]);
    assert_int_equal(pending.dropped, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        const di_pending_call *found = di_pending_match(&pending, calls[i].xid);
        assert_ptr_equal(found, i % 2 ? &calls[i] : NULL);
    }
    assert_int_equal(pending.dropped, COUNT / 2);
    for (unsigned i = 1; i < COUNT; i += 2)
        di_pending_remove(&pending, &calls[i]);
    assert_int_equal(pending.count, 0);
    di_pending_end(&pending);
}

static void few_need_no_memory(void **state)
{
    (void)state;
    di_pending_call calls[DI_PENDING_SLOTS];
    di_pending pending = {0};
    for (unsigned i = 0; i < DI_PENDING_SLOTS; i++)
        di_pending_add(&pending, &calls[i]);
    assert_null(pending.more_slots);
    for (unsigned i = 0; i < DI_PENDING_SLOTS; i++)
        assert_ptr_equal(di_pending_match(&pending, i), &calls[i]);
}

/* Numbers that have one slot before and after the table has grown. */
static void calls_share_a_slot(void **state)
{
    enum { SHARING = 2 * DI_PENDING_SLOTS };
    (void)state;
    di_pending_call calls[SHARING];
    di_pending pending = {0};
    for (unsigned i = 0; i < SHARING; i++) {
        pending.next_xid = 256 * i;
        di_pending_add(&pending, &calls[i]);
    }
    assert_int_equal(pending.slot_count, 4 * DI_PENDING_SLOTS);
    for (unsigned i = 0; i < SHARING; i++)
        assert_ptr_equal(di_pending_match(&pending, 256 * i), &calls[i]);
    for (unsigned i = 0; i < SHARING; i++)
        di_pending_remove(&pending, &calls[(i + 5) % SHARING]);
    assert_int_equal(pending.count, 0);
    assert_null(di_pending_match(&pending, 0));
    di_pending_end(&pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_found),
        cmocka_unit_test(few_need_no_memory),
        cmocka_unit_test(calls_share_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
