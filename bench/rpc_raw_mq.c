/* SPDX-License-Identifier: MIT */
/* The subject that mq: is held against: a queue each way, of the sizes that dari's have, and the
 * same waits. */
#include "rpc.h"
#include "rpc_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TIMEOUT_MS 25000

enum { REQUESTS_MESSAGES = 10, REQUESTS_BYTES = 8192, REPLIES_MESSAGES = 4, REPLIES_BYTES = 2048 };

typedef struct raw_mq {
    mqd_t requests, replies;
    uint8_t in[REQUESTS_BYTES];
    uint8_t out[REPLIES_BYTES];
} raw_mq;

static void name_queue(const rpc_place *place, const char *suffix, char *ret_name, size_t size)
{
    snprintf(ret_name, size, "/dari.%s%s", place->path, suffix);
}

/* Opens a queue, making it where it has a shape. */
static mqd_t open_queue(const rpc_place *place, const char *suffix, struct mq_attr *shape)
{
    char name[sizeof place->path + 16];
    name_queue(place, suffix, name, sizeof name);
    return mq_open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC | (shape ? O_CREAT | O_EXCL : 0), 0600,
                   shape);
}

static bool answer(raw_mq *server)
{
    uint32_t procedure;
    ssize_t size = mq_receive(server->requests, (char *)server->in, sizeof server->in, NULL);
    if (size != WIRE_MARK + WIRE_CALL || !wire_read_call(server->in + WIRE_MARK, &procedure))
        return false;
    wire_write_mark(server->out, WIRE_REPLY);
    wire_write_reply(server->out + WIRE_MARK, codec_load_be32(server->in + WIRE_MARK));
    return mq_send(server->replies, (const char *)server->out, WIRE_MARK + WIRE_REPLY, 0) == 0;
}

static void serve(rpc_place *place, int ready)
{
    static raw_mq server;
    struct mq_attr requests = {.mq_maxmsg = REQUESTS_MESSAGES, .mq_msgsize = REQUESTS_BYTES};
    struct mq_attr replies = {.mq_maxmsg = REPLIES_MESSAGES, .mq_msgsize = REPLIES_BYTES};
    struct epoll_event event = {.events = EPOLLIN};
    server.requests = open_queue(place, "", &requests);
    server.replies = open_queue(place, ":0", &replies);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.requests < 0 || server.replies < 0 || epoll < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, server.requests, &event) < 0)
        return;
    rpc_server_ready(place, ready);
    for (;;) {
        int count = epoll_wait(epoll, &event, 1, -1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count != 1 || !answer(&server))
            return;
    }
}

static void close_client(void *context)
{
    raw_mq *client = context;
    mq_close(client->requests);
    mq_close(client->replies);
    free(client);
}

static void *open_client(const rpc_place *place)
{
    char name[sizeof place->path + 16];
    raw_mq *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->requests = open_queue(place, "", NULL);
    client->replies = open_queue(place, ":0", NULL);
    name_queue(place, ":0", name, sizeof name);
    mq_unlink(name);
    if (client->requests >= 0 && client->replies >= 0)
        return client;
    close_client(client);
    return NULL;
}

static bool call_nothing(raw_mq *client, uint32_t xid)
{
    struct pollfd descriptor = {.fd = client->replies, .events = POLLIN};
    int count;
    wire_write_mark(client->out, WIRE_CALL);
    wire_write_call(client->out + WIRE_MARK, xid, WIRE_NOTHING);
    if (mq_send(client->requests, (const char *)client->out, WIRE_MARK + WIRE_CALL, 0) < 0)
        return false;
    do
        count = poll(&descriptor, 1, TIMEOUT_MS);
    while (count < 0 && errno == EINTR);
    return count == 1 &&
           mq_receive(client->replies, (char *)client->in, sizeof client->in, NULL) ==
               WIRE_MARK + WIRE_REPLY &&
           wire_read_reply(client->in + WIRE_MARK, xid);
}

static bool nothing(void *context, uint64_t rounds, uint64_t seed)
{
    bool right = true;
    for (uint64_t round = 0; right && round < rounds; round++)
        right = call_nothing(context, (uint32_t)measure_mix(seed, round));
    return right;
}

const rpc_subject rpc_raw_mq = {
    .name = "raw",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};
