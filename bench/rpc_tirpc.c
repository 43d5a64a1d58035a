/* SPDX-License-Identifier: MIT */
/* libtirpc's side, as the code that rpcgen writes calls it. */
#include "rpc_socket.h"
#include "rpc_wire.h"

#include <rpc/rpc.h>
#include <unistd.h>

/* xdr_void, with the type that it is called by. */
static bool_t no_value(XDR *stream, ...)
{
    (void)stream;
    return TRUE;
}

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
    if (request->rq_proc == WIRE_NOTHING)
        svc_sendreply(transport, no_value, NULL);
    else
        svcerr_noproc(transport);
}

static void serve(rpc_place *place, int ready)
{
    int descriptor = rpc_socket_listen(place);
    if (descriptor < 0)
        return;
    SVCXPRT *transport = place->scheme == RPC_UDP ? svc_dg_create(descriptor, 0, 0)
                                                  : svc_vc_create(descriptor, 0, 0);
    if (!transport || !svc_reg(transport, WIRE_PROGRAM, 1, dispatch, NULL))
        return;
    rpc_server_ready(place, ready);
    svc_run();
}

static void *open_client(const rpc_place *place)
{
    struct sockaddr_storage address;
    socklen_t size = rpc_socket_address(place, &address);
    struct netbuf peer = {.maxlen = sizeof address, .len = size, .buf = &address};
    int descriptor = rpc_socket_connect(place);
    if (descriptor < 0)
        return NULL;
    CLIENT *client = place->scheme == RPC_UDP
                         ? clnt_dg_create(descriptor, &peer, WIRE_PROGRAM, 1, 0, 0)
                         : clnt_vc_create(descriptor, &peer, WIRE_PROGRAM, 1, 0, 0);
    if (client)
        clnt_control(client, CLSET_FD_CLOSE, NULL);
    else
        close(descriptor);
    return client;
}

static void close_client(void *client)
{
    clnt_destroy((CLIENT *)client);
}

static bool nothing(void *client, uint64_t rounds, uint64_t seed)
{
    const struct timeval timeout = {.tv_sec = 25};
    (void)seed; /* only the xid changes, by itself */
    for (uint64_t round = 0; round < rounds; round++)
        if (clnt_call((CLIENT *)client, WIRE_NOTHING, no_value, NULL, no_value, NULL, timeout) !=
            RPC_SUCCESS)
            return false;
    return true;
}

const rpc_subject rpc_tirpc = {
    .name = "libtirpc",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};
