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
} rpc_dari_client;

/* rpc_subject.serve */
void rpc_dari_serve(rpc_place *place, int ready);

/* Writes the address of a place: "tcp://127.0.0.1:0". */
#define RPC_DARI_ADDRESS_SIZE 128
void rpc_dari_address(const rpc_place *place, char *ret_address);

#endif
