/* SPDX-License-Identifier: MIT */
/* The pieces that generated codecs are made of; those for loops, in xdr_inline.h, pass the same
 * tests. What is read is in xdr_read_test.c. */
#include "unit/xdr_form.h"

#include <stdio.h>
#include <string.h>

#define RED 0xc3

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t four[] = {0x01, 0x23, 0x45, 0x67};
    static const uint8_t eight[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint8_t at[16];
    dari_put_u32(at, 0x01234567);
    assert_memory_equal(at, four, 4);
    dari_put_u64(at, 0x0123456789abcdef);
    assert_memory_equal(at, eight, 8);
    assert_int_equal(dari_get_u32(four), 0x01234567);
    assert_true(dari_get_u64(eight) == 0x0123456789abcdef);
    dari_put_quadruple(at, (dari_quadruple){0x0123456789abcdef, 0xfedcba9876543210});
    assert_memory_equal(at, eight, 8);
    assert_int_equal(at[8], 0xfe);
    assert_int_equal(at[15], 0x10);
}

static void numbers_come_back_at_any_alignment(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,
                                      1,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xffffffffffffffff,
                                      0x0123456789abcdef};
    uint8_t bytes[16 + 8];
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (size_t offset = 0; offset < 8; offset++) {
            uint8_t *at = bytes + offset;
            uint64_t value = values[v];
            dari_put_u32(at, (uint32_t)value);
            assert_true(dari_get_u32(at) == (uint32_t)value);
            dari_put_i32(at, (int32_t)value);
            assert_true(dari_get_i32(at) == (int32_t)value);
            dari_put_u64(at, value);
            assert_true(dari_get_u64(at) == value);
            dari_put_i64(at, (int64_t)value);
            assert_true(dari_get_i64(at) == (int64_t)value);
            dari_put_quadruple(at, (dari_quadruple){value, ~value});
            dari_quadruple back = dari_get_quadruple(at);
            assert_true(back.high == value && back.low == ~value);
        }
}

static void floating_numbers_keep_every_bit(void **state)
{
    (void)state;
    static const uint32_t floats[] = {0x80000000, 0x7f800000, 0x7fc12345,
                                      0x7f800001, 0xffbfffff, 1};
    static const uint64_t doubles[] = {0x8000000000000000, 0x7ff0000000000000, 0x7ff8123456789abc,
                                       0x7ff0000000000001, 0xfff7ffffffffffff, 1};
    uint8_t in[8], out[8];
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        float kept;
        dari_put_u32(in, floats[i]);
        dari_get_float(in, &kept);
        dari_put_float(out, &kept);
        assert_memory_equal(in, out, 4);
    }
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        double kept;
        dari_put_u64(in, doubles[i]);
        dari_get_double(in, &kept);
        dari_put_double(out, &kept);
        assert_memory_equal(in, out, 8);
    }
}

/* Numbers that lie together, with one of them apart, and each at a place that is not aligned. */
static void numbers_are_moved_together(void **state)
{
    (void)state;
    static const uint8_t wire[17] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x80, RED};
    for (unsigned apart = 0; apart < 5; apart++) {
        uint8_t memory[40], out[17] = {[16] = RED};
        uint8_t *at[4];
        for (unsigned i = 0; i < 4; i++)
            at[i] = memory + 1 + 4 * i + (apart && i >= apart - 1 ? 7 : 0);
        memset(memory, RED, sizeof memory);
        dari_inline_get_u32x4(wire, at[0], at[1], at[2], at[3]);
        for (unsigned i = 0; i < 4; i++) {
            uint32_t value;
            memcpy(&value, at[i], 4);
            assert_int_equal(value, dari_get_u32(wire + 4 * i));
        }
        assert_int_equal(memory[0], RED);
        assert_int_equal(at[3][4], RED);
        dari_inline_put_u32x4(out, at[0], at[1], at[2], at[3]);
        assert_memory_equal(out, wire, sizeof wire);
        memset(out, 0, 16);
        dari_inline_put_u32x2(out, at[0], at[1]);
        dari_inline_put_u32x2(out + 8, at[2], at[3]);
        assert_memory_equal(out, wire, sizeof wire);
    }
    for (unsigned apart = 0; apart < 2; apart++) {
        uint8_t memory[40], out[17] = {[16] = RED};
        uint8_t *one = memory + 3, *other = one + 8 + 5 * apart;
        uint64_t values[2];
        memset(memory, RED, sizeof memory);
        dari_inline_get_u64x2(wire, one, other);
        memcpy(&values[0], one, 8);
        memcpy(&values[1], other, 8);
        assert_true(values[0] == dari_get_u64(wire) && values[1] == dari_get_u64(wire + 8));
        assert_int_equal(other[8], RED);
        dari_inline_put_u64x2(out, one, other);
        assert_memory_equal(out, wire, sizeof wire);
    }
}

static void opaque_data_is_padded_with_zeros(void **state)
{
    form = *state;
    uint8_t data[300], out[320];
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i | 1);
    for (uint32_t size = 0; size <= sizeof data; size++) {
        memset(out, RED, sizeof out);
        uint8_t *end = form->put_bytes(out, data, size);
        size_t padded = (size + 3u) / 4 * 4;
        assert_ptr_equal(end, out + padded);
        assert_memory_equal(out, data, size);
        for (size_t i = size; i < padded; i++)
            assert_int_equal(out[i], 0);
        assert_int_equal(out[padded], RED);
        memset(out, RED, sizeof out);
        end = form->put_opaque(&encoder, out, (dari_opaque){size, data});
        assert_ptr_equal(end, out + 4 + padded);
        assert_int_equal(dari_get_u32(out), size);
        assert_memory_equal(out + 4, data, size);
        assert_int_equal(out[4 + padded], RED);
    }
    assert_true(dari_padded(UINT32_MAX) == UINT64_C(0x100000000));
}

static void strings_are_written_with_length_and_padding(void **state)
{
    form = *state;
    char text[301] = "";
    uint8_t out[320], expected[320];
    for (uint32_t size = 0; size < sizeof text; size++) {
        memset(text, 'a' + (int)(size % 26), size);
        memset(out, RED, sizeof out);
        memset(expected, RED, sizeof expected);
        dari_put_u32(expected, size);
        memset(expected + 4, 0, (size_t)dari_padded(size));
        memcpy(expected + 4, text, size);
        assert_ptr_equal(form->put_string(out, text), out + 4 + dari_padded(size));
        assert_memory_equal(out, expected, sizeof out);
        memset(out, RED, sizeof out);
        assert_ptr_equal(form->put_text(out, (dari_text){size, text}), out + 4 + dari_padded(size));
        assert_memory_equal(out, expected, sizeof out);
    }
}

/* Adds to an empty sum and returns it. */
static void large_opaque_data_can_be_referred_to(void **state)
{
    form = *state;
    enum { SIZE = DARI_REFERENCE_MIN + 1, ROOM = SIZE + 7 };
    static uint8_t data[SIZE], out[ROOM + 1];
    dari_encoder encoder;
    dari_references references = {0};
    dari_encoder_init(&encoder);
    memset(data, 7, sizeof data);
    for (uint32_t i = 0; i <= DARI_REFERENCES_MAX; i++) {
        bool refers = i > 0;
        memset(out, RED, sizeof out);
        assert_ptr_equal(form->put_opaque(&encoder, out, (dari_opaque){SIZE, data}), out + ROOM);
        assert_int_equal(dari_get_u32(out), SIZE);
        assert_int_equal(out[4], refers ? RED : 7);
        assert_int_equal(out[4 + SIZE - 1], refers ? RED : 7);
        for (uint32_t padding = 4 + SIZE; padding < ROOM; padding++)
            assert_int_equal(out[padding], 0);
        assert_int_equal(out[ROOM], RED);
        assert_int_equal(references.count, i);
        encoder.references = &references;
        form->put_opaque(&encoder, out, (dari_opaque){DARI_REFERENCE_MIN - 1, data});
        assert_int_equal(out[4], 7);
        assert_int_equal(references.count, i);
    }
    assert_ptr_equal(references.items[0].at, out + 4);
    assert_ptr_equal(references.items[0].data, data);
    assert_int_equal(references.items[0].size, SIZE);
    memset(out, RED, sizeof out);
    form->put_opaque(&encoder, out, (dari_opaque){SIZE, data});
    assert_int_equal(references.count, DARI_REFERENCES_MAX);
    assert_memory_equal(out + 4, data, SIZE);
}

static int64_t size_opaque(dari_encoder *encoder, dari_opaque value, uint32_t bound)
{
    int64_t sum = 0;
    bool valid = dari_add_opaque(encoder, &sum, value, bound, "x");
    assert_int_equal(valid, sum >= 0);
    return sum;
}

static int64_t size_string(dari_encoder *encoder, const char *value, uint32_t bound)
{
    int64_t sum = 0;
    bool valid = dari_add_string(encoder, &sum, value, bound, "x");
    assert_int_equal(valid, sum >= 0);
    return sum;
}

static int64_t size_text(dari_encoder *encoder, dari_text value, uint32_t bound)
{
    int64_t sum = 0;
    bool valid = dari_add_text(encoder, &sum, value, bound, "x");
    assert_int_equal(valid, sum >= 0);
    return sum;
}

static int64_t size_array(dari_encoder *encoder, uint32_t count, const void *items, uint32_t bound)
{
    int64_t sum = 0;
    bool valid = dari_add_array(encoder, &sum, count, items, bound, 4, "x");
    assert_int_equal(valid, sum >= 0);
    return sum;
}

static void sizes_are_checked_against_bounds(void **state)
{
    (void)state;
    dari_encoder encoder;
    static const uint8_t data[8] = {1, 2, 3};
    dari_encoder_init(&encoder);
    assert_int_equal(encoder.depth, DARI_DEPTH_DEFAULT);
    assert_int_equal(size_opaque(&encoder, (dari_opaque){5, data}, 5), 12);
    assert_int_equal(size_opaque(&encoder, (dari_opaque){0, NULL}, 5), 4);
    assert_int_equal(size_string(&encoder, "hello", 5), 12);
    assert_int_equal(size_string(&encoder, "", 0), 4);
    assert_int_equal(size_text(&encoder, (dari_text){4, "abcd"}, 4), 8);
    assert_int_equal(size_text(&encoder, (dari_text){0, NULL}, 4), 4);
    assert_int_equal(size_array(&encoder, 3, data, 3), 16);
    assert_int_equal(size_array(&encoder, 0, NULL, 3), 4);
    assert_int_equal(encoder.fault.error, 0);

    int64_t sum = 100;
    assert_true(dari_add_string(&encoder, &sum, "four", 4, "x"));
    assert_true(dari_add_opaque(&encoder, &sum, (dari_opaque){1, data}, 4, "x"));
    assert_int_equal(sum, 116);
    assert_false(dari_add_opaque(&encoder, &sum, (dari_opaque){6, data}, 5, "first"));
    assert_int_equal(sum, DARI_BOUND);
    assert_int_equal(encoder.fault.error, DARI_BOUND);
    assert_string_equal(encoder.fault.field, "first");
    assert_true(encoder.fault.found == 6 && encoder.fault.allowed == 5);
}

#define EXPECT_FAULT(expected, call)                     \
    do {                                                 \
        dari_encoder encoder;                            \
        dari_encoder_init(&encoder);                     \
        assert_int_equal(call, expected);                \
        assert_int_equal(encoder.fault.error, expected); \
        assert_string_equal(encoder.fault.field, "x");   \
    } while (0)

static void wrong_values_are_named(void **state)
{
    (void)state;
    static const uint8_t data[8] = {1, 2, 3};
    EXPECT_FAULT(DARI_MISSING, size_opaque(&encoder, (dari_opaque){1, NULL}, 5));
    EXPECT_FAULT(DARI_MISSING, size_string(&encoder, NULL, 5));
    EXPECT_FAULT(DARI_MISSING, size_string(&encoder, NULL, 0));
    EXPECT_FAULT(DARI_BOUND, size_string(&encoder, "hello!", 5));
    EXPECT_FAULT(DARI_MISSING, size_text(&encoder, (dari_text){1, NULL}, 5));
    EXPECT_FAULT(DARI_BOUND, size_text(&encoder, (dari_text){6, "hello!"}, 5));
    EXPECT_FAULT(DARI_NUL, size_text(&encoder, (dari_text){5, "he\0lo"}, 5));
    EXPECT_FAULT(DARI_BOUND, size_array(&encoder, 4, data, 3));
    EXPECT_FAULT(DARI_MISSING, size_array(&encoder, 1, NULL, 3));
}

static void the_first_fault_stays(void **state)
{
    (void)state;
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    assert_int_equal(dari_encode_fault(&encoder, DARI_RANGE, "one", 1, 2), DARI_RANGE);
    assert_true(dari_encode_fault(&encoder, DARI_BOUND, "two", 3, 4) < 0);
    assert_int_equal(encoder.fault.error, DARI_RANGE);
    assert_string_equal(encoder.fault.field, "one");

    static const uint8_t message[8];
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, 8, NULL);
    assert_null(dari_decode_fault(&decoder, message + 5, DARI_RANGE, "one", 1, 2));
    assert_null(dari_decode_fault(&decoder, message + 6, DARI_BOUND, "two", 1, 2));
    assert_int_equal(decoder.fault.error, DARI_RANGE);
    assert_true(decoder.fault.offset == 5);
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_RANGE);
}

static void sums_do_not_overflow(void **state)
{
    (void)state;
    int64_t sum = 8;
    assert_true(dari_add(&sum, 4));
    assert_true(sum == 12);
    assert_false(dari_add(&sum, DARI_BOUND));
    assert_int_equal(sum, DARI_BOUND);
    sum = DARI_SIZE_MAX - 4;
    assert_true(dari_add(&sum, 4));
    assert_false(dari_add(&sum, 4));
    assert_int_equal(sum, DARI_LIMIT);
}

static void depth_is_counted(void **state)
{
    (void)state;
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    for (unsigned i = 0; i < DARI_DEPTH_DEFAULT; i++)
        assert_true(dari_encoder_enter(&encoder, "x"));
    assert_false(dari_encoder_enter(&encoder, "x"));
    assert_int_equal(encoder.fault.error, DARI_DEPTH);

    static const uint8_t message[4];
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, 4, NULL);
    for (unsigned i = 0; i < DARI_DEPTH_DEFAULT; i++)
        assert_true(dari_decoder_enter(&decoder, message, "x"));
    assert_false(dari_decoder_enter(&decoder, message, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_DEPTH);
}

static void expect_text(dari_fault fault, const char *before, const char *after)
{
    char text[200], expected[200];
    snprintf(expected, sizeof expected, "%s%s%s", before, dari_error_text(fault.error), after);
    assert_ptr_equal(dari_fault_text(&fault, text, sizeof text), text);
    assert_string_equal(text, expected);
}

static void faults_read_well(void **state)
{
    (void)state;
    expect_text((dari_fault){DARI_BOUND, "entry.name", 24, 300, 255},
                "byte 24: entry.name: ", " (300, at most 255)");
    expect_text((dari_fault){DARI_MISSING, "entry.name", 0, 0, 0}, "entry.name: ", "");
    expect_text((dari_fault){DARI_TRAILING, NULL, 8, 4, 0}, "byte 8: ", " (4)");
    expect_text((dari_fault){DARI_TRUNCATED, "listing.entries", 4, 100, 20},
                "byte 4: listing.entries: ", " (needs 100 bytes, has 20)");
    expect_text((dari_fault){DARI_ENUM, "attr.type", 4, -7, 0}, "byte 4: attr.type: ", " (-7)");
}

static void fault_text_is_cut_never_overrun(void **state)
{
    (void)state;
    char text[32];
    dari_fault fault = {DARI_ENUM, "attr.type", 4, -7, 0};
    memset(text, RED, sizeof text);
    dari_fault_text(&fault, text, 10);
    assert_string_equal(text, "byte 4: a");
    assert_int_equal((uint8_t)text[10], RED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(numbers_come_back_at_any_alignment),
        cmocka_unit_test(floating_numbers_keep_every_bit),
        cmocka_unit_test(numbers_are_moved_together),
        IN_BOTH_FORMS(opaque_data_is_padded_with_zeros),
        IN_BOTH_FORMS(large_opaque_data_can_be_referred_to),
        IN_BOTH_FORMS(strings_are_written_with_length_and_padding),
        cmocka_unit_test(sizes_are_checked_against_bounds),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(the_first_fault_stays),
        cmocka_unit_test(sums_do_not_overflow),
        cmocka_unit_test(depth_is_counted),
        cmocka_unit_test(faults_read_well),
        cmocka_unit_test(fault_text_is_cut_never_overrun),
    };
    return cmocka_run_group_tests_name("xdr", tests, NULL, NULL);
}
