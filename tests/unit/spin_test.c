/* SPDX-License-Identifier: MIT */
#include "loop/spin.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Something that is there after so many looks. */
typedef struct prospect {
    unsigned looks;
    unsigned there_at;
} prospect;

static bool look(void *argument)
{
    prospect *it = argument;
    return ++it->looks >= it->there_at;
}

static bool spin(di_spin *self, unsigned there_at, unsigned *ret_looks)
{
    prospect it = {.there_at = there_at};
    bool found = di_spin_until(self, look, &it, UINT64_MAX);
    *ret_looks = it.looks;
    return found;
}

static void what_is_there_is_found_at_once(void **state)
{
    (void)state;
    unsigned looks;
    for (unsigned policy = DARI_SPIN_BALANCED; policy <= DARI_SPIN_NEVER; policy++) {
        di_spin self = {.policy = (enum dari_spin)policy};
        assert_true(spin(&self, 1, &looks));
        assert_int_equal(looks, 1);
    }
}

static void never_looks_once(void **state)
{
    (void)state;
    di_spin self = {.policy = DARI_SPIN_NEVER};
    unsigned looks;
    assert_false(spin(&self, 2, &looks));
    assert_int_equal(looks, 1);
}

static void what_comes_soon_is_found(void **state)
{
    (void)state;
    di_spin self = {0};
    unsigned looks;
    for (int i = 0; i < 10; i++) {
        assert_true(spin(&self, 20, &looks));
        assert_int_equal(looks, 20);
    }
}

static void the_time_that_is_given_is_kept(void **state)
{
    (void)state;
    prospect it = {.there_at = UINT32_MAX};
    di_spin self = {.policy = DARI_SPIN_LATENCY};
    uint64_t shortest = UINT64_MAX;
    /* A process may be made to wait for long, but hardly each time. */
    for (int i = 0; i < 20; i++) {
        uint64_t begin = di_now();
        assert_false(di_spin_until(&self, look, &it, 20000));
        uint64_t took = di_now() - begin;
        assert_true(took >= 20000);
        shortest = took < shortest ? took : shortest;
    }
    assert_true(shortest < DI_SPIN_NS);
}

static void spins_for_nothing_become_rare(void **state)
{
    (void)state;
    di_spin self = {0};
    unsigned looks, spins = 0;
    for (unsigned i = 0; i < 4 * DI_SPIN_SKIPS_MAX; i++) {
        assert_false(spin(&self, UINT32_MAX, &looks));
        spins += looks > 1;
    }
    assert_in_range(spins, 10, 16);
    assert_in_range(self.skips, 0, DI_SPIN_SKIPS_MAX);
    /* One that finds something brings them back. */
    while (self.skips > 0)
        assert_false(spin(&self, 2, &looks));
    assert_true(spin(&self, 2, &looks));
    assert_true(spin(&self, 2, &looks));
    assert_int_equal(self.misses, 0);
}

static void latency_never_leaves_out(void **state)
{
    (void)state;
    di_spin self = {.policy = DARI_SPIN_LATENCY};
    prospect it = {.there_at = UINT32_MAX};
    for (int i = 0; i < 8; i++) {
        unsigned before = it.looks;
        assert_false(di_spin_until(&self, look, &it, 10000));
        assert_true(it.looks > before + 1);
    }
}

static void latency_sleeps_after_many_rounds(void **state)
{
    (void)state;
    di_spin self = {.policy = DARI_SPIN_LATENCY};
    for (int again = 0; again < 2; again++) {
        for (unsigned i = 1; i < DI_SPIN_ROUNDS; i++)
            assert_false(di_spin_is_over(&self));
        assert_true(di_spin_is_over(&self));
    }
    self.policy = DARI_SPIN_BALANCED;
    assert_true(di_spin_is_over(&self));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_found_at_once),
        cmocka_unit_test(never_looks_once),
        cmocka_unit_test(what_comes_soon_is_found),
        cmocka_unit_test(the_time_that_is_given_is_kept),
        cmocka_unit_test(spins_for_nothing_become_rare),
        cmocka_unit_test(latency_never_leaves_out),
        cmocka_unit_test(latency_sleeps_after_many_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
