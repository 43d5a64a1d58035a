/* SPDX-License-Identifier: MIT */
/* The raw server: one loop around epoll_wait, for one client. It checks every call, and answers all
 * that have arrived with one send, as far as they are NOTHING. */
#include "rpc_raw.h"
#include "rpc_socket.h"
#include "rpc_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IN_SIZE (WIRE_MARK + WIRE_CALL + WIRE_ECHO_BODY)
#define OUT_SIZE (RPC_IN_FLIGHT * (WIRE_MARK + WIRE_REPLY))

typedef struct raw_server {
    int descriptor;
    int epoll;
    uint8_t *in; /* IN_SIZE bytes, of which `have` have arrived */
    size_t have;
    uint8_t out[OUT_SIZE]; /* replies to NOTHING, not sent yet */
    size_t unsent;
} raw_server;

/* Waits until the descriptor is ready. */
static bool await(const raw_server *server)
{
    struct epoll_event event;
    int count;
    do
        count = epoll_wait(server->epoll, &event, 1, -1);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

static bool watch(const raw_server *server, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events};
    return epoll_ctl(server->epoll, operation, server->descriptor, &event) == 0;
}

static bool open_server(raw_server *server, int descriptor)
{
    server->descriptor = descriptor;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->in = malloc(IN_SIZE);
    return server->epoll >= 0 && server->in && fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 &&
           watch(server, EPOLL_CTL_ADD, EPOLLIN);
}

static bool send_all(const raw_server *server, const uint8_t *bytes, size_t size)
{
    bool waited = false;
    while (size > 0) {
        ssize_t sent = send(server->descriptor, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            if (!waited && !watch(server, EPOLL_CTL_MOD, EPOLLOUT))
                return false;
            waited = true;
            if (!await(server))
                return false;
        } else if (sent < 0) {
            return false;
        } else {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return !waited || watch(server, EPOLL_CTL_MOD, EPOLLIN);
}

static bool flush(raw_server *server)
{
    size_t size = server->unsent;
    server->unsent = 0;
    return send_all(server, server->out, size);
}

static bool answer_nothing(raw_server *server, const uint8_t *call)
{
    if (server->unsent == OUT_SIZE && !flush(server))
        return false;
    uint8_t *reply = server->out + server->unsent;
    wire_write_mark(reply, WIRE_REPLY);
    wire_write_reply(reply + WIRE_MARK, codec_load_be32(call));
    server->unsent += WIRE_MARK + WIRE_REPLY;
    return true;
}

/* What is echoed stays where it arrived: the reply's header is written in front of it. */
static bool answer_echo(raw_server *server, uint8_t *call, size_t size)
{
    uint8_t *reply = call + WIRE_CALL - WIRE_REPLY;
    size_t reply_size = size - WIRE_CALL + WIRE_REPLY;
    wire_write_reply(reply, codec_load_be32(call));
    wire_write_mark(reply - WIRE_MARK, reply_size);
    return send_all(server, reply - WIRE_MARK, WIRE_MARK + reply_size);
}

static bool answer(raw_server *server, uint8_t *call, size_t size)
{
    uint32_t procedure;
    if (size < WIRE_CALL || !wire_read_call(call, &procedure))
        return false;
    if (procedure == WIRE_ECHO)
        return answer_echo(server, call, size);
    return procedure == WIRE_NOTHING && answer_nothing(server, call);
}

/* Answers the calls that are there whole, and keeps the beginning of the next one. */
static bool answer_all(raw_server *server)
{
    uint8_t *at = server->in;
    size_t left = server->have;
    while (left >= WIRE_MARK) {
        size_t size = codec_load_be32(at) & ~WIRE_LAST;
        if (size > IN_SIZE - WIRE_MARK)
            return false;
        if (left < WIRE_MARK + size)
            break;
        if (!answer(server, at + WIRE_MARK, size))
            return false;
        at += WIRE_MARK + size;
        left -= WIRE_MARK + size;
    }
    memmove(server->in, at, left);
    server->have = left;
    return flush(server);
}

static bool serve_stream(raw_server *server)
{
    while (await(server)) {
        ssize_t size =
            recv(server->descriptor, server->in + server->have, IN_SIZE - server->have, 0);
        if (size <= 0)
            return size == 0;
        server->have += (size_t)size;
        if (!answer_all(server))
            return false;
    }
    return false;
}

static bool serve_datagrams(raw_server *server)
{
    while (await(server)) {
        struct sockaddr_storage peer;
        socklen_t peer_size = sizeof peer;
        ssize_t size = recvfrom(server->descriptor, server->in, IN_SIZE, 0,
                                (struct sockaddr *)&peer, &peer_size);
        uint32_t procedure;
        if (size != (ssize_t)WIRE_CALL || !wire_read_call(server->in, &procedure))
            return false;
        wire_write_reply(server->out, codec_load_be32(server->in));
        if (sendto(server->descriptor, server->out, WIRE_REPLY, 0, (struct sockaddr *)&peer,
                   peer_size) < 0)
            return false;
    }
    return false;
}

void rpc_raw_serve(rpc_place *place, int ready)
{
    static raw_server server;
    int descriptor = rpc_socket_listen(place);
    if (descriptor < 0)
        return;
    rpc_server_ready(place, ready);
    if (place->scheme == RPC_UDP) {
        if (open_server(&server, descriptor))
            serve_datagrams(&server);
        return;
    }
    descriptor = accept(descriptor, NULL, NULL);
    rpc_socket_prepare(place, descriptor);
    /* The client may go first: that is no failure, and nothing is left to do. */
    if (open_server(&server, descriptor) && serve_stream(&server))
        _exit(0);
}
