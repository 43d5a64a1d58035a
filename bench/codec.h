/* SPDX-License-Identifier: MIT */
/* The codec benchmark: one small interface before every codec that takes part, so that the
 * generated code of each lives in a translation unit of its own (their type names are the same).
 *
 * The values are those of dir.x: a listing of 100 entries (15,608 bytes encoded), 100,000 ints,
 * 100,000 doubles, 1 MiB opaque. In every round one place of the input changes and that place of
 * the output is checked. Decoding includes giving the memory back. What a decoder may leave in the
 * message (handles, opaque data, spans) is read whole in every round, by every subject. */
#ifndef BENCH_CODEC_H
#define BENCH_CODEC_H

#include "measure.h"

enum codec_value { CODEC_LISTING, CODEC_INTS, CODEC_DOUBLES, CODEC_OPAQUE };

#define CODEC_ENTRIES 100u
#define CODEC_NUMBERS 100000u
#define CODEC_OPAQUE_SIZE 1048576u
#define CODEC_HANDLE_SIZE 32u
#define CODEC_NAME_FORMAT "file-number-%04u.txt"

/* The bytes of one entry in the encoded listing, and of the whole. */
#define CODEC_ENTRY_WIDTH 156u
#define CODEC_LISTING_WIDTH (4 + CODEC_ENTRIES * CODEC_ENTRY_WIDTH + 4)
#define CODEC_SIZE_MAX (CODEC_OPAQUE_SIZE + 8)

/* A codec with a value of each kind. Open once, close at the end. */
typedef struct codec_subject {
    const char *name;
    void *(*open)(enum codec_value kind); /* NULL: no memory */
    bool (*encode)(void *state, uint64_t rounds, uint64_t seed);
    bool (*decode)(void *state, uint64_t rounds, uint64_t seed);
    /* What encode wrote last, and decode reads. */
    uint8_t *(*message)(void *state, size_t *ret_size);
    void (*close)(void *state);
} codec_subject;

extern const codec_subject codec_dari;
extern const codec_subject codec_dari_span; /* --strings=span; the listing only */
extern const codec_subject codec_tirpc;
extern const codec_subject codec_memcpy;

static inline uint64_t codec_load_be64(const uint8_t *at)
{
    uint64_t value;
    __builtin_memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static inline void codec_store_be64(uint8_t *at, uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    __builtin_memcpy(at, &value, sizeof value);
}

static inline uint32_t codec_load_be32(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

static inline void codec_store_be32(uint8_t *at, uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    __builtin_memcpy(at, &value, sizeof value);
}

/* Reads every byte. */
static inline uint64_t codec_read_all(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t sum = 0, other = 0, word, next;
    for (; size >= 16; at += 16, size -= 16) {
        __builtin_memcpy(&word, at, 8);
        __builtin_memcpy(&next, at + 8, 8);
        sum += word;
        other += next;
    }
    if (size >= 8) {
        __builtin_memcpy(&word, at, 8);
        sum += word;
        at += 8;
        size -= 8;
    }
    if (size >= 4) {
        uint32_t half;
        __builtin_memcpy(&half, at, 4);
        sum += half;
        at += 4;
        size -= 4;
    }
    while (size--)
        sum += *at++;
    return sum + other;
}

/* Measures all codec rows. False: an output was wrong, or the codecs' bytes differ. */
bool codec_rows(measure_report *report);

#endif
