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
    uint8_t *loan; /* RPC_ECHO_SIZE bytes, */
    uint64_t sum;  /* and the sum of them, once there are some */
} rpc_dari_client;

/* rpc_subject.serve */
void rpc_dari_serve(rpc_place *place, int ready);

/* rpc_subject.pipelined */
bool rpc_dari_pipelined(void *context, uint64_t rounds, uint64_t seed);

/* Makes a client with `loan_size` bytes for loans; rpc_subject.open and close. */
void *rpc_dari_open(const rpc_place *place, size_t loan_size);
void rpc_dari_close(void *context);

/* Writes the address of a place for one side: "tcp://127.0.0.1:0". */
#define RPC_DARI_ADDRESS_SIZE 128
void rpc_dari_address(const rpc_place *place, bool serves, char *ret_address);

#endif
