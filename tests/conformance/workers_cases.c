/* SPDX-License-Identifier: MIT */
/* Servers whose handlers run in threads of their own. */
#include "conformance/cases.h"

#include "loop/server.h"

#include <dari/counters.h>

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void send_nothing(di_connection *peer, uint32_t xid)
{
    uint8_t message[64];
    raw_send_record(peer, message, (size_t)(raw_call(message, xid, ECHO, ECHO_V1, 0) - message));
}

/* Calls of one connection are in their handlers at the same time. */
void workers_serve_in_parallel(test_fixture *fixture)
{
    enum { COUNT = 4 };
    uint8_t reply[64];
    bool seen[COUNT] = {false};
    fixture->options.workers = COUNT;
    fixture_close_gate(fixture);
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        send_nothing(peer, i);
    fixture_await_entered(fixture, COUNT);
    fixture_open_gate(fixture);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_in_range(dari_get_u32(reply), 0, COUNT - 1);
        seen[dari_get_u32(reply)] = true;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(seen[i]);
    raw_close(peer);
}

typedef struct caller {
    test_fixture *fixture;
    dari_client *client;
    int result;
} caller;

static void *call_much(void *argument)
{
    caller *self = argument;
    static const uint32_t sizes[] = {0, 40, 9000, 200000, 7};
    uint8_t *bytes = pattern(200000);
    dari_call call = {0};
    for (int i = 0; i < 40 && self->result == 0; i++) {
        opaque_data ret = {0};
        uint32_t size = sizes[i % 5];
        self->result = echo_data_1(self->client, &(opaque_data){size, bytes}, &ret, &call);
        if (self->result == 0 && (ret.size != size || (size && memcmp(ret.data, bytes, size) != 0)))
            self->result = 1;
        dari_call_reset(&call);
    }
    dari_call_end(&call);
    free(bytes);
    return NULL;
}

void workers_answer_everybody(test_fixture *fixture)
{
    enum { COUNT = 6 };
    caller callers[COUNT];
    pthread_t threads[COUNT];
    fixture->options.workers = 3;
    fixture->options.calls_per_connection_max = 2;
    fixture->options.calls_max = 3;
    fixture_serve(fixture);
    dari_client *shared = fixture_connect(fixture, NULL);
    for (int i = 0; i < COUNT; i++) {
        dari_client *client = i < COUNT / 2 ? shared : fixture_connect(fixture, NULL);
        callers[i] = (caller){fixture, client, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_much, &callers[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].result, 0);
        if (i >= COUNT / 2)
            dari_client_close(callers[i].client);
    }
    dari_client_close(shared);
}

void workers_meet_dying_clients(test_fixture *fixture)
{
    enum { COUNT = 20 };
    fixture->options.workers = 2;
    fixture_close_gate(fixture);
    fixture_serve(fixture);
    for (uint32_t i = 0; i < COUNT; i++) {
        di_connection *peer = raw_connect(fixture);
        send_nothing(peer, i);
        send_nothing(peer, i);
        if (i < 2 && fixture->scheme->forgets)
            fixture_await_entered(fixture, i + 1);
        raw_close(peer);
    }
    fixture_await_entered(fixture, 2);
    fixture_open_gate(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    dari_client_close(client);
}

void workers_stop_and_go_on(test_fixture *fixture)
{
    uint8_t reply[64];
    fixture->options.workers = 2;
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < 5; i++) {
        send_nothing(peer, i);
        fixture_await_entered(fixture, i + 1);
        dari_server_stop(fixture->server);
        pthread_join(fixture->thread, NULL);
        assert_int_equal(fixture->run_result, 0);
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        fixture_start(fixture);
    }
    /* Destroyed with calls that wait for a worker. */
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < 10; i++)
        send_nothing(peer, i);
    fixture_await_entered(fixture, 7);
    fixture_stop(fixture);
    raw_close(peer);
}

void workers_rest_once_stopped(test_fixture *fixture)
{
    enum { COUNT = 5 };
    uint8_t reply[64];
    fixture->options.workers = 1;
    fixture->stop_at = 1;
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        send_nothing(peer, i);
    assert_int_equal(dari_server_run(fixture->server), 0);
    assert_int_equal(fixture_entered(fixture), 1);
    /* The others are served when the server goes on, in a loop of one's own too. */
    for (uint32_t i = 0; i < COUNT; i++) {
        while (!raw_has(peer))
            step(fixture->server, 10);
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply), i);
    }
    raw_close(peer);
}

static dari_call_counters read_calls(const test_fixture *fixture)
{
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture->server, &counters), 0);
    dari_call_counters calls = counters.calls;
    dari_counters_end(&counters);
    return calls;
}

static void *serve_until_finished(void *argument)
{
    test_fixture *fixture = argument;
    while (!dari_server_finished(fixture->server))
        step(fixture->server, 10);
    return NULL;
}

/* The same in a loop of one's own, whose owner takes his time to destroy the server. */
void workers_begin_no_call_once_told(test_fixture *fixture)
{
    enum { COUNT = 3 };
    uint8_t reply[64];
    pthread_t loop;
    fixture->options.workers = 1;
    fixture_close_gate(fixture);
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    assert_int_equal(pthread_create(&loop, NULL, serve_until_finished, fixture), 0);
    for (uint32_t i = 0; i < COUNT; i++)
        send_nothing(peer, i);
    fixture_await_entered(fixture, 1);
    while (read_calls(fixture).started < COUNT)
        sched_yield();
    dari_server_finish(fixture->server, 0);
    pthread_join(loop, NULL);
    assert_int_equal(read_calls(fixture).errors[-DARI_CLOSED], COUNT - 1);
    fixture_open_gate(fixture);
    while (read_calls(fixture).in_flight > 0)
        sched_yield();
    while (fixture->server->sessions)
        step(fixture->server, 10);
    assert_int_equal(dari_server_finished(fixture->server), 1);
    assert_int_equal(fixture_entered(fixture), 1);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_true(raw_ended(peer));
    raw_close(peer);
}

/* The time to finish is over while one call is in its handler, and others wait for the thread. */
void workers_begin_no_call_once_finished(test_fixture *fixture)
{
    enum { COUNT = 3 };
    fixture->options.workers = 1;
    fixture_close_gate(fixture);
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        send_nothing(peer, i);
    fixture_await_entered(fixture, 1);
    while (read_calls(fixture).started < COUNT)
        sched_yield();
    dari_server_finish(fixture->server, 0);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->run_result, DARI_DEADLINE);
    dari_call_counters calls = read_calls(fixture);
    assert_int_equal(calls.in_flight, 1);
    assert_int_equal(calls.errors[-DARI_CLOSED], COUNT - 1);
    fixture_open_gate(fixture);
    while (read_calls(fixture).in_flight > 0)
        sched_yield();
    assert_int_equal(fixture_entered(fixture), 1);
    assert_true(raw_ended(peer));
    raw_close(peer);
}
