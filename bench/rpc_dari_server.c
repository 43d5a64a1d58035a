/* SPDX-License-Identifier: MIT */
/* dari's server. */
#include "codec.h"
#include "rpc_dari.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rpc_dari_address(const rpc_place *place, bool serves, char *ret_address)
{
    if (place->scheme == RPC_PIPE && serves)
        snprintf(ret_address, RPC_DARI_ADDRESS_SIZE, "pipe:%d,%d", place->server_in,
                 place->server_out);
    else if (place->scheme == RPC_PIPE)
        snprintf(ret_address, RPC_DARI_ADDRESS_SIZE, "pipe:%d,%d", place->client_in,
                 place->client_out);
    else if (place->scheme == RPC_MQ)
        snprintf(ret_address, RPC_DARI_ADDRESS_SIZE, "mq:%s", place->path);
    else if (place->scheme != RPC_TCP && place->scheme != RPC_UDP)
        snprintf(ret_address, RPC_DARI_ADDRESS_SIZE, "%s:%s",
                 place->scheme == RPC_UNIX   ? "unix"
                 : place->scheme == RPC_FIFO ? "fifo"
                                             : "shm",
                 place->path);
    else
        snprintf(ret_address, RPC_DARI_ADDRESS_SIZE, "%s://127.0.0.1:%u",
                 place->scheme == RPC_TCP ? "tcp" : "udp", (unsigned)place->port);
}

static int nothing(dari_request *request)
{
    (void)request;
    return 0;
}

static int echo(dari_request *request, const echo_data *arg, echo_data *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static int sum(dari_request *request, const echo_data *arg, uint64_t *ret)
{
    (void)request;
    *ret = codec_read_all(arg->data, arg->size);
    return 0;
}

void rpc_dari_serve(rpc_place *place, int ready)
{
    static const calls_1_handlers handlers = {.nothing = nothing, .echo = echo, .sum = sum};
    const dari_server_options options = {.connections_max = RPC_IDLE_CONNECTIONS + 1,
                                         .connections_per_peer_max = RPC_IDLE_CONNECTIONS + 1,
                                         .shm_loan_max = RPC_ECHO_SIZE,
                                         .shm_read_loans = true,
                                         .spin = place->never_spins ? DARI_SPIN_NEVER
                                                                    : DARI_SPIN_BALANCED};
    char address[RPC_DARI_ADDRESS_SIZE];
    dari_server *server;
    rpc_dari_address(place, true, address);
    if (dari_server_create(&options, &server) < 0)
        return;
    if (calls_1_serve(server, &handlers, NULL) < 0 || dari_server_listen(server, address) < 0) {
        fprintf(stderr, "bench: dari: %s\n", dari_server_message(server));
        return;
    }
    if (place->scheme == RPC_TCP || place->scheme == RPC_UDP)
        place->port = (uint16_t)atoi(strrchr(dari_server_address(server, 0), ':') + 1);
    rpc_server_ready(place, ready);
    dari_server_run(server);
}
