/* SPDX-License-Identifier: MIT */
#include "transport/stream.h"

#include "base/buffer.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers have no cap of their own: whoever reserves and receives knows how much may be. */
#define STREAM_CAP (SIZE_MAX / 4)

typedef struct di_stream {
    di_connection head;
    di_buffer out;
    di_buffer in;
    di_hold *hold;       /* ready to hold the memory of `in`; NULL once that was given up */
    di_stream_peer *ask; /* who the peer is */
} di_stream;

static int stream_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&((di_stream *)connection)->out, size, ret_room);
}

static void stream_commit(di_connection *connection, size_t size)
{
    di_buffer_commit(&((di_stream *)connection)->out, size);
}

static size_t stream_unsent(const di_connection *connection)
{
    return di_buffer_size(&((const di_stream *)connection)->out);
}

static void stream_withdraw(di_connection *connection, size_t size)
{
    di_buffer_withdraw(&((di_stream *)connection)->out, size);
}

/* The code for a failed send or recv. */
static int broken(int cause)
{
    return cause == EPIPE || cause == ECONNRESET ? DARI_CLOSED : DARI_ERRNO;
}

static int stream_flush(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    for (;;) {
        size_t size;
        const uint8_t *bytes = di_buffer_peek(&stream->out, &size);
        if (size == 0)
            return DI_MOVED;
        ssize_t sent = send(connection->descriptor, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            di_buffer_consume(&stream->out, (size_t)sent);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return DI_BLOCKED;
        else if (errno != EINTR)
            return broken(errno);
    }
}

/* Whether somebody holds what has been received. */
static bool is_held(const di_stream *stream)
{
    return stream->hold && stream->hold->memory && !di_hold_is_single(stream->hold);
}

/* Leaves the memory of what has been received to those who hold it. */
static void give_up(di_stream *stream)
{
    di_hold_release(stream->hold);
    stream->hold = NULL;
    di_buffer_init(&stream->in, STREAM_CAP);
}

/* Sees to it that the buffer is ours alone, and that it can be held. */
static int prepare(di_stream *stream)
{
    if (is_held(stream)) {
        di_buffer moved;
        size_t size;
        uint8_t *room;
        const uint8_t *bytes = di_buffer_peek(&stream->in, &size);
        di_buffer_init(&moved, STREAM_CAP);
        int error = di_buffer_reserve(&moved, size, &room);
        if (error < 0)
            return error;
        memcpy(room, bytes, size);
        di_buffer_commit(&moved, size);
        give_up(stream);
        stream->in = moved;
    }
    if (!stream->hold)
        stream->hold = di_hold_create();
    if (!stream->hold)
        return DARI_NO_MEMORY;
    stream->hold->memory = NULL;
    return 0;
}

static int stream_receive(di_connection *connection, size_t want)
{
    di_stream *stream = (di_stream *)connection;
    int error = prepare(stream);
    if (error < 0)
        return error;
    size_t believed = 3 * di_buffer_size(&stream->in);
    if (believed < DI_STREAM_ANNOUNCED)
        believed = DI_STREAM_ANNOUNCED;
    size_t size = want < DI_STREAM_ROOM ? DI_STREAM_ROOM : want < believed ? want : believed;
    if (want <= di_buffer_room(&stream->in))
        size = want;
    uint8_t *room;
    error = di_buffer_reserve(&stream->in, size, &room);
    if (error < 0)
        return error;
    for (;;) {
        ssize_t got = recv(connection->descriptor, room, di_buffer_room(&stream->in), MSG_DONTWAIT);
        if (got > 0) {
            di_buffer_commit(&stream->in, (size_t)got);
            return DI_MOVED;
        }
        if (got == 0)
            return DARI_CLOSED;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return DI_BLOCKED;
        if (errno != EINTR)
            return broken(errno);
    }
}

static uint8_t *stream_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const di_stream *)connection)->in, ret_size);
}

static void stream_consume(di_connection *connection, size_t size)
{
    di_stream *stream = (di_stream *)connection;
    if (!is_held(stream))
        di_buffer_consume(&stream->in, size);
    else if (size < di_buffer_size(&stream->in))
        stream->in.begin += size;
    else
        give_up(stream);
}

static di_hold *stream_hold(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    stream->hold->memory = stream->in.data;
    return di_hold_add(stream->hold);
}

static void stream_peer(const di_connection *connection, di_peer *ret_peer)
{
    const di_stream *stream = (const di_stream *)connection;
    if (stream->ask)
        stream->ask(connection->descriptor, ret_peer);
}

static size_t stream_spare(const di_connection *connection)
{
    const di_stream *stream = (const di_stream *)connection;
    return di_buffer_spare(&stream->in) + di_buffer_spare(&stream->out);
}

static void stream_trim(di_connection *connection)
{
    di_buffer_shrink(&((di_stream *)connection)->in);
    di_buffer_shrink(&((di_stream *)connection)->out);
}

static void stream_shut(di_connection *connection)
{
    shutdown(connection->descriptor, SHUT_RDWR);
}

static void stream_close(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    close(connection->descriptor);
    di_buffer_free(&stream->out);
    if (is_held(stream)) {
        give_up(stream);
    } else {
        if (stream->hold)
            stream->hold->memory = NULL;
        di_hold_release(stream->hold);
        di_buffer_free(&stream->in);
    }
    free(stream);
}

static const di_connection_ops stream_ops = {
    .keeps_boundaries = false,
    .reserve = stream_reserve,
    .commit = stream_commit,
    .flush = stream_flush,
    .unsent = stream_unsent,
    .withdraw = stream_withdraw,
    .receive = stream_receive,
    .peek = stream_peek,
    .consume = stream_consume,
    .hold = stream_hold,
    .spare = stream_spare,
    .trim = stream_trim,
    .peer = stream_peer,
    .shut = stream_shut,
    .close = stream_close,
};

int di_stream_create(int descriptor, di_stream_peer *ask, di_connection **ret_connection)
{
    di_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        close(descriptor);
        return DARI_NO_MEMORY;
    }
    stream->head = (di_connection){.ops = &stream_ops, .descriptor = descriptor};
    di_buffer_init(&stream->out, STREAM_CAP);
    di_buffer_init(&stream->in, STREAM_CAP);
    stream->ask = ask;
    *ret_connection = &stream->head;
    return 0;
}

int di_stream_accept(int listening, int *ret_descriptor)
{
    for (;;) {
        int descriptor = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            *ret_descriptor = descriptor;
            return DI_MOVED;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return DI_BLOCKED;
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return DARI_ERRNO;
    }
}
