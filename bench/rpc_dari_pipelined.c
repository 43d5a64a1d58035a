/* SPDX-License-Identifier: MIT */
/* Many of dari's calls in flight: each makes the next one once it is answered. */
#include "rpc_dari.h"

typedef struct rpc_dari_pipeline {
    dari_client *client;
    uint64_t left; /* calls to start yet */
    bool right;
} rpc_dari_pipeline;

static void call_next(void *user, dari_call *call)
{
    rpc_dari_pipeline *pipeline = user;
    pipeline->right &= call->error == 0;
    if (!pipeline->right || pipeline->left == 0)
        return;
    pipeline->left--;
    if (nothing_1_start(pipeline->client, call, call_next, pipeline) < 0)
        pipeline->right = false;
}

bool rpc_dari_pipelined(void *context, uint64_t rounds, uint64_t seed)
{
    rpc_dari_client *client = context;
    rpc_dari_pipeline pipeline = {.client = client->client, .left = rounds, .right = true};
    (void)seed; /* only the xid changes, by itself */
    for (unsigned i = 0; i < RPC_IN_FLIGHT; i++) {
        dari_call_reset(&client->flights[i]);
        call_next(&pipeline, &client->flights[i]);
    }
    return dari_client_wait(client->client, UINT64_MAX) == 0 && pipeline.right &&
           pipeline.left == 0;
}
