/* SPDX-License-Identifier: MIT */
/* The server: addresses, connections, descriptors, stopping, and loops of others. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/server.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>

void an_address_is_told(test_fixture *fixture)
{
    fixture_listen(fixture);
    assert_string_equal(dari_server_address(fixture->server, 0), fixture->address);
    assert_null(dari_server_address(fixture->server, 1));
    assert_null(strstr(fixture->address, ":0"));
    if (fixture->scheme->has_path) {
        struct stat status;
        assert_int_equal(stat(strchr(fixture->address, ':') + 1, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

void an_address_in_use(test_fixture *fixture)
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
    assert_int_equal(dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client),
                     DARI_REFUSED);
    dari_call_end(&call);
}

void descriptors_do_not_leak(test_fixture *fixture)
{
    use_once(fixture);
    unsigned before = count_descriptors();
    for (int i = 0; i < 20; i++)
        use_once(fixture);
    assert_int_equal(count_descriptors(), before);
}

void many_connections(test_fixture *fixture)
{
    enum { MOST = 200 };
    dari_client *clients[MOST];
    const int count = fixture->scheme->most ? (int)fixture->scheme->most : MOST;
    fixture_serve(fixture);
    for (int i = 0; i < count; i++)
        clients[i] = fixture_connect(fixture, NULL);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < count; i++)
            check_add(clients[i]);
    for (int i = 0; i < count; i += 2)
        dari_client_close(clients[i]);
    for (int i = 1; i < count; i += 2) {
        check_add(clients[i]);
        dari_client_close(clients[i]);
    }
}

void connections_beyond_the_limit_wait(test_fixture *fixture)
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
    fixture_listen(fixture);
    di_connection *connections[8];
    for (int i = 0; i < 8; i++)
        connections[i] = raw_connect_only(fixture);
    /* The peers take descriptors of the same process: all that the limit leaves but SPARE. */
    unsigned most = count_descriptors() - 3 + SPARE;
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return __LINE__;
    uint8_t message[64], reply[64];
    size_t size = (size_t)(raw_call(message, 1, ECHO, ECHO_V1, 0) - message);
    for (int i = 0; i < 8; i++)
        raw_queue_record(connections[i], message, size);
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
        while (!raw_has(connections[i]))
            step(fixture->server, 200);
        if (raw_read_record(connections[i], reply, sizeof reply) != 24)
            return __LINE__;
        raw_close(connections[i]);
    }
    return 0;
}

static int run_out_and_clean(test_fixture *fixture)
{
    int line = run_out(fixture);
    dari_server_destroy(fixture->server);
    return line;
}

void descriptors_run_out(test_fixture *fixture)
{
    check_child(run_out_and_clean, fixture);
}

void stop_before_run(test_fixture *fixture)
{
    fixture_listen(fixture);
    dari_server_stop(fixture->server);
    dari_server_stop(fixture->server);
    assert_int_equal(dari_server_run(fixture->server), 0);
    /* It counts once: the next run serves. */
    fixture_start(fixture);
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

void stop_from_a_signal_handler(test_fixture *fixture)
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

void stop_within_a_pipeline(test_fixture *fixture)
{
    enum { CALLS = 200 };
    fixture_listen(fixture);
    fixture->stop_at = 1;
    di_connection *peer = raw_connect(fixture);
    uint8_t message[64], reply[64];
    uint8_t records[CALLS * 64], *end = records;
    for (uint32_t xid = 1; xid <= CALLS; xid++)
        end =
            raw_record(end, message, (size_t)(raw_call(message, xid, ECHO, ECHO_V1, 0) - message));
    raw_send(peer, records, (size_t)(end - records));
    assert_int_equal(dari_server_run(fixture->server), 0);
    assert_int_equal(fixture_entered(fixture), 1);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_false(raw_has(peer));
    /* The others wait for the next run. */
    fixture->stop_at = CALLS;
    assert_int_equal(dari_server_run(fixture->server), 0);
    assert_int_equal(fixture_entered(fixture), CALLS);
    for (uint32_t xid = 2; xid <= CALLS; xid++) {
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply), xid);
    }
    raw_close(peer);
}

void listeners_that_cannot_be_watched(test_fixture *fixture)
{
    fixture->options.connections_max = 1;
    fixture_listen(fixture);
    dari_server *server = fixture->server;
    assert_int_equal(dari_server_listen(server, "tcp://127.0.0.1:0"), 0);
    di_connection *first = raw_connect(fixture);
    while (server->connections == 0)
        step(server, 1000);
    assert_false(server->accepting);
    /* The second listener's descriptor is out of reach: the first one is not watched either. */
    di_listener *second = server->addresses->next->listener;
    int descriptor = second->descriptor;
    second->descriptor = -1;
    raw_close(first);
    while (server->connections == 1)
        step(server, 1000);
    assert_false(server->accepting);
    assert_int_equal(fixture->logged, 1);
    assert_int_equal(fixture->log_error, DARI_ERRNO);
    assert_true(dari_server_timeout_ns(server) <= DI_ACCEPT_PAUSE_NS);
    second->descriptor = descriptor;
    di_connection *next = raw_connect(fixture);
    while (server->connections == 0)
        step(server, 1000);
    raw_close(next);
}

void a_loop_of_ones_own(test_fixture *fixture)
{
    fixture_listen(fixture);
    di_connection *peer = raw_connect_only(fixture);
    uint8_t message[64], reply[64];
    size_t size = (size_t)(raw_call(message, 5, ECHO, ECHO_V1, 0) - message);
    assert_int_equal(dari_server_timeout_ns(fixture->server), UINT64_MAX);
    for (int i = 0; i < 10; i++) {
        raw_queue_record(peer, message, size);
        while (!raw_has(peer))
            step(fixture->server, 1000);
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    }
    assert_int_equal(dari_server_dispatch(fixture->server), 0);
    raw_close(peer);
    assert_true(step(fixture->server, 1000));
    assert_int_equal(fixture->server->connections, 0);
}

/* One connection at a time has something to receive or to send, or was the last to have had, so one
 * of each is enough for all. */
static void expect_small_pieces(di_pool *pool, unsigned least)
{
    unsigned count = 0;
    for (unsigned i = 0; i < DI_POOL_SLOTS; i++)
        count += atomic_load(&pool->small[i]) != NULL;
    assert_in_range(count, least, 2);
}

void idle_connections_have_no_buffers(test_fixture *fixture)
{
    enum { PEERS = 5 };
    fixture_listen(fixture);
    di_connection *peers[PEERS];
    uint8_t message[64], reply[64];
    size_t size = (size_t)(raw_call(message, 5, ECHO, ECHO_V1, 0) - message);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = raw_connect(fixture);
        raw_send_record(peers[i], message, size);
        while (!raw_has(peers[i]))
            step(fixture->server, 1000);
        assert_int_equal(raw_read_record(peers[i], reply, sizeof reply), 24);
    }
    expect_small_pieces(&fixture->server->pool, 0);
    for (int i = 0; i < PEERS; i++)
        raw_close(peers[i]);
    while (fixture->server->connections > 0)
        step(fixture->server, 1000);
    expect_small_pieces(&fixture->server->pool, 1);
}

void an_idle_connection_is_small(test_fixture *fixture)
{
    fixture->options.idle_ns = fixture->options.first_call_ns = UINT64_MAX;
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    const uint32_t size = 1 << 20;
    queue_echo(peer, 1, size);
    while (!raw_has(peer) || peer->ops->unsent(peer) > 0) {
        assert_true(peer->ops->flush(peer) >= 0);
        step(fixture->server, 10);
    }
    /* The reply waits on the server's side, until it is taken. */
    while (fixture->server->sessions->wants & DI_WANTS_SEND) {
        size_t there;
        assert_true(peer->ops->receive(peer, size) >= 0);
        peer->ops->peek(peer, &there);
        peer->ops->consume(peer, there);
        step(fixture->server, 10);
    }
    di_pool *pool = &fixture->server->pool;
    assert_true(di_pool_used_large(pool));
    assert_true(dari_server_timeout_ns(fixture->server) <= DI_TRIM_NS);
    while (dari_server_timeout_ns(fixture->server) != UINT64_MAX)
        step(fixture->server, 2000);
    for (unsigned i = 0; i < DI_POOL_SLOTS; i++)
        assert_null(atomic_load(&pool->large[i]));
    expect_small_pieces(pool, fixture->scheme->queue ? 0 : 1);
    raw_close(peer);
}
