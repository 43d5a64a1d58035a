/* SPDX-License-Identifier: MIT */
/* Calls against the direction of the connection: the server calls, the client answers. */
#include "conformance/home.h"

void a_handler_calls_its_caller(test_fixture *fixture)
{
    test_home home = {0};
    serve_callers(fixture, 2, &home);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    fixture_stop(&home.fixture);
    assert_int_equal(home.fixture.entered, 20);
    leave_home(&home);
}

void calls_do_not_hold_back_answers(test_fixture *fixture)
{
    test_home home = {0};
    fixture->options.calls_per_connection_max = fixture->options.calls_max = 1;
    serve_callers(fixture, 1, &home);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    leave_home(&home);
}

void a_handler_in_the_loop_starts_calls(test_fixture *fixture)
{
    test_home home = {0};
    serve_callers(fixture, 0, &home);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    leave_home(&home);
}

static void take_result(void *user, const int32_t *ret, dari_call *call)
{
    assert_int_equal(call->error, 0);
    *(int32_t *)user = *ret;
}

void one_loop_for_both_sides(test_fixture *fixture)
{
    test_home home = {0};
    fixture->handlers = &relayers;
    fixture_listen(fixture);
    go_home(&home, fixture);
    int32_t result = 0;
    dari_call call = {0};
    assert_int_equal(add_1_start(home.client, &(pair){3, 4}, &call, take_result, &result), 0);
    while (result == 0) {
        step(home.fixture.server, 1);
        step(fixture->server, 1);
    }
    assert_int_equal(result, 19);
    dari_call_end(&call);
    leave_home(&home);
}

void a_server_calls_from_its_own_threads(test_fixture *fixture)
{
    enum { COUNT = 1000 };
    test_home home = {0};
    dari_client *kept = subscribe(fixture, 0, &home);
    fixture_start(&home.fixture);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(nothing_1_oneway(kept, NULL), 0);
    fixture_await_entered(&home.fixture, COUNT);
    check_echo(kept, 0);
    check_echo(kept, 100);
    check_echo(kept, (size_t)1 << 20);
    dari_client_close(kept);
    leave_home(&home);
}

typedef struct test_calling {
    dari_client *client;
    int32_t (*expected)(int32_t a, int32_t b);
    unsigned failed;
} test_caller;

static int32_t add(int32_t a, int32_t b)
{
    return a + b;
}

static int32_t product(int32_t a, int32_t b)
{
    return a * b;
}

static void *call_often(void *argument)
{
    test_caller *calling = argument;
    for (int32_t i = 0; i < 300; i++) {
        int32_t result = -1;
        int error = add_1(calling->client, &(pair){i, 7}, &result, NULL);
        calling->failed += error < 0 || result != calling->expected(i, 7);
    }
    return NULL;
}

void both_sides_call_at_once(test_fixture *fixture)
{
    enum { THREADS = 6 };
    test_home home = {.options.workers = 2};
    dari_client *kept = subscribe(fixture, 2, &home);
    fixture_start(&home.fixture);
    pthread_t threads[THREADS];
    test_caller all[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all[i] = i % 2 ? (test_caller){home.client, add, 0} : (test_caller){kept, product, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].failed, 0);
    }
    dari_client_close(kept);
    leave_home(&home);
}

void deadlines_of_calls_to_clients(test_fixture *fixture)
{
    test_home home = {0};
    dari_client *kept = subscribe(fixture, 0, &home);
    fixture_start(&home.fixture);
    fixture_close_gate(&home.fixture);
    int32_t result;
    dari_call call = {.deadline_ns = 30 * DARI_MS};
    assert_int_equal(add_1(kept, &(pair){1, 2}, &result, &call), DARI_DEADLINE);
    assert_true(call.may_have_run);
    test_ending flight = {.call.deadline_ns = 30 * DARI_MS};
    start_ending(&flight, kept);
    await_ending(&flight, DARI_DEADLINE);
    fixture_open_gate(&home.fixture);
    assert_int_equal(add_1(kept, &(pair){3, 5}, &result, NULL), 0);
    assert_int_equal(result, 15);
    dari_client_close(kept);
    leave_home(&home);
}

void what_cannot_call_back_says_so(test_fixture *fixture)
{
    test_home home = {0};
    dari_client *kept = subscribe(fixture, 0, &home);
    dari_server *other = NULL;
    assert_int_equal(dari_server_create(NULL, &other), 0);
    assert_int_equal(dari_server_serve_client(other, home.client), DARI_IN_USE);
    assert_int_equal(dari_server_serve_client(other, kept), DARI_INVALID);
    dari_server_destroy(other);
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    dari_call call = {.cancel = cancel};
    int32_t unchanged = 0;
    assert_int_equal(add_1_start(kept, &(pair){1, 2}, &call, take_result, &unchanged),
                     DARI_INVALID);
    dari_call_end(&call);
    dari_cancel_destroy(cancel);
    dari_client_close(kept);
    leave_home(&home);
}

void a_client_serves_by_the_wire(test_fixture *fixture)
{
    uint8_t message[64], reply[64];
    test_home home = {0};
    di_listener *listener = raw_listen(fixture);
    stay_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    uint8_t *at = raw_call(message, 77, ECHO, ECHO_V1, ADD);
    dari_put_i32(at, 6);
    dari_put_i32(at + 4, 7);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 28);
    assert_int_equal(dari_get_u32(reply), 77);
    assert_int_equal(dari_get_u32(reply + 4), 1);
    assert_int_equal(dari_get_i32(reply + 24), 42);
    /* What is called in vain is told so; what is no call ends the connection. */
    at = raw_call(message, 78, ECHO + 1, ECHO_V1, ADD);
    raw_send_record(peer, message, (size_t)(at - message));
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_int_equal(dari_get_u32(reply + 20), 1);
    raw_send_record(peer, message, 12);
    assert_true(raw_ended(peer));
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}

void a_server_calls_by_the_wire(test_fixture *fixture)
{
    uint8_t message[64], call[64];
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t *at = raw_call(message, 77, ECHO, ECHO_V1, ADD);
    dari_put_i32(at, 6);
    dari_put_i32(at + 4, 7);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
    assert_int_equal(raw_read_record(peer, call, sizeof call), 48);
    uint32_t xid = dari_get_u32(call);
    assert_int_equal(dari_get_u32(call + 4), 0);
    assert_memory_equal(call + 8, message + 8, 40);
    /* A reply that nobody waits for is dropped; the right one is taken. */
    at = raw_reply(message, xid + 1);
    dari_put_i32(at, 41);
    raw_send_record(peer, message, (size_t)(at + 4 - message));
    at = raw_reply(message, xid);
    dari_put_i32(at, 42);
    raw_send_record(peer, message, (size_t)(at + 4 - message));
    assert_int_equal(raw_read_record(peer, message, sizeof message), 28);
    assert_int_equal(dari_get_u32(message), 77);
    assert_int_equal(dari_get_i32(message + 24), 13 + 42);
    raw_close(peer);
}
