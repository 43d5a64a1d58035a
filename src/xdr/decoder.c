/* SPDX-License-Identifier: MIT */
/* Beginning, failing and ending: the parts of encoding and decoding that are not worth inlining. */
#include <dari/xdr.h>

#include <inttypes.h>
#include <stdio.h>

void dari_decoder_init(dari_decoder *decoder, const void *message, size_t size, dari_arena *arena)
{
    /* One by one, which takes half as many instructions. */
    decoder->begin = message;
    decoder->end = (const uint8_t *)message + size;
    decoder->arena = arena;
    decoder->accept = 0;
    decoder->depth = DARI_DEPTH_DEFAULT;
    decoder->zero_width_left = DARI_ZERO_WIDTH_MAX;
    decoder->borrow = true;
    decoder->references = NULL;
    decoder->fault = (dari_fault){0};
    if (arena)
        dari_arena_allow(arena, DARI_DECODE_BUDGET_DEFAULT);
}

/* So all that may lie elsewhere comes to dari_get_opaque and dari_get_text: what is inline borrows
 * by itself. */
void dari_decoder_refer(dari_decoder *decoder, dari_references *references)
{
    decoder->borrow = false;
    decoder->references = references;
}

/* What is wrong with the end of a value, if something is. */
static int check_end(dari_decoder *decoder, const uint8_t *at)
{
    if (decoder->references && decoder->references->count > 0)
        dari_decode_fault(decoder, decoder->references->items[0].at, DARI_PROTOCOL, NULL, 0, 0);
    if (at != decoder->end && !(decoder->accept & DARI_ACCEPT_TRAILING))
        dari_decode_fault(decoder, at, DARI_TRAILING, NULL, decoder->end - at, 0);
    return decoder->fault.error;
}

int dari_decoder_finish(dari_decoder *decoder, const uint8_t *at)
{
    if (at && (at != decoder->end || decoder->references))
        return check_end(decoder, at);
    return decoder->fault.error;
}

__attribute__((cold)) int64_t dari_encode_fault(dari_encoder *encoder, int error, const char *field,
                                                int64_t found, int64_t allowed)
{
    if (!encoder->fault.error)
        encoder->fault = (dari_fault){error, field, 0, found, allowed};
    return encoder->fault.error;
}

__attribute__((cold)) const uint8_t *dari_decode_fault(dari_decoder *decoder, const uint8_t *at,
                                                       int error, const char *field, int64_t found,
                                                       int64_t allowed)
{
    if (!decoder->fault.error) {
        uint64_t offset = (uint64_t)(at - decoder->begin);
        decoder->fault = (dari_fault){error, field, offset, found, allowed};
    }
    return NULL;
}

bool dari_accepts_enum(dari_decoder *decoder, const uint8_t *at, const char *field)
{
    if (decoder->accept & DARI_ACCEPT_ENUM)
        return true;
    return dari_decode_fault(decoder, at, DARI_ENUM, field, dari_get_i32(at), 0) != NULL;
}

bool dari_accepts_bool(dari_decoder *decoder, const uint8_t *at, const char *field)
{
    if (decoder->accept & DARI_ACCEPT_BOOL)
        return true;
    return dari_decode_fault(decoder, at, DARI_BOOL, field, dari_get_u32(at), 0) != NULL;
}

const uint8_t *dari_truncated(dari_decoder *decoder, const uint8_t *at, uint64_t needed,
                              const char *field)
{
    return dari_decode_fault(decoder, at, DARI_TRUNCATED, field, (int64_t)needed,
                             (int64_t)dari_left(decoder, at));
}

/* The numbers of a fault in parentheses, where they say something. */
static void numbers_text(const dari_fault *fault, char *text, size_t size)
{
    switch (fault->error) {
    case DARI_BOUND:
    case DARI_LIMIT:
        snprintf(text, size, " (%" PRId64 ", at most %" PRId64 ")", fault->found, fault->allowed);
        break;
    case DARI_TRUNCATED:
        snprintf(text, size, " (needs %" PRId64 " bytes, has %" PRId64 ")", fault->found,
                 fault->allowed);
        break;
    case DARI_TRAILING:
    case DARI_ENUM:
    case DARI_BOOL:
    case DARI_ARM:
    case DARI_RANGE:
    case DARI_BUDGET:
        snprintf(text, size, " (%" PRId64 ")", fault->found);
        break;
    default:
        *text = '\0';
    }
}

char *dari_fault_text(const dari_fault *fault, char *text, size_t size)
{
    char numbers[80];
    char place[32] = "";
    numbers_text(fault, numbers, sizeof numbers);
    if (fault->offset)
        snprintf(place, sizeof place, "byte %" PRIu64 ": ", fault->offset);
    snprintf(text, size, "%s%s%s%s%s", place, fault->field ? fault->field : "",
             fault->field ? ": " : "", dari_error_text(fault->error), numbers);
    return text;
}
