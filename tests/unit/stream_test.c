/* SPDX-License-Identifier: MIT */
/* Messages of which parts lie elsewhere, over a stream whose sends stop wherever the test says. */
#include "transport/stream.h"

#include <dari/error.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the next sendmsg takes at most; 0: EAGAIN. And the errors that it meets before. */
static size_t takes;
static int fails_with;
static unsigned interruptions;

/* The linker puts it in the place of the function: --wrap. */
ssize_t __real_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    struct iovec pieces[2 * DI_PARTS_MAX + 1];
    size_t left = takes, count = 0;
    assert_in_range(message->msg_iovlen, 1, 2 * DI_PARTS_MAX + 1);
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    if (fails_with || takes == 0) {
        errno = fails_with ? fails_with : EAGAIN;
        return -1;
    }
    for (; left > 0 && count < message->msg_iovlen; count++) {
        pieces[count] = message->msg_iov[count];
        if (pieces[count].iov_len > left)
            pieces[count].iov_len = left;
        left -= pieces[count].iov_len;
    }
    struct msghdr cut = {.msg_iov = pieces, .msg_iovlen = count};
    return __real_sendmsg(descriptor, &cut, flags);
}

#define SMALL 16
#define MESSAGE 64

typedef struct stream_pair {
    di_connection *connection;
    int other;
} stream_pair;

static void begin(stream_pair *pair)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(di_stream_create(ends[0], NULL, &pair->connection), 0);
    pair->other = ends[1];
    takes = SIZE_MAX;
    fails_with = 0;
    interruptions = 0;
}

static void end(stream_pair *pair)
{
    pair->connection->ops->close(pair->connection);
    if (pair->other >= 0)
        close(pair->other);
}

/* Commits a message of the bytes from `first` on, of which those in `from` to `to` lie elsewhere,
 * twice. */
static void commit(di_connection *connection, uint8_t first, const size_t from[2],
                   const size_t to[2])
{
    uint8_t *room = NULL, elsewhere[MESSAGE];
    di_part parts[2];
    assert_int_equal(connection->ops->reserve(connection, MESSAGE, &room), 0);
    for (size_t i = 0; i < MESSAGE; i++)
        elsewhere[i] = room[i] = (uint8_t)(first + i);
    for (size_t i = 0; i < 2; i++) {
        memset(room + from[i], 0, to[i] - from[i]);
        parts[i] = (di_part){room + from[i], elsewhere + from[i], to[i] - from[i]};
    }
    connection->ops->commit_parts(connection, MESSAGE, parts, 2);
    memset(elsewhere, 0, sizeof elsewhere);
}

static void expect(const stream_pair *pair, size_t size)
{
    uint8_t bytes[256];
    assert_int_equal(recv(pair->other, bytes, sizeof bytes, 0), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], i);
}

static void commit_small(di_connection *connection)
{
    uint8_t *room = NULL;
    assert_int_equal(connection->ops->reserve(connection, SMALL, &room), 0);
    for (uint8_t i = 0; i < SMALL; i++)
        room[i] = i;
    connection->ops->commit(connection, SMALL);
}

/* Two parts anywhere in a message, behind another one, of which so many bytes go at once. */
static void every_byte_has_its_place(void **state)
{
    static const size_t places[][4] = {{4, 20, 24, 60},
                                       {0, 1, 1, 2},
                                       {0, 30, 30, MESSAGE},
                                       {10, 10, 63, MESSAGE},
                                       {8, 40, 44, 45}};
    (void)state;
    for (size_t at = 0; at < sizeof places / sizeof *places; at++)
        for (size_t most = 0; most <= SMALL + MESSAGE; most++) {
            stream_pair pair;
            begin(&pair);
            commit_small(pair.connection);
            takes = most;
            interruptions = (unsigned)most % 3;
            commit(pair.connection, SMALL, (const size_t[]){places[at][0], places[at][2]},
                   (const size_t[]){places[at][1], places[at][3]});
            assert_int_equal(pair.connection->ops->unsent(pair.connection), SMALL + MESSAGE - most);
            commit_small(pair.connection);
            pair.connection->ops->withdraw(pair.connection, SMALL);
            assert_int_equal(pair.connection->ops->flush(pair.connection), DI_MOVED);
            expect(&pair, SMALL + MESSAGE);
            end(&pair);
        }
}

static void a_failure_is_told_by_the_flush(void **state)
{
    static const size_t from[] = {0, 40}, to[] = {20, 41};
    (void)state;
    stream_pair pair;
    begin(&pair);
    fails_with = ETIMEDOUT;
    commit(pair.connection, 0, from, to);
    assert_int_equal(pair.connection->ops->unsent(pair.connection), MESSAGE);
    errno = 0;
    assert_int_equal(pair.connection->ops->flush(pair.connection), DARI_ERRNO);
    assert_int_equal(errno, ETIMEDOUT);
    end(&pair);
    begin(&pair);
    close(pair.other);
    pair.other = -1;
    commit(pair.connection, 0, from, to);
    assert_int_equal(pair.connection->ops->flush(pair.connection), DARI_CLOSED);
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_has_its_place),
        cmocka_unit_test(a_failure_is_told_by_the_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
