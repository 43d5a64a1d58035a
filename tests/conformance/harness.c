/* SPDX-License-Identifier: MIT */
#include "conformance/harness.h"

#include "conformance/relay_program.h"

#include "base/clock.h"
#include "loop/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

const test_scheme schemes[] = {
    {.name = "unix_path", .address = "unix:%s/socket", .has_path = true},
    {.name = "unix_abstract", .address = "unix:@dari-test-%d-%d"},
    {.name = "fifo", .address = "fifo:%s/fifo", .has_path = true, .forgets = true},
    {.name = "pipe", .address = "pipe:", .single = true},
    {.name = "exec", .address = "exec:", .single = true, .relayed = true},
    {.name = "mq", .address = "mq:dari-test-%d-%d", .queue = true, .most = 40},
    {.name = "tcp4", .address = "tcp://127.0.0.1:0"},
    {.name = "tcp6", .address = "tcp://[::1]:0"},
    {.name = "udp4", .address = "udp://127.0.0.1:0", .datagrams = true},
    {.name = "udp6", .address = "udp://[::1]:0", .datagrams = true},
    {.name = "shm", .address = "shm:%s/socket", .has_path = true, .meets = true},
};
const size_t scheme_count = sizeof schemes / sizeof *schemes;

const test_scheme *scheme_named(const char *name)
{
    for (size_t i = 0; i < scheme_count; i++)
        if (strcmp(schemes[i].name, name) == 0)
            return &schemes[i];
    fail_msg("no scheme %s", name);
    return NULL;
}

bool sends_blindly(const test_fixture *fixture)
{
    return strncmp(fixture->address, "tcp:", 4) == 0 || fixture->scheme->forgets ||
           fixture->scheme->queue;
}

bool scheme_is_there(const test_scheme *scheme)
{
    if (!strstr(scheme->address, "::1"))
        return true;
    const di_transport *transport;
    const char *rest;
    di_listener *listener;
    di_failure failure = {0};
    if (di_transport_find("tcp://[::1]:0", &transport, &rest) < 0 ||
        transport->listen(rest, &listener, &failure) < 0)
        return false;
    listener->ops->close(listener);
    return true;
}

void fixture_begin(test_fixture *fixture)
{
    static atomic_int number;
    const test_scheme *scheme = fixture->scheme;
    *fixture->directory = '\0';
    if (strstr(scheme->address, "%s")) {
        strcpy(fixture->directory, "/tmp/dari-test-XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        const char *name = strrchr(scheme->address, '/');
        snprintf(fixture->address, sizeof fixture->address, "%.*s%s%s",
                 (int)strcspn(scheme->address, "%"), scheme->address, fixture->directory, name);
    } else if (strstr(scheme->address, "%d")) {
        snprintf(fixture->address, sizeof fixture->address, "%.*sdari-test-%d-%d",
                 (int)(strstr(scheme->address, "dari") - scheme->address), scheme->address,
                 getpid(), ++number);
    } else {
        strcpy(fixture->address, scheme->address);
    }
    if (scheme->single) {
        assert_int_equal(dari_pipe_pair(&fixture->pipes), 0);
        strcpy(fixture->address, fixture->pipes.server);
    }
    if (scheme->relayed)
        assert_int_equal(pipe2(fixture->told, O_CLOEXEC), 0);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    fixture->server = NULL;
    fixture->running = false;
    fixture->gate_closed = false;
    fixture->handlers = NULL;
    fixture->stop_at = fixture->entered = fixture->logged = 0;
    fixture->options = (dari_server_options){0};
}

/* An attempt to connect that was given up takes its files with it, in the background. */
static void remove_directory(const char *path)
{
    uint64_t until = di_deadline_in((uint64_t)PATIENCE_MS * DARI_MS);
    while (rmdir(path) < 0 && errno == ENOTEMPTY && di_now() < until)
        poll(NULL, 0, 1);
    assert_int_equal(access(path, F_OK), -1);
}

void fixture_end(test_fixture *fixture)
{
    fixture_stop(fixture);
    if (*fixture->directory)
        remove_directory(fixture->directory);
    if (fixture->scheme->single)
        dari_pipe_close(&fixture->pipes);
    if (fixture->scheme->relayed) {
        close(fixture->told[0]);
        close(fixture->told[1]);
    }
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->lock);
}

/* The ends of a side belong to a connection now. */
static void take_pipes(test_fixture *fixture, enum dari_pipe_side side)
{
    fixture->pipes.in[side] = fixture->pipes.out[side] = -1;
}

void fixture_listens(test_fixture *fixture, const char *address)
{
    take_pipes(fixture, DARI_PIPE_SERVER);
    if (fixture->scheme->relayed)
        relay_address(fixture->pipes.in[DARI_PIPE_CLIENT], fixture->pipes.out[DARI_PIPE_CLIENT],
                      fixture->told[1], fixture->address, sizeof fixture->address);
    else
        strcpy(fixture->address, fixture->scheme->single ? fixture->pipes.client : address);
}

void fixture_await_relay(test_fixture *fixture)
{
    struct pollfd one = {.fd = fixture->told[0], .events = POLLIN};
    char byte;
    if (fixture->scheme->relayed) {
        assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
        assert_int_equal(read(fixture->told[0], &byte, 1), 1);
        close(fixture->pipes.in[DARI_PIPE_CLIENT]);
        close(fixture->pipes.out[DARI_PIPE_CLIENT]);
    }
    take_pipes(fixture, DARI_PIPE_CLIENT);
}

dari_client_options fixture_client_options(const test_fixture *fixture,
                                           const dari_client_options *options)
{
    dari_client_options with = options ? *options : (dari_client_options){0};
    with.exec.allowed |= fixture->scheme->relayed;
    return with;
}

static void take_log(void *user, int error, const char *text)
{
    test_fixture *fixture = user;
    pthread_mutex_lock(&fixture->lock);
    fixture->logged++;
    fixture->log_error = error;
    snprintf(fixture->log_text, sizeof fixture->log_text, "%s", text);
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

/* Every handler passes the gate. */
static void enter(dari_request *request)
{
    test_fixture *fixture = dari_request_user(request);
    pthread_mutex_lock(&fixture->lock);
    if (++fixture->entered == fixture->stop_at)
        dari_server_stop(fixture->server);
    pthread_cond_broadcast(&fixture->changed);
    while (fixture->gate_closed)
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    pthread_mutex_unlock(&fixture->lock);
}

static int handle_nothing(dari_request *request)
{
    enter(request);
    return 0;
}

static int handle_echo_data(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    enter(request);
    *ret = *arg;
    return 0;
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    enter(request);
    *ret = arg->a + arg->b;
    return 0;
}

static int handle_fail(dari_request *request, const int32_t *arg)
{
    enter(request);
    return *arg;
}

static int handle_sink(dari_request *request, const opaque_data *arg, uint32_t *ret)
{
    enter(request);
    *ret = arg->size;
    return 0;
}

const echo_1_handlers echo_handlers = {
    .nothing = handle_nothing,
    .echo_data = handle_echo_data,
    .add = handle_add,
    .fail = handle_fail,
    .sink = handle_sink,
};

void fixture_listen(test_fixture *fixture)
{
    fixture->options.log = take_log;
    fixture->options.log_user = fixture;
    assert_int_equal(dari_server_create(&fixture->options, &fixture->server), 0);
    const echo_1_handlers *handlers = fixture->handlers ? fixture->handlers : &echo_handlers;
    assert_int_equal(echo_1_serve(fixture->server, handlers, fixture), 0);
    if (dari_server_listen(fixture->server, fixture->address) < 0)
        fail_msg("%s", dari_server_message(fixture->server));
    fixture_listens(fixture, dari_server_address(fixture->server, 0));
}

static void *fixture_run(void *argument)
{
    test_fixture *fixture = argument;
    fixture->run_result = dari_server_run(fixture->server);
    return NULL;
}

void fixture_start(test_fixture *fixture)
{
    assert_int_equal(pthread_create(&fixture->thread, NULL, fixture_run, fixture), 0);
    fixture->running = true;
}

void fixture_serve(test_fixture *fixture)
{
    fixture_listen(fixture);
    fixture_start(fixture);
}

void fixture_stop(test_fixture *fixture)
{
    if (fixture->running) {
        fixture_open_gate(fixture);
        dari_server_stop(fixture->server);
        pthread_join(fixture->thread, NULL);
        fixture->running = false;
        assert_int_equal(fixture->run_result, 0);
    }
    dari_server_destroy(fixture->server);
    fixture->server = NULL;
}

dari_client *fixture_connect(test_fixture *fixture, const dari_client_options *options)
{
    dari_client *client = NULL;
    dari_call call = {0};
    dari_client_options with_call = fixture_client_options(fixture, options);
    with_call.call = &call;
    if (dari_connect(fixture->address, &with_call, &client) < 0)
        fail_msg("%s", dari_call_message(&call));
    fixture_await_relay(fixture);
    return client;
}

static void set_gate(test_fixture *fixture, bool closed)
{
    pthread_mutex_lock(&fixture->lock);
    fixture->gate_closed = closed;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

void fixture_close_gate(test_fixture *fixture)
{
    set_gate(fixture, true);
}

void fixture_open_gate(test_fixture *fixture)
{
    set_gate(fixture, false);
}

static void await(test_fixture *fixture, const unsigned *counter, unsigned count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    int cause = 0;
    pthread_mutex_lock(&fixture->lock);
    while (*counter < count && cause != ETIMEDOUT)
        cause = pthread_cond_timedwait(&fixture->changed, &fixture->lock, &until);
    unsigned reached = *counter;
    pthread_mutex_unlock(&fixture->lock);
    assert_true(reached >= count);
}

unsigned fixture_entered(test_fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    unsigned entered = fixture->entered;
    pthread_mutex_unlock(&fixture->lock);
    return entered;
}

void fixture_await_entered(test_fixture *fixture, unsigned count)
{
    await(fixture, &fixture->entered, count);
}

void fixture_await_logged(test_fixture *fixture, unsigned count)
{
    await(fixture, &fixture->logged, count);
}

di_listener *raw_listen(test_fixture *fixture)
{
    const di_transport *transport;
    const char *rest;
    di_listener *listener;
    di_failure failure = {0};
    assert_int_equal(di_transport_find(fixture->address, &transport, &rest), 0);
    assert_int_equal(transport->listen(rest, &listener, &failure), 0);
    fixture_listens(fixture, listener->ops->address(listener));
    return listener;
}

static void await_any(struct pollfd *list, nfds_t count)
{
    int ready;
    do
        ready = poll(list, count, PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    assert_true(ready > 0);
}

void raw_await(di_connection *connection, unsigned wants)
{
    /* Of room in memory only those are told who have something unsent. */
    bool untold = connection->ops->arm && connection->ops->unsent(connection) == 0;
    if (untold && wants & DI_WANTS_SEND) {
        sched_yield();
        return;
    }
    struct pollfd list[DI_WATCHES_MAX + 1];
    if (connection->ops->arm && wants & DI_WANTS_RECEIVE && !connection->ops->arm(connection))
        return;
    nfds_t count = di_watches_list(connection, wants, list);
    const di_listener *listener = connection->owner;
    if (listener && wants & DI_WANTS_RECEIVE)
        list[count++] = (struct pollfd){.fd = listener->descriptor, .events = POLLIN};
    await_any(list, count);
}

int raw_receive(di_connection *connection, size_t want)
{
    di_listener *listener = connection->owner;
    di_connection *other;
    if (listener)
        listener->full = true;
    while (listener && listener->ops->accept(listener, &other) == DI_MOVED && other != connection)
        continue;
    return connection->ops->receive(connection, want);
}

void raw_fill(di_listener *listener)
{
    struct mq_attr attributes;
    if (listen(listener->descriptor, 0) == 0 || mq_getattr(listener->descriptor, &attributes) == 0)
        return;
    while (write(listener->descriptor, "\n", 1) == 1)
        continue;
    assert_int_equal(errno, EAGAIN);
}

/* Goes on with a meeting, where the scheme has one: that is a part of receiving. */
static void meet(di_connection *connection)
{
    if (connection->ops->arm)
        connection->ops->receive(connection, 1);
}

di_connection *raw_accept(di_listener *listener)
{
    di_connection *connection = NULL;
    int result;
    listener->full = false;
    do {
        while ((result = listener->ops->accept(listener, &connection)) == DI_BLOCKED)
            await_any(&(struct pollfd){.fd = listener->descriptor, .events = POLLIN}, 1);
        assert_int_equal(result, DI_MOVED);
    } while (connection->owner);
    if (listener->ops->shared)
        connection->owner = listener;
    return connection;
}

di_connection *raw_connect_only(test_fixture *fixture)
{
    const di_transport *transport;
    const char *rest;
    di_connection *connection = NULL;
    di_failure failure = {0};
    assert_int_equal(di_transport_find(fixture->address, &transport, &rest), 0);
    const di_connect_options options = {.exec_allowed = fixture->scheme->relayed,
                                        .exec_grace_ns = 5 * DARI_S};
    assert_int_equal(
        transport->connect(rest, di_deadline_in(10 * DARI_S), &options, &connection, &failure), 0);
    fixture_await_relay(fixture);
    return connection;
}

di_connection *raw_connect(test_fixture *fixture)
{
    di_connection *connection = raw_connect_only(fixture);
    if (!fixture->scheme->meets || !fixture->server)
        return connection;
    for (int turns = 0; turns < 3 && !fixture->running; turns++)
        assert_true(dari_server_dispatch(fixture->server) >= 0);
    if (fixture->running)
        raw_await(connection, DI_WANTS_RECEIVE);
    meet(connection);
    return connection;
}

void raw_close(di_connection *connection)
{
    connection->ops->close(connection);
}

static int queue(di_connection *connection, const void *bytes, size_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(connection->ops->reserve(connection, size, &room), 0);
    memcpy(room, bytes, size);
    connection->ops->commit(connection, size);
    return connection->ops->flush(connection);
}

void raw_send(di_connection *connection, const void *bytes, size_t size)
{
    assert_true(queue(connection, bytes, size) >= 0);
    raw_flush(connection);
}

void raw_flush(di_connection *connection)
{
    /* A client of mq: learns by receiving how much it may send. */
    bool receives = connection->ops->prioritize != NULL;
    int flushed;
    while ((flushed = connection->ops->flush(connection)) == DI_BLOCKED) {
        raw_await(connection, receives ? DI_WANTS_SEND | DI_WANTS_RECEIVE : DI_WANTS_SEND);
        meet(connection);
        if (receives)
            assert_true(connection->ops->receive(connection, 1) >= 0);
    }
    assert_int_equal(flushed, DI_MOVED);
}

bool raw_read(di_connection *connection, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    while (size > 0) {
        size_t there;
        const uint8_t *arrived = connection->ops->peek(connection, &there);
        if (there > size)
            there = size;
        if (there > 0) {
            memcpy(at, arrived, there);
            connection->ops->consume(connection, there);
            at += there;
            size -= there;
            continue;
        }
        int moved = raw_receive(connection, size);
        if (moved < 0)
            return false;
        if (moved == DI_BLOCKED)
            raw_await(connection, DI_WANTS_RECEIVE);
    }
    return true;
}

static size_t read_message(di_connection *connection, void *body, size_t room)
{
    size_t size;
    const uint8_t *message;
    while ((message = connection->ops->peek(connection, &size)), size == 0) {
        int moved = raw_receive(connection, 1);
        assert_true(moved >= 0);
        if (moved == DI_BLOCKED)
            raw_await(connection, DI_WANTS_RECEIVE);
    }
    assert_true(size <= room);
    memcpy(body, message, size);
    connection->ops->consume(connection, size);
    return size;
}

bool raw_has(di_connection *connection)
{
    size_t there;
    connection->ops->peek(connection, &there);
    if (there > 0 || raw_receive(connection, 1) != DI_BLOCKED)
        return true;
    assert_true(connection->ops->flush(connection) >= 0);
    return false;
}

void raw_end(di_connection *connection)
{
    const di_watch *in = &connection->watches[0], *out = &connection->watches[1];
    if (in->to_send)
        shutdown(in->descriptor, SHUT_WR);
    else
        assert_true(dup3(in->descriptor, out->descriptor, O_CLOEXEC) >= 0);
}

size_t raw_send_some(di_connection *connection, const void *bytes, size_t size)
{
    assert_true(queue(connection, bytes, size) >= 0);
    size_t left = connection->ops->unsent(connection);
    connection->ops->withdraw(connection, left);
    return size - left;
}

size_t raw_read_some(di_connection *connection, void *bytes, size_t most)
{
    size_t there;
    connection->ops->peek(connection, &there);
    if (there == 0)
        assert_true(raw_receive(connection, 1) >= 0);
    const uint8_t *arrived = connection->ops->peek(connection, &there);
    if (there > most)
        there = most;
    if (there) {
        memcpy(bytes, arrived, there);
        connection->ops->consume(connection, there);
    }
    return there;
}

bool raw_ended(di_connection *connection)
{
    uint8_t byte;
    return !raw_read(connection, &byte, 1);
}

uint8_t *raw_record(uint8_t *at, const void *body, size_t size)
{
    dari_put_u32(at, (uint32_t)size | 0x80000000u);
    if (size)
        memcpy(at + 4, body, size);
    return at + 4 + size;
}

static uint8_t *make_record(const di_connection *connection, const void *body, size_t size,
                            size_t *ret_size)
{
    uint8_t *record = malloc(size + 4);
    assert_non_null(record);
    *ret_size = size;
    if (!connection->ops->keeps_boundaries)
        *ret_size = (size_t)(raw_record(record, body, size) - record);
    else if (size)
        memcpy(record, body, size);
    return record;
}

void raw_send_record(di_connection *connection, const void *body, size_t size)
{
    uint8_t *record = make_record(connection, body, size, &size);
    raw_send(connection, record, size);
    free(record);
}

void raw_queue_record(di_connection *connection, const void *body, size_t size)
{
    uint8_t *record = make_record(connection, body, size, &size);
    assert_true(queue(connection, record, size) >= 0);
    free(record);
}

size_t raw_read_record(di_connection *connection, void *body, size_t room)
{
    if (connection->ops->keeps_boundaries)
        return read_message(connection, body, room);
    uint8_t mark[4];
    assert_true(raw_read(connection, mark, sizeof mark));
    uint32_t size = dari_get_u32(mark);
    assert_true(size & 0x80000000u);
    size &= 0x7fffffffu;
    assert_true(size <= room);
    assert_true(raw_read(connection, body, size));
    return size;
}

uint8_t *raw_call(uint8_t *at, uint32_t xid, uint32_t program, uint32_t version, uint32_t procedure)
{
    const uint32_t words[10] = {xid, 0, 2, program, version, procedure, 0, 0, 0, 0};
    for (size_t i = 0; i < 10; i++)
        dari_put_u32(at + 4 * i, words[i]);
    return at + sizeof words;
}

uint8_t *raw_reply(uint8_t *at, uint32_t xid)
{
    const uint32_t words[6] = {xid, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < 6; i++)
        dari_put_u32(at + 4 * i, words[i]);
    return at + sizeof words;
}
