/* SPDX-License-Identifier: MIT */
/* A model of the types of an interface file: what emit-model writes about each of them, so that the
 * codec tests can make values, look into them and know their bytes without the code under test.
 *
 * A model says where a value's parts lie in memory (by the names in the generated header) and what
 * they are on the wire. model_render is a second, slow encoder on top of it, model_judge a second
 * decoder that keeps nothing. Both share no code with src/xdr and src/gen. */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum model_kind {
    MODEL_VOID,
    MODEL_NUMBER, /* integers and floating point: `width` bytes on the wire */
    MODEL_BOOL,
    MODEL_ENUM,
    MODEL_QUADRUPLE,
    MODEL_STRUCT,
    MODEL_UNION,    /* members[0] is the discriminant */
    MODEL_FIXED,    /* bound elements in a row */
    MODEL_VARIABLE, /* {count, pointer} */
    MODEL_OPTIONAL, /* pointer or NULL */
    MODEL_BYTES,    /* opaque[bound] in place */
    MODEL_OPAQUE,   /* {size, pointer} */
    MODEL_STRING,   /* char *, terminated */
    MODEL_TEXT      /* {size, pointer}, not terminated */
} model_kind;

typedef struct model_type model_type;

typedef struct model_member {
    const char *name;
    const char *field; /* what a fault calls it: "entry.name" */
    const model_type *type;
    size_t offset;
} model_member;

typedef struct model_arm {
    uint32_t value;
    model_member member; /* type NULL: void */
} model_arm;

struct model_type {
    model_kind kind;
    const char *name; /* NULL: has none */
    size_t size;      /* in memory */
    uint32_t width;   /* MODEL_NUMBER: bytes on the wire */
    bool is_signed;   /* MODEL_NUMBER */
    bool is_floating; /* MODEL_NUMBER */
    bool is_loose;    /* MODEL_NUMBER: only the low bits count, the others are left to chance */
    uint32_t bound;   /* most bytes or elements; the number of them where it is fixed */
    const model_type *element;
    const model_member *members;
    size_t member_count;
    const model_arm *arms;
    size_t arm_count;
    const model_arm *default_arm;
    const int32_t *values; /* MODEL_ENUM */
    size_t value_count;
};

/* Where the pointer lies in {count, pointer}: the same on every machine. */
#define MODEL_POINTER_OFFSET (sizeof(void *))

/* What stands at some place of a rendered value. */
typedef enum model_mark_kind {
    MARK_NUMBER,
    MARK_LENGTH, /* of opaque, string, array */
    MARK_ENUM,
    MARK_BOOL,
    MARK_PRESENT, /* the word before an optional value */
    MARK_DISCRIMINANT,
    MARK_PADDING,
    MARK_DATA /* the bytes of opaque data or a string */
} model_mark_kind;

typedef struct model_mark {
    model_mark_kind kind;
    size_t offset; /* in the bytes */
    size_t size;
    const model_type
        *type;         /* of a length: the array, string or opaque; of a discriminant: the union */
    const char *field; /* the member that it belongs to; NULL in a type without members */
    void *address;     /* in the value; NULL where there is none */
} model_mark;

typedef struct model_rendering {
    uint8_t *bytes;
    size_t size;
    size_t room;
    model_mark *marks;
    size_t mark_count;
    size_t mark_room;
    bool failed; /* memory ran out, or the value is none of its type */
} model_rendering;

/* Writes the bytes of a value, with marks. Start with a zeroed one, or one that was freed. Returns
 * whether the value is valid; what is not gets bytes nevertheless, so that it can be sent. */
bool model_render(model_rendering *rendering, const model_type *type, const void *value);
void model_rendering_free(model_rendering *rendering);

/* Reads a message and returns the bytes that a value takes at its beginning, or a negative enum
 * dari_error. Knows no limits but the declared bounds. */
int64_t model_judge(const model_type *type, const uint8_t *message, size_t size);

/* The fewest bytes that a value takes. */
uint64_t model_minimum(const model_type *type);

/* Random values. The memory that a value points to lives until model_random_free. */
typedef struct model_random {
    uint64_t state;
    struct model_piece *pieces;
    int64_t parts_left; /* once they are used up, arrays and optional values stay empty */
    uint32_t zero_width_left;
    uint32_t depth;
} model_random;

#define MODEL_PARTS_DEFAULT 400

void model_random_seed(model_random *random, uint64_t seed);
uint64_t model_random_next(model_random *random);
uint32_t model_random_below(model_random *random, uint32_t limit);

/* Takes zeroed memory of exactly `size` bytes. Exits where there is none. */
void *model_random_take(model_random *random, size_t size);

/* Makes a value. `parts` limits how much is in it. */
void model_random_fill(model_random *random, const model_type *type, void *value, int64_t parts);
void model_random_free(model_random *random);

/* Reads and writes a number as its bits on the wire, extended to 64. */
uint64_t model_load(const model_type *type, const void *at);
void model_store(const model_type *type, void *at, uint64_t bits);

/* Whether an enumeration has a value. */
bool model_declares(const model_type *type, int32_t value);
/* The arm of a union for a discriminant, its default arm, or NULL. */
const model_arm *model_find_arm(const model_type *type, uint32_t discriminant);

#endif
