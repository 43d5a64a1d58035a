/* SPDX-License-Identifier: MIT */
#include "loop/spin.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* A peer whose work is looked at: it goes on, or it stands. */
typedef struct worker {
    unsigned asked;
    bool works;
} worker;

/* It is done once its work has been looked at four times. */
static bool is_done(void *argument)
{
    return ((worker *)argument)->asked >= 4;
}

static uint32_t work(void *argument)
{
    worker *it = argument;
    it->asked++;
    return it->works ? it->asked : 0;
}

static void a_peer_at_work_is_waited_for(void **state)
{
    (void)state;
    bool found = false;
    /* This process may be made to wait for longer than all of that. */
    for (int i = 0; i < 20 && !found; i++) {
        di_spin self = {.work = work};
        worker it = {.works = true};
        found = di_spin_until(&self, is_done, &it, UINT64_MAX);
    }
    assert_true(found);
}

static void one_that_stands_is_not(void **state)
{
    (void)state;
    di_spin self = {.work = work};
    worker it = {.works = false};
    assert_false(di_spin_until(&self, is_done, &it, UINT64_MAX));
    assert_in_range(it.asked, 1, 2);
    assert_int_equal(self.misses, 1);
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static void work_without_end_is_not_waited_for(void **state)
{
    (void)state;
    di_spin self = {.work = work};
    worker it = {.works = true};
    assert_false(di_spin_until(&self, never, &it, UINT64_MAX));
    assert_in_range(it.asked, 1, DI_SPIN_STRETCH + 2);
}

static void a_brief_spin_says_the_time(void **state)
{
    (void)state;
    di_spin self = {0};
    uint64_t clock = 0, before = di_now();
    prospect it = {.there_at = 10};
    assert_true(di_spin_briefly(&self, look, &it, &clock));
    assert_in_range(clock, before, di_now());
    it.there_at = UINT32_MAX;
    assert_false(di_spin_briefly(&self, look, &it, &clock));
    assert_int_equal(self.misses, 0);
}

static void a_brief_spin_looks_once_where_spinning_does_not_pay(void **state)
{
    (void)state;
    uint64_t clock = 7;
    prospect it = {.there_at = UINT32_MAX};
    assert_false(di_spin_briefly(&(di_spin){.misses = 1}, look, &it, &clock));
    assert_false(di_spin_briefly(&(di_spin){.policy = DARI_SPIN_NEVER}, look, &it, &clock));
    assert_int_equal(it.looks, 2);
    assert_int_equal(clock, 7);
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
        cmocka_unit_test(a_peer_at_work_is_waited_for),
        cmocka_unit_test(one_that_stands_is_not),
        cmocka_unit_test(work_without_end_is_not_waited_for),
        cmocka_unit_test(a_brief_spin_says_the_time),
        cmocka_unit_test(a_brief_spin_looks_once_where_spinning_does_not_pay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
