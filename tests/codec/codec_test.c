/* SPDX-License-Identifier: MIT */
/* What must hold for every type of every interface file: values go round, and whatever is wrong
 * with a message or a value is found and nothing more happens. Linked with one file's codecs and
 * table.
 *
 * CODEC_SEED chooses the random values (printed; 1), CODEC_ROUNDS how many of them each type gets;
 * DARI_LONG makes them thousands. */
#include "codec.h"
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_DEFAULT (getenv("DARI_LONG") ? 5000 : 100)
#define SAMPLES 3 /* messages of each type that are damaged */
#define SAMPLE_PARTS 24
#define SAMPLE_SIZE_MAX 1200u
#define MESSAGE_SIZE_MAX ((size_t)4 << 20)
/* An optional value's memory is taken before its bytes are looked for. */
#define BUDGET_CONSTANT ((size_t)4096)

/* One type at work. */
typedef struct codec_trial {
    const codec_entry *codec;
    uint64_t seed;
    model_random random;
    void *value;
    model_rendering bytes; /* of the value, as the model says */
    model_rendering again; /* of a decoded value */
    void *decoded;
    dari_arena arena;
    guard in;
    guard out;
} codec_trial;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

#define FAIL(trial, ...)                                                                           \
    do {                                                                                           \
        fprintf(stderr, "%s: %s, seed %" PRIu64 ": ", codec_under_test.name, (trial)->codec->name, \
                (trial)->seed);                                                                    \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        fail();                                                                                    \
    } while (0)

static void open_trial(codec_trial *trial, const codec_entry *codec)
{
    memset(trial, 0, sizeof *trial);
    trial->codec = codec;
    guard_open(&trial->in, MESSAGE_SIZE_MAX);
    guard_open(&trial->out, MESSAGE_SIZE_MAX);
    trial->decoded = malloc(codec->size_in_memory);
    assert_non_null(trial->decoded);
}

static void close_trial(codec_trial *trial)
{
    model_random_free(&trial->random);
    model_rendering_free(&trial->bytes);
    model_rendering_free(&trial->again);
    dari_arena_end(&trial->arena);
    guard_close(&trial->in);
    guard_close(&trial->out);
    free(trial->decoded);
}

/* Makes the `round`-th random value. */
static void make_value(codec_trial *trial, uint64_t round, int64_t parts)
{
    model_random_free(&trial->random);
    trial->seed = setting("CODEC_SEED", 1) * 1000003u + round;
    model_random_seed(&trial->random, trial->seed);
    trial->value = model_random_take(&trial->random, trial->codec->size_in_memory);
    model_random_fill(&trial->random, trial->codec->type, trial->value, parts);
    if (!model_render(&trial->bytes, trial->codec->type, trial->value))
        FAIL(trial, "the model finds its own value invalid");
}

/* What a message of this size may take by the type's stated ratio. */
static size_t budget_for(const codec_trial *trial, size_t size)
{
    return (size_t)(trial->codec->ratio * (double)size) + BUDGET_CONSTANT;
}

/* Decodes the message that guard_copy placed in trial->in. Returns the error. */
static int decode(codec_trial *trial, const uint8_t *message, size_t size, uint32_t accept,
                  bool borrow, dari_fault *ret_fault)
{
    dari_decoder decoder;
    dari_arena_reset(&trial->arena);
    dari_decoder_init(&decoder, message, size, &trial->arena);
    dari_arena_allow(&trial->arena, budget_for(trial, size));
    decoder.accept = accept;
    decoder.borrow = borrow;
    memset(trial->decoded, 0x5a, trial->codec->size_in_memory);
    const uint8_t *at = trial->codec->decode(&decoder, message, trial->decoded);
    if ((at == NULL) != (decoder.fault.error != 0))
        FAIL(trial, "decode returned %p with fault %d", (const void *)at, decoder.fault.error);
    if (at && (at < message || at > message + size))
        FAIL(trial, "decode ended outside the message");
    int error = dari_decoder_finish(&decoder, at);
    if (error && (error > DARI_TRUNCATED || error < DARI_DEPTH) && error != DARI_LIMIT)
        FAIL(trial, "decoding answers %s", dari_error_name(error));
    if (error == DARI_BUDGET)
        FAIL(trial, "%zu bytes need more than the type's ratio of memory", size);
    if (decoder.fault.offset > size)
        FAIL(trial, "the fault lies at byte %" PRIu64 " of %zu", decoder.fault.offset, size);
    *ret_fault = decoder.fault;
    return error;
}

static void for_each_codec(void (*check)(codec_trial *trial))
{
    for (size_t i = 0; i < codec_under_test.count; i++) {
        codec_trial trial;
        open_trial(&trial, &codec_under_test.codecs[i]);
        check(&trial);
        close_trial(&trial);
    }
}

/* Sizes and encodes the value into trial->out and compares with the model's bytes. */
static void encode_value(codec_trial *trial)
{
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    size_t size = trial->bytes.size;
    int64_t said = trial->codec->size(&encoder, trial->value);
    if (said != (int64_t)size)
        FAIL(trial, "size is %" PRId64 ", should be %zu", said, size);
    if (encoder.fault.error || encoder.depth != DARI_DEPTH_DEFAULT)
        FAIL(trial, "sizing leaves fault %d, depth %u", encoder.fault.error, encoder.depth);
    uint8_t *at = guard_place(&trial->out, size);
    memset(at, 0x77, size);
    if (trial->codec->encode(&encoder, at, trial->value) != at + size)
        FAIL(trial, "encode wrote another size than it said");
    if (!guard_intact(&trial->out, size))
        FAIL(trial, "encode wrote before its room");
    for (size_t i = 0; i < size; i++)
        if (at[i] != trial->bytes.bytes[i])
            FAIL(trial, "byte %zu of %zu is %02x, should be %02x", i, size, at[i],
                 trial->bytes.bytes[i]);
}

static void check_round_trip(codec_trial *trial)
{
    uint64_t rounds = setting("CODEC_ROUNDS", ROUNDS_DEFAULT);
    for (uint64_t round = 0; round < rounds; round++) {
        dari_fault fault;
        make_value(trial, round, MODEL_PARTS_DEFAULT);
        encode_value(trial);
        size_t size = trial->bytes.size;
        const uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, size);
        int error = decode(trial, message, size, 0, round & 1, &fault);
        if (error) {
            char text[256];
            FAIL(trial, "a valid message is refused: %s", dari_fault_text(&fault, text, 256));
        }
        if (!(round & 1)) /* nothing may be borrowed */
            memset(guard_place(&trial->in, size), 0xee, size);
        if (!model_render(&trial->again, trial->codec->type, trial->decoded) ||
            trial->again.size != size || memcmp(trial->again.bytes, trial->bytes.bytes, size) != 0)
            FAIL(trial, "the decoded value is another one");
    }
}

static void every_value_goes_round(void **state)
{
    (void)state;
    fprintf(stderr, "# %s: seed %" PRIu64 "\n", codec_under_test.name, setting("CODEC_SEED", 1));
    for_each_codec(check_round_trip);
}

/* Makes the `index`-th message to damage: the smallest first. False: the type has none so small. */
static bool make_sample(codec_trial *trial, unsigned index)
{
    for (uint64_t round = 0; round < 20; round++) {
        make_value(trial, 500 + 100 * index + round, 1 + index * SAMPLE_PARTS);
        if (trial->bytes.size <= SAMPLE_SIZE_MAX)
            return true;
    }
    return false;
}

static void check_truncation(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++)
        for (size_t size = 0; size < trial->bytes.size; size++) {
            dari_fault fault;
            const uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, size);
            int error = decode(trial, message, size, 0, sample & 1, &fault);
            if (error != DARI_TRUNCATED)
                FAIL(trial, "%zu of %zu bytes: %s", size, trial->bytes.size,
                     error ? dari_error_name(error) : "accepted");
        }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for_each_codec(check_truncation);
}

/* Decodes a damaged message and compares the verdict with the judge's. */
static void check_damaged(codec_trial *trial, const uint8_t *message, size_t size, size_t where)
{
    dari_fault fault;
    int64_t verdict = model_judge(trial->codec->type, message, size);
    bool valid = verdict == (int64_t)size;
    int error = decode(trial, message, size, 0, where & 1, &fault);
    if (error == DARI_LIMIT || error == DARI_DEPTH)
        return;
    if (valid != (error == 0))
        FAIL(trial, "byte %zu is %02x: %s, should be %s", where, message[where],
             dari_error_name(error), dari_error_name(verdict < 0 ? (int)verdict : DARI_TRAILING));
    if (valid && (!model_render(&trial->again, trial->codec->type, trial->decoded) ||
                  trial->again.size != size || memcmp(trial->again.bytes, message, size) != 0))
        FAIL(trial, "byte %zu is %02x: decoded as another value", where, message[where]);
}

static void check_corruption(codec_trial *trial)
{
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0xff};
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++) {
        size_t size = trial->bytes.size;
        uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, size);
        for (size_t i = 0; i < size; i++) {
            uint8_t was = message[i];
            for (unsigned bit = 0; bit < 8; bit++) {
                message[i] = (uint8_t)(was ^ 1u << bit);
                check_damaged(trial, message, size, i);
            }
            for (size_t v = 0; v < sizeof values; v++) {
                message[i] = values[v];
                check_damaged(trial, message, size, i);
            }
            message[i] = was;
        }
    }
}

static void every_corruption_is_judged(void **state)
{
    (void)state;
    for_each_codec(check_corruption);
}

/* Whether a fault names the member that a mark belongs to, or the type that has no members. */
static bool names_place(const codec_trial *trial, const dari_fault *fault, const model_mark *mark)
{
    if (!fault->field)
        return false;
    if (mark->type->name && strcmp(fault->field, mark->type->name) == 0)
        return true;
    if (!mark->field)
        return strcmp(fault->field, trial->codec->name) == 0;
    const char *dot = strrchr(fault->field, '.');
    const char *last = dot ? dot + 1 : fault->field;
    return strcmp(last, strrchr(mark->field, '.') + 1) == 0;
}

/* Puts a word into the sample and expects an error there. */
static void expect_fault(codec_trial *trial, const model_mark *mark, const uint8_t *message,
                         int expected, int tolerated)
{
    dari_fault fault;
    size_t size = trial->bytes.size;
    int error = decode(trial, message, size, 0, true, &fault);
    if (error != expected && error != tolerated)
        FAIL(trial, "damage at byte %zu (%s): %s, should be %s", mark->offset,
             mark->field ? mark->field : "", dari_error_name(error), dari_error_name(expected));
    if (!names_place(trial, &fault, mark))
        FAIL(trial, "damage at byte %zu (%s) is said to be in %s", mark->offset,
             mark->field ? mark->field : "", fault.field ? fault.field : "nothing");
}

static void store_word(uint8_t *at, uint32_t bits)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(bits >> (24 - 8 * i));
}

static void check_one_length(codec_trial *trial, const model_mark *mark, uint32_t length)
{
    uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, trial->bytes.size);
    const model_type *type = mark->type;
    store_word(message + mark->offset, length);
    bool zero_width = type->kind == MODEL_VARIABLE && model_minimum(type->element) == 0;
    int expected = zero_width ? DARI_LIMIT : DARI_TRUNCATED;
    if (length > type->bound)
        expected = DARI_BOUND;
    if (zero_width && length <= DARI_ZERO_WIDTH_MAX)
        return;
    /* Elements of a length of their own are refused later than where they begin: that is as good.
     */
    expect_fault(trial, mark, message, expected, expected);
}

static void check_lengths(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++)
        for (size_t i = 0; i < trial->bytes.mark_count; i++) {
            const model_mark *mark = &trial->bytes.marks[i];
            if (mark->kind != MARK_LENGTH)
                continue;
            check_one_length(trial, mark, UINT32_MAX);
            check_one_length(trial, mark, UINT32_C(0x80000000));
            check_one_length(trial, mark, UINT32_C(0x7fffffff));
            check_one_length(trial, mark, UINT32_C(0x40000000));
            if (mark->type->bound < UINT32_MAX)
                check_one_length(trial, mark, mark->type->bound + 1);
        }
}

/* Puts one byte or element more than the bound into the value, all of them valid. */
static void make_too_long(codec_trial *trial, const model_type *type, uint8_t *at)
{
    uint32_t count = type->bound + 1;
    size_t width = type->kind == MODEL_VARIABLE ? type->element->size : 1;
    uint8_t *data = model_random_take(&trial->random, count * width + 1);
    if (type->kind == MODEL_VARIABLE)
        model_random_fill(&trial->random, type->element, data, 1);
    else
        memset(data, 'x', 1);
    for (uint32_t i = 1; i < count; i++)
        memcpy(data + i * width, data, width);
    if (type->kind == MODEL_STRING) {
        memcpy(at, &data, sizeof data);
        return;
    }
    memcpy(at, &count, sizeof count);
    memcpy(at + MODEL_POINTER_OFFSET, &data, sizeof data);
}

static void check_too_long(codec_trial *trial, const model_mark *mark)
{
    uint8_t was[2 * sizeof(void *)];
    dari_fault fault;
    const model_type *type = mark->type;
    memcpy(was, mark->address, type->size);
    make_too_long(trial, type, mark->address);
    if (model_render(&trial->again, trial->codec->type, trial->value))
        FAIL(trial, "the model takes a value that is too long");
    size_t size = trial->again.size;
    const uint8_t *message = guard_copy(&trial->in, trial->again.bytes, size);
    int error = decode(trial, message, size, 0, true, &fault);
    if (error != DARI_BOUND || !names_place(trial, &fault, mark))
        FAIL(trial, "%s, one too many: %s in %s", mark->field ? mark->field : "",
             dari_error_name(error), fault.field ? fault.field : "nothing");
    memcpy(mark->address, was, type->size);
}

#define BOUND_TRIED_MAX 5000u

static void check_bounds(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++)
        for (size_t i = 0; i < trial->bytes.mark_count; i++) {
            const model_mark *mark = &trial->bytes.marks[i];
            if (mark->kind == MARK_LENGTH && mark->type->bound <= BOUND_TRIED_MAX)
                check_too_long(trial, mark);
        }
}

static void every_bound_is_kept(void **state)
{
    (void)state;
    for_each_codec(check_bounds);
}

static void every_wrong_length_is_refused(void **state)
{
    (void)state;
    for_each_codec(check_lengths);
}

/* Damage that one switch tolerates. */
static void check_strict(codec_trial *trial, const model_mark *mark, const uint8_t *message,
                         int expected, uint32_t accept)
{
    dari_fault fault;
    size_t size = trial->bytes.size;
    uint32_t all = DARI_ACCEPT_ENUM | DARI_ACCEPT_BOOL | DARI_ACCEPT_PADDING | DARI_ACCEPT_NUL |
                   DARI_ACCEPT_TRAILING;
    expect_fault(trial, mark, message, expected, expected);
    if (decode(trial, message, size, all & ~accept, true, &fault) != expected)
        FAIL(trial, "byte %zu is tolerated by another switch than its own", mark->offset);
    int error = decode(trial, message, size, accept, true, &fault);
    if (error && !(mark->kind == MARK_DISCRIMINANT && error == DARI_ARM))
        FAIL(trial, "byte %zu: %s with the switch that tolerates it", mark->offset,
             dari_error_name(error));
}

/* A number that an enumeration does not declare. */
static int32_t undeclared(const model_type *type, int32_t from)
{
    while (model_declares(type, from))
        from++;
    return from;
}

static void check_strict_word(codec_trial *trial, const model_mark *mark, uint8_t *message)
{
    const model_type *type = mark->type;
    if (mark->kind == MARK_DISCRIMINANT)
        type = type->members[0].type;
    if (type->kind == MODEL_ENUM) {
        static const int32_t from[] = {0, -1, 99, 0x7ffffff0, INT32_MIN};
        for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
            int32_t value = undeclared(type, from[i]);
            store_word(message + mark->offset, (uint32_t)value);
            /* With the switch, the union may go on with an arm that the bytes do not fit. */
            if (mark->kind == MARK_DISCRIMINANT)
                expect_fault(trial, mark, message, DARI_ENUM, DARI_ENUM);
            else
                check_strict(trial, mark, message, DARI_ENUM, DARI_ACCEPT_ENUM);
        }
    } else if (type->kind == MODEL_BOOL) {
        bool keeps_its_arm = mark->kind != MARK_DISCRIMINANT || message[mark->offset + 3] == 1;
        if (mark->kind == MARK_BOOL || keeps_its_arm) {
            store_word(message + mark->offset, 2);
            check_strict(trial, mark, message, DARI_BOOL, DARI_ACCEPT_BOOL);
            store_word(message + mark->offset, 0x01000000);
            check_strict(trial, mark, message, DARI_BOOL, DARI_ACCEPT_BOOL);
        } else {
            store_word(message + mark->offset, 2);
            expect_fault(trial, mark, message, DARI_BOOL, DARI_BOOL);
        }
    } else if (mark->kind == MARK_DISCRIMINANT && !mark->type->default_arm) {
        uint32_t value = 0;
        while (model_find_arm(mark->type, value))
            value = value * 31 + 7;
        store_word(message + mark->offset, value);
        expect_fault(trial, mark, message, DARI_ARM, DARI_ARM);
    }
}

static void check_strict_mark(codec_trial *trial, const model_mark *mark)
{
    uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, trial->bytes.size);
    switch (mark->kind) {
    case MARK_ENUM:
    case MARK_BOOL:
    case MARK_DISCRIMINANT:
        check_strict_word(trial, mark, message);
        break;
    case MARK_PRESENT:
        if (message[mark->offset + 3] == 1) {
            store_word(message + mark->offset, 2);
            check_strict(trial, mark, message, DARI_BOOL, DARI_ACCEPT_BOOL);
        }
        break;
    case MARK_PADDING:
        for (size_t i = 0; i < mark->size; i++) {
            message[mark->offset + i] = (uint8_t)(i ? 0x80 : 1);
            check_strict(trial, mark, message, DARI_PADDING, DARI_ACCEPT_PADDING);
            message[mark->offset + i] = 0;
        }
        break;
    case MARK_DATA:
        if (mark->type->kind != MODEL_STRING && mark->type->kind != MODEL_TEXT)
            break;
        for (size_t i = 0; i < mark->size; i++) {
            uint8_t was = message[mark->offset + i];
            message[mark->offset + i] = 0;
            check_strict(trial, mark, message, DARI_NUL, DARI_ACCEPT_NUL);
            message[mark->offset + i] = was;
        }
        break;
    case MARK_NUMBER:
    case MARK_LENGTH:
        break;
    }
}

static void check_strictness(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++) {
        dari_fault fault;
        size_t size = trial->bytes.size;
        for (size_t i = 0; i < trial->bytes.mark_count; i++)
            check_strict_mark(trial, &trial->bytes.marks[i]);
        uint8_t *longer = guard_place(&trial->in, size + 4);
        memcpy(longer, trial->bytes.bytes, size);
        memset(longer + size, 0, 4);
        if (decode(trial, longer, size + 4, 0, true, &fault) != DARI_TRAILING)
            FAIL(trial, "bytes after the value are accepted");
        if (decode(trial, longer, size + 4, DARI_ACCEPT_TRAILING, true, &fault) != 0)
            FAIL(trial, "bytes after the value are refused with their switch");
    }
}

static void each_switch_tolerates_its_own(void **state)
{
    (void)state;
    for_each_codec(check_strictness);
}

/* Sizes a value that has been made invalid at a mark. */
static void expect_size_fault(codec_trial *trial, const model_mark *mark, int expected)
{
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    int64_t said = trial->codec->size(&encoder, trial->value);
    if (said != expected || encoder.fault.error != expected)
        FAIL(trial, "invalid value in %s: size answers %" PRId64 ", should be %s",
             mark->field ? mark->field : "it", said, dari_error_name(expected));
    if (!names_place(trial, &encoder.fault, mark))
        FAIL(trial, "invalid value in %s is said to be in %s", mark->field ? mark->field : "it",
             encoder.fault.field ? encoder.fault.field : "nothing");
}

static void check_invalid_length(codec_trial *trial, const model_mark *mark)
{
    static const void *const nothing = NULL;
    uint8_t was[sizeof(void *) + sizeof(void *)];
    uint8_t *at = mark->address;
    const model_type *type = mark->type;
    memcpy(was, at, type->size);
    if (type->kind == MODEL_STRING) {
        memcpy(at, &nothing, sizeof nothing);
        expect_size_fault(trial, mark, DARI_MISSING);
    } else {
        uint32_t count = type->bound < UINT32_MAX ? type->bound + 1 : 1;
        if (type->bound < UINT32_MAX) {
            memcpy(at, &count, sizeof count);
            expect_size_fault(trial, mark, DARI_BOUND);
        }
        count = 1;
        memcpy(at, &count, sizeof count);
        memcpy(at + MODEL_POINTER_OFFSET, &nothing, sizeof nothing);
        bool looked_at = type->kind != MODEL_VARIABLE || model_minimum(type->element) > 0;
        if (type->bound > 0 && looked_at)
            expect_size_fault(trial, mark, DARI_MISSING);
    }
    memcpy(at, was, type->size);
}

static void check_invalid_mark(codec_trial *trial, const model_mark *mark)
{
    const model_type *type = mark->type;
    uint64_t was;
    if (mark->kind == MARK_LENGTH) {
        check_invalid_length(trial, mark);
        return;
    }
    if (mark->kind == MARK_DISCRIMINANT)
        type = type->members[0].type;
    if (mark->kind != MARK_NUMBER && mark->kind != MARK_ENUM && mark->kind != MARK_DISCRIMINANT)
        return;
    if (type->kind == MODEL_QUADRUPLE)
        return;
    was = model_load(type, mark->address);
    if (type->kind == MODEL_ENUM) {
        model_store(type, mark->address, (uint32_t)undeclared(type, 99));
        expect_size_fault(trial, mark, DARI_ENUM);
    } else if (type->size == 8 && type->width == 4) {
        model_store(type, mark->address, UINT64_C(1) << 40);
        expect_size_fault(trial, mark, DARI_RANGE);
        model_store(type, mark->address, UINT64_C(1) << (type->is_signed ? 31 : 32));
        expect_size_fault(trial, mark, DARI_RANGE);
        model_store(type, mark->address, type->is_signed ? ~(UINT64_C(1) << 31) : UINT64_MAX);
        expect_size_fault(trial, mark, DARI_RANGE);
    } else if (mark->kind == MARK_DISCRIMINANT && !mark->type->default_arm &&
               type->kind == MODEL_NUMBER) {
        uint32_t value = 0;
        while (model_find_arm(mark->type, value))
            value = value * 31 + 7;
        model_store(type, mark->address, value);
        expect_size_fault(trial, mark, DARI_ARM);
    }
    model_store(type, mark->address, was);
}

static void check_invalid_values(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++)
        for (size_t i = 0; i < trial->bytes.mark_count; i++)
            check_invalid_mark(trial, &trial->bytes.marks[i]);
}

static void every_invalid_value_is_refused(void **state)
{
    (void)state;
    for_each_codec(check_invalid_values);
}

/* Decodes with every budget from nothing on: refused until it suffices, then accepted. */
static void check_budget(codec_trial *trial)
{
    if (!make_sample(trial, 2))
        return;
    size_t size = trial->bytes.size;
    const uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, size);
    bool sufficed = false;
    for (size_t budget = 0; budget <= budget_for(trial, size) && !sufficed; budget += 8) {
        dari_decoder decoder;
        dari_arena arena = {0};
        dari_decoder_init(&decoder, message, size, &arena);
        dari_arena_allow(&arena, budget);
        int error =
            dari_decoder_finish(&decoder, trial->codec->decode(&decoder, message, trial->decoded));
        if (error && error != DARI_BUDGET)
            FAIL(trial, "budget of %zu bytes: %s", budget, dari_error_name(error));
        sufficed = error == 0;
        dari_arena_end(&arena);
    }
    if (!sufficed)
        FAIL(trial, "no budget suffices");
}

static void every_budget_is_kept(void **state)
{
    (void)state;
    for_each_codec(check_budget);
}

/* Without an arena, values that need no memory decode and others are refused. */
static void check_no_arena(codec_trial *trial)
{
    for (unsigned sample = 0; sample < SAMPLES && make_sample(trial, sample); sample++) {
        dari_decoder decoder;
        size_t size = trial->bytes.size;
        const uint8_t *message = guard_copy(&trial->in, trial->bytes.bytes, size);
        dari_decoder_init(&decoder, message, size, NULL);
        int error =
            dari_decoder_finish(&decoder, trial->codec->decode(&decoder, message, trial->decoded));
        if (error && error != DARI_INVALID)
            FAIL(trial, "without an arena: %s", dari_error_name(error));
        if (!error && (!model_render(&trial->again, trial->codec->type, trial->decoded) ||
                       trial->again.size != size || memcmp(trial->again.bytes, message, size) != 0))
            FAIL(trial, "decoded as another value without an arena");
    }
}

static void no_arena_means_no_memory(void **state)
{
    (void)state;
    for_each_codec(check_no_arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_goes_round),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_corruption_is_judged),
        cmocka_unit_test(every_wrong_length_is_refused),
        cmocka_unit_test(every_bound_is_kept),
        cmocka_unit_test(each_switch_tolerates_its_own),
        cmocka_unit_test(every_invalid_value_is_refused),
        cmocka_unit_test(every_budget_is_kept),
        cmocka_unit_test(no_arena_means_no_memory),
    };
    return cmocka_run_group_tests_name(codec_under_test.name, tests, NULL, NULL);
}
