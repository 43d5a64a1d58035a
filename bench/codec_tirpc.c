/* SPDX-License-Identifier: MIT */
/* The peer libtirpc: its code from rpcgen for the same dir.x, its XDR streams over memory. */
#include "codec.h"

#include "tirpc_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct codec_state {
    enum codec_value kind;
    listing listing;
    ints ints;
    doubles doubles;
    blob1 opaque;
    size_t size;
    uint8_t *message; /* CODEC_SIZE_MAX bytes */
} codec_state;

static bool make_listing(listing *value)
{
    entry *entries = calloc(CODEC_ENTRIES, sizeof *entries);
    if (!entries)
        return false;
    value->entries.entries_len = CODEC_ENTRIES;
    value->entries.entries_val = entries;
    for (unsigned i = 0; i < CODEC_ENTRIES; i++) {
        char name[32];
        snprintf(name, sizeof name, CODEC_NAME_FORMAT, i);
        entries[i].fileid = 77u * i;
        entries[i].name = strdup(name);
        entries[i].cookie = i;
        entries[i].attrs.follows = TRUE;
        entries[i].attrs.post_attr_u.a.type = REG;
        entries[i].attrs.post_attr_u.a.mode = 0644;
        entries[i].attrs.post_attr_u.a.nlink = 1;
        entries[i].attrs.post_attr_u.a.size = 4096u * i;
        entries[i].handle.handle_len = CODEC_HANDLE_SIZE;
        entries[i].handle.handle_val = calloc(1, CODEC_HANDLE_SIZE);
        if (!entries[i].name || !entries[i].handle.handle_val)
            return false;
        memset(entries[i].handle.handle_val, (int)i, CODEC_HANDLE_SIZE);
    }
    value->eof = TRUE;
    return true;
}

static bool make_value(codec_state *state)
{
    state->ints.ints_len = CODEC_NUMBERS;
    state->doubles.doubles_len = CODEC_NUMBERS;
    state->opaque.blob1_len = CODEC_OPAQUE_SIZE;
    switch (state->kind) {
    case CODEC_LISTING:
        return make_listing(&state->listing);
    case CODEC_INTS:
        state->ints.ints_val = malloc(CODEC_NUMBERS * sizeof(int));
        for (unsigned i = 0; state->ints.ints_val && i < CODEC_NUMBERS; i++)
            state->ints.ints_val[i] = (int)(i * 2654435761u);
        return state->ints.ints_val != NULL;
    case CODEC_DOUBLES:
        state->doubles.doubles_val = malloc(CODEC_NUMBERS * sizeof(double));
        for (unsigned i = 0; state->doubles.doubles_val && i < CODEC_NUMBERS; i++)
            state->doubles.doubles_val[i] = i / 3.0;
        return state->doubles.doubles_val != NULL;
    case CODEC_OPAQUE:
        state->opaque.blob1_val = malloc(CODEC_OPAQUE_SIZE);
        for (unsigned i = 0; state->opaque.blob1_val && i < CODEC_OPAQUE_SIZE; i++)
            state->opaque.blob1_val[i] = (char)(i * 31u);
        return state->opaque.blob1_val != NULL;
    }
    return false;
}

static void close_state(void *context)
{
    codec_state *state = context;
    if (!state)
        return;
    xdr_free((xdrproc_t)xdr_listing, &state->listing);
    free(state->ints.ints_val);
    free(state->doubles.doubles_val);
    free(state->opaque.blob1_val);
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

static bool encode_listing(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_ENTRIES);
    state->listing.entries.entries_val[index].fileid = mixed;
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, CODEC_SIZE_MAX, XDR_ENCODE);
    if (!xdr_listing(&stream, &state->listing))
        return false;
    state->size = xdr_getpos(&stream);
    return codec_load_be64(state->message + 4 + index * CODEC_ENTRY_WIDTH) == mixed &&
           state->size == CODEC_LISTING_WIDTH;
}

static bool encode_ints(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    state->ints.ints_val[index] = (int)mixed;
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, CODEC_SIZE_MAX, XDR_ENCODE);
    if (!xdr_ints(&stream, &state->ints))
        return false;
    state->size = xdr_getpos(&stream);
    return codec_load_be32(state->message + 4 + index * 4) == (uint32_t)mixed;
}

static bool encode_doubles(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    uint64_t bits = mixed >> 12;
    memcpy(&state->doubles.doubles_val[index], &bits, sizeof bits);
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, CODEC_SIZE_MAX, XDR_ENCODE);
    if (!xdr_doubles(&stream, &state->doubles))
        return false;
    state->size = xdr_getpos(&stream);
    return codec_load_be64(state->message + 4 + index * 8) == bits;
}

static bool encode_opaque(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_OPAQUE_SIZE);
    state->opaque.blob1_val[index] = (char)mixed;
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, CODEC_SIZE_MAX, XDR_ENCODE);
    if (!xdr_blob1(&stream, &state->opaque))
        return false;
    state->size = xdr_getpos(&stream);
    return state->message[4 + index] == (uint8_t)mixed;
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
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, (u_int)state->size, XDR_DECODE);
    listing value = {0};
    if (!xdr_listing(&stream, &value))
        return false;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < value.entries.entries_len; i++)
        sum += codec_read_all(value.entries.entries_val[i].handle.handle_val,
                              value.entries.entries_val[i].handle.handle_len);
    const entry *last = &value.entries.entries_val[CODEC_ENTRIES - 1];
    bool right = value.entries.entries_val[index].fileid == mixed && value.eof && sum &&
                 last->name[15] == '9';
    xdr_free((xdrproc_t)xdr_listing, &value);
    return right;
}

static bool decode_ints(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    codec_store_be32(state->message + 4 + index * 4, (uint32_t)mixed);
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, (u_int)state->size, XDR_DECODE);
    ints value = {0};
    if (!xdr_ints(&stream, &value))
        return false;
    bool right = value.ints_val[index] == (int)mixed && value.ints_len == CODEC_NUMBERS;
    xdr_free((xdrproc_t)xdr_ints, &value);
    return right;
}

static bool decode_doubles(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_NUMBERS);
    uint64_t bits = mixed >> 12;
    codec_store_be64(state->message + 4 + index * 8, bits);
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, (u_int)state->size, XDR_DECODE);
    doubles value = {0};
    if (!xdr_doubles(&stream, &value))
        return false;
    bool right = memcmp(&value.doubles_val[index], &bits, sizeof bits) == 0;
    xdr_free((xdrproc_t)xdr_doubles, &value);
    return right;
}

static bool decode_opaque(codec_state *state, uint64_t mixed)
{
    uint32_t index = (uint32_t)(mixed % CODEC_OPAQUE_SIZE);
    state->message[4 + index] = (uint8_t)mixed;
    XDR stream;
    xdrmem_create(&stream, (char *)state->message, (u_int)state->size, XDR_DECODE);
    blob1 value = {0};
    if (!xdr_blob1(&stream, &value))
        return false;
    bool right = (uint8_t)value.blob1_val[index] == (uint8_t)mixed &&
                 codec_read_all(value.blob1_val, value.blob1_len);
    xdr_free((xdrproc_t)xdr_blob1, &value);
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

const codec_subject codec_tirpc = {
    .name = "libtirpc",
    .open = open_state,
    .encode = encode,
    .decode = decode,
    .message = message,
    .close = close_state,
};
