/* SPDX-License-Identifier: MIT */
/* The pieces that generated decoders are made of, and what they refuse; those for loops, in
 * xdr_inline.h, pass the same tests. */
#include "unit/xdr_form.h"

#include <stdlib.h>
#include <string.h>

/* A message in memory of exactly its size, and a decoder of it. */
typedef struct xdr_reading {
    dari_arena arena;
    dari_decoder decoder;
    uint8_t *message;
} xdr_reading;

static void begin(xdr_reading *reading, const void *message, size_t size)
{
    memset(reading, 0, sizeof *reading);
    reading->message = malloc(size ? size : 1);
    assert_non_null(reading->message);
    memcpy(reading->message, message, size);
    dari_decoder_init(&reading->decoder, reading->message, size, &reading->arena);
}

/* The same with a length word of `size` before the `available` bytes of data. */
static void begin_sized(xdr_reading *reading, uint32_t size, const void *data, size_t available)
{
    uint8_t message[400];
    assert_true(available + 4 <= sizeof message);
    dari_put_u32(message, size);
    memcpy(message + 4, data, available);
    begin(reading, message, 4 + available);
}

static int end(xdr_reading *reading)
{
    int error = reading->decoder.fault.error;
    dari_arena_end(&reading->arena);
    free(reading->message);
    return error;
}

static const uint8_t *get_string(xdr_reading *reading, uint32_t bound, char **ret_text)
{
    return form->get_string(&reading->decoder, reading->message, bound, 0, ret_text, "x");
}

static const uint8_t *get_opaque(xdr_reading *reading, uint32_t bound, uint32_t following,
                                 dari_opaque *ret_opaque)
{
    return form->get_opaque(&reading->decoder, reading->message, bound, following, ret_opaque, "x");
}

static const uint8_t *get_text(xdr_reading *reading, uint32_t bound, dari_text *ret_text)
{
    return form->get_text(&reading->decoder, reading->message, bound, 0, ret_text, "x");
}

static size_t padded(uint32_t size)
{
    return (size_t)dari_padded(size);
}

static void fill_text(uint8_t *at, uint32_t size)
{
    memset(at, 0, padded(size));
    for (uint32_t i = 0; i < size; i++)
        at[i] = (uint8_t)('a' + i % 26);
}

static void strings_of_every_size_are_read(void **state)
{
    form = *state;
    uint8_t data[320];
    for (uint32_t size = 0; size <= 300; size++) {
        xdr_reading reading;
        char *text;
        dari_text span;
        fill_text(data, size);
        begin_sized(&reading, size, data, padded(size));
        assert_ptr_equal(get_string(&reading, 300, &text), reading.message + 4 + padded(size));
        assert_int_equal(strlen(text), size);
        assert_memory_equal(text, data, size);
        assert_ptr_equal(get_text(&reading, 300, &span), reading.message + 4 + padded(size));
        assert_int_equal(span.size, size);
        assert_memory_equal(span.data, data, size);
        assert_int_equal(end(&reading), 0);
    }
}

static void zero_bytes_in_strings_are_refused(void **state)
{
    form = *state;
    uint8_t data[160];
    for (uint32_t size = 1; size <= 150; size++)
        for (uint32_t where = 0; where < size; where++) {
            xdr_reading reading;
            char *text;
            dari_text span;
            fill_text(data, size);
            data[where] = 0;
            begin_sized(&reading, size, data, padded(size));
            assert_null(get_string(&reading, 300, &text));
            assert_int_equal(end(&reading), DARI_NUL);
            begin_sized(&reading, size, data, padded(size));
            assert_null(get_text(&reading, 300, &span));
            assert_int_equal(end(&reading), DARI_NUL);
            begin_sized(&reading, size, data, padded(size));
            reading.decoder.accept = DARI_ACCEPT_NUL;
            assert_non_null(get_string(&reading, 300, &text));
            assert_int_equal(strlen(text), where);
            assert_memory_equal(text, data, size);
            assert_int_equal(text[size], 0);
            assert_int_equal(end(&reading), 0);
        }
}

static void bytes_beside_zero_are_no_zero(void **state)
{
    form = *state;
    static const uint32_t sizes[] = {3, 7, 8, 15, 16, 31};
    /* Each byte value at each place, with the values 1 and 0x80 around it. */
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (unsigned value = 1; value < 256; value++)
            for (unsigned where = 0; where < sizes[s]; where++)
                for (unsigned around = 0; around < 2; around++) {
                    xdr_reading reading;
                    char *text;
                    uint8_t data[32] = {0};
                    memset(data, around ? 0x80 : 0x01, sizes[s]);
                    data[where] = (uint8_t)value;
                    begin_sized(&reading, sizes[s], data, padded(sizes[s]));
                    assert_non_null(get_string(&reading, 32, &text));
                    assert_int_equal(end(&reading), 0);
                }
}

static void padding_must_be_zero(void **state)
{
    form = *state;
    uint8_t data[160];
    for (uint32_t size = 1; size <= 150; size++)
        for (uint32_t where = size; where < padded(size); where++) {
            xdr_reading reading;
            char *text;
            dari_opaque opaque;
            uint8_t fixed[160];
            fill_text(data, size);
            data[where] = where & 1 ? 0x80 : 0x01;
            begin_sized(&reading, size, data, padded(size));
            assert_null(get_string(&reading, 300, &text));
            assert_int_equal(end(&reading), DARI_PADDING);
            begin_sized(&reading, size, data, padded(size));
            assert_null(get_opaque(&reading, 300, 0, &opaque));
            assert_int_equal(end(&reading), DARI_PADDING);
            begin(&reading, data, padded(size));
            assert_false(dari_get_bytes(&reading.decoder, reading.message, fixed, size, "x"));
            assert_int_equal(end(&reading), DARI_PADDING);
            begin_sized(&reading, size, data, padded(size));
            reading.decoder.accept = DARI_ACCEPT_PADDING;
            assert_non_null(get_string(&reading, 300, &text));
            assert_int_equal(strlen(text), size);
            assert_non_null(get_opaque(&reading, 300, 0, &opaque));
            assert_true(dari_get_bytes(&reading.decoder, reading.message + 4, fixed, size, "x"));
            assert_memory_equal(fixed, data, size);
            assert_int_equal(end(&reading), 0);
        }
}

static void opaque_data_is_borrowed_or_copied(void **state)
{
    form = *state;
    static const uint8_t data[8] = {1, 2, 3, 4, 5};
    xdr_reading reading;
    dari_opaque opaque;
    dari_text text;
    begin_sized(&reading, 5, data, 8);
    assert_non_null(get_opaque(&reading, 5, 0, &opaque));
    assert_ptr_equal(opaque.data, reading.message + 4);
    assert_non_null(get_text(&reading, 5, &text));
    assert_ptr_equal(text.data, reading.message + 4);
    reading.decoder.borrow = false;
    assert_non_null(get_opaque(&reading, 5, 0, &opaque));
    assert_ptr_not_equal(opaque.data, reading.message + 4);
    assert_int_equal(opaque.size, 5);
    assert_memory_equal(opaque.data, data, 5);
    assert_non_null(get_text(&reading, 5, &text));
    assert_ptr_not_equal(text.data, reading.message + 4);
    assert_memory_equal(text.data, data, 5);
    assert_int_equal(end(&reading), 0);
}

static void texts_may_have_zero_bytes_on_request(void **state)
{
    form = *state;
    static const uint8_t data[8] = {1, 2, 0, 4, 5};
    xdr_reading reading;
    dari_text text;
    begin_sized(&reading, 5, data, 8);
    reading.decoder.accept = DARI_ACCEPT_NUL;
    assert_non_null(get_text(&reading, 5, &text));
    assert_int_equal(text.size, 5);
    assert_null(get_text(&reading, 4, &text));
    assert_int_equal(end(&reading), DARI_BOUND);
}

static void lengths_are_not_believed(void **state)
{
    form = *state;
    static const uint32_t lengths[] = {9,          12,         13,         0x7fffffff,
                                       0x80000000, 0xfffffffc, 0xfffffffd, 0xffffffff};
    static const uint8_t data[8] = "abcdefgh";
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        xdr_reading reading;
        char *text;
        dari_opaque opaque;
        begin_sized(&reading, lengths[i], data, 8);
        assert_null(get_string(&reading, UINT32_MAX, &text));
        assert_int_equal(end(&reading), DARI_TRUNCATED);
        begin_sized(&reading, lengths[i], data, 8);
        assert_null(get_opaque(&reading, UINT32_MAX, 0, &opaque));
        assert_int_equal(end(&reading), DARI_TRUNCATED);
        begin_sized(&reading, lengths[i], data, 8);
        assert_null(get_opaque(&reading, 8, 0, &opaque));
        assert_true(reading.decoder.fault.found == lengths[i]);
        assert_true(reading.decoder.fault.allowed == 8);
        assert_int_equal(end(&reading), DARI_BOUND);
    }
}

static void one_byte_beyond_the_bound_is_refused(void **state)
{
    form = *state;
    uint8_t data[160];
    for (uint32_t size = 1; size <= 150; size++) {
        xdr_reading reading;
        char *text;
        dari_text span;
        dari_opaque opaque;
        fill_text(data, size);
        begin_sized(&reading, size, data, padded(size));
        assert_null(get_string(&reading, size - 1, &text));
        assert_int_equal(end(&reading), DARI_BOUND);
        begin_sized(&reading, size, data, padded(size));
        assert_null(get_opaque(&reading, size - 1, 0, &opaque));
        assert_int_equal(end(&reading), DARI_BOUND);
        begin_sized(&reading, size, data, padded(size));
        assert_null(get_text(&reading, size - 1, &span));
        assert_int_equal(end(&reading), DARI_BOUND);
    }
}

static void what_follows_must_be_there_too(void **state)
{
    form = *state;
    static const uint8_t data[8] = "abcd";
    xdr_reading reading;
    dari_opaque opaque;
    begin_sized(&reading, 4, data, 8);
    assert_non_null(get_opaque(&reading, 4, 4, &opaque));
    assert_int_equal(end(&reading), 0);
    begin_sized(&reading, 4, data, 8);
    assert_null(get_opaque(&reading, 4, 5, &opaque));
    assert_int_equal(end(&reading), DARI_TRUNCATED);
    begin_sized(&reading, 4, data, 8);
    assert_null(get_opaque(&reading, 4, UINT32_MAX, &opaque));
    assert_int_equal(end(&reading), DARI_TRUNCATED);
}

static void arrays_are_checked_before_memory_is_taken(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 4, 8, 16, 100, 0x10000, 0xffffffff};
    static const uint8_t message[64];
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        static const uint32_t counts[] = {0x40000000, 0x7fffffff, 0x80000000, 0xffffffff};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            xdr_reading reading;
            begin(&reading, message, 64);
            assert_null(dari_take_array(&reading.decoder, reading.message, counts[c], UINT32_MAX,
                                        widths[i], SIZE_MAX / 2, "x"));
            assert_int_equal(end(&reading), DARI_TRUNCATED);
        }
    }
    xdr_reading reading;
    begin(&reading, message, 64);
    assert_non_null(dari_take_array(&reading.decoder, reading.message, 16, 16, 4, 4, "x"));
    assert_null(dari_take_array(&reading.decoder, reading.message, 17, 17, 4, 4, "x"));
    assert_int_equal(end(&reading), DARI_TRUNCATED);
    begin(&reading, message, 64);
    assert_null(dari_take_array(&reading.decoder, reading.message, 17, 16, 4, 4, "x"));
    assert_int_equal(end(&reading), DARI_BOUND);
    begin(&reading, message, 64);
    assert_null(dari_take_array(&reading.decoder, reading.message, 16, 16, 4, SIZE_MAX / 4, "x"));
    assert_int_equal(end(&reading), DARI_BUDGET);
}

static void elements_without_bytes_are_counted(void **state)
{
    (void)state;
    static const uint8_t message[4];
    xdr_reading reading;
    begin(&reading, message, 4);
    assert_non_null(dari_take_array(&reading.decoder, reading.message, DARI_ZERO_WIDTH_MAX - 1,
                                    UINT32_MAX, 0, 1, "x"));
    assert_non_null(dari_take_array(&reading.decoder, reading.message, 1, UINT32_MAX, 0, 1, "x"));
    assert_null(dari_take_array(&reading.decoder, reading.message, 1, UINT32_MAX, 0, 1, "x"));
    assert_int_equal(end(&reading), DARI_LIMIT);
}

static void memory_has_a_budget(void **state)
{
    (void)state;
    static const uint8_t message[64];
    xdr_reading reading;
    begin(&reading, message, 64);
    dari_arena_allow(&reading.arena, 64);
    assert_non_null(dari_take(&reading.decoder, reading.message, 60, "x"));
    assert_null(dari_take(&reading.decoder, reading.message, 1, "x"));
    assert_int_equal(end(&reading), DARI_BUDGET);
    begin(&reading, message, 64);
    dari_arena_allow(&reading.arena, 64);
    assert_null(dari_take_array(&reading.decoder, reading.message, 16, 16, 4, 8, "x"));
    assert_int_equal(end(&reading), DARI_BUDGET);
    begin(&reading, message, 64);
    assert_null(dari_take(&reading.decoder, reading.message, DARI_DECODE_BUDGET_DEFAULT + 1, "x"));
    assert_int_equal(end(&reading), DARI_BUDGET);
}

static void strings_keep_the_budget(void **state)
{
    form = *state;
    static const uint8_t data[8] = "abcdefg";
    xdr_reading reading;
    char *text;
    begin_sized(&reading, 7, data, 8);
    dari_arena_allow(&reading.arena, 16);
    assert_non_null(get_string(&reading, 8, &text));
    assert_non_null(get_string(&reading, 8, &text));
    assert_null(get_string(&reading, 8, &text));
    assert_int_equal(end(&reading), DARI_BUDGET);
}

static void no_arena_no_memory(void **state)
{
    form = *state;
    static const uint8_t message[12] = {0, 0, 0, 7, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 0};
    dari_decoder decoder;
    char *text;
    dari_opaque opaque;
    dari_decoder_init(&decoder, message, sizeof message, NULL);
    assert_non_null(form->get_opaque(&decoder, message, 8, 0, &opaque, "x"));
    assert_null(form->get_string(&decoder, message, 8, 0, &text, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_INVALID);
    dari_decoder_init(&decoder, message, sizeof message, NULL);
    decoder.borrow = false;
    assert_null(form->get_opaque(&decoder, message, 8, 0, &opaque, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_INVALID);
    dari_decoder_init(&decoder, message, sizeof message, NULL);
    assert_null(dari_take_array(&decoder, message, 1, 1, 4, 4, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_INVALID);
}

static void bytes_after_the_value_are_refused(void **state)
{
    (void)state;
    static const uint8_t message[8];
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, 8, NULL);
    assert_int_equal(dari_decoder_finish(&decoder, message + 8), 0);
    dari_decoder_init(&decoder, message, 8, NULL);
    assert_int_equal(dari_decoder_finish(&decoder, message + 4), DARI_TRAILING);
    assert_true(decoder.fault.offset == 4 && decoder.fault.found == 4);
    dari_decoder_init(&decoder, message, 8, NULL);
    decoder.accept = DARI_ACCEPT_TRAILING;
    assert_int_equal(dari_decoder_finish(&decoder, message + 4), 0);
}

static void enums_and_booleans_are_tolerated_on_request(void **state)
{
    (void)state;
    static const uint8_t message[4] = {0, 0, 0, 99};
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, 4, NULL);
    assert_false(dari_accepts_enum(&decoder, message, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_ENUM);
    assert_true(decoder.fault.found == 99);
    dari_decoder_init(&decoder, message, 4, NULL);
    assert_false(dari_accepts_bool(&decoder, message, "x"));
    assert_int_equal(dari_decoder_finish(&decoder, NULL), DARI_BOOL);
    dari_decoder_init(&decoder, message, 4, NULL);
    decoder.accept = DARI_ACCEPT_ENUM | DARI_ACCEPT_BOOL;
    assert_true(dari_accepts_enum(&decoder, message, "x"));
    assert_true(dari_accepts_bool(&decoder, message, "x"));
    assert_int_equal(decoder.fault.error, 0);
}

/* Three values of one message, the middle one of which lies elsewhere; in its place is red. */
enum { ELSEWHERE = 300, MESSAGE = 8 + 4 + ELSEWHERE + 8 };

static void begin_referring(xdr_reading *reading, const uint8_t *elsewhere,
                            dari_references *references)
{
    uint8_t message[MESSAGE];
    memset(message, 0xee, sizeof message);
    dari_put_opaque(&(dari_encoder){0}, message, (dari_opaque){3, (const uint8_t *)"abc"});
    dari_put_u32(message + 8, ELSEWHERE);
    dari_put_opaque(&(dari_encoder){0}, message + 12 + ELSEWHERE,
                    (dari_opaque){3, (const uint8_t *)"def"});
    begin(reading, message, sizeof message);
    *references = (dari_references){1, {{reading->message + 12, elsewhere, ELSEWHERE}}};
    dari_decoder_refer(&reading->decoder, references);
}

/* Opaque data is where it is; all else borrows, as without references. */
static void opaque_data_that_lies_elsewhere(void **state)
{
    form = *state;
    xdr_reading reading;
    dari_references references;
    dari_opaque values[3];
    const uint8_t elsewhere[ELSEWHERE] = {1, 2, 3};
    begin_referring(&reading, elsewhere, &references);
    const uint8_t *at = reading.message;
    for (int i = 0; i < 3; i++) {
        at = form->get_opaque(&reading.decoder, at, UINT32_MAX, 0, &values[i], "x");
        assert_non_null(at);
    }
    assert_int_equal(dari_decoder_finish(&reading.decoder, at), 0);
    assert_ptr_equal(values[0].data, reading.message + 4);
    assert_ptr_equal(values[1].data, elsewhere);
    assert_int_equal(values[1].size, ELSEWHERE);
    assert_ptr_equal(values[2].data, reading.message + 12 + ELSEWHERE + 4);
    assert_int_equal(end(&reading), 0);
}

/* What has to be checked is copied first. */
static void strings_that_lie_elsewhere(void **state)
{
    form = *state;
    for (int wrong = 0; wrong < 2; wrong++) {
        xdr_reading reading;
        dari_references references;
        char *string = NULL;
        dari_text text = {0};
        uint8_t elsewhere[ELSEWHERE];
        memset(elsewhere, 'a', sizeof elsewhere);
        elsewhere[ELSEWHERE - 1] = wrong ? 0 : 'z';
        begin_referring(&reading, elsewhere, &references);
        const uint8_t *at = reading.message + 8;
        at = form->get_string(&reading.decoder, at, UINT32_MAX, 0, &string, "x");
        assert_int_equal(at == NULL, wrong);
        if (!wrong) {
            assert_memory_equal(string, elsewhere, ELSEWHERE);
            assert_int_equal(string[ELSEWHERE], 0);
        }
        assert_int_equal(end(&reading), wrong ? DARI_NUL : 0);

        begin_referring(&reading, elsewhere, &references);
        at = form->get_text(&reading.decoder, reading.message + 8, UINT32_MAX, 0, &text, "x");
        assert_int_equal(at == NULL, wrong);
        if (!wrong) {
            assert_int_equal(text.size, ELSEWHERE);
            assert_ptr_not_equal(text.data, elsewhere);
            assert_memory_equal(text.data, elsewhere, ELSEWHERE);
        }
        assert_int_equal(end(&reading), wrong ? DARI_NUL : 0);
    }
}

/* Read as bytes of a number, or of other lengths, it is a fault, which ending tells. */
static void what_lies_elsewhere_is_nothing_else(void **state)
{
    (void)state;
    xdr_reading reading;
    dari_references references;
    const uint8_t elsewhere[ELSEWHERE] = {0};
    uint8_t bytes[ELSEWHERE];
    begin_referring(&reading, elsewhere, &references);
    assert_true(dari_get_bytes(&reading.decoder, reading.message + 12, bytes, ELSEWHERE, "x"));
    assert_int_equal(dari_decoder_finish(&reading.decoder, reading.message + MESSAGE),
                     DARI_PROTOCOL);
    assert_int_equal(reading.decoder.fault.offset, 12);
    end(&reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_FORMS(strings_of_every_size_are_read),
        IN_BOTH_FORMS(zero_bytes_in_strings_are_refused),
        IN_BOTH_FORMS(bytes_beside_zero_are_no_zero),
        IN_BOTH_FORMS(padding_must_be_zero),
        IN_BOTH_FORMS(opaque_data_is_borrowed_or_copied),
        IN_BOTH_FORMS(texts_may_have_zero_bytes_on_request),
        IN_BOTH_FORMS(lengths_are_not_believed),
        IN_BOTH_FORMS(one_byte_beyond_the_bound_is_refused),
        IN_BOTH_FORMS(what_follows_must_be_there_too),
        cmocka_unit_test(arrays_are_checked_before_memory_is_taken),
        cmocka_unit_test(elements_without_bytes_are_counted),
        cmocka_unit_test(memory_has_a_budget),
        IN_BOTH_FORMS(opaque_data_that_lies_elsewhere),
        IN_BOTH_FORMS(strings_that_lie_elsewhere),
        cmocka_unit_test(what_lies_elsewhere_is_nothing_else),
        IN_BOTH_FORMS(strings_keep_the_budget),
        IN_BOTH_FORMS(no_arena_no_memory),
        cmocka_unit_test(bytes_after_the_value_are_refused),
        cmocka_unit_test(enums_and_booleans_are_tolerated_on_request),
    };
    return cmocka_run_group_tests_name("xdr_read", tests, NULL, NULL);
}
