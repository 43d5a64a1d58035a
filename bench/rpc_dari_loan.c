/* SPDX-License-Identifier: MIT */
/* dari's client that lends what it sends. The server reads all of it, and says what it has read. */
#include "codec.h"
#include "rpc_dari.h"

static void *open_client(const rpc_place *place)
{
    return rpc_dari_open(place, RPC_ECHO_SIZE);
}

static bool prepare(rpc_dari_client *client)
{
    void *loan;
    if (dari_loan(client->client, RPC_ECHO_SIZE, &loan) < 0)
        return false;
    client->loan = loan;
    for (uint32_t i = 0; i < RPC_ECHO_SIZE; i++)
        client->loan[i] = (uint8_t)(i * 31);
    client->sum = codec_read_all(loan, RPC_ECHO_SIZE);
    return true;
}

/* Changes a word of the loan, and keeps the sum right. */
static void change(rpc_dari_client *client, uint64_t mixed)
{
    uint8_t *at = client->loan + mixed % (RPC_ECHO_SIZE / sizeof mixed) * sizeof mixed;
    uint64_t before;
    memcpy(&before, at, sizeof before);
    memcpy(at, &mixed, sizeof mixed);
    client->sum += mixed - before;
}

static bool lend(void *context, uint64_t rounds, uint64_t seed)
{
    rpc_dari_client *client = context;
    if (!client->loan && !prepare(client))
        return false;
    const echo_data data = {.size = RPC_ECHO_SIZE, .data = client->loan};
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t sum;
        change(client, measure_mix(seed, round));
        if (sum_1(client->client, &data, &sum, NULL) < 0 || sum != client->sum)
            return false;
    }
    return true;
}

const rpc_subject rpc_dari_loan = {
    .name = "dari",
    .serve = rpc_dari_serve,
    .open = open_client,
    .close = rpc_dari_close,
    .lend = lend,
};
