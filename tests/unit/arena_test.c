/* SPDX-License-Identifier: MIT */
#include <dari/arena.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_memory_is_aligned_and_apart(void **state)
{
    (void)state;
    dari_arena arena = {0};
    uint8_t *pieces[300];
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = dari_arena_take(&arena, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % DARI_ARENA_ALIGNMENT, 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(pieces[i][j], (uint8_t)i);
    dari_arena_end(&arena);
}

static void test_nothing_is_a_valid_pointer(void **state)
{
    (void)state;
    dari_arena arena = {0};
    assert_non_null(dari_arena_take(&arena, 0));
    dari_arena_end(&arena);
    dari_arena_end(&arena);
    dari_arena_end(NULL);
}

static void test_sizes_that_cannot_be(void **state)
{
    (void)state;
    dari_arena arena = {0};
    assert_null(dari_arena_take(&arena, SIZE_MAX));
    assert_null(dari_arena_take(&arena, SIZE_MAX - 7));
    assert_null(dari_arena_take(&arena, SIZE_MAX / 2 + 1));
    assert_non_null(dari_arena_take(&arena, 1));
    dari_arena_end(&arena);
}

/* How many pieces of a size may be taken. */
static size_t take_all(dari_arena *arena, size_t size)
{
    size_t count = 0;
    while (dari_arena_take(arena, size))
        count++;
    return count;
}

static void test_budget_is_exact(void **state)
{
    (void)state;
    for (size_t size = 8; size <= 4096; size *= 2) {
        dari_arena arena = {0};
        dari_arena_allow(&arena, 100 * size + 7);
        assert_int_equal(take_all(&arena, size), 100);
        assert_null(dari_arena_take(&arena, 8));
        dari_arena_end(&arena);
    }
}

static void test_budget_counts_from_the_moment_it_is_given(void **state)
{
    (void)state;
    dari_arena arena = {0};
    assert_non_null(dari_arena_take(&arena, 5000));
    dari_arena_allow(&arena, 64);
    assert_int_equal(take_all(&arena, 16), 4);
    dari_arena_allow(&arena, 32);
    assert_int_equal(take_all(&arena, 16), 2);
    dari_arena_allow(&arena, 0);
    assert_null(dari_arena_take(&arena, 1));
    dari_arena_end(&arena);
}

static void test_budget_for_one_large_piece(void **state)
{
    (void)state;
    dari_arena arena = {0};
    dari_arena_allow(&arena, 1 << 20);
    assert_non_null(dari_arena_take(&arena, 1000));
    assert_null(dari_arena_take(&arena, 1 << 20));
    assert_non_null(dari_arena_take(&arena, (1 << 20) - 1000));
    assert_null(dari_arena_take(&arena, 1));
    dari_arena_end(&arena);
}

static void test_reset_lifts_the_budget(void **state)
{
    (void)state;
    dari_arena arena = {0};
    dari_arena_allow(&arena, 8);
    assert_int_equal(take_all(&arena, 8), 1);
    dari_arena_reset(&arena);
    assert_non_null(dari_arena_take(&arena, 100000));
    dari_arena_end(&arena);
}

static void test_reset_keeps_the_memory(void **state)
{
    (void)state;
    dari_arena arena = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++)
            assert_non_null(dari_arena_take(&arena, 1000));
        dari_arena_reset(&arena);
    }
    /* By now one block holds a whole round. */
    assert_non_null(dari_arena_take(&arena, 1000));
    struct dari_arena_block *block = arena.newest;
    for (int i = 1; i < 100; i++)
        assert_non_null(dari_arena_take(&arena, 1000));
    assert_ptr_equal(arena.newest, block);
    dari_arena_reset(&arena);
    assert_ptr_equal(arena.newest, block);
    dari_arena_end(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_aligned_and_apart),
        cmocka_unit_test(test_nothing_is_a_valid_pointer),
        cmocka_unit_test(test_sizes_that_cannot_be),
        cmocka_unit_test(test_budget_is_exact),
        cmocka_unit_test(test_budget_counts_from_the_moment_it_is_given),
        cmocka_unit_test(test_budget_for_one_large_piece),
        cmocka_unit_test(test_reset_lifts_the_budget),
        cmocka_unit_test(test_reset_keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
