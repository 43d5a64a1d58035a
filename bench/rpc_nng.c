/* SPDX-License-Identifier: MIT */
/* nng's request and reply over ipc:, with the bytes of the other subjects. Where it is not
 * installed, its rows say so. */
#include "rpc.h"

#ifdef BENCH_NNG

#include "rpc_wire.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>

#define ADDRESS_SIZE 128

static void name(const rpc_place *place, char ret_address[ADDRESS_SIZE])
{
    snprintf(ret_address, ADDRESS_SIZE, "ipc://%s", place->path);
}

static void serve(rpc_place *place, int ready)
{
    nng_socket socket;
    char address[ADDRESS_SIZE];
    uint8_t call[WIRE_CALL], reply[WIRE_REPLY];
    size_t size = sizeof call;
    uint32_t procedure;
    name(place, address);
    if (nng_rep0_open(&socket) != 0 || nng_listen(socket, address, NULL, 0) != 0)
        return;
    rpc_server_ready(place, ready);
    while (nng_recv(socket, call, &size, 0) == 0 && size == sizeof call &&
           wire_read_call(call, &procedure)) {
        wire_write_reply(reply, codec_load_be32(call));
        if (nng_send(socket, reply, sizeof reply, 0) != 0)
            return;
    }
}

static void close_client(void *client)
{
    nng_socket *socket = client;
    nng_close(*socket);
    free(socket);
}

static void *open_client(const rpc_place *place)
{
    nng_socket *socket = calloc(1, sizeof *socket);
    char address[ADDRESS_SIZE];
    name(place, address);
    if (socket && nng_req0_open(socket) == 0 && nng_dial(*socket, address, NULL, 0) == 0)
        return socket;
    free(socket);
    return NULL;
}

static bool nothing(void *client, uint64_t rounds, uint64_t seed)
{
    const nng_socket *socket = client;
    uint8_t call[WIRE_CALL], reply[WIRE_REPLY];
    for (uint64_t round = 0; round < rounds; round++) {
        uint32_t xid = (uint32_t)measure_mix(seed, round);
        size_t size = sizeof reply;
        wire_write_call(call, xid, WIRE_NOTHING);
        if (nng_send(*socket, call, sizeof call, 0) != 0 ||
            nng_recv(*socket, reply, &size, 0) != 0 || size != sizeof reply ||
            !wire_read_reply(reply, xid))
            return false;
    }
    return true;
}

const rpc_subject rpc_nng = {
    .name = "nng",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};

#else

const rpc_subject rpc_nng = {.name = "nng"};

#endif
