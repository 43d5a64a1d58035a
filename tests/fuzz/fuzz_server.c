/* SPDX-License-Identifier: MIT */
/* Fuzzes one connection of a whole server: a stream in portions, both from the input. Every call in
 * it gets one reply, in order where the handlers answer at once, until something comes that is no
 * RPC message; then, or once the stream has ended, the connection is closed. Run as fuzz_message.c,
 * with the files of src/transport and src/loop and with echo.c beside it. */
#include "echo.h"
#include "loop/server.h"
#include "rpc/flavor.h"
#include "transport/stream.h"

#include <dari/error.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 8 /* flags, then the portions in which the stream comes */
#define LATER 1u
#define LIMIT 2000u
#define CALLS_MAX 1024u

typedef struct expected_reply {
    uint32_t xid;
    int error;       /* 1: not known beforehand */
    uint32_t status; /* of DARI_AUTH */
    bool came;
} expected_reply;

typedef struct hostile_peer {
    dari_server *server;
    int descriptor;
    bool later;
    dari_request *left[CALLS_MAX];
    unsigned left_count;
    expected_reply expected[CALLS_MAX];
    unsigned expected_count, came;
    bool garbage; /* is in the stream */
    uint8_t input[LIMIT + 256];
    size_t input_size;
} hostile_peer;

static void check(int holds)
{
    if (!holds)
        abort();
}

static int finish(dari_request *request, int result)
{
    hostile_peer *peer = dari_request_user(request);
    if (!peer->later)
        return result;
    check(peer->left_count < CALLS_MAX);
    peer->left[peer->left_count++] = request;
    return DARI_LATER;
}

static int handle_nothing(dari_request *request)
{
    return finish(request, 0);
}

static int handle_echo_data(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    *ret = *arg;
    return finish(request, 0);
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    *ret = (int32_t)((uint32_t)arg->a + (uint32_t)arg->b);
    return finish(request, 0);
}

static int handle_fail(dari_request *request, const int32_t *arg)
{
    return finish(request, *arg == DARI_LATER ? 1 : *arg);
}

static const echo_1_handlers handlers = {.nothing = handle_nothing,
                                         .echo_data = handle_echo_data,
                                         .add = handle_add,
                                         .fail = handle_fail};

/* What the server owes for a message: one reply, none, or the end of the connection. */
static void expect(hostile_peer *peer, const uint8_t *bytes, size_t size)
{
    di_call_header header;
    const uint8_t *arguments;
    if (peer->garbage || peer->expected_count == CALLS_MAX)
        return;
    if (size >= 8 && dari_get_u32(bytes + 4) == DI_REPLY)
        return;
    expected_reply *owed = &peer->expected[peer->expected_count];
    *owed = (expected_reply){.error = 1};
    int error = di_call_header_decode(bytes, size, &header, &arguments, &owed->status);
    if (error == DARI_BAD_REPLY) {
        peer->garbage = true;
        return;
    }
    owed->xid = header.xid;
    const di_flavor *flavor = error ? NULL : di_flavor_find(header.credential.flavor);
    if (error) {
        owed->error = error;
    } else if (!flavor || flavor->check(&header.credential) != DI_AUTH_OK) {
        owed->error = DARI_AUTH;
        owed->status = flavor ? DI_AUTH_BADCRED : DI_AUTH_REJECTEDCRED;
    } else if (header.program != ECHO) {
        owed->error = DARI_PROGRAM_UNAVAILABLE;
    }
    peer->expected_count++;
}

/* The plain reading of the whole stream. */
static void expect_all(hostile_peer *peer, const uint8_t *at, const uint8_t *end)
{
    uint8_t body[LIMIT];
    uint64_t size = 0;  /* of the record, as announced */
    size_t arrived = 0; /* of it, up to LIMIT */
    while (end - at >= 4) {
        uint32_t mark = dari_get_u32(at);
        uint32_t length = mark & ~DI_RECORD_LAST;
        at += 4;
        size += length;
        size_t there = (size_t)(end - at) < length ? (size_t)(end - at) : length;
        size_t kept = there < LIMIT - arrived ? there : LIMIT - arrived;
        memcpy(body + arrived, at, kept);
        arrived += kept;
        at += there;
        bool whole = there == length && mark & DI_RECORD_LAST;
        bool broken_off = there < length || end - at < 4;
        if (size > LIMIT && (whole || (broken_off && arrived >= DI_CALL_HEADER_MAX)))
            expect(peer, body, arrived < DI_CALL_HEADER_MAX ? arrived : DI_CALL_HEADER_MAX);
        else if (whole)
            expect(peer, body, arrived);
        if (whole)
            size = arrived = 0;
    }
}

static void take_reply(hostile_peer *peer, const uint8_t *bytes, size_t size)
{
    di_reply_header header;
    const uint8_t *results;
    check(di_reply_header_decode(bytes, size, &header, &results) == 0);
    unsigned at = peer->later ? 0 : peer->came;
    while (at < peer->expected_count &&
           (peer->expected[at].came || peer->expected[at].xid != header.xid))
        at++;
    if (at == peer->expected_count) {
        check(peer->expected_count == CALLS_MAX);
        return;
    }
    expected_reply *owed = &peer->expected[at];
    check(peer->later || at == peer->came);
    if (!peer->later && owed->error != 1) {
        check(header.error == owed->error);
        check(header.error != DARI_AUTH || header.auth_status == owed->status);
        check(header.error != DARI_RPC_MISMATCH || (header.low == 2 && header.high == 2));
    }
    owed->came = true;
    peer->came++;
}

/* Reads what has come back. Returns whether the connection has ended. */
static bool read_replies(hostile_peer *peer)
{
    for (;;) {
        ssize_t got = recv(peer->descriptor, peer->input + peer->input_size,
                           sizeof peer->input - peer->input_size, MSG_DONTWAIT);
        if (got < 0)
            return errno != EAGAIN;
        if (got == 0)
            return true;
        peer->input_size += (size_t)got;
        size_t done = 0;
        while (peer->input_size - done >= 4) {
            uint32_t mark = dari_get_u32(peer->input + done);
            uint32_t size = mark & ~DI_RECORD_LAST;
            check((mark & DI_RECORD_LAST) && size <= LIMIT);
            if (peer->input_size - done - 4 < size)
                break;
            take_reply(peer, peer->input + done + 4, size);
            done += 4 + size;
        }
        memmove(peer->input, peer->input + done, peer->input_size - done);
        peer->input_size -= done;
    }
}

static void answer_left(hostile_peer *peer)
{
    while (peer->left_count > 0) {
        dari_request *request = peer->left[--peer->left_count];
        if (peer->left_count % 2)
            dari_request_fail(request, DARI_SYSTEM_ERROR);
        else
            nothing_1_reply(request);
    }
}

/* Lets the server do all that it has to do now. */
static bool turn(hostile_peer *peer)
{
    struct pollfd one = {.fd = dari_server_descriptor(peer->server), .events = POLLIN};
    bool ended = false;
    unsigned turns = 0;
    int more = 1;
    while (more || poll(&one, 1, 0) > 0) {
        more = dari_server_dispatch(peer->server);
        check(more >= 0);
        check(++turns < 10000);
        ended |= read_replies(peer);
        answer_left(peer);
    }
    return ended || read_replies(peer);
}

static void send_all(hostile_peer *peer, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(peer->descriptor, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        bytes += sent < 0 ? 0 : sent;
        size -= sent < 0 ? 0 : (size_t)sent;
        turn(peer);
    }
}

static void open_connection(hostile_peer *peer)
{
    int ends[2];
    di_connection *connection = NULL;
    dari_server_options options = {.message_max = LIMIT};
    check(dari_server_create(&options, &peer->server) == 0);
    check(echo_1_serve(peer->server, &handlers, peer) == 0);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    check(di_stream_create(ends[0], NULL, &connection) == 0);
    check(di_session_create(peer->server, connection, "unix:", false) == 0);
    peer->descriptor = ends[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static hostile_peer peer;
    if (size < HEAD)
        return 0;
    memset(&peer, 0, sizeof peer);
    peer.later = data[0] & LATER;
    open_connection(&peer);
    expect_all(&peer, data + HEAD, data + size);
    size_t done = HEAD;
    for (unsigned portion = 1; done < size; portion++) {
        size_t part = 1 + (size_t)data[portion % HEAD] * data[portion % HEAD];
        if (part > size - done)
            part = size - done;
        send_all(&peer, data + done, part);
        done += part;
    }
    shutdown(peer.descriptor, SHUT_WR);
    check(turn(&peer));
    check(peer.server->sessions == NULL && peer.input_size == 0);
    bool all = peer.came == peer.expected_count || peer.expected_count == CALLS_MAX;
    check(all || (peer.later && peer.garbage));
    dari_server_destroy(peer.server);
    close(peer.descriptor);
    return 0;
}
