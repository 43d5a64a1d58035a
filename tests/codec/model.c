/* SPDX-License-Identifier: MIT */
/* What both the renderer and the judge need to know of a model, and the second encoder. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

uint64_t model_load(const model_type *type, const void *at)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (type->size) {
    case 1:
        memcpy(&u8, at, 1);
        return type->is_signed ? (uint64_t)(int8_t)u8 : u8;
    case 2:
        memcpy(&u16, at, 2);
        return type->is_signed ? (uint64_t)(int16_t)u16 : u16;
    case 4:
        memcpy(&u32, at, 4);
        return type->is_signed ? (uint64_t)(int32_t)u32 : u32;
    default:
        memcpy(&u64, at, 8);
        return u64;
    }
}

void model_store(const model_type *type, void *at, uint64_t bits)
{
    uint8_t u8 = (uint8_t)bits;
    uint16_t u16 = (uint16_t)bits;
    uint32_t u32 = (uint32_t)bits;
    switch (type->size) {
    case 1:
        memcpy(at, &u8, 1);
        break;
    case 2:
        memcpy(at, &u16, 2);
        break;
    case 4:
        memcpy(at, &u32, 4);
        break;
    default:
        memcpy(at, &bits, 8);
    }
}

bool model_declares(const model_type *type, int32_t value)
{
    for (size_t i = 0; i < type->value_count; i++)
        if (type->values[i] == value)
            return true;
    return false;
}

const model_arm *model_find_arm(const model_type *type, uint32_t discriminant)
{
    for (size_t i = 0; i < type->arm_count; i++)
        if (type->arms[i].value == discriminant)
            return &type->arms[i];
    return type->default_arm;
}

uint64_t model_minimum(const model_type *type)
{
    uint64_t sum = 0;
    uint64_t least = UINT64_MAX;
    switch (type->kind) {
    case MODEL_VOID:
        return 0;
    case MODEL_NUMBER:
        return type->width;
    case MODEL_QUADRUPLE:
        return 16;
    case MODEL_STRUCT:
        for (size_t i = 0; i < type->member_count; i++)
            sum += model_minimum(type->members[i].type);
        return sum;
    case MODEL_UNION:
        for (size_t i = 0; i < type->arm_count + (type->default_arm != NULL); i++) {
            const model_arm *arm = i < type->arm_count ? &type->arms[i] : type->default_arm;
            uint64_t minimum = arm->member.type ? model_minimum(arm->member.type) : 0;
            least = minimum < least ? minimum : least;
        }
        return 4 + least;
    case MODEL_FIXED:
        return type->bound * model_minimum(type->element);
    case MODEL_BYTES:
        return ((uint64_t)type->bound + 3) & ~(uint64_t)3;
    default:
        return 4;
    }
}

static uint8_t *append(model_rendering *rendering, size_t size)
{
    if (!rendering->bytes || rendering->size + size > rendering->room) {
        size_t room = 2 * rendering->room + size + 256;
        uint8_t *bytes = realloc(rendering->bytes, room);
        if (!bytes)
            abort();
        rendering->bytes = bytes;
        rendering->room = room;
    }
    uint8_t *at = rendering->bytes + rendering->size;
    memset(at, 0, size);
    rendering->size += size;
    return at;
}

static void mark(model_rendering *rendering, model_mark_kind kind, size_t size,
                 const model_type *type, const char *field, const void *address)
{
    if (rendering->mark_count == rendering->mark_room) {
        size_t room = 2 * rendering->mark_room + 64;
        model_mark *marks = realloc(rendering->marks, room * sizeof *marks);
        if (!marks)
            abort();
        rendering->marks = marks;
        rendering->mark_room = room;
    }
    rendering->marks[rendering->mark_count++] = (model_mark){
        .kind = kind,
        .offset = rendering->size,
        .size = size,
        .type = type,
        .field = field,
        .address = (void *)(uintptr_t)address,
    };
}

static void append_number(model_rendering *rendering, uint64_t bits, uint32_t width)
{
    uint8_t *at = append(rendering, width);
    for (uint32_t i = 0; i < width; i++)
        at[i] = (uint8_t)(bits >> 8 * (width - 1 - i));
}

static void render(model_rendering *rendering, const model_type *type, const char *field,
                   const void *value);

static void render_word(model_rendering *rendering, model_mark_kind kind, const model_type *type,
                        const char *field, const void *address, uint32_t bits)
{
    mark(rendering, kind, 4, type, field, address);
    append_number(rendering, bits, 4);
}

static void render_bytes(model_rendering *rendering, const model_type *type, const char *field,
                         const void *data, size_t size)
{
    if (size) {
        mark(rendering, MARK_DATA, size, type, field, data);
        memcpy(append(rendering, size), data, size);
    }
    size_t padding = -size & 3;
    if (padding) {
        mark(rendering, MARK_PADDING, padding, type, field, NULL);
        append(rendering, padding);
    }
}

/* {count, pointer} of arrays, opaque data and texts. */
static void render_counted(model_rendering *rendering, const model_type *type, const char *field,
                           const void *value)
{
    uint32_t count;
    const uint8_t *data;
    memcpy(&count, value, sizeof count);
    memcpy(&data, (const uint8_t *)value + MODEL_POINTER_OFFSET, sizeof data);
    rendering->failed |= count > type->bound || (count && !data);
    render_word(rendering, MARK_LENGTH, type, field, value, count);
    if (!data)
        return;
    if (type->kind != MODEL_VARIABLE) {
        if (type->kind == MODEL_TEXT && count)
            rendering->failed |= memchr(data, 0, count) != NULL;
        render_bytes(rendering, type, field, data, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        render(rendering, type->element, field, data + i * type->element->size);
}

static void render_union(model_rendering *rendering, const model_type *type, const uint8_t *value)
{
    const model_member *discriminant = &type->members[0];
    uint32_t bits = (uint32_t)model_load(discriminant->type, value + discriminant->offset);
    if (discriminant->type->kind == MODEL_ENUM)
        rendering->failed |= !model_declares(discriminant->type, (int32_t)bits);
    if (discriminant->type->kind == MODEL_BOOL)
        rendering->failed |= bits > 1;
    render_word(rendering, MARK_DISCRIMINANT, type, discriminant->field,
                value + discriminant->offset, bits);
    const model_arm *arm = model_find_arm(type, bits);
    rendering->failed |= !arm;
    if (arm && arm->member.type)
        render(rendering, arm->member.type, arm->member.field, value + arm->member.offset);
}

static void render_string(model_rendering *rendering, const model_type *type, const char *field,
                          const void *value)
{
    const char *text;
    memcpy(&text, value, sizeof text);
    size_t size = text ? strlen(text) : 0;
    rendering->failed |= !text || size > type->bound;
    render_word(rendering, MARK_LENGTH, type, field, value, (uint32_t)size);
    if (text)
        render_bytes(rendering, type, field, text, size);
}

static void render_number(model_rendering *rendering, const model_type *type, const char *field,
                          const void *value)
{
    uint64_t bits = model_load(type, value);
    if (type->width == 4 && type->size == 8 && !type->is_loose)
        rendering->failed |= type->is_signed ? bits != (uint64_t)(int32_t)bits : bits >> 32 != 0;
    mark(rendering, MARK_NUMBER, type->width, type, field, value);
    append_number(rendering, bits, type->width);
}

static void render_present(model_rendering *rendering, const model_type *type, const char *field,
                           const void *value)
{
    const void *pointer;
    memcpy(&pointer, value, sizeof pointer);
    render_word(rendering, MARK_PRESENT, type, field, value, pointer != NULL);
    if (pointer)
        render(rendering, type->element, field, pointer);
}

static void render(model_rendering *rendering, const model_type *type, const char *field,
                   const void *value)
{
    const uint8_t *at = value;
    uint32_t bits;
    uint64_t quadruple[2];
    switch (type->kind) {
    case MODEL_VOID:
        break;
    case MODEL_NUMBER:
        render_number(rendering, type, field, value);
        break;
    case MODEL_BOOL:
        bits = (uint32_t)model_load(type, value);
        rendering->failed |= bits > 1;
        render_word(rendering, MARK_BOOL, type, field, value, bits);
        break;
    case MODEL_ENUM:
        bits = (uint32_t)model_load(type, value);
        rendering->failed |= !model_declares(type, (int32_t)bits);
        render_word(rendering, MARK_ENUM, type, field, value, bits);
        break;
    case MODEL_QUADRUPLE:
        memcpy(quadruple, value, sizeof quadruple);
        mark(rendering, MARK_NUMBER, 16, type, field, value);
        append_number(rendering, quadruple[0], 8);
        append_number(rendering, quadruple[1], 8);
        break;
    case MODEL_STRUCT:
        for (size_t i = 0; i < type->member_count; i++)
            render(rendering, type->members[i].type, type->members[i].field,
                   at + type->members[i].offset);
        break;
    case MODEL_UNION:
        render_union(rendering, type, at);
        break;
    case MODEL_FIXED:
        for (uint32_t i = 0; i < type->bound; i++)
            render(rendering, type->element, field, at + i * type->element->size);
        break;
    case MODEL_OPTIONAL:
        render_present(rendering, type, field, value);
        break;
    case MODEL_BYTES:
        render_bytes(rendering, type, field, value, type->bound);
        break;
    case MODEL_STRING:
        render_string(rendering, type, field, value);
        break;
    case MODEL_VARIABLE:
    case MODEL_OPAQUE:
    case MODEL_TEXT:
        render_counted(rendering, type, field, value);
        break;
    }
}

bool model_render(model_rendering *rendering, const model_type *type, const void *value)
{
    rendering->size = 0;
    rendering->mark_count = 0;
    rendering->failed = false;
    append(rendering, 0); /* there are bytes, even of a value without any */
    render(rendering, type, NULL, value);
    return !rendering->failed;
}

void model_rendering_free(model_rendering *rendering)
{
    free(rendering->bytes);
    free(rendering->marks);
    *rendering = (model_rendering){0};
}
