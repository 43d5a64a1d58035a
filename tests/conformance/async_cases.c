/* SPDX-License-Identifier: MIT */
/* Calls in flight: many on one connection, in any order, and each one's end. */
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
#include <sys/epoll.h>

/* A call in flight, and what became of it. */
typedef struct flying {
    dari_client *client;
    dari_call call;
    pair argument;
    int ended; /* how often */
    int error;
    int32_t sum;
    unsigned again; /* how often it is to be started again by its own end */
    unsigned order; /* as which it ended */
    unsigned *ends; /* of all */
    uint64_t ended_at;
} flying;

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    flying *one = user;
    one->ended++;
    one->ended_at = di_now();
    one->error = call->error;
    if (one->ends)
        one->order = (*one->ends)++;
    assert_ptr_equal(call, &one->call);
    assert_int_equal(ret == NULL, call->error != 0);
    if (ret)
        one->sum = *ret;
    if (one->again > 0) {
        one->again--;
        assert_int_equal(add_1_start(one->client, &one->argument, call, take_sum, one), 0);
    }
}

static flying *make_flying(dari_client *client, unsigned count, uint64_t deadline_ns)
{
    flying *all = calloc(count, sizeof *all);
    assert_non_null(all);
    for (unsigned i = 0; i < count; i++)
        all[i] = (flying){
            .client = client, .argument = {(int32_t)i, 1000}, .call = {.deadline_ns = deadline_ns}};
    return all;
}

static void start_all(flying *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(
            add_1_start(all[i].client, &all[i].argument, &all[i].call, take_sum, &all[i]), 0);
}

static void free_flying(flying *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        dari_call_end(&all[i].call);
    free(all);
}

static void check_sums(const flying *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, 0);
        assert_int_equal(all[i].sum, i + 1000);
    }
}

static void take_data(void *user, const opaque_data *ret, dari_call *call)
{
    (void)call;
    *(opaque_data *)user = ret ? *ret : (opaque_data){0};
}

static void count_end(void *user, dari_call *call)
{
    int *errors = user;
    errors[call->error == 0]++;
}

void started_calls_are_answered(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    flying *one = make_flying(client, 1, 0);
    start_all(one, 1);
    assert_int_equal(one->ended, 0);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    check_sums(one, 1);
    assert_int_equal(dari_client_wait(client, 0), 0);
    uint8_t *bytes = pattern(300000);
    opaque_data ret;
    dari_call call = {0};
    assert_int_equal(
        echo_data_1_start(client, &(opaque_data){300000, bytes}, &call, take_data, &ret), 0);
    memset(bytes, 0, 300000); /* the argument may go */
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    free(bytes);
    bytes = pattern(300000);
    assert_int_equal(ret.size, 300000);
    dari_client_close(client); /* and the result stays */
    assert_memory_equal(ret.data, bytes, 300000);
    free(bytes);
    dari_call_end(&call);
    free_flying(one, 1);
}

void a_thousand_in_flight(test_fixture *fixture)
{
    enum { COUNT = 1000 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    flying *all = make_flying(client, COUNT, 0);
    fixture_close_gate(fixture);
    start_all(all, COUNT);
    assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    fixture_open_gate(fixture);
    check_add(client); /* which runs no callback, but receives their replies */
    assert_int_equal(all[0].ended, 0);
    assert_int_equal(client->flights.open, COUNT);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_sums(all, COUNT);
    assert_int_equal(client->pending.count, 0);
    free_flying(all, COUNT);
    dari_client_close(client);
}

void answers_out_of_order(test_fixture *fixture)
{
    enum { COUNT = 40 };
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    flying *all = make_flying(client, COUNT, 0);
    unsigned ends = 0;
    for (int i = 0; i < COUNT; i++)
        all[i].ends = &ends;
    start_all(all, COUNT);
    assert_int_equal(dari_client_dispatch(client), 0);
    uint8_t calls[COUNT][64], reply[64];
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(raw_read_record(peer, calls[i], 64), 48);
    uint8_t replies[COUNT * 32], *end = replies;
    for (int i = COUNT - 1; i >= 0; i--) {
        uint8_t *sum = raw_reply(reply, dari_get_u32(calls[i]));
        dari_put_u32(sum, dari_get_u32(calls[i] + 40) + dari_get_u32(calls[i] + 44));
        end = raw_record(end, reply, 28);
    }
    raw_send(peer, replies, sizeof replies);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_sums(all, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(all[i].order, COUNT - 1 - i);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    free_flying(all, COUNT);
}

void deadlines_of_calls_in_flight(test_fixture *fixture)
{
    enum { COUNT = 20 };
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(silent);
    flying *all = make_flying(client, COUNT, 0);
    for (unsigned i = 0; i < COUNT; i++)
        all[i].call.deadline_ns = ((i * 7) % COUNT + 1) * 2 * DARI_MS;
    uint64_t before = di_now();
    start_all(all, COUNT);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    assert_in_range(di_now() - before, 2 * COUNT * DARI_MS, 10 * DARI_S);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, DARI_DEADLINE);
        assert_true(all[i].ended_at - before >= all[i].call.deadline_ns);
        assert_true(all[i].call.may_have_run);
    }
    check_message(fixture, &all[0].call, "ADD: deadline of 2 ms passed, may have run");
    dari_client_close(client);
    raw_close(peer);
    silent->ops->close(silent);
    free_flying(all, COUNT);
}

void calls_in_flight_are_cancelled(test_fixture *fixture)
{
    enum { COUNT = 30 };
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(silent);
    dari_cancel *cancels[3] = {NULL};
    for (int i = 0; i < 3; i++)
        assert_int_equal(dari_cancel_create(&cancels[i]), 0);
    flying *all = make_flying(client, COUNT, 0);
    for (int i = 0; i < COUNT; i++)
        all[i].call.cancel = cancels[i % 3];
    start_all(all, COUNT);
    for (int which = 1; which < 3; which++) {
        if (which == 1)
            assert_int_equal(dari_client_dispatch(client), 0);
        dari_cancel_now(cancels[which]);
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(all[i].ended, i % 3 > 0 && i % 3 <= which);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            continue;
        assert_int_equal(all[i].error, DARI_CANCELLED);
        assert_true(all[i].call.may_have_run);
    }
    assert_int_equal(add_1_start(client, &all[1].argument, &all[1].call, take_sum, &all[1]),
                     DARI_CANCELLED);
    assert_false(all[1].call.may_have_run);
    all[1].call.cancel = NULL;
    dari_client_close(client);
    raw_close(peer);
    for (int i = 0; i < COUNT; i += 3)
        assert_int_equal(all[i].error, DARI_CLOSED);
    silent->ops->close(silent);
    free_flying(all, COUNT);
    for (int i = 0; i < 3; i++)
        dari_cancel_destroy(cancels[i]);
}

static void take_size(void *user, const uint32_t *ret, dari_call *call)
{
    int *errors = user;
    (void)ret;
    errors[call->error == 0]++;
}

void a_full_output(test_fixture *fixture)
{
    enum { COUNT = 400 };
    const uint32_t size = 100000;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    uint8_t *bytes = pattern(size);
    dari_call *calls = calloc(COUNT, sizeof *calls);
    int ends[2] = {0, 0}, started = 0;
    fixture_close_gate(fixture);
    int error = 0;
    while (error == 0 && started < COUNT) {
        error = sink_1_start(client, &(opaque_data){size, bytes}, &calls[started], take_size, ends);
        started += error == 0;
    }
    assert_int_equal(error, DARI_FULL);
    assert_false(calls[started].may_have_run);
    assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    /* Both sides full: as much again comes back as goes out. */
    fixture_open_gate(fixture);
    opaque_data ret;
    for (int round = 0; round < 20; round++) {
        error = echo_data_1_start(client, &(opaque_data){size, bytes}, &calls[started], take_data,
                                  &ret);
        if (error == DARI_FULL)
            assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
        else
            assert_int_equal(error, 0);
        started += error == 0;
    }
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    assert_int_equal(ends[0], 0);
    assert_true(ends[1] > 5);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    free(calls);
    free(bytes);
    dari_client_close(client);
}

/* Nobody would learn of room to send: the connection ends. */
void room_that_cannot_be_watched_for(test_fixture *fixture)
{
    enum { LARGE = 8 << 20 };
    /* Where one sign tells of both, it is watched for already. */
    if (fixture->scheme->meets)
        return;
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    uint8_t *bytes = pattern(LARGE);
    dari_call call = {0};
    int ends[2] = {0, 0};
    int descriptor = dari_client_descriptor(client);
    /* The watch that tells of room is gone from the epoll, or there already. */
    const di_watch *watch = client->channel.connection->watches;
    bool is_one = watch->to_send != 0;
    watch += !is_one;
    struct epoll_event event = {0};
    assert_int_equal(
        epoll_ctl(descriptor, is_one ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, watch->descriptor, &event),
        0);
    assert_int_equal(sink_1_start(client, &(opaque_data){LARGE, bytes}, &call, take_size, ends), 0);
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    assert_int_equal(ends[0], 1);
    assert_int_equal(call.error, DARI_ERRNO);
    assert_int_equal(call.system_error, is_one ? ENOENT : EEXIST);
    assert_false(call.may_have_run);
    dari_client_close(client);
    dari_call_end(&call);
    free(bytes);
    silent->ops->close(silent);
}

void a_peer_dies_with_many_in_flight(test_fixture *fixture)
{
    enum { COUNT = 100 };
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    di_connection *peer = raw_accept(listener);
    flying *all = make_flying(client, COUNT, 0);
    uint8_t call[64], reply[64];
    start_all(all, COUNT);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_int_equal(raw_read_record(peer, call, sizeof call), 48);
    uint8_t *end = raw_reply(reply, dari_get_u32(call));
    dari_put_u32(end, 1000);
    raw_send_record(peer, reply, 28);
    for (int i = 1; i < COUNT; i++)
        assert_int_equal(raw_read_record(peer, call, sizeof call), 48);
    raw_close(peer);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_sums(all, 1);
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, DARI_CLOSED);
        assert_true(all[i].call.may_have_run);
    }
    assert_int_equal(add_1_start(client, &all[0].argument, &all[0].call, take_sum, &all[0]),
                     DARI_CLOSED);
    assert_int_equal(dari_client_dispatch(client), 0);
    dari_client_close(client);
    listener->ops->close(listener);
    free_flying(all, COUNT);
}

void a_client_closes_with_many(test_fixture *fixture)
{
    enum { COUNT = 50 };
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    flying *all = make_flying(client, COUNT, 0);
    start_all(all, COUNT / 2);
    assert_int_equal(dari_client_dispatch(client), 0);
    start_all(all + COUNT / 2, COUNT / 2);
    dari_client_close(client);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, DARI_CLOSED);
        assert_int_equal(all[i].call.may_have_run, i < COUNT / 2);
    }
    raw_close(peer);
    listener->ops->close(listener);
    free_flying(all, COUNT);
}

void a_client_in_a_loop(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    struct pollfd one = {.fd = dari_client_descriptor(client), .events = POLLIN};
    assert_true(one.fd >= 0);
    assert_int_equal(dari_client_timeout_ns(client), UINT64_MAX);
    flying *all = make_flying(client, 100, 0);
    for (int i = 0; i < 100; i++)
        all[i].again = 0;
    all[0].again = 200;
    start_all(all, 100);
    assert_int_equal(dari_client_timeout_ns(client), 0); /* they are not sent yet */
    unsigned rounds = 0;
    while (client->flights.open > 0) {
        int more = dari_client_dispatch(client);
        assert_in_range(more, 0, 1);
        uint64_t left = more ? 0 : dari_client_timeout_ns(client);
        assert_true(left <= DARI_DEADLINE_DEFAULT_NS || client->flights.open == 0);
        if (client->flights.open > 0)
            poll(&one, 1, left ? 10000 : 0);
        assert_true(rounds++ < 2000);
    }
    assert_int_equal(all[0].ended, 201);
    check_sums(all + 1, 0);
    assert_int_equal(dari_client_descriptor(client), one.fd);
    assert_int_equal(dari_client_timeout_ns(client), UINT64_MAX);
    free_flying(all, 100);
    dari_client_close(client);
}

/* A callback that makes a synchronous call, and must not wait. */
static void call_back(void *user, const int32_t *ret, dari_call *call)
{
    flying *one = user;
    one->ended++;
    assert_non_null(ret);
    assert_int_equal(dari_client_wait(one->client, 0), DARI_INVALID);
    assert_int_equal(dari_client_dispatch(one->client), DARI_INVALID);
    check_add(one->client);
    check_echo(one->client, 100000);
    one->sum = *ret;
    dari_call_end(call); /* the context may go, and the result with it */
}

void calls_within_callbacks(test_fixture *fixture)
{
    enum { COUNT = 20 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    flying *all = make_flying(client, COUNT, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(add_1_start(client, &all[i].argument, &all[i].call,
                                     i % 2 ? call_back : take_sum, &all[i]),
                         0);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(all[i].ended, 1);
    free_flying(all, COUNT);
    dari_client_close(client);
}

/* Threads that start calls, call and dispatch, all at once. */
typedef struct starter {
    dari_client *client;
    unsigned seed;
    int result;
} starter;

#define STARTS 300

static void take_shared(void *user, const int32_t *ret, dari_call *call)
{
    atomic_int *slot = user;
    (void)call;
    atomic_store(slot, ret ? *ret : -1);
}

static void *start_and_call(void *argument)
{
    starter *one = argument;
    atomic_int *sums = calloc(STARTS, sizeof *sums);
    dari_call *calls = calloc(STARTS, sizeof *calls);
    for (int i = 0; i < STARTS && one->result == 0; i++) {
        pair values = {(int32_t)one->seed * 10000, i + 1};
        int32_t sum;
        one->result = add_1_start(one->client, &values, &calls[i], take_shared, &sums[i]);
        if (i % 5 == 0 && one->result == 0)
            one->result = add_1(one->client, &values, &sum, NULL);
        if (i % 50 == 49 && one->result == 0)
            one->result = dari_client_wait(one->client, 20 * DARI_S);
    }
    if (one->result == 0)
        one->result = dari_client_wait(one->client, 20 * DARI_S);
    for (int i = 0; i < STARTS; i++) {
        if (atomic_load(&sums[i]) != (int)one->seed * 10000 + i + 1 && one->result == 0)
            one->result = 1;
        dari_call_end(&calls[i]);
    }
    free(calls);
    free(sums);
    return NULL;
}

void threads_start_and_call(test_fixture *fixture)
{
    enum { COUNT = 4 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[COUNT];
    starter starters[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        starters[i] = (starter){.client = client, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, start_and_call, &starters[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(starters[i].result, 0);
    }
    assert_int_equal(client->pending.count, 0);
    assert_int_equal(client->pending.dropped, 0);
    dari_client_close(client);
}

/* A thread with a loop of its own, and the calls whose ends it and others have seen. */
typedef struct looping {
    dari_client *client;
    atomic_bool stop;
    atomic_uint ended;
    atomic_uint turns;
} looping;

static void count_answer(void *user, const int32_t *ret, dari_call *call)
{
    looping *loop = user;
    assert_int_equal(call->error, 0);
    assert_int_equal(*ret, 42);
    atomic_fetch_add(&loop->ended, 1);
}

static void *run_loop(void *argument)
{
    looping *loop = argument;
    struct pollfd one = {.fd = dari_client_descriptor(loop->client), .events = POLLIN};
    while (!atomic_load(&loop->stop)) {
        atomic_fetch_add(&loop->turns, 1);
        int more = dari_client_dispatch(loop->client);
        uint64_t left = more ? 0 : dari_client_timeout_ns(loop->client);
        if (left > 0 && !atomic_load(&loop->stop))
            poll(&one, 1, 20000);
    }
    return NULL;
}

static void await_armed(dari_client *client)
{
    uint64_t until = di_now() + 10 * DARI_S;
    bool armed = false;
    while (!armed && di_now() < until) {
        sched_yield();
        pthread_mutex_lock(&client->lock);
        armed = client->loop.armed && !client->loop.dispatching && !client->loop.rung;
        pthread_mutex_unlock(&client->lock);
    }
    assert_true(armed);
}

static void await_answers(looping *loop, unsigned count)
{
    uint64_t until = di_now() + 10 * DARI_S;
    while (atomic_load(&loop->ended) < count && di_now() < until)
        sched_yield();
    assert_int_equal(atomic_load(&loop->ended), count);
}

/* Others that make progress leave the thread that sleeps in its loop in charge. */
void a_loop_beside_other_threads(test_fixture *fixture)
{
    enum { ROUNDS = 100 };
    fixture_serve(fixture);
    looping loop = {.client = fixture_connect(fixture, NULL)};
    dari_call call = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_loop, &loop), 0);
    await_armed(loop.client);
    assert_int_equal(dari_client_dispatch(loop.client), 0);
    assert_int_equal(add_1_start(loop.client, &(pair){40, 2}, &call, count_answer, &loop), 0);
    await_answers(&loop, 1);
    await_armed(loop.client);
    assert_int_equal(dari_client_wait(loop.client, 10 * DARI_S), 0);
    assert_int_equal(add_1_start(loop.client, &(pair){40, 2}, &call, count_answer, &loop), 0);
    await_answers(&loop, 2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(add_1_start(loop.client, &(pair){40, 2}, &call, count_answer, &loop), 0);
        assert_int_equal(dari_client_wait(loop.client, 10 * DARI_S), 0);
        assert_int_equal(atomic_load(&loop.ended), i + 3);
    }
    await_armed(loop.client);
    atomic_store(&loop.stop, true);
    assert_int_equal(add_1_start(loop.client, &(pair){40, 2}, &call, count_answer, &loop), 0);
    assert_int_equal(dari_client_wait(loop.client, 10 * DARI_S), 0);
    pthread_join(thread, NULL);
    dari_client_close(loop.client);
    dari_call_end(&call);
}

void calls_one_way(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(nothing_1_oneway(client, NULL), 0);
    assert_int_equal(fail_1_oneway(client, &(int32_t){DARI_NO_MEMORY}, &call), 0);
    assert_true(call.may_have_run);
    check_add(client);
    assert_int_equal(fixture_entered(fixture), 12);
    assert_int_equal(client->pending.dropped, 11);
    int errors[2] = {0, 0};
    assert_int_equal(nothing_1_start(client, &call, count_end, errors), 0);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    assert_int_equal(errors[1], 1);
    dari_client_close(client);
    dari_call_end(&call);
}

/* A record with the sum of an ADD, at `at`. Returns its end. */
static uint8_t *put_sum(uint8_t *at, uint32_t xid, uint32_t sum)
{
    dari_put_u32(at, 0x80000000u | 28);
    at = raw_reply(at + 4, xid);
    dari_put_u32(at, sum);
    return at + 4;
}

/* While a reply is read, sending fails; that of a call in flight lies behind it already. */
void a_flight_behind_a_reply_being_read(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    flying *all = make_flying(client, 2, 0);
    uint8_t replies[64], *room = NULL;
    start_all(all, 2);
    uint32_t xid = client->pending.next_xid;
    /* The first one has a result: it is read where it lies, without the lock. */
    uint8_t *end = put_sum(put_sum(replies, xid, 42), xid - 2, 1000);
    raw_send(peer, replies, (size_t)(end - replies));
    dari_call call = {0};
    dari_exchange exchange;
    dari_exchange_begin(&exchange, client, &echo_1_interface, 0, &call);
    dari_exchange_reserve(&exchange, 0);
    const uint8_t *at = dari_exchange_send(&exchange);
    assert_non_null(at);
    pthread_mutex_lock(&client->lock);
    assert_true(client->held);
    assert_int_equal(di_channel_reserve(&client->channel, 40, &room), 0);
    memset(room, 0, 40);
    di_channel_commit(&client->channel, room, 40);
    client->channel.connection->ops->shut(client->channel.connection);
    di_client_flush(client);
    assert_int_equal(client->broken, DARI_CLOSED);
    assert_null(client->flights.landed);
    pthread_mutex_unlock(&client->lock);
    assert_int_equal(dari_exchange_end(&exchange, at + 4), 0);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_sums(all, 1);
    assert_int_equal(all[1].ended, 1);
    assert_int_equal(all[1].error, DARI_CLOSED);
    free_flying(all, 2);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

static void end_loop(void *user, const int32_t *ret, dari_call *call)
{
    count_answer(user, ret, call);
    atomic_store(&((looping *)user)->stop, true);
}

static void await_rest(dari_client *client)
{
    uint64_t until = di_now() + 10 * DARI_S;
    bool rests = false;
    while (!rests && di_now() < until) {
        sched_yield();
        pthread_mutex_lock(&client->lock);
        rests = client->loop.rests;
        pthread_mutex_unlock(&client->lock);
    }
    assert_true(rests);
}

/* What comes behind a reply that a thread reads cannot be received yet: the loop of another thread
 * sleeps until it can. */
void a_loop_rests_while_a_reply_is_read(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    looping loop = {.client = fixture_connect(fixture, NULL)};
    dari_client *client = loop.client;
    di_connection *peer = raw_accept(listener);
    dari_call call = {0}, flight = {0};
    dari_exchange exchange;
    pthread_t thread;
    uint8_t replies[64], *end;
    uint32_t xid = client->pending.next_xid;
    assert_int_equal(add_1_start(client, &(pair){40, 2}, &flight, end_loop, &loop), 0);
    end = put_sum(replies, xid + 1, 42);
    raw_send(peer, replies, (size_t)(end - replies));
    dari_exchange_begin(&exchange, client, &echo_1_interface, 0, &call);
    dari_exchange_reserve(&exchange, 0);
    const uint8_t *at = dari_exchange_send(&exchange);
    assert_non_null(at);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, &loop), 0);
    end = put_sum(replies, xid, 42);
    raw_send(peer, replies, (size_t)(end - replies));
    await_rest(client);
    await_armed(client);
    assert_int_equal(atomic_load(&loop.ended), 0);
    assert_int_equal(dari_exchange_end(&exchange, at + 4), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&loop.ended), 1);
    assert_in_range(atomic_load(&loop.turns), 2, 10);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&flight);
    dari_call_end(&call);
}

/* More replies than one dispatch takes have arrived when the peer goes away. */
void replies_behind_a_full_dispatch(test_fixture *fixture)
{
    enum { COUNT = DARI_CLIENT_DISPATCH_MAX + 40 };
    di_listener *listener = raw_listen(fixture);
    if (fixture->scheme->queue)
        strcat(fixture->address, "?bytes=4096"); /* all replies have room */
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    flying *all = make_flying(client, COUNT, 0);
    uint8_t message[64], *replies = malloc(32 * COUNT), *end = replies;
    uint32_t first = client->pending.next_xid;
    client->reconnect.used = UINT64_MAX; /* nothing is received before the dispatch */
    start_all(all, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        end = put_sum(end, first + i, i + 1000);
    raw_send(peer, replies, (size_t)(end - replies));
    client->channel.want = 32 * COUNT; /* as after a large reply: all come at once */
    assert_int_equal(dari_client_dispatch(client), 1);
    assert_true(di_channel_arrived(&client->channel) > 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
    raw_close(peer);
    assert_int_equal(nothing_1(client, NULL), DARI_CLOSED);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_sums(all, COUNT);
    free(replies);
    free_flying(all, COUNT);
    dari_client_close(client);
    listener->ops->close(listener);
}

static void take_fault(void *user, const opaque_data *ret, dari_call *call)
{
    assert_null(ret);
    assert_int_equal(call->error, DARI_LIMIT);
    assert_true(call->may_have_run);
    *(dari_fault *)user = call->fault;
}

void a_reply_in_flight_over_the_limit(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.message_max = 5000});
    uint8_t *bytes = pattern(6000);
    dari_call call = {0};
    dari_fault fault = {0};
    client->channel.message_max = 10000;
    assert_int_equal(
        echo_data_1_start(client, &(opaque_data){6000, bytes}, &call, take_fault, &fault), 0);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    assert_string_equal(fault.field, "the reply");
    assert_int_equal(fault.found, 6028);
    assert_int_equal(fault.allowed, 5000);
    check_add(client);
    free(bytes);
    dari_client_close(client);
    dari_call_end(&call);
}
