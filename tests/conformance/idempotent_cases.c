/* SPDX-License-Identifier: MIT */
/* Calls that may run more than once, and are sent again where their connection is lost. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/counters.h>
#include <dari/interface.h>
#include <stdlib.h>
#include <string.h>

static const dari_client_options eager = {.backoff_first_ns = DARI_MS,
                                          .backoff_max_ns = 4 * DARI_MS};

static dari_client *connect_idempotent(test_fixture *fixture)
{
    dari_client *client = fixture_connect(fixture, &eager);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ECHO_DATA), 0);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, 99), DARI_INVALID);
    assert_int_equal(client->idempotents.count, 2);
    return client;
}

static void cut(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->channel.connection->ops->shut(client->channel.connection);
    pthread_mutex_unlock(&client->lock);
}

typedef struct lone_call {
    dari_client *client;
    dari_call call;
    pthread_t thread;
    int result;
    int32_t sum;
} lone_call;

static void *make_lone_call(void *argument)
{
    lone_call *lone = argument;
    lone->result = add_1(lone->client, &(pair){1, 2}, &lone->sum, &lone->call);
    return NULL;
}

static void start_lone_call(lone_call *lone)
{
    assert_int_equal(pthread_create(&lone->thread, NULL, make_lone_call, lone), 0);
}

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    (void)call;
    *(int32_t *)user = ret ? *ret : -1;
}

void idempotent_calls_are_repeated(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = connect_idempotent(fixture);
    lone_call lone = {.client = client};
    fixture_close_gate(fixture);
    start_lone_call(&lone);
    fixture_await_entered(fixture, 1);
    cut(client);
    fixture_open_gate(fixture);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, 0);
    assert_int_equal(lone.sum, 3);
    assert_int_equal(client->repeated, 1);
    /* Another procedure is not: NOTHING. */
    dari_call call = {0};
    client->reconnect.used = UINT64_MAX; /* it is not taken for idle */
    cut(client);
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    fixture_stop(fixture);
    assert_int_equal(fixture_entered(fixture), 2);
    dari_client_close(client);
    dari_call_end(&lone.call);
    dari_call_end(&call);
}

void idempotent_calls_in_flight_are_repeated(test_fixture *fixture)
{
    enum { COUNT = 10 };
    fixture_serve(fixture);
    dari_client *client = connect_idempotent(fixture);
    dari_call calls[COUNT] = {0};
    int32_t sums[COUNT] = {0};
    fixture_close_gate(fixture);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(add_1_start(client, &(pair){i, 100}, &calls[i], take_sum, &sums[i]), 0);
    while (fixture_entered(fixture) == 0)
        assert_true(dari_client_dispatch(client) >= 0);
    cut(client);
    fixture_open_gate(fixture);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(sums[i], 100 + i);
        assert_int_equal(calls[i].error, 0);
        dari_call_end(&calls[i]);
    }
    fixture_stop(fixture);
    assert_in_range(fixture_entered(fixture), COUNT + 1, 2 * COUNT);
    assert_int_equal(client->repeated, COUNT);
    assert_int_equal(client->pending.count, 0);
    dari_client_close(client);
}

enum { LARGE = 300000 };

/* While a reply is read, the connection breaks: calls that were started before that are sent by the
 * next one before those that were started after it. */
void repeated_calls_keep_their_order(test_fixture *fixture)
{
    enum { COUNT = 4 };
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_idempotent(fixture);
    dari_call calls[COUNT] = {0};
    int32_t sums[COUNT] = {0};
    uint8_t message[64];
    di_connection *peer = raw_accept(listener);
    /* It has a result: it is read where it lies, without the lock. */
    dari_put_u32(raw_reply(message, client->pending.next_xid), 42);
    raw_send_record(peer, message, 28);
    client->reconnect.used = UINT64_MAX; /* it is not taken for idle */
    dari_exchange reader;
    dari_exchange_begin(&reader, client, &echo_1_interface, 0, NULL);
    dari_exchange_reserve(&reader, 0);
    const uint8_t *at = dari_exchange_send(&reader);
    assert_non_null(at);
    for (int i = 0; i < COUNT; i++) {
        if (i == 1)
            cut(client);
        assert_int_equal(add_1_start(client, &(pair){i, 1}, &calls[i], take_sum, &sums[i]), 0);
        assert_int_equal(dari_client_dispatch(client), 0);
        assert_int_equal(client->broken, i ? DARI_CLOSED : 0);
    }
    assert_int_equal(dari_exchange_end(&reader, at + 4), 0);
    raw_close(peer);
    peer = raw_accept(listener);
    while (!raw_has(peer))
        assert_true(dari_client_dispatch(client) >= 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
        assert_int_equal(dari_get_u32(message + 40), i);
    }
    dari_client_close(client);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    raw_close(peer);
    listener->ops->close(listener);
}

static void check_pattern(void *user, const opaque_data *ret, dari_call *call)
{
    uint8_t *expected = pattern(LARGE);
    (void)call;
    *(int *)user = ret && ret->size == LARGE && memcmp(ret->data, expected, LARGE) == 0;
    free(expected);
}

/* What is kept, to be sent later or again, is kept whole, though its data would otherwise be sent
 * from where it lies. */
void large_calls_are_kept_whole(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = connect_idempotent(fixture);
    dari_call calls[2] = {0};
    int right[2] = {0};
    fixture_close_gate(fixture);
    for (int i = 0; i < 2; i++) {
        uint8_t *bytes = pattern(LARGE);
        assert_int_equal(echo_data_1_start(client, &(opaque_data){LARGE, bytes}, &calls[i],
                                           check_pattern, &right[i]),
                         0);
        free(bytes);
        if (i == 0) {
            /* In flight until its connection is lost, ... */
            for (unsigned entered = 0; entered == 0;) {
                assert_true(dari_client_dispatch(client) >= 0);
                pthread_mutex_lock(&fixture->lock);
                entered = fixture->entered;
                pthread_mutex_unlock(&fixture->lock);
            }
            cut(client);
            fixture_open_gate(fixture);
            fixture_stop(fixture);
            assert_true(dari_client_dispatch(client) >= 0);
        } /* ... and the second one is started without any. */
    }
    fixture_serve(fixture);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    for (int i = 0; i < 2; i++) {
        if (!right[i])
            fail_msg("%s", dari_call_message(&calls[i]));
        dari_call_end(&calls[i]);
    }
    dari_client_close(client);
}

static void *wait_for_all(void *client)
{
    dari_client_wait(client, 20 * DARI_S);
    return NULL;
}

/* Each connection ends once the call is there. Returns the xid. */
static uint32_t take_call(di_listener *listener, di_connection **ret_peer)
{
    uint8_t message[64];
    *ret_peer = raw_accept(listener);
    assert_int_equal(raw_read_record(*ret_peer, message, sizeof message), 48);
    return dari_get_u32(message);
}

static void check_repeats(di_listener *listener, uint32_t *ret_xid)
{
    di_connection *peer;
    *ret_xid = take_call(listener, &peer);
    raw_close(peer);
    for (unsigned i = 0; i < DARI_REPEATS_MAX; i++) {
        assert_int_equal(take_call(listener, &peer), *ret_xid);
        raw_close(peer);
    }
}

void repeats_are_limited(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_idempotent(fixture);
    lone_call lone = {.client = client};
    dari_call call = {0};
    int32_t sum = 0;
    uint32_t xid, other;
    start_lone_call(&lone);
    check_repeats(listener, &xid);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_CLOSED);
    assert_true(lone.call.may_have_run);
    start_lone_call(&lone);
    di_connection *peer;
    other = take_call(listener, &peer);
    assert_int_not_equal(other, xid);
    uint8_t reply[32], *end = raw_reply(reply, other);
    dari_put_u32(end, 3);
    raw_send_record(peer, reply, 28);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, 0);
    raw_close(peer);
    dari_client_close(client);
    client = connect_idempotent(fixture);
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &call, take_sum, &sum), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_all, client), 0);
    check_repeats(listener, &xid);
    pthread_join(thread, NULL);
    assert_int_equal(sum, -1);
    assert_int_equal(call.error, DARI_CLOSED);
    assert_true(call.may_have_run);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&lone.call);
    dari_call_end(&call);
}

void an_idempotent_call_without_a_server(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_idempotent(fixture);
    lone_call lone = {.client = client, .call = {.deadline_ns = 100 * DARI_MS}};
    di_connection *peer;
    start_lone_call(&lone);
    take_call(listener, &peer);
    listener->ops->close(listener);
    raw_close(peer);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_DEADLINE);
    assert_true(lone.call.may_have_run);
    dari_client_close(client);
    dari_call_end(&lone.call);
}

/* A server says that it has not run the call; the one before it may have. */
void a_rejection_after_a_repeat(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_idempotent(fixture);
    lone_call lone = {.client = client};
    di_connection *peer;
    uint8_t reply[32];
    start_lone_call(&lone);
    take_call(listener, &peer);
    raw_close(peer);
    raw_reply(reply, take_call(listener, &peer));
    dari_put_u32(reply + 20, 1); /* PROG_UNAVAIL */
    raw_send_record(peer, reply, 24);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_PROGRAM_UNAVAILABLE);
    assert_true(lone.call.may_have_run);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&lone.call);
}

/* However often it is sent; and by the error that it ends with. */
void repeated_calls_are_counted_once(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_idempotent(fixture);
    lone_call lone = {.client = client};
    di_connection *peer;
    uint32_t xid;
    start_lone_call(&lone);
    for (unsigned i = 0; i < 2; i++) {
        take_call(listener, &peer);
        raw_close(peer);
    }
    xid = take_call(listener, &peer);
    uint8_t reply[32], *end = raw_reply(reply, xid);
    dari_put_u32(end, 3);
    raw_send_record(peer, reply, 28);
    pthread_join(lone.thread, NULL);
    raw_close(peer);
    lone.call.deadline_ns = 100 * DARI_MS;
    client->reconnect.used = UINT64_MAX; /* it is not taken for idle */
    start_lone_call(&lone);
    listener->ops->close(listener);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_DEADLINE);
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    assert_int_equal(counters.calls.started, 2);
    assert_int_equal(counters.calls.ok, 1);
    assert_int_equal(counters.calls.failed, 1);
    assert_int_equal(counters.calls.errors[-DARI_DEADLINE], 1);
    assert_in_range(counters.repeated, 2, 3);
    assert_in_range(counters.bytes_out, 3 * 52, 5 * 52);
    assert_int_equal(counters.bytes_in, 32);
    dari_counters_end(&counters);
    dari_client_close(client);
    dari_call_end(&lone.call);
}
