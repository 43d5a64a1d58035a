/* SPDX-License-Identifier: MIT */
/* Calls: answers, sizes, limits, errors and deadlines. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"
#include "loop/server.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void calls_are_answered(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    assert_int_equal(nothing_1(client, &call), 0);
    assert_int_equal(call.error, 0);
    assert_true(call.may_have_run);
    for (int i = 0; i < 100; i++)
        check_add(client);
    assert_int_equal(dari_client_ping(client, ECHO, ECHO_V1, NULL), 0);
    dari_client_close(client);
    dari_call_end(&call);
}

void sizes_from_nothing_to_the_limit(test_fixture *fixture)
{
    static const size_t sizes[] = {
        0,    1,    2,    3,    4,     5,     31,    1000,  4040,   4051,    4052,
        4053, 4096, 4097, 8191, 65535, 65536, 65537, 99999, 262144, 1000003, (1 << 21) - 44};
    const size_t limit = (size_t)1 << 21;
    fixture->options.message_max = limit;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.message_max = limit});
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_echo(client, sizes[i]);
    for (size_t i = sizeof sizes / sizeof *sizes; i-- > 0;)
        check_echo(client, sizes[i]);
    dari_client_close(client);
}

void one_byte_over_the_limit(test_fixture *fixture)
{
    const size_t limit = 100000;
    fixture->options.message_max = limit;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.message_max = limit});
    uint8_t *bytes = pattern(limit);
    dari_call call = {0};
    uint32_t size;
    check_echo(client, limit - 44);
    assert_int_equal(sink_1(client, &(opaque_data){(uint32_t)limit - 43, bytes}, &size, &call),
                     DARI_LIMIT);
    assert_false(call.may_have_run);
    assert_int_equal(call.fault.found, limit + 4);
    assert_int_equal(call.fault.allowed, limit);
    check_add(client);
    free(bytes);
    dari_client_close(client);
    dari_call_end(&call);
}

void a_call_over_the_servers_limit(test_fixture *fixture)
{
    fixture->options.message_max = 5000;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    uint8_t *bytes = pattern(3000000);
    dari_call call = {0};
    uint32_t size;
    static const uint32_t sizes[] = {4957, 5000, 300000, 3000000};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(sink_1(client, &(opaque_data){sizes[i], bytes}, &size, &call),
                         DARI_GARBAGE_ARGUMENTS);
        assert_false(call.may_have_run);
        check_add(client);
    }
    free(bytes);
    dari_client_close(client);
    dari_call_end(&call);
}

void a_reply_over_the_clients_limit(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.message_max = 5000});
    dari_client *other = fixture_connect(fixture, NULL);
    dari_call call = {0};
    opaque_data ret;
    uint8_t *bytes = pattern(6000);
    /* The limit holds for what is received, too: let more come back than may. */
    client->channel.message_max = 10000;
    assert_int_equal(echo_data_1(client, &(opaque_data){6000, bytes}, &ret, &call), DARI_LIMIT);
    assert_true(call.may_have_run);
    assert_string_equal(call.fault.field, "the reply");
    assert_int_equal(call.fault.found, 6028);
    assert_int_equal(call.fault.allowed, 5000);
    check_echo(client, 4000);
    check_add(other);
    free(bytes);
    dari_client_close(client);
    dari_client_close(other);
    dari_call_end(&call);
}

void a_reply_over_the_servers_limit(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    opaque_data ret;
    uint8_t *bytes = pattern(6000);
    check_add(client);
    /* A reply is smaller than the call that it echoes: lower the limit for what is sent alone,
     * while the server's thread is in a handler. */
    fixture_close_gate(fixture);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    fixture_await_entered(fixture, 2);
    fixture->server->sessions->channel.message_max = 5000;
    fixture_open_gate(fixture);
    assert_int_equal(echo_data_1(client, &(opaque_data){6000, bytes}, &ret, &call),
                     DARI_SYSTEM_ERROR);
    assert_true(call.may_have_run);
    fixture_await_logged(fixture, 1);
    assert_non_null(strstr(fixture->log_text, "ECHO_DATA"));
    assert_non_null(strstr(fixture->log_text, "6028, at most 5000"));
    check_add(client);
    free(bytes);
    dari_client_close(client);
    dari_call_end(&call);
}

void handlers_errors_are_mapped(test_fixture *fixture)
{
    static const struct {
        int32_t returned;
        int seen;
        bool may_have_run;
    } cases[] = {
        {0, 0, true},
        {DARI_PROCEDURE_UNAVAILABLE, DARI_PROCEDURE_UNAVAILABLE, false},
        {DARI_GARBAGE_ARGUMENTS, DARI_GARBAGE_ARGUMENTS, false},
        {DARI_PROGRAM_UNAVAILABLE, DARI_PROGRAM_UNAVAILABLE, false},
        {DARI_PROGRAM_MISMATCH, DARI_PROGRAM_MISMATCH, false},
        {DARI_AUTH, DARI_AUTH, false},
        {DARI_SYSTEM_ERROR, DARI_SYSTEM_ERROR, true},
        {DARI_NO_MEMORY, DARI_SYSTEM_ERROR, true},
        {DARI_BOUND, DARI_SYSTEM_ERROR, true},
        {DARI_RPC_MISMATCH, DARI_SYSTEM_ERROR, true},
        {-12345, DARI_SYSTEM_ERROR, true},
        {1, DARI_SYSTEM_ERROR, true},
    };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fail_1(client, &cases[i].returned, &call), cases[i].seen);
        assert_int_equal(call.may_have_run, cases[i].may_have_run);
    }
    fixture_await_logged(fixture, 5);
    assert_int_equal(fixture->logged, 5);
    assert_int_equal(unanswered_1(client, &call), DARI_PROCEDURE_UNAVAILABLE);
    assert_int_equal(dari_client_ping(client, ECHO, 9, &call), DARI_PROGRAM_MISMATCH);
    assert_int_equal(call.low, 1);
    assert_int_equal(call.high, 1);
    check_message(fixture, &call, "NULL: PROGRAM_MISMATCH: the server has versions 1 to 1");
    assert_int_equal(dari_client_ping(client, 99, 1, &call), DARI_PROGRAM_UNAVAILABLE);
    assert_false(call.may_have_run);
    dari_client_close(client);
    dari_call_end(&call);
}

void results_outlive_the_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    opaque_data ret[2] = {{0}};
    uint8_t *bytes = pattern(100000);
    assert_int_equal(echo_data_1(client, &(opaque_data){100000, bytes}, &ret[0], &call), 0);
    assert_int_equal(echo_data_1(client, &(opaque_data){10, bytes}, &ret[1], &call), 0);
    dari_client_close(client);
    fixture_stop(fixture);
    assert_memory_equal(ret[0].data, bytes, 100000);
    assert_memory_equal(ret[1].data, bytes, 10);
    free(bytes);
    dari_call_end(&call);
}

void deadline_of_a_silent_server(test_fixture *fixture)
{
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = DARI_CALL(.deadline_ns = 50 * DARI_MS);
    uint64_t before = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    uint64_t passed = di_now() - before;
    assert_in_range(passed, 50 * DARI_MS, 5 * DARI_S);
    assert_int_equal(call.may_have_run, !fixture->scheme->meets);
    check_message(fixture, &call,
                  fixture->scheme->meets ? "NOTHING: deadline of 50 ms passed"
                                         : "NOTHING: deadline of 50 ms passed, may have run");
    dari_client_close(client);
    silent->ops->close(silent);
    dari_call_end(&call);
}

/* Signals for a thread, one after the other. */
typedef struct signal_storm {
    pthread_t target;
    pthread_t thread;
    atomic_bool over;
} signal_storm;

static void *send_signals(void *argument)
{
    signal_storm *storm = argument;
    for (int i = 0; i < 1000 && !atomic_load(&storm->over); i++) {
        pthread_kill(storm->target, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 5 * DARI_MS}, NULL);
    }
    return NULL;
}

static void do_nothing(int number)
{
    (void)number;
}

void signals_do_not_put_a_deadline_off(test_fixture *fixture)
{
#ifdef TEST_IS_EMULATED
    (void)send_signals;
    (void)do_nothing;
    (void)fixture; /* an emulator of another machine crashes after so many signals */
#else
    struct sigaction action = {.sa_handler = do_nothing}, before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = DARI_CALL(.deadline_ns = 300 * DARI_MS);
    signal_storm storm = {.target = pthread_self()};
    assert_int_equal(pthread_create(&storm.thread, NULL, send_signals, &storm), 0);
    uint64_t began = di_now();
    int error = nothing_1(client, &call);
    uint64_t passed = di_now() - began;
    atomic_store(&storm.over, true);
    pthread_join(storm.thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(error, DARI_DEADLINE);
    assert_in_range(passed, 300 * DARI_MS, 4 * DARI_S);
    dari_client_close(client);
    silent->ops->close(silent);
    dari_call_end(&call);
#endif
}

void deadline_while_sending(test_fixture *fixture)
{
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(silent);
    uint8_t *bytes = pattern(15 << 20);
    uint32_t size;
    dari_call call = DARI_CALL(.deadline_ns = 50 * DARI_MS);
    assert_int_equal(sink_1(client, &(opaque_data){15 << 20, bytes}, &size, &call), DARI_DEADLINE);
    assert_true(call.may_have_run); /* its beginning is sent, so its end will be */
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_false(call.may_have_run); /* no byte of it was, nor will be */
    check_message(fixture, &call, "NOTHING: deadline of 50 ms passed");
    raw_close(peer);
    dari_client_close(client);
    silent->ops->close(silent);
    free(bytes);
    dari_call_end(&call);
}

void deadline_while_connecting(test_fixture *fixture)
{
    /* A queue that takes no more: shortened, and filled. */
    di_listener *silent = raw_listen(fixture);
    raw_fill(silent);
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_MS);
    dari_client *fillers[16] = {NULL};
    int error = 0;
    for (size_t i = 0; i < 16 && error == 0; i++)
        error = dari_connect(fixture->address, &(dari_client_options){.call = &call}, &fillers[i]);
    assert_int_equal(error, DARI_DEADLINE);
    check_message(fixture, &call, "connect: deadline of 30 ms passed");
    for (size_t i = 0; i < 16; i++)
        dari_client_close(fillers[i]);
    silent->ops->close(silent);
    dari_call_end(&call);
}

void a_late_reply_is_dropped(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    /* Where both sides have met, a call is sent at once: the server gets it, however soon the
     * deadline passes. */
    check_add(client);
    fixture_close_gate(fixture);
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_MS);
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    assert_true(call.may_have_run);
    fixture_open_gate(fixture);
    check_add(client);
    assert_int_equal(client->pending.dropped, 1);
    dari_client_close(client);
    dari_call_end(&call);
}
