/* SPDX-License-Identifier: MIT */
/* ZeroMQ's request and reply over ipc:, with the bytes of the other subjects. Where it is not
 * installed, its rows say so. */
#include "rpc.h"

#ifdef BENCH_ZEROMQ

#include "rpc_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

typedef struct zeromq {
    void *context;
    void *socket;
} zeromq;

static bool open_socket(zeromq *it, int type, const rpc_place *place)
{
    char address[128];
    snprintf(address, sizeof address, "ipc://%s", place->path);
    it->context = zmq_ctx_new();
    it->socket = it->context ? zmq_socket(it->context, type) : NULL;
    if (!it->socket)
        return false;
    return (type == ZMQ_REP ? zmq_bind(it->socket, address) : zmq_connect(it->socket, address)) ==
           0;
}

static void serve(rpc_place *place, int ready)
{
    zeromq it;
    uint8_t call[WIRE_CALL], reply[WIRE_REPLY];
    uint32_t procedure;
    if (!open_socket(&it, ZMQ_REP, place))
        return;
    rpc_server_ready(place, ready);
    while (zmq_recv(it.socket, call, sizeof call, 0) == (int)sizeof call &&
           wire_read_call(call, &procedure)) {
        wire_write_reply(reply, codec_load_be32(call));
        if (zmq_send(it.socket, reply, sizeof reply, 0) < 0)
            return;
    }
}

static void close_client(void *client)
{
    zeromq *it = client;
    if (it->socket)
        zmq_close(it->socket);
    if (it->context)
        zmq_ctx_term(it->context);
    free(it);
}

static void *open_client(const rpc_place *place)
{
    zeromq *it = calloc(1, sizeof *it);
    if (it && open_socket(it, ZMQ_REQ, place))
        return it;
    if (it)
        close_client(it);
    return NULL;
}

static bool nothing(void *client, uint64_t rounds, uint64_t seed)
{
    const zeromq *it = client;
    uint8_t call[WIRE_CALL], reply[WIRE_REPLY];
    for (uint64_t round = 0; round < rounds; round++) {
        uint32_t xid = (uint32_t)measure_mix(seed, round);
        wire_write_call(call, xid, WIRE_NOTHING);
        if (zmq_send(it->socket, call, sizeof call, 0) < 0 ||
            zmq_recv(it->socket, reply, sizeof reply, 0) != (int)sizeof reply ||
            !wire_read_reply(reply, xid))
            return false;
    }
    return true;
}

const rpc_subject rpc_zeromq = {
    .name = "zeromq",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};

#else

const rpc_subject rpc_zeromq = {.name = "zeromq"};

#endif
