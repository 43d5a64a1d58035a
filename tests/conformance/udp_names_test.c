/* SPDX-License-Identifier: MIT */
/* Clients of udp:// and names with several addresses. Names are looked up by a stand-in for the C
 * library's resolver. */
#include "conformance/udp.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/interface.h>
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
/* An argument of that size is written without the lock of the client. */
#define UNLOCKED 1024

/* The addresses of "several.test". */
static const char *several[ADDRESSES_MAX + 1];

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
    for (size_t i = 0; several[i] && error == 0; i++, result = &(*result)->ai_next)
        error = __real_getaddrinfo(several[i], port, hints, result);
    return error;
}

/* No call is sent again by itself while a test runs. */
static const dari_client_options patient = {.retry_ns = DI_RETRY_MAX_NS,
                                            .deadline_ns = 5 * DARI_S};

static dari_client *connect_to_name(unsigned port, const dari_client_options *options)
{
    char address[64];
    dari_client *client = NULL;
    snprintf(address, sizeof address, "udp://several.test:%u", port);
    assert_int_equal(dari_connect(address, options, &client), 0);
    return client;
}

static unsigned port_of(const test_fixture *fixture)
{
    return (unsigned)strtoul(strrchr(fixture->address, ':') + 1, NULL, 10);
}

static void set_addresses(const char *const addresses[ADDRESSES_MAX])
{
    memcpy(several, addresses, ADDRESSES_MAX * sizeof *addresses);
}

#define SET_ADDRESSES(...) set_addresses((const char *const[ADDRESSES_MAX]){__VA_ARGS__})

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    *(int32_t *)user = ret ? *ret : call->error;
}

static void answer(int descriptor, const uint8_t *call, const struct sockaddr_in *to, uint32_t sum)
{
    uint8_t reply[64];
    uint8_t *end = raw_reply(reply, dari_get_u32(call));
    dari_put_u32(end, sum);
    give(descriptor, reply, (size_t)(end + 4 - reply), to);
}

/* A socket at that port of an address; or -1, where the machine has none of its kind. */
static int open_at(const char *host, unsigned port)
{
    char text[8];
    struct addrinfo *address;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
    snprintf(text, sizeof text, "%u", port);
    assert_int_equal(__real_getaddrinfo(host, text, &hints, &address), 0);
    int descriptor = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && bind(descriptor, address->ai_addr, address->ai_addrlen) < 0) {
        close(descriptor);
        descriptor = -1;
    }
    freeaddrinfo(address);
    return descriptor;
}

static void a_call_goes_to_the_next_address(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    dari_call call = {0};
    serve(&fixture);
    SET_ADDRESSES(NOWHERE, ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture), &patient);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(add_1(client, &(pair){i, 2}, &sum, &call), 0);
        assert_int_equal(sum, i + 2);
    }
    assert_int_equal(client->repeated, 2);
    dari_client_close(client);
    dari_call_end(&call);
    fixture_end(&fixture);
}

static void calls_in_flight_go_there_together(void **state)
{
    enum { COUNT = 40 };
    (void)state;
    test_fixture fixture = {0};
    int32_t sums[COUNT];
    dari_call calls[COUNT] = {0};
    serve(&fixture);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port_of(&fixture), &patient);
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

typedef struct waiting_call {
    dari_client *client;
    int32_t sum;
    int error;
} waiting_call;

static void *call_add(void *argument)
{
    waiting_call *one = argument;
    one->error = add_1(one->client, &(pair){3, 4}, &one->sum, NULL);
    return NULL;
}

/* Threads that wait beside a loop: each call of theirs goes on, whoever hears of the refusal. */
static void threads_and_a_loop(void **state)
{
    enum { COUNT = 4, ROUNDS = 10 };
    (void)state;
    test_fixture fixture = {0};
    serve(&fixture);
    SET_ADDRESSES(ELSEWHERE, NOWHERE, HERE);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[COUNT];
        waiting_call calls[COUNT];
        int32_t sum = 0;
        dari_call call = {0};
        dari_client *client = connect_to_name(port_of(&fixture), &patient);
        for (int i = 0; i < COUNT; i++) {
            calls[i] = (waiting_call){.client = client};
            assert_int_equal(pthread_create(&threads[i], NULL, call_add, &calls[i]), 0);
        }
        assert_int_equal(add_1_start(client, &(pair){1, 1}, &call, take_sum, &sum), 0);
        assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
        assert_int_equal(sum, 2);
        for (int i = 0; i < COUNT; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(calls[i].error, 0);
            assert_int_equal(calls[i].sum, 7);
        }
        dari_client_close(client);
        dari_call_end(&call);
    }
    fixture_end(&fixture);
}

/* The socket is the same for both kinds of addresses. */
static void addresses_of_both_kinds(void **state)
{
    (void)state;
    static const char *const orders[][ADDRESSES_MAX] = {
        {"::1", HERE}, {HERE, "::1"}, {"::1", ELSEWHERE, HERE}, {ELSEWHERE, "::1", HERE}};
    if (!scheme_is_there(scheme_named("udp6")))
        skip();
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        int32_t sum = 0;
        test_fixture fixture = {.scheme = scheme_named(i == 1 ? "udp6" : "udp4")};
        fixture_begin(&fixture);
        fixture_serve(&fixture);
        set_addresses(orders[i]);
        dari_client *client = connect_to_name(port_of(&fixture), &patient);
        assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
        assert_int_equal(sum, 3);
        dari_client_close(client);
        fixture_end(&fixture);
    }
}

/* Each call fails once all have refused; the next one begins with the first address, where a server
 * may be by then. */
static void all_addresses_refuse(void **state)
{
    enum { COUNT = 3 };
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0, sums[COUNT];
    dari_call call = {0}, calls[COUNT] = {0};
    serve(&fixture);
    unsigned port = port_of(&fixture);
    fixture_stop(&fixture);
    SET_ADDRESSES(HERE, ELSEWHERE, NOWHERE);
    dari_client *client = connect_to_name(port, &patient);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_REFUSED);
        assert_true(call.may_have_run);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(add_1_start(client, &(pair){1, 2}, &calls[i], take_sum, &sums[i]), 0);
        assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(sums[i], DARI_REFUSED);
    }
    fixture_serve(&fixture);
    assert_int_equal(add_1(client, &(pair){4, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 6);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* Makes progress until a datagram is there for the other side. */
static void await_datagram(dari_client *client, int descriptor)
{
    struct pollfd both[2] = {{.fd = descriptor, .events = POLLIN},
                             {.fd = dari_client_descriptor(client), .events = POLLIN}};
    uint64_t until = di_deadline_in(PATIENCE_MS * UINT64_C(1000000));
    while (!readable(descriptor, 0)) {
        assert_true(di_now() < until);
        assert_true(dari_client_dispatch(client) >= 0);
        poll(both, 2, 20);
    }
}

/* One call ends between two addresses, the other one goes on. */
static void a_deadline_in_between(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[2][128];
    struct sockaddr_in from;
    int32_t early_sum = 0, sum = 0;
    dari_call early = {.deadline_ns = 500 * DARI_MS}, call = {0};
    int server = open_socket(0, &port);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port, &patient);
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &early, take_sum, &early_sum), 0);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    for (int i = 0; i < 2; i++) {
        await_datagram(client, server);
        take(server, bytes[i], sizeof bytes[i], &from);
    }
    while (early_sum == 0)
        dari_client_wait(client, 20 * DARI_MS);
    assert_int_equal(early_sum, DARI_DEADLINE);
    assert_true(early.may_have_run);
    assert_int_equal(sum, 0);
    for (int i = 0; i < 2; i++)
        answer(server, bytes[i], &from, 7);
    assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
    assert_int_equal(early_sum, DARI_DEADLINE);
    assert_int_equal(sum, 7);
    dari_call_end(&early);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

/* Once something has come from an address, it is the one. */
static void an_address_that_has_answered_stays(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    serve(&fixture);
    int other = open_at(ELSEWHERE, port_of(&fixture));
    assert_true(other >= 0);
    SET_ADDRESSES(NOWHERE, HERE, ELSEWHERE);
    dari_client *client = connect_to_name(port_of(&fixture), &patient);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    fixture_stop(&fixture);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    assert_false(readable(other, 0));
    fixture_serve(&fixture);
    assert_int_equal(add_1(client, &(pair){4, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 6);
    dari_client_close(client);
    close(other);
    fixture_end(&fixture);
}

/* An answer that lies in the socket when the refusal of another call comes counts. */
static void an_answer_before_the_refusal(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    int other = open_at(ELSEWHERE, port);
    assert_true(other >= 0);
    SET_ADDRESSES(HERE, ELSEWHERE);
    dari_client *client = connect_to_name(port, &patient);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_dispatch(client), 0);
    take(server, bytes, sizeof bytes, &from);
    answer(server, bytes, &from, 7);
    close(server);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
    assert_int_equal(sum, 7);
    assert_false(readable(other, 0));
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    assert_false(readable(other, 0));
    dari_call_end(&call);
    dari_client_close(client);
    close(other);
}

/* While a thread writes its argument nothing can be sent; right after that everything is. */
static void a_refusal_while_another_call_is_written(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[2 * UNLOCKED];
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port, &patient);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    pthread_mutex_lock(&client->lock);
    di_client_flush(client);
    pthread_mutex_unlock(&client->lock);
    dari_exchange writer;
    dari_exchange_begin(&writer, client, &echo_1_interface, 0, NULL);
    uint8_t *room = dari_exchange_reserve(&writer, UNLOCKED);
    assert_non_null(room);
    memset(room, 0, UNLOCKED);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_false(readable(server, 0));
    assert_int_equal(dari_exchange_post(&writer), 0);
    size_t small = 0;
    for (int i = 0; i < 2; i++)
        small += take(server, bytes, sizeof bytes, NULL) < UNLOCKED;
    assert_int_equal(small, 1);
    assert_int_equal(client->repeated, 1);
    dari_client_close(client);
    dari_call_end(&call);
    close(server);
}

static void a_reserved_port_is_kept(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    char address[64];
    dari_client *client = NULL;
    dari_client_options options = patient;
    int server = open_socket(0, &port);
    SET_ADDRESSES(ELSEWHERE, "::1", HERE);
    options.tcp.reserved_port = true;
    snprintf(address, sizeof address, "udp://several.test:%u", port);
    int error = dari_connect(address, &options, &client);
    if (error == DARI_PERMISSION) {
        close(server);
        skip();
    }
    assert_int_equal(error, 0);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    await_datagram(client, server);
    take(server, bytes, sizeof bytes, &from);
    assert_in_range(ntohs(from.sin_port), 512, 1023);
    answer(server, bytes, &from, 7);
    assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
    assert_int_equal(sum, 7);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

/* A client that never waits for an answer hears of a refusal when it looks at its socket. */
static void one_way_calls_alone(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128];
    int server = open_socket(0, &port);
    SET_ADDRESSES(ELSEWHERE, HERE);
    dari_client *client = connect_to_name(port, NULL);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    client->reconnect.used = 0;
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    assert_true(take(server, bytes, sizeof bytes, NULL) > 0);
    dari_client_close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_to_the_next_address),
        cmocka_unit_test(calls_in_flight_go_there_together),
        cmocka_unit_test(threads_and_a_loop),
        cmocka_unit_test(addresses_of_both_kinds),
        cmocka_unit_test(all_addresses_refuse),
        cmocka_unit_test(a_deadline_in_between),
        cmocka_unit_test(an_address_that_has_answered_stays),
        cmocka_unit_test(an_answer_before_the_refusal),
        cmocka_unit_test(a_refusal_while_another_call_is_written),
        cmocka_unit_test(a_reserved_port_is_kept),
        cmocka_unit_test(one_way_calls_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
