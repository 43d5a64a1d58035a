/* SPDX-License-Identifier: MIT */
/* The raw client, and the subject. */
#include "rpc_raw.h"
#include "rpc_socket.h"
#include "rpc_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_MS 25000
#define OUT_SIZE (WIRE_MARK + WIRE_CALL + WIRE_ECHO_BODY)
#define IN_SIZE (WIRE_MARK + WIRE_REPLY + WIRE_ECHO_BODY)

typedef struct raw_client {
    int descriptor;
    size_t mark;  /* the bytes of a record mark here */
    uint8_t *out; /* OUT_SIZE and IN_SIZE bytes; NULL until something is echoed */
    uint8_t *in;
    uint8_t small_out[RPC_IN_FLIGHT * (WIRE_MARK + WIRE_CALL)];
    uint8_t small_in[RPC_IN_FLIGHT * (WIRE_MARK + WIRE_REPLY)];
} raw_client;

static void close_client(void *context)
{
    raw_client *client = context;
    if (client->descriptor >= 0)
        close(client->descriptor);
    free(client->out);
    free(client->in);
    free(client);
}

static void *open_client(const rpc_place *place)
{
    raw_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->mark = place->scheme == RPC_UDP ? 0 : WIRE_MARK;
    client->descriptor = rpc_socket_connect(place);
    if (client->descriptor >= 0 && fcntl(client->descriptor, F_SETFL, O_NONBLOCK) == 0)
        return client;
    close_client(client);
    return NULL;
}

static bool await(const raw_client *client, short events)
{
    struct pollfd descriptor = {.fd = client->descriptor, .events = events};
    int count;
    do
        count = poll(&descriptor, 1, TIMEOUT_MS);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

static bool send_all(const raw_client *client, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(client->descriptor, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && (errno != EAGAIN || !await(client, POLLOUT)))
            return false;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

static bool receive_all(const raw_client *client, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        if (!await(client, POLLIN))
            return false;
        ssize_t received = recv(client->descriptor, bytes, size, 0);
        if (received <= 0)
            return false;
        bytes += received;
        size -= (size_t)received;
    }
    return true;
}

/* Makes `count` calls of NOTHING, sent together. */
static bool call_nothing(raw_client *client, uint32_t xid, uint32_t count)
{
    size_t call_size = client->mark + WIRE_CALL;
    size_t reply_size = client->mark + WIRE_REPLY;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *call = client->small_out + i * call_size;
        if (client->mark)
            wire_write_mark(call, WIRE_CALL);
        wire_write_call(call + client->mark, xid + i, WIRE_NOTHING);
    }
    if (!send_all(client, client->small_out, count * call_size) ||
        !receive_all(client, client->small_in, count * reply_size))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!wire_read_reply(client->small_in + i * reply_size + client->mark, xid + i))
            return false;
    return true;
}

static bool nothing(void *context, uint64_t rounds, uint64_t seed)
{
    bool right = true;
    for (uint64_t round = 0; right && round < rounds; round++)
        right = call_nothing(context, (uint32_t)measure_mix(seed, round), 1);
    return right;
}

static bool pipelined(void *context, uint64_t rounds, uint64_t seed)
{
    bool right = true;
    for (uint64_t round = 0; right && round < rounds; round += RPC_IN_FLIGHT) {
        uint64_t left = rounds - round;
        right = call_nothing(context, (uint32_t)measure_mix(seed, round),
                             left < RPC_IN_FLIGHT ? (uint32_t)left : RPC_IN_FLIGHT);
    }
    return right;
}

static bool prepare_echo(raw_client *client)
{
    client->out = malloc(OUT_SIZE);
    client->in = malloc(IN_SIZE);
    if (!client->out || !client->in)
        return false;
    uint8_t *body = client->out + WIRE_MARK + WIRE_CALL;
    codec_store_be32(body, RPC_ECHO_SIZE);
    for (uint32_t i = 0; i < RPC_ECHO_SIZE; i++)
        body[4 + i] = (uint8_t)(i * 31);
    return true;
}

static bool echo(void *context, uint64_t rounds, uint64_t seed)
{
    raw_client *client = context;
    if (!client->out && !prepare_echo(client))
        return false;
    uint8_t *body = client->out + WIRE_MARK + WIRE_CALL;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        memcpy(body + 4 + mixed % (RPC_ECHO_SIZE - sizeof mixed), &mixed, sizeof mixed);
        wire_write_mark(client->out, OUT_SIZE - WIRE_MARK);
        wire_write_call(client->out + WIRE_MARK, (uint32_t)mixed, WIRE_ECHO);
        if (!send_all(client, client->out, OUT_SIZE) || !receive_all(client, client->in, IN_SIZE) ||
            !wire_read_reply(client->in + WIRE_MARK, (uint32_t)mixed) ||
            memcmp(client->in + WIRE_MARK + WIRE_REPLY, body, WIRE_ECHO_BODY) != 0)
            return false;
    }
    return true;
}

const rpc_subject rpc_raw = {
    .name = "raw",
    .serve = rpc_raw_serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
    .pipelined = pipelined,
    .echo = echo,
};

const rpc_subject rpc_raw_unix = {
    .name = "raw over unix",
    .scheme = RPC_UNIX,
    .serve = rpc_raw_serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
    .pipelined = pipelined,
    .echo = echo,
};
