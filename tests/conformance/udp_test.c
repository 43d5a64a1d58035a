/* SPDX-License-Identifier: MIT */
/* What is particular to udp:// -- messages that are lost, doubled or overtaken, callers without
 * connections, and the limit of a datagram. */
#include "conformance/harness.h"
#include "support/relay.h"

#include "base/clock.h"
#include "loop/client.h"

#include <arpa/inet.h>
#include <dari/counters.h>
#include <dari/interface.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define SOON_NS (UINT64_C(20) * 1000000)
/* The most data of a call of ECHO_DATA in one datagram: behind header and length. */
#define DATA_MAX (65507u - 44u - 3u)

static const test_scheme udp4 = {.name = "udp4", .address = "udp://127.0.0.1:0"};

static void serve(test_fixture *fixture)
{
    fixture->scheme = &udp4;
    fixture_begin(fixture);
    fixture_serve(fixture);
}

static uint16_t port_of(const char *address)
{
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

/* A bare socket of 127.0.0.1; connected to `port`, unless that is 0. */
static int open_socket(uint16_t port, uint16_t *ret_own)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in other = own;
    socklen_t size = sizeof own;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    other.sin_port = htons(port);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&own, sizeof own), 0);
    if (port)
        assert_int_equal(connect(descriptor, (struct sockaddr *)&other, sizeof other), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&own, &size), 0);
    if (ret_own)
        *ret_own = ntohs(own.sin_port);
    return descriptor;
}

static bool readable(int descriptor, int milliseconds)
{
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    return poll(&one, 1, milliseconds) == 1;
}

static size_t take(int descriptor, uint8_t *bytes, size_t room, struct sockaddr_in *ret_from)
{
    socklen_t size = sizeof *ret_from;
    assert_true(readable(descriptor, PATIENCE_MS));
    ssize_t got =
        recvfrom(descriptor, bytes, room, 0, (struct sockaddr *)ret_from, ret_from ? &size : NULL);
    assert_true(got >= 0);
    return (size_t)got;
}

static void give(int descriptor, const uint8_t *bytes, size_t size, const struct sockaddr_in *to)
{
    assert_int_equal(
        sendto(descriptor, bytes, size, 0, (const struct sockaddr *)to, to ? sizeof *to : 0),
        (ssize_t)size);
}

/* Writes the call add(a, b) and returns its size. */
static size_t write_add(uint8_t *bytes, uint32_t xid, uint32_t a, uint32_t b)
{
    uint8_t *at = raw_call(bytes, xid, 0x20000102, 1, 2);
    dari_put_u32(at, a);
    dari_put_u32(at + 4, b);
    return (size_t)(at + 8 - bytes);
}

static void check_sum(const uint8_t *reply, size_t size, uint32_t xid, uint32_t sum)
{
    assert_int_equal(size, 28);
    assert_int_equal(dari_get_u32(reply), xid);
    assert_int_equal(dari_get_u32(reply + 24), sum);
}

static void check_calls(const char *address)
{
    test_scheme scheme = {.name = "udp", .address = address};
    test_fixture fixture = {.scheme = &scheme};
    int32_t sum;
    opaque_data ret;
    dari_call call = {0};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(nothing_1(client, NULL), 0);
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
    uint8_t *data = calloc(1, DATA_MAX + 4);
    for (uint32_t size = 0; size <= DATA_MAX;
         size = size < DATA_MAX && 3 * size >= DATA_MAX ? DATA_MAX : 3 * size + 1) {
        memset(data, (int)size, size);
        assert_int_equal(echo_data_1(client, &(opaque_data){size, data}, &ret, &call), 0);
        assert_int_equal(ret.size, size);
        assert_memory_equal(ret.data, data, size);
    }
    assert_int_equal(echo_data_1(client, &(opaque_data){DATA_MAX + 4, data}, &ret, &call),
                     DARI_LIMIT);
    assert_non_null(strstr(dari_call_message(&call), "65507"));
    assert_false(call.may_have_run);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    free(data);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void calls_are_answered(void **state)
{
    (void)state;
    const test_scheme six = {.name = "udp6", .address = "udp://[::1]:0"};
    check_calls("udp://127.0.0.1:0");
    if (scheme_is_there(&six))
        check_calls("udp://[::1]:0");
}

/* A client's way to an address of the host that the server is not bound to in particular. */
static void answers_come_from_the_address_asked(void **state)
{
    (void)state;
    test_scheme any = {.name = "udp", .address = "udp://0.0.0.0:0"};
    test_fixture fixture = {.scheme = &any};
    int32_t sum;
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    snprintf(fixture.address, sizeof fixture.address, "udp://127.0.0.77:%u",
             port_of(dari_server_address(fixture.server, 0)));
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    dari_client_close(client);
    fixture_end(&fixture);
}

static dari_client *connect_to_port(uint16_t port, const dari_client_options *options)
{
    char address[64];
    dari_client *client = NULL;
    snprintf(address, sizeof address, "udp://127.0.0.1:%u", port);
    assert_int_equal(dari_connect(address, options, &client), 0);
    return client;
}

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    *(int32_t *)user = ret ? *ret : call->error;
}

/* Makes progress until a datagram is there for the other side. */
static void await_datagram(dari_client *client, int descriptor)
{
    uint64_t until = di_deadline_in(PATIENCE_MS * UINT64_C(1000000));
    while (!readable(descriptor, 0)) {
        assert_true(di_now() < until);
        assert_true(dari_client_dispatch(client) >= 0);
        uint64_t left = dari_client_timeout_ns(client);
        struct pollfd both[2] = {{.fd = descriptor, .events = POLLIN},
                                 {.fd = dari_client_descriptor(client), .events = POLLIN}};
        poll(both, 2, di_poll_timeout(di_deadline_in(left < SOON_NS ? left : SOON_NS)));
    }
}

static void a_lost_call_is_sent_again(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t first[128], again[128], reply[64];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS});
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    await_datagram(client, server);
    size_t size = take(server, first, sizeof first, &from);
    for (int i = 0; i < 2; i++) {
        await_datagram(client, server);
        assert_int_equal(take(server, again, sizeof again, &from), size);
        assert_memory_equal(again, first, size);
    }
    uint8_t *end = raw_reply(reply, dari_get_u32(first));
    dari_put_u32(end, 7);
    /* What is no reply, or answers something else, is passed over. */
    give(server, (const uint8_t *)"rubbish", 7, &from);
    give(server, first, size, &from);
    give(server, reply, (size_t)(end + 4 - reply), &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, 7);
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    assert_int_equal(counters.calls.ok, 1);
    assert_true(counters.repeated >= 2);
    dari_counters_end(&counters);
    dari_client_close(client);
    dari_call_end(&call);
    close(server);
}

/* While a thread writes its argument, nothing can be sent; right after that it is. */
static void a_lost_call_while_another_is_written(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS});
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    await_datagram(client, server);
    dari_exchange writer;
    dari_exchange_begin(&writer, client, &echo_1_interface, 0, NULL);
    assert_non_null(dari_exchange_reserve(&writer, 0));
    uint64_t due = di_flights_due(&client->flights), repeated = client->repeated;
    while (di_now() < due)
        poll(NULL, 0, 1);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_true(di_flights_due(&client->flights) <= di_now() + DARI_MS);
    assert_int_equal(client->repeated, repeated);
    assert_int_equal(dari_exchange_post(&writer), 0);
    for (int i = 0; i < 3; i++) { /* the call, the other one, and the call again */
        await_datagram(client, server);
        take(server, bytes, sizeof bytes, &from);
    }
    assert_true(client->repeated > repeated);
    dari_client_close(client);
    dari_call_end(&call);
    close(server);
}

typedef struct waiting_call {
    dari_client *client;
    dari_call call;
    int32_t sum;
    int error;
} waiting_call;

static atomic_uint ended_calls;

static void *call_add(void *argument)
{
    waiting_call *one = argument;
    one->error = add_1(one->client, &(pair){3, 4}, &one->sum, &one->call);
    atomic_fetch_add(&ended_calls, 1);
    return NULL;
}

static void a_thread_that_waits_sends_again(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128], reply[64];
    struct sockaddr_in from;
    pthread_t threads[3];
    waiting_call calls[3];
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS});
    atomic_store(&ended_calls, 0);
    for (int i = 0; i < 3; i++) {
        calls[i] = (waiting_call){.client = client};
        assert_int_equal(pthread_create(&threads[i], NULL, call_add, &calls[i]), 0);
    }
    for (int i = 0; i < 9; i++)
        take(server, bytes, sizeof bytes, &from);
    while (atomic_load(&ended_calls) < 3) {
        if (!readable(server, 1))
            continue;
        take(server, bytes, sizeof bytes, &from);
        uint8_t *end = raw_reply(reply, dari_get_u32(bytes));
        dari_put_u32(end, 7);
        give(server, reply, (size_t)(end + 4 - reply), &from);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(calls[i].error, 0);
        assert_int_equal(calls[i].sum, 7);
    }
    dari_client_close(client);
    close(server);
}

static void a_call_that_comes_twice_runs_once(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    int other = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    for (int i = 0; i < 3; i++) {
        give(client, call, size, NULL);
        check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    }
    fixture_await_entered(&fixture, 1);
    /* The same from another caller, and another call of this one with the same number. */
    give(other, call, size, NULL);
    check_sum(reply, take(other, reply, sizeof reply, NULL), 5, 23);
    size = write_add(call, 5, 20, 4);
    give(client, call, size, NULL);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 24);
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture.server, &counters), 0);
    assert_int_equal(counters.calls.ok, 3);
    assert_int_equal(counters.repeated, 2);
    dari_counters_end(&counters);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 3);
    close(client);
    close(other);
    fixture_end(&fixture);
}

static void a_call_in_progress_is_not_begun_again(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = &udp4};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 2;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    fixture_close_gate(&fixture);
    give(client, call, size, NULL);
    fixture_await_entered(&fixture, 1);
    for (int i = 0; i < 5; i++)
        give(client, call, size, NULL);
    /* Those five have been looked at once this one has been begun. */
    size = write_add(call, 6, 1, 1);
    give(client, call, size, NULL);
    fixture_await_entered(&fixture, 2);
    fixture_open_gate(&fixture);
    uint32_t sums = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(client, reply, sizeof reply, NULL), 28);
        sums += dari_get_u32(reply + 24);
    }
    assert_int_equal(sums, 25);
    fixture_stop(&fixture);
    assert_false(readable(client, 0));
    assert_int_equal(fixture.entered, 2);
    close(client);
    fixture_end(&fixture);
}

/* While all calls that may be remembered are in progress, another one is not begun. */
static void a_call_that_cannot_be_remembered(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = &udp4};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture.options.remembered_max = 1;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    fixture_close_gate(&fixture);
    give(client, call, write_add(call, 5, 20, 3), NULL);
    fixture_await_entered(&fixture, 1);
    give(client, call, write_add(call, 6, 1, 1), NULL);
    dari_counters counters = {0};
    uint64_t until = di_deadline_in(PATIENCE_MS * UINT64_C(1000000));
    while (counters.dropped + counters.repeated == 0 && di_now() < until) {
        dari_counters_end(&counters);
        assert_int_equal(dari_server_counters(fixture.server, &counters), 0);
    }
    assert_int_equal(counters.dropped, 1);
    assert_int_equal(counters.repeated, 0);
    dari_counters_end(&counters);
    fixture_open_gate(&fixture);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

static void errors_are_answered_once_too(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    uint8_t *end = raw_call(call, 9, 0x20000102, 1, 3);
    dari_put_u32(end, 1);
    for (int i = 0; i < 2; i++) {
        give(client, call, (size_t)(end + 4 - call), NULL);
        assert_int_equal(take(client, reply, sizeof reply, NULL), 24);
        assert_int_equal(dari_get_u32(reply + 20), 5);
    }
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

static void rubbish_does_not_end_the_service(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    int32_t sum;
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    for (size_t cut = 0; cut < size; cut++)
        give(client, call, cut, NULL);
    dari_put_u32(call + 4, 1); /* a reply, which nobody waits for */
    give(client, call, size, NULL);
    dari_client *whole = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(whole, &(pair){1, 2}, &sum, NULL), 0);
    /* Nothing is answered that is longer than what was asked. */
    while (readable(client, 0))
        assert_in_range(take(client, reply, sizeof reply, NULL), 20, 40);
    dari_client_close(whole);
    close(client);
    fixture_end(&fixture);
}

/* As over a stream, in a datagram each. */
static void calls_are_refused_with_reasons(void **state)
{
    (void)state;
    /* A word of the call that is changed, and what comes back after the xid. */
    static const struct {
        size_t word;
        uint32_t is;
        uint32_t count, words[6];
    } cases[] = {
        {2, 3, 5, {1, 1, 0, 2, 2}},                                    /* RPC_MISMATCH */
        {2, 1, 5, {1, 1, 0, 2, 2}},          {6, 77, 4, {1, 1, 1, 2}}, /* AUTH_REJECTEDCRED */
        {3, 0x20000199, 5, {1, 0, 0, 0, 1}},                           /* PROG_UNAVAIL */
        {4, 2, 7, {1, 0, 0, 0, 2, 1}},                                 /* PROG_MISMATCH, 1 to 1 */
        {5, 99, 5, {1, 0, 0, 0, 3}},                                   /* PROC_UNAVAIL */
        {5, 4, 5, {1, 0, 0, 0, 4}},                                    /* GARBAGE_ARGS: of SINK */
    };
    test_fixture fixture = {0};
    uint8_t call[1024], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = write_add(call, 100 + i, 20, 3);
        dari_put_u32(call + 4 * cases[i].word, cases[i].is);
        give(client, call, size, NULL);
        assert_int_equal(take(client, reply, sizeof reply, NULL), 4 * (cases[i].count + 1));
        assert_int_equal(dari_get_u32(reply), 100 + i);
        for (uint32_t word = 0; word < cases[i].count && word < 6; word++)
            assert_int_equal(dari_get_u32(reply + 4 + 4 * word), cases[i].words[word]);
    }
    /* A credential of 404 bytes. */
    memset(call, 0, sizeof call);
    write_add(call, 200, 0, 0);
    memset(call + 24, 0, 200);
    dari_put_u32(call + 28, 404);
    give(client, call, 40 + 404 + 8, NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), 20);
    assert_int_equal(dari_get_u32(reply + 16), 1); /* AUTH_BADCRED */
    give(client, call, write_add(call, 300, 20, 3), NULL);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 300, 23);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

/* With the right number, and before that of the server. */
static void a_reply_from_elsewhere_is_not_taken(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128], reply[64];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port), other = open_socket(0, NULL);
    dari_client *client = connect_to_port(port, NULL);
    assert_int_equal(add_1_start(client, &(pair){5, 6}, &call, take_sum, &sum), 0);
    await_datagram(client, server);
    take(server, bytes, sizeof bytes, &from);
    uint8_t *end = raw_reply(reply, dari_get_u32(bytes));
    dari_put_u32(end, 666);
    for (int i = 0; i < 3; i++)
        give(other, reply, (size_t)(end + 4 - reply), &from);
    dari_put_u32(end, 11);
    give(server, reply, (size_t)(end + 4 - reply), &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, 11);
    assert_int_equal(client->pending.dropped, 0); /* it never came so far */
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
    close(other);
}

static void nobody_listens(void **state)
{
    (void)state;
    uint16_t port;
    int32_t sum = 0;
    dari_call call = {0};
    int nobody = open_socket(0, &port);
    close(nobody);
    dari_client *client = connect_to_port(port, NULL);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_REFUSED);
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, DARI_REFUSED);
    dari_call_end(&call);
    dari_client_close(client);
}

/* The processor's time that this process has taken. */
static uint64_t time_used(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * DARI_S + (uint64_t)used.tv_nsec;
}

/* Each call to a port where nobody listens has the network say so: those that wait hear of it at
 * once, and what is left of it in the socket neither ends a later call nor keeps anybody busy. */
static void a_flood_of_refusals(void **state)
{
    enum { ROUNDS = 50, COUNT = 20 };
    (void)state;
    uint16_t port;
    int32_t sums[COUNT];
    dari_call calls[COUNT] = {0};
    /* A socket that hears somebody else alone. */
    int server = open_socket(9, &port);
    dari_client *client = connect_to_port(port, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(nothing_1_oneway(client, NULL), 0);
            assert_int_equal(add_1_start(client, &(pair){1, 2}, &calls[i], take_sum, &sums[i]), 0);
        }
        assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(sums[i], DARI_REFUSED);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(nothing_1_oneway(client, NULL), 0);
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    int descriptor = di_connection_descriptor(client->channel.connection);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&here, &size), 0);
    assert_int_equal(connect(server, (struct sockaddr *)&here, sizeof here), 0);
    int32_t sum;
    uint64_t began = di_now(), used = time_used();
    calls[0].deadline_ns = 200 * DARI_MS;
    int error = add_1(client, &(pair){1, 2}, &sum, &calls[0]);
    if (error == DARI_REFUSED) {
        began = di_now();
        error = add_1(client, &(pair){1, 2}, &sum, &calls[0]);
    }
    assert_int_equal(error, DARI_DEADLINE);
    assert_in_range(di_now() - began, 200 * DARI_MS, 5 * DARI_S);
    assert_in_range(time_used() - used, 0, 50 * DARI_MS);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    dari_client_close(client);
    close(server);
}

static void count_answer(void *user, const opaque_data *ret, dari_call *call)
{
    (void)call;
    *(unsigned *)user += ret && ret->size == 32768;
}

/* The answers of many large calls find room in the client's socket, though nobody receives. */
static void large_answers_wait_in_the_socket(void **state)
{
    enum { COUNT = 8, SIZE = 32768 };
    (void)state;
    static uint8_t data[SIZE];
    test_fixture fixture = {0};
    dari_call calls[COUNT] = {0};
    unsigned answered = 0;
    serve(&fixture);
    dari_client *client =
        fixture_connect(&fixture, &(dari_client_options){.retry_ns = DI_RETRY_MAX_NS});
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(echo_data_1_start(client, &(opaque_data){SIZE, data}, &calls[i],
                                           count_answer, &answered),
                         0);
        assert_int_equal(di_channel_unsent(&client->channel), 0);
        fixture_await_entered(&fixture, i + 1);
    }
    fixture_stop(&fixture);
    assert_int_equal(dari_client_wait(client, 5 * DARI_S), 0);
    assert_int_equal(answered, COUNT);
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    assert_int_equal(counters.repeated, 0);
    dari_counters_end(&counters);
    for (unsigned i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* A server may come back: a refusal is not the end of the client. */
static void a_refusal_is_not_the_end(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    serve(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    fixture_stop(&fixture);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), DARI_REFUSED);
    fixture_serve(&fixture);
    assert_int_equal(add_1(client, &(pair){4, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 6);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* The socket itself fails: that loses the connection, and another socket takes its place. */
static void a_broken_socket_is_replaced(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    int32_t sum = 0;
    dari_call call = {0};
    serve(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    shutdown(di_connection_descriptor(client->channel.connection), SHUT_RDWR);
    assert_int_equal(add_1(client, &(pair){2, 2}, &sum, &call), DARI_ERRNO);
    assert_int_equal(call.system_error, EPIPE);
    assert_false(call.may_have_run);
    assert_int_equal(add_1(client, &(pair){3, 2}, &sum, &call), 0);
    assert_int_equal(sum, 5);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    shutdown(di_connection_descriptor(client->channel.connection), SHUT_RDWR);
    assert_int_equal(add_1(client, &(pair){4, 2}, &sum, &call), 0);
    assert_int_equal(sum, 6);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

/* What the next socket sends is sent again there, too, and only there. */
static void a_call_on_the_next_socket_is_sent_again(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t first[128], again[128], reply[64];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {0};
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS});
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, take_sum, &sum), 0);
    await_datagram(client, server);
    size_t size = take(server, first, sizeof first, &from);
    in_port_t old = from.sin_port;
    shutdown(di_connection_descriptor(client->channel.connection), SHUT_RDWR);
    for (int i = 0; i < 3; i++) {
        await_datagram(client, server);
        assert_int_equal(take(server, again, sizeof again, &from), size);
        assert_memory_equal(again, first, size);
        assert_int_not_equal(from.sin_port, old);
    }
    assert_int_equal(client->flights.flying, 1);
    uint8_t *end = raw_reply(reply, dari_get_u32(first));
    dari_put_u32(end, 7);
    give(server, reply, (size_t)(end + 4 - reply), &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, 7);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

/* A client that was idle looks at its socket before a call: what has come late is dropped there, as
 * it is elsewhere. */
static void late_replies_before_a_call(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128], reply[64];
    struct sockaddr_in from;
    int32_t sum = 0;
    dari_call call = {.deadline_ns = SOON_NS};
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, NULL);
    assert_int_equal(add_1(client, &(pair){3, 4}, &sum, &call), DARI_DEADLINE);
    take(server, bytes, sizeof bytes, &from);
    uint8_t *end = raw_reply(reply, dari_get_u32(bytes));
    dari_put_u32(end, 1);
    for (unsigned i = 0; i < DI_LOOKS_MAX + 2; i++)
        give(server, reply, (size_t)(end + 4 - reply), &from);
    client->reconnect.used = 0;
    call.deadline_ns = 0;
    assert_int_equal(add_1_start(client, &(pair){5, 6}, &call, take_sum, &sum), 0);
    assert_int_equal(client->pending.dropped, DI_LOOKS_MAX);
    await_datagram(client, server);
    take(server, bytes, sizeof bytes, &from);
    raw_reply(reply, dari_get_u32(bytes));
    dari_put_u32(end, 11);
    give(server, reply, (size_t)(end + 4 - reply), &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, 11);
    assert_int_equal(client->pending.dropped, DI_LOOKS_MAX + 2);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

/* A server that takes some copies of a call, and answers the last one: it has no such procedure. */
typedef struct refusing_server {
    int descriptor;
    unsigned copies;
} refusing_server;

static void *refuse_last(void *argument)
{
    const refusing_server *server = argument;
    uint8_t bytes[128], reply[64];
    struct sockaddr_in from;
    for (unsigned i = 0; i < server->copies; i++)
        take(server->descriptor, bytes, sizeof bytes, &from);
    raw_reply(reply, dari_get_u32(bytes));
    dari_put_u32(reply + 20, 3);
    give(server->descriptor, reply, 24, &from);
    return NULL;
}

/* Of a call that was sent again, another copy may have run than the one that is refused. */
static void check_refusal(unsigned copies, uint64_t retry_ns)
{
    uint16_t port;
    bool may_have_run = copies > 1;
    int32_t sum = 0;
    dari_call call = {0};
    pthread_t thread;
    refusing_server server = {open_socket(0, &port), copies};
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = retry_ns});
    assert_int_equal(pthread_create(&thread, NULL, refuse_last, &server), 0);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_PROCEDURE_UNAVAILABLE);
    assert_int_equal(call.may_have_run, may_have_run);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, refuse_last, &server), 0);
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, DARI_PROCEDURE_UNAVAILABLE);
    assert_int_equal(call.may_have_run, may_have_run);
    pthread_join(thread, NULL);
    dari_call_end(&call);
    dari_client_close(client);
    close(server.descriptor);
}

static void a_refusal_of_one_copy(void **state)
{
    (void)state;
    check_refusal(1, 8 * DARI_S);
    check_refusal(2, SOON_NS);
}

/* The messages that are kept in turn are of many sizes, and given back in any order. */
static void kept_messages_stay_few(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t message[4096] = {0};
    unsigned pooled = 0;
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, NULL);
    pthread_mutex_lock(&client->lock);
    for (int i = 0; i < 100; i++) {
        di_resend small[2] = {0}, large = {0};
        for (int k = 0; k < 2; k++)
            di_resend_keep(client, &small[k], 1, message, 40);
        for (int k = 0; k < 2; k++)
            di_resend_end(client, &small[k]);
        di_resend_keep(client, &large, 1, message, sizeof message);
        di_resend_end(client, &large);
    }
    for (const di_kept_message *kept = client->kept; kept; kept = kept->next)
        pooled++;
    pthread_mutex_unlock(&client->lock);
    assert_in_range(pooled, 1, 2);
    dari_client_close(client);
    close(server);
}

static void deadline_of_a_silent_server(void **state)
{
    (void)state;
    uint16_t port;
    int32_t sum = 0;
    dari_call call = {.deadline_ns = 3 * SOON_NS};
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS});
    uint64_t begun = di_now();
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &call), DARI_DEADLINE);
    assert_true(call.may_have_run);
    assert_true(di_now() - begun >= 3 * SOON_NS);
    call.deadline_ns = 3 * SOON_NS;
    begun = di_now();
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &call, take_sum, &sum), 0);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(sum, DARI_DEADLINE);
    assert_true(di_now() - begun >= 3 * SOON_NS);
    dari_call_end(&call);
    dari_client_close(client);
    close(server);
}

static char told[96];

static int tell_peer(dari_request *request)
{
    snprintf(told, sizeof told, "%s", dari_request_peer_address(request));
    dari_peer peer;
    return dari_request_peer(request, &peer) == DARI_SCHEME ? 0 : DARI_INVALID;
}

static void a_caller_is_told_by_its_address(void **state)
{
    (void)state;
    static const echo_1_handlers handlers = {.nothing = tell_peer};
    test_fixture fixture = {.scheme = &udp4};
    uint8_t call[64], reply[64];
    char expected[96];
    uint16_t port;
    fixture_begin(&fixture);
    fixture.handlers = &handlers;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), &port);
    uint8_t *end = raw_call(call, 1, 0x20000102, 1, 0);
    give(client, call, (size_t)(end - call), NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), 24);
    fixture_stop(&fixture);
    snprintf(expected, sizeof expected, "udp://127.0.0.1:%u", port);
    assert_string_equal(told, expected);
    close(client);
    fixture_end(&fixture);
}

static void finishing_lets_calls_end(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = &udp4};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    fixture_close_gate(&fixture);
    give(client, call, write_add(call, 5, 20, 3), NULL);
    fixture_await_entered(&fixture, 1);
    dari_server_finish(fixture.server, PATIENCE_MS * UINT64_C(1000000));
    fixture_open_gate(&fixture);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    pthread_join(fixture.thread, NULL);
    fixture.running = false;
    assert_int_equal(fixture.run_result, 0);
    close(client);
    fixture_end(&fixture);
}

#define BAD_CALLS 200u

/* How often each call has run. */
static atomic_uint runs[BAD_CALLS];

static int count_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    atomic_fetch_add(&runs[arg->a], 1);
    *ret = arg->a + arg->b;
    return 0;
}

typedef struct bad_call {
    dari_call call;
    unsigned index, ended;
    bool answered;
} bad_call;

static void end_bad_call(void *user, const int32_t *ret, dari_call *call)
{
    bad_call *one = user;
    one->ended++;
    one->answered = ret != NULL;
    assert_true(ret ? *ret == (int32_t)one->index + 1000 : call->error == DARI_DEADLINE);
}

static void check_network(const relay_options *options, unsigned workers, uint64_t deadline_ns)
{
    static const echo_1_handlers handlers = {.add = count_add};
    test_fixture fixture = {.scheme = &udp4};
    bad_call *calls = calloc(BAD_CALLS, sizeof *calls);
    uint16_t port;
    unsigned answered = 0;
    fixture_begin(&fixture);
    fixture.handlers = &handlers;
    fixture.options.workers = workers;
    fixture_serve(&fixture);
    test_relay *relay = relay_start(options, "127.0.0.1", port_of(fixture.address), &port);
    assert_non_null(relay);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS / 4});
    for (unsigned i = 0; i < BAD_CALLS; i++) {
        atomic_store(&runs[i], 0);
        calls[i].index = i;
        calls[i].call.deadline_ns = deadline_ns;
        assert_int_equal(
            add_1_start(client, &(pair){(int32_t)i, 1000}, &calls[i].call, end_bad_call, &calls[i]),
            0);
    }
    uint64_t begun = di_now();
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_true(di_now() - begun < deadline_ns + PATIENCE_MS * UINT64_C(1000000));
    dari_client_close(client);
    relay_counts counts = relay_stop(relay);
    fixture_stop(&fixture);
    for (unsigned i = 0; i < BAD_CALLS; i++) {
        assert_int_equal(calls[i].ended, 1);
        assert_true(atomic_load(&runs[i]) <= 1);
        assert_true(!calls[i].answered || atomic_load(&runs[i]) == 1);
        answered += calls[i].answered;
        dari_call_end(&calls[i].call);
    }
    assert_true(options->lost == 1000 ? answered == 0 : answered > BAD_CALLS / 2);
    assert_true(!options->doubled || counts.doubled > 0);
    assert_true(!options->lost || counts.lost > 0);
    fixture_end(&fixture);
    free(calls);
}

static void a_bad_network_runs_no_call_twice(void **state)
{
    (void)state;
    const relay_options bad = {
        .seed = 1, .lost = 150, .doubled = 200, .delayed = 300, .delay_ms = 20};
    check_network(&bad, 0, UINT64_C(20000000000));
    check_network(&bad, 2, UINT64_C(20000000000));
}

static void a_dead_network_fails_every_call(void **state)
{
    (void)state;
    check_network(&(relay_options){.seed = 2, .lost = 1000}, 0, 10 * SOON_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered),
        cmocka_unit_test(answers_come_from_the_address_asked),
        cmocka_unit_test(a_lost_call_is_sent_again),
        cmocka_unit_test(a_lost_call_while_another_is_written),
        cmocka_unit_test(a_thread_that_waits_sends_again),
        cmocka_unit_test(a_call_that_comes_twice_runs_once),
        cmocka_unit_test(a_call_in_progress_is_not_begun_again),
        cmocka_unit_test(a_call_that_cannot_be_remembered),
        cmocka_unit_test(errors_are_answered_once_too),
        cmocka_unit_test(rubbish_does_not_end_the_service),
        cmocka_unit_test(calls_are_refused_with_reasons),
        cmocka_unit_test(a_reply_from_elsewhere_is_not_taken),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_flood_of_refusals),
        cmocka_unit_test(large_answers_wait_in_the_socket),
        cmocka_unit_test(a_refusal_is_not_the_end),
        cmocka_unit_test(a_broken_socket_is_replaced),
        cmocka_unit_test(a_call_on_the_next_socket_is_sent_again),
        cmocka_unit_test(late_replies_before_a_call),
        cmocka_unit_test(a_refusal_of_one_copy),
        cmocka_unit_test(kept_messages_stay_few),
        cmocka_unit_test(deadline_of_a_silent_server),
        cmocka_unit_test(a_caller_is_told_by_its_address),
        cmocka_unit_test(finishing_lets_calls_end),
        cmocka_unit_test(a_bad_network_runs_no_call_twice),
        cmocka_unit_test(a_dead_network_fails_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
