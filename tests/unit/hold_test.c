/* SPDX-License-Identifier: MIT */
#include "base/hold.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static di_hold *create(di_pool *pool, size_t size)
{
    di_hold *hold = di_pool_take(pool, size);
    if (!hold)
        hold = di_hold_create(pool, size);
    assert_non_null(hold);
    assert_true(hold->room >= size);
    assert_true(di_hold_is_single(hold));
    assert_ptr_equal(di_hold_of(hold->memory), hold);
    memset(hold->memory, 1, size);
    return hold;
}

static void the_last_holder_gives_it_back(void **state)
{
    (void)state;
    static di_pool pool;
    di_hold *hold = create(&pool, DI_POOL_SMALL_ROOM);
    di_hold_add(hold);
    assert_false(di_hold_is_single(hold));
    di_hold_release(hold);
    di_hold *other = create(&pool, DI_POOL_SMALL_ROOM);
    assert_ptr_not_equal(other, hold);
    di_hold_release(hold);
    assert_ptr_equal(create(&pool, 1), hold);
    di_hold_release(hold);
    di_hold_release(other);
    di_hold_release(NULL);
    di_pool_end(&pool);
}

static void without_a_pool_it_is_freed(void **state)
{
    (void)state;
    di_hold *hold = create(NULL, 100);
    di_hold_add(hold);
    di_hold_release(hold);
    di_hold_release(hold);
}

static void large_pieces_fit(void **state)
{
    (void)state;
    static di_pool pool;
    di_hold *holds[3];
    for (size_t i = 0; i < 3; i++)
        holds[i] = create(&pool, (i + 1) * 100000);
    for (size_t i = 0; i < 3; i++)
        di_hold_release(holds[i]);
    assert_ptr_equal(create(&pool, 250000), holds[2]);
    di_hold *more = create(&pool, 250000);
    assert_ptr_equal(create(&pool, 150000), holds[1]);
    assert_ptr_equal(create(&pool, 100000), holds[0]);
    di_hold_release(more);
    for (size_t i = 0; i < 3; i++)
        di_hold_release(holds[i]);
    di_pool_end(&pool);
}

static void what_is_too_much_is_freed(void **state)
{
    (void)state;
    static di_pool pool;
    static di_hold *holds[2][DI_POOL_SLOTS + 3];
    for (size_t i = 0; i < DI_POOL_SLOTS + 3; i++) {
        holds[0][i] = create(&pool, DI_POOL_SMALL_ROOM);
        holds[1][i] = create(&pool, DI_POOL_SMALL_ROOM + 1);
    }
    for (size_t i = 0; i < DI_POOL_SLOTS + 3; i++) {
        di_hold_release(holds[0][i]);
        di_hold_release(holds[1][i]);
    }
    for (size_t i = 0; i < DI_POOL_SLOTS; i++) {
        assert_non_null(atomic_load(&pool.small[i]));
        assert_non_null(atomic_load(&pool.large[i]));
    }
    di_pool_end(&pool);
    for (size_t i = 0; i < DI_POOL_SLOTS; i++)
        assert_null(atomic_load(&pool.small[i]));
}

static void a_pool_is_trimmed_where_it_rests(void **state)
{
    (void)state;
    static di_pool pool;
    di_hold *small = create(&pool, 1);
    assert_false(di_pool_used_large(&pool));
    di_hold *large = create(&pool, 100000);
    assert_true(di_pool_used_large(&pool));
    assert_true(di_pool_trim(&pool));
    di_hold_release(small);
    di_hold_release(large);
    assert_true(di_pool_trim(&pool));
    assert_ptr_equal(atomic_load(&pool.large[0]), large);
    assert_false(di_pool_trim(&pool));
    assert_null(atomic_load(&pool.large[0]));
    assert_ptr_equal(atomic_load(&pool.small[0]), small);
    di_pool_end(&pool);
}

static void what_no_system_has(void **state)
{
    (void)state;
    static di_pool pool;
    assert_null(di_hold_create(&pool, SIZE_MAX));
    assert_null(di_hold_create(NULL, SIZE_MAX - 8));
    assert_null(di_pool_take(NULL, 1));
}

/* Takes and gives pieces of all sizes; nobody else may write into one meanwhile. */
static void *take_and_give(void *argument)
{
    di_pool *pool = argument;
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = round % 3 ? 64 : 5000 + round % 5 * 1000;
        di_hold *hold = di_pool_take(pool, size);
        if (!hold)
            hold = di_hold_create(pool, size);
        if (!hold)
            return NULL;
        memcpy(hold->memory, &hold, sizeof hold);
        memset(hold->memory + size - 8, (int)round, 8);
        void *seen;
        memcpy(&seen, hold->memory, sizeof seen);
        bool right = seen == hold && hold->memory[size - 1] == (uint8_t)round;
        di_hold_release(hold);
        if (!right)
            return NULL;
        if (round % 1000 == 0)
            di_pool_trim(pool);
    }
    return argument;
}

static void threads_take_turns(void **state)
{
    (void)state;
    static di_pool pool;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &pool), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &pool);
    }
    di_pool_end(&pool);
}

/* Sanitizers end the process where malloc fails, unless told otherwise. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_holder_gives_it_back),
        cmocka_unit_test(without_a_pool_it_is_freed),
        cmocka_unit_test(large_pieces_fit),
        cmocka_unit_test(what_is_too_much_is_freed),
        cmocka_unit_test(a_pool_is_trimmed_where_it_rests),
        cmocka_unit_test(what_no_system_has),
        cmocka_unit_test(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
