/* SPDX-License-Identifier: MIT */
/* Codecs of array elements: the pieces of xdr.h that are worth writing into a loop.
 *
 * The functions do what those of the same name without `inline` do, which they call where the data
 * is long, wrong or unusual. Generated code uses them; all are safe to call from any thread on data
 * of its own. */
#ifndef DARI_XDR_INLINE_H
#define DARI_XDR_INLINE_H

#include <dari/xdr.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How generated code marks codecs that are written into those that call them for every element. */
#define DARI_INLINE static inline __attribute__((always_inline))

/* Longer data goes to the C library, whose vector code is then faster. */
#define DARI_INLINE_MAX 64u

/* Copies `size` bytes, without a call where they are few: the first and the last ones of a size
 * class in pieces that may overlap. */
DARI_INLINE void dari_inline_copy(uint8_t *out, const uint8_t *in, size_t size)
{
    if (size > DARI_INLINE_MAX) {
        memcpy(out, in, size);
    } else if (size > 32) {
        memcpy(out, in, 32);
        memcpy(out + size - 32, in + size - 32, 32);
    } else if (size >= 16) {
        memcpy(out, in, 16);
        memcpy(out + size - 16, in + size - 16, 16);
    } else if (size >= 8) {
        memcpy(out, in, 8);
        memcpy(out + size - 8, in + size - 8, 8);
    } else if (size >= 4) {
        memcpy(out, in, 4);
        memcpy(out + size - 4, in + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            out[i] = in[i];
    }
}

DARI_INLINE uint8_t *dari_inline_put_bytes(uint8_t *at, const void *data, uint32_t size)
{
    uint8_t *end = at + dari_padded(size);
    if (size & 3)
        memset(end - 4, 0, 4);
    dari_inline_copy(at, (const uint8_t *)data, size);
    return end;
}

DARI_INLINE uint8_t *dari_inline_put_opaque(dari_encoder *encoder, uint8_t *at, dari_opaque value)
{
    if (value.size > DARI_INLINE_MAX)
        return dari_put_opaque(encoder, at, value);
    dari_put_u32(at, value.size);
    return dari_inline_put_bytes(at + 4, value.data, value.size);
}

DARI_INLINE uint8_t *dari_inline_put_string(uint8_t *at, const char *value)
{
    uint32_t size = (uint32_t)strlen(value);
    dari_put_u32(at, size);
    return dari_inline_put_bytes(at + 4, value, size);
}

DARI_INLINE uint8_t *dari_inline_put_text(uint8_t *at, dari_text value)
{
    dari_put_u32(at, value.size);
    return dari_inline_put_bytes(at + 4, value.data, value.size);
}

/* Sixteen bytes at a time; a comparison makes a byte of all ones for each that is equal. */
typedef uint8_t dari_bytes16 __attribute__((vector_size(16)));
typedef uint64_t dari_words2 __attribute__((vector_size(16)));

DARI_INLINE uint64_t dari_inline_zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

/* Whether a zero byte is among `size` ones, 16 to DARI_INLINE_MAX. The last 16 may overlap others.
 */
DARI_INLINE bool dari_inline_find_zero_16(char *out, const uint8_t *at, uint32_t size)
{
    dari_bytes16 found = {0}, piece;
    for (uint32_t i = 0; i < size - 16; i += 16) {
        memcpy(&piece, at + i, 16);
        found |= (dari_bytes16)(piece == 0);
        if (out)
            memcpy(out + i, &piece, 16);
    }
    memcpy(&piece, at + size - 16, 16);
    found |= (dari_bytes16)(piece == 0);
    if (out)
        memcpy(out + size - 16, &piece, 16);
    dari_words2 halves = (dari_words2)found;
    return (halves[0] | halves[1]) != 0;
}

/* The same for 8 to 15 bytes, and for 4 to 7. */
DARI_INLINE bool dari_inline_find_zero_8(char *out, const uint8_t *at, uint32_t size)
{
    uint64_t first, last;
    memcpy(&first, at, 8);
    memcpy(&last, at + size - 8, 8);
    if (out) {
        memcpy(out, &first, 8);
        memcpy(out + size - 8, &last, 8);
    }
    return (dari_inline_zero_bytes(first) | dari_inline_zero_bytes(last)) != 0;
}

DARI_INLINE bool dari_inline_find_zero_4(char *out, const uint8_t *at, uint32_t size)
{
    uint32_t first, last;
    memcpy(&first, at, 4);
    memcpy(&last, at + size - 4, 4);
    if (out) {
        memcpy(out, &first, 4);
        memcpy(out + size - 4, &last, 4);
    }
    return dari_inline_zero_bytes((uint64_t)first << 32 | last) != 0;
}

/* Whether a zero byte is among `size` ones, at most DARI_INLINE_MAX; copies them to `out`, unless
 * that is NULL. */
DARI_INLINE bool dari_inline_find_zero(char *out, const uint8_t *at, uint32_t size)
{
    if (size >= 16)
        return dari_inline_find_zero_16(out, at, size);
    if (size >= 8)
        return dari_inline_find_zero_8(out, at, size);
    if (size >= 4)
        return dari_inline_find_zero_4(out, at, size);
    bool found = false;
    for (uint32_t i = 0; i < size; i++) {
        found |= at[i] == 0;
        if (out)
            out[i] = (char)at[i];
    }
    return found;
}

/* Whether the bytes from the end of `size` ones up to `end` are zero: the last unit of 4, without
 * those that belong to the data. */
DARI_INLINE bool dari_inline_padding_is_zero(const uint8_t *end, uint32_t size)
{
    return !(size & 3) || !(dari_get_u32(end - 4) << 8 * (size & 3));
}

DARI_INLINE const uint8_t *dari_inline_get_opaque(dari_decoder *decoder, const uint8_t *at,
                                                  uint32_t bound, uint32_t following,
                                                  dari_opaque *ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    if (size > bound || padded + following > dari_left(decoder, data) || !decoder->borrow ||
        !dari_inline_padding_is_zero(data + padded, size))
        return dari_get_opaque(decoder, at, bound, following, ret_value, field);
    ret_value->size = size;
    ret_value->data = data;
    return data + padded;
}

/* The memory that the arena gives at once for `size` bytes, not taken yet; NULL where it cannot. */
DARI_INLINE char *dari_inline_peek(const dari_arena *arena, size_t size)
{
    if (!arena || (size_t)(arena->end - arena->at) < size)
        return NULL;
    return (char *)arena->at;
}

DARI_INLINE const uint8_t *dari_inline_get_string(dari_decoder *decoder, const uint8_t *at,
                                                  uint32_t bound, uint32_t following,
                                                  char **ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    size_t taken = ((size_t)size + DARI_ARENA_ALIGNMENT) & ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    char *copy = dari_inline_peek(decoder->arena, taken);
    if (size > DARI_INLINE_MAX || size > bound || padded + following > dari_left(decoder, data) ||
        !copy || dari_inline_find_zero(copy, data, size) ||
        !dari_inline_padding_is_zero(data + padded, size))
        return dari_get_string(decoder, at, bound, following, ret_value, field);
    copy[size] = '\0';
    decoder->arena->at += taken;
    *ret_value = copy;
    return data + padded;
}

DARI_INLINE const uint8_t *dari_inline_get_text(dari_decoder *decoder, const uint8_t *at,
                                                uint32_t bound, uint32_t following,
                                                dari_text *ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    if (size > DARI_INLINE_MAX || size > bound || padded + following > dari_left(decoder, data) ||
        !decoder->borrow || dari_inline_find_zero(NULL, data, size) ||
        !dari_inline_padding_is_zero(data + padded, size))
        return dari_get_text(decoder, at, bound, following, ret_value, field);
    ret_value->size = size;
    ret_value->data = (const char *)data;
    return data + padded;
}

#ifdef __cplusplus
}
#endif

#endif
