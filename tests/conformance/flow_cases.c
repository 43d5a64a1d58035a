/* SPDX-License-Identifier: MIT */
/* The flow of bytes: full buffers, half-closed connections, and the death of either side. */
#include "conformance/cases.h"

#include "base/buffer.h"
#include "loop/server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Moves what can be moved of both directions of a connection. */
static void pump(di_connection *connection, size_t *received)
{
    size_t size;
    int flushed = connection->ops->flush(connection);
    assert_true(flushed == DI_MOVED || flushed == DI_BLOCKED);
    int moved = raw_receive(connection, 1 << 20);
    assert_true(moved == DI_MOVED || moved == DI_BLOCKED);
    connection->ops->peek(connection, &size);
    connection->ops->consume(connection, size);
    *received += size;
}

void both_sides_full(test_fixture *fixture)
{
    const size_t size = (size_t)8 << 20;
    di_listener *listener = raw_listen(fixture);
    di_connection *sides[2] = {raw_connect(fixture), raw_accept(listener)};
    size_t received[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        uint8_t *room = NULL;
        assert_int_equal(sides[i]->ops->reserve(sides[i], size, &room), 0);
        memset(room, i, size);
        sides[i]->ops->commit(sides[i], size);
        assert_int_equal(sides[i]->ops->flush(sides[i]), DI_BLOCKED);
    }
    while (received[0] < size || received[1] < size)
        for (int i = 0; i < 2; i++)
            pump(sides[i], &received[i]);
    assert_int_equal(received[0], size);
    assert_int_equal(sides[0]->ops->unsent(sides[0]), 0);
    raw_close(sides[0]);
    raw_close(sides[1]);
    listener->ops->close(listener);
}

/* Sends and receives until `size` bytes are there. */
static uint8_t *await_bytes(di_connection *peer, size_t size)
{
    size_t there;
    uint8_t *bytes;
    while (bytes = peer->ops->peek(peer, &there), there < size) {
        unsigned sends = peer->ops->unsent(peer) > 0 ? DI_WANTS_SEND : 0;
        raw_await(peer, DI_WANTS_RECEIVE | sends);
        assert_true(peer->ops->flush(peer) >= 0);
        assert_true(peer->ops->receive(peer, size - there) >= 0);
    }
    return bytes;
}

void replies_that_nobody_reads(test_fixture *fixture)
{
    const uint32_t calls = 100, size = 256 << 10;
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    const dari_server *server = fixture->server;
    uint32_t sent = 0;
    /* The server has to stop reading, or to grant more: send until it does. */
    while (!server->sessions || server->sessions->wants & DI_WANTS_RECEIVE) {
        if (peer->ops->unsent(peer) == 0) {
            assert_true(sent < calls);
            queue_echo(peer, sent++, size);
        }
        bool blocked = peer->ops->flush(peer) == DI_BLOCKED;
        if (!step(fixture->server, fixture->scheme->queue ? 50 : 1000) && blocked &&
            fixture->scheme->queue)
            break;
    }
    fixture_start(fixture);
    dari_client *other = fixture_connect(fixture, NULL);
    check_add(other); /* the others are served meanwhile */
    for (uint32_t i = 0; i < sent; i++) {
        const uint8_t *reply = await_bytes(peer, 32 + size);
        assert_int_equal(dari_get_u32(reply), 0x80000000u | (28 + size));
        assert_int_equal(dari_get_u32(reply + 4), i);
        assert_int_equal(reply[32 + size - 1], (uint8_t)i);
        peer->ops->consume(peer, 32 + size);
    }
    dari_client_close(other);
    raw_close(peer);
}

void a_flood_that_owes_no_answer(test_fixture *fixture)
{
    const size_t flood = (size_t)4 << 20;
    uint8_t records[12 * 4096];
    for (size_t at = 0; at < sizeof records; at += 12) {
        dari_put_u32(records + at, 0x80000000u | 8);
        dari_put_u32(records + at + 4, (uint32_t)at);
        dari_put_u32(records + at + 8, 1);
    }
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    size_t most = 0;
    for (size_t sent = 0; sent < flood;) {
        size_t at = sent % sizeof records;
        if (peer->ops->unsent(peer) == 0) {
            uint8_t *room = NULL;
            assert_int_equal(peer->ops->reserve(peer, sizeof records - at, &room), 0);
            memcpy(room, records + at, sizeof records - at);
            peer->ops->commit(peer, sizeof records - at);
            sent += sizeof records - at;
        }
        assert_true(peer->ops->flush(peer) >= 0);
        assert_true(peer->ops->receive(peer, 1) == DI_BLOCKED);
        assert_true(dari_server_dispatch(fixture->server) >= 0);
        const di_session *session = fixture->server->sessions;
        if (session && di_channel_arrived(&session->channel) > most)
            most = di_channel_arrived(&session->channel);
    }
    assert_in_range(most, 1, DI_BUFFER_KEEP);
    raw_close(peer);
}

void half_close_gets_its_replies(test_fixture *fixture)
{
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t message[64], reply[64];
    fixture_close_gate(fixture);
    for (uint32_t xid = 1; xid <= 3; xid++)
        raw_send_record(peer, message,
                        (size_t)(raw_call(message, xid, ECHO, ECHO_V1, 0) - message));
    raw_end(peer);
    fixture_open_gate(fixture);
    for (uint32_t xid = 1; xid <= 3; xid++) {
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply), xid);
    }
    assert_true(raw_ended(peer));
    raw_close(peer);
}

/* A server that reads `read` bytes of a call, writes `write` bytes of a reply, and dies. */
typedef struct dying_server {
    di_listener *listener;
    size_t read, write;
} dying_server;

static void *die(void *argument)
{
    dying_server *dying = argument;
    uint8_t bytes[4096] = {0};
    di_connection *peer = raw_accept(dying->listener);
    if (dying->read)
        raw_read(peer, bytes, dying->read);
    if (dying->write) {
        uint8_t reply[64];
        dari_put_u32(reply, 0x80000000u | 24);
        raw_reply(reply + 4, dari_get_u32(bytes + 4));
        raw_send(peer, reply, dying->write);
    }
    raw_close(peer);
    return NULL;
}

static void check_death(test_fixture *fixture, size_t read, size_t write, size_t argument,
                        bool may_have_run)
{
    dying_server dying = {raw_listen(fixture), read, write};
    pthread_t thread;
    pthread_create(&thread, NULL, die, &dying);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    uint8_t *bytes = pattern(argument);
    dari_call call = {0};
    uint32_t size;
    assert_int_equal(sink_1(client, &(opaque_data){(uint32_t)argument, bytes}, &size, &call),
                     DARI_CLOSED);
    assert_int_equal(call.may_have_run, may_have_run);
    pthread_join(thread, NULL);
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_false(call.may_have_run);
    char expected[128];
    snprintf(expected, sizeof expected, "NOTHING: %s", dari_error_text(DARI_CLOSED));
    check_message(fixture, &call, expected);
    free(bytes);
    dari_client_close(client);
    dying.listener->ops->close(dying.listener);
    dari_call_end(&call);
}

void a_server_dies_before_it_reads(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    raw_close(raw_accept(listener));
    dari_call call = {0};
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    /* TCP and fifo: take what is sent before they hear that nobody reads, and so do queues; others
     * refuse at once. */
    assert_int_equal(call.may_have_run, sends_blindly(fixture));
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

void a_server_dies_before_it_replies(test_fixture *fixture)
{
    check_death(fixture, 48, 0, 0, true);
}

void a_server_dies_within_a_reply(test_fixture *fixture)
{
    check_death(fixture, 48, 3, 0, true);
}

void a_server_dies_within_a_call(test_fixture *fixture)
{
    check_death(fixture, 1000, 0, 12 << 20, false);
}

void clients_die_at_every_byte(test_fixture *fixture)
{
    fixture_serve(fixture);
    uint8_t record[64];
    dari_put_u32(record, 0x80000000u | 48);
    uint8_t *end = raw_call(record + 4, 7, ECHO, ECHO_V1, 2);
    memset(end, 0, 8);
    for (size_t size = 0; size <= 52; size++) {
        di_connection *peer = raw_connect(fixture);
        raw_send(peer, record, size);
        if (size == sizeof record - 12 && fixture->scheme->forgets)
            fixture_await_entered(fixture, 1);
        raw_close(peer);
    }
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    dari_client_close(client);
    di_connection *last = raw_connect(fixture);
    raw_send(last, record, 30);
    if (!fixture->scheme->queue) {
        raw_end(last);
        assert_true(raw_ended(last));
    }
    raw_close(last);
    fixture_stop(fixture);
    assert_int_equal(fixture_entered(fixture), 2);
}

void nobody_listens(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    listener->ops->close(listener);
    dari_call call = {0};
    dari_client *client = NULL;
    assert_int_equal(dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client),
                     DARI_REFUSED);
    assert_null(client);
    assert_false(call.may_have_run);
    check_message(fixture, &call,
                  fixture->scheme->has_path || fixture->scheme->queue
                      ? "connect: nobody listens there (No such file or directory)"
                      : "connect: nobody listens there (Connection refused)");
    dari_call_end(&call);
}
