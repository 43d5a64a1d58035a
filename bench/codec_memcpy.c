/* SPDX-License-Identifier: MIT */
/* The peer memcpy: the same number of bytes, copied and looked at as the codecs' values are. Its
 * value is a message; "encoding" copies it out, "decoding" copies it in. */
#include "codec.h"

#include <stdlib.h>
#include <string.h>

typedef struct codec_state {
    enum codec_value kind;
    size_t size;
    uint8_t *value;   /* CODEC_SIZE_MAX bytes */
    uint8_t *message; /* CODEC_SIZE_MAX bytes */
} codec_state;

static void close_state(void *context)
{
    codec_state *state = context;
    if (!state)
        return;
    free(state->value);
    free(state->message);
    free(state);
}

static void *open_state(enum codec_value kind)
{
    static const size_t sizes[] = {
        [CODEC_LISTING] = CODEC_LISTING_WIDTH,
        [CODEC_INTS] = 4 + CODEC_NUMBERS * 4,
        [CODEC_DOUBLES] = 4 + CODEC_NUMBERS * 8,
        [CODEC_OPAQUE] = 4 + CODEC_OPAQUE_SIZE,
    };
    codec_state *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->kind = kind;
    made->size = sizes[kind];
    made->value = malloc(CODEC_SIZE_MAX);
    made->message = malloc(CODEC_SIZE_MAX);
    if (made->value && made->message) {
        memset(made->value, 0x55, CODEC_SIZE_MAX);
        memset(made->message, 0x55, CODEC_SIZE_MAX);
        return made;
    }
    close_state(made);
    return NULL;
}

/* Keeps the compiler from seeing through the copy. */
static void copy(uint8_t *out, const uint8_t *in, size_t size)
{
    memcpy(out, in, size);
    __asm__ volatile("" : : "r"(out), "r"(in) : "memory");
}

static bool run(codec_state *state, uint8_t *out, uint8_t *in, bool read_all, uint64_t rounds,
                uint64_t seed)
{
    bool right = true;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        size_t index = 4 + (size_t)(mixed % (state->size - 12));
        codec_store_be64(in + index, mixed);
        copy(out, in, state->size);
        right &= codec_load_be64(out + index) == mixed;
        if (read_all)
            right &= codec_read_all(out, state->size) != 0;
    }
    return right;
}

static bool encode(void *context, uint64_t rounds, uint64_t seed)
{
    codec_state *state = context;
    return run(state, state->message, state->value, false, rounds, seed);
}

static bool decode(void *context, uint64_t rounds, uint64_t seed)
{
    codec_state *state = context;
    return run(state, state->value, state->message, state->kind == CODEC_OPAQUE, rounds, seed);
}

static uint8_t *message(void *context, size_t *ret_size)
{
    codec_state *state = context;
    *ret_size = state->size;
    return state->message;
}

const codec_subject codec_memcpy = {
    .name = "memcpy",
    .open = open_state,
    .encode = encode,
    .decode = decode,
    .message = message,
    .close = close_state,
};
