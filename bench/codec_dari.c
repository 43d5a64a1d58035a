/* SPDX-License-Identifier: MIT */
/* dari's side of the codec benchmark. Built twice: with CODEC_SPAN for the code that
 * `dari gen --strings=span --prefix span_` writes. */
#include "codec.h"

#ifdef CODEC_SPAN
#include "span_dir.h"
#define NAME(name) span_##name
#define XDR_NAME(step, name) xdr_##step##_span_##name
#else
#include "dir.h"
#define NAME(name) name
#define XDR_NAME(step, name) xdr_##step##_##name
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct codec_state {
    enum codec_value kind;
    NAME(listing) listing;
    NAME(ints) ints;
    NAME(doubles) doubles;
    NAME(blob1) opaque;
    dari_arena value_arena; /* what the values above point to */
    dari_arena arena;       /* what is decoded */
    size_t size;
    uint8_t *message; /* CODEC_SIZE_MAX bytes */
} codec_state;

static bool make_listing(codec_state *state)
{
    NAME(entry) *entries = dari_arena_take(&state->value_arena, CODEC_ENTRIES * sizeof *entries);
    if (!entries)
        return false;
    memset(entries, 0, CODEC_ENTRIES * sizeof *entries);
    state->listing.entries.count = CODEC_ENTRIES;
    state->listing.entries.items = entries;
    for (unsigned i = 0; i < CODEC_ENTRIES; i++) {
        char *name = dari_arena_take(&state->value_arena, 32);
        uint8_t *handle = dari_arena_take(&state->value_arena, CODEC_HANDLE_SIZE);
        if (!name || !handle)
            return false;
        snprintf(name, 32, CODEC_NAME_FORMAT, i);
        memset(handle, (int)i, CODEC_HANDLE_SIZE);
        entries[i].fileid = 77u * i;
#ifdef CODEC_SPAN
        entries[i].name = (dari_text){.size = (uint32_t)strlen(name), .data = name};
#else
        entries[i].name = name;
#endif
        entries[i].cookie = i;
        entries[i].attrs.follows = true;
        entries[i].attrs.u.a.type = NAME(REG);
        entries[i].attrs.u.a.mode = 0644;
        entries[i].attrs.u.a.nlink = 1;
        entries[i].attrs.u.a.size = 4096u * i;
        entries[i].handle = (dari_opaque){.size = CODEC_HANDLE_SIZE, .data = handle};
    }
    state->listing.eof = true;
    return true;
}

static bool make_ints(codec_state *state)
{
    int32_t *items = dari_arena_take(&state->value_arena, CODEC_NUMBERS * sizeof *items);
    for (uint32_t i = 0; items && i < CODEC_NUMBERS; i++)
        items[i] = (int32_t)(i * 2654435761u);
    state->ints.count = CODEC_NUMBERS;
    state->ints.items = items;
    return items != NULL;
}

static bool make_doubles(codec_state *state)
{
    double *items = dari_arena_take(&state->value_arena, CODEC_NUMBERS * sizeof *items);
    for (uint32_t i = 0; items && i < CODEC_NUMBERS; i++)
        items[i] = i / 3.0;
    state->doubles.count = CODEC_NUMBERS;
    state->doubles.items = items;
    return items != NULL;
}

static bool make_opaque(codec_state *state)
{
    uint8_t *data = dari_arena_take(&state->value_arena, CODEC_OPAQUE_SIZE);
    for (uint32_t i = 0; data && i < CODEC_OPAQUE_SIZE; i++)
        data[i] = (uint8_t)(i * 31u);
    state->opaque = (dari_opaque){.size = CODEC_OPAQUE_SIZE, .data = data};
    return data != NULL;
}

static bool make_value(codec_state *state)
{
    switch (state->kind) {
    case CODEC_LISTING:
        return make_listing(state);
    case CODEC_INTS:
        return make_ints(state);
    case CODEC_DOUBLES:
        return make_doubles(state);
    case CODEC_OPAQUE:
        return make_opaque(state);
    }
    return false;
}

static void close_state(void *context)
{
    codec_state *state = context;
    if (!state)
        return;
    dari_arena_end(&state->value_arena);
    dari_arena_end(&state->arena);
    free(state->message);
    free(state);
}

static void *open_state(enum codec_value kind)
{
    codec_state *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->kind = kind;
    made->message = malloc(CODEC_SIZE_MAX);
    if (made->message && make_value(made))
        return made;
    close_state(made);
    return NULL;
}

/* One round in each direction for each type: NAME##_encode sizes, checks the room and writes. */
#define DEFINE_STEPS(type)                                                                       \
    static bool write_##type(codec_state *state, const NAME(type) * value)                       \
    {                                                                                            \
        dari_encoder encoder;                                                                    \
        dari_encoder_init(&encoder);                                                             \
        int64_t size = XDR_NAME(size, type)(&encoder, value);                                    \
        if (size < 0 || (uint64_t)size > CODEC_SIZE_MAX)                                         \
            return false;                                                                        \
        state->size = (size_t)size;                                                              \
        return XDR_NAME(encode, type)(&encoder, state->message, value) == state->message + size; \
    }                                                                                            \
    static bool read_##type(codec_state *state, NAME(type) * ret_value)                          \
    {                                                                                            \
        dari_decoder decoder;                                                                    \
        dari_decoder_init(&decoder, state->message, state->size, &state->arena);                 \
        const uint8_t *at = XDR_NAME(decode, type)(&decoder, state->message, ret_value);         \
        return dari_decoder_finish(&decoder, at) == 0;                                           \
    }

DEFINE_STEPS(listing)
DEFINE_STEPS(ints)
DEFINE_STEPS(doubles)
DEFINE_STEPS(blob1)

static bool encode_listing(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_ENTRIES);
    state->listing.entries.items[index].fileid = mixed;
    return write_listing(state, &state->listing) && state->size == CODEC_LISTING_WIDTH &&
           codec_load_be64(state->message + 4 + index * CODEC_ENTRY_WIDTH) == mixed;
}

static bool encode_ints(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    state->ints.items[index] = (int32_t)mixed;
    return write_ints(state, &state->ints) &&
           codec_load_be32(state->message + 4 + index * 4) == (uint32_t)mixed;
}

static bool encode_doubles(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    uint64_t bits = mixed >> 12;
    memcpy(&state->doubles.items[index], &bits, sizeof bits);
    return write_doubles(state, &state->doubles) &&
           codec_load_be64(state->message + 4 + index * 8) == bits;
}

static bool encode_opaque(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_OPAQUE_SIZE);
    ((uint8_t *)(uintptr_t)state->opaque.data)[index] = (uint8_t)mixed;
    return write_blob1(state, &state->opaque) && state->message[4 + index] == (uint8_t)mixed;
}

static bool encode(void *context, uint64_t rounds, uint64_t seed)
{
    codec_state *state = context;
    bool right = true;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        switch (state->kind) {
        case CODEC_LISTING:
            right &= encode_listing(state, mixed);
            break;
        case CODEC_INTS:
            right &= encode_ints(state, mixed);
            break;
        case CODEC_DOUBLES:
            right &= encode_doubles(state, mixed);
            break;
        case CODEC_OPAQUE:
            right &= encode_opaque(state, mixed);
            break;
        }
    }
    return right;
}

static bool decode_listing(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_ENTRIES);
    codec_store_be64(state->message + 4 + index * CODEC_ENTRY_WIDTH, mixed);
    NAME(listing) value;
    if (!read_listing(state, &value))
        return false;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < value.entries.count; i++) {
        const NAME(entry) *item = &value.entries.items[i];
        sum += codec_read_all(item->handle.data, item->handle.size);
#ifdef CODEC_SPAN
        sum += codec_read_all(item->name.data, item->name.size);
#endif
    }
    const NAME(entry) *last = &value.entries.items[CODEC_ENTRIES - 1];
#ifdef CODEC_SPAN
    char digit = last->name.data[15];
#else
    char digit = last->name[15];
#endif
    bool right = value.entries.items[index].fileid == mixed && value.eof && sum && digit == '9';
    dari_arena_reset(&state->arena);
    return right;
}

static bool decode_ints(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    codec_store_be32(state->message + 4 + index * 4, (uint32_t)mixed);
    NAME(ints) value;
    if (!read_ints(state, &value))
        return false;
    bool right = value.items[index] == (int32_t)mixed && value.count == CODEC_NUMBERS;
    dari_arena_reset(&state->arena);
    return right;
}

static bool decode_doubles(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    uint64_t bits = mixed >> 12;
    codec_store_be64(state->message + 4 + index * 8, bits);
    NAME(doubles) value;
    if (!read_doubles(state, &value))
        return false;
    bool right = memcmp(&value.items[index], &bits, sizeof bits) == 0;
    dari_arena_reset(&state->arena);
    return right;
}

static bool decode_opaque(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_OPAQUE_SIZE);
    state->message[4 + index] = (uint8_t)mixed;
    NAME(blob1) value;
    if (!read_blob1(state, &value))
        return false;
    bool right = value.data[index] == (uint8_t)mixed && codec_read_all(value.data, value.size) != 0;
    dari_arena_reset(&state->arena);
    return right;
}

static bool decode(void *context, uint64_t rounds, uint64_t seed)
{
    codec_state *state = context;
    bool right = true;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        switch (state->kind) {
        case CODEC_LISTING:
            right &= decode_listing(state, mixed);
            break;
        case CODEC_INTS:
            right &= decode_ints(state, mixed);
            break;
        case CODEC_DOUBLES:
            right &= decode_doubles(state, mixed);
            break;
        case CODEC_OPAQUE:
            right &= decode_opaque(state, mixed);
            break;
        }
    }
    return right;
}

static uint8_t *message(void *context, size_t *ret_size)
{
    codec_state *state = context;
    *ret_size = state->size;
    return state->message;
}

#ifdef CODEC_SPAN
const codec_subject codec_dari_span = {
#else
const codec_subject codec_dari = {
#endif
    .name = "dari",
    .open = open_state,
    .encode = encode,
    .decode = decode,
    .message = message,
    .close = close_state,
};
