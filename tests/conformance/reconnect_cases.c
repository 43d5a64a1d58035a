/* SPDX-License-Identifier: MIT */
/* Connections that are lost, and made again by the next call. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/interface.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const dari_client_options eager = {.backoff_first_ns = DARI_MS,
                                          .backoff_max_ns = 4 * DARI_MS};

/* The client takes its connection for idle. */
static void let_idle(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->reconnect.used = 0;
    pthread_mutex_unlock(&client->lock);
}

/* The connection breaks, as the client sees it. */
static void cut(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    if (!client->broken)
        client->channel.connection->ops->shut(client->channel.connection);
    pthread_mutex_unlock(&client->lock);
}

static unsigned fruitless(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    unsigned count = client->reconnect.fruitless;
    pthread_mutex_unlock(&client->lock);
    return count;
}

static bool is_connecting(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool is = client->reconnect.attempt != NULL;
    pthread_mutex_unlock(&client->lock);
    return is;
}

static void await_attempts(dari_client *client, unsigned count)
{
    uint64_t until = di_now() + 10 * DARI_S;
    while (fruitless(client) < count && di_now() < until)
        sched_yield();
    assert_true(fruitless(client) >= count);
}

/* A call by a thread of its own. */
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

/* Calls in flight, and how they ended. */
typedef struct flying {
    dari_call call;
    int ended, error;
    int32_t sum;
} flying;

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    flying *one = user;
    one->ended++;
    one->error = call->error;
    one->sum = ret ? *ret : 0;
}

static int start(dari_client *client, flying *one)
{
    return add_1_start(client, &(pair){20, 3}, &one->call, take_sum, one);
}

/* Makes progress until the call has ended, which is not the last one. */
static void await_end(dari_client *client, const flying *one)
{
    while (!one->ended)
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
}

static void end_all(flying *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dari_call_end(&all[i].call);
}

void a_server_comes_back(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    assert_int_equal(client->reconnect.first_ns, DARI_BACKOFF_FIRST_DEFAULT_NS);
    assert_int_equal(client->reconnect.max_ns, DARI_BACKOFF_MAX_DEFAULT_NS);
    assert_int_equal(client->reconnect.connect_ns, DARI_CONNECT_DEFAULT_NS);
    check_add(client);
    unsigned descriptors = count_descriptors();
    for (int i = 0; i < 5; i++) {
        fixture_stop(fixture);
        fixture_serve(fixture);
        let_idle(client);
        check_add(client);
        check_echo(client, 100000);
    }
    assert_int_equal(count_descriptors(), descriptors);
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    assert_true(counters.bytes_in > 500000);
    assert_true(counters.bytes_out > 500000);
    dari_counters_end(&counters);
    dari_client_close(client);
}

void a_call_right_after_the_loss(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    check_add(client);
    fixture_stop(fixture);
    fixture_serve(fixture);
    client->reconnect.used = UINT64_MAX; /* it is not taken for idle */
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    /* Of a FIFO that both sides had open, the kernel tells that one has closed it. */
    assert_int_equal(call.may_have_run, sends_blindly(fixture) && !fixture->scheme->forgets);
    assert_int_equal(nothing_1(client, &call), 0);
    dari_client_close(client);
    dari_call_end(&call);
}

void calls_wait_for_the_server(test_fixture *fixture)
{
    enum { COUNT = 4 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    fixture_stop(fixture);
    let_idle(client);
    lone_call calls[COUNT];
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (lone_call){.client = client};
        start_lone_call(&calls[i]);
    }
    await_attempts(client, 3);
    fixture_serve(fixture);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(calls[i].thread, NULL);
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(calls[i].sum, 3);
        dari_call_end(&calls[i].call);
    }
    assert_int_equal(fruitless(client), 0);
    assert_int_equal(client->reconnect.waiting, 0);
    assert_null(client->asleep);
    dari_client_close(client);
}

void a_deadline_without_a_server(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    dari_call call = DARI_CALL(.deadline_ns = 300 * DARI_MS);
    fixture_stop(fixture);
    let_idle(client);
    uint64_t before = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_in_range(di_now() - before, 300 * DARI_MS, 10 * DARI_S);
    assert_false(call.may_have_run);
    assert_int_equal(call.fault.error, DARI_REFUSED);
    check_message(
        fixture, &call,
        fixture->scheme->has_path || fixture->scheme->queue
            ? "NOTHING: deadline of 300 ms passed, not connected: nobody listens there (No such "
              "file "
              "or directory)"
            : "NOTHING: deadline of 300 ms passed, not connected: nobody listens there (Connection "
              "refused)");
    dari_client_close(client);
    dari_call_end(&call);
}

void cancelled_without_a_server(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    fixture_stop(fixture);
    let_idle(client);
    lone_call lone = {.client = client, .call = {.cancel = cancel}};
    start_lone_call(&lone);
    await_attempts(client, 2);
    dari_cancel_now(cancel);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_CANCELLED);
    assert_false(lone.call.may_have_run);
    dari_client_close(client);
    dari_call_end(&lone.call);
    dari_cancel_destroy(cancel);
}

void attempts_back_off(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.backoff_first_ns = 20 * DARI_MS,
                                                        .backoff_max_ns = 60 * DARI_MS});
    dari_call call = DARI_CALL(.deadline_ns = 400 * DARI_MS);
    fixture_stop(fixture);
    let_idle(client);
    uint64_t before = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    uint64_t passed = di_now() - before;
    /* At 0, after 10 to 20 ms, after 20 to 40, then after 30 to 60 each time. */
    assert_in_range(fruitless(client), 2, 3 + passed / (30 * DARI_MS));
    dari_client_close(client);
    dari_call_end(&call);
}

void the_first_attempt_is_made_at_once(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.backoff_first_ns = 3600 * DARI_S,
                                                        .backoff_max_ns = 3600 * DARI_S});
    dari_call call = DARI_CALL(.deadline_ns = 40 * DARI_MS);
    for (int i = 0; i < 3; i++) {
        fixture_stop(fixture);
        fixture_serve(fixture);
        let_idle(client);
        check_add(client);
    }
    fixture_stop(fixture);
    let_idle(client);
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    fixture_serve(fixture);
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_int_equal(fruitless(client), 1);
    dari_client_close(client);
    dari_call_end(&call);
}

/* Connections that end before they have brought a reply count as attempts that failed. */
void a_server_that_ends_connections(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    raw_close(raw_accept(listener));
    uint8_t message[64], reply[64];
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fruitless(client), i);
        lone_call lone = {.client = client};
        let_idle(client);
        start_lone_call(&lone);
        di_connection *peer = raw_accept(listener);
        assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
        if (i == 3) {
            uint8_t *end = raw_reply(reply, dari_get_u32(message));
            dari_put_u32(end, 3);
            raw_send_record(peer, reply, 28);
        }
        if (i < 3)
            raw_close(peer);
        pthread_join(lone.thread, NULL);
        assert_int_equal(lone.result, i == 3 ? 0 : DARI_CLOSED);
        assert_true(lone.call.may_have_run);
        if (i == 3)
            raw_close(peer);
        dari_call_end(&lone.call);
    }
    assert_int_equal(fruitless(client), 0);
    dari_client_close(client);
    listener->ops->close(listener);
}

/* Waits until a thread sleeps. */
static void await_sleeper(dari_client *client)
{
    uint64_t until = di_now() + 10 * DARI_S;
    bool asleep = false;
    while (!asleep && di_now() < until) {
        sched_yield();
        pthread_mutex_lock(&client->lock);
        asleep = client->asleep != NULL && client->reconnect.waiting > 0;
        pthread_mutex_unlock(&client->lock);
    }
    assert_true(asleep);
}

static void answer_add(di_connection *peer)
{
    uint8_t message[64], reply[64];
    assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
    uint8_t *end = raw_reply(reply, dari_get_u32(message));
    dari_put_u32(end, 3);
    raw_send_record(peer, reply, 28);
}

/* Behind a reply that comes too late lies the end of the connection: the next call, for which that
 * is idle, sees both. */
void a_late_reply_before_the_end(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_MS);
    int32_t sum;
    di_connection *peer = raw_accept(listener);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_DEADLINE);
    answer_add(peer);
    raw_close(peer);
    lone_call lone = {.client = client};
    let_idle(client);
    start_lone_call(&lone);
    peer = raw_accept(listener);
    answer_add(peer);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, 0);
    assert_int_equal(client->pending.dropped, 1);
    raw_close(peer);
    dari_call_end(&lone.call);
    dari_call_end(&call);
    dari_client_close(client);
    listener->ops->close(listener);
}

/* Begins an argument that is written without the lock of the client, as large ones are. */
static void reserve_unlocked(dari_exchange *writer)
{
    enum { SIZE = 1024 };
    uint8_t *room = dari_exchange_reserve(writer, SIZE);
    assert_non_null(room);
    memset(room, 0, SIZE);
}

/* A connection ends in the middle of a call, before the time for the next attempt has come: who
 * waits for that learns of it once that call has left the connection. */
void who_waits_learns_of_the_next_attempt(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.backoff_first_ns = 100 * DARI_MS,
                                                        .backoff_max_ns = 100 * DARI_MS});
    raw_close(raw_accept(listener));
    let_idle(client);
    dari_exchange writer;
    dari_exchange_begin(&writer, client, &echo_1_interface, 0, NULL);
    reserve_unlocked(&writer);
    assert_int_equal(fruitless(client), 1);
    pthread_mutex_lock(&client->lock);
    di_client_break(client, DARI_CLOSED, 0);
    pthread_mutex_unlock(&client->lock);
    raw_close(raw_accept(listener));
    lone_call lone = {.client = client, .call = {.deadline_ns = 20 * DARI_S}};
    start_lone_call(&lone);
    await_sleeper(client);
    uint64_t before = di_now();
    assert_int_equal(dari_exchange_end(&writer, dari_exchange_send(&writer)), DARI_CLOSED);
    di_connection *peer = raw_accept(listener);
    answer_add(peer);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, 0);
    assert_true(di_now() - before < 10 * DARI_S);
    raw_close(peer);
    dari_call_end(&lone.call);
    dari_client_close(client);
    listener->ops->close(listener);
}

void calls_that_were_sent_are_not_repeated(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    fixture_close_gate(fixture);
    lone_call lone = {.client = client};
    flying one = {0};
    start_lone_call(&lone);
    fixture_await_entered(fixture, 1);
    assert_int_equal(start(client, &one), 0);
    assert_int_equal(dari_client_wait(client, 0), DARI_DEADLINE);
    cut(client);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, DARI_CLOSED);
    assert_true(lone.call.may_have_run);
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    assert_int_equal(one.error, DARI_CLOSED);
    assert_true(one.call.may_have_run);
    fixture_open_gate(fixture);
    check_add(client);
    fixture_stop(fixture);
    assert_in_range(fixture_entered(fixture), 2, 3);
    dari_client_close(client);
    dari_call_end(&lone.call);
    dari_call_end(&one.call);
}

void calls_in_flight_wait_for_the_server(test_fixture *fixture)
{
    enum { COUNT = 5 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    flying all[COUNT] = {0};
    int descriptor = dari_client_descriptor(client);
    fixture_stop(fixture);
    assert_int_equal(dari_client_dispatch(client), 0); /* sees the end */
    assert_int_equal(client->broken, DARI_CLOSED);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(start(client, &all[i]), 0);
    assert_int_equal(client->flights.grounded_size, COUNT * 48);
    assert_int_equal(dari_client_wait(client, 20 * DARI_MS), DARI_DEADLINE);
    assert_true(fruitless(client) >= 1);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(all[i].ended, 0);
    fixture_serve(fixture);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, 0);
        assert_int_equal(all[i].sum, 23);
    }
    assert_int_equal(dari_client_descriptor(client), descriptor);
    assert_int_equal(client->flights.grounded_size, 0);
    assert_int_equal(client->pending.count, 0);
    assert_int_equal(fixture_entered(fixture), COUNT);
    end_all(all, COUNT);
    dari_client_close(client);
}

void a_loop_connects_again(test_fixture *fixture)
{
    enum { COUNT = 20 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    flying one = {0};
    struct pollfd descriptor = {.fd = dari_client_descriptor(client), .events = POLLIN};
    for (int i = 0; i < COUNT; i++) {
        bool down = i % 4 == 2;
        if (down)
            fixture_stop(fixture);
        else if (i % 2)
            cut(client);
        while (down && !client->broken) {
            assert_int_equal(poll(&descriptor, 1, 10000), 1);
            assert_int_equal(dari_client_dispatch(client), 0);
        }
        one.ended = 0;
        assert_int_equal(start(client, &one), 0);
        uint64_t until = di_now() + 10 * DARI_S;
        while (!one.ended && di_now() < until) {
            if (down && fruitless(client) > 1) {
                fixture_serve(fixture);
                down = false;
            }
            int more = dari_client_dispatch(client);
            assert_in_range(more, 0, 1);
            uint64_t left = more ? 0 : dari_client_timeout_ns(client);
            if (!one.ended && left > 0)
                poll(&descriptor, 1, left < 10 * DARI_S ? (int)(left / DARI_MS) + 1 : 10000);
        }
        assert_int_equal(one.ended, 1);
        if (i % 2 == 0)
            assert_int_equal(one.error, 0);
        else
            assert_true(one.error == 0 || one.error == DARI_CLOSED);
    }
    dari_call_end(&one.call);
    dari_client_close(client);
}

static void take_size(void *user, const uint32_t *ret, dari_call *call)
{
    (void)user;
    (void)ret;
    (void)call;
    fail();
}

void the_ends_of_calls_that_wait(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(
        fixture, &(dari_client_options){
                     .backoff_first_ns = DARI_MS, .backoff_max_ns = DARI_MS, .queued_max = 200});
    dari_cancel *cancel = NULL;
    flying all[6] = {0};
    dari_call call = {0};
    assert_int_equal(dari_cancel_create(&cancel), 0);
    fixture_stop(fixture);
    assert_int_equal(dari_client_wait(client, 0), 0);
    let_idle(client);
    all[0].call.deadline_ns = 300 * DARI_MS;
    all[1].call.cancel = cancel;
    for (int i = 0; i < 5; i++)
        assert_int_equal(start(client, &all[i]), 0);
    assert_int_equal(start(client, &all[5]), DARI_FULL);
    assert_false(all[5].call.may_have_run);
    await_end(client, &all[0]);
    assert_int_equal(all[0].error, DARI_DEADLINE);
    assert_false(all[0].call.may_have_run);
    assert_int_equal(all[0].call.fault.error, DARI_REFUSED);
    assert_int_equal(all[1].ended, 0);
    dari_cancel_now(cancel);
    await_end(client, &all[1]);
    assert_int_equal(all[1].error, DARI_CANCELLED);
    assert_false(all[1].call.may_have_run);
    assert_int_equal(client->flights.grounded_size, 3 * 48);
    uint8_t *bytes = pattern(1000);
    client->channel.message_max = 1000;
    assert_int_equal(sink_1_start(client, &(opaque_data){1000, bytes}, &call, take_size, NULL),
                     DARI_LIMIT);
    dari_client_close(client);
    for (int i = 2; i < 5; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, DARI_CLOSED);
        assert_false(all[i].call.may_have_run);
    }
    free(bytes);
    dari_call_end(&call);
    end_all(all, 6);
    dari_cancel_destroy(cancel);
}

static void ignore_size(void *user, const uint32_t *ret, dari_call *call)
{
    (void)user;
    (void)ret;
    (void)call;
}

/* The memory in which calls are written while there is no connection is not kept for large ones. */
void large_calls_without_a_connection(test_fixture *fixture)
{
    static const uint32_t sizes[] = {1000, 200000, 1000};
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    dari_call calls[3] = {0};
    uint8_t *bytes = pattern(200000);
    fixture_stop(fixture);
    assert_int_equal(dari_client_wait(client, 0), 0);
    let_idle(client);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            sink_1_start(client, &(opaque_data){sizes[i], bytes}, &calls[i], ignore_size, NULL), 0);
        assert_true(client->draft.room <= DI_BUFFER_KEEP);
    }
    dari_client_close(client);
    for (int i = 0; i < 3; i++)
        dari_call_end(&calls[i]);
    free(bytes);
}

/* Connecting takes for ever: the listener's queue is full. */
void connecting_blocks_nobody(test_fixture *fixture)
{
    di_listener *silent = raw_listen(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.connect_ns = 600 * DARI_MS});
    raw_close(raw_accept(silent));
    raw_fill(silent);
    dari_client *fillers[16] = {NULL};
    int error = 0;
    for (size_t i = 0; i < 16 && error == 0; i++)
        error = dari_connect(fixture->address, &(dari_client_options){.deadline_ns = 30 * DARI_MS},
                             &fillers[i]);
    assert_int_equal(error, DARI_DEADLINE);
    flying one = {.call = {.deadline_ns = 60 * DARI_MS}};
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_MS);
    let_idle(client);
    assert_int_equal(start(client, &one), 0);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_true(is_connecting(client)); /* and dispatch has not waited for it */
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    assert_int_equal(one.error, DARI_DEADLINE);
    assert_false(one.call.may_have_run);
    one.call.deadline_ns = 10 * DARI_S;
    assert_int_equal(start(client, &one), 0);
    while (fruitless(client) < 2) /* until the first one has come to its limit */
        assert_int_equal(dari_client_wait(client, 10 * DARI_MS), DARI_DEADLINE);
    dari_client_close(client);
    assert_int_equal(one.error, DARI_CLOSED);
    for (size_t i = 0; i < 16; i++)
        dari_client_close(fillers[i]);
    silent->ops->close(silent);
    dari_call_end(&call);
    dari_call_end(&one.call);
}

void one_way_calls_connect_again(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    fixture_stop(fixture);
    fixture_serve(fixture);
    let_idle(client);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    check_add(client);
    assert_int_equal(fixture_entered(fixture), 2);
    dari_client_close(client);
}

/* Such a call, begun as one in flight, is written while there is no connection, and sent after
 * there is one. */
void one_way_calls_begun_offline(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    dari_call call = {0};
    dari_exchange writer;
    fixture_stop(fixture);
    assert_int_equal(dari_client_wait(client, 0), 0);
    let_idle(client);
    dari_exchange_begin_queued(&writer, client, &echo_1_interface, 0, &call);
    reserve_unlocked(&writer);
    assert_true(client->drafting);
    lone_call lone = {.client = client};
    start_lone_call(&lone);
    await_sleeper(client);
    fixture_serve(fixture);
    uint64_t until = di_now() + 10 * DARI_S;
    bool broken = true;
    while (broken && di_now() < until) {
        sched_yield();
        pthread_mutex_lock(&client->lock);
        broken = client->broken != 0;
        pthread_mutex_unlock(&client->lock);
    }
    assert_false(broken);
    assert_int_equal(dari_exchange_post(&writer), DARI_CLOSED);
    assert_false(call.may_have_run);
    pthread_join(lone.thread, NULL);
    assert_int_equal(lone.result, 0);
    assert_int_equal(lone.sum, 3);
    dari_call_end(&lone.call);
    dari_call_end(&call);
    dari_client_close(client);
}

/* Threads that call, start calls and dispatch, while the connection is cut again and again. */
typedef struct restless {
    dari_client *client;
    bool starts;
    atomic_uint answered;
    int wrong; /* an error that cannot be */
} restless;

#define ANSWERS 150u

static void take_restless(void *user, const int32_t *ret, dari_call *call)
{
    restless *self = user;
    if (ret && *ret == 42)
        atomic_fetch_add(&self->answered, 1);
    else if (call->error != DARI_CLOSED)
        self->wrong = call->error ? call->error : 1;
}

static void *call_restlessly(void *argument)
{
    restless *self = argument;
    dari_call call = {0};
    while (atomic_load(&self->answered) < ANSWERS && !self->wrong) {
        int32_t sum = 0;
        int error;
        if (self->starts) {
            error = add_1_start(self->client, &(pair){40, 2}, &call, take_restless, self);
            if (error == 0)
                error = dari_client_wait(self->client, 20 * DARI_S);
        } else {
            error = add_1(self->client, &(pair){40, 2}, &sum, &call);
            if (error == 0 && sum == 42)
                atomic_fetch_add(&self->answered, 1);
        }
        if (error && error != DARI_CLOSED)
            self->wrong = error;
    }
    dari_call_end(&call);
    return NULL;
}

static void cut_under_threads(test_fixture *fixture, bool idempotent)
{
    enum { COUNT = 4 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &eager);
    if (idempotent)
        assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    pthread_t threads[COUNT];
    restless all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i].client = client;
        all[i].starts = i == COUNT - 1;
        all[i].wrong = 0;
        atomic_init(&all[i].answered, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, call_restlessly, &all[i]), 0);
    }
    uint64_t until = di_now() + 60 * DARI_S;
    for (int i = 0; i < COUNT; i++) {
        unsigned seen = 0;
        while (atomic_load(&all[i].answered) < ANSWERS && !all[i].wrong && di_now() < until) {
            /* A cut after some answers each. */
            if (atomic_load(&all[i].answered) >= seen) {
                seen = atomic_load(&all[i].answered) + 5;
                cut(client);
            }
            sched_yield();
        }
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].wrong, 0);
    }
    let_idle(client);
    check_add(client);
    assert_int_equal(client->pending.count, 0);
    assert_int_equal(client->engaged, 0);
    dari_client_close(client);
}

void threads_share_a_client_that_reconnects(test_fixture *fixture)
{
    cut_under_threads(fixture, false);
}

void threads_repeat_calls(test_fixture *fixture)
{
    cut_under_threads(fixture, true);
}
