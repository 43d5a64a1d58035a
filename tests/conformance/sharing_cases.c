/* SPDX-License-Identifier: MIT */
/* Clients that threads share, and handles that a child inherits. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/interface.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sharing_thread {
    dari_client *client;
    uint32_t seed;
    int result; /* the first error, or 0; 1 for a wrong answer */
    unsigned done;
    uint64_t deadline_ns;
} sharing_thread;

/* Calls of many sizes, each of which must get its own answer. */
static void *share(void *argument)
{
    sharing_thread *sharer = argument;
    dari_call call = {.deadline_ns = sharer->deadline_ns};
    static const uint32_t sizes[] = {0, 10, 500, 5000, 70000, 3, 300000};
    uint8_t *bytes = malloc(300000);
    for (uint32_t i = 0; i < 60 && sharer->result == 0; i++) {
        uint32_t size = sizes[(sharer->seed + i) % 7];
        memset(bytes, (int)(sharer->seed * 31 + i), size);
        int32_t sum = 0;
        opaque_data ret = {0};
        pair arg = {(int32_t)sharer->seed * 1000, (int32_t)i};
        int error = add_1(sharer->client, &arg, &sum, &call);
        if (error == 0 && sum != arg.a + arg.b)
            error = 1;
        if (error == 0)
            error = echo_data_1(sharer->client, &(opaque_data){size, bytes}, &ret, &call);
        if (error == 0 && (ret.size != size || (size && memcmp(ret.data, bytes, size) != 0)))
            error = 1;
        if (error)
            sharer->result = error;
        sharer->done++;
        dari_call_reset(&call);
    }
    free(bytes);
    dari_call_end(&call);
    return NULL;
}

#define SHARERS 6

void threads_share_a_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, 0);
        assert_int_equal(sharers[i].done, 60);
    }
    assert_int_equal(client->pending.dropped, 0);
    assert_null(client->asleep);
    assert_int_equal(client->pending.count, 0);
    dari_client_close(client);
}

void threads_share_a_dying_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    fixture_await_entered(fixture, 1);
    /* The first handler returns to a server that has been told to stop. */
    dari_server_stop(fixture->server);
    fixture_stop(fixture);
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_CLOSED);
    }
    assert_null(client->asleep);
    assert_int_equal(client->pending.count, 0);
    dari_client_close(client);
}

void threads_meet_their_own_deadlines(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){
            .client = client, .seed = i + 1, .deadline_ns = (i + 1) * 10 * DARI_MS};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_DEADLINE);
        assert_int_equal(sharers[i].done, 1);
    }
    fixture_open_gate(fixture);
    check_add(client);
    assert_int_equal(client->pending.dropped, SHARERS);
    dari_client_close(client);
}

/* A call by a thread of its own. */
typedef struct lone_call {
    dari_client *client;
    opaque_data sent; /* of no size: the call has no argument */
    uint64_t deadline_ns;
    pthread_t thread;
    int result;
    uint64_t took_ns;
} lone_call;

static void *make_lone_call(void *argument)
{
    lone_call *lone = argument;
    dari_call call = {.deadline_ns = lone->deadline_ns};
    uint32_t size;
    uint64_t before = di_now();
    lone->result = lone->sent.size ? sink_1(lone->client, &lone->sent, &size, &call)
                                   : nothing_1(lone->client, &call);
    lone->took_ns = di_now() - before;
    dari_call_end(&call);
    return NULL;
}

static void start_lone_call(lone_call *lone)
{
    assert_int_equal(pthread_create(&lone->thread, NULL, make_lone_call, lone), 0);
}

/* Waits until so many threads poll, and so many sleep. */
static void await_waiters(dari_client *client, unsigned polling, unsigned asleep)
{
    uint64_t until = di_now() + 10 * DARI_S;
    unsigned poll, sleep;
    do {
        pthread_mutex_lock(&client->lock);
        poll = (client->receiver ? 1u : 0u) + (client->sender ? 1u : 0u);
        sleep = 0;
        for (di_waiter *waiter = client->asleep; waiter; waiter = waiter->next_asleep)
            sleep++;
        pthread_mutex_unlock(&client->lock);
        sched_yield();
    } while ((poll != polling || sleep != asleep) && di_now() < until);
    assert_int_equal(poll, polling);
    assert_int_equal(sleep, asleep);
}

/* Waits until one thread waits to receive, and another one for room. Where one sign tells of both,
 * the first one polls for the other one too. */
static void await_both(const test_fixture *fixture, dari_client *client)
{
    bool one_sign = fixture->scheme->meets;
    await_waiters(client, one_sign ? 1 : 2, one_sign ? 1 : 0);
}

/* One thread waits for its reply, another one for room: each may be the one that wakes first. */
void two_threads_poll(test_fixture *fixture)
{
    enum { ROUNDS = 8, LARGE = 8 << 20 };
    di_listener *listener = raw_listen(fixture);
    uint8_t *bytes = pattern(LARGE);
    for (int round = 0; round < ROUNDS; round++) {
        dari_client *client = fixture_connect(fixture, NULL);
        di_connection *peer = raw_accept(listener);
        lone_call small = {.client = client, .deadline_ns = 20 * DARI_S};
        lone_call large = {.client = client, .sent = {LARGE, bytes}, .deadline_ns = 20 * DARI_S};
        uint8_t message[64], reply[64];
        start_lone_call(&small);
        assert_int_equal(raw_read_record(peer, message, sizeof message), 40);
        await_waiters(client, 1, 0);
        start_lone_call(&large);
        await_both(fixture, client);
        uint8_t *end = raw_reply(reply, dari_get_u32(message));
        raw_send_record(peer, reply, (size_t)(end - reply));
        pthread_join(small.thread, NULL);
        assert_int_equal(small.result, 0);
        assert_true(small.took_ns < 15 * DARI_S);
        /* The other one is still waited for. */
        await_waiters(client, 1, 0);
        raw_close(peer);
        pthread_join(large.thread, NULL);
        assert_int_equal(large.result, DARI_CLOSED);
        assert_true(large.took_ns < 15 * DARI_S);
        dari_client_close(client);
    }
    free(bytes);
    listener->ops->close(listener);
}

/* A peer may answer before it has the whole call: the thread that still sends it hears of that. */
void a_reply_before_the_call_is_sent(test_fixture *fixture)
{
    enum { LARGE = 8 << 20 };
    di_listener *listener = raw_listen(fixture);
    uint8_t *bytes = pattern(LARGE);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    lone_call small = {.client = client, .deadline_ns = 20 * DARI_S};
    lone_call large = {.client = client, .sent = {LARGE, bytes}, .deadline_ns = 20 * DARI_S};
    uint8_t message[64], reply[64];
    start_lone_call(&small);
    assert_int_equal(raw_read_record(peer, message, sizeof message), 40);
    await_waiters(client, 1, 0);
    start_lone_call(&large);
    await_both(fixture, client);
    uint8_t *end = raw_reply(reply, dari_get_u32(message) + 1);
    dari_put_u32(end, LARGE);
    raw_send_record(peer, reply, (size_t)(end + 4 - reply));
    pthread_join(large.thread, NULL);
    assert_int_equal(large.result, 0);
    assert_true(large.took_ns < 15 * DARI_S);
    raw_close(peer);
    pthread_join(small.thread, NULL);
    assert_int_equal(small.result, DARI_CLOSED);
    free(bytes);
    dari_client_close(client);
    listener->ops->close(listener);
}

/* Who waits while another thread watches, and watches in its place then, gives up in time. */
void a_deadline_after_another_watched(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    lone_call first = {.client = client, .deadline_ns = 20 * DARI_S};
    lone_call second = {.client = client, .deadline_ns = 1500 * DARI_MS};
    uint8_t message[64], reply[64];
    start_lone_call(&first);
    assert_int_equal(raw_read_record(peer, message, sizeof message), 40);
    await_waiters(client, 1, 0);
    start_lone_call(&second);
    await_waiters(client, 1, 1);
    /* What is tried is what has passed of its time when it comes to watch. */
    struct timespec most = {.tv_sec = 1, .tv_nsec = 200000000};
    nanosleep(&most, NULL);
    uint8_t *end = raw_reply(reply, dari_get_u32(message));
    raw_send_record(peer, reply, (size_t)(end - reply));
    pthread_join(first.thread, NULL);
    assert_int_equal(first.result, 0);
    pthread_join(second.thread, NULL);
    assert_int_equal(second.result, DARI_DEADLINE);
    assert_in_range(second.took_ns, 1500 * DARI_MS, 2200 * DARI_MS);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
}

/* A peer that answers two calls at once, the first of them first. */
typedef struct pair_of_replies {
    di_connection *peer;
    lone_call second;
} pair_of_replies;

static void *answer_both(void *argument)
{
    pair_of_replies *both = argument;
    uint8_t message[64], replies[60];
    /* The first one has a result: it is read where it lies, without the lock. */
    for (size_t i = 0; i < 2; i++) {
        uint8_t *record = replies + 32 * i;
        raw_read_record(both->peer, message, sizeof message);
        dari_put_u32(record, 0x80000000u | (i == 0 ? 28 : 24));
        uint8_t *end = raw_reply(record + 4, dari_get_u32(message));
        if (i == 0)
            dari_put_u32(end, 42);
        if (i == 0)
            start_lone_call(&both->second);
    }
    await_waiters(both->second.client, 1, 1);
    raw_send(both->peer, replies, sizeof replies);
    return NULL;
}

/* While the first reply is read, sending fails; the second one is there already. */
void replies_behind_one_being_read(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pair_of_replies both = {.peer = raw_accept(listener),
                            .second = {.client = client, .deadline_ns = 20 * DARI_S}};
    pthread_t thread;
    dari_call call = {0};
    dari_exchange exchange;
    dari_exchange_begin(&exchange, client, &echo_1_interface, 0, &call);
    dari_exchange_reserve(&exchange, 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_both, &both), 0);
    const uint8_t *at = dari_exchange_send(&exchange);
    assert_non_null(at);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&client->lock);
    assert_true(client->held);
    uint8_t *room = NULL;
    assert_int_equal(di_channel_reserve(&client->channel, 40, &room), 0);
    memset(room, 0, 40);
    di_channel_commit(&client->channel, room, 40);
    client->channel.connection->ops->shut(client->channel.connection);
    di_client_flush(client);
    assert_int_equal(client->broken, DARI_CLOSED);
    pthread_mutex_unlock(&client->lock);
    await_waiters(client, 0, 1);
    assert_int_equal(dari_exchange_end(&exchange, at + 4), 0);
    pthread_join(both.second.thread, NULL);
    assert_int_equal(both.second.result, 0);
    raw_close(both.peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

static dari_client *inherited;

static int use_inherited(test_fixture *fixture)
{
    dari_call call = {0};
    dari_server *server = fixture->server;
    if (nothing_1(inherited, &call) != DARI_FORKED || call.may_have_run)
        return __LINE__;
    if (dari_server_dispatch(server) != DARI_FORKED || dari_server_run(server) != DARI_FORKED)
        return __LINE__;
    if (dari_server_listen(server, "unix:@x") != DARI_FORKED)
        return __LINE__;
    if (echo_1_serve(server, &echo_handlers, NULL) != DARI_FORKED)
        return __LINE__;
    dari_server_stop(server);
    dari_server_destroy(server);
    dari_client_close(inherited);
    dari_call_end(&call);
    return 0;
}

void a_child_inherits_nothing(test_fixture *fixture)
{
    fixture_serve(fixture);
    inherited = fixture_connect(fixture, NULL);
    check_add(inherited);
    check_child(use_inherited, fixture);
    check_add(inherited);
    dari_client *another = fixture_connect(fixture, NULL);
    check_add(another);
    dari_client_close(another);
    dari_client_close(inherited);
}
