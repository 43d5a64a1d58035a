/* SPDX-License-Identifier: MIT */
/* What the parts of dari's side share: a client, and what it has at hand for its calls. */
#ifndef BENCH_RPC_DARI_H
#define BENCH_RPC_DARI_H

#include "calls.h"
#include "rpc.h"

#include <dari/dari.h>

typedef struct rpc_dari_client {
    dari_client *client;
    dari_call call;
    uint8_t *data; /* RPC_ECHO_SIZE bytes; NULL until something is echoed */
    dari_call flights[RPC_IN_FLIGHT];
} rpc_dari_client;

/* rpc_subject.serve */
void rpc_dari_serve(rpc_place *place, int ready);

/* rpc_subject.pipelined */
bool rpc_dari_pipelined(void *context, uint64_t rounds, uint64_t seed);

/* Writes the address of a place for one side: "tcp://127.0.0.1:0". */
#define RPC_DARI_ADDRESS_SIZE 128
void rpc_dari_address(const rpc_place *place, bool serves, char *ret_address);

#endif
