/* SPDX-License-Identifier: MIT */
/* References beside a ring: their order and places, slots that run out, and what is taken back. */
#include "ipc/lending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define RING 4096u

typedef struct both_ends {
    di_ring_control control;
    di_lending_control lending;
    uint8_t data[2 * RING]; /* enough for rings that do not wrap around */
    di_ring_writer writer;
    di_ring_reader reader;
    di_lender lender;
    di_borrower borrower;
} both_ends;

static int begin(void **state)
{
    both_ends *self = aligned_alloc(128, (sizeof *self + 127) / 128 * 128);
    assert_non_null(self);
    memset(self, 0, sizeof *self);
    di_ring_writer_init(&self->writer, &self->control, self->data, RING);
    di_ring_reader_init(&self->reader, &self->control, self->data, RING);
    self->lender.control = self->borrower.control = &self->lending;
    *state = self;
    return 0;
}

static int end(void **state)
{
    free(*state);
    return 0;
}

static void references_come_in_order(void **state)
{
    both_ends *self = *state;
    di_lending_reference next;
    assert_int_equal(di_borrower_look(&self->borrower, &next), 0);
    di_ring_write(&self->writer, 10);
    di_lend(&self->lender, &self->writer, 5, 70000);
    di_ring_write(&self->writer, 3);
    di_lend(&self->lender, &self->writer, 6, 80000);
    assert_int_equal(self->writer.tail, 15);
    assert_int_equal(di_borrower_look(&self->borrower, &next), 1);
    assert_int_equal(next.place, 10);
    assert_int_equal(next.offset, 5);
    assert_int_equal(next.size, 70000);
    di_borrower_take(&self->borrower);
    assert_int_equal(di_borrower_look(&self->borrower, &next), 1);
    assert_int_equal(next.place, 14);
    assert_int_equal(next.offset, 6);
    assert_int_equal(next.size, 80000);
    di_borrower_take(&self->borrower);
    assert_int_equal(di_borrower_look(&self->borrower, &next), 0);
}

/* A slot is free once the reader of the ring has passed its byte, as far as the writer knows. */
static void slots_run_out(void **state)
{
    both_ends *self = *state;
    uint32_t size = 0;
    for (uint32_t i = 0; i < DI_LENDING_SLOTS; i++) {
        assert_true(di_lender_has_slot(&self->lender));
        di_lend(&self->lender, &self->writer, i, 70000);
    }
    assert_false(di_lender_has_slot(&self->lender));
    di_ring_publish(&self->writer);
    assert_int_equal(di_ring_look_for_bytes(&self->reader, &size), 0);
    di_ring_read(&self->reader, 1);
    assert_false(di_lender_has_slot(&self->lender));
    assert_int_equal(di_lender_look_for_room(&self->lender, &self->writer), 0);
    assert_true(di_lender_has_slot(&self->lender));
    assert_int_equal(self->lender.head, 1);
}

/* However much goes through the ring behind a reference, it is passed. */
static void what_was_lent_long_ago_is_over(void **state)
{
    both_ends *self = *state;
    const uint64_t distances[] = {UINT64_C(1) << 31, UINT64_C(3) << 30, (UINT64_C(1) << 32) + RING};
    uint32_t size = 0;
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        di_lend(&self->lender, &self->writer, 0, 70000);
        for (uint64_t sent = 0; sent < distances[i]; sent += RING) {
            di_ring_write(&self->writer, di_ring_known_room(&self->writer));
            di_ring_publish(&self->writer);
            assert_int_equal(di_ring_look_for_bytes(&self->reader, &size), 0);
            di_ring_read(&self->reader, size);
            assert_int_equal(di_lender_look_for_room(&self->lender, &self->writer), 0);
        }
        assert_int_equal(di_lender_lent(&self->lender, self->writer.head), 0);
        di_ring_write(&self->writer, 100);
        di_lender_withdraw(&self->lender, &self->writer, 60);
        assert_int_equal(di_ring_unpublished(&self->writer), 40);
    }
}

static void too_many_are_a_lie(void **state)
{
    both_ends *self = *state;
    di_lending_reference next;
    atomic_store(&self->lending.tail, DI_LENDING_SLOTS);
    assert_int_equal(di_borrower_look(&self->borrower, &next), 1);
    atomic_store(&self->lending.tail, DI_LENDING_SLOTS + 1);
    assert_int_equal(di_borrower_look(&self->borrower, &next), DARI_PROTOCOL);
    atomic_store(&self->lending.tail, UINT32_MAX);
    assert_int_equal(di_borrower_look(&self->borrower, &next), DARI_PROTOCOL);
}

/* 10 bytes, 70,000 lent, 20 bytes, 80,000 lent, 30 bytes. */
static void write_some(both_ends *self)
{
    di_ring_write(&self->writer, 10);
    di_lend(&self->lender, &self->writer, 0, 70000);
    di_ring_write(&self->writer, 20);
    di_lend(&self->lender, &self->writer, 0, 80000);
    di_ring_write(&self->writer, 30);
}

static void what_is_lent_counts(void **state)
{
    both_ends *self = *state;
    write_some(self);
    assert_int_equal(self->writer.tail, 62);
    assert_int_equal(di_lender_lent(&self->lender, 0), 149998);
    assert_int_equal(di_lender_lent(&self->lender, 10), 149998);
    assert_int_equal(di_lender_lent(&self->lender, 11), 79999);
    assert_int_equal(di_lender_lent(&self->lender, 31), 79999);
    assert_int_equal(di_lender_lent(&self->lender, 32), 0);
}

/* From the end on, with what was lent, or without. */
static void what_is_written_is_taken_back(void **state)
{
    static const struct {
        uint64_t size;
        uint32_t tail, lent;
    } steps[] = {{0, 62, 2},          {30, 32, 2},         {30 + 80000, 31, 1},
                 {35 + 80000, 26, 1}, {50 + 80000, 11, 1}, {50 + 150000, 10, 0},
                 {57 + 150000, 3, 0}, {60 + 150000, 0, 0}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        end(state);
        begin(state);
        both_ends *self = *state;
        write_some(self);
        di_lender_withdraw(&self->lender, &self->writer, steps[i].size);
        assert_int_equal(self->writer.tail, steps[i].tail);
        assert_int_equal(self->lender.tail, steps[i].lent);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(references_come_in_order),
        TEST(slots_run_out),
        TEST(what_was_lent_long_ago_is_over),
        TEST(too_many_are_a_lie),
        TEST(what_is_lent_counts),
        TEST(what_is_written_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
