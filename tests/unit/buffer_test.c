/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void append(di_buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(di_buffer_reserve(buffer, size, &room), 0);
    memcpy(room, bytes, size);
    di_buffer_commit(buffer, size);
}

static void check(const di_buffer *buffer, const char *expected)
{
    size_t size;
    const uint8_t *bytes = di_buffer_peek(buffer, &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    di_buffer buffer;
    di_buffer_init(&buffer, 1000);
    append(&buffer, "hello ", 6);
    append(&buffer, "world", 5);
    check(&buffer, "hello world");
    di_buffer_consume(&buffer, 4);
    check(&buffer, "o world");
    append(&buffer, "!", 1);
    check(&buffer, "o world!");
    di_buffer_consume(&buffer, 8);
    assert_int_equal(di_buffer_size(&buffer), 0);
    assert_int_equal(buffer.begin, 0);
    di_buffer_free(&buffer);
}

static void room_that_is_not_committed_is_not_there(void **state)
{
    (void)state;
    di_buffer buffer;
    uint8_t *room = NULL;
    di_buffer_init(&buffer, 1000);
    append(&buffer, "ab", 2);
    assert_int_equal(di_buffer_reserve(&buffer, 10, &room), 0);
    memcpy(room, "cdefghijkl", 10);
    di_buffer_commit(&buffer, 1);
    check(&buffer, "abc");
    assert_int_equal(di_buffer_reserve(&buffer, 10, &room), 0);
    di_buffer_commit(&buffer, 0);
    check(&buffer, "abc");
    di_buffer_free(&buffer);
}

static void the_end_can_be_withdrawn(void **state)
{
    (void)state;
    di_buffer buffer;
    di_buffer_init(&buffer, 1000);
    append(&buffer, "abcdef", 6);
    di_buffer_consume(&buffer, 1);
    di_buffer_withdraw(&buffer, 2);
    check(&buffer, "bcd");
    di_buffer_withdraw(&buffer, 3);
    assert_int_equal(di_buffer_size(&buffer), 0);
    append(&buffer, "x", 1);
    check(&buffer, "x");
    di_buffer_free(&buffer);
}

static void the_cap_holds_and_changes_nothing(void **state)
{
    (void)state;
    di_buffer buffer;
    uint8_t *room = (uint8_t *)1;
    di_buffer_init(&buffer, 10);
    append(&buffer, "12345678", 8);
    assert_int_equal(di_buffer_reserve(&buffer, 3, &room), DARI_LIMIT);
    assert_int_equal(di_buffer_reserve(&buffer, SIZE_MAX, &room), DARI_LIMIT);
    assert_ptr_equal(room, (uint8_t *)1);
    check(&buffer, "12345678");
    append(&buffer, "9a", 2);
    check(&buffer, "123456789a");
    di_buffer_consume(&buffer, 3);
    append(&buffer, "xyz", 3);
    check(&buffer, "456789axyz");
    di_buffer_free(&buffer);
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

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    di_buffer buffer;
    uint8_t *room = NULL;
    di_buffer_init(&buffer, SIZE_MAX);
    append(&buffer, "abc", 3);
    assert_int_equal(di_buffer_reserve(&buffer, SIZE_MAX / 4 * 3, &room), DARI_NO_MEMORY);
    check(&buffer, "abc");
    di_buffer_free(&buffer);
}

static void large_contents_keep_their_place_in_order(void **state)
{
    (void)state;
    di_buffer buffer;
    di_buffer_init(&buffer, 1 << 20);
    uint32_t written = 0, read = 0;
    for (int round = 0; round < 20000; round++) {
        uint8_t *room = NULL;
        size_t size;
        assert_int_equal(di_buffer_reserve(&buffer, 40, &room), 0);
        for (int i = 0; i < 40; i += 4, written++)
            memcpy(room + i, &written, 4);
        di_buffer_commit(&buffer, 40);
        for (int i = 0; i < (round % 3) * 12; i += 4, read++) {
            uint32_t value;
            memcpy(&value, di_buffer_peek(&buffer, &size), 4);
            assert_int_equal(value, read);
            di_buffer_consume(&buffer, 4);
        }
    }
    assert_int_equal(di_buffer_size(&buffer), 4 * (written - read));
    di_buffer_free(&buffer);
}

static void use(di_buffer *buffer, size_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(di_buffer_reserve(buffer, size, &room), 0);
    di_buffer_commit(buffer, size);
    di_buffer_consume(buffer, size);
}

static void memory_is_kept_while_it_is_used(void **state)
{
    (void)state;
    di_buffer buffer;
    di_buffer_init(&buffer, 1 << 20);
    use(&buffer, DI_BUFFER_KEEP + 1);
    const uint8_t *data = buffer.data;
    assert_true(buffer.room > DI_BUFFER_KEEP);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i + 1 < DI_BUFFER_SMALL_USES; i++)
            use(&buffer, 100);
        assert_ptr_equal(buffer.data, data);
        use(&buffer, DI_BUFFER_KEEP + 1);
    }
    for (unsigned i = 0; i < DI_BUFFER_SMALL_USES; i++)
        use(&buffer, DI_BUFFER_KEEP);
    assert_true(buffer.room <= DI_BUFFER_KEEP);
    di_buffer_free(&buffer);
}

static void with_a_pool_only_contents_take_memory(void **state)
{
    (void)state;
    static di_pool pool;
    di_buffer one, other;
    di_buffer_init(&one, 1 << 20);
    di_buffer_init(&other, 1 << 20);
    di_buffer_set_pool(&one, &pool, false);
    di_buffer_set_pool(&other, &pool, false);
    append(&one, "abc", 3);
    const uint8_t *data = one.data;
    di_buffer_consume(&one, 2);
    check(&one, "c");
    di_buffer_consume(&one, 1);
    assert_null(one.data);
    append(&other, "d", 1);
    assert_ptr_equal(other.data, data);
    append(&one, "ef", 2);
    di_buffer_withdraw(&one, 2);
    assert_null(one.data);
    for (int i = 0; i < 2; i++)
        append(&other, (uint8_t[100000]){0}, 100000);
    data = other.data;
    di_buffer_free(&other);
    use(&one, 150000);
    append(&one, (uint8_t[150000]){0}, 150000);
    assert_ptr_equal(one.data, data);
    di_buffer_free(&one);
    di_pool_end(&pool);
}

static void with_a_pool_a_small_piece_may_be_kept(void **state)
{
    (void)state;
    static di_pool pool;
    di_buffer one, other;
    di_buffer_init(&one, 1 << 20);
    di_buffer_init(&other, 1 << 20);
    di_buffer_set_pool(&one, &pool, true);
    di_buffer_set_pool(&other, &pool, false);
    append(&one, "abc", 3);
    uint8_t *data = one.data;
    di_buffer_consume(&one, 3);
    assert_ptr_equal(one.data, data);
    use(&one, 100000);
    assert_null(one.data);
    append(&one, "d", 1);
    data = one.data;
    di_buffer_set_pool(&one, &pool, false);
    check(&one, "d");
    di_buffer_set_pool(&one, &pool, true);
    di_buffer_consume(&one, 1);
    assert_ptr_equal(one.data, data);
    di_buffer_set_pool(&one, &pool, false);
    assert_null(one.data);
    append(&other, "e", 1);
    assert_ptr_equal(other.data, data);
    di_buffer_free(&other);
    di_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(room_that_is_not_committed_is_not_there),
        cmocka_unit_test(the_end_can_be_withdrawn),
        cmocka_unit_test(the_cap_holds_and_changes_nothing),
        cmocka_unit_test(no_memory_changes_nothing),
        cmocka_unit_test(large_contents_keep_their_place_in_order),
        cmocka_unit_test(memory_is_kept_while_it_is_used),
        cmocka_unit_test(with_a_pool_only_contents_take_memory),
        cmocka_unit_test(with_a_pool_a_small_piece_may_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
