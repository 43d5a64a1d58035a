/* SPDX-License-Identifier: MIT */
/* Calls both ways, and what ends: connections, clients, servers, processes. */
#include "conformance/home.h"

#include "loop/client.h"

#include <dari/counters.h>

void a_called_client_goes(test_fixture *fixture)
{
    test_home home = {0};
    dari_client *kept = subscribe(fixture, 0, &home);
    test_ending flight = {0};
    start_ending(&flight, kept);
    dari_client_close(home.client);
    home.client = NULL;
    await_ending(&flight, DARI_CLOSED);
    int32_t result;
    assert_int_equal(add_1(kept, &(pair){1, 2}, &result, NULL), DARI_CLOSED);
    assert_int_equal(nothing_1_oneway(kept, NULL), DARI_CLOSED);
    dari_client_close(kept);
    leave_home(&home);
}

void a_calling_server_goes(test_fixture *fixture)
{
    test_home home = {0};
    dari_client *kept = subscribe(fixture, 0, &home);
    test_ending flight = {0};
    start_ending(&flight, kept);
    fixture_stop(fixture);
    await_ending(&flight, DARI_CLOSED);
    assert_int_equal(nothing_1(kept, NULL), DARI_CLOSED);
    dari_client_close(kept);
    leave_home(&home);
}

static uint64_t count_dropped(dari_client *client)
{
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    uint64_t dropped = counters.dropped;
    dari_counters_end(&counters);
    return dropped;
}

void the_server_of_a_client_goes(test_fixture *fixture)
{
    test_home home = {0};
    dari_cancel *cancel = NULL;
    uint64_t until = di_deadline_in(10 * DARI_S);
    assert_int_equal(dari_cancel_create(&cancel), 0);
    serve_callers(fixture, 1, &home);
    check_both(home.client);
    fixture_stop(&home.fixture);
    /* Nobody answers the server, but the client goes on. */
    test_ending flight = {.call.cancel = cancel};
    start_ending(&flight, home.client);
    while (count_dropped(home.client) == 0 && di_now() < until)
        assert_int_equal(dari_client_wait(home.client, DARI_MS), DARI_DEADLINE);
    assert_int_equal(count_dropped(home.client), 1);
    dari_cancel_now(cancel);
    assert_int_equal(dari_client_wait(home.client, 10 * DARI_S), 0);
    await_ending(&flight, DARI_CANCELLED);
    leave_home(&home);
    dari_cancel_destroy(cancel);
}

void a_client_that_serves_connects_again(test_fixture *fixture)
{
    test_home home = {0};
    serve_callers(fixture, 1, &home);
    check_both(home.client);
    fixture_stop(fixture);
    fixture_serve(fixture);
    int32_t result = 0;
    int error;
    do
        error = add_1(home.client, &(pair){3, 4}, &result, NULL);
    while (error == DARI_CLOSED);
    assert_int_equal(error, 0);
    assert_int_equal(result, 19);
    check_both(home.client);
    leave_home(&home);
}

/* A caller that waits while its server is told to stop, or to finish. */
static void *call_both(void *argument)
{
    test_home *home = argument;
    int32_t result;
    int error = add_1(home->client, &(pair){3, 4}, &result, NULL);
    return error == 0 && result == 19 ? NULL : home;
}

/* Has one wait until the gate of home opens. */
static pthread_t begin_waiting(test_fixture *fixture, test_home *home)
{
    pthread_t thread;
    serve_callers(fixture, 1, home);
    fixture_close_gate(&home->fixture);
    assert_int_equal(pthread_create(&thread, NULL, call_both, home), 0);
    fixture_await_entered(&home->fixture, 1);
    return thread;
}

void a_finish_waits_for_callers(test_fixture *fixture)
{
    test_home home = {0};
    void *failed;
    pthread_t thread = begin_waiting(fixture, &home);
    dari_server_finish(fixture->server, 10 * DARI_S);
    fixture_open_gate(&home.fixture);
    pthread_join(thread, &failed);
    assert_null(failed);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->run_result, 0);
    leave_home(&home);
}

void a_stop_waits_for_no_caller(test_fixture *fixture)
{
    test_home home = {0};
    void *failed;
    pthread_t thread = begin_waiting(fixture, &home);
    fixture_stop(fixture);
    pthread_join(thread, &failed);
    assert_non_null(failed);
    leave_home(&home);
}

/* A handler that waits for a call in flight, and what came of that. */
static test_ending awaited;
static atomic_int wait_result;

static int wait_for_flight(dari_request *request, const pair *arg, int32_t *ret)
{
    dari_client *client;
    (void)arg;
    *ret = 0;
    assert_int_equal(dari_request_client(request, &client), 0);
    start_ending(&awaited, client);
    atomic_store(&wait_result, dari_client_wait(client, UINT64_MAX));
    dari_client_close(client);
    return 0;
}

static const echo_1_handlers waiters = {.add = wait_for_flight};

void a_stop_ends_the_wait_for_all(test_fixture *fixture)
{
    test_home home = {0};
    test_ending flight = {0};
    awaited = (test_ending){0};
    fixture->handlers = &waiters;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    fixture_close_gate(&home.fixture);
    start_ending(&flight, home.client);
    fixture_await_entered(&home.fixture, 1);
    fixture_stop(fixture);
    assert_int_equal(atomic_load(&wait_result), DARI_CANCELLED);
    await_ending(&awaited, DARI_CLOSED);
    fixture_open_gate(&home.fixture);
    await_ending(&flight, 0);
    leave_home(&home);
}

/* What a child inherits. */
typedef struct test_family {
    test_fixture *fixture;
    test_home *home;
    dari_client *kept;
} test_family;
static test_family family;

static int use_both_ends(void)
{
    dari_call call = {0};
    int32_t result;
    if (add_1(family.kept, &(pair){1, 2}, &result, &call) != DARI_FORKED || call.may_have_run)
        return __LINE__;
    if (nothing_1_oneway(family.kept, NULL) != DARI_FORKED)
        return __LINE__;
    if (dari_client_wait(family.kept, UINT64_MAX) != DARI_FORKED)
        return __LINE__;
    if (dari_server_serve_client(family.home->fixture.server, family.home->client) != DARI_FORKED)
        return __LINE__;
    dari_call_end(&call);
    return 0;
}

static int servers_first(test_fixture *fixture)
{
    int failed = use_both_ends();
    dari_server_destroy(fixture->server);
    dari_server_destroy(family.home->fixture.server);
    dari_client_close(family.kept);
    dari_client_close(family.home->client);
    return failed;
}

static int clients_first(test_fixture *fixture)
{
    int failed = use_both_ends();
    dari_client_close(family.home->client);
    dari_client_close(family.kept);
    dari_server_destroy(family.home->fixture.server);
    dari_server_destroy(fixture->server);
    return failed;
}

void a_child_calls_neither_way(test_fixture *fixture)
{
    test_home home = {0};
    test_ending flight = {0};
    dari_client *kept = subscribe(fixture, 1, &home);
    family = (test_family){fixture, &home, kept};
    fixture_start(&home.fixture);
    fixture_close_gate(&home.fixture);
    start_ending(&flight, kept);
    fixture_await_entered(&home.fixture, 1);
    check_child(servers_first, fixture);
    check_child(clients_first, fixture);
    fixture_open_gate(&home.fixture);
    await_ending(&flight, 0);
    int32_t result;
    assert_int_equal(add_1(kept, &(pair){3, 5}, &result, NULL), 0);
    assert_int_equal(result, 15);
    dari_client_close(kept);
    leave_home(&home);
}

/* A request that the client's server has left for later. */
static _Atomic(dari_request *) left;

static int leave(dari_request *request, const pair *arg, int32_t *ret)
{
    atomic_store(&left, request);
    echo_handlers.add(request, arg, ret);
    return DARI_LATER;
}

static void send_add(di_connection *peer, uint32_t xid)
{
    uint8_t message[64];
    uint8_t *at = raw_call(message, xid, ECHO, ECHO_V1, ADD);
    dari_put_u32(at, 2);
    dari_put_u32(at + 4, 3);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
}

static void check_sum(di_connection *peer, uint32_t xid)
{
    uint8_t reply[64];
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 28);
    assert_int_equal(dari_get_u32(reply), xid);
}

/* Its answer will not come, but it may still get its own. */
void a_caller_that_sends_no_more(test_fixture *fixture)
{
    uint8_t message[64];
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    send_add(peer, 1);
    assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
    raw_end(peer);
    assert_int_equal(raw_read_record(peer, message, sizeof message), 24);
    assert_int_equal(dari_get_u32(message), 1);
    assert_int_equal(dari_get_u32(message + 20), 5);
    assert_true(raw_ended(peer));
    raw_close(peer);
}

/* Calls until a connection lasts. */
static void *call_again(void *argument)
{
    int32_t result;
    int error;
    do
        error = add_1(argument, &(pair){1, 2}, &result, NULL);
    while (error == DARI_CLOSED);
    return error == 0 && result == 3 ? NULL : argument;
}

/* Loses the connection. The next one has the client's call, which is not yet answered. */
static di_connection *change_connection(di_listener *listener, di_connection *peer,
                                        dari_client *client, pthread_t *ret_thread,
                                        uint32_t *ret_xid)
{
    uint8_t message[64];
    raw_close(peer);
    assert_int_equal(pthread_create(ret_thread, NULL, call_again, client), 0);
    peer = raw_accept(listener);
    assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
    *ret_xid = dari_get_u32(message);
    return peer;
}

static void answer_client(di_connection *peer, uint32_t xid, pthread_t thread)
{
    uint8_t message[64];
    void *failed;
    uint8_t *at = raw_reply(message, xid);
    dari_put_i32(at, 3);
    raw_send_record(peer, message, (size_t)(at + 4 - message));
    pthread_join(thread, &failed);
    assert_null(failed);
}

void answers_stay_on_their_connection(test_fixture *fixture)
{
    static const echo_1_handlers leavers = {.add = leave};
    test_home home = {.fixture.handlers = &leavers};
    di_listener *listener = raw_listen(fixture);
    stay_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    pthread_t thread;
    uint32_t xid;
    send_add(peer, 1);
    fixture_await_entered(&home.fixture, 1);
    peer = change_connection(listener, peer, home.client, &thread, &xid);
    int error = add_1_reply(atomic_load(&left), &(int32_t){5});
    assert_true(error == 0 || error == DARI_CLOSED);
    send_add(peer, 2);
    fixture_await_entered(&home.fixture, 2);
    assert_int_equal(add_1_reply(atomic_load(&left), &(int32_t){5}), 0);
    check_sum(peer, 2);
    answer_client(peer, xid, thread);
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}

static void dispatch_until_called(dari_client *client)
{
    bool called;
    do {
        assert_in_range(dari_client_dispatch(client), 0, 1);
        pthread_mutex_lock(&client->lock);
        called = client->inlet != NULL;
        pthread_mutex_unlock(&client->lock);
    } while (!called);
}

void calls_of_lost_connections_are_dropped(test_fixture *fixture)
{
    test_home home = {0};
    di_listener *listener = raw_listen(fixture);
    go_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    pthread_t thread;
    uint32_t xid;
    send_add(peer, 1);
    dispatch_until_called(home.client);
    peer = change_connection(listener, peer, home.client, &thread, &xid);
    send_add(peer, 2);
    answer_client(peer, xid, thread);
    fixture_start(&home.fixture);
    check_sum(peer, 2);
    fixture_stop(&home.fixture);
    assert_int_equal(home.fixture.entered, 1);
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}
