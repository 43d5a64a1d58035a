/* SPDX-License-Identifier: MIT */
/* What a call costs once things are warm: system calls and allocations, counted. */
#include "conformance/harness.h"

#include "loop/client.h"
#include "loop/server.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

typedef struct test_cost {
    unsigned sends, receives, polls, waits, allocations;
} test_cost;

/* Each thread counts for itself: the client's is the test's, the server has its own. */
static _Thread_local test_cost spent;
/* Allocations of all threads: of both sides, and of workers. */
static atomic_uint allocated;

static void count_allocation(void)
{
    spent.allocations++;
    atomic_fetch_add(&allocated, 1);
}

/* The linker puts these in the place of the functions that they count: --wrap. */
ssize_t __real_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __real_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __real_recv(int descriptor, void *bytes, size_t size, int flags);
int __real_poll(struct pollfd *descriptors, nfds_t count, int milliseconds);
int __real_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int milliseconds);
int __wrap_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
void __real_di_reconnect_look(dari_client *client, const dari_exchange *exchange);
void __wrap_di_reconnect_look(dari_client *client, const dari_exchange *exchange);

/* No connection is taken for idle, however slow the machine is. */
void __wrap_di_reconnect_look(dari_client *client, const dari_exchange *exchange)
{
    client->reconnect.used = exchange->began;
    __real_di_reconnect_look(client, exchange);
}

ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    spent.sends++;
    return __real_send(descriptor, bytes, size, flags);
}

ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    spent.sends++;
    return __real_sendmsg(descriptor, message, flags);
}

ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags)
{
    spent.receives++;
    return __real_recv(descriptor, bytes, size, flags);
}

int __wrap_poll(struct pollfd *descriptors, nfds_t count, int milliseconds)
{
    spent.polls++;
    return __real_poll(descriptors, count, milliseconds);
}

int __wrap_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds)
{
    spent.waits++;
    return __real_epoll_wait(descriptor, events, count, milliseconds);
}

void *__wrap_malloc(size_t size)
{
    count_allocation();
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    count_allocation();
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    count_allocation();
    return __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    count_allocation();
    return __real_strdup(text);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static test_cost server_spent;

/* A handler, on the server's thread: what the server has spent so far. */
static int report(dari_request *request)
{
    (void)request;
    pthread_mutex_lock(&lock);
    server_spent = spent;
    pthread_mutex_unlock(&lock);
    return 0;
}

static int echo(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static const echo_1_handlers handlers = {.nothing = report, .echo_data = echo};

static test_cost read_server(dari_client *client)
{
    assert_int_equal(nothing_1(client, NULL), 0);
    pthread_mutex_lock(&lock);
    test_cost result = server_spent;
    pthread_mutex_unlock(&lock);
    return result;
}

enum { IN_FLIGHT = 64 };

/* A server and a client of it, in one place for all tests. */
typedef struct pair_of_sides {
    test_fixture fixture;
    dari_client *client;
    dari_call calls[IN_FLIGHT];
} pair_of_sides;

static void begin_with(pair_of_sides *sides, const dari_server_options *options)
{
    sides->fixture = (test_fixture){.scheme = scheme_named("unix_abstract")};
    fixture_begin(&sides->fixture);
    test_fixture *fixture = &sides->fixture;
    assert_int_equal(dari_server_create(options, &fixture->server), 0);
    assert_int_equal(echo_1_serve(fixture->server, &handlers, NULL), 0);
    assert_int_equal(dari_server_listen(fixture->server, fixture->address), 0);
    fixture_start(fixture);
    sides->client = fixture_connect(fixture, NULL);
    memset(sides->calls, 0, sizeof sides->calls);
}

static void begin(pair_of_sides *sides)
{
    begin_with(sides, NULL);
}

static void end(pair_of_sides *sides)
{
    dari_client_close(sides->client);
    for (int i = 0; i < IN_FLIGHT; i++)
        dari_call_end(&sides->calls[i]);
    fixture_end(&sides->fixture);
}

static void a_null_call(void **state)
{
    enum { CALLS = 100 };
    (void)state;
    pair_of_sides sides;
    begin(&sides);
    assert_int_equal(nothing_1(sides.client, NULL), 0);
    test_cost server = read_server(sides.client);
    test_cost client = spent;
    for (int i = 0; i < CALLS - 1; i++)
        assert_int_equal(nothing_1(sides.client, NULL), 0);
    test_cost server_after = read_server(sides.client);
    assert_int_equal(spent.sends - client.sends, CALLS);
    assert_int_equal(spent.polls - client.polls, 0);
    assert_int_equal(spent.receives - client.receives, CALLS);
    assert_int_equal(spent.allocations - client.allocations, 0);
    assert_int_equal(server_after.waits - server.waits, CALLS);
    assert_int_equal(server_after.receives - server.receives, CALLS);
    assert_int_equal(server_after.sends - server.sends, CALLS);
    assert_int_equal(server_after.allocations - server.allocations, 0);
    end(&sides);
}

/* Where something else than the connection may have to end the wait. */
static void a_call_that_polls(void **state)
{
    (void)state;
    pair_of_sides sides;
    dari_cancel *cancel;
    begin(&sides);
    assert_int_equal(dari_cancel_create(&cancel), 0);
    dari_call calls[] = {{.cancel = cancel}, {.deadline_ns = 2 * DI_PATIENCE_NS}};
    for (int i = 0; i < 2; i++) {
        test_cost client = spent;
        assert_int_equal(nothing_1(sides.client, &calls[i]), 0);
        assert_int_equal(spent.polls - client.polls, 1);
        assert_int_equal(spent.receives - client.receives, 1);
        dari_call_end(&calls[i]);
    }
    dari_cancel_destroy(cancel);
    end(&sides);
}

/* They are copied, into memory that is kept. */
static void idempotent_calls_allocate_nothing(void **state)
{
    static const uint8_t bytes[3000];
    (void)state;
    pair_of_sides sides;
    dari_call call = {0};
    test_cost client = {0};
    begin(&sides);
    assert_int_equal(dari_client_idempotent(sides.client, &echo_1_interface, ECHO_DATA), 0);
    for (int round = 0; round < 20; round++) {
        opaque_data ret;
        if (round == 10)
            client = spent;
        assert_int_equal(echo_data_1(sides.client,
                                     &(opaque_data){3000, (uint8_t *)(uintptr_t)bytes}, &ret,
                                     &call),
                         0);
        dari_call_reset(&call);
    }
    assert_int_equal(spent.allocations - client.allocations, 0);
    assert_int_equal(spent.sends - client.sends, 10);
    dari_call_end(&call);
    end(&sides);
}

static void calls_with_memory_allocate_nothing(void **state)
{
    static const uint32_t sizes[] = {10, 3000, 60000, 1 << 20};
    static uint8_t bytes[1 << 20];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pair_of_sides sides;
        dari_call call = {0};
        test_cost client = {0}, server = {0};
        begin(&sides);
        read_server(sides.client);
        for (int round = 0; round < 20; round++) {
            opaque_data ret;
            if (round == 10) {
                server = read_server(sides.client);
                client = spent;
            }
            assert_int_equal(
                echo_data_1(sides.client, &(opaque_data){sizes[i], bytes}, &ret, &call), 0);
            assert_int_equal(ret.size, sizes[i]);
            dari_call_reset(&call);
        }
        assert_int_equal(spent.allocations - client.allocations, 0);
        test_cost server_after = read_server(sides.client);
        assert_int_equal(server_after.allocations - server.allocations, 0);
        dari_call_end(&call);
        end(&sides);
    }
}

static void a_large_message_takes_few_system_calls(void **state)
{
    static uint8_t bytes[1 << 20];
    (void)state;
    pair_of_sides sides;
    dari_call call = {0};
    begin(&sides);
    test_cost client = {0};
    for (int round = 0; round < 8; round++) {
        opaque_data ret;
        if (round == 4)
            client = spent;
        assert_int_equal(echo_data_1(sides.client, &(opaque_data){1 << 20, bytes}, &ret, &call), 0);
        dari_call_reset(&call);
    }
    /* The kernel takes some 200 KB at once; both sides work at the same time. */
    assert_in_range((spent.receives - client.receives) / 4, 1, 60);
    assert_in_range((spent.sends - client.sends) / 4, 1, 60);
    dari_call_end(&call);
    end(&sides);
}

static void count_end(void *user, dari_call *call)
{
    *(int *)user += call->error == 0;
}

static void take_echo(void *user, const opaque_data *ret, dari_call *call)
{
    (void)call;
    *(int *)user += ret && ret->size == 100;
}

static void calls_in_flight_share_system_calls(void **state)
{
    enum { COUNT = 64, ROUNDS = 20 };
    static dari_call calls[COUNT];
    (void)state;
    pair_of_sides sides;
    test_cost client = {0};
    int ended = 0;
    begin(&sides);
    for (int round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 2)
            client = spent;
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(nothing_1_start(sides.client, &calls[i], count_end, &ended), 0);
        assert_int_equal(dari_client_wait(sides.client, UINT64_MAX), 0);
    }
    assert_int_equal(ended, COUNT * ROUNDS);
    assert_int_equal(spent.sends - client.sends, ROUNDS / 2);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    end(&sides);
}

/* Once warm, neither side allocates. Where threads take turns, how much is ever in use at once
 * shows only after a while. */
static void assert_comes_to_rest(pair_of_sides *sides, void (*make_calls)(pair_of_sides *sides))
{
    enum { QUIET_IN_A_ROW = 10, TIMES_MAX = 200 };
    int quiet = 0;
    for (int times = 0; times < TIMES_MAX && quiet < QUIET_IN_A_ROW; times++) {
        unsigned before = atomic_load(&allocated);
        make_calls(sides);
        quiet = atomic_load(&allocated) == before ? quiet + 1 : 0;
    }
    assert_int_equal(quiet, QUIET_IN_A_ROW);
}

static void call_in_turn(pair_of_sides *sides)
{
    static const uint32_t sizes[] = {0, 10, 3000, 60000, 200000};
    static uint8_t bytes[200000];
    dari_call *call = &sides->calls[0];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        opaque_data ret;
        assert_int_equal(nothing_1(sides->client, NULL), 0);
        assert_int_equal(echo_data_1(sides->client, &(opaque_data){sizes[i], bytes}, &ret, call),
                         0);
        assert_int_equal(ret.size, sizes[i]);
        dari_call_reset(call);
    }
}

static void call_in_flight(pair_of_sides *sides)
{
    static const uint8_t bytes[100];
    const opaque_data arg = {sizeof bytes, (uint8_t *)bytes};
    int ended = 0;
    for (int i = 0; i < IN_FLIGHT; i++)
        assert_int_equal(
            echo_data_1_start(sides->client, &arg, &sides->calls[i], take_echo, &ended), 0);
    assert_int_equal(dari_client_wait(sides->client, UINT64_MAX), 0);
    assert_int_equal(ended, IN_FLIGHT);
}

static void neither_side_allocates(void **state)
{
    (void)state;
    pair_of_sides sides;
    begin(&sides);
    assert_comes_to_rest(&sides, call_in_turn);
    assert_comes_to_rest(&sides, call_in_flight);
    end(&sides);
}

static void neither_side_allocates_with_workers(void **state)
{
    (void)state;
    pair_of_sides sides;
    begin_with(&sides, &(dari_server_options){.workers = 3});
    assert_comes_to_rest(&sides, call_in_turn);
    assert_comes_to_rest(&sides, call_in_flight);
    end(&sides);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_null_call),
        cmocka_unit_test(a_call_that_polls),
        cmocka_unit_test(calls_with_memory_allocate_nothing),
        cmocka_unit_test(idempotent_calls_allocate_nothing),
        cmocka_unit_test(calls_in_flight_share_system_calls),
        cmocka_unit_test(a_large_message_takes_few_system_calls),
        cmocka_unit_test(neither_side_allocates),
        cmocka_unit_test(neither_side_allocates_with_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
