/* SPDX-License-Identifier: MIT */
/* The limits of server.h and client.h: each has the default that is told there, and can be set;
 * what becomes of those that no other test is about; and no limit at all. What each limit does is
 * tested with what it limits. */
#include "conformance/udp.h"

#include "loop/client.h"
#include "loop/server.h"

#include <dari/loan.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static dari_server *make_server(const dari_server_options *options)
{
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(options, &server), 0);
    return server;
}

/* In numbers, as users have read them: not by the names that the library takes them by. */
static void the_defaults_of_a_server(void **state)
{
    (void)state;
    const dari_server_options zeroed = {0};
    for (int i = 0; i < 2; i++) {
        dari_server *server = make_server(i ? &zeroed : NULL);
        assert_int_equal(server->message_max, 16 * MIB);
        assert_int_equal(server->fragments_max, 65536);
        assert_int_equal(server->decode_budget, 64 * MIB);
        assert_int_equal(server->connections_max, 4096);
        assert_int_equal(server->connections_per_peer_max, 1024);
        assert_int_equal(server->calls_per_connection_max, 128);
        assert_int_equal(server->calls_max, 4096);
        assert_int_equal(server->queued_max, MIB);
        assert_int_equal(server->idle_ns, 3600 * SECOND);
        assert_int_equal(server->first_call_ns, 120 * SECOND);
        assert_int_equal(server->remembered_max, 32768);
        assert_int_equal(server->remembered_bytes_max, 16 * MIB);
        assert_int_equal(server->registrar.allowed_ns, 5 * SECOND);
        assert_int_equal(server->shm_ring_size, 256 * KIB);
        assert_int_equal(server->shm_loan_max, 0);
        assert_int_equal(server->log_lines_per_second, 20);
        assert_int_equal(server->tcp_keepalive_ns, 60 * SECOND);
        assert_int_equal(server->worker_count, 0);
        assert_int_equal(server->accept, 0);
        assert_false(server->access.all);
        dari_server_destroy(server);
    }
}

static void the_limits_of_a_server_are_set(void **state)
{
    (void)state;
    dari_server *server = make_server(&(dari_server_options){.message_max = 2001,
                                                             .fragments_max = 2,
                                                             .decode_budget = 3,
                                                             .connections_max = 4,
                                                             .connections_per_peer_max = 5,
                                                             .calls_per_connection_max = 6,
                                                             .calls_max = 7,
                                                             .queued_max = 8,
                                                             .idle_ns = 9,
                                                             .first_call_ns = 10,
                                                             .remembered_max = 11,
                                                             .remembered_bytes_max = 12,
                                                             .rpcbind_ns = 13,
                                                             .shm_ring_size = 14,
                                                             .shm_loan_max = 15,
                                                             .log_lines_per_second = 16,
                                                             .tcp_keepalive_ns = 17,
                                                             .workers = DARI_WORKERS_MAX});
    assert_int_equal(server->message_max, 2001);
    assert_int_equal(server->fragments_max, 2);
    assert_int_equal(server->decode_budget, 3);
    assert_int_equal(server->connections_max, 4);
    assert_int_equal(server->connections_per_peer_max, 5);
    assert_int_equal(server->calls_per_connection_max, 6);
    assert_int_equal(server->calls_max, 7);
    assert_int_equal(server->queued_max, 8);
    assert_int_equal(server->idle_ns, 9);
    assert_int_equal(server->first_call_ns, 10);
    assert_int_equal(server->remembered_max, 11);
    assert_int_equal(server->remembered_bytes_max, 12);
    assert_int_equal(server->registrar.allowed_ns, 13);
    assert_int_equal(server->shm_ring_size, 14);
    assert_int_equal(server->shm_loan_max, 15);
    assert_int_equal(server->log_lines_per_second, 16);
    assert_int_equal(server->tcp_keepalive_ns, 17);
    assert_int_equal(server->worker_count, 256);
    dari_server_destroy(server);
}

static void options_that_no_server_can_have(void **state)
{
    (void)state;
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(NULL, NULL), DARI_INVALID);
    assert_int_equal(
        dari_server_create(&(dari_server_options){.workers = DARI_WORKERS_MAX + 1}, &server),
        DARI_INVALID);
    assert_int_equal(
        dari_server_create(&(dari_server_options){.spin = DARI_SPIN_NEVER + 1}, &server),
        DARI_INVALID);
    assert_null(server);
}

/* Of a server that nobody has to answer. */
static dari_client *make_client(const dari_client_options *options)
{
    dari_client *client = NULL;
    assert_int_equal(dari_connect("udp://127.0.0.1:9", options, &client), 0);
    return client;
}

static void the_defaults_of_a_client(void **state)
{
    (void)state;
    const dari_client_options zeroed = {0};
    for (int i = 0; i < 2; i++) {
        dari_client *client = make_client(i ? &zeroed : NULL);
        assert_int_equal(client->deadline_ns, 25 * SECOND);
        assert_int_equal(client->retry_ns, SECOND / 2);
        assert_int_equal(client->reach.limits.message_max, 16 * MIB);
        assert_int_equal(client->reach.limits.fragments_max, 65536);
        assert_int_equal(client->queued_max, MIB);
        assert_int_equal(client->decode_budget, 64 * MIB);
        assert_int_equal(client->accept, 0);
        assert_int_equal(client->credential.flavor, 0);
        assert_int_equal(client->reconnect.first_ns, SECOND / 50);
        assert_int_equal(client->reconnect.max_ns, 5 * SECOND);
        assert_int_equal(client->reconnect.connect_ns, 10 * SECOND);
        assert_false(client->reconnect.never);
        const di_connect_options *options = &client->reach.destination.options;
        assert_int_equal(options->keepalive_ns, 60 * SECOND);
        assert_int_equal(options->user_timeout_ns, 0);
        assert_int_equal(options->exec_grace_ns, 5 * SECOND);
        assert_int_equal(options->loan_size, 0);
        assert_int_equal(options->server_user, 0);
        assert_false(options->exec_allowed || options->exec_keeps_standard ||
                     options->reserved_port || options->delay);
        dari_client_close(client);
    }
}

static void the_limits_of_a_client_are_set(void **state)
{
    (void)state;
    dari_client *client = make_client(&(dari_client_options){.deadline_ns = 1,
                                                             .retry_ns = 2,
                                                             .message_max = 2003,
                                                             .fragments_max = 4,
                                                             .queued_max = 5,
                                                             .decode_budget = 6,
                                                             .backoff_first_ns = 7,
                                                             .backoff_max_ns = 8,
                                                             .connect_ns = 9,
                                                             .exec.grace_ns = 10,
                                                             .tcp.keepalive_ns = 11,
                                                             .tcp.user_timeout_ns = 12});
    assert_int_equal(client->deadline_ns, 1);
    assert_int_equal(client->retry_ns, 2);
    assert_int_equal(client->reach.limits.message_max, 2003);
    assert_int_equal(client->reach.limits.fragments_max, 4);
    assert_int_equal(client->queued_max, 5);
    assert_int_equal(client->decode_budget, 6);
    assert_int_equal(client->reconnect.first_ns, 7);
    assert_int_equal(client->reconnect.max_ns, 8);
    assert_int_equal(client->reconnect.connect_ns, 9);
    assert_int_equal(client->reach.destination.options.exec_grace_ns, 10);
    assert_int_equal(client->reach.destination.options.keepalive_ns, 11);
    assert_int_equal(client->reach.destination.options.user_timeout_ns, 12);
    dari_client_close(client);
}

static void options_that_no_client_can_have(void **state)
{
    (void)state;
    dari_client *client = NULL;
    const char *address = "udp://127.0.0.1:9";
    assert_int_equal(dari_connect(NULL, NULL, &client), DARI_INVALID);
    assert_int_equal(dari_connect(address, NULL, NULL), DARI_INVALID);
    assert_int_equal(
        dari_connect(address, &(dari_client_options){.spin = DARI_SPIN_NEVER + 1}, &client),
        DARI_INVALID);
    assert_null(client);
}

/* Every call that sets no deadline has the client's. */
static void the_deadline_of_a_client(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    dari_call call = {0}, own = DARI_CALL(.deadline_ns = 60 * DARI_S);
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    dari_client *client =
        fixture_connect(&fixture, &(dari_client_options){.deadline_ns = 30 * DARI_MS});
    fixture_close_gate(&fixture);
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_int_equal(call.allowed_ns, 30 * DARI_MS);
    assert_non_null(strstr(dari_call_message(&call), "deadline of 30 ms passed"));
    fixture_open_gate(&fixture);
    assert_int_equal(nothing_1(client, &own), 0);
    assert_int_equal(own.allowed_ns, 60 * DARI_S);
    dari_client_close(client);
    fixture_end(&fixture);
}

enum { BUDGET = 1000 };

static int echo_list(dari_request *request, const opaque_list *arg, opaque_list *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

/* What a handler takes for its result comes out of the same budget. */
static int take_for_result(dari_request *request, const opaque_data *arg, uint32_t *ret)
{
    *ret = dari_arena_take(dari_request_arena(request), arg->size) != NULL;
    return *ret ? 0 : DARI_NO_MEMORY;
}

static const echo_1_handlers hungry = {.echo_list = echo_list, .sink = take_for_result};

/* A list of empty elements takes 4 bytes of the message for each, and more memory. */
static int call_list(dari_client *client, uint32_t count, dari_call *call)
{
    opaque_data *items = calloc(count, sizeof *items);
    opaque_list ret, list = {count, items};
    assert_non_null(items);
    int error = echo_list_1(client, &list, &ret, call);
    if (error == 0)
        assert_int_equal(ret.count, count);
    free(items);
    return error;
}

static void check_log(test_fixture *fixture, unsigned lines)
{
    fixture_await_logged(fixture, lines);
    pthread_mutex_lock(&fixture->lock);
    assert_int_equal(fixture->log_error, DARI_GARBAGE_ARGUMENTS);
    assert_non_null(strstr(fixture->log_text, "ECHO_LIST: arguments refused: "));
    assert_non_null(strstr(fixture->log_text, dari_error_text(DARI_BUDGET)));
    pthread_mutex_unlock(&fixture->lock);
}

static void check_budget(const char *scheme, uint32_t workers)
{
    test_fixture fixture = {.scheme = scheme_named(scheme)};
    const uint32_t fits = BUDGET / sizeof(opaque_data) - 4, too_many = fits + 8;
    static uint8_t zeros[BUDGET + 8];
    dari_call call = {0};
    uint32_t taken;
    fixture_begin(&fixture);
    fixture.handlers = &hungry;
    fixture.options.decode_budget = BUDGET;
    fixture.options.workers = workers;
    fixture_serve(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    for (unsigned round = 0; round < 2; round++) { /* of each call, not of all */
        assert_int_equal(call_list(client, fits, &call), 0);
        assert_int_equal(call_list(client, too_many, &call), DARI_GARBAGE_ARGUMENTS);
        assert_false(call.may_have_run);
        check_log(&fixture, 2 * round + 1);
        assert_int_equal(sink_1(client, &(opaque_data){BUDGET - 64, zeros}, &taken, &call), 0);
        assert_int_equal(sink_1(client, &(opaque_data){BUDGET + 8, zeros}, &taken, &call),
                         DARI_SYSTEM_ERROR);
        fixture_await_logged(&fixture, 2 * round + 2);
    }
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void the_budget_of_a_server(void **state)
{
    (void)state;
    check_budget("unix_abstract", 0);
    check_budget("unix_abstract", 1);
    check_budget("shm", 0);
    check_budget("udp4", 0);
}

static void the_budget_of_a_client(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    const uint32_t fits = BUDGET / sizeof(opaque_data) - 4;
    dari_call call = {0};
    fixture_begin(&fixture);
    fixture.handlers = &hungry;
    fixture_serve(&fixture);
    dari_client *client =
        fixture_connect(&fixture, &(dari_client_options){.decode_budget = BUDGET});
    for (int round = 0; round < 3; round++) {
        assert_int_equal(call_list(client, fits + 8, &call), DARI_BUDGET);
        assert_true(call.may_have_run);
        assert_int_equal(call.fault.error, DARI_BUDGET);
        assert_int_equal(call_list(client, fits, &call), 0);
    }
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* Sends ADD(xid, 1) over udp:// and awaits its answer. */
static void call_add(int descriptor, uint32_t xid)
{
    uint8_t call[64], reply[64];
    uint8_t *at = raw_call(call, xid, ECHO, ECHO_V1, 2);
    dari_put_u32(at, xid);
    dari_put_u32(at + 4, 1);
    give(descriptor, call, 48, NULL);
    assert_int_equal(take(descriptor, reply, sizeof reply, NULL), 28);
    assert_int_equal(dari_get_u32(reply), xid);
    assert_int_equal(dari_get_u32(reply + 24), xid + 1);
}

/* Of three calls of which two are remembered the first runs again, the last does not. */
static void check_remembered(uint32_t count, size_t bytes)
{
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    fixture_begin(&fixture);
    fixture.options.remembered_max = count;
    fixture.options.remembered_bytes_max = bytes;
    fixture_serve(&fixture);
    int client = open_socket((uint16_t)strtoul(strrchr(fixture.address, ':') + 1, NULL, 10), NULL);
    for (uint32_t xid = 1; xid <= 3; xid++)
        call_add(client, xid);
    assert_int_equal(fixture_entered(&fixture), 3);
    call_add(client, 3);
    call_add(client, 2);
    assert_int_equal(fixture_entered(&fixture), 3);
    call_add(client, 1);
    assert_int_equal(fixture_entered(&fixture), 4);
    close(client);
    fixture_end(&fixture);
}

static void what_is_remembered_is_limited(void **state)
{
    (void)state;
    check_remembered(2, 0);
    check_remembered(0, 2 * 28);
    test_fixture fixture = {0};
    serve(&fixture);
    const di_reply_cache_limits *limits = &fixture.server->sessions->replies.limits;
    assert_int_equal(limits->count, 32768);
    assert_int_equal(limits->bytes, 16 * MIB);
    assert_int_equal(limits->age_ns, 120 * SECOND);
    fixture_end(&fixture);
}

/* "A limit that is to be none is the largest number." */
static void check_without_limits(const char *scheme)
{
    test_fixture fixture = {.scheme = scheme_named(scheme)};
    if (!scheme_is_there(fixture.scheme))
        return;
    fixture_begin(&fixture);
    fixture.handlers = &hungry;
    fixture.options = (dari_server_options){.message_max = SIZE_MAX,
                                            .fragments_max = UINT32_MAX,
                                            .decode_budget = SIZE_MAX,
                                            .connections_max = UINT32_MAX,
                                            .queued_max = SIZE_MAX,
                                            .connections_per_peer_max = UINT32_MAX,
                                            .calls_per_connection_max = UINT32_MAX,
                                            .calls_max = UINT32_MAX,
                                            .idle_ns = UINT64_MAX,
                                            .first_call_ns = UINT64_MAX,
                                            .remembered_max = UINT32_MAX,
                                            .remembered_bytes_max = SIZE_MAX,
                                            .rpcbind_ns = UINT64_MAX,
                                            .log_lines_per_second = UINT32_MAX,
                                            .tcp_keepalive_ns = UINT64_MAX};
    fixture_serve(&fixture);
    const dari_client_options options = {
        .deadline_ns = UINT64_MAX,
        .retry_ns = UINT64_MAX,
        .message_max = SIZE_MAX,
        .fragments_max = UINT32_MAX,
        .queued_max = SIZE_MAX,
        .decode_budget = SIZE_MAX,
        .backoff_first_ns = UINT64_MAX,
        .backoff_max_ns = UINT64_MAX,
        .connect_ns = UINT64_MAX,
        .tcp = {.keepalive_ns = UINT64_MAX, .user_timeout_ns = UINT64_MAX}};
    dari_client *client = fixture_connect(&fixture, &options);
    dari_call call = {0};
    uint32_t taken;
    static uint8_t zeros[40000];
    for (int round = 0; round < 3; round++) {
        assert_int_equal(call_list(client, 10000, &call), 0);
        assert_int_equal(sink_1(client, &(opaque_data){sizeof zeros, zeros}, &taken, &call), 0);
    }
    dari_call_end(&call);
    dari_client_close(client);
    fixture_stop(&fixture);
    assert_int_equal(fixture.logged, 0);
    fixture_end(&fixture);
}

static void limits_that_are_none(void **state)
{
    (void)state;
    static const char *const names[] = {"unix_path", "fifo", "pipe", "tcp4", "udp4", "shm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_without_limits(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_of_a_server),
        cmocka_unit_test(the_limits_of_a_server_are_set),
        cmocka_unit_test(options_that_no_server_can_have),
        cmocka_unit_test(the_defaults_of_a_client),
        cmocka_unit_test(the_limits_of_a_client_are_set),
        cmocka_unit_test(options_that_no_client_can_have),
        cmocka_unit_test(the_deadline_of_a_client),
        cmocka_unit_test(the_budget_of_a_server),
        cmocka_unit_test(the_budget_of_a_client),
        cmocka_unit_test(what_is_remembered_is_limited),
        cmocka_unit_test(limits_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
