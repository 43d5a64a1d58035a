/* SPDX-License-Identifier: MIT */
/* The suite that every scheme passes, through the library's own client and server: each case runs
 * once for each scheme of the harness. */
#include "conformance/harness.h"

#include "base/clock.h"
#include "loop/client.h"
#include "loop/server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES(X)                                                                                   \
    X(calls_are_answered)                                                                          \
    X(an_address_is_told)                                                                          \
    X(sizes_from_nothing_to_the_limit)                                                             \
    X(one_byte_over_the_limit)                                                                     \
    X(a_call_over_the_servers_limit)                                                               \
    X(a_reply_over_the_clients_limit)                                                              \
    X(a_reply_over_the_servers_limit)                                                              \
    X(deadline_of_a_silent_server)                                                                 \
    X(deadline_while_sending)                                                                      \
    X(deadline_while_connecting)                                                                   \
    X(a_late_reply_is_dropped)                                                                     \
    X(both_sides_full)                                                                             \
    X(replies_that_nobody_reads)                                                                   \
    X(half_close_gets_its_replies)                                                                 \
    X(a_server_dies_before_it_reads)                                                               \
    X(a_server_dies_before_it_replies)                                                             \
    X(a_server_dies_within_a_reply)                                                                \
    X(a_server_dies_within_a_call)                                                                 \
    X(clients_die_at_every_byte)                                                                   \
    X(nobody_listens)                                                                              \
    X(an_address_in_use)                                                                           \
    X(descriptors_do_not_leak)                                                                     \
    X(many_connections)                                                                            \
    X(connections_beyond_the_limit_wait)                                                           \
    X(descriptors_run_out)                                                                         \
    X(stop_before_run)                                                                             \
    X(stop_from_a_signal_handler)                                                                  \
    X(a_loop_of_ones_own)                                                                          \
    X(threads_share_a_client)                                                                      \
    X(threads_share_a_dying_client)                                                                \
    X(threads_meet_their_own_deadlines)                                                            \
    X(a_child_inherits_nothing)                                                                    \
    X(an_idle_connection_is_small)                                                                 \
    X(handlers_errors_are_mapped)                                                                  \
    X(results_outlive_the_client)

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 8));
    return bytes;
}

static void check_echo(dari_client *client, size_t size)
{
    dari_call call = {0};
    uint8_t *bytes = pattern(size);
    opaque_data arg = {(uint32_t)size, bytes}, ret = {0};
    if (echo_data_1(client, &arg, &ret, &call) < 0)
        fail_msg("%zu bytes: %s", size, dari_call_message(&call));
    assert_int_equal(ret.size, size);
    if (size)
        assert_memory_equal(ret.data, bytes, size);
    free(bytes);
    dari_call_end(&call);
}

static void check_add(dari_client *client)
{
    int32_t sum = 0;
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
}

/* A message that ends as expected, whatever the address before it. */
static void check_message(test_fixture *fixture, dari_call *call, const char *rest)
{
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s", fixture->address, rest);
    assert_string_equal(dari_call_message(call), expected);
}

static void calls_are_answered(test_fixture *fixture)
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

static void an_address_is_told(test_fixture *fixture)
{
    fixture_listen(fixture);
    assert_string_equal(dari_server_address(fixture->server, 0), fixture->address);
    assert_null(dari_server_address(fixture->server, 1));
    assert_null(strstr(fixture->address, ":0"));
    if (fixture->scheme->has_path) {
        struct stat status;
        assert_int_equal(stat(fixture->address + strlen("unix:"), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void sizes_from_nothing_to_the_limit(test_fixture *fixture)
{
    static const size_t sizes[] = {0,    1,    2,     3,     4,     5,     31,    1000,   4040,
                                   4051, 4052, 4053,  4096,  4097,  8191,  65535, 65536,  65537,
                                   99999, 262144, 1000003, (1 << 21) - 44};
    const size_t limit = (size_t)1 << 21;
    fixture->options.message_max = limit;
    fixture_serve(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.message_max = limit});
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_echo(client, sizes[i]);
    for (size_t i = sizeof sizes / sizeof *sizes; i-- > 0;)
        check_echo(client, sizes[i]);
    dari_client_close(client);
}

static void one_byte_over_the_limit(test_fixture *fixture)
{
    const size_t limit = 100000;
    fixture->options.message_max = limit;
    fixture_serve(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.message_max = limit});
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

static void a_call_over_the_servers_limit(test_fixture *fixture)
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

static void a_reply_over_the_clients_limit(test_fixture *fixture)
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
    check_echo(client, 4000);
    check_add(other);
    free(bytes);
    dari_client_close(client);
    dari_client_close(other);
    dari_call_end(&call);
}

static void a_reply_over_the_servers_limit(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    opaque_data ret;
    uint8_t *bytes = pattern(6000);
    check_add(client);
    /* A reply is smaller than the call that it echoes: lower the limit for what is sent alone. */
    fixture->server->sessions->channel.message_max = 5000;
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

static void deadline_of_a_silent_server(test_fixture *fixture)
{
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = DARI_CALL(.deadline_ns = 50 * DARI_MS);
    uint64_t before = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    uint64_t passed = di_now() - before;
    assert_in_range(passed, 50 * DARI_MS, 5 * DARI_S);
    assert_true(call.may_have_run);
    check_message(fixture, &call, "NOTHING: deadline of 50 ms passed, may have run");
    dari_client_close(client);
    silent->ops->close(silent);
    dari_call_end(&call);
}

static void deadline_while_sending(test_fixture *fixture)
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

static void deadline_while_connecting(test_fixture *fixture)
{
    /* A queue that takes no more: shortened, and filled. */
    di_listener *silent = raw_listen(fixture);
    assert_int_equal(listen(silent->descriptor, 0), 0);
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_MS);
    dari_client *fillers[8] = {NULL};
    int error = 0;
    for (size_t i = 0; i < 8 && error == 0; i++)
        error = dari_connect(fixture->address, &(dari_client_options){.call = &call}, &fillers[i]);
    assert_int_equal(error, DARI_DEADLINE);
    check_message(fixture, &call, "connect: deadline of 30 ms passed");
    for (size_t i = 0; i < 8; i++)
        dari_client_close(fillers[i]);
    silent->ops->close(silent);
    dari_call_end(&call);
}

static void a_late_reply_is_dropped(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
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

/* Moves what can be moved of both directions of a connection. */
static void pump(di_connection *connection, size_t *received)
{
    size_t size;
    int flushed = connection->ops->flush(connection);
    assert_true(flushed == DI_MOVED || flushed == DI_BLOCKED);
    int moved = connection->ops->receive(connection, 1 << 20);
    assert_true(moved == DI_MOVED || moved == DI_BLOCKED);
    connection->ops->peek(connection, &size);
    connection->ops->consume(connection, size);
    *received += size;
}

static void both_sides_full(test_fixture *fixture)
{
    const size_t size = (size_t)8 << 20;
    di_listener *listener = raw_listen(fixture);
    di_connection *sides[2] = {raw_connect(fixture), raw_accept(listener)};
    size_t received[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        uint8_t *room = NULL;
        assert_int_equal(sides[i]->ops->reserve(sides[i], size, &room), 0);
        memset(room, i, size);
        sides[i]->ops->commit(sides[i], size);
        assert_int_equal(sides[i]->ops->flush(sides[i]), DI_BLOCKED);
    }
    while (received[0] < size || received[1] < size)
        for (int i = 0; i < 2; i++)
            pump(sides[i], &received[i]);
    assert_int_equal(received[0], size);
    assert_int_equal(sides[0]->ops->unsent(sides[0]), 0);
    raw_close(sides[0]);
    raw_close(sides[1]);
    listener->ops->close(listener);
}

/* Makes a connection's unsent part grow by an echo call of `size` bytes. */
static void queue_echo(di_connection *peer, uint32_t xid, uint32_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(peer->ops->reserve(peer, 48 + size, &room), 0);
    dari_put_u32(room, 0x80000000u | (44 + size));
    uint8_t *at = raw_call(room + 4, xid, ECHO, ECHO_V1, 1);
    dari_put_u32(at, size);
    memset(at + 4, (int)xid, size);
    peer->ops->commit(peer, 48 + size);
}

/* Sends and receives until `size` bytes are there. */
static uint8_t *await_bytes(di_connection *peer, size_t size)
{
    size_t there;
    uint8_t *bytes;
    while (bytes = peer->ops->peek(peer, &there), there < size) {
        struct pollfd one = {.fd = peer->descriptor, .events = POLLIN};
        if (peer->ops->unsent(peer) > 0)
            one.events |= POLLOUT;
        assert_int_equal(poll(&one, 1, 10000), 1);
        assert_true(peer->ops->flush(peer) >= 0);
        assert_true(peer->ops->receive(peer, size - there) >= 0);
    }
    return bytes;
}

static void replies_that_nobody_reads(test_fixture *fixture)
{
    const uint32_t calls = 100, size = 256 << 10;
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint32_t sent = 0;
    /* The server has to stop reading: send until it does. */
    struct pollfd room = {.fd = peer->descriptor, .events = POLLOUT};
    while (sent < calls && poll(&room, 1, 100) == 1) {
        queue_echo(peer, sent++, size);
        assert_true(peer->ops->flush(peer) >= 0);
    }
    assert_true(sent < calls);
    dari_client *other = fixture_connect(fixture, NULL);
    check_add(other); /* the others are served meanwhile */
    for (uint32_t i = 0; i < sent; i++) {
        const uint8_t *reply = await_bytes(peer, 32 + size);
        assert_int_equal(dari_get_u32(reply), 0x80000000u | (28 + size));
        assert_int_equal(dari_get_u32(reply + 4), i);
        assert_int_equal(reply[32 + size - 1], (uint8_t)i);
        peer->ops->consume(peer, 32 + size);
    }
    dari_client_close(other);
    raw_close(peer);
}

static void half_close_gets_its_replies(test_fixture *fixture)
{
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t message[64], reply[64];
    fixture_close_gate(fixture);
    for (uint32_t xid = 1; xid <= 3; xid++)
        raw_send_record(peer, message,
                        (size_t)(raw_call(message, xid, ECHO, ECHO_V1, 0) - message));
    shutdown(peer->descriptor, SHUT_WR);
    fixture_open_gate(fixture);
    for (uint32_t xid = 1; xid <= 3; xid++) {
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply), xid);
    }
    assert_true(raw_ended(peer));
    raw_close(peer);
}

/* A server that reads `read` bytes of a call, writes `write` bytes of a reply, and dies. */
typedef struct dying_server {
    di_listener *listener;
    size_t read, write;
} dying_server;

static void *die(void *argument)
{
    dying_server *dying = argument;
    uint8_t bytes[4096] = {0};
    di_connection *peer = raw_accept(dying->listener);
    if (dying->read)
        raw_read(peer, bytes, dying->read);
    if (dying->write) {
        uint8_t reply[64];
        dari_put_u32(reply, 0x80000000u | 24);
        raw_reply(reply + 4, dari_get_u32(bytes + 4));
        raw_send(peer, reply, dying->write);
    }
    raw_close(peer);
    return NULL;
}

static void check_death(test_fixture *fixture, size_t read, size_t write, size_t argument,
                        bool may_have_run)
{
    dying_server dying = {raw_listen(fixture), read, write};
    pthread_t thread;
    pthread_create(&thread, NULL, die, &dying);
    dari_client *client = fixture_connect(fixture, NULL);
    uint8_t *bytes = pattern(argument);
    dari_call call = {0};
    uint32_t size;
    assert_int_equal(sink_1(client, &(opaque_data){(uint32_t)argument, bytes}, &size, &call),
                     DARI_CLOSED);
    assert_int_equal(call.may_have_run, may_have_run);
    pthread_join(thread, NULL);
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_false(call.may_have_run);
    char expected[128];
    snprintf(expected, sizeof expected, "NOTHING: %s", dari_error_text(DARI_CLOSED));
    check_message(fixture, &call, expected);
    free(bytes);
    dari_client_close(client);
    dying.listener->ops->close(dying.listener);
    dari_call_end(&call);
}

static void a_server_dies_before_it_reads(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    raw_close(raw_accept(listener));
    dari_call call = {0};
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

static void a_server_dies_before_it_replies(test_fixture *fixture)
{
    check_death(fixture, 48, 0, 0, true);
}

static void a_server_dies_within_a_reply(test_fixture *fixture)
{
    check_death(fixture, 48, 3, 0, true);
}

static void a_server_dies_within_a_call(test_fixture *fixture)
{
    check_death(fixture, 1000, 0, 12 << 20, false);
}

static void clients_die_at_every_byte(test_fixture *fixture)
{
    fixture_serve(fixture);
    uint8_t record[64];
    dari_put_u32(record, 0x80000000u | 48);
    uint8_t *end = raw_call(record + 4, 7, ECHO, ECHO_V1, 2);
    memset(end, 0, 8);
    for (size_t size = 0; size <= 52; size++) {
        di_connection *peer = raw_connect(fixture);
        raw_send(peer, record, size);
        raw_close(peer);
    }
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    dari_client_close(client);
    di_connection *last = raw_connect(fixture);
    raw_send(last, record, 30);
    shutdown(last->descriptor, SHUT_WR);
    assert_true(raw_ended(last));
    raw_close(last);
    fixture_stop(fixture);
    assert_int_equal(fixture->entered, 2);
}

static void nobody_listens(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    listener->ops->close(listener);
    dari_call call = {0};
    dari_client *client = NULL;
    assert_int_equal(
        dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client),
        DARI_REFUSED);
    assert_null(client);
    assert_false(call.may_have_run);
    check_message(fixture, &call,
                  fixture->scheme->has_path
                      ? "connect: nobody listens there (No such file or directory)"
                      : "connect: nobody listens there (Connection refused)");
    dari_call_end(&call);
}

static void an_address_in_use(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_server *other = NULL;
    assert_int_equal(dari_server_create(NULL, &other), 0);
    assert_int_equal(dari_server_listen(other, fixture->address), DARI_IN_USE);
    assert_non_null(strstr(dari_server_message(other), fixture->address));
    dari_server_destroy(other);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    dari_client_close(client);
}

static void use_once(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = DARI_CALL(.deadline_ns = DARI_MS);
    check_echo(client, 100000);
    fixture_close_gate(fixture);
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    fixture_open_gate(fixture);
    dari_client_close(client);
    fixture_stop(fixture);
    assert_int_equal(
        dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client),
        DARI_REFUSED);
    dari_call_end(&call);
}

static void descriptors_do_not_leak(test_fixture *fixture)
{
    use_once(fixture);
    unsigned before = count_descriptors();
    for (int i = 0; i < 20; i++)
        use_once(fixture);
    assert_int_equal(count_descriptors(), before);
}

static void many_connections(test_fixture *fixture)
{
    enum { COUNT = 200 };
    dari_client *clients[COUNT];
    fixture_serve(fixture);
    for (int i = 0; i < COUNT; i++)
        clients[i] = fixture_connect(fixture, NULL);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < COUNT; i++)
            check_add(clients[i]);
    for (int i = 0; i < COUNT; i += 2)
        dari_client_close(clients[i]);
    for (int i = 1; i < COUNT; i += 2) {
        check_add(clients[i]);
        dari_client_close(clients[i]);
    }
}

static void connections_beyond_the_limit_wait(test_fixture *fixture)
{
    fixture->options.connections_max = 2;
    fixture_serve(fixture);
    dari_client *clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = fixture_connect(fixture, NULL);
    check_add(clients[0]);
    check_add(clients[1]);
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_MS);
    assert_int_equal(nothing_1(clients[2], &call), DARI_DEADLINE);
    dari_client_close(clients[0]);
    check_add(clients[2]);
    dari_client_close(clients[1]);
    dari_client_close(clients[2]);
    dari_call_end(&call);
}

/* One round of a loop of our own: true where the server had something to do. */
static bool step(dari_server *server, int milliseconds)
{
    struct pollfd one = {.fd = dari_server_descriptor(server), .events = POLLIN};
    uint64_t timeout = dari_server_timeout_ns(server);
    int limit = timeout < (uint64_t)milliseconds * DARI_MS ? (int)(timeout / DARI_MS) + 1
                                                           : milliseconds;
    int ready = poll(&one, 1, limit);
    int more;
    while ((more = dari_server_dispatch(server)) == 1)
        continue;
    assert_int_equal(more, 0);
    return ready > 0;
}

static uint64_t cpu_time_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* In a child, whose limit of descriptors is its own: returns 0, or the line that failed. */
static int run_out(test_fixture *fixture)
{
    enum { SPARE = 4 };
    unsigned used = count_descriptors() - 1;
    fixture_listen(fixture);
    used += 3 + fixture->scheme->has_path;
    /* The peers take descriptors of the same process: all that the limit leaves but SPARE. */
    struct rlimit limit = {used + 8 + SPARE, used + 8 + SPARE};
    di_connection *connections[8];
    for (int i = 0; i < 8; i++)
        connections[i] = raw_connect(fixture);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return __LINE__;
    uint8_t message[64], reply[64];
    size_t size = (size_t)(raw_call(message, 1, ECHO, ECHO_V1, 0) - message);
    for (int i = 0; i < 8; i++)
        raw_send_record(connections[i], message, size);
    while (fixture->logged == 0)
        step(fixture->server, 1000);
    if (fixture->log_error != DARI_ERRNO || !strstr(fixture->log_text, "Too many open files"))
        return __LINE__;
    /* For a while nothing can be done, and nothing is. */
    uint64_t cpu = cpu_time_ns(), until = di_now() + 350 * DARI_MS;
    int rounds = 0;
    while (di_now() < until) {
        step(fixture->server, 50);
        rounds++;
    }
    if (rounds > 40 || cpu_time_ns() - cpu > 100 * DARI_MS || fixture->logged != 1)
        return __LINE__;
    /* Each one that closes lets another one in. */
    for (int i = 0; i < 8; i++) {
        struct pollfd answered = {.fd = connections[i]->descriptor, .events = POLLIN};
        while (poll(&answered, 1, 0) == 0)
            step(fixture->server, 200);
        if (raw_read_record(connections[i], reply, sizeof reply) != 24)
            return __LINE__;
        raw_close(connections[i]);
    }
    return 0;
}

/* Runs in a child and expects 0. */
static void check_child(int (*child)(test_fixture *), test_fixture *fixture)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(fixture) & 0xff);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child failed: status %#x, line %d", (unsigned)status, WEXITSTATUS(status));
}

static int run_out_and_clean(test_fixture *fixture)
{
    int line = run_out(fixture);
    dari_server_destroy(fixture->server);
    return line;
}

static void descriptors_run_out(test_fixture *fixture)
{
    check_child(run_out_and_clean, fixture);
}

static void stop_before_run(test_fixture *fixture)
{
    fixture_listen(fixture);
    dari_server_stop(fixture->server);
    dari_server_stop(fixture->server);
    assert_int_equal(dari_server_run(fixture->server), 0);
    /* It counts once: the next run serves. */
    assert_int_equal(pthread_create(&fixture->thread, NULL, fixture_run, fixture), 0);
    fixture->running = true;
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    dari_client_close(client);
}

static dari_server *signalled;

static void stop_it(int number)
{
    (void)number;
    dari_server_stop(signalled);
}

static void stop_from_a_signal_handler(test_fixture *fixture)
{
    struct sigaction action = {.sa_handler = stop_it}, before;
    fixture_serve(fixture);
    signalled = fixture->server;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    assert_int_equal(pthread_kill(fixture->thread, SIGUSR1), 0);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->run_result, 0);
    sigaction(SIGUSR1, &before, NULL);
    dari_client_close(client);
}

static void a_loop_of_ones_own(test_fixture *fixture)
{
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t message[64], reply[64];
    size_t size = (size_t)(raw_call(message, 5, ECHO, ECHO_V1, 0) - message);
    assert_int_equal(dari_server_timeout_ns(fixture->server), UINT64_MAX);
    struct pollfd answered = {.fd = peer->descriptor, .events = POLLIN};
    for (int i = 0; i < 10; i++) {
        raw_send_record(peer, message, size);
        while (poll(&answered, 1, 0) == 0)
            step(fixture->server, 1000);
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    }
    assert_int_equal(dari_server_dispatch(fixture->server), 0);
    raw_close(peer);
    assert_true(step(fixture->server, 1000));
    assert_int_equal(fixture->server->connections, 0);
}

typedef struct sharing_thread {
    dari_client *client;
    uint32_t seed;
    int result; /* the first error, or 0; 1 for a wrong answer */
    unsigned done;
    uint64_t deadline_ns;
} sharing_thread;

/* Calls of many sizes, each of which must get its own answer. */
static void *share(void *argument)
{
    sharing_thread *sharer = argument;
    dari_call call = {.deadline_ns = sharer->deadline_ns};
    static const uint32_t sizes[] = {0, 10, 500, 5000, 70000, 3, 300000};
    uint8_t *bytes = malloc(300000);
    for (uint32_t i = 0; i < 60 && sharer->result == 0; i++) {
        uint32_t size = sizes[(sharer->seed + i) % 7];
        memset(bytes, (int)(sharer->seed * 31 + i), size);
        int32_t sum = 0;
        opaque_data ret = {0};
        pair arg = {(int32_t)sharer->seed * 1000, (int32_t)i};
        int error = add_1(sharer->client, &arg, &sum, &call);
        if (error == 0 && sum != arg.a + arg.b)
            error = 1;
        if (error == 0)
            error = echo_data_1(sharer->client, &(opaque_data){size, bytes}, &ret, &call);
        if (error == 0 && (ret.size != size || (size && memcmp(ret.data, bytes, size) != 0)))
            error = 1;
        if (error)
            sharer->result = error;
        sharer->done++;
        dari_call_reset(&call);
    }
    free(bytes);
    dari_call_end(&call);
    return NULL;
}

#define SHARERS 6

static void threads_share_a_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, 0);
        assert_int_equal(sharers[i].done, 60);
    }
    assert_int_equal(client->pending.dropped, 0);
    assert_null(client->asleep);
    assert_null(client->pending.first);
    dari_client_close(client);
}

static void threads_share_a_dying_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    fixture_await_entered(fixture, 1);
    /* The first handler returns to a server that has been told to stop. */
    dari_server_stop(fixture->server);
    fixture_stop(fixture);
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_CLOSED);
    }
    assert_null(client->asleep);
    assert_null(client->pending.first);
    dari_client_close(client);
}

static void threads_meet_their_own_deadlines(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){
            .client = client, .seed = i + 1, .deadline_ns = (i + 1) * 10 * DARI_MS};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_DEADLINE);
        assert_int_equal(sharers[i].done, 1);
    }
    fixture_open_gate(fixture);
    check_add(client);
    assert_int_equal(client->pending.dropped, SHARERS);
    dari_client_close(client);
}

static dari_client *inherited;

static int use_inherited(test_fixture *fixture)
{
    dari_call call = {0};
    dari_server *server = fixture->server;
    if (nothing_1(inherited, &call) != DARI_FORKED || call.may_have_run)
        return __LINE__;
    if (dari_server_dispatch(server) != DARI_FORKED || dari_server_run(server) != DARI_FORKED)
        return __LINE__;
    if (dari_server_listen(server, "unix:@x") != DARI_FORKED)
        return __LINE__;
    if (echo_1_serve(server, &echo_handlers, NULL) != DARI_FORKED)
        return __LINE__;
    dari_server_stop(server);
    dari_server_destroy(server);
    dari_client_close(inherited);
    dari_call_end(&call);
    return 0;
}

static void a_child_inherits_nothing(test_fixture *fixture)
{
    fixture_serve(fixture);
    inherited = fixture_connect(fixture, NULL);
    check_add(inherited);
    check_child(use_inherited, fixture);
    check_add(inherited);
    dari_client *another = fixture_connect(fixture, NULL);
    check_add(another);
    dari_client_close(another);
    dari_client_close(inherited);
}

static void an_idle_connection_is_small(test_fixture *fixture)
{
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    const uint32_t size = 1 << 20;
    queue_echo(peer, 1, size);
    struct pollfd answered = {.fd = peer->descriptor, .events = POLLIN};
    while (poll(&answered, 1, 0) == 0 || peer->ops->unsent(peer) > 0) {
        assert_true(peer->ops->flush(peer) >= 0);
        step(fixture->server, 10);
    }
    /* The reply waits on the server's side, until it is taken. */
    while (fixture->server->sessions->interest & EPOLLOUT) {
        size_t there;
        assert_true(peer->ops->receive(peer, size) >= 0);
        peer->ops->peek(peer, &there);
        peer->ops->consume(peer, there);
        step(fixture->server, 10);
    }
    di_connection *connection = fixture->server->sessions->channel.connection;
    assert_true(connection->ops->spare(connection) >= size);
    assert_true(dari_server_timeout_ns(fixture->server) <= DI_TRIM_NS);
    while (dari_server_timeout_ns(fixture->server) != UINT64_MAX)
        step(fixture->server, 2000);
    assert_int_equal(connection->ops->spare(connection), 0);
    raw_close(peer);
}

static void handlers_errors_are_mapped(test_fixture *fixture)
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

static void results_outlive_the_client(test_fixture *fixture)
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

#define DECLARE(name) {#name, name},
static const struct {
    const char *name;
    void (*run)(test_fixture *fixture);
} cases[] = {CASES(DECLARE)};

#define CASE_COUNT (sizeof cases / sizeof *cases)

typedef struct run_of_case {
    size_t scheme, at;
    char name[96];
} run_of_case;

static void run_case(void **state)
{
    const run_of_case *run = *state;
    test_fixture fixture = {.scheme = &schemes[run->scheme]};
    fixture_begin(&fixture);
    cases[run->at].run(&fixture);
    fixture_end(&fixture);
}

int main(void)
{
    enum { MOST = 8 * CASE_COUNT };
    static run_of_case runs[MOST];
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
    for (size_t scheme = 0; scheme < scheme_count; scheme++) {
        if (!scheme_is_there(&schemes[scheme])) {
            printf("# %s left out: this machine has none\n", schemes[scheme].name);
            continue;
        }
        for (size_t at = 0; at < CASE_COUNT; at++, count++) {
            runs[count] = (run_of_case){.scheme = scheme, .at = at};
            snprintf(runs[count].name, sizeof runs[count].name, "%s: %s", schemes[scheme].name,
                     cases[at].name);
            tests[count] = (struct CMUnitTest){
                .name = runs[count].name, .test_func = run_case, .initial_state = &runs[count]};
        }
    }
    return _cmocka_run_group_tests("conformance", tests, count, NULL, NULL);
}
