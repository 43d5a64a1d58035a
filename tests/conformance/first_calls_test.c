/* SPDX-License-Identifier: MIT */
/* Calls that come before there is a connection, which is made for the first of them: by threads
 * that wait, one-way, and in flight. */
#include "conformance/lookup.h"

#include "base/clock.h"
#include "loop/client.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that nobody serves. */
#define NOBODYS 77

static void *call_from_thread(void *argument)
{
    dari_call call = DARI_CALL(.deadline_ns = *(uint64_t *)argument);
    int32_t sum = 0;
    int error = add_1(with.client, &(pair){1, 1}, &sum, &call);
    assert_int_equal(sum, error ? 0 : 2);
    dari_call_end(&call);
    return (void *)(intptr_t)error;
}

static void threads_wait_for_the_one_that_asks(void **state)
{
    (void)state;
    pthread_t threads[8];
    uint64_t long_time = 30 * DARI_S, short_time = 20 * DARI_MS;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, call_from_thread, &long_time), 0);
    fake_await_waiting(&with.rpcbind, 1);
    assert_int_equal((intptr_t)call_from_thread(&short_time), DARI_DEADLINE);
    for (int i = 1; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_from_thread, &long_time), 0);
    fake_set_silent(&with.rpcbind, false);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, 0);
    }
    assert_int_equal(with.rpcbind.calls[4], 1);
}

static void *call_with_cancel(void *argument)
{
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_S, .cancel = argument);
    int32_t sum = 0;
    int error = add_1(with.client, &(pair){1, 1}, &sum, &call);
    assert_false(call.may_have_run);
    dari_call_end(&call);
    return (void *)(intptr_t)error;
}

/* The one that has begun to connect, and one that waits for that. */
static void first_calls_are_cancelled(void **state)
{
    (void)state;
    pthread_t threads[2];
    dari_cancel *cancels[2];
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dari_cancel_create(&cancels[i]), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, call_with_cancel, cancels[i]), 0);
        fake_await_waiting(&with.rpcbind, 1);
    }
    for (int i = 0; i < 2; i++) {
        void *result;
        dari_cancel_now(cancels[i]);
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, DARI_CANCELLED);
        dari_cancel_destroy(cancels[i]);
    }
    assert_int_equal(with.rpcbind.waiting, 1);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 1);
}

/* Has a thread make the call, whose attempt to connect goes on after it was cancelled. */
static void cancel_first_call(void *(*call)(void *cancel))
{
    pthread_t thread;
    dari_cancel *cancel;
    void *result;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_cancel_create(&cancel), 0);
    assert_int_equal(pthread_create(&thread, NULL, call, cancel), 0);
    fake_await_waiting(&with.rpcbind, 1);
    dari_cancel_now(cancel);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, DARI_CANCELLED);
    dari_cancel_destroy(cancel);
}

static void a_client_closes_while_it_connects(void **state)
{
    (void)state;
    cancel_first_call(call_with_cancel);
    close_client();
    fake_set_silent(&with.rpcbind, false);
}

static uint64_t time_of_thread(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * DARI_S + (uint64_t)time.tv_nsec;
}

/* Returns the time that it was at work. */
static void *call_in_vain(void *argument)
{
    dari_call call = DARI_CALL(.deadline_ns = 400 * DARI_MS, .cancel = argument);
    int32_t sum = 0;
    uint64_t before = time_of_thread();
    int error = add_1(with.client, &(pair){1, 1}, &sum, &call);
    uint64_t spent = time_of_thread() - before;
    assert_int_equal(error, DARI_DEADLINE);
    dari_call_end(&call);
    return (void *)(uintptr_t)spent;
}

static void first_calls_sleep(void **state)
{
    (void)state;
    pthread_t threads[4];
    dari_cancel *cancel;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    for (int first = 0; first < 2; first++) {
        fake_set_silent(&with.rpcbind, true);
        assert_int_equal(try_connect(HOST, NULL), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, call_in_vain, i % 2 == first ? cancel : NULL), 0);
        for (int i = 0; i < 4; i++) {
            void *spent;
            pthread_join(threads[i], &spent);
            assert_in_range((uintptr_t)spent, 0, 50 * DARI_MS);
        }
        fake_set_silent(&with.rpcbind, false);
        close_client();
    }
    dari_cancel_destroy(cancel);
}

static void *post_with_cancel(void *argument)
{
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_S, .cancel = argument);
    int error = nothing_1_oneway(with.client, &call);
    assert_false(call.may_have_run);
    dari_call_end(&call);
    return (void *)(intptr_t)error;
}

static void a_one_way_call_is_cancelled(void **state)
{
    (void)state;
    cancel_first_call(post_with_cancel);
    fake_set_silent(&with.rpcbind, false);
}

static void take_error(void *user, dari_call *call)
{
    *(int *)user = call->error;
}

static void a_call_in_flight_is_cancelled(void **state)
{
    (void)state;
    int error = 1;
    dari_call call = {0};
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_cancel_create(&call.cancel), 0);
    assert_int_equal(nothing_1_start(with.client, &call, take_error, &error), 0);
    assert_int_equal(dari_client_dispatch(with.client), 0);
    fake_await_waiting(&with.rpcbind, 1);
    dari_cancel_now(call.cancel);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(error, DARI_CANCELLED);
    assert_false(call.may_have_run);
    fake_set_silent(&with.rpcbind, false);
    dari_cancel_destroy(call.cancel);
    dari_call_end(&call);
}

/* Each that has waited for another one's attempt makes its own, and is told what that has met. */
static void first_calls_that_all_fail(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t long_time = 30 * DARI_S;
    with.rpcbind.answer = "";
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_from_thread, &long_time), 0);
    fake_await_waiting(&with.rpcbind, 1);
    fake_set_silent(&with.rpcbind, false);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, DARI_NOT_REGISTERED);
    }
    with.rpcbind.answer = NULL;
    assert_int_equal(try_add(), 0);
}

static void a_child_closes_a_client_that_connects(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t long_time = 30 * DARI_S;
    void *result;
    int status;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_from_thread, &long_time), 0);
    fake_await_waiting(&with.rpcbind, 1);
    pid_t child = fork();
    if (child == 0) {
        bool refused = nothing_1(with.client, NULL) == DARI_FORKED;
        dari_client_close(with.client);
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fake_set_silent(&with.rpcbind, false);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 0);
}

static void take_sum(void *user, const int32_t *result, dari_call *call)
{
    *(int32_t *)user = result ? *result : call->error;
}

/* The descriptor of a loop is there before the connection is. */
static void calls_in_flight_find_it(void **state)
{
    (void)state;
    int32_t sum = 0;
    dari_call call = {0};
    assert_int_equal(try_connect(HOST, NULL), 0);
    int descriptor = dari_client_descriptor(with.client);
    assert_true(descriptor >= 0);
    assert_int_equal(dari_client_dispatch(with.client), 0);
    assert_true(dari_client_timeout_ns(with.client) == UINT64_MAX);
    assert_int_equal(dari_client_wait(with.client, 0), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_descriptor(with.client), descriptor);
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    while (sum == 0) {
        uint64_t left = dari_client_timeout_ns(with.client);
        assert_true(poll(&one, 1, di_poll_timeout(di_deadline_in(left))) >= 0);
        assert_true(dari_client_dispatch(with.client) >= 0);
    }
    assert_int_equal(sum, 42);
    dari_call_end(&call);
}

static void calls_in_flight_that_do_not(void **state)
{
    (void)state;
    int32_t sum = 0;
    with.rpcbind.answer = "";
    assert_int_equal(try_connect(HOST, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
        assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
        assert_int_equal(sum, DARI_NOT_REGISTERED);
        assert_int_equal(with.call.fault.found, with.program);
        assert_false(with.call.may_have_run);
        assert_int_equal(nothing_1_oneway(with.client, &with.call), DARI_NOT_REGISTERED);
    }
    with.rpcbind.answer = NULL;
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, 42);
}

/* One that starts returns at once, whoever does not answer; the calls are sent in their order when
 * there is a connection, also where a lost one would stay lost. */
static void calls_in_flight_wait_for_it(void **state)
{
    enum { COUNT = 20 };
    (void)state;
    int32_t sums[COUNT];
    dari_call calls[COUNT] = {0}, early = {.deadline_ns = 20 * DARI_MS};
    int32_t early_sum = 0;
    fake_set_silent(&with.rpcbind, true);
    const dari_client_options options = {.rpcbind = with.rpcbind.address, .no_reconnect = true};
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    for (int32_t i = 0; i < COUNT; i++)
        assert_int_equal(add_1_start(with.client, &(pair){i, 1}, &calls[i], take_sum, &sums[i]), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &early, take_sum, &early_sum), 0);
    assert_int_equal(dari_client_dispatch(with.client), 0);
    fake_await_waiting(&with.rpcbind, 1);
    while (early_sum == 0)
        dari_client_wait(with.client, 5 * DARI_MS);
    assert_int_equal(early_sum, DARI_DEADLINE);
    assert_false(early.may_have_run);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    for (int32_t i = 0; i < COUNT; i++) {
        assert_int_equal(sums[i], i + 1);
        dari_call_end(&calls[i]);
    }
    assert_int_equal(with.rpcbind.calls[4], 1);
    dari_call_end(&early);
    fixture_stop(&with.server);
    assert_int_equal(try_add(), DARI_CLOSED);
}

static void a_client_with_calls_in_flight_closes_while_it_connects(void **state)
{
    (void)state;
    int32_t sum = 0;
    dari_call call = {0};
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_dispatch(with.client), 0);
    fake_await_waiting(&with.rpcbind, 1);
    close_client();
    assert_int_equal(sum, DARI_CLOSED);
    assert_false(call.may_have_run);
    fake_set_silent(&with.rpcbind, false);
    dari_call_end(&call);
}

/* An attempt that comes to its end before the calls do is followed by another: the loop, which
 * sleeps until their deadlines, is told. */
static void calls_in_flight_outlive_an_attempt(void **state)
{
    (void)state;
    int32_t sum = 0;
    const dari_client_options options = {.rpcbind = with.rpcbind.address,
                                         .connect_ns = 30 * DARI_MS};
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    struct pollfd one = {.fd = dari_client_descriptor(with.client), .events = POLLIN};
    uint64_t before = di_now();
    while (with.client->reconnect.fruitless < 2) {
        uint64_t left = dari_client_timeout_ns(with.client);
        poll(&one, 1, di_poll_timeout(di_deadline_in(left)));
        assert_true(dari_client_dispatch(with.client) >= 0);
    }
    assert_true(di_now() - before < 10 * DARI_S);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, 42);
}

/* Who asks for another program, with little time, and is told nothing, does not have the calls that
 * are kept look for that. */
static void calls_in_flight_ask_for_their_program(void **state)
{
    (void)state;
    int32_t sum = 0;
    dari_call other = {.deadline_ns = 30 * DARI_MS};
    const dari_client_options options = {.rpcbind = with.rpcbind.address,
                                         .connect_ns = 100 * DARI_MS};
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    /* The first attempt is over when another one may begin. */
    while (dari_client_timeout_ns(with.client) > 20 * DARI_S)
        sched_yield();
    assert_int_equal(dari_client_ping(with.client, NOBODYS, 1, &other), DARI_DEADLINE);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, 42);
    dari_call_end(&other);
}

static void *ping_nobody(void *argument)
{
    (void)argument;
    dari_call call = {.deadline_ns = 30 * DARI_S};
    int error = dari_client_ping(with.client, NOBODYS, 1, &call);
    dari_call_end(&call);
    return (void *)(intptr_t)error;
}

/* Nor do they get the error of an attempt for that. */
static void calls_in_flight_of_another_program(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    int32_t sum = 0;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, ping_nobody, NULL), 0);
    fake_await_waiting(&with.rpcbind, 1);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, 42);
    pthread_join(thread, &result);
    assert_true((intptr_t)result == DARI_NOT_REGISTERED);
}

static void calls_in_flight_are_told_why_there_is_none(void **state)
{
    (void)state;
    int32_t sum = 0;
    const dari_client_options options = {.rpcbind = with.rpcbind.address,
                                         .connect_ns = 20 * DARI_MS};
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    with.call.deadline_ns = 500 * DARI_MS;
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, DARI_DEADLINE);
    says(HOST ": ADD: deadline of 500 ms passed (rpcbind does not answer)");
    /* Attempts that end at once do not follow each other at once. */
    assert_in_range(with.client->reconnect.fruitless, 1, 12);
    fake_set_silent(&with.rpcbind, false);
}

static void take_size(void *user, const uint32_t *result, dari_call *call)
{
    *(int64_t *)user = result ? (int64_t)*result : call->error;
}

/* The limits of a message that is kept are those of a connection. */
static void small_and_large_calls_in_flight(void **state)
{
    (void)state;
    static const uint8_t data[100000];
    int64_t size = 0;
    dari_client_options options = {.rpcbind = with.rpcbind.address, .message_max = 16};
    opaque_data argument = {.data = data, .size = 600};
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    assert_int_equal(sink_1_start(with.client, &argument, &with.call, take_size, &size), 0);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(size, 600);
    close_client();
    fixture_stop(&with.server);
    strcpy(with.server.address, "udp://127.0.0.1:0");
    fixture_serve(&with.server);
    fake_add(&with.rpcbind, with.program, with.version, "udp", universal("127.0.0.1"), "1");
    assert_int_equal(try_connect("udp://127.0.0.1", NULL), 0);
    argument.size = sizeof data;
    assert_int_equal(sink_1_start(with.client, &argument, &with.call, take_size, &size), 0);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(size, DARI_LIMIT);
    says("udp://127.0.0.1: SINK: the call: larger than the limit (100044, at most 65507)");
}

/* The loop of a server dispatches the client before there is a connection, too. */
static void calls_in_flight_of_a_client_that_serves(void **state)
{
    (void)state;
    int32_t sum = 0;
    dari_call call = {0};
    dari_server *home;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_server_create(NULL, &home), 0);
    assert_int_equal(dari_server_serve_client(home, with.client), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &call, take_sum, &sum), 0);
    struct pollfd one = {.fd = dari_server_descriptor(home), .events = POLLIN};
    while (sum == 0) {
        uint64_t left = dari_server_timeout_ns(home);
        poll(&one, 1, di_poll_timeout(di_deadline_in(left)));
        assert_true(dari_server_dispatch(home) >= 0);
    }
    assert_int_equal(sum, 42);
    close_client();
    dari_server_destroy(home);
    dari_call_end(&call);
}

static void a_child_inherits_calls_in_flight(void **state)
{
    (void)state;
    int32_t sum = 0;
    int status;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
    fake_await_waiting(&with.rpcbind, 1);
    pid_t child = fork();
    if (child == 0) {
        bool refused = dari_client_dispatch(with.client) == DARI_FORKED;
        dari_client_close(with.client);
        _exit(refused && sum == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fake_set_silent(&with.rpcbind, false);
    assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
    assert_int_equal(sum, 42);
}

/* A synchronous call beside them. */
static void all_kinds_of_first_calls(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    uint64_t long_time = 30 * DARI_S;
    int32_t sum = 0;
    for (int i = 0; i < 2; i++) {
        with.rpcbind.answer = i ? NULL : "";
        fake_set_silent(&with.rpcbind, true);
        assert_int_equal(try_connect(HOST, NULL), 0);
        assert_int_equal(pthread_create(&thread, NULL, call_from_thread, &long_time), 0);
        fake_await_waiting(&with.rpcbind, 1);
        assert_int_equal(add_1_start(with.client, &(pair){40, 2}, &with.call, take_sum, &sum), 0);
        assert_int_equal(dari_client_dispatch(with.client), 0);
        fake_set_silent(&with.rpcbind, false);
        assert_int_equal(dari_client_wait(with.client, UINT64_MAX), 0);
        pthread_join(thread, &result);
        assert_int_equal((intptr_t)result, i ? 0 : DARI_NOT_REGISTERED);
        assert_int_equal(sum, i ? 42 : DARI_NOT_REGISTERED);
        close_client();
    }
}

static void a_one_way_call_finds_it(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(nothing_1_oneway(with.client, &with.call), 0);
    fixture_await_entered(&with.server, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOKUP_CASE(threads_wait_for_the_one_that_asks),
        LOOKUP_CASE(first_calls_are_cancelled),
        LOOKUP_CASE(a_client_closes_while_it_connects),
        LOOKUP_CASE(first_calls_sleep),
        LOOKUP_CASE(a_one_way_call_is_cancelled),
        LOOKUP_CASE(a_call_in_flight_is_cancelled),
        LOOKUP_CASE(first_calls_that_all_fail),
        LOOKUP_CASE(a_child_closes_a_client_that_connects),
        LOOKUP_CASE(calls_in_flight_find_it),
        LOOKUP_CASE(calls_in_flight_that_do_not),
        LOOKUP_CASE(calls_in_flight_wait_for_it),
        LOOKUP_CASE(calls_in_flight_outlive_an_attempt),
        LOOKUP_CASE(a_client_with_calls_in_flight_closes_while_it_connects),
        LOOKUP_CASE(calls_in_flight_ask_for_their_program),
        LOOKUP_CASE(calls_in_flight_of_another_program),
        LOOKUP_CASE(calls_in_flight_are_told_why_there_is_none),
        LOOKUP_CASE(small_and_large_calls_in_flight),
        LOOKUP_CASE(calls_in_flight_of_a_client_that_serves),
        LOOKUP_CASE(a_child_inherits_calls_in_flight),
        LOOKUP_CASE(all_kinds_of_first_calls),
        LOOKUP_CASE(a_one_way_call_finds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
