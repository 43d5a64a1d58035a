/* SPDX-License-Identifier: MIT */
/* Clients of addresses without a port: they ask an rpcbind of the tests' own. */
#include "conformance/fake_rpcbind.h"
#include "conformance/harness.h"

#include "base/clock.h"
#include "loop/client.h"

#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST "tcp://127.0.0.1"
/* A program that nobody serves. */
#define NOBODYS 77

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);

/* "both.test" has an IPv6 address, then an IPv4 one. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    if (hints->ai_flags & AI_NUMERICHOST || strcmp(host, "both.test") != 0)
        return __real_getaddrinfo(host, port, hints, result);
    struct addrinfo *second;
    int error = __real_getaddrinfo("::1", port, hints, result);
    if (error == 0)
        error = __real_getaddrinfo("127.0.0.1", port, hints, &second);
    if (error == 0)
        (*result)->ai_next = second;
    return error;
}

static struct {
    fake_rpcbind rpcbind;
    test_fixture server;
    dari_client *client;
    dari_call call;
    uint32_t program, version;
} with;

/* The universal address of the server's port at `host`. */
static const char *universal(const char *host)
{
    static char text[80];
    unsigned port = (unsigned)atoi(strrchr(with.server.address, ':') + 1);
    snprintf(text, sizeof text, "%s.%u.%u", host, port >> 8, port & 255);
    return text;
}

static void start(unsigned versions)
{
    with.program = echo_1_interface.program;
    with.version = echo_1_interface.version;
    with.server = (test_fixture){.scheme = scheme_named("tcp4")};
    fixture_begin(&with.server);
    fixture_serve(&with.server);
    fake_start(&with.rpcbind, versions);
    fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("127.0.0.1"), "1");
}

static int set_up(void **state)
{
    (void)state;
    memset(&with, 0, sizeof with);
    start(FAKE_ALL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_client_close(with.client);
    dari_call_end(&with.call);
    fake_stop(&with.rpcbind);
    fixture_end(&with.server);
    return 0;
}

static int try_connect(const char *address, const dari_interface *interface)
{
    dari_client_options options = {
        .rpcbind = with.rpcbind.address, .interface = interface, .call = &with.call};
    return dari_connect(address, &options, &with.client);
}

static int try_add(void)
{
    int32_t sum = 0;
    int error = add_1(with.client, &(pair){40, 2}, &sum, &with.call);
    assert_int_equal(sum, error ? 0 : 42);
    return error;
}

static void says(const char *words)
{
    assert_string_equal(dari_call_message(&with.call), words);
}

static void the_first_call_finds_the_port(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(with.rpcbind.calls[4], 0);
    dari_counters counters;
    assert_int_equal(dari_client_counters(with.client, &counters), 0);
    assert_int_equal(counters.bytes_out, 0);
    dari_counters_end(&counters);
    assert_int_equal(try_add(), 0);
    assert_int_equal(try_add(), 0);
    says(HOST ": ADD: done");
    assert_int_equal(with.rpcbind.calls[4], 1);
}

static void a_ping_finds_it_too(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_client_ping(with.client, with.program, with.version, &with.call), 0);
}

static void with_an_interface_it_is_found_at_once(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, &echo_1_interface), 0);
    assert_int_equal(with.rpcbind.calls[4], 1);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 1);
}

static void an_interface_says_nothing_where_a_port_is_given(void **state)
{
    (void)state;
    assert_int_equal(try_connect(with.server.address, &echo_1_interface), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 0);
}

static void older_versions_are_asked_in_turn(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V3, FAKE_V2, FAKE_V2 | FAKE_V3};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("0.0.0.0"), "1");
        assert_int_equal(try_connect(HOST, NULL), 0);
        assert_int_equal(try_add(), 0);
        assert_int_equal(with.rpcbind.calls[4], versions[i] & FAKE_V4 ? 1 : 0);
        assert_int_equal(with.rpcbind.calls[3], versions[i] & FAKE_V3 ? 1 : 0);
        assert_int_equal(with.rpcbind.calls[2], versions[i] == FAKE_V2 ? 1 : 0);
        dari_client_close(with.client);
        with.client = NULL;
    }
}

static void a_program_that_is_not_registered(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    char words[160];
    for (size_t i = 0; i < 2; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        assert_int_equal(try_connect(HOST, NULL), 0);
        assert_int_equal(try_add(), DARI_NOT_REGISTERED);
        assert_int_equal(with.call.fault.found, with.program);
        assert_int_equal(with.call.fault.allowed, with.version);
        assert_false(with.call.may_have_run);
        snprintf(words, sizeof words, HOST ": ADD: rpcbind does not know program %u, version %u",
                 with.program, with.version);
        says(words);
        /* The next call asks again. */
        fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("127.0.0.1"), "1");
        assert_int_equal(try_add(), 0);
        dari_client_close(with.client);
        with.client = NULL;
    }
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_ALL);
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_NOT_REGISTERED);
    assert_null(with.client);
    snprintf(words, sizeof words, HOST ": connect: rpcbind does not know program %u, version %u",
             with.program, with.version);
    says(words);
}

static void rpcbind_is_not_there(void **state)
{
    (void)state;
    dari_client_options options = {.rpcbind = "unix:@dari-nobody-at-all"};
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    assert_int_equal(try_add(), DARI_REFUSED);
    says(HOST ": ADD: rpcbind cannot be reached (Connection refused)");
    assert_false(with.call.may_have_run);
}

static void rpcbind_does_not_answer(void **state)
{
    (void)state;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    with.call.deadline_ns = 30 * DARI_MS;
    uint64_t before = di_now();
    assert_int_equal(try_add(), DARI_DEADLINE);
    assert_in_range(di_now() - before, 30 * DARI_MS, 10 * DARI_S);
    says(HOST ": ADD: deadline of 30 ms passed (rpcbind does not answer)");
    assert_false(with.call.may_have_run);
    fake_set_silent(&with.rpcbind, false);
    with.call.deadline_ns = 0;
    assert_int_equal(try_add(), 0);
}

static void answers_that_are_of_no_use(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "127.0.0.1.0.0", "127.0.0.1.1",    "127.0.0.1.256.1", "::1.1.1",
        "/run/socket",   "127.0.0.1.1.1 ", "nonsense",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        with.rpcbind.answer = answers[i];
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
        says(HOST ": connect: rpcbind answers with an address that is of no use");
    }
}

static void an_answer_of_255_and_256_bytes(void **state)
{
    (void)state;
    char answer[257];
    memset(answer, '1', sizeof answer);
    answer[255] = '\0';
    with.rpcbind.answer = answer;
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: rpcbind answers with an address that is of no use");
    answer[255] = '1';
    answer[256] = '\0';
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: the answer of rpcbind cannot be read");
}

static void a_port_that_is_too_large(void **state)
{
    (void)state;
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_V2);
    with.rpcbind.answer = "65536";
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: the answer of rpcbind cannot be read");
}

static void rpcbind_refuses_every_version(void **state)
{
    (void)state;
    static const int errors[] = {DARI_AUTH, DARI_PROGRAM_UNAVAILABLE, DARI_PROCEDURE_UNAVAILABLE,
                                 DARI_GARBAGE_ARGUMENTS, DARI_SYSTEM_ERROR};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        with.rpcbind.error = errors[i];
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
        says(HOST ": connect: rpcbind refuses to answer");
        assert_int_equal(with.rpcbind.calls[4], i + 1);
        assert_int_equal(with.rpcbind.calls[3], i + 1);
        assert_int_equal(with.rpcbind.calls[2], i + 1);
    }
}

static void a_server_that_is_gone(void **state)
{
    (void)state;
    fixture_stop(&with.server);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(try_add(), DARI_REFUSED);
    says(HOST ": ADD: nobody listens there (Connection refused)");
}

static void answer_with(const char *answer)
{
    pthread_mutex_lock(&with.rpcbind.lock);
    with.rpcbind.answer = answer;
    pthread_mutex_unlock(&with.rpcbind.lock);
}

/* Where the connection is lost, the server may have another port when it is back. */
static void a_server_that_comes_back_elsewhere(void **state)
{
    (void)state;
    test_fixture next = {.scheme = scheme_named("tcp4")};
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(try_add(), 0);
    fixture_begin(&next);
    fixture_serve(&next);
    fixture_stop(&with.server);
    strcpy(with.server.address, next.address);
    answer_with(universal("127.0.0.1"));
    with.client->reconnect.used = 0;
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    fixture_end(&next);
    answer_with("");
    with.client->reconnect.used = 0;
    with.call.deadline_ns = 30 * DARI_MS;
    assert_int_equal(try_add(), DARI_DEADLINE);
    assert_int_equal(with.call.fault.error, DARI_NOT_REGISTERED);
    says(HOST ": ADD: deadline of 30 ms passed, not connected: rpcbind does not know the program");
    assert_false(with.call.may_have_run);
}

/* Rpcbind is believed about the port alone. */
static void the_host_is_the_one_in_the_address(void **state)
{
    (void)state;
    with.rpcbind.answer = universal("192.0.2.1");
    assert_int_equal(try_connect(HOST, NULL), 0);
    with.call.deadline_ns = 10 * DARI_S;
    assert_int_equal(try_add(), 0);
}

/* Over UDP nobody tells that a server is gone which rpcbind still knows: it is asked itself. */
static void a_dead_server_is_registered_at_one_address(void **state)
{
    (void)state;
    char dead[80];
    test_fixture server = {.scheme = scheme_named("udp4")}, gone = {.scheme = scheme_named("udp6")};
    if (!scheme_is_there(gone.scheme))
        skip();
    fixture_begin(&gone);
    fixture_serve(&gone);
    unsigned port = (unsigned)atoi(strrchr(gone.address, ':') + 1);
    snprintf(dead, sizeof dead, "::1.%u.%u", port >> 8, port & 255);
    fixture_stop(&gone);
    fixture_begin(&server);
    fixture_serve(&server);
    strcpy(with.server.address, server.address);
    fake_add(&with.rpcbind, with.program, with.version, "udp6", dead, "1");
    fake_add(&with.rpcbind, with.program, with.version, "udp", universal("127.0.0.1"), "1");
    assert_int_equal(try_connect("udp://both.test", NULL), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    dari_client_close(with.client);
    with.client = NULL;
    fixture_end(&server);
    fixture_end(&gone);
}

static void each_address_of_a_name_is_asked(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    assert_int_equal(try_connect("tcp://both.test", NULL), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    dari_client_close(with.client);
    with.client = NULL;
    /* What was furthest is told: the server that is gone, not what is unknown elsewhere. */
    fixture_stop(&with.server);
    assert_int_equal(try_connect("tcp://both.test", &echo_1_interface), DARI_REFUSED);
    says("tcp://both.test: connect: nobody listens there (Connection refused)");
}

static void version_2_has_no_ipv6(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_V2);
    assert_int_equal(try_connect("tcp://[::1]", &echo_1_interface), DARI_RPCBIND);
    says("tcp://[::1]: connect: rpcbind is too old for IPv6");
}

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

static void a_client_closes_while_it_connects(void **state)
{
    (void)state;
    pthread_t thread;
    dari_cancel *cancel;
    void *result;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_cancel_create(&cancel), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_with_cancel, cancel), 0);
    fake_await_waiting(&with.rpcbind, 1);
    dari_cancel_now(cancel);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, DARI_CANCELLED);
    dari_client_close(with.client);
    with.client = NULL;
    fake_set_silent(&with.rpcbind, false);
    dari_cancel_destroy(cancel);
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
        dari_client_close(with.client);
        with.client = NULL;
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
    pthread_t thread;
    dari_cancel *cancel;
    void *result;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_cancel_create(&cancel), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_with_cancel, cancel), 0);
    fake_await_waiting(&with.rpcbind, 1);
    dari_cancel_now(cancel);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, DARI_CANCELLED);
    fake_set_silent(&with.rpcbind, false);
    dari_cancel_destroy(cancel);
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
    dari_client_close(with.client);
    with.client = NULL;
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
    dari_client_close(with.client);
    with.client = NULL;
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
    dari_client_close(with.client);
    with.client = NULL;
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
        dari_client_close(with.client);
        with.client = NULL;
    }
}

static void a_one_way_call_finds_it(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(nothing_1_oneway(with.client, &with.call), 0);
    fixture_await_entered(&with.server, 1);
}

static void datagrams_are_looked_up_too(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    fixture_stop(&with.server);
    strcpy(with.server.address, "udp://127.0.0.1:0");
    fixture_serve(&with.server);
    for (size_t i = 0; i < 2; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        fake_add(&with.rpcbind, with.program, with.version, "udp", universal("0.0.0.0"), "1");
        assert_int_equal(try_connect("udp://127.0.0.1", NULL), 0);
        assert_int_equal(try_add(), 0);
        dari_client_close(with.client);
        with.client = NULL;
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_NOT_REGISTERED);
    }
}

static void a_client_that_never_calls_is_closed(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(count_descriptors(), before);
}

static void nothing_is_left_after_failures(void **state)
{
    (void)state;
    with.rpcbind.answer = "nonsense";
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    unsigned before = count_descriptors();
    for (int i = 0; i < 4; i++)
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    /* The fake's end of the last connections may not be closed yet. */
    assert_in_range(count_descriptors(), 0, before + 4);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_call_finds_the_port),
        CASE(a_ping_finds_it_too),
        CASE(with_an_interface_it_is_found_at_once),
        CASE(an_interface_says_nothing_where_a_port_is_given),
        CASE(older_versions_are_asked_in_turn),
        CASE(a_program_that_is_not_registered),
        CASE(rpcbind_is_not_there),
        CASE(rpcbind_does_not_answer),
        CASE(answers_that_are_of_no_use),
        CASE(an_answer_of_255_and_256_bytes),
        CASE(a_port_that_is_too_large),
        CASE(rpcbind_refuses_every_version),
        CASE(a_server_that_is_gone),
        CASE(a_server_that_comes_back_elsewhere),
        CASE(the_host_is_the_one_in_the_address),
        CASE(a_dead_server_is_registered_at_one_address),
        CASE(each_address_of_a_name_is_asked),
        CASE(version_2_has_no_ipv6),
        CASE(threads_wait_for_the_one_that_asks),
        CASE(first_calls_are_cancelled),
        CASE(a_client_closes_while_it_connects),
        CASE(first_calls_sleep),
        CASE(a_one_way_call_is_cancelled),
        CASE(a_call_in_flight_is_cancelled),
        CASE(first_calls_that_all_fail),
        CASE(a_child_closes_a_client_that_connects),
        CASE(calls_in_flight_find_it),
        CASE(calls_in_flight_that_do_not),
        CASE(calls_in_flight_wait_for_it),
        CASE(calls_in_flight_outlive_an_attempt),
        CASE(a_client_with_calls_in_flight_closes_while_it_connects),
        CASE(calls_in_flight_ask_for_their_program),
        CASE(calls_in_flight_of_another_program),
        CASE(calls_in_flight_are_told_why_there_is_none),
        CASE(small_and_large_calls_in_flight),
        CASE(calls_in_flight_of_a_client_that_serves),
        CASE(a_child_inherits_calls_in_flight),
        CASE(all_kinds_of_first_calls),
        CASE(a_one_way_call_finds_it),
        CASE(datagrams_are_looked_up_too),
        CASE(a_client_that_never_calls_is_closed),
        CASE(nothing_is_left_after_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
