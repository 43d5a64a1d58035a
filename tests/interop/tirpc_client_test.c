/* SPDX-License-Identifier: MIT */
/* Clients of libtirpc against a server made by dari. */
#include "rpcgen_client.h"

static CLIENT *make_client(int descriptor, struct netbuf *address, bool datagrams,
                           rpcvers_t version)
{
    CLIENT *client = datagrams ? clnt_dg_create(descriptor, address, INTEROP, version,
                                                DATAGRAM_SIZE, DATAGRAM_SIZE)
                               : clnt_vc_create(descriptor, address, INTEROP, version, 0, 0);
    if (client)
        clnt_control(client, CLSET_FD_CLOSE, NULL);
    return client;
}

static enum clnt_stat call(CLIENT *client, rpcproc_t procedure, xdrproc_t encode, void *argument,
                           xdrproc_t decode, void *result, struct rpc_err *ret_error)
{
    const struct timeval patience = {PATIENCE_S, 0};
    enum clnt_stat status =
        clnt_call(client, procedure, encode, argument, decode, result, patience);
    clnt_geterr(client, ret_error);
    return status;
}

/* Its own xdr_void has another type than it is called by. */
static bool_t nothing(XDR *xdr, ...)
{
    (void)xdr;
    return true;
}

int main(void)
{
    const rpcgen_library library = {.make_client = make_client,
                                    .call = call,
                                    .nothing = nothing,
                                    .a_float = -0.0f,
                                    .two_and_a_half = "\x40\x20\0\0",
                                    .large_datagram = 60001};
    return test_rpcgen_clients(&library);
}
