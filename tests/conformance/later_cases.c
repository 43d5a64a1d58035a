/* SPDX-License-Identifier: MIT */
/* Calls that are answered later: kept aside by their handlers, then answered from the test. */
#include "conformance/cases.h"

#include "loop/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX 64

/* What handlers have kept aside; guarded by the fixture's lock. */
typedef struct kept_calls {
    test_fixture *fixture;
    unsigned count;
    dari_request *requests[KEPT_MAX];
    const pair *pairs[KEPT_MAX];
    const opaque_data *data[KEPT_MAX];
} kept_calls;

static kept_calls kept;

static int keep(dari_request *request, const pair *one, const opaque_data *data)
{
    test_fixture *fixture = kept.fixture;
    pthread_mutex_lock(&fixture->lock);
    assert_true(kept.count < KEPT_MAX);
    kept.requests[kept.count] = request;
    kept.pairs[kept.count] = one;
    kept.data[kept.count] = data;
    kept.count++;
    fixture->entered++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
    return DARI_LATER;
}

static int keep_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)ret;
    return keep(request, arg, NULL);
}

static int keep_data(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    (void)ret;
    return keep(request, NULL, arg);
}

static int answer_at_once(dari_request *request)
{
    assert_int_equal(nothing_1_reply(request), 0);
    return DARI_LATER;
}

static const echo_1_handlers keepers = {
    .nothing = answer_at_once, .add = keep_add, .echo_data = keep_data};

static void serve(test_fixture *fixture)
{
    kept = (kept_calls){.fixture = fixture};
    fixture->handlers = &keepers;
    fixture_serve(fixture);
}

static void send_add(di_connection *peer, uint32_t xid, int32_t a, int32_t b)
{
    uint8_t message[64];
    uint8_t *at = raw_call(message, xid, ECHO, ECHO_V1, ADD);
    dari_put_i32(at, a);
    dari_put_i32(at + 4, b);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
}

static void expect_sum(di_connection *peer, uint32_t xid, int32_t sum)
{
    uint8_t reply[64];
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 28);
    assert_int_equal(dari_get_u32(reply), xid);
    assert_int_equal(dari_get_u32(reply + 20), 0);
    assert_int_equal(dari_get_i32(reply + 24), sum);
}

static int answer_sum(unsigned index)
{
    int32_t sum = kept.pairs[index]->a + kept.pairs[index]->b;
    return add_1_reply(kept.requests[index], &sum);
}

void handlers_answer_later(test_fixture *fixture)
{
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < 10; i++) {
        send_add(peer, i, (int32_t)i, 100);
        fixture_await_entered(fixture, i + 1);
        assert_int_equal(answer_sum(i), 0);
        expect_sum(peer, i, (int32_t)i + 100);
    }
    raw_close(peer);
}

void replies_go_out_of_order(test_fixture *fixture)
{
    enum { COUNT = 40 };
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        send_add(peer, i, (int32_t)i, 1000);
    fixture_await_entered(fixture, COUNT);
    for (uint32_t i = COUNT; i-- > 0;) {
        assert_int_equal(answer_sum(i), 0);
        expect_sum(peer, i, (int32_t)i + 1000);
    }
    raw_close(peer);
}

void answered_before_it_returns(test_fixture *fixture)
{
    serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < 20; i++)
        assert_int_equal(nothing_1(client, NULL), 0);
    dari_client_close(client);
}

void late_answers_fail(test_fixture *fixture)
{
    static const int errors[][2] = {{DARI_GARBAGE_ARGUMENTS, DI_GARBAGE_ARGS},
                                    {DARI_PROCEDURE_UNAVAILABLE, DI_PROC_UNAVAIL},
                                    {0, DI_SYSTEM_ERR},
                                    {DARI_CLOSED, DI_SYSTEM_ERR}};
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t reply[64];
    for (uint32_t i = 0; i < 4; i++) {
        send_add(peer, i, 1, 2);
        fixture_await_entered(fixture, i + 1);
        assert_int_equal(dari_request_fail(kept.requests[i], errors[i][0]), 0);
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply + 20), errors[i][1]);
    }
    raw_close(peer);
}

void late_answers_to_nobody(test_fixture *fixture)
{
    serve(fixture);
    for (unsigned i = 0; i < 8; i++) {
        di_connection *peer = raw_connect(fixture);
        send_add(peer, i, 1, 2);
        fixture_await_entered(fixture, i + 1);
        raw_close(peer);
    }
    for (unsigned i = 0; i < 8; i++)
        answer_sum(i);
    di_connection *peer = raw_connect(fixture);
    send_add(peer, 9, 4, 5);
    fixture_await_entered(fixture, 9);
    assert_int_equal(answer_sum(8), 0);
    expect_sum(peer, 9, 9);
    raw_close(peer);
}

void destroyed_before_an_answer(test_fixture *fixture)
{
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    for (uint32_t i = 0; i < 3; i++)
        send_add(peer, i, (int32_t)i, 2);
    fixture_await_entered(fixture, 3);
    fixture_stop(fixture);
    assert_true(raw_ended(peer));
    assert_int_equal(kept.pairs[2]->a, 2);
    assert_int_equal(answer_sum(1), DARI_CLOSED);
    assert_int_equal(dari_request_fail(kept.requests[0], DARI_NO_MEMORY), DARI_CLOSED);
    assert_int_equal(answer_sum(2), DARI_CLOSED);
    raw_close(peer);
}

static void *fail_late(void *argument)
{
    dari_request_fail(argument, DARI_PROGRAM_MISMATCH);
    return NULL;
}

/* What such an answer says is looked up in what the server destroys meanwhile. */
void destroyed_during_an_answer(test_fixture *fixture)
{
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        serve(fixture);
        di_connection *peer = raw_connect(fixture);
        send_add(peer, 1, 1, 2);
        fixture_await_entered(fixture, (unsigned)i + 1);
        dari_server_stop(fixture->server);
        pthread_join(fixture->thread, NULL);
        fixture->running = false;
        assert_int_equal(pthread_create(&thread, NULL, fail_late, kept.requests[0]), 0);
        fixture_stop(fixture);
        pthread_join(thread, NULL);
        raw_close(peer);
    }
}

/* While more calls arrive, what earlier ones have borrowed stays as it was. */
void borrowed_arguments_are_kept(test_fixture *fixture)
{
    static const uint32_t sizes[] = {4, 300, 4000, 100000, 20, 7000, 300000, 0, 64};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t *reply = malloc(400000);
    for (uint32_t i = 0; i < COUNT; i++) {
        queue_echo(peer, i, sizes[i]);
        raw_flush(peer);
    }
    fixture_await_entered(fixture, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(kept.data[i]->size, sizes[i]);
        for (uint32_t at = 0; at < sizes[i]; at++)
            assert_int_equal(kept.data[i]->data[at], (uint8_t)i);
    }
    for (uint32_t i = COUNT; i-- > 0;) {
        const opaque_data *data = kept.data[i];
        assert_int_equal(echo_data_1_reply(kept.requests[i], data), 0);
        size_t size = raw_read_record(peer, reply, 400000);
        assert_int_equal(size, 28 + dari_padded(sizes[i]));
        assert_int_equal(dari_get_u32(reply), i);
        assert_true(sizes[i] == 0 || reply[28] == i);
    }
    free(reply);
    raw_close(peer);
}

static unsigned count_kept(test_fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    unsigned count = kept.count;
    pthread_mutex_unlock(&fixture->lock);
    return count;
}

void calls_in_flight_are_limited(test_fixture *fixture)
{
    enum { COUNT = 12, LIMIT = 3 };
    fixture->options.calls_per_connection_max = LIMIT;
    serve(fixture);
    di_connection *peer = raw_connect(fixture), *other = raw_connect(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        send_add(peer, i, (int32_t)i, 0);
    fixture_await_entered(fixture, LIMIT);
    /* Another connection is served meanwhile: so the loop has had its time with the first. */
    send_add(other, 99, 0, 0);
    fixture_await_entered(fixture, LIMIT + 1);
    assert_int_equal(count_kept(fixture), LIMIT + 1);
    assert_int_equal(answer_sum(LIMIT), 0);
    expect_sum(other, 99, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        unsigned index = i < LIMIT ? i : i + 1;
        fixture_await_entered(fixture, index + 1);
        assert_int_equal(answer_sum(index), 0);
        expect_sum(peer, i, (int32_t)i);
    }
    raw_close(peer);
    raw_close(other);
}

void all_calls_in_flight_are_limited(test_fixture *fixture)
{
    enum { COUNT = 12, LIMIT = 3 };
    fixture->options.calls_max = LIMIT;
    serve(fixture);
    di_connection *peers[2] = {raw_connect(fixture), raw_connect(fixture)};
    for (uint32_t i = 0; i < COUNT; i++)
        send_add(peers[i % 2], i, (int32_t)i, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        fixture_await_entered(fixture, i + LIMIT < COUNT ? i + LIMIT : COUNT);
        assert_true(count_kept(fixture) <= i + LIMIT);
        int32_t a = kept.pairs[i]->a;
        assert_int_equal(answer_sum(i), 0);
        expect_sum(peers[a % 2], (uint32_t)a, a);
    }
    raw_close(peers[0]);
    raw_close(peers[1]);
}

static void join(test_fixture *fixture, int result)
{
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->run_result, result);
}

void finish_waits_for_answers(test_fixture *fixture)
{
    serve(fixture);
    di_connection *peer = raw_connect(fixture), *idle = raw_connect(fixture);
    send_add(peer, 1, 2, 3);
    fixture_await_entered(fixture, 1);
    dari_server_finish(fixture->server, 10 * DARI_S);
    assert_true(raw_ended(idle));
    dari_client *client;
    assert_int_equal(dari_connect(fixture->address, NULL, &client), DARI_REFUSED);
    send_add(peer, 2, 2, 3);
    assert_int_equal(answer_sum(0), 0);
    expect_sum(peer, 1, 5);
    assert_true(raw_ended(peer));
    join(fixture, 0);
    assert_int_equal(count_kept(fixture), 1);
    raw_close(peer);
    raw_close(idle);
}

void finish_has_a_deadline(test_fixture *fixture)
{
    serve(fixture);
    di_connection *peer = raw_connect(fixture);
    send_add(peer, 1, 2, 3);
    fixture_await_entered(fixture, 1);
    dari_server_finish(fixture->server, 30 * DARI_MS);
    assert_true(raw_ended(peer));
    join(fixture, DARI_DEADLINE);
    assert_int_equal(answer_sum(0), DARI_CLOSED);
    raw_close(peer);
}

static dari_server *signalled;

static void finish_it(int number)
{
    (void)number;
    dari_server_finish(signalled, UINT64_MAX);
}

void finish_from_a_signal_handler(test_fixture *fixture)
{
    struct sigaction action = {.sa_handler = finish_it}, before;
    serve(fixture);
    signalled = fixture->server;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    dari_client *client = fixture_connect(fixture, NULL);
    assert_int_equal(nothing_1(client, NULL), 0);
    assert_int_equal(pthread_kill(fixture->thread, SIGUSR1), 0);
    join(fixture, 0);
    sigaction(SIGUSR1, &before, NULL);
    dari_client_close(client);
}

void connections_per_peer_are_limited(test_fixture *fixture)
{
    fixture->options.connections_per_peer_max = 2;
    fixture_serve(fixture);
    dari_client *clients[2] = {fixture_connect(fixture, NULL), fixture_connect(fixture, NULL)};
    check_add(clients[0]);
    check_add(clients[1]);
    di_connection *third = raw_connect(fixture);
    assert_true(raw_ended(third));
    raw_close(third);
    fixture_await_logged(fixture, 1);
    assert_int_equal(fixture->log_error, DARI_LIMIT);
    check_add(clients[0]);
    dari_client_close(clients[1]);
    dari_client_close(clients[0]);
}

void idle_connections_end(test_fixture *fixture)
{
    fixture->options.idle_ns = 40 * DARI_MS;
    serve(fixture);
    di_connection *busy = raw_connect(fixture), *peer = raw_connect(fixture);
    send_add(busy, 1, 1, 1);
    fixture_await_entered(fixture, 1);
    send_add(peer, 1, 1, 1);
    fixture_await_entered(fixture, 2);
    assert_int_equal(answer_sum(1), 0);
    expect_sum(peer, 1, 2);
    assert_true(raw_ended(peer));
    /* A call in progress keeps its connection. */
    assert_int_equal(answer_sum(0), 0);
    expect_sum(busy, 1, 2);
    assert_true(raw_ended(busy));
    raw_close(busy);
    raw_close(peer);
}

void a_first_call_is_awaited(test_fixture *fixture)
{
    fixture->options.first_call_ns = 40 * DARI_MS;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    di_connection *peer = raw_connect(fixture);
    raw_send(peer, "\x80\0\0\x28half", 8);
    assert_true(raw_ended(peer));
    check_add(client);
    raw_close(peer);
    dari_client_close(client);
}

typedef struct watch_log {
    unsigned before, after;
    int refuse, last;
    dari_peer peer;
    int peer_result;
    char address[DI_PEER_ADDRESS_SIZE], name[32];
    uint32_t program, version, procedure;
} watch_log;

static int ask(dari_request *request, void *user)
{
    watch_log *log = user;
    log->before++;
    log->peer_result = dari_request_peer(request, &log->peer);
    snprintf(log->address, sizeof log->address, "%s", dari_request_peer_address(request));
    snprintf(log->name, sizeof log->name, "%s", dari_request_procedure_name(request));
    log->program = dari_request_program(request);
    log->version = dari_request_version(request);
    log->procedure = dari_request_procedure(request);
    return log->refuse;
}

static void tell(dari_request *request, int error, void *user)
{
    (void)request;
    watch_log *log = user;
    log->after++;
    log->last = error;
}

/* The loop is the test's own, so that nothing of the logs is shared. */
static void call_nothing(test_fixture *fixture, di_connection *peer, size_t size)
{
    uint8_t message[64], reply[64];
    raw_send_record(peer, message, (size_t)(raw_call(message, 5, ECHO, ECHO_V1, 0) - message));
    while (fixture->server->connections == 0 || fixture->server->sessions->active_at == 0)
        step(fixture->server, 1000);
    step(fixture->server, 1000);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), size);
}

void interceptors_are_asked_and_told(test_fixture *fixture)
{
    watch_log first = {0}, second = {0};
    fixture_listen(fixture);
    dari_interceptor one = {ask, tell, &first}, two = {ask, tell, &second}, none = {0};
    assert_int_equal(dari_server_intercept(fixture->server, &one), 0);
    assert_int_equal(dari_server_intercept(fixture->server, &two), 0);
    for (unsigned i = 2; i < DARI_INTERCEPTORS_MAX; i++)
        assert_int_equal(dari_server_intercept(fixture->server, &none), 0);
    assert_int_equal(dari_server_intercept(fixture->server, &none), DARI_LIMIT);
    di_connection *peer = raw_connect(fixture);
    step(fixture->server, 1000);
    call_nothing(fixture, peer, 24);
    assert_int_equal(first.before + first.after + second.before + second.after, 4);
    assert_int_equal(first.last, 0);
    second.refuse = DARI_AUTH;
    call_nothing(fixture, peer, 20);
    assert_int_equal(first.after, 2);
    assert_int_equal(first.last, DARI_AUTH);
    assert_int_equal(second.before, 2);
    assert_int_equal(second.after, 1);
    raw_close(peer);
}

void requests_are_asked_about(test_fixture *fixture)
{
    watch_log log = {0};
    fixture_listen(fixture);
    assert_int_equal(dari_server_intercept(fixture->server, &(dari_interceptor){ask, NULL, &log}),
                     0);
    di_connection *peer = raw_connect(fixture);
    step(fixture->server, 1000);
    call_nothing(fixture, peer, 24);
    assert_string_equal(log.name, "NOTHING");
    assert_int_equal(log.program, ECHO);
    assert_int_equal(log.version, 1);
    assert_int_equal(log.procedure, 0);
    bool is_fifo = strncmp(fixture->address, "fifo:", 5) == 0;
    bool is_known =
        strncmp(fixture->address, "tcp:", 4) != 0 && strncmp(fixture->address, "pipe:", 5) != 0;
    if (is_known) {
        char prefix[8];
        snprintf(prefix, sizeof prefix, "%.*s:", (int)strcspn(fixture->address, ":"),
                 fixture->address);
        assert_int_equal(log.peer_result, 0);
        assert_int_equal(log.peer.pid, is_fifo ? 0 : getpid());
        assert_int_equal(log.peer.uid, geteuid());
        assert_int_equal(log.peer.gid, getegid());
        assert_string_equal(log.address, prefix);
    } else {
        assert_int_equal(log.peer_result, DARI_SCHEME);
        assert_int_equal(
            strncmp(log.address, fixture->address, strcspn(fixture->address, "]123456789")), 0);
    }
    raw_close(peer);
}
