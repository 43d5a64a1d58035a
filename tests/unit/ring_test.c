/* SPDX-License-Identifier: MIT */
/* The ring by itself: wrapping around, full and empty, each value that a peer may lie about, and
 * when it says that somebody is to be woken. */
#include "ipc/memory.h"
#include "ipc/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

typedef struct both_ends {
    di_ring_control *control;
    void *data, *read_only;
    uint32_t size;
    di_ring_writer writer;
    di_ring_reader reader;
} both_ends;

static int begin(void **state)
{
    both_ends *self = calloc(1, sizeof *self);
    size_t page = di_memory_page();
    int descriptor;
    const char *words;
    void *control;
    assert_non_null(self);
    self->size = (uint32_t)page;
    assert_int_equal(di_memory_create(2 * page, &descriptor, &words), 0);
    assert_int_equal(di_memory_map(descriptor, 0, page, false, true, &control), 0);
    assert_int_equal(di_memory_map(descriptor, page, page, true, true, &self->data), 0);
    assert_int_equal(di_memory_map(descriptor, page, page, true, false, &self->read_only), 0);
    close(descriptor);
    self->control = control;
    di_ring_writer_init(&self->writer, self->control, self->data, self->size);
    di_ring_reader_init(&self->reader, self->control, self->read_only, self->size);
    *state = self;
    return 0;
}

static int end(void **state)
{
    both_ends *self = *state;
    di_memory_unmap(self->control, di_memory_page(), false);
    di_memory_unmap(self->data, self->size, true);
    di_memory_unmap(self->read_only, self->size, true);
    free(self);
    return 0;
}

/* Moves the cursors to `at`, as if as many bytes had gone through. */
static void start_at(both_ends *self, uint32_t at)
{
    self->writer.tail = self->writer.published = self->writer.head = at;
    atomic_store(&self->reader.head, at);
    self->reader.tail = at;
    atomic_store(&self->control->tail, at);
    atomic_store(&self->control->head, at);
}

static uint32_t available(both_ends *self)
{
    uint32_t size = 0;
    assert_int_equal(di_ring_look_for_bytes(&self->reader, &size), 0);
    return size;
}

static void write_pattern(both_ends *self, uint32_t size, uint8_t first)
{
    uint8_t *room = di_ring_room(&self->writer);
    assert_true(di_ring_known_room(&self->writer) >= size);
    for (uint32_t i = 0; i < size; i++)
        room[i] = (uint8_t)(first + i * 7);
    di_ring_write(&self->writer, size);
}

static void check_pattern(both_ends *self, uint32_t size, uint8_t first)
{
    const uint8_t *bytes = di_ring_bytes(&self->reader);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], (uint8_t)(first + i * 7));
}

/* Every size at every place, and past 2^32. */
static void bytes_come_through_where_it_wraps(void **state)
{
    both_ends *self = *state;
    start_at(self, UINT32_MAX - 10 * self->size - 5);
    uint8_t first = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t size = 1 + round * 37 % self->size;
        assert_int_equal(di_ring_look_for_room(&self->writer), 0);
        assert_int_equal(di_ring_known_room(&self->writer), self->size);
        write_pattern(self, size, first);
        assert_int_equal(available(self), 0);
        assert_int_equal(di_ring_unpublished(&self->writer), size);
        assert_false(di_ring_has_bytes(&self->reader));
        assert_false(di_ring_publish(&self->writer));
        assert_true(di_ring_has_bytes(&self->reader));
        assert_int_equal(available(self), size);
        check_pattern(self, size, first++);
        assert_false(di_ring_read(&self->reader, size));
    }
}

static void a_full_ring_has_no_room(void **state)
{
    both_ends *self = *state;
    write_pattern(self, self->size, 3);
    assert_int_equal(di_ring_known_room(&self->writer), 0);
    di_ring_publish(&self->writer);
    assert_int_equal(available(self), self->size);
    di_ring_read(&self->reader, 1);
    assert_int_equal(di_ring_known_room(&self->writer), 0);
    assert_int_equal(di_ring_look_for_room(&self->writer), 0);
    assert_int_equal(di_ring_known_room(&self->writer), 1);
}

static void what_is_not_published_can_be_withdrawn(void **state)
{
    both_ends *self = *state;
    write_pattern(self, 100, 1);
    di_ring_publish(&self->writer);
    write_pattern(self, 50, 2);
    di_ring_withdraw(&self->writer, 50);
    assert_int_equal(di_ring_unpublished(&self->writer), 0);
    assert_false(di_ring_publish(&self->writer));
    assert_int_equal(available(self), 100);
}

/* Of a reader that has left, what it did not read; whatever it says of that later. */
static void what_was_not_read_can_be_withdrawn(void **state)
{
    both_ends *self = *state;
    write_pattern(self, self->size - 100, 1);
    di_ring_publish(&self->writer);
    write_pattern(self, 100, 2);
    di_ring_publish(&self->writer);
    di_ring_withdraw(&self->writer, 100);
    assert_int_equal(di_ring_unpublished(&self->writer), 0);
    atomic_store(&self->control->head, self->size);
    assert_int_equal(di_ring_look_for_room(&self->writer), DARI_PROTOCOL);
    assert_int_equal(di_ring_known_room(&self->writer), 100);
}

static void only_a_sleeper_is_woken_and_once(void **state)
{
    both_ends *self = *state;
    write_pattern(self, 8, 1);
    assert_false(di_ring_publish(&self->writer));
    assert_false(di_ring_sleep(&self->reader)); /* something is there */
    di_ring_read(&self->reader, available(self));
    assert_true(di_ring_sleep(&self->reader));
    assert_true(di_ring_sleep(&self->reader));
    write_pattern(self, 8, 1);
    assert_true(di_ring_publish(&self->writer));
    write_pattern(self, 8, 1);
    assert_false(di_ring_publish(&self->writer));
    di_ring_rise(&self->reader);
    di_ring_read(&self->reader, available(self));
    assert_true(di_ring_sleep(&self->reader));
    di_ring_rise(&self->reader);
    write_pattern(self, 8, 1);
    assert_false(di_ring_publish(&self->writer));
    assert_false(di_ring_publish(&self->writer)); /* nothing new */
}

static void a_writer_is_woken_once_half_is_free(void **state)
{
    both_ends *self = *state;
    write_pattern(self, self->size, 1);
    di_ring_publish(&self->writer);
    assert_int_equal(di_ring_wait_for_room(&self->writer), 1);
    assert_int_equal(available(self), self->size);
    assert_false(di_ring_read(&self->reader, self->size / 2 - 1));
    assert_true(di_ring_read(&self->reader, 1));
    assert_false(di_ring_read(&self->reader, 1));
    assert_int_equal(di_ring_wait_for_room(&self->writer), 0);
    assert_int_equal(di_ring_known_room(&self->writer), self->size / 2 + 1);
    assert_false(di_ring_read(&self->reader, self->size / 2 - 1)); /* it waits no more */
}

/* Values around each one that is possible. */
static void a_lying_writer_is_caught(void **state)
{
    both_ends *self = *state;
    start_at(self, 12345);
    uint32_t size = 0;
    const uint32_t lies[] = {self->size + 1, self->size + 2, 1u << 31, UINT32_MAX, 2 * self->size};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        atomic_store(&self->control->tail, 12345 + lies[i]);
        assert_int_equal(di_ring_look_for_bytes(&self->reader, &size), DARI_PROTOCOL);
        assert_true(di_ring_has_bytes(&self->reader)); /* that is looked into */
    }
    const uint32_t possible[] = {0, 1, self->size - 1, self->size};
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++) {
        atomic_store(&self->control->tail, 12345 + possible[i]);
        assert_int_equal(available(self), possible[i]);
    }
}

static void a_lying_reader_is_caught(void **state)
{
    both_ends *self = *state;
    start_at(self, UINT32_MAX - 3);
    write_pattern(self, 100, 0);
    di_ring_publish(&self->writer);
    write_pattern(self, 10, 0); /* not published: it cannot have been read */
    const uint32_t lies[] = {101, 110, 111, self->size, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        atomic_store(&self->control->head, UINT32_MAX - 3 + lies[i]);
        assert_int_equal(di_ring_look_for_room(&self->writer), DARI_PROTOCOL);
        assert_int_equal(di_ring_wait_for_room(&self->writer), DARI_PROTOCOL);
        assert_int_equal(di_ring_known_room(&self->writer), self->size - 110);
    }
    const uint32_t possible[] = {0, 1, 99, 100};
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++) {
        atomic_store(&self->control->head, UINT32_MAX - 3 + possible[i]);
        assert_int_equal(di_ring_look_for_room(&self->writer), 0);
        assert_int_equal(di_ring_known_room(&self->writer), self->size - 110 + possible[i]);
    }
    atomic_store(&self->control->head, UINT32_MAX - 3); /* back again */
    assert_int_equal(di_ring_look_for_room(&self->writer), DARI_PROTOCOL);
}

static void flags_of_any_value_do_no_harm(void **state)
{
    both_ends *self = *state;
    static const uint32_t values[] = {2, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&self->control->reader_sleeps, values[i]);
        atomic_store(&self->control->writer_waits, values[i]);
        write_pattern(self, 4, 0);
        assert_true(di_ring_publish(&self->writer));
        assert_int_equal(available(self), 4);
        assert_true(di_ring_read(&self->reader, 4));
        assert_int_equal(di_ring_look_for_room(&self->writer), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_through_where_it_wraps, begin, end),
        cmocka_unit_test_setup_teardown(a_full_ring_has_no_room, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_published_can_be_withdrawn, begin, end),
        cmocka_unit_test_setup_teardown(what_was_not_read_can_be_withdrawn, begin, end),
        cmocka_unit_test_setup_teardown(only_a_sleeper_is_woken_and_once, begin, end),
        cmocka_unit_test_setup_teardown(a_writer_is_woken_once_half_is_free, begin, end),
        cmocka_unit_test_setup_teardown(a_lying_writer_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_lying_reader_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(flags_of_any_value_do_no_harm, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
