/* SPDX-License-Identifier: MIT */
/* XDR (RFC 4506): what the codecs that `dari gen` writes are made of.
 *
 * Every type T of an interface has three functions, written as straight-line code:
 *
 *   int64_t xdr_size_T(dari_encoder *, const T *);
 *   uint8_t *xdr_encode_T(dari_encoder *, uint8_t *at, const T *);
 *   const uint8_t *xdr_decode_T(dari_decoder *, const uint8_t *at, T *);
 *
 * Encoding takes two steps: xdr_size_T returns the number of bytes or a negative error, and
 * xdr_encode_T writes exactly that many and returns the end. The value must not change in between.
 * Large opaque data need not be written: an encoder may note where it is, for whoever sends it.
 * Decoding returns the end of what was read, or NULL: the decoder's fault then says what is wrong
 * where. All memory comes from the decoder's arena; nothing is freed one by one.
 *
 * The functions below are the pieces. All are safe to call from any thread on data of its own. */
#ifndef DARI_XDR_H
#define DARI_XDR_H

#include <dari/arena.h>
#include <dari/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* opaque<>: in a decoded value `data` points into the message or into the arena (see `borrow`). */
typedef struct dari_opaque {
    uint32_t size;
    const uint8_t *data;
} dari_opaque;

/* string<> under --strings=span: not terminated, held like a dari_opaque. */
typedef struct dari_text {
    uint32_t size;
    const char *data;
} dari_text;

/* quadruple (RFC 4506, section 4.8): the bits of an IEEE 754 number of 128 bits. */
typedef struct dari_quadruple {
    uint64_t high;
    uint64_t low;
} dari_quadruple;

/* The budget of memory for one decoded message, unless it is set otherwise: 64 MiB. */
#define DARI_DECODE_BUDGET_DEFAULT ((size_t)64 << 20)
/* The depth to which values may nest through types that contain themselves. A list whose last
 * member points to its next node is read by a loop and costs no depth. */
#define DARI_DEPTH_DEFAULT 200u
/* Array elements that take no bytes on the wire, in one message. */
#define DARI_ZERO_WIDTH_MAX 4096u

/* What a decoder tolerates from peers that are not strict. Everything is refused by default. */
enum dari_accept {
    DARI_ACCEPT_ENUM = 1,     /* numbers that an enumeration does not declare; they are kept */
    DARI_ACCEPT_BOOL = 2,     /* booleans that are neither 0 nor 1; they are true */
    DARI_ACCEPT_PADDING = 4,  /* padding that is not zero; it is ignored */
    DARI_ACCEPT_NUL = 8,      /* zero bytes inside strings; char * then shows a shorter string */
    DARI_ACCEPT_TRAILING = 16 /* bytes after the value; they are ignored */
};

/* What is wrong with a value or a message. `error` is 0 where nothing is. */
typedef struct dari_fault {
    int error;         /* enum dari_error */
    const char *field; /* static: "entry.name", as the interface file names it */
    uint64_t offset;   /* decoding: byte of the message; encoding: 0 */
    int64_t found;     /* the length or number that is wrong, where there is one */
    int64_t allowed;   /* the limit, where there is one */
} dari_fault;

/* Describes a fault in words, at most `size` bytes with the terminator, and returns `text`:
 * "byte 24: entry.name: longer than the interface declares (300, at most 255)". */
char *dari_fault_text(const dari_fault *fault, char *text, size_t size);

/* Opaque data that lies elsewhere than in its message: `size` bytes at `data`, whose place is at
 * `at`. Encoding leaves it there; decoding may find it there. */
typedef struct dari_reference {
    uint8_t *at;
    const uint8_t *data;
    uint32_t size;
} dari_reference;

/* Less than that is always copied; and so is what comes after so many references. */
#define DARI_REFERENCE_MIN ((uint32_t)64 << 10)
#define DARI_REFERENCES_MAX 4u

typedef struct dari_references {
    uint32_t count;
    dari_reference items[DARI_REFERENCES_MAX]; /* in the order of their places */
} dari_references;

typedef struct dari_encoder {
    dari_fault fault;            /* the first fault that sizing found */
    uint32_t depth;              /* levels that may still be entered */
    dari_references *references; /* takes large opaque data, which is not copied then; NULL: all
                                    is written */
} dari_encoder;

typedef struct dari_decoder {
    const uint8_t *begin;     /* the message */
    const uint8_t *end;       /* the first byte after it */
    dari_arena *arena;        /* where decoded values live; NULL: values that need memory fail with
                                 DARI_INVALID */
    uint32_t accept;          /* enum dari_accept, or-ed together */
    uint32_t depth;           /* levels that may still be entered */
    uint32_t zero_width_left; /* array elements without bytes that may still come */
    bool borrow;              /* opaque data and spans point into the message, which must live as
                                 long as they are used; otherwise they are copied */
    dari_references *references; /* opaque data that lies elsewhere and was not met yet; or NULL */
    dari_fault fault;            /* the first fault */
} dari_decoder;

/* Makes an encoder ready, with the default depth. */
static inline void dari_encoder_init(dari_encoder *encoder)
{
    memset(encoder, 0, sizeof *encoder);
    encoder->depth = DARI_DEPTH_DEFAULT;
}

/* Makes a decoder of `size` bytes at `message` ready: strict, borrowing, default limits. The arena
 * may be NULL; it is allowed DARI_DECODE_BUDGET_DEFAULT bytes more than it holds. */
void dari_decoder_init(dari_decoder *decoder, const void *message, size_t size, dari_arena *arena);

/* Tells a decoder that is ready of opaque data that lies elsewhere, and not in its place. Values
 * point to that as to the rest of the message, all of which must live as long as they are used;
 * strings and spans are copied from there. The bytes may change at any time. What lies elsewhere
 * and is read as anything else is a fault (DARI_PROTOCOL), and nothing of the value is to be used.
 * Allowed where the decoder borrows. The references are used up. */
void dari_decoder_refer(dari_decoder *decoder, dari_references *references);

/* Ends decoding: `at` is what the last decode function returned. Returns 0 where the value was read
 * and nothing is left after it, otherwise the error, which is also in the fault. */
int dari_decoder_finish(dari_decoder *decoder, const uint8_t *at);

/* Record the first fault, whose offset is that of `at`; generated code returns what they return. */
int64_t dari_encode_fault(dari_encoder *encoder, int error, const char *field, int64_t found,
                          int64_t allowed);
const uint8_t *dari_decode_fault(dari_decoder *decoder, const uint8_t *at, int error,
                                 const char *field, int64_t found, int64_t allowed);

/* `size` rounded up to whole units of 4 bytes. */
static inline uint64_t dari_padded(uint32_t size)
{
    return ((uint64_t)size + 3) & ~(uint64_t)3;
}

/* The bytes of the message from `at` on. */
static inline size_t dari_left(const dari_decoder *decoder, const uint8_t *at)
{
    return (size_t)(decoder->end - at);
}

/* Numbers: big-endian, at any alignment, without any check. */

static inline uint32_t dari_swap_u32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static inline uint64_t dari_swap_u64(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

static inline void dari_put_u32(uint8_t *at, uint32_t value)
{
    value = dari_swap_u32(value);
    memcpy(at, &value, sizeof value);
}

static inline void dari_put_u64(uint8_t *at, uint64_t value)
{
    value = dari_swap_u64(value);
    memcpy(at, &value, sizeof value);
}

static inline void dari_put_i32(uint8_t *at, int32_t value)
{
    dari_put_u32(at, (uint32_t)value);
}

static inline void dari_put_i64(uint8_t *at, int64_t value)
{
    dari_put_u64(at, (uint64_t)value);
}

/* Floating-point numbers are moved as bits: a signalling NaN would change on its way through a
 * register of the x87. */
static inline void dari_put_float(uint8_t *at, const float *value)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    dari_put_u32(at, bits);
}

static inline void dari_put_double(uint8_t *at, const double *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    dari_put_u64(at, bits);
}

static inline void dari_put_quadruple(uint8_t *at, dari_quadruple value)
{
    dari_put_u64(at, value.high);
    dari_put_u64(at + 8, value.low);
}

static inline uint32_t dari_get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return dari_swap_u32(value);
}

static inline uint64_t dari_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return dari_swap_u64(value);
}

static inline int32_t dari_get_i32(const uint8_t *at)
{
    return (int32_t)dari_get_u32(at);
}

static inline int64_t dari_get_i64(const uint8_t *at)
{
    return (int64_t)dari_get_u64(at);
}

static inline void dari_get_float(const uint8_t *at, float *ret_value)
{
    uint32_t bits = dari_get_u32(at);
    memcpy(ret_value, &bits, sizeof bits);
}

static inline void dari_get_double(const uint8_t *at, double *ret_value)
{
    uint64_t bits = dari_get_u64(at);
    memcpy(ret_value, &bits, sizeof bits);
}

static inline dari_quadruple dari_get_quadruple(const uint8_t *at)
{
    dari_quadruple value;
    value.high = dari_get_u64(at);
    value.low = dari_get_u64(at + 8);
    return value;
}

/* Arrays of numbers between host order and big-endian, by the widest vectors that the processor
 * has. `out` and `in` may be equal, and must not overlap otherwise; any alignment. */
void dari_swap_array_u32(void *out, const void *in, size_t count);
void dari_swap_array_u64(void *out, const void *in, size_t count);

/* Sizes. Each of these checks a value and adds what it takes on the wire to a sum; where the value
 * is not valid, the sum becomes the error and the result is false. A sum beyond DARI_SIZE_MAX
 * becomes DARI_LIMIT with the next dari_add or dari_add_array; no single value comes near what is
 * left of the sum's range then. */

/* The largest size that a value may have: 2^62 bytes. */
#define DARI_SIZE_MAX ((int64_t)1 << 62)

/* Adds what another size function returned. */
static inline bool dari_add(int64_t *sum, int64_t part)
{
    *sum = part < 0 ? part : *sum + part;
    if (*sum > DARI_SIZE_MAX)
        *sum = DARI_LIMIT;
    return *sum >= 0;
}

/* Adds `bytes` and their length word, within the bound. */
static inline bool dari_add_bytes(dari_encoder *encoder, int64_t *sum, const void *data,
                                  size_t bytes, uint32_t bound, const char *field)
{
    if (!data && bytes) {
        *sum = dari_encode_fault(encoder, DARI_MISSING, field, 0, 0);
        return false;
    }
    if (bytes > bound) {
        *sum = dari_encode_fault(encoder, DARI_BOUND, field, (int64_t)bytes, bound);
        return false;
    }
    *sum += 4 + (int64_t)dari_padded((uint32_t)bytes);
    return true;
}

static inline bool dari_add_opaque(dari_encoder *encoder, int64_t *sum, dari_opaque value,
                                   uint32_t bound, const char *field)
{
    return dari_add_bytes(encoder, sum, value.data, value.size, bound, field);
}

static inline bool dari_add_string(dari_encoder *encoder, int64_t *sum, const char *value,
                                   uint32_t bound, const char *field)
{
    return dari_add_bytes(encoder, sum, value, value ? strlen(value) : 1, bound, field);
}

/* A span must not hold a zero byte, which no string<> may have. */
bool dari_add_text(dari_encoder *encoder, int64_t *sum, dari_text value, uint32_t bound,
                   const char *field);

/* Adds the length word of an array and `count` elements of `width` bytes each. */
static inline bool dari_add_array(dari_encoder *encoder, int64_t *sum, uint32_t count,
                                  const void *items, uint32_t bound, uint32_t width,
                                  const char *field)
{
    if (count > bound)
        return dari_add(sum, dari_encode_fault(encoder, DARI_BOUND, field, count, bound));
    if (!items && count)
        return dari_add(sum, dari_encode_fault(encoder, DARI_MISSING, field, 0, 0));
    return dari_add(sum, 4 + (int64_t)((uint64_t)count * width));
}

/* Opaque data and strings.
 *
 * The put functions write the length word, the bytes and the padding, and return the end. The get
 * functions read them at `at`, where the length word is known to be there; `following` is the
 * number of bytes that must come after in any case, so that one check covers both. They return the
 * end of the padding, or NULL. */

/* Writes `size` bytes and zero padding, without a length word: opaque[n]. */
uint8_t *dari_put_bytes(uint8_t *at, const void *data, uint32_t size);

/* The encoder may refer to the bytes instead of writing them. */
uint8_t *dari_put_opaque(dari_encoder *encoder, uint8_t *at, dari_opaque value);
uint8_t *dari_put_string(uint8_t *at, const char *value);
uint8_t *dari_put_text(uint8_t *at, dari_text value);

const uint8_t *dari_get_opaque(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                               uint32_t following, dari_opaque *ret_value, const char *field);
const uint8_t *dari_get_string(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                               uint32_t following, char **ret_value, const char *field);
const uint8_t *dari_get_text(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                             uint32_t following, dari_text *ret_value, const char *field);

/* Enters and leaves a type that contains itself. Entering is false at the limit of the depth. */
static inline bool dari_encoder_enter(dari_encoder *encoder, const char *field)
{
    if (!encoder->depth)
        return dari_encode_fault(encoder, DARI_DEPTH, field, 0, 0) >= 0;
    encoder->depth--;
    return true;
}

static inline bool dari_decoder_enter(dari_decoder *decoder, const uint8_t *at, const char *field)
{
    if (!decoder->depth)
        return dari_decode_fault(decoder, at, DARI_DEPTH, field, 0, 0) != NULL;
    decoder->depth--;
    return true;
}

/* Whether what is wrong at `at` is tolerated; otherwise records the fault. */
bool dari_accepts_enum(dari_decoder *decoder, const uint8_t *at, const char *field);
bool dari_accepts_bool(dari_decoder *decoder, const uint8_t *at, const char *field);

/* Reads `size` bytes of opaque[n] and checks the padding; the bytes must be there. False where the
 * padding is wrong. */
bool dari_get_bytes(dari_decoder *decoder, const uint8_t *at, uint8_t *ret_bytes, uint32_t size,
                    const char *field);

/* Records that the message has not the `needed` bytes at `at`. Returns NULL. */
const uint8_t *dari_truncated(dari_decoder *decoder, const uint8_t *at, uint64_t needed,
                              const char *field);

/* Takes memory for one value of `size` bytes, or records the fault and returns NULL. */
void *dari_take(dari_decoder *decoder, const uint8_t *at, size_t size, const char *field);

/* Takes memory for `count` elements of `element` bytes each, checking first that the message can
 * hold that many at `width` bytes at least (`width` 0: elements without bytes, which are counted).
 * Returns NULL and records the fault where it cannot. */
void *dari_take_array(dari_decoder *decoder, const uint8_t *at, uint32_t count, uint32_t bound,
                      uint32_t width, size_t element, const char *field);

/* The `struct netbuf` that interface files of rpcbind (RFC 1833) use without defining it, and its
 * codec. */
typedef struct dari_netbuf {
    uint32_t maxlen;
    dari_opaque buf;
} dari_netbuf;

static inline int64_t xdr_size_dari_netbuf(dari_encoder *encoder, const dari_netbuf *value)
{
    int64_t size = 4;
    dari_add_opaque(encoder, &size, value->buf, UINT32_MAX, "netbuf.buf");
    return size;
}

static inline uint8_t *xdr_encode_dari_netbuf(dari_encoder *encoder, uint8_t *at,
                                              const dari_netbuf *value)
{
    dari_put_u32(at, value->maxlen);
    return dari_put_opaque(encoder, at + 4, value->buf);
}

static inline const uint8_t *xdr_decode_dari_netbuf(dari_decoder *decoder, const uint8_t *at,
                                                    dari_netbuf *value)
{
    if (dari_left(decoder, at) < 8)
        return dari_truncated(decoder, at, 8, "netbuf.maxlen");
    value->maxlen = dari_get_u32(at);
    return dari_get_opaque(decoder, at + 4, UINT32_MAX, 0, &value->buf, "netbuf.buf");
}

#ifdef __cplusplus
}
#endif

#endif
