/* SPDX-License-Identifier: MIT */
#include "transport/mq_seal.h"

#include <stddef.h>
#include <string.h>

enum { WORDS = 16, DOUBLE_ROUNDS = 10 };

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

static void double_round(uint32_t *at)
{
    for (size_t i = 0; i < 4; i++)
        quarter_round(at + i, at + 4 + i, at + 8 + i, at + 12 + i);
    for (size_t i = 0; i < 4; i++)
        quarter_round(at + i, at + 4 + (i + 1) % 4, at + 8 + (i + 2) % 4, at + 12 + (i + 3) % 4);
}

uint64_t di_mq_seal(uint64_t id)
{
    /* "expand 32-byte k", the key, a block count and a nonce of zero. */
    const uint32_t begin[WORDS] = {0x61707865, 0x3320646e,   0x79622d32,
                                   0x6b206574, (uint32_t)id, (uint32_t)(id >> 32)};
    uint32_t state[WORDS];
    memcpy(state, begin, sizeof state);
    for (int i = 0; i < DOUBLE_ROUNDS; i++)
        double_round(state);
    return (uint64_t)(state[1] + begin[1]) << 32 | (state[0] + begin[0]);
}
