/* SPDX-License-Identifier: MIT */
/* dari's client, and the subject. */
#include "rpc_dari.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rpc_dari_close(void *context)
{
    rpc_dari_client *client = context;
    dari_client_close(client->client);
    dari_call_end(&client->call);
    for (unsigned i = 0; i < RPC_IN_FLIGHT; i++)
        dari_call_end(&client->flights[i]);
    free(client->data);
    free(client);
}

void *rpc_dari_open(const rpc_place *place, size_t loan_size)
{
    char address[RPC_DARI_ADDRESS_SIZE];
    rpc_dari_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    rpc_dari_address(place, false, address);
    const dari_client_options options = {.call = &client->call,
                                         .spin = place->never_spins ? DARI_SPIN_NEVER
                                                                    : DARI_SPIN_BALANCED,
                                         .shm_loan_size = loan_size};
    if (dari_connect(address, &options, &client->client) == 0)
        return client;
    fprintf(stderr, "bench: dari: %s\n", dari_call_message(&client->call));
    rpc_dari_close(client);
    return NULL;
}

static void *open_client(const rpc_place *place)
{
    return rpc_dari_open(place, 0);
}

static bool nothing(void *context, uint64_t rounds, uint64_t seed)
{
    rpc_dari_client *client = context;
    (void)seed; /* only the xid changes, by itself */
    for (uint64_t round = 0; round < rounds; round++)
        if (nothing_1(client->client, NULL) < 0)
            return false;
    return true;
}

static bool prepare_echo(rpc_dari_client *client)
{
    client->data = malloc(RPC_ECHO_SIZE);
    for (uint32_t i = 0; client->data && i < RPC_ECHO_SIZE; i++)
        client->data[i] = (uint8_t)(i * 31);
    return client->data != NULL;
}

static bool echo(void *context, uint64_t rounds, uint64_t seed)
{
    rpc_dari_client *client = context;
    if (!client->data && !prepare_echo(client))
        return false;
    const echo_data data = {.size = RPC_ECHO_SIZE, .data = client->data};
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        memcpy(client->data + mixed % (RPC_ECHO_SIZE - sizeof mixed), &mixed, sizeof mixed);
        echo_data result;
        if (echo_1(client->client, &data, &result, &client->call) < 0 ||
            result.size != RPC_ECHO_SIZE || memcmp(result.data, client->data, RPC_ECHO_SIZE) != 0)
            return false;
        dari_call_reset(&client->call);
    }
    return true;
}

const rpc_subject rpc_dari = {
    .name = "dari",
    .serve = rpc_dari_serve,
    .open = open_client,
    .close = rpc_dari_close,
    .nothing = nothing,
    .pipelined = rpc_dari_pipelined,
    .echo = echo,
};

const rpc_subject rpc_dari_unix = {
    .name = "dari over unix",
    .scheme = RPC_UNIX,
    .serve = rpc_dari_serve,
    .open = open_client,
    .close = rpc_dari_close,
    .nothing = nothing,
    .pipelined = rpc_dari_pipelined,
    .echo = echo,
};
