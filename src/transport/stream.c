/* SPDX-License-Identifier: MIT */
#include "transport/stream.h"

#include "transport/parts.h"
#include "transport/patience.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers have no cap of their own: whoever reserves and receives knows how much may be. */
#define STREAM_CAP (SIZE_MAX / 4)

static int stream_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&((di_stream *)connection)->out, size, ret_room);
}

static void stream_commit(di_connection *connection, size_t size)
{
    di_buffer_commit(&((di_stream *)connection)->out, size);
}

static void stream_commit_parts(di_connection *connection, size_t size, const di_part *parts,
                                size_t count)
{
    di_stream *stream = (di_stream *)connection;
    struct iovec pieces[DI_PIECES_MAX];
    di_buffer_commit(&stream->out, size);
    size_t piece_count = di_parts_list(&stream->out, parts, count, pieces);
    ssize_t sent;
    do
        sent = stream->io->send_pieces(stream, pieces, piece_count);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        stream->send_failed = errno;
    if (sent < 0)
        sent = 0;
    di_parts_write(stream->out.data + stream->out.begin + sent, parts, count);
    di_buffer_consume(&stream->out, (size_t)sent);
}

static size_t stream_unsent(const di_connection *connection)
{
    return di_buffer_size(&((const di_stream *)connection)->out);
}

static void stream_withdraw(di_connection *connection, size_t size)
{
    di_buffer_withdraw(&((di_stream *)connection)->out, size);
}

/* The code for a failed send or receive. */
static int broken(int cause)
{
    return cause == EPIPE || cause == ECONNRESET ? DARI_CLOSED : DARI_ERRNO;
}

static int stream_flush(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    if (stream->send_failed)
        return broken(errno = stream->send_failed);
    for (;;) {
        size_t size;
        const uint8_t *bytes = di_buffer_peek(&stream->out, &size);
        if (size == 0)
            return DI_MOVED;
        ssize_t sent = stream->io->send(stream, bytes, size);
        if (sent >= 0)
            di_buffer_consume(&stream->out, (size_t)sent);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return DI_BLOCKED;
        else if (errno != EINTR)
            return broken(errno);
    }
}

/* Receives once into the buffer, which has room; `waits` for something to come. */
static int receive_once(di_stream *stream, bool waits)
{
    di_buffer *in = &stream->in.buffer;
    for (;;) {
        uint8_t *room = in->data + in->end;
        ssize_t got = waits ? stream->io->receive_patiently(stream, room, di_buffer_room(in))
                            : stream->io->receive(stream, room, di_buffer_room(in));
        if (got > 0) {
            di_buffer_commit(in, (size_t)got);
            return DI_MOVED;
        }
        if (got == 0)
            return DARI_CLOSED;
        if (errno == EAGAIN || errno == EWOULDBLOCK || (waits && errno == EINTR))
            return DI_BLOCKED;
        if (errno != EINTR)
            return broken(errno);
    }
}

static int receive(di_stream *stream, size_t want, bool waits)
{
    int error = di_inbound_make_room(&stream->in, want);
    if (error < 0)
        return error;
    int moved = receive_once(stream, waits);
    if (moved == DI_MOVED)
        return moved;
    int cause = errno;
    di_inbound_rest(&stream->in);
    errno = cause;
    return moved;
}

static int stream_receive(di_connection *connection, size_t want)
{
    return receive((di_stream *)connection, want, false);
}

static int stream_receive_patiently(di_connection *connection, size_t want)
{
    return receive((di_stream *)connection, want, true);
}

static uint8_t *stream_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const di_stream *)connection)->in.buffer, ret_size);
}

static void stream_consume(di_connection *connection, size_t size)
{
    di_inbound_consume(&((di_stream *)connection)->in, size);
}

static di_hold *stream_hold(di_connection *connection)
{
    return di_hold_add(di_buffer_hold(&((di_stream *)connection)->in.buffer));
}

static void stream_lend(di_connection *connection, di_hold *memory)
{
    di_inbound_lend(&((di_stream *)connection)->in, memory);
}

static void stream_peer(const di_connection *connection, di_peer *ret_peer)
{
    const di_stream *stream = (const di_stream *)connection;
    if (stream->io->peer)
        stream->io->peer(stream, ret_peer);
}

static void stream_use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    di_buffer_set_pool(&((di_stream *)connection)->in.buffer, pool, keeps);
    di_buffer_set_pool(&((di_stream *)connection)->out, pool, keeps);
}

static void stream_shut(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    stream->io->shut(stream);
}

static void stream_close(di_connection *connection)
{
    di_stream *stream = (di_stream *)connection;
    di_buffer_free(&stream->out);
    di_inbound_end(&stream->in);
    stream->io->free(stream);
}

static const di_connection_ops stream_ops = {
    .keeps_boundaries = false,
    .reserve = stream_reserve,
    .commit = stream_commit,
    .commit_parts = stream_commit_parts,
    .flush = stream_flush,
    .unsent = stream_unsent,
    .withdraw = stream_withdraw,
    .receive = stream_receive,
    .receive_patiently = stream_receive_patiently,
    .peek = stream_peek,
    .consume = stream_consume,
    .hold = stream_hold,
    .lend = stream_lend,
    .use_pool = stream_use_pool,
    .peer = stream_peer,
    .shut = stream_shut,
    .close = stream_close,
};

void di_stream_init(di_stream *stream, const di_stream_io *io)
{
    *stream = (di_stream){.head = {.ops = &stream_ops}, .io = io};
    di_buffer_init(&stream->out, STREAM_CAP);
    di_buffer_init(&stream->in.buffer, STREAM_CAP);
}

/* A stream over one socket. */
typedef struct socket_stream {
    di_stream stream;
    di_stream_peer *ask; /* who the peer is, or NULL */
    pid_t owner;         /* the process of this side: its children only close what they inherit */
} socket_stream;

static ssize_t socket_receive(di_stream *stream, void *bytes, size_t size)
{
    return recv(di_connection_descriptor(&stream->head), bytes, size, MSG_DONTWAIT);
}

static ssize_t socket_receive_patiently(di_stream *stream, void *bytes, size_t size)
{
    return recv(di_connection_descriptor(&stream->head), bytes, size, 0);
}

static ssize_t socket_send(di_stream *stream, const void *bytes, size_t size)
{
    return send(di_connection_descriptor(&stream->head), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t socket_send_pieces(di_stream *stream, struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(di_connection_descriptor(&stream->head), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void socket_peer(const di_stream *stream, di_peer *ret_peer)
{
    const socket_stream *own = (const socket_stream *)stream;
    if (own->ask)
        own->ask(di_connection_descriptor(&stream->head), ret_peer);
}

static void socket_shut(di_stream *stream)
{
    shutdown(di_connection_descriptor(&stream->head), SHUT_RDWR);
}

/* Closing tells nobody where a child holds the socket too. */
static void socket_free(di_stream *stream)
{
    if (((const socket_stream *)stream)->owner == getpid())
        socket_shut(stream);
    close(di_connection_descriptor(&stream->head));
    free(stream);
}

static const di_stream_io socket_io = {
    .receive = socket_receive,
    .receive_patiently = socket_receive_patiently,
    .send = socket_send,
    .send_pieces = socket_send_pieces,
    .peer = socket_peer,
    .shut = socket_shut,
    .free = socket_free,
};

int di_stream_create(int descriptor, di_stream_peer *ask, di_connection **ret_connection)
{
    socket_stream *own = calloc(1, sizeof *own);
    if (!own) {
        close(descriptor);
        return DARI_NO_MEMORY;
    }
    di_stream_init(&own->stream, &socket_io);
    own->stream.head = di_connection_of(&stream_ops, descriptor);
    own->ask = ask;
    own->owner = getpid();
    *ret_connection = &own->stream.head;
    return 0;
}

int di_stream_create_patient(int descriptor, di_stream_peer *ask, di_connection **ret_connection)
{
    bool patient = di_socket_make_patient(descriptor);
    int error = di_stream_create(descriptor, ask, ret_connection);
    if (error == 0)
        (*ret_connection)->patient = patient;
    return error;
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
