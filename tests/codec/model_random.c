/* SPDX-License-Identifier: MIT */
/* Random valid values of modelled types. Every piece of memory has exactly the size that it must
 * have, so that a sanitizer sees whoever reads past it. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

struct model_piece {
    struct model_piece *next;
    void *memory;
};

/* Values nest through pointers and arrays so deep, which decoders must take. */
#define DEPTH_MAX 100u

/* Lengths up to which an array may be as long as its bound allows. */
#define FULL_LENGTH_MAX 1100u

void model_random_seed(model_random *random, uint64_t seed)
{
    *random = (model_random){.state = seed * 0x9e3779b97f4a7c15u + 1};
}

/* splitmix64 */
uint64_t model_random_next(model_random *random)
{
    uint64_t value = random->state += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

uint32_t model_random_below(model_random *random, uint32_t limit)
{
    return (uint32_t)((model_random_next(random) >> 32) * limit >> 32);
}

void *model_random_take(model_random *random, size_t size)
{
    struct model_piece *piece = malloc(sizeof *piece);
    void *memory = calloc(1, size ? size : 1);
    if (!piece || !memory)
        abort();
    piece->memory = memory;
    piece->next = random->pieces;
    random->pieces = piece;
    return memory;
}

void model_random_free(model_random *random)
{
    for (struct model_piece *piece = random->pieces, *next; piece; piece = next) {
        next = piece->next;
        free(piece->memory);
        free(piece);
    }
    random->pieces = NULL;
}

static uint64_t random_floating(model_random *random, uint32_t width)
{
    static const uint64_t doubles[] = {
        0x0000000000000000, 0x8000000000000000,                     /* zeros */
        0x7ff0000000000000, 0xfff0000000000000,                     /* infinities */
        0x7ff8000000000001, 0x7ff0000000000001, 0xfff4deadbeef1234, /* NaNs, signalling ones too */
        0x0000000000000001, 0x7fefffffffffffff, 0x0010000000000000,
    };
    static const uint32_t floats[] = {
        0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00001,
        0x7f800001, 0xffa1b2c3, 0x00000001, 0x7f7fffff, 0x00800000,
    };
    if (model_random_below(random, 2))
        return model_random_next(random);
    uint32_t which = model_random_below(random, 10);
    return width == 8 ? doubles[which] : floats[which];
}

static uint64_t random_number(model_random *random, const model_type *type)
{
    if (type->is_floating)
        return random_floating(random, type->width);
    uint32_t bytes = type->size < type->width ? (uint32_t)type->size : type->width;
    uint64_t bits = model_random_next(random);
    switch (model_random_below(random, 6)) {
    case 0:
        bits = 0;
        break;
    case 1:
        bits = UINT64_MAX; /* -1, or the greatest */
        break;
    case 2:
        bits = UINT64_C(1) << (8 * bytes - 1); /* the least, where signed */
        break;
    case 3:
        bits = (UINT64_C(1) << (8 * bytes - 1)) - 1;
        break;
    default:
        break;
    }
    uint32_t unused = 64 - 8 * bytes;
    return type->is_signed ? (uint64_t)((int64_t)(bits << unused) >> unused)
                           : bits << unused >> unused;
}

static uint32_t random_enumerator(model_random *random, const model_type *type)
{
    return (uint32_t)type->values[model_random_below(random, (uint32_t)type->value_count)];
}

static uint32_t random_count(model_random *random, const model_type *type)
{
    if (random->parts_left <= 0 || random->depth >= DEPTH_MAX)
        return 0;
    uint32_t most = type->bound;
    bool bytes = type->kind != MODEL_VARIABLE;
    int64_t affordable = bytes ? 4 * random->parts_left : random->parts_left;
    if (most > affordable)
        most = (uint32_t)affordable;
    if (type->kind == MODEL_VARIABLE && model_minimum(type->element) == 0 &&
        most > random->zero_width_left)
        most = random->zero_width_left;
    uint32_t small = most < 9 ? most : 9;
    switch (model_random_below(random, 8)) {
    case 0:
        return 0;
    case 1:
        return most <= FULL_LENGTH_MAX ? most : FULL_LENGTH_MAX;
    case 2:
        return model_random_below(random, (most <= 300 ? most : 300) + 1);
    default:
        return model_random_below(random, small + 1);
    }
}

static void fill(model_random *random, const model_type *type, void *value);

static void fill_text(model_random *random, uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)(1 + model_random_below(random, 255));
}

static void fill_bytes(model_random *random, uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)model_random_next(random);
}

static void fill_counted(model_random *random, const model_type *type, uint8_t *value)
{
    uint32_t count = random_count(random, type);
    uint8_t *data;
    if (type->kind == MODEL_VARIABLE) {
        random->parts_left -= count;
        if (model_minimum(type->element) == 0)
            random->zero_width_left -= count;
        data = model_random_take(random, count * type->element->size);
        random->depth++;
        for (uint32_t i = 0; i < count; i++)
            fill(random, type->element, data + i * type->element->size);
        random->depth--;
    } else {
        random->parts_left -= 1 + count / 16;
        data = model_random_take(random, count + (type->kind == MODEL_STRING));
        if (type->kind == MODEL_OPAQUE)
            fill_bytes(random, data, count);
        else
            fill_text(random, data, count);
    }
    if (type->kind == MODEL_STRING) {
        memcpy(value, &data, sizeof data);
        return;
    }
    memcpy(value, &count, sizeof count);
    memcpy(value + MODEL_POINTER_OFFSET, &data, sizeof data);
}

static void fill_optional(model_random *random, const model_type *type, uint8_t *value)
{
    void *pointer = NULL;
    if (random->parts_left > 0 && random->depth < DEPTH_MAX && model_random_below(random, 4)) {
        random->parts_left--;
        random->depth++;
        pointer = model_random_take(random, type->element->size);
        fill(random, type->element, pointer);
        random->depth--;
    }
    memcpy(value, &pointer, sizeof pointer);
}

/* A discriminant that takes the default arm. False: it has found none. */
static bool default_discriminant(model_random *random, const model_type *type, uint32_t *ret_bits)
{
    const model_type *discriminant = type->members[0].type;
    for (int tries = 0; tries < 64; tries++) {
        uint32_t bits;
        if (discriminant->kind == MODEL_ENUM)
            bits = random_enumerator(random, discriminant);
        else if (discriminant->kind == MODEL_BOOL)
            bits = model_random_below(random, 2);
        else
            bits = (uint32_t)random_number(random, discriminant);
        if (model_find_arm(type, bits) == type->default_arm) {
            *ret_bits = bits;
            return true;
        }
    }
    return false;
}

static void fill_union(model_random *random, const model_type *type, uint8_t *value)
{
    uint32_t bits = 0;
    bool found = false;
    if (type->default_arm && model_random_below(random, (uint32_t)type->arm_count + 1) == 0)
        found = default_discriminant(random, type, &bits);
    if (!found && type->arm_count)
        bits = type->arms[model_random_below(random, (uint32_t)type->arm_count)].value;
    const model_member *discriminant = &type->members[0];
    model_store(discriminant->type, value + discriminant->offset, bits);
    const model_arm *arm = model_find_arm(type, bits);
    if (arm && arm->member.type)
        fill(random, arm->member.type, value + arm->member.offset);
}

static void fill(model_random *random, const model_type *type, void *value)
{
    uint8_t *at = value;
    uint64_t quadruple[2];
    switch (type->kind) {
    case MODEL_VOID:
        break;
    case MODEL_NUMBER:
        model_store(type, value, random_number(random, type));
        break;
    case MODEL_BOOL:
        model_store(type, value, model_random_below(random, 2));
        break;
    case MODEL_ENUM:
        model_store(type, value, random_enumerator(random, type));
        break;
    case MODEL_QUADRUPLE:
        quadruple[0] = model_random_next(random);
        quadruple[1] = model_random_next(random);
        memcpy(value, quadruple, sizeof quadruple);
        break;
    case MODEL_STRUCT:
        for (size_t i = 0; i < type->member_count; i++)
            fill(random, type->members[i].type, at + type->members[i].offset);
        break;
    case MODEL_UNION:
        fill_union(random, type, at);
        break;
    case MODEL_FIXED:
        for (uint32_t i = 0; i < type->bound; i++)
            fill(random, type->element, at + i * type->element->size);
        break;
    case MODEL_OPTIONAL:
        fill_optional(random, type, at);
        break;
    case MODEL_BYTES:
        fill_bytes(random, at, type->bound);
        break;
    case MODEL_VARIABLE:
    case MODEL_OPAQUE:
    case MODEL_STRING:
    case MODEL_TEXT:
        fill_counted(random, type, at);
        break;
    }
}

void model_random_fill(model_random *random, const model_type *type, void *value, int64_t parts)
{
    random->parts_left = parts;
    random->zero_width_left = 64;
    fill(random, type, value);
}
