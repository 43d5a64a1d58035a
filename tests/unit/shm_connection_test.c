/* SPDX-License-Identifier: MIT */
/* Both sides of a shm: connection in one thread, and what happens between two steps of one side. */
#include "transport/shm_connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RING ((uint32_t)64 << 10)

typedef struct pair {
    di_connection *client, *server;
} pair;

/* Called before the next recv. The linker puts the function in the place of recv: --wrap. */
static void (*meanwhile)(pair *self);
static pair *between;

ssize_t __real_recv(int descriptor, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags);

ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags)
{
    void (*now)(pair * self) = meanwhile;
    meanwhile = NULL;
    if (now)
        now(between);
    return __real_recv(descriptor, bytes, size, flags);
}

static int begin(void **state)
{
    int sockets[2];
    pair *self = calloc(1, sizeof *self);
    assert_non_null(self);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets),
                     0);
    assert_int_equal(di_shm_create_client(sockets[0], 0, &self->client), 0);
    assert_int_equal(
        di_shm_create_server(sockets[1], &(di_shm_terms){.ring_size = RING}, &self->server), 0);
    assert_int_equal(self->client->ops->receive(self->client, 1), DI_BLOCKED);
    *state = between = self;
    return 0;
}

static int end(void **state)
{
    pair *self = *state;
    self->client->ops->close(self->client);
    self->server->ops->close(self->server);
    free(self);
    return 0;
}

static int send_bytes(di_connection *connection, size_t size)
{
    uint8_t *room;
    assert_int_equal(connection->ops->reserve(connection, size, &room), 0);
    memset(room, 1, size);
    connection->ops->commit(connection, size);
    return connection->ops->flush(connection);
}

/* Receives and consumes until at least so many bytes have come. */
static void take_bytes(di_connection *connection, size_t least)
{
    for (size_t size, all = 0; all < least; all += size) {
        assert_int_equal(connection->ops->receive(connection, 1), DI_MOVED);
        connection->ops->peek(connection, &size);
        connection->ops->consume(connection, size);
    }
}

/* Whether a thread that polls the watches would wake up. */
static bool is_told(const di_connection *connection)
{
    struct pollfd one = {.fd = di_connection_descriptor(connection), .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

/* One thread sleeps; another one tries to, but finds some room. The first is still to be woken. */
static void a_sleeper_stays_announced(void **state)
{
    pair *self = *state;
    const di_connection_ops *ops = self->client->ops;
    assert_int_equal(send_bytes(self->client, 2 * RING), DI_BLOCKED);
    assert_true(ops->arm(self->client));
    take_bytes(self->server, 1);
    assert_false(is_told(self->client)); /* not yet half of the ring */
    assert_false(ops->arm(self->client));
    assert_int_equal(send_bytes(self->server, 8), DI_MOVED);
    assert_true(is_told(self->client));
    take_bytes(self->client, 8);
    assert_false(is_told(self->client));
}

static void take_all(pair *self)
{
    take_bytes(self->server, RING);
}

/* The wake-up comes when flush has found no room, and is about to take wake-ups. */
static void room_that_comes_while_flush_gives_up(void **state)
{
    pair *self = *state;
    const di_connection_ops *ops = self->client->ops;
    assert_int_equal(send_bytes(self->client, RING), DI_MOVED);
    assert_int_equal(send_bytes(self->client, 2 * RING), DI_BLOCKED);
    meanwhile = take_all;
    int flushed = ops->flush(self->client);
    assert_null(meanwhile);
    assert_int_equal(flushed, DI_BLOCKED);
    assert_false(ops->ready(self->client, false));
    take_bytes(self->server, RING);
    assert_true(is_told(self->client));
    assert_int_equal(ops->flush(self->client), DI_MOVED);
}

/* What had waited for room is taken back: then room is no reason to go on. */
static void nothing_waits_for_room_any_more(void **state)
{
    pair *self = *state;
    const di_connection_ops *ops = self->client->ops;
    assert_int_equal(send_bytes(self->client, RING), DI_MOVED);
    assert_int_equal(send_bytes(self->client, 100), DI_BLOCKED);
    ops->withdraw(self->client, 100);
    take_bytes(self->server, RING);
    assert_false(ops->ready(self->client, true));
    assert_true(ops->arm(self->client));
    assert_int_equal(send_bytes(self->client, 100), DI_MOVED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_sleeper_stays_announced),
        TEST(room_that_comes_while_flush_gives_up),
        TEST(nothing_waits_for_room_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
