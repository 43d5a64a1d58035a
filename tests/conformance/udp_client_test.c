/* SPDX-License-Identifier: MIT */
/* Clients of udp://: what they send again, and what they make of errors, refusals, late answers and
 * answers from elsewhere. */
#include "conformance/udp.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/counters.h>
#include <dari/interface.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOON_NS (UINT64_C(20) * 1000000)
/* An argument of that size is written without the lock of the client. */
#define UNLOCKED 1024

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
    uint8_t *room = dari_exchange_reserve(&writer, UNLOCKED);
    assert_non_null(room);
    memset(room, 0, UNLOCKED);
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
            di_resend_keep(client, &small[k], 1, message, 40, di_now());
        for (int k = 0; k < 2; k++)
            di_resend_end(client, &small[k]);
        di_resend_keep(client, &large, 1, message, sizeof message, di_now());
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

/* A datagram on its way to a client, whose checksum is wrong. It is too large for the kernel to
 * look at that as soon as it comes. */
typedef struct wrong_datagram {
    struct iphdr ip;
    struct udphdr udp;
    uint8_t bytes[400];
} wrong_datagram;

typedef struct wrong_sender {
    int raw;
    struct sockaddr_in to;
    wrong_datagram datagram;
    atomic_bool over;
} wrong_sender;

/* Sends for 5 s at most. */
static void *send_wrong_ones(void *argument)
{
    wrong_sender *sender = argument;
    for (int i = 0; i < 250 && !atomic_load(&sender->over); i++) {
        sendto(sender->raw, &sender->datagram, sizeof sender->datagram, 0,
               (const struct sockaddr *)&sender->to, sizeof sender->to);
        nanosleep(&(struct timespec){.tv_nsec = SOON_NS}, NULL);
    }
    return NULL;
}

static wrong_datagram make_wrong_datagram(uint16_t from, const struct sockaddr_in *to)
{
    return (wrong_datagram){
        .ip = {.version = 4,
               .ihl = 5,
               .tot_len = htons(sizeof(wrong_datagram)),
               .ttl = 64,
               .protocol = IPPROTO_UDP,
               .saddr = htonl(INADDR_LOOPBACK),
               .daddr = to->sin_addr.s_addr},
        .udp = {.source = htons(from),
                .dest = to->sin_port,
                .len = htons(sizeof(wrong_datagram) - sizeof(struct iphdr)),
                .check = htons(1)},
    };
}

static void wrong_checksums_do_not_put_a_deadline_off(void **state)
{
    (void)state;
    uint16_t port;
    uint8_t bytes[128];
    wrong_sender sender = {.raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)};
    pthread_t thread;
    if (sender.raw < 0)
        skip();
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, NULL);
    assert_int_equal(nothing_1(client, &DARI_CALL(.deadline_ns = DARI_MS)), DARI_DEADLINE);
    take(server, bytes, sizeof bytes, &sender.to);
    sender.datagram = make_wrong_datagram(port, &sender.to);
    assert_int_equal(pthread_create(&thread, NULL, send_wrong_ones, &sender), 0);
    uint64_t begun = di_now();
    int error = nothing_1(client, &DARI_CALL(.deadline_ns = 500 * DARI_MS));
    uint64_t passed = di_now() - begun;
    atomic_store(&sender.over, true);
    pthread_join(thread, NULL);
    assert_int_equal(error, DARI_DEADLINE);
    assert_in_range(passed, 500 * DARI_MS, 3 * DARI_S);
    dari_client_close(client);
    close(server);
    close(sender.raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_call_is_sent_again),
        cmocka_unit_test(a_lost_call_while_another_is_written),
        cmocka_unit_test(a_thread_that_waits_sends_again),
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
        cmocka_unit_test(wrong_checksums_do_not_put_a_deadline_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
