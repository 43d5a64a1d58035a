/* SPDX-License-Identifier: MIT */
/* Record marking without a connection: a stream of bytes that arrive in any portions, as a buffer
 * of a connection would show them. */
#include "base/buffer.h"
#include "rpc/record.h"

#include <dari/xdr.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 1000
#define HEAD 100

/* A reader, the bytes that wait for it, and what it has found. */
typedef struct test_feed {
    di_record_reader reader;
    di_buffer buffer;
    unsigned whole, oversized;
    uint8_t last[LIMIT];
    size_t last_size;
    bool in_place; /* the last one was found where it arrived */
    size_t most;   /* the most bytes that waited */
} test_feed;

static void feed_begin(test_feed *feed)
{
    memset(feed, 0, sizeof *feed);
    di_record_reader_init(&feed->reader, LIMIT, HEAD, UINT32_MAX);
    di_buffer_init(&feed->buffer, 1 << 24);
}

static void feed_end(test_feed *feed)
{
    di_buffer_free(&feed->buffer);
}

static void drain(test_feed *feed)
{
    for (;;) {
        size_t size;
        uint8_t *bytes = di_buffer_peek(&feed->buffer, &size);
        di_record record;
        enum di_record_state state = di_record_next(&feed->reader, bytes, size, &record);
        assert_true(record.consume <= size);
        if (state == DI_RECORD_PARTIAL) {
            assert_true(record.want >= 1);
            di_buffer_consume(&feed->buffer, record.consume);
            return;
        }
        feed->whole += state == DI_RECORD_WHOLE;
        feed->oversized += state == DI_RECORD_OVERSIZED;
        assert_true(record.size <= LIMIT);
        memcpy(feed->last, record.body, record.size);
        feed->last_size = record.size;
        feed->in_place = record.body == bytes + DI_RECORD_MARK;
        di_buffer_consume(&feed->buffer, record.consume);
    }
}

/* Lets bytes arrive, `step` at a time. */
static void arrive(test_feed *feed, const uint8_t *bytes, size_t size, size_t step)
{
    for (size_t done = 0; done < size; done += step) {
        size_t part = size - done < step ? size - done : step;
        uint8_t *room = NULL;
        assert_int_equal(di_buffer_reserve(&feed->buffer, part, &room), 0);
        memcpy(room, bytes + done, part);
        di_buffer_commit(&feed->buffer, part);
        if (di_buffer_size(&feed->buffer) > feed->most)
            feed->most = di_buffer_size(&feed->buffer);
        drain(feed);
    }
}

/* Writes `size` bytes of a pattern as a record, in fragments of `fragment` bytes with `empty`
 * fragments before, between and after; returns the bytes written. */
static size_t write_record(uint8_t *out, size_t size, size_t fragment, unsigned empty)
{
    uint8_t *at = out;
    if (empty & 1)
        dari_put_u32(at, 0), at += 4;
    size_t done = 0;
    do {
        size_t part = size - done < fragment ? size - done : fragment;
        bool last = done + part == size && !(empty & 4);
        dari_put_u32(at, (uint32_t)part | (last ? DI_RECORD_LAST : 0));
        at += 4;
        for (size_t i = 0; i < part; i++)
            *at++ = (uint8_t)((done + i) * 7 + size);
        done += part;
        if ((empty & 2) && !last)
            dari_put_u32(at, 0), at += 4;
    } while (done < size);
    if (empty & 4)
        dari_put_u32(at, DI_RECORD_LAST), at += 4;
    return (size_t)(at - out);
}

static void check_last(const test_feed *feed, size_t size)
{
    assert_int_equal(feed->last_size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(feed->last[i], (uint8_t)(i * 7 + size));
}

static void one_fragment_is_read_in_place(void **state)
{
    (void)state;
    test_feed feed;
    uint8_t stream[2000];
    feed_begin(&feed);
    for (size_t size = 0; size <= LIMIT; size += 50) {
        arrive(&feed, stream, write_record(stream, size, LIMIT, 0), sizeof stream);
        check_last(&feed, size);
        assert_true(feed.in_place);
    }
    assert_int_equal(feed.whole, 21);
    assert_int_equal(di_buffer_size(&feed.buffer), 0);
    feed_end(&feed);
}

static void every_fragmentation_in_every_portion(void **state)
{
    (void)state;
    static uint8_t stream[20000];
    static const size_t sizes[] = {0, 1, 5, 37};
    unsigned count = 0;
    test_feed feed;
    feed_begin(&feed);
    for (size_t s = 0; s < 4; s++)
        for (size_t fragment = 1; fragment <= 38; fragment++)
            for (unsigned empty = 0; empty < 8; empty++)
                for (size_t step = 1; step < 60; step += 3) {
                    size_t size = write_record(stream, sizes[s], fragment, empty);
                    arrive(&feed, stream, size, step);
                    assert_int_equal(feed.whole, ++count);
                    check_last(&feed, sizes[s]);
                }
    assert_int_equal(feed.oversized, 0);
    feed_end(&feed);
}

static void several_records_arrive_at_once(void **state)
{
    (void)state;
    static uint8_t stream[20000];
    test_feed feed;
    size_t size = 0;
    feed_begin(&feed);
    for (size_t i = 0; i < 20; i++)
        size += write_record(stream + size, i * 10, 3 + i, (unsigned)i & 7);
    arrive(&feed, stream, size, size);
    assert_int_equal(feed.whole, 20);
    check_last(&feed, 190);
    feed_end(&feed);
}

static void the_limit_itself_and_one_more(void **state)
{
    (void)state;
    static uint8_t stream[20000];
    static const size_t fragments[] = {1, 7, 500, LIMIT, 2 * LIMIT};
    for (size_t i = 0; i < 5; i++)
        for (size_t step = 1; step < 5000; step = step * 5 + 1) {
            test_feed feed;
            feed_begin(&feed);
            arrive(&feed, stream, write_record(stream, LIMIT, fragments[i], 0), step);
            assert_int_equal(feed.whole, 1);
            assert_int_equal(feed.oversized, 0);
            check_last(&feed, LIMIT);
            arrive(&feed, stream, write_record(stream, LIMIT + 1, fragments[i], 0), step);
            assert_int_equal(feed.whole, 1);
            assert_int_equal(feed.oversized, 1);
            assert_int_equal(feed.last_size, HEAD);
            assert_int_equal(feed.last[3], (uint8_t)(3 * 7 + LIMIT + 1));
            arrive(&feed, stream, write_record(stream, 9, 2, 0), step);
            assert_int_equal(feed.whole, 2);
            check_last(&feed, 9);
            feed_end(&feed);
        }
}

static void an_oversized_record_is_shown_early_and_kept_nowhere(void **state)
{
    (void)state;
    static uint8_t chunk[4096];
    uint8_t mark[4];
    test_feed feed;
    feed_begin(&feed);
    dari_put_u32(mark, DI_RECORD_LAST | 0x7fffffff);
    arrive(&feed, mark, 4, 4);
    arrive(&feed, chunk, HEAD - 1, 10);
    assert_int_equal(feed.oversized, 0);
    arrive(&feed, chunk, 1, 1);
    assert_int_equal(feed.oversized, 1);
    for (int i = 0; i < 1000; i++)
        arrive(&feed, chunk, sizeof chunk, 1000);
    assert_int_equal(feed.oversized, 1);
    assert_true(feed.most < 2000);
    feed_end(&feed);
}

static void memory_is_bounded_however_a_record_is_cut(void **state)
{
    (void)state;
    static uint8_t stream[20000];
    test_feed feed;
    feed_begin(&feed);
    arrive(&feed, stream, write_record(stream, LIMIT, 1, 7), 1);
    assert_int_equal(feed.whole, 1);
    assert_true(feed.most <= 2 * LIMIT + DI_RECORD_GAP_MIN + 8);
    /* Empty fragments without end, before and within a record. */
    memset(stream, 0, sizeof stream);
    for (int i = 0; i < 100; i++)
        arrive(&feed, stream, sizeof stream, 1000);
    dari_put_u32(stream, 1);
    arrive(&feed, stream, 5, 5);
    memset(stream, 0, sizeof stream);
    for (int i = 0; i < 100; i++)
        arrive(&feed, stream, sizeof stream, 1000);
    assert_true(feed.most <= 2 * LIMIT + DI_RECORD_GAP_MIN + 1008);
    dari_put_u32(stream, DI_RECORD_LAST);
    arrive(&feed, stream, 4, 4);
    assert_int_equal(feed.whole, 2);
    assert_int_equal(feed.last_size, 1);
    feed_end(&feed);
}

static void what_is_wanted_is_exact_for_a_large_fragment(void **state)
{
    (void)state;
    di_record_reader reader;
    di_record record;
    uint8_t bytes[16] = {0x80, 0, 0x02, 0x00, 1, 2, 3};
    di_record_reader_init(&reader, LIMIT, HEAD, UINT32_MAX);
    assert_int_equal(di_record_next(&reader, bytes, 2, &record), DI_RECORD_PARTIAL);
    assert_int_equal(record.want, 2);
    assert_int_equal(di_record_next(&reader, bytes, 4, &record), DI_RECORD_PARTIAL);
    assert_int_equal(record.want, 512);
    assert_int_equal(record.consume, 4);
    assert_int_equal(di_record_next(&reader, bytes + 4, 3, &record), DI_RECORD_PARTIAL);
    assert_int_equal(record.want, 509);
    assert_int_equal(record.consume, 0);
}

static void marking_splits_and_reading_joins(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300; size += 7)
        for (size_t fragment = 1; fragment < 310; fragment += 11) {
            test_feed feed;
            feed_begin(&feed);
            size_t whole = di_record_size(size, fragment);
            uint8_t *room = malloc(whole);
            assert_non_null(room);
            for (size_t i = 0; i < size; i++)
                room[DI_RECORD_MARK + i] = (uint8_t)(i * 7 + size);
            di_record_mark(room, size, fragment);
            size_t fragments = size ? (size + fragment - 1) / fragment : 1;
            assert_int_equal(whole, size + 4 * fragments);
            arrive(&feed, room, whole, whole);
            assert_int_equal(feed.whole, 1);
            check_last(&feed, size);
            free(room);
            feed_end(&feed);
        }
}

static void sizes_beyond_a_fragment(void **state)
{
    (void)state;
    assert_int_equal(di_record_size(0, DI_FRAGMENT_MAX), 4);
    assert_int_equal(di_record_size(DI_FRAGMENT_MAX, DI_FRAGMENT_MAX), DI_FRAGMENT_MAX + 4);
    assert_int_equal(di_record_size(DI_FRAGMENT_MAX + 1, DI_FRAGMENT_MAX), DI_FRAGMENT_MAX + 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fragment_is_read_in_place),
        cmocka_unit_test(every_fragmentation_in_every_portion),
        cmocka_unit_test(several_records_arrive_at_once),
        cmocka_unit_test(the_limit_itself_and_one_more),
        cmocka_unit_test(an_oversized_record_is_shown_early_and_kept_nowhere),
        cmocka_unit_test(memory_is_bounded_however_a_record_is_cut),
        cmocka_unit_test(what_is_wanted_is_exact_for_a_large_fragment),
        cmocka_unit_test(marking_splits_and_reading_joins),
        cmocka_unit_test(sizes_beyond_a_fragment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
