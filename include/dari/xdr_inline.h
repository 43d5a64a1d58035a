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

/* Numbers that follow each other on the wire: moved together by wide loads and stores where they
 * are neighbours in memory too, as members of one struct mostly are. The compiler knows whether
 * they are. What a processor can store at a time is what limits codecs of structs. */

/* Whether numbers of `width` bytes each are neighbours. */
DARI_INLINE bool dari_inline_neighbours(const void *first, const void *second, size_t width)
{
    return (const uint8_t *)first + width == (const uint8_t *)second;
}

DARI_INLINE void dari_inline_swap_u32(void *out, const void *in)
{
    uint32_t value;
    memcpy(&value, in, 4);
    dari_put_u32((uint8_t *)out, value);
}

DARI_INLINE void dari_inline_swap_u64(void *out, const void *in)
{
    uint64_t value;
    memcpy(&value, in, 8);
    dari_put_u64((uint8_t *)out, value);
}

/* Eight bytes: the bytes of both halves are reversed. */
DARI_INLINE void dari_inline_swap_u32x2(void *out, const void *in)
{
    uint64_t both;
    memcpy(&both, in, 8);
    both = dari_swap_u64(both);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    both = both << 32 | both >> 32;
#endif
    memcpy(out, &both, 8);
}

#if defined(__SSSE3__) && (defined(__clang__) || __GNUC__ >= 12)

/* Sixteen bytes, by one instruction: for code that is compiled for such processors alone. */
typedef uint8_t dari_units16 __attribute__((vector_size(16)));

DARI_INLINE void dari_inline_swap_u32x4(void *out, const void *in)
{
    dari_units16 units;
    memcpy(&units, in, 16);
    units =
        __builtin_shufflevector(units, units, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    memcpy(out, &units, 16);
}

DARI_INLINE void dari_inline_swap_u64x2(void *out, const void *in)
{
    dari_units16 units;
    memcpy(&units, in, 16);
    units =
        __builtin_shufflevector(units, units, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
    memcpy(out, &units, 16);
}

#elif defined(__SSE2__) && (defined(__clang__) || __GNUC__ >= 12)

/* Sixteen bytes: those of each unit of 2 change places, then the units. */
typedef uint16_t dari_units8 __attribute__((vector_size(16)));

DARI_INLINE void dari_inline_swap_u32x4(void *out, const void *in)
{
    dari_units8 units;
    memcpy(&units, in, 16);
    units = units >> 8 | units << 8;
    units = __builtin_shufflevector(units, units, 1, 0, 3, 2, 5, 4, 7, 6);
    memcpy(out, &units, 16);
}

DARI_INLINE void dari_inline_swap_u64x2(void *out, const void *in)
{
    dari_units8 units;
    memcpy(&units, in, 16);
    units = units >> 8 | units << 8;
    units = __builtin_shufflevector(units, units, 3, 2, 1, 0, 7, 6, 5, 4);
    memcpy(out, &units, 16);
}

#else

DARI_INLINE void dari_inline_swap_u32x4(void *out, const void *in)
{
    dari_inline_swap_u32x2(out, in);
    dari_inline_swap_u32x2((uint8_t *)out + 8, (const uint8_t *)in + 8);
}

DARI_INLINE void dari_inline_swap_u64x2(void *out, const void *in)
{
    dari_inline_swap_u64(out, in);
    dari_inline_swap_u64((uint8_t *)out + 8, (const uint8_t *)in + 8);
}

#endif

DARI_INLINE void dari_inline_put_u32x2(uint8_t *at, const void *a, const void *b)
{
    if (dari_inline_neighbours(a, b, 4)) {
        dari_inline_swap_u32x2(at, a);
    } else {
        dari_inline_swap_u32(at, a);
        dari_inline_swap_u32(at + 4, b);
    }
}

DARI_INLINE void dari_inline_get_u32x2(const uint8_t *at, void *a, void *b)
{
    if (dari_inline_neighbours(a, b, 4)) {
        dari_inline_swap_u32x2(a, at);
    } else {
        dari_inline_swap_u32(a, at);
        dari_inline_swap_u32(b, at + 4);
    }
}

DARI_INLINE void dari_inline_put_u32x4(uint8_t *at, const void *a, const void *b, const void *c,
                                       const void *d)
{
    if (dari_inline_neighbours(a, b, 4) && dari_inline_neighbours(b, c, 4) &&
        dari_inline_neighbours(c, d, 4)) {
        dari_inline_swap_u32x4(at, a);
    } else {
        dari_inline_put_u32x2(at, a, b);
        dari_inline_put_u32x2(at + 8, c, d);
    }
}

DARI_INLINE void dari_inline_get_u32x4(const uint8_t *at, void *a, void *b, void *c, void *d)
{
    if (dari_inline_neighbours(a, b, 4) && dari_inline_neighbours(b, c, 4) &&
        dari_inline_neighbours(c, d, 4)) {
        dari_inline_swap_u32x4(a, at);
    } else {
        dari_inline_get_u32x2(at, a, b);
        dari_inline_get_u32x2(at + 8, c, d);
    }
}

DARI_INLINE void dari_inline_put_u64x2(uint8_t *at, const void *a, const void *b)
{
    if (dari_inline_neighbours(a, b, 8)) {
        dari_inline_swap_u64x2(at, a);
    } else {
        dari_inline_swap_u64(at, a);
        dari_inline_swap_u64(at + 8, b);
    }
}

DARI_INLINE void dari_inline_get_u64x2(const uint8_t *at, void *a, void *b)
{
    if (dari_inline_neighbours(a, b, 8)) {
        dari_inline_swap_u64x2(a, at);
    } else {
        dari_inline_swap_u64(a, at);
        dari_inline_swap_u64(b, at + 8);
    }
}

/* Copies `size` bytes, without a call where they are few: the first and the last ones of a size
 * class in pieces that may overlap. */
DARI_INLINE void dari_inline_copy(uint8_t *out, const uint8_t *in, size_t size)
{
    if (size - 16 <= 16) { /* the most frequent: names and handles */
        memcpy(out, in, 16);
        memcpy(out + size - 16, in + size - 16, 16);
    } else if (size > DARI_INLINE_MAX) {
        memcpy(out, in, size);
    } else if (size > 32) {
        memcpy(out, in, 32);
        memcpy(out + size - 32, in + size - 32, 32);
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

DARI_INLINE uint64_t dari_inline_zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

/* Whether any bit of a comparison's result is set. Vectors are passed by address: by value they
 * would need a convention of calls that not every processor of the family has. */
DARI_INLINE bool dari_inline_any(const dari_bytes16 *found)
{
#ifdef __SSE2__
    typedef char signs __attribute__((vector_size(16)));
    return __builtin_ia32_pmovmskb128((signs)*found) != 0;
#else
    typedef uint64_t words __attribute__((vector_size(16)));
    words halves = (words)*found;
    return (halves[0] | halves[1]) != 0;
#endif
}

/* Copies sixteen bytes, unless `out` is NULL, and sets all bits of those in `found` that are zero.
 */
DARI_INLINE void dari_inline_zeros_16(char *out, const uint8_t *at, dari_bytes16 *found)
{
    dari_bytes16 piece;
    memcpy(&piece, at, 16);
    if (out)
        memcpy(out, &piece, 16);
    *found |= (dari_bytes16)(piece == 0);
}

/* Whether a zero byte is among `size` ones, 16 to 32, which pieces that may overlap cover; and 33
 * to DARI_INLINE_MAX. */
DARI_INLINE bool dari_inline_find_zero_16(char *out, const uint8_t *at, uint32_t size)
{
    dari_bytes16 found = {0};
    dari_inline_zeros_16(out, at, &found);
    dari_inline_zeros_16(out ? out + size - 16 : NULL, at + size - 16, &found);
    return dari_inline_any(&found);
}

DARI_INLINE bool dari_inline_find_zero_32(char *out, const uint8_t *at, uint32_t size)
{
    bool first = dari_inline_find_zero_16(out, at, 32);
    bool last = dari_inline_find_zero_16(out ? out + size - 32 : NULL, at + size - 32, 32);
    return first | last;
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
    if (size - 16 <= 16)
        return dari_inline_find_zero_16(out, at, size);
    if (size > 32)
        return dari_inline_find_zero_32(out, at, size);
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

DARI_INLINE bool dari_inline_add_text(dari_encoder *encoder, int64_t *sum, dari_text value,
                                      uint32_t bound, const char *field)
{
    if (value.size > DARI_INLINE_MAX || value.size > bound || !value.data ||
        dari_inline_find_zero(NULL, (const uint8_t *)value.data, value.size))
        return dari_add_text(encoder, sum, value, bound, field);
    return dari_add_bytes(encoder, sum, value.data, value.size, bound, field);
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

DARI_INLINE const uint8_t *dari_inline_get_string(dari_decoder *decoder, const uint8_t *at,
                                                  uint32_t bound, uint32_t following,
                                                  char **ret_value, const char *field)
{
    dari_arena *arena = decoder->arena;
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    size_t taken = ((size_t)size + DARI_ARENA_ALIGNMENT) & ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    if (size > DARI_INLINE_MAX || size > bound || padded + following > dari_left(decoder, data) ||
        !arena || (size_t)(arena->end - arena->at) < taken)
        return dari_get_string(decoder, at, bound, following, ret_value, field);
    char *copy = (char *)arena->at;
    if (dari_inline_find_zero(copy, data, size) ||
        !dari_inline_padding_is_zero(data + padded, size))
        return dari_get_string(decoder, at, bound, following, ret_value, field);
    copy[size] = '\0';
    arena->at = (uint8_t *)copy + taken;
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
