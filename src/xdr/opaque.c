/* SPDX-License-Identifier: MIT */
/* Opaque data, strings and the memory of arrays: everything that has a length on the wire. */
#include <dari/xdr.h>

static inline void *take(dari_decoder *decoder, const uint8_t *at, size_t size, const char *field)
{
    if (!decoder->arena) {
        dari_decode_fault(decoder, at, DARI_INVALID, field, 0, 0);
        return NULL;
    }
    void *memory = dari_arena_take(decoder->arena, size);
    if (!memory)
        dari_decode_fault(decoder, at, DARI_BUDGET, field, (int64_t)size, 0);
    return memory;
}

void *dari_take(dari_decoder *decoder, const uint8_t *at, size_t size, const char *field)
{
    return take(decoder, at, size, field);
}

/* Checks the length word of data at `at` against its bound and against what is left of the message.
 * Returns where the padding ends, or NULL. */
static inline const uint8_t *check_length(dari_decoder *decoder, const uint8_t *at, uint32_t size,
                                          uint32_t bound, uint32_t following, const char *field)
{
    uint64_t needed = dari_padded(size) + following;
    if (size > bound)
        return dari_decode_fault(decoder, at, DARI_BOUND, field, size, bound);
    if (needed > dari_left(decoder, at))
        return dari_truncated(decoder, at, needed, field);
    return at + dari_padded(size);
}

/* Whether the bytes from the end of `size` ones up to `end` are zero: the last unit of 4, without those
 * that belong to the data. */
static inline bool padding_is_zero(const uint8_t *end, uint32_t size)
{
    return !(size & 3) || !(dari_get_u32(end - 4) << 8 * (size & 3));
}

bool dari_get_bytes(dari_decoder *decoder, const uint8_t *at, uint8_t *ret_bytes, uint32_t size,
                    const char *field)
{
    if (!padding_is_zero(at + dari_padded(size), size) && !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0) != NULL;
    dari_copy_inline(ret_bytes, at, size);
    return true;
}

/* What is rare or wrong has functions of its own, so that the usual way saves no registers. */
#define RARE __attribute__((noinline)) static

RARE const uint8_t *get_opaque_slowly(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                                      uint32_t following, dari_opaque *ret_value,
                                      const char *field)
{
    uint32_t size = dari_get_u32(at);
    at += 4;
    const uint8_t *end = check_length(decoder, at, size, bound, following, field);
    if (!end)
        return NULL;
    if (!padding_is_zero(end, size) && !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0);
    const uint8_t *data = at;
    if (!decoder->borrow) {
        uint8_t *copy = take(decoder, at, size, field);
        if (!copy)
            return NULL;
        dari_copy_inline(copy, at, size);
        data = copy;
    }
    ret_value->size = size;
    ret_value->data = data;
    return end;
}

const uint8_t *dari_get_opaque(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                               uint32_t following, dari_opaque *ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    if (size > bound || padded + following > dari_left(decoder, data) || !decoder->borrow ||
        !padding_is_zero(data + padded, size))
        return get_opaque_slowly(decoder, at, bound, following, ret_value, field);
    ret_value->size = size;
    ret_value->data = data;
    return data + padded;
}

/* Longer strings are searched and copied by the C library's vector code. */
#define SHORT_STRING 64u

/* Sixteen bytes at a time; a comparison makes a byte of all ones for each that is equal. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

/* Whether a zero byte is among `size` ones, 16 to SHORT_STRING. The last 16 may overlap others. */
static inline bool find_zero_16(char *out, const uint8_t *at, uint32_t size)
{
    bytes16 found = {0}, piece;
    for (uint32_t i = 0; i < size - 16; i += 16) {
        memcpy(&piece, at + i, 16);
        found |= (bytes16)(piece == 0);
        if (out)
            memcpy(out + i, &piece, 16);
    }
    memcpy(&piece, at + size - 16, 16);
    found |= (bytes16)(piece == 0);
    if (out)
        memcpy(out + size - 16, &piece, 16);
    words2 halves = (words2)found;
    return (halves[0] | halves[1]) != 0;
}

/* The same for 8 to 15 bytes, and for 4 to 7. */
static inline bool find_zero_8(char *out, const uint8_t *at, uint32_t size)
{
    uint64_t first, last;
    memcpy(&first, at, 8);
    memcpy(&last, at + size - 8, 8);
    if (out) {
        memcpy(out, &first, 8);
        memcpy(out + size - 8, &last, 8);
    }
    return (zero_bytes(first) | zero_bytes(last)) != 0;
}

static inline bool find_zero_4(char *out, const uint8_t *at, uint32_t size)
{
    uint32_t first, last;
    memcpy(&first, at, 4);
    memcpy(&last, at + size - 4, 4);
    if (out) {
        memcpy(out, &first, 4);
        memcpy(out + size - 4, &last, 4);
    }
    return zero_bytes((uint64_t)first << 32 | last) != 0;
}

/* Whether a zero byte is among `size` ones, at most SHORT_STRING; copies them to `out`, unless that is
 * NULL. */
static inline bool find_zero_short(char *out, const uint8_t *at, uint32_t size)
{
    if (size >= 16)
        return find_zero_16(out, at, size);
    if (size >= 8)
        return find_zero_8(out, at, size);
    if (size >= 4)
        return find_zero_4(out, at, size);
    bool found = false;
    for (uint32_t i = 0; i < size; i++) {
        found |= at[i] == 0;
        if (out)
            out[i] = (char)at[i];
    }
    return found;
}

/* The same for any size. */
static bool find_zero(char *out, const uint8_t *at, uint32_t size)
{
    if (size <= SHORT_STRING)
        return find_zero_short(out, at, size);
    if (out)
        memcpy(out, at, size);
    return memchr(at, 0, size) != NULL;
}

RARE const uint8_t *get_string_slowly(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                                      uint32_t following, char **ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    at += 4;
    const uint8_t *end = check_length(decoder, at, size, bound, following, field);
    if (!end)
        return NULL;
    char *copy = take(decoder, at, (size_t)size + 1, field);
    if (!copy)
        return NULL;
    copy[size] = '\0';
    *ret_value = copy;
    if (find_zero(copy, at, size) && !(decoder->accept & DARI_ACCEPT_NUL))
        return dari_decode_fault(decoder, at, DARI_NUL, field, 0, 0);
    if (!padding_is_zero(end, size) && !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0);
    return end;
}

/* The memory that the arena gives at once for `size` bytes, not taken yet; NULL where it cannot. */
static inline char *peek_arena(const dari_arena *arena, size_t size)
{
    if (!arena || (size_t)(arena->end - arena->at) < size)
        return NULL;
    return (char *)arena->at;
}

const uint8_t *dari_get_string(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                               uint32_t following, char **ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    uint64_t padded = dari_padded(size);
    const uint8_t *data = at + 4;
    size_t taken = ((size_t)size + DARI_ARENA_ALIGNMENT) & ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    char *copy = peek_arena(decoder->arena, taken);
    if (size > SHORT_STRING || size > bound ||
        padded + following > dari_left(decoder, data) || !copy || find_zero_short(copy, data, size) ||
        !padding_is_zero(data + padded, size))
        return get_string_slowly(decoder, at, bound, following, ret_value, field);
    copy[size] = '\0';
    decoder->arena->at += taken;
    *ret_value = copy;
    return data + padded;
}

const uint8_t *dari_get_text(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                             uint32_t following, dari_text *ret_value, const char *field)
{
    dari_opaque bytes;
    const uint8_t *end = dari_get_opaque(decoder, at, bound, following, &bytes, field);
    if (!end)
        return NULL;
    if (find_zero(NULL, at + 4, bytes.size) && !(decoder->accept & DARI_ACCEPT_NUL))
        return dari_decode_fault(decoder, at + 4, DARI_NUL, field, 0, 0);
    ret_value->size = bytes.size;
    ret_value->data = (const char *)bytes.data;
    return end;
}

bool dari_add_text(dari_encoder *encoder, int64_t *sum, dari_text value, uint32_t bound,
                   const char *field)
{
    if (!dari_add_bytes(encoder, sum, value.data, value.size, bound, field))
        return false;
    if (!value.size || !memchr(value.data, 0, value.size))
        return true;
    *sum = dari_encode_fault(encoder, DARI_NUL, field, 0, 0);
    return false;
}

void *dari_take_array(dari_decoder *decoder, const uint8_t *at, uint32_t count, uint32_t bound,
                      uint32_t width, size_t element, const char *field)
{
    if (count > bound) {
        dari_decode_fault(decoder, at, DARI_BOUND, field, count, bound);
        return NULL;
    }
    if ((uint64_t)count * width > dari_left(decoder, at)) {
        dari_truncated(decoder, at, (uint64_t)count * width, field);
        return NULL;
    }
    if (!width) {
        if (count > decoder->zero_width_left) {
            dari_decode_fault(decoder, at, DARI_LIMIT, field, count, decoder->zero_width_left);
            return NULL;
        }
        decoder->zero_width_left -= count;
    }
    size_t size;
    if (__builtin_mul_overflow((size_t)count, element, &size)) {
        dari_decode_fault(decoder, at, DARI_BUDGET, field, INT64_MAX, 0);
        return NULL;
    }
    return take(decoder, at, size, field);
}
