/* SPDX-License-Identifier: MIT */
/* The second decoder: says whether a message begins with a valid value, and keeps nothing. */
#include "model.h"

#include <dari/error.h>

#include <string.h>

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    int error;
} reader;

static bool fail(reader *cursor, int error)
{
    if (!cursor->error)
        cursor->error = error;
    return false;
}

static bool skip(reader *cursor, uint64_t size)
{
    if (size > (uint64_t)(cursor->end - cursor->at))
        return fail(cursor, DARI_TRUNCATED);
    cursor->at += size;
    return true;
}

static bool word(reader *cursor, uint32_t *ret_bits)
{
    const uint8_t *at = cursor->at;
    if (!skip(cursor, 4))
        return false;
    *ret_bits = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return true;
}

static bool bytes(reader *cursor, uint32_t size, bool text)
{
    const uint8_t *at = cursor->at;
    if (!skip(cursor, ((uint64_t)size + 3) & ~(uint64_t)3))
        return false;
    if (text && memchr(at, 0, size))
        return fail(cursor, DARI_NUL);
    for (const uint8_t *padding = at + size; padding < cursor->at; padding++)
        if (*padding)
            return fail(cursor, DARI_PADDING);
    return true;
}

static bool judge(reader *cursor, const model_type *type);

static bool judge_discriminant(reader *cursor, const model_type *type, uint32_t bits)
{
    if (type->kind == MODEL_BOOL && bits > 1)
        return fail(cursor, DARI_BOOL);
    if (type->kind == MODEL_ENUM && !model_declares(type, (int32_t)bits))
        return fail(cursor, DARI_ENUM);
    return true;
}

static bool judge_union(reader *cursor, const model_type *type)
{
    uint32_t bits;
    if (!word(cursor, &bits) || !judge_discriminant(cursor, type->members[0].type, bits))
        return false;
    const model_arm *arm = model_find_arm(type, bits);
    if (!arm)
        return fail(cursor, DARI_ARM);
    return !arm->member.type || judge(cursor, arm->member.type);
}

static bool judge_counted(reader *cursor, const model_type *type)
{
    uint32_t count;
    if (!word(cursor, &count))
        return false;
    if (count > type->bound)
        return fail(cursor, DARI_BOUND);
    if (type->kind != MODEL_VARIABLE)
        return bytes(cursor, count, type->kind != MODEL_OPAQUE);
    uint64_t width = model_minimum(type->element);
    if (width && count > (uint64_t)(cursor->end - cursor->at) / width)
        return fail(cursor, DARI_TRUNCATED);
    for (uint32_t i = 0; width && i < count; i++)
        if (!judge(cursor, type->element))
            return false;
    return true;
}

static bool judge_number(reader *cursor, const model_type *type)
{
    uint32_t bits;
    if (type->size >= type->width)
        return skip(cursor, type->width);
    if (!word(cursor, &bits))
        return false;
    uint32_t unused = 32 - 8 * (uint32_t)type->size;
    uint32_t kept = type->is_signed ? (uint32_t)((int32_t)(bits << unused) >> unused)
                                    : bits << unused >> unused;
    return kept == bits || fail(cursor, DARI_RANGE);
}

static bool judge(reader *cursor, const model_type *type)
{
    uint32_t bits;
    switch (type->kind) {
    case MODEL_VOID:
        return true;
    case MODEL_NUMBER:
        return judge_number(cursor, type);
    case MODEL_BOOL:
    case MODEL_ENUM:
        return word(cursor, &bits) && judge_discriminant(cursor, type, bits);
    case MODEL_QUADRUPLE:
        return skip(cursor, 16);
    case MODEL_STRUCT:
        for (size_t i = 0; i < type->member_count; i++)
            if (!judge(cursor, type->members[i].type))
                return false;
        return true;
    case MODEL_UNION:
        return judge_union(cursor, type);
    case MODEL_FIXED:
        for (uint32_t i = 0; i < type->bound; i++)
            if (!judge(cursor, type->element))
                return false;
        return true;
    case MODEL_OPTIONAL:
        if (!word(cursor, &bits))
            return false;
        if (bits > 1)
            return fail(cursor, DARI_BOOL);
        return !bits || judge(cursor, type->element);
    case MODEL_BYTES:
        return bytes(cursor, type->bound, false);
    case MODEL_VARIABLE:
    case MODEL_OPAQUE:
    case MODEL_STRING:
    case MODEL_TEXT:
        return judge_counted(cursor, type);
    }
    return false;
}

int64_t model_judge(const model_type *type, const uint8_t *message, size_t size)
{
    reader cursor = {.at = message, .end = message + size};
    if (!judge(&cursor, type))
        return cursor.error;
    return cursor.at - message;
}
