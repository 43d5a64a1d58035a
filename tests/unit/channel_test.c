/* SPDX-License-Identifier: MIT */
/* A channel over a connection made of two buffers: what a stream and what a carrier of whole
 * messages make of the same messages, and what is withdrawn. */
#include "base/buffer.h"
#include "loop/channel.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* A connection to itself: what is flushed can be received. `room` bytes go at once. */
typedef struct loopback_connection {
    di_connection head;
    di_buffer out, in;
    size_t room;
} loopback_connection;

static int loopback_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&((loopback_connection *)connection)->out, size, ret_room);
}

static void loopback_commit(di_connection *connection, size_t size)
{
    di_buffer_commit(&((loopback_connection *)connection)->out, size);
}

static size_t loopback_unsent(const di_connection *connection)
{
    return di_buffer_size(&((const loopback_connection *)connection)->out);
}

static void loopback_withdraw(di_connection *connection, size_t size)
{
    di_buffer_withdraw(&((loopback_connection *)connection)->out, size);
}

static int loopback_flush(di_connection *connection)
{
    loopback_connection *self = (loopback_connection *)connection;
    size_t size;
    const uint8_t *bytes = di_buffer_peek(&self->out, &size);
    size_t part = size < self->room ? size : self->room;
    uint8_t *room = NULL;
    assert_int_equal(di_buffer_reserve(&self->in, part, &room), 0);
    memcpy(room, bytes, part);
    di_buffer_commit(&self->in, part);
    di_buffer_consume(&self->out, part);
    self->room -= part;
    return part < size ? DI_BLOCKED : DI_MOVED;
}

static int loopback_receive(di_connection *connection, size_t want)
{
    assert_true(want >= 1);
    return di_buffer_size(&((loopback_connection *)connection)->in) ? DI_MOVED : DI_BLOCKED;
}

static uint8_t *loopback_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const loopback_connection *)connection)->in, ret_size);
}

static void loopback_consume(di_connection *connection, size_t size)
{
    di_buffer_consume(&((loopback_connection *)connection)->in, size);
}

static void loopback_close(di_connection *connection)
{
    di_buffer_free(&((loopback_connection *)connection)->out);
    di_buffer_free(&((loopback_connection *)connection)->in);
}

#define LOOPBACK_OPS                                                                     \
    .reserve = loopback_reserve, .commit = loopback_commit, .unsent = loopback_unsent,   \
    .withdraw = loopback_withdraw, .flush = loopback_flush, .receive = loopback_receive, \
    .peek = loopback_peek, .consume = loopback_consume, .close = loopback_close

static const di_connection_ops stream_ops = {.keeps_boundaries = false, LOOPBACK_OPS};
static const di_connection_ops message_ops = {.keeps_boundaries = true, LOOPBACK_OPS};

static void begin(loopback_connection *self, di_channel *channel, const di_connection_ops *ops)
{
    *self = (loopback_connection){.head = {.ops = ops}, .room = SIZE_MAX};
    di_buffer_init(&self->out, 1 << 20);
    di_buffer_init(&self->in, 1 << 20);
    di_channel_init(channel, &self->head, &(di_channel_limits){2000, 100});
}

static void send_text(di_channel *channel, const char *text)
{
    uint8_t *room = NULL;
    assert_int_equal(di_channel_reserve(channel, strlen(text), &room), 0);
    memcpy(room, text, strlen(text));
    di_channel_commit(channel, room, strlen(text));
}

static void expect_text(di_channel *channel, const char *text)
{
    di_message message;
    assert_int_equal(di_channel_next(channel, &message), 1);
    assert_false(message.oversized);
    assert_int_equal(message.size, strlen(text));
    assert_memory_equal(message.bytes, text, message.size);
}

static void messages_keep_their_boundaries(void **state)
{
    static const di_connection_ops *const kinds[] = {&stream_ops, &message_ops};
    (void)state;
    for (int i = 0; i < 2; i++) {
        loopback_connection self;
        di_channel channel;
        di_message message;
        begin(&self, &channel, kinds[i]);
        assert_int_equal(di_channel_receive(&channel), DI_BLOCKED);
        assert_int_equal(di_channel_next(&channel, &message), 0);
        send_text(&channel, "one");
        assert_int_equal(channel.committed, i == 0 ? 7 : 3);
        assert_int_equal(di_channel_sent(&channel), 0);
        assert_int_equal(di_channel_flush(&channel), DI_MOVED);
        assert_int_equal(di_channel_sent(&channel), channel.committed);
        assert_int_equal(di_channel_receive(&channel), DI_MOVED);
        expect_text(&channel, "one");
        assert_int_equal(di_channel_next(&channel, &message), 0);
        send_text(&channel, "three");
        assert_int_equal(di_channel_flush(&channel), DI_MOVED);
        expect_text(&channel, "three");
        di_channel_close(&channel);
        di_channel_close(&channel);
    }
}

static void messages_arrive_in_portions(void **state)
{
    (void)state;
    loopback_connection self;
    di_channel channel;
    di_message message;
    begin(&self, &channel, &stream_ops);
    send_text(&channel, "hello");
    send_text(&channel, "again");
    for (int i = 0; i < 18; i++) {
        self.room = 1;
        assert_int_equal(di_channel_flush(&channel), i < 17 ? DI_BLOCKED : DI_MOVED);
        if (i == 8)
            expect_text(&channel, "hello");
        else if (i == 17)
            expect_text(&channel, "again");
        else
            assert_int_equal(di_channel_next(&channel, &message), 0);
    }
    di_channel_close(&channel);
}

static void the_limit_holds_both_ways(void **state)
{
    static const di_connection_ops *const kinds[] = {&stream_ops, &message_ops};
    (void)state;
    for (int i = 0; i < 2; i++) {
        loopback_connection self;
        di_channel channel;
        di_message message;
        uint8_t *room = NULL;
        begin(&self, &channel, kinds[i]);
        assert_int_equal(di_channel_reserve(&channel, 2001, &room), DARI_LIMIT);
        assert_int_equal(di_channel_reserve(&channel, SIZE_MAX, &room), DARI_LIMIT);
        channel.message_max = 3000;
        assert_int_equal(di_channel_reserve(&channel, 2001, &room), 0);
        memset(room, 'x', 2001);
        di_channel_commit(&channel, room, 2001);
        channel.message_max = 2000;
        assert_int_equal(di_channel_flush(&channel), DI_MOVED);
        assert_int_equal(di_channel_next(&channel, &message), 1);
        assert_true(message.oversized);
        assert_int_equal(message.size, 840);
        assert_int_equal(di_channel_next(&channel, &message), 0);
        di_channel_close(&channel);
    }
}

static void a_limit_below_a_header_is_raised(void **state)
{
    (void)state;
    loopback_connection self;
    di_channel channel;
    uint8_t *room = NULL;
    begin(&self, &channel, &stream_ops);
    di_channel_init(&channel, &self.head, &(di_channel_limits){1, 100});
    assert_int_equal(di_channel_reserve(&channel, DI_MESSAGE_MAX_MIN, &room), 0);
    di_channel_release(&channel);
    assert_int_equal(di_channel_reserve(&channel, DI_MESSAGE_MAX_MIN + 1, &room), DARI_LIMIT);
    di_channel_close(&channel);
}

static void only_what_is_wholly_unsent_is_withdrawn(void **state)
{
    (void)state;
    loopback_connection self;
    di_channel channel;
    begin(&self, &channel, &stream_ops);
    self.room = 0;
    send_text(&channel, "first");
    uint64_t before = channel.committed;
    send_text(&channel, "second");
    assert_true(di_channel_withdraw(&channel, before));
    assert_int_equal(channel.committed, before);
    assert_int_equal(di_channel_unsent(&channel), 9);
    self.room = 1;
    assert_int_equal(di_channel_flush(&channel), DI_BLOCKED);
    assert_false(di_channel_withdraw(&channel, 0));
    assert_int_equal(di_channel_unsent(&channel), 8);
    self.room = SIZE_MAX;
    assert_int_equal(di_channel_flush(&channel), DI_MOVED);
    expect_text(&channel, "first");
    di_channel_close(&channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_boundaries),
        cmocka_unit_test(messages_arrive_in_portions),
        cmocka_unit_test(the_limit_holds_both_ways),
        cmocka_unit_test(a_limit_below_a_header_is_raised),
        cmocka_unit_test(only_what_is_wholly_unsent_is_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
