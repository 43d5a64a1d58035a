/* SPDX-License-Identifier: MIT */
/* What a loan is held against: the same bytes, copied once within this process. */
#include "codec.h"
#include "rpc.h"

#include <stdlib.h>
#include <string.h>

typedef struct copying {
    uint8_t *in, *out;
} copying;

static void close_copying(void *context)
{
    copying *self = context;
    free(self->in);
    free(self->out);
    free(self);
}

static void *open_copying(const rpc_place *place)
{
    (void)place;
    copying *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->in = malloc(RPC_ECHO_SIZE);
    self->out = malloc(RPC_ECHO_SIZE);
    if (self->in && self->out) {
        memset(self->in, 0x55, RPC_ECHO_SIZE);
        memset(self->out, 0x55, RPC_ECHO_SIZE);
        return self;
    }
    close_copying(self);
    return NULL;
}

/* Keeps the compiler from seeing through the copy. */
static void copy(uint8_t *out, const uint8_t *in)
{
    memcpy(out, in, RPC_ECHO_SIZE);
    __asm__ volatile("" : : "r"(out), "r"(in) : "memory");
}

static bool lend(void *context, uint64_t rounds, uint64_t seed)
{
    copying *self = context;
    bool right = true;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        size_t index = (size_t)(mixed % (RPC_ECHO_SIZE - sizeof mixed));
        codec_store_be64(self->in + index, mixed);
        copy(self->out, self->in);
        right &= codec_load_be64(self->out + index) == mixed;
    }
    return right;
}

const rpc_subject rpc_memcpy = {
    .name = "memcpy",
    .open = open_copying,
    .close = close_copying,
    .lend = lend,
};
