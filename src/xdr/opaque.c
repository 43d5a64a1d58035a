/* SPDX-License-Identifier: MIT */
/* Opaque data, strings and the memory of arrays: everything that has a length on the wire. */
#include <dari/xdr_inline.h>

/* Tells a budget that is used up from a system without memory. */
static void report_no_memory(dari_decoder *decoder, const uint8_t *at, size_t size,
                             const char *field)
{
    const dari_arena *arena = decoder->arena;
    size_t allowed = arena->room + (size_t)(arena->end - arena->at);
    bool refused = arena->limited && size > allowed;
    dari_decode_fault(decoder, at, refused ? DARI_BUDGET : DARI_NO_MEMORY, field, (int64_t)size, 0);
}

static inline void *take(dari_decoder *decoder, const uint8_t *at, size_t size, const char *field)
{
    if (!decoder->arena) {
        dari_decode_fault(decoder, at, DARI_INVALID, field, 0, 0);
        return NULL;
    }
    void *memory = dari_arena_take(decoder->arena, size);
    if (!memory)
        report_no_memory(decoder, at, size, field);
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

uint8_t *dari_put_bytes(uint8_t *at, const void *data, uint32_t size)
{
    return dari_inline_put_bytes(at, data, size);
}

uint8_t *dari_put_opaque(dari_encoder *encoder, uint8_t *at, dari_opaque value)
{
    dari_references *references = encoder->references;
    dari_put_u32(at, value.size);
    at += 4;
    if (value.size < DARI_REFERENCE_MIN || !references || references->count == DARI_REFERENCES_MAX)
        return dari_inline_put_bytes(at, value.data, value.size);
    references->items[references->count++] = (dari_reference){at, value.data, value.size};
    uint8_t *end = at + dari_padded(value.size);
    memset(at + value.size, 0, (size_t)(end - at) - value.size);
    return end;
}

uint8_t *dari_put_string(uint8_t *at, const char *value)
{
    return dari_inline_put_string(at, value);
}

uint8_t *dari_put_text(uint8_t *at, dari_text value)
{
    return dari_inline_put_text(at, value);
}

bool dari_get_bytes(dari_decoder *decoder, const uint8_t *at, uint8_t *ret_bytes, uint32_t size,
                    const char *field)
{
    if (!dari_inline_padding_is_zero(at + dari_padded(size), size) &&
        !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0) != NULL;
    dari_inline_copy(ret_bytes, at, size);
    return true;
}

/* Where the `size` bytes whose place is at `at` are. */
static const uint8_t *find_data(dari_decoder *decoder, const uint8_t *at, uint32_t size)
{
    dari_references *references = decoder->references;
    if (!references || references->count == 0)
        return at;
    const dari_reference next = references->items[0];
    if (next.at != at || next.size != size)
        return at;
    references->count--;
    memmove(references->items, references->items + 1, references->count * sizeof next);
    return next.data;
}

const uint8_t *dari_get_opaque(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                               uint32_t following, dari_opaque *ret_value, const char *field)
{
    uint32_t size = dari_get_u32(at);
    at += 4;
    const uint8_t *end = check_length(decoder, at, size, bound, following, field);
    if (!end)
        return NULL;
    if (!dari_inline_padding_is_zero(end, size) && !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0);
    const uint8_t *data = find_data(decoder, at, size);
    if (!decoder->borrow && !decoder->references) {
        uint8_t *copy = take(decoder, at, size, field);
        if (!copy)
            return NULL;
        dari_inline_copy(copy, at, size);
        data = copy;
    }
    ret_value->size = size;
    ret_value->data = data;
    return end;
}

/* Whether a zero byte is among `size` ones; copies them to `out`, unless that is NULL. Of what is
 * copied the copy counts: the bytes may change. */
static bool find_zero(char *out, const uint8_t *at, uint32_t size)
{
    if (size <= DARI_INLINE_MAX)
        return dari_inline_find_zero(out, at, size);
    if (out)
        at = memcpy(out, at, size);
    return memchr(at, 0, size) != NULL;
}

const uint8_t *dari_get_string(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
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
    if (find_zero(copy, find_data(decoder, at, size), size) && !(decoder->accept & DARI_ACCEPT_NUL))
        return dari_decode_fault(decoder, at, DARI_NUL, field, 0, 0);
    if (!dari_inline_padding_is_zero(end, size) && !(decoder->accept & DARI_ACCEPT_PADDING))
        return dari_decode_fault(decoder, at + size, DARI_PADDING, field, 0, 0);
    return end;
}

const uint8_t *dari_get_text(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                             uint32_t following, dari_text *ret_value, const char *field)
{
    dari_opaque bytes;
    const uint8_t *end = dari_get_opaque(decoder, at, bound, following, &bytes, field);
    if (!end)
        return NULL;
    char *copy = NULL;
    if (decoder->references && bytes.data != at + 4) {
        copy = take(decoder, at, bytes.size, field);
        if (!copy)
            return NULL;
    }
    if (find_zero(copy, bytes.data, bytes.size) && !(decoder->accept & DARI_ACCEPT_NUL))
        return dari_decode_fault(decoder, at + 4, DARI_NUL, field, 0, 0);
    if (copy)
        bytes.data = (const uint8_t *)copy;
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
