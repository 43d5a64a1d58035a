/* SPDX-License-Identifier: MIT */
/* Clients of udp:// and names with several addresses. Names are looked up by a stand-in for the C
 * library's resolver. */
#include "conformance/udp.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/cancel.h>
#include <dari/interface.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At these nobody listens, unless a test does. */
#define ELSEWHERE "127.0.0.77"
#define NOWHERE "127.0.0.78"
#define HERE "127.0.0.1"
#define ADDRESSES_MAX 4
/* Of which a silent address takes its share. */
#define DEADLINE_NS (2 * DARI_S)

/* The addresses of "several.test", which other threads look up. */
static const char *several[ADDRESSES_MAX + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    if (strcmp(host, "several.test") != 0 || hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, port, hints, result);
    int error = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; several[i] && error == 0; i++, result = &(*result)->ai_next)
        error = __real_getaddrinfo(several[i], port, hints, result);
    pthread_mutex_unlock(&lock);
    return error;
}

static dari_client *connect_with(unsigned port, const dari_client_options *options)
{
    char address[64];
    dari_client *client = NULL;
    snprintf(address, sizeof address, "udp://several.test:%u", port);
    assert_int_equal(dari_connect(address, options, &client), 0);
    return client;
}

static dari_client *connect_to_name(unsigned port)
{
    return connect_with(port, NULL);
}

static unsigned port_of(const test_fixture *fixture)
{
    return (unsigned)strtoul(strrchr(fixture->address, ':') + 1, NULL, 10);
}

static void set_addresses(const char *const addresses[ADDRESSES_MAX])
{
    pthread_mutex_lock(&lock);
    memcpy(several, addresses, ADDRESSES_MAX * sizeof *addresses);
    pthread_mutex_unlock(&lock);
}

#define SET_ADDRESSES(...) set_addresses((const char *const[ADDRESSES_MAX]){__VA_ARGS__})

static void expect_sum(dari_client *client)
{
    int32_t sum = 0;
    dari_call call = {.deadline_ns = DEADLINE_NS};
    int error = add_1(client, &(pair){40, 2}, &sum, &call);
    if (error < 0)
        fail_msg("%s", dari_call_message(&call));
    assert_int_equal(sum, 42);
    dari_call_end(&call);
}

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    *(int32_t *)user = ret ? *ret : call->error;
}

/* A socket at that port of an address. */
static int open_at(const char *host, unsigned port)
{
    char text[8];
    struct addrinfo *address;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
    snprintf(text, sizeof text, "%u", port);
    assert_int_equal(__real_getaddrinfo(host, text, &hints, &address), 0);
    int descriptor = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, address->ai_addr, address->ai_addrlen), 0);
    freeaddrinfo(address);
    return descriptor;
}

/* Awaits a call, and returns its procedure. */
static uint32_t take_call(int descriptor, uint32_t *ret_xid, struct sockaddr_in *ret_from)
{
    uint8_t bytes[128];
    assert_true(take(descriptor, bytes, sizeof bytes, ret_from) >= 40);
    *ret_xid = dari_get_u32(bytes);
    assert_int_equal(dari_get_u32(bytes + 12), echo_1_interface.program);
    assert_int_equal(dari_get_u32(bytes + 16), echo_1_interface.version);
    return dari_get_u32(bytes + 20);
}

/* What came to an address at which nobody answered: nothing but questions whether somebody is
 * there. */
static void expect_probes(int descriptor)
{
    uint32_t xid;
    do
        assert_int_equal(take_call(descriptor, &xid, NULL), 0);
    while (readable(descriptor, 0));
}

static void answer(int descriptor, uint32_t xid, const struct sockaddr_in *to, const int32_t *sum)
{
    uint8_t reply[64];
    uint8_t *end = raw_reply(reply, xid);
    if (sum) {
        dari_put_u32(end, (uint32_t)*sum);
        end += 4;
    }
    give(descriptor, reply, (size_t)(end - reply), to);
}

static void refusing_addresses_are_left(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    SET_ADDRESSES(NOWHERE, ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    for (int i = 0; i < 3; i++)
        expect_sum(client);
    assert_int_equal(client->repeated, 0);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* It takes its share of the time, and no call that means something. */
static void a_silent_address_is_left(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    int silent = open_at(ELSEWHERE, port_of(&fixture));
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    expect_sum(client);
    expect_probes(silent);
    expect_sum(client);
    assert_false(readable(silent, 0));
    dari_client_close(client);
    close(silent);
    fixture_end(&fixture);
}

/* Nobody is asked before the first call; and nobody at all where there is but one address. */
static void nothing_is_sent_before_a_call(void **state)
{
    (void)state;
    uint16_t port;
    uint32_t xid;
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    SET_ADDRESSES(HERE, ELSEWHERE);
    dari_client *client = connect_to_name(port);
    assert_false(atomic_load(&client->reach.done));
    dari_client_close(client);
    assert_false(readable(server, 0));
    SET_ADDRESSES(HERE);
    client = connect_to_name(port);
    assert_true(atomic_load(&client->reach.done));
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_int_equal(take_call(server, &xid, &from), ADD);
    answer(server, xid, &from, &(int32_t){7});
    assert_int_equal(dari_client_wait(client, DEADLINE_NS), 0);
    assert_int_equal(sum, 7);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

/* Where the interface is told, connecting looks for the server. */
static void connecting_asks_where_it_can(void **state)
{
    (void)state;
    char address[64];
    dari_client *client = NULL;
    dari_call call = {.deadline_ns = DEADLINE_NS};
    test_fixture fixture = {0};
    serve(&fixture);
    snprintf(address, sizeof address, "udp://several.test:%u", port_of(&fixture));
    const dari_client_options options = {.interface = &echo_1_interface, .call = &call};
    SET_ADDRESSES(NOWHERE, HERE);
    assert_int_equal(dari_connect(address, &options, &client), 0);
    assert_true(atomic_load(&client->reach.done));
    expect_sum(client);
    dari_client_close(client);
    fixture_stop(&fixture);
    client = NULL;
    assert_int_equal(dari_connect(address, &options, &client), DARI_REFUSED);
    assert_null(client);
    dari_call_end(&call);
    fixture_end(&fixture);
}

static void calls_in_flight(void **state)
{
    enum { COUNT = 40 };
    (void)state;
    test_fixture fixture = {0};
    int32_t sums[COUNT];
    dari_call calls[COUNT] = {0};
    serve(&fixture);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    for (int32_t i = 0; i < COUNT; i++)
        assert_int_equal(add_1_start(client, &(pair){i, 1}, &calls[i], take_sum, &sums[i]), 0);
    assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
    for (int32_t i = 0; i < COUNT; i++) {
        assert_int_equal(sums[i], i + 1);
        dari_call_end(&calls[i]);
    }
    dari_client_close(client);
    fixture_end(&fixture);
}

/* The server is not asked for anything that it would have to answer while the client waits. */
static void one_thread_has_both(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    int32_t sum = 0;
    dari_call call = {0};
    fixture_begin(&fixture);
    fixture_listen(&fixture);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    while (sum == 0) {
        struct pollfd both[2] = {
            {.fd = dari_server_descriptor(fixture.server), .events = POLLIN},
            {.fd = dari_client_descriptor(client), .events = POLLIN},
        };
        uint64_t server_ns = dari_server_timeout_ns(fixture.server);
        uint64_t client_ns = dari_client_timeout_ns(client);
        uint64_t until = di_deadline_in(server_ns < client_ns ? server_ns : client_ns);
        poll(both, 2, di_poll_timeout(until));
        assert_true(dari_server_dispatch(fixture.server) >= 0);
        assert_true(dari_client_dispatch(client) >= 0);
    }
    assert_int_equal(sum, 7);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void *call_add(void *argument)
{
    int32_t sum = 0;
    int error = add_1(argument, &(pair){3, 4}, &sum, NULL);
    return (void *)(intptr_t)(error < 0 ? error : sum);
}

/* Of the call that the thread has made. */
static void expect_result(pthread_t thread, intptr_t expected)
{
    void *result;
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, expected);
}

/* Threads that wait beside a loop. */
static void threads_and_a_loop(void **state)
{
    enum { COUNT = 4, ROUNDS = 10 };
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    SET_ADDRESSES(ELSEWHERE, NOWHERE, HERE);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[COUNT];
        int32_t sum = 0;
        dari_call call = {0};
        dari_client *client = connect_to_name(port_of(&fixture));
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, call_add, client), 0);
        assert_int_equal(add_1_start(client, &(pair){1, 1}, &call, take_sum, &sum), 0);
        assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
        assert_int_equal(sum, 2);
        for (int i = 0; i < COUNT; i++)
            expect_result(threads[i], 7);
        dari_client_close(client);
        dari_call_end(&call);
    }
    fixture_end(&fixture);
}

static void addresses_of_both_kinds(void **state)
{
    (void)state;
    static const char *const orders[][ADDRESSES_MAX] = {
        {"::1", HERE}, {HERE, "::1"}, {"::1", ELSEWHERE, HERE}, {ELSEWHERE, "::1", HERE}};
    if (!scheme_is_there(scheme_named("udp6")))
        skip();
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        test_fixture fixture = {.scheme = scheme_named(i == 1 ? "udp6" : "udp4")};
        fixture_begin(&fixture);
        fixture_serve(&fixture);
        set_addresses(orders[i]);
        dari_client *client = connect_to_name(port_of(&fixture));
        expect_sum(client);
        dari_client_close(client);
        fixture_end(&fixture);
    }
}

/* Each call fails, and has not run; the next one tries them all again. */
static void all_addresses_refuse(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    dari_call call = {0};
    serve(&fixture);
    unsigned port = port_of(&fixture);
    fixture_stop(&fixture);
    SET_ADDRESSES(ELSEWHERE, HERE, NOWHERE);
    dari_client *client = connect_to_name(port);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_REFUSED);
        assert_false(call.may_have_run);
        assert_int_equal(add_1_start(client, &(pair){1, 2}, &call, take_sum, &sum), 0);
        assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
        assert_int_equal(sum, DARI_REFUSED);
        assert_false(call.may_have_run);
        assert_int_equal(nothing_1_oneway(client, &call), DARI_REFUSED);
    }
    fixture_serve(&fixture);
    expect_sum(client);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void all_addresses_are_silent(void **state)
{
    (void)state;
    uint16_t port;
    int32_t sum = 0;
    dari_call call = {.deadline_ns = 200 * DARI_MS};
    int one = open_socket(0, &port);
    int other = open_at(ELSEWHERE, port);
    SET_ADDRESSES(HERE, ELSEWHERE);
    dari_client *client = connect_to_name(port);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_DEADLINE);
    assert_false(call.may_have_run);
    expect_probes(one);
    expect_probes(other);
    dari_call_end(&call);
    dari_client_close(client);
    close(one);
    close(other);
}

typedef struct cancelled_call {
    dari_client *client;
    dari_cancel *cancel;
    int error;
} cancelled_call;

static void *call_until_cancelled(void *argument)
{
    cancelled_call *one = argument;
    dari_call call = {.cancel = one->cancel};
    one->error = add_1(one->client, &(pair){1, 2}, &(int32_t){0}, &call);
    dari_call_end(&call);
    return NULL;
}

static void a_call_is_cancelled_while_nobody_answers(void **state)
{
    (void)state;
    uint16_t port;
    pthread_t thread;
    int silent = open_socket(0, &port);
    SET_ADDRESSES(HERE, ELSEWHERE);
    cancelled_call one = {.client = connect_to_name(port)};
    assert_int_equal(dari_cancel_create(&one.cancel), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_until_cancelled, &one), 0);
    expect_probes(silent);
    dari_cancel_now(one.cancel);
    pthread_join(thread, NULL);
    assert_int_equal(one.error, DARI_CANCELLED);
    dari_client_close(one.client);
    dari_cancel_destroy(one.cancel);
    close(silent);
}

static void *call_for_ever(void *argument)
{
    int32_t sum = 0;
    dari_call call = {.deadline_ns = UINT64_MAX};
    int error = add_1(argument, &(pair){3, 4}, &sum, &call);
    dari_call_end(&call);
    return (void *)(intptr_t)(error < 0 ? error : sum);
}

/* An attempt to connect has a time of its own: one without success is followed by the next, which
 * comes from another port. */
static void a_call_without_a_deadline(void **state)
{
    (void)state;
    uint16_t port;
    uint32_t xid;
    struct sockaddr_in first, from;
    int32_t sum = 7;
    pthread_t thread;
    int server = open_socket(0, &port);
    int silent = open_at(ELSEWHERE, port);
    SET_ADDRESSES(HERE, ELSEWHERE);
    dari_client *client = connect_with(port, &(dari_client_options){.connect_ns = 100 * DARI_MS});
    assert_int_equal(pthread_create(&thread, NULL, call_for_ever, client), 0);
    assert_int_equal(take_call(server, &xid, &first), 0);
    do
        assert_int_equal(take_call(server, &xid, &from), 0);
    while (from.sin_port == first.sin_port);
    answer(server, xid, &from, NULL);
    while (take_call(server, &xid, &from) != ADD)
        continue;
    answer(server, xid, &from, &sum);
    expect_result(thread, 7);
    expect_probes(silent);
    dari_client_close(client);
    close(server);
    close(silent);
}

/* It is the one, also when nobody listens there any more: another server knows nothing of the calls
 * of this one. */
static void an_address_that_has_answered_stays(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    serve(&fixture);
    int other = open_at(ELSEWHERE, port_of(&fixture));
    SET_ADDRESSES(NOWHERE, HERE, ELSEWHERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    expect_sum(client);
    fixture_stop(&fixture);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    assert_false(readable(other, 0));
    fixture_serve(&fixture);
    expect_sum(client);
    dari_client_close(client);
    close(other);
    fixture_end(&fixture);
}

/* Whatever a server says to the question, it is there: what it has to say of the program is said to
 * the call. */
static void a_refusal_of_rpc_is_an_answer(void **state)
{
    enum { PROG_UNAVAIL = 1, ACCEPT_STATUS = 20 };
    (void)state;
    uint16_t port;
    uint32_t xid;
    uint8_t reply[64];
    struct sockaddr_in from;
    pthread_t thread;
    int server = open_socket(0, &port);
    SET_ADDRESSES(HERE, NOWHERE);
    dari_client *client = connect_to_name(port);
    assert_int_equal(pthread_create(&thread, NULL, call_add, client), 0);
    for (uint32_t expected = 0; expected <= ADD; expected += ADD) {
        assert_int_equal(take_call(server, &xid, &from), expected);
        size_t size = (size_t)(raw_reply(reply, xid) - reply);
        dari_put_u32(reply + ACCEPT_STATUS, PROG_UNAVAIL);
        give(server, reply, size, &from);
    }
    expect_result(thread, DARI_PROGRAM_UNAVAILABLE);
    dari_client_close(client);
    close(server);
}

static void reserved_ports(void **state)
{
    (void)state;
    uint16_t port;
    uint32_t xid;
    struct sockaddr_in from;
    int32_t sum = 7;
    char address[64];
    pthread_t thread;
    dari_client *client = NULL;
    int server = open_socket(0, &port);
    SET_ADDRESSES(ELSEWHERE, HERE);
    snprintf(address, sizeof address, "udp://127.0.0.1:%u", port);
    const dari_client_options options = {.tcp.reserved_port = true};
    int error = dari_connect(address, &options, &client);
    dari_client_close(client);
    if (error == DARI_PERMISSION) {
        close(server);
        skip();
    }
    snprintf(address, sizeof address, "udp://several.test:%u", port);
    assert_int_equal(dari_connect(address, &options, &client), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_add, client), 0);
    for (uint32_t expected = 0; expected <= ADD; expected += ADD) {
        assert_int_equal(take_call(server, &xid, &from), expected);
        assert_in_range(ntohs(from.sin_port), 512, 1023);
        answer(server, xid, &from, expected ? &sum : NULL);
    }
    expect_result(thread, 7);
    dari_client_close(client);
    close(server);
}

/* A question that is lost is asked again as soon as a call would be. */
static void a_lost_question_is_asked_again(void **state)
{
    (void)state;
    uint16_t port;
    uint32_t xid;
    struct sockaddr_in from;
    pthread_t thread;
    int32_t sum = 7;
    int server = open_socket(0, &port);
    const dari_client_options options = {.retry_ns = 20 * DARI_MS, .deadline_ns = 400 * DARI_MS};
    SET_ADDRESSES(HERE, NOWHERE);
    dari_client *client = connect_with(port, &options);
    assert_int_equal(pthread_create(&thread, NULL, call_add, client), 0);
    assert_int_equal(take_call(server, &xid, NULL), 0);
    uint32_t procedure = take_call(server, &xid, &from);
    for (answer(server, xid, &from, NULL); procedure != ADD;)
        procedure = take_call(server, &xid, &from);
    answer(server, xid, &from, &sum);
    expect_result(thread, 7);
    dari_client_close(client);
    close(server);
}

/* A name has one address at first, and several when its client connects again: which program it was
 * for, nobody has told. */
static void a_name_gets_more_addresses(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    SET_ADDRESSES(HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    expect_sum(client);
    SET_ADDRESSES(NOWHERE, HERE);
    pthread_mutex_lock(&client->lock);
    di_client_break(client, DARI_ERRNO, EIO);
    pthread_mutex_unlock(&client->lock);
    expect_sum(client);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* A client that never waits for an answer. */
static void one_way_calls_alone(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture));
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    expect_sum(client);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void *call_briefly(void *argument)
{
    dari_call call = {.deadline_ns = 100 * DARI_MS};
    int error = add_1(argument, &(pair){3, 4}, &(int32_t){0}, &call);
    dari_call_end(&call);
    return (void *)(intptr_t)error;
}

/* The server was given the share of a short time, and the next address refuses: calls that have
 * more time make an attempt of their own. */
static void a_call_with_little_time_ends_alone(void **state)
{
    (void)state;
    uint16_t port;
    uint32_t xid;
    struct sockaddr_in from;
    pthread_t thread;
    void *result;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    SET_ADDRESSES(HERE, NOWHERE);
    dari_client *client = connect_to_name(port);
    assert_int_equal(pthread_create(&thread, NULL, call_briefly, client), 0);
    assert_int_equal(take_call(server, &xid, &from), 0);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    pthread_join(thread, &result);
    assert_true((intptr_t)result < 0);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_int_equal(sum, 0);
    for (uint32_t procedure = 0; procedure != ADD;) {
        procedure = take_call(server, &xid, &from);
        answer(server, xid, &from, procedure == ADD ? &(int32_t){7} : NULL);
    }
    assert_int_equal(dari_client_wait(client, DEADLINE_NS), 0);
    assert_int_equal(sum, 7);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusing_addresses_are_left),
        cmocka_unit_test(a_silent_address_is_left),
        cmocka_unit_test(nothing_is_sent_before_a_call),
        cmocka_unit_test(connecting_asks_where_it_can),
        cmocka_unit_test(calls_in_flight),
        cmocka_unit_test(one_thread_has_both),
        cmocka_unit_test(threads_and_a_loop),
        cmocka_unit_test(addresses_of_both_kinds),
        cmocka_unit_test(all_addresses_refuse),
        cmocka_unit_test(all_addresses_are_silent),
        cmocka_unit_test(a_call_is_cancelled_while_nobody_answers),
        cmocka_unit_test(a_call_without_a_deadline),
        cmocka_unit_test(an_address_that_has_answered_stays),
        cmocka_unit_test(a_refusal_of_rpc_is_an_answer),
        cmocka_unit_test(reserved_ports),
        cmocka_unit_test(a_lost_question_is_asked_again),
        cmocka_unit_test(a_name_gets_more_addresses),
        cmocka_unit_test(one_way_calls_alone),
        cmocka_unit_test(a_call_with_little_time_ends_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
