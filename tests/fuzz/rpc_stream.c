/* SPDX-License-Identifier: MIT */
#include "fuzz/rpc_stream.h"

#include <stdbool.h>
#include <string.h>

#define LAST 0x80000000u
#define PROGRAM 0x20000102u

uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

uint8_t *put_word(uint8_t *at, uint32_t word)
{
    for (int byte = 0; byte < 4; byte++)
        *at++ = (uint8_t)(word >> (24 - 8 * byte));
    return at;
}

static uint8_t *put_words(uint8_t *at, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        at = put_word(at, words[i]);
    return at;
}

#define WORDS(at, ...)                             \
    put_words(at, (const uint32_t[]){__VA_ARGS__}, \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* Opaque data of a random size, seldom above what a message may have. */
static uint8_t *put_data(uint8_t *at, uint32_t *random)
{
    uint32_t size = next_random(random) % 16 ? next_random(random) % 200 : 1900;
    at = put_word(at, size);
    memset(at, 'd', size);
    memset(at + size, 0, 3);
    return at + (size + 3) / 4 * 4;
}

static uint8_t *put_call(uint8_t *at, uint32_t *random, uint32_t xid)
{
    uint32_t procedure = next_random(random) % 5;
    at = WORDS(at, xid, 0, 2, PROGRAM, 1, procedure);
    switch (next_random(random) % 4) {
    case 0: /* AUTH_SYS: stamp, name, user, group and two more */
        at = WORDS(at, 1, 36, 9, 5, 0x686f7374, 0x31000000, 1000, 100, 2, 4, 24, 0, 0);
        break;
    case 1: /* the largest credential and verifier */
        at = WORDS(at, 0, 400);
        memset(at, 0, 400);
        at = WORDS(at + 400, 0, 400);
        memset(at, 0, 400);
        at += 400;
        break;
    default:
        at = WORDS(at, 0, 0, 0, 0);
    }
    if (procedure == 2)
        return WORDS(at, 2, 3);
    if (procedure == 3)
        return put_word(at, 0u - next_random(random) % 80);
    return procedure == 0 ? at : put_data(at, random);
}

static uint8_t *put_reply(uint8_t *at, uint32_t *random, uint32_t xid)
{
    uint32_t kind = next_random(random) % 10;
    if (kind == 0)
        return WORDS(at, xid, 1, 1, 0, 2, 2);
    if (kind == 1)
        return WORDS(at, xid, 1, 1, 1, 1 + next_random(random) % 8);
    if (kind == 2)
        return WORDS(at, xid, 1, 0, 2, 8, 7, 7, 0);
    if (kind == 3)
        return WORDS(at, xid, 1, 0, 0, 0, 2, 1, 4);
    if (kind == 4)
        return WORDS(at, xid, 1, 0, 0, 0, next_random(random) % 6);
    at = WORDS(at, xid, 1, 0, 0, 0, 0);
    switch (xid % 3) { /* as the calls in flight go round */
    case 1:
        return at;
    case 2:
        return put_word(at, 3);
    default:
        return put_data(at, random);
    }
}

/* One record, in one fragment or in several, some of them empty. */
static uint8_t *put_record(uint8_t *at, uint32_t *random, const uint8_t *body, size_t size)
{
    bool whole = next_random(random) % 2;
    for (size_t done = 0;;) {
        size_t part = whole ? size : next_random(random) % (next_random(random) % 2 ? 4 : 400);
        if (part > size - done)
            part = size - done;
        bool last = done + part == size && next_random(random) % 4;
        at = put_word(at, (uint32_t)part | (last ? LAST : 0));
        memcpy(at, body + done, part);
        at += part;
        done += part;
        if (last)
            return at;
    }
}

uint8_t *put_stream(uint8_t *at, uint32_t *random, int calls)
{
    uint8_t body[STREAM_MESSAGE_MAX];
    for (uint32_t left = 1 + next_random(random) % STREAM_MESSAGES_MAX; left; left--) {
        uint32_t xid = 1 + next_random(random) % 9;
        bool other = next_random(random) % 8 == 0;
        uint8_t *end =
            (calls != 0) != other ? put_call(body, random, xid) : put_reply(body, random, xid);
        at = put_record(at, random, body, (size_t)(end - body));
    }
    return at;
}
